//! Output: a message for each strip, and when it is sent.

use std::time::{Duration, Instant};

use consort_router::Event;

use super::channels::{Channel, Order};
use super::codec::{HEADER_BYTES, MAX_DATA_BYTES, Mode, header};
use super::config::Settings;
use crate::dmx::Pace;

/// The message of one strip.
struct Strip {
    number: u8,
    /// Header and data, as they are sent.
    message: Vec<u8>,
    /// A bit for each component whose value has not been sent yet.
    pending: Vec<u64>,
    /// Whether a value was delivered for this strip itself.
    has_value: bool,
    is_dirty: bool,
    pace: Pace,
    /// When it was sent last over the present connection.
    sent: Option<Instant>,
}

impl Strip {
    fn new(number: u8, mode: Mode, interval: Duration) -> Self {
        Strip {
            number,
            message: header(number, mode.command(), 0).to_vec(),
            pending: Vec::new(),
            has_value: false,
            is_dirty: false,
            pace: Pace::new(interval),
            sent: None,
        }
    }

    fn data(&self) -> &[u8] {
        &self.message[HEADER_BYTES..]
    }

    /// Lengthens the data; new components are 0.
    fn extend(&mut self, bytes: usize) {
        let length = self.data().len().max(bytes);
        let [number, command, ..] = self.message[..] else { return };
        self.message.resize(HEADER_BYTES + length, 0);
        self.message[..HEADER_BYTES].copy_from_slice(&header(number, command, length));
        self.pending.resize(length.div_ceil(64), 0);
    }

    /// Writes a component, if the strip is that long.
    #[inline]
    fn put(&mut self, index: usize, raw: u16, mode: Mode) {
        let start = HEADER_BYTES + index * mode.width();
        match mode {
            Mode::Bytes => {
                if let Some(byte) = self.message.get_mut(start) {
                    *byte = raw as u8;
                }
            }
            Mode::Words => {
                if let Some(bytes) = self.message.get_mut(start..start + 2) {
                    bytes.copy_from_slice(&raw.to_be_bytes());
                }
            }
        }
    }
}

/// The strips that an instance sends, strip 0 first.
///
/// Strip 0 stands for all strips: a value of it is also a value of the others, and its message
/// overwrites them at the receiver. A strip whose values differ from those of strip 0 is therefore
/// sent again after it.
pub(super) struct Outputs {
    mode: Mode,
    gamma: f64,
    refresh: Option<Duration>,
    interval: Duration,
    strips: Vec<Strip>,
    /// The strip and the component of each channel; strips are indices. `None` for sources.
    targets: Vec<Option<(u32, u32)>>,
}

impl Outputs {
    pub(super) fn new(
        channels: &[Channel],
        mode: Mode,
        order: &Order,
        settings: &Settings,
    ) -> Self {
        let mut outputs = Outputs {
            mode,
            gamma: settings.gamma,
            refresh: settings.refresh,
            interval: settings.interval,
            strips: Vec::new(),
            targets: Vec::new(),
        };
        for channel in channels.iter().filter(|channel| channel.is_target) {
            let pixel = usize::from(channel.component.index) / order.pixel_size() + 1;
            // Whole pixels, as far as a message can have them.
            let bytes = (pixel * order.pixel_size() * mode.width()).min(MAX_DATA_BYTES);
            outputs.strip(channel.component.strip).extend(bytes);
        }
        outputs.find_targets(channels);
        outputs
    }

    /// The strip with this number, which is added if it is new.
    fn strip(&mut self, number: u8) -> &mut Strip {
        let index = match self.strips.binary_search_by_key(&number, |strip| strip.number) {
            Ok(index) => index,
            Err(index) => {
                self.strips.insert(index, Strip::new(number, self.mode, self.interval));
                index
            }
        };
        &mut self.strips[index]
    }

    fn find_targets(&mut self, channels: &[Channel]) {
        let target = |channel: &Channel| {
            let number = channel.component.strip;
            let strip = self.strips.binary_search_by_key(&number, |strip| strip.number).ok()?;
            channel.is_target.then_some((strip as u32, u32::from(channel.component.index)))
        };
        self.targets = channels.iter().map(target).collect();
    }

    /// Continues with the channels and settings of a reloaded show. What is not mapped any more
    /// keeps its last value.
    pub(super) fn adopt(&mut self, channels: &[Channel], new: Outputs) {
        (self.gamma, self.refresh, self.interval) = (new.gamma, new.refresh, new.interval);
        for strip in new.strips {
            let length = strip.data().len();
            self.strip(strip.number).extend(length);
        }
        for strip in &mut self.strips {
            strip.pace.set_interval(self.interval);
        }
        self.find_targets(channels);
    }

    /// Whether anything is mapped.
    pub(super) fn is_used(&self) -> bool {
        !self.strips.is_empty()
    }

