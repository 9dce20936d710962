//! The options of an instance.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use consort_router::{InstanceConfig, Options, Problems};

use crate::net::HostPort;

/// The speed of a serial line without an option, in bits per second.
const DEFAULT_SPEED: u32 = 9_600;

/// A range of a camera's numbers: the value 0 is `low`, 1 is `high`, which may be the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: i32,
    pub(super) high: i32,
}

impl Range {
    /// Reads `LOW HIGH`, decimal or hexadecimal with `0x`.
    fn parse(text: &str) -> Result<Range, String> {
        let mut numbers = text.split_whitespace().map(parse_number);
        match (numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
            (Some(low), Some(high), None) if low != high => Ok(Range { low, high }),
            (Some(_), Some(_), None) => Err("expected two different numbers".into()),
            _ => Err("expected two whole numbers, such as `-2448 2448` or `0 0x4000`".into()),
        }
    }

    fn check(text: &str, limits: std::ops::RangeInclusive<i32>) -> Result<(), String> {
        let range = Range::parse(text)?;
        match limits.contains(&range.low) && limits.contains(&range.high) {
            true => Ok(()),
            false => Err(format!("expected numbers from {} to {}", limits.start(), limits.end())),
        }
    }

    /// Validates a range of positions of the head.
    pub(super) fn check_head(text: &str) -> Result<(), String> {
        Range::check(text, -32_768..=32_767)
    }

    /// Validates a range of positions of the lens.
    pub(super) fn check_lens(text: &str) -> Result<(), String> {
        Range::check(text, 0..=65_535)
    }

    /// Validates a range of speeds.
    pub(super) fn check_speed(text: &str) -> Result<(), String> {
        Range::check(text, 0..=127)
    }

    /// The number nearest to a value from 0 to 1.
    pub(super) fn number(self, value: f64) -> i32 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        (low + value.clamp(0.0, 1.0) * (high - low)).round() as i32
    }

    /// The value of a number, from 0 to 1.
    pub(super) fn value(self, number: i32) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        ((f64::from(number) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The smallest number.
    pub(super) fn least(self) -> i32 {
        self.low.min(self.high)
    }
}

fn parse_number(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => i32::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    (!digits.starts_with(['+', '-'])).then(|| sign * number)
}

/// The options that a reload can change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) deadzone: f64,
    pub(super) pan: Range,
    pub(super) tilt: Range,
    pub(super) zoom: Range,
    pub(super) focus: Range,
    pub(super) pan_speed: Range,
    pub(super) tilt_speed: Range,
    /// The time between two inquiries of the same thing.
    pub(super) poll: Duration,
}

/// How messages are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Bare messages.
    Raw,
    /// With Sony's header.
    Sony,
    /// Over UDP: what the camera answers to. Otherwise bare messages.
    Auto,
}

