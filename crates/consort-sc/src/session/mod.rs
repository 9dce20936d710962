//! The operations that wait for the server, as futures. The blocking and the asynchronous server
//! share them.

mod printed;
mod tree;

use std::time::Duration;

use consort_osc::OscMessage;

use crate::SynthDefFile;
use crate::context::{Buffer, Bus, Context, ContextShared, NodeReference, Synth};
use crate::driver::{Driver, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Timeouts;
use crate::options::Options;
use crate::pending::{Pending, Slot, SlotFuture};
use crate::proto::{CommandId, Connection};
use crate::queries::{BufferInfo, NodeInfo, StatusInfo, VersionInfo};
use crate::requests::{
    CompletionRequests, FreeBuffer, FreeNodes, NewGroup, NewGroups, Request, Sync,
};
use crate::values::{AddAction, CalculationRate, ControlKey};

/// Seconds that are added to the time of every moment of a server by default.
const DEFAULT_LATENCY: f64 = 0.1;

/// A server with its context and its I/O thread.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) driver: Driver,
}

impl Session {
    pub(crate) fn new(options: Options, name: Option<String>, timeouts: Timeouts) -> Result<Self> {
        options.validate()?;
        let shared = ContextShared::new(Connection::new(options, timeouts), name);
        shared.lock().latency = DEFAULT_LATENCY;
        let context = Context::new(shared.clone());
        let driver = Driver::start(shared)?;
        Ok(Self { context, driver })
    }

    /// Gives a command to the connection and waits for its result.
    async fn lifecycle(
        &self,
        command: impl FnOnce(&mut Connection, Duration) -> Result<CommandId>,
    ) -> Result<()> {
        let slot = Slot::new();
        self.driver.shared.command(&slot, command);
        SlotFuture(slot).await
    }

    pub(crate) async fn boot(&self, options: Option<Options>) -> Result<()> {
        let options = options.unwrap_or_else(|| self.context.options());
        self.lifecycle(|connection, now| connection.boot(options, now)).await?;
        let large = self.driver.shared.large_initial_synthdefs.lock().clone();
        if !large.is_empty() {
            self.context.add_synthdefs(&large)?;
            self.sync(None, None).await?;
        }
        Ok(())
    }

    /// Sends SynthDefs and waits until the server has loaded them.
    pub(crate) async fn install_synthdefs(&self, files: Vec<SynthDefFile>) -> Result<()> {
        let shared = &self.driver.shared;
        let infos: Vec<_> =
            files.iter().flat_map(|file| file.definitions().iter().cloned()).collect();
        let waiting = shared.refusals.wait();
        self.context.add_synthdefs(&files)?;
        shared.context.lock().forget_unchecked_synthdefs(&infos);
        let refusals = shared.find_refused(&infos).await;
        drop(waiting);
        match refusals? {
            refusals if refusals.is_empty() => Ok(()),
            refusals => Err(refused(refusals)),
        }
    }

    pub(crate) async fn connect(&self, options: Option<Options>) -> Result<()> {
        let options = options.unwrap_or_else(|| self.context.options());
        self.lifecycle(|connection, now| connection.connect(options, now)).await
    }

    pub(crate) async fn disconnect(&self) -> Result<()> {
        self.lifecycle(|connection, now| connection.disconnect(now)).await
    }

    pub(crate) async fn quit(&self, force: bool) -> Result<()> {
        self.lifecycle(|connection, now| connection.quit(force, now)).await
    }

    pub(crate) async fn reboot(&self) -> Result<()> {
        let options = self.context.options();
        self.quit(false).await?;
        self.boot(Some(options)).await
    }

    /// Frees this client's nodes, buffers and ids. Those of other clients remain.
    pub(crate) async fn reset(&self) -> Result<()> {
        let context = &self.context;
        let default_group = context.default_group().id();
        let (own_nodes, buffers, is_only_client) = {
            let state = context.shared().lock();
            let own_nodes: Vec<i32> = state
                .mirror
                .ids()
                .into_iter()
                .filter(|id| *id > state.maximum_logins as i32 && state.nodes.is_own(*id))
                .filter(|id| {
                    // A node in another own node is freed with it.
                    state.mirror.parent(*id).is_none_or(|parent| {
                        parent != default_group
                            && !(parent > state.maximum_logins as i32 && state.nodes.is_own(parent))
                    })
                })
                .collect();
            (own_nodes, state.buffers.allocated(), state.maximum_logins == 1)
        };
        if is_only_client {
            context.clear_schedule()?;
        }
        let exists = context.shared().has_node(default_group);
        context.at_once(None, |moment| {
            if exists {
                moment.free_group_children(default_group, false)?;
            }
            if !own_nodes.is_empty() {
                moment.submit(FreeNodes { ids: own_nodes })?;
            }
            for id in buffers {
                moment.submit(FreeBuffer { id, completion: CompletionRequests::default() })?;
            }
            if !exists {
                let group =
                    NewGroup { id: default_group, add_action: AddAction::ToTail, target_id: 0 };
                moment.submit(NewGroups { parallel: false, groups: vec![group] })?;
            }
            Ok(())
        })?;
        self.sync(None, None).await?;
        context.shared().lock().reset_ids();
        Ok(())
    }

    /// Sends a request and waits for its reply, for at most `timeout`.
    fn ask_within<T>(
        &self,
        request: Request,
        timeout: Option<Duration>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        let Some(timeout) = timeout else { return self.context.ask_for(request, parse) };
        let slot = Slot::new();
        self.driver.shared.wait_for(&request, &slot, timeout)?;
        self.context.submit(request)?;
        Ok(Pending::new(slot, parse))
    }

    pub(crate) async fn sync(&self, id: Option<i32>, timeout: Option<Duration>) -> Result<()> {
        let id = id.unwrap_or_else(|| self.context.shared().next_sync_id());
        if id < 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("sync id {id} is reserved for the connection; expected 0 or more"),
            ));
        }
        self.ask_within(Sync { id }.into(), timeout, |_| Ok(()))?.await
    }

    pub(crate) async fn query_status(&self) -> Result<StatusInfo> {
        self.context.ask_status()?.await
    }

    pub(crate) async fn query_version(&self) -> Result<VersionInfo> {
        self.context.ask_version()?.await
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
        self.context.buffer_samples(buffer, indices).await
    }

    /// Any number of samples, requested in parts that fit into a reply.
    pub(crate) async fn get_buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Vec<f32>> {
        self.context.buffer_range(buffer, start, count).await
    }

    pub(crate) async fn get_bus(&self, bus: &Bus) -> Result<f32> {
        self.context.ask_bus(bus)?.await
    }

    /// Reads shared memory if it is available, and otherwise queries by OSC.
    pub(crate) async fn get_bus_now(&self, bus: &Bus) -> Result<f32> {
        if bus.calculation_rate() == CalculationRate::Control
            && let Some(memory) = self.driver.shared.memory()
            && let Ok(value) = memory.control_bus_value(bus.id())
        {
            return Ok(value);
        }
        self.get_bus(bus).await
    }

    pub(crate) async fn get_bus_range(&self, bus: &Bus, count: u32) -> Result<Vec<f32>> {
        self.context.bus_range(bus, count).await
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
}
