//! From the statements of all files to sections and mappings: includes are followed, names
//! looked up, options held against their tables.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::absent;
use super::diagnostic::{Diagnostic, Sink, quoted};
use super::files::{Files, SIZE_LIMIT};
use super::layer::{self, LayerSection};
use super::section::{Kind, Section};
use super::source::{SourceId, Sources, Span};
use super::syntax::{Arrow, Mode, Statement, parse};
use crate::backend::BackendDescriptor;
use consort_suggest::{did_you_mean, nearest};

/// How deep files may include each other.
pub const INCLUDE_DEPTH: usize = 32;

/// How many includes one load follows.
pub const INCLUDE_LIMIT: usize = 1_000;

/// A line of `[map]`.
pub(super) struct Mapping {
    pub(super) left: Span,
    pub(super) arrow: Arrow,
    pub(super) right: Span,
    /// The stages without the first bar; empty when there are none.
    pub(super) stages: Span,
    /// Its layer; `None` for `[map]`.
    pub(super) layer: Option<usize>,
}

/// An instance's place among the sections.
pub(super) struct Named {
    pub(super) span: Span,
    /// None when the instance cannot be made and the reason was reported.
    pub(super) section: Option<usize>,
}

/// Something that could not be read, in which instances may have been named.
pub(super) enum Hidden {
    File,
    Header(Span),
}

#[derive(Clone, Copy)]
enum Current {
    Outside,
    Section(usize),
    Map,
    Layer(usize),
    /// The header is invalid: the lines below it are skipped.
    Skipped,
}

struct OpenFile {
    identity: PathBuf,
    /// Where it was read from; the name is for messages, and may not be all of it.
    path: PathBuf,
    name: String,
    /// The include in this file that is being followed.
    include: Option<Span>,
}

/// The contents of all files, in order.
pub(super) struct Collector<'r, 's> {
    registry: &'r [&'r BackendDescriptor],
    files: &'s Files,
    pub(super) sources: &'s mut Sources,
    pub(super) sink: &'s mut Sink,
    pub(super) sections: Vec<Section<'r>>,
    /// Sections of instances, in configuration order.
    pub(super) instances: Vec<usize>,
    pub(super) names: HashMap<String, Named>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) layers: Vec<LayerSection>,
    pub(super) hidden: Vec<Hidden>,
    current: Current,
    open: Vec<OpenFile>,
    known: HashMap<PathBuf, SourceId>,
    unknown_backends: HashMap<String, ()>,
    size: u64,
    includes: usize,
}

