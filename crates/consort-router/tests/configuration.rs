//! The grammar of configurations: where it is the same as MIDIMonster's, and where it differs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use consort_router::config::{
    Files, Loaded, Override, Severity, Show, Sources, fuzz, load, load_from, load_text,
};
use consort_router::{
    Backend, BackendDescriptor, ChannelError, Context, Driver, Event, Instance, InstanceConfig,
    OptionFamily, OptionKind, OptionSpec, Options, Plan, Problems, Usage,
};

thread_local! {
    /// The calls that the backend has received, in order.
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn log(line: String) {
    LOG.with_borrow_mut(|log| log.push(line));
}

fn asked() -> Vec<String> {
    LOG.take()
}

/// A backend that accepts one option of each kind.
const RIG: BackendDescriptor = BackendDescriptor {
    name: "rig",
    summary: "accepts one option of each kind",
    documentation: "",
    options: &[
        OptionSpec { name: "detect", kind: OptionKind::Flag, ..OptionSpec::EMPTY },
        OptionSpec { name: "bind", repeatable: true, ..OptionSpec::EMPTY },
    ],
    instance_options: &[
        OptionSpec { name: "text", aliases: &["txt"], ..OptionSpec::EMPTY },
        OptionSpec { name: "rate", kind: OptionKind::Integer(1, 1_000), ..OptionSpec::EMPTY },
        OptionSpec {
            name: "module",
            kind: OptionKind::Path,
            repeatable: true,
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[OptionFamily {
        prefix: "/",
        live: false,
        example: "/a = 1",
        documentation: "",
    }],
    channels: &[],
    example: "",
    create: || Box::new(Rig),
};

/// The same with a required option, and with channels that must be numbers.
const STRICT: BackendDescriptor = BackendDescriptor {
    name: "strict",
    instance_options: &[OptionSpec { name: "device", required: true, ..OptionSpec::EMPTY }],
    instance_families: &[],
    ..RIG
};

const REGISTRY: &[&BackendDescriptor] = &[&RIG, &STRICT];

/// The backend of [`RIG`] and [`STRICT`].
struct Rig;

impl Backend for Rig {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        for entry in options.entries() {
            log(format!("configure {} = {}", entry.name, entry.value));
        }
    }

    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        log(format!("instance {} in {}", config.name, config.directory.display()));
        for (index, entry) in config.options.entries().iter().enumerate() {
            log(format!("{} = {}", entry.name, entry.value));
            if entry.value == "refuse" {
                problems.error(Some(index), "refused").range(2..=3).hint("give another");
            }
        }
        if let Some(path) = config.options.path("module") {
            log(format!("path {}", path.display()));
        }
        let is_numbered = config.options.is_set("device");
        problems.is_ok().then(|| -> Box<dyn Plan> {
            Box::new(RigPlan { name: config.name, known: Vec::new(), is_numbered })
        })
    }
}

struct RigPlan {
    name: String,
    known: Vec<String>,
    is_numbered: bool,
}

impl Plan for RigPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let arrow = if usage == Usage::Source { '>' } else { '<' };
        log(format!("{arrow}{}.{specification}", self.name));
        if self.is_numbered && specification.parse::<u32>().is_err() {
            let start =
                specification.find(|character: char| !character.is_ascii_digit()).unwrap_or(0);
            return Err(ChannelError::new("no number").with_range(start, specification.len()));
        }
        if let Some(index) = self.known.iter().position(|known| known == specification) {
            return Ok(index as u32);
        }
        self.known.push(specification.to_owned());
        Ok(self.known.len() as u32 - 1)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for RigPlan {
    fn start(&mut self, _: &mut Context<'_>) {}

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

fn loaded(text: &str, overrides: &[Override]) -> Loaded {
    asked();
    let loaded = load_text("show.cfg", text, overrides, REGISTRY);
    fuzz::inspect(&loaded);
    loaded
}

fn messages(loaded: &Loaded) -> Vec<String> {
    // Most texts of these tests have no mapping.
    let matters = loaded.diagnostics.iter().filter(|item| item.code != "no-mappings");
    let each = matters.map(|item| {
        let place = item.primary.as_ref().map(|label| {
            let source = loaded.sources.get(label.span.source);
            let position = source.position(label.span.start);
            format!("{}:{}:{} ", source.name(), position.line, position.column)
                + &format!("`{}` ", loaded.sources.text(label.span))
        });
        format!("{}{}: {}", place.unwrap_or_default(), item.code, item.message)
    });
    each.collect()
}

fn show(text: &str) -> Show {
    let loaded = loaded(text, &[]);
    assert_eq!(messages(&loaded), [""; 0]);
    loaded.show.expect("a show without errors")
}

/// Every mapping as `source>target`.
fn mapped(show: &Show) -> Vec<String> {
    let name = |end: consort_router::config::ChannelRef| {
        let instance = &show.instances[end.instance.index()];
        format!("{}.{}", instance.name, instance.channels[end.channel as usize])
    };
    show.mappings.iter().map(|&(from, to)| format!("{}>{}", name(from), name(to))).collect()
}

fn map(lines: &str) -> Vec<String> {
    mapped(&show(&format!("[rig a]\n[rig b]\n[map]\n{lines}")))
}

// ---- Lines and sections ----

/// Such characters are in text that was copied from a web page. MIDIMonster removes characters that
/// are not ASCII from both ends of a name; here they are part of the name and cause a warning.
#[test]
fn invisible_characters_cause_a_warning() {
    let text = "[rig a]\ntext = caf\u{A0}\n[map]\na.x\u{A0} > \u{200B}a.y\u{A0}z\n";
    let loaded = loaded(text, &[]);
    let expected = [
        "show.cfg:2:11 `\u{A0}` invisible-character: an invisible character, U+00A0",
        "show.cfg:4:4 `\u{A0}` invisible-character: an invisible character, U+00A0",
        "show.cfg:4:8 `\u{200B}` invisible-character: an invisible character, U+200B",
        "show.cfg:4:8 `\u{200B}a` unknown-instance: unknown instance `\\u{200b}a`",
    ];
    assert_eq!(messages(&loaded), expected);
}

#[test]
fn an_include_is_found_in_a_folder_whose_name_is_not_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    let path = |name: &[u8]| std::path::PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()));
    let (show, part) = (path(b"B\xFChne/show.cfg"), path(b"B\xFChne/part.cfg"));
    let text = b"[include part.cfg]\n[map]\na.x > a.y\n".to_vec();
    let files = Files::Memory([(show.clone(), text), (part, b"[rig a]\n".to_vec())].into());
    let loaded = load_from(&files, &show, &[], REGISTRY);
    assert_eq!(messages(&loaded), [""; 0]);
    assert!(loaded.show.is_some());
}

