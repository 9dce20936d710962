use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    polyphony: 4,
    steal: Steal::Oldest,
    mode: Mode::Poly,
    ending: Ending::Gate,
    glides: false,
};

/// The voices of an instrument and their commands.
struct Instrument {
    voices: Voices,
    next: i32,
    commands: Vec<VoiceCommand>,
    /// Whether the server reports every start at once.
    starts_at_once: bool,
}

impl Instrument {
    fn new(rules: Rules) -> Self {
        Instrument {
            voices: Voices::new(rules),
            next: 1000,
            commands: Vec::new(),
            starts_at_once: true,
        }
    }

    fn key(&mut self, note: u8, velocity: f64) -> Vec<VoiceCommand> {
        let mut ids = || {
            self.next += 1;
            self.next
        };
        self.voices.key(note, velocity, &mut ids, &mut self.commands);
        let commands = std::mem::take(&mut self.commands);
        if self.starts_at_once {
            self.report_starts();
        }
        commands
    }

    /// The server reports that all nodes have started.
    fn report_starts(&mut self) -> Vec<VoiceCommand> {
        for node in self.voices.nodes().map(|(node, ..)| node).collect::<Vec<_>>() {
            self.voices.on_started(node, &mut self.commands);
        }
        std::mem::take(&mut self.commands)
    }

    fn pedal(&mut self, is_down: bool) -> Vec<VoiceCommand> {
        self.voices.sustain(is_down, &mut self.commands);
        std::mem::take(&mut self.commands)
    }

    fn set_rules(&mut self, rules: Rules) -> Vec<VoiceCommand> {
        self.voices.set_rules(rules, &mut self.commands);
        std::mem::take(&mut self.commands)
    }

    fn release_keys(&mut self, notes: &[u8]) -> Vec<VoiceCommand> {
        let mut ids = || {
            self.next += 1;
            self.next
        };
        let is_selected = |note| notes.contains(&note);
        self.voices.release_keys(is_selected, &mut ids, &mut self.commands);
        std::mem::take(&mut self.commands)
    }

    fn restore(&mut self) -> Vec<VoiceCommand> {
        let mut ids = || {
            self.next += 1;
            self.next
        };
        self.voices.restore(&mut ids, &mut self.commands);
        let commands = std::mem::take(&mut self.commands);
        if self.starts_at_once {
            self.report_starts();
        }
        commands
    }
}

fn start(node: i32, note: u8, velocity: f64) -> VoiceCommand {
    VoiceCommand::Start { node, note, velocity, from: None }
}

#[test]
fn a_key_starts_a_voice_and_ends_it() {
    let mut instrument = Instrument::new(RULES);
    assert_eq!(instrument.key(60, 0.5), [start(1001, 60, 0.5)]);
    assert_eq!(instrument.key(60, 0.0), [VoiceCommand::Release { node: 1001 }]);
    assert_eq!(instrument.voices.len(), 1, "it fades until the server reports its end");
    assert_eq!(instrument.voices.on_ended(1001), Some(60));
    assert_eq!(instrument.voices.on_ended(1001), None);
    assert_eq!(instrument.key(60, 0.0), []);
}

