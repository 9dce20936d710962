//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use super::codec::{Dmx, Packet};

/// Decodes any bytes. A decoded packet must survive a round trip.
pub fn artnet_packet(bytes: &[u8]) {
    match Packet::decode(bytes) {
        Ok(Packet::Dmx(dmx)) => {
            assert!((1..=512).contains(&dmx.data.len()) && dmx.port_address <= 0x7FFF);
            let mut even = dmx.data.to_vec();
            if even.len() % 2 == 1 {
                even.push(0);
            }
            let mut encoded = Vec::new();
            Dmx { data: &even, ..dmx }.encode(&mut encoded);
            assert_eq!(Packet::decode(&encoded), Ok(Packet::Dmx(Dmx { data: &even, ..dmx })));
        }
        Ok(_) => assert!(bytes.len() >= 10),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
