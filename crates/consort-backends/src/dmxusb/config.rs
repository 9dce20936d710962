//! The options of an instance, and finding its adapter.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use consort_router::{InstanceConfig, Options};
use parking_lot::Mutex;

use super::line::Timing;
use crate::serial::{AdapterInfo, adapters};

/// The ids of the USB chips in the adapters of Enttec and most others.
pub(super) const FTDI: &str = "0403:6001";

/// How an adapter is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It sends frames by itself and takes messages: the DMX USB Pro and compatible ones.
    Pro,
    /// It is a bare line, on which the computer makes the breaks: Open DMX USB and compatible ones.
    Open,
}

/// Which adapter an instance uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Criteria {
    pub(super) path: Option<PathBuf>,
    pub(super) serial: Option<String>,
    pub(super) usb_id: (u16, u16),
}

/// The options of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) criteria: Criteria,
    /// Frames per second.
    pub(super) rate: u8,
    pub(super) break_micros: u64,
    pub(super) mark_micros: u64,
    /// Whether any of the three was given, so that an interface is set to them.
    pub(super) sets_parameters: bool,
    /// Whether an interface reports only changes of the received frame.
    pub(super) receives_changes: bool,
}

impl Settings {
    pub(super) fn read(instance: &InstanceConfig) -> Self {
        let options: &Options = &instance.options;
        let integer = |name: &str, default: i64| options.integer(name).unwrap_or(default);
        let is = |name: &str, word: &str| {
            options.text(name).is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        Settings {
            name: instance.name.clone(),
            kind: if is("type", "open") { Kind::Open } else { Kind::Pro },
            criteria: Criteria {
                path: options.text("device").map(|path| Path::new("/dev").join(path)),
                serial: options.text("serial").map(str::to_owned),
                usb_id: options.text("usb-id").and_then(parse_usb_id).unwrap_or((0x0403, 0x6001)),
            },
            rate: integer("rate", 44).clamp(1, 44) as u8,
            break_micros: integer("break", 110) as u64,
            mark_micros: integer("mark", 16) as u64,
            sets_parameters: ["rate", "break", "mark"].iter().any(|name| options.is_set(name)),
            receives_changes: is("receive", "changes"),
        }
    }

    /// The time from one frame to the next.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(1) / u32::from(self.rate)
    }

    /// The times of a line that the computer drives.
    pub(super) fn timing(&self) -> Timing {
        Timing {
            break_time: Duration::from_micros(self.break_micros),
            mark_time: Duration::from_micros(self.mark_micros),
            interval: self.interval(),
        }
    }
}

/// The nodes that instances of this process use.
pub(super) type Claims = Arc<Mutex<HashSet<PathBuf>>>;

/// The node of an instance, which no other instance takes until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    claims: Claims,
}

impl Claim {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.path);
    }
}

/// Finds the adapter of an instance. Blocks.
///
/// # Errors
/// Why there is none.
pub(super) fn find(criteria: &Criteria, claims: &Claims) -> Result<(Claim, AdapterInfo), String> {
    let list = adapters();
    let mut claimed = claims.lock();
    let adapter = match &criteria.path {
        Some(path) => {
            let node = std::fs::canonicalize(path)
                .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            if claimed.contains(&node) {
                return Err(format!("{} is used by another instance", path.display()));
            }
            let known = list.into_iter().find(|adapter| adapter.path == node);
            known.unwrap_or(AdapterInfo { path: node, ..AdapterInfo::default() })
        }
        None => {
            let matches = |adapter: &&AdapterInfo| {
                (adapter.vendor_id, adapter.product_id) == criteria.usb_id
                    && criteria.serial.as_ref().is_none_or(|serial| adapter.serial == *serial)
                    && !claimed.contains(&adapter.path)
            };
            list.iter().find(matches).cloned().ok_or_else(|| missing(criteria, &list, &claimed))?
        }
    };
    claimed.insert(adapter.path.clone());
    let claim = Claim { path: adapter.path.clone(), claims: Arc::clone(claims) };
    Ok((claim, adapter))
}

fn missing(criteria: &Criteria, list: &[AdapterInfo], claimed: &HashSet<PathBuf>) -> String {
    let (vendor, product) = criteria.usb_id;
    let mut wanted = format!("USB id {vendor:04x}:{product:04x}");
    if let Some(serial) = &criteria.serial {
        wanted.push_str(&format!(" and serial number `{serial}`"));
    }
    let describe = |adapter: &AdapterInfo| {
        let AdapterInfo { path, product, serial, vendor_id, product_id, .. } = adapter;
        let use_of = if claimed.contains(path) { ", used by another instance" } else { "" };
        format!("`{product}` ({vendor_id:04x}:{product_id:04x}, serial number `{serial}`{use_of})")
    };
    let others: Vec<String> = list.iter().take(12).map(describe).collect();
    let others = if others.is_empty() { "no serial adapter".into() } else { others.join(", ") };
    format!("no adapter with {wanted}; plugged in: {others}")
}

/// Checks `usb-id`.
pub(super) fn check_usb_id(text: &str) -> Result<(), String> {
    parse_usb_id(text)
        .map(drop)
        .ok_or_else(|| format!("expected two hexadecimal numbers, such as `{FTDI}`"))
}

fn parse_usb_id(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    let parse = |text: &str| u16::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    Some((parse(vendor)?, parse(product)?))
}

/// Checks that an option has a value.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a value".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usb_ids_are_two_hexadecimal_numbers() {
        assert_eq!(parse_usb_id(FTDI), Some((0x0403, 0x6001)));
        for text in ["", "0403", "0403:", ":6001", "0403:g", "10403:6001"] {
            assert!(check_usb_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_claimed_node_is_free_again_when_its_claim_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = folder.path().join("ttyUSB0");
        std::fs::write(&node, "").expect("a node");
        let criteria = Criteria { path: Some(node), serial: None, usb_id: (0, 0) };
        let claims = Claims::default();
        let (claim, _) = find(&criteria, &claims).expect("the node");
        let error = find(&criteria, &claims).expect_err("it is claimed");
        assert!(error.contains("used by another instance"), "{error}");
        drop(claim);
        assert!(find(&criteria, &claims).is_ok());
        let criteria =
            Criteria { path: None, serial: Some("no such number".into()), usb_id: (0x403, 0x6001) };
        let error = find(&criteria, &claims).expect_err("no such adapter");
        let start =
            "no adapter with USB id 0403:6001 and serial number `no such number`; plugged in: ";
        assert!(error.starts_with(start), "{error}");
    }
}
