//! The options of an instance.

use std::sync::atomic::AtomicBool;

use consort_router::{Options, Problems, Resolution};

use super::patterns::PathPattern;
use crate::net::{Allow, HostPort};

/// Where an instance sends to: the option `destination`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    None,
    Fixed(HostPort),
    /// The service with this name, which is searched for on the local network.
    Service(String),
    /// The peer that sent last; on this port, if there is one, instead of the peer's own.
    Learn(Option<u16>),
}

/// Which peer `destination = learn` follows: the option `learn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LearnedPeer {
    /// The one that sent last.
    #[default]
    Last,
    /// The one that sent first, as long as the instance runs or the connection lasts.
    First,
}

impl LearnedPeer {
    /// The choices of the option.
    pub(super) const WORDS: &'static [&'static str] = &["last", "first"];

    fn read(text: Option<&str>) -> Self {
        match text {
            Some(word) if word.eq_ignore_ascii_case("first") => LearnedPeer::First,
            _ => LearnedPeer::Last,
        }
    }
}

/// How packets are carried: the options `transport` and `framing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagrams,
    LengthPrefixed,
    Slip,
}

/// The type of an argument that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float,
    Long,
    Double,
}

/// An argument: its type and its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parameter {
    pub(super) kind: Kind,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Parameter {
    /// The type and range of an argument that no pattern option describes.
    pub(super) const FLOAT: Parameter = Parameter { kind: Kind::Float, low: 0.0, high: 1.0 };

    /// How many values the range has: as many as there are whole numbers in it, else any number.
    pub(super) fn resolution(&self) -> Resolution {
        let count = (self.high - self.low).abs() + 1.0;
        match self.kind {
            Kind::Int | Kind::Long if count <= f64::from(u32::MAX) => {
                Resolution::steps(count as u32)
            }
            _ => Resolution::CONTINUOUS,
        }
    }

    /// Scales a number from the range to 0.0–1.0 and clips it. `None` for NaN.
    #[inline]
    pub(super) fn normalise(&self, number: f64) -> Option<f64> {
        normalise(number, self.low, self.high)
    }
}

/// Scales a number from a range to 0.0–1.0 and clips it. `None` for NaN.
#[inline]
pub(super) fn normalise(number: f64, low: f64, high: f64) -> Option<f64> {
    let value = (number - low) / (high - low);
    (!value.is_nan()).then(|| value.clamp(0.0, 1.0))
}

/// The validated options of an instance.
pub(super) struct Config {
    pub(super) root: String,
    pub(super) bind: Option<HostPort>,
    pub(super) destination: Destination,
    pub(super) transport: Transport,
    pub(super) patterns: Vec<PathPattern>,
    /// Who may send to the instance.
    pub(super) allow: Allow,
    /// Which peer `destination = learn` follows.
    pub(super) learned_peer: LearnedPeer,
    /// Where the namespace is served.
    #[cfg(feature = "oscquery")]
    pub(super) query: Option<std::net::SocketAddr>,
}

/// State that an instance with a bound address shares with the backend. The backend decides about
/// ports that several instances bind when all mappings are known.
#[derive(Default)]
pub(super) struct SharedBind {
    /// Whether the instance uses the packets that arrive at its port.
    pub(super) receives: AtomicBool,
    /// Whether another instance got the port, so that this one sends from an ephemeral port.
    pub(super) yielded: AtomicBool,
}

