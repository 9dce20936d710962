//! From the graph as it was built to the form that the server reads.
//!
//! The order of the UGens matters twice: the server runs them in this order, and equal graphs
//! should have equal bytes. The steps are those of SuperCollider's own compiler:
//!
//! | step | file |
//! |---|---|
//! | add the UGens that hold the controls, sorted by rate and name | `controls` |
//! | copy spectra that several UGens read | `buffers` |
//! | add one `MaxLocalBufs` before the local buffers | `buffers` |
//! | sort topologically, depth first | `order` |
//! | remove pure UGens whose outputs are not read | `order` |
//! | write constants, controls and UGens | `encode` |

mod buffers;
mod controls;
mod encode;
mod order;

pub(crate) use encode::encode;

use crate::controls::Controls;
use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::graph::{Graph, MAX_ELEMENTS};
use crate::model::{Control, SynthDef, check_name};
use crate::open;
use crate::spec::{CompilerRole, UGenFlags};

impl SynthDef {
    /// Builds and compiles a SynthDef.
    ///
    /// The function runs once, on this thread; the UGens and operators that it uses become part of
    /// the SynthDef. Errors do not stop it: the first one is returned at the end.
    ///
    /// # Errors
    /// If the graph is invalid (see [`SynthDefErrorKind`](Kind)), or the name is empty or longer
    /// than 255 bytes.
    pub fn build<R>(
        name: impl Into<String>,
        function: impl FnOnce(&Controls) -> R,
    ) -> Result<Self, SynthDefError> {
        let name = name.into();
        check_name(&name)?;
        Self::build_with(Some(name), true, function)
    }

    /// As [`build`](SynthDef::build), with a name that is derived from the graph, so that equal
    /// graphs have equal names.
    ///
    /// # Errors
    /// As [`build`](SynthDef::build).
    pub fn anonymous<R>(function: impl FnOnce(&Controls) -> R) -> Result<Self, SynthDefError> {
        Self::build_with(None, true, function)
    }

    /// As [`build`](SynthDef::build), but keeps UGens whose outputs are not read.
    ///
    /// # Errors
    /// As [`build`](SynthDef::build).
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
        let with_name = |error: SynthDefError| match &name {
            Some(name) => error.in_context(format!("SynthDef `{}`", name.escape_debug())),
            None => error,
        };
        let controls = Controls::new();
        let graph = open::build_graph(|| function(&controls)).map_err(with_name)?;
        let compiled = compile(graph, optimize).map_err(with_name)?;
        Ok(Self::from_parts(name, compiled.body, compiled.controls))
    }

    /// The file, or the argument of `/d_recv`, that holds this SynthDef alone (`SCgf`, version 2).
    pub fn compile(&self) -> Vec<u8> {
        Self::compile_all([self])
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
            bytes.extend_from_slice(synthdef.body());
            count += 1;
        }
        bytes[8..10].copy_from_slice(&count.to_be_bytes());
        bytes
    }
}

/// A compiled SynthDef without its name.
struct Compiled {
    body: Vec<u8>,
    controls: Vec<Control>,
}

fn compile(mut graph: Graph, optimize: bool) -> Result<Compiled, SynthDefError> {
    let (order, controls) = arrange(&mut graph, optimize)?;
    let body = encode(&graph, &order, &controls)?;
    Ok(Compiled { body, controls })
}

/// Completes the graph and returns the order in which the server runs its UGens, and the controls.
pub(crate) fn arrange(
    graph: &mut Graph,
    optimize: bool,
) -> Result<(Vec<u32>, Vec<Control>), SynthDefError> {
    let built = graph.nodes.len() as u32;
    let (control_nodes, controls) = controls::add_controls(graph);
    let mut order: Vec<u32> = Vec::with_capacity(graph.nodes.len() + 4);
    order.extend(control_nodes);
    order.extend(0..built);
    if graph.nodes.iter().any(|node| node.flags().contains(UGenFlags::PV_CHAIN)) {
        order = buffers::copy_spectra(graph, order)?;
    }
    let has_local_buffers = graph
        .nodes
        .iter()
        .any(|node| matches!(node.role(), CompilerRole::LocalBuf | CompilerRole::MaxLocalBufs));
    if has_local_buffers {
        order = buffers::reserve_local_buffers(graph, order);
    }
    let mut order = order::sort(graph, &order);
    if optimize {
        order::remove_unread(graph, &mut order);
    }
    if order.is_empty() {
        return Err(SynthDefError::new(
            Kind::Empty,
            "the SynthDef has no effect: all its UGens were removed because their outputs are \
             unused; write to a bus, for example with Out",
        ));
    }
    if order.len() > MAX_ELEMENTS {
        return Err(SynthDefError::new(
            Kind::TooMany,
            format!("the SynthDef has {} UGens; the maximum is {MAX_ELEMENTS}", order.len()),
        ));
    }
    Ok((order, controls))
}
