//! Queues: handles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::base::ClientBase;
use super::core::{Core, lock};
use super::error::{Error, Result, Subject};
use super::info::{QueueInfo, QueueStatus, QueueTempo, QueueTimer};
use super::queues;
use super::routing::Routing;
use crate::engine::Request;
use crate::event::{Address, Event, EventTime, EventType, Payload, RealTime};
use crate::raw;

pub(crate) struct QueueInner {
    core: Arc<Core>,
    queue: u8,
    /// Whether this client owns the queue; then it is deleted, else only released.
    owned: bool,
    closed: AtomicBool,
}

impl QueueInner {
    pub(crate) fn new(core: Arc<Core>, queue: u8, owned: bool) -> Self {
        Self { core, queue, owned, closed: AtomicBool::new(false) }
    }

    fn release(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let own_entry = |entry: &std::sync::Weak<QueueInner>| std::ptr::eq(entry.as_ptr(), self);
        let mut known = lock(&self.core.queues);
        if known.get(&self.queue).is_some_and(own_entry) {
            known.remove(&self.queue);
        } else if !self.owned
            && known.get(&self.queue).is_some_and(|other| other.strong_count() > 0)
        {
            // Made while this one was going: the use is that one's now.
            return Ok(());
        }
        if self.owned {
            let queue = i32::from(self.queue);
            let mut raw = raw::QueueInfo { queue, ..raw::QueueInfo::default() };
            let request = Request::DeleteQueue(&mut raw);
            self.core.ioctl("free_queue", request, || Subject::Queue(queue))?;
            Ok(())
        } else {
            queues::set_usage(&self.core, self.queue, false)
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Drop for QueueInner {
    fn drop(&mut self) {
        // The client may be closed, and its queues gone with it.
        let _ = self.release();
    }
}

/// A queue that this client uses. Cloning gives another handle of the same queue. When the last
/// handle is dropped, or by [`close`](Self::close), a queue of this client's own is freed and
/// another's is released.
///
/// [`start`](Self::start), [`stop`](Self::stop) and the other control events go into the output
/// buffer, in order with the events around them, and act when it is drained. Their `_now` forms
/// act at once.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<QueueInner>,
}

impl Queue {
    pub(crate) fn from_inner(inner: Arc<QueueInner>) -> Self {
        Self { inner }
    }

    /// The queue's number, 0 to 31.
    #[must_use]
    pub fn queue_id(&self) -> u8 {
        self.inner.queue
    }

    /// Whether it was created by this client, and so is freed with the last handle.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.inner.owned
    }

    fn open(&self, operation: &'static str) -> Result<&Core> {
        if self.inner.is_closed() || self.inner.core.is_closed() {
            return Err(Error::closed(operation));
        }
        Ok(&self.inner.core)
    }

    /// Frees (or, if it is another client's, releases) the queue now, whatever other handles
    /// there are. Closing twice does nothing.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn close(&self) -> Result<()> {
        self.inner.release()
    }

    // ---- control ----

    fn control_event(&self, event_type: EventType, value: i32) -> Event {
        let data = raw::EventData::from_queue_control(raw::QueueControlData {
            queue: self.queue_id(),
            param: [value.cast_unsigned(), 0],
            ..raw::QueueControlData::default()
        });
        Event::with_data(event_type, data.bytes()).to(Address::SYSTEM_TIMER)
    }

    fn put(&self, operation: &'static str, event: &Event) -> Result<()> {
        ClientBase::output_from(self.open(operation)?, operation, event)
    }

    fn now(&self, operation: &'static str, event: &Event) -> Result<()> {
        let core = self.open(operation)?;
        let cell = core.prepare(operation, event, &Routing::new())?;
        match core.write_direct(operation, &cell, event)? {
            Some(_) => Ok(()),
            None => Err(Error::system(operation, Subject::event(event), crate::Errno::WOULD_BLOCK)),
        }
    }

    /// Puts a control event for this queue into the output buffer (`snd_seq_control_queue`).
    ///
    /// # Errors
    /// If the queue is closed; what draining the output reports, if the buffer is full.
    pub fn control(&self, event_type: EventType, value: i32) -> Result<()> {
        self.put("control", &self.control_event(event_type, value))
    }

