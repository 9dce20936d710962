//! The state of a sequencer, which one lock protects, and the dispatch of requests.

use std::sync::Arc;

use super::client::{Client, FIRST_USER_CLIENT, MAX_CLIENTS, Port, User};
use super::pool::Fifo;
use super::queue::{MAX_QUEUES, Queue, TieOrder};
use super::signal::{Readiness, Signal};
use crate::engine::{Errno, OpenMode, ProtocolVersion, Request};
use crate::raw::{
    self, ClientInfo, PortInfo, RunningInfo, SystemInfo, address, event_type, port_capability,
    port_type,
};

/// Whether a deliberate fault is on. Always false without the feature `faults`.
macro_rules! fault {
    ($state:expr, $name:ident) => {{
        #[cfg(feature = "faults")]
        {
            $state.fault == Some(super::fault::Fault::$name)
        }
        #[cfg(not(feature = "faults"))]
        {
            let _ = &$state;
            false
        }
    }};
}
pub(super) use fault;

/// Clients, queues and the present time.
#[derive(Debug)]
pub(super) struct State {
    /// Nanoseconds since the engine was created.
    pub(super) now: u64,
    pub(super) clients: Vec<Option<Box<Client>>>,
    pub(super) queues: Vec<Option<Box<Queue>>>,
    /// The earliest moment at which an event of a running queue is due.
    pub(super) next_due: Option<u64>,
    /// User clients whose descriptor may have to change.
    dirty: Vec<u8>,
    pub(super) peak_clients: usize,
    #[cfg(feature = "faults")]
    pub(super) fault: Option<super::fault::Fault>,
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            now: 0,
            clients: (0..MAX_CLIENTS).map(|_| None).collect(),
            queues: (0..MAX_QUEUES).map(|_| None).collect(),
            next_due: None,
            dirty: Vec::with_capacity(MAX_CLIENTS),
            peak_clients: 0,
            #[cfg(feature = "faults")]
            fault: None,
        };
        let readable = port_capability::READ | port_capability::SUBSCRIBE_READ;
        let writable = port_capability::WRITE | port_capability::SUBSCRIBE_WRITE;
        state.add_kernel_client(
            address::CLIENT_SYSTEM,
            "System",
            &[("Timer", readable | port_capability::WRITE, 0, 0), ("Announce", readable, 0, 0)],
        );
        state.add_kernel_client(
            address::CLIENT_MIDI_THROUGH,
            "Midi Through",
            &[(
                "Midi Through Port-0",
                readable | writable,
                port_type::MIDI_GENERIC | port_type::SOFTWARE | port_type::PORT,
                0,
            )],
        );
        state
    }

    fn add_kernel_client(&mut self, number: u8, name: &str, ports: &[(&str, u32, u32, i32)]) {
        let mut client = Client::new(number, name, None);
        for (index, (name, capability, kind, channels)) in ports.iter().enumerate() {
            let mut info = PortInfo {
                capability: *capability,
                kind: *kind,
                midi_channels: *channels,
                ..PortInfo::default()
            };
            raw::set_name(&mut info.name, name);
            let mut port = Port::new(index as u8);
            port.set_info(&info);
            client.ports.insert(index as u8, port);
        }
        self.clients[number as usize] = Some(Box::new(client));
        self.peak_clients += 1;
    }

    pub(super) fn client(&self, number: u8) -> Option<&Client> {
        self.clients.get(number as usize)?.as_deref()
    }

    pub(super) fn client_mut(&mut self, number: u8) -> Option<&mut Client> {
        self.clients.get_mut(number as usize)?.as_deref_mut()
    }

    /// The client that sends a request. It exists as long as its connection is open.
    pub(super) fn own(&mut self, number: u8) -> Result<&mut Client, Errno> {
        self.client_mut(number).ok_or(Errno::CLOSED)
    }

    pub(super) fn client_count(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    pub(super) fn queue(&self, number: i32) -> Option<&Queue> {
        self.queues.get(usize::try_from(number).ok()?)?.as_deref()
    }

    pub(super) fn queue_mut(&mut self, number: i32) -> Option<&mut Queue> {
        self.queues.get_mut(usize::try_from(number).ok()?)?.as_deref_mut()
    }

    pub(super) fn tie_order(&self) -> TieOrder {
        TieOrder {
            ignore_priority: fault!(self, PriorityIgnored),
            last_first: fault!(self, EqualStampsReversed),
        }
    }

    /// Opens a client with the lowest free number.
    pub(super) fn open(&mut self, mode: OpenMode) -> Result<(u8, Arc<Signal>), Errno> {
        let number = (FIRST_USER_CLIENT..MAX_CLIENTS)
            .find(|&number| self.clients[number].is_none())
            .ok_or(Errno::NO_MEMORY)? as u8;
        let signal = Arc::new(Signal::new()?);
        let user = User {
            signal: Arc::clone(&signal),
            shown: Readiness::INITIAL,
            is_dirty: false,
            fifo: mode.has_input().then(Fifo::new),
            accepts_output: mode.has_output(),
            process: rustix::thread::gettid().as_raw_nonzero().get(),
        };
        let mut client = Client::new(number, &format!("Client-{number}"), Some(user));
        // A connection of this library always announces its protocol version.
        client.user_version = ProtocolVersion::CURRENT.raw();
        self.clients[number as usize] = Some(Box::new(client));
        self.peak_clients = self.peak_clients.max(self.client_count());
        self.touch(number);
        self.announce(event_type::CLIENT_START, number, 0);
        Ok((number, signal))
    }

    /// Closes a client with its ports and queues.
    pub(super) fn close(&mut self, number: u8) {
        let ports = self.client_mut(number).map(|client| std::mem::take(&mut client.ports));
        for (port_number, port) in ports.unwrap_or_default() {
            // The exit of the port is announced before its connections end; when a single port is
            // deleted, the order is the reverse.
            self.announce(event_type::PORT_EXIT, number, port_number);
            self.disconnect(port);
        }
        self.leave_queues(number);
        if let Some(closed) = self.clients[number as usize].take()
            && closed.user.is_some_and(|user| user.is_dirty)
        {
            self.dirty.retain(|&dirty| dirty != number);
        }
        self.announce(event_type::CLIENT_EXIT, number, 0);
    }

    /// Records that a client's descriptor may have to change.
    pub(super) fn touch(&mut self, number: u8) {
        if let Some(user) = self.client_mut(number).and_then(|client| client.user.as_mut())
            && !user.is_dirty
        {
            user.is_dirty = true;
            self.dirty.push(number);
        }
    }

    /// Updates the descriptors of all clients recorded by [`touch`](Self::touch).
    pub(super) fn update_descriptors(&mut self) {
        while let Some(number) = self.dirty.pop() {
            let Some(client) = self.client_mut(number) else { continue };
            let has_room = client.pool.has_room();
            let Some(user) = client.user.as_mut() else { continue };
            user.is_dirty = false;
            let readiness = Readiness {
                readable: user.fifo.as_ref().is_some_and(|fifo| !fifo.is_empty()),
                writable: user.accepts_output && has_room,
            };
            if readiness != user.shown {
                user.signal.set(user.shown, readiness);
                user.shown = readiness;
            }
        }
    }

    /// Carries out a request of a client.
    pub(super) fn request(&mut self, client: u8, request: Request<'_>) -> Result<i32, Errno> {
        match request {
            Request::ProtocolVersion(version) => *version = ProtocolVersion::CURRENT.raw(),
            Request::ClientId(number) => *number = i32::from(client),
            Request::SystemInfo(info) => self.system_info(info),
            Request::RunningMode(info) => self.check_running_mode(info)?,
            Request::UserProtocolVersion(version) => self.own(client)?.user_version = *version,
            Request::GetClientInfo(info) => {
                let number = u8::try_from(info.client).map_err(|_| Errno::NOT_FOUND)?;
                self.client(number).ok_or(Errno::NOT_FOUND)?.info(info);
            }
            Request::SetClientInfo(info) => self.set_client_info(client, info)?,
            // A kernel built without MIDI 2.0 answers the same.
            Request::GetClientUmpInfo(_) | Request::SetClientUmpInfo(_) => {
                return Err(Errno::UNSUPPORTED_REQUEST);
            }
            Request::CreatePort(info) => self.create_port(client, info)?,
            Request::DeletePort(info) => self.delete_port(client, info)?,
            Request::GetPortInfo(info) => self.get_port_info(info)?,
            Request::SetPortInfo(info) => self.set_port_info(client, info)?,
            Request::SubscribePort(subscription) => self.subscribe(client, subscription)?,
            Request::UnsubscribePort(subscription) => self.unsubscribe(client, subscription)?,
            Request::CreateQueue(info) => self.create_queue(client, info)?,
            Request::DeleteQueue(info) => self.delete_queue(client, info.queue)?,
            Request::GetQueueInfo(info) => self.get_queue_info(info)?,
            Request::SetQueueInfo(info) => self.set_queue_info(client, info)?,
            Request::GetNamedQueue(info) => self.get_named_queue(info)?,
            Request::GetQueueStatus(status) => self.get_queue_status(status)?,
            Request::GetQueueTempo(tempo) => self.get_queue_tempo(client, tempo)?,
            Request::SetQueueTempo(tempo) => self.set_queue_tempo(client, tempo)?,
            Request::GetQueueTimer(timer) => self.get_queue_timer(timer)?,
            Request::SetQueueTimer(timer) => self.set_queue_timer(client, timer)?,
            Request::GetQueueClient(usage) => self.get_queue_client(client, usage)?,
            Request::SetQueueClient(usage) => self.set_queue_client(client, usage)?,
            Request::GetClientPool(pool) => self.get_client_pool(pool)?,
            Request::SetClientPool(pool) => self.set_client_pool(client, pool)?,
            Request::RemoveEvents(condition) => self.remove_events(client, condition)?,
            Request::QuerySubscribers(query) => self.query_subscribers(query)?,
            Request::GetSubscription(subscription) => self.get_subscription(subscription)?,
            Request::QueryNextClient(info) => self.query_next_client(info)?,
            Request::QueryNextPort(info) => self.query_next_port(info)?,
        }
        Ok(0)
    }

    /// Checks the byte order and pointer size that a client was built with.
    fn check_running_mode(&self, info: &RunningInfo) -> Result<(), Errno> {
        self.client(info.client).ok_or(Errno::NOT_FOUND)?;
        let has_same_order = (info.big_endian != 0) == cfg!(target_endian = "big");
        if !has_same_order || usize::from(info.cpu_mode) > size_of::<usize>() {
            return Err(Errno::INVALID);
        }
        Ok(())
    }

    fn system_info(&self, info: &mut SystemInfo) {
        *info = SystemInfo {
            queues: MAX_QUEUES as i32,
            clients: MAX_CLIENTS as i32,
            ports: super::client::MAX_PORTS as i32,
            channels: 256,
            current_clients: self.client_count() as i32,
            current_queues: self.queues.iter().flatten().count() as i32,
            ..SystemInfo::default()
        };
    }

    fn set_client_info(&mut self, number: u8, info: &ClientInfo) -> Result<(), Errno> {
        if info.client != i32::from(number) {
            return Err(Errno::NOT_PERMITTED);
        }
        if info.kind != raw::client_type::USER {
            return Err(Errno::INVALID);
        }
        let client = self.own(number)?;
        if info.name[0] != 0 {
            client.name = info.name;
            client.name[63] = 0;
        }
        client.filter = info.filter;
        client.event_filter = info.event_filter;
        client.lost_events = info.lost_events;
        client.group_filter = info.group_filter;
        self.announce(event_type::CLIENT_CHANGE, number, 0);
        Ok(())
    }

    fn query_next_client(&self, info: &mut ClientInfo) -> Result<(), Errno> {
        let first = usize::try_from(info.client.saturating_add(1)).unwrap_or(0);
        let client = self.clients.iter().skip(first).flatten().next().ok_or(Errno::NOT_FOUND)?;
        client.info(info);
        Ok(())
    }

    /// Advances time to `target`, delivering every event due until then at its own moment and in
    /// order.
    pub(super) fn advance_to(&mut self, target: u64) {
        while let Some(due) = self.next_due.filter(|&due| due <= target) {
            self.now = self.now.max(due);
            self.run_queues();
        }
        self.now = self.now.max(target);
    }

    /// Delivers all events due now, and finds the next moment at which one is due.
    pub(super) fn run_queues(&mut self) {
        for number in 0..MAX_QUEUES {
            self.run_queue(number);
        }
        self.find_next_due();
    }

    pub(super) fn find_next_due(&mut self) {
        self.next_due = self.queues.iter().flatten().filter_map(|queue| queue.next_due()).min();
    }
}
