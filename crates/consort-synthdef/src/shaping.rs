//! Methods for common UGens and composites, such as ranges, smoothing and mixing.

use crate::composite::{LinLin, Mix, map_channels, map_channels_by_rate};
use crate::conversion::IntoSignal;
use crate::open::list;
use crate::operations::Operations;
use crate::rate::Rate;
use crate::signal::Signal;
use crate::ugens::{
    Clip, Fold, Impulse, K2A, Lag, Lag2, Lag3, LagUD, LinExp, MulAdd, Poll, Slew, Wrap,
};

/// What a method of [`Shaping`] is called, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodInfo {
    /// The method's name.
    pub name: &'static str,
    /// The names of its arguments.
    pub arguments: &'static [&'static str],
    /// One sentence.
    pub documentation: &'static str,
}

/// Defines the trait and, from the same rows, the table of its methods.
macro_rules! shaping {
    ($(
        #[doc = $doc:literal]
        $(#[doc = $more:literal])*
        fn $name:ident($self:ident $(, $argument:ident: $type:ty)*) $body:block
    )*) => {
        /// Methods for common composites and UGens; each channel keeps its own rate.
        pub trait Shaping: Operations {
            $(
                #[doc = $doc]
                $(#[doc = $more])*
                fn $name($self $(, $argument: $type)*) -> Signal $body
            )*
        }

        /// The methods of [`Shaping`].
        pub const SHAPING_METHODS: &[MethodInfo] = &[$(MethodInfo {
            name: stringify!($name),
            arguments: &[$(stringify!($argument)),*],
            documentation: $doc.trim_ascii(),
        }),*];
    };
}

/// A smoothing UGen at the rate of each channel.
macro_rules! smooth {
    ($ugen:ident, $source:expr, $($time:expr),*) => {
        map_channels_by_rate($source, |source, is_audio| {
            if is_audio {
                $ugen::ar(source $(, $time)*).signal()
            } else {
                $ugen::kr(source $(, $time)*).signal()
            }
        })
    };
}

/// A UGen with a range at the rate of each channel.
macro_rules! confine {
    ($ugen:ident, $source:expr, $minimum:expr, $maximum:expr) => {{
        let (minimum, maximum) = ($minimum.into_signal(), $maximum.into_signal());
        map_channels($source, |source| match source.rate() {
            Rate::Audio => $ugen::ar(source).minimum(minimum).maximum(maximum).signal(),
            Rate::Scalar => $ugen::ir(source).minimum(minimum).maximum(maximum).signal(),
            _ => $ugen::kr(source).minimum(minimum).maximum(maximum).signal(),
        })
    }};
}

shaping! {
    /// The sum of all channels.
    fn mix(self) {
        Mix::new(self)
    }

    /// The signal as each of `count` channels.
    fn dup(self, count: usize) {
        list(&vec![self.into_signal(); count])
    }

    /// `a * multiplier + addend` in one UGen.
    fn madd(self, multiplier: impl IntoSignal, addend: impl IntoSignal) {
        MulAdd::new(self, multiplier, addend)
    }

    /// Smooths changes over a time in seconds.
    fn lag(self, time: impl IntoSignal) {
        let time = time.into_signal();
        smooth!(Lag, self.into_signal(), time)
    }

    /// Smooths changes over a time in seconds, twice.
    fn lag2(self, time: impl IntoSignal) {
        let time = time.into_signal();
        smooth!(Lag2, self.into_signal(), time)
    }

    /// Smooths changes over a time in seconds, three times.
    fn lag3(self, time: impl IntoSignal) {
        let time = time.into_signal();
        smooth!(Lag3, self.into_signal(), time)
    }

    /// Smooths changes twice; the same as `lag2`.
    fn lag_2(self, time: impl IntoSignal) {
        self.lag2(time)
    }

    /// Smooths changes three times; the same as `lag3`.
    fn lag_3(self, time: impl IntoSignal) {
        self.lag3(time)
    }

    /// Smooths changes over one time in seconds upwards and another one downwards.
    fn lagud(self, up: impl IntoSignal, down: impl IntoSignal) {
        let (up, down) = (up.into_signal(), down.into_signal());
        map_channels_by_rate(self.into_signal(), |source, is_audio| {
            let ugen = if is_audio { LagUD::ar(source) } else { LagUD::kr(source) };
            ugen.lag_time_up(up).lag_time_down(down).signal()
        })
    }

    /// Limits how much the signal changes in a second, upwards and downwards.
    fn slew(self, up: impl IntoSignal, down: impl IntoSignal) {
        let (up, down) = (up.into_signal(), down.into_signal());
        map_channels_by_rate(self.into_signal(), |source, is_audio| {
            let ugen = if is_audio { Slew::ar(source) } else { Slew::kr(source) };
            ugen.up(up).down(down).signal()
        })
    }

    /// Limits the signal to a range.
    fn clip(self, minimum: impl IntoSignal, maximum: impl IntoSignal) {
        confine!(Clip, self.into_signal(), minimum, maximum)
    }

    /// Reflects the signal at the ends of a range.
    fn fold(self, minimum: impl IntoSignal, maximum: impl IntoSignal) {
        confine!(Fold, self.into_signal(), minimum, maximum)
    }

    /// Wraps the signal into a range.
    fn wrap(self, minimum: impl IntoSignal, maximum: impl IntoSignal) {
        confine!(Wrap, self.into_signal(), minimum, maximum)
    }

    /// Maps the range from -1 to 1, which most oscillators have, to another range.
    fn range(self, low: impl IntoSignal, high: impl IntoSignal) {
        LinLin::new(self, (-1.0, 1.0), (low, high))
    }

    /// Maps the range from -1 to 1 to a range of positive numbers, exponentially.
    fn exprange(self, low: impl IntoSignal, high: impl IntoSignal) {
        self.linear_to_exponential((-1.0, 1.0), (low, high))
    }

    /// Maps the range from -1 to 1 to the range from 0 to 1.
    fn unipolar(self) {
        self.range(0.0, 1.0)
    }

    /// Maps a linear range to another one, and limits the result to it.
    fn linlin(
        self,
        input_low: impl IntoSignal,
        input_high: impl IntoSignal,
        output_low: impl IntoSignal,
        output_high: impl IntoSignal
    ) {
        let (low, high) = (input_low.into_signal(), input_high.into_signal());
        LinLin::new(self.clip(low, high), (low, high), (output_low, output_high))
    }

    /// Maps a linear range to an exponential one of positive numbers, and limits the result to it.
    fn linexp(
        self,
        input_low: impl IntoSignal,
        input_high: impl IntoSignal,
        output_low: impl IntoSignal,
        output_high: impl IntoSignal
    ) {
        let (low, high) = (input_low.into_signal(), input_high.into_signal());
        self.clip(low, high).linear_to_exponential((low, high), (output_low, output_high))
    }

    /// Maps an exponential range of positive numbers to a linear one, and limits the result to it.
    fn explin(
        self,
        input_low: impl IntoSignal,
        input_high: impl IntoSignal,
        output_low: impl IntoSignal,
        output_high: impl IntoSignal
    ) {
        let (first, last) = (output_low.into_signal(), output_high.into_signal());
        let position = exponential_position(self.into_signal(), input_low, input_high);
        MulAdd::new(position, last - first, first)
    }

    /// Maps an exponential range to another one, both of positive numbers, and limits the result.
    fn expexp(
        self,
        input_low: impl IntoSignal,
        input_high: impl IntoSignal,
        output_low: impl IntoSignal,
        output_high: impl IntoSignal
    ) {
        let (first, last) = (output_low.into_signal(), output_high.into_signal());
        let position = exponential_position(self.into_signal(), input_low, input_high);
        (last / first).pow(position) * first
    }

    /// Maps a linear range to an exponential one: neither end of `output` may be zero.
    fn linear_to_exponential(
        self,
        input: (impl IntoSignal, impl IntoSignal),
        output: (impl IntoSignal, impl IntoSignal)
    ) {
        let (input_low, input_high) = (input.0.into_signal(), input.1.into_signal());
        let (output_low, output_high) = (output.0.into_signal(), output.1.into_signal());
        map_channels_by_rate(self.into_signal(), |source, is_audio| {
            let ugen = if is_audio { LinExp::ar(source) } else { LinExp::kr(source) };
            ugen.input_minimum(input_low)
                .input_maximum(input_high)
                .output_minimum(output_low)
                .output_maximum(output_high)
                .signal()
        })
    }

    /// Transposes a frequency by semitones.
    fn transpose(self, semitones: impl IntoSignal) {
        (self.hertz_to_midi() + semitones).midi_to_hertz()
    }

    /// Converts the signal to audio rate, if it has another.
    fn audio(self) {
        map_channels(self.into_signal(), |source| match source.rate() {
            Rate::Audio => source,
            _ => K2A::ar(source).signal(),
        })
    }

    /// Passes the signal on; the server prints its value so many times a second.
    fn poll(self, frequency: impl IntoSignal) {
        let (source, frequency) = (self.into_signal(), frequency.into_signal());
        map_channels_by_rate(source, |channel, is_audio| {
            if is_audio {
                Poll::ar(Impulse::ar(frequency), channel).signal()
            } else {
                Poll::kr(Impulse::kr(frequency), channel).signal()
            }
        });
        source
    }
}

/// Where a signal is in an exponential range: 0 at its lower end, 1 at its upper end.
fn exponential_position(signal: Signal, low: impl IntoSignal, high: impl IntoSignal) -> Signal {
    let (low, high) = (low.into_signal(), high.into_signal());
    (signal.clip(low, high) / low).ln() / (high / low).ln()
}

impl<T: Operations> Shaping for T {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SynthDef;
    use crate::ugens::{Out, SinOsc};

    #[test]
    fn ranges_are_computed_for_numbers() {
        let result = SynthDef::build("test", |_| {
            let lists = SinOsc::ar(2.0).dup(3);
            assert_eq!(lists.channel_count(), 3);
            assert_eq!(SinOsc::kr(1.0).exprange(20.0, 2_000.0).rate(), Rate::Control);
            let mapped = SinOsc::ar(1.0).explin(20.0, 20_000.0, 0.0, 1.0).madd(0.5, 0.1);
            Out::ar(0, [mapped, SinOsc::ar(1.0).expexp(1.0, 2.0, 3.0, 4.0).poll(10.0)]);
            let slow = SinOsc::kr(1.0).linlin(0.0, 1.0, 2.0, 3.0).lag2(0.1).slew(1.0, 2.0);
            Out::kr(
                0,
                slow.linexp(0.0, 1.0, 2.0, 3.0).lagud(0.1, 0.2).fold(0.0, 1.0).wrap(0.0, 0.5),
            );
        });
        let synthdef = result.expect("a valid SynthDef");
        let names: Vec<String> = synthdef.ugens().iter().map(|ugen| ugen.name.clone()).collect();
        for name in ["Clip", "LinExp", "Lag2", "Slew", "LagUD", "Fold", "Wrap", "Poll", "MulAdd"] {
            assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn every_method_is_in_the_table() {
        assert!(SHAPING_METHODS.len() > 20);
        for method in SHAPING_METHODS {
            assert!(method.documentation.ends_with('.'), "{}", method.name);
        }
    }
}
