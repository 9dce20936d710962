//! Tests of whole instances without a server. Those with servers and programs of others are in
//! `tests/jack`.

use consort_router::testing::TestShow;
use consort_router::{State, Usage};

use super::DESCRIPTOR;

/// A show with an instance that finds no library.
fn show(options: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    show.backend(&DESCRIPTOR, &[("library", "/nonexistent/libjack.so.0")]);
    show.instance(&DESCRIPTOR, "j", options);
    show
}

/// What is wrong with the options of an instance.
fn problems(options: &[(&str, &str)]) -> Vec<String> {
    let mut show = TestShow::new();
    let result = show.try_instance(&DESCRIPTOR, "j", options);
    result.err().into_iter().flatten().map(|problem| problem.message).collect()
}

#[test]
fn configurations_of_midimonster_are_accepted() {
    let options = [
        ("server", "default"),
        ("name", "MIDIMonster"),
        ("epn-tx", "short"),
        ("mo", "midi out"),
        ("mi", "in midi"),
        ("cv.one", "cv min 0 max 5.5 out"),
        ("control", "max -1 in min 1 cv"),
        ("plain", "midi"),
    ];
    let mut show = show(&options);
    for (channel, usage) in [
        ("j.mo.ch0.note60", Usage::Target),
        ("j.mo.channel15.cc127", Usage::Target),
        ("j.mo.ch1.nrpn900", Usage::Target),
        ("j.mi.ch2.rpn0", Usage::Source),
        ("j.mi.ch2.pitch", Usage::Source),
        ("j.mi.ch2.aftertouch", Usage::Source),
        ("j.mi.ch2.program", Usage::Source),
        ("j.mi.ch2.pressure3", Usage::Source),
        ("j.cv.one", Usage::Target),
        ("j.control", Usage::Source),
        ("j.plain.ch0.cc0", Usage::Target),
    ] {
        show.channel(channel, usage).unwrap_or_else(|error| panic!("{channel}: {error:?}"));
    }
    assert_eq!(show.check("j"), []);
}

#[test]
fn wrong_ports_are_errors_with_their_words() {
    for (value, expected) in [
        ("out", "expected the type of the port `p`"),
        ("midi sideways", "unknown word `sideways` for a port"),
        ("osc out", "ports of the type `osc` do not exist in JACK"),
        ("cv min", "expected a number from -1000000 to 1000000 after `min`"),
        ("cv min x", "expected a number from -1000000 to 1000000 after `min`"),
        ("cv min nan", "expected a number from -1000000 to 1000000 after `min`"),
        ("cv min 1", "`min` and `max` are equal, so that there is no range"),
        ("midi in gate", "`gate` needs a port that is `cv`"),
        ("cv out peak", "`peak` needs a port that is `in`"),
        ("cv in ramp", "`ramp` needs a port that is `out`"),
        ("cv in rate 0", "expected a number from 0.1 to 10000 after `rate`"),
    ] {
        assert_eq!(problems(&[("p", value)]), [expected], "{value}");
    }
    assert_eq!(problems(&[("p", "midi"), ("p", "cv")]), ["the port `p` exists already"]);
    assert_eq!(problems(&[("a:b", "midi")]), ["invalid name `a:b` of a port"]);
    let connect = problems(&[("p", "midi in"), ("connect", "p > x")]);
    assert_eq!(connect, ["the port `p` is used in the wrong direction"]);
}

#[test]
fn wrong_channels_are_errors_and_wrong_directions_warnings() {
    let mut show = show(&[("mo", "midi out"), ("mo.x", "midi out"), ("cv", "cv in")]);
    let mut message = |channel: &str, usage| match show.channel(channel, usage) {
        Ok(_) => String::new(),
        Err(error) => error.message,
    };
    assert_eq!(
        message("j.mo", Usage::Target),
        "expected a channel of the MIDI port, such as `mo.ch0.cc7`"
    );
    assert_eq!(message("j.om.ch0.cc1", Usage::Target), "the instance has no port `om`");
    assert_eq!(
        message("j.cv.ch0.cc1", Usage::Source),
        "the port `cv` is for control voltage and has no channels of its own"
    );
    assert!(message("j.mo.ch16.cc1", Usage::Target).contains("MIDI channel"));
    assert_eq!(message("j.transport.pause", Usage::Target), "unknown channel `transport.pause`");
    assert!(message("j.transport.start", Usage::Source).contains("cannot be a source"));
    assert_eq!(message("j.mo.x.ch0.cc1", Usage::Target), "");
    assert_eq!(message("j.mo.ch0.cc1", Usage::Source), "");
    assert_eq!(message("j.cv", Usage::Target), "");
    let warnings = show.check("j");
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|problem| problem.is_warning));
    assert!(warnings[1].message.contains("`cv`, which is an input"), "{warnings:?}");
}

#[test]
fn different_spellings_are_one_channel_and_ports_have_channels_of_their_own() {
    let mut show = show(&[("a", "midi out"), ("b", "midi out"), ("v", "cv out")]);
    let mut number = |channel: &str| show.channel(channel, Usage::Target).expect(channel).channel;
    assert_eq!(number("j.a.ch0.cc7"), number("j.a.channel0.cc7"));
    assert_ne!(number("j.a.ch0.cc7"), number("j.b.ch0.cc7"));
    assert_eq!(number("j.v"), number("j.v"));
    assert_eq!(number("j.transport.rolling"), 3);
}

#[test]
fn a_missing_library_is_a_state_that_names_what_was_tried() {
    let mut show = show(&[("mo", "midi out"), ("lfo", "cv out")]);
    show.map("probe.a", "j.mo.ch0.note60");
    show.map("probe.b", "j.lfo");
    let mut show = show.start();
    show.until_state("j", "waiting");
    let State::Waiting(reason) = show.state("j") else { panic!("{:?}", show.state("j")) };
    assert!(reason.contains("tried `/nonexistent/libjack.so.0`"), "{reason}");
    show.send_all(&[("a", 1.0), ("b", 1.0)]);
    assert_eq!(show.counters("j").dropped, 1, "the note has no receiver; the level is kept");
    show.finish();
}

#[test]
fn another_library_is_a_failure_that_names_the_missing_function() {
    let mut show = TestShow::new();
    show.backend(&DESCRIPTOR, &[("library", "libc.so.6")]);
    show.instance(&DESCRIPTOR, "j", &[("mo", "midi out")]);
    let mut show = show.start();
    show.until_state("j", "failed");
    let State::Failed(reason) = show.state("j") else { panic!("{:?}", show.state("j")) };
    assert!(reason.contains("does not have the function `jack_client_open`"), "{reason}");
    show.finish();
}

#[test]
fn a_reload_keeps_the_instance_while_only_live_options_change() {
    let options = |connect: &'static str| [("mo", "midi out"), ("connect", connect)];
    let mut before = show(&options("a:*"));
    before.map("probe.a", "j.mo.ch0.note60");
    let mut running = before.start();
    running.until_state("j", "waiting");
    let id = running.id("j");
    let mut after = show(&options("b:*"));
    after.map("probe.a", "j.mo.ch0.note61");
    running.adopt(after);
    assert_eq!(running.id("j"), id);
    running.finish();
}
