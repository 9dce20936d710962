//! The protocols of the router, one folder each.
//!
//! [`BACKENDS`] is the registry: one line and one cargo feature for each backend.

#[cfg(feature = "artnet")]
pub mod artnet;
#[cfg(any(feature = "artnet", feature = "sacn"))]
mod dmx;
#[cfg(feature = "loopback")]
pub mod loopback;
#[cfg(feature = "lua")]
pub mod lua;
#[cfg(feature = "midi")]
pub mod midi;
pub mod net;
#[cfg(feature = "osc")]
pub mod osc;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "sacn")]
pub mod sacn;
#[cfg(feature = "sc")]
pub mod sc;

use consort_router::BackendDescriptor;

/// Every backend that this build has, by name.
pub const BACKENDS: &[&BackendDescriptor] = &[
    #[cfg(feature = "artnet")]
    &artnet::DESCRIPTOR,
    #[cfg(feature = "loopback")]
    &loopback::DESCRIPTOR,
    #[cfg(feature = "lua")]
    &lua::DESCRIPTOR,
    #[cfg(feature = "midi")]
    &midi::DESCRIPTOR,
    #[cfg(feature = "osc")]
    &osc::DESCRIPTOR,
    #[cfg(feature = "python")]
    &python::DESCRIPTOR,
    #[cfg(feature = "sacn")]
    &sacn::DESCRIPTOR,
    #[cfg(feature = "sc")]
    &sc::DESCRIPTOR,
];
