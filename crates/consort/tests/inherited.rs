//! Shows that inherit blocked or ignored signals, low limits or closed descriptors from the program
//! that starts them: they route, restart workers, and end when asked to.

#![cfg(all(feature = "lua", feature = "osc"))]
#![allow(missing_docs, clippy::print_stderr)]

mod support;

use std::fs::File;
use std::process::Command;

use support::{Show, wait_until};

/// What a show inherits, as arguments of `env`, and as commands of a shell.
const DAMAGE: &[(&[&str], &str)] = &[
    (&["--block-signal"], ""),
    (&["--block-signal=INT,TERM,HUP,CHLD,ALRM"], "ulimit -n 64"),
    (&["--ignore-signal=CHLD,INT,TERM,ALRM,XFSZ"], ""),
    (&["--ignore-signal=CHLD", "--block-signal=TERM"], "ulimit -c 0; ulimit -f 1"),
    (&[], "exec <&-"),
    (&[], "exec >&-"),
    (&[], "exec <&- >&-"),
    (&["--block-signal"], "exec <&-; ulimit -f 0"),
    (&["--default-signal=PIPE", "--ignore-signal=PIPE"], "exec <&- >&-; ulimit -s 1024"),
];

/// Lets a command start through `env` and a shell that does damage.
fn through(run: &mut Command, arguments: &[&str], commands: &str) {
    let mut wrapped = Command::new("env");
    wrapped.args(arguments).args(["sh", "-c", &format!("{commands}\nexec \"$@\""), "sh"]);
    wrapped.arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    if let Some(folder) = run.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    *run = wrapped;
}

/// `env` can block signals since coreutils 8.31.
fn lacks_env() -> bool {
    let status = Command::new("env").args(["--block-signal=USR1", "true"]).status();
    let lacks = !status.is_ok_and(|status| status.success());
    if lacks {
        eprintln!("skipped: `env` cannot block signals");
    }
    lacks
}

/// A script that ends its process when it gets a 1, and otherwise answers.
const SCRIPT: &str = "\
[lua script]
code = function go(value) if value == 1 then os.execute('kill -KILL $PPID') end output('out', 1) end
[map]
in./go > script.go
script.out > out./answer
";

#[test]
fn inherited_damage_is_repaired() {
    if lacks_env() {
        return;
    }
    for (arguments, commands) in DAMAGE {
        for signal in ["INT", "TERM"] {
            let folder = tempfile::tempdir().expect("a folder");
            let log = folder.path().join("log");
            let more = ["/go = f 0.0 1.0", SCRIPT];
            let mut show = Show::start(folder.path(), more, |run| {
                through(run, arguments, commands);
                run.stderr(File::create(&log).expect("a file"));
            });
            // Under a limit for files, the log may end before this line.
            if !commands.contains("ulimit -f") {
                let count = |words: &str| {
                    std::fs::read_to_string(&log).expect("a log").matches(words).count()
                };
                wait_until("the script is loaded", || count("script: up") == 1);
                show.send_to("/go", 1.0);
                wait_until("the end of its process is noticed", || count("killed (SIGKILL)") == 1);
                wait_until("the script is loaded again", || count("script: up") == 2);
            }
            show.routes();
            show.signal(signal);
            let place = format!("{arguments:?} {commands} {signal}");
            wait_until(&format!("{place}: the end"), || {
                show.child.try_wait().expect("a child").is_some()
            });
            assert_eq!(show.wait().code(), Some(0), "{place}");
        }
    }
}
