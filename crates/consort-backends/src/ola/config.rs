//! The options of the backend and its instances.

use consort_router::InstanceConfig;
use consort_router::options::parse_integer;

use super::calls::Merge;
use crate::dmx::options::emits_all_first;
use crate::dmx::parse_destination;
use crate::net::HostPort;

/// The port on which olad accepts programs.
const PORT: u16 = 9010;

/// The highest priority of olad.
pub(super) const MAX_PRIORITY: i64 = 200;

/// Which universe an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    Number(u32),
    /// The name that olad has for it.
    Name(String),
}

impl Selector {
    /// Parses the option.
    ///
    /// # Errors
    /// A message that states what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match parse_integer(text) {
            Some(number) => u32::try_from(number).map(Selector::Number).map_err(|_| {
                "expected a whole number from 0 to 4294967295, or the name of a universe".into()
            }),
            None if text.is_empty() => Err("expected the number or the name of a universe".into()),
            None => Ok(Selector::Name(text.to_owned())),
        }
    }

    /// Validates the option, for the table.
    pub(super) fn check(text: &str) -> Result<(), String> {
        Selector::parse(text).map(drop)
    }
}

/// The options of an instance.
#[derive(Clone, Debug)]
pub(super) struct UniverseConfig {
    pub(super) selector: Selector,
    pub(super) priority: u8,
    pub(super) merge: Option<Merge>,
    pub(super) is_realtime: bool,
    /// Whether the first frame emits zeros, too.
    pub(super) emits_all_first: bool,
}

impl UniverseConfig {
    /// Reads the options, which the table has validated.
    pub(super) fn read(instance: &InstanceConfig) -> Option<Self> {
        let options = &instance.options;
        Some(UniverseConfig {
            selector: Selector::parse(options.text("universe").unwrap_or("0")).ok()?,
            priority: options.integer("priority").unwrap_or(100) as u8,
            merge: options.text("merge").map(Merge::read),
            is_realtime: options.flag("realtime"),
            emits_all_first: emits_all_first(options),
        })
    }
}

/// Parses the option `host`.
///
/// # Errors
/// A message that states what was expected.
pub(super) fn parse_host(text: &str) -> Result<HostPort, String> {
    parse_destination(text, PORT)
}

/// Validates the option `host`, for the table.
pub(super) fn check_host(text: &str) -> Result<(), String> {
    parse_host(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn universes_are_numbers_or_names() {
        for (text, expected) in [
            ("0", Selector::Number(0)),
            ("0x10", Selector::Number(16)),
            ("4294967295", Selector::Number(u32::MAX)),
            ("Front of house", Selector::Name("Front of house".into())),
            ("2nd floor", Selector::Name("2nd floor".into())),
        ] {
            assert_eq!(Selector::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "4294967296"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        assert_eq!(parse_host("olad.local").map(|host| host.port), Ok(9010));
        assert_eq!(parse_host("127.0.0.1 19010").map(|host| host.port), Ok(19010));
    }
}
