//! The nine functions of the module `midimonster` behave as in MIDIMonster.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use python_support::Rig;

/// Calls the handler `go` of a script, and checks what it prints before the line `end`.
#[track_caller]
fn assert_prints(source: &str, expected: &[&str]) {
    let rig = Rig::script(source).map(
        "probe.go > py.script.go
         py.out > probe.out
         probe.other > py.other",
    );
    let running = rig.start();
    running.send("go", 0.5);
    running.printed("end");
    let monitor = running.stop();
    monitor.inspect(|seen| {
        let mut lines = seen.lines();
        assert_eq!(lines.pop(), Some("end"));
        assert_eq!(lines, expected, "{:?}", seen.log);
    });
}

const TRY: &str = "
import midimonster
def attempt(function, *arguments):
    try:
        print(repr(function(*arguments)))
    except Exception as error:
        print(type(error).__name__)
";

#[test]
fn a_handler_outputs_values() {
    let rig = Rig::script(
        "import midimonster\ndef in1(value):\n    midimonster.output('out1', 1 - value)\n",
    )
    .map("probe.a > py.script.in1\npy.out1 > probe.out");
    let running = rig.start();
    for value in [0.0, 0.25, 1.0, 1.0] {
        running.send("a", value);
    }
    assert_eq!(running.values("out", 4), [1.0, 0.75, 0.0, 0.0]);
}

#[test]
fn output_returns_none_and_clamps() {
    let source = "
import midimonster
def go(value):
    for each in (0.5, 2, -1, True, float('inf'), float('-inf'), 1e-3):
        print(midimonster.output('out', each), midimonster.outputvalue('out'))
    print('end')
";
    assert_prints(
        source,
        &["None 0.5", "None 1.0", "None 0.0", "None 1.0", "None 1.0", "None 0.0", "None 0.001"],
    );
}

#[test]
fn output_requires_a_name_and_a_number_or_a_text() {
    let source = format!(
        "{TRY}
class Number:
    def __float__(self):
        return 0.75
def go(value):
    attempt(midimonster.output, 'out', b'0.5')
    attempt(midimonster.output, 'out', None)
    attempt(midimonster.output, 'out', [1])
    attempt(midimonster.output, 7, 0.5)
    attempt(midimonster.output, None, 0.5)
    attempt(midimonster.output, 'out')
    attempt(midimonster.output, 'nobody', 0.5)
    attempt(midimonster.output, 'out', Number())
    attempt(midimonster.output, 'out', 'a text')
    attempt(midimonster.output, 'out', 'x' * 1025)
    attempt(midimonster.output, 7, 'a text')
    print(midimonster.outputvalue('out'))
    print('end')
"
    );
    let error = "TypeError";
    assert_prints(
        &source,
        &[
            error,
            error,
            error,
            error,
            error,
            error,
            "None",
            "None",
            "None",
            "ValueError",
            error,
            "0.75",
        ],
    );
}

#[test]
fn values_can_be_queried() {
    let source = format!(
        "{TRY}
def go(value):
    print(midimonster.inputvalue('script.go'), midimonster.outputvalue('out'))
    midimonster.output('out', 0.25)
    print(midimonster.outputvalue('out'), midimonster.inputvalue('out'))
    print(midimonster.inputvalue('nobody'), midimonster.outputvalue('nobody'))
    attempt(midimonster.inputvalue, 1)
    attempt(midimonster.outputvalue, None)
    print('end')
"
    );
    assert_prints(&source, &["0.0 0.0", "0.25 0.0", "None None", "TypeError", "TypeError"]);
}

#[test]
fn inside_its_handler_the_input_is_the_previous_one() {
    let source = "
import midimonster
def go(value):
    print(value, midimonster.inputvalue('script.go'))
";
    let running = Rig::script(source).map("probe.go > py.script.go").start();
    for value in [0.5, 0.25, 0.75] {
        running.send("go", value);
    }
    running.printed("0.75 0.25");
    running.monitor.inspect(|seen| assert_eq!(seen.lines(), ["0.5 0.0", "0.25 0.5", "0.75 0.25"]));
}

