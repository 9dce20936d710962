//! Adding recorded tracks to a file.

use super::bars::META_TIME_SIGNATURE;
use super::{Body, Division, FileEvent, META_TEMPO, MidiFile};
use crate::tempo::TempoMap;

/// The maximum number of tracks of a file.
const MAX_TRACKS: usize = 65_535;
/// The maximum number of ticks per quarter note.
const MAX_TICKS_PER_QUARTER: u16 = 0x7fff;

impl MidiFile {
    /// This file with the tracks of `take`, which was recorded while this file played: every event
    /// of `take` keeps its time, in the tempo of this file. The tempo changes and time signatures
    /// of `take`, and tracks without anything else, are left out.
    ///
    /// The resolution of this file is multiplied, so that the times of `take` are rounded to at
    /// most `ticks_per_quarter` per quarter note; the times of this file's events are exactly the
    /// same. The result has format 1.
    ///
    /// Returns `None` if one of the files has format 2, or if the result had more than 65,535
    /// tracks or [`MAX_EVENTS`](super::MAX_EVENTS) events.
    #[must_use]
    pub fn overdubbed(&self, take: &Self, ticks_per_quarter: u16) -> Option<Self> {
        if self.format == 2 || take.format == 2 {
            return None;
        }
        let (division, factor) = match self.division {
            Division::Metrical(ticks) => {
                let wanted = ticks_per_quarter.min(MAX_TICKS_PER_QUARTER);
                let factor = (wanted / ticks.max(1)).max(1);
                (Division::Metrical(ticks * factor), u64::from(factor))
            }
            timecode @ Division::Timecode { .. } => (timecode, 1),
        };
        let mut combined = Self::new(1, division);
        for event in self.events() {
            if !combined.push(FileEvent { tick: event.tick.checked_mul(factor)?, ..event }) {
                return None;
            }
        }
        combined.starts = vec![0; self.ends.len()];
        let ends = self.ends.iter().map(|end| end.checked_mul(factor));
        combined.ends = ends.collect::<Option<_>>()?;
        combined.arrange();
        let map = combined.tempo.clone();
        let is_kept = |event: &FileEvent<'_>| {
            !matches!(event.body, Body::Meta(META_TEMPO | META_TIME_SIGNATURE, _))
        };
        // The number of each track of the take in the result.
        let mut numbers = vec![None; take.ends.len()];
        for event in take.events().filter(is_kept) {
            let track = usize::from(event.track);
            let number = match numbers[track] {
                Some(number) => number,
                None => {
                    let number = combined.ends.len();
                    if number >= MAX_TRACKS {
                        return None;
                    }
                    combined.starts.push(0);
                    combined.ends.push(nearest(&map, take, take.ends[track]));
                    *numbers[track].insert(number as u16)
                }
            };
            let tick = nearest(&map, take, event.tick);
            if !combined.push(FileEvent { tick, track: number, body: event.body }) {
                return None;
            }
            let end = &mut combined.ends[usize::from(number)];
            *end = tick.max(*end);
        }
        combined.arrange();
        Some(combined)
    }
}

/// The tick of a tempo map that is nearest to the time of a tick of a file.
fn nearest(map: &TempoMap, file: &MidiFile, tick: u64) -> u64 {
    let time = file.time(tick).as_nanoseconds();
    let after = map.tick(file.time(tick));
    let before = after.saturating_sub(1);
    let distance = |tick: u64| map.real_time(tick).as_nanoseconds().abs_diff(time);
    if distance(before) < distance(after) { before } else { after }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Event, RealTime};
    use crate::file::Recording;

    /// A file of format 0 with a note at tick 0, another tempo from tick 96 on, and its end at 192.
    fn base(resolution: u8, tempo: u32) -> MidiFile {
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0".to_vec();
        bytes.push(resolution);
        bytes.extend(b"MTrk\0\0\0\x13\0\x90\x3c\x40\x60\xff\x51\x03");
        bytes.extend(&tempo.to_be_bytes()[1..]);
        bytes.extend(b"\x60\x80\x3c\0\0\xff\x2f\0");
        MidiFile::read(&bytes).expect("valid")
    }

    fn times(file: &MidiFile, track: u16) -> Vec<u64> {
        let events = file.events().filter(|event| event.track == track);
        let messages = events.filter(|event| matches!(event.body, Body::Message(_)));
        messages.map(|event| file.time(event.tick).as_nanoseconds()).collect()
    }

    #[test]
    fn tracks_are_added_and_the_file_keeps_its_events() {
        let file = base(96, 1_000_000);
        let mut recording = Recording::new(9600, 400_000, &["keys", "pads"]).expect("valid");
        recording.set_time_signature(3, 4);
        let time = |milliseconds: u64| RealTime::from_nanoseconds(milliseconds * 1_000_000);
        recording.push(0, time(250), &Event::note_on(1, 64, 9).expect("valid"));
        recording.push(1, time(1_000), &Event::note_on(2, 65, 9).expect("valid"));
        let combined = file.overdubbed(&recording.finish(time(3_000)), 9600).expect("short");
        assert_eq!((combined.format(), combined.track_count()), (1, 3));
        assert_eq!(combined.division(), Division::Metrical(9600));
        assert_eq!(times(&combined, 0), times(&file, 0));
        assert_eq!(times(&combined, 0), [0, 1_500_000_000]);
        assert_eq!(times(&combined, 1), [250_000_000, 3_000_000_000]);
        assert_eq!(times(&combined, 2), [1_000_000_000, 3_000_000_000]);
        assert_eq!(combined.tempo_map().changes().count(), file.tempo_map().changes().count());
        assert_eq!(combined.time_signatures(), file.time_signatures());
        let bytes = combined.to_bytes().expect("short");
        assert_eq!(MidiFile::read(&bytes).expect("valid"), combined);
        // A second take is added in the same way, and a resolution is never reduced.
        let again = combined.overdubbed(&file, 480).expect("short");
        assert_eq!((again.track_count(), again.division()), (4, Division::Metrical(9600)));
    }

    #[test]
    fn patterns_are_not_overdubbed() {
        let patterns = b"MThd\0\0\0\x06\0\x02\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0";
        let patterns = MidiFile::read(patterns).expect("valid");
        assert_eq!(patterns.overdubbed(&base(96, 500_000), 9600), None);
        assert_eq!(base(96, 500_000).overdubbed(&patterns, 9600), None);
    }

    proptest! {
        #[test]
        fn each_event_keeps_its_time_within_half_a_tick(
            resolution in 1u8..=127,
            tempo in 100_000u32..2_000_000,
            due in prop::collection::vec(0u64..4_000_000_000, 1..20),
        ) {
            let file = base(resolution, tempo);
            let mut recording = Recording::new(9600, 500_000, &["keys"]).expect("valid");
            for time in &due {
                let event = Event::control_change(0, 7, 1).expect("valid");
                recording.push(0, RealTime::from_nanoseconds(*time), &event);
            }
            let take = recording.finish(RealTime::ZERO);
            let combined = file.overdubbed(&take, 9600).expect("short");
            prop_assert_eq!(times(&combined, 0), times(&file, 0));
            // Ticks of both files: at most 2 s for 9600 / 127 * 127 or more ticks.
            let (recorded, kept) = (times(&take, 0), times(&combined, 1));
            prop_assert_eq!(recorded.len(), kept.len());
            for (recorded, kept) in recorded.iter().zip(&kept) {
                prop_assert!(recorded.abs_diff(*kept) <= 110_000, "{recorded} {kept}");
            }
        }
    }
}
