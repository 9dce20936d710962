//! Requests about control buses.

use super::{Command, ReplyPattern, cut};
use crate::wire::Writer;

/// `/c_set`: set control buses.
#[derive(Clone, Debug, PartialEq)]
pub struct SetControlBuses {
    /// Buses and values.
    pub values: Vec<(u32, f32)>,
}

impl Command for SetControlBuses {
    fn address(&self) -> &str {
        "/c_set"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for (id, value) in &self.values {
            writer.int(*id as i32).float(*value);
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        self.values.extend_from_slice(&other.values);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.values).map(|(first, second)| (Self { values: first }, Self { values: second }))
    }
    fn tags(&self) -> usize {
        self.values.len() * 2
    }
}

/// First ids, each with the values for it and for those that follow.
type Ranges = Vec<(u32, Vec<f32>)>;

/// Splits the only range, or the list of ranges.
pub(super) fn cut_ranges(ranges: &[(u32, Vec<f32>)]) -> Option<[Ranges; 2]> {
    if let [(start, values)] = ranges {
        let (first, second) = cut(values)?;
        let middle = start + first.len() as u32;
        return Some([vec![(*start, first)], vec![(middle, second)]]);
    }
    cut(ranges).map(|(first, second)| [first, second])
}

/// `/c_setn`: set neighbouring control buses.
#[derive(Clone, Debug, PartialEq)]
pub struct SetControlBusRange {
    /// First buses, each with the values for it and for those that follow.
    pub ranges: Vec<(u32, Vec<f32>)>,
}

impl Command for SetControlBusRange {
    fn address(&self) -> &str {
        "/c_setn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for (start, values) in &self.ranges {
            writer.int(*start as i32).int(values.len() as i32);
            for value in values {
                writer.float(*value);
            }
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        self.ranges.extend_from_slice(&other.ranges);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut_ranges(&self.ranges)
            .map(|[first, second]| (Self { ranges: first }, Self { ranges: second }))
    }
    fn tags(&self) -> usize {
        self.ranges.iter().map(|(_, values)| 2 + values.len()).sum()
    }
}

/// `/c_fill`: set neighbouring control buses to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillControlBuses {
    /// First buses, each with a count and the value.
    pub ranges: Vec<(u32, u32, f32)>,
}

impl Command for FillControlBuses {
    fn address(&self) -> &str {
        "/c_fill"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for (start, count, value) in &self.ranges {
            writer.int(*start as i32).int(*count as i32).float(*value);
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        self.ranges.extend_from_slice(&other.ranges);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        cut(&self.ranges).map(|(first, second)| (Self { ranges: first }, Self { ranges: second }))
    }
    fn tags(&self) -> usize {
        self.ranges.len() * 3
    }
}

/// `/c_get`: the values of control buses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetControlBuses {
    /// The buses.
    pub ids: Vec<u32>,
}

impl Command for GetControlBuses {
    fn address(&self) -> &str {
        "/c_get"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for id in &self.ids {
            writer.int(*id as i32);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.ids.first().map(|id| ReplyPattern::new("/c_set", [(*id as i32).into()]))
    }
    fn tags(&self) -> usize {
        self.ids.len()
    }
}

/// `/c_getn`: the values of neighbouring control buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetControlBusRange {
    /// The first bus.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl Command for GetControlBusRange {
    fn address(&self) -> &str {
        "/c_getn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.start as i32).int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/c_setn", [(self.start as i32).into(), (self.count as i32).into()]))
    }
}
