//! From the text of one file to its statements. Pure: nothing is looked up, nothing is read.
//!
//! The grammar is MIDIMonster's. A line is trimmed of ASCII white space and byte-order marks;
//! it is empty, a comment (it begins with `;`), a section header (`[…]`), an assignment
//! (`name = value`) or, in `[map]`, a mapping (`source > target`).

use std::ops::Range;

use super::diagnostic::{Diagnostic, counted, is_invisible, quoted};
use super::mapping_line::{self, Arithmetic};
use super::source::{SourceId, Span};
use crate::transform::LAYER_OPTIONS;
use consort_suggest::nearest;

/// How long a line may be, in bytes.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// How lines that are not headers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No section has begun.
    Outside,
    /// Assignments to a backend or an instance.
    Options,
    /// Mappings that are always active.
    Map,
    /// Options and mappings of a layer.
    Layer,
    /// A header could not be read: what follows may be anything.
    Unknown,
}

/// Which way values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrow {
    /// `left > right`.
    Right,
    /// `left < right`.
    Left,
    /// `left <> right`, also written `><`.
    Both,
}

/// One line that is not blank and not a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `[backend NAME]`
    Backend {
        /// `NAME`.
        name: Span,
        /// The whole header.
        header: Span,
    },
    /// `[BACKEND NAME]`
    Instance {
        /// `BACKEND`.
        backend: Span,
        /// `NAME`.
        name: Span,
        /// The whole header.
        header: Span,
    },
    /// `[map]` or `[map NAME]`
    Map {
        /// `NAME`, the name of a layer; empty for `[map]`.
        name: Span,
        /// The whole header.
        header: Span,
    },
    /// `[include PATH]`
    Include {
        /// `PATH`.
        path: Span,
        /// The whole header.
        header: Span,
    },
    /// A header that could not be read.
    Unreadable {
        /// All of it.
        header: Span,
    },
    /// A line of a section that is not an assignment.
    NotAnOption,
    /// `NAME = VALUE`
    Option {
        /// `NAME`.
        name: Span,
        /// `VALUE`, empty at the end of the line when there is none.
        value: Span,
    },
    /// `LEFT > RIGHT`
    Mapping {
        /// The channel before the arrow.
        left: Span,
        /// Which way values go.
        arrow: Arrow,
        /// The channel after the arrow.
        right: Span,
        /// The stages without the first bar; empty when there are none.
        stages: Span,
    },
}

/// One file's statements in order, and the diagnostics about their syntax.
#[derive(Debug, Default)]
pub struct Tree {
    /// The statements.
    pub statements: Vec<Statement>,
    /// The errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the statements of a text. `mode` says how lines before the first header are read: an
/// included file begins in the section in which it is included.
pub fn parse(source: SourceId, text: &str, mode: Mode) -> Tree {
    let mut parser = Parser { source, text, mode, outside: None, tree: Tree::default() };
    let mut start = 0;
    for line in text.split('\n') {
        let (from, to) = trim(text, start, start + line.len());
        if from < to {
            parser.line(from, to);
        }
        start += line.len() + 1;
    }
    if let Some((first, count)) = parser.outside {
        parser.tree.diagnostics.push(
            Diagnostic::warning(
                "outside-section",
                "an option before the first section has no effect",
            )
            .at(first, "not in any section")
            .hint("add a header such as `[osc tablet]` or `[backend osc]` above it")
            .maybe_note(count),
        );
    }
    parser.tree
}

impl Diagnostic {
    fn maybe_note(self, count: u64) -> Self {
        if count < 2 {
            return self;
        }
        self.note(format!("the same applies to {} below it", counted(count - 1, "more option")))
    }
}

/// Leaves out ASCII white space and byte-order marks at both ends.
fn trim(text: &str, start: usize, end: usize) -> (usize, usize) {
    let is_space = |character: char| {
        matches!(character, ' ' | '\t' | '\r' | '\n' | '\x0B' | '\x0C' | '\u{FEFF}')
    };
    let line = &text[start..end];
    let rest = line.trim_start_matches(is_space);
    let start = start + line.len() - rest.len();
    (start, start + rest.trim_end_matches(is_space).len())
}

struct Parser<'t> {
    source: SourceId,
    text: &'t str,
    mode: Mode,
    /// The first assignment outside any section, and how many there are.
    outside: Option<(Span, u64)>,
    tree: Tree,
}

