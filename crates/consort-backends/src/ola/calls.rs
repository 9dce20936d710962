//! The calls that are used, and their answers.

use super::wire::{Fields, Malformed, Value, put_bytes, put_number};
use crate::dmx::SLOTS;

/// The names of the calls.
pub(super) mod name {
    pub(in crate::ola) const REGISTER: &str = "RegisterForDmx";
    /// Of this program to olad, and of olad to this program.
    pub(in crate::ola) const UPDATE: &str = "UpdateDmxData";
    pub(in crate::ola) const STREAM: &str = "StreamDmxData";
    pub(in crate::ola) const GET: &str = "GetDmx";
    pub(in crate::ola) const INFO: &str = "GetUniverseInfo";
    pub(in crate::ola) const MERGE: &str = "SetMergeMode";
}

/// How olad merges the sources of a universe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    Highest,
    Latest,
}

impl Merge {
    /// The choices of the option.
    pub(super) const WORDS: &'static [&'static str] = &["htp", "ltp"];

    pub(super) fn read(text: &str) -> Self {
        if text.eq_ignore_ascii_case("ltp") { Merge::Latest } else { Merge::Highest }
    }

    fn number(self) -> u64 {
        match self {
            Merge::Highest => 1,
            Merge::Latest => 2,
        }
    }
}

/// The body of a call that only names a universe; without one, all are meant.
pub(super) fn put_universe(universe: Option<u32>, body: &mut Vec<u8>) {
    if let Some(universe) = universe {
        put_number(1, universe.into(), body);
    }
}

/// The body of [`name::REGISTER`].
pub(super) fn put_registration(universe: u32, registers: bool, body: &mut Vec<u8>) {
    put_number(1, universe.into(), body);
    put_number(2, if registers { 1 } else { 2 }, body);
}

/// The body of [`name::MERGE`].
pub(super) fn put_merge(universe: u32, merge: Merge, body: &mut Vec<u8>) {
    put_number(1, universe.into(), body);
    put_number(2, merge.number(), body);
}

/// The slots of a universe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dmx<'a> {
    pub(super) universe: u32,
    pub(super) data: &'a [u8],
    pub(super) priority: u8,
}

impl<'a> Dmx<'a> {
    /// Encodes the body of [`name::UPDATE`] and [`name::STREAM`].
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        put_number(1, self.universe.into(), body);
        put_bytes(2, self.data, body);
        put_number(3, self.priority.into(), body);
    }

    /// Decodes it; also the answer to [`name::GET`].
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut dmx = Dmx { universe: 0, data: &[], priority: 0 };
        for field in Fields(body) {
            match field? {
                (1, Value::Number(universe)) => {
                    dmx.universe = u32::try_from(universe).map_err(|_| Malformed)?;
                }
                (2, Value::Bytes(data)) if data.len() <= SLOTS => dmx.data = data,
                (2, _) => return Err(Malformed),
                (3, Value::Number(priority)) => dmx.priority = priority.min(255) as u8,
                _ => {}
            }
        }
        Ok(dmx)
    }
}

/// What olad reports about a universe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) universe: u32,
    pub(super) name: String,
    pub(super) merges_latest: bool,
    pub(super) input_ports: u64,
    pub(super) output_ports: u64,
}

/// The longest name of a universe that is kept, in characters.
const MAX_NAME_CHARACTERS: usize = 64;

impl Info {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut info = Info::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Number(universe)) => {
                    info.universe = u32::try_from(universe).map_err(|_| Malformed)?;
                }
                (2, Value::Bytes(name)) => {
                    let name = String::from_utf8_lossy(name);
                    let printable = name.chars().filter(|c| !c.is_control());
                    info.name = printable.take(MAX_NAME_CHARACTERS).collect();
                }
                (3, Value::Number(mode)) => info.merges_latest = mode == 2,
                (4, Value::Number(count)) => info.input_ports = count,
                (5, Value::Number(count)) => info.output_ports = count,
                _ => {}
            }
        }
        Ok(info)
    }

    /// Decodes the answer to [`name::INFO`]: any number of universes.
    pub(super) fn decode_all(body: &[u8]) -> Result<Vec<Info>, Malformed> {
        let mut all = Vec::new();
        for field in Fields(body) {
            if let (1, Value::Bytes(bytes)) = field? {
                all.push(Info::decode(bytes)?);
            }
        }
        Ok(all)
    }

    /// The universe in one line, for views.
    pub(super) fn describe(&self) -> String {
        let plural = |count: u64| if count == 1 { "port" } else { "ports" };
        let Info { universe, name, input_ports: inputs, output_ports: outputs, .. } = self;
        let merge = if self.merges_latest { "LTP" } else { "HTP" };
        format!(
            "universe {universe} `{name}`, {merge}, {inputs} input {}, {outputs} output {}",
            plural(*inputs),
            plural(*outputs)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_survive_a_round_trip_and_too_many_are_rejected() {
        let mut body = Vec::new();
        let dmx = Dmx { universe: u32::MAX, data: &[7; SLOTS], priority: 200 };
        dmx.encode(&mut body);
        assert_eq!(Dmx::decode(&body), Ok(dmx));
        body.clear();
        Dmx { data: &[7; SLOTS + 1], ..dmx }.encode(&mut body);
        assert_eq!(Dmx::decode(&body), Err(Malformed));
        assert_eq!(Dmx::decode(&[0x08, 255, 255, 255, 255, 255, 1]), Err(Malformed));
    }

    #[test]
    fn universes_are_described_as_olad_reports_them() {
        // Recorded from olad 0.10.9: universe 7 with the output port of its dummy plugin.
        let body = [
            0x0A, 0x29, 0x08, 0x07, 0x12, 0x05, b'F', b'r', b'o', b'n', b't', 0x18, 0x02, 0x20,
            0x00, 0x28, 0x01, 0x30, 0x06, 0x42, 0x16, 0x08, 0x00, 0x10, 0x00, 0x18, 0x07, 0x20,
            0x01, 0x2A, 0x0A, b'D', b'u', b'm', b'm', b'y', b' ', b'P', b'o', b'r', b't', 0x40,
            0x01,
        ];
        let all = Info::decode_all(&body).expect("one");
        assert_eq!(all.len(), 1);
        let expected = "universe 7 `Front`, LTP, 0 input ports, 1 output port";
        assert_eq!(all[0].describe(), expected);
        assert_eq!(Info::decode_all(&[]), Ok(Vec::new()));
        assert_eq!(Info::decode_all(&body[..20]), Err(Malformed));
    }
}
