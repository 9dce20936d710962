//! Creating UGens: keyword arguments, multichannel expansion, objects.
//!
//! ```text
//! expanded      one UGen for each channel of the longest list among the inputs
//! instance      one UGen, or what `_new_single` of the class returns
//! initialize    sets the content of a new object and adds it to its builder
//! ```
#![allow(unsafe_code)] // the slot `tp_new` of UGen is called directly, once for each UGen

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::algebra;
use crate::builder;
use crate::classes::{ClassSpec, Default};
use crate::handles;
use crate::hooks::{self, Hook};
use crate::operable::OutputProxy;
use crate::rate;
use crate::ugen::{UGen, UGenData};
use crate::value::{MAX_LIST_DEPTH, Value};
use crate::vector::UGenVector;

/// The arguments of a UGen before it exists.
pub(crate) struct Draft {
    /// One for each parameter.
    pub(crate) values: Vec<Value>,
    /// The number of outputs, if it is given.
    pub(crate) channel_count: Option<Value>,
}

impl Draft {
    /// Reads keyword arguments; `function` is the name of the called function for errors.
    /// With `allow_more`, unknown arguments are ignored.
    pub(crate) fn from_keywords(
        py: Python<'_>,
        spec: &ClassSpec,
        keywords: Option<&Bound<'_, PyDict>>,
        function: &str,
        allow_more: bool,
    ) -> PyResult<Self> {
        let mut values = Vec::with_capacity(spec.keys.len());
        let mut given = 0;
        for key in &spec.keys {
            let name = key.name.bind(py);
            let argument = match keywords {
                Some(keywords) => keywords.get_item(name)?,
                None => None,
            };
            values.push(match argument {
                Some(argument) => {
                    given += 1;
                    Value::from_python(&argument, Some(name.to_str()?))?
                }
                None if key.default == Default::Required => {
                    return Err(missing(spec, py, function, name));
                }
                None => key.default.value(),
            });
        }
        let mut channel_count = None;
        if let Some(keywords) = keywords
            && keywords.len() > given
        {
            if spec.is_multichannel
                && let Some(count) = keywords.get_item("channel_count")?
            {
                given += 1;
                channel_count = Some(Value::from_python(&count, Some("channel_count"))?);
            }
            if keywords.len() > given && !allow_more {
                return Err(unexpected(spec, py, function, keywords));
            }
        }
        Ok(Self { values, channel_count })
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            values: self.values.iter().map(|value| value.clone_ref(py)).collect(),
            channel_count: self.channel_count.as_ref().map(|count| count.clone_ref(py)),
        }
    }

    /// The arguments as keyword arguments of Python.
    fn to_keywords<'py>(&self, py: Python<'py>, spec: &ClassSpec) -> PyResult<Bound<'py, PyDict>> {
        let keywords = PyDict::new(py);
        for (key, value) in spec.keys.iter().zip(&self.values) {
            if !matches!(value, Value::Missing) {
                keywords.set_item(key.name.bind(py), value.to_python(py)?)?;
            }
        }
        match &self.channel_count {
            Some(Value::Number(count)) => {
                keywords.set_item("channel_count", hooks::channel_count(*count)?)?;
            }
            Some(count) => keywords.set_item("channel_count", count.to_python(py)?)?,
            None => {}
        }
        Ok(keywords)
    }
}

fn missing(spec: &ClassSpec, py: Python<'_>, function: &str, name: &Bound<'_, PyString>) -> PyErr {
    PyTypeError::new_err(format!(
        "{}.{function}() missing 1 required keyword-only argument: '{name}'",
        spec.name.bind(py)
    ))
}

fn unexpected(
    spec: &ClassSpec,
    py: Python<'_>,
    function: &str,
    keywords: &Bound<'_, PyDict>,
) -> PyErr {
    let known = |name: &Bound<'_, PyAny>| {
        spec.keys.iter().any(|key| name.eq(key.name.bind(py)).unwrap_or(false))
            || (spec.is_multichannel && name.eq("channel_count").unwrap_or(false))
    };
    let name = keywords.keys().iter().find(|name| !known(name));
    let name = name.map_or_else(String::new, |name| name.to_string());
    let names: Vec<String> = spec.keys.iter().map(|key| key.name.bind(py).to_string()).collect();
    PyTypeError::new_err(format!(
        "{}.{function}() got an unexpected keyword argument '{name}'; its inputs are: {}",
        spec.name.bind(py),
        names.join(", ")
    ))
}

