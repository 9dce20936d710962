//! The table of stages, from which parsing, `consort check`, `consort stages` and the reference
//! come.

use consort_suggest::nearest;

/// The purpose of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageKind {
    /// A function of the value alone.
    Shape,
    /// Works with presses.
    Switch,
    /// Emits values later.
    Time,
    /// Decodes the steps of an encoder.
    Encoder,
    /// Passes values only while something holds.
    Condition,
    /// How source and target meet.
    Takeover,
}

impl StageKind {
    /// One word, as in `consort stages`.
    pub fn word(self) -> &'static str {
        match self {
            StageKind::Shape => "shape",
            StageKind::Switch => "switch",
            StageKind::Time => "time",
            StageKind::Encoder => "encoder",
            StageKind::Condition => "condition",
            StageKind::Takeover => "takeover",
        }
    }
}

/// How values come back through a stage in `a <> b | …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inverse {
    /// By this function.
    Function(&'static str),
    /// By this function, unless the arguments make it impossible.
    Sometimes(&'static str),
    /// Unchanged.
    Unchanged,
    /// Not at all. The text is what to write instead.
    None(&'static str),
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgumentKind {
    /// A number within a range, also written as a fraction.
    Number {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// A whole number within a range.
    Whole {
        /// The lowest value.
        low: u32,
        /// The highest value.
        high: u32,
    },
    /// A time in milliseconds, from 1 ms to 1 hour.
    Time,
    /// A frequency in hertz within a range.
    Frequency {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// Two to 64 points `x:y`, in ascending order of x.
    Points,
    /// `INSTANCE.CHANNEL > LEVEL`.
    Comparison,
    /// `INSTANCE.CHANNEL`.
    Channel,
}

impl ArgumentKind {
    /// What is expected, for messages and the reference.
    pub fn expected(self) -> String {
        match self {
            ArgumentKind::Number { low, high } => format!("a number from {low} to {high}"),
            ArgumentKind::Whole { low, high } => format!("a whole number from {low} to {high}"),
            ArgumentKind::Time => "a time from 1 ms to 3600 s (without a unit: ms)".into(),
            ArgumentKind::Frequency { low, high } => {
                format!("a frequency from {low} to {high} Hz")
            }
            ArgumentKind::Word(words) => match words.split_last() {
                Some((last, others)) if !others.is_empty() => {
                    let others: Vec<String> =
                        others.iter().map(|word| format!("`{word}`")).collect();
                    format!("{} or `{last}`", others.join(", "))
                }
                _ => format!("`{}`", words.concat()),
            },
            ArgumentKind::Points => {
                "2 to 64 points `x:y` with x and y from 0 to 1, x rising".into()
            }
            ArgumentKind::Comparison => "`INSTANCE.CHANNEL > LEVEL`".into(),
            ArgumentKind::Channel => "`INSTANCE.CHANNEL`".into(),
        }
    }

    /// The unit: `ms`, `Hz` or empty.
    pub fn unit(self) -> &'static str {
        match self {
            ArgumentKind::Time => "ms",
            ArgumentKind::Frequency { .. } => "Hz",
            _ => "",
        }
    }
}

/// An argument of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArgumentSpec {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// What is used when it is left out; `None` when it is required.
    pub default: Option<&'static str>,
    /// What it does.
    pub documentation: &'static str,
}

/// A stage as configurations, messages and the reference know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageSpec {
    /// Its name.
    pub name: &'static str,
    /// Its purpose.
    pub kind: StageKind,
    /// Its arguments in order.
    pub arguments: &'static [ArgumentSpec],
    /// What it does.
    pub documentation: &'static str,
    /// How values come back.
    pub inverse: Inverse,
    /// Whether it remembers something between two values.
    pub has_state: bool,
    /// Whether it emits values later.
    pub has_time: bool,
    /// An example as in a configuration.
    pub example: &'static str,
}

impl StageSpec {
    /// `name(a, b = 1)`.
    pub fn signature(&self) -> String {
        if self.arguments.is_empty() {
            return self.name.to_owned();
        }
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .map(|argument| match argument.default {
                Some(default) => format!("{} = {default}", argument.name),
                None => argument.name.to_owned(),
            })
            .collect();
        format!("{}({})", self.name, arguments.join(", "))
    }
}

const UNIT: ArgumentKind = ArgumentKind::Number { low: 0.0, high: 1.0 };
const EXPONENT: ArgumentKind = ArgumentKind::Number { low: 0.05, high: 20.0 };

const fn argument(
    name: &'static str,
    kind: ArgumentKind,
    documentation: &'static str,
) -> ArgumentSpec {
    ArgumentSpec { name, kind, default: None, documentation }
}

const fn optional(
    name: &'static str,
    kind: ArgumentKind,
    default: &'static str,
    documentation: &'static str,
) -> ArgumentSpec {
    ArgumentSpec { name, kind, default: Some(default), documentation }
}

const SHAPE: StageSpec = StageSpec {
    name: "",
    kind: StageKind::Shape,
    arguments: &[],
    documentation: "",
    inverse: Inverse::Unchanged,
    has_state: false,
    has_time: false,
    example: "",
};
const SWITCH: StageSpec = StageSpec { kind: StageKind::Switch, has_state: true, ..SHAPE };
const TIME: StageSpec =
    StageSpec { kind: StageKind::Time, has_state: true, has_time: true, ..SHAPE };

/// All stages, by kind.
pub static STAGES: &[StageSpec] = &[
    StageSpec {
        name: "invert",
        documentation: "1 − v.",
        inverse: Inverse::Function("invert"),
        example: "invert",
        ..SHAPE
    },
    StageSpec {
        name: "from",
        arguments: &[
            argument("a", UNIT, "the input that gives 0"),
            argument("b", UNIT, "the input that gives 1; not the same as a"),
        ],
        documentation: "Uses a part of the input's range: (v − a)/(b − a), clipped to 0–1.",
        inverse: Inverse::Function("range(a, b)"),
        example: "from(0.25, 0.75)",
        ..SHAPE
    },
    StageSpec {
        name: "range",
        arguments: &[
            argument("a", UNIT, "the output at 0"),
            argument("b", UNIT, "the output at 1; a > b turns the direction"),
        ],
        documentation: "Uses a part of the output's range: a + v·(b − a).",
        inverse: Inverse::Sometimes("from(a, b), if a and b differ"),
        example: "range(33/127, 43/127)",
        ..SHAPE
    },
    StageSpec {
        name: "curve",
        arguments: &[argument("g", EXPONENT, "above 1: slow at first; below 1: fast at first")],
        documentation: "v to the power of g.",
        inverse: Inverse::Function("curve(1/g)"),
        example: "curve(2)",
        ..SHAPE
    },
    StageSpec {
        name: "ease",
        arguments: &[argument("k", EXPONENT, "above 1: slow at both ends; below 1: fast there")],
        documentation: "A curve in the shape of an S: v^k/(v^k + (1 − v)^k).",
        inverse: Inverse::Function("ease(1/k)"),
        example: "ease(2)",
        ..SHAPE
    },
    StageSpec {
        name: "points",
        arguments: &[argument("x:y, …", ArgumentKind::Points, "input and output of each point")],
        documentation: "Straight lines between points; constant before the first and after the \
                        last one.",
        inverse: Inverse::Sometimes("the exchanged points, if y only rises or only falls"),
        example: "points(0:0, 0.2:0.7, 1:1)",
        ..SHAPE
    },
    StageSpec {
        name: "steps",
        arguments: &[argument(
            "n",
            ArgumentKind::Whole { low: 2, high: 65_536 },
            "the number of values",
        )],
        documentation: "The nearest of n evenly spaced values: round(v·(n − 1))/(n − 1).",
        example: "steps(5)",
        ..SHAPE
    },
    StageSpec {
        name: "clip",
        arguments: &[
            argument("a", UNIT, "the lowest value"),
            argument("b", UNIT, "the highest value, at least a"),
        ],
        documentation: "Limits the value to a–b.",
        example: "clip(0.1, 0.9)",
        ..SHAPE
    },
    StageSpec {
        name: "deadzone",
        arguments: &[
            argument("w", ArgumentKind::Number { low: 0.0, high: 0.9 }, "the full width"),
            optional("at", UNIT, "0.5", "the middle of the zone, and its output"),
        ],
        documentation: "Inputs within w/2 of `at` give `at`; the rest is stretched to 0–1.",
        inverse: Inverse::Function("the same lines backwards; `at` stays"),
        example: "deadzone(0.1, 0.5)",
        ..SHAPE
    },
    StageSpec {
        name: "scale",
        arguments: &[argument("f", ArgumentKind::Number { low: 0.0, high: 1000.0 }, "the factor")],
        documentation: "v·f, clipped to 0–1.",
        inverse: Inverse::Sometimes("v/f, if f is not 0"),
        example: "scale(0.5)",
        ..SHAPE
    },
    StageSpec {
        name: "offset",
        arguments: &[argument("x", ArgumentKind::Number { low: -1.0, high: 1.0 }, "what is added")],
        documentation: "v + x, clipped to 0–1.",
        inverse: Inverse::Function("offset(−x)"),
        example: "offset(-0.1)",
        ..SHAPE
    },
    StageSpec {
        name: "threshold",
        arguments: &[
            argument("x", UNIT, "the lowest input that gives 1"),
            optional("hysteresis", UNIT, "0", "how far below x it stays 1"),
        ],
        documentation: "1 from x upwards; 0 below x − hysteresis.",
        inverse: Inverse::None("write one mapping for each direction"),
        example: "threshold(0.5, 0.1)",
        ..SWITCH
    },
    StageSpec {
        name: "toggle",
        documentation: "A press switches the target on or off. Off means at most a half.",
        inverse: Inverse::Unchanged,
        example: "toggle",
        ..SWITCH
    },
    StageSpec {
        name: "trigger",
        documentation: "Each value above the level of a press gives 1 and counts as a press, also \
                        when the same value repeats; other values are dropped.",
        inverse: Inverse::None("write one mapping for each direction"),
        has_state: false,
        example: "trigger",
        ..SWITCH
    },
    StageSpec {
        name: "pulse",
        arguments: &[argument("duration", ArgumentKind::Time, "how long it lasts")],
        documentation: "A press gives 1, and 0 after the duration; the release has no effect.",
        inverse: Inverse::None("write one mapping for each direction"),
        has_time: true,
        example: "pulse(100 ms)",
        ..SWITCH
    },
    StageSpec {
        name: "hold",
        arguments: &[argument("duration", ArgumentKind::Time, "how long to hold")],
        documentation: "Gives 1 when a press lasts that long, and 0 at its release.",
        inverse: Inverse::None("write one mapping for each direction"),
        has_time: true,
        example: "hold(600 ms)",
        ..SWITCH
    },
    StageSpec {
        name: "double",
        arguments: &[optional("time", ArgumentKind::Time, "300", "between the two presses")],
        documentation: "Gives 1 at the second press within the time, and 0 at its release.",
        inverse: Inverse::None("write one mapping for each direction"),
        example: "double(300 ms)",
        ..SWITCH
    },
    StageSpec {
        name: "cycle",
        arguments: &[argument(
            "n",
            ArgumentKind::Whole { low: 2, high: 65_536 },
            "the number of values",
        )],
        documentation: "A press goes to the next of n evenly spaced values, and from the last to \
                        the first.",
        inverse: Inverse::Unchanged,
        example: "cycle(4)",
        ..SWITCH
    },
    StageSpec {
        name: "set",
        arguments: &[argument("x", UNIT, "the value")],
        documentation: "A press gives x. Back, it is 1 while the target is x, else 0: several of \
                        them are radio buttons.",
        inverse: Inverse::Function("1 at x, else 0"),
        example: "set(0.25)",
        ..SWITCH
    },
    StageSpec {
        name: "change",
        documentation: "Drops a value that equals the one before.",
        inverse: Inverse::Unchanged,
        example: "change",
        ..SWITCH
    },
    StageSpec {
        name: "smooth",
        arguments: &[argument("time", ArgumentKind::Time, "until the value is reached exactly")],
        documentation: "Follows the input, fast at first: one pole with a time constant of a \
                        fifth of the time.",
        example: "smooth(200 ms)",
        ..TIME
    },
    StageSpec {
        name: "slew",
        arguments: &[argument("time", ArgumentKind::Time, "for the full range")],
        documentation: "Follows the input at a constant rate.",
        example: "slew(2 s)",
        ..TIME
    },
    StageSpec {
        name: "delay",
        arguments: &[argument("time", ArgumentKind::Time, "how much later")],
        documentation: "Passes each value on later. All delays together hold 65,536 values; \
                        more are dropped, counted and reported.",
        example: "delay(500 ms)",
        ..TIME
    },
    StageSpec {
        name: "limit",
        arguments: &[argument(
            "rate",
            ArgumentKind::Frequency { low: 0.1, high: 100.0 },
            "values a second",
        )],
        documentation: "Passes at most so many values a second on. The newest always arrives; 0 \
                        and 1 arrive at once.",
        example: "limit(30 Hz)",
        ..TIME
    },
    StageSpec {
        name: "relative",
        kind: StageKind::Encoder,
        arguments: &[
            argument(
                "step",
                ArgumentKind::Number { low: -1.0, high: 1.0 },
                "the change for one step; negative turns the other way",
            ),
            argument(
                "encoding",
                ArgumentKind::Word(&["twos", "offset", "sign"]),
                "how the byte counts: 1, 127 (two's complement); 65, 63 (offset); 1, 65 (sign)",
            ),
            optional("max", UNIT, "1", "the largest change for one value"),
            optional(
                "wrap",
                ArgumentKind::Word(&["wrap"]),
                "no",
                "whether a step at one end goes to the other end",
            ),
        ],
        documentation: "Adds the steps of an encoder to the target's value. 64, and 0 except in \
                        `offset`, do nothing. The ends are reached exactly.",
        inverse: Inverse::Unchanged,
        has_state: true,
        example: "relative(0.01, twos)",
        ..SHAPE
    },
    StageSpec {
        name: "when",
        kind: StageKind::Condition,
        arguments: &[argument("condition", ArgumentKind::Comparison, "the channel and the level")],
        documentation: "Passes values only while the channel is above the level.",
        has_state: true,
        example: "when(pads.shift > 0.5)",
        ..SHAPE
    },
    StageSpec {
        name: "unless",
        kind: StageKind::Condition,
        arguments: &[argument("condition", ArgumentKind::Comparison, "the channel and the level")],
        documentation: "Passes values only while the channel is not above the level.",
        has_state: true,
        example: "unless(pads.shift > 0.5)",
        ..SHAPE
    },
    StageSpec {
        name: "touch",
        kind: StageKind::Condition,
        arguments: &[argument("channel", ArgumentKind::Channel, "on while the fader is touched")],
        documentation: "Passes values only while the channel is on. Nothing goes back to the \
                        source meanwhile; the current value does once at the release.",
        has_state: true,
        example: "touch(desk.ch1.note104)",
        ..SHAPE
    },
    StageSpec {
        name: "takeover",
        kind: StageKind::Takeover,
        arguments: &[argument(
            "way",
            ArgumentKind::Word(&["pickup", "scale", "jump"]),
            "`pickup` waits until the source reaches or crosses the target's value; `scale` moves \
             the target in proportion until both meet; `jump` never waits",
        )],
        documentation: "What happens while source and target differ.",
        inverse: Inverse::Unchanged,
        has_state: true,
        example: "takeover(pickup)",
        ..SHAPE
    },
    StageSpec {
        name: "servo",
        kind: StageKind::Takeover,
        documentation: "Returns every accepted value to its source, for motor faders that go back \
                        to the last position that they received.",
        inverse: Inverse::Unchanged,
        example: "servo",
        ..SHAPE
    },
];

/// The stage of that name.
pub fn find_stage(name: &str) -> Option<&'static StageSpec> {
    STAGES.iter().find(|spec| spec.name == name)
}

/// The names of all stages.
pub fn stage_names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|spec| spec.name)
}

/// The name nearest to a misspelt one.
pub(super) fn nearest_stage(name: &str) -> Option<&'static str> {
    const ALIASES: &[(&str, &str)] = &[
        ("inverse", "invert"),
        ("reverse", "invert"),
        ("gamma", "curve"),
        ("power", "curve"),
        ("lag", "smooth"),
        ("fade", "slew"),
        ("throttle", "limit"),
        ("latch", "toggle"),
        ("if", "when"),
        ("pickup", "takeover"),
        ("map", "range"),
        ("min", "clip"),
        ("max", "clip"),
        ("clamp", "clip"),
        ("quantize", "steps"),
        ("encoder", "relative"),
    ];
    let name = name.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    alias.map(|(_, stage)| *stage).or_else(|| nearest(&name, stage_names()))
}
