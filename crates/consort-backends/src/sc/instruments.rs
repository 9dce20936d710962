//! The built-in instruments and effects, and the master.

use consort_sc::synthdef::prelude::*;
use consort_sc::synthdef::system;

/// A built-in SynthDef.
pub struct Instrument {
    /// The name in configurations and on the server.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    build: fn() -> Result<SynthDef, SynthDefError>,
}

impl Instrument {
    /// Builds the SynthDef, which takes a few hundred microseconds.
    ///
    /// # Panics
    /// Never; a test builds each of them.
    pub fn build(&self) -> SynthDef {
        (self.build)().expect("the built-in instruments are valid")
    }
}

/// Every built-in instrument and effect, by name.
pub const INSTRUMENTS: &[Instrument] = &[
    Instrument { name: "bell", summary: "an FM bell; frees itself", build: bell },
    Instrument {
        name: "default",
        summary: "SuperCollider's default instrument; has a gate",
        build: || Ok(system::default()),
    },
    Instrument { name: "delay", summary: "an effect: echoes on the bus `in`", build: delay },
    Instrument {
        name: "hat",
        summary: "a hi-hat, open if `decay` is long; frees itself",
        build: hat,
    },
    Instrument { name: "kick", summary: "a kick drum; frees itself", build: kick },
    Instrument {
        name: "lead",
        summary: "a bright monophonic lead with `glide` and `vibrato`; has a gate",
        build: lead,
    },
    Instrument {
        name: "level",
        summary: "measures the loudness of the bus `in` and writes it to the control bus `out`",
        build: level,
    },
    Instrument {
        name: "pad",
        summary: "a wide pad with `cutoff`, `pressure`, `attack` and `release`; has a gate",
        build: pad,
    },
    Instrument { name: "pluck", summary: "a plucked string; frees itself", build: pluck },
    Instrument { name: "reverb", summary: "an effect: reverb on the bus `in`", build: reverb },
    Instrument {
        name: "sample",
        summary: "plays the `buffer` once at `rate`; frees itself",
        build: sample,
    },
    Instrument { name: "snare", summary: "a snare drum; frees itself", build: snare },
];

/// Finds a built-in SynthDef by name.
pub fn find(name: &str) -> Option<&'static Instrument> {
    INSTRUMENTS.iter().find(|instrument| instrument.name == name)
}

fn bell() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("bell", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.control("amplitude", 0.3);
        let pan = controls.control("pan", 0.0);
        let decay = controls.scalar("decay", 3.0);
        let ring = EnvGen::kr(Envelope::percussive(0.005, decay))
            .done_action(DoneAction::FreeSynth)
            .signal();
        let strike = EnvGen::kr(Envelope::percussive(0.001, decay * 0.35)) * frequency * 1.5;
        let modulator = SinOsc::ar(frequency * 3.5) * strike;
        let voice = SinOsc::ar(frequency + modulator) * ring * amplitude;
        Out::ar(out, Pan2::ar(voice).position(pan));
    })
}

fn pluck() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("pluck", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.scalar("frequency", 220.0);
        let amplitude = controls.control("amplitude", 0.4);
        let pan = controls.control("pan", 0.0);
        let decay = controls.scalar("decay", 4.0);
        let damping = controls.scalar("damping", 0.3);
        let period = 1.0 / frequency;
        let string = Pluck::ar(WhiteNoise::ar(), Impulse::kr(0.0))
            .maximum_delay_time(period)
            .delay_time(period)
            .decay_time(decay)
            .coefficient(damping);
        let body = LeakDC::ar(string).signal();
        let end =
            EnvGen::kr(Envelope::linen(0.0, decay * 0.5, 0.5)).done_action(DoneAction::FreeSynth);
        Out::ar(out, Pan2::ar(body * end * amplitude * 2.0).position(pan));
    })
}

