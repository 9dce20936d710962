//! Channels that pass their input on: for patching, tests and measurements.

use std::collections::HashMap;

use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelSyntax, ChannelTable, Context, Driver, Event,
    Instance, InstanceConfig, Plan, Problems, State, TextEvent, Usage, downcast,
};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "loopback",
    summary: "Channels that pass their input on unchanged",
    documentation: "\
Every value and every text that is sent to a channel of a loopback instance is emitted on the \
same channel. An instance serves as a patch bay: map many sources to one name and that name to many targets. A \
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
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        Some(Box::new(LoopbackPlan::default()))
    }
}

/// An instance before the start: it numbers its channels.
#[derive(Default)]
struct LoopbackPlan {
    channels: HashMap<String, u32>,
}

impl Plan for LoopbackPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(&number) = self.channels.get(specification) {
            return Ok(number);
        }
        let number = self.channels.len() as u32;
        self.channels.insert(specification.to_owned(), number);
        Ok(number)
    }

    fn passes_on(&self) -> bool {
        true
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(LoopbackInstance)
    }
}

/// A running instance. It needs no names: what comes in on a number goes out on the same number.
struct LoopbackInstance;

impl Instance for LoopbackInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        downcast::<LoopbackPlan>(plan).map(drop)
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.pass_on(events);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        context.pass_on_text(event);
    }
}

#[cfg(test)]
mod tests {
    use consort_router::testing::TestShow;

    use super::DESCRIPTOR;

    /// A show with these mappings, in which `bay` is a loopback instance.
    fn show(mappings: &[(&str, &str)]) -> TestShow {
        let mut show = TestShow::new();
        show.instance(&DESCRIPTOR, "bay", &[]);
        for (source, target) in mappings {
            show.map(source, target);
        }
        show
    }

    #[test]
    fn values_and_texts_leave_on_the_channel_on_which_they_arrive() {
        let mut show = show(&[
            ("probe.a", "bay.x"),
            ("probe.b", "bay.y"),
            ("bay.x", "probe.one"),
            ("bay.x", "probe.two"),
        ])
        .start();
        show.send("a", 0.25);
        show.send("b", 0.5);
        show.send_text("a", "hello");
        assert_eq!(show.receive(2), [("one".to_owned(), 0.25), ("two".to_owned(), 0.25)]);
        let texts = ["one", "two"].map(|name| (name.to_owned(), "hello".to_owned()));
        assert_eq!(show.received_texts(), texts);
        let counters = show.counters("bay");
        assert_eq!((counters.outgoing, counters.incoming, counters.dropped), (3, 3, 0));
    }

    #[test]
    fn an_adopted_instance_keeps_its_counters_and_takes_the_new_numbers() {
        let mut running = show(&[("probe.a", "bay.x"), ("bay.x", "probe.one")]).start();
        running.send("a", 0.25);
        let adoption = running.adopt(show(&[
            ("probe.b", "bay.y"),
            ("probe.a", "bay.x"),
            ("bay.x", "probe.one"),
            ("bay.y", "probe.two"),
        ]));
        assert_eq!(adoption.adopted, ["probe", "bay"]);
        running.send_all(&[("a", 0.5), ("b", 0.75)]);
        let expected = [("one", 0.25), ("one", 0.5), ("two", 0.75)];
        assert_eq!(running.receive(3), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(running.counters("bay").outgoing, 3);
    }

    #[test]
    fn a_loop_of_texts_ends_where_it_started() {
        let mut show = show(&[
            ("probe.a", "bay.x"),
            ("bay.x", "bay.y"),
            ("bay.y", "bay.x"),
            ("bay.x", "probe.one"),
        ])
        .start();
        show.send_text("a", "hello");
        assert_eq!(show.received_texts(), [("one".to_owned(), "hello".to_owned())]);
        assert_eq!(show.counters("bay").dropped, 1);
    }
}
