//! Writing, through `midly`.

use midly::live::LiveEvent;
use midly::num::{u15, u28};
use midly::{Format, Fps, Header, MetaMessage, Timing, TrackEvent, TrackEventKind};

use super::{Body, Division, FileEvent, META_END, MidiFile};

/// Most ticks between two events of a track: 2²⁸ − 1.
const LONGEST_DELTA: u64 = (1 << 28) - 1;
/// Events that are put in to bridge longer gaps, in all; a file with more gaps says so.
const FILLER_LIMIT: u64 = 100_000;
const META_TEXT: u8 = 0x01;

/// A file that cannot be written: a single event has 2²⁸ bytes or more, a track 2³², or the ticks
/// between two events are so many that only thousands of empty events could bridge them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file is too long for the format: an event, a track or a pause exceeds what it can say"
)]
#[non_exhaustive]
pub struct TooLong;

impl MidiFile {
    /// The bytes of the file, of its own format, with running status. Pauses of more than 2²⁸ − 1
    /// ticks are bridged by empty text events.
    ///
    /// # Errors
    /// If something is too long for the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let format = if self.format == 0 { Format::SingleTrack } else { Format::Parallel };
        let timing = match self.division {
            Division::Metrical(ticks) => Timing::Metrical(u15::new(ticks)),
            Division::Timecode { frames, ticks } => {
                Timing::Timecode(Fps::from_int(frames).ok_or(TooLong)?, ticks)
            }
        };
        let mut tracks = vec![Vec::new(); self.track_count()];
        let mut ticks = vec![0; self.track_count()];
        let mut fillers = 0;
        for event in self.events() {
            let at = usize::from(event.track);
            let Some(track) = tracks.get_mut(at) else { continue };
            let delta = bridge(track, &mut ticks[at], event.tick, &mut fillers)?;
            track.push(TrackEvent { delta, kind: kind_of(&event) });
        }
        for (at, track) in tracks.iter_mut().enumerate() {
            let delta = bridge(track, &mut ticks[at], self.ends[at], &mut fillers)?;
            let kind = TrackEventKind::Meta(MetaMessage::Unknown(META_END, &[]));
            track.push(TrackEvent { delta, kind });
        }
        let mut bytes = Vec::new();
        midly::write_std(&Header::new(format, timing), &tracks, &mut bytes).map_err(|_| TooLong)?;
        Ok(bytes)
    }
}

/// The ticks from `from` to `to`, with empty events in `track` where they are too many for one.
fn bridge(
    track: &mut Vec<TrackEvent<'_>>,
    from: &mut u64,
    to: u64,
    fillers: &mut u64,
) -> Result<u28, TooLong> {
    let mut delta = to.saturating_sub(*from);
    *from = to.max(*from);
    *fillers += delta / LONGEST_DELTA;
    if *fillers > FILLER_LIMIT {
        return Err(TooLong);
    }
    while delta > LONGEST_DELTA {
        let kind = TrackEventKind::Meta(MetaMessage::Unknown(META_TEXT, &[]));
        track.push(TrackEvent { delta: u28::max_value(), kind });
        delta -= LONGEST_DELTA;
    }
    Ok(u28::new(delta as u32))
}

fn kind_of<'a>(event: &FileEvent<'a>) -> TrackEventKind<'a> {
    match event.body {
        Body::Message(bytes) => match LiveEvent::parse(bytes) {
            Ok(LiveEvent::Midi { channel, message }) => TrackEventKind::Midi { channel, message },
            // Of the system: only an escape can hold it.
            _ => TrackEventKind::Escape(bytes),
        },
        Body::Exclusive([0xf0, data @ ..]) => TrackEventKind::SysEx(data),
        Body::Exclusive(data) => TrackEventKind::Escape(data),
        // Every type is written by its number, with its data as they are.
        Body::Meta(kind, data) => TrackEventKind::Meta(MetaMessage::Unknown(kind, data)),
    }
}
