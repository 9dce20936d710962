//! `consort set` and `consort get`: one channel of a running show.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use consort_control::{Content, Direction, Layout};
use consort_suggest::did_you_mean;

use crate::errors::with_hint;
use crate::monitor::{self, Source as _};

/// Arguments of `consort set`.
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// Channel as in a mapping: INSTANCE.CHANNEL
    #[arg(required_unless_present = "layer")]
    channel: Option<String>,
    /// Value from 0 to 1
    #[arg(
        required_unless_present_any = ["text", "layer"],
        conflicts_with = "text",
        allow_negative_numbers = true
    )]
    value: Option<f64>,
    /// Text to send instead of a value, at most 1,024 bytes
    #[arg(long)]
    text: Option<String>,
    /// Switch to a layer of mappings instead of setting a channel
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channel", "value", "text", "side"])]
    layer: Option<String>,
    /// Switch the layer off; only for layers without a group
    #[arg(long, requires = "layer")]
    off: bool,
    /// Set a channel that is both source and target as one of them
    #[arg(long = "as", value_enum, value_name = "SIDE")]
    side: Option<Side>,
    /// Process ID of the show; needed if several are running
    #[arg(long)]
    process: Option<u32>,
}

/// How to set a channel that is both source and target.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    /// Emit the value as if it had arrived: it goes to the channel's targets
    Source,
    /// Deliver the value to the channel
    Target,
}

/// Arguments of `consort get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Channel as in a mapping: INSTANCE.CHANNEL
    channel: String,
    /// Print the last text instead of the last value
    #[arg(long)]
    text: bool,
    /// Process ID of the show; needed if several are running
    #[arg(long)]
    process: Option<u32>,
}

/// Runs `consort set`.
pub(crate) fn set(arguments: &SetArgs) -> anyhow::Result<ExitCode> {
    if let Some(layer) = &arguments.layer {
        return switch_layer(layer, !arguments.off, arguments.process);
    }
    let written = arguments.channel.as_deref().unwrap_or_default();
    let content = match (&arguments.text, arguments.value) {
        (Some(text), _) => Content::Text(text.clone()),
        (None, Some(value)) if (0.0..=1.0).contains(&value) => {
            // Without the sign of -0.
            Content::Value(value.abs())
        }
        (None, value) => {
            bail!("invalid value {}: expected a number from 0 to 1", value.unwrap_or(f64::NAN))
        }
    };
    let mut show = monitor::find(arguments.process)?;
    let layout = show.layout()?;
    let (instance, channel) = find(&layout, written)?;
    let info = &layout.instances[instance as usize].channels[channel as usize];
    let direction = match arguments.side {
        Some(Side::Source) => Some(Direction::Source),
        Some(Side::Target) => Some(Direction::Target),
        None if info.source && info.target => {
            let message = format!("`{written}` is both source and target of mappings");
            let hint = "add `--as source` to emit the value, or `--as target` to deliver it";
            return Err(with_hint(message, hint));
        }
        None => None,
    };
    show.set(instance, channel, content, direction)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a layer the active one of its group, or switches one without a group on or off.
fn switch_layer(name: &str, is_on: bool, process: Option<u32>) -> anyhow::Result<ExitCode> {
    let mut show = monitor::find(process)?;
    let layout = show.layout()?;
    let names = layout.layers.iter().map(|layer| layer.name.as_str());
    let Some(layer) = layout.layers.iter().position(|layer| layer.name == name) else {
        let message = format!("unknown layer `{name}` in {}", layout.show);
        return Err(with_optional_hint(message, did_you_mean(name, names)));
    };
    if !is_on && layout.layers[layer].group.is_some() {
        let message = format!("the layer `{name}` belongs to a group");
        return Err(with_hint(message, "switch to another layer of the group"));
    }
    show.switch_layer(layer as u32, is_on)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `consort get`.
pub(crate) fn get(arguments: &GetArgs) -> anyhow::Result<ExitCode> {
    let mut show = monitor::find(arguments.process)?;
    let layout = show.layout()?;
    let (instance, channel) = find(&layout, &arguments.channel)?;
    let (value, text) = show.get(instance, channel)?;
    let text = match (arguments.text, value, text) {
        (true, _, Some(text)) => text.escape_debug().to_string(),
        (false, Some(value), _) => value.to_string(),
        (true, ..) => bail!("`{}` has had no text yet", arguments.channel),
        (false, ..) => bail!("`{}` has had no value yet", arguments.channel),
    };
    monitor::print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The number of an instance.
pub(crate) fn find_instance(layout: &Layout, name: &str) -> anyhow::Result<u32> {
    let names = layout.instances.iter().map(|instance| instance.name.as_str());
    let Some(number) = layout.instances.iter().position(|instance| instance.name == name) else {
        let message = format!("unknown instance `{name}` in {}", layout.show);
        return Err(with_optional_hint(message, did_you_mean(name, names)));
    };
    Ok(number as u32)
}

/// The numbers of a channel that is written `INSTANCE.CHANNEL` or `INSTANCE."CHANNEL"`.
pub(crate) fn find(layout: &Layout, written: &str) -> anyhow::Result<(u32, u32)> {
    let Some((name, channel)) = written.split_once('.') else {
        bail!("invalid channel `{written}`: expected INSTANCE.CHANNEL");
    };
    let number = find_instance(layout, name)?;
    let unquoted = channel.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let channel = unquoted.unwrap_or(channel);
    let channels = &layout.instances[number as usize].channels;
    let Some(found) = channels.iter().position(|info| info.name == channel) else {
        let message = format!("no mapping uses `{written}`");
        let names = channels.iter().map(|info| info.name.as_str());
        return Err(with_optional_hint(message, did_you_mean(channel, names)));
    };
    Ok((number, found as u32))
}

fn with_optional_hint(message: String, hint: Option<String>) -> anyhow::Error {
    match hint {
        Some(hint) => with_hint(message, hint),
        None => anyhow::Error::msg(message),
    }
}
