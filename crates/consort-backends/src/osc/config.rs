//! The options of an instance.

use std::rc::Rc;

use consort_osc::Pattern;
use consort_router::options::parse_integer;
use consort_router::{Options, Problems};

use crate::net::HostPort;

/// How many arguments a pattern option describes at most.
const PARAMETER_LIMIT: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    None,
    Fixed(HostPort),
    /// Whoever sent last, on another port if one is given.
    Learn(Option<u16>),
}

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
    /// What an argument is when no pattern option says so.
    pub(super) const FLOAT: Parameter = Parameter { kind: Kind::Float, low: 0.0, high: 1.0 };

    /// A number as a value, clipped; none for NaN.
    #[inline]
    pub(super) fn normalise(&self, number: f64) -> Option<f64> {
        normalise(number, self.low, self.high)
    }
}

/// Scales a number from a range to 0.0–1.0 and clips it; none for NaN.
#[inline]
pub(super) fn normalise(number: f64, low: f64, high: f64) -> Option<f64> {
    let value = (number - low) / (high - low);
    (!value.is_nan()).then(|| value.clamp(0.0, 1.0))
}

pub(super) struct PathPattern {
    pub(super) pattern: Pattern,
    pub(super) parameters: Rc<[Parameter]>,
}

pub(super) struct Config {
    pub(super) root: String,
    pub(super) bind: Option<HostPort>,
    pub(super) destination: Destination,
    pub(super) transport: Transport,
    pub(super) patterns: Vec<PathPattern>,
}

impl Config {
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
                .error(options.position("destination"), "`learn` needs something to learn from")
                .hint("add `bind = HOST PORT`");
        }
        if matches!(destination, Destination::Learn(Some(_))) && transport != Transport::Datagrams {
            problems
                .error(
                    options.position("destination"),
                    "over TCP, replies go back on the connection",
                )
                .hint("use `destination = learn` without a port");
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
        for (at, entry) in options.family("/") {
            match read_pattern(&entry.name, &entry.value) {
                Ok((pattern, extra)) => {
                    if let Some(message) = extra {
                        problems.warning(Some(at), message);
                    }
                    patterns.push(pattern);
                }
                Err(message) => {
                    problems.error(Some(at), message).hint(
                        "write TYPES LOW HIGH for each argument, such as `/1/xy = ff 0 1 0 1`",
                    );
                }
            }
        }
        let root = options.text("root").unwrap_or_default().to_owned();
        problems.is_ok().then_some(Config { root, bind, destination, transport, patterns })
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.transport != Transport::Datagrams
    }
}

/// Reads a pattern option; also says which of its words count for nothing, as in MIDIMonster.
fn read_pattern(name: &str, value: &str) -> Result<(PathPattern, Option<String>), String> {
    let pattern =
        Pattern::new(name).map_err(|error| format!("`{name}` is no OSC pattern: {error}"))?;
    let mut words = value.split_ascii_whitespace();
    let types = words.next().ok_or("the types of the arguments are missing")?;
    if types.len() > PARAMETER_LIMIT {
        return Err(format!("more than {PARAMETER_LIMIT} arguments"));
    }
    let mut parameters = Vec::with_capacity(types.len());
    for (nth, letter) in types.chars().enumerate() {
        let kind = match letter {
            'i' => Kind::Int,
            'f' => Kind::Float,
            'h' => Kind::Long,
            'd' => Kind::Double,
            other => {
                return Err(format!("`{other}` is no type of a number: expected i, f, h or d"));
            }
        };
        let mut end = |which: &str| {
            let word = words.next().ok_or_else(|| {
                format!("the {which} end of the range of argument {nth} (`{letter}`) is missing")
            })?;
            let number = || word.parse().ok().filter(|it: &f64| it.is_finite());
            let number = match kind {
                // Also `127.0`, which MIDIMonster takes.
                Kind::Int | Kind::Long => parse_integer(word)
                    .map(|number| number as f64)
                    .or_else(|| number().filter(|it| it.fract() == 0.0)),
                Kind::Float | Kind::Double => number(),
            };
            number.ok_or_else(|| format!("`{word}` is no number of type `{letter}`"))
        };
        let (low, high) = (end("lower")?, end("upper")?);
        if !(high - low).is_finite() {
            return Err(format!("the range of argument {nth} is too wide: {low} to {high}"));
        }
        if low == high {
            return Err(format!("the range of argument {nth} is empty: {low} to {high}"));
        }
        let fits = |number: f64| f64::from(i32::MIN) <= number && number <= f64::from(i32::MAX);
        if kind == Kind::Int && !(fits(low) && fits(high)) {
            return Err(format!("the range of argument {nth} does not fit 32 bits: use type `h`"));
        }
        parameters.push(Parameter { kind, low, high });
    }
    let ranges = match types.len() {
        1 => "one range needs".to_owned(),
        count => format!("{count} ranges need"),
    };
    let extra = words.next().map(|word| format!("`{word}` is more than {ranges} and is ignored"));
    Ok((PathPattern { pattern, parameters: parameters.into() }, extra))
}

fn parse_destination(text: &str) -> Result<Destination, String> {
    match text.strip_prefix("learn") {
        Some("") => Ok(Destination::Learn(None)),
        Some(rest) if rest.starts_with('@') => match rest[1..].parse::<u16>() {
            Ok(port) if port > 0 => Ok(Destination::Learn(Some(port))),
            _ => Err(format!("`{}` is no port: expected 1 to 65535", &rest[1..])),
        },
        _ => match HostPort::parse(text)? {
            HostPort { port: 0, .. } => Err("port 0 cannot be sent to".into()),
            target => Ok(Destination::Fixed(target)),
        },
    }
}

pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text).map(drop).map_err(|error| format!("{error}; or `learn`, `learn@PORT`"))
}

pub(super) fn check_address(text: &str) -> Result<(), String> {
    consort_osc::validate_address(text)
        .map_err(|error| format!("expected an OSC address such as `/desk`: {error}"))
}
