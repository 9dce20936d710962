//! Finding missing modules and handlers without running Python.
//!
//! `consort check` does not start an interpreter. This scanner recognises enough of Python's
//! syntax to separate strings and comments from code, and module scope from function bodies. It
//! reports a handler as missing only if nothing at module scope could define it. Sources that it
//! cannot follow, or that may create names at run time, are left to the interpreter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use consort_router::{Problem, Problems};

use super::settings::{Module, Settings};

/// Larger sources are not scanned.
const MAX_SOURCE_BYTES: u64 = 4 << 20;
/// How many entries of a folder are read at most.
const MAX_FOLDER_ENTRIES: usize = 10_000;

/// Names whose use means that a module may create further names at run time.
const DYNAMIC_NAMES: &[&str] =
    &["globals", "locals", "vars", "exec", "eval", "setattr", "__getattr__", "__dict__", "modules"];

/// What the source of a module defines, as far as the scanner can determine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Every identifier in a statement at module scope, and in every `global` statement.
    names: BTreeSet<String>,
    /// The functions and classes at module scope.
    definitions: BTreeSet<String>,
    /// Whether the module may have other names as well.
    is_open: bool,
}

/// A piece of source code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    /// An identifier, a keyword or a number.
    Name(&'a str),
    /// Any other character; `"` for a whole string.
    Other(u8),
}

/// Scans a source. A source that cannot be followed has an open outline.
pub(crate) fn outline(source: &str) -> Outline {
    let mut outline = Outline::default();
    if !scan_lines(source, &mut |line| record_line(line, &mut outline)) {
        outline.is_open = true;
    }
    outline
}

/// Adds what one logical line defines to the outline.
fn record_line(line: &Line<'_>, outline: &mut Outline) {
    let names = line.tokens.iter().filter_map(|token| match token {
        Token::Name(name) => Some(*name),
        Token::Other(_) => None,
    });
    if names.clone().any(|name| DYNAMIC_NAMES.contains(&name)) {
        outline.is_open = true;
    }
    let first = names.clone().find(|name| *name != "async");
    let is_module_scope = line.depth == 0 || first == Some("global");
    if first == Some("from") && line.tokens.last() == Some(&Token::Other(b'*')) {
        outline.is_open = true;
    }
    if is_module_scope {
        outline.names.extend(names.clone().map(str::to_owned));
    }
    if line.depth == 0 && matches!(first, Some("def" | "class")) {
        let definition = names.skip_while(|name| !matches!(*name, "def" | "class")).nth(1);
        outline.definitions.extend(definition.map(str::to_owned));
    }
}

/// A logical line: lines that brackets, strings or backslashes join are one.
struct Line<'a> {
    tokens: Vec<Token<'a>>,
    /// How many functions and classes enclose it.
    depth: usize,
}

/// Splits a source into logical lines; returns false if a string or bracket is not closed.
fn scan_lines<'a>(source: &'a str, take: &mut impl FnMut(&Line<'a>)) -> bool {
    let bytes = source.as_bytes();
    let mut offset = if source.starts_with('\u{feff}') { 3 } else { 0 };
    let mut brackets = 0_usize;
    let mut tokens: Vec<Token<'a>> = Vec::new();
    // The indentations of the `def` and `class` lines that enclose the current line.
    let mut scopes: Vec<usize> = Vec::new();
    let mut indentation = 0;
    let mut is_line_start = true;
    loop {
        if is_line_start && brackets == 0 {
            is_line_start = false;
            indentation = 0;
            while let Some(byte @ (b' ' | b'\t' | b'\x0c')) = bytes.get(offset) {
                indentation =
                    if *byte == b'\t' { (indentation / 8 + 1) * 8 } else { indentation + 1 };
                offset += 1;
            }
        }
        let Some(&byte) = bytes.get(offset) else {
            end_line(&mut tokens, indentation, &mut scopes, take);
            return brackets == 0;
        };
        match byte {
            b'\n' | b'\r' => {
                offset += 1;
                if brackets == 0 {
                    end_line(&mut tokens, indentation, &mut scopes, take);
                    is_line_start = true;
                }
            }
            b'#' => {
                let rest = &bytes[offset..];
                offset += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            }
            // A backslash joins two lines. Anywhere else it is a syntax error, which the
            // interpreter reports.
            b'\\' => {
                offset += match bytes[offset + 1..] {
                    [b'\r', b'\n', ..] => 3,
                    [b'\n' | b'\r', ..] => 2,
                    _ => 1,
                }
            }
            b'"' | b'\'' => match string_end(bytes, offset) {
                Some(end) => {
                    offset = end;
                    tokens.push(Token::Other(b'"'));
                }
                None => return false,
            },
            b'(' | b'[' | b'{' => {
                brackets += 1;
                tokens.push(Token::Other(byte));
                offset += 1;
            }
            b')' | b']' | b'}' => {
                let Some(remaining) = brackets.checked_sub(1) else { return false };
                brackets = remaining;
                tokens.push(Token::Other(byte));
                offset += 1;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' | 0x80.. => {
                let is_in_name =
                    |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
                let rest = &bytes[offset..];
                let length = rest.iter().position(|&byte| !is_in_name(byte)).unwrap_or(rest.len());
                tokens.push(Token::Name(&source[offset..offset + length]));
                offset += length;
            }
            b' ' | b'\t' | b'\x0c' => offset += 1,
            _ => {
                tokens.push(Token::Other(byte));
                offset += 1;
            }
        }
    }
}

