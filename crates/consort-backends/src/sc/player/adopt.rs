//! Taking a reloaded configuration while the server runs: what sounds goes on, and only what has
//! changed is sent.
//!
//! Voices, synths, buses and controls are related by name. Afterwards the server is in the state
//! that a new one would get from the same values, except that nodes which sound keep the SynthDef
//! with which they started.

use std::collections::BTreeMap;

use consort_router::WarnOnce;
use consort_sc::{AddAction, SynthDefFile};

use super::super::channels::{ChannelRole, Channels, MappedControls};
use super::super::config::{BusConfig, BusKind, Config, Setting, SynthConfig};
use super::super::controls::Scale;
use super::super::definitions::Definition;
use super::super::packets::Packets;
use super::super::settings::check_control;
use super::super::state::{self, Effect, Keyboard, Loudness, Numbers, Place, SynthState, Values};
use super::super::voices::{VoiceCommand, Voices};
use super::notes::{FORCED_RELEASE_GATE, write_pitch};
use super::{Player, fixed_buses, set_control};

/// What the server has been sent about one voice or synth.
struct Sent {
    effects: BTreeMap<String, Effect>,
    /// The number that the velocity scales, and the pitch bend. Voices only.
    amplitude: Option<f32>,
    bend: f64,
}

/// For each new voice, synth or bus the index that it had before, and what is gone.
struct Matching {
    old_of_new: Vec<Option<usize>>,
    gone: Vec<usize>,
}

impl Matching {
    fn by_name<'n>(
        old: impl Iterator<Item = &'n str>,
        new: impl Iterator<Item = &'n str>,
    ) -> Matching {
        let old: Vec<&str> = old.collect();
        let old_of_new: Vec<Option<usize>> =
            new.map(|name| old.iter().position(|other| *other == name)).collect();
        let gone = (0..old.len()).filter(|index| !old_of_new.contains(&Some(*index))).collect();
        Matching { old_of_new, gone }
    }

    /// Brings what belongs to the old ones into the order of the new ones.
    fn permute<T>(&self, old: Vec<T>, mut new: impl FnMut(usize) -> T) -> Vec<T> {
        let mut old: Vec<Option<T>> = old.into_iter().map(Some).collect();
        let kept = |before: &Option<usize>| before.and_then(|index| old[index].take());
        let kept: Vec<Option<T>> = self.old_of_new.iter().map(kept).collect();
        kept.into_iter()
            .enumerate()
            .map(|(index, kept)| kept.unwrap_or_else(|| new(index)))
            .collect()
    }

    /// The new and the old index of everything that stays.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.old_of_new.iter().enumerate().filter_map(|(new, old)| Some((new, (*old)?)))
    }
}

impl Player {
    /// Why a reloaded configuration needs another server, or none.
    pub(in crate::sc) fn obstacle(&self, new: &Config, channels: &Channels) -> Option<String> {
        let old = &self.config;
        if (&new.place, &new.server) != (&old.place, &old.server)
            || (&new.groups, new.channels) != (&old.groups, old.channels)
        {
            return Some("options of the server have changed".into());
        }
        let bytes = |files: &[SynthDefFile]| -> Vec<_> {
            files.iter().map(|file| file.bytes().clone()).collect()
        };
        if bytes(&new.user_files) != bytes(&self.resources.user_files) {
            return Some("the SynthDef files have changed".into());
        }
        let loaded = bytes(&self.resources.built_in);
        if let Some(file) = new.built_in.iter().find(|file| !loaded.contains(file.bytes())) {
            let name = file.definitions().first().map_or("?", |info| info.name.as_str());
            return Some(format!("the SynthDef `{name}` is not on the server yet"));
        }
        let is_allocated =
            |bus: &BusConfig| {
                bus.number.is_some()
                    || self.resources.buses.iter().any(|other| {
                        other.name == bus.name && is_same_shape(&other.kind, &bus.kind)
                    })
            };
        if let Some(bus) = new.buses.iter().find(|bus| !is_allocated(bus)) {
            return Some(format!("the bus `{}` is not on the server yet", bus.name));
        }
        let is_loaded = |buffer: &&_| self.resources.buffers.contains(buffer);
        if let Some((name, _)) = new.buffers.iter().find(|buffer| !is_loaded(buffer)) {
            return Some(format!("the buffer `{name}` is not on the server yet"));
        }
        let is_free = |number: &u32| self.fixed_buses.contains(number) || !self.may_use(*number);
        if let Some(number) = fixed_buses(new, channels).find(|number| !is_free(number)) {
            return Some(format!("the show uses the control bus {number} for something else"));
        }
        let added = new.voices.len() + new.synths.len();
        (!self.nodes.has_room_for(added)).then(|| "all node numbers are used".into())
    }

