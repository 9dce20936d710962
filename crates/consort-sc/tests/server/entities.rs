//! The methods of entities, completions that are filled later, and conventions, with a real server.

use std::time::Duration;

use consort_sc::requests::Waveform;
use consort_sc::synthdef::system;
use consort_sc::*;
use futures_lite::future::block_on;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("entities::buses", buses),
    ("entities::buffers", buffers),
    ("entities::nodes", nodes),
    ("entities::freeing_by_number_releases", freeing_by_number_releases),
    ("entities::completions_are_filled_later", completions_are_filled_later),
    ("entities::requests_that_belong_together", requests_that_belong_together),
    ("entities::the_conventions_of_supriya", the_conventions_of_supriya),
    ("entities::scopes_of_one_bus", scopes_of_one_bus),
    ("entities::id_ranges", id_ranges),
    ("entities::clocks", clocks),
    ("entities::futures_never_lie", futures_never_lie),
];

/// The packets that were sent as text, without health checks and the barriers of the mirror.
fn sent(capture: &Capture) -> Vec<String> {
    let packets = capture.take().into_iter();
    let own = packets.filter(|packet| packet.direction == Direction::Sent);
    own.map(|packet| packet.decode().unwrap().to_string())
        .filter(|text| !text.starts_with("/status") && !text.starts_with("/sync ,i -"))
        .collect()
}

