//! The lifecycle of a worker: killed, restarted, stopped; threads, queues, order, fairness.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use python_support::{DEADLINE, Rig, Running};

/// A script that prints its process and starts a child that would outlive it.
const FAMILY: &str = "
import midimonster
import os, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])
print('family', os.getpid(), child.pid)
midimonster.output('out', 1)
def go(value):
    midimonster.output('out', midimonster.inputvalue('other'))
    midimonster.output('out', midimonster.inputvalue('script.go'))
";

const FAMILY_MAP: &str = "
probe.go > py.script.go
probe.other > py.other
py.out > probe.out";

/// The worker and its child, from the n-th line that FAMILY printed.
fn family(running: &Running, nth: usize) -> Vec<i32> {
    let line = |lines: &[&str]| -> Option<Vec<i32>> {
        let mut families = lines.iter().filter_map(|line| line.strip_prefix("family "));
        Some(families.nth(nth)?.split(' ').map(|number| number.parse().unwrap()).collect())
    };
    running.wait("the processes of a worker", |seen| line(&seen.lines()).is_some());
    running.monitor.inspect(|seen| line(&seen.lines()).unwrap())
}

fn kill(process: i32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether a process has ended; a zombie counts, its parent may not have reaped it.
fn is_gone(process: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Err(_) => true,
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
    }
}

