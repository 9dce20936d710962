//! An instance of the backend: one universe on one adapter.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use consort_router::{
    Block, ChannelError, ChannelTable, Context, Driver, Event, Instance, Plan, Problems, Readiness,
    Resolution, Sender, State, Usage, WarnOnce, downcast, driver,
};
use mio::Interest;
use mio::unix::SourceFd;
use rustix::io::Errno;

use super::DmxUsbDriver;
use super::config::{Claim, Claims, Kind, Settings, find};
use super::interface::{ANSWER_TIMEOUT, ProInterface, REPEAT_INTERVAL};
use super::line::DrivenLine;
use super::pro::{Found, Incoming, decode};
use crate::dmx::{Emission, Output, Slots};
use crate::hotplug::{Job, RETRY_INTERVAL, Watch, close};
use crate::serial::{AdapterInfo, SerialLine, Setup};

/// The keys with which an instance registers its descriptors.
mod key {
    pub(super) const ADAPTER: u32 = 0;
    pub(super) const WATCH: u32 = 1;
    pub(super) const SEARCH: u32 = 2;
}

/// The speed of a DMX line in bits per second. Interfaces with a processor of their own ignore it.
const DMX_SPEED: u32 = 250_000;

/// An instance before the start.
pub(super) struct DmxUsbPlan {
    pub(super) settings: Settings,
    pub(super) slots: Slots,
}

impl Plan for DmxUsbPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.slots.channel(specification, usage)
    }

    fn check(&self, problems: &mut Problems) {
        if self.slots.is_source && self.settings.kind == Kind::Open {
            problems
                .warning(None, "values are mapped from this instance, but it receives none")
                .hint("only interfaces of `type = pro` receive");
        } else if self.slots.is_source && self.slots.is_target {
            problems
                .warning(
                    None,
                    "the instance is a source and a target: it sends, and receives nothing",
                )
                .hint("an interface has one DMX line; use another interface to receive");
        }
    }

    fn slot(&self, channel: u32, _: Usage) -> Option<u16> {
        self.slots.narrow(channel)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.slots.resolution(channel)
    }

    fn open(self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let driver = driver::<DmxUsbDriver>(backend);
        Box::new(DmxUsbInstance {
            settings: self.settings,
            slots: self.slots,
            claims: Arc::clone(&driver.claims),
            detect: Rc::clone(&driver.detect),
            adapter: None,
            search: None,
            watch: None,
            problem: None,
            reported: None,
            retry_at: None,
            output: Output::new(true, 0),
            emission: Emission::default(),
            errors: WarnOnce::default(),
        })
    }
}

/// What the thread that opens an adapter returns.
struct Opened {
    line: SerialLine,
    claim: Claim,
    info: AdapterInfo,
}

/// The open adapter of an instance.
struct Adapter {
    link: Link,
    /// Shown as the sender of unmatched input.
    name: String,
    claim: Claim,
}

enum Link {
    Pro(Box<ProInterface>),
    Open(DrivenLine),
}

/// A running instance.
struct DmxUsbInstance {
    settings: Settings,
    slots: Slots,
    claims: Claims,
    /// Whether received values are logged; the driver changes it.
    detect: Rc<Cell<bool>>,
    adapter: Option<Adapter>,
    /// The thread that looks for the adapter.
    search: Option<Job<Opened>>,
    watch: Option<Watch>,
    /// Why there is no adapter, or why it does not work.
    problem: Option<String>,
    /// The problem that was reported last as the state; `None` before the first report.
    reported: Option<Option<String>>,
    /// When to look for the adapter again.
    retry_at: Option<Instant>,
    /// The frame to send.
    output: Output,
    emission: Emission,
    errors: WarnOnce,
}

/// Finds and opens the adapter. Blocks.
fn open(settings: &Settings, claims: &Claims) -> Result<Opened, String> {
    let (claim, info) = find(&settings.criteria, claims)?;
    let setup =
        Setup { speed: DMX_SPEED, has_two_stop_bits: true, blocks: settings.kind == Kind::Open };
    let line = SerialLine::open(claim.path(), &setup).map_err(|error| {
        let hint = match error.raw_os_error() {
            Some(libc::EACCES) => "; add this user to the group of the device, usually `dialout`",
            Some(libc::EBUSY) => "; another program uses it",
            Some(libc::ENOTTY) => ": it is not a serial line",
            _ => "",
        };
        format!("cannot open {}: {error}{hint}", claim.path().display())
    })?;
    Ok(Opened { line, claim, info })
}

