//! The Lua scripts of the book: each is loaded, and the tests among them are run with the harness.

#![cfg(feature = "lua")]

use std::path::Path;

use mlua::{Lua, LuaOptions, StdLib};

/// The blocks ```lua of a page that begin with the name of a file.
fn scripts(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```lua\n-- ").skip(1);
    let scripts = blocks.filter_map(|block| {
        let (name, rest) = block.split_once('\n')?;
        let (text, _) = rest.split_once("```")?;
        name.ends_with(".lua").then(|| (name.to_owned(), text.to_owned()))
    });
    scripts.collect()
}

#[test]
fn the_scripts_of_the_book_pass_their_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/writing-lua.md")).expect("the page");
    let scripts = scripts(&page);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(root.join("lua/consort_harness.lua"), folder.path().join("consort_harness.lua"))
        .expect("the harness");
    for (name, text) in &scripts {
        std::fs::write(folder.path().join(name), text).expect("a script");
    }
    std::env::set_current_dir(folder.path()).expect("the folder");
    let is_test = |name: &str| name.starts_with("test_");
    let run = |name: &str| {
        let libraries = StdLib::ALL_SAFE;
        let lua = Lua::new_with(libraries, LuaOptions::default()).expect("an interpreter");
        // The harness prints tracebacks.
        lua.load("debug = debug or {traceback = function(_, text) return text or _ end}")
            .exec()
            .expect("a table");
        lua.load(format!("package.path = './?.lua' dofile('{name}')"))
            .exec()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    let tests: Vec<&str> =
        scripts.iter().map(|(name, _)| name.as_str()).filter(|name| is_test(name)).collect();
    assert_eq!(tests, ["test_chase.lua", "test_display.lua"]);
    for name in tests {
        run(name);
    }
}
