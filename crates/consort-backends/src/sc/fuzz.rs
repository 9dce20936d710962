//! Body of the fuzz target, also run on the committed corpus by the tests. Not part of the
//! interface.

use consort_osc::{OscMessage, OscValue, Packet};
use consort_router::options::OptionEntry;
use consort_router::{ChannelError, Options, Problems, Usage};

use super::DESCRIPTOR;
use super::config::Config;
use super::desk::Desk;
use super::inputs::Inputs;
use super::server::Up;

/// Where relative paths start from: nowhere, so that no file is read by chance.
const NOWHERE: &str = "/nonexistent/consort";

/// Any text is a configuration, and the instance that it makes plays on a server that says
/// anything. A byte 0x1E ends the text; packets of the server follow, each preceded by its length in
/// two bytes, big-endian.
///
/// # Panics
/// When a complaint points to nothing, when a number goes to the server that is none, or when a
/// value comes from it that is out of range.
pub fn sc_config(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0x1E);
    let text = parts.next().unwrap_or_default();
    let heard = parts.next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let entries: Vec<OptionEntry> = text.lines().filter_map(entry).collect();
    let count = entries.len();
    let options = Options::new(DESCRIPTOR.instance_options, entries);
    let mut problems = Problems::new();
    let config = Config::read(&options, &mut problems);
    assert_eq!(config.is_some(), problems.is_ok(), "a configuration with errors, or none without");
    for problem in problems.into_vec() {
        assert!(problem.entry.is_none_or(|at| at < count) && !problem.message.is_empty());
    }
    let Some(config) = config else { return };
    play(Desk::new(config), &text, heard);
}

/// An option of the instance, as the router would let it through.
fn entry(line: &str) -> Option<OptionEntry> {
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    // What SynthDef files hold is another target's matter.
    let spec = DESCRIPTOR.instance_options.iter().find(|it| it.answers_to(name));
    let is_sound = match spec {
        Some(spec) => spec.name != "synthdef" && spec.kind.validate(value).is_ok(),
        None => DESCRIPTOR.instance_families.iter().any(|it| name.starts_with(it.prefix)),
    };
    let name = spec.map_or(name, |spec| spec.name).to_owned();
    is_sound.then(|| OptionEntry { name, value: value.to_owned(), directory: NOWHERE.into() })
}

fn play(mut desk: Desk, text: &str, heard: &[u8]) {
    let mut targets = Vec::new();
    for line in text.lines().filter(|line| !line.contains('=')) {
        for (separator, usages) in
            [('>', [Usage::Source, Usage::Target]), ('<', [Usage::Target, Usage::Source])]
        {
            let Some((left, right)) = line.split_once(separator) else { continue };
            for (name, usage) in [left.trim(), right.trim()].into_iter().zip(usages) {
                let Desk { channels, config, .. } = &mut desk;
                match channels.channel(name, usage, config) {
                    Ok(channel) => {
                        assert_eq!(channels.channel(name, usage, config).ok(), Some(channel));
                        targets.extend((usage == Usage::Target).then_some(channel));
                    }
                    Err(error) => check(&error, name),
                }
            }
        }
    }
    desk.prepare();
    let mut inputs = Inputs::new(&desk);
    let up = |desk: &Desk| Up {
        client: 3,
        buses: (10..).take(desk.config.buses.len()).collect(),
        buffers: (3..).take(desk.config.buffers.len()).collect(),
        meter: 20,
        ..Up::default()
    };
    for _ in 0..2 {
        let server = up(&desk);
        desk.go_up(server);
        inputs.go_up(&desk);
        send(&mut desk);
        for value in [1.0, 0.0, 0.3] {
            for channel in &targets {
                desk.deliver(*channel, value);
            }
            send(&mut desk);
        }
        inputs.look(&mut desk);
        send(&mut desk);
        hear(&mut desk, &mut inputs, heard);
        desk.tick();
        desk.go_down();
    }
    desk.release_all();
    desk.leave();
    send(&mut desk);
}

fn check(error: &ChannelError, name: &str) {
    assert!(!error.message.is_empty());
    if let Some((start, end)) = error.range {
        assert!(name.get(start..end).is_some(), "{start}..{end} of {name:?}: {error:?}");
    }
}

/// What would go to the server is OSC, and every number in it is one.
fn send(desk: &mut Desk) {
    desk.packets.send(None, |packet| {
        let packet = Packet::decode(packet).expect("OSC");
        for message in packet.messages() {
            let is_number = |it: consort_osc::Argument<'_>| it.as_f64().is_none_or(f64::is_finite);
            assert!(message.arguments().all(is_number), "{}", OscMessage::from(message));
        }
    });
}

fn hear(desk: &mut Desk, inputs: &mut Inputs, mut packets: &[u8]) {
    while let Some((length, rest)) = packets.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        packets = rest;
        let Ok(packet) = Packet::decode(packet) else { continue };
        for message in packet.messages() {
            inputs.answered(&message, desk);
            let mut message = OscMessage::from(message);
            let unmapped = inputs.unmapped(&message, desk);
            assert!(unmapped.is_none_or(|(_, value)| (0.0..=1.0).contains(&value)));
            inputs.notified(&message, desk);
            // The same of a node that is there.
            if let [OscValue::Int(node), ..] = &mut message.arguments[..] {
                *node = node.wrapping_add(3 << 26);
                inputs.notified(&message, desk);
            }
        }
        for (_, value) in desk.emits.drain(..) {
            assert!((0.0..=1.0).contains(&value), "the value {value}");
        }
        send(desk);
    }
}
