//! Loops through stages that need time: a value that comes back to its mapping is not routed again.
//!
//! `check` rejects such loops where it can see them. One through an instance that answers what it
//! gets, such as a script, is seen only while the show runs: an answer keeps the root of its
//! cause. What a time stage of such a mapping emits gets a root of its own, and [`Returns`] remembers
//! from which mapping and which root it descends. A second value with the root of an input is not a
//! loop, but one with a root that has left the mapping is.

use std::cell::Cell;
use std::collections::HashSet;

use super::{Engine, Out};
use crate::context::take_root;
use crate::live::Live;

/// How many roots are remembered; a power of two.
const ROOT_COUNT: usize = 65_536;

/// How many mappings with time stages a loop can have.
const LOOP_LENGTH: usize = 16;

/// A root that a mapping has made.
#[derive(Clone, Copy, Debug)]
struct Descent {
    root: u32,
    route: u32,
    /// The root of the value that went into the mapping.
    parent: u32,
}

/// The roots that mappings have made lately, each at its number modulo the size.
#[derive(Debug, Default)]
pub(super) struct Returns {
    descents: Vec<Descent>,
    /// Mappings of which a loop has been reported.
    reported: HashSet<u32>,
}

impl Returns {
    /// Reserves the memory, if any mapping can be part of such a loop.
    fn allocate(&mut self) {
        let empty = Descent { root: 0, route: super::NONE, parent: 0 };
        self.descents.resize(ROOT_COUNT, empty);
    }

    /// A new root for a value that leaves a mapping.
    fn descend(&mut self, route: u32, parent: u32, roots: &Cell<u32>) -> u32 {
        let root = take_root(roots);
        self.descents[root as usize % ROOT_COUNT] = Descent { root, route, parent };
        root
    }

    /// Whether a value with this root descends from one that has left the mapping.
    fn contains(&self, route: u32, mut root: u32) -> bool {
        for _ in 0..LOOP_LENGTH {
            let descent = self.descents[root as usize % ROOT_COUNT];
            if descent.route == super::NONE || descent.root != root {
                return false;
            }
            if descent.route == route {
                return true;
            }
            root = descent.parent;
        }
        false
    }
}

impl Engine {
    /// Finds the mappings whose values may come back through instances that answer: those with time
    /// stages between instances that reach each other.
    pub(super) fn find_returning(&mut self, edges: impl Iterator<Item = (u32, u32)>) {
        if !self.routes.iter().any(|route| route.chain.has_time) {
            return;
        }
        let edges: HashSet<(u32, u32)> = edges.collect();
        let mut known: HashSet<(u32, u32)> = HashSet::new();
        for number in 0..self.routes.len() {
            let route = &self.routes[number];
            let (source, target) = (route.source.instance, route.target.instance);
            if !route.chain.has_time {
                continue;
            }
            if !known.contains(&(source, target)) && reaches(&edges, target, source) {
                known.insert((source, target));
            }
            self.routes[number].may_return = known.contains(&(source, target));
        }
        if !known.is_empty() {
            self.returns.allocate();
        }
    }

    /// Whether a value has come back to its mapping; counts and reports it.
    pub(super) fn is_return(&mut self, number: u32, out: &Out<'_>) -> bool {
        let route = &self.routes[number as usize];
        if !route.may_return || !self.returns.contains(number, out.root) {
            return false;
        }
        out.live.count_dropped_route(route.source.instance);
        if self.returns.reported.insert(number) {
            report(route.source.global, route.target.global, out.live);
        }
        true
    }

    /// The root of what leaves a mapping.
    pub(super) fn root_behind(&mut self, number: u32, root: u32, out: &Out<'_>) -> u32 {
        if self.routes[number as usize].may_return {
            self.returns.descend(number, root, out.roots)
        } else {
            root
        }
    }
}

/// Whether values of one instance can get to another one.
fn reaches(edges: &HashSet<(u32, u32)>, from: u32, to: u32) -> bool {
    let (mut open, mut seen) = (vec![from], HashSet::from([from]));
    while let Some(instance) = open.pop() {
        if instance == to {
            return true;
        }
        let next = edges.iter().filter(|(source, _)| *source == instance);
        open.extend(next.map(|(_, target)| *target).filter(|&target| seen.insert(target)));
    }
    false
}

#[cold]
fn report(source: u32, target: u32, live: &Live) {
    tracing::warn!(
        "feedback: what `{} > {}` sends comes back to it through its time stages; values that come back \
         are dropped and counted",
        live.channel_name(source),
        live.channel_name(target)
    );
}