/// Passes a complete logical line on and updates the scopes; `tokens` keeps its allocation.
fn end_line<'a>(
    tokens: &mut Vec<Token<'a>>,
    indentation: usize,
    scopes: &mut Vec<usize>,
    take: &mut impl FnMut(&Line<'a>),
) {
    if tokens.is_empty() {
        return;
    }
    while scopes.last().is_some_and(|&scope| scope >= indentation) {
        scopes.pop();
    }
    let line = Line { tokens: std::mem::take(tokens), depth: scopes.len() };
    let mut words = line.tokens.iter().filter(|token| **token != Token::Name("async"));
    let opens_scope = matches!(words.next(), Some(Token::Name("def" | "class")));
    take(&line);
    if opens_scope {
        scopes.push(indentation);
    }
    *tokens = line.tokens;
    tokens.clear();
}

/// The end of the string that begins at `start`; none if it is not closed.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut offset = start + if triple { 3 } else { 1 };
    loop {
        match *bytes.get(offset)? {
            b'\\' => offset += 2,
            b'\n' if !triple => return None,
            byte if byte == quote && !triple => return Some(offset + 1),
            byte if byte == quote && bytes[offset..].starts_with(&[quote; 3]) => {
                return Some(offset + 3);
            }
            _ => offset += 1,
        }
    }
}

impl Outline {
    /// Whether the module certainly has no such name.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        !self.is_open && !self.names.contains(name)
    }

    /// The function or class with the most similar name, if one is similar enough.
    fn nearest_definition(&self, name: &str) -> Option<&str> {
        consort_suggest::nearest(name, self.definitions.iter().map(String::as_str))
    }
}

/// The result of looking for a module in the configuration's folder.
enum Found {
    /// A source that can be scanned.
    Source(PathBuf),
    /// A module without a source that can be scanned.
    Unknown,
    /// No module.
    Missing,
}

fn find(settings: &Settings, module: &Module) -> Found {
    if let Some(path) = &module.path {
        return if path.is_file() { Found::Source(path.clone()) } else { Found::Missing };
    }
    let relative: PathBuf = module.name.split('.').collect();
    let source = settings.directory.join(&relative).with_extension("py");
    let package = settings.directory.join(&relative);
    if package.join("__init__.py").is_file() {
        Found::Source(package.join("__init__.py"))
    } else if source.is_file() {
        Found::Source(source)
    } else if package.is_dir() {
        Found::Unknown
    } else {
        Found::Missing
    }
}

/// The names of the modules and packages in a folder.
fn modules_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let names = entries.take(MAX_FOLDER_ENTRIES).flatten().filter_map(|entry| {
        let path = entry.path();
        let stem = path.file_stem()?.to_str()?.to_owned();
        let is_module =
            path.extension().is_some_and(|extension| extension == "py") || path.is_dir();
        is_module.then_some(stem)
    });
    names.collect()
}

fn read(path: &Path) -> Option<String> {
    let is_small = std::fs::metadata(path).is_ok_and(|data| data.len() <= MAX_SOURCE_BYTES);
    if is_small { std::fs::read_to_string(path).ok() } else { None }
}