#[test]
fn a_release_waits_until_the_node_has_started() {
    let mut instrument = Instrument::new(RULES);
    instrument.starts_at_once = false;
    instrument.key(60, 0.5);
    assert_eq!(instrument.key(60, 0.0), [], "its envelope would never run, and the node never end");
    assert!(instrument.voices.has_new(true));
    assert_eq!(instrument.report_starts(), [VoiceCommand::Release { node: 1001 }]);
    assert!(!instrument.voices.has_new(false));
    // If the report is lost, the node counts as started after two ticks.
    instrument.key(61, 0.5);
    instrument.key(61, 0.0);
    instrument.key(62, 0.5);
    for expected in [vec![], vec![VoiceCommand::Release { node: 1002 }], vec![]] {
        instrument.voices.tick(None, &mut instrument.commands);
        assert_eq!(std::mem::take(&mut instrument.commands), expected);
    }
    assert_eq!(instrument.key(62, 0.0), [VoiceCommand::Release { node: 1003 }]);
    // Without reports of ends, a node ends after some ticks.
    assert!(instrument.voices.has_fading());
    for left in [3, 1, 1, 0] {
        instrument.voices.tick(Some(5), &mut instrument.commands);
        assert_eq!(instrument.voices.len(), left);
    }
    // A voice that is stolen before it has started is new.
    let mut instrument = Instrument::new(Rules { polyphony: 1, ..RULES });
    instrument.starts_at_once = false;
    instrument.key(60, 0.5);
    assert_eq!(
        instrument.key(61, 0.5)[0],
        VoiceCommand::Cut { node: 1001, note: 60, by_gate: false }
    );
}

#[test]
fn a_repeated_key_ends_the_note_before() {
    let mut instrument = Instrument::new(RULES);
    instrument.key(60, 0.5);
    assert_eq!(
        instrument.key(60, 0.7),
        [VoiceCommand::Release { node: 1001 }, start(1002, 60, 0.7)]
    );
    assert_eq!(instrument.voices.on_ended(1001), Some(60));
    assert!(instrument.voices.is_sounding(60));
}

#[test]
fn each_policy_selects_its_victim_and_fading_voices_are_stolen_first() {
    for (steal, victim) in [
        (Steal::Oldest, 1001),
        (Steal::Quietest, 1003),
        (Steal::Lowest, 1002),
        (Steal::Highest, 1004),
    ] {
        let mut instrument = Instrument::new(Rules { steal, ..RULES });
        for (note, velocity) in [(60, 0.5), (50, 0.6), (61, 0.1), (72, 0.9)] {
            instrument.key(note, velocity);
        }
        let commands = instrument.key(65, 0.4);
        assert!(
            matches!(commands[0], VoiceCommand::Cut { node, .. } if node == victim),
            "{steal:?} {commands:?}"
        );
        assert_eq!((commands.len(), instrument.voices.stolen), (2, 1));
        // A fading voice is stolen first, and does not count as stolen.
        let fading = if victim == 1004 { 50 } else { 72 };
        instrument.key(fading, 0.0);
        let commands = instrument.key(66, 0.4);
        assert!(
            matches!(commands[0], VoiceCommand::Cut { note, .. } if note == fading),
            "{commands:?}"
        );
        assert_eq!(instrument.voices.stolen, 1);
    }
}

#[test]
fn without_stealing_a_note_is_refused_and_counted() {
    let mut instrument = Instrument::new(Rules { steal: Steal::None, polyphony: 1, ..RULES });
    instrument.key(60, 1.0);
    assert_eq!(instrument.key(61, 1.0), []);
    assert_eq!((instrument.voices.refused, instrument.voices.stolen), (1, 0));
    assert_eq!(instrument.key(61, 0.0), [], "a refused note has no node to release");
    instrument.key(60, 0.0);
    assert_eq!(instrument.key(62, 1.0).len(), 2, "the fading voice is stolen");
}

#[test]
fn the_pedal_holds_notes_until_it_is_released() {
    let mut instrument = Instrument::new(RULES);
    instrument.key(60, 0.5);
    instrument.pedal(true);
    instrument.key(64, 0.5);
    assert_eq!(instrument.key(60, 0.0), []);
    assert_eq!(instrument.pedal(true), []);
    // A key that is still down keeps its note.
    assert_eq!(instrument.pedal(false), [VoiceCommand::Release { node: 1001 }]);
    assert_eq!(instrument.key(64, 0.0), [VoiceCommand::Release { node: 1002 }]);
    // A sustained note that is played again does not sound twice.
    instrument.pedal(true);
    instrument.key(67, 0.5);
    instrument.key(67, 0.0);
    assert_eq!(
        instrument.key(67, 0.6),
        [VoiceCommand::Release { node: 1003 }, start(1004, 67, 0.6)]
    );
}

