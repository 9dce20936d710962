//! Which port a text means, and what to say if there is none.

use anyhow::bail;
use consort_seq::{ClientBase, ListPorts, PortCaps, PortInfo};

/// What a port is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Events are to come from it.
    Source,
    /// Events are to go to it.
    Target,
}

impl Use {
    pub(super) fn fits(self, port: &PortInfo) -> bool {
        let needed = match self {
            Self::Source => PortCaps::READ | PortCaps::SUBS_READ,
            Self::Target => PortCaps::WRITE | PortCaps::SUBS_WRITE,
        };
        port.capability.contains(needed)
    }
}

/// `client:port` in names.
pub(super) fn name(port: &PortInfo) -> String {
    format!("{}:{}", port.client_name.as_deref().unwrap_or_default(), port.name)
}

/// Address and names: `20:0 'nanoKONTROL2:MIDI 1'`.
pub(super) fn full_name(port: &PortInfo) -> String {
    format!("{} '{}'", port.address(), name(port))
}

/// The ports of others, the system's too.
pub(super) fn all_ports(client: &ClientBase) -> anyhow::Result<Vec<PortInfo>> {
    let mut ports = client.list_ports(&ListPorts::everything())?;
    ports.retain(|port| port.client_id != client.client_id());
    Ok(ports)
}

/// The port that `text` means: an address, a name, or its beginning.
pub(super) fn find(client: &ClientBase, text: &str, wanted: Use) -> anyhow::Result<PortInfo> {
    choose(&all_ports(client)?, text, wanted).cloned()
}

/// The texts that mean a port.
fn names(port: &PortInfo) -> [String; 5] {
    let client = port.client_name.clone().unwrap_or_default();
    let pair = name(port);
    let full = format!("{pair} {}", port.address());
    [full, pair, format!("{client}:{}", port.port_id), client, port.name.clone()]
}

/// The port of `ports` that `text` means: by address; else by a whole name; else by the
/// beginning of a name, in any case of letters, if that fits ports of one client only. Of several
/// the first that can be used.
fn choose<'a>(ports: &'a [PortInfo], text: &str, wanted: Use) -> anyhow::Result<&'a PortInfo> {
    let text = text.trim();
    if let Ok(address) = text.parse::<consort_seq::Address>() {
        return match ports.iter().find(|port| port.address() == address) {
            Some(port) if wanted.fits(port) => Ok(port),
            Some(port) => bail!(unfit(port, wanted)),
            None => bail!(missing(ports, text, wanted)),
        };
    }
    let is_whole = |name: &String| name == text;
    let lower = text.to_lowercase();
    let is_like = |name: &String| name.to_lowercase() == lower;
    let begins = |name: &String| !text.is_empty() && name.to_lowercase().starts_with(&lower);
    let fitting = |test: &dyn Fn(&String) -> bool| -> Vec<&'a PortInfo> {
        ports.iter().filter(|port| names(port).iter().any(test)).collect()
    };
    let forms: [&dyn Fn(&String) -> bool; 3] = [&is_whole, &is_like, &begins];
    let Some((form, found)) = forms
        .iter()
        .enumerate()
        .map(|(form, test)| (form, fitting(test)))
        .find(|(_, found)| !found.is_empty())
    else {
        bail!(missing(ports, text, wanted));
    };
    let usable: Vec<&PortInfo> = found.iter().copied().filter(|port| wanted.fits(port)).collect();
    let Some(first) = usable.first() else { bail!(unfit(found[0], wanted)) };
    let is_ambiguous = form == 2 && usable.iter().any(|port| port.client_id != first.client_id);
    if is_ambiguous {
        let list: Vec<String> = usable.iter().take(12).map(|port| full_name(port)).collect();
        bail!("`{text}` fits several ports: {}; give its address", list.join(", "));
    }
    Ok(first)
}

fn unfit(port: &PortInfo, wanted: Use) -> String {
    match wanted {
        Use::Source => {
            format!("nothing comes from the port {}: it can only be sent to", full_name(port))
        }
        Use::Target => {
            format!("nothing can be sent to the port {}: it is a source only", full_name(port))
        }
    }
}

