//! `consort midi ports`.

use std::io::Write;

use consort_seq::{Address, ClientBase, PortInfo, PortType, SubscriptionQueryType};
use serde::Serialize;

use super::EngineArguments;
use super::find::{Use, all_ports};
use crate::table;

/// Arguments of `consort midi ports`.
#[derive(clap::Args, Debug)]
pub(crate) struct PortsArguments {
    /// Print JSON: a list of ports
    #[arg(long)]
    json: bool,
    /// Include the system's ports and those that cannot be connected
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    engine: EngineArguments,
}

/// A port as it is printed.
#[derive(Serialize)]
struct Entry {
    address: String,
    client_id: u8,
    port_id: u8,
    client: String,
    port: String,
    /// Whether it can be the source of a connection.
    source: bool,
    /// Whether it can be the target of a connection.
    target: bool,
    types: Vec<&'static str>,
    connected_to: Vec<String>,
    connected_from: Vec<String>,
}

pub(super) fn run(arguments: &PortsArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = super::open("consort ports", &arguments.engine.engine()?)?;
    let mut ports = all_ports(&client)?;
    if !arguments.all {
        let is_usable = |port: &PortInfo| Use::Source.fits(port) || Use::Target.fits(port);
        ports.retain(|port| port.client_id != 0 && is_usable(port));
    }
    let entries: Vec<Entry> = ports.iter().map(|port| entry(&client, port)).collect();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?;
    } else if entries.is_empty() {
        writeln!(out, "no ports")?;
    } else {
        out.write_all(table(&entries).as_bytes())?;
    }
    Ok(())
}

/// The addresses of the ports that a port is connected to, or from.
fn connections(client: &ClientBase, port: &PortInfo, kind: SubscriptionQueryType) -> Vec<String> {
    // A port that has just disappeared has no connections.
    let found = client.list_port_subscribers(port.address(), Some(kind)).unwrap_or_default();
    let mut addresses: Vec<Address> = found.iter().map(|query| query.addr).collect();
    addresses.sort_unstable();
    addresses.iter().map(Address::to_string).collect()
}

/// A port with its connections.
fn entry(client: &ClientBase, port: &PortInfo) -> Entry {
    Entry {
        address: port.address().to_string(),
        client_id: port.client_id,
        port_id: port.port_id,
        client: port.client_name.as_deref().unwrap_or_default().to_owned(),
        port: port.name.clone(),
        source: Use::Source.fits(port),
        target: Use::Target.fits(port),
        types: types(port.port_type),
        connected_to: connections(client, port, SubscriptionQueryType::Read),
        connected_from: connections(client, port, SubscriptionQueryType::Write),
    }
}

/// The names of the type bits.
fn types(port_type: PortType) -> Vec<&'static str> {
    let names = [
        (PortType::HARDWARE, "hardware"),
        (PortType::SOFTWARE, "software"),
        (PortType::SYNTHESIZER, "synthesizer"),
        (PortType::APPLICATION, "application"),
        (PortType::MIDI_GM, "GM"),
        (PortType::MIDI_GM2, "GM2"),
        (PortType::MIDI_GS, "GS"),
        (PortType::MIDI_XG, "XG"),
        (PortType::MIDI_UMP, "MIDI 2.0"),
    ];
    names.iter().filter(|(bits, _)| port_type.contains(*bits)).map(|(_, name)| *name).collect()
}

/// All ports as a table.
fn table(entries: &[Entry]) -> String {
    let mut rows =
        vec![["ADDRESS", "CLIENT", "PORT", "USE", "KIND", "CONNECTIONS"].map(str::to_owned)];
    for entry in entries {
        let usage = match (entry.source, entry.target) {
            (true, true) => "both",
            (true, false) => "source",
            (false, true) => "target",
            (false, false) => "-",
        };
        let mut connections = Vec::new();
        if !entry.connected_to.is_empty() {
            connections.push(format!("to {}", entry.connected_to.join(" ")));
        }
        if !entry.connected_from.is_empty() {
            connections.push(format!("from {}", entry.connected_from.join(" ")));
        }
        rows.push([
            entry.address.clone(),
            plain(&entry.client),
            plain(&entry.port),
            usage.to_owned(),
            entry.types.join(" "),
            connections.join(", "),
        ]);
    }
    table::render(&rows)
}

/// A name without control characters: other programs choose it, and it goes to a terminal.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).collect()
}
