//! Editing configuration files: what changes, what stays byte for byte, and what is rejected.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use consort_router::config::edit::{EditError, Editor, Section};
use consort_router::config::fuzz;
use proptest::prelude::*;

const SHOW: &str = "\
; The Friday show.
[fuzz tablet]          
  rate = 10
; faders
  /x =  one   
mode = two

[include lamps.cfg]

[map]
tablet.a > lamp.b
; the second pair
    tablet.c   <>   lamp.\"d | e\"
";

const LAMPS: &str = "[fuzz lamp]\r\nrate = 5\r\n; end";

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("show.cfg"), SHOW).expect("a file");
        std::fs::write(folder.path().join("lamps.cfg"), LAMPS).expect("a file");
        Folder { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }

    fn editor(&self) -> Editor {
        Editor::open(&self.path("show.cfg")).expect("a configuration")
    }
}

fn tablet() -> Section {
    Section::instance("tablet")
}

fn lamp() -> Section {
    Section::instance("lamp")
}

/// The lines that an edit removed and added.
fn changed_lines<'t>(before: &'t str, after: &'t str) -> (Vec<&'t str>, Vec<&'t str>) {
    let mut counts: HashMap<&str, i32> = HashMap::new();
    for line in before.split_inclusive('\n') {
        *counts.entry(line).or_default() -= 1;
    }
    for line in after.split_inclusive('\n') {
        *counts.entry(line).or_default() += 1;
    }
    let mut changed: Vec<_> = counts.into_iter().filter(|(_, count)| *count != 0).collect();
    changed.sort_unstable();
    let pick = |sign: i32| {
        let lines = changed.iter().filter(|(_, count)| count.signum() == sign);
        lines.map(|(line, _)| *line).collect::<Vec<_>>()
    };
    (pick(-1), pick(1))
}

#[test]
fn an_option_is_changed_in_the_include_that_contains_it() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    editor.set_option(&lamp(), "rate", "7").unwrap();
    editor.set_option(&tablet(), "/x", "two").unwrap();
    editor.save().unwrap();
    assert_eq!(folder.read("lamps.cfg"), "[fuzz lamp]\r\nrate = 7\r\n; end");
    let (removed, added) = (["  /x =  one   \n"], ["  /x =  two   \n"]);
    assert_eq!(changed_lines(SHOW, &folder.read("show.cfg")), (removed.to_vec(), added.to_vec()));
}

#[test]
fn lines_are_added_where_they_belong_in_the_style_of_their_file() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    editor.add_option(&lamp(), "mode", "one").unwrap();
    editor.add_option(&tablet(), "/y", "1").unwrap();
    editor.add_mapping("tablet.f > lamp.g").unwrap();
    editor.add_instance("fuzz", "desk", &[("rate", "3"), ("mode", "one")]).unwrap();
    editor.save().unwrap();
    assert_eq!(
        folder.read("lamps.cfg"),
        "[fuzz lamp]\r\nrate = 5\r\nmode = one\r\n\r\n[fuzz desk]\r\nrate = 3\r\nmode = one\r\n; end"
    );
    let show = folder.read("show.cfg");
    let (removed, added) = changed_lines(SHOW, &show);
    assert_eq!(removed, [""; 0]);
    assert_eq!(added, ["    tablet.f > lamp.g\n", "/y = 1\n"]);
    assert!(show.ends_with("lamp.\"d | e\"\n    tablet.f > lamp.g\n"));
    assert!(folder.editor().check(&[], &[&fuzz::BACKEND]).show.is_some());
}