impl<'r, 's> Collector<'r, 's> {
    pub(super) fn new(
        registry: &'r [&'r BackendDescriptor],
        files: &'s Files,
        sources: &'s mut Sources,
        sink: &'s mut Sink,
    ) -> Self {
        Collector {
            registry,
            files,
            sources,
            sink,
            sections: Vec::new(),
            instances: Vec::new(),
            names: HashMap::new(),
            mappings: Vec::new(),
            layers: Vec::new(),
            hidden: Vec::new(),
            current: Current::Outside,
            open: Vec::new(),
            known: HashMap::new(),
            unknown_backends: HashMap::new(),
            size: 0,
            includes: 0,
        }
    }

    /// Reads a file and all that it includes.
    pub(super) fn file(&mut self, path: &Path, include: Option<Span>) {
        let identity = self.files.identity(path);
        if let Some(index) = self.open.iter().position(|file| file.identity == identity) {
            self.report_cycle(index, include);
            return;
        }
        let Some(source) = self.source(path, &identity, include) else {
            self.hidden.push(Hidden::File);
            return;
        };
        let name = self.sources.get(source).name().to_owned();
        self.open.push(OpenFile { identity, path: path.to_owned(), name, include: None });
        let mode = match self.current {
            Current::Outside => Mode::Outside,
            Current::Section(_) => Mode::Options,
            Current::Map => Mode::Map,
            Current::Layer(_) => Mode::Layer,
            Current::Skipped => Mode::Unknown,
        };
        let tree = parse(source, self.sources.get(source).text(), mode);
        for diagnostic in tree.diagnostics {
            self.sink.push(diagnostic);
        }
        for statement in tree.statements {
            self.statement(statement);
        }
        self.open.pop();
    }

    /// Reads a file's text, once.
    fn source(&mut self, path: &Path, identity: &Path, include: Option<Span>) -> Option<SourceId> {
        if let Some(&source) = self.known.get(identity) {
            self.size += self.sources.get(source).text().len() as u64;
            if self.size <= SIZE_LIMIT {
                return Some(source);
            }
        }
        let left = SIZE_LIMIT.saturating_sub(self.size);
        let bytes = match self.files.read(path, left) {
            Ok(bytes) => bytes,
            Err(error) => {
                let shown = quoted(&path.display().to_string());
                let message = format!("cannot read {shown}: {}", error.message);
                let diagnostic = Diagnostic::error("unreadable-file", message);
                let diagnostic = match include {
                    Some(span) => diagnostic.at(span, "included here").hint(
                        "the path is relative to the folder of the file that contains this line",
                    ),
                    None => diagnostic,
                };
                self.sink.push(diagnostic.maybe_hint(error.hint));
                return None;
            }
        };
        self.size += bytes.len() as u64;
        let mut broken = None;
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            broken = first_broken(error.as_bytes()).map(|found| (found, utf16(error.as_bytes())));
            let bytes = error.as_bytes();
            match utf16(bytes) {
                true => String::from_utf8_lossy(bytes).into_owned(),
                false => latin1_lines(bytes),
            }
        });
        let name = path.display().to_string();
        let directory = self.files.directory(path);
        let source = self.sources.add(name, directory, text);
        self.known.insert(identity.to_owned(), source);
        if let Some((broken, utf16)) = broken {
            let (offset, index) = (broken.offset, broken.in_text);
            let shown = quoted(self.sources.get(source).name()).trim_matches('`').to_owned();
            let span = Span::new(source, index, index + broken.length);
            let diagnostic = match broken.in_comment && !utf16 {
                true => {
                    let message = format!("a comment is not UTF-8 (byte {offset})");
                    Diagnostic::warning("not-utf-8", message)
                }
                false => {
                    let message = format!("the file is not UTF-8 (byte {offset})");
                    Diagnostic::error("not-utf-8", message)
                }
            };
            self.sink.push(diagnostic.at(span, "not valid UTF-8").hint(match utf16 {
                true => "it looks like UTF-16: save the file as UTF-8".to_owned(),
                false => format!(
                    "it may be Latin-1: convert it with `iconv -f LATIN1 -t UTF-8 {shown} > NEW`"
                ),
            }));
            if utf16 {
                return None;
            }
        }
        Some(source)
    }

    fn report_cycle(&mut self, index: usize, include: Option<Span>) {
        let mut chain: Vec<&str> =
            self.open[index..].iter().map(|file| file.name.as_str()).collect();
        chain.push(&self.open[index].name);
        let mut diagnostic =
            Diagnostic::error("include-cycle", "files include each other in a cycle")
                .note(chain.join(" includes "));
        if let Some(span) = include {
            diagnostic =
                diagnostic.at(span, "completes the cycle").hint("remove one of the includes");
        }
        for file in &self.open[index..] {
            if let Some(span) = file.include.filter(|&span| Some(span) != include) {
                diagnostic = diagnostic.also(span, "included by this line");
            }
        }
        self.sink.push(diagnostic);
    }

    fn statement(&mut self, statement: Statement) {
        match statement {
            Statement::Backend { name, header } => self.backend(name, header),
            Statement::Instance { backend, name, header } => self.instance(backend, name, header),
            Statement::Map { name, .. } if name.is_empty() => self.current = Current::Map,
            Statement::Map { name, .. } => {
                let layer = layer::enter(&mut self.layers, name, self.sources);
                self.current = Current::Layer(layer);
            }
            Statement::Unreadable { header } => {
                self.hidden.push(Hidden::Header(header));
                self.current = Current::Skipped;
            }
            Statement::Include { path, .. } => self.include(path),
            Statement::Option { name, value } => match self.current {
                Current::Section(index) => {
                    self.sections[index].add(name, value, self.sources, self.sink);
                }
                Current::Layer(index) => {
                    self.layers[index].add(name, value, self.sources, self.sink);
                }
                _ => {}
            },
            Statement::NotAnOption => {
                if let Current::Section(index) = self.current {
                    self.sections[index].is_broken = true;
                }
            }
            Statement::Mapping { left, arrow, right, stages } => {
                let layer = match self.current {
                    Current::Layer(layer) => {
                        self.layers[layer].has_mappings = true;
                        Some(layer)
                    }
                    _ => None,
                };
                self.mappings.push(Mapping { left, arrow, right, stages, layer });
            }
        }
    }

    fn include(&mut self, span: Span) {
        self.includes += 1;
        if self.open.len() >= INCLUDE_DEPTH || self.includes > INCLUDE_LIMIT {
            if self.includes <= INCLUDE_LIMIT + 1 {
                let message = format!(
                    "more than {INCLUDE_LIMIT} includes, or files that include each other more \
                     than {INCLUDE_DEPTH} deep"
                );
                let diagnostic = Diagnostic::error("too-many-includes", message);
                self.sink.push(diagnostic.at(span, "not followed"));
            }
            self.hidden.push(Hidden::File);
            return;
        }
        let Some(file) = self.open.last_mut() else { return };
        file.include = Some(span);
        let path = join(&file.path, self.sources.text(span));
        let before = self.current;
        self.file(&path, Some(span));
        self.current = before;
    }

    fn backend(&mut self, name: Span, header: Span) {
        let Some(descriptor) = self.find_backend(name) else {
            self.current = Current::Skipped;
            return;
        };
        let matches = |section: &Section<'_>| {
            section.kind == Kind::Backend && section.descriptor.name == descriptor.name
        };
        let index = self.sections.iter().position(matches).unwrap_or_else(|| {
            self.sections.push(Section::new(Kind::Backend, descriptor, "", header));
            self.sections.len() - 1
        });
        self.current = Current::Section(index);
    }

    fn instance(&mut self, backend: Span, name: Span, header: Span) {
        let text = self.sources.text(name).to_owned();
        let descriptor = self.find_backend(backend);
        let before = self.names.get(&text).map(|found| found.span);
        if let Some(before) = before {
            let message = format!("the name {} is used twice", quoted(&text));
            self.sink.push(
                Diagnostic::error("repeated-name", message)
                    .at(name, "again here")
                    .also(before, "first used here")
                    .hint("instance names must be unique across all backends"),
            );
        }
        let section = descriptor.map(|descriptor| {
            self.sections.push(Section::new(Kind::Instance, descriptor, &text, header));
            self.sections.len() - 1
        });
        self.current = section.map_or(Current::Skipped, Current::Section);
        if before.is_none() {
            self.instances.extend(section);
            // A name that is rejected as a whole is not rejected again by its first part.
            let first = text.split(['.', '<', '>']).next().unwrap_or_default();
            if first != text && !self.names.contains_key(first) {
                self.names.insert(first.to_owned(), Named { span: name, section: None });
            }
            self.names.insert(text, Named { span: name, section });
        }
    }

    fn find_backend(&mut self, span: Span) -> Option<&'r BackendDescriptor> {
        let name = self.sources.text(span);
        let found = self.registry.iter().find(|descriptor| descriptor.name == name);
        if let Some(&descriptor) = found {
            return Some(descriptor);
        }
        if self.unknown_backends.insert(name.to_owned(), ()).is_none() {
            let diagnostic = unknown_backend(name, self.registry);
            self.sink.push(diagnostic.at(span, "no such backend"));
        }
        absent::find(name)
    }
}

