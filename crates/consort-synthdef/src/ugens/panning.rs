//! Panners, rotators and B-format.

use super::table::ugen_table;

ugen_table! {
    /// Balances two signals between two channels, equal power.
    Balance2(left, right) [ar kr] (2) [] { left: required, right: required, position: 0.0, level: 1.0 }
    /// Two signals encoded as planar B-format.
    BiPanB2(in_a, in_b, azimuth) [ar kr] (3) [] {
        in_a: required, in_b: required, azimuth: required, gain: 1.0,
    }
    /// Decodes planar B-format to a ring of speakers.
    DecodeB2(w, x, y) [ar kr] (variable 4) [] { w: required, x: required, y: required, orientation: 0.5 }
    /// Pans a signal between two channels, equal power.
    Pan2(source) [ar kr] (2) [] { source: required, position: 0.0, level: 1.0 }
    /// Pans a signal among four channels, equal power.
    Pan4(source) [ar kr] (4) [] { source: required, x_position: 0.0, y_position: 0.0, gain: 1.0 }
    /// Pans a signal round a ring of channels.
    PanAz(source) [ar kr] (variable 1) [] {
        source: required, position: 0.0, amplitude: 1.0, width: 2.0, orientation: 0.5,
    }
    /// Encodes a signal as B-format; has three of the four outputs, as in Supriya.
    PanB(source) [ar kr] (3) [] { source: required, azimuth: 0.0, elevation: 0.0, gain: 1.0 }
    /// Encodes a signal as planar B-format.
    PanB2(source) [ar kr] (3) [] { source: required, azimuth: 0.0, gain: 1.0 }
    /// Rotates a sound field of two channels.
    Rotate2(x, y) [ar kr] (2) [] { x: required, y: required, position: 0.0 }
    /// Equal-power crossfade of two signals.
    XFade2(in_a) [ar kr] (1) [] { in_a: required, in_b: 0.0, pan: 0.0, level: 1.0 }
}
