//! Compiled SynthDefs as data. How they come about is in `compile` (from a graph) and `reader`
//! (from a file).

use std::fmt;
use std::sync::{Arc, OnceLock};

use md5::{Digest, Md5};

use crate::error::{SynthDefError, SynthDefErrorKind};
use crate::file::SynthDefFile;
use crate::rate::{ControlRate, Rate};

/// An instrument for the server: a graph of UGens and its controls, compiled.
///
/// Cloning is cheap. Equality compares names and graphs.
#[derive(Clone)]
pub struct SynthDef {
    inner: Arc<Inner>,
}

/// What the clones of a SynthDef share.
struct Inner {
    name: Option<String>,
    /// Computed when it is first needed.
    anonymous_name: OnceLock<String>,
    /// The SynthDef in the form of a version 2 file, without its name.
    body: Vec<u8>,
    controls: Vec<Control>,
    /// Made when it is first needed.
    file: OnceLock<SynthDefFile>,
}

/// A control of a SynthDef: what `/s_new` and `/n_set` set by name or index.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Control {
    /// Name of the control.
    pub name: String,
    /// Index of its first value among all control values of the SynthDef.
    pub index: u32,
    /// Defaults; more than one for an array.
    pub values: Vec<f32>,
    /// How the control behaves.
    pub rate: ControlRate,
    /// Time in seconds over which changes are smoothed; zero for none.
    pub lag: f32,
}

impl Control {
    /// A control; for the compiler and the reader.
    pub(crate) fn new(
        name: String,
        index: u32,
        values: Vec<f32>,
        rate: ControlRate,
        lag: f32,
    ) -> Self {
        Self { name, index, values, rate, lag }
    }
}

/// A UGen of a compiled SynthDef.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CompiledUGen {
    /// Name of the UGen on the server.
    pub name: String,
    /// Rate at which it runs.
    pub rate: Rate,
    /// Operator of `UnaryOpUGen` and `BinaryOpUGen`, first control of control UGens.
    pub special_index: i16,
    /// Where the inputs come from.
    pub inputs: Vec<CompiledInput>,
    /// Rates of the outputs.
    pub outputs: Vec<Rate>,
}

/// Where an input of a compiled UGen comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CompiledInput {
    /// A number.
    Constant(f32),
    /// An output of an earlier UGen.
    Output {
        /// Index of the UGen in the SynthDef.
        ugen: u32,
        /// Index of its output.
        output: u32,
    },
}

impl SynthDef {
    pub(crate) fn from_parts(name: Option<String>, body: Vec<u8>, controls: Vec<Control>) -> Self {
        let inner =
            Inner { name, anonymous_name: OnceLock::new(), body, controls, file: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Name of the SynthDef; for an anonymous one, the name that is derived from the graph.
    pub fn name(&self) -> &str {
        match &self.inner.name {
            Some(name) => name,
            None => self.anonymous_name(),
        }
    }

    /// The hexadecimal MD5 digest of the compiled graph.
    pub fn anonymous_name(&self) -> &str {
        self.inner.anonymous_name.get_or_init(|| {
            use fmt::Write as _;
            Md5::digest(&self.inner.body).iter().fold(
                String::with_capacity(32),
                |mut name, byte| {
                    let _ = write!(name, "{byte:02x}");
                    name
                },
            )
        })
    }

    /// The same graph under another name.
    ///
    /// # Errors
    /// If the name is empty or longer than 255 bytes.
    pub fn renamed(&self, name: impl Into<String>) -> Result<Self, SynthDefError> {
        let name = name.into();
        check_name(&name)?;
        let (body, controls) = (self.inner.body.clone(), self.inner.controls.clone());
        Ok(Self::from_parts(Some(name), body, controls))
    }

    /// The controls, in the order of their indices.
    pub fn controls(&self) -> &[Control] {
        &self.inner.controls
    }

    /// A control by name.
    pub fn control(&self, name: &str) -> Option<&Control> {
        self.inner.controls.iter().find(|control| control.name == name)
    }

    /// Whether a synth of this SynthDef can be released by setting `gate` to zero.
    pub fn has_gate(&self) -> bool {
        self.control("gate").is_some()
    }

    /// The SynthDef in the form of a version 2 file, without its name.
    pub(crate) fn body(&self) -> &[u8] {
        &self.inner.body
    }

    /// The file of this SynthDef alone, made by `make` at the first call.
    pub(crate) fn file_or_init(&self, make: impl FnOnce() -> SynthDefFile) -> &SynthDefFile {
        self.inner.file.get_or_init(make)
    }
}

/// Checks that the format can store the name.
///
/// # Errors
/// If the name is empty or longer than 255 bytes.
pub(crate) fn check_name(name: &str) -> Result<(), SynthDefError> {
    if name.is_empty() || name.len() > 255 {
        return Err(SynthDefError::new(
            SynthDefErrorKind::InvalidName,
            format!("invalid SynthDef name: expected 1 to 255 bytes, found {}", name.len()),
        ));
    }
    Ok(())
}

impl PartialEq for SynthDef {
    fn eq(&self, other: &Self) -> bool {
        self.inner.body == other.inner.body && self.name() == other.name()
    }
}

impl fmt::Debug for SynthDef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SynthDef")
            .field("name", &self.name())
            .field("controls", &self.inner.controls)
            .finish_non_exhaustive()
    }
}
