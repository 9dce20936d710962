//! The text form of events, which `send` accepts and `monitor` prints.

use std::time::Duration;

use anyhow::{Context as _, bail};
use consort_seq::{Event, HeldNotes, MidiCoder, Payload};

use crate::errors::with_hint;

/// A step of `send`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Send(Event),
    Wait(Duration),
}

/// The name of every event with its arguments, as help and errors list them.
pub(super) const WORDS: [(&str, &str); 26] = [
    ("note-on", "NOTE VELOCITY"),
    ("note-off", "NOTE [VELOCITY]"),
    ("key-pressure", "NOTE PRESSURE"),
    ("cc", "CONTROLLER VALUE"),
    ("cc14", "CONTROLLER VALUE (0-16383)"),
    ("rpn", "PARAMETER VALUE (0-16383)"),
    ("nrpn", "PARAMETER VALUE (0-16383)"),
    ("program", "NUMBER"),
    ("pressure", "VALUE"),
    ("pitch", "VALUE (-8192 to 8191)"),
    ("sysex", "F0 … F7"),
    ("start", ""),
    ("continue", ""),
    ("stop", ""),
    ("clock", ""),
    ("position", "SIXTEENTHS (0-16383)"),
    ("song", "NUMBER"),
    ("quarter-frame", "VALUE"),
    ("tune", ""),
    ("sensing", ""),
    ("reset", ""),
    ("all-notes-off", ""),
    ("all-sound-off", ""),
    ("panic", ""),
    ("channel", "NUMBER (0-15)"),
    ("wait", "SECONDS"),
];

/// Parses events: each is a name with arguments. They are on `channel`, until the word `channel`
/// changes it.
pub(super) fn parse(words: &[String], mut channel: u8) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut reader = Reader { words, next: 0 };
    while let Some(word) = reader.word() {
        let mut send = |event: Event| steps.push(Step::Send(event));
        let control = |param, value| Event::control_change(channel, param, value);
        match word.to_ascii_lowercase().as_str() {
            "note-on" => send(Event::note_on(channel, reader.note(word)?, reader.byte(word)?)?),
            "note-off" => {
                let note = reader.note(word)?;
                let velocity = if reader.has_number() { reader.byte(word)? } else { 64 };
                send(Event::note_off(channel, note, velocity)?);
            }
            "key-pressure" => {
                send(Event::key_pressure(channel, reader.note(word)?, reader.byte(word)?)?);
            }
            "cc" => send(control(reader.byte(word)?, reader.byte(word)?)?),
            "cc14" => {
                let number = reader.byte(word)?;
                let event = Event::control_14(channel, number, reader.number(word)?)?;
                controllers(&event).into_iter().for_each(send);
            }
            "rpn" => {
                let number = reader.number(word)?;
                let event = Event::registered_parameter(channel, number, reader.number(word)?)?;
                controllers(&event).into_iter().for_each(send);
            }
            "nrpn" => {
                let number = reader.number(word)?;
                let value = reader.number(word)?;
                let event = Event::non_registered_parameter(channel, number, value)?;
                controllers(&event).into_iter().for_each(send);
            }
            "program" => send(Event::program_change(channel, reader.byte(word)?)?),
            "pressure" => send(Event::channel_pressure(channel, reader.byte(word)?)?),
            "pitch" => send(Event::pitch_bend(channel, reader.number(word)?)?),
            "sysex" => send(Event::system_exclusive(&reader.exclusive()?)),
            "start" => send(Event::new(Payload::Start { queue: 0 })),
            "continue" => send(Event::new(Payload::Continue { queue: 0 })),
            "stop" => send(Event::new(Payload::Stop { queue: 0 })),
            "clock" => send(Event::new(Payload::Clock { queue: 0 })),
            "position" => send(Event::song_position(reader.number(word)?)?),
            "song" => send(Event::song_select(reader.byte(word)?)?),
            "quarter-frame" => send(Event::quarter_frame(reader.byte(word)?)?),
            "tune" => send(Event::new(Payload::TuneRequest)),
            "sensing" => send(Event::new(Payload::ActiveSensing)),
            "reset" => send(Event::new(Payload::Reset)),
            "all-notes-off" => send(control(123, 0)?),
            "all-sound-off" => send(control(120, 0)?),
            "panic" => HeldNotes::panic().into_iter().for_each(send),
            "channel" => match reader.byte(word)? {
                number @ 0..=15 => channel = number,
                number => bail!("invalid channel {number}; expected 0 to 15"),
            },
            "wait" => {
                let text = reader.argument(word)?;
                let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
                match seconds {
                    Some(Ok(time)) => steps.push(Step::Wait(time)),
                    _ => bail!("invalid time `{text}` for wait; expected seconds, for example 0.5"),
                }
            }
            _ => return Err(unknown(word)),
        }
    }
    Ok(steps)
}

/// Splits a 14-bit controller or a parameter into plain controllers. The sequencer has single
/// events for these, but many synthesizers ignore them.
fn controllers(event: &Event) -> Vec<Event> {
    let (mut coder, mut bytes, mut events) = (MidiCoder::new(), Vec::new(), Vec::new());
    if coder.decode(event, &mut bytes).is_ok() {
        coder.encode(&bytes, |event| events.push(event));
    }
    events
}

