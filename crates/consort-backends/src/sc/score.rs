//! `server = score`: the bus and buffer numbers that a server would have allocated, and the
//! requests at the beginning of the score.

use consort_sc::{BlockAllocator, OscMessage, OscValue};

use super::config::{BufferContent, BusKind, Config};
use super::instruments;
use super::server::ServerInfo;
use super::transport::ScoreWriter;

/// Allocates numbers as a server with one client does.
pub(super) struct NumberAllocator {
    audio: BlockAllocator,
    control: BlockAllocator,
}

impl NumberAllocator {
    pub(super) fn new(config: &Config) -> Self {
        let server = &config.server;
        let first = server.first_private_bus_id();
        NumberAllocator {
            audio: BlockAllocator::new(
                "audio buses",
                first,
                server.private_audio_bus_channel_count(),
            ),
            control: BlockAllocator::new("control buses", 0, server.control_bus_channel_count),
        }
    }

    /// The properties of the server that the player uses.
    pub(super) fn server_info(&mut self, config: &Config) -> ServerInfo {
        let explicit: Vec<u32> = config.buses.iter().filter_map(|bus| bus.number).collect();
        let mut allocate_control = |count: u32| loop {
            match self.control.allocate(count) {
                Ok(first) if explicit.iter().any(|bus| (first..first + count).contains(bus)) => {}
                Ok(first) => return first,
                Err(_) => return 0,
            }
        };
        let meter = allocate_control(config.channels);
        let buses = config.buses.iter().map(|bus| match (bus.number, bus.kind) {
            (Some(number), _) => number,
            (None, BusKind::Control(_)) => allocate_control(1),
            (None, BusKind::Audio(count)) => self.audio.allocate(count).unwrap_or(0),
        });
        ServerInfo {
            buses: buses.collect(),
            buffers: (0..config.buffers.len() as u32).collect(),
            meter,
            is_owned: true,
            ..ServerInfo::default()
        }
    }
}

/// Adds the SynthDefs, the buffers and the default group at the start of a score.
pub(super) fn prepare(
    config: &Config,
    server: &ServerInfo,
    score: &mut ScoreWriter,
) -> Result<(), String> {
    for file in config.files() {
        score.add_file(file.bytes())?;
    }
    let master = instruments::master(config.channels as u16).map_err(|error| error.to_string())?;
    score.add_file(master.file().bytes())?;
    for ((_, content), number) in config.buffers.iter().zip(&server.buffers) {
        let number = OscValue::from(*number as i32);
        score.add(match content {
            BufferContent::File(path) => {
                let path = path.display().to_string();
                OscMessage::new("/b_allocRead", vec![number, path.as_str().into()])
            }
            BufferContent::Empty(frames, channels) => OscMessage::new(
                "/b_alloc",
                vec![number, (*frames as i32).into(), (*channels as i32).into()],
            ),
        })?;
    }
    score.add(OscMessage::new("/g_new", vec![1.into(), 1.into(), 0.into()]))
}
