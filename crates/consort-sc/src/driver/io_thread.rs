//! The loop of the I/O thread: waits for the socket, the process, callers and deadlines, and
//! does what the state machine asks for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consort_osc::{OscMessage, Packet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::link::{Link, Received, Receiver};
use super::{Connection, Shared, is_over, packet_limit};
use crate::capture::Direction;
use crate::core::Action;
use crate::error::{Error, ErrorKind};
use crate::events::Event;
use crate::lifecycle::LifecycleEvent;
use crate::options::Options;
use crate::pending::Slot;
use crate::process::ServerProcess;
use crate::wire::REPLY_LIMITS;

struct Loop<'a> {
    shared: &'a Shared,
    process: Option<ServerProcess>,
    link: Option<Arc<Link>>,
    receiver: Receiver,
    options: Options,
    closing: bool,
    /// The system takes no datagram now; `poll` says when it does.
    is_full: bool,
    /// The socket's port, until the server was left in good order: one that was merely out of sight
    /// still knows this client by it.
    port: Option<u16>,
}

pub(super) fn run(shared: &Arc<Shared>) {
    let mut this = Loop {
        shared,
        process: None,
        link: None,
        receiver: Receiver::new(),
        options: shared.context.options(),
        closing: false,
        is_full: false,
        port: None,
    };
    loop {
        this.perform_actions();
        this.send_paced();
        if this.closing && is_over(shared.core().boot_status()) {
            break;
        }
        this.wait();
        this.shared.core().tick(shared.now());
        this.expire_console();
        if !this.closing && shared.closing.load(Ordering::Relaxed) {
            this.closing = true;
            this.close();
        }
    }
}

