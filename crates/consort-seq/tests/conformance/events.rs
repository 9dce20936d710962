//! Every event type, sent and received.

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::{ErrorKind, Event, EventType, Payload, PortOptions, RealTime, Routing, raw};

use crate::support::Rig;

/// Sends an event and returns the one that arrives.
fn round_trip(rig: &Rig, event: &Event) -> Event {
    let pair = rig.pair();
    pair.sender.event_output_direct(event, &pair.out).unwrap();
    rig.receive(&pair.receiver)
}

cases! {
    fn a_received_event_is_passed_on_and_not_sent_back_to_its_receiver(rig) {
        let pair = rig.pair();
        let through = pair.receiver.create_port(PortOptions::new("out").caps(READ_PORT)).unwrap();
        let end = rig.client("end");
        let last = end.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        last.connect_from(&through).unwrap();
        let long = Event::system_exclusive(&[0xf0, 1, 2, 3, 0xf7]);
        for event in [Event::note_on(0, 60, 100).unwrap(), long] {
            pair.send(std::slice::from_ref(&event));
            let received = rig.receive(&pair.receiver);
            let client = &pair.receiver;
            let refused = [
                client.event_output(&received, &through).map(|_| ()),
                client.event_output_direct(&received, &through).map(|_| ()),
                client.event_output_buffer(&received, &through).map(|_| ()),
                client.event_output_batch(std::slice::from_ref(&received), &through),
                client.try_event_output(&received, &through).map(|_| ()),
                client.try_event_output_direct(&received, ()).map(|_| ()),
            ];
            for result in refused {
                let error = result.expect_err("it would return");
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.to_string().contains("pass it on with Routing::pass_on"), "{error}");
            }
            assert_eq!(client.event_output_pending(), 0);
            client.event_output(&received, Routing::pass_on(&through)).unwrap();
            client.drain_output().unwrap();
            let passed = rig.receive(&end);
            assert_eq!(passed.payload(), event.payload());
            assert_eq!(passed.source(), through.address());
            // On purpose, and what the client makes for itself, is allowed.
            let own = pair.into.address();
            client.event_output_direct(&received, Routing::new().port(&through).dest(own)).unwrap();
            assert_eq!(rig.receive(client).payload(), event.payload());
            client.event_output(&event.clone().to(own), &through).unwrap();
            client.drain_output().unwrap();
            assert_eq!(rig.receive(client).payload(), event.payload());
        }
    }

    fn every_type_arrives_as_it_was_sent(rig) {
        let pair = rig.pair();
        let data = *b"abcdefghijkl";
        for (event_type, name) in EventType::ALL {
            // A note with duration must be queued, and only the kernel sends the last three types.
            if *event_type == EventType::NOTE || event_type.0 >= 150 {
                continue;
            }
            let event = if event_type.is_variable() {
                let raw = raw::Event {
                    kind: event_type.0,
                    flags: raw::event_flag::LENGTH_VARIABLE,
                    queue: 253,
                    dest: raw::Address::new(254, 0),
                    ..raw::Event::default()
                };
                Event::from_raw(raw, (0..100).collect())
            } else {
                Event::with_data(*event_type, data)
            };
            pair.sender.event_output_direct(&event, &pair.out).unwrap();
            let received = rig.receive(&pair.receiver);
            assert_eq!(received.event_type(), *event_type, "{name}");
            assert_eq!(received.payload(), event.payload(), "{name}");
            if !event.is_variable() {
                assert_eq!(received.data(), data, "{name}");
            }
            assert!(!matches!(received.payload(), Payload::Unknown { .. }), "{name} has no typed view");
        }
    }

    fn unknown_types_are_preserved(rig) {
        let event = Event::with_data(EventType(77), [7; 12]);
        let received = round_trip(rig, &event);
        let Payload::Unknown { event_type, data, variable } = received.payload() else {
            panic!("{received}")
        };
        assert_eq!((event_type.0, data, variable.len()), (77, [7; 12], 0));
        assert!(received.to_string().contains("Unknown type 77"), "{received}");
    }

    fn a_conversion_to_raw_and_back_loses_nothing(rig) {
        let raw = raw::Event {
            kind: 10,
            flags: raw::event_flag::PRIORITY_HIGH,
            tag: 0xee,
            queue: 253,
            dest: raw::Address::new(254, 253),
            data: raw::EventData::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            ..raw::Event::default()
        };
        let event = Event::from_raw(raw, Vec::new());
        assert_eq!(event.to_raw(), raw);
        let received = round_trip(rig, &event).to_raw();
        assert_eq!((received.kind, received.flags, received.tag, received.data), (raw.kind, raw.flags, raw.tag, raw.data));
    }

    fn stamps_are_preserved_in_both_units(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        let tick = Event::echo([0; 12]).on_queue(&queue).at_tick(0).to(&pair.into);
        pair.sender.event_output_direct(&tick, &pair.out).unwrap();
        assert_eq!(rig.receive(&pair.receiver).tick(), Some(0));
        let time = tick.at_time(RealTime::ZERO);
        pair.sender.event_output_direct(&time, &pair.out).unwrap();
        assert_eq!(rig.receive(&pair.receiver).real_time(), Some(RealTime::ZERO));
    }

    fn an_echo_returns_to_its_own_client(rig) {
        let client = rig.client("echo");
        let port = client.create_port("port").unwrap();
        let queue = rig.running_queue(&client);
        let echo = Event::echo(*b"wake me up!!").on_queue(&queue).at_tick(20).to(&port);
        client.event_output_direct(&echo, &port).unwrap();
        let received = rig.receive(&client);
        assert_eq!((received.payload(), received.tick()), (Payload::Echo(*b"wake me up!!"), Some(20)));
    }
}
