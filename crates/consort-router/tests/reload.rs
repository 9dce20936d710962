//! Texts beside values, unmatched input, commands of other threads, and adopting a changed show.

use std::sync::Arc;

use consort_router::testing::{Performance, TestShow};
use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelTable, Context, Driver, Event, Instance,
    InstanceConfig, InstanceId, OptionSpec, Plan, Problems, RawValue, Sender, State, TextEvent,
    Unmatched, Usage, downcast,
};
use parking_lot::Mutex;

/// What the instances of the backend `echo` did, in order.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// One test at a time uses the log.
static TESTS: Mutex<()> = Mutex::new(());

const ECHO: BackendDescriptor = BackendDescriptor {
    name: "echo",
    summary: "returns what it gets, one turn later",
    documentation: "",
    options: &[
        OptionSpec { name: "shared", live: true, ..OptionSpec::EMPTY },
        OptionSpec { name: "fixed", ..OptionSpec::EMPTY },
    ],
    instance_options: &[
        OptionSpec { name: "label", live: true, ..OptionSpec::EMPTY },
        OptionSpec { name: "device", default: Some("none"), ..OptionSpec::EMPTY },
        OptionSpec { name: "stubborn", live: true, ..OptionSpec::EMPTY },
    ],
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(EchoBackend),
};

struct EchoBackend;

impl Backend for EchoBackend {
    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        Some(Box::new(EchoPlan {
            label: config.options.text("label").unwrap_or_default().to_owned(),
            is_stubborn: config.options.is_set("stubborn"),
            names: Vec::new(),
        }))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        LOG.lock().push("backend opened".into());
        Box::new(EchoDriver)
    }
}

struct EchoDriver;

impl Driver for EchoDriver {}

struct EchoPlan {
    label: String,
    is_stubborn: bool,
    names: Vec<String>,
}

impl Plan for EchoPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.names.iter().position(|name| name == specification) {
            return Ok(index as u32);
        }
        self.names.push(specification.to_owned());
        Ok(self.names.len() as u32 - 1)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(Echo { plan: *self, deliveries: 0 })
    }
}

struct Echo {
    plan: EchoPlan,
    deliveries: u32,
}

impl Instance for Echo {
    fn start(&mut self, context: &mut Context<'_>) {
        LOG.lock().push(format!("start {}", self.plan.label));
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = downcast::<EchoPlan>(plan)?;
        if plan.is_stubborn {
            return Err(plan);
        }
        LOG.lock().push(format!(
            "adopt {} after {} deliveries, first channel was {:?}",
            plan.label,
            self.deliveries,
            channels.old_number(0)
        ));
        self.plan = *plan;
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        self.deliveries += events.len() as u32;
        for event in events {
            context.emit_descended(event.channel, event.value, event.root());
        }
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        context.emit_text_descended(event.channel, event.text, event.root());
    }

    fn panic(&mut self, _: &mut Context<'_>) {
        LOG.lock().push(format!("panic {}", self.plan.label));
    }

    fn stop(&mut self, _: &mut Context<'_>) {
        LOG.lock().push(format!("stop {}", self.plan.label));
    }
}

fn show(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    backend_show(&[], options, mappings)
}

