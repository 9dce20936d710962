//! Requests about groups.

use super::{Command, ReplyPattern, cut};
use crate::values::AddAction;
use crate::wire::Writer;

/// One group of [`NewGroups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGroup {
    /// Its id.
    pub id: i32,
    /// Where it goes.
    pub add_action: AddAction,
    /// Relative to this node.
    pub target_id: i32,
}

/// `/g_new` and `/p_new`: make groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroups {
    /// Whether supernova may compute their nodes in parallel.
    pub parallel: bool,
    /// The groups.
    pub groups: Vec<NewGroup>,
}

impl Command for NewGroups {
    fn address(&self) -> &str {
        if self.parallel { "/p_new" } else { "/g_new" }
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for group in &self.groups {
            writer.int(group.id).int(group.add_action.code()).int(group.target_id);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.groups.last().map(|group| ReplyPattern::new("/n_go", [group.id.into()]))
    }
    fn merge(&mut self, other: &Self) -> bool {
        if self.parallel != other.parallel {
            return false;
        }
        self.groups.extend_from_slice(&other.groups);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.groups).map(|(first, second)| {
            (
                Self { parallel: self.parallel, groups: first },
                Self { parallel: self.parallel, groups: second },
            )
        })
    }
    fn tags(&self) -> usize {
        self.groups.len() * 3
    }
}

/// `/g_freeAll`: free all nodes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeGroupChildren {
    /// The group's id.
    pub id: i32,
}

impl Command for FreeGroupChildren {
    fn address(&self) -> &str {
        "/g_freeAll"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
    }
}

/// `/g_deepFree`: free all synths of a group and of the groups in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeGroupDeep {
    /// The group's id.
    pub id: i32,
}

impl Command for FreeGroupDeep {
    fn address(&self) -> &str {
        "/g_deepFree"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
    }
}

/// `/g_dumpTree`: print the tree below a group in the server's own output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpTree {
    /// The group's id.
    pub id: i32,
    /// Whether controls are printed.
    pub include_controls: bool,
}

impl Command for DumpTree {
    fn address(&self) -> &str {
        "/g_dumpTree"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id).int(self.include_controls.into());
    }
}

/// `/g_queryTree`: the tree below a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTree {
    /// The group's id.
    pub id: i32,
    /// Whether controls are wanted.
    pub include_controls: bool,
}

impl Command for QueryTree {
    fn address(&self) -> &str {
        "/g_queryTree"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id).int(self.include_controls.into());
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new(
            "/g_queryTree.reply",
            [i32::from(self.include_controls).into(), self.id.into()],
        ))
    }
}
