//! The channels of a running instance and their values, in both directions.

use std::cell::Cell;
use std::rc::Rc;

use consort_router::{Context, RawValue, Sender, Unmatched};

use super::channels::Channels;
use super::codes::{Code, EventType};
use super::config::Settings;
use super::system::Axis;
use super::values::{
    Position, from_axis, from_direction, from_state, to_axis, to_direction, to_state,
};
use crate::detect::log_value;

/// How many codes relative axes have.
const RELATIVE_AXES: usize = EventType::Relative.count() as usize;

/// The options and channels of a running instance, and the positions of its relative axes.
pub(super) struct Mapping {
    pub(super) settings: Settings,
    pub(super) channels: Channels,
    positions: [Option<Position>; RELATIVE_AXES],
    /// Whether all input is logged; the driver changes it.
    detect: Rc<Cell<bool>>,
}

impl Mapping {
    pub(super) fn new(settings: Settings, channels: Channels, detect: Rc<Cell<bool>>) -> Self {
        let mut mapping = Mapping { settings, channels, positions: [None; RELATIVE_AXES], detect };
        mapping.set_positions();
        mapping
    }

    /// Takes the options and channels of a reloaded instance. Relative axes keep their positions.
    pub(super) fn adopt(&mut self, settings: Settings, channels: Channels) {
        (self.settings, self.channels) = (settings, channels);
        self.set_positions();
    }

    fn set_positions(&mut self) {
        for (position, number) in self.positions.iter_mut().zip(0..) {
            match (self.settings.extent(number), position.as_mut()) {
                (Some(extent), Some(position)) => position.set_extent(extent),
                (extent, _) => *position = extent.map(Position::new),
            }
        }
    }

    /// The position of a relative axis with an extent.
    fn position(&mut self, code: Code) -> Option<&mut Position> {
        self.positions.get_mut(usize::from(code.number))?.as_mut()
    }

    /// Takes an event of the device; `axis` is the range of an absolute axis. Emits its value, or
    /// reports it as unmatched.
    pub(super) fn receive(
        &mut self,
        code: Code,
        raw: i32,
        axis: Option<&Axis>,
        sender: &str,
        context: &mut Context<'_>,
    ) {
        let value = match code.kind {
            EventType::Absolute => {
                let has_range = |axis: &&Axis| axis.minimum < axis.maximum;
                let configured = self.settings.axis(code.number);
                let axis = axis.filter(has_range).or(configured.as_ref()).or(axis);
                axis.map_or(0.0, |axis| from_axis(axis, raw))
            }
            EventType::Relative => match self.position(code) {
                Some(position) => position.advance(raw),
                None => from_direction(raw),
            },
            _ => from_state(raw),
        };
        if self.detect.get() {
            log_value(&code.name(), value, context);
        }
        if let Some(channel) = self.channels.source(code) {
            context.emit(channel, value);
        } else if code.kind == EventType::Miscellaneous {
            // Keyboards send one with every key; in the list they would displace the keys.
            context.count_unmatched(1);
        } else {
            let input = Unmatched {
                types: code.kind.word(),
                raw: RawValue::Integer(raw.into()),
                value: Some(value),
                sender: Sender::Name(sender),
            };
            context.unmatched(input, |text| code.write(text));
        }
    }

    /// The value of an event that sets a channel; `None` if the device would not change.
    pub(super) fn send(&mut self, code: Code, value: f64) -> Option<i32> {
        match code.kind {
            EventType::Absolute => {
                self.settings.axis(code.number).map(|axis| to_axis(&axis, value))
            }
            EventType::Relative => {
                let step = match self.position(code) {
                    Some(position) => position.step_to(value),
                    None => to_direction(value),
                };
                (step != 0).then_some(step)
            }
            _ => Some(to_state(value)),
        }
    }
}
