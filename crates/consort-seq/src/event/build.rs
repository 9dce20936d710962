//! Builders of events, which check their arguments, and chained setters.

use super::{
    Address, ChannelValue, Control, Event, EventTime, Key, Note, Payload, QUEUE_DIRECT, RealTime,
};

/// The error of an event builder whose argument is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} of a {event} event is {value}; expected {least} to {most}")]
#[non_exhaustive]
pub struct EventError {
    /// The event, such as `note on`.
    pub event: &'static str,
    /// The argument, such as `velocity`.
    pub field: &'static str,
    /// The value of the argument.
    pub value: i64,
    /// The least value allowed.
    pub least: i64,
    /// The greatest value allowed.
    pub most: i64,
}

/// Checks the arguments of one event, whose name its errors contain.
struct Check(&'static str);

impl Check {
    #[inline]
    fn within(
        &self,
        field: &'static str,
        value: impl Into<i64>,
        least: i64,
        most: i64,
    ) -> Result<(), EventError> {
        let value = value.into();
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(EventError { event: self.0, field, value, least, most })
    }

    #[inline]
    fn key(&self, channel: u8, note: u8, velocity: u8) -> Result<Key, EventError> {
        self.within("channel", channel, 0, 15)?;
        self.within("note", note, 0, 127)?;
        self.within("velocity", velocity, 0, 127)?;
        Ok(Key { channel, note, velocity })
    }

    #[inline]
    fn control(
        &self,
        (channel, param, value): (u8, u16, u16),
        most_param: i64,
        most_value: i64,
    ) -> Result<Control, EventError> {
        self.within("channel", channel, 0, 15)?;
        self.within("param", param, 0, most_param)?;
        self.within("value", value, 0, most_value)?;
        Ok(Control { channel, param: u32::from(param), value: i32::from(value) })
    }

    fn value(
        &self,
        channel: u8,
        value: impl Into<i64> + Copy,
        least: i64,
        most: i64,
    ) -> Result<ChannelValue, EventError> {
        self.within("channel", channel, 0, 15)?;
        self.within("value", value, least, most)?;
        let value: i64 = value.into();
        Ok(ChannelValue { channel, value: value as i32 })
    }
}

/// # Builders
///
/// A builder checks its arguments and fails with [`EventError`], which contains the argument, its
/// value and the allowed range.
#[allow(clippy::missing_errors_doc)] // stated once, above
impl Event {
    /// Note on: channel 0–15, note 0–127, velocity 0–127.
    #[inline]
    pub fn note_on(channel: u8, note: u8, velocity: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::NoteOn(Check("note on").key(channel, note, velocity)?)))
    }

    /// Note off: channel 0–15, note 0–127, velocity 0–127.
    #[inline]
    pub fn note_off(channel: u8, note: u8, velocity: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::NoteOff(Check("note off").key(channel, note, velocity)?)))
    }

    /// Key pressure: channel 0–15, note 0–127, pressure 0–127.
    pub fn key_pressure(channel: u8, note: u8, pressure: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::KeyPressure(Check("key pressure").key(channel, note, pressure)?)))
    }

    /// A note with its duration in ticks (in milliseconds if the time stamp is real time). Send it
    /// through a queue: the kernel rejects it when it is sent directly (`EINVAL`).
    pub fn note(channel: u8, note: u8, velocity: u8, duration: u32) -> Result<Self, EventError> {
        let key = Check("note").key(channel, note, velocity)?;
        Ok(Self::new(Payload::Note(Note {
            channel: key.channel,
            note: key.note,
            velocity: key.velocity,
            off_velocity: 0,
            duration,
        })))
    }

    /// Control change: channel 0–15, controller 0–127, value 0–127.
    #[inline]
    pub fn control_change(channel: u8, param: u8, value: u8) -> Result<Self, EventError> {
        let arguments = (channel, u16::from(param), u16::from(value));
        Ok(Self::new(Payload::ControlChange(Check("control change").control(arguments, 127, 127)?)))
    }

    /// Control change of 14 bits: channel 0–15, controller 0–127, value 0–16383. As MIDI bytes,
    /// controllers 0–31 become two messages, others one.
    pub fn control_14(channel: u8, param: u8, value: u16) -> Result<Self, EventError> {
        let arguments = (channel, u16::from(param), value);
        Ok(Self::new(Payload::Control14(
            Check("14-bit control change").control(arguments, 127, 16383)?,
        )))
    }

    /// Non-registered parameter (NRPN): channel 0–15, parameter and value 0–16383.
    pub fn non_registered_parameter(
        channel: u8,
        param: u16,
        value: u16,
    ) -> Result<Self, EventError> {
        Ok(Self::new(Payload::NonRegisteredParameter(Check("non-registered parameter").control(
            (channel, param, value),
            16383,
            16383,
        )?)))
    }

    /// Registered parameter (RPN): channel 0–15, parameter and value 0–16383.
    pub fn registered_parameter(channel: u8, param: u16, value: u16) -> Result<Self, EventError> {
        Ok(Self::new(Payload::RegisteredParameter(Check("registered parameter").control(
            (channel, param, value),
            16383,
            16383,
        )?)))
    }

    /// Program change: channel 0–15, program 0–127.
    pub fn program_change(channel: u8, program: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::ProgramChange(
            Check("program change").value(channel, program, 0, 127)?,
        )))
    }

    /// Channel pressure: channel 0–15, pressure 0–127.
    pub fn channel_pressure(channel: u8, pressure: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::ChannelPressure(
            Check("channel pressure").value(channel, pressure, 0, 127)?,
        )))
    }

    /// Pitch bend: channel 0–15, value −8192 to 8191.
    #[inline]
    pub fn pitch_bend(channel: u8, value: i16) -> Result<Self, EventError> {
        Ok(Self::new(Payload::PitchBend(Check("pitch bend").value(channel, value, -8192, 8191)?)))
    }

    /// Song position in MIDI beats (sixteenth notes), 0–16383.
    pub fn song_position(beats: u16) -> Result<Self, EventError> {
        Ok(Self::new(Payload::SongPosition(Check("song position").value(0, beats, 0, 16383)?)))
    }

    /// Song select, 0–127.
    pub fn song_select(song: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::SongSelect(Check("song select").value(0, song, 0, 127)?)))
    }

    /// MIDI time code quarter frame, 0–127.
    pub fn quarter_frame(value: u8) -> Result<Self, EventError> {
        Ok(Self::new(Payload::QuarterFrame(Check("quarter frame").value(0, value, 0, 127)?)))
    }

    /// Time signature of a Standard MIDI File: numerator, denominator as a power of two, MIDI
    /// clocks per metronome click, and thirty-second notes per quarter, in one number.
    #[must_use]
    pub fn time_signature(numerator: u8, denominator: u8, clocks: u8, thirty_seconds: u8) -> Self {
        let value = i32::from_be_bytes([numerator, denominator, clocks, thirty_seconds]);
        Self::new(Payload::TimeSignature(ChannelValue { channel: 0, value }))
    }

    /// Key signature of a Standard MIDI File: sharps −7 (flats) to 7, and whether it is minor.
    pub fn key_signature(sharps: i8, minor: bool) -> Result<Self, EventError> {
        let check = Check("key signature");
        check.within("sharps", sharps, -7, 7)?;
        let value = (i32::from(sharps as u8) << 8) | i32::from(minor);
        Ok(Self::new(Payload::KeySignature(ChannelValue { channel: 0, value })))
    }

    /// Tempo of a queue: 1 to 2³¹ − 1 µs per quarter note.
    pub fn tempo(queue: u8, microseconds: u32) -> Result<Self, EventError> {
        Check("tempo").within("microseconds", microseconds, 1, i64::from(i32::MAX))?;
        Ok(Self::new(Payload::Tempo { queue, microseconds: microseconds as i32 }))
    }

    /// System exclusive message, or a part of one. The data is copied and not checked, because
    /// parts of long messages and other formats are valid payloads.
    #[must_use]
    pub fn system_exclusive(data: &[u8]) -> Self {
        Self::new(Payload::SystemExclusive(data))
    }

    /// Echo with any 12 bytes: a client schedules it for itself, to be woken at a time of a queue.
    #[must_use]
    pub fn echo(data: [u8; 12]) -> Self {
        Self::new(Payload::Echo(data))
    }

    /// User-defined event of fixed size: number 0–9.
    pub fn user(number: u8, data: [u8; 12]) -> Result<Self, EventError> {
        Check("user").within("number", number, 0, 9)?;
        Ok(Self::new(Payload::User(number, data)))
    }

    /// User-defined event of any length: number 0–4.
    pub fn user_variable(number: u8, data: &[u8]) -> Result<Self, EventError> {
        Check("variable user").within("number", number, 0, 4)?;
        Ok(Self::new(Payload::UserVariable(number, data)))
    }
}

