//! Events for devices: those that the show has created, and the lights of input devices.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::channels::{Channels, Control};
use super::codes::{CODES, Code, CodeSet, EventType};
use super::config::Settings;
use super::system::{Blueprint, OutputDevice, RawEvent};

/// Collects the events of one delivery and writes them with one call.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The codes of the report that is being collected.
    seen: Box<[u64; CODES.div_ceil(64)]>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer { bytes: Vec::new(), seen: Box::new([0; CODES.div_ceil(64)]) }
    }
}

impl Writer {
    /// Adds an event. The second value of a code in one delivery begins another report, so that
    /// readers see both.
    pub(super) fn put(&mut self, code: Code, value: i32) {
        let (word, bit) = (code.index() / 64, 1 << (code.index() % 64));
        if self.seen[word] & bit != 0 {
            self.end_report();
        }
        self.seen[word] |= bit;
        RawEvent::new(code, value).encode(&mut self.bytes);
    }

    fn end_report(&mut self) {
        RawEvent::REPORT.encode(&mut self.bytes);
        self.seen.fill(0);
    }

    /// Writes all events. What cannot be written is discarded.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn flush(&mut self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.end_report();
        let mut written = 0;
        let result = loop {
            if written == self.bytes.len() {
                break Ok(());
            }
            match rustix::io::write(descriptor.as_fd(), &self.bytes[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => break Err(error.into()),
            }
        };
        self.bytes.clear();
        result
    }

    /// Discards all events.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.seen.fill(0);
    }
}

/// A device that the show has created.
pub(super) struct Output {
    pub(super) device: Box<dyn OutputDevice>,
    pub(super) blueprint: Blueprint,
    /// The keys that are down.
    pub(super) keys: CodeSet,
    /// The lights and sounds that are on, as the show or another program has set them.
    pub(super) lights: CodeSet,
    pub(super) sounds: CodeSet,
    pub(super) writer: Writer,
}

impl Output {
    pub(super) fn new(device: Box<dyn OutputDevice>, blueprint: Blueprint) -> Self {
        Output {
            device,
            blueprint,
            keys: CodeSet::default(),
            lights: CodeSet::default(),
            sounds: CodeSet::default(),
            writer: Writer::default(),
        }
    }

    /// Adds an event and records what it leaves on.
    pub(super) fn put(&mut self, code: Code, value: i32) {
        if let Some(set) = self.set(code.kind) {
            set.set(code.number, value != 0);
        }
        self.writer.put(code, value);
    }

    fn set(&mut self, kind: EventType) -> Option<&mut CodeSet> {
        match kind {
            EventType::Key => Some(&mut self.keys),
            EventType::Led => Some(&mut self.lights),
            EventType::Sound => Some(&mut self.sounds),
            _ => None,
        }
    }

    /// Records a light or a sound that another program has set; returns whether it has changed.
    pub(super) fn set_by_others(&mut self, code: Code, is_on: bool) -> bool {
        matches!(code.kind, EventType::Led | EventType::Sound)
            && self.set(code.kind).is_some_and(|set| set.set(code.number, is_on))
    }

    /// Releases the keys that are down and ends sounds, except those that are kept.
    pub(super) fn release(&mut self, is_kept: impl Fn(Code) -> bool) {
        for (kind, set) in [(EventType::Key, self.keys), (EventType::Sound, self.sounds)] {
            for number in set.iter() {
                let code = Code { kind, number };
                if !is_kept(code) {
                    self.put(code, 0);
                }
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush(self.device.descriptor())
    }
}

/// The device of an instance with `output`: it has all codes that are mapped.
pub(super) fn blueprint(settings: &Settings, channels: &Channels) -> Option<Blueprint> {
    let output = settings.output.as_ref()?;
    let codes = channels.list().iter().filter_map(|channel| match channel.control {
        Control::Code(code) => Some(code),
        Control::Rumble(_) => None,
    });
    // The range of an axis that is only received is unknown.
    let has_range =
        |code: &Code| code.kind != EventType::Absolute || settings.axis(code.number).is_some();
    let mut codes: Vec<Code> = codes.filter(has_range).collect();
    codes.sort_unstable();
    let axes = codes.iter().filter(|code| code.kind == EventType::Absolute);
    let axes = axes.filter_map(|code| Some((code.number, settings.axis(code.number)?)));
    let [vendor, product, version] = output.id;
    Some(Blueprint {
        name: output.name.clone(),
        phys: format!("consort/{}", settings.name),
        vendor,
        product,
        version,
        axes: axes.collect(),
        codes,
    })
}
