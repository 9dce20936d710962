//! The bodies of the fuzz targets, which the tests also run on the committed corpus.

use crate::model::SynthDef;

/// Reads arbitrary bytes as a SynthDef file. What can be read must survive being written and read
/// again, and must be printable.
pub fn scsyndef(bytes: &[u8]) {
    let Ok(synthdefs) = SynthDef::read_all(bytes) else {
        return;
    };
    let written = SynthDef::compile_all(&synthdefs);
    let again = SynthDef::read_all(&written).expect("what was written can be read");
    assert_eq!(synthdefs, again);
    assert_eq!(SynthDef::compile_all(&again), written);
    for synthdef in &synthdefs {
        assert!(synthdef.has_readable_body(), "{}", synthdef.name());
        assert!(!synthdef.to_string().is_empty());
    }
}
