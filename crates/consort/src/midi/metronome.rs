//! The metronome of `consort midi record`.

use anyhow::Context as _;
use consort_seq::{Event, Port, PortInfo, RealTime, TempoMap};

use super::listener::Listener;
use super::send;

/// The time from the start of the queue to the first click, or to the first event of a file that
/// is played meanwhile, so that it is not late.
pub(super) const LEAD_NANOSECONDS: u64 = 200_000_000;
/// How far ahead clicks are put into the queue.
const AHEAD_NANOSECONDS: u64 = 1_000_000_000;
/// The length of a click.
const CLICK_MILLISECONDS: u32 = 50;
/// The channel of drums.
const CHANNEL: u8 = 9;
/// High and low wood block of General MIDI: the first beat of a bar, and the others.
const KEYS: [u8; 2] = [76, 77];
const VELOCITY: u8 = 100;

/// Beats of a bar and their note value: 4/4, 6/8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) numerator: u8,
    pub(super) denominator: u8,
}

impl Meter {
    /// 4/4, which a file without time signatures has.
    pub(super) const COMMON: Self = Self { numerator: 4, denominator: 4 };
}

/// Parses a meter such as 3/4.
pub(super) fn read_meter(text: &str) -> Result<Meter, String> {
    let parts = text.split_once('/').and_then(|(numerator, denominator)| {
        let (numerator, denominator): (u8, u8) =
            (numerator.parse().ok()?, denominator.parse().ok()?);
        let is_valid = numerator > 0 && denominator.is_power_of_two() && denominator <= 64;
        is_valid.then_some(Meter { numerator, denominator })
    });
    parts.ok_or_else(|| format!("invalid meter `{text}`; expected one such as 4/4, 3/4 or 6/8"))
}

/// The times of beats.
pub(super) struct Beats {
    meter: Meter,
    /// Nanoseconds of a beat before the recording begins, at least 1.
    beat: u64,
    /// A tempo map for the beats after that, with its ticks of a beat.
    map: Option<(TempoMap, u64)>,
}

impl Beats {
    /// Beats of a constant tempo. `quarter` is the length of a quarter note in nanoseconds.
    pub(super) fn steady(quarter: u64, meter: Meter) -> Self {
        let beat = quarter.saturating_mul(4) / u64::from(meter.denominator);
        Self { meter, beat: beat.max(1), map: None }
    }

    /// Beats by a tempo map; those before its beginning have its first tempo.
    pub(super) fn mapped(map: TempoMap, meter: Meter) -> Self {
        let ticks = u64::from(map.ticks_per_quarter()) * 4 / u64::from(meter.denominator);
        let steady = Self::steady(u64::from(map.tempo(0)) * 1000, meter);
        Self { map: Some((map, ticks.max(1))), ..steady }
    }

    /// The time from the first beat of the recording to a later one, in nanoseconds.
    fn time(&self, beat: u64) -> u64 {
        match &self.map {
            Some((map, ticks)) => map.real_time(beat.saturating_mul(*ticks)).as_nanoseconds(),
            None => beat.saturating_mul(self.beat),
        }
    }
}

/// Clicks on the queue of a listener.
pub(super) struct Metronome {
    port: Port,
    beats: Beats,
    /// The number of beats before the recording begins.
    count_in: u64,
    /// The number of the next beat.
    next: u64,
}

impl Metronome {
    /// Connects a port of the listener's client to `target`.
    pub(super) fn open(
        listener: &Listener,
        target: &PortInfo,
        beats: Beats,
        count_in_bars: u32,
    ) -> anyhow::Result<Self> {
        let port = send::source(&listener.client)?;
        port.connect_to(target.address())?;
        let count_in = u64::from(count_in_bars) * u64::from(beats.meter.numerator);
        Ok(Self { port, beats, count_in, next: 0 })
    }

    /// The queue's time of a beat.
    fn time(&self, beat: u64) -> u64 {
        let count_in = beat.min(self.count_in).saturating_mul(self.beats.beat);
        let recorded = self.beats.time(beat.saturating_sub(self.count_in));
        LEAD_NANOSECONDS.saturating_add(count_in).saturating_add(recorded)
    }

    /// The queue's time at which the recording begins.
    pub(super) fn origin(&self) -> RealTime {
        RealTime::from_nanoseconds(self.time(self.count_in))
    }

    /// Puts the clicks of the next second into the queue. Does not block: if the pool is full, the
    /// rest follows with the next call.
    pub(super) fn step(&mut self, listener: &Listener, now: RealTime) -> anyhow::Result<()> {
        let until = now.as_nanoseconds().saturating_add(AHEAD_NANOSECONDS);
        while self.time(self.next) <= until {
            let is_first = self.next.is_multiple_of(self.beats.meter.numerator.into());
            let key = KEYS[usize::from(!is_first)];
            let click = Event::note(CHANNEL, key, VELOCITY, CLICK_MILLISECONDS)?
                .on_queue(listener.queue())
                .at_time(RealTime::from_nanoseconds(self.time(self.next)));
            if listener.client.try_event_output(&click, &self.port)?.is_none() {
                break;
            }
            self.next += 1;
        }
        listener.client.try_drain_output()?;
        Ok(())
    }

    /// Removes the clicks that are not due yet, and ends the one that may sound.
    pub(super) fn stop(&self, listener: &Listener) -> anyhow::Result<()> {
        listener.client.drop_output().context("cannot stop the metronome")?;
        for key in KEYS {
            let off = Event::note_off(CHANNEL, key, 0)?;
            listener.client.try_event_output_direct(&off, &self.port)?;
        }
        Ok(())
    }
}
