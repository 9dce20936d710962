//! Lines of `[map]`: both sides are taken apart, expanded side by side, and their channels
//! created, the source's before the target's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ChannelRef;
use super::collect::{Hidden, Mapping, Named};
use super::diagnostic::{Diagnostic, Sink, counted, grouped, quoted};
use super::expression::Expression;
use super::layer::LayerSection;
use super::mapping_line;
use super::overrides::sorted;
use super::section::{Section, ceiling, floor};
use super::source::{Sources, Span};
use super::syntax::Arrow;
use super::transforms::{Chains, PendingConditions};
use crate::backend::{ChannelError, Plan, Usage};
use crate::event::InstanceId;
use crate::transform::{Condition, Layer, Transform};
use consort_suggest::did_you_mean;

/// How many mappings a show can have.
pub const MAPPING_LIMIT: u64 = 1_000_000;

/// How many bytes the expanded specifications of all expressions may have together.
pub const EXPANSION_LIMIT: u64 = 256 * 1024 * 1024;

/// An instance, if it could be made.
pub(super) struct ConfiguredInstance {
    pub(super) section: usize,
    pub(super) plan: Option<Box<dyn Plan>>,
    /// The first spelling of each of its channels, by number.
    pub(super) channels: Vec<String>,
    /// Where each of its channels is first mapped, by number.
    pub(super) places: Vec<Span>,
}

/// The instances by name.
#[derive(Clone, Copy)]
pub(super) struct Ends<'m> {
    pub(super) names: &'m HashMap<String, Named>,
    /// The number of the instance of a section.
    pub(super) instance_of_section: &'m HashMap<usize, usize>,
    pub(super) sections: &'m [Section<'m>],
    /// What could not be read.
    pub(super) hidden: &'m [Hidden],
}

impl Ends<'_> {
    /// Whether an instance may be unknown only because of an error that was reported already.
    fn may_be_hidden(&self, name: &str, sources: &Sources) -> bool {
        self.hidden.iter().any(|hidden| match hidden {
            Hidden::File => true,
            Hidden::Header(header) => sources.text(*header).contains(name),
        })
    }
}

/// One side of a mapping.
pub(super) struct Side<'m> {
    /// None when the instance does not exist or could not be made.
    instance: Option<usize>,
    /// The channel specification.
    span: Span,
    text: &'m str,
    pub(super) expression: Expression<'m>,
}

/// The mappings of a show.
pub(super) struct Mapped {
    pub(super) pairs: Vec<(ChannelRef, ChannelRef)>,
    pub(super) transforms: Vec<Transform>,
    pub(super) layers: Vec<Layer>,
}

/// Why the channels of a side were refused: the first reason, and how many were.
#[derive(Default)]
pub(super) struct Refusals {
    first: Option<(u64, ChannelError)>,
    count: u64,
}

impl Refusals {
    fn or(self, other: Refusals) -> Refusals {
        if self.count > 0 { self } else { other }
    }
}

/// An instance that mappings name and no section defines.
struct Unknown {
    diagnostic: Diagnostic,
    more: u64,
}

/// Collects the mappings of a show.
pub(super) struct Mapper<'m> {
    /// How many mappings there may be.
    limit: u64,
    pub(super) ends: Ends<'m>,
    pub(super) made: &'m mut [ConfiguredInstance],
    pub(super) layers: &'m [LayerSection],
    pub(super) sources: &'m Sources,
    pub(super) sink: &'m mut Sink,
    pub(super) pairs: Vec<(ChannelRef, ChannelRef)>,
    pub(super) transforms: Vec<Transform>,
    /// The chains by their text.
    pub(super) chains: HashMap<&'m str, Chains>,
    pub(super) pending: Vec<PendingConditions>,
    pub(super) no_conditions: Arc<[Condition]>,
    /// The first transform of each line with a stage that needs time, and its stages.
    pub(super) slow: Vec<(usize, Span)>,
    /// The channels that mappings write, when they were needed.
    pub(super) fed: Option<HashSet<ChannelRef>>,
    known: HashSet<(ChannelRef, ChannelRef)>,
    unknown: HashMap<&'m str, Unknown>,
    scratch: String,
    /// Mappings and bytes asked for so far, repetitions included.
    mapped: u64,
    written: u64,
    is_full: bool,
    /// Whether pairs that are known are mapped again.
    keeps_all: bool,
}

