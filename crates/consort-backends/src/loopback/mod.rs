//! Channels that hand on what they are given: for wiring, for tests, for measuring.

use std::collections::HashMap;

use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelSyntax, Context, Event, Instance,
    InstanceConfig, Problems, State, Usage,
};

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "loopback",
    summary: "channels that hand on what they are given",
    documentation: "\
Every value that goes into a channel of a loopback instance comes out of the same channel. That \
makes an instance a patch bay: map many sources to one name and that name to many targets, or \
leave a channel without a source as a dump for values that nobody needs.

Values that run in a circle through loopback channels stop where they started; the circle is \
reported once.",
    options: &[],
    instance_options: &[],
    instance_families: &[],
    channels: &[ChannelSyntax {
        syntax: "NAME",
        example: "anything",
        documentation: "Any name; a channel exists as soon as it is mapped.",
    }],
    example: "[loopback bay]\n\n[map]\nbay.in > bay.out\n",
    create: || Box::new(Loopback),
};

struct Loopback;

impl Backend for Loopback {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Instance>> {
        Some(Box::new(Bay::default()))
    }
}

#[derive(Default)]
struct Bay {
    channels: HashMap<String, u32>,
}

impl Instance for Bay {
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
