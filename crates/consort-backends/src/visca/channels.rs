//! The channels of a camera, as configurations write them.

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};
use consort_suggest::nearest;

use super::config::Settings;

/// One axis of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Pan,
    Tilt,
}

/// Where a drive moves while its channel is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Left, up, towards telephoto, towards far.
    Plus,
    /// Right, down, towards wide angle, towards near.
    Minus,
    /// Both: 0.5 stops, above is [`Direction::Plus`], below is [`Direction::Minus`].
    Both,
}

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Position(Axis),
    Speed(Axis),
    Move(Axis, Direction),
    Stop,
    Home,
    Reset,
    Zoom,
    ZoomDrive(Direction),
    Focus,
    FocusDrive(Direction),
    AutoFocus,
    FocusOnce,
    WhiteAuto,
    WhiteRed,
    WhiteBlue,
    Power,
    Recall(u8),
    Store(u8),
}

/// The channels without a number, by name.
const NAMES: &[(&str, Channel)] = &[
    ("pan", Channel::Position(Axis::Pan)),
    ("tilt", Channel::Position(Axis::Tilt)),
    ("panspeed", Channel::Speed(Axis::Pan)),
    ("tiltspeed", Channel::Speed(Axis::Tilt)),
    ("move.left", Channel::Move(Axis::Pan, Direction::Plus)),
    ("move.right", Channel::Move(Axis::Pan, Direction::Minus)),
    ("move.x", Channel::Move(Axis::Pan, Direction::Both)),
    ("move.up", Channel::Move(Axis::Tilt, Direction::Plus)),
    ("move.down", Channel::Move(Axis::Tilt, Direction::Minus)),
    ("move.y", Channel::Move(Axis::Tilt, Direction::Both)),
    ("stop", Channel::Stop),
    ("home", Channel::Home),
    ("reset", Channel::Reset),
    ("zoom", Channel::Zoom),
    ("zoom.in", Channel::ZoomDrive(Direction::Plus)),
    ("zoom.out", Channel::ZoomDrive(Direction::Minus)),
    ("zoom.move", Channel::ZoomDrive(Direction::Both)),
    ("focus", Channel::Focus),
    ("focus.far", Channel::FocusDrive(Direction::Plus)),
    ("focus.near", Channel::FocusDrive(Direction::Minus)),
    ("focus.move", Channel::FocusDrive(Direction::Both)),
    ("focus.once", Channel::FocusOnce),
    ("autofocus", Channel::AutoFocus),
    ("wb.auto", Channel::WhiteAuto),
    ("wb.red", Channel::WhiteRed),
    ("wb.blue", Channel::WhiteBlue),
    ("power", Channel::Power),
];

impl Channel {
    /// Reads a specification.
    ///
    /// # Errors
    /// When there is no such channel, or it cannot be used in this direction.
    pub(super) fn parse(specification: &str, usage: Usage) -> Result<Channel, ChannelError> {
        let channel = find(specification)?;
        if usage == Usage::Source && Source::of(channel).is_none() {
            let names: Vec<&str> = Source::ALL.iter().map(|source| source.name()).collect();
            return Err(ChannelError::new(format!("`{specification}` can only be a target"))
                .with_hint(format!("a camera reports {}", names.join(", "))));
        }
        Ok(channel)
    }

    pub(super) fn kind(self) -> ChannelKind {
        match self {
            Channel::Stop
            | Channel::Home
            | Channel::Reset
            | Channel::FocusOnce
            | Channel::Recall(_)
            | Channel::Store(_)
            | Channel::Move(_, Direction::Plus | Direction::Minus)
            | Channel::ZoomDrive(Direction::Plus | Direction::Minus)
            | Channel::FocusDrive(Direction::Plus | Direction::Minus) => ChannelKind::Momentary,
            _ => ChannelKind::Absolute,
        }
    }

    pub(super) fn resolution(self, settings: &Settings) -> Resolution {
        let range = match self {
            Channel::Position(Axis::Pan) => settings.pan,
            Channel::Position(Axis::Tilt) => settings.tilt,
            Channel::Speed(Axis::Pan) => settings.pan_speed,
            Channel::Speed(Axis::Tilt) => settings.tilt_speed,
            Channel::Zoom => settings.zoom,
            Channel::Focus => settings.focus,
            Channel::WhiteRed | Channel::WhiteBlue => return Resolution::steps(256),
            Channel::AutoFocus | Channel::WhiteAuto | Channel::Power => {
                return Resolution::steps(2);
            }
            _ => return Resolution::CONTINUOUS,
        };
        Resolution::steps(range.low.abs_diff(range.high).saturating_add(1))
    }
}