impl<'m> Mapper<'m> {
    pub(super) fn new(
        ends: Ends<'m>,
        made: &'m mut [ConfiguredInstance],
        layers: &'m [LayerSection],
        sources: &'m Sources,
        sink: &'m mut Sink,
        limit: u64,
    ) -> Self {
        Mapper {
            ends,
            limit,
            made,
            layers,
            sources,
            sink,
            pairs: Vec::new(),
            transforms: Vec::new(),
            chains: HashMap::new(),
            pending: Vec::new(),
            no_conditions: Arc::default(),
            slow: Vec::new(),
            fed: None,
            known: HashSet::new(),
            unknown: HashMap::new(),
            scratch: String::new(),
            mapped: 0,
            written: 0,
            is_full: false,
            keeps_all: false,
        }
    }

    /// All mappings, in configuration order.
    pub(super) fn finish(mut self) -> Mapped {
        let layers = self.finish_transforms();
        let pairs = std::mem::take(&mut self.pairs);
        let mapped = Mapped { pairs, transforms: std::mem::take(&mut self.transforms), layers };
        self.check_loops(&mapped);
        for unknown in self.unknown.into_values() {
            let mut diagnostic = unknown.diagnostic;
            if unknown.more > 0 {
                let places = counted(unknown.more, "more place");
                diagnostic = diagnostic.note(format!("it is also named in {places} below"));
            }
            self.sink.push(diagnostic);
        }
        mapped
    }

    /// Takes a line.
    pub(super) fn add(&mut self, mapping: &Mapping) {
        let is_transformed = !mapping.stages.is_empty() || mapping.layer.is_some();
        let stages = is_transformed.then(|| self.read_stages(mapping));
        self.keeps_all = is_transformed;
        let first = self.pairs.len();
        let (left, right) = (self.side(mapping.left), self.side(mapping.right));
        let (Some(left), Some(right)) = (left, right) else { return };
        let Some(count) = self.count(&left, &right, mapping.arrow) else { return };
        let (mut left_refusals, mut right_refusals) = (Refusals::default(), Refusals::default());
        if mapping.arrow != Arrow::Left {
            self.expand(&left, &right, count, &mut left_refusals, &mut right_refusals);
        }
        let middle = self.pairs.len();
        // A rejection in one direction is not repeated for the other.
        if mapping.arrow == Arrow::Both {
            let (mut again_left, mut again_right) = (Refusals::default(), Refusals::default());
            self.expand(&right, &left, count, &mut again_right, &mut again_left);
            left_refusals = left_refusals.or(again_left);
            right_refusals = right_refusals.or(again_right);
        } else if mapping.arrow == Arrow::Left {
            self.expand(&right, &left, count, &mut right_refusals, &mut left_refusals);
        }
        if let Some(Some(text)) = stages {
            let back = if mapping.arrow == Arrow::Both { middle } else { self.pairs.len() };
            self.transform(mapping, text, first, back);
        }
        self.report(&left, left_refusals);
        self.report(&right, right_refusals);
    }

