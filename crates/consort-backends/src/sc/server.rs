//! The server thread: starts the server or connects to it, loads SynthDefs and buffers, waits
//! until the server is lost, and begins again. It reports the results to the router's thread.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_sc::{
    BootStatus, CalculationRate, ErrorKind, Event, EventFilter, EventReceiver, LifecycleEvent,
    Options, Server, SharedMemory, SynthDefFile, SynthDefRefusal,
};
use mio::unix::pipe;
use parking_lot::Mutex;

use super::config::{BufferContent, BusConfig, BusKind, Config, Place};
use super::inputs::notifications;
use super::instruments;
use crate::net::Backoff;

/// A server that was lost sooner than this is not started again at once.
const MIN_UPTIME: Duration = Duration::from_secs(3);

/// How often the request to quit is repeated.
const QUIT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A report to the router's thread.
pub(super) enum Report {
    /// Everything is loaded; nodes can be created.
    Ready(Box<ServerInfo>),
    /// There is no server, for this reason; the thread tries again.
    Waiting(String),
    /// The server was lost, for this reason; the thread tries again.
    Lost(String),
}

/// What the player needs to know about a server that is ready.
#[derive(Debug, Default)]
pub(super) struct ServerInfo {
    /// The client number that the server has assigned.
    pub(super) client: u32,
    pub(super) address: Option<SocketAddr>,
    /// The number of each bus of the configuration.
    pub(super) buses: Vec<u32>,
    /// The number of each buffer.
    pub(super) buffers: Vec<u32>,
    /// The first of the control buses with the peaks of the outputs.
    pub(super) meter: u32,
    pub(super) memory: Option<Arc<SharedMemory>>,
    /// Whether the show has started the server.
    pub(super) is_owned: bool,
    /// How long starting and loading took.
    pub(super) startup_time: Duration,
    /// What failed while buffers were loaded, as sentences.
    pub(super) problems: Vec<String>,
    /// The SynthDefs that the server refused.
    pub(super) refused: Vec<SynthDefRefusal>,
}

/// What the thread loads into a new server.
struct ServerSetup {
    place: Place,
    options: Options,
    files: Vec<SynthDefFile>,
    buses: Vec<BusConfig>,
    buffers: Vec<BufferContent>,
    channels: u32,
    /// Control buses that the show names by number, which must not be allocated.
    fixed_buses: Arc<Mutex<BTreeSet<u32>>>,
    /// The threads of earlier instances whose server has the same port.
    predecessors: Vec<Arc<AtomicBool>>,
}

/// The server threads of instances that a reload has removed or restarted, until they have ended.
/// Ending a server takes a moment, for which the router does not wait. When the show ends and the
/// last handle is dropped, no server process is left behind.
#[derive(Clone, Default)]
pub(super) struct Departed(Arc<Mutex<Vec<ServerThread>>>);

impl Departed {
    /// Stops a thread and keeps it until it has ended.
    pub(super) fn add(&self, mut thread: ServerThread) {
        thread.stop();
        let mut threads = self.0.lock();
        threads.retain(|thread| !thread.is_stopped());
        threads.push(thread);
    }

    /// For each thread whose server has this port, whether it has ended.
    fn at_port(&self, port: u16) -> Vec<Arc<AtomicBool>> {
        let threads = self.0.lock();
        let same = threads.iter().filter(|thread| thread.port == port);
        same.map(|thread| Arc::clone(&thread.has_ended)).collect()
    }
}

/// The router's handle to the server thread.
pub(super) struct ServerThread {
    /// The server. The router's thread may only call what does not block.
    pub(super) server: Server,
    /// Notifications of the server.
    pub(super) events: EventReceiver,
    reports: mpsc::Receiver<Report>,
    /// A pipe that becomes readable when there is a report.
    pub(super) wake_source: pipe::Receiver,
    port: u16,
    fixed_buses: Arc<Mutex<BTreeSet<u32>>>,
    stop: Arc<AtomicBool>,
    /// Whether the thread has ended.
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    stopper: Option<JoinHandle<()>>,
}

