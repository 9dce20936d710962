//! Information, status, tempo and timer of queues.

use crate::event::RealTime;
use crate::raw::{self, timer_type};

/// Information about a queue (`struct snd_seq_queue_info`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueInfo {
    /// The queue's number, 0 to 31.
    pub queue_id: u8,
    /// The queue's name, at most 63 bytes; empty for none.
    pub name: String,
    /// The client that owns the queue.
    pub owner: u8,
    /// Whether only the owner may control it.
    pub locked: bool,
    /// The kernel's flags.
    pub flags: u32,
}

impl QueueInfo {
    /// The description of a new queue with this name, locked as queues are by default.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), locked: true, ..Self::default() }
    }

    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::QueueInfo) -> Self {
        Self {
            queue_id: raw.queue as u8,
            name: raw::name(&raw.name).into_owned(),
            owner: raw.owner as u8,
            locked: raw.locked(),
            flags: raw.flags,
        }
    }

    /// Converts to the kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::QueueInfo {
        let mut raw = raw::QueueInfo {
            queue: i32::from(self.queue_id),
            owner: i32::from(self.owner),
            flags: self.flags,
            ..raw::QueueInfo::default()
        };
        raw.set_locked(self.locked);
        raw::set_name(&mut raw.name, &self.name);
        raw
    }
}

/// The state of a queue (`struct snd_seq_queue_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// The queue.
    pub queue_id: u8,
    /// Number of events that wait in the queue.
    pub events: u32,
    /// Position in ticks.
    pub tick_time: u32,
    /// Position in real time.
    pub real_time: RealTime,
    /// The kernel's state word; it is not 0 while the queue runs.
    pub status: u32,
    /// The kernel's flags.
    pub flags: u32,
}

impl QueueStatus {
    /// Whether the queue runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.status != 0
    }

    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::QueueStatus) -> Self {
        Self {
            queue_id: raw.queue as u8,
            events: raw.events.max(0) as u32,
            tick_time: raw.tick,
            real_time: raw.time.into(),
            status: raw.running as u32,
            flags: raw.flags as u32,
        }
    }
}

/// Tempo and resolution of a queue (`struct snd_seq_queue_tempo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueTempo {
    /// Duration of a quarter note in units of `tempo_base` (by default microseconds), 1 or more.
    pub tempo: u32,
    /// Ticks per quarter note, 1 or more.
    pub ppq: u32,
    /// Skew: the queue runs at `skew / skew_base` of its speed. 0 does not change the skew.
    pub skew: u32,
    /// Base of the skew. The kernel accepts only 0x10000.
    pub skew_base: u32,
    /// Unit of `tempo` in nanoseconds: 1000, or 10 with Linux 6.11 and later. 0 means 1000.
    pub tempo_base: u16,
}

impl Default for QueueTempo {
    /// The tempo of a new queue: 120 beats per minute, 96 ticks per quarter note, no skew.
    fn default() -> Self {
        Self { tempo: 500_000, ppq: 96, skew: 0, skew_base: 0, tempo_base: 0 }
    }
}

impl QueueTempo {
    /// `tempo` microseconds and `ppq` ticks per quarter note, without skew.
    #[must_use]
    pub fn new(tempo: u32, ppq: u32) -> Self {
        Self { tempo, ppq, ..Self::default() }
    }

    /// `bpm` quarter notes per minute and `ppq` ticks per quarter note, without skew. The tempo is
    /// rounded down to whole microseconds per quarter note.
    #[must_use]
    pub fn from_bpm(bpm: f64, ppq: u32) -> Self {
        Self::new((60e6 / bpm) as u32, ppq)
    }

    /// Quarter notes per minute.
    #[must_use]
    pub fn bpm(&self) -> f64 {
        let unit = f64::from(if self.tempo_base == 0 { 1000 } else { self.tempo_base });
        60e9 / (f64::from(self.tempo) * unit)
    }

    /// With a skew of `skew / 0x10000`.
    #[must_use]
    pub const fn with_skew(mut self, skew: u32) -> Self {
        self.skew = skew;
        self.skew_base = 0x10000;
        self
    }

    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::QueueTempo) -> Self {
        Self {
            tempo: raw.tempo,
            ppq: raw.ppq as u32,
            skew: raw.skew_value,
            skew_base: raw.skew_base,
            tempo_base: raw.tempo_base,
        }
    }

    /// Converts to the kernel's structure for `queue`.
    #[must_use]
    pub fn to_raw(&self, queue: u8) -> raw::QueueTempo {
        raw::QueueTempo {
            queue: i32::from(queue),
            tempo: self.tempo,
            ppq: self.ppq as i32,
            skew_value: self.skew,
            skew_base: self.skew_base,
            tempo_base: self.tempo_base,
            ..raw::QueueTempo::default()
        }
    }
}

/// The kind of timer that drives a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum QueueTimerType {
    /// An ALSA timer.
    #[default]
    Alsa,
    /// MIDI clock events.
    MidiClock,
    /// MIDI tick events.
    MidiTick,
    /// Any other number.
    Other(i32),
}

impl QueueTimerType {
    /// Converts the kernel's number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        match number {
            timer_type::ALSA => Self::Alsa,
            timer_type::MIDI_CLOCK => Self::MidiClock,
            timer_type::MIDI_TICK => Self::MidiTick,
            other => Self::Other(other),
        }
    }

    /// The kernel's number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        match self {
            Self::Alsa => timer_type::ALSA,
            Self::MidiClock => timer_type::MIDI_CLOCK,
            Self::MidiTick => timer_type::MIDI_TICK,
            Self::Other(other) => other,
        }
    }
}

/// The identification of an ALSA timer (`struct snd_timer_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimerId {
    /// Device class.
    pub dev_class: i32,
    /// Slave class.
    pub dev_sclass: i32,
    /// Sound card, or −1.
    pub card: i32,
    /// Device.
    pub device: i32,
    /// Subdevice.
    pub subdevice: i32,
}

/// The timer that drives a queue, and its resolution (`struct snd_seq_queue_timer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueTimer {
    /// The queue.
    pub queue_id: u8,
    /// The kind of timer.
    pub timer_type: QueueTimerType,
    /// The ALSA timer.
    pub id: TimerId,
    /// Resolution in Hz, 10 to 6250; 0 for the default, 1000.
    pub resolution: u32,
}

impl QueueTimer {
    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::QueueTimer) -> Self {
        let raw::TimerId { class, slave_class, card, device, subdevice } = raw.id;
        Self {
            queue_id: raw.queue as u8,
            timer_type: QueueTimerType::from_raw(raw.kind),
            id: TimerId { dev_class: class, dev_sclass: slave_class, card, device, subdevice },
            resolution: raw.resolution,
        }
    }

    /// Converts to the kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::QueueTimer {
        let TimerId { dev_class, dev_sclass, card, device, subdevice } = self.id;
        raw::QueueTimer {
            queue: i32::from(self.queue_id),
            kind: self.timer_type.raw(),
            id: raw::TimerId { class: dev_class, slave_class: dev_sclass, card, device, subdevice },
            resolution: self.resolution,
            ..raw::QueueTimer::default()
        }
    }
}
