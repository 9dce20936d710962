//! Every operation with a real server.

use std::time::Duration;

use consort_sc::requests::Waveform;
use consort_sc::*;
use futures_lite::future::block_on;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("cases::status_version_and_sync", status_version_and_sync),
    ("cases::groups_and_synths", groups_and_synths),
    ("cases::controls_and_mappings", controls_and_mappings),
    ("cases::buffers", buffers),
    ("cases::sound_files", sound_files),
    ("cases::buses_and_shared_memory", buses_and_shared_memory),
    ("cases::synthdefs", synthdefs),
    ("cases::moments_and_completions", moments_and_completions),
    ("cases::the_tree_as_text_and_data", the_tree_as_text_and_data),
    ("cases::dump_and_trace_end", dump_and_trace_end),
    ("cases::large_trees", large_trees),
    ("cases::large_replies_and_requests", large_replies_and_requests),
    ("cases::tcp", tcp),
    ("cases::async_server", async_server),
    ("cases::two_clients", two_clients),
    ("cases::callbacks_and_events", callbacks_and_events),
    ("cases::scopes", scopes),
    ("cases::supernova", supernova),
];

fn status_version_and_sync() {
    let server = booted();
    let status = server.query_status().unwrap();
    assert_eq!(status.target_sample_rate, 48_000.0);
    assert_eq!(status.group_count, 2);
    let version = server.query_version().unwrap();
    assert_eq!((version.program.as_str(), version.major), ("scsynth", 3));
    server.sync().unwrap();
    server.sync_with(1234, WAIT_TIMEOUT).unwrap();
    // Several requests in one bundle, each with its own future.
    let moment = server.at(None).unwrap();
    let replies = (
        moment.ask_status().unwrap(),
        moment.ask_version().unwrap(),
        moment.ask_tree(server.root_node().id(), false).unwrap(),
    );
    moment.submit(requests::DumpTree { id: 0, include_controls: false }).unwrap();
    moment.send().unwrap();
    assert_eq!(replies.0.wait().unwrap().group_count, 2);
    assert_eq!(replies.1.wait().unwrap(), version);
    assert_eq!(replies.2.wait().unwrap().children.len(), 1);
    assert!(server.is_owner());
    assert_eq!(server.client_id(), 0);
    assert_eq!(server.boot_status(), BootStatus::Online);
    assert_eq!(server.default_group().id(), 1);
    assert!(server.default_group().is_allocated());
    assert!(server.status().is_some());
    server.quit().unwrap();
    assert_eq!(server.boot_status(), BootStatus::Offline);
    assert_eq!(server.query_status().unwrap_err().kind(), ErrorKind::ServerOffline);
}

fn groups_and_synths() {
    let server = booted();
    let tone = tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let group = server.add_group(Placement::default()).unwrap();
    let synth = server.add_synth(&tone, &group, [("frequency", 220.0)]).unwrap();
    let after = server.add_synth("tone", (AddAction::After, &synth), NO_SETTINGS).unwrap();
    server.sync().unwrap();
    assert_eq!((group.id(), synth.id(), after.id()), (1000, 1001, 1002));
    let ids = |group: &Group| group.children().iter().map(Node::id).collect::<Vec<_>>();
    assert_eq!(ids(&group), [1001, 1002]);
    assert_eq!(synth.parentage().iter().map(Group::id).collect::<Vec<_>>(), [1000, 1, 0]);
    let info = server.query_node(&synth).unwrap();
    assert_eq!((info.parent_id, info.next_id, info.is_group), (Some(1000), Some(1002), false));

    server.move_node(&synth, AddAction::ToTail, &group).unwrap();
    server.sync().unwrap();
    assert_eq!(ids(&group), [1002, 1001]);
    server.order_nodes(AddAction::ToHead, &group, [&synth, &after]).unwrap();
    server.sync().unwrap();
    assert_eq!(ids(&group), [1001, 1002]);

    synth.pause().unwrap();
    server.sync().unwrap();
    assert!(!synth.is_active() && synth.is_allocated());
    synth.unpause().unwrap();
    server.sync().unwrap();
    assert!(synth.is_active());

    // A synth with a gate is released; with `force` it is freed at once.
    synth.free(false).unwrap();
    let gate = server.get_synth_controls(&synth, ["gate"]).unwrap();
    assert_eq!(gate, [("gate".into(), 0.0)]);
    synth.free(true).unwrap();
    server.sync().unwrap();
    assert!(!synth.is_allocated());

    let inner = server.add_group(&group).unwrap();
    let deep = server.add_synth("tone", &inner, NO_SETTINGS).unwrap();
    server.sync().unwrap();
    assert!(deep.is_allocated());
    server.free_group_children(&group, true).unwrap();
    server.sync().unwrap();
    assert!(!deep.is_allocated() && inner.is_allocated());
    server.free_group_children(&group, false).unwrap();
    server.sync().unwrap();
    assert!(!inner.is_allocated() && group.is_allocated());

    let permanent = server.add_group(Placement::default().permanent()).unwrap();
    assert_eq!(permanent.id(), 2);
    server.sync().unwrap();
    permanent.free(false).unwrap();
    server.sync().unwrap();
    assert_eq!(server.add_group(Placement::default().permanent()).unwrap().id(), 2);

    let error = server.add_group((AddAction::Before, &server.root_node())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = server.add_group((AddAction::ToHead, &synth)).unwrap_err();
    assert!(error.to_string().contains("Before, After or Replace"), "{error}");
    let error = server.query_node(4711).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestFailed);
    assert!(error.to_string().contains("Node 4711 not found"), "{error}");
    let parallel = server.add_parallel_group(&group).unwrap();
    server.sync().unwrap();
    assert!(parallel.is_allocated());
}

