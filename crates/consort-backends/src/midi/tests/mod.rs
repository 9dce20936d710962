//! The backend with other clients of its sequencer: an embedded one, or with `CONSORT_SEQ=kernel`
//! the kernel's (run one test at a time then).

mod adopt;
mod clock;
mod devices;
mod faults;
mod messages;

use std::cell::RefCell;

use consort_router::testing::{Performance, TestShow};
use consort_seq::{ClockKind, Embedded, Engine, Event, EventType, Port, SequencerClient};

use super::DESCRIPTOR;

thread_local! {
    /// The sequencer of the test on this thread.
    pub(super) static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Whether the tests use the kernel's sequencer.
fn is_kernel() -> bool {
    std::env::var("CONSORT_SEQ").is_ok_and(|engine| engine == "kernel")
}

/// The sequencer of this test, which the backend uses, too: an embedded one, or the kernel's.
fn engine() -> Engine {
    let engine = if is_kernel() { Engine::kernel() } else { Embedded::new(ClockKind::Real).into() };
    ENGINE.set(Some(engine.clone()));
    engine
}

/// A device: a client with one port.
struct Device {
    client: SequencerClient,
    port: Port,
}

impl Device {
    fn new(engine: &Engine, name: &str) -> Self {
        let builder = SequencerClient::builder(name).engine(engine.clone());
        let client = builder.open().expect("a client");
        client.set_client_pool_input(2_000).expect("a pool");
        let port = client.create_port(format!("{name} port")).expect("a port");
        Device { client, port }
    }

    fn send(&self, event: Event) {
        self.client.event_output_direct(&event, &self.port).expect("sent");
    }

    /// The next event that is not a notice of a connection.
    fn try_receive_event(&self) -> Option<Event> {
        while let Some(event) = self.client.try_event_input().expect("input") {
            let kind = event.event_type();
            if ![EventType::PORT_SUBSCRIBED, EventType::PORT_UNSUBSCRIBED].contains(&kind) {
                return Some(event);
            }
        }
        None
    }

    fn try_receive(&self) -> Option<String> {
        self.try_receive_event().map(|event| event.payload().to_string())
    }

    /// Runs the show until the next event, which is returned as text.
    fn receive(&self, show: &mut Performance) -> String {
        let mut received = None;
        show.until("the device to receive an event", |_| {
            received = self.try_receive();
            received.is_some()
        });
        received.expect("an event")
    }

    fn receives_nothing(&self) {
        assert_eq!(self.try_receive(), None);
    }
}

/// A show that receives from a device.
fn receiving(channels: &[&str]) -> (Performance, Device) {
    let engine = engine();
    let device = Device::new(&engine, "Keys");
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[("read", "Keys")]);
    for channel in channels {
        test.map(&format!("midi.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = test.start();
    show.until_state("midi", "up");
    (show, device)
}

/// A show that sends to a device.
fn sending(options: &[(&str, &str)], channels: &[&str]) -> (Performance, Device) {
    let engine = engine();
    let device = Device::new(&engine, "Synth");
    let mut test = TestShow::new();
    let mut all = vec![("write", "Synth")];
    all.extend(options);
    test.instance(&DESCRIPTOR, "midi", &all);
    for channel in channels {
        test.map(&format!("probe.{channel}"), &format!("midi.{channel}"));
    }
    let mut show = test.start();
    show.until_state("midi", "up");
    (show, device)
}

/// Expected values with owned names.
fn pairs(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}
