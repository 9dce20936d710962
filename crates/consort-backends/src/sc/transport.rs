//! How packets reach the server: a datagram socket that never blocks, a TCP stream, or a score.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use consort_sc::score::Score;
use consort_sc::{OscMessage, Server};

use super::packets::Packets;
use crate::net::loss::{LossCounter, Losses};

/// The size of the socket's send and receive buffers that is requested, in bytes. The system may
/// grant less.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

/// How packets reach the server.
#[derive(Default)]
pub(super) enum Transport {
    /// There is no server; packets are discarded.
    #[default]
    None,
    /// The instance's own UDP socket, so that sending never waits for the library's I/O thread.
    Datagrams(mio::net::UdpSocket, LossCounter),
    /// The library's connection, because a TCP server identifies clients by their connection.
    Stream(Server),
    /// A score that is written to a file when the show ends.
    Score(Box<ScoreWriter>),
}

/// Collects the messages of a score.
pub(super) struct ScoreWriter {
    score: Score,
    started: Instant,
    path: PathBuf,
}

impl Transport {
    /// Opens a socket that sends to a server.
    pub(super) fn datagrams(server: SocketAddr) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::DGRAM, None)?;
        // Smaller buffers work, too, so errors are ignored.
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.connect(&server.into())?;
        let losses = LossCounter::enable(&socket);
        Ok(Transport::Datagrams(mio::net::UdpSocket::from_std(socket.into()), losses))
    }

    /// Starts a score at the time `now`.
    pub(super) fn score(path: PathBuf, now: Instant) -> Self {
        Transport::Score(Box::new(ScoreWriter { score: Score::new(), started: now, path }))
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Transport::None)
    }

    /// Sends the packets so that they take effect `latency` seconds from now. Returns how many
    /// could not be sent, and the first error.
    pub(super) fn send(
        &mut self,
        packets: &mut Packets,
        latency: Option<f64>,
        now: Instant,
    ) -> (u64, Option<io::Error>) {
        let (mut refused, mut first) = (0, None);
        let time = latency.map(|seconds| consort_osc::TimeTag::now().add_seconds(seconds));
        match self {
            Transport::None => packets.clear(),
            Transport::Datagrams(socket, losses) => packets.send(time, |packet| {
                losses.note_sending();
                let mut result = socket.send(packet);
                // The system reports that an earlier packet was refused when the next one is sent;
                // that one has not been sent yet.
                if let Err(error) = &result
                    && losses.read_errors(socket, error.raw_os_error())
                {
                    result = socket.send(packet);
                }
                if let Err(error) = result {
                    refused += 1;
                    first.get_or_insert(error);
                }
            }),
            Transport::Stream(server) => packets.send(None, |packet| {
                if let Err(error) = send_to(server, packet, latency) {
                    refused += 1;
                    first.get_or_insert(error);
                }
            }),
            Transport::Score(writer) => {
                let seconds = now.duration_since(writer.started).as_secs_f64();
                let ScoreWriter { score, .. } = &mut **writer;
                packets.send(None, |packet| {
                    // In a score the time belongs to the entry, so messages are added one by one.
                    for message in messages(packet) {
                        let time = seconds + latency.unwrap_or(0.0);
                        if let Err(error) = score.send(time, message) {
                            refused += 1;
                            first.get_or_insert(io::Error::other(error.to_string()));
                        }
                    }
                });
            }
        }
        (refused, first)
    }

    /// Receives one packet of replies into `buffer`, without waiting.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Datagrams(socket, losses) => {
                let result = socket.recv(buffer);
                if let Err(error) = &result {
                    losses.read_errors(socket, error.raw_os_error());
                    losses.read_drops(socket);
                }
                result
            }
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The datagrams that were lost since the last call, if there are any.
    pub(super) fn take_losses(&mut self) -> Option<Losses> {
        match self {
            Transport::Datagrams(_, losses) => losses.take(),
            _ => None,
        }
    }
}

impl ScoreWriter {
    /// Adds a SynthDef file at the start.
    pub(super) fn add_file(&mut self, bytes: &[u8]) -> Result<(), String> {
        let blob = consort_sc::OscValue::Blob(bytes.to_vec());
        let message = OscMessage::new("/d_recv", vec![blob]);
        self.score.send(0.0, message).map_err(|error| error.to_string())
    }

    /// Adds a message at the start.
    pub(super) fn add(&mut self, message: OscMessage) -> Result<(), String> {
        self.score.send(0.0, message).map_err(|error| error.to_string())
    }

    /// Writes the file. The score ends at the time `now`.
    pub(super) fn write(&self, now: Instant) -> Result<(), String> {
        let until = now.duration_since(self.started).as_secs_f64().max(self.score.duration());
        self.score.write(&self.path, Some(until)).map_err(|error| error.to_string())?;
        tracing::info!("wrote the score to {}", self.path.display());
        Ok(())
    }
}

/// The messages of one of the instance's own packets.
fn messages(packet: &[u8]) -> Vec<OscMessage> {
    match consort_osc::Packet::decode(packet) {
        Ok(packet) => packet.messages().map(OscMessage::from).collect(),
        Err(error) => {
            tracing::error!("the instance has encoded an invalid OSC packet: {error}");
            Vec::new()
        }
    }
}

/// Sends a packet through the library.
fn send_to(server: &Server, packet: &[u8], latency: Option<f64>) -> io::Result<()> {
    let send = || {
        let messages = messages(packet);
        if let (None, [message]) = (latency, messages.as_slice()) {
            return server.send_message(message.clone());
        }
        // The library adds its own latency to every time.
        let now = consort_osc::TimeTag::now().to_unix_seconds();
        let time = latency.map(|latency| now + latency - server.latency());
        server.at_once(time, |moment| {
            messages.into_iter().try_for_each(|message| moment.send_message(message))
        })
    };
    send().map_err(|error| io::Error::other(error.to_string()))
}
