//! What a context needs to know of SynthDef files: which SynthDefs are in them, and their
//! controls.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::synthdef::SynthDef;

/// A control of a SynthDef.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlInfo {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its default value; the first, for an array.
    pub default: f32,
}

/// The name and the controls of a SynthDef.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthDefInfo {
    /// Its name.
    pub name: String,
    /// Its named controls, by index.
    pub controls: Vec<ControlInfo>,
    /// How many values all controls have together.
    pub value_count: u32,
}

impl SynthDefInfo {
    fn of(synthdef: &SynthDef) -> Self {
        let controls = synthdef.controls().iter().map(|control| ControlInfo {
            name: control.name.clone(),
            index: control.index,
            default: control.values.first().copied().unwrap_or_default(),
        });
        Self {
            name: synthdef.name().to_owned(),
            controls: controls.collect(),
            value_count: synthdef.control_value_count(),
        }
    }

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

impl From<&SynthDef> for SynthDefFile {
    fn from(synthdef: &SynthDef) -> Self {
        let definitions = vec![Arc::new(SynthDefInfo::of(synthdef))];
        Self { bytes: synthdef.compile().into(), definitions }
    }
}

impl SynthDefFile {
    /// Understands the bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSynthDef`], with the place.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let definitions: Vec<_> = SynthDef::read_all(&bytes)
            .map_err(|error| Error::new(ErrorKind::InvalidSynthDef, error.to_string()))?
            .iter()
            .map(|synthdef| Arc::new(SynthDefInfo::of(synthdef)))
            .collect();
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
        let synthdef = SynthDef::read_all(file.bytes()).unwrap().remove(0);
        assert_eq!(SynthDefFile::from(&synthdef), file);
    }

    #[test]
    fn every_truncation_is_an_error_with_its_place() {
        let whole = example();
        for length in 0..whole.len() {
            let error = SynthDefFile::new(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSynthDef);
            assert!(error.to_string().contains("at byte"), "{error}");
        }
        assert!(SynthDefFile::new(&b"RIFF1234"[..]).is_err());
    }
}
