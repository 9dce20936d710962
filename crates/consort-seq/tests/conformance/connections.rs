//! Ports and the connections between them.

use consort_seq::client::{READ_PORT, RW_PORT, WRITE_PORT};
use consort_seq::{
    PortCaps, PortOptions, PortType, SubscribeOptions, SubscriptionQuery, SubscriptionQueryType,
};

use crate::support::{assert_no_event, note, notes};

cases! {
    fn a_new_port(rig) {
        let client = rig.client("ports");
        let port = client.create_port("simple").unwrap();
        let info = port.get_info().unwrap();
        assert_eq!(info.address(), port.address());
        assert_eq!((info.name.as_str(), info.capability), ("simple", RW_PORT));
        assert_eq!(info.port_type, PortType::MIDI_GENERIC | PortType::SOFTWARE);
        assert_eq!((info.midi_channels, info.midi_voices, info.synth_voices), (16, 64, 0));
        assert_eq!((info.read_use, info.write_use, info.timestamping), (0, 0, false));
        assert_eq!(client.get_port_info(&port).unwrap(), info);
        let options = PortOptions::new("full")
            .caps(WRITE_PORT)
            .port_type(PortType::MIDI_GENERIC | PortType::SYNTHESIZER)
            .midi_channels(3)
            .midi_voices(5)
            .synth_voices(7);
        let info = client.create_port(options).unwrap().get_info().unwrap();
        assert_eq!(info.capability, PortCaps::WRITE | PortCaps::SUBS_WRITE);
        assert_eq!((info.midi_channels, info.midi_voices, info.synth_voices), (3, 5, 7));
    }

    fn port_info_can_be_set(rig) {
        let client = rig.client("ports");
        let port = client.create_port("before").unwrap();
        let mut info = port.get_info().unwrap();
        info.name = "after".to_owned();
        info.capability = READ_PORT;
        info.port_type = PortType::APPLICATION;
        info.midi_channels = 4;
        port.set_info(&info).unwrap();
        assert_eq!(port.get_info().unwrap(), info);
        info.name = "again".to_owned();
        client.set_port_info(&port, &info).unwrap();
        assert_eq!(port.get_info().unwrap().name, "again");
    }

    fn ports_can_be_enumerated(rig) {
        let client = rig.client("ports");
        let ports: Vec<_> = ["a", "b", "c"].map(|name| client.create_port(name).unwrap()).into();
        ports[1].close().unwrap();
        let first = client.query_next_port(client.client_id(), None).unwrap().unwrap();
        assert_eq!((first.port_id, first.name.as_str()), (0, "a"));
        let next = client.query_next_port(client.client_id(), Some(0)).unwrap().unwrap();
        assert_eq!((next.port_id, next.name.as_str()), (2, "c"));
        assert_eq!(client.query_next_port(client.client_id(), Some(2)).unwrap(), None);
        assert_eq!(client.query_next_port(client.client_id(), Some(255)).unwrap(), None);
    }

    fn connecting_and_disconnecting(rig) {
        let client = rig.client("ports");
        let [a, b] = ["a", "b"].map(|name| client.create_port(name).unwrap());
        a.connect_to(&b).unwrap();
        assert_eq!((a.get_info().unwrap().read_use, b.get_info().unwrap().write_use), (1, 1));
        client.event_output_direct(&note(1), &a).unwrap();
        assert_eq!(notes(&[rig.receive(&client)]), [1]);
        a.disconnect_to(&b).unwrap();
        a.connect_from(&b).unwrap();
        client.event_output_direct(&note(2), &a).unwrap();
        assert_no_event(&client);
        client.event_output_direct(&note(3), &b).unwrap();
        assert_eq!(notes(&[rig.receive(&client)]), [3]);
        a.disconnect_from(&b).unwrap();
        a.connect_to_with(&b, SubscribeOptions::new().exclusive()).unwrap();
        assert!(a.list_subscribers(Some(SubscriptionQueryType::Read)).unwrap()[0].exclusive);
    }

    fn subscribers_are_listed(rig) {
        let client = rig.client("ports");
        let queue = client.create_queue("q").unwrap();
        let [hub, x, y, z] = ["hub", "x", "y", "z"].map(|name| client.create_port(name).unwrap());
        hub.connect_to(&x).unwrap();
        let stamped = SubscribeOptions::new().stamp_real_time(&queue);
        client.subscribe_port(&hub, &y, stamped).unwrap();
        hub.connect_from(&z).unwrap();
        let readers = hub.list_subscribers(Some(SubscriptionQueryType::Read)).unwrap();
        let addresses: Vec<_> = readers.iter().map(|query| query.addr).collect();
        assert!(addresses.contains(&x.address()) && addresses.contains(&y.address()));
        assert_eq!(readers.len(), 2);
        assert_eq!(readers[0].num_subs, 2);
        let y_connection = readers.iter().find(|query| query.addr == y.address()).unwrap();
        assert!(y_connection.time_update && y_connection.time_real && !y_connection.exclusive);
        assert_eq!(y_connection.queue_id, queue.queue_id());
        let writers = client.list_port_subscribers(&hub, Some(SubscriptionQueryType::Write)).unwrap();
        assert_eq!(writers.iter().map(|query| query.addr).collect::<Vec<_>>(), [z.address()]);
        assert_eq!(client.list_port_subscribers(&hub, None).unwrap().len(), 3);
        let enumerated = client.iter_port_subscribers(&hub, SubscriptionQueryType::Read);
        assert_eq!(enumerated.collect::<Result<Vec<_>, _>>().unwrap(), readers);
        let query = SubscriptionQuery::new(&hub, SubscriptionQueryType::Write, 0);
        assert_eq!(client.query_port_subscribers(&query).unwrap().addr, z.address());
        assert!(client.list_port_subscribers((190, 0), None).is_err());
    }

    fn foreign_ports_can_be_connected(rig) {
        let pair = rig.pair();
        let third = rig.client("patchbay");
        third.unsubscribe_port(&pair.out, &pair.into).unwrap();
        // The receiver is notified; the sender's notice is not read in this test.
        rig.receive(&pair.receiver);
        pair.send(&[note(1)]);
        assert_no_event(&pair.receiver);
        third.subscribe_port(&pair.out, &pair.into, SubscribeOptions::new()).unwrap();
        rig.receive(&pair.receiver);
        pair.send(&[note(2)]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [2]);
    }
}
