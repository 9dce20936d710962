//! Layers: selection, held presses, lights, merging, mute, solo and freeze.

use consort_router::RouteControl;

use crate::support::{Played, messages};

fn two_layers(options: &str) -> Played {
    Played::new(&format!(
        "[map A]\ngroup = g\nselect = d.padA\n{options}d.pad > l.a\n\
         [map B]\ngroup = g\nselect = d.padB\n{options}d.pad > l.b\n"
    ))
}

#[test]
fn a_held_press_stays_with_the_layer_that_it_began_in() {
    let mut show = two_layers("");
    show.byte("d.pad", 100);
    assert_eq!(show.texts(), ["l.a 0.787402"]);
    show.byte("d.padB", 127);
    assert_eq!(show.texts(), ["d.padA 0", "d.padB 1"]);
    show.byte("d.pad", 0);
    assert_eq!(show.texts(), ["l.a 0"]);
    show.byte("d.pad", 1);
    assert_eq!(show.texts(), ["l.b 0.007874"]);
    show.byte("d.padA", 127).byte("d.padA", 0).byte("d.padB", 0).byte("d.padB", 127);
    show.take();
    show.byte("d.pad", 0);
    assert_eq!(show.texts(), ["l.b 0"]);
}

#[test]
fn a_held_press_is_released_at_once_if_the_layer_says_so() {
    let mut show = two_layers("held = release\n");
    show.byte("d.pad", 100);
    show.take();
    show.byte("d.padB", 127);
    assert_eq!(show.texts(), ["l.a 0", "d.padA 0", "d.padB 1"]);
    show.byte("d.pad", 0);
    assert_eq!(show.texts(), [""; 0]);
}

#[test]
fn a_select_press_that_is_mapped_goes_by_the_old_layer_and_so_does_its_release() {
    let mut show = Played::new(
        "[map A]\ngroup = g\nselect = d.padA\nd.padB > l.a\n\
         [map B]\ngroup = g\nselect = d.padB\nd.padB > l.b | toggle\n",
    );
    show.byte("d.padB", 127);
    assert_eq!(show.texts(), ["l.a 1", "d.padA 0", "d.padB 1"]);
    show.byte("d.padB", 0);
    assert_eq!(show.texts(), ["l.a 0", "d.padB 1"]);
    show.byte("d.padB", 1);
    assert_eq!(show.texts(), ["l.b 1"]);
}

#[test]
fn a_selector_shares_its_range_equally() {
    let text: String = (0..4)
        .map(|page| {
            let selector = if page == 0 { "selector = d.page\n" } else { "" };
            format!("[map p{page}]\ngroup = g\ntakeover = jump\n{selector}d.x > l.p{page}\n")
        })
        .collect();
    let mut show = Played::new(&text);
    for byte in 0..128_u8 {
        show.byte("d.page", byte).send("d.x", 0.5);
        let page = (f64::from(byte) / 127.0 * 4.0).floor().min(3.0);
        assert_eq!(show.texts(), [format!("l.p{page} 0.5")], "{byte}");
    }
}

/// MIDIMonster's example needs a script for this: 16 rotaries on 512 outputs, in layers that a value
/// chooses as `floor(value * 31.99)`.
#[test]
fn the_example_with_layers_has_the_output_of_midimonsters_script() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/midi-layering/show.cfg");
    let example = std::fs::read_to_string(path).expect("the example");
    let start = example.find("[map").expect("mappings");
    // The channels of the test's desk have other names than those of MIDI.
    let map = example[start..].replace("in.ch0.note0", "d.layer").replace("in.ch1.cc", "d.cc");
    let mut show = Played::new(&map.replace("> out.", "> l.o"));
    for byte in 0..128_u8 {
        let value = f64::from(byte) / 127.0;
        show.send("d.layer", value);
        let rotary = byte % 16;
        show.send(&format!("d.cc{rotary}"), 0.25);
        let output = (value * 31.99).floor() * 16.0 + f64::from(rotary) + 1.0;
        assert_eq!(show.texts(), [format!("l.o{output} 0.25")], "{byte}");
    }
}

