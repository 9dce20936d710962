//! Envelopes: breakpoints for `EnvGen`.

use crate::conversion::IntoSignal;
use crate::error::{SynthDefError, SynthDefErrorKind};
use crate::open::{self, list};
use crate::signal::Signal;

/// How an envelope goes from one level to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Curve {
    /// Jumps to the new level immediately.
    Step,
    /// A straight line.
    Linear,
    /// An exponential; both levels need the same sign, and neither may be zero.
    Exponential,
    /// Half a cosine.
    Sine,
    /// A quarter of a sine.
    Welch,
    /// A curve bent by a number: 0 is straight, negative numbers start fast, positive ones slowly.
    Bend(Signal),
    /// A straight line between the square roots of the levels.
    Squared,
    /// A straight line between the cube roots of the levels.
    Cubed,
    /// Holds the old level until the end.
    Hold,
}

impl Curve {
    /// A curve bent by a number or a signal.
    pub fn bend(amount: impl IntoSignal) -> Self {
        Self::Bend(amount.into_signal())
    }

    /// The server's number of the shape, and the bend.
    fn shape_and_bend(self) -> (f64, Signal) {
        let shape = match self {
            Self::Step => 0.0,
            Self::Linear => 1.0,
            Self::Exponential => 2.0,
            Self::Sine => 3.0,
            Self::Welch => 4.0,
            Self::Bend(amount) => return (5.0, amount),
            Self::Squared => 6.0,
            Self::Cubed => 7.0,
            Self::Hold => 8.0,
        };
        (shape, 0.0.into_signal())
    }
}

/// A number is a bend.
impl From<f64> for Curve {
    fn from(amount: f64) -> Self {
        Self::bend(amount)
    }
}

/// Levels, the times between them in seconds, and the curves from one level to the next.
///
/// Levels, times and bends may be signals. If one of them has several channels, the result is one
/// envelope for each channel.
#[derive(Clone, Debug)]
pub struct Envelope {
    levels: Vec<Signal>,
    durations: Vec<Signal>,
    curves: Vec<Curve>,
    release_node: Option<u16>,
    loop_node: Option<u16>,
    offset: Signal,
}

impl Envelope {
    /// An envelope through these levels. It needs one duration less than levels; if there are
    /// fewer curves than durations, they start again at the first.
    ///
    /// A wrong number of durations makes the build of the SynthDef fail.
    pub fn new(
        levels: impl IntoIterator<Item = impl IntoSignal>,
        durations: impl IntoIterator<Item = impl IntoSignal>,
        curves: impl IntoIterator<Item = Curve>,
    ) -> Self {
        Self {
            levels: levels.into_iter().map(IntoSignal::into_signal).collect(),
            durations: durations.into_iter().map(IntoSignal::into_signal).collect(),
            curves: curves.into_iter().collect(),
            release_node: None,
            loop_node: None,
            offset: 0.0.into_signal(),
        }
    }

    /// Sets the level, counted from zero, at which the envelope waits until the gate closes.
    #[must_use]
    pub fn release_node(mut self, node: u16) -> Self {
        self.release_node = Some(node);
        self
    }

    /// Sets the level to which the envelope returns from the release node while the gate is open.
    #[must_use]
    pub fn loop_node(mut self, node: u16) -> Self {
        self.loop_node = Some(node);
        self
    }

    /// Sets the time in seconds at which the form that `IEnvGen` reads begins.
    #[must_use]
    pub fn offset(mut self, offset: impl IntoSignal) -> Self {
        self.offset = offset.into_signal();
        self
    }

    /// Attack and release without a gate, for struck and plucked instruments.
    pub fn percussive(attack: impl IntoSignal, release: impl IntoSignal) -> Self {
        let durations = [attack.into_signal(), release.into_signal()];
        Self::new([0.0, 1.0, 0.0], durations, [Curve::bend(-4.0)])
    }

    /// Attack to one, decay to the sustain level, and release when the gate closes.
    pub fn adsr(
        attack: impl IntoSignal,
        decay: impl IntoSignal,
        sustain: impl IntoSignal,
        release: impl IntoSignal,
    ) -> Self {
        let levels =
            [0.0.into_signal(), 1.0.into_signal(), sustain.into_signal(), 0.0.into_signal()];
        let durations = [attack.into_signal(), decay.into_signal(), release.into_signal()];
        Self::new(levels, durations, [Curve::bend(-4.0)]).release_node(2)
    }

