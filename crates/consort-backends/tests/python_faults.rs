//! Faulty scripts and interpreters: the show continues, and one message states the cause.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::os::unix::fs::PermissionsExt;

use consort_router::State;
use python_support::{Rig, Running, interpreter};

const GOOD: &str = "
import midimonster
def go(value):
    midimonster.output('out', value)
";

/// A show with a faulty script `bad` (channels `bad.script.go`, `bad.script.again`,
/// `bad.out`) and a working one, `good`.
fn with_good_script(source: &str) -> Rig {
    Rig::new()
        .file("script.py", source)
        .file("good.py", GOOD)
        .python("bad", &[("module", "script")])
        .python("good", &[("module", "good")])
        .map(
            "probe.go > bad.script.go
             probe.again > bad.script.again
             bad.out > probe.bad
             probe.good > good.good.go
             good.out > probe.good_out",
        )
}

/// The good script still answers.
#[track_caller]
fn assert_good_answers(running: &Running) {
    let before = running.monitor.inspect(|seen| seen.values_of("good_out").len());
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
    let running = with_good_script(source).start();
    for step in 0..120 {
        running.send("go", f64::from(step) / 128.0);
    }
    running.send("again", 1.0);
    assert_eq!(running.values("bad", 1), [119.0 / 128.0]);
    assert_good_answers(&running);
    let live = running.handle.live();
    assert_eq!(live.counters(live.find_instance("bad").unwrap()).errors, 120);
    running.stop().inspect(|seen| {
        let parts = ["ERROR", "bad", "the handler of `script.go` failed", "in inner", "number 0.0"];
        assert_eq!(seen.logged(&parts), 1, "{:?}", seen.log);
        for count in
            ["occurred 10 times so far", "occurred 100 times so far", "occurred 120 times so far"]
        {
            assert_eq!(seen.logged(&["ERROR", "bad", count, "ValueError"]), 1, "{:?}", seen.log);
        }
        assert_eq!(seen.logged(&["ERROR"]), 4, "{:?}", seen.log);
    });
}

#[test]
fn different_errors_are_distinguished() {
    let source = "
def go(value):
    if value < 0.5:
        raise ValueError
    raise KeyError('other')
def again(value): 1 / 0
";
    let running = with_good_script(source).start();
    for value in [0.1, 0.6, 0.1, 0.6] {
        running.send("go", value);
        running.send("again", value);
    }
    running.logged(&["ZeroDivisionError"]);
    assert_good_answers(&running);
    running.stop().inspect(|seen| {
        for (error, count) in [("ValueError", 2), ("KeyError", 2), ("ZeroDivisionError", 4)] {
            assert_eq!(seen.logged(&["Traceback", error]), 1, "{:?}", seen.log);
            let count = format!("occurred {count} times so far");
            assert_eq!(seen.logged(&[&count, error]), 1, "{:?}", seen.log);
        }
    });
}

#[test]
fn a_handler_with_two_parameters_is_reported() {
    let running = with_good_script("def go(one, two): pass\ndef again(value): pass\n").start();
    running.send("go", 0.5);
    running.logged(&[
        "ERROR",
        "bad",
        "`script.go`",
        "missing 1 required positional argument: 'two'",
    ]);
    assert_good_answers(&running);
}

#[test]
fn errors_in_intervals_sockets_and_cleanup_handlers_are_reported() {
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
    let running = with_good_script(source).start();
    running.logged(&["the interval function `tick` failed", "in tick"]);
    running.logged(&["the socket handler `read` failed", "in read"]);
    running.send("go", 0.5);
    running.values("bad", 1);
    assert_good_answers(&running);
    running.stop().inspect(|seen| {
        assert_eq!(seen.logged(&["the cleanup handler `clean` failed", "in clean"]), 1);
        assert_eq!(seen.logged(&["Traceback", "in tick"]), 1);
    });
}

#[test]
fn sys_exit_in_a_handler_is_reported_with_its_traceback() {
    let source = "
import midimonster, sys
def go(value): sys.exit('enough')
def again(value): midimonster.output('out', value)
";
    let running = with_good_script(source).start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "bad", "Traceback", "SystemExit: enough"]);
    running.send("again", 0.25);
    assert_eq!(running.values("bad", 1), [0.25]);
    assert_good_answers(&running);
}