impl DmxUsbInstance {
    /// Whether the adapter receives.
    fn receives(&self) -> bool {
        self.settings.kind == Kind::Pro && !self.slots.is_target
    }

    fn start_search(&mut self, context: &mut Context<'_>) {
        if self.adapter.is_some() || self.search.is_some() || context.is_stopping() {
            return;
        }
        if self.watch.is_none() {
            // The watch begins before the search, so that no adapter is missed between them.
            let folders = ["/dev", "/dev/serial/by-id"].map(Path::new);
            let watch = Watch::folders(&folders);
            self.watch = watch.filter(|watch| watch.register(key::WATCH, context).is_ok());
        }
        let (settings, claims) = (self.settings.clone(), Arc::clone(&self.claims));
        let search = Job::start("dmxusb", key::SEARCH, context, move || open(&settings, &claims));
        match search {
            Ok(search) => self.search = Some(search),
            Err(problem) => self.wait(problem, context),
        }
    }

    /// Waits for the adapter.
    fn wait(&mut self, problem: String, context: &mut Context<'_>) {
        self.problem = Some(problem);
        self.retry_at = Some(context.now() + RETRY_INTERVAL);
        self.update(context);
    }

    fn finish_search(&mut self, context: &mut Context<'_>) {
        let Some(result) = self.search.as_mut().and_then(|search| search.finish(context)) else {
            return;
        };
        self.search = None;
        match result.and_then(|opened| self.take(opened, context)) {
            Ok(()) => {
                self.problem = None;
                self.retry_at = None;
                if let Some(watch) = self.watch.take() {
                    close(watch);
                }
                self.send(true, context);
            }
            Err(problem) => self.wait(problem, context),
        }
    }

    /// Takes the open adapter into use.
    fn take(&mut self, opened: Opened, context: &mut Context<'_>) -> Result<(), String> {
        let Opened { line, claim, info } = opened;
        let path = claim.path().display().to_string();
        let link = match self.settings.kind {
            Kind::Pro => {
                let descriptor = line.descriptor().as_raw_fd();
                let interests = Interest::READABLE | Interest::WRITABLE;
                context
                    .register(&mut SourceFd(&descriptor), key::ADAPTER, interests)
                    .map_err(|error| format!("cannot watch {path}: {error}"))?;
                let receives = self.receives();
                let interface = ProInterface::new(line, &self.settings, receives, context.now());
                Link::Pro(Box::new(interface))
            }
            Kind::Open => {
                let mut driven = DrivenLine::start(line, self.settings.timing())
                    .map_err(|error| format!("cannot start a thread: {error}"))?;
                context
                    .register(&mut driven.end, key::ADAPTER, Interest::READABLE)
                    .map_err(|error| format!("cannot watch a thread: {error}"))?;
                Link::Open(driven)
            }
        };
        let name = if info.product.is_empty() { path.clone() } else { info.product };
        tracing::info!(
            instance = context.name(),
            "opened `{name}` ({path}, USB serial number `{}`)",
            info.serial
        );
        self.adapter = Some(Adapter { link, name, claim });
        Ok(())
    }

    /// Closes the adapter and looks for it again.
    fn lose(&mut self, reason: &str, context: &mut Context<'_>) {
        let Some(adapter) = self.adapter.take() else { return };
        let path: PathBuf = adapter.claim.path().to_owned();
        context.count_errors(1);
        release(adapter, context);
        self.wait(format!("{}: {reason}", path.display()), context);
        self.start_search(context);
    }

    /// Sets the state and the time of the next call.
    fn update(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let mut next = self.retry_at;
        let mut lower = |time: Instant| next = Some(next.map_or(time, |next| next.min(time)));
        let mut is_unanswered = false;
        if let Some(Adapter { link: Link::Pro(interface), .. }) = &self.adapter {
            if interface.identity.firmware.is_none() {
                is_unanswered = true;
                lower(interface.asked + ANSWER_TIMEOUT);
            }
            if let Some(sent) = interface.sent {
                let interval =
                    if self.output.is_dirty() { self.settings.interval() } else { REPEAT_INTERVAL };
                lower((sent + interval).max(now));
            }
        }
        if context.is_stopping() {
            next = None;
        }
        if next != context.wake_time() {
            context.wake_at(next);
        }
        let is_known = self.problem.is_some() || (self.adapter.is_some() && !is_unanswered);
        // Values arrive more often than the state changes.
        if is_known && self.reported.as_ref() != Some(&self.problem) {
            self.reported = Some(self.problem.clone());
            context.set_state(match &self.problem {
                Some(problem) => State::Waiting(problem.clone()),
                None => State::Up,
            });
        }
    }