    /// Whether the server may have allocated the control bus with this number for the show.
    fn may_use(&self, number: u32) -> bool {
        if !self.is_server_ready {
            // It may be allocating at this moment.
            return true;
        }
        let server = &self.server;
        let named = self.resources.buses.iter().zip(&server.buses);
        let mut allocated = named
            .filter(|(bus, _)| bus.number.is_none() && matches!(bus.kind, BusKind::Control(_)))
            .map(|(_, number)| *number);
        (server.meter..server.meter + self.config.channels).contains(&number)
            || allocated.any(|other| other == number)
    }

    /// Takes a reloaded configuration for which there is no [`obstacle`](Self::obstacle). Releases
    /// the notes of channels that no mapping can end any more. Values for the show that result
    /// from it have the new channel numbers.
    pub(in crate::sc) fn adopt(&mut self, config: Config, mut channels: Channels) {
        channels.add_start_values(&config);
        fn names(synths: &[SynthConfig]) -> impl Iterator<Item = &str> {
            synths.iter().map(|synth| synth.name.as_str())
        }
        fn voice_names(config: &Config) -> impl Iterator<Item = &str> {
            config.voices.iter().map(|voice| voice.synth.name.as_str())
        }
        let voices = Matching::by_name(voice_names(&self.config), voice_names(&config));
        let synths = Matching::by_name(names(&self.config.synths), names(&config.synths));
        let bus_names = |config: &Config| -> Vec<String> {
            config.buses.iter().map(|bus| bus.name.clone()).collect()
        };
        let (old_buses, new_buses) = (bus_names(&self.config), bus_names(&config));
        let buses = Matching::by_name(
            old_buses.iter().map(String::as_str),
            new_buses.iter().map(String::as_str),
        );
        let sent_voices: Vec<Sent> =
            (0..self.voices.len()).map(|voice| self.sent_voice(voice)).collect();
        let sent_synths: Vec<Sent> =
            (0..self.config.synths.len()).map(|synth| self.sent_synth(synth)).collect();
        let order: Vec<Vec<i32>> = (0..self.config.groups.len())
            .map(|group| self.nodes.in_group(group, &self.config))
            .collect();
        let (old_level, old_bus_values) = (self.values.master(), self.values.buses.clone());

        let retired = self.retire(&voices, &synths);
        let values = self.carry_values(&config, &mut channels, &voices, &synths, &buses);
        self.renumber_nodes(&voices, &synths, retired);
        self.voices = voices
            .permute(std::mem::take(&mut self.voices), |new| Voices::new(config.voices[new].rules));
        self.last_reported = voices.permute(std::mem::take(&mut self.last_reported), |_| 0);
        self.exhausted =
            voices.permute(std::mem::take(&mut self.exhausted), |_| WarnOnce::default());
        self.keyboards = config.voices.iter().map(Keyboard::new).collect();
        self.numbers = Numbers::new(&config, &self.resources, &self.server);
        self.fixed_buses.extend(fixed_buses(&config, &channels));
        self.values = values;
        let old_config = std::mem::replace(&mut self.config, config);
        let old_channels = std::mem::replace(&mut self.channels, channels);

        for (new, old) in voices.pairs() {
            self.change_rules(new);
            self.release_gone(new, old, &old_channels);
        }
        if !self.is_server_ready {
            // The next server receives the whole state.
            return self.packets.clear();
        }
        if self.needs_rebuild {
            return;
        }
        for (new, old) in buses.pairs() {
            let (before, now) = (old_bus_values[old], self.values.buses[new]);
            self.send_bus(new, now.filter(|_| now != before));
        }
        for new in (0..new_buses.len()).filter(|new| buses.old_of_new[*new].is_none()) {
            self.send_bus(new, self.values.buses[new]);
        }
        self.create_added(&voices, &synths, &old_config.synths);
        self.reorder(&order);
        // Notes of another SynthDef keep what they have, and a synth of another is new.
        for (new, old) in voices.pairs() {
            let (before, now) = (&old_config.voices[old], &self.config.voices[new]);
            if before.synth.definition.name == now.synth.definition.name {
                self.send_voice(new, &sent_voices[old]);
            }
        }
        for (new, old) in synths.pairs() {
            let now = self.sent_synth(new);
            let (definition, node) = (&self.config.synths[new].definition, self.nodes.synth(new));
            if definition.name == old_config.synths[old].definition.name {
                let (before, now) = (&sent_synths[old].effects, &now.effects);
                send_effects(before, now, definition, node, &mut self.packets);
            }
        }
        if self.values.master() != old_level {
            set_control(&mut self.packets, self.nodes.master(), "level", self.values.master());
        }
    }