impl Parser<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn trimmed(&self, start: usize, end: usize) -> Span {
        let (start, end) = trim(self.text, start, end);
        self.span(start, end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        // The sink keeps no more either.
        if self.tree.diagnostics.len() <= super::diagnostic::DIAGNOSTIC_LIMIT {
            self.tree.diagnostics.push(diagnostic);
        }
    }

    fn line(&mut self, start: usize, end: usize) {
        let line = &self.text[start..end];
        if line.starts_with(';') {
            return;
        }
        if line.len() > LINE_LIMIT {
            let message =
                format!("this line has {}, which is too long", counted(line.len() as u64, "byte"));
            let mut stop = start + 40;
            while !self.text.is_char_boundary(stop) {
                stop -= 1;
            }
            let diagnostic = Diagnostic::error("line-too-long", message)
                .at(self.span(start, stop), "begins here")
                .hint(format!("at most {} are read", counted(LINE_LIMIT as u64, "byte")));
            self.report(diagnostic);
            return;
        }
        if line.starts_with('[') {
            match line.ends_with(']') {
                true => self.header(start, end),
                false => self.open_header(start, end),
            }
            return;
        }
        match self.mode {
            Mode::Unknown => {}
            Mode::Map => self.mapping(start, end),
            Mode::Layer if self.is_layer_option(start, end) => self.assignment(start, end),
            Mode::Layer => self.mapping(start, end),
            Mode::Options | Mode::Outside => self.assignment(start, end),
        }
    }

    fn open_header(&mut self, start: usize, end: usize) {
        let line = &self.text[start..end];
        let diagnostic = Diagnostic::error("section-header", "a section header ends with `]`");
        let diagnostic = match line.find(']') {
            Some(offset) if line.starts_with("[include]") => diagnostic
                .at(self.span(start + offset + 1, end), "the path of the file goes inside")
                .hint(format!(
                    "write `[include {}]`",
                    quoted(line[offset + 1..].trim_ascii()).trim_matches('`')
                )),
            Some(offset) => diagnostic
                .at(self.span(start + offset + 1, end), "unexpected text after the header")
                .hint("put the comment on a line of its own that begins with `;`"),
            None => diagnostic.at(self.span(start, end), "the closing `]` is missing"),
        };
        self.report(diagnostic);
        self.unreadable(start, end);
    }

    fn unreadable(&mut self, start: usize, end: usize) {
        self.mode = Mode::Unknown;
        let header = self.span(start, end);
        self.tree.statements.push(Statement::Unreadable { header });
    }

