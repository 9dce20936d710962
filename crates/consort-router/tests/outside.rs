//! Feedback through the outside is reported, limited and released; a fast source is not touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Handle, Instance, InstanceConfig, InstanceId,
    Options, Plan, Problems, Router, State, Usage,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// An instance whose outputs come back as inputs while `is_on`, as those of an echoing device do.
#[derive(Clone, Default)]
struct Echo {
    is_on: Arc<AtomicBool>,
    delivered: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Plan for Echo {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Ok(0)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Echo {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        for event in events {
            self.delivered.fetch_add(1, Ordering::Relaxed);
            self.last.store(event.value.to_bits(), Ordering::Relaxed);
            if self.is_on.load(Ordering::Relaxed) {
                context.emit(event.channel, event.value);
            }
        }
    }
}

/// The backend, whose instances are made in code.
struct Made;

impl Backend for Made {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

/// Runs a show whose instance `synth` gets what it emits, with a thread that watches it.
fn run(synth: Echo, test: impl FnOnce(&Handle)) {
    let (started, handle) = channel();
    let router = std::thread::spawn(move || {
        let mut show = Show::default();
        show.backends.push(ShowBackend {
            name: "made",
            backend: Box::new(Made),
            options: Options::default(),
        });
        show.instances.push(ShowInstance {
            name: "synth".into(),
            backend: "made",
            driver: 0,
            plan: Box::new(synth),
            options: Options::default(),
            families: &[],
            channels: vec!["note".into()],
        });
        let end = ChannelRef { instance: InstanceId::new(0), channel: 0 };
        show.mappings.push((end, end));
        let mut router = Router::new(show).expect("an event loop");
        started.send(router.handle()).expect("the test runs");
        router.run().expect("a run");
    });
    let handle = handle.recv_timeout(DEADLINE).expect("a handle");
    let watched = handle.clone();
    let watch = std::thread::spawn(move || watched.watch(Duration::from_millis(200), |_| {}));
    test(&handle);
    handle.stop();
    router.join().expect("the router");
    watch.join().expect("the watching thread");
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_loop_is_named_limited_and_released() {
    let synth = Echo::default();
    synth.is_on.store(true, Ordering::Relaxed);
    run(synth.clone(), |handle| {
        let (id, delivered) = (InstanceId::new(0), || synth.delivered.load(Ordering::Relaxed));
        let note = || handle.live().note(id);
        assert!(handle.inject(id, 0, 0.25));
        wait_until("the loop is found", || note().is_some());
        let text = note().expect("a note");
        assert!(
            text.starts_with(
                "feedback: what `synth.note` sends to `synth.note` comes back from outside, at "
            ),
            "{text}"
        );
        // The value still circulates, at 1,000 per second at most.
        let (before, start) = (delivered(), Instant::now());
        wait_until("values pass", || delivered() >= before + 500);
        let (passed, seconds) = (delivered() - before, start.elapsed().as_secs_f64());
        assert!((passed as f64) < 1_000.0 * seconds + 50.0, "{passed} in {seconds} s");
        // Another value is not lost in the flood.
        assert!(handle.inject(id, 0, 0.75));
        wait_until("the new value arrives", || {
            f64::from_bits(synth.last.load(Ordering::Relaxed)) == 0.75
        });
        synth.is_on.store(false, Ordering::Relaxed);
        wait_until("the end is noticed", || note().is_none());
        // From then on, values pass as they did.
        let before = delivered();
        for _ in 0..100 {
            assert!(handle.inject(id, 0, 0.5));
        }
        wait_until("all arrive", || delivered() >= before + 100);
    });
}

#[test]
fn a_fast_source_is_not_limited_and_loses_nothing() {
    let synth = Echo::default();
    run(synth.clone(), |handle| {
        let (id, mut sent) = (InstanceId::new(0), 0);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            sent += u64::from(handle.inject(id, 0, (sent % 1_000) as f64 / 1_000.0));
            if sent % 20 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            assert_eq!(handle.live().note(id), None);
        }
        assert!(sent > 3_000, "only {sent}");
        wait_until("all arrive", || synth.delivered.load(Ordering::Relaxed) == sent);
        assert_eq!(handle.live().counters(id).dropped, 0);
    });
}
