//! Which modules are found, where, by which interpreter; and which handlers.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::process::Command;

use consort_router::State;
use python_support::{Rig, interpreter};

const TELL: &str = "
import midimonster
def tell(value):
    print(__name__, value)
";

#[test]
fn modules_by_name_path_and_package() {
    let rig = Rig::new()
        .file("plain.py", TELL)
        .file("by_path.py", TELL)
        .file("deep/down/under.py", TELL)
        .file("box/__init__.py", TELL)
        .file("box/inner.py", TELL)
        .file("apart/__init__.py", "from . import part\nfrom .part import tell\n")
        .file("apart/part.py", TELL)
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
            "probe.a > py.plain.tell
             probe.a > py.by_path.tell
             probe.a > py.under.tell
             probe.a > py.box.tell
             probe.a > py.box.inner.tell
             probe.a > py.apart.tell",
        );
    assert_eq!(rig.check(), [] as [String; 0]);
    let running = rig.start();
    running.send("a", 0.5);
    running.printed("apart.part 0.5");
    running.witness.look(|seen| {
        assert_eq!(
            seen.lines(),
            ["plain 0.5", "by_path 0.5", "under 0.5", "box 0.5", "box.inner 0.5", "apart.part 0.5"]
        );
        assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn the_default_handler_takes_unqualified_channels_only() {
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
    running.witness.look(|seen| assert_eq!(seen.lines(), ["foo 0.5", "own 0.5", "bar 0.5"]));
    running.logged(&["py", "`script.nobody` is not there", "no `nobody`"]);
}

#[test]
fn one_unresolved_handler_breaks_nothing_and_is_named_once() {
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
    running.witness.look(|seen| {
        assert_eq!(seen.logged(&["WARN", "py", "`script.missing`"]), 1);
        assert_eq!(seen.logged(&["WARN", "py", "`script.number`", "no function but int"]), 1);
        assert_eq!(seen.logged(&["WARN", "py", "no module `elsewhere`"]), 1);
        assert_eq!(seen.logged(&["WARN"]), 3, "{:?}", seen.log);
    });
}

#[test]
fn the_search_path_the_arguments_and_the_folders() {
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
        .within("sub")
        .map("probe.go > py.script.go");
    let running = rig.start();
    running.send("go", 1.0);
    running.printed("input ''");
    let here = std::env::current_dir().unwrap();
    running.witness.look(|seen| {
        let found = format!("found False {}", here.display());
        assert_eq!(seen.lines(), ["True ['']", "True", &found, "main []", "input ''"]);
    });
}

#[test]
fn a_local_midimonster_never_shadows_ours_nor_a_local_file_the_library() {
    let source = "import midimonster\nmidimonster.output('out', 1)\n";
    let rig = Rig::script(source)
        .file("midimonster.py", "raise RuntimeError('the wrong one')\n")
        .file("struct.py", "raise RuntimeError('the wrong one')\n")
        .file("select.py", "raise RuntimeError('the wrong one')\n")
        .map("py.out > probe.out");
    let running = rig.start();
    running.values("out", 1);
    running.witness.look(|seen| assert_eq!(seen.logged(&["wrong"]), 0));
}

#[test]
fn a_module_called_midimonster_is_refused() {
    let rig = Rig::new().python("py", &[("module", "midimonster")]);
    assert!(rig.check()[0].starts_with("error: `midimonster` is the module that consort itself"));
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
fn a_module_that_fails_is_told_with_its_traceback_and_the_others_run() {
    let rig = Rig::new()
        .file("fine.py", "import midimonster\ndef go(value): midimonster.output('out', value)\n")
        .file("raises.py", "def inner():\n    raise ValueError('so not')\ninner()\n")
        .file("broken.py", "def broken(:\n    pass\n")
        .python(
            "py",
            &[
                ("module", "raises"),
                ("module", "broken"),
                ("module", "absent_module"),
                ("module", "absent/file.py"),
                ("module", "fine"),
            ],
        )
        .map("probe.a > py.fine.go\nprobe.a > py.raises.inner\npy.out > probe.out");
    let running = rig.start();
    running.send("a", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.witness.look(|seen| {
        let module = |name| format!("the module `{name}` cannot be imported");
        let raised = [module("raises"), "so not".into(), "inner()".into()];
        assert_eq!(seen.logged(&[&raised[0], &raised[1], &raised[2]]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("raises"), "line 2, in inner"]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("broken"), "SyntaxError"]), 1, "{:?}", seen.log);
        assert_eq!(seen.logged(&[&module("absent_module"), "ModuleNotFoundError"]), 1);
        assert_eq!(seen.logged(&[&module("file"), "FileNotFoundError"]), 1);
        assert_eq!(seen.logged(&["ERROR"]), 4, "{:?}", seen.log);
        assert_eq!(seen.logged(&["<consort>"]), 0, "{:?}", seen.log);
    });
}

#[test]
fn a_slow_import_delays_nobody() {
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
    // What came during the import is not lost.
    assert_eq!(running.values("slow", 2), [0.5, 0.75]);
}

#[test]
fn another_interpreter_a_virtual_environment() {
    let rig = Rig::script(
        "import midimonster, sys, only_here\ndef go(value): print(sys.prefix, only_here.word)\n",
    );
    let venv = rig.path().join("venv");
    let made = Command::new(interpreter())
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .status()
        .expect("the interpreter runs");
    if !made.success() {
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
fn a_check_sees_what_is_missing() {
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
    let found = rig.check();
    let expected = [
        ("there is no interpreter at", "venv"),
        ("there is no module `handlrs`", "did you mean `handlers`?"),
        ("there is no file", ""),
        ("there is no `ligths`", "did you mean `handlers.lights`?"),
        ("there is no `method`", ""),
        ("`unloaded.handler` belongs to a module that is not loaded", "module = unloaded"),
        ("there is no `nobody`", ""),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (message, hint)) in found.iter().zip(expected) {
        assert!(found.starts_with("warning: "), "{found}");
        assert!(found.contains(message) && found.contains(hint), "{found} {message} {hint}");
    }
}

const GO: &str = "
import midimonster
def go(value):
    midimonster.output('out', value)
";

#[test]
fn names_with_dots_dashes_spaces_and_letters_of_all_kinds() {
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
    running.witness.look(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn files_of_one_folder_import_each_other() {
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
fn a_file_with_the_name_of_a_loaded_module_is_refused() {
    let rig = Rig::new()
        .file("select.py", GO)
        .python("py", &[("module", "./select.py")])
        .map("probe.a > py.select.go\npy.out > probe.out");
    let running = rig.start();
    running.logged(&["ERROR", "py", "`select`", "another module of that name"]);
}
