//! What blocking and async servers share: every operation once, as a future.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use consort_osc::OscMessage;

use crate::context::{Context, ContextShared, NodeReference};
use crate::driver::{ConsoleTap, Driver};
use crate::entities::{Buffer, Bus, Synth};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Timeouts;
use crate::options::Options;
use crate::pending::{Pending, Slot, SlotFuture};
use crate::queries::*;
use crate::requests::*;
use crate::tree::QueryTreeGroup;
use crate::values::{ControlKey, ControlValue};

/// Seconds that are added to the time of every moment of a server.
const LATENCY: f64 = 0.1;
/// Questions that are under way at once when a long answer is put together.
const AT_ONCE: usize = 64;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) driver: Driver,
}

impl Session {
    pub(crate) fn new(options: Options, name: Option<String>, timeouts: Timeouts) -> Result<Self> {
        options.validate()?;
        let shared = ContextShared::new(options, name, LATENCY);
        let context = Context::new(shared.clone());
        let driver = Driver::start(shared, timeouts)?;
        Ok(Self { context, driver })
    }

    async fn lifecycle(
        &self,
        command: impl FnOnce(&mut crate::core::Core, Arc<Slot<()>>, Duration),
    ) -> Result<()> {
        let slot = Slot::new();
        self.driver.shared.command(|core, now| command(core, slot.clone(), now));
        SlotFuture(slot).await
    }

    pub(crate) async fn boot(&self, options: Option<Options>) -> Result<()> {
        let options = options.unwrap_or_else(|| self.context.options());
        self.driver.shared.signals.begin();
        self.lifecycle(|core, slot, now| core.boot(options, slot, now)).await
    }

    pub(crate) async fn connect(&self, options: Option<Options>) -> Result<()> {
        let options = options.unwrap_or_else(|| self.context.options());
        self.driver.shared.signals.begin();
        self.lifecycle(|core, slot, now| core.connect(options, slot, now)).await
    }

    pub(crate) async fn disconnect(&self) -> Result<()> {
        self.lifecycle(|core, slot, now| core.disconnect(slot, now)).await
    }

    pub(crate) async fn quit(&self, force: bool) -> Result<()> {
        self.lifecycle(|core, slot, now| core.quit(force, slot, now)).await
    }

    pub(crate) async fn reboot(&self) -> Result<()> {
        let options = self.context.options();
        self.quit(false).await?;
        self.boot(Some(options)).await
    }

    /// Frees what is this client's own: its nodes, buffers and ids. Other clients keep theirs.
    pub(crate) async fn reset(&self) -> Result<()> {
        let context = &self.context;
        let default_group = context.default_group().id();
        let (own, buffers, alone) = {
            let state = context.shared().lock();
            let own: Vec<i32> = state
                .mirror
                .ids()
                .into_iter()
                .filter(|id| *id > state.maximum_logins as i32 && state.nodes.is_own(*id))
                .filter(|id| {
                    // What is in another own node goes with it.
                    state.mirror.parent(*id).is_none_or(|parent| {
                        parent != default_group
                            && !(parent > state.maximum_logins as i32 && state.nodes.is_own(parent))
                    })
                })
                .collect();
            (own, state.buffers.allocated(), state.maximum_logins == 1)
        };
        if alone {
            context.clear_schedule()?;
        }
        let exists = context.shared().has_node(default_group);
        context.at_once(None, |moment| {
            if exists {
                moment.free_group_children(default_group, false)?;
            }
            if !own.is_empty() {
                moment.submit(FreeNodes { ids: own })?;
            }
            for id in buffers {
                moment.submit(FreeBuffer { id, completion: CompletionRequests::default() })?;
            }
            if !exists {
                let group = NewGroup {
                    id: default_group,
                    add_action: crate::values::AddAction::ToTail,
                    target_id: 0,
                };
                moment.submit(NewGroups { parallel: false, groups: vec![group] })?;
            }
            Ok(())
        })?;
        self.sync(None, None).await?;
        context.shared().reset_ids();
        Ok(())
    }

