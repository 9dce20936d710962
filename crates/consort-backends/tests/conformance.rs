//! What every backend of the registry must do; a new one is tested by being listed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_router::config::{Override, Severity, load_text};
use consort_router::{BackendDescriptor, InstanceId, OptionSpec, Router, State};

const DEADLINE: Duration = Duration::from_secs(30);

/// A descriptor's example, with a loopback instance beside it that shows whether the router is
/// still at work.
fn example(descriptor: &BackendDescriptor, more: &str) -> String {
    let text = descriptor.example;
    format!("[loopback witness]\n{text}\n[map]\nwitness.in > witness.out\n{more}")
}

fn first_instance(descriptor: &BackendDescriptor) -> &'static str {
    let header = format!("[{} ", descriptor.name);
    let line = descriptor.example.lines().find_map(|line| line.trim().strip_prefix(&header));
    line.and_then(|rest| rest.strip_suffix(']')).expect("the example makes an instance")
}

fn errors(text: &str) -> Vec<String> {
    let loaded = load_text("example.cfg", text, &[], BACKENDS);
    let errors = loaded.diagnostics.iter().filter(|it| it.severity == Severity::Error);
    errors.map(|it| it.message.clone()).collect()
}

fn check_table(backend: &str, options: &[OptionSpec]) {
    let mut names = HashSet::new();
    for option in options {
        let at = format!("{backend}: option {}", option.name);
        for name in option.aliases.iter().chain([&option.name]) {
            assert!(!name.is_empty() && !name.contains(['=', ' ', '[']), "{at}: a strange name");
            assert!(names.insert(*name), "{at}: {name} stands twice in the table");
        }
        assert!(option.documentation.len() > 10, "{at} is not documented");
        assert_eq!(option.kind.validate(option.example), Ok(()), "{at}: its example");
        if let Some(default) = option.default {
            assert_eq!(option.kind.validate(default), Ok(()), "{at}: its default");
            assert!(!option.required, "{at} has a default and is required");
        }
    }
}

#[test]
fn every_option_is_named_once_and_documented_with_an_example_that_is_valid() {
    for backend in BACKENDS {
        check_table(backend.name, backend.options);
        check_table(backend.name, backend.instance_options);
        for family in backend.instance_families {
            assert!(family.example.starts_with(family.prefix), "{}: {family:?}", backend.name);
            assert!(family.documentation.len() > 10, "{}: {family:?}", backend.name);
        }
        assert!(!backend.summary.is_empty() && !backend.summary.ends_with('.'));
        assert!(backend.documentation.len() > 100, "{} is not documented", backend.name);
        assert!(!backend.channels.is_empty(), "{}: how are its channels named?", backend.name);
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
            let source = format!("{instance}.{} > witness.x\n", form.example);
            let target = format!("witness.x > {instance}.{}\n", form.example);
            let (source, target) =
                (errors(&example(backend, &source)), errors(&example(backend, &target)));
            assert!(
                source.is_empty() || target.is_empty(),
                "{}: {form:?} is refused both ways: {source:?} {target:?}",
                backend.name
            );
        }
    }
}

/// What the command line may change of a backend so that it runs on any machine as on the usual
/// one: nothing, and the engine that needs no kernel where there is one.
fn variants(descriptor: &BackendDescriptor) -> Vec<Vec<Override>> {
    let mut variants = vec![Vec::new()];
    let embedded = |it: &OptionSpec| it.name == "engine" && it.kind.validate("embedded").is_ok();
    if descriptor.options.iter().any(embedded) {
        variants.push(vec![Override::backend(format!("{}.engine=embedded", descriptor.name))]);
    }
    variants
}

/// Starts each example, floods its channels, and sees that the router goes on and stops.
#[test]
fn every_example_starts_survives_a_flood_and_stops() {
    let all = BACKENDS.iter().flat_map(|it| variants(it).into_iter().map(move |with| (it, with)));
    for (backend, overrides) in all {
        let loaded = load_text("example.cfg", &example(backend, ""), &overrides, BACKENDS);
        let show = loaded.show.expect(backend.name);
        let mut router = Router::new(show).expect("an event loop");
        router.start();
        let handle = router.handle();
        let live = handle.live().clone();
        let witness = live.find_instance("witness").expect("the witness");
        let deadline = Instant::now() + DEADLINE;
        let step = |router: &mut Router| {
            assert!(Instant::now() < deadline, "{}: the router is stuck", backend.name);
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
        let before = live.channel(witness, 1).map_or(0, |it| it.1);
        assert!(handle.inject(witness, 0, 1.0));
        while live.channel(witness, 1).map_or(0, |it| it.1) == before {
            step(&mut router);
        }
        for instance in (0..live.instance_count() as u32).map(InstanceId) {
            let state = live.state(instance);
            let given_up = matches!(state, State::Failed(_));
            assert!(!given_up, "{}: {} {state:?}", backend.name, live.instance_name(instance));
        }
        router.finish().expect("a clean stop");
    }
}
