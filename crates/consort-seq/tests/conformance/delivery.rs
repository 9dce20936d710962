//! Delivery of events from port to port.

use consort_seq::client::WRITE_PORT;
use consort_seq::{
    Address, Bounce, Errno, Event, EventType, Payload, PortOptions, QUEUE_DIRECT, Routing,
};

use crate::support::{assert_no_event, errno, note, notes};

cases! {
    fn events_go_to_subscribers_or_to_one_port(rig) {
        let pair = rig.pair();
        let other = pair.receiver.create_port(PortOptions::new("other").caps(WRITE_PORT)).unwrap();
        pair.send(&[note(60)]);
        let event = rig.receive(&pair.receiver);
        assert_eq!((event.source(), event.dest()), (pair.out.address(), pair.into.address()));
        assert_eq!(event.queue(), QUEUE_DIRECT);
        pair.send(&[note(61).to(&other)]);
        let event = rig.receive(&pair.receiver);
        assert_eq!((event.source(), event.dest()), (pair.out.address(), other.address()));
    }

    fn every_subscriber_gets_an_event(rig) {
        let pair = rig.pair();
        let third = rig.client("third");
        let port = third.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        port.connect_from(&pair.out).unwrap();
        pair.send(&[note(60), note(61)]);
        assert_eq!(notes(&rig.receive_count(&pair.receiver, 2)), [60, 61]);
        assert_eq!(notes(&rig.receive_count(&third, 2)), [60, 61]);
    }

    fn routing_overrides_the_events_own_addresses(rig) {
        let pair = rig.pair();
        let other = pair.receiver.create_port(PortOptions::new("other").caps(WRITE_PORT)).unwrap();
        let second = pair.sender.create_port("second").unwrap();
        let queue = pair.sender.create_queue("q").unwrap();
        let event = note(60).to(&pair.into).from_port(pair.out.port_id()).on_queue(31);
        // The event names queue 31, which does not exist.
        assert_eq!(errno(pair.sender.event_output_direct(&event, ())), Errno::INVALID);
        let routing = Routing::new().queue(&queue).port(&second).dest(&other);
        pair.sender.event_output_direct(&event, routing).unwrap();
        let received = rig.receive(&pair.receiver);
        assert_eq!((received.source(), received.dest()), (second.address(), other.address()));
        assert_eq!(received.queue(), queue.queue_id());
    }

    fn data_tag_and_priority_arrive(rig) {
        let pair = rig.pair();
        let mut sent = Event::with_data(EventType::USER_3, *b"twelve bytes").with_tag(77);
        sent.set_high_priority(true);
        pair.send(&[sent.clone()]);
        let received = rig.receive(&pair.receiver);
        assert_eq!(received.payload(), Payload::User(3, *b"twelve bytes"));
        assert_eq!((received.tag(), received.is_high_priority()), (77, true));
    }

    fn direct_output_overtakes_the_buffer(rig) {
        let pair = rig.pair();
        pair.sender.event_output(&note(1), &pair.out).unwrap();
        let written = pair.sender.event_output_direct(&note(2), &pair.out).unwrap();
        assert_eq!(written, 28);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [2]);
        assert_no_event(&pair.receiver);
        pair.sender.drain_output().unwrap();
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [1]);
    }

    fn a_failing_event_stays_at_the_head(rig) {
        let pair = rig.pair();
        let undeliverable = note(1).to((190, 0));
        pair.sender.event_output(&note(0), &pair.out).unwrap();
        pair.sender.event_output(&undeliverable, &pair.out).unwrap();
        pair.sender.event_output(&note(2), &pair.out).unwrap();
        for _ in 0..2 {
            let error = pair.sender.drain_output().unwrap_err();
            assert_eq!(error.errno(), Some(Errno::NOT_FOUND));
            assert!(error.to_string().contains("to 190:0"), "{error}");
        }
        assert_eq!(pair.sender.event_output_pending(), 56);
        let extracted = pair.sender.extract_output().unwrap().unwrap();
        assert_eq!((notes(std::slice::from_ref(&extracted)), extracted.dest()), (vec![1], Address::new(190, 0)));
        assert_eq!(pair.sender.drain_output().unwrap(), 0);
        assert_eq!(notes(&rig.receive_count(&pair.receiver, 2)), [0, 2]);
        assert_eq!(pair.sender.extract_output().unwrap(), None);
    }

    fn only_queued_events_bounce(rig) {
        let sender = rig.client("sender");
        let port = sender.create_port("port").unwrap();
        let queue = rig.running_queue(&sender);
        let lost = note(60).to((190, 0)).with_tag(5).from_port(port.port_id());
        let queued = lost.clone().on_queue(&queue).at_tick(5);
        // Without the bounce filter, the event is dropped silently.
        sender.event_output_direct(&queued, ()).unwrap();
        rig.wait_until("the delivery of the event", || queue.get_status().unwrap().events == 0);
        assert_no_event(&sender);
        let mut info = sender.get_client_info().unwrap();
        info.error_bounce = true;
        sender.set_client_info(&info).unwrap();
        assert!(sender.get_client_info().unwrap().error_bounce);
        // A direct event gives an errno instead of a bounce.
        assert_eq!(errno(sender.event_output_direct(&lost, ())), Errno::NOT_FOUND);
        assert_no_event(&sender);
        let after = queue.get_status().unwrap().tick_time + 5;
        sender.event_output_direct(&queued.at_tick(after), ()).unwrap();
        let back = rig.receive(&sender);
        let Payload::Bounce(data) = back.payload() else { panic!("{back}") };
        let bounce = Bounce::parse(data).unwrap();
        assert_eq!((bounce.event.kind, bounce.event.tag), (EventType::NOTE_ON.0, 5));
        assert_eq!(bounce.event.dest, consort_seq::raw::Address::new(190, 0));
        assert_eq!(back.dest(), port.address());
    }

    fn a_connection_loop_is_an_error(rig) {
        let client = rig.client("loop");
        let port = client.create_port("port").unwrap();
        let through = Address::new(14, 0);
        client.subscribe_port(through, through, Default::default()).unwrap();
        let result = client.event_output_direct(&note(60).to(through), &port);
        client.unsubscribe_port(through, through).unwrap();
        let error = result.unwrap_err();
        assert_eq!(error.errno(), Some(Errno::TOO_MANY_HOPS));
    }

    fn long_data_arrives_complete(rig) {
        let pair = rig.pair();
        pair.receiver.set_client_pool_input(2000).unwrap();
        pair.sender.set_client_pool_output(2000).unwrap();
        for length in [0, 1, 27, 28, 29, 1024, 5000, 16_300, 40_000] {
            let data: Vec<u8> = (0..length).map(|index| (index % 128) as u8).collect();
            pair.sender.event_output_direct(&Event::system_exclusive(&data), &pair.out).unwrap();
            pair.sender.event_output_direct(&note(60), &pair.out).unwrap();
            let event = rig.receive(&pair.receiver);
            assert_eq!(event.payload(), Payload::SystemExclusive(&data), "{length} bytes");
            assert_eq!(notes(&[rig.receive(&pair.receiver)]), [60]);
        }
    }

    fn many_events_keep_their_order(rig) {
        let pair = rig.pair();
        let mut expected = 0u32;
        let mut events = Vec::new();
        for batch in 0..40 {
            for number in 0..100u32 {
                let mut data = [0; 12];
                data[..4].copy_from_slice(&(batch * 100 + number).to_ne_bytes());
                let event = Event::with_data(EventType::USER_0, data);
                pair.sender.event_output(&event, &pair.out).unwrap();
            }
            pair.sender.drain_output().unwrap();
            events.clear();
            assert_eq!(pair.receiver.event_input_batch(&mut events, 1000).unwrap(), 100);
            for event in &events {
                let data = event.data();
                assert_eq!(u32::from_ne_bytes(data[..4].try_into().unwrap()), expected);
                expected += 1;
            }
        }
    }
}
