//! The rules that every backend of the registry must follow. A new backend is tested as soon as it
//! is listed, and each backend is tested in builds without the others.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_router::config::{Override, Severity, Show, load_text};
use consort_router::{
    Adoption, Backend, BackendDescriptor, ChannelError, ChannelTable, Context, Driver, Event,
    Instance, InstanceConfig, InstanceId, OptionKind, OptionSpec, Plan, Problems, Router, State,
    TextEvent, Usage, downcast,
};
use parking_lot::Mutex;

const DEADLINE: Duration = Duration::from_secs(30);

/// A backend for the tests that passes every value on, as `loopback` does, which a build may lack.
const RELAY: BackendDescriptor = BackendDescriptor {
    name: "relay",
    summary: "",
    documentation: "",
    options: &[],
    instance_options: &[],
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(RelayBackend),
};

struct RelayBackend;

impl Backend for RelayBackend {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        Some(Box::<RelayPlan>::default())
    }
}

#[derive(Default)]
struct RelayPlan {
    channels: Vec<String>,
}

impl Plan for RelayPlan {
    fn channel(&mut self, name: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.channels.iter().position(|channel| channel == name) {
            return Ok(index as u32);
        }
        self.channels.push(name.to_owned());
        Ok(self.channels.len() as u32 - 1)
    }

    fn passes_on(&self) -> bool {
        true
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(Relay)
    }
}

struct Relay;

impl Instance for Relay {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        downcast::<RelayPlan>(plan).map(drop)
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.pass_on(events);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        context.pass_on_text(event);
    }
}

/// All backends of this build, and the relay.
fn registry() -> Vec<&'static BackendDescriptor> {
    // The workers of Lua instances: this test program cannot be one.
    #[cfg(feature = "lua")]
    consort_backends::worker::set_worker_command(consort_backends::worker::WorkerCommand {
        program: env!("CARGO_BIN_EXE_consort-lua-worker").into(),
        arguments: Vec::new(),
    });
    BACKENDS.iter().copied().chain([&RELAY]).collect()
}

/// The example of a backend, with a relay beside it that shows whether the router still works.
/// Further mappings come first, so that they change the numbers of the example's channels.
fn example(descriptor: &BackendDescriptor, mappings: &str) -> String {
    let text = descriptor.example;
    format!("[relay relay]\n\n[map]\nrelay.in > relay.out\n{mappings}\n{text}")
}

fn first_instance(descriptor: &BackendDescriptor) -> &'static str {
    let header = format!("[{} ", descriptor.name);
    let line = descriptor.example.lines().find_map(|line| line.trim().strip_prefix(&header));
    line.and_then(|rest| rest.strip_suffix(']')).expect("the example has an instance")
}

fn errors(text: &str) -> Vec<String> {
    let loaded = load_text("example.cfg", text, &[], &registry());
    let errors =
        loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|diagnostic| diagnostic.message.clone()).collect()
}

fn check_table(backend: &str, options: &[OptionSpec]) {
    let mut names = HashSet::new();
    for option in options {
        let place = format!("{backend}: option {}", option.name);
        for name in option.aliases.iter().chain([&option.name]) {
            assert!(!name.is_empty() && !name.contains(['=', ' ', '[']), "{place}: invalid name");
            assert!(names.insert(*name), "{place}: {name} is in the table twice");
        }
        assert!(option.documentation.len() > 10, "{place} is not documented");
        assert_eq!(option.kind.validate(option.example), Ok(()), "{place}: its example");
        if let Some(default) = option.default {
            assert_eq!(option.kind.validate(default), Ok(()), "{place}: its default");
            assert!(!option.required, "{place} has a default and is required");
        }
    }
}

#[test]
fn every_option_has_a_unique_name_documentation_and_a_valid_example() {
    for backend in BACKENDS {
        check_table(backend.name, backend.options);
        check_table(backend.name, backend.instance_options);
        for family in backend.instance_families {
            assert!(family.example.starts_with(family.prefix), "{}: {family:?}", backend.name);
            assert!(family.documentation.len() > 10, "{}: {family:?}", backend.name);
        }
        assert!(!backend.summary.is_empty() && !backend.summary.ends_with('.'));
        assert!(backend.documentation.len() > 100, "{} is not documented", backend.name);
        assert!(!backend.channels.is_empty(), "{}: its channels are not documented", backend.name);
    }
}

