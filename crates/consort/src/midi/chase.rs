//! The state in the middle of a file: programs with their banks, controllers, pitch bends,
//! parameters. Sequencer programs call this *chasing*.

use std::collections::HashMap;

use consort_seq::Event;
use consort_seq::file::{Body, MidiFile};

/// The events that set the state before event number `index`: the last one for each setting, in
/// the order of the file. System exclusive messages are left out.
pub(super) fn state_before(file: &MidiFile, index: usize) -> Vec<Event> {
    let mut chase = Chase::default();
    for (position, event) in file.events().take(index).enumerate() {
        if let Body::Message(message) = event.body {
            chase.message(position, message);
        }
    }
    let positions = chase.order().into_iter();
    positions.filter_map(|position| file.get(position)?.to_event()).collect()
}

/// A part of the state that messages set; the first number is the MIDI channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Setting {
    /// Set by one message: its status, and the controller's number or 0.
    Plain(u8, u8, u8),
    /// A program with its bank.
    Program(u8),
    /// A parameter: whether it is registered, and its number. Its events are the two that select
    /// it, then its data.
    Parameter(u8, bool, u16),
    /// The parameter that is selected.
    Selection(u8),
}

/// An event of the file: its number, and its controller or 0.
type EventRef = (usize, u8);

/// What later messages of a MIDI channel depend on.
#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    /// Bank select, upper and lower half.
    bank: [Option<EventRef>; 2],
    is_registered: bool,
    /// The lower and upper half of the selected parameter's number: event and value.
    parameter: [Option<(EventRef, u8)>; 2],
}

impl Channel {
    /// The events that selected the parameter: none, one or two.
    fn selection(&self) -> Vec<EventRef> {
        let halves = self.parameter.iter().flatten();
        let mut selection: Vec<EventRef> = halves.map(|(event, _)| *event).collect();
        selection.sort_unstable();
        selection
    }

    /// The number of the selected parameter, if both halves are known.
    fn number(&self) -> Option<u16> {
        let [Some((_, low)), Some((_, high))] = self.parameter else { return None };
        Some(u16::from(high) << 7 | u16::from(low))
    }
}

/// The state after the messages so far.
#[derive(Default)]
struct Chase {
    channels: [Channel; 16],
    /// The events that make each setting.
    set: HashMap<Setting, Vec<EventRef>>,
}

impl Chase {
    /// Updates the state with a message.
    fn message(&mut self, position: usize, message: &[u8]) {
        let &[status, first, ref rest @ ..] = message else { return };
        let channel = status & 0x0f;
        match (status & 0xf0, rest) {
            (0xb0, [value]) => self.controller((position, first), channel, *value),
            (0xc0, _) => {
                let bank = self.channels[usize::from(channel)].bank;
                let mut events: Vec<EventRef> = bank.into_iter().flatten().collect();
                events.sort_unstable();
                events.push((position, 0));
                self.set.insert(Setting::Program(channel), events);
            }
            (kind @ (0xd0 | 0xe0), _) => {
                self.set.insert(Setting::Plain(channel, kind, 0), vec![(position, 0)]);
            }
            _ => {}
        }
    }

    /// Updates the state with a controller.
    fn controller(&mut self, event: EventRef, channel: u8, value: u8) {
        let state = &mut self.channels[usize::from(channel)];
        // Controllers that exclude each other are one setting.
        let number = match event.1 {
            98..=101 => {
                let is_registered = event.1 >= 100;
                if state.is_registered != is_registered {
                    (state.is_registered, state.parameter) = (is_registered, [None; 2]);
                }
                state.parameter[usize::from(event.1 & 1)] = Some((event, value));
                return;
            }
            6 | 38 | 96 | 97 if state.number().is_some() => return self.data(event, channel),
            // These end notes and set nothing.
            120 | 123 => return,
            124 | 125 => 124,
            126 | 127 => 126,
            number => {
                if number & !32 == 0 {
                    state.bank[usize::from(number / 32)] = Some(event);
                }
                number
            }
        };
        self.set.insert(Setting::Plain(channel, 0xb0, number), vec![event]);
    }

