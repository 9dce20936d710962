//! The types and codes of input events, by name and number.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The type of an input event, as in `<linux/input-event-codes.h>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum EventType {
    /// Keys and buttons.
    Key,
    /// Relative axes.
    Relative,
    /// Absolute axes.
    Absolute,
    /// What fits no other type.
    Miscellaneous,
    /// Switches.
    Switch,
    /// Lights of a device.
    Led,
    /// Sounds of a device.
    Sound,
    /// The settings of autorepeat.
    Repeat,
}

impl EventType {
    /// All types, in the order of their numbers.
    pub(super) const ALL: [EventType; 8] = [
        EventType::Key,
        EventType::Relative,
        EventType::Absolute,
        EventType::Miscellaneous,
        EventType::Switch,
        EventType::Led,
        EventType::Sound,
        EventType::Repeat,
    ];

    /// Its number in the kernel.
    pub(super) const fn number(self) -> u16 {
        match self {
            EventType::Key => 0x01,
            EventType::Relative => 0x02,
            EventType::Absolute => 0x03,
            EventType::Miscellaneous => 0x04,
            EventType::Switch => 0x05,
            EventType::Led => 0x11,
            EventType::Sound => 0x12,
            EventType::Repeat => 0x14,
        }
    }

    /// The type with a number of the kernel.
    pub(super) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its name in configurations.
    pub(super) const fn name(self) -> &'static str {
        match self {
            EventType::Key => "EV_KEY",
            EventType::Relative => "EV_REL",
            EventType::Absolute => "EV_ABS",
            EventType::Miscellaneous => "EV_MSC",
            EventType::Switch => "EV_SW",
            EventType::Led => "EV_LED",
            EventType::Sound => "EV_SND",
            EventType::Repeat => "EV_REP",
        }
    }

    /// The word for its unmatched input.
    pub(super) const fn word(self) -> &'static str {
        match self {
            EventType::Key => "key",
            EventType::Relative => "rel",
            EventType::Absolute => "abs",
            EventType::Miscellaneous => "msc",
            EventType::Switch => "sw",
            EventType::Led => "led",
            EventType::Sound => "snd",
            EventType::Repeat => "rep",
        }
    }

    /// How many codes the kernel has for it.
    pub(super) const fn count(self) -> u16 {
        match self {
            EventType::Key => 0x300,
            EventType::Relative => 0x10,
            EventType::Absolute => 0x40,
            EventType::Miscellaneous | EventType::Sound => 0x08,
            EventType::Switch => 0x11,
            EventType::Led => 0x10,
            EventType::Repeat => 0x02,
        }
    }

    /// The index of its first code in a table of all codes of all types.
    const fn base(self) -> usize {
        let mut index = 0;
        let mut base = 0;
        while Self::ALL[index].number() != self.number() {
            base += Self::ALL[index].count() as usize;
            index += 1;
        }
        base
    }
}

/// How many codes all types have together.
pub(super) const CODES: usize = EventType::Repeat.base() + EventType::Repeat.count() as usize;

/// A type and a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Code {
    /// The type.
    pub(super) kind: EventType,
    /// The number, below the type's count.
    pub(super) number: u16,
}

impl Code {
    /// A code, if its type has so many.
    pub(super) fn new(kind: EventType, number: u16) -> Option<Self> {
        (number < kind.count()).then_some(Code { kind, number })
    }

    /// Its index in a table of [`CODES`] entries.
    #[inline]
    pub(super) fn index(self) -> usize {
        const BASES: [usize; EventType::ALL.len()] = {
            let mut bases = [0; EventType::ALL.len()];
            let mut index = 0;
            while index < bases.len() {
                bases[index] = EventType::ALL[index].base();
                index += 1;
            }
            bases
        };
        BASES[self.kind as usize] + usize::from(self.number)
    }

    /// Writes it as configurations do: `EV_KEY.BTN_SOUTH`, or with a number if it has no name.
    pub(super) fn write(self, text: &mut String) {
        use std::fmt::Write;

        let result = match names().shown.get(&self) {
            Some(name) => write!(text, "{}.{name}", self.kind.name()),
            None => write!(text, "{}.{}", self.kind.name(), self.number),
        };
        debug_assert!(result.is_ok(), "writing into a string cannot fail");
    }

    /// The name as text; see [`Code::write`].
    pub(super) fn name(self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// The code of this name, of any type.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        names().codes.get(name).copied()
    }

