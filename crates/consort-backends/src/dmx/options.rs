//! What every protocol of universes has in its tables of options and channels.

use consort_router::{ChannelSyntax, OptionKind, OptionSpec};

use super::Detect;

/// Logging of sources and frames, for a backend.
pub(crate) const DETECT: OptionSpec = OptionSpec {
    name: "detect",
    kind: OptionKind::Choice(Detect::WORDS),
    default: Some("off"),
    example: "verbose",
    documentation: "Log each new source of each universe; with `verbose`, every frame.",
    ..OptionSpec::EMPTY
};

/// Which socket of the backend an instance uses.
pub(crate) const INTERFACE: OptionSpec = OptionSpec {
    name: "interface",
    aliases: &["iface"],
    kind: OptionKind::Integer(0, 4095),
    default: Some("0"),
    example: "1",
    documentation: "Which `bind` of the backend to use, counted from 0.",
    ..OptionSpec::EMPTY
};

/// An instance without a limit of frames.
pub(crate) const REALTIME: OptionSpec = OptionSpec {
    name: "realtime",
    kind: OptionKind::Flag,
    default: Some("off"),
    example: "on",
    documentation: "Send every value at once instead of at most 44 frames a second. \
Fixtures behind a DMX line may not follow.",
    ..OptionSpec::EMPTY
};

/// The channels of a universe.
pub(crate) const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "N",
        example: "231",
        documentation: "A channel of the universe, 1 to 512, 8 bits.",
    },
    ChannelSyntax {
        syntax: "N+M",
        example: "1+2",
        documentation: "Two channels as one of 16 bits, high byte first. Its parts cannot be \
mapped on their own.",
    },
];
