//! The channels of an instance: their names, and how they are found when an event arrives.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};

use super::sysex::Pattern;

/// The entry of a slot without a channel.
const NO_CHANNEL: u32 = u32::MAX;

/// The slots of one MIDI channel: controllers, notes, pressures, and the six controls that exist
/// once per MIDI channel.
const SLOTS_PER_CHANNEL: usize = 3 * 128 + PER_CHANNEL.len();

/// A control that exists once per MIDI channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PerChannel {
    Pitch,
    Aftertouch,
    Program,
    NoteNumber,
    Velocity,
    Panic,
}

/// The controls that exist once per MIDI channel, in the order of the enum, with their names.
const PER_CHANNEL: [(PerChannel, &str); 6] = [
    (PerChannel::Pitch, "pitch"),
    (PerChannel::Aftertouch, "aftertouch"),
    (PerChannel::Program, "program"),
    (PerChannel::NoteNumber, "notenumber"),
    (PerChannel::Velocity, "velocity"),
    (PerChannel::Panic, "panic"),
];

/// A control that belongs to the whole port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum System {
    Start,
    Stop,
    Continue,
    Position,
    Song,
    Clock,
    Beat,
    Tempo,
    Timecode,
    Hours,
    Minutes,
    Seconds,
    Frames,
    Panic,
}

/// The controls that belong to the whole port, in the order of the enum, with their names.
const SYSTEM: [(System, &str); 14] = [
    (System::Start, "start"),
    (System::Stop, "stop"),
    (System::Continue, "continue"),
    (System::Position, "position"),
    (System::Song, "song"),
    (System::Clock, "clock"),
    (System::Beat, "beat"),
    (System::Tempo, "tempo"),
    (System::Timecode, "timecode"),
    (System::Hours, "timecode.hours"),
    (System::Minutes, "timecode.minutes"),
    (System::Seconds, "timecode.seconds"),
    (System::Frames, "timecode.frames"),
    (System::Panic, "panic"),
];

/// What a channel sends or receives. The first number is the MIDI channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Control {
    Controller(u8, u8),
    Note(u8, u8),
    Pressure(u8, u8),
    PerChannel(u8, PerChannel),
    Registered(u8, u16),
    NonRegistered(u8, u16),
    System(System),
    Exclusive(Arc<Pattern>),
}

/// How a mapping uses a channel.
#[derive(Clone, Copy, Default)]
struct Uses {
    is_source: bool,
    is_target: bool,
}

/// The channels of an instance, or of one of its ports.
pub(crate) struct Channels {
    controls: Vec<Control>,
    /// The number and the use of each channel.
    numbers: HashMap<Control, (u32, Uses)>,
    /// The channel of each slot of each MIDI channel.
    slots: Vec<u32>,
    /// The channel of each system control.
    system: [u32; SYSTEM.len()],
    exclusive: Vec<(Arc<Pattern>, u32)>,
}

/// The slot of a control, if it has one.
fn slot(control: &Control) -> Option<usize> {
    let (channel, index) = match control {
        Control::Controller(channel, number) => (channel, usize::from(*number)),
        Control::Note(channel, number) => (channel, 128 + usize::from(*number)),
        Control::Pressure(channel, number) => (channel, 256 + usize::from(*number)),
        Control::PerChannel(channel, kind) => (channel, 384 + *kind as usize),
        _ => return None,
    };
    Some(usize::from(*channel) * SLOTS_PER_CHANNEL + index)
}

impl Channels {
    pub(crate) fn new() -> Self {
        Channels {
            controls: Vec::new(),
            numbers: HashMap::new(),
            slots: vec![NO_CHANNEL; 16 * SLOTS_PER_CHANNEL],
            system: [NO_CHANNEL; SYSTEM.len()],
            exclusive: Vec::new(),
        }
    }

    /// Returns the number of a channel, which is added if it is not there yet.
    pub(crate) fn channel(
        &mut self,
        specification: &str,
        usage: Usage,
    ) -> Result<u32, ChannelError> {
        let next = self.controls.len() as u32;
        self.channel_numbered(specification, usage, next)
    }

    /// [`channel`](Self::channel) where an instance has several ports, each with channels of its
    /// own: a channel that is added gets the number `next`, which no other channel of the instance
    /// has.
    pub(crate) fn channel_numbered(
        &mut self,
        specification: &str,
        usage: Usage,
        next: u32,
    ) -> Result<u32, ChannelError> {
        let control = parse(specification)?;
        check_direction(&control, usage)?;
        let (number, uses) = self.numbers.entry(control.clone()).or_insert((next, Uses::default()));
        uses.is_source |= usage == Usage::Source;
        uses.is_target |= usage == Usage::Target;
        let number = *number;
        if number == next {
            if let Some(slot) = slot(&control) {
                self.slots[slot] = number;
            }
            match &control {
                Control::System(kind) => self.system[*kind as usize] = number,
                Control::Exclusive(pattern) => self.exclusive.push((Arc::clone(pattern), number)),
                _ => {}
            }
            self.controls.push(control);
        }
        Ok(number)
    }

