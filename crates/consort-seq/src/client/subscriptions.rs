//! Connections between ports.

use super::base::ClientBase;
use super::core::Core;
use super::error::{Error, ErrorKind, Result, Subject};
use super::info::{SubscribeOptions, SubscriptionQuery, SubscriptionQueryType};
use crate::engine::Request;
use crate::event::Address;
use crate::raw;

pub(crate) fn subscribe(
    core: &Core,
    operation: &'static str,
    sender: Address,
    dest: Address,
    options: SubscribeOptions,
) -> Result<()> {
    let mut raw = options.to_raw(sender, dest);
    let subject = || Subject::Connection(sender, dest);
    core.ioctl(operation, Request::SubscribePort(&mut raw), subject)?;
    Ok(())
}

pub(crate) fn unsubscribe(
    core: &Core,
    operation: &'static str,
    sender: Address,
    dest: Address,
) -> Result<()> {
    let mut raw = SubscribeOptions::new().to_raw(sender, dest);
    core.ioctl(operation, Request::UnsubscribePort(&mut raw), || Subject::Connection(sender, dest))
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => error.with_note("the ports are not connected".to_owned()),
            _ => error,
        })?;
    Ok(())
}

fn query(
    core: &Core,
    operation: &'static str,
    query: &SubscriptionQuery,
) -> Result<SubscriptionQuery> {
    let mut raw = query.to_raw();
    let subject = || Subject::Port(query.root);
    core.ioctl(operation, Request::QuerySubscribers(&mut raw), subject)?;
    Ok(SubscriptionQuery::from_raw(&raw))
}

pub(crate) fn list(
    core: &Core,
    operation: &'static str,
    port: Address,
    query_type: Option<SubscriptionQueryType>,
) -> Result<Vec<SubscriptionQuery>> {
    let types = match query_type {
        Some(SubscriptionQueryType::Read) => &[SubscriptionQueryType::Read][..],
        Some(SubscriptionQueryType::Write) => &[SubscriptionQueryType::Write],
        None => &[SubscriptionQueryType::Read, SubscriptionQueryType::Write],
    };
    // An end of the list and a missing port answer alike on some kernels.
    let mut raw = raw::PortInfo { address: port.into(), ..raw::PortInfo::default() };
    core.ioctl(operation, Request::GetPortInfo(&mut raw), || Subject::Port(port))?;
    let mut found = Vec::new();
    for &query_type in types {
        for index in 0.. {
            match query(core, operation, &SubscriptionQuery::new(port, query_type, index)) {
                Ok(answer) => found.push(answer),
                Err(error) if error.errno() == Some(crate::Errno::NOT_FOUND) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

impl ClientBase {
    /// Connects two ports, of this client or of others (`SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT`).
    ///
    /// # Errors
    /// `EINVAL` if one is missing, `EPERM` if a capability is missing or one is not to be
    /// exported, `EBUSY` if they are connected already or an exclusive connection is in the way.
    pub fn subscribe_port(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        subscribe(&self.core, "subscribe_port", sender.into(), dest.into(), options)
    }

    /// Disconnects two ports, of this client or of others (`SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT`).
    ///
    /// # Errors
    /// `ENOENT` if they are not connected, `ENXIO` if one is missing.
    pub fn unsubscribe_port(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
    ) -> Result<()> {
        unsubscribe(&self.core, "unsubscribe_port", sender.into(), dest.into())
    }

    /// How two ports are connected (`SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION`); `None` if they are not.
    ///
    /// # Errors
    /// `ENXIO` or `EINVAL` if the sender is missing.
    pub fn get_subscription(
        &self,
        sender: impl Into<Address>,
        dest: impl Into<Address>,
    ) -> Result<Option<SubscribeOptions>> {
        let (sender, dest) = (sender.into(), dest.into());
        let mut raw = SubscribeOptions::new().to_raw(sender, dest);
        let subject = || Subject::Connection(sender, dest);
        let request = Request::GetSubscription(&mut raw);
        match self.core.ioctl("get_subscription", request, subject) {
            Ok(_) => Ok(Some(SubscribeOptions::from_raw(&raw))),
            Err(error) if error.errno() == Some(crate::Errno::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One connection of a port (`SNDRV_SEQ_IOCTL_QUERY_SUBS`): `query` says which, the answer
    /// is `query` filled in.
    ///
    /// # Errors
    /// `ENXIO` if there is no such port, `ENOENT` if the index is behind the last.
    pub fn query_port_subscribers(&self, query: &SubscriptionQuery) -> Result<SubscriptionQuery> {
        self::query(&self.core, "query_port_subscribers", query)
    }

    /// Connections of a port: those that read from it, those that write to it, or (with `None`)
    /// both, in that order.
    ///
    /// # Errors
    /// `ENXIO` or `ENOENT` if there is no such port.
    pub fn list_port_subscribers(
        &self,
        port: impl Into<Address>,
        query_type: Option<SubscriptionQueryType>,
    ) -> Result<Vec<SubscriptionQuery>> {
        list(&self.core, "list_port_subscribers", port.into(), query_type)
    }

    /// Walks over the connections of a port one by one, each answered when it is asked for.
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
                Ok(answer) => {
                    next = Some(index + 1);
                    Some(Ok(answer))
                }
                Err(error) => {
                    next = None;
                    let at_end = error.errno() == Some(crate::Errno::NOT_FOUND);
                    (!at_end).then_some(Err::<SubscriptionQuery, Error>(error))
                }
            }
        })
    }
}
