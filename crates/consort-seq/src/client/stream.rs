//! A port as a stream of MIDI bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use parking_lot::Mutex;

use super::blocking::SequencerClient;
use super::core::deadline;
use super::error::ErrorKind;
use super::port::Port;
use crate::midi::{MidiDecoder, MidiEncoder};

/// A port as [`Read`] and [`Write`] of MIDI bytes, for programs and libraries that expect a raw
/// MIDI device. As with sockets, `&MidiStream` reads and writes, too, so that two threads may use
/// one stream.
///
/// A read returns whole messages with their status bytes; one that is larger than the buffer
/// continues in the next read. Written bytes may be parts of messages, with running status; each
/// message is sent to the subscribers of the port as soon as it is complete, and a system exclusive
/// message in parts of at most [`DEFAULT_CHUNK`](crate::midi::DEFAULT_CHUNK) bytes.
///
/// The stream owns its client: events without MIDI bytes, and those of other ports of the client,
/// are dropped. The stream dereferences to the client, which has the methods for connections.
///
/// ```
/// use std::io::{Read, Write};
///
/// use consort_seq::{ClockKind, Embedded, PortOptions, RW_PORT, SequencerClient};
///
/// let engine = Embedded::new(ClockKind::Virtual);
/// let open = |name| -> consort_seq::Result<_> {
///     let client = SequencerClient::builder(name).engine(engine.clone()).open()?;
///     let port = client.create_port(PortOptions::new("midi").caps(RW_PORT))?;
///     Ok(client.into_stream(port))
/// };
/// let (mut keys, mut synth) = (open("keys")?, open("synth")?);
/// keys.port().connect_to(synth.port())?;
///
/// // A note-on, and a note-off with running status.
/// keys.write_all(&[0x90, 60, 100, 60, 0])?;
/// let mut bytes = [0; 6];
/// synth.read_exact(&mut bytes)?;
/// assert_eq!(bytes, [0x90, 60, 100, 0x90, 60, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MidiStream {
    client: SequencerClient,
    port: Port,
    read_timeout: Mutex<Option<Duration>>,
    input: Mutex<Input>,
    encoder: Mutex<MidiEncoder>,
}

/// Bytes that have arrived.
#[derive(Default)]
struct Input {
    decoder: MidiDecoder,
    bytes: Vec<u8>,
    /// How many of `bytes` have been read.
    read: usize,
}

impl SequencerClient {
    /// Reads and writes a port of this client as a stream of MIDI bytes.
    #[must_use]
    pub fn into_stream(self, port: Port) -> MidiStream {
        MidiStream {
            client: self,
            port,
            read_timeout: Mutex::new(None),
            input: Mutex::default(),
            encoder: Mutex::default(),
        }
    }
}

impl MidiStream {
    /// The port.
    #[must_use]
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Limits how long a read waits for a message: then it fails with
    /// [`io::ErrorKind::WouldBlock`]. A time-out of zero does not wait; `None`, the default, waits
    /// without limit.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        *self.read_timeout.lock() = timeout;
    }
}

impl std::ops::Deref for MidiStream {
    type Target = SequencerClient;

    fn deref(&self) -> &SequencerClient {
        &self.client
    }
}

impl fmt::Debug for MidiStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("MidiStream").field(&self.port).finish()
    }
}

impl Read for &MidiStream {
    /// Waits for a message that has arrived at the port. Returns 0, the end, once the client or the
    /// port is closed.
    ///
    /// # Errors
    /// `WouldBlock` when the time-out is over; `Other` with the client's error
    /// [`Overrun`](crate::ErrorKind::Overrun) if messages were lost, after which reading continues.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut input = self.input.lock();
        let until = deadline(*self.read_timeout.lock());
        while input.read == input.bytes.len() {
            input.bytes.clear();
            input.read = 0;
            let left =
                until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
            let event = match self.client.event_input(left) {
                Ok(Some(event)) => event,
                Ok(None) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) if error.kind() == ErrorKind::Closed => return Ok(0),
                Err(error) => return Err(error.into()),
            };
            if event.dest().port == self.port.port_id() {
                let Input { decoder, bytes, .. } = &mut *input;
                // An event without MIDI bytes adds none.
                let _ = decoder.decode(&event, bytes);
            }
        }
        let waiting = &input.bytes[input.read..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        input.read += count;
        Ok(count)
    }
}

impl Write for &MidiStream {
    /// Sends the messages that `bytes` complete, and keeps an incomplete one for the next call. All
    /// bytes are consumed, also if a message cannot be sent.
    ///
    /// # Errors
    /// Those of [`SequencerClient::event_output`] and [`SequencerClient::drain_output`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut encoder = self.encoder.lock();
        let mut sent = Ok(());
        encoder.encode(bytes, |event| {
            if sent.is_ok() {
                sent = self.client.event_output(&event, &self.port).map(|_| ());
            }
        });
        sent?;
        self.client.drain_output()?;
        Ok(bytes.len())
    }

    /// Sends what is in the client's output buffer; `write` does so itself.
    fn flush(&mut self) -> io::Result<()> {
        self.client.drain_output()?;
        Ok(())
    }
}

impl Read for MidiStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for MidiStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}
