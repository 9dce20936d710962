//! The channels of an instance.

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};

use super::codes::{CODES, Code, EventType};
use super::config::Settings;

/// The motors of a rumble channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motors {
    Both,
    Strong,
    Weak,
}

/// What a channel stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// A code of the device.
    Code(Code),
    /// The strength of its motors.
    Rumble(Motors),
}

/// One channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) control: Control,
    pub(super) is_source: bool,
    pub(super) is_target: bool,
}

/// The number of a code without a channel.
const UNMAPPED: u32 = u32::MAX;

/// The channels of an instance, by number, and their numbers by code.
pub(super) struct Channels {
    list: Vec<Channel>,
    by_code: Box<[u32; CODES]>,
}

impl Default for Channels {
    fn default() -> Self {
        Channels { list: Vec::new(), by_code: Box::new([UNMAPPED; CODES]) }
    }
}

/// Parses a channel specification.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Control, ChannelError> {
    let Some((kind_name, code_name)) = text.split_once('.') else {
        return Err(ChannelError::new(format!("invalid channel `{text}`: expected TYPE.CODE"))
            .with_hint("write for example `EV_KEY.BTN_SOUTH` or `EV_ABS.ABS_X`"));
    };
    let code_start = kind_name.len() + 1;
    if kind_name == "EV_FF" {
        return match code_name {
            "FF_RUMBLE" => Ok(Control::Rumble(Motors::Both)),
            "FF_RUMBLE.strong" => Ok(Control::Rumble(Motors::Strong)),
            "FF_RUMBLE.weak" => Ok(Control::Rumble(Motors::Weak)),
            _ => Err(ChannelError::new(format!(
                "unknown effect `{code_name}`: expected `FF_RUMBLE`, `FF_RUMBLE.strong` or \
                 `FF_RUMBLE.weak`"
            ))
            .with_range(code_start, text.len())),
        };
    }
    let Some(kind) = EventType::ALL.into_iter().find(|kind| kind.name() == kind_name) else {
        let names = EventType::ALL.map(EventType::name).into_iter().chain(["EV_FF"]);
        let hint = match kind_name {
            "EV_SYN" => "the reports of a device are written and read by the backend".to_owned(),
            _ => consort_suggest::did_you_mean_or_list(kind_name, "types", names),
        };
        return Err(ChannelError::new(format!("unknown event type `{kind_name}`"))
            .with_hint(hint)
            .with_range(0, kind_name.len()));
    };
    let invalid = |message: String| ChannelError::new(message).with_range(code_start, text.len());
    if !code_name.is_empty() && code_name.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = code_name.parse().ok().and_then(|number| Code::new(kind, number));
        return number.map(Control::Code).ok_or_else(|| {
            let last = kind.count() - 1;
            invalid(format!("code {code_name} is out of range: {kind_name} has 0 to {last}"))
        });
    }
    match Code::from_name(code_name) {
        Some(code) if code.kind == kind => Ok(Control::Code(code)),
        Some(code) => Err(invalid(format!("`{code_name}` is not a code of {kind_name}"))
            .with_hint(format!("write `{}`", code.name()))),
        None => {
            let error = invalid(format!("unknown code `{code_name}` of {kind_name}"));
            Err(match consort_suggest::did_you_mean(code_name, Code::names_of(kind)) {
                Some(hint) => error.with_hint(hint),
                None => error.with_hint(
                    "`consort learn` prints the channels of a device; a code without a name is \
                     written as its number",
                ),
            })
        }
    }
}

impl Channels {
    /// Finds or adds a channel.
    ///
    /// # Errors
    /// When the specification is invalid, or the instance cannot have such a channel.
    pub(super) fn channel(
        &mut self,
        text: &str,
        usage: Usage,
        settings: &Settings,
    ) -> Result<u32, ChannelError> {
        let control = parse(text)?;
        match (control, usage) {
            (Control::Rumble(_), Usage::Source) => {
                return Err(ChannelError::new("a rumble effect is a target only"));
            }
            (Control::Code(code), Usage::Target)
                if code.kind == EventType::Absolute
                    && settings.output.is_some()
                    && settings.axis(code.number).is_none() =>
            {
                let name = code.name();
                let name = name.split_once('.').map_or("", |(_, name)| name);
                return Err(ChannelError::new(format!(
                    "the created device needs the range of this axis: missing option `axis.{name}`"
                ))
                .with_hint(format!("add for example `axis.{name} = 0 -32768 32767`")));
            }
            _ => {}
        }
        let number = self.number(control).unwrap_or_else(|| {
            let number = self.list.len() as u32;
            self.list.push(Channel { control, is_source: false, is_target: false });
            if let Control::Code(code) = control {
                self.by_code[code.index()] = number;
            }
            number
        });
        let channel = &mut self.list[number as usize];
        match usage {
            Usage::Source => channel.is_source = true,
            Usage::Target => channel.is_target = true,
        }
        Ok(number)
    }

    /// The channel of a control.
    fn number(&self, control: Control) -> Option<u32> {
        match control {
            Control::Code(code) => self.of_code(code),
            Control::Rumble(_) => {
                let mut channels = self.list.iter();
                channels.position(|channel| channel.control == control).map(|index| index as u32)
            }
        }
    }

    /// The channel of a code.
    #[inline]
    pub(super) fn of_code(&self, code: Code) -> Option<u32> {
        Some(self.by_code[code.index()]).filter(|number| *number != UNMAPPED)
    }

    /// The channel of a code if it is a source.
    #[inline]
    pub(super) fn source(&self, code: Code) -> Option<u32> {
        self.of_code(code).filter(|number| self.list[*number as usize].is_source)
    }

