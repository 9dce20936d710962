//! What both kinds of client have in common: everything that does not wait.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::core::{Core, Direction, lock};
use super::error::{Error, Result, Subject};
use super::info::{
    ClientInfo, ClientPool, RemoveCondition, RemoveEvents, SequencerType, SystemInfo,
};
use super::routing::Routing;
use super::{AsyncSequencerClient, SequencerClient};
use crate::engine::{Embedded, Engine, OpenMode, ProtocolVersion, Request};
use crate::event::{Address, Event, EventType};
use crate::raw;

/// How to open a client. The engine is the kernel's unless the environment variable
/// `CONSORT_SEQ` says `embedded` or [`engine`](Self::engine) is called; there is no falling back
/// from one to the other.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    name: String,
    mode: OpenMode,
    engine: Option<Engine>,
}

impl ClientBuilder {
    /// A client called `name` (at most 63 bytes), for input and output.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), mode: OpenMode::Duplex, engine: None }
    }

    /// For input only, output only, or both (the default).
    #[must_use]
    pub fn streams(mut self, mode: OpenMode) -> Self {
        self.mode = mode;
        self
    }

    /// On this engine, whatever the environment says.
    #[must_use]
    pub fn engine(mut self, engine: impl Into<Engine>) -> Self {
        self.engine = Some(engine.into());
        self
    }

    /// Opens a client whose methods block.
    ///
    /// # Errors
    /// [`ErrorKind::Open`](crate::ErrorKind::Open) if there is no sequencer or no room for
    /// another client; the text says which module or group is missing.
    pub fn open(self) -> Result<SequencerClient> {
        Ok(SequencerClient::from_base(self.open_base(true)?))
    }

    /// Opens a client whose methods are futures, driven by a thread of the client's own: they
    /// run on any executor.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the thread cannot be started.
    pub fn open_async(self) -> Result<AsyncSequencerClient> {
        AsyncSequencerClient::with_thread(self.open_base(false)?)
    }

    /// Opens a client whose methods are futures, driven by tokio: it must be opened inside a
    /// runtime with I/O and time enabled, and used while that runtime lives.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the descriptor cannot be registered with tokio.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn open_tokio(self) -> Result<AsyncSequencerClient> {
        AsyncSequencerClient::with_tokio(self.open_base(false)?)
    }

    fn open_base(self, may_block: bool) -> Result<ClientBase> {
        let engine = match self.engine {
            Some(engine) => engine,
            None => Engine::from_environment().map_err(Error::open)?,
        };
        let connection = engine.open(self.mode).map_err(Error::open)?;
        let base = ClientBase {
            core: Arc::new(Core::new(Arc::from(connection), engine, may_block)?),
            mode: self.mode,
        };
        base.set_client_name(&self.name)?;
        Ok(base)
    }
}

/// What [`SequencerClient`] and [`AsyncSequencerClient`] have in common. All methods here may be
/// called from any thread, and none of them waits for events or room, but where it says so.
pub struct ClientBase {
    pub(crate) core: Arc<Core>,
    mode: OpenMode,
}

impl ClientBase {
    /// The client's number.
    #[must_use]
    pub fn client_id(&self) -> u8 {
        self.core.client_id
    }

    /// The address of a port of this client.
    #[must_use]
    pub fn address(&self, port: impl Into<u8>) -> Address {
        Address::new(self.core.client_id, port.into())
    }

    /// Which directions the client was opened for.
    #[must_use]
    pub fn streams(&self) -> OpenMode {
        self.mode
    }

