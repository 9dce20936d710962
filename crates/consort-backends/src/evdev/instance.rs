//! An instance of the backend: its plan, and while it runs the devices that it receives from and
//! creates.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Event, Instance, Plan, Problems,
    Readiness, Resolution, State, Usage, WarnOnce, downcast, driver,
};
use mio::Interest;
use mio::unix::SourceFd;
use rustix::io::Errno;

use super::EvdevDriver;
use super::channels::{Channels, Control, Motors};
use super::codes::{Code, EventType};
use super::config::Settings;
use super::input::{Accepted, Input};
use super::mapping::Mapping;
use super::output::{Output, Writer, blueprint};
use super::rumble::Rumble;
use super::system::{Blueprint, EVENT_BYTES, RawEvent, System};
use crate::hotplug::{Job, RETRY_INTERVAL, Watch, close};

/// How many events are read with one call.
const EVENTS_PER_READ: usize = 64;

/// The first delay before a device that another program has grabbed is grabbed again. It doubles up
/// to [`RETRY_INTERVAL`].
const FIRST_GRAB_DELAY: Duration = Duration::from_millis(100);

/// The keys with which an instance registers its descriptors.
mod key {
    pub(super) const INPUT: u32 = 0;
    pub(super) const OUTPUT: u32 = 1;
    pub(super) const WATCH: u32 = 2;
    pub(super) const SEARCH: u32 = 3;
    pub(super) const CREATION: u32 = 4;
}

/// An instance before the start.
pub(super) struct EvdevPlan {
    pub(super) settings: Settings,
    pub(super) channels: Channels,
}

impl EvdevPlan {
    /// Whether values of a control go to the device that the instance receives from: lights,
    /// sounds and motors.
    fn is_of_input(&self, control: Control) -> bool {
        is_of_input(&self.settings, control)
    }
}

fn is_of_input(settings: &Settings, control: Control) -> bool {
    settings.input.is_some()
        && match control {
            Control::Rumble(_) => true,
            Control::Code(code) => matches!(code.kind, EventType::Led | EventType::Sound),
        }
}

impl Plan for EvdevPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.channels.channel(specification, usage, &self.settings)
    }

    fn check(&self, problems: &mut Problems) {
        let settings = &self.settings;
        if settings.input.is_none() && settings.output.is_none() {
            problems
                .warning(None, "this instance has neither an input device nor an output")
                .hint("add `input = NAME` or `device = PATH` to receive, `output = NAME` to send");
            return;
        }
        let channels = || self.channels.list().iter();
        if settings.output.is_none()
            && channels().any(|channel| channel.is_target && !self.is_of_input(channel.control))
        {
            problems
                .warning(None, "values are mapped to this instance, but it creates no device")
                .hint("add `output = NAME` to send; only lights, sounds and rumble need no output");
        }
        let is_input = |channel: &super::channels::Channel| {
            channel.is_source
                && !matches!(channel.control, Control::Code(code)
                    if matches!(code.kind, EventType::Led | EventType::Sound))
        };
        if settings.input.is_none() && channels().any(is_input) {
            problems
                .warning(None, "values are mapped from this instance, but it receives none")
                .hint("add `input = NAME` or `device = PATH` to receive");
        }
        if settings.input.is_none()
            && channels().any(|channel| matches!(channel.control, Control::Rumble(_)))
        {
            problems
                .warning(None, "a created device has no motors")
                .hint("add `input = NAME` or `device = PATH`: the device with the motors");
        }
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels.kind(channel, &self.settings)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels.resolution(channel, &self.settings)
    }

    fn open(self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let driver = driver::<EvdevDriver>(backend);
        Box::new(EvdevInstance::new(*self, Arc::clone(&driver.system), Rc::clone(&driver.detect)))
    }
}

/// A running instance.
struct EvdevInstance {
    system: Arc<dyn System>,
    mapping: Mapping,
    input: Option<Input>,
    output: Option<Output>,
    /// The thread that looks for the input device.
    search: Option<Job<Input>>,
    /// The thread that creates the output device.
    creation: Option<Job<Output>>,
    /// Whether something has changed since the search began.
    searches_again: bool,
    watch: Option<Watch>,
    input_problem: Option<String>,
    output_problem: Option<String>,
    /// When to look for missing devices again.
    retry_at: Option<Instant>,
    /// When to grab the device again, and the delay after that.
    grab_at: Option<(Instant, Duration)>,
    /// The last value of each target, for devices that appear later.
    values: Vec<Option<f64>>,
    /// The strengths of the motors: those wanted, and those that the device plays.
    strengths: [u16; 2],
    played: [u16; 2],
    /// The events for the lights of the input device.
    lights: Writer,
    failed_writes: WarnOnce,
}

