//! What is deleted when a handle is dropped or closed.

use consort_seq::{Errno, ErrorKind};

use crate::support::{assert_no_event, errno, note};

cases! {
    fn a_dropped_port_is_deleted(rig) {
        let client = rig.client("ports");
        let port = client.create_port("port").unwrap();
        let address = port.address();
        let clone = port.clone();
        drop(port);
        assert!(client.get_port_info(address).is_ok(), "another handle still exists");
        drop(clone);
        assert_eq!(errno(client.get_port_info(address)), Errno::NOT_FOUND);
    }

    fn a_closed_port_is_deleted_once(rig) {
        let client = rig.client("ports");
        let port = client.create_port("port").unwrap();
        port.close().unwrap();
        port.close().unwrap();
        // Another port now has the number, and dropping the old handle must not delete it.
        let other = client.create_port("other").unwrap();
        assert_eq!(other.port_id(), port.port_id());
        drop(port);
        assert_eq!(other.get_info().unwrap().name, "other");
    }

    fn a_deleted_port_loses_its_connections(rig) {
        let pair = rig.pair();
        drop(pair.into);
        assert_eq!(pair.out.list_subscribers(None).unwrap(), []);
        pair.sender.event_output_direct(&note(60), &pair.out).unwrap();
        while let Some(event) = pair.receiver.try_event_input().unwrap() {
            assert!(!event.event_type().has_channel(), "{event}");
        }
    }

    fn an_own_queue_is_deleted_and_a_foreign_one_released(rig) {
        let (owner, user) = (rig.client("owner"), rig.client("user"));
        let queue = owner.create_queue("q").unwrap();
        let number = queue.queue_id();
        let used = user.get_queue(number).unwrap();
        assert!(user.get_queue_usage(number).unwrap());
        drop(used);
        assert!(!user.get_queue_usage(number).unwrap());
        assert!(owner.get_queue_info(number).is_ok());
        let clone = queue.clone();
        drop(queue);
        assert!(owner.get_queue_info(number).is_ok(), "another handle still exists");
        drop(clone);
        assert_eq!(errno(owner.get_queue_info(number)), Errno::INVALID);
        let again = owner.create_queue("again").unwrap();
        again.close().unwrap();
        again.close().unwrap();
        assert_eq!(errno(owner.get_queue_info(number)), Errno::INVALID);
    }

    fn a_dropped_handle_keeps_the_use_of_a_concurrent_one(rig) {
        let (owner, user) = (rig.client("owner"), rig.client("user"));
        let own = owner.create_queue("q").unwrap();
        let queue = own.queue_id();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let handle = user.get_queue(queue).unwrap();
                        assert!(handle.get_usage().unwrap(), "round {round}");
                    }
                });
            }
        });
        assert!(!user.get_queue_usage(queue).unwrap());
    }

    fn a_closed_client_deletes_its_ports_and_queues(rig) {
        let (client, other) = (rig.client("closed"), rig.client("other"));
        let port = client.create_port("port").unwrap();
        let queue = client.create_queue("queue").unwrap();
        let number = client.client_id();
        client.close();
        assert_eq!(client.get_queue(queue.queue_id()).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(errno(other.get_any_client_info(number)), Errno::NOT_FOUND);
        assert_eq!(errno(other.get_queue_info(queue.queue_id())), Errno::INVALID);
        // The remaining handles must not affect the next client that gets the number.
        let next = rig.client("next");
        assert_eq!(next.client_id(), number);
        let port_of_next = next.create_port("next port").unwrap();
        drop((port, queue, client));
        assert_eq!(port_of_next.get_info().unwrap().name, "next port");
        assert_no_event(&next);
    }

    fn events_for_a_closed_client_are_removed_from_the_queues_it_used(rig) {
        let (sender, user, other) = (rig.client("a"), rig.client("b"), rig.client("c"));
        let out = sender.create_port("out").unwrap();
        let destinations = [user.create_port("in").unwrap(), other.create_port("in").unwrap()];
        let queue = sender.create_queue("q").unwrap();
        let used = user.get_queue(queue.queue_id()).unwrap();
        for port in &destinations {
            let waiting = note(60).on_queue(&queue).at_tick(100).to(port);
            sender.event_output(&waiting, &out).unwrap();
        }
        sender.drain_output().unwrap();
        assert_eq!(queue.get_status().unwrap().events, 2);
        other.close();
        assert_eq!(queue.get_status().unwrap().events, 2);
        user.close();
        assert_eq!(queue.get_status().unwrap().events, 1);
        assert_eq!(sender.get_client_pool().unwrap().output_free, 499);
        drop(used);
    }

    fn a_client_exists_as_long_as_its_ports(rig) {
        let other = rig.client("other");
        let client = rig.client("short");
        let number = client.client_id();
        let port = client.create_port("port").unwrap();
        drop(client);
        assert_eq!(port.get_info().unwrap().name, "port");
        drop(port);
        assert_eq!(errno(other.get_any_client_info(number)), Errno::NOT_FOUND);
    }
}