    fn ask_within<T>(
        &self,
        request: Request,
        timeout: Option<Duration>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        let Some(timeout) = timeout else { return self.context.ask_for(request, parse) };
        let slot = Slot::new();
        {
            let shared = &self.driver.shared;
            let now = shared.now();
            shared.core().wait_for(&request, slot.clone(), Some(timeout), now)?;
            shared.wake_up();
        }
        self.context.submit(request)?;
        Ok(Pending::new(slot, parse))
    }

    pub(crate) async fn sync(&self, id: Option<i32>, timeout: Option<Duration>) -> Result<()> {
        let id = id.unwrap_or_else(|| self.context.shared().next_sync_id());
        if id < 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("sync id {id} is negative; those are used by the connection itself"),
            ));
        }
        self.ask_within(Sync { id }.into(), timeout, |_| Ok(()))?.await
    }

    pub(crate) async fn query_status(&self) -> Result<StatusInfo> {
        self.context.ask_for(QueryStatus, StatusInfo::parse)?.await
    }

    pub(crate) async fn query_version(&self) -> Result<VersionInfo> {
        self.context.ask_for(QueryVersion, VersionInfo::parse)?.await
    }

    pub(crate) async fn query_buffer(&self, buffer: &Buffer) -> Result<BufferInfo> {
        self.context.ask_buffer_info(buffer)?.await
    }

    pub(crate) async fn query_node(&self, node: NodeReference<'_>) -> Result<NodeInfo> {
        self.context.ask_node_reference(node)?.await
    }

    pub(crate) async fn get_buffer(
        &self,
        buffer: &Buffer,
        indices: &[u32],
    ) -> Result<Vec<(u32, f32)>> {
        self.context.ask_buffer(buffer, indices)?.await
    }

    /// Any number of samples: asked for in parts that the server can answer.
    pub(crate) async fn get_buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        let mut at = start;
        let end = start.checked_add(count).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the range of samples ends above 2^32")
        })?;
        while at < end {
            let mut parts = Vec::new();
            while at < end && parts.len() < 8 {
                let count = (end - at).min(GetBufferRange::LIMIT);
                parts.push(self.context.ask_buffer_range(buffer, at, count)?);
                at += count;
            }
            for part in parts {
                values.extend(part.await?);
            }
        }
        Ok(values)
    }

    pub(crate) async fn get_bus(&self, bus: &Bus) -> Result<f32> {
        self.context.ask_bus(bus)?.await
    }

    /// Through shared memory where it can be reached, else through OSC.
    pub(crate) async fn get_bus_now(&self, bus: &Bus) -> Result<f32> {
        if bus.calculation_rate() == crate::values::CalculationRate::Control
            && let Some(memory) = self.driver.shared.memory()
            && let Ok(value) = memory.control_bus_value(bus.id())
        {
            return Ok(value);
        }
        self.get_bus(bus).await
    }

    pub(crate) async fn get_bus_range(&self, bus: &Bus, count: u32) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        let mut at = 0;
        while at < count {
            let part = (count - at).min(GetBufferRange::LIMIT);
            let first = Bus::new(bus.context().clone(), bus.calculation_rate(), bus.id() + at);
            values.extend(self.context.ask_bus_range(&first, part)?.await?);
            at += part;
        }
        Ok(values)
    }

    pub(crate) async fn get_synth_controls(
        &self,
        synth: &Synth,
        controls: Vec<ControlKey>,
    ) -> Result<Vec<(ControlKey, f32)>> {
        self.context.ask_synth_controls(synth, controls)?.await
    }

    pub(crate) async fn get_synth_control_range(
        &self,
        synth: &Synth,
        control: ControlKey,
        count: u32,
    ) -> Result<Vec<f32>> {
        self.context.ask_synth_control_range(synth, control, count)?.await
    }

    // ---- the tree ---------------------------------------------------------------------------

    pub(crate) async fn query_tree(
        &self,
        group: NodeReference<'_>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        let id = group.id();
        if let Some(tree) = self.try_tree(id, include_controls).await? {
            return Ok(tree);
        }
        tracing::debug!(id, "the tree does not fit into one answer; it is put together");
        let plain = if include_controls { self.try_tree(id, false).await? } else { None };
        let mut tree = match plain {
            Some(tree) => tree,
            None => self.walk_tree(id).await?,
        };
        if include_controls {
            self.add_controls(&mut tree).await?;
        }
        Ok(tree)
    }

    /// One `/g_queryTree`; `None` if the server passed it over, which it does when the answer
    /// does not fit into its buffer.
    async fn try_tree(&self, id: i32, include_controls: bool) -> Result<Option<QueryTreeGroup>> {
        let moment = self.context.at(None)?;
        let tree = moment.ask_for(QueryTree { id, include_controls }, QueryTreeGroup::parse)?;
        let sync = self.context.shared().next_sync_id();
        let synced = moment.ask_for(Sync { id: sync }, |_| Ok(()))?;
        moment.send()?;
        synced.await?;
        // Answered in order: what is not there now will not come.
        match futures_lite::future::poll_once(tree).await {
            Some(Err(error))
                if error.kind() == ErrorKind::RequestFailed
                    && error.to_string().contains("overflow") =>
            {
                Ok(None)
            }
            answer => answer.transpose(),
        }
    }

    /// The tree from `/n_query`, node by node: for trees whose bare ids are too many for one
    /// answer. Names come from the mirror; what the mirror missed has none.
    async fn walk_tree(&self, id: i32) -> Result<QueryTreeGroup> {
        use std::collections::HashMap;
        let known = self.context.shared().lock().mirror.tree(id);
        let mut ask: Vec<i32> = vec![id];
        ask.extend(known.iter().flat_map(|tree| tree.walk()).map(|(_, node)| node.id()));
        let mut infos: HashMap<i32, Option<NodeInfo>> = HashMap::new();
        while !ask.is_empty() {
            ask.sort_unstable();
            ask.dedup();
            ask.retain(|id| !infos.contains_key(id));
            let batch: Vec<i32> = ask.drain(..ask.len().min(AT_ONCE)).collect();
            let mut waiting = Vec::new();
            for node in batch {
                waiting.push((node, self.context.ask_node(node)?));
            }
            for (node, answer) in waiting {
                let info = match answer.await {
                    Ok(info) => Some(info),
                    Err(error) if error.kind() == ErrorKind::RequestFailed && node != id => None,
                    Err(error) => return Err(error),
                };
                if let Some(info) = &info {
                    let siblings =
                        if node == id { [None, None] } else { [info.previous_id, info.next_id] };
                    ask.extend(siblings.into_iter().chain([info.head_id, info.tail_id]).flatten());
                }
                infos.insert(node, info);
            }
        }
        let notes: Vec<NodeInfo> = {
            // In order: each group from its head along the nodes' next.
            let mut order = Vec::new();
            let mut stack = vec![id];
            while let Some(at) = stack.pop() {
                let Some(Some(info)) = infos.remove(&at) else { continue };
                if at != id {
                    order.push(info);
                    stack.extend(info.next_id);
                }
                stack.extend(info.head_id);
            }
            order
        };
        let mut mirror = crate::tree::Mirror::default();
        if id != 0 {
            let group = NodeInfo {
                id,
                parent_id: Some(0),
                is_unordered: false,
                previous_id: None,
                next_id: None,
                is_group: true,
                head_id: None,
                tail_id: None,
            };
            mirror.go(&group);
        }
        {
            let state = self.context.shared().lock();
            for info in notes {
                if let Some(name) = state.mirror.synthdef(info.id) {
                    mirror.expect_synth(info.id, &name);
                }
                // Each comes last in its group, since the group is walked in order.
                mirror.go(&NodeInfo { is_unordered: true, ..info });
            }
        }
        mirror.tree(id).ok_or_else(|| {
            Error::new(ErrorKind::RequestFailed, format!("group {id} has gone meanwhile"))
        })
    }

    async fn add_controls(&self, tree: &mut QueryTreeGroup) -> Result<()> {
        let known = self.context.shared().lock().synthdefs.clone();
        let mut synths = Vec::new();
        let mut unknown = std::collections::BTreeSet::new();
        tree.synths_mut(&mut |synth| match known.get(&synth.synthdef) {
            Some(info) => synths.push((synth.id, info.clone())),
            None => {
                unknown.insert(synth.synthdef.clone());
            }
        });
        if !unknown.is_empty() {
            tracing::warn!(
                ?unknown,
                "the tree is too large for one answer, and the controls of these SynthDefs are \
                 not known to this client; they are left out"
            );
        }
        let mut answers = std::collections::HashMap::new();
        for batch in synths.chunks(AT_ONCE) {
            let mut waiting = Vec::new();
            let moment = self.context.at(None)?;
            for (id, info) in batch {
                let controls: Vec<ControlKey> =
                    info.controls.iter().map(|control| control.name.as_str().into()).collect();
                if !controls.is_empty() {
                    let request = GetSynthControls { id: *id, controls };
                    waiting.push((*id, moment.ask_for(request, parse_controls)?));
                }
            }
            moment.send()?;
            for (id, answer) in waiting {
                match answer.await {
                    Ok(controls) => {
                        answers.insert(id, controls);
                    }
                    // Freed meanwhile.
                    Err(error) if error.kind() == ErrorKind::RequestFailed => {}
                    Err(error) => return Err(error),
                }
            }
        }
        tree.synths_mut(&mut |synth| {
            if let Some(controls) = answers.remove(&synth.id) {
                synth.controls = controls
                    .into_iter()
                    .map(|(key, value)| (key, ControlValue::Float(value)))
                    .collect();
            }
        });
        Ok(())
    }

    // ---- the server's own output ------------------------------------------------------------

    /// What the server prints because of `request`, up to a line that is made to follow it.
    /// `None` if this client did not start the server and so cannot read its output.
    async fn printed(&self, request: Request) -> Result<Option<Vec<String>>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let shared = &self.driver.shared;
        if shared.process_id().is_none() {
            self.context.submit(request)?;
            return Ok(None);
        }
        let marker = format!("/consort_end_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let slot = Slot::new();
        let tap = ConsoleTap {
            marker: marker.clone(),
            lines: Vec::new(),
            slot: slot.clone(),
            deadline: shared.now() + Duration::from_secs(2),
        };
        shared.console.lock().unwrap_or_else(PoisonError::into_inner).push(tap);
        shared.wake_up();
        self.context.submit(request)?;
        // A trace is printed when the node is computed: after the requests of its period.
        self.sync(None, None).await?;
        // No server knows this command, and each says so in its output.
        self.context.send_message(OscMessage::new(marker, []))?;
        SlotFuture(slot).await.map(Some)
    }

    pub(crate) async fn dump_tree(
        &self,
        group: NodeReference<'_>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        let id = group.id();
        match self.printed(DumpTree { id, include_controls }.into()).await {
            Ok(Some(lines)) => {
                let first = lines.iter().position(|line| line.starts_with("NODE TREE"));
                if let Some(first) = first
                    && let Ok(tree) = QueryTreeGroup::parse_dump(&lines[first..])
                {
                    return Ok(tree);
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => return Err(error),
        }
        // The output cannot be seen or understood: the same tree, asked for.
        self.query_tree(group, include_controls).await
    }

    pub(crate) async fn trace_node(&self, node: NodeReference<'_>) -> Result<Option<Vec<String>>> {
        let id = node.id();
        // The server answers for a node that exists, or says that it does not.
        self.context.ask_node_reference(node)?.await?;
        match self.printed(TraceNodes { ids: vec![id] }.into()).await {
            Ok(lines) => Ok(lines.map(|lines| {
                let first = lines.iter().position(|line| line.contains("TRACE")).unwrap_or(0);
                lines[first..].to_vec()
            })),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            Err(error) => Err(error),
        }
    }
}