/// The page `A controller with pages`, played by injected events.
#[test]
fn the_page_about_controllers_with_pages_does_what_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/controller-with-pages.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let map = |file: &str| {
        let block = page.split("```ini\n").find(|block| block.starts_with(&format!("; {file}")));
        let block = block.expect("the configuration").split("```").next().expect("its end");
        let start = block.find("[map").expect("mappings");
        block[start..].replace("desk./", "d.").replace("lamps.", "l.")
    };
    let mut pages = Played::new(&map("pages.cfg"));
    pages.set("l.dim1", 0.5).set("l.dim9", 0.25);
    pages.send("d.fader1", 0.4).send("d.fader1", 0.6);
    assert_eq!(pages.texts()[2..], ["l.dim1 0.6"], "picked up");
    pages.send("d.page2", 1.0);
    assert_eq!(pages.texts(), ["d.page1 0", "d.page2 1"]);
    pages.send("d.page2", 0.0).send("d.fader1", 0.3);
    assert_eq!(pages.texts(), ["d.page2 1"], "waits");
    pages.send("d.fader1", 0.2).send("d.page4", 1.0).send("d.fader8", 0.0);
    assert_eq!(pages.texts(), ["l.dim9 0.2", "d.page2 0", "d.page4 1", "l.dim32 0"]);

    let mut motors = Played::new(&map("motors.cfg"));
    motors.set("l.dim1", 0.5).set("l.dim9", 0.25);
    assert_eq!(motors.texts(), ["l.dim1 0.5", "d.fader1 0.5", "l.dim9 0.25"]);
    motors.send("d.mute1", 1.0).send("d.mute1", 0.0);
    assert_eq!(motors.texts(), ["l.mute1 1", "d.mute1 1", "d.mute1 1"]);
    motors.send("d.page2", 1.0);
    assert_eq!(motors.texts(), ["d.fader1 0.25", "d.page1 0", "d.page2 1"]);
    motors.send("d.page1", 1.0);
    assert_eq!(motors.texts()[..1], ["d.fader1 0.5"], "back to where the lamp is");
}

#[test]
fn conditions_switch_layers() {
    let mut show = Played::new(
        "[map shifted]\nwhen = d.padshift\nd.x > l.shifted\n\
         [map plain]\nunless = d.padshift\nd.x > l.plain\n",
    );
    show.send("d.x", 0.1).byte("d.padshift", 127).send("d.x", 0.2).byte("d.padshift", 0);
    show.send("d.x", 0.3);
    assert_eq!(show.texts(), ["l.plain 0.1", "l.shifted 0.2", "l.plain 0.3"]);
}

#[test]
fn faders_of_pages_wait_unless_the_layer_says_otherwise() {
    let page = |options: &str| {
        let mut show = Played::new(&format!("[map A]\ngroup = g\n{options}d.f > l.x\n"));
        show.set("l.x", 0.5).byte("d.f", 10).byte("d.f", 20);
        show.bytes("l.x")[1..].to_vec()
    };
    assert_eq!(page(""), []);
    assert_eq!(page("takeover = jump\n"), [10, 20]);
    let mut show = Played::new("[map A]\ngroup = g\nd.f > l.x | takeover(jump)\n");
    show.set("l.x", 0.5).byte("d.f", 10);
    assert_eq!(show.bytes("l.x"), [64, 10], "the stage wins");
}

#[test]
fn time_stages_finish_when_their_layer_goes_and_nothing_fires_later() {
    for (stage, expected) in [
        ("smooth(1 s)", vec!["l.x 1"]),
        ("slew(1 s)", vec!["l.x 1"]),
        ("delay(1 s)", vec!["l.x 1"]),
        ("limit(1 Hz)", vec![]),
    ] {
        let mut show = Played::new(&format!(
            "[map A]\ngroup = g\nselect = d.padA\nd.x > l.x | takeover(jump) | {stage}\n\
             [map B]\ngroup = g\nselect = d.padB\n"
        ));
        show.send("d.x", 0.0).wait(1_100).send("d.x", 1.0);
        show.take();
        show.byte("d.padB", 127);
        let values: Vec<_> = show.texts().into_iter().filter(|t| t.starts_with('l')).collect();
        let expected = if stage.starts_with("limit") { vec![] } else { expected };
        assert_eq!(values, expected, "{stage}");
        show.wait(2_000).byte("d.padA", 127).wait(2_000);
        let values: Vec<_> = show.texts().into_iter().filter(|t| t.starts_with('l')).collect();
        assert_eq!(values, [""; 0], "{stage}");
    }
}

