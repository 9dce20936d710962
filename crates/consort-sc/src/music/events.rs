//! Events: what patterns of values play.

use std::fmt;
use std::sync::Arc;

use consort_synthdef::SynthDefFile;

use super::pattern::Pattern;
use super::random::Random;
use super::voice::Voice;
use crate::synthdefs::SynthDefReference;
use crate::values::{AddAction, Settings};

/// What happens at one beat: notes that begin together, or none for a rest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// Beats until the next event.
    pub beats: f64,
    /// The notes that begin.
    pub notes: Vec<Note>,
}

/// A synth that an event starts, or controls that it sets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Note {
    /// What plays the note.
    pub player: NotePlayer,
    /// The controls that are set.
    pub settings: Settings,
    /// Beats after which the synth's gate is closed. Synths without a gate free themselves.
    pub sustain: f64,
}

/// What plays a note.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotePlayer {
    /// A new synth, in relation to a node if one is given.
    Synth(SynthDefReference, Option<(AddAction, i32)>),
    /// A node that exists.
    Node(i32),
}

/// The events of a part, one after another.
pub(super) type EventStream = Box<dyn Iterator<Item = Event> + Send>;

/// Starts events.
type Make = dyn Fn(&mut Random) -> EventStream + Send + Sync;

/// Events that can be played: voices one after another and at the same time, nested as deep as you
/// like. Clones are cheap, and each use makes its random choices anew.
#[derive(Clone)]
pub struct Events {
    make: Arc<Make>,
    synthdefs: Vec<SynthDefFile>,
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").finish_non_exhaustive()
    }
}

impl From<Voice> for Events {
    fn from(voice: Voice) -> Self {
        let synthdefs = voice.synthdefs();
        Self { make: Arc::new(move |random| voice.clone().stream(random)), synthdefs }
    }
}

impl From<&Voice> for Events {
    fn from(voice: &Voice) -> Self {
        voice.clone().into()
    }
}

impl From<&Events> for Events {
    fn from(events: &Events) -> Self {
        events.clone()
    }
}

impl Events {
    fn derived(
        &self,
        make: impl Fn(EventStream, &mut Random) -> EventStream + Send + Sync + 'static,
    ) -> Self {
        let inner = self.make.clone();
        Self {
            make: Arc::new(move |random| {
                let events = inner(random);
                make(events, random)
            }),
            synthdefs: self.synthdefs.clone(),
        }
    }

    /// Starts the events.
    pub(super) fn stream(&self, random: &mut Random) -> EventStream {
        (self.make)(random)
    }

    /// The SynthDefs of the voices.
    pub(super) fn synthdefs(&self) -> &[SynthDefFile] {
        &self.synthdefs
    }

    fn repeated(self, times: Option<usize>) -> Self {
        let synthdefs = self.synthdefs.clone();
        let pattern = Pattern::composed(move |random: &mut Random| {
            let (inner, mut random) = (self.make.clone(), random.fork());
            let mut left = times;
            let mut events: EventStream = Box::new(std::iter::empty());
            // A repetition that takes no time would go on for ever at one beat.
            let mut beats = 1.0;
            Box::new(std::iter::from_fn(move || {
                loop {
                    if let Some(event) = events.next() {
                        beats += event.beats;
                        return Some(event);
                    }
                    if left == Some(0) || beats == 0.0 {
                        return None;
                    }
                    left = left.map(|left| left - 1);
                    beats = 0.0;
                    events = inner(&mut random);
                }
            }))
        });
        Self { make: Arc::new(move |random| pattern.values(random)), synthdefs }
    }
}

/// What [`Voice`] and [`Events`] have in common: they are joined, repeated, cut and delayed.
pub trait Compose: Into<Events> + Sized {
    /// The events of this and then those of another.
    fn then(self, next: impl Into<Events>) -> Events {
        sequence([self.into(), next.into()])
    }

    /// The events of this and of another at the same time.
    fn with(self, other: impl Into<Events>) -> Events {
        parallel([self.into(), other.into()])
    }

