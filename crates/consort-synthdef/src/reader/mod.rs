//! Reading `SCgf` files, versions 1 and 2.

use std::collections::HashMap;

use super::error::{SynthDefError, SynthDefErrorKind as Kind};
use super::model::{CompiledInput, CompiledUGen, Control, SynthDef};
use super::rate::{ControlRate, Rate};

/// Most of anything in one SynthDef; counts above it are refused before memory is reserved.
const LIMIT: u32 = 65_535;

struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Whether counts and indices have 16 bits instead of 32.
    narrow: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], SynthDefError> {
        let rest = self.bytes.len() - self.offset;
        if count > rest {
            return Err(SynthDefError::at(
                Kind::Truncated,
                self.offset,
                format!("the file ends where {what} should stand ({count} bytes, {rest} are left)"),
            ));
        }
        let slice = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], SynthDefError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn byte(&mut self, what: &str) -> Result<u8, SynthDefError> {
        Ok(self.array::<1>(what)?[0])
    }

    fn short(&mut self, what: &str) -> Result<i16, SynthDefError> {
        Ok(i16::from_be_bytes(self.array(what)?))
    }

    /// A count or an index; -1 of either width is `u32::MAX`.
    fn word(&mut self, what: &str) -> Result<u32, SynthDefError> {
        if self.narrow {
            return Ok(match self.short(what)? {
                -1 => u32::MAX,
                value => u32::from(value as u16),
            });
        }
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &str, size_each: usize) -> Result<u32, SynthDefError> {
        let start = self.offset;
        let count = self.word(what)?;
        let rest = self.bytes.len() - self.offset;
        if count > LIMIT {
            return Err(SynthDefError::at(
                Kind::TooMany,
                start,
                format!("{what} is {count}; at most {LIMIT} are possible"),
            ));
        }
        if count as usize * size_each > rest {
            return Err(SynthDefError::at(
                Kind::Truncated,
                start,
                format!("{what} is {count}, but only {rest} bytes follow"),
            ));
        }
        Ok(count)
    }

    fn float(&mut self, what: &str) -> Result<f32, SynthDefError> {
        Ok(f32::from_be_bytes(self.array(what)?))
    }

    fn string(&mut self, what: &str) -> Result<&'a str, SynthDefError> {
        let start = self.offset;
        let length = self.byte(what)?;
        let bytes = self.take(usize::from(length), what)?;
        std::str::from_utf8(bytes).map_err(|_| {
            SynthDefError::at(Kind::Malformed, start, format!("{what} is no UTF-8 text"))
        })
    }

    fn rate(&mut self, what: &str) -> Result<Rate, SynthDefError> {
        let start = self.offset;
        let byte = self.byte(what)?;
        Rate::from_byte(byte).ok_or_else(|| {
            SynthDefError::at(Kind::Malformed, start, format!("{what} is {byte}, not 0 to 3"))
        })
    }
}

/// Reads a whole file.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<SynthDef>, SynthDefError> {
    let mut cursor = Cursor { bytes, offset: 0, narrow: false };
    if cursor.take(4, "the mark SCgf")? != b"SCgf" {
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
                format!("the version is {version}; 1 and 2 are known"),
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
            format!("{} bytes follow the last SynthDef", bytes.len() - cursor.offset),
        ));
    }
    Ok(synthdefs)
}

/// The UGens of a body that was compiled here or has been read before.
pub(crate) fn ugens(body: &[u8]) -> Vec<CompiledUGen> {
    let mut cursor = Cursor { bytes: body, offset: 0, narrow: false };
    parse(&mut cursor).map(|parsed| parsed.ugens).unwrap_or_default()
}

/// How many control values such a body has.
pub(crate) fn control_value_count(body: &[u8]) -> u32 {
    let word = |at: usize| {
        let bytes = body.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    };
    word(0).and_then(|constants| word(4 + 4 * constants as usize)).unwrap_or(0)
}

