//! What an instance emits of the frames that it receives.

use std::fmt::Write;
use std::ops::Range;

use consort_router::{ChannelTable, Context, RawValue, Sender, Unmatched};

use super::slots::{ChannelSlots, SLOTS, SlotSet, Slots};

/// The most unmatched slots of one frame that are reported. The others are counted, and their turn
/// comes with the next frames.
const MAX_UNMATCHED_PER_FRAME: usize = 8;

/// How many values of a block count as one towards the budget of a turn.
const BLOCK_WEIGHT: u32 = 32;

/// Finds the levels from the slot `start` on that are emitted: those that differ from the old frame
/// and, where that has no level, those that are not 0, or all with `emits_all_first`.
fn find_changed(old: &[u8], start: usize, new: &[u8], emits_all_first: bool, changed: &mut [u8]) {
    let old = old.get(start..).unwrap_or_default();
    let known = old.len().min(new.len());
    for ((changed, old), new) in changed.iter_mut().zip(old).zip(new) {
        *changed = u8::from(old != new);
    }
    for (changed, &new) in changed.iter_mut().zip(new).skip(known) {
        *changed = u8::from(emits_all_first || new > 0);
    }
}

/// The frame that an instance has emitted last, and what the next one emits beside its changes.
#[derive(Default)]
pub(crate) struct Emission {
    /// The frame that was emitted last; empty before the first one.
    frame: Vec<u8>,
    /// Channels that a reload has mapped: their values are emitted with the next frame.
    fresh: Vec<u32>,
    /// Where the search for unmatched slots to report begins.
    next_unmatched: u16,
}

impl Emission {
    /// The frame that was emitted last.
    pub(crate) fn last_frame(&self) -> Option<&[u8]> {
        (!self.frame.is_empty()).then_some(&self.frame[..])
    }

    /// Whether a frame has nothing to emit.
    pub(crate) fn is_current(&self, frame: &[u8]) -> bool {
        self.frame == frame && self.fresh.is_empty()
    }

    /// Logs the slots that differ from the last frame, mapped or not, for the option `detect`.
    #[cold]
    pub(crate) fn log_changes(&self, frame: &[u8], context: &mut Context<'_>) {
        let is_changed = |slot: &usize| match self.last_frame() {
            Some(old) => old.get(*slot) != frame.get(*slot),
            None => frame[*slot] > 0,
        };
        let mut line = String::new();
        for slot in (0..frame.len()).filter(is_changed) {
            let _ = write!(line, " {}={}", slot + 1, frame[slot]);
        }
        if !line.is_empty() {
            let instance = context.name();
            tracing::info!(target: "detect", instance, "detected `{instance}`:{line}");
        }
    }

    /// Forgets the last frame: the next one is the first.
    pub(crate) fn reset(&mut self) {
        self.frame.clear();
    }

    /// Continues with the channels of a reloaded show: the next frame emits those that are new.
    pub(crate) fn adopt(&mut self, channel_count: u32, channels: &ChannelTable) {
        let is_fresh = |channel: &u32| match channels.old_number(*channel) {
            Some(old) => self.fresh.contains(&old),
            None => true,
        };
        let has_frame = !self.frame.is_empty();
        self.fresh = (0..channel_count).filter(|_| has_frame).filter(is_fresh).collect();
    }

    /// Emits the values that differ from the last frame, and reports slots that are not mapped.
    /// Of the first frame, values of 0 are emitted only with `emits_all_first`. Returns how many
    /// values and slots there were.
    pub(crate) fn emit(
        &mut self,
        slots: &Slots,
        frame: &[u8],
        emits_all_first: bool,
        sender: Sender<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        let count = self.emit_fresh(slots, frame, emits_all_first, context);
        count + self.emit_changes(slots, frame, emits_all_first, sender, context)
    }

