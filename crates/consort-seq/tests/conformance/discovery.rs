//! Listing ports and finding them by name.

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::{Address, ErrorKind, ListPorts, PortCaps, PortOptions, PortType};

cases! {
    fn the_timestamp_queue_is_listed_for_its_own_port_only(rig) {
        let client = rig.client("stamps");
        let _ports = [
            client.create_port(PortOptions::new("stamped").stamp_ticks(2)).unwrap(),
            client.create_port(PortOptions::new("plain")).unwrap(),
        ];
        let ports = client.list_ports(&ListPorts::new().by_address()).unwrap();
        let queues: Vec<(String, u8)> = ports
            .into_iter()
            .filter(|port| port.client_id == client.client_id())
            .map(|port| (port.name, port.timestamp_queue_id))
            .collect();
        assert_eq!(queues, [("stamped".to_owned(), 2), ("plain".to_owned(), 0)]);
    }

    fn ports_are_listed_by_direction_and_type(rig) {
        let client = rig.client("list");
        let generic = PortType::MIDI_GENERIC;
        let create = |name: &str, caps, port_type| {
            client.create_port(PortOptions::new(name).caps(caps).port_type(port_type)).unwrap()
        };
        let source = create("source", READ_PORT, generic);
        let sink = create("sink", WRITE_PORT, generic | PortType::HARDWARE);
        let unconnectable = create("unconnectable", PortCaps::READ, generic);
        let specific = create("specific", WRITE_PORT, PortType::SPECIFIC);
        let hidden = create("hidden", READ_PORT | PortCaps::NO_EXPORT, generic);
        let own = |options: &ListPorts| {
            let mut ports: Vec<u8> = client
                .list_ports(options)
                .unwrap()
                .iter()
                .filter(|info| info.client_id == client.client_id())
                .map(|info| info.port_id)
                .collect();
            ports.sort_unstable();
            ports
        };
        let numbers = |ports: &[&consort_seq::Port]| {
            ports.iter().map(|port| port.port_id()).collect::<Vec<_>>()
        };
        assert_eq!(own(&ListPorts::readable()), numbers(&[&source, &hidden]));
        assert_eq!(own(&ListPorts::readable().without_no_export()), numbers(&[&source]));
        assert_eq!(own(&ListPorts::writable()), numbers(&[&sink]));
        assert_eq!(own(&ListPorts::new()), numbers(&[&source, &sink, &hidden]));
        let any = ListPorts::writable().port_type(PortType::ANY);
        assert_eq!(own(&any), numbers(&[&sink, &specific]));
        let hardware = ListPorts::writable().port_type(generic | PortType::HARDWARE);
        assert_eq!(own(&hardware), numbers(&[&sink]));
        let all_readable = ListPorts { only_connectable: false, ..ListPorts::readable() };
        assert_eq!(own(&all_readable), numbers(&[&source, &unconnectable, &hidden]));
        assert_eq!(own(&ListPorts::everything()).len(), 5);
    }

    fn the_most_useful_port_comes_first(rig) {
        let client = rig.client("synthesizers");
        let generic = PortType::MIDI_GENERIC;
        for (name, port_type) in [
            ("plain", generic | PortType::SOFTWARE),
            ("synth", generic | PortType::SYNTHESIZER),
            ("best", generic | PortType::SYNTHESIZER | PortType::MIDI_GM),
        ] {
            let options = PortOptions::new(name).caps(WRITE_PORT).port_type(port_type);
            std::mem::forget(client.create_port(options).unwrap());
        }
        let names = |options: &ListPorts| -> Vec<String> {
            client.list_ports(options).unwrap().into_iter().map(|info| info.name).collect()
        };
        let listed = names(&ListPorts::writable());
        let position = |name: &str| listed.iter().position(|other| other == name).unwrap();
        assert_eq!(listed[0], "best");
        assert!(position("synth") < position("plain"));
        let last = client.list_ports(&ListPorts::writable()).unwrap().pop().unwrap();
        assert_eq!(last.client_name.as_deref(), Some("Midi Through"));
        let without = client.list_ports(&ListPorts::writable().without_midi_through()).unwrap();
        assert!(without.iter().all(|info| info.client_id != 14));
        let by_address = client.list_ports(&ListPorts::writable().by_address()).unwrap();
        assert!(by_address.iter().map(|info| info.address()).is_sorted());
        client.close();
    }

    fn system_ports_are_listed_on_request(rig) {
        let client = rig.client("list");
        let any = ListPorts::readable().port_type(PortType::ANY);
        let system = |options: &ListPorts| {
            client.list_ports(options).unwrap().iter().any(|info| info.client_id == 0)
        };
        assert!(!system(&any));
        assert!(system(&any.with_system()));
    }

    fn ports_are_found_by_number_and_name(rig) {
        let client = rig.client("My Synth");
        let _first = client.create_port("Lead In").unwrap();
        let second = client.create_port("Pad In").unwrap();
        let find = |text: &str| client.find_port(text).unwrap().address();
        let address = second.address();
        assert_eq!(find(&address.to_string()), address);
        assert_eq!(find(&format!("{}.{}", address.client, address.port)), address);
        assert_eq!(find(&format!("My Synth:Pad In {address}")), address);
        assert_eq!(find("My Synth:Pad In"), address);
        assert_eq!(find("My Synth:1"), address);
        assert_eq!(find("My Synth").port, 0);
        assert_eq!(find("Pad In"), address);
        assert_eq!(find("My Synth:Pa"), address);
        assert_eq!(find("Pad"), address);
        assert_eq!(find("Midi Through"), Address::new(14, 0));
        assert_eq!(client.parse_address("My Synth:1").unwrap(), address);
        assert_eq!(client.parse_address("14").unwrap(), Address::new(14, 0));
    }

    fn a_failed_search_lists_the_candidates(rig) {
        let client = rig.client("My Synth");
        let _ports = ["Lead In", "Lead Out"].map(|name| client.create_port(name).unwrap());
        let error = client.find_port("Lead").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous);
        let text = error.to_string();
        assert!(text.contains("Lead In") && text.contains("Lead Out"), "{text}");
        for name in ["no such port", "190:7", ""] {
            let error = client.find_port(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
            assert!(error.to_string().contains("list_ports"), "{error}");
        }
    }
}
