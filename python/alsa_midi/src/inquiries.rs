//! Inquiries and settings that are made seldom: answers as plain tuples and `PortInfo` objects,
//! of which the Python part makes its own.

use consort_seq::{
    Address, ClientInfo, ClientPool, ClientType, EventFilter, EventTime, EventType, PortCaps,
    PortInfo, PortType, QueueInfo, RealTime, RemoveCondition, RemoveEvents, SequencerClient,
    SubscribeOptions, SubscriptionQuery, SubscriptionQueryType,
};
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::address::address;
use crate::errors::{IntoPyResult, alsa_error};
use crate::integers::{U8, U32, integer};
use crate::registry::Registry;

/// An object of the class `PortInfo`, made without a call of its constructor.
pub(crate) fn port_info<'py>(
    py: Python<'py>,
    registry: &Registry,
    info: &PortInfo,
) -> PyResult<Bound<'py, PyAny>> {
    let object = registry.new_port_info(py)?;
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "client_id"), info.client_id)?;
    fields.set_item(intern!(py, "port_id"), info.port_id)?;
    fields.set_item(intern!(py, "name"), &info.name)?;
    fields.set_item(intern!(py, "capability"), registry.port_caps(py, info.capability.bits())?)?;
    fields.set_item(intern!(py, "type"), registry.port_type(py, info.port_type.bits())?)?;
    fields.set_item(intern!(py, "midi_channels"), info.midi_channels)?;
    fields.set_item(intern!(py, "midi_voices"), info.midi_voices)?;
    fields.set_item(intern!(py, "synth_voices"), info.synth_voices)?;
    fields.set_item(intern!(py, "read_use"), info.read_use)?;
    fields.set_item(intern!(py, "write_use"), info.write_use)?;
    fields.set_item(intern!(py, "timestamping"), info.timestamping)?;
    fields.set_item(intern!(py, "timestamp_real"), info.timestamp_real)?;
    fields.set_item(intern!(py, "timestamp_queue_id"), info.timestamp_queue_id)?;
    if let Some(client_name) = &info.client_name {
        fields.set_item(intern!(py, "client_name"), client_name)?;
    }
    object.setattr(intern!(py, "__dict__"), fields)?;
    Ok(object)
}

fn client_tuple<'py>(py: Python<'py>, info: &ClientInfo) -> PyResult<Bound<'py, PyAny>> {
    let filter: Option<Vec<u8>> =
        info.event_filter.map(|filter| filter.iter().map(|event_type| event_type.0).collect());
    let tuple = (
        info.client_id,
        &info.name,
        info.broadcast_filter,
        info.error_bounce,
        info.client_type.raw(),
        info.card_id,
        info.pid,
        info.num_ports,
        info.event_lost,
        filter.map(|types| types.into_iter().map(u32::from).collect::<Vec<_>>()),
    );
    Ok(tuple.into_pyobject(py)?.into_any())
}

fn queue_tuple<'py>(py: Python<'py>, info: &QueueInfo) -> PyResult<Bound<'py, PyAny>> {
    let tuple = (info.queue_id, &info.name, info.owner, info.locked, info.flags);
    Ok(tuple.into_pyobject(py)?.into_any())
}

fn subscription_tuple<'py>(
    py: Python<'py>,
    query: &SubscriptionQuery,
) -> PyResult<Bound<'py, PyAny>> {
    let tuple = (
        (query.root.client, query.root.port),
        query.query_type as u8,
        query.index,
        query.num_subs,
        (query.addr.client, query.addr.port),
        query.queue_id,
        query.exclusive,
        query.time_update,
        query.time_real,
    );
    Ok(tuple.into_pyobject(py)?.into_any())
}

fn query_type(number: u8) -> SubscriptionQueryType {
    if number == 1 { SubscriptionQueryType::Write } else { SubscriptionQueryType::Read }
}

/// A port of the own client by its number, or any by its address.
fn port_of(client: &SequencerClient, port: &Bound<'_, PyAny>) -> PyResult<Address> {
    if port.is_instance_of::<pyo3::types::PyInt>() {
        return Ok(client.address(integer(port, "port", 0, 255)? as u8));
    }
    address(port, "port")
}

/// The fields of a `PortInfo` object that can be set.
fn port_info_from(object: &Bound<'_, PyAny>) -> PyResult<PortInfo> {
    let py = object.py();
    let field = |name| object.getattr(name);
    let number = |name: &str, most: i64| integer(&object.getattr(name)?, name, 0, most);
    Ok(PortInfo {
        name: field(intern!(py, "name"))?.extract()?,
        capability: PortCaps::from_bits_retain(number("capability", u32::MAX.into())? as u32),
        port_type: PortType::from_bits_retain(number("type", u32::MAX.into())? as u32),
        midi_channels: number("midi_channels", i32::MAX.into())? as u32,
        midi_voices: number("midi_voices", i32::MAX.into())? as u32,
        synth_voices: number("synth_voices", i32::MAX.into())? as u32,
        timestamping: field(intern!(py, "timestamping"))?.is_truthy()?,
        timestamp_real: field(intern!(py, "timestamp_real"))?.is_truthy()?,
        timestamp_queue_id: number("timestamp_queue_id", 255)? as u8,
        ..PortInfo::default()
    })
}

