//! What can be seen in the source of a module without running it.
//!
//! `consort check` starts no interpreter. This scanner knows enough of Python to tell strings
//! and comments from code and module scope from function bodies, and reports a handler as
//! missing only when nothing at module scope could define it. Sources that it cannot follow, or
//! that make names at run time, are left to the interpreter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use consort_router::Problems;

use super::settings::{Module, Settings};

/// Sources above this size are not looked at.
const SOURCE_LIMIT: u64 = 4 << 20;

/// Names whose mere mention means that others may be made at run time.
const DYNAMIC: &[&str] =
    &["globals", "locals", "vars", "exec", "eval", "setattr", "__getattr__", "__dict__", "modules"];

/// What a module defines, as far as can be seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Every identifier in a statement at module scope, and every `global` of a function.
    names: BTreeSet<String>,
    /// Functions and classes at module scope.
    definitions: BTreeSet<String>,
    /// Whether other names may be there as well.
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Name(&'a str),
    Other(u8),
}

/// Reads a source. `open` is set when it cannot be followed.
pub fn outline(source: &str) -> Outline {
    let mut outline = Outline::default();
    if !tokens(source, &mut |line| take_line(line, &mut outline)) {
        outline.open = true;
    }
    outline
}

/// State of [`outline`] while lines go by: which indentations belong to functions and classes.
fn take_line(line: &Line<'_>, outline: &mut Outline) {
    let names = line.tokens.iter().filter_map(|token| match token {
        Token::Name(name) => Some(*name),
        _ => None,
    });
    if names.clone().any(|name| DYNAMIC.contains(&name)) {
        outline.open = true;
    }
    let first = names.clone().find(|name| *name != "async");
    let keep = line.scope == 0 || first == Some("global");
    if first == Some("from") && line.tokens.last() == Some(&Token::Other(b'*')) {
        outline.open = true;
    }
    if keep {
        outline.names.extend(names.clone().map(str::to_owned));
    }
    if line.scope == 0 && matches!(first, Some("def" | "class")) {
        let definition = names.skip_while(|name| !matches!(*name, "def" | "class")).nth(1);
        outline.definitions.extend(definition.map(str::to_owned));
    }
}

struct Line<'a> {
    tokens: Vec<Token<'a>>,
    /// How many functions and classes it stands in.
    scope: usize,
}

/// Splits a source into logical lines; false when strings or brackets do not end.
fn tokens<'a>(source: &'a str, take: &mut impl FnMut(&Line<'a>)) -> bool {
    let bytes = source.as_bytes();
    let mut at = if source.starts_with('\u{feff}') { 3 } else { 0 };
    let mut brackets = 0_usize;
    let mut line: Vec<Token<'a>> = Vec::new();
    // Indentations of the `def` and `class` lines around the current one.
    let mut scopes: Vec<usize> = Vec::new();
    let mut indentation = 0;
    let mut fresh = true;
    loop {
        if fresh && brackets == 0 {
            fresh = false;
            indentation = 0;
            while let Some(byte @ (b' ' | b'\t' | b'\x0c')) = bytes.get(at) {
                indentation =
                    if *byte == b'\t' { (indentation / 8 + 1) * 8 } else { indentation + 1 };
                at += 1;
            }
        }
        let Some(&byte) = bytes.get(at) else {
            end_line(&mut line, indentation, &mut scopes, take);
            return brackets == 0;
        };
        match byte {
            b'\n' | b'\r' => {
                at += 1;
                if brackets == 0 {
                    end_line(&mut line, indentation, &mut scopes, take);
                    fresh = true;
                }
            }
            b'#' => at += bytes[at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - at),
            // Joins lines; before anything else it is an error, which is not ours to report.
            b'\\' => {
                at += match bytes[at + 1..] {
                    [b'\r', b'\n', ..] => 3,
                    [b'\n' | b'\r', ..] => 2,
                    _ => 1,
                }
            }
            b'"' | b'\'' => match string(bytes, at) {
                Some(end) => {
                    at = end;
                    line.push(Token::Other(b'"'));
                }
                None => return false,
            },
            b'(' | b'[' | b'{' => {
                brackets += 1;
                line.push(Token::Other(byte));
                at += 1;
            }
            b')' | b']' | b'}' => {
                let Some(fewer) = brackets.checked_sub(1) else { return false };
                brackets = fewer;
                line.push(Token::Other(byte));
                at += 1;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' | 0x80.. => {
                let length = bytes[at..]
                    .iter()
                    .position(|&b| !(b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80))
                    .unwrap_or(bytes.len() - at);
                line.push(Token::Name(&source[at..at + length]));
                at += length;
            }
            b' ' | b'\t' | b'\x0c' => at += 1,
            _ => {
                line.push(Token::Other(byte));
                at += 1;
            }
        }
    }
}

