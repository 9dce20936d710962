//! Handles: what a [`Context`] returns for the buffers, buses, groups and synths that it makes.
//!
//! A handle is an id with its context, and delegates every operation to it. Its properties come
//! from the mirrored tree, so that reading them asks the server nothing. Dropping a handle frees
//! nothing on the server.
//!
//! Requests go where the handle's context sends them: at once, or into the moment of `within`.
//! Methods that begin with `ask` return the future of the reply. Those without that prefix that
//! return a value of the server (`get`, `query`, `values`) block the calling thread until the reply
//! arrives; they send their request at once, even for a handle within a moment.

mod buffers;
mod buses;
mod nodes;

pub use buffers::{Buffer, BufferGroup};
pub use buses::{Bus, BusGroup};
pub use nodes::{Group, Node, RootNode, Synth};

use super::Context;
use crate::values::CalculationRate;

/// A reference to any kind of handle, for [`Context::contains`].
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
    /// Whether this server has the object. Nodes and buffers exist if the server has reported
    /// them; a bus exists if its index is below the number of buses of its rate.
    pub fn contains(&self, entity: Entity<'_>) -> bool {
        let (context, exists) = match entity {
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
        exists && self.is_same(context)
    }
}