impl Loop<'_> {
    /// The last handle was dropped: an owned server ends, another's is left.
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
                    *self.shared.connection() = None;
                    *self.shared.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                        None;
                    self.link = None;
                }
                Action::Kill => {
                    if let Some(process) = &mut self.process {
                        process.kill();
                    } else {
                        self.shared.core().process_exited("it was gone already");
                    }
                }
                Action::Event(event) => {
                    if event == LifecycleEvent::OscDisconnected {
                        self.port = None;
                    }
                    self.event(event);
                }
                Action::Complete(outcome, result) => outcome.fill(result),
                Action::Warn(warning) => crate::context::Host::warn(self.shared, &warning),
                Action::Fail(fail) => {
                    if fail.command.starts_with("/consort_end_") {
                        continue;
                    }
                    tracing::warn!(
                        command = fail.command,
                        reason = fail.reason,
                        "the server refused a request"
                    );
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
                core.pace_own(packet);
                self.shared.paced.store(core.is_paced(), Ordering::Release);
            }
            Err(error) => {
                tracing::debug!(%error, "a packet of the connection itself was not sent");
            }
            Ok(()) => {}
        }
    }

    /// Sends what waited and may be sent now.
    fn send_paced(&mut self) {
        while let Some(link) = &self.link
            && !self.is_full
        {
            let mut core = self.shared.core();
            let paced = core.next_paced(self.shared.now());
            let Some(paced) = paced else {
                self.shared.paced.store(core.is_paced(), Ordering::Release);
                return;
            };
            drop(core);
            match self.shared.send_packet(link, &paced.bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.shared.core().put_back(paced);
                    self.is_full = true;
                }
                Err(error) => {
                    let text = format!("{} bytes of requests were not sent", paced.bytes.len());
                    crate::context::Host::warn(self.shared, &format!("{text}: {error}"));
                }
                Ok(()) => {}
            }
        }
    }

    fn event(&self, event: LifecycleEvent) {
        tracing::debug!(%event, port = self.options.port, "lifecycle");
        let signals = &self.shared.signals;
        match event {
            LifecycleEvent::Connected => signals.started(true),
            LifecycleEvent::Disconnected | LifecycleEvent::ProcessPanicked => {
                // What follows in the same batch may still say that it was in good order.
                let online = self.shared.context.is_online();
                if !online {
                    signals.started(false);
                }
            }
            _ => {}
        }
        match event {
            LifecycleEvent::OscDisconnected | LifecycleEvent::Quit => signals.ended(true),
            LifecycleEvent::OscPanicked | LifecycleEvent::ProcessPanicked => signals.ended(false),
            _ => {}
        }
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
        let timeout = self.shared.core().timeouts().connect;
        match Link::open(&self.options, timeout, self.port) {
            Ok(link) => {
                self.port = link.port();
                let link = Arc::new(link);
                self.receiver = Receiver::new();
                self.is_full = false;
                *self.shared.connection() = Some(Connection {
                    link: link.clone(),
                    limit: packet_limit(self.options.protocol),
                });
                self.link = Some(link);
                self.shared.open_memory(&self.options);
                self.shared.core().socket_opened(self.shared.now());
            }
            Err(error) => self.shared.core().socket_failed(&error),
        }
    }

    fn wait(&mut self) {
        let now = self.shared.now();
        let console = {
            let console = self.shared.console.lock();
            let console = console.unwrap_or_else(std::sync::PoisonError::into_inner);
            console.iter().map(|tap| tap.deadline).min()
        };
        let deadline = [self.shared.core().next_deadline(), console].into_iter().flatten().min();
        let wakes_at = deadline.map_or(u64::MAX, |deadline| deadline.as_micros() as u64);
        self.shared.wakes_at.store(wakes_at, Ordering::Relaxed);
        let timeout = deadline.map(|deadline| {
            // Rounded up, so that the deadline has passed when the wait ends.
            let left = deadline.saturating_sub(now) + Duration::from_micros(100);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let mut descriptors = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        let link_at = self.link.as_ref().map(|link| {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, link.has_backlog() || self.is_full);
            descriptors.push(PollFd::from_borrowed_fd(link.descriptor(), flags));
            descriptors.len() - 1
        });
        let (mut output_at, mut exit_at) = (None, None);
        if let Some(process) = &self.process {
            descriptors.push(PollFd::from_borrowed_fd(process.exit(), PollFlags::IN));
            exit_at = Some(descriptors.len() - 1);
            if let Some(output) = process.output() {
                descriptors.push(PollFd::from_borrowed_fd(output, PollFlags::IN));
                output_at = Some(descriptors.len() - 1);
            }
        }
        if let Err(error) = poll(&mut descriptors, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(%error, "cannot wait for the server");
        }
        let ready = |at: Option<usize>| at.is_some_and(|at| !descriptors[at].revents().is_empty());
        let (woken, link, output, exit) =
            (ready(Some(0)), ready(link_at), ready(output_at), ready(exit_at));
        drop(descriptors);
        if woken {
            let _ = rustix::io::read(&self.shared.wake, &mut [0u8; 8]);
        }
        if output {
            self.read_output();
        }
        if link {
            self.receive();
        }
        if self.shared.refused.swap(false, Ordering::Relaxed) {
            self.shared.core().socket_refused(self.shared.now());
        }
        if exit {
            self.process_exited();
        }
    }

    fn read_output(&mut self) {
        let Some(process) = &mut self.process else { return };
        let shared = self.shared;
        process.read_lines(&mut |line| {
            tracing::debug!(target: "consort_sc::process", "{line}");
            let mut console =
                shared.console.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            console.retain_mut(|tap| {
                if line.contains(&tap.marker) {
                    tap.slot.fill(Ok(std::mem::take(&mut tap.lines)));
                    return false;
                }
                if tap.lines.len() < 1_000_000 {
                    tap.lines.push(line.to_owned());
                }
                true
            });
            drop(console);
            if shared.event_count.load(Ordering::Relaxed) > 0 {
                shared.publish(&Event::ProcessOutput(line.to_owned()));
            }
            shared.core().process_line(line, shared.now());
        });
    }

    fn process_exited(&mut self) {
        self.read_output();
        let Some(process) = &mut self.process else { return };
        let Some(how) = process.try_wait() else { return };
        self.process = None;
        self.shared.process_id.store(0, Ordering::Relaxed);
        crate::shared_memory::remove_stale(self.options.port);
        self.shared.core().process_exited(&how);
    }

    fn receive(&mut self) {
        let Some(link) = self.link.clone() else { return };
        // Writable, or else the next attempt will say so.
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
            Received::Closed(why) => {
                let error = Error::new(
                    ErrorKind::CannotConnect,
                    format!(
                        "the connection to {}:{} ended: {why}{}",
                        self.options.ip_address,
                        self.options.port,
                        if self.options.password.is_some() {
                            " (a wrong password ends it like this)"
                        } else {
                            ""
                        }
                    ),
                );
                // A server that quits closes its connections: that is its answer.
                let mut core = shared.core();
                core.socket_refused_by_quit(shared.now());
                core.socket_failed(&error);
                drop(core);
                if shared.core().boot_status() != crate::lifecycle::BootStatus::Online {
                    self.link = None;
                }
            }
        }
    }

    fn expire_console(&self) {
        let now = self.shared.now();
        let mut console =
            self.shared.console.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        console.retain(|tap| {
            if tap.deadline > now {
                return true;
            }
            tap.slot.fill(Err(Error::new(
                ErrorKind::Timeout,
                "the server printed nothing that was expected within the deadline",
            )));
            false
        });
    }
}

/// Decodes a packet and hands its messages to the state machine, callbacks and events.
pub(super) fn handle_packet(shared: &Shared, bytes: &[u8]) {
    shared.capture(Direction::Received, bytes);
    let packet = match Packet::decode_with(bytes, &REPLY_LIMITS) {
        Ok(packet) => packet,
        Err(error) => {
            tracing::warn!(%error, length = bytes.len(), "what arrived is no OSC");
            shared.core().garbage();
            return;
        }
    };
    for message in packet.messages() {
        let message = OscMessage::from(message);
        tracing::trace!(%message, "received");
        let claimed = shared.callbacks.message(&message);
        shared.core().message(&message, claimed, shared.now());
        if shared.event_count.load(Ordering::Relaxed) > 0 {
            shared.publish(&Event::Message(message));
        }
    }
}
