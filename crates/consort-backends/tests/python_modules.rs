//! Which modules and handlers are found, where, and by which interpreter.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::process::Command;

use consort_router::State;
use python_support::{Rig, interpreter};

const PRINT: &str = "
import midimonster
def show(value):
    print(__name__, value)
";

#[test]
fn modules_are_found_by_name_path_and_package() {
    let rig = Rig::new()
        .file("plain.py", PRINT)
        .file("by_path.py", PRINT)
        .file("deep/down/under.py", PRINT)
        .file("box/__init__.py", PRINT)
        .file("box/inner.py", PRINT)
        .file("apart/__init__.py", "from . import part\nfrom .part import show\n")
        .file("apart/part.py", PRINT)
        .python(
            "py",
            &[
                ("module", "plain"),
                ("module", "by_path.py"),
                ("module", "deep/down/under.py"),
                ("module", "box.inner"),
                ("module", "./apart"),
            ],
        )
        .map(
            "probe.a > py.plain.show
             probe.a > py.by_path.show
             probe.a > py.under.show
             probe.a > py.box.show
             probe.a > py.box.inner.show
             probe.a > py.apart.show",
        );
    assert_eq!(rig.check(), [] as [String; 0]);
    let running = rig.start();
    running.send("a", 0.5);
    running.printed("apart.part 0.5");
    running.monitor.inspect(|seen| {
        assert_eq!(
            seen.lines(),
            ["plain 0.5", "by_path 0.5", "under 0.5", "box 0.5", "box.inner 0.5", "apart.part 0.5"]
        );
        assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn the_default_handler_handles_only_channels_without_a_dot() {
    let source = "
import midimonster
def default(value):
    print(midimonster.current(), value)
def own(value):
    print('own', value)
";
    let rig = Rig::new()
        .file("script.py", source)
        .python("py", &[("module", "script"), ("default-handler", "script.default")])
        .map(
            "probe.a > py.foo
             probe.a > py.script.own
             probe.a > py.script.nobody
             probe.a > py.bar",
        );
    let running = rig.start();
    running.send("a", 0.5);
    running.printed("bar 0.5");
    running.monitor.inspect(|seen| assert_eq!(seen.lines(), ["foo 0.5", "own 0.5", "bar 0.5"]));
    running.logged(&["py", "cannot use the handler `script.nobody`", "does not define `nobody`"]);
}

#[test]
fn a_missing_handler_is_reported_once_and_the_others_work() {
    let source = "
import midimonster
number = 5
def fine(value):
    midimonster.output('out', value)
";
    let rig = Rig::script(source).map(
        "probe.a > py.script.missing
         probe.a > py.script.number
         probe.a > py.elsewhere.handler
         probe.a > py.script.fine
         py.out > probe.out
         py.not.a_handler > probe.silent",
    );
    let running = rig.start();
    running.send("a", 0.25);
    running.send("a", 0.5);
    assert_eq!(running.values("out", 2), [0.25, 0.5]);
    running.monitor.inspect(|seen| {
        assert_eq!(seen.logged(&["WARN", "py", "`script.missing`"]), 1);
        assert_eq!(
            seen.logged(&[
                "WARN",
                "py",
                "`script.number`",
                "expected a function, found an object of type `int`"
            ]),
            1
        );
        assert_eq!(seen.logged(&["WARN", "py", "this instance has no module `elsewhere`"]), 1);
        assert_eq!(seen.logged(&["WARN"]), 3, "{:?}", seen.log);
    });
}

#[test]
fn scripts_have_the_documented_search_path_arguments_and_folders() {
    let source = "
import midimonster
import os
import sys
print(sys.path[0] == os.getcwd(), sys.argv)
print(os.path.exists('script.py'))
def go(value):
    import beside
    print(beside.word, os.path.exists('script.py'), os.getcwd())
    print('main', [name for name in vars(sys.modules['__main__']) if not name.startswith('__')])
    print('input', repr(sys.stdin.read()))
";
    let rig = Rig::new()
        .file("sub/script.py", source)
        .file("sub/beside.py", "word = 'found'\n")
        .python("py", &[("module", "script")])
        .in_folder("sub")
        .map("probe.go > py.script.go");
    let running = rig.start();
    running.send("go", 1.0);
    running.printed("input ''");
    let here = std::env::current_dir().unwrap();
    running.monitor.inspect(|seen| {
        let found = format!("found False {}", here.display());
        assert_eq!(seen.lines(), ["True ['']", "True", &found, "main []", "input ''"]);
    });
}

#[test]
fn local_files_shadow_neither_midimonster_nor_the_standard_library() {
    let source = "import midimonster\nmidimonster.output('out', 1)\n";
    let rig = Rig::script(source)
        .file("midimonster.py", "raise RuntimeError('the wrong one')\n")
        .file("struct.py", "raise RuntimeError('the wrong one')\n")
        .file("select.py", "raise RuntimeError('the wrong one')\n")
        .map("py.out > probe.out");
    let running = rig.start();
    running.values("out", 1);
    running.monitor.inspect(|seen| assert_eq!(seen.logged(&["wrong"]), 0));
}

#[test]
fn a_module_named_midimonster_is_rejected() {
    let rig = Rig::new().python("py", &[("module", "midimonster")]);
    assert!(
        rig.check()[0].starts_with("error: the module name `midimonster` is reserved: Consort")
    );
}

#[test]
fn instances_have_globals_of_their_own() {
    let source = "
import midimonster
count = 0
def add(value):
    global count
    count += 1
    midimonster.output('count', count / 10)
";
    let rig = Rig::new()
        .file("script.py", source)
        .python("one", &[("module", "script")])
        .python("two", &[("module", "script")])
        .map(
            "probe.a > one.script.add
             probe.b > two.script.add
             one.count > probe.one
             two.count > probe.two",
        );
    let running = rig.start();
    running.send("a", 1.0);
    running.send("a", 1.0);
    running.send("b", 1.0);
    assert_eq!(running.values("one", 2), [0.1, 0.2]);
    assert_eq!(running.values("two", 1), [0.1]);
}

#[test]
fn a_module_that_fails_is_reported_with_its_traceback_and_the_others_run() {
    let rig = Rig::new()
        .file("fine.py", "import midimonster\ndef go(value): midimonster.output('out', value)\n")
        .file("raises.py", "def inner():\n    raise ValueError('so not')\ninner()\n")
        .file("invalid.py", "def invalid(:\n    pass\n")
        .python(
            "py",
            &[
                ("module", "raises"),
                ("module", "invalid"),
                ("module", "absent_module"),
                ("module", "absent/file.py"),
                ("module", "fine"),
            ],
        )
        .map("probe.a > py.fine.go\nprobe.a > py.raises.inner\npy.out > probe.out");
    let running = rig.start();
    running.send("a", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.monitor.inspect(|seen| {
        let module = |name| format!("cannot import module `{name}`");
        let raised = [module("raises"), "so not".into(), "inner()".into()];
        assert_eq!(seen.logged(&[&raised[0], &raised[1], &raised[2]]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("raises"), "line 2, in inner"]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("invalid"), "SyntaxError"]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("absent_module"), "ModuleNotFoundError"]), 1);
        assert_eq!(seen.logged(&[&module("file"), "FileNotFoundError"]), 1);
        assert_eq!(seen.logged(&["ERROR"]), 4, "{:?}", seen.log);
        assert_eq!(seen.logged(&["<consort>"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn a_slow_import_delays_no_other_instance() {
    let slow = "
import os, time
while not os.path.exists('go'):
    time.sleep(0.01)
import midimonster
midimonster.output('out', 0.5)
def handler(value):
    midimonster.output('out', value)
";
    let rig = Rig::new()
        .file("slow.py", slow)
        .file("quick.py", "import midimonster\ndef go(value): midimonster.output('out', value)\n")
        .python("slow", &[("module", "slow")])
        .python("quick", &[("module", "quick")])
        .map(
            "probe.a > quick.quick.go
             probe.b > slow.slow.handler
             quick.out > probe.quick
             slow.out > probe.slow",
        );
    let running = rig.launch();
    running.wait_up("quick");
    running.send("b", 0.75);
    running.send("a", 0.25);
    assert_eq!(running.values("quick", 1), [0.25]);
    assert_eq!(running.state("slow"), State::Starting);
    std::fs::write(running.rig.path().join("go"), "").unwrap();
    // Values that arrive during the import are not lost.
    assert_eq!(running.values("slow", 2), [0.5, 0.75]);
}

#[test]
fn a_virtual_environment_is_used() {
    let rig = Rig::script(
        "import midimonster, sys, only_here\ndef go(value): print(sys.prefix, only_here.word)\n",
    );
    let venv = rig.path().join("venv");
    let status = Command::new(interpreter())
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .status()
        .expect("the interpreter runs");
    if !status.success() {
        assert!(std::env::var_os("CI").is_none(), "no venv module in CI");
        eprintln!("SKIPPED: virtual environments, {} has no venv module", interpreter());
        return;
    }
    let packages = Command::new(venv.join("bin/python"))
        .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .output()
        .unwrap();
    let packages = String::from_utf8(packages.stdout).unwrap();
    std::fs::write(std::path::Path::new(packages.trim()).join("only_here.py"), "word = 'here'\n")
        .unwrap();
    let rig = rig
        .python("other", &[("module", "script"), ("python", "venv")])
        .map("probe.go > other.script.go\nprobe.go > py.script.go");
    let prefix = std::fs::canonicalize(&venv).unwrap();
    let running = rig.start();
    running.send("go", 1.0);
    running.printed(&format!("{} here", prefix.display()));
    running.logged(&["py", "script", "No module named 'only_here'"]);
}

#[test]
fn check_reports_missing_modules_and_handlers() {
    let source = "
import midimonster
def lights(value): pass
class Thing:
    def method(self, value): pass
";
    let rig = Rig::new()
        .file("handlers.py", source)
        .file("free.py", "globals()['made'] = print\n")
        .python(
            "py",
            &[
                ("module", "handlers"),
                ("module", "handlrs"),
                ("module", "folder/absent.py"),
                ("module", "free"),
                ("default-handler", "handlers.nobody"),
                ("python", "no/such/python"),
            ],
        )
        .map(
            "probe.a > py.handlers.lights
             probe.a > py.handlers.ligths
             probe.a > py.handlers.method
             probe.a > py.handlers.Thing.method
             probe.a > py.free.made
             probe.a > py.unloaded.handler
             probe.a > py.plain
             py.handlers.only_output > probe.b",
        );
    let problems = rig.check();
    let expected = [
        ("no Python interpreter at", "venv"),
        ("no module `handlrs` in ", "did you mean `handlers`?"),
        ("absent.py` does not exist", ""),
        ("handlers.py does not define `ligths`", "did you mean `handlers.lights`?"),
        ("handlers.py does not define `method`", ""),
        ("`unloaded.handler` belongs to a module that is not loaded", "module = unloaded"),
        ("handlers.py does not define `nobody`", ""),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, (message, hint)) in problems.iter().zip(expected) {
        assert!(problem.starts_with("warning: "), "{problem}");
        assert!(problem.contains(message) && problem.contains(hint), "{problem} {message} {hint}");
    }
}

const GO: &str = "
import midimonster
def go(value):
    midimonster.output('out', value)
";

#[test]
fn names_can_have_dots_dashes_spaces_and_any_letters() {
    let rig = Rig::new()
        .file("my.lights.py", GO)
        .file("blue-lights.py", GO)
        .file("my scripts/light show.py", GO)
        .file(
            "lüster.py",
            "import midimonster\ndef glänzen(value): midimonster.output('färbe 色', value)\n",
        )
        .python(
            "py",
            &[
                ("module", "my.lights.py"),
                ("module", "blue-lights"),
                ("module", "my scripts/light show.py"),
                ("module", "lüster"),
            ],
        )
        .map(
            "probe.a > py.my.lights.go
             probe.b > py.blue-lights.go
             probe.c > py.light show.go
             probe.d > py.lüster.glänzen
             py.out > probe.out
             py.färbe 色 > probe.colour",
        );
    assert_eq!(rig.check(), [] as [String; 0]);
    let running = rig.start();
    for (channel, value) in [("a", 0.125), ("b", 0.25), ("c", 0.5), ("d", 1.0)] {
        running.send(channel, value);
    }
    assert_eq!(running.values("colour", 1), [1.0]);
    assert_eq!(running.values("out", 3), [0.125, 0.25, 0.5]);
    running.monitor.inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn files_in_one_folder_can_import_each_other() {
    let rig = Rig::new()
        .file("scripts/first.py", "import second\nfrom helper import double\ndef go(value): second.put(double(value))\n")
        .file("scripts/second.py", "import midimonster\ndef put(value): midimonster.output('out', value)\ndef name(value): import first; put(first.double(value))\n")
        .file("scripts/helper.py", "def double(value): return value * 2\n")
        .python("py", &[("module", "scripts/first.py"), ("module", "scripts/second.py")])
        .map("probe.a > py.first.go\nprobe.a > py.second.name\npy.out > probe.out");
    let running = rig.start();
    running.send("a", 0.25);
    assert_eq!(running.values("out", 2), [0.5, 0.5]);
}

#[test]
fn a_file_with_the_name_of_a_loaded_module_is_rejected() {
    let rig = Rig::new()
        .file("select.py", GO)
        .python("py", &[("module", "./select.py")])
        .map("probe.a > py.select.go\npy.out > probe.out");
    let running = rig.start();
    running.logged(&["ERROR", "py", "another module `select` is already loaded"]);
}
