//! What mappings do besides passing values on, as the configuration describes it.

use std::sync::Arc;

use crate::config::ChannelRef;
use crate::options::{OptionKind, OptionSpec};
use crate::stage::{Chain, TakeoverMode};

/// A mapping with stages, in a layer, or both.
#[derive(Clone, Debug)]
pub struct Transform {
    /// The index in [`Show::mappings`](crate::config::Show::mappings) of the way from the source to
    /// the target.
    pub forward: u32,
    /// The index of the way back, for `<>`.
    pub back: Option<u32>,
    /// The stages.
    pub chain: Arc<Chain>,
    /// What has to hold.
    pub conditions: Arc<[Condition]>,
    /// The number of its layer; `None` if it is always active.
    pub layer: Option<u32>,
    /// The stages as the configuration has them.
    pub text: Arc<str>,
}

impl Transform {
    /// A mapping with these stages, always active, without a way back.
    pub fn new(forward: u32, chain: Chain) -> Self {
        Transform {
            forward,
            back: None,
            chain: Arc::new(chain),
            conditions: Arc::default(),
            layer: None,
            text: Arc::default(),
        }
    }
}

/// A channel that has to be above a level, or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The channel.
    pub channel: ChannelRef,
    /// How it counts.
    pub kind: ConditionKind,
}

/// How the channel of a condition counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConditionKind {
    /// Above this level.
    Above(f64),
    /// Not above this level.
    NotAbove(f64),
    /// On: values pass, and none goes back. Off: values only go back.
    Touch,
}

/// What happens to held presses when a layer goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// They stay with the routes that they began with until they are released.
    #[default]
    Keep,
    /// They are released at once.
    Release,
}

/// A layer of mappings.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Layers of one group exclude each other.
    pub group: Option<String>,
    /// What has to hold.
    pub conditions: Vec<Condition>,
    /// A press makes it the active one of its group.
    pub select: Option<ChannelRef>,
    /// Chooses a layer of the group by its value.
    pub selector: Option<ChannelRef>,
    /// Gets 1 while the layer is active, else 0, through stages.
    pub led: Option<(ChannelRef, Arc<Chain>)>,
    /// Whether it is the one of its group that is active at first.
    pub starts: bool,
    /// How its sources and targets meet; `None` for the default.
    pub takeover: Option<TakeoverMode>,
    /// What happens to held presses when it goes.
    pub held: Held,
    /// Whether momentary sources that lose their last way back get 0.
    pub keeps_lights: bool,
}

/// The options of `[map NAME]`.
pub static LAYER_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "group",
        example: "pages",
        documentation: "Layers of one group exclude each other: one of them is active.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "select",
        example: "pads.ch0.note36",
        documentation: "A channel. A press makes this layer the active one of its group. The \
                        router answers 1 on the channel of the active layer and 0 on the others.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "selector",
        example: "desk.page",
        documentation: "A channel whose value chooses a layer of the group: its n layers share \
                        0–1 equally. One layer of the group has this option.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "start",
        kind: OptionKind::Flag,
        example: "on",
        documentation: "Whether this layer of its group is active at first; by default the first \
                        is.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "led",
        example: "pads.ch0.note36 | range(0, 3/127)",
        documentation: "A channel that gets 1 while the layer is active, else 0, through stages \
                        if there are any; instead of the channel of `select`.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "when",
        example: "pads.shift",
        documentation: "A channel. The layer is active only while it is above a half.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "unless",
        example: "pads.shift",
        documentation: "A channel. The layer is active only while it is not above a half.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "takeover",
        kind: OptionKind::Choice(&["jump", "pickup", "scale"]),
        example: "scale",
        documentation: "What happens while source and target differ; see the stage `takeover`. \
                        By default `pickup` for faders mapped by `>` in layers with `select`, \
                        `selector` or `group`, and `jump` elsewhere.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "held",
        kind: OptionKind::Choice(&["keep", "release"]),
        default: Some("keep"),
        example: "release",
        documentation: "What happens to held presses when the layer goes: they stay with the \
                        targets that they began with until they are released, or are released at \
                        once.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "off",
        kind: OptionKind::Flag,
        default: Some("on"),
        example: "no",
        documentation: "Whether buttons that no active mapping sends values back to get 0 when \
                        the layer goes.",
        ..OptionSpec::EMPTY
    },
];
