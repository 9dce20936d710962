//! What the live view draws, on a terminal in memory.

use consort_control::{InstanceReading, Layout, LayoutChannel, LayoutInstance, LayoutRoute};
use consort_control::{LayoutLayer, Reading, RouteReading, UnmatchedReading};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

/// Eight faders to eight dimmers, the last one in a layer that is off.
fn routes() -> Vec<LayoutRoute> {
    let route = |number: u32| LayoutRoute {
        source: (0, number),
        target: (3, number),
        stages: if number == 1 { "invert | curve 2".into() } else { String::new() },
        layer: (number == 7).then_some(0),
    };
    (0..8).map(route).collect()
}

/// A show with all kinds of instances, states and values.
fn screen() -> Screen {
    let instance = |name: &str, backend: &str, channels: Vec<String>| LayoutInstance {
        name: name.into(),
        backend: backend.into(),
        channels: channels
            .into_iter()
            .map(|name| LayoutChannel { name, ..LayoutChannel::default() })
            .collect(),
    };
    let numbered =
        |name: &str, count: u32| (1..=count).map(|number| format!("{name}{number}")).collect();
    let instances = vec![
        instance("tablet", "osc", numbered("/1/fader", 8)),
        instance("keyboard", "midi", numbered("ch0.note", 4)),
        instance("faders", "loopback", numbered("fader", 8)),
        instance("the-dimmers-above-the-stage", "artnet", numbered("", 12)),
        instance("pattern", "python", vec!["pattern.speed".into(), "step1".into()]),
        instance("server", "sc", vec!["synth.a_parameter_with_a_rather_long_name".into()]),
    ];
    let mut screen = Screen::new(Layout {
        show: "shows/friday.cfg".into(),
        process: 7,
        instances,
        routes: routes(),
        layers: vec![LayoutLayer { name: "page2".into(), group: None }],
        ..Layout::default()
    });
    let state = |state: &str, reason: Option<&str>, events: u64| InstanceReading {
        state: state.into(),
        reason: reason.map(str::to_owned),
        incoming: events,
        outgoing: events * 3,
        ..InstanceReading::default()
    };
    for second in 1..=9_u64 {
        let values = (0..35_u64).map(|index| match index {
            0..20 => (index as f64 / 19.0, second * index * 40),
            20..32 => (1.0, 12_345_678 + second * 900_000),
            _ => (0.0, 0),
        });
        let reason = "python3 exited with signal 9 (SIGKILL); restarting in 2 s";
        let instances = vec![
            state("up", None, second * 400),
            state("waiting", Some("no MIDI device named \"Keystation\""), 0),
            state("up", None, second * 400),
            InstanceReading { dropped: 12, ..state("up", None, second * 70_000) },
            InstanceReading { errors: 3, ..state("waiting", Some(reason), second * 20) },
            state("starting", None, 0),
        ];
        screen.update(Reading {
            seconds: second as f64 + 3_600.0,
            running: true,
            holding: false,
            instances,
            values: values.collect(),
            layers: Vec::new(),
            log: vec![format!(
                "20:15:0{second} {}",
                ["ERROR pattern: failed", "INFO  tablet: up", "WARN  late"][second as usize % 3]
            )],
            log_next: second,
        });
    }
    screen
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| screen.draw(frame)).expect("drawn");
    terminal.backend().to_string()
}

fn text(width: u16, height: u16) -> String {
    drawn(&mut screen(), width, height)
}

fn press(screen: &mut Screen, code: KeyCode) {
    screen.key(KeyEvent::new(code, KeyModifiers::NONE));
}

#[test]
fn on_80_columns() {
    insta::assert_snapshot!(text(80, 24));
}

#[test]
fn on_120_columns() {
    let mut screen = screen();
    let reading = |route: u32| RouteReading {
        route,
        raw: Some(f64::from(route) / 10.0),
        value: (route != 3).then_some(1.0 - f64::from(route) / 10.0),
        muted: route == 2,
        distance: (route == 4).then_some(-0.25),
        ..RouteReading::default()
    };
    screen.update_routes((0..8).map(reading).collect());
    insta::assert_snapshot!(drawn(&mut screen, 120, 40));
}

#[test]
fn on_40_columns() {
    insta::assert_snapshot!(text(40, 20));
}

#[test]
fn the_keys_fit_on_80_columns() {
    let mut screen = screen();
    press(&mut screen, KeyCode::Char('?'));
    let drawn = drawn(&mut screen, 80, 24);
    assert!(!drawn.contains('…'), "{drawn}");
    insta::assert_snapshot!(drawn);
}

