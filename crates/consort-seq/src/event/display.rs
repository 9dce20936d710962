//! Events as text.

use std::fmt;

use super::{
    Address, Bounce, Cell, ChannelValue, Connection, Control, Event, EventResult, EventTime,
    EventType, Key, Note, Payload, UmpNotice,
};

/// The maximum number of bytes that are printed; of longer data the length is added.
const MAX_PRINTED_BYTES: usize = 32;

/// Data in hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().take(MAX_PRINTED_BYTES).enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        if self.0.len() > MAX_PRINTED_BYTES {
            write!(formatter, " … ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// The name with which a payload is displayed.
const fn label(payload: &Payload<'_>) -> &'static str {
    match payload {
        Payload::System(_) => "System",
        Payload::Result(_) => "Result",
        Payload::Note(_) => "Note",
        Payload::NoteOn(_) => "Note on",
        Payload::NoteOff(_) => "Note off",
        Payload::KeyPressure(_) => "Key pressure",
        Payload::ControlChange(_) => "Control change",
        Payload::Control14(_) => "Control change 14-bit",
        Payload::NonRegisteredParameter(_) => "Non-registered parameter",
        Payload::RegisteredParameter(_) => "Registered parameter",
        Payload::ProgramChange(_) => "Program change",
        Payload::ChannelPressure(_) => "Channel pressure",
        Payload::PitchBend(_) => "Pitch bend",
        Payload::SongPosition(_) => "Song position",
        Payload::SongSelect(_) => "Song select",
        Payload::QuarterFrame(_) => "Quarter frame",
        Payload::TimeSignature(_) => "Time signature",
        Payload::KeySignature(_) => "Key signature",
        Payload::Start { .. } => "Start",
        Payload::Continue { .. } => "Continue",
        Payload::Stop { .. } => "Stop",
        Payload::SetPositionTick { .. } | Payload::SetPositionTime { .. } => "Set position",
        Payload::Tempo { .. } => "Tempo",
        Payload::Clock { .. } => "Clock",
        Payload::Tick { .. } => "Tick",
        Payload::QueueSkew { .. } => "Queue skew",
        Payload::SyncPosition { .. } => "Position changed",
        Payload::TuneRequest => "Tune request",
        Payload::Reset => "Reset",
        Payload::ActiveSensing => "Active sensing",
        Payload::Echo(_) => "Echo",
        Payload::Oss(_) => "OSS",
        Payload::ClientStart(_) => "Client start",
        Payload::ClientExit(_) => "Client exit",
        Payload::ClientChange(_) => "Client change",
        Payload::PortStart(_) => "Port start",
        Payload::PortExit(_) => "Port exit",
        Payload::PortChange(_) => "Port change",
        Payload::PortSubscribed(_) => "Port subscribed",
        Payload::PortUnsubscribed(_) => "Port unsubscribed",
        Payload::User(..) => "User",
        Payload::SystemExclusive(_) => "System exclusive",
        Payload::Bounce(_) => "Bounce",
        Payload::KernelError(_) => "Not delivered",
        Payload::KernelQuote(_) => "Quote of an event",
        Payload::UmpEndpointChange(_) => "UMP endpoint change",
        Payload::UmpBlockChange(_) => "UMP block change",
        Payload::UserVariable(..) => "User variable",
        Payload::None => "None",
        Payload::Unknown { .. } => "Unknown type",
    }
}

impl fmt::Display for Payload<'_> {
    /// The name of the type, then its fields: `Note on channel=0 note=60 velocity=100`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(label(self))?;
        match self {
            Payload::System(EventResult { event, result })
            | Payload::Result(EventResult { event, result }) => {
                write!(formatter, " event={event} result={result}")
            }
            Payload::Note(Note { channel, note, velocity, off_velocity, duration }) => write!(
                formatter,
                " channel={channel} note={note} velocity={velocity} duration={duration} \
                 off_velocity={off_velocity}"
            ),
            Payload::NoteOn(Key { channel, note, velocity })
            | Payload::NoteOff(Key { channel, note, velocity })
            | Payload::KeyPressure(Key { channel, note, velocity }) => {
                write!(formatter, " channel={channel} note={note} velocity={velocity}")
            }
            Payload::ControlChange(Control { channel, param, value })
            | Payload::Control14(Control { channel, param, value })
            | Payload::NonRegisteredParameter(Control { channel, param, value })
            | Payload::RegisteredParameter(Control { channel, param, value }) => {
                write!(formatter, " channel={channel} param={param} value={value}")
            }
            Payload::ProgramChange(ChannelValue { channel, value })
            | Payload::ChannelPressure(ChannelValue { channel, value })
            | Payload::PitchBend(ChannelValue { channel, value }) => {
                write!(formatter, " channel={channel} value={value}")
            }
            Payload::SongPosition(ChannelValue { value, .. })
            | Payload::SongSelect(ChannelValue { value, .. })
            | Payload::QuarterFrame(ChannelValue { value, .. }) => write!(formatter, " {value}"),
            Payload::TimeSignature(ChannelValue { value, .. }) => {
                let [numerator, denominator, clocks, thirty_seconds] = value.to_be_bytes();
                write!(
                    formatter,
                    " {numerator}/2^{denominator} clocks={clocks} thirty-seconds={thirty_seconds}"
                )
            }
            Payload::KeySignature(ChannelValue { value, .. }) => write!(formatter, " {value:#06x}"),
            Payload::PortSubscribed(Connection { sender, dest })
            | Payload::PortUnsubscribed(Connection { sender, dest }) => {
                write!(formatter, " {sender} -> {dest}")
            }
            Payload::ClientStart(Address { client, .. })
            | Payload::ClientExit(Address { client, .. })
            | Payload::ClientChange(Address { client, .. })
            | Payload::UmpEndpointChange(UmpNotice { client, .. }) => {
                write!(formatter, " {client}")
            }
            Payload::PortStart(port) | Payload::PortExit(port) | Payload::PortChange(port) => {
                write!(formatter, " {port}")
            }
            Payload::UmpBlockChange(UmpNotice { client, block }) => {
                write!(formatter, " {client} block={block}")
            }
            Payload::KernelError(quote) => {
                write!(formatter, " to {}: errno {}", quote.dest, quote.errno)
            }
            Payload::KernelQuote(quote) => write!(formatter, " to {}", quote.dest),
            Payload::TuneRequest | Payload::Reset | Payload::ActiveSensing | Payload::None => {
                Ok(())
            }
            Payload::Echo(data) | Payload::Oss(data) => write!(formatter, " {}", Hex(data)),
            Payload::User(number, data) => write!(formatter, " {number} {}", Hex(data)),
            Payload::SystemExclusive(data) => write!(formatter, " {}", Hex(data)),
            Payload::UserVariable(number, data) => write!(formatter, " {number} {}", Hex(data)),
            Payload::Bounce(data) => write_bounce(formatter, data),
            Payload::Unknown { event_type, data, variable } => {
                write!(formatter, " {} {}", event_type.0, Hex(data))?;
                if !variable.is_empty() {
                    write!(formatter, " + {}", Hex(variable))?;
                }
                Ok(())
            }
            queue_event => write_queue(formatter, queue_event),
        }
    }
}

