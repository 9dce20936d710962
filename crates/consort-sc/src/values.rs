//! The values in requests: add actions, rates, controls and what they are set to.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Where a new or moved node goes, relative to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddAction {
    /// At the head of the target group, so that it runs first.
    #[default]
    ToHead,
    /// At the tail of the target group, so that it runs last.
    ToTail,
    /// Directly before the target node.
    Before,
    /// Directly after the target node.
    After,
    /// In place of the target node, which is freed.
    Replace,
}

impl AddAction {
    /// The add action's number in messages to the server.
    pub fn code(self) -> i32 {
        match self {
            AddAction::ToHead => 0,
            AddAction::ToTail => 1,
            AddAction::Before => 2,
            AddAction::After => 3,
            AddAction::Replace => 4,
        }
    }
}

/// How often a bus or a UGen computes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CalculationRate {
    /// Once per control period, a block of usually 64 frames.
    Control,
    /// Once per frame, at the sample rate.
    Audio,
}

impl fmt::Display for CalculationRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            CalculationRate::Control => "control",
            CalculationRate::Audio => "audio",
        })
    }
}

/// A control of a synth, given by its name or its index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ControlKey {
    /// The index of the control's value in the SynthDef, from 0.
    Index(u32),
    /// The control's name.
    Name(std::borrow::Cow<'static, str>),
}

impl From<&str> for ControlKey {
    fn from(name: &str) -> Self {
        ControlKey::Name(name.to_owned().into())
    }
}

impl From<String> for ControlKey {
    fn from(name: String) -> Self {
        ControlKey::Name(name.into())
    }
}

impl From<&String> for ControlKey {
    fn from(name: &String) -> Self {
        ControlKey::Name(name.clone().into())
    }
}

impl From<u32> for ControlKey {
    fn from(index: u32) -> Self {
        ControlKey::Index(index)
    }
}

impl fmt::Display for ControlKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlKey::Index(index) => write!(formatter, "{index}"),
            ControlKey::Name(name) => formatter.write_str(name),
        }
    }
}

/// A bus in the form in which messages have it in place of a value: `c0`, `a16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapSymbol {
    /// The rate of the bus.
    pub rate: CalculationRate,
    /// The index of the bus.
    pub id: u32,
}

impl fmt::Display for MapSymbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.rate {
            CalculationRate::Control => 'c',
            CalculationRate::Audio => 'a',
        };
        write!(formatter, "{letter}{}", self.id)
    }
}

impl std::str::FromStr for MapSymbol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let rate = match text.as_bytes().first()? {
                b'c' => CalculationRate::Control,
                b'a' => CalculationRate::Audio,
                _ => return None,
            };
            let digits = &text[1..];
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            Some(MapSymbol { rate, id: digits.parse().ok()? })
        };
        parse().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "expected a bus, `c` or `a` and its number as in `c0` or `a16`, not `{}`",
                    text.escape_debug()
                ),
            )
        })
    }
}

/// A value for a control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlValue {
    /// A number.
    Float(f32),
    /// A bus that the control follows.
    Map(MapSymbol),
    /// Values for an array control, from its first element on.
    Array(Vec<ControlValue>),
}

impl From<f32> for ControlValue {
    fn from(value: f32) -> Self {
        ControlValue::Float(value)
    }
}

impl From<f64> for ControlValue {
    fn from(value: f64) -> Self {
        ControlValue::Float(value as f32)
    }
}

impl From<i32> for ControlValue {
    fn from(value: i32) -> Self {
        ControlValue::Float(value as f32)
    }
}

impl From<u32> for ControlValue {
    fn from(value: u32) -> Self {
        ControlValue::Float(value as f32)
    }
}

impl From<MapSymbol> for ControlValue {
    fn from(symbol: MapSymbol) -> Self {
        ControlValue::Map(symbol)
    }
}

impl From<Vec<f32>> for ControlValue {
    fn from(values: Vec<f32>) -> Self {
        ControlValue::Array(values.into_iter().map(ControlValue::Float).collect())
    }
}

impl From<&[f32]> for ControlValue {
    fn from(values: &[f32]) -> Self {
        ControlValue::Array(values.iter().copied().map(ControlValue::Float).collect())
    }
}

impl From<Vec<ControlValue>> for ControlValue {
    fn from(values: Vec<ControlValue>) -> Self {
        ControlValue::Array(values)
    }
}

impl fmt::Display for ControlValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlValue::Float(value) => write!(formatter, "{value:?}"),
            ControlValue::Map(symbol) => write!(formatter, "{symbol}"),
            ControlValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        formatter.write_str(" ")?;
                    }
                    write!(formatter, "{value}")?;
                }
                Ok(())
            }
        }
    }
}

/// Controls, each with its value.
pub type Settings = Vec<(ControlKey, ControlValue)>;

/// Empty settings of a concrete type, because the compiler cannot infer the type of `[]`.
pub const NO_SETTINGS: [(&str, f32); 0] = [];

/// Converts a caller's pairs into settings.
pub(crate) fn collect_settings<K: Into<ControlKey>, V: Into<ControlValue>>(
    settings: impl IntoIterator<Item = (K, V)>,
) -> Settings {
    settings.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
