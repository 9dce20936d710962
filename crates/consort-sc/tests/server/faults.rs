//! Faults of Supriya and other clients, each with a case that shows that this crate is free of it.

use std::time::Duration;

use consort_sc::*;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("faults::verbosity", verbosity),
    ("faults::an_error_inside_a_moment_sends_nothing", an_error_inside_a_moment_sends_nothing),
    ("faults::a_moment_above_64_kib", a_moment_above_64_kib),
    ("faults::interleaved_and_nested_moments", interleaved_and_nested_moments),
    ("faults::a_second_clients_mirror_is_seeded", a_second_clients_mirror_is_seeded),
    ("faults::reset_leaves_others_alone", reset_leaves_others_alone),
    ("faults::permanent_ids_of_every_client_come_back", permanent_ids_of_every_client_come_back),
    ("faults::disconnecting_logs_out", disconnecting_logs_out),
    ("faults::lost_connections_use_up_no_logins", lost_connections_use_up_no_logins),
    ("faults::ids_are_divided_by_the_reported_logins", ids_are_divided_by_the_reported_logins),
    ("faults::a_replaced_node_leaves_the_mirror", a_replaced_node_leaves_the_mirror),
    ("faults::one_buffer_of_a_group", one_buffer_of_a_group),
    ("faults::contains", contains),
    ("faults::shared_memory_for_others", shared_memory_for_others),
    ("faults::a_stale_shared_memory_file", a_stale_shared_memory_file),
    ("faults::ten_thousand_a_second", ten_thousand_a_second),
];

fn verbosity() {
    for verbosity in [-1, 1] {
        let server = booted_with(Options { verbosity, ..options() });
        server.sync().unwrap();
    }
}

fn an_error_inside_a_moment_sends_nothing() {
    let server = booted();
    let capture = server.capture();
    let sent = |capture: &Capture| {
        let sent = |packet: &CapturedPacket| {
            packet.direction == Direction::Sent && !packet.to_string().contains("/status")
        };
        capture.take().iter().filter(|packet| sent(packet)).count()
    };
    let error = server
        .at_once(None, |moment| {
            moment.add_group(Placement::default())?;
            moment.add_bus(CalculationRate::Control)?;
            moment.add_buffer(BufferContent::empty(1, 1))?;
            moment.add_group(Placement::default().permanent())?;
            moment.add_buffer(BufferContent::empty(0, 0)).map(|_| ())
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(sent(&capture), 0);
    // The ids that the moment allocated are free again.
    assert_eq!(server.add_bus(CalculationRate::Control).unwrap().id(), 0);
    assert_eq!(server.add_buffer(BufferContent::empty(1, 1)).unwrap().id(), 0);
    assert_eq!(server.add_group(Placement::default().permanent()).unwrap().id(), 2);
    // A moment that is dropped by a panic sends nothing either.
    capture.take();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let moment = server.at(None).unwrap();
        moment.add_group(Placement::default()).unwrap();
        panic!("expected in this test");
    }));
    assert!(panicked.is_err());
    assert_eq!(sent(&capture), 0);
    // A reply that is awaited from a moment that cannot be sent ends with an error.
    let moment = server.at(None).unwrap();
    let info = moment.ask_node(1).unwrap();
    server.quit().unwrap();
    assert_eq!(moment.send().unwrap_err().kind(), ErrorKind::ServerOffline);
    assert_eq!(info.wait().unwrap_err().kind(), ErrorKind::ServerOffline);
    server.boot().unwrap();
    // A moment that was sent accepts no more requests.
    let moment = server.at(None).unwrap();
    let kept: Context = (*moment).clone();
    moment.send().unwrap();
    assert_eq!(kept.do_nothing().unwrap_err().kind(), ErrorKind::MomentClosed);
}

fn a_moment_above_64_kib() {
    let server = booted();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let group = server.add_group(Placement::default()).unwrap();
    let capture = server.capture();
    server
        .at_once(None, |moment| {
            for value in 0..3000 {
                moment.set_node(&group, [("amplitude", value)])?;
            }
            moment.set_bus(&bus, 1.0)
        })
        .unwrap();
    assert_eq!(server.get_bus(&bus).unwrap(), 1.0);
    let sizes: Vec<usize> = capture
        .take()
        .iter()
        .filter(|packet| packet.direction == Direction::Sent)
        .map(|packet| packet.bytes.len())
        .collect();
    assert!(sizes.iter().sum::<usize>() > 65_507, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 65_507), "{sizes:?}");
}

