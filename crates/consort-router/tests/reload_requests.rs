//! Reloads that other threads ask for, and what is held when a mapping or an instance goes.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_router::testing::{DEADLINE, Performance, TestShow};
use consort_router::{
    Adoption, Backend, BackendDescriptor, ChannelError, ChannelKind, ChannelTable, Context, Driver,
    Event, Instance, InstanceConfig, OptionSpec, Plan, Problems, Reload, ReloadError, Reloaded,
    State, Usage, downcast,
};

/// Keys and faders: channels whose names begin with `key` are momentary. An instance with the
/// option `slow` needs until a value arrives to stop.
const DESK: BackendDescriptor = BackendDescriptor {
    name: "desk",
    summary: "keys and faders",
    documentation: "",
    options: &[],
    instance_options: &[
        OptionSpec { name: "device", ..OptionSpec::EMPTY },
        OptionSpec { name: "slow", live: true, ..OptionSpec::EMPTY },
        OptionSpec { name: "obstacle", live: true, ..OptionSpec::EMPTY },
    ],
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(DeskBackend),
};

/// Another backend with the same instances.
const RACK: BackendDescriptor = BackendDescriptor { name: "rack", ..DESK };

struct DeskBackend;

impl Backend for DeskBackend {
    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let (is_slow, has_obstacle) =
            (config.options.is_set("slow"), config.options.is_set("obstacle"));
        Some(Box::new(DeskPlan { is_slow, has_obstacle, channels: Vec::new() }))
    }
}

struct DeskPlan {
    is_slow: bool,
    has_obstacle: bool,
    channels: Vec<String>,
}

impl Plan for DeskPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.channels.iter().position(|name| name == specification) {
            return Ok(index as u32);
        }
        self.channels.push(specification.to_owned());
        Ok(self.channels.len() as u32 - 1)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        match self.channels[channel as usize].starts_with("key") {
            true => ChannelKind::Momentary,
            false => ChannelKind::Absolute,
        }
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(Desk { is_slow: self.is_slow, is_stopping: false })
    }
}

struct Desk {
    is_slow: bool,
    is_stopping: bool,
}

impl Instance for Desk {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn obstacle(&self, plan: &dyn Plan, _: &Context<'_>) -> Option<String> {
        let plan = (plan as &dyn std::any::Any).downcast_ref::<DeskPlan>()?;
        plan.has_obstacle.then(|| "it does not want to".to_owned())
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        downcast::<DeskPlan>(plan).map(drop)
    }

