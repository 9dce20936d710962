//! Writes the journal of a state.

use super::parameters::Selection;
use super::state::{Channel, DEFAULT_RELEASE, Slot, State};

/// The most bytes that the length of a channel's or the system's part can state.
const MAX_PART_BYTES: usize = 1_023;

/// Which packets a journal covers: those after `acknowledged` and before the one that it is for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Scope {
    /// The last packet that the receiver has certainly got.
    pub(in super::super) acknowledged: u32,
    /// The packet before the one that the journal is for.
    pub(in super::super) previous: u32,
}

impl Scope {
    fn covers(self, slot: Slot) -> bool {
        slot.at > self.acknowledged
    }

    /// The bit S: set unless the loss of the previous packet alone needs the entry.
    fn is_old(self, at: u32) -> u8 {
        if at == self.previous { 0 } else { 0x80 }
    }
}

/// Appends the journal of a state; nothing if nothing has changed in the scope.
pub(in super::super) fn write(state: &State, scope: Scope, out: &mut Vec<u8>) {
    if state.at <= scope.acknowledged {
        return;
    }
    let start = out.len();
    let checkpoint = (scope.acknowledged as u16).wrapping_add(1).to_be_bytes();
    out.extend([0, checkpoint[0], checkpoint[1]]);
    let system = out.len();
    write_system(state, scope, out);
    let has_system = out.len() > system;
    let mut channels = 0_u8;
    for (number, channel) in (0_u8..).zip(&state.channels) {
        if let Some(channel) = channel.as_ref().filter(|channel| channel.at > scope.acknowledged) {
            let before = out.len();
            write_channel(number, channel, scope, out);
            channels += u8::from(out.len() > before);
        }
    }
    if !has_system && channels == 0 {
        out.truncate(start);
        return;
    }
    let system_bit = if has_system { 0x40 } else { 0 };
    let channel_bits = channels.checked_sub(1).map_or(0, |total| 0x20 | total);
    // The bit S is clear, which asks for more than is needed: some programs take it for that of the
    // system's part, and ignore the packet.
    out[start] = system_bit | channel_bits;
}

/// Appends one chapter of a MIDI channel, if it has changed in the scope.
type WriteChapter = fn(&Channel, Scope, &mut Vec<u8>);

/// Appends the part of one MIDI channel: P, C, M, W, N, E, T and A.
fn write_channel(number: u8, channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 3]);
    let mut contents = 0;
    let chapters: [(u8, WriteChapter); 8] = [
        (0x80, write_program),
        (0x40, write_controllers),
        (0x20, write_parameters),
        (0x10, write_bend),
        (0x08, write_notes),
        (0x04, write_releases),
        (0x02, write_aftertouch),
        (0x01, write_pressures),
    ];
    for (bit, chapter) in chapters {
        let before = out.len();
        chapter(channel, scope, out);
        // A stream that changes more than fits has so many events that the next one follows.
        if out.len() - start > MAX_PART_BYTES {
            out.truncate(before);
        } else if out.len() > before {
            contents |= bit;
        }
    }
    if contents == 0 {
        out.truncate(start);
        return;
    }
    let length = (out.len() - start) as u16;
    out[start] = scope.is_old(channel.at) | number << 3 | (length >> 8) as u8;
    out[start + 1] = length as u8;
    out[start + 2] = contents;
}

fn write_program(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    if !scope.covers(channel.program) {
        return;
    }
    out.push(scope.is_old(channel.program.at) | channel.program.value);
    match channel.bank {
        [None, None] => out.extend([0, 0]),
        [high, low] => out.extend([0x80 | high.unwrap_or(0), low.unwrap_or(0)]),
    }
}

/// Appends a list of entries of two bytes, after a byte with their number less one.
fn write_list(entries: impl Iterator<Item = (u32, u8, u8)>, scope: Scope, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    let mut is_old = 0x80;
    for (at, first, second) in entries {
        is_old &= scope.is_old(at);
        out.extend([scope.is_old(at) | first, second]);
    }
    match (out.len() - start) / 2 {
        0 => out.truncate(start),
        count => out[start] = is_old | (count - 1) as u8,
    }
}

fn covered(slots: &[Slot; 128], scope: Scope) -> impl Iterator<Item = (u8, Slot)> {
    let numbered = (0_u8..).zip(slots.iter().copied());
    numbered.filter(move |(_, slot)| scope.covers(*slot))
}

fn write_controllers(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let program = channel.program.at;
    // A bank before the program belongs to the program.
    let is_own = |number: u8, slot: Slot| !matches!(number, 0 | 32) || slot.at > program;
    let mut all: Vec<(u32, u8, u8)> = covered(&channel.controllers, scope)
        .filter(|(number, slot)| is_own(*number, *slot))
        .map(|(number, slot)| (slot.at, number, slot.value))
        .collect();
    // The order matters for controllers that reset others.
    all.sort_unstable();
    write_list(all.into_iter(), scope, out);
}

