//! The loop of the I/O thread. It waits for the socket, the process, callers and deadlines, passes
//! them to the state machine, and performs its actions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consort_osc::{OscMessage, Packet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::link::{Link, Received, Receiver};
use super::{Connection, Shared};
use crate::capture::Direction;
use crate::context::Host;
use crate::core::Action;
use crate::error::{Error, ErrorKind};
use crate::events::Event;
use crate::lifecycle::{BootStatus, LifecycleEvent};
use crate::options::Options;
use crate::output::{PrintedLine, RefusalCause, SynthDefRefusal};
use crate::pending::Slot;
use crate::process::ServerProcess;
use crate::queries::FailInfo;
use crate::shared_memory;
use crate::wire::{PRINT_MARKER_PREFIX, REPLY_LIMITS};

/// How many lines one tap of the output collects at most.
const MAX_TAPPED_LINES: usize = 1_000_000;

/// The state of the I/O thread.
struct Loop<'a> {
    shared: &'a Arc<Shared>,
    process: Option<ServerProcess>,
    link: Option<Arc<Link>>,
    receiver: Receiver,
    options: Options,
    is_closing: bool,
    /// The system does not accept a datagram now; `poll` reports when it does.
    is_full: bool,
    /// The local port, kept until the connection is closed in good order. If it was merely lost,
    /// the server still identifies this client by the port.
    local_port: Option<u16>,
}

/// Gives everybody who still waits a result when the thread ends, even if it panics.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.core().abandon();
    }
}

/// Runs until the last handle was dropped and the connection is offline.
pub(super) fn run(shared: &Arc<Shared>) {
    let _guard = EndGuard(shared);
    let mut this = Loop {
        shared,
        process: None,
        link: None,
        receiver: Receiver::new(),
        options: shared.context.options(),
        is_closing: false,
        is_full: false,
        local_port: None,
    };
    loop {
        this.perform_actions();
        this.send_queued();
        if this.is_closing && shared.core().boot_status() == BootStatus::Offline {
            break;
        }
        this.wait();
        this.shared.core().tick(shared.now());
        this.expire_taps();
        if !this.is_closing && shared.is_closing.load(Ordering::Relaxed) {
            this.is_closing = true;
            this.close();
        }
    }
}

