//! Body of the fuzz target, also run on the committed corpus by the tests. Not part of the
//! interface.

use super::codec::{Dmx, Packet};

/// Reads anything; what is read must survive being written.
pub fn artnet_packet(bytes: &[u8]) {
    match Packet::decode(bytes) {
        Ok(Packet::Dmx(dmx)) => {
            assert!((1..=512).contains(&dmx.data.len()) && dmx.port_address <= 0x7FFF);
            let mut even = dmx.data.to_vec();
            if even.len() % 2 == 1 {
                even.push(0);
            }
            let mut again = Vec::new();
            Dmx { data: &even, ..dmx }.encode(&mut again);
            assert_eq!(Packet::decode(&again), Ok(Packet::Dmx(Dmx { data: &even, ..dmx })));
        }
        Ok(_) => assert!(bytes.len() >= 10),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
