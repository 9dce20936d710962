//! Envelopes: breakpoints for `EnvGen`.

use super::graph::array;
use super::signal::{IntoSignal, Repr, Signal};

/// How an envelope goes from one level to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Curve {
    /// To the new level at once.
    Step,
    /// A straight line.
    Linear,
    /// An exponential; both levels have to have the same sign and not be zero.
    Exponential,
    /// Half a cosine.
    Sine,
    /// A quarter of a sine.
    Welch,
    /// Bent by a number: 0 is straight, below it starts fast, above it starts slowly.
    Bend(Signal),
    /// A line of square roots.
    Squared,
    /// A line of cube roots.
    Cubed,
    /// The old level until the end.
    Hold,
}

impl Curve {
    /// Bent by a number or a signal.
    pub fn bend(amount: impl IntoSignal) -> Self {
        Self::Bend(amount.into_signal())
    }

    fn numbers(self) -> (f64, Signal) {
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

/// A number bends the curve.
impl From<f64> for Curve {
    fn from(amount: f64) -> Self {
        Self::bend(amount)
    }
}

/// Levels, the times between them in seconds, and how to go.
///
/// Levels, times and bends may be signals; with several channels, there are as many envelopes.
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
    /// An envelope through these levels; there is one duration less than there are levels, and
    /// curves begin anew after the last.
    ///
    /// Too few or too many durations make the build of the SynthDef fail.
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

    /// The level, counted from zero, at which the envelope waits until the gate closes.
    #[must_use]
    pub fn release_node(mut self, node: u16) -> Self {
        self.release_node = Some(node);
        self
    }

    /// The level to which the envelope goes back from the release node while the gate is open.
    #[must_use]
    pub fn loop_node(mut self, node: u16) -> Self {
        self.loop_node = Some(node);
        self
    }

    /// Offset in seconds of the form that `IEnvGen` reads.
    #[must_use]
    pub fn offset(mut self, offset: impl IntoSignal) -> Self {
        self.offset = offset.into_signal();
        self
    }

    /// Attack and release, without a gate: for everything that is struck.
    pub fn percussive(attack: impl IntoSignal, release: impl IntoSignal) -> Self {
        let durations = [attack.into_signal(), release.into_signal()];
        Self::new([0.0, 1.0, 0.0], durations, [Curve::bend(-4.0)])
    }

    /// Attack, decay to a share of one, and release when the gate closes.
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

    /// Attack to a level, and release when the gate closes.
    pub fn asr(
        attack: impl IntoSignal,
        sustain: impl IntoSignal,
        release: impl IntoSignal,
    ) -> Self {
        let levels = [0.0.into_signal(), sustain.into_signal(), 0.0.into_signal()];
        let durations = [attack.into_signal(), release.into_signal()];
        Self::new(levels, durations, [Curve::bend(-4.0)]).release_node(1)
    }

    /// Attack, a plateau and release of given lengths, in straight lines.
    pub fn linen(
        attack: impl IntoSignal,
        sustain_time: impl IntoSignal,
        release: impl IntoSignal,
    ) -> Self {
        let durations = [attack.into_signal(), sustain_time.into_signal(), release.into_signal()];
        Self::new([0.0, 1.0, 1.0, 0.0], durations, [Curve::Linear])
    }

    /// Up and down in straight lines, within a time.
    pub fn triangle(duration: impl IntoSignal) -> Self {
        let half = duration.into_signal() / 2.0;
        Self::new([0.0, 1.0, 0.0], [half, half], [Curve::Linear])
    }

    /// All curves at once.
    #[must_use]
    pub fn curve(mut self, curve: impl Into<Curve>) -> Self {
        self.curves = vec![curve.into()];
        self
    }

    /// All levels times a factor.
    #[must_use]
    pub fn scaled(mut self, factor: impl IntoSignal) -> Self {
        let factor = factor.into_signal();
        for level in &mut self.levels {
            *level = *level * factor;
        }
        self
    }

    fn check(&self) -> bool {
        let sound = self.levels.len() >= 2
            && self.durations.len() + 1 == self.levels.len()
            && !self.curves.is_empty();
        if !sound {
            super::graph::fail(super::SynthDefError::new(
                super::SynthDefErrorKind::InvalidInput,
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
        sound
    }

    /// Level, duration, shape and bend of each segment.
    fn segments(&self) -> impl Iterator<Item = (Signal, Signal, Signal, Signal)> {
        self.levels[1..].iter().zip(&self.durations).zip(self.curves.iter().cycle()).map(
            |((level, duration), curve)| {
                let (shape, bend) = curve.numbers();
                (*level, *duration, shape.into_signal(), bend)
            },
        )
    }

    /// The list that `EnvGen` reads.
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

    /// The list that `IEnvGen` reads.
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
    let is_array = |signal: &Signal| matches!(signal.0, Repr::Array { .. });
    let width = items.iter().filter(|item| is_array(item)).map(|item| item.channel_count()).max();
    let Some(width) = width else {
        return array(items);
    };
    let channels: Vec<Signal> = (0..width)
        .map(|index| {
            let channel: Vec<Signal> = items.iter().map(|item| item.channel(index)).collect();
            by_channels(&channel)
        })
        .collect();
    if let [only] = channels[..] { only } else { array(&channels) }
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