    /// What the channel that was added last sends or receives.
    ///
    /// # Panics
    /// If there are no channels.
    pub(crate) fn last_control(&self) -> &Control {
        self.controls.last().expect("a channel was added")
    }

    /// What a channel sends or receives.
    pub(crate) fn control(&self, number: u32) -> &Control {
        &self.controls[number as usize]
    }

    /// Moves out what the channels send, by number, when all channels are mapped.
    pub(crate) fn take_controls(&mut self) -> Vec<Control> {
        std::mem::take(&mut self.controls)
    }

    /// The number of the channel of a control, if a mapping uses it.
    pub(crate) fn number(&self, control: &Control) -> Option<u32> {
        let number = match (slot(control), control) {
            (Some(slot), _) => self.slots[slot],
            (None, Control::System(kind)) => self.system[*kind as usize],
            _ => return self.numbers.get(control).map(|(number, _)| *number),
        };
        (number != NO_CHANNEL).then_some(number)
    }

    /// The patterns of system exclusive messages with their channels.
    pub(crate) fn exclusive(&self) -> &[(Arc<Pattern>, u32)] {
        &self.exclusive
    }

    /// Whether a mapping uses any of these controls.
    pub(crate) fn uses(&self, kinds: &[System]) -> bool {
        kinds.iter().any(|kind| self.system[*kind as usize] != NO_CHANNEL)
    }

    /// The MIDI channels of which a mapping uses a parameter, one bit for each.
    pub(crate) fn parameter_channels(&self) -> u16 {
        self.numbers.keys().fold(0, |channels, control| match control {
            Control::Registered(channel, _) | Control::NonRegistered(channel, _) => {
                channels | 1 << channel
            }
            _ => channels,
        })
    }

    /// Whether a mapping reads the channel of a control.
    pub(crate) fn is_source(&self, control: &Control) -> bool {
        self.numbers.get(control).is_some_and(|(_, uses)| uses.is_source)
    }

    /// Whether a mapping writes the channel of a control.
    pub(crate) fn is_target(&self, control: &Control) -> bool {
        self.numbers.get(control).is_some_and(|(_, uses)| uses.is_target)
    }
}

impl Control {
    /// The kind of message, as views show it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Control::Controller(..) => "cc",
            Control::Note(..) => "note",
            Control::Pressure(..) => "pressure",
            Control::Registered(..) => "rpn",
            Control::NonRegistered(..) => "nrpn",
            Control::PerChannel(_, kind) => PER_CHANNEL[*kind as usize].1,
            Control::System(kind) => SYSTEM[*kind as usize].1,
            Control::Exclusive(_) => "sysex",
        }
    }

    /// How the values of its channel behave.
    pub(crate) fn kind(&self) -> ChannelKind {
        let is_momentary = match self {
            Control::Note(..) => true,
            Control::PerChannel(_, kind) => {
                matches!(kind, PerChannel::Velocity | PerChannel::Panic)
            }
            Control::System(kind) => matches!(
                kind,
                System::Start | System::Stop | System::Continue | System::Beat | System::Panic
            ),
            Control::Exclusive(pattern) => !pattern.has_value(),
            _ => false,
        };
        if is_momentary { ChannelKind::Momentary } else { ChannelKind::Absolute }
    }

    /// How finely its channel distinguishes values.
    pub(crate) fn resolution(&self) -> Resolution {
        match self {
            Control::Controller(..) | Control::Note(..) | Control::Pressure(..) => {
                Resolution::steps(128)
            }
            Control::Registered(..) | Control::NonRegistered(..) => Resolution::steps(16_384),
            Control::PerChannel(_, kind) => match kind {
                PerChannel::Pitch => Resolution::steps(16_384),
                PerChannel::Panic => Resolution::CONTINUOUS,
                _ => Resolution::steps(128),
            },
            Control::System(kind) => match kind {
                System::Position => Resolution::steps(16_384),
                System::Song => Resolution::steps(128),
                // 24 clocks from 0 on; the next quarter note would be 1.
                System::Clock => Resolution::steps(25),
                System::Beat => Resolution::steps(2),
                System::Hours => Resolution::steps(24),
                System::Minutes | System::Seconds => Resolution::steps(60),
                System::Frames => Resolution::steps(30),
                // Any value above 0 sends these messages, so none may count as 0.
                System::Start | System::Stop | System::Continue | System::Panic => {
                    Resolution::CONTINUOUS
                }
                System::Tempo | System::Timecode => Resolution::CONTINUOUS,
            },
            Control::Exclusive(pattern) => pattern.resolution(),
        }
    }
}

