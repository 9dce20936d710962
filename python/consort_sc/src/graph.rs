//! `CompiledGraph`: the compiled graph of a SynthDef, and its UGens as objects.

use std::collections::HashMap;

use consort_synthdef::assembly::{Assembled, Assembly, AssemblyInput, AssemblyUGen};
use consort_synthdef::{
    CompiledInput, ControlRate, Rate, SynthDef, SynthDefError, SynthDefErrorKind,
};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};

use crate::classes::ClassSpec;
use crate::construct;
use crate::handles;
use crate::parameter::{self, Control, Parameter};
use crate::ugen::{Input, UGen, UGenData, compiled_name, spec_of};
use crate::value::Value;

/// The compiled graph of a SynthDef.
#[pyclass(frozen, module = "consort_sc._core")]
pub(crate) struct CompiledGraph {
    synthdef: SynthDef,
    source: Source,
    /// The UGens, created when they are first needed.
    ugens: PyOnceLock<Py<PyTuple>>,
}

/// Where the UGens of a graph come from.
#[derive(Debug)]
enum Source {
    /// From a builder, whose objects determine classes and names of inputs.
    Builder { assembled: Box<Assembled>, ugens: Vec<Py<UGen>>, parameters: Vec<Py<Parameter>> },
    /// From objects that are sorted already.
    Objects(Py<PyTuple>),
    /// From a file.
    File,
}

fn rate(number: u8) -> Rate {
    match number {
        0 => Rate::Scalar,
        1 => Rate::Control,
        2 => Rate::Audio,
        _ => Rate::Demand,
    }
}

fn control_rate(number: u8) -> ControlRate {
    match number {
        0 => ControlRate::Scalar,
        1 => ControlRate::Trigger,
        2 => ControlRate::Audio,
        _ => ControlRate::Control,
    }
}

fn control_rate_number(rate: ControlRate) -> u8 {
    match rate {
        ControlRate::Scalar => 0,
        ControlRate::Trigger => 1,
        ControlRate::Audio => 2,
        ControlRate::Control => 3,
    }
}

/// The Python exception of an error of the core.
pub(crate) fn exception(py: Python<'_>, error: &SynthDefError) -> PyErr {
    match error.kind() {
        SynthDefErrorKind::Empty => {
            handles::synthdef_error(py, format!("No UGens provided: {error}"))
        }
        SynthDefErrorKind::Truncated
        | SynthDefErrorKind::Malformed
        | SynthDefErrorKind::UnknownVersion => PyValueError::new_err(error.to_string()),
        _ => handles::synthdef_error(py, error.to_string()),
    }
}

/// Adds a UGen to an assembly; `locate` turns outputs of objects into inputs.
fn add_ugen(
    py: Python<'_>,
    assembly: &mut Assembly,
    ugen: &Bound<'_, UGen>,
    mut locate: impl FnMut(&Py<UGen>, u32) -> PyResult<AssemblyInput>,
) -> PyResult<()> {
    let data = ugen.get().data()?;
    let mut inputs = Vec::with_capacity(data.inputs.len());
    for input in &data.inputs {
        inputs.push(match input {
            Input::Constant(value) => {
                if value.is_finite() && (*value as f32).is_infinite() {
                    return Err(PyOverflowError::new_err(format!(
                        "an input of {} is {value}: expected a number that fits into 32 bits",
                        ugen.get_type().name()?
                    )));
                }
                AssemblyInput::Constant(*value)
            }
            Input::Output(source, output) => locate(source, *output)?,
        });
    }
    let name = compiled_name(ugen)?;
    let description = AssemblyUGen {
        special_index: data.special_index,
        flags: data.spec.get().flags,
        ..AssemblyUGen::new(name.to_str()?, rate(data.rate), data.outputs)
    };
    assembly.add_ugen(&description, inputs).map_err(|error| exception(py, &error))?;
    Ok(())
}

impl CompiledGraph {
    fn new(synthdef: SynthDef, source: Source) -> Self {
        Self { synthdef, source, ugens: PyOnceLock::new() }
    }

