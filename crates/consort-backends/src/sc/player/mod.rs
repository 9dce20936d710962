//! Turns values into messages for the server, and the server's node notifications into values.
//!
//! The player has no I/O and no clock: messages gather in `packets`, values for the show in
//! `emits`, and the instance sends both. `deliver` handles the values, `notes` the commands of
//! the voices, `adopt` a reloaded configuration.

mod adopt;
#[cfg(test)]
mod adopt_tests;
mod deliver;
mod notes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use consort_router::WarnOnce;
use consort_sc::{AddAction, NodeIdAllocator};

use super::channels::{ChannelRole, Channels};
use super::config::{Config, Place};
use super::packets::Packets;
use super::server::ServerInfo;
use super::state::{self, Keyboard, Nodes, Numbers, Resources, Values};
use super::voices::{VoiceCommand, Voices};

/// Longer than a control period of the server: a node that is two of these old has started.
const CONTROL_PERIOD: Duration = Duration::from_millis(3);
/// How many of these periods a voice of a score fades: a score reports no ends of nodes.
const SCORE_FADE_PERIODS: u16 = 700;
/// After two of these, a node whose start the server has not reported counts as started.
const NODE_START_TIMEOUT: Duration = Duration::from_millis(50);

/// Everything that an instance knows about its server: which voices sound, which values the
/// controls have, and which nodes the server has reported.
pub(super) struct Player {
    pub(super) config: Config,
    pub(super) channels: Channels,
    values: Values,
    voices: Vec<Voices>,
    keyboards: Vec<Keyboard>,
    nodes: Nodes,
    /// The groups and the master, as far as the server has reported their starts.
    scaffold_nodes: BTreeSet<i32>,
    needs_rebuild: bool,
    ids: NodeIdAllocator,
    /// The running server, or the last one while none runs.
    server: ServerInfo,
    is_server_ready: bool,
    /// What every server loads, since the instance was opened.
    resources: Resources,
    numbers: Numbers,
    /// The control buses with fixed numbers, which no server allocates.
    fixed_buses: BTreeSet<u32>,
    commands: Vec<VoiceCommand>,
    /// Messages to send.
    pub(super) packets: Packets,
    /// Channels and values for the show.
    pub(super) emits: Vec<(u32, f64)>,
    /// The number of voices that `VOICE.voices` reported last, of each voice.
    last_reported: Vec<usize>,
    /// Whether the exhausted polyphony of each voice has been reported.
    exhausted: Vec<WarnOnce>,
}

impl Player {
    /// The player of an instance whose channels are all known.
    pub(super) fn new(config: Config, mut channels: Channels) -> Self {
        channels.add_start_values(&config);
        Player {
            values: Values::new(&config, &channels),
            voices: config.voices.iter().map(|voice| Voices::new(voice.rules)).collect(),
            keyboards: config.voices.iter().map(Keyboard::new).collect(),
            nodes: Nodes::new(0, &config),
            scaffold_nodes: BTreeSet::new(),
            needs_rebuild: false,
            ids: NodeIdAllocator::new(0, state::FIRST_NOTE_NODE),
            server: ServerInfo::default(),
            is_server_ready: false,
            resources: Resources::new(&config),
            numbers: Numbers::default(),
            fixed_buses: fixed_buses(&config, &channels).collect(),
            commands: Vec::with_capacity(64),
            packets: Packets::default(),
            emits: Vec::new(),
            last_reported: vec![0; config.voices.len()],
            exhausted: vec![WarnOnce::default(); config.voices.len()],
            channels,
            config,
        }
    }

    /// The control buses with fixed numbers, which no server allocates.
    pub(super) fn fixed_buses(&self) -> &BTreeSet<u32> {
        &self.fixed_buses
    }

    /// Whether a server runs and has everything loaded.
    pub(super) fn is_server_ready(&self) -> bool {
        self.is_server_ready
    }

    /// The running server, or the last one while none runs.
    pub(super) fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The number that a bus of the configuration has on the running server.
    pub(super) fn bus(&self, index: usize) -> Option<u32> {
        self.numbers.buses.get(index).copied()
    }