/// Old configurations have comments in Latin-1; MIDIMonster skips them.
#[test]
fn text_that_is_not_utf_8_is_a_warning_in_comments_and_an_error_elsewhere() {
    let load = |text: &[u8]| {
        let files = Files::Memory([("show.cfg".into(), text.to_vec())].into());
        load_from(&files, Path::new("show.cfg"), &[], REGISTRY)
    };
    let comments = b"; B\xFChne\r\n[rig a]\n \t; t\xF6n\xE9 ; \xFF\n[map]\na.x > a.y\n";
    let loaded = load(comments);
    let expected = ["show.cfg:1:4 `ü` not-utf-8: a comment is not UTF-8 (byte 3)"];
    assert_eq!(messages(&loaded), expected);
    assert_eq!(mapped(&loaded.show.expect("only a comment")), ["a.x>a.y"]);
    let loaded = load(b"; B\xFChne\n[rig a]\n[map]\na.x > a.\xFC\n");
    let expected = ["show.cfg:4:9 `ü` not-utf-8: the file is not UTF-8 (byte 30)"];
    assert_eq!(messages(&loaded), expected);
    assert!(loaded.show.is_none());
}

#[test]
fn only_ascii_spaces_byte_order_marks_and_carriage_returns_are_trimmed() {
    let text = "\u{FEFF}[rig a] \r\n\t text \t=\x0B caf\u{e9}\u{a0} \r\n [map]\r\n a.x\u{e9} > a.\u{e9}y \r\n";
    let show = loaded(text, &[]).show.expect("a show without errors");
    assert_eq!(asked()[1], "text = caf\u{e9}\u{a0}");
    assert_eq!(mapped(&show), ["a.x\u{e9}>a.\u{e9}y"]);
}

