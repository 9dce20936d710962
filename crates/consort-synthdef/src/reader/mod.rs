//! Reading `SCgf` files, versions 1 and 2.

mod cursor;

use std::collections::HashMap;

use self::cursor::Cursor;
use crate::builtin::is_control;
use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::model::{CompiledInput, CompiledUGen, Control, SynthDef};
use crate::rate::{ControlRate, Rate};

impl SynthDef {
    /// Reads the SynthDefs of a file, version 1 or 2.
    ///
    /// # Errors
    /// If the bytes are not a valid SynthDef file; the error has an
    /// [`offset`](SynthDefError::offset).
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, SynthDefError> {
        read(bytes)
    }

    /// The UGens in the order in which the server runs them.
    ///
    /// Every call decodes the compiled graph again.
    pub fn ugens(&self) -> Vec<CompiledUGen> {
        parse(&mut Cursor::new(self.body())).map(|parsed| parsed.ugens).unwrap_or_default()
    }

    /// Number of values that all controls have together, named or not.
    pub fn control_value_count(&self) -> u32 {
        let word = |offset: usize| {
            let bytes = self.body().get(offset..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        word(0).and_then(|constants| word(4 + 4 * constants as usize)).unwrap_or(0)
    }

    /// Whether the compiled graph can be decoded, which `ugens` relies on.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn has_readable_body(&self) -> bool {
        parse(&mut Cursor::new(self.body())).is_ok()
    }
}

/// Reads a whole file.
fn read(bytes: &[u8]) -> Result<Vec<SynthDef>, SynthDefError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.take(4, "the signature SCgf")? != b"SCgf" {
        return Err(SynthDefError::at(Kind::Malformed, 0, "the file does not begin with SCgf"));
    }
    let version = u32::from_be_bytes(cursor.array("the version")?);
    cursor.narrow = match version {
        1 => true,
        2 => false,
        _ => {
            return Err(SynthDefError::at(
                Kind::UnknownVersion,
                4,
                format!("unknown version {version}: expected 1 or 2"),
            ));
        }
    };
    let start = cursor.offset;
    let count = cursor.short("the number of SynthDefs")?;
    if count < 0 {
        return Err(SynthDefError::at(
            Kind::Malformed,
            start,
            format!("the number of SynthDefs is {count}"),
        ));
    }
    let mut synthdefs = Vec::new();
    for _ in 0..count {
        let start = cursor.offset;
        let name = cursor.string("the name of a SynthDef")?;
        if name.is_empty() {
            return Err(SynthDefError::at(Kind::InvalidName, start, "a SynthDef has no name"));
        }
        let body_start = cursor.offset;
        let parsed = parse(&mut cursor)?;
        let body =
            if cursor.narrow { parsed.encode() } else { bytes[body_start..cursor.offset].to_vec() };
        let synthdef = SynthDef::from_parts(None, body, parsed.controls);
        let anonymous = synthdef.anonymous_name() == name;
        synthdefs.push(if anonymous { synthdef } else { synthdef.renamed(name)? });
    }
    if cursor.offset != bytes.len() {
        return Err(SynthDefError::at(
            Kind::Malformed,
            cursor.offset,
            format!("{} unexpected bytes after the last SynthDef", bytes.len() - cursor.offset),
        ));
    }
    Ok(synthdefs)
}

/// The content of one SynthDef after its name.
struct Parsed {
    constants: Vec<f32>,
    values: Vec<f32>,
    controls: Vec<Control>,
    /// Names and indices of controls in the order of the file.
    names: Vec<(String, u32)>,
    ugens: Vec<CompiledUGen>,
    variants: Vec<(String, Vec<f32>)>,
}