impl Loop<'_> {
    /// The last handle was dropped: quits an owned server, logs out of any other.
    fn close(&self) {
        let now = self.shared.now();
        let mut core = self.shared.core();
        if core.is_owner() {
            core.quit(true, Slot::new(), now);
        } else {
            core.disconnect(Slot::new(), now);
        }
    }

    fn perform_actions(&mut self) {
        loop {
            let Some(action) = self.shared.core().next_action() else { return };
            match action {
                Action::Spawn(options) => self.spawn(*options),
                Action::Open(options) => self.open(*options),
                Action::Send(packet) => self.send_own(packet),
                Action::Close => {
                    *self.shared.connection.lock() = None;
                    *self.shared.memory.lock() = None;
                    self.shared.synthdef_files.clear();
                    self.link = None;
                }
                Action::Kill => {
                    if let Some(process) = &mut self.process {
                        process.kill();
                    } else {
                        self.shared.core().process_exited("it had already exited");
                    }
                }
                Action::Event(event) => {
                    if event == LifecycleEvent::OscDisconnected {
                        self.local_port = None;
                    }
                    self.event(event);
                }
                Action::Complete(outcome, result) => outcome.fill(result),
                Action::Resolve(waiters, result) => {
                    waiters.iter().for_each(|waiter| waiter.fill(Ok(result)));
                }
                Action::Warn(warning) => self.shared.warn(&warning),
                Action::Fail(fail) => {
                    if fail.command.starts_with(PRINT_MARKER_PREFIX) {
                        continue;
                    }
                    if fail.command == "/d_load"
                        && self.shared.synthdef_files.contains(&fail.reason)
                    {
                        let cause = RefusalCause::Unknown;
                        self.shared.refusal_printed(SynthDefRefusal { name: None, cause });
                        continue;
                    }
                    tracing::warn!(
                        command = fail.command,
                        reason = fail.reason,
                        "the server rejected a request"
                    );
                    let FailInfo { command, reason, .. } = &fail;
                    self.shared.print_unheard(&format!("the server rejected {command}: {reason}"));
                    self.shared.publish(&Event::Fail(fail));
                }
            }
        }
    }

    fn send_own(&mut self, packet: Vec<u8>) {
        let Some(link) = &self.link else { return };
        match self.shared.send_packet(link, &packet) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let mut core = self.shared.core();
                core.enqueue_own(packet);
                self.shared.has_queue.store(core.has_queue(), Ordering::Release);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot send a packet of the connection");
            }
            Ok(()) => {}
        }
    }

    /// Sends the queued packets that may be sent now.
    fn send_queued(&mut self) {
        while let Some(link) = &self.link
            && !self.is_full
        {
            let mut core = self.shared.core();
            let Some(packet) = core.next_queued(self.shared.now()) else {
                self.shared.has_queue.store(core.has_queue(), Ordering::Release);
                return;
            };
            drop(core);
            match self.shared.send_packet(link, &packet.bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.shared.core().requeue(packet);
                    self.is_full = true;
                }
                Err(error) => {
                    let size = packet.bytes.len();
                    self.shared.warn(&format!("cannot send {size} bytes of requests: {error}"));
                }
                Ok(()) => {}
            }
        }
    }

    fn event(&self, event: LifecycleEvent) {
        tracing::debug!(%event, port = self.options.port, "lifecycle");
        self.shared.callbacks.lifecycle(event);
        self.shared.publish(&Event::Lifecycle(event));
    }

    fn spawn(&mut self, options: Options) {
        self.options = options;
        match ServerProcess::spawn(&self.options) {
            Ok(process) => {
                self.shared.process_id.store(u64::from(process.id()), Ordering::Relaxed);
                self.process = Some(process);
                self.shared.core().process_started();
            }
            Err(error) => self.shared.core().spawn_failed(&error),
        }
    }

    fn open(&mut self, options: Options) {
        self.options = options;
        self.shared.warnings.clear();
        self.shared.refusals.clear();
        let timeout = self.shared.core().timeouts().connect;
        match Link::open(&self.options, timeout, self.local_port) {
            Ok(link) => {
                self.local_port = link.port();
                let link = Arc::new(link);
                self.receiver = Receiver::new();
                self.is_full = false;
                let protocol = self.options.protocol;
                *self.shared.connection.lock() = Some(Connection { link: link.clone(), protocol });
                self.link = Some(link);
                self.shared.open_memory(&self.options);
                self.shared.core().socket_opened(self.shared.now());
            }
            Err(error) => self.shared.core().socket_failed(&error),
        }
    }

    /// Waits until a descriptor is ready or a deadline has passed, and passes on what happened.
    fn wait(&mut self) {
        let now = self.shared.now();
        let taps = self.shared.console.lock().iter().map(|tap| tap.deadline).min();
        let deadline = [self.shared.core().next_deadline(), taps].into_iter().flatten().min();
        let wakes_at = deadline.map_or(u64::MAX, |deadline| deadline.as_micros() as u64);
        self.shared.wakes_at.store(wakes_at, Ordering::Relaxed);
        let timeout = deadline.map(|deadline| {
            // Rounded up, so that the deadline has passed when the wait ends.
            let left = deadline.saturating_sub(now) + Duration::from_micros(100);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let mut descriptors = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        let link_index = self.link.as_ref().map(|link| {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, link.has_backlog() || self.is_full);
            descriptors.push(PollFd::from_borrowed_fd(link.descriptor(), flags));
            descriptors.len() - 1
        });
        let (mut output_index, mut exit_index) = (None, None);
        if let Some(process) = &self.process {
            descriptors.push(PollFd::from_borrowed_fd(process.exit(), PollFlags::IN));
            exit_index = Some(descriptors.len() - 1);
            if let Some(output) = process.output() {
                descriptors.push(PollFd::from_borrowed_fd(output, PollFlags::IN));
                output_index = Some(descriptors.len() - 1);
            }
        }
        if let Err(error) = poll(&mut descriptors, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(%error, "cannot poll the descriptors of the server");
        }
        let is_ready = |index: Option<usize>| {
            index.is_some_and(|index| !descriptors[index].revents().is_empty())
        };
        let (is_woken, has_packets, has_output, has_exited) =
            (is_ready(Some(0)), is_ready(link_index), is_ready(output_index), is_ready(exit_index));
        drop(descriptors);
        if is_woken {
            let _ = rustix::io::read(&self.shared.wake, &mut [0u8; 8]);
        }
        if has_output {
            self.read_output();
        }
        if has_packets {
            self.receive();
        }
        if self.shared.was_refused.swap(false, Ordering::Relaxed) {
            self.shared.core().socket_refused(self.shared.now());
        }
        if has_exited {
            self.process_exited();
        }
    }

    fn read_output(&mut self) {
        let Some(process) = &mut self.process else { return };
        let shared = self.shared;
        process.read_lines(&mut |line| {
            tracing::debug!(target: "consort_sc::process", "{line}");
            let mut taps = shared.console.lock();
            let is_tapped = !taps.is_empty();
            taps.retain_mut(|tap| {
                if line.contains(&tap.marker) {
                    tap.slot.fill(Ok(std::mem::take(&mut tap.lines)));
                    return false;
                }
                if tap.lines.len() < MAX_TAPPED_LINES {
                    tap.lines.push(line.to_owned());
                }
                true
            });
            drop(taps);
            if shared.event_count.load(Ordering::Relaxed) > 0 {
                shared.publish(&Event::ProcessOutput(line.to_owned()));
            }
            match PrintedLine::parse(line) {
                PrintedLine::SynthDefRefused(refusal) => shared.refusal_printed(refusal),
                // What is printed because of a request is not a warning.
                PrintedLine::Complaint(text) if !is_tapped && shared.context.is_online() => {
                    shared.warn(&format!("the server printed: {text}"));
                }
                _ => {}
            }
            shared.core().process_line(line, shared.now());
        });
    }

    fn process_exited(&mut self) {
        self.read_output();
        let Some(process) = &mut self.process else { return };
        let Some(status) = process.try_wait() else { return };
        self.process = None;
        self.shared.process_id.store(0, Ordering::Relaxed);
        shared_memory::remove_stale(self.options.port);
        self.shared.core().process_exited(&status);
    }

    fn receive(&mut self) {
        let Some(link) = self.link.clone() else { return };
        // The socket is writable again; if not, the next attempt finds out.
        self.is_full = false;
        if link.has_backlog()
            && let Err(error) = link.flush()
        {
            let error = Error::io("cannot send to the server", error);
            self.shared.core().socket_failed(&error);
        }
        let shared = self.shared;
        let received = self.receiver.receive(&link, &mut |packet| handle_packet(shared, packet));
        match received {
            Received::Open => {}
            Received::Refused => shared.core().socket_refused(shared.now()),
            Received::Closed(reason) => {
                let Options { ip_address, port, .. } = self.options;
                let hint = match self.options.password {
                    Some(_) => " (a wrong password has this effect)",
                    None => "",
                };
                let error = Error::with_source(
                    ErrorKind::CannotConnect,
                    format!("the connection to {ip_address}:{port} ended{hint}"),
                    reason,
                );
                // A server that quits closes its connections, which is its answer to `/quit`.
                let mut core = shared.core();
                core.socket_closed_by_server(shared.now());
                core.socket_failed(&error);
                drop(core);
                if shared.core().boot_status() != BootStatus::Online {
                    self.link = None;
                }
            }
        }
    }

    fn expire_taps(&self) {
        let now = self.shared.now();
        self.shared.console.lock().retain(|tap| {
            if tap.deadline > now {
                return true;
            }
            tap.slot.fill(Err(Error::new(
                ErrorKind::Timeout,
                "the server did not print the expected output within the deadline",
            )));
            false
        });
    }
}

/// Decodes a packet and passes its messages to callbacks, the state machine and event receivers.
pub(super) fn handle_packet(shared: &Shared, bytes: &[u8]) {
    shared.capture(Direction::Received, bytes);
    let packet = match Packet::decode_with(bytes, &REPLY_LIMITS) {
        Ok(packet) => packet,
        Err(error) => {
            tracing::warn!(%error, length = bytes.len(), "received a packet that is not valid OSC");
            shared.core().invalid_packet();
            return;
        }
    };
    for message in packet.messages() {
        let message = OscMessage::from(message);
        tracing::trace!(%message, "received");
        let is_claimed = shared.callbacks.message(&message);
        shared.core().message(&message, is_claimed, shared.now());
        if shared.event_count.load(Ordering::Relaxed) > 0 {
            shared.publish(&Event::Message(message));
        }
    }
}
