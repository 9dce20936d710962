//! Where packets go: a datagram socket that never blocks, a stream, or a score.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use consort_sc::score::Score;
use consort_sc::{OscMessage, Server};

use super::packets::Packets;

/// Room asked for answers and for packets under way; the system may give less.
const BUFFER: usize = 1 << 20;

/// Where packets go.
#[derive(Default)]
pub(super) enum Link {
    /// Nowhere: there is no server.
    #[default]
    None,
    /// The show's own socket, so that nothing of the library is waited for.
    Datagrams(mio::net::UdpSocket),
    /// The library's connection: a TCP server has one for each client.
    Stream(Server),
    /// A score that is written when the show ends.
    Score(Box<ScoreLink>),
}

/// A score in the making.
pub(super) struct ScoreLink {
    score: Score,
    started: Instant,
    path: PathBuf,
}

impl Link {
    /// Opens a socket that sends to a server.
    pub(super) fn datagrams(server: SocketAddr) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::DGRAM, None)?;
        // More room is welcome, not needed.
        let _ = socket.set_send_buffer_size(BUFFER);
        let _ = socket.set_recv_buffer_size(BUFFER);
        socket.set_nonblocking(true)?;
        socket.connect(&server.into())?;
        Ok(Link::Datagrams(mio::net::UdpSocket::from_std(socket.into())))
    }

    pub(super) fn score(path: PathBuf, now: Instant) -> Self {
        Link::Score(Box::new(ScoreLink { score: Score::new(), started: now, path }))
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Link::None)
    }

    /// Sends packets; `latency` in seconds from now. Returns how many were not taken, and the
    /// first error.
    pub(super) fn send(
        &mut self,
        packets: &mut Packets,
        latency: Option<f64>,
        now: Instant,
    ) -> (u64, Option<io::Error>) {
        let (mut refused, mut first) = (0, None);
        let time = latency.map(|seconds| consort_osc::TimeTag::now().add_seconds(seconds));
        match self {
            Link::None => packets.clear(),
            Link::Datagrams(socket) => packets.send(time, |packet| {
                let mut result = socket.send(packet);
                // The error of an earlier packet is told at the next, which was not sent.
                if result.as_ref().is_err_and(|it| it.kind() == io::ErrorKind::ConnectionRefused) {
                    result = socket.send(packet);
                }
                if let Err(error) = result {
                    refused += 1;
                    first.get_or_insert(error);
                }
            }),
            Link::Stream(server) => packets.send(None, |packet| {
                if let Err(error) = send_by(server, packet, latency) {
                    refused += 1;
                    first.get_or_insert(error);
                }
            }),
            Link::Score(link) => {
                let seconds = now.duration_since(link.started).as_secs_f64();
                let ScoreLink { score, .. } = &mut **link;
                packets.send(None, |packet| {
                    // Packets of a score stand by themselves: their time is the entry's.
                    for message in messages(packet) {
                        let at = seconds + latency.unwrap_or(0.0);
                        if let Err(error) = score.send(at, message) {
                            refused += 1;
                            first.get_or_insert(io::Error::other(error.to_string()));
                        }
                    }
                });
            }
        }
        (refused, first)
    }

    /// Receives one packet of answers into `buffer`.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Datagrams(socket) => socket.recv(buffer),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl ScoreLink {
    /// Adds what stands before all else.
    pub(super) fn add_file(&mut self, bytes: &[u8]) -> Result<(), String> {
        let blob = consort_sc::OscValue::Blob(bytes.to_vec());
        let message = OscMessage::new("/d_recv", vec![blob]);
        self.score.send(0.0, message).map_err(|error| error.to_string())
    }

    /// Adds a message at the start.
    pub(super) fn add(&mut self, message: OscMessage) -> Result<(), String> {
        self.score.send(0.0, message).map_err(|error| error.to_string())
    }

    /// Writes the file; the score ends now.
    pub(super) fn write(&self, now: Instant) -> Result<(), String> {
        let until = now.duration_since(self.started).as_secs_f64().max(self.score.duration());
        self.score.write(&self.path, Some(until)).map_err(|error| error.to_string())?;
        tracing::info!("the score is written to {}", self.path.display());
        Ok(())
    }
}

fn messages(packet: &[u8]) -> Vec<OscMessage> {
    match consort_osc::Packet::decode(packet) {
        Ok(packet) => packet.messages().map(OscMessage::from).collect(),
        Err(error) => {
            tracing::error!("a packet of the show's own is no OSC: {error}");
            Vec::new()
        }
    }
}

fn send_by(server: &Server, packet: &[u8], latency: Option<f64>) -> io::Result<()> {
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
