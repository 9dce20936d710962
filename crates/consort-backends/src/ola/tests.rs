//! Tests of running instances with a stand-in for olad, which answers as olad 0.10.9 does.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use consort_router::testing::{Performance, TestShow};

use super::DESCRIPTOR;
use super::calls::Dmx;
use super::wire::{Decoder, Fields, Value, kind, put_bytes, put_frame, put_number};

/// A call that the stand-in has received: its name, universe, and slots if it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    name: String,
    universe: u32,
    slots: Vec<u8>,
    priority: u8,
}

/// A stand-in for olad.
struct Olad {
    listener: TcpListener,
    stream: Option<TcpStream>,
    decoder: Decoder,
    /// Universes with their names; others do not exist.
    universes: Vec<(u32, &'static str)>,
    /// What `GetDmx` returns.
    current: Vec<u8>,
    calls: Vec<Call>,
    /// The answers of the show to calls, by their ids.
    answers: BTreeSet<u32>,
}

impl Olad {
    fn new(universes: &[(u32, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        listener.set_nonblocking(true).expect("non-blocking");
        Olad {
            listener,
            stream: None,
            decoder: Decoder::default(),
            universes: universes.to_vec(),
            current: Vec::new(),
            calls: Vec::new(),
            answers: BTreeSet::new(),
        }
    }

    fn host(&self) -> String {
        format!("127.0.0.1 {}", self.listener.local_addr().expect("an address").port())
    }

    fn info(&self, universe: Option<u32>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for (number, name) in &self.universes {
            if universe.is_none_or(|wanted| wanted == *number) {
                let mut one = Vec::new();
                put_number(1, (*number).into(), &mut one);
                put_bytes(2, name.as_bytes(), &mut one);
                put_number(3, 2, &mut one);
                put_bytes(1, &one, &mut body);
            }
        }
        (universe.is_none() || !body.is_empty()).then_some(body)
    }

    /// Accepts a connection, and takes and answers what has arrived.
    fn serve(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).expect("non-blocking");
            self.stream = Some(stream);
            self.decoder.clear();
        }
        let mut buffer = [0; 65_536];
        let mut outgoing = Vec::new();
        while let Some(Ok(count @ 1..)) = self.stream.as_mut().map(|s| s.read(&mut buffer)) {
            self.decoder.push(&buffer[..count]);
            let mut decoder = std::mem::take(&mut self.decoder);
            while let Some(message) = decoder.next().expect("a frame") {
                if message.kind == kind::RESPONSE {
                    self.answers.insert(message.id);
                    continue;
                }
                let name = String::from_utf8(message.name.to_vec()).expect("a name");
                let universe = Fields(message.body).find_map(|field| match field {
                    Ok((1, Value::Number(number))) => Some(number as u32),
                    _ => None,
                });
                let number = universe.unwrap_or(u32::MAX);
                let mut call = Call { name, universe: number, slots: Vec::new(), priority: 0 };
                if call.name.ends_with("DmxData") {
                    let dmx = Dmx::decode(message.body).expect("slots");
                    (call.slots, call.priority) = (dmx.data.to_vec(), dmx.priority);
                }
                if call.name == "RegisterForDmx" && self.info(universe).is_none() {
                    self.universes.push((number, "new"));
                }
                let answer = match (&*call.name, self.info(universe)) {
                    (_, None) => None,
                    ("GetUniverseInfo", info) => info,
                    ("GetDmx", _) => {
                        let mut body = Vec::new();
                        Dmx { universe: number, data: &self.current, priority: 0 }
                            .encode(&mut body);
                        Some(body)
                    }
                    _ => Some(Vec::new()),
                };
                if message.kind == kind::REQUEST {
                    match answer {
                        Some(body) => {
                            put_frame(kind::RESPONSE, message.id, "", &body, &mut outgoing);
                        }
                        None => {
                            let text = b"Universe doesn't exist";
                            put_frame(kind::FAILED, message.id, "", text, &mut outgoing);
                        }
                    }
                }
                self.calls.push(call);
            }
            self.decoder = decoder;
        }
        if let Some(stream) = self.stream.as_mut().filter(|_| !outgoing.is_empty()) {
            stream.write_all(&outgoing).expect("written");
        }
    }

    /// Sends a change of a universe, as olad does.
    fn update(&mut self, id: u32, universe: u32, data: &[u8]) {
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        Dmx { universe, data, priority: 100 }.encode(&mut body);
        put_frame(kind::REQUEST, id, "UpdateDmxData", &body, &mut bytes);
        self.stream.as_mut().expect("a connection").write_all(&bytes).expect("sent");
    }

    /// Turns until the instance is in a state.
    fn until_state(&mut self, show: &mut Performance, instance: &str, word: &str) {
        show.until(&format!("{instance} to be {word}"), |show| {
            self.serve();
            show.state(instance).word() == word
        });
    }

