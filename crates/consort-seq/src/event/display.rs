//! Events as a person reads them.

use std::fmt;

use super::{Bounce, Cell, Event, EventTime, EventType, Payload};

/// Bytes of variable data that are printed before the rest is only counted.
const PRINTED: usize = 32;

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().take(PRINTED).enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        if self.0.len() > PRINTED {
            write!(formatter, " … ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Payload<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |formatter: &mut fmt::Formatter<'_>, name: &str, key: &super::Key| {
            let super::Key { channel, note, velocity } = key;
            write!(formatter, "{name} channel={channel} note={note} velocity={velocity}")
        };
        let control = |formatter: &mut fmt::Formatter<'_>, name: &str, control: &super::Control| {
            let super::Control { channel, param, value } = control;
            write!(formatter, "{name} channel={channel} param={param} value={value}")
        };
        let value =
            |formatter: &mut fmt::Formatter<'_>, name: &str, value: &super::ChannelValue| {
                let super::ChannelValue { channel, value } = value;
                write!(formatter, "{name} channel={channel} value={value}")
            };
        match self {
            Payload::System(result) => {
                write!(formatter, "System event={} result={}", result.event, result.result)
            }
            Payload::Result(result) => {
                write!(formatter, "Result event={} result={}", result.event, result.result)
            }
            Payload::Note(note) => write!(
                formatter,
                "Note channel={} note={} velocity={} duration={} off_velocity={}",
                note.channel, note.note, note.velocity, note.duration, note.off_velocity
            ),
            Payload::NoteOn(data) => key(formatter, "Note on", data),
            Payload::NoteOff(data) => key(formatter, "Note off", data),
            Payload::KeyPressure(data) => key(formatter, "Key pressure", data),
            Payload::ControlChange(data) => control(formatter, "Control change", data),
            Payload::Control14(data) => control(formatter, "Control change 14-bit", data),
            Payload::NonRegisteredParameter(data) => {
                control(formatter, "Non-registered parameter", data)
            }
            Payload::RegisteredParameter(data) => control(formatter, "Registered parameter", data),
            Payload::ProgramChange(data) => value(formatter, "Program change", data),
            Payload::ChannelPressure(data) => value(formatter, "Channel pressure", data),
            Payload::PitchBend(data) => value(formatter, "Pitch bend", data),
            Payload::SongPosition(data) => write!(formatter, "Song position {}", data.value),
            Payload::SongSelect(data) => write!(formatter, "Song select {}", data.value),
            Payload::QuarterFrame(data) => write!(formatter, "Quarter frame {}", data.value),
            Payload::TimeSignature(data) => {
                let [numerator, denominator, clocks, thirty_seconds] = data.value.to_be_bytes();
                write!(
                    formatter,
                    "Time signature {numerator}/2^{denominator} clocks={clocks} \
                     thirty-seconds={thirty_seconds}"
                )
            }
            Payload::KeySignature(data) => write!(formatter, "Key signature {:#06x}", data.value),
            Payload::Start { queue } => write!(formatter, "Start queue={queue}"),
            Payload::Continue { queue } => write!(formatter, "Continue queue={queue}"),
            Payload::Stop { queue } => write!(formatter, "Stop queue={queue}"),
            Payload::SetPositionTick { queue, tick } => {
                write!(formatter, "Set position queue={queue} tick={tick}")
            }
            Payload::SetPositionTime { queue, time } => {
                write!(formatter, "Set position queue={queue} time={time}")
            }
            Payload::Tempo { queue, microseconds } => {
                write!(formatter, "Tempo queue={queue} {microseconds} µs per quarter note")
            }
            Payload::Clock { queue } => write!(formatter, "Clock queue={queue}"),
            Payload::Tick { queue } => write!(formatter, "Tick queue={queue}"),
            Payload::QueueSkew { queue, value, base } => {
                write!(formatter, "Queue skew queue={queue} value={value:#x} base={base:#x}")
            }
            Payload::SyncPosition { queue, position } => {
                write!(formatter, "Position changed queue={queue} position={position}")
            }
            Payload::TuneRequest => formatter.write_str("Tune request"),
            Payload::Reset => formatter.write_str("Reset"),
            Payload::ActiveSensing => formatter.write_str("Active sensing"),
            Payload::Echo(data) => write!(formatter, "Echo {}", Hex(data)),
            Payload::Oss(data) => write!(formatter, "OSS {}", Hex(data)),
            Payload::ClientStart(address) => write!(formatter, "Client start {}", address.client),
            Payload::ClientExit(address) => write!(formatter, "Client exit {}", address.client),
            Payload::ClientChange(address) => write!(formatter, "Client change {}", address.client),
            Payload::PortStart(address) => write!(formatter, "Port start {address}"),
            Payload::PortExit(address) => write!(formatter, "Port exit {address}"),
            Payload::PortChange(address) => write!(formatter, "Port change {address}"),
            Payload::PortSubscribed(connection) => {
                write!(formatter, "Port subscribed {} -> {}", connection.sender, connection.dest)
            }
            Payload::PortUnsubscribed(connection) => {
                write!(formatter, "Port unsubscribed {} -> {}", connection.sender, connection.dest)
            }
            Payload::User(number, data) => write!(formatter, "User {number} {}", Hex(data)),
            Payload::SystemExclusive(data) => write!(formatter, "System exclusive {}", Hex(data)),
            Payload::Bounce(data) => match Bounce::parse(data) {
                Some(bounce) => {
                    let event = EventType(bounce.event.kind);
                    write!(formatter, "Bounce of {event} to {}", bounce.event.dest)?;
                    match bounce.errno {
                        Some(errno) => write!(formatter, " errno={errno}"),
                        None => Ok(()),
                    }
                }
                None => write!(formatter, "Bounce {}", Hex(data)),
            },
            Payload::KernelError(quote) => {
                write!(formatter, "Not delivered to {}: errno {}", quote.dest, quote.errno)
            }
            Payload::KernelQuote(quote) => write!(formatter, "Quote of an event to {}", quote.dest),
            Payload::UmpEndpointChange(notice) => {
                write!(formatter, "UMP endpoint change {}", notice.client)
            }
            Payload::UmpBlockChange(notice) => {
                write!(formatter, "UMP block change {} block={}", notice.client, notice.block)
            }
            Payload::UserVariable(number, data) => {
                write!(formatter, "User variable {number} {}", Hex(data))
            }
            Payload::None => formatter.write_str("None"),
            Payload::Unknown { event_type, data, variable } => {
                write!(formatter, "Unknown type {} {}", event_type.0, Hex(data))?;
                if !variable.is_empty() {
                    write!(formatter, " + {}", Hex(variable))?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Event {
    /// One line: `0:0 -> 254:0 Note on channel=0 note=60 velocity=100`, with queue and time
    /// where the event has a queue.
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
