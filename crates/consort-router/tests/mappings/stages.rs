//! Each stage in a running show.

use crate::support::{Played, messages};

/// What leaves a mapping `d.SOURCE > l.x | STAGES` for values.
fn play(source: &str, stages: &str, values: &[f64]) -> Vec<f64> {
    let mut show = Played::new(&format!("[map]\nd.{source} > l.x | {stages}\n"));
    for &value in values {
        show.send(&format!("d.{source}"), value);
    }
    show.take().into_iter().map(|(_, value)| (value * 1e6).round() / 1e6).collect()
}

#[test]
fn shapes_calculate() {
    let shape = |stages: &str| play("a", stages, &[0.0, 0.25, 0.5, 1.0]);
    assert_eq!(shape("invert"), [1.0, 0.75, 0.5, 0.0]);
    assert_eq!(shape("from(0.25, 0.75)"), [0.0, 0.0, 0.5, 1.0]);
    assert_eq!(shape("range(0.2, 0.6)"), [0.2, 0.3, 0.4, 0.6]);
    assert_eq!(shape("range(1, 0)"), [1.0, 0.75, 0.5, 0.0]);
    assert_eq!(shape("curve(2)"), [0.0, 0.0625, 0.25, 1.0]);
    assert_eq!(shape("ease(2)"), [0.0, 0.1, 0.5, 1.0]);
    assert_eq!(shape("points(0:0, 0.5:1, 1:0.5)"), [0.0, 0.5, 1.0, 0.5]);
    assert_eq!(shape("steps(3)"), [0.0, 0.5, 0.5, 1.0]);
    assert_eq!(shape("clip(0.3, 0.6)"), [0.3, 0.3, 0.5, 0.6]);
    assert_eq!(shape("deadzone(0.2, 0.5)"), [0.0, 0.3125, 0.5, 1.0]);
    assert_eq!(shape("scale(2)"), [0.0, 0.5, 1.0, 1.0]);
    assert_eq!(shape("offset(-0.25)"), [0.0, 0.0, 0.25, 0.75]);
    assert_eq!(shape("invert | curve(2) | invert"), [0.0, 0.4375, 0.75, 1.0]);
    assert_eq!(shape("range(33/127, 43/127)")[0], (33.0 / 127.0 * 1e6_f64).round() / 1e6);
}

#[test]
fn a_press_is_a_rise_above_zero_on_buttons_and_above_a_half_elsewhere() {
    assert_eq!(play("pad", "toggle", &[0.2, 0.0, 0.9, 0.0, 0.01]), [1.0, 0.0, 1.0]);
    assert_eq!(play("f", "toggle", &[0.2, 0.6, 0.7, 0.4, 0.6]), [1.0, 0.0]);
}

#[test]
fn switches_work_with_presses() {
    assert_eq!(
        play("a", "threshold(0.5, 0.2)", &[0.4, 0.5, 0.35, 0.29, 0.4]),
        [0.0, 1.0, 1.0, 0.0, 0.0]
    );
    assert_eq!(play("pad", "trigger", &[0.5, 0.5, 0.0, 0.5]), [1.0, 1.0, 1.0]);
    assert_eq!(play("pad", "trigger | toggle", &[1.0, 1.0, 1.0]), [1.0, 0.0, 1.0]);
    let presses = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    assert_eq!(play("pad", "cycle(3)", &presses), [0.5, 1.0, 0.0, 0.5]);
    assert_eq!(play("pad", "set(0.25)", &presses), [0.25; 4]);
    assert_eq!(play("a", "change", &[0.5, 0.5, 0.6, 0.6, 0.5]), [0.5, 0.6, 0.5]);
}

#[test]
fn pulse_hold_and_double_need_time() {
    let mut show = Played::new("[map]\nd.pad > l.x | pulse(100)\n");
    show.send("d.pad", 0.5).wait(50).send("d.pad", 0.0);
    assert_eq!(show.texts(), ["l.x 1"]);
    show.wait(70);
    assert_eq!(show.texts(), ["l.x 0"]);

    let mut show = Played::new("[map]\nd.pad > l.x | hold(500 ms)\n");
    show.send("d.pad", 1.0).wait(400).send("d.pad", 0.0).wait(1_000);
    assert_eq!(show.texts(), [""; 0], "too short");
    show.send("d.pad", 1.0).wait(520);
    assert_eq!(show.texts(), ["l.x 1"]);
    show.send("d.pad", 0.0);
    assert_eq!(show.texts(), ["l.x 0"]);

    let mut show = Played::new("[map]\nd.pad > l.x | double\n");
    show.send("d.pad", 1.0).send("d.pad", 0.0).wait(400).send("d.pad", 1.0);
    assert_eq!(show.texts(), [""; 0], "too slow");
    show.send("d.pad", 0.0).wait(200).send("d.pad", 1.0).send("d.pad", 0.0);
    assert_eq!(show.texts(), ["l.x 1", "l.x 0"]);
}

