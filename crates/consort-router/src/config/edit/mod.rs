//! Lossless edits of configuration files.
//!
//! An [`Editor`] reads a configuration with its includes and changes options, instances and
//! mappings by their spans, in the file that contains them. Everything else in the files stays
//! byte for byte as it is: comments, blank lines, order, indentation, line ends. After each edit
//! the text is read again and compared with what was intended: a value that would be read
//! differently, such as one with a line break, is an error and changes nothing.
//!
//! ```no_run
//! use consort_router::config::edit::{Editor, Section};
//! # fn main() -> Result<(), consort_router::config::edit::EditError> {
//! let mut editor = Editor::open("show.cfg".as_ref())?;
//! editor.set_option(&Section::instance("tablet"), "bind", "0.0.0.0 8000")?;
//! editor.add_mapping("tablet./1/fader1 > lamp./dim")?;
//! print!("{}", editor.diff());
//! editor.save()?;
//! # Ok(())
//! # }
//! ```
//!
//! Editing blocks for as long as the file system takes; nothing here runs on the router's thread.

mod diff;
mod outline;
mod save;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use self::outline::{Line, OptionLine, Outline};
use super::{Files, Loaded, Override, load_from};
use crate::backend::BackendDescriptor;

/// Why an edit was rejected. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is not UTF-8, so that its text cannot be kept byte for byte.
    #[error("cannot edit {}: it is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A file's contents changed since it was read.
    #[error("{} was changed by another program since it was loaded; load it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The configuration has no such section.
    #[error("the configuration has no section {section}")]
    UnknownSection {
        /// The section's header.
        section: Section,
    },
    /// The section has no such option.
    #[error("the section {section} has no option `{name}`")]
    UnknownOption {
        /// The section's header.
        section: Section,
        /// The option.
        name: String,
    },
    /// There is no mapping of that number.
    #[error("the configuration has no mapping {index}")]
    UnknownMapping {
        /// The number, from 0.
        index: usize,
    },
    /// An instance of that name exists.
    #[error("an instance `{name}` already exists")]
    DuplicateInstance {
        /// The name.
        name: String,
    },
    /// Mappings use the instance that was to be removed.
    #[error("mappings use the instance `{name}` ({count}); remove them first")]
    InUse {
        /// The instance.
        name: String,
        /// How many mappings use it.
        count: usize,
    },
    /// A file is included more than once, so that a line of it belongs to several sections.
    #[error("{} is included more than once: edit it by hand", path.display())]
    SharedInclude {
        /// The file.
        path: PathBuf,
    },
    /// The section of an instance that was to be removed contains an include.
    #[error("the section of `{name}` contains an include: edit it by hand")]
    ContainsInclude {
        /// The instance.
        name: String,
    },
    /// A file of the configuration has no such bytes, or they begin or end within a character.
    #[error("{} has no text from byte {} to {}", path.display(), range.start, range.end)]
    Range {
        /// The file.
        path: PathBuf,
        /// The bytes.
        range: Range<usize>,
    },
    /// The new text would be read as something else.
    #[error("{text:?} cannot be written as {what}: it would be read differently")]
    NotAsMeant {
        /// The text.
        text: String,
        /// What it was intended to be.
        what: &'static str,
    },
}

/// A section of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `[backend NAME]`.
    Backend(String),
    /// `[BACKEND NAME]`, by its instance name.
    Instance(String),
}

impl Section {
    /// The section of a backend.
    pub fn backend(name: impl Into<String>) -> Self {
        Section::Backend(name.into())
    }

    /// The section of an instance.
    pub fn instance(name: impl Into<String>) -> Self {
        Section::Instance(name.into())
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Section::Backend(name) => write!(f, "`[backend {name}]`"),
            Section::Instance(name) => write!(f, "of instance `{name}`"),
        }
    }
}

/// A file of the configuration.
#[derive(Clone, Debug)]
struct EditedFile {
    /// Canonical: links are resolved.
    path: PathBuf,
    /// The folder that its includes start from: that of the path as it is written.
    directory: PathBuf,
    original: String,
    text: String,
}

/// A mapping as the files contain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingText {
    /// The file, with links resolved.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The text from the first channel to the last stage, without comments.
    pub text: String,
}

/// Edits a configuration and its includes in memory, and saves them.
#[derive(Clone, Debug)]
pub struct Editor {
    root: PathBuf,
    files: Vec<EditedFile>,
    /// Includes that cannot be read, with the reason.
    unread: Vec<(PathBuf, String)>,
    outline: Outline,
}

