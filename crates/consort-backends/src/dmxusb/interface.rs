//! An open interface of the type `pro`: its messages in both directions, without blocking.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::config::Settings;
use super::pro::{self, Decoder, label};
use crate::dmx::SLOTS;
use crate::serial::SerialLine;

/// How long an interface may take to answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The time after which an unchanged frame is sent again, because a message may have been lost.
pub(super) const REPEAT_INTERVAL: Duration = Duration::from_secs(1);

/// What an interface has reported about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) firmware: Option<(u8, u8)>,
    pub(super) serial: Option<u32>,
}

/// An open interface.
pub(super) struct ProInterface {
    pub(super) line: SerialLine,
    pub(super) decoder: Decoder,
    pub(super) frame: pro::ReceivedFrame,
    pub(super) identity: Identity,
    /// When the interface was last asked for its identity.
    pub(super) asked: Instant,
    /// Messages that have not been written completely.
    outgoing: Vec<u8>,
    written: usize,
    /// When the last frame was sent.
    pub(super) sent: Option<Instant>,
}

impl ProInterface {
    /// Asks the interface for its identity, and sets it up.
    pub(super) fn new(line: SerialLine, settings: &Settings, receives: bool, now: Instant) -> Self {
        let mut interface = ProInterface {
            line,
            decoder: Decoder::default(),
            frame: pro::ReceivedFrame::default(),
            identity: Identity::default(),
            asked: now,
            outgoing: Vec::new(),
            written: 0,
            sent: None,
        };
        interface.ask(now);
        interface.set_parameters(settings);
        if receives {
            interface.set_receive_mode(settings.receives_changes);
        }
        interface
    }

    /// Asks for firmware and serial number.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = now;
        pro::encode(label::PARAMETERS, &[0, 0], &mut self.outgoing);
        pro::encode(label::SERIAL, &[], &mut self.outgoing);
    }

    /// Sets break, mark and rate if the configuration does.
    pub(super) fn set_parameters(&mut self, settings: &Settings) {
        if settings.sets_parameters {
            let Settings { break_micros, mark_micros, rate, .. } = *settings;
            let data = pro::parameters(break_micros, mark_micros, rate);
            pro::encode(label::SET_PARAMETERS, &data, &mut self.outgoing);
        }
    }

    /// Sets whether the interface reports each frame or only changes. It receives from then on,
    /// until a frame is sent.
    pub(super) fn set_receive_mode(&mut self, changes: bool) {
        pro::encode(label::RECEIVE_MODE, &[changes.into()], &mut self.outgoing);
    }

    /// Queues a frame. The interface repeats it by itself.
    pub(super) fn send(&mut self, slots: &[u8; SLOTS], now: Instant) {
        self.sent = Some(now);
        pro::encode_frame(slots, &mut self.outgoing);
    }

    /// Whether everything is written.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Writes as much as possible without waiting.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.outgoing.len() {
            let rest = &self.outgoing[self.written..];
            match rustix::io::write(self.line.descriptor().as_fd(), rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(())
    }
}
