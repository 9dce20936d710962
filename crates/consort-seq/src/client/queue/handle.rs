//! The handle of a queue.

use std::fmt;
use std::sync::Arc;

use super::registry::{QueueRegistry, QueueUse};
use crate::client::core::{ClientCore, no_room};
use crate::client::error::{Failure, OperationName, Outcome, Result};
use crate::client::info::{QueueInfo, QueueStatus, QueueTempo, QueueTimer};
use crate::client::routing::Routing;
use crate::event::{Address, Event, EventTime, EventType, Payload, RealTime};
use crate::raw;

/// A queue that this client uses.
///
/// Cloning gives another handle of the same queue. When the last handle is dropped, or
/// [`close`](Self::close) is called, a queue that this client has created is deleted, and another
/// client's queue is no longer marked as used.
///
/// [`start`](Self::start), [`stop`](Self::stop) and the other control events go into the output
/// buffer, in order with the events around them, and take effect when the buffer is drained. The
/// `_now` forms take effect immediately.
#[derive(Clone)]
pub struct Queue {
    queue_use: Arc<QueueUse>,
}

impl Queue {
    /// A handle of a queue that this client has created.
    pub(crate) fn created(
        registry: &Arc<QueueRegistry>,
        core: &Arc<ClientCore>,
        queue: u8,
    ) -> Self {
        Self { queue_use: registry.created(core, queue) }
    }

    /// A handle of a queue by its number.
    pub(crate) fn obtain(
        registry: &Arc<QueueRegistry>,
        core: &Arc<ClientCore>,
        queue: u8,
    ) -> Outcome<Self> {
        Ok(Self { queue_use: registry.obtain(core, queue)? })
    }

    /// The queue's number, 0 to 31.
    #[must_use]
    pub fn queue_id(&self) -> u8 {
        self.queue_use.queue
    }

