//! The show behind a view, in this process or in another.

use consort_control::{InstanceReading, Layout, LayoutInstance, Reading};
use consort_router::{Handle, InstanceId};

use crate::log;

/// A show that can be read.
pub(crate) trait Source {
    /// The part that does not change: names of instances and channels.
    fn layout(&mut self) -> anyhow::Result<Layout>;
    /// States, counters, values, and the log from line number `log_from` on.
    fn read(&mut self, log_from: u64) -> anyhow::Result<Reading>;
    /// Routes a value as input of a channel; false if the show refuses it.
    fn inject(&mut self, instance: u32, channel: u32, value: f64) -> anyhow::Result<bool>;
    /// The show, if it runs in this process; only such a show can be stopped.
    fn own(&self) -> Option<&Local>;
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

    /// Stops the show.
    pub(crate) fn stop(&self) {
        self.handle.stop();
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
            values.extend(
                channels.map(|channel| live.channel(instance, channel).unwrap_or_default()),
            );
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

    fn own(&self) -> Option<&Local> {
        Some(self)
    }
}
