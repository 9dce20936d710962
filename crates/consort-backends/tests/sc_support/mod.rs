//! Real servers on a JACK server with the dummy driver, so no sound card is needed. Tests take
//! turns, because a computer can run only eight JACK servers.

#![allow(dead_code)] // Each test that includes this module uses a part of it.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_sc::{Options, Server, find_executable};
use parking_lot::{Mutex, MutexGuard};

/// How long a condition may take, even on a busy computer.
pub(crate) const CONDITION_TIMEOUT: Duration = Duration::from_secs(30);

/// Held by the test that runs a JACK server.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A JACK server, which ends when this is dropped.
pub(crate) struct Jack {
    child: Child,
    name: String,
    _turn: MutexGuard<'static, ()>,
}

/// Finds a program on PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

impl Jack {
    /// Starts a JACK server. If that is not possible, prints why, or panics in CI.
    pub(crate) fn start(what: &str) -> Option<Jack> {
        match Self::try_start() {
            Ok(jack) => Some(jack),
            Err(reason) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
                println!("SKIPPED: {what}: {reason}");
                None
            }
        }
    }

    fn try_start() -> Result<Jack, String> {
        let turn = ONE_AT_A_TIME.lock();
        find_executable(None).map_err(|error| error.to_string())?;
        let jackd = on_path("jackd").ok_or("no jackd on PATH (Debian: apt install jackd2)")?;
        let name = format!("consort-sc{}", std::process::id());
        // The kernel ends the server if this thread ends without doing so.
        let mut command = match on_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(jackd);
                command
            }
            None => Command::new(jackd),
        };
        let child = command
            .args(["-n", &name, "-r", "-d", "dummy", "-r", "48000", "-p", "256"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start jackd: {error}"))?;
        let jack = Jack { child, name, _turn: turn };
        // It is ready when a first server boots on it.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let server = Server::new(jack.server_options()).map_err(|error| error.to_string())?;
            match server.boot() {
                Ok(()) => {
                    server.quit().map_err(|error| error.to_string())?;
                    return Ok(jack);
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("no server boots: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// The environment of servers on it.
    fn environment(&self) -> [(String, String); 4] {
        [
            ("JACK_DEFAULT_SERVER".into(), self.name.clone()),
            ("JACK_NO_START_SERVER".into(), "1".into()),
            ("SC_JACK_DEFAULT_INPUTS".into(), String::new()),
            ("SC_JACK_DEFAULT_OUTPUTS".into(), String::new()),
        ]
    }

    /// The options of a server on it, at a free port.
    pub(crate) fn server_options(&self) -> Options {
        Options {
            port: free_port(),
            environment: self.environment().into(),
            load_synthdefs: false,
            input_bus_channel_count: 2,
            output_bus_channel_count: 2,
            maximum_logins: 8,
            ..Options::default()
        }
    }

    /// The options of an instance that starts a server on it.
    pub(crate) fn instance_options(&self, port: u16) -> Vec<(String, String)> {
        let mut options = vec![("server".into(), "boot".into()), ("port".into(), port.to_string())];
        for (name, value) in self.environment() {
            options.push(("environment".into(), format!("{name}={value}")));
        }
        options
    }
}

impl Drop for Jack {
    fn drop(&mut self) {
        // A killed jackd would leave its entry in JACK's registry, which has eight entries.
        signal(self.child.id(), "TERM");
        let deadline = Instant::now() + CONDITION_TIMEOUT;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A server that Consort has not started, as another user's would be.
pub(crate) struct ForeignServer(Child);

impl ForeignServer {
    /// Starts a server with its own defaults, except for the port and the logins. Does not wait
    /// until it is ready.
    pub(crate) fn start(jack: &Jack, port: u16, logins: u32) -> ForeignServer {
        let program = find_executable(None).expect("scsynth");
        let child = Command::new(program)
            .args(["-u", &port.to_string(), "-l", &logins.to_string(), "-R", "0", "-D", "0"])
            .envs(jack.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        ForeignServer(child)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Kills it, as a crash would; then its port is free.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A network between a show and a server, which can be down. The server sees each client at an
/// address of its own, as behind a router.
pub(crate) struct Network {
    socket: UdpSocket,
    is_down: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Forwards packets to the server at `port`.
    pub(crate) fn to(port: u16) -> Network {
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_nonblocking(true).expect("set");
            socket
        };
        let socket = open();
        let (is_down, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (thread_socket, thread_is_down, thread_stop) =
            (socket.try_clone().expect("a socket"), is_down.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut bytes = vec![0; 65_536];
            while !thread_stop.load(Ordering::Relaxed) {
                let mut is_idle = true;
                while let Ok((length, from)) = thread_socket.recv_from(&mut bytes) {
                    is_idle = false;
                    let client = clients.entry(from).or_insert_with(open);
                    if !thread_is_down.load(Ordering::Relaxed) {
                        // The server may be down, which a network does not report.
                        let _ = client.send_to(&bytes[..length], ("127.0.0.1", port));
                    }
                }
                for (to, client) in &clients {
                    while let Ok(length) = client.recv(&mut bytes) {
                        is_idle = false;
                        if !thread_is_down.load(Ordering::Relaxed) {
                            let _ = thread_socket.send_to(&bytes[..length], to);
                        }
                    }
                }
                if is_idle {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Network { socket, is_down, stop, thread: Some(thread) }
    }

    /// The port at which the show reaches the server.
    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().expect("an address").port()
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the network thread panicked");
        }
    }
}

pub(crate) use consort_router::testing::free_port;

/// Another client of the server at a port.
pub(crate) fn client(port: u16) -> Server {
    let options = Options { port, ..Options::default() };
    let server = Server::new(options).expect("a client");
    server.connect().expect("a connection");
    server
}

/// The server process that listens at a port, by its command line.
pub(crate) fn process_at(port: u16) -> Option<u32> {
    let udp = format!("-u\0{port}\0");
    let tcp = format!("-t\0{port}\0");
    std::fs::read_dir("/proc").ok()?.find_map(|entry| {
        let entry = entry.ok()?;
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let has_port = line.contains(&udp) || line.contains(&tcp);
        let program = line.split('\0').next()?;
        let is_server = program.contains("scsynth") || program.contains("supernova");
        (has_port && is_server).then_some(id)
    })
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let arguments = [format!("-{name}"), process.to_string()];
    let status = Command::new("kill").args(arguments).status().expect("kill");
    assert!(status.success(), "cannot signal process {process}");
}
