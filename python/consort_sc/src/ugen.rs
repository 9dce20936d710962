//! `UGen`: the base class of all UGens.

use std::cell::RefCell;
use std::sync::OnceLock;

use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PySlice, PyString, PyTuple, PyType};

use crate::classes::ClassSpec;
use crate::construct::{self, Draft};
use crate::handles;
use crate::operable::{OutputProxy, UGenOperable};
use crate::rate;
use crate::value::Value;
use crate::vector::UGenVector;

/// An input of a UGen.
#[derive(Debug)]
pub(crate) enum Input {
    /// A number.
    Constant(f64),
    /// An output of a UGen.
    Output(Py<UGen>, u32),
}

impl Input {
    /// A number or an `OutputProxy`.
    pub(crate) fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Constant(value) => Ok(PyFloat::new(py, *value).into_any()),
            Self::Output(ugen, output) => OutputProxy::create(py, ugen.clone_ref(py), *output),
        }
    }
}

/// The content of a UGen; it does not change.
#[derive(Debug)]
pub(crate) struct UGenData {
    pub(crate) spec: Py<ClassSpec>,
    pub(crate) rate: u8,
    pub(crate) special_index: i16,
    pub(crate) outputs: u16,
    pub(crate) inputs: Vec<Input>,
    /// How many inputs each parameter that takes a list has, in their order.
    pub(crate) list_lengths: Vec<u32>,
    /// The builder that it belongs to; zero for none.
    pub(crate) scope: u64,
    /// Its number among the UGens, or the parameters, of the builder.
    pub(crate) number: u32,
}

impl UGenData {
    /// Number of inputs of a parameter.
    pub(crate) fn input_count(&self, position: usize) -> usize {
        let keys = &self.spec.get().keys;
        if keys[position].unexpanded {
            let list = keys[..position].iter().filter(|key| key.unexpanded).count();
            self.list_lengths[list] as usize
        } else {
            1
        }
    }
}

/// A unit generator: a node of a SynthDef's graph, and the sequence of its outputs.
///
/// The methods `ar`, `kr`, `ir` and `dr` of the classes create UGens at audio, control, scalar and
/// demand rate.
#[pyclass(subclass, frozen, extends = UGenOperable, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct UGen {
    pub(crate) data: OnceLock<UGenData>,
}

thread_local! {
    /// The inputs of UGens that are being dropped on this thread; `None` while there are none.
    static DROPPED: RefCell<Option<Vec<Py<UGen>>>> = const { RefCell::new(None) };
}

/// Drops long chains of UGens one after the other. Dropped from within one another, they would
/// overflow the stack.
impl Drop for UGen {
    fn drop(&mut self) {
        let inputs = self.data.take().into_iter().flat_map(|data| data.inputs);
        let sources = inputs.filter_map(|input| match input {
            Input::Output(ugen, _) => Some(ugen),
            Input::Constant(_) => None,
        });
        let is_outermost = DROPPED.with_borrow_mut(|dropped| match dropped {
            Some(dropped) => {
                dropped.extend(sources);
                false
            }
            None => {
                *dropped = Some(sources.collect());
                true
            }
        });
        if is_outermost {
            // The borrow ends before the UGen is dropped, which adds its inputs.
            while let Some(ugen) =
                DROPPED.with_borrow_mut(|dropped| dropped.as_mut().and_then(Vec::pop))
            {
                drop(ugen);
            }
            DROPPED.with_borrow_mut(Option::take);
        }
    }
}

impl UGen {
    /// The content.
    ///
    /// # Errors
    /// If a subclass has not called `UGen.__init__`.
    pub(crate) fn data(&self) -> PyResult<&UGenData> {
        self.data.get().ok_or_else(|| {
            PyRuntimeError::new_err("the UGen is not initialised: call super().__init__(…)")
        })
    }

    /// Sets the content of a new object.
    pub(crate) fn set_data(&self, data: UGenData) -> PyResult<()> {
        self.data.set(data).map_err(|_| PyRuntimeError::new_err("the UGen is initialised already"))
    }

    /// An object of the class without content.
    pub(crate) fn empty() -> PyClassInitializer<Self> {
        PyClassInitializer::from(UGenOperable).add_subclass(Self { data: OnceLock::new() })
    }
}

/// The specification of a class, which the classes below it share.
pub(crate) fn spec_of(class: &Bound<'_, PyType>) -> PyResult<Py<ClassSpec>> {
    Ok(class.getattr(pyo3::intern!(class.py(), "_spec"))?.cast_into::<ClassSpec>()?.unbind())
}