fn pad() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("pad", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 220.0);
        let amplitude = controls.lagged("amplitude", 0.15, 0.05);
        let gate = controls.control("gate", 1.0);
        let cutoff = controls.lagged("cutoff", 1_200.0, 0.05);
        let pressure = controls.lagged("pressure", 0.0, 0.05);
        let attack = controls.control("attack", 0.3);
        let release = controls.control("release", 1.2);
        let glide = controls.control("glide", 0.0);
        let spread = controls.lagged("spread", 0.8, 0.05);
        let pitch = Lag::kr(frequency, glide).signal();
        let saws = [-0.1, -0.05, 0.0, 0.05, 0.1]
            .map(|semitones: f64| pitch * 2.0_f64.powf(semitones / 12.0));
        let swell = EnvGen::kr(Envelope::adsr(attack, 0.6, 0.8, release))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        let voices = Splay::ar(Saw::ar(saws)).spread(spread).signal();
        let open = (cutoff * (1.0 + pressure * 2.0)).minimum(16_000.0);
        let filtered = RLPF::ar(voices, open).reciprocal_of_q(0.6).signal();
        Out::ar(out, filtered * swell * amplitude * 2.0);
    })
}

fn lead() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("lead", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.lagged("amplitude", 0.2, 0.02);
        let gate = controls.control("gate", 1.0);
        let pan = controls.control("pan", 0.0);
        let cutoff = controls.lagged("cutoff", 2_500.0, 0.03);
        let vibrato = controls.lagged("vibrato", 0.0, 0.1);
        let pressure = controls.lagged("pressure", 0.0, 0.05);
        let glide = controls.control("glide", 0.0);
        let gliding = Lag::kr(frequency, glide).signal();
        let wobble = SinOsc::kr(5.5) * (vibrato + pressure) * 0.5;
        let pitch = gliding * wobble.semitones_to_ratio();
        let swell = EnvGen::kr(Envelope::adsr(0.01, 0.2, 0.7, 0.25))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        let wave = (Saw::ar(pitch) + Pulse::ar(pitch * 1.003).width(0.4)) * 0.4;
        let filtered = RLPF::ar(wave, (cutoff * (0.4 + swell)).minimum(16_000.0))
            .reciprocal_of_q(0.35)
            .signal();
        Out::ar(out, Pan2::ar(filtered * swell * amplitude).position(pan));
    })
}

fn kick() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("kick", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 50.0);
        let amplitude = controls.control("amplitude", 0.8);
        let decay = controls.scalar("decay", 0.5);
        let fall = EnvGen::kr(Envelope::new([5.0, 1.0], [0.06], [Curve::Exponential]));
        let punch = EnvGen::kr(Envelope::percussive(0.001, decay).curve(-5.0))
            .done_action(DoneAction::FreeSynth)
            .signal();
        let drum = SinOsc::ar(frequency * fall) * punch;
        Out::ar(out, Pan2::ar((drum * 1.5).hyperbolic_tangent() * amplitude));
    })
}

fn snare() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("snare", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 180.0);
        let amplitude = controls.control("amplitude", 0.5);
        let pan = controls.control("pan", 0.0);
        let decay = controls.scalar("decay", 0.2);
        let rattle = EnvGen::kr(Envelope::percussive(0.001, decay).curve(-5.0))
            .done_action(DoneAction::FreeSynth)
            .signal();
        let skin = EnvGen::kr(Envelope::percussive(0.001, decay * 0.5)).signal();
        let noise = HPF::ar(WhiteNoise::ar(), 1_800.0) * rattle;
        let drum = noise * 0.7 + SinOsc::ar(frequency) * skin * 0.6;
        Out::ar(out, Pan2::ar(drum * amplitude).position(pan));
    })
}

fn hat() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("hat", |controls| {
        let out = controls.scalar("out", 0);
        let amplitude = controls.control("amplitude", 0.3);
        let pan = controls.control("pan", 0.2);
        let decay = controls.scalar("decay", 0.08);
        let strike = EnvGen::kr(Envelope::percussive(0.001, decay).curve(-6.0))
            .done_action(DoneAction::FreeSynth);
        let noise = HPF::ar(WhiteNoise::ar(), 7_000.0);
        Out::ar(out, Pan2::ar(noise * strike * amplitude).position(pan));
    })
}