impl EvdevInstance {
    fn new(plan: EvdevPlan, system: Arc<dyn System>, detect: Rc<Cell<bool>>) -> Self {
        EvdevInstance {
            system,
            values: vec![None; plan.channels.list().len()],
            mapping: Mapping::new(plan.settings, plan.channels, detect),
            input: None,
            output: None,
            search: None,
            creation: None,
            searches_again: false,
            watch: None,
            input_problem: None,
            output_problem: None,
            retry_at: None,
            grab_at: None,
            strengths: [0; 2],
            played: [0; 2],
            lights: Writer::default(),
            failed_writes: WarnOnce::default(),
        }
    }

    fn settings(&self) -> &Settings {
        &self.mapping.settings
    }

    /// Whether a device is wanted and not open.
    fn is_incomplete(&self) -> bool {
        (self.settings().input.is_some() && self.input.is_none())
            || (self.settings().output.is_some() && self.output.is_none())
    }

    /// Begins to look for what is missing, and reports the state.
    fn complete(&mut self, context: &mut Context<'_>) {
        if self.is_incomplete() && self.watch.is_none() {
            // The watch begins before the search, so that no device is missed between them.
            let watch = self.system.watch();
            self.watch = watch.filter(|watch| watch.register(key::WATCH, context).is_ok());
        }
        if self.input.is_none() && self.search.is_none() {
            self.start_search(context);
        }
        if self.output.is_none() && self.creation.is_none() {
            self.start_creation(None, context);
        }
        self.update(context);
    }

    fn start_search(&mut self, context: &mut Context<'_>) {
        let Some(criteria) = self.settings().input.clone() else { return };
        let (system, is_exclusive) = (Arc::clone(&self.system), self.settings().is_exclusive);
        self.searches_again = false;
        let search = Job::start("evdev", key::SEARCH, context, move || {
            Input::open(&*system, &criteria, is_exclusive)
        });
        match search {
            Ok(search) => self.search = Some(search),
            Err(problem) => self.input_problem = Some(problem),
        }
    }

    /// Creates the output device; `replaced` disappears first.
    fn start_creation(&mut self, replaced: Option<Output>, context: &mut Context<'_>) {
        let wanted = blueprint(self.settings(), &self.mapping.channels);
        let Some(blueprint) = wanted else { return };
        let system = Arc::clone(&self.system);
        let creation = Job::start("uinput", key::CREATION, context, move || {
            drop(replaced);
            if blueprint.codes.is_empty() {
                return Err("nothing is mapped to the device to create".into());
            }
            let device = system.create(&blueprint).map_err(|error| cannot_create(&error))?;
            Ok(Output::new(device, blueprint))
        });
        match creation {
            Ok(creation) => self.creation = Some(creation),
            Err(problem) => self.output_problem = Some(problem),
        }
    }

    fn finish_search(&mut self, context: &mut Context<'_>) {
        let Some(result) = self.search.as_mut().and_then(|search| search.finish(context)) else {
            return;
        };
        self.search = None;
        match result.and_then(|input| register_input(input, context)) {
            Ok(input) => {
                tracing::info!(
                    instance = context.name(),
                    "receiving from `{}` ({})",
                    input.info.name,
                    input.info.path.display()
                );
                self.grab_at = input
                    .grab_problem
                    .is_some()
                    .then(|| (context.now() + FIRST_GRAB_DELAY, FIRST_GRAB_DELAY * 2));
                self.input = Some(input);
                self.input_problem = None;
                self.restore_lights(context);
                // Events may have arrived before the descriptor was registered.
                context.call_again(key::INPUT);
            }
            Err(problem) => {
                self.input_problem = Some(problem);
                if std::mem::take(&mut self.searches_again) {
                    self.start_search(context);
                }
            }
        }
        self.update(context);
    }

    fn finish_creation(&mut self, context: &mut Context<'_>) {
        let creation = self.creation.as_mut();
        let Some(result) = creation.and_then(|creation| creation.finish(context)) else { return };
        self.creation = None;
        match result.and_then(|output| register_output(output, context)) {
            Ok(output) => {
                self.output_problem = None;
                self.output = Some(output);
                if !self.replace_output(context) {
                    self.restore_output(context);
                }
            }
            Err(problem) => self.output_problem = Some(problem),
        }
        self.update(context);
    }

