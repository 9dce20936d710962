//! The server's life, on a thread of its own: starting or connecting, SynthDefs, buffers,
//! waiting for its end, and all of it again. The router only hears how it went.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_sc::{
    BootStatus, CalculationRate, Event, EventFilter, EventReceiver, HealthCheck, LifecycleEvent,
    Options, Server, SharedMemory, SynthDefFile, Timeouts,
};
use mio::unix::pipe;

use super::config::{BufferContent, BusConfig, BusKind, Config, Place};
use super::instruments;
use crate::net::Backoff;

/// A server that lives no longer than this is not started anew at once.
const SHORT_LIFE: Duration = Duration::from_secs(3);

/// How often a server that does not end is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// What the router hears.
pub(super) enum Report {
    /// Everything is loaded; nodes can be made.
    Up(Box<Up>),
    /// It is not there, and this is why; it is tried again.
    Waiting(String),
    /// It was there and is gone.
    Lost(String),
}

/// A server that is ready.
#[derive(Debug, Default)]
pub(super) struct Up {
    pub(super) client: u32,
    pub(super) address: Option<SocketAddr>,
    /// The number of each bus of the configuration.
    pub(super) buses: Vec<u32>,
    /// The number of each buffer.
    pub(super) buffers: Vec<u32>,
    /// The first of the control buses with the peaks of the outputs.
    pub(super) meter: u32,
    pub(super) memory: Option<Arc<SharedMemory>>,
    /// Whether the show started it.
    pub(super) is_owned: bool,
    /// How long it took.
    pub(super) took: Duration,
    /// What could not be loaded.
    pub(super) problems: Vec<String>,
}

/// What is to be made ready, apart from nodes.
struct Plan {
    place: Place,
    options: Options,
    files: Vec<SynthDefFile>,
    buses: Vec<BusConfig>,
    buffers: Vec<BufferContent>,
    channels: u32,
    /// Control buses that the show names by number.
    numbered: BTreeSet<u32>,
}

/// The router's end of that thread.
pub(super) struct Conductor {
    /// The server; only what does not wait may be called on the router's thread.
    pub(super) server: Server,
    /// Notifications of the server.
    pub(super) events: EventReceiver,
    reports: mpsc::Receiver<Report>,
    pub(super) source: pipe::Receiver,
    stop: Arc<AtomicBool>,
    /// Whether the thread has nothing more to do.
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    stopper: Option<JoinHandle<()>>,
}

