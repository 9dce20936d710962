//! The rules that every backend of the registry must follow. A new backend is tested as soon as it
//! is listed, and each backend is tested in builds without the others.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_router::config::{Override, Severity, load_text};
use consort_router::{
    Backend, BackendDescriptor, ChannelError, Context, Event, Instance, InstanceConfig, InstanceId,
    OptionSpec, Problems, Router, State, Usage,
};

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
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Instance>> {
        Some(Box::<Relay>::default())
    }
}

#[derive(Default)]
struct Relay {
    channels: Vec<String>,
}

impl Instance for Relay {
    fn channel(&mut self, name: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.channels.iter().position(|channel| channel == name) {
            return Ok(index as u32);
        }
        self.channels.push(name.to_owned());
        Ok(self.channels.len() as u32 - 1)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn echoes(&self) -> bool {
        true
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.echo_all(events);
    }
}

/// All backends of this build, and the relay.
fn registry() -> Vec<&'static BackendDescriptor> {
    BACKENDS.iter().copied().chain([&RELAY]).collect()
}

/// The example of a backend, with a relay beside it that shows whether the router still works.
fn example(descriptor: &BackendDescriptor, more: &str) -> String {
    let text = descriptor.example;
    format!("[relay relay]\n{text}\n[map]\nrelay.in > relay.out\n{more}")
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

/// Starts each example, floods its channels, and checks that the router still works and stops.
#[test]
fn every_example_starts_handles_a_flood_and_stops() {
    let runs = BACKENDS.iter().flat_map(|backend| {
        variants(backend).into_iter().map(move |overrides| (backend, overrides))
    });
    for (backend, overrides) in runs {
        let loaded = load_text("example.cfg", &example(backend, ""), &overrides, &registry());
        let show = loaded.show.expect(backend.name);
        let mut router = Router::new(show).expect("an event loop");
        router.start();
        let handle = router.handle();
        let live = handle.live().clone();
        let relay = live.find_instance("relay").expect("the relay");
        let deadline = Instant::now() + DEADLINE;
        let step = |router: &mut Router| {
            assert!(Instant::now() < deadline, "{}: the router does not respond", backend.name);
            router.step(Some(Duration::from_millis(5))).expect("a turn");
        };
        for round in 0..200_u32 {
            for instance in (0..live.instance_count() as u32).map(InstanceId) {
                for channel in 0..live.channel_names(instance).len() as u32 {
                    handle.inject(instance, channel, f64::from(round % 10) / 10.0);
                }
            }
            step(&mut router);
        }
        let count = || live.channel(relay, 1).map_or(0, |(_, count)| count);
        let before = count();
        assert!(handle.inject(relay, 0, 1.0));
        while count() == before {
            step(&mut router);
        }
        for instance in (0..live.instance_count() as u32).map(InstanceId) {
            let state = live.state(instance);
            let has_failed = matches!(state, State::Failed(_));
            assert!(!has_failed, "{}: {} {state:?}", backend.name, live.instance_name(instance));
        }
        router.finish().expect("a clean stop");
    }
}
