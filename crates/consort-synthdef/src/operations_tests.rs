use super::*;
use crate::model::SynthDef;
use crate::rate::Rate;
use crate::ugens::{In, Out, Saw, SinOsc};

/// The compiled form of what writes to bus 0.
fn compiled<T: IntoSignal>(source: impl FnOnce() -> T) -> Vec<u8> {
    SynthDef::build("test", |_| Out::ar(0, source())).expect("a valid SynthDef").compile()
}

fn number_times_sine() -> Signal {
    2.0 * SinOsc::ar(440.0)
}

#[test]
fn numbers_and_lists_are_on_both_sides_of_operators() {
    let right = compiled(|| SinOsc::ar(440.0) * [1.0, 1.5]);
    assert_eq!(compiled(|| [1.0, 1.5] * SinOsc::ar(440.0)).len(), right.len());
    assert_eq!(compiled(|| (1.0, 1.5) * SinOsc::ar(440.0).signal()).len(), right.len());
    assert_eq!(compiled(|| vec![1.0, 1.5] * SinOsc::ar(440.0).signal()).len(), right.len());
    let number = compiled(|| 2 * SinOsc::ar(440.0));
    assert_eq!(compiled(|| 2.0 * SinOsc::ar(440.0)), number);
    assert_eq!(compiled(|| SinOsc::ar(440.0) * 2_usize), compiled(|| SinOsc::ar(440.0) * 2_u8));
    // The type of an integer that is not known yet does not keep methods from being found.
    assert_eq!(compiled(|| (2 * SinOsc::ar(440.0)).abs()), compiled(|| number_times_sine().abs()));
    let difference = compiled(|| [440.0, 660.0] - Saw::ar([1.0, 2.0]));
    assert_eq!(difference, compiled(|| [440.0, 660.0].signal() - Saw::ar([1.0, 2.0]).signal()));
}

#[test]
fn everything_that_sounds_has_signals_channels_and_operators() {
    SynthDef::build("test", |_| {
        let [left, right] = In::ar(0).channels(2).split();
        assert_eq!(left.signal(), left);
        assert_eq!(In::ar(0).channels(2).channel(1).channel_count(), 1);
        let wide = Splay::ar([left, right, left]).spread(0.5);
        assert_eq!((wide * 0.5).channel_count(), 2);
        assert_eq!((2 * Splay::ar(left)).channel_count(), 2);
        assert_eq!((-Splay::ar(left)).channel_count(), 2);
        let plugin = RawUGen::new("Plugin", Rate::Audio).outputs(2);
        assert_eq!(plugin.clone().channel(1).channel_count(), 1);
        assert_eq!((plugin * [1.0, 2.0, 3.0]).channel_count(), 3);
        let dynamic = SinOsc::SPEC.at(Rate::Audio).input("frequency", 440.0);
        assert_eq!(dynamic.tanh().rate(), Rate::Audio);
        Out::ar(0, left);
    })
    .expect("a valid SynthDef");
}

#[test]
fn a_wrong_number_of_channels_is_an_error() {
    let result = SynthDef::build("test", |_| {
        let [left, _, _] = In::ar(0).channels(2).split();
        Out::ar(0, left);
    });
    let text = result.expect_err("two channels").to_string();
    assert!(text.ends_with("cannot split a signal into 3 channels: it has 2"), "{text}");
}

#[test]
fn the_names_of_the_field_are_the_same_operators() {
    /// A method that is applied to a signal.
    type Method = fn(Signal) -> Signal;
    let pairs: [(Method, Method); 8] = [
        (|a| a.midicps(), |a| a.midi_to_hertz()),
        (|a| a.tanh(), |a| a.hyperbolic_tangent()),
        (|a| a.abs(), |a| a.absolute()),
        (|a| a.lt(0.5), |a| a.less_than(0.5)),
        (|a| a.clip2(0.5), |a| a.clip_2(0.5)),
        (|a| a.min(0.5), |a| a.minimum(0.5)),
        (|a| !a, |a| a.logical_not()),
        (|a| a >> 2, |a| a.shift_right(2)),
    ];
    for (one, other) in pairs {
        let source = || SinOsc::ar(440.0).signal();
        assert_eq!(compiled(|| one(source())), compiled(|| other(source())));
    }
}

#[test]
fn variables_and_iterators_are_summed() {
    let one = compiled(|| SinOsc::ar(110.0) + SinOsc::ar(220.0));
    let sum = compiled(|| (1..=2).map(|n| SinOsc::ar(110 * n)).sum::<Signal>());
    assert_eq!(sum, one);
    let assigned = compiled(|| {
        let mut mix = SinOsc::ar(110.0).signal();
        mix += SinOsc::ar(220.0);
        mix *= 1.0;
        mix
    });
    assert_eq!(assigned, one);
    let none: [Signal; 0] = [];
    assert_eq!(none.into_iter().sum::<Signal>(), Signal::number(0.0));
    let list = compiled(|| [1.0, 2.0].into_iter().map(SinOsc::ar).collect::<Signal>());
    assert_eq!(list, compiled(|| SinOsc::ar([1.0, 2.0])));
}

#[test]
fn every_name_of_an_operator_is_used_once() {
    let mut names = std::collections::HashSet::new();
    let unary = UnaryOperator::ALL.iter().map(|operator| operator.info());
    let rows: Vec<_> = unary.chain(BinaryOperator::ALL.iter().map(|row| row.info())).collect();
    for row in &rows {
        assert!(row.documentation.ends_with('.'), "{row:?}");
        for method in row.methods {
            assert!(names.insert(*method), "{method} is in the table twice");
        }
    }
    assert_eq!(rows.len(), 54 + 49);
    assert!(names.len() > 150, "{}", names.len());
}