    fn header(&mut self, start: usize, end: usize) {
        let header = self.span(start, end);
        let inside = &self.text[start + 1..end - 1];
        let first = start + 1;
        let bad = |message: &str| Diagnostic::error("section-header", message);
        if inside == "map" {
            self.mode = Mode::Map;
            let name = self.span(end - 1, end - 1);
            self.tree.statements.push(Statement::Map { name, header });
            return;
        }
        let Some(space) = inside.find(' ') else {
            let diagnostic = match inside {
                "" => bad("a section header is empty")
                    .at(
                        header,
                        "expected the name of a \
                 section",
                    )
                    .hint(
                        "write `[map]`, `[backend NAME]`, `[include FILE]` or `[BACKEND INSTANCE]`",
                    ),
                "backend" => bad("`[backend]` needs the name of a backend")
                    .at(header, "write `[backend NAME]`"),
                "include" => {
                    bad("`[include]` needs the path of a file").at(header, "write `[include FILE]`")
                }
                _ => {
                    let found = nearest(inside, ["map", "mapping", "mappings"]);
                    let hint = match found {
                        Some(_) => "did you mean `[map]`?".to_owned(),
                        None => format!(
                            "write `[BACKEND NAME]` for an instance; options of a backend go \
                             under `[backend {}]`",
                            quoted(inside).trim_matches('`')
                        ),
                    };
                    bad(&format!("the section {} needs the name of an instance", quoted(inside)))
                        .at(header, "expected a backend and an instance")
                        .hint(hint)
                }
            };
            self.report(diagnostic);
            self.unreadable(start, end);
            return;
        };
        let (word, rest) = (&inside[..space], &inside[space + 1..]);
        let (rest_start, rest_end) = (first + space + 1, end - 1);
        if word.is_empty() {
            let diagnostic = bad("a section header cannot begin with a space")
                .at(self.span(first, first + 1), "remove this")
                .hint("remove the space next to the brackets");
            self.report(diagnostic);
            self.unreadable(start, end);
            return;
        }
        match word {
            "include" => {
                if rest.trim_ascii() != rest || rest.is_empty() {
                    let message = "spaces around the path of an include are part of it";
                    let diagnostic = self.name_with_spaces(message, rest_start, rest_end);
                    self.report(diagnostic);
                }
                // The intended file is clear: follow it, so that its contents are checked too.
                let path = self.trimmed(rest_start, rest_end);
                if !path.is_empty() {
                    self.tree.statements.push(Statement::Include { path, header });
                }
            }
            "map" => {
                if rest.contains(' ') || rest.is_empty() {
                    let message = "the name of a layer cannot contain spaces";
                    let diagnostic = self.name_with_spaces(message, rest_start, rest_end);
                    self.report(diagnostic);
                }
                let name = self.trimmed(rest_start, rest_end);
                if name.is_empty() {
                    self.unreadable(start, end);
                    return;
                }
                self.mode = Mode::Layer;
                self.tree.statements.push(Statement::Map { name, header });
            }
            "backend" => {
                if rest.contains(' ') || rest.is_empty() {
                    let message = "the name of a backend cannot contain spaces";
                    let diagnostic = self.name_with_spaces(message, rest_start, rest_end);
                    self.report(diagnostic);
                }
                let name = self.trimmed(rest_start, rest_end);
                if name.is_empty() {
                    self.unreadable(start, end);
                    return;
                }
                self.mode = Mode::Options;
                self.tree.statements.push(Statement::Backend { name, header });
            }
            _ => {
                let backend = self.span(first, first + space);
                let name = self.trimmed(rest_start, rest_end);
                self.mode = Mode::Options;
                self.tree.statements.push(Statement::Instance { backend, name, header });
                if rest.is_empty() || rest.contains(' ') {
                    let message = "the name of an instance cannot contain spaces";
                    let diagnostic = self.name_with_spaces(message, rest_start, rest_end);
                    self.report(diagnostic);
                } else if let Some(offset) = rest.find(['.', '<', '>']) {
                    let (sign, offset) = (&rest[offset..offset + 1], rest_start + offset);
                    let message = format!("the name of an instance cannot contain `{sign}`");
                    let why = match sign {
                        "." => "in a mapping, the channel begins after the first dot",
                        _ => "this sign is the arrow of a mapping",
                    };
                    let diagnostic = Diagnostic::error("instance-name", message)
                        .at(self.span(offset, offset + 1), "not allowed in a name")
                        .hint(why);
                    self.report(diagnostic);
                }
            }
        }
    }

    /// The diagnostic for a header whose name is empty or contains spaces.
    fn name_with_spaces(&self, message: &str, start: usize, end: usize) -> Diagnostic {
        let name = &self.text[start..end];
        let diagnostic = |message: &str| Diagnostic::error("section-header", message);
        if name.trim_ascii().is_empty() {
            return diagnostic("a section header has no name")
                .at(self.span(start - 1, end + 1), "expected a name");
        }
        let leading = name.len() - name.trim_ascii_start().len();
        let trailing = name.trim_ascii_end().len();
        let hint = "write one space between the words and none next to the brackets";
        if leading > 0 {
            diagnostic(message).at(self.span(start, start + leading), "remove this").hint(hint)
        } else if trailing < name.len() {
            diagnostic(message).at(self.span(start + trailing, end), "remove this").hint(hint)
        } else {
            let offset = start + name.find(' ').unwrap_or(0);
            diagnostic(message)
                .at(self.span(offset, offset + 1), "not allowed in a name")
                .hint(format!("for example `{}`", name.replace(' ', "-").escape_debug()))
        }
    }

    /// Whether the text before the first `=` is the name of an option of layers.
    fn is_layer_option(&self, start: usize, end: usize) -> bool {
        let line = &self.text[start..end];
        line.split_once('=').is_some_and(|(name, _)| {
            LAYER_OPTIONS.iter().any(|option| option.answers_to(name.trim_ascii()))
        })
    }

