//! A camera for tests, written from the command lists of Sony's EVI-D70 and of VISCA over IP: its
//! sockets, replies, positions and memories. `tests/visca_cameras.rs` checks it with a foreign
//! client before it uses it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::pty::OpenptFlags;
use socket2::{Domain, Socket, Type};

/// How long a thread of a camera waits before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(5);

/// The state of a camera.
#[derive(Default)]
pub(crate) struct Model {
    /// Its number on the line.
    pub(crate) id: u8,
    /// The position of the head.
    pub(crate) pan: i16,
    pub(crate) tilt: i16,
    /// Speeds and directions of the head's drive.
    pub(crate) drive: [u8; 4],
    pub(crate) zoom: u16,
    pub(crate) focus: u16,
    pub(crate) autofocus: u8,
    pub(crate) white: u8,
    pub(crate) red: u16,
    pub(crate) blue: u16,
    pub(crate) power: u8,
    memories: HashMap<u8, (i16, i16, u16, u16)>,
    /// The commands that it has received, from the address to the terminator.
    pub(crate) commands: Vec<Vec<u8>>,
    /// The inquiries that it has received.
    pub(crate) inquiries: Vec<Vec<u8>>,
    /// Whether it keeps its acknowledgements back.
    pub(crate) is_holding: bool,
    /// Whether it does not reply at all.
    pub(crate) is_mute: bool,
    /// Whether commands keep their sockets until they are cancelled.
    pub(crate) is_slow: bool,
    /// How many further commands it refuses because its sockets are taken.
    pub(crate) full: usize,
    /// The acknowledgements that it keeps back, with the numbers of their commands.
    pub(crate) held: Vec<(Vec<u8>, u32)>,
    /// The sockets that are taken.
    sockets: [bool; 2],
    /// The last number in Sony's header.
    sequence: u32,
    /// The messages that had a number which was used before with other content.
    pub(crate) sequence_errors: usize,
    last: Vec<u8>,
}

/// The number of four nibbles.
fn number(nibbles: &[u8]) -> u16 {
    nibbles[..4].iter().fold(0, |number, nibble| number << 4 | u16::from(*nibble))
}

fn nibbles(number: u16) -> [u8; 4] {
    [12, 8, 4, 0].map(|shift| (number >> shift) as u8 & 15)
}

impl Model {
    pub(crate) fn new(id: u8) -> Self {
        Model { id, autofocus: 2, power: 2, drive: [0, 0, 3, 3], ..Model::default() }
    }

    /// The replies to a message.
    fn handle(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let address = 0x80 + 16 * self.id;
        let [target, body @ .., 0xFF] = message else { return Vec::new() };
        if *target == 0x88 {
            // Broadcasts return to the controller.
            let mut reply = message.to_vec();
            if let [0x30, number] = body {
                reply[2] = number + 1;
            }
            return vec![reply];
        }
        // On a network, a camera takes any number.
        if *target & 0xF8 != 0x80 {
            return Vec::new();
        }
        if body.first() == Some(&0x09) {
            self.inquiries.push(message.to_vec());
            let data = match body[1..] {
                [0x00, 0x02] => vec![0, 1, 4, 2, 0, 0, 2],
                [0x06, 0x12] => [nibbles(self.pan as u16), nibbles(self.tilt as u16)].concat(),
                [0x04, 0x47] => nibbles(self.zoom).to_vec(),
                [0x04, 0x48] => nibbles(self.focus).to_vec(),
                [0x04, 0x38] => vec![self.autofocus],
                [0x04, 0x35] => vec![self.white],
                [0x04, 0x43] => nibbles(self.red).to_vec(),
                [0x04, 0x44] => nibbles(self.blue).to_vec(),
                [0x04, 0x00] => vec![self.power],
                _ => return vec![vec![address, 0x60, 0x02, 0xFF]],
            };
            return vec![[&[address, 0x50], &data[..], &[0xFF]].concat()];
        }
        if let [cancel] = body
            && cancel >> 4 == 2
        {
            let socket = usize::from(cancel & 15);
            if !(1..=2).contains(&socket) || !self.sockets[socket - 1] {
                return vec![vec![address, 0x60, 0x05, 0xFF]];
            }
            self.sockets[socket - 1] = false;
            return vec![vec![address, 0x60 | socket as u8, 0x04, 0xFF]];
        }
        self.commands.push(message.to_vec());
        if self.full > 0 {
            self.full -= 1;
            return vec![vec![address, 0x60, 0x03, 0xFF]];
        }
        let Some(free) = self.sockets.iter().position(|is_taken| !is_taken) else {
            return vec![vec![address, 0x60, 0x03, 0xFF]];
        };
        if !self.run(body) {
            return vec![vec![address, 0x60, 0x02, 0xFF]];
        }
        let socket = free as u8 + 1;
        let acknowledgement = vec![address, 0x40 | socket, 0xFF];
        if self.is_slow {
            self.sockets[free] = true;
            return vec![acknowledgement];
        }
        vec![acknowledgement, vec![address, 0x50 | socket, 0xFF]]
    }

