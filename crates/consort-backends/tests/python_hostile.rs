//! Hostile Python scripts: whatever they do, another route of the show continues, and the show ends
//! without leaving a process.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs, clippy::print_stdout)]

mod python_support;

use std::time::{Duration, Instant};

use consort_router::State;
use python_support::Rig;

/// How long a route may be silent. Values take microseconds; a loaded machine may take the
/// processor away from the router.
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// What the handler `go` of each script does, or what the script does while it is imported
/// (`load:`).
const SCRIPTS: &[(&str, &str)] = &[
    ("endless loop", "while True: pass"),
    (
        "endless loop that catches all",
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    ),
    ("a call in C", "(10 ** 7) ** (10 ** 6)"),
    ("exponential expression", "import re; re.match('(a+)+$', 'a' * 40 + 'b')"),
    ("sleep", "import time; time.sleep(1000)"),
    ("all memory", "x = []\nwhile True: x.append(bytearray(1 << 20))"),
    ("deep recursion", "f = lambda: f()\nf()"),
    ("sys.exit", "import sys; sys.exit(3)"),
    ("os._exit", "import os; os._exit(3)"),
    ("os.abort", "import os; os.abort()"),
    ("null pointer", "import ctypes; ctypes.string_at(0)"),
    ("killed", "import os; os.kill(os.getpid(), 9)"),
    ("stopped", "import os; os.kill(os.getpid(), 19)"),
    ("stray signals", "import os\nfor s in (2, 14, 40): os.kill(os.getpid(), s)"),
    ("blocked signals", "import signal; signal.pthread_sigmask(0, range(1, 64))\nwhile True: pass"),
    ("closed descriptors", "import os; os.closerange(0, 256)"),
    (
        "garbage in the pipe",
        "import os\nfor d in range(3, 10):\n  try: os.write(d, b'\\xff' * 64)\n  except OSError: pass",
    ),
    (
        "half a record",
        "import os\nfor d in range(3, 10):\n  try: os.write(d, b'\\0')\n  except OSError: pass",
    ),
    ("endless outputs", "while True: midimonster.output('out', 1)"),
    ("endless unknown outputs", "n = 0\nwhile True:\n  n += 1\n  midimonster.output('x%d' % n, 1)"),
    ("endless texts", "while True: midimonster.output('out', 'x' * 1024)"),
    ("endless printing", "while True: print('x' * 1000)"),
    ("endless errors on stderr", "import sys\nwhile True: sys.stderr.write('x' * 1000 + '\\n')"),
    (
        "different errors",
        "def f(n=[0]):\n  n[0] += 1\n  raise ValueError(n[0])\nmidimonster.interval(f, 10)",
    ),
    ("a huge error", "raise ValueError('x' * 10_000_000)"),
    ("an error whose text fails", "class E(Exception):\n  def __str__(self): raise E\nraise E"),
    ("fork", "import os; os.fork()"),
    (
        "forks",
        "import os\nfor _ in range(20):\n  if os.fork() == 0:\n    import time; time.sleep(1000)",
    ),
    (
        "threads",
        "import threading\nfor _ in range(50): threading.Thread(target=lambda: [midimonster.output('out', 1) for _ in range(10**5)]).start()",
    ),
    (
        "thread that spins",
        "import threading\ndef f():\n  while True: pass\nthreading.Thread(target=f).start()",
    ),
    ("exec", "import os; os.execvp('sleep', ['sleep', '1000'])"),
    ("children", "import subprocess\nfor _ in range(10): subprocess.Popen(['sleep', '1000'])"),
    ("a file as a socket", "midimonster.manage(lambda f: None, open('/dev/zero'))"),
    ("broken builtins", "import builtins; builtins.float = None; builtins.len = None"),
    ("broken module", "import sys; sys.modules.clear(); midimonster.output = None"),
    ("trace function", "import sys\ndef t(*a): raise MemoryError\nsys.settrace(t)"),
    ("load: endless loop", "while True: pass"),
    ("load: sys.exit", "import sys; sys.exit('enough')"),
    ("load: an error", "raise RuntimeError('x')"),
    ("load: endless clean-up", "def f():\n  while True: pass\nmidimonster.cleanup_handler(f)"),
    ("load: atexit that hangs", "import atexit, time; atexit.register(time.sleep, 1000)"),
];

/// The script of an entry.
fn script(name: &str, code: &str) -> String {
    if name.starts_with("load: ") {
        return format!("import midimonster\n{code}\ndef go(value): pass\n");
    }
    let lines: Vec<String> = code.lines().map(|line| format!("  {line}")).collect();
    format!("import midimonster\ndef go(value):\n{}\n", lines.join("\n"))
}

#[test]
fn hostile_scripts_hold_no_other_route_1() {
    run_part(0);
}

#[test]
fn hostile_scripts_hold_no_other_route_2() {
    run_part(1);
}

#[test]
fn hostile_scripts_hold_no_other_route_3() {
    run_part(2);
}

#[test]
fn hostile_scripts_hold_no_other_route_4() {
    run_part(3);
}

/// Runs every fourth script.
fn run_part(part: usize) {
    assert!(SCRIPTS.len() >= 36);
    let mut longest = (Duration::ZERO, "");
    for (name, code) in SCRIPTS.iter().skip(part).step_by(4) {
        let rig = Rig::new()
            .file("script.py", &script(name, code))
            .python("py", &[("module", "script"), ("memory", "256")])
            .loopback("sink")
            .map("probe.go > py.script.go\npy.out > sink.out\nprobe.ping > probe.pong");
        let running = rig.launch();
        if !name.starts_with("load: ") {
            running.wait_state("py", |state| !matches!(state, State::Starting));
        }
        running.send("go", 0.5);
        let start = Instant::now();
        let mut pings = 0;
        while pings < 40 || start.elapsed() < Duration::from_millis(300) {
            let sent = Instant::now();
            running.send("ping", 0.5);
            pings += 1;
            running.wait(name, |seen| seen.values.len() >= pings);
            let silence = sent.elapsed();
            assert!(silence < MAX_SILENCE, "{name}: {silence:?}");
            longest = longest.max((silence, *name));
            std::thread::sleep(Duration::from_millis(2));
        }
        let end = Instant::now();
        running.stop();
        assert!(end.elapsed() < Duration::from_secs(20), "{name}: {:?}", end.elapsed());
    }
    let (time, name) = longest;
    println!(
        "of {} scripts, every fourth; the longest silence was {time:?} ({name})",
        SCRIPTS.len()
    );
}