fn interleaved_and_nested_moments() {
    let server = booted();
    let one = server.at(None).unwrap();
    let two = server.at(None).unwrap();
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        ones.push(one.add_group(AddAction::ToTail).unwrap());
        twos.push(two.add_group(AddAction::ToTail).unwrap());
        // A nested moment is independent.
        one.at_once(None, |inner| inner.do_nothing()).unwrap();
    }
    two.send().unwrap();
    server.sync().unwrap();
    assert!(twos.iter().all(Group::is_allocated) && !ones.iter().any(Group::is_allocated));
    one.send().unwrap();
    server.sync().unwrap();
    assert!(ones.iter().all(Group::is_allocated));
    // From many threads at once.
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let server = server.clone();
            std::thread::spawn(move || {
                server.at_once(None, |moment| {
                    (0..20).map(|_| moment.add_group(AddAction::ToTail)).collect::<Result<Vec<_>>>()
                })
            })
        })
        .collect();
    let groups: Vec<Group> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap().unwrap()).collect();
    server.sync().unwrap();
    assert_eq!(groups.iter().filter(|group| group.is_allocated()).count(), 160);
}

/// An owner and a second client.
fn owner_and_client() -> (Server, Server) {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let client = connected(&owner);
    (owner, client)
}

fn a_second_clients_mirror_is_seeded() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let tone = tone();
    owner.add_synthdefs([&tone]).unwrap();
    owner.sync().unwrap();
    let group = owner.add_group(Placement::default()).unwrap();
    owner.add_synth(&tone, &group, NO_SETTINGS).unwrap();
    owner.sync().unwrap();
    let client = connected(&owner);
    let seen: Vec<i32> = client.root_node().children().iter().map(Node::id).collect();
    assert_eq!(seen, [1, 2]);
    let Node::Group(first) = &client.root_node().children()[0] else { panic!("expected a group") };
    let Node::Group(inner) = &first.children()[0] else { panic!("expected a group") };
    assert_eq!(inner.children().iter().map(Node::id).collect::<Vec<_>>(), [1001]);
}

fn reset_leaves_others_alone() {
    let (owner, client) = owner_and_client();
    let tone = tone();
    owner.add_synthdefs([&tone]).unwrap();
    owner.sync().unwrap();
    let owners_synth = owner.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let own = client.add_synth("tone", AddAction::ToHead, NO_SETTINGS).unwrap();
    let elsewhere = client.add_group(Placement::new(AddAction::ToTail, 0)).unwrap();
    let buffer = client.add_buffer(BufferContent::empty(1, 8)).unwrap();
    client.sync().unwrap();
    client.reset().unwrap();
    owner.sync().unwrap();
    assert!(owners_synth.is_allocated() && owner.default_group().is_allocated());
    assert!(!own.is_allocated() && !elsewhere.is_allocated() && !buffer.is_allocated());
    assert!(client.default_group().is_allocated());
    assert_eq!(client.add_buffer(BufferContent::empty(1, 8)).unwrap().id(), buffer.id());
    owner.reset().unwrap();
    assert!(!owners_synth.is_allocated() && owner.default_group().is_allocated());
    client.sync().unwrap();
    assert!(client.default_group().is_allocated());
}

fn permanent_ids_of_every_client_come_back() {
    let (_owner, client) = owner_and_client();
    let first = client.add_group(Placement::default().permanent()).unwrap();
    assert_eq!(first.id(), (1 << 26) + 1);
    client.sync().unwrap();
    first.free(false).unwrap();
    client.sync().unwrap();
    let again = client.add_group(Placement::default().permanent()).unwrap();
    assert_eq!(again.id(), first.id());
}

fn disconnecting_logs_out() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    // scsynth accepts two clients; each of five in turn gets the same login.
    for _ in 0..5 {
        let client = connected(&owner);
        assert_eq!(client.client_id(), 1);
        client.sync().unwrap();
        client.disconnect().unwrap();
        client.connect().unwrap();
        client.disconnect().unwrap();
    }
}

