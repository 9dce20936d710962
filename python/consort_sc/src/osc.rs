//! OSC messages and bundles.

use consort_osc::{
    Argument, Arguments, Error, ErrorKind, Limits, Message, MessageBuilder, Packet, TimeTag,
};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple,
};

/// Seconds from the epoch of time tags, 1900, to that of Unix, 1970.
const NTP_DELTA: f64 = 2_208_988_800.0;
/// Units of a time tag in a second.
const UNITS: f64 = 4_294_967_296.0;
/// The address that stands for one that the library does not accept: a number, or a text that does
/// not begin with a slash.
const PLACEHOLDER: &str = "/";
/// The maximum size of the bundles of `partition`, in bytes.
const MAX_PARTITION_BYTES: usize = 8192;

/// An OSC message: an address and values.
#[pyclass(subclass, frozen, module = "consort_sc.osc")]
#[derive(Debug)]
pub(crate) struct OscMessage {
    /// The address, a text or a number.
    #[pyo3(get)]
    address: Py<PyAny>,
    /// The values.
    #[pyo3(get)]
    contents: Py<PyTuple>,
}

/// An OSC bundle: messages and bundles with one time.
#[pyclass(subclass, frozen, module = "consort_sc.osc")]
#[derive(Debug)]
pub(crate) struct OscBundle {
    /// Seconds since 1970; `None` for immediately.
    #[pyo3(get)]
    timestamp: Option<f64>,
    /// The messages and bundles.
    #[pyo3(get)]
    contents: Py<PyTuple>,
}

/// The exception of an error of the library.
fn exception(py: Python<'_>, error: &Error) -> PyErr {
    if matches!(error.kind(), ErrorKind::UnknownTypeTag(_)) {
        return PyRuntimeError::new_err(format!("cannot parse the datagram: {error}"));
    }
    let message = format!("cannot parse the datagram: {error}");
    match py.import("consort_sc.osc").and_then(|module| module.getattr("MalformedDatagram")) {
        Ok(class) => match class.call1((message,)) {
            Ok(value) => PyErr::from_value(value),
            Err(error) => error,
        },
        Err(_) => PyValueError::new_err(message),
    }
}

/// A member of an enumeration as its value; other objects as they are.
fn plain<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    if object.cast_exact::<PyString>().is_ok()
        || object.cast_exact::<PyFloat>().is_ok()
        || object.cast_exact::<PyInt>().is_ok()
    {
        return Ok(object.clone());
    }
    if object.is_instance(&py.import("enum")?.getattr("Enum")?)? {
        return object.getattr("value");
    }
    Ok(object.clone())
}

/// A `struct.error`, which is raised for numbers out of range.
fn out_of_range(py: Python<'_>, message: String) -> PyErr {
    match py.import("struct").and_then(|module| module.getattr("error")) {
        Ok(class) => match class.call1((message,)) {
            Ok(value) => PyErr::from_value(value),
            Err(error) => error,
        },
        Err(error) => error,
    }
}

/// Writes a value.
fn write(
    builder: &mut MessageBuilder<'_, Vec<u8>>,
    value: &Bound<'_, PyAny>,
    depth: usize,
) -> PyResult<()> {
    let py = value.py();
    if let Ok(text) = value.cast_exact::<PyString>() {
        builder.string(text.to_str()?);
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        write_float(builder, number.value())?;
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        builder.bool(flag.is_true());
    } else if value.cast_exact::<PyInt>().is_ok() {
        write_int(builder, value)?;
    } else if value.is_none() {
        builder.nil();
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        builder.blob(bytes.as_bytes());
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        builder.blob(&bytes.to_vec());
    } else if let Ok(message) = value.cast::<OscMessage>() {
        builder.blob(&message.get().encode(py)?);
    } else if let Ok(bundle) = value.cast::<OscBundle>() {
        builder.blob(&bundle.get().encode(py, true, depth + 1)?);
    } else if let Some(value) = enumeration_value(value)? {
        write(builder, &value, depth)?;
    } else if let Ok(text) = value.cast::<PyString>() {
        builder.string(text.to_str()?);
    } else if value.cast::<PyInt>().is_ok() {
        write_int(builder, value)?;
    } else if value.hasattr("__float__")? {
        write_float(builder, value.extract()?)?;
    } else if value.hasattr("__getitem__")?
        && value.hasattr("__len__")?
        && value.cast::<PyMapping>().is_err()
    {
        if depth >= Limits::MAX_DEPTH {
            return Err(PyValueError::new_err(format!(
                "arrays of an OSC message may be nested at most {} deep",
                Limits::MAX_DEPTH
            )));
        }
        builder.open_array();
        for item in value.try_iter()? {
            write(builder, &item?, depth + 1)?;
        }
        builder.close_array();
    } else {
        return Err(PyTypeError::new_err(format!(
            "Cannot encode {}: expected a number, a text, bytes, a message, a bundle, a sequence \
             or None",
            value.repr()?
        )));
    }
    Ok(())
}

