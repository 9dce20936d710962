//! Bars: time signatures and the ticks at which bars begin.

use super::{Body, Division, MidiFile};

pub(super) const META_TIME_SIGNATURE: u8 = 0x58;

/// A time signature of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeSignature {
    /// The tick from which it applies.
    pub tick: u64,
    /// The number of beats of a bar, 1 to 255.
    pub numerator: u8,
    /// The note value of a beat: 1, 2, 4, 8 and so on, up to 128.
    pub denominator: u8,
}

impl TimeSignature {
    /// 4/4, which applies before the first time signature of a file.
    const DEFAULT: Self = Self { tick: 0, numerator: 4, denominator: 4 };

    /// The length of a bar in ticks, at least 1.
    fn bar_ticks(&self, ticks_per_quarter: u16) -> u64 {
        let whole = 4 * u64::from(ticks_per_quarter);
        (whole * u64::from(self.numerator) / u64::from(self.denominator)).max(1)
    }
}

impl MidiFile {
    /// The time signatures of the file in order of time. The first one is at tick 0; it is 4/4 if
    /// the file has none there. Invalid ones are left out.
    #[must_use]
    pub fn time_signatures(&self) -> Vec<TimeSignature> {
        let mut signatures = vec![TimeSignature::DEFAULT];
        for event in self.events() {
            let Body::Meta(META_TIME_SIGNATURE, &[numerator, power, ..]) = event.body else {
                continue;
            };
            if numerator == 0 || power > 7 {
                continue;
            }
            let signature = TimeSignature { tick: event.tick, numerator, denominator: 1 << power };
            signatures.pop_if(|last| last.tick == event.tick);
            signatures.push(signature);
        }
        signatures
    }

    /// The tick at which a bar begins; bars are counted from 1, and a time signature begins a new
    /// one. `None` for bar 0, and for a file with SMPTE time, which has no bars.
    #[must_use]
    pub fn bar_tick(&self, bar: u32) -> Option<u64> {
        let Division::Metrical(ticks_per_quarter) = self.division else { return None };
        let mut bars = u64::from(bar.checked_sub(1)?);
        let signatures = self.time_signatures();
        for (index, signature) in signatures.iter().enumerate() {
            let length = signature.bar_ticks(ticks_per_quarter);
            let until_next = match signatures.get(index + 1) {
                Some(next) => (next.tick - signature.tick).div_ceil(length),
                None => u64::MAX,
            };
            if bars < until_next {
                return signature.tick.checked_add(bars.checked_mul(length)?);
            }
            bars -= until_next;
        }
        None
    }

    /// The number of bars of the file, the last of which may be incomplete; 0 for a file with SMPTE
    /// time.
    #[must_use]
    pub fn bar_count(&self) -> u64 {
        let Division::Metrical(ticks_per_quarter) = self.division else { return 0 };
        let signatures = self.time_signatures();
        let ends = signatures.iter().skip(1).map(|next| next.tick).chain([self.end_tick()]);
        let bars = signatures.iter().zip(ends).map(|(signature, end)| {
            end.saturating_sub(signature.tick).div_ceil(signature.bar_ticks(ticks_per_quarter))
        });
        bars.sum()
    }
}
