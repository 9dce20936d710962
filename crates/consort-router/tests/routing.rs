//! The router's promises, with instances made for the purpose: order of arrival, fairness,
//! feedback, answers, stopping, and what other threads see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::inspect::{ChannelReport, InstanceReport};
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Instance, InstanceConfig, InstanceId, Options,
    Plan, Problems, Router, State, Usage,
};
use parking_lot::Mutex;

type Log = Arc<Mutex<Vec<(&'static str, u32, f64)>>>;

/// What a test instance does when it is called.
#[derive(Default)]
struct Script {
    name: &'static str,
    /// Emitted at the start, in order.
    at_start: Vec<(u32, f64)>,
    /// Emits this many numbered values on channel 0, a budget's worth at each call.
    flood: u64,
    sent: u64,
    /// Answers every delivery on this channel with the value halved, until it is below 0.01.
    answer_on: Option<u32>,
    echo: bool,
    /// At the stop: emit this on channel 0 after a timer, then be stopped.
    last_word: Option<f64>,
    stopped: bool,
    log: Option<Log>,
}

impl Plan for Script {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        specification.parse().map_err(|_| ChannelError::new("expected a number"))
    }

    fn passes_on(&self) -> bool {
        self.echo
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Script {
    fn start(&mut self, context: &mut Context<'_>) {
        for &(channel, value) in &self.at_start {
            context.emit(channel, value);
        }
        if self.flood > 0 {
            context.call_again(0);
        }
        context.set_state(State::Up);
    }

    fn ready(&mut self, key: u32, _: consort_router::Readiness, context: &mut Context<'_>) {
        for _ in 0..context.budget() {
            if self.sent == self.flood {
                return;
            }
            self.sent += 1;
            context.emit(0, self.sent as f64);
        }
        context.call_again(key);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if let Some(value) = self.last_word.take() {
            context.emit(0, value);
        }
        self.stopped = true;
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if let Some(log) = &self.log {
            let entry = |event: &Event| (self.name, event.channel, event.value);
            log.lock().extend(events.iter().map(entry));
        }
        if self.echo {
            context.pass_on(events);
        }
        if let Some(channel) = self.answer_on {
            for event in events.iter().filter(|event| event.value > 0.01) {
                context.emit(channel, event.value / 2.0);
            }
        }
    }

    fn inspect(&self, channels: std::ops::Range<u32>) -> InstanceReport {
        let channels = channels.map(|channel| (channel, ChannelReport::default()));
        InstanceReport { channels: channels.collect(), ..InstanceReport::default() }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        match self.last_word {
            Some(_) => context.wake_in(Duration::from_millis(1)),
            None => self.stopped = true,
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped
    }
}

/// The backend of the scripts, which are made in code.
struct Scripts;

impl Backend for Scripts {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

struct Builder {
    show: Show,
    log: Log,
}

impl Builder {
    fn new() -> Self {
        let mut show = Show::default();
        let (backend, options) = (Box::new(Scripts), Options::default());
        show.backends.push(ShowBackend { name: "script", backend, options });
        Builder { show, log: Log::default() }
    }

    fn instance(&mut self, name: &'static str, channels: u32, script: Script) -> u32 {
        let log = Some(Arc::clone(&self.log));
        self.show.instances.push(ShowInstance {
            name: name.to_owned(),
            backend: "script",
            driver: 0,
            plan: Box::new(Script { name, log, ..script }),
            options: Options::default(),
            families: &[],
            channels: (0..channels).map(|channel| channel.to_string()).collect(),
        });
        self.show.instances.len() as u32 - 1
    }

    fn map(&mut self, source: (u32, u32), target: (u32, u32)) {
        let end = |(instance, channel)| ChannelRef { instance: InstanceId::new(instance), channel };
        self.show.mappings.push((end(source), end(target)));
    }

    /// Runs until `done` returns true.
    fn run(self, mut done: impl FnMut(&Router, &Log) -> bool) -> (Router, Log) {
        let mut router = Router::new(self.show).expect("an event loop");
        router.start();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(&router, &self.log) {
            assert!(Instant::now() < deadline, "the condition did not come true in 20 s");
            router.step(Some(Duration::from_millis(10))).expect("a turn");
        }
        (router, self.log)
    }
}

fn values(log: &Log, name: &str) -> Vec<(u32, f64)> {
    log.lock().iter().filter(|item| item.0 == name).map(|item| (item.1, item.2)).collect()
}

#[test]
fn events_arrive_in_the_order_they_came_in_also_when_interleaved() {
    let mut show = Builder::new();
    let at_start = vec![(0, 0.1), (1, 0.2), (1, 0.3), (0, 0.4)];
    let source = show.instance("source", 2, Script { at_start, ..Script::default() });
    let sink = show.instance("sink", 2, Script::default());
    show.map((source, 0), (sink, 0));
    show.map((source, 1), (sink, 1));
    let (_, log) = show.run(|_, log| log.lock().len() == 4);
    assert_eq!(values(&log, "sink"), [(0, 0.1), (1, 0.2), (1, 0.3), (0, 0.4)]);
}

#[test]
fn repeated_values_are_all_delivered() {
    let mut show = Builder::new();
    let at_start = vec![(0, 0.5); 5];
    let source = show.instance("source", 1, Script { at_start, ..Script::default() });
    let sink = show.instance("sink", 1, Script::default());
    show.map((source, 0), (sink, 0));
    let (_, log) = show.run(|_, log| log.lock().len() == 5);
    assert_eq!(values(&log, "sink"), vec![(0, 0.5); 5]);
}

#[test]
fn a_bidirectional_loop_delivers_each_value_once_and_ends() {
    let mut show = Builder::new();
    let source = show.instance(
        "source",
        1,
        Script { at_start: vec![(0, 0.5), (0, 0.6)], ..Script::default() },
    );
    let bay = show.instance("bay", 2, Script { echo: true, ..Script::default() });
    let sink = show.instance("sink", 1, Script::default());
    show.map((source, 0), (bay, 0));
    show.map((bay, 0), (bay, 1));
    show.map((bay, 1), (bay, 0));
    show.map((bay, 1), (sink, 0));
    let (router, log) = show.run(|_, log| values(log, "sink").len() == 2);
    assert_eq!(values(&log, "sink"), [(0, 0.5), (0, 0.6)]);
    let counters = router.handle().live().counters(InstanceId::new(bay));
    assert_eq!(counters.dropped, 2, "each value was cut once, where it had started");
}

#[test]
fn a_channel_mapped_onto_itself_ends() {
    let mut show = Builder::new();
    let source =
        show.instance("source", 1, Script { at_start: vec![(0, 0.5)], ..Script::default() });
    let bay = show.instance("bay", 1, Script { echo: true, ..Script::default() });
    show.map((source, 0), (bay, 0));
    show.map((bay, 0), (bay, 0));
    let (_, log) = show.run(|_, log| values(log, "bay").len() == 2);
    assert_eq!(values(&log, "bay"), [(0, 0.5), (0, 0.5)]);
}

#[test]
fn a_loop_that_branches_does_not_multiply() {
    const WIDTH: u32 = 12;
    let mut show = Builder::new();
    let source =
        show.instance("source", 1, Script { at_start: vec![(0, 0.5)], ..Script::default() });
    let bay = show.instance("bay", WIDTH, Script { echo: true, ..Script::default() });
    let sink = show.instance("sink", WIDTH, Script::default());
    show.map((source, 0), (bay, 0));
    for a in 0..WIDTH {
        for b in (0..WIDTH).filter(|&b| b != a) {
            show.map((bay, a), (bay, b));
        }
        show.map((bay, a), (sink, a));
    }
    let (_, log) = show.run(|_, log| values(log, "sink").len() == WIDTH as usize);
    let mut seen: Vec<u32> = values(&log, "sink").iter().map(|item| item.0).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..WIDTH).collect::<Vec<_>>());
}

/// Passes everything on and remembers nothing.
struct Bay;

impl Plan for Bay {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Err(ChannelError::new("made in code"))
    }

    fn passes_on(&self) -> bool {
        true
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Bay {
    fn start(&mut self, _: &mut Context<'_>) {}

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.pass_on(events);
    }
}

/// Without a loop, one value becomes 200 × 200 × 200 here; with a few more layers it would be
/// more than any memory holds.
#[test]
fn mappings_that_multiply_one_value_are_bounded() {
    const WIDTH: u32 = 200;
    let mut show = Builder::new();
    let source =
        show.instance("source", 1, Script { at_start: vec![(0, 0.5)], ..Script::default() });
    let bay = show.instance("bay", 3 * WIDTH, Script::default());
    show.show.instances[bay as usize].plan = Box::new(Bay);
    for a in 0..WIDTH {
        show.map((source, 0), (bay, a));
        for b in 0..WIDTH {
            show.map((bay, a), (bay, WIDTH + b));
            show.map((bay, WIDTH + a), (bay, 2 * WIDTH + b));
        }
    }
    let (router, _) = show.run(|_, _| true);
    let counters = router.handle().live().counters(InstanceId::new(bay));
    let all = u64::from(WIDTH.pow(3));
    let limit = consort_router::context::PASS_ON_LIMIT as u64;
    assert_eq!(counters.dropped, all - limit);
    assert_eq!(counters.outgoing, u64::from(WIDTH + WIDTH.pow(2)) + all, "each was delivered once");
}

#[test]
fn a_long_chain_is_no_loop() {
    const LENGTH: u32 = 500;
    let mut show = Builder::new();
    let source =
        show.instance("source", 1, Script { at_start: vec![(0, 0.5)], ..Script::default() });
    let bay = show.instance("bay", LENGTH, Script { echo: true, ..Script::default() });
    let sink = show.instance("sink", 1, Script::default());
    show.map((source, 0), (bay, 0));
    for channel in 1..LENGTH {
        show.map((bay, channel - 1), (bay, channel));
    }
    show.map((bay, LENGTH - 1), (sink, 0));
    let (_, log) = show.run(|_, log| !values(log, "sink").is_empty());
    assert_eq!(values(&log, "sink"), [(0, 0.5)]);
}

#[test]
fn answers_that_feed_each_other_let_others_have_their_turn() {
    let mut show = Builder::new();
    let source =
        show.instance("source", 1, Script { at_start: vec![(0, 1.0)], ..Script::default() });
    let talker = show.instance("talker", 2, Script { answer_on: Some(1), ..Script::default() });
    show.map((source, 0), (talker, 0));
    show.map((talker, 1), (talker, 0));
    let (_, log) =
        show.run(|_, log| values(log, "talker").last().is_some_and(|item| item.1 < 0.01));
    assert_eq!(values(&log, "talker").len(), 8);
}

#[test]
fn a_flooding_instance_leaves_the_others_their_turns() {
    let mut show = Builder::new();
    let flood = 1_000_000;
    let a = show.instance("a", 1, Script { flood, ..Script::default() });
    let b = show.instance("b", 1, Script { flood: 1_000, ..Script::default() });
    let sink_a = show.instance("sink_a", 1, Script::default());
    let sink_b = show.instance("sink_b", 1, Script::default());
    show.map((a, 0), (sink_a, 0));
    show.map((b, 0), (sink_b, 0));
    let (router, log) = show.run(|router, _| {
        router.handle().live().counters(InstanceId::new(sink_b)).outgoing == 1_000
    });
    let of_a = router.handle().live().counters(InstanceId::new(sink_a)).outgoing;
    assert!(of_a <= 1_280, "the flood had {of_a} events in the turns that b needed for 1,000");
    let b: Vec<f64> = values(&log, "sink_b").iter().map(|item| item.1).collect();
    assert_eq!(b, (1..=1_000).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn what_an_instance_says_while_stopping_is_routed() {
    let mut show = Builder::new();
    let source = show.instance("source", 1, Script { last_word: Some(0.25), ..Script::default() });
    let sink = show.instance("sink", 1, Script::default());
    show.map((source, 0), (sink, 0));
    let (mut router, log) = show.run(|_, _| true);
    router.finish().expect("a clean stop");
    assert_eq!(values(&log, "sink"), [(0, 0.25)]);
    let live = router.handle().live().clone();
    assert!(!live.is_running());
    assert_eq!(live.state(InstanceId::new(source)), State::Stopped);
}

#[test]
fn a_state_is_seen_with_the_first_line_of_its_reason() {
    let mut builder = Builder::new();
    let instance = InstanceId::new(builder.instance("a", 1, Script::default()));
    let mut router = Router::new(builder.show).expect("an event loop");
    router.start();
    let live = router.handle().live();
    for (state, word, reason) in [
        (
            State::Degraded("one of two modules failed: a.py".into()),
            "degraded",
            "one of two modules failed: a.py",
        ),
        (
            State::Failed("exited with status 1:\nline 1\nline 2".into()),
            "failed",
            "exited with status 1:",
        ),
        (State::Waiting("no server\r\n".into()), "waiting", "no server"),
    ] {
        router.with_context(instance, |context| context.set_state(state));
        let state = live.state(instance);
        assert_eq!((state.word(), state.reason()), (word, Some(reason)));
    }
    router.with_context(instance, |context| context.set_state(State::Up));
    assert_eq!(live.state(instance).reason(), None);
    router.finish().expect("a clean stop");
}

#[test]
fn other_threads_ask_what_an_instance_knows() {
    let mut builder = Builder::new();
    let instance = InstanceId::new(builder.instance("a", 300, Script::default()));
    let mut router = Router::new(builder.show).expect("an event loop");
    router.start();
    let handle = router.handle();
    // Nobody answers: the question is given up.
    assert_eq!(handle.inspect(instance, 0..1, Duration::ZERO), None);
    let asking = std::thread::spawn(move || {
        let known = |channels: std::ops::Range<u32>| {
            let report = handle.inspect(instance, channels, Duration::from_secs(30));
            let report = report.expect("an answer");
            report.channels.into_iter().map(|(channel, _)| channel).collect::<Vec<_>>()
        };
        let parts = [known(0..2), known(290..400), known(0..300)];
        handle.stop();
        parts
    });
    while !router.is_stop_asked() {
        router.step(None).expect("a turn");
    }
    let [first, last, most] = asking.join().expect("the answers");
    assert_eq!((first, last), (vec![0, 1], (290..300).collect()));
    assert_eq!(most.len(), 256, "one answer is bounded");
    let handle = router.handle();
    router.finish().expect("a clean stop");
    assert_eq!(handle.inspect(instance, 0..1, Duration::from_secs(30)), None, "it has ended");
}

#[test]
fn other_threads_inject_look_and_stop() {
    let mut show = Builder::new();
    let source = show.instance("source", 1, Script::default());
    let sink = show.instance("sink", 1, Script::default());
    show.map((source, 0), (sink, 0));
    let mut router = Router::new(show.show).expect("an event loop");
    let handle = router.handle();
    let watcher = std::thread::spawn(move || {
        assert!(!handle.inject(InstanceId::new(0), 7, 0.5), "no such channel");
        assert!(!handle.inject(InstanceId::new(9), 0, 0.5), "no such instance");
        assert!(!handle.inject(InstanceId::new(0), 0, f64::NAN), "no number");
        assert!(handle.inject(InstanceId::new(source), 0, 0.75));
        let deadline = Instant::now() + Duration::from_secs(20);
        while handle.live().channel(InstanceId::new(sink), 0).is_none() {
            assert!(Instant::now() < deadline, "the value did not arrive in 20 s");
            std::thread::yield_now();
        }
        let seen = handle.live().channel(InstanceId::new(sink), 0);
        handle.stop();
        seen
    });
    router.run().expect("a clean end");
    assert_eq!(watcher.join().expect("no panic"), Some((0.75, 1)));
    assert_eq!(values(&show.log, "sink"), [(0, 0.75)]);
}