    /// Takes values. Returns how many replaced values that have not been sent.
    pub(super) fn deliver(&mut self, events: impl Iterator<Item = Event>) -> u64 {
        let mut replaced = 0;
        for event in events {
            let Some((strip, index)) = self.targets[event.channel as usize] else { continue };
            let value = match self.gamma {
                1.0 => event.value,
                gamma => event.value.max(0.0).powf(gamma),
            };
            // The conversion saturates and turns NaN into 0.
            let raw = match self.mode {
                Mode::Bytes => (value * 255.0 + 0.5) as u8 as u16,
                Mode::Words => (value * 65_535.0 + 0.5) as u16,
            };
            let (strip, index, mode) = (strip as usize, index as usize, self.mode);
            if self.strips[strip].number == 0 {
                self.strips[strip + 1..].iter_mut().for_each(|other| other.put(index, raw, mode));
            }
            let strip = &mut self.strips[strip];
            strip.put(index, raw, mode);
            let (word, bit) = (index / 64, 1 << (index % 64));
            replaced += u64::from(strip.pending[word] & bit != 0);
            strip.pending[word] |= bit;
            (strip.has_value, strip.is_dirty) = (true, true);
        }
        replaced
    }

    /// All strips with a value are sent again: the receiver is a new one.
    pub(super) fn restart(&mut self) {
        for strip in &mut self.strips {
            strip.is_dirty = strip.has_value;
            strip.sent = None;
        }
    }

    /// When [`write_due`](Self::write_due) has something to write.
    pub(super) fn due_time(&self, now: Instant) -> Option<Instant> {
        self.strips.iter().filter_map(|strip| self.due_time_of(strip, now)).min()
    }

    fn due_time_of(&self, strip: &Strip, now: Instant) -> Option<Instant> {
        match strip.is_dirty {
            true => Some(strip.pace.due_time(now)),
            false => Some(strip.sent? + self.refresh?),
        }
    }

    /// Appends the messages that are due; with `all`, those of all changed strips.
    pub(super) fn write_due(&mut self, now: Instant, all: bool, bytes: &mut Vec<u8>) {
        for index in 0..self.strips.len() {
            let due = self.due_time_of(&self.strips[index], now);
            let strip = &mut self.strips[index];
            let is_due = due.is_some_and(|due| due <= now) || (all && strip.is_dirty);
            if !is_due {
                continue;
            }
            strip.write(now, bytes);
            if strip.number == 0 {
                self.write_overwritten(now, bytes);
            }
        }
    }

    /// Appends the messages of the strips that a message of strip 0 has overwritten.
    fn write_overwritten(&mut self, now: Instant, bytes: &mut Vec<u8>) {
        let Some((all, others)) = self.strips.split_first_mut() else { return };
        for strip in others.iter_mut().filter(|strip| strip.has_value) {
            let length = all.data().len().min(strip.data().len());
            if all.data()[..length] != strip.data()[..length] {
                strip.write(now, bytes);
            }
        }
    }
}

