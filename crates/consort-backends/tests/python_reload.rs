//! What a worker gets beside values: texts, and channels that come and go while it runs; what it
//! reports: roots, unmatched outputs, files.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use python_support::{DEADLINE, Rig};

/// A script that counts its calls and outputs the count in hundredths.
const COUNTER: &str = "
import midimonster
count = 0
def go(value):
    global count
    count += 1
    midimonster.output('out', count / 100)
def other(value):
    print(midimonster.current(), value, midimonster.inputvalue(midimonster.current()))
def names(value):
    print(*midimonster.channels())
def default(value):
    print('default', midimonster.current(), value)
";

fn counter_map() -> &'static str {
    "probe.go > py.script.go
     py.out > probe.out"
}

#[test]
fn a_worker_keeps_running_when_channels_change() {
    let running = Rig::script(COUNTER).map(counter_map()).start();
    running.send("go", 0.5);
    assert_eq!(running.values("out", 1), [0.01]);
    let changed = running.rig.another().python("py", &[("module", "script")]).map(
        "probe.names > py.script.names
         probe.other > py.script.other
         py.late > probe.late
         py.out > probe.out
         probe.go > py.script.go",
    );
    assert_eq!(running.adopt(&changed), [""; 0]);
    running.send("go", 0.5);
    assert_eq!(running.values("out", 2), [0.01, 0.02], "the state of the script is kept");
    running.send("other", 0.25);
    running.printed("script.other 0.25 0.0");
    running.send("names", 0.5);
    running.printed("script.go out script.names script.other late");
    // Channels that go are removed; a handler without a channel is not called.
    let back = running.rig.another().python("py", &[("module", "script")]);
    let back = back.map("probe.names > py.script.names\nprobe.go > py.script.go");
    assert_eq!(running.adopt(&back), [""; 0]);
    running.send("names", 0.5);
    running.printed("script.go script.names");
    running.stop().inspect(|seen| {
        assert_eq!(seen.logged(&["WARN"]) + seen.logged(&["ERROR"]), 0, "{:?}", seen.log);
        assert_eq!(seen.logged(&["is Python"]), 1, "one worker");
    });
}

#[test]
fn handlers_of_new_channels_are_found_in_mapping_order() {
    // A module can make handlers when they are looked up.
    let source = "
import midimonster
found = []
def __getattr__(name):
    if not name.startswith('make_'):
        raise AttributeError(name)
    found.append(name)
    return lambda value: print(name, value)
def show(value):
    print(*found)
";
    let running = Rig::script(source).map("probe.show > py.script.show").start();
    let handlers = ["z", "missing", "a", "m"].map(|name| {
        let prefix = if name == "missing" { "" } else { "make_" };
        format!("probe.{name} > py.script.{prefix}{name}\n")
    });
    let changed = running.rig.another().python("py", &[("module", "script")]);
    running.adopt(&changed.map(&handlers.concat()).map("probe.show > py.script.show"));
    running.send("show", 1.0);
    running.printed("make_z make_a make_m");
    running.send("a", 0.5);
    running.printed("make_a 0.5");
    running.logged(&["WARN", "py", "cannot use the handler `script.missing`"]);
}

