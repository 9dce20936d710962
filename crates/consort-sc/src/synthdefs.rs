//! What connects SynthDefs with contexts: how a synth names its SynthDef, and errors.

use std::sync::Arc;

use consort_synthdef::{SynthDef, SynthDefFile, SynthDefInfo};

/// The SynthDef of a synth that is to be started: its name, and its controls if they are known.
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
        match file.definitions().first() {
            Some(info) => info.into(),
            None => Self { name: String::new(), info: None },
        }
    }
}

/// Includes the controls, so that [`Context::add_synth`](crate::Context::add_synth) can check
/// settings.
impl From<&SynthDef> for SynthDefReference {
    fn from(synthdef: &SynthDef) -> Self {
        synthdef.file().into()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use consort_synthdef::SynthDefFile;

    use crate::error::{Error, ErrorKind};

    #[test]
    fn errors_of_synthdefs_keep_message_and_source() {
        let invalid = SynthDefFile::new(&b"RIFF1234"[..]).unwrap_err();
        let error = Error::from(invalid.clone());
        assert_eq!(error.kind(), ErrorKind::InvalidSynthDef);
        assert_eq!(error.to_string(), invalid.to_string());
        let missing = SynthDefFile::read("/nonexistent/tone.scsyndef").unwrap_err();
        let error = Error::from(missing);
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.source().is_some(), "{error}");
    }
}