fn end_line<'a>(
    line: &mut Vec<Token<'a>>,
    indentation: usize,
    scopes: &mut Vec<usize>,
    take: &mut impl FnMut(&Line<'a>),
) {
    if line.is_empty() {
        return;
    }
    while scopes.last().is_some_and(|&scope| scope >= indentation) {
        scopes.pop();
    }
    let tokens = std::mem::take(line);
    let mut words = tokens.iter().filter(|token| **token != Token::Name("async"));
    let opens = matches!(words.next(), Some(Token::Name("def" | "class")));
    let whole = Line { tokens, scope: scopes.len() };
    take(&whole);
    if opens {
        scopes.push(indentation);
    }
    *line = whole.tokens;
    line.clear();
}

/// The end of the string that begins at `at`; none when it does not end.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = bytes[at];
    let triple = bytes[at..].starts_with(&[quote; 3]);
    let mut next = at + if triple { 3 } else { 1 };
    loop {
        match *bytes.get(next)? {
            b'\\' => next += 2,
            b'\n' if !triple => return None,
            byte if byte == quote && !triple => return Some(next + 1),
            byte if byte == quote && bytes[next..].starts_with(&[quote; 3]) => {
                return Some(next + 3);
            }
            _ => next += 1,
        }
    }
}

impl Outline {
    /// Whether the module has no such name, for all that can be seen.
    pub fn lacks(&self, name: &str) -> bool {
        !self.open && !self.names.contains(name)
    }

    /// A function or class whose name is like that.
    pub fn similar(&self, name: &str) -> Option<&str> {
        similar(name, self.definitions.iter().map(String::as_str))
    }
}

fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = names.map(|other| (strsim::jaro_winkler(name, other), other));
    rated.filter(|(rate, _)| *rate > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

/// Where a module was looked for and what was found.
enum Found {
    /// A source that can be read.
    Source(PathBuf),
    /// Something else that can be imported, or nothing that can be judged.
    Unknown,
    /// Nothing.
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

/// The names of modules in a folder.
fn modules_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let names = entries.take(10_000).flatten().filter_map(|entry| {
        let path = entry.path();
        let stem = path.file_stem()?.to_str()?.to_owned();
        (path.extension().is_some_and(|ending| ending == "py") || path.is_dir()).then_some(stem)
    });
    names.collect()
}

fn read(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).is_ok_and(|data| data.len() <= SOURCE_LIMIT);
    if small { std::fs::read_to_string(path).ok() } else { None }
}

/// Reports modules and handlers of an instance that can be seen to be missing.
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
                report_module(settings, module, problems);
                None
            }
        };
        outlines.push((module, outline));
    }
    let targets = channels.iter().zip(usage).filter(|(_, usage)| *usage & 2 != 0);
    for (channel, _) in targets.filter(|(channel, _)| channel.contains('.')) {
        check_handler(channel, None, &outlines, problems);
    }
    if settings.default_handler.contains('.') {
        let at = settings.default_handler_at;
        check_handler(&settings.default_handler, at, &outlines, problems);
    } else if !settings.default_handler.is_empty() {
        let message = format!("the default handler `{}` has no module", settings.default_handler);
        problems
            .warning(settings.default_handler_at, message)
            .hint("write `module.function`, with one of the instance's modules");
    }
}

fn check_interpreter(settings: &Settings, problems: &mut Problems) {
    let path = Path::new(&settings.python);
    if path.is_absolute() && !path.exists() {
        let message = format!("there is no interpreter at `{}`", path.display());
        problems
            .warning(settings.python_at, message)
            .hint("make the virtual environment with `python3 -m venv`, or correct the path");
    }
}

fn report_module(settings: &Settings, module: &Module, problems: &mut Problems) {
    if let Some(path) = &module.path {
        let problem =
            problems.warning(Some(module.at), format!("there is no file `{}`", path.display()));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        let near = path.parent().map(modules_in).unwrap_or_default();
        if let Some(other) = similar(stem, near.iter().map(String::as_str)) {
            problem.hint(format!("did you mean `{other}.py`?"));
        }
        return;
    }
    // A name without a file here may be installed; a name that is nearly one here is a slip.
    let near = modules_in(&settings.directory);
    let folder = settings.directory.display();
    if let Some(other) = similar(&module.name, near.iter().map(String::as_str)) {
        let message = format!("there is no module `{}` in {folder}", module.name);
        problems.warning(Some(module.at), message).hint(format!("did you mean `{other}`?"));
    } else if let Some(places) = places(settings) {
        let head = module.name.split('.').next().unwrap_or("");
        if !places.iter().any(|place| provides(place, head)) {
            let message = format!(
                "there is no module `{}` in {folder} nor, for all that can be seen, among those of \
                 `{}`",
                module.name,
                settings.python.to_string_lossy()
            );
            problems.warning(Some(module.at), message);
        }
    }
}