/// What cameras are connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp(HostPort),
    Udp {
        peer: HostPort,
        /// The local address, if an option sets it.
        bind: Option<HostPort>,
    },
    Serial {
        path: PathBuf,
        speed: u32,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(peer) => write!(f, "{peer}"),
            Endpoint::Udp { peer, .. } => write!(f, "{peer}"),
            Endpoint::Serial { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// Reads the option `connect`: `HOST PORT [udp|tcp]`. Returns whether it is UDP.
fn parse_connect(text: &str) -> Result<(HostPort, bool), String> {
    let text = text.trim();
    let (rest, word) = text.rsplit_once(char::is_whitespace).unwrap_or((text, ""));
    let (address, is_udp) = match word {
        "udp" => (rest, true),
        "tcp" => (rest, false),
        _ => (text, false),
    };
    let has_host = address.contains(|c: char| c.is_whitespace() || c == ':');
    if !has_host {
        return Err("expected a host and a port, such as `10.0.0.5 5678`".into());
    }
    let peer = HostPort::parse(address).map_err(|error| match word {
        "udp" | "tcp" | "" => error,
        _ => format!("{error}; `udp` or `tcp` may follow"),
    })?;
    match peer.port {
        0 => Err("cannot connect to port 0".into()),
        _ => Ok((peer, is_udp)),
    }
}

/// Validates the option `connect`.
pub(super) fn check_connect(text: &str) -> Result<(), String> {
    parse_connect(text).map(drop)
}

/// Reads the option `device`: `PATH [SPEED]`.
fn parse_device(text: &str) -> Result<(PathBuf, u32), String> {
    let mut words = text.split_whitespace();
    let path = words.next().ok_or("expected the path of a serial line, such as `/dev/ttyUSB0`")?;
    let speed = match words.next() {
        None => DEFAULT_SPEED,
        Some(word) => word
            .parse()
            .ok()
            .filter(|speed| (50..=4_000_000).contains(speed))
            .ok_or("expected bits per second behind the path, such as `9600`")?,
    };
    match words.next() {
        Some(word) => Err(format!("expected `PATH SPEED`; remove `{word}`")),
        None => Ok((Path::new("/dev").join(path), speed)),
    }
}

/// Validates the option `device`.
pub(super) fn check_device(text: &str) -> Result<(), String> {
    parse_device(text).map(drop)
}

/// The validated options of an instance.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) id: u8,
    pub(super) endpoint: Endpoint,
    pub(super) framing: Framing,
    pub(super) settings: Settings,
}

impl Config {
    /// Reads the options. `None` if one of them has an error, which is then in `problems`.
    pub(super) fn read(config: &InstanceConfig, problems: &mut Problems) -> Option<Config> {
        let options: &Options = &config.options;
        let endpoint = read_endpoint(options, problems)?;
        let framing = match options.text("framing").unwrap_or_default() {
            word if word.eq_ignore_ascii_case("raw") => Framing::Raw,
            word if word.eq_ignore_ascii_case("sony") => Framing::Sony,
            _ => Framing::Auto,
        };
        if framing == Framing::Sony && matches!(endpoint, Endpoint::Serial { .. }) {
            problems
                .error(options.position("framing"), "a serial line has no headers")
                .hint("remove `framing`");
        }
        let range = |name: &str| {
            // The table has checked it.
            options.text(name).and_then(|text| Range::parse(text).ok())
        };
        let id = options.integer("id").unwrap_or(1) as u8;
        let settings = Settings {
            deadzone: options.number("deadzone").unwrap_or(0.1),
            pan: range("pan-range")?,
            tilt: range("tilt-range")?,
            zoom: range("zoom-range")?,
            focus: range("focus-range")?,
            pan_speed: range("pan-speeds")?,
            tilt_speed: range("tilt-speeds")?,
            poll: Duration::from_millis(options.integer("poll").unwrap_or(500) as u64),
        };
        let name = config.name.clone();
        problems.is_ok().then_some(Config { name, id, endpoint, framing, settings })
    }
}

fn read_endpoint(options: &Options, problems: &mut Problems) -> Option<Endpoint> {
    let bind = options.text("bind").and_then(|text| HostPort::parse(text).ok());
    let position = options.position("bind");
    let network = options.text("connect").and_then(|text| parse_connect(text).ok());
    let device = options.text("device").and_then(|text| parse_device(text).ok());
    let endpoint = match (network, device) {
        (Some(_), Some(_)) => {
            problems
                .error(options.position("device"), "`connect` and `device` exclude each other")
                .hint("give each camera an instance of its own");
            return None;
        }
        (Some((peer, true)), None) => Endpoint::Udp { peer, bind: bind.clone() },
        (Some((peer, false)), None) => Endpoint::Tcp(peer),
        (None, Some((path, speed))) => Endpoint::Serial { path, speed },
        (None, None) => {
            if !options.is_set("connect") && !options.is_set("device") {
                problems
                    .error(None, "missing option `connect` or `device`")
                    .hint("write `connect = HOST PORT` or `device = /dev/ttyUSB0`");
            }
            return None;
        }
    };
    if bind.is_some() && !matches!(endpoint, Endpoint::Udp { .. }) {
        problems.error(position, "`bind` needs UDP").hint("write `connect = HOST PORT udp`");
    }
    Some(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_written_as_in_midimonster() {
        let peer = |host: &str, port| HostPort { host: host.into(), port };
        for (text, expected) in [
            ("10.23.23.127 5678", (peer("10.23.23.127", 5678), false)),
            ("10.23.23.127 5678 udp", (peer("10.23.23.127", 5678), true)),
            ("cam.local 1259  udp", (peer("cam.local", 1259), true)),
            ("cam:5678 tcp", (peer("cam", 5678), false)),
        ] {
            assert_eq!(parse_connect(text), Ok(expected), "{text}");
        }
        for text in ["", "cam", "5678", "cam 0", "cam 5678 sctp", "cam udp", "5678 udp"] {
            assert!(parse_connect(text).is_err(), "{text}");
        }
        assert_eq!(parse_device("/dev/ttyUSB0"), Ok(("/dev/ttyUSB0".into(), 9_600)));
        assert_eq!(parse_device("ttyS1 38400"), Ok(("/dev/ttyS1".into(), 38_400)));
        for text in ["", "ttyS1 fast", "ttyS1 9600 8N1"] {
            assert!(parse_device(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_maps_values_to_numbers_and_back() {
        let range = Range::parse("-0x990 2448").expect("a range");
        assert_eq!(range, Range { low: -2448, high: 2448 });
        for number in [-2448, -1, 0, 1, 17, 2448] {
            assert_eq!(range.number(range.value(number)), number);
        }
        assert_eq!(range.number(7.0), 2448);
        assert_eq!(range.value(-9_999), 0.0);
        let inverted = Range::parse("100 0").expect("a range");
        assert_eq!((inverted.number(0.25), inverted.value(75), inverted.least()), (75, 0.25, 0));
        for text in ["", "1", "1 1", "1 2 3", "a b", "-+1 2", "--1 2"] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
        assert!(Range::check_head("0 40000").is_err() && Range::check_speed("1 200").is_err());
    }
}
