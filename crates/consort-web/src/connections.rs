//! How many connections there may be, in total and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// All connections at a time.
const MAX_CONNECTIONS: usize = 128;
/// Connections from one address at a time; a browser opens up to seven.
const MAX_PER_ADDRESS: usize = 32;
/// WebSockets at a time. Each has a connection to the show.
pub(crate) const MAX_SOCKETS: usize = 16;

/// The open connections by address.
#[derive(Clone, Default)]
pub(crate) struct Connections {
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection; it is counted until it is dropped.
pub(crate) struct Counted {
    address: IpAddr,
    connections: Connections,
}

impl Connections {
    /// Counts a connection; `None` if there are too many.
    pub(crate) fn add(&self, address: IpAddr) -> Option<Counted> {
        let mut by_address = self.by_address.lock();
        let total: usize = by_address.values().sum();
        let same = by_address.get(&address).copied().unwrap_or(0);
        if total >= MAX_CONNECTIONS || same >= MAX_PER_ADDRESS {
            return None;
        }
        by_address.insert(address, same + 1);
        Some(Counted { address, connections: self.clone() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_address = self.connections.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_keep_others_out() {
        let connections = Connections::default();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut open: Vec<Counted> = std::iter::from_fn(|| connections.add(address(1))).collect();
        assert_eq!(open.len(), MAX_PER_ADDRESS);
        open.extend((2..=4).flat_map(|last| {
            std::iter::from_fn(|| connections.add(address(last))).collect::<Vec<_>>()
        }));
        assert_eq!(open.len(), MAX_CONNECTIONS);
        assert!(connections.add(address(9)).is_none());
        open.pop();
        assert!(connections.add(address(9)).is_some());
        drop(open);
        assert!(connections.by_address.lock().is_empty());
    }
}
