//! Servers: the part of a context that sends, receives and waits. Nothing here runs Python code while
//! it waits, and no thread of the library needs the interpreter's lock to receive.

mod inbox;
mod operation;
mod options;
mod pump;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use consort_sc::requests::ReplyPattern;
use consort_sc::{
    BootStatus, CalculationRate, CallbackHandle, Capture, Direction, EventFilter, EventReceiver,
    HealthCheck, Server, SharedMemory, SynthDefFile, Timeouts,
};
use parking_lot::Mutex;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

pub(crate) use inbox::Inbox;
pub(crate) use operation::Operation;
use operation::Outcome;
use options::options_of;
use pump::Pump;
pub(crate) use values::ServerMemory;
use values::{event_object, exception, pattern_of};

/// A server of the library, for the Python part, which encodes the packets.
#[pyclass(frozen, weakref, module = "consort_sc._core")]
pub(crate) struct ServerCore {
    /// `None` only while it is dropped.
    server: Option<Server>,
    events: Arc<EventReceiver>,
    pump: Mutex<Option<Pump>>,
    callbacks: Mutex<Callbacks>,
    /// The number of buses of each block that was allocated, by rate and first bus.
    bus_blocks: Mutex<HashMap<(CalculationRate, u32), u32>>,
    capture: Mutex<Option<Capture>>,
    /// The process that created the server. A forked child has no thread that receives.
    process: u32,
}

/// The registered callbacks by their number.
#[derive(Default)]
struct Callbacks {
    next: u64,
    handles: HashMap<u64, CallbackHandle>,
}

impl ServerCore {
    /// The server, unless this is a forked child.
    fn server(&self) -> PyResult<&Server> {
        if std::process::id() != self.process {
            return Err(PyRuntimeError::new_err(format!(
                "the server belongs to process {}; create a new one after the fork",
                self.process
            )));
        }
        self.server.as_ref().ok_or_else(|| PyRuntimeError::new_err("the server was dropped"))
    }
}

/// The numbers of a status report.
type Status = (i32, i32, i32, i32, f32, f32, f64, f64);

/// The rate of buses.
fn rate_of(is_audio: bool) -> CalculationRate {
    if is_audio { CalculationRate::Audio } else { CalculationRate::Control }
}

#[pymethods]
impl ServerCore {
    #[new]
    #[pyo3(signature = (name=None))]
    fn new(name: Option<String>) -> PyResult<Self> {
        let server =
            Server::with_timeouts(consort_sc::Options::default(), name, Timeouts::default())
                .map_err(|error| exception(&error))?;
        let filter = EventFilter { process_output: true, ..EventFilter::default() };
        let events = Arc::new(server.events(filter));
        Ok(Self {
            server: Some(server),
            events,
            pump: Mutex::default(),
            callbacks: Mutex::default(),
            bus_blocks: Mutex::default(),
            capture: Mutex::default(),
            process: std::process::id(),
        })
    }

    // ---- lifecycle ---------------------------------------------------------------------------