impl Config {
    /// Reads the options. `None` if one of them has an error, which is then in `problems`.
    pub(super) fn read(options: &Options, problems: &mut Problems) -> Option<Config> {
        let bind = options.text("bind").and_then(|text| HostPort::parse(text).ok());
        let destination = match options.text("destination") {
            None => Destination::None,
            Some(text) => match parse_destination(text) {
                Ok(destination) => destination,
                Err(message) => {
                    problems.error(options.position("destination"), message);
                    return None;
                }
            },
        };
        let transport = match (options.text("transport"), options.text("framing")) {
            (Some(word), Some(framing)) if word.eq_ignore_ascii_case("tcp") => {
                if framing.eq_ignore_ascii_case("slip") {
                    Transport::Slip
                } else {
                    Transport::LengthPrefixed
                }
            }
            _ => Transport::Datagrams,
        };
        if matches!(destination, Destination::Learn(_)) && bind.is_none() {
            problems
                .error(
                    options.position("destination"),
                    "`destination = learn` needs `bind`: it replies to what arrives there",
                )
                .hint("add `bind = HOST PORT`");
        }
        if matches!(destination, Destination::Learn(Some(_))) && transport != Transport::Datagrams {
            problems
                .error(
                    options.position("destination"),
                    "`learn@PORT` needs UDP: over TCP, replies use the same connection",
                )
                .hint("use `destination = learn` without a port");
        }
        if matches!(destination, Destination::Service(_)) && transport != Transport::Datagrams {
            problems
                .error(
                    options.position("destination"),
                    "`mdns:NAME` needs UDP: services are searched for as `_osc._udp`",
                )
                .hint("remove `transport = tcp`, or write the host and the port");
        }
        let is_learning = matches!(destination, Destination::Learn(_));
        if let (Some(position), false) = (options.position("learn"), is_learning) {
            problems
                .warning(Some(position), "`learn` has no effect without `destination = learn`")
                .hint("add `destination = learn`, or remove `learn`");
        }
        if bind.is_none() && destination == Destination::None {
            problems
                .warning(None, "this instance neither receives nor sends")
                .hint("add `bind = HOST PORT` to receive, `destination = HOST PORT` to send");
        }
        let mismatch = match (&bind, &destination) {
            (Some(bind), Destination::Fixed(to)) => match (bind.literal(), to.literal()) {
                (Some(from), Some(to)) => from.is_ipv4() && to.is_ipv6(),
                _ => false,
            },
            _ => false,
        };
        if mismatch && transport == Transport::Datagrams {
            problems
                .error(
                    options.position("destination"),
                    "a socket bound to an IPv4 address cannot send to an IPv6 address",
                )
                .hint("bind to `::`, or use an IPv4 destination");
        }
        let mut patterns = Vec::new();
        for (position, entry) in options.family("/") {
            match PathPattern::read(&entry.name, &entry.value) {
                Ok((pattern, warning)) => {
                    if let Some(message) = warning {
                        problems.warning(Some(position), message);
                    }
                    patterns.push(pattern);
                }
                Err(message) => {
                    problems.error(Some(position), message).hint(
                        "write TYPES, then LOW HIGH for each number, such as `/1/xy = ff 0 1 0 1`, \
                         or a constant, such as `/cue/go = s \"main\"`",
                    );
                }
            }
        }
        #[cfg(feature = "oscquery")]
        let query = read_query(options, bind.as_ref(), transport, problems);
        // `/desk/` and `/desk` are the same: the addresses of channels begin with a slash.
        let root = options.text("root").unwrap_or_default().trim_end_matches('/').to_owned();
        problems.is_ok().then_some(Config {
            root,
            bind,
            destination,
            transport,
            patterns,
            allow: Allow::read(options),
            learned_peer: LearnedPeer::read(options.text("learn")),
            #[cfg(feature = "oscquery")]
            query,
        })
    }

    /// Whether packets are carried by streams rather than datagrams.
    pub(super) fn is_tcp(&self) -> bool {
        self.transport != Transport::Datagrams
    }
}

/// The longest name of a service, in bytes (RFC 6763, 4.1.1).
const MAX_SERVICE_NAME: usize = 63;

/// Reads the option `query`.
#[cfg(feature = "oscquery")]
fn read_query(
    options: &Options,
    bind: Option<&HostPort>,
    transport: Transport,
    problems: &mut Problems,
) -> Option<std::net::SocketAddr> {
    use super::query::Query;

    let position = options.position("query");
    match options.text("query").and_then(|text| Query::parse(text).ok()).unwrap_or_default() {
        Query::Off => None,
        Query::At(address) => Some(address),
        Query::On if transport != Transport::Datagrams => {
            problems
                .error(position, "`query = on` needs UDP: over TCP, the port of `bind` is in use")
                .hint("write an address with another port, such as `query = 0.0.0.0 8001`");
            None
        }
        Query::On => {
            let address = bind.and_then(HostPort::literal);
            if address.is_none() {
                problems
                    .error(position, "`query = on` needs `bind` with an address of this computer")
                    .hint("add `bind = HOST PORT`, or write `query = HOST PORT`");
            }
            address
        }
    }
}

fn parse_destination(text: &str) -> Result<Destination, String> {
    // A host may be named `mdns`, and then a port follows.
    if let Some(name) = text.strip_prefix("mdns:").map(str::trim)
        && name.parse::<u16>().is_err()
    {
        return match name.len() {
            1..=MAX_SERVICE_NAME => Ok(Destination::Service(name.to_owned())),
            0 => Err("expected the name of a service after `mdns:`".into()),
            _ => Err(format!("the name of a service has at most {MAX_SERVICE_NAME} bytes")),
        };
    }
    match text.strip_prefix("learn") {
        Some("") => Ok(Destination::Learn(None)),
        Some(rest) if rest.starts_with('@') => match rest[1..].parse::<u16>() {
            Ok(port) if port > 0 => Ok(Destination::Learn(Some(port))),
            _ => Err(format!("invalid port `{}`: expected a number from 1 to 65535", &rest[1..])),
        },
        _ => match HostPort::parse(text)? {
            HostPort { port: 0, .. } => Err("cannot send to port 0".into()),
            target => Ok(Destination::Fixed(target)),
        },
    }
}

/// Validates the option `destination`.
pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text)
        .map(drop)
        .map_err(|error| format!("{error}; or use `learn`, `learn@PORT` or `mdns:NAME`"))
}

/// Validates the option `root`.
pub(super) fn check_address(text: &str) -> Result<(), String> {
    super::paths::check_channel_address(text)
        .map_err(|error| format!("expected an OSC address such as `/mixer`: {error}"))
}
