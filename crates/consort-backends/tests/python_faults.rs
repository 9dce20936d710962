//! Scripts and interpreters that are broken: the show goes on, and one message says what is
//! the matter.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::os::unix::fs::PermissionsExt;

use consort_router::State;
use python_support::{Rig, Running, interpreter};

const FINE: &str = "
import midimonster
def go(value):
    midimonster.output('out', value)
";

/// A show with a broken script `bad` (channels `bad.script.go`, `bad.script.again`,
/// `bad.out`) and a good one beside it.
fn beside(source: &str) -> Rig {
    Rig::new()
        .file("script.py", source)
        .file("fine.py", FINE)
        .python("bad", &[("module", "script")])
        .python("good", &[("module", "fine")])
        .map(
            "probe.go > bad.script.go
             probe.again > bad.script.again
             bad.out > probe.bad
             probe.good > good.fine.go
             good.out > probe.good_out",
        )
}

/// The good script still answers.
#[track_caller]
fn goes_on(running: &Running) {
    let before = running.witness.look(|seen| seen.of("good_out").len());
    running.send("good", 0.5);
    running.values("good_out", before + 1);
}

#[test]
fn a_handler_that_raises_is_reported_once_and_called_again() {
    let source = "
import midimonster
def go(value):
    inner(value)
def inner(value):
    raise ValueError('number %f' % value)
def again(value):
    midimonster.output('out', midimonster.inputvalue('script.go'))
";
    let running = beside(source).start();
    for step in 0..120 {
        running.send("go", f64::from(step) / 128.0);
    }
    running.send("again", 1.0);
    assert_eq!(running.values("bad", 1), [119.0 / 128.0]);
    goes_on(&running);
    let live = running.handle.live();
    assert_eq!(live.counters(live.find_instance("bad").unwrap()).errors, 120);
    running.stop().look(|seen| {
        let parts = ["ERROR", "bad", "the handler of `script.go` failed", "in inner", "number 0.0"];
        assert_eq!(seen.logged(&parts), 1, "{:?}", seen.log);
        for count in ["10 times so far", "100 times so far", "120 times so far"] {
            assert_eq!(seen.logged(&["ERROR", "bad", count, "ValueError"]), 1, "{:?}", seen.log);
        }
        assert_eq!(seen.logged(&["ERROR"]), 4, "{:?}", seen.log);
    });
}

#[test]
fn different_errors_are_told_apart() {
    let source = "
def go(value):
    if value < 0.5:
        raise ValueError
    raise KeyError('other')
def again(value): 1 / 0
";
    let running = beside(source).start();
    for value in [0.1, 0.6, 0.1, 0.6] {
        running.send("go", value);
        running.send("again", value);
    }
    running.logged(&["ZeroDivisionError"]);
    goes_on(&running);
    running.stop().look(|seen| {
        for (error, count) in [("ValueError", 2), ("KeyError", 2), ("ZeroDivisionError", 4)] {
            assert_eq!(seen.logged(&["Traceback", error]), 1, "{:?}", seen.log);
            let count = format!("{count} times so far");
            assert_eq!(seen.logged(&[&count, error]), 1, "{:?}", seen.log);
        }
    });
}

#[test]
fn a_handler_with_two_parameters() {
    let running = beside("def go(one, two): pass\ndef again(value): pass\n").start();
    running.send("go", 0.5);
    running.logged(&[
        "ERROR",
        "bad",
        "`script.go`",
        "missing 1 required positional argument: 'two'",
    ]);
    goes_on(&running);
}

#[test]
fn errors_of_intervals_sockets_and_cleanup_handlers() {
    let source = "
import midimonster
import socket
left, right = socket.socketpair()
def tick(): raise ValueError('in tick')
def read(sock):
    sock.recv(1)
    raise ValueError('in read')
def clean(): raise ValueError('in clean')
midimonster.interval(tick, 10)
midimonster.manage(read, left)
midimonster.cleanup_handler(clean)
right.send(b'x')
def go(value): midimonster.output('out', value)
def again(value): pass
";
    let running = beside(source).start();
    running.logged(&["interval's function `tick`", "in tick"]);
    running.logged(&["socket handler `read`", "in read"]);
    running.send("go", 0.5);
    running.values("bad", 1);
    goes_on(&running);
    running.stop().look(|seen| {
        assert_eq!(seen.logged(&["clean-up handler `clean`", "in clean"]), 1);
        assert_eq!(seen.logged(&["Traceback", "in tick"]), 1);
    });
}

#[test]
fn sys_exit_in_a_handler_is_a_traceback() {
    let source = "
import midimonster, sys
def go(value): sys.exit('enough')
def again(value): midimonster.output('out', value)
";
    let running = beside(source).start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "bad", "Traceback", "SystemExit: enough"]);
    running.send("again", 0.25);
    assert_eq!(running.values("bad", 1), [0.25]);
    goes_on(&running);
}

