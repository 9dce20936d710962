//! The router alone: loopback to loopback and fan-out in one thread, with the number of allocations
//! in the steady state. The floor is a bare loop over arrays that does the same work.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::time::{Duration, Instant};

use consort_backends::loopback;
use consort_bench::{Budget, CountingAllocator, Samples, allocations, report};
use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Instance, InstanceConfig, InstanceId, Options,
    Plan, Problems, Readiness, Router, Usage,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const CHANNELS: u32 = 1_000;
/// Rounds of each figure.
const ROUNDS: usize = 5;

/// Emits values on its channels in turn, as many as the budget of each call allows.
struct Source {
    next: u32,
    channels: u32,
}

/// The backend of the source, which is made in code.
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
        context.call_again(0);
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        for _ in 0..context.budget() {
            context.emit(self.next, 0.5);
            self.next = (self.next + 1) % self.channels;
        }
        context.call_again(key);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

/// A loopback instance.
fn relay(backend: &mut dyn Backend) -> Box<dyn Plan> {
    let config =
        InstanceConfig { name: "relay".into(), options: Options::default(), directory: ".".into() };
    backend.instance(config, &mut Problems::new()).expect("loopback takes no options")
}

/// An instance with channels named by their numbers; `driver` is the index of its backend.
fn entry(name: &str, driver: usize, plan: Box<dyn Plan>, channels: u32) -> ShowInstance {
    ShowInstance {
        name: name.into(),
        backend: "bench",
        driver,
        plan,
        options: Options::default(),
        families: &[],
        channels: (0..channels).map(|channel| channel.to_string()).collect(),
    }
}

/// One end of a mapping.
fn end(instance: u32, channel: u32) -> ChannelRef {
    ChannelRef { instance: InstanceId::new(instance), channel }
}

/// A show in which each channel of a loopback instance has `fan` targets in a second one.
fn show(fan: u32) -> Show {
    let sources = if fan == 1 { CHANNELS } else { 10 };
    let mut show = Show::default();
    let mut loopback = (loopback::DESCRIPTOR.create)();
    let source = Source { next: 0, channels: sources };
    show.instances.push(entry("source", 0, Box::new(source), sources));
    show.instances.push(entry("a", 1, relay(&mut *loopback), sources));
    show.instances.push(entry("b", 1, relay(&mut *loopback), sources * fan));
    let backends: [(_, Box<dyn Backend>); 2] = [("made", Box::new(Made)), ("loopback", loopback)];
    for (name, backend) in backends {
        show.backends.push(ShowBackend { name, backend, options: Options::default() });
    }
    for channel in 0..sources {
        show.mappings.push((end(0, channel), end(1, channel)));
        for target in 0..fan {
            show.mappings.push((end(1, channel), end(2, channel * fan + target)));
        }
    }
    show
}

/// Deliveries per second to the second loopback instance, and the allocations in this time.
fn round(router: &mut Router, length: Duration) -> (f64, u64) {
    let live = router.handle().live();
    let count = || live.counters(InstanceId::new(2)).outgoing;
    let (before, allocated, started) = (count(), allocations(), Instant::now());
    while started.elapsed() < length {
        for _ in 0..64 {
            router.step(None).expect("a turn");
        }
    }
    let rate = (count() - before) as f64 / started.elapsed().as_secs_f64();
    (rate, allocations() - allocated)
}

/// The floor: the same events through two arrays of targets, without a router.
fn floor(fan: usize, length: Duration) -> f64 {
    let channels = if fan == 1 { CHANNELS as usize } else { 10 };
    let mut values = vec![0.0_f64; channels * fan];
    let (mut count, started) = (0_u64, Instant::now());
    while started.elapsed() < length {
        for _ in 0..64 {
            for channel in 0..channels {
                for target in 0..fan {
                    values[channel * fan + target] = std::hint::black_box(0.5);
                }
            }
            std::hint::black_box(&mut values);
            count += (channels * fan) as u64;
        }
    }
    count as f64 / started.elapsed().as_secs_f64()
}

fn main() {
    let length = Duration::from_millis(400);
    println!("router, one thread, median of {ROUNDS} interleaved rounds of {length:?}");
    for (fan, budget) in [(1, 40.0), (100, 150.0)] {
        let mut router = Router::new(show(fan)).expect("an event loop");
        router.start();
        round(&mut router, length);
        let (mut rates, mut floors, mut allocated) = (Samples::default(), Samples::default(), 0);
        for _ in 0..ROUNDS {
            let (rate, count) = round(&mut router, length);
            rates.push(rate / 1e6);
            allocated += count;
            floors.push(floor(fan as usize, length) / 1e6);
        }
        report(format!("router, loopback to loopback, 1 to {fan}"), "million/s")
            .floor(floors.median())
            .ours(rates.median())
            .higher_is_better()
            .budget(Budget::AtLeast(budget))
            .print();
        report(format!("router, loopback to loopback, 1 to {fan}: allocations"), "allocations")
            .ours(allocated as f64)
            .budget(Budget::AtMost(0.0))
            .print();
    }
}
