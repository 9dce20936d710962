//! Tables of options, and the values a configuration gives them.
//!
//! A backend describes every option once, in a constant table of [`OptionSpec`]. Parsing,
//! validation, "did you mean", `consort backends NAME` and the reference pages all read that
//! table.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The type of an option's value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum OptionKind {
    /// Any text, also empty.
    Text,
    /// `on`, `true`, `yes`, `1` or `off`, `false`, `no`, `0`, in any case.
    Flag,
    /// A whole number (decimal, or hexadecimal with `0x`) in a range, both ends included.
    Integer(i64, i64),
    /// A number in a range, both ends included.
    Number(f64, f64),
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A path, relative to the folder of the file in which it is written.
    Path,
    /// Text that this function accepts; its error states what was expected.
    Checked(fn(&str) -> Result<(), String>),
}

impl OptionKind {
    /// Checks `text`; the error states what was expected, for the person who wrote it.
    pub fn validate(&self, text: &str) -> Result<(), String> {
        match *self {
            OptionKind::Text | OptionKind::Path => Ok(()),
            OptionKind::Flag => match parse_flag(text) {
                Some(_) => Ok(()),
                None => Err("expected `on` or `off`".into()),
            },
            OptionKind::Integer(low, high) => match parse_integer(text) {
                Some(n) if (low..=high).contains(&n) => Ok(()),
                Some(_) => Err(format!("expected a whole number from {low} to {high}")),
                None => Err(format!("expected a whole number from {low} to {high}")),
            },
            OptionKind::Number(low, high) => match text.parse::<f64>() {
                Ok(n) if (low..=high).contains(&n) => Ok(()),
                _ => Err(format!("expected a number from {low} to {high}")),
            },
            OptionKind::Choice(words) => {
                if words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    Ok(())
                } else {
                    Err(format!("expected one of {}", quoted(words)))
                }
            }
            OptionKind::Checked(check) => check(text),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Reads `on`, `true`, `yes`, `1`, `off`, `false`, `no`, `0` in any case.
pub fn parse_flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a decimal number, or a hexadecimal one behind `0x`.
pub fn parse_integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// One option: a row of a backend's table.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What a value must look like.
    pub kind: OptionKind,
    /// The value it has when the configuration does not set it, if any.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may be given more than once (all values count, in order).
    pub repeatable: bool,
    /// Whether a reload applies a changed value while the instance runs. Otherwise the instance
    /// is restarted; for an option of `[backend NAME]`, all instances of the backend are. A live
    /// option of `[backend NAME]` that is a default of its instances may restart those that use
    /// the default.
    pub live: bool,
    /// Whether giving it more than once is an error. Where neither this nor `repeatable` is set,
    /// the last value counts, with a warning.
    pub once: bool,
    /// A value as one would write it.
    pub example: &'static str,
    /// What it does, in Markdown.
    pub documentation: &'static str,
}

impl OptionSpec {
    /// A row with everything optional left out, to be completed with struct update syntax.
    pub const EMPTY: OptionSpec = OptionSpec {
        name: "",
        aliases: &[],
        kind: OptionKind::Text,
        default: None,
        required: false,
        repeatable: false,
        live: false,
        once: false,
        example: "",
        documentation: "",
    };

    /// Whether `name` is this option's name or one of its aliases.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// Options whose names the user chooses; a prefix tells the families apart.
#[derive(Clone, Copy, Debug)]
pub struct OptionFamily {
    /// How their names begin, such as `/` or `voice.`.
    pub prefix: &'static str,
    /// Whether a reload applies changes while the instance runs; see [`OptionSpec::live`].
    pub live: bool,
    /// An option as one would write it, name and value: `/fader = f 0 1`.
    pub example: &'static str,
    /// What they do, in Markdown.
    pub documentation: &'static str,
}

/// One `name = value` of a configuration or the command line, already validated by its table.
#[derive(Clone, Debug)]
pub struct OptionEntry {
    /// The option's name as its table has it (for a family: as written).
    pub name: String,
    /// The value, trimmed.
    pub value: String,
    /// The folder that relative paths in the value start from: that of the file that contains it,
    /// or the working directory for the command line.
    pub directory: PathBuf,
}

/// The options given to a backend or an instance, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    specs: &'static [OptionSpec],
    entries: Vec<OptionEntry>,
}

impl Options {
    /// Options that a table has validated. Entries that are not in the table belong to one
    /// of its families.
    pub fn new(specs: &'static [OptionSpec], entries: Vec<OptionEntry>) -> Self {
        Options { specs, entries }
    }

    /// For tests: options from `(name, value)` pairs, not validated.
    pub fn from_pairs(specs: &'static [OptionSpec], pairs: &[(&str, &str)]) -> Self {
        let entry = |(name, value): &(&str, &str)| OptionEntry {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            directory: PathBuf::from("."),
        };
        Options { specs, entries: pairs.iter().map(entry).collect() }
    }

    /// The table that the options belong to.
    pub fn specs(&self) -> &'static [OptionSpec] {
        self.specs
    }

    /// Every entry, in order.
    pub fn entries(&self) -> &[OptionEntry] {
        &self.entries
    }