/// The value of a member of an enumeration that is not a number.
fn enumeration_value<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let enumeration = value.py().import("enum")?.getattr("Enum")?;
    Ok(if value.is_instance(&enumeration)? { Some(value.getattr("value")?) } else { None })
}

fn write_int(builder: &mut MessageBuilder<'_, Vec<u8>>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match value.extract::<i32>() {
        Ok(number) => {
            builder.int(number);
            Ok(())
        }
        Err(_) => Err(out_of_range(
            value.py(),
            format!("cannot encode {value}: expected -2147483648 <= number <= 2147483647"),
        )),
    }
}

fn write_float(builder: &mut MessageBuilder<'_, Vec<u8>>, value: f64) -> PyResult<()> {
    if value.is_finite() && (value as f32).is_infinite() {
        return Err(PyOverflowError::new_err(format!(
            "cannot encode {value}: expected a number that fits into 32 bits"
        )));
    }
    builder.float(value as f32);
    Ok(())
}

/// Appends a text with at least one zero, padded to a multiple of four bytes.
fn push_padded(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(text.as_bytes());
    let padded = (text.len() + 4) & !3;
    bytes.resize(bytes.len() + padded - text.len(), 0);
}

/// A value of a received message as an object.
pub(crate) fn value_object<'py>(
    py: Python<'py>,
    value: &consort_osc::OscValue,
) -> PyResult<Bound<'py, PyAny>> {
    match (value, value.as_argument()) {
        (_, Some(argument)) => read(py, argument, 0),
        (consort_osc::OscValue::Array(items), None) => {
            let items =
                items.iter().map(|item| value_object(py, item)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, items)?.into_any())
        }
        (other, None) => Ok(PyString::new(py, &other.to_string()).into_any()),
    }
}

impl OscMessage {
    /// A message that was received.
    pub(crate) fn of_values<'py>(
        py: Python<'py>,
        address: &str,
        values: &[consort_osc::OscValue],
    ) -> PyResult<Bound<'py, Self>> {
        let contents =
            values.iter().map(|value| value_object(py, value)).collect::<PyResult<Vec<_>>>()?;
        let address = PyString::new(py, address).into_any().unbind();
        Bound::new(py, Self { address, contents: PyTuple::new(py, contents)?.unbind() })
    }

    /// The datagram.
    fn encode(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::with_capacity(128);
        let address = self.address.bind(py);
        let contents = self.contents.bind(py);
        let text = match address.cast::<PyString>() {
            Ok(text) => Some(text.to_str()?),
            Err(_) => None,
        };
        let library = text.filter(|text| text.starts_with('/'));
        {
            let used = library.unwrap_or(PLACEHOLDER);
            let mut builder = MessageBuilder::with_tags(&mut bytes, used, contents.len());
            for value in contents.iter_borrowed() {
                write(&mut builder, &value, 0)?;
            }
            builder.finish().map_err(|error| {
                PyValueError::new_err(format!("cannot encode a message to {address}: {error}"))
            })?;
        }
        if library.is_some() {
            return Ok(bytes);
        }
        let mut start = Vec::with_capacity(bytes.len());
        match text {
            Some(text) if text.contains('\0') => {
                return Err(PyValueError::new_err("an address contains a zero byte"));
            }
            Some(text) => push_padded(&mut start, text),
            None => {
                let number: i32 = address.extract().map_err(|_| {
                    out_of_range(
                        py,
                        format!("invalid address {address}: expected a text or a 32-bit number"),
                    )
                })?;
                start.extend_from_slice(&number.to_be_bytes());
            }
        }
        start.extend_from_slice(&bytes[4..]);
        Ok(start)
    }

    fn create<'py>(
        py: Python<'py>,
        address: Bound<'py, PyAny>,
        arguments: Arguments<'_>,
    ) -> PyResult<Self> {
        let contents = read_arguments(py, arguments, 0)?;
        let contents = PyTuple::new(py, contents)?.unbind();
        Ok(Self { address: address.unbind(), contents })
    }

    /// Reads a datagram.
    fn decode(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        if bytes.first() == Some(&b'/') {
            let message = Message::decode(bytes).map_err(|error| exception(py, &error))?;
            let address = PyString::new(py, message.address()).into_any();
            return Self::create(py, address, message.arguments());
        }
        // The number of a server's command, or an address without a slash.
        let (address, end) = if bytes.first() == Some(&0) && bytes.len() >= 4 {
            let number = i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            (number.into_pyobject(py)?.into_any(), 4)
        } else {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            let text = std::str::from_utf8(&bytes[..end]).ok().filter(|text| !text.is_empty());
            match text {
                Some(text) if end < bytes.len() => {
                    (PyString::new(py, text).into_any(), (end + 4) & !3)
                }
                _ => {
                    let error = Message::decode(bytes).err();
                    return Err(match error {
                        Some(error) => exception(py, &error),
                        None => PyValueError::new_err("the datagram has no address"),
                    });
                }
            }
        };
        let mut replaced = PLACEHOLDER.as_bytes().to_vec();
        replaced.resize(4, 0);
        replaced.extend_from_slice(bytes.get(end..).unwrap_or_default());
        let message = Message::decode(&replaced).map_err(|error| exception(py, &error))?;
        Self::create(py, address, message.arguments())
    }
}

