//! The pure paths of the libraries, each repeated as often as the command line says:
//! `consort-instructions PATH COUNT`. `tests/bench/05-instructions.sh` runs them under callgrind
//! with two counts and takes the difference, which leaves the instructions of one repetition.
//!
//! Without arguments it lists the paths with what one repetition is.

#![allow(clippy::print_stdout)] // the list is its output

use std::hint::black_box;

use consort_osc::{BundleBuilder, MessageBuilder, Packet, TimeTag};
use consort_router::config::Expression;
use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Instance, InstanceConfig, InstanceId, Options,
    Plan, Problems, Readiness, Router, State, TextEvent, Usage,
};
use consort_sc::synthdef::prelude::*;
use consort_seq::raw::{Cells, write_cells};

/// One path: its name, what one repetition does, and the work.
struct Path {
    name: &'static str,
    unit: &'static str,
    run: fn(u64),
}

const PATHS: &[Path] = &[
    Path { name: "route", unit: "one delivery, one source to one target", run: route },
    Path { name: "fan-out", unit: "one of 100 deliveries of a value", run: fan_out },
    Path { name: "text", unit: "a text of 100 bytes over two routes", run: text },
    Path { name: "osc-decode-float", unit: "one message `/1/fader1 ,f`", run: decode_float },
    Path { name: "osc-decode-bundle", unit: "one bundle of 20 messages", run: decode_bundle },
    Path { name: "osc-encode-float", unit: "one message `/1/fader1 ,f`", run: encode_float },
    Path { name: "osc-encode-bundle", unit: "one bundle of 20 messages", run: encode_bundle },
    Path { name: "cell-encode", unit: "one note-on", run: cell_encode },
    Path { name: "cell-decode", unit: "one note-on", run: cell_decode },
    Path { name: "synthdef-compile", unit: "a SynthDef of seven UGens", run: synthdef_compile },
    Path { name: "expression", unit: "one of 1,000 expanded channels", run: expression },
    Path { name: "dmx-merge", unit: "one frame of 512 slots, two sources", run: dmx_merge },
];

/// Emits a fixed number of values whenever it is called, in turn on its channels.
struct Source {
    channels: u32,
    next: u32,
}

/// Emits a text of 100 bytes a hundred times whenever it is called.
struct TextSource;

/// Passes on what it gets.
struct Relay;

/// Takes what it gets.
struct Sink;

const VALUES_PER_TURN: u32 = 200;

/// The backend of both, which are made in code.
struct Made;