    /// The entries of one option, with their numbers (see [`Problem::entry`]), in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = (usize, &'a OptionEntry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| entry.name == name)
    }

    /// The entries whose names begin with a family's prefix, with their numbers, in order.
    pub fn family<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (usize, &'a OptionEntry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| entry.name.starts_with(prefix))
    }

    /// Whether the configuration gives this option.
    pub fn is_set(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The number of the last entry of an option, for a [`Problem`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.all(name).last().map(|(entry, _)| entry)
    }

    /// The value of an option: the last one given, else its default.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.all(name).last() {
            Some((_, entry)) => Some(entry.value.as_str()),
            None => self.specs.iter().find(|spec| spec.name == name).and_then(|spec| spec.default),
        }
    }

    /// The value of a [`OptionKind::Flag`]; false when it has no value and no default.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).and_then(parse_flag).unwrap_or(false)
    }

    /// The value of a [`OptionKind::Integer`].
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(parse_integer)
    }

    /// The value of a [`OptionKind::Number`].
    pub fn number(&self, name: &str) -> Option<f64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// The value of a [`OptionKind::Path`], made absolute against the folder of the file in
    /// which it is written.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.all(name).last().map(|(_, entry)| entry.directory.join(Path::new(&entry.value)))
    }
}

/// The first option that is not `live` in which two sets of options of one table differ, so that a
/// reload has to restart the instance.
pub fn restart_option(
    old: &Options,
    new: &Options,
    specs: &[OptionSpec],
    families: &[OptionFamily],
) -> Option<&'static str> {
    let values = |options: &Options, spec: &OptionSpec| -> Vec<(String, PathBuf)> {
        let given: Vec<_> = options
            .all(spec.name)
            .map(|(_, entry)| (entry.value.clone(), entry.directory.clone()))
            .collect();
        match (given.is_empty(), spec.default) {
            (true, Some(default)) => vec![(default.to_owned(), PathBuf::new())],
            _ if spec.repeatable => given,
            _ => given.into_iter().next_back().into_iter().collect(),
        }
    };
    // The folder of the file matters for paths alone.
    let differs = |spec: &OptionSpec| {
        let (old, new) = (values(old, spec), values(new, spec));
        match spec.kind {
            OptionKind::Path => old != new,
            _ => !old.iter().map(|(value, _)| value).eq(new.iter().map(|(value, _)| value)),
        }
    };
    let of_family = |options: &Options, family: &OptionFamily| -> Vec<(String, String)> {
        let is_in_table = |name: &str| specs.iter().any(|spec| spec.name == name);
        let entries = options.family(family.prefix).filter(|(_, entry)| !is_in_table(&entry.name));
        let mut entries: Vec<_> =
            entries.map(|(_, entry)| (entry.name.clone(), entry.value.clone())).collect();
        entries.sort();
        entries
    };
    let option = specs.iter().find(|spec| !spec.live && differs(spec));
    option.map(|spec| spec.name).or_else(|| {
        let differs = |family: &&OptionFamily| of_family(old, family) != of_family(new, family);
        families.iter().filter(|family| !family.live).find(differs).map(|family| family.prefix)
    })
}

/// What is wrong with an option or with an instance as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The entry it is about; none: the section as a whole.
    pub entry: Option<usize>,
    /// The channel it is about, if it is about no entry: its mapping is shown.
    pub channel: Option<u32>,
    /// The bytes of the entry's value it is about; none: all of it.
    pub range: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the show can run all the same.
    pub is_warning: bool,
}

/// Collects [`Problem`]s, so that all of a file are reported at once.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error about one entry (or the whole section).
    pub fn error(&mut self, entry: Option<usize>, message: impl Into<String>) -> &mut Problem {
        self.push(entry, message.into(), false)
    }

    /// Adds a warning about one entry (or the whole section).
    pub fn warning(&mut self, entry: Option<usize>, message: impl Into<String>) -> &mut Problem {
        self.push(entry, message.into(), true)
    }

    fn push(&mut self, entry: Option<usize>, message: String, is_warning: bool) -> &mut Problem {
        self.list.push(Problem {
            entry,
            channel: None,
            range: None,
            message,
            hint: None,
            is_warning,
        });
        self.list.last_mut().expect("one was just pushed")
    }

    /// Whether none of them is an error.
    pub fn is_ok(&self) -> bool {
        self.list.iter().all(|problem| problem.is_warning)
    }

    /// All of them, in the order found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.list
    }
}

impl Problem {
    /// Says what to do about it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that it is about a channel of the instance.
    pub fn channel(&mut self, channel: u32) -> &mut Self {
        self.channel = Some(channel);
        self
    }

    /// Narrows it to some bytes of the entry's value.
    pub fn range(&mut self, range: RangeInclusive<usize>) -> &mut Self {
        self.range = Some((*range.start(), *range.end() + 1));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_option_does_not_restart_an_instance_whose_other_names_are_a_family() {
        const SPECS: &[OptionSpec] =
            &[OptionSpec { name: "speed", live: true, ..OptionSpec::EMPTY }];
        const FAMILIES: &[OptionFamily] =
            &[OptionFamily { prefix: "", live: false, example: "", documentation: "" }];
        let options = |pairs: &[(&str, &str)]| Options::from_pairs(SPECS, pairs);
        let restart = |old: &[(&str, &str)], new: &[(&str, &str)]| {
            restart_option(&options(old), &options(new), SPECS, FAMILIES)
        };
        assert_eq!(restart(&[("speed", "1"), ("a", "x")], &[("a", "x"), ("speed", "2")]), None);
        assert_eq!(restart(&[("speed", "1"), ("a", "x")], &[("a", "y")]), Some(""));
        assert_eq!(restart(&[("a", "x")], &[("b", "x")]), Some(""));
    }
}
