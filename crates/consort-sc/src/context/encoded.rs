//! For fronts in other languages, which encode their packets themselves: packets, ids and the mirror
//! by number.

use std::sync::Arc;
use std::time::Duration;

use consort_osc::OscMessage;

use super::{Context, Release};
use crate::SynthDefFile;
use crate::error::Result;
use crate::pending::{Pending, Slot};
use crate::requests::ReplyPattern;
use crate::values::CalculationRate;

/// The message that an encoded packet is answered with.
#[derive(Debug)]
pub struct ReplyWait {
    /// The address of the request. A `/fail` that names it ends the wait.
    pub(crate) command: String,
    pub(crate) pattern: ReplyPattern,
    pub(crate) slot: Arc<Slot<OscMessage>>,
    /// How long the reply may take; `None` for [`Timeouts::request`](crate::Timeouts::request).
    pub(crate) timeout: Option<Duration>,
}

/// Encoded packets.
impl Context {
    /// Sends a packet that is encoded already, past any open moment.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`](crate::ErrorKind::ServerOffline),
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn send_encoded(&self, packet: &[u8]) -> Result<()> {
        self.shared().host()?.transmit_encoded(packet, None)
    }

    /// As `send_encoded`, and returns the pending message that matches `pattern`, which has to
    /// arrive within `timeout`. A `/fail` that names `command` ends the wait with an error.
    ///
    /// # Errors
    /// As `send_encoded`.
    pub fn ask_encoded(
        &self,
        packet: &[u8],
        command: impl Into<String>,
        pattern: ReplyPattern,
        timeout: Option<Duration>,
    ) -> Result<Pending<OscMessage>> {
        let slot = Slot::new();
        let wait = ReplyWait { command: command.into(), pattern, slot: slot.clone(), timeout };
        self.shared().host()?.transmit_encoded(packet, Some(wait))?;
        Ok(Pending::new(slot, |message| Ok(message.clone())))
    }

    /// Remembers the controls of SynthDefs that an encoded packet sends.
    pub fn remember_synthdefs(&self, file: &SynthDefFile) {
        let mut state = self.shared().lock();
        file.definitions().iter().for_each(|info| state.add_synthdef(info));
    }
}

/// Ids by number.
impl Context {
    /// A free node id.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`](crate::ErrorKind::Allocation) if no permanent id is free.
    pub fn allocate_node_id(&self, permanent: bool) -> Result<i32> {
        let mut state = self.shared().lock();
        if permanent { state.nodes.allocate_permanent() } else { Ok(state.nodes.allocate()) }
    }

    /// The first of `count` free buses with consecutive ids.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`](crate::ErrorKind::Allocation) if there are not as many.
    pub fn allocate_bus_ids(&self, rate: CalculationRate, count: u32) -> Result<u32> {
        self.shared().lock().buses(rate).allocate(count)
    }

    /// The first of `count` free buffers with consecutive ids.
    ///
    /// # Errors
    /// As [`allocate_bus_ids`](Self::allocate_bus_ids).
    pub fn allocate_buffer_ids(&self, count: u32) -> Result<u32> {
        self.shared().lock().buffers.allocate(count)
    }

    /// A free scope buffer.
    ///
    /// # Errors
    /// As [`allocate_bus_ids`](Self::allocate_bus_ids).
    pub fn allocate_scope_buffer_id(&self) -> Result<u32> {
        self.shared().lock().scope_buffers.allocate(1)
    }

    /// Frees the id of a node that was never sent to the server. The ids of others are free when
    /// they end.
    pub fn free_node_id(&self, id: i32) {
        self.shared().release([Release::Node(id)]);
    }

    /// Frees buses.
    pub fn free_bus_ids(&self, rate: CalculationRate, first: u32, count: u32) {
        self.shared().release([Release::Buses(rate, first, count)]);
    }

    /// Frees the ids of buffers that were never sent to the server. The ids of others are free when
    /// the server has freed them.
    pub fn free_buffer_ids(&self, first: u32, count: u32) {
        self.shared().release([Release::Buffers(first, count)]);
    }

    /// Frees all ids but those of the default groups, because the caller has freed everything on the
    /// server.
    pub fn reset_ids(&self) {
        self.shared().lock().reset_ids();
    }

    /// Frees a scope buffer.
    pub fn free_scope_buffer_id(&self, id: u32) {
        self.shared().release([Release::ScopeBuffer(id)]);
    }
}

/// The mirror by number.
impl Context {
    /// Whether the server has the node.
    pub fn has_node(&self, id: i32) -> bool {
        self.shared().has_node(id)
    }

    /// Whether the server has the node and does not pause it.
    pub fn is_node_active(&self, id: i32) -> bool {
        self.shared().lock().mirror.is_running(id)
    }

    /// The group that contains the node.
    pub fn node_parent(&self, id: i32) -> Option<i32> {
        self.shared().lock().mirror.parent(id)
    }

    /// The nodes in a group, in order, each with whether it is a group; `None` if there is no such
    /// group.
    pub fn node_children(&self, id: i32) -> Option<Vec<(i32, bool)>> {
        let state = self.shared().lock();
        let children = state.mirror.children(id)?;
        Some(children.iter().map(|id| (*id, state.mirror.is_group(*id))).collect())
    }

    /// The number of nodes that the server has.
    pub fn node_count(&self) -> usize {
        self.shared().lock().mirror.ids().len()
    }

    /// Whether the server has allocated the buffer.
    pub fn has_buffer(&self, id: u32) -> bool {
        i32::try_from(id).is_ok_and(|id| self.shared().lock().live_buffers.contains(&id))
    }
}
