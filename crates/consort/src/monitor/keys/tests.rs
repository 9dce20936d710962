//! Keys and clicks, and what the view shows after them.

use consort_control::{
    Finding, InstanceReading, Layout, LayoutChannel, LayoutInstance, LayoutRoute, Reading,
    RouteReading, UnmatchedReading,
};
use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

fn screen() -> Screen {
    let instance = |name: &str, backend: &str, channels: &[&str]| LayoutInstance {
        name: name.into(),
        backend: backend.into(),
        channels: channels
            .iter()
            .map(|&name| LayoutChannel { name: name.to_owned(), ..LayoutChannel::default() })
            .collect(),
    };
    let mut screen = Screen::new(Layout {
        show: "show.cfg".into(),
        process: 1,
        instances: vec![
            instance("tablet", "osc", &["/fader/1", "/fader/2"]),
            instance("lamps", "osc", &["/lamp/1", "/lamp/2"]),
        ],
        ..Layout::default()
    });
    screen.update(reading(1.0, 100));
    screen.update(reading(2.0, 150));
    screen
}

#[test]
fn a_new_layout_keeps_the_search_and_ends_typing() {
    let mut screen = screen();
    screen.mode = Mode::Send(3, "0.5".into());
    screen.search = "lamp".into();
    let layout = Layout {
        instances: vec![LayoutInstance {
            name: "lamps".into(),
            backend: "osc".into(),
            channels: vec![LayoutChannel { name: "/lamp/1".into(), ..LayoutChannel::default() }],
        }],
        ..Layout::default()
    };
    screen.relayout(layout);
    assert!(matches!(screen.mode, Mode::Normal));
    assert_eq!((screen.channel_count(), screen.shown.len()), (1, 1));
    screen.update(Reading {
        instances: vec![InstanceReading::default()],
        values: vec![(0.5, 1)],
        ..Reading::default()
    });
}

fn reading(seconds: f64, events: u64) -> Reading {
    let up = |incoming, outgoing| InstanceReading {
        state: "up".into(),
        incoming,
        outgoing,
        ..InstanceReading::default()
    };
    let waiting = InstanceReading {
        state: "waiting".into(),
        reason: Some("no route to 10.0.0.9".into()),
        dropped: 3,
        ..up(0, events)
    };
    Reading {
        seconds,
        running: true,
        holding: false,
        instances: vec![up(events, 0), waiting],
        values: vec![(0.25, events), (0.0, 0), (1.0, 20), (0.5, 7)],
        layers: vec![0],
        log: vec![format!("INFO line at {seconds} s")],
        log_next: seconds as u64,
    }
}

fn text(screen: &mut Screen) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 16)).expect("a terminal");
    terminal.draw(|frame| screen.draw(frame)).expect("drawn");
    terminal.backend().to_string()
}

fn press(screen: &mut Screen, keys: &str) -> Action {
    let mut action = Action::Nothing;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        action = screen.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    action
}

#[test]
fn unmatched_input_and_explanations_are_shown() {
    let mut screen = screen();
    press(&mut screen, "u");
    assert!(screen.wants_unmatched());
    screen.update_unmatched(vec![(
        0,
        UnmatchedReading {
            channel: "/1/fader9".into(),
            types: "f".into(),
            raw: "0.1".into(),
            sender: "10.0.0.7:9000".into(),
            count: 3,
            last: 1.5,
            ..UnmatchedReading::default()
        },
    )]);
    let drawn = text(&mut screen);
    assert!(drawn.contains("`tablet./1/fader9 > TARGET` to [map]"), "{drawn}");
    assert!(drawn.contains("tablet./1/fader9") && drawn.contains("10.0.0.7:9000"), "{drawn}");
    press(&mut screen, "u");
    assert_eq!(press(&mut screen, "w"), Action::Why { instance: 0, channel: Some(0) });
    screen.explain(vec![Finding {
        message: "nothing has arrived".into(),
        hint: Some("send to port 8010".into()),
        ..Finding::default()
    }]);
    let drawn = text(&mut screen);
    assert!(drawn.contains("nothing has arrived") && drawn.contains("port 8010"), "{drawn}");
    press(&mut screen, "j");
    assert!(!text(&mut screen).contains("nothing has arrived"));
}

#[test]
fn layers_are_switched_by_name() {
    let mut screen = screen();
    assert_eq!(press(&mut screen, "l"), Action::Nothing);
    assert!(text(&mut screen).contains("the show has no layers"));
    let layer = |name: &str, group: Option<&str>| consort_control::LayoutLayer {
        name: name.into(),
        group: group.map(str::to_owned),
    };
    screen.layout.layers =
        vec![layer("page1", Some("g")), layer("page2", Some("g")), layer("shift", None)];
    screen.update(reading(1.0, 10));
    press(&mut screen, "l");
    let drawn = text(&mut screen);
    assert!(drawn.contains("layer ([page1] page2 shift): _"), "{drawn}");
    assert_eq!(press(&mut screen, "page2\n"), Action::SwitchLayer { layer: 1, on: true });
    assert_eq!(press(&mut screen, "lsh\n"), Action::SwitchLayer { layer: 2, on: true });
    assert_eq!(press(&mut screen, "lpage\n"), Action::Nothing, "two begin so");
    assert!(text(&mut screen).contains("begin with `page`"));
}

