//! Steps that write and read events.

use super::{OpenClient, Runner, SLOWEST_TEMPO, Timing};
use crate::raw::{Address, Event, EventData, NoteData, address, event_flag, event_type};

impl Runner<'_> {
    /// Generates an event and its variable data.
    fn generate_event(&mut self) -> (Event, Vec<u8>) {
        let kind = if self.input.chance(24) {
            self.input.byte()
        } else {
            self.input.pick(&[
                event_type::NOTE,
                event_type::NOTE_ON,
                event_type::NOTE_OFF,
                event_type::CONTROLLER,
                event_type::ECHO,
                event_type::SYSEX,
                event_type::NONE,
                event_type::USER_VARIABLE_0,
            ])
        };
        let is_variable = (130..=139).contains(&kind);
        let mut flags = if is_variable { event_flag::LENGTH_VARIABLE } else { 0 };
        flags |= self.input.pick(&[0, 0, 0, 1, 1, 2, 3, 16, 17]);
        if self.input.chance(6) {
            flags = self.input.byte() & !event_flag::UMP;
        }
        let dest = match self.input.below(4) {
            0 => Address::new(address::SUBSCRIBERS, 0),
            1 => self.address(),
            _ => self.user_address(),
        };
        let mut event = Event {
            kind,
            flags,
            tag: self.input.below(2),
            queue: self.input.pick(&[253, 253, 0, 0, 0, 0, 1, 2, 254, 9]),
            time: self.time(flags & 1 != 0),
            source: Address::new(self.input.below(2) * 77, self.input.pick(&[0, 0, 0, 1, 7])),
            dest,
            data: EventData::default(),
        };
        let mut data = Vec::new();
        if is_variable {
            let length = self.input.pick(&[0, 1, 10, 28, 29, 100, 300]);
            data = (0..length).map(|index| index as u8).collect();
            event.data = EventData::from_external_length(length);
        } else {
            event.data = EventData::from_note(NoteData {
                channel: self.input.below(2),
                note: self.input.byte(),
                velocity: 100,
                off_velocity: 64,
                duration: self.input.pick(&[0, 3, 1_000_000]) * 1000,
            });
        }
        (event, data)
    }

    /// Generates an event that controls a queue.
    fn generate_queue_control(&mut self) -> Event {
        let kind = self.input.pick(&[30, 30, 31, 32, 33, 34, 35, 36, 38]);
        let mut data = [0; 12];
        data[0] = self.queue_number().cast_unsigned() as u8;
        let mut value = match kind {
            event_type::TEMPO => self.input.pick(&[SLOWEST_TEMPO, 0, u32::MAX]),
            event_type::QUEUE_SKEW => 0x1_0000,
            _ => self.input.pick(&[0, 1, 2, 50]),
        };
        if !self.is_comparable() && self.input.chance(64) {
            value = self.input.word();
        }
        data[4..8].copy_from_slice(&value.to_ne_bytes());
        let second: u32 = if kind == event_type::QUEUE_SKEW { 0x1_0000 } else { 0 };
        data[8..].copy_from_slice(&second.to_ne_bytes());
        Event {
            kind,
            queue: self.input.pick(&[253, 253, 253, 0]),
            dest: Address::new(0, 0),
            data: EventData::from_bytes(data),
            ..Event::default()
        }
    }

    /// Writes events, some of them truncated or repeated.
    pub(super) fn write(&mut self, slot: usize) {
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        if self.input.chance(40) {
            events.push(self.generate_queue_control());
            bytes.extend(events[0].to_bytes());
        } else {
            for _ in 0..=self.input.below(4) {
                let (event, data) = self.generate_event();
                bytes.extend(event.to_bytes());
                bytes.extend(data);
                events.push(event);
            }
        }
        if self.input.chance(8) {
            let cut = self.input.below(30) as usize;
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
        let repeat = if self.input.chance(16) { self.input.byte() } else { 1 };
        for _ in 0..repeat.max(1) {
            self.write_bytes(slot, &bytes, &events);
        }
    }

    fn write_bytes(&mut self, slot: usize, bytes: &[u8], events: &[Event]) {
        let Some(OpenClient { connection, .. }) = &self.clients[slot] else { return };
        let result = connection.write(bytes);
        if let Timing::Comparable { settle } = self.timing
            && events.iter().any(|event| (30..40).contains(&event.kind))
        {
            std::thread::sleep(settle);
        }
        self.record((slot, "write", bytes.len(), events), result);
    }

    /// Schedules up to 11 events on queue 0.
    pub(super) fn schedule(&mut self, slot: usize) {
        for _ in 0..self.input.below(12) {
            let (mut event, data) = self.generate_event();
            event.queue = 0;
            event.flags &= !event_flag::LENGTH_USER;
            let mut bytes = event.to_bytes().to_vec();
            bytes.extend(data);
            self.write_bytes(slot, &bytes, &[event]);
        }
    }

    /// Reads events into a buffer of `size` bytes.
    pub(super) fn read(&mut self, slot: usize, size: usize) {
        let Some(OpenClient { connection, .. }) = &self.clients[slot] else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = connection.read(&mut buffer[..size]);
        let events = parse(&buffer[..result.unwrap_or(0)], self.is_comparable());
        self.buffer = buffer;
        self.record((slot, "read", size), (result, events));
    }
}

/// The events in bytes that were read, each with its padded variable data. Pointers of the kernel
/// are cleared. So are real times if engines are compared.
fn parse(bytes: &[u8], is_comparable: bool) -> Vec<(Event, Vec<u8>)> {
    let mut events = Vec::new();
    let mut rest = bytes;
    while let Some((cell, tail)) = rest.split_first_chunk() {
        let mut event = Event::from_bytes(cell);
        rest = tail;
        let mut data = Vec::new();
        if event.is_variable() {
            event.data.words[1..].fill(0);
            let length = event.data.external_length() as usize;
            let (variable, tail) = rest.split_at(length.next_multiple_of(28).min(rest.len()));
            data = variable.to_vec();
            if event.kind == event_type::BOUNCE
                && let Some(bounced) = data.first_chunk_mut::<28>()
                && Event::from_bytes(bounced).is_variable()
            {
                bounced[20..].fill(0);
            }
            rest = tail;
        }
        if is_comparable && event.is_real_time() && event.time.words[1] != 0 {
            event.time.words = [0, 0];
        }
        events.push((event, data));
    }
    events
}
