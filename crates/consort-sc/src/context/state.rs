//! What a context remembers: ids, the mirror of the server, SynthDefs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::Host;
use crate::SynthDefInfo;
use crate::allocator::{BlockAllocator, MAXIMUM_CLIENT_ID, NodeIdAllocator, partition};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::BootStatus;
use crate::mirror::Mirror;
use crate::options::Options;
use crate::queries::NodeInfo;
use crate::tree::QueryTreeGroup;
use crate::values::CalculationRate;

/// At most this many buffers are remembered as allocated.
const MAXIMUM_BUFFERS: usize = 1 << 20;
/// Scope buffers of a server: a limit of its shared memory.
const SCOPE_BUFFER_COUNT: u32 = 128;

#[derive(Debug)]
pub(crate) struct ContextState {
    pub(crate) name: Option<String>,
    pub(crate) options: Options,
    pub(crate) boot_status: BootStatus,
    pub(crate) client_id: u32,
    pub(crate) maximum_logins: u32,
    pub(crate) latency: f64,
    pub(crate) nodes: NodeIdAllocator,
    pub(crate) audio_buses: BlockAllocator,
    pub(crate) control_buses: BlockAllocator,
    pub(crate) buffers: BlockAllocator,
    pub(crate) scope_buffers: BlockAllocator,
    pub(crate) mirror: Mirror,
    pub(crate) live_buffers: HashSet<i32>,
    pub(crate) synthdefs: HashMap<String, Arc<SynthDefInfo>>,
    next_sync_id: i32,
}

/// Ids that come back to a context when a request is sent, or never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A node id comes back.
    Node(i32),
    /// Buses come back.
    Buses(CalculationRate, u32, u32),
    /// Buffer ids come back.
    Buffers(u32, u32),
    /// A scope buffer comes back.
    ScopeBuffer(u32),
}

impl ContextState {
    fn allot(&mut self, client_id: u32, maximum_logins: u32) {
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
        // The default groups of all clients; only this client's own is within its range.
        for client in 0..maximum_logins {
            self.nodes.reserve_permanent(client as i32 + 1);
        }
    }

    /// Nodes are gone. The default groups' ids (1 to the number of logins) are never anybody
    /// else's.
    fn free_nodes(&mut self, ids: impl IntoIterator<Item = i32>) {
        for id in ids {
            if id > self.maximum_logins as i32 {
                self.nodes.free(id);
            }
        }
    }

    pub(crate) fn buses(&mut self, rate: CalculationRate) -> &mut BlockAllocator {
        match rate {
            CalculationRate::Audio => &mut self.audio_buses,
            CalculationRate::Control => &mut self.control_buses,
        }
    }
}

/// The state that all views of one context share.
pub(crate) struct ContextShared {
    state: Mutex<ContextState>,
    /// Whether requests may be sent: read on every request, without a lock.
    online: std::sync::atomic::AtomicBool,
    host: OnceLock<Weak<dyn Host>>,
}

impl std::fmt::Debug for ContextShared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ContextShared").field("state", &self.lock()).finish()
    }
}

impl ContextShared {
    /// The state of a context with these options, as client 0 of one.
    pub(crate) fn new(options: Options, name: Option<String>, latency: f64) -> Arc<Self> {
        let mut state = ContextState {
            name,
            boot_status: BootStatus::Offline,
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
            next_sync_id: 0,
            options,
        };
        state.allot(0, 1);
        Arc::new(Self {
            state: Mutex::new(state),
            online: std::sync::atomic::AtomicBool::new(false),
            host: OnceLock::new(),
        })
    }

    /// Says where requests go; once.
    pub(crate) fn set_host(&self, host: Weak<dyn Host>) {
        let _ = self.host.set(host);
    }