#[test]
fn the_first_equals_sign_splits_and_a_value_may_be_empty() {
    show("[rig a]\ntext = b = c > d\n/x=\n/y == \n");
    assert_eq!(asked()[1..], ["text = b = c > d", "/x = ", "/y = ="]);
}

#[test]
fn a_comment_is_a_whole_line_and_one_after_a_mapping_causes_a_warning() {
    let loaded = loaded("; one\n  ; two\n[rig a]\ntext = x;y\n[map]\na.a > a.z ; comment\n", &[]);
    assert_eq!(messages(&loaded), ["show.cfg:6:11 `; comment` no-comment: this is not a comment"]);
    assert_eq!(mapped(&loaded.show.expect("a warning only")), ["a.a>a.z ; comment"]);
}

#[test]
fn section_headers_are_not_trimmed_and_instance_names_are_checked() {
    for header in ["[rig  a]", "[rig a ]", "[rig a.b]", "[rig a b]", "[ rig a]", "[rig a", "[rig]"]
    {
        let loaded = loaded(&format!("{header}\n"), &[]);
        assert_eq!(loaded.count(Severity::Error), 1, "{header}: {:?}", messages(&loaded));
    }
    let loaded = loaded("[rig a]\n[strict a]\ndevice = 1\n", &[]);
    assert_eq!(messages(&loaded), ["show.cfg:2:9 `a` repeated-name: the name `a` is used twice"]);
    assert_eq!(loaded.sources.text(loaded.diagnostics[0].secondary[0].span), "a");
}

#[test]
fn options_before_any_section_are_ignored_with_one_warning() {
    let loaded = loaded("a = 1\nb = 2\n[rig a]\n", &[]);
    assert_eq!(messages(&loaded).len(), 1);
    assert_eq!(loaded.diagnostics[0].severity, Severity::Warning);
    assert!(loaded.show.is_some());
}

#[test]
fn sections_of_a_backend_are_combined_and_mappings_may_be_anywhere() {
    let text = "[map]\na.x > a.y\n[backend rig]\nbind = 1\n[rig a]\n[backend rig]\nbind = 2\n[map]\na.y > a.z\n";
    let show = show(text);
    assert_eq!(asked()[..2], ["configure bind = 1", "configure bind = 2"]);
    assert_eq!(mapped(&show), ["a.x>a.y", "a.y>a.z"]);
}

#[test]
fn a_repeated_option_causes_a_warning_unless_it_is_repeatable() {
    let loaded = loaded("[rig a]\ntext = 1\ntxt = 2\nmodule = x\nmodule = y\n", &[]);
    assert_eq!(messages(&loaded).len(), 1);
    assert_eq!(loaded.diagnostics[0].severity, Severity::Warning);
    assert_eq!(asked()[1..5], ["text = 1", "text = 2", "module = x", "module = y"]);
}

#[test]
fn a_problem_of_a_backend_has_the_position_of_its_bytes() {
    let loaded = loaded("[rig a]\ntext = refuse\n[map]\na.x > a.y\n", &[]);
    assert_eq!(messages(&loaded), ["show.cfg:2:10 `fu` refused-option: refused"]);
    assert_eq!(loaded.diagnostics[0].hint.as_deref(), Some("give another"));
}

#[test]
fn a_rejected_channel_has_the_position_of_its_bytes() {
    let text = "[strict s]\ndevice = d\n[map]\ns.12x > s.1\ns.{1..2}{a,b} > s.1\n";
    let loaded = loaded(text, &[]);
    assert_eq!(
        messages(&loaded),
        [
            "show.cfg:4:5 `x` refused-channel: no number",
            "show.cfg:5:9 `{a,b}` refused-channel: no number"
        ]
    );
    assert_eq!(
        loaded.diagnostics[1].notes,
        ["this applies to `1a` and 3 other channels of this line"]
    );
}

#[test]
fn a_missing_required_option_is_an_error() {
    let loaded = loaded("[strict s]\n", &[]);
    assert_eq!(
        messages(&loaded),
        ["show.cfg:1:1 `[strict s]` missing-option: the instance `s` needs the option `device`"]
    );
}

// ---- Includes ----

fn files(list: &[(&str, &str)]) -> Files {
    let entry = |(path, text): &(&str, &str)| (path.into(), text.as_bytes().to_vec());
    Files::Memory(list.iter().map(entry).collect::<BTreeMap<_, _>>())
}