fn backend_show(
    backend: &[(&str, &str)],
    options: &[(&str, &str)],
    mappings: &[(&str, &str)],
) -> TestShow {
    let mut show = TestShow::new();
    show.backend(&ECHO, backend);
    show.instance(&ECHO, "echo", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

fn log() -> Vec<String> {
    std::mem::take(&mut *LOG.lock())
}

const THROUGH: &[(&str, &str)] = &[("probe.in", "echo.a"), ("echo.a", "probe.out")];

fn value(channel: &str, value: f64) -> (String, f64) {
    (channel.to_owned(), value)
}

#[test]
fn texts_keep_their_place_among_values() {
    let _one = TESTS.lock();
    let mut show = TestShow::new();
    for (source, target) in [("probe.a", "probe.x"), ("probe.b", "probe.y")] {
        show.map(source, target);
    }
    let mut running = show.start();
    running.send("a", 0.25);
    running.send_text("b", "hello");
    running.send("a", 0.5);
    assert_eq!(running.received(), [value("x", 0.25), value("x", 0.5)]);
    assert_eq!(running.received_texts(), [("y".to_owned(), "hello".to_owned())]);
    let live = running.router.handle().live();
    let probe = InstanceId::new(0);
    let channel = live.find_channel(probe, "y").unwrap();
    assert_eq!(live.text(probe, channel), Some(("hello".to_owned(), 1)));
    let source = live.find_channel(probe, "b").unwrap();
    assert_eq!(live.targets(probe, source).collect::<Vec<_>>(), [(probe, channel)]);
}

#[test]
fn texts_are_emitted_in_answer_and_too_long_ones_are_rejected() {
    let _one = TESTS.lock();
    let mut running = show(&[], THROUGH).start();
    running.send_text("in", "one");
    running.until("the text", |show| !show.received_texts().is_empty());
    assert_eq!(running.received_texts(), [("out".to_owned(), "one".to_owned())]);
    let too_long = "x".repeat(consort_router::context::MAX_TEXT_BYTES + 1);
    let handle = running.router.handle();
    assert!(!handle.inject_text(InstanceId::new(0), 0, &too_long));
}

#[test]
fn other_threads_deliver_to_targets_and_panic() {
    let _one = TESTS.lock();
    let mut running = show(&[("label", "one")], THROUGH).start();
    let handle = running.router.handle();
    let echo = running.id("echo");
    assert!(handle.deliver(echo, 0, 0.75), "a target that is delivered answers");
    assert_eq!(running.receive(1), [value("out", 0.75)]);
    assert!(!handle.deliver(echo, 9, 0.5), "no such channel");
    assert!(!handle.deliver(InstanceId::with_generation(1, 7), 0, 0.5), "an old generation");
    log();
    assert!(handle.panic());
    running.until("the panic", |_| !LOG.lock().is_empty());
    assert_eq!(log(), ["panic one"]);
}

#[test]
fn live_options_and_channels_are_adopted() {
    let _one = TESTS.lock();
    let mut running = show(&[("label", "one")], THROUGH).start();
    running.send("in", 0.25);
    assert_eq!(running.receive(1), [value("out", 0.25)]);
    log();
    let before = running.router.handle().live();
    let adoption = running.adopt(show(
        &[("label", "two")],
        &[("probe.in", "echo.b"), ("echo.b", "probe.other"), ("echo.a", "probe.out")],
    ));
    assert_eq!(adoption.adopted, ["probe", "echo"]);
    assert_eq!(log(), ["adopt two after 1 deliveries, first channel was None"]);
    assert!(before.is_replaced() && !running.router.handle().live().is_replaced());
    running.send("in", 0.5);
    assert_eq!(running.receive(1), [value("other", 0.5)]);
    let live = running.router.handle().live();
    let echo = running.id("echo");
    let kept = live.find_channel(echo, "a").and_then(|channel| live.channel(echo, channel));
    assert_eq!(kept, Some((0.25, 2)), "values of channels that stay are kept, not sent");
    assert_eq!(running.counters("echo").outgoing, 2, "counters go on");
}

#[test]
fn other_options_restart_the_instance_in_the_next_generation() {
    let _one = TESTS.lock();
    let mut running = show(&[("label", "one")], THROUGH).start();
    let first = running.id("echo");
    log();
    let adoption = running.adopt(show(&[("label", "two"), ("device", "x")], THROUGH));
    assert_eq!((adoption.adopted, adoption.restarted), (vec!["probe".into()], vec!["echo".into()]));
    assert_eq!(log(), ["stop one", "start two"]);
    let second = running.id("echo");
    assert_eq!((second.slot(), second.generation()), (first.slot(), first.generation() + 1));
    assert!(!running.router.handle().inject(first, 0, 0.5), "the old number means nothing now");
    running.send("in", 0.5);
    assert_eq!(running.receive(1), [value("out", 0.5)]);
    let adoption = running.adopt(show(&[("label", "two"), ("device", "x")], THROUGH));
    assert_eq!(adoption.restarted, [""; 0], "the same options again change nothing");
    let adoption =
        running.adopt(show(&[("label", "two"), ("device", "x"), ("stubborn", "1")], THROUGH));
    assert_eq!(adoption.restarted, ["echo"], "an instance may return its plan");
    running.send("in", 0.75);
    assert_eq!(running.receive(1), [value("out", 0.75)]);
}

#[test]
fn options_of_the_backend_are_adopted_by_the_driver_or_restart_all() {
    let _one = TESTS.lock();
    let mut running = show(&[], THROUGH).start();
    log();
    let adoption = running.adopt(backend_show(&[("shared", "2")], &[], THROUGH));
    assert_eq!(adoption.adopted, ["probe", "echo"]);
    assert_eq!(log(), ["adopt  after 0 deliveries, first channel was Some(0)"]);
    let adoption = running.adopt(backend_show(&[("shared", "2"), ("fixed", "1")], &[], THROUGH));
    assert_eq!(adoption.restarted, ["echo"]);
    assert_eq!(log(), ["stop ", "backend opened", "start "]);
}

#[test]
fn events_between_two_turns_get_the_new_numbers() {
    let _one = TESTS.lock();
    let mut running = show(
        &[],
        &[
            ("probe.in", "echo.gone"),
            ("probe.in", "echo.a"),
            ("echo.gone", "probe.gone"),
            ("echo.a", "probe.out"),
        ],
    )
    .start();
    let handle = running.router.handle();
    let probe = InstanceId::new(0);
    let number = handle.live().find_channel(probe, "in").unwrap();
    assert!(handle.inject(probe, number, 0.5));
    running.router.step(Some(std::time::Duration::ZERO)).expect("a turn");
    // The answers of `echo` wait for the next turn; the reload comes first.
    running.adopt(show(&[], THROUGH));
    running.until("the answer", |show| !show.received().is_empty());
    assert_eq!(running.received(), [value("gone", 0.5), value("out", 0.5)], "the old way");
}

#[test]
fn commands_from_before_a_reload_mean_the_old_channels() {
    let _one = TESTS.lock();
    let mut running = show(&[], &[("probe.a", "probe.x"), ("probe.b", "probe.y")]).start();
    let handle = running.router.handle();
    let number = handle.live().find_channel(InstanceId::new(0), "b").unwrap();
    assert!(handle.inject(InstanceId::new(0), number, 0.5));
    running.adopt(show(&[], &[("probe.b", "probe.y"), ("probe.a", "probe.x")]));
    running.until("the value", |show| !show.received().is_empty());
    assert_eq!(running.received(), [value("y", 0.5)]);
}

#[test]
fn a_handle_for_a_generation_has_no_effect_after_a_reload() {
    let _one = TESTS.lock();
    let mut running = show(&[], THROUGH).start();
    let handle = running.router.handle();
    let (old, echo) = (handle.for_generation(handle.live().generation()), running.id("echo"));
    assert!(old.deliver(echo, 0, 0.25));
    assert_eq!(running.receive(1), [value("out", 0.25)]);
    running.adopt(show(&[], THROUGH));
    assert!(!old.deliver(echo, 0, 0.5), "its numbers belong to the layout before");
    assert!(handle.deliver(echo, 0, 0.75));
    assert_eq!(running.receive(1), [value("out", 0.75)]);
}

#[test]
fn unmatched_input_is_counted_and_kept_without_an_observer() {
    let _one = TESTS.lock();
    let mut running: Performance = show(&[], THROUGH).start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&seen);
    running.router.observe_unmatched(Box::new(move |instance, channel, input| {
        observer.lock().push((instance.slot(), channel.to_owned(), input.value));
    }));
    let echo = running.id("echo");
    for raw in [0.0, 127.0] {
        running.router.with_context(echo, |context| {
            let input = Unmatched {
                types: "f",
                raw: RawValue::Number(raw),
                value: Some(1.0),
                sender: Sender::Name("tablet"),
            };
            context.count_input(1);
            context.unmatched(input, |channel| channel.push_str("/1/fader2"));
        });
    }
    let live = running.router.handle().live();
    assert_eq!(live.unmatched_count(echo), 2);
    assert_eq!(live.input(echo).0, 2);
    let kept = live.unmatched(echo);
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].channel.as_str(), kept[0].count), ("/1/fader2", 2));
    assert_eq!((kept[0].range, kept[0].sender.to_string()), (Some((0.0, 127.0)), "tablet".into()));
    assert_eq!(seen.lock().len(), 2);
    running.adopt(show(&[], &[("echo./1/fader2", "probe.out")]));
    let live = running.router.handle().live();
    assert_eq!(live.unmatched(running.id("echo")), [], "what is mapped now is matched");
}
