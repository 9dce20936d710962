//! Events: the messages between the ports of the sequencer.
//!
//! An [`Event`] contains the kernel's own cell of 28 bytes and, for types such as system exclusive
//! messages, data of variable length. It therefore preserves every event of the kernel, whatever
//! its type, and an event of fixed size never allocates. [`Event::payload`] returns the typed view;
//! the builders (such as [`Event::note_on`]) check their arguments.
//!
//! ```
//! use consort_seq::{Address, Event, Payload};
//!
//! let event = Event::note_on(0, 60, 100)?.to(Address::new(128, 0)).at_tick(96);
//! match event.payload() {
//!     Payload::NoteOn(key) => assert_eq!(key.note, 60),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), consort_seq::EventError>(())
//! ```

mod address;
mod build;
mod cell;
mod display;
mod event_type;
mod payload;
mod real_time;

pub use address::{Address, AddressError};
pub use build::EventError;
pub(crate) use cell::Cell;
pub use event_type::{EventFlags, EventType};
pub use payload::{
    Bounce, ChannelValue, Connection, Control, EventResult, Key, Note, Payload, Quote, UmpNotice,
};
pub use real_time::{RealTime, RealTimeError};

use crate::raw;

/// The queue number for direct delivery, without a queue (`SNDRV_SEQ_QUEUE_DIRECT`).
pub const QUEUE_DIRECT: u8 = 253;

/// The time stamp of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventTime {
    /// Ticks of the queue.
    Tick(u32),
    /// Real time of the queue.
    Real(RealTime),
}

/// An event of the sequencer.
///
/// `Default` is an event of type [`EventType::NONE`]. Events are plain values: `Send`, `Sync`,
/// cheap to clone, and allocation-free unless they have variable data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Event {
    pub(crate) cell: Cell,
    pub(crate) variable: Vec<u8>,
}

impl Default for Event {
    fn default() -> Self {
        Self::new(Payload::None)
    }
}

impl Event {
    /// Creates an event with `payload`: direct, to all subscribers, at tick 0. Unlike the builders
    /// this does not check the payload, because the kernel accepts any value.
    #[must_use]
    #[inline]
    pub fn new(payload: Payload<'_>) -> Self {
        let mut cell = Cell::new(EventType::NONE);
        let variable = payload.write(&mut cell);
        let variable = if variable.is_empty() { Vec::new() } else { variable.to_vec() };
        Self { cell, variable }
    }

    /// Creates an event of any type with any 12 bytes of data, without checks. For a type with
    /// variable data use [`Event::from_raw`].
    #[must_use]
    pub fn with_data(event_type: EventType, data: [u8; 12]) -> Self {
        let mut cell = Cell::new(event_type);
        cell.set_data(data);
        Self { cell, variable: Vec::new() }
    }

    /// Creates an event from a cell of the kernel and, if its flags mark variable length, its
    /// variable data; otherwise `variable` is dropped. The conversion is lossless: [`Event::to_raw`]
    /// and [`Event::variable`] return the same, except for the pointer in the cell of a variable
    /// event, which is valid inside the kernel only.
    #[must_use]
    pub fn from_raw(raw: raw::Event, variable: Vec<u8>) -> Self {
        Self::from_cell(Cell(raw.to_bytes()), variable)
    }

    pub(crate) fn from_cell(cell: Cell, variable: Vec<u8>) -> Self {
        let mut event = Self { cell, variable };
        if cell.is_variable() {
            event.cell.set_data([0; 12]);
        } else {
            event.variable.clear();
        }
        event
    }

    /// The kernel's cell as it is written, with the length of variable data filled in.
    #[must_use]
    pub fn to_raw(&self) -> raw::Event {
        raw::Event::from_bytes(&self.cell_to_write().0)
    }

    /// The variable data; empty for an event of fixed size.
    #[must_use]
    pub fn variable(&self) -> &[u8] {
        &self.variable
    }

    /// The 12 bytes of fixed data.
    #[must_use]
    pub fn data(&self) -> [u8; 12] {
        self.cell.data()
    }

