//! From values to messages for the server, and from what the server says of nodes to values. No
//! I/O: messages gather in `packets`, values for the show in `emits`.

use std::collections::BTreeSet;
use std::time::Duration;

use consort_osc::MessageBuilder;
use consort_sc::{AddAction, NodeIdAllocator};

use super::channels::{Channels, Control};
use super::config::{Config, Place, Setting};
use super::controls::{Scale, bend, frequency};
use super::packets::Packets;
use super::server::Up;
use super::state::{self, Keyboard, Loudness, Nodes, Pitch, Settings, Symbols, Values};
use super::voices::{Ending, Step, Voices};

/// A gate that ends an envelope within 20 ms, whatever its release is: -1 - seconds.
const CUT: f32 = -1.02;

/// More than a control period: a node that has seen two of these has begun.
const TICK: Duration = Duration::from_millis(3);
/// How many of these a voice of a score is given to fade: nothing tells of its end.
const SCORE_FADE: u16 = 700;
/// After two of these, a start that the server has not told of is believed all the same.
const LOST: Duration = Duration::from_millis(50);

pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) channels: Channels,
    values: Values,
    voices: Vec<Voices>,
    keyboards: Vec<Keyboard>,
    nodes: Nodes,
    /// Groups and master that the server has told of.
    frame: BTreeSet<i32>,
    is_torn: bool,
    ids: NodeIdAllocator,
    /// The server that runs; the last one when none does.
    up: Up,
    is_up: bool,
    symbols: Symbols,
    steps: Vec<Step>,
    /// Messages that are to be sent.
    pub(super) packets: Packets,
    /// Channels and values for the show.
    pub(super) emits: Vec<(u32, f64)>,
    /// The share of voices that was told last.
    told: Vec<usize>,
    complained: Vec<bool>,
}

impl Desk {
    pub(super) fn new(config: Config) -> Self {
        let channels = Channels::new(&config);
        Desk {
            channels,
            values: Values::default(),
            voices: config.voices.iter().map(|voice| Voices::new(voice.rules)).collect(),
            keyboards: config.voices.iter().map(Keyboard::new).collect(),
            nodes: Nodes::default(),
            frame: BTreeSet::new(),
            is_torn: false,
            ids: NodeIdAllocator::new(0, state::NOTES),
            up: Up::default(),
            is_up: false,
            symbols: Symbols::default(),
            steps: Vec::with_capacity(64),
            packets: Packets::default(),
            emits: Vec::new(),
            told: vec![0; config.voices.len()],
            complained: vec![false; config.voices.len()],
            config,
        }
    }

    /// When all channels are known: the values that there are from the start.
    pub(super) fn prepare(&mut self) {
        let voices = self.config.voices.iter().map(|voice| &voice.player);
        let reached = self.channels.of_voices.iter_mut().chain(&mut self.channels.of_synths);
        for (player, controls) in voices.chain(&self.config.synths).zip(reached) {
            for (name, setting) in &player.controls {
                if let Setting::Scaled(scale @ Scale { start: Some(_), .. }) = setting {
                    controls.find_or_add(name, *scale);
                }
            }
        }
        self.values = Values::new(&self.config, &self.channels);
    }

    /// The server that runs.
    pub(super) fn up(&self) -> &Up {
        &self.up
    }

    /// The number of a bus of the configuration on the server that runs.
    pub(super) fn bus(&self, at: usize) -> Option<u32> {
        self.up.buses.get(at).copied()
    }