    pub(crate) fn host(&self) -> Result<Arc<dyn Host>> {
        self.host.get().and_then(Weak::upgrade).ok_or_else(|| {
            Error::new(ErrorKind::ServerOffline, "the server or score of this object was dropped")
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ContextState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn options(&self) -> Options {
        self.lock().options.clone()
    }

    pub(crate) fn boot_status(&self) -> BootStatus {
        self.lock().boot_status
    }

    pub(crate) fn set_boot_status(&self, status: BootStatus) {
        self.online.store(status == BootStatus::Online, std::sync::atomic::Ordering::Release);
        self.lock().boot_status = status;
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online.load(std::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn next_sync_id(&self) -> i32 {
        let mut state = self.lock();
        let id = state.next_sync_id;
        state.next_sync_id = id.checked_add(1).unwrap_or(0);
        id
    }

    /// A server starts or is connected to.
    pub(crate) fn begin(&self, options: &Options) {
        let mut state = self.lock();
        state.options = options.clone();
        state.mirror = Mirror::default();
        state.live_buffers.clear();
        state.synthdefs.clear();
        state.allot(0, options.maximum_logins);
    }

    /// The server gave an id to this client.
    pub(crate) fn log_in(&self, client_id: u32, maximum_logins: u32) -> Result<()> {
        if client_id > MAXIMUM_CLIENT_ID {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("client id {client_id} is above {MAXIMUM_CLIENT_ID}; node ids end there"),
            ));
        }
        self.lock().allot(client_id, maximum_logins);
        Ok(())
    }

    /// The server is gone.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.mirror = Mirror::default();
        state.live_buffers.clear();
    }

    /// Every id comes back, as after a reset.
    pub(crate) fn reset_ids(&self) {
        let mut state = self.lock();
        let (client_id, maximum_logins) = (state.client_id, state.maximum_logins);
        let nodes = state.nodes.clone();
        state.allot(client_id, maximum_logins);
        // Passing node ids go on, so that a late notification cannot mean a new node.
        state.nodes = nodes;
    }

    pub(crate) fn apply(&self, effects: impl IntoIterator<Item = Effect>) {
        let mut effects = effects.into_iter().peekable();
        if effects.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        for effect in effects {
            match effect {
                Effect::Node(id) => state.nodes.free(id),
                Effect::Buses(rate, start, count) => state.buses(rate).free(start, count),
                Effect::Buffers(start, count) => state.buffers.free(start, count),
                Effect::ScopeBuffer(id) => state.scope_buffers.free(id, 1),
            }
        }
    }

    // ---- what notifications say -------------------------------------------------------------

    // Each returns whether the mirror needs a barrier.

    pub(crate) fn node_started(&self, info: &NodeInfo) -> bool {
        let mut state = self.lock();
        let replaced = state.mirror.node_started(info);
        if state.mirror.contains(info.id) {
            state.nodes.reserve_permanent(info.id);
        }
        state.free_nodes(replaced);
        state.mirror.needs_barrier()
    }

    pub(crate) fn node_ended(&self, info: &NodeInfo) -> bool {
        let mut state = self.lock();
        state.mirror.node_ended(info);
        state.free_nodes([info.id]);
        state.mirror.needs_barrier()
    }

    pub(crate) fn node_moved(&self, info: &NodeInfo) -> bool {
        let mut state = self.lock();
        state.mirror.node_moved(info);
        state.mirror.needs_barrier()
    }

    pub(crate) fn node_paused(&self, id: i32, paused: bool) -> bool {
        let mut state = self.lock();
        state.mirror.set_running(id, !paused);
        state.mirror.needs_barrier()
    }

    /// The mirror's barrier was answered.
    pub(crate) fn reconcile(&self) {
        let mut state = self.lock();
        let replaced = state.mirror.reconcile();
        state.free_nodes(replaced);
    }

    /// The tree of the root was told: at once, or in parts, with no `changes` told meanwhile.
    /// Returns whether it was taken.
    pub(crate) fn seed(&self, tree: &QueryTreeGroup, changes: Option<u64>) -> bool {
        let mut state = self.lock();
        if tree.id != 0 || changes.is_some_and(|changes| changes != state.mirror.changes()) {
            return false;
        }
        state.mirror.seed(tree);
        for (_, node) in tree.walk() {
            state.nodes.reserve_permanent(node.id());
            state.nodes.pass(node.id());
        }
        true
    }

    /// How many groups are known, and how often the mirror has changed.
    pub(crate) fn mirrored_groups(&self) -> (usize, u64) {
        let state = self.lock();
        (state.mirror.group_count(), state.mirror.changes())
    }

    pub(crate) fn has_node(&self, id: i32) -> bool {
        self.lock().mirror.contains(id)
    }

    pub(crate) fn buffer_allocated(&self, id: i32) {
        let mut state = self.lock();
        if state.live_buffers.len() < MAXIMUM_BUFFERS {
            state.live_buffers.insert(id);
        }
    }

    pub(crate) fn buffer_freed(&self, id: i32) {
        let mut state = self.lock();
        state.live_buffers.remove(&id);
        if let Ok(id) = u32::try_from(id) {
            state.buffers.free(id, 1);
        }
    }
}
