//! The standard server's UGens: one table, and a type with constructors for each of its rows.
//!
//! A constructor names the rate and takes what the UGen cannot do without; everything else has a
//! default and a method of its own: `LFPulse::kr(2.0).width(0.25)`. [`find`] looks a row up by
//! name, and [`UGenSpec::at`] builds from it; UGens of plugins that the table does not know are
//! built with [`RawUGen`](crate::synthdef::RawUGen).

mod buffers;
mod buses;
mod chaos;
mod delays;
mod demand;
mod envelopes;
mod filters;
mod further;
mod noise;
mod oscillators;
mod panning;
pub(crate) mod special;
mod spectral;
pub(crate) mod table;
mod triggers;

pub use buffers::*;
pub use buses::*;
pub use chaos::*;
pub use delays::*;
pub use demand::*;
pub use envelopes::*;
pub use filters::*;
pub use further::*;
pub use noise::*;
pub use oscillators::*;
pub use panning::*;
pub use special::{MulAdd, Sum3, Sum4};
pub use spectral::*;
pub use table::{Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec, UGenType};
pub use triggers::*;

const FAMILIES: &[&[&UGenSpec]] = &[
    buffers::TABLE,
    buses::TABLE,
    chaos::TABLE,
    delays::TABLE,
    demand::TABLE,
    envelopes::TABLE,
    filters::TABLE,
    further::TABLE,
    noise::TABLE,
    oscillators::TABLE,
    panning::TABLE,
    special::TABLE,
    spectral::TABLE,
    triggers::TABLE,
];

/// All rows of the table, family by family.
pub fn all() -> impl Iterator<Item = &'static UGenSpec> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// The row of a UGen by its name on the server, for example `SinOsc`.
pub fn find(name: &str) -> Option<&'static UGenSpec> {
    all().find(|spec| spec.name == name)
}
