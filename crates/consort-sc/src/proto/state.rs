//! What a client knows of its server and what belongs to it: its ids, the mirror of the server's
//! nodes and buffers, its SynthDefs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::SynthDefInfo;
use crate::allocator::{BlockAllocator, MAX_CLIENT_ID, NodeIdAllocator, partition};
use crate::context::Conventions;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::Mirror;
use crate::options::Options;
use crate::queries::NodeInfo;
use crate::tree::QueryTreeGroup;
use crate::values::CalculationRate;

/// The maximum number of buffers that are recorded as allocated.
const MAX_LIVE_BUFFERS: usize = 1 << 20;
/// How many SynthDefs are remembered until it is known whether the server accepted them.
const MAX_UNCHECKED_SYNTHDEFS: usize = 4_096;
/// The number of scope buffers in a server's shared memory.
const SCOPE_BUFFER_COUNT: u32 = 128;

/// Ids, mirror, buffers and SynthDefs of one client. A connection owns it and keeps it up to date.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) client_id: u32,
    pub(crate) maximum_logins: u32,
    pub(crate) latency: f64,
    pub(crate) nodes: NodeIdAllocator,
    pub(crate) audio_buses: BlockAllocator,
    pub(crate) control_buses: BlockAllocator,
    pub(crate) buffers: BlockAllocator,
    pub(crate) scope_buffers: BlockAllocator,
    pub(crate) mirror: Mirror,
    /// The buffers that the server has allocated, according to its replies.
    pub(crate) live_buffers: HashSet<i32>,
    /// The SynthDefs whose controls are known, by name.
    pub(crate) synthdefs: HashMap<String, Arc<SynthDefInfo>>,
    /// SynthDefs that were sent, and of which it is not known whether the server accepted them.
    unchecked_synthdefs: VecDeque<Arc<SynthDefInfo>>,
    /// How requests are written.
    pub(crate) conventions: Conventions,
    next_sync_id: i32,
}

/// Ids that become free again when a request is sent, or when it is dropped without being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// A node id.
    Node(i32),
    /// Buses of one rate: the first id and the count.
    Buses(CalculationRate, u32, u32),
    /// Buffers: the first id and the count.
    Buffers(u32, u32),
    /// A scope buffer.
    ScopeBuffer(u32),
}

impl State {
    /// The state of the only client of a server with these options.
    pub(super) fn new(options: Options, latency: f64) -> Self {
        let mut state = Self {
            client_id: 0,
            maximum_logins: 1,
            latency,
            nodes: NodeIdAllocator::new(0, options.initial_node_id),
            audio_buses: BlockAllocator::new("audio buses", 0, 0),
            control_buses: BlockAllocator::new("control buses", 0, 0),
            buffers: BlockAllocator::new("buffers", 0, 0),
            scope_buffers: BlockAllocator::new("scope buffers", 0, 0),
            mirror: Mirror::default(),
            live_buffers: HashSet::new(),
            synthdefs: HashMap::new(),
            unchecked_synthdefs: VecDeque::new(),
            conventions: Conventions::default(),
            next_sync_id: 0,
            options,
        };
        state.assign_ids(0, 1);
        state
    }

    /// Assigns this client its share of all ids, all of them free.
    fn assign_ids(&mut self, client_id: u32, maximum_logins: u32) {
        let options = &self.options;
        self.client_id = client_id;
        self.maximum_logins = maximum_logins;
        let share = |first, total| partition(first, total, client_id, maximum_logins);
        let (first, count) =
            share(options.first_private_bus_id(), options.private_audio_bus_channel_count());
        self.audio_buses = BlockAllocator::new("audio buses", first, count);
        let (first, count) = share(0, options.control_bus_channel_count);
        self.control_buses = BlockAllocator::new("control buses", first, count);
        let (first, count) = share(0, options.buffer_count);
        self.buffers = BlockAllocator::new("buffers", first, count);
        let (first, count) = share(0, SCOPE_BUFFER_COUNT);
        self.scope_buffers = BlockAllocator::new("scope buffers", first, count);
        self.nodes = NodeIdAllocator::new(client_id, options.initial_node_id);
        // Every client's default group is reserved, but only this client's own is in its range.
        for client in 0..maximum_logins {
            self.nodes.reserve_permanent(client as i32 + 1);
        }
    }

    /// Frees the ids of nodes that ended. The ids from 1 to the number of logins stay reserved
    /// for the default groups.
    fn free_nodes(&mut self, ids: impl IntoIterator<Item = i32>) {
        for id in ids {
            if id > self.maximum_logins as i32 {
                self.nodes.free(id);
            }
        }
    }

    /// Records the controls of a SynthDef that is sent to the server.
    pub(crate) fn add_synthdef(&mut self, info: &Arc<SynthDefInfo>) {
        self.synthdefs.insert(info.name.clone(), info.clone());
        if self.unchecked_synthdefs.len() >= MAX_UNCHECKED_SYNTHDEFS {
            self.unchecked_synthdefs.pop_front();
        }
        self.unchecked_synthdefs.push_back(info.clone());
    }

    /// The allocator of the buses of one rate.
    pub(crate) fn buses(&mut self, rate: CalculationRate) -> &mut BlockAllocator {
        match rate {
            CalculationRate::Audio => &mut self.audio_buses,
            CalculationRate::Control => &mut self.control_buses,
        }
    }
}