    /// Sends the whole state to a new server. Returns how many notes could not be restored.
    pub(super) fn on_server_ready(&mut self, server: ServerInfo) -> u64 {
        self.packets.clear();
        self.nodes = Nodes::new(server.client, &self.config);
        if self.ids.allocate() >> 26 != server.client as i32 {
            self.ids = NodeIdAllocator::new(server.client, state::FIRST_NOTE_NODE);
        }
        self.numbers = Numbers::new(&self.config, &self.resources, &server);
        self.server = server;
        self.is_server_ready = true;
        if !self.server.is_owned {
            // An earlier show with the same client number may have left nodes behind.
            state::free(&self.config, &self.nodes, &mut self.packets);
        }
        self.build();
        let mut forgotten = 0;
        for voice in 0..self.voices.len() {
            let ids = &mut self.ids;
            let count = self.voices[voice].restore(&mut || ids.allocate(), &mut self.commands);
            forgotten += count as u64;
            self.perform(voice);
        }
        forgotten
    }

    /// Creates groups, fixed synths and the master, and sets buses and controls.
    fn build(&mut self) {
        self.needs_rebuild = false;
        self.scaffold_nodes.clear();
        state::build(
            &self.config,
            &self.channels,
            &self.values,
            &self.nodes,
            &self.numbers,
            self.server.meter,
            &mut self.packets,
        );
    }

    /// Reports that nothing sounds any more; keeps held notes if they are to be restored.
    pub(super) fn on_server_lost(&mut self) {
        self.is_server_ready = false;
        self.packets.clear();
        for voice in 0..self.voices.len() {
            self.emit_note_ends(voice);
            if !self.config.restores_notes {
                self.voices[voice].clear();
            }
            self.emit_voice_count(voice);
        }
        for synth in 0..self.config.synths.len() {
            self.emit(&ChannelRole::Run(synth), 0.0);
        }
    }

    /// Releases every note, because the show ends.
    pub(super) fn release_all(&mut self) {
        for voice in 0..self.voices.len() {
            self.voices[voice].release_all(&mut self.commands);
            self.perform(voice);
        }
    }

    /// How many notes were stolen by others, and how many were refused.
    pub(super) fn losses(&self) -> (u64, u64) {
        self.voices.iter().fold((0, 0), |(stolen, refused), voices| {
            (stolen + voices.stolen, refused + voices.refused)
        })
    }

    fn emit(&mut self, role: &ChannelRole, value: f64) {
        if let Some(channel) = self.channels.source(role) {
            self.emits.push((channel, value));
        }
    }

    fn emit_note_ends(&mut self, voice: usize) {
        for (_, note, _) in self.voices[voice].nodes() {
            if let Some(channel) = self.channels.source(&ChannelRole::Note(voice, note)) {
                self.emits.push((channel, 0.0));
            }
        }
    }

    fn emit_voice_count(&mut self, voice: usize) {
        let count = if self.is_server_ready { self.voices[voice].len() } else { 0 };
        if self.last_reported[voice] != count {
            self.last_reported[voice] = count;
            let polyphony = self.voices[voice].rules().polyphony;
            // There are more voices than the polyphony after a reload has lowered it.
            let share = (count as f64 / polyphony as f64).min(1.0);
            self.emit(&ChannelRole::Voices(voice), share);
        }
    }

    /// Forgets all notes of a voice, because they have ended.
    fn forget_notes(&mut self, voice: usize) {
        self.emit_note_ends(voice);
        self.voices[voice].clear();
        self.emit_voice_count(voice);
    }

    /// Whether releases are sent without waiting for the report that the node has started.
    /// Messages with a time take effect in order anyway, and a score reports nothing.
    fn starts_by_time(&self) -> bool {
        self.config.latency.is_some() || self.is_score()
    }

    fn is_score(&self) -> bool {
        matches!(self.config.place, Place::Score(_))
    }

