//! Composites (mixers, panners, range maps): used like a UGen, made of several UGens.

use crate::conversion::{IntoSignal, flat_channels};
use crate::open::list;
use crate::operations::Operations;
use crate::rate::Rate;
use crate::signal::Signal;
use crate::ugens::{
    BufDur, Compander, DC, DelayN, FFT, HPZ1, IFFT, In, MulAdd, NumOutputBuses, PV_PhaseShift90,
    Pan2, Sum3, Sum4,
};

/// Sums the channels of signals.
#[derive(Clone, Copy, Debug)]
pub struct Mix;

impl Mix {
    /// The sum of all channels, four at a time.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(sources: impl IntoSignal) -> Signal {
        let mut sources = flat_channels(sources.into_signal());
        while sources.len() > 1 {
            sources = sources
                .chunks(4)
                .map(|chunk| match *chunk {
                    [first, second, third, fourth] => Sum4::new(first, second, third, fourth),
                    [first, second, third] => Sum3::new(first, second, third),
                    [first, second] => first + second,
                    [only] => only,
                    _ => Signal::INVALID,
                })
                .collect();
        }
        sources.first().copied().unwrap_or(Signal::INVALID)
    }

    /// Sums channel by channel: the flattened sources are divided into frames of this many
    /// channels, and the result has the sum of all first channels, of all second channels, and so
    /// on. An incomplete last frame adds to its first channels only.
    pub fn multichannel(sources: impl IntoSignal, channel_count: usize) -> Signal {
        let sources = flat_channels(sources.into_signal());
        let mixes: Vec<Signal> = (0..channel_count)
            .filter_map(|channel| {
                let column: Vec<Signal> =
                    sources.iter().skip(channel).step_by(channel_count).copied().collect();
                (!column.is_empty()).then(|| Self::new(column))
            })
            .collect();
        list(&mixes)
    }
}

/// Spreads channels over the stereo field.
#[derive(Clone, Copy, Debug)]
pub struct Splay {
    source: Signal,
    rate: Rate,
    spread: Signal,
    center: Signal,
    level: Signal,
    normalize: bool,
}

impl Splay {
    /// Spreads at audio rate; normalised for equal power.
    pub fn ar(source: impl IntoSignal) -> Self {
        Self::new(source.into_signal(), Rate::Audio)
    }

    /// Spreads at control rate; normalised for equal amplitude.
    pub fn kr(source: impl IntoSignal) -> Self {
        Self::new(source.into_signal(), Rate::Control)
    }

    fn new(source: Signal, rate: Rate) -> Self {
        let [spread, center, level] = [1.0, 0.0, 1.0].map(IntoSignal::into_signal);
        Self { source, rate, spread, center, level, normalize: true }
    }

    /// Sets the width of the field, 0 to 1; 1 if not set.
    #[must_use]
    pub fn spread(mut self, spread: impl IntoSignal) -> Self {
        self.spread = spread.into_signal();
        self
    }

    /// Sets the centre of the field, -1 (left) to 1 (right); 0 if not set.
    #[must_use]
    pub fn center(mut self, center: impl IntoSignal) -> Self {
        self.center = center.into_signal();
        self
    }

    /// Sets the amplitude; 1 if not set.
    #[must_use]
    pub fn level(mut self, level: impl IntoSignal) -> Self {
        self.level = level.into_signal();
        self
    }

    /// Sets whether the level is reduced so that many channels are as loud as few; true if not
    /// set.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }

    /// Adds the UGens to the SynthDef; the signal has two channels.
    pub fn signal(self) -> Signal {
        let count = self.source.channel_count();
        let positions: Vec<Signal> = (0..count)
            .map(|index| {
                let position = match count {
                    1 => 0.0,
                    _ => index as f64 * (2.0 / (count as f64 - 1.0)) - 1.0,
                };
                position * self.spread + self.center
            })
            .collect();
        let level = match (self.normalize, self.rate) {
            (false, _) => self.level,
            (true, Rate::Audio) => self.level * (1.0 / count as f64).sqrt(),
            (true, _) => self.level / count as f64,
        };
        let panners = match self.rate {
            Rate::Audio => Pan2::ar(self.source).position(positions).signal(),
            _ => Pan2::kr(self.source).position(positions).signal(),
        };
        Mix::multichannel(Mix::multichannel(panners, 2) * level, 2)
    }
}