/// # Chained setters
impl Event {
    /// Sets the destination to one port.
    #[must_use]
    pub fn to(mut self, dest: impl Into<Address>) -> Self {
        self.set_dest(dest.into());
        self
    }

    /// Sets the destination to all subscribers of the source port (the default).
    #[must_use]
    pub fn to_subscribers(self) -> Self {
        self.to(Address::SUBSCRIBERS)
    }

    /// Sets the source port within the sending client.
    #[must_use]
    pub fn from_port(mut self, port: u8) -> Self {
        self.set_source(Address::new(self.source().client, port));
        self
    }

    /// Schedules the event on a queue.
    #[must_use]
    pub fn on_queue(mut self, queue: impl Into<u8>) -> Self {
        self.set_queue(queue.into());
        self
    }

    /// Delivers the event directly, without a queue (the default).
    #[must_use]
    pub fn direct(self) -> Self {
        self.on_queue(QUEUE_DIRECT)
    }

    /// Schedules the event at a tick of its queue.
    #[must_use]
    pub fn at_tick(mut self, tick: u32) -> Self {
        self.set_time(EventTime::Tick(tick), false);
        self
    }

    /// Schedules the event at a real time of its queue.
    #[must_use]
    pub fn at_time(mut self, time: impl Into<RealTime>) -> Self {
        self.set_time(EventTime::Real(time.into()), false);
        self
    }

    /// Schedules the event a number of ticks after it is queued.
    #[must_use]
    pub fn after_ticks(mut self, ticks: u32) -> Self {
        self.set_time(EventTime::Tick(ticks), true);
        self
    }

    /// Schedules the event a span of real time after it is queued.
    #[must_use]
    pub fn after_time(mut self, time: impl Into<RealTime>) -> Self {
        self.set_time(EventTime::Real(time.into()), true);
        self
    }

    /// Sets the tag.
    #[must_use]
    pub fn with_tag(mut self, tag: u8) -> Self {
        self.set_tag(tag);
        self
    }

    /// Delivers the event before others of the same time.
    #[must_use]
    pub fn high_priority(mut self) -> Self {
        self.set_high_priority(true);
        self
    }
}
