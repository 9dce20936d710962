//! Running shows from the outside: status, monitors, test values, learning, the service manager,
//! realtime priority, generated pages, and the demo without a terminal.
#![cfg(feature = "default")]

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running show; killed when this is dropped.
struct Show {
    child: Child,
    folder: tempfile::TempDir,
    output: UdpSocket,
    input: u16,
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.env("XDG_RUNTIME_DIR", folder).current_dir(folder).stdin(Stdio::null());
    command
}

fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

fn message(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = address.as_bytes().to_vec();
    bytes.resize(address.len() / 4 * 4 + 4, 0);
    [&bytes, &b",f\0\0"[..], &value.to_be_bytes()].concat()
}

/// Starts a show that forwards `/a` as `/b`, and waits until it does.
fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Show {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, port) = socket();
    let input = socket().1;
    let text = format!(
        "[osc in]\nbind = 127.0.0.1 {input}\n[osc out]\ndestination = 127.0.0.1 {port}\n\
         [map]\nin./a > out./b\n"
    );
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let mut run = command(folder.path());
    run.args(arguments).arg("show.cfg").envs(environment.iter().copied());
    let child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let show = Show { child, folder, output, input };
    show.wait_until(|| {
        show.send("/a", 0.25);
        show.output.recv(&mut [0; 64]).is_ok()
    });
    show
}

impl Show {
    fn send(&self, address: &str, value: f32) {
        // Fails while the show does not listen yet.
        let _ = self.output.send_to(&message(address, value), ("127.0.0.1", self.input));
    }