    /// Creates the device again if it lacks a code that a reload has mapped. Returns whether it
    /// does.
    fn replace_output(&mut self, context: &mut Context<'_>) -> bool {
        let wanted = blueprint(self.settings(), &self.mapping.channels);
        let lacks = |output: &&mut Output| {
            let has = |code: &Code| output.blueprint.codes.contains(code);
            wanted.as_ref().is_some_and(|wanted: &Blueprint| !wanted.codes.iter().all(has))
        };
        if self.output.as_mut().filter(lacks).is_none() {
            return false;
        }
        let Some(output) = self.output.take() else { return false };
        deregister(output.device.descriptor().as_raw_fd(), context);
        self.start_creation(Some(output), context);
        true
    }

    /// Sets the state and the next time to try again.
    fn update(&mut self, context: &mut Context<'_>) {
        if !self.is_incomplete()
            && let Some(watch) = self.watch.take()
        {
            close(watch);
        }
        let is_idle = (self.input.is_none() && self.search.is_none())
            || (self.output.is_none() && self.creation.is_none());
        let retries = self.is_incomplete() && is_idle && !context.is_stopping();
        self.retry_at = match self.retry_at.filter(|time| *time > context.now()) {
            _ if !retries => None,
            Some(time) => Some(time),
            None => Some(context.now() + RETRY_INTERVAL),
        };
        let grab_at = self.grab_at.map(|(time, _)| time);
        context.wake_at(self.retry_at.into_iter().chain(grab_at).min());

        let settings = self.settings();
        let is_idle = settings.input.is_none() && settings.output.is_none();
        let idle = is_idle.then(|| {
            "neither an input device nor an output is configured: add `input`, `device` or `output`"
                .to_owned()
        });
        let grab = self.input.as_ref().and_then(|input| input.grab_problem.clone());
        let missing = self.input_problem.clone().or(self.output_problem.clone());
        context.set_state(match (idle, missing, grab) {
            (Some(idle), _, _) => State::Failed(idle),
            (None, Some(missing), _) => State::Waiting(missing),
            (None, None, _) if self.is_incomplete() => return, // the first attempt has not ended
            (None, None, Some(grab)) => State::Degraded(grab),
            (None, None, None) => State::Up,
        });
    }

    /// Reads events until there are none or the budget of the turn is used up.
    fn read(&mut self, context: &mut Context<'_>) {
        let mut budget = context.budget();
        let mut bytes = [0_u8; EVENT_BYTES * EVENTS_PER_READ];
        loop {
            let Some(input) = &mut self.input else { return };
            let count = match rustix::io::read(input.device.descriptor(), &mut bytes[..]) {
                Ok(0) => return self.lose("the device has disappeared", context),
                Ok(count) => count,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(Errno::NODEV) => return self.lose("the device has disappeared", context),
                Err(error) => return self.lose(&io::Error::from(error).to_string(), context),
            };
            let Input { device, info, state, .. } = input;
            let mut received = 0;
            for event in bytes[..count].chunks_exact(EVENT_BYTES).filter_map(RawEvent::decode) {
                match state.accept(event) {
                    Accepted::Nothing => {}
                    Accepted::Value(code, raw) => {
                        received += 1;
                        let axis = axis_of(state, code);
                        self.mapping.receive(code, raw, axis, &info.name, context);
                    }
                    Accepted::Lost => {
                        let mapping = &mut self.mapping;
                        let repaired = state.repair(&**device, |state, code, raw| {
                            received += 1;
                            mapping.receive(code, raw, axis_of(state, code), &info.name, context);
                        });
                        context.count_errors(1);
                        tracing::warn!(
                            instance = context.name(),
                            "events of `{}` were lost; its state was read again",
                            info.name
                        );
                        if let Err(error) = repaired {
                            return self.lose(&error.to_string(), context);
                        }
                    }
                }
            }
            if received > 0 {
                context.count_input(received as u64);
            }
            budget = budget.saturating_sub(received.max(1));
            if budget == 0 {
                return context.call_again(key::INPUT);
            }
        }
    }

