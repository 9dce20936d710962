//! Diagnostics of configurations as one JSON document.
//!
//! Lines and columns start at 1, and columns count characters; `end_column` is the column after
//! the last character. `start` and `end` are offsets in bytes.

use consort_router::config::{Diagnostic, Label, Loaded, Severity, Sources};
use serde::Serialize;

/// The output of `consort check --format json`.
#[derive(Serialize)]
pub(crate) struct Document {
    /// Whether every configuration is without errors.
    ok: bool,
    files: Vec<File>,
}

/// The result for one configuration.
#[derive(Serialize)]
struct File {
    file: String,
    ok: bool,
    errors: usize,
    warnings: usize,
    /// The number of diagnostics that are not listed because there are too many.
    not_listed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    show: Option<Counts>,
    diagnostics: Vec<Entry>,
}

/// The size of a show.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) instances: usize,
    pub(crate) channels: usize,
    pub(crate) mappings: usize,
}

impl Counts {
    /// Counts a loaded show; none if it cannot run.
    pub(crate) fn of(loaded: &Loaded) -> Option<Self> {
        let show = loaded.show.as_ref()?;
        Some(Counts {
            instances: show.instances.len(),
            channels: show.instances.iter().map(|instance| instance.channels.len()).sum(),
            mappings: show.mappings.len(),
        })
    }
}

/// One diagnostic.
#[derive(Serialize)]
struct Entry {
    severity: &'static str,
    code: &'static str,
    message: String,
    #[serde(flatten)]
    place: Option<Place>,
    hint: Option<String>,
    notes: Vec<String>,
    related: Vec<Place>,
}

/// A part of a source and its label.
#[derive(Serialize)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
    start: u32,
    end: u32,
    text: String,
    label: String,
}

impl Document {
    /// A document without configurations.
    pub(crate) fn new() -> Self {
        Document { ok: true, files: Vec::new() }
    }

    /// Adds the result for a configuration.
    pub(crate) fn add(&mut self, file: String, loaded: &Loaded) {
        let show = Counts::of(loaded);
        self.ok &= loaded.is_ok();
        self.files.push(File {
            file,
            ok: loaded.is_ok(),
            errors: loaded.count(Severity::Error),
            warnings: loaded.count(Severity::Warning),
            not_listed: loaded.suppressed,
            show,
            diagnostics: loaded
                .diagnostics
                .iter()
                .map(|diagnostic| entry(diagnostic, &loaded.sources))
                .collect(),
        });
    }

    /// The document as text.
    pub(crate) fn render(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

fn entry(diagnostic: &Diagnostic, sources: &Sources) -> Entry {
    Entry {
        severity: diagnostic.severity.word(),
        code: diagnostic.code,
        message: diagnostic.message.clone(),
        place: diagnostic.primary.as_ref().map(|label| place(label, sources)),
        hint: diagnostic.hint.clone(),
        notes: diagnostic.notes.clone(),
        related: diagnostic.secondary.iter().map(|label| place(label, sources)).collect(),
    }
}

/// Where a label is.
pub(crate) fn place(label: &Label, sources: &Sources) -> Place {
    let source = sources.get(label.span.source);
    let (from, to) = (source.position(label.span.start), source.position(label.span.end));
    Place {
        file: source.name().to_owned(),
        line: from.line,
        column: from.column,
        end_line: to.line,
        end_column: to.column,
        start: label.span.start,
        end: label.span.end,
        text: sources.text(label.span).chars().take(200).collect(),
        label: label.text.clone(),
    }
}
