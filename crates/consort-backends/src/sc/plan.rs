//! The configured instance and what the instances of a show share.

use consort_router::{
    ChannelError, ChannelKind, Driver, Instance, Plan, Resolution, Usage, driver,
};

use super::channels::Channels;
use super::config::{Config, Place};
use super::instance::ScInstance;
use super::server::Departed;

/// A configured instance: its options and channels.
pub(super) struct ScPlan {
    pub(super) config: Config,
    pub(super) channels: Channels,
}

impl ScPlan {
    pub(super) fn new(config: Config) -> Self {
        ScPlan { channels: Channels::new(&config), config }
    }

    /// The port of the server that the instance starts, if it starts one.
    pub(super) fn boot_port(&self) -> Option<u16> {
        (self.config.place == Place::Boot).then_some(self.config.server.port)
    }
}

impl Plan for ScPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.channels.channel(specification, usage, &self.config)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels.kind(channel)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels.resolution(channel, &self.config)
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let departed = self::driver::<ScDriver>(driver).departed.clone();
        Box::new(ScInstance::new(*self, departed))
    }
}

/// What the instances of a show share.
#[derive(Default)]
pub(super) struct ScDriver {
    departed: Departed,
}

impl Driver for ScDriver {}
