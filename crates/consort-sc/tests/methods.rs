//! Checks that the page docs/supercollider-methods.md contains only names that exist, covers all of
//! Supriya's methods, and has no empty cells.

use std::path::Path;

/// Appends all Rust files of a folder to `text`.
fn append_sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            append_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The words of a cell in backquotes.
fn code_words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_name_on_the_page_exists_and_no_cell_is_empty() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/supercollider-methods.md")).unwrap();
    let mut source = String::new();
    append_sources(&root.join("src"), &mut source);
    append_sources(&root.join("../consort-synthdef/src"), &mut source);
    let mut tests = source.clone();
    append_sources(&root.join("tests"), &mut tests);
    let mut row_count = 0;
    let mut methods = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.iter().all(|cell| !cell.is_empty()), "empty cell: {line}");
        let Some(test) = code_words(cells[cells.len() - 1]).next() else { continue };
        row_count += 1;
        methods.push(cells[0].trim_matches('`').to_owned());
        let function = test.rsplit("::").next().unwrap();
        assert!(tests.contains(&format!("fn {function}()")), "no test {test}");
        if cells.len() == 4 {
            for name in code_words(cells[1]) {
                let name = name.rsplit("::").next().unwrap();
                let exists = source.contains(&format!("fn {name}"))
                    || source.contains(&format!("struct {name}"))
                    || source.contains(&format!("enum {name}"))
                    || source.contains(&format!("trait {name}"))
                    || source.contains(&format!("{name}:"))
                    || source.contains(&format!("    {name} {{"))
                    || source.contains(&format!("    {name}("));
                assert!(exists, "no {name} in the crate");
            }
        }
    }
    assert!(row_count > 100, "only {row_count} rows");
    for method in SUPRIYA_METHODS {
        assert!(
            methods.iter().any(|name| name == method || name.starts_with(&format!("{method}("))),
            "Supriya's {method} is not on the page"
        );
    }
    for getter in SUPRIYA_GETTERS {
        let name = format!("{getter}(sync=False)");
        assert!(methods.contains(&name), "{name} is not on the page");
    }
    let faults = page.split("## Faults of Supriya that Consort avoids").nth(1).unwrap().lines();
    let faults = faults.filter(|line| line.starts_with("| ") && line.contains("::")).count();
    assert!(faults >= 26, "only {faults} faults");
}

/// Every class, method and property of `supriya.realtime`.
const SUPRIYA_METHODS: &[&str] = &[
    "AsyncServer",
    "BaseServer",
    "Server",
    "ServerLifecycleCallback",
    "FailWarning",
    "boot",
    "connect",
    "disconnect",
    "dump_tree",
    "get_buffer",
    "get_buffer_range",
    "get_bus",
    "get_bus_range",
    "get_synth_control_range",
    "get_synth_controls",
    "query_buffer",
    "query_node",
    "query_status",
    "query_tree",
    "query_version",
    "quit",
    "quit(force=True)",
    "reboot",
    "register_lifecycle_callback",
    "register_osc_callback",
    "reset",
    "sync",
    "unregister_lifecycle_callback",
    "unregister_osc_callback",
    "boot_future",
    "exit_future",
    "osc_protocol",
    "process_protocol",
    "__contains__",
    "send",
    "set_latency",
    "default_group",
    "is_owner",
    "shared_memory",
    "status",
];

/// The methods that take the parameter `sync`.
const SUPRIYA_GETTERS: &[&str] = &[
    "dump_tree",
    "get_buffer",
    "get_buffer_range",
    "get_bus",
    "get_bus_range",
    "get_synth_control_range",
    "get_synth_controls",
    "query_buffer",
    "query_node",
    "query_status",
    "query_tree",
    "query_version",
];