#[test]
fn every_example_passes_check() {
    for backend in BACKENDS {
        assert_eq!(errors(&example(backend, "")), [""; 0], "{}", backend.name);
    }
}

#[test]
fn every_form_of_channel_is_accepted_as_documented() {
    for backend in BACKENDS {
        let instance = first_instance(backend);
        for form in backend.channels {
            assert!(form.documentation.len() > 10, "{}: {form:?}", backend.name);
            // A form may work in one direction only.
            let source = format!("{instance}.{} > relay.x\n", form.example);
            let target = format!("relay.x > {instance}.{}\n", form.example);
            let (source, target) =
                (errors(&example(backend, &source)), errors(&example(backend, &target)));
            assert!(
                source.is_empty() || target.is_empty(),
                "{}: {form:?} is rejected in both directions: {source:?} {target:?}",
                backend.name
            );
        }
    }
}

/// The overrides to start a backend with: none, and the embedded engine if the backend has one, so
/// that it runs without the kernel's sequencer, too.
fn variants(descriptor: &BackendDescriptor) -> Vec<Vec<Override>> {
    let mut variants = vec![Vec::new()];
    let has_embedded_engine =
        |option: &OptionSpec| option.name == "engine" && option.kind.validate("embedded").is_ok();
    if descriptor.options.iter().any(has_embedded_engine) {
        variants.push(vec![Override::backend(format!("{}.engine=embedded", descriptor.name))]);
    }
    variants
}

/// Tests that run shows: one at a time, because the examples bind the same ports.
static SHOWS: Mutex<()> = Mutex::new(());

/// A backend and the overrides to start it with.
type Variant = (&'static BackendDescriptor, Vec<Override>);

/// All backends with all their variants.
fn all_variants() -> Vec<Variant> {
    let of_backend = |backend: &&'static BackendDescriptor| {
        let backend = *backend;
        variants(backend).into_iter().map(move |overrides| (backend, overrides))
    };
    BACKENDS.iter().flat_map(of_backend).collect()
}

/// Loads a configuration; none if it has errors.
fn load(text: &str, overrides: &[Override]) -> Option<Show> {
    load_text("example.cfg", text, overrides, &registry()).show
}

/// The running example of a backend.
struct Running {
    backend: &'static BackendDescriptor,
    router: Router,
    deadline: Instant,
}

impl Running {
    fn start((backend, overrides): &Variant) -> Self {
        let show = load(&example(backend, ""), overrides).expect(backend.name);
        Self::start_show(backend, show)
    }

    fn start_show(backend: &'static BackendDescriptor, show: Show) -> Self {
        let mut router = Router::new(show).expect("an event loop");
        router.start();
        Running { backend, router, deadline: Instant::now() + DEADLINE }
    }

    /// One turn of the router.
    fn step(&mut self) {
        assert!(Instant::now() < self.deadline, "{}: no response", self.backend.name);
        self.router.step(Some(Duration::from_millis(5))).expect("a turn");
    }

    /// The instances of the backend.
    fn instances(&self) -> Vec<InstanceId> {
        let live = self.router.handle().live();
        live.instance_ids().filter(|id| live.backend_name(*id) == self.backend.name).collect()
    }

    /// Sends a value through every channel: as an input of sources, as an output of targets.
    fn exercise(&mut self, value: f64) {
        let handle = self.router.handle();
        let live = handle.live();
        for instance in self.instances() {
            for (channel, info) in (0..).zip(live.channel_infos(instance)) {
                // Refused if too many values wait, which the flood intends.
                if info.is_source {
                    handle.inject(instance, channel, value);
                }
                if info.is_target {
                    handle.deliver(instance, channel, value);
                }
            }
        }
        self.step();
    }

    /// Checks that the router still routes, and that no instance has failed.
    fn check(&mut self, occasion: &str) {
        let handle = self.router.handle();
        let live = handle.live();
        let relay = live.find_instance("relay").expect("the relay");
        let input = live.find_channel(relay, "in").expect("the input");
        let output = live.find_channel(relay, "out").expect("the output");
        let count = || live.channel(relay, output).map_or(0, |(_, count)| count);
        let before = count();
        assert!(handle.inject(relay, input, 1.0));
        while count() == before {
            self.step();
        }
        for instance in live.instance_ids() {
            let state = live.state(instance);
            let has_failed = matches!(state, State::Failed(_));
            let (backend, name) = (self.backend.name, live.instance_name(instance));
            assert!(!has_failed, "{backend}: {name} {state:?} after {occasion}");
        }
    }