    /// The typed view of the payload.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        Payload::read(&self.cell, &self.variable)
    }

    /// Replaces the payload and the type; addresses, queue, time, tag and priority stay.
    pub fn set_payload(&mut self, payload: Payload<'_>) {
        let variable = payload.write(&mut self.cell);
        self.variable.clear();
        self.variable.extend_from_slice(variable);
    }

    /// The type.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        self.cell.event_type()
    }

    /// The flag bits.
    #[must_use]
    pub const fn flags(&self) -> EventFlags {
        self.cell.flags()
    }

    /// Replaces the flag bits, except those of the length.
    pub fn set_flags(&mut self, flags: EventFlags) {
        let length = self.cell.flags() & EventFlags::LENGTH_MASK;
        self.cell.0[1] = ((flags - EventFlags::LENGTH_MASK) | length).bits();
    }

    /// The tag, which programs may use freely; [`RemoveEvents`](crate::RemoveEvents) can select
    /// events by it.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.cell.0[2]
    }

    /// Sets the tag.
    pub fn set_tag(&mut self, tag: u8) {
        self.cell.0[2] = tag;
    }

    /// The queue's number; [`QUEUE_DIRECT`] for direct delivery.
    #[must_use]
    pub const fn queue(&self) -> u8 {
        self.cell.0[3]
    }

    /// Sets the queue.
    pub fn set_queue(&mut self, queue: u8) {
        self.cell.0[3] = queue;
    }

    /// Whether the event is delivered directly, without a queue.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.queue() == QUEUE_DIRECT
    }

    /// The time at which the event is due or, for a received event, its time stamp.
    #[must_use]
    pub const fn time(&self) -> EventTime {
        if self.cell.0[1] & EventFlags::TIME_STAMP_REAL.bits() == 0 {
            EventTime::Tick(self.cell.word(4))
        } else {
            EventTime::Real(self.cell.real_time(4))
        }
    }

    /// The time stamp, if it is in ticks.
    #[must_use]
    pub const fn tick(&self) -> Option<u32> {
        match self.time() {
            EventTime::Tick(tick) => Some(tick),
            EventTime::Real(_) => None,
        }
    }

    /// The time stamp, if it is real time.
    #[must_use]
    pub const fn real_time(&self) -> Option<RealTime> {
        match self.time() {
            EventTime::Tick(_) => None,
            EventTime::Real(time) => Some(time),
        }
    }

    /// Whether the time stamp is relative to the moment at which the event is queued.
    #[must_use]
    pub const fn is_relative(&self) -> bool {
        self.cell.0[1] & EventFlags::TIME_MODE_RELATIVE.bits() != 0
    }

    /// Sets the time stamp, and whether it is relative to the moment of queueing.
    pub fn set_time(&mut self, time: EventTime, relative: bool) {
        let mut flags = self.cell.flags();
        flags.set(EventFlags::TIME_MODE_RELATIVE, relative);
        match time {
            EventTime::Tick(tick) => {
                flags.remove(EventFlags::TIME_STAMP_REAL);
                self.cell.set_word(4, tick);
                self.cell.set_word(8, 0);
            }
            EventTime::Real(time) => {
                flags.insert(EventFlags::TIME_STAMP_REAL);
                self.cell.set_real_time(4, time);
            }
        }
        self.cell.0[1] = flags.bits();
    }

    /// Whether the event is delivered before others of the same time.
    #[must_use]
    pub const fn is_high_priority(&self) -> bool {
        self.cell.0[1] & EventFlags::PRIORITY_HIGH.bits() != 0
    }

    /// Sets whether the event is delivered before others of the same time.
    pub fn set_high_priority(&mut self, high: bool) {
        let mut flags = self.cell.flags();
        flags.set(EventFlags::PRIORITY_HIGH, high);
        self.cell.0[1] = flags.bits();
    }

    /// The sending port. The kernel fills in the client's number.
    #[must_use]
    pub const fn source(&self) -> Address {
        self.cell.address(12)
    }

    /// Sets the sending port.
    pub fn set_source(&mut self, source: Address) {
        self.cell.set_address(12, source);
    }

    /// The destination.
    #[must_use]
    pub const fn dest(&self) -> Address {
        self.cell.address(14)
    }

    /// Sets the destination.
    pub fn set_dest(&mut self, dest: Address) {
        self.cell.set_address(14, dest);
    }

    /// Bytes of the event as it is written: 28 plus the variable data.
    #[must_use]
    pub fn length(&self) -> usize {
        Cell::SIZE + self.variable.len()
    }

    /// Whether the event has variable data.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.cell.is_variable()
    }

    /// The cell as it is written, with the length of variable data filled in.
    #[inline]
    pub(crate) fn cell_to_write(&self) -> Cell {
        let mut cell = self.cell;
        if self.cell.is_variable() {
            cell.set_word(16, self.variable.len() as u32);
        }
        cell
    }
}

impl From<raw::Address> for Address {
    fn from(raw: raw::Address) -> Self {
        Self::new(raw.client, raw.port)
    }
}

impl From<Address> for raw::Address {
    fn from(address: Address) -> Self {
        Self::new(address.client, address.port)
    }
}

impl From<raw::RealTime> for RealTime {
    fn from(raw: raw::RealTime) -> Self {
        Self::new(raw.seconds, raw.nanoseconds)
    }
}

impl From<RealTime> for raw::RealTime {
    fn from(time: RealTime) -> Self {
        Self { seconds: time.seconds(), nanoseconds: time.nanoseconds() }
    }
}
