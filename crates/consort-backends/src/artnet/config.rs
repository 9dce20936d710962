//! From options to settings.

use std::net::Ipv4Addr;

use consort_router::{InstanceConfig, Options, Problems};

use super::codec::PORT;
use crate::dmx::{
    Bind, INTERFACE_LIMIT, Interface, Policy, UniverseConfig, parse_bind, parse_destination,
};
use crate::net::HostPort;

fn announced(bind: &Bind) -> Result<Option<Ipv4Addr>, String> {
    let mut announce = None;
    for word in &bind.words {
        let Some(address) = word.strip_prefix("announce=") else {
            return Err(format!("`{word}` is unknown here: expected `announce=ADDRESS`"));
        };
        let parsed = address.parse();
        announce = Some(parsed.map_err(|_| format!("`{address}` is no IPv4 address"))?);
    }
    Ok(announce)
}

pub(super) fn check_bind(text: &str) -> Result<(), String> {
    announced(&parse_bind(text, PORT)?).map(drop)
}

pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text, PORT).map(drop)
}

pub(super) fn read_interfaces(options: &Options, problems: &mut Problems) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    let mut add = |text: &str, at: Option<usize>| {
        let read = parse_bind(text, PORT).and_then(|bind| Ok((announced(&bind)?, bind)));
        match read {
            Ok((announce, bind)) => interfaces.push(Interface::new(&bind, announce, true)),
            Err(message) => {
                problems.error(at, message);
            }
        }
    };
    for (at, entry) in options.all("bind").take(INTERFACE_LIMIT) {
        add(&entry.value, Some(at));
    }
    if !options.is_set("bind")
        && let Some(text) = options.text("bind")
    {
        add(text, None);
    }
    interfaces
}

pub(super) fn read_instance(
    instance: &InstanceConfig,
    net: u16,
    interface_count: usize,
    problems: &mut Problems,
) -> Option<UniverseConfig> {
    let options = &instance.options;
    let net = options.integer("net").map_or(net, |net| net as u16);
    let interface = options.integer("interface").unwrap_or(0) as usize;
    if interface >= interface_count {
        problems
            .error(
                options.position("interface"),
                format!(
                    "there is no interface {interface}: `bind` is given {interface_count} times"
                ),
            )
            .hint("interfaces are counted from 0, in the order of `bind` in [backend artnet]");
        return None;
    }
    let destination = match options.text("destination").map(|text| parse_destination(text, PORT)) {
        None => None,
        Some(Ok(destination)) => Some(destination),
        Some(Err(message)) => {
            problems.error(options.position("destination"), message);
            return None;
        }
    };
    Some(UniverseConfig {
        name: instance.name.clone(),
        number: net << 8 | options.integer("universe").unwrap_or(0) as u16,
        interface,
        policy: Policy::read(options.text("merge")),
        from: None,
        takes_preview: true,
        joins_group: false,
        is_output: destination.is_some(),
        destination,
        is_realtime: options.flag("realtime"),
        priority: 100,
        is_preview: false,
    })
}

/// Who sends which universe where, to find those that would fight.
pub(super) struct Sending {
    name: String,
    at: Option<usize>,
    number: u16,
    interface: usize,
    destination: HostPort,
}

impl Sending {
    pub(super) fn of(config: &UniverseConfig, options: &Options) -> Option<Self> {
        Some(Sending {
            name: config.name.clone(),
            at: options.position("destination"),
            number: config.number,
            interface: config.interface,
            destination: config.destination.clone()?,
        })
    }
}

pub(super) fn check_outputs(outputs: &[Sending], report: &mut dyn FnMut(&str, Problems)) {
    for (nth, it) in outputs.iter().enumerate() {
        let earlier = outputs[..nth].iter().find(|other| {
            (other.number, other.interface, &other.destination)
                == (it.number, it.interface, &it.destination)
        });
        if let Some(other) = earlier {
            let mut problems = Problems::new();
            problems
                .warning(
                    it.at,
                    format!("instance `{}` sends the same universe to the same host", other.name),
                )
                .hint("map everything to one of them: receivers see one source that contradicts itself");
            report(&it.name, problems);
        }
    }
}
