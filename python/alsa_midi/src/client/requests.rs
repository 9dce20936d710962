//! Requests about the sequencer, clients, pools, ports, connections and queues.
//!
//! Results are plain tuples or `PortInfo` objects. The Python part creates its own objects from the
//! tuples; the stub file `_core.pyi` describes their fields.

use consort_seq::{
    Address, ClientInfo, ClientPool, ClientType, EventFilter, EventTime, EventType, ListPorts,
    PortSort, PortType, QueueInfo, RealTime, RemoveCondition, RemoveEvents, SequencerClient,
    SubscribeOptions, SubscriptionQuery, SubscriptionQueryType,
};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::Client;
use crate::address::address;
use crate::errors::{OrRaise, alsa_error};
use crate::integers::integer;
use crate::{port_info, real_time};

/// Number, name, broadcast filter, error bounce, type, card, process, number of ports, lost events
/// and event filter of a client.
type ClientTuple =
    (u8, String, bool, bool, i32, Option<i32>, Option<i32>, u32, u32, Option<Vec<u32>>);

/// Client, output pool, input pool, output room, free output cells and free input cells.
type PoolTuple = (u8, u32, u32, u32, u32, u32);

/// Root, type, index, number of connections, address of the other port, queue, exclusive, time
/// update and real time of a connection.
type ConnectionTuple = ((u8, u8), u8, u32, u32, (u8, u8), u8, bool, bool, bool);

/// Number, name, owner, locked and flags of a queue.
type QueueTuple = (u8, String, u8, bool, u32);

/// Number, waiting events, ticks, seconds and nanoseconds, and status bits of a queue.
type QueueStatusTuple = (u8, u32, u32, (u32, u32), u32);

fn client_tuple(info: ClientInfo) -> ClientTuple {
    (
        info.client_id,
        info.name,
        info.broadcast_filter,
        info.error_bounce,
        info.client_type.raw(),
        info.card_id,
        info.pid,
        info.num_ports,
        info.event_lost,
        info.event_filter
            .map(|filter| filter.iter().map(|event_type| event_type.0.into()).collect()),
    )
}

fn connection_tuple(connection: &SubscriptionQuery) -> ConnectionTuple {
    (
        (connection.root.client, connection.root.port),
        connection.query_type as u8,
        connection.index,
        connection.num_subs,
        (connection.addr.client, connection.addr.port),
        connection.queue_id,
        connection.exclusive,
        connection.time_update,
        connection.time_real,
    )
}

fn query_type(value: &Bound<'_, PyAny>) -> PyResult<SubscriptionQueryType> {
    Ok(match integer(value, "type", 0, 1)? {
        1 => SubscriptionQueryType::Write,
        _ => SubscriptionQueryType::Read,
    })
}

