//! Where headers, options and mappings are in the files, found by the parser of the configuration.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{EditError, EditedFile, Section};
use crate::config::collect::{INCLUDE_DEPTH, INCLUDE_LIMIT};
use crate::config::diagnostic::Severity;
use crate::config::files::{Files, SIZE_LIMIT};
use crate::config::source::{Sources, Span};
use crate::config::syntax::{Mode, Statement, parse};

/// A header or a mapping.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) file: usize,
    /// The header with its brackets, or the mapping from its first channel to its last stage.
    pub(super) content: Range<usize>,
    /// What [`super::Editor`] treats as the line; the same as `content`.
    pub(super) line: Range<usize>,
    /// The channels of a mapping, each with its instance.
    pub(super) channels: Vec<Range<usize>>,
}

/// An option.
#[derive(Clone, Debug)]
pub(super) struct OptionLine {
    pub(super) file: usize,
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) line: Range<usize>,
}

/// A section: its headers, since those of one backend may be repeated, and its options.
#[derive(Clone, Debug)]
struct SectionLines {
    section: Section,
    headers: Vec<Line>,
    names: Vec<(usize, Range<usize>)>,
    options: Vec<OptionLine>,
}

/// Everything that can be edited, in the order in which the configuration is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    sections: Vec<SectionLines>,
    pub(super) mappings: Vec<Line>,
    /// File and end of the last header `[map]`.
    pub(super) last_map: Option<(usize, usize)>,
    /// The last mapping that is always active.
    pub(super) last_mapping: Option<(usize, Range<usize>)>,
    /// File and end of the last line of a section of an instance.
    last_instance: Option<(usize, usize)>,
    maps: usize,
    skipped: usize,
    errors: usize,
    visited: HashSet<usize>,
    /// Files that are included more than once.
    shared: HashSet<usize>,
    /// Files with lines of sections.
    with_sections: HashSet<usize>,
    /// Sections that contain an include.
    with_include: HashSet<usize>,
    /// File and start of each line: one that is included twice is edited once.
    seen: HashSet<(usize, usize)>,
}

/// How many of each kind of line there are: an edit changes one of the counts by one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    headers: usize,
    options: usize,
    mappings: usize,
    skipped: usize,
    errors: usize,
}

impl Shape {
    /// Whether at most one line (or a new `[map]` with its first line) was added, and no error.
    pub(super) fn is_like(self, before: Shape) -> bool {
        let added = |after: usize, before: usize| after.checked_sub(before);
        let counts = [
            added(self.headers, before.headers),
            added(self.options, before.options),
            added(self.mappings, before.mappings),
            added(self.skipped, before.skipped),
        ];
        self.errors <= before.errors
            && matches!(
                counts,
                [Some(0), Some(0 | 1), Some(0), Some(0)]
                    | [Some(1), Some(0), Some(0 | 1), Some(0)]
                    | [Some(0), Some(0), Some(1), Some(0)]
            )
    }
}

/// Reads a configuration and its includes, each once. Returns the includes that cannot be read,
/// with the reason.
pub(super) fn read(
    path: &Path,
    files: &mut Vec<EditedFile>,
) -> Result<Vec<(PathBuf, String)>, EditError> {
    let (mut size, mut unread) = (0, Vec::new());
    read_file(path, files, &mut size)?;
    let mut next = 0;
    while next < files.len() && files.len() < INCLUDE_LIMIT {
        for include in includes(&files[next]) {
            match read_file(&include, files, &mut size) {
                Err(EditError::Read { path, reason }) => unread.push((path, reason)),
                read => read?,
            }
        }
        next += 1;
    }
    Ok(unread)
}