    /// What the server has been sent about a voice.
    fn sent_voice(&self, voice: usize) -> Sent {
        let config = &self.config.voices[voice];
        let (controls, state) = (&self.channels.voice_controls[voice], &self.values.voices[voice]);
        let mut effects = self.numbers.effects(&config.synth, controls, state);
        let keyboard = &self.keyboards[voice];
        if let (Some(name), true) = (keyboard.glide, config.glide > 0.0) {
            let glide = Effect::Number(config.glide as f32);
            effects.entry(name.to_owned()).or_insert(glide);
        }
        let amplitude = match keyboard.loudness {
            Some(Loudness::Amplitude(name, base)) => match effects.remove(name) {
                Some(Effect::Number(number)) => Some(number),
                _ => Some(base),
            },
            Some(Loudness::Velocity(name)) => {
                effects.remove(name);
                None
            }
            None => None,
        };
        Sent { effects, amplitude, bend: state.bend }
    }

    /// What the server has been sent about a fixed synth.
    fn sent_synth(&self, synth: usize) -> Sent {
        let (controls, state) = (&self.channels.synth_controls[synth], &self.values.synths[synth]);
        let effects = self.numbers.effects(&self.config.synths[synth], controls, state);
        Sent { effects, amplitude: None, bend: 0.0 }
    }

    /// Ends the notes of voices that are gone, and the synths that are gone. Returns the groups in
    /// which notes may still fade.
    fn retire(&mut self, voices: &Matching, synths: &Matching) -> Vec<i32> {
        let mut groups = Vec::new();
        for voice in &voices.gone {
            self.voices[*voice].retire(&mut self.commands);
            for command in self.commands.drain(..) {
                match command {
                    VoiceCommand::Release { node } => {
                        set_control(&mut self.packets, node, "gate", 0.0);
                    }
                    VoiceCommand::Cut { node, by_gate: true, .. } => {
                        set_control(&mut self.packets, node, "gate", FORCED_RELEASE_GATE);
                    }
                    VoiceCommand::Cut { node, by_gate: false, .. } => {
                        free(&mut self.packets, node);
                    }
                    VoiceCommand::Start { .. } | VoiceCommand::Retune { .. } => {}
                }
            }
            let group = self.nodes.voice(*voice);
            self.scaffold_nodes.remove(&group);
            groups.push(group);
        }
        for synth in &synths.gone {
            free(&mut self.packets, self.nodes.synth(*synth));
        }
        groups
    }

    /// Gives what is new its nodes.
    fn renumber_nodes(&mut self, voices: &Matching, synths: &Matching, retired: Vec<i32>) {
        let old = |count: usize, node: &dyn Fn(usize) -> i32| (0..count).map(node).collect();
        let nodes = &self.nodes;
        let old_voices: Vec<i32> = old(self.config.voices.len(), &|voice| nodes.voice(voice));
        let old_synths: Vec<i32> = old(self.config.synths.len(), &|synth| nodes.synth(synth));
        let new_voices = voices.permute(old_voices, |_| self.nodes.allocate());
        let new_synths = synths.permute(old_synths, |_| self.nodes.allocate());
        self.nodes.replace(new_voices, new_synths, retired);
    }