#[test]
fn a_new_mapping_is_always_active_where_others_stand_in_layers() {
    let folder = Folder::new();
    let map = "[fuzz a]\n[map]\na.x > a.y\n[map one]\ngroup = g\na.x > a.z | invert\n";
    std::fs::write(folder.path("show.cfg"), map).unwrap();
    let mut editor = folder.editor();
    editor.add_mapping("a.p > a.q").unwrap();
    let text = editor.text(&folder.path("show.cfg")).unwrap();
    assert_eq!(text, map.replace("a.y\n", "a.y\na.p > a.q\n"));
    let layer = "[fuzz a]\n[map one]\ngroup = g\na.x > a.z\n";
    std::fs::write(folder.path("show.cfg"), layer).unwrap();
    let mut editor = folder.editor();
    editor.add_mapping("a.p > a.q").unwrap();
    let text = editor.text(&folder.path("show.cfg")).unwrap();
    assert!(text.starts_with(layer) && text.trim_end().ends_with("\n[map]\na.p > a.q"), "{text}");
}

#[test]
fn mappings_are_changed_and_removed_by_number() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    let texts: Vec<String> = editor.mappings().into_iter().map(|mapping| mapping.text).collect();
    assert_eq!(texts, ["tablet.a > lamp.b", "tablet.c   <>   lamp.\"d | e\""]);
    assert_eq!(editor.mappings()[1].line, 13);
    editor.change_mapping(1, "tablet.c > lamp.z").unwrap();
    editor.remove_mapping(0).unwrap();
    let text = editor.text(&folder.path("show.cfg")).unwrap();
    assert!(text.ends_with("[map]\n; the second pair\n    tablet.c > lamp.z\n"), "{text}");
    assert!(matches!(editor.remove_mapping(1), Err(EditError::UnknownMapping { index: 1 })));
}

#[test]
fn instances_are_renamed_everywhere_and_removed_when_unused() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    assert!(matches!(editor.remove_instance("lamp"), Err(EditError::InUse { count: 2, .. })));
    editor.rename_instance("lamp", "spot").unwrap();
    let text = editor.text(&folder.path("show.cfg")).unwrap();
    assert!(text.contains("tablet.a > spot.b") && text.contains("spot.\"d | e\""), "{text}");
    for _ in 0..2 {
        editor.remove_mapping(0).unwrap();
    }
    editor.remove_instance("spot").unwrap();
    assert_eq!(editor.text(&folder.path("lamps.cfg")), Some("; end"));
    assert!(matches!(editor.rename_instance("spot", "x"), Err(EditError::UnknownSection { .. })));
}

#[test]
fn a_text_that_would_be_read_differently_changes_nothing() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    for value in ["a\nb", " padded", "padded ", "1\n[map]", "1\r\nmode = one"] {
        let result = editor.set_option(&tablet(), "rate", value);
        assert!(matches!(result, Err(EditError::NotAsMeant { .. })), "{value:?}");
    }
    for mapping in ["a b", "", "a.b > c.d\ne.f > g.h", "; x > y", "[map]", " a.b > c.d"] {
        let result = editor.add_mapping(mapping);
        assert!(matches!(result, Err(EditError::NotAsMeant { .. })), "{mapping:?}");
    }
    for (backend, name) in [("fuzz", "two words"), ("", "x"), ("fuzz", ""), ("backend", "x")] {
        let result = editor.add_instance(backend, name, &[]);
        assert!(matches!(result, Err(EditError::NotAsMeant { .. })), "{backend} {name}");
    }
    let result = editor.add_option(&Section::instance("nobody"), "rate", "1");
    assert!(matches!(result, Err(EditError::UnknownSection { .. })));
    assert!(!editor.is_changed() && editor.diff().is_empty());
}

#[test]
fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    editor.set_option(&tablet(), "rate", "11").unwrap();
    editor.set_option(&lamp(), "rate", "11").unwrap();
    std::fs::write(folder.path("lamps.cfg"), "; somebody else").unwrap();
    assert!(matches!(editor.save(), Err(EditError::Changed { .. })));
    assert_eq!(folder.read("show.cfg"), SHOW, "all or nothing");
    assert_eq!(folder.read("lamps.cfg"), "; somebody else");
    let names = std::fs::read_dir(folder.folder.path()).unwrap().count();
    assert_eq!(names, 2, "no temporary file is left");
}

