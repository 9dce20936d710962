//! The texts of a configuration, kept so that diagnostics can show them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The number of a text among the [`Sources`] of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u32);

/// Some bytes of a source: from `start` up to, and without, `end`. Both lie between
/// characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(source: SourceId, start: usize, end: usize) -> Self {
        Span { source, start: start as u32, end: end.max(start) as u32 }
    }

    /// Some bytes of this span, counted from its start; kept inside it.
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        let clamped = |offset: usize| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            self.start.saturating_add(offset).min(self.end)
        };
        let (start, end) = (clamped(start), clamped(end));
        Span { start, end: end.max(start), ..self }
    }

    /// From the start of this one to the end of another in the same source.
    pub(crate) fn to(self, other: Span) -> Self {
        Span { end: other.end.max(self.end), ..self }
    }

    /// Whether it has no bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The line and column of a byte, as people and editors count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// One text: a configuration file, or the arguments of the command line.
#[derive(Debug)]
pub struct Source {
    name: String,
    directory: PathBuf,
    text: String,
    lines: OnceLock<Vec<u32>>,
}

impl Source {
    /// What it is called in messages: the file's path as it was given, or `<command line>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder that relative paths in it start from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The whole text. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The offsets at which lines begin.
    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0).chain(ends.map(|(offset, _)| offset as u32 + 1)).collect()
        })
    }

    /// The line and column of a byte. An offset after the text counts as its end, one inside a
    /// character for that character's start.
    pub fn position(&self, offset: u32) -> Position {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let lines = self.lines();
        let line = lines.partition_point(|&start| start as usize <= offset);
        let start = lines[line - 1] as usize;
        // A byte-order mark does not count as a column.
        let before =
            self.text[start..offset].chars().filter(|&character| character != '\u{FEFF}').count();
        Position { line, column: before + 1 }
    }

    /// The bytes of a line, counted from 1, without its end of line; none behind the last.
    pub fn line(&self, number: usize) -> Option<std::ops::Range<usize>> {
        let lines = self.lines();
        let start = *lines.get(number.checked_sub(1)?)? as usize;
        let end = lines.get(number).map_or(self.text.len(), |&next| next as usize - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        Some(start..end)
    }
}

/// All texts of one load.
#[derive(Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// The name under which the arguments of the command line are kept.
    pub const COMMAND_LINE: &str = "<command line>";

    pub(crate) fn add(&mut self, name: String, directory: PathBuf, text: String) -> SourceId {
        let id = SourceId(self.list.len() as u32);
        self.list.push(Source { name, directory, text, lines: OnceLock::new() });
        id
    }

    /// A source.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.list[id.0 as usize]
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        &self.get(span.source).text[span.start as usize..span.end as usize]
    }

    /// All of them, in the order in which they were first needed.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.list.iter()
    }
}
