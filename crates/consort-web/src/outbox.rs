//! What waits to be sent to one browser.

use std::collections::VecDeque;

use consort_control::{Answer, Delta};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// With this many answers waiting, no more requests are read.
const MAX_ANSWERS: usize = 16;

/// The beginning of a delta's line, as the show encodes it.
const DELTA_START: &[u8] = b"{\"delta\":";

/// A message to a browser.
enum Item {
    /// An answer, or anything else that must arrive.
    Answer(String),
    /// A delta as it came from the show.
    Delta(String),
    /// Several deltas in one.
    Merged(Box<Delta>),
}

/// The messages to one browser, in order. Successive deltas are merged while they wait, so that the
/// size is bounded by that of the layout.
#[derive(Default)]
pub(crate) struct Outbox {
    items: Mutex<VecDeque<Item>>,
    /// Notified when an item was added.
    added: Notify,
    /// Notified when an item was taken.
    taken: Notify,
}

impl Outbox {
    /// Adds a line of the show, without its end.
    ///
    /// # Errors
    /// When the line is not a message of the protocol.
    pub(crate) fn push(&self, line: &[u8]) -> Result<(), String> {
        let text = String::from_utf8(line.to_vec()).map_err(|error| error.to_string())?;
        let mut items = self.items.lock();
        if !line.starts_with(DELTA_START) {
            items.push_back(Item::Answer(text));
        } else if let Some(waiting) = items.back_mut()
            && !matches!(waiting, Item::Answer(_))
        {
            let newer = delta(&text)?;
            let mut older = match std::mem::replace(waiting, Item::Answer(String::new())) {
                Item::Merged(delta) => delta,
                Item::Delta(text) | Item::Answer(text) => Box::new(delta(&text)?),
            };
            older.merge(newer);
            *waiting = Item::Merged(older);
        } else {
            items.push_back(Item::Delta(text));
        }
        drop(items);
        self.added.notify_one();
        Ok(())
    }

    /// Waits for the next message and takes it.
    pub(crate) async fn take(&self) -> String {
        loop {
            let item = self.items.lock().pop_front();
            match item {
                Some(item) => {
                    self.taken.notify_one();
                    return match item {
                        Item::Answer(text) | Item::Delta(text) => text,
                        Item::Merged(delta) => encoded(*delta),
                    };
                }
                None => self.added.notified().await,
            }
        }
    }

    /// Waits until few enough answers are waiting to read the next request.
    pub(crate) async fn has_capacity(&self) {
        while self.answers() >= MAX_ANSWERS {
            self.taken.notified().await;
        }
    }

    fn answers(&self) -> usize {
        self.items.lock().iter().filter(|item| matches!(item, Item::Answer(_))).count()
    }
}

fn delta(text: &str) -> Result<Delta, String> {
    match Answer::decode(text.as_bytes()) {
        Ok(Answer::Delta(delta)) => Ok(delta),
        Ok(_) => Err("expected a delta".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn encoded(delta: Delta) -> String {
    let line = Answer::Delta(delta).encode();
    // What serde_json writes is UTF-8; the line's end is white space.
    String::from_utf8(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[(u32, f64, u64)]) -> Vec<u8> {
        let delta = Delta { running: true, values: values.to_vec(), ..Delta::default() };
        Answer::Delta(delta).encode().trim_ascii_end().to_vec()
    }

    async fn values(outbox: &Outbox) -> Vec<(u32, f64, u64)> {
        delta(outbox.take().await.trim_end()).expect("a delta").values
    }

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn deltas_that_wait_become_one() {
        block_on(async {
            let outbox = Outbox::default();
            for count in 1..=100 {
                outbox.push(&line(&[(7, 0.5, count)])).expect("a delta");
            }
            assert_eq!(values(&outbox).await, [(7, 0.5, 100)]);
            assert!(outbox.items.lock().is_empty());
        });
    }

    #[test]
    fn answers_keep_their_place_between_deltas() {
        block_on(async {
            let outbox = Outbox::default();
            outbox.push(&line(&[(1, 0.1, 1)])).expect("a delta");
            outbox.push(b"\"done\"").expect("an answer");
            outbox.push(&line(&[(1, 0.2, 2)])).expect("a delta");
            outbox.push(&line(&[(1, 0.3, 3)])).expect("a delta");
            assert_eq!(values(&outbox).await, [(1, 0.1, 1)]);
            assert_eq!(outbox.take().await, "\"done\"");
            assert_eq!(values(&outbox).await, [(1, 0.3, 3)]);
        });
    }

    #[test]
    fn what_is_not_a_message_is_an_error() {
        let outbox = Outbox::default();
        assert!(outbox.push(&[0xff]).is_err());
        outbox.push(&line(&[])).expect("a delta");
        assert!(outbox.push(b"{\"delta\":1}").is_err());
    }
}
