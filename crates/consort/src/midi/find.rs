//! Finds the port that a text names, and lists ports if there is none.

use anyhow::bail;
use consort_seq::{ClientBase, ListPorts, PortCaps, PortInfo};
use consort_suggest::NameMatch;

use crate::errors::with_hint;

/// How many ports an error lists.
const MAX_LISTED_PORTS: usize = 12;

/// What a port is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It sends events.
    Source,
    /// It receives events.
    Target,
}

impl Use {
    /// Whether a port can be used for this.
    pub(super) fn fits(self, port: &PortInfo) -> bool {
        let needed = match self {
            Self::Source => PortCaps::READ | PortCaps::SUBS_READ,
            Self::Target => PortCaps::WRITE | PortCaps::SUBS_WRITE,
        };
        port.capability.contains(needed)
    }
}

/// The names of client and port: `nanoKONTROL2:MIDI 1`.
pub(super) fn name(port: &PortInfo) -> String {
    format!("{}:{}", port.client_name.as_deref().unwrap_or_default(), port.name)
}

/// Address and names: `20:0 'nanoKONTROL2:MIDI 1'`.
pub(super) fn full_name(port: &PortInfo) -> String {
    format!("{} '{}'", port.address(), name(port))
}

/// All ports except the client's own; the system's are included.
pub(super) fn all_ports(client: &ClientBase) -> anyhow::Result<Vec<PortInfo>> {
    let mut ports = client.list_ports(&ListPorts::everything())?;
    ports.retain(|port| port.client_id != client.client_id());
    Ok(ports)
}

/// The port that `text` names, by its address, a name, or a part of a name.
pub(super) fn find(client: &ClientBase, text: &str, wanted: Use) -> anyhow::Result<PortInfo> {
    choose(&all_ports(client)?, text, wanted).cloned()
}

/// The port that `text` names; `None` if there is none yet, with the error that says so.
///
/// # Errors
/// Several ports match, or the port cannot be used.
pub(super) fn find_or_wait(
    client: &ClientBase,
    text: &str,
    wanted: Use,
) -> anyhow::Result<Result<PortInfo, anyhow::Error>> {
    let ports = all_ports(client)?;
    match ports.iter().any(|port| is_named(port, text)) {
        true => choose(&ports, text, wanted).cloned().map(Ok),
        false => Ok(Err(unknown(&ports, text, wanted))),
    }
}

/// Whether a text names a port: by its address, a name, or a part of a name.
pub(super) fn is_named(port: &PortInfo, text: &str) -> bool {
    let text = text.trim();
    if let Ok(address) = text.parse::<consort_seq::Address>() {
        return port.address() == address;
    }
    names(port).iter().any(|name| NameMatch::of(name, text).is_some())
}

/// The names by which a port can be given.
fn names(port: &PortInfo) -> [String; 5] {
    let client = port.client_name.as_deref().unwrap_or_default().to_owned();
    let pair = name(port);
    let full = format!("{pair} {}", port.address());
    [full, pair, format!("{client}:{}", port.port_id), client, port.name.clone()]
}

/// Chooses the port that `text` names: by its address; otherwise by a whole name; otherwise by a
/// whole name in any case; otherwise by the beginning of a name, or else another part, in any case,
/// if it matches ports of one client only. If several ports match, the first usable one is chosen.
fn choose<'a>(ports: &'a [PortInfo], text: &str, wanted: Use) -> anyhow::Result<&'a PortInfo> {
    let text = text.trim();
    if let Ok(address) = text.parse::<consort_seq::Address>() {
        return match ports.iter().find(|port| port.address() == address) {
            Some(port) if wanted.fits(port) => Ok(port),
            Some(port) => bail!(unusable(port, wanted)),
            None => Err(unknown(ports, text, wanted)),
        };
    }
    // Beginnings are equal whatever their case, and so are other parts.
    let form = |port: &PortInfo| {
        let best = names(port).iter().filter_map(|name| NameMatch::of(name, text)).min()?;
        Some(match best {
            NameMatch::BeginningInAnyCase => NameMatch::Beginning,
            NameMatch::PartInAnyCase => NameMatch::Part,
            other => other,
        })
    };
    let named: Vec<_> = ports.iter().filter_map(|port| Some((form(port)?, port))).collect();
    let Some(best) = named.iter().map(|(form, _)| *form).min() else {
        return Err(unknown(ports, text, wanted));
    };
    let found: Vec<&PortInfo> =
        named.into_iter().filter(|(form, _)| *form == best).map(|(_, port)| port).collect();
    let usable: Vec<&PortInfo> = found.iter().copied().filter(|port| wanted.fits(port)).collect();
    let Some(first) = usable.first() else { bail!(unusable(found[0], wanted)) };
    let is_part = matches!(best, NameMatch::Beginning | NameMatch::Part);
    let is_ambiguous = is_part && usable.iter().any(|port| port.client_id != first.client_id);
    if is_ambiguous {
        let names = usable.iter().take(MAX_LISTED_PORTS).map(|port| full_name(port));
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(with_hint(
            format!("`{text}` matches several ports: {names}"),
            "give the address of one of them",
        ));
    }
    Ok(first)
}