fn controls_and_mappings() {
    let server = booted();
    let tone = tone();
    server.add_synthdefs([&tone]).unwrap();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    bus.set(330.0).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToTail, [("amplitude", 0.25)]).unwrap();
    synth.set([("frequency", 110.0)]).unwrap();
    let controls = server.get_synth_controls(&synth, ["amplitude", "frequency"]).unwrap();
    assert_eq!(controls, [("amplitude".into(), 0.25), ("frequency".into(), 110.0)]);
    assert_eq!(server.get_synth_control_range(&synth, 0u32, 3).unwrap(), [0.25, 110.0, 0.0]);
    server.set_node_range(&synth, [(0u32, vec![0.5, 99.0])]).unwrap();
    assert_eq!(server.get_synth_control_range(&synth, 0u32, 2).unwrap(), [0.5, 99.0]);

    server.map_node(&synth, [Context::mapping("frequency", &bus)]).unwrap();
    let tree = server.query_tree(&server.default_group(), true).unwrap();
    assert!(tree.to_string().contains(&format!("frequency: {bus}")), "{tree}");
    server.map_node(&synth, [("frequency", None)]).unwrap();
    server.map_node_range(&synth, [(0u32, Some(bus.map_symbol()), 2)]).unwrap();
    let tree = server.query_tree(&server.default_group(), true).unwrap().to_string();
    assert!(tree.contains("amplitude: c0, frequency: c1"), "{tree}");
    let mapped = server.add_synth(&tone, AddAction::ToTail, [("amplitude", &bus)]).unwrap();
    let tree = server.query_tree(&server.default_group(), true).unwrap().to_string();
    assert!(tree.contains(&format!("{} tone\n        amplitude: c0", mapped.id())), "{tree}");

    // An unknown control is a warning with the nearest name, and still sent.
    let events = server.events(EventFilter::default());
    synth.set([("frequenzy", 1.0)]).unwrap();
    let warning = events.next_timeout(WAIT_TIMEOUT).unwrap();
    assert!(
        matches!(&warning, Event::Warning(text) if text.contains("did you mean `frequency`?")),
        "{warning:?}"
    );
    server.forget_synth(&synth).unwrap();
    server.sync().unwrap();
}

fn buffers() {
    let server = booted();
    let buffer = server.add_buffer(BufferContent::empty(2, 100)).unwrap();
    server.sync().unwrap();
    assert!(buffer.is_allocated());
    let info = server.query_buffer(&buffer).unwrap();
    assert_eq!((info.frame_count, info.channel_count, info.sample_rate), (100, 2, 48_000.0));
    server.set_buffer(&buffer, 3, 0.5).unwrap();
    server.set_buffer_range(&buffer, 10, &[0.1, 0.2, 0.3]).unwrap();
    server.fill_buffer(&buffer, 20, 4, 0.75).unwrap();
    assert_eq!(
        server.get_buffer(&buffer, &[3, 20, 24]).unwrap(),
        [(3, 0.5), (20, 0.75), (24, 0.0)]
    );
    assert_eq!(server.get_buffer_range(&buffer, 9, 5).unwrap(), [0.0, 0.1, 0.2, 0.3, 0.0]);
    server.normalize_buffer(&buffer, 1.5, false).unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer(&buffer, &[20]).unwrap(), [(20, 1.5)]);
    let copy = server.add_buffer(BufferContent::empty(2, 100)).unwrap();
    server.copy_buffer(&buffer, 0, &copy, 0, None).unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer(&copy, &[20]).unwrap(), [(20, 1.5)]);
    server.zero_buffer(&copy).unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer(&copy, &[20]).unwrap(), [(20, 0.0)]);

    let wave = server.add_buffer(BufferContent::empty(1, 512)).unwrap();
    for waveform in [
        Waveform::Sine1 { amplitudes: vec![1.0, 0.5] },
        Waveform::Sine2 { partials: vec![(1.0, 1.0)] },
        Waveform::Sine3 { partials: vec![(1.0, 1.0, 0.5)] },
        Waveform::Cheby { amplitudes: vec![1.0, 0.5] },
    ] {
        server.generate_buffer(&wave, waveform, true, false, true).unwrap();
        server.sync().unwrap();
        let samples = server.get_buffer_range(&wave, 0, 512).unwrap();
        let peak = samples.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        assert!((peak - 1.0).abs() < 1e-3, "a normalized waveform peaks at {peak}");
    }
    buffer.free().unwrap();
    server.sync().unwrap();
    assert!(!buffer.is_allocated());
    assert_eq!(server.query_buffer(&buffer).unwrap().frame_count, 0);
    // The id is free again, and only now is it allocated again.
    assert_eq!(server.add_buffer(BufferContent::empty(1, 1)).unwrap().id(), buffer.id());
    let error = server.add_buffer(BufferContent::empty(0, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);

    let group = server.add_buffer_group(4, 1, 16).unwrap();
    server.sync().unwrap();
    assert!(group.iter().all(|buffer| buffer.is_allocated()));
    group.free().unwrap();
    server.sync().unwrap();
    assert!(group.iter().all(|buffer| !buffer.is_allocated()));
}