/// Whether a list has a list among its items.
fn is_nested(items: &[Value]) -> bool {
    items.iter().any(Value::is_list)
}

/// How many UGens the inputs need, if they are expanded.
fn width(spec: &ClassSpec, draft: &Draft, py: Python<'_>) -> PyResult<Option<usize>> {
    let mut width = None;
    let keys = spec.keys.iter().map(|key| (key.unexpanded, Some(key)));
    for ((unexpanded, key), value) in
        keys.chain([(false, None)]).zip(draft.values.iter().chain(&draft.channel_count))
    {
        let Value::List(items) = value else { continue };
        if !unexpanded {
            if items.is_empty() {
                let name = key.map_or("channel_count", |key| key.name.to_str(py).unwrap_or(""));
                return Err(PyValueError::new_err(format!(
                    "`{name}`: expected a number, a UGen or a sequence of these, found an empty \
                     sequence"
                )));
            }
            width = width.max(Some(items.len()));
        } else if is_nested(items) {
            width = width.max(Some(items.len()));
        }
    }
    Ok(width)
}

/// The arguments of the UGen of one channel.
fn channel(spec: &ClassSpec, draft: &Draft, index: usize, py: Python<'_>) -> Draft {
    let at = |items: &[Value], index: usize| match items.len() {
        0 => Value::Missing,
        length => items[index % length].clone_ref(py),
    };
    let values = spec.keys.iter().zip(&draft.values).map(|(key, value)| match value {
        Value::List(items) if !key.unexpanded || is_nested(items) => at(items, index),
        value => value.clone_ref(py),
    });
    let channel_count = draft.channel_count.as_ref().map(|count| match count {
        Value::List(items) => at(items, index),
        count => count.clone_ref(py),
    });
    Draft { values: values.collect(), channel_count }
}

/// Creates UGens, one for each channel. A list of one channel is replaced by this channel, except
/// directly inside of another such list.
pub(crate) fn expanded<'py>(
    class: &Bound<'py, PyType>,
    spec: &Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    draft: Draft,
) -> PyResult<Bound<'py, PyAny>> {
    expand_below(class, spec, rate, special_index, draft, Level { depth: 0, replaces: true })
}

/// A level of nested lists.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    pub(crate) depth: usize,
    /// Whether a list of one channel is replaced by the channel.
    pub(crate) replaces: bool,
}

impl Level {
    /// The level inside of a list of this many channels.
    pub(crate) fn inside(self, width: usize) -> PyResult<Self> {
        if self.depth > MAX_LIST_DEPTH {
            return Err(PyValueError::new_err(format!(
                "lists of inputs may be nested at most {MAX_LIST_DEPTH} deep"
            )));
        }
        Ok(Self { depth: self.depth + 1, replaces: !self.is_replaced(width) })
    }

    /// Whether the list is replaced by its only channel.
    pub(crate) fn is_replaced(self, width: usize) -> bool {
        self.replaces && width == 1
    }
}

fn expand_below<'py>(
    class: &Bound<'py, PyType>,
    spec: &Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    draft: Draft,
    level: Level,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let Some(width) = width(spec.get(), &draft, py)? else {
        return single(class, spec, rate, special_index, draft);
    };
    let inside = level.inside(width)?;
    let mut results = Vec::with_capacity(width);
    for index in 0..width {
        let channel = channel(spec.get(), &draft, index, py);
        let result = expand_below(class, spec, rate, special_index, channel, inside)?;
        if level.is_replaced(width) {
            return Ok(result);
        }
        results.push(match result.extract::<f64>() {
            Ok(number) if result.cast::<crate::operable::UGenOperable>().is_err() => {
                algebra::operable(py, Value::Number(number))?.unbind()
            }
            _ => result.unbind(),
        });
    }
    UGenVector::create(py, results)
}

/// Which methods of `UGen` a class overrides.
struct Overrides {
    new_single: bool,
    initialize: bool,
    postprocess: bool,
}

