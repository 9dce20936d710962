//! Writing MIDI files, with the crate `midly`.

use midly::live::LiveEvent;
use midly::num::{u15, u28};
use midly::{Format, Fps, Header, MetaMessage, Timing, TrackEvent, TrackEventKind};

use super::{Body, Division, FileEvent, META_END, MidiFile};

/// The maximum number of ticks between two events of a track: 2²⁸ − 1.
const MAX_DELTA_TICKS: u64 = (1 << 28) - 1;
/// The maximum number of empty events in a file, which bridge longer pauses.
const MAX_FILLER_EVENTS: u64 = 100_000;
/// The type of a meta event that contains text.
const META_TEXT: u8 = 0x01;

/// The error of writing a file that exceeds the format: an event has 2²⁸ bytes or more, a track has
/// 2³² bytes or more, or the pauses need more than 100,000 empty events to bridge them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file is too long for the format: an event, a track or a pause exceeds the format's limit"
)]
#[non_exhaustive]
pub struct TooLong;

impl MidiFile {
    /// Writes the file in its own format, with running status. Empty text events bridge pauses of
    /// more than 2²⁸ − 1 ticks.
    ///
    /// # Errors
    /// An event, a track or a pause is too long for the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let format = match self.format {
            0 => Format::SingleTrack,
            2 => Format::Sequential,
            _ => Format::Parallel,
        };
        let timing = match self.division {
            Division::Metrical(ticks) => Timing::Metrical(u15::new(ticks)),
            Division::Timecode { frames, ticks } => {
                Timing::Timecode(Fps::from_int(frames).ok_or(TooLong)?, ticks)
            }
        };
        let mut tracks = vec![Vec::new(); self.track_count()];
        let mut ticks = self.starts.clone();
        let mut fillers = 0;
        for event in self.events() {
            let index = usize::from(event.track);
            let Some(track) = tracks.get_mut(index) else { continue };
            let delta = bridge(track, &mut ticks[index], event.tick, &mut fillers)?;
            track.push(TrackEvent { delta, kind: kind_of(&event) });
        }
        for (index, track) in tracks.iter_mut().enumerate() {
            let delta = bridge(track, &mut ticks[index], self.ends[index], &mut fillers)?;
            let kind = TrackEventKind::Meta(MetaMessage::Unknown(META_END, &[]));
            track.push(TrackEvent { delta, kind });
        }
        let mut bytes = Vec::new();
        midly::write_std(&Header::new(format, timing), &tracks, &mut bytes).map_err(|_| TooLong)?;
        Ok(bytes)
    }
}

/// The ticks from `from` to `to`, which becomes the new `from`. If they are too many for one delta,
/// adds empty events to `track`.
fn bridge(
    track: &mut Vec<TrackEvent<'_>>,
    from: &mut u64,
    to: u64,
    fillers: &mut u64,
) -> Result<u28, TooLong> {
    let mut delta = to.saturating_sub(*from);
    *from = to.max(*from);
    *fillers += delta / MAX_DELTA_TICKS;
    if *fillers > MAX_FILLER_EVENTS {
        return Err(TooLong);
    }
    while delta > MAX_DELTA_TICKS {
        let kind = TrackEventKind::Meta(MetaMessage::Unknown(META_TEXT, &[]));
        track.push(TrackEvent { delta: u28::max_value(), kind });
        delta -= MAX_DELTA_TICKS;
    }
    Ok(u28::new(delta as u32))
}

/// Converts an event to that of `midly`.
fn kind_of<'a>(event: &FileEvent<'a>) -> TrackEventKind<'a> {
    match event.body {
        Body::Message(bytes) => match LiveEvent::parse(bytes) {
            Ok(LiveEvent::Midi { channel, message }) => TrackEventKind::Midi { channel, message },
            // A system message: the format allows it only inside an escape.
            _ => TrackEventKind::Escape(bytes),
        },
        Body::Exclusive([0xf0, data @ ..]) => TrackEventKind::SysEx(data),
        Body::Exclusive(data) => TrackEventKind::Escape(data),
        // Every type is written as its number, with its data unchanged.
        Body::Meta(kind, data) => TrackEventKind::Meta(MetaMessage::Unknown(kind, data)),
    }
}
