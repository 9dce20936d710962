//! Tests of the backend with the devices of a test: pairs of sockets that carry input events.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consort_router::live::State;
use consort_router::testing::{Performance, TestShow};
use consort_router::{BackendDescriptor, Usage};
use parking_lot::Mutex;

use super::DESCRIPTOR;
use super::codes::{Code, CodeSet, EventType};
use super::system::{
    Axis, Blueprint, DeviceInfo, EV_SYN, EVENT_BYTES, InputDevice, OutputDevice, RawEvent,
    SYN_DROPPED, System,
};
use crate::hotplug::Watch;
use crate::test_log::Log;

thread_local! {
    /// The system that backends of this thread use instead of the kernel's devices.
    pub(super) static SYSTEM: RefCell<Option<Arc<dyn System>>> = const { RefCell::new(None) };
}

/// What a device of the test is and has been asked for.
#[derive(Default)]
struct DeviceState {
    axes: HashMap<u16, Axis>,
    keys: CodeSet,
    switches: CodeSet,
    lights: CodeSet,
    buttons: CodeSet,
    is_grabbed: bool,
    /// The strengths of uploaded effects.
    effects: Vec<[u16; 2]>,
}

/// A plugged-in device.
struct Plugged {
    info: DeviceInfo,
    state: Arc<Mutex<DeviceState>>,
    /// The test's ends of the sockets of those that have opened the device.
    readers: Vec<UnixStream>,
}

/// A created device.
struct Created {
    blueprint: Blueprint,
    socket: UnixStream,
}

#[derive(Default)]
struct Machine {
    plugged: Vec<Plugged>,
    created: Vec<Created>,
    /// Why devices cannot be created.
    uinput_error: Option<io::ErrorKind>,
    opened: usize,
    /// The other ends of the watches.
    watches: Vec<UnixStream>,
}

/// The devices of a test.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Machine>>);

struct FakeInput {
    socket: UnixStream,
    state: Arc<Mutex<DeviceState>>,
}

struct FakeOutput {
    socket: UnixStream,
}

fn sockets() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((ours, theirs))
}

impl InputDevice for FakeInput {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn axis(&self, number: u16) -> io::Result<Axis> {
        Ok(self.state.lock().axes.get(&number).copied().unwrap_or_default())
    }

    fn codes(&self, kind: EventType) -> io::Result<CodeSet> {
        let state = self.state.lock();
        let mut codes = CodeSet::default();
        match kind {
            EventType::Key => codes = state.buttons,
            EventType::Absolute => state.axes.keys().for_each(|axis| {
                codes.set(*axis, true);
            }),
            _ => {}
        }
        Ok(codes)
    }

    fn active(&self, kind: EventType) -> io::Result<CodeSet> {
        let state = self.state.lock();
        Ok(match kind {
            EventType::Key => state.keys,
            EventType::Switch => state.switches,
            _ => state.lights,
        })
    }

    fn grab(&self, is_grabbed: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.is_grabbed && is_grabbed {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        state.is_grabbed = is_grabbed;
        Ok(())
    }

    fn rumble(&self, effect: i16, strong: u16, weak: u16) -> io::Result<i16> {
        let mut state = self.state.lock();
        state.effects.push([strong, weak]);
        Ok(if effect < 0 { 7 } else { effect })
    }
}

impl OutputDevice for FakeOutput {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl System for Fake {
    fn list(&self) -> Vec<DeviceInfo> {
        self.0.lock().plugged.iter().map(|plugged| plugged.info.clone()).collect()
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/dev/input/by-id").ok().and_then(Path::to_str) {
            Some(link) => PathBuf::from(format!("/dev/input/event{}", link.len())),
            None => path.to_owned(),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputDevice>> {
        let mut machine = self.0.lock();
        let plugged = machine.plugged.iter_mut().find(|plugged| plugged.info.path == path);
        let plugged = plugged.ok_or(io::ErrorKind::NotFound)?;
        let (ours, theirs) = sockets()?;
        plugged.readers.push(theirs);
        let device = FakeInput { socket: ours, state: Arc::clone(&plugged.state) };
        machine.opened += 1;
        Ok(Arc::new(device))
    }

    fn create(&self, blueprint: &Blueprint) -> io::Result<Box<dyn OutputDevice>> {
        let mut machine = self.0.lock();
        if let Some(error) = machine.uinput_error {
            return Err(error.into());
        }
        let (ours, theirs) = sockets()?;
        machine.created.push(Created { blueprint: blueprint.clone(), socket: theirs });
        Ok(Box::new(FakeOutput { socket: ours }))
    }

    fn watch(&self) -> Option<Watch> {
        let (ours, theirs) = sockets().ok()?;
        self.0.lock().watches.push(theirs);
        Some(Watch::from_descriptor(OwnedFd::from(ours)))
    }
}

fn code(name: &str) -> Code {
    Code::from_name(name).unwrap_or_else(|| panic!("no code {name}"))
}

impl Fake {
    /// Replaces the kernel's devices for the backends of this thread.
    fn install() -> Self {
        let fake = Fake::default();
        let system: Arc<dyn System> = Arc::new(fake.clone());
        SYSTEM.set(Some(system));
        fake
    }