fn overrides(class: &Bound<'_, PyType>) -> PyResult<Overrides> {
    let py = class.py();
    let base = py.get_type::<UGen>();
    let differs = |name: &Bound<'_, PyString>| -> PyResult<bool> {
        // Class methods are bound anew at each look-up, so that they are compared in the classes'
        // dictionaries.
        for class in class.mro().iter() {
            if class.is(&base) {
                return Ok(false);
            }
            if class.getattr("__dict__")?.contains(name)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    Ok(Overrides {
        new_single: differs(pyo3::intern!(py, "_new_single"))?,
        initialize: differs(pyo3::intern!(py, "__init__"))?,
        postprocess: differs(pyo3::intern!(py, "_postprocess_kwargs"))?,
    })
}

/// Whether the class is defined by the package, which overrides nothing.
fn is_plain(class: &Bound<'_, PyType>, spec: &ClassSpec) -> bool {
    spec.plain_owner.load(Ordering::Relaxed) == class.as_ptr()
}

/// Creates one UGen, or what `_new_single` of a derived class returns.
fn single<'py>(
    class: &Bound<'py, PyType>,
    spec: &Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    draft: Draft,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    if !is_plain(class, spec.get()) && overrides(class)?.new_single {
        let keywords = draft.to_keywords(py, spec.get())?;
        keywords.set_item("calculation_rate", handles::calculation_rate(py, rate)?)?;
        keywords.set_item("special_index", special_index)?;
        return class.call_method("_new_single", (), Some(&keywords));
    }
    match spec.get().hook {
        Hook::MultiplyAdd => {
            let [source, multiplier, addend] = take(draft.values)?;
            algebra::multiply_add(py, source, multiplier, addend)
        }
        Hook::Sum if draft.values.len() == 3 => algebra::sum_3(py, take(draft.values)?),
        Hook::Sum => algebra::sum_4(py, take(draft.values)?),
        _ => instance(class, spec, rate, special_index, draft),
    }
}

/// The values of a UGen whose inputs are all given.
fn take<const N: usize>(values: Vec<Value>) -> PyResult<[Value; N]> {
    values.try_into().map_err(|_| PyValueError::new_err(format!("expected {N} inputs")))
}

/// Creates one UGen; the result is its output if it has one, else the UGen.
pub(crate) fn instance<'py>(
    class: &Bound<'py, PyType>,
    spec: &Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    draft: Draft,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let ugen = object(class, spec, rate, special_index, draft)?;
    if ugen.get().data()?.outputs == 1 {
        return OutputProxy::create(py, ugen.unbind(), 0);
    }
    Ok(ugen.into_any())
}

/// Creates one UGen.
pub(crate) fn object<'py>(
    class: &Bound<'py, PyType>,
    spec: &Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    draft: Draft,
) -> PyResult<Bound<'py, UGen>> {
    let py = class.py();
    if !is_plain(class, spec.get()) && overrides(class)?.initialize {
        let keywords = draft.to_keywords(py, spec.get())?;
        keywords.set_item("calculation_rate", handles::calculation_rate(py, rate)?)?;
        keywords.set_item("special_index", special_index)?;
        return Ok(class.call((), Some(&keywords))?.cast_into::<UGen>()?);
    }
    let ugen = allocate(class)?;
    initialize(&ugen, spec.clone_ref(py), rate, special_index, draft)?;
    Ok(ugen)
}

/// An object of a class that derives from `UGen`, without content.
pub(crate) fn allocate<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, UGen>> {
    /// `tp_new` of `UGen`.
    static NEW: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(std::ptr::null_mut());
    let py = class.py();
    let mut slot = NEW.load(Ordering::Relaxed);
    if slot.is_null() {
        let base = py.get_type::<UGen>();
        // SAFETY: `base` is a type object, and the interpreter's lock is held.
        slot = unsafe { ffi::PyType_GetSlot(base.as_type_ptr(), ffi::Py_tp_new) };
        NEW.store(slot, Ordering::Relaxed);
    }
    if slot.is_null() || !class.is_subclass_of::<UGen>()? {
        return Err(PyTypeError::new_err(format!("{} is not a class of UGens", class.repr()?)));
    }
    // SAFETY: the slot `tp_new` of a type has this signature.
    let new = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(slot) };
    // SAFETY: `class` derives from `UGen`, whose `tp_new` gets an empty tuple and no keywords; it
    // returns a new reference, or null and an exception.
    let object = unsafe {
        let arguments = PyTuple::empty(py);
        let object = new(class.as_type_ptr(), arguments.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, object)?
    };
    Ok(object.cast_into::<UGen>()?)
}