    /// A new server: it is told everything. Returns how many notes could not be restored.
    pub(super) fn go_up(&mut self, up: Up) -> u64 {
        self.packets.clear();
        self.nodes = Nodes::new(up.client, &self.config);
        if self.ids.allocate() >> 26 != up.client as i32 {
            self.ids = NodeIdAllocator::new(up.client, state::NOTES);
        }
        self.symbols = Symbols::new(&up);
        self.up = up;
        self.is_up = true;
        if !self.up.is_owned {
            // What an earlier show of this login has left.
            state::free(&self.config, &self.nodes, &mut self.packets);
        }
        self.rebuild();
        let mut forgotten = 0;
        for voice in 0..self.voices.len() {
            let ids = &mut self.ids;
            let count = self.voices[voice].restore(&mut || ids.allocate(), &mut self.steps);
            forgotten += count as u64;
            self.perform(voice);
        }
        forgotten
    }

    fn rebuild(&mut self) {
        self.is_torn = false;
        self.frame.clear();
        let settings = Settings { up: &self.up, symbols: &self.symbols };
        state::rebuild(
            &self.config,
            &self.channels,
            &self.values,
            &self.nodes,
            &settings,
            &mut self.packets,
        );
    }

    /// The server is gone.
    pub(super) fn go_down(&mut self) {
        self.is_up = false;
        self.packets.clear();
        for voice in 0..self.voices.len() {
            for (_, note, _) in self.voices[voice].nodes() {
                if let Some(channel) = self.channels.source(&Control::Note(voice, note)) {
                    self.emits.push((channel, 0.0));
                }
            }
            if !self.config.restores_notes {
                self.voices[voice].clear();
            }
            self.tell_voices(voice);
        }
        for synth in 0..self.config.synths.len() {
            self.tell(&Control::Run(synth), 0.0);
        }
    }

    /// The show ends: every note is released.
    pub(super) fn release_all(&mut self) {
        for voice in 0..self.voices.len() {
            self.voices[voice].release_all(&mut self.steps);
            self.perform(voice);
        }
    }

    /// How many notes were ended for others, and refused.
    pub(super) fn losses(&self) -> (u64, u64) {
        self.voices.iter().fold((0, 0), |sum, it| (sum.0 + it.stolen, sum.1 + it.refused))
    }

    fn tell(&mut self, control: &Control, value: f64) {
        if let Some(channel) = self.channels.source(control) {
            self.emits.push((channel, value));
        }
    }

    fn tell_voices(&mut self, voice: usize) {
        let count = if self.is_up { self.voices[voice].len() } else { 0 };
        if self.told[voice] != count {
            self.told[voice] = count;
            let polyphony = self.voices[voice].rules().polyphony;
            self.tell(&Control::Voices(voice), count as f64 / polyphony as f64);
        }
    }

    /// Takes a value. Returns how many notes were dropped for it.
    pub(super) fn deliver(&mut self, channel: u32, value: f64) -> u64 {
        match *self.channels.control(channel) {
            Control::Note(voice, note) => return self.key(voice, note, value),
            Control::NotePressure(voice, note) => self.note_pressure(voice, note, value),
            Control::Bend(voice) => self.bend(voice, value),
            Control::Sustain(voice) => {
                self.voices[voice].sustain(value >= 0.5, &mut self.steps);
                self.perform(voice);
            }
            Control::Silence(voice) if value > 0.0 => self.silence(voice),
            Control::Panic if value > 0.0 => {
                (0..self.voices.len()).for_each(|voice| self.silence(voice));
            }
            Control::OfVoice(voice, control) => self.voice_control(voice, control, value),
            Control::OfSynth(synth, control) => {
                let (name, scale) = &self.channels.of_synths[synth].0[control];
                let number = scale.number(value) as f32;
                self.values.synths[synth].controls[control] = Some(number);
                let node = self.nodes.synth(synth);
                set(&mut self.packets, node, name, number);
            }
            Control::Run(synth) => {
                self.values.synths[synth].is_paused = value <= 0.0;
                let node = self.nodes.synth(synth);
                self.packets.message("/n_run", |it| {
                    it.int(node).int((value > 0.0).into());
                });
            }
            Control::NamedBus(bus) => {
                if let super::config::BusKind::Control(scale) = self.config.buses[bus].kind {
                    let number = scale.number(value) as f32;
                    self.values.buses[bus] = Some(number);
                    if let Some(at) = self.bus(bus) {
                        self.set_bus(at, number);
                    }
                }
            }
            Control::NumberedBus(at) => {
                let number = value.clamp(0.0, 1.0) as f32;
                self.values.numbered.insert(at, number);
                self.set_bus(at, number);
            }
            Control::Level => {
                self.values.level = self.config.level.number(value) as f32;
                self.set_master();
            }
            Control::Mute => {
                self.values.mute = value >= 0.5;
                self.set_master();
            }
            // Sources, and values of 0 that silence nothing.
            _ => {}
        }
        0
    }