#[test]
fn inputs_without_a_handler_are_stored() {
    let source = "
import midimonster
def go(value):
    print(midimonster.inputvalue('other'))
";
    let rig = Rig::script(source).map("probe.other > py.other\nprobe.go > py.script.go");
    let running = rig.start();
    running.send("other", 0.625);
    running.send("go", 1.0);
    running.printed("0.625");
}

#[test]
fn current_is_the_channel_of_the_handler() {
    let source = "
import midimonster
import threading
print(midimonster.current())
def elsewhere():
    print('thread', midimonster.current())
def tick():
    midimonster.interval(tick, 0)
    print('interval', midimonster.current())
    print('end')
def go(value):
    print(midimonster.current())
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    midimonster.interval(tick, 10)
";
    assert_prints(source, &["None", "script.go", "thread None", "interval None"]);
}

#[test]
fn channels_lists_those_of_imports_then_those_of_mappings() {
    let source = "
import midimonster
midimonster.output('later', 1)
midimonster.output('out', 0.5)
print(midimonster.channels())
def go(value):
    print(midimonster.channels())
    print('end')
";
    assert_prints(source, &["['later', 'out']", "['later', 'out', 'script.go', 'other']"]);
}

#[test]
fn outputs_of_imports_are_sent_once_in_order() {
    let source = "
import midimonster
midimonster.output('b', 0.1)
midimonster.output('a', 0.2)
midimonster.output('b', 0.3)
midimonster.output('unmapped', 1)
print(midimonster.outputvalue('b'), midimonster.inputvalue('b'), midimonster.inputvalue('c'))
def go(value):
    midimonster.output('c', midimonster.outputvalue('b'))
";
    let rig = Rig::script(source).map(
        "py.a > probe.a
         py.b > probe.b
         py.c > probe.c
         probe.go > py.script.go",
    );
    let running = rig.start();
    running.send("go", 1.0);
    running.values("c", 1);
    running.printed("0.3 0.0 None");
    running.monitor.inspect(|seen| {
        let values: Vec<_> =
            seen.values.iter().map(|(name, value, _)| (name.as_str(), *value)).collect();
        assert_eq!(values, [("b", 0.3), ("a", 0.2), ("c", 0.3)]);
    });
}

#[test]
fn timestamps_are_comparable_between_instances() {
    let source = "
import midimonster
def go(value):
    now = midimonster.timestamp()
    assert type(now) is int and 0 <= now < 60_000, now
    midimonster.output('out', now / 60_000)
";
    let rig = Rig::new()
        .file("script.py", source)
        .python("one", &[("module", "script")])
        .python("two", &[("module", "script")])
        .map(
            "probe.go > one.script.go
             one.out > two.script.go
             one.out > probe.one
             two.out > probe.two",
        );
    let running = rig.start();
    running.send("go", 1.0);
    let (first, second) = (running.values("one", 1)[0], running.values("two", 1)[0]);
    assert!(first <= second && second - first < 0.1, "{first} {second}");
}

#[test]
fn interval_checks_its_arguments() {
    let source = format!(
        "{TRY}
def tick():
    print('never')
def go(value):
    attempt(midimonster.interval, tick, 1.5)
    attempt(midimonster.interval, tick, '10')
    attempt(midimonster.interval, tick)
    attempt(midimonster.interval, None, 10)
    attempt(midimonster.interval, tick, -10)
    attempt(midimonster.interval, tick, 0)
    attempt(midimonster.interval, tick, 4)
    attempt(midimonster.interval, tick, 86400000)
    attempt(midimonster.interval, tick, 0)
    print('end')
"
    );
    let error = "TypeError";
    assert_prints(
        &source,
        &[error, error, error, error, "ValueError", "None", "None", "None", "None"],
    );
}

