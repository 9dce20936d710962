//! Standard output and standard error as they are on bad days: closed, full, or read by nobody.
//! A show goes on in all of them.
#![cfg(feature = "default")]

mod support;

use std::fs::File;
use std::io::{PipeReader, Read};
use std::sync::{Arc, Mutex};

use support::{Show, command, until};

/// A pipe that nobody reads any more.
fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

/// A pipe that takes nothing more, and what will read it one day.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("set");
    let mut piece = &[b'x'; 4_096][..];
    while !piece.is_empty() {
        match rustix::io::write(&writer, piece) {
            Ok(_) => {}
            Err(_) => piece = &piece[piece.len() / 2 + 1..],
        }
    }
    rustix::io::ioctl_fionbio(&writer, false).expect("set");
    (reader, writer)
}

fn full_disk() -> File {
    File::options().write(true).open("/dev/full").expect("/dev/full")
}

/// A show that logs each event; it must route more of them than any pipe holds lines.
fn routes_while_it_logs(show: &mut Show) {
    for _ in 0..300 {
        for number in 0..20 {
            show.send(number as f32 / 20.0);
        }
        show.routes();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut reader, writer) = full_pipe();
    let log_all = ["[backend osc]\ndetect = on", ""];
    let mut show = Show::start(folder.path(), log_all, |run| {
        run.stderr(writer);
    });
    routes_while_it_logs(&mut show);
    // It ends, too, though its last words find no reader.
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    let mut text = Vec::new();
    reader.read_to_end(&mut text).expect("what stood in the pipe");
    assert!(text.iter().all(|&byte| byte == b'x'), "nothing else found room");
}

#[test]
fn a_log_that_is_read_late_says_how_many_lines_were_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut reader, writer) = full_pipe();
    let log_all = ["[backend osc]\ndetect = on", ""];
    let mut show = Show::start(folder.path(), log_all, |run| {
        run.stderr(writer);
    });
    routes_while_it_logs(&mut show);
    let text = Arc::<Mutex<String>>::default();
    let heard = Arc::clone(&text);
    let reading = std::thread::spawn(move || {
        let mut piece = [0; 65_536];
        while let Ok(count @ 1..) = reader.read(&mut piece) {
            *heard.lock().expect("it") += &String::from_utf8_lossy(&piece[..count]);
        }
    });
    // All that waited; then there is room again.
    until("the log moves", || text.lock().expect("it").matches('\n').count() >= 4_096);
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    reading.join().expect("read");
    let text = text.lock().expect("it");
    let lost = text.lines().find(|line| line.contains("lines of the log were lost here"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lost.is_some(), "{} lines, the last: {:?}", lines.len(), lines.last());
    assert!(text.contains("in, 0 out, 0 dropped, 0 errors"), "the last lines are there");
}

#[test]
fn a_log_on_a_full_disk_or_a_closed_pipe_stops_no_show() {
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
fn lines_of_the_view_that_nobody_takes_stop_no_show() {
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
        until("the view gives up", || {
            std::fs::read_to_string(&log).expect("a log").contains("the show goes on")
        });
        show.routes();
        show.signal("INT");
        assert_eq!(show.wait().code(), Some(0), "on a disk: {is_disk}");
    }
}

#[test]
fn scripts_that_print_where_nobody_reads_stop_no_show() {
    if support::lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = "def heard(value):\n    print(value, flush=True)\n    open('called', 'w')\n";
    std::fs::write(folder.path().join("printing.py"), script).expect("written");
    let more = ["", "[python script]\nmodule = printing\n[map]\nin./a > script.printing.heard"];
    let mut show = Show::start(folder.path(), more, |run| {
        run.stdout(closed_pipe());
    });
    until("the script is called", || {
        show.send(0.5);
        folder.path().join("called").exists()
    });
    show.routes();
    show.signal("INT");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
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
    // A full disk is one.
    let mut run = command(folder.path());
    run.arg("backends").stdout(full_disk()).stderr(std::process::Stdio::piped());
    let output = run.output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

#[test]
fn a_second_signal_ends_a_show_that_cleans_up() {
    if support::lacks_python() {
        return;
    }
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), support::slow_clean_up(folder.path()), |_| {});
        until("the script runs", || folder.path().join("imported").exists());
        show.signal(name);
        until("it cleans up", || folder.path().join("cleaning").exists());
        let status = show.signal_until_it_ends(name);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(number));
    }
}

#[test]
fn a_key_that_bounces_is_pressed_once_and_what_cleans_up_is_let() {
    if support::lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let more = support::clean_up(folder.path(), "open('cleaned', 'w').close()");
    let mut show = Show::start(folder.path(), more, |_| {});
    until("the script runs", || folder.path().join("imported").exists());
    for _ in 0..5 {
        show.signal("INT");
    }
    assert_eq!(show.wait().code(), Some(0));
    assert!(folder.path().join("cleaned").exists());
}

#[test]
fn scripts_in_lua_that_print_where_nobody_reads_stop_no_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_reader, writer) = full_pipe();
    let script = "code = interval(function() print('tick', nil, 1.0) io.write('tock\\n') end, 10)";
    let more = format!("[lua script]\n{script}");
    let log = folder.path().join("log");
    let mut show = Show::start(folder.path(), ["", &more], |run| {
        run.stdout(writer).stderr(File::create(&log).expect("a file"));
    });
    until("it prints into the log", || {
        let said = std::fs::read_to_string(&log).expect("a log");
        said.matches("tick\tnil\t1.0 instance=\"script\"").count() > 3 && said.contains(" tock ")
    });
    show.routes();
    show.signal("INT");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_filter_of_the_log_hides_no_error_that_it_does_not_speak_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |filter: &str| {
        let mut run = command(folder.path());
        run.arg("monitor").env("CONSORT_LOG", filter).stderr(std::process::Stdio::piped());
        let output = run.output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for filter in ["", "debug", "consort_router=trace", "verbose", "warn"] {
        assert!(said(filter).contains("no show of this user runs"), "{filter}");
    }
    let refused = said("consort=loud");
    for words in ["CONSORT_LOG=consort=loud cannot be read", "no show of this user runs"] {
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(said("off"), "");
}

#[test]
fn what_the_sockets_folder_lacks_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = folder.path().join("a".repeat(100));
    std::fs::create_dir(&long).expect("made");
    for (runtime, words) in [
        (folder.path().join("none"), "none/consort cannot be made; have XDG_RUNTIME_DIR name"),
        (long, ".sock cannot be made: "),
    ] {
        let log = folder.path().join("log");
        let mut show = Show::start(folder.path(), ["", ""], |run| {
            run.env("XDG_RUNTIME_DIR", &runtime).stderr(File::create(&log).expect("a file"));
        });
        until("it is said", || {
            let said = std::fs::read_to_string(&log).expect("a log");
            said.contains("cannot attach") && said.contains(words)
        });
        show.routes();
    }
}