/// The arguments as Python objects.
fn read_arguments<'py>(
    py: Python<'py>,
    arguments: Arguments<'_>,
    depth: usize,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    arguments.map(|argument| read(py, argument, depth)).collect()
}

fn read<'py>(py: Python<'py>, argument: Argument<'_>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    Ok(match argument {
        Argument::Int(value) => value.into_pyobject(py)?.into_any(),
        Argument::Float(value) => PyFloat::new(py, f64::from(value)).into_any(),
        Argument::String(text) | Argument::Symbol(text) => PyString::new(py, text).into_any(),
        Argument::Blob(bytes) => read_blob(py, bytes, depth)?,
        Argument::Long(value) => value.into_pyobject(py)?.into_any(),
        Argument::Double(value) => PyFloat::new(py, value).into_any(),
        Argument::Time(tag) => seconds(tag).into_pyobject(py)?.into_any(),
        Argument::Char(character) => PyString::new(py, &character.to_string()).into_any(),
        Argument::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Argument::Nil => py.None().into_bound(py),
        Argument::Array(array) => {
            PyList::new(py, read_arguments(py, array.iter(), depth + 1)?)?.into_any()
        }
        Argument::Impulse => f64::INFINITY.into_pyobject(py)?.into_any(),
        other => PyString::new(py, &other.to_value().to_string()).into_any(),
    })
}

/// A blob that contains a packet becomes a message or a bundle.
fn read_blob<'py>(py: Python<'py>, bytes: &[u8], depth: usize) -> PyResult<Bound<'py, PyAny>> {
    let is_packet = bytes.first() == Some(&b'/') || bytes.starts_with(b"#bundle\0");
    if is_packet
        && depth < Limits::MAX_DEPTH
        && let Ok(packet) = Packet::decode(bytes)
    {
        return packet_object(py, &packet, depth + 1);
    }
    Ok(PyBytes::new(py, bytes).into_any())
}

/// A packet as an object.
fn packet_object<'py>(
    py: Python<'py>,
    packet: &Packet<'_>,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    match packet {
        Packet::Message(message) => {
            let address = PyString::new(py, message.address()).into_any();
            let contents = read_arguments(py, message.arguments(), depth)?;
            let contents = PyTuple::new(py, contents)?.unbind();
            let message = OscMessage { address: address.unbind(), contents };
            Ok(Bound::new(py, message)?.into_any())
        }
        Packet::Bundle(bundle) => {
            let contents = bundle
                .elements()
                .map(|element| packet_object(py, &element, depth))
                .collect::<PyResult<Vec<_>>>()?;
            let contents = PyTuple::new(py, contents)?.unbind();
            let bundle = OscBundle { timestamp: seconds(bundle.time()), contents };
            Ok(Bound::new(py, bundle)?.into_any())
        }
    }
}

/// Seconds since 1970; `None` for immediately.
fn seconds(tag: TimeTag) -> Option<f64> {
    let bits = tag.raw();
    (bits != 1).then(|| bits as f64 / UNITS - NTP_DELTA)
}

