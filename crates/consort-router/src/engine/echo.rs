//! What was sent to sources lately: a value that comes back is not routed.

/// How long a value that was sent to a source can come back, in microseconds.
const ECHO_TIME: u64 = 500_000;

/// How many values are remembered, of all channels together.
const ECHO_COUNT: usize = 65_536;

/// How many of one channel's values are compared.
const ECHO_SEARCH: usize = 1_024;

/// A value that was sent to a source.
#[derive(Clone, Copy, Debug)]
struct Sent {
    value: f64,
    time: u64,
    /// The number of the value that was sent to the same channel before; 0 for none.
    before: u64,
}

/// A ring of values, where each has the number of the one before on its channel. Numbers begin
/// at 1.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    ring: Vec<Sent>,
    next: u64,
}

impl Echoes {
    pub(super) fn allocate(&mut self) {
        let empty = Sent { value: f64::NAN, time: 0, before: 0 };
        self.ring.resize(ECHO_COUNT, empty);
        self.next = self.next.max(1);
    }

    /// Remembers a value; returns its number.
    pub(super) fn record(&mut self, value: f64, time: u64, before: u64) -> u64 {
        let number = self.next;
        let index = number as usize % ECHO_COUNT;
        if let Some(slot) = self.ring.get_mut(index) {
            *slot = Sent { value, time, before };
            self.next += 1;
        }
        number
    }

    /// Whether one of the values that were sent lately, of which `newest` is the last, fits.
    pub(super) fn contains(&self, newest: u64, now: u64, fits: impl Fn(f64) -> bool) -> bool {
        let mut number = newest;
        for _ in 0..ECHO_SEARCH {
            if number == 0 || number + ECHO_COUNT as u64 <= self.next {
                return false;
            }
            let sent = self.ring[number as usize % ECHO_COUNT];
            if now.saturating_sub(sent.time) > ECHO_TIME {
                return false;
            }
            if fits(sent.value) {
                return true;
            }
            number = sent.before;
        }
        false
    }
}