struct Parsed {
    constants: Vec<f32>,
    values: Vec<f32>,
    controls: Vec<Control>,
    /// Names and indices as they stand in the file.
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
                format!("the control {name:?} has index {index} of {} values", values.len()),
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
        // A UGen that reads itself or a later one would make a cycle.
        let Some(source) = earlier.get(ugen as usize) else {
            return Err(SynthDefError::at(
                Kind::Malformed,
                start,
                format!("UGen {index} ({name}) reads UGen {ugen}, which does not stand before it"),
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

/// Controls from names, values and the UGens that read them. An array goes on to the next name; a
/// name's rate and lag are those of the control UGen that holds its first value.
///
/// Of several names with the same index, all but the last have one value: so that a small file
/// cannot ask for large memory.
fn controls(names: &[(String, u32)], values: &[f32], ugens: &[CompiledUGen]) -> Vec<Control> {
    let mut sorted: Vec<&(String, u32)> = names.iter().collect();
    sorted.sort_by_key(|(_, index)| *index);
    let mut holders: Vec<(u32, &CompiledUGen)> = ugens
        .iter()
        .filter(|ugen| {
            ["Control", "TrigControl", "AudioControl", "LagControl"].contains(&ugen.name.as_str())
        })
        .map(|ugen| (u32::from(ugen.special_index as u16), ugen))
        .collect();
    holders.sort_by_key(|(first, _)| *first);
    let mut controls = Vec::with_capacity(sorted.len());
    for (place, (name, index)) in sorted.iter().enumerate() {
        let mut end = match sorted.get(place + 1) {
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
            // An array ends at the latest with the UGen that holds it.
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
        controls.push(Control { name: name.clone(), index: *index, values, rate, lag });
    }
    controls
}

impl Parsed {
    /// The body in version 2.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let long = |body: &mut Vec<u8>, value: usize| {
            body.extend_from_slice(&(value as u32).to_be_bytes());
        };
        let text = |body: &mut Vec<u8>, text: &str| {
            body.push(text.len() as u8);
            body.extend_from_slice(text.as_bytes());
        };
        let floats = |body: &mut Vec<u8>, floats: &[f32]| {
            floats.iter().for_each(|value| body.extend_from_slice(&value.to_be_bytes()));
        };
        let mut places = HashMap::with_capacity(self.constants.len());
        for (place, constant) in self.constants.iter().enumerate() {
            places.entry(constant.to_bits()).or_insert(place);
        }
        long(&mut body, self.constants.len());
        floats(&mut body, &self.constants);
        long(&mut body, self.values.len());
        floats(&mut body, &self.values);
        long(&mut body, self.names.len());
        for (name, index) in &self.names {
            text(&mut body, name);
            long(&mut body, *index as usize);
        }
        long(&mut body, self.ugens.len());
        for ugen in &self.ugens {
            text(&mut body, &ugen.name);
            body.push(ugen.rate as u8);
            long(&mut body, ugen.inputs.len());
            long(&mut body, ugen.outputs.len());
            body.extend_from_slice(&ugen.special_index.to_be_bytes());
            for input in &ugen.inputs {
                match *input {
                    CompiledInput::Constant(value) => {
                        body.extend_from_slice(&u32::MAX.to_be_bytes());
                        long(&mut body, places.get(&value.to_bits()).copied().unwrap_or(0));
                    }
                    CompiledInput::Output { ugen, output } => {
                        long(&mut body, ugen as usize);
                        long(&mut body, output as usize);
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

/// Reads arbitrary bytes as a SynthDef file; what could be read has to survive being written and
/// read again, and has to be printable.
#[doc(hidden)]
pub fn fuzz_scsyndef(bytes: &[u8]) {
    let Ok(synthdefs) = SynthDef::read_all(bytes) else {
        return;
    };
    let written = SynthDef::compile_all(&synthdefs);
    let again = SynthDef::read_all(&written).expect("what was written can be read");
    assert_eq!(synthdefs, again);
    assert_eq!(SynthDef::compile_all(&again), written);
    for synthdef in &synthdefs {
        assert_eq!(ugens(synthdef.body()).len(), synthdef.ugens().len());
        assert!(!synthdef.to_string().is_empty());
    }
}
