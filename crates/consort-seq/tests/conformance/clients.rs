//! Information about clients and about the sequencer.

use consort_seq::{ClientType, EventFilter, EventType, MidiVersion, SequencerType};

use crate::support::{assert_no_event, note, notes};

cases! {
    fn a_new_client(rig) {
        let client = rig.client("Zoë’s client");
        let info = client.get_client_info().unwrap();
        assert_eq!((info.client_id, info.name.as_str()), (client.client_id(), "Zoë’s client"));
        assert_eq!((info.client_type, info.num_ports, info.event_lost), (ClientType::User, 0, 0));
        // The kernel reports the thread that opened the client.
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        assert_eq!(info.pid, Some(thread));
        assert_eq!((info.card_id, info.event_filter), (None, None));
        assert_eq!((info.broadcast_filter, info.error_bounce), (false, false));
        assert_eq!(info.midi_version, MidiVersion::Legacy);
        let port = client.create_port("port").unwrap();
        assert_eq!(client.get_client_info().unwrap().num_ports, 1);
        drop(port);
    }

    fn names_are_truncated_to_63_bytes(rig) {
        let client = rig.client(&"é".repeat(40));
        assert_eq!(client.get_client_info().unwrap().name, "é".repeat(31));
        client.set_client_name("renamed").unwrap();
        let other = rig.client("other");
        assert_eq!(other.get_any_client_info(client.client_id()).unwrap().name, "renamed");
    }

    fn client_info_can_be_set(rig) {
        let client = rig.client("info");
        let mut info = client.get_client_info().unwrap();
        info.name = "another".to_owned();
        info.broadcast_filter = true;
        info.error_bounce = true;
        info.event_filter = Some([EventType::NOTE_ON, EventType::SYSTEM_EXCLUSIVE].into_iter().collect());
        client.set_client_info(&info).unwrap();
        assert_eq!(client.get_client_info().unwrap(), info);
        info.event_filter = None;
        client.set_client_info(&info).unwrap();
        assert_eq!(client.get_client_info().unwrap().event_filter, None);
    }

    fn an_event_filter_accepts_the_types_it_names(rig) {
        let pair = rig.pair();
        pair.receiver.set_client_event_filter(EventType::NOTE_OFF).unwrap();
        let filter = pair.receiver.get_client_info().unwrap().event_filter.unwrap();
        assert_eq!(filter.iter().collect::<Vec<_>>(), [EventType::NOTE_OFF]);
        // The sender gets an error, because no client has accepted the event.
        let refused = pair.sender.event_output_direct(&note(60), &pair.out);
        assert_eq!(crate::support::errno(refused), consort_seq::Errno::NOT_FOUND);
        pair.send(&[consort_seq::Event::note_off(0, 61, 0).unwrap()]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [61]);
        assert_no_event(&pair.receiver);
        pair.receiver.set_client_event_filter(EventType::NOTE_ON).unwrap();
        pair.send(&[note(62)]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [62]);
        assert_eq!(EventFilter::from_bitmap(*filter.bitmap()), filter);
    }

    fn clients_can_be_enumerated(rig) {
        let (client, other) = (rig.client("lister"), rig.client("listed"));
        let clients = client.list_clients().unwrap();
        let numbers: Vec<u8> = clients.iter().map(|info| info.client_id).collect();
        assert!(numbers.is_sorted() && numbers.starts_with(&[0]));
        assert!(numbers.contains(&14) && numbers.contains(&other.client_id()));
        let first = client.query_next_client(None).unwrap().unwrap();
        assert_eq!(first.name, "System");
        assert_eq!(client.query_next_client(Some(191)).unwrap(), None);
        let last = *numbers.last().unwrap();
        assert_eq!(client.query_next_client(Some(last)).unwrap(), None);
    }

    fn the_sequencer_reports_its_name_and_type(rig) {
        let client = rig.client("info");
        let name = client.get_sequencer_name().unwrap();
        assert_eq!(name == "embedded", rig.as_embedded().is_some());
        assert_eq!(client.get_sequencer_type().unwrap(), SequencerType::Hardware);
        let version = client.protocol_version().unwrap();
        assert_eq!(version.major(), 1);
        assert!(client.descriptor().unwrap() >= 0);
        assert_eq!(client.streams(), consort_seq::OpenMode::Duplex);
    }

    fn a_client_may_open_one_direction_only(rig) {
        use consort_seq::{OpenMode, SequencerClient};
        let open = |mode| {
            SequencerClient::builder("one way").engine(rig.engine()).streams(mode).open().unwrap()
        };
        let input = open(OpenMode::Input);
        let output = open(OpenMode::Output);
        let port = output.create_port("out").unwrap();
        let into = input.create_port("in").unwrap();
        into.connect_from(&port).unwrap();
        output.event_output_direct(&note(60), &port).unwrap();
        assert_eq!(notes(&[rig.receive(&input)]), [60]);
        assert!(output.event_input(Some(std::time::Duration::ZERO)).is_err());
        assert!(input.event_output_direct(&note(60), &into).is_err());
    }

    fn the_listing_names_clients_ports_and_queues(rig) {
        let client = rig.client("listed client");
        let port = client.create_port("listed port").unwrap();
        let queue = client.create_queue("listed queue").unwrap();
        let (clients, queues) = match rig.as_embedded() {
            Some(embedded) => (embedded.clients_listing(), embedded.queues_listing()),
            None => (
                std::fs::read_to_string("/proc/asound/seq/clients").unwrap(),
                std::fs::read_to_string("/proc/asound/seq/queues").unwrap(),
            ),
        };
        assert!(clients.contains("\"listed client\"") && clients.contains("\"listed port\""), "{clients}");
        assert!(clients.contains(&format!("Client {:3}", client.client_id())), "{clients}");
        assert!(queues.contains("[listed queue]"), "{queues}");
        drop((port, queue));
    }
}
