//! What goes wrong in a script, told apart and counted.

/// How many kinds of errors are told apart.
const KINDS: usize = 512;

/// A kind of error and how often it came.
struct Kind {
    text: String,
    count: u64,
    reported: u64,
}

impl Kind {
    fn repeat(&mut self, name: &str) {
        self.reported = self.count;
        let mut lines = self.text.lines();
        let place = lines.next().unwrap_or("");
        let error = lines.next_back().unwrap_or("");
        tracing::error!(instance = name, "{} times so far: {place}: {error}", self.count);
    }
}

/// The kinds of errors that an instance's scripts have had.
#[derive(Default)]
pub(super) struct Faults {
    kinds: Vec<Kind>,
}

impl Faults {
    /// The number of the kind with this text; none for one kind too many.
    pub(super) fn kind(&mut self, text: &str) -> Option<usize> {
        let known = self.kinds.iter().position(|kind| kind.text == text);
        known.or_else(|| {
            let room = self.kinds.len() < KINDS;
            room.then(|| {
                self.kinds.push(Kind { text: text.to_owned(), count: 0, reported: 0 });
                self.kinds.len() - 1
            })
        })
    }

    /// An error is reported when it comes first, then at the tenth, the hundredth time and so on.
    pub(super) fn count(&mut self, kind: usize, name: &str) {
        let kind = &mut self.kinds[kind];
        kind.count += 1;
        if kind.count == 1 {
            tracing::error!(instance = name, "{}", kind.text.trim_end());
        } else if kind.count.ilog10() > (kind.count - 1).ilog10() {
            kind.repeat(name);
        }
    }

    /// Reports the counts that have not been.
    pub(super) fn report(&mut self, name: &str) {
        for kind in &mut self.kinds {
            if kind.count > kind.reported.max(1) {
                kind.repeat(name);
            }
        }
    }
}
