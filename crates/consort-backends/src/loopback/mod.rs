//! Channels that pass their input on: for patching, tests and measurements.

use std::collections::HashMap;

use consort_router::options::OptionEntry;
use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelSyntax, ChannelTable, Context, Driver, Event,
    Instance, InstanceConfig, Merge, OptionFamily, OptionKind, OptionSpec, Plan, Problems, State,
    TextEvent, Usage, downcast,
};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "loopback",
    summary: "Channels that pass their input on unchanged",
    documentation: "\
Every value and every text that is sent to a channel of a loopback instance is emitted on the \
same channel. An instance serves as a patch bay: map many sources to one name and that name to many targets. A \
channel that is not mapped to a target discards its values.

With the option `merge`, several mappings to one channel contribute to its value instead of \
replacing each other's; `CHANNEL = …` chooses it for one channel. A contribution goes when the \
mapping's layer goes, when the mapping is muted, and when its source's instance stops working.

A feedback loop through loopback channels ends at the channel where it started, and is reported \
once.",
    options: &[],
    instance_options: &[OptionSpec {
        name: "merge",
        kind: MERGE,
        default: Some("latest"),
        live: true,
        example: "highest",
        documentation: "What a channel does with the values of several mappings: the `latest` \
                        counts, the `highest`, their `sum` (up to 1), or, of those above 0, that \
                        of the mapping which stands first (`priority`).",
        ..OptionSpec::EMPTY
    }],
    instance_families: &[OptionFamily {
        prefix: "",
        live: true,
        example: "dim = sum",
        documentation: "`merge` for the channel of that name.",
    }],
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
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let mut plan = LoopbackPlan {
            channels: HashMap::new(),
            merge: config.options.text("merge").and_then(read_merge).unwrap_or_default(),
            merges: HashMap::new(),
            of_channel: Vec::new(),
        };
        let named = |(_, entry): &(usize, &OptionEntry)| entry.name != "merge";
        for (index, entry) in config.options.family("").filter(named) {
            if let Some(merge) = read_merge(&entry.value) {
                plan.merges.insert(entry.name.clone(), merge);
                continue;
            }
            problems
                .error(Some(index), "expected `latest`, `highest`, `sum` or `priority`")
                .hint("an option other than `merge` is the name of a channel: `CHANNEL = sum`");
        }
        problems.is_ok().then(|| Box::new(plan) as Box<dyn Plan>)
    }
}

/// The values of `merge`.
const MERGE: OptionKind = OptionKind::Choice(&["latest", "highest", "sum", "priority"]);

fn read_merge(text: &str) -> Option<Merge> {
    match text.to_ascii_lowercase().as_str() {
        "latest" => Some(Merge::Latest),
        "highest" => Some(Merge::Highest),
        "sum" => Some(Merge::Sum),
        "priority" => Some(Merge::Priority),
        _ => None,
    }
}

/// An instance before the start: it numbers its channels.
struct LoopbackPlan {
    channels: HashMap<String, u32>,
    merge: Merge,
    /// What options say of single channels.
    merges: HashMap<String, Merge>,
    /// By channel.
    of_channel: Vec<Merge>,
}

impl Plan for LoopbackPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(&number) = self.channels.get(specification) {
            return Ok(number);
        }
        let number = self.channels.len() as u32;
        self.channels.insert(specification.to_owned(), number);
        self.of_channel.push(self.merges.get(specification).copied().unwrap_or(self.merge));
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        let unknown = self.merges.keys().filter(|name| !self.channels.contains_key(*name));
        if let Some(name) = unknown.min() {
            problems.warning(None, format!("no mapping uses the channel `{name}`"));
        }
    }

    fn merge(&self, channel: u32) -> Merge {
        self.of_channel[channel as usize]
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
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        downcast::<LoopbackPlan>(plan).map(|plan| context.discard(plan))
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

    #[test]
    fn contributions_of_several_mappings_are_merged() {
        let mut show = TestShow::new();
        show.instance(&DESCRIPTOR, "bay", &[("merge", "highest"), ("sum", "sum")]);
        for channel in ["x", "sum"] {
            show.map("probe.a", &format!("bay.{channel}"));
            show.map("probe.b", &format!("bay.{channel}"));
            show.map(&format!("bay.{channel}"), &format!("probe.{channel}"));
        }
        let mut show = show.start();
        show.send("a", 0.25);
        show.send("b", 0.5);
        show.send("a", 0.125);
        let received = show.receive(6);
        let values_at = |channel: &str| -> Vec<f64> {
            let all = received.iter().filter(|(name, _)| name == channel);
            all.map(|(_, value)| *value).collect()
        };
        assert_eq!(
            (values_at("x"), values_at("sum")),
            (vec![0.25, 0.5, 0.5], vec![0.25, 0.75, 0.625])
        );
    }

    #[test]
    fn a_wrong_merge_and_a_channel_without_a_mapping_are_reported() {
        let mut show = TestShow::new();
        let problems = show.try_instance(&DESCRIPTOR, "bay", &[("x", "most")]).unwrap_err();
        assert_eq!(problems[0].message, "expected `latest`, `highest`, `sum` or `priority`");
        show.instance(&DESCRIPTOR, "bay", &[("x", "sum")]);
        assert_eq!(show.check("bay")[0].message, "no mapping uses the channel `x`");
    }
}