fn sound_files() {
    let server = booted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.wav");
    let buffer = server.add_buffer(BufferContent::empty(2, 64)).unwrap();
    server.sync().unwrap();
    server.set_buffer_range(&buffer, 0, &[0.5, -0.5, 0.25, -0.25]).unwrap();
    let settings = BufferWrite {
        header_format: "wav".into(),
        sample_format: "float".into(),
        ..BufferWrite::default()
    };
    server.write_buffer(&buffer, &path, settings).unwrap();
    server.sync().unwrap();
    let read = server.add_buffer(BufferContent::file(&path)).unwrap();
    server.sync().unwrap();
    let info = server.query_buffer(&read).unwrap();
    assert_eq!((info.frame_count, info.channel_count), (64, 2));
    assert_eq!(server.get_buffer_range(&read, 0, 4).unwrap(), [0.5, -0.5, 0.25, -0.25]);
    let right = server
        .add_buffer(BufferContent::File {
            path: path.clone(),
            starting_frame: 1,
            frame_count: Some(8),
            channel_indices: vec![1],
        })
        .unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer_range(&right, 0, 2).unwrap(), [-0.25, 0.0]);
    server.zero_buffer(&read).unwrap();
    let settings = BufferRead { starting_frame: 1, frame_count: Some(1), ..BufferRead::default() };
    server.read_buffer(&read, &path, settings).unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer_range(&read, 0, 4).unwrap(), [0.25, -0.25, 0.0, 0.0]);
    let settings =
        BufferRead { channel_indices: vec![1, 0], leave_open: true, ..BufferRead::default() };
    server.read_buffer(&read, &path, settings).unwrap();
    server.close_buffer(&read).unwrap();
    server.sync().unwrap();
    assert_eq!(server.get_buffer_range(&read, 0, 2).unwrap(), [-0.5, 0.5]);
    // A file that cannot be written causes an event with the server's reason.
    let events = server.events(EventFilter::default());
    server.write_buffer(&buffer, "/nonexistent/x.wav", BufferWrite::default()).unwrap();
    let fail = events.next_timeout(WAIT_TIMEOUT);
    assert!(matches!(&fail, Some(Event::Fail(fail)) if fail.command == "/b_write"), "{fail:?}");
}