fn buses() {
    let server = booted();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let group = server.add_bus_group(CalculationRate::Control, 4).unwrap();
    bus.set(0.5).unwrap();
    assert_eq!(bus.get().unwrap(), 0.5);
    bus.set_now(0.75).unwrap();
    assert_eq!(block_on(bus.ask().unwrap()).unwrap(), 0.75);
    bus.set_range(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(bus.get_range(4).unwrap(), [1.0, 2.0, 3.0, 0.0]);
    assert_eq!(bus.ask_range(2).unwrap().wait().unwrap(), [1.0, 2.0]);
    bus.fill(2, 9.0).unwrap();
    assert_eq!(bus.get_range(3).unwrap(), [9.0, 9.0, 3.0]);
    group.set(&[0.1, 0.2]).unwrap();
    assert_eq!(group.values().unwrap(), [0.1, 0.2, 0.0, 0.0]);
    group.fill(0.25).unwrap();
    assert_eq!(group.ask_values().unwrap().wait().unwrap(), [0.25; 4]);
    // In a moment the setters wait, and a getter that blocks does not.
    let moment = server.at(None).unwrap();
    bus.within(&moment).set(5.0).unwrap();
    assert_eq!(bus.within(&moment).get().unwrap(), 9.0);
    assert_eq!(group.within(&moment).values().unwrap(), [0.25; 4]);
    moment.send().unwrap();
    assert_eq!(bus.get().unwrap(), 5.0);
    let audio = server.add_bus(CalculationRate::Audio).unwrap();
    assert_eq!(audio.get().unwrap_err().kind(), ErrorKind::InvalidCalculationRate);
}

fn buffers() {
    let server = booted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.wav");
    let buffer = server.add_buffer(BufferContent::empty(1, 512)).unwrap();
    let other = server.add_buffer(BufferContent::empty(1, 512)).unwrap();
    server.sync().unwrap();
    assert_eq!(buffer.query().unwrap().frame_count, 512);
    buffer.set(3, 0.5).unwrap();
    buffer.set_range(10, &[0.1, 0.2]).unwrap();
    buffer.fill(20, 3, 0.75).unwrap();
    assert_eq!(buffer.get(&[3, 20]).unwrap(), [(3, 0.5), (20, 0.75)]);
    assert_eq!(buffer.get_range(9, 4).unwrap(), [0.0, 0.1, 0.2, 0.0]);
    assert_eq!(block_on(buffer.ask(&[3]).unwrap()).unwrap(), [(3, 0.5)]);
    assert_eq!(block_on(buffer.ask_range(10, 2).unwrap()).unwrap(), [0.1, 0.2]);
    buffer.normalize(1.5, false).unwrap();
    buffer.copy(0, &other, 0, None).unwrap();
    server.sync().unwrap();
    assert_eq!(other.get(&[20]).unwrap(), [(20, 1.5)]);
    other.zero().unwrap();
    let waveform = Waveform::Sine1 { amplitudes: vec![1.0] };
    buffer.generate(waveform, true, false, true).unwrap();
    server.sync().unwrap();
    assert!((buffer.get(&[128]).unwrap()[0].1 - 1.0).abs() < 0.001);
    let format = BufferWrite {
        header_format: "wav".into(),
        sample_format: "float".into(),
        ..BufferWrite::default()
    };
    buffer.write(&path, format.clone()).unwrap();
    server.sync().unwrap();
    other.read(&path, BufferRead { leave_open: true, ..BufferRead::default() }).unwrap();
    other.close().unwrap();
    server.sync().unwrap();
    assert_eq!(other.get_range(0, 512).unwrap(), buffer.get_range(0, 512).unwrap());
    // Formats that the server cannot write are errors of the call.
    for (header, sample) in [("mp3", "int16"), ("wav", "int8"), ("flac", "float")] {
        let format = BufferWrite {
            header_format: header.into(),
            sample_format: sample.into(),
            ..BufferWrite::default()
        };
        let error = buffer.write(&path, format).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    buffer.free().unwrap();
    server.sync().unwrap();
    assert!(!buffer.is_allocated() && buffer.query().unwrap().frame_count == 0);
}

fn nodes() {
    let server = booted();
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    let root = server.root_node();
    let outer = root.add_group(AddAction::ToTail).unwrap();
    let first = root.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let inner = outer.add_group(AddAction::ToHead).unwrap();
    let second = first.add_synth(&tone, AddAction::After, [("amplitude", 0.0)]).unwrap();
    let third = second.add_group(AddAction::Before).unwrap();
    server.sync().unwrap();
    let ids = |nodes: Vec<Node>| nodes.iter().map(Node::id).collect::<Vec<_>>();
    assert_eq!(ids(root.children()), [first.id(), third.id(), second.id(), 1, outer.id()]);
    // A node of the mirrored tree has the methods of its kind.
    let node = root.children().remove(0);
    assert_eq!(node.as_synth(), Some(&first));
    assert!(node.as_group().is_none() && node.is_active() && node.parent().unwrap().id() == 0);
    node.set([("frequency", 110.0)]).unwrap();
    node.set_range([("amplitude", vec![0.25])]).unwrap();
    assert_eq!(first.get(["frequency", "amplitude"]).unwrap()[0].1, 110.0);
    assert_eq!(first.get_range(0u32, 2).unwrap(), [0.25, 110.0]);
    assert_eq!(block_on(first.ask(["amplitude"]).unwrap()).unwrap()[0].1, 0.25);
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    node.map([("amplitude", Some(bus.map_symbol()))]).unwrap();
    node.map_range([("frequency", None, 1)]).unwrap();
    assert_eq!(node.query().unwrap().next_id, Some(third.id()));
    node.pause().unwrap();
    server.sync().unwrap();
    assert!(!node.is_active());
    node.unpause().unwrap();
    node.move_to(AddAction::ToTail, &inner).unwrap();
    node.trace().unwrap();
    server.sync().unwrap();
    assert_eq!(
        node.parentage().iter().map(Group::id).collect::<Vec<_>>(),
        [inner.id(), outer.id(), 0]
    );
    outer.order(AddAction::ToTail, [&node, &Node::Synth(second.clone())]).unwrap();
    server.sync().unwrap();
    assert_eq!(ids(outer.children()), [inner.id(), first.id(), second.id()]);
    let tree = outer.query_tree(true).unwrap();
    assert!(tree.to_string().contains("amplitude: c0"), "{tree}");
    let name = |id: i32| (id == first.id()).then(|| "bass".to_owned());
    let annotated = tree.text().annotated(&name).to_string();
    assert!(annotated.contains("tone (bass)\n"), "{annotated}");
    root.dump_tree(false).unwrap();
    let moment = server.at(None).unwrap();
    node.within(&moment).free(true).unwrap();
    assert!(node.is_allocated());
    moment.send().unwrap();
    root.free_children(true).unwrap();
    server.sync().unwrap();
    assert!(!node.is_allocated() && !second.is_allocated() && inner.is_allocated());
}

fn freeing_by_number_releases() {
    let server = booted();
    let (tone, drum) = (tone(), named_tone("drum", false));
    server.install_synthdefs([&tone, &drum]).unwrap();
    let group = server.add_group(Placement::default()).unwrap();
    for synthdef in [&tone, &tone, &drum] {
        server.add_synth(synthdef, &group, NO_SETTINGS).unwrap();
    }
    // Not confirmed yet, and known by its name only.
    let early = server.add_synth("tone", &group, NO_SETTINGS).unwrap();
    let capture = server.capture();
    server.free_node(early.id(), false).unwrap();
    server.sync().unwrap();
    let children = group.children();
    assert_eq!(children.len(), 4);
    // The natural loop, by node and by number.
    children[..2].iter().for_each(|node| server.free_node(node, false).unwrap());
    children[2..].iter().for_each(|node| server.free_node(node.id(), false).unwrap());
    server.free_node(group.id(), false).unwrap();
    let sent = sent(&capture).join("\n");
    let drum_id = children.iter().find(|node| {
        let name = node.as_synth().and_then(|synth| synth.synthdef().cloned());
        name.is_some_and(|info| info.name == "drum")
    });
    let drum_id = drum_id.unwrap().id();
    assert_eq!(sent.matches("\"gate\" 0").count(), 4, "{sent}");
    assert_eq!(sent.matches("/n_free").count(), 2, "{sent}");
    assert!(sent.contains(&format!("/n_free ,i {drum_id}")), "{sent}");
}

fn completions_are_filled_later() {
    let server = booted();
    let default = system::default();
    let capture = server.capture();
    let moment = server.at(None).unwrap();
    let error = moment.completion().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    moment.add_synthdefs([default.file()]).unwrap();
    let when_loaded = moment.completion().unwrap();
    let buffer = moment.add_buffer(BufferContent::empty(1, 8)).unwrap();
    let when_allocated = moment.completion().unwrap();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    moment.set_bus(&bus, 0.5).unwrap();
    assert!(moment.completion().is_err(), "/c_set has no completion");
    // In any order, more than once, and nested.
    when_allocated.set_buffer(&buffer, 0, 0.25).unwrap();
    let synth = when_loaded.add_synth(&default, AddAction::ToHead, NO_SETTINGS).unwrap();
    let inner_buffer = when_loaded.add_buffer(BufferContent::empty(1, 4)).unwrap();
    let inner = when_loaded.completion().unwrap();
    when_allocated.set_buffer(&buffer, 1, 0.75).unwrap();
    inner.set_buffer(&inner_buffer, 3, 1.0).unwrap();
    // All or nothing.
    let failed = when_allocated.fill(|context| {
        context.set_buffer(&buffer, 2, 1.0)?;
        context.add_buffer(BufferContent::empty(0, 0))
    });
    assert!(failed.is_err());
    when_allocated.fill(|context| context.set_buffer(&buffer, 3, 1.0)).unwrap();
    let error = when_allocated.ask_buffer(&buffer, &[0]).unwrap_err();
    assert!(error.to_string().contains("inside a completion"), "{error}");
    assert!(when_allocated.is_open() && sent(&capture).is_empty());
    moment.send().unwrap();
    server.sync().unwrap();
    eventually("the synth of the completion", || synth.is_allocated());
    assert_eq!(sent(&capture).iter().filter(|text| text.starts_with("#bundle")).count(), 1);
    assert_eq!(buffer.get_range(0, 4).unwrap(), [0.25, 0.75, 0.0, 1.0]);
    eventually("the inner completion", || {
        inner_buffer.query().is_ok_and(|info| info.frame_count == 4)
            && inner_buffer.get(&[3]).unwrap() == [(3, 1.0)]
    });
    // After the moment was sent, or dropped, it is closed.
    assert!(!when_allocated.is_open());
    for completion in [&when_loaded, &inner] {
        let error = completion.set_bus(&bus, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MomentClosed);
        assert_eq!(completion.fill(|_| Ok(())).unwrap_err().kind(), ErrorKind::MomentClosed);
    }
    let moment = server.at(None).unwrap();
    moment.zero_buffer(&buffer).unwrap();
    let completion = moment.completion().unwrap();
    let dropped = completion.add_bus(CalculationRate::Control).unwrap();
    drop(moment);
    assert_eq!(completion.do_nothing().unwrap_err().kind(), ErrorKind::MomentClosed);
    assert_eq!(server.add_bus(CalculationRate::Control).unwrap().id(), dropped.id());
    assert_eq!(server.completion().unwrap_err().kind(), ErrorKind::InvalidMoment);
    // An empty list of SynthDefs has a completion as well.
    let mut group = None;
    server
        .add_synthdefs_then([], |completion| {
            group = Some(completion.add_group(Placement::default())?);
            Ok(())
        })
        .unwrap();
    server.sync().unwrap();
    assert!(group.unwrap().is_allocated());
}

fn requests_that_belong_together() {
    let server = booted();
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let control = server.add_bus(CalculationRate::Control).unwrap();
    let audio = server.add_bus(CalculationRate::Audio).unwrap();
    server.sync().unwrap();
    let capture = server.capture();
    synth
        .map([("amplitude", Some(control.map_symbol())), ("frequency", Some(audio.map_symbol()))])
        .unwrap();
    let id = synth.id();
    assert_eq!(
        sent(&capture),
        [format!(
            "#bundle @immediately {{ /n_map ,isi {id} \"amplitude\" 0; /n_mapa ,isi {id} \
             \"frequency\" 16 }}"
        )]
    );
    let group = server.add_buffer_group(3, 1, 16).unwrap();
    group.free().unwrap();
    let bundles = sent(&capture);
    assert_eq!(bundles.len(), 2, "{bundles:?}");
    assert_eq!(bundles[0].matches("/b_alloc").count(), 3);
    assert_eq!(bundles[1].matches("/b_free").count(), 3);
}

fn the_conventions_of_supriya() {
    let server = booted();
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    let one = server.add_buffer(BufferContent::empty(1, 16)).unwrap();
    let two = server.add_buffer(BufferContent::empty(1, 16)).unwrap();
    server.sync().unwrap();
    assert_eq!(server.conventions(), Conventions::default());
    let capture = server.capture();
    let play = || {
        let settings = [("out", 1.0), ("frequency", 220.0), ("amplitude", 0.1)];
        let synth = server.add_synth(&tone, AddAction::ToHead, settings).unwrap();
        synth.set([("out", 0.0), ("amplitude", 0.5)]).unwrap();
        server
            .at_once(None, |moment| {
                moment.set_buffer(&two, 0, 0.5)?;
                moment.set_buffer(&one, 0, 0.5)?;
                moment.set_buffer(&two, 1, 0.25)?;
                moment.fill_buffer(&one, 4, 2, 0.5)?;
                moment.set_buffer(&one, 1, 0.25)
            })
            .unwrap();
        server.query_tree(&server.default_group(), false).unwrap();
        let id = synth.id().to_string();
        sent(&capture).into_iter().map(|text| text.replace(&id, "ID")).collect::<Vec<_>>()
    };
    let plain = play();
    assert_eq!(
        plain[0],
        "/s_new ,siiisfsfsf \"tone\" ID 0 1 \"out\" 1.0 \"frequency\" 220.0 \"amplitude\" 0.1"
    );
    assert!(plain[1].contains("\"out\" 0.0 \"amplitude\" 0.5"), "{}", plain[1]);
    assert_eq!(plain[2].matches("/b_set").count(), 4, "{}", plain[2]);
    assert!(plain[3].contains("/sync"), "{}", plain[3]);
    server.set_conventions(Conventions::supriya());
    assert_eq!(
        play(),
        [
            "/s_new ,siiisfsf \"tone\" ID 0 1 \"frequency\" 220.0 \"out\" 1.0",
            "/n_set ,isfsf ID \"amplitude\" 0.5 \"out\" 0.0",
            "#bundle @immediately { /b_set ,iif 0 0 0.5; /b_set ,iifif 1 0 0.5 1 0.25; /b_fill ,iiif 0 \
         4 2 0.5; /b_set ,iif 0 1 0.25 }",
            "/g_queryTree ,ii 1 0",
        ]
    );
    // The links, under the names that programs for Supriya expect.
    let links = system::links_named("supriya").unwrap();
    server.install_synthdefs(links.iter().map(|link| link.file())).unwrap();
    assert_eq!(links.len(), 32);
    server.add_synth("supriya:link-ar:2", AddAction::ToTail, NO_SETTINGS).unwrap();
    server.sync().unwrap();
    assert_eq!(server.default_group().children().len(), 3);
}

fn scopes_of_one_bus() {
    let server = booted();
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let output = server.audio_output_bus_group().get(0).unwrap();
    let place = server.add_group((AddAction::ToTail, &server.root_node())).unwrap();
    let scope = server.add_amplitude_scope_at(&output, (AddAction::ToHead, &place)).unwrap();
    let axis = system::FrequencyAxis::Linear;
    let spectrum =
        server.add_frequency_scope_at(&output, axis, 1024, 4, (AddAction::ToTail, &place)).unwrap();
    assert_eq!((scope.buffer().id(), spectrum.buffer().id()), (0, 1));
    eventually("frames of one bus", || {
        scope.read().unwrap().is_some_and(|frames| {
            frames.channels.len() == 1 && frames.channels[0].iter().any(|sample| *sample != 0.0)
        })
    });
    assert_eq!(scope.synth().parent().unwrap(), place);
    assert_eq!(spectrum.synth().parent().unwrap(), place);
    scope.stop().unwrap();
    spectrum.stop().unwrap();
}

fn id_ranges() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let client = connected(&owner);
    let (first, second) = (owner.id_ranges(), client.id_ranges());
    assert_eq!((first.nodes.first, second.nodes.first), (1_000, (1 << 26) + 1_000));
    assert_eq!(second.permanent_nodes, IdRange { first: (1 << 26) + 1, count: 999 });
    assert_eq!(second.buffers, IdRange { first: 512, count: 512 });
    assert_eq!(first.audio_buses, IdRange { first: 16, count: 504 });
    for (one, other) in [
        (first.audio_buses, second.audio_buses),
        (first.control_buses, second.control_buses),
        (first.buffers, second.buffers),
        (first.scope_buffers, second.scope_buffers),
    ] {
        assert_eq!(one.first + one.count, other.first);
    }
    let buffer = client.add_buffer(BufferContent::empty(1, 1)).unwrap();
    assert!(second.buffers.contains(buffer.id()) && !first.buffers.contains(buffer.id()));
}

fn clocks() {
    let server = booted();
    server.set_latency(0.0).unwrap();
    // On a busy machine any time may pass between two calls.
    let now = || server.now().unwrap();
    let before = now();
    let clock = server.clock();
    let after = now();
    assert!((clock.rate() - 1.0).abs() < 0.002, "{}", clock.rate());
    let time = clock.time_of(100.0);
    assert!((before + 99.7..after + 100.3).contains(&time), "{before} {time} {after}");
    let before = now();
    let time = clock.time_of(clock.seconds());
    assert!((before - 0.1..now() + 0.1).contains(&time), "{before} {time}");
    // A moment takes effect so many seconds later, and not before.
    let before = now();
    let moment = server.after(0.3).unwrap();
    let due = moment.seconds().unwrap();
    assert!((before + 0.2..now() + 0.4).contains(&due), "{before} {due}");
    let group = moment.add_group(Placement::default()).unwrap();
    let info = moment.ask_node(&group).unwrap();
    moment.send().unwrap();
    assert_eq!(info.wait().unwrap().id, group.id());
    assert!(now() > due - 0.06, "the moment was early");
    assert_eq!(server.after(f64::NAN).unwrap_err().kind(), ErrorKind::InvalidMoment);
    let score = score::Nonrealtime::new(Options::default()).unwrap();
    assert_eq!(score.now().unwrap_err().kind(), ErrorKind::InvalidMoment);
    assert_eq!(score.after(1.0).unwrap_err().kind(), ErrorKind::InvalidMoment);
}

fn futures_never_lie() {
    let server = Server::new(options()).unwrap();
    // Asked before the first start.
    let (first_start, first_end) = (server.boot_future(), server.exit_future());
    server.boot().unwrap();
    assert!(block_on(first_start).unwrap());
    // A start that is rejected does not forget the one that runs.
    assert_eq!(server.boot().unwrap_err().kind(), ErrorKind::ServerOnline);
    assert_eq!(server.connect().unwrap_err().kind(), ErrorKind::ServerOnline);
    assert!(block_on(server.boot_future()).unwrap());
    kill(server.process_id().unwrap());
    eventually("the end is noticed", || server.boot_status() == BootStatus::Offline);
    assert!(!block_on(first_end).unwrap());
    // However late it is asked.
    std::thread::sleep(Duration::from_millis(50));
    assert!(!block_on(server.exit_future()).unwrap());
    assert!(block_on(server.boot_future()).unwrap());
    server.boot().unwrap();
    server.quit().unwrap();
    assert!(block_on(server.exit_future()).unwrap());
    // Too many clients.
    server.boot().unwrap();
    let client = Server::new(server.options()).unwrap();
    let (start, end) = (client.boot_future(), client.exit_future());
    assert_eq!(client.connect().unwrap_err().kind(), ErrorKind::TooManyClients);
    assert!(!block_on(start).unwrap() && !block_on(end).unwrap());
    assert!(!block_on(client.exit_future()).unwrap());
    // A server that is never started.
    let never = Server::new(options()).unwrap();
    let (start, end) = (never.boot_future(), never.exit_future());
    drop(never);
    assert!(!block_on(start).unwrap() && !block_on(end).unwrap());
}
