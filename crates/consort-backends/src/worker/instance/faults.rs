//! Errors of an instance's scripts: distinguished by their text, counted, reported sparingly.

/// How many different errors are distinguished.
const MAX_KINDS: usize = 512;

/// One kind of error and how often it has occurred.
struct Kind {
    /// What failed on the first line, then the traceback, whose last line is the error itself.
    text: String,
    count: u64,
    /// The count that was reported last.
    reported: u64,
}

impl Kind {
    fn report_count(&mut self, instance: &str) {
        self.reported = self.count;
        let mut lines = self.text.lines();
        let place = lines.next().unwrap_or("");
        let error = lines.next_back().unwrap_or("");
        tracing::error!(instance, "occurred {} times so far: {place}: {error}", self.count);
    }
}

/// The kinds of errors that an instance's scripts have raised.
#[derive(Default)]
pub(super) struct Faults {
    kinds: Vec<Kind>,
}

impl Faults {
    /// Returns the index of the kind with this text and adds it if necessary; none when there
    /// are too many kinds.
    pub(super) fn kind(&mut self, text: &str) -> Option<usize> {
        let known = self.kinds.iter().position(|kind| kind.text == text);
        known.or_else(|| {
            let has_space = self.kinds.len() < MAX_KINDS;
            has_space.then(|| {
                self.kinds.push(Kind { text: text.to_owned(), count: 0, reported: 0 });
                self.kinds.len() - 1
            })
        })
    }

    /// Counts an error. It is reported in full the first time, and with its count the 10th, the
    /// 100th, the 1,000th time and so on: a handler that always fails does not flood the log.
    pub(super) fn count(&mut self, kind: usize, instance: &str) {
        let kind = &mut self.kinds[kind];
        kind.count += 1;
        if kind.count == 1 {
            tracing::error!(instance, "{}", kind.text.trim_end());
        } else if kind.count.ilog10() > (kind.count - 1).ilog10() {
            kind.report_count(instance);
        }
    }

    /// Reports the counts that have grown since they were last reported.
    pub(super) fn report_counts(&mut self, instance: &str) {
        for kind in &mut self.kinds {
            if kind.count > kind.reported.max(1) {
                kind.report_count(instance);
            }
        }
    }
}
