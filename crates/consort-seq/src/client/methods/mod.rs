//! What both kinds of client have in common: every operation that does not wait.
//!
//! The methods are in one file per topic.

mod buffers;
mod clients;
mod discovery;
mod input;
mod midi_bytes;
mod output;
mod pools;
mod ports;
mod queues;
mod subscriptions;
mod waiting;

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

pub use discovery::{ListPorts, PortSort};
pub use waiting::Waited;

use super::core::ClientCore;
use super::error::{OperationName, Result, Subject};
use super::info::{SequencerType, SystemInfo};
use super::queue::QueueRegistry;
use crate::engine::{Engine, OpenMode, ProtocolVersion, Request};
use crate::event::Address;
use crate::raw;

/// The operations that [`SequencerClient`](crate::SequencerClient) and
/// [`AsyncSequencerClient`](crate::AsyncSequencerClient) have in common; both dereference to this
/// type.
///
/// All methods may be called from any thread. None of them waits for events or room, except
/// [`wait_readable`](Self::wait_readable), [`wait_writable`](Self::wait_writable), and the control
/// methods of a blocking client's queues.
pub struct ClientBase {
    pub(crate) core: Arc<ClientCore>,
    queues: Arc<QueueRegistry>,
    mode: OpenMode,
}

impl ClientBase {
    pub(crate) fn new(core: Arc<ClientCore>, mode: OpenMode) -> Self {
        Self { core, queues: Arc::default(), mode }
    }

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

    /// The directions for which the client was opened.
    #[must_use]
    pub fn streams(&self) -> OpenMode {
        self.mode
    }

    /// The engine on which the client runs.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.core.engine
    }

    /// Closes the client and deletes its ports and queues. Waits in other threads or tasks end
    /// with an error of kind [`Closed`](crate::ErrorKind::Closed), and so does every later call.
    /// Closing twice does nothing. A client that is dropped is closed when the last handle of its
    /// ports and queues is dropped.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether [`close`](Self::close) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The raw connection: ioctls, reads and writes of the kernel's interface. Its reads and
    /// writes bypass this client's buffers.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn connection(&self) -> Result<Arc<dyn crate::engine::Connection>> {
        self.core.connection().during("connection")
    }

    /// The descriptor to register with `poll`, epoll or mio: readable while an event waits in
    /// the sequencer, writable while there is room. Use it only for waiting. Read with
    /// [`event_input_batch`](Self::event_input_batch) until it returns fewer events than its
    /// limit, because events in the client's own buffer do not make the descriptor readable. It
    /// is valid until the client is closed.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn descriptor(&self) -> Result<RawFd> {
        Ok(self.core.connection().during("descriptor")?.descriptor().as_raw_fd())
    }

    /// The sequencer's protocol version.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn protocol_version(&self) -> Result<ProtocolVersion> {
        Ok(self.core.connection().during("protocol_version")?.protocol_version())
    }

    /// The name of the sequencer: `kernel` or `embedded` (`snd_seq_name`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_sequencer_name(&self) -> Result<&'static str> {
        self.core.connection().during("get_sequencer_name")?;
        Ok(self.core.engine_name)
    }

    /// The kind of access to the sequencer (`snd_seq_type`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_sequencer_type(&self) -> Result<SequencerType> {
        self.core.connection().during("get_sequencer_type")?;
        Ok(SequencerType::Hardware)
    }

    /// Limits of the sequencer, and how much of them is in use (`SNDRV_SEQ_IOCTL_SYSTEM_INFO`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_system_info(&self) -> Result<SystemInfo> {
        let mut raw = raw::SystemInfo::default();
        let request = Request::SystemInfo(&mut raw);
        self.core.ioctl(request, || Subject::None).during("get_system_info")?;
        Ok(SystemInfo::from_raw(&raw))
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