    fn assignment(&mut self, start: usize, end: usize) {
        let line = &self.text[start..end];
        let Some(equals) = line.find('=') else {
            let whole = self.span(start, end);
            let diagnostic = if self.mode == Mode::Outside {
                Diagnostic::error("outside-section", "this line is before the first section")
                    .at(whole, "expected a section header")
            } else {
                Diagnostic::error("not-an-option", "an option is written `name = value`")
                    .at(whole, "expected `=`")
            };
            let include = line.strip_prefix("include ").map(str::trim_ascii);
            let diagnostic = match line.contains(['<', '>']) {
                _ if include.is_some_and(|path| !path.is_empty()) => diagnostic.hint(format!(
                    "another file is included with `[include {}]`",
                    quoted(include.unwrap_or_default()).trim_matches('`')
                )),
                true => diagnostic.hint("mappings belong under `[map]`"),
                false if line.starts_with('#') || line.starts_with("//") => {
                    diagnostic.hint("a comment begins with `;`")
                }
                false => diagnostic,
            };
            self.report(diagnostic);
            self.tree.statements.push(Statement::NotAnOption);
            return;
        };
        let name = trim(self.text, start, start + equals);
        let value = trim(self.text, start + equals + 1, end);
        let (name, value) = (self.span(name.0, name.1), self.span(value.0, value.1));
        if name.is_empty() {
            let diagnostic = Diagnostic::error("not-an-option", "an option has no name")
                .at(self.span(start, end), "expected a name before the `=`");
            self.report(diagnostic);
            self.tree.statements.push(Statement::NotAnOption);
            return;
        }
        if self.mode == Mode::Outside {
            let (first, count) = self.outside.unwrap_or((self.span(start, end), 0));
            self.outside = Some((first, count + 1));
            return;
        }
        self.warn_invisible(name, "part of the option's name");
        self.warn_invisible(value, "part of the value");
        // In other sections, it depends on the option whether the text is a comment.
        if self.mode == Mode::Layer {
            self.warn_trailing_comment(value, "part of the value");
        }
        self.tree.statements.push(Statement::Option { name, value });
    }

    fn mapping(&mut self, start: usize, end: usize) {
        let line = &self.text[start..end];
        let Some(parts) = mapping_line::split(line) else {
            let diagnostic = Diagnostic::error("not-a-mapping", "a mapping needs an arrow")
                .at(self.span(start, end), "expected `<` or `>`");
            let hint = match line.contains('=') {
                true if self.mode == Mode::Layer => {
                    "no option of layers has this name; the options are `group`, `select`, \
                     `selector`, `start`, `led`, `when`, `unless`, `takeover`, `held` and `off`"
                }
                true if self.is_layer_option(start, end) => {
                    "this is an option of layers: give the section a name, such as `[map page1]`"
                }
                true => "options belong under the header of their section, not under `[map]`",
                false => "write `source > target`, `target < source` or `one <> other`",
            };
            self.report(diagnostic.hint(hint));
            return;
        };
        let span =
            |range: Range<usize>| Span::new(self.source, start + range.start, start + range.end);
        let sign = span(parts.sign.clone());
        let (left, right) = (span(parts.left.clone()), span(parts.right.clone()));
        let behind = &line[parts.right.clone()];
        if behind.starts_with(['<', '>']) || behind.starts_with("->") {
            let end = parts.right.start + behind.find('>').unwrap_or(0) + 1;
            let diagnostic = Diagnostic::error("not-a-mapping", "invalid arrow")
                .at(span(parts.sign.start..end), "expected `>`, `<` or `<>`")
                .hint("`source > target`, `target < source`, or both ways: `one <> other`");
            self.report(diagnostic);
            return;
        }
        if left.is_empty() || right.is_empty() {
            let side = if left.is_empty() { "left" } else { "right" };
            let message = format!("the {side} side of a mapping is empty");
            let diagnostic = Diagnostic::error("not-a-mapping", message)
                .at(sign, "expected a channel on each side");
            self.report(diagnostic);
            return;
        }
        if !parts.rest.is_empty() {
            let message = "unexpected text after a quoted channel";
            let diagnostic = Diagnostic::error("quoted-channel", message)
                .at(
                    span(parts.rest.clone()),
                    "expected the end of the line, or a blank and `|` or `;`",
                )
                .hint("the channel ends at the closing quote; remove the text or move the quote");
            self.report(diagnostic);
            return;
        }
        let stages = span(parts.stages.clone());
        let unclosed = parts.unclosed.map(|quote| span(quote..quote + 1));
        if let Some(quote) = unclosed {
            let diagnostic = Diagnostic::warning("unclosed-quote", "a quote is not closed")
                .at(quote, "part of the channel's name")
                .hint("close it behind the channel, or remove it");
            self.report(diagnostic);
        }
        self.warn_invisible(left, "part of the channel's name");
        self.warn_invisible(right, "part of the channel's name");
        self.warn_lookalike(left, &line[parts.left.clone()]);
        self.warn_lookalike(right, behind);
        self.warn_arithmetic(left, &line[parts.left.clone()]);
        self.warn_arithmetic(right, behind);
        let is_quoted = mapping_line::is_quoted(behind);
        if let Some(second) = behind.find(['<', '>']).filter(|_| !is_quoted) {
            let second = right.start as usize + second;
            let diagnostic = Diagnostic::warning("second-arrow", "this mapping has two arrows")
                .at(self.span(second, right.end as usize), "part of the channel's name")
                .hint("the first arrow is used; write one mapping on each line");
            self.report(diagnostic);
        }
        let before = &line[parts.left.clone()];
        if before.ends_with(" -") || before.ends_with(" =") || before.ends_with(" --") {
            let offset = before.rfind(' ').unwrap_or(0) + 1;
            let diagnostic = Diagnostic::warning("long-arrow", "use `>` instead of a longer arrow")
                .at(left.part(offset, before.len()), "part of the channel's name")
                .hint("write `>` alone");
            self.report(diagnostic);
        }
        let arrow = parts.arrow;
        self.tree.statements.push(Statement::Mapping { left, arrow, right, stages });
    }

