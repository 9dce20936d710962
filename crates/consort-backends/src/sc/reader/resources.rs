//! Buses, buffers, and the ranges of triggers and replies.

use super::super::config::{BufferContent, BusConfig, BusKind};
use super::super::controls::Scale;
use super::Reader;
use crate::net::HostPort;

impl Reader<'_> {
    pub(super) fn buses(&mut self) -> Vec<BusConfig> {
        let mut buses: Vec<BusConfig> = Vec::new();
        for line in self.lines("bus.") {
            if line.setting.is_some() {
                let message = format!("expected one line for a bus, `bus.{} = …`", line.name);
                self.problems.error(Some(line.position), message);
                continue;
            }
            if buses.iter().any(|bus| bus.name == line.name) {
                let message = format!("duplicate bus `{}`", line.name);
                self.problems.error(Some(line.position), message);
                continue;
            }
            let number = line.name.parse::<u32>().ok();
            match bus_kind(line.value) {
                Ok(kind) => buses.push(BusConfig { name: line.name.to_owned(), kind, number }),
                Err(message) => {
                    self.problems.error(Some(line.position), message).hint(
                        "such as `bus.wobble = 0 1`, `bus.wobble = 20 2000 exponential`, or \
                         `bus.wet = audio 2`",
                    );
                }
            }
        }
        buses
    }

    pub(super) fn buffers(&mut self) -> Vec<(String, BufferContent)> {
        let mut buffers: Vec<(String, BufferContent)> = Vec::new();
        for line in self.lines("buffer.") {
            if line.setting.is_some() || buffers.iter().any(|(name, _)| name == line.name) {
                let message = format!("expected one line for a buffer, `buffer.{} = …`", line.name);
                self.problems.error(Some(line.position), message);
                continue;
            }
            match self.buffer_content(line.position, line.value) {
                Ok(content) => buffers.push((line.name.to_owned(), content)),
                Err(message) => {
                    self.problems.error(Some(line.position), message);
                }
            }
        }
        buffers
    }

    fn buffer_content(&self, position: usize, value: &str) -> Result<BufferContent, String> {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => Err("expected a sound file, or `empty FRAMES CHANNELS`".to_owned()),
            ["empty", frames, channels] => match (frames.parse(), channels.parse()) {
                (Ok(frames @ 1..=1_000_000_000), Ok(channels @ 1..=64)) => {
                    Ok(BufferContent::Empty(frames, channels))
                }
                _ => Err("expected `empty FRAMES CHANNELS`, up to 64 channels".to_owned()),
            },
            _ => {
                let entry = &self.options.entries()[position];
                let path = entry.directory.join(&entry.value);
                // A server on another computer reads its own files.
                let is_local = !matches!(self.options.text("server"), Some(text)
                    if HostPort::parse(text).is_ok_and(|server| !is_local(&server)));
                if is_local && !path.is_file() {
                    Err(format!("no such file: {}", entry.value))
                } else {
                    Ok(BufferContent::File(path))
                }
            }
        }
    }

    pub(super) fn ranges(&mut self) -> Vec<(String, Scale)> {
        let mut ranges = Vec::new();
        for prefix in ["trigger.", "reply."] {
            for (position, entry) in self.options.family(prefix) {
                match Scale::parse(&entry.value) {
                    Ok(scale) => ranges.push((entry.name.clone(), scale)),
                    Err(message) => {
                        self.problems.error(Some(position), message);
                    }
                }
            }
        }
        ranges
    }
}

/// Reads `audio CHANNELS`, `control`, or a range with or without `control` before it.
fn bus_kind(value: &str) -> Result<BusKind, String> {
    let mut words = value.split_ascii_whitespace();
    match words.next() {
        Some("audio") => {
            let channels = words.next().map_or(Ok(2), str::parse::<u32>);
            match channels {
                Ok(count @ 1..=64) if words.next().is_none() => Ok(BusKind::Audio(count)),
                _ => Err("expected `audio CHANNELS`, 1 to 64".to_owned()),
            }
        }
        Some("control") if value.trim() == "control" => Ok(BusKind::Control(Scale::UNIT)),
        Some("control") => {
            let range = value.trim_start()["control".len()..].trim_start();
            Scale::parse(range).map(BusKind::Control)
        }
        _ => Scale::parse(value).map(BusKind::Control),
    }
}

pub(super) fn is_local(server: &HostPort) -> bool {
    server.host == "localhost" || server.literal().is_some_and(|address| address.ip().is_loopback())
}
