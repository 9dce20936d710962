//! The backends of Consort's router, one folder for each protocol or script language.
//!
//! [`BACKENDS`] is the registry. Every backend is a cargo feature of the same name; all of them are
//! on by default, and each works without the others.

#[cfg(feature = "artnet")]
pub mod artnet;
#[cfg(any(
    feature = "dmxusb",
    feature = "evdev",
    feature = "jack",
    feature = "maweb",
    feature = "midi",
    feature = "mqtt",
    feature = "ola",
    feature = "openpixelcontrol",
    feature = "osc",
    feature = "rtpmidi",
    feature = "visca"
))]
#[cfg_attr(
    not(all(
        feature = "evdev",
        feature = "midi",
        feature = "mqtt",
        feature = "osc",
        feature = "rtpmidi"
    )),
    allow(dead_code, reason = "each of the backends uses a part")
)]
mod detect;
#[cfg(feature = "discovery")]
pub mod discovery;
#[cfg(any(
    feature = "artnet",
    feature = "dmxusb",
    feature = "ola",
    feature = "openpixelcontrol",
    feature = "sacn"
))]
#[cfg_attr(
    not(all(feature = "artnet", feature = "dmxusb", feature = "sacn")),
    allow(dead_code, unused_imports, reason = "each of the backends uses a part")
)]
mod dmx;
#[cfg(feature = "dmxusb")]
pub mod dmxusb;
#[cfg(feature = "evdev")]
pub mod evdev;
#[cfg(any(feature = "dmxusb", feature = "evdev", feature = "visca"))]
#[cfg_attr(not(feature = "evdev"), allow(dead_code, reason = "each of the backends uses a part"))]
mod hotplug;
#[cfg(feature = "jack")]
pub mod jack;
#[cfg(feature = "loopback")]
pub mod loopback;
#[cfg(feature = "lua")]
pub mod lua;
#[cfg(feature = "maweb")]
pub mod maweb;
#[cfg(feature = "mdns")]
#[cfg_attr(
    not(all(feature = "discovery", feature = "rtpmidi")),
    allow(dead_code, reason = "the backends use it")
)]
mod mdns;
#[cfg(feature = "midi")]
pub mod midi;
#[cfg(any(feature = "jack", feature = "midi", feature = "rtpmidi"))]
#[cfg_attr(
    not(all(feature = "jack", feature = "midi", feature = "rtpmidi")),
    allow(dead_code, reason = "each of the backends uses a part")
)]
mod midi_grammar;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(any(
    feature = "artnet",
    feature = "dmxusb",
    feature = "evdev",
    feature = "maweb",
    feature = "mqtt",
    feature = "ola",
    feature = "openpixelcontrol",
    feature = "osc",
    feature = "rtpmidi",
    feature = "sacn",
    feature = "sc",
    feature = "visca",
    feature = "web"
))]
#[cfg_attr(
    not(all(
        feature = "artnet",
        feature = "mqtt",
        feature = "ola",
        feature = "openpixelcontrol",
        feature = "osc",
        feature = "sacn",
        feature = "sc"
    )),
    allow(dead_code, unused_imports, reason = "each of the backends uses a part")
)]
pub mod net;
#[cfg(feature = "ola")]
pub mod ola;
#[cfg(feature = "openpixelcontrol")]
pub mod openpixelcontrol;
#[cfg(feature = "osc")]
pub mod osc;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "rtpmidi")]
pub mod rtpmidi;
#[cfg(feature = "sacn")]
pub mod sacn;
#[cfg(feature = "sc")]
pub mod sc;
#[cfg(any(feature = "dmxusb", feature = "visca"))]
#[cfg_attr(not(feature = "dmxusb"), allow(dead_code, reason = "each of the backends uses a part"))]
mod serial;
#[cfg(all(test, any(feature = "evdev", feature = "midi")))]
#[cfg_attr(not(feature = "midi"), allow(dead_code, reason = "each of the backends uses a part"))]
mod test_log;
#[cfg(feature = "visca")]
pub mod visca;
#[cfg(feature = "web")]
pub mod web;
#[cfg(any(feature = "lua", feature = "python"))]
pub mod worker;

#[cfg(all(
    feature = "fuzzing",
    any(
        feature = "artnet",
        feature = "dmxusb",
        feature = "ola",
        feature = "openpixelcontrol",
        feature = "sacn"
    )
))]
#[doc(hidden)]
pub use dmx::merge_frames;

use consort_router::BackendDescriptor;

/// How to get larger receive buffers, if the kernel limits those of this program's sockets; `None`
/// if it does not.
pub fn receive_buffer_advice() -> Option<String> {
    #[cfg(any(
        feature = "artnet",
        feature = "osc",
        feature = "rtpmidi",
        feature = "sacn",
        feature = "sc"
    ))]
    return net::loss::buffer_advice();
    #[cfg(not(any(
        feature = "artnet",
        feature = "osc",
        feature = "rtpmidi",
        feature = "sacn",
        feature = "sc"
    )))]
    None
}

/// The backends of this build, sorted by name.
pub const BACKENDS: &[&BackendDescriptor] = &[
    #[cfg(feature = "artnet")]
    &artnet::DESCRIPTOR,
    #[cfg(feature = "dmxusb")]
    &dmxusb::DESCRIPTOR,
    #[cfg(feature = "evdev")]
    &evdev::DESCRIPTOR,
    #[cfg(feature = "jack")]
    &jack::DESCRIPTOR,
    #[cfg(feature = "loopback")]
    &loopback::DESCRIPTOR,
    #[cfg(feature = "lua")]
    &lua::DESCRIPTOR,
    #[cfg(feature = "maweb")]
    &maweb::DESCRIPTOR,
    #[cfg(feature = "midi")]
    &midi::DESCRIPTOR,
    #[cfg(feature = "mqtt")]
    &mqtt::DESCRIPTOR,
    #[cfg(feature = "ola")]
    &ola::DESCRIPTOR,
    #[cfg(feature = "openpixelcontrol")]
    &openpixelcontrol::DESCRIPTOR,
    #[cfg(feature = "osc")]
    &osc::DESCRIPTOR,
    #[cfg(feature = "python")]
    &python::DESCRIPTOR,
    #[cfg(feature = "rtpmidi")]
    &rtpmidi::DESCRIPTOR,
    #[cfg(feature = "sacn")]
    &sacn::DESCRIPTOR,
    #[cfg(feature = "sc")]
    &sc::DESCRIPTOR,
    #[cfg(feature = "visca")]
    &visca::DESCRIPTOR,
    #[cfg(feature = "web")]
    &web::DESCRIPTOR,
];

/// A device that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluggedIn {
    /// Its name.
    pub name: String,
    /// The options of an instance that select it, one a line.
    pub options: String,
}

/// The devices of this machine that a backend can use, sorted as the system lists them; `None` for a
/// backend without such a list. Opens no device. May block for some milliseconds.
pub fn devices(backend: &str) -> Option<Vec<PluggedIn>> {
    match backend {
        #[cfg(feature = "dmxusb")]
        "dmxusb" => Some(dmxusb::devices()),
        #[cfg(feature = "evdev")]
        "evdev" => Some(evdev::devices()),
        #[cfg(feature = "visca")]
        "visca" => Some(visca::devices()),
        _ => None,
    }
}