    /// When to call [`Player::tick`] next, if at all. A server that reports the starts of nodes
    /// needs it only in case a report is lost.
    pub(super) fn next_tick(&self) -> Option<Duration> {
        let by_time = self.starts_by_time();
        if self.is_score() && self.voices.iter().any(Voices::has_fading) {
            return Some(CONTROL_PERIOD);
        }
        let has_new = self.voices.iter().any(|voices| voices.has_new(!by_time));
        has_new.then_some(if by_time { CONTROL_PERIOD } else { NODE_START_TIMEOUT })
    }

    /// Advances the age of the voices by one period.
    pub(super) fn tick(&mut self) {
        for voice in 0..self.voices.len() {
            let fade = self.is_score().then_some(SCORE_FADE_PERIODS);
            self.voices[voice].tick(fade, &mut self.commands);
            self.perform(voice);
        }
    }

    /// Frees every node of the show, because the show ends and the server runs on.
    pub(super) fn leave(&mut self) {
        state::free(&self.config, &self.nodes, &mut self.packets);
    }

    /// Whether another program has freed the groups of the show, as Cmd-period in `sclang` does.
    /// Until [`Player::rebuild`] the server would refuse every note.
    pub(super) fn needs_rebuild(&self) -> bool {
        self.needs_rebuild
    }

    /// Creates everything again except the notes, which the other program ended on purpose.
    pub(super) fn rebuild(&mut self) {
        (0..self.voices.len()).for_each(|voice| self.forget_notes(voice));
        // The default group may be gone, too, and its end may be reported only later. Where it
        // still exists, the server refuses the message, which is harmless.
        let (group, tail) = (self.nodes.default_group(), AddAction::ToTail.code());
        self.packets.message("/g_new", |message| {
            message.int(group).int(tail).int(0);
        });
        state::free(&self.config, &self.nodes, &mut self.packets);
        self.build();
    }

    /// Handles the server's report that a node has started.
    pub(super) fn on_node_started(&mut self, node: i32) {
        if self.nodes.is_scaffold(node) {
            self.scaffold_nodes.insert(node);
            return;
        }
        if let Some(synth) = self.nodes.synth_of(node) {
            self.emit(&ChannelRole::Run(synth), 1.0);
            return;
        }
        for voice in 0..self.voices.len() {
            let found = self.voices[voice].nodes().find(|(id, ..)| *id == node);
            if let Some((_, note, velocity)) = found {
                self.emit(&ChannelRole::Note(voice, note), velocity);
                if !self.starts_by_time() {
                    self.voices[voice].on_started(node, &mut self.commands);
                    self.perform(voice);
                }
                return;
            }
        }
    }

    /// Handles the server's report that a node has ended.
    pub(super) fn on_node_ended(&mut self, node: i32) {
        // Nodes that the show frees itself are not in the set: `build` clears it.
        if self.scaffold_nodes.remove(&node) {
            self.needs_rebuild |= self.is_server_ready;
            return;
        }
        if let Some(synth) = self.nodes.synth_of(node) {
            self.emit(&ChannelRole::Run(synth), 0.0);
            return;
        }
        for voice in 0..self.voices.len() {
            if let Some(note) = self.voices[voice].on_ended(node) {
                if !self.voices[voice].is_sounding(note) {
                    self.emit(&ChannelRole::Note(voice, note), 0.0);
                }
                return self.emit_voice_count(voice);
            }
        }
    }

    /// Handles the server's report that a node has paused or runs again.
    pub(super) fn on_node_paused(&mut self, node: i32, is_paused: bool) {
        if let Some(synth) = self.nodes.synth_of(node) {
            self.emit(&ChannelRole::Run(synth), if is_paused { 0.0 } else { 1.0 });
        }
    }
}

/// The control buses that the configuration or mappings name by number.
fn fixed_buses(config: &Config, channels: &Channels) -> impl Iterator<Item = u32> {
    config.buses.iter().filter_map(|bus| bus.number).chain(channels.numbered_buses())
}

/// Writes `/n_set` with one control.
fn set_control(packets: &mut Packets, node: i32, name: &str, number: f32) {
    packets.message("/n_set", |message| {
        message.int(node).string(name).float(number);
    });
}
