//! From the text after the first bar to stages.

use std::ops::Range;

use super::chain::Placed;
use super::encoder::Encoding;
use super::shape;
use super::table::{ArgumentKind, ArgumentSpec, Inverse, StageKind, StageSpec, find_stage};
use super::table::{nearest_stage, stage_names};
use super::{Stage, TakeoverMode};

/// The most stages of one mapping.
pub(super) const STAGE_LIMIT: usize = 32;

/// The most points of one stage.
const POINT_LIMIT: usize = 64;

/// The longest time of a stage, in milliseconds.
const TIME_LIMIT: f64 = 3_600_000.0;

/// What is wrong with a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageError {
    /// The code of the diagnostic.
    pub code: &'static str,
    /// The bytes of the text that it concerns.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected there; may be empty.
    pub label: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A channel that a stage names, to be looked up by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelCondition {
    /// The index of the stage.
    pub stage: usize,
    /// The bytes of the text that name the channel.
    pub channel: Range<usize>,
}

/// The stages of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedStages {
    /// The stages in order.
    pub stages: Vec<Placed>,
    /// The channels of `when`, `unless` and `touch`.
    pub channels: Vec<ChannelCondition>,
}

impl ParsedStages {
    /// The first stage that keeps values from coming back in `a <> b | …`.
    pub fn without_inverse(&self) -> Option<&Placed> {
        self.stages.iter().find(|placed| !shape::has_inverse(&placed.stage))
    }
}

/// One argument as it is written.
struct Written {
    range: Range<usize>,
}

/// Reads the text after the first bar: `invert | curve(2)`.
///
/// # Errors
/// All that is wrong, in the order of the text.
pub fn parse(text: &str) -> Result<ParsedStages, Vec<StageError>> {
    let mut parser = Parser { text, parsed: ParsedStages::default(), errors: Vec::new() };
    let parts = split(text, 0..text.len(), b'|');
    if parts.len() > STAGE_LIMIT {
        let range = parts[STAGE_LIMIT].clone();
        parser.error(
            "too-many-stages",
            range,
            format!("a mapping has at most {STAGE_LIMIT} stages"),
            "",
            Some("let a loopback channel carry the value in between".into()),
        );
    } else {
        for part in parts {
            parser.stage(part);
        }
    }
    if parser.errors.is_empty() {
        parser.check_order();
    }
    if parser.errors.is_empty() { Ok(parser.parsed) } else { Err(parser.errors) }
}

/// The bytes of `text[range]` between separators outside of parentheses and quotes, without blanks
/// at both ends.
fn split(text: &str, range: Range<usize>, separator: u8) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut parts, mut start) = (Vec::new(), range.start);
    let (mut depth, mut is_quoted) = (0_u32, false);
    for offset in range.clone() {
        match bytes[offset] {
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            byte if byte == separator && depth == 0 => {
                parts.push(trimmed(text, start..offset));
                start = offset + 1;
            }
            _ => {}
        }
    }
    parts.push(trimmed(text, start..range.end));
    parts
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// A number: `0.5`, `.5`, `33/127`.
fn number(text: &str) -> Option<f64> {
    let one = |text: &str| {
        let text = text.trim();
        let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
        // The standard library would also read `inf`, `nan` and exponents.
        (text.len() <= 32 && text.bytes().all(is_plain)).then(|| text.parse::<f64>().ok()).flatten()
    };
    let value = match text.split_once('/') {
        Some((above, below)) => one(above)? / one(below)?,
        None => one(text)?,
    };
    value.is_finite().then_some(value)
}

/// The arguments of a stage after they were checked.
#[derive(Default)]
struct Values {
    numbers: [f64; 3],
    word: Option<&'static str>,
    wraps: bool,
    points: Vec<(f64, f64)>,
}

struct Parser<'t> {
    text: &'t str,
    parsed: ParsedStages,
    errors: Vec<StageError>,
}

