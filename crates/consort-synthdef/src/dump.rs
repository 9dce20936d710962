//! A SynthDef as text.

use std::fmt;

use crate::builtin::is_control;
use crate::model::{CompiledInput, CompiledUGen, Control, SynthDef};
use crate::operators::{BinaryOperator, UnaryOperator};
use crate::ugens;

/// One line for the name, each control and each UGen:
///
/// ```text
/// SynthDef "bell"
///   controls
///     0 out ir = 0
///   ugens
///     0 Control.ir -> out
///     1 SinOsc.ar frequency: 440, phase: 0
/// ```
impl fmt::Display for SynthDef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ugens = self.ugens();
        writeln!(formatter, "SynthDef {:?}", self.name())?;
        if !self.controls().is_empty() {
            writeln!(formatter, "  controls")?;
        }
        for control in self.controls() {
            write!(
                formatter,
                "    {} {} {} = ",
                control.index,
                control.name,
                control.rate.token()
            )?;
            match &control.values[..] {
                [value] => write!(formatter, "{value}")?,
                values => write!(formatter, "{values:?}")?,
            }
            if control.lag != 0.0 {
                write!(formatter, ", lag {} s", control.lag)?;
            }
            writeln!(formatter)?;
        }
        writeln!(formatter, "  ugens")?;
        for (index, ugen) in ugens.iter().enumerate() {
            write!(formatter, "    {index} {}", label(ugen))?;
            for (position, input) in ugen.inputs.iter().enumerate() {
                let separator = if position == 0 { " " } else { ", " };
                write!(formatter, "{separator}{}: ", input_name(ugen, position))?;
                match *input {
                    CompiledInput::Constant(value) => write!(formatter, "{value}")?,
                    CompiledInput::Output { ugen, output } => {
                        let source = &ugens[ugen as usize];
                        match control_of(self.controls(), source, output) {
                            Some(name) => write!(formatter, "{name}")?,
                            None if source.outputs.len() == 1 => {
                                write!(formatter, "{ugen} {}", label(source))?;
                            }
                            None => write!(formatter, "{ugen} {}[{output}]", label(source))?,
                        }
                    }
                }
            }
            if ugen.outputs.len() > 1 && !is_control(&ugen.name) {
                write!(formatter, " ({} outputs)", ugen.outputs.len())?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

/// Name and rate of a UGen; for operators, the name of the operator.
pub(crate) fn label(ugen: &CompiledUGen) -> String {
    let rate = ugen.rate.token();
    let number = ugen.special_index as u16;
    match ugen.name.as_str() {
        "UnaryOpUGen" => match UnaryOperator::from_number(number) {
            Some(operator) => format!("{operator:?}.{rate}"),
            None => format!("UnaryOpUGen({number}).{rate}"),
        },
        "BinaryOpUGen" => match BinaryOperator::from_number(number) {
            Some(operator) => format!("{operator:?}.{rate}"),
            None => format!("BinaryOpUGen({number}).{rate}"),
        },
        name => format!("{name}.{rate}"),
    }
}

/// The name of an input by its position. The first list and all inputs after it are items of one
/// list.
pub(crate) fn input_name(ugen: &CompiledUGen, position: usize) -> String {
    let Some(spec) = ugens::find(&ugen.name) else {
        return position.to_string();
    };
    let list = spec.parameters.iter().position(|parameter| parameter.list);
    match list {
        Some(list) if position >= list => {
            format!("{}[{}]", spec.parameters[list].name, position - list)
        }
        _ => match spec.parameters.get(position) {
            Some(parameter) => parameter.name.to_owned(),
            None => position.to_string(),
        },
    }
}

/// The name of the control that an output belongs to, if it belongs to one.
pub(crate) fn control_of(
    controls: &[Control],
    source: &CompiledUGen,
    output: u32,
) -> Option<String> {
    if !is_control(&source.name) {
        return None;
    }
    let index = u32::from(source.special_index as u16) + output;
    let before = controls.partition_point(|control| control.index <= index);
    let control = &controls[before.checked_sub(1)?];
    if index - control.index >= control.values.len() as u32 {
        return None;
    }
    Some(match control.values.len() {
        1 => control.name.clone(),
        _ => format!("{}[{}]", control.name, index - control.index),
    })
}
