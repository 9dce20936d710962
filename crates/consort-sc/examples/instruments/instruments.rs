//! Six instruments and a reverb, as examples of SynthDefs.

use consort_sc::synthdef::prelude::*;

/// A plucked string.
pub(crate) fn pluck() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("pluck", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.scalar("frequency", 220.0);
        let amplitude = controls.control("amplitude", 0.3);
        let pan = controls.control("pan", 0.0);
        let period = 1.0 / frequency;
        let string = Pluck::ar(WhiteNoise::ar(), Impulse::kr(0.0))
            .maximum_delay_time(period)
            .delay_time(period)
            .decay_time(4.0)
            .coefficient(0.3);
        let body = LeakDC::ar(string).signal();
        let end = EnvGen::kr(Envelope::linen(0.0, 1.5, 0.5)).done_action(DoneAction::FreeSynth);
        Out::ar(out, Pan2::ar(body * end * amplitude * 2.0).position(pan));
    })
}

/// A bell by frequency modulation.
pub(crate) fn bell() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("bell", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.control("amplitude", 0.3);
        let pan = controls.control("pan", 0.0);
        let ring = EnvGen::kr(Envelope::percussive(0.005, 3.0))
            .done_action(DoneAction::FreeSynth)
            .signal();
        let bright = EnvGen::kr(Envelope::percussive(0.001, 1.0)) * frequency * 1.5;
        let modulator = SinOsc::ar(frequency * 3.5) * bright;
        let voice = SinOsc::ar(frequency + modulator) * ring * amplitude;
        Out::ar(out, Pan2::ar(voice).position(pan));
    })
}

/// A pad of seven detuned saws. It sounds until its gate closes.
pub(crate) fn pad() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("pad", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.lagged("frequency", 110.0, 0.05);
        let amplitude = controls.lagged("amplitude", 0.2, 0.1);
        let gate = controls.control("gate", 1.0);
        let detune = [-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12]
            .map(|semitones: f64| frequency * 2.0_f64.powf(semitones / 12.0));
        let swell = EnvGen::kr(Envelope::adsr(0.8, 0.5, 0.8, 1.5))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        let cutoff = LFNoise2::kr(0.3).range(600.0, 1_500.0);
        let voices = Splay::ar(Saw::ar(detune)).spread(0.8).signal();
        Out::ar(out, RLPF::ar(voices, cutoff).reciprocal_of_q(0.7) * swell * amplitude * 2.0);
    })
}

/// An organ: nine sines, as loud as its drawbars are pulled. It sounds until its gate closes.
pub(crate) fn organ() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("organ", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 220.0);
        let amplitude = controls.control("amplitude", 0.2);
        let pan = controls.control("pan", 0.0);
        let gate = controls.control("gate", 1.0);
        let harmonics = [1, 2, 3, 4, 5, 6, 8, 10, 12];
        let drawbars = [1.0, 0.8, 0.6, 0.5, 0.1, 0.3, 0.2, 0.1, 0.05];
        let pipes = harmonics.into_iter().zip(drawbars);
        let chorus = pipes.map(|(n, level)| SinOsc::ar(frequency * n) * level).sum::<Signal>();
        let wind =
            EnvGen::kr(Envelope::asr(0.02, 1.0, 0.1)).gate(gate).done_action(DoneAction::FreeSynth);
        Out::ar(out, Pan2::ar((chorus * 0.4).tanh() * wind * amplitude).position(pan));
    })
}

/// A kick drum: a sine with a falling pitch.
pub(crate) fn kick() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("kick", |controls| {
        let out = controls.scalar("out", 0);
        let frequency = controls.control("frequency", 50.0);
        let amplitude = controls.control("amplitude", 0.8);
        let fall = EnvGen::kr(Envelope::new([5.0, 1.0], [0.06], [Curve::Exponential]));
        let punch = EnvGen::kr(Envelope::percussive(0.001, 0.5).curve(-5.0))
            .done_action(DoneAction::FreeSynth)
            .signal();
        let drum = SinOsc::ar(frequency * fall) * punch;
        Out::ar(out, ((drum * 1.5).tanh() * amplitude, Silence::ar(1)));
    })
}

/// A closed hi-hat: filtered noise.
pub(crate) fn hat() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("hat", |controls| {
        let out = controls.scalar("out", 0);
        let amplitude = controls.control("amplitude", 0.3);
        let pan = controls.control("pan", 0.2);
        let strike = EnvGen::kr(Envelope::percussive(0.001, 0.08).curve(-6.0))
            .done_action(DoneAction::FreeSynth);
        let noise = HPF::ar(WhiteNoise::ar(), 7_000.0);
        Out::ar(out, Pan2::ar(noise * strike * amplitude).position(pan));
    })
}

/// A reverb: reads two audio buses and writes their sound with reverberation.
pub(crate) fn reverb() -> Result<SynthDef, SynthDefError> {
    SynthDef::build("reverb", |controls| {
        let out = controls.scalar("out", 0);
        let bus = controls.scalar("bus", 16);
        let mix = controls.lagged("mix", 0.4, 0.1);
        let dry = In::ar(bus).channels(2).signal();
        let wet = FreeVerb::ar(dry).mix(1.0).room_size(0.85).damping(0.3).signal();
        Out::ar(out, XFade2::ar(dry).in_b(wet).pan(mix * 2.0 - 1.0));
    })
}
