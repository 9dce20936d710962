//! Diagnostics of a configuration as text: source lines with labels, notes and hints.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use consort_router::config::{Diagnostic, Label, Loaded, Severity, Source, Sources};

use crate::log;
use crate::text::counted;

/// Source text with more bytes than this is not printed; only its position is.
const MAX_SNIPPET_BYTES: usize = 4_096;

/// Labels at most this many lines apart are printed in one excerpt.
const MAX_GAP_LINES: usize = 6;

/// Prints all diagnostics of a configuration to standard error, in colour if that is a terminal.
pub(crate) fn print(loaded: &Loaded) {
    if loaded.diagnostics.is_empty() {
        return;
    }
    let text = render(loaded, log::is_coloured(&io::stderr()));
    // If standard error is closed, there is nowhere to report that.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// All diagnostics of a configuration and their number.
pub(crate) fn render(loaded: &Loaded, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in &loaded.diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, &loaded.sources)]));
        text.push_str("\n\n");
    }
    text.push_str(&total(loaded));
    text.push('\n');
    text
}

/// Prints a diagnostic without a source position.
pub(crate) fn print_one(diagnostic: &Diagnostic) {
    let renderer =
        if log::is_coloured(&io::stderr()) { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.render(&[group(diagnostic, &Sources::default())]);
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The last line: `show.cfg: 5 errors, 1 warning`.
fn total(loaded: &Loaded) -> String {
    let some = |count: usize, noun: &str| (count > 0).then(|| counted(count as u64, noun));
    let suppressed = (loaded.suppressed > 0).then(|| format!("{} not shown", loaded.suppressed));
    let parts = [
        some(loaded.count(Severity::Error), "error"),
        some(loaded.count(Severity::Warning), "warning"),
        suppressed,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let first = loaded.sources.iter().next().map(Source::name);
    match first.filter(|name| *name != Sources::COMMAND_LINE) {
        Some(name) => format!("{}: {}", name.escape_debug(), parts.join(", ")),
        None => parts.join(", "),
    }
}

/// A diagnostic as the renderer takes it.
fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for excerpt in excerpts(diagnostic, sources) {
        group = match excerpt.snippet() {
            Some(snippet) => group.element(snippet),
            None => group.element(excerpt.origin()),
        };
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    group
}

/// Adjacent lines of a source with their labels; the flag marks primary labels.
struct Excerpt<'a> {
    source: &'a Source,
    lines: Range<usize>,
    labels: Vec<(bool, &'a Label)>,
}

/// The lines that a diagnostic points at; labels close to each other share an excerpt.
fn excerpts<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Excerpt<'a>> {
    let primary = diagnostic.primary.iter().map(|label| (true, label));
    let labels = primary.chain(diagnostic.secondary.iter().map(|label| (false, label)));
    let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
    for (is_primary, label) in labels {
        let source = sources.get(label.span.source);
        let first = source.position(label.span.start).line;
        let last = source.position(label.span.end).line;
        let near = excerpts.iter_mut().find(|excerpt| {
            std::ptr::eq(excerpt.source, source)
                && first <= excerpt.lines.end + MAX_GAP_LINES
                && excerpt.lines.start <= last + MAX_GAP_LINES
        });
        match near {
            Some(excerpt) => {
                excerpt.lines = excerpt.lines.start.min(first)..excerpt.lines.end.max(last);
                excerpt.labels.push((is_primary, label));
            }
            None => {
                let labels = vec![(is_primary, label)];
                excerpts.push(Excerpt { source, lines: first..last, labels });
            }
        }
    }
    excerpts
}

impl<'a> Excerpt<'a> {
    /// The text with its labels; none if it is too long to be printed.
    fn snippet(&self) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let start = self.source.line(self.lines.start)?.start;
        let end = self.source.line(self.lines.end)?.end;
        let text = self.source.text();
        if end - start > MAX_SNIPPET_BYTES {
            return None;
        }
        // A byte-order mark has no width and is not counted as a column.
        let start = if text[start..end].starts_with('\u{FEFF}') { start + 3 } else { start };
        let mut snippet = Snippet::source(&text[start..end])
            .line_start(self.lines.start)
            .path(self.source.name());
        for (is_primary, label) in &self.labels {
            let kind = if *is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let relative = |offset: u32| (offset as usize).clamp(start, end) - start;
            let span = relative(label.span.start)..relative(label.span.end);
            let annotation = kind.span(span);
            snippet = snippet.annotation(match label.text.as_str() {
                "" => annotation,
                text => annotation.label(text),
            });
        }
        Some(snippet)
    }

    /// The position alone, for text that cannot be printed.
    fn origin(&self) -> Origin<'a> {
        let span = self.labels[0].1.span;
        let position = self.source.position(span.start);
        Origin::path(self.source.name()).line(position.line).char_column(position.column)
    }
}