    fn wait_until(&self, mut is_true: impl FnMut() -> bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !is_true() {
            assert!(Instant::now() < deadline, "not within {WAIT_TIMEOUT:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn socket(&self) -> UnixStream {
        let path = self.folder.path().join(format!("consort/{}.sock", self.child.id()));
        UnixStream::connect(path).expect("connected")
    }

    fn status(&self) -> serde_json::Value {
        let output = command(self.folder.path()).args(["status", "--json"]).output().expect("runs");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn ask(stream: &UnixStream, request: &str) -> String {
    writeln!(&*stream, "{request}").expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

#[test]
fn status_lists_running_shows_and_removes_stale_sockets() {
    let mut show = start(&["run"], &[]);
    let shows = show.status();
    assert_eq!(shows[0]["show"], "show.cfg");
    assert_eq!(shows[0]["process"], show.child.id());
    let tablet = &shows[0]["instances"][0];
    assert_eq!((&tablet["name"], &tablet["state"]), (&"in".into(), &"up".into()));
    assert_eq!(tablet["channels"][0]["name"], "/a");
    assert_eq!(tablet["channels"][0]["value"], 0.25);
    let text = command(show.folder.path()).arg("status").output().expect("runs");
    assert!(String::from_utf8_lossy(&text.stdout).contains("show.cfg: process"), "{text:?}");
    // A killed show leaves its socket behind; the next `status` removes it.
    show.child.kill().expect("killed");
    show.child.wait().expect("reaped");
    let sockets =
        || std::fs::read_dir(show.folder.path().join("consort")).expect("a folder").count();
    assert_eq!(sockets(), 1);
    let none = command(show.folder.path()).args(["status", "--json"]).output().expect("runs");
    assert_eq!((none.status.code(), none.stdout.as_slice()), (Some(1), &b"[]\n"[..]));
    assert_eq!(sockets(), 0);
}

#[test]
fn a_test_value_is_routed_and_invalid_requests_are_answered() {
    let show = start(&["run"], &[]);
    let stream = show.socket();
    let sent = ask(
        &stream,
        r#"{"set":{"generation":1,"instance":0,"channel":0,"content":{"value":0.75}}}"#,
    );
    assert_eq!(sent, "\"done\"\n");
    let mut buffer = [0; 64];
    show.wait_until(|| {
        show.output.recv(&mut buffer).is_ok_and(|count| buffer[..count] == message("/b", 0.75))
    });
    for request in [
        r#"{"set":{"generation":1,"instance":9,"channel":0,"content":{"value":0.5}}}"#,
        r#"{"set":{"generation":1,"instance":0,"channel":9,"content":{"value":0.5}}}"#,
    ] {
        let answer = ask(&stream, request);
        assert!(answer.starts_with("{\"error\":\"the "), "{answer}");
    }
    assert!(ask(&stream, "nonsense").starts_with("{\"error\""));
    // A request that is too long is refused, and the show continues.
    let endless = show.socket();
    assert!(ask(&endless, &"x".repeat(100_000)).starts_with("{\"error\""));
    // More clients than the maximum are refused; later another one is accepted.
    let others: Vec<UnixStream> = (0..20).map(|_| show.socket()).collect();
    drop(others);
    show.wait_until(|| {
        let next = show.socket();
        let _ = writeln!(&next, "\"layout\"");
        let mut line = String::new();
        BufReader::new(&next).read_line(&mut line).is_ok_and(|_| line.contains("/a"))
    });
}

#[test]
fn the_folder_of_sockets_must_be_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let sockets = folder.path().join("consort");
    std::fs::create_dir(&sockets).expect("made");
    std::fs::set_permissions(&sockets, PermissionsExt::from_mode(0o777)).expect("set");
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    let show = start(&["run"], &[("XDG_RUNTIME_DIR", &path)]);
    assert_eq!(std::fs::read_dir(&sockets).expect("a folder").count(), 0);
    drop(show);
}

#[test]
fn the_view_without_a_terminal_prints_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("show.cfg"), "[loopback a]\n[map]\na.x > a.y\n")
        .expect("written");
    let mut run = command(folder.path());
    run.args(["run", "--monitor", "show.cfg"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = run.spawn().expect("started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    // The show would not end by itself.
    let _ = child.kill();
    let _ = child.wait();
    assert!(line.ends_with("no changes\n"), "{line}");
}

#[test]
fn learning_lists_unmapped_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sender, _) = socket();
    let input = socket().1;
    let text = format!("[osc in]\nbind = 127.0.0.1 {input}\n[loopback l]\n[map]\nin./a > l.a\n");
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let wrong =
        command(folder.path()).args(["learn", "show.cfg", "tablet"]).output().expect("runs");
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("hint: the instances are: in, l"),
        "{wrong:?}"
    );
    let mut learn = command(folder.path());
    learn.args(["learn", "show.cfg", "in"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = learn.spawn().expect("started");
    let mut notices = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut notice = move |beginning: &str| {
        notices.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(beginning)))
    };
    assert!(notice("Move every control").is_some());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let moving = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            for (address, value) in [("/a", 0.5), ("/new/1", 0.25), ("/new/1", 0.75)] {
                let _ = sender.send_to(&message(address, value), ("127.0.0.1", input));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert!(notice("in./new/1    f 0.").is_some());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    moving.join().expect("sent");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().expect("kill").success());
    // The result alone is on standard output, so that it can be piped.
    let result = std::io::read_to_string(child.stdout.take().expect("a pipe")).expect("UTF-8");
    let rest: Vec<&str> = result.lines().collect();
    assert!(rest.contains(&"in./new/1 > TARGET"), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("; mapped: in./a, ")), "{rest:?}");
    assert!(!rest.iter().any(|line| line.starts_with("in./a")), "{rest:?}");
    assert!(child.wait().expect("ended").success());
}

#[test]
fn learning_reports_why_an_instance_receives_nothing() {
    // The show is running already, or another program uses its port.
    let (_taken, port) = socket();
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("[osc in]\nbind = 127.0.0.1 {port}\n[loopback l]\n[map]\nin./a > l.a\n");
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let mut learn = command(folder.path());
    let output = learn.args(["learn", "--seconds", "1", "show.cfg", "in"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("`in` received nothing that moved."), "{text}");
    let reason = format!("The instance is waiting: port {port} is in use");
    assert!(text.contains(&reason), "{text}");
}

#[test]
fn a_service_manager_is_notified_of_readiness_keep_alive_and_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let name = path.to_str().expect("UTF-8");
    let mut show = start(&["run"], &[("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "100000")]);
    let receive = || {
        let mut buffer = [0; 64];
        let count = manager.recv(&mut buffer).expect("a datagram");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    assert_eq!(receive(), "READY=1");
    for _ in 0..5 {
        assert_eq!(receive(), "WATCHDOG=1");
    }
    let id = show.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().expect("kill").success());
    while receive() != "STOPPING=1" {}
    assert!(show.child.wait().expect("ended").success());
}

#[test]
fn a_show_runs_whether_or_not_realtime_is_allowed() {
    let show = start(&["run", "--realtime=3"], &[]);
    let shows = ask(&show.socket(), r#"{"read":{"generation":1,"log_from":0}}"#);
    let has_log = |text: &str| shows.contains(text);
    assert!(has_log("realtime: memory locked") || has_log("cannot lock memory"), "{shows}");
    // /proc/PID/stat, proc(5): field 41 is the policy, 40 the realtime priority.
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", show.child.id())).expect("the process");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name")..].split(' ').collect();
    if has_log("cannot use SCHED_FIFO with priority 3") {
        assert!(has_log("LimitRTPRIO"), "{shows}");
        assert_eq!(fields[39], "0", "{stat}");
    } else {
        assert!(has_log("realtime: SCHED_FIFO with priority 3"), "{shows}");
        assert_eq!((fields[38], fields[39]), ("3", "1"), "{stat}");
    }
}

/// The scheduling policy and realtime priority of a process or thread; /proc/PID/stat, proc(5),
/// fields 41 and 40, and the parent, field 4.
fn scheduling(path: &Path) -> Option<(String, String, u32)> {
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')?..].split(' ').collect();
    Some((fields[39].to_owned(), fields[38].to_owned(), fields[2].parse().ok()?))
}

#[test]
fn under_realtime_scripts_and_helpers_keep_normal_priority() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("script.py"), "import midimonster\n").expect("written");
    let text =
        "[python one]\nmodule = script\n[python two]\nmodule = script\n[map]\none.x > two.y\n";
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let mut run = command(folder.path());
    run.args(["run", "--realtime=3", "show.cfg"]).stdout(Stdio::null()).stderr(Stdio::null());
    let (output, _) = socket();
    let show = Show { child: run.spawn().expect("started"), folder, output, input: 0 };
    let is_up = |instance: &serde_json::Value| instance["state"] == "up";
    show.wait_until(|| {
        let mut status = command(show.folder.path());
        let output = status.args(["status", "--json"]).output().expect("runs");
        let shows: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let instances = shows[0]["instances"].as_array();
        instances.is_some_and(|instances| instances.iter().all(is_up))
    });
    let id = show.child.id();
    let normal = ("0".to_owned(), "0".to_owned());
    let mut helpers = 0;
    for entry in std::fs::read_dir(format!("/proc/{id}/task")).expect("threads") {
        let path = entry.expect("an entry").path();
        let Some((policy, priority, _)) = scheduling(&path) else { continue };
        if path.ends_with(id.to_string()) {
            let is_fifo = (policy.as_str(), priority.as_str()) == ("1", "3");
            let is_root = rustix::process::geteuid().is_root();
            println!("router: policy {policy}, priority {priority}");
            assert!(is_fifo || !is_root, "root is allowed: policy {policy}, priority {priority}");
        } else {
            helpers += 1;
            assert_eq!((policy, priority), normal, "{}", path.display());
        }
    }
    let mut workers = 0;
    for entry in std::fs::read_dir("/proc").expect("processes") {
        let path = entry.expect("an entry").path();
        let Some((policy, priority, parent)) = scheduling(&path) else { continue };
        if parent == id {
            workers += 1;
            assert_eq!((policy, priority), normal, "{}", path.display());
            let status = std::fs::read_to_string(path.join("status")).expect("a status");
            assert!(
                status.contains("VmLck:\t       0 kB"),
                "the worker's memory is locked: {status}"
            );
        }
    }
    println!("{helpers} helper threads and {workers} workers at normal priority");
    assert!(helpers >= 3 && workers >= 2, "{helpers} threads, {workers} workers");
}

#[test]
fn man_pages_and_completions_are_generated() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = command(folder.path()).args(arguments).output().expect("runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    run(&["generate", "man", "pages"]);
    let page = std::fs::read_to_string(folder.path().join("pages/consort-run.1")).expect("a page");
    assert!(page.contains("realtime") && page.contains("monitor"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let text = run(&["generate", "completions", shell]);
        assert!(text.contains("monitor") && text.contains("consort"), "{text}");
    }
}

/// The output of the demo without a terminal.
fn demo(environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(folder.path());
    command.env("TMPDIR", folder.path()).envs(environment.iter().copied());
    let output = command.args(["demo", "--seconds", "3"]).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let sound = text.lines().find_map(|line| line.trim_start().strip_prefix("the sound: "));
    if let Some(path) = sound.and_then(|rest| rest.split(" (").next()) {
        assert!(std::fs::metadata(path).expect("a file").len() > 500_000, "{text}");
    }
    text
}

#[test]
fn the_demo_without_a_sound_system_renders_its_sound() {
    if let Err(error) = consort_sc::find_executable(None) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {error}");
        println!("SKIPPED: the demo's sound: {error}");
        return;
    }
    // There is no JACK server of this name.
    let text = demo(&[("JACK_DEFAULT_SERVER", "consort-missing")]);
    assert!(text.contains("found no sound system") && text.contains("server = score"), "{text}");
    let line = text.lines().find(|line| line.contains("the sound: ")).expect("a line");
    let (_, loudness) = line.split_once("peak ").expect("a peak");
    let decibels: f64 = loudness.split(" dB").next().unwrap_or_default().parse().expect("dB");
    assert!((-20.0..0.0).contains(&decibels), "{line}");
    assert!(!line.contains("reported"), "{line}");
    println!("{line}");
}

#[test]
fn the_demo_without_a_terminal() {
    let text = demo(&[("CONSORT_SCSYNTH", "no-such-scsynth")]);
    for part in ["tablet./fader/1", "Traffic:", "the lamps received", "Next steps:"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    // Without a sound server, the demo reports what to install.
    assert!(text.contains("the demo runs without sound") && text.contains("apt install"), "{text}");
    assert!(!text.contains("[sc sound]"), "{text}");
    let numbers = |part: &str| -> Vec<u64> {
        let line = text.lines().find(|line| line.contains(part)).expect("a line");
        let digits = line.split(|letter: char| !letter.is_ascii_digit());
        digits.filter_map(|digits| digits.parse().ok()).collect()
    };
    assert!(numbers("the lamps received")[0] > 50, "{text}");
    // The demo names the sequencer that it uses, and leaves no note on.
    let has_kernel = std::fs::File::options().read(true).write(true).open("/dev/snd/seq").is_ok();
    let engine = if has_kernel { "the kernel's sequencer" } else { "the embedded sequencer" };
    assert!(text.contains(&format!("MIDI uses {engine}")), "{text}");
    assert!(numbers("the keyboard played")[0] > 5, "{text}");
    let [received] = numbers("the synth received")[..] else { panic!("{text}") };
    assert!(received > 5 && text.contains("notes, no stuck notes"), "{text}");
}