    /// Compiles the UGens of a builder.
    pub(crate) fn assemble(
        py: Python<'_>,
        ugens: &[Py<UGen>],
        parameters: &[Py<Parameter>],
        optimize: bool,
    ) -> PyResult<Self> {
        let mut assembly = Assembly::new();
        for parameter in parameters {
            let parameter = parameter.get();
            if let Some(value) = parameter
                .values
                .iter()
                .find(|value| value.is_finite() && (**value as f32).is_infinite())
            {
                return Err(PyOverflowError::new_err(format!(
                    "the parameter `{}` is {value}: expected a number that fits into 32 bits",
                    parameter.name.as_deref().unwrap_or_default()
                )));
            }
            assembly
                .add_control(
                    parameter.name.as_deref().unwrap_or_default(),
                    control_rate(parameter.rate_number),
                    &parameter.values,
                    parameter.lag.unwrap_or(0.0),
                )
                .map_err(|error| exception(py, &error))?;
        }
        let parameter_class = py.get_type::<Parameter>();
        for ugen in ugens {
            add_ugen(py, &mut assembly, ugen.bind(py), |source, output| {
                let number = source.get().data()?.number;
                Ok(if source.bind(py).get_type().is(&parameter_class) {
                    AssemblyInput::Control { control: number, value: output }
                } else {
                    AssemblyInput::Output { ugen: number, output }
                })
            })?;
        }
        let assembled = assembly.compile(optimize).map_err(|error| exception(py, &error))?;
        let synthdef = assembled.synthdef(None).map_err(|error| exception(py, &error))?;
        let source = Source::Builder {
            assembled: Box::new(assembled),
            ugens: ugens.iter().map(|ugen| ugen.clone_ref(py)).collect(),
            parameters: parameters.iter().map(|parameter| parameter.clone_ref(py)).collect(),
        };
        Ok(Self::new(synthdef, source))
    }

    /// The UGens of a builder's graph as new objects.
    fn built_ugens<'py>(
        py: Python<'py>,
        assembled: &Assembled,
        originals: &[Py<UGen>],
        parameters: &[Py<Parameter>],
    ) -> PyResult<Bound<'py, PyTuple>> {
        let by_name: HashMap<&str, &Py<Parameter>> = parameters
            .iter()
            .filter_map(|parameter| Some((parameter.get().name.as_deref()?, parameter)))
            .collect();
        let mut objects: Vec<Bound<'py, UGen>> = Vec::new();
        for ugen in assembled.ugens() {
            let first = u32::from(ugen.special_index as u16);
            let held = || {
                let controls = assembled.controls().iter();
                let range = first..first + u32::from(ugen.outputs);
                let controls = controls.filter(|control| range.contains(&control.index));
                controls
                    .filter_map(|control| by_name.get(control.name.as_str()))
                    .map(|parameter| parameter.clone_ref(py))
                    .collect::<Vec<_>>()
            };
            let inputs = restored_inputs(&objects, &ugen.inputs)?;
            let original = ugen.number.map(|number| originals[number as usize].bind(py));
            let object = match original {
                Some(original) => {
                    let data = original.get().data()?;
                    let mut list_lengths = data.list_lengths.clone();
                    if data.inputs.len() != inputs.len() {
                        // The compiler appends an input to local buffers.
                        list_lengths.clone_from(&data.list_lengths);
                    }
                    restored(
                        original.get_type(),
                        data.spec.clone_ref(py),
                        ugen.rate as u8,
                        ugen.special_index,
                        ugen.outputs,
                        inputs,
                        list_lengths,
                    )?
                }
                None => named_ugen(
                    py,
                    &ugen.name,
                    ugen.rate as u8,
                    ugen.special_index,
                    ugen.outputs,
                    inputs,
                    held,
                )?,
            };
            objects.push(object);
        }
        PyTuple::new(py, objects)
    }

    /// The UGens of a file's graph as new objects.
    fn read_ugens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut objects: Vec<Bound<'py, UGen>> = Vec::new();
        for ugen in self.synthdef.ugens() {
            let inputs: Vec<AssemblyInput> = ugen
                .inputs
                .iter()
                .map(|input| match *input {
                    CompiledInput::Constant(value) => AssemblyInput::Constant(f64::from(value)),
                    CompiledInput::Output { ugen, output } => {
                        AssemblyInput::Output { ugen, output }
                    }
                })
                .collect();
            let inputs = restored_inputs(&objects, &inputs)?;
            let first = u32::from(ugen.special_index as u16);
            let outputs = u16::try_from(ugen.outputs.len())?;
            let held = || self.read_parameters(py, first, first + u32::from(outputs));
            let object = match held_or_named(&ugen.name) {
                true => {
                    let parameters = held()?;
                    named_ugen(
                        py,
                        &ugen.name,
                        ugen.rate as u8,
                        ugen.special_index,
                        outputs,
                        inputs,
                        || parameters,
                    )?
                }
                false => named_ugen(
                    py,
                    &ugen.name,
                    ugen.rate as u8,
                    ugen.special_index,
                    outputs,
                    inputs,
                    Vec::new,
                )?,
            };
            objects.push(object);
        }
        PyTuple::new(py, objects)
    }

    /// The parameters whose first value has an index in the range.
    fn read_parameters(
        &self,
        py: Python<'_>,
        first: u32,
        end: u32,
    ) -> PyResult<Vec<Py<Parameter>>> {
        let controls = self.synthdef.controls().iter();
        controls
            .filter(|control| (first..end).contains(&control.index))
            .map(|control| {
                let parameter = Parameter::create(
                    py,
                    Some(control.name.clone()),
                    control.values.iter().map(|value| f64::from(*value)).collect(),
                    control_rate_number(control.rate),
                    (control.lag != 0.0).then(|| f64::from(control.lag)),
                    0,
                    0,
                )?;
                Ok(parameter.unbind())
            })
            .collect()
    }
}