impl IntoSignal for Splay {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

/// Maps a linear range to another linear range.
#[derive(Clone, Copy, Debug)]
pub struct LinLin;

impl LinLin {
    /// Maps the range `input` (lowest, highest) to the range `output` (lowest, highest).
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        source: impl IntoSignal,
        input: (impl IntoSignal, impl IntoSignal),
        output: (impl IntoSignal, impl IntoSignal),
    ) -> Signal {
        let source = source.into_signal();
        let (input_low, input_high) = (input.0.into_signal(), input.1.into_signal());
        let (output_low, output_high) = (output.0.into_signal(), output.1.into_signal());
        let scale = (output_high - output_low) / (input_high - input_low);
        let offset = output_low - scale * input_low;
        MulAdd::new(source, scale, offset)
    }
}

/// Outputs 1 while a signal changes by more than a threshold, otherwise 0.
#[derive(Clone, Copy, Debug)]
pub struct Changed;

impl Changed {
    /// Compares at audio rate.
    pub fn ar(source: impl IntoSignal, threshold: impl IntoSignal) -> Signal {
        HPZ1::ar(source).absolute().greater_than(threshold)
    }

    /// Compares at control rate.
    pub fn kr(source: impl IntoSignal, threshold: impl IntoSignal) -> Signal {
        HPZ1::kr(source).absolute().greater_than(threshold)
    }
}

/// Compander with look-ahead: the signal is delayed by the clamp time, its control is not.
#[derive(Clone, Copy, Debug)]
pub struct CompanderD;

impl CompanderD {
    /// Adds the UGens; the parameters are those of [`Compander`], in the same order.
    pub fn ar(
        source: impl IntoSignal,
        threshold: impl IntoSignal,
        slope_below: impl IntoSignal,
        slope_above: impl IntoSignal,
        clamp_time: impl IntoSignal,
        relax_time: impl IntoSignal,
    ) -> Signal {
        let (source, clamp_time) = (source.into_signal(), clamp_time.into_signal());
        let delayed = DelayN::ar(source).maximum_delay_time(clamp_time).delay_time(clamp_time);
        Compander::ar(delayed)
            .control(source)
            .threshold(threshold)
            .slope_below(slope_below)
            .slope_above(slope_above)
            .clamp_time(clamp_time)
            .relax_time(relax_time)
            .signal()
    }
}

/// Hilbert transform with an FFT: the delayed signal, and the signal shifted by 90 degrees.
#[derive(Clone, Copy, Debug)]
pub struct HilbertFir;

impl HilbertFir {
    /// Uses a buffer whose size is that of the window, and whose duration is the delay.
    pub fn ar(source: impl IntoSignal, buffer: impl IntoSignal) -> Signal {
        let (source, buffer) = (source.into_signal(), buffer.into_signal());
        let chain = PV_PhaseShift90::kr(FFT::kr(source).buffer_id(buffer)).signal();
        let delay = BufDur::kr(buffer).signal();
        let delayed = DelayN::ar(source).maximum_delay_time(delay).delay_time(delay).signal();
        list(&[delayed, IFFT::ar(chain).signal()])
    }
}

/// Reads the server's inputs, which follow its outputs among the audio buses.
#[derive(Clone, Copy, Debug)]
pub struct SoundIn;

impl SoundIn {
    /// The input with a number from 0; a list of numbers gives as many channels.
    pub fn ar(input: impl IntoSignal) -> Signal {
        In::ar(NumOutputBuses::ir() + input).signal()
    }
}

/// Silence at audio rate.
#[derive(Clone, Copy, Debug)]
pub struct Silence;

impl Silence {
    /// The same silent signal for all channels.
    pub fn ar(channel_count: usize) -> Signal {
        let silence = DC::ar(0.0).signal();
        if channel_count == 1 { silence } else { list(&vec![silence; channel_count]) }
    }
}

/// Applies the function to each channel.
pub(crate) fn map_channels(source: Signal, mut function: impl FnMut(Signal) -> Signal) -> Signal {
    if !source.is_array() {
        return function(source);
    }
    let channels: Vec<Signal> = source.channels().map(function).collect();
    if let [only] = channels[..] { only } else { list(&channels) }
}

/// Applies the function to each channel; its second argument is whether the channel runs at audio
/// rate.
pub(crate) fn map_channels_by_rate(
    source: Signal,
    mut function: impl FnMut(Signal, bool) -> Signal,
) -> Signal {
    map_channels(source, |channel| function(channel, channel.rate() == Rate::Audio))
}
