//! The options of an instance.

use std::path::{Path, PathBuf};

use consort_router::options::parse_integer;
use consort_router::{Options, Problems};
use consort_suggest::NameMatch;

use super::codes::{Code, EventType};
use super::kernel::MAX_NAME_BYTES;
use super::system::{Axis, DeviceInfo, System};

/// Which device an instance receives from. A device must have all properties that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Criteria {
    pub(super) path: Option<PathBuf>,
    /// The beginning of its name.
    pub(super) name: Option<String>,
    pub(super) vendor_product: Option<(u16, u16)>,
    pub(super) phys: Option<String>,
    pub(super) uniq: Option<String>,
}

/// The extent of a relative axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The largest position; at least 1.
    pub(super) maximum: u32,
    pub(super) is_inverted: bool,
    /// The position at the start.
    pub(super) initial: u32,
}

/// The device that an instance creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputConfig {
    pub(super) name: String,
    /// Vendor, product and version.
    pub(super) id: [u16; 3],
}

/// The options of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) input: Option<Criteria>,
    pub(super) output: Option<OutputConfig>,
    pub(super) is_exclusive: bool,
    /// The values of absolute axes, by code number.
    pub(super) axes: Vec<(u16, Axis)>,
    /// The extents of relative axes, by code number.
    pub(super) extents: Vec<(u16, Extent)>,
}

impl Settings {
    /// The configured values of an absolute axis.
    pub(super) fn axis(&self, number: u16) -> Option<Axis> {
        self.axes.iter().find(|(code, _)| *code == number).map(|(_, axis)| *axis)
    }

    /// The extent of a relative axis.
    pub(super) fn extent(&self, number: u16) -> Option<Extent> {
        self.extents.iter().find(|(code, _)| *code == number).map(|(_, extent)| *extent)
    }
}

impl Criteria {
    /// Finds the device, and returns its node with what is known about it.
    ///
    /// # Errors
    /// Why there is none, with the devices that are plugged in.
    pub(super) fn find(&self, system: &dyn System) -> Result<DeviceInfo, String> {
        let devices = system.list();
        let Some(path) = &self.path else {
            return self.best(&devices, None).cloned().ok_or_else(|| self.missing(&devices));
        };
        let node = system.resolve(path);
        if let Some(device) = devices.iter().find(|device| device.path == node && device.is_own) {
            return Err(format!(
                "`{}` is `{}`, which a show of this program has created",
                path.display(),
                device.name
            ));
        }
        let is_alone = *self == Criteria { path: self.path.clone(), ..Criteria::default() };
        match self.best(&devices, Some(&node)) {
            Some(device) => Ok(device.clone()),
            // A machine without `/sys` lists no devices, but a node may exist.
            None if is_alone => Ok(DeviceInfo { path: node, ..DeviceInfo::default() }),
            None => Err(self.missing(&devices)),
        }
    }

    /// The device whose name matches best; of several, the one with the shortest name.
    fn best<'d>(&self, devices: &'d [DeviceInfo], node: Option<&Path>) -> Option<&'d DeviceInfo> {
        let matches = |device: &&DeviceInfo| {
            let is_phys = |phys: &String| {
                device.phys.strip_prefix(phys.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with('/') || phys.ends_with('/')
                })
            };
            !device.is_own
                && node.is_none_or(|node| device.path == node)
                && self.vendor_product.is_none_or(|id| id == (device.vendor, device.product))
                && self.phys.as_ref().is_none_or(is_phys)
                && self.uniq.as_ref().is_none_or(|uniq| device.uniq.eq_ignore_ascii_case(uniq))
        };
        let named = devices.iter().filter(matches).filter_map(|device| match &self.name {
            Some(name) => Some((Some(NameMatch::of(&device.name, name)?), device)),
            None => Some((None, device)),
        });
        named.min_by_key(|(found, device)| (*found, device.name.len())).map(|(_, device)| device)
    }

    fn missing(&self, devices: &[DeviceInfo]) -> String {
        let mut wanted = Vec::new();
        let mut add = |option: &str, value: &str| wanted.push(format!("{option} = {value}"));
        if let Some(path) = &self.path {
            add("device", &path.display().to_string());
        }
        if let Some(name) = &self.name {
            add("input", name);
        }
        if let Some((vendor, product)) = self.vendor_product {
            add("vendor-product", &format!("{vendor:04x}:{product:04x}"));
        }
        for (option, value) in [("phys", &self.phys), ("uniq", &self.uniq)] {
            if let Some(value) = value {
                add(option, value);
            }
        }
        let others = devices.iter().filter(|device| !device.is_own).take(12);
        let names: Vec<String> = others.map(|device| format!("`{}`", device.name)).collect();
        let names = if names.is_empty() { "no device".to_owned() } else { names.join(", ") };
        format!("no device with `{}`; plugged in: {names}", wanted.join("`, `"))
    }
}

