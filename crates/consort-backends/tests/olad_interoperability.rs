//! `ola` and `openpixelcontrol` with foreign programs: olad with its Open Pixel Control plugin, and
//! the client of the Python package `opclib`.
//!
//! `CONSORT_OLAD_RESTARTS` is how often olad is killed and started again; `tests/soak/56-olad.sh`
//! does it a hundred times.

#![cfg(all(feature = "ola", feature = "openpixelcontrol"))]
#![allow(clippy::print_stdout)]

use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consort_backends::{ola, openpixelcontrol};
use consort_router::testing::{Performance, TestShow, free_port};
use tempfile::TempDir;

/// How long a condition may take, even on a busy computer.
const DEADLINE: Duration = Duration::from_secs(60);

/// The plugins of olad that must not run: they use the network or look for devices.
const OTHER_PLUGINS: &[&str] = &[
    "artnet",
    "e131",
    "espnet",
    "ftdidmx",
    "gpio",
    "karate",
    "kinet",
    "milinst",
    "nanoleaf",
    "opendmx",
    "osc",
    "pathport",
    "renard",
    "sandnet",
    "shownet",
    "spi",
    "stageprofi",
    "uartdmx",
    "usbdmx",
    "usbpro",
    "usbserial",
];

/// Prints why a test is skipped, or panics in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The user that olad runs as if this is root, which it refuses to be.
fn user() -> Option<u32> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("olad:"));
    let id = line.and_then(|line| line.split(':').nth(2)?.parse().ok());
    Some(id.unwrap_or(65_534))
}

/// A running olad, which ends when this is dropped.
struct Olad {
    folder: TempDir,
    rpc_port: u16,
    /// Where its Open Pixel Control plugin listens; strip 1 is universe 5.
    listen_port: u16,
    process: Option<Child>,
}

