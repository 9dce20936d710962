//! Addresses: whatever Python calls one, as two numbers.

use consort_seq::Address;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use crate::errors;
use crate::integers::within;
use crate::ports::PortHandle;

/// Client and port of whatever stands for an address: a number (port 0), a tuple of two, an
/// object with `client_id` and perhaps `port_id`, or a text such as "128:0".
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
    let given_port = || port.map_or(Ok(0), number);
    if address.is_exact_instance_of::<PyInt>() {
        return Ok((address.extract()?, given_port()?));
    }
    if let Ok(handle) = address.cast::<PortHandle>() {
        if let Some((client, port)) = handle.get().address() {
            return Ok((client.into(), port.into()));
        }
    } else if let Ok(pair) = address.cast::<PyTuple>() {
        if pair.len() != 2 {
            let length = pair.len();
            return Err(PyValueError::new_err(format!(
                "an address is a tuple of two numbers, client and port; this one has {length}"
            )));
        }
        let part = |at| {
            pair.get_item(at).and_then(|part| if part.is_none() { Ok(0) } else { number(&part) })
        };
        return Ok((part(0)?, part(1)?));
    } else if let Ok(text) = address.cast::<PyString>() {
        let text = text.to_cow()?;
        return match text.parse::<Address>() {
            Ok(address) => Ok((address.client.into(), address.port.into())),
            Err(error) => Err(errors::alsa_error(py, error.to_string(), libc::EINVAL)),
        };
    }
    if let Some(client) = address.getattr_opt(pyo3::intern!(py, "client_id"))? {
        let client = number(&client)?;
        return match address.getattr_opt(pyo3::intern!(py, "port_id"))? {
            Some(port) if !port.is_none() => Ok((client, number(&port)?)),
            Some(_) => Ok((client, 0)),
            None => Ok((client, given_port()?)),
        };
    }
    Ok((number(address)?, given_port()?))
}

/// The address as the sequencer has it, checked.
pub(crate) fn address(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Address> {
    let (client, port) = address_pair(value, None)?;
    Ok(Address::new(
        within(client, &format!("client of {name}"), 0, 255)? as u8,
        within(port, &format!("port of {name}"), 0, 255)? as u8,
    ))
}