    /// The names of all codes of a type.
    pub(super) fn names_of(kind: EventType) -> impl Iterator<Item = &'static str> + Clone {
        let of_type = move |(_, code): &(&&'static str, &Code)| code.kind == kind;
        names().codes.iter().filter(of_type).map(|(name, _)| *name)
    }
}

/// The table of names, in both directions.
struct Names {
    codes: HashMap<&'static str, Code>,
    shown: HashMap<Code, &'static str>,
}

/// The table of names, which is read from `codes.txt` once.
fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = Names { codes: HashMap::new(), shown: HashMap::new() };
        let mut kind = None;
        for line in include_str!("codes.txt").lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(first) = words.next().filter(|first| !first.starts_with('#')) else {
                continue;
            };
            let Ok(number) = first.parse() else {
                kind = EventType::ALL.into_iter().find(|kind| kind.name() == first);
                continue;
            };
            let Some(code) = kind.and_then(|kind| Code::new(kind, number)) else { continue };
            for name in words {
                names.codes.insert(name, code);
                names.shown.entry(code).or_insert(name);
            }
        }
        names
    })
}

/// A set of the codes of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeSet([u64; 12]);

impl CodeSet {
    /// The size of the set in the kernel's calls.
    pub(super) const BYTES: usize = 96;

    /// The set whose bits the kernel has written as an array of `long`.
    pub(super) fn from_words(words: [u64; 12]) -> Self {
        CodeSet(words)
    }

    #[inline]
    pub(super) fn contains(&self, number: u16) -> bool {
        self.0.get(usize::from(number) / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Adds or removes a code; returns whether that changes the set.
    #[inline]
    pub(super) fn set(&mut self, number: u16, is_member: bool) -> bool {
        let Some(word) = self.0.get_mut(usize::from(number) / 64) else { return false };
        let before = *word;
        match is_member {
            true => *word |= 1 << (number % 64),
            false => *word &= !(1 << (number % 64)),
        }
        *word != before
    }

    /// All members in ascending order.
    pub(super) fn iter(self) -> impl Iterator<Item = u16> {
        (0..self.0.len() as u16 * 64).filter(move |number| self.contains(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_index() {
        let mut indices: Vec<usize> = Vec::new();
        for kind in EventType::ALL {
            assert_eq!(EventType::from_number(kind.number()), Some(kind));
            let codes = (0..kind.count()).filter_map(|number| Code::new(kind, number));
            indices.extend(codes.map(Code::index));
        }
        assert_eq!(indices, (0..CODES).collect::<Vec<_>>());
        assert_eq!(Code::new(EventType::Led, 16), None);
    }

    #[test]
    fn codes_have_names_and_aliases() {
        let code = |kind, number| Code { kind, number };
        for (name, expected) in [
            ("BTN_SOUTH", code(EventType::Key, 304)),
            ("BTN_A", code(EventType::Key, 304)),
            ("KEY_A", code(EventType::Key, 30)),
            ("ABS_X", code(EventType::Absolute, 0)),
            ("REL_WHEEL", code(EventType::Relative, 8)),
            ("SW_LID", code(EventType::Switch, 0)),
            ("LED_CAPSL", code(EventType::Led, 1)),
        ] {
            assert_eq!(Code::from_name(name), Some(expected), "{name}");
        }
        assert_eq!(code(EventType::Key, 304).name(), "EV_KEY.BTN_SOUTH");
        assert_eq!(code(EventType::Key, 84).name(), "EV_KEY.84", "a code without a name");
        assert_eq!(Code::from_name("KEY_NONSENSE"), None);
    }

    /// Newer headers have more names, and older ones fewer, but a name keeps its number.
    #[test]
    fn the_names_have_the_numbers_of_the_kernels_header() {
        let path = "/usr/include/linux/input-event-codes.h";
        let header = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{path}, of the C library's headers: {error}"));
        let mut compared = 0;
        for line in header.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some("#define"), Some(name), Some(text)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let number = match text.strip_prefix("0x") {
                Some(digits) => u16::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            };
            if let (Some(code), Some(number)) = (Code::from_name(name), number) {
                assert_eq!(code.number, number, "{name}");
                compared += 1;
            }
        }
        assert!(compared > 500, "only {compared} names are in the header");
    }

    #[test]
    fn sets_have_members_in_order() {
        let mut set = CodeSet::default();
        assert!(!set.contains(767));
        assert!(set.set(767, true) && set.set(0, true) && !set.set(0, true));
        assert!(!set.set(9_999, true), "numbers out of range are ignored");
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 767]);
        assert!(set.set(767, false) && !set.contains(767));
    }
}
