//! Stages and layers of mappings: texts become chains, channels of conditions are looked up after
//! those of all mappings.

use std::collections::HashSet;
use std::sync::Arc;

use super::ChannelRef;
use super::collect::Mapping;
use super::diagnostic::{Diagnostic, quoted};
use super::layer;
use super::mapping::{Mapped, Mapper};
use super::mapping_line;
use super::source::Span;
use super::syntax::Arrow;
use crate::backend::{ChannelKind, Usage};
use crate::routes::Routes;
use crate::stage::{Chain, Inverse, ParsedStages, Stage, TakeoverMode, parse};
use crate::transform::{Condition, ConditionKind, Layer, Transform};

/// The chains of one text: as it is written, and with the takeover of each layer's default.
pub(super) struct Chains {
    pub(super) parsed: ParsedStages,
    plain: Arc<Chain>,
    with_takeover: Vec<(TakeoverMode, Arc<Chain>)>,
    text: Arc<str>,
}

impl Chains {
    fn new(text: &str, parsed: ParsedStages) -> Self {
        let stages = parsed.stages.iter().map(|placed| placed.stage.clone());
        Chains {
            plain: Arc::new(Chain::new(stages)),
            with_takeover: Vec::new(),
            text: text.into(),
            parsed,
        }
    }

    /// The chain that begins with a takeover; the plain one when its stages do not allow any.
    fn with(&mut self, mode: TakeoverMode) -> Arc<Chain> {
        let is_fixed = self.plain.has_takeover()
            || self.plain.starts_from_target()
            || !self.plain.is_invertible
            || mode == TakeoverMode::Jump;
        if is_fixed {
            return Arc::clone(&self.plain);
        }
        if let Some((_, chain)) = self.with_takeover.iter().find(|(known, _)| *known == mode) {
            return Arc::clone(chain);
        }
        let stages = [Stage::Takeover(mode)].into_iter();
        let chain = Arc::new(Chain::new(stages.chain(self.plain.stages().iter().cloned())));
        self.with_takeover.push((mode, Arc::clone(&chain)));
        chain
    }
}

/// A condition whose channel is not looked up yet.
pub(super) struct PendingConditions {
    /// The transforms that it applies to.
    transforms: std::ops::Range<usize>,
    conditions: Vec<(Span, ConditionKind)>,
}

