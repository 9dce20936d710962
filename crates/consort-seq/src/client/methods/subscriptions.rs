//! Connections between ports.

use super::ClientBase;
use crate::client::error::{Error, OperationName, Result, Subject};
use crate::client::info::{SubscribeOptions, SubscriptionQuery, SubscriptionQueryType};
use crate::engine::{Errno, Request};
use crate::event::Address;

impl ClientBase {
    /// Connects two ports, of this client or of others (`SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT`).
    ///
    /// # Errors
    /// `EINVAL` if a port does not exist; `EPERM` if a port lacks a capability or has
    /// [`NO_EXPORT`](crate::PortCaps::NO_EXPORT); `EBUSY` if the ports are already connected or
    /// one of them has an exclusive connection.
    pub fn subscribe_port(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        self.core.subscribe(sender.into(), dest.into(), options).during("subscribe_port")
    }

    /// Disconnects two ports, of this client or of others (`SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT`).
    ///
    /// # Errors
    /// `ENOENT` if they are not connected, `ENXIO` if one does not exist.
    pub fn unsubscribe_port(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
    ) -> Result<()> {
        self.core.unsubscribe(sender.into(), dest.into()).during("unsubscribe_port")
    }

    /// How two ports are connected (`SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION`); `None` if they are not.
    ///
    /// # Errors
    /// `ENXIO` or `EINVAL` if the sender does not exist.
    pub fn get_subscription(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
    ) -> Result<Option<SubscribeOptions>> {
        let (sender, dest) = (sender.into(), dest.into());
        let mut raw = SubscribeOptions::new().to_raw(sender, dest);
        let subject = || Subject::Connection(sender, dest);
        let request = Request::GetSubscription(&mut raw);
        match self.core.ioctl(request, subject) {
            Ok(_) => Ok(Some(SubscribeOptions::from_raw(&raw))),
            Err(failure) if failure.errno() == Some(Errno::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.during("get_subscription")),
        }
    }

    /// One connection of a port (`SNDRV_SEQ_IOCTL_QUERY_SUBS`): `query` selects it, and the result
    /// is `query` with the other fields filled in.
    ///
    /// # Errors
    /// `ENXIO` if there is no such port, `ENOENT` if the index is beyond the last connection.
    pub fn query_port_subscribers(&self, query: &SubscriptionQuery) -> Result<SubscriptionQuery> {
        self.core.query_subscription(query).during("query_port_subscribers")
    }

    /// The connections of a port: those that read from it, those that write to it, or (with `None`)
    /// both, in that order.
    ///
    /// # Errors
    /// `ENXIO` or `ENOENT` if there is no such port.
    pub fn list_port_subscribers(
        &self,
        port: impl Into<Address>,
        query_type: Option<SubscriptionQueryType>,
    ) -> Result<Vec<SubscriptionQuery>> {
        self.core.subscriptions(port.into(), query_type).during("list_port_subscribers")
    }

    /// Iterates over the connections of a port, with one request to the sequencer per step.
    pub fn iter_port_subscribers(
        &self,
        port: impl Into<Address>,
        query_type: SubscriptionQueryType,
    ) -> impl Iterator<Item = Result<SubscriptionQuery>> + '_ {
        let port = port.into();
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let index = next?;
            match self.query_port_subscribers(&SubscriptionQuery::new(port, query_type, index)) {
                Ok(subscription) => {
                    next = Some(index + 1);
                    Some(Ok(subscription))
                }
                Err(error) => {
                    next = None;
                    let at_end = error.errno() == Some(Errno::NOT_FOUND);
                    (!at_end).then_some(Err::<SubscriptionQuery, Error>(error))
                }
            }
        })
    }
}
