//! Several mappings with one target: one contribution each.

use super::{Engine, Out};

/// What a target does with the values of several mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// The newest value counts.
    #[default]
    Latest,
    /// The highest of all contributions counts.
    Highest,
    /// The contributions are added, up to 1.
    Sum,
    /// Of the contributions above 0, that of the mapping which stands first in the file counts.
    Priority,
}

/// The routes that share a target.
#[derive(Debug)]
pub(super) struct MergeGroup {
    pub(super) kind: Merge,
    /// In configuration order.
    pub(super) routes: Vec<u32>,
    /// What each of them contributes; NaN for nothing.
    pub(super) contributions: Vec<f64>,
}

impl MergeGroup {
    fn result(&self) -> f64 {
        let mut known = self.contributions.iter().copied().filter(|value| !value.is_nan());
        match self.kind {
            Merge::Latest | Merge::Highest => known.fold(0.0, f64::max),
            Merge::Sum => known.sum::<f64>().min(1.0),
            Merge::Priority => known.find(|value| *value > 0.0).unwrap_or(0.0),
        }
    }

    pub(super) fn slot_of(&self, route: u32) -> usize {
        self.routes.partition_point(|&other| other < route)
    }
}

impl Engine {
    /// Sets what a route contributes; returns the value of the target.
    pub(super) fn contribute(&mut self, route: u32, value: f64) -> f64 {
        let group = &mut self.merges[self.routes[route as usize].merge as usize];
        let slot = group.slot_of(route);
        group.contributions[slot] = value;
        group.result()
    }

    /// Takes a route's contribution away.
    pub(super) fn withdraw(&mut self, route: u32, out: &mut Out<'_>) {
        let number = self.routes[route as usize].merge;
        let Some(group) = self.merges.get_mut(number as usize) else { return };
        let slot = group.slot_of(route);
        if group.contributions[slot].is_nan() {
            return;
        }
        let before = group.result();
        group.contributions[slot] = f64::NAN;
        let after = group.result();
        if before != after {
            self.put(route, after, out);
        }
    }
}