fn buses_and_shared_memory() {
    let server = booted();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let group = server.add_bus_group(CalculationRate::Control, 4).unwrap();
    let audio = server.add_bus(CalculationRate::Audio).unwrap();
    assert_eq!(
        (bus.to_string(), group.to_string(), audio.to_string()),
        ("c0".into(), "c1".into(), "a16".into())
    );
    bus.set(0.5).unwrap();
    group.set(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(server.get_bus(&bus).unwrap(), 0.5);
    assert_eq!(server.get_bus_range(&bus, 5).unwrap(), [0.5, 1.0, 2.0, 3.0, 4.0]);
    server.fill_bus_range(&bus, 3, 9.0).unwrap();
    assert_eq!(server.get_bus_range(&bus, 5).unwrap(), [9.0, 9.0, 9.0, 3.0, 4.0]);
    assert_eq!(audio.set(1.0).unwrap_err().kind(), ErrorKind::InvalidCalculationRate);

    // The same through shared memory, in both directions.
    let memory = server.shared_memory().expect("shared memory of the server");
    assert_eq!(memory.control_bus_value(0).unwrap(), 9.0);
    server.set_bus_now(&bus, 0.125).unwrap();
    assert_eq!(server.get_bus_now(&bus).unwrap(), 0.125);
    assert_eq!(server.get_bus(&bus).unwrap(), 0.125);
    let last = memory.control_bus_count() - 1;
    assert_eq!(last, 16_383);
    server.free_bus(&bus).unwrap();
    assert_eq!(server.add_bus(CalculationRate::Control).unwrap().id(), 0);
    let error = server.add_bus_group(CalculationRate::Audio, 5000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Allocation);
    assert!(error.to_string().contains("1007 free"), "{error}");
    server.quit().unwrap();
    assert!(server.shared_memory().is_none());
}

fn synthdefs() {
    let server = booted();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (named_tone("one", false), named_tone("two", false));
    std::fs::write(folder.path().join("one.scsyndef"), one.bytes()).unwrap();
    std::fs::write(folder.path().join("two.scsyndef"), two.bytes()).unwrap();
    let count = || server.query_status().unwrap().synthdef_count;
    let before = count();
    server.load_synthdefs(folder.path().join("one.scsyndef")).unwrap();
    server.sync().unwrap();
    assert_eq!(count(), before + 1);
    server.load_synthdefs_directory(folder.path()).unwrap();
    server.sync().unwrap();
    assert_eq!(count(), before + 2);
    let synth = server.add_synth("two", AddAction::ToHead, NO_SETTINGS).unwrap();
    assert!(synth.synthdef().is_some(), "the controls of a loaded file are not known");
    server.free_synthdefs(["one"]).unwrap();
    server.sync().unwrap();
    assert_eq!(count(), before + 1);
    server.free_all_synthdefs().unwrap();
    server.sync().unwrap();
    assert_eq!(count(), 0);
    std::fs::write(folder.path().join("bad.scsyndef"), b"RIFF....").unwrap();
    let error = server.load_synthdefs(folder.path().join("bad.scsyndef")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSynthDef);
    assert!(error.to_string().contains("bad.scsyndef"), "{error}");
}

fn moments_and_completions() {
    let server = booted();
    let tone = tone();
    // One datagram with the SynthDef and, as its completion, the synth.
    let capture = server.capture();
    let mut synth = None;
    server
        .add_synthdefs_then([&tone], |completion| {
            synth = Some(completion.add_synth(&tone, AddAction::ToHead, NO_SETTINGS)?);
            Ok(())
        })
        .unwrap();
    let synth = synth.unwrap();
    server.sync().unwrap();
    eventually("the synth of the completion", || synth.is_allocated());
    let sent: Vec<String> = capture
        .take()
        .iter()
        .filter(|packet| packet.direction == Direction::Sent)
        .map(|packet| packet.decode().unwrap().to_string())
        .collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    let buffer = server
        .add_buffer_then(BufferContent::empty(1, 8), |completion, buffer| {
            completion.set_buffer(buffer, 0, 0.5)?;
            completion.fill_buffer(buffer, 4, 2, 0.25)
        })
        .unwrap();
    server.sync().unwrap();
    let values = server.get_buffer_range(&buffer, 0, 6).unwrap();
    assert_eq!(values, [0.5, 0.0, 0.0, 0.0, 0.25, 0.25]);

    // Queries are bundled with requests that set values, and answered in that order.
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let moment = server.at(None).unwrap();
    moment.set_bus_range(&bus, &[1.0, 2.0]).unwrap();
    moment.set_node(&synth, [("frequency", 333.0)]).unwrap();
    let replies = (
        moment.ask_bus(&bus).unwrap(),
        moment.ask_bus_range(&bus, 2).unwrap(),
        moment.ask_synth_controls(&synth, ["frequency"]).unwrap(),
        moment.ask_synth_control_range(&synth, "frequency", 1).unwrap(),
        moment.ask_buffer_info(&buffer).unwrap(),
        moment.ask_buffer(&buffer, &[0]).unwrap(),
        moment.ask_buffer_range(&buffer, 4, 1).unwrap(),
        moment.ask_node(&synth).unwrap(),
    );
    capture.take();
    moment.send().unwrap();
    assert_eq!(replies.0.wait().unwrap(), 1.0);
    assert_eq!(replies.1.wait().unwrap(), [1.0, 2.0]);
    assert_eq!(replies.2.wait().unwrap(), [("frequency".into(), 333.0)]);
    assert_eq!(replies.3.wait().unwrap(), [333.0]);
    assert_eq!(replies.4.wait().unwrap().frame_count, 8);
    assert_eq!(replies.5.wait().unwrap(), [(0, 0.5)]);
    assert_eq!(replies.6.wait().unwrap(), [0.25]);
    assert_eq!(replies.7.wait().unwrap().id, synth.id());
    let is_bundle = |packet: &CapturedPacket| {
        packet.direction == Direction::Sent && packet.to_string().contains("/b_query")
    };
    assert_eq!(capture.take().iter().filter(|packet| is_bundle(packet)).count(), 1);
    server.free_bus(&bus).unwrap();

    // A moment in the future takes effect at its time and not before. On a busy machine the check
    // before that time may be too late; then it is repeated with more time.
    let unix_now = || {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
    };
    let was_checked_in_time = [0.2, 1.0, 5.0].into_iter().any(|ahead| {
        let due = unix_now() + ahead;
        let moment = server.at(due).unwrap();
        let later = moment.add_group(Placement::default()).unwrap();
        let info = moment.ask_node(&later).unwrap();
        moment.send().unwrap();
        server.sync().unwrap();
        let was_allocated = later.is_allocated();
        let in_time = unix_now() < due;
        assert!(!in_time || !was_allocated, "a moment in the future took effect at once");
        assert_eq!(info.wait().unwrap().id, later.id());
        assert!(unix_now() > due + 0.05, "0.1 s of latency were left out");
        in_time
    });
    assert!(was_checked_in_time);
    // Bundles whose time has not come are removed from the schedule.
    let never =
        server.at_once(unix_now() + 60.0, |moment| moment.add_group(Placement::default())).unwrap();
    server.clear_schedule().unwrap();
    server.sync().unwrap();
    assert!(!never.is_allocated());
    assert_eq!(server.latency(), 0.1);
    server.set_latency(0.0).unwrap();
    assert_eq!(server.at(f64::NAN).unwrap_err().kind(), ErrorKind::InvalidMoment);

    // Every request that accepts a completion.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aiff");
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let value = std::cell::Cell::new(0.0);
    let next = || {
        value.set(value.get() + 1.0);
        value.get()
    };
    let check = |request: &str| {
        server.sync().unwrap();
        assert_eq!(server.get_bus(&bus).unwrap(), value.get(), "the completion of {request}");
    };
    server
        .write_buffer_then(&buffer, &path, BufferWrite::default(), |c| c.set_bus(&bus, next()))
        .unwrap();
    check("write");
    server
        .read_buffer_then(&buffer, &path, BufferRead::default(), |c| c.set_bus(&bus, next()))
        .unwrap();
    check("read");
    server.close_buffer_then(&buffer, |c| c.set_bus(&bus, next())).unwrap();
    check("close");
    server.zero_buffer_then(&buffer, |c| c.set_bus(&bus, next())).unwrap();
    check("zero");
    server.free_buffer_then(&buffer, |c| c.set_bus(&bus, next())).unwrap();
    check("free");
    let file = folder.path().join("tone.scsyndef");
    std::fs::write(&file, tone.bytes()).unwrap();
    server.load_synthdefs_then(&file, |c| c.set_bus(&bus, next())).unwrap();
    check("load");
    server.load_synthdefs_directory_then(folder.path(), |c| c.set_bus(&bus, next())).unwrap();
    check("load_directory");
}

fn the_tree_as_text_and_data() {
    let server = booted();
    let tone = named_tone("tone", false);
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let group = server.add_group(Placement::default()).unwrap();
    server.add_synth(&tone, &group, [("amplitude", 0.5)]).unwrap();
    let tree = server.query_tree(&server.root_node(), true).unwrap();
    let expected = "NODE TREE 0 group\n    1 group\n        1000 group\n            1001 tone\n                amplitude: 0.5, frequency: 440.0, out: 0.0\n";
    assert_eq!(tree.to_string(), expected);
    let tree = server.query_tree(&group, false).unwrap();
    assert_eq!(tree.to_string(), "NODE TREE 1000 group\n    1001 tone\n");
    let error = server.query_tree(4711, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestFailed);
}

fn dump_and_trace_end() {
    let server = booted_with(Options { maximum_logins: 2, ..options() });
    let tone = named_tone("tone", false);
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, [("amplitude", 0.5)]).unwrap();
    let queried = server.query_tree(&server.root_node(), true).unwrap();
    let capture = server.capture();
    for _ in 0..5 {
        assert_eq!(server.dump_tree(&server.root_node(), true).unwrap(), queried);
    }
    let trace = server.trace_node(&synth).unwrap().expect("output of an owned server");
    assert!(trace.iter().any(|line| line.contains("SinOsc")), "{trace:?}");
    // All trees were read from the output; none had to be queried.
    let is_query = |packet: &CapturedPacket| packet.to_string().contains("/g_queryTree");
    assert!(!capture.take().iter().any(is_query));
    // A client that cannot read the output gets the same tree.
    let client = connected(&server);
    assert_eq!(client.dump_tree(&client.root_node(), true).unwrap(), queried);
    assert_eq!(client.trace_node(synth.id()).unwrap(), None);
    assert!(client.trace_node(4711).is_err());
}

