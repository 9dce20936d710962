//! A section's options, held against the backend's table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::absent;
use super::diagnostic::{Diagnostic, Sink, counted, quoted};
use super::mapping_line;
use super::source::{Sources, Span};
use crate::backend::BackendDescriptor;
use crate::options::{
    OptionEntry, OptionFamily, OptionKind, OptionSpec, Options, Problem, Problems,
};
use consort_suggest::{did_you_mean, nearest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Backend,
    Instance,
}

/// An option that is in its table.
pub(super) struct Entry {
    entry: OptionEntry,
    name_span: Span,
    value_span: Span,
}

/// `[backend NAME]` (all sections of that name together) or `[NAME instance]`.
pub(super) struct Section<'r> {
    pub(super) kind: Kind,
    pub(super) descriptor: &'r BackendDescriptor,
    /// The instance's name.
    pub(super) name: String,
    /// Where the section is; for a backend that only the command line configures, its place there.
    pub(super) header: Span,
    entries: Vec<Entry>,
    /// The first of each option that may be given once.
    seen: HashMap<&'static str, Span>,
    /// Whether an error in its options was reported.
    pub(super) is_broken: bool,
    /// Whether an option that must be given is missing.
    pub(super) is_incomplete: bool,
}

impl<'r> Section<'r> {
    pub(super) fn new(
        kind: Kind,
        descriptor: &'r BackendDescriptor,
        name: &str,
        header: Span,
    ) -> Self {
        Section {
            kind,
            descriptor,
            name: name.to_owned(),
            header,
            entries: Vec::new(),
            seen: HashMap::new(),
            is_broken: false,
            is_incomplete: false,
        }
    }