    /// Plugs in a gamepad.
    fn plug(&self, number: u32, name: &str) -> Arc<Mutex<DeviceState>> {
        let info = DeviceInfo {
            path: format!("/dev/input/event{number}").into(),
            name: name.into(),
            phys: format!("usb-0000:00:14.0-{number}/input0"),
            uniq: format!("aa:bb:{number:02x}"),
            vendor: 0x045E,
            product: 0x02EA,
            is_own: false,
        };
        self.plug_device(info)
    }

    fn plug_device(&self, info: DeviceInfo) -> Arc<Mutex<DeviceState>> {
        let mut state = DeviceState::default();
        for button in ["BTN_SOUTH", "BTN_EAST"] {
            state.buttons.set(code(button).number, true);
        }
        let stick = Axis { minimum: -100, maximum: 100, ..Axis::default() };
        let trigger = Axis { maximum: 1_023, ..Axis::default() };
        state.axes.extend([(0, stick), (1, stick), (2, trigger), (6, trigger)]);
        let state = Arc::new(Mutex::new(state));
        let mut machine = self.0.lock();
        machine.plugged.push(Plugged { info, state: Arc::clone(&state), readers: Vec::new() });
        for watch in &mut machine.watches {
            // The watch may have ended.
            let _ = watch.write_all(&[0]);
        }
        state
    }

    /// Unplugs a device.
    fn unplug(&self, number: u32) {
        let path = PathBuf::from(format!("/dev/input/event{number}"));
        self.0.lock().plugged.retain(|plugged| plugged.info.path != path);
    }

    /// Sends the events of a report to all readers of a device.
    fn report(&self, number: u32, events: &[(&str, i32)]) {
        let events: Vec<RawEvent> =
            events.iter().map(|(name, value)| RawEvent::new(code(name), *value)).collect();
        self.send(number, &events);
        self.send(number, &[RawEvent::REPORT]);
    }

    fn send(&self, number: u32, events: &[RawEvent]) {
        let mut bytes = Vec::new();
        events.iter().for_each(|event| event.encode(&mut bytes));
        let path = PathBuf::from(format!("/dev/input/event{number}"));
        let mut machine = self.0.lock();
        let plugged = machine.plugged.iter_mut().find(|plugged| plugged.info.path == path);
        for reader in &mut plugged.expect("a device").readers {
            // The reader may have closed the device.
            let _ = reader.write_all(&bytes);
        }
    }

    /// What the show has written to its last created device since the last call.
    fn written(&self) -> Vec<RawEvent> {
        let mut machine = self.0.lock();
        machine.created.last_mut().map(|created| events(&mut created.socket)).unwrap_or_default()
    }

