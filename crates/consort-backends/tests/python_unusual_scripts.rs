//! Scripts with unusual uses of signals, threads, processes and sizes. None of them disturbs the
//! show, and what cannot work is reported.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::time::{Duration, Instant};

use python_support::{DEADLINE, Rig};

#[test]
fn an_alarm_that_raises_after_its_handler_is_reported() {
    let source = "
import midimonster, signal
def late(number, frame): raise TimeoutError('too late')
signal.signal(signal.SIGALRM, late)
def go(value): signal.setitimer(signal.ITIMER_REAL, 0.02)
def again(value): midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "py", "TimeoutError: too late"]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 1), [0.25]);
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["restarting"]), 0, "{:?}", seen.log));
}

#[test]
fn a_script_can_limit_the_time_of_a_handler_with_an_alarm() {
    let source = "
import midimonster, signal, time
def late(number, frame): raise TimeoutError('too slow')
def go(value):
    midimonster.output('out', value)
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        time.sleep(1000)
    except TimeoutError:
        midimonster.output('out', 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
def again(value):
    midimonster.output('out', value)
    time.sleep(0.2)
    midimonster.output('end', value)
";
    let running = Rig::handlers(source).map("py.end > probe.end").start();
    running.send("go", 0.5);
    assert_eq!(running.values("out", 2), [0.5, 1.0]);
    // After a while, the worker's own timer sends what was output before a sleep again.
    let deadline = Instant::now() + DEADLINE;
    for step in 1.. {
        running.send("again", 0.75);
        running.values("end", step);
        let (out, end) = running.monitor.inspect(|seen| {
            let last = |name| seen.values.iter().rev().find(|value| value.0 == name).unwrap().2;
            (last("out"), last("end"))
        });
        if end - out >= Duration::from_millis(100) {
            break;
        }
        assert!(Instant::now() < deadline, "outputs are held back until the end of the handler");
    }
}

#[test]
fn an_interval_can_be_months_long() {
    let source = "
import midimonster
def never(): pass
def go(value):
    midimonster.interval(never, 3_000_000_000)
def again(value): midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.send("again", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 2), [0.5, 0.25]);
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["restarting"]), 0, "{:?}", seen.log));
}

#[test]
fn an_exit_with_a_long_text_ends_the_instance() {
    let rig = Rig::script("import sys\nsys.exit('no ' * 100_000)\n").map("py.out > probe.out");
    let running = rig.launch();
    running.logged(&["ERROR", "py", "called sys.exit during its import", "no no"]);
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["restarting"]), 0, "{:?}", seen.log));
}

#[test]
fn pools_of_processes_and_threads_work() {
    let source = "
import midimonster, concurrent.futures, multiprocessing, signal, subprocess, time
def half(value):
    return value / 2
def go(value):
    context = multiprocessing.get_context('fork')
    with context.Pool(2) as pool:
        for each in pool.map(half, [value, value / 2]):
            midimonster.output('out', each)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        midimonster.output('out', pool.submit(half, value).result())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(midimonster.output, ['out'], [value]))
def again(value):
    process = multiprocessing.get_context('fork').Process(target=half, args=(value,))
    process.start()
    process.join()
    midimonster.output('out', process.exitcode / 10)
    forked = multiprocessing.get_context('fork').Process(target=time.sleep, args=(1000,))
    forked.start()
    forked.terminate()
    forked.join()
    ended = [forked.exitcode]
    for number in (signal.SIGTERM, signal.SIGINT):
        child = subprocess.Popen(['sleep', '1000'])
        child.send_signal(number)
        ended.append(child.wait())
    print('ended', *ended)
";
    let running = Rig::handlers(source).start();
    running.send("go", 1.0);
    assert_eq!(running.values("out", 4), [0.5, 0.25, 0.5, 1.0]);
    running.send("again", 1.0);
    assert_eq!(running.values("out", 5)[4], 0.0);
    running.printed("ended -15 -15 -2");
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn asyncio_works_in_a_thread_and_in_a_handler() {
    let source = "
import asyncio, midimonster, threading
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
async def slowly(value):
    await asyncio.sleep(0.01)
    midimonster.output('out', value)
def go(value):
    asyncio.run_coroutine_threadsafe(slowly(value), loop)
def again(value):
    asyncio.run(slowly(value))
    midimonster.output('out', 0)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 3), [0.5, 0.25, 0.0]);
}