    /// Replaces the configuration. Every instance is either adopted, and keeps its number and
    /// counters, or restarted in the next generation of its slot. The relay is always adopted.
    fn adopt(&mut self, show: Show, occasion: &str) -> Adoption {
        let place = format!("{}: {occasion}", self.backend.name);
        let before = self.router.handle().live();
        let adoption = self.router.adopt(show).unwrap_or_else(|error| panic!("{place}: {error:?}"));
        assert!(adoption.adopted.iter().any(|name| name == "relay"), "{place}");
        let after = self.router.handle().live();
        assert!(before.is_replaced() && !after.is_replaced(), "{place}");
        assert_eq!(before.instance_count(), after.instance_count(), "{place}");
        for (old, new) in before.instance_ids().zip(after.instance_ids()) {
            let name = after.instance_name(new);
            let is_in = |names: &[String]| names.iter().any(|listed| listed == name);
            let (is_adopted, is_restarted) = (is_in(&adoption.adopted), is_in(&adoption.restarted));
            assert!(is_adopted != is_restarted, "{place}: {name}: {adoption:?}");
            if is_adopted {
                assert_eq!(old, new, "{place}: {name}");
                let (old, new) = (before.counters(old), after.counters(new));
                let are_kept = new.outgoing >= old.outgoing
                    && new.incoming >= old.incoming
                    && new.dropped >= old.dropped
                    && new.errors >= old.errors;
                assert!(are_kept, "{place}: {name}: {old:?} {new:?}");
            } else {
                let next = InstanceId::with_generation(old.slot(), old.generation() + 1);
                assert_eq!(new, next, "{place}: {name}");
            }
        }
        self.exercise(0.25);
        self.exercise(0.75);
        self.check(occasion);
        adoption
    }

    /// Stops the show.
    fn finish(mut self) {
        self.router.finish().expect("a clean stop");
    }
}

/// Starts each example, floods its channels, and checks that the router still works and stops.
#[test]
fn every_example_starts_handles_a_flood_and_stops() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let mut running = Running::start(&variant);
        for round in 0..200_u32 {
            running.exercise(f64::from(round % 10) / 10.0);
        }
        running.check("a flood");
        running.finish();
    }
}

#[test]
fn the_same_configuration_is_adopted() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let (backend, overrides) = &variant;
        let mut running = Running::start(&variant);
        running.exercise(0.5);
        for _ in 0..3 {
            let show = load(&example(backend, ""), overrides).expect(backend.name);
            let adoption = running.adopt(show, "the same configuration");
            assert_eq!(adoption.restarted, [""; 0], "{}", backend.name);
        }
        running.finish();
    }
}

/// The mappings of each documented form of channel that the example accepts: as a source, as a
/// target, or both.
fn further_mappings(descriptor: &BackendDescriptor) -> Vec<String> {
    let instance = first_instance(descriptor);
    let both = descriptor.channels.iter().flat_map(|form| {
        [
            format!("{instance}.{} > relay.x", form.example),
            format!("relay.x > {instance}.{}", form.example),
        ]
    });
    both.filter(|mapping| errors(&example(descriptor, mapping)).is_empty()).collect()
}

#[test]
fn channels_are_added_and_removed_while_a_show_runs() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let (backend, overrides) = &variant;
        let mut running = Running::start(&variant);
        for mapping in further_mappings(backend) {
            running.exercise(1.0);
            for text in [example(backend, &mapping), example(backend, "")] {
                let show = load(&text, overrides).expect(backend.name);
                running.adopt(show, &mapping);
            }
        }
        running.finish();
    }
}

/// Values to try for an option: its example, and others that its kind allows.
fn candidates(option: &OptionSpec) -> Vec<String> {
    let mut values = vec![option.example.to_owned()];
    match option.kind {
        OptionKind::Flag => values.extend(["on", "off"].map(str::to_owned)),
        OptionKind::Choice(words) => values.extend(words.iter().map(|word| (*word).to_owned())),
        OptionKind::Integer(low, high) => values.extend([low, high].map(|value| value.to_string())),
        OptionKind::Number(low, high) => values.extend([low, high].map(|value| value.to_string())),
        _ => {}
    }
    values
}