/// Warns of modules and handlers of an instance that are certainly missing.
pub(crate) fn check(
    settings: &Settings,
    channels: &[String],
    usage: &[u8],
    problems: &mut Problems,
) {
    check_interpreter(settings, problems);
    let mut outlines = Vec::new();
    for module in &settings.modules {
        let outline = match find(settings, module) {
            Found::Source(path) => read(&path).map(|source| (path, outline(&source))),
            Found::Unknown => None,
            Found::Missing => {
                check_missing_module(settings, module, problems);
                None
            }
        };
        outlines.push((module, outline));
    }
    let (default_handler, option) = (&settings.default_handler, settings.default_handler_option);
    for (number, (channel, usage)) in channels.iter().zip(usage).enumerate() {
        if usage & 2 == 0 {
            continue;
        }
        let place = Place::Channel(number as u32);
        if channel.contains('.') {
            check_handler(channel, place, &outlines, problems);
        } else if default_handler.is_empty() {
            check_prefix(channel, place, &outlines, problems);
        }
    }
    if default_handler.contains('.') {
        check_handler(default_handler, Place::Option(option), &outlines, problems);
    } else if !default_handler.is_empty() {
        let message = format!("the default handler `{default_handler}` has no module name");
        problems
            .warning(option, message)
            .hint("write `MODULE.FUNCTION` with one of the instance's modules");
    }
}

fn check_interpreter(settings: &Settings, problems: &mut Problems) {
    let path = Path::new(&settings.python);
    if std::env::var_os("PATH").is_some() && executable(path).is_none() {
        let message = format!("no Python interpreter `{}` on this computer", path.display());
        problems
            .warning(settings.python_option, message)
            .hint("install Python 3, or give an interpreter: `python = /usr/bin/python3`");
    }
    if path.is_absolute() && !path.exists() {
        let message = format!("no Python interpreter at `{}`", path.display());
        problems
            .warning(settings.python_option, message)
            .hint("create the virtual environment with `python3 -m venv`, or correct the path");
    }
}

/// Warns of a module that is not in the configuration's folder, unless it may be installed.
fn check_missing_module(settings: &Settings, module: &Module, problems: &mut Problems) {
    if let Some(path) = &module.path {
        let message = format!("the module file `{}` does not exist", path.display());
        let problem = problems.warning(Some(module.option), message);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        let others = path.parent().map(modules_in).unwrap_or_default();
        if let Some(other) = consort_suggest::nearest(stem, others.iter().map(String::as_str)) {
            problem.hint(format!("did you mean `{other}.py`?"));
        }
        return;
    }
    let search_path = interpreter_search_path(settings);
    let top_name = module.name.split('.').next().unwrap_or("");
    let mut installed = search_path.iter().flatten();
    if installed.any(|folder| contains_module(folder, top_name)) {
        return;
    }
    let others = modules_in(&settings.directory);
    let folder = settings.directory.display();
    if let Some(hint) =
        consort_suggest::did_you_mean(&module.name, others.iter().map(String::as_str))
    {
        let message = format!("no module `{}` in {folder}", module.name);
        problems.warning(Some(module.option), message).hint(hint);
    } else if search_path.is_some_and(|folders| !folders.iter().any(|folder| adds_folders(folder)))
    {
        let python = settings.python.to_string_lossy();
        let message =
            format!("no module `{}` in {folder} or installed for `{python}`", module.name);
        problems.warning(Some(module.option), message);
    }
}

/// The file of an interpreter that is given by its path, or by its name in a folder of `PATH`.
fn executable(python: &Path) -> Option<PathBuf> {
    if python.is_absolute() {
        return Some(python.to_owned());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(python)).find(|file| file.is_file())
}

/// The folders in which the interpreter looks for installed modules; none if they cannot be
/// determined.
fn interpreter_search_path(settings: &Settings) -> Option<Vec<PathBuf>> {
    let executable = executable(Path::new(&settings.python))?;
    let real = std::fs::canonicalize(&executable).ok()?;
    let mut folders = Vec::new();
    for executable in [&executable, &real] {
        let library = executable.parent()?.parent()?.join("lib");
        for entry in std::fs::read_dir(&library).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("python3") {
                let folder = entry.path();
                for subfolder in ["site-packages", "dist-packages", "lib-dynload"] {
                    folders.push(folder.join(subfolder));
                }
                folders.push(folder);
            }
        }
    }
    if !folders.iter().any(|folder| folder.join("os.py").is_file()) {
        return None;
    }
    let extra = std::env::var_os("PYTHONPATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&extra));
    if let Some(home) = std::env::var_os("HOME") {
        let user = Path::new(&home).join(".local/lib");
        for entry in std::fs::read_dir(user).into_iter().flatten().flatten() {
            folders.push(entry.path().join("site-packages"));
        }
    }
    Some(folders)
}

fn file_names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn contains_module(folder: &Path, module: &str) -> bool {
    file_names(folder).any(|name| name.split('.').next() == Some(module))
}

/// Whether a folder has files that may add any other folder to the search path.
fn adds_folders(folder: &Path) -> bool {
    file_names(folder).any(|name| name.ends_with(".egg-link") || name == "easy-install.pth")
}

