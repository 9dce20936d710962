//! The ALSA sequencer without libasound: clients, ports, queues and events, on the kernel or embedded

pub mod engine;
pub mod raw;