#[test]
fn every_instance_can_be_reached_on_80_columns() {
    let mut screen = screen();
    for number in 0..40 {
        let instance = LayoutInstance {
            name: format!("more{number}"),
            backend: "osc".into(),
            ..LayoutInstance::default()
        };
        screen.layout.instances.push(instance);
        screen.instance_rates.push((0.0, 0.0));
    }
    screen.reading.instances.resize_with(46, InstanceReading::default);
    press(&mut screen, KeyCode::Char('4'));
    let mut names: Vec<String> = Vec::new();
    for _ in 0..46 {
        let drawn = drawn(&mut screen, 80, 24);
        let selected = drawn.lines().find_map(|line| line.strip_prefix("\">"));
        let name = selected.expect("a selected instance").split_whitespace().next();
        names.push(name.expect("a name").to_owned());
        press(&mut screen, KeyCode::Down);
    }
    assert_eq!((names[0].as_str(), names[45].as_str()), ("tablet", "more39"));
    names.dedup();
    assert_eq!(names.len(), 46, "{names:?}");
    press(&mut screen, KeyCode::Enter);
    assert!(drawn(&mut screen, 80, 24).contains("0 of 35 channels, by configuration of more39"));
}

#[test]
fn the_reason_of_the_selected_instance_is_not_cut() {
    let mut screen = screen();
    let reason = "the device \"Keystation\" is missing; there are: Midi Through, nanoKONTROL2, \
                  APC mini; the nearest name is Midi Through";
    screen.reading.instances[1].reason = Some(reason.into());
    press(&mut screen, KeyCode::Char('4'));
    assert!(!drawn(&mut screen, 80, 24).contains("nearest"));
    press(&mut screen, KeyCode::Down);
    assert!(drawn(&mut screen, 80, 24).contains("nearest"));
}

#[test]
fn routes_and_unmatched_input_have_pages() {
    let mut screen = screen();
    press(&mut screen, KeyCode::Char('2'));
    press(&mut screen, KeyCode::Down);
    let routes = drawn(&mut screen, 80, 24);
    assert!(routes.contains("8 of 8 routes; 2: invert | curve 2"), "{routes}");
    assert!(routes.contains(">tablet./1/fader2"), "{routes}");
    assert!(routes.contains("layer off"), "{routes}");
    press(&mut screen, KeyCode::Tab);
    let input = UnmatchedReading {
        channel: "/1/Fader9".into(),
        types: "i".into(),
        raw: "64".into(),
        range: Some((0.0, 127.0)),
        sender: "10.0.0.7:9000".into(),
        count: 12,
        last: 3_608.0,
        option: Some(("/1/Fader9".into(), "i 0 127".into())),
        ..UnmatchedReading::default()
    };
    screen.update_unmatched(vec![(0, input)]);
    let narrow = drawn(&mut screen, 80, 24);
    for part in ["> TARGET` to [map]", ">tablet./1/Fader9", "i 64", "1.0 s  10.0.0.7:9000"] {
        assert!(narrow.contains(part), "no {part} in:\n{narrow}");
    }
    let wide = drawn(&mut screen, 120, 24);
    assert!(wide.contains("`/1/Fader9 = i 0 127` to [tablet]"), "{wide}");
    assert!(wide.contains("0 to 127"), "{wide}");
}

#[test]
fn colours_mark_states_and_levels() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
    terminal.draw(|frame| screen().draw(frame)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let colour = |word: &str| {
        let area = buffer.area;
        let rows = (0..area.height).map(|y| {
            let cells = (0..area.width).map(|x| buffer[(x, y)].symbol());
            (y, cells.collect::<String>())
        });
        let (y, row) = rows.into_iter().find(|(_, row)| row.contains(word)).expect("the word");
        let x = row[..row.find(word).expect("the word")].chars().count();
        buffer[(x as u16, y)].fg
    };
    assert_eq!(colour("waiting"), Color::Yellow);
    assert_eq!(colour("no MIDI device"), Color::Yellow);
    assert_eq!(colour("ERROR"), Color::Red);
    assert_eq!(colour("WARN"), Color::Yellow);
    assert_eq!(colour("█"), Color::Cyan);
}

#[test]
fn the_title_counts_instances_that_need_attention() {
    let mut screen = screen();
    assert_eq!(screen.problems(), (", 2 waiting".into(), Color::Yellow));
    for (instance, state) in [(0, "degraded"), (1, "failed"), (4, "up")] {
        screen.reading.instances[instance].state = state.into();
    }
    assert_eq!(screen.problems(), (", 1 degraded, 1 failed".into(), Color::Red));
    for instance in &mut screen.reading.instances {
        instance.state = "up".into();
    }
    assert_eq!(screen.problems(), (String::new(), Color::Reset));
}

#[test]
fn every_size_can_be_drawn() {
    let mut screen = screen();
    for page in Page::ALL {
        screen.page = page;
        for is_helping in [false, true] {
            screen.mode = if is_helping { Mode::Help } else { Mode::Normal };
            for (width, height) in [(1, 1), (5, 3), (20, 6), (79, 5), (119, 24), (300, 80)] {
                drawn(&mut screen, width, height);
            }
        }
    }
}