/// The control `frequency` of all synths below a group, in order.
fn frequencies(tree: &QueryTreeGroup) -> Vec<ControlValue> {
    let frequency = |node: &QueryTreeNode| match node {
        QueryTreeNode::Synth(synth) => {
            let found = synth.controls.iter().find(|(key, _)| *key == "frequency".into());
            let (_, value) = found.unwrap_or_else(|| panic!("{} has no frequency", synth.id));
            Some(value.clone())
        }
        QueryTreeNode::Group(_) => None,
    };
    tree.walk().into_iter().filter_map(|(_, node)| frequency(node)).collect()
}

/// These numbers as values of controls.
fn numbers(numbers: std::ops::Range<i32>) -> Vec<ControlValue> {
    numbers.map(ControlValue::from).collect()
}

fn large_trees() {
    let server = booted_with(Options {
        maximum_node_count: 8192,
        memory_size: 65_536,
        maximum_logins: 2,
        ..options()
    });
    let tone = named_tone("a_tone_with_a_long_name", false);
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let add = |first: i32, count: i32| {
        server
            .at_once(None, |moment| {
                for index in first..first + count {
                    moment.add_synth(&tone, AddAction::ToTail, [("frequency", index)])?;
                }
                Ok(())
            })
            .unwrap();
        server.sync().unwrap();
    };
    // A thousand synths created at once, and queried in one call.
    add(0, 1000);
    let tree = server.query_tree(&server.root_node(), true).unwrap();
    assert_eq!(frequencies(&tree), numbers(0..1000));
    // Two thousand more at once. Now not even the names fit into one reply, and scsynth drops
    // notifications for more than about a thousand nodes per audio period.
    add(1000, 2000);
    let tree = server.query_tree(&server.default_group(), true).unwrap();
    assert_eq!(tree.children.len(), 3000);
    assert_eq!(frequencies(&tree), numbers(0..3000));
    // A tree of the root completes the mirror, even if it was assembled from several replies.
    let tree = server.query_tree(&server.root_node(), false).unwrap();
    let QueryTreeNode::Group(group) = &tree.children[0] else { panic!("expected a group") };
    assert_eq!(group.children.len(), 3000);
    let named = |node: &QueryTreeNode| match node {
        QueryTreeNode::Synth(synth) => synth.synthdef == "a_tone_with_a_long_name",
        QueryTreeNode::Group(_) => false,
    };
    assert!(group.children.iter().all(named));
    server.sync().unwrap();
    assert_eq!(server.default_group().children().len(), 3000);
    assert!(!server.is_mirror_stale());
    server.free_group_children(&server.default_group(), false).unwrap();
    server.sync().unwrap();

    // Another client, which has not loaded the SynthDef, gets the controls and their mappings in
    // every group that fits into a reply.
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    bus.set(77.0).unwrap();
    let mut synths = Vec::new();
    for first in (0..1000).step_by(250) {
        server
            .at_once(None, |moment| {
                let group = moment.add_group(AddAction::ToTail)?;
                for index in first..first + 250 {
                    let place = (AddAction::ToTail, &group);
                    synths.push(moment.add_synth(&tone, place, [("frequency", index)])?);
                }
                Ok(())
            })
            .unwrap();
        server.sync().unwrap();
    }
    server.map_node(&synths[999], [Context::mapping("frequency", &bus)]).unwrap();
    server.sync().unwrap();
    let client = connected(&server);
    let tree = client.query_tree(&client.root_node(), true).unwrap();
    let mut expected = numbers(0..999);
    expected.push(ControlValue::from(bus.map_symbol()));
    assert_eq!(frequencies(&tree), expected);
}

