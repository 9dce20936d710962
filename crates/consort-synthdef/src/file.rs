//! SynthDef files as data: their bytes, and the names and controls of the SynthDefs in them. How a
//! file is read is in `load`.

use std::sync::Arc;

/// A control of a SynthDef in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlInfo {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its default value; the first, for an array.
    pub default: f32,
    /// All of its default values; one, unless it is an array.
    pub values: Vec<f32>,
}

/// The name and the controls of a SynthDef in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthDefInfo {
    /// Its name.
    pub name: String,
    /// Its named controls, by index.
    pub controls: Vec<ControlInfo>,
    /// Number of values that all controls have together.
    pub value_count: u32,
    /// The classes of its UGens, sorted, each once. A server needs the plugins that contain them.
    pub ugens: Vec<String>,
    /// The least and the greatest number of wire buffers that it may need. A server with fewer than
    /// the first refuses it, one with at least the second does not refuse it for this reason.
    pub wire_buffers: (u32, u32),
}

impl SynthDefInfo {
    /// Whether it has a control of this name.
    pub fn has_control(&self, name: &str) -> bool {
        self.controls.iter().any(|control| control.name == name)
    }
}

/// The bytes of a SynthDef file, and the SynthDefs in it.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthDefFile {
    bytes: Arc<[u8]>,
    definitions: Vec<Arc<SynthDefInfo>>,
}

impl SynthDefFile {
    pub(crate) fn from_parts(bytes: Arc<[u8]>, definitions: Vec<Arc<SynthDefInfo>>) -> Self {
        Self { bytes, definitions }
    }

    /// The bytes that `/d_recv` takes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The SynthDefs in the file.
    pub fn definitions(&self) -> &[Arc<SynthDefInfo>] {
        &self.definitions
    }

    /// The SynthDef of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<SynthDefInfo>> {
        self.definitions.iter().find(|info| info.name == name)
    }
}
