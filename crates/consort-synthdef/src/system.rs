//! SynthDefs that the contexts of `consort-sc` need: a default instrument, links between buses, and
//! scopes. Their graphs equal those of Supriya. Their names begin with `consort:`, except for the
//! default instrument, which has its usual name.

use std::sync::OnceLock;

use crate::prelude::*;

/// The maximum number of channels of links and scopes.
pub const MAXIMUM_CHANNELS: u16 = 16;

/// The SynthDef of the cell, built at the first call.
fn once(
    cell: &OnceLock<SynthDef>,
    build: impl FnOnce() -> Result<SynthDef, SynthDefError>,
) -> SynthDef {
    cell.get_or_init(|| build().expect("the SynthDefs of this crate compile")).clone()
}

/// The default instrument `default`: controls `amplitude`, `frequency`, `gate`, `out` and `pan`.
pub fn default() -> SynthDef {
    static CELL: OnceLock<SynthDef> = OnceLock::new();
    once(&CELL, || {
        SynthDef::build("default", |controls| {
            let amplitude = controls.control("amplitude", 0.1);
            let frequency = controls.control("frequency", 440.0);
            let gate = controls.control("gate", 1.0);
            let out = controls.scalar("out", 0.0);
            let pan = controls.control("pan", 0.5);
            let detune =
                (0.0, Rand::ir().minimum(-0.4).maximum(0.0), Rand::ir().minimum(0.0).maximum(0.4));
            let voices = Mix::new(VarSaw::ar(frequency + detune).width(0.3)) * 0.3;
            let cutoff = XLine::kr(
                Rand::ir().minimum(4000.0).maximum(5000.0),
                Rand::ir().minimum(2500.0).maximum(3200.0),
                1.0,
            );
            let filtered = LPF::ar(voices, cutoff).signal();
            let fade = Linen::kr()
                .gate(gate)
                .attack_time(0.01)
                .sustain_level(0.7)
                .release_time(0.3)
                .done_action(DoneAction::FreeSynth)
                .signal();
            OffsetOut::ar(out, Pan2::ar(filtered * fade * amplitude).position(pan));
        })
    })
}

/// A link between audio buses, `consort:link-ar:N`: controls `in_`, `out`, `gate`, `fade_time` and
/// `done_action`; 1 to 16 channels.
///
/// # Errors
/// If the channel count is not 1 to 16.
pub fn audio_link(channel_count: u16) -> Result<SynthDef, SynthDefError> {
    link(Rate::Audio, channel_count)
}

/// A link between control buses, `consort:link-kr:N`: as [`audio_link`].
///
/// # Errors
/// If the channel count is not 1 to 16.
pub fn control_link(channel_count: u16) -> Result<SynthDef, SynthDefError> {
    link(Rate::Control, channel_count)
}

fn check(channel_count: u16) -> Result<(), SynthDefError> {
    if (1..=MAXIMUM_CHANNELS).contains(&channel_count) {
        return Ok(());
    }
    Err(SynthDefError::new(
        SynthDefErrorKind::InvalidInput,
        format!("links and scopes have 1 to {MAXIMUM_CHANNELS} channels; found {channel_count}"),
    ))
}

fn link(rate: Rate, channel_count: u16) -> Result<SynthDef, SynthDefError> {
    check(channel_count)?;
    SynthDef::build(format!("consort:link-{rate}:{channel_count}"), |controls| {
        let out = controls.control("out", 0.0);
        let bus = controls.control("in_", 16.0);
        let gate = controls.control("gate", 1.0);
        let fade_time = controls.control("fade_time", 0.02);
        let done_action = controls.control("done_action", 2.0);
        let start = fade_time.less_than_or_equal(0.0);
        let levels = [start, 1.0.into_signal(), 0.0.into_signal()];
        let curve = if rate == Rate::Audio { Curve::Sine } else { Curve::Linear };
        let fade = EnvGen::kr(Envelope::new(levels, [1.0, 1.0], [curve]).release_node(1))
            .gate(gate)
            .time_scale(fade_time)
            .done_action(done_action)
            .signal();
        if rate == Rate::Audio {
            Out::ar(out, InFeedback::ar(bus).channels(channel_count) * fade);
        } else {
            Out::kr(out, In::kr(bus).channels(channel_count) * fade);
        }
    })
}

