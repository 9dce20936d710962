//! Channels that pass their input on: for patching, tests and measurements.

use std::collections::HashMap;

use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelSyntax, Context, Event, Instance,
    InstanceConfig, Problems, State, Usage,
};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "loopback",
    summary: "Channels that pass their input on unchanged",
    documentation: "\
Every value that is sent to a channel of a loopback instance is emitted on the same channel. An \
instance serves as a patch bay: map many sources to one name and that name to many targets. A \
channel that is not mapped to a target discards its values.

A feedback loop through loopback channels ends at the channel where it started, and is reported \
once.",
    options: &[],
    instance_options: &[],
    instance_families: &[],
    channels: &[ChannelSyntax {
        syntax: "NAME",
        example: "anything",
        documentation: "Any name. A channel exists when it is mapped.",
    }],
    example: "[loopback bay]\n\n[map]\nbay.in > bay.out\n",
    create: || Box::new(Loopback),
};

/// The backend, which has no options.
struct Loopback;

impl Backend for Loopback {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Instance>> {
        Some(Box::new(LoopbackInstance::default()))
    }
}

/// An instance. The map numbers the channels until the show starts.
#[derive(Default)]
struct LoopbackInstance {
    channels: HashMap<String, u32>,
}

impl Instance for LoopbackInstance {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(&number) = self.channels.get(specification) {
            return Ok(number);
        }
        let number = self.channels.len() as u32;
        self.channels.insert(specification.to_owned(), number);
        Ok(number)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        // The names were only needed to number the channels.
        self.channels = HashMap::new();
        context.set_state(State::Up);
    }

    fn echoes(&self) -> bool {
        true
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.echo_all(events);
    }
}
