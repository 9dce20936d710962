//! Sections `[map NAME]`: the options of layers, held against their table.

use super::diagnostic::{Diagnostic, Sink, quoted};
use super::source::{Sources, Span};
use crate::options::parse_flag;
use crate::stage::TakeoverMode;
use crate::transform::{Held, LAYER_OPTIONS, Layer};
use consort_suggest::{did_you_mean, did_you_mean_or_list};

/// A layer as the files have it. Channels are still text.
pub(super) struct LayerSection {
    pub(super) name: Span,
    /// What does not name a channel.
    pub(super) layer: Layer,
    /// Option and value of those that do.
    pub(super) channels: Vec<(&'static str, Span)>,
    given: Vec<(&'static str, Span)>,
    pub(super) has_mappings: bool,
}

/// The number of the layer of that name; it is new unless the name was used before.
pub(super) fn enter(layers: &mut Vec<LayerSection>, name: Span, sources: &Sources) -> usize {
    let text = sources.text(name);
    layers.iter().position(|layer| layer.layer.name == text).unwrap_or_else(|| {
        layers.push(LayerSection {
            name,
            layer: Layer { name: text.to_owned(), ..Layer::default() },
            channels: Vec::new(),
            given: Vec::new(),
            has_mappings: false,
        });
        layers.len() - 1
    })
}

impl LayerSection {
    pub(super) fn add(&mut self, name: Span, value: Span, sources: &Sources, sink: &mut Sink) {
        let (text, written) = (sources.text(value), sources.text(name));
        let Some(spec) = LAYER_OPTIONS.iter().find(|spec| spec.answers_to(written)) else { return };
        if self.has_mappings {
            let message = "the options of a layer stand before its first mapping";
            let hint = format!("move this line below the first `[map {}]`", self.layer.name);
            sink.push(Diagnostic::error("layer-option", message).at(name, "too late").hint(hint));
            return;
        }
        if let Err(expected) = spec.kind.validate(text) {
            let message = format!("invalid value {} for the option `{}`", quoted(text), spec.name);
            let hint = match spec.kind {
                crate::options::OptionKind::Choice(words) => {
                    did_you_mean(text, words.iter().copied())
                }
                _ => None,
            };
            let example = format!("for example `{} = {}`", spec.name, spec.example);
            let diagnostic = Diagnostic::error("invalid-value", message).at(value, expected);
            sink.push(diagnostic.hint(hint.unwrap_or(example)));
            return;
        }
        if text.is_empty() {
            let message = format!("the option `{}` has no value", spec.name);
            let example = format!("for example `{} = {}`", spec.name, spec.example);
            sink.push(Diagnostic::error("invalid-value", message).at(name, "").hint(example));
            return;
        }
        if let Some((_, before)) = self.given.iter().find(|(given, _)| *given == spec.name) {
            let message = format!("the option `{}` is given twice", spec.name);
            let diagnostic = Diagnostic::error("repeated-option", message);
            sink.push(diagnostic.at(name, "repeated here").also(*before, "given here"));
            return;
        }
        self.given.push((spec.name, name));
        let flag = parse_flag(text).unwrap_or(false);
        match spec.name {
            "group" => self.layer.group = Some(text.to_owned()),
            "start" => self.layer.starts = flag,
            "off" => self.layer.keeps_lights = !flag,
            "held" if text.eq_ignore_ascii_case("release") => self.layer.held = Held::Release,
            "held" => self.layer.held = Held::Keep,
            "takeover" => {
                self.layer.takeover = Some(match text.to_ascii_lowercase().as_str() {
                    "pickup" => TakeoverMode::Pickup,
                    "scale" => TakeoverMode::Scale,
                    _ => TakeoverMode::Jump,
                });
            }
            name => self.channels.push((name, value)),
        }
    }

    /// Takes an option of the command line, which replaces that of the file.
    pub(super) fn replace(&mut self, name: Span, value: Span, sources: &Sources, sink: &mut Sink) {
        let written = sources.text(name);
        let Some(spec) = LAYER_OPTIONS.iter().find(|spec| spec.answers_to(written)) else {
            let names = LAYER_OPTIONS.iter().map(|spec| spec.name);
            let hint = did_you_mean_or_list(written, "options", names);
            let message = format!("unknown option {} of layers", quoted(written));
            let diagnostic = Diagnostic::error("unknown-option", message);
            sink.push(diagnostic.at(name, "no such option").hint(hint));
            return;
        };
        self.given.retain(|(given, _)| *given != spec.name);
        self.channels.retain(|(given, _)| *given != spec.name);
        let has_mappings = std::mem::replace(&mut self.has_mappings, false);
        self.add(name, value, sources, sink);
        self.has_mappings = has_mappings;
    }

    /// Where an option is given.
    pub(super) fn option(&self, name: &str) -> Option<Span> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, span)| *span)
    }

    /// Whether `select`, `selector` or `group` make faders wait by default.
    pub(super) fn is_switched(&self) -> bool {
        self.layer.group.is_some()
            || self.channels.iter().any(|(name, _)| matches!(*name, "select" | "selector"))
    }
}

/// Reports layers that can never be active, and channels that are used for two.
pub(super) fn check(sections: &[LayerSection], layers: &[Layer], sink: &mut Sink) {
    for (index, layer) in layers.iter().enumerate() {
        let section = &sections[index];
        let place = section.name;
        let same_group = |other: &&Layer| other.group == layer.group && layer.group.is_some();
        let group: Vec<&Layer> = layers.iter().filter(same_group).collect();
        if let Some(select) = layer.select {
            let before = layers[..index].iter().position(|other| other.select == Some(select));
            if let Some(before) = before {
                let message = "two layers have the same `select`";
                let mut diagnostic = Diagnostic::error("repeated-select", message);
                if let Some(span) = section.option("select") {
                    diagnostic = diagnostic.at(span, "again here");
                }
                if let Some(span) = sections[before].option("select") {
                    diagnostic = diagnostic.also(span, "used here");
                }
                sink.push(
                    diagnostic.hint("give each layer a channel of its own, or use `selector`"),
                );
            }
        }
        for name in ["select", "selector", "start"] {
            if let Some(span) = section.option(name).filter(|_| layer.group.is_none()) {
                let message = format!("`{name}` needs a group");
                let diagnostic = Diagnostic::error("layer-option", message).at(span, "no `group`");
                sink.push(diagnostic.hint("add `group = NAME` to all layers of the group"));
            }
        }
        if layer.starts
            && let Some(before) =
                layers[..index].iter().position(|other| same_group(&other) && other.starts)
        {
            let message = "two layers of a group have `start = on`";
            let diagnostic = Diagnostic::error("layer-option", message);
            let place = section.option("start").unwrap_or(place);
            sink.push(
                diagnostic
                    .at(place, "again here")
                    .also(sections[before].name, "the first one")
                    .hint("remove one of them"),
            );
        }
        let is_first = match group.iter().any(|layer| layer.starts) {
            true => layer.starts,
            false => group.first().is_none_or(|first| std::ptr::eq(*first, layer)),
        };
        let has_selector = group.iter().any(|layer| layer.selector.is_some());
        if layer.group.is_some() && !is_first && !has_selector && layer.select.is_none() {
            let message = format!("the layer {} is never active", quoted(&layer.name));
            sink.push(
                Diagnostic::warning("inactive-layer", message)
                    .at(place, "nothing selects it")
                    .hint("add `select = CHANNEL`, or `selector = CHANNEL` to one of the group"),
            );
        }
    }
}