    /// The values for the new configuration. Controls keep their last number, in a new range the
    /// number for the same value; those that lose their mapping are added to `channels`.
    fn carry_values(
        &self,
        config: &Config,
        channels: &mut Channels,
        voices: &Matching,
        synths: &Matching,
        buses: &Matching,
    ) -> Values {
        let old = &self.values;
        let mut values = Values::new(config, channels);
        for (new, before) in voices.pairs() {
            let synth = &config.voices[new].synth;
            let state = &mut values.voices[new];
            let old_controls = &self.channels.voice_controls[before];
            let controls = &mut channels.voice_controls[new];
            carry_controls(old_controls, &old.voices[before], synth, controls, state);
            let is_bend_gone = self.channels.is_target(&ChannelRole::Bend(before))
                && !channels.is_target(&ChannelRole::Bend(new));
            let (old_range, range) = (self.config.voices[before].bend, config.voices[new].bend);
            state.bend = match old.voices[before].bend {
                _ if is_bend_gone || old_range == 0.0 => 0.0,
                bend if range == old_range => bend,
                bend => bend / old_range * range,
            };
        }
        for (new, before) in synths.pairs() {
            let state = &mut values.synths[new];
            let old_controls = &self.channels.synth_controls[before];
            let controls = &mut channels.synth_controls[new];
            let synth = &config.synths[new];
            carry_controls(old_controls, &old.synths[before], synth, controls, state);
            state.is_paused = old.synths[before].is_paused;
        }
        for (new, before) in buses.pairs() {
            if let (BusKind::Control(old_scale), BusKind::Control(scale), Some(number)) =
                (&self.config.buses[before].kind, &config.buses[new].kind, old.buses[before])
            {
                values.buses[new] = carry(old_scale, scale, number);
            }
        }
        values.numbered = old.numbered.clone();
        values.mute = old.mute;
        values.level = carry(&self.config.level, &config.level, old.level).unwrap_or(values.level);
        values
    }

    /// Applies changed rules of a voice.
    fn change_rules(&mut self, voice: usize) {
        let rules = self.config.voices[voice].rules;
        if *self.voices[voice].rules() != rules {
            self.voices[voice].set_rules(rules, &mut self.commands);
            self.perform(voice);
        }
    }

    /// Releases keys and the pedal of a voice that no mapping can release any more.
    fn release_gone(&mut self, voice: usize, before: usize, old: &Channels) {
        let new = &self.channels;
        let is_gone = |old_role: ChannelRole, role: ChannelRole| {
            old.is_target(&old_role) && !new.is_target(&role)
        };
        let (ids, commands) = (&mut self.ids, &mut self.commands);
        let is_note_gone =
            |note| is_gone(ChannelRole::Note(before, note), ChannelRole::Note(voice, note));
        self.voices[voice].release_keys(is_note_gone, &mut || ids.allocate(), commands);
        if is_gone(ChannelRole::Sustain(before), ChannelRole::Sustain(voice)) {
            self.voices[voice].sustain(false, commands);
        }
        self.perform(voice);
    }

    /// Sets a bus of the configuration, if there is a number for it.
    fn send_bus(&mut self, bus: usize, number: Option<f32>) {
        if let (Some(index), Some(number)) = (self.bus(bus), number) {
            self.set_bus(index, number);
        }
    }

    /// Creates the groups of new voices and the new synths, and replaces the synths whose SynthDef
    /// has changed.
    fn create_added(&mut self, voices: &Matching, synths: &Matching, old: &[SynthConfig]) {
        for voice in (0..self.voices.len()).filter(|voice| voices.old_of_new[*voice].is_none()) {
            state::create_voice(&self.config, &self.nodes, voice, &mut self.packets);
        }
        for (index, before) in synths.old_of_new.iter().enumerate() {
            let synth = &self.config.synths[index];
            let place = match before.map(|before| &old[before].definition.name) {
                None => Place { action: AddAction::ToTail, target: self.nodes.group(synth.group) },
                Some(name) if *name == synth.definition.name => continue,
                Some(_) => {
                    let target = self.nodes.synth(index);
                    let node = self.nodes.allocate();
                    self.nodes.set_synth(index, node);
                    Place { action: AddAction::Replace, target }
                }
            };
            state::create_synth(
                synth,
                &self.channels.synth_controls[index],
                &self.values.synths[index],
                self.nodes.synth(index),
                place,
                &self.numbers,
                &mut self.packets,
            );
        }
    }

    /// Moves voices and synths into the groups and the order of the configuration.
    fn reorder(&mut self, before: &[Vec<i32>]) {
        for (group, before) in before.iter().enumerate() {
            let nodes = self.nodes.in_group(group, &self.config);
            let Some(first) = nodes.first().filter(|_| nodes != *before) else { continue };
            let group = self.nodes.group(group);
            self.packets.message("/g_head", |message| {
                message.int(group).int(*first);
            });
            for pair in nodes.windows(2) {
                self.packets.message("/n_after", |message| {
                    message.int(pair[1]).int(pair[0]);
                });
            }
        }
    }

