//! `consort learn` beside the show that runs.
#![cfg(feature = "default")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Show, command};

#[test]
fn learning_attaches_to_the_running_show_and_writes_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", "; a comment that stays"], |_| {});
    let mut learn = command(folder.path());
    learn.args(["learn", "--write", "--to", "out", "show.cfg", "in"]);
    let mut child = learn.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut notices = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut notice = move |beginning: &str| {
        notices.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(beginning)))
    };
    assert!(notice("Attached to show.cfg").is_some());
    assert!(notice("Move every control").is_some());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for value in [0.0, 64.0, 127.0] {
                    show.send_to("/raw", value);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let is_found = notice("in./raw    f ").is_some();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(is_found);
    });
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().expect("kill").success());
    let printed = std::io::read_to_string(child.stdout.take().expect("a pipe")).expect("UTF-8");
    assert!(child.wait().expect("ended").success(), "{printed}");
    assert!(printed.contains("+/raw = f 0 127"), "{printed}");
    assert!(printed.contains("+in./raw > out./raw"), "{printed}");
    let text = std::fs::read_to_string(folder.path().join("show.cfg")).expect("the file");
    assert!(text.contains("/raw = f 0 127\n") && text.contains("; a comment that stays"), "{text}");
    drop(show);
}
