//! A show continues when its standard output or standard error is closed, full or not read.
#![cfg(feature = "default")]

mod support;

use std::fs::File;
use std::io::{PipeReader, Read};
use std::sync::Arc;

use parking_lot::Mutex;
use support::{Show, command, wait_until};

/// A pipe whose reader is closed.
fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

/// A pipe that is full, and its reader.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("set");
    let mut chunk = &[b'x'; 4_096][..];
    while !chunk.is_empty() {
        match rustix::io::write(&writer, chunk) {
            Ok(_) => {}
            Err(_) => chunk = &chunk[chunk.len() / 2 + 1..],
        }
    }
    rustix::io::ioctl_fionbio(&writer, false).expect("set");
    (reader, writer)
}

fn full_disk() -> File {
    File::options().write(true).open("/dev/full").expect("/dev/full")
}

/// Routes more events than a pipe holds lines, in a show that logs each event.
fn routes_while_it_logs(show: &mut Show) {
    for _ in 0..300 {
        for number in 0..20 {
            show.send(number as f32 / 20.0);
        }
        show.routes();
    }
}

#[test]
fn a_log_that_is_not_read_does_not_stop_the_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut reader, writer) = full_pipe();
    let log_all = ["[backend osc]\ndetect = on", ""];
    let mut show = Show::start(folder.path(), log_all, |run| {
        run.stderr(writer);
    });
    routes_while_it_logs(&mut show);
    // The show also ends, although its last lines cannot be written.
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    let mut text = Vec::new();
    reader.read_to_end(&mut text).expect("the contents of the pipe");
    assert!(text.iter().all(|&byte| byte == b'x'), "nothing else was written");
}

#[test]
fn a_log_that_is_read_late_reports_how_many_lines_were_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut reader, writer) = full_pipe();
    let log_all = ["[backend osc]\ndetect = on", ""];
    let mut show = Show::start(folder.path(), log_all, |run| {
        run.stderr(writer);
    });
    routes_while_it_logs(&mut show);
    let text = Arc::<Mutex<String>>::default();
    let received = Arc::clone(&text);
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            *received.lock() += &String::from_utf8_lossy(&buffer[..count]);
        }
    });
    // The whole queue is written; then new lines fit again.
    wait_until("the queue is written", || text.lock().matches('\n').count() >= 4_096);
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    reading.join().expect("read");
    let text = text.lock();
    let lost = text.lines().find(|line| line.contains("log lines lost here"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lost.is_some(), "{} lines, the last: {:?}", lines.len(), lines.last());
    assert!(text.contains("in, 0 out, 0 dropped, 0 errors"), "the last lines are missing");
}

#[test]
fn a_log_on_a_full_disk_or_a_closed_pipe_does_not_stop_the_show() {
    for is_disk in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), ["", ""], |run| {
            if is_disk {
                run.stderr(full_disk());
            } else {
                run.stderr(closed_pipe());
            }
        });
        show.routes();
        show.signal("INT");
        assert_eq!(show.wait().code(), Some(0), "on a disk: {is_disk}");
    }
}

#[test]
fn a_view_that_cannot_print_does_not_stop_the_show() {
    for is_disk in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut show = Show::start(folder.path(), ["", ""], |run| {
            run.arg("--monitor").stderr(File::create(&log).expect("a file"));
            if is_disk {
                run.stdout(full_disk());
            } else {
                run.stdout(closed_pipe());
            }
        });
        wait_until("the view gives up", || {
            std::fs::read_to_string(&log).expect("a log").contains("the show continues")
        });
        show.routes();
        show.signal("INT");
        assert_eq!(show.wait().code(), Some(0), "on a disk: {is_disk}");
    }
}