/// Checks `vendor-product`.
pub(super) fn check_vendor_product(text: &str) -> Result<(), String> {
    parse_vendor_product(text)
        .map(drop)
        .ok_or_else(|| "expected two hexadecimal numbers, such as `045e:02ea`".into())
}

fn parse_vendor_product(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    let parse = |text: &str| u16::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    Some((parse(vendor)?, parse(product)?))
}

/// Checks that an option has a value.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a value".into()) } else { Ok(()) }
}

/// Checks `output`.
pub(super) fn check_output(text: &str) -> Result<(), String> {
    match text.len() {
        1..=MAX_NAME_BYTES => Ok(()),
        _ => Err(format!("expected a name of 1 to {MAX_NAME_BYTES} bytes")),
    }
}

/// Checks `id`.
pub(super) fn check_id(text: &str) -> Result<(), String> {
    parse_id(text).map(drop).ok_or_else(|| {
        "expected up to three numbers from 0 to 0xffff: vendor, product and version".into()
    })
}

fn parse_id(text: &str) -> Option<[u16; 3]> {
    let mut id = [0; 3];
    let numbers = integers(text)?;
    if numbers.is_empty() || numbers.len() > id.len() {
        return None;
    }
    for (place, number) in id.iter_mut().zip(numbers) {
        *place = u16::try_from(number).ok()?;
    }
    Some(id)
}

/// Reads whole numbers: decimal, hexadecimal with `0x`, octal with a leading 0. Signs are allowed.
fn integers(text: &str) -> Option<Vec<i64>> {
    let parse = |word: &str| {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let number = match digits.strip_prefix('0') {
            Some(octal)
                if !octal.is_empty() && octal.bytes().all(|digit| digit.is_ascii_digit()) =>
            {
                i64::from_str_radix(octal, 8).ok()
            }
            _ => parse_integer(digits),
        };
        number?.checked_mul(sign)
    };
    text.split_ascii_whitespace().map(parse).collect()
}

/// Reads the values of an absolute axis.
///
/// # Errors
/// What was expected.
fn parse_axis(text: &str) -> Result<Axis, String> {
    let expected = "expected up to six whole numbers: value, minimum, maximum, fuzz, flat and \
                    resolution";
    let numbers = integers(text).filter(|numbers| (1..=6).contains(&numbers.len()));
    let numbers = numbers.ok_or(expected)?;
    let mut fields = [0_i32; 6];
    for (field, number) in fields.iter_mut().zip(numbers) {
        *field = i32::try_from(number).map_err(|_| "expected numbers of 32 bits")?;
    }
    let [value, minimum, maximum, fuzz, flat, resolution] = fields;
    if minimum >= maximum {
        return Err(format!("the minimum {minimum} is not below the maximum {maximum}"));
    }
    Ok(Axis { value: value.clamp(minimum, maximum), minimum, maximum, fuzz, flat, resolution })
}

/// Reads the extent of a relative axis.
///
/// # Errors
/// What was expected.
fn parse_extent(text: &str) -> Result<Extent, String> {
    let expected = "expected a maximum and optionally an initial position, such as `1024 512`";
    let numbers = integers(text).filter(|numbers| (1..=2).contains(&numbers.len()));
    let numbers = numbers.ok_or(expected)?;
    let maximum = u32::try_from(numbers[0].unsigned_abs())
        .ok()
        .filter(|maximum| (1..=i32::MAX as u32).contains(maximum))
        .ok_or("the maximum is not a number from 1 to 2147483647, or its negative")?;
    let initial = numbers.get(1).copied().unwrap_or(0);
    let initial = u32::try_from(initial)
        .ok()
        .filter(|initial| *initial <= maximum)
        .ok_or_else(|| format!("the initial position {initial} is not from 0 to {maximum}"))?;
    Ok(Extent { maximum, is_inverted: numbers[0] < 0, initial })
}