    /// Whether this client has created the queue, so that it is deleted with the last handle.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.queue_use.owned
    }

    /// The client, unless it or this queue is closed.
    fn open(&self) -> Outcome<&ClientCore> {
        let core = &*self.queue_use.core;
        if self.queue_use.is_closed() || core.is_closed() {
            return Err(Failure::closed());
        }
        Ok(core)
    }

    /// Deletes the queue now (or, if it belongs to another client, ends its use), even if other
    /// handles exist. Closing twice does nothing.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn close(&self) -> Result<()> {
        let operation = if self.is_own() { "free_queue" } else { "set_queue_usage" };
        self.queue_use.release().during(operation)
    }

    fn control_event(&self, event_type: EventType, value: i32) -> Event {
        let data = raw::EventData::from_queue_control(raw::QueueControlData {
            queue: self.queue_id(),
            param: [value.cast_unsigned(), 0],
            ..raw::QueueControlData::default()
        });
        Event::with_data(event_type, data.bytes()).to(Address::SYSTEM_TIMER)
    }

    /// Puts a control event into the output buffer.
    fn output(&self, event: &Event) -> Outcome<()> {
        self.open()?.output_control(event)
    }

    /// Writes a control event bypassing the output buffer, without waiting for room.
    fn output_now(&self, event: &Event) -> Outcome<()> {
        let core = self.open()?;
        let cell = core.prepare(event, &Routing::new())?;
        match core.write_direct(&cell, event)? {
            Some(_) => Ok(()),
            None => Err(no_room(event)),
        }
    }

    /// Puts a control event for this queue into the output buffer (`snd_seq_control_queue`).
    ///
    /// # Errors
    /// If the queue is closed; what draining the output reports, if the buffer is full.
    pub fn control(&self, event_type: EventType, value: i32) -> Result<()> {
        self.output(&self.control_event(event_type, value)).during("control")
    }

    /// Puts a control event for this queue into the output buffer, scheduled on the same queue.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn control_at(&self, event_type: EventType, value: i32, time: EventTime) -> Result<()> {
        let mut event = self.control_event(event_type, value).on_queue(self.queue_id());
        event.set_time(time, false);
        self.output(&event).during("control")
    }

    /// Puts "start" into the output buffer: the queue starts at 0 and discards its waiting events.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn start(&self) -> Result<()> {
        self.output(&self.control_event(EventType::START, 0)).during("start")
    }

    /// Puts "stop" into the output buffer.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn stop(&self) -> Result<()> {
        self.output(&self.control_event(EventType::STOP, 0)).during("stop")
    }

    /// Puts "continue" into the output buffer: the queue resumes where it stopped.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn continue_(&self) -> Result<()> {
        self.output(&self.control_event(EventType::CONTINUE, 0)).during("continue")
    }

    /// Starts the queue immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// `EPERM` if another client owns and has locked the queue; `EAGAIN` if the output pool is
    /// full.
    pub fn start_now(&self) -> Result<()> {
        self.output_now(&self.control_event(EventType::START, 0)).during("start")
    }

    /// Stops the queue immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn stop_now(&self) -> Result<()> {
        self.output_now(&self.control_event(EventType::STOP, 0)).during("stop")
    }

    /// Continues the queue immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn continue_now(&self) -> Result<()> {
        self.output_now(&self.control_event(EventType::CONTINUE, 0)).during("continue")
    }

    /// Sets the position in ticks immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_position_tick(&self, tick: u32) -> Result<()> {
        let payload = Payload::SetPositionTick { queue: self.queue_id(), tick };
        self.output_now(&Event::new(payload).to(Address::SYSTEM_TIMER)).during("set_position_tick")
    }

    /// Sets the position in real time immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_position_time(&self, time: RealTime) -> Result<()> {
        let payload = Payload::SetPositionTime { queue: self.queue_id(), time };
        self.output_now(&Event::new(payload).to(Address::SYSTEM_TIMER)).during("set_position_time")
    }

    /// Sets the skew to `value / 0x10000` immediately, bypassing the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_skew(&self, value: u32) -> Result<()> {
        let payload = Payload::QueueSkew { queue: self.queue_id(), value, base: 0x10000 };
        self.output_now(&Event::new(payload).to(Address::SYSTEM_TIMER)).during("set_skew")
    }

    /// Name, owner and locking.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_info(&self) -> Result<QueueInfo> {
        self.open().and_then(|core| core.queue_info(self.queue_id())).during("get_queue_info")
    }

    /// Changes owner and locking (and on some kernels the name). Locking also marks the queue as
    /// used by this client once more; see [`set_usage`](Self::set_usage).
    ///
    /// # Errors
    /// `EPERM` if another client owns the queue.
    pub fn set_info(&self, info: &QueueInfo) -> Result<()> {
        self.open()
            .and_then(|core| core.set_queue_info(self.queue_id(), info))
            .during("set_queue_info")
    }

    /// Time, state and number of waiting events.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_status(&self) -> Result<QueueStatus> {
        self.open().and_then(|core| core.queue_status(self.queue_id())).during("get_queue_status")
    }

    /// Tempo and resolution.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_tempo(&self) -> Result<QueueTempo> {
        self.open().and_then(|core| core.queue_tempo(self.queue_id())).during("get_queue_tempo")
    }

    /// Sets tempo, resolution and skew immediately.
    ///
    /// # Errors
    /// `EINVAL` for a tempo or resolution of 0 and for a skew base other than 0x10000, `EBUSY`
    /// for a change of the resolution while the queue runs, `EPERM` if another client owns and
    /// has locked the queue.
    pub fn set_tempo(&self, tempo: &QueueTempo) -> Result<()> {
        self.open()
            .and_then(|core| core.set_queue_tempo(self.queue_id(), tempo))
            .during("set_queue_tempo")
    }

    /// Sets the tempo in quarter notes per minute, with 96 ticks per quarter note, immediately.
    ///
    /// # Errors
    /// As [`set_tempo`](Self::set_tempo).
    pub fn set_bpm(&self, bpm: f64) -> Result<()> {
        self.set_tempo(&QueueTempo::from_bpm(bpm, 96))
    }

    /// The timer that drives the queue.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_timer(&self) -> Result<QueueTimer> {
        self.open().and_then(|core| core.queue_timer(self.queue_id())).during("get_queue_timer")
    }

    /// Sets the timer that drives the queue.
    ///
    /// # Errors
    /// `EINVAL` for a type other than ALSA's timers, `EPERM` if another client owns and has locked
    /// the queue.
    pub fn set_timer(&self, timer: &QueueTimer) -> Result<()> {
        self.open()
            .and_then(|core| core.set_queue_timer(self.queue_id(), timer))
            .during("set_queue_timer")
    }

    /// Whether this client uses the queue.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_usage(&self) -> Result<bool> {
        self.open().and_then(|core| core.queue_usage(self.queue_id())).during("get_queue_usage")
    }

    /// Sets whether this client uses the queue. Only clients that use a queue may send events
    /// through it; handles set and clear this automatically. If no other client uses the queue,
    /// setting it again stops the queue and resets its tempo and timer.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn set_usage(&self, used: bool) -> Result<()> {
        self.open()
            .and_then(|core| core.set_queue_usage(self.queue_id(), used))
            .during("set_queue_usage")
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = if self.is_own() { "own" } else { "used" };
        write!(formatter, "Queue({}, {own})", self.queue_id())
    }
}

impl From<&Queue> for u8 {
    fn from(queue: &Queue) -> Self {
        queue.queue_id()
    }
}