    fn set_bus(&mut self, at: u32, number: f32) {
        self.packets.message("/c_set", |it| {
            it.int(at as i32).float(number);
        });
    }

    fn set_master(&mut self) {
        let (node, level) = (self.nodes.master(), self.values.master());
        set(&mut self.packets, node, "level", level);
    }

    fn key(&mut self, voice: usize, note: u8, velocity: f64) -> u64 {
        let voices = &mut self.voices[voice];
        let is_kept = self.config.restores_notes && voices.rules().ending != Ending::Itself;
        if !self.is_up && !is_kept {
            return u64::from(velocity > 0.0);
        }
        let stolen = voices.stolen;
        let ids = &mut self.ids;
        let is_played = voices.key(note, velocity, &mut || ids.allocate(), &mut self.steps);
        if voices.stolen > stolen {
            self.tell(&Control::Stolen(voice), 1.0);
            self.complain(voice, "notes are ended for others");
        } else if !is_played {
            self.complain(voice, "notes are refused");
        }
        self.perform(voice);
        u64::from(!is_played)
    }

    /// Says once of each voice that its polyphony is exhausted.
    fn complain(&mut self, voice: usize, what: &str) {
        if !std::mem::replace(&mut self.complained[voice], true) {
            let (name, rules) =
                (&self.config.voices[voice].player.name, self.voices[voice].rules());
            tracing::warn!(
                "all {} voices of `{name}` are taken: {what}; they are counted, and it is said \
                 once (`voice.{name}.polyphony` and `voice.{name}.steal` change it)",
                rules.polyphony
            );
        }
    }

    fn silence(&mut self, voice: usize) {
        let group = self.nodes.voice(voice);
        self.packets.message("/g_freeAll", |it| {
            it.int(group);
        });
        self.forget_notes(voice);
    }

    /// The notes of a voice have ended, all of them.
    fn forget_notes(&mut self, voice: usize) {
        for (_, note, _) in self.voices[voice].nodes() {
            if let Some(channel) = self.channels.source(&Control::Note(voice, note)) {
                self.emits.push((channel, 0.0));
            }
        }
        self.voices[voice].clear();
        self.tell_voices(voice);
    }

    fn bend(&mut self, voice: usize, value: f64) {
        let semitones = bend(value) * self.config.voices[voice].bend;
        self.values.voices[voice].bend = semitones;
        match (self.keyboards[voice].bend, self.keyboards[voice].pitch) {
            (Some(name), _) => {
                set(&mut self.packets, self.nodes.voice(voice), name, semitones as f32);
            }
            (None, Some(pitch)) => {
                for (node, note, _) in self.voices[voice].nodes() {
                    self.packets.message("/n_set", |it| {
                        it.int(node);
                        write_pitch(it, pitch, note, semitones);
                    });
                }
            }
            (None, None) => {}
        }
    }

    fn note_pressure(&mut self, voice: usize, note: u8, value: f64) {
        let controls = &self.channels.of_voices[voice].0;
        let Some((name, scale)) = controls.iter().find(|it| it.0 == "pressure") else { return };
        let number = scale.number(value) as f32;
        for (node, ..) in self.voices[voice].nodes().filter(|it| it.1 == note) {
            set(&mut self.packets, node, name, number);
        }
    }

