//! An instance while it is configured, and as the router runs it.

use consort_router::{
    ChannelError, ChannelTable, Context, Driver, Event, Instance, Plan, Readiness, Resolution,
    TextEvent, Usage, downcast, driver,
};

use super::client::Client;
use super::config::{Config, Settings};
use super::link::{Link, LinkConfig};
use super::plain::Plain;
use super::share::{ShareConfig, Shared};
use super::topics::{Topics, check_topic};
use crate::detect::DetectDriver;

/// One `[mqtt NAME]` section before it runs.
pub(super) struct MqttPlan {
    link: LinkConfig,
    settings: Settings,
    share: Option<ShareConfig>,
    topics: Topics,
}

impl MqttPlan {
    pub(super) fn new(config: Config) -> Self {
        let Config { link, settings, share, formats } = config;
        MqttPlan { link, settings, share, topics: Topics::new(formats) }
    }
}

impl Plan for MqttPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if self.share.is_some() {
            let error = match check_topic(specification) {
                Err(message) => Some(message),
                Ok(true) => Some("a shared channel cannot have wildcards".into()),
                Ok(false) => None,
            };
            if let Some(message) = error {
                return Err(ChannelError::new(message)
                    .with_hint("a shared channel has a name such as `stage/dimmer`"));
            }
        }
        self.topics.channel(specification, usage)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        match self.share {
            Some(_) => Resolution::CONTINUOUS,
            None => {
                let channel = &self.topics.channels[channel as usize];
                channel.format.resolution(self.settings.decimals)
            }
        }
    }

    fn passes_on(&self) -> bool {
        self.share.is_some()
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let detect = self::driver::<DetectDriver>(driver).flag();
        let MqttPlan { link, settings, share, topics } = *self;
        match share {
            Some(config) => {
                let keep_alive = link.identity.keep_alive;
                let client = Shared::new(config, topics, &settings, keep_alive);
                Box::new(MqttInstance { link: Link::new(link), client, is_stopping: false })
            }
            None => {
                let client = Plain::new(topics, settings, detect);
                Box::new(MqttInstance { link: Link::new(link), client, is_stopping: false })
            }
        }
    }
}

/// One `[mqtt NAME]` section that runs.
struct MqttInstance<C: Client> {
    link: Link<C>,
    client: C,
    is_stopping: bool,
}

impl<C: Client> MqttInstance<C> {
    /// Sends what waits, ends the connection when that is due, and sets the timer.
    fn finish(&mut self, context: &mut Context<'_>) {
        if self.is_stopping && self.link.session.in_flight() == 0 {
            self.link.end();
        }
        self.link.flush(&mut self.client, context);
        let deadline = self.link.deadline().into_iter().chain(self.client.deadline()).min();
        context.wake_at(deadline);
    }
}

impl<C: Client> Instance for MqttInstance<C> {
    fn start(&mut self, context: &mut Context<'_>) {
        self.link.start(&mut self.client, context);
        self.finish(context);
    }

    /// Keeps the connection, and what waits to be sent.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let MqttPlan { settings, topics, .. } = *downcast::<MqttPlan>(plan)?;
        let session = &mut self.link.session;
        self.client.adopt(topics, settings, channels, session, context);
        self.finish(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        self.link.ready(key, readiness, &mut self.client, context);
        self.finish(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.link.timer(&mut self.client, context);
        self.client.timer(&mut self.link.session, context);
        self.finish(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        self.client.deliver(events, &mut self.link.session, context);
        self.finish(context);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        self.client.deliver_text(event, &mut self.link.session, context);
        self.finish(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.client.stop(&mut self.link.session, context);
        self.is_stopping = true;
        self.finish(context);
    }

    fn is_stopped(&self) -> bool {
        !self.link.session.is_open() || self.link.session.is_idle()
    }
}