/// A scope that writes amplitudes to shared memory, `consort:amp-scope-RATE:N`, for audio or control
/// buses: controls `in_`, `max_frames`, `scope_frames` and `scope_id`; 1 to 16 channels.
///
/// # Errors
/// If the channel count is not 1 to 16, or the rate is neither audio nor control.
pub fn amplitude_scope(rate: Rate, channel_count: u16) -> Result<SynthDef, SynthDefError> {
    check(channel_count)?;
    if !matches!(rate, Rate::Audio | Rate::Control) {
        return Err(SynthDefError::new(
            SynthDefErrorKind::WrongRate,
            format!("an amplitude scope runs at ar or kr, not at {rate}"),
        ));
    }
    SynthDef::build(format!("consort:amp-scope-{rate}:{channel_count}"), |controls| {
        let bus = controls.control("in_", 0.0);
        let max_frames = controls.control("max_frames", 4096.0);
        let scope_frames = controls.control("scope_frames", 4096.0);
        let scope_id = controls.control("scope_id", 0.0);
        let source = if rate == Rate::Audio {
            In::ar(bus).channels(channel_count).signal()
        } else {
            K2A::ar(In::kr(bus).channels(channel_count)).signal()
        };
        ScopeOut2::ar(scope_id, source).max_frames(max_frames).scope_frames(scope_frames);
    })
}

/// How a frequency scope divides its frequency axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrequencyAxis {
    /// Equal steps in hertz.
    Linear,
    /// Equal steps in octaves.
    Logarithmic,
}

/// A scope of the spectrum of one audio bus, `consort:freq-scope-lin:1` or `-log`, with `-shm` if it
/// writes to shared memory instead of a buffer: controls `in_`, `fft_buffer_size`, `rate`
/// and `scope_id`.
pub fn frequency_scope(axis: FrequencyAxis, shared_memory: bool) -> SynthDef {
    static CELLS: [OnceLock<SynthDef>; 4] = [const { OnceLock::new() }; 4];
    let index = usize::from(axis == FrequencyAxis::Logarithmic) * 2 + usize::from(shared_memory);
    once(&CELLS[index], || build_frequency_scope(axis, shared_memory))
}

fn build_frequency_scope(
    axis: FrequencyAxis,
    shared_memory: bool,
) -> Result<SynthDef, SynthDefError> {
    let axis_name = if axis == FrequencyAxis::Linear { "lin" } else { "log" };
    let suffix = if shared_memory { "-shm" } else { "" };
    SynthDef::build(format!("consort:freq-scope-{axis_name}{suffix}:1"), |controls| {
        let bus = controls.control("in_", 0.0);
        let fft_buffer_size = controls.scalar("fft_buffer_size", 2048.0);
        let scope_id = controls.scalar("scope_id", 0.0);
        let rate = controls.scalar("rate", 4.0);
        let phase = 1.0 - rate * fft_buffer_size.reciprocal();
        let buffer = LocalBuf::ir().frame_count(fft_buffer_size).signal();
        let half = BufSamples::ir(buffer) * 0.5;
        let source = In::ar(bus).signal();
        let spectrum = FFT::kr(source).buffer_id(buffer).hop(0.75).window_type(1.0).signal();
        PV_MagSmear::kr(spectrum).bins(1.0).signal();
        let reader = |multiplier: Signal, addend: Signal| {
            let frequency = rate / BufDur::ir(buffer);
            MulAdd::new(LFSaw::ar(frequency).initial_phase(phase), multiplier, addend)
        };
        let position = match axis {
            FrequencyAxis::Linear => reader(half, half),
            FrequencyAxis::Logarithmic => {
                let unit = 0.5.into_signal();
                half.power(reader(unit, unit)) * 2.0
            }
        };
        let position = position.round_to(2.0);
        let bins = BufRd::ar(buffer).phase(position).looping(1.0).interpolation(1.0);
        let levels = (bins / fft_buffer_size).amplitude_to_decibels();
        if shared_memory {
            ScopeOut2::ar(scope_id, levels).max_frames(fft_buffer_size / rate);
        } else {
            ScopeOut::ar(scope_id, levels);
        }
    })
}

/// All 32 links: a context sends them once, before its first link between buses. Their names begin
/// with `consort:`.
pub fn links() -> Vec<SynthDef> {
    (1..=MAXIMUM_CHANNELS)
        .flat_map(|count| [audio_link(count), control_link(count)])
        .flatten()
        .collect()
}

/// As [`links`], with names that begin with `prefix` in place of `consort`: `supriya` gives
/// `supriya:link-ar:1` and so on, the names under which programs for Supriya expect them.
///
/// # Errors
/// If a name would be longer than the 255 bytes that the file format allows.
pub fn links_named(prefix: &str) -> Result<Vec<SynthDef>, SynthDefError> {
    let renamed = |link: &SynthDef| {
        let name = link.name().trim_start_matches("consort");
        link.renamed(format!("{prefix}{name}"))
    };
    links().iter().map(renamed).collect()
}
