//! Properties of stages, and layers compared with a model that a person can read.

use consort_router::stage::{Chain, Stage, StageKind, parse};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::Played;

fn chain(text: &str) -> Chain {
    let parsed = parse(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    Chain::new(parsed.stages.into_iter().map(|placed| placed.stage))
}

fn unit() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(0.5), 0.0..=1.0_f64]
}

/// A shape, whether it has an exact inverse, and whether it is monotone.
fn shape() -> impl Strategy<Value = (String, bool, bool)> {
    let two = (0_u32..=100, 1_u32..=100).prop_map(|(a, width)| {
        (f64::from(a) / 100.0, (f64::from(a) + f64::from(width) % (101.0 - f64::from(a))) / 100.0)
    });
    let apart = two.prop_filter("two numbers", |(a, b)| (a - b).abs() > 0.05);
    prop_oneof![
        Just(("invert".to_owned(), true, true)),
        apart.clone().prop_map(|(a, b)| (format!("from({a}, {b})"), false, true)),
        apart.clone().prop_map(|(a, b)| (format!("range({b}, {a})"), true, true)),
        (50_u32..300).prop_map(|g| (format!("curve({g}/100)"), true, true)),
        (50_u32..300).prop_map(|k| (format!("ease({k}/100)"), true, true)),
        (2_u32..40).prop_map(|n| (format!("steps({n})"), false, true)),
        apart.prop_map(|(a, b)| (format!("clip({a}, {b})"), false, true)),
        (0_u32..60, 30_u32..70)
            .prop_map(|(w, at)| { (format!("deadzone({w}/100, {at}/100)"), false, true) }),
        (1_u32..300).prop_map(|f| (format!("scale({f}/100)"), f <= 100, true)),
        (1_u32..99).prop_map(|x| (format!("offset(-{x}/100)"), false, true)),
        (1_u32..99, 0_u32..=100).prop_map(|(x, y)| {
            (format!("points(0:0, {x}/100:{y}/100, 1:1)"), y > 0 && y < 100, true)
        }),
        (0_u32..=100).prop_map(|y| (format!("points(0:0, 0.5:{y}/100, 1:0.2)"), false, false)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn values_stay_from_0_to_1_through_any_shapes(
        shapes in vec(shape(), 1..5),
        value in unit(),
    ) {
        let text: Vec<&str> = shapes.iter().map(|(text, ..)| text.as_str()).collect();
        let chain = chain(&text.join(" | "));
        for result in [chain.shape(value), chain.back(value)] {
            prop_assert!((0.0..=1.0).contains(&result), "{text:?}: {value} gives {result}");
        }
    }

    #[test]
    fn what_goes_through_an_inverse_comes_back((text, is_exact, _) in shape(), value in 0.05..=0.95_f64) {
        let chain = chain(&text);
        let there = chain.shape(value);
        let back = chain.back(there);
        if is_exact {
            prop_assert!((back - value).abs() < 1e-6, "{text}: {value}, {there}, {back}");
        }
        // Where several values give the same one, going there and back again changes nothing.
        let again = chain.shape(back);
        if parse(&text).expect("valid").without_inverse().is_none() {
            prop_assert!((again - there).abs() < 1e-6, "{text}: {value}: {there}, {again}");
        }
    }

    #[test]
    fn shapes_keep_or_reverse_the_order(
        (text, _, is_monotone) in shape(),
        mut values in vec(unit(), 2..20),
    ) {
        prop_assume!(is_monotone);
        let chain = chain(&text);
        values.sort_by(f64::total_cmp);
        let results: Vec<f64> = values.iter().map(|value| chain.shape(*value)).collect();
        let rises = results.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12);
        let falls = results.windows(2).all(|pair| pair[0] + 1e-12 >= pair[1]);
        prop_assert!(rises || falls, "{text}: {values:?} {results:?}");
    }

    #[test]
    fn any_text_is_read_or_rejected_inside_it(text in "[a-z(),|:.> 0-9/\"-]{0,60}") {
        match parse(&text) {
            Ok(parsed) => {
                for placed in &parsed.stages {
                    prop_assert!(text.get(placed.range.clone()).is_some());
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.get(error.range.clone()).is_some(), "{text:?}: {error:?}");
                }
            }
        }
    }
}

#[test]
fn the_ends_of_shapes_are_exact() {
    for (text, at_0, at_1) in [
        ("invert", 1.0, 0.0),
        ("range(0.1, 0.3)", 0.1, 0.3),
        ("range(0.9, 0.7)", 0.9, 0.7),
        ("from(0.1, 0.7)", 0.0, 1.0),
        ("curve(0.3)", 0.0, 1.0),
        ("ease(3.3)", 0.0, 1.0),
        ("steps(7)", 0.0, 1.0),
        ("deadzone(0.2, 0.3)", 0.0, 1.0),
        ("points(0:0.2, 0.3:0.9, 1:0.1)", 0.2, 0.1),
    ] {
        let chain = chain(text);
        assert_eq!((chain.shape(0.0), chain.shape(1.0)), (at_0, at_1), "{text}");
    }
}

