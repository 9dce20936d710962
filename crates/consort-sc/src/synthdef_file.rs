//! What a context needs to know of SynthDef files: which SynthDefs are in them, and their
//! controls. The format is SCgf, version 1 or 2 (SuperCollider's "Synth Definition File
//! Format").

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// A control of a SynthDef.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlInfo {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its default value.
    pub default: f32,
}

/// The name and the controls of a SynthDef.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthDefInfo {
    /// Its name.
    pub name: String,
    /// Its named controls.
    pub controls: Vec<ControlInfo>,
    /// How many values all controls have together.
    pub value_count: u32,
}

impl SynthDefInfo {
    /// Whether it has a control of this name.
    pub fn has_control(&self, name: &str) -> bool {
        self.controls.iter().any(|control| control.name == name)
    }
}

/// A SynthDef that a synth is to play: by name, or with what is known of its controls.
#[derive(Clone, Debug)]
pub struct SynthDefReference {
    pub(crate) name: String,
    pub(crate) info: Option<Arc<SynthDefInfo>>,
}

impl From<&str> for SynthDefReference {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), info: None }
    }
}

impl From<String> for SynthDefReference {
    fn from(name: String) -> Self {
        Self { name, info: None }
    }
}

impl From<&Arc<SynthDefInfo>> for SynthDefReference {
    fn from(info: &Arc<SynthDefInfo>) -> Self {
        Self { name: info.name.clone(), info: Some(info.clone()) }
    }
}

/// Takes the first SynthDef of the file.
impl From<&SynthDefFile> for SynthDefReference {
    fn from(file: &SynthDefFile) -> Self {
        match file.definitions.first() {
            Some(info) => info.into(),
            None => Self { name: String::new(), info: None },
        }
    }
}

/// The bytes of a SynthDef file, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthDefFile {
    bytes: Arc<[u8]>,
    definitions: Vec<Arc<SynthDefInfo>>,
}

impl SynthDefFile {
    /// Understands the bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSynthDef`], with the offset.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let definitions = parse(&bytes)?;
        if definitions.is_empty() {
            return Err(Error::new(ErrorKind::InvalidSynthDef, "the file holds no SynthDef"));
        }
        Ok(Self { bytes, definitions })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::InvalidSynthDef`], with the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::io(format!("cannot read {}", path.display()), error))?;
        Self::new(bytes).map_err(|error| {
            Error::new(error.kind(), format!("{} is no SynthDef file: {error}", path.display()))
        })
    }

    /// The bytes, as they are sent.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The SynthDefs in it.
    pub fn definitions(&self) -> &[Arc<SynthDefInfo>] {
        &self.definitions
    }

    /// The SynthDef of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<SynthDefInfo>> {
        self.definitions.iter().find(|info| info.name == name)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(Error::new(
                ErrorKind::InvalidSynthDef,
                format!(
                    "at offset {}: {count} bytes expected, but the file ends at {}",
                    self.at,
                    self.bytes.len()
                ),
            ));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A count: 32 bits in version 2, 16 in version 1.
    fn count(&mut self, version: i32) -> Result<usize> {
        let at = self.at;
        let count = if version == 2 {
            i32::from_be_bytes(self.array()?)
        } else {
            i32::from(i16::from_be_bytes(self.array()?))
        };
        usize::try_from(count).map_err(|_| {
            Error::new(ErrorKind::InvalidSynthDef, format!("at offset {at}: a count of {count}"))
        })
    }

    fn string(&mut self) -> Result<String> {
        let length = usize::from(self.array::<1>()?[0]);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        let bytes = self.take(count.saturating_mul(4))?;
        Ok(bytes
            .chunks_exact(4)
            .map(|chunk| f32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
            .collect())
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Arc<SynthDefInfo>>> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4).ok() != Some(b"SCgf") {
        return Err(Error::new(
            ErrorKind::InvalidSynthDef,
            "at offset 0: a SynthDef file begins with the letters SCgf",
        ));
    }
    let version = i32::from_be_bytes(reader.array()?);
    if version != 1 && version != 2 {
        return Err(Error::new(
            ErrorKind::InvalidSynthDef,
            format!("at offset 4: version {version}; 1 and 2 are known"),
        ));
    }
    let count = i16::from_be_bytes(reader.array()?);
    let mut definitions = Vec::new();
    for _ in 0..count.max(0) {
        definitions.push(Arc::new(parse_definition(&mut reader, version)?));
    }
    Ok(definitions)
}

fn parse_definition(reader: &mut Reader<'_>, version: i32) -> Result<SynthDefInfo> {
    let name = reader.string()?;
    let constants = reader.count(version)?;
    reader.floats(constants)?;
    let value_count = reader.count(version)?;
    let defaults = reader.floats(value_count)?;
    let names = reader.count(version)?;
    let mut controls = Vec::new();
    for _ in 0..names {
        let at = reader.at;
        let name = reader.string()?;
        let index = reader.count(version)?;
        let default = *defaults.get(index).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidSynthDef,
                format!("at offset {at}: control {name:?} has index {index} of {value_count}"),
            )
        })?;
        controls.push(ControlInfo { name, index: index as u32, default });
    }
    let ugens = reader.count(version)?;
    for _ in 0..ugens {
        reader.string()?;
        reader.take(1)?;
        let inputs = reader.count(version)?;
        let outputs = reader.count(version)?;
        reader.take(2)?;
        let input_size = if version == 2 { 8usize } else { 4 };
        reader.take(inputs.saturating_mul(input_size))?;
        reader.take(outputs)?;
    }
    let variants = i16::from_be_bytes(reader.array()?);
    for _ in 0..variants.max(0) {
        reader.string()?;
        reader.floats(value_count)?;
    }
    Ok(SynthDefInfo { name, controls, value_count: value_count as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two controls, three UGens; written by hand from the format's description.
    pub(crate) fn example() -> Vec<u8> {
        let mut bytes = b"SCgf\0\0\0\x02\0\x01\x04tone".to_vec();
        bytes.extend(0i32.to_be_bytes());
        bytes.extend(2i32.to_be_bytes());
        bytes.extend(0.1f32.to_be_bytes());
        bytes.extend(440f32.to_be_bytes());
        bytes.extend(2i32.to_be_bytes());
        bytes.extend(b"\x09amplitude\0\0\0\0\x09frequency\0\0\0\x01");
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(b"\x07Control\x01\0\0\0\0\0\0\0\x02\0\0\x01\x01");
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn names_controls_and_defaults_are_read() {
        let file = SynthDefFile::new(example()).unwrap();
        let info = file.get("tone").unwrap();
        assert_eq!(info.value_count, 2);
        assert!(info.has_control("frequency") && !info.has_control("gate"));
        assert_eq!(info.controls[1].default, 440.0);
    }

    #[test]
    fn every_truncation_is_an_error_with_an_offset() {
        let whole = example();
        for length in 0..whole.len() {
            let error = SynthDefFile::new(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSynthDef);
            assert!(error.to_string().contains("offset"), "{error}");
        }
        assert!(SynthDefFile::new(&b"RIFF1234"[..]).is_err());
    }
}