    /// Runs a command; false if it is unknown.
    fn run(&mut self, body: &[u8]) -> bool {
        match *body {
            [1, 0x06, 0x02, 1..=0x18, 1..=0x14, ref position @ ..] if position.len() == 8 => {
                self.pan = number(position) as i16;
                self.tilt = number(&position[4..]) as i16;
                self.drive = [0, 0, 3, 3];
            }
            [1, 0x06, 0x01, pan @ 0..=0x18, tilt @ 0..=0x18, x @ 1..=3, y @ 1..=3] => {
                self.drive = [pan, tilt, x, y];
            }
            [1, 0x06, 0x04] => (self.pan, self.tilt) = (0, 0),
            [1, 0x06, 0x05] | [1, 0x04, 0x18, 1] => {}
            [1, 0x04, 0x47, ref zoom @ ..] if zoom.len() == 4 => self.zoom = number(zoom),
            [1, 0x04, 0x48, ref focus @ ..] if focus.len() == 4 => self.focus = number(focus),
            [1, 0x04, 0x43, ref gain @ ..] if gain.len() == 4 => self.red = number(gain),
            [1, 0x04, 0x44, ref gain @ ..] if gain.len() == 4 => self.blue = number(gain),
            [1, 0x04, 0x07 | 0x08, speed] => return speed == 0 || matches!(speed >> 4, 2 | 3),
            [1, 0x04, 0x38, mode @ 2..=3] => self.autofocus = mode,
            [1, 0x04, 0x35, mode @ 0..=5] => self.white = mode,
            [1, 0x04, 0x00, power @ 2..=3] => self.power = power,
            [1, 0x00, 0x01] => self.sockets = [false; 2],
            [1, 0x04, 0x3F, 1, memory] => {
                let state = (self.pan, self.tilt, self.zoom, self.focus);
                self.memories.insert(memory, state);
            }
            [1, 0x04, 0x3F, 2, memory] => {
                if let Some(state) = self.memories.get(&memory) {
                    (self.pan, self.tilt, self.zoom, self.focus) = *state;
                }
            }
            _ => return false,
        }
        true
    }

    /// The datagrams that answer a datagram.
    fn datagram(&mut self, bytes: &[u8], is_sony: bool) -> Vec<Vec<u8>> {
        if self.is_mute {
            return Vec::new();
        }
        if !is_sony {
            // Bytes that are not a message are ignored.
            if bytes.first().is_none_or(|byte| byte & 0xF0 != 0x80) {
                return Vec::new();
            }
            let replies = self.handle(bytes);
            return self.hold(replies, 0);
        }
        let framed = |kind: u16, sequence: u32, payload: &[u8]| {
            let length = (payload.len() as u16).to_be_bytes();
            [&kind.to_be_bytes()[..], &length, &sequence.to_be_bytes(), payload].concat()
        };
        if bytes.len() < 9 || usize::from(bytes[3]) + 8 != bytes.len() || bytes[2] != 0 {
            return Vec::new();
        }
        let sequence = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        match (bytes[0], bytes[1]) {
            (0x02, 0x00) if bytes[8] == 1 => {
                self.sequence = 0;
                vec![framed(0x0201, sequence, &[1])]
            }
            (0x01, 0x00 | 0x10) => {
                let is_repeated = sequence == self.sequence && bytes == self.last;
                if sequence <= self.sequence && !is_repeated {
                    self.sequence_errors += 1;
                    return vec![framed(0x0201, sequence, &[0x0F, 1])];
                }
                self.sequence = sequence;
                self.last = bytes.to_vec();
                let replies = self.handle(&bytes[8..]);
                let replies = self.hold(replies, sequence);
                replies.iter().map(|reply| framed(0x0111, sequence, reply)).collect()
            }
            _ => vec![framed(0x0201, sequence, &[0x0F, 2])],
        }
    }

    /// Keeps replies to commands back while the camera holds them.
    fn hold(&mut self, replies: Vec<Vec<u8>>, sequence: u32) -> Vec<Vec<u8>> {
        let is_acknowledgement =
            |reply: &Vec<u8>| matches!(reply[1] >> 4, 4 | 5) && reply.len() == 3;
        if !self.is_holding {
            return replies;
        }
        let (held, other) = replies.into_iter().partition(is_acknowledgement);
        let held: Vec<Vec<u8>> = held;
        self.held.extend(held.into_iter().map(|reply| (reply, sequence)));
        other
    }
}

