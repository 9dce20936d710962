//! What other threads see of mappings and layers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::backend::ChannelKind;
use crate::engine::{Engine, ROUTE_FROZEN, ROUTE_MUTED, ROUTE_SOLOED};
use crate::event::InstanceId;
use crate::live::{Live, add};
use crate::transform::{Layer, Transform};

/// A mapping with stages or in a layer.
#[derive(Debug)]
struct LiveRoute {
    text: Arc<str>,
    layer: Option<u32>,
    /// Its last value at the target; NaN for none.
    value: AtomicU64,
    /// The way from the source to the target while a takeover waits; NaN when it does not.
    distance: AtomicU64,
    control: AtomicU8,
}

/// A layer.
#[derive(Debug)]
struct LiveLayer {
    name: String,
    group: Option<String>,
    is_active: AtomicBool,
}

/// The mappings and layers of a show.
#[derive(Debug, Default)]
pub(crate) struct LiveRoutes {
    routes: Vec<LiveRoute>,
    layers: Vec<LiveLayer>,
    /// By index of a target: the number of its route, and whether it is its way back.
    of_target: Vec<Option<u32>>,
    /// Mute, solo and freeze of other mappings, by index of a target.
    plain_control: Mutex<HashMap<u32, u8>>,
}

impl LiveRoutes {
    pub(crate) fn new(
        engine: &Engine,
        count: usize,
        transforms: &[Transform],
        layers: &[Layer],
    ) -> Self {
        let none = f64::NAN.to_bits();
        let route = |transform: &Transform| LiveRoute {
            text: Arc::clone(&transform.text),
            layer: transform.layer,
            value: AtomicU64::new(none),
            distance: AtomicU64::new(none),
            control: AtomicU8::new(0),
        };
        let mut routes: Vec<LiveRoute> = transforms.iter().map(route).collect();
        let of_target = match engine.route_count() {
            0 => Vec::new(),
            _ => (0..count).map(|index| engine.route_of_target(index)).collect(),
        };
        // Mappings without stages whose values the engine needs follow those of the show.
        routes.resize_with(engine.route_count(), || LiveRoute {
            text: Arc::default(),
            layer: None,
            value: AtomicU64::new(none),
            distance: AtomicU64::new(none),
            control: AtomicU8::new(0),
        });
        let layers =
            layers.iter().zip(engine.active_layers()).map(|(layer, is_active)| LiveLayer {
                name: layer.name.clone(),
                group: layer.group.clone(),
                is_active: AtomicBool::new(is_active),
            });
        LiveRoutes { layers: layers.collect(), routes, of_target, plain_control: Mutex::default() }
    }
}

/// One mapping: a source, a target and what is between them.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteInfo {
    /// The source.
    pub source: (InstanceId, u32),
    /// The target.
    pub target: (InstanceId, u32),
    /// The stages as the configuration has them; empty when there are none.
    pub stages: Arc<str>,
    /// The number of its layer; `None` if it is always active.
    pub layer: Option<u32>,
}

/// What a mapping is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RouteState {
    /// Its last value at the target; `None` before the first, and for mappings without stages.
    pub value: Option<f64>,
    /// While a takeover waits: the way from the source to the target's value. Positive when the
    /// source has to go up.
    pub distance: Option<f64>,
    /// It passes nothing on.
    pub is_muted: bool,
    /// Others pass nothing on.
    pub is_soloed: bool,
    /// Its target keeps its value.
    pub is_frozen: bool,
}

/// A layer: its name, its group, and whether it is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Whether it is active now.
    pub is_active: bool,
}

impl Live {
    /// How many mappings the show has. They are numbered from 0 in the order of their sources.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// The mapping of that number.
    pub fn route(&self, index: usize) -> RouteInfo {
        let target = self.routes.target(index);
        let global = self.routes.channel_of(index);
        let (slot, channel) = self.place(global);
        let route = self.mapped_route(index);
        RouteInfo {
            source: (self.instances[slot].id, channel),
            target: (self.instances[target.instance as usize].id, target.channel),
            stages: route.map(|route| Arc::clone(&route.text)).unwrap_or_default(),
            layer: route.and_then(|route| route.layer),
        }
    }