    /// Sends the frame if it has changed or is to be repeated, and is due. `is_first`: the adapter
    /// has just been opened.
    fn send(&mut self, is_first: bool, context: &mut Context<'_>) {
        let now = context.now();
        let (is_dirty, has_sent) = (self.output.is_dirty(), self.output.has_sent());
        let mut failure = None;
        match self.adapter.as_mut().map(|adapter| &mut adapter.link) {
            Some(Link::Open(driven)) if is_dirty || is_first => {
                let (slots, _) = self.output.next_frame(now, false);
                driven.set(slots);
            }
            Some(Link::Pro(interface)) => {
                failure = interface.flush().err();
                let interval = if is_dirty { self.settings.interval() } else { REPEAT_INTERVAL };
                let is_due = interface.sent.is_none_or(|sent| now >= sent + interval);
                let has_values = is_dirty || has_sent;
                if has_values && (is_first || is_due) && failure.is_none() && interface.is_idle() {
                    let (slots, _) = self.output.next_frame(now, false);
                    interface.send(slots, now);
                    failure = interface.flush().err();
                }
            }
            Some(Link::Open(_)) | None => {}
        }
        match failure {
            Some(error) => self.lose(&error.to_string(), context),
            None => self.update(context),
        }
    }

    /// Reads what an interface sends until there is nothing more or the budget of the turn is used
    /// up.
    fn read(&mut self, context: &mut Context<'_>) {
        let mut budget = context.budget();
        let mut bytes = [0; 2_048];
        loop {
            let Some(Adapter { link: Link::Pro(interface), name, .. }) = &mut self.adapter else {
                return;
            };
            let count = match rustix::io::read(interface.line.descriptor(), &mut bytes[..]) {
                Ok(0) => return self.lose("the adapter has disappeared", context),
                Ok(count) => count,
                Err(Errno::AGAIN) => return self.update(context),
                Err(Errno::INTR) => continue,
                Err(error) => return self.lose(&io::Error::from(error).to_string(), context),
            };
            let ProInterface { decoder, frame, identity, .. } = &mut **interface;
            decoder.push(&bytes[..count]);
            let (mut is_changed, mut frames, mut errors) = (false, 0, 0);
            let before = *identity;
            while decoder.next(|found| {
                let Found::Message(label, data) = found else {
                    errors += 1;
                    return;
                };
                match decode(label, data) {
                    Some(Incoming::Frame { slots, has_error }) => {
                        frames += 1;
                        errors += u64::from(has_error);
                        is_changed = true;
                        frame.set(slots);
                    }
                    Some(Incoming::Changes { first, changed, values }) => {
                        frames += 1;
                        is_changed = true;
                        frame.change(first, changed, values);
                    }
                    Some(Incoming::Firmware(major, minor)) => {
                        identity.firmware = Some((major, minor));
                    }
                    Some(Incoming::Serial(serial)) => identity.serial = Some(serial),
                    Some(Incoming::Other) => {}
                    None => errors += 1,
                }
            }) {}
            if *identity != before
                && let (Some((major, minor)), Some(serial)) = (identity.firmware, identity.serial)
            {
                tracing::info!(
                    instance = context.name(),
                    "the interface `{name}` has firmware {major}.{minor:02} and serial number \
                     {serial:08x}"
                );
            }
            if identity.firmware.is_some() {
                self.problem = None;
            }
            if errors > 0 {
                context.count_errors(errors);
                if self.errors.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "the interface `{name}` has sent invalid or damaged messages; further ones \
                         are only counted"
                    );
                }
            }
            if frames > 0 {
                context.count_input(frames);
            }
            budget = budget.saturating_sub(if is_changed { self.emit(context) } else { 1 });
            if budget == 0 {
                self.update(context);
                return context.call_again(key::ADAPTER);
            }
        }
    }

    /// Emits the values that have changed, and reports slots that are not mapped. Returns how many
    /// there were, at least 1.
    fn emit(&mut self, context: &mut Context<'_>) -> usize {
        let Some(Adapter { link: Link::Pro(interface), name, .. }) = &self.adapter else {
            return 1;
        };
        let new = interface.frame.slots();
        let mut count = self.emission.emit_fresh(&self.slots, new, true, context);
        if self.detect.get() {
            self.emission.log_changes(new, context);
        }
        count += self.emission.emit_changes(&self.slots, new, true, Sender::Name(name), context);
        count.max(1)
    }
}