impl Editor {
    /// Reads a configuration and all files that it includes. Includes that cannot be read are
    /// left out: the rest can be edited, but no instance renamed or removed.
    ///
    /// # Errors
    /// [`EditError::Read`] for the configuration itself, [`EditError::NotUtf8`] for any file.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let mut files = Vec::new();
        let unread = outline::read(path, &mut files)?;
        let outline = Outline::new(&files);
        Ok(Editor { root: path.to_owned(), files, unread, outline })
    }

    /// The files that contain the configuration, with links resolved; the first is its root.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The edited text of a file.
    pub fn text(&self, path: &Path) -> Option<&str> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether any text differs from the files as they were read.
    pub fn is_changed(&self) -> bool {
        self.files.iter().any(|file| file.text != file.original)
    }

    /// The values that a section gives to an option, in order.
    pub fn option(&self, section: &Section, name: &str) -> Vec<&str> {
        let options = self.options_named(section, name);
        options.map(|option| self.slice(option.file, &option.value)).collect()
    }

    /// All mappings in order.
    pub fn mappings(&self) -> Vec<MappingText> {
        // The line of the last mapping of each file, and where it begins: lines are counted once.
        let mut counted = vec![(0, 1); self.files.len()];
        let mapping = |line: &Line| {
            let file = &self.files[line.file];
            let (offset, number) = &mut counted[line.file];
            let start = line.content.start;
            if start < *offset {
                (*offset, *number) = (0, 1);
            }
            *number += file.text[*offset..start].matches('\n').count();
            *offset = start;
            let text = file.text[line.content.clone()].to_owned();
            MappingText { path: file.path.clone(), line: *number, text }
        };
        self.outline.mappings.iter().map(mapping).collect()
    }

    /// Gives an option a value: the last one that the section gives is replaced; without one, the
    /// option is added.
    ///
    /// # Errors
    /// [`EditError::UnknownSection`], [`EditError::NotAsMeant`].
    pub fn set_option(
        &mut self,
        section: &Section,
        name: &str,
        value: &str,
    ) -> Result<(), EditError> {
        self.check_sections()?;
        let last = self.options_named(section, name).last().cloned();
        let Some(option) = last else { return self.add_option(section, name, value) };
        let mut values = self.owned_values(section, name);
        values.pop();
        values.push(value.to_owned());
        let is_empty = option.value.is_empty();
        let text = if is_empty { format!(" {value}") } else { value.to_owned() };
        self.try_edit(option.file, option.value, &text, value, "a value", |editor| {
            editor.owned_values(section, name) == values
        })
    }

    /// Adds an option after the last one of the same name, or at the end of the section.
    ///
    /// # Errors
    /// [`EditError::UnknownSection`], [`EditError::NotAsMeant`].
    pub fn add_option(
        &mut self,
        section: &Section,
        name: &str,
        value: &str,
    ) -> Result<(), EditError> {
        self.check_sections()?;
        let place = |option: &OptionLine| (option.file, option.line.clone());
        let same = self.options_named(section, name).last().map(place);
        let last = self.outline.options(section).last().map(place);
        let header = self.outline.header(section).map(|line| (line.file, line.content.clone()));
        let indent = last.clone().or_else(|| same.clone());
        let Some((file, after)) = same.or(last).or(header) else {
            return Err(EditError::UnknownSection { section: section.clone() });
        };
        let indent = indent.map_or_else(String::new, |(file, line)| self.indent(file, &line));
        let mut values = self.owned_values(section, name);
        values.push(value.to_owned());
        let text = format!("{indent}{name} = {value}");
        self.insert_after(file, after.end, &text, value, "an option", |editor| {
            editor.owned_values(section, name) == values
        })
    }

    /// Removes all lines that give an option a value.
    ///
    /// # Errors
    /// [`EditError::UnknownOption`].
    pub fn remove_option(&mut self, section: &Section, name: &str) -> Result<(), EditError> {
        self.check_sections()?;
        let find = |editor: &Editor| {
            let found = editor.options_named(section, name).next();
            found.map(|option| (option.file, option.line.clone()))
        };
        if find(self).is_none() {
            let (section, name) = (section.clone(), name.to_owned());
            return Err(EditError::UnknownOption { section, name });
        }
        while let Some((file, line)) = find(self) {
            self.remove_line(file, line);
        }
        Ok(())
    }

    /// Adds an instance with its options, after the last section of an instance, or at the start
    /// of the first file.
    ///
    /// # Errors
    /// [`EditError::DuplicateInstance`], [`EditError::NotAsMeant`].
    pub fn add_instance(
        &mut self,
        backend: &str,
        name: &str,
        options: &[(&str, &str)],
    ) -> Result<(), EditError> {
        self.check_sections()?;
        let section = Section::instance(name);
        if self.outline.header(&section).is_some() {
            return Err(EditError::DuplicateInstance { name: name.to_owned() });
        }
        let header = format!("[{backend} {name}]");
        let is_header = |editor: &Editor| {
            let found = editor.outline.header(&section);
            found.is_some_and(|line| editor.files[line.file].text[line.content.clone()] == header)
        };
        let before = self.clone();
        let result = match self.outline.last_instance_end() {
            Some((file, end)) => {
                let newline = self.newline(file);
                let text = format!("{newline}{header}");
                self.insert_after(file, end, &text, &header, "an instance", is_header)
            }
            None => {
                // At the start, so that lines of other sections do not become part of this one.
                let text = format!("{header}{0}{0}", self.newline(0));
                self.try_edit(0, 0..0, &text, &header, "an instance", is_header)
            }
        };
        let mut result = result;
        for (option, value) in options {
            result = result.and_then(|()| self.add_option(&section, option, value));
        }
        if result.is_err() {
            *self = before;
        }
        result
    }

    /// Removes an instance: its header and options. Comments stay.
    ///
    /// # Errors
    /// [`EditError::UnknownSection`], or [`EditError::InUse`] while mappings use it.
    pub fn remove_instance(&mut self, name: &str) -> Result<(), EditError> {
        self.check_sections()?;
        self.check_complete()?;
        let section = Section::instance(name);
        if self.outline.header(&section).is_none() {
            return Err(EditError::UnknownSection { section });
        }
        if self.outline.has_include(&section) {
            return Err(EditError::ContainsInclude { name: name.to_owned() });
        }
        let prefix = format!("{name}.");
        let uses = |line: &&Line| {
            let text = &self.files[line.file].text;
            line.channels.iter().any(|channel| text[channel.clone()].starts_with(&prefix))
        };
        let count = self.outline.mappings.iter().filter(uses).count();
        if count > 0 {
            return Err(EditError::InUse { name: name.to_owned(), count });
        }
        let first_option = |editor: &Editor| {
            let option = editor.outline.options(&section).next()?;
            Some((option.file, option.line.clone()))
        };
        while let Some((file, line)) = first_option(self) {
            self.remove_line(file, line);
        }
        while let Some(line) = self.outline.header(&section) {
            let (file, content) = (line.file, line.content.clone());
            self.remove_line(file, content);
        }
        Ok(())
    }

    /// Renames an instance, in its header and in all mappings.
    ///
    /// # Errors
    /// [`EditError::UnknownSection`], [`EditError::DuplicateInstance`], [`EditError::NotAsMeant`].
    pub fn rename_instance(&mut self, old: &str, new: &str) -> Result<(), EditError> {
        self.check_complete()?;
        let section = Section::instance(old);
        if self.outline.header(&section).is_none() {
            return Err(EditError::UnknownSection { section });
        }
        if self.outline.header(&Section::instance(new)).is_some() {
            return Err(EditError::DuplicateInstance { name: new.to_owned() });
        }
        let not_as_meant =
            || EditError::NotAsMeant { text: new.to_owned(), what: "the name of an instance" };
        if new.is_empty() || new.contains([' ', '.', '<', '>', '\n', '\r', ']']) {
            return Err(not_as_meant());
        }
        let mut edits: Vec<(usize, Range<usize>)> = Vec::new();
        edits.extend(self.outline.names(&section));
        let prefix = format!("{old}.");
        for line in &self.outline.mappings {
            let text = &self.files[line.file].text;
            for channel in &line.channels {
                if text[channel.clone()].starts_with(&prefix) {
                    edits.push((line.file, channel.start..channel.start + old.len()));
                }
            }
        }
        // From the end, so that earlier spans stay valid.
        edits.sort_by_key(|(file, range)| (*file, std::cmp::Reverse(range.start)));
        edits.dedup();
        let (before, shape, uses) = (self.clone(), self.outline.shape(), self.uses(old));
        for (file, range) in edits {
            self.files[file].text.replace_range(range, new);
        }
        self.outline = Outline::new(&self.files);
        let is_meant = self.outline.shape() == shape
            && self.outline.header(&Section::instance(new)).is_some()
            && (self.uses(new), self.uses(old)) == (uses, 0);
        if is_meant {
            return Ok(());
        }
        *self = before;
        Err(not_as_meant())
    }

    /// How many channels of mappings belong to an instance.
    fn uses(&self, name: &str) -> usize {
        let prefix = format!("{name}.");
        let channels =
            self.outline.mappings.iter().flat_map(|line| {
                line.channels.iter().map(|channel| self.slice(line.file, channel))
            });
        channels.filter(|channel| channel.starts_with(&prefix)).count()
    }

    /// An error when lines of sections belong to several sections.
    fn check_sections(&self) -> Result<(), EditError> {
        match self.outline.shared_section_file() {
            Some(file) => Err(EditError::SharedInclude { path: self.files[file].path.clone() }),
            None => Ok(()),
        }
    }

    /// An error when a file could not be read, in which an instance may be used.
    fn check_complete(&self) -> Result<(), EditError> {
        match self.unread.first() {
            Some((path, reason)) => {
                Err(EditError::Read { path: path.clone(), reason: reason.clone() })
            }
            None => Ok(()),
        }
    }

    /// An error when a file is included more than once.
    fn check_unshared(&self, file: usize) -> Result<(), EditError> {
        match self.outline.is_shared(file) {
            true => Err(EditError::SharedInclude { path: self.files[file].path.clone() }),
            false => Ok(()),
        }
    }

    /// Adds a mapping after the last one of `[map]`, or in a new `[map]` at the end of the first file.
    ///
    /// # Errors
    /// [`EditError::NotAsMeant`].
    pub fn add_mapping(&mut self, text: &str) -> Result<(), EditError> {
        let count = self.outline.mappings.len() + 1;
        let is_added = |editor: &Editor| {
            editor.outline.mappings.len() == count
                && editor.outline.mappings.iter().any(|line| editor.mapping_text(line) == text)
        };
        if let Some((file, line)) = self.outline.last_mapping.clone() {
            self.check_unshared(file)?;
            let text_line = format!("{}{text}", self.indent(file, &line));
            return self.insert_after(file, line.end, &text_line, text, "a mapping", is_added);
        }
        if let Some((file, end)) = self.outline.last_map {
            return self.insert_after(file, end, text, text, "a mapping", is_added);
        }
        let end = self.files[0].text.len();
        let newline = self.newline(0);
        let blank = if end == 0 { "" } else { newline };
        let lines = format!("{blank}[map]{newline}{text}");
        self.insert_after(0, end, &lines, text, "a mapping", is_added)
    }

    /// Replaces a mapping, by its number in [`mappings`](Self::mappings). A comment after it is
    /// kept.
    ///
    /// # Errors
    /// [`EditError::UnknownMapping`], [`EditError::NotAsMeant`].
    pub fn change_mapping(&mut self, index: usize, text: &str) -> Result<(), EditError> {
        let Some(line) = self.outline.mappings.get(index).cloned() else {
            return Err(EditError::UnknownMapping { index });
        };
        self.check_unshared(line.file)?;
        let count = self.outline.mappings.len();
        self.try_edit(line.file, line.content, text, text, "a mapping", |editor| {
            let lines = &editor.outline.mappings;
            lines.len() == count && editor.mapping_text(&lines[index]) == text
        })
    }

    /// Removes a mapping, by its number in [`mappings`](Self::mappings), with its line.
    ///
    /// # Errors
    /// [`EditError::UnknownMapping`].
    pub fn remove_mapping(&mut self, index: usize) -> Result<(), EditError> {
        let Some(line) = self.outline.mappings.get(index) else {
            return Err(EditError::UnknownMapping { index });
        };
        let (file, line) = (line.file, line.line.clone());
        self.check_unshared(file)?;
        self.remove_line(file, line);
        Ok(())
    }

    /// Replaces some bytes of a file. The result is not compared with anything: it may have errors.
    ///
    /// # Errors
    /// [`EditError::Range`] when the file is not part of the configuration, or has no such bytes.
    pub fn replace(
        &mut self,
        path: &Path,
        range: Range<usize>,
        with: &str,
    ) -> Result<(), EditError> {
        let file = self.files.iter_mut().find(|file| file.path == path);
        match file.filter(|file| file.text.get(range.clone()).is_some()) {
            Some(file) => file.text.replace_range(range, with),
            None => return Err(EditError::Range { path: path.to_owned(), range }),
        }
        self.outline = Outline::new(&self.files);
        Ok(())
    }

    /// Loads the edited configuration as it would be loaded after [`save`](Self::save).
    pub fn check(&self, overrides: &[Override], registry: &[&BackendDescriptor]) -> Loaded {
        load_from(&self.as_files(), &self.root, overrides, registry)
    }

    /// The files for loading: the edited texts in place of those in the file system.
    pub fn as_files(&self) -> Files {
        let changed = self.files.iter().filter(|file| file.text != file.original);
        let entry = |file: &EditedFile| (file.path.clone(), file.text.clone().into_bytes());
        Files::Edited(changed.map(entry).collect::<BTreeMap<_, _>>())
    }

    /// The changes as a unified diff; empty when there are none.
    pub fn diff(&self) -> String {
        let changed = self.files.iter().filter(|file| file.text != file.original);
        changed.map(|file| diff::unified(&file.path, &file.original, &file.text)).collect()
    }

    /// Writes each changed file into a temporary file beside it, with the same mode and owner,
    /// syncs that, and renames it to the original. Links are kept: the file that they lead to is
    /// replaced.
    ///
    /// # Errors
    /// [`EditError::Changed`] when a file's contents are not those that were read. In this case,
    /// and when a temporary file cannot be written, no file is changed.
    pub fn save(&mut self) -> Result<(), EditError> {
        save::save(&mut self.files)
    }

    fn slice(&self, file: usize, range: &Range<usize>) -> &str {
        &self.files[file].text[range.clone()]
    }

    fn mapping_text(&self, line: &Line) -> &str {
        self.slice(line.file, &line.content)
    }

    /// The lines that give an option a value, in the order in which they are read.
    fn options_named<'a>(
        &'a self,
        section: &Section,
        name: &'a str,
    ) -> impl Iterator<Item = &'a OptionLine> {
        let options = self.outline.options(section);
        options.filter(move |option| self.slice(option.file, &option.name) == name)
    }

    fn owned_values(&self, section: &Section, name: &str) -> Vec<String> {
        self.option(section, name).into_iter().map(str::to_owned).collect()
    }

    /// The line end that a file uses.
    fn newline(&self, file: usize) -> &'static str {
        if self.files[file].text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The white space at the start of the line that contains `range`.
    fn indent(&self, file: usize, range: &Range<usize>) -> String {
        let text = &self.files[file].text;
        let start = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let indent = text[start..].chars().take_while(|character| matches!(character, ' ' | '\t'));
        indent.collect()
    }

    /// Inserts lines after the line that contains the byte `end`.
    fn insert_after(
        &mut self,
        file: usize,
        end: usize,
        lines: &str,
        written: &str,
        what: &'static str,
        is_meant: impl Fn(&Editor) -> bool,
    ) -> Result<(), EditError> {
        let text = &self.files[file].text;
        let newline = self.newline(file);
        match text[end..].find('\n') {
            Some(offset) => {
                let position = end + offset + 1;
                let lines = format!("{lines}{newline}");
                self.try_edit(file, position..position, &lines, written, what, is_meant)
            }
            None => {
                // If the last line has no line end, the new last line has none either.
                let position = text.len();
                let before = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
                let after = if before.is_empty() { newline } else { "" };
                let lines = format!("{before}{lines}{after}");
                self.try_edit(file, position..position, &lines, written, what, is_meant)
            }
        }
    }

    /// Replaces some bytes; undoes that when the result is not what was intended.
    fn try_edit(
        &mut self,
        file: usize,
        range: Range<usize>,
        replacement: &str,
        written: &str,
        what: &'static str,
        is_meant: impl Fn(&Editor) -> bool,
    ) -> Result<(), EditError> {
        let before = self.files[file].text.clone();
        let others = self.outline.shape();
        self.files[file].text.replace_range(range, replacement);
        self.outline = Outline::new(&self.files);
        // At most one line may be new, and no other header, option or mapping may appear or vanish.
        let after = self.outline.shape();
        if is_meant(self) && after.is_like(others) {
            return Ok(());
        }
        self.files[file].text = before;
        self.outline = Outline::new(&self.files);
        Err(EditError::NotAsMeant { text: written.to_owned(), what })
    }

    /// Removes the line that contains `range`, with its end.
    fn remove_line(&mut self, file: usize, range: Range<usize>) {
        let text = &mut self.files[file].text;
        let start = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[range.end..].find('\n').map_or(text.len(), |offset| range.end + offset + 1);
        text.replace_range(start..end, "");
        self.outline = Outline::new(&self.files);
    }
}
