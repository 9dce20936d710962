//! Warnings and failures: each warning once, and a line on standard error when nobody listens.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

use super::Shared;

/// How many different warnings are remembered; beyond that, the oldest may be repeated.
const MAX_WARNINGS: usize = 1_024;

/// The warnings of the current connection.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<HashSet<String>>);

impl Warnings {
    /// Whether the warning was not given before.
    pub(super) fn is_new(&self, warning: &str) -> bool {
        let mut known = self.0.lock();
        if known.contains(warning) {
            return false;
        }
        if known.len() >= MAX_WARNINGS {
            known.clear();
        }
        known.insert(warning.to_owned())
    }

    /// A new connection begins.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Shared {
    /// Prints a failure or warning to standard error if nobody would learn of it otherwise: no
    /// receiver of events exists, and the program has no subscriber for the warnings of `tracing`.
    #[allow(clippy::print_stderr)]
    pub(super) fn print_unheard(&self, text: &dyn fmt::Display) {
        let has_receiver = self.event_count.load(Ordering::Relaxed) > 0;
        if !has_receiver && LevelFilter::current() < LevelFilter::WARN {
            eprintln!("consort-sc: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_given_once_for_each_connection() {
        let warnings = Warnings::default();
        assert!(warnings.is_new("one") && warnings.is_new("two") && !warnings.is_new("one"));
        warnings.clear();
        assert!(warnings.is_new("one"));
        // The memory is bounded.
        (0..5 * MAX_WARNINGS).for_each(|number| assert!(warnings.is_new(&number.to_string())));
        assert!(warnings.0.lock().len() <= MAX_WARNINGS);
    }
}
