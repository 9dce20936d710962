//! Playing, rendering and drawing SynthDefs, scores and buffers, each in one call.

use std::path::Path;

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_synthdef::prelude::{BufRateScale, Out, PlayBuf};
use consort_synthdef::{DoneAction, SynthDef};

use crate::context::{Buffer, Context, Placement, Synth};
use crate::error::Result;
use crate::score::{
    HeaderFormat, Nonrealtime, RenderReport, RenderSettings, SampleFormat, Score, ScoreError,
    ScoreErrorKind,
};
use crate::sound::Sound;
use crate::values::{ControlKey, ControlValue, collect_settings};

/// What can be rendered without a sound card: a SynthDef, a score, a [`Nonrealtime`].
///
/// Of a SynthDef, one synth with its default controls is rendered. If it has a gate, the gate closes
/// after three quarters of the time.
///
/// ```no_run
/// use consort_sc::Audition;
/// use consort_sc::synthdef::prelude::*;
///
/// let hum = SynthDef::build("hum", |_| Out::ar(0, SinOsc::ar(50.0) * 0.1))?;
/// hum.render_to("hum.wav", 2.0)?;
/// std::fs::write("hum.svg", hum.plot(0.1)?)?;
/// assert!(hum.sound(1.0)?.peak() < 0.11);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Audition {
    /// What is rendered, and with which settings; `seconds` is the length.
    ///
    /// # Errors
    /// [`ScoreError`] if the length is not above 0, or too long.
    fn to_score(&self, seconds: f64) -> std::result::Result<(Score, RenderSettings), ScoreError>;

    /// Renders into a sound file. Blocks until the server's program is done.
    ///
    /// # Errors
    /// Those of [`Score::render`].
    fn render_to(
        &self,
        path: impl AsRef<Path>,
        seconds: f64,
    ) -> std::result::Result<RenderReport, ScoreError> {
        let (score, settings) = self.to_score(seconds)?;
        score.render(path, &settings, Some(seconds), |_| true)
    }

    /// Renders into memory. Blocks until the server's program is done.
    ///
    /// # Errors
    /// Those of [`Score::render`].
    fn sound(&self, seconds: f64) -> std::result::Result<Sound, ScoreError> {
        let (score, settings) = self.to_score(seconds)?;
        let settings = RenderSettings {
            header_format: Some(HeaderFormat::Raw),
            sample_format: SampleFormat::Float,
            ..settings
        };
        score.render_to_memory(&settings, seconds)
    }

    /// The waveform as an SVG picture. Blocks until the server's program is done.
    ///
    /// # Errors
    /// Those of [`Score::render`].
    fn plot(&self, seconds: f64) -> std::result::Result<String, ScoreError> {
        Ok(self.sound(seconds)?.svg())
    }
}

impl Audition for SynthDef {
    fn to_score(&self, seconds: f64) -> std::result::Result<(Score, RenderSettings), ScoreError> {
        let mut score = Score::new();
        score.add_synthdefs(0.0, [self])?;
        let start = vec![self.name().into(), 1000.into(), 0.into(), 0.into()];
        score.send(0.0, OscMessage::new("/s_new", start))?;
        if self.has_gate() {
            let release = vec![1000.into(), OscValue::from("gate"), 0.into()];
            score.send(seconds * 0.75, OscMessage::new("/n_set", release))?;
        }
        Ok((score, RenderSettings::default()))
    }
}

impl Audition for Score {
    fn to_score(&self, _seconds: f64) -> std::result::Result<(Score, RenderSettings), ScoreError> {
        Ok((self.clone(), RenderSettings::default()))
    }
}

impl Audition for Nonrealtime {
    fn to_score(&self, _seconds: f64) -> std::result::Result<(Score, RenderSettings), ScoreError> {
        Ok((self.score(), self.settings()))
    }
}