impl Strip {
    /// Appends the message, and takes note of that.
    fn write(&mut self, now: Instant, bytes: &mut Vec<u8>) {
        if self.is_dirty {
            self.pace.count_frame(now);
            self.is_dirty = false;
            self.pending.fill(0);
        }
        self.sent = Some(now);
        bytes.extend_from_slice(&self.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openpixelcontrol::channels::Channels;
    use consort_router::Usage;

    fn outputs(names: &[&str], mode: Mode, order: &str, settings: &Settings) -> Outputs {
        let mut channels = Channels::new(mode, Order::parse(order).expect(order));
        for name in names {
            channels.channel(name, Usage::Target).expect(name);
        }
        Outputs::new(channels.list(), mode, &channels.order, settings)
    }

    fn written(outputs: &mut Outputs, now: Instant) -> Vec<u8> {
        let mut bytes = Vec::new();
        outputs.write_due(now, false, &mut bytes);
        bytes
    }

    const UNLIMITED: Settings = Settings { gamma: 1.0, refresh: None, interval: Duration::ZERO };

    #[test]
    fn a_message_has_whole_pixels_in_both_modes() {
        let now = Instant::now();
        let mut out = outputs(&["strip1.green2"], Mode::Bytes, "rgb", &UNLIMITED);
        assert_eq!(out.deliver([Event::new(0, 0.5)].into_iter()), 0);
        assert_eq!(written(&mut out, now), [1, 0, 0, 6, 0, 0, 0, 0, 128, 0]);
        assert_eq!(written(&mut out, now), [0; 0], "nothing has changed");
        // Big endian.
        let mut out = outputs(&["strip2.channel1"], Mode::Words, "grbw", &UNLIMITED);
        out.deliver([Event::new(0, 0.5)].into_iter());
        assert_eq!(written(&mut out, now), [2, 2, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        // The longest message of four components has a partial pixel at its end.
        let mut out = outputs(&["strip1.channel65535"], Mode::Bytes, "rgbw", &UNLIMITED);
        out.deliver([Event::new(0, 1.0)].into_iter());
        let bytes = written(&mut out, now);
        assert_eq!((bytes.len(), bytes[2], bytes[3], bytes[65_538]), (65_539, 255, 255, 255));
    }

    #[test]
    fn every_raw_value_survives_and_others_are_clipped() {
        let now = Instant::now();
        let mut out = outputs(&["strip1.red1"], Mode::Bytes, "rgb", &UNLIMITED);
        for raw in 0..=255_u8 {
            out.deliver([Event::new(0, f64::from(raw) / 255.0)].into_iter());
            assert_eq!(written(&mut out, now)[4], raw);
        }
        for (value, raw) in [(-1.0, 0), (2.0, 255), (f64::NAN, 0), (f64::INFINITY, 255)] {
            out.deliver([Event::new(0, value)].into_iter());
            assert_eq!(written(&mut out, now)[4], raw, "{value}");
        }
        let mut out = outputs(&["strip1.red1"], Mode::Words, "rgb", &UNLIMITED);
        for raw in 0..=u16::MAX {
            out.deliver([Event::new(0, f64::from(raw) / 65_535.0)].into_iter());
            assert_eq!(written(&mut out, now)[4..6], raw.to_be_bytes());
        }
        let settings = Settings { gamma: 2.0, ..UNLIMITED };
        let mut out = outputs(&["strip1.red1"], Mode::Bytes, "rgb", &settings);
        out.deliver([Event::new(0, 0.5)].into_iter());
        assert_eq!(written(&mut out, now)[4], 64);
    }

    #[test]
    fn strip_0_is_a_value_of_all_and_overwritten_strips_are_sent_again() {
        let now = Instant::now();
        let names = ["strip0.red1", "strip1.red1", "strip1.blue1", "strip2.red1", "strip3.red1"];
        let mut out = outputs(&names, Mode::Bytes, "rgb", &UNLIMITED);
        out.deliver([Event::new(2, 1.0), Event::new(3, 0.2)].into_iter());
        assert_eq!(written(&mut out, now), [1, 0, 0, 3, 0, 0, 255, 2, 0, 0, 3, 51, 0, 0]);
        out.deliver([Event::new(0, 0.4)].into_iter());
        // Strip 1 keeps its blue. Strip 2 has the red of strip 0, and strip 3 never had a value.
        assert_eq!(written(&mut out, now), [0, 0, 0, 3, 102, 0, 0, 1, 0, 0, 3, 102, 0, 255]);
        // A later value of a strip itself remains.
        out.deliver([Event::new(0, 0.6), Event::new(3, 0.2)].into_iter());
        let expected = [0, 0, 0, 3, 153, 0, 0, 1, 0, 0, 3, 153, 0, 255, 2, 0, 0, 3, 51, 0, 0];
        assert_eq!(written(&mut out, now), expected);
    }

    #[test]
    fn the_rate_is_limited_and_unchanged_strips_are_refreshed() {
        let settings = Settings {
            interval: Duration::from_millis(20),
            refresh: Some(Duration::from_millis(500)),
            ..UNLIMITED
        };
        let mut out = outputs(&["strip1.red1"], Mode::Bytes, "rgb", &settings);
        let start = Instant::now();
        let (mut times, mut replaced) = (Vec::new(), 0);
        assert_eq!(out.due_time(start), None);
        for time in 0..2_000_u64 {
            let now = start + Duration::from_millis(time);
            if time < 1_000 {
                replaced += out.deliver([Event::new(0, time as f64 / 1_000.0)].into_iter());
            }
            assert_eq!(out.due_time(now).is_some_and(|due| due <= now), {
                let is_written = !written(&mut out, now).is_empty();
                if is_written {
                    times.push(time);
                }
                is_written
            });
        }
        let of_changes = times.iter().filter(|&&time| time < 1_000).count();
        assert!((50..=51).contains(&of_changes), "{times:?}");
        assert_eq!(replaced, 1_000 - of_changes as u64 - u64::from(times[of_changes] < 1_100));
        assert_eq!(times.len(), of_changes + 2, "the last value, and one repetition: {times:?}");
        out.restart();
        let now = start + Duration::from_millis(2_000);
        assert_eq!(written(&mut out, now).len(), 7, "a new receiver");
    }

    #[test]
    fn a_reload_keeps_values_and_lengths() {
        let now = Instant::now();
        let mut out = outputs(&["strip1.red3", "strip2.red1"], Mode::Bytes, "rgb", &UNLIMITED);
        out.deliver([Event::new(0, 1.0), Event::new(1, 1.0)].into_iter());
        written(&mut out, now);
        let order = Order::parse("rgb").expect("an order");
        let mut channels = Channels::new(Mode::Bytes, order);
        channels.channel("strip1.red1", Usage::Target).expect("a channel");
        let new = Outputs::new(channels.list(), Mode::Bytes, &channels.order, &UNLIMITED);
        out.adopt(channels.list(), new);
        out.deliver([Event::new(0, 0.2)].into_iter());
        assert_eq!(written(&mut out, now), [1, 0, 0, 9, 51, 0, 0, 0, 0, 0, 255, 0, 0]);
    }
}
