//! The standard server's UGens: one table, and a type with constructors for each of its rows.
//!
//! A constructor is named after the rate and takes the inputs that the UGen requires; all others
//! have a default and a method of their own: `LFPulse::kr(2.0).width(0.25)`. A second constructor of
//! each rate takes no arguments, so that all inputs are set by name and the others keep their defaults:
//! `Line::control().stop(0.5)`. It is called `audio`, `control`, `scalar` or `demand`.
//!
//! [`find`] looks up a row by name, and [`UGenSpec::at`] builds from it; UGens of plugins that are not in the table are
//! built with [`RawUGen`](crate::RawUGen).
//!
//! A few UGens compile to other inputs than those that were given. The function that prepares them
//! is in the file of their row.

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
mod prepare;
mod spectral;
mod sums;
mod table;
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
pub use spectral::*;
pub use sums::{MulAdd, Sum3, Sum4};
pub use triggers::*;

pub use crate::spec::{Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec, UGenType};

use crate::builtin;

/// UGens of similar use.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UGenFamily {
    /// What the UGens are used for.
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
    family("Envelopes, lines and freeing of nodes", envelopes::TABLE),
    family("Filters and dynamics", filters::TABLE),
    family("Further UGens (not in Supriya)", further::TABLE),
    family("Noise and random numbers", noise::TABLE),
    family("Oscillators", oscillators::TABLE),
    family("Panning and B-format", panning::TABLE),
    family("Operators, sums and controls", builtin::TABLE),
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

/// Finds a row by the UGen's name on the server, for example `SinOsc`.
pub fn find(name: &str) -> Option<&'static UGenSpec> {
    all().find(|spec| spec.name == name)
}

/// The row with the name closest to a misspelt one, if one is close enough; case is ignored.
pub fn nearest(name: &str) -> Option<&'static UGenSpec> {
    consort_suggest::nearest(name, all().map(|spec| spec.name)).and_then(find)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspelt_names_find_their_ugen() {
        for (written, expected) in [
            ("sinosk", Some("SinOsc")),
            ("envgen", Some("EnvGen")),
            ("FreeVer", Some("FreeVerb")),
            ("Convolution2M", Some("Convolution2")),
            ("quux", None),
        ] {
            assert_eq!(nearest(written).map(|spec| spec.name), expected, "{written}");
        }
    }
}