/// The diagnostic for the name of a backend that does not exist.
pub fn unknown_backend(name: &str, registry: &[&BackendDescriptor]) -> Diagnostic {
    let names = || registry.iter().map(|descriptor| descriptor.name);
    if absent::find(name).is_some() {
        return absent::diagnostic(name);
    }
    let all: Vec<String> = names().map(|name| format!("`{name}`")).collect();
    let message = format!("unknown backend {}", quoted(name));
    let diagnostic = Diagnostic::error("unknown-backend", message);
    match did_you_mean(name, names()) {
        Some(hint) => diagnostic.hint(hint),
        None => match nearest(name, absent::known_backends()) {
            Some(found) => diagnostic.hint(format!(
                "did you mean `{found}`? It is not available in this build of Consort"
            )),
            None => diagnostic.hint(format!("there are {}", all.join(", "))),
        },
    }
}

/// The path of an included file, named from where consort was started.
fn join(parent: &Path, path: &str) -> PathBuf {
    match parent.parent() {
        Some(folder) => folder.join(path),
        None => PathBuf::from(path),
    }
}

/// A byte that is not valid UTF-8.
struct Broken {
    /// Its offset in the file.
    offset: usize,
    /// The offset in the text of the character that replaces it.
    in_text: usize,
    /// The bytes of that character.
    length: usize,
    /// Whether it is in a comment, where it has no effect.
    in_comment: bool,
}

/// The first byte that is not valid UTF-8: the first outside comments if there is one.
fn first_broken(bytes: &[u8]) -> Option<Broken> {
    let (mut offset, mut in_text, mut first) = (0, 0, None);
    for line in bytes.split(|&byte| byte == b'\n') {
        let Err(error) = std::str::from_utf8(line) else {
            offset += line.len() + 1;
            in_text += line.len() + 1;
            continue;
        };
        let in_comment = line.trim_ascii_start().starts_with(b";");
        let valid = error.valid_up_to();
        // The first broken byte of UTF-16 is shown as U+FFFD, which has three bytes.
        let shown = if utf16(bytes) { '\u{FFFD}' } else { char::from(line[valid]) };
        let start = match utf16(bytes) {
            true => valid,
            false => line[..valid].iter().map(|&byte| char::from(byte).len_utf8()).sum(),
        };
        let length = shown.len_utf8();
        let broken =
            Broken { offset: offset + valid, in_text: in_text + start, length, in_comment };
        if !in_comment {
            return Some(broken);
        }
        first.get_or_insert(broken);
        offset += line.len() + 1;
        in_text += latin1(line).len() + 1;
    }
    first
}

/// Text of which every byte is a character of Latin-1.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Text in which the lines that are not UTF-8 are taken as Latin-1, so that they can be shown.
fn latin1_lines(bytes: &[u8]) -> String {
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.map(|line| match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether bytes that are not UTF-8 look like UTF-16.
fn utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF])
}
