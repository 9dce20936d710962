//! Events as Python objects.
//!
//! One structure serves all classes: the common attributes, up to five of the class's own
//! ([`Layout`] says which), and numbers instead of Python objects wherever possible. The classes
//! with behaviour of their own are in `bases`; the forty that differ in their type number only
//! are plain Python subclasses of these, in `alsa_midi/event.py`.

mod access;
mod bases;
mod convert;
mod display;
mod value;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, intern};

pub(crate) use bases::{
    AddressEventBase, ConnectEventBase, ControlChangeEventBase, ExternalDataEventBase,
    MidiBytesEventBase, NoteEventBase, NoteWithDurationBase, ParamChangeEventBase,
    QueueControlEventBase, ResultEventBase, SetPositionTickBase, SetPositionTimeBase, SetTempoBase,
    SkewBase,
};
pub(crate) use convert::{Target, from_sequencer, midi_bytes_from_sequencer, to_sequencer};
pub(crate) use value::Value;

use crate::registry;

/// What an event's own attributes are, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// None: `raw_data` alone.
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
/// Every attribute may be changed; what cannot be sent is refused when the event is output.
/// Events are equal only to themselves.
#[pyclass(module = "alsa_midi.event", subclass, dict, weakref)]
pub(crate) struct Event {
    pub(crate) layout: Layout,
    /// The type number of the class, if it stands for one.
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
    /// A new event of a class, with nothing set.
    pub(crate) fn of_class(class: &Bound<'_, PyType>, layout: Layout) -> PyResult<Self> {
        let kind = registry::get(class.py())?.kind_of(class)?;
        Ok(Self { layout, class_kind: kind, ..Self::bare(kind) })
    }

    /// A new event of the class `Event` itself.
    pub(crate) fn of_kind(kind: u8) -> Self {
        Self { class_kind: None, ..Self::bare(Some(kind)) }
    }

    fn bare(kind: Option<u8>) -> Self {
        Self {
            layout: Layout::Raw,
            class_kind: kind,
            kind: kind.map_or(Value::Nothing, Value::Kind),
            flags: Value::Flags(0),
            tag: Value::Number(0),
            queue_id: Value::Nothing,
            time: Value::Nothing,
            tick: Value::Nothing,
            relative: Value::Nothing,
            source: Value::Nothing,
            dest: Value::Nothing,
            raw_data: Value::Nothing,
            fields: Default::default(),
        }
    }

    /// Sets the common attributes from a constructor's keywords.
    pub(crate) fn set_common(&mut self, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let Some(keywords) = keywords else { return Ok(()) };
        for (key, value) in keywords.iter() {
            let key = key.cast_into::<PyString>()?;
            let py = value.py();
            match key.to_str_or_unknown().as_ref() {
                "flags" => self.flags = flags_of(py, &value)?,
                "tag" => self.tag = Value::of(&value),
                "queue_id" => self.queue_id = Value::of(&value),
                "time" => self.time = Value::of_time(&value)?,
                "tick" => self.tick = Value::of(&value),
                "relative" => self.relative = truth_of(&value),
                "source" => self.source = Value::of_address_parts(&value)?,
                "dest" => self.dest = Value::of_address_parts(&value)?,
                "raw_data" => self.raw_data = Value::of(&value),
                other => {
                    return Err(PyTypeError::new_err(format!(
                        "an event takes no argument '{other}' here; beside its own: flags, tag, \
                         queue_id, time, tick, source, dest, relative, raw_data"
                    )));
                }
            }
        }
        if !self.time.is_nothing() && !self.tick.is_nothing() {
            return Err(PyValueError::new_err(
                "an event has either 'time' or 'tick'; both were given",
            ));
        }
        Ok(())
    }
}

trait TextOrUnknown {
    fn to_str_or_unknown(&self) -> std::borrow::Cow<'_, str>;
}

impl TextOrUnknown for Bound<'_, PyString> {
    /// A keyword's text; one that is no Unicode is shown with replacements.
    fn to_str_or_unknown(&self) -> std::borrow::Cow<'_, str> {
        self.to_string_lossy()
    }
}

