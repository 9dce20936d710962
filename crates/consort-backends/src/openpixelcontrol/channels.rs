//! Channels: `strip1.red5`, `strip1.channel7`, `blue2`.

use std::fmt::Write;

use consort_router::{ChannelError, Resolution, Usage};

use super::codec::Mode;

/// The colours of channels, by the letter of the option `order`.
const COLOURS: [(u8, &str); 4] = [(b'r', "red"), (b'g', "green"), (b'b', "blue"), (b'w', "white")];

/// The order of a pixel's components: the letters of the option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order(Vec<u8>);

impl Order {
    /// Parses the option.
    ///
    /// # Errors
    /// A message that states what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let letters = text.to_ascii_lowercase().into_bytes();
        let mut sorted = letters.clone();
        sorted.sort_unstable();
        match sorted.as_slice() {
            b"bgr" | b"bgrw" => Ok(Order(letters)),
            _ => Err("expected the letters r, g and b in any order, and w for pixels with white: \
`grb`, `rgbw`"
                .into()),
        }
    }

    /// Validates the option, for the table.
    pub(super) fn check(text: &str) -> Result<(), String> {
        Order::parse(text).map(drop)
    }

    /// The components of a pixel.
    pub(super) fn pixel_size(&self) -> usize {
        self.0.len()
    }

    /// Where a colour is in a pixel, from 0.
    fn offset(&self, letter: u8) -> Option<usize> {
        self.0.iter().position(|&other| other == letter)
    }

    /// Writes the name of a component, counted from 0: `red5`.
    pub(super) fn write_name(&self, component: usize, name: &mut String) {
        let letter = self.0[component % self.pixel_size()];
        let colour = COLOURS.iter().find(|(other, _)| *other == letter);
        let colour = colour.map_or("channel", |(_, colour)| *colour);
        let _ = write!(name, "{colour}{}", component / self.pixel_size() + 1);
    }
}

/// A component of a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Component {
    /// The strip, 0 for all.
    pub(super) strip: u8,
    /// Counted from 0.
    pub(super) index: u16,
}

/// A mapped channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) component: Component,
    pub(super) is_source: bool,
    pub(super) is_target: bool,
}

/// Parses a number without a sign. Leading zeros are allowed.
fn number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that does not fit is out of every range.
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

/// Parses a channel.
///
/// # Errors
/// The part that is wrong, and what was expected.
pub(super) fn parse(text: &str, mode: Mode, order: &Order) -> Result<Component, ChannelError> {
    const HINT: &str = "write `strip1.red5` for a colour of a pixel, `strip1.channel7` for a \
component; without a strip, all strips are meant";
    let (strip, name, start) = match text.split_once('.') {
        None => (0, text, 0),
        Some((strip, name)) => {
            let parsed = strip.strip_prefix("strip").and_then(number).filter(|&n| n <= 255);
            let Some(parsed) = parsed else {
                let message = format!("invalid strip `{strip}`: expected `strip0` to `strip255`");
                return Err(ChannelError::new(message).with_hint(HINT).with_range(0, strip.len()));
            };
            (parsed as u8, name, strip.len() + 1)
        }
    };
    let invalid = |message: String| {
        ChannelError::new(message).with_hint(HINT).with_range(start, start + name.len())
    };
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (word, digits) = name.split_at(digits);
    let colour = COLOURS.iter().find(|(_, colour)| *colour == word);
    if word != "channel" && colour.is_none() {
        return Err(invalid(format!(
            "invalid channel `{name}`: expected `channel`, `red`, `green`, `blue` or `white` and a \
number"
        )));
    }
    let size = order.pixel_size();
    let (highest, offset, size) = match colour {
        None => (mode.max_component(), 0, 1),
        Some((letter, _)) => match order.offset(*letter) {
            // The last pixel of a message may be a partial one.
            Some(offset) => ((mode.max_component() - offset - 1) / size + 1, offset, size),
            None => {
                return Err(ChannelError::new("the pixels of this instance have no white")
                    .with_hint("set `order = rgbw`, or another order with a `w`")
                    .with_range(start, start + word.len()));
            }
        },
    };
    match number(digits) {
        Some(number) if (1..=highest).contains(&number) => {
            Ok(Component { strip, index: ((number - 1) * size + offset) as u16 })
        }
        _ => Err(invalid(format!(
            "invalid channel `{name}`: expected a number from 1 to {highest} behind `{word}`"
        ))),
    }
}

/// The mapped channels of an instance.
pub(super) struct Channels {
    pub(super) mode: Mode,
    pub(super) order: Order,
    list: Vec<Channel>,
    by_component: std::collections::HashMap<Component, u32>,
}

impl Channels {
    pub(super) fn new(mode: Mode, order: Order) -> Self {
        Channels { mode, order, list: Vec::new(), by_component: std::collections::HashMap::new() }
    }

    /// All channels, in the order of their numbers.
    pub(super) fn list(&self) -> &[Channel] {
        &self.list
    }

