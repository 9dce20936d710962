//! The operations that the blocking and the asynchronous server share because they never wait:
//! construction, properties, callbacks, events, captures.

use std::future::Future;
use std::sync::Arc;

use consort_osc::OscMessage;

use crate::SynthDefFile;
use crate::async_server::AsyncServer;
use crate::callbacks::{CallbackHandle, OscPattern, blocking};
use crate::capture::{Capture, CaptureBuffer};
use crate::clock::Clock;
#[allow(unused_imports)] // The documentation links to it.
use crate::error::{ErrorKind, Result};
use crate::events::{EventFilter, EventReceiver};
use crate::lifecycle::{LifecycleEvent, Timeouts};
use crate::options::Options;
use crate::pending::SlotFuture;
use crate::queries::StatusInfo;
use crate::server::Server;
use crate::session::Session;
use crate::shared_memory::SharedMemory;

impl Session {
    fn register_osc(
        &self,
        pattern: OscPattern,
        failure_pattern: Option<OscPattern>,
        once: bool,
        procedure: impl FnMut(OscMessage) + Send + 'static,
    ) -> CallbackHandle {
        self.driver.shared.callbacks.register_osc(pattern, failure_pattern, once, procedure)
    }
}

macro_rules! realtime_methods {
    ($type:ident) => {
        impl $type {
            /// A server with these options. Nothing is started or connected yet.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidOptions`]; [`ErrorKind::Io`] if no thread can be started.
            pub fn new(options: Options) -> Result<Self> {
                Self::with_timeouts(options, None, Timeouts::default())
            }

            /// As `new`, with a name for logs, and with deadlines.
            ///
            /// # Errors
            /// As `new`.
            pub fn with_timeouts(
                options: Options,
                name: Option<String>,
                timeouts: Timeouts,
            ) -> Result<Self> {
                Ok(Self { session: Arc::new(Session::new(options, name, timeouts)?) })
            }

            /// The same server with blocking operations.
            pub fn blocking(&self) -> Server {
                Server { session: self.session.clone() }
            }

            /// The same server with asynchronous operations.
            pub fn asynchronous(&self) -> AsyncServer {
                AsyncServer { session: self.session.clone() }
            }

            /// Whether this client started the server's process.
            pub fn is_owner(&self) -> bool {
                self.session.driver.shared.connection().is_owner()
            }

            /// The id of the process that this client started, while it runs.
            pub fn process_id(&self) -> Option<u32> {
                self.session.driver.shared.process_id()
            }

            /// The server's last status report. It is queried about every second.
            pub fn status(&self) -> Option<StatusInfo> {
                self.session.driver.shared.connection().status()
            }

            /// The server's shared memory, if the server runs on this machine and the memory passed every
            /// check.
            pub fn shared_memory(&self) -> Option<Arc<SharedMemory>> {
                self.session.driver.shared.memory()
            }

            /// The deadlines in force.
            pub fn timeouts(&self) -> Timeouts {
                self.session.driver.shared.connection().timeouts()
            }

            /// Sets the deadlines.
            pub fn set_timeouts(&self, timeouts: Timeouts) {
                self.session.driver.shared.step(|connection, _| connection.set_timeouts(timeouts));
            }

            /// SynthDefs that are loaded whenever this client boots the server: before `Connected`,
            /// except for files above the size of a datagram, which are loaded before `boot`
            /// returns.
            pub fn set_initial_synthdefs<'a>(
                &self,
                files: impl IntoIterator<Item = &'a SynthDefFile>,
            ) {
                let (small, large): (Vec<_>, Vec<_>) =
                    files.into_iter().partition(|file| file.bytes().len() <= 60_000);
                let small = small.into_iter().map(|file| file.bytes().clone()).collect();
                let shared = &self.session.driver.shared;
                shared.connection().set_initial_synthdefs(small);
                *shared.large_initial_synthdefs.lock() = large.into_iter().cloned().collect();
            }

            /// Whether a notification contradicted the mirrored tree, because datagrams were lost.
            /// A `query_tree` of the root makes the mirror right again.
            pub fn is_mirror_stale(&self) -> bool {
                self.session.context.shared().lock().mirror.is_stale()
            }

            /// Resolves when the current start, or else the last one, has finished: true if it
            /// succeeded. Before the first start it waits for that one.
            ///
            /// It always resolves: a start ends within [`Timeouts::boot`] and
            /// [`Timeouts::connect`]; and with false when the last handle of the server is dropped.
            /// A start that is rejected, because the server is online already, is not a start.
            pub fn boot_future(&self) -> impl Future<Output = Result<bool>> + Send + use<> {
                SlotFuture(self.session.driver.shared.start_slot())
            }

            /// Resolves when the connection of the current start, or else of the last one, has
            /// ended: true if it was closed in good order (`quit`, `disconnect`), false if it was
            /// lost or the start failed. The result does not depend on when it is asked for. It
            /// also resolves when the last handle of the server is dropped.
            pub fn exit_future(&self) -> impl Future<Output = Result<bool>> + Send + use<> {
                SlotFuture(self.session.driver.shared.end_slot())
            }

            /// Calls `procedure` for messages that match `pattern` (an address and leading
            /// arguments). It runs on a thread of the callbacks, so that it may block and send
            /// requests.
            pub fn register_osc_callback(
                &self,
                pattern: impl Into<OscPattern>,
                procedure: impl FnMut(OscMessage) + Send + 'static,
            ) -> CallbackHandle {
                self.session.register_osc(pattern.into(), None, false, procedure)
            }

            /// As `register_osc_callback`, but for the first matching message only.
            pub fn register_osc_callback_once(
                &self,
                pattern: impl Into<OscPattern>,
                procedure: impl FnMut(OscMessage) + Send + 'static,
            ) -> CallbackHandle {
                self.session.register_osc(pattern.into(), None, true, procedure)
            }

            /// As `register_osc_callback`, but also called for messages that match
            /// `failure_pattern` (such as `/fail` with a command). Such a failure is not reported
            /// as an event.
            pub fn register_osc_callback_with(
                &self,
                pattern: impl Into<OscPattern>,
                failure_pattern: Option<OscPattern>,
                once: bool,
                procedure: impl FnMut(OscMessage) + Send + 'static,
            ) -> CallbackHandle {
                self.session.register_osc(pattern.into(), failure_pattern, once, procedure)
            }

            /// As `register_osc_callback_with`, for programs with their own queue: `queue` runs on
            /// the I/O thread, before a request that waits for the message is answered. It must
            /// neither block nor call the server.
            pub fn register_osc_queue(
                &self,
                pattern: impl Into<OscPattern>,
                failure_pattern: Option<OscPattern>,
                once: bool,
                queue: impl FnMut(OscMessage) + Send + 'static,
            ) -> CallbackHandle {
                self.session.driver.shared.callbacks.register_osc_queue(
                    pattern.into(),
                    failure_pattern,
                    once,
                    queue,
                )
            }

            /// As `register_osc_callback`, with a procedure that returns a future. The future is
            /// run to completion before the next call.
            pub fn register_osc_callback_async<F: Future<Output = ()> + Send + 'static>(
                &self,
                pattern: impl Into<OscPattern>,
                procedure: impl FnMut(OscMessage) -> F + Send + 'static,
            ) -> CallbackHandle {
                self.session.register_osc(pattern.into(), None, false, blocking(procedure))
            }

            /// As `register_osc_callback_with`, with a procedure that returns a future.
            pub fn register_osc_callback_async_with<F: Future<Output = ()> + Send + 'static>(
                &self,
                pattern: impl Into<OscPattern>,
                failure_pattern: Option<OscPattern>,
                once: bool,
                procedure: impl FnMut(OscMessage) -> F + Send + 'static,
            ) -> CallbackHandle {
                self.session.register_osc(
                    pattern.into(),
                    failure_pattern,
                    once,
                    blocking(procedure),
                )
            }

            /// Calls `procedure` when one of `events` happens ([`LifecycleEvent::ALL`] for
            /// all); with `once`, only for the first of them. It runs on a thread of the
            /// callbacks.
            pub fn register_lifecycle_callback(
                &self,
                events: impl IntoIterator<Item = LifecycleEvent>,
                once: bool,
                procedure: impl FnMut(LifecycleEvent) + Send + 'static,
            ) -> CallbackHandle {
                let events = events.into_iter().collect();
                self.session.driver.shared.callbacks.register_lifecycle(events, once, procedure)
            }

            /// As `register_lifecycle_callback`, with a procedure that returns a future.
            pub fn register_lifecycle_callback_async<F: Future<Output = ()> + Send + 'static>(
                &self,
                events: impl IntoIterator<Item = LifecycleEvent>,
                once: bool,
                procedure: impl FnMut(LifecycleEvent) -> F + Send + 'static,
            ) -> CallbackHandle {
                self.register_lifecycle_callback(events, once, blocking(procedure))
            }

            /// Unregisters a callback, as [`CallbackHandle::unregister`] does.
            pub fn unregister_osc_callback(&self, callback: &CallbackHandle) {
                callback.unregister();
            }

            /// Unregisters a callback, as [`CallbackHandle::unregister`] does.
            pub fn unregister_lifecycle_callback(&self, callback: &CallbackHandle) {
                callback.unregister();
            }

            /// A receiver of the events from now on, with a descriptor for `poll`, for programs with
            /// their own event loop.
            pub fn events(&self, filter: EventFilter) -> EventReceiver {
                let (receiver, queue) = EventReceiver::new(filter);
                self.session.driver.shared.add_events(&queue);
                receiver
            }

            /// A clock that starts now and runs as fast as the server's sample clock.
            pub fn clock(&self) -> Clock {
                Clock::start(self.session.driver.shared.clone())
            }

            /// Records every packet that is sent or received until the capture is dropped.
            pub fn capture(&self) -> Capture {
                let buffer = Arc::<CaptureBuffer>::default();
                self.session.driver.shared.add_capture(&buffer);
                Capture(buffer)
            }
        }
    };
}

realtime_methods!(Server);
realtime_methods!(AsyncServer);