fn from(list: &[(&str, &str)]) -> Loaded {
    asked();
    let loaded = load_from(&files(list), Path::new("show.cfg"), &[], REGISTRY);
    fuzz::inspect(&loaded);
    loaded
}

#[test]
fn includes_are_relative_to_their_file_and_restore_the_section() {
    let loaded = from(&[
        ("show.cfg", "[rig a]\n[include sub/one.cfg]\ntext = of a\n[map]\na.x > c.y\n"),
        (
            "sub/one.cfg",
            "/from = one\n[rig b]\ntext = of b\nmodule = m.py\n[include two.cfg]\nrate = 7\n",
        ),
        ("sub/two.cfg", "[rig c]\n[map]\nc.p > b.q\n"),
    ]);
    assert_eq!(messages(&loaded), [""; 0]);
    assert_eq!(mapped(&loaded.show.expect("a show")), ["c.p>b.q", "a.x>c.y"]);
    assert_eq!(
        asked()[..8],
        [
            "instance a in .",
            // A file begins in the section in which it is included.
            "/from = one",
            "text = of a",
            "instance b in sub",
            "text = of b",
            "module = m.py",
            "rate = 7",
            "path sub/m.py",
        ]
    );
}

#[test]
fn a_file_may_be_included_twice_but_not_by_itself() {
    let twice = from(&[
        ("show.cfg", "[rig a]\n[map]\n[include m.cfg]\n[include ./m.cfg]\n"),
        ("m.cfg", "a.x > a.y\n"),
    ]);
    assert_eq!(mapped(&twice.show.expect("a show")), ["a.x>a.y"]);
    assert_eq!(twice.sources.iter().count(), 2, "read once");
    let cycle = from(&[
        ("show.cfg", "[include a.cfg]\n"),
        ("a.cfg", "[include b.cfg]\n"),
        ("b.cfg", "\n[include ../x/../show.cfg]\n[include a.cfg]\n"),
    ]);
    let notes: Vec<&str> =
        cycle.diagnostics.iter().flat_map(|item| item.notes.iter().map(String::as_str)).collect();
    assert_eq!(notes, ["a.cfg includes b.cfg includes a.cfg"], "{:?}", messages(&cycle));
}

#[test]
fn the_number_of_includes_is_bounded() {
    let mut list = vec![("show.cfg".to_owned(), "[include f0.cfg]\n".to_owned())];
    for index in 0..40 {
        let next = format!("[include f{0}.cfg]\n[include f{0}.cfg]\n", index + 1);
        list.push((format!("f{index}.cfg"), next));
    }
    let list: Vec<(&str, &str)> = list.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let loaded = from(&list);
    assert!(loaded.show.is_none());
    assert!(loaded.diagnostics.iter().all(|item| item.code == "too-many-includes"));
}

#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    assert!(load(folder.path(), &[], REGISTRY).diagnostics[0].message.contains("is a folder"));
    let fifo = path("fifo.cfg");
    let status = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(status.success());
    // Opening the FIFO would block forever.
    assert!(load(&fifo, &[], REGISTRY).diagnostics[0].message.contains("not a regular file"));
    assert!(load(&path("no.cfg"), &[], REGISTRY).diagnostics[0].message.contains("no such file"));
    std::fs::write(path("show.cfg"), "[rig a]\nmodule = m.py\n").expect("a file");
    asked();
    assert!(load(&path("show.cfg"), &[], REGISTRY).show.is_some());
    assert_eq!(asked()[2], format!("path {}", path("m.py").display()));
    let big = std::fs::File::create(path("big.cfg")).expect("a file");
    big.set_len(consort_router::config::SIZE_LIMIT + 1).expect("a sparse file");
    assert!(load(&path("big.cfg"), &[], REGISTRY).diagnostics[0].message.contains("64 MiB"));
}

// ---- Overrides ----