    /// Releases what the device holds, closes it, and looks for it again.
    fn lose(&mut self, reason: &str, context: &mut Context<'_>) {
        let Some(mut input) = self.input.take() else { return };
        let (mapping, info) = (&mut self.mapping, &input.info);
        input.state.release(|state, code, raw| {
            if mapping.channels.source(code).is_some() {
                mapping.receive(code, raw, axis_of(state, code), &info.name, context);
            }
        });
        self.input_problem = Some(format!("`{}`: {reason}", info.name));
        (self.strengths, self.played) = ([0; 2], [0; 2]);
        self.grab_at = None;
        self.lights.clear();
        deregister(input.device.descriptor().as_raw_fd(), context);
        close(input);
        self.update(context);
        self.complete(context);
    }

    /// Reads what other programs set on the created device: its lights and sounds.
    fn read_output(&mut self, context: &mut Context<'_>) {
        let mut bytes = [0_u8; EVENT_BYTES * EVENTS_PER_READ];
        let Some(output) = &mut self.output else { return };
        while let Ok(count) = rustix::io::read(output.device.descriptor(), &mut bytes[..]) {
            if count == 0 {
                return;
            }
            for event in bytes[..count].chunks_exact(EVENT_BYTES).filter_map(RawEvent::decode) {
                let kind = EventType::from_number(event.kind);
                let Some(code) = kind.and_then(|kind| Code::new(kind, event.code)) else {
                    continue;
                };
                if output.set_by_others(code, event.value != 0) {
                    context.count_input(1);
                    let name = &output.blueprint.name;
                    self.mapping.receive(code, event.value, None, name, context);
                }
            }
        }
    }

    /// Adds the event of a value; returns whether there is a device for it.
    fn send(&mut self, channel: u32, value: f64) -> bool {
        let Some(channel) = self.mapping.channels.get(channel) else { return false };
        let control = channel.control;
        let is_of_input = is_of_input(&self.mapping.settings, control);
        match control {
            Control::Rumble(motors) => {
                let strength = (value * 65_535.0).round() as u16;
                match motors {
                    Motors::Both => self.strengths = [strength; 2],
                    Motors::Strong => self.strengths[0] = strength,
                    Motors::Weak => self.strengths[1] = strength,
                }
                self.input.is_some()
            }
            Control::Code(code) if is_of_input => {
                if let (Some(_), Some(raw)) = (&self.input, self.mapping.send(code, value)) {
                    self.lights.put(code, raw);
                }
                // Lights are set when the device appears.
                true
            }
            Control::Code(code) => {
                let Some(output) = &mut self.output else {
                    let is_state = code.kind != EventType::Relative;
                    return is_state && self.mapping.settings.output.is_some();
                };
                if let Some(raw) = self.mapping.send(code, value) {
                    output.put(code, raw);
                }
                true
            }
        }
    }

    /// Writes the collected events and the strengths of the motors.
    fn flush(&mut self, context: &mut Context<'_>) {
        let mut result = Ok(());
        if let Some(input) = &mut self.input {
            result = self.lights.flush(input.device.descriptor());
            if self.strengths != [0; 2] && input.rumble.is_none() {
                match Rumble::start(Arc::clone(&input.device)) {
                    Ok(rumble) => input.rumble = Some(rumble),
                    Err(error) => result = Err(error),
                }
            }
            if let Some(rumble) = &input.rumble {
                if self.strengths != self.played {
                    self.played = self.strengths;
                    rumble.set(self.strengths);
                }
                if let Some(error) = rumble.take_problem() {
                    result = Err(error);
                }
            }
        }
        if let Some(output) = &mut self.output {
            result = result.and(output.flush());
        }
        if let Err(error) = result {
            context.count_errors(1);
            if self.failed_writes.is_first() {
                tracing::warn!(
                    instance = context.name(),
                    "cannot write to the device: {error}; further failures are only counted"
                );
            }
        }
    }

    /// Sets the lights of the input device, which has just appeared.
    fn restore_lights(&mut self, context: &mut Context<'_>) {
        for number in 0..self.values.len() as u32 {
            let channel = self.mapping.channels.get(number);
            if let (Some(value), Some(Control::Code(code))) =
                (self.values[number as usize], channel.map(|channel| channel.control))
                && is_of_input(&self.mapping.settings, Control::Code(code))
                && code.kind == EventType::Led
            {
                self.send(number, value);
            }
        }
        self.flush(context);
    }

    /// Sets the created device, which has just appeared, to the last values.
    fn restore_output(&mut self, context: &mut Context<'_>) {
        for number in 0..self.values.len() as u32 {
            let channel = self.mapping.channels.get(number);
            if let (Some(value), Some(Control::Code(code))) =
                (self.values[number as usize], channel.map(|channel| channel.control))
                && code.kind != EventType::Relative
                && !is_of_input(&self.mapping.settings, Control::Code(code))
            {
                self.send(number, value);
            }
        }
        self.flush(context);
    }

