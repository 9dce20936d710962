//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use super::codec::{Data, Packet, encode_discovery};

/// Decodes any bytes. A decoded packet must survive a round trip.
pub fn sacn_packet(bytes: &[u8]) {
    match Packet::decode(bytes) {
        Ok(Packet::Data(data)) => {
            assert!(data.slots.len() <= 512 && data.name.len() <= 63);
            assert!((1..=63_999).contains(&data.universe) && data.priority <= 200);
            let mut encoded = Vec::new();
            data.encode(&mut encoded);
            assert_eq!(encoded.len(), 126 + data.slots.len());
            assert_eq!(Packet::decode(&encoded), Ok(Packet::Data(Data { ..data })));
        }
        Ok(Packet::Discovery(discovery)) => {
            let list: Vec<u16> = discovery.universes().collect();
            assert!(list.len() <= 512);
            encode_discovery(discovery.cid, discovery.name, &list, |page| {
                match Packet::decode(page) {
                    Ok(Packet::Discovery(decoded)) => {
                        assert!(decoded.universes().eq(list.iter().copied()))
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
        Ok(_) => assert!(bytes.len() >= 44),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
