//! What an instance does with its connection, in both modes: topics of its own, or channels that
//! several shows share.

use std::time::Instant;

use consort_router::{ChannelTable, Context, Event as Value, TextEvent};

use super::config::Settings;
use super::session::{Event, OwnedWill, Session};
use super::topics::Topics;

/// An instance above its connection. All methods run on the router's thread and do not block.
pub(super) trait Client: 'static {
    /// What identifies a publication until it is acknowledged.
    type Token;

    /// The will of the next connection.
    fn will(&mut self) -> Option<OwnedWill>;

    /// Handles an event; returns how many values it has emitted.
    fn event(
        &mut self,
        event: Event<'_, Self::Token>,
        session: &mut Session<Self::Token>,
        context: &mut Context<'_>,
    ) -> usize;

    /// The connection has ended; `lost` was not acknowledged.
    fn lost(&mut self, lost: Vec<Self::Token>, context: &mut Context<'_>);

    /// More can be sent than before.
    fn writable(&mut self, session: &mut Session<Self::Token>, context: &mut Context<'_>);

    /// Publishes values.
    fn deliver(
        &mut self,
        events: &[Value],
        session: &mut Session<Self::Token>,
        context: &mut Context<'_>,
    );

    /// Publishes a text.
    fn deliver_text(
        &mut self,
        event: TextEvent<'_>,
        session: &mut Session<Self::Token>,
        context: &mut Context<'_>,
    );

    /// When [`timer`](Self::timer) is to be called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    fn timer(&mut self, session: &mut Session<Self::Token>, context: &mut Context<'_>) {
        let _ = (session, context);
    }

    /// Publishes what is to be published before the end.
    fn stop(&mut self, session: &mut Session<Self::Token>, context: &mut Context<'_>);

    /// Takes the channels and live options of a new plan.
    fn adopt(
        &mut self,
        topics: Topics,
        settings: Settings,
        channels: &ChannelTable,
        session: &mut Session<Self::Token>,
        context: &mut Context<'_>,
    );
}