    fn voice_control(&mut self, voice: usize, control: usize, value: f64) {
        let (name, scale) = &self.channels.of_voices[voice].0[control];
        let number = scale.number(value) as f32;
        self.values.voices[voice].controls[control] = Some(number);
        match self.keyboards[voice].loudness {
            // Each voice has its own, by its velocity.
            Some(Loudness::Amplitude(loudness, _)) if loudness == name => {
                for (node, _, velocity) in self.voices[voice].nodes() {
                    set(&mut self.packets, node, name, number * (velocity * velocity) as f32);
                }
            }
            _ => set(&mut self.packets, self.nodes.voice(voice), name, number),
        }
    }

    /// Does what the voices want done.
    fn perform(&mut self, voice: usize) {
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.drain(..) {
            match step {
                Step::Start { node, note, velocity, from } => {
                    self.start(voice, node, from.unwrap_or(note), velocity);
                    if from.is_some() {
                        self.retune(voice, node, note);
                    }
                }
                Step::Retune { node, note } => self.retune(voice, node, note),
                Step::Release { node } => set(&mut self.packets, node, "gate", 0.0),
                Step::Cut { node, note, is_new } => {
                    if self.voices[voice].rules().ending == Ending::Gate && !is_new {
                        set(&mut self.packets, node, "gate", CUT);
                    } else {
                        self.packets.message("/n_free", |it| {
                            it.int(node);
                        });
                    }
                    if !self.voices[voice].is_sounding(note) {
                        self.tell(&Control::Note(voice, note), 0.0);
                    }
                }
            }
        }
        self.steps = steps;
        self.tell_voices(voice);
    }

    fn retune(&mut self, voice: usize, node: i32, note: u8) {
        let Some(pitch) = self.keyboards[voice].pitch else { return };
        let state = &self.values.voices[voice];
        let semitones = if self.keyboards[voice].bend.is_some() { 0.0 } else { state.bend };
        self.packets.message("/n_set", |it| {
            it.int(node);
            write_pitch(it, pitch, note, semitones);
        });
    }

    fn start(&mut self, voice: usize, node: i32, note: u8, velocity: f64) {
        let config = &self.config.voices[voice];
        let controls = &self.channels.of_voices[voice];
        let state = &self.values.voices[voice];
        let keyboard = &self.keyboards[voice];
        let settings = Settings { up: &self.up, symbols: &self.symbols };
        let group = self.nodes.voice(voice);
        self.packets.message("/s_new", |it| {
            it.string(&config.player.definition.name);
            it.int(node).int(AddAction::ToTail.code()).int(group);
            if let Some(pitch) = keyboard.pitch {
                let bend = if keyboard.bend.is_some() { 0.0 } else { state.bend };
                write_pitch(it, pitch, note, bend);
            }
            if let Some(name) = keyboard.bend {
                it.string(name).float(state.bend as f32);
            }
            if let (Some(name), true) = (keyboard.glide, config.glide > 0.0) {
                it.string(name).float(config.glide as f32);
            }
            let mut without = None;
            match keyboard.loudness {
                Some(Loudness::Velocity(name)) => {
                    it.string(name).float(velocity as f32);
                    without = Some(name);
                }
                Some(Loudness::Amplitude(name, base)) => {
                    let at = controls.0.iter().position(|it| it.0 == name);
                    let base = at.and_then(|at| state.controls[at]).unwrap_or(base);
                    it.string(name).float(base * (velocity * velocity) as f32);
                    without = Some(name);
                }
                None => {}
            }
            settings.write(it, &config.player, controls, state, without);
        });
    }

    /// Whether starts are not waited for: what has a time is in order by itself, and a score
    /// says nothing.
    fn begins_by_time(&self) -> bool {
        self.config.latency.is_some() || self.is_score()
    }

    fn is_score(&self) -> bool {
        matches!(self.config.place, Place::Score(_))
    }

