//! Which voices sound: allocation, stealing, one voice with glide, the sustain pedal. No server
//! and no clock: keys go in, [`Step`]s come out, and what the server says of ended nodes goes in.

/// How notes share voices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each note has a voice of its own.
    #[default]
    Poly,
    /// One note at a time; each starts anew.
    Mono,
    /// One note at a time; while keys overlap, the voice slides instead of starting anew.
    Legato,
}

/// Which voice gives way when all are taken. Voices that only fade out always go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Steal {
    #[default]
    Oldest,
    Quietest,
    Lowest,
    Highest,
    /// None: the new note is refused.
    None,
}

/// What ends a voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its gate is closed; it fades and frees itself.
    #[default]
    Gate,
    /// Itself: the end of a note changes nothing.
    Itself,
    /// The end of the note frees the node at once.
    Cut,
}

/// What a voice was configured to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// How many nodes there may be at once, fading ones included.
    pub(super) polyphony: usize,
    pub(super) steal: Steal,
    pub(super) mode: Mode,
    pub(super) ending: Ending,
    /// Whether a note slides from the one before.
    pub(super) glides: bool,
}

/// What is to be done on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// A new node for a note, sliding from another note.
    Start { node: i32, note: u8, velocity: f64, from: Option<u8> },
    /// The node plays another note from now on.
    Retune { node: i32, note: u8 },
    /// The note is over: the gate is closed, or what stands for it.
    Release { node: i32 },
    /// The node makes room: it ends as soon as it can without a click. `is_new`: perhaps it has
    /// not sounded yet.
    Cut { node: i32, note: u8, is_new: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its key is down.
    Held,
    /// Its key is up, the pedal is down.
    Sustained,
    /// It fades.
    Fading,
}

#[derive(Clone, Copy, Debug)]
struct Voice {
    node: i32,
    note: u8,
    velocity: f64,
    stage: Stage,
    /// Whether it is known to have begun. An envelope whose gate is closed before it has begun
    /// never begins, and so never ends: until then, a release waits.
    begun: bool,
    /// Ticks since its start, or since its end.
    ticks: u16,
}

impl Voice {
    fn new(node: i32, note: u8, velocity: f64) -> Self {
        Voice { node, note, velocity, stage: Stage::Held, begun: false, ticks: 0 }
    }

    fn begin(&mut self, ending: Ending, steps: &mut Vec<Step>) {
        self.begun = true;
        if self.stage == Stage::Fading && ending == Ending::Gate {
            steps.push(Step::Release { node: self.node });
        }
    }

    fn cut(&self) -> Step {
        Step::Cut { node: self.node, note: self.note, is_new: !self.begun }
    }
}

/// The voices of one instrument, in the order in which they started.
#[derive(Clone, Debug)]
pub(super) struct Voices {
    rules: Rules,
    voices: Vec<Voice>,
    /// Keys that are down, in the order in which they went down: for one voice only.
    keys: Vec<(u8, f64)>,
    sustain: bool,
    last: Option<u8>,
    /// Notes that were ended for others.
    pub(super) stolen: u64,
    /// Notes that found no voice.
    pub(super) refused: u64,
}