#[test]
fn every_example_of_the_table_is_valid_and_has_its_own_row() {
    for spec in consort_router::stage::STAGES {
        let parsed = parse(spec.example).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(parsed.stages[0].stage.spec().name, spec.name);
        let is_timed = parsed.stages.iter().any(|placed| placed.stage.needs_time());
        assert_eq!(is_timed, spec.has_time, "{}", spec.name);
        if spec.kind == StageKind::Shape {
            assert!(!spec.has_state, "{}", spec.name);
        }
    }
    assert!(Stage::Toggle.starts_from_target() && !Stage::Servo.starts_from_target());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The last value of a time stage does not depend on when the router looks at the clock.
    #[test]
    fn time_stages_end_at_the_last_input_on_any_clock(
        stage in prop_oneof![
            Just("smooth(80)"), Just("slew(120)"), Just("delay(70)"), Just("limit(20)"),
        ],
        inputs in vec((0_u64..60, 0_u32..=20), 1..12),
    ) {
        let mut show = Played::new(&format!("[map]\nd.a > l.x | {stage}\n"));
        let mut last = 0.0;
        for (pause, value) in inputs {
            last = f64::from(value) / 20.0;
            show.wait(pause).send("d.a", last);
        }
        show.wait(400);
        let values = show.take();
        prop_assert_eq!(values.last().expect("a value").1, last);
        prop_assert!(values.iter().all(|(_, value)| (0.0..=1.0).contains(value)));
        show.wait(1_000);
        prop_assert_eq!(show.take(), vec![], "nothing follows");
    }
}

/// What a person does at a controller with two pages.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Presses and releases the button of a page.
    Page(usize),
    /// A key goes to this velocity; 0 is its release.
    Key(u8),
    /// A finger moves the motor fader.
    Finger(u8),
    /// The motor fader returns what it got last.
    Echo,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0_usize..2).prop_map(Act::Page),
        (0_u8..4).prop_map(|step| Act::Key(step * 40)),
        (0_u8..=127).prop_map(Act::Finger),
        Just(Act::Echo),
        prop_oneof![Just(5_u64), Just(120), Just(600)].prop_map(Act::Wait),
    ]
}

/// The rules in plain words: which page is active, where the held key belongs, what the lights are,
/// and what was sent to the fader when.
#[derive(Default)]
struct Model {
    page: usize,
    key: u8,
    holder: Option<usize>,
    lights: [Option<f64>; 2],
    fader: Option<u8>,
    sent: Vec<(u64, u8)>,
    now: u64,
}

fn byte(value: f64) -> u8 {
    (value * 127.0).round() as u8
}

impl Model {
    /// What leaves the show: at the fader, at the lights, at the notes.
    fn act(&mut self, act: Act) -> Vec<(String, u8)> {
        match act {
            Act::Wait(milliseconds) => self.now += milliseconds,
            Act::Page(page) if page != self.page => {
                self.page = page;
                let shown = self.lights[page].map(byte);
                if let Some(shown) = shown.filter(|shown| Some(*shown) != self.fader) {
                    self.fader = Some(shown);
                    self.sent.push((self.now, shown));
                    return vec![("d.f".into(), shown)];
                }
            }
            Act::Page(_) => {}
            Act::Key(velocity) => {
                if self.key == 0 && velocity > 0 {
                    self.holder = Some(self.page);
                }
                let was_down = self.key > 0;
                self.key = velocity;
                // A release that nothing began goes to the active page.
                let to = if was_down || velocity > 0 { self.holder } else { Some(self.page) };
                if velocity == 0 {
                    self.holder = None;
                }
                return to.map(|page| (format!("l.note{page}"), velocity)).into_iter().collect();
            }
            Act::Finger(value) => return self.fader_sends(value),
            Act::Echo => {
                if let Some(&(_, value)) = self.sent.last() {
                    return self.fader_sends(value);
                }
            }
        }
        Vec::new()
    }

    fn fader_sends(&mut self, value: u8) -> Vec<(String, u8)> {
        self.fader = Some(value);
        let is_current = self.lights[self.page].map(byte) == Some(value);
        let is_echo = self.sent.iter().any(|(time, sent)| *sent == value && self.now - time <= 500);
        if is_current || is_echo {
            return Vec::new();
        }
        self.lights[self.page] = Some(f64::from(value) / 127.0);
        vec![(format!("l.l16{}", self.page), value)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn layers_do_what_the_model_says(
        acts in vec(act(), 1..40),
        start in proptest::option::of(0.0..=1.0_f64),
    ) {
        let mut show = Played::new(
            "[map one]\ngroup = g\nselect = d.padA\nd.f <> l.l160\nd.padk > l.note0\n\
             [map two]\ngroup = g\nselect = d.padB\nd.f <> l.l161\nd.padk > l.note1\n",
        );
        let mut model = Model::default();
        if let Some(light) = start {
            show.set("l.l161", light);
            model.lights[1] = Some(light);
        }
        show.take();
        for act in acts {
            match act {
                Act::Page(page) => {
                    let pad = ["d.padA", "d.padB"][page];
                    show.byte(pad, 127).byte(pad, 0);
                }
                Act::Key(velocity) => drop(show.byte("d.padk", velocity)),
                Act::Finger(value) => drop(show.byte("d.f", value)),
                Act::Echo => {
                    if let Some(&(_, value)) = model.sent.last() {
                        show.byte("d.f", value);
                    }
                }
                Act::Wait(milliseconds) => drop(show.wait(milliseconds)),
            }
            let expected = model.act(act);
            let received: Vec<(String, u8)> = show
                .take()
                .into_iter()
                .filter(|(name, _)| !name.starts_with("d.pad"))
                .map(|(name, value)| (name, byte(value)))
                .collect();
            prop_assert_eq!(received, expected, "{:?}", act);
        }
    }
}
