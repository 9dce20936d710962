//! Options of the command line: `-b backend.option=value` and `-i instance.option=value`.

use super::absent;
use super::collect::{Collector, unknown_backend};
use super::diagnostic::{Diagnostic, quoted};
use super::files::Files;
use super::section::{Kind, Section};
use super::source::{SourceId, Sources, Span};
use crate::backend::BackendDescriptor;
use consort_suggest::did_you_mean;

/// What an [`Override`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideKind {
    /// `-b backend.option=value`
    Backend,
    /// `-i instance.option=value`
    Instance,
}

/// An option of the command line. It replaces the values that the files give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What it is about.
    pub kind: OverrideKind,
    /// `target.option=value`
    pub text: String,
}

impl Override {
    /// `-b text`
    pub fn backend(text: impl Into<String>) -> Self {
        Override { kind: OverrideKind::Backend, text: text.into() }
    }

    /// `-i text`
    pub fn instance(text: impl Into<String>) -> Self {
        Override { kind: OverrideKind::Instance, text: text.into() }
    }
}

/// The command line as a source: one line for each override.
fn add_source(
    overrides: &[Override],
    files: &Files,
    sources: &mut Sources,
) -> (SourceId, Vec<Span>) {
    let mut text = String::new();
    let mut places = Vec::new();
    for entry in overrides {
        text.push_str(match entry.kind {
            OverrideKind::Backend => "-b ",
            OverrideKind::Instance => "-i ",
        });
        let start = text.len();
        text.push_str(&entry.text);
        places.push((start, text.len()));
        text.push('\n');
    }
    let name = Sources::COMMAND_LINE.to_owned();
    let source = sources.add(name, files.working_directory(), text);
    let spans = places.into_iter().map(|(start, end)| Span::new(source, start, end)).collect();
    (source, spans)
}

/// Applies overrides to the sections of the files.
pub(super) fn apply<'r>(
    collector: &mut Collector<'r, '_>,
    overrides: &[Override],
    files: &Files,
    registry: &'r [&'r BackendDescriptor],
) {
    if overrides.is_empty() {
        return;
    }
    let (source, spans) = add_source(overrides, files, collector.sources);
    let directory = collector.sources.get(source).directory().to_owned();
    // In the order of the command line, those of one section together.
    let mut groups: Vec<(usize, Vec<(Span, Span)>)> = Vec::new();
    for (entry, span) in overrides.iter().zip(spans) {
        let Some((target, name, value)) = split(&entry.text) else {
            let (flag, target) = match entry.kind {
                OverrideKind::Backend => ("-b", "backend"),
                OverrideKind::Instance => ("-i", "instance"),
            };
            let message = format!("{} is not an override", quoted(&entry.text));
            collector.sink.push(
                Diagnostic::error("malformed-override", message)
                    .at(span, "")
                    .hint(format!("write `{flag} {target}.option=value`")),
            );
            continue;
        };
        let target_span = span.part(0, target.len());
        let pair = (span.part(name.0, name.1), span.part(value.0, value.1));
        // Layers have options, too; an instance of the same name comes first.
        let layer = collector.layers.iter().position(|layer| layer.layer.name == target);
        if let Some(layer) = layer.filter(|_| {
            entry.kind == OverrideKind::Instance && !collector.names.contains_key(target)
        }) {
            let Collector { layers, sources, sink, .. } = collector;
            layers[layer].replace(pair.0, pair.1, sources, sink);
            continue;
        }
        let found = match entry.kind {
            OverrideKind::Backend => find_backend(collector, target, target_span, registry),
            OverrideKind::Instance => find_instance(collector, target, target_span),
        };
        let Some(section) = found else { continue };
        match groups.iter_mut().find(|(index, _)| *index == section) {
            Some((_, list)) => list.push(pair),
            None => groups.push((section, vec![pair])),
        }
    }
    for (section, options) in groups {
        let Collector { sections, sources, sink, .. } = collector;
        sections[section].replace(&options, &directory, sources, sink);
    }
}

type Bytes = (usize, usize);

/// Takes `target.option=value` apart: the first dot and the first `=` behind it split.
fn split(text: &str) -> Option<(&str, Bytes, Bytes)> {
    let dot = text.find('.')?;
    let equals = dot + text[dot..].find('=')?;
    if text[..dot].contains('=') {
        return None;
    }
    let trim = |start: usize, end: usize| {
        let part = &text[start..end];
        let start = start + part.len() - part.trim_ascii_start().len();
        (start, start + part.trim_ascii().len())
    };
    let (name, value) = (trim(dot + 1, equals), trim(equals + 1, text.len()));
    (dot > 0 && name.0 < name.1).then_some((&text[..dot], name, value))
}

fn find_backend<'r>(
    collector: &mut Collector<'r, '_>,
    name: &str,
    span: Span,
    registry: &'r [&'r BackendDescriptor],
) -> Option<usize> {
    let found = registry.iter().find(|entry| entry.name == name).copied();
    let Some(descriptor) = found.or_else(|| absent::find(name)) else {
        let mut diagnostic = unknown_backend(name, registry);
        if collector.names.contains_key(name) {
            diagnostic = diagnostic.hint(format!("`{name}` is an instance: use `-i`"));
        }
        collector.sink.push(diagnostic.at(span, "no such backend"));
        return None;
    };
    let is_of = |section: &Section<'_>| section.descriptor.name == name;
    let sections = &mut collector.sections;
    if let Some(index) =
        sections.iter().position(|entry| entry.kind == Kind::Backend && is_of(entry))
    {
        return Some(index);
    }
    if sections.iter().any(is_of) {
        sections.push(Section::new(Kind::Backend, descriptor, "", span));
        return Some(sections.len() - 1);
    }
    let message = format!("the show does not use the backend `{name}`");
    collector.sink.push(
        Diagnostic::error("override-hits-nothing", message)
            .at(span, "nothing to override")
            .hint("remove the override, or check which file is run"),
    );
    None
}

fn find_instance(collector: &mut Collector<'_, '_>, name: &str, span: Span) -> Option<usize> {
    if let Some(named) = collector.names.get(name) {
        // None: the instance cannot be made, and the reason was reported.
        return named.section;
    }
    let message = format!("the show has no instance {}", quoted(name));
    let is_backend = collector.sections.iter().any(|section| section.descriptor.name == name);
    let hint = match is_backend {
        true => Some(format!("`{name}` is a backend: use `-b`")),
        false => did_you_mean(name, sorted(collector.names.keys())),
    };
    collector.sink.push(
        Diagnostic::error("override-hits-nothing", message)
            .at(span, "nothing to override")
            .maybe_hint(hint),
    );
    None
}

/// Names in an order that does not change from run to run.
pub(super) fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}