/// A change of one option: whether it is live, and the overrides with which it is made.
struct Change {
    name: String,
    is_live: bool,
    is_of_backend: bool,
    /// The overrides to try; the first that loads and that changes something is used.
    overrides: Vec<Override>,
    /// The line to remove from the example when none of them does: for a family or an option that
    /// may be repeated, whose example the backend's example may contain already.
    line: Option<String>,
}

/// One change for each option of a backend.
fn changes(descriptor: &BackendDescriptor) -> Vec<Change> {
    let (backend, instance) = (descriptor.name, first_instance(descriptor));
    let mut changes = Vec::new();
    for option in descriptor.options {
        let text = |value| Override::backend(format!("{backend}.{}={value}", option.name));
        changes.push(Change {
            name: format!("backend option {}", option.name),
            is_live: option.live,
            is_of_backend: true,
            overrides: candidates(option).into_iter().map(text).collect(),
            line: None,
        });
    }
    for option in descriptor.instance_options {
        let text = |value| Override::instance(format!("{instance}.{}={value}", option.name));
        changes.push(Change {
            name: format!("option {}", option.name),
            is_live: option.live,
            is_of_backend: false,
            overrides: candidates(option).into_iter().map(text).collect(),
            line: option.repeatable.then(|| format!("{} = {}", option.name, option.example)),
        });
    }
    for family in descriptor.instance_families {
        changes.push(Change {
            name: format!("option {}", family.example),
            is_live: family.live,
            is_of_backend: false,
            overrides: vec![Override::instance(format!("{instance}.{}", family.example))],
            line: Some(family.example.to_owned()),
        });
    }
    changes
}

/// The options of the backend and its instances as one text, to find whether two shows differ.
fn options_of(show: &Show, backend: &str) -> String {
    let mut text = String::new();
    let backends = show.backends.iter().filter(|entry| entry.name == backend);
    let instances = show.instances.iter().filter(|entry| entry.backend == backend);
    let all = backends.map(|entry| &entry.options).chain(instances.map(|entry| &entry.options));
    for options in all {
        for option in options.specs() {
            text.push_str(&format!("{}={:?}\n", option.name, options.text(option.name)));
        }
        // Each value of an option that may be repeated counts, and each member of a family.
        let is_single = |name: &str| {
            options.specs().iter().any(|option| option.name == name && !option.repeatable)
        };
        for entry in options.entries().iter().filter(|entry| !is_single(&entry.name)) {
            text.push_str(&format!("{}={:?}\n", entry.name, entry.value));
        }
    }
    text
}

/// Changes every option and takes the change back: live ones are adopted, others restart. An
/// option that the example cannot change, because it needs others, is only tested if it is live
/// and not of a family.
#[test]
fn live_options_are_adopted_and_others_restart() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let (backend, overrides) = &variant;
        let text = example(backend, "");
        let first = load(&text, overrides).expect(backend.name);
        let before = options_of(&first, backend.name);
        let mut running = Running::start_show(backend, first);
        for change in changes(backend) {
            let place = format!("{}: {}", backend.name, change.name);
            // The option that the variant sets is tested in the other variant.
            let is_of_variant = |with: &&Override| {
                let name = |with: &Override| with.text.split('=').next().map(str::to_owned);
                overrides.iter().any(|other| name(other) == name(with))
            };
            let mut tried = change.overrides.iter().filter(|with| !is_of_variant(with));
            let load_changed = |text: &str, with: Option<&Override>| {
                let all: Vec<Override> = overrides.iter().chain(with).cloned().collect();
                let show = load(text, &all)?;
                (options_of(&show, backend.name) != before).then_some(show)
            };
            let changed = tried.find_map(|with| load_changed(&text, Some(with))).or_else(|| {
                let others =
                    text.lines().filter(|line| Some(line.trim()) != change.line.as_deref());
                load_changed(&others.collect::<Vec<_>>().join("\n"), None)
            });
            let Some(changed) = changed else {
                let is_needed = change.line.is_some();
                assert!(!change.is_live || is_needed, "{place}: no value loads with the example");
                continue;
            };
            let back = load(&text, overrides).expect(backend.name);
            for (show, direction) in [(changed, "changed"), (back, "changed back")] {
                let occasion = format!("{} {direction}", change.name);
                let adoption = running.adopt(show, &occasion);
                if change.is_live && change.is_of_backend {
                    // An instance that uses the value as its default may return its plan.
                    let kept = running.instances().len() - adoption.restarted.len();
                    assert_eq!(
                        adoption.adopted.len(),
                        kept + 1,
                        "{place} {direction}: {adoption:?}"
                    );
                } else if change.is_live {
                    assert_eq!(adoption.restarted, [""; 0], "{place} {direction}");
                } else if change.is_of_backend {
                    let restarted = running.instances().len();
                    assert_eq!(adoption.restarted.len(), restarted, "{place} {direction}");
                } else {
                    assert_eq!(adoption.restarted, [first_instance(backend)], "{place}");
                }
            }
        }
        running.finish();
    }
}

