//! Registered and non-registered parameters over controllers 101, 100, 99, 98, 6 and 38.

use super::channels::Control;
use super::values::{from_fourteen_bits, from_seven_bits};

/// What the controllers of one MIDI channel have said so far.
#[derive(Clone, Copy, Default)]
pub(super) struct ParameterInput {
    registered: bool,
    number: [Option<u8>; 2],
    value: Option<u8>,
    /// Whether the lower half of the value has not come yet.
    is_half: bool,
    /// Whether the lower half was not sent last time, and is not waited for.
    is_short: bool,
}

impl ParameterInput {
    /// Takes a controller; returns the parameter and its value when that is complete: with its 14
    /// bits, or where nothing follows the upper 7 with those.
    pub(super) fn controller(
        &mut self,
        channel: u8,
        controller: u8,
        value: u8,
    ) -> Option<(Control, f64)> {
        match controller {
            98..=101 => {
                let half = self.take_half(channel);
                self.is_short |= half.is_some();
                let registered = controller >= 100;
                if registered != self.registered {
                    let is_short = self.is_short;
                    *self = ParameterInput { registered, is_short, ..ParameterInput::default() };
                }
                self.number[usize::from(controller & 1)] = Some(value);
                self.value = None;
                half
            }
            6 => {
                self.is_short |= self.is_half && self.control(channel).is_some();
                self.value = Some(value);
                self.is_half = true;
                if self.is_short { self.take_half(channel) } else { None }
            }
            38 => {
                (self.is_half, self.is_short) = (false, false);
                let value = i32::from(self.value?) << 7 | i32::from(value);
                Some((self.control(channel)?, from_fourteen_bits(value)))
            }
            _ => None,
        }
    }

    /// The parameter with the upper half of its value, if the lower one is still missing.
    fn take_half(&mut self, channel: u8) -> Option<(Control, f64)> {
        if !std::mem::take(&mut self.is_half) {
            return None;
        }
        Some((self.control(channel)?, from_seven_bits(self.value?.into())))
    }

    /// The parameter that is chosen, if one is.
    fn control(&self, channel: u8) -> Option<Control> {
        let [low, high] = self.number;
        match (u16::from(high?) << 7 | u16::from(low?), self.registered) {
            // 127/127 means: no parameter.
            (0x3FFF, true) => None,
            (number, true) => Some(Control::Registered(channel, number)),
            (number, false) => Some(Control::NonRegistered(channel, number)),
        }
    }
}

/// The controllers that set a parameter: controller and value. With `full`, the last two
/// deselect it.
pub(super) fn parameter_output(
    registered: bool,
    number: u16,
    value: u16,
    full: bool,
) -> impl Iterator<Item = (u8, u8)> {
    let (high, low) = if registered { (101, 100) } else { (99, 98) };
    let upper = |number: u16| (number >> 7 & 0x7F) as u8;
    let lower = |number: u16| (number & 0x7F) as u8;
    let all = [
        (high, upper(number)),
        (low, lower(number)),
        (6, upper(value)),
        (38, lower(value)),
        (101, 127),
        (100, 127),
    ];
    all.into_iter().take(if full { 6 } else { 4 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sent_is_understood(
            sent in prop::collection::vec((any::<bool>(), 0_u16..16_383, 0_u16..16_384), 1..20),
            full in any::<bool>(),
        ) {
            let mut input = ParameterInput::default();
            for (registered, number, value) in sent {
                let heard: Vec<_> = parameter_output(registered, number, value, full)
                    .filter_map(|(controller, value)| input.controller(5, controller, value))
                    .collect();
                let control = if registered {
                    Control::Registered(5, number)
                } else {
                    Control::NonRegistered(5, number)
                };
                prop_assert_eq!(heard, [(control, from_fourteen_bits(value.into()))]);
            }
        }
    }

    #[test]
    fn a_plain_controller_6_says_nothing_about_parameters() {
        let mut input = ParameterInput::default();
        let mut said = Vec::new();
        for (controller, value) in [(6, 1), (6, 2), (101, 0), (100, 1), (6, 127), (38, 127)] {
            said.extend(input.controller(0, controller, value));
        }
        assert_eq!(said, [(Control::Registered(0, 1), 1.0)]);
    }

    #[test]
    fn incomplete_parameters_say_nothing() {
        let mut input = ParameterInput::default();
        assert_eq!(input.controller(0, 38, 1), None);
        assert_eq!(input.controller(0, 99, 1), None);
        assert_eq!(input.controller(0, 6, 1), None);
        assert_eq!(input.controller(0, 38, 1), None, "the lower half of the number is missing");
        assert_eq!(input.controller(0, 100, 1), None, "a change of kind begins anew");
        assert_eq!(input.controller(0, 38, 1), None);
    }
}