#[test]
fn sys_exit_while_importing_ends_the_instance() {
    let running = beside("import sys\nprint('here')\nsys.exit('not today')\n").launch();
    running.wait_state("bad", |state| matches!(state, State::Failed(_)));
    running.wait_up("good");
    goes_on(&running);
    running.logged(&["ERROR", "bad", "`script` ended it with sys.exit (not today)"]);
    running.printed("here");
    running.send("go", 0.5);
    goes_on(&running);
    running.stop().look(|seen| {
        assert_eq!(seen.lines(), ["here"], "no second start");
        assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn os_exit_in_a_handler_is_followed_by_another_start() {
    let source = "
import midimonster, os
midimonster.output('out', 1)
def go(value): os._exit(7)
def again(value): midimonster.output('out', value)
";
    let running = beside(source).start();
    running.values("bad", 1);
    running.send("go", 0.5);
    running.logged(&["WARN", "bad", "ended with exit status 7", "started again"]);
    running.values("bad", 2);
    running.send("again", 0.25);
    assert_eq!(running.values("bad", 3), [1.0, 1.0, 0.25]);
    goes_on(&running);
}

#[test]
fn os_exit_while_importing_backs_off() {
    let running = beside("import os\nos._exit(3)\n").launch();
    running.wait_up("good");
    let again = |pause| ["bad", "exit status 3", pause];
    for pause in ["again in 100ms", "again in 200ms", "again in 400ms"] {
        running.logged(&again(pause));
    }
    goes_on(&running);
}

#[test]
fn a_handler_that_sleeps_for_ever_holds_nobody_up() {
    let source = "
import midimonster, time
def go(value):
    midimonster.output('out', value)
    while True:
        time.sleep(1000)
def again(value): pass
";
    let running = beside(source).start();
    running.send("go", 0.5);
    // What was put out before the sleep has left.
    assert_eq!(running.values("bad", 1), [0.5]);
    for _ in 0..100 {
        goes_on(&running);
    }
    running.logged(&["WARN", "bad", "has not answered for 5s"]);
    goes_on(&running);
    running.stop().look(|seen| {
        let parts = ["ERROR", "bad", "`script.go` was interrupted", "in go", "the show ends"];
        assert_eq!(seen.logged(&parts), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&["did not clean up"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn an_import_that_sleeps_for_ever_holds_nobody_up() {
    let running = beside("import time\nprint('asleep')\ntime.sleep(1000)\n").launch();
    running.printed("asleep");
    running.wait_up("good");
    goes_on(&running);
    assert_eq!(running.state("bad"), State::Starting);
}

#[test]
fn a_fork_that_comes_back_is_ended() {
    let source = "
import midimonster, os
def go(value):
    child = os.fork()
    if child == 0:
        midimonster.output('out', 0.125)
        return
    os.waitpid(child, 0)
    midimonster.output('out', value)
def again(value):
    if os.fork() == 0:
        raise RuntimeError('in the child')
    os.wait()
    midimonster.output('out', value)
";
    let running = beside(source).start();
    running.send("go", 0.5);
    running.send("again", 0.75);
    assert_eq!(running.values("bad", 2), [0.5, 0.75]);
    running.logged(&["WARN", "bad", "os.fork() came back from its handler and was ended"]);
    goes_on(&running);
}

#[test]
fn an_endless_loop_of_outputs_leaves_the_others_their_turn() {
    let source = "
import midimonster
def go(value):
    while True:
        midimonster.output('out', value)
def again(value): pass
";
    let rig = Rig::new()
        .file("script.py", source)
        .file("fine.py", FINE)
        .python("bad", &[("module", "script")])
        .python("good", &[("module", "fine")])
        .loopback("bay")
        .map(
            "probe.go > bad.script.go
             bad.out > bay.dump
             probe.good > good.fine.go
             good.out > probe.good_out",
        );
    let running = rig.start();
    running.send("go", 0.5);
    let live = running.handle.live().clone();
    let bad = live.find_instance("bad").unwrap();
    let flooded = |count| running.wait_state("bad", |_| live.counters(bad).incoming > count);
    flooded(10_000);
    for _ in 0..20 {
        goes_on(&running);
    }
    flooded(live.counters(bad).incoming + 10_000);
}

#[test]
fn allocating_without_end_is_a_memory_error() {
    let source = "
import midimonster
kept = []
def go(value):
    while True:
        kept.append(bytearray(1 << 24))
def again(value):
    midimonster.output('out', len(kept) / 1000)
";
    let rig = Rig::new()
        .file("script.py", source)
        .file("fine.py", FINE)
        .python("bad", &[("module", "script"), ("memory", "256")])
        .python("good", &[("module", "fine")])
        .map(
            "probe.go > bad.script.go
             probe.again > bad.script.again
             bad.out > probe.bad
             probe.good > good.fine.go
             good.out > probe.good_out",
        );
    let running = rig.start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "bad", "`script.go`", "MemoryError"]);
    running.send("again", 0.5);
    let kept = running.values("bad", 1)[0] * 1000.0;
    assert!((8.0..=16.0).contains(&kept), "{kept} of 16 MiB each");
    goes_on(&running);
}

#[test]
fn a_hundred_megabytes_of_print_stop_nobody() {
    let source = "
import midimonster
def go(value):
    for _ in range(100_000):
        print('x' * 999)
    midimonster.output('out', value)
def again(value): pass
";
    let running = beside(source).start();
    running.send("go", 0.5);
    for _ in 0..50 {
        goes_on(&running);
    }
    running.values("bad", 1);
    running.wait("all that was printed", |seen| seen.printed_bytes == 100_000_000);
}

#[test]
fn what_goes_to_standard_error_is_logged_line_by_line() {
    let source = "
import sys, warnings
print('one', file=sys.stderr)
sys.stderr.write('half ')
sys.stderr.write('and half\\n')
print('printed, with odd characters \\udc80')
def go(value): print('no line break', end='', flush=True)
def again(value): pass
";
    let running = beside(source).start();
    running.logged(&["WARN", "bad", "one"]);
    running.logged(&["WARN", "bad", "half and half"]);
    running.printed("printed, with odd characters \\udc80");
    running.send("go", 1.0);
    goes_on(&running);
    running.stop().look(|seen| assert!(seen.lines().contains(&"no line break")));
}

fn program(rig: &Rig, text: &str) -> String {
    let path = rig.path().join("interpreter");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A show whose first instance has another interpreter.
fn with_interpreter(text: Option<&str>, python: &str) -> Running {
    let rig = Rig::new().file("fine.py", FINE);
    let python = text.map_or_else(|| python.to_owned(), |text| program(&rig, text));
    let rig = rig
        .python("bad", &[("module", "fine"), ("python", &python)])
        .python("good", &[("module", "fine"), ("python", &interpreter())])
        .map("probe.good > good.fine.go\ngood.out > probe.good_out\nprobe.go > bad.fine.go");
    let running = rig.launch();
    running.wait_up("good");
    running
}

#[test]
fn interpreters_that_are_none() {
    for (text, python, message) in [
        (None, "no-such-python-anywhere", "there is no `no-such-python-anywhere` to run"),
        (None, "/etc/passwd", "`/etc/passwd` cannot be run: Permission denied"),
        (None, "/bin/true", "`/bin/true` is no Python that runs here"),
        (None, "/bin/sh", "`/bin/sh` is no Python that runs here"),
        (None, "/bin/cat", "`/bin/cat` is no Python that runs here"),
        (Some("not a program"), "", "is no Python that runs here"),
        (
            Some("#!/bin/sh\necho nonsense nonsense >/proc/self/fd/$3\nsleep 100\n"),
            "",
            "no Python that runs here",
        ),
    ] {
        let running = with_interpreter(text, python);
        running.wait_state("bad", |state| matches!(state, State::Waiting(_)));
        goes_on(&running);
        running.logged(&["bad", message]);
    }
}

#[test]
fn an_interpreter_that_is_too_old() {
    // The greeting of Python 3.7; an old interpreter itself, if there is one.
    let greeting = "#!/bin/sh\nprintf '\\377\\377\\377\\377\\001\\0\\0\\0\\007\\003\\0\\0' \
        >/proc/self/fd/$3\nsleep 100\n";
    let old = std::env::var("CONSORT_TEST_OLD_PYTHON").ok();
    let text = old.is_none().then_some(greeting);
    let running = with_interpreter(text, old.as_deref().unwrap_or(""));
    running.wait_state("bad", |state| matches!(state, State::Failed(_)));
    goes_on(&running);
    running.logged(&["ERROR", "bad", "is Python", "3.8 or newer is needed"]);
}

#[test]
fn an_interpreter_that_comes_later() {
    let rig = Rig::new().file("fine.py", FINE);
    let place = rig.path().join("later");
    let rig = rig
        .python("py", &[("module", "fine"), ("python", place.to_str().unwrap())])
        .map("probe.good > py.fine.go\npy.out > probe.good_out");
    let running = rig.launch();
    running.wait_state("py", |state| matches!(state, State::Waiting(_)));
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", interpreter());
    let next = running.rig.path().join("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(&next, &place).unwrap();
    running.wait_up("py");
    goes_on(&running);
}