#[test]
fn a_button_without_a_mapping_goes_dark() {
    let show = |options: &str| {
        let mut show = Played::new(&format!(
            "[map A]\ngroup = g\nselect = d.padA\n{options}d.pad <> l.x | toggle\n\
             [map B]\ngroup = g\nselect = d.padB\n"
        ));
        show.byte("d.pad", 127).byte("d.pad", 0);
        show.take();
        show.byte("d.padB", 127);
        let off = show.bytes("d.pad");
        show.byte("d.padA", 127);
        (off, show.bytes("d.pad"))
    };
    assert_eq!(show(""), (vec![0], vec![127]), "and lights up with its page");
    assert_eq!(show("off = no\n"), (vec![], vec![]));
}

#[test]
fn mappings_of_one_target_are_merged() {
    let mut show = Played::new(
        "[map]\nd.a > l.sum\nd.b > l.sum\nd.a > l.highest\nd.b > l.highest\nd.a > l.priority\n\
         d.b > l.priority\n",
    );
    show.send("d.a", 0.3);
    assert_eq!(show.texts(), ["l.sum 0.3", "l.highest 0.3", "l.priority 0.3"]);
    show.send("d.b", 0.9);
    assert_eq!(show.texts(), ["l.sum 1", "l.highest 0.9", "l.priority 0.3"]);
    show.send("d.a", 0.0);
    assert_eq!(show.texts(), ["l.sum 0.9", "l.highest 0.9", "l.priority 0.9"]);
}

#[test]
fn a_contribution_goes_with_its_layer() {
    let mut show = Played::new(
        "[map A]\ngroup = g\nselect = d.padA\ntakeover = jump\nd.x > l.sum\n\
         [map B]\ngroup = g\nselect = d.padB\n[map]\nd.y > l.sum\n",
    );
    show.send("d.x", 0.5).send("d.y", 0.25);
    show.take();
    show.byte("d.padB", 127);
    assert_eq!(show.texts()[0], "l.sum 0.25");
}

fn control(show: &mut Played, route: u32, control: RouteControl, is_on: bool) {
    assert!(show.router.handle().control_route(route, control, is_on));
    show.wait(1);
}

#[test]
fn any_mapping_can_be_muted_soloed_and_frozen() {
    for stages in ["", " | curve(1)"] {
        let mut show = Played::new(&format!("[map]\nd.a > l.x{stages}\nd.b > l.y{stages}\n"));
        control(&mut show, 0, RouteControl::Mute, true);
        show.send("d.a", 0.1).send("d.b", 0.2);
        assert_eq!(show.texts(), ["l.y 0.2"], "{stages:?}");
        control(&mut show, 0, RouteControl::Mute, false);
        control(&mut show, 0, RouteControl::Solo, true);
        show.send("d.a", 0.3).send("d.b", 0.4);
        assert_eq!(show.texts(), ["l.x 0.3"], "{stages:?}");
        control(&mut show, 0, RouteControl::Solo, false);
        control(&mut show, 1, RouteControl::Freeze, true);
        show.send("d.a", 0.5).send("d.b", 0.6);
        assert_eq!(show.texts(), ["l.x 0.5"], "{stages:?}");
        let live = show.router.handle().live();
        assert!(live.route_state(1).is_frozen && !live.route_state(0).is_muted);
        control(&mut show, 1, RouteControl::Freeze, false);
        show.send("d.b", 0.7);
        assert_eq!(show.texts(), ["l.y 0.7"], "{stages:?}");
    }
}