#[test]
fn searching_sorting_and_sending() {
    let mut screen = screen();
    assert_eq!(press(&mut screen, "/LAMP\n"), Action::Nothing);
    assert!(text(&mut screen).contains("2 of 4 channels, by configuration, matching \"LAMP\""));
    assert!(!text(&mut screen).contains("tablet./fader/1"));
    let sent = Action::Send { instance: 1, channel: 1, value: 0.25 };
    assert_eq!(press(&mut screen, "jt0.25\n"), sent);
    assert!(text(&mut screen).contains("sent 0.25 as input of lamps./lamp/2"));
    assert_eq!(press(&mut screen, "t7\n"), Action::Nothing);
    assert!(text(&mut screen).contains("expected a number from 0 to 1, not `7`"));
    press(&mut screen, "\u{1b}sss");
    assert_eq!(screen.shown, [2, 3, 0, 1], "by value");
    assert_eq!(press(&mut screen, "q"), Action::Quit);
}

#[test]
fn a_test_value_goes_to_the_channel_that_was_selected() {
    let mut screen = screen();
    press(&mut screen, "ss");
    screen.update(reading(3.0, 200));
    assert_eq!(screen.shown[0], 0, "by rate");
    press(&mut screen, "t0.");
    assert!(text(&mut screen).contains(" for tablet./fader/1 "), "{}", text(&mut screen));
    // Before the value is sent, another channel becomes the fastest.
    let mut next = reading(4.0, 200);
    next.values[3].1 += 1_000;
    screen.update(next);
    assert_eq!(screen.shown[0], 3);
    assert_eq!(press(&mut screen, "5\n"), Action::Send { instance: 0, channel: 0, value: 0.5 });
}

#[test]
fn a_pause_freezes_the_values_but_not_the_log() {
    let mut screen = screen();
    press(&mut screen, "p");
    screen.update(reading(3.0, 900));
    let paused = text(&mut screen);
    assert!(paused.contains("PAUSED") && paused.contains("line at 3 s"), "{paused}");
    assert!(!paused.contains("900"), "{paused}");
    press(&mut screen, "p");
    screen.update(reading(4.0, 950));
    assert!(text(&mut screen).contains("950"));
}

#[test]
fn routes_are_muted_and_tested_on_their_page() {
    let mut screen = screen();
    assert_eq!(press(&mut screen, "m"), Action::Nothing);
    assert!(text(&mut screen).contains("select a route"));
    let route = |number: u32| LayoutRoute {
        source: (0, number),
        target: (1, number),
        ..LayoutRoute::default()
    };
    screen.layout.routes = vec![route(0), route(1)];
    press(&mut screen, "2j");
    assert_eq!(screen.wanted_routes(), [0, 1]);
    let reading =
        |route: u32, muted: bool| RouteReading { route, muted, ..RouteReading::default() };
    screen.update_routes(vec![reading(0, false), reading(1, true)]);
    let control = |control, on| Action::ControlRoute { route: 1, control, on };
    assert_eq!(press(&mut screen, "m"), control(RouteControl::Mute, false));
    assert_eq!(press(&mut screen, "o"), control(RouteControl::Solo, true));
    assert_eq!(press(&mut screen, "f"), control(RouteControl::Freeze, true));
    assert_eq!(press(&mut screen, "w"), Action::Why { instance: 0, channel: Some(1) });
    let sent = Action::Send { instance: 0, channel: 1, value: 1.0 };
    assert_eq!(press(&mut screen, "t\n"), sent);
    press(&mut screen, "/lamp/2\n");
    assert_eq!(screen.shown_routes, [1]);
}

#[test]
fn an_instance_is_explained_and_shown_alone() {
    let mut screen = screen();
    press(&mut screen, "4j");
    assert_eq!(press(&mut screen, "w"), Action::Why { instance: 1, channel: None });
    press(&mut screen, "\n");
    assert_eq!((screen.page, &screen.shown[..]), (Page::Channels, &[2, 3][..]));
    assert!(text(&mut screen).contains("2 of 4 channels, by configuration of lamps"));
    press(&mut screen, "\u{1b}");
    assert_eq!(screen.shown.len(), 4);
}

#[test]
fn any_key_ends_the_list_of_keys() {
    let mut screen = screen();
    press(&mut screen, "?");
    assert!(text(&mut screen).contains("show these keys"));
    press(&mut screen, "q");
    assert!(!text(&mut screen).contains("show these keys"));
    assert_eq!(press(&mut screen, "q"), Action::Quit);
}

#[test]
fn clicks_select_pages_and_lines_and_the_wheel_scrolls() {
    let mut screen = screen();
    let place = |screen: &mut Screen, word: &str| {
        let text = text(screen);
        let (row, line) =
            text.lines().enumerate().find(|(_, line)| line.contains(word)).expect("the word");
        // The lines are quoted.
        let column = line[..line.find(word).expect("the word")].chars().count() - 1;
        (column as u16, row as u16)
    };
    let event =
        |kind, (column, row)| MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    let click = MouseEventKind::Down(MouseButton::Left);
    let lamp = place(&mut screen, "lamps./lamp/1 ");
    assert!(screen.mouse(event(click, lamp)));
    assert_eq!(screen.cursor(Page::Channels).selected, 2);
    assert!(screen.mouse(event(MouseEventKind::ScrollUp, lamp)));
    assert_eq!(screen.cursor(Page::Channels).selected, 0);
    let tab = place(&mut screen, "4 instances");
    assert!(screen.mouse(event(click, tab)));
    assert_eq!(screen.page, Page::Instances);
    let lamps = place(&mut screen, "lamps ");
    assert!(screen.mouse(event(click, lamps)));
    assert_eq!((screen.page, screen.cursor(Page::Instances).selected), (Page::Instances, 1));
    assert!(screen.mouse(event(click, lamps)), "the second click opens it");
    assert_eq!((screen.page, screen.only), (Page::Channels, Some(1)));
    text(&mut screen);
    assert!(!screen.mouse(event(click, (0, 0))), "the title is not a spot");
}