impl ServerThread {
    /// Starts the thread. `fixed_buses` are the control buses that must not be allocated. A server
    /// is started when those of `departed` at the same port have ended.
    ///
    /// # Errors
    /// If the system cannot create a thread or a pipe.
    pub(super) fn start(
        config: &Config,
        fixed_buses: BTreeSet<u32>,
        departed: &Departed,
    ) -> Result<Self, String> {
        let server = Server::with_timeouts(config.server.clone(), None, config.timeouts())
            .map_err(|error| error.to_string())?;
        let events = server.events(notifications());
        let (mut wake, wake_source) =
            pipe::new().map_err(|error| format!("cannot create a pipe: {error}"))?;
        let (sender, reports) = mpsc::channel();
        let mut files: Vec<SynthDefFile> = config.files().cloned().collect();
        let master = instruments::master(config.channels as u16);
        files.extend(master.ok().map(|master| master.file().clone()));
        let port = config.server.port;
        let fixed_buses = Arc::new(Mutex::new(fixed_buses));
        let setup = ServerSetup {
            place: config.place.clone(),
            options: config.server.clone(),
            files,
            buses: config.buses.clone(),
            buffers: config.buffers.iter().map(|(_, content)| content.clone()).collect(),
            channels: config.channels,
            fixed_buses: Arc::clone(&fixed_buses),
            predecessors: departed.at_port(port),
        };
        let (stop, has_ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (thread_server, thread_stop, thread_ended) =
            (server.clone(), Arc::clone(&stop), Arc::clone(&has_ended));
        let mut report = move |report| {
            // The receiver is gone when the show has ended; a full pipe is readable anyway.
            let _ = sender.send(report);
            let _ = wake.write_all(&[0]);
        };
        let thread = std::thread::Builder::new()
            .name("sc-server".into())
            .spawn(move || {
                // The pipe closes when the thread ends, which wakes the router.
                run(&setup, &thread_server, &thread_stop, &mut report);
                thread_ended.store(true, Ordering::Release);
            })
            .map_err(|error| format!("cannot create a thread: {error}"))?;
        Ok(ServerThread {
            server,
            events,
            reports,
            wake_source,
            port,
            fixed_buses,
            stop,
            has_ended,
            thread: Some(thread),
            stopper: None,
        })
    }

    /// Changes the control buses that the next server must not allocate.
    pub(super) fn set_fixed_buses(&self, fixed_buses: BTreeSet<u32>) {
        *self.fixed_buses.lock() = fixed_buses;
    }

    /// The next report, if there is one.
    pub(super) fn next_report(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Empties the pipe that wakes the router.
    pub(super) fn drain(&mut self) {
        let mut bytes = [0; 64];
        while io::Read::read(&mut self.wake_source, &mut bytes).is_ok_and(|count| count > 0) {}
    }

    /// Ends a server that the show has started, or disconnects from any other. Returns at once.
    pub(super) fn stop(&mut self) {
        if self.stop.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(thread) = self.thread.take() else { return };
        let server = self.server.clone();
        let stopper = std::thread::Builder::new().name("sc-stop".into()).spawn(move || {
            while !thread.is_finished() {
                thread.thread().unpark();
                // Only the owner can quit a server; for others this is an error, so they
                // disconnect.
                if server.quit().is_err() && server.disconnect().is_err() {
                    std::thread::sleep(QUIT_RETRY_INTERVAL);
                }
            }
            if thread.join().is_err() {
                tracing::error!("the SuperCollider server thread panicked");
            }
        });
        match stopper {
            Ok(stopper) => self.stopper = Some(stopper),
            Err(error) => tracing::error!("cannot quit the SuperCollider server: {error}"),
        }
    }

    /// Whether the thread has ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.stop();
        // Waits until the server has ended, for at most the library's timeout, so that no server
        // process is left behind.
        if let Some(stopper) = self.stopper.take()
            && stopper.join().is_err()
        {
            tracing::error!("the thread that quits the SuperCollider server panicked");
        }
    }
}

/// The thread: prepares a server, watches it until it is lost, and begins again.
fn run(setup: &ServerSetup, server: &Server, stop: &AtomicBool, report: &mut dyn FnMut(Report)) {
    let mut backoff = Backoff::default();
    // Trying to connect costs little, starting a server costs more.
    let max_delay = match setup.place {
        Place::Connect(_) => Duration::from_secs(1),
        _ => Duration::from_secs(8),
    };
    let is_stopped = || stop.load(Ordering::Acquire);
    let pause = |delay: Duration| {
        let until = Instant::now() + delay;
        while !is_stopped() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            std::thread::park_timeout(left);
        }
    };
    while setup.predecessors.iter().any(|ended| !ended.load(Ordering::Acquire)) && !is_stopped() {
        pause(QUIT_RETRY_INTERVAL);
    }
    while !is_stopped() {
        let events = server.events(EventFilter::default());
        let started = Instant::now();
        match prepare(setup, server, &events) {
            Ok(mut server_info) => {
                server_info.startup_time = started.elapsed();
                report(Report::Ready(Box::new(server_info)));
            }
            Err(reason) => {
                await_end(server, &events);
                if !is_stopped() {
                    report(Report::Waiting(reason));
                    pause(backoff.next_delay().min(max_delay));
                }
                continue;
            }
        }
        if is_stopped() {
            // The show ended while the server started.
            continue;
        }
        let reason = watch(server, &events);
        await_end(server, &events);
        if !is_stopped() {
            report(Report::Lost(reason));
            if started.elapsed() < MIN_UPTIME {
                pause(backoff.next_delay().min(max_delay));
            } else {
                backoff.reset();
            }
        }
    }
    // Usually `ServerThread::stop` has ended the server, but it may have started just now.
    if server.quit().is_err() && server.disconnect().is_err() {
        tracing::debug!("the server had already exited");
    }
}

