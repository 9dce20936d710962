//! The events that wait to be routed: values, and texts at their places among them.

use crate::event::Event;

/// A text that waits to be routed.
#[derive(Debug)]
pub(crate) struct QueuedText {
    /// How many values of the queue come before it.
    pub(crate) position: usize,
    /// The channel's number in the show.
    pub(crate) channel: u32,
    pub(crate) root: u32,
    /// The bytes of the text in the queue's buffer.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A block that waits to be routed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedBlock {
    /// How many values and texts of the queue come before it.
    pub(crate) position: usize,
    pub(crate) texts: usize,
    pub(crate) run: u32,
    /// The root of its first value; those of the others follow.
    pub(crate) root: u32,
    /// Its levels in the queue's bytes; as many bytes with what has changed follow.
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// How many levels have changed.
    pub(crate) count: u32,
}

/// Values, blocks and texts in order of arrival. Values are one flat array, since nearly all events are
/// values; a text remembers its place among them. Cleared queues keep their memory, so nothing
/// allocates in the steady state.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    pub(crate) values: Vec<Event>,
    pub(crate) texts: Vec<QueuedText>,
    buffer: String,
    /// Only events that are routed in the same turn have blocks.
    pub(crate) blocks: Vec<QueuedBlock>,
    bytes: Vec<u8>,
}

impl EventQueue {
    pub(crate) fn with_capacity(values: usize) -> Self {
        EventQueue { values: Vec::with_capacity(values), ..EventQueue::default() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.texts.is_empty() && self.blocks.is_empty()
    }

    /// How many values and texts wait.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.texts.len()
    }

    pub(crate) fn push_text(&mut self, channel: u32, root: u32, text: &str) {
        let start = self.buffer.len();
        self.buffer.push_str(text);
        let (position, end) = (self.values.len(), self.buffer.len());
        self.texts.push(QueuedText { position, channel, root, start, end });
    }

    pub(crate) fn push_block(
        &mut self,
        run: u32,
        (root, count): (u32, u32),
        levels: &[u8],
        changed: &[u8],
    ) {
        let (start, length) = (self.bytes.len(), levels.len());
        self.bytes.extend_from_slice(levels);
        self.bytes.extend_from_slice(changed);
        let (position, texts) = (self.values.len(), self.texts.len());
        self.blocks.push(QueuedBlock { position, texts, run, root, start, length, count });
    }

    /// The levels of a block, and which have changed.
    pub(crate) fn levels(&self, block: &QueuedBlock) -> (&[u8], &[u8]) {
        self.bytes[block.start..block.start + 2 * block.length].split_at(block.length)
    }

    pub(crate) fn text(&self, queued: &QueuedText) -> &str {
        &self.buffer[queued.start..queued.end]
    }

    /// Gives all events new channel numbers; events without one are removed.
    pub(crate) fn renumber(&mut self, number: impl Fn(u32) -> Option<u32>) {
        let mut kept = 0;
        let mut texts = self.texts.iter_mut().peekable();
        for index in 0..self.values.len() {
            while let Some(text) = texts.next_if(|text| text.position == index) {
                text.position = kept;
            }
            if let Some(channel) = number(self.values[index].channel) {
                self.values[kept] = Event { channel, ..self.values[index] };
                kept += 1;
            }
        }
        texts.for_each(|text| text.position = kept);
        self.values.truncate(kept);
        self.texts.retain_mut(|text| match number(text.channel) {
            Some(channel) => {
                text.channel = channel;
                true
            }
            None => false,
        });
    }

    /// The channels of all values and texts.
    pub(crate) fn channels(&self) -> impl Iterator<Item = u32> {
        let values = self.values.iter().map(|event| event.channel);
        values.chain(self.texts.iter().map(|text| text.channel))
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.texts.clear();
        self.buffer.clear();
        self.blocks.clear();
        self.bytes.clear();
    }
}
