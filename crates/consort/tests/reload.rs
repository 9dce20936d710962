//! `consort reload`, SIGHUP, and reloads over the control protocol, on running shows.
#![cfg(feature = "default")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Show, WAIT_TIMEOUT, clean_up, command, lacks_python, wait_until};

fn start() -> (tempfile::TempDir, Show) {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", ""], |_| {});
    (folder, show)
}

/// Runs `consort reload`.
fn reload(folder: &Path, arguments: &[&str]) -> Output {
    let mut reload = command(folder);
    reload.arg("reload").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    reload.output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `consort reload --json`, which must succeed.
fn reloaded(folder: &Path, arguments: &[&str]) -> Value {
    let output = reload(folder, &[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Changes the configuration of the show.
fn edit(folder: &Path, change: impl FnOnce(String) -> String) -> String {
    let file = folder.join("show.cfg");
    let before = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, change(before.clone())).expect("written");
    before
}

/// A connection to the control socket.
fn connect(folder: &Path, show: &Show) -> UnixStream {
    let path = folder.join(format!("consort/{}.sock", show.child.id()));
    let stream = UnixStream::connect(path).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    stream
}

fn ask(stream: &UnixStream, request: &Value) -> Value {
    writeln!(&*stream, "{request}").expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).expect("JSON")
}

fn generation(stream: &UnixStream) -> u64 {
    ask(stream, &json!("layout"))["layout"]["generation"].as_u64().expect("a number")
}

#[test]
fn an_edit_is_loaded_and_only_what_changed_restarts() {
    let (folder, mut show) = start();
    let folder = folder.path();
    let more = "in./a > extra.x\nextra.x > out./c\n[loopback extra]\n";
    edit(folder, |text| text + more);
    let dry = reload(folder, &["--dry-run"]);
    let printed = text(&dry.stdout);
    assert!(dry.status.success(), "{printed}{}", text(&dry.stderr));
    for line in ["kept      in", "kept      out", "opened    extra", "added     in./a > extra.x"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    assert!(printed.contains("nothing was changed"), "{printed}");
    assert_eq!(generation(&connect(folder, &show)), 1);

    let process = show.child.id().to_string();
    let done = reloaded(folder, &[&process]);
    assert_eq!(done["adopted"], json!(["in", "out"]));
    assert_eq!(done["opened"], json!(["extra"]));
    assert_eq!(done["added_mappings"], json!(["in./a > extra.x", "extra.x > out./c"]));
    assert_eq!((&done["restarted"], &done["removed_mappings"]), (&json!([]), &json!([])));
    assert_eq!(generation(&connect(folder, &show)), 2);
    show.routes();

    // An option that needs a restart, and a renamed instance.
    edit(folder, |text| {
        text.replace("extra", "other").replace("bind = 127.0.0.1", "bind = 0.0.0.0")
    });
    let done = reloaded(folder, &["show.cfg"]);
    assert_eq!(done["adopted"], json!(["out"]), "{done}");
    assert_eq!(done["restarted"][0]["name"], "in");
    assert_eq!((&done["closed"], &done["opened"]), (&json!(["extra"]), &json!(["other"])));
    show.routes();

    // Back one step, and forth again.
    assert_eq!(reloaded(folder, &["--back"])["opened"], json!(["extra"]));
    assert_eq!(reloaded(folder, &["--back"])["opened"], json!(["other"]));
    show.routes();
}

#[test]
fn errors_change_nothing() {
    let (folder, mut show) = start();
    let folder = folder.path();
    let back = reload(folder, &["--back"]);
    assert_eq!(back.status.code(), Some(1));
    assert!(text(&back.stderr).contains("has not been reloaded yet"), "{}", text(&back.stderr));
    let before = edit(folder, |text| text + "in./a > nobody.x\n[osc other]\nbnd = 1\n");
    for arguments in [&[][..], &["--dry-run"], &["--json"]] {
        let refused = reload(folder, arguments);
        let printed = text(&refused.stdout) + &text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{printed}");
        for part in ["show.cfg", "nobody", "unknown-option"] {
            assert!(printed.contains(part), "{arguments:?}: {part}: {printed}");
        }
    }
    let stream = connect(folder, &show);
    assert_eq!(generation(&stream), 1);
    let log = ask(&stream, &json!({"read": {"generation": 1, "log_from": 0}}));
    let log = log["reading"]["log"].to_string();
    assert!(
        log.contains("not reloaded: 2 errors") && log.contains("show.cfg:9:9: unknown instance"),
        "{log}"
    );
    show.routes();
    std::fs::write(folder.join("show.cfg"), before).expect("written");
    let done = reloaded(folder, &[]);
    assert_eq!(done["adopted"], json!(["in", "out"]), "what did not change keeps running");
    let unknown = reload(folder, &["nothing.cfg"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("nothing.cfg"), "{}", text(&unknown.stderr));
}

#[test]
fn a_text_that_is_not_saved_is_tried_over_the_protocol() {
    let (folder, mut show) = start();
    let folder = folder.path();
    let stream = connect(folder, &show);
    let saved = std::fs::read_to_string(folder.join("show.cfg")).expect("a configuration");
    // Longer than what is read at a time.
    let tried = format!("{saved}in./a > out./c\n; {}\n", "x".repeat(100_000));
    let request = |text: &str, dry_run: bool| {
        let texts = [json!({"path": "show.cfg", "text": text})];
        json!({"reload": {"texts": texts, "dry_run": dry_run}})
    };
    let subscriber = connect(folder, &show);
    let subscribe = json!({"subscribe": {"generation": 1, "interval_ms": 20, "log_from": 0}});
    assert!(ask(&subscriber, &subscribe).get("subscribed").is_some());
    let dry = ask(&stream, &request(&tried, true));
    assert_eq!(dry["reloaded"]["added_mappings"], json!(["in./a > out./c"]), "{dry}");
    assert_eq!(generation(&stream), 1);
    let done = ask(&stream, &request(&tried, false));
    assert_eq!(done["reloaded"]["generation"], 2, "{done}");
    // The views are notified.
    let mut lines = BufReader::new(&subscriber).lines();
    wait_until("the subscriber is notified", || {
        let line = lines.next().expect("a line").expect("a line");
        line == r#"{"stale":{"generation":2}}"#
    });
    let refused = ask(&stream, &request("[osc in]\nbnd = 1\n", false));
    let first = &refused["rejected"]["diagnostics"][0];
    assert_eq!((&first["code"], &first["line"]), (&json!("unknown-option"), &json!(2)));
    show.routes();
    // The file is the same as before.
    assert_eq!(std::fs::read_to_string(folder.join("show.cfg")).expect("read"), saved);
    assert_eq!(reloaded(folder, &[])["removed_mappings"], json!(["in./a > out./c"]));
}

#[test]
fn a_hang_up_reloads_a_service_and_ends_other_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let manager = UnixDatagram::bind(folder.join("notify")).expect("a socket");
    let path = folder.join("notify");
    let mut show = Show::start(folder, ["", ""], |run| {
        run.env("NOTIFY_SOCKET", &path);
        reset_hang_up(run);
    });
    edit(folder, |text| text + "in./a > out./c\n");
    show.signal("HUP");
    wait_until("the show is reloaded", || generation(&connect(folder, &show)) == 2);
    show.routes();
    show.signal("TERM");
    assert!(show.wait().success());
    drop(manager);
    let mut show = Show::start(folder, ["", ""], reset_hang_up);
    show.signal("HUP");
    assert!(show.wait().success(), "as a terminal that is closed");
}

/// Under nohup the tests ignore SIGHUP, and the command would inherit that.
fn reset_hang_up(run: &mut std::process::Command) {
    let mut reset = std::process::Command::new("env");
    reset.arg("--default-signal=HUP").arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        if let Some(value) = value {
            reset.env(name, value);
        }
    }
    if let Some(folder) = run.get_current_dir() {
        reset.current_dir(folder);
    }
    reset.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    *run = reset;
}

#[test]
fn a_script_that_changed_restarts_after_its_last_output() {
    if lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut show = Show::start(folder, clean_up(folder, "pass"), |_| {});
    let stream = connect(folder, &show);
    wait_until("the script is loaded", || {
        let generation = generation(&stream);
        let reading = ask(&stream, &json!({"read": {"generation": generation, "log_from": 0}}));
        let instances = reading["reading"]["instances"].as_array().cloned().unwrap_or_default();
        instances.iter().all(|instance| instance["state"] == "up")
    });
    let dry = reloaded(folder, &["--dry-run"]);
    assert_eq!(dry["restarted"], json!([]), "{dry}");
    let script = std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "py"))
        .expect("a script");
    let source = std::fs::read_to_string(&script).expect("a script");
    std::fs::write(&script, source + "\n# changed\n").expect("written");
    let done = reloaded(folder, &[]);
    let reason = done["restarted"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.ends_with(".py changed"), "{done}");
    show.routes();
    let dry = reloaded(folder, &["--dry-run"]);
    assert_eq!(dry["restarted"], json!([]), "it is loaded again: {dry}");
}

