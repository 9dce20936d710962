//! Ports as streams of MIDI bytes.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use consort_seq::client::RW_PORT;
use consort_seq::{Event, MidiStream, PortOptions};

use crate::support::Rig;

/// A client with a port, as a stream.
fn stream(rig: &Rig, name: &str) -> MidiStream {
    let client = rig.client(name);
    let port = client.create_port(PortOptions::new("midi").caps(RW_PORT)).unwrap();
    let stream = client.into_stream(port);
    stream.set_read_timeout(Some(rig.timeout()));
    stream
}

cases! {
    fn bytes_that_are_written_in_parts_are_read_as_messages(rig) {
        let (mut keys, mut synth) = (stream(rig, "keys"), stream(rig, "synth"));
        synth.port().connect_from(keys.port()).unwrap();
        // Running status, a clock inside a message, and a long system exclusive message.
        let mut exclusive = vec![0x55; 3_000];
        (exclusive[0], exclusive[2_999]) = (0xf0, 0xf7);
        let written = [&[0x90, 60, 100, 62, 0xf8, 101, 0xc3, 5][..], &exclusive].concat();
        let read = [&[0x90, 60, 100, 0xf8, 0x90, 62, 101, 0xc3, 5][..], &exclusive].concat();
        for part in written.chunks(7) {
            keys.write_all(part).unwrap();
        }
        keys.flush().unwrap();
        let mut bytes = vec![0; read.len()];
        // A buffer that is smaller than a message loses nothing.
        for part in bytes.chunks_mut(5) {
            synth.read_exact(part).unwrap();
        }
        assert_eq!(bytes, read);
    }

    fn a_stream_has_the_bytes_of_its_port_alone_and_ends_with_its_client(rig) {
        let (mut keys, mut synth) = (stream(rig, "keys"), stream(rig, "synth"));
        let other = synth.create_port(PortOptions::new("other").caps(RW_PORT)).unwrap();
        keys.port().connect_to(&other).unwrap();
        keys.write_all(&[0x90, 1, 1]).unwrap();
        keys.port().connect_to(synth.port()).unwrap();
        keys.write_all(&[0x80, 2, 2]).unwrap();
        // An event without MIDI bytes.
        let event = Event::new(consort_seq::Payload::None).to(synth.port());
        keys.event_output_direct(&event, keys.port()).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(synth.read(&mut bytes).unwrap(), 3);
        assert_eq!(bytes[..3], [0x80, 2, 2]);
        synth.set_read_timeout(Some(Duration::ZERO));
        assert_eq!(synth.read(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        synth.set_read_timeout(None);
        synth.close();
        assert_eq!(synth.read(&mut bytes).unwrap(), 0);
        assert!(synth.write(&[0xf8]).is_err());
    }
}
