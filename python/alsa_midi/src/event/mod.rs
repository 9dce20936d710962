//! Events as Python objects.
//!
//! One structure serves all classes. It contains the attributes that all events have and up to five
//! attributes of the event's class, which [`Layout`] lists. Values are stored as numbers instead of
//! Python objects wherever possible. The classes with attributes of their own are in `bases`; the
//! forty classes that differ only in their event type are Python subclasses of these, in
//! `alsa_midi/event.py`.

mod access;
mod bases;
mod classes;
mod convert;
mod display;
mod value;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, intern};

pub(crate) use bases::{
    AddressEventBase, ConnectEventBase, ControlChangeEventBase, ExternalDataEventBase,
    MidiBytesEventBase, NoteEventBase, NoteWithDurationBase, ParamChangeEventBase,
    QueueControlEventBase, ResultEventBase, SetPositionTickBase, SetPositionTimeBase, SetTempoBase,
    SkewBase,
};
pub(crate) use classes::set_classes;
pub(crate) use convert::{Routing, from_sequencer, midi_bytes_from_sequencer, to_sequencer};
use value::Value;

/// The length of an event in a buffer, without data of variable length.
const CELL_BYTES: usize = 28;

/// The attributes of an event's class, in the order in which they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// None; the data is in `raw_data`.
    Raw,
    /// note, channel, velocity.
    Key,
    /// note, channel, velocity, duration, off_velocity.
    Note,
    /// channel, param, value.
    Control,
    /// channel, value.
    Param,
    /// control_queue.
    Queue,
    /// control_queue, position in ticks.
    PositionTick,
    /// control_queue, position in real time.
    PositionTime,
    /// control_queue, midi_tempo.
    Tempo,
    /// control_queue, value, base.
    Skew,
    /// event, result.
    Result,
    /// addr.
    Address,
    /// connect_sender, connect_dest.
    Connect,
    /// data.
    External,
    /// midi_bytes.
    MidiBytes,
}

/// An event of the sequencer.
///
/// Every attribute can be changed. Values are checked when the event is output. Events are equal
/// only to themselves.
#[pyclass(module = "alsa_midi.event", subclass, dict, weakref)]
pub(crate) struct Event {
    pub(crate) layout: Layout,
    /// The event type of the class, if it has one.
    class_kind: Option<u8>,
    pub(crate) kind: Value,
    pub(crate) flags: Value,
    pub(crate) tag: Value,
    pub(crate) queue_id: Value,
    pub(crate) time: Value,
    pub(crate) tick: Value,
    pub(crate) relative: Value,
    pub(crate) source: Value,
    pub(crate) dest: Value,
    pub(crate) raw_data: Value,
    pub(crate) fields: [Value; 5],
}

impl Event {
    /// A new event of a class, without values.
    pub(crate) fn of_class(class: &Bound<'_, PyType>, layout: Layout) -> PyResult<Self> {
        let kind = classes::get(class.py())?.kind_of(class)?;
        Ok(Self { layout, class_kind: kind, ..Self::bare(kind) })
    }

    /// A new event of the class `Event` itself.
    pub(crate) fn of_kind(kind: u8) -> Self {
        Self { class_kind: None, ..Self::bare(Some(kind)) }
    }

    /// An event without values.
    fn bare(kind: Option<u8>) -> Self {
        Self {
            layout: Layout::Raw,
            class_kind: kind,
            kind: kind.map_or(Value::PyNone, Value::Kind),
            flags: Value::Flags(0),
            tag: Value::Number(0),
            queue_id: Value::PyNone,
            time: Value::PyNone,
            tick: Value::PyNone,
            relative: Value::PyNone,
            source: Value::PyNone,
            dest: Value::PyNone,
            raw_data: Value::PyNone,
            fields: Default::default(),
        }
    }

    /// Sets the common attributes from a constructor's keywords.
    pub(crate) fn set_common(&mut self, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let Some(keywords) = keywords else { return Ok(()) };
        for (key, value) in keywords.iter() {
            let key = key.cast_into::<PyString>()?;
            let py = value.py();
            match key.to_string_lossy().as_ref() {
                "flags" => self.flags = flags_of(py, &value)?,
                "tag" => self.tag = Value::from_python(&value),
                "queue_id" => self.queue_id = Value::from_python(&value),
                "time" => self.time = Value::from_time(&value)?,
                "tick" => self.tick = Value::from_python(&value),
                "relative" => self.relative = truth_of(&value),
                "source" => self.source = Value::from_address_parts(&value)?,
                "dest" => self.dest = Value::from_address_parts(&value)?,
                "raw_data" => self.raw_data = Value::from_python(&value),
                other => {
                    return Err(PyTypeError::new_err(format!(
                        "unexpected argument '{other}'; all events accept flags, tag, queue_id, \
                         time, tick, source, dest, relative and raw_data"
                    )));
                }
            }
        }
        if !self.time.is_none() && !self.tick.is_none() {
            return Err(PyValueError::new_err("expected 'time' or 'tick', but both are given"));
        }
        Ok(())
    }
}

/// The value for the keyword `flags`: an `EventFlags`.
fn flags_of(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    match Value::from_python(value) {
        Value::PyNone => Ok(Value::PyNone),
        Value::Number(number @ 0..=255) => Ok(Value::Flags(number as u8)),
        _ => {
            let class = classes::get(py)?.flags_class(py);
            Ok(Value::Object(class.call1((value,))?.unbind()))
        }
    }
}