#[test]
fn a_watched_show_follows_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut show = Show::start(folder, ["", ""], |run| {
        run.arg("--watch");
    });
    let stream = connect(folder, &show);
    let routes = |expected: usize| {
        let what = format!("{expected} routes");
        wait_until(&what, || {
            let layout = ask(&stream, &json!("layout"));
            layout["layout"]["routes"].as_array().map(Vec::len) == Some(expected)
        });
    };
    let file = folder.join("show.cfg");
    let saved = std::fs::read_to_string(&file).expect("a configuration");
    // An editor that replaces the file, and an include.
    std::fs::write(folder.join("more.cfg"), "[map]\nin./a > out./c\n").expect("written");
    std::fs::write(folder.join("show.cfg.new"), format!("{saved}[include more.cfg]\n"))
        .expect("written");
    std::fs::rename(folder.join("show.cfg.new"), &file).expect("renamed");
    routes(2);
    // The include changes.
    std::fs::write(folder.join("more.cfg"), "[map]\nin./a > out./c\nin./a > out./d\n")
        .expect("written");
    routes(3);
    // An editor that truncates the file, and writes it in parts.
    let before = generation(&stream);
    let begun = Instant::now();
    let mut half = std::fs::File::create(&file).expect("truncated");
    let (first, second) = saved.split_at(saved.len() / 2);
    half.write_all(first.as_bytes()).expect("written");
    half.sync_all().expect("written");
    half.write_all(second.as_bytes()).expect("written");
    drop(half);
    // A file that is left half written for 5 seconds is loaded.
    let is_at_once = begun.elapsed() < Duration::from_secs(4);
    routes(1);
    if is_at_once {
        assert_eq!(generation(&stream), before + 1, "half of a file is not loaded");
    }
    // Errors change nothing, and the next edit is loaded.
    std::fs::write(&file, format!("{saved}in./a > nobody.x\n")).expect("written");
    wait_until("the error is logged", || {
        let generation = generation(&stream);
        let log = ask(&stream, &json!({"read": {"generation": generation, "log_from": 0}}));
        log["reading"]["log"].to_string().contains("not reloaded: 1 error")
    });
    show.routes();
    std::fs::write(&file, format!("{saved}in./a > out./e\nin./a > out./f\n")).expect("written");
    routes(3);
    show.routes();
}

