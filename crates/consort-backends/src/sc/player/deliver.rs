//! Values of the show: each becomes messages for the server, and the state for the next one.

use super::super::channels::ChannelRole;
use super::super::config::BusKind;
use super::super::controls::bend;
use super::super::state::Loudness;
use super::super::voices::Ending;
use super::notes::write_pitch;
use super::{Player, set_control};

impl Player {
    /// Takes a value. Returns how many notes were dropped because of it.
    pub(in crate::sc) fn deliver(&mut self, channel: u32, value: f64) -> u64 {
        match *self.channels.role(channel) {
            ChannelRole::Note(voice, note) => return self.key(voice, note, value),
            ChannelRole::NotePressure(voice, note) => self.note_pressure(voice, note, value),
            ChannelRole::Bend(voice) => self.bend(voice, value),
            ChannelRole::Sustain(voice) => {
                self.voices[voice].sustain(value >= 0.5, &mut self.commands);
                self.perform(voice);
            }
            ChannelRole::VoicePanic(voice) if value > 0.0 => self.silence(voice),
            ChannelRole::Panic if value > 0.0 => self.silence_all(),
            ChannelRole::VoiceControl(voice, control) => self.voice_control(voice, control, value),
            ChannelRole::SynthControl(synth, control) => {
                let (name, scale) = &self.channels.synth_controls[synth].0[control];
                let number = scale.number(value) as f32;
                self.values.synths[synth].controls[control] = Some(number);
                let node = self.nodes.synth(synth);
                set_control(&mut self.packets, node, name, number);
            }
            ChannelRole::Run(synth) => {
                self.values.synths[synth].is_paused = value <= 0.0;
                let node = self.nodes.synth(synth);
                self.packets.message("/n_run", |message| {
                    message.int(node).int((value > 0.0).into());
                });
            }
            ChannelRole::NamedBus(bus) => {
                if let BusKind::Control(scale) = self.config.buses[bus].kind {
                    let number = scale.number(value) as f32;
                    self.values.buses[bus] = Some(number);
                    if let Some(index) = self.bus(bus) {
                        self.set_bus(index, number);
                    }
                }
            }
            ChannelRole::NumberedBus(index) => {
                let number = value.clamp(0.0, 1.0) as f32;
                self.values.numbered.insert(index, number);
                self.set_bus(index, number);
            }
            ChannelRole::Level => {
                self.values.level = self.config.level.number(value) as f32;
                self.set_master();
            }
            ChannelRole::Mute => {
                self.values.mute = value >= 0.5;
                self.set_master();
            }
            // Channels that are sources only, and panic channels with the value 0.
            _ => {}
        }
        0
    }

    pub(super) fn set_bus(&mut self, index: u32, number: f32) {
        self.packets.message("/c_set", |message| {
            message.int(index as i32).float(number);
        });
    }

    fn set_master(&mut self) {
        let (node, level) = (self.nodes.master(), self.values.master());
        set_control(&mut self.packets, node, "level", level);
    }

    fn key(&mut self, voice: usize, note: u8, velocity: f64) -> u64 {
        let voices = &mut self.voices[voice];
        let is_kept = self.config.restores_notes && voices.rules().ending != Ending::Itself;
        if !self.is_server_ready && !is_kept {
            return u64::from(velocity > 0.0);
        }
        let stolen = voices.stolen;
        let ids = &mut self.ids;
        let is_played = voices.key(note, velocity, &mut || ids.allocate(), &mut self.commands);
        if voices.stolen > stolen {
            self.emit(&ChannelRole::Stolen(voice), 1.0);
            self.warn_exhausted(voice, "new notes steal voices");
        } else if !is_played {
            self.warn_exhausted(voice, "new notes are dropped");
        }
        self.perform(voice);
        u64::from(!is_played)
    }

    /// Reports once for each voice that its polyphony is exhausted.
    fn warn_exhausted(&mut self, voice: usize, consequence: &str) {
        if self.exhausted[voice].is_first() {
            let (name, rules) = (&self.config.voices[voice].synth.name, self.voices[voice].rules());
            let polyphony = rules.polyphony;
            tracing::warn!(
                "`{name}` already plays {polyphony} notes, its maximum: {consequence} (reported \
                 only once); to change this, set `voice.{name}.polyphony` or `voice.{name}.steal`"
            );
        }
    }

    /// Ends all notes at once, those of removed voices included.
    pub(in crate::sc) fn silence_all(&mut self) {
        (0..self.voices.len()).for_each(|voice| self.silence(voice));
        for group in self.nodes.take_retired() {
            self.packets.message("/n_free", |message| {
                message.int(group);
            });
        }
    }

    /// Ends all notes of a voice at once.
    fn silence(&mut self, voice: usize) {
        let group = self.nodes.voice(voice);
        self.packets.message("/g_freeAll", |message| {
            message.int(group);
        });
        self.forget_notes(voice);
    }

    fn bend(&mut self, voice: usize, value: f64) {
        let semitones = bend(value) * self.config.voices[voice].bend;
        self.values.voices[voice].bend = semitones;
        match (self.keyboards[voice].bend, self.keyboards[voice].pitch) {
            (Some(name), _) => {
                let group = self.nodes.voice(voice);
                set_control(&mut self.packets, group, name, semitones as f32);
            }
            (None, Some(pitch)) => {
                for (node, note, _) in self.voices[voice].nodes() {
                    self.packets.message("/n_set", |message| {
                        message.int(node);
                        write_pitch(message, pitch, note, semitones);
                    });
                }
            }
            (None, None) => {}
        }
    }

    fn note_pressure(&mut self, voice: usize, note: u8, value: f64) {
        let controls = &self.channels.voice_controls[voice].0;
        let Some((name, scale)) = controls.iter().find(|(name, _)| name == "pressure") else {
            return;
        };
        let number = scale.number(value) as f32;
        for (node, ..) in self.voices[voice].nodes().filter(|(_, other, _)| *other == note) {
            set_control(&mut self.packets, node, name, number);
        }
    }

    fn voice_control(&mut self, voice: usize, control: usize, value: f64) {
        let (name, scale) = &self.channels.voice_controls[voice].0[control];
        let number = scale.number(value) as f32;
        self.values.voices[voice].controls[control] = Some(number);
        match self.keyboards[voice].loudness {
            // The amplitude of each note also depends on its velocity.
            Some(Loudness::Amplitude(loudness, _)) if loudness == name => {
                for (node, _, velocity) in self.voices[voice].nodes() {
                    let amplitude = number * (velocity * velocity) as f32;
                    set_control(&mut self.packets, node, name, amplitude);
                }
            }
            _ => set_control(&mut self.packets, self.nodes.voice(voice), name, number),
        }
    }
}