fn write_parameters(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let parameters = &channel.parameters;
    if parameters.at <= scope.acknowledged {
        return;
    }
    let start = out.len();
    out.extend([0; 2]);
    let mut flags = scope.is_old(parameters.at);
    match parameters.selection {
        Selection::Nothing => {}
        Selection::Pending(registered, high) => {
            flags |= 0x40;
            out.push(if registered { high } else { 0x80 | high });
        }
        Selection::Parameter(_) => flags |= 0x20,
    }
    for parameter in parameters.changed(scope.acknowledged) {
        let (registered, number) = parameter.name;
        let kind = if registered { 0 } else { 0x80 };
        out.push(scope.is_old(parameter.at) | (number & 0x7F) as u8);
        out.push(kind | (number >> 7) as u8);
        let (high, low) = (parameter.high, parameter.low);
        // J and K: the halves that follow. V: they are the value itself.
        let halves = u8::from(high.is_some()) << 7 | u8::from(low.is_some()) << 6;
        out.push(halves | 0x02);
        out.extend(high);
        out.extend(low);
    }
    let length = (out.len() - start) as u16;
    out[start] = flags | (length >> 8) as u8;
    out[start + 1] = length as u8;
}

fn write_bend(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    if channel.bend_at > scope.acknowledged {
        let low = (channel.bend & 0x7F) as u8;
        out.extend([scope.is_old(channel.bend_at) | low, (channel.bend >> 7) as u8]);
    }
}

/// Notes that started, and one bit for each that ended.
fn write_notes(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 2]);
    let (mut started, mut ended) = (0_usize, [0_u8; 16]);
    let mut is_old = 0x80;
    for (note, slot) in covered(&channel.notes, scope) {
        if slot.value > 0 {
            started += 1;
            // The bit Y: the note is to be played, however late it is.
            out.extend([scope.is_old(slot.at) | note, 0x80 | slot.value]);
        } else {
            ended[usize::from(note / 8)] |= 0x80 >> (note % 8);
            is_old &= scope.is_old(slot.at);
        }
    }
    let low = ended.iter().position(|bits| *bits != 0);
    let high = ended.iter().rposition(|bits| *bits != 0);
    let range = match (low, high) {
        (Some(low), Some(high)) => {
            out.extend_from_slice(&ended[low..=high]);
            (low << 4 | high) as u8
        }
        _ if started == 0 => return out.truncate(start),
        // 128 notes do not fit into 7 bits.
        _ if started == 128 => 0xF0,
        _ => 0xF1,
    };
    out[start] = is_old | started.min(127) as u8;
    out[start + 1] = range;
}

fn write_releases(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let ended = covered(&channel.notes, scope).filter(|(_, slot)| slot.value == 0);
    let releases = ended.filter_map(|(note, slot)| {
        let velocity = channel.releases[usize::from(note)];
        (velocity != DEFAULT_RELEASE).then_some((slot.at, note, 0x80 | velocity))
    });
    write_list(releases, scope, out);
}

fn write_aftertouch(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    if scope.covers(channel.aftertouch) {
        out.push(scope.is_old(channel.aftertouch.at) | channel.aftertouch.value);
    }
}

fn write_pressures(channel: &Channel, scope: Scope, out: &mut Vec<u8>) {
    let all = covered(&channel.pressures, scope);
    write_list(all.map(|(note, slot)| (slot.at, note, slot.value)), scope, out);
}

/// Appends the system's part: the song (D), the sequencer (Q) and system exclusive messages (X).
fn write_system(state: &State, scope: Scope, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 2]);
    let (mut contents, mut is_old) = (0, 0x80);
    if scope.covers(state.song) {
        contents |= 0x40;
        let old = scope.is_old(state.song.at);
        is_old &= old;
        out.extend([old | 0x10, old | state.song.value]);
    }
    let sequencer = &state.sequencer;
    if sequencer.at > scope.acknowledged {
        contents |= 0x10;
        // The bit S is clear, which asks for more than is needed: tshark takes it for the bit T.
        is_old = 0;
        let running = u8::from(sequencer.is_running) << 6;
        let clock = u8::from(sequencer.is_running && sequencer.has_clock) << 5;
        let position = u8::from(sequencer.position > 0) << 4;
        out.push(running | clock | position | (sequencer.position >> 16 & 7) as u8);
        if sequencer.position > 0 {
            out.extend((sequencer.position as u16).to_be_bytes());
        }
    }
    for exclusive in state.exclusives.iter().filter(|one| one.at > scope.acknowledged) {
        let data = exclusive.data.as_deref().filter(|data| !data.is_empty());
        if out.len() - start + 2 + data.map_or(0, <[u8]>::len) > MAX_PART_BYTES {
            break;
        }
        contents |= 0x04;
        let old = scope.is_old(exclusive.at);
        is_old &= old;
        // T: its number. D: its data. L: every message is listed. STA 3: it has ended.
        let has_data = if data.is_some() { 0x08 } else { 0 };
        out.extend([old | 0x40 | has_data | 0x04 | 3, exclusive.count]);
        if let Some([data @ .., last]) = data {
            out.extend_from_slice(data);
            out.push(0x80 | last);
        }
    }
    if contents == 0 {
        return out.truncate(start);
    }
    let length = (out.len() - start) as u16;
    out[start] = is_old | contents | (length >> 8) as u8;
    out[start + 1] = length as u8;
}
