//! Valid Standard MIDI Files whose content is known.

/// A small generator of pseudo-random numbers (xorshift64*), so that the files never change.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    pub(crate) fn byte(&mut self, limit: usize) -> u8 {
        self.below(limit) as u8
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A note of a file: its track, its tick in the track, channel, key and velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NoteOn {
    pub(crate) track: usize,
    pub(crate) tick: u64,
    pub(crate) key: [u8; 3],
}

/// An event of a track.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) delta: u32,
    /// The event with its status byte.
    pub(crate) bytes: Vec<u8>,
    /// Whether the status byte is omitted in the file.
    pub(crate) is_running: bool,
}

impl Item {
    fn new(delta: u32, bytes: &[u8]) -> Self {
        Self { delta, bytes: bytes.to_vec(), is_running: false }
    }

    /// The delta and the event as they are in the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoded = number(self.delta);
        encoded.extend(&self.bytes[usize::from(self.is_running)..]);
        encoded
    }

    pub(crate) fn is_channel(&self) -> bool {
        (0x80..0xf0).contains(&self.bytes[0])
    }

    fn note(&self) -> Option<[u8; 3]> {
        match self.bytes[..] {
            [status @ 0x90..=0x9f, key, velocity]
                if velocity > 0 && key < 0x80 && velocity < 0x80 =>
            {
                Some([status & 15, key, velocity])
            }
            _ => None,
        }
    }
}

/// A number of variable length.
pub(crate) fn number(value: u32) -> Vec<u8> {
    let groups = (1..4).rev().filter(|group| value >> (7 * group) != 0);
    let mut bytes: Vec<u8> =
        groups.map(|group| 0x80 | (value >> (7 * group)) as u8 & 0x7f).collect();
    bytes.push(value as u8 & 0x7f);
    bytes
}

/// A file before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Song {
    pub(crate) format: u16,
    pub(crate) tracks: Vec<Vec<Item>>,
}

impl Song {
    /// A song of a few hundred events; its seed determines the format and everything else.
    pub(crate) fn new(seed: usize) -> Self {
        let mut random = Random::new(seed as u64 + 1);
        let format = (seed % 3) as u16;
        let count = if format == 0 { 1 } else { 1 + random.below(4) };
        let tracks = (0..count).map(|track| new_track(&mut random, track)).collect();
        Self { format, tracks }
    }

    /// The notes of the song.
    pub(crate) fn notes(&self) -> Vec<NoteOn> {
        let mut notes = Vec::new();
        for (track, items) in self.tracks.iter().enumerate() {
            let mut tick = 0;
            for item in items {
                tick += u64::from(item.delta);
                notes.extend(item.note().map(|key| NoteOn { track, tick, key }));
            }
        }
        notes
    }

    /// The file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = b"MThd\0\0\0\x06".to_vec();
        for word in [self.format, self.tracks.len() as u16, 480] {
            bytes.extend(word.to_be_bytes());
        }
        for items in &self.tracks {
            let data: Vec<u8> = items.iter().flat_map(Item::encode).collect();
            bytes.extend(b"MTrk");
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

fn new_track(random: &mut Random, number: usize) -> Vec<Item> {
    let name = format!("track {number}");
    let mut items = vec![Item::new(0, &meta(3, name.as_bytes()))];
    let has_running_status = random.chance(60);
    let channel = random.byte(16);
    let mut held: Vec<u8> = Vec::new();
    for _ in 0..30 + random.below(120) {
        let delta = match random.below(10) {
            0..4 => 0,
            9 => 200 + random.below(3000),
            _ => 1 + random.below(120),
        } as u32;
        let bytes = match random.below(20) {
            0..9 => {
                let key = random.byte(128);
                held.push(key);
                vec![0x90 | channel, key, 1 + random.byte(127)]
            }
            9..15 if !held.is_empty() => {
                let key = held.swap_remove(random.below(held.len()));
                match random.chance(50) {
                    true => vec![0x90 | channel, key, 0],
                    false => vec![0x80 | channel, key, random.byte(128)],
                }
            }
            15 => vec![0xc0 | channel, random.byte(128)],
            16 => {
                let tempo = 200_000 + random.below(800_000) as u32;
                meta(0x51, &tempo.to_be_bytes()[1..])
            }
            17 => {
                let mut data: Vec<u8> = (0..random.below(60)).map(|_| random.byte(128)).collect();
                data.push(0xf7);
                [vec![0xf0], crate::generate::number(data.len() as u32), data].concat()
            }
            18 => meta(5, b"a lyric"),
            _ => vec![0xb0 | channel, random.byte(120), random.byte(128)],
        };
        items.push(Item::new(delta, &bytes));
    }
    for key in held {
        items.push(Item::new(10, &[0x80 | channel, key, 64]));
    }
    items.push(Item::new(0, &[0xff, 0x2f, 0]));
    let mut status = 0;
    for item in &mut items {
        item.is_running = has_running_status && item.is_channel() && item.bytes[0] == status;
        // System events cancel the running status.
        status = if item.is_channel() { item.bytes[0] } else { 0 };
    }
    items
}

fn meta(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[0xff, kind], number(data.len() as u32).as_slice(), data].concat()
}
