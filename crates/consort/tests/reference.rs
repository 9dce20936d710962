//! Checks that docs/backends/ and docs/ugens.md are what the command generates.
//!
//! After a change of a backend's descriptor or of the UGen table,
//! `UPDATE_DOCS=1 cargo test -p consort --test reference` updates them.
#![cfg(feature = "default")]

use std::path::Path;

use assert_cmd::Command;
use consort_backends::BACKENDS;
use consort_router::config::{UNAVAILABLE, known_backends};
use consort_router::stage::{STAGES, StageKind};

fn consort(arguments: &[&str]) -> (Option<i32>, String, String) {
    command(&["backends"], arguments)
}

fn ugens(arguments: &[&str]) -> (Option<i32>, String, String) {
    command(&["sc", "ugens"], arguments)
}

fn command(name: &[&str], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("consort"));
    let output = command.args(name).args(arguments).output().expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_pages_of_the_backends_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/backends");
    let mut pages = vec![("README.md".to_owned(), consort(&["--format", "markdown"]).1)];
    for backend in BACKENDS {
        let page = consort(&[backend.name, "--format", "markdown"]).1;
        pages.push((format!("{}.md", backend.name), page));
    }
    for (name, page) in &pages {
        assert_current(&folder.join(name), page);
    }
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(pages.iter().any(|(page, _)| *page == name), "{name} belongs to no backend");
    }
}

/// Compares a page with the output of the command; with `UPDATE_DOCS`, updates it first.
fn assert_current(path: &Path, page: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, page).expect("a page");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let advice = "UPDATE_DOCS=1 cargo test -p consort --test reference";
    assert!(kept == page, "{} is out of date; run: {advice}", path.display());
}

/// The sentences about MIDIMonster's backends, from the registry.
fn midimonster_backends() -> String {
    // These are Consort's own.
    let is_own = |name: &str| ["dmxusb", "sc", "web"].contains(&name);
    let available: Vec<String> = BACKENDS
        .iter()
        .filter(|backend| !is_own(backend.name))
        .map(|backend| format!("`{}`", backend.name))
        .collect();
    let missing: Vec<String> = UNAVAILABLE
        .iter()
        .map(|(name, substitute)| match substitute {
            Some(substitute) => format!("`{name}` (use `{substitute}`)"),
            None => format!("`{name}`"),
        })
        .collect();
    format!(
        "Of MIDIMonster's backends, Consort has {}.\nIt does not have {}.\n",
        available.join(", "),
        missing.join(", ")
    )
}

#[test]
fn the_readme_and_the_guide_name_the_backends_of_midimonster() {
    let (begin, end) = ("<!-- generated: MIDIMonster's backends -->\n", "<!-- end -->\n");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["README.md", "docs/coming-from-midimonster.md"] {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).expect("a page");
        let (before, rest) = text.split_once(begin).expect("the beginning of the list");
        let (_, after) = rest.split_once(end).expect("the end of the list");
        assert_current(&path, &format!("{before}{begin}{}{end}{after}", midimonster_backends()));
    }
}

#[test]
fn every_backend_can_be_left_out_and_none_is_called_unavailable() {
    let known: Vec<&str> = known_backends().collect();
    for backend in BACKENDS {
        assert!(known.contains(&backend.name), "config/absent.rs does not know {}", backend.name);
        assert!(UNAVAILABLE.iter().all(|(name, _)| *name != backend.name), "{}", backend.name);
    }
    for name in known {
        let is_unavailable = UNAVAILABLE.iter().any(|(unavailable, _)| *unavailable == name);
        let is_available = BACKENDS.iter().any(|backend| backend.name == name);
        assert!(is_unavailable != is_available, "{name}");
    }
    for (_, substitute) in UNAVAILABLE {
        assert!(substitute.is_none_or(|name| BACKENDS.iter().any(|entry| entry.name == name)));
    }
}