    /// Sends what has changed of a voice to its notes.
    fn send_voice(&mut self, voice: usize, before: &Sent) {
        let now = self.sent_voice(voice);
        let definition = &self.config.voices[voice].synth.definition;
        let group = self.nodes.voice(voice);
        send_effects(&before.effects, &now.effects, definition, group, &mut self.packets);
        if let (Some(Loudness::Amplitude(name, _)), Some(base), true) =
            (self.keyboards[voice].loudness, now.amplitude, now.amplitude != before.amplitude)
        {
            for (node, _, velocity) in self.voices[voice].nodes() {
                let amplitude = base * (velocity * velocity) as f32;
                set_control(&mut self.packets, node, name, amplitude);
            }
        }
        if now.bend == before.bend {
            return;
        }
        match (self.keyboards[voice].bend, self.keyboards[voice].pitch) {
            (Some(name), _) => set_control(&mut self.packets, group, name, now.bend as f32),
            (None, Some(pitch)) => {
                for (node, note, _) in self.voices[voice].nodes() {
                    self.packets.message("/n_set", |message| {
                        message.int(node);
                        write_pitch(message, pitch, note, now.bend);
                    });
                }
            }
            (None, None) => {}
        }
    }
}

/// Whether two buses need the same allocation.
fn is_same_shape(one: &BusKind, other: &BusKind) -> bool {
    match (one, other) {
        (BusKind::Control(_), BusKind::Control(_)) => true,
        (BusKind::Audio(one), BusKind::Audio(other)) => one == other,
        _ => false,
    }
}

/// The number for the same value in another range. A number that is still the start value becomes
/// the new start value, if there is one.
fn carry(old: &Scale, new: &Scale, number: f32) -> Option<f32> {
    if old.start.is_some_and(|start| start as f32 == number) {
        return new.start.map(|start| start as f32);
    }
    if (old.low, old.high, old.curve) == (new.low, new.high, new.curve) {
        return Some(number);
    }
    old.value(f64::from(number)).map(|value| new.number(value) as f32)
}

/// Carries the numbers of a voice's or synth's controls over.
fn carry_controls(
    old_controls: &MappedControls,
    old: &SynthState,
    synth: &SynthConfig,
    controls: &mut MappedControls,
    state: &mut SynthState,
) {
    for ((name, old_scale), number) in old_controls.0.iter().zip(&old.controls) {
        let Some(number) = *number else { continue };
        let setting = synth.controls.iter().find(|(other, _)| other == name);
        let scale = match setting.map(|(_, setting)| *setting) {
            Some(Setting::Scaled(scale)) => scale,
            None => Scale::default_for(name),
            // The configuration sets it now.
            Some(_) => continue,
        };
        if check_control(&synth.definition, name).is_err() {
            continue;
        }
        let Some(number) = carry(old_scale, &scale, number) else { continue };
        let index = controls.find_or_add(name, scale);
        state.controls.resize(controls.0.len(), None);
        state.controls[index] = Some(number);
    }
}

/// Sends the controls that have changed to a synth, or to a group with all its synths.
fn send_effects(
    before: &BTreeMap<String, Effect>,
    now: &BTreeMap<String, Effect>,
    definition: &Definition,
    node: i32,
    packets: &mut Packets,
) {
    for (name, effect) in now.iter().filter(|(name, effect)| before.get(*name) != Some(effect)) {
        match *effect {
            Effect::Number(number) => set_control(packets, node, name, number),
            Effect::Follows(bus) => map_control(packets, node, name, bus as i32),
        }
    }
    for (name, effect) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
        match (definition.default_of(name), effect) {
            (Some(default), _) => set_control(packets, node, name, default),
            (None, Effect::Follows(_)) => map_control(packets, node, name, -1),
            (None, Effect::Number(_)) => {}
        }
    }
}

/// Makes a control follow a control bus; -1 is none.
fn map_control(packets: &mut Packets, node: i32, name: &str, bus: i32) {
    packets.message("/n_map", |message| {
        message.int(node).string(name).int(bus);
    });
}

fn free(packets: &mut Packets, node: i32) {
    packets.message("/n_free", |message| {
        message.int(node);
    });
}