/// The network fails for a while. The server keeps the login, and the same client connects again.
fn lost_connections_use_up_no_logins() {
    let server = booted_with(Options { maximum_logins: 2, ..options() });
    let process = server.process_id().unwrap();
    let timeouts =
        Timeouts { connect: WAIT_TIMEOUT, request: WAIT_TIMEOUT, ..crate::lifecycle::quick() };
    let options = Options { maximum_logins: 8, ..server.options() };
    let client = Server::with_timeouts(options, None, timeouts).unwrap();
    client.connect().unwrap();
    let range = |client: &Server| {
        let bus = client.add_bus(CalculationRate::Control).unwrap();
        (client.client_id(), client.maximum_logins(), bus.id())
    };
    let first = range(&client);
    client.add_group(Placement::default()).unwrap();
    let mut groups = 1;
    for _ in 0..4 {
        stop(process);
        eventually("the connection is lost", || client.boot_status() == BootStatus::Offline);
        resume(process);
        client.connect().unwrap();
        // The nodes from before still exist, and new nodes do not use their ids.
        client.add_group(Placement::default()).unwrap();
        groups += 1;
        client.sync().unwrap();
        assert_eq!(
            client.query_tree(&client.default_group(), false).unwrap().children.len(),
            groups
        );
        // With another number of logins its ids would overlap with those of other clients.
        assert_eq!(range(&client), first);
        client.sync().unwrap();
    }
    client.disconnect().unwrap();
    let other = connected(&server);
    other.sync().unwrap();
}

fn ids_are_divided_by_the_reported_logins() {
    // scsynth 3.13 rounds three logins up to four.
    let owner = booted_with(Options { maximum_logins: 3, ..options() });
    assert_eq!(owner.maximum_logins(), 4);
    let clients: Vec<Server> = (0..3).map(|_| connected(&owner)).collect();
    let last = clients.last().unwrap();
    assert_eq!(last.client_id(), 3);
    let group = last.add_bus_group(CalculationRate::Control, 4096).unwrap();
    assert_eq!((group.id(), group.len()), (3 * 4096, 4096));
    let bus = group.get(4095).unwrap();
    bus.set(0.5).unwrap();
    assert_eq!(last.get_bus(&bus).unwrap(), 0.5);
    assert!(last.default_group().is_allocated());
}

fn a_replaced_node_leaves_the_mirror() {
    let (owner, client) = owner_and_client();
    let tone = tone();
    owner.add_synthdefs([&tone]).unwrap();
    owner.sync().unwrap();
    let group = owner.add_group(Placement::default()).unwrap();
    let synths: Vec<Synth> = (0..3)
        .map(|_| owner.add_synth(&tone, (AddAction::ToTail, &group), NO_SETTINGS).unwrap())
        .collect();
    let new = owner.add_synth(&tone, (AddAction::Replace, &synths[1]), NO_SETTINGS).unwrap();
    owner.sync().unwrap();
    client.sync().unwrap();
    assert!(!synths[1].is_allocated() && new.is_allocated());
    let ids: Vec<i32> = group.children().iter().map(Node::id).collect();
    assert_eq!(ids, [synths[0].id(), new.id(), synths[2].id()]);
    // The other client, which did not request the replacement, has the same mirror.
    let tree = client.query_tree(group.id(), false).unwrap();
    assert_eq!(tree.children.iter().map(QueryTreeNode::id).collect::<Vec<_>>(), ids);
    let Node::Group(first) = &client.root_node().children()[0] else { panic!("expected a group") };
    let Node::Group(seen) = &first.children()[0] else { panic!("expected a group") };
    assert_eq!(seen.children().iter().map(Node::id).collect::<Vec<_>>(), ids);
    assert!(!client.is_mirror_stale());
}

fn one_buffer_of_a_group() {
    let server = booted();
    let group = server.add_buffer_group(4, 1, 16).unwrap();
    server.sync().unwrap();
    group.get(0).unwrap().free().unwrap();
    server.sync().unwrap();
    assert!(!group.get(0).unwrap().is_allocated());
    // Before the end of the group no two consecutive buffers are free.
    let pair = server.add_buffer_group(2, 1, 16).unwrap();
    assert_eq!(pair.id(), group.id() + 4);
    assert_eq!(server.add_buffer(BufferContent::empty(1, 16)).unwrap().id(), group.id());
    assert!(group.contains(&group.get(3).unwrap()) && !group.contains(&pair.get(0).unwrap()));
}