fn sample() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("sample", |controls| {
        let out = controls.scalar("out", 0);
        let buffer = controls.scalar("buffer", 0);
        let rate = controls.control("rate", 1.0);
        let amplitude = controls.control("amplitude", 0.8);
        let pan = controls.control("pan", 0.0);
        let sound = PlayBuf::ar(buffer)
            .rate(rate * BufRateScale::kr(buffer))
            .done_action(DoneAction::FreeSynth)
            .signal();
        Out::ar(out, Pan2::ar(sound * amplitude).position(pan));
    })
}

fn reverb() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("reverb", |controls| {
        let out = controls.scalar("out", 0);
        let bus = controls.scalar("in", 16);
        let mix = controls.lagged("mix", 0.3, 0.05);
        let room = controls.lagged("room", 0.8, 0.1);
        let damping = controls.lagged("damping", 0.4, 0.1);
        let dry = In::ar(bus).channels(2).signal();
        let wet = FreeVerb::ar(dry).mix(1.0).room_size(room).damping(damping).signal();
        Out::ar(out, XFade2::ar(dry).in_b(wet).pan(mix * 2.0 - 1.0));
    })
}

fn delay() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("delay", |controls| {
        let out = controls.scalar("out", 0);
        let bus = controls.scalar("in", 16);
        let mix = controls.lagged("mix", 0.3, 0.05);
        let time = controls.lagged("time", 0.375, 0.1);
        let decay = controls.lagged("decay", 3.0, 0.1);
        let dry = In::ar(bus).channels(2).signal();
        let wet =
            CombL::ar(dry).maximum_delay_time(2.0).delay_time(time).decay_time(decay).signal();
        Out::ar(out, XFade2::ar(dry).in_b(wet).pan(mix * 2.0 - 1.0));
    })
}

fn level() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("level", |controls| {
        let out = controls.scalar("out", 0);
        let bus = controls.scalar("in", 0);
        let attack = controls.control("attack", 0.01);
        let release = controls.control("release", 0.2);
        let sound = In::ar(bus).channels(2).signal();
        let loudness =
            Amplitude::kr(Mix::new(sound) * 0.5).attack_time(attack).release_time(release);
        Out::kr(out, loudness.signal());
    })
}

/// The master, which scales the outputs and writes the peak of each to a control bus. Its controls
/// are `out`, `level` (an amplitude) and `meter` (the first control bus).
pub(super) fn master(channels: u16) -> Result<SynthDef, SynthDefError> {
    SynthDef::build(format!("consort:master:{channels}"), |controls| {
        let out = controls.scalar("out", 0);
        let level = controls.lagged("level", 1.0, 0.05);
        let meter = controls.scalar("meter", 0);
        let sound = In::ar(out).channels(channels) * level;
        ReplaceOut::ar(out, sound);
        let peak = Amplitude::kr(sound).attack_time(0.003).release_time(0.25).signal();
        Out::kr(meter, peak);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_builds_and_matches_its_summary() {
        for instrument in INSTRUMENTS {
            let synthdef = instrument.build();
            assert_eq!(synthdef.name(), instrument.name);
            let summary_has_gate = instrument.summary.contains("has a gate");
            assert_eq!(synthdef.has_gate(), summary_has_gate, "{}", instrument.name);
            assert!(synthdef.control("out").is_some(), "{}", instrument.name);
        }
        assert!(INSTRUMENTS.is_sorted_by_key(|instrument| instrument.name));
        assert_eq!(find("pad").map(|instrument| instrument.name), Some("pad"));
        for channels in [1, 2, 8, 64] {
            assert_eq!(master(channels).expect("a master").controls().len(), 3);
        }
    }
}