fn unusable(port: &PortInfo, wanted: Use) -> String {
    match wanted {
        Use::Source => format!("port {} only receives events", full_name(port)),
        Use::Target => format!("port {} only sends events", full_name(port)),
    }
}

/// The ports for a use, as a sentence.
pub(super) fn usable(ports: &[PortInfo], wanted: Use) -> String {
    let what = match wanted {
        Use::Source => "ports that send events",
        Use::Target => "ports that receive events",
    };
    let fits = |port: &&PortInfo| wanted.fits(port) && port.client_id != 0;
    let list: Vec<String> = ports.iter().filter(fits).map(full_name).collect();
    match list.len() {
        0 => format!("there are no {what}"),
        1..=MAX_LISTED_PORTS => format!("{what}: {}", list.join(", ")),
        _ => format!("{what}: {}, …", list[..MAX_LISTED_PORTS].join(", ")),
    }
}

/// The error for a text that names no port; the hint is a similar name, or a list.
fn unknown(ports: &[PortInfo], text: &str, wanted: Use) -> anyhow::Error {
    let fits = |port: &&PortInfo| wanted.fits(port) && port.client_id != 0;
    let candidates: Vec<&PortInfo> = ports.iter().filter(fits).collect();
    let list = usable(ports, wanted);
    let hint = match nearest(&candidates, text) {
        Some(name) => format!("did you mean `{name}`? ({list})"),
        None => list,
    };
    with_hint(format!("unknown port `{text}`"), hint)
}

/// The name most similar to `text`, if there is one.
fn nearest(ports: &[&PortInfo], text: &str) -> Option<String> {
    // Short names first: of equally similar ones, the first is chosen.
    let names = ports.iter().flat_map(|port| names(port).into_iter().skip(1).rev());
    let names: Vec<String> = names.collect();
    if let Some(name) = consort_suggest::nearest(text, names.iter().map(String::as_str)) {
        return Some(name.to_owned());
    }
    // A part of a name is enough; the beginning may be misspelt, too.
    let length = text.chars().count();
    let beginnings: Vec<String> =
        names.iter().map(|name| name.chars().take(length).collect()).collect();
    let beginning = consort_suggest::nearest(text, beginnings.iter().map(String::as_str))?;
    let index = beginnings.iter().position(|other| other == beginning)?;
    names.into_iter().nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::printed;

    fn port(client: u8, number: u8, client_name: &str, name: &str, caps: PortCaps) -> PortInfo {
        PortInfo {
            client_id: client,
            port_id: number,
            name: name.to_owned(),
            client_name: Some(client_name.into()),
            capability: caps,
            ..PortInfo::default()
        }
    }

    #[test]
    fn ports_are_found_by_address_name_and_beginning_of_a_name() {
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
            (
                "fluid",
                Use::Source,
                "port 128:0 'FLUID Synth (77):Synth input port' only receives events",
            ),
            ("20:0", Use::Target, "port 20:0 'nanoKONTROL2:nanoKONTROL2 SLIDER' only sends events"),
            ("FLUIT", Use::Target, "unknown port `FLUIT`"),
            ("FLUIT", Use::Target, "(ports that receive events: 14:0"),
            ("FLUIT Synth", Use::Target, "did you mean `FLUID Synth (77)`?"),
            ("99:0", Use::Source, "unknown port `99:0`\nhint: ports that send events: 14:0"),
            ("", Use::Source, "unknown port ``"),
        ] {
            let error = printed(&address(text, wanted).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        let twins = [port(20, 0, "Launchpad A", "one", to), port(24, 0, "Launchpad B", "one", to)];
        let error = choose(&twins, "launch", Use::Target).expect_err("two").to_string();
        assert!(error.contains("matches several ports: 20:0 'Launchpad A:one', 24:0"), "{error}");
        let error = printed(&choose(&[], "x", Use::Target).expect_err("none"));
        assert!(error.contains("there are no ports that receive events"), "{error}");
    }
}