/// The value for the keyword `relative`.
fn truth_of(value: &Bound<'_, PyAny>) -> Value {
    if let Ok(truth) = value.cast::<PyBool>() {
        return Value::Truth(truth.is_true());
    }
    Value::from_python(value)
}

/// The methods of `Event`, with a getter and a setter for each attribute that all events have.
macro_rules! common_attributes {
    ($($get:ident, $set:ident, $field:ident, $index:ident, $doc:literal;)*) => {
        #[pymethods]
        impl Event {
            #[new]
            #[classmethod]
            #[pyo3(
                signature = (*_arguments, **_keywords),
                text_signature = "(type=None, *, flags=0, tag=0, queue_id=None, time=None, \
                    tick=None, source=None, dest=None, relative=None, raw_data=None)"
            )]
            fn __new__(
                class: &Bound<'_, PyType>,
                _arguments: &Bound<'_, PyTuple>,
                _keywords: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Self> {
                Self::of_class(class, Layout::Raw)
            }

            #[pyo3(signature = (r#type = None, **keywords))]
            fn __init__(
                slf: &Bound<'_, Self>,
                r#type: Option<&Bound<'_, PyAny>>,
                keywords: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<()> {
                Self::initialise(slf, |event| {
                    if let Some(kind) = r#type {
                        event.kind = Value::from_python(kind);
                    }
                    event.set_common(keywords)
                })
            }

            $(
                #[doc = $doc]
                #[getter($field)]
                fn $get<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                    Self::get(slf, Self::$index)
                }

                #[setter($field)]
                fn $set(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                    Self::set(slf, Self::$index, Value::from_python(value))
                }
            )*

            /// The event's type: an `EventType`.
            #[getter(r#type)]
            fn get_type<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::get(slf, Self::KIND)
            }

            #[setter(r#type)]
            fn set_type(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                Self::set(slf, Self::KIND, Value::from_python(value))
            }

            /// The event's length in a buffer in bytes: 28, plus the length of its data if that is
            /// of variable length.
            fn length(slf: &Bound<'_, Self>) -> PyResult<usize> {
                if slf.try_borrow()?.layout != Layout::External {
                    return Ok(CELL_BYTES);
                }
                Ok(CELL_BYTES + Self::get(slf, Self::FIRST_FIELD)?.len()?)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                display::describe(slf)
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
                let py = slf.py();
                let values =
                    (0..Self::COUNT).map(|index| Self::get(slf, index)).collect::<PyResult<Vec<_>>>()?;
                let extra = slf.getattr(intern!(py, "__dict__"))?;
                let new = py.import("copyreg")?.getattr("__newobj__")?;
                let state = (PyTuple::new(py, values)?, extra);
                (new, (slf.get_type(),), state).into_pyobject(py)
            }

            fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyTuple>) -> PyResult<()> {
                let (values, extra): (Bound<'_, PyTuple>, Bound<'_, PyDict>) = state.extract()?;
                if values.len() != Self::COUNT {
                    return Err(PyValueError::new_err(format!(
                        "expected a state of {} values; got {}",
                        Self::COUNT,
                        values.len()
                    )));
                }
                for (index, object) in values.iter().enumerate() {
                    Self::set(slf, index, Value::from_python(&object))?;
                }
                slf.getattr(intern!(slf.py(), "__dict__"))?.cast_into::<PyDict>()?
                    .update(extra.as_mapping())
            }

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                (0..Self::COUNT).try_for_each(|index| self.value(index).traverse(&visit))
            }

            fn __clear__(&mut self) {
                for index in 0..Self::COUNT {
                    *self.value_mut(index) = Value::PyNone;
                }
            }
        }
    };
}

common_attributes! {
    get_flags, set_flags, flags, FLAGS, "Flag bits: an `EventFlags`.";
    get_tag, set_tag, tag, TAG, "A number from 0 to 255 for the program's own use.";
    get_queue_id, set_queue_id, queue_id, QUEUE_ID, "The queue's number; with `None`, the event is delivered immediately.";
    get_time, set_time, time, TIME, "The time stamp in real time: a `RealTime`, or `None`.";
    get_tick, set_tick, tick, TICK, "The time stamp in ticks, or `None`.";
    get_relative, set_relative, relative, RELATIVE, "Whether the time stamp counts from the moment when the event is queued.";
    get_source, set_source, source, SOURCE, "The port that sends the event: an `Address`, or `None`.";
    get_dest, set_dest, dest, DEST, "The port that receives the event: an `Address`; with `None`, all subscribers.";
    get_raw_data, set_raw_data, raw_data, RAW_DATA, "The twelve bytes of data in the sequencer's format.";
}

/// The attribute `type` of a class of events: the type of the class when it is read from the class,
/// and the type of the event when it is read from an event.
#[pyclass(module = "alsa_midi._core", frozen)]
pub(crate) struct TypeField {
    kind: Py<PyAny>,
}

#[pymethods]
impl TypeField {
    #[new]
    fn __new__(kind: Py<PyAny>) -> Self {
        Self { kind }
    }

    fn __get__<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        match instance.cast::<Event>() {
            Ok(event) => Event::get(event, Event::KIND),
            Err(_) => Ok(self.kind.bind(instance.py()).clone()),
        }
    }

    fn __set__(&self, instance: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Event::set(instance.cast::<Event>()?, Event::KIND, Value::from_python(value))
    }
}