#[test]
fn smooth_is_exact_after_its_time_on_any_clock() {
    for pause in [1, 7, 10, 25] {
        let mut show = Played::new("[map]\nd.a > l.x | smooth(200)\n");
        show.send("d.a", 0.0).send("d.a", 1.0);
        show.take();
        let mut waited = 0;
        while waited < 100 {
            show.wait(pause);
            waited += pause;
        }
        show.wait(220);
        let values: Vec<f64> = show.take().into_iter().map(|(_, value)| value).collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}");
        assert_eq!(values.last(), Some(&1.0));
        let at_100 = 1.0 - (-2.5_f64).exp();
        assert!(values.iter().any(|value| (value - at_100).abs() < 0.06), "{values:?}");
        show.wait(1_000);
        assert_eq!(show.texts(), [""; 0], "nothing more");
    }
}

#[test]
fn slew_delay_and_limit_arrive_in_time() {
    let mut show = Played::new("[map]\nd.a > l.x | slew(1 s)\n");
    show.send("d.a", 0.0).send("d.a", 0.5);
    show.take();
    show.wait(250);
    let (_, value) = show.take().pop().expect("a value");
    assert!((value - 0.25).abs() < 0.011, "{value}");
    show.wait(300);
    assert_eq!(show.texts().last().unwrap(), "l.x 0.5");

    let mut show = Played::new("[map]\nd.a > l.x | delay(100)\n");
    show.send("d.a", 0.1).wait(50).send("d.a", 0.2).wait(40);
    assert_eq!(show.texts(), [""; 0]);
    show.wait(20);
    assert_eq!(show.texts(), ["l.x 0.1"]);
    show.wait(50);
    assert_eq!(show.texts(), ["l.x 0.2"]);

    let mut show = Played::new("[map]\nd.a > l.x | limit(10 Hz)\n");
    show.send("d.a", 0.1).send("d.a", 0.2).send("d.a", 0.3);
    assert_eq!(show.texts(), ["l.x 0.1"]);
    show.wait(110);
    assert_eq!(show.texts(), ["l.x 0.3"], "the newest arrives");
    show.send("d.a", 0.4).send("d.a", 1.0).send("d.a", 0.0);
    assert_eq!(show.texts(), ["l.x 1", "l.x 0"], "the ends at once");
    show.wait(500);
    assert_eq!(show.texts(), [""; 0], "what was overtaken does not arrive");
}

#[test]
fn more_delayed_values_than_fit_are_dropped_and_counted() {
    let mut show = Played::new("[map]\nd.a > l.x | delay(1 s)\n");
    let handle = show.router.handle();
    let (instance, channel) = show.find("d.a");
    for _ in 0..17 {
        for _ in 0..4_096 {
            assert!(handle.inject(instance, channel, 0.5));
        }
        show.wait(1);
    }
    let dropped = handle.live().counters(instance).dropped;
    assert_eq!(dropped, 17 * 4_096 - 65_536);
    show.wait(1_100);
    assert_eq!(show.take().len(), 65_536);
}

#[test]
fn conditions_open_and_close_a_mapping() {
    let mut show =
        Played::new("[map]\nd.a > l.x | when(d.b > 0.5)\nd.a > l.y | unless(d.b > 0.5)\n");
    show.send("d.a", 0.1).send("d.b", 0.6).send("d.a", 0.2).send("d.b", 0.5).send("d.a", 0.3);
    assert_eq!(show.texts(), ["l.y 0.1", "l.x 0.2", "l.y 0.3"]);
}

#[test]
fn a_touched_fader_gets_nothing_until_it_is_let_go() {
    let mut show = Played::new("[map]\nd.f <> m.x | touch(d.padtouch)\n");
    show.byte("d.f", 10);
    assert_eq!(show.texts(), [""; 0], "not touched");
    show.byte("d.padtouch", 127).byte("d.f", 20);
    assert_eq!(show.bytes("m.x"), [20]);
    show.set("m.x", 0.8);
    assert_eq!(show.bytes("d.f"), [], "touched");
    show.byte("d.padtouch", 0);
    assert_eq!(show.bytes("d.f"), [102], "the current value, once");
}

#[test]
fn values_come_back_through_the_inverses() {
    let mut show = Played::new("[map]\nd.f <> m.x | invert | range(0, 0.5)\n");
    show.byte("d.f", 0);
    assert_eq!(show.texts(), ["m.x 0.5"]);
    show.set("m.x", 0.25);
    assert_eq!(show.texts(), ["m.x 0.25", "d.f 0.5"]);
}

#[test]
fn toggles_answer_their_source_also_at_the_release() {
    let mut show = Played::new("[map]\nd.pad <> l.x | toggle\n");
    show.send("d.pad", 0.3);
    assert_eq!(show.texts(), ["l.x 1", "d.pad 1"]);
    show.send("d.pad", 0.0);
    assert_eq!(show.texts(), ["d.pad 1"]);
    show.send("d.pad", 0.3).send("d.pad", 0.0);
    assert_eq!(show.texts(), ["l.x 0", "d.pad 0", "d.pad 0"]);
}