    /// The stages of a mapping and the name of its layer; `None` for one that has neither.
    pub(crate) fn route_form(&self, index: usize) -> Option<(&Arc<str>, Option<&str>)> {
        let route = self.mapped_route(index)?;
        let layer = route.layer.map(|layer| self.mapped.layers[layer as usize].name.as_str());
        Some((&route.text, layer))
    }

    fn mapped_route(&self, index: usize) -> Option<&LiveRoute> {
        let number = (*self.mapped.of_target.get(index)?)?;
        self.mapped.routes.get(number as usize)
    }

    /// What the mapping of that number is doing.
    pub fn route_state(&self, index: usize) -> RouteState {
        let number = |bits: &AtomicU64| {
            let value = f64::from_bits(bits.load(Ordering::Relaxed));
            (!value.is_nan()).then_some(value)
        };
        let state = |control: u8| RouteState {
            is_muted: control & ROUTE_MUTED != 0,
            is_soloed: control & ROUTE_SOLOED != 0,
            is_frozen: control & ROUTE_FROZEN != 0,
            ..RouteState::default()
        };
        match self.mapped_route(index) {
            Some(route) => RouteState {
                value: number(&route.value),
                distance: number(&route.distance),
                ..state(route.control.load(Ordering::Relaxed))
            },
            None => {
                let control = self.mapped.plain_control.lock();
                state(control.get(&(index as u32)).copied().unwrap_or(0))
            }
        }
    }

    /// How many layers the show has.
    pub fn layer_count(&self) -> usize {
        self.mapped.layers.len()
    }

    /// The layer of that number, in the order of the configuration.
    pub fn layer(&self, number: usize) -> LayerInfo {
        let layer = &self.mapped.layers[number];
        LayerInfo {
            name: layer.name.clone(),
            group: layer.group.clone(),
            is_active: layer.is_active.load(Ordering::Relaxed),
        }
    }

    /// The number of the layer of that name.
    pub fn find_layer(&self, name: &str) -> Option<u32> {
        let index = self.mapped.layers.iter().position(|layer| layer.name == name)?;
        Some(index as u32)
    }

    #[inline]
    pub(crate) fn record_route(&self, number: u32, value: f64) {
        self.mapped.routes[number as usize].value.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn record_takeover(&self, number: u32, distance: Option<f64>) {
        let bits = distance.unwrap_or(f64::NAN).to_bits();
        self.mapped.routes[number as usize].distance.store(bits, Ordering::Relaxed);
    }

    pub(crate) fn record_control(&self, number: u32, control: u8) {
        self.mapped.routes[number as usize].control.store(control, Ordering::Relaxed);
    }

    pub(crate) fn record_plain_control(&self, index: u32, control: u8) {
        self.mapped.plain_control.lock().insert(index, control);
    }

    pub(crate) fn record_layer(&self, layer: u32, is_active: bool) {
        self.mapped.layers[layer as usize].is_active.store(is_active, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped_route(&self, instance: u32) {
        add(&self.instances[instance as usize].counters.dropped, 1);
    }

    /// `INSTANCE.CHANNEL` of a channel.
    pub(crate) fn channel_name(&self, global: u32) -> String {
        let (slot, channel) = self.place(global);
        let instance = &self.instances[slot];
        format!("{}.{}", instance.name, instance.channels[channel as usize].name)
    }

    pub(crate) fn kind_and_value(&self, global: u32) -> (ChannelKind, f64) {
        let (slot, channel) = self.place(global);
        let live = &self.instances[slot];
        let value = self.channel(live.id, channel).map_or(0.0, |(value, _)| value);
        (live.channels[channel as usize].kind, value)
    }
}