    /// Boots a server. `synthdefs` are loaded before it is online.
    fn boot(&self, options: &Bound<'_, PyDict>, synthdefs: Vec<Vec<u8>>) -> PyResult<Operation> {
        let options = options_of(options)?;
        let files = synthdefs
            .into_iter()
            .map(|bytes| SynthDefFile::new(bytes).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(PyValueError::new_err)?;
        let server = self.server()?;
        server.set_initial_synthdefs(&files);
        self.bus_blocks.lock().clear();
        let server = server.asynchronous();
        Ok(Operation::new(
            async move { server.boot_with(options).await.map(|()| Outcome::Nothing) },
        ))
    }

    /// Connects to a server that runs.
    fn connect(&self, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options = options_of(options)?;
        self.bus_blocks.lock().clear();
        let server = self.server()?.asynchronous();
        Ok(Operation::new(
            async move { server.connect_with(options).await.map(|()| Outcome::Nothing) },
        ))
    }

    /// Disconnects from a server that another program owns.
    fn disconnect(&self) -> PyResult<Operation> {
        let server = self.server()?.asynchronous();
        Ok(Operation::new(async move { server.disconnect().await.map(|()| Outcome::Nothing) }))
    }

    /// Quits the server.
    fn quit(&self, force: bool) -> PyResult<Operation> {
        let server = self.server()?.asynchronous();
        Ok(Operation::new(async move {
            let quit = if force { server.force_quit().await } else { server.quit().await };
            quit.map(|()| Outcome::Nothing)
        }))
    }

    /// Sets how a server that stops answering is found: seconds, a factor, and a count.
    fn set_health_check(&self, timeout: f64, backoff: f64, attempts: u32) -> PyResult<()> {
        let server = self.server()?;
        let timeout = Duration::try_from_secs_f64(timeout).map_err(|_| {
            PyValueError::new_err(format!("invalid timeout {timeout}: expected seconds, 0 or more"))
        })?;
        let mut timeouts = server.timeouts();
        timeouts.health = HealthCheck { timeout, backoff, attempts, ..timeouts.health };
        server.set_timeouts(timeouts);
        Ok(())
    }

    /// `offline`, `booting`, `online` or `quitting`.
    fn boot_status(&self) -> PyResult<&'static str> {
        Ok(match self.server()?.boot_status() {
            BootStatus::Offline => "OFFLINE",
            BootStatus::Booting => "BOOTING",
            BootStatus::Online => "ONLINE",
            BootStatus::Quitting => "QUITTING",
        })
    }

    /// Whether requests can be made.
    fn is_online(&self) -> PyResult<bool> {
        Ok(self.server()?.boot_status() == BootStatus::Online)
    }

    /// Whether this program started the server.
    fn is_owner(&self) -> PyResult<bool> {
        Ok(self.server()?.is_owner())
    }

    /// The id of the process that this program started.
    fn process_id(&self) -> PyResult<Option<u32>> {
        Ok(self.server()?.process_id())
    }

    /// The id of this client, and how many clients the server accepts.
    fn login(&self) -> PyResult<(u32, u32)> {
        let server = self.server()?;
        Ok((server.client_id(), server.maximum_logins()))
    }

    /// The last status report: eight numbers in the order of `/status.reply`.
    fn status(&self) -> PyResult<Option<Status>> {
        Ok(self.server()?.status().map(|status| {
            (
                status.ugen_count,
                status.synth_count,
                status.group_count,
                status.synthdef_count,
                status.average_cpu_usage,
                status.peak_cpu_usage,
                status.target_sample_rate,
                status.actual_sample_rate,
            )
        }))
    }

    /// The memory that the server shares with programs of this machine.
    fn shared_memory(&self) -> PyResult<Option<ServerMemory>> {
        Ok(self.server()?.shared_memory().map(|memory: Arc<SharedMemory>| ServerMemory(memory)))
    }

    // ---- packets -----------------------------------------------------------------------------

    /// Sends a packet. Never blocks.
    fn send(&self, packet: &[u8]) -> PyResult<()> {
        self.server()?.send_encoded(packet).map_err(|error| exception(&error))
    }

    /// Sends a packet; the operation is the message that answers it. A `/fail` that names `command`
    /// ends it.
    #[pyo3(signature = (packet, command, pattern, timeout))]
    fn ask(
        &self,
        packet: &[u8],
        command: &str,
        pattern: Vec<Bound<'_, PyAny>>,
        timeout: f64,
    ) -> PyResult<Operation> {
        let pattern = pattern_of(&pattern)?;
        let pattern = ReplyPattern::new(pattern.address, pattern.arguments);
        let timeout = Duration::try_from_secs_f64(timeout).map_err(|_| {
            PyValueError::new_err(format!("invalid timeout {timeout}: expected seconds, 0 or more"))
        })?;
        let pending = self
            .server()?
            .ask_encoded(packet, command, pattern, Some(timeout))
            .map_err(|error| exception(&error))?;
        Ok(Operation::new(async move { pending.await.map(Outcome::Message) }))
    }