impl Parser<'_> {
    fn error(
        &mut self,
        code: &'static str,
        range: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        hint: Option<String>,
    ) {
        let (message, label) = (message.into(), label.into());
        self.errors.push(StageError { code, range, message, label, hint });
    }

    fn stage(&mut self, range: Range<usize>) {
        let text = &self.text[range.clone()];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let length = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
        let name = &text[..length];
        let name_range = range.start..range.start + length;
        if name.is_empty() {
            let hint = "remove the bar, or write a stage after it".to_owned();
            self.error("unknown-stage", range, "a stage is missing", "", Some(hint));
            return;
        }
        let Some(spec) = find_stage(name) else {
            let message = format!("unknown stage {}", crate::config::quoted(name));
            let hint = match nearest_stage(name) {
                Some(found) => format!("did you mean `{found}`?"),
                None => {
                    let names: Vec<String> =
                        stage_names().map(|name| format!("`{name}`")).collect();
                    format!("the stages are {}; see `consort stages`", names.join(", "))
                }
            };
            self.error("unknown-stage", name_range, message, "no such stage", Some(hint));
            return;
        };
        let rest = trimmed(self.text, name_range.end..range.end);
        let inside = match &self.text[rest.clone()] {
            "" => rest.end..rest.end,
            text if text.starts_with('(') && text.ends_with(')') => rest.start + 1..rest.end - 1,
            text if text.starts_with('(') => {
                let hint = Some(format!("for example `{}`", spec.example));
                self.error("stage-argument", rest, "the closing `)` is missing", "", hint);
                return;
            }
            _ => {
                let message = format!("unexpected text after the stage `{name}`");
                let hint = Some(format!("for example `{}`", spec.example));
                self.error("stage-argument", rest, message, "expected `|` or the end", hint);
                return;
            }
        };
        let written: Vec<Written> = match self.text[inside.clone()].trim().is_empty() {
            true => Vec::new(),
            false => {
                split(self.text, inside, b',').into_iter().map(|range| Written { range }).collect()
            }
        };
        let known = self.errors.len();
        let values = self.arguments(spec, &written, range.clone());
        if self.errors.len() > known {
            return;
        }
        if let Some(stage) = self.make(spec, &values, &written, range.clone()) {
            self.parsed.stages.push(Placed { stage, range });
        }
    }

    fn arguments(&mut self, spec: &StageSpec, written: &[Written], range: Range<usize>) -> Values {
        let mut values = Values::default();
        if spec.name == "points" {
            for argument in written.iter().take(POINT_LIMIT) {
                self.point(argument.range.clone(), spec, &mut values);
            }
            let is_rising = values.points.windows(2).all(|pair| pair[0].0 < pair[1].0);
            let is_complete = (2..=POINT_LIMIT).contains(&written.len());
            if !is_complete || (values.points.len() == written.len() && !is_rising) {
                let expected = ArgumentKind::Points.expected();
                let message = match is_complete {
                    true => "the x of the points must rise".to_owned(),
                    false => format!("`points` has {} points", written.len()),
                };
                let hint = Some(format!("for example `{}`", spec.example));
                self.error("stage-argument", range, message, format!("expected {expected}"), hint);
            }
            return values;
        }
        let mut next = 0;
        let mut index_of_number = 0;
        for argument in spec.arguments {
            let text = written.get(next).map(|written| &self.text[written.range.clone()]);
            let is_skipped = argument.default.is_some()
                && match (argument.kind, text) {
                    (_, None) => true,
                    // `relative(0.01, twos, wrap)` leaves `max` out.
                    (ArgumentKind::Number { .. }, Some(text)) => {
                        text.starts_with(|c: char| c.is_ascii_alphabetic())
                            && spec.kind == StageKind::Encoder
                    }
                    _ => false,
                };
            let Some(text) = text.filter(|_| !is_skipped) else {
                match argument.default {
                    Some(default) => {
                        if !matches!(argument.kind, ArgumentKind::Word(_)) {
                            values.numbers[index_of_number] = number(default).unwrap_or_default();
                            index_of_number += 1;
                        }
                    }
                    None => self.missing(spec, argument, range.clone()),
                }
                continue;
            };
            let place = written[next].range.clone();
            next += 1;
            match argument.kind {
                ArgumentKind::Word(words) => match words.iter().find(|word| **word == text) {
                    Some(&"wrap") => values.wraps = true,
                    Some(&word) => values.word = Some(word),
                    None => self.wrong(spec, argument, place),
                },
                ArgumentKind::Comparison => {
                    let arrow = text.rfind('>');
                    let level = arrow.and_then(|arrow| number(&text[arrow + 1..]));
                    let level = level.filter(|level| (0.0..=1.0).contains(level));
                    match (arrow, level) {
                        (Some(arrow), Some(level)) if text[..arrow].contains('.') => {
                            values.numbers[0] = level;
                            let channel = trimmed(self.text, place.start..place.start + arrow);
                            self.channel(channel);
                        }
                        _ => self.wrong(spec, argument, place),
                    }
                }
                ArgumentKind::Channel => match text.contains('.') {
                    true => self.channel(place),
                    false => self.wrong(spec, argument, place),
                },
                _ => match measure(argument.kind, text) {
                    Some(value) => {
                        values.numbers[index_of_number] = value;
                        index_of_number += 1;
                    }
                    None => self.wrong(spec, argument, place),
                },
            }
        }
        if let Some(extra) = written.get(next) {
            let end = written.last().map_or(extra.range.end, |last| last.range.end);
            let count = spec.arguments.len();
            let noun = if count == 1 { "argument" } else { "arguments" };
            let message = format!("`{}` takes at most {count} {noun}", spec.name);
            let hint = Some(format!("write `{}`", spec.signature()));
            self.error("stage-argument", extra.range.start..end, message, "one too many", hint);
        }
        values
    }

    fn channel(&mut self, channel: Range<usize>) {
        let stage = self.parsed.stages.len();
        self.parsed.channels.push(ChannelCondition { stage, channel });
    }

    fn point(&mut self, range: Range<usize>, spec: &StageSpec, values: &mut Values) {
        let text = &self.text[range.clone()];
        let unit = |text: &str| number(text).filter(|value| (0.0..=1.0).contains(value));
        let point = text.split_once(':').and_then(|(x, y)| Some((unit(x)?, unit(y)?)));
        match point {
            Some(point) => values.points.push(point),
            None => self.wrong(spec, &spec.arguments[0], range),
        }
    }

    fn missing(&mut self, spec: &StageSpec, argument: &ArgumentSpec, range: Range<usize>) {
        let message = format!("`{}` needs the argument `{}`", spec.name, argument.name);
        let label = format!("expected {}", argument.kind.expected());
        let hint = Some(format!("for example `{}`", spec.example));
        self.error("stage-argument", range, message, label, hint);
    }

    fn wrong(&mut self, spec: &StageSpec, argument: &ArgumentSpec, range: Range<usize>) {
        let shown = crate::config::quoted(&self.text[range.clone()]);
        let message =
            format!("invalid value {shown} for `{}` of the stage `{}`", argument.name, spec.name);
        let label = format!("expected {}", argument.kind.expected());
        let hint = Some(format!("for example `{}`", spec.example));
        self.error("stage-argument", range, message, label, hint);
    }

    /// The stage of a row with checked arguments.
    fn make(
        &mut self,
        spec: &StageSpec,
        values: &Values,
        written: &[Written],
        range: Range<usize>,
    ) -> Option<Stage> {
        let [a, b, c] = values.numbers;
        let micros = |milliseconds: f64| (milliseconds * 1_000.0).round() as u64;
        let argument = |index: usize| written.get(index).map_or(range.clone(), |w| w.range.clone());
        Some(match spec.name {
            "invert" => Stage::Invert,
            "from" => {
                if a == b {
                    let hint = Some("write two different numbers".to_owned());
                    let message = "`from` needs a range that is not empty";
                    self.error("stage-argument", argument(1), message, "the same as `a`", hint);
                    return None;
                }
                Stage::From { a, b }
            }
            "range" => Stage::Range { a, b },
            "curve" => Stage::Curve { exponent: a },
            "ease" => Stage::Ease { exponent: a },
            "points" => Stage::Points(values.points.clone().into()),
            "steps" => Stage::Steps { count: a as u32 },
            "clip" => {
                if a > b {
                    let hint = Some("exchange the two numbers".to_owned());
                    let message = "`clip` needs the lower value first";
                    self.error("stage-argument", argument(1), message, "less than `a`", hint);
                    return None;
                }
                Stage::Clip { a, b }
            }
            "deadzone" => {
                let (low, high) = ((b - a / 2.0).max(0.0), (b + a / 2.0).min(1.0));
                Stage::Deadzone { low, at: b, high }
            }
            "scale" => Stage::Scale { factor: a },
            "offset" => Stage::Offset { distance: a },
            "threshold" => Stage::Threshold { on: a, off: a - b },
            "toggle" => Stage::Toggle,
            "trigger" => Stage::Trigger,
            "pulse" => Stage::Pulse { duration: micros(a) },
            "hold" => Stage::Hold { duration: micros(a) },
            "double" => Stage::Double { duration: micros(a) },
            "cycle" => Stage::Cycle { count: a as u32 },
            "set" => Stage::Set { value: a },
            "change" => Stage::Change,
            "smooth" => Stage::Smooth { duration: micros(a) },
            "slew" => Stage::Slew { duration: micros(a) },
            "delay" => Stage::Delay { duration: micros(a) },
            "limit" => Stage::Limit { period: (1e6 / a).round() as u64 },
            "relative" => {
                let encoding = match values.word {
                    Some("offset") => Encoding::Offset,
                    Some("sign") => Encoding::Sign,
                    _ => Encoding::Twos,
                };
                Stage::Relative { step: a, encoding, most: b, wraps: values.wraps }
            }
            "when" | "unless" => Stage::When { negated: spec.name == "unless", level: a },
            "touch" => Stage::Touch,
            "takeover" => Stage::Takeover(match values.word {
                Some("scale") => TakeoverMode::Scale,
                Some("jump") => TakeoverMode::Jump,
                _ => TakeoverMode::Pickup,
            }),
            _ => {
                debug_assert_eq!((spec.name, c), ("servo", 0.0));
                Stage::Servo
            }
        })
    }

    /// Reports stages that cannot follow each other.
    fn check_order(&mut self) {
        let stages = std::mem::take(&mut self.parsed.stages);
        let mut first: Option<&Placed> = None;
        let mut slow: Option<&Placed> = None;
        for (index, placed) in stages.iter().enumerate() {
            let name = placed.stage.spec().name;
            if let (Stage::Relative { .. }, Some(before)) = (&placed.stage, slow) {
                let before = before.stage.spec().name;
                let message = format!("`relative` loses steps behind `{before}`");
                let hint = Some(format!("put `{before}` after `relative`"));
                let range = placed.range.clone();
                self.error("stage-order", range, message, "must come first", hint);
            }
            if placed.stage.needs_time() || placed.stage == Stage::Change {
                slow = slow.or(Some(placed));
            }
            if !placed.stage.starts_from_target()
                || placed.stage == Stage::Takeover(TakeoverMode::Jump)
            {
                continue;
            }
            if let Some(other) = first {
                let other = other.stage.spec().name;
                let message = format!("`{other}` and `{name}` cannot be in one mapping");
                let hint = Some(format!("both start from the target's value; remove `{name}`"));
                self.error("stage-order", placed.range.clone(), message, "not here", hint);
            }
            first = first.or(Some(placed));
            let behind = stages[index + 1..].iter().find(|next| !shape::has_inverse(&next.stage));
            if let Some(behind) = behind {
                let other = behind.stage.spec().name;
                let message =
                    format!("`{name}` cannot read the target's value back through `{other}`");
                let hint = Some(format!("put `{other}` before `{name}`, or remove it"));
                let range = behind.range.clone();
                self.error("no-inverse", range, message, instead(&behind.stage), hint);
            }
        }
        self.parsed.stages = stages;
    }
}