/// The folders in which the interpreter keeps modules, if they can be told.
fn places(settings: &Settings) -> Option<Vec<PathBuf>> {
    let python = Path::new(&settings.python);
    let found = if python.is_absolute() {
        python.to_owned()
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(python))
            .find(|file| file.is_file())?
    };
    let real = std::fs::canonicalize(&found).ok()?;
    let mut places = Vec::new();
    for executable in [&found, &real] {
        let library = executable.parent()?.parent()?.join("lib");
        for entry in std::fs::read_dir(&library).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("python3") {
                let folder = entry.path();
                for inner in ["site-packages", "dist-packages", "lib-dynload"] {
                    places.push(folder.join(inner));
                }
                places.push(folder);
            }
        }
    }
    if !places.iter().any(|place| place.join("os.py").is_file()) {
        return None;
    }
    let extra = std::env::var_os("PYTHONPATH").unwrap_or_default();
    places.extend(std::env::split_paths(&extra));
    if let Some(home) = std::env::var_os("HOME") {
        let user = Path::new(&home).join(".local/lib");
        for entry in std::fs::read_dir(user).into_iter().flatten().flatten() {
            places.push(entry.path().join("site-packages"));
        }
    }
    Some(places)
}

fn provides(place: &Path, module: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(place) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A `.pth` file may add any folder.
        name.split('.').next() == Some(module)
            || name.ends_with(".egg-link")
            || name == "easy-install.pth"
    })
}

type Outlines<'a> = [(&'a Module, Option<(PathBuf, Outline)>)];

fn check_handler(name: &str, at: Option<usize>, outlines: &Outlines<'_>, problems: &mut Problems) {
    let head = name.split('.').next().unwrap_or("");
    let belongs = |module: &Module| module.name.split('.').next() == Some(head);
    if !outlines.iter().any(|(module, _)| belongs(module)) {
        let message = format!("the handler `{name}` belongs to a module that is not loaded");
        problems
            .warning(at, message)
            .hint(format!("add `module = {head}` to the instance, or correct the name"));
        return;
    }
    // The longest module that the name begins with; the next part must be there.
    let best = outlines
        .iter()
        .filter(|(module, _)| {
            name.strip_prefix(&module.name).is_some_and(|rest| rest.starts_with('.'))
        })
        .max_by_key(|(module, _)| module.name.len());
    let Some((module, Some((path, outline)))) = best else { return };
    let attribute = name[module.name.len() + 1..].split('.').next().unwrap_or("");
    if !outline.lacks(attribute) {
        return;
    }
    // Importing a package's module makes it an attribute of the package.
    let inner = path.file_name().is_some_and(|file| file == "__init__.py");
    if inner && path.parent().is_some_and(|folder| modules_in(folder).contains(attribute)) {
        return;
    }
    let message = format!("there is no `{attribute}` in {}: the handler `{name}`", path.display());
    let problem = problems.warning(at, message);
    if let Some(other) = outline.similar(attribute) {
        problem.hint(format!("did you mean `{}.{other}`?", module.name));
    }
}

/// What the fuzzer runs: any text is survived, and a definition put in front is seen.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = outline(&text);
    let with = outline(&format!("def handler(value): pass\n{text}"));
    assert!(!with.lacks("handler"));
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
    fn what_stands_at_module_scope_is_there() {
        let outline = outline(SOURCE);
        assert!(!outline.open);
        for name in ["os", "system", "one", "two", "inside", "late", "other", "Thing", "waiting"] {
            assert!(!outline.lacks(name), "{name}");
        }
        for name in ["hidden", "quoted", "three", "local", "method", "fine"] {
            assert!(outline.lacks(name), "{name}");
        }
        assert_eq!(outline.similar("wating"), Some("waiting"));
    }

    #[test]
    fn sources_that_make_names_are_left_alone() {
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
        fn any_text_is_survived(text in "[ \\ta-c_0-9\"'#()\\[\\]{}\\\\\n:=.é]{0,120}") {
            fuzz(text.as_bytes());
        }
    }
}
