//! The loop of the I/O thread. It waits for the socket, the process, callers and deadlines, passes
//! them to the connection, and performs its events.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Shared;
use super::link::{Link, Received, Receiver};
use crate::capture::Direction;
use crate::context::Host;
use crate::error::{Error, ErrorKind};
use crate::events::Event;
use crate::lifecycle::{BootStatus, LifecycleEvent};
use crate::options::Options;
use crate::output::{PrintedLine, RefusalCause, SynthDefRefusal};
use crate::pending::Slot;
use crate::process::ServerProcess;
use crate::proto;
use crate::queries::FailInfo;
use crate::shared_memory;
use crate::wire::PRINT_MARKER_PREFIX;

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
    /// A callback was registered for the last message as a failure, so that it is not reported.
    is_claimed: bool,
    /// The local port, kept until the connection is closed in good order. If it was merely lost,
    /// the server still identifies this client by the port.
    local_port: Option<u16>,
}

/// Gives everybody who still waits a result when the thread ends, even if it panics.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let mut connection = self.0.connection();
        connection.abandon();
        let events: Vec<_> = std::iter::from_fn(|| connection.poll_event()).collect();
        drop(connection);
        events.into_iter().for_each(|event| self.0.give_result(event));
        self.0.waiters.abandon();
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
        is_claimed: false,
        local_port: None,
    };
    loop {
        this.perform_events();
        if this.is_closing && shared.connection().boot_status() == BootStatus::Offline {
            break;
        }
        this.wait();
        this.shared.connection().handle_timeout(shared.now());
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
        self.shared.command(&Slot::new(), |connection, now| match connection.is_owner() {
            true => connection.quit(true, now),
            false => connection.disconnect(now),
        });
    }

    /// Sends what is to be sent and performs events until there are none.
    fn perform_events(&mut self) {
        loop {
            let mut connection = self.shared.connection();
            if let Err(error) = self.shared.flush(&mut connection) {
                let boot_status = connection.boot_status();
                drop(connection);
                // While the connection is being closed, nobody misses the packet.
                if boot_status == BootStatus::Online {
                    self.shared.warn(&format!("cannot send requests: {error}"));
                }
                continue;
            }
            let Some(event) = connection.poll_event() else { break };
            drop(connection);
            self.perform(event);
        }
        self.is_claimed = false;
    }

    fn perform(&mut self, event: proto::Event) {
        match event {
            proto::Event::Spawn(options) => self.spawn(*options),
            proto::Event::Open(options) => self.open(*options),
            proto::Event::Close => {
                *self.shared.link.lock() = None;
                *self.shared.memory.lock() = None;
                self.shared.synthdef_files.clear();
                self.link = None;
            }
            proto::Event::Kill => {
                if let Some(process) = &mut self.process {
                    process.kill();
                } else {
                    self.shared.connection().process_exited("it had already exited");
                }
            }
            proto::Event::Message(message) => {
                tracing::trace!(%message, "received");
                self.is_claimed = self.shared.callbacks.message(&message);
                if self.shared.event_count.load(Ordering::Relaxed) > 0 {
                    self.shared.publish(&Event::Message(message));
                }
            }
            proto::Event::Lifecycle(event) => {
                if event == LifecycleEvent::OscDisconnected {
                    self.local_port = None;
                }
                self.event(event);
            }
            proto::Event::Warning(warning) => self.shared.warn(&warning),
            proto::Event::Fail(fail) => self.failure(fail),
            result => self.shared.give_result(result),
        }
    }

    /// Reports a failure that answers no waiting request.
    fn failure(&self, fail: FailInfo) {
        if self.is_claimed || fail.command.starts_with(PRINT_MARKER_PREFIX) {
            return;
        }
        if fail.command == "/d_load" && self.shared.synthdef_files.contains(&fail.reason) {
            let cause = RefusalCause::Unknown;
            return self.shared.refusal_printed(SynthDefRefusal { name: None, cause });
        }
        let FailInfo { command, reason, .. } = &fail;
        tracing::warn!(command, reason, "the server rejected a request");
        self.shared.print_unheard(&format!("the server rejected {command}: {reason}"));
        self.shared.publish(&Event::Fail(fail));
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
                self.shared.connection().process_started();
            }
            Err(error) => self.shared.connection().spawn_failed(&error),
        }
    }

    fn open(&mut self, options: Options) {
        self.options = options;
        self.shared.warnings.clear();
        self.shared.refusals.clear();
        let timeout = self.shared.connection().timeouts().connect;
        match Link::open(&self.options, timeout, self.local_port) {
            Ok(link) => {
                self.local_port = link.port();
                let link = Arc::new(link);
                self.receiver = Receiver::new();
                self.shared.is_full.store(false, Ordering::Relaxed);
                *self.shared.link.lock() = Some(link.clone());
                self.link = Some(link);
                self.shared.open_memory(&self.options);
                self.shared.connection().socket_opened(self.shared.now());
            }
            Err(error) => self.shared.connection().socket_failed(&error),
        }
    }

    /// Waits until a descriptor is ready or a deadline has passed, and passes on what happened.
    fn wait(&mut self) {
        let now = self.shared.now();
        let taps = self.shared.console.lock().iter().map(|tap| tap.deadline).min();
        let deadline = [self.shared.connection().poll_timeout(), taps].into_iter().flatten().min();
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
            let is_full = self.shared.is_full.load(Ordering::Relaxed);
            flags.set(PollFlags::OUT, link.has_backlog() || is_full);
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
            self.shared.connection().socket_refused(self.shared.now());
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
            shared.connection().process_line(line, shared.now());
        });
    }

    fn process_exited(&mut self) {
        self.read_output();
        let Some(process) = &mut self.process else { return };
        let Some(status) = process.try_wait() else { return };
        self.process = None;
        self.shared.process_id.store(0, Ordering::Relaxed);
        shared_memory::remove_stale(self.options.port);
        self.shared.connection().process_exited(&status);
    }

    fn receive(&mut self) {
        let Some(link) = self.link.clone() else { return };
        // The socket is writable again; if not, the next attempt finds out.
        self.shared.is_full.store(false, Ordering::Relaxed);
        if link.has_backlog()
            && let Err(error) = link.flush()
        {
            let error = Error::io("cannot send to the server", error);
            self.shared.connection().socket_failed(&error);
        }
        let shared = self.shared;
        let received = self.receiver.receive(&link, &mut |packet| {
            shared.capture(Direction::Received, packet);
            shared.connection().handle_packet(packet, shared.now());
        });
        match received {
            Received::Open => {}
            Received::Refused => shared.connection().socket_refused(shared.now()),
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
                let mut connection = shared.connection();
                connection.socket_closed_by_server(shared.now());
                connection.socket_failed(&error);
                drop(connection);
                if shared.connection().boot_status() != BootStatus::Online {
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

impl Shared {
    /// Gives a result to those who wait for it. Other events are ignored.
    fn give_result(&self, event: proto::Event) {
        let waiters = &self.waiters;
        match event {
            proto::Event::Reply(id, result) => waiters.replies.fill(id, result),
            proto::Event::Completed(id, result) => waiters.commands.fill(id, result),
            proto::Event::Probed(id, result) => waiters.probes.fill(id, result),
            proto::Event::Started(life, success) => waiters.starts.fill(life, success),
            proto::Event::Ended(life, in_order) => waiters.ends.fill(life, in_order),
            _ => {}
        }
    }
}