/// The life of a connection.
impl State {
    /// A number for the next `/sync`.
    pub(crate) fn next_sync_id(&mut self) -> i32 {
        let id = self.next_sync_id;
        self.next_sync_id = id.checked_add(1).unwrap_or(0);
        id
    }

    /// Resets the state because a server is about to be booted or connected to.
    pub(super) fn begin(&mut self, options: &Options) {
        self.options = options.clone();
        self.end();
        self.synthdefs.clear();
        self.unchecked_synthdefs.clear();
        self.assign_ids(0, options.maximum_logins);
    }

    /// Assigns the ids that belong to the client id that the server has assigned.
    pub(super) fn log_in(&mut self, client_id: u32, maximum_logins: u32) -> Result<()> {
        if client_id > MAX_CLIENT_ID {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "the server assigned client id {client_id}; node ids exist for 0 to {MAX_CLIENT_ID}"
                ),
            ));
        }
        self.assign_ids(client_id, maximum_logins);
        Ok(())
    }

    /// Clears the mirror because the server has ended or the connection is lost.
    pub(super) fn end(&mut self) {
        self.mirror = Mirror::default();
        self.live_buffers.clear();
    }

    /// The SynthDefs that were sent since the last call.
    pub(crate) fn take_unchecked_synthdefs(&mut self) -> Vec<Arc<SynthDefInfo>> {
        self.unchecked_synthdefs.drain(..).collect()
    }

    /// These SynthDefs are being checked.
    pub(crate) fn forget_unchecked_synthdefs(&mut self, infos: &[Arc<SynthDefInfo>]) {
        let names: HashSet<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        self.unchecked_synthdefs.retain(|info| !names.contains(info.name.as_str()));
    }

    /// Frees all ids after a reset.
    pub(crate) fn reset_ids(&mut self) {
        let nodes = self.nodes.clone();
        self.assign_ids(self.client_id, self.maximum_logins);
        // Temporary node ids continue, so that a late notification cannot refer to a new node.
        self.nodes = nodes;
    }

    /// Frees ids.
    pub(crate) fn release(&mut self, released: impl IntoIterator<Item = Release>) {
        for ids in released {
            match ids {
                Release::Node(id) => self.nodes.free(id),
                Release::Buses(rate, start, count) => self.buses(rate).free(start, count),
                Release::Buffers(start, count) => self.buffers.free(start, count),
                Release::ScopeBuffer(id) => self.scope_buffers.free(id, 1),
            }
        }
    }
}

/// Notifications of the server. The methods return whether the mirror has unconfirmed entries;
/// then the caller has to query the server once more.
impl State {
    /// A node started (`/n_go`).
    pub(super) fn node_started(&mut self, info: &NodeInfo) -> bool {
        let replaced = self.mirror.node_started(info);
        if self.mirror.contains(info.id) {
            self.nodes.reserve_permanent(info.id);
        }
        self.free_nodes(replaced);
        self.mirror.needs_barrier()
    }

    /// A node ended (`/n_end`).
    pub(super) fn node_ended(&mut self, info: &NodeInfo) -> bool {
        self.mirror.node_ended(info);
        self.free_nodes([info.id]);
        self.mirror.needs_barrier()
    }

    /// A node moved (`/n_move`).
    pub(super) fn node_moved(&mut self, info: &NodeInfo) -> bool {
        self.mirror.node_moved(info);
        self.mirror.needs_barrier()
    }

    /// A node was paused (`/n_off`) or resumed (`/n_on`).
    pub(super) fn node_paused(&mut self, id: i32, paused: bool) -> bool {
        self.mirror.set_running(id, !paused);
        self.mirror.needs_barrier()
    }

    /// Called when the server has answered the query about unconfirmed entries: confirms or removes
    /// them.
    pub(super) fn reconcile(&mut self) {
        let replaced = self.mirror.reconcile();
        self.free_nodes(replaced);
    }

    /// Seeds the mirror with the tree of the root. A tree that was put together from several
    /// replies comes with the count of `changes` at its beginning; it is rejected if the mirror has
    /// changed since. Returns whether the tree was used.
    pub(super) fn seed(&mut self, tree: &QueryTreeGroup, changes: Option<u64>) -> bool {
        if tree.id != 0 || changes.is_some_and(|changes| changes != self.mirror.changes()) {
            return false;
        }
        self.mirror.seed(tree);
        for (_, node) in tree.walk() {
            self.nodes.reserve_permanent(node.id());
            self.nodes.skip_past(node.id());
        }
        true
    }

    /// The number of mirrored groups, and of the mirror's changes so far.
    pub(super) fn mirrored_groups(&self) -> (usize, u64) {
        (self.mirror.group_count(), self.mirror.changes())
    }

    /// Whether the mirror contains the node.
    pub(crate) fn has_node(&self, id: i32) -> bool {
        self.mirror.contains(id)
    }

    /// The server has allocated a buffer.
    pub(super) fn buffer_allocated(&mut self, id: i32) {
        if self.live_buffers.len() < MAX_LIVE_BUFFERS {
            self.live_buffers.insert(id);
        }
    }

    /// The server has freed a buffer: its id may be allocated again.
    pub(super) fn buffer_freed(&mut self, id: i32) {
        self.live_buffers.remove(&id);
        if let Ok(id) = u32::try_from(id) {
            self.buffers.free(id, 1);
        }
    }
}