/// Whether the UGen holds parameters.
fn held_or_named(name: &str) -> bool {
    matches!(name, "Control" | "TrigControl" | "AudioControl" | "LagControl")
}

/// The inputs of an object whose sources are objects already.
fn restored_inputs(objects: &[Bound<'_, UGen>], inputs: &[AssemblyInput]) -> PyResult<Vec<Input>> {
    inputs
        .iter()
        .map(|input| match *input {
            AssemblyInput::Constant(value) => Ok(Input::Constant(value)),
            AssemblyInput::Output { ugen, output } => match objects.get(ugen as usize) {
                Some(object) => Ok(Input::Output(object.clone().unbind(), output)),
                None => Err(PyValueError::new_err("a UGen reads a later one")),
            },
            AssemblyInput::Control { .. } => {
                Err(PyValueError::new_err("a compiled graph reads a control"))
            }
        })
        .collect()
}

/// A new object of a class with content, which belongs to no builder.
fn restored<'py>(
    class: Bound<'py, pyo3::types::PyType>,
    spec: Py<ClassSpec>,
    rate: u8,
    special_index: i16,
    outputs: u16,
    inputs: Vec<Input>,
    list_lengths: Vec<u32>,
) -> PyResult<Bound<'py, UGen>> {
    let object = construct::allocate(&class)?;
    object.get().set_data(UGenData {
        spec,
        rate,
        special_index,
        outputs,
        inputs,
        list_lengths,
        scope: 0,
        number: 0,
    })?;
    Ok(object)
}

/// A new object of the class of a name; `held` are the parameters of a control UGen.
fn named_ugen<'py>(
    py: Python<'py>,
    name: &str,
    rate: u8,
    special_index: i16,
    outputs: u16,
    inputs: Vec<Input>,
    held: impl FnOnce() -> Vec<Py<Parameter>>,
) -> PyResult<Bound<'py, UGen>> {
    let class = handles::class(py, name)?.ok_or_else(|| {
        PyValueError::new_err(format!(
            "there is no UGen class `{name}`: define it with the decorator `ugen`"
        ))
    })?;
    if held_or_named(name) {
        let object = class.getattr("__new__")?.call1((class,))?.cast_into::<Control>()?;
        parameter::initialize(&object, held(), rate, special_index)?;
        if object.as_super().get().data()?.outputs != outputs {
            return Err(PyValueError::new_err(format!(
                "{name} has values without the name of a control"
            )));
        }
        return Ok(object.into_super());
    }
    let spec = spec_of(&class)?;
    let list_lengths = list_lengths(spec.get(), &inputs)
        .ok_or_else(|| PyValueError::new_err(format!("{name} has {} inputs", inputs.len())))?;
    restored(class, spec, rate, special_index, outputs, inputs, list_lengths)
}

