//! A limit for lines of the same kind: whoever connects ten thousand times, or a script that prints
//! an error for every value, must neither fill the disk nor push everything else out of the views.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;

use crate::text::counted;

/// How many lines of one kind an instance may log within [`WINDOW`].
const MAX_LINES: u32 = 100;

/// The time in which lines are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// How many kinds of lines are counted at the same time.
const MAX_KINDS: usize = 4_096;

/// The target of lines that were asked for one by one, with the option `detect`.
const UNLIMITED_TARGET: &str = "detect";

/// A kind of line: the place in the program that logs it, and the instance.
type Kind = (Identifier, String);

/// The lines of one kind in the current window.
#[derive(Debug)]
struct Count {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// Lines that were left out: the instance that logged them, and a text about them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) instance: String,
    pub(super) text: String,
}

/// Counts the lines of each kind.
#[derive(Debug, Default)]
pub(super) struct Limits {
    kinds: Mutex<HashMap<Kind, Count>>,
}

impl LeftOut {
    fn new(instance: &str, count: u64) -> Self {
        let lines = counted(count, "further line");
        let verb = if count == 1 { "was" } else { "were" };
        LeftOut {
            instance: instance.to_owned(),
            text: format!("{lines} of the same kind {verb} left out"),
        }
    }
}

impl Limits {
    /// Counts a line. Returns whether to log it, and what to log before it.
    pub(super) fn admit(
        &self,
        metadata: &tracing::Metadata<'_>,
        instance: &str,
        now: Instant,
    ) -> (bool, Vec<LeftOut>) {
        if metadata.target() == UNLIMITED_TARGET {
            return (true, Vec::new());
        }
        self.admit_kind((metadata.callsite(), instance.to_owned()), now)
    }

    fn admit_kind(&self, kind: Kind, now: Instant) -> (bool, Vec<LeftOut>) {
        let mut kinds = self.kinds.lock();
        if let Some(count) = kinds.get_mut(&kind)
            && now.saturating_duration_since(count.since) < WINDOW
        {
            count.lines += 1;
            count.left_out += u64::from(count.lines > MAX_LINES);
            return (count.lines <= MAX_LINES, Vec::new());
        }
        let left_out = take_ended(&mut kinds, Some(now));
        if kinds.len() < MAX_KINDS {
            kinds.insert(kind, Count { since: now, lines: 1, left_out: 0 });
        }
        (true, left_out)
    }

    /// What was left out and is not reported yet, at the end of the program.
    pub(super) fn take_all(&self) -> Vec<LeftOut> {
        take_ended(&mut self.kinds.lock(), None)
    }
}

/// Removes the kinds whose window has ended (`None`: all) and returns what they left out.
fn take_ended(kinds: &mut HashMap<Kind, Count>, now: Option<Instant>) -> Vec<LeftOut> {
    let has_ended =
        |count: &Count| now.is_none_or(|now| now.saturating_duration_since(count.since) >= WINDOW);
    let ended = kinds.extract_if(|_, count| has_ended(count));
    let mut list: Vec<LeftOut> = ended
        .filter(|(_, count)| count.left_out > 0)
        .map(|((_, instance), count)| LeftOut::new(&instance, count.left_out))
        .collect();
    list.sort_by(|a, b| a.instance.cmp(&b.instance));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_and_kind_has_its_own_limit_and_nothing_goes_uncounted() {
        let callsite =
            tracing::callsite!(name: "line", kind: tracing::metadata::Kind::EVENT, fields: message);
        let identifier = || tracing::callsite::Callsite::metadata(callsite).callsite();
        let limits = Limits::default();
        let (start, mut logged) = (Instant::now(), 0_u64);
        let mut reported = Vec::new();
        for number in 0..10_000_u64 {
            let now = start + Duration::from_millis(number);
            let (is_logged, left_out) = limits.admit_kind((identifier(), "a".into()), now);
            logged += u64::from(is_logged);
            reported.extend(left_out);
        }
        assert_eq!((logged, reported.len()), (100, 0));
        assert!(limits.admit_kind((identifier(), "b".into()), start).0, "another instance");
        let later = start + WINDOW * 2;
        let (is_logged, left_out) = limits.admit_kind((identifier(), "b".into()), later);
        assert!(is_logged);
        let text = "9900 further lines of the same kind were left out".to_owned();
        assert_eq!(left_out, [LeftOut { instance: "a".into(), text }]);
        assert_eq!(limits.take_all(), []);
    }
}