fn large_replies_and_requests() {
    let server = booted();
    let buffer = server.add_buffer(BufferContent::empty(1, 100_000)).unwrap();
    let values: Vec<f32> = (0..100_000).map(|value| value as f32 / 1000.0).collect();
    server.sync().unwrap();
    server.set_buffer_range(&buffer, 0, &values).unwrap();
    assert_eq!(server.get_buffer_range(&buffer, 0, 100_000).unwrap(), values);
    // A reply of more than 8,192 bytes.
    assert_eq!(server.get_buffer_range(&buffer, 0, 1634).unwrap(), values[..1634]);
    let indices: Vec<u32> = (0..20_000).map(|index| index * 5 % 100_000).collect();
    let expected: Vec<(u32, f32)> =
        indices.iter().map(|index| (*index, values[*index as usize])).collect();
    assert_eq!(server.get_buffer(&buffer, &indices).unwrap(), expected);
    let error = server.ask_buffer_range(&buffer, 0, 20_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    server.set_bus_range(&bus, &values[..16_000]).unwrap();
    assert_eq!(server.get_bus_range(&bus, 16_000).unwrap(), values[..16_000]);
    // The error contains the server's reason.
    let error = server.get_buffer_range(&buffer, 99_999, 2).unwrap_err();
    assert!(error.to_string().contains("index out of range"), "{error}");
}

fn tcp() {
    let server = booted_with(Options { protocol: Protocol::Tcp, maximum_logins: 2, ..options() });
    let buffer = server.add_buffer(BufferContent::empty(1, 60_000)).unwrap();
    let values: Vec<f32> = (0..60_000).map(|value| value as f32).collect();
    server.sync().unwrap();
    server.set_buffer_range(&buffer, 0, &values).unwrap();
    assert_eq!(server.get_buffer_range(&buffer, 0, 60_000).unwrap(), values);
    // scsynth 3.13 cannot distinguish TCP clients. The client gets a warning and works.
    let client = Server::new(server.options()).unwrap();
    let events = client.events(EventFilter::default());
    client.connect().unwrap();
    assert_eq!(client.client_id(), 0);
    client.sync().unwrap();
    let mut warned = false;
    while let Some(event) = events.try_next() {
        warned |=
            matches!(&event, Event::Warning(text) if text.contains("distinguish its TCP clients"));
    }
    assert!(warned);
    client.force_quit().unwrap();
    eventually("the owner detects the end", || server.boot_status() == BootStatus::Offline);
    // With the right password, and with a wrong one.
    let options = Options {
        protocol: Protocol::Tcp,
        password: Some("open".into()),
        maximum_logins: 2,
        ..options()
    };
    let server = booted_with(options.clone());
    server.sync().unwrap();
    let wrong = Options { password: Some("closed".into()), ..options };
    let timeouts = Timeouts { connect: Duration::from_millis(2500), ..Timeouts::default() };
    let client = Server::with_timeouts(wrong, None, timeouts).unwrap();
    let error = client.connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotConnect);
    assert!(error.to_string().contains("password"), "{error}");
}