impl Voices {
    pub(super) fn new(rules: Rules) -> Self {
        Voices {
            rules,
            voices: Vec::with_capacity(rules.polyphony),
            keys: Vec::with_capacity(if rules.mode == Mode::Poly { 0 } else { 128 }),
            sustain: false,
            last: None,
            stolen: 0,
            refused: 0,
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many nodes there are, fading ones included.
    pub(super) fn len(&self) -> usize {
        self.voices.len()
    }

    /// Nodes, their notes and velocities.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (i32, u8, f64)> {
        self.voices.iter().map(|voice| (voice.node, voice.note, voice.velocity))
    }

    /// Whether a node of this note has not begun to fade.
    pub(super) fn is_sounding(&self, note: u8) -> bool {
        self.voices.iter().any(|voice| voice.note == note && voice.stage != Stage::Fading)
    }

    /// A key goes down (velocity above 0) or up. Returns false if there was no voice for it.
    pub(super) fn key(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        steps: &mut Vec<Step>,
    ) -> bool {
        match (velocity > 0.0, self.rules.mode) {
            (true, Mode::Poly) => {
                self.end_note(note, steps);
                self.start(note, velocity, ids, steps)
            }
            (false, Mode::Poly) => {
                self.key_up(note, steps);
                true
            }
            (true, _) => {
                self.keys.retain(|key| key.0 != note);
                self.keys.push((note, velocity));
                self.play_one(note, velocity, ids, steps)
            }
            (false, _) => {
                let was_last = self.keys.last().is_some_and(|key| key.0 == note);
                self.keys.retain(|key| key.0 != note);
                match self.keys.last() {
                    // The key below sounds again.
                    Some(&(below, velocity)) if was_last => {
                        self.play_one(below, velocity, ids, steps)
                    }
                    Some(_) => true,
                    None => {
                        self.key_up(note, steps);
                        true
                    }
                }
            }
        }
    }

    /// The pedal goes down or up.
    pub(super) fn sustain(&mut self, down: bool, steps: &mut Vec<Step>) {
        if self.sustain && !down {
            self.finish(|voice| voice.stage == Stage::Sustained, steps);
        }
        self.sustain = down;
    }

    /// The server says that a node has begun.
    pub(super) fn begun(&mut self, node: i32, steps: &mut Vec<Step>) {
        let ending = self.rules.ending;
        if let Some(voice) = self.voices.iter_mut().find(|it| it.node == node && !it.begun) {
            voice.begin(ending, steps);
        }
    }

    /// Time has passed: what has seen two ticks counts as begun. With `fade`, what has faded for
    /// so many is taken for ended.
    pub(super) fn tick(&mut self, fade: Option<u16>, steps: &mut Vec<Step>) {
        let ending = self.rules.ending;
        self.voices.retain_mut(|voice| {
            voice.ticks = voice.ticks.saturating_add(1);
            if !voice.begun && voice.ticks >= 2 {
                voice.begin(ending, steps);
            }
            voice.stage != Stage::Fading || fade.is_none_or(|fade| voice.ticks < fade)
        });
    }

    /// Whether a node is not known to have begun; with `released`, one whose note is over.
    pub(super) fn has_new(&self, released: bool) -> bool {
        self.voices.iter().any(|it| !it.begun && (!released || it.stage == Stage::Fading))
    }

    /// Whether a node fades.
    pub(super) fn has_fading(&self) -> bool {
        self.voices.iter().any(|it| it.stage == Stage::Fading)
    }

    /// Ends every note, whatever keys and pedal say.
    pub(super) fn release_all(&mut self, steps: &mut Vec<Step>) {
        self.keys.clear();
        self.finish(|voice| voice.stage != Stage::Fading, steps);
    }

    /// Forgets everything: the server has no node of this instrument any more.
    pub(super) fn clear(&mut self) {
        self.voices.clear();
        self.keys.clear();
    }

    /// The server says that a node has ended. Returns its note if it was known.
    pub(super) fn ended(&mut self, node: i32) -> Option<u8> {
        let at = self.voices.iter().position(|voice| voice.node == node)?;
        Some(self.voices.remove(at).note)
    }

    /// The server is new: what was held, by key or pedal, starts again; what had begun to fade
    /// and what ends by itself is forgotten. Returns how many were forgotten.
    pub(super) fn restore(
        &mut self,
        ids: &mut impl FnMut() -> i32,
        steps: &mut Vec<Step>,
    ) -> usize {
        let before = self.voices.len();
        let ending = self.rules.ending;
        self.voices.retain(|voice| voice.stage != Stage::Fading && ending != Ending::Itself);
        for voice in &mut self.voices {
            *voice = Voice { stage: voice.stage, ..Voice::new(ids(), voice.note, voice.velocity) };
            let (node, note, velocity) = (voice.node, voice.note, voice.velocity);
            steps.push(Step::Start { node, note, velocity, from: None });
        }
        before - self.voices.len()
    }

    fn key_up(&mut self, note: u8, steps: &mut Vec<Step>) {
        if self.sustain && self.rules.ending != Ending::Itself {
            let held = self.voices.iter_mut();
            for voice in held.filter(|voice| voice.note == note && voice.stage == Stage::Held) {
                voice.stage = Stage::Sustained;
            }
        } else {
            self.finish(|voice| voice.note == note && voice.stage == Stage::Held, steps);
        }
    }

    /// The note that begins anew ends first, held or sustained.
    fn end_note(&mut self, note: u8, steps: &mut Vec<Step>) {
        self.finish(|voice| voice.note == note && voice.stage != Stage::Fading, steps);
    }

    fn finish(&mut self, which: impl Fn(&Voice) -> bool, steps: &mut Vec<Step>) {
        let ending = self.rules.ending;
        self.voices.retain_mut(|voice| {
            if !which(voice) {
                return true;
            }
            voice.stage = Stage::Fading;
            voice.ticks = voice.ticks.min(1);
            match ending {
                Ending::Gate if voice.begun => steps.push(Step::Release { node: voice.node }),
                Ending::Gate | Ending::Itself => {}
                Ending::Cut => {
                    steps.push(voice.cut());
                    return false;
                }
            }
            true
        });
    }

    /// The one voice plays a note: it slides there, or another node begins.
    fn play_one(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        steps: &mut Vec<Step>,
    ) -> bool {
        if self.rules.mode == Mode::Legato
            && let Some(voice) = self.voices.iter_mut().find(|it| it.stage != Stage::Fading)
        {
            voice.stage = Stage::Held;
            if voice.note != note {
                voice.note = note;
                steps.push(Step::Retune { node: voice.node, note });
            }
            self.last = Some(note);
            return true;
        }
        self.finish(|voice| voice.stage != Stage::Fading, steps);
        self.start(note, velocity, ids, steps)
    }

    fn start(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        steps: &mut Vec<Step>,
    ) -> bool {
        if self.voices.len() >= self.rules.polyphony && !self.make_room(steps) {
            self.refused += 1;
            return false;
        }
        let node = ids();
        let from = self.last.filter(|last| self.rules.glides && *last != note);
        self.last = Some(note);
        self.voices.push(Voice::new(node, note, velocity));
        steps.push(Step::Start { node, note, velocity, from });
        true
    }

    /// Ends one voice for another; false if none may be ended.
    fn make_room(&mut self, steps: &mut Vec<Step>) -> bool {
        let fading = self.voices.iter().position(|voice| voice.stage == Stage::Fading);
        let by = |key: fn(&Voice) -> f64| {
            let voices = self.voices.iter().enumerate();
            // The first of equals is the oldest.
            voices.min_by(|one, other| key(one.1).total_cmp(&key(other.1))).map(|it| it.0)
        };
        let victim = match (fading, self.rules.steal) {
            (Some(at), _) => Some(at),
            (None, Steal::Oldest) => (!self.voices.is_empty()).then_some(0),
            (None, Steal::Quietest) => by(|voice| voice.velocity),
            (None, Steal::Lowest) => by(|voice| f64::from(voice.note)),
            (None, Steal::Highest) => by(|voice| -f64::from(voice.note)),
            (None, Steal::None) => None,
        };
        let Some(at) = victim else { return false };
        let voice = self.voices.remove(at);
        self.stolen += u64::from(voice.stage != Stage::Fading);
        steps.push(voice.cut());
        true
    }
}

#[cfg(test)]
#[path = "voices_tests.rs"]
mod tests;
