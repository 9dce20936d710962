//! The client's buffers, waiting and time-outs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_seq::{Errno, Error, ErrorKind, Event, Routing};

use crate::support::{assert_no_event, errno, note, notes};

/// The processor time that this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn assert_send_sync<T: Send + Sync>(_: &T) {}

cases! {
    fn output_is_buffered_until_drained(rig) {
        let pair = rig.pair();
        assert_eq!(pair.sender.event_output(&note(1), &pair.out).unwrap(), 28);
        assert_eq!(pair.sender.event_output(&Event::system_exclusive(&[1; 10]), &pair.out).unwrap(), 66);
        assert_eq!(pair.sender.event_output_pending(), 66);
        assert_no_event(&pair.receiver);
        assert_eq!(pair.sender.drain_output().unwrap(), 0);
        assert_eq!(pair.sender.event_output_pending(), 0);
        assert_eq!(rig.receive_count(&pair.receiver, 2).len(), 2);
    }

    fn the_output_buffer_has_16_kib(rig) {
        let pair = rig.pair();
        pair.receiver.set_client_pool_input(2000).unwrap();
        pair.sender.set_client_pool_output(2000).unwrap();
        assert_eq!(pair.sender.get_output_buffer_size(), 16 * 1024);
        for _ in 0..585 {
            pair.sender.event_output_buffer(&note(1), &pair.out).unwrap();
        }
        let full = pair.sender.event_output_buffer(&note(2), &pair.out);
        assert_eq!(errno(full), Errno::WOULD_BLOCK);
        assert_no_event(&pair.receiver);
        // Unlike event_output_buffer, event_output drains a full buffer.
        assert_eq!(pair.sender.event_output(&note(3), &pair.out).unwrap(), 28);
        let mut events = Vec::new();
        assert_eq!(pair.receiver.event_input_batch(&mut events, 1000).unwrap(), 585);
        let error = pair
            .sender
            .event_output(&Event::system_exclusive(&[0; 16 * 1024 - 27]), &pair.out)
            .unwrap_err();
        assert_eq!(error.errno(), Some(Errno::INVALID));
        assert!(error.to_string().contains("set_output_buffer_size"), "{error}");
        let fits = Event::system_exclusive(&[0; 16 * 1024 - 28]);
        pair.sender.event_output(&fits, &pair.out).unwrap();
        pair.sender.drain_output().unwrap();
    }

    fn buffer_sizes_can_be_set(rig) {
        let pair = rig.pair();
        pair.sender.set_output_buffer_size(56).unwrap();
        assert_eq!(pair.sender.get_output_buffer_size(), 56);
        pair.sender.event_output_buffer(&note(1), &pair.out).unwrap();
        pair.sender.event_output_buffer(&note(2), &pair.out).unwrap();
        assert!(pair.sender.event_output_buffer(&note(3), &pair.out).is_err());
        assert_eq!(errno(pair.sender.set_output_buffer_size(28)), Errno::INVALID);
        assert_eq!(errno(pair.sender.set_output_buffer_size(27)), Errno::INVALID);
        pair.sender.drain_output().unwrap();
        assert_eq!(pair.receiver.get_input_buffer_size(), 14_000);
        assert_eq!(errno(pair.receiver.set_input_buffer_size(27)), Errno::INVALID);
        pair.receiver.set_input_buffer_size(28).unwrap();
        assert_eq!(pair.receiver.get_input_buffer_size(), 28);
        assert_eq!(notes(&rig.receive_count(&pair.receiver, 2)), [1, 2]);
        // The buffer grows automatically for a longer event.
        pair.sender.event_output_direct(&Event::system_exclusive(&[9; 3000]), &pair.out).unwrap();
        assert_eq!(rig.receive(&pair.receiver).variable(), [9; 3000]);
    }

    fn a_batch_is_buffered_up_to_the_capacity_or_drained_in_between(rig) {
        let pair = rig.pair();
        pair.sender.set_client_pool_output(2000).unwrap();
        pair.receiver.set_client_pool_input(2000).unwrap();
        let events: Vec<Event> = (0..900).map(|number| note((number % 128) as u8)).collect();
        // 585 events fit 16 KiB; a batch of more drains the buffer in between.
        assert_eq!(pair.sender.event_output_buffer_batch(&events, &pair.out).unwrap(), 585);
        assert_eq!(pair.sender.event_output_buffer_batch(&events, &pair.out).unwrap(), 0);
        pair.sender.drop_output_buffer().unwrap();
        pair.sender.event_output_batch(&events, &pair.out).unwrap();
        pair.sender.drain_output().unwrap();
        let mut received = Vec::new();
        assert_eq!(pair.receiver.event_input_batch(&mut received, 2000).unwrap(), 900);
        assert_eq!(notes(&received), notes(&events));
        let large = [note(1), Event::system_exclusive(&[0; 20_000])];
        assert_eq!(errno(pair.sender.event_output_batch(&large, &pair.out)), Errno::INVALID);
        assert_eq!(pair.sender.event_output_pending(), 28);
    }

    fn event_input_pending_may_read_from_the_sequencer_first(rig) {
        let pair = rig.pair();
        assert_eq!(pair.receiver.event_input_pending(true).unwrap(), 0);
        pair.send(&[note(1), note(2), Event::system_exclusive(&[1; 30])]);
        assert_eq!(pair.receiver.event_input_pending(false).unwrap(), 0);
        assert_eq!(pair.receiver.event_input_pending(true).unwrap(), 3);
        assert_eq!(pair.receiver.event_input_pending(false).unwrap(), 28 * 5);
        pair.receiver.event_input(None).unwrap();
        assert_eq!(pair.receiver.event_input_pending(true).unwrap(), 28 * 4);
    }

    fn a_batch_is_read_up_to_its_limit(rig) {
        let pair = rig.pair();
        pair.send(&(0..10).map(note).collect::<Vec<_>>());
        let mut events = Vec::new();
        assert_eq!(pair.receiver.event_input_batch(&mut events, 4).unwrap(), 4);
        assert_eq!(pair.receiver.event_input_batch(&mut events, 100).unwrap(), 6);
        assert_eq!(pair.receiver.event_input_batch(&mut events, 100).unwrap(), 0);
        assert!(notes(&events).into_iter().eq(0..10));
        assert_eq!(pair.receiver.try_event_input().unwrap(), None);
    }

    fn a_timeout_of_zero_polls(rig) {
        let client = rig.client("idle");
        let before = Instant::now();
        for _ in 0..100 {
            assert_eq!(client.event_input(Some(Duration::ZERO)).unwrap(), None);
        }
        assert!(before.elapsed() < rig.timeout(), "a time-out of zero must not wait");
    }

    fn a_wait_uses_no_processor_time(rig) {
        let client = rig.client("idle");
        for milliseconds in [1, 20, 150] {
            let timeout = Duration::from_millis(milliseconds);
            let (wall, processor) = (Instant::now(), processor_time());
            assert_eq!(client.event_input(Some(timeout)).unwrap(), None);
            assert!(wall.elapsed() >= timeout, "{timeout:?} took {:?}", wall.elapsed());
            let used = processor_time() - processor;
            assert!(used < Duration::from_millis(20), "waiting {timeout:?} used {used:?}");
        }
    }

    fn a_wait_ends_when_an_event_arrives(rig) {
        let pair = rig.pair();
        let (receiver, sender) = (&pair.receiver, &pair.sender);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| receiver.event_input(Some(rig.timeout())).unwrap());
            sender.event_output_direct(&note(60), &pair.out).unwrap();
            assert_eq!(notes(&[reader.join().unwrap().expect("an event")]), [60]);
        });
    }

    fn many_threads_read_and_write_concurrently(rig) {
        let pair = rig.pair();
        assert_send_sync(&pair.sender);
        assert_send_sync(&pair.out);
        pair.receiver.set_client_pool_input(2000).unwrap();
        let (readers, writers, events_per_writer) = (3, 3, 300);
        let received = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let pair = &pair;
                scope.spawn(move || {
                    for number in 0..events_per_writer {
                        let mut data = [0; 12];
                        data[0] = writer;
                        data[4..8].copy_from_slice(&u32::to_ne_bytes(number));
                        let event = Event::user(1, data).unwrap();
                        if number % 3 == 0 {
                            pair.sender.event_output_direct(&event, &pair.out).unwrap();
                        } else {
                            pair.sender.event_output(&event, &pair.out).unwrap();
                            pair.sender.drain_output().unwrap();
                        }
                    }
                });
            }
            for _ in 0..readers {
                scope.spawn(|| {
                    let total = writers as usize * events_per_writer as usize;
                    while received.lock().unwrap().len() < total {
                        let wait = Some(Duration::from_millis(2));
                        if let Some(event) = pair.receiver.event_input(wait).unwrap() {
                            received.lock().unwrap().push(event.data());
                        }
                    }
                });
            }
        });
        let mut received = received.into_inner().unwrap();
        received.sort_unstable();
        received.dedup();
        assert_eq!(received.len(), writers as usize * events_per_writer as usize);
    }

    fn closing_ends_a_wait(rig) {
        let client = Arc::new(rig.client("closed"));
        let port = client.create_port("port").unwrap();
        let queue = client.create_queue("queue").unwrap();
        let waiting = Arc::clone(&client);
        let reader = std::thread::spawn(move || waiting.event_input(None));
        rig.let_time_pass(Duration::from_millis(5));
        client.close();
        assert_eq!(reader.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert!(client.is_closed());
        let results: Vec<Result<(), Error>> = vec![
            client.event_input(Some(Duration::ZERO)).map(drop),
            client.event_output(&note(1), ()).map(drop),
            client.event_output_direct(&note(1), ()).map(drop),
            client.event_output_buffer(&note(1), ()).map(drop),
            client.drain_output().map(drop),
            client.sync_output_queue(),
            client.extract_output().map(drop),
            client.drop_input(),
            client.drop_output(),
            client.get_client_info().map(drop),
            client.list_ports(&Default::default()).map(drop),
            client.create_port("late").map(drop),
            client.get_sequencer_name().map(drop),
            client.get_sequencer_type().map(drop),
            port.get_info().map(drop),
            port.connect_to((14, 0)),
            queue.get_status().map(drop),
            queue.start(),
        ];
        for result in results {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            assert!(error.to_string().contains("the client is closed"), "{error}");
        }
        client.close();
    }

    fn syncing_waits_for_delivery(rig) {
        let pair = rig.pair();
        // The client has never written anything, so there is nothing to wait for.
        pair.sender.sync_output_queue().unwrap();
        let queue = rig.running_queue(&pair.sender);
        let later = queue.get_status().unwrap().tick_time + 60;
        pair.send(&[note(60).on_queue(&queue).at_tick(later)]);
        let room = pair.sender.get_client_pool().unwrap().output_room;
        let early = pair.sender.sync_output_queue_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(!early);
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| pair.sender.sync_output_queue());
            rig.wait_until("the sync", || sync.is_finished());
            sync.join().unwrap().unwrap();
        });
        assert_eq!(pair.sender.get_client_pool().unwrap().output_room, room);
        assert!(queue.get_status().unwrap().tick_time >= later);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [60]);
    }

    fn output_waits_for_room(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        let start = queue.get_status().unwrap().tick_time + 80;
        pair.receiver.set_client_pool_input(2000).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..1500u32 {
                    let event = note(1).on_queue(&queue).at_tick(start + number / 50);
                    pair.sender.event_output(&event, &pair.out).unwrap();
                }
                pair.sender.drain_output().unwrap()
            });
            rig.wait_until("the writer", || writer.is_finished());
            assert_eq!(writer.join().unwrap(), 0);
        });
        rig.wait_until("the queue", || queue.get_status().unwrap().events == 0);
        let mut events = Vec::new();
        assert_eq!(pair.receiver.event_input_batch(&mut events, 2000).unwrap(), 1500);
    }

    fn midi_bytes_are_encoded_and_decoded(rig) {
        let pair = rig.pair();
        let template = Event::default();
        let out = |bytes: &[u8]| pair.sender.midi_bytes_output(bytes, &template, &pair.out).unwrap();
        // Several messages, running status, and a message that is split over two calls.
        assert_eq!(out(&[0x90, 60, 100, 61, 100, 0xb0, 7]), 2);
        assert_eq!(out(&[0xf8, 99, 0xf0, 1, 2]), 2);
        assert_eq!(out(&[3, 0xf7]), 1);
        pair.sender.drain_output().unwrap();
        let mut bytes = Vec::new();
        for _ in 0..5 {
            rig.wait_until("an event", || pair.receiver.event_input_pending(true).unwrap() > 0);
            let received = pair.receiver.event_input_prefer_bytes(Some(rig.timeout())).unwrap().unwrap();
            bytes.push(received.midi_bytes.unwrap());
        }
        let expected: [&[u8]; 5] = [
            &[0x90, 60, 100],
            &[0x90, 61, 100],
            &[0xf8],
            &[0xb0, 7, 99],
            &[0xf0, 1, 2, 3, 0xf7],
        ];
        assert_eq!(bytes, expected);
        // An NRPN has 12 bytes, a 14-bit controller 6; an echo has no MIDI form.
        let events = [
            Event::non_registered_parameter(0, 1, 2).unwrap(),
            Event::control_14(0, 1, 200).unwrap(),
            Event::echo([1; 12]),
        ];
        for event in &events {
            pair.sender.event_output(event, Routing::from(&pair.out)).unwrap();
        }
        pair.sender.drain_output().unwrap();
        let lengths: Vec<Option<usize>> = (0..3)
            .map(|_| {
                let received = pair.receiver.event_input_prefer_bytes(Some(rig.timeout())).unwrap().unwrap();
                received.midi_bytes.map(|bytes| bytes.len())
            })
            .collect();
        assert_eq!(lengths, [Some(12), Some(6), None]);
    }
}