#[test]
fn a_reload_keeps_mute_solo_and_freeze() {
    let line = "d.a > l.x";
    // With and without a route of the engine: other mappings decide whether one is needed.
    let befores = ["[map]\n", "[map]\nd.c > l.x | curve(2)\n", "[map]\nd.z > l.z | invert\n"];
    let afters = ["[map]\nd.0 > l.0\n", "[map]\nd.0 > l.0 | invert\nd.c > l.x | curve(3)\n"];
    for stages in ["", " | curve(1)"] {
        for before in befores {
            for after in afters {
                let case = format!("{before}{line}{stages} -> {after}");
                let mut show = Played::new(&format!("{before}{line}{stages}\nd.b > l.y\n"));
                let find = |show: &Played, target: &str| {
                    let live = show.router.handle().live();
                    let target = show.find(target);
                    let source = show.find(if target == show.find("l.x") { "d.a" } else { "d.b" });
                    let is_it = |index: &u32| {
                        let route = live.route(*index as usize);
                        route.source == source && route.target == target
                    };
                    (0..live.route_count() as u32).find(is_it).expect("a mapping")
                };
                let muted = find(&show, "l.x");
                control(&mut show, muted, RouteControl::Mute, true);
                show.reload(&format!("{after}d.b > l.y\n{line}{stages}\n"));
                show.send("d.a", 0.1).send("d.b", 0.2);
                assert_eq!(show.texts(), ["l.y 0.2"], "{case}");
                let live = show.router.handle().live();
                let muted = find(&show, "l.x");
                assert!(live.route_state(muted as usize).is_muted, "{case}");
                control(&mut show, muted, RouteControl::Mute, false);
                control(&mut show, muted, RouteControl::Solo, true);
                show.reload(&format!("{before}{line}{stages}\nd.b > l.y\n"));
                show.send("d.a", 0.3).send("d.b", 0.4);
                assert_eq!(show.texts(), ["l.x 0.3"], "{case}");
                let soloed = find(&show, "l.x");
                control(&mut show, soloed, RouteControl::Solo, false);
                show.send("d.a", 0.5).send("d.b", 0.6);
                assert_eq!(show.texts(), ["l.x 0.5", "l.y 0.6"], "{case}");
                // A mapping that comes while another one is soloed is closed, too.
                control(&mut show, soloed, RouteControl::Solo, true);
                show.reload(&format!("{after}d.b > l.y\n{line}{stages}\nd.e > l.e\n"));
                show.send("d.e", 0.7).send("d.b", 0.8).send("d.a", 0.9);
                assert_eq!(show.texts(), ["l.x 0.9"], "{case}");
            }
        }
    }
}

#[test]
fn a_hold_keeps_the_outputs_also_over_a_reload() {
    for stages in ["", " | curve(1)"] {
        let text = format!("[map]\nd.a > l.x{stages}\nd.pad > l.y{stages}\nd.a > m.sum\n");
        let mut show = Played::new(&text);
        show.send("d.a", 0.1).send("d.pad", 1.0).take();
        assert!(show.router.handle().hold(true));
        show.wait(1);
        assert!(show.router.handle().live().is_holding());
        show.send("d.a", 0.2);
        assert_eq!(show.texts(), [""; 0], "{stages:?}: nothing passes, and no sum changes");
        show.send("d.pad", 0.0);
        assert_eq!(show.texts(), ["l.y 0"], "{stages:?}: a press that began before ends");
        show.reload(&format!("{text}d.b > l.z\n"));
        show.send("d.a", 0.3).send("d.b", 0.4).send("d.pad", 1.0);
        assert_eq!(show.texts(), [""; 0], "{stages:?}: new mappings are closed, too");
        assert!(show.router.handle().live().is_holding());
        assert!(show.router.handle().hold(false));
        show.wait(1);
        show.take();
        show.send("d.a", 0.5).send("d.b", 0.6);
        let texts = show.texts();
        assert!(texts.contains(&"l.x 0.5".into()) && texts.contains(&"l.z 0.6".into()));
        assert!(!show.router.handle().live().is_holding());
    }
}

#[test]
fn a_held_note_ends_through_a_mute() {
    for stages in ["", " | curve(1)"] {
        let mut show = Played::new(&format!("[map]\nd.pad > l.x{stages}\n"));
        show.byte("d.pad", 127);
        control(&mut show, 0, RouteControl::Mute, true);
        show.byte("d.pad", 0).byte("d.pad", 127).byte("d.pad", 0);
        assert_eq!(show.texts(), ["l.x 1", "l.x 0"], "{stages:?}");
    }
}

