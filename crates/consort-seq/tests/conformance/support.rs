//! The fixture of the cases: the engine under test, its clock, and helpers.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::{ClockKind, Embedded};
use consort_seq::{
    AsyncSequencerClient, Engine, Errno, Error, Event, Port, PortOptions, Queue, SequencerClient,
};
use parking_lot::{Mutex, MutexGuard};

/// A test case: its name and its function.
pub(crate) type Case = (&'static str, fn(&Rig));

/// Declares cases: functions of a [`Rig`], a test for each, and the list `CASES`.
macro_rules! cases {
    ($($(#[$attribute:meta])* fn $name:ident($rig:ident) $body:block)*) => {
        $($(#[$attribute])* fn $name($rig: &$crate::support::Rig) $body)*

        /// The cases of this module.
        pub(crate) const CASES: &[$crate::support::Case] =
            &[$((stringify!($name), $name as fn(&$crate::support::Rig)),)*];

        mod tests {
            $(#[test] fn $name() { super::$name(&$crate::support::Rig::new()); })*
        }
    };
}

/// How long a case waits for an expected event or state.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Held by the case that runs on the kernel's sequencer, which all tests share.
static KERNEL_LOCK: Mutex<()> = Mutex::new(());

/// The engine under test.
pub(crate) struct Rig {
    engine: Engine,
    embedded: Option<Embedded>,
    /// The version of Linux whose behaviour the engine has.
    version: (u32, u32),
    timeout: Duration,
    _kernel_lock: Option<MutexGuard<'static, ()>>,
}

impl Rig {
    /// The engine that `CONSORT_SEQ` names. If it is not set, a new embedded engine with virtual
    /// time.
    pub(crate) fn new() -> Self {
        match std::env::var("CONSORT_SEQ").as_deref() {
            Ok("kernel") => Self {
                engine: Engine::kernel(),
                embedded: None,
                version: kernel_version(),
                timeout: WAIT_TIMEOUT,
                _kernel_lock: Some(KERNEL_LOCK.lock()),
            },
            Ok("embedded" | "") | Err(_) => Self::embedded(Embedded::new(ClockKind::Virtual)),
            Ok(other) => panic!("CONSORT_SEQ is {other:?}; expected kernel or embedded"),
        }
    }

    pub(crate) fn embedded(embedded: Embedded) -> Self {
        Self {
            engine: Engine::Embedded(embedded.clone()),
            embedded: Some(embedded),
            version: (7, 0),
            timeout: WAIT_TIMEOUT,
            _kernel_lock: None,
        }
    }

    /// With a short time-out, for an engine that is expected to fail.
    #[cfg(feature = "faults")]
    pub(crate) fn with_short_timeout(self) -> Self {
        Self { timeout: Duration::from_millis(100), ..self }
    }

    /// How long to wait for an expected event or state.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// The embedded engine, if that is under test.
    pub(crate) fn as_embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// Whether the sequencer under test behaves like this version of Linux or a later one.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }

    pub(crate) fn client(&self, name: &str) -> SequencerClient {
        SequencerClient::builder(name).engine(self.engine()).open().expect("a client")
    }

    pub(crate) fn asynchronous(&self, name: &str) -> AsyncSequencerClient {
        AsyncSequencerClient::builder(name).engine(self.engine()).open_async().expect("a client")
    }

    /// A sender with a port and a receiver with a port, connected.
    pub(crate) fn pair(&self) -> Pair {
        let sender = self.client("sender");
        let receiver = self.client("receiver");
        let out = sender.create_port(PortOptions::new("out").caps(READ_PORT)).unwrap();
        let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        // Only the other end of a connection is notified, so the receiver connects: its input
        // stays empty.
        into.connect_from(&out).unwrap();
        Pair { out, into, sender, receiver }
    }

    /// Advances virtual time, or sleeps.
    pub(crate) fn let_time_pass(&self, duration: Duration) {
        match &self.embedded {
            Some(embedded) if embedded.clock() == ClockKind::Virtual => embedded.advance(duration),
            _ => std::thread::sleep(duration),
        }
    }

    /// Lets time pass until the condition is true. `what` describes it in the failure message.
    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + self.timeout;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out while waiting for {what}");
            self.let_time_pass(Duration::from_millis(1));
            if self.embedded.is_some() {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// The next event; time passes until it arrives.
    pub(crate) fn receive(&self, client: &SequencerClient) -> Event {
        let deadline = Instant::now() + self.timeout;
        loop {
            let wait = match &self.embedded {
                Some(embedded) if embedded.clock() == ClockKind::Virtual => {
                    if let Some(event) = client.event_input(Some(Duration::ZERO)).unwrap() {
                        return event;
                    }
                    match embedded.advance_to_next() {
                        Some(_) => Duration::ZERO,
                        None => Duration::from_millis(5),
                    }
                }
                _ => self.timeout,
            };
            if let Some(event) = client.event_input(Some(wait)).unwrap() {
                return event;
            }
            assert!(Instant::now() < deadline, "timed out while waiting for an event");
        }
    }

    pub(crate) fn receive_count(&self, client: &SequencerClient, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.receive(client)).collect()
    }

    /// A running queue of 1,000 ticks per second.
    pub(crate) fn running_queue(&self, client: &SequencerClient) -> Queue {
        let queue = client.create_queue("running").unwrap();
        queue.set_tempo(&consort_seq::QueueTempo::new(1_000_000, 1000)).unwrap();
        queue.start_now().unwrap();
        queue
    }
}

/// A sender with a port that is connected to a port of a receiver.
pub(crate) struct Pair {
    pub(crate) out: Port,
    pub(crate) into: Port,
    pub(crate) sender: SequencerClient,
    pub(crate) receiver: SequencerClient,
}

impl Pair {
    /// Sends events from the port and drains the output.
    pub(crate) fn send(&self, events: &[Event]) {
        for event in events {
            self.sender.event_output(event, &self.out).unwrap();
        }
        self.sender.drain_output().unwrap();
    }
}

fn kernel_version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the release");
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The errno of a call that must fail.
#[track_caller]
pub(crate) fn errno<T: Debug>(result: Result<T, Error>) -> Errno {
    let error = result.expect_err("this must fail");
    error.errno().unwrap_or_else(|| panic!("{error} has no errno"))
}

/// Asserts that no event has arrived.
#[track_caller]
pub(crate) fn assert_no_event(client: &SequencerClient) {
    let event = client.event_input(Some(Duration::ZERO)).unwrap();
    assert_eq!(event, None, "expected no event");
}

pub(crate) fn note(number: u8) -> Event {
    Event::note_on(0, number, 100).unwrap()
}

/// The note numbers of events.
pub(crate) fn notes(events: &[Event]) -> Vec<u8> {
    events
        .iter()
        .map(|event| match event.payload() {
            consort_seq::Payload::NoteOn(key) | consort_seq::Payload::NoteOff(key) => key.note,
            other => panic!("expected a note, not {other}"),
        })
        .collect()
}
