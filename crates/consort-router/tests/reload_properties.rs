//! Random shows, random edits and random traffic against a model of the router: every value is
//! delivered once, in order, by the mappings of the configuration that it belongs to. Nothing
//! here depends on the time of a clock: turns are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use consort_router::testing::{Performance, TestShow};
use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelTable, Context, Driver, Event, Instance,
    InstanceConfig, OptionSpec, Plan, Problems, Readiness, State, Usage, downcast,
};
use parking_lot::Mutex;
use proptest::prelude::*;

/// Configuration, instance, channel and value of a delivery.
type Delivery = (u32, String, String, f64);

/// What every instance was delivered, in order.
static LOG: Mutex<Vec<Delivery>> = Mutex::new(Vec::new());

/// One property at a time uses the log.
static TESTS: Mutex<()> = Mutex::new(());

/// As in the router: how often the answers of stopped instances are routed.
const LAST_ROUNDS: usize = 16;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const CHANNELS: [&str; 2] = ["x", "y"];

/// The first and the last output of an instance that is stopped.
const STOPPING: f64 = 0.75;
const STOPPED: f64 = 0.875;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "version", live: true, ..OptionSpec::EMPTY },
    OptionSpec { name: "device", ..OptionSpec::EMPTY },
    OptionSpec { name: "turns", live: true, ..OptionSpec::EMPTY },
];

/// Instances that return what they are delivered one turn later.
const RELAY: BackendDescriptor = BackendDescriptor {
    name: "relay",
    summary: "returns what it gets, one turn later",
    documentation: "",
    options: &[],
    instance_options: OPTIONS,
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(TestBackend { answers: true }),
};

/// Instances that only receive.
const SINK: BackendDescriptor = BackendDescriptor {
    name: "sink",
    create: || Box::new(TestBackend { answers: false }),
    ..RELAY
};

struct TestBackend {
    answers: bool,
}

impl Backend for TestBackend {
    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let number = |name: &str| config.options.text(name).and_then(|text| text.parse().ok());
        Some(Box::new(TestPlan {
            name: config.name.clone(),
            version: number("version").unwrap_or(0),
            turns: number("turns").unwrap_or(0),
            answers: self.answers,
            channels: Vec::new(),
        }))
    }
}

struct TestPlan {
    name: String,
    version: u32,
    turns: u32,
    answers: bool,
    channels: Vec<String>,
}

impl Plan for TestPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.channels.iter().position(|name| name == specification) {
            return Ok(index as u32);
        }
        self.channels.push(specification.to_owned());
        Ok(self.channels.len() as u32 - 1)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(TestInstance { is_stopped: self.turns == 0, left: None, plan: *self })
    }
}

struct TestInstance {
    plan: TestPlan,
    /// How many more turns it needs to stop.
    left: Option<u32>,
    is_stopped: bool,
}

impl Instance for TestInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        table: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = downcast::<TestPlan>(plan)?;
        for (new, name) in plan.channels.iter().enumerate() {
            let old = self.plan.channels.iter().position(|old| old == name);
            assert_eq!(table.old_number(new as u32), old.map(|old| old as u32));
        }
        self.is_stopped = plan.turns == 0;
        self.plan = *plan;
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        for event in events {
            let channel = self.plan.channels[event.channel as usize].clone();
            LOG.lock().push((self.plan.version, self.plan.name.clone(), channel, event.value));
            if self.plan.answers {
                context.emit_descended(event.channel, event.value, event.root());
            }
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        assert!(self.left.is_none(), "stopped once");
        self.left = Some(self.plan.turns);
        if !self.plan.channels.is_empty() {
            context.emit(0, STOPPING);
        }
        if self.plan.turns > 0 {
            context.call_again(0);
        }
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut Context<'_>) {
        let left = self.left.as_mut().expect("called again after a stop");
        *left -= 1;
        if *left > 0 {
            return context.call_again(0);
        }
        self.is_stopped = true;
        if !self.plan.channels.is_empty() {
            context.emit(0, STOPPED);
        }
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped
    }
}

/// One end of a mapping: instance and channel.
type End = (&'static str, &'static str);

#[derive(Clone, Debug)]
struct Section {
    answers: bool,
    device: u32,
    turns: u32,
}

/// A configuration.
#[derive(Clone, Debug)]
struct Config {
    sections: Vec<(&'static str, Section)>,
    mappings: Vec<(End, End)>,
}

#[derive(Clone, Debug)]
enum Step {
    /// A value arrives on the source of a mapping, by its number modulo their count; the router has
    /// not turned yet.
    Send(usize),
    Turn,
    Edit(Config),
}

impl Config {
    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|(other, _)| *other == name).map(|(_, section)| section)
    }

    /// The channels of an instance, in the order of their numbers.
    fn channels(&self, name: &str) -> Vec<&'static str> {
        let mut channels: Vec<&'static str> = Vec::new();
        for end in self.mappings.iter().flat_map(|&(source, target)| [source, target]) {
            if end.0 == name && !channels.contains(&end.1) {
                channels.push(end.1);
            }
        }
        channels
    }

    fn show(&self, version: u32) -> TestShow {
        let mut show = TestShow::new();
        for (name, section) in &self.sections {
            let descriptor = if section.answers { &RELAY } else { &SINK };
            let (version, device) = (version.to_string(), section.device.to_string());
            let turns = section.turns.to_string();
            let options = [("version", &*version), ("device", &*device), ("turns", &*turns)];
            show.instance(descriptor, name, &options);
        }
        for ((source, output), (target, input)) in &self.mappings {
            show.map(&format!("{source}.{output}"), &format!("{target}.{input}"));
        }
        show
    }
}

