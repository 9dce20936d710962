//! What stands at a moment in the middle of a file: programs with their banks, controllers,
//! bends, parameters. (Sequencers say that they *chase* these.)

use std::collections::HashMap;

use consort_seq::Event;
use consort_seq::file::{Body, MidiFile};

/// The events that bring about what stands before event number `index`: of each thing the last,
/// in the order in which they were set last. System exclusive messages are not among them.
pub(super) fn state_before(file: &MidiFile, index: usize) -> Vec<Event> {
    let mut chase = Chase::default();
    for (at, event) in file.events().take(index).enumerate() {
        if let Body::Message(message) = event.body {
            chase.message(at, message);
        }
    }
    chase.order().into_iter().filter_map(|at| file.get(at)?.to_event()).collect()
}

/// A thing that is set; the first number is the MIDI channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing {
    /// By one message: a status, and a controller's number or 0.
    Plain(u8, u8, u8),
    /// A program, with the bank that it was chosen from.
    Program(u8),
    /// A registered (or not) parameter: its two numbers, then its data.
    Parameter(u8, bool, u16),
    /// Which parameter is chosen.
    Choice(u8),
}

/// An event of the file: its number, and its controller.
type At = (usize, u8);

#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    bank: [Option<At>; 2],
    is_registered: bool,
    /// The lower and upper half of the parameter's number: where, and its value.
    parameter: [Option<(At, u8)>; 2],
}

impl Channel {
    /// Where the parameter was chosen, as far as it was.
    fn choice(&self) -> Vec<At> {
        let mut choice: Vec<At> = self.parameter.iter().flatten().map(|(at, _)| *at).collect();
        choice.sort_unstable();
        choice
    }

    fn number(&self) -> Option<u16> {
        let [Some((_, low)), Some((_, high))] = self.parameter else { return None };
        Some(u16::from(high) << 7 | u16::from(low))
    }
}

#[derive(Default)]
struct Chase {
    channels: [Channel; 16],
    /// What sets each thing.
    set: HashMap<Thing, Vec<At>>,
}

impl Chase {
    fn message(&mut self, at: usize, message: &[u8]) {
        let &[status, first, ref rest @ ..] = message else { return };
        let channel = status & 0x0f;
        match (status & 0xf0, rest) {
            (0xb0, [value]) => self.controller((at, first), channel, *value),
            (0xc0, _) => {
                let bank = self.channels[usize::from(channel)].bank;
                let mut all: Vec<At> = bank.into_iter().flatten().collect();
                all.sort_unstable();
                all.push((at, 0));
                self.set.insert(Thing::Program(channel), all);
            }
            (kind @ (0xd0 | 0xe0), _) => {
                self.set.insert(Thing::Plain(channel, kind, 0), vec![(at, 0)]);
            }
            _ => {}
        }
    }

    fn controller(&mut self, at: At, channel: u8, value: u8) {
        let own = &mut self.channels[usize::from(channel)];
        // What excludes each other is one thing.
        let number = match at.1 {
            98..=101 => {
                let is_registered = at.1 >= 100;
                if own.is_registered != is_registered {
                    (own.is_registered, own.parameter) = (is_registered, [None; 2]);
                }
                own.parameter[usize::from(at.1 & 1)] = Some((at, value));
                return;
            }
            6 | 38 | 96 | 97 if own.number().is_some() => return self.data(at, channel),
            // Notes end; nothing stands after that.
            120 | 123 => return,
            124 | 125 => 124,
            126 | 127 => 126,
            number => {
                if number & !32 == 0 {
                    own.bank[usize::from(number / 32)] = Some(at);
                }
                number
            }
        };
        self.set.insert(Thing::Plain(channel, 0xb0, number), vec![at]);
    }