#[test]
fn sys_exit_during_an_import_ends_the_instance() {
    let running = with_good_script("import sys\nprint('here')\nsys.exit('not today')\n").launch();
    running.wait_state("bad", |state| matches!(state, State::Failed(_)));
    running.wait_up("good");
    assert_good_answers(&running);
    running.logged(&[
        "ERROR",
        "bad",
        "the module `script` called sys.exit during its import: not today",
    ]);
    running.printed("here");
    running.send("go", 0.5);
    assert_good_answers(&running);
    running.stop().inspect(|seen| {
        assert_eq!(seen.lines(), ["here"], "no second start");
        assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn os_exit_in_a_handler_restarts_the_worker() {
    let source = "
import midimonster, os
midimonster.output('out', 1)
def go(value): os._exit(7)
def again(value): midimonster.output('out', value)
";
    let running = with_good_script(source).start();
    running.values("bad", 1);
    running.send("go", 0.5);
    running.logged(&["WARN", "bad", "exited with status 7", "restarting"]);
    running.values("bad", 2);
    running.send("again", 0.25);
    assert_eq!(running.values("bad", 3), [1.0, 1.0, 0.25]);
    assert_good_answers(&running);
}

#[test]
fn os_exit_during_an_import_backs_off() {
    let running = with_good_script("import os\nos._exit(3)\n").launch();
    running.wait_up("good");
    let restart = |pause| ["bad", "exited with status 3", pause];
    for pause in ["restarting in 100ms", "restarting in 200ms", "restarting in 400ms"] {
        running.logged(&restart(pause));
    }
    assert_good_answers(&running);
}

#[test]
fn a_handler_that_sleeps_forever_blocks_no_other_instance() {
    let source = "
import midimonster, time
def go(value):
    midimonster.output('out', value)
    while True:
        time.sleep(1000)
def again(value): pass
";
    let running = with_good_script(source).start();
    running.send("go", 0.5);
    // The output from before the sleep has been sent.
    assert_eq!(running.values("bad", 1), [0.5]);
    for _ in 0..100 {
        assert_good_answers(&running);
    }
    running.logged(&["WARN", "bad", "has not responded for 5s"]);
    assert_good_answers(&running);
    running.stop().inspect(|seen| {
        let parts =
            ["ERROR", "bad", "`script.go` was interrupted", "in go", "the show is stopping"];
        assert_eq!(seen.logged(&parts), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&["did not clean up"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn an_import_that_sleeps_forever_blocks_no_other_instance() {
    let running = with_good_script("import time\nprint('asleep')\ntime.sleep(1000)\n").launch();
    running.printed("asleep");
    running.wait_up("good");
    assert_good_answers(&running);
    assert_eq!(running.state("bad"), State::Starting);
}

#[test]
fn a_forked_process_that_returns_from_its_handler_is_ended() {
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
    let running = with_good_script(source).start();
    running.send("go", 0.5);
    running.send("again", 0.75);
    assert_eq!(running.values("bad", 2), [0.5, 0.75]);
    running.logged(&["WARN", "bad", "os.fork() returned from its handler and was ended"]);
    assert_good_answers(&running);
}

#[test]
fn an_endless_loop_of_outputs_does_not_starve_other_instances() {
    let source = "
import midimonster
def go(value):
    while True:
        midimonster.output('out', value)
def again(value): pass
";
    let rig = Rig::new()
        .file("script.py", source)
        .file("good.py", GOOD)
        .python("bad", &[("module", "script")])
        .python("good", &[("module", "good")])
        .loopback("sink")
        .map(
            "probe.go > bad.script.go
             bad.out > sink.all
             probe.good > good.good.go
             good.out > probe.good_out",
        );
    let running = rig.start();
    running.send("go", 0.5);
    let live = running.handle.live().clone();
    let bad = live.find_instance("bad").unwrap();
    let flooded = |count| running.wait_state("bad", |_| live.counters(bad).incoming > count);
    flooded(10_000);
    for _ in 0..20 {
        assert_good_answers(&running);
    }
    flooded(live.counters(bad).incoming + 10_000);
}

#[test]
fn unbounded_allocation_is_a_memory_error() {
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
        .file("good.py", GOOD)
        .python("bad", &[("module", "script"), ("memory", "256")])
        .python("good", &[("module", "good")])
        .map(
            "probe.go > bad.script.go
             probe.again > bad.script.again
             bad.out > probe.bad
             probe.good > good.good.go
             good.out > probe.good_out",
        );
    let running = rig.start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "bad", "`script.go`", "MemoryError"]);
    running.send("again", 0.5);
    let kept = running.values("bad", 1)[0] * 1000.0;
    assert!((8.0..=16.0).contains(&kept), "{kept} of 16 MiB each");
    assert_good_answers(&running);
}

#[test]
fn printing_a_hundred_megabytes_blocks_no_other_instance() {
    let source = "
import midimonster
def go(value):
    for _ in range(100_000):
        print('x' * 999)
    midimonster.output('out', value)
def again(value): pass
";
    let running = with_good_script(source).start();
    running.send("go", 0.5);
    for _ in 0..50 {
        assert_good_answers(&running);
    }
    running.values("bad", 1);
    running.wait("all printed output", |seen| seen.printed_bytes == 100_000_000);
}

#[test]
fn standard_error_is_logged_line_by_line() {
    let source = "
import sys, warnings
print('one', file=sys.stderr)
sys.stderr.write('half ')
sys.stderr.write('and half\\n')
print('printed, with unusual characters \\udc80')
def go(value): print('no line break', end='', flush=True)
def again(value): pass
";
    let running = with_good_script(source).start();
    running.logged(&["WARN", "bad", "one"]);
    running.logged(&["WARN", "bad", "half and half"]);
    running.printed("printed, with unusual characters \\udc80");
    running.send("go", 1.0);
    assert_good_answers(&running);
    running.stop().inspect(|seen| assert!(seen.lines().contains(&"no line break")));
}

/// Writes an executable file that replaces the interpreter.
fn program(rig: &Rig, text: &str) -> String {
    let path = rig.path().join("interpreter");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A show whose instance `bad` has another interpreter: the program `text`, else `python`.
fn with_interpreter(text: Option<&str>, python: &str) -> Running {
    let rig = Rig::new().file("good.py", GOOD);
    let python = text.map_or_else(|| python.to_owned(), |text| program(&rig, text));
    let rig = rig
        .python("bad", &[("module", "good"), ("python", &python)])
        .python("good", &[("module", "good"), ("python", &interpreter())])
        .map("probe.good > good.good.go\ngood.out > probe.good_out\nprobe.go > bad.good.go");
    let running = rig.launch();
    running.wait_up("good");
    running
}

#[test]
fn programs_that_are_not_interpreters_are_reported() {
    for (text, python, message) in [
        (None, "no-such-python-anywhere", "cannot run `no-such-python-anywhere`: no such program"),
        (None, "/etc/passwd", "cannot run `/etc/passwd`: Permission denied"),
        (None, "/bin/true", "`/bin/true` is not a working Python interpreter"),
        (None, "/bin/sh", "`/bin/sh` is not a working Python interpreter"),
        (None, "/bin/cat", "`/bin/cat` is not a working Python interpreter"),
        (Some("not a program"), "", "is not a working Python interpreter"),
        (
            Some("#!/bin/sh\necho nonsense nonsense >/proc/self/fd/$3\nsleep 100\n"),
            "",
            "is not a working Python interpreter",
        ),
    ] {
        let running = with_interpreter(text, python);
        running.wait_state("bad", |state| matches!(state, State::Waiting(_)));
        assert_good_answers(&running);
        running.logged(&["bad", message]);
    }
}

#[test]
fn an_interpreter_that_is_too_old_is_an_error() {
    // The handshake of Python 3.7, unless there is a real interpreter of that age.
    let handshake = "#!/bin/sh\nprintf '\\377\\377\\377\\377\\001\\0\\0\\0\\0\\0\\0\\0\\007\\003\\0\\0' \
        >/proc/self/fd/$3\nsleep 100\n";
    let old = std::env::var("CONSORT_TEST_OLD_PYTHON").ok();
    let text = old.is_none().then_some(handshake);
    let running = with_interpreter(text, old.as_deref().unwrap_or(""));
    running.wait_state("bad", |state| matches!(state, State::Failed(_)));
    assert_good_answers(&running);
    running.logged(&["ERROR", "bad", "is Python", "Python 3.8 or newer is required"]);
}

#[test]
fn an_interpreter_that_appears_later_is_used() {
    let rig = Rig::new().file("good.py", GOOD);
    let path = rig.path().join("later");
    let rig = rig
        .python("py", &[("module", "good"), ("python", path.to_str().unwrap())])
        .map("probe.good > py.good.go\npy.out > probe.good_out");
    let running = rig.launch();
    running.wait_state("py", |state| matches!(state, State::Waiting(_)));
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", interpreter());
    let next = running.rig.path().join("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(&next, &path).unwrap();
    running.wait_up("py");
    assert_good_answers(&running);
}

#[test]
fn an_instance_that_lost_one_of_two_modules_is_degraded_and_serves_the_other() {
    let running = Rig::new()
        .file("broken.py", "import midimonster\nraise RuntimeError('no fixture found')\n")
        .file("good.py", GOOD)
        .python("half", &[("module", "broken"), ("module", "good")])
        .map(
            "probe.good > half.good.go
             half.out > probe.good_out",
        )
        .start();
    let state = running.state("half");
    assert_eq!(state.word(), "degraded", "{state:?}");
    let reason = state.reason().expect("a reason");
    assert!(reason.contains("broken") && reason.contains("no fixture found"), "{reason}");
    assert_good_answers(&running);
}
