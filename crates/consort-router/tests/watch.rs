//! A thread that watches the event loop names the instance that holds it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Instance, InstanceConfig, InstanceId, Options,
    Plan, Problems, Router, Stall, State, Usage,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// An instance that stops, at a delivery, until the test releases it; and that does not stop at
/// the end of the show.
struct Blocker {
    release: Receiver<()>,
    panicked: Sender<()>,
}

impl Plan for Blocker {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Ok(0)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Blocker {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {
        self.release.recv_timeout(DEADLINE).expect("released");
    }

    fn panic(&mut self, _: &mut Context<'_>) {
        self.panicked.send(()).expect("the test runs");
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// A source of values.
struct Source;

impl Plan for Source {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Ok(0)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Source {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

/// The backend of both, which are made in code.
struct Made;

impl Backend for Made {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

fn show(release: Receiver<()>, panicked: Sender<()>) -> Show {
    let mut show = Show::default();
    show.backends.push(ShowBackend {
        name: "made",
        backend: Box::new(Made),
        options: Options::default(),
    });
    let plans: [(&str, Box<dyn Plan>); 2] =
        [("source", Box::new(Source)), ("blocker", Box::new(Blocker { release, panicked }))];
    for (name, plan) in plans {
        show.instances.push(ShowInstance {
            name: name.into(),
            backend: "made",
            driver: 0,
            plan,
            options: Options::default(),
            families: &[],
            channels: vec!["only".into()],
        });
    }
    let end = |instance| ChannelRef { instance: InstanceId::new(instance), channel: 0 };
    show.mappings.push((end(0), end(1)));
    show
}

#[test]
fn the_instance_that_holds_the_loop_is_named() {
    let (release, released) = channel();
    let (panicked, panics) = channel();
    let (started, handle) = channel();
    let router = std::thread::spawn(move || {
        let mut router = Router::new(show(released, panicked)).expect("an event loop");
        started.send(router.handle()).expect("the test runs");
        router.run().expect("a run");
    });
    let handle = handle.recv_timeout(DEADLINE).expect("a handle");
    let (report, stalls) = channel();
    let watched = handle.clone();
    let watch = std::thread::spawn(move || {
        watched
            .watch(Duration::from_millis(50), |stall| report.send(stall).expect("the test runs"));
    });
    for _ in 0..2 {
        assert!(handle.inject(InstanceId::new(0), 0, 0.5));
        let stall = stalls.recv_timeout(DEADLINE).expect("a report");
        assert_eq!(stall, Stall::Begun(Some("blocker".to_owned())));
        release.send(()).expect("the router runs");
        let stall = stalls.recv_timeout(DEADLINE).expect("a report");
        assert!(matches!(stall, Stall::Ended(_)), "{stall:?}");
    }
    // The instance never stops: the show ends at once when asked to, after a panic.
    handle.stop_now();
    panics.recv_timeout(DEADLINE).expect("a panic");
    router.join().expect("the router");
    watch.join().expect("the watching thread");
    assert!(handle.has_ended());
}
