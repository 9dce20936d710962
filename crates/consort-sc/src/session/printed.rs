//! What the server prints: dumps and traces.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consort_osc::OscMessage;

use super::Session;
use crate::context::NodeReference;
use crate::driver::ConsoleTap;
use crate::error::{ErrorKind, Result};
use crate::pending::{Slot, SlotFuture};
use crate::requests::{DumpTree, Request, TraceNodes};
use crate::tree::QueryTreeGroup;

impl Session {
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

    /// `None` if what is printed cannot be seen or understood.
    pub(super) async fn printed_tree(&self, request: DumpTree) -> Result<Option<QueryTreeGroup>> {
        match self.printed(request.into()).await {
            Ok(lines) => Ok(lines.and_then(|lines| {
                let first = lines.iter().position(|line| line.starts_with("NODE TREE"))?;
                QueryTreeGroup::parse_dump(&lines[first..]).ok()
            })),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn dump_tree(
        &self,
        group: NodeReference<'_>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        self.context.check_node(&group)?;
        let id = group.id();
        if let Some(tree) = self.printed_tree(DumpTree { id, include_controls }).await? {
            return Ok(tree);
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
