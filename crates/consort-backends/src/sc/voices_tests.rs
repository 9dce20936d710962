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

/// An instrument and what it wants done.
struct Player {
    voices: Voices,
    next: i32,
    steps: Vec<Step>,
    /// Whether the server tells of every start at once.
    begins: bool,
}

impl Player {
    fn new(rules: Rules) -> Self {
        Player { voices: Voices::new(rules), next: 1000, steps: Vec::new(), begins: true }
    }

    fn key(&mut self, note: u8, velocity: f64) -> Vec<Step> {
        let mut ids = || {
            self.next += 1;
            self.next
        };
        self.voices.key(note, velocity, &mut ids, &mut self.steps);
        let steps = std::mem::take(&mut self.steps);
        if self.begins {
            self.begin();
        }
        steps
    }

    /// The server says that all nodes have begun.
    fn begin(&mut self) -> Vec<Step> {
        for node in self.voices.nodes().map(|it| it.0).collect::<Vec<_>>() {
            self.voices.begun(node, &mut self.steps);
        }
        std::mem::take(&mut self.steps)
    }

    fn pedal(&mut self, down: bool) -> Vec<Step> {
        self.voices.sustain(down, &mut self.steps);
        std::mem::take(&mut self.steps)
    }

    fn restore(&mut self) -> Vec<Step> {
        let mut ids = || {
            self.next += 1;
            self.next
        };
        self.voices.restore(&mut ids, &mut self.steps);
        let steps = std::mem::take(&mut self.steps);
        if self.begins {
            self.begin();
        }
        steps
    }
}

fn start(node: i32, note: u8, velocity: f64) -> Step {
    Step::Start { node, note, velocity, from: None }
}

#[test]
fn a_key_starts_a_voice_and_ends_it() {
    let mut player = Player::new(RULES);
    assert_eq!(player.key(60, 0.5), [start(1001, 60, 0.5)]);
    assert_eq!(player.key(60, 0.0), [Step::Release { node: 1001 }]);
    assert_eq!(player.voices.len(), 1, "it fades until the server says that it has ended");
    assert_eq!(player.voices.ended(1001), Some(60));
    assert_eq!(player.voices.ended(1001), None);
    assert_eq!(player.key(60, 0.0), []);
}

#[test]
fn a_release_waits_until_the_node_has_begun() {
    let mut player = Player::new(RULES);
    player.begins = false;
    player.key(60, 0.5);
    assert_eq!(player.key(60, 0.0), [], "its envelope would never begin, and never end");
    assert!(player.voices.has_new(true));
    assert_eq!(player.begin(), [Step::Release { node: 1001 }]);
    assert!(!player.voices.has_new(false));
    // The server's word is lost: time is a sign, too.
    player.key(61, 0.5);
    player.key(61, 0.0);
    player.key(62, 0.5);
    for expected in [vec![], vec![Step::Release { node: 1002 }], vec![]] {
        player.voices.tick(None, &mut player.steps);
        assert_eq!(std::mem::take(&mut player.steps), expected);
    }
    assert_eq!(player.key(62, 0.0), [Step::Release { node: 1003 }]);
    // Where nothing tells of ends, they are a matter of time.
    assert!(player.voices.has_fading());
    for left in [3, 1, 1, 0] {
        player.voices.tick(Some(5), &mut player.steps);
        assert_eq!(player.voices.len(), left);
    }
    // What makes room before it has begun is known to be new.
    let mut player = Player::new(Rules { polyphony: 1, ..RULES });
    player.begins = false;
    player.key(60, 0.5);
    assert_eq!(player.key(61, 0.5)[0], Step::Cut { node: 1001, note: 60, is_new: true });
}

#[test]
fn the_same_key_again_ends_the_note_before() {
    let mut player = Player::new(RULES);
    player.key(60, 0.5);
    assert_eq!(player.key(60, 0.7), [Step::Release { node: 1001 }, start(1002, 60, 0.7)]);
    assert_eq!(player.voices.ended(1001), Some(60));
    assert!(player.voices.is_sounding(60));
}

