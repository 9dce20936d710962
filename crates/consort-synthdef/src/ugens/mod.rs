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

/// UGens that are used for similar things.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UGenFamily {
    /// What they are used for.
    pub title: &'static str,
    /// Their rows of the table.
    pub ugens: &'static [&'static UGenSpec],
}

const fn family(title: &'static str, ugens: &'static [&'static UGenSpec]) -> UGenFamily {
    UGenFamily { title, ugens }
}

const FAMILIES: &[UGenFamily] = &[
    family("Buffers and files", buffers::TABLE),
    family("Buses, the server and the mouse", buses::TABLE),
    family("Chaotic maps", chaos::TABLE),
    family("Delays and physical models", delays::TABLE),
    family("Demand rate", demand::TABLE),
    family("Envelopes, lines and what frees nodes", envelopes::TABLE),
    family("Filters and dynamics", filters::TABLE),
    family("Further UGens, which Supriya does not list", further::TABLE),
    family("Noise and random numbers", noise::TABLE),
    family("Oscillators", oscillators::TABLE),
    family("Panning and B-format", panning::TABLE),
    family("Operators, and what the compiler adds", special::TABLE),
    family("Spectra and analysis", spectral::TABLE),
    family("Triggers, ranges and messages", triggers::TABLE),
];

/// The table, family by family.
pub fn families() -> impl Iterator<Item = UGenFamily> {
    FAMILIES.iter().copied()
}

/// All rows of the table, family by family.
pub fn all() -> impl Iterator<Item = &'static UGenSpec> {
    FAMILIES.iter().flat_map(|family| family.ugens.iter().copied())
}

/// The row of a UGen by its name on the server, for example `SinOsc`.
pub fn find(name: &str) -> Option<&'static UGenSpec> {
    all().find(|spec| spec.name == name)
}

/// The row whose name is most like this one, in whatever case, if any is.
pub fn nearest(name: &str) -> Option<&'static UGenSpec> {
    let lower = name.to_lowercase();
    all()
        .map(|spec| (strsim::damerau_levenshtein(&lower, &spec.name.to_lowercase()), spec))
        .filter(|(distance, _)| *distance <= 1 + lower.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, spec)| spec)
}
