//! Benchmark of the embedded engine: events per second through one subscription, their
//! allocations, and an hour of music on the virtual clock. It prints figures and asserts nothing
//! about them.
#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::time::{Duration, Instant};

use consort_bench::{CountingAllocator, Samples, allocations, report};
use consort_seq::engine::{ClockKind, Connection, Embedded, Engine, OpenMode, Request};
use consort_seq::raw::{
    Address, Event, EventData, NoteData, PortInfo, PortSubscribe, QueueInfo, Timestamp, address,
    event_type,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A connection with one port and the address of that port.
type Client = (Box<dyn Connection>, Address);

fn client(engine: &Embedded) -> Client {
    let connection = Engine::Embedded(engine.clone()).open(OpenMode::Duplex).unwrap();
    let mut number = 0;
    connection.ioctl(Request::ClientId(&mut number)).unwrap();
    let address = Address::new(number as u8, 0);
    let mut port = PortInfo { address, capability: 0x63, ..PortInfo::default() };
    connection.ioctl(Request::CreatePort(&mut port)).unwrap();
    (connection, address)
}

fn pair(engine: &Embedded) -> (Client, Client) {
    let (sender, receiver) = (client(engine), client(engine));
    let mut subscription =
        PortSubscribe { sender: sender.1, dest: receiver.1, ..PortSubscribe::default() };
    sender.0.ioctl(Request::SubscribePort(&mut subscription)).unwrap();
    // Discard the notice of the connection.
    receiver.0.read(&mut [0; 28]).unwrap();
    (sender, receiver)
}

fn note(kind: u8, queue: u8, tick: u32, channel: u8) -> Event {
    Event {
        kind,
        queue,
        time: Timestamp::from_tick(tick),
        dest: Address::new(address::SUBSCRIBERS, 0),
        data: EventData::from_note(NoteData {
            channel,
            note: 60,
            velocity: 100,
            off_velocity: 64,
            duration: 48,
        }),
        ..Event::default()
    }
}

fn through_one_subscription(clock: ClockKind, batch: usize) {
    let engine = Embedded::new(clock);
    let (sender, receiver) = pair(&engine);
    let event = note(event_type::NOTE_ON, address::QUEUE_DIRECT, 0, 0).to_bytes();
    let bytes = event.repeat(batch);
    let mut buffer = vec![0; 28 * batch];
    let rounds = 2_000_000 / batch;
    let count = (rounds * batch) as f64;
    let mut rates = Samples::default();
    let mut allocated = 0;
    for _ in 0..5 {
        let before = allocations();
        let start = Instant::now();
        for _ in 0..rounds {
            assert_eq!(sender.0.write(&bytes), Ok(bytes.len()));
            assert_eq!(receiver.0.read(&mut buffer), Ok(bytes.len()));
        }
        rates.push(count / start.elapsed().as_secs_f64() / 1e6);
        allocated += allocations() - before;
    }
    let work = format!("embedded engine, {clock:?} clock, batches of {batch}");
    report(work, "million events/s")
        .ours(rates.median())
        .higher_is_better()
        .note(format!("{allocated} allocations"))
        .print();
}

fn hour_of_music() {
    let start = Instant::now();
    let engine = Embedded::new(ClockKind::Virtual);
    let (player, listener) = pair(&engine);
    let mut info = QueueInfo::default();
    player.0.ioctl(Request::CreateQueue(&mut info)).unwrap();
    let queue = info.queue as u8;
    let mut control = Event { kind: event_type::START, queue: 253, ..Event::default() };
    control.data.words[0] = u32::from_ne_bytes([queue, 0, 0, 0]);
    player.0.write(&control.to_bytes()).unwrap();
    let mut buffer = vec![0; 28 * 500];
    let mut received = 0;
    let mut allocations_before = 0;
    for beat in 0..120 * 60 {
        if beat == 100 {
            allocations_before = allocations();
        }
        for channel in 0..16 {
            let event = note(event_type::NOTE, queue, beat * 96, channel);
            player.0.write(&event.to_bytes()).unwrap();
        }
        engine.advance(Duration::from_millis(500));
        received += listener.0.read(&mut buffer).unwrap_or(0) / 28;
    }
    engine.run_until_idle();
    received += listener.0.read(&mut buffer).unwrap_or(0) / 28;
    let allocated = allocations() - allocations_before;
    report("embedded engine, an hour at 120 BPM on 16 channels", "s")
        .ours(start.elapsed().as_secs_f64())
        .note(format!("{received} events, {allocated} allocations after the first 100 beats"))
        .print();
}

fn main() {
    println!("median of 5 rounds of two million events");
    for clock in [ClockKind::Virtual, ClockKind::Real] {
        for batch in [1, 16, 200] {
            through_one_subscription(clock, batch);
        }
    }
    hour_of_music();
}