    /// Finds or adds a channel.
    ///
    /// # Errors
    /// When the specification is wrong, or of no use in this direction.
    pub(super) fn channel(&mut self, text: &str, usage: Usage) -> Result<u32, ChannelError> {
        let component = parse(text, self.mode, &self.order)?;
        if usage == Usage::Source && component.strip == 0 {
            return Err(ChannelError::new("strip 0 stands for all strips and cannot be a source")
                .with_hint(
                    "name the strip: `strip1.red1`; what a client sends to strip 0 arrives \
on every mapped strip",
                ));
        }
        let channel = *self.by_component.entry(component).or_insert_with(|| {
            self.list.push(Channel { component, is_source: false, is_target: false });
            self.list.len() as u32 - 1
        });
        let entry = &mut self.list[channel as usize];
        entry.is_source |= usage == Usage::Source;
        entry.is_target |= usage == Usage::Target;
        Ok(channel)
    }

    /// How finely the channels distinguish values.
    pub(super) fn resolution(&self) -> Resolution {
        Resolution::steps(u32::from(self.mode.max_raw()) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(text: &str, mode: Mode, order: &str) -> Result<(u8, u16), ChannelError> {
        let order = Order::parse(order).expect(order);
        parse(text, mode, &order).map(|component| (component.strip, component.index))
    }

    #[test]
    fn channels_name_components() {
        for (text, order, expected) in [
            ("channel1", "rgb", (0, 0)),
            ("strip0.channel3", "rgb", (0, 2)),
            ("strip1.red1", "rgb", (1, 0)),
            ("strip255.blue2", "rgb", (255, 5)),
            ("strip01.green02", "rgb", (1, 4)),
            ("strip1.red2", "grb", (1, 4)),
            ("strip1.green2", "grb", (1, 3)),
            ("strip1.white2", "grbw", (1, 7)),
            ("strip1.blue21845", "rgb", (1, 65_534)),
            ("strip1.channel65535", "rgb", (1, 65_534)),
        ] {
            let order_of = Order::parse(order).expect(order);
            assert_eq!(component(text, Mode::Bytes, order), Ok(expected), "{text}");
            if expected.1 % 3 == 1 && order == "rgb" {
                let mut name = String::new();
                order_of.write_name(usize::from(expected.1), &mut name);
                assert!(name.starts_with("green"), "{name}");
            }
        }
        assert_eq!(component("strip1.red10922", Mode::Words, "rgb"), Ok((1, 32_763)));
        // The last, partial pixel of a message.
        assert_eq!(component("strip1.red10923", Mode::Words, "rgb"), Ok((1, 32_766)));
        assert!(component("strip1.green10923", Mode::Words, "rgb").is_err());
    }

    #[test]
    fn every_component_has_the_name_that_finds_it() {
        for order in ["rgb", "bgr", "grb", "wrgb"] {
            let parsed = Order::parse(order).expect(order);
            for index in 0..24 {
                let mut name = "strip3.".to_owned();
                parsed.write_name(index, &mut name);
                assert_eq!(component(&name, Mode::Bytes, order), Ok((3, index as u16)), "{name}");
            }
        }
    }

    #[test]
    fn invalid_channels_are_reported_with_their_part() {
        for (text, words, range) in [
            ("", "invalid channel ``", (0, 0)),
            ("red", "1 to 21845", (0, 3)),
            ("red0", "1 to 21845", (0, 4)),
            ("red21846", "1 to 21845", (0, 8)),
            ("strip1.channel65536", "1 to 65535", (7, 19)),
            ("strip1.channel99999999999999999999999", "1 to 65535", (7, 37)),
            ("strip256.red1", "`strip0` to `strip255`", (0, 8)),
            ("strip.red1", "invalid strip `strip`", (0, 5)),
            ("strip-1.red1", "invalid strip", (0, 7)),
            ("stripx.red1", "invalid strip", (0, 6)),
            ("strip1:red1", "invalid channel", (0, 11)),
            ("strip1.red1x", "1 to 21845", (7, 12)),
            ("strip1.white1", "no white", (7, 12)),
            ("strip1.red1.2", "1 to 21845", (7, 13)),
        ] {
            let error = component(text, Mode::Bytes, "rgb").expect_err(text);
            assert!(error.message.contains(words), "{text}: {error:?}");
            assert_eq!(error.range, Some(range), "{text}: {error:?}");
        }
        for order in ["", "rg", "rgbb", "rgbx", "rgbww", "rrr"] {
            assert!(Order::parse(order).is_err(), "{order}");
        }
        assert_eq!(Order::parse("GRB"), Order::parse("grb"));
    }

    #[test]
    fn spellings_of_one_component_are_one_channel() {
        let order = Order::parse("rgb").expect("an order");
        let mut channels = Channels::new(Mode::Bytes, order);
        assert_eq!(channels.channel("strip1.red2", Usage::Source), Ok(0));
        assert_eq!(channels.channel("strip1.channel4", Usage::Target), Ok(0));
        assert_eq!(channels.channel("red2", Usage::Target), Ok(1));
        let error = channels.channel("strip0.red2", Usage::Source).expect_err("strip 0");
        assert!(error.message.contains("cannot be a source"), "{error:?}");
    }
}
