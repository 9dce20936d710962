//! Strangers at the control socket: whatever they do, the show routes, and the next one is
//! answered.
#![cfg(feature = "default")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use support::{DEADLINE, Show, command, until};

fn start() -> (tempfile::TempDir, Show) {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", ""], |_| {});
    (folder, show)
}

fn connect(folder: &Path, show: &Show) -> UnixStream {
    let path = folder.join(format!("consort/{}.sock", show.child.id()));
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    stream.set_write_timeout(Some(DEADLINE)).expect("set");
    stream
}

fn ask(stream: &UnixStream, request: &str) -> String {
    writeln!(&*stream, "{request}").expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

/// Whether this error says that the other side has gone, and not that time is up.
fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Checks that a place is free, and that the show is as it should be.
fn is_well(folder: &Path, show: &mut Show) {
    until("an onlooker is answered", || {
        let stream = connect(folder, show);
        let _ = (&stream).write_all(b"\"layout\"\n");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok_and(|_| line.contains("/a"))
    });
    show.routes();
}

#[test]
fn one_who_does_not_read_his_answers_is_dropped() {
    let (folder, mut show) = start();
    let requests = "\"layout\"\n".repeat(1_000);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut stream = connect(folder.path(), &show);
            let requests = &requests;
            scope.spawn(move || {
                let error = loop {
                    if let Err(error) = stream.write_all(requests.as_bytes()) {
                        break error;
                    }
                };
                assert!(is_gone(&error), "{error:?}");
            });
        }
    });
    is_well(folder.path(), &mut show);
}

#[test]
fn one_who_reads_his_answers_a_little_at_a_time_is_dropped() {
    let (folder, mut show) = start();
    let stream = connect(folder.path(), &show);
    let reading = stream.try_clone().expect("a descriptor");
    std::thread::spawn(move || {
        let mut byte = [0];
        while (&reading).read(&mut byte).is_ok_and(|count| count > 0) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let requests = "\"layout\"\n".repeat(1_000);
    let error = loop {
        if let Err(error) = (&stream).write_all(requests.as_bytes()) {
            break error;
        }
    };
    assert!(is_gone(&error), "{error:?}");
    is_well(folder.path(), &mut show);
}

#[test]
fn one_who_drips_his_request_is_dropped() {
    let (folder, mut show) = start();
    let stream = connect(folder.path(), &show);
    let mut written = 0;
    until("he is dropped", || {
        let done = (&stream).write_all(b"[");
        written += 1;
        std::thread::sleep(Duration::from_millis(20));
        done.is_err_and(|error| is_gone(&error))
    });
    assert!(written < 4_096, "that was the time, not the length");
    is_well(folder.path(), &mut show);
}

#[test]
fn one_without_end_is_told_and_dropped() {
    let (folder, mut show) = start();
    let stream = connect(folder.path(), &show);
    let answer = ask(&stream, &"x".repeat(100_000));
    assert_eq!(answer, "{\"error\":\"a line is longer than 4096 bytes\"}\n");
    drop(stream);
    is_well(folder.path(), &mut show);
}

#[test]
fn the_ninth_is_told_and_finds_a_place_when_one_leaves() {
    let (folder, mut show) = start();
    let mut onlookers: Vec<UnixStream> = (0..8).map(|_| connect(folder.path(), &show)).collect();
    for stream in &onlookers {
        assert!(ask(stream, "\"layout\"").contains("show.cfg"));
    }
    let mut status = command(folder.path());
    let output = status.arg("status").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("eight others look at it already"), "{said}");
    onlookers.pop();
    is_well(folder.path(), &mut show);
}

#[test]
fn a_show_that_hangs_hides_no_other() {
    let (folder, mut show) = start();
    let hanging = Show::start(folder.path(), ["", ""], |_| {});
    hanging.signal("STOP");
    let look = |arguments: &[&str]| {
        let mut run = command(folder.path());
        run.args(arguments).stdout(std::process::Stdio::piped());
        run.stderr(std::process::Stdio::piped());
        let output = run.output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, error) = look(&["status", "--json"]);
    let shows: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(shows.as_array().map(Vec::len), Some(1), "{out}");
    assert_eq!(shows[0]["process"], show.child.id());
    let words = format!("process {}: the show has not answered within", hanging.child.id());
    assert!(code == Some(1) && error.contains(&words), "{error}");
    let process = show.child.id().to_string();
    let (code, out, _) = look(&["status", &process]);
    assert!(code == Some(0) && out.contains("show.cfg: process"), "{out}");
    for command in ["status", "monitor"] {
        let (code, out, error) = look(&[command, "1"]);
        let words = "process 1 runs no show of this user; these do: ";
        assert!(code == Some(1) && (out + &error).contains(words), "{command}: {error}");
    }
    // So many have asked it that nobody else finds room; that is no reason to wait for ever.
    let path = folder.path().join(format!("consort/{}.sock", hanging.child.id()));
    let address = rustix::net::SocketAddrUnix::new(&path).expect("an address");
    let knock = || {
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        rustix::net::connect(socket.expect("a socket"), &address).is_ok()
    };
    assert!((0..100_000).any(|_| !knock()), "there is always room");
    let (code, out, error) = look(&["status"]);
    assert!(code == Some(1) && out.contains("show.cfg: process"), "{out}");
    let words = format!("process {}: the show lets nobody in any more", hanging.child.id());
    assert!(error.contains(&words), "{error}");
    hanging.signal("CONT");
    show.routes();
}

#[test]
fn what_fuzzing_knows_is_survived() {
    let (folder, mut show) = start();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/control_line");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        let stream = connect(folder.path(), &show);
        (&stream).write_all(&bytes[2..]).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("the end is said");
        let mut answers = String::new();
        (&stream).read_to_string(&mut answers).expect("answers, or none");
        let lines = bytes[2..].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(answers.lines().count(), lines, "{}: {answers}", path.display());
        count += 1;
    }
    assert!(count >= 15, "only {count} files");
    is_well(folder.path(), &mut show);
}
