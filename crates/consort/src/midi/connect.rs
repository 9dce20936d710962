//! `consort midi connect` and `consort midi disconnect`.

use std::io::Write;

use anyhow::bail;
use consort_seq::{SubscribeOptions, SubscriptionQueryType};

use super::EngineArguments;
use super::find::{Use, all_ports, find, full_name};

/// Arguments of `consort midi connect` and `consort midi disconnect`.
#[derive(clap::Args, Debug)]
pub(crate) struct ConnectArguments {
    /// The port that events come from: address, name, or the beginning of a name
    source: String,
    /// The port that they go to
    target: String,
    #[command(flatten)]
    engine: EngineArguments,
}

pub(super) fn connect(arguments: &ConnectArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = super::open("consort connect", &arguments.engine.engine()?)?;
    let source = find(&client, &arguments.source, Use::Source)?;
    let target = find(&client, &arguments.target, Use::Target)?;
    let (from, to) = (source.address(), target.address());
    if client.get_subscription(from, to)?.is_some() {
        writeln!(out, "{} and {} are connected already", full_name(&source), full_name(&target))?;
        return Ok(());
    }
    client.subscribe_port(from, to, SubscribeOptions::new())?;
    writeln!(out, "{} -> {}", full_name(&source), full_name(&target))?;
    Ok(())
}

pub(super) fn disconnect(arguments: &ConnectArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = super::open("consort connect", &arguments.engine.engine()?)?;
    let source = find(&client, &arguments.source, Use::Source)?;
    let target = find(&client, &arguments.target, Use::Target)?;
    let (from, to) = (source.address(), target.address());
    if client.get_subscription(from, to)?.is_none() {
        let others = client.list_port_subscribers(from, Some(SubscriptionQueryType::Read))?;
        let ports = all_ports(&client)?;
        let names: Vec<String> = others
            .iter()
            .filter_map(|other| ports.iter().find(|port| port.address() == other.addr))
            .map(full_name)
            .collect();
        let is_what = if names.is_empty() {
            "it is connected to nothing".to_owned()
        } else {
            format!("it is connected to {}", names.join(", "))
        };
        bail!("{} is not connected to {}; {is_what}", full_name(&source), full_name(&target));
    }
    client.unsubscribe_port(from, to)?;
    writeln!(out, "{} no longer -> {}", full_name(&source), full_name(&target))?;
    Ok(())
}
