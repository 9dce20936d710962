//! Conditions for removing events.

use bitflags::bitflags;

use crate::event::{Address, Event, EventTime, EventType};
use crate::raw;

bitflags! {
    /// Conditions that select events to remove (`SNDRV_SEQ_REMOVE_*`). Conditions on output are
    /// combined with "and".
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct RemoveCondition: u32 {
        /// Discard all input, regardless of the other conditions.
        const INPUT = 1 << 0;
        /// Remove events of this client that wait in queues.
        const OUTPUT = 1 << 1;
        /// Only events to this destination in the given queue.
        const DEST = 1 << 2;
        /// Only events on this channel.
        const DEST_CHANNEL = 1 << 3;
        /// Only events before the time.
        const TIME_BEFORE = 1 << 4;
        /// Only events at the time or after it.
        const TIME_AFTER = 1 << 5;
        /// The time is in ticks.
        const TIME_TICK = 1 << 6;
        /// Only events of this type.
        const EVENT_TYPE = 1 << 7;
        /// All events except note off.
        const IGNORE_OFF = 1 << 8;
        /// Only events with this tag.
        const TAG_MATCH = 1 << 9;
        const _ = !0;
    }
}

/// Which events to remove (`struct snd_seq_remove_events`).
///
/// ```
/// use consort_seq::{EventType, RemoveEvents};
///
/// let notes_to_come = RemoveEvents::output().of_type(EventType::NOTE_ON).after_tick(960);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveEvents {
    /// The conditions; they select which of the fields are used.
    pub condition: RemoveCondition,
    /// Queue, with [`RemoveCondition::DEST`].
    pub queue_id: u8,
    /// Time to compare with. Its unit determines [`RemoveCondition::TIME_TICK`] in the request.
    pub time: EventTime,
    /// Destination.
    pub dest: Address,
    /// Channel.
    pub channel: u8,
    /// Type.
    pub event_type: EventType,
    /// Tag.
    pub tag: u8,
}

impl Default for RemoveEvents {
    fn default() -> Self {
        Self::new(RemoveCondition::empty())
    }
}

impl RemoveEvents {
    /// These conditions, with all fields zero.
    #[must_use]
    pub const fn new(condition: RemoveCondition) -> Self {
        Self {
            condition,
            queue_id: 0,
            time: EventTime::Tick(0),
            dest: Address::new(0, 0),
            channel: 0,
            event_type: EventType::NONE,
            tag: 0,
        }
    }

    /// All input.
    #[must_use]
    pub const fn input() -> Self {
        Self::new(RemoveCondition::INPUT)
    }

    /// All output; the methods below restrict the selection.
    #[must_use]
    pub const fn output() -> Self {
        Self::new(RemoveCondition::OUTPUT)
    }

    /// Restricts the selection to events to `dest` in `queue`.
    #[must_use]
    pub fn to(mut self, dest: impl Into<Address>, queue: impl Into<u8>) -> Self {
        self.dest = dest.into();
        self.queue_id = queue.into();
        self.condition |= RemoveCondition::DEST;
        self
    }

    /// Restricts the selection to events on `channel`.
    #[must_use]
    pub fn on_channel(mut self, channel: u8) -> Self {
        self.channel = channel;
        self.condition |= RemoveCondition::DEST_CHANNEL;
        self
    }

    /// Restricts the selection to events before `tick`.
    #[must_use]
    pub fn before_tick(self, tick: u32) -> Self {
        self.at(EventTime::Tick(tick), RemoveCondition::TIME_BEFORE)
    }

    /// Restricts the selection to events at `tick` or after it.
    #[must_use]
    pub fn after_tick(self, tick: u32) -> Self {
        self.at(EventTime::Tick(tick), RemoveCondition::TIME_AFTER)
    }

    /// Restricts the selection to events before `time`, or at `time` and after it.
    /// `condition` is [`RemoveCondition::TIME_BEFORE`] or [`RemoveCondition::TIME_AFTER`].
    #[must_use]
    pub fn at(mut self, time: EventTime, condition: RemoveCondition) -> Self {
        self.time = time;
        self.condition |= condition;
        self
    }

    /// Restricts the selection to events of one type.
    #[must_use]
    pub fn of_type(mut self, event_type: EventType) -> Self {
        self.event_type = event_type;
        self.condition |= RemoveCondition::EVENT_TYPE;
        self
    }

    /// Restricts the selection to events with `tag`.
    #[must_use]
    pub fn with_tag(mut self, tag: u8) -> Self {
        self.tag = tag;
        self.condition |= RemoveCondition::TAG_MATCH;
        self
    }

    /// Excludes note off events from the selection.
    #[must_use]
    pub fn except_note_off(mut self) -> Self {
        self.condition |= RemoveCondition::IGNORE_OFF;
        self
    }

    /// Converts to the kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::RemoveEvents {
        let mut condition = self.condition;
        let time = match self.time {
            EventTime::Tick(tick) => {
                if condition.intersects(RemoveCondition::TIME_BEFORE | RemoveCondition::TIME_AFTER)
                {
                    condition |= RemoveCondition::TIME_TICK;
                }
                raw::Timestamp::from_tick(tick)
            }
            EventTime::Real(time) => {
                condition -= RemoveCondition::TIME_TICK;
                raw::Timestamp::from_real(time.into())
            }
        };
        raw::RemoveEvents {
            mode: condition.bits(),
            time,
            queue: self.queue_id,
            dest: self.dest.into(),
            channel: self.channel,
            kind: i32::from(self.event_type.0),
            tag: self.tag,
            ..raw::RemoveEvents::default()
        }
    }

    /// Whether an event in the client's own output buffer is selected. The rules are those of the
    /// sequencer, so that it makes no difference whether an event has been written already.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        let has = |condition| self.condition.contains(condition);
        if has(RemoveCondition::DEST)
            && (event.dest() != self.dest || event.queue() != self.queue_id)
        {
            return false;
        }
        if has(RemoveCondition::DEST_CHANNEL)
            && (!event.event_type().has_channel() || event.data()[0] != self.channel)
        {
            return false;
        }
        let is_at_or_after = match (event.time(), self.time) {
            (EventTime::Tick(event), EventTime::Tick(limit)) => Some(event >= limit),
            (EventTime::Real(event), EventTime::Real(limit)) => Some(event >= limit),
            _ => None,
        };
        if has(RemoveCondition::TIME_AFTER) && is_at_or_after != Some(true)
            || has(RemoveCondition::TIME_BEFORE) && is_at_or_after != Some(false)
        {
            return false;
        }
        !(has(RemoveCondition::EVENT_TYPE) && event.event_type() != self.event_type
            || has(RemoveCondition::IGNORE_OFF) && event.event_type() == EventType::NOTE_OFF
            || has(RemoveCondition::TAG_MATCH) && event.tag() != self.tag)
    }
}
