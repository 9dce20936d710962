//! Warnings about feedback through the outside that the files alone show.
//!
//! A backend says where an instance hears and where it sends ([`Endpoints`]). A value that is sent to a
//! place where an instance hears arrives on its channel of the same name. Each instance that does not
//! pass events on has two nodes for a channel, one for each direction, because mappings in both
//! directions between two instances are not a loop.

use std::collections::HashMap;

use super::ChannelRef;
use super::diagnostic::{Diagnostic, Sink};
use super::mapping::ConfiguredInstance;
use super::section::Section;
use crate::backend::Endpoints;
use crate::event::InstanceId;
use crate::routes::Routes;

/// How many channels a warning names.
const MAX_NAMES: usize = 8;

/// Warns once for each loop of mappings that leads through the outside.
pub(super) fn check(
    made: &[ConfiguredInstance],
    mappings: &[(ChannelRef, ChannelRef)],
    sections: &[Section<'_>],
    sink: &mut Sink,
) {
    let endpoints: Vec<Endpoints> = made
        .iter()
        .map(|made| made.plan.as_ref().map(|plan| plan.endpoints()).unwrap_or_default())
        .collect();
    // Which instances hear what an instance sends.
    let hearing: Vec<Vec<usize>> = endpoints
        .iter()
        .map(|sender| {
            let hears = |other: &usize| {
                endpoints[*other].hears.iter().any(|place| sender.sends.contains(place))
            };
            (0..made.len()).filter(hears).collect()
        })
        .collect();
    if hearing.iter().all(Vec::is_empty) {
        return;
    }
    let count = |instance: usize| made[instance].channels.len() as u32;
    let passes_on =
        |instance: usize| made[instance].plan.as_ref().is_some_and(|plan| plan.passes_on());
    // The node of a channel that is sent to.
    let outward = |channel: &ChannelRef| {
        let shift =
            if passes_on(channel.instance.index()) { 0 } else { count(channel.instance.index()) };
        ChannelRef { channel: channel.channel + shift, ..*channel }
    };
    let mut steps: Vec<(ChannelRef, ChannelRef)> =
        mappings.iter().map(|(source, target)| (*source, outward(target))).collect();
    let mut sources: HashMap<(usize, &str), ChannelRef> = HashMap::new();
    for (source, _) in mappings {
        let instance = source.instance.index();
        let name = made[instance].channels[source.channel as usize].as_str();
        sources.insert((instance, name), *source);
    }
    let mut returning = Vec::new();
    for (_, target) in mappings {
        let instance = target.instance.index();
        let Some(plan) = &made[instance].plan else { continue };
        for hearer in &hearing[instance] {
            let name = made[instance].channels[target.channel as usize].as_str();
            if let Some(source) = sources.get(&(*hearer, name))
                && plan.repeats(target.channel)
            {
                steps.push((outward(target), *source));
                returning.push((*target, *source));
            }
        }
    }
    if returning.is_empty() {
        return;
    }
    // Every step counts, as if every instance passed events on.
    let shapes = (0..made.len()).map(|instance| (2 * count(instance) as usize, true));
    let routes = Routes::new(shapes, &steps);
    let number = |node: ChannelRef| {
        routes.loops[(routes.bases[node.instance.index()] + node.channel) as usize]
    };
    let name = |channel: ChannelRef| {
        let made = &made[channel.instance.index()];
        format!("`{}.{}`", sections[made.section].name, made.channels[channel.channel as usize])
    };
    let mut loops: Vec<(InstanceId, Vec<String>)> = Vec::new();
    // By the number of a loop, its index in `loops`.
    let mut known: HashMap<u32, usize> = HashMap::new();
    for (target, source) in returning {
        let found = number(source);
        if found == 0 || found != number(outward(&target)) {
            continue;
        }
        let index = *known.entry(found).or_insert_with(|| {
            loops.push((source.instance, Vec::new()));
            loops.len() - 1
        });
        let names = &mut loops[index].1;
        for name in [name(target), name(source)] {
            if names.len() < MAX_NAMES && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    for (instance, names) in loops {
        let message =
            format!("feedback: what is sent to {} comes back from outside", names.join(", "));
        let section = &sections[made[instance.index()].section];
        sink.push(
            Diagnostic::warning("outside-loop", message)
                .at(section.header, "")
                .hint("map another channel, or send to another place than the one that is heard"),
        );
    }
}