/// Sets the content of a new object and adds it to the innermost builder.
pub(crate) fn initialize(
    ugen: &Bound<'_, UGen>,
    spec: Py<ClassSpec>,
    rate: u8,
    special_index: i64,
    mut draft: Draft,
) -> PyResult<()> {
    let py = ugen.py();
    let class = spec.get();
    let special_index = i16::try_from(special_index).map_err(|_| {
        PyValueError::new_err(format!(
            "invalid special index {special_index}: expected -32768 to 32767"
        ))
    })?;
    if class.rates != 0 && class.rates & 1 << rate == 0 {
        return Err(unsupported_rate(class, py, rate));
    }
    let mut outputs = class.channel_count;
    match &draft.channel_count {
        Some(Value::Number(count)) => outputs = hooks::channel_count(*count)?,
        Some(_) => {
            return Err(PyTypeError::new_err("`channel_count`: expected a whole number"));
        }
        None => {}
    }
    class.hook.prepare(py, class, rate, &mut draft.values, &mut outputs)?;
    let mut rate = rate;
    let type_ = ugen.get_type();
    if !is_plain(&type_, class) && overrides(&type_)?.postprocess {
        let keywords = draft.to_keywords(py, class)?;
        keywords.set_item("calculation_rate", handles::calculation_rate(py, rate)?)?;
        let result = ugen.call_method("_postprocess_kwargs", (), Some(&keywords))?;
        let (new_rate, keywords): (Bound<'_, PyAny>, Bound<'_, PyDict>) = result.extract()?;
        rate = rate::from_expression(&new_rate)?;
        draft = Draft::from_keywords(py, class, Some(&keywords), "_postprocess_kwargs", true)?;
        if ugen.hasattr("_channel_count")? {
            outputs = hooks::channel_count(ugen.getattr("_channel_count")?.extract()?)?;
        }
    }
    let mut inputs = Vec::with_capacity(draft.values.len());
    let mut list_lengths = Vec::new();
    for (key, value) in class.keys.iter().zip(draft.values) {
        let name = || key.name.bind(py).to_string();
        if key.unexpanded {
            let items = match value {
                Value::List(items) => items,
                value => vec![value],
            };
            list_lengths.push(items.len() as u32);
            for item in items {
                inputs.push(item.into_input().ok_or_else(|| not_single(&name()))?);
            }
        } else {
            inputs.push(match value {
                Value::Missing => {
                    return Err(PyValueError::new_err(format!("missing input `{}`", name())));
                }
                value => value.into_input().ok_or_else(|| not_single(&name()))?,
            });
        }
    }
    let (scope, number) = builder::register(ugen, &inputs)?;
    ugen.get().set_data(UGenData {
        spec,
        rate,
        special_index,
        outputs,
        inputs,
        list_lengths,
        scope,
        number,
    })
}

fn not_single(name: &str) -> PyErr {
    PyValueError::new_err(format!("`{name}`: expected a number or an output, found a sequence"))
}

fn unsupported_rate(spec: &ClassSpec, py: Python<'_>, rate: u8) -> PyErr {
    let rates: Vec<&str> = (0..4)
        .filter(|rate| spec.rates & 1 << rate != 0)
        .map(|rate| rate::TOKENS[rate as usize])
        .collect();
    PyValueError::new_err(format!(
        "{} does not run at {}; it runs at {}",
        spec.name.bind(py),
        rate::TOKENS[usize::from(rate)],
        rates.join(", ")
    ))
}

/// Creates an operator UGen, or another that is not expanded, and returns its first output.
pub(crate) fn operator<'py>(
    py: Python<'py>,
    name: &str,
    rate: u8,
    special_index: i16,
    inputs: Vec<Value>,
) -> PyResult<Bound<'py, PyAny>> {
    let ugen = operator_object(py, name, rate, special_index, inputs)?;
    OutputProxy::create(py, ugen.unbind(), 0)
}