/// How the inputs of a compiled UGen are divided among the parameters that take lists. The length
/// of a list that is not the last is the input before it.
fn list_lengths(spec: &ClassSpec, inputs: &[Input]) -> Option<Vec<u32>> {
    let lists = spec.keys.iter().filter(|key| key.unexpanded).count();
    let single = spec.keys.len() - lists;
    let mut listed = inputs.len().checked_sub(single)?;
    let mut lengths = Vec::with_capacity(lists);
    let mut position: usize = 0;
    for key in &spec.keys {
        if !key.unexpanded {
            position += 1;
            continue;
        }
        let length = if lengths.len() + 1 == lists {
            listed
        } else {
            match inputs.get(position.checked_sub(1)?)? {
                Input::Constant(count) if *count >= 0.0 => (*count as usize).min(listed),
                _ => return None,
            }
        };
        lengths.push(length as u32);
        listed -= length;
        position += length;
    }
    (listed == 0 || lists == 0).then_some(lengths)
}

#[pymethods]
impl CompiledGraph {
    /// Compiles UGens that are sorted already and include the control UGens.
    #[new]
    fn new_sorted(py: Python<'_>, ugens: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut assembly = Assembly::new();
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        let mut controls = Vec::new();
        let mut objects = Vec::with_capacity(ugens.len());
        for object in &ugens {
            let ugen = match object.cast::<UGen>() {
                Ok(ugen) => ugen.clone(),
                Err(_) => match Value::from_python(object, None)? {
                    Value::Output(ugen, _) => ugen.into_bound(py),
                    _ => {
                        return Err(PyTypeError::new_err(format!(
                            "expected UGens, found {}",
                            object.repr()?
                        )));
                    }
                },
            };
            add_ugen(py, &mut assembly, &ugen, |source, output| {
                match numbers.get(&(source.as_ptr() as usize)) {
                    Some(number) => Ok(AssemblyInput::Output { ugen: *number, output }),
                    None => Err(handles::synthdef_error(
                        py,
                        format!(
                            "{} reads {}, which does not precede it in the SynthDef",
                            ugen.repr()?,
                            source.bind(py).repr()?
                        ),
                    )),
                }
            })?;
            numbers.insert(ugen.as_ptr() as usize, objects.len() as u32);
            if let Ok(control) = ugen.cast::<Control>() {
                let mut index = u32::from(ugen.get().data()?.special_index as u16);
                for parameter in control.get().parameters(py)? {
                    let parameter = parameter.cast_into::<Parameter>()?;
                    let parameter = parameter.get();
                    let name = parameter.name.clone().unwrap_or_default();
                    controls.push((name, index, parameter.values.clone()));
                    index += parameter.values.len() as u32;
                }
            }
            objects.push(ugen);
        }
        controls.sort_by_key(|(_, index, _)| *index);
        let assembled = assembly.compile_sorted(controls).map_err(|error| exception(py, &error))?;
        let synthdef = assembled.into_synthdef(None).map_err(|error| exception(py, &error))?;
        Ok(Self::new(synthdef, Source::Objects(PyTuple::new(py, objects)?.unbind())))
    }

