//! Options of servers from the fields of `consort_sc.scsynth.Options`.

use std::net::{IpAddr, ToSocketAddrs};

use consort_sc::{Options, Protocol};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The address of a name or of a text such as `127.0.0.1`.
fn address_of(text: &str) -> PyResult<IpAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    (text, 0)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .map(|address| address.ip())
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "invalid ip_address `{text}`: expected an address such as 127.0.0.1 or a host name"
            ))
        })
}

/// The options with these fields.
pub(super) fn options_of(fields: &Bound<'_, PyDict>) -> PyResult<Options> {
    fn field<'py, T>(fields: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
    where
        T: FromPyObjectOwned<'py>,
    {
        let value = fields.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        value.extract::<T>().map_err(|error| {
            let error: PyErr = error.into();
            PyValueError::new_err(format!(
                "invalid option {name} = {value:?}: {}",
                error.value(value.py())
            ))
        })
    }
    let get_text = |name: &str| -> PyResult<Option<String>> { field(fields, name) };
    let clip = fields.get_item("safety_clip")?.filter(|value| !value.is_none());
    let safety_clip = clip
        .map(|value| {
            let text = value.str()?.to_string();
            text.parse::<f32>().map_err(|_| {
                PyValueError::new_err(format!(
                    "invalid option safety_clip = {text}: expected a number or inf"
                ))
            })
        })
        .transpose()?;
    let protocol: String = field(fields, "protocol")?;
    let protocol = match protocol.as_str() {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        other => {
            return Err(PyValueError::new_err(format!(
                "invalid option protocol = {other}: expected udp or tcp"
            )));
        }
    };
    Ok(Options {
        ip_address: address_of(&field::<String>(fields, "ip_address")?)?,
        port: field(fields, "port")?,
        protocol,
        maximum_logins: field(fields, "maximum_logins")?,
        zero_configuration: field(fields, "zero_configuration")?,
        audio_bus_channel_count: field(fields, "audio_bus_channel_count")?,
        control_bus_channel_count: field(fields, "control_bus_channel_count")?,
        input_bus_channel_count: field(fields, "input_bus_channel_count")?,
        output_bus_channel_count: field(fields, "output_bus_channel_count")?,
        block_size: field(fields, "block_size")?,
        hardware_buffer_size: field(fields, "hardware_buffer_size")?,
        sample_rate: field(fields, "sample_rate")?,
        buffer_count: field(fields, "buffer_count")?,
        input_device: get_text("input_device")?,
        output_device: get_text("output_device")?,
        maximum_node_count: field(fields, "maximum_node_count")?,
        maximum_synthdef_count: field(fields, "maximum_synthdef_count")?,
        memory_size: field(fields, "memory_size")?,
        memory_locking: field(fields, "memory_locking")?,
        random_number_generator_count: field(fields, "random_number_generator_count")?,
        wire_buffer_count: field(fields, "wire_buffer_count")?,
        restricted_path: get_text("restricted_path")?.map(Into::into),
        ugen_plugins_path: get_text("ugen_plugins_path")?,
        load_synthdefs: field(fields, "load_synthdefs")?,
        safety_clip,
        password: get_text("password")?,
        input_stream_mask: field(fields, "input_stream_mask")?,
        output_stream_mask: field(fields, "output_stream_mask")?,
        threads: field(fields, "threads")?,
        verbosity: field(fields, "verbosity")?,
        executable: get_text("executable")?.map(Into::into),
        environment: Vec::new(),
        initial_node_id: field(fields, "initial_node_id")?,
    })
}
