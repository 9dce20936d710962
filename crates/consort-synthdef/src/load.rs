//! SynthDef files from bytes, from the file system, and from SynthDefs.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{SynthDefError, SynthDefErrorKind};
use crate::file::{ControlInfo, SynthDefFile, SynthDefInfo};
use crate::model::SynthDef;
use crate::wires::wire_buffers;

impl SynthDef {
    /// The file that holds this SynthDef alone; compiled once, at the first call.
    pub fn file(&self) -> &SynthDefFile {
        self.file_or_init(|| SynthDefFile::from(self))
    }
}

impl From<&SynthDef> for SynthDefInfo {
    fn from(synthdef: &SynthDef) -> Self {
        let controls = synthdef.controls().iter().map(|control| ControlInfo {
            name: control.name.clone(),
            index: control.index,
            default: control.values.first().copied().unwrap_or_default(),
            values: control.values.clone(),
        });
        let ugens = synthdef.ugens();
        let wire_buffers = wire_buffers(&ugens);
        let ugens: BTreeSet<String> = ugens.into_iter().map(|ugen| ugen.name).collect();
        Self {
            name: synthdef.name().to_owned(),
            controls: controls.collect(),
            value_count: synthdef.control_value_count(),
            ugens: ugens.into_iter().collect(),
            wire_buffers,
        }
    }
}

impl From<&SynthDef> for SynthDefFile {
    fn from(synthdef: &SynthDef) -> Self {
        Self::from_parts(synthdef.compile().into(), vec![Arc::new(synthdef.into())])
    }
}

impl SynthDefFile {
    /// Parses the bytes of a file, version 1 or 2.
    ///
    /// # Errors
    /// If the bytes are not a SynthDef file, with the offset; if the file has no SynthDef.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self, SynthDefError> {
        let bytes = bytes.into();
        let definitions: Vec<Arc<SynthDefInfo>> =
            SynthDef::read_all(&bytes)?.iter().map(|synthdef| Arc::new(synthdef.into())).collect();
        if definitions.is_empty() {
            return Err(SynthDefError::new(SynthDefErrorKind::Empty, "the file has no SynthDef"));
        }
        Ok(Self::from_parts(bytes, definitions))
    }

    /// Reads a file; blocks on the file system.
    ///
    /// # Errors
    /// [`Io`](SynthDefErrorKind::Io), and those of [`SynthDefFile::new`]; all name the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SynthDefError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| SynthDefError::io(format!("cannot read {}", path.display()), error))?;
        Self::new(bytes)
            .map_err(|error| error.in_context(format!("{} is not a SynthDef file", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two controls and one UGen, written by hand from the description of the format.
    fn example() -> Vec<u8> {
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
        assert_eq!(
            (&info.controls[1].values, &info.ugens),
            (&vec![440.0], &vec!["Control".into()])
        );
        let synthdef = SynthDef::read_all(file.bytes()).unwrap().remove(0);
        assert_eq!(SynthDefFile::from(&synthdef), file);
    }

    #[test]
    fn every_truncation_is_an_error_with_its_offset() {
        let whole = example();
        for length in 0..whole.len() {
            let error = SynthDefFile::new(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), SynthDefErrorKind::Truncated);
            assert!(error.to_string().contains("at byte"), "{error}");
        }
        assert!(SynthDefFile::new(&b"RIFF1234"[..]).is_err());
    }

    #[test]
    fn a_file_without_a_synthdef_is_an_error() {
        let error = SynthDefFile::new(SynthDef::compile_all([])).unwrap_err();
        assert_eq!(error.kind(), SynthDefErrorKind::Empty);
    }

    #[test]
    fn errors_of_reading_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.scsyndef");
        let error = SynthDefFile::read(&path).unwrap_err();
        assert_eq!(error.kind(), SynthDefErrorKind::Io);
        let expected = format!("cannot read {}: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        std::fs::write(&path, &example()[..20]).unwrap();
        let error = SynthDefFile::read(&path).unwrap_err();
        let expected = format!("{} is not a SynthDef file: at byte ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        std::fs::write(&path, example()).unwrap();
        assert_eq!(SynthDefFile::read(&path).unwrap(), SynthDefFile::new(example()).unwrap());
    }
}