#[test]
fn each_policy_takes_its_victim_and_fading_voices_go_first() {
    for (steal, victim) in [
        (Steal::Oldest, 1001),
        (Steal::Quietest, 1003),
        (Steal::Lowest, 1002),
        (Steal::Highest, 1004),
    ] {
        let mut player = Player::new(Rules { steal, ..RULES });
        for (note, velocity) in [(60, 0.5), (50, 0.6), (61, 0.1), (72, 0.9)] {
            player.key(note, velocity);
        }
        let steps = player.key(65, 0.4);
        assert!(
            matches!(steps[0], Step::Cut { node, .. } if node == victim),
            "{steal:?} {steps:?}"
        );
        assert_eq!((steps.len(), player.voices.stolen), (2, 1));
        // A voice that fades goes before all others, and is not missed.
        let fading = if victim == 1004 { 50 } else { 72 };
        player.key(fading, 0.0);
        let steps = player.key(66, 0.4);
        assert!(matches!(steps[0], Step::Cut { note, .. } if note == fading), "{steps:?}");
        assert_eq!(player.voices.stolen, 1);
    }
}

#[test]
fn without_stealing_a_note_is_refused_and_counted() {
    let mut player = Player::new(Rules { steal: Steal::None, polyphony: 1, ..RULES });
    player.key(60, 1.0);
    assert_eq!(player.key(61, 1.0), []);
    assert_eq!((player.voices.refused, player.voices.stolen), (1, 0));
    assert_eq!(player.key(61, 0.0), [], "the refused note has nothing to end");
    player.key(60, 0.0);
    assert_eq!(player.key(62, 1.0).len(), 2, "the fading voice gives way");
}

#[test]
fn the_pedal_holds_notes_until_it_is_lifted() {
    let mut player = Player::new(RULES);
    player.key(60, 0.5);
    player.pedal(true);
    player.key(64, 0.5);
    assert_eq!(player.key(60, 0.0), []);
    assert_eq!(player.pedal(true), []);
    // A key that is still down stays.
    assert_eq!(player.pedal(false), [Step::Release { node: 1001 }]);
    assert_eq!(player.key(64, 0.0), [Step::Release { node: 1002 }]);
    // A sustained note that is struck again does not sound twice.
    player.pedal(true);
    player.key(67, 0.5);
    player.key(67, 0.0);
    assert_eq!(player.key(67, 0.6), [Step::Release { node: 1003 }, start(1004, 67, 0.6)]);
}

#[test]
fn one_voice_falls_back_to_the_key_below() {
    let mut player = Player::new(Rules { mode: Mode::Mono, ..RULES });
    player.key(60, 0.5);
    assert_eq!(player.key(64, 0.6), [Step::Release { node: 1001 }, start(1002, 64, 0.6)]);
    assert_eq!(player.key(64, 0.0), [Step::Release { node: 1002 }, start(1003, 60, 0.5)]);
    // A key in the middle goes up unheard.
    player.key(62, 0.5);
    player.key(64, 0.5);
    assert_eq!(player.key(62, 0.0), []);
    player.key(64, 0.0);
    assert_eq!(player.key(60, 0.0).len(), 1);
}

#[test]
fn legato_slides_and_the_pedal_holds_the_last_note() {
    let mut player = Player::new(Rules { mode: Mode::Legato, glides: true, ..RULES });
    player.key(60, 0.5);
    assert_eq!(player.key(67, 0.9), [Step::Retune { node: 1001, note: 67 }]);
    assert_eq!(player.key(67, 0.0), [Step::Retune { node: 1001, note: 60 }]);
    player.pedal(true);
    assert_eq!(player.key(60, 0.0), []);
    assert_eq!(player.key(62, 0.5), [Step::Retune { node: 1001, note: 62 }]);
    player.key(62, 0.0);
    assert_eq!(player.pedal(false), [Step::Release { node: 1001 }]);
    // The next phrase starts anew, and slides from where the last one was.
    let expected = Step::Start { node: 1002, note: 70, velocity: 0.5, from: Some(62) };
    assert_eq!(player.key(70, 0.5), [expected]);
}

#[test]
fn without_a_gate_a_voice_ends_by_itself_or_is_cut() {
    let mut player = Player::new(Rules { ending: Ending::Itself, ..RULES });
    player.key(36, 1.0);
    assert_eq!(player.key(36, 0.0), []);
    assert_eq!(player.voices.len(), 1);
    player.pedal(true);
    player.key(38, 1.0);
    player.key(38, 0.0);
    assert_eq!(player.pedal(false), []);
    let mut player = Player::new(Rules { ending: Ending::Cut, ..RULES });
    player.key(36, 1.0);
    assert_eq!(player.key(36, 0.0), [Step::Cut { node: 1001, note: 36, is_new: false }]);
    assert_eq!(player.voices.len(), 0);
}