fn async_server() {
    block_on(async {
        let server = AsyncServer::new(options()).unwrap();
        let booted = server.boot_future();
        server.boot().await.unwrap();
        assert!(booted.await.unwrap());
        let tone = tone();
        server.add_synthdefs([&tone]).unwrap();
        server.sync().await.unwrap();
        // Many tasks, each with its own moment, interleaved.
        let groups: Vec<Group> =
            (0..20).map(|_| server.add_group(AddAction::ToTail).unwrap()).collect();
        let task = |group: Group| {
            let server = server.clone();
            let tone = tone.clone();
            async move {
                let moment = server.at(None).unwrap();
                for _ in 0..5 {
                    moment.add_synth(&tone, &group, NO_SETTINGS).unwrap();
                    futures_lite::future::yield_now().await;
                }
                moment.send().unwrap();
                server.sync().await.unwrap();
                group.children().len()
            }
        };
        let (a, b) =
            futures_lite::future::zip(task(groups[0].clone()), task(groups[1].clone())).await;
        assert_eq!((a, b), (5, 5));
        let bus = server.add_bus(CalculationRate::Control).unwrap();
        bus.set(0.25).unwrap();
        assert_eq!(server.get_bus(&bus).await.unwrap(), 0.25);
        assert_eq!(server.get_bus_now(&bus).await.unwrap(), 0.25);
        let tree = server.query_tree(&groups[0], true).await.unwrap();
        assert_eq!(tree.children.len(), 5);
        let exit = server.exit_future();
        server.quit().await.unwrap();
        assert!(exit.await.unwrap());
        server.boot().await.unwrap();
        server.reboot().await.unwrap();
        assert!(server.query_version().await.is_ok());
        server.quit().await.unwrap();
    });
}

fn two_clients() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let tone = tone();
    owner.add_synthdefs([&tone]).unwrap();
    owner.sync().unwrap();
    let synth = owner.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    owner.sync().unwrap();
    let client = connected(&owner);
    assert!(!client.is_owner());
    assert_eq!((client.client_id(), client.default_group().id()), (1, 2));
    let own = client.add_group(Placement::default()).unwrap();
    assert_eq!(own.id(), (1 << 26) + 1000);
    client.sync().unwrap();
    // Both clients have all nodes.
    eventually("the owner's query finds the client's group", || owner.query_node(own.id()).is_ok());
    assert_eq!(client.root_node().children().len(), 2);
    assert!(client.query_node(&synth).is_err(), "an entity of another context was accepted");
    // Each client has one half of the ids.
    let share = |server: &Server| {
        let bus = server.add_bus(CalculationRate::Control).unwrap();
        let audio = server.add_bus(CalculationRate::Audio).unwrap();
        let buffer = server.add_buffer(BufferContent::empty(1, 1)).unwrap();
        (bus.id(), audio.id(), buffer.id())
    };
    assert_eq!(share(&owner), (0, 16, 0));
    assert_eq!(share(&client), (8192, 16 + 504, 512));
    assert_eq!(client.disconnect().map_err(|error| error.kind()), Ok(()));
    assert_eq!(owner.disconnect().unwrap_err().kind(), ErrorKind::OwnedServerShutdown);
    let client = connected(&owner);
    assert_eq!(client.quit().unwrap_err().kind(), ErrorKind::UnownedServerShutdown);
    assert_eq!(client.connect().unwrap_err().kind(), ErrorKind::ServerOnline);
    assert_eq!(owner.boot().unwrap_err().kind(), ErrorKind::ServerOnline);
    client.force_quit().unwrap();
    eventually("the owner detects the end", || owner.boot_status() == BootStatus::Offline);
}

