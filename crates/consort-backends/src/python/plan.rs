//! A configured instance that does not run.

use std::collections::HashMap;
use std::rc::Rc;

use consort_router::{ChannelError, Driver, Instance, Plan, Problems, Usage, driver};

use super::instance::PythonInstance;
use super::protocol::MAX_NAME_BYTES;
use super::scan;
use super::services::PythonDriver;
use super::settings::Settings;

/// How many channels an instance has at most; larger numbers have other meanings.
const MAX_CHANNELS: u32 = 1 << 31;

/// The settings and channels of an instance.
pub(crate) struct PythonPlan {
    pub(crate) settings: Settings,
    pub(crate) channels: Vec<String>,
    /// The channels' numbers by name.
    numbers: HashMap<String, u32>,
    /// Per channel, bit 0: a source, bit 1: a target of mappings.
    pub(crate) usage: Vec<u8>,
}

impl PythonPlan {
    pub(crate) fn new(settings: Settings) -> Self {
        PythonPlan { settings, channels: Vec::new(), numbers: HashMap::new(), usage: Vec::new() }
    }
}

impl Plan for PythonPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("expected a channel name")
                .with_hint("write `instance.name` or `instance.module.function`"));
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
        scan::check(&self.settings, &self.channels, &self.usage, problems);
    }

    fn open(self: Box<Self>, services: &mut dyn Driver) -> Box<dyn Instance> {
        let services = Rc::clone(&driver::<PythonDriver>(services).services);
        Box::new(PythonInstance::new(*self, services))
    }
}