#[pymethods]
impl OscMessage {
    #[new]
    #[pyo3(signature = (address, *contents))]
    fn new(address: &Bound<'_, PyAny>, contents: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self { address: plain(address)?.unbind(), contents: contents.clone().unbind() })
    }

    /// Reads a datagram.
    #[classmethod]
    fn from_datagram<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        datagram: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        Self::decode(cls.py(), &bytes_of(datagram)?)
    }

    /// The datagram: what is sent to a server.
    fn to_datagram<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.encode(py)?))
    }

    /// The address and the values as nested lists.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::new(py, [self.address.bind(py)])?;
        for value in self.contents.bind(py) {
            if value.cast::<Self>().is_ok() || value.cast::<OscBundle>().is_ok() {
                list.append(value.call_method0("to_list")?)?;
            } else {
                list.append(value)?;
            }
        }
        Ok(list)
    }

    /// The message itself.
    fn to_osc(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let py = slf.py();
        let (left, right) = (slf.get(), other.get());
        Ok(slf.get_type().is(other.get_type())
            && left.address.bind(py).eq(&right.address)?
            && left.contents.bind(py).eq(&right.contents)?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let message = slf.get();
        let mut text =
            format!("{}({}", slf.get_type().name()?, message.address.bind(slf.py()).repr()?);
        for value in message.contents.bind(slf.py()) {
            text.push_str(", ");
            text.push_str(&value.repr()?.to_string_lossy());
        }
        text.push(')');
        Ok(text)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format_bytes(&self.encode(py)?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let message = slf.get();
        let mut arguments = vec![message.address.bind(py).clone()];
        arguments.extend(message.contents.bind(py).iter());
        Ok((slf.get_type(), PyTuple::new(py, arguments)?).into_pyobject(py)?.into_any())
    }
}

/// The bytes of an object that has a buffer.
fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    let bytes = object.py().get_type::<PyBytes>();
    if object.cast::<PyInt>().is_ok() || object.cast::<PyString>().is_ok() {
        return Err(PyTypeError::new_err(format!("expected bytes, found {}", object.repr()?)));
    }
    Ok(bytes.call1((object,))?.cast_into::<PyBytes>()?.as_bytes().to_vec())
}

/// The bytes of a time tag.
fn time_bytes(seconds: Option<f64>, realtime: bool) -> PyResult<[u8; 8]> {
    let Some(seconds) = seconds else { return Ok(1_u64.to_be_bytes()) };
    let shifted = if realtime { seconds + NTP_DELTA } else { seconds };
    let units = shifted * UNITS;
    // 2^64 is exact as a floating-point number; units are below it.
    if !(0.0..18_446_744_073_709_551_616.0).contains(&units) {
        return Err(PyValueError::new_err(format!(
            "invalid timestamp {seconds}: expected a time from 1900 to 2036"
        )));
    }
    Ok((units as u64).to_be_bytes())
}

impl OscBundle {
    /// The datagram.
    fn encode(&self, py: Python<'_>, realtime: bool, depth: usize) -> PyResult<Vec<u8>> {
        if depth > Limits::MAX_DEPTH {
            return Err(PyValueError::new_err(format!(
                "bundles may be nested at most {} deep",
                Limits::MAX_DEPTH
            )));
        }
        let mut bytes = b"#bundle\0".to_vec();
        bytes.extend_from_slice(&time_bytes(self.timestamp, realtime)?);
        for element in self.contents.bind(py) {
            let element = match element.cast::<OscMessage>() {
                Ok(message) => message.get().encode(py)?,
                Err(_) => element.cast::<Self>()?.get().encode(py, realtime, depth + 1)?,
            };
            bytes.extend_from_slice(&(element.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&element);
        }
        Ok(bytes)
    }
}

#[pymethods]
impl OscBundle {
    #[new]
    #[pyo3(signature = (timestamp=None, *, contents))]
    fn new(timestamp: Option<f64>, contents: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = contents.py();
        let items: Vec<Bound<'_, PyAny>> = match contents.is_none() {
            true => Vec::new(),
            false => contents.try_iter()?.collect::<PyResult<_>>()?,
        };
        for item in &items {
            if item.cast::<OscMessage>().is_err() && item.cast::<Self>().is_err() {
                return Err(PyTypeError::new_err(format!(
                    "expected messages and bundles, found {}",
                    item.repr()?
                )));
            }
        }
        Ok(Self { timestamp, contents: PyTuple::new(py, items)?.unbind() })
    }