fn parse(cursor: &mut Cursor<'_>) -> Result<Parsed, SynthDefError> {
    let count = cursor.count("the number of constants", 4)?;
    let constants =
        (0..count).map(|_| cursor.float("a constant")).collect::<Result<Vec<_>, _>>()?;
    let count = cursor.count("the number of control values", 4)?;
    let values =
        (0..count).map(|_| cursor.float("a control value")).collect::<Result<Vec<_>, _>>()?;
    let width = if cursor.narrow { 2 } else { 4 };
    let count = cursor.count("the number of control names", 1 + width)?;
    let mut names = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let name = cursor.string("the name of a control")?.to_owned();
        let start = cursor.offset;
        let index = cursor.word("the index of a control")?;
        if index as usize >= values.len() {
            return Err(SynthDefError::at(
                Kind::Malformed,
                start,
                format!(
                    "the control `{}` has index {index} of {} values",
                    name.escape_debug(),
                    values.len()
                ),
            ));
        }
        names.push((name, index));
    }
    let count = cursor.count("the number of UGens", 4 + 2 * width)?;
    let mut ugens: Vec<CompiledUGen> = Vec::with_capacity(count as usize);
    for index in 0..count {
        let ugen = parse_ugen(cursor, &constants, &ugens, index)?;
        ugens.push(ugen);
    }
    let start = cursor.offset;
    let count = cursor.short("the number of variants")?;
    if count < 0 {
        return Err(SynthDefError::at(
            Kind::Malformed,
            start,
            format!("the number of variants is {count}"),
        ));
    }
    let mut variants = Vec::new();
    for _ in 0..count {
        let name = cursor.string("the name of a variant")?.to_owned();
        let values = (0..values.len())
            .map(|_| cursor.float("a value of a variant"))
            .collect::<Result<Vec<_>, _>>()?;
        variants.push((name, values));
    }
    let controls = controls(&names, &values, &ugens);
    Ok(Parsed { constants, values, controls, names, ugens, variants })
}

fn parse_ugen(
    cursor: &mut Cursor<'_>,
    constants: &[f32],
    earlier: &[CompiledUGen],
    index: u32,
) -> Result<CompiledUGen, SynthDefError> {
    let width = if cursor.narrow { 2 } else { 4 };
    let start = cursor.offset;
    let name = cursor.string("the name of a UGen")?.to_owned();
    if name.is_empty() {
        return Err(SynthDefError::at(Kind::InvalidName, start, "a UGen has no name"));
    }
    let rate = cursor.rate("the rate of a UGen")?;
    let input_count = cursor.count("the number of inputs", 2 * width)?;
    let output_count = cursor.count("the number of outputs", 1)?;
    let special_index = cursor.short("the special index")?;
    let mut inputs = Vec::with_capacity(input_count as usize);
    for _ in 0..input_count {
        let start = cursor.offset;
        let ugen = cursor.word("the UGen of an input")?;
        let output = cursor.word("the output of an input")?;
        if ugen == u32::MAX {
            let Some(constant) = constants.get(output as usize) else {
                return Err(SynthDefError::at(
                    Kind::Malformed,
                    start,
                    format!("UGen {index} ({name}) reads constant {output} of {}", constants.len()),
                ));
            };
            inputs.push(CompiledInput::Constant(*constant));
            continue;
        }
        // A UGen that reads itself or a later UGen would form a cycle.
        let Some(source) = earlier.get(ugen as usize) else {
            return Err(SynthDefError::at(
                Kind::Malformed,
                start,
                format!("UGen {index} ({name}) reads UGen {ugen}, which does not precede it"),
            ));
        };
        if output as usize >= source.outputs.len() {
            return Err(SynthDefError::at(
                Kind::Malformed,
                start,
                format!(
                    "UGen {index} ({name}) reads output {output} of {}, which has {}",
                    source.name,
                    source.outputs.len()
                ),
            ));
        }
        inputs.push(CompiledInput::Output { ugen, output });
    }
    let outputs = (0..output_count)
        .map(|_| cursor.rate("the rate of an output"))
        .collect::<Result<_, _>>()?;
    Ok(CompiledUGen { name, rate, special_index, inputs, outputs })
}