/// A number of 8 bits.
fn byte(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u8> {
    Ok(integer(value, name, 0, 255)? as u8)
}

/// A number that C stores in an `int` and that cannot be negative.
fn count(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u32> {
    Ok(integer(value, name, 0, i32::MAX.into())? as u32)
}

/// The size of a buffer in bytes; more than an `int` can hold raises `ALSAError` with the `errnum`
/// `-errno.ENOMEM`, as libasound does.
fn buffer_size(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let size = integer(value, "size", 0, i64::MAX)?;
    if size > i32::MAX.into() {
        let message = format!("size is {size}; expected at most {}", i32::MAX);
        return Err(alsa_error(py, &message, libc::ENOMEM));
    }
    Ok(size as usize)
}

/// The number before the first one that a query returns: `None` and -1 both stand for the start.
fn previous_number(previous: Option<&Bound<'_, PyAny>>, maximum: i64) -> PyResult<Option<i64>> {
    let Some(previous) = previous else { return Ok(None) };
    let number = integer(previous, "previous", -1, maximum)?;
    Ok((number >= 0).then_some(number))
}

/// A port of the client by its number, or any port by its address.
fn port_address(client: &SequencerClient, port: &Bound<'_, PyAny>) -> PyResult<Address> {
    if port.is_instance_of::<PyInt>() {
        return Ok(client.address(byte(port, "port")?));
    }
    address(port, "port")
}

/// The sequencer.
#[pymethods]
impl Client {
    /// The name of the engine: `"kernel"` or `"embedded"`.
    fn _engine_name(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.sequencer(py)?.get_sequencer_name().or_raise(py)
    }

    /// The number of the sequencer's type.
    fn _sequencer_type(&self, py: Python<'_>) -> PyResult<u8> {
        Ok(self.sequencer(py)?.get_sequencer_type().or_raise(py)? as u8)
    }

    /// The maximum number of queues, clients, ports and channels, and the present number of clients
    /// and queues.
    fn _system_info(&self, py: Python<'_>) -> PyResult<(u32, u32, u32, u32, u32, u32)> {
        let info = self.sequencer(py)?.get_system_info().or_raise(py)?;
        Ok((
            info.queues,
            info.clients,
            info.ports,
            info.channels,
            info.cur_clients,
            info.cur_queues,
        ))
    }
}

/// Clients.
#[pymethods]
impl Client {
    /// A client by its number; without a number, this client.
    fn _client_info(
        &self,
        py: Python<'_>,
        client_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<ClientTuple> {
        let client = self.sequencer(py)?;
        let Some(client_id) = client_id else {
            return client.get_client_info().or_raise(py).map(client_tuple);
        };
        let number = count(client_id, "client_id")?;
        let Ok(number) = u8::try_from(number) else {
            let message =
                format!("get_client_info client {number} failed: no such client (ENOENT)");
            return Err(alsa_error(py, &message, libc::ENOENT));
        };
        client.get_any_client_info(number).or_raise(py).map(client_tuple)
    }

    /// Changes the name and the filters of this client.
    #[allow(clippy::too_many_arguments)] // the fields of `ClientInfo` that a program can change
    fn _set_client_info(
        &self,
        py: Python<'_>,
        client_id: &Bound<'_, PyAny>,
        name: String,
        broadcast_filter: bool,
        error_bounce: bool,
        event_lost: &Bound<'_, PyAny>,
        event_filter: Option<Vec<Bound<'_, PyAny>>>,
    ) -> PyResult<()> {
        let client = self.sequencer(py)?;
        let client_id = byte(client_id, "client_id")?;
        let event_lost = integer(event_lost, "event_lost", 0, u32::MAX.into())? as u32;
        let event_filter = event_filter
            .map(|types| {
                types
                    .iter()
                    .map(|kind| Ok(EventType(byte(kind, "event_filter")?)))
                    .collect::<PyResult<EventFilter>>()
            })
            .transpose()?;
        // Fields that the Python class lacks keep their values.
        let present = client.get_client_info().or_raise(py)?;
        let info = ClientInfo {
            client_id,
            name,
            broadcast_filter,
            error_bounce,
            event_lost,
            event_filter,
            client_type: ClientType::User,
            ..present
        };
        client.set_client_info(&info).or_raise(py)
    }

    /// Adds an event type to the types that this client receives.
    fn _set_client_event_filter(
        &self,
        py: Python<'_>,
        event_type: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let event_type = EventType(byte(event_type, "event_type")?);
        self.sequencer(py)?.set_client_event_filter(event_type).or_raise(py)
    }

    /// The client with the next number, or `None` after the last one.
    fn _query_next_client(
        &self,
        py: Python<'_>,
        previous: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<ClientTuple>> {
        let client = self.sequencer(py)?;
        let previous = match previous_number(previous, i32::MAX.into())?.map(u8::try_from) {
            None => None,
            Some(Ok(number)) => Some(number),
            // No client has a number above 255.
            Some(Err(_)) => return Ok(None),
        };
        let info = client.query_next_client(previous).or_raise(py)?;
        Ok(info.map(client_tuple))
    }
}

/// Pools and buffers.
#[pymethods]
impl Client {
    /// The pools of this client.
    fn _client_pool(&self, py: Python<'_>) -> PyResult<PoolTuple> {
        let pool = self.sequencer(py)?.get_client_pool().or_raise(py)?;
        Ok((
            pool.client_id,
            pool.output_pool,
            pool.input_pool,
            pool.output_room,
            pool.output_free,
            pool.input_free,
        ))
    }

    /// Changes the sizes that are not `None`.
    fn _set_client_pool(
        &self,
        py: Python<'_>,
        output_pool: Option<&Bound<'_, PyAny>>,
        input_pool: Option<&Bound<'_, PyAny>>,
        output_room: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let client = self.sequencer(py)?;
        let present = client.get_client_pool().or_raise(py)?;
        let cells = |value: Option<&Bound<'_, PyAny>>, name, present| {
            value.map_or(Ok(present), |value| count(value, name))
        };
        let pool = ClientPool {
            output_pool: cells(output_pool, "output_pool", present.output_pool)?,
            input_pool: cells(input_pool, "input_pool", present.input_pool)?,
            output_room: cells(output_room, "output_room", present.output_room)?,
            ..present
        };
        client.set_client_pool(&pool).or_raise(py)
    }

    /// The size of the output buffer in bytes.
    fn get_output_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        let client = self.sequencer(py)?;
        client.connection().or_raise(py)?;
        Ok(client.get_output_buffer_size())
    }

    /// Sets the size of the output buffer in bytes, at least 28.
    fn set_output_buffer_size(&self, py: Python<'_>, size: &Bound<'_, PyAny>) -> PyResult<()> {
        let size = buffer_size(py, size)?;
        self.sequencer(py)?.set_output_buffer_size(size).or_raise(py)
    }

    /// The size of the input buffer in bytes.
    fn get_input_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        let client = self.sequencer(py)?;
        client.connection().or_raise(py)?;
        Ok(client.get_input_buffer_size())
    }

    /// Sets the size of the input buffer in bytes, at least 28.
    fn set_input_buffer_size(&self, py: Python<'_>, size: &Bound<'_, PyAny>) -> PyResult<()> {
        let size = buffer_size(py, size)?;
        self.sequencer(py)?.set_input_buffer_size(size).or_raise(py)
    }
}

/// Ports and connections.
#[pymethods]
impl Client {
    /// A port of this client by its number, or any port by its address.
    fn get_port_info<'py>(
        &self,
        py: Python<'py>,
        port: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.sequencer(py)?;
        let info = client.get_port_info(port_address(client, port)?).or_raise(py)?;
        port_info::to_python(py, &info)
    }

    /// Changes a port of this client.
    fn _set_port_info(
        &self,
        py: Python<'_>,
        port: &Bound<'_, PyAny>,
        info: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let port = byte(port, "port")?;
        let info = port_info::from_python(info)?;
        self.sequencer(py)?.set_port_info(port, &info).or_raise(py)
    }

    /// The port of a client with the next number, or `None` after the last one.
    fn _query_next_port<'py>(
        &self,
        py: Python<'py>,
        client_id: &Bound<'py, PyAny>,
        previous: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let owner = byte(client_id, "client_id")?;
        let previous = previous_number(previous, 255)?.map(|number| number as u8);
        let info = self.sequencer(py)?.query_next_port(owner, previous).or_raise(py)?;
        info.map(|info| port_info::to_python(py, &info)).transpose()
    }

    /// The ports of all clients that match the options.
    #[pyo3(signature = (input, output, r#type, include_system, include_midi_through,
        include_no_export, only_connectable, by_usefulness))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // of `list_ports`
    fn _list_ports<'py>(
        &self,
        py: Python<'py>,
        input: bool,
        output: bool,
        r#type: &Bound<'py, PyAny>,
        include_system: bool,
        include_midi_through: bool,
        include_no_export: bool,
        only_connectable: bool,
        by_usefulness: bool,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut options = ListPorts::new();
        let bits = integer(r#type, "type", 0, u32::MAX.into())?;
        options.input = input;
        options.output = output;
        options.port_type = PortType::from_bits_retain(bits as u32);
        options.include_system = include_system;
        options.include_midi_through = include_midi_through;
        options.include_no_export = include_no_export;
        options.only_connectable = only_connectable;
        if !by_usefulness {
            options.sort = PortSort::Address;
        }
        let ports = self.sequencer(py)?.list_ports(&options).or_raise(py)?;
        ports.iter().map(|info| port_info::to_python(py, info)).collect()
    }

    /// Connects two ports.
    #[allow(clippy::too_many_arguments)] // the arguments of `subscribe_port`
    fn _subscribe_port(
        &self,
        py: Python<'_>,
        sender: &Bound<'_, PyAny>,
        dest: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        exclusive: bool,
        time_update: bool,
        time_real: bool,
    ) -> PyResult<()> {
        let (sender, dest) = (address(sender, "sender")?, address(dest, "dest")?);
        let queue = queue.map(|queue| byte(queue, "queue")).transpose()?;
        let options = SubscribeOptions { queue, exclusive, time_update, time_real };
        self.sequencer(py)?.subscribe_port(sender, dest, options).or_raise(py)
    }

    /// Disconnects two ports, of this client or of others.
    fn unsubscribe_port(
        &self,
        py: Python<'_>,
        sender: &Bound<'_, PyAny>,
        dest: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (sender, dest) = (address(sender, "sender")?, address(dest, "dest")?);
        self.sequencer(py)?.unsubscribe_port(sender, dest).or_raise(py)
    }

    /// One connection of a port.
    fn _query_port_subscribers(
        &self,
        py: Python<'_>,
        root: &Bound<'_, PyAny>,
        r#type: &Bound<'_, PyAny>,
        index: &Bound<'_, PyAny>,
    ) -> PyResult<ConnectionTuple> {
        let query = SubscriptionQuery::new(
            address(root, "root")?,
            query_type(r#type)?,
            count(index, "index")?,
        );
        let connection = self.sequencer(py)?.query_port_subscribers(&query).or_raise(py)?;
        Ok(connection_tuple(&connection))
    }

    /// All connections of a port in one direction, or in both.
    fn _list_port_subscribers(
        &self,
        py: Python<'_>,
        port: &Bound<'_, PyAny>,
        r#type: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<ConnectionTuple>> {
        let port = address(port, "port")?;
        let query_type = r#type.map(query_type).transpose()?;
        let connections =
            self.sequencer(py)?.list_port_subscribers(port, query_type).or_raise(py)?;
        Ok(connections.iter().map(connection_tuple).collect())
    }
}

