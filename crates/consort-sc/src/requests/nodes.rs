//! Requests about nodes of either kind: synths and groups.

use super::{Command, ReplyPattern, settings_tags, split_list, write_key, write_settings};
use crate::values::{AddAction, CalculationRate, ControlKey, Settings};
use crate::wire::Writer;

/// Defines a request that consists of the ids of nodes.
macro_rules! about_nodes {
    ($(#[$doc:meta])* $name:ident, $address:literal, $reply:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// The nodes' ids.
            pub ids: Vec<i32>,
        }

        impl Command for $name {
            splits!(ids by split_list);

            fn address(&self) -> &str {
                $address
            }
            fn write_arguments(&self, writer: &mut Writer<'_>) {
                for id in &self.ids {
                    writer.int(*id);
                }
            }
            fn reply(&self) -> Option<ReplyPattern> {
                let address: Option<&'static str> = $reply;
                Some(ReplyPattern::new(address?, [(*self.ids.first()?).into()]))
            }
            fn tag_count(&self) -> usize {
                self.ids.len()
            }
        }
    };
}

about_nodes!(
    /// `/n_free`: frees nodes. A group is freed with all nodes in it.
    FreeNodes, "/n_free", Some("/n_end")
);
about_nodes!(
    /// `/n_query`: asks for the places of nodes in the tree. Answered by `/n_info`.
    QueryNodes, "/n_query", Some("/n_info")
);
about_nodes!(
    /// `/n_trace`: makes the server print the UGens of nodes, with their inputs and outputs, to
    /// its standard output.
    TraceNodes, "/n_trace", None
);
about_nodes!(
    /// `/s_noid`: takes the ids of synths away. They continue under ids that the server chooses.
    AutoReassignSynthIds, "/s_noid", None
);

/// `/n_run`: pauses and resumes nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunNodes {
    /// The nodes' ids, each with whether the node runs (true) or pauses (false).
    pub nodes: Vec<(i32, bool)>,
}

impl Command for RunNodes {
    merges!(nodes);
    splits!(nodes by split_list);

    fn address(&self) -> &str {
        "/n_run"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        for (id, is_running) in &self.nodes {
            writer.int(*id).int((*is_running).into());
        }
    }
    fn tag_count(&self) -> usize {
        self.nodes.len() * 2
    }
}

/// `/n_set`: sets controls of a synth, or of all synths in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct SetNode {
    /// The node's id.
    pub id: i32,
    /// Controls, each with its value.
    pub settings: Settings,
}

impl Command for SetNode {
    splits!(settings by split_list, same id);

    fn address(&self) -> &str {
        "/n_set"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        write_settings(writer, &self.settings);
    }
    fn tag_count(&self) -> usize {
        1 + settings_tags(&self.settings)
    }
}

/// `/n_setn`: sets consecutive controls of a synth, or of all synths in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct SetNodeRange {
    /// The node's id.
    pub id: i32,
    /// First controls, each with the values for it and for those that follow.
    pub settings: Vec<(ControlKey, Vec<f32>)>,
}

impl Command for SetNodeRange {
    splits!(settings by split_list, same id);

    fn address(&self) -> &str {
        "/n_setn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, values) in &self.settings {
            write_key(writer, key);
            writer.int(values.len() as i32);
            for value in values {
                writer.float(*value);
            }
        }
    }
    fn tag_count(&self) -> usize {
        1 + self.settings.iter().map(|(_, values)| 2 + values.len()).sum::<usize>()
    }
}

/// `/n_fill`: sets consecutive controls of a synth, or of all synths in a group, to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillNode {
    /// The node's id.
    pub id: i32,
    /// First controls, each with the number of controls and the value.
    pub settings: Vec<(ControlKey, u32, f32)>,
}

impl Command for FillNode {
    fn address(&self) -> &str {
        "/n_fill"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, count, value) in &self.settings {
            write_key(writer, key);
            writer.int(*count as i32).float(*value);
        }
    }
}

/// A bus index, where the server takes -1 for "no bus".
fn bus_index(bus: Option<u32>) -> i32 {
    bus.map_or(-1, |id| id as i32)
}

/// `/n_map` and `/n_mapa`: maps controls to buses. `None` ends a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct MapNode {
    /// The node's id.
    pub id: i32,
    /// The rate of the buses.
    pub rate: CalculationRate,
    /// Controls, each with the bus that it follows.
    pub mappings: Vec<(ControlKey, Option<u32>)>,
}

impl Command for MapNode {
    fn address(&self) -> &str {
        match self.rate {
            CalculationRate::Control => "/n_map",
            CalculationRate::Audio => "/n_mapa",
        }
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, bus) in &self.mappings {
            write_key(writer, key);
            writer.int(bus_index(*bus));
        }
    }
    fn tag_count(&self) -> usize {
        1 + self.mappings.len() * 2
    }
}

/// `/n_mapn` and `/n_mapan`: maps consecutive controls to consecutive buses. `None` ends mappings.
#[derive(Clone, Debug, PartialEq)]
pub struct MapNodeRange {
    /// The node's id.
    pub id: i32,
    /// The rate of the buses.
    pub rate: CalculationRate,
    /// First controls, each with the first bus and the number of controls.
    pub mappings: Vec<(ControlKey, Option<u32>, u32)>,
}

impl Command for MapNodeRange {
    fn address(&self) -> &str {
        match self.rate {
            CalculationRate::Control => "/n_mapn",
            CalculationRate::Audio => "/n_mapan",
        }
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, bus, count) in &self.mappings {
            write_key(writer, key);
            writer.int(bus_index(*bus)).int(*count as i32);
        }
    }
}

/// `/g_head`, `/g_tail`, `/n_before`, `/n_after`: moves a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveNode {
    /// The id of the node that moves.
    pub id: i32,
    /// Where the node goes, relative to the target; not [`AddAction::Replace`].
    pub add_action: AddAction,
    /// The id of the target node.
    pub target_id: i32,
}

impl Command for MoveNode {
    fn address(&self) -> &str {
        match self.add_action {
            AddAction::ToHead => "/g_head",
            AddAction::ToTail => "/g_tail",
            AddAction::Before => "/n_before",
            AddAction::After | AddAction::Replace => "/n_after",
        }
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        match self.add_action {
            AddAction::ToHead | AddAction::ToTail => writer.int(self.target_id).int(self.id),
            _ => writer.int(self.id).int(self.target_id),
        };
    }
}

/// `/n_order`: moves nodes so that they follow each other in the given order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderNodes {
    /// Where the first node goes, relative to the target; not [`AddAction::Replace`].
    pub add_action: AddAction,
    /// The id of the target node.
    pub target_id: i32,
    /// The ids of the nodes, in order.
    pub ids: Vec<i32>,
}

impl Command for OrderNodes {
    fn address(&self) -> &str {
        "/n_order"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.add_action.code()).int(self.target_id);
        for id in &self.ids {
            writer.int(*id);
        }
    }
    fn tag_count(&self) -> usize {
        2 + self.ids.len()
    }
}
