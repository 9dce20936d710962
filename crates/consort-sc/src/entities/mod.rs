//! What a context gives out: buffers, buses, groups and synths. Each knows its context and
//! delegates to it; what it tells of the server comes from the mirrored tree.

mod buffers;
mod buses;
mod nodes;

pub use buffers::{Buffer, BufferGroup};
pub use buses::{Bus, BusGroup};
pub use nodes::{Group, Node, RootNode, Synth};

use crate::context::Context;
use crate::values::CalculationRate;

/// Anything that a context may have given out.
#[derive(Clone, Copy, Debug)]
pub enum Entity<'a> {
    /// A buffer.
    Buffer(&'a Buffer),
    /// A bus.
    Bus(&'a Bus),
    /// A group.
    Group(&'a Group),
    /// A synth.
    Synth(&'a Synth),
}

impl Context {
    /// Whether this server has the object: nodes and buffers as the server told, control and
    /// audio buses each by the count of their own rate.
    pub fn contains(&self, entity: Entity<'_>) -> bool {
        let (context, found) = match entity {
            Entity::Buffer(buffer) => (buffer.context(), buffer.is_allocated()),
            Entity::Bus(bus) => {
                let options = self.options();
                let count = match bus.calculation_rate() {
                    CalculationRate::Audio => options.audio_bus_channel_count,
                    CalculationRate::Control => options.control_bus_channel_count,
                };
                (bus.context(), bus.id() < count)
            }
            Entity::Group(group) => (group.context(), group.is_allocated()),
            Entity::Synth(synth) => (synth.context(), synth.is_allocated()),
        };
        found && self.is_same(context)
    }
}
