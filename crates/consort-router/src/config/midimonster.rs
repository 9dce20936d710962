//! What MIDIMonster has and this program may not.

/// Backends that MIDIMonster has, for telling people that it is not they who are mistaken.
pub(crate) const MIDIMONSTER_BACKENDS: &[&str] = &[
    "artnet",
    "atem",
    "evdev",
    "jack",
    "loopback",
    "lua",
    "maweb",
    "midi",
    "mqtt",
    "ola",
    "openpixelcontrol",
    "osc",
    "python",
    "rtpmidi",
    "sacn",
    "visca",
    "wininput",
    "winmidi",
];
