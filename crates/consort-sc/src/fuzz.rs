//! Bodies of the fuzz targets, also run on the committed corpus by the tests. Not part of the
//! interface.

pub use crate::score::fuzz_score as score;
pub use crate::synthdef::fuzz_scsyndef as scsyndef;