/// A camera that runs on a thread of its own.
pub(crate) struct Camera {
    pub(crate) model: Arc<Mutex<Model>>,
    pub(crate) port: u16,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// A camera on UDP, at an address of this computer; port 0 for any.
    pub(crate) fn udp(model: Arc<Mutex<Model>>, address: SocketAddr, is_sony: bool) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("set");
        socket.bind(&address.into()).expect("bound");
        let socket: UdpSocket = socket.into();
        let port = socket.local_addr().expect("an address").port();
        socket.set_read_timeout(Some(POLL)).expect("set");
        Camera::start(model, port, move |model, end| {
            let mut buffer = [0; 64];
            while !end.load(Ordering::Relaxed) {
                let Ok((count, sender)) = socket.recv_from(&mut buffer) else { continue };
                let replies = model.lock().datagram(&buffer[..count], is_sony);
                for reply in replies {
                    let _ = socket.send_to(&reply, sender);
                }
            }
        })
    }

    /// A camera on TCP, for one connection after the other; port 0 for any.
    pub(crate) fn tcp(model: Arc<Mutex<Model>>, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("set");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("bound");
        socket.listen(4).expect("listens");
        let listener: TcpListener = socket.into();
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("set");
        Camera::start(model, port, move |model, end| {
            while !end.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(POLL);
                    continue;
                };
                stream.set_nonblocking(false).expect("set");
                stream.set_read_timeout(Some(POLL)).expect("set");
                let (mut held, mut buffer) = (Vec::new(), [0; 256]);
                while !end.load(Ordering::Relaxed) {
                    match stream.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(count) => held.extend(&buffer[..count]),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                        Err(_) => break,
                    }
                    let replies = messages(&mut held, &[&model]);
                    if stream.write_all(&replies).is_err() {
                        break;
                    }
                }
            }
        })
    }

    fn start(
        model: Arc<Mutex<Model>>,
        port: u16,
        run: impl FnOnce(Arc<Mutex<Model>>, Arc<AtomicBool>) + Send + 'static,
    ) -> Self {
        let end = Arc::<AtomicBool>::default();
        let (of_thread, end_of_thread) = (Arc::clone(&model), Arc::clone(&end));
        let thread = std::thread::spawn(move || run(of_thread, end_of_thread));
        Camera { model, port, end, thread: Some(thread) }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes the complete messages of a stream, lets the cameras answer those with their numbers, and
/// returns what they reply.
fn messages(held: &mut Vec<u8>, cameras: &[&Arc<Mutex<Model>>]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = held.iter().position(|byte| *byte == 0xFF) {
        let message: Vec<u8> = held.drain(..=end).collect();
        for camera in cameras {
            let mut model = camera.lock();
            let is_meant = cameras.len() == 1 || message[0] & 15 == model.id;
            if is_meant {
                let replies = model.handle(&message);
                out.extend(model.hold(replies, 0).concat());
            }
        }
        if message[0] == 0x88 && cameras.len() > 1 {
            let mut reply = message.clone();
            if reply[1] == 0x30 {
                reply[2] += cameras.len() as u8;
            }
            out.extend(reply);
        }
    }
    out
}

/// A serial line with cameras: a pseudo terminal in raw mode, and a link to its other end.
pub(crate) struct SerialLine {
    pub(crate) cameras: Vec<Arc<Mutex<Model>>>,
    pub(crate) link: PathBuf,
    master: OwnedFd,
    held: Vec<u8>,
    /// All bytes that have arrived.
    pub(crate) received: Vec<u8>,
    _folder: tempfile::TempDir,
}

fn open_terminal(link: &Path) -> OwnedFd {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
    rustix::pty::grantpt(&master).expect("grantpt");
    rustix::pty::unlockpt(&master).expect("unlockpt");
    rustix::io::ioctl_fionbio(&master, true).expect("non-blocking");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("its name");
    let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(name, link).expect("a link");
    master
}

impl SerialLine {
    pub(crate) fn new(cameras: Vec<Arc<Mutex<Model>>>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("line");
        let master = open_terminal(&link);
        let (held, received) = (Vec::new(), Vec::new());
        SerialLine { cameras, link, master, held, received, _folder: folder }
    }

    /// Unplugs the adapter, and plugs another one in.
    pub(crate) fn replug(&mut self) {
        self.master = open_terminal(&self.link);
        self.held.clear();
    }

    /// Lets the cameras answer what has arrived.
    pub(crate) fn turn(&mut self) {
        let mut buffer = [0; 1_024];
        while let Ok(count @ 1..) = rustix::io::read(&self.master, &mut buffer[..]) {
            self.held.extend(&buffer[..count]);
            self.received.extend(&buffer[..count]);
        }
        let cameras: Vec<_> = self.cameras.iter().collect();
        let replies = messages(&mut self.held, &cameras);
        let _ = rustix::io::write(&self.master, &replies);
    }
}
