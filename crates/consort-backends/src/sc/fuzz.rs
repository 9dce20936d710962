//! The body of the fuzz target `sc_config`, which the tests run on the committed corpus. Not part
//! of the public API.

use consort_osc::{OscMessage, OscValue, Packet};
use consort_router::options::OptionEntry;
use consort_router::{ChannelError, Options, Problems, Usage};

use super::DESCRIPTOR;
use super::channels::Channels;
use super::config::Config;
use super::inputs::Inputs;
use super::player::Player;
use super::reader::read_config;
use super::server::ServerInfo;

/// The folder of relative paths. It does not exist, so that no file is read by accident.
const MISSING_FOLDER: &str = "/nonexistent/consort";

/// Reads a configuration from any text, and plays the instance on a server that sends any
/// packets. A byte 0x1E ends the text; the packets follow, each preceded by its length in two
/// bytes, big-endian.
///
/// # Panics
/// If an error points outside the configuration, if a number for the server is not finite, or if a
/// value for the show is out of range.
pub fn sc_config(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0x1E);
    let text = parts.next().unwrap_or_default();
    let input = parts.next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let entries: Vec<OptionEntry> = text.lines().filter_map(entry).collect();
    let count = entries.len();
    let options = Options::new(DESCRIPTOR.instance_options, entries);
    let mut problems = Problems::new();
    let config = read_config(&options, &mut problems);
    assert_eq!(
        config.is_some(),
        problems.is_ok(),
        "there is a configuration if and only if there are no errors"
    );
    for problem in problems.into_vec() {
        assert!(
            problem.entry.is_none_or(|position| position < count) && !problem.message.is_empty()
        );
    }
    let Some(config) = config else { return };
    let again = read_config(&options, &mut Problems::new()).expect("it was valid before");
    play(config, again, &text, input);
}

/// An option of the instance, if the router would pass it to the backend.
fn entry(line: &str) -> Option<OptionEntry> {
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    // SynthDef files are tested by another target.
    let spec = DESCRIPTOR.instance_options.iter().find(|spec| spec.answers_to(name));
    let is_accepted = match spec {
        Some(spec) => spec.name != "synthdef" && spec.kind.validate(value).is_ok(),
        None => DESCRIPTOR.instance_families.iter().any(|family| name.starts_with(family.prefix)),
    };
    let name = spec.map_or(name, |spec| spec.name).to_owned();
    is_accepted.then(|| OptionEntry {
        name,
        value: value.to_owned(),
        directory: MISSING_FOLDER.into(),
    })
}

/// The channels that the first `limit` mappings of the text use, and the targets among them.
fn channels(config: &Config, text: &str, limit: usize) -> (Channels, Vec<u32>) {
    let mut channels = Channels::new(config);
    let mut targets = Vec::new();
    for line in text.lines().filter(|line| !line.contains('=')).take(limit) {
        for (separator, usages) in
            [('>', [Usage::Source, Usage::Target]), ('<', [Usage::Target, Usage::Source])]
        {
            let Some((left, right)) = line.split_once(separator) else { continue };
            for (name, usage) in [left.trim(), right.trim()].into_iter().zip(usages) {
                match channels.channel(name, usage, config) {
                    Ok(channel) => {
                        assert_eq!(channels.channel(name, usage, config).ok(), Some(channel));
                        targets.extend((usage == Usage::Target).then_some(channel));
                    }
                    Err(error) => check_range(&error, name),
                }
            }
        }
    }
    (channels, targets)
}

/// Plays all targets on two servers, one after the other; on the first, a reload with the same
/// options removes half of the mappings.
fn play(config: Config, again: Config, text: &str, packets: &[u8]) {
    let (all_channels, mut targets) = channels(&config, text, usize::MAX);
    let mut again = Some(again);
    let mut player = Player::new(config, all_channels);
    let mut inputs = Inputs::new(&player);
    let server_info = |player: &Player| ServerInfo {
        client: 3,
        buses: (10..).take(player.config.buses.len()).collect(),
        buffers: (3..).take(player.config.buffers.len()).collect(),
        meter: 20,
        ..ServerInfo::default()
    };
    for _ in 0..2 {
        let server = server_info(&player);
        player.on_server_ready(server);
        inputs.on_server_ready(&player);
        send(&mut player);
        for value in [1.0, 0.0, 0.3] {
            for channel in &targets {
                player.deliver(*channel, value);
            }
            send(&mut player);
        }
        inputs.poll(&mut player);
        send(&mut player);
        receive(&mut player, &mut inputs, packets);
        if let Some(again) = again.take() {
            let (some_channels, some_targets) = channels(&again, text, text.lines().count() / 2);
            assert_eq!(player.obstacle(&again, &some_channels), None);
            player.adopt(again, some_channels);
            targets = some_targets;
            let mut adopted = Inputs::new(&player);
            adopted.on_server_ready(&player);
            adopted.continue_from(inputs);
            inputs = adopted;
            send(&mut player);
            player.emits.clear();
        }
        player.tick();
        player.on_server_lost();
    }
    player.release_all();
    player.leave();
    send(&mut player);
}

/// Checks that the range of an error lies inside the channel's name.
fn check_range(error: &ChannelError, name: &str) {
    assert!(!error.message.is_empty());
    if let Some((start, end)) = error.range {
        assert!(name.get(start..end).is_some(), "{start}..{end} of {name:?}: {error:?}");
    }
}

/// Checks that the messages for the server are valid OSC with finite numbers.
fn send(player: &mut Player) {
    player.packets.send(None, |packet| {
        let packet = Packet::decode(packet).expect("OSC");
        for message in packet.messages() {
            let is_finite =
                |argument: consort_osc::Argument<'_>| argument.as_f64().is_none_or(f64::is_finite);
            assert!(message.arguments().all(is_finite), "{}", OscMessage::from(message));
        }
    });
}

/// Handles the packets of the server.
fn receive(player: &mut Player, inputs: &mut Inputs, mut packets: &[u8]) {
    while let Some((length, rest)) = packets.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        packets = rest;
        let Ok(packet) = Packet::decode(packet) else { continue };
        for message in packet.messages() {
            inputs.on_bus_values(&message, player);
            let mut message = OscMessage::from(message);
            if !inputs.on_notification(&message, player) {
                let value = Inputs::unmatched(&message, player).and_then(|input| input.value);
                assert!(value.is_none_or(|value| (0.0..=1.0).contains(&value)));
            }
            // The same message for a node that exists.
            if let [OscValue::Int(node), ..] = &mut message.arguments[..] {
                *node = node.wrapping_add(3 << 26);
                inputs.on_notification(&message, player);
            }
        }
        for (_, value) in player.emits.drain(..) {
            assert!((0.0..=1.0).contains(&value), "the value {value}");
        }
        send(player);
    }
}
