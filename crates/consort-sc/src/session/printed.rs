//! Operations that read the server's output: dumps and traces.

use consort_osc::OscMessage;

use super::Session;
use crate::context::NodeReference;
use crate::error::{ErrorKind, Result};
use crate::pending::SlotFuture;
use crate::requests::{DumpTree, Request, TraceNodes};
use crate::tree::QueryTreeGroup;

impl Session {
    /// The lines that the server prints because of `request`. `None` if this client did not start
    /// the server and so cannot read its output.
    async fn printed(&self, request: Request) -> Result<Option<Vec<String>>> {
        let shared = &self.driver.shared;
        if shared.process_id().is_none() {
            self.context.submit(request)?;
            return Ok(None);
        }
        let (marker, slot) = shared.add_console_tap();
        self.context.submit(request)?;
        // The server prints a trace when it computes the node, after the requests of the same period.
        self.sync(None, None).await?;
        // The server does not know this command and prints an error with its name, which ends the
        // output.
        self.context.send_message(OscMessage::new(marker, []))?;
        SlotFuture(slot).await.map(Some)
    }

    /// The tree that the server prints; `None` if the output cannot be read or parsed.
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
        // The output cannot be read or parsed: query the same tree.
        self.query_tree(group, include_controls).await
    }

    pub(crate) async fn trace_node(&self, node: NodeReference<'_>) -> Result<Option<Vec<String>>> {
        let id = node.id();
        // This fails if the node does not exist, for which the server would print nothing.
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
