//! The MIDI clock that an instance sends with the show's own timers.

use std::time::{Duration, Instant};

use super::clock::CLOCKS_PER_QUARTER;

/// After how much delay the clocks that were missed are left out.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// When the next clock is due. The router's timers send it, as exactly as the load allows; the
/// average tempo is exact.
#[derive(Default)]
pub(crate) struct TimedClock {
    /// The time of the next clock, and from clock to clock.
    next: Option<(Instant, Duration)>,
}

impl TimedClock {
    /// Sets the tempo in quarter notes per minute; below 1, there is no clock.
    pub(crate) fn set_tempo(&mut self, tempo: f64, now: Instant) {
        let start = self.next.map_or(now, |(next, _)| next);
        let interval = 60.0 / (tempo * f64::from(CLOCKS_PER_QUARTER));
        self.next = (tempo >= 1.0).then(|| (start, Duration::from_secs_f64(interval)));
    }

    /// When the next clock is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next.map(|(next, _)| next)
    }

    /// When the next clock was due, if it is; call again until there is none.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let (next, interval) = self.next.as_mut()?;
        if *next + MAX_DELAY < now {
            *next = now;
        }
        let due = *next;
        (due <= now).then(|| {
            *next += *interval;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_keep_their_average_and_are_left_out_after_a_pause() {
        let start = Instant::now();
        let mut clock = TimedClock::default();
        clock.set_tempo(120.0, start);
        let count = |clock: &mut TimedClock, now: Duration| {
            std::iter::from_fn(|| clock.take_due(start + now)).count()
        };
        // 48 clocks a second, asked for at odd times.
        let total: usize =
            (0..=100).map(|step| count(&mut clock, Duration::from_millis(step * 10))).sum();
        assert_eq!(total, 49);
        assert_eq!(count(&mut clock, Duration::from_secs(60)), 1);
        clock.set_tempo(0.5, start);
        assert_eq!(clock.due(), None);
    }
}
