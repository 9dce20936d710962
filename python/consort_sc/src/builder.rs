//! `SynthDefBuilder`: collects the UGens of a SynthDef while it is written.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::graph::CompiledGraph;
use crate::handles;
use crate::operable::OutputProxy;
use crate::parameter::{Parameter, numbers};
use crate::ugen::{Input, UGen};

/// The number of the next builder. It identifies the builder of a UGen; zero is none.
static NEXT_SCOPE: AtomicU64 = AtomicU64::new(1);

/// The maximum number of UGens of a SynthDef.
const MAX_UGENS: usize = 65_535;

thread_local! {
    /// The builders that are entered on this thread, the innermost last.
    static ACTIVE: RefCell<Vec<Py<BuilderBase>>> = const { RefCell::new(Vec::new()) };
}

/// Collects UGens. `SynthDefBuilder` derives from it.
#[pyclass(subclass, frozen, module = "consort_sc._core")]
#[derive(Debug)]
pub(crate) struct BuilderBase {
    scope: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ugens: Vec<Py<UGen>>,
    parameters: Vec<Py<Parameter>>,
}

/// Adds a UGen to the innermost builder of this thread. Returns the builder's scope and the UGen's
/// number.
///
/// # Errors
/// If an input belongs to another builder, or to none.
pub(crate) fn register(ugen: &Bound<'_, UGen>, inputs: &[Input]) -> PyResult<(u64, u32)> {
    ACTIVE.with_borrow(|active| {
        let builder = active.last().map(|builder| builder.get());
        let scope = builder.map_or(0, |builder| builder.scope);
        for input in inputs {
            if let Input::Output(input, _) = input
                && input.get().data()?.scope != scope
            {
                return Err(handles::synthdef_error(
                    ugen.py(),
                    format!(
                        "UGen input in different scope: an input of {} was created in another \
                         SynthDefBuilder, or outside of one",
                        ugen.get_type().name()?
                    ),
                ));
            }
        }
        let Some(builder) = builder else {
            return Ok((0, 0));
        };
        let mut state = builder.lock()?;
        if state.ugens.len() >= MAX_UGENS {
            return Err(handles::synthdef_error(
                ugen.py(),
                format!("a SynthDef has at most {MAX_UGENS} UGens"),
            ));
        }
        state.ugens.push(ugen.clone().unbind());
        Ok((scope, state.ugens.len() as u32 - 1))
    })
}

impl BuilderBase {
    fn lock(&self) -> PyResult<std::sync::MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| PyRuntimeError::new_err("the builder has failed before"))
    }

    fn add<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        values: Vec<f64>,
        rate: u8,
        lag: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut state = self.lock()?;
        let is_known = |known: &Py<Parameter>| known.get().name.as_deref() == Some(name);
        if state.parameters.iter().any(is_known) {
            return Err(PyValueError::new_err(format!("there is a parameter `{name}` already")));
        }
        let number = state.parameters.len() as u32;
        let parameter =
            Parameter::create(py, Some(name.to_owned()), values, rate, lag, self.scope, number)?;
        state.parameters.push(parameter.clone().unbind());
        Self::shown(parameter)
    }

    /// A parameter of one value is shown as its output.
    fn shown(parameter: Bound<'_, Parameter>) -> PyResult<Bound<'_, PyAny>> {
        let py = parameter.py();
        if parameter.get().values.len() == 1 {
            return OutputProxy::create(py, parameter.into_super().unbind(), 0);
        }
        Ok(parameter.into_any())
    }
}

#[pymethods]
impl BuilderBase {
    #[new]
    #[pyo3(signature = (**kwargs))]
    fn new(py: Python<'_>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let builder = Self {
            scope: NEXT_SCOPE.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State::default()),
        };
        for (name, value) in kwargs.into_iter().flatten() {
            let name = name.cast_into::<PyString>()?;
            let name = name.to_str()?;
            match value.cast::<Parameter>() {
                Ok(parameter) => {
                    let parameter = parameter.get();
                    let values = parameter.values.clone();
                    builder.add(py, name, values, parameter.rate_number, parameter.lag)?
                }
                Err(_) => builder.add(py, name, numbers(&value)?, 3, None)?,
            };
        }
        Ok(builder)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        ACTIVE.with_borrow_mut(|active| active.push(slf.clone().unbind()));
        slf
    }

    #[pyo3(signature = (exc_type=None, exc_value=None, traceback=None))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        let left = ACTIVE.with_borrow_mut(|active| {
            let position = active.iter().rposition(|builder| builder.is(slf));
            position.map(|position| active.remove(position))
        });
        drop(left);
    }

    fn __getitem__<'py>(&self, py: Python<'py>, item: &str) -> PyResult<Bound<'py, PyAny>> {
        let state = self.lock()?;
        let has_name = |parameter: &&Py<Parameter>| parameter.get().name.as_deref() == Some(item);
        match state.parameters.iter().find(has_name) {
            Some(parameter) => Self::shown(parameter.bind(py).clone()),
            None => Err(PyKeyError::new_err(item.to_owned())),
        }
    }

    /// Adds a parameter and returns its output, or the parameter if it has several values. `lag` is
    /// in seconds.
    #[pyo3(signature = (*, name, value, rate=None, lag=None))]
    fn add_parameter<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        value: &Bound<'py, PyAny>,
        rate: Option<&Bound<'py, PyAny>>,
        lag: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rate = match rate {
            Some(rate) => handles::parameter_rate(py, rate)?.0,
            None => 3,
        };
        self.add(py, name, numbers(value)?, rate, lag)
    }

    /// Compiles the UGens that have been added so far.
    fn _compile(&self, py: Python<'_>, optimize: bool) -> PyResult<CompiledGraph> {
        let state = self.lock()?;
        CompiledGraph::assemble(py, &state.ugens, &state.parameters, optimize)
    }
}