#[test]
fn scripts_that_print_to_a_closed_pipe_do_not_stop_the_show() {
    if support::lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = "def receive(value):\n    print(value, flush=True)\n    open('called', 'w')\n";
    std::fs::write(folder.path().join("printing.py"), script).expect("written");
    let more = ["", "[python script]\nmodule = printing\n[map]\nin./a > script.printing.receive"];
    let mut show = Show::start(folder.path(), more, |run| {
        run.stdout(closed_pipe());
    });
    wait_until("the script is called", || {
        show.send(0.5);
        folder.path().join("called").exists()
    });
    show.routes();
    show.signal("INT");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_closed_standard_output_is_not_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in
        [&["backends"][..], &["backends", "python"], &["generate", "completions", "bash"]]
    {
        let mut run = command(folder.path());
        run.args(arguments).stdout(closed_pipe()).stderr(std::process::Stdio::piped());
        let output = run.output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    // A full disk is an error.
    let mut run = command(folder.path());
    run.arg("backends").stdout(full_disk()).stderr(std::process::Stdio::piped());
    let output = run.output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

#[test]
fn a_second_signal_ends_a_show_during_its_clean_up() {
    if support::lacks_python() {
        return;
    }
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), support::slow_clean_up(folder.path()), |_| {});
        wait_until("the script runs", || folder.path().join("imported").exists());
        show.signal(name);
        wait_until("the script cleans up", || folder.path().join("cleaning").exists());
        let status = show.signal_until_it_ends(name);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(number));
    }
}

#[test]
fn bouncing_signals_count_as_one_and_do_not_skip_the_clean_up() {
    if support::lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let more = support::clean_up(folder.path(), "open('cleaned', 'w').close()");
    let mut show = Show::start(folder.path(), more, |_| {});
    wait_until("the script runs", || folder.path().join("imported").exists());
    for _ in 0..5 {
        show.signal("INT");
    }
    assert_eq!(show.wait().code(), Some(0));
    assert!(folder.path().join("cleaned").exists());
}

#[test]
fn lua_scripts_that_print_to_a_full_pipe_continue() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_reader, writer) = full_pipe();
    let script = "\
code = count = 0
code = function tick() print(('x'):rep(500000)) count = count + 1 end
code = interval(function() tick() if count == 50 then io.open('alive', 'w'):close() end end, 10)";
    let more = format!("[lua script]\n{script}");
    let log = folder.path().join("log");
    let mut show = Show::start(folder.path(), ["", &more], |run| {
        run.stdout(writer).stderr(File::create(&log).expect("a file"));
    });
    wait_until("the script continues", || folder.path().join("alive").exists());
    show.routes();
    show.signal("INT");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_log_filter_does_not_hide_errors_of_modules_that_it_does_not_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let logged = |filter: &str| {
        let mut run = command(folder.path());
        run.arg("monitor").env("CONSORT_LOG", filter).stderr(std::process::Stdio::piped());
        let output = run.output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for filter in ["", "debug", "consort_router=trace", "verbose", "warn"] {
        assert!(logged(filter).contains("no running show found"), "{filter}");
    }
    let text = logged("consort=loud");
    for words in ["warning: invalid log filter CONSORT_LOG=consort=loud: ", "no running show found"]
    {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(logged("off"), "");
}

#[test]
fn a_missing_or_too_long_folder_for_sockets_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = folder.path().join("a".repeat(100));
    std::fs::create_dir(&long).expect("made");
    for (runtime, words) in [
        (
            folder.path().join("none"),
            "none/consort; set XDG_RUNTIME_DIR to a folder that you own: ",
        ),
        (long, ".sock: "),
    ] {
        let log = folder.path().join("log");
        let mut show = Show::start(folder.path(), ["", ""], |run| {
            run.env("XDG_RUNTIME_DIR", &runtime).stderr(File::create(&log).expect("a file"));
        });
        wait_until("the warning is logged", || {
            let text = std::fs::read_to_string(&log).expect("a log");
            text.contains("cannot attach") && text.contains("cannot create") && text.contains(words)
        });
        show.routes();
    }
}