#[test]
fn views_switch_layers() {
    let mut show = two_layers("");
    let handle = show.router.handle();
    let layer = handle.live().find_layer("B").expect("a layer");
    assert!(handle.switch_layer(layer, true));
    show.wait(1);
    assert!(handle.live().layer(layer as usize).is_active);
    show.take();
    show.byte("d.pad", 127);
    assert_eq!(show.texts(), ["l.b 1"]);
}

#[test]
fn a_reload_keeps_what_unchanged_lines_remember() {
    let lines = "[map A]\ngroup = g\nselect = d.padA\nd.x > l.y\n\
                 [map B]\ngroup = g\nselect = d.padB\nd.pad > l.a | toggle | smooth(1 s)\n\
                 d.padk > l.k\n";
    let mut show = Played::new(lines);
    show.byte("d.padB", 127).byte("d.padB", 0).byte("d.pad", 127).byte("d.pad", 0);
    show.byte("d.padk", 127);
    show.take();
    show.reload(&format!("{lines}d.new > l.new | invert\n"));
    let live = show.router.handle().live();
    assert!(live.layer(1).is_active, "the active layer stays");
    show.byte("d.padk", 0).byte("d.pad", 127);
    assert_eq!(show.texts(), ["l.k 0"], "a fade begins");
    show.wait(1_100);
    assert_eq!(show.texts().last().unwrap(), "l.a 0", "from 1, which the toggle remembers");
    show.byte("d.padk", 127);
    show.take();
    show.reload("[map A]\ngroup = g\nselect = d.padA\nd.x > l.y\n");
    assert_eq!(show.texts(), ["l.k 0"], "a press of a line that goes is released");
}

#[test]
fn mistakes_of_layers_are_reported() {
    assert_eq!(
        messages("[map A]\ngroup = g\nselect = d.p\nd.a > l.x\n[map B]\ngroup = g\nselect = d.p\n"),
        ["repeated-select: two layers have the same `select` [select]"]
    );
    assert_eq!(
        messages("[map A]\ngroup = g\n[map B]\ngroup = g\nd.a > l.x\n"),
        ["inactive-layer: the layer `B` is never active [B]"]
    );
    assert_eq!(
        messages("[map A]\nselect = d.p\n"),
        ["layer-option: `select` needs a group [select]"]
    );
    assert_eq!(
        messages("[map A]\nd.a > l.x\nheld = keep\n"),
        ["layer-option: the options of a layer stand before its first mapping [held]"]
    );
    assert_eq!(
        messages("[map A]\nheld = kepp\n"),
        ["invalid-value: invalid value `kepp` for the option `held` [kepp]"]
    );
    assert_eq!(
        messages("[map A]\nslect = d.p\n"),
        ["not-a-mapping: a mapping needs an arrow [slect = d.p]"]
    );
}

#[test]
fn options_of_layers_are_replaced_on_the_command_line() {
    use consort_router::config::{Override, load_text};
    let text = format!(
        "{}[map A]\ngroup = g\nselect = d.padA\n[map B]\ngroup = g\nselect = d.padB\n",
        crate::support::INSTANCES
    );
    let load = |overrides: &[&str]| {
        let overrides: Vec<Override> =
            overrides.iter().map(|text| Override::instance(*text)).collect();
        load_text("show.cfg", &text, &overrides, crate::support::REGISTRY)
    };
    let show = load(&["B.start=on", "A.held=release", "A.select=d.other"]).show.expect("a show");
    assert!(show.layers[1].starts && !show.layers[0].starts);
    assert_eq!(show.layers[0].held, consort_router::transform::Held::Release);
    assert_ne!(show.layers[0].select, None);
    let message = |text: &str| load(&[text]).diagnostics[0].message.clone();
    assert_eq!(message("A.hold=keep"), "unknown option `hold` of layers");
    assert_eq!(message("A.held=no"), "invalid value `no` for the option `held`");
}