/// Queues.
#[pymethods]
impl Client {
    /// The number of the queue with a name.
    fn _query_named_queue(&self, py: Python<'_>, name: &str) -> PyResult<u8> {
        self.sequencer(py)?.query_named_queue(name).or_raise(py)
    }

    /// Name, owner and locking of a queue.
    fn _queue_info(&self, py: Python<'_>, queue_id: &Bound<'_, PyAny>) -> PyResult<QueueTuple> {
        let queue = byte(queue_id, "queue_id")?;
        let info = self.sequencer(py)?.get_queue_info(queue).or_raise(py)?;
        Ok((info.queue_id, info.name, info.owner, info.locked, info.flags))
    }

    /// Changes name, owner and locking of a queue.
    fn _set_queue_info(
        &self,
        py: Python<'_>,
        queue_id: &Bound<'_, PyAny>,
        name: String,
        owner: &Bound<'_, PyAny>,
        locked: bool,
        flags: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let info = QueueInfo {
            queue_id: byte(queue_id, "queue_id")?,
            name,
            owner: byte(owner, "owner")?,
            locked,
            flags: integer(flags, "flags", 0, u32::MAX.into())? as u32,
        };
        self.sequencer(py)?.set_queue_info(info.queue_id, &info).or_raise(py)
    }

