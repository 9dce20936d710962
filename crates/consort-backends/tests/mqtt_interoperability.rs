//! `mqtt` with foreign brokers and clients: mosquitto (also with TLS) and amqtt.

#![cfg(feature = "mqtt")]
#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_backends::mqtt::DESCRIPTOR;
use consort_router::State;
use consort_router::testing::{Performance, TestShow, free_port};
use parking_lot::Mutex;
use tempfile::TempDir;

/// How long a condition may take, even on a busy computer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Finds a program on PATH or in the folder of system programs.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Prints why a test is skipped, or panics in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
}

fn has_mosquitto() -> bool {
    let has_all =
        ["mosquitto", "mosquitto_sub", "mosquitto_pub"].iter().all(|name| program(name).is_some());
    if !has_all {
        skip("no mosquitto (Debian: apt install mosquitto mosquitto-clients)");
    }
    has_all
}

/// A process that ends when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker that accepts connections.
struct Broker {
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl Broker {
    /// Starts mosquitto with further lines in its configuration; `{folder}` is its folder.
    fn mosquitto(folder: TempDir, lines: &str) -> Broker {
        let port = free_port();
        let path = folder.path().join("mosquitto.conf");
        let lines = lines.replace("{folder}", &folder.path().display().to_string());
        let user = "user root\n";
        std::fs::write(&path, format!("{user}listener {port} 127.0.0.1\n{lines}\n"))
            .expect("written");
        let mut broker = Broker { port, folder, process: None };
        broker.start();
        broker
    }

    fn start(&mut self) {
        let mut command = Command::new(program("mosquitto").expect("mosquitto"));
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        self.run(command);
    }

    fn run(&mut self, mut command: Command) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
        self.process = Some(Process(command.spawn().expect("started")));
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the broker does not start: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) {
        self.process = None;
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A foreign subscriber to all topics that prints topic, bytes, quality and retain flag.
    fn subscriber(&self, show: &mut Performance) -> Subscriber {
        let mut command = Command::new(program("mosquitto_sub").expect("mosquitto_sub"));
        command.args(["-V", "5", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "2"]);
        command.args(["-t", "#", "-F", "%t %x %q %r"]).stdout(Stdio::piped());
        let mut process = Process(command.spawn().expect("started"));
        let output = process.0.stdout.take().expect("piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                sink.lock().push(line);
            }
        });
        let subscriber = Subscriber { lines, _process: process };
        // It is ready when it receives something.
        show.until("the subscriber", |_| {
            self.publish("ready", "1", &[]);
            subscriber.has(|line| line.starts_with("ready "))
        });
        subscriber
    }

    /// Publishes with a foreign client.
    fn publish(&self, topic: &str, payload: &str, arguments: &[&str]) {
        let mut command = Command::new(program("mosquitto_pub").expect("mosquitto_pub"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic, "-m", payload]);
        assert!(command.args(arguments).status().expect("started").success());
    }
}

/// The lines that a foreign subscriber prints.
struct Subscriber {
    lines: Arc<Mutex<Vec<String>>>,
    _process: Process,
}