#[test]
fn links_modes_and_owners_are_kept() {
    let folder = Folder::new();
    let link = folder.path("link.cfg");
    symlink("show.cfg", &link).unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(folder.path("show.cfg"), mode).unwrap();
    let is_root = std::fs::metadata(folder.path("show.cfg")).unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(folder.path("show.cfg"), Some(1234), Some(4321)).unwrap();
    }
    let mut editor = Editor::open(&link).expect("a configuration");
    editor.set_option(&tablet(), "rate", "12").unwrap();
    editor.save().unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let metadata = std::fs::metadata(folder.path("show.cfg")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if is_root {
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 4321));
    }
    assert!(folder.read("show.cfg").contains("rate = 12"));
    editor.set_option(&tablet(), "rate", "13").unwrap();
    editor.save().expect("an editor can save again");
}

#[test]
fn the_diff_shows_a_commented_file() {
    let folder = Folder::new();
    let mut editor = folder.editor();
    editor.set_option(&tablet(), "mode", "one").unwrap();
    let diff = editor.diff();
    let lines: Vec<&str> = diff.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "@@ -3,7 +3,7 @@",
            "   rate = 10",
            " ; faders",
            "   /x =  one   ",
            "-mode = two",
            "+mode = one",
            " ",
            " [include lamps.cfg]",
            " ",
        ]
    );
}

/// A line of a generated configuration, valid in the section that it is in.
fn line(in_map: bool) -> BoxedStrategy<String> {
    let blank =
        prop_oneof![Just(String::new()), Just("; comment = x > y".into()), Just("  ".into())];
    if in_map {
        let channel =
            prop_oneof![Just("a.x"), Just("b.y{1..2}"), Just("a.\"q | r\""), Just("b.z # w")];
        let arrow = prop_oneof![Just(" > "), Just("<"), Just(" <> ")];
        let mapping = (channel.clone(), arrow, channel)
            .prop_map(|(left, arrow, right)| format!("{left}{arrow}{right}"));
        return prop_oneof![1 => blank, 3 => mapping].boxed();
    }
    let name =
        prop_oneof![Just("rate = 1"), Just("  mode=two"), Just("/p = 1"), Just("module = m ; x")];
    prop_oneof![1 => blank, 3 => name.prop_map(str::to_owned)].boxed()
}

fn configuration() -> impl Strategy<Value = String> {
    let section = |header: &'static str, in_map: bool| {
        prop::collection::vec(line(in_map), 0..5).prop_map(move |mut lines| {
            lines.insert(0, header.to_owned());
            lines
        })
    };
    let newline = prop_oneof![Just("\n"), Just("\r\n")];
    (
        section("[fuzz a]", false),
        section(" [fuzz b] ", false),
        section("[map]", true),
        prop::option::of(section("[backend fuzz]", false).prop_map(|mut lines| {
            lines.truncate(1);
            lines
        })),
        newline,
        any::<bool>(),
    )
        .prop_map(|(a, b, map, backend, newline, ends)| {
            let lines: Vec<String> =
                [a, b, backend.unwrap_or_default(), map].into_iter().flatten().collect();
            lines.join(newline) + if ends { newline } else { "" }
        })
}