    /// What the show has written to an input device since the last call.
    fn written_to(&self, number: u32) -> Vec<RawEvent> {
        let path = PathBuf::from(format!("/dev/input/event{number}"));
        let mut machine = self.0.lock();
        let plugged = machine.plugged.iter_mut().find(|plugged| plugged.info.path == path);
        let readers = &mut plugged.expect("a device").readers;
        readers.iter_mut().flat_map(events).collect()
    }
}

fn events(socket: &mut UnixStream) -> Vec<RawEvent> {
    let mut bytes = [0; EVENT_BYTES * 100];
    let count = socket.read(&mut bytes).unwrap_or(0);
    bytes[..count].chunks_exact(EVENT_BYTES).filter_map(RawEvent::decode).collect()
}

/// Events with their names and values, `|` at the end of each report.
fn names(events: &[RawEvent]) -> String {
    let mut texts = Vec::new();
    for event in events {
        texts.push(match EventType::from_number(event.kind) {
            Some(kind) => {
                let name = Code { kind, number: event.code }.name();
                format!("{}={}", name.split_once('.').map_or("", |(_, name)| name), event.value)
            }
            None if event.kind == EV_SYN => "|".to_owned(),
            None => format!("{}:{}={}", event.kind, event.code, event.value),
        });
    }
    texts.join(" ")
}

fn show_of(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "pad", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

fn start(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> Performance {
    show_of(options, mappings).start()
}

fn values(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn reason(show: &Performance) -> String {
    show.state("pad").reason().unwrap_or_default().to_owned()
}

/// Turns until the show has written something, and returns all of it.
fn until_written(show: &mut Performance, mut written: impl FnMut() -> Vec<RawEvent>) -> String {
    let mut all = Vec::new();
    show.until("events", |_| {
        all.extend(written());
        !all.is_empty()
    });
    names(&all)
}

#[test]
fn keys_axes_and_switches_arrive_as_values() {
    let fake = Fake::install();
    fake.plug(3, "Xbox Pad");
    let mut show = start(
        &[("input", "Xbox"), ("relaxis.REL_Y", "-1000 500")],
        &[
            ("pad.EV_KEY.BTN_SOUTH", "probe.key"),
            ("pad.EV_ABS.ABS_X", "probe.x"),
            ("pad.EV_REL.REL_X", "probe.wheel"),
            ("pad.EV_REL.REL_Y", "probe.position"),
            ("pad.EV_SW.SW_LID", "probe.lid"),
        ],
    );
    show.until_state("pad", "up");
    fake.report(3, &[("BTN_SOUTH", 1), ("ABS_X", 50), ("SW_LID", 1)]);
    fake.report(3, &[("BTN_SOUTH", 2), ("BTN_SOUTH", 0), ("ABS_X", -200)]);
    fake.report(3, &[("REL_X", -3), ("REL_X", 0), ("REL_X", 5)]);
    fake.report(3, &[("REL_Y", 100), ("REL_Y", -350), ("REL_Y", 750)]);
    let expected = values(&[
        ("key", 1.0),
        ("x", 0.75),
        ("lid", 1.0),
        ("key", 1.0),
        ("key", 0.0),
        ("x", 0.0),
        ("wheel", 0.0),
        ("wheel", 0.5),
        ("wheel", 1.0),
        ("position", 0.4),
        ("position", 0.75),
        ("position", 0.0),
    ]);
    assert_eq!(show.receive(12), expected);
}

#[test]
fn input_without_a_mapping_is_listed_with_its_device() {
    let fake = Fake::install();
    fake.plug(3, "Xbox Pad");
    let mut show = start(&[("input", "Xbox")], &[("pad.EV_KEY.BTN_SOUTH", "probe.key")]);
    show.until_state("pad", "up");
    fake.report(3, &[("MSC_SCAN", 9), ("BTN_EAST", 1), ("ABS_X", 100), ("BTN_SOUTH", 1)]);
    assert_eq!(show.receive(1), values(&[("key", 1.0)]));
    let live = show.router.handle().live();
    let mut unmatched = live.unmatched(show.id("pad"));
    unmatched.sort_by(|a, b| a.channel.cmp(&b.channel));
    let lines: Vec<_> = unmatched
        .iter()
        .map(|entry| {
            let (types, sender) = (&entry.types, entry.sender.to_string());
            format!("{} {types} {} {:?} {sender}", entry.channel, entry.raw, entry.value)
        })
        .collect();
    assert_eq!(
        lines,
        ["EV_ABS.ABS_X abs 100 Some(1.0) Xbox Pad", "EV_KEY.BTN_EAST key 1 Some(1.0) Xbox Pad",]
    );
    assert_eq!(live.unmatched_count(show.id("pad")), 3);
}

#[test]
fn a_device_may_be_plugged_in_later_and_again() {
    let fake = Fake::install();
    let mut show = start(
        &[("input", "Xbox")],
        &[
            ("pad.EV_KEY.BTN_SOUTH", "probe.key"),
            ("pad.EV_ABS.ABS_X", "probe.x"),
            ("pad.EV_ABS.ABS_Z", "probe.trigger"),
            ("pad.EV_ABS.ABS_THROTTLE", "probe.fader"),
        ],
    );
    show.until_state("pad", "waiting");
    assert_eq!(reason(&show), "no device with `input = Xbox`; plugged in: no device");
    for number in 1..=20 {
        fake.plug(number, "Xbox Pad");
        show.until_state("pad", "up");
        fake.report(number, &[("BTN_SOUTH", 1), ("ABS_X", 100)]);
        fake.report(number, &[("ABS_Z", 1_023), ("ABS_THROTTLE", 1_023)]);
        let pressed = [("key", 1.0), ("x", 1.0), ("trigger", 1.0), ("fader", 1.0)];
        assert_eq!(show.receive(4), values(&pressed));
        fake.unplug(number);
        // The key is released, and the stick and the trigger return; the fader keeps its value.
        let released = [("key", 0.0), ("x", 0.5), ("trigger", 0.0)];
        assert_eq!(show.receive(3), values(&released));
        show.until_state("pad", "waiting");
    }
    assert_eq!(show.counters("pad").errors, 0);
}

#[test]
fn two_equal_devices_are_told_apart() {
    let fake = Fake::install();
    for number in [3, 4, 5] {
        fake.plug(number, "Xbox Pad");
    }
    fake.plug(9, "Xbox Pad Pro");
    for (options, number) in [
        (&[("input", "Xbox Pad")][..], 3),
        (&[("input", "Xbox Pad P")], 9),
        (&[("phys", "usb-0000:00:14.0-4")], 4),
        (&[("phys", "usb-0000:00:14.0-5/input0")], 5),
        (&[("uniq", "AA:BB:05"), ("vendor-product", "045e:02ea")], 5),
        (&[("device", "event4")], 4),
        (&[("device", "/dev/input/by-id/a-pad")], 5),
        (&[("device", "/dev/input/event9"), ("input", "Xbox")], 9),
    ] {
        let mut show = start(options, &[("pad.EV_KEY.BTN_SOUTH", "probe.key")]);
        show.until_state("pad", "up");
        for other in [3, 4, 5, 9] {
            fake.report(other, &[("BTN_SOUTH", i32::from(other == number))]);
        }
        assert_eq!(show.receive(1), values(&[("key", 1.0)]), "{options:?}");
        show.finish();
    }
    for (options, expected) in [
        (&[("phys", "usb-0000:00:14.0")][..], "phys = usb-0000:00:14.0"),
        (&[("vendor-product", "045e:0001")], "vendor-product = 045e:0001"),
        (&[("device", "event3"), ("uniq", "x")], "device = /dev/input/event3`, `uniq = x"),
        (&[("device", "event8")], "cannot open /dev/input/event8: "),
    ] {
        let mut show = start(options, &[("pad.EV_KEY.BTN_SOUTH", "probe.key")]);
        show.until_state("pad", "waiting");
        assert!(reason(&show).contains(expected), "{options:?}: {}", reason(&show));
        show.finish();
    }
}

#[test]
fn devices_of_the_show_are_never_selected() {
    let fake = Fake::install();
    let info = DeviceInfo {
        path: "/dev/input/event1".into(),
        name: "Xbox Pad".into(),
        is_own: true,
        ..DeviceInfo::default()
    };
    fake.plug_device(info);
    for (options, expected) in [
        (&[("input", "Xbox")][..], "no device with `input = Xbox`; plugged in: no device"),
        (&[("device", "event1")], "which a show of this program has created"),
    ] {
        let mut show = start(options, &[("pad.EV_KEY.BTN_SOUTH", "probe.key")]);
        show.until_state("pad", "waiting");
        assert!(reason(&show).contains(expected), "{}", reason(&show));
        show.finish();
    }
}

#[test]
fn lost_events_are_repaired_from_the_state_of_the_device() {
    let fake = Fake::install();
    let state = fake.plug(3, "Xbox Pad");
    let mut show = start(
        &[("input", "Xbox")],
        &[
            ("pad.EV_KEY.BTN_SOUTH", "probe.south"),
            ("pad.EV_KEY.BTN_EAST", "probe.east"),
            ("pad.EV_ABS.ABS_X", "probe.x"),
            ("pad.EV_ABS.ABS_Y", "probe.y"),
        ],
    );
    show.until_state("pad", "up");
    fake.report(3, &[("BTN_SOUTH", 1), ("ABS_Y", 20)]);
    assert_eq!(show.receive(2), values(&[("south", 1.0), ("y", 0.6)]));
    {
        let mut state = state.lock();
        state.keys.set(code("BTN_EAST").number, true);
        for (axis, value) in [(0, -100), (1, 20)] {
            state.axes.get_mut(&axis).expect("an axis").value = value;
        }
    }
    let dropped = RawEvent { kind: EV_SYN, code: SYN_DROPPED, value: 0 };
    // What follows the loss until the end of its report is not reliable.
    fake.send(3, &[dropped, RawEvent::new(code("BTN_EAST"), 0), RawEvent::REPORT]);
    fake.report(3, &[("BTN_EAST", 0)]);
    let expected = [("south", 0.0), ("east", 1.0), ("x", 0.0), ("east", 0.0)];
    assert_eq!(show.receive(4), values(&expected));
    assert_eq!(show.counters("pad").errors, 1);
}

#[test]
fn a_flood_arrives_completely() {
    let fake = Fake::install();
    fake.plug(3, "Xbox Pad");
    let mut show = start(&[("input", "Xbox")], &[("pad.EV_ABS.ABS_X", "probe.x")]);
    show.until_state("pad", "up");
    let event = |value: i32| RawEvent::new(code("ABS_X"), value % 200 - 100);
    let reports: Vec<RawEvent> =
        (0..1_000).flat_map(|value| [event(value), RawEvent::REPORT]).collect();
    fake.send(3, &reports);
    let received = show.receive(1_000);
    let expected = (0..1_000).map(|value| ("x".to_owned(), f64::from(value % 200) / 200.0));
    assert_eq!(received, expected.collect::<Vec<_>>());
}

#[test]
fn an_exclusive_device_is_grabbed_as_soon_as_it_is_free() {
    let fake = Fake::install();
    let state = fake.plug(3, "Xbox Pad");
    let mappings = [("pad.EV_KEY.BTN_SOUTH", "probe.key")];
    for (word, is_grabbed) in [("1", true), ("0", false), ("on", true), ("off", false)] {
        state.lock().is_grabbed = false;
        let mut show = start(&[("input", "Xbox"), ("exclusive", word)], &mappings);
        show.until_state("pad", "up");
        assert_eq!(state.lock().is_grabbed, is_grabbed, "{word}");
        show.finish();
    }
    state.lock().is_grabbed = true;
    let mut show = start(&[("input", "Xbox"), ("exclusive", "on")], &mappings);
    show.until_state("pad", "degraded");
    assert!(reason(&show).contains("another program has grabbed it"), "{}", reason(&show));
    fake.report(3, &[("BTN_SOUTH", 1)]);
    assert_eq!(show.receive(1), values(&[("key", 1.0)]), "it is read nevertheless");
    state.lock().is_grabbed = false;
    show.until_state("pad", "up");
    assert!(state.lock().is_grabbed);
}

const STICK: &[(&str, &str)] = &[
    ("output", "Show Stick"),
    ("id", "0x1 0x2 0x3"),
    ("axis.ABS_X", "10 -100 100 4 8 12"),
    ("relaxis.REL_X", "1000 500"),
];

#[test]
fn values_become_events_of_a_created_device() {
    let fake = Fake::install();
    let mut show = start(
        STICK,
        &[
            ("probe.x", "pad.EV_ABS.ABS_X"),
            ("probe.key", "pad.EV_KEY.KEY_A"),
            ("probe.position", "pad.EV_REL.REL_X"),
            ("probe.step", "pad.EV_REL.REL_WHEEL"),
        ],
    );
    show.until_state("pad", "up");
    let axis = Axis { value: 10, minimum: -100, maximum: 100, fuzz: 4, flat: 8, resolution: 12 };
    let expected = Blueprint {
        name: "Show Stick".into(),
        phys: "consort/pad".into(),
        vendor: 1,
        product: 2,
        version: 3,
        codes: ["KEY_A", "REL_X", "REL_WHEEL", "ABS_X"].map(code).into(),
        axes: vec![(0, axis)],
    };
    assert_eq!(fake.0.lock().created[0].blueprint, expected);
    for (sent, written) in [
        (&[("x", 1.0 / 3.0), ("key", 0.95)][..], "ABS_X=-33 KEY_A=1 |"),
        (&[("key", 0.9)], "KEY_A=0 |"),
        (&[("x", 1.0), ("x", 0.0)], "ABS_X=100 | ABS_X=-100 |"),
        (&[("position", 0.6)], "REL_X=100 |"),
        (&[("position", 0.6), ("position", 0.25)], "REL_X=-350 |"),
        (&[("step", 0.0), ("step", 0.5), ("step", 1.0)], "REL_WHEEL=-1 | REL_WHEEL=1 |"),
    ] {
        show.send_all(sent);
        assert_eq!(until_written(&mut show, || fake.written()), written, "{sent:?}");
    }
}

#[test]
fn values_before_the_device_exists_are_sent_when_it_does() {
    let fake = Fake::install();
    fake.0.lock().uinput_error = Some(io::ErrorKind::PermissionDenied);
    let mut show = start(
        STICK,
        &[
            ("probe.x", "pad.EV_ABS.ABS_X"),
            ("probe.key", "pad.EV_KEY.KEY_A"),
            ("probe.step", "pad.EV_REL.REL_WHEEL"),
        ],
    );
    show.until_state("pad", "waiting");
    assert!(reason(&show).contains("/dev/uinput: permission denied"), "{}", reason(&show));
    assert!(reason(&show).contains("rule for udev"), "{}", reason(&show));
    show.send_all(&[("x", 0.0), ("key", 1.0), ("x", 0.75), ("step", 1.0)]);
    assert_eq!(show.counters("pad").dropped, 1, "a step cannot be sent later");
    fake.0.lock().uinput_error = None;
    show.until_state("pad", "up");
    assert_eq!(until_written(&mut show, || fake.written()), "ABS_X=50 KEY_A=1 |");
}

#[test]
fn held_keys_are_released_by_a_panic_and_at_the_end() {
    let fake = Fake::install();
    let mappings = [("probe.a", "pad.EV_KEY.KEY_A"), ("probe.b", "pad.EV_KEY.KEY_B")];
    let mut show = start(&[("output", "Keys")], &mappings);
    show.until_state("pad", "up");
    show.send_all(&[("a", 1.0), ("b", 1.0)]);
    show.send("b", 0.0);
    assert_eq!(until_written(&mut show, || fake.written()), "KEY_A=1 KEY_B=1 | KEY_B=0 |");
    assert!(show.router.handle().panic());
    assert_eq!(until_written(&mut show, || fake.written()), "KEY_A=0 |");
    show.send("b", 1.0);
    assert_eq!(until_written(&mut show, || fake.written()), "KEY_B=1 |");
    show.finish();
    assert_eq!(names(&fake.written()), "KEY_B=0 |");
}

#[test]
fn a_reload_keeps_devices_and_releases_removed_keys() {
    let fake = Fake::install();
    fake.plug(3, "Xbox Pad");
    let options = [("input", "Xbox"), ("output", "Keys"), ("relaxis.REL_X", "1000 500")];
    let both = [("probe.a", "pad.EV_KEY.KEY_A"), ("probe.b", "pad.EV_KEY.KEY_B")];
    let read = [("pad.EV_REL.REL_X", "probe.x")];
    let mut running = start(&options, &[&both[..], &read].concat());
    running.until_state("pad", "up");
    fake.report(3, &[("REL_X", 100)]);
    assert_eq!(running.receive(1), values(&[("x", 0.6)]));
    running.send_all(&[("a", 1.0), ("b", 1.0)]);
    assert_eq!(until_written(&mut running, || fake.written()), "KEY_A=1 KEY_B=1 |");

    // The order of channels changes, `a` goes, and the extent becomes another one.
    let options = [("input", "Xbox"), ("output", "Keys"), ("relaxis.REL_X", "2000")];
    let adoption = running.adopt(show_of(&options, &[read[0], both[1], ("probe.a", "probe.a")]));
    assert_eq!(adoption.restarted, [""; 0]);
    assert_eq!(until_written(&mut running, || fake.written()), "KEY_A=0 |");
    fake.report(3, &[("REL_X", 100)]);
    assert_eq!(running.receive(1), values(&[("x", 0.35)]), "the position is kept");
    assert_eq!(fake.0.lock().created.len(), 1);
    assert_eq!(fake.0.lock().opened, 1);

    // A new code needs a new device, on which the held key is pressed again.
    let more = ("probe.c", "pad.EV_KEY.KEY_C");
    running.adopt(show_of(&options, &[more, both[1], read[0], ("probe.a", "probe.a")]));
    running.until("a second device", |_| fake.0.lock().created.len() == 2);
    assert_eq!(until_written(&mut running, || fake.written()), "KEY_B=1 |");
    running.send_all(&[("c", 1.0), ("b", 0.0)]);
    assert_eq!(until_written(&mut running, || fake.written()), "KEY_C=1 KEY_B=0 |");
    assert_eq!(fake.0.lock().opened, 1, "the input stays open");
}

#[test]
fn lights_and_rumble_go_to_the_input_device_and_return_with_it() {
    let fake = Fake::install();
    let state = fake.plug(3, "Xbox Pad");
    let mappings = [
        ("probe.light", "pad.EV_LED.LED_CAPSL"),
        ("probe.bell", "pad.EV_SND.SND_BELL"),
        ("probe.both", "pad.EV_FF.FF_RUMBLE"),
        ("probe.weak", "pad.EV_FF.FF_RUMBLE.weak"),
    ];
    let mut show = start(&[("input", "Xbox")], &mappings);
    show.until_state("pad", "up");
    show.send_all(&[("light", 1.0), ("bell", 1.0)]);
    assert_eq!(until_written(&mut show, || fake.written_to(3)), "LED_CAPSL=1 SND_BELL=1 |");
    show.send_all(&[("both", 1.0), ("weak", 0.5)]);
    assert_eq!(until_written(&mut show, || fake.written_to(3)), "21:7=1", "it plays effect 7");
    assert_eq!(state.lock().effects, [[65_535, 32_768]]);
    show.send("weak", 0.0);
    assert_eq!(until_written(&mut show, || fake.written_to(3)), "21:7=1");
    assert_eq!(state.lock().effects.last(), Some(&[65_535, 0]));
    assert!(show.router.handle().panic());
    let mut written = String::new();
    show.until("the sound and the motors to stop", |_| {
        written += &names(&fake.written_to(3));
        written.contains("21:7=0") && written.contains("SND_BELL=0 |")
    });
    fake.unplug(3);
    show.until_state("pad", "waiting");
    fake.plug(4, "Xbox Pad");
    show.until_state("pad", "up");
    assert_eq!(until_written(&mut show, || fake.written_to(4)), "LED_CAPSL=1 |");
    assert_eq!(show.counters("pad").errors, 0);
}

#[test]
fn a_light_of_a_created_device_is_a_source() {
    let fake = Fake::install();
    let mut show = start(
        &[("output", "Keys")],
        &[("probe.a", "pad.EV_KEY.KEY_A"), ("pad.EV_LED.LED_NUML", "probe.light")],
    );
    show.until_state("pad", "up");
    let mut bytes = Vec::new();
    for (name, value) in [("LED_NUML", 1), ("LED_NUML", 1), ("KEY_A", 1), ("LED_NUML", 0)] {
        RawEvent::new(code(name), value).encode(&mut bytes);
    }
    fake.0.lock().created[0].socket.write_all(&bytes).expect("space in the buffer");
    assert_eq!(show.receive(2), values(&[("light", 1.0), ("light", 0.0)]));
}

#[test]
fn an_instance_that_cannot_do_what_is_mapped_is_a_warning() {
    Fake::install();
    let messages = |options: &[(&str, &str)], mappings: &[(&str, &str)]| {
        let problems = show_of(options, mappings).check("pad");
        assert!(problems.iter().all(|problem| problem.is_warning && problem.hint.is_some()));
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
    };
    let read = ("pad.EV_KEY.KEY_A", "probe.a");
    let write = ("probe.a", "pad.EV_KEY.KEY_A");
    let light = ("probe.a", "pad.EV_LED.LED_CAPSL");
    let rumble = ("probe.a", "pad.EV_FF.FF_RUMBLE");
    assert!(messages(&[], &[read]).contains("neither an input device nor an output"));
    assert!(messages(&[("input", "x")], &[read, write]).contains("creates no device"));
    assert!(messages(&[("output", "x")], &[read, write]).contains("receives none"));
    assert!(messages(&[("output", "x")], &[rumble]).contains("no motors"));
    assert_eq!(messages(&[("input", "x")], &[read, light, rumble]), "");
    assert_eq!(messages(&[("input", "x"), ("output", "y")], &[read, write, light]), "");
    let mut show = start(&[], &[read]);
    show.until_state("pad", "failed");
    assert!(matches!(show.state("pad"), State::Failed(reason) if reason.contains("`output`")));
}

#[test]
fn invalid_options_and_channels_are_errors() {
    Fake::install();
    let descriptor: &BackendDescriptor = &DESCRIPTOR;
    for (option, value, expected) in [
        ("axis.ABS_Q", "0 0 1", "unknown axis `ABS_Q`"),
        ("axis.REL_X", "0 0 1", "unknown axis `REL_X`"),
        ("axis.ABS_X", "0 1 1", "is not below the maximum"),
        ("relaxis.REL_X", "0", "not a number from 1"),
        ("relaxis.REL_X", "10 11", "not from 0 to 10"),
        ("relaxis.REL_WHEE", "10", "unknown axis"),
    ] {
        let problems = TestShow::new().try_instance(descriptor, "pad", &[(option, value)]);
        let problems = problems.expect_err(option);
        assert!(problems[0].message.contains(expected), "{problems:?}");
    }
    let mut show = show_of(&[("output", "Stick")], &[]);
    let error = show.channel("pad.EV_ABS.ABS_X", Usage::Target).expect_err("no range");
    assert!(error.message.contains("missing option `axis.ABS_X`"), "{error:?}");
    assert!(show.channel("pad.EV_ABS.ABS_X", Usage::Source).is_ok());
}

#[test]
fn detect_logs_and_can_be_switched_while_the_show_runs() {
    let fake = Fake::install();
    fake.plug(3, "Xbox Pad");
    let show_with = |detect: &str| {
        let mut show = TestShow::new();
        show.backend(&DESCRIPTOR, &[("detect", detect)]);
        show.instance(&DESCRIPTOR, "pad", &[("input", "Xbox")]);
        show.map("pad.EV_KEY.BTN_SOUTH", "probe.key");
        show
    };
    let mut running = show_with("off").start();
    running.until_state("pad", "up");
    let adoption = running.adopt(show_with("on"));
    assert_eq!(adoption.restarted, [""; 0]);
    let (log, guard) = Log::start();
    fake.report(3, &[("BTN_EAST", 1), ("BTN_SOUTH", 1)]);
    assert_eq!(running.receive(1), values(&[("key", 1.0)]));
    drop(guard);
    assert_eq!(
        log.lines(),
        [
            "INFO detected `pad.EV_KEY.BTN_EAST` = 1.000 instance=\"pad\"",
            "INFO detected `pad.EV_KEY.BTN_SOUTH` = 1.000 instance=\"pad\"",
        ]
    );
}