/// The name of the channel of a control.
pub(crate) fn specification(control: &Control) -> String {
    let mut text = String::new();
    write_specification(control, &mut text);
    text
}

/// Appends the name of the channel of a control.
pub(crate) fn write_specification(control: &Control, text: &mut String) {
    let name = control.type_name();
    // Writing to a string does not fail.
    let _ = match control {
        Control::Controller(channel, number)
        | Control::Note(channel, number)
        | Control::Pressure(channel, number) => write!(text, "ch{channel}.{name}{number}"),
        Control::Registered(channel, number) | Control::NonRegistered(channel, number) => {
            write!(text, "ch{channel}.{name}{number}")
        }
        Control::PerChannel(channel, _) => write!(text, "ch{channel}.{name}"),
        Control::System(_) | Control::Exclusive(_) => text.write_str(name),
    };
}

/// Checks whether a channel can be a source or a target.
fn check_direction(control: &Control, usage: Usage) -> Result<(), ChannelError> {
    let source_only = matches!(
        control,
        Control::System(
            System::Beat
                | System::Timecode
                | System::Hours
                | System::Minutes
                | System::Seconds
                | System::Frames
        )
    );
    let target_only = matches!(
        control,
        Control::System(System::Panic) | Control::PerChannel(_, PerChannel::Panic)
    );
    let name = specification(control);
    match usage {
        Usage::Source if target_only => {
            Err(ChannelError::new(format!("`{name}` is a target and cannot be a source"))
                .with_hint("as a target, a value above 0 silences the device"))
        }
        Usage::Target if source_only => {
            Err(ChannelError::new(format!("`{name}` is a source and cannot be a target"))
                .with_hint("to send a clock, map to `tempo` or `clock`"))
        }
        _ => Ok(()),
    }
}

/// The hint for an unknown channel.
const FORMS: &str = "expected `chN.ccM`, `chN.noteM`, `chN.pressureM`, `chN.pitch`, \
                     `chN.aftertouch`, `chN.program`, `chN.rpnM`, `chN.nrpnM`, `chN.notenumber`, \
                     `chN.velocity`, `chN.panic`, or a channel without a MIDI channel such as \
                     `start`, `tempo`, `timecode` or `sysex.F0 … F7`";

/// Reads the name of a channel.
pub(crate) fn parse(text: &str) -> Result<Control, ChannelError> {
    if let Some((kind, _)) = SYSTEM.iter().find(|(_, name)| *name == text) {
        return Ok(Control::System(*kind));
    }
    if let Some(pattern) = text.strip_prefix("sysex.").or_else(|| text.strip_prefix("sysex ")) {
        let parsed = Pattern::parse(pattern);
        return parsed.map(|pattern| Control::Exclusive(Arc::new(pattern))).map_err(|message| {
            ChannelError::new(message)
                .with_range(6, text.len())
                .with_hint("such as `sysex.F0 7D 01 vv F7`; `vv` is the value, `xx` any byte")
        });
    }
    let after = text.strip_prefix("channel").or_else(|| text.strip_prefix("ch"));
    let Some(rest) = after else { return parse_old(text) };
    let start = text.len() - rest.len();
    let Some((channel, control)) = rest.split_once('.') else {
        return Err(ChannelError::new(format!(
            "expected a control of the MIDI channel, such as `{text}.cc7`"
        ))
        .with_hint(FORMS));
    };
    let offset = start + channel.len() + 1;
    let channel = number(channel, 15, "MIDI channel", start)? as u8;
    if let Some((kind, _)) = PER_CHANNEL.iter().find(|(_, name)| *name == control) {
        return Ok(Control::PerChannel(channel, *kind));
    }
    let indexed = |name: &str, max| {
        let digits = control.strip_prefix(name)?;
        Some(number(digits, max, name, offset + name.len()))
    };
    if let Some(index) = indexed("cc", 127) {
        Ok(Control::Controller(channel, index? as u8))
    } else if let Some(index) = indexed("note", 127) {
        Ok(Control::Note(channel, index? as u8))
    } else if let Some(index) = indexed("pressure", 127) {
        Ok(Control::Pressure(channel, index? as u8))
    } else if let Some(index) = indexed("rpn", 16_383) {
        Ok(Control::Registered(channel, index?))
    } else if let Some(index) = indexed("nrpn", 16_383) {
        Ok(Control::NonRegistered(channel, index?))
    } else {
        let name = control.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let is_without_number = PER_CHANNEL.iter().any(|(_, known)| *known == name);
        let error = ChannelError::new(format!("unknown control `{control}` of a MIDI channel"))
            .with_range(offset, text.len());
        Err(match is_without_number {
            true => error.with_hint(format!("write `ch{channel}.{name}`: `{name}` has no number")),
            false => error.with_hint(FORMS),
        })
    }
}