/// The modules of an instance, with path and outline where their sources could be read.
type Outlines<'a> = [(&'a Module, Option<(PathBuf, Outline)>)];

/// What names a handler.
#[derive(Clone, Copy)]
enum Place {
    /// The option of this number.
    Option(Option<usize>),
    /// The channel of this number.
    Channel(u32),
}

impl Place {
    fn warn(self, message: String, problems: &mut Problems) -> &mut Problem {
        match self {
            Place::Option(option) => problems.warning(option, message),
            Place::Channel(channel) => problems.warning(None, message).channel(channel),
        }
    }
}

/// Warns of a channel without a module that has the name of a function of a module.
fn check_prefix(name: &str, place: Place, outlines: &Outlines<'_>, problems: &mut Problems) {
    let defines = |outline: &Outline| !outline.is_open && !outline.lacks(name);
    let module = outlines
        .iter()
        .find(|(_, outline)| outline.as_ref().is_some_and(|(_, outline)| defines(outline)));
    let Some((module, _)) = module else { return };
    place
        .warn(format!("the channel `{name}` calls no handler: its module is missing"), problems)
        .hint(format!("write `{}.{name}` to call that function", module.name));
}

fn check_handler(name: &str, place: Place, outlines: &Outlines<'_>, problems: &mut Problems) {
    let top_name = name.split('.').next().unwrap_or("");
    let is_loaded = |module: &Module| module.name.split('.').next() == Some(top_name);
    // What a module imports is loaded with it.
    let is_imported = |outline: &Option<(PathBuf, Outline)>| {
        outline.as_ref().is_some_and(|(_, outline)| outline.names.contains(top_name))
    };
    if !outlines.iter().any(|(module, _)| is_loaded(module)) {
        if outlines.iter().any(|(_, outline)| is_imported(outline)) {
            return;
        }
        let message = format!("the handler `{name}` belongs to a module that is not loaded");
        place
            .warn(message, problems)
            .hint(format!("add `module = {top_name}` to the instance, or correct the name"));
        return;
    }
    // The longest module name that the handler's name begins with; the module must define the
    // part that follows.
    let module = outlines
        .iter()
        .filter(|(module, _)| {
            name.strip_prefix(&module.name).is_some_and(|rest| rest.starts_with('.'))
        })
        .max_by_key(|(module, _)| module.name.len());
    let Some((module, Some((path, outline)))) = module else { return };
    let attribute = name[module.name.len() + 1..].split('.').next().unwrap_or("");
    if !outline.lacks(attribute) {
        return;
    }
    // A module of a package becomes an attribute of the package when it is imported.
    let is_package = path.file_name().is_some_and(|file| file == "__init__.py");
    if is_package && path.parent().is_some_and(|folder| modules_in(folder).contains(attribute)) {
        return;
    }
    let file = path.display();
    let message = format!("handler `{name}` not found: {file} does not define `{attribute}`");
    let problem = place.warn(message, problems);
    if let Some(other) = outline.nearest_definition(attribute) {
        problem.hint(format!("did you mean `{}.{other}`?", module.name));
    }
}

/// For the fuzz target and the property test: scans any text, and finds a definition at its
/// beginning.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = outline(&text);
    let with_handler = outline(&format!("def handler(value): pass\n{text}"));
    assert!(!with_handler.lacks("handler"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCE: &str = r#"
"""Mentions hidden and "quoted" things."""
import os, sys as system
from x import (one,
    two)  # not three
if True:
    def inside(value):
        local = value
        global late
        late = 1
else:
    other = lambda v: v
class Thing:
    def method(self, value): pass
async def waiting(value):
    pass
text = f"{one!r} fine" 'it''s'
"#;

    #[test]
    fn names_at_module_scope_are_found() {
        let outline = outline(SOURCE);
        assert!(!outline.is_open);
        for name in ["os", "system", "one", "two", "inside", "late", "other", "Thing", "waiting"] {
            assert!(!outline.lacks(name), "{name}");
        }
        for name in ["hidden", "quoted", "three", "local", "method", "fine"] {
            assert!(outline.lacks(name), "{name}");
        }
        assert_eq!(outline.nearest_definition("wating"), Some("waiting"));
    }

    #[test]
    fn sources_that_may_create_names_lack_none() {
        for source in [
            "from somewhere import *\n",
            "globals()['in1'] = print\n",
            "def __getattr__(name): return print\n",
            "x = (1, 2\n",
            "x = 'no end\n",
        ] {
            assert!(!outline(source).lacks("in1"), "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_scanned(text in "[ \\ta-c_0-9\"'#()\\[\\]{}\\\\\n:=.é]{0,120}") {
            fuzz(text.as_bytes());
        }
    }
}
