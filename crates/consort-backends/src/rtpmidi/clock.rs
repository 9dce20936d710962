//! The MIDI clock that an instance sends.

use std::time::{Duration, Instant};

use crate::midi_grammar::clock::CLOCKS_PER_QUARTER;

/// After how much delay the clocks that were missed are left out.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// When the next clock is due. The router's timers send it, as exactly as the load allows; the
/// average tempo is exact.
#[derive(Default)]
pub(super) struct Clock {
    /// The time of the next clock, and from clock to clock.
    next: Option<(Instant, Duration)>,
}

impl Clock {
    /// Sets the tempo in quarter notes per minute; below 1, there is no clock.
    pub(super) fn set_tempo(&mut self, tempo: f64, now: Instant) {
        let start = self.next.map_or(now, |(next, _)| next);
        let interval = 60.0 / (tempo * f64::from(CLOCKS_PER_QUARTER));
        self.next = (tempo >= 1.0).then(|| (start, Duration::from_secs_f64(interval)));
    }

    /// When the next clock is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next.map(|(next, _)| next)
    }

    /// Counts the clocks that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> u32 {
        let Some((next, interval)) = &mut self.next else { return 0 };
        if *next + MAX_DELAY < now {
            *next = now;
        }
        let mut count = 0;
        while *next <= now {
            *next += *interval;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_keep_their_average_and_are_left_out_after_a_pause() {
        let start = Instant::now();
        let mut clock = Clock::default();
        clock.set_tempo(120.0, start);
        // 48 clocks a second, asked for at odd times.
        let count: u32 =
            (0..=100).map(|step| clock.take_due(start + Duration::from_millis(step * 10))).sum();
        assert_eq!(count, 49);
        assert_eq!(clock.take_due(start + Duration::from_secs(60)), 1);
        clock.set_tempo(0.5, start);
        assert_eq!(clock.due(), None);
    }
}
