//! The running shows that a view can display: of this process or of another.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use consort_control::{
    Content, Direction, Finding, InputReading, InstanceReading, Kind, Layout, LayoutChannel,
    LayoutInstance, LayoutLayer, LayoutRoute, Reading, ReloadRequest, RouteControl, RouteReading,
    UnmatchedReading,
};
use consort_router::config::written;
use consort_router::inspect::InstanceReport;
use consort_router::{ChannelKind, Handle, InstanceId, Live};

use super::editing::Editing;
use super::why;
use crate::log;
use crate::reload::{Outcome, Reloader};

/// How many mappings one answer describes.
const MAX_ROUTES: usize = 1_024;

/// A running show that a view can display.
pub(crate) trait Source {
    /// What does not change until the show is reloaded. The numbers of instances and channels in
    /// the other methods are those of the last layout.
    fn layout(&mut self) -> anyhow::Result<Layout>;
    /// What changes, with the log from line number `log_from` on. `None` if the show was reloaded
    /// and has a new layout.
    fn read(&mut self, log_from: u64) -> anyhow::Result<Option<Reading>>;
    /// Sets a channel: delivers to a target, emits from a source.
    fn set(
        &mut self,
        instance: u32,
        channel: u32,
        content: Content,
        direction: Option<Direction>,
    ) -> anyhow::Result<()>;
    /// The last inputs of an instance that belong to no mapped channel, the newest first.
    fn unmatched(&mut self, instance: u32) -> anyhow::Result<Vec<UnmatchedReading>>;
    /// What keeps an instance or one of its channels from working.
    fn why(&mut self, instance: u32, channel: Option<u32>) -> anyhow::Result<Vec<Finding>>;
    /// The raw values that arrived at channels of an instance from number `first` on.
    fn inputs(&mut self, instance: u32, first: u32) -> anyhow::Result<Vec<InputReading>>;
    /// What the mappings from number `first` on do, in their order, at most [`MAX_ROUTES`].
    fn routes(&mut self, first: u32) -> anyhow::Result<Vec<RouteReading>>;
    /// Mutes, soloes or freezes a mapping, or ends that.
    fn control_route(&mut self, route: u32, control: RouteControl, on: bool) -> anyhow::Result<()>;
    /// Makes a layer the active one of its group, or switches one without a group on or off.
    fn switch_layer(&mut self, layer: u32, on: bool) -> anyhow::Result<()>;
    /// The show, if it runs in this process; only such a show can be stopped.
    fn own(&self) -> Option<&Local>;
}

/// The show of this process.
#[derive(Clone)]
pub(crate) struct Local {
    handle: Handle,
    /// The show with the layout that the client has.
    live: Arc<Live>,
    show: String,
    started: std::time::Instant,
    /// None for a show that has no file, such as the demo.
    reloader: Option<Reloader>,
    /// The files of the configuration; none for a show that is not in files.
    editing: Option<Editing>,
}

impl Local {
    /// A show that is about to start.
    pub(crate) fn new(handle: Handle, show: String) -> Self {
        let started = std::time::Instant::now();
        Local { live: handle.live(), handle, show, started, reloader: None, editing: None }
    }

    /// The same show, which clients can reload.
    pub(crate) fn with_reloader(self, reloader: Reloader) -> Self {
        Local { reloader: Some(reloader), ..self }
    }

    /// Replaces the configuration; see [`Reloader::reload`].
    pub(crate) fn reload(&self, request: &ReloadRequest) -> anyhow::Result<Outcome> {
        match &self.reloader {
            Some(reloader) => reloader.reload(request),
            None => anyhow::bail!("this show cannot be reloaded"),
        }
    }

    /// The show with files that views may edit.
    pub(crate) fn with_files(self, editing: Editing) -> Self {
        Local { editing: Some(editing), ..self }
    }

