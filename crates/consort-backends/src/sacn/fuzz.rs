//! Body of the fuzz target, also run on the committed corpus by the tests. Not part of the
//! interface.

use super::codec::{Data, Packet, encode_discovery};

/// Reads anything; what is read must survive being written.
pub fn sacn_packet(bytes: &[u8]) {
    match Packet::decode(bytes) {
        Ok(Packet::Data(data)) => {
            assert!(data.slots.len() <= 512 && data.name.len() <= 63);
            assert!((1..=63_999).contains(&data.universe) && data.priority <= 200);
            let mut again = Vec::new();
            data.encode(&mut again);
            assert_eq!(again.len(), 126 + data.slots.len());
            assert_eq!(Packet::decode(&again), Ok(Packet::Data(Data { ..data })));
        }
        Ok(Packet::Discovery(discovery)) => {
            let list: Vec<u16> = discovery.universes().collect();
            assert!(list.len() <= 512);
            encode_discovery(discovery.cid, discovery.name, &list, |page| {
                match Packet::decode(page) {
                    Ok(Packet::Discovery(again)) => {
                        assert!(again.universes().eq(list.iter().copied()))
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
        Ok(_) => assert!(bytes.len() >= 44),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