/// Which ports there are for a use, in words.
pub(super) fn usable(ports: &[PortInfo], wanted: Use) -> String {
    let what = match wanted {
        Use::Source => "where events come from",
        Use::Target => "that can be sent to",
    };
    let fits = |port: &&PortInfo| wanted.fits(port) && port.client_id != 0;
    let list: Vec<String> = ports.iter().filter(fits).map(full_name).collect();
    match list.len() {
        0 => format!("there are no ports {what}"),
        1..=12 => format!("those {what} are {}", list.join(", ")),
        _ => format!("those {what} are {}, …", list[..12].join(", ")),
    }
}

fn missing(ports: &[PortInfo], text: &str, wanted: Use) -> String {
    let fits = |port: &&PortInfo| wanted.fits(port) && port.client_id != 0;
    let candidates: Vec<&PortInfo> = ports.iter().filter(fits).collect();
    let hint = nearest(&candidates, text).map(|near| format!("; did you mean `{near}`?"));
    let list = usable(ports, wanted);
    format!("there is no port `{text}`; {list}{}", hint.unwrap_or_default())
}

/// The name that is most like `text`, if any is.
fn nearest(ports: &[&PortInfo], text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&name.to_lowercase(), &lower);
    ports
        .iter()
        .flat_map(|port| names(port).into_iter().skip(1))
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(client: u8, number: u8, client_name: &str, name: &str, caps: PortCaps) -> PortInfo {
        PortInfo {
            client_id: client,
            port_id: number,
            name: name.to_owned(),
            client_name: Some(client_name.to_owned()),
            capability: caps,
            ..PortInfo::default()
        }
    }

    #[test]
    fn names_addresses_beginnings_and_errors() {
        let from = PortCaps::READ | PortCaps::SUBS_READ;
        let to = PortCaps::WRITE | PortCaps::SUBS_WRITE;
        let ports = [
            port(0, 1, "System", "Announce", from),
            port(14, 0, "Midi Through", "Midi Through Port-0", from | to),
            port(20, 0, "nanoKONTROL2", "nanoKONTROL2 SLIDER", from),
            port(20, 1, "nanoKONTROL2", "nanoKONTROL2 CTRL", from | to),
            port(128, 0, "FLUID Synth (77)", "Synth input port", to),
        ];
        let address = |text: &str, wanted| {
            choose(&ports, text, wanted).map(|port| port.address().to_string())
        };
        for (text, source, target) in [
            ("14:0", "14:0", "14:0"),
            ("nanoKONTROL2", "20:0", "20:1"),
            ("nanokontrol2", "20:0", "20:1"),
            ("nano", "20:0", "20:1"),
            ("nanoKONTROL2:1", "20:1", "20:1"),
            ("Midi Through:Midi Through Port-0 14:0", "14:0", "14:0"),
        ] {
            assert_eq!(address(text, Use::Source).expect(text), source);
            assert_eq!(address(text, Use::Target).expect(text), target);
        }
        assert_eq!(address("fluid", Use::Target).expect("found"), "128:0");
        for (text, wanted, expected) in [
            ("fluid", Use::Source, "nothing comes from the port 128:0 'FLUID Synth (77):Synth"),
            ("20:0", Use::Target, "nothing can be sent to the port 20:0 'nanoKONTROL2:"),
            ("FLUIT", Use::Target, "there is no port `FLUIT`; those that can be sent to are 14:0"),
            ("FLUIT Synth", Use::Target, "did you mean `FLUID Synth (77)`?"),
            ("99:0", Use::Source, "there is no port `99:0`; those where events come from are 14:0"),
            ("", Use::Source, "there is no port ``"),
        ] {
            let error = address(text, wanted).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let twins = [port(20, 0, "Launchpad A", "one", to), port(24, 0, "Launchpad B", "one", to)];
        let error = choose(&twins, "launch", Use::Target).expect_err("two").to_string();
        assert!(error.contains("fits several ports: 20:0 'Launchpad A:one', 24:0"), "{error}");
        let error = choose(&[], "x", Use::Target).expect_err("none").to_string();
        assert!(error.contains("there are no ports that can be sent to"), "{error}");
    }
}