#[test]
fn what_was_held_is_restored_and_what_faded_is_not() {
    let mut player = Player::new(RULES);
    player.key(60, 0.5);
    player.key(61, 0.6);
    player.pedal(true);
    player.key(60, 0.0);
    player.key(62, 0.7);
    player.voices.finish(|voice| voice.note == 62, &mut Vec::new());
    assert_eq!(player.restore(), [start(1004, 60, 0.5), start(1005, 61, 0.6)]);
    assert_eq!(player.pedal(false), [Step::Release { node: 1004 }], "its key is still up");
    assert_eq!(player.voices.len(), 2);
    let mut player = Player::new(Rules { ending: Ending::Itself, ..RULES });
    player.key(36, 1.0);
    assert_eq!(player.restore(), []);
    assert_eq!(player.voices.len(), 0);
}

#[derive(Clone, Debug)]
enum Act {
    Down(u8, u8),
    Up(u8),
    Pedal(bool),
    /// The server tells of all starts so far.
    Begin,
    Tick,
    /// The server ends the oldest of the nodes that fade, as it does when they are silent.
    End,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (60..72_u8, 1..=127_u8).prop_map(|(note, velocity)| Act::Down(note, velocity)),
        6 => (60..72_u8).prop_map(Act::Up),
        1 => any::<bool>().prop_map(Act::Pedal),
        3 => Just(Act::End),
        4 => Just(Act::Begin),
        1 => Just(Act::Tick),
        1 => Just(Act::Restart),
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
    /// A server in a few words: nodes that live, and those whose gate is closed.
    #[test]
    fn no_voice_hangs_and_none_is_started_twice(rules in rules(), acts in acts()) {
        let mut player = Player::new(rules);
        player.begins = false;
        let mut live: HashMap<i32, bool> = HashMap::new();
        let mut ever = HashSet::new();
        let mut pedal = false;
        let all_up = (60..72).map(Act::Up).chain([Act::Pedal(false), Act::Tick, Act::Tick]);
        for act in acts.into_iter().chain(all_up) {
            let (started, refused) = (ever.len(), player.voices.refused);
            let is_down = matches!(act, Act::Down(..));
            let steps = match act {
                Act::Down(note, velocity) => player.key(note, f64::from(velocity) / 127.0),
                Act::Up(note) => player.key(note, 0.0),
                Act::Begin => player.begin(),
                Act::Tick => {
                    player.voices.tick(None, &mut player.steps);
                    std::mem::take(&mut player.steps)
                }
                Act::Pedal(down) => { pedal = down; player.pedal(down) }
                Act::End => {
                    let fading = live.iter().filter(|it| *it.1 || rules.ending == Ending::Itself);
                    if let Some(node) = fading.map(|it| *it.0).min() {
                        live.remove(&node);
                        player.voices.ended(node);
                    }
                    Vec::new()
                }
                Act::Restart => { live.clear(); player.restore() }
            };
            for step in steps {
                match step {
                    Step::Start { node, .. } => {
                        prop_assert!(ever.insert(node), "a node id was used twice");
                        live.insert(node, false);
                    }
                    Step::Retune { node, .. } => prop_assert_eq!(live.get(&node), Some(&false)),
                    Step::Release { node } => {
                        prop_assert_eq!(live.insert(node, true), Some(false));
                    }
                    Step::Cut { node, .. } => prop_assert!(live.remove(&node).is_some()),
                }
            }
            prop_assert!(live.len() <= rules.polyphony, "more nodes than allowed");
            prop_assert_eq!(live.len(), player.voices.len());
            if is_down && rules.mode == Mode::Poly {
                let refused = (player.voices.refused - refused) as usize;
                prop_assert_eq!(ever.len() - started + refused, 1, "a note-on is one start");
            }
            prop_assert!(rules.steal == Steal::None || player.voices.refused == 0);
        }
        prop_assert!(!pedal);
        // All keys are up: whatever lives, fades or ends by itself.
        for (node, released) in live {
            prop_assert!(released || rules.ending == Ending::Itself, "{} hangs", node);
        }
    }
}
