//! The errno of each failure.

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::Request;
use consort_seq::{
    Errno, ErrorKind, Event, EventType, PortCaps, PortOptions, QueueInfo, QueueTempo,
    SubscribeOptions, SubscriptionQuery, SubscriptionQueryType, raw,
};

use crate::support::{errno, note};

/// The number of a client that does not exist.
const MISSING_CLIENT: u8 = 190;

cases! {
    fn missing_clients_and_ports(rig) {
        let client = rig.client("errors");
        assert_eq!(errno(client.get_any_client_info(MISSING_CLIENT)), Errno::NOT_FOUND);
        assert_eq!(errno(client.get_port_info((MISSING_CLIENT, 0))), Errno::NO_SUCH_ADDRESS);
        assert_eq!(errno(client.get_port_info(client.address(77))), Errno::NOT_FOUND);
        assert_eq!(errno(client.query_next_port(MISSING_CLIENT, None)), Errno::NO_SUCH_ADDRESS);
        assert_eq!(client.query_next_port(client.client_id(), None).unwrap(), None);
        let mut missing = raw::PortInfo {
            address: raw::Address::new(client.client_id(), 5),
            ..raw::PortInfo::default()
        };
        let deleted = client.connection().unwrap().ioctl(Request::DeletePort(&mut missing));
        assert_eq!(deleted, Err(Errno::NOT_FOUND));
        let error = client.get_port_info((MISSING_CLIENT, 3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("port 190:3"), "{error}");
    }

    fn another_clients_info_cannot_be_set(rig) {
        let (client, other) = (rig.client("errors"), rig.client("other"));
        let info = other.get_client_info().unwrap();
        assert_eq!(errno(client.set_client_info(&info)), Errno::NOT_PERMITTED);
    }

    fn subscribing_requires_ports_and_capabilities(rig) {
        let client = rig.client("errors");
        let source = client.create_port(PortOptions::new("source").caps(READ_PORT)).unwrap();
        let sink = client.create_port(PortOptions::new("sink").caps(WRITE_PORT)).unwrap();
        let plain = SubscribeOptions::new;
        let connect = |from: (u8, u8), to: (u8, u8)| client.subscribe_port(from, to, plain());
        let own = client.client_id();
        assert_eq!(errno(connect((MISSING_CLIENT, 0), (own, sink.port_id()))), Errno::INVALID);
        assert_eq!(errno(connect((own, source.port_id()), (MISSING_CLIENT, 0))), Errno::INVALID);
        assert_eq!(errno(connect((own, 99), (own, sink.port_id()))), Errno::INVALID);
        // The owner of a port needs no capability to connect it, but other clients do.
        let other = rig.client("other");
        let theirs = other.create_port("theirs").unwrap();
        assert_eq!(errno(theirs.connect_from(&sink)), Errno::NOT_PERMITTED);
        assert_eq!(errno(theirs.connect_to(&source)), Errno::NOT_PERMITTED);
        client.subscribe_port(&source, &sink, plain()).unwrap();
        let error = client.subscribe_port(&source, &sink, plain()).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Busy, Some(Errno::BUSY)));
        assert!(error.to_string().contains("the ports are already connected"), "{error}");
    }

    fn a_third_client_needs_the_capability_to_subscribe(rig) {
        let (owner, third) = (rig.client("owner"), rig.client("third"));
        let closed = owner.create_port(PortOptions::new("closed").caps(PortCaps::READ)).unwrap();
        let hidden = owner
            .create_port(PortOptions::new("hidden").caps(READ_PORT | PortCaps::NO_EXPORT))
            .unwrap();
        let sink = owner.create_port(PortOptions::new("sink").caps(WRITE_PORT)).unwrap();
        for port in [&closed, &hidden] {
            let result = third.subscribe_port(port, &sink, SubscribeOptions::new());
            assert_eq!(errno(result), Errno::NOT_PERMITTED, "{port:?}");
        }
        // The owner may connect it.
        owner.subscribe_port(&hidden, &sink, SubscribeOptions::new()).unwrap();
    }

    fn exclusive_connections_exclude_others(rig) {
        let client = rig.client("errors");
        let source = client.create_port(PortOptions::new("source").caps(READ_PORT)).unwrap();
        let first = client.create_port(PortOptions::new("first").caps(WRITE_PORT)).unwrap();
        let second = client.create_port(PortOptions::new("second").caps(WRITE_PORT)).unwrap();
        let exclusive = SubscribeOptions::new().exclusive();
        client.subscribe_port(&source, &first, SubscribeOptions::new()).unwrap();
        assert_eq!(errno(client.subscribe_port(&source, &second, exclusive)), Errno::BUSY);
        client.unsubscribe_port(&source, &first).unwrap();
        client.subscribe_port(&source, &first, exclusive).unwrap();
        let later = client.subscribe_port(&source, &second, SubscribeOptions::new());
        assert_eq!(errno(later), Errno::BUSY);
        let kept = client.get_subscription(&source, &first).unwrap().unwrap();
        assert!(kept.exclusive);
    }

    fn unsubscribing_requires_a_connection(rig) {
        let client = rig.client("errors");
        let source = client.create_port(PortOptions::new("source").caps(READ_PORT)).unwrap();
        let sink = client.create_port(PortOptions::new("sink").caps(WRITE_PORT)).unwrap();
        let error = client.unsubscribe_port(&source, &sink).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOT_FOUND));
        assert!(error.to_string().contains("not connected"), "{error}");
        let missing = client.unsubscribe_port((MISSING_CLIENT, 0), &sink);
        assert_eq!(errno(missing), Errno::NO_SUCH_ADDRESS);
        assert_eq!(client.get_subscription(&source, &sink).unwrap(), None);
    }

    fn subscriber_queries_of_missing_ports_and_indices(rig) {
        let client = rig.client("errors");
        let port = client.create_port("port").unwrap();
        let query = |root: (u8, u8), index| {
            client.query_port_subscribers(&SubscriptionQuery::new(
                root,
                SubscriptionQueryType::Read,
                index,
            ))
        };
        assert_eq!(errno(query((MISSING_CLIENT, 0), 0)), Errno::NO_SUCH_ADDRESS);
        assert_eq!(errno(query((client.client_id(), 99), 0)), Errno::NO_SUCH_ADDRESS);
        assert_eq!(errno(query((client.client_id(), port.port_id()), 0)), Errno::NOT_FOUND);
    }

    fn missing_queues(rig) {
        let client = rig.client("errors");
        assert_eq!(errno(client.get_queue_info(31)), Errno::INVALID);
        assert_eq!(errno(client.get_queue_status(31)), Errno::INVALID);
        assert_eq!(errno(client.get_queue_tempo(31)), Errno::INVALID);
        assert_eq!(errno(client.get_queue_timer(31)), Errno::INVALID);
        assert_eq!(errno(client.get_queue_usage(31)), Errno::INVALID);
        assert_eq!(errno(client.query_named_queue("no such queue")), Errno::INVALID);
        assert_eq!(errno(client.get_named_queue("no such queue")), Errno::INVALID);
        assert_eq!(errno(client.get_queue(31)), Errno::INVALID);
        let error = client.get_queue_info(31).unwrap_err();
        assert!(error.to_string().contains("queue 31"), "{error}");
    }

    fn another_clients_queue(rig) {
        let (owner, other) = (rig.client("owner"), rig.client("other"));
        let queue = owner.create_queue("theirs").unwrap();
        let used = other.get_queue(queue.queue_id()).unwrap();
        assert!(!used.is_own());
        let tempo = QueueTempo::new(600_000, 96);
        assert_eq!(errno(used.set_tempo(&tempo)), Errno::NOT_PERMITTED);
        assert_eq!(errno(used.set_timer(&used.get_timer().unwrap())), Errno::NOT_PERMITTED);
        assert_eq!(errno(used.start_now()), Errno::NOT_PERMITTED);
        let mut raw = raw::QueueInfo { queue: i32::from(queue.queue_id()), ..raw::QueueInfo::default() };
        let freed = other.connection().unwrap().ioctl(Request::DeleteQueue(&mut raw));
        assert_eq!(freed, Err(Errno::INVALID));
        // Any client may control an unlocked queue.
        queue.set_info(&QueueInfo { locked: false, ..queue.get_info().unwrap() }).unwrap();
        used.set_tempo(&tempo).unwrap();
        used.start_now().unwrap();
        assert_eq!(queue.get_tempo().unwrap().tempo, 600_000);
    }

    fn invalid_tempos(rig) {
        let client = rig.client("errors");
        let queue = client.create_queue("q").unwrap();
        assert_eq!(errno(queue.set_tempo(&QueueTempo::new(0, 96))), Errno::INVALID);
        assert_eq!(errno(queue.set_tempo(&QueueTempo::new(500_000, 0))), Errno::INVALID);
        let mut skewed = QueueTempo::default().with_skew(0x8000);
        skewed.skew_base = 0x8000;
        assert_eq!(errno(queue.set_tempo(&skewed)), Errno::INVALID);
        queue.start_now().unwrap();
        let error = queue.set_tempo(&QueueTempo::new(500_000, 48)).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::BUSY));
        assert!(error.to_string().contains("stop the queue"), "{error}");
        // The tempo alone may change while it runs.
        queue.set_tempo(&QueueTempo::new(400_000, 96)).unwrap();
    }

    fn writing_to_missing_or_unwritable_ports(rig) {
        let client = rig.client("errors");
        let port = client.create_port("port").unwrap();
        let missing = client.event_output_direct(&note(60).to((MISSING_CLIENT, 0)), &port);
        assert_eq!(errno(missing), Errno::NOT_FOUND);
        let missing = client.event_output_direct(&note(60).to(client.address(99)), &port);
        assert_eq!(errno(missing), Errno::NOT_FOUND);
        let unwritable = client.create_port(PortOptions::new("unwritable").caps(READ_PORT)).unwrap();
        let refused = client.event_output_direct(&note(60).to(&unwritable), &port);
        assert_eq!(errno(refused), Errno::NOT_PERMITTED);
        client.event_output_direct(&note(60), &port).expect("no subscribers is fine");
    }

    fn writing_a_type_that_is_filtered(rig) {
        let pair = rig.pair();
        pair.receiver.set_client_event_filter(EventType::CONTROL_CHANGE).unwrap();
        let filtered = pair.sender.event_output_direct(&note(60).to(&pair.into), &pair.out);
        assert_eq!(errno(filtered), Errno::NOT_FOUND);
        let accepted = Event::control_change(0, 7, 1).unwrap().to(&pair.into);
        pair.sender.event_output_direct(&accepted, &pair.out).unwrap();
        assert_eq!(rig.receive(&pair.receiver).event_type(), EventType::CONTROL_CHANGE);
    }

    fn a_note_with_duration_must_be_queued(rig) {
        let client = rig.client("errors");
        let port = client.create_port("port").unwrap();
        let error = client
            .event_output_direct(&Event::note(0, 60, 100, 10).unwrap(), &port)
            .unwrap_err();
        assert_eq!(error.errno(), Some(Errno::INVALID));
        assert!(error.to_string().contains("through a queue"), "{error}");
    }

    fn a_queue_must_exist(rig) {
        let client = rig.client("errors");
        let port = client.create_port("port").unwrap();
        let event = note(60).on_queue(31).at_tick(1);
        assert_eq!(errno(client.event_output_direct(&event, &port)), Errno::INVALID);
    }

    fn data_in_the_senders_memory_is_refused(rig) {
        let client = rig.client("errors");
        let raw = raw::Event {
            kind: raw::event_type::SYSEX,
            flags: raw::event_flag::LENGTH_USER,
            queue: 253,
            ..raw::Event::default()
        };
        let event = Event::from_raw(raw, Vec::new());
        assert_eq!(errno(client.event_output_direct(&event, ())), Errno::INVALID);
        assert_eq!(errno(client.event_output(&event, ())), Errno::INVALID);
    }
}