/// Controls from names, values and the UGens that hold them. An array extends to the next name; a
/// control has the rate and lag of the control UGen that holds its first value.
///
/// Of several names with the same index, all but the last have one value, so that a small file
/// cannot make the reader allocate much memory.
fn controls(names: &[(String, u32)], values: &[f32], ugens: &[CompiledUGen]) -> Vec<Control> {
    let mut sorted: Vec<&(String, u32)> = names.iter().collect();
    sorted.sort_by_key(|(_, index)| *index);
    let mut holders: Vec<(u32, &CompiledUGen)> = ugens
        .iter()
        .filter(|ugen| is_control(&ugen.name))
        .map(|ugen| (u32::from(ugen.special_index as u16), ugen))
        .collect();
    holders.sort_by_key(|(first, _)| *first);
    let mut controls = Vec::with_capacity(sorted.len());
    for (position, (name, index)) in sorted.iter().enumerate() {
        let mut end = match sorted.get(position + 1) {
            Some((_, next)) => (*next).max(index + 1) as usize,
            None => values.len(),
        };
        let mut rate = ControlRate::Control;
        let mut lag = 0.0;
        let before = holders.partition_point(|(first, _)| first <= index);
        let holder = before.checked_sub(1).map(|last| holders[last]);
        if let Some((first, ugen)) = holder
            && ((index - first) as usize) < ugen.outputs.len()
        {
            // An array does not extend beyond the UGen that holds it.
            end = end.min(first as usize + ugen.outputs.len());
            rate = match (ugen.name.as_str(), ugen.rate) {
                ("TrigControl", _) => ControlRate::Trigger,
                (_, Rate::Scalar) => ControlRate::Scalar,
                (_, Rate::Audio) => ControlRate::Audio,
                _ => ControlRate::Control,
            };
            if let Some(CompiledInput::Constant(value)) = ugen.inputs.get((index - first) as usize)
            {
                lag = *value;
            }
        }
        let values = values[*index as usize..end.min(values.len())].to_vec();
        controls.push(Control::new(name.clone(), *index, values, rate, lag));
    }
    controls
}

impl Parsed {
    /// The same content in the form of version 2.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let word = |body: &mut Vec<u8>, value: usize| {
            body.extend_from_slice(&(value as u32).to_be_bytes());
        };
        let text = |body: &mut Vec<u8>, text: &str| {
            body.push(text.len() as u8);
            body.extend_from_slice(text.as_bytes());
        };
        let floats = |body: &mut Vec<u8>, floats: &[f32]| {
            floats.iter().for_each(|value| body.extend_from_slice(&value.to_be_bytes()));
        };
        let mut positions = HashMap::with_capacity(self.constants.len());
        for (position, constant) in self.constants.iter().enumerate() {
            positions.entry(constant.to_bits()).or_insert(position);
        }
        word(&mut body, self.constants.len());
        floats(&mut body, &self.constants);
        word(&mut body, self.values.len());
        floats(&mut body, &self.values);
        word(&mut body, self.names.len());
        for (name, index) in &self.names {
            text(&mut body, name);
            word(&mut body, *index as usize);
        }
        word(&mut body, self.ugens.len());
        for ugen in &self.ugens {
            text(&mut body, &ugen.name);
            body.push(ugen.rate as u8);
            word(&mut body, ugen.inputs.len());
            word(&mut body, ugen.outputs.len());
            body.extend_from_slice(&ugen.special_index.to_be_bytes());
            for input in &ugen.inputs {
                match *input {
                    CompiledInput::Constant(value) => {
                        body.extend_from_slice(&u32::MAX.to_be_bytes());
                        word(&mut body, positions.get(&value.to_bits()).copied().unwrap_or(0));
                    }
                    CompiledInput::Output { ugen, output } => {
                        word(&mut body, ugen as usize);
                        word(&mut body, output as usize);
                    }
                }
            }
            ugen.outputs.iter().for_each(|rate| body.push(*rate as u8));
        }
        body.extend_from_slice(&(self.variants.len() as u16).to_be_bytes());
        for (name, values) in &self.variants {
            text(&mut body, name);
            floats(&mut body, values);
        }
        body
    }
}