/// The syntax of old versions of MIDIMonster: `ccN.M` and `noteN.M`.
fn parse_old(text: &str) -> Result<Control, ChannelError> {
    let read = |name: &str| -> Option<Result<(u8, u8), ChannelError>> {
        let rest = text.strip_prefix(name)?;
        let (channel, index) = rest.split_once('.')?;
        let start = name.len();
        let both = number(channel, 15, "MIDI channel", start).and_then(|channel_number| {
            let index = number(index, 127, name, start + channel.len() + 1)?;
            Ok((channel_number as u8, index as u8))
        });
        Some(both)
    };
    if let Some(both) = read("cc") {
        return both.map(|(channel, index)| Control::Controller(channel, index));
    }
    if let Some(both) = read("note") {
        return both.map(|(channel, index)| Control::Note(channel, index));
    }
    Err(ChannelError::new(format!("unknown channel `{text}`")).with_hint(FORMS))
}

/// Reads a number from 0 to `max`.
fn number(digits: &str, max: u16, what: &str, offset: usize) -> Result<u16, ChannelError> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(number) if is_number && number <= max => Ok(number),
        _ => {
            let message = if is_number {
                format!("{what} {digits} is out of range: expected 0 to {max}")
            } else {
                format!("invalid {what} `{digits}`: expected a number from 0 to {max}")
            };
            let error = ChannelError::new(message).with_range(offset, offset + digits.len());
            Err(if what == "MIDI channel" {
                error.with_hint("MIDI channels are counted from 0: channel 1 of a device is `ch0`")
            } else {
                error
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_controls_are_one_to_one() {
        for text in [
            "ch0.cc7",
            "ch15.note127",
            "ch3.pressure0",
            "ch1.pitch",
            "ch1.aftertouch",
            "ch1.program",
            "ch0.rpn16383",
            "ch0.nrpn900",
            "ch2.notenumber",
            "ch2.velocity",
            "ch2.panic",
            "start",
            "timecode.hours",
            "tempo",
        ] {
            let control = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(specification(&control), text);
        }
        assert_eq!(parse("channel2.cc4"), Ok(Control::Controller(2, 4)));
        assert_eq!(parse("cc2.4"), Ok(Control::Controller(2, 4)));
        assert_eq!(parse("note0.60"), Ok(Control::Note(0, 60)));
    }

    #[test]
    fn a_number_behind_a_control_without_one_is_named() {
        let error = parse("ch3.pitch0").expect_err("no number");
        assert!(format!("{error:?}").contains("write `ch3.pitch`: `pitch` has no number"));
    }

    #[test]
    fn errors_state_the_valid_range() {
        for (text, expected) in [
            ("ch16.cc1", "MIDI channel 16 is out of range: expected 0 to 15"),
            ("ch0.cc128", "cc 128 is out of range: expected 0 to 127"),
            ("ch0.note", "invalid note ``: expected a number from 0 to 127"),
            ("ch0.rpn16384", "rpn 16384 is out of range: expected 0 to 16383"),
            ("ch0.wheel", "unknown control `wheel` of a MIDI channel"),
            ("ch0", "expected a control of the MIDI channel, such as `ch0.cc7`"),
            ("fader1", "unknown channel `fader1`"),
        ] {
            assert_eq!(parse(text).expect_err(text).message, expected);
        }
    }

    #[test]
    fn spellings_of_one_channel_have_one_number() {
        let mut channels = Channels::new();
        let first = channels.channel("ch1.cc2", Usage::Source).expect("a channel");
        assert_eq!(channels.channel("channel1.cc2", Usage::Target), Ok(first));
        assert_eq!(channels.channel("start", Usage::Target), Ok(first + 1));
        assert_eq!(channels.number(&Control::Controller(1, 2)), Some(first));
        assert_eq!(channels.number(&Control::Controller(1, 3)), None);
        assert!(channels.channel("panic", Usage::Source).is_err());
        assert!(channels.channel("beat", Usage::Target).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_control_or_an_error_inside_it(text in "(ch|cc|note|sysex)?[0-9a-z. ]{0,20}") {
            if let Err(ChannelError { range: Some((start, end)), .. }) = parse(&text) {
                prop_assert!(start <= end && end <= text.len());
            }
        }
    }
}
