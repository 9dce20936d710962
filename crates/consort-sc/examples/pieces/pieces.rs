//! Pieces that play on a clock: in real time and in a score.

use consort_sc::music::*;
use consort_sc::synthdef::prelude::*;
use consort_sc::{AddAction, BufferContent, CalculationRate, Placement, Result, settings};

use crate::instruments;

/// Two bars of drums, four times, in 120 beats a minute.
pub(crate) fn drum_loop(clock: &TempoClock) -> Result<()> {
    let (kick, hat) = (instruments::kick()?, instruments::hat()?);
    let drum =
        |synthdef, level: f64, rhythm| voice(synthdef).amplitude(steps(rhythm) * level).beats(0.25);
    let bars = parallel([
        drum(&kick, 0.5, "x...  x...  x...  x.x.  x...  x...  x..x  x.7."),
        drum(&hat, 0.5, "..3.  ..3.  ..3.  ..34  ..3.  ..3.  ..3.  .345"),
    ]);
    clock.play(bars.repeat(4))?;
    Ok(())
}

/// A melody that wanders over a pad, both through a reverb, with bells at the beginning of bars.
pub(crate) fn generative(clock: &TempoClock) -> Result<()> {
    let (pluck, bell, pad, reverb) =
        (instruments::pluck()?, instruments::bell()?, instruments::pad()?, instruments::reverb()?);
    let room = clock.context().add_bus_group(CalculationRate::Audio, 2)?;
    let sources = clock.prepare(|moment| {
        moment.add_synthdefs([reverb.file(), bell.file()])?;
        let sources = moment.add_group(Placement::default())?;
        let effect = settings! { bus: room.id(), mix: 0.5 };
        moment.add_synth(&reverb, (AddAction::After, &sources), effect)?;
        Ok(sources)
    })?;
    let melody = voice(&pluck)
        .degree(whole_walk(-2..=11, 3), Scale::MINOR_PENTATONIC, 57.0)
        .beats(choose_weighted([(0.25, 2.0), (0.5, 4.0), (1.0, 1.0)]))
        .amplitude(exponential(0.15, 0.5))
        .set("pan", walk(-0.7..=0.7, 0.3))
        .set("out", room.id())
        .in_group(&sources)
        .thin(0.15);
    let chords = voice(&pad)
        .note(seq([[45, 52, 60], [41, 48, 57], [43, 50, 59], [40, 47, 55]]).forever())
        .beats(4.0)
        .legato(1.0)
        .amplitude(0.12)
        .set("out", room.id())
        .in_group(&sources);
    clock.play(melody.with(chords).for_beats(32.0))?;
    let group = sources.id();
    clock.every(8.0, move |tick| {
        let frequency = if tick.random().coin(0.5) { 880.0 } else { 659.25 };
        let placement = Placement::new(AddAction::ToHead, group);
        tick.add_synth("bell", placement, settings! { out: room.id(), frequency: frequency })?;
        Ok(())
    })?;
    clock.ramp_tempo(24.0, 8.0, 60.0)
}

/// A buffer with a chord in it, played as a cloud of grains that moves through it.
pub(crate) fn granular(clock: &TempoClock) -> Result<()> {
    let cloud = SynthDef::build("cloud", |controls| {
        let buffer = controls.scalar("buffer", 0);
        // The same cloud each time.
        RandSeed::kr().trigger(1.0).seed(11.0);
        let rate = controls.control("rate", 1.0);
        let gate = controls.control("gate", 1.0);
        let swell = EnvGen::kr(Envelope::asr(0.5, 1.0, 1.0)).gate(gate);
        let grains = GrainBuf::ar(buffer)
            .channels(2)
            .trigger(Impulse::kr(40.0))
            .duration(0.1)
            .rate(rate * BufRateScale::kr(buffer))
            .position(LFNoise1::kr(0.5).range(0.1, 0.8))
            .pan(LFNoise0::kr(40.0) * 0.8);
        Out::ar(0, grains * swell.done_action(DoneAction::FreeSynth) * 0.2);
    })?;
    let harmonics = (1..=4).map(|n| (220.0 * n as f32, 0.5 / n as f32)).collect();
    let buffer = clock.prepare(|moment| {
        let buffer = moment.add_buffer(BufferContent::empty(1, 48_000))?;
        let chord = consort_sc::requests::Waveform::Sine2 { partials: harmonics };
        moment.generate_buffer(&buffer, chord, true, false, true)?;
        Ok(buffer)
    })?;
    let clouds = voice(&cloud).set("buffer", &buffer).set("rate", seq([1.0, 0.5])).beats(3.0);
    clock.play(clouds)?;
    Ok(())
}

/// What is played into the server's first input, with a reverb.
pub(crate) fn live_reverb(clock: &TempoClock) -> Result<()> {
    let room = SynthDef::build("room", |controls| {
        let mix = controls.lagged("mix", 0.5, 0.1);
        let dry = SoundIn::ar(0);
        let [left, right] = FreeVerb2::ar(dry, dry).mix(mix).room_size(0.8).split();
        Out::ar(0, [left, right]);
    })?;
    clock.prepare(|moment| {
        moment.add_synthdefs([room.file()])?;
        moment.add_synth(&room, Placement::default(), settings! { mix: 0.4 })
    })?;
    Ok(())
}
