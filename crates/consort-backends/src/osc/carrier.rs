//! The interface between an instance and its transport.

use consort_router::inspect::InstanceReport;
use consort_router::{Context, Readiness};

use super::receiver::Receiver;
use crate::mdns::Service;

/// A transport of packets: datagrams or streams.
pub(super) trait Carrier {
    /// Whether the destination is a service of the local network, so that
    /// [`find_service`](Self::find_service) has to be called.
    fn searches(&self) -> bool {
        false
    }
    /// Uses the address of the wanted service, if it is among those that were found.
    fn find_service(&mut self, _: &[Service], _: &mut Context<'_>) {}
    /// Opens the sockets. `receives`: whether the instance uses the values of incoming packets.
    fn start(&mut self, receives: bool, context: &mut Context<'_>);
    /// Changes whether the instance uses the values of incoming packets.
    fn set_receives(&mut self, receives: bool, context: &mut Context<'_>);
    /// Handles the readiness of the source that was registered with `key`.
    fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    );
    /// Tries again what failed.
    fn timer(&mut self, context: &mut Context<'_>);
    /// Whether output goes to another peer than at the last call.
    fn has_new_peer(&mut self) -> bool;
    /// Whether there is a peer to send to.
    fn can_send(&self) -> bool;
    /// Writes into the report where the transport receives and sends, and why it cannot send.
    fn inspect(&self, report: &mut InstanceReport);
    /// Queues a packet; returns false if the queue is full.
    fn push(&mut self, packet: &[u8]) -> bool;
    /// Sends the queued packets.
    fn flush(&mut self, context: &mut Context<'_>);
}
