//! Delivery of events: into a queue or directly, to one port or to subscribers.

use super::pool::{Stored, cells_of_data};
use super::queue::Queue;
use super::state::{State, fault};
use crate::engine::Errno;
use crate::raw::{Address, Event, EventData, address, event_flag, event_type, port_capability};
use crate::raw::{client_filter, subscription_flag};

/// An event that passes through this many clients is dropped.
const MAX_HOPS: u32 = 10;
/// The first of the event types that only the kernel may send.
const FIRST_RESERVED_TYPE: u8 = 150;
/// Variable data must be shorter than this many bytes.
const MAX_DATA_BYTES: u32 = 0x3fff_fff0;

/// Bits of the length field that the kernel reserves for itself.
const LENGTH_FLAGS: u32 = 0xc000_0000;

const fn is_variable_type(kind: u8) -> bool {
    kind >= 130 && kind <= 139
}

impl State {
    /// Carries out the `write` of a client.
    pub(super) fn write(&mut self, number: u8, mut bytes: &[u8]) -> Result<usize, Errno> {
        let client = self.own(number)?;
        if !client.user.as_ref().is_some_and(|user| user.accepts_output) {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        if !client.pool.is_set_up() {
            client.pool.set_up();
        }
        self.touch(number);
        let mut written = 0;
        let mut failure = None;
        while let Some((cell, rest)) = bytes.split_first_chunk::<{ Event::SIZE }>() {
            let mut event = Event::from_bytes(cell);
            match self.write_one(number, &mut event, rest) {
                Ok(data_length) => {
                    written += Event::SIZE + data_length;
                    bytes = &rest[data_length..];
                }
                Err(errno) => {
                    failure = Some(errno);
                    break;
                }
            }
        }
        match failure {
            Some(errno) if written == 0 => Err(errno),
            None if written == 0 => Err(Errno::INVALID),
            _ => Ok(written),
        }
    }

    /// Takes one event; returns the length of its variable data in `rest`.
    fn write_one(&mut self, number: u8, event: &mut Event, rest: &[u8]) -> Result<usize, Errno> {
        event.source.client = number;
        let is_variable_type = is_variable_type(event.kind);
        let is_direct = event.queue == address::QUEUE_DIRECT;
        let is_valid = match event.flags & event_flag::LENGTH_MASK {
            event_flag::LENGTH_FIXED => !is_variable_type,
            event_flag::LENGTH_VARIABLE => {
                is_variable_type && event.data.external_length() & !LENGTH_FLAGS < MAX_DATA_BYTES
            }
            event_flag::LENGTH_USER => is_direct,
            _ => true,
        };
        if !is_valid {
            return Err(Errno::INVALID);
        }
        if event.kind == event_type::NONE {
            return Ok(0);
        }
        if event.kind >= FIRST_RESERVED_TYPE {
            return Err(Errno::INVALID);
        }
        let mut data = &[][..];
        if event.is_variable() {
            let length = (event.data.external_length() & !LENGTH_FLAGS) as usize;
            data = rest.get(..length).ok_or(Errno::INVALID)?;
            event.data = EventData::from_external_length(length as u32);
        }
        self.enqueue(number, event, data)?;
        Ok(data.len())
    }

    /// Delivers an event or puts it into its queue.
    fn enqueue(&mut self, number: u8, event: &mut Event, data: &[u8]) -> Result<(), Errno> {
        if event.queue == address::SUBSCRIBERS {
            // With this form the source port need not exist: the event then reaches no port.
            event.dest.client = address::SUBSCRIBERS;
            event.queue = address::QUEUE_DIRECT;
        } else if event.dest.client == address::SUBSCRIBERS && self.port(event.source).is_none() {
            return Err(Errno::INVALID);
        }
        if event.queue == address::QUEUE_DIRECT {
            if event.kind == event_type::NOTE {
                return Err(Errno::INVALID);
            }
            return self.deliver(Some(number), event, data, 0).map(|_| ());
        }
        let queue_number = event.queue;
        if !self.queue(queue_number.into()).is_some_and(|queue| queue.is_used_by(number)) {
            return Err(Errno::INVALID);
        }
        let data_cells = self.data_cells(event, data);
        let cells = self.own(number)?.pool.allocate(data_cells)?;
        let data = event.is_variable().then(|| Box::from(data));
        let (now, tie_order) = (self.now, self.tie_order());
        if let Some(queue) = self.queue_mut(queue_number.into()) {
            queue.insert(Stored { event: *event, data, cells }, now, tie_order);
        }
        self.run_queue(queue_number.into());
        if let Some(due) = self.queue(queue_number.into()).and_then(Queue::next_due) {
            self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        }
        Ok(())
    }

    fn data_cells(&self, event: &Event, data: &[u8]) -> u32 {
        if !event.is_variable() || fault!(self, VariableDataIsFree) {
            return 0;
        }
        cells_of_data(data.len())
    }

    /// Delivers all events of a queue that are due now.
    pub(super) fn run_queue(&mut self, number: usize) {
        while let Some(stored) =
            self.queues[number].as_deref_mut().and_then(|queue| queue.take_due(self.now))
        {
            self.dispatch(number, stored);
        }
    }

    /// Delivers one event from a queue. A note is delivered as note on and queued again as note
    /// off.
    fn dispatch(&mut self, number: usize, mut stored: Stored) {
        let source = stored.event.source.client;
        if stored.event.kind != event_type::NOTE {
            let mut event = stored.event;
            let _undelivered = self.deliver(Some(source), &mut event, stored.data(), 0);
            self.free_cells(source, stored.cells);
            return;
        }
        let mut on = Event { kind: event_type::NOTE_ON, ..stored.event };
        let _undelivered = self.deliver(Some(source), &mut on, &[], 0);
        if fault!(self, NoteOffMissing) {
            self.free_cells(source, stored.cells);
            return;
        }
        let off = &mut stored.event;
        let mut note = off.data.note();
        off.kind = event_type::NOTE_OFF;
        off.flags |= event_flag::PRIORITY_HIGH;
        if off.is_real_time() {
            let [seconds, nanoseconds] = off.time.words;
            let sum = u64::from(nanoseconds) + u64::from(note.duration % 1000) * 1_000_000;
            off.time.words = [
                seconds
                    .wrapping_add(note.duration / 1000)
                    .wrapping_add((sum / 1_000_000_000) as u32),
                (sum % 1_000_000_000) as u32,
            ];
        } else {
            off.time.words[0] = off.time.words[0].wrapping_add(note.duration);
        }
        note.velocity = note.off_velocity;
        // The kernel changes the note's fields only, not the bytes behind them.
        let unused = off.data.words[2];
        off.data = EventData::from_note(note);
        off.data.words[2] = unused;
        let (now, tie_order) = (self.now, self.tie_order());
        match self.queues[number].as_deref_mut() {
            Some(queue) => queue.insert(stored, now, tie_order),
            None => self.free_cells(source, stored.cells),
        }
    }

    /// Frees cells of a client's output pool.
    pub(super) fn free_cells(&mut self, client: u8, cells: u32) {
        if let Some(client) = self.client_mut(client) {
            client.pool.free(cells);
        }
        self.touch(client);
    }

    /// Delivers an event: to the subscribers of its source, or to its destination. `sender` is the
    /// client that gets the event back if it cannot be delivered.
    pub(super) fn deliver(
        &mut self,
        sender: Option<u8>,
        event: &mut Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        let hop = hop + 1;
        if hop >= MAX_HOPS {
            return Err(Errno::TOO_MANY_HOPS);
        }
        if event.dest.client == address::SUBSCRIBERS {
            self.deliver_to_subscribers(sender, event, data, hop)
        } else {
            self.deliver_to_port(sender, event, data, hop)
        }
    }

    fn deliver_to_subscribers(
        &mut self,
        sender: Option<u8>,
        event: &mut Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        let source = Address::new(sender.unwrap_or(event.source.client), event.source.port);
        let original = *event;
        let mut delivered = 0;
        let mut failure = None;
        let mut index = 0;
        while let Some(&connection) =
            self.port(source).and_then(|port| port.readers.list.get(index))
        {
            index += 1;
            event.dest = connection.dest;
            if connection.flags & subscription_flag::TIMESTAMP != 0 {
                let real = connection.flags & subscription_flag::TIME_REAL != 0;
                self.stamp(event, connection.queue, real);
            }
            match self.deliver_to_port(sender, event, data, hop) {
                Ok(_) => {
                    delivered += 1;
                    *event = original;
                }
                Err(errno) => failure = failure.or(Some(errno)),
            }
        }
        *event = original;
        failure.map_or(Ok(delivered), Err)
    }

    fn deliver_to_port(
        &mut self,
        sender: Option<u8>,
        event: &mut Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        let is_direct = event.queue == address::QUEUE_DIRECT;
        match self.receive(event, data, hop) {
            Err(_) if !is_direct => self.bounce(sender, event, hop),
            result => result,
        }
    }

    /// Puts an event into the input queue of its destination, or passes it to a kernel client.
    fn receive(&mut self, event: &mut Event, data: &[u8], hop: u32) -> Result<i32, Errno> {
        let dest = event.dest;
        let client = self.client(dest.client).ok_or(Errno::NOT_FOUND)?;
        if !client.accepts_input() || !client.accepts_type(event.kind) {
            return Err(Errno::NOT_FOUND);
        }
        let port = client.ports.get(&dest.port).ok_or(Errno::NOT_FOUND)?;
        if !port.has(port_capability::WRITE) {
            return Err(Errno::NOT_PERMITTED);
        }
        if port.timestamping && !fault!(self, PortTimestampMissing) {
            let (queue, real) = (port.time_queue, port.time_real);
            self.stamp(event, queue, real);
        }
        let data_cells = self.data_cells(event, data);
        let Some(client) = self.client_mut(dest.client) else { return Err(Errno::NOT_FOUND) };
        match client.user.as_mut().map(|user| user.fifo.as_mut()) {
            None => self.kernel_input(dest, event, data, hop),
            Some(None) => Err(Errno::NOT_FOUND),
            Some(Some(fifo)) => {
                fifo.push(event, data, data_cells)?;
                self.touch(dest.client);
                Ok(0)
            }
        }
    }

    /// Replaces an event's time stamp by the current time of a queue.
    fn stamp(&self, event: &mut Event, number: u8, real: bool) {
        let Some(queue) = self.queue(number.into()) else { return };
        event.queue = number;
        event.flags &= !event_flag::TIME_STAMP_MASK;
        if real {
            event.flags |= event_flag::TIME_STAMP_REAL;
            event.time = crate::raw::Timestamp::from_real(queue.timer.real_time(self.now));
        } else {
            event.time.words[0] = queue.timer.tick(self.now);
        }
    }

    /// Returns an undeliverable event to its sender, if the sender's filter requests bounced events.
    fn bounce(&mut self, sender: Option<u8>, event: &Event, hop: u32) -> Result<i32, Errno> {
        let Some(client) = sender.and_then(|number| self.client(number)) else { return Ok(0) };
        if client.filter & client_filter::BOUNCE == 0
            || !client.accepts_input()
            || fault!(self, BounceMissing)
        {
            return Ok(0);
        }
        let number = client.number;
        let data = event.to_bytes();
        let mut bounced = Event {
            kind: event_type::BOUNCE,
            flags: event_flag::LENGTH_VARIABLE,
            queue: address::QUEUE_DIRECT,
            source: Address::new(address::CLIENT_SYSTEM, address::PORT_SYSTEM_ANNOUNCE),
            dest: Address::new(number, event.source.port),
            data: EventData::from_external_length(Event::SIZE as u32),
            ..Event::default()
        };
        let result = self.deliver_to_port(None, &mut bounced, &data, hop + 1);
        if result.is_err()
            && let Some(client) = self.client_mut(number)
        {
            client.lost_events = client.lost_events.wrapping_add(1);
        }
        result
    }

    /// Carries out the `read` of a client.
    pub(super) fn read(&mut self, number: u8, buffer: &mut [u8]) -> Result<usize, Errno> {
        let is_silent = fault!(self, OverrunSilent);
        let client = self.own(number)?;
        let fifo = client
            .user
            .as_mut()
            .and_then(|user| user.fifo.as_mut())
            .ok_or(Errno::BAD_DESCRIPTOR)?;
        if fifo.take_overrun() && !is_silent {
            self.touch(number);
            return Err(Errno::OVERRUN);
        }
        let mut filled = 0;
        // Whether the first event is missing or does not fit, which a read reports as EAGAIN.
        let mut is_short = false;
        while buffer.len() - filled >= Event::SIZE {
            let Some(stored) = fifo.front() else {
                is_short = true;
                break;
            };
            let data = stored.data();
            let padded = if stored.event.is_variable() {
                data.len().next_multiple_of(Event::SIZE)
            } else {
                0
            };
            let rest = &mut buffer[filled..];
            let Some(target) = rest.get_mut(..Event::SIZE + padded) else {
                is_short = true;
                break;
            };
            let (cell, tail) = target.split_at_mut(Event::SIZE);
            cell.copy_from_slice(&stored.event.to_bytes());
            let (variable, padding) = tail.split_at_mut(data.len().min(padded));
            variable.copy_from_slice(&data[..variable.len()]);
            padding.fill(0);
            filled += Event::SIZE + padded;
            fifo.remove_front();
        }
        self.touch(number);
        if filled == 0 && is_short { Err(Errno::WOULD_BLOCK) } else { Ok(filled) }
    }
}