fn find(specification: &str) -> Result<Channel, ChannelError> {
    if let Some((_, channel)) = NAMES.iter().find(|(name, _)| *name == specification) {
        return Ok(*channel);
    }
    for (prefix, channel) in
        [("memory", Channel::Recall as fn(u8) -> Channel), ("store", Channel::Store)]
    {
        let Some(digits) = specification.strip_prefix(prefix) else { continue };
        // MIDIMonster reads a missing number as 0.
        if digits.is_empty() {
            return Ok(channel(0));
        }
        return match digits.parse() {
            // 255 ends a message.
            Ok(number @ 0..=254) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(channel(number))
            }
            _ => Err(ChannelError::new(format!("expected the number of a memory, not `{digits}`"))
                .with_hint("memories have numbers from 0 to 254; many cameras have only a few")
                .with_range(prefix.len(), specification.len())),
        };
    }
    let names = NAMES.iter().map(|(name, _)| *name).chain(["memory1", "store1"]);
    let error = ChannelError::new(format!("a camera has no channel `{specification}`"));
    // MIDIMonster ignores what follows a name.
    let longest = NAMES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| specification.starts_with(name))
        .max_by_key(|name| name.len());
    Err(match (longest, nearest(specification, names)) {
        (Some(name), _) => {
            error.with_hint(format!("write `{name}`")).with_range(name.len(), specification.len())
        }
        (None, Some(name)) => error.with_hint(format!("did you mean `{name}`?")),
        (None, None) => error.with_hint("`consort backends visca` lists the channels"),
    })
}

/// What a camera reports when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Pan,
    Tilt,
    Zoom,
    Focus,
    AutoFocus,
    WhiteAuto,
    WhiteRed,
    WhiteBlue,
    Power,
}

impl Source {
    pub(super) const ALL: [Source; 9] = [
        Source::Pan,
        Source::Tilt,
        Source::Zoom,
        Source::Focus,
        Source::AutoFocus,
        Source::WhiteAuto,
        Source::WhiteRed,
        Source::WhiteBlue,
        Source::Power,
    ];

    /// The source that a channel is, if it is one.
    pub(super) fn of(channel: Channel) -> Option<Source> {
        Some(match channel {
            Channel::Position(Axis::Pan) => Source::Pan,
            Channel::Position(Axis::Tilt) => Source::Tilt,
            Channel::Zoom => Source::Zoom,
            Channel::Focus => Source::Focus,
            Channel::AutoFocus => Source::AutoFocus,
            Channel::WhiteAuto => Source::WhiteAuto,
            Channel::WhiteRed => Source::WhiteRed,
            Channel::WhiteBlue => Source::WhiteBlue,
            Channel::Power => Source::Power,
            _ => return None,
        })
    }

    /// The name of the channel.
    pub(super) fn name(self) -> &'static str {
        match self {
            Source::Pan => "pan",
            Source::Tilt => "tilt",
            Source::Zoom => "zoom",
            Source::Focus => "focus",
            Source::AutoFocus => "autofocus",
            Source::WhiteAuto => "wb.auto",
            Source::WhiteRed => "wb.red",
            Source::WhiteBlue => "wb.blue",
            Source::Power => "power",
        }
    }

    /// The value of what a camera has reported, from 0 to 1.
    pub(super) fn scale(self, raw: i32, settings: &Settings) -> f64 {
        match self {
            Source::Pan => settings.pan.value(raw),
            Source::Tilt => settings.tilt.value(raw),
            Source::Zoom => settings.zoom.value(raw),
            Source::Focus => settings.focus.value(raw),
            Source::WhiteRed | Source::WhiteBlue => (f64::from(raw) / 255.0).clamp(0.0, 1.0),
            Source::AutoFocus | Source::Power => f64::from(u8::from(raw == 2)),
            Source::WhiteAuto => f64::from(u8::from(raw == 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_midimonster_is_a_channel() {
        for name in [
            "panspeed",
            "tiltspeed",
            "pan",
            "tilt",
            "zoom",
            "focus",
            "autofocus",
            "wb.red",
            "wb.blue",
            "wb.auto",
            "memory3",
            "store254",
            "memory",
            "home",
            "move.up",
            "move.down",
            "move.left",
            "move.right",
            "move.x",
            "move.y",
            "stop",
        ] {
            assert!(Channel::parse(name, Usage::Target).is_ok(), "{name}");
        }
        assert_eq!(find("memory"), Ok(Channel::Recall(0)));
        assert_eq!(find("store254"), Ok(Channel::Store(254)));
    }

    #[test]
    fn other_names_are_errors_with_a_hint() {
        for (name, hint) in [
            ("pann", "write `pan`"),
            ("wb.redx", "write `wb.red`"),
            ("zoom12x", "write `zoom`"),
            ("memory255", "memories have numbers from 0 to 254; many cameras have only a few"),
            ("memory+1", "memories have numbers from 0 to 254; many cameras have only a few"),
            ("movex", "did you mean `move.x`?"),
            ("", "`consort backends visca` lists the channels"),
        ] {
            let error = Channel::parse(name, Usage::Target).expect_err(name);
            assert_eq!(error.hint.as_deref(), Some(hint), "{name}");
        }
        let error = Channel::parse("home", Usage::Source).expect_err("only a target");
        assert_eq!(error.message, "`home` can only be a target");
        assert!(Channel::parse("zoom", Usage::Source).is_ok());
    }
}