    /// The files of the configuration.
    ///
    /// # Errors
    /// When the show is not in files.
    pub(super) fn editing(&self) -> anyhow::Result<&Editing> {
        self.editing
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("the files of this show cannot be edited"))
    }

    /// Stops the show.
    pub(crate) fn stop(&self) {
        self.handle.stop();
    }

    /// Ends everything that sounds or is held at the receivers.
    pub(crate) fn panic(&self) -> bool {
        self.handle.panic()
    }

    /// Lets the outputs keep their values, or ends that. False when too many commands wait.
    pub(super) fn hold(&self, on: bool) -> bool {
        self.handle.hold(on)
    }

    /// What an instance knows about its sockets and channels; see [`Handle::inspect`].
    pub(super) fn inspect(
        &self,
        instance: InstanceId,
        channels: Range<u32>,
        limit: Duration,
    ) -> Option<InstanceReport> {
        self.handle.for_generation(self.live.generation()).inspect(instance, channels, limit)
    }

    /// The path of the configuration.
    pub(crate) fn show(&self) -> &str {
        &self.show
    }

    /// The generation of the present layout, which a reload makes newer than the client's.
    pub(crate) fn generation(&self) -> u64 {
        self.handle.live().generation()
    }

    /// The show as the client's layout describes it.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// The instance by its number in the layout.
    pub(crate) fn instance(&self, number: u32) -> Option<InstanceId> {
        self.live.instance_ids().nth(number as usize)
    }

    fn known_instance(&self, number: u32) -> anyhow::Result<InstanceId> {
        self.instance(number).ok_or_else(|| anyhow::anyhow!("the show has no instance {number}"))
    }

    /// What mappings are doing, from number `first` on, at most [`MAX_ROUTES`].
    pub(super) fn routes(&self, first: u32) -> Vec<RouteReading> {
        let live = &self.live;
        let end = live.route_count().min(first as usize + MAX_ROUTES);
        (first as usize..end)
            .map(|index| {
                let (route, state) = (live.route(index), live.route_state(index));
                let raw = live.channel(route.source.0, route.source.1).map(|(value, _)| value);
                RouteReading {
                    route: index as u32,
                    raw,
                    value: state.value,
                    distance: state.distance,
                    muted: state.is_muted,
                    soloed: state.is_soloed,
                    frozen: state.is_frozen,
                }
            })
            .collect()
    }

    /// Mutes, soloes or freezes a mapping, or ends that.
    pub(super) fn control_route(
        &self,
        route: u32,
        control: RouteControl,
        on: bool,
    ) -> anyhow::Result<()> {
        let count = self.live.route_count();
        anyhow::ensure!((route as usize) < count, "the show has no mapping {route}");
        let control = match control {
            RouteControl::Mute => consort_router::RouteControl::Mute,
            RouteControl::Solo => consort_router::RouteControl::Solo,
            RouteControl::Freeze => consort_router::RouteControl::Freeze,
        };
        let handle = self.handle.for_generation(self.live.generation());
        let is_taken = handle.control_route(route, control, on);
        anyhow::ensure!(is_taken, "too many commands are waiting; try again");
        Ok(())
    }

    /// Everything that changes.
    pub(crate) fn reading(&self, log_from: u64) -> Reading {
        let live = &self.live;
        let mut values = Vec::new();
        let mut instances = Vec::new();
        for instance in live.instance_ids() {
            let (state, counters) = (live.state(instance), live.counters(instance));
            let (packets, last_input) = live.input(instance);
            instances.push(InstanceReading {
                state: state.word().to_owned(),
                reason: state.reason().map(str::to_owned),
                incoming: counters.incoming,
                outgoing: counters.outgoing,
                dropped: counters.dropped,
                errors: counters.errors,
                lost: counters.lost,
                refused: counters.refused,
                note: live.note(instance),
                packets,
                last_input: last_input.map(|time| time.as_secs_f64()),
                unmatched: live.unmatched_count(instance),
                details: live.details(instance),
            });
            let channels = 0..live.channel_infos(instance).len() as u32;
            values.extend(
                channels.map(|channel| live.channel(instance, channel).unwrap_or_default()),
            );
        }
        let (log, log_next) = log::lines(log_from);
        Reading {
            seconds: self.started.elapsed().as_secs_f64(),
            running: live.is_running(),
            instances,
            values,
            layers: (0..live.layer_count() as u32)
                .filter(|&number| live.layer(number as usize).is_active)
                .collect(),
            holding: live.is_holding(),
            log,
            log_next,
        }
    }

    /// The last inputs of an instance that belong to no mapped channel, the newest first.
    pub(crate) fn unmatched(&self, instance: InstanceId) -> Vec<UnmatchedReading> {
        let inputs = self.live.unmatched(instance).into_iter();
        let backend = self.live.backend_name(instance);
        let reading = inputs.map(|input| UnmatchedReading {
            option: why::needed_option(backend, &input.channel, &input.types, input.range),
            channel: written(&input.channel)
                .map_or_else(|| input.channel.clone(), |channel| channel.into_owned()),
            types: input.types,
            raw: input.raw.to_string(),
            range: input.range,
            value: input.value,
            sender: input.sender.to_string(),
            count: input.count,
            last: input.last.as_secs_f64(),
        });
        reading.collect()
    }
}

fn channel(info: &consort_router::ChannelInfo) -> LayoutChannel {
    LayoutChannel {
        name: info.name.clone(),
        source: info.is_source,
        target: info.is_target,
        kind: match info.kind {
            ChannelKind::Momentary => Kind::Momentary,
            ChannelKind::Absolute => Kind::Absolute,
            ChannelKind::Relative => Kind::Relative,
        },
        steps: info.resolution.count(),
    }
}