    /// Time, state and number of waiting events of a queue.
    fn _queue_status(
        &self,
        py: Python<'_>,
        queue_id: &Bound<'_, PyAny>,
    ) -> PyResult<QueueStatusTuple> {
        let queue = byte(queue_id, "queue_id")?;
        let status = self.sequencer(py)?.get_queue_status(queue).or_raise(py)?;
        let time = status.real_time;
        Ok((
            status.queue_id,
            status.events,
            status.tick_time,
            (time.seconds(), time.nanoseconds()),
            status.status,
        ))
    }

    /// Removes the events that match the condition; `time` is a number of ticks or a `RealTime`.
    #[allow(clippy::too_many_arguments)] // the fields of `RemoveEvents`
    fn _remove_events(
        &self,
        py: Python<'_>,
        condition: &Bound<'_, PyAny>,
        queue_id: &Bound<'_, PyAny>,
        time: &Bound<'_, PyAny>,
        dest: &Bound<'_, PyAny>,
        channel: &Bound<'_, PyAny>,
        event_type: &Bound<'_, PyAny>,
        tag: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let condition = integer(condition, "condition", 0, u32::MAX.into())? as u32;
        let mut remove = RemoveEvents::new(RemoveCondition::from_bits_retain(condition));
        remove.queue_id = byte(queue_id, "queue_id")?;
        remove.time = if let Ok(time) = time.cast::<real_time::RealTime>() {
            let (seconds, nanoseconds) = time.borrow().to_sequencer("time")?;
            EventTime::Real(RealTime::new(seconds, nanoseconds))
        } else {
            EventTime::Tick(integer(time, "time", 0, u32::MAX.into())? as u32)
        };
        remove.dest = address(dest, "dest")?;
        remove.channel = byte(channel, "channel")?;
        remove.event_type = EventType(byte(event_type, "event_type")?);
        remove.tag = byte(tag, "tag")?;
        self.sequencer(py)?.remove_events(&remove).or_raise(py)
    }
}