fn read_file(path: &Path, files: &mut Vec<EditedFile>, size: &mut u64) -> Result<(), EditError> {
    let canonical = Files::Disk.identity(path);
    if files.iter().any(|file| file.path == canonical) {
        return Ok(());
    }
    let bytes = Files::Disk
        .read(path, SIZE_LIMIT.saturating_sub(*size))
        .map_err(|error| EditError::Read { path: path.to_owned(), reason: error.message })?;
    *size += bytes.len() as u64;
    let text =
        String::from_utf8(bytes).map_err(|_| EditError::NotUtf8 { path: path.to_owned() })?;
    let directory = Files::Disk.directory(path);
    files.push(EditedFile { path: canonical, directory, original: text.clone(), text });
    Ok(())
}

/// The paths that a file includes. The mode of the lines before the first header does not affect
/// them.
fn includes(file: &EditedFile) -> Vec<PathBuf> {
    let mut sources = Sources::default();
    let source = sources.add(String::new(), PathBuf::new(), String::new());
    let directory = &file.directory;
    let statements = parse(source, &file.text, Mode::Unknown).statements;
    let include = |statement: &Statement| match statement {
        Statement::Include { path, .. } => Some(directory.join(&file.text[bytes(*path)])),
        _ => None,
    };
    statements.iter().filter_map(include).collect()
}

