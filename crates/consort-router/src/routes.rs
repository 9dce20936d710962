//! The routing table: flat arrays from channel numbers to targets, and the loops among them.

use crate::config::ChannelRef;

/// One target of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) instance: u32,
    /// The target instance's own number of the channel.
    pub(crate) channel: u32,
    /// The channel's number in the show.
    pub(crate) global: u32,
    /// Whether the target's instance passes events on unchanged.
    pub(crate) passes_on: bool,
}

/// All mappings of a show. Channels are numbered through the show, instance by instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// The first channel number of each instance, and the number of channels at the end.
    pub(crate) bases: Vec<u32>,
    /// Whether each instance passes events on unchanged.
    pub(crate) passes_on: Vec<bool>,
    starts: Vec<u32>,
    targets: Vec<Target>,
    /// For each channel the loop it lies on, 0 for none.
    pub(crate) loops: Vec<u32>,
    pub(crate) loop_count: u32,
}

impl Routes {
    /// The routes between instances, of which each has a number of channels and either passes
    /// events on or not.
    pub(crate) fn new(
        instances: impl Iterator<Item = (usize, bool)>,
        mappings: &[(ChannelRef, ChannelRef)],
    ) -> Self {
        let mut bases = Vec::new();
        let mut passes_on = Vec::new();
        let mut count = 0_u32;
        for (channels, passes) in instances {
            bases.push(count);
            passes_on.push(passes);
            count += u32::try_from(channels).expect("channels fit 32 bits");
        }
        bases.push(count);
        let global = |end: &ChannelRef| bases[end.instance.index()] + end.channel;

        let mut starts = vec![0_u32; count as usize + 1];
        for (source, _) in mappings {
            starts[global(source) as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let nowhere = Target { instance: 0, channel: 0, global: 0, passes_on: false };
        let mut targets = vec![nowhere; mappings.len()];
        for (source, target) in mappings {
            let slot = &mut next[global(source) as usize];
            targets[*slot as usize] = Target {
                instance: target.instance.slot(),
                channel: target.channel,
                global: global(target),
                passes_on: passes_on[target.instance.index()],
            };
            *slot += 1;
        }
        let mut routes =
            Routes { bases, passes_on, starts, targets, loops: Vec::new(), loop_count: 0 };
        routes.find_loops();
        routes
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of mappings.
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// The indexes of a channel's targets.
    pub(crate) fn range(&self, channel: u32) -> std::ops::Range<usize> {
        let index = channel as usize;
        self.starts[index] as usize..self.starts[index + 1] as usize
    }

    /// The target of an index.
    pub(crate) fn target(&self, index: usize) -> Target {
        self.targets[index]
    }

    /// The source of the target of an index.
    pub(crate) fn channel_of(&self, index: usize) -> u32 {
        self.starts.partition_point(|&start| start as usize <= index) as u32 - 1
    }

    /// The index of the target of each mapping.
    pub(crate) fn places(&self, mappings: &[(ChannelRef, ChannelRef)]) -> Vec<u32> {
        let mut next = self.starts.clone();
        let place = |(source, _): &(ChannelRef, ChannelRef)| {
            let slot = &mut next[(self.bases[source.instance.index()] + source.channel) as usize];
            *slot += 1;
            *slot - 1
        };
        mappings.iter().map(place).collect()
    }

    #[inline]
    pub(crate) fn targets(&self, channel: u32) -> &[Target] {
        let index = channel as usize;
        &self.targets[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// Numbers the loops that values can run in: strongly connected channels, counting only
    /// steps into instances that pass events on unchanged. Tarjan's algorithm, without
    /// recursion.
    fn find_loops(&mut self) {
        const UNSEEN: u32 = u32::MAX;
        let count = self.channel_count();
        self.loops = vec![0; count];
        let steps = |routes: &Routes, channel: u32, nth: usize| -> Option<Option<u32>> {
            let target = routes.targets(channel).get(nth)?;
            Some(target.passes_on.then_some(target.global))
        };
        let (mut order, mut low) = (vec![UNSEEN; count], vec![0_u32; count]);
        let mut on_stack = vec![false; count];
        let (mut stack, mut calls) = (Vec::new(), Vec::<(u32, usize)>::new());
        let mut seen = 0;
        for root in 0..count as u32 {
            if order[root as usize] != UNSEEN || self.targets(root).is_empty() {
                continue;
            }
            calls.push((root, 0));
            while let Some((channel, nth)) = calls.last_mut() {
                let index = *channel as usize;
                if *nth == 0 {
                    (order[index], low[index]) = (seen, seen);
                    seen += 1;
                    stack.push(*channel);
                    on_stack[index] = true;
                }
                let step = steps(self, *channel, *nth);
                *nth += 1;
                match step {
                    Some(None) => {}
                    Some(Some(next)) => {
                        let to = next as usize;
                        if order[to] == UNSEEN {
                            calls.push((next, 0));
                        } else if on_stack[to] {
                            low[index] = low[index].min(order[to]);
                        }
                    }
                    None => {
                        calls.pop();
                        if let Some((parent, _)) = calls.last() {
                            let parent = *parent as usize;
                            low[parent] = low[parent].min(low[index]);
                        }
                        if low[index] == order[index] {
                            self.close_component(index as u32, &mut stack, &mut on_stack);
                        }
                    }
                }
            }
        }
    }

    fn close_component(&mut self, root: u32, stack: &mut Vec<u32>, on_stack: &mut [bool]) {
        let start = stack.iter().rposition(|&channel| channel == root).unwrap_or(0);
        let members = stack.split_off(start);
        for &member in &members {
            on_stack[member as usize] = false;
        }
        let feeds_itself = |channel: u32| {
            self.targets(channel).iter().any(|target| target.global == channel && target.passes_on)
        };
        if members.len() > 1 || feeds_itself(root) {
            self.loop_count += 1;
            for member in members {
                self.loops[member as usize] = self.loop_count;
            }
        }
    }
}
