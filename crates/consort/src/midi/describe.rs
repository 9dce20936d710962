//! Events as lines of text.

use clap::ValueEnum;
use consort_seq::{Address, Event, Payload, RealTime};

use super::ports::plain;
use super::words;
use crate::log;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// If standard output is a terminal and NO_COLOR is not set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    pub(super) fn is_on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => log::is_coloured(&std::io::stdout()),
        }
    }
}

/// How many bytes of a system exclusive message are printed by default.
const MAX_SHOWN_BYTES: usize = 32;

/// The form of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) is_coloured: bool,
    /// Print system exclusive messages of any length in full.
    pub(super) is_whole: bool,
}

/// A line: time in seconds, source, channel, the event in the form that `send` accepts, and a
/// remark (note or controller name).
pub(super) fn line(
    style: Style,
    time: Option<RealTime>,
    source: Option<(Address, &str)>,
    event: &Event,
) -> String {
    let mut line = match time {
        Some(time) => format!("{:>5}.{:06}", time.seconds(), time.nanoseconds() / 1000),
        None => " ".repeat(12),
    };
    if let Some((address, name)) = source {
        let name: String = plain(name).chars().take(24).collect();
        line.push_str(&format!("  {:<7} {name:<24}", address.to_string()));
    }
    let channel = words::channel(event).map_or(String::new(), |channel| format!("ch{channel}"));
    line.push_str(&format!("  {channel:<4} "));
    let text = match event.payload() {
        Payload::SystemExclusive(data) if !style.is_whole && data.len() > MAX_SHOWN_BYTES => {
            let shown = words::words(&Event::system_exclusive(&data[..MAX_SHOWN_BYTES]));
            format!("{shown} … ({} bytes)", data.len())
        }
        _ => words::words(event),
    };
    match style.is_coloured {
        true => line.push_str(&format!("\x1b[{}m{text}\x1b[0m", colour(event))),
        false => line.push_str(&text),
    }
    if let Some(note) = remark(event) {
        // The remarks of short events are aligned.
        let pad = 20usize.saturating_sub(text.chars().count());
        line.push_str(&format!("{}  {note}", " ".repeat(pad)));
    }
    line
}

/// The name of a note or controller.
fn remark(event: &Event) -> Option<String> {
    match event.payload() {
        Payload::NoteOn(key) | Payload::NoteOff(key) | Payload::KeyPressure(key) => {
            Some(words::note_name(key.note & 0x7f))
        }
        Payload::ControlChange(control) => controller_name(control.param).map(str::to_owned),
        _ => None,
    }
}

/// The name of a controller.
const fn controller_name(number: u32) -> Option<&'static str> {
    Some(match number {
        0 => "bank select",
        1 => "modulation",
        2 => "breath",
        4 => "foot",
        5 => "portamento time",
        6 => "data entry",
        7 => "volume",
        8 => "balance",
        10 => "pan",
        11 => "expression",
        32 => "bank select, low",
        38 => "data entry, low",
        64 => "sustain",
        65 => "portamento",
        66 => "sostenuto",
        67 => "soft pedal",
        98 => "NRPN, low",
        99 => "NRPN, high",
        100 => "RPN, low",
        101 => "RPN, high",
        120 => "all sound off",
        121 => "reset controllers",
        122 => "local control",
        123 => "all notes off",
        _ => return None,
    })
}

/// The parameters of the terminal's colour sequence for the type of event.
fn colour(event: &Event) -> &'static str {
    match event.payload() {
        Payload::NoteOn(key) if key.velocity > 0 => "32",
        Payload::NoteOn(_) | Payload::NoteOff(_) => "2;32",
        Payload::ControlChange(_)
        | Payload::Control14(_)
        | Payload::RegisteredParameter(_)
        | Payload::NonRegisteredParameter(_) => "36",
        Payload::ProgramChange(_) => "33",
        Payload::PitchBend(_) | Payload::ChannelPressure(_) | Payload::KeyPressure(_) => "34",
        Payload::SystemExclusive(_) => "35",
        Payload::Clock { .. } | Payload::ActiveSensing => "2",
        _ => "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { is_coloured: false, is_whole: false };

    #[test]
    fn lines_are_aligned_and_coloured_on_request() {
        let time = Some(RealTime::new(12, 345_678_000));
        let source = Some((Address::new(20, 0), "nano\x1b[31mKONTROL2:CTRL"));
        let event = Event::control_change(3, 7, 100).expect("valid");
        assert_eq!(
            line(PLAIN, time, source, &event),
            "   12.345678  20:0    nano[31mKONTROL2:CTRL     ch3  cc 7 100              volume"
        );
        let event = Event::note_on(9, 36, 1).expect("valid");
        let style = Style { is_coloured: true, ..PLAIN };
        assert_eq!(
            line(style, None, None, &event),
            "              ch9  \x1b[32mnote-on 36 1\x1b[0m          C2"
        );
        let dump = Event::system_exclusive(&[0xf0; 100]);
        assert!(line(PLAIN, None, None, &dump).ends_with("F0 F0 … (100 bytes)"));
        let style = Style { is_whole: true, ..PLAIN };
        assert!(line(style, None, None, &dump).ends_with(" F0 F0"));
        assert!(Colour::Always.is_on() && !Colour::Never.is_on());
    }
}
