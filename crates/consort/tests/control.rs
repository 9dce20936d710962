//! Misbehaving clients of the control socket: the show keeps routing, and the next client is
//! answered.
#![cfg(feature = "default")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use support::{Show, WAIT_TIMEOUT, command, wait_until};

fn start() -> (tempfile::TempDir, Show) {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", ""], |_| {});
    (folder, show)
}

fn connect(folder: &Path, show: &Show) -> UnixStream {
    let path = folder.join(format!("consort/{}.sock", show.child.id()));
    let stream = UnixStream::connect(path).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    stream.set_write_timeout(Some(WAIT_TIMEOUT)).expect("set");
    stream
}

fn ask(stream: &UnixStream, request: &str) -> String {
    writeln!(&*stream, "{request}").expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

/// Whether an error means that the other side has disconnected, rather than a timeout.
fn is_disconnected(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Checks that the show answers another client and still routes.
fn assert_show_works(folder: &Path, show: &mut Show) {
    wait_until("a client is answered", || {
        let stream = connect(folder, show);
        let _ = (&stream).write_all(b"\"layout\"\n");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok_and(|_| line.contains("/a"))
    });
    show.routes();
}

#[test]
fn a_client_that_does_not_read_its_answers_is_disconnected() {
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
                assert!(is_disconnected(&error), "{error:?}");
            });
        }
    });
    assert_show_works(folder.path(), &mut show);
}

#[test]
fn a_client_that_reads_its_answers_too_slowly_is_disconnected() {
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
    assert!(is_disconnected(&error), "{error:?}");
    assert_show_works(folder.path(), &mut show);
}

#[test]
fn a_client_that_sends_its_request_too_slowly_is_disconnected() {
    let (folder, mut show) = start();
    let stream = connect(folder.path(), &show);
    let mut written = 0;
    wait_until("the client is disconnected", || {
        let result = (&stream).write_all(b"[");
        written += 1;
        std::thread::sleep(Duration::from_millis(20));
        result.is_err_and(|error| is_disconnected(&error))
    });
    assert!(written < 8_192, "the length limit was reached before the time limit");
    assert_show_works(folder.path(), &mut show);
}

#[test]
fn a_request_that_is_too_long_is_rejected() {
    let (folder, mut show) = start();
    let stream = connect(folder.path(), &show);
    let answer = ask(&stream, &"x".repeat(5 << 20));
    assert_eq!(answer, "{\"error\":\"a line is longer than 4194304 bytes\"}\n");
    drop(stream);
    assert_show_works(folder.path(), &mut show);
}

#[test]
fn the_ninth_client_is_refused_until_another_disconnects() {
    let (folder, mut show) = start();
    let mut clients: Vec<UnixStream> = (0..8).map(|_| connect(folder.path(), &show)).collect();
    for stream in &clients {
        assert!(ask(stream, "\"layout\"").contains("show.cfg"));
    }
    let mut status = command(folder.path());
    let output = status.arg("status").stderr(std::process::Stdio::piped()).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("8 monitors are already attached, which is the maximum"), "{error}");
    clients.pop();
    assert_show_works(folder.path(), &mut show);
}

#[test]
fn a_show_that_hangs_does_not_hide_the_others() {
    let (folder, mut show) = start();
    let hanging = Show::start(folder.path(), ["", ""], |_| {});
    hanging.signal("STOP");
    let consort = |arguments: &[&str]| {
        let mut run = command(folder.path());
        run.args(arguments).stdout(std::process::Stdio::piped());
        run.stderr(std::process::Stdio::piped());
        let output = run.output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, error) = consort(&["status", "--json"]);
    let shows: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(shows.as_array().map(Vec::len), Some(1), "{out}");
    assert_eq!(shows[0]["process"], show.child.id());
    let words = format!("process {}: the show did not respond within", hanging.child.id());
    assert!(code == Some(1) && error.contains(&words), "{error}");
    let process = show.child.id().to_string();
    let (code, out, _) = consort(&["status", &process]);
    assert!(code == Some(0) && out.contains("show.cfg: process"), "{out}");
    for command in ["status", "monitor"] {
        let (code, out, error) = consort(&[command, "1"]);
        let words = "process 1 does not run a show; running shows: ";
        assert!(code == Some(1) && (out + &error).contains(words), "{command}: {error}");
    }
    // Connecting must not block when the queue of the hanging show is full.
    let path = folder.path().join(format!("consort/{}.sock", hanging.child.id()));
    let address = rustix::net::SocketAddrUnix::new(&path).expect("an address");
    let can_connect = || {
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        rustix::net::connect(socket.expect("a socket"), &address).is_ok()
    };
    assert!((0..100_000).any(|_| !can_connect()), "the queue never filled");
    let (code, out, error) = consort(&["status"]);
    assert!(code == Some(1) && out.contains("show.cfg: process"), "{out}");
    let words =
        format!("process {}: too many monitors are waiting for the show", hanging.child.id());
    assert!(error.contains(&words), "{error}");
    hanging.signal("CONT");
    show.routes();
}

#[test]
fn the_show_survives_the_fuzzing_corpus() {
    let (folder, mut show) = start();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/control_line");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        let stream = connect(folder.path(), &show);
        // The first two bytes of a file are parameters of the fuzz target.
        (&stream).write_all(&bytes[2..]).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        let mut answers = String::new();
        (&stream).read_to_string(&mut answers).expect("answers, or none");
        let lines = bytes[2..].iter().filter(|&&byte| byte == b'\n').count();
        // A subscription sends changes between the answers.
        let answers = answers.lines().filter(|line| !line.starts_with("{\"delta\"")).count();
        assert_eq!(answers, lines, "{}", path.display());
        count += 1;
    }
    assert!(count >= 15, "only {count} files");
    assert_show_works(folder.path(), &mut show);
}