    /// Compiles the UGens that the outputs depend on, for the text of expressions.
    #[staticmethod]
    fn of_outputs(py: Python<'_>, outputs: Vec<Bound<'_, UGen>>) -> PyResult<Self> {
        let mut ugens: Vec<Py<UGen>> = Vec::new();
        let mut parameters: Vec<Py<Parameter>> = Vec::new();
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        // A UGen is on the stack twice: before and after its inputs.
        let mut stack: Vec<(Bound<'_, UGen>, bool)> =
            outputs.into_iter().rev().map(|ugen| (ugen, false)).collect();
        while let Some((ugen, is_ready)) = stack.pop() {
            let address = ugen.as_ptr() as usize;
            if numbers.contains_key(&address) {
                continue;
            }
            if let Ok(parameter) = ugen.cast::<Parameter>() {
                numbers.insert(address, parameters.len() as u32);
                parameters.push(parameter.clone().unbind());
            } else if is_ready {
                numbers.insert(address, ugens.len() as u32);
                ugens.push(ugen.unbind());
            } else {
                stack.push((ugen.clone(), true));
                for input in ugen.get().data()?.inputs.iter().rev() {
                    if let Input::Output(source, _) = input {
                        stack.push((source.bind(py).clone(), false));
                    }
                }
            }
        }
        let mut assembly = Assembly::new();
        for parameter in &parameters {
            let parameter = parameter.get();
            assembly
                .add_control(
                    parameter.name.as_deref().unwrap_or("None"),
                    control_rate(parameter.rate_number),
                    &parameter.values,
                    parameter.lag.unwrap_or(0.0),
                )
                .map_err(|error| exception(py, &error))?;
        }
        for ugen in &ugens {
            add_ugen(py, &mut assembly, ugen.bind(py), |source, output| {
                let number = numbers.get(&(source.as_ptr() as usize)).copied().unwrap_or(0);
                Ok(if source.bind(py).cast::<Parameter>().is_ok() {
                    AssemblyInput::Control { control: number, value: output }
                } else {
                    AssemblyInput::Output { ugen: number, output }
                })
            })?;
        }
        let assembled = assembly.compile(false).map_err(|error| exception(py, &error))?;
        let synthdef = assembled.synthdef(None).map_err(|error| exception(py, &error))?;
        Ok(Self::new(
            synthdef,
            Source::Builder { assembled: Box::new(assembled), ugens, parameters },
        ))
    }

    /// The UGens in the order in which the server runs them.
    #[getter]
    fn ugens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let ugens = self.ugens.get_or_try_init(py, || {
            Ok::<_, PyErr>(match &self.source {
                Source::Builder { assembled, ugens, parameters } => {
                    Self::built_ugens(py, assembled, ugens, parameters)?.unbind()
                }
                Source::Objects(ugens) => ugens.clone_ref(py),
                Source::File => self.read_ugens(py)?.unbind(),
            })
        })?;
        Ok(ugens.bind(py).clone())
    }

    /// The hexadecimal MD5 digest of the graph.
    #[getter]
    fn anonymous_name(&self) -> &str {
        self.synthdef.anonymous_name()
    }

    /// Whether there is a control named `gate`.
    #[getter]
    fn has_gate(&self) -> bool {
        self.synthdef.has_gate()
    }

    /// The file that holds this graph alone under a name, or under that of its digest.
    #[pyo3(signature = (name=None))]
    fn compile<'py>(&self, py: Python<'py>, name: Option<&str>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = match name {
            Some(name) => {
                let named = self.synthdef.renamed(name).map_err(|error| exception(py, &error))?;
                named.compile()
            }
            None => self.synthdef.compile(),
        };
        Ok(PyBytes::new(py, &bytes))
    }
}

/// The file that holds several graphs under names, or under those of their digests.
#[pyfunction]
pub(crate) fn compile_graphs<'py>(
    py: Python<'py>,
    graphs: Vec<(Option<String>, Py<CompiledGraph>)>,
) -> PyResult<Bound<'py, PyBytes>> {
    if graphs.len() > usize::from(u16::MAX) {
        return Err(PyValueError::new_err(format!(
            "a file holds at most 65535 SynthDefs, found {}",
            graphs.len()
        )));
    }
    let synthdefs = graphs
        .iter()
        .map(|(name, graph)| match name {
            Some(name) => graph.get().synthdef.renamed(name.as_str()),
            None => Ok(graph.get().synthdef.clone()),
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| exception(py, &error))?;
    Ok(PyBytes::new(py, &SynthDef::compile_all(&synthdefs)))
}

/// The names and graphs of a file; the name of an anonymous SynthDef is `None`.
#[pyfunction]
pub(crate) fn read_graphs(
    py: Python<'_>,
    value: &[u8],
) -> PyResult<Vec<(Option<String>, CompiledGraph)>> {
    let synthdefs = SynthDef::read_all(value).map_err(|error| exception(py, &error))?;
    let graphs = synthdefs.into_iter().map(|synthdef| {
        let name =
            (synthdef.name() != synthdef.anonymous_name()).then(|| synthdef.name().to_owned());
        (name, CompiledGraph::new(synthdef, Source::File))
    });
    Ok(graphs.collect())
}
