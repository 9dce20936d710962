//! Requests to the sequencer that several public methods or handles use.

use super::ClientCore;
use crate::client::error::{ErrorKind, Outcome, Subject};
use crate::client::info::{
    ClientInfo, PortInfo, QueueInfo, QueueStatus, QueueTempo, QueueTimer, RemoveEvents,
    SubscribeOptions, SubscriptionQuery, SubscriptionQueryType,
};
use crate::engine::{Errno, Request};
use crate::event::Address;
use crate::raw;

fn queue_subject(queue: u8) -> impl FnOnce() -> Subject {
    move || Subject::Queue(i32::from(queue))
}

// Clients.
impl ClientCore {
    pub(crate) fn client_info(&self, client: u8) -> Outcome<ClientInfo> {
        let mut raw = raw::ClientInfo { client: i32::from(client), ..raw::ClientInfo::default() };
        let subject = || Subject::Client(i32::from(client));
        self.ioctl(Request::GetClientInfo(&mut raw), subject)?;
        Ok(ClientInfo::from_raw(&raw))
    }

    pub(crate) fn pool(&self, client: u8) -> Outcome<raw::ClientPool> {
        let mut raw = raw::ClientPool { client: i32::from(client), ..raw::ClientPool::default() };
        let subject = || Subject::Client(i32::from(client));
        self.ioctl(Request::GetClientPool(&mut raw), subject)?;
        Ok(raw)
    }

    pub(crate) fn remove_events(&self, remove: &RemoveEvents) -> Outcome<()> {
        let mut raw = remove.to_raw();
        self.ioctl(Request::RemoveEvents(&mut raw), || self.subject())?;
        Ok(())
    }
}

// Ports and their connections.
impl ClientCore {
    pub(crate) fn port_info(&self, port: Address) -> Outcome<PortInfo> {
        let mut raw = raw::PortInfo { address: port.into(), ..raw::PortInfo::default() };
        self.ioctl(Request::GetPortInfo(&mut raw), || Subject::Port(port))?;
        Ok(PortInfo::from_raw(&raw))
    }

    pub(crate) fn set_port_info(&self, port: Address, info: &PortInfo) -> Outcome<()> {
        let mut raw = info.to_raw();
        raw.address = port.into();
        self.ioctl(Request::SetPortInfo(&mut raw), || Subject::Port(port))?;
        Ok(())
    }

    pub(crate) fn delete_port(&self, port: Address) -> Outcome<()> {
        let mut raw = raw::PortInfo { address: port.into(), ..raw::PortInfo::default() };
        self.ioctl(Request::DeletePort(&mut raw), || Subject::Port(port))?;
        Ok(())
    }

    pub(crate) fn subscribe(
        &self,
        sender: Address,
        dest: Address,
        options: SubscribeOptions,
    ) -> Outcome<()> {
        let mut raw = options.to_raw(sender, dest);
        let subject = || Subject::Connection(sender, dest);
        self.ioctl(Request::SubscribePort(&mut raw), subject)?;
        Ok(())
    }

    pub(crate) fn unsubscribe(&self, sender: Address, dest: Address) -> Outcome<()> {
        let mut raw = SubscribeOptions::new().to_raw(sender, dest);
        let subject = || Subject::Connection(sender, dest);
        match self.ioctl(Request::UnsubscribePort(&mut raw), subject) {
            Err(failure) if failure.kind() == ErrorKind::NotFound => {
                Err(failure.with_note("the ports are not connected".to_owned()))
            }
            result => result.map(drop),
        }
    }

    pub(crate) fn query_subscription(
        &self,
        query: &SubscriptionQuery,
    ) -> Outcome<SubscriptionQuery> {
        let mut raw = query.to_raw();
        let subject = || Subject::Port(query.root);
        self.ioctl(Request::QuerySubscribers(&mut raw), subject)?;
        Ok(SubscriptionQuery::from_raw(&raw))
    }

