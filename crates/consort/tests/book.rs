//! Every configuration in the book, in the READMEs and under examples/ is sound. A block whose
//! first line is a comment with a file's name is that file; its page's other blocks find it.
#![allow(clippy::print_stdout)] // the list of what was tested is part of the result

use std::path::{Path, PathBuf};

use assert_cmd::Command;

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
    let (mut tested, mut broken) = (0, Vec::new());
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
            match check(folder.path(), name) {
                Ok(()) => println!("{shown}: {name}: fine"),
                Err(error) => broken.push(format!("{shown}: {name}:\n{error}")),
            }
            tested += 1;
        }
    }
    println!("{tested} configurations of the book tested");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(tested >= 10, "only {tested} were found");
}

#[test]
fn every_example_is_sound() {
    let examples = files(&root().join("examples"), "cfg");
    for path in &examples {
        let folder = path.parent().expect("a folder");
        let name = path.file_name().and_then(|it| it.to_str()).expect("a name");
        check(folder, name).unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        println!("{}: fine", path.strip_prefix(root()).expect("inside").display());
    }
    assert!(examples.len() >= 5, "{examples:?}");
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
