//! Operators on values: expansion over channels, algebraic simplification, sums.
//!
//! | expression | becomes |
//! |---|---|
//! | an operator on two numbers | its result, where it is known without the server |
//! | `a * 0` | `0` |
//! | `a * 1`, `a / 1`, `a + 0`, `a - 0` | `a` |
//! | `a * -1`, `a / -1`, `0 - a` | `-a` |
//! | `MulAdd` with a factor of 0, 1 or -1, or an addend of 0 | the operator that suffices |
//! | `MulAdd` in an order of rates that the server rejects | factors swapped, or two operators |
//! | `Sum3` and `Sum4` with a zero | a smaller sum |

use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::prelude::*;

use crate::construct::{self, Level, operator, operator_object};
use crate::handles;
use crate::operable::{ConstantProxy, OutputProxy};
use crate::rate::TOKENS;
use crate::ugen::spec_of;
use crate::value::Value;
use crate::vector::UGenVector;

/// The numbers of the operators that this file needs.
pub(crate) const NEGATIVE: i16 = 0;
pub(crate) const ADDITION: i16 = 0;
pub(crate) const SUBTRACTION: i16 = 1;
pub(crate) const MULTIPLICATION: i16 = 2;
pub(crate) const DIVISION: i16 = 4;
pub(crate) const LESS_THAN: i16 = 8;
pub(crate) const GREATER_THAN: i16 = 9;
pub(crate) const LESS_THAN_OR_EQUAL: i16 = 10;
pub(crate) const GREATER_THAN_OR_EQUAL: i16 = 11;

/// The value as an object that operators can be applied to.
pub(crate) fn operable(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Value::Number(number) => ConstantProxy::create(py, number),
        Value::Output(ugen, index) => OutputProxy::create(py, ugen, index),
        Value::List(items) => {
            let items = items.into_iter().map(|item| Ok(operable(py, item)?.unbind()));
            UGenVector::create(py, items.collect::<PyResult<_>>()?)
        }
        Value::Missing => Err(PyValueError::new_err("missing input")),
    }
}

/// The level of the outermost list.
const OUTERMOST: Level = Level { depth: 0, replaces: true };

/// The results of the channels of a list: a vector, or the only one.
fn several(
    py: Python<'_>,
    mut results: Vec<Py<PyAny>>,
    level: Level,
) -> PyResult<Bound<'_, PyAny>> {
    if level.is_replaced(results.len())
        && let Some(only) = results.pop()
    {
        return Ok(only.into_bound(py));
    }
    UGenVector::create(py, results)
}

fn empty_sequence() -> PyErr {
    PyValueError::new_err(
        "expected a number, a UGen or a sequence of these, found an empty sequence",
    )
}

/// Applies an operator to an object.
pub(crate) fn unary<'py>(
    source: &Bound<'py, PyAny>,
    special_index: i16,
) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    let value = Value::from_python(source, None)?;
    if let Value::Number(number) = value
        && let Some(result) = handles::fold_unary(py, special_index, number)?
    {
        return ConstantProxy::create(py, result);
    }
    // All channels of a list get the highest rate among them.
    let rate = value.rate()?;
    unary_below(py, value, special_index, rate, OUTERMOST)
}

fn unary_below(
    py: Python<'_>,
    value: Value,
    special_index: i16,
    rate: u8,
    level: Level,
) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Value::List(items) if items.is_empty() => Err(empty_sequence()),
        Value::List(items) => {
            let inside = level.inside(items.len())?;
            let items = items
                .into_iter()
                .map(|item| Ok(unary_below(py, item, special_index, rate, inside)?.unbind()));
            several(py, items.collect::<PyResult<_>>()?, level)
        }
        value => operator(py, "UnaryOpUGen", rate, special_index, vec![value]),
    }
}

/// Applies an operator to two objects, channel by channel.
pub(crate) fn binary<'py>(
    left: &Bound<'py, PyAny>,
    right: &Bound<'py, PyAny>,
    special_index: i16,
) -> PyResult<Bound<'py, PyAny>> {
    let py = left.py();
    let (left, right) = (Value::from_python(left, None)?, Value::from_python(right, None)?);
    binary_values(py, left, right, special_index)
}

/// As [`binary`], of values.
pub(crate) fn binary_values(
    py: Python<'_>,
    left: Value,
    right: Value,
    special_index: i16,
) -> PyResult<Bound<'_, PyAny>> {
    if let (Value::Number(left), Value::Number(right)) = (&left, &right)
        && let Some(result) = handles::fold_binary(py, special_index, *left, *right)?
    {
        return ConstantProxy::create(py, result);
    }
    binary_below(py, left, right, special_index, OUTERMOST)
}

/// The item of a channel of a value.
fn channel(py: Python<'_>, value: &Value, index: usize) -> Value {
    match value {
        Value::List(items) => items[index % items.len()].clone_ref(py),
        value => value.clone_ref(py),
    }
}