    fn deliver(&mut self, _: &[Event], context: &mut Context<'_>) {
        if self.is_stopping && self.is_slow {
            self.is_slow = false;
            // The last output, which takes the old way.
            context.emit(0, 0.5);
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        assert!(context.is_stopping());
        self.is_stopping = true;
        context.set_state(State::Waiting("stopping".to_owned()));
    }

    fn is_stopped(&self) -> bool {
        !self.is_slow
    }
}

/// A show whose instances of the backend `desk` have these options.
fn show(instances: &[(&str, &[(&str, &str)])], mappings: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    for (name, options) in instances {
        show.instance(&DESK, name, options);
    }
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

fn value(channel: &str, value: f64) -> (String, f64) {
    (channel.to_owned(), value)
}

/// Emits a value from a channel of an instance, and turns.
fn play(running: &mut Performance, instance: &str, channel: &str, value: f64) {
    let handle = running.router.handle();
    let live = handle.live();
    let id = running.id(instance);
    let number = live.find_channel(id, channel).expect("a mapped channel");
    assert!(handle.inject(id, number, value));
    running.router.step(Some(Duration::ZERO)).expect("a turn");
}

type Asking = JoinHandle<Result<Reloaded, ReloadError>>;

/// Asks for a reload on another thread, as a view does.
fn ask(running: &Performance, show: TestShow) -> Asking {
    let handle = running.router.handle();
    let reload = Reload::new(show.into_show(), &handle);
    std::thread::spawn(move || handle.reload(reload))
}

fn answer(running: &mut Performance, asking: Asking) -> Result<Reloaded, ReloadError> {
    running.until("the answer", |_| asking.is_finished());
    asking.join().expect("no panic")
}

const KEYS: &[(&str, &str)] = &[("desk.key1", "probe.lamp"), ("desk.fader", "probe.dimmer")];

#[test]
fn another_thread_adds_and_removes_instances_and_backends() {
    let mut running = show(&[("desk", &[])], KEYS).start();
    play(&mut running, "desk", "fader", 0.25);
    let before = running.router.handle().live();
    let mut wanted = TestShow::new();
    wanted.instance(&RACK, "rack", &[]);
    wanted.map("rack.key1", "probe.lamp");
    wanted.map("rack.fader", "probe.dimmer");
    let asking = ask(&running, wanted);
    let reloaded = answer(&mut running, asking).expect("reloaded");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        reloaded.adoption,
        Adoption {
            adopted: names(&["probe"]),
            opened: names(&["rack"]),
            closed: names(&["desk"]),
            added_mappings: names(&["rack.key1 > probe.lamp", "rack.fader > probe.dimmer"]),
            removed_mappings: names(&["desk.key1 > probe.lamp", "desk.fader > probe.dimmer"]),
            ..Adoption::default()
        }
    );
    let live = running.router.handle().live();
    assert_eq!((reloaded.generation, live.generation()), (2, 2));
    assert!(before.is_replaced());
    let (old, new) = (before.find_instance("desk").unwrap(), running.id("rack"));
    assert_eq!((new.slot(), new.generation()), (old.slot(), old.generation() + 1));
    assert!(!live.has_instance(old) && live.find_instance("desk").is_none());
    assert_eq!(live.channel(new, 1), None, "another instance has no value of the old one");
    play(&mut running, "rack", "fader", 0.5);
    assert_eq!(running.received(), [value("dimmer", 0.25), value("dimmer", 0.5)]);
    // Back again: the slot is used again, in the next generation.
    let asking = ask(&running, show(&[("desk", &[])], KEYS));
    assert_eq!(answer(&mut running, asking).expect("reloaded").adoption.opened, ["desk"]);
    assert_eq!(running.id("desk").slot(), old.slot());
    assert_eq!(running.id("desk").generation(), old.generation() + 2);
}

#[test]
fn one_of_two_reloads_wins() {
    let mut running =
        show(&[("desk", &[("slow", "1")])], &[("probe.in", "desk.x"), ("desk.x", "probe.old")])
            .start();
    let other = || show(&[("desk", &[("device", "2")])], &[("probe.in", "desk.x")]);
    // Both ask before the router turns.
    let (first, second) = (ask(&running, other()), ask(&running, other()));
    let deadline = Instant::now() + DEADLINE;
    while !first.is_finished() && !second.is_finished() {
        assert!(Instant::now() < deadline, "one is refused at once");
        std::thread::sleep(Duration::from_millis(1));
    }
    let (loser, winner) = if first.is_finished() { (first, second) } else { (second, first) };
    assert_eq!(loser.join().expect("no panic"), Err(ReloadError::Busy));
    running.until_state("desk", "waiting");
    running.send("in", 0.125);
    let reloaded = answer(&mut running, winner).expect("the other wins");
    assert_eq!(reloaded.adoption.restarted, ["desk"]);
    assert_eq!(reloaded.adoption.reasons, ["the option `device` changed"]);
    assert_eq!(running.received(), [value("old", 0.5)], "the last output takes the old way");
    // One that was compared with an older layout.
    let handle = running.router.handle();
    let outdated = Reload::new(other().into_show(), &handle);
    let asking = ask(&running, other());
    answer(&mut running, asking).expect("reloaded");
    let asking = std::thread::spawn(move || handle.reload(outdated));
    assert_eq!(answer(&mut running, asking), Err(ReloadError::Outdated));
}

#[test]
fn a_preview_changes_nothing_and_asks_the_instances() {
    let mut running = show(&[("desk", &[])], KEYS).start();
    let live = running.router.handle().live();
    let handle = running.router.handle();
    let wanted = show(&[("desk", &[("obstacle", "1")])], KEYS);
    let reload = Reload::new(wanted.into_show(), &handle);
    assert_eq!(reload.adoption().adopted, ["probe", "desk"], "before it is asked");
    let asking = std::thread::spawn(move || handle.preview(reload));
    running.until("the answer", |_| asking.is_finished());
    let adoption = asking.join().expect("no panic").expect("an answer");
    assert_eq!(adoption.restarted, ["desk"]);
    assert_eq!(adoption.reasons, ["it does not want to"]);
    assert!(!live.is_replaced());
    assert_eq!(running.state("desk"), State::Up);
}

#[test]
fn a_show_that_ends_refuses_reloads() {
    let mut running = show(&[("desk", &[("slow", "1")])], &[("probe.in", "desk.x")]).start();
    let other = || show(&[("desk", &[("device", "2")])], &[("probe.in", "desk.x")]);
    let stopping = ask(&running, other());
    running.until_state("desk", "waiting");
    let handle = running.router.handle();
    let live = handle.live();
    let input = live.find_channel(running.id("probe"), "in").expect("a channel");
    assert!(handle.inject(running.id("probe"), input, 0.5), "which lets `desk` stop");
    handle.stop();
    running.finish();
    assert_eq!(stopping.join().expect("no panic"), Err(ReloadError::Ending));
    assert!(!live.is_replaced(), "nothing half");
    let reload = Reload::new(other().into_show(), &handle);
    assert_eq!(handle.reload(reload), Err(ReloadError::Ending));
}

#[test]
fn what_is_held_through_a_mapping_that_goes_is_released_at_its_target() {
    let mappings = [
        ("desk.key1", "probe.lamp"),
        ("desk.fader", "probe.dimmer"),
        ("desk.key2", "probe.both"),
        ("desk.key3", "probe.both"),
        ("desk.fader", "rig.key8"),
        ("rig.key9", "probe.note"),
    ];
    let instances: &[(&str, &[(&str, &str)])] = &[("desk", &[]), ("rig", &[])];
    let mut running = show(instances, &mappings).start();
    for channel in ["key1", "fader", "key2", "key3"] {
        play(&mut running, "desk", channel, 0.75);
    }
    play(&mut running, "rig", "key9", 0.75);
    let held = [("lamp", 0.75), ("dimmer", 0.75), ("both", 0.75), ("both", 0.75), ("note", 0.75)];
    assert_eq!(running.receive(5), held.map(|(name, level)| value(name, level)));
    // The fader's position stays; `both` is held by the other key; nothing is sent again.
    running.adopt(show(
        instances,
        &[("desk.key3", "probe.both"), ("rig.key9", "probe.note"), ("probe.lamp", "probe.dimmer")],
    ));
    assert_eq!(running.received(), [value("lamp", 0.0)]);
    let live = running.router.handle().live();
    assert_eq!(live.find_channel(running.id("rig"), "key8"), None, "its instance releases it");
    // An instance that goes releases what its keys hold.
    running.receive(1);
    running.adopt(show(&[("rig", &[])], &[("rig.key9", "probe.note")]));
    assert_eq!(running.receive(1), [value("both", 0.0)]);
    // And one that is opened again does so too.
    running.adopt(show(&[("rig", &[("device", "2")])], &[("rig.key9", "probe.note")]));
    assert_eq!(running.receive(1), [value("note", 0.0)]);
    assert_eq!(running.received(), []);
}
