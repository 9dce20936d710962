//! Queues: creation, look-up, and the ioctls behind the handles.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::base::ClientBase;
use super::core::{Core, lock};
use super::error::{Result, Subject};
use super::info::{QueueInfo, QueueStatus, QueueTempo, QueueTimer};
use super::queue::{Queue, QueueInner};
use crate::engine::Request;
use crate::raw;

fn subject(queue: u8) -> impl FnOnce() -> Subject {
    move || Subject::Queue(i32::from(queue))
}

pub(crate) fn get_info(core: &Core, queue: u8) -> Result<QueueInfo> {
    let mut raw = raw::QueueInfo { queue: i32::from(queue), ..raw::QueueInfo::default() };
    core.ioctl("get_queue_info", Request::GetQueueInfo(&mut raw), subject(queue))?;
    Ok(QueueInfo::from_raw(&raw))
}

pub(crate) fn set_info(core: &Core, queue: u8, info: &QueueInfo) -> Result<()> {
    let mut raw = info.to_raw();
    raw.queue = i32::from(queue);
    core.ioctl("set_queue_info", Request::SetQueueInfo(&mut raw), subject(queue))?;
    Ok(())
}

pub(crate) fn get_status(core: &Core, queue: u8) -> Result<QueueStatus> {
    let mut raw = raw::QueueStatus { queue: i32::from(queue), ..raw::QueueStatus::default() };
    core.ioctl("get_queue_status", Request::GetQueueStatus(&mut raw), subject(queue))?;
    Ok(QueueStatus::from_raw(&raw))
}

pub(crate) fn get_tempo(core: &Core, queue: u8) -> Result<QueueTempo> {
    let mut raw = raw::QueueTempo { queue: i32::from(queue), ..raw::QueueTempo::default() };
    core.ioctl("get_queue_tempo", Request::GetQueueTempo(&mut raw), subject(queue))?;
    Ok(QueueTempo::from_raw(&raw))
}

pub(crate) fn set_tempo(core: &Core, queue: u8, tempo: &QueueTempo) -> Result<()> {
    let mut raw = tempo.to_raw(queue);
    core.ioctl("set_queue_tempo", Request::SetQueueTempo(&mut raw), subject(queue))?;
    Ok(())
}

pub(crate) fn get_timer(core: &Core, queue: u8) -> Result<QueueTimer> {
    let mut raw = raw::QueueTimer { queue: i32::from(queue), ..raw::QueueTimer::default() };
    core.ioctl("get_queue_timer", Request::GetQueueTimer(&mut raw), subject(queue))?;
    Ok(QueueTimer::from_raw(&raw))
}

pub(crate) fn set_timer(core: &Core, queue: u8, timer: &QueueTimer) -> Result<()> {
    let mut raw = timer.to_raw();
    raw.queue = i32::from(queue);
    core.ioctl("set_queue_timer", Request::SetQueueTimer(&mut raw), subject(queue))?;
    Ok(())
}

pub(crate) fn get_usage(core: &Core, queue: u8) -> Result<bool> {
    let mut raw = raw::QueueClient {
        queue: i32::from(queue),
        client: i32::from(core.client_id),
        ..raw::QueueClient::default()
    };
    core.ioctl("get_queue_usage", Request::GetQueueClient(&mut raw), subject(queue))?;
    Ok(raw.used != 0)
}

pub(crate) fn set_usage(core: &Core, queue: u8, used: bool) -> Result<()> {
    let mut raw = raw::QueueClient {
        queue: i32::from(queue),
        client: i32::from(core.client_id),
        used: i32::from(used),
        ..raw::QueueClient::default()
    };
    core.ioctl("set_queue_usage", Request::SetQueueClient(&mut raw), subject(queue))?;
    Ok(())
}

impl ClientBase {
    /// Creates a queue (`SNDRV_SEQ_IOCTL_CREATE_QUEUE`): locked, 120 beats per minute, 96 ticks
    /// per quarter note, not running. An empty name means that the sequencer makes one up.
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
        self.core.ioctl("create_queue", request, || Subject::Name(info.name.clone()))?;
        Ok(self.handle(&mut lock(&self.core.queues), raw.queue as u8, true))
    }

    fn handle(&self, known: &mut HashMap<u8, Weak<QueueInner>>, queue: u8, owned: bool) -> Queue {
        let inner = Arc::new(QueueInner::new(Arc::clone(&self.core), queue, owned));
        known.insert(queue, Arc::downgrade(&inner));
        Queue::from_inner(inner)
    }

    /// A handle of a queue by its number: another handle of the same queue if this client has
    /// one, else the queue is marked as used by this client (`SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue(&self, queue: u8) -> Result<Queue> {
        self.core.connection("get_queue")?;
        // Kept until the queue is used, as by a handle that ends the use.
        let mut known = lock(&self.core.queues);
        if let Some(inner) = known.get(&queue).and_then(Weak::upgrade)
            && !inner.is_closed()
        {
            return Ok(Queue::from_inner(inner));
        }
        get_info(&self.core, queue)?;
        set_usage(&self.core, queue, true)?;
        Ok(self.handle(&mut known, queue, false))
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
        self.core.ioctl("query_named_queue", request, || Subject::Name(name.to_owned()))?;
        Ok(raw.queue as u8)
    }

    /// Name, owner and locking of any queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_INFO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_info(&self, queue: u8) -> Result<QueueInfo> {
        get_info(&self.core, queue)
    }

    /// Changes a queue's owner and locking (`SNDRV_SEQ_IOCTL_SET_QUEUE_INFO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue, `EPERM` if it is another's.
    pub fn set_queue_info(&self, queue: u8, info: &QueueInfo) -> Result<()> {
        set_info(&self.core, queue, info)
    }

    /// Time, state and number of waiting events of any queue
    /// (`SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_status(&self, queue: u8) -> Result<QueueStatus> {
        get_status(&self.core, queue)
    }

    /// Tempo and resolution of any queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_tempo(&self, queue: u8) -> Result<QueueTempo> {
        get_tempo(&self.core, queue)
    }

    /// Sets tempo, resolution and skew of a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO`).
    ///
    /// # Errors
    /// As [`Queue::set_tempo`].
    pub fn set_queue_tempo(&self, queue: u8, tempo: &QueueTempo) -> Result<()> {
        set_tempo(&self.core, queue, tempo)
    }

    /// What drives a queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_timer(&self, queue: u8) -> Result<QueueTimer> {
        get_timer(&self.core, queue)
    }

    /// Sets what drives a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER`).
    ///
    /// # Errors
    /// As [`Queue::set_timer`].
    pub fn set_queue_timer(&self, queue: u8, timer: &QueueTimer) -> Result<()> {
        set_timer(&self.core, queue, timer)
    }

    /// Whether this client uses a queue (`SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn get_queue_usage(&self, queue: u8) -> Result<bool> {
        get_usage(&self.core, queue)
    }

    /// Sets whether this client uses a queue (`SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`).
    ///
    /// # Errors
    /// `EINVAL` if there is no such queue.
    pub fn set_queue_usage(&self, queue: u8, used: bool) -> Result<()> {
        set_usage(&self.core, queue, used)
    }

    /// All queues that there are, by number.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn list_queues(&self) -> Result<Vec<QueueInfo>> {
        let most = self.get_system_info()?.queues.min(256);
        let mut queues = Vec::new();
        for queue in 0..most {
            match get_info(&self.core, queue as u8) {
                Ok(info) => queues.push(info),
                Err(error) if error.kind() == super::ErrorKind::Invalid => {}
                Err(error) => return Err(error),
            }
        }
        Ok(queues)
    }
}