/// The error for an unknown name.
fn unknown(word: &str) -> anyhow::Error {
    let names = WORDS.iter().map(|(name, _)| *name);
    let hint = consort_suggest::did_you_mean_or_list(word, "events", names);
    with_hint(format!("unknown event `{word}`"), hint)
}

/// Reads words one after the other.
struct Reader<'a> {
    words: &'a [String],
    /// The index of the next word.
    next: usize,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// The next argument of an event.
    fn argument(&mut self, event: &str) -> anyhow::Result<&'a str> {
        self.word().with_context(|| {
            let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(event));
            format!("missing arguments: {event} {}", known.map_or("", |(_, arguments)| arguments))
        })
    }

    /// Whether the next word is a number.
    fn has_number(&self) -> bool {
        let word = self.words.get(self.next);
        word.is_some_and(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
    }

    fn number<T: TryFrom<i64>>(&mut self, event: &str) -> anyhow::Result<T> {
        let text = self.argument(event)?;
        let value = match text.strip_prefix("0x") {
            Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
            None => text.parse(),
        };
        let value = value.with_context(|| format!("invalid number `{text}` for {event}"))?;
        T::try_from(value).map_err(|_| anyhow::anyhow!("value {value} for {event} is out of range"))
    }

    fn byte(&mut self, event: &str) -> anyhow::Result<u8> {
        self.number(event)
    }

    fn note(&mut self, event: &str) -> anyhow::Result<u8> {
        if self.has_number() {
            return self.byte(event);
        }
        let text = self.argument(event)?;
        note_number(text).with_context(|| {
            format!(
                "invalid note `{text}` for {event}; expected 0 to 127, or a name such as C4 (60)"
            )
        })
    }

    /// A system exclusive message in hexadecimal, up to its F7.
    fn exclusive(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.last() != Some(&0xf7) {
            let text = self.argument("sysex")?;
            let byte = u8::from_str_radix(text, 16).ok().filter(|_| text.len() <= 2);
            let byte = byte.with_context(|| {
                format!("invalid byte `{text}` in sysex; expected hexadecimal 00 to FF")
            })?;
            match (bytes.len(), byte) {
                (0, 0xf0) => {}
                (0, _) => bail!("invalid first byte {byte:02X} in sysex; expected F0"),
                (_, 0..=0x7f | 0xf7) => {}
                _ => {
                    bail!("invalid byte {byte:02X} in sysex; expected 00 to 7F, and F7 at the end")
                }
            }
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// The names of the notes of an octave.
const NOTE_NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// The name of a note in scientific pitch notation: C4 is 60.
pub(super) fn note_name(note: u8) -> String {
    format!("{}{}", NOTE_NAMES[usize::from(note % 12)], i16::from(note / 12) - 1)
}

/// The number of a note by its name.
fn note_number(text: &str) -> Option<u8> {
    let split = text.find(|letter: char| letter.is_ascii_digit() || letter == '-')?;
    let (name, octave) = text.split_at(split);
    let mut letters = name.chars();
    let letter = letters.next()?.to_ascii_uppercase().to_string();
    let natural = NOTE_NAMES.iter().position(|known| *known == letter)?;
    let shift = match letters.as_str() {
        "" => 0,
        "#" => 1,
        "b" => -1,
        _ => return None,
    };
    let octave: i32 = octave.parse().ok().filter(|octave| (-1..=9).contains(octave))?;
    let number = (octave + 1) * 12 + i32::try_from(natural).ok()? + shift;
    u8::try_from(number).ok().filter(|number| *number < 128)
}

/// The channel of an event, if it has one.
pub(super) fn channel(event: &Event) -> Option<u8> {
    match event.payload() {
        Payload::Note(note) => Some(note.channel),
        Payload::NoteOn(key) | Payload::NoteOff(key) | Payload::KeyPressure(key) => {
            Some(key.channel)
        }
        Payload::ControlChange(control)
        | Payload::Control14(control)
        | Payload::NonRegisteredParameter(control)
        | Payload::RegisteredParameter(control) => Some(control.channel),
        Payload::ProgramChange(value)
        | Payload::ChannelPressure(value)
        | Payload::PitchBend(value) => Some(value.channel),
        _ => None,
    }
}

/// An event in the form that [`parse`] reads; other events as the library prints them. System
/// exclusive messages are printed in full.
pub(super) fn words(event: &Event) -> String {
    match event.payload() {
        Payload::NoteOn(key) => format!("note-on {} {}", key.note, key.velocity),
        Payload::NoteOff(key) => format!("note-off {} {}", key.note, key.velocity),
        Payload::KeyPressure(key) => format!("key-pressure {} {}", key.note, key.velocity),
        Payload::ControlChange(control) => format!("cc {} {}", control.param, control.value),
        Payload::Control14(control) => format!("cc14 {} {}", control.param, control.value),
        Payload::RegisteredParameter(control) => {
            format!("rpn {} {}", control.param, control.value)
        }
        Payload::NonRegisteredParameter(control) => {
            format!("nrpn {} {}", control.param, control.value)
        }
        Payload::ProgramChange(value) => format!("program {}", value.value),
        Payload::ChannelPressure(value) => format!("pressure {}", value.value),
        Payload::PitchBend(value) => format!("pitch {}", value.value),
        Payload::SystemExclusive(data) => {
            let mut text = "sysex".to_owned();
            for byte in data {
                text.push_str(&format!(" {byte:02X}"));
            }
            text
        }
        Payload::Start { .. } => "start".to_owned(),
        Payload::Continue { .. } => "continue".to_owned(),
        Payload::Stop { .. } => "stop".to_owned(),
        Payload::Clock { .. } => "clock".to_owned(),
        Payload::SongPosition(value) => format!("position {}", value.value),
        Payload::SongSelect(value) => format!("song {}", value.value),
        Payload::QuarterFrame(value) => format!("quarter-frame {}", value.value),
        Payload::TuneRequest => "tune".to_owned(),
        Payload::ActiveSensing => "sensing".to_owned(),
        Payload::Reset => "reset".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::printed;

    fn read(text: &str, channel: u8) -> anyhow::Result<Vec<Step>> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), channel)
    }

    #[test]
    fn every_event_is_parsed_as_it_is_printed() {
        for text in [
            "note-on 60 100",
            "note-off 60 0",
            "key-pressure 1 127",
            "cc 7 64",
            "program 5",
            "pressure 9",
            "pitch -8192",
            "pitch 8191",
            "sysex F0 43 00 F7",
            "start",
            "continue",
            "stop",
            "clock",
            "position 16383",
            "song 3",
            "quarter-frame 127",
            "tune",
            "sensing",
            "reset",
        ] {
            let steps = read(text, 9).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            let [Step::Send(event)] = steps.as_slice() else { panic!("{text}: {steps:?}") };
            assert_eq!(words(event), text);
            assert!(channel(event).is_none_or(|channel| channel == 9), "{text}");
        }
        assert_eq!(read("panic", 0).expect("parsed").len(), 80);
    }

    #[test]
    fn events_channels_note_names_and_waits_are_parsed() {
        let steps = read("note-on C4 0x40 wait 0.25 note-off c4 channel 3 note-on Bb-1 1", 0)
            .expect("parsed");
        let expected = [
            Step::Send(Event::note_on(0, 60, 64).expect("valid")),
            Step::Wait(Duration::from_millis(250)),
            Step::Send(Event::note_off(0, 60, 64).expect("valid")),
            Step::Send(Event::note_on(3, 10, 1).expect("valid")),
        ];
        assert_eq!(steps, expected);
        for note in 0..128 {
            assert_eq!(note_number(&note_name(note)), Some(note));
        }
    }

    #[test]
    fn wide_controllers_and_parameters_are_sent_as_plain_controllers() {
        let sent = |text: &str| -> Vec<String> {
            let steps = read(text, 9).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            let text_of_step = |step: &Step| match step {
                Step::Send(event) => words(event),
                Step::Wait(_) => panic!("{text} waits"),
            };
            steps.iter().map(text_of_step).collect()
        };
        assert_eq!(sent("cc14 7 16383"), ["cc 7 127", "cc 39 127"]);
        assert_eq!(sent("cc14 64 16383"), ["cc 64 127"]);
        assert_eq!(sent("rpn 0 256"), ["cc 101 0", "cc 100 0", "cc 6 2", "cc 38 0"]);
        assert_eq!(sent("nrpn 300 1"), ["cc 99 2", "cc 98 44", "cc 6 0", "cc 38 1"]);
    }

    #[test]
    fn errors_name_the_event_and_what_was_expected() {
        for (text, expected) in [
            ("note-on 60", "missing arguments: note-on NOTE VELOCITY"),
            ("note-on 60 128", "velocity of a note on event is 128; expected 0 to 127"),
            ("note-on 256 1", "value 256 for note-on is out of range"),
            ("note-on H4 1", "invalid note `H4` for note-on; expected 0 to 127"),
            ("cc seven 1", "invalid number `seven` for cc"),
            ("pitch 8192", "value of a pitch bend event is 8192; expected -8192 to 8191"),
            ("noteon 1 1", "unknown event `noteon`\nhint: did you mean `note-on`?"),
            ("xyz", "unknown event `xyz`\nhint: the events are: all-notes-off, "),
            ("sysex 43", "invalid first byte 43 in sysex; expected F0"),
            ("sysex F0 90 F7", "invalid byte 90 in sysex; expected 00 to 7F"),
            ("sysex F0 1", "missing arguments: sysex F0 … F7"),
            ("sysex F0 0x1", "invalid byte `0x1` in sysex; expected hexadecimal"),
            ("channel 16", "invalid channel 16; expected 0 to 15"),
            ("wait -1", "invalid time `-1` for wait; expected seconds"),
        ] {
            let error = printed(&read(text, 0).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
