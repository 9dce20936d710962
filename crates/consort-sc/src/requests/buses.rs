//! Requests about control buses, which are addressed by their index, from 0.

use super::{Command, ReplyPattern, range_tags, split_list, split_ranges, write_ids, write_ranges};
use crate::wire::Writer;

/// `/c_set`: sets control buses.
#[derive(Clone, Debug, PartialEq)]
pub struct SetControlBuses {
    /// Buses, each with its value.
    pub values: Vec<(u32, f32)>,
}

impl Command for SetControlBuses {
    merges!(values);
    splits!(values by split_list);

    fn address(&self) -> &str {
        "/c_set"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        for (id, value) in &self.values {
            writer.int(*id as i32).float(*value);
        }
    }
    fn tag_count(&self) -> usize {
        self.values.len() * 2
    }
}

/// `/c_setn`: sets consecutive control buses.
#[derive(Clone, Debug, PartialEq)]
pub struct SetControlBusRange {
    /// Ranges: the first bus, and the values of it and of the buses that follow.
    pub ranges: Vec<(u32, Vec<f32>)>,
}

impl Command for SetControlBusRange {
    merges!(ranges);
    splits!(ranges by split_ranges);

    fn address(&self) -> &str {
        "/c_setn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        write_ranges(writer, &self.ranges);
    }
    fn tag_count(&self) -> usize {
        range_tags(&self.ranges)
    }
}

/// `/c_fill`: sets consecutive control buses to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillControlBuses {
    /// Ranges: the first bus, the number of buses, and their value.
    pub ranges: Vec<(u32, u32, f32)>,
}

impl Command for FillControlBuses {
    merges!(ranges);
    splits!(ranges by split_list);

    fn address(&self) -> &str {
        "/c_fill"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        for (start, count, value) in &self.ranges {
            writer.int(*start as i32).int(*count as i32).float(*value);
        }
    }
    fn tag_count(&self) -> usize {
        self.ranges.len() * 3
    }
}

/// `/c_get`: asks for the values of control buses. Answered by `/c_set`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetControlBuses {
    /// The buses.
    pub ids: Vec<u32>,
}

impl Command for GetControlBuses {
    fn address(&self) -> &str {
        "/c_get"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        write_ids(writer, &self.ids);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.ids.first().map(|id| ReplyPattern::new("/c_set", [(*id as i32).into()]))
    }
    fn tag_count(&self) -> usize {
        self.ids.len()
    }
}

/// `/c_getn`: asks for the values of consecutive control buses. Answered by `/c_setn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetControlBusRange {
    /// The first bus.
    pub start: u32,
    /// The number of buses.
    pub count: u32,
}

impl GetControlBusRange {
    /// The most buses that this crate asks for in one request: the reply of scsynth 3.13 has to
    /// fit into its buffer, as for [`GetBufferRange`](super::GetBufferRange).
    pub const MAX_BUSES: u32 = super::GetBufferRange::MAX_SAMPLES;
}

impl Command for GetControlBusRange {
    fn address(&self) -> &str {
        "/c_getn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.start as i32).int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/c_setn", [(self.start as i32).into(), (self.count as i32).into()]))
    }
}