    /// Releases the keys of the created device, ends sounds, and stops the motors, except what is
    /// kept.
    fn release(&mut self, is_kept: impl Fn(Control) -> bool, context: &mut Context<'_>) {
        if let Some(output) = &mut self.output {
            output.release(|code| is_kept(Control::Code(code)));
        }
        let channels = &self.mapping.channels;
        for channel in channels.list() {
            let Control::Code(code) = channel.control else { continue };
            if code.kind == EventType::Sound
                && self.input.is_some()
                && channel.is_target
                && is_of_input(&self.mapping.settings, channel.control)
                && !is_kept(channel.control)
            {
                self.lights.put(code, 0);
            }
        }
        let motors = [Motors::Both, Motors::Strong, Motors::Weak].map(Control::Rumble);
        if !motors.into_iter().any(is_kept) {
            self.strengths = [0; 2];
        }
        self.flush(context);
    }
}

/// The range of an absolute axis.
fn axis_of(state: &super::input::InputState, code: Code) -> Option<&super::system::Axis> {
    if code.kind == EventType::Absolute { state.axis(code.number) } else { None }
}

/// Why a device cannot be created, and what to do.
fn cannot_create(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => ": load the kernel module `uinput`",
        io::ErrorKind::PermissionDenied => {
            ": give this user access to /dev/uinput; `consort backends evdev` has a rule for udev"
        }
        _ => "",
    };
    format!("cannot create a device through /dev/uinput: {error}{hint}")
}

fn register_input(input: Input, context: &mut Context<'_>) -> Result<Input, String> {
    register(input.device.descriptor().as_raw_fd(), key::INPUT, context).map(|()| input)
}

fn register_output(output: Output, context: &mut Context<'_>) -> Result<Output, String> {
    register(output.device.descriptor().as_raw_fd(), key::OUTPUT, context).map(|()| output)
}

fn register(descriptor: i32, key: u32, context: &mut Context<'_>) -> Result<(), String> {
    context
        .register(&mut SourceFd(&descriptor), key, Interest::READABLE)
        .map_err(|error| format!("cannot watch the device: {error}"))
}

fn deregister(descriptor: i32, context: &mut Context<'_>) {
    if let Err(error) = context.deregister(&mut SourceFd(&descriptor)) {
        tracing::debug!("cannot deregister a device: {error}");
    }
}

impl Instance for EvdevInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        self.complete(context);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = *downcast::<EvdevPlan>(plan)?;
        let value = |new: u32| {
            let old = channels.old_number(new)?;
            self.values.get(old as usize).copied().flatten()
        };
        let values = (0..plan.channels.list().len() as u32).map(value).collect();
        self.release(|control| plan.channels.is_target(control), context);
        self.values = values;
        self.mapping.adopt(plan.settings, plan.channels);
        self.replace_output(context);
        self.complete(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        match key {
            key::INPUT => self.read(context),
            key::OUTPUT => self.read_output(context),
            key::SEARCH => self.finish_search(context),
            key::CREATION => self.finish_creation(context),
            key::WATCH => {
                if let Some(watch) = &self.watch {
                    watch.drain();
                    self.searches_again = true;
                    self.complete(context);
                }
            }
            _ => {}
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if let Some((time, delay)) = self.grab_at
            && time <= context.now()
        {
            self.grab_at = None;
            if let Some(input) = &mut self.input {
                input.grab();
                if input.grab_problem.is_some() {
                    let next = (delay * 2).min(RETRY_INTERVAL);
                    self.grab_at = Some((context.now() + delay, next));
                }
            }
        }
        self.complete(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let mut dropped = 0;
        for event in events {
            if let Some(value) = self.values.get_mut(event.channel as usize) {
                *value = Some(event.value);
            }
            dropped += u64::from(!self.send(event.channel, event.value));
        }
        if dropped > 0 {
            context.count_dropped(dropped);
        }
        self.flush(context);
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        self.release(|_| false, context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.release(|_| false, context);
        context.wake_at(None);
    }
}

impl Drop for EvdevInstance {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            close(input);
        }
        if let Some(output) = self.output.take() {
            close(output);
        }
        if let Some(watch) = self.watch.take() {
            close(watch);
        }
    }
}