impl Conductor {
    /// Starts the thread. `addresses`: the messages that are wanted; `numbered`: control buses
    /// that are not to be given to anything else.
    ///
    /// # Errors
    /// Says that there is no thread or no pipe to be had.
    pub(super) fn start(
        config: &Config,
        addresses: Vec<String>,
        numbered: BTreeSet<u32>,
    ) -> Result<Self, String> {
        let timeouts = Timeouts {
            connect: Duration::from_secs(3),
            health: HealthCheck {
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(1),
                ..HealthCheck::default()
            },
            ..Timeouts::default()
        };
        let server = Server::with_timeouts(config.server.clone(), None, timeouts)
            .map_err(|error| error.to_string())?;
        let events = server.events(EventFilter::addresses(addresses));
        let (mut wake, source) = pipe::new().map_err(|error| format!("no pipe: {error}"))?;
        let (sender, reports) = mpsc::channel();
        let mut files = config.files.clone();
        let master = instruments::master(config.channels as u16);
        files.extend(master.ok().map(|master| master.file().clone()));
        let plan = Plan {
            place: config.place.clone(),
            options: config.server.clone(),
            files,
            buses: config.buses.clone(),
            buffers: config.buffers.iter().map(|(_, content)| content.clone()).collect(),
            channels: config.channels,
            numbered,
        };
        let (stop, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (for_thread, stopped, end) = (server.clone(), Arc::clone(&stop), Arc::clone(&ended));
        let mut tell = move |report| {
            // Nobody listens any more when the show has ended; a full pipe is readable anyway.
            let _ = sender.send(report);
            let _ = wake.write_all(&[0]);
        };
        let thread = std::thread::Builder::new()
            .name("sc-server".into())
            .spawn(move || {
                // At its end the pipe closes, which wakes the router.
                conduct(&plan, &for_thread, &stopped, &mut tell);
                end.store(true, Ordering::Release);
            })
            .map_err(|error| format!("no thread: {error}"))?;
        Ok(Conductor {
            server,
            events,
            reports,
            source,
            stop,
            ended,
            thread: Some(thread),
            stopper: None,
        })
    }

    /// The next report, if there is one.
    pub(super) fn report(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Empties the pipe that wakes the router.
    pub(super) fn drain(&mut self) {
        let mut bytes = [0; 64];
        while io::Read::read(&mut self.source, &mut bytes).is_ok_and(|count| count > 0) {}
    }

    /// Ends a server that the show started, leaves another's. Returns at once.
    pub(super) fn stop(&mut self) {
        if self.stop.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(thread) = self.thread.take() else { return };
        let server = self.server.clone();
        let stopper = std::thread::Builder::new().name("sc-stop".into()).spawn(move || {
            while !thread.is_finished() {
                thread.thread().unpark();
                // Whichever applies; the other is refused.
                if server.quit().is_err() && server.disconnect().is_err() {
                    std::thread::sleep(AGAIN);
                }
            }
            if thread.join().is_err() {
                tracing::error!("the thread of a SuperCollider server broke");
            }
        });
        match stopper {
            Ok(stopper) => self.stopper = Some(stopper),
            Err(error) => tracing::error!("a SuperCollider server is not ended: {error}"),
        }
    }

    /// Whether everything has ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        self.stop();
        // At most as long as a server is given to end, so that none is left behind.
        if let Some(stopper) = self.stopper.take()
            && stopper.join().is_err()
        {
            tracing::error!("ending a SuperCollider server broke");
        }
    }
}

fn conduct(plan: &Plan, server: &Server, stop: &AtomicBool, tell: &mut dyn FnMut(Report)) {
    let mut backoff = Backoff::default();
    // Asking whether somebody's server is there costs little, starting one costs more.
    let longest = match plan.place {
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
    while !is_stopped() {
        let events = server.events(EventFilter::default());
        let started = Instant::now();
        match bring_up(plan, server, &events) {
            Ok(mut up) => {
                up.took = started.elapsed();
                tell(Report::Up(Box::new(up)));
            }
            Err(reason) => {
                await_end(server, &events);
                if !is_stopped() {
                    tell(Report::Waiting(reason));
                    pause(backoff.next_delay().min(longest));
                }
                continue;
            }
        }
        if is_stopped() {
            // It was asked to end before it was there.
            continue;
        }
        let reason = watch(server, &events);
        await_end(server, &events);
        if !is_stopped() {
            tell(Report::Lost(reason));
            if started.elapsed() < SHORT_LIFE {
                pause(backoff.next_delay().min(longest));
            } else {
                backoff.reset();
            }
        }
    }
    // Whoever stopped it has ended it, or it comes up just now.
    if server.quit().is_err() && server.disconnect().is_err() {
        tracing::debug!("the server was gone already");
    }
}

/// Waits until the server is lost or ended; says which.
fn watch(server: &Server, events: &EventReceiver) -> String {
    loop {
        let event = events.next_timeout(Duration::from_secs(60));
        match event {
            Some(Event::Lifecycle(LifecycleEvent::ProcessPanicked)) => {
                return "the server ended by itself".into();
            }
            Some(Event::Lifecycle(LifecycleEvent::OscPanicked)) => {
                return "the server does not answer any more".into();
            }
            Some(Event::Lifecycle(LifecycleEvent::Disconnected | LifecycleEvent::Quit)) => {
                return "the server was ended".into();
            }
            Some(_) => {}
            None if server.boot_status() == BootStatus::Offline => {
                return "the server is gone".into();
            }
            None => {}
        }
    }
}

/// Waits until the server can be started anew: a process that hangs is killed first.
fn await_end(server: &Server, events: &EventReceiver) {
    while server.boot_status() != BootStatus::Offline {
        if server.boot_status() == BootStatus::Online && server.quit().is_err() {
            // Somebody else's; it refuses to be ended, and is left.
            let _ = server.disconnect();
        }
        events.next_timeout(AGAIN);
    }
}

fn bring_up(plan: &Plan, server: &Server, events: &EventReceiver) -> Result<Up, String> {
    let explain = |error: consort_sc::Error| error.to_string();
    match &plan.place {
        Place::Connect(target) => {
            let mut options = plan.options.clone();
            if target.literal().is_none() {
                let look_up = (target.host.as_str(), target.port).to_socket_addrs();
                let say = |error: String| format!("`{}` cannot be looked up: {error}", target.host);
                let mut found = look_up.map_err(|error| say(error.to_string()))?;
                let address = found.next().ok_or_else(|| say("it has no address".into()))?;
                options.ip_address = address.ip();
            }
            server.connect_with(options).map_err(explain)?;
        }
        _ => server.boot().map_err(explain)?,
    }
    let options = server.options();
    let mut up = Up {
        client: server.client_id(),
        address: Some(SocketAddr::new(reachable(options.ip_address), options.port)),
        is_owned: server.is_owner(),
        ..Up::default()
    };
    server.add_synthdefs(&plan.files).map_err(explain)?;
    for bus in &plan.buses {
        let number = match (bus.number, bus.kind) {
            (Some(number), _) => number,
            (None, BusKind::Control(_)) => control_buses(plan, server, 1)?,
            (None, BusKind::Audio(count)) => {
                server.add_bus_group(CalculationRate::Audio, count).map_err(explain)?.id()
            }
        };
        up.buses.push(number);
    }
    up.meter = control_buses(plan, server, plan.channels)?;
    for content in &plan.buffers {
        let content = match content {
            BufferContent::File(path) => consort_sc::BufferContent::file(path),
            BufferContent::Empty(frames, channels) => {
                consort_sc::BufferContent::empty(*channels, *frames)
            }
        };
        up.buffers.push(server.add_buffer(content).map_err(explain)?.id());
    }
    server.sync_with(0, Duration::from_secs(30)).map_err(explain)?;
    up.memory = server.shared_memory();
    // What was refused until now; that the server is lost again is noticed later.
    let mut rest = Vec::new();
    while let Some(event) = events.try_next() {
        match event {
            Event::Fail(fail) => up.problems.push(format!("{}: {}", fail.command, fail.reason)),
            Event::Lifecycle(event) => rest.push(event),
            _ => {}
        }
    }
    match is_over(&rest) {
        true => Err("the server ended while it was made ready".into()),
        false => Ok(up),
    }
}

/// Whether the life that began last is over: the end of the one before may be told only now.
fn is_over(events: &[LifecycleEvent]) -> bool {
    let began = events.iter().rposition(|event| *event == LifecycleEvent::Connecting);
    let this_life = &events[began.unwrap_or(0)..];
    let ends = [LifecycleEvent::OscPanicked, LifecycleEvent::ProcessPanicked];
    this_life.iter().any(|event| ends.contains(event))
}

/// Neighbouring control buses, none of which the show names by its number.
fn control_buses(plan: &Plan, server: &Server, count: u32) -> Result<u32, String> {
    loop {
        let group = server
            .add_bus_group(CalculationRate::Control, count)
            .map_err(|error| error.to_string())?;
        let first = group.id();
        if plan.numbered.range(first..first + count).next().is_none() {
            return Ok(first);
        }
    }
}

/// A server that listens on every address is reached through the local one.
fn reachable(address: std::net::IpAddr) -> std::net::IpAddr {
    match address {
        it if !it.is_unspecified() => it,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifecycleEvent::*;

    #[test]
    fn the_end_of_the_life_before_is_not_the_end_of_this_one() {
        let life = [Booting, ProcessBooted, Connecting, OscConnected, Connected, Booted];
        let late = [OscPanicked, Disconnecting, Disconnected, Quit];
        assert!(!is_over(&life));
        assert!(!is_over(&[&late[..], &life].concat()));
        assert!(is_over(&[&life[..], &late].concat()));
        assert!(is_over(&[&late[..], &life, &[ProcessPanicked]].concat()));
    }
}
