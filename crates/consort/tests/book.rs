//! Every configuration in the book, in the README and under examples/ is sound, and those that
//! touch nothing but this machine run. A block whose first line is a comment with a file's name
//! is that file; its page's other blocks find it. Scripts also run in the harness, see
//! python/midimonster/tests/test_book.py.
#![cfg(feature = "default")]
#![allow(clippy::print_stdout)] // the list of what was tested is part of the result

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use support::until;

/// Backends whose shows run in a test: they need no device, and speak to this machine alone.
const AT_HOME: [&str; 4] = ["loopback", "lua", "osc", "python"];

struct Block {
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match (is_open, line.strip_prefix("```")) {
            (false, Some(language)) => {
                found.push(Block { language: language.to_owned(), text: String::new() });
                is_open = true;
            }
            (true, Some(_)) => is_open = false,
            (true, None) => {
                let text = &mut found.last_mut().expect("a block").text;
                text.push_str(line);
                text.push('\n');
            }
            (false, None) => {}
        }
    }
    assert!(!is_open, "a block without end");
    found
}

/// The file's name in the first line: `; show.cfg`, `# chase.py`.
fn file_name(text: &str) -> Option<&str> {
    let name = text.lines().next()?.strip_prefix(['#', ';'])?.trim();
    let is_name = name.contains('.') && !name.contains([' ', '/']);
    is_name.then_some(name)
}