    /// Turns until a frame of a universe begins with these slots; returns the call.
    fn until_frame(&mut self, show: &mut Performance, universe: u32, slots: &[u8]) -> Call {
        let mut found = None;
        show.until(&format!("{slots:?} in universe {universe}"), |_| {
            self.serve();
            let is_it = |call: &&Call| call.universe == universe && call.slots.starts_with(slots);
            found = self.calls.iter().rfind(is_it).cloned();
            found.is_some()
        });
        found.expect("the frame")
    }

    fn names(&self) -> Vec<&str> {
        self.calls.iter().map(|call| &*call.name).collect()
    }
}

/// A show with instances named by their universes: `u7`.
fn show_of(
    host: &str,
    instances: &[(&str, &[(&str, &str)])],
    mappings: &[(&str, &str)],
) -> TestShow {
    let mut show = TestShow::new();
    show.backend(&DESCRIPTOR, &[("host", host)]);
    for (name, options) in instances {
        show.instance(&DESCRIPTOR, name, options);
    }
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

#[test]
fn the_first_frame_is_confirmed_and_the_next_ones_stream() {
    let mut olad = Olad::new(&[(7, "Front")]);
    let options = [("universe", "7"), ("priority", "120"), ("realtime", "on"), ("merge", "ltp")];
    let mappings = [("probe.a", "u7.2"), ("probe.wide", "u7.4+3")];
    let mut show = show_of(&olad.host(), &[("u7", &options)], &mappings).start();
    olad.until_state(&mut show, "u7", "up");
    assert_eq!(olad.names(), ["SetMergeMode", "GetUniverseInfo"], "no registration");
    show.send_all(&[("a", 0.2), ("wide", 0.5)]);
    let first = olad.until_frame(&mut show, 7, &[0, 51, 0, 128, 0]);
    assert_eq!((&*first.name, first.slots.len(), first.priority), ("UpdateDmxData", 512, 120));
    show.send("a", 0.4);
    let next = olad.until_frame(&mut show, 7, &[0, 102, 0, 128, 0]);
    assert_eq!(next.priority, 120);
    show.send("a", 0.6);
    assert_eq!(olad.until_frame(&mut show, 7, &[0, 153]).name, "StreamDmxData");
    // An unchanged frame is repeated, and asks for an answer.
    olad.calls.clear();
    assert_eq!(olad.until_frame(&mut show, 7, &[0, 153]).name, "UpdateDmxData");

    // olad goes and returns.
    olad.stream = None;
    show.until_state("u7", "waiting");
    let reason = show.state("u7").reason().unwrap_or_default().to_owned();
    assert!(reason.contains("lost the connection to 127.0.0.1:"), "{reason}");
    show.send("a", 1.0);
    olad.calls.clear();
    olad.until_state(&mut show, "u7", "up");
    assert_eq!(olad.until_frame(&mut show, 7, &[0, 255, 0, 128]).name, "UpdateDmxData");
    show.send("a", 0.0);
    show.finish();
    olad.until_frame(&mut show, 7, &[0, 0, 0, 128]);
}

#[test]
fn changes_are_emitted_and_answered_and_own_values_are_not_emitted() {
    let mut olad = Olad::new(&[]);
    olad.current = vec![0, 51];
    let mappings = [("u5.1", "probe.one"), ("u5.2", "probe.two"), ("probe.in", "u5.1")];
    let options = [("universe", "5"), ("realtime", "on")];
    let mut show = show_of(&olad.host(), &[("u5", &options)], &mappings).start();
    olad.until_state(&mut show, "u5", "up");
    assert_eq!(olad.names(), ["RegisterForDmx", "GetDmx", "GetUniverseInfo"]);
    let named = |name: &str, value| (name.to_owned(), value);
    assert_eq!(show.receive(1), [named("two", 0.2)], "what olad has; zeros have not moved");
    olad.update(70, 5, &[255, 51, 9]);
    assert_eq!(show.receive(1), [named("one", 1.0)]);
    show.until("the answer", |_| {
        olad.serve();
        olad.answers.contains(&70)
    });
    // Own values come back, the older one late, together with a change of another program.
    show.send("in", 0.2);
    olad.until_frame(&mut show, 5, &[51]);
    show.send("in", 0.4);
    olad.until_frame(&mut show, 5, &[102]);
    olad.update(71, 5, &[51, 51]);
    olad.update(72, 5, &[102, 102]);
    assert_eq!(show.receive(1), [named("two", 0.4)]);
    // A shorter frame leaves the other slots as they are.
    olad.update(73, 5, &[0]);
    assert_eq!(show.receive(1), [named("one", 0.0)]);
    let id = show.id("u5");
    let unmatched = show.router.handle().live().unmatched(id);
    assert_eq!(unmatched.len(), 1);
    assert_eq!(unmatched[0].channel, "3");
}

#[test]
fn universes_that_olad_does_not_have_are_reasons_to_wait() {
    let mut olad = Olad::new(&[(3, "Back"), (4, "Side \u{1}light")]);
    let instances: [(&str, &[(&str, &str)]); 3] = [
        ("u9", &[("universe", "9")]),
        ("named", &[("universe", "Front of house")]),
        ("back", &[("universe", "Back")]),
    ];
    let mappings =
        [("probe.a", "u9.1"), ("probe.a", "named.1"), ("probe.a", "back.1"), ("back.2", "probe.b")];
    let mut show = show_of(&olad.host(), &instances, &mappings).start();
    for name in ["u9", "named"] {
        olad.until_state(&mut show, name, "waiting");
    }
    let reason =
        |show: &Performance, name: &str| show.state(name).reason().unwrap_or_default().to_owned();
    assert!(reason(&show, "u9").contains("no universe 9: patch a port"), "{}", reason(&show, "u9"));
    let text = reason(&show, "named");
    assert!(text.contains("`Front of house`; it has: `Back`, `Side light`"), "{text}");
    olad.until_state(&mut show, "back", "up");
    show.send("a", 1.0);
    olad.until_frame(&mut show, 3, &[255]);
    // They are patched.
    olad.universes.extend([(9, "Nine"), (12, "Front of house")]);
    for name in ["u9", "named"] {
        olad.until_state(&mut show, name, "up");
    }
    olad.until_frame(&mut show, 9, &[255]);
    olad.until_frame(&mut show, 12, &[255]);
    // A universe that is removed while it is sent.
    olad.universes.retain(|(number, _)| *number != 9);
    olad.until_state(&mut show, "u9", "waiting");
    assert_eq!(show.state("back").word(), "up");
}

#[test]
fn what_is_not_olad_is_a_reason_to_wait() {
    let mut olad = Olad::new(&[]);
    let mappings = [("u0.1", "probe.a")];
    let mut show = show_of(&olad.host(), &[("u0", &[])], &mappings).start();
    show.until("the connection", |_| {
        if let Ok((stream, _)) = olad.listener.accept() {
            olad.stream = Some(stream);
        }
        olad.stream.is_some()
    });
    let stream = olad.stream.as_mut().expect("a connection");
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("sent");
    show.until_state("u0", "waiting");
    let reason = show.state("u0").reason().unwrap_or_default().to_owned();
    assert!(reason.contains("not one of olad"), "{reason}");
    olad.stream = None;
    olad.until_state(&mut show, "u0", "up");
}

#[test]
fn a_reload_registers_what_is_read_and_keeps_the_connection() {
    let mut olad = Olad::new(&[(5, "Five")]);
    let options: &[(&str, &str)] = &[("universe", "5"), ("realtime", "on")];
    let host = olad.host();
    let first = [("probe.a", "u5.1")];
    let mut show = show_of(&host, &[("u5", options)], &first).start();
    olad.until_state(&mut show, "u5", "up");
    show.send("a", 1.0);
    olad.until_frame(&mut show, 5, &[255]);
    let calls_of =
        |olad: &Olad, name: &str| olad.names().into_iter().filter(|other| *other == name).count();
    assert_eq!(calls_of(&olad, "RegisterForDmx"), 0);
    let second = [("probe.a", "u5.1"), ("u5.3", "probe.c")];
    let adoption = show.adopt(show_of(&host, &[("u5", options)], &second));
    assert!(adoption.restarted.is_empty(), "{adoption:?}");
    show.until("the registration", |_| {
        olad.serve();
        calls_of(&olad, "RegisterForDmx") == 1
    });
    olad.update(1, 5, &[255, 0, 51]);
    assert_eq!(show.receive(1), [("c".to_owned(), 0.2)]);
    show.adopt(show_of(&host, &[("u5", options)], &first));
    show.until("the end of the registration", |_| {
        olad.serve();
        calls_of(&olad, "RegisterForDmx") == 2
    });
}

#[test]
fn two_instances_of_one_universe_are_an_error() {
    let mut backend = (DESCRIPTOR.create)();
    for name in ["a", "b"] {
        let options =
            consort_router::Options::from_pairs(DESCRIPTOR.instance_options, &[("universe", "3")]);
        let config = consort_router::InstanceConfig {
            name: name.to_owned(),
            options,
            directory: ".".into(),
        };
        let mut problems = consort_router::Problems::new();
        assert!(backend.instance(config, &mut problems).is_some());
    }
    let mut found = Vec::new();
    backend.check(&mut |name, problems| found.push((name.to_owned(), problems.into_vec())));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "b");
    assert!(found[0].1[0].message.contains("`a` is the same universe"), "{found:?}");
}