#[test]
fn the_page_of_ugens_is_current() {
    let (status, page, _) = ugens(&["--format", "markdown"]);
    assert_eq!(status, Some(0));
    for name in ["SinOsc", "EnvGen", "PV_MagAbove", "FreeVerb2"] {
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not on the page");
    }
    assert!(page.lines().filter(|line| line.starts_with("| `")).count() > 350);
    assert_current(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ugens.md"), &page);
}

#[test]
fn the_page_of_stages_and_its_curves_are_current() {
    let (status, page, _) = command(&["stages"], &["--format", "markdown"]);
    assert_eq!(status, Some(0));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    assert_current(&docs.join("stages.md"), &page);
    for spec in STAGES {
        assert!(page.contains(&format!("### `{}`", spec.signature())), "{}", spec.name);
        let (status, text, _) = command(&["stages"], &[spec.name]);
        assert_eq!(status, Some(0));
        assert!(text.contains(spec.example), "{text}");
        let (status, picture, _) = command(&["stages"], &[spec.name, "--format", "svg"]);
        let is_shape = spec.kind == StageKind::Shape;
        assert_eq!(status, Some(if is_shape { 0 } else { 1 }), "{}", spec.name);
        if is_shape {
            assert!(picture.contains("<polyline"), "{picture}");
            assert_current(&docs.join(format!("pictures/stages/{}.svg", spec.name)), &picture);
        }
    }
}

#[test]
fn stages_are_listed_as_text_and_as_json() {
    let (_, list, _) = command(&["stages"], &[]);
    let (status, json, _) = command(&["stages"], &["--format", "json"]);
    assert_eq!(status, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json.as_array().expect("a list").len(), STAGES.len());
    for (spec, entry) in STAGES.iter().zip(json.as_array().expect("a list")) {
        assert!(list.contains(&spec.signature()), "{list}");
        assert_eq!(entry["name"], spec.name);
        assert_eq!(entry["arguments"].as_array().expect("a list").len(), spec.arguments.len());
    }
    let (status, _, error) = command(&["stages"], &["invret"]);
    assert_eq!(status, Some(1));
    assert!(error.contains("did you mean `invert`?"), "{error}");
}

#[test]
fn a_ugen_is_described_and_an_unknown_one_gets_a_hint() {
    let (status, page, _) = ugens(&["SinOsc"]);
    assert_eq!(status, Some(0));
    let expected = "SinOsc: Sine oscillator; the phase is in radians.\n\n  rates    ar, kr\n  \
                    outputs  1\n  note     removed if its output is unused\n\nInputs in \
                    server order\n\n  frequency  440\n  phase      0\n";
    assert_eq!(page, expected);
    let (status, out, error) = ugens(&["sinosk"]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.starts_with("error: unknown UGen `sinosk`"), "{error}");
    assert!(error.ends_with("\nhint: did you mean `SinOsc`?\n"), "{error}");
    let list = ugens(&[]).1;
    assert!(list.contains("Oscillators\n\n") && list.contains("  SinOsc "), "{list}");
    assert!(list.contains("  hyperbolic_tangent, tanh"), "{list}");
    let (status, page, _) = ugens(&["tanh"]);
    let expected = "a.hyperbolic_tangent(), a.tanh(): Hyperbolic tangent, a smooth distortion.\n";
    assert_eq!((status, page.as_str()), (Some(0), expected));
    assert_eq!(ugens(&["lt"]).1, "a.less_than(b), a.lt(b): One where `a < b`, else zero.\n");
    assert!(ugens(&["linlin"]).1.starts_with("a.linlin(input_low, input_high, output_low, "));
    let (status, _, error) = ugens(&["midicsp"]);
    assert!(status == Some(1) && error.contains("did you mean `midicps`?"), "{error}");
}

#[test]
fn pages_name_every_option_and_form_of_channel() {
    let (status, list, _) = consort(&[]);
    assert_eq!(status, Some(0));
    for backend in BACKENDS {
        assert!(list.contains(backend.name) && list.contains(backend.summary), "{list}");
        for format in ["text", "markdown"] {
            let (_, page, _) = consort(&[backend.name, "--format", format]);
            let options = backend.options.iter().chain(backend.instance_options);
            for option in options {
                assert!(page.contains(option.name), "{}: {}", backend.name, option.name);
            }
            for form in backend.channels {
                assert!(page.contains(form.syntax), "{}: {}", backend.name, form.syntax);
            }
            if format == "text" {
                let long = page.lines().filter(|line| !line.starts_with("  "));
                assert!(long.clone().all(|line| line.chars().count() <= 100), "{page}");
            }
        }
    }
}

#[test]
fn paragraphs_are_filled_to_the_page_width() {
    let (_, page, _) = consort(&["python"]);
    for words in [
        "Runs Python 3 scripts. Every instance has its own interpreter, in its own\nprocess, with the modules of its `module` options.",
        "\n- A script never blocks the show. Handlers may sleep and use `threading`. A\n  queue holds 65,536 values for a slow script;",
        "\n| `current()` | the channel whose handler is running, otherwise `None` |\n",
    ] {
        assert!(page.contains(words), "no `{words}` in:\n{page}");
    }
}

#[test]
fn an_unknown_backend_gets_a_hint() {
    let (status, out, error) = consort(&["ocs"]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.contains("did you mean `osc`?"), "{error}");
    assert!(consort(&["atem"]).2.contains("MIDIMonster's backend `atem` is not available"));
}