    /// Updates the selected parameter with its data: the upper half discards earlier data, the
    /// lower half replaces an earlier lower half, increments and decrements accumulate.
    fn data(&mut self, event: EventRef, channel: u8) {
        let state = &self.channels[usize::from(channel)];
        // The registered parameter 0x3fff is the null parameter: data has no effect.
        let is_null = |number: &u16| *number == 0x3fff && state.is_registered;
        let Some(number) = state.number().filter(|number| !is_null(number)) else { return };
        let mut events = state.selection();
        let setting = Setting::Parameter(channel, state.is_registered, number);
        if event.1 != 6 {
            let earlier = self.set.get(&setting).into_iter().flatten().skip(2);
            events.extend(earlier.filter(|(_, controller)| *controller != 38 || event.1 != 38));
        }
        events.push(event);
        self.set.insert(setting, events);
    }

    /// The numbers of the events that make all settings, in order.
    fn order(mut self) -> Vec<usize> {
        for (channel, state) in (0..).zip(&self.channels) {
            let program = self.set.get(&Setting::Program(channel)).cloned().unwrap_or_default();
            for bank in [0, 32] {
                // A bank select that is sent with its program is not sent again.
                let setting = Setting::Plain(channel, 0xb0, bank);
                if self.set.get(&setting).is_some_and(|bank| program.contains(&bank[0])) {
                    self.set.remove(&setting);
                }
            }
            let (selection, number) = (state.selection(), state.number().unwrap_or_default());
            let selected = self.set.get(&Setting::Parameter(channel, state.is_registered, number));
            let is_sent = selected.is_some_and(|events| events.starts_with(&selection));
            if !selection.is_empty() && !is_sent {
                self.set.insert(Setting::Selection(channel), selection);
            }
        }
        let mut all: Vec<Vec<EventRef>> = self.set.into_values().collect();
        all.sort_unstable_by_key(|events| events.last().copied());
        all.into_iter().flatten().map(|(position, _)| position).collect()
    }
}

#[cfg(test)]
mod tests {
    use consort_seq::RealTime;
    use consort_seq::file::Recording;

    use super::*;

    /// The state after these events.
    fn state(events: &[Event]) -> Vec<Event> {
        let mut recording = Recording::new(480, 500_000, &[""]).expect("valid");
        for event in events {
            assert!(recording.push(0, RealTime::ZERO, event));
        }
        let file = recording.finish(RealTime::ZERO);
        state_before(&file, file.len())
    }

    fn cc(param: u8, value: u8) -> Event {
        Event::control_change(4, param, value).expect("valid")
    }

    fn program(number: u8) -> Event {
        Event::program_change(4, number).expect("valid")
    }

    #[test]
    fn a_program_keeps_the_bank_that_was_selected_before_it() {
        let events = [cc(0, 3), cc(32, 1), program(7), cc(0, 5), cc(7, 100)];
        assert_eq!(state(&events), events);
        let events = [cc(0, 3), program(7), cc(0, 5), program(8)];
        assert_eq!(state(&events), events[2..]);
    }

    #[test]
    fn resets_and_modes_keep_their_order() {
        let bend = Event::pitch_bend(4, 99).expect("valid");
        let events = [cc(1, 64), bend, cc(121, 0), cc(11, 9), cc(126, 1), cc(122, 0)];
        assert_eq!(state(&events), events);
        // All notes off is left out, and so is the first of two modes that exclude each other.
        let events = [cc(123, 0), cc(127, 0), cc(126, 1), cc(1, 5), cc(1, 6)];
        assert_eq!(state(&events), [cc(126, 1), cc(1, 6)]);
    }

    #[test]
    fn each_parameter_has_its_last_value_and_the_selection_is_restored() {
        // A filter that is changed a thousand times, and the pitch bend range once in between.
        let mut events = vec![cc(99, 1), cc(98, 8)];
        events.extend((0..1_000).map(|step| cc(6, step as u8 & 127)));
        events.extend([cc(101, 0), cc(100, 0), cc(6, 12), cc(38, 1), cc(38, 2), cc(96, 0)]);
        events.extend([cc(99, 1), cc(98, 8), cc(6, 3), cc(101, 127), cc(100, 127), cc(6, 9)]);
        let expected = [
            [cc(101, 0), cc(100, 0), cc(6, 12), cc(38, 2), cc(96, 0)],
            [cc(99, 1), cc(98, 8), cc(6, 3), cc(101, 127), cc(100, 127)],
        ];
        assert_eq!(state(&events), expected.concat());
        // Without a selected parameter, data entry is a plain controller.
        assert_eq!(state(&[cc(6, 1), cc(6, 2)]), [cc(6, 2)]);
    }
}