type RemoveArguments<'py> =
    (U32, U8, Bound<'py, PyAny>, Bound<'py, PyAny>, U8, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The events to remove that the arguments name; the time is a number of ticks or a `RealTime`.
fn remove_events(
    (condition, queue, time, dest, channel, kind, tag): RemoveArguments<'_>,
) -> PyResult<RemoveEvents> {
    let mut remove = RemoveEvents::new(RemoveCondition::from_bits_retain(condition.0));
    remove.queue_id = queue.0;
    remove.time = if let Ok(time) = time.cast::<crate::real_time::RealTime>() {
        let (seconds, nanoseconds) = time.borrow().for_sequencer("time")?;
        EventTime::Real(RealTime::new(seconds, nanoseconds))
    } else {
        EventTime::Tick(integer(&time, "time", 0, u32::MAX.into())? as u32)
    };
    remove.dest = address(&dest, "dest")?;
    remove.channel = channel.0;
    remove.event_type = EventType(integer(&kind, "event_type", 0, 255)? as u8);
    remove.tag = integer(&tag, "tag", 0, 255)? as u8;
    Ok(remove)
}

/// Number, name, the two filters, lost events, and the types that are let in.
type ClientArguments<'py> =
    (Bound<'py, PyAny>, String, bool, bool, U32, Option<Vec<Bound<'py, PyAny>>>);

fn client_info_from(
    client: &SequencerClient,
    arguments: ClientArguments<'_>,
    py: Python<'_>,
) -> PyResult<ClientInfo> {
    let (client_id, name, broadcast_filter, error_bounce, event_lost, filter) = arguments;
    let client_id = integer(&client_id, "client_id", 0, 255)? as u8;
    let event_filter = filter
        .map(|types| {
            types
                .iter()
                .map(|kind| Ok(EventType(integer(kind, "event_filter", 0, 255)? as u8)))
                .collect::<PyResult<EventFilter>>()
        })
        .transpose()?;
    // What Python's class has no field for stays as it is.
    let now = client.get_client_info().py(py)?;
    Ok(ClientInfo {
        client_id,
        name,
        broadcast_filter,
        error_bounce,
        event_lost: event_lost.0,
        event_filter,
        client_type: ClientType::User,
        ..now
    })
}

/// Answers one inquiry.
pub(crate) fn ask<'py>(
    py: Python<'py>,
    client: &SequencerClient,
    name: &str,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let nothing = || py.None().into_bound(py);
    let argument = |at| arguments.get_item(at);
    let number = |at: usize, name: &str, most: i64| -> PyResult<i64> {
        integer(&arguments.get_item(at)?, name, 0, most)
    };
    let size = |at| number(at, "size", i32::MAX.into());
    Ok(match name {
        "client_info" => {
            let id = argument(0)?;
            if id.is_none() {
                return client_tuple(py, &client.get_client_info().py(py)?);
            }
            let number = integer(&id, "client_id", 0, i32::MAX.into())?;
            let Ok(number) = u8::try_from(number) else {
                let message = format!("get_client_info client {number} failed: there is none");
                return Err(alsa_error(py, message, libc::ENOENT));
            };
            client_tuple(py, &client.get_any_client_info(number).py(py)?)?
        }
        "set_client_info" => {
            let info = client_info_from(client, arguments.extract()?, py)?;
            client.set_client_info(&info).py(py)?;
            nothing()
        }
        "next_client" => {
            let previous = argument(0)?;
            let previous = if previous.is_none() {
                None
            } else {
                match integer(&previous, "previous", -1, i32::MAX.into())? {
                    -1 => None,
                    number @ 0..=255 => Some(number as u8),
                    _ => return Ok(nothing()),
                }
            };
            match client.query_next_client(previous).py(py)? {
                Some(info) => client_tuple(py, &info)?,
                None => nothing(),
            }
        }
        "next_port" => {
            let owner = number(0, "client_id", 255)? as u8;
            let previous = argument(1)?;
            let previous = if previous.is_none() {
                None
            } else {
                match integer(&previous, "previous", -1, 255)? {
                    -1 => None,
                    number => Some(number as u8),
                }
            };
            match client.query_next_port(owner, previous).py(py)? {
                Some(info) => port_info(py, crate::registry::get(py)?, &info)?,
                None => nothing(),
            }
        }
        "event_filter" => {
            let kind = number(0, "event_type", 255)? as u8;
            client.set_client_event_filter(EventType(kind)).py(py)?;
            nothing()
        }
        "pool" => {
            let pool = client.get_client_pool().py(py)?;
            let tuple = (
                pool.client_id,
                pool.output_pool,
                pool.input_pool,
                pool.output_room,
                pool.output_free,
                pool.input_free,
            );
            tuple.into_pyobject(py)?.into_any()
        }
        "set_pool" => {
            let now = client.get_client_pool().py(py)?;
            let cells = |at, name: &str, kept: u32| -> PyResult<u32> {
                let value = arguments.get_item(at)?;
                if value.is_none() {
                    return Ok(kept);
                }
                Ok(integer(&value, name, 0, i32::MAX.into())? as u32)
            };
            let pool = ClientPool {
                output_pool: cells(0, "output_pool", now.output_pool)?,
                input_pool: cells(1, "input_pool", now.input_pool)?,
                output_room: cells(2, "output_room", now.output_room)?,
                ..now
            };
            client.set_client_pool(&pool).py(py)?;
            nothing()
        }
        "output_buffer_size" => {
            client.connection().py(py)?;
            client.get_output_buffer_size().into_pyobject(py)?.into_any()
        }
        "input_buffer_size" => {
            client.connection().py(py)?;
            client.get_input_buffer_size().into_pyobject(py)?.into_any()
        }
        "set_output_buffer_size" => {
            client.set_output_buffer_size(size(0)? as usize).py(py)?;
            nothing()
        }
        "set_input_buffer_size" => {
            client.set_input_buffer_size(size(0)? as usize).py(py)?;
            nothing()
        }
        "sequencer_name" => client.get_sequencer_name().py(py)?.into_pyobject(py)?.into_any(),
        "sequencer_type" => {
            (client.get_sequencer_type().py(py)? as u8).into_pyobject(py)?.into_any()
        }
        "system_info" => {
            let info = client.get_system_info().py(py)?;
            let tuple = (
                info.queues,
                info.clients,
                info.ports,
                info.channels,
                info.cur_clients,
                info.cur_queues,
            );
            tuple.into_pyobject(py)?.into_any()
        }
        "port_info" => {
            let info = client.get_port_info(port_of(client, &argument(0)?)?).py(py)?;
            port_info(py, crate::registry::get(py)?, &info)?
        }
        "set_port_info" => {
            let port = number(0, "port", 255)? as u8;
            client.set_port_info(port, &port_info_from(&argument(1)?)?).py(py)?;
            nothing()
        }
        "subscribe" => {
            let (sender, dest) =
                (address(&argument(0)?, "sender")?, address(&argument(1)?, "dest")?);
            let queue = argument(2)?;
            let options = SubscribeOptions {
                queue: if queue.is_none() {
                    None
                } else {
                    Some(integer(&queue, "queue", 0, 255)? as u8)
                },
                exclusive: argument(3)?.is_truthy()?,
                time_update: argument(4)?.is_truthy()?,
                time_real: argument(5)?.is_truthy()?,
            };
            client.subscribe_port(sender, dest, options).py(py)?;
            nothing()
        }
        "unsubscribe" => {
            let (sender, dest) =
                (address(&argument(0)?, "sender")?, address(&argument(1)?, "dest")?);
            client.unsubscribe_port(sender, dest).py(py)?;
            nothing()
        }
        "subscriber" => {
            let query = SubscriptionQuery::new(
                address(&argument(0)?, "root")?,
                query_type(number(1, "type", 1)? as u8),
                number(2, "index", i32::MAX.into())? as u32,
            );
            subscription_tuple(py, &client.query_port_subscribers(&query).py(py)?)?
        }
        "subscribers" => {
            let port = address(&argument(0)?, "port")?;
            let kind = argument(1)?;
            let kind = if kind.is_none() {
                None
            } else {
                Some(query_type(integer(&kind, "type", 0, 1)? as u8))
            };
            let found = client.list_port_subscribers(port, kind).py(py)?;
            let found: Vec<_> =
                found.iter().map(|one| subscription_tuple(py, one)).collect::<PyResult<_>>()?;
            found.into_pyobject(py)?.into_any()
        }
        "queue_named" => {
            let name: String = argument(0)?.extract()?;
            client.query_named_queue(&name).py(py)?.into_pyobject(py)?.into_any()
        }
        "queue_info" => {
            let queue = number(0, "queue_id", 255)? as u8;
            queue_tuple(py, &client.get_queue_info(queue).py(py)?)?
        }
        "set_queue_info" => {
            let info = QueueInfo {
                queue_id: number(0, "queue_id", 255)? as u8,
                name: argument(1)?.extract()?,
                owner: number(2, "owner", 255)? as u8,
                locked: argument(3)?.is_truthy()?,
                flags: number(4, "flags", u32::MAX.into())? as u32,
            };
            client.set_queue_info(info.queue_id, &info).py(py)?;
            nothing()
        }
        "queue_status" => {
            let status = client.get_queue_status(number(0, "queue_id", 255)? as u8).py(py)?;
            let time = status.real_time;
            let tuple = (
                status.queue_id,
                status.events,
                status.tick_time,
                (time.seconds(), time.nanoseconds()),
                status.status,
            );
            tuple.into_pyobject(py)?.into_any()
        }
        "remove_events" => {
            client.remove_events(&remove_events(arguments.extract()?)?).py(py)?;
            nothing()
        }
        other => {
            return Err(PyAttributeError::new_err(format!("there is no inquiry {other:?}")));
        }
    })
}