#[derive(Clone, Debug)]
enum Edit {
    Set(&'static str, String),
    Add(&'static str, String),
    Remove(&'static str),
    AddInstance(String),
    Rename(String),
    AddMapping(String),
    ChangeMapping(usize, String),
    RemoveMapping(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = prop_oneof![Just("rate"), Just("mode"), Just("/p"), Just("module")];
    let value = prop_oneof!["[0-9]{1,3}", "one|two", "[ -~]{0,12}", "\\PC{0,6}"];
    let word = prop_oneof!["[a-z]{1,6}", "[ -~]{0,6}"];
    let mapping = prop_oneof![
        "(a|b)\\.[a-z]{1,4} (>|<|<>) (a|b)\\.[a-z]{1,4}",
        "a\\.\"[ -~&&[^\"]]{1,6}\" > b\\.x",
        "[ -~]{0,16}",
    ];
    prop_oneof![
        (name.clone(), value.clone()).prop_map(|(name, value)| Edit::Set(name, value)),
        (name.clone(), value).prop_map(|(name, value)| Edit::Add(name, value)),
        name.prop_map(Edit::Remove),
        word.clone().prop_map(Edit::AddInstance),
        word.prop_map(Edit::Rename),
        mapping.clone().prop_map(Edit::AddMapping),
        (0_usize..4, mapping).prop_map(|(index, text)| Edit::ChangeMapping(index, text)),
        (0_usize..4).prop_map(Edit::RemoveMapping),
    ]
}

fn texts(editor: &Editor) -> Vec<String> {
    editor.mappings().into_iter().map(|mapping| mapping.text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_edit_changes_only_its_lines_and_is_read_as_meant(text in configuration(), edit in edit()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show.cfg");
        std::fs::write(&path, &text).unwrap();
        let mut editor = Editor::open(&path).unwrap();
        let section = Section::instance("a");
        let (values_before, mappings_before) = (
            |editor: &Editor, name: &str| {
                editor.option(&section, name).into_iter().map(str::to_owned).collect::<Vec<_>>()
            },
            texts(&editor),
        );
        // Lines that may be removed and added.
        let (result, removed, added) = match &edit {
            Edit::Set(name, value) => {
                let before = values_before(&editor, name);
                let result = editor.set_option(&section, name, value);
                if result.is_ok() {
                    let mut expected = before.clone();
                    expected.pop();
                    expected.push(value.clone());
                    prop_assert_eq!(values_before(&editor, name), expected);
                }
                (result, 1, 1)
            }
            Edit::Add(name, value) => {
                let mut expected = values_before(&editor, name);
                expected.push(value.clone());
                let result = editor.add_option(&section, name, value);
                if result.is_ok() {
                    prop_assert_eq!(values_before(&editor, name), expected);
                }
                (result, 1, 2)
            }
            Edit::Remove(name) => {
                let count = values_before(&editor, name).len();
                let result = editor.remove_option(&section, name);
                prop_assert_eq!(result.is_ok(), count > 0);
                prop_assert_eq!(values_before(&editor, name), [""; 0]);
                (result, count, 0)
            }
            Edit::AddInstance(name) => {
                let result = editor.add_instance("fuzz", name, &[("rate", "1")]);
                if result.is_ok() {
                    prop_assert_eq!(editor.option(&Section::instance(name.as_str()), "rate"), ["1"]);
                }
                (result, 1, 4)
            }
            Edit::Rename(name) => {
                let result = editor.rename_instance("a", name);
                (result, usize::MAX, usize::MAX)
            }
            Edit::AddMapping(mapping) => {
                let mut expected = mappings_before.clone();
                expected.push(mapping.clone());
                let result = editor.add_mapping(mapping);
                if result.is_ok() {
                    prop_assert_eq!(texts(&editor), expected);
                }
                (result, 1, 2)
            }
            Edit::ChangeMapping(index, mapping) => {
                let mut expected = mappings_before.clone();
                let result = editor.change_mapping(*index, mapping);
                if result.is_ok() {
                    expected[*index] = mapping.clone();
                    prop_assert_eq!(texts(&editor), expected);
                }
                (result, 1, 1)
            }
            Edit::RemoveMapping(index) => {
                let mut expected = mappings_before.clone();
                let result = editor.remove_mapping(*index);
                prop_assert_eq!(result.is_ok(), *index < expected.len());
                if result.is_ok() {
                    expected.remove(*index);
                    prop_assert_eq!(texts(&editor), expected);
                }
                (result, 1, 0)
            }
        };
        let after = editor.text(&path).unwrap().to_owned();
        match result {
            Err(_) => prop_assert_eq!(&after, &text, "a rejected edit changed the text"),
            Ok(()) => {
                let (gone, new) = changed_lines(&text, &after);
                prop_assert!(gone.len() <= removed, "{edit:?}: removed {gone:?}");
                prop_assert!(new.len() <= added, "{edit:?}: added {new:?}");
                prop_assert!(!after.contains("\r\n") || !after.replace("\r\n", "").contains('\n'));
                editor.save().unwrap();
                prop_assert_eq!(&std::fs::read_to_string(&path).unwrap(), &after);
                prop_assert_eq!(&texts(&Editor::open(&path).unwrap()), &texts(&editor));
            }
        }
    }
}

/// The editor of a folder with these files; the first is the configuration.
fn editor_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Editor) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, text).expect("a file");
    }
    let editor = Editor::open(&folder.path().join(files[0].0)).expect("a configuration");
    (folder, editor)
}

#[test]
fn a_new_name_that_would_change_mappings_is_rejected() {
    let show = "[fuzz a]\n[fuzz b]\n[map]\na.x > b.y\n";
    let (_folder, mut editor) = editor_of(&[("show.cfg", show)]);
    for name in [";a", "[a", "\ta", "a\u{b}", "\u{feff}a", "a ", "", "b.c", "a>b"] {
        let result = editor.rename_instance("a", name);
        assert!(matches!(result, Err(EditError::NotAsMeant { .. })), "{name:?}");
        assert!(!editor.is_changed(), "{name:?}");
    }
    editor.rename_instance("a", "faders").unwrap();
    assert_eq!(editor.mappings()[0].text, "faders.x > b.y");
}

#[test]
fn sections_with_a_shared_include_are_not_edited() {
    let show = "[fuzz a]\nrate = 1\n[include common.cfg]\n[fuzz b]\nrate = 2\n\
                [include common.cfg]\n[map]\na.x > b.y\n";
    let (folder, mut editor) = editor_of(&[("show.cfg", show), ("common.cfg", "mode = one\n")]);
    let is_shared = |result| matches!(result, Err(EditError::SharedInclude { .. }));
    let b = Section::instance("b");
    assert!(is_shared(editor.set_option(&b, "mode", "two")));
    assert!(is_shared(editor.remove_option(&b, "mode")));
    assert!(is_shared(editor.remove_instance("a")));
    assert!(!editor.is_changed());
    editor.change_mapping(0, "a.x > b.z").expect("the mapping is in a file of its own");
    drop(folder);
    let show = "[fuzz a]\n[include common.cfg]\n[fuzz b]\n";
    let (_folder, mut editor) = editor_of(&[("show.cfg", show), ("common.cfg", "mode = one\n")]);
    let result = editor.remove_instance("a");
    assert!(matches!(result, Err(EditError::ContainsInclude { .. })), "the include would stay");
}

#[test]
fn includes_are_those_that_the_loader_reads() {
    let show = "[fuzz a]\n[fuzz b]\n[include inc.cfg]\n";
    let (folder, _) = editor_of(&[
        ("real/show.cfg", show),
        ("real/inc.cfg", "[map]\na.wrong > b.wrong\n"),
        ("inc.cfg", "[map]\na.right > b.right\n"),
    ]);
    let link = folder.path().join("show.cfg");
    symlink("real/show.cfg", &link).unwrap();
    let editor = Editor::open(&link).unwrap();
    assert_eq!(editor.mappings()[0].text, "a.right > b.right");
    std::fs::write(folder.path().join("inc.cfg"), b"; L\xFCster\n[map]\na.x > b.y\n").unwrap();
    assert!(matches!(Editor::open(&link), Err(EditError::NotUtf8 { .. })));
    std::fs::remove_file(folder.path().join("inc.cfg")).unwrap();
    let mut editor = Editor::open(&link).unwrap();
    let result = editor.rename_instance("a", "c");
    assert!(matches!(result, Err(EditError::Read { .. })), "it may be used in the missing file");
}

#[test]
fn what_cannot_be_read_or_is_not_utf_8_is_an_error() {
    let folder = Folder::new();
    std::fs::write(folder.path("latin.cfg"), b"[fuzz t\xFC]\n").unwrap();
    assert!(matches!(Editor::open(&folder.path("latin.cfg")), Err(EditError::NotUtf8 { .. })));
    assert!(matches!(Editor::open(Path::new("/nowhere.cfg")), Err(EditError::Read { .. })));
}
