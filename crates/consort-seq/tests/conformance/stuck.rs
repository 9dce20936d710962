//! Receivers that do not read their input.

use std::time::{Duration, Instant};

use consort_seq::client::{Subject, WRITE_PORT};
use consort_seq::{Address, Errno, ErrorKind, Event, Payload, Port, PortOptions, SequencerClient};

use futures_lite::future::block_on;

use crate::support::{Pair, Rig, errno, note};

/// More events than the input pool of a client that does not read.
const COUNT: usize = 1000;
/// Events written before the receiver that reads does so; less than its input pool.
const BATCH: usize = 100;

/// The number of an event of a series, in the value of a song position.
fn numbered(number: usize) -> Event {
    Event::song_position(number as u16).unwrap()
}

/// The numbers of the events that have arrived.
fn numbers(client: &SequencerClient) -> Vec<usize> {
    let mut events = Vec::new();
    client.event_input_batch(&mut events, usize::MAX).unwrap();
    let number = |event: &Event| match event.payload() {
        Payload::SongPosition(value) => Some(value.value as usize),
        _ => None,
    };
    events.iter().filter_map(number).collect()
}

/// A receiver that never reads, connected to a port.
fn stuck(rig: &Rig, from: Address) -> (SequencerClient, Port) {
    let client = rig.client("stuck");
    let port = client.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
    port.connect_from(from).unwrap();
    (client, port)
}

/// Asserts that each event arrived once and that the others are reported for the stuck receiver.
fn check(pair: &Pair, received: &[usize], stuck: &Port) {
    assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
    let undelivered = pair.sender.take_undelivered();
    let [report] = undelivered.as_slice() else { panic!("{undelivered:?}") };
    assert_eq!(report.source, pair.out.address());
    assert_eq!(report.receiver, Some(stuck.address()));
    assert!((1..COUNT as u64).contains(&report.count), "{report:?}");
    assert!(pair.sender.take_undelivered().is_empty());
}

/// Asserts that an output fails, names the port, and does so within the deadline.
fn assert_names(port: &Port, error: &consort_seq::Error) {
    assert_eq!(error.kind(), ErrorKind::StuckReceiver);
    assert_eq!(error.errno(), Some(Errno::WOULD_BLOCK));
    assert_eq!(*error.subject(), Subject::Port(port.address()));
    assert!(error.to_string().contains("\"receiver\" does not read its input"), "{error}");
}

cases! {
    fn others_get_each_direct_event_once(rig) {
        let pair = rig.pair();
        let (_client, port) = stuck(rig, pair.out.address());
        let mut received = Vec::new();
        for number in 0..COUNT {
            pair.sender.event_output_direct(&numbered(number), &pair.out).unwrap();
            received.extend(numbers(&pair.receiver));
        }
        check(&pair, &received, &port);
    }

    fn others_get_each_buffered_event_once(rig) {
        let pair = rig.pair();
        let (_client, port) = stuck(rig, pair.out.address());
        let mut received = Vec::new();
        for first in (0..COUNT).step_by(BATCH) {
            let events: Vec<Event> = (first..first + BATCH).map(numbered).collect();
            pair.sender.event_output_batch(&events, &pair.out).unwrap();
            pair.sender.drain_output().unwrap();
            received.extend(numbers(&pair.receiver));
        }
        check(&pair, &received, &port);
    }

    fn others_get_each_event_once_behind_a_client_that_passes_it_on(rig) {
        let sender = rig.client("sender");
        let receiver = rig.client("receiver");
        let out = sender.create_port("out").unwrap();
        let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        let through = Address::new(14, 0);
        let (_client, _port) = stuck(rig, through);
        into.connect_from(through).unwrap();
        out.connect_to(through).unwrap();
        let mut received = Vec::new();
        for number in 0..COUNT {
            sender.event_output(&numbered(number), &out).unwrap();
            sender.drain_output().unwrap();
            received.extend(numbers(&receiver));
        }
        assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
        assert!(!sender.take_undelivered().is_empty());
    }

    fn a_single_receiver_that_does_not_read_is_an_error_that_names_it(rig) {
        let pair = rig.pair();
        let begin = Instant::now();
        let send = |number| pair.sender.event_output_direct(&numbered(number), &pair.out);
        let failed = (0..COUNT).find_map(|number| send(number).err()).expect("it is full");
        assert_names(&pair.into, &failed);
        assert!(begin.elapsed() < rig.timeout());
        // The next output does not wait again.
        let again = Instant::now();
        assert_names(&pair.into, &send(0).unwrap_err());
        pair.sender.event_output(&note(60), &pair.out).unwrap();
        assert_names(&pair.into, &pair.sender.drain_output().unwrap_err());
        assert!(again.elapsed() < Duration::from_secs(1));
        // After it has read, the event at the head of the buffer arrives.
        assert_eq!(errno(pair.receiver.event_input(Some(Duration::ZERO))), Errno::OVERRUN);
        assert_eq!(pair.sender.drain_output().unwrap(), 0);
        assert_eq!(rig.receive(&pair.receiver).payload(), note(60).payload());
        assert!(pair.sender.take_undelivered().is_empty());
    }

    fn asynchronous_output_has_the_same_rule(rig) {
        let sender = rig.asynchronous("sender");
        let receiver = rig.client("receiver");
        let out = sender.create_port("out").unwrap();
        let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        out.connect_to(&into).unwrap();
        let failed = block_on(async {
            for number in 0..COUNT {
                sender.event_output(&numbered(number), &out).await?;
                sender.drain_output().await?;
            }
            Ok::<(), consort_seq::Error>(())
        });
        assert_names(&into, &failed.unwrap_err());
        sender.drop_output().unwrap();
        assert_eq!(errno(receiver.event_input(Some(Duration::ZERO))), Errno::OVERRUN);
        let (_client, port) = stuck(rig, out.address());
        let mut received = Vec::new();
        for number in 0..COUNT {
            block_on(sender.event_output_direct(&numbered(number), &out)).unwrap();
            received.extend(numbers(&receiver));
        }
        assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
        assert_eq!(sender.take_undelivered()[0].receiver, Some(port.address()));
    }
}