fn callbacks_and_events() {
    let server = booted();
    let (sender, receiver) = std::sync::mpsc::channel();
    let callback_server = server.clone();
    // A callback may send requests and wait for them.
    server.register_osc_callback(OscPattern::new("/n_go", [1000.into()]), move |message| {
        let synced = callback_server.sync();
        let node = callback_server.query_node(message.arguments[0].as_i32().unwrap());
        sender.send((synced.is_ok(), node.is_ok())).unwrap();
    });
    let events = server.events(EventFilter::addresses(["/n_go"]));
    let readable = |events: &EventReceiver| {
        let descriptor = events.descriptor().unwrap();
        let mut descriptors =
            [rustix::event::PollFd::from_borrowed_fd(descriptor, rustix::event::PollFlags::IN)];
        let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut descriptors, Some(&none)).unwrap() > 0
    };
    assert!(!readable(&events));
    server.add_group(Placement::default()).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT_TIMEOUT).unwrap(), (true, true));
    assert!(readable(&events));
    assert!(
        matches!(events.try_next(), Some(Event::Message(message)) if message.address == "/n_go")
    );
    assert!(!readable(&events));
    // A failure of a request that is not awaited is an event; others are not.
    server.set_node(4711, [("x", 1.0)]).unwrap();
    let fail = events.next_timeout(WAIT_TIMEOUT).unwrap();
    assert!(matches!(&fail, Event::Fail(fail) if fail.reason == "Node 4711 not found"), "{fail:?}");
    assert!(server.query_node(4711).is_err());
    server.sync().unwrap();
    assert_eq!(events.try_next(), None);
    // A failure that matches a failure pattern is not an event either.
    let (sender, receiver) = std::sync::mpsc::channel();
    server.register_osc_callback_with(
        OscPattern::new("/n_info", [4711.into()]),
        Some(OscPattern::new("/fail", ["/n_query".into()])),
        true,
        move |message| sender.send(message.address).unwrap(),
    );
    server.submit(requests::QueryNodes { ids: vec![4711] }).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT_TIMEOUT).unwrap(), "/fail");
    assert_eq!(events.try_next(), None);
    let (sender, receiver) = std::sync::mpsc::channel();
    server.register_osc_callback_async_with(
        OscPattern::new("/n_info", [4712.into()]),
        Some(OscPattern::new("/fail", ["/n_query".into()])),
        true,
        move |message| {
            let sender = sender.clone();
            async move { sender.send(message.address).unwrap() }
        },
    );
    server.submit(requests::QueryNodes { ids: vec![4712] }).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT_TIMEOUT).unwrap(), "/fail");
    // It was called once, and its sender was dropped with it.
    assert!(receiver.recv_timeout(WAIT_TIMEOUT).is_err());
    // Async callbacks.
    let (sender, receiver) = std::sync::mpsc::channel();
    let callback_server = server.asynchronous();
    server.register_osc_callback_async("/n_end", move |message| {
        let (sender, server) = (sender.clone(), callback_server.clone());
        async move {
            let synced = server.sync().await.is_ok();
            // The receiver is gone when the server quits and its other nodes end.
            let _ = sender.send((message.arguments[0].as_i32(), synced));
        }
    });
    server.free_node(1000, false).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT_TIMEOUT).unwrap(), (Some(1000), true));
}

fn scopes() {
    let server = booted();
    let tone = tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    server.add_synth(&tone, AddAction::ToHead, [("amplitude", 0.5)]).unwrap();
    let scope = server.add_amplitude_scope(&server.audio_output_bus_group()).unwrap();
    server.sync().unwrap();
    let mut peak = 0f32;
    eventually("the scope contains the tone", || {
        if let Some(frames) = scope.read().unwrap() {
            assert_eq!(frames.channels.len(), 8);
            assert!(frames.channels[1].iter().all(|sample| *sample == 0.0));
            peak = frames.channels[0].iter().fold(peak, |peak, sample| peak.max(sample.abs()));
        }
        peak > 0.45
    });
    assert!(peak < 0.51, "a tone of 0.5 peaks at {peak}");
    scope.stop().unwrap();
    let output = server.audio_output_bus_group().get(0).unwrap();
    let axis = synthdef::system::FrequencyAxis::Linear;
    let scope = server.add_frequency_scope(&output, axis, 1024, 4).unwrap();
    server.sync().unwrap();
    eventually("the scope contains a spectrum", || {
        scope.read().unwrap().is_some_and(|frames| frames.channels[0].iter().any(|bin| *bin != 0.0))
    });
    scope.stop().unwrap();
    let control = server.add_bus(CalculationRate::Control).unwrap();
    let error = server.add_frequency_scope(&control, axis, 1024, 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCalculationRate);
}

fn supernova() {
    if find_executable(Some(std::path::Path::new("supernova"))).is_err() {
        skipped("supernova is not installed (Debian: apt install supercollider-supernova)");
        return;
    }
    let options = Options { executable: Some("supernova".into()), threads: Some(1), ..options() };
    let server = booted_with(options);
    let version = server.query_version().unwrap();
    assert_eq!(version.program, "supernova");
    let tone = tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let group = server.add_parallel_group(AddAction::ToHead).unwrap();
    let synth = server.add_synth(&tone, &group, [("frequency", 220.0)]).unwrap();
    server.sync().unwrap();
    assert!(synth.is_allocated());
    let tree = server.query_tree(&server.root_node(), true).unwrap();
    assert!(tree.to_string().contains("frequency: 220.0"), "{tree}");
    assert_eq!(server.dump_tree(&group, true).unwrap().children.len(), 1);
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    bus.set(0.5).unwrap();
    assert_eq!(server.get_bus(&bus).unwrap(), 0.5);
    assert_eq!(server.get_bus_now(&bus).unwrap(), 0.5);
    server.quit().unwrap();
}

#[allow(clippy::print_stdout)] // The message is part of the runner's output.
fn skipped(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{reason}");
    println!("SKIPPED: {reason}");
}
