//! UGens whose inputs are changed before they are stored.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::classes::ClassSpec;
use crate::construct;
use crate::handles;
use crate::value::Value;

/// How the inputs of a UGen are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Not at all.
    None,
    /// A parameter that is not given has the value of the one before it.
    CopyPrevious,
    /// One output for each source.
    OutputForEachSource,
    /// The done action is checked.
    DoneAction,
    /// The post mode is checked.
    PostMode,
    /// The coefficient depends on the rate.
    Coefficient,
    /// Minimum and maximum are put in order.
    SortRange,
    /// Minimum and maximum become integers.
    IntegerRange,
    /// A local buffer is created if none is given.
    LocalBuffer,
    /// One output for each coefficient.
    OutputForEachCoefficient,
    /// The defaults are repeated for each output.
    RepeatDefaults,
    /// Sums and products that need fewer UGens.
    MultiplyAdd,
    Sum,
}

impl Hook {
    /// The hook of a class of the table.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "Gendy1" | "Gendy2" | "Gendy3" | "ScopeOut2" | "Stepper" => Self::CopyPrevious,
            "Demand" => Self::OutputForEachSource,
            "Line" | "LFGauss" => Self::DoneAction,
            "CheckBadValues" => Self::PostMode,
            "LeakDC" => Self::Coefficient,
            "ExpRand" => Self::SortRange,
            "TIRand" => Self::IntegerRange,
            "FFT" => Self::LocalBuffer,
            "MFCC" => Self::OutputForEachCoefficient,
            "LocalIn" => Self::RepeatDefaults,
            "MulAdd" => Self::MultiplyAdd,
            "Sum3" | "Sum4" => Self::Sum,
            _ => Self::None,
        }
    }

    /// Changes the values; `outputs` is the number of outputs.
    pub(crate) fn prepare(
        self,
        py: Python<'_>,
        spec: &ClassSpec,
        rate: u8,
        values: &mut [Value],
        outputs: &mut u16,
    ) -> PyResult<()> {
        match self {
            Self::None | Self::MultiplyAdd => {}
            Self::CopyPrevious => {
                for index in 1..values.len() {
                    if matches!(values[index], Value::Missing) {
                        values[index] = values[index - 1].clone_ref(py);
                    }
                }
            }
            Self::OutputForEachSource => {
                *outputs = match &values[2] {
                    Value::List(items) => channel_count(items.len() as f64)?,
                    _ => 1,
                };
            }
            Self::DoneAction => {
                let position = values.len() - 1;
                let number = number(&values[position], "done_action")?;
                values[position] = Value::Number(handles::done_action(py, number)?);
            }
            Self::PostMode => {
                if let Value::Number(mode) = values[2]
                    && ![0.0, 1.0, 2.0].contains(&mode)
                {
                    return Err(PyValueError::new_err(format!(
                        "Invalid post mode: {mode}; expected 0, 1 or 2"
                    )));
                }
            }
            Self::Coefficient => {
                if matches!(values[1], Value::Missing) {
                    values[1] = Value::Number(if rate == 2 { 0.995 } else { 0.9 });
                }
            }
            Self::SortRange => {
                if let (Value::Number(low), Value::Number(high)) = (&values[0], &values[1])
                    && low > high
                {
                    values.swap(0, 1);
                }
            }
            Self::IntegerRange => {
                for (position, name) in ["minimum", "maximum"].into_iter().enumerate() {
                    values[position] = Value::Number(number(&values[position], name)?.trunc());
                }
            }
            Self::LocalBuffer => {
                if matches!(values[0], Value::Missing) {
                    values[0] = local_buffer(py, &values[5])?;
                }
            }
            Self::OutputForEachCoefficient => {
                *outputs = channel_count(number(&values[1], "coeff_count")?)?;
            }
            Self::RepeatDefaults => {
                let defaults = match &values[0] {
                    Value::List(items) if items.is_empty() => {
                        return Err(PyValueError::new_err(
                            "`default`: expected at least one number, found an empty sequence",
                        ));
                    }
                    Value::List(items) => items,
                    value => std::slice::from_ref(value),
                };
                let repeated = defaults.iter().cycle().take(usize::from(*outputs));
                let repeated = repeated.map(|value| value.clone_ref(py)).collect();
                values[0] = Value::List(repeated);
            }
            Self::Sum => {
                let mut rates = Vec::with_capacity(values.len());
                for value in values.iter() {
                    rates.push(value.rate()?);
                }
                // The server requires the input of the highest rate to come first.
                let mut order: Vec<usize> = (0..values.len()).collect();
                order.sort_by_key(|index| std::cmp::Reverse(rates[*index]));
                let sorted: Vec<Value> =
                    order.iter().map(|index| values[*index].clone_ref(py)).collect();
                for (value, sorted) in values.iter_mut().zip(sorted) {
                    *value = sorted;
                }
            }
        }
        debug_assert_eq!(values.len(), spec.keys.len());
        Ok(())
    }
}

/// The number of an input that has to be one.
fn number(value: &Value, name: &str) -> PyResult<f64> {
    match value {
        Value::Number(number) => Ok(*number),
        _ => Err(PyTypeError::new_err(format!("`{name}`: expected a number, found a UGen"))),
    }
}

/// A number of outputs.
pub(crate) fn channel_count(count: f64) -> PyResult<u16> {
    if (0.0..=65_535.0).contains(&count) {
        return Ok(count as u16);
    }
    Err(PyValueError::new_err(format!(
        "invalid channel count {count}: expected a whole number from 0 to 65535"
    )))
}

/// The buffer of an `FFT`: of the window's size if that is known.
fn local_buffer(py: Python<'_>, window_size: &Value) -> PyResult<Value> {
    let frames = match window_size {
        Value::Missing => Value::Number(2048.0),
        size if size.is_number(0.0) => Value::Number(2048.0),
        size => size.clone_ref(py),
    };
    let class = handles::known_class(py, "LocalBuf")?;
    let spec = crate::ugen::spec_of(&class)?;
    let draft = construct::Draft { values: vec![Value::Number(1.0), frames], channel_count: None };
    Value::from_python(&construct::instance(&class, &spec, 0, 0, draft)?, None)
}
