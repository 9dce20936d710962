//! Registered and non-registered parameters over controllers 101, 100, 99, 98, 6 and 38.

use super::channels::Control;

/// What the controllers of one MIDI channel have said so far.
#[derive(Clone, Copy, Default)]
pub(super) struct ParameterInput {
    registered: bool,
    number: [Option<u8>; 2],
    value: Option<u8>,
}

impl ParameterInput {
    /// Takes a controller; returns the parameter and its 14-bit value when that is complete.
    pub(super) fn controller(
        &mut self,
        channel: u8,
        controller: u8,
        value: u8,
    ) -> Option<(Control, u16)> {
        match controller {
            98..=101 => {
                let registered = controller >= 100;
                if registered != self.registered {
                    *self = ParameterInput { registered, ..ParameterInput::default() };
                }
                self.number[usize::from(controller & 1)] = Some(value);
                self.value = None;
                None
            }
            6 => {
                self.value = Some(value);
                None
            }
            38 => {
                let [Some(low), Some(high)] = self.number else { return None };
                let number = u16::from(high) << 7 | u16::from(low);
                // 127/127 means: no parameter.
                if number == 0x3FFF && self.registered {
                    return None;
                }
                let value = u16::from(self.value?) << 7 | u16::from(value);
                let control = if self.registered {
                    Control::Registered(channel, number)
                } else {
                    Control::NonRegistered(channel, number)
                };
                Some((control, value))
            }
            _ => None,
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
                prop_assert_eq!(heard, [(control, value)]);
            }
        }
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