#[test]
fn overrides_replace_options_of_the_file() {
    let text = "[backend rig]\nbind = 1\nbind = 2\n[rig a]\nmodule = x\ntext = file\nmodule = y\n";
    let overrides = [
        Override::backend("rig.bind=3"),
        Override::instance("a.txt=c = d"),
        Override::instance("a.module=p"),
        Override::instance("a.module=q"),
        Override::instance("a./new.dot=1"),
        Override::backend("rig.detect=on"),
    ];
    let loaded = loaded(text, &overrides);
    assert_eq!(messages(&loaded), [""; 0]);
    assert_eq!(
        asked()[..7],
        [
            "configure bind = 3",
            "configure detect = on",
            "instance a in .",
            "module = p",
            "module = q",
            "text = c = d",
            "/new.dot = 1",
        ]
    );
}

#[test]
fn an_override_may_add_a_backend_section_but_must_match_an_option() {
    let fine = loaded("[rig a]\n", &[Override::backend("rig.detect=1")]);
    assert_eq!(messages(&fine), [""; 0]);
    assert_eq!(asked()[0], "configure detect = 1");
    let invalid = [
        Override::backend("strict.detect=1"),
        Override::instance("b.text=1"),
        Override::instance("a.tetx=1"),
        Override::instance("a.rate=1001"),
        Override::instance("a"),
    ];
    let loaded = loaded("[rig a]\n", &invalid);
    let places: Vec<String> = messages(&loaded)
        .into_iter()
        .map(|item| item.split_once(": ").expect("a message").0.to_owned())
        .collect();
    let place = |line: usize, text: &str| format!("{}:{line}:{text}", Sources::COMMAND_LINE);
    assert_eq!(
        places,
        [
            place(1, "4 `strict` override-hits-nothing"),
            place(2, "4 `b` override-hits-nothing"),
            place(3, "6 `tetx` unknown-option"),
            place(4, "11 `1001` invalid-value"),
            place(5, "4 `a` malformed-override"),
        ]
    );
}

#[test]
fn an_override_may_set_a_required_option() {
    let loaded = loaded("[strict s]\n", &[Override::instance("s.device=x")]);
    assert_eq!(messages(&loaded), [""; 0]);
}

// ---- Mappings ----

#[test]
fn the_first_arrow_splits_and_both_ways_begins_with_left_to_right() {
    assert_eq!(map("a.x > b.y"), ["a.x>b.y"]);
    assert_eq!(map("a.x < b.y"), ["b.y>a.x"]);
    assert_eq!(map("a.x<>b.y"), ["a.x>b.y", "b.y>a.x"]);
    assert_eq!(map("a.x >< b.y"), ["a.x>b.y", "b.y>a.x"]);
    let all = ["a.1>b.1", "a.2>b.2", "b.1>a.1", "b.2>a.2"];
    assert_eq!(map("a.{1,2} <> b.{1,2}"), all);
    let loaded = loaded("[rig a]\n[map]\na.x > a.y > a.z\n", &[]);
    assert_eq!(loaded.diagnostics[0].code, "second-arrow");
    assert_eq!(mapped(&loaded.show.expect("a warning only")), ["a.x>a.y > a.z"]);
}

#[test]
fn the_first_dot_splits_and_the_rest_reaches_the_backend() {
    assert_eq!(map("a.x.y.z > b."), ["a.x.y.z>b."]);
    assert_eq!(map("a./p:0 > b. q"), ["a./p:0>b. q"]);
}

#[test]
fn channels_are_requested_source_before_target_for_each_index() {
    map("a.{1..2} > b.{y,x}\nb.z < a.1\na.q <> b.r");
    let calls: Vec<String> =
        asked().into_iter().filter(|item| item.starts_with(['<', '>'])).collect();
    assert_eq!(
        calls,
        [
            ">a.1", "<b.y", ">a.2", "<b.x", // the first line, index by index
            ">a.1", "<b.z", // values go from right to left
            ">a.q", "<b.r", ">b.r", "<a.q", // both ways
        ]
    );
}

#[test]
fn one_channel_is_mapped_onto_many_and_many_onto_one() {
    assert_eq!(map("a.x > b.{1..3}"), ["a.x>b.1", "a.x>b.2", "a.x>b.3"]);
    assert_eq!(map("a.{3..1} > b.x"), ["a.3>b.x", "a.2>b.x", "a.1>b.x"]);
    let all = ["a.l1>b.1", "a.l2>b.2", "a.r1>b.3", "a.r2>b.4"];
    assert_eq!(map("a.{l,r}{1..2} > b.{1..4}"), all);
}