    /// Reads a datagram.
    #[classmethod]
    fn from_datagram<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        datagram: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = cls.py();
        let bytes = bytes_of(datagram)?;
        if !bytes.starts_with(b"#bundle\0") {
            return Err(PyValueError::new_err("datagram is not a bundle"));
        }
        let packet = Packet::decode(&bytes).map_err(|error| exception(py, &error))?;
        packet_object(py, &packet, 0)
    }

    /// Divides messages among bundles of at most 8,192 bytes, all with the same time. A message that
    /// is larger gets a bundle of its own.
    #[classmethod]
    #[pyo3(signature = (messages, timestamp=None))]
    fn partition<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        messages: Vec<Bound<'py, OscMessage>>,
        timestamp: Option<f64>,
    ) -> PyResult<Vec<Self>> {
        let py = cls.py();
        let mut bundles = Vec::new();
        let mut group: Vec<Bound<'py, OscMessage>> = Vec::new();
        let mut size = 16;
        let finish = |group: &mut Vec<Bound<'py, OscMessage>>| -> PyResult<Self> {
            Ok(Self { timestamp, contents: PyTuple::new(py, group.drain(..))?.unbind() })
        };
        for message in messages {
            let length = message.get().encode(py)?.len() + 4;
            if size + length > MAX_PARTITION_BYTES && !group.is_empty() {
                bundles.push(finish(&mut group)?);
                size = 16;
            }
            size += length;
            group.push(message);
        }
        if !group.is_empty() {
            bundles.push(finish(&mut group)?);
        }
        Ok(bundles)
    }

    /// The datagram: what is sent to a server. In scores, where `realtime` is false, times are
    /// seconds from the start.
    #[pyo3(signature = (realtime=true))]
    fn to_datagram<'py>(&self, py: Python<'py>, realtime: bool) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.encode(py, realtime, 0)?))
    }

    /// The time and the contents as nested lists.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let contents = self
            .contents
            .bind(py)
            .iter()
            .map(|element| element.call_method0("to_list"))
            .collect::<PyResult<Vec<_>>>()?;
        let list = PyList::new(py, [self.timestamp])?;
        list.append(contents)?;
        Ok(list)
    }

    /// The bundle itself.
    fn to_osc(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let (left, right) = (slf.get(), other.get());
        Ok(slf.get_type().is(other.get_type())
            && left.timestamp == right.timestamp
            && left.contents.bind(slf.py()).eq(&right.contents)?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let bundle = slf.get();
        let mut parts = Vec::new();
        if let Some(timestamp) = bundle.timestamp {
            parts.push(format!("timestamp={}", PyFloat::new(slf.py(), timestamp).repr()?));
        }
        if !bundle.contents.bind(slf.py()).is_empty() {
            let contents = bundle.contents.bind(slf.py()).to_list();
            parts.push(format!("contents={}", contents.repr()?));
        }
        Ok(format!("{}({})", slf.get_type().name()?, parts.join(", ")))
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format_bytes(&self.encode(py, true, 0)?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let restore = py.import("consort_sc._core")?.getattr("restore_bundle")?;
        let bundle = slf.get();
        let state = (slf.get_type(), bundle.timestamp, bundle.contents.clone_ref(py));
        Ok((restore, state).into_pyobject(py)?.into_any())
    }
}

/// Restores a bundle that was copied or pickled.
#[pyfunction]
#[pyo3(signature = (kind, timestamp, contents))]
pub(crate) fn restore_bundle<'py>(
    kind: &Bound<'py, pyo3::types::PyType>,
    timestamp: Option<f64>,
    contents: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let keywords = pyo3::types::PyDict::new(kind.py());
    keywords.set_item("contents", contents)?;
    kind.call((timestamp,), Some(&keywords))
}

/// The bytes as hexadecimal numbers and characters, sixteen a line.
fn format_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("size {}", bytes.len());
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let groups: Vec<String> = chunk
            .chunks(4)
            .map(|group| {
                let numbers: Vec<String> = group.iter().map(|byte| format!("{byte:02x}")).collect();
                numbers.join(" ")
            })
            .collect();
        let characters: String = chunk
            .iter()
            .map(|byte| if (32..127).contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        let _ = write!(text, "\n{:4}   {:<53}|{characters}|", line * 16, groups.join("  "));
    }
    text
}

/// The bytes of a datagram as hexadecimal numbers and characters, sixteen a line.
#[pyfunction]
pub(crate) fn format_datagram(datagram: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(format_bytes(&bytes_of(datagram)?))
}
