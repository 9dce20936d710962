//! No process of a script outlives the show, however the show ends, and no other process ends with
//! it.

#![cfg(all(feature = "lua", feature = "osc"))]
#![allow(missing_docs)]

mod support;

use support::{Show, wait_until};

/// A script that starts a process which leaves the group and the session of the worker, as a daemon
/// does; its parent has ended.
const SCRIPT: &str = "\
[lua script]
code = os.execute([[(setsid sh -c 'echo $$ > new; mv new daemon; exec sleep 1000' >/dev/null 2>&1 &)]])
";

fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn a_daemon_of_a_script_ends_with_the_show() {
    for signal in ["KILL", "INT", "ABRT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), ["", SCRIPT], |_| {});
        let file = folder.path().join("daemon");
        wait_until("the daemon is started", || file.exists());
        let daemon = std::fs::read_to_string(&file).expect("a number").trim().to_owned();
        assert!(is_running(&daemon), "{signal}: the daemon runs beside the show");
        // A process that is not the script's, started in the same way.
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().expect("started");
        show.signal(signal);
        wait_until("the end of the daemon", || !is_running(&daemon));
        show.wait();
        assert!(other.try_wait().expect("a child").is_none(), "{signal}: another process ended");
        let _ = other.kill();
        let _ = other.wait();
    }
}
