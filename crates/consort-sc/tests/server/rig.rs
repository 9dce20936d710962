//! Shared by the cases: a JACK server, free ports, a SynthDef, and waiting with a deadline.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use consort_sc::{Options, Server, SynthDefFile, find_executable};

/// How long a condition may take, even on a busy machine.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The environment variable with the name of the JACK server that the parent process started.
pub(crate) const JACK_VARIABLE: &str = "CONSORT_TEST_JACK";

/// The JACK server of this test run.
enum Jack {
    Unknown,
    Running(Child),
    Missing(String),
}

static JACK: Mutex<Jack> = Mutex::new(Jack::Unknown);

/// The path of a program on `PATH`.
fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The name of this run's JACK server, which is different from all others on the machine.
pub(crate) fn jack_name() -> String {
    // A child process uses the JACK server of its parent.
    if let Ok(name) = std::env::var(JACK_VARIABLE) {
        return name;
    }
    format!("consort{}", std::process::id())
}

/// Starts the JACK server if it does not run yet.
pub(crate) fn jack() -> Result<(), String> {
    if std::env::var_os(JACK_VARIABLE).is_some() {
        return Ok(());
    }
    let mut jack = JACK.lock().unwrap();
    if let Jack::Unknown = *jack {
        *jack = match start_jack() {
            Ok(child) => Jack::Running(child),
            Err(reason) => Jack::Missing(reason),
        };
    }
    match &*jack {
        Jack::Missing(reason) => Err(reason.clone()),
        _ => Ok(()),
    }
}

fn start_jack() -> Result<Child, String> {
    find_executable(None).map_err(|error| error.to_string())?;
    let jackd = on_path("jackd").ok_or("cannot find jackd on PATH (Debian: apt install jackd2)")?;
    // scsynth requires this folder.
    if let Some(home) = std::env::var_os("HOME") {
        let folder = PathBuf::from(home).join(".local/share/SuperCollider/synthdefs");
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    // With setpriv the kernel terminates jackd if this process is killed.
    let mut command = match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM"]).arg(jackd);
            command
        }
        None => Command::new(jackd),
    };
    let mut child = command
        .args(["-n", &jack_name(), "-r", "-d", "dummy", "-r", "48000", "-p", "512"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start jackd: {error}"))?;
    // JACK is ready when a server boots on it.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let server = Server::new(options()).map_err(|error| error.to_string())?;
        match server.boot() {
            Ok(()) => {
                server.quit().map_err(|error| error.to_string())?;
                return Ok(child);
            }
            Err(error) if Instant::now() > deadline => {
                terminate(&mut child);
                return Err(format!("no server boots on jackd: {error}"));
            }
            Err(_) => {}
        }
    }
}

/// Terminates jackd with a signal that it can handle. A killed jackd would leave its entry in JACK's
/// registry, which has only eight.
fn terminate(child: &mut Child) {
    signal(child.id(), "TERM");
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Stops the JACK server at the end of the run.
pub(crate) fn stop_jack() {
    if let Jack::Running(child) = &mut *JACK.lock().unwrap() {
        terminate(child);
    }
}

/// A port that is free for UDP and TCP.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Options of a server on this run's JACK server and on a free port.
pub(crate) fn options() -> Options {
    Options {
        port: free_port(),
        environment: vec![
            ("JACK_DEFAULT_SERVER".into(), jack_name()),
            ("JACK_NO_START_SERVER".into(), "1".into()),
            ("SC_JACK_DEFAULT_INPUTS".into(), String::new()),
            ("SC_JACK_DEFAULT_OUTPUTS".into(), String::new()),
        ],
        ..Options::default()
    }
}

/// A booted server.
pub(crate) fn booted() -> Server {
    booted_with(options())
}

/// A booted server with these options.
pub(crate) fn booted_with(options: Options) -> Server {
    let server = Server::new(options).unwrap();
    server.boot().unwrap();
    server
}

/// Another client of the same server.
pub(crate) fn connected(server: &Server) -> Server {
    let client = Server::new(server.options()).unwrap();
    client.connect().unwrap();
    client
}

/// Waits until `condition` holds; panics after [`WAIT_TIMEOUT`].
pub(crate) fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "did not happen within {WAIT_TIMEOUT:?}: {description}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A sine with `out`, `amplitude`, `frequency` and `gate`: `Out.ar(out, SinOsc.ar(frequency) * amplitude)`,
/// written by hand from the description of the file format. No UGen reads `gate`.
pub(crate) fn tone() -> SynthDefFile {
    named_tone("tone", true)
}

/// The same with another name, and with `gate` only if wanted.
pub(crate) fn named_tone(name: &str, gate: bool) -> SynthDefFile {
    let mut bytes = b"SCgf\0\0\0\x02\0\x01".to_vec();
    let string = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(text.len() as u8);
        bytes.extend(text.as_bytes());
    };
    let int = |bytes: &mut Vec<u8>, value: i32| bytes.extend(value.to_be_bytes());
    string(&mut bytes, name);
    int(&mut bytes, 1);
    bytes.extend(0f32.to_be_bytes());
    let mut controls = vec![("amplitude", 0.1f32), ("frequency", 440.0), ("out", 0.0)];
    if gate {
        controls.push(("gate", 1.0));
    }
    int(&mut bytes, controls.len() as i32);
    for (_, value) in &controls {
        bytes.extend(value.to_be_bytes());
    }
    int(&mut bytes, controls.len() as i32);
    for (index, (name, _)) in controls.iter().enumerate() {
        string(&mut bytes, name);
        int(&mut bytes, index as i32);
    }
    int(&mut bytes, 4);
    // Class, rate, inputs (UGen or -1, output or constant), outputs' rates, special index.
    let mut ugen = |class: &str, rate: u8, inputs: &[(i32, i32)], outputs: &[u8], special: u16| {
        string(&mut bytes, class);
        bytes.push(rate);
        int(&mut bytes, inputs.len() as i32);
        int(&mut bytes, outputs.len() as i32);
        bytes.extend(special.to_be_bytes());
        for (ugen, output) in inputs {
            int(&mut bytes, *ugen);
            int(&mut bytes, *output);
        }
        bytes.extend(outputs);
    };
    ugen("Control", 1, &[], &vec![1; controls.len()], 0);
    ugen("SinOsc", 2, &[(0, 1), (-1, 0)], &[2], 0);
    ugen("BinaryOpUGen", 2, &[(1, 0), (0, 0)], &[2], 2);
    ugen("Out", 2, &[(0, 2), (2, 0)], &[], 0);
    bytes.extend([0, 0]);
    SynthDefFile::new(bytes).unwrap()
}

/// Stops a process (SIGSTOP).
pub(crate) fn stop(process: u32) {
    signal(process, "STOP");
}

/// Resumes a stopped process.
pub(crate) fn resume(process: u32) {
    signal(process, "CONT");
}

/// Kills a process.
pub(crate) fn kill(process: u32) {
    signal(process, "KILL");
}

fn signal(process: u32, name: &str) {
    let status =
        Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success(), "cannot signal process {process}");
}

/// Whether the process exists and is not a zombie.
pub(crate) fn is_running(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

/// Whether the process exists, even as a zombie.
pub(crate) fn exists(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}