#[test]
fn repeated_pairs_are_mapped_once_and_targets_keep_their_order() {
    let lines = "a.x > b.2\na.x > b.1\nb.2 < a.x\na.x > b.{1..3}\na.x > a.x";
    assert_eq!(map(lines), ["a.x>b.2", "a.x>b.1", "a.x>b.3", "a.x>a.x"]);
}

#[test]
fn channel_counts_that_do_not_match_are_rejected() {
    let loaded = loaded("[rig a]\n[map]\na.{1..3} > a.x{1..2}\n", &[]);
    assert_eq!(
        messages(&loaded),
        ["show.cfg:3:14 `x{1..2}` mismatched-counts: cannot map 3 channels to 2"]
    );
    assert_eq!(loaded.sources.text(loaded.diagnostics[0].secondary[0].span), "{1..3}");
}

#[test]
fn excessive_expansions_are_rejected_before_they_are_computed() {
    let long = "y".repeat(1_000);
    for line in [
        "a.{0..4294967295} > a.x".to_owned(),
        "a.{0..4294967295} > a.{0..4294967295}".to_owned(),
        format!("a.{long}{{1..600000}} > a.x"),
        format!("a.x > a.{}", "{1..1000}".repeat(16)),
    ] {
        let loaded = loaded(&format!("[rig a]\n[map]\n{line}\n"), &[]);
        assert_eq!(loaded.diagnostics[0].code, "too-many-channels", "{line}");
        assert!(asked().iter().all(|call| !call.starts_with(['<', '>'])), "{line}");
    }
}

#[test]
fn diagnostics_are_bounded_and_counted() {
    let mut text = "[rig a]\n".to_owned();
    for index in 0..5_000 {
        text.push_str(&format!("strange{index} = 1\n"));
    }
    let loaded = loaded(&text, &[]);
    assert_eq!(loaded.diagnostics.len() + loaded.suppressed, 5_000);
    assert!(loaded.show.is_none());
}

/// What the mappings of `lines` ask the instances `a` and `b` for: sources, then targets.
fn channels_asked(lines: &str) -> (Vec<String>, Vec<String>) {
    let text = format!("[rig a]\n[rig b]\n[map]\n{lines}\n");
    let loaded = loaded(&text, &[]);
    let messages = loaded.diagnostics.iter().map(|item| format!("{}: {}", item.code, item.message));
    let messages = messages.collect();
    let calls = asked().into_iter().filter(|call| call.starts_with(['<', '>'])).collect();
    (calls, messages)
}

#[test]
fn quoted_channels_take_bars_comments_and_arrows() {
    let (calls, messages) = channels_asked("a.\"x | y\" > b.\"# 1 > 2 ; 3\"");
    assert_eq!(calls, [">a.x | y", "<b.# 1 > 2 ; 3"]);
    assert_eq!(messages, [""; 0]);
    let (calls, _) = channels_asked("a.\"{1..2} |\" > b.\"{x,y}\"");
    assert_eq!(calls, [">a.1 |", "<b.x", ">a.2 |", "<b.y"], "expressions are expanded in quotes");
    let (_, messages) = channels_asked("a.x > b.\"y\" z");
    assert_eq!(messages, ["quoted-channel: unexpected text after a quoted channel"]);
}

#[test]
fn unquoted_channels_keep_midimonsters_meaning_with_a_warning() {
    for (line, calls, message) in [
        ("a.x > b.y ; z", [">a.x", "<b.y ; z"], "no-comment: this is not a comment"),
        ("a.x > b.y # z", [">a.x", "<b.y # z"], "no-comment: this is not a comment"),
        (
            "a.x > b.y | 3",
            [">a.x", "<b.y | 3"],
            "no-stage: this is not a stage: no name follows the `|`",
        ),
    ] {
        let (asked, messages) = channels_asked(line);
        assert_eq!(asked, calls, "{line}");
        assert_eq!(messages, [message], "{line}");
    }
    let (asked, messages) = channels_asked("a.x > b.y|z;1#2");
    assert_eq!((asked.len(), messages.len()), (2, 0), "without blanks nothing is special");
}

#[test]
fn a_bar_and_a_word_are_a_stage() {
    let (_, messages) = channels_asked("a.x > b.y | invret(1)");
    assert_eq!(messages, ["unknown-stage: unknown stage `invret`"]);
}