/// As [`operator`]; returns the UGen.
pub(crate) fn operator_object<'py>(
    py: Python<'py>,
    name: &str,
    rate: u8,
    special_index: i16,
    inputs: Vec<Value>,
) -> PyResult<Bound<'py, UGen>> {
    let class = handles::known_class(py, name)?;
    let spec = crate::ugen::spec_of(&class)?;
    let draft = Draft { values: inputs, channel_count: None };
    object(&class, &spec, rate, i64::from(special_index), draft)
}

/// A method of a class that creates UGens at a rate, such as `SinOsc.ar`.
#[pyclass(frozen, module = "consort_sc._core")]
#[derive(Debug)]
pub(crate) struct RateMethod {
    spec: Py<ClassSpec>,
    /// `None` for the method `new`, whose rate follows from the inputs.
    rate: Option<u8>,
}

#[pymethods]
impl RateMethod {
    #[new]
    #[pyo3(signature = (spec, rate=None))]
    fn new(spec: Py<ClassSpec>, rate: Option<u8>) -> PyResult<Self> {
        if rate.is_some_and(|rate| rate > 3) {
            return Err(PyValueError::new_err("invalid rate: expected 0 to 3"));
        }
        Ok(Self { spec, rate })
    }

    fn __get__<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        owner: Option<Bound<'py, PyType>>,
    ) -> PyResult<BoundRateMethod> {
        let class = owner.unwrap_or_else(|| instance.get_type());
        let spec = self.spec.clone_ref(instance.py());
        Ok(BoundRateMethod { spec, rate: self.rate, class: class.unbind() })
    }
}

/// A method of a class that creates UGens at a rate, bound to the class.
#[pyclass(frozen, module = "consort_sc._core")]
#[derive(Debug)]
pub(crate) struct BoundRateMethod {
    spec: Py<ClassSpec>,
    rate: Option<u8>,
    class: Py<PyType>,
}

impl BoundRateMethod {
    fn name(&self) -> &'static str {
        self.rate.map_or("new", |rate| rate::TOKENS[usize::from(rate)])
    }
}

#[pymethods]
impl BoundRateMethod {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let spec = self.spec.get();
        if !args.is_empty() {
            return Err(PyTypeError::new_err(format!(
                "{}.{}() takes 1 positional argument but {} were given; give inputs by name",
                spec.name.bind(py),
                self.name(),
                args.len() + 1
            )));
        }
        let class = self.class.bind(py);
        let draft = Draft::from_keywords(py, spec, kwargs, self.name(), false)?;
        let rate = match self.rate {
            Some(rate) => rate,
            None => draft
                .values
                .iter()
                .try_fold(0, |rate: u8, value| Ok::<_, PyErr>(rate.max(value.rate()?)))?,
        };
        if !is_plain(class, spec) && class_overrides_expansion(class)? {
            let keywords = draft.clone_ref(py).to_keywords(py, spec)?;
            keywords.set_item("calculation_rate", handles::calculation_rate(py, rate)?)?;
            return class.call_method("_new_expanded", (), Some(&keywords));
        }
        expanded(class, &self.spec, rate, 0, draft)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<method {}.{}>", self.class.bind(py).qualname()?, self.name()))
    }

    /// The name of the method.
    #[getter]
    fn __name__(&self) -> &'static str {
        self.name()
    }

    /// The class and the name of the method.
    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("{}.{}", self.class.bind(py).qualname()?, self.name()))
    }

    /// The class.
    #[getter]
    fn __self__<'py>(&self, py: Python<'py>) -> Bound<'py, PyType> {
        self.class.bind(py).clone()
    }

    /// The parameters, for `inspect.signature`.
    #[getter]
    fn __signature__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import("consort_sc.ugens._classes")?;
        module.call_method1("rate_signature", (self.class.bind(py), self.spec.bind(py)))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| self.class.is(&other.get().class) && self.rate == other.get().rate)
    }

    fn __hash__(&self) -> usize {
        self.class.as_ptr() as usize ^ usize::from(self.rate.unwrap_or(7))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let getattr = py.import("builtins")?.getattr("getattr")?;
        Ok((getattr, (self.class.bind(py), self.name())).into_pyobject(py)?.into_any())
    }
}

fn class_overrides_expansion(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let base = class.py().get_type::<UGen>();
    for class in class.mro().iter() {
        if class.is(&base) {
            return Ok(false);
        }
        if class.getattr("__dict__")?.contains("_new_expanded")? {
            return Ok(true);
        }
    }
    Ok(false)
}
