//! The classes of events that have attributes of their own.

use pyo3::exceptions::{PyTypeError, PyValueError, PyZeroDivisionError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyTuple, PyType};

use super::{Event, Layout, Value};

/// `int(value)`, or `ValueError` if it is not from 0 to `maximum`.
fn bounded(value: &Bound<'_, PyAny>, name: &str, maximum: i64) -> PyResult<Value> {
    let number = if value.is_exact_instance_of::<PyInt>() {
        value.extract::<i64>()
    } else {
        value.py().get_type::<PyInt>().call1((value,))?.extract::<i64>()
    };
    match number {
        Ok(number) if (0..=maximum).contains(&number) => Ok(Value::Number(number)),
        _ => Err(PyValueError::new_err(format!(
            "{name} is {}; expected 0 to {maximum}",
            value.str()?.to_string_lossy()
        ))),
    }
}

/// An optional number of seven bits.
fn seven_bits(value: Option<&Bound<'_, PyAny>>, name: &str, default: i64) -> PyResult<Value> {
    value.map_or(Ok(Value::Number(default)), |value| bounded(value, name, 127))
}

/// An optional number of four bits; 0 if it is omitted.
fn four_bits(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Value> {
    value.map_or(Ok(Value::Number(0)), |value| bounded(value, name, 15))
}

/// Handles the last arguments of events that control a queue: the queue, by position or by name, and
/// the keywords that all events accept.
fn set_queue_and_common(
    event: &mut Event,
    arguments: Option<&Bound<'_, PyTuple>>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let mut queue = None;
    if let Some(arguments) = arguments
        && !arguments.is_empty()
    {
        if arguments.len() > 1 {
            return Err(PyTypeError::new_err(format!(
                "expected at most one further argument, the queue; got {}",
                arguments.len()
            )));
        }
        queue = Some(arguments.get_item(0)?);
    }
    let rest = keywords.map(|keywords| keywords.copy()).transpose()?;
    if let Some(rest) = &rest
        && let Some(keyword) = rest.get_item("control_queue")?
    {
        if queue.is_some() {
            return Err(PyTypeError::new_err("'control_queue' is given twice"));
        }
        queue = Some(keyword);
        rest.del_item("control_queue")?;
    }
    if let Some(queue) = queue {
        event.fields[0] = Value::from_queue(&queue)?;
    }
    event.set_common(rest.as_ref())
}

/// Defines a class that extends `Event`, directly or through another class: its constructor and its
/// attributes.
macro_rules! event_base {
    (
        $(#[$doc:meta])* $name:ident($python:literal) extends $parent:ident via [$($middle:ident)?],
        $layout:ident,
        text $text:literal,
        attributes { $($attribute:literal, $get:ident, $set:ident, $index:literal, $doc_text:literal;)* }
        $(#[$init:meta])*
        fn init($this:ident, $($arguments:tt)*) $body:block
    ) => {
        $(#[$doc])*
        #[pyclass(module = "alsa_midi.event", name = $python, extends = $parent, subclass)]
        pub(crate) struct $name;

        impl $name {
            fn as_event<'a, 'py>(slf: &'a Bound<'py, Self>) -> &'a Bound<'py, Event> {
                event_base!(@as_event slf, [$($middle)?])
            }
        }

        #[pymethods]
        impl $name {
            #[new]
            #[classmethod]
            #[pyo3(signature = (*_arguments, **_keywords), text_signature = $text)]
            fn __new__(
                class: &Bound<'_, PyType>,
                _arguments: &Bound<'_, PyTuple>,
                _keywords: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<PyClassInitializer<Self>> {
                let event = Event::of_class(class, Layout::$layout)?;
                Ok(PyClassInitializer::from(event)$(.add_subclass($middle))?.add_subclass($name))
            }

            $(#[$init])*
            fn __init__(slf: &Bound<'_, Self>, $($arguments)*) -> PyResult<()> {
                Event::initialise(Self::as_event(slf), |$this| $body)
            }

            $(
                #[doc = $doc_text]
                #[getter($attribute)]
                fn $get<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                    Event::get(Self::as_event(slf), Event::FIRST_FIELD + $index)
                }

                #[setter($attribute)]
                fn $set(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                    Event::set(Self::as_event(slf), Event::FIRST_FIELD + $index, Value::from_python(value))
                }
            )*
        }
    };
    (@as_event $slf:ident, []) => { $slf.as_super() };
    (@as_event $slf:ident, [$middle:ident]) => { $slf.as_super().as_super() };
}

event_base! {
    /// Events of a key: note, channel and velocity.
    NoteEventBase("NoteEventBase") extends Event via [], Key,
    text "(note, channel=0, velocity=127, **kwargs)",
    attributes {
        "note", get_note, set_note, 0, "Note number, 0 to 127.";
        "channel", get_channel, set_channel, 1, "MIDI channel, 0 to 15.";
        "velocity", get_velocity, set_velocity, 2, "Velocity or pressure, 0 to 127.";
    }
    #[pyo3(signature = (note, channel = None, velocity = None, **keywords))]
    fn init(
        event,
        note: &Bound<'_, PyAny>,
        channel: Option<&Bound<'_, PyAny>>,
        velocity: Option<&Bound<'_, PyAny>>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[0] = bounded(note, "note", 127)?;
        event.fields[1] = four_bits(channel, "channel")?;
        event.fields[2] = seven_bits(velocity, "velocity", 127)?;
        event.set_common(keywords)
    }
}

event_base! {
    /// A note with its duration.
    NoteWithDurationBase("NoteWithDurationBase") extends NoteEventBase via [NoteEventBase], Note,
    text "(note, channel=0, velocity=127, duration=0, off_velocity=0, **kwargs)",
    attributes {
        "duration", get_duration, set_duration, 3,
            "Duration in ticks, or in milliseconds if the time stamp is real time.";
        "off_velocity", get_off_velocity, set_off_velocity, 4, "Velocity of the note off, 0 to 127.";
    }
    #[pyo3(signature = (note, channel = None, velocity = None, duration = None, off_velocity = None, **keywords))]
    fn init(
        event,
        note: &Bound<'_, PyAny>,
        channel: Option<&Bound<'_, PyAny>>,
        velocity: Option<&Bound<'_, PyAny>>,
        duration: Option<&Bound<'_, PyAny>>,
        off_velocity: Option<&Bound<'_, PyAny>>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[0] = bounded(note, "note", 127)?;
        event.fields[1] = four_bits(channel, "channel")?;
        event.fields[2] = seven_bits(velocity, "velocity", 127)?;
        event.fields[3] = duration.map_or(Value::Number(0), Value::from_python);
        event.fields[4] = seven_bits(off_velocity, "off_velocity", 0)?;
        event.set_common(keywords)
    }
}

event_base! {
    /// Controllers and parameters: channel, number and value.
    ControlChangeEventBase("ControlChangeEventBase") extends Event via [], Control,
    text "(channel, param, value, **kwargs)",
    attributes {
        "channel", get_channel, set_channel, 0, "MIDI channel, 0 to 15.";
        "param", get_param, set_param, 1, "Number of the controller or parameter.";
        "value", get_value, set_value, 2, "The value.";
    }
    #[pyo3(signature = (channel, param, value, **keywords))]
    fn init(
        event,
        channel: &Bound<'_, PyAny>,
        param: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[0] = Value::from_python(channel);
        event.fields[1] = Value::from_python(param);
        event.fields[2] = Value::from_python(value);
        event.set_common(keywords)
    }
}

event_base! {
    /// A value on a channel.
    ParamChangeEventBase("ParamChangeEventBase") extends Event via [], Param,
    text "(channel, value, **kwargs)",
    attributes {
        "channel", get_channel, set_channel, 0, "MIDI channel, 0 to 15.";
        "value", get_value, set_value, 1, "The value.";
    }
    #[pyo3(signature = (channel, value, **keywords))]
    fn init(
        event,
        channel: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[0] = Value::from_python(channel);
        event.fields[1] = Value::from_python(value);
        event.set_common(keywords)
    }
}

event_base! {
    /// Control of a queue.
    QueueControlEventBase("QueueControlEventBase") extends Event via [], Queue,
    text "(control_queue=None, **kwargs)",
    attributes {
        "control_queue", get_control_queue, set_control_queue, 0, "Number of the queue to control.";
    }
    #[pyo3(signature = (control_queue = None, **keywords))]
    fn init(
        event,
        control_queue: Option<&Bound<'_, PyAny>>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        if let Some(queue) = control_queue {
            event.fields[0] = Value::from_queue(queue)?;
        }
        event.set_common(keywords)
    }
}

event_base! {
    /// A queue's position in ticks.
    SetPositionTickBase("SetPositionTickBase") extends QueueControlEventBase via [QueueControlEventBase], PositionTick,
    text "(position, *args, **kwargs)",
    attributes { "position", get_position, set_position, 1, "Position in ticks."; }
    #[pyo3(signature = (position, *arguments, **keywords))]
    fn init(
        event,
        position: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[1] = Value::from_python(position);
        set_queue_and_common(event, Some(arguments), keywords)
    }
}

event_base! {
    /// A queue's position in real time.
    SetPositionTimeBase("SetPositionTimeBase") extends QueueControlEventBase via [QueueControlEventBase], PositionTime,
    text "(position, *args, **kwargs)",
    attributes { "position", get_position, set_position, 1, "Position as a `RealTime`."; }
    #[pyo3(signature = (position, *arguments, **keywords))]
    fn init(
        event,
        position: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        if position.is_none() {
            return Err(PyTypeError::new_err("position is None; expected a time in seconds"));
        }
        event.fields[1] = Value::from_time(position)?;
        set_queue_and_common(event, Some(arguments), keywords)
    }
}

event_base! {
    /// A queue's tempo.
    SetTempoBase("SetTempoBase") extends QueueControlEventBase via [QueueControlEventBase], Tempo,
    text "(midi_tempo=None, *, bpm=None, **kwargs)",
    attributes {
        "midi_tempo", get_midi_tempo, set_midi_tempo, 1, "Microseconds per quarter note.";
    }
    #[pyo3(signature = (midi_tempo = None, *, bpm = None, **keywords))]
    fn init(
        event,
        midi_tempo: Option<&Bound<'_, PyAny>>,
        bpm: Option<&Bound<'_, PyAny>>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[1] = match (midi_tempo, bpm) {
            (Some(tempo), None) => Value::from_python(tempo),
            (None, Some(bpm)) => Value::Number(tempo_of(bpm)?),
            (None, None) => {
                return Err(PyValueError::new_err("expected 'midi_tempo' or 'bpm'"));
            }
            (Some(_), Some(_)) => {
                return Err(PyValueError::new_err(
                    "expected 'midi_tempo' or 'bpm', but both are given",
                ));
            }
        };
        set_queue_and_common(event, None, keywords)
    }
}

/// Microseconds per quarter note at a tempo in beats per minute.
fn tempo_of(bpm: &Bound<'_, PyAny>) -> PyResult<i64> {
    let bpm = bpm.py().get_type::<PyFloat>().call1((bpm,))?.extract::<f64>()?;
    if bpm == 0.0 {
        return Err(PyZeroDivisionError::new_err("bpm is 0; expected more than 0"));
    }
    Ok((60e6 / bpm).round_ties_even() as i64)
}

event_base! {
    /// Skew of a queue.
    SkewBase("SkewBase") extends QueueControlEventBase via [QueueControlEventBase], Skew,
    text "(value, base, *args, **kwargs)",
    attributes {
        "value", get_value, set_value, 1, "Skew as a fraction of the base.";
        "base", get_base, set_base, 2, "Base of the skew; the kernel accepts only 0x10000.";
    }
    #[pyo3(signature = (value, base, *arguments, **keywords))]
    fn init(
        event,
        value: &Bound<'_, PyAny>,
        base: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[1] = Value::from_python(value);
        event.fields[2] = Value::from_python(base);
        set_queue_and_common(event, Some(arguments), keywords)
    }
}

event_base! {
    /// The result of an event.
    ResultEventBase("ResultEventBase") extends Event via [], Result,
    text "(event, result, **kwargs)",
    attributes {
        "event", get_event, set_event, 0, "Type of the event that was processed.";
        "result", get_result, set_result, 1, "The result.";
    }
    #[pyo3(signature = (event, result, **keywords))]
    fn init(
        result_event,
        event: &Bound<'_, PyAny>,
        result: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        result_event.fields[0] = Value::from_python(event);
        result_event.fields[1] = Value::from_python(result);
        result_event.set_common(keywords)
    }
}

event_base! {
    /// Announcements about a client or port.
    AddressEventBase("AddressEventBase") extends Event via [], Address,
    text "(addr, **kwargs)",
    attributes { "addr", get_addr, set_addr, 0, "The client or port: an `Address`."; }
    #[pyo3(signature = (addr, **keywords))]
    fn init(event, addr: &Bound<'_, PyAny>, keywords: Option<&Bound<'_, PyDict>>) {
        event.fields[0] = Value::from_address(addr)?;
        event.set_common(keywords)
    }
}

event_base! {
    /// Announcements about a connection.
    ConnectEventBase("ConnectEventBase") extends Event via [], Connect,
    text "(connect_sender, connect_dest, **kwargs)",
    attributes {
        "connect_sender", get_sender, set_sender, 0, "The port that sends: an `Address`.";
        "connect_dest", get_connect_dest, set_connect_dest, 1, "The port that receives: an `Address`.";
    }
    #[pyo3(signature = (connect_sender, connect_dest, **keywords))]
    fn init(
        event,
        connect_sender: &Bound<'_, PyAny>,
        connect_dest: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>
    ) {
        event.fields[0] = Value::from_address(connect_sender)?;
        event.fields[1] = Value::from_address(connect_dest)?;
        event.set_common(keywords)
    }
}

event_base! {
    /// Events with data of variable length.
    ExternalDataEventBase("ExternalDataEventBase") extends Event via [], External,
    text "(data, **kwargs)",
    attributes { "data", get_data, set_data, 0, "The data, as `bytes`."; }
    #[pyo3(signature = (data, **keywords))]
    fn init(event, data: &Bound<'_, PyAny>, keywords: Option<&Bound<'_, PyDict>>) {
        event.fields[0] = Value::from_bytes(data)?;
        event.set_common(keywords)
    }
}

event_base! {
    /// Any event as MIDI bytes.
    MidiBytesEventBase("MidiBytesEventBase") extends Event via [], MidiBytes,
    text "(midi_bytes, **kwargs)",
    attributes { "midi_bytes", get_midi_bytes, set_midi_bytes, 0, "The bytes."; }
    #[pyo3(signature = (midi_bytes, **keywords))]
    fn init(event, midi_bytes: &Bound<'_, PyAny>, keywords: Option<&Bound<'_, PyDict>>) {
        event.fields[0] = Value::from_bytes(midi_bytes)?;
        let rest = keywords.map(|keywords| keywords.copy()).transpose()?;
        if let Some(rest) = &rest
            && let Some(kind) = rest.get_item("type")?
        {
            event.kind = Value::from_python(&kind);
            rest.del_item("type")?;
        }
        event.set_common(rest.as_ref())
    }
}