#[test]
fn buttons_that_set_one_target_are_radio_buttons() {
    let mut show = Played::new("[map]\nd.pad1 <> l.x | set(0)\nd.pad2 <> l.x | set(0.5)\n");
    show.send("d.pad2", 1.0);
    assert_eq!(show.texts(), ["l.x 0.5", "d.pad2 1", "d.pad1 0"]);
    show.send("d.pad2", 0.0).send("d.pad1", 1.0);
    assert_eq!(show.texts(), ["d.pad2 1", "l.x 0", "d.pad1 1", "d.pad2 0"]);
}

#[test]
fn servo_returns_what_it_accepts() {
    let mut show = Played::new("[map]\nd.f <> l.x | servo\n");
    show.byte("d.f", 30).byte("d.f", 31);
    assert_eq!(show.bytes("d.f"), [30, 31]);
}

#[test]
fn a_chain_starts_from_the_target_through_the_stages_behind_it() {
    let mut show = Played::new("[map]\nd.pad > l.x | toggle | range(0.2, 0.8)\n");
    show.send("d.pad", 1.0).send("d.pad", 0.0).set("l.x", 0.8);
    show.take();
    show.send("d.pad", 1.0);
    assert_eq!(show.texts(), ["l.x 0.2"]);
}

#[test]
fn mistakes_are_reported_where_they_are() {
    let one = |line: &str| {
        let messages = messages(&format!("[map]\n{line}\n"));
        assert_eq!(messages.len(), 1, "{line}: {messages:?}");
        messages.into_iter().next().unwrap()
    };
    assert_eq!(one("d.a > l.x | invret"), "unknown-stage: unknown stage `invret` [invret]");
    assert_eq!(
        one("d.a > l.x | curve(0)"),
        "stage-argument: invalid value `0` for `g` of the stage `curve` [0]"
    );
    assert_eq!(
        one("d.a > l.x | range(0)"),
        "stage-argument: `range` needs the argument `b` [range(0)]"
    );
    assert_eq!(
        one("d.a > l.x | invert(1)"),
        "stage-argument: `invert` takes at most 0 arguments [1]"
    );
    assert_eq!(
        one("d.a <> l.x | threshold(0.5)"),
        "no-inverse: values cannot come back through `threshold` [threshold(0.5)]"
    );
    assert_eq!(
        one("d.a > l.x | toggle | threshold(0.5)"),
        "no-inverse: `toggle` cannot read the target's value back through `threshold` \
         [threshold(0.5)]"
    );
    assert_eq!(
        one("d.enc > l.x | smooth(100) | relative(0.01, twos)"),
        "stage-order: `relative` loses steps behind `smooth` [relative(0.01, twos)]"
    );
    assert_eq!(one("d.a > l.x | when(no.b > 0.5)"), "unknown-instance: unknown instance `no` [no]");
    assert_eq!(
        one("d.a > l.x | when(m.nothing > 0.5)"),
        "unfed-condition: nothing feeds `m.nothing` [m.nothing]"
    );
    assert_eq!(
        one("m.a > m.b | delay(10)\nm.b > m.a"),
        "slow-loop: values would go round in a loop through `delay` [delay(10)]"
    );
}

#[test]
fn a_value_that_comes_back_through_a_time_stage_is_dropped_and_counted() {
    for stages in ["delay(50)", "smooth(50)", "slew(50)", "limit(100)"] {
        let mut show = Played::new(&format!(
            "[map]\nd.a > l.answer\nl.answer > m.x\nm.x > l.answer | {stages}\n"
        ));
        show.send("d.a", 0.5).wait(2_000);
        let count = show.take().iter().filter(|(channel, _)| channel == "l.answer").count();
        assert!((1..=30).contains(&count), "{stages}: {count}");
        show.wait(2_000);
        assert_eq!(show.texts(), [""; 0], "{stages}: the loop has ended");
        let handle = show.router.handle();
        let dropped = handle.live().counters(show.find("m.x").0).dropped;
        assert!(dropped > 0, "{stages}");
        // Another input goes the same way again.
        show.send("d.a", 1.0).wait(1_000);
        assert!(show.take().contains(&("l.answer".into(), 1.0)), "{stages}");
    }
}

#[test]
fn a_loop_through_two_time_stages_is_cut() {
    let mut show = Played::new(
        "[map]\nd.a > l.answer1\nl.answer1 > l.answer2 | delay(20)\n\
         l.answer2 > l.answer1 | delay(20)\n",
    );
    show.send("d.a", 0.5).wait(2_000);
    let log = show.texts();
    assert_eq!(log, ["l.answer1 0.5", "l.answer2 0.5", "l.answer1 0.5"]);
}

#[test]
fn several_values_of_one_cause_are_no_loop() {
    // An answer on two ways, of which one is slow, and a way back without a time stage.
    let mut show = Played::new(
        "[map]\nd.a > l.answer1\nl.answer1 > l.answer2 | delay(20)\nl.answer1 > d.b\n\
         l.answer1 > l.x | delay(50)\nl.answer2 > l.x | delay(50)\n",
    );
    for round in 0..3 {
        let value = 0.25 * f64::from(round + 1);
        show.send("d.a", value).wait(500);
        let at_x = show.take().into_iter().filter(|(channel, _)| channel == "l.x").count();
        assert_eq!(at_x, 2, "{round}");
    }
}
