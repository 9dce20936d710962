//! What there is to say about a configuration, for people.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use consort_router::config::{Diagnostic, Label, Loaded, Severity, Source, Sources};

use crate::log;

/// Lines with more bytes than this are not shown, only named.
const SHOWN_LINE: usize = 4_096;

/// Places at most so many lines apart are shown in one piece.
const SHOWN_GAP: usize = 6;

/// Writes to standard error everything there is to say about a configuration, in colour where
/// that is a terminal.
pub(crate) fn print(loaded: &Loaded) {
    if loaded.diagnostics.is_empty() {
        return;
    }
    let text = render(loaded, log::is_coloured(&io::stderr()));
    // There is nowhere left to complain when standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Everything there is to say about a configuration.
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

/// One diagnostic that points into no text.
pub(crate) fn print_one(diagnostic: &Diagnostic) {
    let renderer =
        if log::is_coloured(&io::stderr()) { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.render(&[group(diagnostic, &Sources::default())]);
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `1 event`, `2 events`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `show.cfg: 5 errors, 1 warning`
fn total(loaded: &Loaded) -> String {
    let some = |count: usize, noun: &str| (count > 0).then(|| counted(count, noun));
    let left_out = (loaded.suppressed > 0).then(|| format!("{} not shown", loaded.suppressed));
    let parts = [
        some(loaded.count(Severity::Error), "error"),
        some(loaded.count(Severity::Warning), "warning"),
        left_out,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let first = loaded.sources.iter().next().map(Source::name);
    match first.filter(|name| *name != Sources::COMMAND_LINE) {
        Some(name) => format!("{}: {}", name.escape_debug(), parts.join(", ")),
        None => parts.join(", "),
    }
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for piece in pieces(diagnostic, sources) {
        group = match piece.snippet() {
            Some(snippet) => group.element(snippet),
            None => group.element(piece.origin()),
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

/// Some lines of a source that stand near each other, and what there is to say about them.
struct Piece<'a> {
    source: &'a Source,
    lines: Range<usize>,
    labels: Vec<(bool, &'a Label)>,
}

fn pieces<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Piece<'a>> {
    let primary = diagnostic.primary.iter().map(|label| (true, label));
    let labels = primary.chain(diagnostic.secondary.iter().map(|label| (false, label)));
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for (is_primary, label) in labels {
        let source = sources.get(label.span.source);
        let first = source.position(label.span.start).line;
        let last = source.position(label.span.end).line;
        let near = pieces.iter_mut().find(|piece| {
            std::ptr::eq(piece.source, source)
                && first <= piece.lines.end + SHOWN_GAP
                && piece.lines.start <= last + SHOWN_GAP
        });
        match near {
            Some(piece) => {
                piece.lines = piece.lines.start.min(first)..piece.lines.end.max(last);
                piece.labels.push((is_primary, label));
            }
            None => {
                pieces.push(Piece { source, lines: first..last, labels: vec![(is_primary, label)] })
            }
        }
    }
    pieces
}

impl<'a> Piece<'a> {
    /// The text with its labels; none when there is too much of it to be shown.
    fn snippet(&self) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let start = self.source.line(self.lines.start)?.start;
        let end = self.source.line(self.lines.end)?.end;
        let text = self.source.text();
        if end - start > SHOWN_LINE {
            return None;
        }
        // A byte-order mark has no width and counts as no column.
        let start = if text[start..end].starts_with('\u{FEFF}') { start + 3 } else { start };
        let mut snippet = Snippet::source(&text[start..end])
            .line_start(self.lines.start)
            .path(self.source.name());
        for (is_primary, label) in &self.labels {
            let kind = if *is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let at = |offset: u32| (offset as usize).clamp(start, end) - start;
            let annotation = kind.span(at(label.span.start)..at(label.span.end));
            snippet = snippet.annotation(match label.text.as_str() {
                "" => annotation,
                text => annotation.label(text),
            });
        }
        Some(snippet)
    }

    /// Where it is, when it cannot be shown.
    fn origin(&self) -> Origin<'a> {
        let span = self.labels[0].1.span;
        let position = self.source.position(span.start);
        Origin::path(self.source.name()).line(position.line).char_column(position.column)
    }
}