fn bytes(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// The section that the reader is in.
#[derive(Clone, Copy)]
enum Current {
    Outside,
    Section(usize),
    Map,
    Layer,
    Skipped,
}

impl Outline {
    pub(super) fn new(files: &[EditedFile]) -> Self {
        let mut outline = Outline::default();
        if !files.is_empty() {
            let mut current = Current::Outside;
            let mut includes = 0;
            outline.file(files, 0, &mut current, &mut Vec::new(), &mut includes);
        }
        outline
    }

    fn file(
        &mut self,
        files: &[EditedFile],
        index: usize,
        current: &mut Current,
        open: &mut Vec<usize>,
        includes: &mut usize,
    ) {
        if open.contains(&index) || open.len() > INCLUDE_DEPTH {
            return;
        }
        open.push(index);
        if !self.visited.insert(index) {
            self.shared.insert(index);
        }
        let text = &files[index].text;
        let mut sources = Sources::default();
        let source = sources.add(String::new(), PathBuf::new(), String::new());
        let mode = match current {
            Current::Outside => Mode::Outside,
            Current::Section(_) => Mode::Options,
            Current::Map => Mode::Map,
            Current::Layer => Mode::Layer,
            Current::Skipped => Mode::Unknown,
        };
        let tree = parse(source, text, mode);
        let errors = tree.diagnostics.iter().filter(|item| item.severity == Severity::Error);
        self.errors += errors.count();
        for statement in tree.statements {
            match statement {
                Statement::Backend { name, header } => {
                    let section = Section::Backend(text[bytes(name)].to_owned());
                    *current = self.enter_section(section, index, bytes(header), bytes(name));
                }
                Statement::Instance { name, header, .. } => {
                    let section = Section::Instance(text[bytes(name)].to_owned());
                    *current = self.enter_section(section, index, bytes(header), bytes(name));
                    self.last_instance = Some((index, header.end as usize));
                }
                Statement::Map { name, header } => {
                    *current = if name.is_empty() { Current::Map } else { Current::Layer };
                    self.maps += usize::from(self.seen.insert((index, header.start as usize)));
                    if name.is_empty() {
                        self.last_map = Some((index, header.end as usize));
                    }
                }
                Statement::Include { path, .. } => {
                    *includes += 1;
                    if let Current::Section(section) = *current {
                        self.with_include.insert(section);
                    }
                    let directory = &files[index].directory;
                    let path = Files::Disk.identity(&directory.join(&text[bytes(path)]));
                    let found = files.iter().position(|file| file.path == path);
                    if let Some(found) = found.filter(|_| *includes <= INCLUDE_LIMIT) {
                        self.file(files, found, current, open, includes);
                    }
                }
                Statement::Unreadable { .. } => {
                    *current = Current::Skipped;
                    self.skipped += 1;
                }
                Statement::Option { name, value } => {
                    if let Current::Section(section) = *current {
                        let line = bytes(name.to(value));
                        self.option(
                            section,
                            OptionLine {
                                file: index,
                                name: bytes(name),
                                value: bytes(value),
                                line,
                            },
                        );
                    }
                }
                Statement::NotAnOption => self.skipped += 1,
                Statement::Mapping { left, right, stages, .. } => {
                    let end = if stages.is_empty() { right.end } else { stages.end };
                    let content = left.start as usize..end as usize;
                    let line = Line {
                        file: index,
                        line: content.clone(),
                        content,
                        channels: vec![bytes(left), bytes(right)],
                    };
                    if self.seen.insert((index, line.content.start)) {
                        if matches!(current, Current::Map) {
                            self.last_mapping = Some((index, line.line.clone()));
                        }
                        self.mappings.push(line);
                    }
                }
            }
        }
        open.pop();
    }

    fn enter_section(
        &mut self,
        section: Section,
        file: usize,
        content: Range<usize>,
        name: Range<usize>,
    ) -> Current {
        self.with_sections.insert(file);
        let line = Line { file, line: content.clone(), content, channels: Vec::new() };
        let found = self.sections.iter().position(|known| known.section == section);
        let index = found.unwrap_or_else(|| {
            let (headers, names, options) = (Vec::new(), Vec::new(), Vec::new());
            self.sections.push(SectionLines { section, headers, names, options });
            self.sections.len() - 1
        });
        let known = &mut self.sections[index];
        if self.seen.insert((file, line.content.start)) {
            known.headers.push(line);
            known.names.push((file, name));
        }
        Current::Section(index)
    }

    fn option(&mut self, section: usize, option: OptionLine) {
        self.with_sections.insert(option.file);
        let known = &mut self.sections[section];
        if matches!(known.section, Section::Instance(_)) {
            self.last_instance = Some((option.file, option.line.end));
        }
        if self.seen.insert((option.file, option.line.start)) {
            known.options.push(option);
        }
    }

    fn find(&self, section: &Section) -> Option<&SectionLines> {
        self.sections.iter().find(|known| known.section == *section)
    }

    /// The options of a section in order.
    pub(super) fn options(&self, section: &Section) -> impl Iterator<Item = &OptionLine> {
        self.find(section).into_iter().flat_map(|section| &section.options)
    }

    /// A file that is included more than once and has lines of sections: such a line belongs to
    /// several sections, so that it cannot be edited for one of them.
    pub(super) fn shared_section_file(&self) -> Option<usize> {
        self.shared.intersection(&self.with_sections).min().copied()
    }

    /// Whether a file is included more than once.
    pub(super) fn is_shared(&self, file: usize) -> bool {
        self.shared.contains(&file)
    }

    /// Whether a section contains an include.
    pub(super) fn has_include(&self, section: &Section) -> bool {
        let index = self.sections.iter().position(|known| known.section == *section);
        index.is_some_and(|index| self.with_include.contains(&index))
    }

    /// The last header of a section.
    pub(super) fn header(&self, section: &Section) -> Option<&Line> {
        self.find(section).and_then(|section| section.headers.last())
    }

    /// The names in the headers of a section.
    pub(super) fn names(&self, section: &Section) -> Vec<(usize, Range<usize>)> {
        self.find(section).map(|section| section.names.clone()).unwrap_or_default()
    }

    /// File and end of the last line of a section of an instance.
    pub(super) fn last_instance_end(&self) -> Option<(usize, usize)> {
        self.last_instance
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            headers: self.sections.iter().map(|section| section.headers.len()).sum::<usize>()
                + self.maps,
            options: self.sections.iter().map(|section| section.options.len()).sum(),
            mappings: self.mappings.len(),
            skipped: self.skipped,
            errors: self.errors,
        }
    }
}
