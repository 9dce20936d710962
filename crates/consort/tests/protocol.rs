//! The control protocol of a running show: `consort set`, `consort get`, generations,
//! subscriptions, and the client in Python that the book shows.
#![cfg(feature = "default")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Show, WAIT_TIMEOUT, command};

/// A show that forwards `in./a` to `out./b`.
fn start() -> (tempfile::TempDir, Show) {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", ""], |_| {});
    (folder, show)
}

/// A connection to the control socket.
struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    fn connect(folder: &Path, show: &Show) -> Client {
        let path = folder.join(format!("consort/{}.sock", show.child.id()));
        let stream = UnixStream::connect(path).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let lines = BufReader::new(stream.try_clone().expect("a descriptor"));
        Client { stream, lines }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn ask(&mut self, request: &str) -> Value {
        writeln!(self.stream, "{request}").expect("sent");
        self.next()
    }
}

/// Runs the command; its exit status, output and errors.
fn consort(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(folder)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn set_emits_from_a_source_and_delivers_to_a_target() {
    let (folder, show) = start();
    let names = instance_channels(folder.path());
    let (source, target) = (&names[0], &names[1]);
    assert_eq!(consort(folder.path(), &["set", source, "0.625"]), (Some(0), "".into(), "".into()));
    show.receive(0.625);
    assert_eq!(consort(folder.path(), &["get", source]).1, "0.625\n");
    assert_eq!(consort(folder.path(), &["get", target]).1, "0.625\n");
    assert_eq!(consort(folder.path(), &["set", target, "0.875"]).0, Some(0));
    show.receive(0.875);
    assert_eq!(consort(folder.path(), &["get", source]).1, "0.625\n", "the source has not changed");
}

/// The first channel of the first two instances, as one writes them.
fn instance_channels(folder: &Path) -> Vec<String> {
    let (_, out, _) = consort(folder, &["status", "--json"]);
    let shows: Value = serde_json::from_str(&out).expect("JSON");
    let instances = shows[0]["instances"].as_array().expect("instances");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let channel = |instance: &Value| {
        format!("{}.{}", text(&instance["name"]), text(&instance["channels"][0]["name"]))
    };
    instances.iter().map(channel).collect()
}

#[test]
fn invalid_channels_and_values_are_explained() {
    let (folder, _show) = start();
    let names = instance_channels(folder.path());
    let (instance, channel) = names[0].split_once('.').expect("a channel");
    let misspelt = format!("{instance}x.{channel}");
    for (arguments, expected) in [
        (&["set", &names[0], "1.5"][..], "invalid value 1.5: expected a number from 0 to 1"),
        (&["set", "nothing", "0.5"], "expected INSTANCE.CHANNEL"),
        (&["get", &misspelt], "did you mean"),
        (&["get", &format!("{instance}./nowhere")], "no mapping uses"),
        (&["set", &names[0], "0.5", "--as", "target"], "no mapping writes"),
        (&["get", &names[0], "--text"], "has had no text yet"),
    ] {
        let (status, out, error) = consort(folder.path(), arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert_eq!((status, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(error.starts_with("error: "), "{error}");
    }
    let (status, _, error) = consort(folder.path(), &["set", &names[0]]);
    assert!(status == Some(2) && error.contains("VALUE"), "{error}");
}

#[test]
fn requests_of_another_generation_have_no_effect() {
    let (folder, show) = start();
    let mut client = Client::connect(folder.path(), &show);
    let hello = client.ask(r#"{"hello":{"version":2}}"#);
    assert_eq!((&hello["hello"]["version"], &hello["hello"]["generation"]), (&2.into(), &1.into()));
    for request in [
        r#"{"set":{"generation":7,"instance":0,"channel":0,"content":{"value":0.5}}}"#,
        r#"{"get":{"generation":0,"instance":0,"channel":0}}"#,
        r#"{"read":{"generation":2,"log_from":0}}"#,
        r#"{"subscribe":{"generation":2,"interval_ms":50,"log_from":0}}"#,
        r#"{"unmatched":{"generation":2,"instance":0}}"#,
    ] {
        assert_eq!(client.ask(request)["stale"]["generation"], 1, "{request}");
    }
}

/// Asks until the answer is as expected.
fn ask_until(client: &mut Client, request: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let mut answer = Value::Null;
    support::wait_until(request, || {
        answer = client.ask(request);
        fits(&answer)
    });
    answer
}

#[test]
fn mappings_and_layers_are_listed_and_controlled() {
    let folder = tempfile::tempdir().expect("a folder");
    let layers = "[loopback m]\n[map one]\ngroup = g\nm.a > m.x\n\
                  [map two]\ngroup = g\nselect = m.two\nm.a <> m.y | invert | takeover(pickup)\n\
                  [map]\nm.c > m.z | curve(2)\n[osc unused]\nbind = 127.0.0.1 0";
    let show = Show::start(folder.path(), ["", layers], |_| {});
    let mut client = Client::connect(folder.path(), &show);
    let layout = client.ask(r#""layout""#)["layout"].clone();
    assert_eq!(layout["layers"][1], serde_json::json!({"name": "two", "group": "g"}));
    let routes = layout["routes"].as_array().expect("routes").clone();
    let number = |stages: &str, layer: Option<u32>| {
        let is_it = |route: &Value| {
            route["stages"].as_str().unwrap_or_default() == stages
                && route["layer"].as_u64() == layer.map(u64::from)
        };
        routes.iter().position(is_it).expect("the route")
    };
    let curve = number("curve(2)", None);
    number("invert | takeover(pickup)", Some(1));
    let read = r#"{"read":{"generation":1,"log_from":0}}"#;
    assert_eq!(client.ask(read)["reading"]["layers"], serde_json::json!([0]));

    let instance = routes[curve]["source"][0].as_u64().expect("a number");
    let channel = routes[curve]["source"][1].as_u64().expect("a number");
    let send = |value: f64| {
        format!(
            r#"{{"set":{{"generation":1,"instance":{instance},"channel":{channel},"content":{{"value":{value}}}}}}}"#
        )
    };
    assert_eq!(client.ask(&send(0.5)), "done");
    let ask = r#"{"routes":{"generation":1,"first":0}}"#;
    let known = ask_until(&mut client, ask, |answer| answer["routes"][curve]["value"] == 0.25);
    assert_eq!(known["routes"][curve]["raw"], 0.5);
    let mute = |on: bool| {
        let on = format!(r#""route":{curve},"control":"mute","on":{on}"#);
        format!(r#"{{"control_route":{{"generation":1,{on}}}}}"#)
    };
    assert_eq!(client.ask(&mute(true)), "done");
    ask_until(&mut client, ask, |answer| answer["routes"][curve]["muted"] == true);
    assert_eq!(client.ask(&send(1.0)), "done");
    let raw = |answer: &Value| answer["routes"][curve]["raw"] == 1.0;
    assert_eq!(ask_until(&mut client, ask, raw)["routes"][curve]["value"], 0.25, "muted");
    assert_eq!(client.ask(&mute(false)), "done");

    assert_eq!(consort(folder.path(), &["set", "--layer", "two"]).0, Some(0));
    ask_until(&mut client, read, |answer| answer["reading"]["layers"] == serde_json::json!([1]));
    let switch = r#"{"switch_layer":{"generation":1,"layer":0,"on":true}}"#;
    assert_eq!(client.ask(switch), "done");
    ask_until(&mut client, read, |answer| answer["reading"]["layers"] == serde_json::json!([0]));
    for (request, expected) in [
        (r#"{"switch_layer":{"generation":1,"layer":9,"on":true}}"#, "no layer 9"),
        (r#"{"switch_layer":{"generation":1,"layer":0,"on":false}}"#, "another one of the group"),
        (
            r#"{"control_route":{"generation":1,"route":99,"control":"solo","on":true}}"#,
            "mapping 99",
        ),
    ] {
        let error = client.ask(request)["error"].to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(client.ask(r#"{"hold":{"on":true}}"#), "done");
    ask_until(&mut client, read, |answer| answer["reading"]["holding"] == true);
    assert_eq!(client.ask(r#"{"hold":{"on":false}}"#), "done");
    ask_until(&mut client, read, |answer| answer["reading"]["holding"].is_null());
    let (status, _, error) = consort(folder.path(), &["set", "--layer", "tow"]);
    assert!(status == Some(1) && error.contains("did you mean `two`?"), "{error}");
}

#[test]
fn a_subscription_sends_changes_until_it_is_cancelled() {
    let (folder, show) = start();
    let mut client = Client::connect(folder.path(), &show);
    let subscribe =
        r#"{"subscribe":{"generation":1,"interval_ms":1,"log_from":0,"unmatched":true}}"#;
    assert_eq!(client.ask(subscribe)["subscribed"]["interval_ms"], 20, "the shortest interval");
    let first = client.next();
    assert!(first["delta"]["log"].as_array().is_some_and(|log| !log.is_empty()), "{first}");
    show.send(0.125);
    show.send_to("/elsewhere", 0.5);
    let (mut has_value, mut has_unmatched) = (false, false);
    while !(has_value && has_unmatched) {
        let delta = client.next();
        let values = delta["delta"]["values"].as_array().cloned().unwrap_or_default();
        has_value |= values.iter().any(|value| value[1] == 0.125);
        let unmatched = delta["delta"]["unmatched"].to_string();
        has_unmatched |= unmatched.contains("/elsewhere") && unmatched.contains("127.0.0.1:");
    }
    writeln!(client.stream, "\"unsubscribe\"").expect("sent");
    while client.next() != "done" {}
    show.send(0.25);
    assert_eq!(client.ask("\"panic\""), "done", "no delta comes between");
}

#[test]
fn the_books_client_in_python_prints_changes() {
    let (folder, mut show) = start();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/control-protocol.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let program = page.split("```py\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut python = Command::new("python3")
        .args(["-c", program.expect("the program")])
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut lines = BufReader::new(python.stdout.take().expect("piped")).lines();
    let name = instance_channels(folder.path()).remove(0);
    // The subscription begins with all values so far.
    let expected = format!("{name} 0.375");
    let mut sent = 0;
    loop {
        if sent < 200 {
            show.send(0.375);
            sent += 1;
        }
        let line = lines.next().expect("the program runs").expect("text");
        if line == expected {
            break;
        }
    }
    show.child.kill().expect("killed");
    assert!(python.wait().expect("it ends").success(), "the program ends with the show");
}
