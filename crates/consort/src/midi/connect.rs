//! `consort midi connect` and `consort midi disconnect`.

use std::io::Write;

use anyhow::bail;
use consort_seq::{SubscribeOptions, SubscriptionQueryType};

use super::EngineArguments;
use super::find::{Use, all_ports, find, full_name};

/// Arguments of `consort midi connect` and `consort midi disconnect`.
#[derive(clap::Args, Debug)]
pub(crate) struct ConnectArguments {
    /// Port that sends: address, name, or part of a name
    source: String,
    /// Port that receives: address, name, or part of a name
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
        writeln!(out, "{} is already connected to {}", full_name(&source), full_name(&target))?;
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
        let subscribers = client.list_port_subscribers(from, Some(SubscriptionQueryType::Read))?;
        let ports = all_ports(&client)?;
        let names: Vec<String> = subscribers
            .iter()
            .filter_map(|query| ports.iter().find(|port| port.address() == query.addr))
            .map(full_name)
            .collect();
        let others = if names.is_empty() {
            "it has no connections".to_owned()
        } else {
            format!("it is connected to {}", names.join(", "))
        };
        bail!("{} is not connected to {}; {others}", full_name(&source), full_name(&target));
    }
    client.unsubscribe_port(from, to)?;
    writeln!(out, "disconnected {} from {}", full_name(&source), full_name(&target))?;
    Ok(())
}
