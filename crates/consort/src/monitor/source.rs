//! What a view shows: a running show, in this process or in another.

use consort_router::{Handle, InstanceId};
use serde::{Deserialize, Serialize};

use crate::log;

/// What does not change while a show runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Layout {
    /// The configuration.
    pub(crate) show: String,
    /// The process that runs it.
    pub(crate) process: u32,
    pub(crate) instances: Vec<LayoutInstance>,
}

/// An instance and its channels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct LayoutInstance {
    pub(crate) name: String,
    pub(crate) backend: String,
    pub(crate) channels: Vec<String>,
}

/// What changes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Reading {
    /// Since the start of the show.
    pub(crate) seconds: f64,
    pub(crate) running: bool,
    pub(crate) instances: Vec<InstanceReading>,
    /// Last value and number of values of every channel, in the layout's order.
    pub(crate) values: Vec<(f64, u64)>,
    /// Lines of the log since the number asked for.
    pub(crate) log: Vec<String>,
    pub(crate) log_next: u64,
}

/// An instance's state and counters.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct InstanceReading {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) incoming: u64,
    pub(crate) outgoing: u64,
    pub(crate) dropped: u64,
    pub(crate) errors: u64,
}

/// A show that can be looked at.
pub(crate) trait Source {
    /// What does not change.
    fn layout(&mut self) -> anyhow::Result<Layout>;
    /// What changes; the log from line number `log_from` on.
    fn read(&mut self, log_from: u64) -> anyhow::Result<Reading>;
    /// Sends a value as if it had come in on a channel of the show; false when it is refused.
    fn inject(&mut self, instance: u32, channel: u32, value: f64) -> anyhow::Result<bool>;
    /// Ends the show, where it is this process's own; returns whether it is.
    fn stop(&mut self) -> bool;
}

/// The show of this process.
#[derive(Clone)]
pub(crate) struct Local {
    handle: Handle,
    show: String,
    started: std::time::Instant,
}

impl Local {
    /// A show that is about to start.
    pub(crate) fn new(handle: Handle, show: String) -> Self {
        Local { handle, show, started: std::time::Instant::now() }
    }

    fn instances(&self) -> impl Iterator<Item = InstanceId> + use<> {
        (0..self.handle.live().instance_count() as u32).map(InstanceId)
    }
}

impl Source for Local {
    fn layout(&mut self) -> anyhow::Result<Layout> {
        let live = self.handle.live();
        let instances = self.instances().map(|instance| LayoutInstance {
            name: live.instance_name(instance).to_owned(),
            backend: live.backend_name(instance).to_owned(),
            channels: live.channel_names(instance).to_vec(),
        });
        Ok(Layout {
            show: self.show.clone(),
            process: std::process::id(),
            instances: instances.collect(),
        })
    }

    fn read(&mut self, log_from: u64) -> anyhow::Result<Reading> {
        let live = self.handle.live();
        let mut values = Vec::new();
        let mut instances = Vec::new();
        for instance in self.instances() {
            let (state, counters) = (live.state(instance), live.counters(instance));
            instances.push(InstanceReading {
                state: state.word().to_owned(),
                reason: state.reason().map(str::to_owned),
                incoming: counters.incoming,
                outgoing: counters.outgoing,
                dropped: counters.dropped,
                errors: counters.errors,
            });
            let channels = 0..live.channel_names(instance).len() as u32;
            values.extend(channels.map(|it| live.channel(instance, it).unwrap_or_default()));
        }
        let (log, log_next) = log::lines(log_from);
        Ok(Reading {
            seconds: self.started.elapsed().as_secs_f64(),
            running: live.is_running(),
            instances,
            values,
            log,
            log_next,
        })
    }

    fn inject(&mut self, instance: u32, channel: u32, value: f64) -> anyhow::Result<bool> {
        Ok(value.is_finite() && self.handle.inject(InstanceId(instance), channel, value))
    }

    fn stop(&mut self) -> bool {
        self.handle.stop();
        true
    }
}