/// What the router has to do, a turn at a time.
struct Model {
    config: Config,
    version: u32,
    /// Answers that are routed in the next turn.
    deferred: Vec<(End, f64)>,
    commands: Vec<(End, f64)>,
    log: Vec<Delivery>,
}

impl Model {
    /// Routes events together: each instance gets its deliveries in one batch, in the order in
    /// which the batches began.
    fn route(&mut self, events: Vec<(End, f64)>) {
        let mut batches: Vec<(&'static str, Vec<(End, f64)>)> = Vec::new();
        for (source, value) in events {
            let mappings = self.config.mappings.iter();
            for &(_, target) in mappings.filter(|(from, _)| *from == source) {
                match batches.iter_mut().find(|(name, _)| *name == target.0) {
                    Some((_, batch)) => batch.push((target, value)),
                    None => batches.push((target.0, vec![(target, value)])),
                }
            }
        }
        for (name, batch) in batches {
            let answers = self.config.section(name).is_some_and(|section| section.answers);
            for ((_, channel), value) in batch {
                self.log.push((self.version, name.into(), channel.into(), value));
                if answers {
                    self.deferred.push(((name, channel), value));
                }
            }
        }
    }

    fn turn(&mut self) {
        let deferred = std::mem::take(&mut self.deferred);
        self.route(deferred);
        let commands = std::mem::take(&mut self.commands);
        self.route(commands);
    }

    fn emit_last(&mut self, name: &'static str, value: f64) {
        if let Some(&channel) = self.config.channels(name).first() {
            self.route(vec![((name, channel), value)]);
        }
    }

    fn edit(&mut self, new: Config) -> BTreeMap<&'static str, &'static str> {
        let mut fates = BTreeMap::new();
        let mut stopping: Vec<&'static str> = Vec::new();
        for (name, old) in &self.config.sections {
            if new.section(name).is_none_or(|new| new.answers != old.answers) {
                fates.insert(*name, "closed");
                stopping.push(name);
            }
        }
        for (name, section) in &new.sections {
            let old = self.config.section(name).filter(|old| old.answers == section.answers);
            match old {
                None => {
                    fates.insert(name, "opened");
                }
                Some(old) if old.device != section.device => {
                    fates.insert(name, "restarted");
                    stopping.push(name);
                }
                Some(_) => {
                    fates.insert(name, "adopted");
                }
            }
        }
        let turns = |name: &str| self.config.section(name).map_or(0, |section| section.turns);
        let (mut slow, quick): (Vec<_>, Vec<_>) =
            stopping.iter().map(|&name| (name, turns(name))).partition(|&(_, turns)| turns > 0);
        for &(name, _) in &slow {
            self.emit_last(name, STOPPING);
        }
        while slow.iter().any(|&(_, turns)| turns > 0) {
            self.turn();
            for entry in &mut slow {
                let (name, turns) = *entry;
                entry.1 = turns.saturating_sub(1);
                if turns == 1 {
                    self.emit_last(name, STOPPED);
                }
            }
        }
        for (name, _) in quick {
            self.emit_last(name, STOPPING);
        }
        self.turn();
        for _ in 0..LAST_ROUNDS {
            if !self.deferred.iter().any(|((name, _), _)| stopping.contains(name)) {
                break;
            }
            let deferred = std::mem::take(&mut self.deferred);
            self.route(deferred);
        }
        let stays = |name: &str, channel: &str| {
            !matches!(fates.get(name), Some(&("closed" | "opened")))
                && new.channels(name).contains(&channel)
        };
        self.deferred.retain(|((name, channel), _)| stays(name, channel));
        self.config = new;
        self.version += 1;
        fates
    }
}

fn section() -> impl Strategy<Value = Section> {
    (prop::bool::weighted(0.75), 0_u32..2, prop_oneof![3 => Just(0_u32), 1 => 1_u32..3])
        .prop_map(|(answers, device, turns)| Section { answers, device, turns })
}

fn config() -> impl Strategy<Value = Config> {
    let sections = proptest::collection::vec(proptest::option::weighted(0.85, section()), 5);
    let mapping = (0_usize..5, 0_usize..2, 0_usize..5, 0_usize..2);
    let mappings = proptest::collection::vec(mapping, 4..20);
    (sections, Just(NAMES.to_vec()).prop_shuffle(), mappings).prop_map(
        |(sections, order, mappings)| {
            let by_name: BTreeMap<&str, Section> = NAMES
                .iter()
                .zip(sections)
                .filter_map(|(name, section)| Some((*name, section?)))
                .collect();
            let mut seen = BTreeSet::new();
            // Towards later names only: values end somewhere.
            let ends = mappings.into_iter().map(|(source, output, target, input)| {
                (source.min(target), output, source.max(target), input)
            });
            let ends = ends.filter(|(source, _, target, _)| source != target);
            let ends = ends.map(|(source, output, target, input)| {
                ((NAMES[source], CHANNELS[output]), (NAMES[target], CHANNELS[input]))
            });
            let mappings = ends
                .filter(|(source, target)| {
                    by_name.contains_key(source.0) && by_name.contains_key(target.0)
                })
                .filter(|&mapping| seen.insert(mapping))
                .collect();
            let sections = order.into_iter();
            let sections =
                sections.filter_map(|name| Some((name, by_name.get(name)?.clone()))).collect();
            Config { sections, mappings }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<usize>().prop_map(Step::Send),
        1 => Just(Step::Turn),
        2 => config().prop_map(Step::Edit),
    ]
}

fn turn(running: &mut Performance) {
    running.router.step(Some(Duration::ZERO)).expect("a turn");
}

fn check(running: &Performance, model: &Model) {
    // Batches of one turn are delivered instance by instance.
    let by_instance = |log: &[Delivery]| {
        let mut sorted = log.to_vec();
        sorted.sort_by(|a, b| a.1.cmp(&b.1));
        sorted
    };
    let (log, expected) = (by_instance(&LOG.lock()), by_instance(&model.log));
    let difference = log.iter().zip(&expected).position(|(left, right)| left != right);
    assert_eq!((difference, log.len()), (None, expected.len()), "{log:?}\n{expected:?}");
    let live = running.router.handle().live();
    let names: Vec<&str> = live.instance_ids().map(|id| live.instance_name(id)).collect();
    let expected: Vec<&str> = std::iter::once("probe")
        .chain(model.config.sections.iter().map(|(name, _)| *name))
        .collect();
    assert_eq!(names, expected, "the order of the configuration");
    for (number, id) in live.instance_ids().enumerate() {
        assert_eq!(live.number(id), number as u32);
        assert_eq!(live.find_instance(live.instance_name(id)), Some(id));
        assert!(id.slot() < 6, "slots are used again");
    }
}

/// Plays the steps to the router and to the model.
fn play(first: Config, steps: Vec<Step>) {
    let _one = TESTS.lock();
    LOG.lock().clear();
    let mut running = first.show(0).start();
    let mut model = Model {
        config: first,
        version: 0,
        deferred: Vec::new(),
        commands: Vec::new(),
        log: Vec::new(),
    };
    let mut values = 0_u32;
    for step in steps {
        match step {
            Step::Send(number) => {
                let sources: Vec<End> =
                    model.config.mappings.iter().map(|&(source, _)| source).collect();
                if sources.is_empty() {
                    continue;
                }
                let end = sources[number % sources.len()];
                values += 1;
                let value = f64::from(values) / 1024.0;
                let handle = running.router.handle();
                let live = handle.live();
                let id = live.find_instance(end.0).expect("an instance");
                let channel = live.find_channel(id, end.1).expect("a channel");
                assert!(handle.inject(id, channel, value));
                model.commands.push((end, value));
            }
            Step::Turn => {
                turn(&mut running);
                model.turn();
            }
            Step::Edit(config) => {
                let adoption = running.adopt(config.show(model.version + 1));
                let mut fates = BTreeMap::new();
                let lists = [
                    (&adoption.closed, "closed"),
                    (&adoption.adopted, "adopted"),
                    (&adoption.restarted, "restarted"),
                    (&adoption.opened, "opened"),
                ];
                for (names, fate) in lists {
                    fates.extend(names.iter().map(|name| (name.clone(), fate)));
                }
                fates.remove("probe");
                let expected = model.edit(config);
                let expected: BTreeMap<String, &str> =
                    expected.into_iter().map(|(name, fate)| (name.to_owned(), fate)).collect();
                assert_eq!(fates, expected);
            }
        }
        check(&running, &model);
    }
    for _ in 0..8 {
        turn(&mut running);
        model.turn();
    }
    check(&running, &model);
    LOG.lock().clear();
}

#[test]
fn answers_of_a_channel_that_has_gone_do_not_count_as_waiting() {
    let section = |name, answers, device| (name, Section { answers, device, turns: 0 });
    let first = Config {
        sections: vec![section("d", false, 0), section("e", true, 1)],
        mappings: vec![(("d", "x"), ("e", "x"))],
    };
    let second = Config {
        sections: vec![section("b", false, 0), section("c", true, 0), section("e", true, 1)],
        mappings: vec![(("b", "x"), ("c", "x"))],
    };
    let third = Config {
        sections: vec![section("b", false, 0), section("c", true, 0), section("e", false, 0)],
        mappings: vec![(("c", "x"), ("e", "x"))],
    };
    play(first, vec![Step::Send(0), Step::Edit(second), Step::Send(0), Step::Edit(third)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_routed_once_by_the_mappings_of_its_time(
        first in config(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        play(first, steps);
    }
}