#[test]
fn numbers_of_channels_are_never_confused() {
    // The script outputs without a pause while channels are exchanged, so that values of every
    // generation are in the pipes. Each channel has a value of its own.
    let source = "
import midimonster, threading, time
def flood():
    while True:
        for number in range(8):
            midimonster.output('out%d' % number, number / 8)
        time.sleep(0)
def go(value):
    threading.Thread(target=flood, daemon=True).start()
def default(value):
    name = midimonster.current()
    assert float(name[2:]) / 8 == value, (name, value)
";
    let options = [("module", "script"), ("default-handler", "script.default")];
    let rig = Rig::new().file("script.py", source).python("py", &options);
    let running = rig.map("probe.go > py.script.go").start();
    running.send("go", 1.0);
    for round in 0..60_usize {
        let mut rig = running.rig.another().python("py", &options);
        for step in 0..4 {
            let number = (round * 3 + step * 5) % 8;
            rig = rig.map(&format!(
                "py.out{number} > probe.out{number}\nprobe.in{number} > py.in{number}"
            ));
        }
        assert_eq!(running.adopt(&rig.map("probe.go > py.script.go")), [""; 0]);
        let name = format!("out{}", (round * 3) % 8);
        let count = running.monitor.inspect(|seen| seen.values_of(&name).len());
        for _ in 0..20 {
            for step in 0..4 {
                let number = (round * 3 + step * 5) % 8;
                running.send(&format!("in{number}"), number as f64 / 8.0);
            }
        }
        running.values(&name, count + 1);
    }
    running.stop().inspect(|seen| {
        for (name, value, _) in &seen.values {
            assert_eq!(name[3..].parse::<f64>().unwrap() / 8.0, *value, "{name}");
        }
        assert_eq!(seen.logged(&["WARN"]) + seen.logged(&["ERROR"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn what_waits_for_a_channel_that_goes_is_dropped_and_counted() {
    let source = "
import midimonster, os, time
def go(value):
    while not os.path.exists('GO'):
        time.sleep(0.01)
    midimonster.output('gone', 1)
    midimonster.output('out', midimonster.inputvalue('kept'))
def seen(value):
    print('seen', value)
";
    let rig = Rig::new();
    let source = source.replace("GO", rig.path().join("go").to_str().unwrap());
    let rig = rig.file("script.py", &source).python("py", &[("module", "script")]).map(
        "probe.go > py.script.go
         probe.fill > py.script.seen
         probe.kept > py.kept
         py.out > probe.out
         py.gone > probe.gone",
    );
    let running = rig.start();
    running.send("go", 1.0);
    // More than the pipe and the encoder hold.
    for _ in 0..10_000 {
        running.send("fill", 0.5);
    }
    running.send("kept", 0.25);
    running.wait_state("py", |_| running.counters("py").outgoing == 10_002);
    let dropped = running.counters("py").dropped;
    let changed = running.rig.another().python("py", &[("module", "script")]).map(
        "probe.kept > py.kept
         py.out > probe.out
         probe.go > py.script.go",
    );
    running.adopt(&changed);
    let after = running.counters("py").dropped;
    assert!(after > dropped + 1_000, "{dropped} {after}");
    running.send("go", 1.0);
    std::fs::write(running.rig.path().join("go"), "").unwrap();
    assert_eq!(running.values("out", 2), [0.0, 0.25], "what waits for other channels is kept");
    assert!(running.counters("py").dropped > after, "the output on `gone`");
    running.stop().inspect(|seen| assert_eq!(seen.values_of("gone"), Vec::<f64>::new()));
}

#[test]
fn the_default_handler_is_live() {
    let rig = Rig::script(COUNTER).map(counter_map()).map("probe.plain > py.plain");
    let running = rig.start();
    running.send("go", 0.5);
    running.values("out", 1);
    let options = [("module", "script"), ("default-handler", "script.default")];
    let changed = running.rig.another().python("py", &options).map(counter_map());
    assert_eq!(running.adopt(&changed.map("probe.plain > py.plain")), [""; 0]);
    running.send("plain", 0.5);
    running.printed("default plain 0.5");
    let options = [("module", "script"), ("default-handler", "script.missing")];
    let changed = running.rig.another().python("py", &options).map(counter_map());
    assert_eq!(running.adopt(&changed), [""; 0]);
    running.logged(&["WARN", "py", "cannot use the default handler `script.missing`"]);
    running.send("go", 0.5);
    assert_eq!(running.values("out", 2), [0.01, 0.02]);
}

#[test]
fn other_modules_restart_the_script_with_its_last_inputs() {
    let source = "
import midimonster
def ask(value):
    midimonster.output('out', midimonster.inputvalue('plain'))
";
    let map = "probe.plain > py.plain\nprobe.ask > py.script.ask\npy.out > probe.out";
    let running = Rig::script(source).map(map).start();
    running.send("plain", 0.625);
    running.send("ask", 1.0);
    assert_eq!(running.values("out", 1), [0.625]);
    let changed = running.rig.another().file("more.py", "").map(map);
    let changed = changed.python("py", &[("module", "script"), ("module", "more")]);
    assert_eq!(running.adopt(&changed), ["py"]);
    running.wait_up("py");
    running.send("ask", 1.0);
    assert_eq!(running.values("out", 2), [0.625, 0.625]);
}

#[test]
fn a_default_of_the_backend_restarts_the_scripts_that_use_it() {
    let rig = Rig::new().file("script.py", COUNTER);
    let own = [("module", "script"), ("memory", "900")];
    let running = rig.python("one", &[("module", "script")]).python("two", &own).start();
    let changed = running.rig.another().default_option("memory", "800");
    let changed = changed.python("one", &[("module", "script")]).python("two", &own);
    assert_eq!(running.adopt(&changed), ["one"]);
    running.wait_up("one");
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn a_worker_that_restarts_has_the_channels_of_the_last_reload() {
    let source =
        format!("{COUNTER}\ndef die(value):\n    import os\n    os.kill(os.getpid(), 9)\n");
    let running = Rig::script(&source).map("probe.die > py.script.die").start();
    let changed = running.rig.another().python("py", &[("module", "script")]);
    running.adopt(&changed.map(counter_map()).map("probe.die > py.script.die"));
    running.send("die", 1.0);
    running.logged(&["WARN", "py", "was killed (SIGKILL)"]);
    running.send("go", 1.0);
    assert_eq!(running.values("out", 1), [0.01]);
}

#[test]
fn texts_and_values_pass_a_script_in_order() {
    let source = "
import midimonster
def go(value):
    name = midimonster.current()
    if isinstance(value, str):
        midimonster.output('out', value.upper())
        midimonster.output('out', len(value) / 100)
    else:
        midimonster.output('out', str(value))
    print(midimonster.inputvalue(name), midimonster.outputvalue('out'))
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.send_text("go", "grüße");
    running.send("go", 0.25);
    running.send_text("go", "");
    let texts = running.texts(4);
    let texts: Vec<_> = texts.iter().map(|(channel, text)| (&channel[..], &text[..])).collect();
    assert_eq!(texts, [("out", "0.5"), ("out", "GRÜSSE"), ("out", "0.25"), ("out", "")]);
    assert_eq!(running.values("out", 2), [0.05, 0.0]);
    // The last values are numbers: texts do not change them.
    running.wait("the last line", |seen| seen.lines().len() == 4);
    running.monitor.inspect(|seen| {
        assert_eq!(seen.lines(), ["0.0 0.0", "0.5 0.05", "0.5 0.05", "0.25 0.0"]);
    });
}

#[test]
fn texts_of_imports_threads_and_slow_scripts_arrive() {
    let source = "
import midimonster, threading, time
midimonster.output('out', 'first')
midimonster.output('out', 'from the import')
print(midimonster.outputvalue('out'))
def go(value):
    time.sleep(0.2)
    threading.Thread(target=midimonster.output, args=('out', 'from a thread')).start()
def again(value):
    midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.texts(1);
    running.send("go", 1.0);
    let long = "x".repeat(1_024);
    for _ in 0..200 {
        running.send_text("again", &long);
    }
    let texts = running.texts(202);
    assert_eq!(texts[0].1, "from the import");
    assert!(texts.iter().any(|(_, text)| text == "from a thread"));
    assert_eq!(texts.iter().filter(|(_, text)| *text == long).count(), 200);
    running.printed("0.0");
}

#[test]
fn a_handler_that_computes_with_a_text_is_reported() {
    let source = "
import midimonster
def go(value): midimonster.output('out', 1 - value)
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send_text("go", "hello");
    running.logged(&["ERROR", "py", "the handler of `script.go` failed", "TypeError"]);
    running.send("go", 0.25);
    assert_eq!(running.values("out", 1), [0.75]);
}

#[test]
fn texts_for_a_script_that_has_failed_are_dropped_and_counted() {
    let running = Rig::script("import sys\nsys.exit(1)\n").map("probe.go > py.go").launch();
    running.wait_state("py", |state| state.word() == "failed");
    running.send_text("go", "hello");
    running.wait_state("py", |_| running.counters("py").dropped == 1);
}

#[test]
fn outputs_of_a_handler_have_the_root_of_its_input() {
    let source = "
import midimonster, threading
def tick():
    midimonster.interval(tick, 0)
    midimonster.output('tick', 1)
def go(value):
    midimonster.output('out', value)
    midimonster.output('text', 'x')
    thread = threading.Thread(target=midimonster.output, args=('thread', value))
    thread.start()
    thread.join()
def again(value):
    midimonster.output('out', value)
    midimonster.interval(tick, 10)
";
    let running = Rig::handlers(source)
        .map("probe.go > probe.direct\nprobe.again > probe.direct")
        .map("py.tick > probe.tick\npy.thread > probe.thread\npy.text > probe.text")
        .start();
    for (index, channel) in ["go", "go", "again"].into_iter().enumerate() {
        running.send(channel, index as f64 / 8.0);
        running.values("out", index + 1);
    }
    running.values("tick", 1);
    running.values("thread", 2);
    running.send_text("go", "hello");
    running.texts(3);
    running.monitor.inspect(|seen| {
        let roots_of = |name: &str| -> Vec<u32> {
            let named = seen.values.iter().zip(&seen.roots).filter(|(value, _)| value.0 == name);
            named.map(|(_, root)| *root).collect()
        };
        let direct = roots_of("direct");
        assert_eq!(roots_of("out"), direct, "the cause's");
        for name in ["tick", "thread"] {
            assert!(roots_of(name).iter().all(|root| !direct.contains(root)), "{name}: a new one");
        }
        let texts: Vec<_> =
            seen.texts.iter().filter(|text| text.0 == "text").map(|text| text.2).collect();
        assert_eq!(texts[..2], direct[..2]);
    });
}

#[test]
fn outputs_on_unmapped_channels_are_unmatched() {
    let source = "
import midimonster
midimonster.output('created', 0.25)
def go(value):
    midimonster.output('lamp', value)
    midimonster.output('lamp', 2)
    midimonster.output('label', 'hello')
    midimonster.output('n' * 2000, value)
    midimonster.output('created', value)
    midimonster.output('out', value)
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.values("out", 1);
    let live = running.handle.live();
    let py = live.find_instance("py").unwrap();
    assert_eq!(live.unmatched_count(py), 5, "a name above 1,024 bytes is left out");
    let mut unmatched = live.unmatched(py);
    unmatched.sort_by(|one, other| one.channel.cmp(&other.channel));
    let entries: Vec<_> = unmatched
        .iter()
        .map(|entry| (&*entry.channel, &*entry.types, entry.raw.to_string(), entry.count))
        .collect();
    assert_eq!(
        entries,
        [
            ("created", "float", "0.5".to_owned(), 2),
            ("label", "str", "\"hello\"".to_owned(), 1),
            ("lamp", "float", "1".to_owned(), 2)
        ]
    );
    assert!(live.input(py).0 >= 6, "what the script outputs is counted as its input");
}

#[test]
fn the_files_of_a_script_are_reported() {
    let source = "
import json, helper, midimonster, package.inner
def go(value):
    import late
    midimonster.output('out', value)
def again(value): pass
";
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("other.py");
    std::fs::write(&other, "import beside\n").unwrap();
    std::fs::write(elsewhere.path().join("beside.py"), "").unwrap();
    let mut rig = Rig::new().file("script.py", source);
    for name in ["helper.py", "late.py", "unused.py", "package/__init__.py", "package/inner.py"] {
        rig = rig.file(name, "");
    }
    let options = [("module", "script"), ("module", other.to_str().unwrap())];
    let map = "probe.go > py.script.go\npy.out > probe.out";
    let running = rig.python("py", &options).map(map).start();
    let files = || -> Vec<_> {
        let live = running.handle.live();
        let files = live.files(live.find_instance("py").unwrap());
        let folder = running.rig.path();
        let name = |file: &std::path::PathBuf| {
            file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned()
        };
        let mut files: Vec<_> = files.iter().map(name).collect();
        files.sort();
        files
    };
    let other = other.to_str().unwrap();
    let mut expected =
        vec![other, "helper.py", "package/__init__.py", "package/inner.py", "script.py"];
    assert_eq!(files(), expected);
    running.send("go", 0.5);
    running.values("out", 1);
    // What is imported later is reported with the next change of channels.
    running.adopt(
        &running.rig.another().python("py", &options).map(map).map("probe.again > py.script.again"),
    );
    let deadline = std::time::Instant::now() + DEADLINE;
    expected.insert(2, "late.py");
    while files() != expected {
        assert!(std::time::Instant::now() < deadline, "{:?}", files());
        std::thread::yield_now();
    }
}