#[test]
fn mono_returns_to_the_previous_key() {
    let mut instrument = Instrument::new(Rules { mode: Mode::Mono, ..RULES });
    instrument.key(60, 0.5);
    assert_eq!(
        instrument.key(64, 0.6),
        [VoiceCommand::Release { node: 1001 }, start(1002, 64, 0.6)]
    );
    assert_eq!(
        instrument.key(64, 0.0),
        [VoiceCommand::Release { node: 1002 }, start(1003, 60, 0.5)]
    );
    // The release of another held key changes nothing.
    instrument.key(62, 0.5);
    instrument.key(64, 0.5);
    assert_eq!(instrument.key(62, 0.0), []);
    instrument.key(64, 0.0);
    assert_eq!(instrument.key(60, 0.0).len(), 1);
}

#[test]
fn legato_slides_and_the_pedal_holds_the_last_note() {
    let mut instrument = Instrument::new(Rules { mode: Mode::Legato, glides: true, ..RULES });
    instrument.key(60, 0.5);
    assert_eq!(instrument.key(67, 0.9), [VoiceCommand::Retune { node: 1001, note: 67 }]);
    assert_eq!(instrument.key(67, 0.0), [VoiceCommand::Retune { node: 1001, note: 60 }]);
    instrument.pedal(true);
    assert_eq!(instrument.key(60, 0.0), []);
    assert_eq!(instrument.key(62, 0.5), [VoiceCommand::Retune { node: 1001, note: 62 }]);
    instrument.key(62, 0.0);
    assert_eq!(instrument.pedal(false), [VoiceCommand::Release { node: 1001 }]);
    // The next phrase starts a new voice, and slides from the last note.
    let expected = VoiceCommand::Start { node: 1002, note: 70, velocity: 0.5, from: Some(62) };
    assert_eq!(instrument.key(70, 0.5), [expected]);
}

#[test]
fn without_a_gate_a_voice_frees_itself_or_is_cut() {
    let mut instrument = Instrument::new(Rules { ending: Ending::Itself, ..RULES });
    instrument.key(36, 1.0);
    assert_eq!(instrument.key(36, 0.0), []);
    assert_eq!(instrument.voices.len(), 1);
    instrument.pedal(true);
    instrument.key(38, 1.0);
    instrument.key(38, 0.0);
    assert_eq!(instrument.pedal(false), []);
    let mut instrument = Instrument::new(Rules { ending: Ending::Cut, ..RULES });
    instrument.key(36, 1.0);
    assert_eq!(
        instrument.key(36, 0.0),
        [VoiceCommand::Cut { node: 1001, note: 36, by_gate: false }]
    );
    assert_eq!(instrument.voices.len(), 0);
}

#[test]
fn held_notes_are_restored_and_fading_ones_are_not() {
    let mut instrument = Instrument::new(RULES);
    instrument.key(60, 0.5);
    instrument.key(61, 0.6);
    instrument.pedal(true);
    instrument.key(60, 0.0);
    instrument.key(62, 0.7);
    instrument.voices.end_where(|voice| voice.note == 62, &mut Vec::new());
    assert_eq!(instrument.restore(), [start(1004, 60, 0.5), start(1005, 61, 0.6)]);
    assert_eq!(
        instrument.pedal(false),
        [VoiceCommand::Release { node: 1004 }],
        "its key is still up"
    );
    assert_eq!(instrument.voices.len(), 2);
    let mut instrument = Instrument::new(Rules { ending: Ending::Itself, ..RULES });
    instrument.key(36, 1.0);
    assert_eq!(instrument.restore(), []);
    assert_eq!(instrument.voices.len(), 0);
}