    /// Puts a control event for this queue into the output buffer, to be carried out at a time
    /// of the queue itself.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn control_at(&self, event_type: EventType, value: i32, time: EventTime) -> Result<()> {
        let mut event = self.control_event(event_type, value).on_queue(self.queue_id());
        event.set_time(time, false);
        self.put("control", &event)
    }

    /// Puts "start" into the output buffer: the queue begins at 0 and forgets what is waiting.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn start(&self) -> Result<()> {
        self.put("start", &self.control_event(EventType::START, 0))
    }

    /// Puts "stop" into the output buffer.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn stop(&self) -> Result<()> {
        self.put("stop", &self.control_event(EventType::STOP, 0))
    }

    /// Puts "continue" into the output buffer: the queue goes on where it stopped.
    ///
    /// # Errors
    /// As [`control`](Self::control).
    pub fn continue_(&self) -> Result<()> {
        self.put("continue", &self.control_event(EventType::CONTINUE, 0))
    }

    /// Starts the queue at once, past the output buffer.
    ///
    /// # Errors
    /// `EPERM` if it is another's and locked; `EAGAIN` if the output pool is full.
    pub fn start_now(&self) -> Result<()> {
        self.now("start", &self.control_event(EventType::START, 0))
    }

    /// Stops the queue at once, past the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn stop_now(&self) -> Result<()> {
        self.now("stop", &self.control_event(EventType::STOP, 0))
    }

    /// Continues the queue at once, past the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn continue_now(&self) -> Result<()> {
        self.now("continue", &self.control_event(EventType::CONTINUE, 0))
    }

    /// Sets the position in ticks at once, past the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_position_tick(&self, tick: u32) -> Result<()> {
        let payload = Payload::SetPositionTick { queue: self.queue_id(), tick };
        self.now("set_position_tick", &Event::new(payload).to(Address::SYSTEM_TIMER))
    }

    /// Sets the position in real time at once, past the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_position_time(&self, time: RealTime) -> Result<()> {
        let payload = Payload::SetPositionTime { queue: self.queue_id(), time };
        self.now("set_position_time", &Event::new(payload).to(Address::SYSTEM_TIMER))
    }

    /// Sets the skew to `value / 0x10000` at once, past the output buffer.
    ///
    /// # Errors
    /// As [`start_now`](Self::start_now).
    pub fn set_skew(&self, value: u32) -> Result<()> {
        let payload = Payload::QueueSkew { queue: self.queue_id(), value, base: 0x10000 };
        self.now("set_skew", &Event::new(payload).to(Address::SYSTEM_TIMER))
    }

    // ---- information ----

    /// Name, owner and locking.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_info(&self) -> Result<QueueInfo> {
        queues::get_info(self.open("get_queue_info")?, self.queue_id())
    }

    /// Changes owner and locking (and on some kernels the name). Locking says once more that this
    /// client uses the queue, see [`set_usage`](Self::set_usage).
    ///
    /// # Errors
    /// `EPERM` if the queue is another's.
    pub fn set_info(&self, info: &QueueInfo) -> Result<()> {
        queues::set_info(self.open("set_queue_info")?, self.queue_id(), info)
    }

    /// Time, state and number of waiting events.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_status(&self) -> Result<QueueStatus> {
        queues::get_status(self.open("get_queue_status")?, self.queue_id())
    }

    /// Tempo and resolution.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_tempo(&self) -> Result<QueueTempo> {
        queues::get_tempo(self.open("get_queue_tempo")?, self.queue_id())
    }

    /// Sets tempo, resolution and skew, at once.
    ///
    /// # Errors
    /// `EINVAL` for a tempo or resolution of 0 and for another skew base than 0x10000, `EBUSY`
    /// for a change of the resolution while the queue runs, `EPERM` if it is another's and
    /// locked.
    pub fn set_tempo(&self, tempo: &QueueTempo) -> Result<()> {
        queues::set_tempo(self.open("set_queue_tempo")?, self.queue_id(), tempo)
    }

    /// Sets the tempo in quarter notes per minute, with 96 ticks per quarter note, at once.
    ///
    /// # Errors
    /// As [`set_tempo`](Self::set_tempo).
    pub fn set_bpm(&self, bpm: f64) -> Result<()> {
        self.set_tempo(&QueueTempo::from_bpm(bpm, 96))
    }

    /// What drives the queue.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_timer(&self) -> Result<QueueTimer> {
        queues::get_timer(self.open("get_queue_timer")?, self.queue_id())
    }

    /// Sets what drives the queue.
    ///
    /// # Errors
    /// `EINVAL` for another type than ALSA's timers, `EPERM` if it is another's and locked.
    pub fn set_timer(&self, timer: &QueueTimer) -> Result<()> {
        queues::set_timer(self.open("set_queue_timer")?, self.queue_id(), timer)
    }

    /// Whether this client uses the queue.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn get_usage(&self) -> Result<bool> {
        queues::get_usage(self.open("get_queue_usage")?, self.queue_id())
    }

    /// Sets whether this client uses the queue; a client must, to send events through it.
    /// Handles set and clear this by themselves. If no other client uses the queue, saying it again
    /// stops it and gives it the tempo and timer of a new one.
    ///
    /// # Errors
    /// If the queue is closed.
    pub fn set_usage(&self, used: bool) -> Result<()> {
        queues::set_usage(self.open("set_queue_usage")?, self.queue_id(), used)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = if self.inner.owned { "own" } else { "used" };
        write!(formatter, "Queue({}, {own})", self.queue_id())
    }
}

impl From<&Queue> for u8 {
    fn from(queue: &Queue) -> Self {
        queue.queue_id()
    }
}
