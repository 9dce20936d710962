//! `maweb` with a console that is written from the messages of public clients. A foreign client
//! checks it first.

#![cfg(feature = "maweb")]
#![allow(clippy::print_stdout)]

mod maweb_support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use consort_backends::maweb::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow};
use maweb_support::{Console, Model};
use parking_lot::Mutex;

/// Prints why a test is skipped, or panics in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
}

fn grandma2() -> Console {
    let model = Model::new("gma2", "midimonster", "midimonster");
    Console::start(Arc::new(Mutex::new(model)), 0)
}

fn show_of(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "ma", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

/// A show that is logged in, with the user of MIDIMonster's example.
fn logged_in(
    console: &Console,
    options: &[(&str, &str)],
    mappings: &[(&str, &str)],
) -> Performance {
    let host = console.host();
    let mut all = vec![("host", host.as_str()), ("user", "midimonster")];
    all.extend(options);
    let mut show = show_of(&all, mappings).start();
    show.until_state("ma", "up");
    show
}

#[test]
fn a_foreign_client_uses_the_console_of_these_tests() {
    let Some(venv) = std::env::var_os("CONSORT_VENV").map(PathBuf::from) else {
        return skip("CONSORT_VENV is not set (PyPI: pymadot2)");
    };
    let python = venv.join("bin/python");
    let has_client = Command::new(&python).args(["-c", "import pyMAdot2"]).output();
    if !has_client.is_ok_and(|output| output.status.success()) {
        return skip("no pymadot2 (PyPI)");
    }
    let model = Arc::new(Mutex::new(Model::new("dot2", "remote", "secret")));
    let console = Console::start(Arc::clone(&model), 0);
    let script = "\
import asyncio, sys
import aiohttp
import pyMAdot2
async def main():
    async with aiohttp.ClientSession() as session:
        dot2 = await pyMAdot2.Dot2.create(session, sys.argv[1], 'secret')
        await dot2.command('Executor 1 At 50')
        print('session', dot2.session_id)
        await dot2.disconnect()
asyncio.run(main())
";
    let address = format!("127.0.0.1:{}", console.port);
    let output =
        Command::new(&python).args(["-c", script, &address]).output().expect("python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "session 7\n");
    // What was sent is read before the end of the connection.
    drop(console);
    let model = model.lock();
    assert_eq!(
        (model.logins, model.closes, &model.commands[..]),
        (1, 1, &["Executor 1 At 50".to_owned()][..])
    );
}

#[test]
fn the_example_of_midimonster_moves_the_faders_of_a_grandma2() {
    let console = grandma2();
    // wave1 to wave6 are those of its script, here channels of the probe.
    let names: Vec<(String, String)> = (1..=6)
        .map(|number| (format!("probe.wave{number}"), format!("ma.page1.fader{number}")))
        .collect();
    let mappings: Vec<(&str, &str)> =
        names.iter().map(|(source, target)| (source.as_str(), target.as_str())).collect();
    let mut show = logged_in(&console, &[("password", "midimonster")], &mappings);
    for step in 0..50 {
        let value = |number: i32| f64::from((step + number * 3) % 50) / 49.0;
        let waves: Vec<(String, f64)> =
            (1..=6).map(|number| (format!("wave{number}"), value(number))).collect();
        let values: Vec<(&str, f64)> =
            waves.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        show.send_all(&values);
        let expected = (value(6) * 1e6).round() / 1e6;
        show.until("the last fader", |_| {
            console.model.lock().executors.get(&(1, 6)).is_some_and(|state| state.0 == expected)
        });
    }
    let model = console.model.lock();
    let faders: Vec<f64> = model.executors.values().map(|state| state.0).collect();
    let expected: Vec<f64> = (1..=6)
        .map(|number| (f64::from((49 + number * 3) % 50) / 49.0 * 1e6).round() / 1e6)
        .collect();
    assert_eq!(faders, expected);
    drop(model);
    show.finish();
    let model = Arc::clone(&console.model);
    drop(console);
    assert_eq!(model.lock().closes, 1);
}

#[test]
fn executors_are_reported_and_do_not_echo() {
    let console = grandma2();
    {
        let mut model = console.model.lock();
        model.executors.insert((1, 3), (0.25, false));
        model.executors.insert((2, 101), (0.75, true));
        // Executors 7 and 8 are one wide executor.
        model.wide.insert((1, 7), 2);
        model.executors.insert((1, 8), (0.5, false));
    }
    let mappings = [
        ("ma.page1.fader3", "probe.fader"),
        ("ma.page1.fader8", "probe.wide"),
        ("ma.page2.button101", "probe.button"),
        ("ma.page2.fader101", "probe.virtual"),
        ("probe.move", "ma.page1.fader3"),
    ];
    let mut show = logged_in(&console, &[], &mappings);
    let mut first = show.receive(4);
    first.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("button", 1.0), ("fader", 0.25), ("virtual", 0.75), ("wide", 0.5)];
    assert_eq!(first, expected.map(|(name, value)| (name.to_owned(), value)));
    // What the show sets does not come back.
    show.send("move", 0.6);
    show.until("the fader", |_| console.model.lock().executors[&(1, 3)].0 == 0.6);
    let count = console.model.lock().inquiries.len();
    show.until("further inquiries", |_| console.model.lock().inquiries.len() > count + 6);
    assert_eq!(show.received(), []);
    // What the console moves does, also back to the value that was set.
    for value in [0.1, 0.6] {
        console.model.lock().executors.insert((1, 3), (value, false));
        assert_eq!(show.receive(1), [("fader".into(), value)]);
    }
    // The show may now set the same value again.
    console.model.lock().executors.insert((1, 3), (0.9, false));
    assert_eq!(show.receive(1), [("fader".into(), 0.9)]);
    show.send("move", 0.6);
    show.until("the fader again", |_| console.model.lock().executors[&(1, 3)].0 == 0.6);
    let model = console.model.lock();
    let last = model.inquiries.iter().rev().find(|inquiry| inquiry["pageIndex"] == 0);
    let last = last.expect("an inquiry");
    assert_eq!(
        (last["startIndex"][0].as_u64(), last["itemsCount"][0].as_u64()),
        (Some(0), Some(10))
    );
    drop(model);
    show.finish();
}

#[test]
fn lost_answers_do_not_stop_the_inquiries() {
    let console = grandma2();
    let mut show = logged_in(&console, &[], &[("ma.page1.fader1", "probe.fader")]);
    assert_eq!(show.receive(1), [("fader".into(), 0.0)]);
    for round in 1..=2 {
        console.model.lock().ignored = 1;
        let value = f64::from(round) / 10.0;
        console.model.lock().executors.insert((1, 1), (value, false));
        assert_eq!(show.receive(1), [("fader".into(), value)]);
    }
    assert!(show.counters("ma").errors > 0);
    show.finish();
}

#[test]
fn keys_are_used_in_all_command_lines() {
    for (command_line, channel, expected) in [
        ("remote", "CLEAR", &["CLEAR 1 null", "CLEAR 0 null"][..]),
        ("remote", "SET", &["SET 1 true"]),
        ("remote", "PREV", &["PREV 0 null"]),
        ("remote", "LABEL", &["LABEL 1 null", "LABEL 0 null"]),
        (
            "console",
            "X20",
            &[
                "LUA 'gma.canbus.hardkey(31, true, false)'",
                "LUA 'gma.canbus.hardkey(31, false, false)'",
            ],
        ),
        (
            "console",
            "PREV",
            &[
                "LUA 'gma.canbus.hardkey(109, true, false)'",
                "LUA 'gma.canbus.hardkey(109, false, false)'",
            ],
        ),
        (
            "downgrade",
            "GO_PLUS",
            &[
                "LUA 'gma.canbus.hardkey(11, true, false)'",
                "LUA 'gma.canbus.hardkey(11, false, false)'",
            ],
        ),
        ("downgrade", "LABEL", &["LABEL 1 null", "LABEL 0 null"]),
    ] {
        let console = grandma2();
        let target = format!("ma.{channel}");
        let mappings = [("probe.key", target.as_str()), ("probe.last", "ma.page9.button101")];
        let mut show = logged_in(&console, &[("cmdline", command_line)], &mappings);
        show.send_all(&[("key", 1.0), ("key", 0.0), ("last", 1.0)]);
        show.until("the last button", |_| !console.model.lock().buttons.is_empty());
        assert_eq!(console.model.lock().commands, expected, "{command_line} {channel}");
        show.finish();
        // What is pressed is released at the end.
        let model = Arc::clone(&console.model);
        drop(console);
        assert_eq!(model.lock().buttons, [(9, 101, 0, true), (9, 101, 0, false)]);
    }
}

#[test]
fn a_dot2_has_other_executors_and_its_own_user() {
    let model = Arc::new(Mutex::new(Model::new("dot2", "remote", "midimonster")));
    model.lock().executors.insert((1, 103), (0.0, true));
    model.lock().executors.insert((1, 302), (0.0, true));
    let console = Console::start(Arc::clone(&model), 0);
    let mappings = [
        ("ma.page1.button103", "probe.above"),
        ("ma.page1.button302", "probe.wing"),
        ("probe.upper", "ma.page1.upper2"),
        ("probe.lower", "ma.page1.lower2"),
        ("probe.key", "ma.CLEAR"),
    ];
    let mut show = logged_in(&console, &[("cmdline", "downgrade")], &mappings);
    let mut received = show.receive(2);
    received.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(received, [("above".into(), 1.0), ("wing".into(), 1.0)]);
    show.send_all(&[("upper", 1.0), ("lower", 1.0), ("key", 1.0)]);
    show.until("the key", |_| model.lock().commands == ["CLEAR 1 null"]);
    assert_eq!(model.lock().buttons, [(1, 2, 0, true), (1, 2, 1, true)]);
    show.finish();
}

#[test]
fn the_next_host_is_tried_and_a_refused_login_is_a_reason_to_wait() {
    let (first, second) = (grandma2(), grandma2());
    first.model.lock().is_closed = true;
    let options = [("host", first.host()), ("host", second.host())];
    let mut options: Vec<(&str, &str)> =
        options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    options.push(("user", "midimonster"));
    let mut show = show_of(&options, &[("probe.a", "ma.page1.fader1")]).start();
    show.until_state("ma", "up");
    assert_eq!(first.model.lock().logins, 0);
    assert!(second.model.lock().logins > 0);
    show.finish();
    let refused = first.host();
    let mut show =
        show_of(&[("host", &refused), ("user", "midimonster")], &[("probe.a", "ma.page1.fader1")])
            .start();
    show.until_state("ma", "waiting");
    let reason = show.state("ma").reason().unwrap_or_default().to_owned();
    assert!(reason.contains("refuses the login of `midimonster`"), "{reason}");
    show.send("a", 0.5);
    // It logs in when the console lets it, and sends the fader.
    first.model.lock().is_closed = false;
    show.until("the fader", |_| {
        first.model.lock().executors.get(&(1, 1)).is_some_and(|state| state.0 == 0.5)
    });
    show.finish();
}

/// How often a console is killed and started again; the suite does it more often.
fn restarts() -> u32 {
    std::env::var("CONSORT_REPLUGS").ok().and_then(|count| count.parse().ok()).unwrap_or(5)
}

#[test]
fn a_console_that_is_killed_and_started_again_gets_the_newest_levels() {
    let model = Arc::new(Mutex::new(Model::new("gma2", "midimonster", "midimonster")));
    let mut console = Some(Console::start(Arc::clone(&model), 0));
    let port = console.as_ref().expect("a console").port;
    let mappings = [("probe.a", "ma.page1.fader1"), ("ma.page1.fader2", "probe.b")];
    let mut show = logged_in(console.as_ref().expect("a console"), &[], &mappings);
    show.receive(1);
    let count = restarts();
    for round in 1..=count {
        let value = f64::from(round) / f64::from(count);
        drop(console.take());
        show.send_all(&[("a", 0.0), ("a", value)]);
        model.lock().executors.insert((1, 2), (value, false));
        model.lock().session = i64::from(round) + 7;
        console = Some(Console::start(Arc::clone(&model), port));
        let expected = (value * 1e6).round() / 1e6;
        show.until("the newest level", |_| {
            model.lock().executors.get(&(1, 1)).is_some_and(|state| state.0 == expected)
        });
        show.until("the console's fader", |show| {
            show.received().last() == Some(&("b".into(), value))
        });
    }
    println!("{count} times, {:?}", show.counters("ma"));
    show.finish();
}
