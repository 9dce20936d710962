//! `consort discover`: what is on the local network, as a table, JSON, or configuration.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use consort_backends::discovery::{Discovered, Found, Protocol, Search, discover};
use serde::Serialize;

use crate::table;
use crate::text::{is_unsafe, printable};

/// The time between two announcements of a source of sACN (E1.31, 4.3).
const SACN_INTERVAL: u64 = 10;

/// Arguments of `consort discover`.
#[derive(Args, Debug)]
pub(crate) struct DiscoverArgs {
    /// Listen for this long; sources of sACN announce themselves every 10 seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Use only this network interface [default: all but the loopback interface]
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = DiscoverFormat::Text)]
    format: DiscoverFormat,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DiscoverFormat {
    /// A table
    Text,
    /// One JSON document
    Json,
    /// Sections for a configuration file
    Config,
}

/// The output as JSON.
#[derive(Serialize)]
struct Document<'d> {
    found: Vec<Entry<'d>>,
    notes: &'d [String],
}

/// One service, node or source as JSON.
#[derive(Serialize)]
struct Entry<'d> {
    protocol: &'static str,
    name: &'d str,
    addresses: Vec<String>,
    universes: &'d BTreeSet<u16>,
}

/// Searches, and prints what was found.
pub(crate) fn run(arguments: &DiscoverArgs) -> anyhow::Result<ExitCode> {
    let search = Search {
        interface: arguments.interface.clone(),
        duration: Duration::from_secs(arguments.seconds),
    };
    let discovered = discover(&search).map_err(|message| anyhow!(message))?;
    let mut text = match arguments.format {
        DiscoverFormat::Text => table(&discovered.found),
        DiscoverFormat::Config => configuration(&discovered.found),
        DiscoverFormat::Json => {
            let found = discovered.found.iter().map(entry).collect();
            serde_json::to_string_pretty(&Document { found, notes: &discovered.notes })?
        }
    };
    if arguments.format == DiscoverFormat::Json {
        text.push('\n');
    } else {
        notes(&discovered, arguments.seconds)?;
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what was not searched for to standard error.
fn notes(discovered: &Discovered, seconds: u64) -> io::Result<()> {
    let mut out = io::stderr().lock();
    for note in &discovered.notes {
        writeln!(out, "note: {note}")?;
    }
    if seconds <= SACN_INTERVAL {
        writeln!(
            out,
            "note: sources of sACN announce themselves every {SACN_INTERVAL} seconds: \
             `--seconds {}` lists all of them",
            SACN_INTERVAL + 1
        )?;
    }
    Ok(())
}

fn entry(found: &Found) -> Entry<'_> {
    Entry {
        protocol: found.protocol.word(),
        name: &found.name,
        addresses: found.addresses.iter().map(address).collect(),
        universes: &found.universes,
    }
}

/// `HOST PORT`, or the host alone for a source that only sends.
fn address(address: &SocketAddr) -> String {
    match address.port() {
        0 => address.ip().to_string(),
        port => format!("{} {port}", address.ip()),
    }
}

/// Universes as ranges: `1-4, 7`.
fn ranges(universes: &BTreeSet<u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &universe in universes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == universe => *last = universe,
            _ => ranges.push((universe, universe)),
        }
    }
    let text = |(first, last): &(u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn table(found: &[Found]) -> String {
    if found.is_empty() {
        return "nothing found\n".into();
    }
    let mut rows = vec![["PROTOCOL", "NAME", "ADDRESS", "UNIVERSES"].map(str::to_owned)];
    rows.extend(found.iter().map(|found| {
        [
            found.protocol.word().to_owned(),
            printable(&found.name),
            found.addresses.first().map(address).unwrap_or_default(),
            ranges(&found.universes),
        ]
    }));
    table::render(&rows)
}

/// Sections to paste into a configuration file. The names of instances are unique.
fn configuration(found: &[Found]) -> String {
    let mut names = BTreeSet::new();
    let mut text = String::new();
    for found in found {
        let Some(first) = found.addresses.first() else { continue };
        // `mdns:` finds the service again when its address changes.
        let has_plain_name = !found.name.contains(is_unsafe)
            && found.name.trim() == found.name
            && !found.name.is_empty();
        let (section, options) = match found.protocol {
            Protocol::Osc if has_plain_name => {
                ("osc", vec![format!("destination = mdns:{}", found.name)])
            }
            Protocol::Osc => ("osc", vec![format!("destination = {}", address(first))]),
            Protocol::OscTcp => {
                let destination = format!("destination = {}", address(first));
                ("osc", vec!["transport = tcp".into(), destination])
            }
            Protocol::AppleMidi if has_plain_name => {
                ("rtpmidi", vec!["mode = apple".into(), format!("invite = {}", found.name)])
            }
            Protocol::AppleMidi => {
                ("rtpmidi", vec!["mode = apple".into(), format!("peer = {}", address(first))])
            }
            Protocol::ArtNet => {
                for universe in &found.universes {
                    let name = instance(&format!("{}-{universe}", found.name), &mut names);
                    let (net, universe) = (universe >> 8, universe & 0xFF);
                    let ip = first.ip();
                    let _ = write!(
                        text,
                        "[artnet {name}]\nnet = {net}\nuniverse = {universe}\ndestination = {ip}\n\n"
                    );
                }
                continue;
            }
            Protocol::Sacn => {
                for universe in &found.universes {
                    let name = instance(&format!("{}-{universe}", found.name), &mut names);
                    let _ = write!(text, "[sacn {name}]\nuniverse = {universe}\n\n");
                }
                continue;
            }
            _ => {
                let name = printable(&found.name);
                let _ = write!(text, "; OSCQuery: {name} at {}\n\n", address(first));
                continue;
            }
        };
        let name = instance(&found.name, &mut names);
        let _ = write!(text, "[{section} {name}]\n{}\n\n", options.join("\n"));
    }
    text
}

/// The name of an instance for a service: letters, digits, `-` and `_`, and unique.
fn instance(name: &str, names: &mut BTreeSet<String>) -> String {
    let mut base = String::new();
    for character in name.chars().take(40) {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => base.push(character),
            _ if base.is_empty() || base.ends_with('-') => {}
            _ => base.push('-'),
        }
    }
    let base = match base.trim_end_matches('-') {
        "" => "found",
        base => base,
    };
    let mut name = base.to_owned();
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(protocol: Protocol, name: &str, address: &str, universes: &[u16]) -> Found {
        Found {
            protocol,
            name: name.into(),
            addresses: vec![address.parse().expect("an address")],
            universes: universes.iter().copied().collect(),
        }
    }

    fn network() -> Vec<Found> {
        vec![
            found(Protocol::Osc, "QLab [main]", "10.0.0.2:53000", &[]),
            found(Protocol::Osc, "a\n[osc evil]", "10.0.0.3:9000", &[]),
            found(Protocol::OscTcp, "QLab (main)", "10.0.0.2:53001", &[]),
            found(Protocol::OscQuery, "Vezér", "10.0.0.4:1234", &[]),
            found(Protocol::AppleMidi, "Studio", "10.0.0.5:5004", &[]),
            found(Protocol::ArtNet, "Rack", "10.0.0.6:6454", &[0x101, 0x102, 0x10A]),
            found(Protocol::Sacn, "Desk", "10.0.0.7:0", &[1, 2, 3]),
        ]
    }

    #[test]
    fn the_table_has_a_line_for_each_and_no_control_characters() {
        let expected = "\
PROTOCOL  NAME              ADDRESS         UNIVERSES
osc       QLab [main]       10.0.0.2 53000
osc       a\\u{a}[osc evil]  10.0.0.3 9000
osc-tcp   QLab (main)       10.0.0.2 53001
oscquery  Vezér             10.0.0.4 1234
rtpmidi   Studio            10.0.0.5 5004
artnet    Rack              10.0.0.6 6454   257-258, 266
sacn      Desk              10.0.0.7        1-3
";
        assert_eq!(table(&network()), expected);
        assert_eq!(table(&[]), "nothing found\n");
    }

    #[test]
    fn the_configuration_is_valid_and_its_names_are_unique() {
        let text = configuration(&network());
        for part in [
            "[osc QLab-main]\ndestination = mdns:QLab [main]\n",
            "[osc a-osc-evil]\ndestination = 10.0.0.3 9000\n",
            "[osc QLab-main-2]\ntransport = tcp\ndestination = 10.0.0.2 53001\n",
            "; OSCQuery: Vezér at 10.0.0.4 1234\n",
            "[rtpmidi Studio]\nmode = apple\ninvite = Studio\n",
            "[artnet Rack-266]\nnet = 1\nuniverse = 10\ndestination = 10.0.0.6\n",
            "[sacn Desk-3]\nuniverse = 3\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("found.cfg");
        std::fs::write(&file, &text).expect("written");
        let loaded = consort_router::config::load(&file, &[], consort_backends::BACKENDS);
        let errors: Vec<String> = loaded
            .diagnostics
            .iter()
            .filter(|one| one.severity == consort_router::config::Severity::Error)
            .map(|one| one.message.clone())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{text}");
    }
}
