//! Addresses: everything that Python code may pass as an address, as two numbers.

use consort_seq::Address;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use crate::errors;
use crate::handles::PortHandle;
use crate::integers::within;

/// Client and port of an address. The address is a number (with port 0), a tuple of two numbers, an
/// object with the attribute `client_id` and optionally `port_id`, or a text such as "128:0".
#[pyfunction]
#[pyo3(signature = (address, port = None, /))]
pub(crate) fn address_pair(
    address: &Bound<'_, PyAny>,
    port: Option<&Bound<'_, PyAny>>,
) -> PyResult<(i64, i64)> {
    let py = address.py();
    let number = |value: &Bound<'_, PyAny>| -> PyResult<i64> {
        if value.is_exact_instance_of::<PyInt>() {
            return value.extract();
        }
        py.get_type::<PyInt>().call1((value,))?.extract()
    };
    let port_argument = || port.map_or(Ok(0), number);
    if address.is_exact_instance_of::<PyInt>() {
        return Ok((address.extract()?, port_argument()?));
    }
    if let Ok(handle) = address.cast::<PortHandle>() {
        if let Some((client, port)) = handle.get().address() {
            return Ok((client.into(), port.into()));
        }
    } else if let Ok(pair) = address.cast::<PyTuple>() {
        if pair.len() != 2 {
            return Err(PyValueError::new_err(wrong_length(pair)));
        }
        let part = |index| {
            pair.get_item(index).and_then(|part| if part.is_none() { Ok(0) } else { number(&part) })
        };
        return Ok((part(0)?, part(1)?));
    } else if let Ok(text) = address.cast::<PyString>() {
        let text = text.to_cow()?;
        return match text.parse::<Address>() {
            Ok(address) => Ok((address.client.into(), address.port.into())),
            Err(error) => Err(errors::alsa_error(py, &error.to_string(), libc::EINVAL)),
        };
    }
    if let Some(client) = address.getattr_opt(pyo3::intern!(py, "client_id"))? {
        let client = number(&client)?;
        return match address.getattr_opt(pyo3::intern!(py, "port_id"))? {
            Some(port) if !port.is_none() => Ok((client, number(&port)?)),
            Some(_) => Ok((client, 0)),
            None => Ok((client, port_argument()?)),
        };
    }
    Ok((number(address)?, port_argument()?))
}

/// The message for a tuple that cannot be an address.
pub(crate) fn wrong_length(tuple: &Bound<'_, PyTuple>) -> String {
    format!("an address is a tuple of two numbers, client and port; this tuple has {}", tuple.len())
}

/// The address, checked against the sequencer's range. `name` is the argument's name in errors.
pub(crate) fn address(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Address> {
    let (client, port) = address_pair(value, None)?;
    Ok(Address::new(
        within(client, &format!("client of {name}"), 0, 255)? as u8,
        within(port, &format!("port of {name}"), 0, 255)? as u8,
    ))
}
