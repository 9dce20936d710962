//! Requests about nodes: synths and groups alike.

use super::{Command, ReplyPattern, cut, value_tags, write_key, write_value};
use crate::values::{AddAction, CalculationRate, ControlKey, ControlValue, Settings};
use crate::wire::Writer;

macro_rules! id_list {
    ($(#[$doc:meta])* $name:ident, $address:literal, $reply:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// Node ids.
            pub ids: Vec<i32>,
        }

        impl Command for $name {
            fn address(&self) -> &str {
                $address
            }
            fn arguments(&self, writer: &mut Writer<'_>) {
                for id in &self.ids {
                    writer.int(*id);
                }
            }
            fn reply(&self) -> Option<ReplyPattern> {
                let reply: Option<&'static str> = $reply;
                match (reply, self.ids.first()) {
                    (Some(address), Some(id)) => Some(ReplyPattern::new(address, [(*id).into()])),
                    _ => None,
                }
            }
            fn halves(&self) -> Option<(Self, Self)> {
                cut(&self.ids).map(|(first, second)| (Self { ids: first }, Self { ids: second }))
            }
            fn tags(&self) -> usize {
                self.ids.len()
            }
        }
    };
}

id_list!(
    /// `/n_free`: free nodes.
    FreeNodes, "/n_free", Some("/n_end")
);
id_list!(
    /// `/n_query`: where nodes stand.
    QueryNodes, "/n_query", Some("/n_info")
);
id_list!(
    /// `/n_trace`: print what nodes compute, in the server's own output.
    TraceNodes, "/n_trace", None
);
id_list!(
    /// `/s_noid`: let synths go on without an id.
    AutoReassignSynthIds, "/s_noid", None
);

/// `/n_run`: let nodes run, or pause them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunNodes {
    /// Node ids, each with true to run.
    pub nodes: Vec<(i32, bool)>,
}

impl Command for RunNodes {
    fn address(&self) -> &str {
        "/n_run"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for (id, run) in &self.nodes {
            writer.int(*id);
            writer.int((*run).into());
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        self.nodes.extend_from_slice(&other.nodes);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.nodes).map(|(first, second)| (Self { nodes: first }, Self { nodes: second }))
    }
    fn tags(&self) -> usize {
        self.nodes.len() * 2
    }
}

/// `/n_set`: set controls of a synth, or of all synths in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct SetNode {
    /// Node id.
    pub id: i32,
    /// Controls and values.
    pub settings: Settings,
}

impl Command for SetNode {
    fn address(&self) -> &str {
        "/n_set"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, value) in &self.settings {
            write_key(writer, key);
            write_value(writer, value);
        }
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.settings).map(|(first, second)| {
            (Self { id: self.id, settings: first }, Self { id: self.id, settings: second })
        })
    }
    fn tags(&self) -> usize {
        1 + self.settings.iter().map(|(_, value)| 1 + value_tags(value)).sum::<usize>()
    }
}

/// `/n_setn`: set neighbouring controls.
#[derive(Clone, Debug, PartialEq)]
pub struct SetNodeRange {
    /// Node id.
    pub id: i32,
    /// First controls, each with the values for it and for those that follow.
    pub settings: Vec<(ControlKey, Vec<f32>)>,
}

impl Command for SetNodeRange {
    fn address(&self) -> &str {
        "/n_setn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, values) in &self.settings {
            write_key(writer, key);
            writer.int(values.len() as i32);
            for value in values {
                writer.float(*value);
            }
        }
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.settings).map(|(first, second)| {
            (Self { id: self.id, settings: first }, Self { id: self.id, settings: second })
        })
    }
    fn tags(&self) -> usize {
        1 + self.settings.iter().map(|(_, values)| 2 + values.len()).sum::<usize>()
    }
}

/// `/n_fill`: set neighbouring controls to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillNode {
    /// Node id.
    pub id: i32,
    /// First controls, each with a count and the value.
    pub settings: Vec<(ControlKey, u32, f32)>,
}

impl Command for FillNode {
    fn address(&self) -> &str {
        "/n_fill"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, count, value) in &self.settings {
            write_key(writer, key);
            writer.int(*count as i32);
            writer.float(*value);
        }
    }
}

/// `/n_map` and `/n_mapa`: let controls follow buses; `None` lets them go.
#[derive(Clone, Debug, PartialEq)]
pub struct MapNode {
    /// Node id.
    pub id: i32,
    /// The rate of the buses.
    pub rate: CalculationRate,
    /// Controls, each with the bus it follows.
    pub mappings: Vec<(ControlKey, Option<u32>)>,
}

impl Command for MapNode {
    fn address(&self) -> &str {
        match self.rate {
            CalculationRate::Control => "/n_map",
            CalculationRate::Audio => "/n_mapa",
        }
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, bus) in &self.mappings {
            write_key(writer, key);
            writer.int(bus.map_or(-1, |id| id as i32));
        }
    }
    fn tags(&self) -> usize {
        1 + self.mappings.len() * 2
    }
}

/// `/n_mapn` and `/n_mapan`: let neighbouring controls follow neighbouring buses.
#[derive(Clone, Debug, PartialEq)]
pub struct MapNodeRange {
    /// Node id.
    pub id: i32,
    /// The rate of the buses.
    pub rate: CalculationRate,
    /// First controls, each with the first bus and the count.
    pub mappings: Vec<(ControlKey, Option<u32>, u32)>,
}

impl Command for MapNodeRange {
    fn address(&self) -> &str {
        match self.rate {
            CalculationRate::Control => "/n_mapn",
            CalculationRate::Audio => "/n_mapan",
        }
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for (key, bus, count) in &self.mappings {
            write_key(writer, key);
            writer.int(bus.map_or(-1, |id| id as i32));
            writer.int(*count as i32);
        }
    }
}

/// `/g_head`, `/g_tail`, `/n_before`, `/n_after`: move a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveNode {
    /// The node that moves.
    pub id: i32,
    /// Where to; not [`AddAction::Replace`].
    pub add_action: AddAction,
    /// Relative to this node.
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
    fn arguments(&self, writer: &mut Writer<'_>) {
        match self.add_action {
            AddAction::ToHead | AddAction::ToTail => writer.int(self.target_id).int(self.id),
            _ => writer.int(self.id).int(self.target_id),
        };
    }
}

/// `/n_order`: put nodes one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderNodes {
    /// Where the first of them goes; not [`AddAction::Replace`].
    pub add_action: AddAction,
    /// Relative to this node.
    pub target_id: i32,
    /// The nodes in order.
    pub ids: Vec<i32>,
}

impl Command for OrderNodes {
    fn address(&self) -> &str {
        "/n_order"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.add_action.code()).int(self.target_id);
        for id in &self.ids {
            writer.int(*id);
        }
    }
    fn tags(&self) -> usize {
        2 + self.ids.len()
    }
}

pub(super) fn write_settings(writer: &mut Writer<'_>, settings: &[(ControlKey, ControlValue)]) {
    for (key, value) in settings {
        write_key(writer, key);
        write_value(writer, value);
    }
}
