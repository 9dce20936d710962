//! Tests of the embedded engine's connections: clocks, descriptors, determinism.

use std::time::{Duration, Instant};

use consort_seq::engine::{
    ClockKind, Connection, Embedded, Engine, Errno, OpenMode, Request, exercise,
};
use consort_seq::raw::{
    Address, Event, EventData, NoteData, PortInfo, PortSubscribe, QueueInfo, QueueTempo, RealTime,
    Timestamp, address, event_flag, event_type, request_number,
};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};

const DUPLEX: u32 = 0x63;

/// A connection with one port.
struct Client {
    connection: Box<dyn Connection>,
    port: Address,
}

fn client(engine: &Embedded) -> Client {
    let connection = Engine::Embedded(engine.clone()).open(OpenMode::Duplex).unwrap();
    let mut number = 0;
    connection.ioctl(Request::ClientId(&mut number)).unwrap();
    let port = Address::new(number as u8, 0);
    let mut info = PortInfo { address: port, capability: DUPLEX, ..PortInfo::default() };
    connection.ioctl(Request::CreatePort(&mut info)).unwrap();
    Client { connection, port }
}

fn connect(sender: &Client, receiver: &Client) {
    let mut subscription =
        PortSubscribe { sender: sender.port, dest: receiver.port, ..PortSubscribe::default() };
    sender.connection.ioctl(Request::SubscribePort(&mut subscription)).unwrap();
    // The receiver gets a notice.
    let mut notice = Vec::new();
    read_events(receiver, &mut notice);
    assert_eq!(notice[0].kind, event_type::PORT_SUBSCRIBED);
}

fn queue(client: &Client) -> u8 {
    let mut info = QueueInfo::default();
    client.connection.ioctl(Request::CreateQueue(&mut info)).unwrap();
    info.queue as u8
}

fn start(client: &Client, queue: u8) {
    let mut data = [0; 12];
    data[0] = queue;
    let event = Event {
        kind: event_type::START,
        queue: address::QUEUE_DIRECT,
        dest: Address::new(0, 0),
        data: EventData::from_bytes(data),
        ..Event::default()
    };
    client.connection.write(&event.to_bytes()).unwrap();
}

fn note(queue: u8, tick: u32, channel: u8, duration: u32) -> Event {
    Event {
        kind: event_type::NOTE,
        queue,
        time: consort_seq::raw::Timestamp::from_tick(tick),
        dest: Address::new(address::SUBSCRIBERS, 0),
        data: EventData::from_note(NoteData {
            channel,
            note: 60,
            velocity: 100,
            off_velocity: 64,
            duration,
        }),
        ..Event::default()
    }
}

/// Appends all events that a client can read.
fn read_events(client: &Client, events: &mut Vec<Event>) {
    let mut buffer = [0; 28 * 500];
    loop {
        match client.connection.read(&mut buffer) {
            Ok(count) => {
                events.extend(buffer[..count].as_chunks::<28>().0.iter().map(Event::from_bytes))
            }
            Err(Errno::WOULD_BLOCK) => return,
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// Plays an hour at 120 BPM, with a note on each of 16 channels on every beat; returns all events
/// received.
fn hour_of_music() -> Vec<Event> {
    const BEATS: u32 = 120 * 60;
    let engine = Embedded::new(ClockKind::Virtual);
    let (player, listener) = (client(&engine), client(&engine));
    connect(&player, &listener);
    let queue = queue(&player);
    start(&player, queue);
    let mut received = Vec::with_capacity(BEATS as usize * 32);
    for beat in 0..BEATS {
        let mut bytes = [0; 28 * 16];
        for channel in 0..16_u8 {
            let event = note(queue, beat * 96, channel, 48);
            bytes[28 * channel as usize..][..28].copy_from_slice(&event.to_bytes());
        }
        assert_eq!(player.connection.write(&bytes), Ok(bytes.len()));
        engine.advance(Duration::from_millis(500));
        read_events(&listener, &mut received);
    }
    engine.run_until_idle();
    read_events(&listener, &mut received);
    received
}

#[test]
fn an_hour_of_music_is_the_same_every_time() {
    let received = hour_of_music();
    assert_eq!(received.len(), 120 * 60 * 16 * 2);
    let on = received.iter().filter(|event| event.kind == event_type::NOTE_ON).count();
    assert_eq!(on, 120 * 60 * 16);
    assert_eq!(received, hour_of_music());
}

#[test]
fn virtual_time_passes_only_when_advanced() {
    let engine = Embedded::new(ClockKind::Virtual);
    let (player, listener) = (client(&engine), client(&engine));
    connect(&player, &listener);
    let queue = queue(&player);
    start(&player, queue);
    player.connection.write(&note(queue, 96, 0, 96).to_bytes()).unwrap();
    // A quarter note of 96 ticks at 5,208,333 ns each.
    assert_eq!(engine.next_due(), Some(Duration::from_nanos(499_999_968)));
    let mut received = Vec::new();
    engine.advance(Duration::from_nanos(499_999_967));
    read_events(&listener, &mut received);
    assert_eq!(received, []);
    engine.advance(Duration::from_nanos(1));
    read_events(&listener, &mut received);
    assert_eq!(received.len(), 1);
    assert_eq!(engine.advance_to_next(), Some(Duration::from_nanos(499_999_968)));
    read_events(&listener, &mut received);
    assert_eq!(received[1].kind, event_type::NOTE_OFF);
    assert_eq!(engine.advance_to_next(), None);
    assert_eq!(engine.run_until_idle(), Duration::ZERO);
}

#[test]
fn the_real_clock_wakes_the_reader() {
    let engine = Embedded::new(ClockKind::Real);
    let (player, listener) = (client(&engine), client(&engine));
    connect(&player, &listener);
    let queue = queue(&player);
    let started = Instant::now();
    start(&player, queue);
    player.connection.write(&note(queue, 4, 0, 1).to_bytes()).unwrap();
    let descriptor = listener.connection.descriptor();
    let mut received = Vec::new();
    while received.len() < 2 {
        let mut descriptors = [PollFd::new(&descriptor, PollFlags::IN)];
        let timeout = rustix::time::Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut descriptors, Some(&timeout)), Ok(1), "no event within 10 s");
        read_events(&listener, &mut received);
    }
    // The note ends after five ticks of 5.2 ms, and never earlier.
    assert!(started.elapsed() >= Duration::from_micros(5 * 5208));
}

#[test]
fn a_full_output_pool_is_not_writable_until_there_is_room() {
    let engine = Embedded::new(ClockKind::Virtual);
    let player = client(&engine);
    let queue = queue(&player);
    start(&player, queue);
    let is_writable = || {
        let descriptor = player.connection.descriptor();
        let mut descriptors = [PollFd::new(&descriptor, PollFlags::OUT)];
        let immediately = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut descriptors, Some(&immediately)).unwrap() == 1
    };
    for tick in 1..=500 {
        let event = Event { flags: event_flag::TIME_STAMP_TICK, ..note(queue, tick, 0, 0) };
        player.connection.write(&event.to_bytes()).unwrap();
    }
    let event = note(queue, 501, 0, 0);
    assert_eq!(player.connection.write(&event.to_bytes()), Err(Errno::WOULD_BLOCK));
    assert!(!is_writable());
    engine.advance(Duration::from_millis(5209 * 249 / 1000));
    assert!(!is_writable());
    engine.advance(Duration::from_millis(20));
    assert!(is_writable());
}