impl Score {
    /// Renders as numbers without a header, and reads them.
    fn render_to_memory(
        &self,
        settings: &RenderSettings,
        seconds: f64,
    ) -> std::result::Result<Sound, ScoreError> {
        let folder = crate::score::TemporaryFolder::new()?;
        let path = folder.path().join("sound.raw");
        self.render(&path, settings, Some(seconds), |_| true)?;
        let bytes = std::fs::read(&path).map_err(|error| {
            let text = format!("cannot read the rendered sound: {error}");
            ScoreError::new(ScoreErrorKind::Io, text)
        })?;
        let samples: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
        let channels = usize::from(settings.output_channels);
        let frames = (seconds * f64::from(settings.sample_rate)).ceil() as usize;
        // The server fills its last control period.
        let end = samples.len().min(frames * channels);
        Ok(Sound::from_interleaved(&samples[..end], channels, f64::from(settings.sample_rate)))
    }

    /// Plays the score on a server, from now on. Blocks the calling thread until the last entry is sent.
    /// Node ids, buses and buffers are those of the score.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn play(&self, context: &Context) -> Result<()> {
        /// How far ahead of its time an entry is sent, in seconds.
        const LEAD: f64 = 0.2;
        let start = context.now()?;
        for entry in self.entries() {
            let wait = start + entry.seconds - LEAD - context.now()?;
            if let Ok(wait) = std::time::Duration::try_from_secs_f64(wait) {
                std::thread::sleep(wait);
            }
            let moment = context.at(start + entry.seconds)?;
            for packet in entry.packets {
                send_all(&moment, packet)?;
            }
            moment.send()?;
        }
        Ok(())
    }
}

/// Adds the messages of a packet to a moment.
fn send_all(moment: &Context, packet: OscPacket) -> Result<()> {
    match packet {
        OscPacket::Message(message) => moment.send_message(message),
        OscPacket::Bundle(bundle) => {
            bundle.elements.into_iter().try_for_each(|element| send_all(moment, element))
        }
    }
}

/// Playing in one call.
impl Context {
    /// Loads a SynthDef and starts a synth of it as soon as the server has it, without waiting.
    ///
    /// # Errors
    /// Same as [`Context::add_synth`].
    pub fn play<'a, K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        synthdef: &SynthDef,
        placement: impl Into<Placement<'a>>,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Synth> {
        let (placement, settings) = (placement.into(), collect_settings(settings));
        let mut synth = None;
        self.add_synthdefs_then([synthdef.file()], |context| {
            synth = Some(context.add_synth(synthdef, placement, settings)?);
            Ok(())
        })?;
        synth.ok_or_else(|| {
            crate::Error::new(crate::ErrorKind::InvalidSynthDef, "the SynthDef was not loaded")
        })
    }
}

impl Buffer {
    /// Plays the buffer once on the first outputs, as many as it has channels. `channel_count` is that of
    /// the buffer; [`Buffer::query`] returns it.
    ///
    /// # Errors
    /// Same as [`Context::add_synth`]; [`ErrorKind::InvalidSynthDef`](crate::ErrorKind::InvalidSynthDef)
    /// for 0 channels.
    pub fn play(&self, channel_count: u16) -> Result<Synth> {
        let synthdef = SynthDef::build(format!("consort:play:{channel_count}"), |controls| {
            let buffer = controls.scalar("buffer", 0);
            let sound = PlayBuf::ar(buffer)
                .channels(channel_count)
                .rate(BufRateScale::kr(buffer))
                .done_action(DoneAction::FreeSynth);
            Out::ar(0, sound);
        })?;
        self.context().play(&synthdef, Placement::default(), [("buffer", self)])
    }

    /// The content of the buffer. Blocks the calling thread.
    ///
    /// # Errors
    /// Same as [`Buffer::query`] and [`Buffer::get_range`].
    pub fn sound(&self) -> Result<Sound> {
        let info = self.query()?;
        let (channels, frames) = (info.channel_count.max(0) as u32, info.frame_count.max(0) as u32);
        let samples = self.get_range(0, channels.saturating_mul(frames))?;
        Ok(Sound::from_interleaved(&samples, channels as usize, info.sample_rate))
    }

    /// The waveform of the buffer as an SVG picture. Blocks the calling thread.
    ///
    /// # Errors
    /// Same as [`Buffer::sound`].
    pub fn plot(&self) -> Result<String> {
        Ok(self.sound()?.svg())
    }
}
