//! Mappings that transform: the cost of a stage, of a delivery beside a plain one, of loading, of
//! many smooth mappings, and of switching layers.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::loopback;
use consort_bench::{
    Budget, CountingAllocator, Samples, allocations, peak_memory, report, thread_time,
};
use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance, load, load_text};
use consort_router::stage::{Chain, parse};
use consort_router::transform::Transform;
use consort_router::{
    Backend, BackendDescriptor, ChannelError, Context, Driver, Event, Instance, InstanceConfig,
    InstanceId, Options, Plan, Problems, Readiness, Router, Usage,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: usize = 5;
const REGISTRY: &[&BackendDescriptor] = &[&loopback::DESCRIPTOR];

fn chain(text: &str) -> Chain {
    let parsed = parse(text).expect("valid stages");
    Chain::new(parsed.stages.into_iter().map(|placed| placed.stage))
}

/// Emits values on one channel, as many as the budget of each call allows; takes values.
struct Source;

/// Their backend, which is made in code.
struct Made;

impl Backend for Made {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

impl Plan for Source {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Err(ChannelError::new("the benchmark numbers its channels itself"))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Source {
    fn start(&mut self, context: &mut Context<'_>) {
        if context.name() == "source" {
            context.call_again(0);
        }
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        for number in 0..context.budget() {
            context.emit(0, number as f64 / 256.0);
        }
        context.call_again(key);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

/// A source with one target, through these stages if there are any.
fn one_mapping(stages: Option<&str>) -> Router {
    let mut show = Show::default();
    show.backends.push(ShowBackend {
        name: "made",
        backend: Box::new(Made),
        options: Options::default(),
    });
    for name in ["source", "sink"] {
        show.instances.push(ShowInstance {
            name: name.into(),
            backend: "made",
            driver: 0,
            plan: Box::new(Source),
            options: Options::default(),
            families: &[],
            channels: vec!["0".into()],
        });
    }
    let end = |instance| ChannelRef { instance: InstanceId::new(instance), channel: 0 };
    show.mappings.push((end(0), end(1)));
    if let Some(stages) = stages {
        show.transforms.push(Transform::new(0, chain(stages)));
    }
    let mut router = Router::new(show).expect("an event loop");
    router.start();
    router
}

/// Nanoseconds of a delivery, and the allocations of the round.
fn delivery(router: &mut Router) -> (f64, u64) {
    let live = router.handle().live();
    let count = || live.counters(InstanceId::new(1)).outgoing;
    for _ in 0..100 {
        router.step(None).expect("a turn");
    }
    let (before, allocated, started) = (count(), allocations(), thread_time());
    for _ in 0..4_000 {
        router.step(None).expect("a turn");
    }
    let elapsed = thread_time() - started;
    let allocated = allocations() - allocated;
    (elapsed.as_nanos() as f64 / (count() - before) as f64, allocated)
}

/// The processor time of work on this thread in milliseconds: other load does not count.
fn processor_time(work: impl FnOnce()) -> f64 {
    let before = thread_time();
    work();
    (thread_time() - before).as_secs_f64() * 1e3
}

fn load_many(folder: &Path) {
    let mut text = "[loopback in]\n\n[loopback out]\n\n[map]\n".to_owned();
    for number in 0..100_000 {
        let (channel, high) = (number % 16, number % 500);
        writeln!(
            text,
            "in.ch{channel}.cc{number} > out./fader/{number} | invert | curve(2) | \
             range(0.1, {high}/1000)"
        )
        .expect("into a string");
    }
    let path = folder.join("stages.cfg");
    std::fs::write(&path, text).expect("a file");
    let (mut check, mut start) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        let count = |show: Option<Show>| show.map_or(0, |show| show.transforms.len());
        check.push(processor_time(|| {
            assert_eq!(count(load(&path, &[], REGISTRY).show), 100_000);
        }));
        start.push(processor_time(|| {
            let show = load(&path, &[], REGISTRY).show.expect("valid");
            Router::new(show).expect("an event loop").start();
        }));
    }
    report("check 100,000 mappings with three stages", "ms of processor")
        .ours(check.median())
        .budget(Budget::AtMost(300.0))
        .print();
    report("start 100,000 mappings with three stages", "ms of processor")
        .ours(start.median())
        .budget(Budget::AtMost(700.0))
        .print();
    let memory = peak_memory(std::process::id()).expect("this process") as f64 / 1e3;
    report("100,000 mappings with three stages: peak memory", "MB")
        .ours(memory)
        .budget(Budget::AtMost(96.0))
        .print();
}

/// A running show of loopback instances `a` and `b`.
fn started(mappings: &str) -> Router {
    let text = format!("[loopback a]\n[loopback b]\n{mappings}");
    let show = load_text("show.cfg", &text, &[], REGISTRY).show.expect("a valid show");
    let mut router = Router::new(show).expect("an event loop");
    router.start();
    router
}

/// Emits a value from the first `count` channels of the first instance.
fn emit(router: &mut Router, count: u32, value: f64) {
    let handle = router.handle();
    for channel in 0..count {
        while !handle.inject(InstanceId::new(0), channel, value) {
            router.step(Some(Duration::ZERO)).expect("a turn");
        }
    }
    router.step(Some(Duration::ZERO)).expect("a turn");
}

fn smooth_many() {
    let mut router = started("[map]\na.{1..10000} > b.{1..10000} | smooth(10 s)\n");
    router.freeze_clock();
    emit(&mut router, 10_000, 0.0);
    emit(&mut router, 10_000, 1.0);
    let started = thread_time();
    router.advance(Duration::from_secs(2));
    let share = (thread_time() - started).as_secs_f64() / 2.0 * 100.0;
    report("10,000 smooth mappings that move", "% of a processor")
        .ours(share)
        .budget(Budget::AtMost(10.0))
        .print();
}

fn switch_layers() {
    let layer = |name: &str, target: &str| {
        format!(
            "[map {name}]\ngroup = g\nselect = a.{name}\na.{{1..1000}} <> {target}.{{1..1000}} | invert\n"
        )
    };
    let text = layer("one", "b") + &layer("two", "c");
    let text = format!("[loopback a]\n[loopback b]\n[loopback c]\n{text}");
    let show = load_text("show.cfg", &text, &[], REGISTRY).show.expect("a valid show");
    let mut router = Router::new(show).expect("an event loop");
    router.start();
    let handle = router.handle();
    for (layer, value) in [(0, 0.25), (1, 0.75)] {
        handle.switch_layer(layer, true);
        router.step(Some(Duration::ZERO)).expect("a turn");
        emit(&mut router, 1_000, value);
    }
    let mut samples = Samples::default();
    for round in 0..101 {
        handle.switch_layer(round % 2, true);
        let started = Instant::now();
        router.step(Some(Duration::ZERO)).expect("a turn");
        samples.push(started.elapsed().as_secs_f64() * 1e3);
    }
    report("switch between layers of 1,000 mappings, with feedback", "ms")
        .ours(samples.median())
        .budget(Budget::AtMost(1.0))
        .print();
}

fn main() {
    let folder = std::env::temp_dir().join(format!("consort-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    load_many(&folder);
    std::fs::remove_dir_all(&folder).expect("the folder");

    let values: Vec<f64> = (0..1_024).map(|number| f64::from(number) / 1_023.0).collect();
    for (text, budget) in [
        ("range(0.2, 0.8)", 5.0),
        ("invert", 5.0),
        ("curve(2.2)", 25.0),
        ("ease(2.2)", 25.0),
        ("points(0:0, 0.2:0.5, 0.5:0.6, 1:1)", 25.0),
    ] {
        let chain = chain(text);
        let milliseconds = processor_time(|| {
            for _ in 0..400 {
                black_box(values.iter().map(|value| chain.shape(black_box(*value))).sum::<f64>());
            }
        });
        report(format!("stage {text}"), "ns of processor")
            .ours(milliseconds * 1e6 / 400.0 / values.len() as f64)
            .budget(Budget::AtMost(budget))
            .print();
    }

    let mut routers = [None, Some("range(0.2, 0.8)"), Some("invert | curve(2) | range(0, 0.5)")]
        .map(|stages| (stages, one_mapping(stages), Samples::default(), 0));
    for _ in 0..ROUNDS {
        for (_, router, samples, allocated) in &mut routers {
            let (time, count) = delivery(router);
            samples.push(time);
            *allocated += count;
        }
    }
    for (stages, _, samples, allocated) in routers {
        let name = stages.unwrap_or("no stage");
        report(format!("delivery with {name}"), "ns of processor")
            .ours(samples.median())
            .note(format!("{allocated} allocations"))
            .print();
        assert_eq!(allocated, 0, "nothing allocates in the steady state");
    }
    smooth_many();
    switch_layers();
}