#[test]
fn changed_rules_apply_to_the_next_notes() {
    let mut instrument = Instrument::new(RULES);
    for note in 60..64 {
        instrument.key(note, 0.5);
    }
    // What sounds goes on; the next note steals as many voices as are too many.
    assert_eq!(instrument.set_rules(Rules { polyphony: 2, ..RULES }), []);
    assert_eq!(instrument.voices.len(), 4);
    let commands = instrument.key(70, 0.5);
    assert_eq!((commands.len(), instrument.voices.len()), (4, 2));
    // Nodes end as they started: here through their gate.
    let itself = Rules { ending: Ending::Itself, ..RULES };
    assert_eq!(instrument.set_rules(itself), []);
    assert_eq!(instrument.key(70, 0.0), [VoiceCommand::Release { node: 1005 }]);
    instrument.key(71, 0.5);
    assert_eq!(instrument.key(71, 0.0), []);
}

#[test]
fn a_poly_voice_becomes_mono_and_poly_again_while_keys_are_down() {
    let mut instrument = Instrument::new(RULES);
    for note in [60, 64, 67] {
        instrument.key(note, 0.5);
    }
    let released = |node| VoiceCommand::Release { node };
    let mono = Rules { mode: Mode::Legato, ..RULES };
    assert_eq!(instrument.set_rules(mono), [released(1001), released(1002)]);
    assert_eq!(instrument.key(67, 0.0), [VoiceCommand::Retune { node: 1003, note: 64 }]);
    assert_eq!(instrument.set_rules(RULES), []);
    assert_eq!(instrument.key(60, 0.0), []);
    assert_eq!(instrument.key(64, 0.0), [released(1003)]);
}

#[test]
fn selected_keys_are_released_together() {
    let mut instrument = Instrument::new(RULES);
    for note in [60, 64, 67] {
        instrument.key(note, 0.5);
    }
    let released = |node| VoiceCommand::Release { node };
    assert_eq!(instrument.release_keys(&[60, 67]), [released(1001), released(1003)]);
    instrument.pedal(true);
    assert_eq!(instrument.release_keys(&[64]), []);
    assert_eq!(instrument.pedal(false), [released(1002)]);
    // In mono, no key that goes up too sounds in between.
    let mut instrument = Instrument::new(Rules { mode: Mode::Mono, ..RULES });
    for note in [60, 64, 67] {
        instrument.key(note, 0.5);
    }
    assert_eq!(instrument.release_keys(&[67, 64]), [released(1003), start(1004, 60, 0.5)]);
    assert_eq!(instrument.release_keys(&[61]), []);
    instrument.report_starts();
    assert_eq!(instrument.release_keys(&[60]), [released(1004)]);
}

#[test]
fn a_removed_instrument_ends_its_notes_at_once() {
    let mut instrument = Instrument::new(RULES);
    instrument.key(60, 0.5);
    instrument.key(62, 0.5);
    instrument.key(62, 0.0);
    instrument.starts_at_once = false;
    instrument.key(64, 0.5);
    instrument.voices.retire(&mut instrument.commands);
    let cut = VoiceCommand::Cut { node: 1003, note: 64, by_gate: false };
    assert_eq!(instrument.commands, [VoiceCommand::Release { node: 1001 }, cut]);
    assert_eq!(instrument.voices.len(), 0);
}

/// A step of the property test.
#[derive(Clone, Debug)]
enum Act {
    Down(u8, u8),
    Up(u8),
    Pedal(bool),
    /// The server reports all starts.
    ReportStarts,
    Tick,
    /// The oldest fading node ends on the server, as it does when it is silent.
    End,
    Restart,
    /// A reload changes the rules.
    Change(Rules),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (60..72_u8, 1..=127_u8).prop_map(|(note, velocity)| Act::Down(note, velocity)),
        6 => (60..72_u8).prop_map(Act::Up),
        1 => any::<bool>().prop_map(Act::Pedal),
        3 => Just(Act::End),
        4 => Just(Act::ReportStarts),
        1 => Just(Act::Tick),
        1 => Just(Act::Restart),
        1 => rules().prop_map(Act::Change),
    ];
    prop::collection::vec(act, 0..200)
}