/// Reads the options of a family, whose names end with the name of an axis.
fn read_axes<T>(
    options: &Options,
    prefix: &str,
    kind: EventType,
    problems: &mut Problems,
    parse: fn(&str) -> Result<T, String>,
) -> Vec<(u16, T)> {
    let mut axes: Vec<(u16, T)> = Vec::new();
    for (position, entry) in options.family(prefix) {
        let name = &entry.name[prefix.len()..];
        let Some(code) = Code::from_name(name).filter(|code| code.kind == kind) else {
            let problem = problems.error(
                Some(position),
                format!("unknown axis `{name}`: expected the name of a code of {}", kind.name()),
            );
            if let Some(hint) = consort_suggest::did_you_mean(name, Code::names_of(kind)) {
                problem.hint(hint);
            }
            continue;
        };
        if axes.iter().any(|(number, _)| *number == code.number) {
            problems.error(Some(position), format!("the axis `{name}` has two options"));
            continue;
        }
        match parse(&entry.value) {
            Ok(value) => axes.push((code.number, value)),
            Err(message) => {
                problems.error(Some(position), message);
            }
        }
    }
    axes
}

/// Reads the options of an instance. `None` after an error.
pub(super) fn read(name: &str, options: &Options, problems: &mut Problems) -> Option<Settings> {
    let text = |option| options.text(option).map(str::to_owned);
    let criteria = Criteria {
        path: text("device").map(|path| Path::new("/dev/input").join(path)),
        name: text("input"),
        vendor_product: options.text("vendor-product").and_then(parse_vendor_product),
        phys: text("phys"),
        uniq: text("uniq"),
    };
    let output = text("output").map(|name| OutputConfig {
        name,
        id: options.text("id").and_then(parse_id).unwrap_or_default(),
    });
    if output.is_none() && options.is_set("id") {
        problems
            .warning(options.position("id"), "the instance creates no device that could have an id")
            .hint("add `output = NAME`; to select an input device, use `vendor-product`");
    }
    let settings = Settings {
        name: name.to_owned(),
        input: (criteria != Criteria::default()).then_some(criteria),
        output,
        is_exclusive: options.flag("exclusive"),
        axes: read_axes(options, "axis.", EventType::Absolute, problems, parse_axis),
        extents: read_axes(options, "relaxis.", EventType::Relative, problems, parse_extent),
    };
    problems.is_ok().then_some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_parsed_with_ranges() {
        let axis = |value, minimum, maximum, fuzz, flat| Axis {
            value,
            minimum,
            maximum,
            fuzz,
            flat,
            resolution: 0,
        };
        assert_eq!(parse_axis("34300 0 65535 255 4095"), Ok(axis(34_300, 0, 65_535, 255, 4_095)));
        assert_eq!(parse_axis("0 -0x8000 0x7fff"), Ok(axis(0, -32_768, 32_767, 0, 0)));
        assert_eq!(parse_axis("0 010 011"), Ok(axis(8, 8, 9, 0, 0)), "octal, as in C");
        assert_eq!(parse_axis("0 -2147483648 2147483647"), Ok(axis(0, i32::MIN, i32::MAX, 0, 0)));
        for text in
            ["", "1", "0 5 5", "0 6 5", "0 0 x", "0 0 1 2 3 4 5", "0 0 4294967296", "0 0 1z"]
        {
            assert!(parse_axis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn extents_are_parsed_and_may_be_inverted() {
        let extent = |maximum, is_inverted, initial| Ok(Extent { maximum, is_inverted, initial });
        assert_eq!(parse_extent("65535"), extent(65_535, false, 0));
        assert_eq!(parse_extent("-1000 500"), extent(1_000, true, 500));
        for text in ["", "0", "100 101", "100 -1", "x", "1 2 3", "2147483648"] {
            assert!(parse_extent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_parsed() {
        assert_eq!(parse_id("0x1 0x2 3"), Some([1, 2, 3]));
        assert_eq!(parse_id("0xffff"), Some([0xFFFF, 0, 0]));
        for text in ["", "0x10000", "1 2 3 4", "-1"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
        assert_eq!(parse_vendor_product("045e:02ea"), Some((0x45E, 0x2EA)));
        assert_eq!(parse_vendor_product("0x45e:0x2ea"), Some((0x45E, 0x2EA)));
        for text in ["", "045e", "045e:", "045e:12eaa", "g:1"] {
            assert_eq!(parse_vendor_product(text), None, "{text}");
        }
    }
}
