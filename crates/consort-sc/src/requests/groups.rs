//! Requests about groups.

use super::{Command, ReplyPattern, split_list};
use crate::values::AddAction;
use crate::wire::Writer;

/// One group of [`NewGroups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGroup {
    /// The new group's id.
    pub id: i32,
    /// Where the group goes, relative to the target.
    pub add_action: AddAction,
    /// The id of the target node.
    pub target_id: i32,
}

/// `/g_new` and `/p_new`: adds groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroups {
    /// Whether supernova may compute the nodes of these groups in parallel (`/p_new`).
    pub parallel: bool,
    /// The new groups.
    pub groups: Vec<NewGroup>,
}

impl Command for NewGroups {
    merges!(groups, same parallel);
    splits!(groups by split_list, same parallel);

    fn address(&self) -> &str {
        if self.parallel { "/p_new" } else { "/g_new" }
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        for group in &self.groups {
            writer.int(group.id).int(group.add_action.code()).int(group.target_id);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.groups.last().map(|group| ReplyPattern::new("/n_go", [group.id.into()]))
    }
    fn tag_count(&self) -> usize {
        self.groups.len() * 3
    }
}

/// Defines a request that consists of a group's id.
macro_rules! about_group {
    ($(#[$doc:meta])* $name:ident, $address:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// The group's id.
            pub id: i32,
        }

        impl Command for $name {
            fn address(&self) -> &str {
                $address
            }
            fn write_arguments(&self, writer: &mut Writer<'_>) {
                writer.int(self.id);
            }
        }
    };
}

about_group!(
    /// `/g_freeAll`: frees all nodes of a group. The group itself stays.
    FreeGroupChildren, "/g_freeAll"
);
about_group!(
    /// `/g_deepFree`: frees all synths of a group and of the groups in it. The groups stay.
    FreeGroupDeep, "/g_deepFree"
);

/// `/g_dumpTree`: makes the server print the tree below a group to its standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpTree {
    /// The group's id.
    pub id: i32,
    /// Whether the values of controls are printed.
    pub include_controls: bool,
}

impl Command for DumpTree {
    fn address(&self) -> &str {
        "/g_dumpTree"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id).int(self.include_controls.into());
    }
}

/// `/g_queryTree`: asks for the tree below a group. Answered by `/g_queryTree.reply`, unless the
/// reply is too large for the server's buffer of 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTree {
    /// The group's id.
    pub id: i32,
    /// Whether the reply contains the values of controls.
    pub include_controls: bool,
}

impl Command for QueryTree {
    fn address(&self) -> &str {
        "/g_queryTree"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id).int(self.include_controls.into());
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new(
            "/g_queryTree.reply",
            [i32::from(self.include_controls).into(), self.id.into()],
        ))
    }
}
