//! Options and channels that all DMX backends have.

use consort_router::{ChannelSyntax, OptionKind, OptionSpec, Options};

use super::Detect;

/// The option of a backend that logs sources and frames.
pub(crate) const DETECT: OptionSpec = OptionSpec {
    name: "detect",
    kind: OptionKind::Choice(Detect::WORDS),
    default: Some("off"),
    live: true,
    example: "verbose",
    documentation: "Log each new source of each universe; `verbose` logs every frame.",
    ..OptionSpec::EMPTY
};

/// The option of an instance that selects an interface of the backend.
pub(crate) const INTERFACE: OptionSpec = OptionSpec {
    name: "interface",
    aliases: &["iface"],
    kind: OptionKind::Integer(0, 4095),
    default: Some("0"),
    example: "1",
    documentation: "The `bind` option of the backend to use, counted from 0.",
    ..OptionSpec::EMPTY
};

/// The option of an instance that disables the frame rate limit.
pub(crate) const REALTIME: OptionSpec = OptionSpec {
    name: "realtime",
    kind: OptionKind::Flag,
    default: Some("off"),
    live: true,
    example: "on",
    documentation: "Send every value immediately instead of at most 44 frames per second. \
Fixtures on a DMX line may not keep up.",
    ..OptionSpec::EMPTY
};

/// The option of an instance that emits the zeros of the first frame.
pub(crate) const FIRST_VALUES: OptionSpec = OptionSpec {
    name: "first-values",
    kind: OptionKind::Choice(&["moved", "all"]),
    default: Some("moved"),
    live: true,
    example: "all",
    documentation: "Which channels of the first frame are emitted: those that are not 0 (`moved`), \
so that a start does not send a 0 to every target, or all of them (`all`).",
    ..OptionSpec::EMPTY
};

/// Whether the option `first-values` has the value `all`.
pub(crate) fn emits_all_first(options: &Options) -> bool {
    options.text("first-values").is_some_and(|word| word.eq_ignore_ascii_case("all"))
}

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
        documentation: "Two channels as one 16-bit value, high byte first. The two channels \
cannot be mapped separately.",
    },
];
