//! The options of an instance.

use std::net::IpAddr;

use consort_router::{InstanceConfig, OptionSpec, Options, Problems};

use super::session::{Join, MAX_PEERS};
use crate::detect::DETECT;
use crate::mdns::{MDNS_INTERFACE, MDNS_NAME};
use crate::midi_grammar::output::OutputOptions;
use crate::net::{Allow, HostPort};

/// The options of one `[rtpmidi NAME]` section.
pub(super) struct Config {
    pub(super) name: String,
    pub(super) is_direct: bool,
    /// The data port; 0 is any.
    pub(super) bind: HostPort,
    /// The identifier of the stream; 0 is a random one.
    pub(super) ssrc: u32,
    pub(super) peers: Vec<HostPort>,
    pub(super) join: Join,
    /// The names of sessions to invite; `*` is all.
    pub(super) invitations: Vec<String>,
    pub(super) learns: bool,
    pub(super) allow: Allow,
    pub(super) output: OutputOptions,
}

/// Parses `HOST` or `HOST PORT`, or any form of [`HostPort`].
fn parse_bind(text: &str) -> Result<HostPort, String> {
    let text = text.trim();
    let is_host_alone = text.parse::<IpAddr>().is_ok()
        || (!text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'*'));
    if is_host_alone { HostPort::parse(&format!("{text} 0")) } else { HostPort::parse(text) }
}

/// Validates the option `bind`.
pub(super) fn check_bind(text: &str) -> Result<(), String> {
    parse_bind(text).map(drop)
}

/// Validates a name of a session.
pub(super) fn check_session(text: &str) -> Result<(), String> {
    match text.len() {
        1..=63 => Ok(()),
        _ => Err("expected the name of a session (1 to 63 bytes), or `*` for all".into()),
    }
}

impl Config {
    /// Reads the options, which their tables have validated. `None` after an error.
    pub(super) fn read(instance: &InstanceConfig, problems: &mut Problems) -> Option<Config> {
        let options = &instance.options;
        let is_direct = is_choice(options, "mode", "direct");
        let mut is_valid = true;
        let others: &[&str] = if is_direct { &["join", "invite"] } else { &["learn"] };
        for other in others {
            let Some(position) = options.position(other) else { continue };
            let mode = if is_direct { "apple" } else { "direct" };
            let message = format!("`{other}` has no effect: it needs `mode = {mode}`");
            problems.warning(Some(position), message);
        }
        let bind = parse_bind(options.text("bind").unwrap_or("::")).ok()?;
        if !is_direct && bind.port == 1 {
            let message = "the data port is 1, so that there is no control port below it";
            problems.error(options.position("bind"), message).hint("use a higher port");
            is_valid = false;
        }
        let mut peers = Vec::new();
        for (position, entry) in options.all("peer") {
            let peer = HostPort::parse(&entry.value).ok()?;
            if peers.contains(&peer) {
                problems.warning(Some(position), format!("`{peer}` is a peer already"));
                continue;
            }
            if peers.len() == MAX_PEERS {
                problems.error(Some(position), format!("expected at most {MAX_PEERS} peers"));
                is_valid = false;
                break;
            }
            peers.push(peer);
        }
        let join = match options.text("join") {
            None => Join::Nobody,
            Some("*") => Join::Everyone,
            Some(name) => Join::Named(name.to_owned()),
        };
        let invitations: Vec<String> =
            options.all("invite").map(|(_, entry)| entry.value.clone()).collect();
        let is_local = bind.literal().is_some_and(|address| address.ip().is_loopback());
        if let (true, Some(position)) = (is_local, options.position("invite")) {
            let message = "`invite` has no effect: no other computer reaches this address";
            problems.warning(Some(position), message).hint("change `bind`, or use `peer`");
        }
        is_valid.then(|| Config {
            name: instance.name.clone(),
            is_direct,
            bind,
            ssrc: options.integer("ssrc").unwrap_or(0) as u32,
            peers,
            join,
            invitations,
            learns: options.flag("learn"),
            allow: Allow::read(options),
            output: OutputOptions::read(options),
        })
    }

    /// The ports that the instance binds, if they are given.
    pub(super) fn ports(&self) -> Vec<HostPort> {
        let data = self.bind.clone();
        let control = HostPort { port: data.port.saturating_sub(1), ..data.clone() };
        if self.is_direct { vec![data] } else { vec![data, control] }
    }
}

/// Whether the value of an option is this word.
fn is_choice(options: &Options, name: &str, word: &str) -> bool {
    options.text(name).is_some_and(|text| text.eq_ignore_ascii_case(word))
}

/// The options of `[backend rtpmidi]`.
pub(super) const BACKEND_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        documentation: "Log every incoming value, mapped or not, with its channel as it is written \
in `[map]`.",
        ..DETECT
    },
    OptionSpec {
        documentation: "The name of this computer on the local network (without `.local`): announces \
the sessions.",
        ..MDNS_NAME
    },
    OptionSpec {
        documentation: "The network interface on which sessions are announced and found. The default \
is all of them.",
        ..MDNS_INTERFACE
    },
];
