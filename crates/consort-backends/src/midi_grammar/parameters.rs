//! Registered and non-registered parameters (RPN, NRPN), which are sent as controllers: 101 and
//! 100 select a registered parameter, 99 and 98 a non-registered one; 6 and 38 set the upper and
//! lower 7 bits of its value.
//!
//! Many devices never send controller 38. So the upper half of a value is held back until it is
//! clear that no lower half follows; after that, the device counts as "short", and each upper half
//! is a value at once. For example, for 99, 98, 6, 6:
//!
//! | controller | result |
//! |---|---|
//! | 99, 98 | the parameter is selected |
//! | 6 | nothing: 38 may follow |
//! | 6 | 38 did not follow: from now on the device is short, and this 6 is a value of 7 bits |
//!
//! A controller 38 ends the short mode.

use super::channels::Control;
use super::values::{from_fourteen_bits, from_seven_bits};

/// The parameter that the controllers of one MIDI channel have selected, and its value so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct ParameterInput {
    registered: bool,
    /// The lower and upper half of the parameter's number.
    number: [Option<u8>; 2],
    /// The upper half of the value.
    value: Option<u8>,
    /// Whether the lower half of the value is missing.
    is_half: bool,
    /// Whether the device has left out the lower half, so that the next value does not wait for it.
    is_short: bool,
}

impl ParameterInput {
    /// Handles a controller. Returns a parameter and its value when the value is complete: with 14
    /// bits, or with 7 if the lower half does not follow.
    pub(crate) fn controller(
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

    /// The parameter with the upper half of its value, if the lower half is still missing.
    fn take_half(&mut self, channel: u8) -> Option<(Control, f64)> {
        if !std::mem::take(&mut self.is_half) {
            return None;
        }
        Some((self.control(channel)?, from_seven_bits(self.value?.into())))
    }

    /// The selected parameter, if there is one.
    fn control(&self, channel: u8) -> Option<Control> {
        let [low, high] = self.number;
        match (u16::from(high?) << 7 | u16::from(low?), self.registered) {
            // The null parameter 127/127 deselects.
            (0x3FFF, true) => None,
            (number, true) => Some(Control::Registered(channel, number)),
            (number, false) => Some(Control::NonRegistered(channel, number)),
        }
    }
}

/// The controllers that set a parameter, with their values. With `deselects`, the last two deselect
/// the parameter.
pub(crate) fn parameter_output(
    registered: bool,
    number: u16,
    value: u16,
    deselects: bool,
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
    all.into_iter().take(if deselects { 6 } else { 4 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sent_parameters_are_received(
            sent in prop::collection::vec((any::<bool>(), 0_u16..16_383, 0_u16..16_384), 1..20),
            deselects in any::<bool>(),
        ) {
            let mut input = ParameterInput::default();
            for (registered, number, value) in sent {
                let received: Vec<_> = parameter_output(registered, number, value, deselects)
                    .filter_map(|(controller, value)| input.controller(5, controller, value))
                    .collect();
                let control = if registered {
                    Control::Registered(5, number)
                } else {
                    Control::NonRegistered(5, number)
                };
                prop_assert_eq!(received, [(control, from_fourteen_bits(value.into()))]);
            }
        }
    }

    #[test]
    fn controller_6_without_a_selected_parameter_is_ignored() {
        let mut input = ParameterInput::default();
        let mut received = Vec::new();
        for (controller, value) in [(6, 1), (6, 2), (101, 0), (100, 1), (6, 127), (38, 127)] {
            received.extend(input.controller(0, controller, value));
        }
        assert_eq!(received, [(Control::Registered(0, 1), 1.0)]);
    }

    #[test]
    fn incomplete_parameters_give_no_value() {
        let mut input = ParameterInput::default();
        assert_eq!(input.controller(0, 38, 1), None);
        assert_eq!(input.controller(0, 99, 1), None);
        assert_eq!(input.controller(0, 6, 1), None);
        assert_eq!(input.controller(0, 38, 1), None, "the lower half of the number is missing");
        assert_eq!(input.controller(0, 100, 1), None, "the other kind of parameter starts again");
        assert_eq!(input.controller(0, 38, 1), None);
    }
}