/// Waits until the server is lost or ended; returns the reason.
fn watch(server: &Server, events: &EventReceiver) -> String {
    loop {
        let event = events.next_timeout(Duration::from_secs(60));
        match event {
            Some(Event::Lifecycle(LifecycleEvent::ProcessPanicked)) => {
                return "the server exited unexpectedly".into();
            }
            Some(Event::Lifecycle(LifecycleEvent::OscPanicked)) => {
                return "the server no longer responds".into();
            }
            Some(Event::Lifecycle(LifecycleEvent::Disconnected | LifecycleEvent::Quit)) => {
                return "the server was quit".into();
            }
            Some(_) => {}
            None if server.boot_status() == BootStatus::Offline => {
                return "the server has exited".into();
            }
            None => {}
        }
    }
}

/// Waits until the server is offline, so that it can be started again. The library kills a process
/// that hangs.
fn await_end(server: &Server, events: &EventReceiver) {
    while server.boot_status() != BootStatus::Offline {
        if server.boot_status() == BootStatus::Online && server.quit().is_err() {
            // The show has not started this server, so it cannot end it.
            let _ = server.disconnect();
        }
        events.next_timeout(QUIT_RETRY_INTERVAL);
    }
}

/// Starts the server or connects to it, and loads SynthDefs, buses and buffers.
fn prepare(
    setup: &ServerSetup,
    server: &Server,
    events: &EventReceiver,
) -> Result<ServerInfo, String> {
    let explain = |error: consort_sc::Error| failure(&error.to_string());
    match &setup.place {
        Place::Connect(target) => {
            let mut options = setup.options.clone();
            if target.literal().is_none() {
                let addresses = (target.host.as_str(), target.port).to_socket_addrs();
                let unknown = |error: String| format!("cannot resolve `{}`: {error}", target.host);
                let mut addresses = addresses.map_err(|error| unknown(error.to_string()))?;
                let address =
                    addresses.next().ok_or_else(|| unknown("it has no address".into()))?;
                options.ip_address = address.ip();
            }
            server.connect_with(options).map_err(explain)?;
        }
        _ => server.boot().map_err(explain)?,
    }
    let options = server.options();
    let mut server_info = ServerInfo {
        client: server.client_id(),
        address: Some(SocketAddr::new(reachable_address(options.ip_address), options.port)),
        is_owned: server.is_owner(),
        ..ServerInfo::default()
    };
    match server.install_synthdefs(&setup.files) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::SynthDefRefused => {
            server_info.refused = error.synthdef_refusals().to_vec();
        }
        Err(error) => return Err(explain(error)),
    }
    for bus in &setup.buses {
        let number = match (bus.number, bus.kind) {
            (Some(number), _) => number,
            (None, BusKind::Control(_)) => allocate_control_buses(setup, server, 1)?,
            (None, BusKind::Audio(count)) => {
                server.add_bus_group(CalculationRate::Audio, count).map_err(explain)?.id()
            }
        };
        server_info.buses.push(number);
    }
    server_info.meter = allocate_control_buses(setup, server, setup.channels)?;
    for content in &setup.buffers {
        let content = match content {
            BufferContent::File(path) => consort_sc::BufferContent::file(path),
            BufferContent::Empty(frames, channels) => {
                consort_sc::BufferContent::empty(*channels, *frames)
            }
        };
        server_info.buffers.push(server.add_buffer(content).map_err(explain)?.id());
    }
    server.sync_with(0, Duration::from_secs(30)).map_err(explain)?;
    server_info.memory = server.shared_memory();
    // Collects what the server has refused, and whether it was lost again.
    let mut lifecycle = Vec::new();
    while let Some(event) = events.try_next() {
        match event {
            Event::Fail(fail) => {
                let problem = format!("the server rejected {}: {}", fail.command, fail.reason);
                server_info.problems.push(problem);
            }
            Event::Lifecycle(event) => lifecycle.push(event),
            _ => {}
        }
    }
    match is_lost(&lifecycle) {
        true => Err("the server exited while SynthDefs and buffers were being loaded".into()),
        false => Ok(server_info),
    }
}