    /// The first part of [`emit`](Self::emit): channels that a reload has mapped.
    pub(crate) fn emit_fresh(
        &mut self,
        slots: &Slots,
        frame: &[u8],
        emits_all_first: bool,
        context: &mut Context<'_>,
    ) -> usize {
        let mut count = 0;
        for channel in self.fresh.drain(..) {
            // A value that the last frame did not have is emitted as a change.
            let Some(value) = slots.value(channel, &frame[..self.frame.len()]) else { continue };
            if value > 0.0 || emits_all_first {
                count += 1;
                context.emit(channel, value);
            }
            let slots = slots.slots_of(channel);
            for slot in [Some(slots.high), slots.low].into_iter().flatten() {
                self.frame[usize::from(slot)] = frame[usize::from(slot)];
            }
        }
        count
    }

    /// The second part of [`emit`](Self::emit): changes and slots that are not mapped.
    pub(crate) fn emit_changes(
        &mut self,
        slots: &Slots,
        frame: &[u8],
        emits_all_first: bool,
        sender: Sender<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        self.emit_changes_except(slots, frame, emits_all_first, |_| false, sender, context)
    }

    /// [`emit_changes`](Self::emit_changes) without the channels for which `is_known` is true:
    /// their values are taken note of and not emitted.
    pub(crate) fn emit_changes_except(
        &mut self,
        slots: &Slots,
        frame: &[u8],
        emits_all_first: bool,
        is_known: impl Fn(ChannelSlots) -> bool,
        sender: Sender<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        let mut count = 0;
        let old = self.last_frame();
        let mut unmatched = SlotSet::default();
        let known = self.frame.len();
        let is_first = |channel| usize::from(slots.slots_of(channel).high) >= known;
        let mut emit_single = |range: Range<usize>, context: &mut Context<'_>| {
            let mut count = 0;
            slots.changes(old, frame, range, |channel, value| match channel {
                // Before the first frame, all slots are 0.
                Ok(channel) if value == 0.0 && !emits_all_first && is_first(channel) => {}
                Ok(channel) if is_known(slots.slots_of(channel)) => {}
                Ok(channel) => {
                    count += 1;
                    context.emit(channel, value);
                }
                Err(slot) if old.is_some() || value > 0.0 => unmatched.insert(slot),
                Err(_) => {}
            });
            count
        };
        let mut next = 0;
        for index in 0.. {
            let Some(source) = context.block_source(index) else { break };
            let start = usize::from(source.slot);
            let length = usize::from(source.length);
            // What the frame has not got yet goes as single values.
            if start + length > frame.len() {
                break;
            }
            count += emit_single(next..start, context);
            next = start + length;
            let mut changed = [0; SLOTS];
            let (new, changed) = (&frame[start..next], &mut changed[..length]);
            let is_known =
                |index: usize| is_known(ChannelSlots { high: (start + index) as u16, low: None });
            find_changed(&self.frame, start, new, emits_all_first, changed);
            for (index, changed) in changed.iter_mut().enumerate() {
                *changed &= u8::from(!is_known(index));
            }
            // A block is less work than its values.
            count += context.emit_block(source, new, changed).div_ceil(BLOCK_WEIGHT) as usize;
        }
        count += emit_single(next..SLOTS, context);
        count += self.report_unmatched(unmatched, frame, sender, context);
        self.frame.clear();
        self.frame.extend_from_slice(frame);
        count
    }

    /// Reports slots that have changed and are not mapped, up to the limit of a frame; returns how
    /// many. The next report begins where this one ended, so that all slots are reported in turn.
    fn report_unmatched(
        &mut self,
        mut slots: SlotSet,
        frame: &[u8],
        sender: Sender<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        let count = slots.count();
        for _ in 0..count.min(MAX_UNMATCHED_PER_FRAME) {
            let Some(slot) = slots.take_from(self.next_unmatched) else { break };
            self.next_unmatched = slot + 1;
            let byte = frame[usize::from(slot)];
            let input = Unmatched {
                types: "slot",
                raw: RawValue::Integer(byte.into()),
                value: Some(f64::from(byte) / 255.0),
                sender,
            };
            context.unmatched(input, |channel| {
                let _ = write!(channel, "{}", slot + 1);
            });
        }
        if count > MAX_UNMATCHED_PER_FRAME {
            context.count_unmatched((count - MAX_UNMATCHED_PER_FRAME) as u64);
        }
        count.min(MAX_UNMATCHED_PER_FRAME)
    }
}