    /// The connections of a port: those that read from it, those that write to it, or both.
    pub(crate) fn subscriptions(
        &self,
        port: Address,
        query_type: Option<SubscriptionQueryType>,
    ) -> Outcome<Vec<SubscriptionQuery>> {
        let types = match query_type {
            Some(SubscriptionQueryType::Read) => &[SubscriptionQueryType::Read][..],
            Some(SubscriptionQueryType::Write) => &[SubscriptionQueryType::Write],
            None => &[SubscriptionQueryType::Read, SubscriptionQueryType::Write],
        };
        // Some kernels give the same errno for the end of the list and for a missing port, so
        // the port is checked first.
        self.port_info(port)?;
        let mut found = Vec::new();
        for &query_type in types {
            for index in 0.. {
                match self.query_subscription(&SubscriptionQuery::new(port, query_type, index)) {
                    Ok(subscription) => found.push(subscription),
                    Err(failure) if failure.errno() == Some(Errno::NOT_FOUND) => break,
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(found)
    }
}

// Queues.
impl ClientCore {
    pub(crate) fn queue_info(&self, queue: u8) -> Outcome<QueueInfo> {
        let mut raw = raw::QueueInfo { queue: i32::from(queue), ..raw::QueueInfo::default() };
        self.ioctl(Request::GetQueueInfo(&mut raw), queue_subject(queue))?;
        Ok(QueueInfo::from_raw(&raw))
    }

    pub(crate) fn set_queue_info(&self, queue: u8, info: &QueueInfo) -> Outcome<()> {
        let mut raw = info.to_raw();
        raw.queue = i32::from(queue);
        self.ioctl(Request::SetQueueInfo(&mut raw), queue_subject(queue))?;
        Ok(())
    }

    pub(crate) fn delete_queue(&self, queue: u8) -> Outcome<()> {
        let mut raw = raw::QueueInfo { queue: i32::from(queue), ..raw::QueueInfo::default() };
        self.ioctl(Request::DeleteQueue(&mut raw), queue_subject(queue))?;
        Ok(())
    }

    pub(crate) fn queue_status(&self, queue: u8) -> Outcome<QueueStatus> {
        let mut raw = raw::QueueStatus { queue: i32::from(queue), ..raw::QueueStatus::default() };
        self.ioctl(Request::GetQueueStatus(&mut raw), queue_subject(queue))?;
        Ok(QueueStatus::from_raw(&raw))
    }

    pub(crate) fn queue_tempo(&self, queue: u8) -> Outcome<QueueTempo> {
        let mut raw = raw::QueueTempo { queue: i32::from(queue), ..raw::QueueTempo::default() };
        self.ioctl(Request::GetQueueTempo(&mut raw), queue_subject(queue))?;
        Ok(QueueTempo::from_raw(&raw))
    }

    pub(crate) fn set_queue_tempo(&self, queue: u8, tempo: &QueueTempo) -> Outcome<()> {
        let mut raw = tempo.to_raw(queue);
        self.ioctl(Request::SetQueueTempo(&mut raw), queue_subject(queue))?;
        Ok(())
    }

    pub(crate) fn queue_timer(&self, queue: u8) -> Outcome<QueueTimer> {
        let mut raw = raw::QueueTimer { queue: i32::from(queue), ..raw::QueueTimer::default() };
        self.ioctl(Request::GetQueueTimer(&mut raw), queue_subject(queue))?;
        Ok(QueueTimer::from_raw(&raw))
    }

    pub(crate) fn set_queue_timer(&self, queue: u8, timer: &QueueTimer) -> Outcome<()> {
        let mut raw = timer.to_raw();
        raw.queue = i32::from(queue);
        self.ioctl(Request::SetQueueTimer(&mut raw), queue_subject(queue))?;
        Ok(())
    }

    /// Whether this client uses the queue.
    pub(crate) fn queue_usage(&self, queue: u8) -> Outcome<bool> {
        let mut raw = raw::QueueClient {
            queue: i32::from(queue),
            client: i32::from(self.client_id),
            ..raw::QueueClient::default()
        };
        self.ioctl(Request::GetQueueClient(&mut raw), queue_subject(queue))?;
        Ok(raw.used != 0)
    }

    pub(crate) fn set_queue_usage(&self, queue: u8, used: bool) -> Outcome<()> {
        let mut raw = raw::QueueClient {
            queue: i32::from(queue),
            client: i32::from(self.client_id),
            used: i32::from(used),
            ..raw::QueueClient::default()
        };
        self.ioctl(Request::SetQueueClient(&mut raw), queue_subject(queue))?;
        Ok(())
    }
}