    /// The tree below a group, however large.
    fn query_tree(&self, group: i32, include_controls: bool) -> PyResult<Operation> {
        let server = self.server()?.asynchronous();
        Ok(Operation::new(async move {
            server.query_tree(group, include_controls).await.map(Outcome::Tree)
        }))
    }

    /// The tree below a group, as the server prints it.
    fn dump_tree(&self, group: i32, include_controls: bool) -> PyResult<Operation> {
        let server = self.server()?.asynchronous();
        Ok(Operation::new(async move {
            server.dump_tree(group, include_controls).await.map(Outcome::Tree)
        }))
    }

    /// Remembers the controls of SynthDefs, which large trees need. Files that are not valid are
    /// left out.
    fn remember_synthdefs(&self, file: Vec<u8>) -> PyResult<()> {
        if let Ok(file) = SynthDefFile::new(file) {
            self.server()?.remember_synthdefs(&file);
        }
        Ok(())
    }

    // ---- callbacks, events, captures ---------------------------------------------------------

    /// Registers a callback, whose messages go into the inbox with the number that is returned. Its
    /// messages are there before a request that one of them answers is done.
    #[pyo3(signature = (pattern, failure_pattern, once, inbox))]
    fn register(
        &self,
        pattern: Vec<Bound<'_, PyAny>>,
        failure_pattern: Option<Vec<Bound<'_, PyAny>>>,
        once: bool,
        inbox: &Bound<'_, Inbox>,
    ) -> PyResult<u64> {
        let pattern = pattern_of(&pattern)?;
        let failure = failure_pattern.map(|pattern| pattern_of(&pattern)).transpose()?;
        let server = self.server()?;
        let mut callbacks = self.callbacks.lock();
        let number = callbacks.next;
        callbacks.next += 1;
        let queue = inbox.get().queue();
        let handle = server.register_osc_queue(pattern, failure, once, move |message| {
            queue.push_message(number, message);
        });
        callbacks.handles.insert(number, handle);
        Ok(number)
    }

    /// Unregisters a callback.
    fn unregister(&self, number: u64) {
        if let Some(handle) = self.callbacks.lock().handles.remove(&number) {
            handle.unregister();
        }
    }

