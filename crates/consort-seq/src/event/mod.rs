//! Events: what travels between the ports of the sequencer.
//!
//! An [`Event`] is the kernel's own cell of 28 bytes plus, for system exclusive messages and
//! the like, data of variable length. So nothing is lost between the kernel and the program,
//! whatever type the event has, and an event of fixed size never allocates. [`Event::payload`]
//! gives the typed view; the builders ([`Event::note_on`] and its kin) check their arguments.
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

/// The queue number that means: deliver at once (`SNDRV_SEQ_QUEUE_DIRECT`).
pub const QUEUE_DIRECT: u8 = 253;

/// When an event is due.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventTime {
    /// In ticks of its queue.
    Tick(u32),
    /// In its queue's real time.
    Real(RealTime),
}

/// An event of the sequencer.
///
/// `Default` is an event of type [`EventType::NONE`]. Events are plain values: `Send`, `Sync`,
/// cheap to clone, and allocation-free unless they carry variable data.
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
    /// An event with `payload`, unchecked: direct, to all subscribers, at tick 0. The builders
    /// check their arguments, this does not, as the kernel takes any value.
    #[must_use]
    #[inline]
    pub fn new(payload: Payload<'_>) -> Self {
        let mut cell = Cell::new(EventType::NONE);
        let variable = payload.write(&mut cell);
        let variable = if variable.is_empty() { Vec::new() } else { variable.to_vec() };
        Self { cell, variable }
    }

    /// An event of any type with any 12 bytes of data, unchecked. For a type of variable length
    /// use [`Event::from_raw`].
    #[must_use]
    pub fn with_data(event_type: EventType, data: [u8; 12]) -> Self {
        let mut cell = Cell::new(event_type);
        cell.set_data(data);
        Self { cell, variable: Vec::new() }
    }

    /// The event with exactly this cell of the kernel's and, if its flags say variable length,
    /// this variable data; otherwise `variable` is dropped. Lossless: [`Event::to_raw`] and
    /// [`Event::variable`] give the same back, but for the pointer that a variable event's cell
    /// holds, which means nothing outside the kernel.
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

    /// The kernel's cell, as it is written: the length of variable data is filled in.
    #[must_use]
    pub fn to_raw(&self) -> raw::Event {
        raw::Event::from_bytes(&self.cell_to_write().0)
    }

    /// The variable data; empty for events of fixed size.
    #[must_use]
    pub fn variable(&self) -> &[u8] {
        &self.variable
    }

    /// The 12 bytes of fixed data.
    #[must_use]
    pub fn data(&self) -> [u8; 12] {
        self.cell.data()
    }

    /// The payload, typed.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        Payload::read(&self.cell, &self.variable)
    }

    /// Replaces the payload, and with it the type; address, queue, time, tag and priority stay.
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

    /// Replaces the flag bits, but for those that say how long the event is.
    pub fn set_flags(&mut self, flags: EventFlags) {
        let length = self.cell.flags() & EventFlags::LENGTH_MASK;
        self.cell.0[1] = ((flags - EventFlags::LENGTH_MASK) | length).bits();
    }

    /// The tag, free for the program's use; [`RemoveEvents`](crate::RemoveEvents) can select by
    /// it.
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

    /// Whether the event goes past the queues.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.queue() == QUEUE_DIRECT
    }

    /// When the event is due, or, on a received one, its time stamp.
    #[must_use]
    pub const fn time(&self) -> EventTime {
        if self.cell.0[1] & EventFlags::TIME_STAMP_REAL.bits() == 0 {
            EventTime::Tick(self.cell.word(4))
        } else {
            EventTime::Real(self.cell.real_time(4))
        }
    }

    /// The stamp in ticks, if it is in ticks.
    #[must_use]
    pub const fn tick(&self) -> Option<u32> {
        match self.time() {
            EventTime::Tick(tick) => Some(tick),
            EventTime::Real(_) => None,
        }
    }

    /// The stamp in real time, if it is in real time.
    #[must_use]
    pub const fn real_time(&self) -> Option<RealTime> {
        match self.time() {
            EventTime::Tick(_) => None,
            EventTime::Real(time) => Some(time),
        }
    }

    /// Whether the stamp counts from the moment when the event is queued.
    #[must_use]
    pub const fn is_relative(&self) -> bool {
        self.cell.0[1] & EventFlags::TIME_MODE_RELATIVE.bits() != 0
    }

    /// Sets the stamp and its bit; `relative` sets the mode bit.
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

    /// Whether the event goes before others of the same time.
    #[must_use]
    pub const fn is_high_priority(&self) -> bool {
        self.cell.0[1] & EventFlags::PRIORITY_HIGH.bits() != 0
    }

    /// Sets or clears the priority.
    pub fn set_high_priority(&mut self, high: bool) {
        let mut flags = self.cell.flags();
        flags.set(EventFlags::PRIORITY_HIGH, high);
        self.cell.0[1] = flags.bits();
    }

    /// Where the event comes from. The kernel fills in the client's number.
    #[must_use]
    pub const fn source(&self) -> Address {
        self.cell.address(12)
    }

    /// Sets the source.
    pub fn set_source(&mut self, source: Address) {
        self.cell.set_address(12, source);
    }

    /// Where the event goes.
    #[must_use]
    pub const fn dest(&self) -> Address {
        self.cell.address(14)
    }

    /// Sets the destination.
    pub fn set_dest(&mut self, dest: Address) {
        self.cell.set_address(14, dest);
    }

    /// Bytes of the event as it is written: 28, plus the variable data.
    #[must_use]
    pub fn length(&self) -> usize {
        Cell::SIZE + self.variable.len()
    }

    /// Whether the event has variable length.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.cell.is_variable()
    }

    /// The cell as it is written: a variable event's stated length filled in.
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
