//! The announcements of the system client, and the notices to the ends of a connection.

use std::time::Duration;

use consort_seq::client::WRITE_PORT;
use consort_seq::{
    Address, Announcement, Connection, Event, Payload, PortOptions, QUEUE_DIRECT, Watch,
};

use crate::support::assert_no_event;

fn next(watch: &mut Watch) -> Announcement {
    watch.next_timeout(Some(Duration::from_secs(20))).unwrap().expect("an announcement")
}

cases! {
    fn clients_ports_and_connections_are_announced(rig) {
        let watcher = rig.client("watcher");
        let port = watcher.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        port.connect_from(Address::SYSTEM_ANNOUNCE).unwrap();
        while watcher.event_input(Some(Duration::ZERO)).unwrap().is_some() {}

        let other = rig.client("other");
        let number = other.client_id();
        let first = other.create_port("first").unwrap();
        let second = other.create_port("second").unwrap();
        first.connect_to(&second).unwrap();
        let mut info = second.get_info().unwrap();
        info.name = "renamed".to_owned();
        second.set_info(&info).unwrap();
        first.disconnect_to(&second).unwrap();
        let (a, b) = (first.address(), second.address());
        second.close().unwrap();
        first.close().unwrap();
        other.close();

        let connection = Connection { sender: a, dest: b };
        let changes = rig.is_at_least(7, 0);
        let mut expected = vec![Payload::ClientStart(Address::new(number, 0))];
        if changes {
            expected.push(Payload::ClientChange(Address::new(number, 0)));
        }
        expected.extend([Payload::PortStart(a), Payload::PortStart(b)]);
        expected.push(Payload::PortSubscribed(connection));
        if changes {
            expected.push(Payload::PortChange(b));
        }
        expected.push(Payload::PortUnsubscribed(connection));
        expected.extend([Payload::PortExit(b), Payload::PortExit(a)]);
        expected.push(Payload::ClientExit(Address::new(number, 0)));
        let events = rig.receive_count(&watcher, expected.len());
        let payloads: Vec<Payload<'_>> = events.iter().map(Event::payload).collect();
        assert_eq!(payloads, expected);
        for event in &events {
            assert_eq!((event.source(), event.queue()), (Address::SYSTEM_ANNOUNCE, QUEUE_DIRECT));
        }
        assert_no_event(&watcher);
    }

    fn a_closing_client_announces_its_ports_before_their_connections(rig) {
        let watcher = rig.client("watcher");
        let port = watcher.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        port.connect_from(Address::SYSTEM_ANNOUNCE).unwrap();
        let other = rig.client("other");
        let out = other.create_port("out").unwrap();
        port.connect_from(&out).unwrap();
        watcher.drop_input().unwrap();
        let connection = Connection { sender: out.address(), dest: port.address() };
        other.close();
        let events = rig.receive_count(&watcher, 3);
        let payloads: Vec<Payload<'_>> = events.iter().map(Event::payload).collect();
        let exited = Address::new(other.client_id(), 0);
        let expected = [
            Payload::PortExit(out.address()),
            Payload::PortUnsubscribed(connection),
            Payload::ClientExit(exited),
        ];
        assert_eq!(payloads, expected);
        assert_no_event(&watcher);
    }

    fn the_other_end_of_a_connection_is_notified(rig) {
        let (a, b, third) = (rig.client("a"), rig.client("b"), rig.client("third"));
        let out = a.create_port("out").unwrap();
        let into = b.create_port("in").unwrap();
        let connection = Connection { sender: out.address(), dest: into.address() };
        // The sender connects, so the receiver is notified.
        out.connect_to(&into).unwrap();
        let notice = rig.receive(&b);
        assert_eq!(notice.payload(), Payload::PortSubscribed(connection));
        assert_eq!((notice.dest(), notice.queue()), (into.address(), QUEUE_DIRECT));
        assert_no_event(&a);
        // The receiver disconnects, so the sender is notified.
        into.disconnect_from(&out).unwrap();
        assert_eq!(rig.receive(&a).payload(), Payload::PortUnsubscribed(connection));
        assert_no_event(&b);
        // A third client connects and disconnects, so both are notified.
        third.subscribe_port(&out, &into, Default::default()).unwrap();
        assert_eq!(rig.receive(&a).payload(), Payload::PortSubscribed(connection));
        assert_eq!(rig.receive(&b).payload(), Payload::PortSubscribed(connection));
        third.unsubscribe_port(&out, &into).unwrap();
        assert_eq!(rig.receive(&a).payload(), Payload::PortUnsubscribed(connection));
        assert_eq!(rig.receive(&b).payload(), Payload::PortUnsubscribed(connection));
        assert_no_event(&third);
    }

    fn a_watch_reports_changes(rig) {
        let client = rig.client("main");
        let mut watch = client.watch().unwrap();
        let before = watch.list_ports().unwrap();
        assert!(before.iter().any(|port| port.address() == Address::SYSTEM_TIMER));
        assert!(before.iter().all(|port| port.client_id != watch.client().client_id()));
        assert_eq!(watch.next_timeout(Some(Duration::ZERO)).unwrap(), None);
        let port = client.create_port("new").unwrap();
        assert_eq!(next(&mut watch), Announcement::PortStarted(port.address()));
        let name = watch.client().get_port_info(&port).unwrap().name;
        assert_eq!(name, "new");
        port.connect_to((14, 0)).unwrap();
        let connection = Connection { sender: port.address(), dest: Address::new(14, 0) };
        assert_eq!(next(&mut watch), Announcement::Connected(connection));
        let address = port.address();
        drop(port);
        // Connections that end with a port are not announced.
        assert_eq!(next(&mut watch), Announcement::PortExited(address));
        let number = client.client_id();
        client.close();
        drop(client);
        assert_eq!(next(&mut watch), Announcement::ClientExited(number));
    }

    fn a_slow_watch_reports_the_loss(rig) {
        let client = rig.client("main");
        let mut watch = client.watch().unwrap();
        for _ in 0..1001 {
            drop(client.create_port("flood").unwrap());
        }
        let mut lost = false;
        while let Some(announcement) = watch.next_timeout(Some(Duration::ZERO)).unwrap() {
            lost |= announcement == Announcement::Lost;
        }
        assert!(lost, "2002 announcements do not fit 2000 cells");
        let port = client.create_port("after").unwrap();
        assert_eq!(next(&mut watch), Announcement::PortStarted(port.address()));
    }
}