/// Writes the fields of an event that controls a queue.
fn write_queue(formatter: &mut fmt::Formatter<'_>, payload: &Payload<'_>) -> fmt::Result {
    match payload {
        Payload::Start { queue }
        | Payload::Continue { queue }
        | Payload::Stop { queue }
        | Payload::Clock { queue }
        | Payload::Tick { queue } => write!(formatter, " queue={queue}"),
        Payload::SetPositionTick { queue, tick } => {
            write!(formatter, " queue={queue} tick={tick}")
        }
        Payload::SetPositionTime { queue, time } => {
            write!(formatter, " queue={queue} time={time}")
        }
        Payload::Tempo { queue, microseconds } => {
            write!(formatter, " queue={queue} {microseconds} µs per quarter note")
        }
        Payload::QueueSkew { queue, value, base } => {
            write!(formatter, " queue={queue} value={value:#x} base={base:#x}")
        }
        Payload::SyncPosition { queue, position } => {
            write!(formatter, " queue={queue} position={position}")
        }
        _ => Ok(()),
    }
}

/// Writes the event that a bounce event contains, or its bytes if it does not contain one.
fn write_bounce(formatter: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    let Some(bounce) = Bounce::parse(data) else { return write!(formatter, " {}", Hex(data)) };
    write!(formatter, " of {} to {}", EventType(bounce.event.kind), bounce.event.dest)?;
    match bounce.errno {
        Some(errno) => write!(formatter, " errno={errno}"),
        None => Ok(()),
    }
}

impl fmt::Display for Event {
    /// One line: `0:0 -> 254:0 Note on channel=0 note=60 velocity=100`, with queue and time if the
    /// event is sent through a queue.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} -> {} {}", self.source(), self.dest(), self.payload())?;
        if !self.is_direct() {
            let mode = if self.is_relative() { "+" } else { "" };
            match self.time() {
                EventTime::Tick(tick) => {
                    write!(formatter, " queue={} tick={mode}{tick}", self.queue())?;
                }
                EventTime::Real(time) => {
                    write!(formatter, " queue={} time={mode}{time}", self.queue())?;
                }
            }
        }
        if self.tag() != 0 {
            write!(formatter, " tag={}", self.tag())?;
        }
        if self.is_high_priority() {
            formatter.write_str(" priority=high")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Event({self})")
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cell({})", Hex(&self.0))
    }
}

impl fmt::Debug for Bounce<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bounce")
            .field("errno", &self.errno)
            .field("event", &self.event)
            .field("variable", &self.variable)
            .finish()
    }
}