    /// Attack to the sustain level, and release when the gate closes.
    pub fn asr(
        attack: impl IntoSignal,
        sustain: impl IntoSignal,
        release: impl IntoSignal,
    ) -> Self {
        let levels = [0.0.into_signal(), sustain.into_signal(), 0.0.into_signal()];
        let durations = [attack.into_signal(), release.into_signal()];
        Self::new(levels, durations, [Curve::bend(-4.0)]).release_node(1)
    }

    /// Attack, a plateau and release of given durations, in straight lines.
    pub fn linen(
        attack: impl IntoSignal,
        sustain_time: impl IntoSignal,
        release: impl IntoSignal,
    ) -> Self {
        let durations = [attack.into_signal(), sustain_time.into_signal(), release.into_signal()];
        Self::new([0.0, 1.0, 1.0, 0.0], durations, [Curve::Linear])
    }

    /// Up and down in straight lines, each in half of the duration.
    pub fn triangle(duration: impl IntoSignal) -> Self {
        let half = duration.into_signal() / 2.0;
        Self::new([0.0, 1.0, 0.0], [half, half], [Curve::Linear])
    }

    /// Sets one curve for all segments.
    #[must_use]
    pub fn curve(mut self, curve: impl Into<Curve>) -> Self {
        self.curves = vec![curve.into()];
        self
    }

    /// Multiplies all levels by a factor.
    #[must_use]
    pub fn scaled(mut self, factor: impl IntoSignal) -> Self {
        let factor = factor.into_signal();
        for level in &mut self.levels {
            *level *= factor;
        }
        self
    }

    /// Whether the numbers of levels, durations and curves fit; otherwise the build fails.
    fn check(&self) -> bool {
        let is_consistent = self.levels.len() >= 2
            && self.durations.len() + 1 == self.levels.len()
            && !self.curves.is_empty();
        if !is_consistent {
            open::fail(SynthDefError::new(
                SynthDefErrorKind::InvalidInput,
                format!(
                    "an envelope of {} levels needs {} durations and at least one curve; it has \
                     {} durations and {} curves",
                    self.levels.len(),
                    self.levels.len().saturating_sub(1),
                    self.durations.len(),
                    self.curves.len()
                ),
            ));
        }
        is_consistent
    }

    /// Level, duration, shape and bend of each segment.
    fn segments(&self) -> impl Iterator<Item = (Signal, Signal, Signal, Signal)> {
        self.levels[1..].iter().zip(&self.durations).zip(self.curves.iter().cycle()).map(
            |((level, duration), curve)| {
                let (shape, bend) = curve.shape_and_bend();
                (*level, *duration, shape.into_signal(), bend)
            },
        )
    }

    /// The list of numbers that `EnvGen` reads.
    pub fn serialize(&self) -> Signal {
        if !self.check() {
            return Signal::INVALID;
        }
        let node = |node: Option<u16>| node.map_or(-99.0, f64::from).into_signal();
        let mut items = vec![
            self.levels[0],
            (self.durations.len() as f64).into_signal(),
            node(self.release_node),
            node(self.loop_node),
        ];
        for (level, duration, shape, bend) in self.segments() {
            items.extend([level, duration, shape, bend]);
        }
        by_channels(&items)
    }

    /// The list of numbers that `IEnvGen` reads.
    pub fn serialize_interpolated(&self) -> Signal {
        if !self.check() {
            return Signal::INVALID;
        }
        let total = self.durations.iter().skip(1).fold(self.durations[0], |sum, next| sum + *next);
        let mut items =
            vec![self.offset, self.levels[0], (self.durations.len() as f64).into_signal(), total];
        for (level, duration, shape, bend) in self.segments() {
            items.extend([duration, shape, bend, level]);
        }
        by_channels(&items)
    }
}

/// One list, or one for each channel of the widest item.
fn by_channels(items: &[Signal]) -> Signal {
    let width = items.iter().filter(|item| item.is_array()).map(|item| item.channel_count()).max();
    let Some(width) = width else {
        return list(items);
    };
    let channels: Vec<Signal> = (0..width)
        .map(|index| {
            let channel: Vec<Signal> = items.iter().map(|item| item.channel(index)).collect();
            by_channels(&channel)
        })
        .collect();
    if let [only] = channels[..] { only } else { list(&channels) }
}

impl IntoSignal for Envelope {
    fn into_signal(self) -> Signal {
        self.serialize()
    }
}

impl IntoSignal for &Envelope {
    fn into_signal(self) -> Signal {
        self.serialize()
    }
}
