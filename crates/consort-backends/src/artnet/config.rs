//! The options of the backend and its instances.

use consort_router::{InstanceConfig, Problems};

use super::codec::PORT;
use crate::dmx::{
    BindFlags, Policy, UniverseConfig, parse_bind, parse_destination, read_interface,
};

/// Reads the flags of the option `bind`.
pub(super) fn read_flags(flags: &[String]) -> Result<BindFlags, String> {
    let mut announce = None;
    for flag in flags {
        let Some(address) = flag.strip_prefix("announce=") else {
            return Err(format!("unknown flag `{flag}`: expected `announce=ADDRESS`"));
        };
        let parsed = address.parse();
        announce = Some(parsed.map_err(|_| format!("`{address}` is not a valid IPv4 address"))?);
    }
    Ok(BindFlags { announce, loops_back: true })
}

/// Validates the option `bind`.
pub(super) fn check_bind(text: &str) -> Result<(), String> {
    read_flags(&parse_bind(text, PORT)?.flags).map(drop)
}

/// Validates the option `destination`.
pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text, PORT).map(drop)
}

/// Reads the options of an instance. `net` is the default of the backend.
pub(super) fn read_instance(
    instance: &InstanceConfig,
    net: u16,
    interface_count: usize,
    problems: &mut Problems,
) -> Option<UniverseConfig> {
    let options = &instance.options;
    let net = options.integer("net").map_or(net, |net| net as u16);
    let interface = read_interface(options, interface_count, "artnet", problems)?;
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
        emits_all_first: crate::dmx::options::emits_all_first(options),
        from: None,
        accepts_preview: true,
        joins_group: false,
        is_output: destination.is_some(),
        destination,
        is_realtime: options.flag("realtime"),
        priority: 100,
        is_preview: false,
    })
}