/// What to write instead of a stage without an inverse.
fn instead(stage: &Stage) -> String {
    match (stage, stage.spec().inverse) {
        (Stage::Range { .. }, _) => "both ends are the same value".into(),
        (Stage::Points(_), _) => "two inputs give the same value here".into(),
        (Stage::Scale { .. }, _) => "every input gives 0".into(),
        (_, Inverse::None(_)) => "several inputs give the same value".into(),
        _ => String::new(),
    }
}

/// A number with its unit, in the argument's own unit, if it is within the range.
fn measure(kind: ArgumentKind, text: &str) -> Option<f64> {
    match kind {
        ArgumentKind::Number { low, high } => {
            number(text).filter(|value| (low..=high).contains(value))
        }
        ArgumentKind::Whole { low, high } => number(text).filter(|value| {
            value.fract() == 0.0 && (f64::from(low)..=f64::from(high)).contains(value)
        }),
        ArgumentKind::Time => {
            let value = match text.strip_suffix("ms") {
                Some(text) => number(text)?,
                None => match text.strip_suffix('s') {
                    Some(text) => number(text)? * 1_000.0,
                    None => number(text)?,
                },
            };
            Some(value).filter(|value| (1.0..=TIME_LIMIT).contains(value))
        }
        ArgumentKind::Frequency { low, high } => {
            let text = text.strip_suffix("Hz").or(text.strip_suffix("hz")).unwrap_or(text);
            number(text).filter(|value| (low..=high).contains(value))
        }
        _ => None,
    }
}
