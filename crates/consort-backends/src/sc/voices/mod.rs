//! Voice allocation: which notes sound, voice stealing, mono and legato, the sustain pedal.
//!
//! [`Voices`] has no server and no clock. Keys, the pedal, and the server's reports of started
//! and ended nodes go in; [`VoiceCommand`]s come out. A voice with a gate passes through these
//! phases:
//!
//! | phase | on key up | on pedal up | removed when |
//! |---|---|---|---|
//! | `Held` | `Fading`, with the pedal down `Sustained` | stays | stolen, or the node ends |
//! | `Sustained` | stays | `Fading` | stolen, or the node ends |
//! | `Fading` | stays | stays | stolen (before all others), or the node ends |
//!
//! A release must not reach the server before the node has started (see `Voice::has_started`).
//! For example, a key that goes down and up at once gives `Start` now, and `Release` only after
//! the server has reported the start or two ticks have passed.

/// How notes share voices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each note has its own voice.
    #[default]
    Poly,
    /// One note at a time; each starts a new voice.
    Mono,
    /// One note at a time; the voice slides to the next note while keys overlap.
    Legato,
}

/// Which voice is stolen when all are in use. Fading voices are always stolen first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Steal {
    #[default]
    Oldest,
    Quietest,
    Lowest,
    Highest,
    /// No voice is stolen; the new note is refused.
    None,
}

/// What ends a voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// Closing its gate: it fades and frees itself.
    #[default]
    Gate,
    /// Nothing is sent: the synth frees itself, no matter when the note ends.
    Itself,
    /// Freeing the node at once when the note ends.
    Cut,
}

/// How an instrument allocates and ends its voices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// The maximum number of nodes, including fading ones.
    pub(super) polyphony: usize,
    pub(super) steal: Steal,
    pub(super) mode: Mode,
    pub(super) ending: Ending,
    /// Whether a note slides from the previous one.
    pub(super) glides: bool,
}

/// A change to make on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum VoiceCommand {
    /// Create a node for a note; it slides from the note `from`, if any.
    Start { node: i32, note: u8, velocity: f64, from: Option<u8> },
    /// Change the note of a node.
    Retune { node: i32, note: u8 },
    /// Close the gate: the note has ended.
    Release { node: i32 },
    /// End a node as fast as possible: through its gate without a click, or else by freeing it.
    Cut { node: i32, note: u8, by_gate: bool },
}

/// What keeps a voice sounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VoicePhase {
    /// Its key is down.
    Held,
    /// Its key is up, but the pedal is down.
    Sustained,
    /// Its note has ended; it fades.
    Fading,
}

/// One node and its note.
#[derive(Clone, Copy, Debug)]
struct Voice {
    node: i32,
    note: u8,
    velocity: f64,
    phase: VoicePhase,
    /// What ends the node, by the rules that applied when it started.
    ending: Ending,
    /// Whether the node is known to have started. An envelope whose gate is closed before the
    /// start never runs, so the node would never end. Until then the release is delayed.
    has_started: bool,
    /// Ticks since the start or since the end of the note.
    ticks: u16,
}

impl Voice {
    fn new(node: i32, note: u8, velocity: f64, ending: Ending) -> Self {
        let phase = VoicePhase::Held;
        Voice { node, note, velocity, phase, ending, has_started: false, ticks: 0 }
    }

    /// Marks the node as started and sends the delayed release.
    fn mark_started(&mut self, commands: &mut Vec<VoiceCommand>) {
        self.has_started = true;
        if self.phase == VoicePhase::Fading && self.ending == Ending::Gate {
            commands.push(VoiceCommand::Release { node: self.node });
        }
    }

    fn cut(&self) -> VoiceCommand {
        let by_gate = self.ending == Ending::Gate && self.has_started;
        VoiceCommand::Cut { node: self.node, note: self.note, by_gate }
    }
}

/// The voices of one instrument, in the order in which they started.
#[derive(Clone, Debug)]
pub(super) struct Voices {
    rules: Rules,
    voices: Vec<Voice>,
    /// The keys that are down, in the order in which they were pressed. Mono and legato only.
    keys: Vec<(u8, f64)>,
    is_pedal_down: bool,
    /// The note that was played last, from which the next one slides.
    last: Option<u8>,
    /// How many notes lost their voice to others.
    pub(super) stolen: u64,
    /// How many notes were refused.
    pub(super) refused: u64,
}