    /// When to call [`Desk::tick`], if at all: where the server says what has begun, only for
    /// the case that its word is lost.
    pub(super) fn next_tick(&self) -> Option<Duration> {
        let by_time = self.begins_by_time();
        if self.is_score() && self.voices.iter().any(Voices::has_fading) {
            return Some(TICK);
        }
        let has_new = self.voices.iter().any(|it| it.has_new(!by_time));
        has_new.then_some(if by_time { TICK } else { LOST })
    }

    /// Time has passed.
    pub(super) fn tick(&mut self) {
        for voice in 0..self.voices.len() {
            let fade = self.is_score().then_some(SCORE_FADE);
            self.voices[voice].tick(fade, &mut self.steps);
            self.perform(voice);
        }
    }

    /// The show ends, and the server is somebody else's: nothing is left behind.
    pub(super) fn leave(&mut self) {
        state::free(&self.config, &self.nodes, &mut self.packets);
    }

    /// Whether another program has freed what the show's nodes are in, as Cmd-period in `sclang`
    /// does: every note would be refused from then on.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Makes everything again but the notes, which somebody wanted to end.
    pub(super) fn mend(&mut self) {
        (0..self.voices.len()).for_each(|voice| self.forget_notes(voice));
        // Of this one's end nothing may have been told yet; the server refuses it if it is there.
        let (group, tail) = (self.nodes.default_group(), AddAction::ToTail.code());
        self.packets.message("/g_new", |it| {
            it.int(group).int(tail).int(0);
        });
        // What is left of it.
        state::free(&self.config, &self.nodes, &mut self.packets);
        self.rebuild();
    }

    /// The server says that a node has started.
    pub(super) fn started(&mut self, node: i32) {
        if self.nodes.is_frame(node) {
            self.frame.insert(node);
            return;
        }
        if let Some(synth) = self.nodes.synth_of(node) {
            self.tell(&Control::Run(synth), 1.0);
            return;
        }
        for voice in 0..self.voices.len() {
            let found = self.voices[voice].nodes().find(|it| it.0 == node);
            if let Some((_, note, velocity)) = found {
                self.tell(&Control::Note(voice, note), velocity);
                if !self.begins_by_time() {
                    self.voices[voice].begun(node, &mut self.steps);
                    self.perform(voice);
                }
                return;
            }
        }
    }

    /// The server says that a node has ended.
    pub(super) fn ended(&mut self, node: i32) {
        // Of those that the show itself frees, nothing has been told since.
        if self.frame.remove(&node) {
            self.is_torn |= self.is_up;
            return;
        }
        if let Some(synth) = self.nodes.synth_of(node) {
            self.tell(&Control::Run(synth), 0.0);
            return;
        }
        for voice in 0..self.voices.len() {
            if let Some(note) = self.voices[voice].ended(node) {
                if !self.voices[voice].is_sounding(note) {
                    self.tell(&Control::Note(voice, note), 0.0);
                }
                return self.tell_voices(voice);
            }
        }
    }

    /// The server says that a node runs again, or pauses.
    pub(super) fn paused(&mut self, node: i32, is_paused: bool) {
        if let Some(synth) = self.nodes.synth_of(node) {
            self.tell(&Control::Run(synth), if is_paused { 0.0 } else { 1.0 });
        }
    }
}

fn set(packets: &mut Packets, node: i32, name: &str, number: f32) {
    packets.message("/n_set", |it| {
        it.int(node).string(name).float(number);
    });
}

fn write_pitch(writer: &mut MessageBuilder<'_, Vec<u8>>, pitch: Pitch, note: u8, semitones: f64) {
    let note = f64::from(note) + semitones;
    match pitch {
        Pitch::Hertz(name) => writer.string(name).float(frequency(note) as f32),
        Pitch::Note(name) => writer.string(name).float(note as f32),
    };
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