impl Backend for Made {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

impl Plan for Source {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Err(ChannelError::new("made in code"))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Plan for Sink {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Err(ChannelError::new("made in code"))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Source {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
        context.call_again(0);
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        for _ in 0..VALUES_PER_TURN {
            context.emit(self.next, 0.5);
            self.next = (self.next + 1) % self.channels;
        }
        context.call_again(key);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

impl Instance for Sink {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, _: &mut Context<'_>) {
        black_box(event.text);
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        black_box(events);
    }
}

/// A source whose channels each go to `fan` channels of a sink.
fn show(channels: u32, fan: u32) -> Show {
    let names = |count: u32| (0..count).map(|channel| channel.to_string()).collect();
    let entry = |name: &str, plan: Box<dyn Plan>, count: u32| ShowInstance {
        name: name.into(),
        backend: "instructions",
        driver: 0,
        plan,
        options: Options::default(),
        families: &[],
        channels: names(count),
    };
    let end = |instance, channel| ChannelRef { instance: InstanceId::new(instance), channel };
    let mut show = Show::default();
    let (backend, options) = (Box::new(Made), Options::default());
    show.backends.push(ShowBackend { name: "instructions", backend, options });
    show.instances.push(entry("source", Box::new(Source { channels, next: 0 }), channels));
    show.instances.push(entry("sink", Box::new(Sink), channels * fan));
    for channel in 0..channels {
        for nth in 0..fan {
            show.mappings.push((end(0, channel), end(1, channel * fan + nth)));
        }
    }
    show
}

fn deliver(channels: u32, fan: u32, count: u64) {
    let mut router = Router::new(show(channels, fan)).expect("an event loop");
    router.start();
    for _ in 0..count.div_ceil(u64::from(VALUES_PER_TURN * fan)) {
        router.step(None).expect("a turn");
    }
}

fn route(count: u64) {
    deliver(1_000, 1, count);
}

fn fan_out(count: u64) {
    deliver(10, 100, count);
}

const TEXT: &str = "A text of one hundred bytes, which a script sends to a display: 0123456789 0123456789 01234567890123";

impl Plan for TextSource {
    fn channel(&mut self, _: &str, _: Usage) -> Result<u32, ChannelError> {
        Err(ChannelError::new("made in code"))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for TextSource {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
        context.call_again(0);
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        for _ in 0..100 {
            context.emit_text(0, black_box(TEXT));
        }
        context.call_again(key);
    }

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

impl Plan for Relay {
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

impl Instance for Relay {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.pass_on(events);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        context.pass_on_text(event);
    }
}

/// From `emit_text` over a relay to `deliver_text`: two routes.
fn text(count: u64) {
    assert_eq!(TEXT.len(), 100, "the unit says so");
    let mut show = Show::default();
    let (backend, options) = (Box::new(Made), Options::default());
    show.backends.push(ShowBackend { name: "instructions", backend, options });
    let plans: [Box<dyn Plan>; 3] = [Box::new(TextSource), Box::new(Relay), Box::new(Sink)];
    for (index, plan) in plans.into_iter().enumerate() {
        show.instances.push(ShowInstance {
            name: index.to_string(),
            backend: "instructions",
            driver: 0,
            plan,
            options: Options::default(),
            families: &[],
            channels: vec!["0".into()],
        });
    }
    let end = |instance| ChannelRef { instance: InstanceId::new(instance), channel: 0 };
    show.mappings.extend([(end(0), end(1)), (end(1), end(2))]);
    let mut router = Router::new(show).expect("an event loop");
    router.start();
    let started = std::time::Instant::now();
    for _ in 0..count.div_ceil(100) {
        router.step(None).expect("a turn");
    }
    let nanoseconds = started.elapsed().as_nanos() as f64 / count.next_multiple_of(100) as f64;
    println!("{nanoseconds:.0} ns a text");
}

fn float_message() -> Vec<u8> {
    let mut bytes = Vec::new();
    MessageBuilder::new(&mut bytes, "/1/fader1").float(0.75).finish().expect("a message");
    bytes
}

fn write_bundle(bytes: &mut Vec<u8>) {
    let mut bundle = BundleBuilder::new(bytes, TimeTag::IMMEDIATE);
    for value in 0..20 {
        bundle.message("/1/fader1").int(value).float(0.75).finish().expect("a message");
    }
    bundle.finish().expect("a bundle");
}

fn decode(bytes: &[u8], count: u64) {
    for _ in 0..count {
        let packet = Packet::decode(black_box(bytes)).expect("a packet");
        for message in packet.messages() {
            black_box(message.address_bytes());
            for argument in message.arguments() {
                black_box(argument.as_f64());
            }
        }
    }
}

fn decode_float(count: u64) {
    decode(&float_message(), count);
}

fn decode_bundle(count: u64) {
    let mut bytes = Vec::new();
    write_bundle(&mut bytes);
    decode(&bytes, count);
}

fn encode_float(count: u64) {
    let mut bytes = Vec::with_capacity(64);
    for _ in 0..count {
        bytes.clear();
        MessageBuilder::new(&mut bytes, black_box("/1/fader1"))
            .float(black_box(0.75))
            .finish()
            .expect("a message");
        black_box(&bytes);
    }
}

fn encode_bundle(count: u64) {
    let mut bytes = Vec::with_capacity(2_048);
    for _ in 0..count {
        bytes.clear();
        write_bundle(&mut bytes);
        black_box(&bytes);
    }
}

fn note() -> consort_seq::Event {
    consort_seq::Event::note_on(0, 60, 100).expect("a note")
}

fn cell_encode(count: u64) {
    let event = note();
    let mut bytes = Vec::with_capacity(64);
    for _ in 0..count {
        bytes.clear();
        let event = black_box(&event);
        write_cells(&mut bytes, &event.to_raw(), event.variable());
        black_box(&bytes);
    }
}

fn cell_decode(count: u64) {
    let mut bytes = Vec::new();
    let event = note();
    write_cells(&mut bytes, &event.to_raw(), event.variable());
    for _ in 0..count {
        for cell in Cells::legacy(black_box(&bytes)) {
            let (cell, data) = cell.expect("a cell");
            black_box((cell, data));
        }
    }
}

fn synthdef_compile(count: u64) {
    for _ in 0..count {
        let synthdef = SynthDef::build("seven", |controls| {
            let frequency = controls.control("frequency", 440.0);
            let envelope =
                EnvGen::kr(Envelope::percussive(0.01, 1.0)).done_action(DoneAction::FreeSynth);
            Out::ar(0, Pan2::ar(LPF::ar(Saw::ar(frequency), 900.0) * envelope * 0.2));
        });
        black_box(synthdef.expect("a SynthDef").compile());
    }
}

fn expression(count: u64) {
    let mut out = String::new();
    for _ in 0..count.div_ceil(1_000) {
        let expression = Expression::parse(black_box("ch{1..10}.{cc,note}{0..49}")).expect("valid");
        for index in 0..expression.count() {
            expression.write(index, &mut out);
            black_box(&out);
        }
    }
}

fn dmx_merge(count: u64) {
    consort_backends::merge_frames(count);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => PATHS.iter().for_each(|path| println!("{}\t{}", path.name, path.unit)),
        [name, count] => {
            let path = PATHS.iter().find(|path| path.name == *name).expect("the name of a path");
            (path.run)(count.parse().expect("a count"));
        }
        _ => panic!("expected a path and a count, or nothing"),
    }
}