    /// A channel by number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Channel> {
        self.list.get(number as usize)
    }

    /// All channels, by number.
    pub(super) fn list(&self) -> &[Channel] {
        &self.list
    }

    /// Whether values can be sent to a control.
    pub(super) fn is_target(&self, control: Control) -> bool {
        self.list.iter().any(|channel| channel.is_target && channel.control == control)
    }

    /// How the values of a channel behave.
    pub(super) fn kind(&self, number: u32, settings: &Settings) -> ChannelKind {
        match self.get(number).map(|channel| channel.control) {
            Some(Control::Code(code)) => match code.kind {
                EventType::Key => ChannelKind::Momentary,
                EventType::Relative if settings.extent(code.number).is_none() => {
                    ChannelKind::Relative
                }
                _ => ChannelKind::Absolute,
            },
            _ => ChannelKind::Absolute,
        }
    }

    /// How finely a channel distinguishes values. The range of an absolute axis is known before the
    /// device is opened only if an option gives it.
    pub(super) fn resolution(&self, number: u32, settings: &Settings) -> Resolution {
        match self.get(number).map(|channel| channel.control) {
            Some(Control::Code(code)) => match code.kind {
                EventType::Absolute => match settings.axis(code.number) {
                    Some(axis) => {
                        Resolution::steps((axis.maximum.abs_diff(axis.minimum)).saturating_add(1))
                    }
                    None => Resolution::CONTINUOUS,
                },
                EventType::Relative => match settings.extent(code.number) {
                    Some(extent) => Resolution::steps(extent.maximum + 1),
                    None => Resolution::steps(3),
                },
                _ => Resolution::steps(2),
            },
            Some(Control::Rumble(_)) => Resolution::steps(1 << 16),
            None => Resolution::CONTINUOUS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(kind: EventType, number: u16) -> Control {
        Control::Code(Code { kind, number })
    }

    #[test]
    fn channels_are_types_and_codes_by_name_or_number() {
        for (text, expected) in [
            ("EV_KEY.BTN_SOUTH", code(EventType::Key, 304)),
            ("EV_KEY.304", code(EventType::Key, 304)),
            ("EV_KEY.84", code(EventType::Key, 84)),
            ("EV_ABS.ABS_HAT0X", code(EventType::Absolute, 16)),
            ("EV_LED.LED_NUML", code(EventType::Led, 0)),
            ("EV_FF.FF_RUMBLE", Control::Rumble(Motors::Both)),
            ("EV_FF.FF_RUMBLE.weak", Control::Rumble(Motors::Weak)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn unknown_names_are_errors_with_suggestions() {
        for (text, message, hint, range) in [
            ("EV_KEY", "expected TYPE.CODE", "EV_KEY.BTN_SOUTH", None),
            ("EV_KEZ.KEY_A", "unknown event type `EV_KEZ`", "did you mean `EV_KEY`?", Some((0, 6))),
            ("EV_SYN.0", "unknown event type", "by the backend", Some((0, 6))),
            ("EV_KEY.BTN_SUOTH", "unknown code", "did you mean `BTN_SOUTH`?", Some((7, 16))),
            ("EV_KEY.ABS_X", "not a code of EV_KEY", "write `EV_ABS.ABS_X`", Some((7, 12))),
            ("EV_KEY.768", "EV_KEY has 0 to 767", "", Some((7, 10))),
            ("EV_ABS.99999999", "EV_ABS has 0 to 63", "", Some((7, 15))),
            ("EV_FF.FF_SPRING", "expected `FF_RUMBLE`", "", Some((6, 15))),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(message), "{text}: {error:?}");
            assert!(error.hint.clone().unwrap_or_default().contains(hint), "{text}: {error:?}");
            assert_eq!(error.range, range, "{text}");
        }
    }

    #[test]
    fn spellings_of_a_code_are_one_channel() {
        let mut channels = Channels::default();
        let settings = Settings::default();
        let mut channel = |text: &str, usage| channels.channel(text, usage, &settings);
        assert_eq!(channel("EV_KEY.BTN_A", Usage::Target), Ok(0));
        assert_eq!(channel("EV_KEY.304", Usage::Source), Ok(0));
        assert_eq!(channel("EV_FF.FF_RUMBLE", Usage::Target), Ok(1));
        assert!(channel("EV_FF.FF_RUMBLE", Usage::Source).is_err());
        let south = Code { kind: EventType::Key, number: 304 };
        assert_eq!((channels.of_code(south), channels.source(south)), (Some(0), Some(0)));
        assert!(channels.is_target(Control::Code(south)));
    }

    #[test]
    fn kinds_and_resolutions_follow_types_and_options() {
        let settings = Settings {
            axes: vec![(0, super::super::system::Axis { maximum: 255, ..Default::default() })],
            extents: vec![(
                1,
                super::super::config::Extent { maximum: 1_000, is_inverted: false, initial: 0 },
            )],
            ..Settings::default()
        };
        let mut channels = Channels::default();
        for (text, kind, steps) in [
            ("EV_KEY.KEY_A", ChannelKind::Momentary, Some(2)),
            ("EV_ABS.ABS_X", ChannelKind::Absolute, Some(256)),
            ("EV_ABS.ABS_Y", ChannelKind::Absolute, None),
            ("EV_REL.REL_X", ChannelKind::Relative, Some(3)),
            ("EV_REL.REL_Y", ChannelKind::Absolute, Some(1_001)),
            ("EV_SW.SW_LID", ChannelKind::Absolute, Some(2)),
            ("EV_FF.FF_RUMBLE", ChannelKind::Absolute, Some(65_536)),
        ] {
            let number = channels.channel(text, Usage::Target, &settings).expect(text);
            assert_eq!(channels.kind(number, &settings), kind, "{text}");
            assert_eq!(channels.resolution(number, &settings).count(), steps, "{text}");
        }
    }
}