    /// The events so many times.
    fn repeat(self, times: usize) -> Events {
        self.into().repeated(Some(times))
    }

    /// The events again and again. If they take no time, they are played once.
    fn forever(self) -> Events {
        self.into().repeated(None)
    }

    /// At most so many events.
    fn take(self, count: usize) -> Events {
        self.into().derived(move |events, _| Box::new(events.take(count)))
    }

    /// The events of the first beats. Notes that would be longer end there.
    fn for_beats(self, beats: f64) -> Events {
        self.into().derived(move |mut events, _| {
            let mut left = beats;
            Box::new(std::iter::from_fn(move || {
                if left <= 1e-9 || left.is_nan() {
                    return None;
                }
                let mut event = events.next()?;
                event.beats = event.beats.min(left);
                for note in &mut event.notes {
                    note.sustain = note.sustain.min(left);
                }
                left -= event.beats;
                Some(event)
            }))
        })
    }

    /// The events after some beats of rest.
    fn after(self, beats: f64) -> Events {
        let rest = move || std::iter::once(Event { beats, notes: Vec::new() });
        self.into().derived(move |events, _| Box::new(rest().chain(events)))
    }

    /// The events, each of which becomes a rest with a probability from 0 to 1.
    fn thin(self, probability: f64) -> Events {
        self.into().derived(move |events, random| {
            let mut choice = random.fork();
            Box::new(events.map(move |mut event| {
                if choice.coin(probability) {
                    event.notes.clear();
                }
                event
            }))
        })
    }

    /// The events within the first beats, each with its beat, as they are with a seed; at most 100,000.
    fn list(&self, seed: u64, beats: f64) -> Vec<(f64, Event)>
    where
        Self: Clone,
    {
        let events: Events = self.clone().into();
        let mut beat = 0.0;
        let stream = events.stream(&mut Random::new(seed).fork());
        stream
            .map(|event| {
                let start = beat;
                beat += event.beats;
                (start, event)
            })
            .take_while(|(start, _)| *start < beats)
            .take(100_000)
            .collect()
    }
}

impl Compose for Voice {}

impl Compose for Events {}

/// Events one after another.
pub fn sequence<E: Into<Events>>(events: impl IntoIterator<Item = E>) -> Events {
    let events: Vec<Events> = events.into_iter().map(Into::into).collect();
    let synthdefs = events.iter().flat_map(|events| events.synthdefs.clone()).collect();
    let make = move |random: &mut Random| -> EventStream {
        let (events, mut random) = (events.clone(), random.fork());
        Box::new(events.into_iter().flat_map(move |events| events.stream(&mut random)))
    };
    Events { make: Arc::new(make), synthdefs }
}

/// Events at the same time. They end with the longest.
pub fn parallel<E: Into<Events>>(events: impl IntoIterator<Item = E>) -> Events {
    let events: Vec<Events> = events.into_iter().map(Into::into).collect();
    let synthdefs = events.iter().flat_map(|events| events.synthdefs.clone()).collect();
    let make = move |random: &mut Random| -> EventStream {
        // The beat at which each stream continues; a stream that has ended still lasts until then.
        let mut streams: Vec<(f64, Option<EventStream>)> =
            events.iter().map(|events| (0.0, Some(events.stream(random)))).collect();
        Box::new(std::iter::from_fn(move || {
            let next = (0..streams.len())
                .filter(|index| streams[*index].1.is_some())
                .min_by(|one, other| streams[*one].0.total_cmp(&streams[*other].0))?;
            let beat = streams[next].0;
            let event = streams[next].1.as_mut().and_then(Iterator::next);
            let notes = match event {
                Some(event) => {
                    streams[next].0 = beat + event.beats;
                    event.notes
                }
                None => {
                    streams[next].1 = None;
                    Vec::new()
                }
            };
            let running = streams.iter().filter(|(_, stream)| stream.is_some());
            let following = running.map(|(beat, _)| *beat).min_by(f64::total_cmp);
            Some(Event { beats: following.unwrap_or(beat) - beat, notes })
        }))
    };
    Events { make: Arc::new(make), synthdefs }
}