fn binary_below(
    py: Python<'_>,
    left: Value,
    right: Value,
    special_index: i16,
    level: Level,
) -> PyResult<Bound<'_, PyAny>> {
    let length = |value: &Value| match value {
        Value::List(items) => Some(items.len()),
        _ => None,
    };
    let (left_length, right_length) = (length(&left), length(&right));
    if left_length == Some(0) || right_length == Some(0) {
        return Err(empty_sequence());
    }
    let Some(width) = left_length.max(right_length) else {
        return simplified(py, left, right, special_index);
    };
    let inside = level.inside(width)?;
    let results = (0..width).map(|index| {
        let (left, right) = (channel(py, &left, index), channel(py, &right, index));
        Ok(binary_below(py, left, right, special_index, inside)?.unbind())
    });
    several(py, results.collect::<PyResult<_>>()?, level)
}

/// Applies an operator to two single channels.
fn simplified(
    py: Python<'_>,
    left: Value,
    right: Value,
    special_index: i16,
) -> PyResult<Bound<'_, PyAny>> {
    let is = |value: &Value, number| value.is_number(number);
    match special_index {
        MULTIPLICATION if is(&left, 0.0) || is(&right, 0.0) => {
            return ConstantProxy::create(py, 0.0);
        }
        MULTIPLICATION if is(&left, 1.0) => return operable(py, right),
        MULTIPLICATION if is(&left, -1.0) => return negated(py, right),
        MULTIPLICATION | DIVISION if is(&right, 1.0) => return operable(py, left),
        MULTIPLICATION | DIVISION if is(&right, -1.0) => return negated(py, left),
        ADDITION if is(&left, 0.0) => return operable(py, right),
        SUBTRACTION if is(&left, 0.0) => return negated(py, right),
        ADDITION | SUBTRACTION if is(&right, 0.0) => return operable(py, left),
        _ => {}
    }
    let rate = left.rate()?.max(right.rate()?);
    operator(py, "BinaryOpUGen", rate, special_index, vec![left, right])
}

/// A single channel with the opposite sign.
fn negated(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Value::Number(number) => ConstantProxy::create(py, -number),
        value => {
            let rate = value.rate()?;
            operator(py, "UnaryOpUGen", rate, NEGATIVE, vec![value])
        }
    }
}

/// `source * multiplier + addend` on single channels. The UGen `MulAdd` itself is returned, not its
/// output.
pub(crate) fn multiply_add(
    py: Python<'_>,
    source: Value,
    multiplier: Value,
    addend: Value,
) -> PyResult<Bound<'_, PyAny>> {
    if let (Value::Number(source), Value::Number(multiplier), Value::Number(addend)) =
        (&source, &multiplier, &addend)
    {
        return Ok((source * multiplier + addend).into_pyobject(py)?.into_any());
    }
    if multiplier.is_number(0.0) {
        return match addend {
            Value::Number(number) => Ok(number.into_pyobject(py)?.into_any()),
            addend => operable(py, addend),
        };
    }
    let (one, minus) = (multiplier.is_number(1.0), multiplier.is_number(-1.0));
    match (one, minus, addend.is_number(0.0)) {
        (true, _, true) => return operable(py, source),
        (_, true, true) => return negated(py, source),
        (_, _, true) => return binary_values(py, source, multiplier, MULTIPLICATION),
        (_, true, _) => return binary_values(py, addend, source, SUBTRACTION),
        (true, _, _) => return binary_values(py, source, addend, ADDITION),
        _ => {}
    }
    let (source_rate, factor_rate, addend_rate) =
        (source.rate()?, multiplier.rate()?, addend.rate()?);
    let rate = source_rate.max(factor_rate).max(addend_rate);
    let accepts = |first: u8, second: u8| match first {
        2 => true,
        1 => second <= 1 && addend_rate <= 1,
        _ => false,
    };
    let ugen = if accepts(source_rate, factor_rate) {
        operator_object(py, "MulAdd", rate, 0, vec![source, multiplier, addend])?
    } else if accepts(factor_rate, source_rate) {
        operator_object(py, "MulAdd", rate, 0, vec![multiplier, source, addend])?
    } else {
        let product = binary_values(py, source, multiplier, MULTIPLICATION)?;
        let product = Value::from_python(&product, None)?;
        return binary_values(py, product, addend, ADDITION);
    };
    Ok(ugen.into_any())
}

/// The sum of three single channels. The UGen `Sum3` itself is returned, not its output.
pub(crate) fn sum_3(py: Python<'_>, inputs: [Value; 3]) -> PyResult<Bound<'_, PyAny>> {
    let [first, second, third] = inputs;
    if third.is_number(0.0) {
        binary_values(py, first, second, ADDITION)
    } else if second.is_number(0.0) {
        binary_values(py, first, third, ADDITION)
    } else if first.is_number(0.0) {
        binary_values(py, second, third, ADDITION)
    } else {
        sum_ugen(py, "Sum3", vec![first, second, third])
    }
}

/// The sum of four single channels. The UGen `Sum4` itself is returned, not its output.
pub(crate) fn sum_4(py: Python<'_>, inputs: [Value; 4]) -> PyResult<Bound<'_, PyAny>> {
    let [first, second, third, fourth] = inputs;
    if first.is_number(0.0) {
        sum_3(py, [second, third, fourth])
    } else if second.is_number(0.0) {
        sum_3(py, [first, third, fourth])
    } else if third.is_number(0.0) {
        sum_3(py, [first, second, fourth])
    } else if fourth.is_number(0.0) {
        sum_3(py, [first, second, third])
    } else {
        sum_ugen(py, "Sum4", vec![first, second, third, fourth])
    }
}

fn sum_ugen<'py>(py: Python<'py>, name: &str, inputs: Vec<Value>) -> PyResult<Bound<'py, PyAny>> {
    let rate =
        inputs.iter().try_fold(0, |rate: u8, input| Ok::<_, PyErr>(rate.max(input.rate()?)))?;
    Ok(operator_object(py, name, rate, 0, inputs)?.into_any())
}

