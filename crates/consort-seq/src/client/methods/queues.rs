//! Creating queues, looking them up, and requests about any queue.

use super::ClientBase;
use crate::client::error::{ErrorKind, OperationName, Result, Subject};
use crate::client::info::{QueueInfo, QueueStatus, QueueTempo, QueueTimer};
use crate::client::queue::Queue;
use crate::engine::Request;

impl ClientBase {
    /// Creates a queue (`SNDRV_SEQ_IOCTL_CREATE_QUEUE`): locked, 120 beats per minute, 96 ticks
    /// per quarter note, not running. If the name is empty, the sequencer chooses one.
    ///
    /// # Errors
    /// `ENOMEM` if there are 32 queues.
    pub fn create_queue(&self, name: &str) -> Result<Queue> {
        self.create_queue_from(&QueueInfo::named(name))
    }

    /// Creates a queue from a description: name and locking count.
    ///
    /// # Errors
    /// `ENOMEM` if there are 32 queues.
    pub fn create_queue_from(&self, info: &QueueInfo) -> Result<Queue> {
        let mut raw = info.to_raw();
        raw.owner = i32::from(self.client_id());
        let request = Request::CreateQueue(&mut raw);
        let subject = || Subject::Name(info.name.clone());
        self.core.ioctl(request, subject).during("create_queue")?;
        Ok(Queue::created(&self.queues, &self.core, raw.queue as u8))
    }

    /// A handle of a queue by its number. Unless this client has a handle of the queue already,
    /// the queue is marked as used by it (`SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue(&self, queue: u8) -> Result<Queue> {
        Queue::obtain(&self.queues, &self.core, queue).during("get_queue")
    }

    /// A handle of a queue by its name; see [`get_queue`](Self::get_queue).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_named_queue(&self, name: &str) -> Result<Queue> {
        self.get_queue(self.query_named_queue(name)?)
    }

    /// The number of the queue with this name (`SNDRV_SEQ_IOCTL_GET_NAMED_QUEUE`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn query_named_queue(&self, name: &str) -> Result<u8> {
        let mut raw = QueueInfo::named(name).to_raw();
        let request = Request::GetNamedQueue(&mut raw);
        let subject = || Subject::Name(name.to_owned());
        self.core.ioctl(request, subject).during("query_named_queue")?;
        Ok(raw.queue as u8)
    }

    /// Name, owner and locking of any queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_INFO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_info(&self, queue: u8) -> Result<QueueInfo> {
        self.core.queue_info(queue).during("get_queue_info")
    }

    /// Changes a queue's owner and locking (`SNDRV_SEQ_IOCTL_SET_QUEUE_INFO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue, `EPERM` if another client owns it.
    pub fn set_queue_info(&self, queue: u8, info: &QueueInfo) -> Result<()> {
        self.core.set_queue_info(queue, info).during("set_queue_info")
    }

    /// Time, state and number of waiting events of any queue
    /// (`SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_status(&self, queue: u8) -> Result<QueueStatus> {
        self.core.queue_status(queue).during("get_queue_status")
    }

    /// Tempo and resolution of any queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_tempo(&self, queue: u8) -> Result<QueueTempo> {
        self.core.queue_tempo(queue).during("get_queue_tempo")
    }

    /// Sets tempo, resolution and skew of a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO`).
    ///
    /// # Errors
    /// As [`Queue::set_tempo`].
    pub fn set_queue_tempo(&self, queue: u8, tempo: &QueueTempo) -> Result<()> {
        self.core.set_queue_tempo(queue, tempo).during("set_queue_tempo")
    }

    /// The timer that drives a queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_timer(&self, queue: u8) -> Result<QueueTimer> {
        self.core.queue_timer(queue).during("get_queue_timer")
    }

    /// Sets the timer that drives a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER`).
    ///
    /// # Errors
    /// As [`Queue::set_timer`].
    pub fn set_queue_timer(&self, queue: u8, timer: &QueueTimer) -> Result<()> {
        self.core.set_queue_timer(queue, timer).during("set_queue_timer")
    }

    /// Whether this client uses a queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_usage(&self, queue: u8) -> Result<bool> {
        self.core.queue_usage(queue).during("get_queue_usage")
    }

    /// Sets whether this client uses a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn set_queue_usage(&self, queue: u8, used: bool) -> Result<()> {
        self.core.set_queue_usage(queue, used).during("set_queue_usage")
    }

    /// All queues that exist, sorted by number.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn list_queues(&self) -> Result<Vec<QueueInfo>> {
        let limit = self.get_system_info()?.queues.min(256);
        let mut queues = Vec::new();
        for queue in 0..limit {
            match self.core.queue_info(queue as u8) {
                Ok(info) => queues.push(info),
                Err(failure) if failure.kind() == ErrorKind::Invalid => {}
                Err(failure) => return Err(failure.during("list_queues")),
            }
        }
        Ok(queues)
    }
}
