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

/// Values and texts in order of arrival. Values are one flat array, since nearly all events are
/// values; a text remembers its place among them. Cleared queues keep their memory, so nothing
/// allocates in the steady state.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    pub(crate) values: Vec<Event>,
    pub(crate) texts: Vec<QueuedText>,
    buffer: String,
}

impl EventQueue {
    pub(crate) fn with_capacity(values: usize) -> Self {
        EventQueue { values: Vec::with_capacity(values), ..EventQueue::default() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.texts.is_empty()
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
    }
}
