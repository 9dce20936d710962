//! Chaotic maps.

use super::table::ugen_table;

ugen_table! {
    /// Cusp map, linear interpolation.
    CuspL() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: 1.9, xi: 0.0 }
    /// Cusp map, without interpolation.
    CuspN() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: 1.9, xi: 0.0 }
    /// Feedback sine map with phase indexing, cubic interpolation.
    FBSineC() [ar] (1) [] { frequency: 22050.0, im: 1.0, fb: 0.1, a: 1.1, c: 0.5, xi: 0.1, yi: 0.1 }
    /// Feedback sine map with phase indexing, linear interpolation.
    FBSineL() [ar] (1) [] { frequency: 22050.0, im: 1.0, fb: 0.1, a: 1.1, c: 0.5, xi: 0.1, yi: 0.1 }
    /// Feedback sine map with phase indexing, without interpolation.
    FBSineN() [ar] (1) [] { frequency: 22050.0, im: 1.0, fb: 0.1, a: 1.1, c: 0.5, xi: 0.1, yi: 0.1 }
    /// Gingerbreadman map, linear interpolation.
    GbmanL() [ar] (1) [] { frequency: 22050.0, xi: 1.2, yi: 2.1 }
    /// Gingerbreadman map, without interpolation.
    GbmanN() [ar] (1) [] { frequency: 22050.0, xi: 1.2, yi: 2.1 }
    /// Hénon map, cubic interpolation.
    HenonC() [ar] (1) [] { frequency: 22050.0, a: 1.4, b: 0.3, x0: 0.0, x1: 0.0 }
    /// Hénon map, linear interpolation.
    HenonL() [ar] (1) [] { frequency: 22050.0, a: 1.4, b: 0.3, x0: 0.0, x1: 0.0 }
    /// Hénon map, without interpolation.
    HenonN() [ar] (1) [] { frequency: 22050.0, a: 1.4, b: 0.3, x0: 0.0, x1: 0.0 }
    /// Latoocarfian map, cubic interpolation.
    LatoocarfianC() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: 3.0, c: 0.5, d: 0.5, xi: 0.5, yi: 0.5 }
    /// Latoocarfian map, linear interpolation.
    LatoocarfianL() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: 3.0, c: 0.5, d: 0.5, xi: 0.5, yi: 0.5 }
    /// Latoocarfian map, without interpolation.
    LatoocarfianN() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: 3.0, c: 0.5, d: 0.5, xi: 0.5, yi: 0.5 }
    /// Linear congruential map, cubic interpolation.
    LinCongC() [ar] (1) [] { frequency: 22050.0, a: 1.1, c: 0.13, m: 1.0, xi: 0.0 }
    /// Linear congruential map, linear interpolation.
    LinCongL() [ar] (1) [] { frequency: 22050.0, a: 1.1, c: 0.13, m: 1.0, xi: 0.0 }
    /// Linear congruential map, without interpolation.
    LinCongN() [ar] (1) [] { frequency: 22050.0, a: 1.1, c: 0.13, m: 1.0, xi: 0.0 }
    /// Lorenz system, linear interpolation.
    LorenzL() [ar] (1) [] {
        frequency: 22050.0, s: 10.0, r: 28.0, b: 2.667, h: 0.05, xi: 0.1, yi: 0.0, zi: 0.0,
    }
    /// General quadratic map, cubic interpolation.
    QuadC() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: (-1.0), c: (-0.75), xi: 0.0 }
    /// General quadratic map, linear interpolation.
    QuadL() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: (-1.0), c: (-0.75), xi: 0.0 }
    /// General quadratic map, without interpolation.
    QuadN() [ar] (1) [] { frequency: 22050.0, a: 1.0, b: (-1.0), c: (-0.75), xi: 0.0 }
    /// Standard map, linear interpolation.
    StandardL() [ar] (1) [] { frequency: 22050.0, k: 1.0, xi: 0.5, yi: 0.0 }
    /// Standard map, without interpolation.
    StandardN() [ar] (1) [] { frequency: 22050.0, k: 1.0, xi: 0.5, yi: 0.0 }
}