#[test]
fn a_panic_ends_neither_the_show_nor_an_instance() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let mut running = Running::start(&variant);
        running.exercise(1.0);
        for _ in 0..3 {
            assert!(running.router.handle().panic());
            running.step();
            running.exercise(1.0);
        }
        running.check("a panic");
        running.finish();
    }
}

/// Texts are delivered to every target and to no other channel; what an instance does not take, it
/// drops and counts.
#[test]
fn a_text_is_delivered_or_dropped_and_counted() {
    let _one = SHOWS.lock();
    for variant in all_variants() {
        let (backend, overrides) = &variant;
        let mappings = further_mappings(backend);
        let of_targets = mappings.iter().filter(|mapping| mapping.starts_with("relay."));
        let mappings: Vec<&str> = of_targets.map(String::as_str).collect();
        let show = load(&example(backend, &mappings.join("\n")), overrides).expect(backend.name);
        let mut running = Running::start_show(backend, show);
        running.step();
        let handle = running.router.handle();
        let live = handle.live();
        for instance in running.instances() {
            for (channel, info) in (0..).zip(live.channel_infos(instance)) {
                if !info.is_target {
                    continue;
                }
                let place = format!("{}: {}", backend.name, info.name);
                let before = live.counters(instance);
                assert!(handle.deliver_text(instance, channel, "a text"), "{place}");
                while live.counters(instance).outgoing == before.outgoing {
                    running.step();
                }
                let after = live.counters(instance);
                assert_eq!(after.outgoing, before.outgoing + 1, "{place}");
                assert!(after.dropped <= before.dropped + 1, "{place}: {before:?} {after:?}");
                // An instance whose peer is missing may count errors of its own at any time.
                if live.state(instance) == State::Up {
                    assert_eq!(after.errors, before.errors, "{place}");
                }
            }
        }
        running.check("texts");
        running.finish();
    }
}

#[test]
fn a_show_is_prepared_on_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Show>();
    let _one = SHOWS.lock();
    for (backend, overrides) in all_variants() {
        let prepare = || {
            let (text, overrides) = (example(backend, ""), overrides.clone());
            let thread = std::thread::spawn(move || load(&text, &overrides));
            thread.join().expect("no panic").expect(backend.name)
        };
        let mut running = Running::start_show(backend, prepare());
        running.exercise(0.5);
        let adoption = running.adopt(prepare(), "a configuration of another thread");
        assert_eq!(adoption.restarted, [""; 0], "{}", backend.name);
        running.finish();
    }
}

/// Views and stages ask for these of every channel; a resolution has 0 and 1 among its values.
#[test]
fn every_channel_has_a_kind_and_a_resolution() {
    for backend in BACKENDS {
        let mappings = further_mappings(backend).join("\n");
        let show = load(&example(backend, &mappings), &[]).expect(backend.name);
        for entry in show.instances.iter().filter(|entry| entry.backend == backend.name) {
            for (channel, name) in (0..).zip(&entry.channels) {
                let resolution = entry.plan.resolution(channel);
                let ends = (resolution.round(0.0), resolution.round(1.0));
                assert_eq!(ends, (0.0, 1.0), "{}: {name}", backend.name);
                let _ = entry.plan.kind(channel);
            }
        }
    }
}