#[test]
fn intervals_are_steady() {
    // The script prints the time of each tick by its own clock.
    let source = "
import midimonster
from time import monotonic
start = monotonic()
count = 0
def tick():
    global count
    count += 1
    print('%d' % ((monotonic() - start) * 1000))
    if count == 8:
        midimonster.interval(tick, 0)
        print('end')
def go(value):
    global start
    start = monotonic()
    midimonster.interval(tick, 50)
";
    let running = Rig::script(source).map("probe.go > py.script.go").start();
    running.send("go", 1.0);
    running.printed("end");
    running.monitor.inspect(|seen| {
        let lines = seen.lines();
        for (index, line) in lines[..8].iter().enumerate() {
            // A tick may be late on a busy machine, but never early, and delays do not add up.
            let time: i64 = line.parse().unwrap();
            assert!(time >= (index as i64 + 1) * 50, "{lines:?}");
        }
    });
}

#[test]
fn missed_ticks_count_once() {
    let source = "
import midimonster
import time
times = []
def tick():
    times.append(time.monotonic())
    if len(times) == 1:
        time.sleep(0.2)
    if len(times) == 4:
        midimonster.interval(tick, 0)
        # If missed ticks were made up for one by one, these would have come at once.
        print(times[3] - times[1] >= 0.019)
        print('end')
def go(value):
    midimonster.interval(tick, 20)
";
    assert_prints(source, &["True"]);
}

#[test]
fn interval_functions_are_compared_by_value() {
    let source = "
import midimonster
class Clock:
    def tick(self):
        print('tick')
        midimonster.interval(clock.tick, 0)
        print('end')
clock = Clock()
def go(value):
    midimonster.interval(clock.tick, 86400000)
    midimonster.interval(clock.tick, 10)
";
    assert_prints(source, &["tick"]);
}

#[test]
fn an_interval_registered_while_importing_runs() {
    let source = "
import midimonster
def tick():
    midimonster.output('out', 1)
midimonster.interval(tick, 20)
";
    let running = Rig::script(source).map("py.out > probe.out").start();
    assert_eq!(running.values("out", 3)[..3], [1.0, 1.0, 1.0]);
}

#[test]
fn cleanup_handler_returns_the_previous_one() {
    let source = format!(
        "{TRY}
def one(): pass
def two(): pass
def go(value):
    print(midimonster.cleanup_handler(one))
    print(midimonster.cleanup_handler(two) is one)
    attempt(midimonster.cleanup_handler, 5)
    attempt(midimonster.cleanup_handler)
    print(midimonster.cleanup_handler(None) is two)
    print(midimonster.cleanup_handler(None))
    print('end')
"
    );
    assert_prints(&source, &["None", "True", "TypeError", "TypeError", "True", "None"]);
}

#[test]
fn outputs_of_a_cleanup_handler_are_routed() {
    let source = "
import midimonster
def last():
    print('cleaning', midimonster.current(), midimonster.inputvalue('script.go'))
    midimonster.output('out', 0.125)
midimonster.cleanup_handler(last)
def go(value):
    midimonster.output('out', value)
";
    let running = Rig::script(source).map("probe.go > py.script.go\npy.out > probe.out").start();
    running.send("go", 0.5);
    running.values("out", 1);
    let monitor = running.stop();
    monitor.inspect(|seen| {
        assert_eq!(seen.values_of("out"), [0.5, 0.125]);
        assert_eq!(seen.lines(), ["cleaning None 0.5"]);
    });
}

#[test]
fn an_output_calls_no_handler_of_its_instance_unless_mapped_back() {
    let source = "
import midimonster
def go(value):
    midimonster.output('script.echo', value)
    midimonster.output('out', value)
def echo(value):
    print('echo', value)
    print('end')
";
    let rig = Rig::script(source).map(
        "probe.go > py.script.go
         probe.never > py.script.echo
         py.out > py.script.echo",
    );
    let running = rig.start();
    running.send("go", 0.5);
    running.printed("end");
    running.stop().inspect(|seen| assert_eq!(seen.lines(), ["echo 0.5", "end"]));
}