fn rules() -> impl Strategy<Value = Rules> {
    use {Ending::*, Mode::*};
    let steal = prop::sample::select(vec![
        Steal::Oldest,
        Steal::Quietest,
        Steal::Lowest,
        Steal::Highest,
        Steal::None,
    ]);
    let mode = prop::sample::select(vec![Poly, Mono, Legato]);
    let ending = prop::sample::select(vec![Gate, Itself, Cut]);
    (1..8_usize, steal, mode, ending, any::<bool>()).prop_map(
        |(polyphony, steal, mode, ending, glides)| Rules { polyphony, steal, mode, ending, glides },
    )
}

proptest! {
    /// Models the server: its nodes, and whether their gate is closed.
    #[test]
    fn no_voice_is_stuck_and_no_node_is_started_twice(rules in rules(), acts in acts()) {
        let mut instrument = Instrument::new(rules);
        instrument.starts_at_once = false;
        // The rules that apply to each node that started, and those of the next ones.
        let mut rules = rules;
        let mut endings: HashMap<i32, Ending> = HashMap::new();
        let mut live: HashMap<i32, bool> = HashMap::new();
        let mut ever = HashSet::new();
        let mut pedal = false;
        let all_up = (60..72).map(Act::Up).chain([Act::Pedal(false), Act::Tick, Act::Tick]);
        for act in acts.into_iter().chain(all_up) {
            let (started, refused) = (ever.len(), instrument.voices.refused);
            let (is_down, before) = (matches!(act, Act::Down(..)), live.len());
            let commands = match act {
                Act::Down(note, velocity) => instrument.key(note, f64::from(velocity) / 127.0),
                Act::Up(note) => instrument.key(note, 0.0),
                Act::ReportStarts => instrument.report_starts(),
                Act::Tick => {
                    instrument.voices.tick(None, &mut instrument.commands);
                    std::mem::take(&mut instrument.commands)
                }
                Act::Pedal(is_down) => { pedal = is_down; instrument.pedal(is_down) }
                Act::End => {
                    let fading = live
                        .iter()
                        .filter(|(node, released)| **released || endings[*node] == Ending::Itself);
                    if let Some(node) = fading.map(|(node, _)| *node).min() {
                        live.remove(&node);
                        instrument.voices.on_ended(node);
                    }
                    Vec::new()
                }
                Act::Restart => { live.clear(); instrument.restore() }
                Act::Change(new) => { rules = new; instrument.set_rules(new) }
            };
            for command in commands {
                match command {
                    VoiceCommand::Start { node, .. } => {
                        prop_assert!(ever.insert(node), "a node id was used twice");
                        live.insert(node, false);
                        endings.insert(node, rules.ending);
                    }
                    VoiceCommand::Retune { node, .. } => prop_assert_eq!(live.get(&node), Some(&false)),
                    VoiceCommand::Release { node } => {
                        prop_assert_eq!(live.insert(node, true), Some(false));
                    }
                    VoiceCommand::Cut { node, .. } => prop_assert!(live.remove(&node).is_some()),
                }
            }
            let has_started = ever.len() > started;
            let allowed = if has_started { rules.polyphony } else { before.max(rules.polyphony) };
            prop_assert!(live.len() <= allowed, "more nodes than allowed");
            prop_assert_eq!(live.len(), instrument.voices.len());
            if is_down && rules.mode == Mode::Poly {
                let refused = (instrument.voices.refused - refused) as usize;
                prop_assert_eq!(ever.len() - started + refused, 1, "a note-on is one start");
            }
            prop_assert!(rules.steal == Steal::None || instrument.voices.refused == refused);
        }
        prop_assert!(!pedal);
        // All keys are up, so every node fades or frees itself.
        for (node, released) in live {
            prop_assert!(released || endings[&node] == Ending::Itself, "node {} is stuck", node);
        }
    }
}