    /// The next event, if there is one: a tuple that begins with its kind.
    fn next_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.events.try_next() {
            Some(event) => event_object(py, &event).map(Some),
            None => Ok(None),
        }
    }

    /// A descriptor that is readable while there are events.
    fn event_descriptor(&self) -> PyResult<i32> {
        use std::os::fd::AsRawFd;
        self.events
            .descriptor()
            .map(|descriptor| descriptor.as_raw_fd())
            .ok_or_else(|| PyRuntimeError::new_err("the system has no descriptor for events"))
    }

    /// Starts a thread that calls `_drain_events()` of the object behind the weak reference when
    /// there are events, or messages in the inbox.
    fn start_pump(&self, target: Py<PyAny>, inbox: &Bound<'_, Inbox>) -> PyResult<()> {
        let mut pump = self.pump.lock();
        if pump.is_none() {
            *pump = Some(Pump::start(self.events.clone(), inbox.get().queue(), target)?);
        }
        Ok(())
    }

    /// Waits until the thread has handled all that has arrived, for at most so many seconds. False
    /// if it has not, or if it is the thread that calls.
    fn wait_idle(&self, py: Python<'_>, seconds: f64) -> bool {
        let state = self.pump.lock().as_ref().map(Pump::state);
        let Some(state) = state else { return false };
        py.detach(move || state.wait_idle(Duration::from_secs_f64(seconds)))
    }

    /// Stops the thread, and waits until it has ended.
    fn stop_pump(&self, py: Python<'_>) {
        let pump = self.pump.lock().take();
        if std::process::id() == self.process {
            py.detach(move || drop(pump));
        } else {
            // The thread does not run in a forked child.
            std::mem::forget(pump);
        }
    }

    /// Begins or ends to record packets.
    fn set_capturing(&self, active: bool) -> PyResult<()> {
        let server = self.server()?;
        let mut capture = self.capture.lock();
        if active != capture.is_some() {
            *capture = active.then(|| server.capture());
        }
        Ok(())
    }

    /// The packets since the last call: seconds, whether it was sent, bytes. The seconds count from
    /// the creation of this object.
    fn captured<'py>(&self, py: Python<'py>) -> Vec<(f64, bool, Bound<'py, PyBytes>)> {
        let packets = self.capture.lock().as_ref().map(Capture::take).unwrap_or_default();
        packets
            .into_iter()
            .map(|packet| {
                let is_sent = packet.direction == Direction::Sent;
                (packet.time.as_secs_f64(), is_sent, PyBytes::new(py, &packet.bytes))
            })
            .collect()
    }

    // ---- ids ---------------------------------------------------------------------------------

    fn allocate_node(&self, permanent: bool) -> PyResult<i32> {
        self.server()?.allocate_node_id(permanent).map_err(|error| exception(&error))
    }

    fn allocate_buses(&self, is_audio: bool, count: u32) -> PyResult<u32> {
        let rate = rate_of(is_audio);
        let first =
            self.server()?.allocate_bus_ids(rate, count).map_err(|error| exception(&error))?;
        self.bus_blocks.lock().insert((rate, first), count);
        Ok(first)
    }

    fn allocate_buffers(&self, count: u32) -> PyResult<u32> {
        self.server()?.allocate_buffer_ids(count).map_err(|error| exception(&error))
    }

    fn allocate_scope_buffer(&self) -> PyResult<u32> {
        self.server()?.allocate_scope_buffer_id().map_err(|error| exception(&error))
    }

    /// Frees the block of buses that begins with this one.
    fn free_buses(&self, is_audio: bool, first: u32) -> PyResult<()> {
        let rate = rate_of(is_audio);
        if let Some(count) = self.bus_blocks.lock().remove(&(rate, first)) {
            self.server()?.free_bus_ids(rate, first, count);
        }
        Ok(())
    }

    fn free_buffers(&self, first: u32, count: u32) -> PyResult<()> {
        self.server()?.free_buffer_ids(first, count);
        Ok(())
    }

    fn free_node(&self, id: i32) -> PyResult<()> {
        self.server()?.free_node_id(id);
        Ok(())
    }

    fn free_scope_buffer(&self, id: u32) -> PyResult<()> {
        self.server()?.free_scope_buffer_id(id);
        Ok(())
    }

    /// Frees all ids, because the server was reset.
    fn reset_ids(&self) -> PyResult<()> {
        self.bus_blocks.lock().clear();
        self.server()?.reset_ids();
        Ok(())
    }

    // ---- the mirror --------------------------------------------------------------------------

    fn has_node(&self, id: i32) -> PyResult<bool> {
        Ok(self.server()?.has_node(id))
    }

    fn is_node_active(&self, id: i32) -> PyResult<bool> {
        Ok(self.server()?.is_node_active(id))
    }

    fn node_parent(&self, id: i32) -> PyResult<Option<i32>> {
        Ok(self.server()?.node_parent(id))
    }

    fn node_children(&self, id: i32) -> PyResult<Option<Vec<(i32, bool)>>> {
        Ok(self.server()?.node_children(id))
    }

    fn node_count(&self) -> PyResult<usize> {
        Ok(self.server()?.node_count())
    }

    fn has_buffer(&self, id: u32) -> PyResult<bool> {
        Ok(self.server()?.has_buffer(id))
    }
}

impl Drop for ServerCore {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        let pump = self.pump.lock().take();
        if std::process::id() != self.process {
            // The parent process still uses the server, and its threads do not run here.
            std::mem::forget(server);
            std::mem::forget(pump);
            return;
        }
        let work = move || {
            drop(pump);
            // This quits a server that this program started.
            drop(server);
        };
        let mut work = Some(work);
        let run = Python::try_attach(|py| {
            if let Some(work) = work.take() {
                py.detach(work);
            }
        });
        if run.is_none()
            && let Some(work) = work
        {
            work();
        }
    }
}
