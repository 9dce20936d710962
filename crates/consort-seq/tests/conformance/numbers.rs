//! The numbers of clients, ports and queues.

use consort_seq::{Address, ClientType, Errno, PortOptions};

use crate::support::{errno, note, notes};

cases! {
    fn system_and_midi_through_exist(rig) {
        let client = rig.client("numbers");
        let system = client.get_any_client_info(0).unwrap();
        assert_eq!((system.name.as_str(), system.client_type), ("System", ClientType::Kernel));
        let through = client.get_any_client_info(14).unwrap();
        assert_eq!((through.name.as_str(), through.client_type), ("Midi Through", ClientType::Kernel));
        let timer = client.get_port_info(Address::SYSTEM_TIMER).unwrap();
        let announce = client.get_port_info(Address::SYSTEM_ANNOUNCE).unwrap();
        assert_eq!((timer.name.as_str(), announce.name.as_str()), ("Timer", "Announce"));
    }

    fn clients_get_the_lowest_free_number_from_128(rig) {
        let (first, second, third) = (rig.client("a"), rig.client("b"), rig.client("c"));
        let base = first.client_id();
        assert!((128..192).contains(&base));
        assert_eq!((second.client_id(), third.client_id()), (base + 1, base + 2));
        drop(second);
        assert_eq!(rig.client("d").client_id(), base + 1);
    }

    fn clients_are_exhausted_at_192(rig) {
        let mut clients = Vec::new();
        let error = loop {
            let opened = consort_seq::SequencerClient::builder("many").engine(rig.engine()).open();
            match opened {
                Ok(client) => clients.push(client),
                Err(error) => break error,
            }
        };
        assert_eq!(error.errno(), Some(Errno::NO_MEMORY));
        assert_eq!(clients.last().unwrap().client_id(), 191);
        assert!(error.to_string().contains("close other sequencer clients"), "{error}");
    }

    fn ports_get_the_lowest_free_number(rig) {
        let client = rig.client("ports");
        let first = client.create_port("a").unwrap();
        let second = client.create_port("b").unwrap();
        let third = client.create_port("c").unwrap();
        assert_eq!([first.port_id(), second.port_id(), third.port_id()], [0, 1, 2]);
        second.close().unwrap();
        assert_eq!(client.create_port("d").unwrap().port_id(), 1);
    }

    fn a_client_has_at_most_254_ports(rig) {
        let client = rig.client("ports");
        let mut ports = Vec::new();
        let error = loop {
            match client.create_port("port") {
                Ok(port) => ports.push(port),
                Err(error) => break error,
            }
            assert!(ports.len() <= 254, "more than 254 ports");
        };
        let errno = if rig.is_at_least(7, 1) { Errno::INVALID } else { Errno::NO_MEMORY };
        assert_eq!((ports.len(), error.errno()), (254, Some(errno)));
    }

    fn a_port_number_can_be_requested(rig) {
        let client = rig.client("ports");
        let port = client.create_port(PortOptions::new("seven").port_id(7)).unwrap();
        assert_eq!(port.port_id(), 7);
        let again = client.create_port(PortOptions::new("again").port_id(7));
        if rig.is_at_least(7, 0) {
            assert_eq!(errno(again), Errno::BUSY);
        } else {
            again.unwrap();
        }
    }

    fn there_are_32_queues_with_the_lowest_free_numbers(rig) {
        let client = rig.client("queues");
        let first = client.create_queue("first").unwrap();
        let mut queues: Vec<_> = (0..31).map(|_| client.create_queue("").unwrap()).collect();
        assert_eq!(first.queue_id(), 0);
        assert!(queues.iter().map(|queue| queue.queue_id()).eq(1..32));
        assert_eq!(errno(client.create_queue("too many")), Errno::NO_MEMORY);
        queues.remove(4);
        assert_eq!(client.create_queue("again").unwrap().queue_id(), 5);
    }

    fn system_info_counts(rig) {
        let client = rig.client("info");
        let before = client.get_system_info().unwrap();
        assert_eq!((before.queues, before.clients, before.ports, before.channels), (32, 192, 254, 256));
        let other = rig.client("other");
        let queue = other.create_queue("q").unwrap();
        let after = client.get_system_info().unwrap();
        assert_eq!(after.cur_clients, before.cur_clients + 1);
        assert_eq!(after.cur_queues, before.cur_queues + 1);
        assert_eq!(client.list_queues().unwrap().len() as u32, after.cur_queues);
        drop(queue);
    }

    fn midi_through_forwards_events(rig) {
        let client = rig.client("through");
        let port = client.create_port("both").unwrap();
        port.connect_to((14, 0)).unwrap();
        port.connect_from((14, 0)).unwrap();
        client.event_output_direct(&note(60), &port).unwrap();
        let event = rig.receive(&client);
        assert_eq!((event.source(), notes(std::slice::from_ref(&event))), (Address::new(14, 0), vec![60]));
    }
}
