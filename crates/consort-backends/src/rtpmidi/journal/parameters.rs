//! Which parameter the controllers 98 to 101 have selected, and the values of parameters.

/// The most parameters of one MIDI channel that a journal can hold; the oldest is forgotten first.
pub(in super::super) const MAX_PARAMETERS: usize = 40;

/// A parameter: whether it is a registered one, and its number.
pub(super) type Name = (bool, u16);

/// The number that deselects.
const NULL: u16 = 0x3FFF;

/// A parameter with the two halves of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: Name,
    pub(super) high: Option<u8>,
    pub(super) low: Option<u8>,
    /// The packet that changed it last.
    pub(super) at: u32,
}

/// What the controllers have selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Selection {
    #[default]
    Nothing,
    /// The upper half of a number; the lower one is missing.
    Pending(bool, u8),
    Parameter(Name),
}

/// The parameters of one MIDI channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// The least recently changed one first.
    all: Vec<Parameter>,
    pub(super) selection: Selection,
    /// The packet that changed anything last.
    pub(super) at: u32,
}

impl Parameters {
    /// Records a controller. Returns whether it belongs to a parameter.
    pub(super) fn record(&mut self, number: u8, value: u8, at: u32) -> bool {
        match number {
            99 | 101 => self.selection = Selection::Pending(number == 101, value),
            98 | 100 => {
                let registered = number == 100;
                let high = match self.selection {
                    Selection::Pending(kind, high) if kind == registered => high,
                    Selection::Parameter((kind, name)) if kind == registered => (name >> 7) as u8,
                    _ => return false,
                };
                let name = u16::from(high) << 7 | u16::from(value);
                self.selection = if name == NULL {
                    Selection::Nothing
                } else {
                    self.change((registered, name), at);
                    Selection::Parameter((registered, name))
                };
            }
            6 | 38 => {
                let Selection::Parameter(name) = self.selection else { return false };
                let parameter = self.change(name, at);
                if number == 6 {
                    parameter.high = Some(value);
                } else {
                    parameter.low = Some(value);
                }
            }
            _ => return false,
        }
        self.at = at;
        true
    }

    /// The parameter, moved to the end of the list.
    fn change(&mut self, name: Name, at: u32) -> &mut Parameter {
        let known = self.all.iter().position(|parameter| parameter.name == name);
        let parameter = match known {
            Some(index) => self.all.remove(index),
            None => Parameter { name, high: None, low: None, at },
        };
        if self.all.len() == MAX_PARAMETERS {
            self.all.remove(0);
        }
        self.all.push(Parameter { at, ..parameter });
        self.all.last_mut().expect("pushed just now")
    }

    /// The parameters that packets after `after` changed, the oldest first.
    pub(super) fn changed(&self, after: u32) -> impl Iterator<Item = &Parameter> {
        self.all.iter().filter(move |parameter| parameter.at > after)
    }

    /// Both halves of the value of a parameter.
    pub(super) fn value(&self, name: Name) -> (Option<u8>, Option<u8>) {
        let known = self.all.iter().find(|parameter| parameter.name == name);
        known.map_or((None, None), |parameter| (parameter.high, parameter.low))
    }
}
