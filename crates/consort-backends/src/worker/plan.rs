//! A configured instance that does not run.

use std::collections::HashMap;
use std::rc::Rc;

use consort_router::{ChannelError, Driver, Instance, Plan, Problems, Usage, driver};

use super::instance::ScriptInstance;
use super::language::Language;
use super::protocol::MAX_NAME_BYTES;
use super::services::ScriptDriver;

/// How many channels an instance has at most; larger numbers have other meanings.
const MAX_CHANNELS: u32 = 1 << 31;

/// The settings and channels of an instance.
pub(crate) struct ScriptPlan<L> {
    pub(crate) settings: L,
    pub(crate) channels: Vec<String>,
    /// The channels' numbers by name.
    numbers: HashMap<String, u32>,
    /// Per channel, bit 0: a source, bit 1: a target of mappings.
    pub(crate) usage: Vec<u8>,
}

impl<L: Language> ScriptPlan<L> {
    pub(crate) fn new(settings: L) -> Self {
        ScriptPlan { settings, channels: Vec::new(), numbers: HashMap::new(), usage: Vec::new() }
    }
}

impl<L: Language> Plan for ScriptPlan<L> {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("expected a channel name").with_hint(L::CHANNEL_HINT));
        }
        if specification.contains('\0') {
            return Err(ChannelError::new("a channel name must not contain a NUL character"));
        }
        if specification.len() > MAX_NAME_BYTES {
            let message = format!("a channel name must have at most {MAX_NAME_BYTES} bytes");
            return Err(ChannelError::new(message));
        }
        let bit = match usage {
            Usage::Source => 1,
            Usage::Target => 2,
        };
        if let Some(&number) = self.numbers.get(specification) {
            self.usage[number as usize] |= bit;
            return Ok(number);
        }
        let number = u32::try_from(self.channels.len())
            .ok()
            .filter(|&number| number < MAX_CHANNELS)
            .ok_or_else(|| ChannelError::new("too many channels"))?;
        self.numbers.insert(specification.to_owned(), number);
        self.channels.push(specification.to_owned());
        self.usage.push(bit);
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        self.settings.check(&self.channels, &self.usage, problems);
    }

    fn open(self: Box<Self>, services: &mut dyn Driver) -> Box<dyn Instance> {
        let services = Rc::clone(&driver::<ScriptDriver>(services).services);
        Box::new(ScriptInstance::new(*self, services))
    }
}