impl Olad {
    /// Writes the configuration. Universe 6 is sent to strip 2 of the server at `target`.
    fn configure(target: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (rpc_port, listen_port) = (free_port(), free_port());
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        for plugin in OTHER_PLUGINS {
            write(&format!("ola-{plugin}.conf"), "enabled = false\n");
        }
        write("ola-dummy.conf", "enabled = true\n");
        let (listen, target) = (format!("127.0.0.1:{listen_port}"), format!("127.0.0.1:{target}"));
        let plugin = format!(
            "enabled = true\nlisten = {listen}\nlisten_{listen}_channel = 1\n\
             target = {target}\ntarget_{target}_channel = 2\n"
        );
        write("ola-openpixelcontrol.conf", &plugin);
        write("ola-port.conf", &format!("21-{listen}-I-1 = 5\n21-{target}-O-2 = 6\n"));
        write("ola-universe.conf", "uni_5_name = Front of house\nuni_6_name = Strips\n");
        let user = user();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .expect("permissions");
        let files = std::fs::read_dir(folder.path()).expect("the folder");
        let files = files.map(|entry| entry.expect("a file").path());
        for path in files.chain([folder.path().to_owned()]) {
            chown(path, user, None).expect("the owner");
        }
        Olad { folder, rpc_port, listen_port, process: None }
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        let mut command = Command::new(program("olad").expect("olad"));
        command.args(["--no-http", "--no-register-with-dns-sd", "-l", "3", "-c"]);
        command.arg(self.folder.path()).args(["-r", &self.rpc_port.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
        if let Some(user) = user() {
            command.uid(user);
        }
        command.spawn().expect("started")
    }

    /// Starts it, again if its port is still taken by the one before.
    fn start(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let mut child = self.spawn();
        while TcpStream::connect(("127.0.0.1", self.listen_port)).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "olad does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
            if child.try_wait().expect("a child").is_some() {
                child = self.spawn();
            }
        }
        self.process = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Olad {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Turns until a condition holds; `until` of the fixture has a shorter deadline.
fn until(show: &mut Performance, what: &str, mut done: impl FnMut(&Performance) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done(show) {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for: {what}");
        show.router.step(Some(Duration::from_millis(5))).expect("a turn");
    }
}

/// Sends a value, and turns until the probe has received it elsewhere.
fn pass(show: &mut Performance, from: &str, to: &str, value: f64) {
    let seen = show.received().len();
    show.send(from, value);
    until(show, &format!("{value} from {from} at {to}"), |show| {
        show.received()[seen..].iter().any(|(name, found)| (&**name, *found) == (to, value))
    });
}

#[test]
fn values_pass_through_olad_in_both_directions_however_often_it_is_killed() {
    if program("olad").is_none() {
        return skip("no olad (Debian: apt install ola)");
    }
    let restarts = std::env::var("CONSORT_OLAD_RESTARTS").ok();
    let restarts: usize = restarts.map_or(1, |text| text.parse().expect("a number"));
    let target = free_port();
    let mut olad = Olad::configure(target);
    let mut setup = TestShow::new();
    setup.backend(&ola::DESCRIPTOR, &[("host", &format!("127.0.0.1 {}", olad.rpc_port))]);
    // One universe by its name, one by its number.
    setup.instance(&ola::DESCRIPTOR, "front", &[("universe", "Front of house")]);
    setup.instance(&ola::DESCRIPTOR, "strips", &[("universe", "6")]);
    let destination = format!("127.0.0.1 {}", olad.listen_port);
    setup.instance(&openpixelcontrol::DESCRIPTOR, "client", &[("destination", &destination)]);
    let listen = format!("127.0.0.1 {target}");
    setup.instance(&openpixelcontrol::DESCRIPTOR, "server", &[("listen", &listen)]);
    // Open Pixel Control to olad to `ola`, and `ola` to olad to Open Pixel Control.
    setup.map("probe.a", "client.strip1.blue2");
    setup.map("front.6", "probe.b");
    setup.map("probe.c", "strips.4");
    setup.map("server.strip2.red2", "probe.d");
    let mut show = setup.start();
    until(&mut show, "the reason", |show| show.state("strips").word() == "waiting");
    for round in 0..=restarts {
        olad.start();
        let started = Instant::now();
        for name in ["front", "strips", "client", "server"] {
            until(&mut show, &format!("{name} to be up in round {round}"), |show| {
                show.state(name).word() == "up"
            });
        }
        let level = |offset: usize| ((round * 2 + offset) % 254 + 1) as f64 / 255.0;
        pass(&mut show, "a", "b", level(0));
        pass(&mut show, "c", "d", level(1));
        if round < restarts {
            // A connection that lasts for a second is tried again quickly.
            until(&mut show, "a second", |_| started.elapsed() > Duration::from_millis(1_100));
            olad.kill();
            for name in ["front", "strips", "client"] {
                until(&mut show, &format!("{name} to wait in round {round}"), |show| {
                    show.state(name).word() == "waiting"
                });
            }
        }
    }
    println!("olad was killed and started again {restarts} times; {:?}", show.counters("front"));
}

#[test]
fn a_client_of_another_project_sends_pixels() {
    let Some(venv) = std::env::var_os("CONSORT_VENV").map(PathBuf::from) else {
        return skip("CONSORT_VENV is not set (PyPI: opclib)");
    };
    let python = venv.join("bin/python3");
    let has_package = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import opclib"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !has_package(&python) {
        return skip("no opclib in CONSORT_VENV (PyPI: opclib)");
    }
    let port = free_port();
    let listen = format!("127.0.0.1 {port}");
    let mut setup = TestShow::new();
    setup.instance(&openpixelcontrol::DESCRIPTOR, "leds", &[("listen", &listen)]);
    setup.map("leds.strip3.green2", "probe.green");
    setup.map("leds.strip1.red1", "probe.all");
    let mut show = setup.start();
    show.until_state("leds", "up");
    let script = format!(
        "from opclib import opc\nclient = opc.Client('127.0.0.1:{port}')\n\
         assert client.put_pixels([(1, 2, 3), (4, 102, 6)], channel=3)\n\
         assert client.put_pixels([(51, 0, 0), (4, 153, 6)], channel=0)\n"
    );
    let mut client = Command::new(python).args(["-c", &script]).spawn().expect("started");
    let values = [("green", 0.4), ("all", 0.2), ("green", 0.6)];
    let mut expected: Vec<(String, f64)> =
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    until(&mut show, "three values", |show| show.received().len() >= 3);
    let mut received = show.received();
    let order =
        |list: &mut Vec<(String, f64)>| list.sort_by(|a, b| a.partial_cmp(b).expect("order"));
    order(&mut expected);
    order(&mut received);
    assert_eq!(received, expected);
    assert!(client.wait().expect("a status").success());
}
