//! The options of an instance.

use std::time::Duration;

use consort_router::{InstanceConfig, Options, Problems};

use super::channels::Order;
use super::codec::{Mode, PORT};
use crate::dmx::{parse_bind, parse_destination};
use crate::net::{Allow, HostPort};

/// The highest value of the option `refresh`, in milliseconds.
pub(super) const MAX_REFRESH_MILLIS: i64 = 60_000;

/// The highest value of the option `rate`, in messages per second.
pub(super) const MAX_RATE: i64 = 1_000;

/// The options that a reload applies while the instance runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Output values are raised to this power.
    pub(super) gamma: f64,
    /// After what time an unchanged strip is sent again.
    pub(super) refresh: Option<Duration>,
    /// The least time between two messages of a strip.
    pub(super) interval: Duration,
}

impl Settings {
    fn read(options: &Options) -> Self {
        let refresh = options.integer("refresh").unwrap_or(0);
        let rate = options.integer("rate").unwrap_or(0);
        Settings {
            gamma: options.number("gamma").unwrap_or(1.0),
            refresh: (refresh > 0).then(|| Duration::from_millis(refresh as u64)),
            interval: match rate {
                0 => Duration::ZERO,
                rate => Duration::from_secs(1) / rate as u32,
            },
        }
    }
}

/// The options of an instance.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) destination: Option<HostPort>,
    pub(super) listen: Option<HostPort>,
    pub(super) allow: Allow,
    pub(super) mode: Mode,
    pub(super) order: Order,
    pub(super) settings: Settings,
}

fn parse_listen(text: &str) -> Result<HostPort, String> {
    let bind = parse_bind(text, PORT)?;
    match bind.flags.is_empty() {
        true => Ok(bind.address),
        false => Err("expected an address and a port, such as `0.0.0.0 7890`".into()),
    }
}

/// Validates `listen`, for the option table.
pub(super) fn check_listen(text: &str) -> Result<(), String> {
    parse_listen(text).map(drop)
}

/// Validates `destination`, for the option table.
pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text, PORT).map(drop)
}

impl Config {
    /// Reads the options, which the table has validated. `None` after an error was reported.
    pub(super) fn read(instance: &InstanceConfig, problems: &mut Problems) -> Option<Self> {
        let options = &instance.options;
        let destination =
            options.text("destination").and_then(|text| parse_destination(text, PORT).ok());
        let listen = options.text("listen").and_then(|text| parse_listen(text).ok());
        if destination.is_none() && listen.is_none() {
            problems
                .error(None, "the instance neither sends nor receives")
                .hint("add `destination = HOST PORT` to send, or `listen = HOST PORT` to receive");
            return None;
        }
        Some(Config {
            destination,
            listen,
            allow: Allow::read(options),
            mode: Mode::read(options.text("mode")),
            order: Order::parse(options.text("order").unwrap_or("rgb")).ok()?,
            settings: Settings::read(options),
        })
    }
}