    pub(super) fn side(&mut self, span: Span) -> Option<Side<'m>> {
        let text: &'m str = self.sources.text(span);
        let Some(dot) = text.find('.') else {
            let message = "a channel is written `instance.channel`";
            let diagnostic = Diagnostic::error("no-channel", message).at(span, "expected a dot");
            let hint = self.ends.names.contains_key(text).then(|| {
                format!("{} is an instance: add a dot and one of its channels", quoted(text))
            });
            self.sink.push(diagnostic.maybe_hint(hint));
            return None;
        };
        let (name, written) = (&text[..dot], &text[dot + 1..]);
        let inside = mapping_line::unquoted(written);
        let specification = &written[inside.clone()];
        let instance = match self.ends.names.get(name) {
            Some(named) => {
                named.section.and_then(|section| self.ends.instance_of_section.get(&section))
            }
            None => {
                self.report_unknown(name, span.part(0, dot));
                None
            }
        };
        let instance = instance.copied().filter(|&index| self.made[index].plan.is_some());
        let whole = span.part(dot + 1 + inside.start, dot + 1 + inside.end);
        match Expression::parse(specification) {
            Ok(expression) => Some(Side { instance, span: whole, text: specification, expression }),
            Err(errors) => {
                for error in errors {
                    let span = whole.part(error.range.start, error.range.end);
                    self.sink.push(
                        Diagnostic::error("expression", error.message)
                            .at(span, "")
                            .hint(error.hint),
                    );
                }
                None
            }
        }
    }

    fn report_unknown(&mut self, name: &'m str, span: Span) {
        if let Some(unknown) = self.unknown.get_mut(name) {
            unknown.more += 1;
            return;
        }
        if self.unknown.len() >= super::diagnostic::DIAGNOSTIC_LIMIT {
            self.sink.push(Diagnostic::error("unknown-instance", "unknown instance"));
            return;
        }
        let message = match name {
            "" => "the name of the instance is missing".to_owned(),
            _ => format!("unknown instance {}", quoted(name)),
        };
        let names = self.ends.names;
        let hint = match name {
            _ if names.contains_key(name.trim_ascii()) => {
                Some("remove the space before the dot".to_owned())
            }
            _ => did_you_mean(name, sorted(names.keys())),
        };
        if hint.is_none() && self.ends.may_be_hidden(name, self.sources) {
            return;
        }
        let is_backend =
            || self.ends.sections.iter().any(|section| section.descriptor.name == name);
        let hint = hint.or_else(|| {
            is_backend().then(|| {
                format!(
                    "`{name}` is a backend; mappings use the names of its \
             instances"
                )
            })
        });
        let label = "no section defines this instance";
        let diagnostic = Diagnostic::error("unknown-instance", message).at(span, label);
        let hint = hint.unwrap_or_else(|| {
            let name = if name.is_empty() { "`NAME`".to_owned() } else { quoted(name) };
            format!("add a section `[BACKEND {}]` for it", name.trim_matches('`'))
        });
        let diagnostic = diagnostic.hint(hint);
        self.unknown.insert(name, Unknown { diagnostic, more: 0 });
    }

    /// How many pairs a line expands to, if that is within the limits.
    fn count(&mut self, left: &Side<'_>, right: &Side<'_>, arrow: Arrow) -> Option<u64> {
        let (a, b) = (left.expression.count(), right.expression.count());
        if a != b && a != 1 && b != 1 {
            self.sink.push(
                Diagnostic::error(
                    "mismatched-counts",
                    format!("cannot map {} to {}", counted(a, "channel"), grouped(b)),
                )
                .at(right.span, counted(b, "channel"))
                .also(left.span, counted(a, "channel"))
                .hint("both sides need the same number of channels, or one side a single channel"),
            );
            return None;
        }
        let (count, side) = if a >= b { (a, left) } else { (b, right) };
        let ways = if arrow == Arrow::Both { 2 } else { 1 };
        if count > self.limit {
            let message = format!("this expands to {}", counted(count, "channel"));
            self.sink.push(
                Diagnostic::error("too-many-channels", message)
                    .at(side.span, "too many")
                    .hint(format!("a show has at most {} mappings", grouped(self.limit))),
            );
            return None;
        }
        let bytes = |side: &Side<'_>| match side.expression.count() {
            1 => 0,
            count => count.saturating_mul(side.expression.longest() as u64),
        };
        self.mapped += count * ways;
        self.written = self.written.saturating_add(bytes(left)).saturating_add(bytes(right));
        if self.mapped > self.limit || self.written > EXPANSION_LIMIT {
            if !self.is_full {
                self.is_full = true;
                let message = match self.mapped > self.limit {
                    true => format!("a show has at most {} mappings", grouped(self.limit)),
                    false => {
                        let limit = counted(EXPANSION_LIMIT / (1024 * 1024), "mebibyte");
                        format!("expressions expand to more than {limit} of text")
                    }
                };
                let diagnostic = Diagnostic::error("too-many-channels", message);
                let hint = "split the show or use shorter names";
                self.sink.push(diagnostic.at(side.span, "reached here").hint(hint));
            }
            return None;
        }
        Some(count)
    }

    fn expand(
        &mut self,
        source: &Side<'_>,
        target: &Side<'_>,
        count: u64,
        of_source: &mut Refusals,
        of_target: &mut Refusals,
    ) {
        // A side with one channel is asked for it once.
        let (mut one_source, mut one_target) = (None, None);
        for index in 0..count {
            let from = match one_source {
                Some(known) => known,
                None => self.channel(source, index, Usage::Source, of_source),
            };
            let to = match one_target {
                Some(known) => known,
                None => self.channel(target, index, Usage::Target, of_target),
            };
            if source.expression.count() == 1 {
                one_source = Some(from);
            }
            if target.expression.count() == 1 {
                one_target = Some(to);
            }
            if let (Some(from), Some(to)) = (from, to)
                // Mappings with stages, and those of layers, are routes of their own.
                && (self.keeps_all || self.known.insert((from, to)))
            {
                self.pairs.push((from, to));
            }
        }
    }

    pub(super) fn channel(
        &mut self,
        side: &Side<'_>,
        index: u64,
        usage: Usage,
        refusals: &mut Refusals,
    ) -> Option<ChannelRef> {
        let owner = side.instance?;
        let made = &mut self.made[owner];
        let plan = made.plan.as_mut()?;
        let name = if side.expression.is_plain() {
            side.text
        } else {
            let index = if side.expression.count() == 1 { 0 } else { index };
            side.expression.write(index, &mut self.scratch);
            &self.scratch
        };
        let result = plan.channel(name, usage).and_then(|number| {
            if number as usize > made.channels.len() {
                let expected = made.channels.len();
                return Err(ChannelError::new(format!(
                    "the backend numbers this channel {number} where at most {expected} is \
                     possible; please report this"
                )));
            }
            Ok(number)
        });
        match result {
            Ok(number) => {
                if number as usize == made.channels.len() {
                    made.channels.push(name.to_owned());
                    made.places.push(side.span);
                }
                Some(ChannelRef { instance: InstanceId::new(owner as u32), channel: number })
            }
            Err(error) => {
                refusals.count += 1;
                if refusals.first.is_none() {
                    refusals.first = Some((index, error));
                }
                None
            }
        }
    }

    pub(super) fn report(&mut self, side: &Side<'_>, refusals: Refusals) {
        let Some((index, error)) = refusals.first else { return };
        let range = match (error.range, side.expression.is_plain()) {
            (None, _) => 0..side.text.len(),
            (Some((start, end)), true) => start..end,
            (Some((start, end)), false) => side.expression.locate(index, start..end.max(start)),
        };
        let span = side.span.part(floor(side.text, range.start), ceiling(side.text, range.end));
        let mut diagnostic = Diagnostic::error("refused-channel", error.message).at(span, "");
        if !side.expression.is_plain() {
            side.expression.write(index, &mut self.scratch);
            let note = match refusals.count {
                1 => format!("this applies to {}", quoted(&self.scratch)),
                count => format!(
                    "this applies to {} and {} of this line",
                    quoted(&self.scratch),
                    counted(count - 1, "other channel")
                ),
            };
            diagnostic = diagnostic.note(note);
        }
        self.sink.push(diagnostic.maybe_hint(error.hint));
    }
}