    /// The data of the parameter that is chosen: its upper half counts from the beginning, its
    /// lower half replaces one before, steps add up.
    fn data(&mut self, at: At, channel: u8) {
        let own = &self.channels[usize::from(channel)];
        let Some(number) = own.number().filter(|it| *it != 0x3fff || !own.is_registered) else {
            return;
        };
        let mut all = own.choice();
        let thing = Thing::Parameter(channel, own.is_registered, number);
        if at.1 != 6 {
            let before = self.set.get(&thing).into_iter().flatten().skip(2);
            all.extend(before.filter(|(_, controller)| *controller != 38 || at.1 != 38));
        }
        all.push(at);
        self.set.insert(thing, all);
    }

    /// The numbers of the events, in order.
    fn order(mut self) -> Vec<usize> {
        for (channel, own) in (0..).zip(&self.channels) {
            let program = self.set.get(&Thing::Program(channel)).cloned().unwrap_or_default();
            for bank in [0, 32] {
                let thing = Thing::Plain(channel, 0xb0, bank);
                if self.set.get(&thing).is_some_and(|bank| program.contains(&bank[0])) {
                    self.set.remove(&thing);
                }
            }
            let (choice, number) = (own.choice(), own.number().unwrap_or_default());
            let chosen = self.set.get(&Thing::Parameter(channel, own.is_registered, number));
            let is_set = chosen.is_some_and(|chosen| chosen.starts_with(&choice));
            if !choice.is_empty() && !is_set {
                self.set.insert(Thing::Choice(channel), choice);
            }
        }
        let mut all: Vec<Vec<At>> = self.set.into_values().collect();
        all.sort_unstable_by_key(|events| events.last().copied());
        all.into_iter().flatten().map(|(at, _)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use consort_seq::RealTime;
    use consort_seq::file::Recording;

    use super::*;

    /// What stands after these events.
    fn state(events: &[Event]) -> Vec<Event> {
        let mut recording = Recording::new(480, 500_000, &[""]).expect("sound");
        for event in events {
            assert!(recording.push(0, RealTime::ZERO, event));
        }
        let file = recording.finish(RealTime::ZERO);
        state_before(&file, file.len())
    }

    fn cc(param: u8, value: u8) -> Event {
        Event::control_change(4, param, value).expect("sound")
    }

    fn program(number: u8) -> Event {
        Event::program_change(4, number).expect("sound")
    }

    #[test]
    fn a_program_comes_with_the_bank_that_it_was_chosen_from() {
        let events = [cc(0, 3), cc(32, 1), program(7), cc(0, 5), cc(7, 100)];
        assert_eq!(state(&events), events);
        let events = [cc(0, 3), program(7), cc(0, 5), program(8)];
        assert_eq!(state(&events), events[2..]);
    }

    #[test]
    fn resets_and_modes_stand_in_their_order() {
        let bend = Event::pitch_bend(4, 99).expect("sound");
        let events = [cc(1, 64), bend, cc(121, 0), cc(11, 9), cc(126, 1), cc(122, 0)];
        assert_eq!(state(&events), events);
        // Notes off, and of two that exclude each other the first, say nothing any more.
        let events = [cc(123, 0), cc(127, 0), cc(126, 1), cc(1, 5), cc(1, 6)];
        assert_eq!(state(&events), [cc(126, 1), cc(1, 6)]);
    }

    #[test]
    fn of_each_parameter_the_last_value_and_the_choice() {
        // A filter that moves a thousand times, and the range of the bend once between.
        let mut events = vec![cc(99, 1), cc(98, 8)];
        events.extend((0..1_000).map(|step| cc(6, step as u8 & 127)));
        events.extend([cc(101, 0), cc(100, 0), cc(6, 12), cc(38, 1), cc(38, 2), cc(96, 0)]);
        events.extend([cc(99, 1), cc(98, 8), cc(6, 3), cc(101, 127), cc(100, 127), cc(6, 9)]);
        let expected = [
            [cc(101, 0), cc(100, 0), cc(6, 12), cc(38, 2), cc(96, 0)],
            [cc(99, 1), cc(98, 8), cc(6, 3), cc(101, 127), cc(100, 127)],
        ];
        assert_eq!(state(&events), expected.concat());
        // Without a parameter the data are a plain controller.
        assert_eq!(state(&[cc(6, 1), cc(6, 2)]), [cc(6, 2)]);
    }
}