#[test]
fn outputs_of_threads_keep_their_order_while_handlers_run() {
    let source = "
import midimonster, threading
COUNT = 5_000
def work(name):
    for step in range(COUNT):
        midimonster.output(name, step / COUNT)
def go(value):
    for name in ('a', 'b'):
        threading.Thread(target=work, args=(name,)).start()
def again(value):
    midimonster.output('out', value)
";
    let rig = Rig::handlers(source).map("py.a > probe.a\npy.b > probe.b");
    let running = rig.start();
    running.send("go", 0.5);
    for step in 1..=200 {
        running.send("again", f64::from(step) / 200.0);
        running.values("out", step as usize);
    }
    let expected: Vec<f64> = (0..5_000).map(|step| f64::from(step) / 5_000.0).collect();
    assert_eq!(running.values("a", 5_000), expected);
    assert_eq!(running.values("b", 5_000), expected);
}

#[test]
fn ten_thousand_channels_with_unusual_names_work() {
    let source = "
import midimonster
def default(value):
    midimonster.output(midimonster.current().replace('in', 'out'), value)
def go(value):
    names = midimonster.channels()
    assert len(names) == 20_001, len(names)
    for name in names:
        if 'out' in name:
            midimonster.output(name, value)
";
    let mut rig = Rig::new()
        .file("script.py", source)
        .python("py", &[("module", "script"), ("default-handler", "script.default")])
        .map("probe.go > py.script.go");
    for number in 0..10_000 {
        rig = rig
            .map(&format!("probe.é{number} > py.in é{number}\npy.out é{number} > probe.o{number}"));
    }
    let running = rig.start();
    running.send("é9999", 0.5);
    assert_eq!(running.values("o9999", 1), [0.5]);
    running.send("go", 0.25);
    running.wait("all", |seen| seen.values.len() == 10_001);
}

#[test]
fn long_lines_raw_bytes_and_prompts_are_forwarded() {
    let source = "
import midimonster, sys
def go(value):
    print('x' * 60_000, end='')
    print()
    sys.stdout.buffer.write(b'raw \\xff\\x00 bytes\\n')
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(b'error \\xff bytes\\n')
    sys.stderr.flush()
    try:
        input('? ')
    except EOFError:
        print('nothing to read')
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.printed("? nothing to read");
    running.logged(&["WARN", "py", "error", "bytes"]);
    running.monitor.inspect(|seen| {
        assert_eq!(seen.lines()[0].len(), 60_000);
        assert_eq!(seen.lines()[1], "raw \u{fffd}\0 bytes");
    });
}

#[test]
fn the_cleanup_handler_runs_after_a_handler_that_still_sleeps() {
    let source = "
import midimonster, time
def clean(): midimonster.output('out', 0.125)
midimonster.cleanup_handler(clean)
def go(value):
    midimonster.output('out', value)
    time.sleep(1)
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.values("out", 1);
    running
        .stop()
        .inspect(|seen| assert_eq!(seen.values_of("out"), [0.5, 0.125], "{:?}", seen.log));
}

#[test]
fn an_alarm_during_a_flood_of_outputs_does_not_misalign_the_protocol() {
    let source = "
import midimonster, signal
def late(number, frame): raise TimeoutError('enough')
signal.signal(signal.SIGALRM, late)
def go(value):
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        while True:
            midimonster.output('flood', 0.5)
    except TimeoutError:
        pass
def again(value): midimonster.output('out', value)
";
    let rig = Rig::handlers(source).loopback("sink").map("py.flood > sink.all");
    let running = rig.start();
    for step in 1..=100 {
        running.send("go", 0.5);
        running.send("again", 0.25);
        assert_eq!(running.values("out", step), vec![0.25; step]);
    }
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn finalizers_can_output_values() {
    // The garbage collector runs at any time, also while the same thread is writing.
    let source = "
import gc, midimonster, signal, threading
gc.set_threshold(3)
class Cycle:
    def __init__(self): self.itself = self
    def __del__(self):
        midimonster.output('flood', 0.5)
        midimonster.interval(never, 1_000_000)
def never(): pass
def work():
    for _ in range(5_000):
        Cycle()
        midimonster.output('flood', 0.25)
        midimonster.interval(never, 1_000_000)
    print('end')
def go(value): threading.Thread(target=work).start()
def again(value): midimonster.output('out', value)
# A signal handler interrupts the main thread in the same way.
signal.signal(signal.SIGALRM, lambda number, frame: midimonster.output('flood', 0.75))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
";
    let rig = Rig::handlers(source).loopback("sink").map("py.flood > sink.all");
    let running = rig.start();
    running.send("go", 0.5);
    running.printed("end");
    running.send("again", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.stop().inspect(|seen| {
        assert_eq!(seen.logged(&["WARN"]) + seen.logged(&["ERROR"]), 0, "{:?}", seen.log);
    });
}
