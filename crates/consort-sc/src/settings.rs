//! Settings of controls whose values have several types.

use consort_synthdef::DoneAction;

use crate::context::{Buffer, Bus};
use crate::values::ControlValue;

/// Controls with their values: numbers, lists, buses to follow and buffers, in any combination.
///
/// A control is given by its name, or by a text or an index in parentheses. A value is everything that
/// converts into a [`ControlValue`](crate::ControlValue): `&bus` makes the control follow the bus, and
/// `bus.id()` sets it to the number of the bus.
///
/// ```
/// use consort_sc::score::Nonrealtime;
/// use consort_sc::{CalculationRate, ControlValue, Options, Placement, settings};
///
/// let score = Nonrealtime::new(Options::default())?;
/// let wobble = score.add_bus(CalculationRate::Control)?;
/// let room = score.add_bus(CalculationRate::Audio)?;
/// let settings = settings! {
///     frequency: 440,
///     amplitude: &wobble,
///     out: room.id(),
///     partials: [1.0, 0.5, 0.25],
///     ("filter.cutoff"): 800.0,
///     (7): true,
/// };
/// assert_eq!(settings[0], ("frequency".into(), ControlValue::Float(440.0)));
/// score.at_time(0.0, |moment| moment.add_synth("organ", Placement::default(), settings))?;
/// # Ok::<(), consort_sc::Error>(())
/// ```
#[macro_export]
macro_rules! settings {
    (@key $name:ident) => { stringify!($name) };
    (@key ($key:expr)) => { $key };
    ($($key:tt: $value:expr),* $(,)?) => {{
        let settings: $crate::Settings = ::std::vec![$((
            $crate::ControlKey::from($crate::settings!(@key $key)),
            $crate::ControlValue::from($value),
        )),*];
        settings
    }};
}

/// Integers that are exact in 32 bits of floating point up to 2^24.
macro_rules! integers {
    ($($number:ty),*) => {$(
        impl From<$number> for ControlValue {
            fn from(value: $number) -> Self {
                ControlValue::Float(value as f32)
            }
        }
    )*};
}

integers!(i8, u8, i16, u16, i64, u64, isize, usize);

impl From<bool> for ControlValue {
    /// 1 or 0.
    fn from(value: bool) -> Self {
        ControlValue::Float(f32::from(u8::from(value)))
    }
}

impl From<DoneAction> for ControlValue {
    fn from(action: DoneAction) -> Self {
        ControlValue::Float(f32::from(action as u8))
    }
}

impl<T: Into<ControlValue>, const N: usize> From<[T; N]> for ControlValue {
    fn from(values: [T; N]) -> Self {
        ControlValue::Array(values.into_iter().map(Into::into).collect())
    }
}

impl From<Bus> for ControlValue {
    fn from(bus: Bus) -> Self {
        (&bus).into()
    }
}

impl From<Buffer> for ControlValue {
    fn from(buffer: Buffer) -> Self {
        (&buffer).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Nonrealtime;
    use crate::values::{CalculationRate, ControlKey};
    use crate::{Options, Settings};

    #[test]
    fn settings_mix_types() {
        let score = Nonrealtime::new(Options::default()).expect("valid options");
        let bus = score.add_bus(CalculationRate::Control).expect("a bus");
        let settings: Settings = crate::settings! {
            frequency: 440.0,
            index: 3_usize,
            cutoff: &bus,
            out: bus.id(),
            levels: [0.5, 0.25],
            (2): false,
            ("odd name"): DoneAction::FreeSynth,
        };
        let expected: Settings = vec![
            ("frequency".into(), ControlValue::Float(440.0)),
            ("index".into(), ControlValue::Float(3.0)),
            ("cutoff".into(), ControlValue::Map(bus.map_symbol())),
            ("out".into(), ControlValue::Float(bus.id() as f32)),
            ("levels".into(), ControlValue::Array(vec![0.5.into(), 0.25.into()])),
            (ControlKey::Index(2), ControlValue::Float(0.0)),
            ("odd name".into(), ControlValue::Float(2.0)),
        ];
        assert_eq!(settings, expected);
        assert_eq!(crate::settings! {}, Settings::new());
    }
}