/// Ends the use of an adapter, without waiting for what it has not sent.
fn release(adapter: Adapter, context: &mut Context<'_>) {
    let result = match adapter.link {
        Link::Pro(interface) => {
            let descriptor = interface.line.descriptor().as_raw_fd();
            let result = context.deregister(&mut SourceFd(&descriptor));
            interface.line.discard();
            close((interface, adapter.claim));
            result
        }
        Link::Open(mut driven) => {
            let result = context.deregister(&mut driven.end);
            close((driven, adapter.claim));
            result
        }
    };
    if let Err(error) = result {
        tracing::debug!("cannot deregister an adapter: {error}");
    }
}

impl Instance for DmxUsbInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        self.start_search(context);
    }

    /// Keeps the adapter and both frames.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = *downcast::<DmxUsbPlan>(plan)?;
        let received = self.receives();
        self.emission.adopt(plan.slots.channel_count(), channels);
        self.settings = plan.settings;
        self.slots = plan.slots;
        let receives = self.receives();
        match self.adapter.as_mut().map(|adapter| &mut adapter.link) {
            Some(Link::Open(driven)) => driven.set_timing(self.settings.timing()),
            Some(Link::Pro(interface)) => {
                interface.set_parameters(&self.settings);
                if receives {
                    interface.set_receive_mode(self.settings.receives_changes);
                } else if received {
                    // The first value makes it send.
                    self.emission.reset();
                }
            }
            None => {}
        }
        self.send(false, context);
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        match key {
            key::SEARCH => self.finish_search(context),
            key::WATCH => {
                if let Some(watch) = &self.watch {
                    watch.drain();
                    self.start_search(context);
                }
            }
            _ => match self.adapter.as_ref().map(|adapter| &adapter.link) {
                Some(Link::Pro(_)) => {
                    self.read(context);
                    self.send(false, context);
                }
                Some(Link::Open(driven)) if !context.is_stopping() => {
                    let failure = driven.take_failure();
                    let reason = failure.map_or_else(
                        || "the thread of the line has ended".to_owned(),
                        |error| error.to_string(),
                    );
                    self.lose(&reason, context);
                }
                _ => {}
            },
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.retry_at.is_some_and(|time| time <= now) {
            self.retry_at = None;
            self.start_search(context);
        }
        if let Some(Adapter { link: Link::Pro(interface), name, .. }) = &mut self.adapter
            && interface.identity.firmware.is_none()
            && now >= interface.asked + ANSWER_TIMEOUT
        {
            interface.ask(now);
            self.problem = Some(format!(
                "`{name}` does not answer like a DMX USB Pro; for an Open DMX USB, use `type = open`"
            ));
        }
        self.send(false, context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let mut replaced = 0;
        for event in events {
            replaced += u64::from(self.output.replaces(event, &self.slots));
            self.output.set(event, &self.slots);
        }
        if replaced > 0 {
            context.count_dropped(replaced);
        }
        self.send(false, context);
    }

    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let replaced = self.output.count_replaced(block);
        self.output.set_block(block);
        if replaced > 0 {
            context.count_dropped(replaced);
        }
        self.send(false, context);
    }

    /// Sends the last values, whatever the rate.
    fn stop(&mut self, context: &mut Context<'_>) {
        self.retry_at = None;
        let is_dirty = self.output.is_dirty();
        match self.adapter.as_mut().map(|adapter| &mut adapter.link) {
            Some(Link::Pro(interface)) if is_dirty => interface.sent = None,
            Some(Link::Open(driven)) => {
                if is_dirty {
                    let (slots, _) = self.output.next_frame(context.now(), false);
                    driven.set(slots);
                }
                driven.end();
                return;
            }
            _ => {}
        }
        self.send(false, context);
    }

    fn is_stopped(&self) -> bool {
        match self.adapter.as_ref().map(|adapter| &adapter.link) {
            Some(Link::Pro(interface)) => interface.is_idle() && !self.output.is_dirty(),
            Some(Link::Open(driven)) => driven.has_ended(),
            None => true,
        }
    }
}

impl Drop for DmxUsbInstance {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            close(watch);
        }
        if let Some(adapter) = self.adapter.take() {
            close((
                adapter.claim,
                match adapter.link {
                    Link::Pro(interface) => (Some(interface), None),
                    Link::Open(driven) => (None, Some(driven)),
                },
            ));
        }
    }
}
