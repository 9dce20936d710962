//! Checks every configuration in the book, in the README and under examples/, and runs those that
//! need no device or network. A block whose first line is a comment with a file name is written
//! to that file, for the other blocks of its page. Scripts also run in the Python test harness,
//! see python/midimonster/tests/test_book.py.
#![cfg(feature = "default")]
#![allow(clippy::print_stdout)] // the list of what was tested is part of the result

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use support::wait_until;

/// Backends whose shows run in a test: they need no device and no network.
const LOCAL_BACKENDS: [&str; 4] = ["loopback", "lua", "osc", "python"];

/// A fenced code block.
struct Block {
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All code blocks of a page.
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
    assert!(!is_open, "an unterminated block");
    found
}

/// The file name in the first line: `; show.cfg`, `# chase.py`, `-- chase.lua`.
fn file_name(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let name = line.strip_prefix(['#', ';']).or_else(|| line.strip_prefix("--"))?.trim();
    let is_name = name.contains('.') && !name.contains([' ', '/']);
    is_name.then_some(name)
}

/// Runs `consort check`; the error is its output.
fn check(folder: &Path, name: &str) -> Result<(), String> {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("consort"));
    let output = command.current_dir(folder).args(["check", name]).output().expect("runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Name, backend and state of the instances, from `consort status`.
fn instances(folder: &Path) -> Vec<[String; 3]> {
    let mut status = support::command(folder);
    let output = status.args(["status", "--json"]).stdout(std::process::Stdio::piped()).output();
    let shows: serde_json::Value =
        serde_json::from_slice(&output.expect("runs").stdout).unwrap_or_default();
    let instances = shows[0]["instances"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let fields = ["name", "backend", "state"];
    instances.iter().map(|instance| fields.map(|key| text(&instance[key]))).collect()
}

/// Whether a configuration uses only backends that run in a test on this machine.
fn is_local(text: &str, has_python: bool) -> bool {
    let headers = text.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let mut backends = headers.filter(|header| *header != "map").map(|header| {
        let (backend, name) = header.split_once(' ').unwrap_or((header, ""));
        if backend == "backend" { name } else { backend }
    });
    backends.all(|name| LOCAL_BACKENDS.contains(&name) && (has_python || name != "python"))
}

/// Runs a show until all its instances are up, then stops it.
fn run(folder: &Path, name: &str) -> Result<(), String> {
    let log = folder.join("log.txt");
    let mut command = support::command(folder);
    command.args(["run", name]).stderr(File::create(&log).expect("a file"));
    let mut child = command.spawn().expect("started");
    let mut ended = None;
    wait_until(&format!("all instances of {name} are up"), || {
        ended = child.try_wait().expect("a child");
        let instances = instances(folder);
        let is_up = |[_, backend, state]: &[String; 3]| {
            // A port may be in use, or a host name unknown on this machine.
            state == "up" || backend == "osc" && state == "waiting"
        };
        ended.is_some() || !instances.is_empty() && instances.iter().all(is_up)
    });
    if ended.is_none() {
        support::signal(child.id(), "INT");
    }
    let status = child.wait().expect("ended");
    let text = std::fs::read_to_string(&log).expect("a log");
    let is_clean = status.success() && !text.contains("Traceback") && !text.contains("ERROR");
    if is_clean { Ok(()) } else { Err(text) }
}

/// All files with an extension, also in subfolders.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_configuration_of_the_book_is_valid() {
    let mut pages = files(&root().join("docs"), "md");
    pages.push(root().join("README.md"));
    let (mut tested, mut ran, mut failures) = (0, 0, Vec::new());
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
            let default_name = format!("block-{}.cfg", number + 1);
            let name = file_name(&block.text).unwrap_or(&default_name);
            std::fs::write(folder.path().join(name), &block.text).expect("written");
            let runs = shown.starts_with("docs") && is_local(&block.text, has_python);
            let mut result = check(folder.path(), name);
            if runs {
                result = result.and_then(|()| run(folder.path(), name));
                ran += 1;
            }
            match result {
                Ok(()) => println!("{shown}: {name}: {}", if runs { "ran" } else { "checked" }),
                Err(error) => failures.push(format!("{shown}: {name}:\n{error}")),
            }
            tested += 1;
        }
        for block in blocks.iter().filter(|block| block.language == "python") {
            match file_name(&block.text) {
                Some(name) => {
                    let module = name.trim_end_matches(".py");
                    let is_test = name.starts_with("test_");
                    let is_used = blocks.iter().any(|other| {
                        other.language == "ini"
                            && other.text.contains(&format!("module = {module}\n"))
                    });
                    println!("{shown}: {name}: {}", if is_test { "a test" } else { "ran" });
                    assert!(is_used || is_test, "{shown}: no show runs {name}");
                }
                // The tests of the Python packages run these.
                None => assert!(
                    block.text.contains("from alsa_midi") || block.text.contains("from consort_sc"),
                    "{shown}: {}",
                    block.text
                ),
            }
        }
    }
    println!("{tested} configurations of the book tested, {ran} of them ran");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tested >= 10 && ran >= 8, "only {tested} were found, and {ran} ran");
}

#[test]
fn every_example_is_valid() {
    let examples = files(&root().join("examples"), "cfg");
    let has_python = !support::lacks_python();
    for path in &examples {
        let folder = path.parent().expect("a folder");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let mut result = check(folder, name);
        let runs = is_local(&std::fs::read_to_string(path).expect("a file"), has_python);
        if runs {
            // In a copy, because a show may write into its folder.
            let copy = tempfile::tempdir().expect("a folder");
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let entry = entry.expect("an entry");
                if entry.file_type().expect("its type").is_file() {
                    std::fs::copy(entry.path(), copy.path().join(entry.file_name()))
                        .expect("copied");
                }
            }
            result = result.and_then(|()| run(copy.path(), name));
        }
        result.unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        let shown = path.strip_prefix(root()).expect("inside").display();
        println!("{shown}: {}", if runs { "ran" } else { "checked" });
    }
    assert!(examples.len() >= 5, "{examples:?}");
}

/// Splits a command at spaces, except inside double quotes.
fn shell_words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(nth, part)| match nth % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

/// Whether a line is a `consort` command; asserts that such a command exists.
fn is_command(page: &str, line: &str) -> bool {
    let words = line.split(" #").next().unwrap_or_default();
    let words = words.split('>').next().unwrap_or_default();
    let mut words = shell_words(words).into_iter();
    if !words.next().is_some_and(|word| word == "consort" || word.ends_with("/consort")) {
        return false;
    }
    // With --help at the end, the arguments are parsed and the command is not run.
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
    let (mut commands, mut mentions) = (0, 0);
    for path in pages {
        let page = std::fs::read_to_string(&path).expect("a page");
        let shown = path.strip_prefix(root()).expect("inside").display().to_string();
        for block in blocks(&page).iter().filter(|block| block.language == "sh") {
            commands += block.text.lines().filter(|line| is_command(&shown, line)).count();
        }
        // Spans in backquotes in the text, or in the comments of a configuration.
        let text = page.replace("\n; ", " ").replace("```", "");
        let spans = text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("consort "));
        mentions += spans.filter(|span| is_command(&shown, span)).count();
    }
    assert!(commands >= 5 && mentions >= 5, "only {commands} commands and {mentions} in the text");
}

#[test]
fn every_page_is_in_the_summary_and_every_link_has_a_target() {
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