    /// Warns of a comment or stages that are part of a channel, as in MIDIMonster.
    fn warn_lookalike(&mut self, span: Span, channel: &str) {
        let Some(offset) = mapping_line::lookalike(channel) else { return };
        let whole = (span.end - span.start) as usize;
        let without = channel[..offset].trim_ascii_end();
        let (code, message) = match channel.as_bytes()[offset] {
            b'|' => ("no-stage", "this is not a stage: no name follows the `|`"),
            _ => ("no-comment", "this is not a comment"),
        };
        let with_quotes = match channel.split_once('.') {
            Some((instance, specification)) => format!("{instance}.\"{specification}\""),
            None => format!("\"{channel}\""),
        };
        let diagnostic = Diagnostic::warning(code, message)
            .at(span.part(offset, whole), "part of the channel's name")
            .hint(format!(
                "write {} without it, or {} to keep it without this warning; a comment goes on \
                 a line of its own and begins with `;`",
                quoted(without),
                quoted(&with_quotes)
            ));
        self.report(diagnostic);
    }

    /// Warns of arithmetic and of lists, which are part of a channel, as in MIDIMonster.
    fn warn_arithmetic(&mut self, span: Span, channel: &str) {
        let Some(found) = mapping_line::arithmetic(channel) else { return };
        let (code, message, hint) = match found {
            Arithmetic::Factor { .. } => (
                "no-arithmetic",
                "a channel is not calculated with",
                "write a stage behind the mapping, such as `| scale(0.5)`; see `consort stages`",
            ),
            Arithmetic::Sum { .. } => (
                "no-arithmetic",
                "a channel is not calculated with",
                "write a stage behind the mapping, such as `| offset(0.5)`; see `consort stages`",
            ),
            Arithmetic::List { .. } => (
                "no-list",
                "a mapping has one channel on each side, not a list",
                "write one mapping on each line; a source can have many",
            ),
        };
        let whole = (span.end - span.start) as usize;
        let diagnostic = Diagnostic::warning(code, message)
            .at(span.part(found.offset(), whole), "part of the channel's name")
            .hint(hint);
        self.report(diagnostic);
    }

    /// White space that is not ASCII, at either end, usually comes from a web page and is invisible.
    fn warn_invisible(&mut self, span: Span, label: &str) {
        let text = &self.text[span.start as usize..span.end as usize];
        let first = text.char_indices().next();
        let Some((offset, character)) = [first, text.char_indices().next_back()]
            .into_iter()
            .flatten()
            .find(|(_, character)| is_invisible(*character) && !character.is_control())
        else {
            return;
        };
        let message = format!("an invisible character, U+{:04X}", u32::from(character));
        let diagnostic = Diagnostic::warning("invisible-character", message)
            .at(span.part(offset, offset + character.len_utf8()), label)
            .hint("remove it; text copied from web pages often contains such spaces");
        self.report(diagnostic);
    }

    fn warn_trailing_comment(&mut self, span: Span, label: &str) {
        let text = &self.text[span.start as usize..span.end as usize];
        if let Some(offset) = mapping_line::find_comment(text) {
            let diagnostic = Diagnostic::warning("no-comment", "this is not a comment")
                .at(span.part(offset, (span.end - span.start) as usize), label)
                .hint("put the comment on a line of its own that begins with `;`");
            self.report(diagnostic);
        }
    }
}
