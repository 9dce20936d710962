//! The configuration: from text to a [`Show`] that is checked but not yet started.

use crate::backend::{Backend, Instance};
use crate::event::InstanceId;

/// One end of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelRef {
    /// The instance.
    pub instance: InstanceId,
    /// The instance's own number of the channel.
    pub channel: u32,
}

/// An instance of a show.
pub struct ShowInstance {
    /// Its name.
    pub name: String,
    /// Its backend's name.
    pub backend: &'static str,
    /// What it does.
    pub instance: Box<dyn Instance>,
    /// The first spelling of each of its channels, by number.
    pub channels: Vec<String>,
}

/// A whole show, validated and not started: nothing is open yet.
#[derive(Default)]
pub struct Show {
    /// The backends in use; kept for as long as their instances.
    pub backends: Vec<Box<dyn Backend>>,
    /// The instances, in configuration order.
    pub instances: Vec<ShowInstance>,
    /// Source and target of every mapping, in configuration order, without repetitions.
    pub mappings: Vec<(ChannelRef, ChannelRef)>,
}