impl Source for Local {
    fn layout(&mut self) -> anyhow::Result<Layout> {
        self.live = self.handle.live();
        let live = &self.live;
        let instances = live.instance_ids().map(|instance| LayoutInstance {
            name: live.instance_name(instance).to_owned(),
            backend: live.backend_name(instance).to_owned(),
            channels: live.channel_infos(instance).iter().map(channel).collect(),
        });
        let route = |index: usize| {
            let route = live.route(index);
            LayoutRoute {
                source: (live.number(route.source.0), route.source.1),
                target: (live.number(route.target.0), route.target.1),
                stages: route.stages.to_string(),
                layer: route.layer,
            }
        };
        let layer = |number: usize| {
            let layer = live.layer(number);
            LayoutLayer { name: layer.name, group: layer.group }
        };
        Ok(Layout {
            generation: live.generation(),
            show: self.show.clone(),
            process: std::process::id(),
            instances: instances.collect(),
            routes: (0..live.route_count()).map(route).collect(),
            layers: (0..live.layer_count()).map(layer).collect(),
        })
    }

    fn read(&mut self, log_from: u64) -> anyhow::Result<Option<Reading>> {
        Ok((!self.live.is_replaced()).then(|| self.reading(log_from)))
    }

    fn set(
        &mut self,
        instance: u32,
        channel: u32,
        content: Content,
        direction: Option<Direction>,
    ) -> anyhow::Result<()> {
        let id = self.known_instance(instance)?;
        let info = self.live.channel_infos(id).get(channel as usize);
        let info = info
            .ok_or_else(|| anyhow::anyhow!("the instance {instance} has no channel {channel}"))?;
        let direction = match (direction, info.is_source, info.is_target) {
            (Some(Direction::Source), true, _) | (None, true, false) => Direction::Source,
            (Some(Direction::Target), _, true) | (None, false, _) => Direction::Target,
            (None, true, true) => anyhow::bail!(
                "`{}` is both source and target: add the direction `source` or `target`",
                info.name
            ),
            (Some(Direction::Source), ..) => anyhow::bail!("no mapping reads `{}`", info.name),
            (Some(Direction::Target), ..) => anyhow::bail!("no mapping writes `{}`", info.name),
        };
        // Without effect when the show is reloaded meanwhile.
        let handle = self.handle.for_generation(self.live.generation());
        let taken = match (content, direction) {
            (Content::Value(value), _) if !(0.0..=1.0).contains(&value) => {
                anyhow::bail!("expected a number from 0 to 1")
            }
            (Content::Text(text), _) if text.len() > consort_router::context::MAX_TEXT_BYTES => {
                anyhow::bail!("a text has at most 1,024 bytes, this one has {}", text.len())
            }
            (Content::Value(value), Direction::Source) => handle.inject(id, channel, value),
            (Content::Value(value), Direction::Target) => handle.deliver(id, channel, value),
            (Content::Text(text), Direction::Source) => handle.inject_text(id, channel, &text),
            (Content::Text(text), Direction::Target) => handle.deliver_text(id, channel, &text),
        };
        anyhow::ensure!(taken, "too many values are waiting to be routed; try again");
        Ok(())
    }

    fn unmatched(&mut self, instance: u32) -> anyhow::Result<Vec<UnmatchedReading>> {
        Ok(Local::unmatched(self, self.known_instance(instance)?))
    }

    fn why(&mut self, instance: u32, channel: Option<u32>) -> anyhow::Result<Vec<Finding>> {
        let id = self.known_instance(instance)?;
        let count = self.live.channel_infos(id).len();
        if let Some(channel) = channel
            && channel as usize >= count
        {
            anyhow::bail!("the instance {instance} has no channel {channel}");
        }
        Ok(Local::why(self, id, channel))
    }

    fn inputs(&mut self, instance: u32, first: u32) -> anyhow::Result<Vec<InputReading>> {
        Ok(Local::inputs(self, self.known_instance(instance)?, first))
    }

    fn routes(&mut self, first: u32) -> anyhow::Result<Vec<RouteReading>> {
        Ok(Local::routes(self, first))
    }

    fn control_route(&mut self, route: u32, control: RouteControl, on: bool) -> anyhow::Result<()> {
        Local::control_route(self, route, control, on)
    }

    fn switch_layer(&mut self, layer: u32, on: bool) -> anyhow::Result<()> {
        let count = self.live.layer_count();
        anyhow::ensure!((layer as usize) < count, "the show has no layer {layer}");
        if !on && self.live.layer(layer as usize).group.is_some() {
            anyhow::bail!("a layer of a group is switched off by another one of the group");
        }
        let handle = self.handle.for_generation(self.live.generation());
        anyhow::ensure!(handle.switch_layer(layer, on), "too many commands are waiting; try again");
        Ok(())
    }

    fn own(&self) -> Option<&Local> {
        Some(self)
    }
}