impl<'m> Mapper<'m> {
    /// The chains of a line's stages; `None` when they are wrong, which is reported.
    pub(super) fn read_stages(&mut self, mapping: &Mapping) -> Option<&'m str> {
        let text: &'m str = self.sources.text(mapping.stages);
        if !self.chains.contains_key(text) {
            let parsed = match text {
                "" => Ok(ParsedStages::default()),
                text => parse(text),
            };
            match parsed {
                Ok(parsed) => {
                    self.chains.insert(text, Chains::new(text, parsed));
                }
                Err(errors) => {
                    for error in errors {
                        let span = mapping.stages.part(error.range.start, error.range.end);
                        let mut diagnostic = Diagnostic::error(error.code, error.message)
                            .at(span, error.label)
                            .maybe_hint(error.hint);
                        if error.code == "unknown-stage" {
                            diagnostic = self.note_quotes(diagnostic, mapping, text);
                        }
                        self.sink.push(diagnostic);
                    }
                    return None;
                }
            }
        }
        let chains = &self.chains[text];
        if mapping.arrow == Arrow::Both
            && let Some(placed) = chains.parsed.without_inverse()
        {
            let name = placed.stage.spec().name;
            let (left, right) = (self.sources.text(mapping.left), self.sources.text(mapping.right));
            let why = match placed.stage.spec().inverse {
                Inverse::None(_) => "several inputs give the same value",
                _ => "with these arguments, several inputs give the same value",
            };
            let message = format!("values cannot come back through `{name}`");
            let hint = format!(
                "write two mappings: {} and {}",
                quoted(&format!("{left} > {right} | {text}")),
                quoted(&format!("{right} > {left}")),
            );
            let span = mapping.stages.part(placed.range.start, placed.range.end);
            self.sink.push(Diagnostic::error("no-inverse", message).at(span, why).hint(hint));
            return None;
        }
        Some(text)
    }

    fn note_quotes(&self, diagnostic: Diagnostic, mapping: &Mapping, text: &str) -> Diagnostic {
        let channel = self.sources.text(mapping.right);
        match channel.split_once('.') {
            Some((instance, specification)) if !mapping_line::is_quoted(channel) => {
                let with_quotes = format!("{instance}.\"{specification} | {text}\"");
                let written = quoted(&with_quotes);
                diagnostic.note(format!("if this text is part of the channel, write {written}"))
            }
            _ => diagnostic,
        }
    }

    /// Makes transforms of the pairs from `forward` to `back`, and of those from `back` on, which
    /// are their ways back.
    pub(super) fn transform(
        &mut self,
        mapping: &Mapping,
        text: &'m str,
        forward: usize,
        back: usize,
    ) {
        let layer = mapping.layer.map(|layer| &self.layers[layer]);
        let takeover = layer.and_then(|layer| layer.layer.takeover).or_else(|| {
            let waits = mapping.arrow != Arrow::Both
                && layer.is_some_and(super::layer::LayerSection::is_switched);
            waits.then_some(TakeoverMode::Pickup)
        });
        let first = self.transforms.len();
        let chains = self.chains.get_mut(text).expect("just read");
        let has_back = self.pairs.len() - back == back - forward;
        if chains.plain.has_time {
            self.slow.push((first, mapping.stages));
        }
        for index in forward..back {
            let source = self.pairs[index].0;
            let plan = self.made[source.instance.index()].plan.as_ref();
            let is_absolute =
                plan.is_some_and(|plan| plan.kind(source.channel) == ChannelKind::Absolute);
            let chain = match takeover.filter(|_| is_absolute) {
                Some(mode) => chains.with(mode),
                None => Arc::clone(&chains.plain),
            };
            let back = (has_back && back > forward && mapping.arrow == Arrow::Both)
                .then(|| (index - forward + back) as u32);
            self.transforms.push(Transform {
                forward: index as u32,
                back,
                chain,
                conditions: Arc::clone(&self.no_conditions),
                layer: mapping.layer.map(|layer| layer as u32),
                text: Arc::clone(&chains.text),
            });
        }
        if chains.parsed.channels.is_empty() {
            return;
        }
        let conditions = chains.parsed.channels.iter().map(|named| {
            let kind = match chains.parsed.stages[named.stage].stage {
                Stage::When { negated: false, level } => ConditionKind::Above(level),
                Stage::When { negated: true, level } => ConditionKind::NotAbove(level),
                _ => ConditionKind::Touch,
            };
            (mapping.stages.part(named.channel.start, named.channel.end), kind)
        });
        let conditions = conditions.collect();
        let transforms = first..self.transforms.len();
        self.pending.push(PendingConditions { transforms, conditions });
    }

    /// One channel that a condition or an option of a layer names.
    fn one_channel(&mut self, span: Span, usage: Usage) -> Option<ChannelRef> {
        let side = self.side(span)?;
        if side.expression.count() != 1 {
            let message = "a condition names one channel";
            let diagnostic = Diagnostic::error("mismatched-counts", message);
            self.sink.push(diagnostic.at(span, "several channels").hint("write one of them"));
            return None;
        }
        let mut refusals = super::mapping::Refusals::default();
        let channel = self.channel(&side, 0, usage, &mut refusals);
        self.report(&side, refusals);
        channel
    }

    /// The channels that mappings write. Called when all mappings are known.
    fn fed(&mut self) -> &HashSet<ChannelRef> {
        let pairs = &self.pairs;
        self.fed.get_or_insert_with(|| pairs.iter().map(|(_, target)| *target).collect())
    }

    /// Warns of a condition on a channel that no mapping writes and no device can.
    fn warn_unfed(&mut self, channel: ChannelRef, span: Span) {
        let plan = self.made[channel.instance.index()].plan.as_ref();
        let is_loopback = plan.is_some_and(|plan| plan.passes_on());
        if is_loopback && !self.fed().contains(&channel) {
            let message = format!("nothing feeds {}", quoted(self.sources.text(span)));
            self.sink.push(
                Diagnostic::warning("unfed-condition", message)
                    .at(span, "stays 0, unless a view sets it")
                    .hint("map something to this channel, or name another one"),
            );
        }
    }

    /// Looks up the channels of conditions and layers.
    pub(super) fn finish_transforms(&mut self) -> Vec<Layer> {
        let pending = std::mem::take(&mut self.pending);
        for PendingConditions { transforms, conditions } in pending {
            let mut found = Vec::with_capacity(conditions.len());
            for (span, kind) in conditions {
                if let Some(channel) = self.one_channel(span, Usage::Source) {
                    self.warn_unfed(channel, span);
                    found.push(Condition { channel, kind });
                }
            }
            let found: Arc<[Condition]> = found.into();
            for transform in &mut self.transforms[transforms] {
                transform.conditions = Arc::clone(&found);
            }
        }
        let sections = self.layers;
        let mut layers = Vec::with_capacity(sections.len());
        for section in sections {
            let mut layer = section.layer.clone();
            for &(name, span) in &section.channels {
                self.layer_channel(&mut layer, name, span);
            }
            layers.push(layer);
        }
        layer::check(sections, &layers, self.sink);
        layers
    }

    fn layer_channel(&mut self, layer: &mut Layer, name: &str, span: Span) {
        match name {
            "led" => {
                let text: &'m str = self.sources.text(span);
                let (channel, stages) = match mapping_line::find_led_stages(text) {
                    Some(bar) => (0..bar, &text[bar + 1..]),
                    None => (0..text.len(), ""),
                };
                let chain = match stages.trim() {
                    "" => Ok(ParsedStages::default()),
                    _ => parse(stages),
                };
                let chain = match chain {
                    Ok(parsed) => {
                        let stages = parsed.stages.into_iter().map(|placed| placed.stage);
                        Arc::new(Chain::new(stages))
                    }
                    Err(errors) => {
                        let first = text.len() - stages.len();
                        for error in errors {
                            let range = error.range.start + first..error.range.end + first;
                            self.sink.push(
                                Diagnostic::error(error.code, error.message)
                                    .at(span.part(range.start, range.end), error.label)
                                    .maybe_hint(error.hint),
                            );
                        }
                        return;
                    }
                };
                if let Some(stage) = chain.stages().iter().find(|stage| stage.spec().has_state) {
                    let name = stage.spec().name;
                    let message = format!("`led` cannot use the stage `{name}`");
                    let diagnostic = Diagnostic::error("stage-order", message);
                    let hint = "use shapes alone, such as `range`";
                    self.sink.push(diagnostic.at(span, "not a shape").hint(hint));
                    return;
                }
                let end = text[channel].trim_end().len();
                let channel = self.one_channel(span.part(0, end), Usage::Target);
                layer.led = channel.map(|channel| (channel, chain));
            }
            "select" => {
                layer.select = self.one_channel(span, Usage::Source);
                // Its light, where the channel has one; some channels only send.
                if let (Some(channel), None) = (layer.select, &layer.led)
                    && self.accepts(channel, span)
                {
                    layer.led = Some((channel, Arc::new(Chain::default())));
                }
            }
            "selector" => layer.selector = self.one_channel(span, Usage::Source),
            name => {
                if let Some(channel) = self.one_channel(span, Usage::Source) {
                    self.warn_unfed(channel, span);
                    let kind = match name {
                        "when" => ConditionKind::Above(0.5),
                        _ => ConditionKind::NotAbove(0.5),
                    };
                    layer.conditions.push(Condition { channel, kind });
                }
            }
        }
    }

    /// Whether a channel can be written, too. Nothing is reported.
    fn accepts(&mut self, channel: ChannelRef, span: Span) -> bool {
        let Some(side) = self.side(span) else { return false };
        let mut refusals = super::mapping::Refusals::default();
        let found = self.channel(&side, 0, Usage::Target, &mut refusals);
        found == Some(channel)
    }

    /// Reports mappings whose value would come back through a stage that needs time.
    pub(super) fn check_loops(&mut self, mapped: &Mapped) {
        let is_slow = |(_, transform): &(usize, &Transform)| {
            let target = mapped.pairs[transform.forward as usize].1;
            let plan = self.made[target.instance.index()].plan.as_ref();
            transform.chain.has_time && plan.is_some_and(|plan| plan.passes_on())
        };
        let slow: Vec<(usize, &Transform)> =
            mapped.transforms.iter().enumerate().filter(is_slow).collect();
        if slow.is_empty() {
            return;
        }
        let shapes = self.made.iter().map(|made| {
            (made.channels.len(), made.plan.as_ref().is_some_and(|plan| plan.passes_on()))
        });
        let routes = Routes::new(shapes, &mapped.pairs);
        let number = |end: ChannelRef| {
            routes.loops[(routes.bases[end.instance.index()] + end.channel) as usize]
        };
        for (index, transform) in slow {
            let (source, target) = mapped.pairs[transform.forward as usize];
            if number(source) != 0 && number(source) == number(target) {
                let names = [source, target].map(|end| {
                    let made = &self.made[end.instance.index()];
                    let instance = &self.ends.sections[made.section].name;
                    format!("{instance}.{}", made.channels[end.channel as usize])
                });
                let stage = transform.chain.stages().iter().find(|stage| stage.needs_time());
                let stage = stage.map_or("", |stage| stage.spec().name);
                let message = format!("values would go round in a loop through `{stage}`");
                let line = self.slow.partition_point(|(first, _)| *first <= index) - 1;
                self.sink.push(
                    Diagnostic::error("slow-loop", message)
                        .at(self.slow[line].1, "comes back here")
                        .note(format!("the loop contains {}", quoted(&names.join(" > "))))
                        .hint("remove one mapping of the loop"),
                );
            }
        }
    }
}
