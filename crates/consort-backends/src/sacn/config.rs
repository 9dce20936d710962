//! The options of the backend and its instances.

use consort_router::{InstanceConfig, Problems};

use super::codec::{Cid, PORT};
use crate::dmx::{
    BindFlags, Policy, UniverseConfig, parse_bind, parse_destination, read_interface,
};

/// Reads the flags of the option `bind`.
pub(super) fn read_flags(flags: &[String]) -> Result<BindFlags, String> {
    match flags.iter().find(|flag| !flag.eq_ignore_ascii_case("local")) {
        Some(flag) => Err(format!("unknown flag `{flag}`: expected `local`")),
        None => Ok(BindFlags { announce: None, loops_back: !flags.is_empty() }),
    }
}

/// Validates the option `bind`.
pub(super) fn check_bind(text: &str) -> Result<(), String> {
    read_flags(&parse_bind(text, PORT)?.flags).map(drop)
}

/// Validates the option `destination`.
pub(super) fn check_destination(text: &str) -> Result<(), String> {
    parse_destination(text, PORT).map(drop)
}

/// Parses 16 bytes (`0xAA 0xBB …` or `170 187 …`) or a UUID.
pub(super) fn parse_cid(text: &str) -> Result<Cid, String> {
    let expected = "expected 16 bytes, such as `0x4F 0x10 …`, or a UUID";
    let mut cid = [0; 16];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [uuid] = words[..] {
        let digits: String = uuid.chars().filter(|&letter| letter != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(expected.into());
        }
        for (byte, offset) in cid.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&digits[offset..offset + 2], 16).map_err(|_| expected)?;
        }
        return Ok(cid);
    }
    if words.len() != 16 {
        return Err(format!("{expected}, found {} words", words.len()));
    }
    for (byte, word) in cid.iter_mut().zip(words) {
        *byte = consort_router::options::parse_integer(word)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| format!("invalid byte `{word}`: {expected}"))?;
    }
    Ok(cid)
}

/// Validates the options `cid` and `from`.
pub(super) fn check_cid(text: &str) -> Result<(), String> {
    parse_cid(text).map(drop)
}

/// Validates the option `name`.
pub(super) fn check_name(text: &str) -> Result<(), String> {
    match text.len() {
        1..=63 => Ok(()),
        length => Err(format!("expected 1 to 63 bytes, found {length}")),
    }
}

/// Reads the options of an instance.
pub(super) fn read_instance(
    instance: &InstanceConfig,
    interface_count: usize,
    problems: &mut Problems,
) -> Option<UniverseConfig> {
    let options = &instance.options;
    let interface = read_interface(options, interface_count, "sacn", problems)?;
    let destination = match options.text("destination").map(|text| parse_destination(text, PORT)) {
        None => None,
        Some(Ok(destination)) => Some(destination),
        Some(Err(message)) => {
            problems.error(options.position("destination"), message);
            return None;
        }
    };
    let from = match options.text("from").map(parse_cid) {
        None => None,
        Some(Ok(cid)) => Some(cid),
        Some(Err(message)) => {
            problems.error(options.position("from"), message);
            return None;
        }
    };
    let Some(number) = options.integer("universe").and_then(|number| u16::try_from(number).ok())
    else {
        problems.error(None, "missing option `universe`").hint("add `universe = 1` (1 to 63999)");
        return None;
    };
    let priority = options.integer("priority").map(|priority| priority as u8);
    if destination.is_some() && priority.is_none() {
        problems
            .warning(options.position("destination"), "nothing is sent without `priority`")
            .hint("add `priority = 100` to send");
    }
    Some(UniverseConfig {
        name: instance.name.clone(),
        number,
        interface,
        policy: Policy::read(options.text("merge")),
        emits_all_first: crate::dmx::options::emits_all_first(options),
        from,
        accepts_preview: options.flag("preview"),
        joins_group: !options.flag("unicast"),
        is_output: priority.is_some(),
        destination,
        is_realtime: options.flag("realtime"),
        priority: priority.unwrap_or(100),
        is_preview: options.flag("preview"),
    })
}
