//! Compiled SynthDefs.

use std::fmt;
use std::sync::{Arc, OnceLock};

use md5::{Digest, Md5};

use super::compile::compile;
use super::controls::Controls;
use super::error::{SynthDefError, SynthDefErrorKind as Kind};
use super::graph;
use super::rate::{ControlRate, Rate};
use super::reader;
use crate::synthdef_file::{SynthDefFile, SynthDefReference};

/// An instrument for the server: a graph of UGens and its controls, compiled.
///
/// Cloning is cheap. Equality compares names and graphs.
#[derive(Clone)]
pub struct SynthDef {
    inner: Arc<Inner>,
}

struct Inner {
    name: Option<String>,
    anonymous_name: OnceLock<String>,
    body: Vec<u8>,
    controls: Vec<Control>,
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
    /// Builds and compiles a SynthDef.
    ///
    /// The function runs once, on this thread; UGens and operators that it uses enter the
    /// SynthDef. Errors do not stop it: the first one is returned at the end.
    ///
    /// # Errors
    /// When the graph is not sound (see [`SynthDefErrorKind`](Kind)), or the name is empty or
    /// longer than 255 bytes.
    pub fn build<R>(
        name: impl Into<String>,
        function: impl FnOnce(&Controls) -> R,
    ) -> Result<Self, SynthDefError> {
        let name = name.into();
        check_name(&name)?;
        Self::build_with(Some(name), true, function)
    }

    /// Like [`build`](SynthDef::build), with a name that is derived from the graph, so that equal
    /// graphs have equal names.
    ///
    /// # Errors
    /// Like [`build`](SynthDef::build).
    pub fn anonymous<R>(function: impl FnOnce(&Controls) -> R) -> Result<Self, SynthDefError> {
        Self::build_with(None, true, function)
    }

    /// Like [`build`](SynthDef::build), but keeps UGens that nothing reads.
    ///
    /// # Errors
    /// Like [`build`](SynthDef::build).
    pub fn build_unoptimized<R>(
        name: impl Into<String>,
        function: impl FnOnce(&Controls) -> R,
    ) -> Result<Self, SynthDefError> {
        let name = name.into();
        check_name(&name)?;
        Self::build_with(Some(name), false, function)
    }

    fn build_with<R>(
        name: Option<String>,
        optimize: bool,
        function: impl FnOnce(&Controls) -> R,
    ) -> Result<Self, SynthDefError> {
        let in_which = |error: SynthDefError| match &name {
            Some(name) => SynthDefError::new(error.kind(), format!("SynthDef {name:?}: {error}")),
            None => error,
        };
        let controls = Controls::new();
        let graph = graph::record(|| function(&controls)).map_err(in_which)?;
        let compiled = compile(graph, optimize).map_err(in_which)?;
        Ok(Self::from_parts(name, compiled.body, compiled.controls))
    }

    pub(crate) fn from_parts(name: Option<String>, body: Vec<u8>, controls: Vec<Control>) -> Self {
        let inner =
            Inner { name, anonymous_name: OnceLock::new(), body, controls, file: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Name of the SynthDef; for an anonymous one, that which is derived from the graph.
    pub fn name(&self) -> &str {
        match &self.inner.name {
            Some(name) => name,
            None => self.anonymous_name(),
        }
    }

    /// The hexadecimal MD5 of the compiled graph.
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
    /// When the name is empty or longer than 255 bytes.
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

    /// How many values all controls have together, named or not.
    pub fn control_value_count(&self) -> u32 {
        reader::control_value_count(&self.inner.body)
    }

    /// Whether a synth of this SynthDef can be released by setting `gate` to zero.
    pub fn has_gate(&self) -> bool {
        self.control("gate").is_some()
    }

    /// The UGens in the order in which the server runs them.
    ///
    /// Decoded anew at every call.
    pub fn ugens(&self) -> Vec<CompiledUGen> {
        reader::ugens(&self.inner.body)
    }

    /// The file, or the argument of `/d_recv`, that holds this SynthDef alone (`SCgf`, version 2).
    pub fn compile(&self) -> Vec<u8> {
        Self::compile_all([self])
    }

    /// What [`Context::add_synthdefs`](crate::Context::add_synthdefs) takes; made once.
    pub fn file(&self) -> &SynthDefFile {
        self.inner.file.get_or_init(|| self.into())
    }

    /// The file, or the argument of `/d_recv`, that holds these SynthDefs (`SCgf`, version 2).
    ///
    /// A file holds at most 65,535 SynthDefs; those beyond are left out.
    pub fn compile_all<'a>(synthdefs: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut bytes = b"SCgf\0\0\0\x02\0\0".to_vec();
        let mut count = 0_u16;
        for synthdef in synthdefs.into_iter().take(usize::from(u16::MAX)) {
            let name = synthdef.name().as_bytes();
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&synthdef.inner.body);
            count += 1;
        }
        bytes[8..10].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    /// Reads the SynthDefs of a file, version 1 or 2.
    ///
    /// # Errors
    /// When the bytes are not a sound file; the error tells the offset.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, SynthDefError> {
        reader::read(bytes)
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.inner.body
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), SynthDefError> {
    if name.is_empty() || name.len() > 255 {
        return Err(SynthDefError::new(
            Kind::InvalidName,
            format!("a SynthDef's name has 1 to 255 bytes, this one has {}", name.len()),
        ));
    }
    Ok(())
}

/// For [`Context::add_synth`](crate::Context::add_synth), which then knows the controls.
impl From<&SynthDef> for SynthDefReference {
    fn from(synthdef: &SynthDef) -> Self {
        synthdef.file().into()
    }
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
