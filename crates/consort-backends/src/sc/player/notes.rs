//! Commands of the voices as messages: starting, retuning, releasing and cutting notes.

use consort_osc::MessageBuilder;
use consort_sc::AddAction;

use super::super::channels::ChannelRole;
use super::super::controls::frequency;
use super::super::state::{Loudness, Pitch};
use super::super::voices::VoiceCommand;
use super::{Player, set_control};

/// A gate value with which the server ends an envelope within 20 ms, whatever its release is:
/// a gate of -1 - t releases in t seconds.
pub(super) const FORCED_RELEASE_GATE: f32 = -1.02;

impl Player {
    /// Sends the commands that the voices have given.
    pub(super) fn perform(&mut self, voice: usize) {
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            match command {
                VoiceCommand::Start { node, note, velocity, from } => {
                    self.start(voice, node, from.unwrap_or(note), velocity);
                    if from.is_some() {
                        self.retune(voice, node, note);
                    }
                }
                VoiceCommand::Retune { node, note } => self.retune(voice, node, note),
                VoiceCommand::Release { node } => {
                    set_control(&mut self.packets, node, "gate", 0.0);
                }
                VoiceCommand::Cut { node, note, by_gate } => {
                    if by_gate {
                        set_control(&mut self.packets, node, "gate", FORCED_RELEASE_GATE);
                    } else {
                        self.packets.message("/n_free", |message| {
                            message.int(node);
                        });
                    }
                    if !self.voices[voice].is_sounding(note) {
                        self.emit(&ChannelRole::Note(voice, note), 0.0);
                    }
                }
            }
        }
        self.commands = commands;
        self.emit_voice_count(voice);
    }

    fn retune(&mut self, voice: usize, node: i32, note: u8) {
        let Some(pitch) = self.keyboards[voice].pitch else { return };
        let state = &self.values.voices[voice];
        let semitones = if self.keyboards[voice].bend.is_some() { 0.0 } else { state.bend };
        self.packets.message("/n_set", |message| {
            message.int(node);
            write_pitch(message, pitch, note, semitones);
        });
    }

    fn start(&mut self, voice: usize, node: i32, note: u8, velocity: f64) {
        let config = &self.config.voices[voice];
        let controls = &self.channels.voice_controls[voice];
        let state = &self.values.voices[voice];
        let keyboard = &self.keyboards[voice];
        let numbers = &self.numbers;
        let group = self.nodes.voice(voice);
        self.packets.message("/s_new", |message| {
            message.string(&config.synth.definition.name);
            message.int(node).int(AddAction::ToTail.code()).int(group);
            if let Some(pitch) = keyboard.pitch {
                let bend = if keyboard.bend.is_some() { 0.0 } else { state.bend };
                write_pitch(message, pitch, note, bend);
            }
            if let Some(name) = keyboard.bend {
                message.string(name).float(state.bend as f32);
            }
            if let (Some(name), true) = (keyboard.glide, config.glide > 0.0) {
                message.string(name).float(config.glide as f32);
            }
            let mut without = None;
            match keyboard.loudness {
                Some(Loudness::Velocity(name)) => {
                    message.string(name).float(velocity as f32);
                    without = Some(name);
                }
                Some(Loudness::Amplitude(name, base)) => {
                    let index = controls.0.iter().position(|(control, _)| control == name);
                    let base = index.and_then(|index| state.controls[index]).unwrap_or(base);
                    message.string(name).float(base * (velocity * velocity) as f32);
                    without = Some(name);
                }
                None => {}
            }
            numbers.write(message, &config.synth, controls, state, without);
        });
    }
}

/// Writes the control that sets the pitch, and its number.
pub(super) fn write_pitch(
    message: &mut MessageBuilder<'_, Vec<u8>>,
    pitch: Pitch,
    note: u8,
    semitones: f64,
) {
    let note = f64::from(note) + semitones;
    match pitch {
        Pitch::Hertz(name) => message.string(name).float(frequency(note) as f32),
        Pitch::Note(name) => message.string(name).float(note as f32),
    };
}