    /// The engine that the client runs on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.core.engine
    }

    /// Ends the client: its ports and queues go, and whoever waits in another thread or task
    /// gets an error of kind [`Closed`](crate::ErrorKind::Closed), as does every later call.
    /// Closing twice does nothing. Dropping the client closes it as soon as none of its ports
    /// and queues are left.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether [`close`](Self::close) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The raw connection: ioctls, reads and writes at the kernel's own level. Reading and
    /// writing there goes past this client's buffers.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn connection(&self) -> Result<Arc<dyn crate::engine::Connection>> {
        self.core.connection("connection")
    }

    /// The descriptor to register with `poll`, epoll or mio: readable while an event waits in
    /// the sequencer, writable while there is room. Wait on it only; read with
    /// [`event_input_batch`](Self::event_input_batch) until it returns less than was asked for,
    /// because events that stand in the client's own buffer do not make it readable. Valid until
    /// the client is closed.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn descriptor(&self) -> Result<RawFd> {
        Ok(self.core.connection("descriptor")?.descriptor().as_raw_fd())
    }

    /// The sequencer's protocol version.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn protocol_version(&self) -> Result<ProtocolVersion> {
        Ok(self.core.connection("protocol_version")?.protocol_version())
    }

    // ---- the sequencer ----

    /// What the sequencer is called: `kernel` or `embedded` (`snd_seq_name`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_sequencer_name(&self) -> Result<&'static str> {
        self.core.connection("get_sequencer_name")?;
        Ok(self.core.engine_name)
    }

    /// How the sequencer is reached (`snd_seq_type`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_sequencer_type(&self) -> Result<SequencerType> {
        self.core.connection("get_sequencer_type")?;
        Ok(SequencerType::Hardware)
    }

    /// Limits and use of the sequencer (`SNDRV_SEQ_IOCTL_SYSTEM_INFO`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_system_info(&self) -> Result<SystemInfo> {
        let mut raw = raw::SystemInfo::default();
        let request = Request::SystemInfo(&mut raw);
        self.core.ioctl("get_system_info", request, || Subject::None)?;
        Ok(SystemInfo::from_raw(&raw))
    }

    // ---- clients ----

    /// Information about this client (`SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_client_info(&self) -> Result<ClientInfo> {
        self.get_any_client_info(self.core.client_id)
    }

    /// Information about any client (`SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`).
    ///
    /// # Errors
    /// `ENOENT` if there is no such client.
    pub fn get_any_client_info(&self, client: u8) -> Result<ClientInfo> {
        let mut raw = raw::ClientInfo { client: i32::from(client), ..raw::ClientInfo::default() };
        let subject = || Subject::Client(i32::from(client));
        self.core.ioctl("get_client_info", Request::GetClientInfo(&mut raw), subject)?;
        Ok(ClientInfo::from_raw(&raw))
    }

    /// Changes name, filters and the count of lost events of this client
    /// (`SNDRV_SEQ_IOCTL_SET_CLIENT_INFO`).
    ///
    /// # Errors
    /// `EPERM` if `info` is about another client.
    pub fn set_client_info(&self, info: &ClientInfo) -> Result<()> {
        let mut raw = info.to_raw();
        let subject = || Subject::Client(i32::from(info.client_id));
        self.core.ioctl("set_client_info", Request::SetClientInfo(&mut raw), subject)?;
        Ok(())
    }

    /// Renames this client; at most 63 bytes of the name are kept.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_name(&self, name: &str) -> Result<()> {
        let mut info = self.get_client_info()?;
        name.clone_into(&mut info.name);
        self.set_client_info(&info)
    }

    /// Lets events of this type in, and from the first call on no others than those named so.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_event_filter(&self, event_type: EventType) -> Result<()> {
        let mut info = self.get_client_info()?;
        info.event_filter.get_or_insert_default().insert(event_type);
        self.set_client_info(&info)
    }

    /// The client after `previous` in the order of numbers, or the first
    /// (`SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT`); `None` after the last.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn query_next_client(&self, previous: Option<u8>) -> Result<Option<ClientInfo>> {
        let client = previous.map_or(-1, i32::from);
        let mut raw = raw::ClientInfo { client, ..raw::ClientInfo::default() };
        let request = Request::QueryNextClient(&mut raw);
        match self.core.ioctl("query_next_client", request, || Subject::Client(client)) {
            Ok(_) => Ok(Some(ClientInfo::from_raw(&raw))),
            Err(error) if error.kind() == super::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All clients, by number.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn list_clients(&self) -> Result<Vec<ClientInfo>> {
        let mut clients = Vec::new();
        let mut previous = None;
        while let Some(info) = self.query_next_client(previous)? {
            previous = Some(info.client_id);
            clients.push(info);
        }
        Ok(clients)
    }

    // ---- memory ----

    /// This client's pools (`SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_client_pool(&self) -> Result<ClientPool> {
        self.get_any_client_pool(self.core.client_id)
    }

    /// Any client's pools (`SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`).
    ///
    /// # Errors
    /// `ENOENT` if there is no such client.
    pub fn get_any_client_pool(&self, client: u8) -> Result<ClientPool> {
        let mut raw = raw::ClientPool { client: i32::from(client), ..raw::ClientPool::default() };
        let subject = || Subject::Client(i32::from(client));
        self.core.ioctl("get_client_pool", Request::GetClientPool(&mut raw), subject)?;
        Ok(ClientPool::from_raw(&raw))
    }

    /// Changes this client's pools (`SNDRV_SEQ_IOCTL_SET_CLIENT_POOL`). Changing a pool's size
    /// discards what is in it.
    ///
    /// # Errors
    /// `EBUSY` while the output pool is in use; sizes out of range are ignored by the kernel.
    pub fn set_client_pool(&self, pool: &ClientPool) -> Result<()> {
        let mut raw = pool.to_raw();
        raw.client = i32::from(self.core.client_id);
        let request = Request::SetClientPool(&mut raw);
        self.core.ioctl("set_client_pool", request, || self.core.subject())?;
        self.core.input().fit_pool(pool.input_pool);
        Ok(())
    }

    /// Sets the size of the output pool in cells, 1 to 2000.
    ///
    /// # Errors
    /// `EBUSY` while it is in use.
    pub fn set_client_pool_output(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { output_pool: cells, ..pool })
    }

    /// Sets the size of the input pool in cells, 1 to 2000.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_pool_input(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { input_pool: cells, ..pool })
    }

    /// Sets from how many free cells on the client counts as writable.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_pool_output_room(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { output_room: cells, ..pool })
    }

    // ---- the client's own buffers ----

    /// Size of the output buffer in bytes; 16 KiB at first.
    #[must_use]
    pub fn get_output_buffer_size(&self) -> usize {
        self.core.output().capacity()
    }

    /// Sets the size of the output buffer in bytes. What waits in it stays.
    ///
    /// # Errors
    /// `EINVAL` if less than one event fits (28 bytes), more than that is waiting, or there is no
    /// memory for it.
    pub fn set_output_buffer_size(&self, size: usize) -> Result<()> {
        let operation = "set_output_buffer_size";
        if self.core.is_closed() {
            return Err(Error::closed(operation));
        }
        if size < raw::Event::SIZE || !self.core.output().set_capacity(size) {
            let note = format!(
                "{size} bytes do not hold an event or what is waiting, or are not to be had"
            );
            return Err(Error::invalid(operation, Subject::None, note));
        }
        Ok(())
    }

    /// Size of the input buffer in bytes; 14000 (500 cells) at first. An event that is
    /// longer is read nevertheless.
    #[must_use]
    pub fn get_input_buffer_size(&self) -> usize {
        self.core.input().size()
    }

    /// Sets the size of the input buffer in bytes, rounded up to whole cells of 28. What has been
    /// read stays.
    ///
    /// # Errors
    /// `EINVAL` if less than one event fits (28 bytes).
    pub fn set_input_buffer_size(&self, size: usize) -> Result<()> {
        let operation = "set_input_buffer_size";
        if self.core.is_closed() {
            return Err(Error::closed(operation));
        }
        if size < raw::Event::SIZE {
            let note = format!("{size} bytes do not hold an event of 28");
            return Err(Error::invalid(operation, Subject::None, note));
        }
        let cell = raw::Event::SIZE;
        self.core.input().set_size(size.checked_next_multiple_of(cell).unwrap_or(size));
        Ok(())
    }

    /// Bytes that wait in the output buffer.
    #[must_use]
    pub fn event_output_pending(&self) -> usize {
        self.core.output().used()
    }

    /// Puts an event into the output buffer without ever waiting or writing; returns the bytes
    /// that wait there now.
    ///
    /// # Errors
    /// `EAGAIN` if the buffer is full; `EINVAL` if the event is larger than the buffer.
    #[inline]
    pub fn event_output_buffer(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let operation = "event_output_buffer";
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(used);
        }
        match self.core.buffer(operation, event, &routing)? {
            Some(used) => Ok(used),
            None => Err(Error::system(operation, Subject::event(event), crate::Errno::WOULD_BLOCK)),
        }
    }

    /// Puts events into the output buffer, in order and under one lock, without ever waiting or
    /// writing; returns how many have gone in, which is less than all if the buffer is full.
    ///
    /// # Errors
    /// As [`event_output_buffer`](Self::event_output_buffer) for the first event; `EAGAIN` is no
    /// error here, but 0. An event further on that fails ends the batch before it.
    pub fn event_output_buffer_batch(
        &self,
        events: &[Event],
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        self.core.buffer_many("event_output_buffer_batch", events, &routing.into())
    }

    /// Writes as much of the output buffer as the sequencer takes now, without waiting; returns
    /// the bytes that remain.
    ///
    /// # Errors
    /// The errno of the first event that fails. It stays at the head of the buffer, and every
    /// later drain fails likewise, until [`extract_output`](Self::extract_output) or
    /// [`drop_output_buffer`](Self::drop_output_buffer) takes it.
    pub fn try_drain_output(&self) -> Result<usize> {
        Ok(self.core.flush("drain_output")?.1)
    }

    /// The first event in the output buffer, left where it is; `None` if it is empty.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn peek_output(&self) -> Result<Option<Event>> {
        if self.core.is_closed() {
            return Err(Error::closed("peek_output"));
        }
        Ok(self.core.output().head())
    }

    /// Takes the first event out of the output buffer; `None` if it is empty.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn extract_output(&self) -> Result<Option<Event>> {
        if self.core.is_closed() {
            return Err(Error::closed("extract_output"));
        }
        Ok(self.core.output().extract())
    }

    /// Forgets what waits in the output buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_output_buffer(&self) -> Result<()> {
        if self.core.is_closed() {
            return Err(Error::closed("drop_output_buffer"));
        }
        self.core.output().clear();
        Ok(())
    }

    /// Forgets what waits in the output buffer and what this client has waiting in queues.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_output(&self) -> Result<()> {
        self.drop_output_buffer()?;
        self.remove_in_sequencer("drop_output", &RemoveEvents::output())
    }

    /// Forgets what has been read into the input buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_input_buffer(&self) -> Result<()> {
        if self.core.is_closed() {
            return Err(Error::closed("drop_input_buffer"));
        }
        self.core.input().clear();
        Ok(())
    }

    /// Forgets all input, here and in the sequencer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_input(&self) -> Result<()> {
        self.drop_input_buffer()?;
        self.remove_in_sequencer("drop_input", &RemoveEvents::input())
    }

    /// Removes selected events from the output buffer and the queues, and with
    /// [`RemoveCondition::INPUT`] all input (`SNDRV_SEQ_IOCTL_REMOVE_EVENTS`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn remove_events(&self, remove: &RemoveEvents) -> Result<()> {
        let operation = "remove_events";
        if self.core.is_closed() {
            return Err(Error::closed(operation));
        }
        if remove.condition.contains(RemoveCondition::INPUT) {
            self.core.input().clear();
        }
        if remove.condition.contains(RemoveCondition::OUTPUT) {
            self.core.output().remove_if(|event| remove.matches(event));
        }
        self.remove_in_sequencer(operation, remove)
    }

    fn remove_in_sequencer(&self, operation: &'static str, remove: &RemoveEvents) -> Result<()> {
        let mut raw = remove.to_raw();
        self.core.ioctl(operation, Request::RemoveEvents(&mut raw), || self.core.subject())?;
        Ok(())
    }

    // ---- input without waiting ----

    /// The next event, or `None` if there is none now. Never waits, never allocates for events
    /// of fixed size.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost.
    #[inline]
    pub fn try_event_input(&self) -> Result<Option<Event>> {
        self.core.try_input("event_input")
    }

    /// Whether the next attempt to read will tell of a loss that was noticed behind events which
    /// have been handed out. The descriptor does not become readable for it.
    pub fn has_overrun(&self) -> bool {
        self.core.input().has_overrun()
    }

    /// Appends up to `limit` events to `events` and returns how many, without waiting: 0 if
    /// there are none now. Less than `limit` means that nothing is left to read, but perhaps a
    /// loss to be told: see [`has_overrun`](Self::has_overrun).
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost, after those that came before.
    pub fn event_input_batch(&self, events: &mut Vec<Event>, limit: usize) -> Result<usize> {
        self.core.try_input_batch("event_input_batch", events, limit)
    }

    /// Bytes that have been read into the input buffer. If there are none and `fetch_sequencer`
    /// is set, reads from the sequencer without waiting and returns the number of events.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost.
    pub fn event_input_pending(&self, fetch_sequencer: bool) -> Result<usize> {
        let operation = "event_input_pending";
        let mut input = self.core.input();
        if input.connection.is_none() {
            return Err(Error::closed(operation));
        }
        let pending = input.pending_bytes();
        if pending > 0 || !fetch_sequencer {
            return Ok(pending);
        }
        match input.fill() {
            Ok(()) => Ok(input.count()),
            Err(crate::Errno::WOULD_BLOCK) => Ok(0),
            Err(errno) => Err(Error::system(operation, self.core.subject(), errno)),
        }
    }

    // ---- MIDI bytes ----

    /// Makes events of MIDI bytes with this client's coder, which keeps its state over calls,
    /// and hands each to `sink`; see [`MidiEncoder`](crate::MidiEncoder).
    pub fn encode_midi_bytes(&self, bytes: &[u8], sink: impl FnMut(Event)) {
        lock(&self.core.encoder).encode(bytes, sink);
    }

    /// Makes MIDI bytes of an event with this client's coder; `None` for an event that has none.
    #[must_use]
    pub fn decode_midi_bytes(&self, event: &Event) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        lock(&self.core.decoder).decode(event, &mut bytes).ok().map(|_| bytes)
    }

    /// Forgets unfinished MIDI messages of both directions.
    pub fn reset_midi_coder(&self) {
        lock(&self.core.encoder).reset();
        lock(&self.core.decoder).reset();
    }

    /// Puts an event into the output buffer as a port or queue does on its own: a blocking
    /// client waits for room, an asynchronous one fails with `EAGAIN`.
    pub(crate) fn output_from(core: &Core, operation: &'static str, event: &Event) -> Result<()> {
        while core.buffer(operation, event, &Routing::new())?.is_none() {
            if core.flush(operation)?.0 == super::buffers::Flush::Blocked {
                if !core.may_block {
                    let subject = Subject::event(event);
                    return Err(Error::system(operation, subject, crate::Errno::WOULD_BLOCK));
                }
                core.wait(operation, Direction::Write, None)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ClientBase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBase")
            .field("client_id", &self.core.client_id)
            .field("engine", &self.core.engine_name)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl From<Embedded> for Engine {
    fn from(embedded: Embedded) -> Self {
        Self::Embedded(embedded)
    }
}