    fn specs(&self) -> &'static [OptionSpec] {
        match self.kind {
            Kind::Backend => self.descriptor.options,
            Kind::Instance => self.descriptor.instance_options,
        }
    }

    fn families(&self) -> &'static [OptionFamily] {
        match self.kind {
            Kind::Backend => &[],
            Kind::Instance => self.descriptor.instance_families,
        }
    }

    /// Takes an option of a file.
    pub(super) fn add(&mut self, name: Span, value: Span, sources: &Sources, sink: &mut Sink) {
        let directory = sources.get(name.source).directory().to_owned();
        if let Some(entry) = self.check(name, value, directory, sources, sink) {
            self.entries.push(entry);
        }
    }

    /// Takes options of the command line: they replace those of the files, in their place.
    pub(super) fn replace(
        &mut self,
        options: &[(Span, Span)],
        directory: &Path,
        sources: &Sources,
        sink: &mut Sink,
    ) {
        self.seen.clear();
        let mut replaced: Vec<String> = Vec::new();
        for &(name, value) in options {
            let Some(entry) = self.check(name, value, directory.to_owned(), sources, sink) else {
                continue;
            };
            let matches = |other: &Entry| other.entry.name == entry.entry.name;
            let index = if replaced.contains(&entry.entry.name) {
                self.entries.iter().rposition(matches).map(|index| index + 1)
            } else {
                let index = self.entries.iter().position(matches);
                self.entries.retain(|other| !matches(other));
                replaced.push(entry.entry.name.clone());
                index
            };
            self.entries.insert(index.unwrap_or(self.entries.len()), entry);
        }
    }

    /// Holds an option against the table.
    fn check(
        &mut self,
        name_span: Span,
        value_span: Span,
        directory: PathBuf,
        sources: &Sources,
        sink: &mut Sink,
    ) -> Option<Entry> {
        let (name, mut value) = (sources.text(name_span), sources.text(value_span));
        let mut value_span = value_span;
        let spec = self.specs().iter().find(|spec| spec.answers_to(name));
        if let Some(offset) = mapping_line::find_comment(value)
            && !absent::is_absent(self.descriptor)
        {
            let comment = value_span.part(offset, value.len());
            let short = value[..offset].trim_ascii_end();
            // MIDIMonster reads numbers and addresses up to the first blank.
            let is_ignored = spec.is_some_and(|spec| {
                spec.kind.validate(value).is_err() && spec.kind.validate(short).is_ok()
            });
            let (message, label) = match is_ignored {
                true => ("text behind a value is not a comment", "ignored"),
                false => ("this is not a comment", "part of the value"),
            };
            if is_ignored {
                value_span = value_span.part(0, short.len());
                value = short;
            }
            let diagnostic = Diagnostic::warning("no-comment", message)
                .at(comment, label)
                .hint("put the comment on a line of its own that begins with `;`");
            sink.push(diagnostic);
        }
        let entry = |name: &str| {
            let entry = OptionEntry { name: name.to_owned(), value: value.to_owned(), directory };
            Some(Entry { entry, name_span, value_span })
        };
        let Some(spec) = spec else {
            if absent::is_absent(self.descriptor)
                || self.families().iter().any(|family| name.starts_with(family.prefix))
            {
                return entry(name);
            }
            self.is_broken = true;
            sink.push(self.unknown_option(name).at(name_span, "no such option"));
            return None;
        };
        if let Err(expected) = spec.kind.validate(value) {
            self.is_broken = true;
            let message = match value {
                "" => format!("the option `{}` has no value", spec.name),
                _ => format!("invalid value {} for the option `{}`", quoted(value), spec.name),
            };
            let span = if value_span.is_empty() { name_span.to(value_span) } else { value_span };
            let unquoted = without_quotes(value).filter(|inner| spec.kind.validate(inner).is_ok());
            let hint = match spec.kind {
                _ if unquoted.is_some() => Some(UNQUOTE.to_owned()),
                OptionKind::Choice(words) => did_you_mean(value, words.iter().copied()),
                _ => None,
            };
            let example = format!("for example `{} = {}`", spec.name, spec.example);
            let hint = hint.or_else(|| (!spec.example.is_empty()).then_some(example));
            let diagnostic = Diagnostic::error("invalid-value", message).at(span, expected);
            sink.push(diagnostic.maybe_hint(hint));
            return None;
        }
        if !spec.repeatable {
            if let Some(&before) = self.seen.get(spec.name) {
                let message = format!("the option `{}` is given twice", spec.name);
                sink.push(if spec.once {
                    self.is_broken = true;
                    Diagnostic::error("repeated-option", message)
                        .at(name_span, "repeated here; it can be given only once")
                        .also(before, "given here")
                } else {
                    Diagnostic::warning("repeated-option", message)
                        .at(name_span, "this value is used")
                        .also(before, "this value is ignored")
                });
            }
            self.seen.insert(spec.name, name_span);
        }
        entry(spec.name)
    }

    fn unknown_option(&self, name: &str) -> Diagnostic {
        let backend = self.descriptor.name;
        let owner = match self.kind {
            Kind::Backend => format!("the backend `{backend}`"),
            Kind::Instance => format!("instances of `{backend}`"),
        };
        let message = format!("unknown option {} of {owner}", quoted(name));
        let diagnostic = Diagnostic::error("unknown-option", message);
        let (other, place) = match self.kind {
            Kind::Backend => {
                (self.descriptor.instance_options, format!("an instance, `[{backend} NAME]`"))
            }
            Kind::Instance => (self.descriptor.options, format!("`[backend {backend}]`")),
        };
        if let Some(spec) = other.iter().find(|spec| spec.answers_to(name)) {
            return diagnostic.hint(format!("`{}` is an option of {place}", spec.name));
        }
        let specs = self.specs();
        let names =
            || specs.iter().flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]));
        if let Some(found) = nearest(name, names()) {
            return diagnostic.hint(format!("did you mean `{found}`?"));
        }
        let families = self.families().iter().map(|family| format!("`{}…`", family.prefix));
        let all: Vec<String> =
            specs.iter().map(|spec| format!("`{}`", spec.name)).chain(families).collect();
        match all.is_empty() {
            true => diagnostic.hint(match self.kind {
                Kind::Backend => format!("the backend `{backend}` has no options"),
                Kind::Instance => format!("instances of `{backend}` have no options"),
            }),
            false => diagnostic.hint(format!(
                "the options are {}; see `consort backends {backend}`",
                all.join(", ")
            )),
        }
    }

    /// Says which options are missing.
    pub(super) fn check_required(&mut self, sink: &mut Sink) {
        for spec in self.specs().iter().filter(|spec| spec.required) {
            if self.entries.iter().any(|entry| entry.entry.name == spec.name) {
                continue;
            }
            // An option that was given and rejected was reported already.
            self.is_incomplete = true;
            if self.is_broken {
                continue;
            }
            let (backend, name) = (self.descriptor.name, &self.name);
            let message = match self.kind {
                Kind::Backend => {
                    format!("the backend `{backend}` needs the option `{}`", spec.name)
                }
                Kind::Instance => {
                    format!("the instance {} needs the option `{}`", quoted(name), spec.name)
                }
            };
            let mut diagnostic =
                Diagnostic::error("missing-option", message).at(self.header, "not given here");
            if !spec.example.is_empty() {
                let example = format!("for example `{} = {}`", spec.name, spec.example);
                diagnostic = diagnostic.hint(example);
            }
            sink.push(diagnostic);
        }
        self.is_broken |= self.is_incomplete;
    }

    /// The options as backends see them.
    pub(super) fn options(&self) -> Options {
        let entries = self.entries.iter().map(|entry| entry.entry.clone()).collect();
        Options::new(self.specs(), entries)
    }

    /// Reports what a backend found; returns whether the section can be used.
    pub(super) fn report(&self, problems: Problems, sink: &mut Sink) -> bool {
        self.report_at(problems, &[], sink)
    }

    /// [`report`](Self::report), with the place where each channel is first mapped: one problem of
    /// a place is shown, the others are counted.
    pub(super) fn report_at(&self, problems: Problems, places: &[Span], sink: &mut Sink) -> bool {
        let is_ok = problems.is_ok();
        let mut at_places: Vec<(Span, Diagnostic, u64)> = Vec::new();
        for problem in problems.into_vec() {
            // What is wrong with the section as a whole may come from what was left out of it.
            if problem.entry.is_none() && self.is_broken {
                continue;
            }
            let channel = problem.channel.filter(|_| problem.entry.is_none());
            let place = channel.and_then(|channel| places.get(channel as usize).copied());
            let diagnostic = self.diagnostic(problem);
            let Some(place) = place else {
                sink.push(diagnostic);
                continue;
            };
            match at_places.last_mut().filter(|(last, ..)| *last == place) {
                Some((.., more)) => *more += 1,
                None => at_places.push((place, diagnostic.at(place, ""), 0)),
            }
        }
        for (_, diagnostic, more) in at_places {
            let others =
                format!("the same applies to {} of this line", counted(more, "other channel"));
            sink.push(if more > 0 { diagnostic.note(others) } else { diagnostic });
        }
        is_ok
    }

    fn diagnostic(&self, problem: Problem) -> Diagnostic {
        let entry = problem.entry.and_then(|index| self.entries.get(index));
        let code = match (entry, self.kind) {
            (Some(_), _) => "refused-option",
            (None, Kind::Backend) => "refused-backend",
            (None, Kind::Instance) => "refused-instance",
        };
        let diagnostic = match problem.is_warning {
            true => Diagnostic::warning(code, problem.message),
            false => Diagnostic::error(code, problem.message),
        };
        let span = match entry {
            None => self.header,
            Some(entry) if entry.value_span.is_empty() => entry.name_span.to(entry.value_span),
            Some(entry) => match problem.range {
                None => entry.value_span,
                Some((start, end)) => {
                    let text = &entry.entry.value;
                    entry.value_span.part(floor(text, start), ceiling(text, end))
                }
            },
        };
        let unquote = entry
            .filter(|entry| !problem.is_warning && without_quotes(&entry.entry.value).is_some())
            .map(|_| UNQUOTE.to_owned());
        diagnostic.at(span, "").maybe_hint(problem.hint.or(unquote))
    }
}

/// What to do about quotes around a value.
const UNQUOTE: &str = "write the value without quotes";

/// The text inside of quotes around all of a value.
fn without_quotes(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    value.strip_prefix(quote)?.strip_suffix(quote)
}

/// The nearest boundary of characters at or before an offset.
pub(super) fn floor(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The nearest boundary of characters at or behind an offset.
pub(super) fn ceiling(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset += 1;
    }
    offset
}
