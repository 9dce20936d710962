//! Supervision of workers: ends that were not asked for, forks in forks, processes that leave their
//! group, and handlers in modules that a module imports.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use python_support::{DEADLINE, Rig};

#[test]
fn a_worker_that_ends_unasked_is_started_again() {
    // The signal with which an instance interrupts a script when the show ends.
    let source = "
import midimonster, os
def go(value):
    os.kill(os.getpid(), 40)
def again(value):
    midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.logged(&["WARN", "py", "ended without being stopped", "restarting"]);
    running.wait_up("py");
    running.send("again", 0.25);
    assert_eq!(running.values("out", 1), [0.25]);
}

#[test]
fn a_fork_of_a_fork_keeps_its_own_files() {
    let source = "
import midimonster, os, sys, tempfile
def go(value):
    if os.fork() == 0:
        # These take the numbers of the worker's pipes.
        files = [tempfile.TemporaryFile('w', buffering=1) for number in range(4)]
        if os.fork() == 0:
            try:
                for file in files:
                    file.write('x')
                    file.flush()
                os._exit(0)
            except OSError as error:
                print('failed', error, flush=True)
                os._exit(1)
        print('status', os.wait()[1], flush=True)
        os._exit(0)
    os.wait()
    midimonster.output('out', value)
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.printed("status 0");
    running.monitor.inspect(|seen| assert_eq!(seen.logged(&["ignored"]), 0, "{:?}", seen.log));
}

#[test]
fn functions_of_imported_modules_are_handlers() {
    let rig = Rig::new()
        .file("main.py", "import lights, midimonster, os.path\n")
        .file("lights.py", "import midimonster\ndef go(value): midimonster.output('out', value)\n")
        .python("py", &[("module", "main")])
        .map("probe.a > py.lights.go\nprobe.b > py.main.lights.go\npy.out > probe.out");
    assert_eq!(rig.check(), [""; 0]);
    let running = rig.start();
    running.send("a", 0.25);
    running.send("b", 0.5);
    assert_eq!(running.values("out", 2), [0.25, 0.5]);
}

/// Not a test by itself: the router that the next test kills, with a program beside it in its
/// group.
#[test]
fn router_with_a_neighbour() {
    if std::env::var_os("CONSORT_TEST_ROUTER").is_none() {
        return;
    }
    let mut neighbour = Command::new("sleep").arg("1000").spawn().unwrap();
    let source = "
import os, midimonster
os.setpgid(0, os.getpgid(os.getppid()))
print('worker', os.getpid())
midimonster.output('out', 1)
";
    let running = Rig::script(source).map("py.out > probe.out").start();
    running.wait("the worker", |seen| seen.lines().iter().any(|line| line.starts_with("worker ")));
    let worker = running.monitor.inspect(|seen| {
        seen.lines().iter().find_map(|line| line.strip_prefix("worker ").map(str::to_owned))
    });
    println!("pids {} {}", neighbour.id(), worker.unwrap());
    std::thread::sleep(DEADLINE);
    let _ = neighbour.kill();
    let _ = neighbour.wait();
}

fn state_of(process: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn a_worker_in_the_group_of_another_program_kills_only_itself() {
    let mut router = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "router_with_a_neighbour", "--nocapture"])
        .env("CONSORT_TEST_ROUTER", "1")
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(router.stdout.take().unwrap()).lines();
    let pids = loop {
        let line = lines.next().expect("the router's output").unwrap();
        if let Some((_, pids)) = line.split_once("pids ") {
            break pids.to_owned();
        }
    };
    let (neighbour, worker) = pids.split_once(' ').unwrap();
    router.kill().unwrap();
    router.wait().unwrap();
    let start = Instant::now();
    while !matches!(state_of(worker), None | Some('Z')) {
        assert!(start.elapsed() < DEADLINE, "the worker is still running");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(!matches!(state_of(neighbour), None | Some('Z')), "the neighbour was killed");
    let _ = Command::new("kill").args(["-KILL", neighbour]).status();
}