fn contains() {
    let server = booted_with(Options {
        audio_bus_channel_count: 32,
        control_bus_channel_count: 4096,
        ..options()
    });
    let timeouts = Timeouts::default();
    let other = Server::with_timeouts(server.options(), Some("other".into()), timeouts).unwrap();
    assert_eq!(other.name().as_deref(), Some("other"));
    let (outputs, inputs) = (server.audio_output_bus_group(), server.audio_input_bus_group());
    assert_eq!((outputs.to_string(), outputs.len()), ("a0".into(), 8));
    assert_eq!((inputs.to_string(), inputs.len()), ("a8".into(), 8));
    let control = server.add_bus_group(CalculationRate::Control, 4096).unwrap();
    let audio = server.add_bus_group(CalculationRate::Audio, 16).unwrap();
    // The id is above the number of audio buses, and it is still a valid control bus.
    assert!(server.contains(Entity::Bus(&control.get(4095).unwrap())));
    assert!(server.contains(Entity::Bus(&audio.get(15).unwrap())));
    assert!(!other.contains(Entity::Bus(&audio.get(15).unwrap())));
    assert!(control.contains(&control.get(4095).unwrap()));
    assert!(!audio.contains(&control.get(20).unwrap()));
    let group = server.add_group(Placement::default()).unwrap();
    server.sync().unwrap();
    assert!(server.contains(Entity::Group(&group)));
    group.free(false).unwrap();
    server.sync().unwrap();
    assert!(!server.contains(Entity::Group(&group)));
}

fn shared_memory_for_others() {
    let (owner, client) = owner_and_client();
    let memory = client.shared_memory().expect("shared memory of a server on this machine");
    let bus = client.add_bus(CalculationRate::Control).unwrap();
    client.set_bus_now(&bus, 0.625).unwrap();
    assert_eq!(client.get_bus(&bus).unwrap(), 0.625);
    let owners = owner.add_bus(CalculationRate::Control).unwrap();
    owners.set(0.375).unwrap();
    owner.sync().unwrap();
    assert_eq!(memory.control_bus_value(owners.id()).unwrap(), 0.375);
    assert_eq!(memory.describe_scope_buffer(0).unwrap(), None);
    assert_eq!(memory.read_scope_buffer(0).unwrap(), None);
    let scope = client.add_scope_buffer().unwrap();
    assert_eq!(scope.id(), 64);
    assert_eq!(scope.read().unwrap(), None);
    scope.free().unwrap();
    // A server with fewer buses than the client's options: the memory behind them is not accessible.
    let small = Options { control_bus_channel_count: 128, maximum_logins: 2, ..options() };
    let owner = booted_with(small);
    let mistaken = Options { control_bus_channel_count: 16_384, ..owner.options() };
    let client = Server::new(mistaken).unwrap();
    client.connect().unwrap();
    let memory = client.shared_memory().expect("shared memory of a server on this machine");
    assert_eq!(memory.control_bus_count(), 128);
    assert!(memory.set_control_bus(127, 0.5).is_ok());
    assert_eq!(memory.set_control_bus(128, 0.5).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

fn a_stale_shared_memory_file() {
    let server = booted();
    let port = server.options().port;
    let path = server.shared_memory().unwrap().path().to_owned();
    let content = std::fs::read(&path).unwrap();
    kill(server.process_id().unwrap());
    eventually("the loss is detected", || server.boot_status() == BootStatus::Offline);
    assert!(!path.exists(), "the owner did not remove the file of its killed server");
    // A server without such an owner leaves the file behind when it is killed.
    std::fs::write(&path, content).unwrap();
    let error = SharedMemory::open(port, 16).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SharedMemory);
    assert!(error.to_string().contains("killed server"), "{error}");
    // A server at the same port creates its own.
    server.boot().unwrap();
    assert!(server.shared_memory().is_some());
}

fn ten_thousand_a_second() {
    // 10,000 `/n_set` per second for half a second, and none is lost.
    let server = booted();
    let tone = tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let start = std::time::Instant::now();
    let mut number = 0;
    while number < 5000 {
        let due = (start.elapsed().as_secs_f64() * 10_000.0) as u32;
        while number < due.min(5000) {
            number += 1;
            synth.set([("amplitude", number as f32)]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bus.set(number as f32).unwrap();
    assert_eq!(server.get_bus(&bus).unwrap(), 5000.0);
    assert_eq!(server.get_synth_controls(&synth, ["amplitude"]).unwrap()[0].1, 5000.0);
}