#[pymethods]
impl UGen {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        Self::empty()
    }

    /// Creates a UGen with inputs that are not expanded, and adds it to the innermost
    /// `SynthDefBuilder` of this thread, if there is one.
    #[pyo3(signature = (*, calculation_rate=None, special_index=0, **kwargs))]
    fn __init__(
        slf: &Bound<'_, Self>,
        calculation_rate: Option<&Bound<'_, PyAny>>,
        special_index: i64,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let class = slf.get_type();
        let spec = spec_of(&class)?;
        let rate = match calculation_rate {
            Some(expression) => rate::from_expression(expression)?,
            None if spec.get().keys.is_empty() && spec.get().rates == 0 => 0,
            None => {
                return Err(PyTypeError::new_err(format!(
                    "{}.__init__() missing 1 required keyword-only argument: 'calculation_rate'",
                    class.name()?
                )));
            }
        };
        let draft = Draft::from_keywords(py, spec.get(), kwargs, "__init__", true)?;
        construct::initialize(slf, spec, rate, special_index, draft)
    }

    /// Creates UGens, one for each channel of the longest list among the inputs.
    #[classmethod]
    #[pyo3(signature = (*, calculation_rate, special_index=0, **kwargs))]
    fn _new_expanded<'py>(
        cls: &Bound<'py, PyType>,
        calculation_rate: Option<&Bound<'py, PyAny>>,
        special_index: i64,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let spec = spec_of(cls)?;
        let rate = rate::from_optional(calculation_rate)?;
        let draft = Draft::from_keywords(cls.py(), spec.get(), kwargs, "_new_expanded", true)?;
        construct::expanded(cls, &spec, rate, special_index, draft)
    }

    /// Creates one UGen; subclasses may return another object.
    #[classmethod]
    #[pyo3(signature = (*, calculation_rate=None, special_index=0, **kwargs))]
    fn _new_single<'py>(
        cls: &Bound<'py, PyType>,
        calculation_rate: Option<&Bound<'py, PyAny>>,
        special_index: i64,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let spec = spec_of(cls)?;
        let rate = rate::from_optional(calculation_rate)?;
        let draft = Draft::from_keywords(cls.py(), spec.get(), kwargs, "_new_single", true)?;
        construct::instance(cls, &spec, rate, special_index, draft)
    }

    /// Changes the inputs before they are stored; the base class returns them as they are.
    #[pyo3(signature = (*, calculation_rate, **kwargs))]
    fn _postprocess_kwargs<'py>(
        slf: &Bound<'py, Self>,
        calculation_rate: Bound<'py, PyAny>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> (Bound<'py, PyAny>, Bound<'py, PyDict>) {
        (calculation_rate, kwargs.unwrap_or_else(|| PyDict::new(slf.py())))
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::from(self.data()?.outputs))
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        i: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let count = isize::try_from(slf.get().data()?.outputs)?;
        let output = |index| OutputProxy::create(py, slf.clone().unbind(), index as u32);
        if let Ok(slice) = i.cast::<PySlice>() {
            let range = slice.indices(count)?;
            let mut values = Vec::new();
            let mut index = range.start;
            for _ in 0..range.slicelength {
                values.push(output(index)?.unbind());
                index += range.step;
            }
            return UGenVector::create(py, values);
        }
        let index: isize = i.extract()?;
        let position = if index < 0 { index + count } else { index };
        if !(0..count).contains(&position) {
            return Err(PyIndexError::new_err(format!(
                "output index {index} out of range: the UGen has {count} outputs"
            )));
        }
        output(position)
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let outputs = u32::from(slf.get().data()?.outputs);
        let items = (0..outputs)
            .map(|index| OutputProxy::create(slf.py(), slf.clone().unbind(), index))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(slf.py(), items)?.try_iter()?.into_any())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let data = slf.get().data()?;
        Ok(format!("<{}>", label(slf, data)?))
    }

    /// The rate at which the UGen computes.
    #[getter]
    fn calculation_rate(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        handles::calculation_rate(py, self.data()?.rate)
    }

    /// Whether the UGen sets the server's done flag when it has finished.
    #[getter]
    fn has_done_flag(slf: &Bound<'_, Self>) -> PyResult<bool> {
        flag(slf, consort_synthdef::ugens::UGenFlags::DONE)
    }

    /// The inputs: numbers and outputs of UGens.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let inputs = self.data()?.inputs.iter().map(|input| input.to_python(py));
        PyTuple::new(py, inputs.collect::<PyResult<Vec<_>>>()?)
    }

    /// Whether the UGen reads buses.
    #[getter]
    fn is_input_ugen(slf: &Bound<'_, Self>) -> PyResult<bool> {
        flag(slf, consort_synthdef::ugens::UGenFlags::INPUT)
    }

    /// Whether the UGen writes buses.
    #[getter]
    fn is_output_ugen(slf: &Bound<'_, Self>) -> PyResult<bool> {
        flag(slf, consort_synthdef::ugens::UGenFlags::OUTPUT)
    }

    /// The operator of operator UGens, the first control of control UGens, zero for others.
    #[getter]
    fn special_index(&self) -> PyResult<i16> {
        Ok(self.data()?.special_index)
    }

    /// The name of each input; inputs of a list have the form `(name, index)`.
    #[getter]
    fn _input_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let data = self.data()?;
        let mut names = Vec::with_capacity(data.inputs.len());
        for (position, key) in data.spec.get().keys.iter().enumerate() {
            let name = key.name.bind(py);
            if key.unexpanded {
                for index in 0..data.input_count(position) {
                    names.push((name, index).into_pyobject(py)?.into_any());
                }
            } else {
                names.push(name.clone().into_any());
            }
        }
        PyTuple::new(py, names)
    }

    /// The input, or the tuple of inputs, of the parameter at a position.
    fn _input_at<'py>(&self, py: Python<'py>, position: usize) -> PyResult<Bound<'py, PyAny>> {
        let data = self.data()?;
        let keys = &data.spec.get().keys;
        if position >= keys.len() {
            return Err(PyValueError::new_err(format!("there is no parameter {position}")));
        }
        let start: usize = (0..position).map(|position| data.input_count(position)).sum();
        let inputs = &data.inputs[start..start + data.input_count(position)];
        if keys[position].unexpanded {
            let inputs = inputs.iter().map(|input| input.to_python(py));
            return Ok(PyTuple::new(py, inputs.collect::<PyResult<Vec<_>>>()?)?.into_any());
        }
        inputs[0].to_python(py)
    }

    /// What `pickle` and `copy` need: class, arguments of the content.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let data = slf.get().data()?;
        let inputs = slf.get().inputs(py)?;
        let state = (
            slf.get_type(),
            data.rate,
            data.special_index,
            data.outputs,
            inputs,
            data.list_lengths.clone(),
        );
        let restore = py.import("consort_sc._core")?.getattr("restore_ugen")?;
        Ok((restore, state).into_pyobject(py)?.into_any())
    }
}