#[test]
fn a_watched_show_loads_a_script_again() {
    if lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let script = folder.join("answer.py");
    let more =
        "[python script]\nmodule = answer\n[map]\nin./a > script.answer.turn\nscript.out > out./d";
    std::fs::write(&script, "import midimonster\ndef turn(value):\n    syntax error\n")
        .expect("written");
    let show = Show::start(folder, ["", more], |run| {
        run.arg("--watch");
    });
    let stream = connect(folder, &show);
    let state = |wanted: &str| {
        wait_until(wanted, || {
            let generation = generation(&stream);
            let reading = ask(&stream, &json!({"read": {"generation": generation, "log_from": 0}}));
            let instances = reading["reading"]["instances"].as_array().cloned();
            instances.unwrap_or_default().iter().any(|instance| instance["state"] == wanted)
        });
    };
    state("failed");
    let fixed = "import midimonster\nimport helper\ndef turn(value):\n    midimonster.output('out', helper.VALUE)\n";
    std::fs::write(folder.join("helper.py"), "VALUE = 0.25\n").expect("written");
    std::fs::write(&script, fixed).expect("written");
    let answers = |wanted: f64| {
        wait_until("the answer", || {
            show.send(0.75);
            let layout = ask(&stream, &json!("layout"));
            let generation = layout["layout"]["generation"].clone();
            let instances = layout["layout"]["instances"].as_array().cloned().unwrap_or_default();
            let Some(number) = instances.iter().position(|entry| entry["name"] == "script") else {
                return false;
            };
            let channels = instances[number]["channels"].as_array().cloned().unwrap_or_default();
            let channel = channels.iter().position(|channel| channel["name"] == "out");
            let get = json!({"get": {
                "generation": generation, "instance": number, "channel": channel}});
            ask(&stream, &get)["value"]["value"] == json!(wanted)
        });
    };
    answers(0.25);
    // A module that the script has imported.
    std::fs::write(folder.join("helper.py"), "VALUE = 0.5\n").expect("written");
    answers(0.5);
}
