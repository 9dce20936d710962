//! The plan of an instance, the instance, and the driver with the lines that they share.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use consort_router::inspect::{Endpoint as Peer, InstanceReport};
use consort_router::{
    Backend, ChannelError, ChannelKind, ChannelTable, Context, Driver, DriverContext, Event,
    Instance, InstanceId, Plan, Readiness, Resolution, Usage, downcast, driver,
};

use super::Visca;
use super::channels::{Channel, Source};
use super::config::Config;
use super::line::{Camera, Keys, Line};

/// One `[visca NAME]` section before it runs.
pub(super) struct ViscaPlan {
    config: Config,
    channels: Vec<Channel>,
    sources: [Option<u32>; Source::ALL.len()],
}

impl ViscaPlan {
    pub(super) fn new(config: Config) -> Self {
        ViscaPlan { config, channels: Vec::new(), sources: [None; Source::ALL.len()] }
    }
}

impl Plan for ViscaPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = Channel::parse(specification, usage)?;
        let known = self.channels.iter().position(|other| *other == channel);
        let number = known.unwrap_or_else(|| {
            self.channels.push(channel);
            self.channels.len() - 1
        }) as u32;
        if usage == Usage::Source
            && let Some(source) = Source::of(channel)
        {
            self.sources[source as usize] = Some(number);
        }
        Ok(number)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels[channel as usize].kind()
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels[channel as usize].resolution(&self.config.settings)
    }

    fn open(self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let driver = driver::<ViscaDriver>(backend);
        Box::new(ViscaInstance { plan: Some(*self), lines: Rc::clone(&driver.lines), place: None })
    }
}

/// The connections of all instances, by their numbers.
pub(super) struct Lines {
    list: Vec<Option<Line>>,
    detect: Rc<Cell<bool>>,
}

impl Lines {
    /// Adds a camera to its line; returns the number of the line.
    fn add(&mut self, config: &Config, camera: Camera, context: &mut DriverContext<'_>) -> usize {
        let fits = |line: &Option<Line>| line.as_ref().is_some_and(|line| line.fits(config));
        let index = self.list.iter().position(fits).unwrap_or_else(|| {
            let free = self.list.iter().position(Option::is_none).unwrap_or_else(|| {
                self.list.push(None);
                self.list.len() - 1
            });
            let keys = Keys { connection: free as u32 * 2, opening: free as u32 * 2 + 1 };
            self.list[free] = Some(Line::new(config, keys, Rc::clone(&self.detect)));
            free
        });
        if let Some(line) = &mut self.list[index] {
            line.add(camera, context);
        }
        index
    }

    /// Removes a camera, and its line if it was the last one.
    fn remove(&mut self, index: usize, instance: InstanceId) {
        if let Some(line) = &mut self.list[index] {
            line.cameras.retain(|camera| camera.instance != instance);
            if line.cameras.is_empty() {
                self.list[index] = None;
            }
        }
    }

    fn with<T>(&mut self, index: usize, act: impl FnOnce(&mut Line) -> T) -> Option<T> {
        self.list.get_mut(index)?.as_mut().map(act)
    }

    fn schedule(&self, context: &mut DriverContext<'_>) {
        let next = self.list.iter().flatten().filter_map(Line::deadline).min();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }
}

/// The running part of the backend.
pub(super) struct ViscaDriver {
    lines: Rc<RefCell<Lines>>,
    detect: Rc<Cell<bool>>,
}

impl ViscaDriver {
    pub(super) fn new(detect: bool) -> Self {
        let detect = Rc::new(Cell::new(detect));
        let lines = Lines { list: Vec::new(), detect: Rc::clone(&detect) };
        ViscaDriver { lines: Rc::new(RefCell::new(lines)), detect }
    }
}

impl Driver for ViscaDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let visca = (&*backend as &dyn Any).downcast_ref::<Visca>().map(|visca| visca.detect);
        let Some(detect) = visca else { return Err(backend) };
        self.detect.set(detect);
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut DriverContext<'_>) {
        let mut lines = self.lines.borrow_mut();
        lines.with(key as usize / 2, |line| line.ready(key, readiness, context));
        lines.schedule(context);
    }

    fn timer(&mut self, context: &mut DriverContext<'_>) {
        let now: Instant = context.now();
        let mut lines = self.lines.borrow_mut();
        for line in lines.list.iter_mut().flatten() {
            if line.deadline().is_some_and(|time| time <= now) {
                line.timer(context);
            }
        }
        lines.schedule(context);
    }
}

/// One `[visca NAME]` section that runs.
struct ViscaInstance {
    /// The plan, until the instance is started.
    plan: Option<ViscaPlan>,
    lines: Rc<RefCell<Lines>>,
    /// The number of its line, and its own.
    place: Option<(usize, InstanceId)>,
}

impl ViscaInstance {
    fn with(&self, context: &mut Context<'_>, act: impl FnOnce(&mut Line, &mut DriverContext<'_>)) {
        let Some((index, _)) = self.place else { return };
        let mut context = context.driver();
        let mut lines = self.lines.borrow_mut();
        lines.with(index, |line| act(line, &mut context));
        lines.schedule(&mut context);
    }

    /// Stops what the instance moves.
    fn stop_moving(&self, context: &mut Context<'_>) {
        let Some((_, instance)) = self.place else { return };
        self.with(context, |line, context| {
            let camera = line.cameras.iter_mut().find(|camera| camera.instance == instance);
            if let Some(camera) = camera {
                camera.flow.stop_all(false);
            }
            line.pump(context);
        });
    }
}

impl Instance for ViscaInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let Some(ViscaPlan { config, channels, sources }) = self.plan.take() else { return };
        let instance = context.instance();
        let camera = Camera::new(instance, &config, channels, sources);
        let mut context = context.driver();
        let mut lines = self.lines.borrow_mut();
        let index = lines.add(&config, camera, &mut context);
        lines.schedule(&mut context);
        drop(lines);
        self.place = Some((index, instance));
    }

    /// Keeps the connection, and what waits to be sent.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let ViscaPlan { config, channels, sources } = *downcast::<ViscaPlan>(plan)?;
        let instance = context.instance();
        self.with(context, |line, context| {
            line.adopt(instance, config.settings, channels, sources, context);
        });
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let instance = context.instance();
        self.with(context, |line, context| line.deliver(instance, events, context));
    }

    fn inspect(&self, _: Range<u32>) -> InstanceReport {
        let mut report = InstanceReport::default();
        let lines = self.lines.borrow();
        let line = self.place.and_then(|(index, _)| lines.list.get(index)?.as_ref());
        if let Some(line) = line {
            if let Some((transport, address)) = line.peer() {
                report.sends.push(Peer { transport, address });
            }
            if !line.is_connected() {
                report.sends_nothing = line.problem().map(str::to_owned);
            }
        }
        report
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        self.stop_moving(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.stop_moving(context);
    }

    fn is_stopped(&self) -> bool {
        let lines = self.lines.borrow();
        let line = self.place.and_then(|(index, _)| lines.list.get(index)?.as_ref());
        line.is_none_or(Line::is_idle)
    }
}

impl Drop for ViscaInstance {
    fn drop(&mut self) {
        if let Some((index, instance)) = self.place.take() {
            self.lines.borrow_mut().remove(index, instance);
        }
    }
}