/// The single channel of a sum.
fn only_channel(result: &Bound<'_, PyAny>) -> PyResult<Value> {
    match Value::from_python(result, None)? {
        Value::List(mut items) if items.len() == 1 => Ok(items.remove(0)),
        value => Ok(value),
    }
}

/// The sum of single channels, four at a time.
pub(crate) fn mix(py: Python<'_>, mut channels: Vec<Value>) -> PyResult<Bound<'_, PyAny>> {
    if channels.is_empty() {
        return Err(empty_sequence());
    }
    while channels.len() > 1 {
        let mut sums = Vec::with_capacity(channels.len().div_ceil(4));
        let mut rest = channels.into_iter();
        loop {
            let group: Vec<Value> = rest.by_ref().take(4).collect();
            let sum = match <[Value; 4]>::try_from(group) {
                Ok(group) => sum_4(py, group)?,
                Err(group) => match <[Value; 3]>::try_from(group) {
                    Ok(group) => sum_3(py, group)?,
                    Err(group) => match <[Value; 2]>::try_from(group) {
                        Ok([left, right]) => binary_values(py, left, right, ADDITION)?,
                        Err(mut group) => match group.pop() {
                            Some(only) => operable(py, only)?,
                            None => break,
                        },
                    },
                },
            };
            sums.push(only_channel(&sum)?);
        }
        channels = sums;
    }
    operable(py, channels.remove(0))
}

/// The sums of the first channel of each group of `channel_count`, of the second, and so on. An
/// incomplete last group determines the number of sums.
pub(crate) fn mix_channels(
    py: Python<'_>,
    channels: Vec<Value>,
    channel_count: usize,
) -> PyResult<Bound<'_, PyAny>> {
    if channel_count == 0 {
        return Err(PyValueError::new_err("invalid channel count 0: expected 1 or more"));
    }
    let last = channels.len() % channel_count;
    let count = match (channels.len(), last) {
        (0, _) => 0,
        (_, 0) => channel_count,
        (_, last) => last,
    };
    let sums = (0..count).map(|first| {
        let column = channels.iter().skip(first).step_by(channel_count);
        Ok(mix(py, column.map(|value| value.clone_ref(py)).collect())?.unbind())
    });
    UGenVector::create(py, sums.collect::<PyResult<_>>()?)
}

/// Applies a UGen whose first parameter is `source` to an object. Without a rate, it runs at that of
/// the source, or the next higher at which it can run.
pub(crate) fn mapped<'py>(
    source: &Bound<'py, PyAny>,
    name: &str,
    rate: Option<u8>,
    more: impl IntoIterator<Item = Value>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    let class = handles::known_class(py, name)?;
    let spec = spec_of(&class)?;
    let source = Value::from_python(source, Some("source"))?;
    let rate = rate.map_or_else(|| source.rate(), Ok)?;
    let rates = spec.get().rates;
    let rate = match rate {
        rate if rates & 1 << rate != 0 => rate,
        0 if rates & 1 << 1 != 0 => 1,
        rate => {
            return Err(PyAttributeError::new_err(format!(
                "{name} does not run at {}",
                TOKENS[usize::from(rate)]
            )));
        }
    };
    let mut values = vec![source];
    values.extend(more);
    construct::expanded(&class, &spec, rate, 0, construct::Draft { values, channel_count: None })
}

/// The sum of all channels of nested sequences, four at a time: `Mix.new`.
#[pyfunction]
pub(crate) fn mix_all<'py>(sources: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let mut flat = Vec::new();
    flatten(Value::from_python(sources, Some("sources"))?, &mut flat);
    mix(sources.py(), flat)
}

/// The sums of the channels of groups: `Mix.multichannel`.
#[pyfunction]
pub(crate) fn mix_groups<'py>(
    sources: &Bound<'py, PyAny>,
    channel_count: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let mut flat = Vec::new();
    flatten(Value::from_python(sources, Some("sources"))?, &mut flat);
    mix_channels(sources.py(), flat, channel_count)
}

/// The single channels of nested lists, in order.
pub(crate) fn flatten(value: Value, flat: &mut Vec<Value>) {
    match value {
        Value::List(items) => items.into_iter().for_each(|item| flatten(item, flat)),
        value => flat.push(value),
    }
}