fn check(folder: &Path, name: &str) -> Result<(), String> {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("consort"));
    let output = command.current_dir(folder).args(["check", name]).output().expect("runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The instances of a show as `consort status` sees them: name, backend, state.
fn instances(folder: &Path) -> Vec<[String; 3]> {
    let mut status = support::command(folder);
    let output = status.args(["status", "--json"]).stdout(std::process::Stdio::piped()).output();
    let shows: serde_json::Value =
        serde_json::from_slice(&output.expect("runs").stdout).unwrap_or_default();
    let instances = shows[0]["instances"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    instances.iter().map(|it| ["name", "backend", "state"].map(|key| text(&it[key]))).collect()
}

/// Whether a configuration names only backends that run in a test here.
fn is_at_home(text: &str, has_python: bool) -> bool {
    let headers = text.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let mut backends = headers.filter(|header| *header != "map").map(|header| {
        let (backend, name) = header.split_once(' ').unwrap_or((header, ""));
        if backend == "backend" { name } else { backend }
    });
    backends.all(|it| AT_HOME.contains(&it) && (has_python || it != "python"))
}

/// Runs a show until all of it that waits for nobody is up, and stops it.
fn run(folder: &Path, name: &str) -> Result<(), String> {
    let log = folder.join("log.txt");
    let mut command = support::command(folder);
    command.args(["run", name]).stderr(File::create(&log).expect("a file"));
    let mut child = command.spawn().expect("started");
    let mut ended = None;
    until(&format!("all of {name} is up"), || {
        ended = child.try_wait().expect("a child");
        let instances = instances(folder);
        let is_up = |[_, backend, state]: &[String; 3]| {
            // A port may be in use, a name unknown here; a script is on its own.
            state == "up" || backend == "osc" && state == "waiting"
        };
        ended.is_some() || !instances.is_empty() && instances.iter().all(is_up)
    });
    if ended.is_none() {
        support::signal(child.id(), "INT");
    }
    let status = child.wait().expect("ended");
    let said = std::fs::read_to_string(&log).expect("a log");
    let is_well = status.success() && !said.contains("Traceback") && !said.contains("ERROR");
    if is_well { Ok(()) } else { Err(said) }
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_configuration_of_the_book_is_sound() {
    let mut pages = files(&root().join("docs"), "md");
    pages.push(root().join("README.md"));
    let (mut tested, mut ran, mut broken) = (0, 0, Vec::new());
    let has_python = !support::lacks_python();
    for path in pages {
        let page = std::fs::read_to_string(&path).expect("a page");
        let folder = tempfile::tempdir().expect("a folder");
        let blocks = blocks(&page);
        for block in &blocks {
            if let Some(name) = file_name(&block.text) {
                std::fs::write(folder.path().join(name), &block.text).expect("written");
            }
        }
        let shown = path.strip_prefix(root()).expect("inside").display().to_string();
        let configurations = blocks.iter().filter(|block| block.language == "ini");
        for (number, block) in configurations.enumerate() {
            let made = format!("block-{}.cfg", number + 1);
            let name = file_name(&block.text).unwrap_or(&made);
            std::fs::write(folder.path().join(name), &block.text).expect("written");
            let runs = shown.starts_with("docs") && is_at_home(&block.text, has_python);
            let mut done = check(folder.path(), name);
            if runs {
                done = done.and_then(|()| run(folder.path(), name));
                ran += 1;
            }
            match done {
                Ok(()) => println!("{shown}: {name}: {}", if runs { "ran" } else { "checked" }),
                Err(error) => broken.push(format!("{shown}: {name}:\n{error}")),
            }
            tested += 1;
        }
        for block in blocks.iter().filter(|block| block.language == "python") {
            match file_name(&block.text) {
                Some(name) => {
                    let module = name.trim_end_matches(".py");
                    let is_test = name.starts_with("test_");
                    let is_used = blocks.iter().any(|it| {
                        it.language == "ini" && it.text.contains(&format!("module = {module}\n"))
                    });
                    println!("{shown}: {name}: {}", if is_test { "a test" } else { "ran" });
                    assert!(is_used || is_test, "{shown}: no show runs {name}");
                }
                None => assert!(block.text.contains("from alsa_midi"), "{shown}: {}", block.text),
            }
        }
    }
    println!("{tested} configurations of the book tested, {ran} of them ran");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(tested >= 10 && ran >= 8, "only {tested} were found, and {ran} ran");
}

#[test]
fn every_example_is_sound() {
    let examples = files(&root().join("examples"), "cfg");
    let has_python = !support::lacks_python();
    for path in &examples {
        let folder = path.parent().expect("a folder");
        let name = path.file_name().and_then(|it| it.to_str()).expect("a name");
        let mut done = check(folder, name);
        let runs = is_at_home(&std::fs::read_to_string(path).expect("a file"), has_python);
        if runs {
            // In a copy: a show may write beside itself.
            let copy = tempfile::tempdir().expect("a folder");
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let entry = entry.expect("an entry");
                if entry.file_type().expect("its type").is_file() {
                    std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("it");
                }
            }
            done = done.and_then(|()| run(copy.path(), name));
        }
        done.unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        let shown = path.strip_prefix(root()).expect("inside").display();
        println!("{shown}: {}", if runs { "ran" } else { "checked" });
    }
    assert!(examples.len() >= 5, "{examples:?}");
}

/// The words of a command: apart at spaces, but for those in double quotes.
fn shell_words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(nth, part)| match nth % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

/// Whether a line is a command of ours, which must exist then.
fn is_command(page: &str, line: &str) -> bool {
    let words = line.split(" #").next().unwrap_or_default();
    let words = words.split('>').next().unwrap_or_default();
    let mut words = shell_words(words).into_iter();
    if !words.next().is_some_and(|it| it == "consort" || it.ends_with("/consort")) {
        return false;
    }
    // With --help at its end a line is read, and nothing more is done.
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("consort"));
    let output = command.args(words).arg("--help").output().expect("runs");
    assert!(output.status.success(), "{page}: {line}: {output:?}");
    println!("{page}: {line}");
    true
}

#[test]
fn every_command_of_the_book_exists() {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    pages.extend(files(&root().join("examples"), "cfg"));
    let (mut tested, mut told) = (0, 0);
    for path in pages {
        let page = std::fs::read_to_string(&path).expect("a page");
        let shown = path.strip_prefix(root()).expect("inside").display().to_string();
        for block in blocks(&page).iter().filter(|block| block.language == "sh") {
            tested += block.text.lines().filter(|line| is_command(&shown, line)).count();
        }
        // What stands between backquotes in the text; of a configuration, in its comments.
        let text = page.replace("\n; ", " ").replace("```", "");
        let spans = text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("consort "));
        told += spans.filter(|span| is_command(&shown, span)).count();
    }
    assert!(tested >= 5 && told >= 5, "only {tested} commands and {told} in the text");
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let docs = root().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("a summary");
    for path in files(&docs, "md") {
        let name = path.strip_prefix(&docs).expect("inside").to_str().expect("UTF-8").to_owned();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "{name}");
        let page = std::fs::read_to_string(&path).expect("a page");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_local = file.ends_with(".md") && !file.contains("://");
            let target = path.parent().expect("a folder").join(file);
            assert!(!is_local || target.exists(), "{name}: {link}");
        }
    }
}