impl Voices {
    pub(super) fn new(rules: Rules) -> Self {
        Voices {
            rules,
            voices: Vec::with_capacity(rules.polyphony),
            keys: Vec::with_capacity(if rules.mode == Mode::Poly { 0 } else { 128 }),
            is_pedal_down: false,
            last: None,
            stolen: 0,
            refused: 0,
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The number of nodes, including fading ones.
    pub(super) fn len(&self) -> usize {
        self.voices.len()
    }

    /// The nodes with their notes and velocities.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (i32, u8, f64)> {
        self.voices.iter().map(|voice| (voice.node, voice.note, voice.velocity))
    }

    /// Whether a node of this note is held or sustained.
    pub(super) fn is_sounding(&self, note: u8) -> bool {
        self.voices.iter().any(|voice| voice.note == note && voice.phase != VoicePhase::Fading)
    }

    /// Handles a key that goes down (velocity above 0) or up. Returns false if the note was
    /// refused.
    pub(super) fn key(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        commands: &mut Vec<VoiceCommand>,
    ) -> bool {
        match (velocity > 0.0, self.rules.mode) {
            (true, Mode::Poly) => {
                self.end_note(note, commands);
                self.start(note, velocity, ids, commands)
            }
            (false, Mode::Poly) => {
                self.key_up(note, commands);
                true
            }
            (true, _) => {
                self.keys.retain(|key| key.0 != note);
                self.keys.push((note, velocity));
                self.play_mono(note, velocity, ids, commands)
            }
            (false, _) => {
                let was_last = self.keys.last().is_some_and(|key| key.0 == note);
                self.keys.retain(|key| key.0 != note);
                match self.keys.last() {
                    // The key that was pressed before sounds again.
                    Some(&(previous, velocity)) if was_last => {
                        self.play_mono(previous, velocity, ids, commands)
                    }
                    Some(_) => true,
                    None => {
                        self.key_up(note, commands);
                        true
                    }
                }
            }
        }
    }

    /// Handles the pedal.
    pub(super) fn sustain(&mut self, is_down: bool, commands: &mut Vec<VoiceCommand>) {
        if self.is_pedal_down && !is_down {
            self.end_where(|voice| voice.phase == VoicePhase::Sustained, commands);
        }
        self.is_pedal_down = is_down;
    }

    /// Handles the server's report that a node has started.
    pub(super) fn on_started(&mut self, node: i32, commands: &mut Vec<VoiceCommand>) {
        if let Some(voice) =
            self.voices.iter_mut().find(|voice| voice.node == node && !voice.has_started)
        {
            voice.mark_started(commands);
        }
    }

    /// Advances the age of the voices by one tick. A voice that is two ticks old counts as
    /// started. With `fade`, a voice that has faded for so many ticks counts as ended.
    pub(super) fn tick(&mut self, fade: Option<u16>, commands: &mut Vec<VoiceCommand>) {
        self.voices.retain_mut(|voice| {
            voice.ticks = voice.ticks.saturating_add(1);
            if !voice.has_started && voice.ticks >= 2 {
                voice.mark_started(commands);
            }
            voice.phase != VoicePhase::Fading || fade.is_none_or(|fade| voice.ticks < fade)
        });
    }

    /// Whether any node is not known to have started. With `released`, only nodes whose note has
    /// ended are considered.
    pub(super) fn has_new(&self, released: bool) -> bool {
        let is_new =
            |voice: &Voice| !voice.has_started && (!released || voice.phase == VoicePhase::Fading);
        self.voices.iter().any(is_new)
    }

    /// Whether any node fades.
    pub(super) fn has_fading(&self) -> bool {
        self.voices.iter().any(|voice| voice.phase == VoicePhase::Fading)
    }

    /// Ends every note, regardless of keys and pedal.
    pub(super) fn release_all(&mut self, commands: &mut Vec<VoiceCommand>) {
        self.keys.clear();
        self.end_where(|voice| voice.phase != VoicePhase::Fading, commands);
    }

    /// Drops all notes, because the server no longer has any nodes of this instrument.
    pub(super) fn clear(&mut self) {
        self.voices.clear();
        self.keys.clear();
    }

    /// Handles the server's report that a node has ended. Returns its note, if it has one.
    pub(super) fn on_ended(&mut self, node: i32) -> Option<u8> {
        let index = self.voices.iter().position(|voice| voice.node == node)?;
        Some(self.voices.remove(index).note)
    }

    /// Applies changed rules. Sounding nodes keep the ending they started with. If there are more
    /// nodes than the new polyphony, the next notes steal the excess. On a change from poly to
    /// mono or legato, the newest held note continues and the others end; a key that is still
    /// down sounds again when the newer ones are released.
    pub(super) fn set_rules(&mut self, rules: Rules, commands: &mut Vec<VoiceCommand>) {
        let was_poly = self.rules.mode == Mode::Poly;
        self.rules = rules;
        self.voices.reserve(rules.polyphony.saturating_sub(self.voices.len()));
        match (was_poly, rules.mode == Mode::Poly) {
            (true, false) => {
                self.keys.clear();
                self.keys.reserve(128);
                let held = self.voices.iter().filter(|voice| voice.phase == VoicePhase::Held);
                self.keys.extend(held.map(|voice| (voice.note, voice.velocity)));
                let sounding = |voice: &&Voice| voice.phase != VoicePhase::Fading;
                let held = |voice: &&Voice| voice.phase == VoicePhase::Held;
                let newest = self.voices.iter().rfind(held);
                let newest = newest.or_else(|| self.voices.iter().rfind(sounding));
                let newest = newest.map(|voice| voice.node);
                self.end_where(
                    |voice| voice.phase != VoicePhase::Fading && Some(voice.node) != newest,
                    commands,
                );
            }
            (false, true) => self.keys.clear(),
            _ => {}
        }
    }

    /// Releases the selected keys, as if all of them were released at the same time.
    pub(super) fn release_keys(
        &mut self,
        is_selected: impl Fn(u8) -> bool,
        ids: &mut impl FnMut() -> i32,
        commands: &mut Vec<VoiceCommand>,
    ) {
        if self.rules.mode == Mode::Poly {
            return self.keys_up(is_selected, commands);
        }
        let newest = self.keys.last().map(|key| key.0).filter(|note| is_selected(*note));
        self.keys.retain(|key| !is_selected(key.0));
        match (newest, self.keys.last()) {
            (None, _) => {}
            (Some(_), Some(&(previous, velocity))) => {
                self.play_mono(previous, velocity, ids, commands);
            }
            (Some(note), None) => self.keys_up(|other| other == note, commands),
        }
    }

    /// Ends every note when the instrument is removed. None of the commands needs a delay: a
    /// node that may not have started is cut, because its release would have to wait.
    pub(super) fn retire(&mut self, commands: &mut Vec<VoiceCommand>) {
        for voice in self.voices.drain(..) {
            match (voice.ending, voice.has_started) {
                (Ending::Gate, false) | (Ending::Cut, _) => commands.push(voice.cut()),
                (Ending::Gate, true) if voice.phase != VoicePhase::Fading => {
                    commands.push(VoiceCommand::Release { node: voice.node });
                }
                _ => {}
            }
        }
        self.keys.clear();
    }

    /// Restarts the notes that a key or the pedal holds, on a new server. Drops notes that fade or
    /// free themselves, and returns the number of dropped notes.
    pub(super) fn restore(
        &mut self,
        ids: &mut impl FnMut() -> i32,
        commands: &mut Vec<VoiceCommand>,
    ) -> usize {
        let before = self.voices.len();
        let ending = self.rules.ending;
        self.voices.retain(|voice| voice.phase != VoicePhase::Fading && ending != Ending::Itself);
        // A reload may have lowered the polyphony; the newest notes stay.
        self.voices.drain(..self.voices.len().saturating_sub(self.rules.polyphony));
        for voice in &mut self.voices {
            let phase = voice.phase;
            *voice = Voice { phase, ..Voice::new(ids(), voice.note, voice.velocity, ending) };
            let (node, note, velocity) = (voice.node, voice.note, voice.velocity);
            commands.push(VoiceCommand::Start { node, note, velocity, from: None });
        }
        before - self.voices.len()
    }

    fn key_up(&mut self, note: u8, commands: &mut Vec<VoiceCommand>) {
        self.keys_up(|other| other == note, commands);
    }

    fn keys_up(&mut self, is_selected: impl Fn(u8) -> bool, commands: &mut Vec<VoiceCommand>) {
        let is_held = |voice: &Voice| voice.phase == VoicePhase::Held && is_selected(voice.note);
        if !self.is_pedal_down {
            return self.end_where(is_held, commands);
        }
        self.end_where(|voice| is_held(voice) && voice.ending == Ending::Itself, commands);
        for voice in self.voices.iter_mut().filter(|voice| is_held(voice)) {
            voice.phase = VoicePhase::Sustained;
        }
    }

    /// Ends a held or sustained note that is about to be played again.
    fn end_note(&mut self, note: u8, commands: &mut Vec<VoiceCommand>) {
        self.end_where(|voice| voice.note == note && voice.phase != VoicePhase::Fading, commands);
    }

    /// Ends the notes of the selected voices.
    fn end_where(
        &mut self,
        is_selected: impl Fn(&Voice) -> bool,
        commands: &mut Vec<VoiceCommand>,
    ) {
        self.voices.retain_mut(|voice| {
            if !is_selected(voice) {
                return true;
            }
            voice.phase = VoicePhase::Fading;
            voice.ticks = voice.ticks.min(1);
            match voice.ending {
                Ending::Gate if voice.has_started => {
                    commands.push(VoiceCommand::Release { node: voice.node })
                }
                Ending::Gate | Ending::Itself => {}
                Ending::Cut => {
                    commands.push(voice.cut());
                    return false;
                }
            }
            true
        });
    }

    /// Plays a note in mono or legato mode: the voice slides to it, or a new node replaces it.
    fn play_mono(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        commands: &mut Vec<VoiceCommand>,
    ) -> bool {
        if self.rules.mode == Mode::Legato
            && let Some(voice) =
                self.voices.iter_mut().find(|voice| voice.phase != VoicePhase::Fading)
        {
            voice.phase = VoicePhase::Held;
            if voice.note != note {
                voice.note = note;
                commands.push(VoiceCommand::Retune { node: voice.node, note });
            }
            self.last = Some(note);
            return true;
        }
        self.end_where(|voice| voice.phase != VoicePhase::Fading, commands);
        self.start(note, velocity, ids, commands)
    }

    fn start(
        &mut self,
        note: u8,
        velocity: f64,
        ids: &mut impl FnMut() -> i32,
        commands: &mut Vec<VoiceCommand>,
    ) -> bool {
        // Usually one voice is stolen; several if a reload has lowered the polyphony.
        while self.voices.len() >= self.rules.polyphony {
            if !self.steal_voice(commands) {
                self.refused += 1;
                return false;
            }
        }
        let node = ids();
        let from = self.last.filter(|last| self.rules.glides && *last != note);
        self.last = Some(note);
        self.voices.push(Voice::new(node, note, velocity, self.rules.ending));
        commands.push(VoiceCommand::Start { node, note, velocity, from });
        true
    }

    /// Ends a voice to make room for a new note; false if none may be stolen.
    fn steal_voice(&mut self, commands: &mut Vec<VoiceCommand>) -> bool {
        let fading = self.voices.iter().position(|voice| voice.phase == VoicePhase::Fading);
        let minimum_of = |key: fn(&Voice) -> f64| {
            let voices = self.voices.iter().enumerate();
            // The first of equal voices is the oldest.
            let lowest = voices.min_by(|(_, one), (_, other)| key(one).total_cmp(&key(other)));
            lowest.map(|(index, _)| index)
        };
        let candidate = match (fading, self.rules.steal) {
            (Some(index), _) => Some(index),
            (None, Steal::Oldest) => (!self.voices.is_empty()).then_some(0),
            (None, Steal::Quietest) => minimum_of(|voice| voice.velocity),
            (None, Steal::Lowest) => minimum_of(|voice| f64::from(voice.note)),
            (None, Steal::Highest) => minimum_of(|voice| -f64::from(voice.note)),
            (None, Steal::None) => None,
        };
        let Some(index) = candidate else { return false };
        let voice = self.voices.remove(index);
        self.stolen += u64::from(voice.phase != VoicePhase::Fading);
        commands.push(voice.cut());
        true
    }
}

#[cfg(test)]
mod tests;