#[test]
fn every_request_has_its_own_number() {
    let mut numbers: Vec<_> = request_number::ALL.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), request_number::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_invariants_hold_after_any_program(
        program in proptest::collection::vec(any::<u8>(), 0..1500),
    ) {
        exercise::embedded_engine(&program);
    }

    #[test]
    fn the_same_program_gets_the_same_answers(
        program in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        let run = || {
            let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
            exercise::run(&engine, &program, exercise::Timing::Free)
        };
        prop_assert_eq!(run(), run());
    }
}

/// Writes an event that controls a queue; `value` is the first word of its parameter.
fn control(client: &Client, kind: u8, queue: u8, value: u32) {
    let mut data = [0; 12];
    data[0] = queue;
    data[4..8].copy_from_slice(&value.to_ne_bytes());
    let event = Event {
        kind,
        queue: address::QUEUE_DIRECT,
        dest: Address::new(0, 0),
        data: EventData::from_bytes(data),
        ..Event::default()
    };
    client.connection.write(&event.to_bytes()).unwrap();
}

#[test]
fn a_position_that_has_wrapped_round_still_reaches_scheduled_events() {
    let engine = Embedded::new(ClockKind::Virtual);
    let player = client(&engine);
    let port = player.port;
    let queue = queue(&player);
    let mut tempo =
        QueueTempo { queue: queue.into(), tempo: 1, ppq: 1000, ..QueueTempo::default() };
    player.connection.ioctl(Request::SetQueueTempo(&mut tempo)).unwrap();
    start(&player, queue);
    // One tick per nanosecond: the 32 bits of the tick wrap round after 4.3 s.
    engine.advance(Duration::from_secs(5));
    let echo = |time, flags| Event {
        kind: event_type::ECHO,
        queue,
        time,
        flags,
        dest: port,
        ..Event::default()
    };
    let tick = Timestamp::from_tick(4_000_000_000);
    player.connection.write(&echo(tick, 0).to_bytes()).unwrap();
    let wait = (1_u64 << 32) + 4_000_000_000 - 5_000_000_000;
    assert_eq!(engine.next_due(), Some(Duration::from_nanos(wait)));
    assert_eq!(engine.run_until_idle(), Duration::from_nanos(wait));

    // The seconds of the real time wrap round, too.
    control(&player, event_type::SET_POSITION_TIME, queue, u32::MAX);
    engine.advance(Duration::from_secs(3));
    let time = Timestamp::from_real(RealTime { seconds: 10, nanoseconds: 0 });
    let real = event_flag::TIME_STAMP_REAL;
    player.connection.write(&echo(time, real).to_bytes()).unwrap();
    assert_eq!(engine.next_due(), Some(Duration::from_secs(8)));
    assert_eq!(engine.run_until_idle(), Duration::from_secs(8));

    // A time stamp above the largest time is never due.
    let never = Timestamp::from_real(RealTime { seconds: u32::MAX, nanoseconds: u32::MAX });
    player.connection.write(&echo(never, real).to_bytes()).unwrap();
    assert_eq!(engine.next_due(), None);
    let mut received = Vec::new();
    read_events(&player, &mut received);
    assert_eq!(received.len(), 2);
}