#[track_caller]
fn wait_gone(processes: &[i32]) {
    let deadline = Instant::now() + DEADLINE;
    for &process in processes {
        while !is_gone(process) {
            assert!(Instant::now() < deadline, "process {process} is still running");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_killed_worker_is_restarted_with_its_inputs() {
    let running = Rig::script(FAMILY).map(FAMILY_MAP).start();
    let first = family(&running, 0);
    running.send("go", 0.75);
    running.send("other", 0.625);
    assert_eq!(running.values("out", 3), [1.0, 0.0, 0.0]);
    kill(first[0], "-KILL");
    running.logged(&["WARN", "py", "was killed (SIGKILL)", "restarting in 100ms"]);
    let second = family(&running, 1);
    assert_ne!(first, second);
    // The output of the import is sent again; the earlier inputs can be queried.
    running.values("out", 4);
    running.send("go", 0.5);
    assert_eq!(running.values("out", 6)[3..], [1.0, 0.625, 0.75]);
    // The child of the first worker has ended, too.
    wait_gone(&first);
    drop(running);
    wait_gone(&second);
}

#[test]
fn a_worker_ignores_sigint() {
    let running = Rig::script(FAMILY).map(FAMILY_MAP).start();
    let processes = family(&running, 0);
    running.values("out", 1);
    kill(processes[0], "-INT");
    running.send("other", 0.5);
    running.send("go", 0.5);
    assert_eq!(running.values("out", 3), [1.0, 0.5, 0.0]);
    running.monitor.inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

/// Not a test by itself: the router that the next test kills.
#[test]
fn router_to_be_killed() {
    if std::env::var_os("CONSORT_TEST_ROUTER").is_none() {
        return;
    }
    let running = Rig::script(FAMILY).map(FAMILY_MAP).start();
    let endless = "import os\nprint('family', os.getpid())\nwhile True: pass\n";
    let second = Rig::script(endless).launch();
    for running in [&running, &second] {
        println!("family {:?}", family(running, 0));
    }
    println!("all");
    std::thread::sleep(DEADLINE);
}

#[test]
fn no_process_is_left_when_the_router_is_killed() {
    for signal in ["-KILL", "-TERM", "-ABRT"] {
        let mut router = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "router_to_be_killed", "--nocapture"])
            .env("CONSORT_TEST_ROUTER", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut processes = Vec::new();
        for line in BufReader::new(router.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, numbers)) = line.split_once("family [") {
                let numbers = numbers.trim_end_matches(']').split(", ");
                processes.extend(numbers.map(|number| number.parse::<i32>().unwrap()));
            }
            if line == "all" {
                break;
            }
        }
        assert_eq!(processes.len(), 3, "{processes:?}");
        assert!(!processes.iter().any(|&process| is_gone(process)));
        kill(router.id().try_into().unwrap(), signal);
        router.wait().unwrap();
        wait_gone(&processes);
    }
}

#[test]
fn cleanup_handlers_share_one_deadline() {
    let source = |seconds| {
        format!(
            "
import midimonster, time
def clean():
    midimonster.output('out', 0.25)
    time.sleep({seconds})
    midimonster.output('out', 0.5)
midimonster.cleanup_handler(clean)
"
        )
    };
    let mut rig = Rig::new().file("quick.py", &source("0")).file("slow.py", &source("1000"));
    for name in ["one", "two", "three"] {
        rig = rig.python(name, &[("module", "slow")]).map(&format!("{name}.out > probe.{name}"));
    }
    let rig = rig.python("quick", &[("module", "quick")]).map("quick.out > probe.quick");
    let running = rig.start();
    let start = Instant::now();
    let monitor = running.stop();
    let stop_time = start.elapsed();
    monitor.inspect(|seen| {
        assert_eq!(seen.values_of("quick"), [0.25, 0.5]);
        for name in ["one", "two", "three"] {
            // The output from before the sleep is routed.
            assert_eq!(seen.values_of(name), [0.25]);
            assert_eq!(seen.logged(&[name, "did not clean up within 2s and was killed"]), 1);
        }
    });
    assert!(stop_time >= Duration::from_secs(2), "{stop_time:?}");
}

#[test]
fn cleanup_handlers_run_even_if_handlers_are_busy() {
    // One sleeps, one computes, one has more values queued than it can handle in time, and one
    // ignores the interrupt.
    let source = |body: &str| {
        format!(
            "
import midimonster, time
def clean():
    midimonster.output('out', 0.125)
midimonster.cleanup_handler(clean)
def go(value):
    midimonster.output('busy', value)
{body}
"
        )
    };
    let mut rig = Rig::new();
    for (name, body) in [
        ("sleeps", "    time.sleep(1000)"),
        ("computes", "    while True: pass"),
        ("slow", "    time.sleep(0.01)"),
        ("stays", "    while True:\n        try: time.sleep(1000)\n        except: pass"),
    ] {
        rig = rig.file(&format!("{name}.py"), &source(body)).python(name, &[("module", name)]);
        rig = rig.map(&format!(
            "probe.go > {name}.{name}.go
             {name}.busy > probe.busy_{name}
             {name}.out > probe.{name}"
        ));
    }
    let running = rig.start();
    for _ in 0..20_000 {
        running.send("go", 0.5);
    }
    for name in ["sleeps", "computes", "slow", "stays"] {
        running.values(&format!("busy_{name}"), 1);
    }
    running.stop().inspect(|seen| {
        for name in ["sleeps", "computes", "slow"] {
            assert_eq!(seen.values_of(name), [0.125], "{name} {:?}", seen.log);
            let parts = ["ERROR", name, "was interrupted", "in go", "the show is stopping"];
            assert_eq!(seen.logged(&parts), 1, "{name} {:?}", seen.log);
        }
        assert_eq!(seen.values_of("stays"), [0.0; 0]);
        assert_eq!(seen.logged(&["WARN", "stays", "did not clean up within 2s and was killed"]), 1);
    });
}

#[test]
fn the_last_printed_lines_are_not_lost() {
    let source = "
import midimonster, atexit
def clean():
    for number in range(10_000):
        print(number)
midimonster.cleanup_handler(clean)
atexit.register(print, 'at exit')
";
    let monitor = Rig::script(source).start().stop();
    monitor.inspect(|seen| {
        assert_eq!(seen.lines().len(), 10_001);
        assert_eq!(seen.lines()[9_999..], ["9999", "at exit"]);
    });
}

#[test]
fn threads_can_output_and_set_intervals() {
    let source = "
import midimonster, socket, threading, time
left, right = socket.socketpair()
def tick():
    midimonster.output('tick', 1)
    midimonster.interval(tick, 0)
def read(sock):
    midimonster.output('read', len(sock.recv(10)) / 10)
def work(value):
    for step in range(100):
        midimonster.output('out', step / 100)
    midimonster.interval(tick, 10)
    midimonster.manage(read, left)
    right.send(b'xx')
def go(value):
    threading.Thread(target=work, args=(value,), daemon=True).start()
";
    let rig = Rig::script(source).map(
        "probe.go > py.script.go
         py.out > probe.out
         py.tick > probe.tick
         py.read > probe.read",
    );
    let running = rig.start();
    running.send("go", 1.0);
    let expected: Vec<f64> = (0..100).map(|step| f64::from(step) / 100.0).collect();
    assert_eq!(running.values("out", 100), expected);
    assert_eq!(running.values("tick", 1), [1.0]);
    assert_eq!(running.values("read", 1), [0.2]);
}

#[test]
fn threads_can_output_while_the_main_thread_is_busy() {
    let source = "
import midimonster, threading, time
go_on = threading.Event()
def work():
    midimonster.output('out', 0.5)
def go(value):
    threading.Thread(target=work).start()
    go_on.wait()
    midimonster.output('out', value)
    threading.Thread(target=again).start()
def again():
    go_on.set()
threading.Timer(0.3, go_on.set).start()
";
    let running = Rig::script(source).map("probe.go > py.script.go\npy.out > probe.out").start();
    running.send("go", 1.0);
    assert_eq!(running.values("out", 2), [0.5, 1.0]);
}

/// 50,000 events, or a million with CONSORT_SOAK.
fn event_count() -> usize {
    if std::env::var_os("CONSORT_SOAK").is_some() { 1_000_000 } else { 50_000 }
}

#[test]
fn many_events_pass_a_handler_in_order_and_none_is_lost() {
    let source = "
import midimonster
def go(value):
    midimonster.output('out', value)
";
    let running = Rig::script(source).map("probe.go > py.script.go\npy.out > probe.out").start();
    let value = |number: usize| (number % 65_521) as f64 / 65_521.0;
    for number in 0..event_count() {
        running.send("go", value(number));
        if number % 10_000 == 9_999 {
            let count = number - 9_999;
            running.wait("values", |seen| seen.values.len() >= count);
        }
    }
    running.wait("all values", |seen| seen.values.len() >= event_count());
    running.monitor.inspect(|seen| {
        for (number, seen) in seen.values.iter().enumerate() {
            assert!(seen.1 == value(number), "value {number}");
        }
    });
    let live = running.handle.live();
    assert_eq!(live.counters(live.find_instance("py").unwrap()).dropped, 0);
}

#[test]
fn a_full_queue_keeps_the_newest_of_each_channel_and_counts() {
    let source = "
import midimonster, os, time
path = FOLDER + '/go'
def go(value):
    while not os.path.exists(path):
        time.sleep(0.01)
def count(value):
    global seen
    seen += 1
seen = 0
def ask(value):
    print('seen', seen, midimonster.inputvalue('a'), midimonster.inputvalue('b'))
";
    let rig = Rig::new();
    let source = source.replace("FOLDER", &format!("{:?}", rig.path().to_str().unwrap()));
    let rig = rig
        .file("script.py", &source)
        .python("py", &[("module", "script"), ("default-handler", "script.count")])
        .map(
            "probe.go > py.script.go
             probe.a > py.a
             probe.b > py.b
             probe.ask > py.script.ask",
        );
    let running = rig.start();
    running.send("go", 1.0);
    let live = running.handle.live().clone();
    let py = live.find_instance("py").unwrap();
    let total: usize = 120_000;
    for number in 0..total {
        running.send(if number % 2 == 0 { "a" } else { "b" }, number as f64 / total as f64);
    }
    running.wait_state("py", |_| live.counters(py).outgoing > total as u64);
    let dropped = live.counters(py).dropped;
    assert!(dropped > 10_000, "{dropped}");
    std::fs::write(running.rig.path().join("go"), "").unwrap();
    running.send("ask", 1.0);
    let (a, b) = ((total - 2) as f64 / total as f64, (total - 1) as f64 / total as f64);
    running.printed(&format!("seen {} {a} {b}", total as u64 - dropped));
    running.logged(&[
        "WARN",
        "py",
        "values are queued for the script; from now on only the newest",
    ]);
    running.logged(&["WARN", "py", &format!("{dropped} values were replaced by a newer one")]);
}

#[test]
fn outputs_of_one_handler_on_two_channels_arrive_as_one_batch() {
    // For XY pads: values that a handler outputs together arrive together, in order.
    let source = "
import midimonster
def go(value):
    midimonster.output('x', value)
    midimonster.output('y', 1 - value)
";
    let rig = Rig::script(source).map("probe.go > py.script.go\npy.x > probe.x\npy.y > probe.y");
    let running = rig.start();
    for step in 0..50 {
        running.send("go", f64::from(step) / 64.0);
        running.values("y", step as usize + 1);
    }
    running.monitor.inspect(|seen| {
        for pair in seen.values.chunks(2) {
            assert_eq!((pair[0].0.as_str(), pair[1].0.as_str()), ("x", "y"));
            assert_eq!(pair[0].1, 1.0 - pair[1].1);
        }
        let together =
            seen.values.chunks(2).filter(|pair| pair[1].2 - pair[0].2 < Duration::from_millis(1));
        assert!(together.count() >= 40);
    });
}

#[test]
fn sixteen_instances_start_in_parallel() {
    let source = "import midimonster\ndef go(value): midimonster.output('out', value)\n";
    let mut rig = Rig::new().file("script.py", source);
    for number in 0..16 {
        let name = format!("py{number}");
        rig = rig.python(&name, &[("module", "script")]).map(&format!(
            "probe.go > {name}.script.go
             {name}.out > probe.{name}"
        ));
    }
    let running = rig.start();
    running.send("go", 0.5);
    for number in 0..16 {
        assert_eq!(running.values(&format!("py{number}"), 1), [0.5]);
    }
}

#[test]
fn the_end_of_a_show_leaves_no_process_and_no_zombie() {
    let mut processes = Vec::new();
    for _ in 0..3 {
        let running = Rig::script(FAMILY).map(FAMILY_MAP).start();
        processes.extend(family(&running, 0));
        running.stop();
    }
    let deadline = Instant::now() + DEADLINE;
    for process in processes {
        // The worker's child is reaped by the process that has adopted it.
        while Path::new(&format!("/proc/{process}")).exists() && !is_gone(process) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
