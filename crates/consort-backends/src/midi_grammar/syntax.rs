//! The forms of channels, as the reference describes them.

use consort_router::ChannelSyntax;

/// The forms of channels, in the order of the reference.
pub(crate) const SYNTAX: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "chN.ccM",
        example: "ch0.cc7",
        documentation: "A controller, 0–127, of a MIDI channel, 0–15. `channelN.` can replace \
`chN.` everywhere. The old forms `ccN.M` and `noteN.M` are accepted.",
    },
    ChannelSyntax {
        syntax: "chN.noteM",
        example: "channel0.note60",
        documentation: "The velocity of a note, 0–127; 0 when the note ends.",
    },
    ChannelSyntax {
        syntax: "chN.pressureM",
        example: "ch0.pressure60",
        documentation: "Pressure on a note (polyphonic aftertouch).",
    },
    ChannelSyntax {
        syntax: "chN.pitch",
        example: "ch0.pitch",
        documentation: "Pitch bend, 14 bits; the centre is 8192/16383.",
    },
    ChannelSyntax {
        syntax: "chN.aftertouch",
        example: "ch0.aftertouch",
        documentation: "Pressure on the whole MIDI channel.",
    },
    ChannelSyntax {
        syntax: "chN.program",
        example: "ch0.program",
        documentation: "The program, 0–127.",
    },
    ChannelSyntax {
        syntax: "chN.rpnM",
        example: "ch0.rpn0",
        documentation: "A registered parameter, 0–16383, with 14 bits.",
    },
    ChannelSyntax {
        syntax: "chN.nrpnM",
        example: "ch0.nrpn900",
        documentation: "A non-registered parameter, 0–16383, with 14 bits.",
    },
    ChannelSyntax {
        syntax: "chN.notenumber",
        example: "ch0.notenumber",
        documentation: "The number of the last note, 0–127 as 0.0–1.0. As a target, it selects \
the note that `chN.velocity` plays.",
    },
    ChannelSyntax {
        syntax: "chN.velocity",
        example: "ch0.velocity",
        documentation: "The velocity of the last note, 0 when a note ends; `chN.notenumber` is set \
before it. As a target, it plays the selected note and ends the previous one.",
    },
    ChannelSyntax {
        syntax: "chN.panic",
        example: "ch0.panic",
        documentation: "Target: a value above 0 ends everything on the MIDI channel.",
    },
    ChannelSyntax {
        syntax: "panic",
        example: "panic",
        documentation: "Target: a value above 0 ends everything on all MIDI channels.",
    },
    ChannelSyntax {
        syntax: "start",
        example: "start",
        documentation: "The start message. As a source, 1 when it arrives; as a target, sent for \
values above 0.",
    },
    ChannelSyntax {
        syntax: "stop",
        example: "stop",
        documentation: "The stop message, like `start`.",
    },
    ChannelSyntax {
        syntax: "continue",
        example: "continue",
        documentation: "The continue message, like `start`.",
    },
    ChannelSyntax {
        syntax: "position",
        example: "position",
        documentation: "Song position in sixteenth notes, 0–16383 as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "song",
        example: "song",
        documentation: "Song select, 0–127 as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "tempo",
        example: "tempo",
        documentation: "The tempo of the MIDI clock, 0–300 quarter notes per minute as 0.0–1.0. \
As a source, it is measured over each quarter note; as a target, it sends clock.",
    },
    ChannelSyntax {
        syntax: "clock",
        example: "clock",
        documentation: "Each MIDI clock (24 per quarter note): its position in the quarter note, \
0/24 to 23/24. As a target, values above 0 send one clock.",
    },
    ChannelSyntax {
        syntax: "beat",
        example: "beat",
        documentation: "Source: 1 at the first clock of each quarter note, 0 in its middle.",
    },
    ChannelSyntax {
        syntax: "timecode",
        example: "timecode",
        documentation: "Source: MIDI time code, 24 hours as 0.0–1.0, every two frames.",
    },
    ChannelSyntax {
        syntax: "timecode.PART",
        example: "timecode.seconds",
        documentation: "Source: `hours` (0–23), `minutes`, `seconds` (0–59) or `frames` (0–29) of \
the time code, as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "sysex.F0 … F7",
        example: "sysex.F0 7D 01 vv F7",
        documentation: "A system exclusive message, with its bytes in hexadecimal. `vv` is the \
value; `hh` and `ll` are the upper and lower 7 bits of a 14-bit value; `xx` is any byte (sent as \
0). A message without a value is 1 when it arrives, and is sent for values above 0.",
    },
];