fn flags_of(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    match Value::of(value) {
        Value::Nothing => Ok(Value::Nothing),
        Value::Number(number @ 0..=255) => Ok(Value::Flags(number as u8)),
        _ => {
            let class = registry::get(py)?.flags_class(py);
            Ok(Value::Object(class.call1((value,))?.unbind()))
        }
    }
}

fn truth_of(value: &Bound<'_, PyAny>) -> Value {
    if let Ok(truth) = value.cast::<pyo3::types::PyBool>() {
        return Value::Truth(truth.is_true());
    }
    Value::of(value)
}

macro_rules! common_attributes {
    ($($get:ident, $set:ident, $field:ident, $at:ident, $doc:literal;)*) => {
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
                        event.kind = Value::of(kind);
                    }
                    event.set_common(keywords)
                })
            }

            $(
                #[doc = $doc]
                #[getter($field)]
                fn $get<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                    Self::get(slf, Self::$at)
                }

                #[setter($field)]
                fn $set(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                    Self::set(slf, Self::$at, Value::of(value))
                }
            )*

            /// What the event is: an `EventType`.
            #[getter(r#type)]
            fn get_type<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::get(slf, Self::KIND)
            }

            #[setter(r#type)]
            fn set_type(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                Self::set(slf, Self::KIND, Value::of(value))
            }

            /// Bytes that the event takes in a buffer: 28, and those of its data where that is of
            /// variable length.
            fn length(slf: &Bound<'_, Self>) -> PyResult<usize> {
                if slf.try_borrow()?.layout != Layout::External {
                    return Ok(28);
                }
                Ok(28 + Self::get(slf, Self::OWN)?.len()?)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                display::describe(slf)
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
                let py = slf.py();
                let values =
                    (0..Self::COUNT).map(|at| Self::get(slf, at)).collect::<PyResult<Vec<_>>>()?;
                let extra = slf.getattr(intern!(py, "__dict__"))?;
                let new = py.import("copyreg")?.getattr("__newobj__")?;
                let state = (PyTuple::new(py, values)?, extra);
                (new, (slf.get_type(),), state).into_pyobject(py)
            }

            fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyTuple>) -> PyResult<()> {
                let (values, extra): (Bound<'_, PyTuple>, Bound<'_, PyDict>) = state.extract()?;
                if values.len() != Self::COUNT {
                    return Err(PyValueError::new_err(format!(
                        "the state of an event has {} values; {} given",
                        Self::COUNT,
                        values.len()
                    )));
                }
                for (at, object) in values.iter().enumerate() {
                    Self::set(slf, at, Value::of(&object))?;
                }
                slf.getattr(intern!(slf.py(), "__dict__"))?.cast_into::<PyDict>()?
                    .update(extra.as_mapping())
            }

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                (0..Self::COUNT).try_for_each(|at| self.value(at).traverse(&visit))
            }

            fn __clear__(&mut self) {
                for at in 0..Self::COUNT {
                    *self.value_mut(at) = Value::Nothing;
                }
            }
        }
    };
}

common_attributes! {
    get_flags, set_flags, flags, FLAGS, "Flag bits: an `EventFlags`.";
    get_tag, set_tag, tag, TAG, "A number from 0 to 255, free for the program's use.";
    get_queue_id, set_queue_id, queue_id, QUEUE_ID, "The queue's number; `None`: deliver at once.";
    get_time, set_time, time, TIME, "The time stamp in real time: a `RealTime`, or `None`.";
    get_tick, set_tick, tick, TICK, "The time stamp in ticks, or `None`.";
    get_relative, set_relative, relative, RELATIVE, "Whether the stamp counts from when it is queued.";
    get_source, set_source, source, SOURCE, "Where the event comes from: an `Address`, or `None`.";
    get_dest, set_dest, dest, DEST, "Where the event goes: an `Address`; `None`: to all subscribers.";
    get_raw_data, set_raw_data, raw_data, RAW_DATA, "The twelve bytes of data as the sequencer has them.";
}

/// The attribute `type` of a class of events: the class's own type when read from the class, the
/// event's when read from an event.
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
        Event::set(instance.cast::<Event>()?, Event::KIND, Value::of(value))
    }
}