impl Subscriber {
    fn has(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.lines.lock().iter().any(|line| matches(line))
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock();
        lines.iter().filter(|line| !line.starts_with("ready ")).cloned().collect()
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_foreign_client_gets_and_sends_the_documented_bytes() {
    if !has_mosquitto() {
        return;
    }
    let broker = Broker::mosquitto(folder(), "allow_anonymous true");
    for (version, qos) in [("3.1.1", "0"), ("5", "1"), ("5", "2")] {
        let mut setup = TestShow::new();
        let host = broker.host();
        let options = [
            ("host", host.as_str()),
            ("protocol", version),
            ("qos", qos),
            ("retain", "on"),
            ("deg", "range -10 10"),
            ("lamp", "discrete 0 0.5 off"),
            ("lamp", "discrete 0.5 !1 on air"),
            ("wled#/bri", "range 0 255 decimals 0"),
        ];
        setup.instance(&DESCRIPTOR, "m", &options);
        for (source, target) in [
            ("probe.plain", "m./plain"),
            ("probe.deg", "m.deg"),
            ("probe.lamp", "m.lamp"),
            ("probe.bri", "m.wled#/bri"),
            ("m.in/+/x", "probe.in"),
            ("m.state#/seg/0/on", "probe.on"),
        ] {
            setup.map(source, target);
        }
        let mut show = setup.start();
        show.until_state("m", "up");
        let subscriber = broker.subscriber(&mut show);
        show.send_all(&[("plain", 0.5), ("deg", 0.25), ("lamp", 0.6), ("bri", 1.0)]);
        let expected = [
            ("/plain", "0.500000"),
            ("deg", "-5.000000"),
            ("lamp", "on air"),
            ("wled", r#"{"bri":255}"#),
        ];
        for (topic, text) in expected {
            // Alive subscribers get a message without the flag, later ones with it.
            let line = format!("{topic} {} {qos} ", hexadecimal(text));
            show.until(&line, |_| subscriber.has(|other| other.starts_with(&line)));
        }
        assert_eq!(show.counters("m").errors, 0, "{:?}", subscriber.lines());
        broker.publish("in/a/x", "0.25", &["-q", qos]);
        broker.publish("in/b/y", "1", &[]);
        broker.publish("state", r#"{"seg":[{"on":true}]}"#, &["-V", "5", "-q", "2"]);
        assert_eq!(show.receive(2), [("in".into(), 0.25), ("on".into(), 1.0)]);
        show.finish();
    }
}

#[test]
fn a_broker_that_is_restarted_is_connected_again() {
    if !has_mosquitto() {
        return;
    }
    let mut broker = Broker::mosquitto(folder(), "allow_anonymous true");
    let mut setup = TestShow::new();
    let host = broker.host();
    let options = [("host", host.as_str()), ("birth", "here yes"), ("will", "here no")];
    setup.instance(&DESCRIPTOR, "m", &[options.as_slice(), &[("retain", "on")]].concat());
    setup.map("m.a", "probe.a");
    setup.map("probe.b", "m.b");
    let mut show = setup.start();
    show.until_state("m", "up");
    broker.stop();
    show.until_state("m", "waiting");
    show.send_all(&[("b", 0.1), ("b", 0.9)]);
    broker.start();
    broker.publish("a", "0.5", &["-r"]);
    show.until_state("m", "up");
    assert_eq!(show.receive(1), [("a".into(), 0.5)]);
    let subscriber = broker.subscriber(&mut show);
    let newest = format!("b {} 0 1", hexadecimal("0.900000"));
    show.until("the newest value", |_| subscriber.has(|line| line == newest));
    let birth = format!("here {} 0 1", hexadecimal("yes"));
    show.until("the birth", |_| subscriber.has(|line| line == birth));
    drop(show);
    let will = format!("here {} 0 0", hexadecimal("no"));
    let deadline = Instant::now() + DEADLINE;
    while !subscriber.has(|line| line == will) {
        assert!(Instant::now() < deadline, "no will: {:?}", subscriber.lines());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a certificate authority, and certificates of a broker and a client.
fn make_certificates(folder: &Path) -> bool {
    let Some(openssl) = program("openssl") else {
        skip("no openssl on PATH");
        return false;
    };
    let run = |arguments: &str| {
        let mut command = Command::new(&openssl);
        command.current_dir(folder).args(arguments.split_whitespace());
        let output = command.output().expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch";
    run(&format!("{new} -x509 -days 30 -subj /CN=authority -keyout ca.key -out ca.crt"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost")
        .expect("written");
    for name in ["broker", "client"] {
        run(&format!("{new} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        run(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
             -extfile names -out {name}.crt"
        ));
    }
    true
}

#[test]
fn tls_checks_both_certificates() {
    if !has_mosquitto() {
        return;
    }
    let folder = folder();
    if !make_certificates(folder.path()) {
        return;
    }
    let broker = Broker::mosquitto(
        folder,
        "allow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/broker.crt\nkeyfile \
         {folder}/broker.key\nrequire_certificate true",
    );
    let connect = |options: &[(&str, &str)], state: &str| -> (Performance, State) {
        let mut setup = TestShow::new();
        setup.directory = broker.folder.path().to_owned();
        let host = format!("mqtts://{}", broker.host());
        setup.instance(&DESCRIPTOR, "m", &[&[("host", host.as_str())], options].concat());
        setup.map("probe.a", "m.a");
        setup.map("m.#", "probe.b");
        let mut show = setup.start();
        show.until_state("m", state);
        let state = show.state("m");
        (show, state)
    };
    let client = [("certificate", "client.crt"), ("key", "client.key")];
    let authority = [("ca", "ca.crt")];
    // Large enough for several TLS records.
    let text = "0.5".repeat(300);
    for insecure in [false, true] {
        let trust = if insecure { [("insecure", "on")] } else { authority };
        let (mut sender, _) = connect(&[client.as_slice(), &trust].concat(), "up");
        let (mut receiver, _) = connect(&[client.as_slice(), &trust].concat(), "up");
        let mut count = 0;
        receiver.until("values", |receiver| {
            // The subscription may not have arrived yet.
            sender.send_all(&[("a", 0.5); 100]);
            sender.send_text("a", &text);
            count = receiver.received().len();
            count >= 1_000
        });
        assert!(receiver.received().iter().all(|value| *value == ("b".into(), 0.5)));
    }
    let (_, state) = connect(&client, "waiting");
    let reason = state.reason().unwrap_or_default();
    assert!(reason.contains("TLS") && reason.contains("certificate"), "{reason}");
    let (_, state) = connect(&authority, "waiting");
    assert!(state.reason().is_some(), "the broker requires a certificate");
}

/// A show that shares the channels `a` and `b`.
fn sharing(broker: &Broker, name: &str, options: &[(&str, &str)]) -> Performance {
    let mut setup = TestShow::new();
    let host = broker.host();
    let own = [("host", host.as_str()), ("share", "on"), ("prefix", "test/bus"), ("name", name)];
    setup.instance(&DESCRIPTOR, "bus", &[own.as_slice(), options].concat());
    for channel in ["a", "b"] {
        setup.map(&format!("probe.to-{channel}"), &format!("bus.{channel}"));
        setup.map(&format!("bus.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = setup.start();
    show.until_state("bus", "up");
    show
}

fn details(show: &Performance) -> String {
    show.router.handle().live().details(show.id("bus")).unwrap_or_default()
}

/// The last value of a channel that a show has received.
fn last(show: &Performance, channel: &str) -> Option<f64> {
    let received = show.received();
    received.iter().rev().find(|(name, _)| name == channel).map(|(_, value)| *value)
}

/// Turns both shows until a condition holds.
fn both(
    first: &mut Performance,
    second: &mut Performance,
    what: &str,
    done: impl Fn(&Performance, &Performance) -> bool,
) {
    let step = |show: &mut Performance| {
        show.router.step(Some(Duration::from_millis(1))).expect("a turn");
    };
    let deadline = Instant::now() + DEADLINE;
    while !done(first, second) {
        assert!(
            Instant::now() < deadline,
            "waited for {what}: {:?} {:?}",
            (first.received(), details(first)),
            (second.received(), details(second))
        );
        step(first);
        step(second);
    }
}

#[test]
fn shows_share_values_and_release_those_of_a_show_that_is_gone() {
    if !has_mosquitto() {
        return;
    }
    let broker = Broker::mosquitto(folder(), "allow_anonymous true");
    for options in [&[][..], &[("qos", "0")], &[("protocol", "3.1.1"), ("qos", "2")]] {
        let mut left = sharing(&broker, "left", &[options, &[("on-loss", "zero")]].concat());
        let mut right = sharing(&broker, "right", options);
        both(&mut left, &mut right, "presence", |left, right| {
            details(left).contains("right") && details(right).contains("left")
        });
        left.send("to-a", 0.25);
        assert_eq!(last(&left, "a"), Some(0.25), "the own mappings follow at once");
        both(&mut left, &mut right, "a", |_, right| last(right, "a") == Some(0.25));
        right.send("to-b", 0.75);
        both(&mut left, &mut right, "b", |left, _| last(left, "b") == Some(0.75));
        // Both write at once: the broker's order decides.
        left.send("to-b", 0.1);
        right.send("to-b", 0.2);
        both(&mut left, &mut right, "one value", |left, right| {
            let values = (last(left, "b"), last(right, "b"));
            values == (Some(0.1), Some(0.1)) || values == (Some(0.2), Some(0.2))
        });
        right.send("to-b", 0.9);
        both(&mut left, &mut right, "the last value", |left, _| last(left, "b") == Some(0.9));
        let mut late = sharing(&broker, "late", options);
        both(&mut late, &mut right, "the stored values", |late, _| {
            last(late, "a") == Some(0.25) && last(late, "b") == Some(0.9)
        });
        // The process ends without saying so.
        drop(right);
        both(&mut left, &mut late, "the release", |left, _| last(left, "b") == Some(0.0));
        assert_eq!(last(&late, "b"), Some(0.9), "the default is to hold");
        assert_eq!(last(&left, "a"), Some(0.25));
        both(&mut left, &mut late, "absence", |left, late| {
            !details(left).contains("right") && !details(late).contains("right")
        });
        // Its values are deleted at the broker within a second, and new shows do not get them.
        let subscriber = broker.subscriber(&mut left);
        both(&mut left, &mut late, "the deletion", |_, _| {
            subscriber.has(|line| line.starts_with("test/bus/value/b  "))
        });
        let mut newest = sharing(&broker, "newest", options);
        both(&mut left, &mut newest, "the state", |_, newest| last(newest, "a") == Some(0.25));
        assert_eq!(last(&newest, "b"), None);
        for show in [&mut left, &mut late, &mut newest] {
            assert_eq!(show.counters("bus").errors, 0);
            show.finish();
        }
    }
}

#[test]
fn a_show_that_returns_publishes_its_values_again() {
    if !has_mosquitto() {
        return;
    }
    let mut broker = Broker::mosquitto(folder(), "allow_anonymous true");
    let mut left = sharing(&broker, "left", &[]);
    let mut right = sharing(&broker, "right", &[]);
    left.send("to-a", 0.5);
    both(&mut left, &mut right, "a", |_, right| last(right, "a") == Some(0.5));
    broker.stop();
    both(&mut left, &mut right, "the loss", |left, right| {
        left.state("bus").word() == "waiting" && right.state("bus").word() == "waiting"
    });
    right.send("to-b", 0.3);
    left.send("to-a", 0.6);
    left.send("to-a", 0.7);
    assert_eq!(last(&left, "a"), Some(0.7), "the own mappings continue");
    // Nothing is stored in the new broker.
    broker.start();
    both(&mut left, &mut right, "the same values", |left, right| {
        (last(left, "b"), last(right, "a")) == (Some(0.3), Some(0.7))
    });
}

/// The files of examples/several-machines as they are, but for the port.
#[test]
fn the_example_with_certificates_and_access_rights_works() {
    if !has_mosquitto() {
        return;
    }
    if program("openssl").is_none() {
        return skip("no openssl on PATH");
    }
    let folder = folder();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/several-machines");
    for name in ["mosquitto.conf", "acl", "make-certificates"] {
        std::fs::copy(example.join(name), folder.path().join(name)).expect("copied");
    }
    let mut command = Command::new("sh");
    command.args(["make-certificates", "127.0.0.1", "stage", "foh", "display"]);
    let output = command.current_dir(folder.path()).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let port = free_port();
    let path = folder.path().join("mosquitto.conf");
    let text = std::fs::read_to_string(&path).expect("read");
    let listener = format!("user root\nlistener {port} 127.0.0.1");
    std::fs::write(&path, text.replace("listener 8883", &listener)).expect("written");
    let mut broker = Broker { port, folder, process: None };
    let mut command = Command::new(program("mosquitto").expect("mosquitto"));
    command.args(["-c", "mosquitto.conf"]).current_dir(broker.folder.path());
    broker.run(command);
    let show = |name: &str| -> Performance {
        let mut setup = TestShow::new();
        setup.directory = broker.folder.path().to_owned();
        let host = format!("mqtts://{}", broker.host());
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let options = [
            ("host", host.as_str()),
            ("ca", "ca.crt"),
            ("certificate", &certificate),
            ("key", &key),
            ("share", "on"),
            ("prefix", "consort/bus"),
            ("name", name),
        ];
        setup.instance(&DESCRIPTOR, "bus", &options);
        setup.map("probe.to-a", "bus.a");
        setup.map("bus.a", "probe.a");
        let mut show = setup.start();
        show.until_state("bus", "up");
        show
    };
    let (mut stage, mut foh) = (show("stage"), show("foh"));
    both(&mut stage, &mut foh, "presence", |stage, foh| {
        details(stage).contains("foh") && details(foh).contains("stage")
    });
    stage.send("to-a", 0.5);
    both(&mut stage, &mut foh, "the value", |_, foh| last(foh, "a") == Some(0.5));
    // It may read, but neither write nor announce itself.
    let mut display = show("display");
    both(&mut display, &mut foh, "the refusal", |display, _| display.counters("bus").errors > 0);
    assert!(!details(&foh).contains("display"), "{}", details(&foh));
}

#[test]
fn amqtt_is_a_second_broker() {
    let Some(venv) = std::env::var_os("CONSORT_VENV").map(PathBuf::from) else {
        return skip("CONSORT_VENV is not set (PyPI: amqtt)");
    };
    let folder = folder();
    let port = free_port();
    let path = folder.path().join("amqtt.yaml");
    let text = format!(
        "listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\nplugins:\n  \
         amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    );
    std::fs::write(&path, text).expect("written");
    let mut broker = Broker { port, folder, process: None };
    let mut command = Command::new(venv.join("bin/amqtt"));
    command.arg("-c").arg(&path);
    broker.run(command);
    for qos in ["0", "1", "2"] {
        let mut setup = TestShow::new();
        let host = broker.host();
        let options = [("host", host.as_str()), ("protocol", "3.1.1"), ("qos", qos)];
        setup.instance(&DESCRIPTOR, "m", &options);
        setup.instance(&DESCRIPTOR, "n", &options);
        setup.map("probe.x", "m.stage/x");
        setup.map("n.stage/+", "probe.y");
        let mut show = setup.start();
        show.until_state("m", "up");
        show.until_state("n", "up");
        show.until("a value", |show| {
            // The subscription may not have arrived yet.
            show.send("x", 0.5);
            !show.received().is_empty()
        });
        assert_eq!(show.received()[0], ("y".into(), 0.5));
        show.finish();
    }
}
