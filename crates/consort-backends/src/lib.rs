//! The protocols of the router, one folder each.
//!
//! [`BACKENDS`] is the registry: one line and one cargo feature for each backend.

#[cfg(feature = "loopback")]
pub mod loopback;

pub mod net;
#[cfg(feature = "osc")]
pub mod osc;

use consort_router::BackendDescriptor;

/// Every backend that this build has, by name.
pub const BACKENDS: &[&BackendDescriptor] = &[
    #[cfg(feature = "loopback")]
    &loopback::DESCRIPTOR,
    #[cfg(feature = "osc")]
    &osc::DESCRIPTOR,
];