/// The first line of an error as one sentence with its remedy, and the server's output after it.
/// The router makes the first line the reason of the state and logs the rest at the level `debug`.
fn failure(message: &str) -> String {
    let (sentence, output) = message.split_once('\n').unwrap_or((message, ""));
    if lacks_jack(output) && !sentence.contains("with JACK, a device is") {
        let remedy = "scsynth cannot reach JACK: start it, for example as `pw-jack consort run …` \
                      or with `jackd`, or set `server = score`";
        return format!("{remedy}\n{message}");
    }
    match sentence.strip_suffix("; it printed:") {
        Some(sentence) => {
            format!("{sentence}; `CONSORT_LOG=debug` shows what it printed\n{output}")
        }
        None => message.to_owned(),
    }
}

/// Whether the server's output shows that it found no JACK server. The phrases are those of
/// libjack 1.9 and of the server's JACK driver.
fn lacks_jack(output: &str) -> bool {
    output.contains("jack server is not running")
        || output.contains("JackDriver") && output.contains("could not")
}

/// Whether the server was lost after the last start. The end of the server before may be reported
/// only after that start.
fn is_lost(events: &[LifecycleEvent]) -> bool {
    let start = events.iter().rposition(|event| *event == LifecycleEvent::Connecting);
    let since_start = &events[start.unwrap_or(0)..];
    let ends = [LifecycleEvent::OscPanicked, LifecycleEvent::ProcessPanicked];
    since_start.iter().any(|event| ends.contains(event))
}

/// Allocates consecutive control buses, none of which a mapping names by its number.
fn allocate_control_buses(setup: &ServerSetup, server: &Server, count: u32) -> Result<u32, String> {
    loop {
        let group = server
            .add_bus_group(CalculationRate::Control, count)
            .map_err(|error| error.to_string())?;
        let first = group.id();
        if setup.fixed_buses.lock().range(first..first + count).next().is_none() {
            return Ok(first);
        }
    }
}

/// The address at which a server is reached: the loopback address if it listens on all addresses.
fn reachable_address(address: std::net::IpAddr) -> std::net::IpAddr {
    match address {
        address if !address.is_unspecified() => address,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifecycleEvent::*;

    #[test]
    fn a_failed_start_is_one_sentence_before_the_output() {
        let exited = "the server process exited before it was ready (exit status: 1)";
        let jack = "\n    Cannot connect to server socket\n    jack server is not running or \
                    cannot be started\n    could not initialize audio.";
        let text = failure(&format!("{exited}; it printed:{jack}"));
        let (sentence, output) = text.split_once('\n').expect("the output");
        assert!(sentence.starts_with("scsynth cannot reach JACK: start it"), "{sentence}");
        assert!(sentence.ends_with("set `server = score`"), "{sentence}");
        assert!(output.contains("could not initialize audio"), "{output}");
        let text = failure(&format!("{exited}; it printed:\n    bad sample rate"));
        assert_eq!(
            text,
            format!("{exited}; `CONSORT_LOG=debug` shows what it printed\n    bad sample rate")
        );
        assert_eq!(failure("cannot find scsynth"), "cannot find scsynth");
    }

    #[test]
    fn the_end_of_the_server_before_is_not_the_end_of_this_one() {
        let start = [Booting, ProcessBooted, Connecting, OscConnected, Connected, Booted];
        let end = [OscPanicked, Disconnecting, Disconnected, Quit];
        assert!(!is_lost(&start));
        assert!(!is_lost(&[&end[..], &start].concat()));
        assert!(is_lost(&[&start[..], &end].concat()));
        assert!(is_lost(&[&end[..], &start, &[ProcessPanicked]].concat()));
    }
}