/// Restores a UGen that was copied or pickled; it belongs to no builder.
#[pyfunction]
pub(crate) fn restore_ugen<'py>(
    kind: &Bound<'py, PyType>,
    rate: u8,
    special_index: i16,
    outputs: u16,
    inputs: Vec<Bound<'py, PyAny>>,
    list_lengths: Vec<u32>,
) -> PyResult<Bound<'py, PyAny>> {
    let inputs = inputs
        .iter()
        .map(|input| {
            Value::from_python(input, None)?
                .into_input()
                .ok_or_else(|| PyValueError::new_err("an input of a stored UGen is a list"))
        })
        .collect::<PyResult<Vec<_>>>()?;
    let spec = spec_of(kind)?;
    let fixed = spec.get().keys.iter().filter(|key| !key.unexpanded).count();
    let listed: u32 = list_lengths.iter().sum();
    let lists = spec.get().keys.len() - fixed;
    if rate > 3 || inputs.len() != fixed + listed as usize || lists != list_lengths.len() {
        return Err(PyValueError::new_err("the stored UGen is damaged"));
    }
    let data =
        UGenData { spec, rate, special_index, outputs, inputs, list_lengths, scope: 0, number: 0 };
    let object = construct::allocate(kind)?;
    object.get().set_data(data)?;
    Ok(object.into_any())
}

fn flag(slf: &Bound<'_, UGen>, flag: consort_synthdef::ugens::UGenFlags) -> PyResult<bool> {
    Ok(slf.get().data()?.spec.get().flags.contains(flag))
}

/// The class and the rate: `SinOsc.ar`.
pub(crate) fn label(slf: &Bound<'_, UGen>, data: &UGenData) -> PyResult<String> {
    let py = slf.py();
    let class = slf.get_type();
    let name = class.name()?;
    if let Some(operator) = handles::operator_name(py, &name.to_string_lossy(), data.special_index)?
    {
        return Ok(format!("{name}.{}({operator})", rate::TOKENS[usize::from(data.rate)]));
    }
    if let Ok(parameter) = slf.cast::<crate::parameter::Parameter>() {
        return Ok(format!(
            "{name}.{}({})",
            rate::TOKENS[usize::from(data.rate)],
            parameter.get().name.as_deref().unwrap_or("None")
        ));
    }
    Ok(format!("{name}.{}()", rate::TOKENS[usize::from(data.rate)]))
}

/// The name under which a UGen is compiled: that of its class.
pub(crate) fn compiled_name<'py>(ugen: &Bound<'py, UGen>) -> PyResult<Bound<'py, PyString>> {
    ugen.get_type().name()
}
