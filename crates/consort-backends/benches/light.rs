//! Art-Net in → sACN out, every channel changing in every frame: 64 universes at 44 frames per
//! second, and 1,000 at 40. The floor is a bare loop that copies each frame from one packet to the
//! other. Both run as a child process on the second processor, so that the figures are those of the
//! whole process; load and measurement are on the first.
//!
//! ```text
//! cargo bench -p consort-backends --bench light -- [--seconds N] [--universes N]
//! ```

#![allow(clippy::print_stdout, unsafe_code)] // a benchmark prints its figures

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use consort_backends::net::{DatagramSocket, OutgoingDatagrams};
use consort_backends::{artnet, sacn};
use consort_bench::{
    Budget, CountingAllocator, Samples, allocations, pin_thread, report, time_of_process,
};
use consort_router::testing::TestShow;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The number of frames before the measurement starts.
const WARM_UP_FRAMES: usize = 80;

/// A load: universes, frames per second of each, and whether all universes of a frame are sent at
/// once or evenly distributed over its time.
#[derive(Clone, Copy)]
struct Load {
    universes: u16,
    rate: u32,
    is_burst: bool,
}

/// The results of one run.
struct Figures {
    /// Processor time of the whole process, in percent of one processor.
    cpu: f64,
    lost: usize,
    extra: usize,
    /// Microseconds.
    latencies: Samples,
    /// Microseconds.
    jitters: Samples,
    note: String,
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

// ---- the subjects, in their own process --------------------------------------------------------

/// What the parent has asked for so far.
struct Phase(Arc<AtomicU8>);

impl Phase {
    const WARM_UP: u8 = 0;
    const MEASURING: u8 = 1;
    const OVER: u8 = 2;

    /// Reads the parent's bytes on another thread, and reports that the subject is ready.
    fn start() -> Self {
        let phase = Arc::new(AtomicU8::new(Self::WARM_UP));
        let written = Arc::clone(&phase);
        std::thread::spawn(move || {
            for byte in std::io::stdin().lock().bytes() {
                if byte.is_ok() {
                    written.store(Self::MEASURING, Ordering::Release);
                }
            }
            written.store(Self::OVER, Ordering::Release);
        });
        println!("up");
        Phase(phase)
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// The router with one instance of each backend per universe, and all channels mapped.
fn router(input: u16, output: u16, universes: u16) {
    let mut setup = TestShow::new();
    setup.backend(&artnet::DESCRIPTOR, &[("bind", &format!("127.0.0.1 {input}"))]);
    setup.backend(&sacn::DESCRIPTOR, &[("bind", "127.0.0.1 0")]);
    let destination = format!("127.0.0.1 {output}");
    for universe in 0..universes {
        let number = universe.to_string();
        setup.instance(&artnet::DESCRIPTOR, &format!("a{universe}"), &[("universe", &number)]);
        let number = (universe + 1).to_string();
        let options =
            [("universe", number.as_str()), ("priority", "100"), ("destination", &destination)];
        setup.instance(&sacn::DESCRIPTOR, &format!("s{universe}"), &options);
    }
    for universe in 0..universes {
        for channel in 1..=512 {
            setup.map(&format!("a{universe}.{channel}"), &format!("s{universe}.{channel}"));
        }
    }
    let mut show = setup.start();
    let phase = Phase::start();
    let mut allocated = None;
    loop {
        show.router.step(Some(Duration::from_millis(50))).expect("a turn");
        match phase.get() {
            Phase::MEASURING if allocated.is_none() => allocated = Some(allocations()),
            Phase::OVER => break,
            _ => {}
        }
    }
    let allocated = allocated.map_or(0, |before| allocations() - before);
    let names = (0..universes).map(|universe| format!("s{universe}"));
    let dropped: u64 = names.map(|name| show.counters(&name).dropped).sum();
    let events: u64 =
        (0..universes).map(|number| show.counters(&format!("a{number}")).incoming).sum();
    println!(
        "{events} events in total, {dropped} values coalesced, {allocated} allocations of the whole \
         process during the measurement"
    );
}

/// The floor: copies each frame from its packet to a packet of the other protocol.
fn floor(input: u16, output: u16) {
    let mut receiver =
        DatagramSocket::bind(SocketAddr::from(([127, 0, 0, 1], input))).expect("bound");
    let mut sender = DatagramSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let destination = SocketAddr::from(([127, 0, 0, 1], output));
    let mut poll = mio::Poll::new().expect("a poll");
    let mut events = mio::Events::with_capacity(8);
    poll.registry()
        .register(receiver.source(), mio::Token(0), mio::Interest::READABLE)
        .expect("registered");
    let phase = Phase::start();
    let mut outgoing = OutgoingDatagrams::default();
    let mut sequence = 0_u8;
    while phase.get() != Phase::OVER {
        poll.poll(&mut events, Some(Duration::from_millis(50))).expect("a turn");
        loop {
            let received = receiver.receive(|bytes, _| {
                let Ok(artnet::codec::Packet::Dmx(dmx)) = artnet::codec::Packet::decode(bytes)
                else {
                    return;
                };
                sequence = sequence.wrapping_add(1);
                let data = sacn::codec::Data {
                    cid: [1; 16],
                    name: b"floor",
                    priority: 100,
                    sync: 0,
                    sequence,
                    is_preview: false,
                    is_terminated: false,
                    universe: dmx.port_address + 1,
                    slots: dmx.data,
                };
                outgoing.push(destination, |bytes| data.encode(bytes));
            });
            sender.send(&mut outgoing).expect("sent");
            if !received.expect("received").more {
                break;
            }
        }
    }
}

/// The child process: `--serve floor|router INPUT OUTPUT UNIVERSES`.
fn serve(arguments: &[String]) {
    pin_thread(0, 1..2);
    let number = |index: usize| arguments[index].parse::<u16>().expect("a number");
    match arguments[0].as_str() {
        "floor" => floor(number(1), number(2)),
        _ => router(number(1), number(2), number(3)),
    }
}

/// A running subject.
struct Subject {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Subject {
    /// Starts a subject and waits until it is ready.
    fn start(name: &str, input: u16, output: u16, universes: u16) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--serve", name])
            .args([input, output, universes].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the subject starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n", "the subject {name} starts");
        Subject { child, lines }
    }

    /// The processor time of the whole process so far.
    fn time(&self) -> Duration {
        time_of_process(self.child.id()).expect("the subject runs")
    }

    fn begin_measurement(&self) {
        let mut stdin = self.child.stdin.as_ref().expect("a pipe");
        stdin.write_all(b"m").expect("the subject reads");
    }

    /// Stops the subject; returns what it prints.
    fn stop(mut self) -> String {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "the subject failed");
        text.trim_end().to_owned()
    }
}

// ---- the load ----------------------------------------------------------------------------------

impl Load {
    /// When a universe of a frame is due. Universes that would be sent closer together than a
    /// thread can sleep are sent in groups, one per millisecond.
    fn due(self, frame: usize, universe: u16) -> Duration {
        let period = Duration::from_secs(1) / self.rate;
        let part = if self.is_burst { 0 } else { u32::from(universe) };
        let mut offset = period * part / u32::from(self.universes);
        if period / u32::from(self.universes) < Duration::from_micros(200) {
            offset = Duration::from_millis(offset.as_millis() as u64);
        }
        period * frame as u32 + offset
    }

    /// Sends frames; returns when each was sent. Calls `begin` when the measurement begins.
    fn send(self, port: u16, frames: usize, begin: impl FnOnce()) -> Vec<Instant> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", port)).expect("connected");
        let mut times = Vec::with_capacity(frames * usize::from(self.universes));
        let (mut packet, mut begin) = (Vec::new(), Some(begin));
        let start = Instant::now();
        for frame in 0..frames {
            if frame == WARM_UP_FRAMES
                && let Some(begin) = begin.take()
            {
                begin();
            }
            for universe in 0..self.universes {
                let due = start + self.due(frame, universe);
                let wait = due.saturating_duration_since(Instant::now());
                std::thread::sleep(wait.saturating_sub(Duration::from_micros(120)));
                while Instant::now() < due {
                    std::hint::spin_loop();
                }
                let mut data = [0_u8; 512];
                for (slot, byte) in data.iter_mut().enumerate() {
                    *byte = (frame * 7 + slot) as u8;
                }
                data[..2].copy_from_slice(&(frame as u16).to_be_bytes());
                packet.clear();
                let sequence = (frame % 255) as u8 + 1;
                artnet::codec::Dmx { sequence, physical: 0, port_address: universe, data: &data }
                    .encode(&mut packet);
                times.push(Instant::now());
                socket.send(&packet).expect("sent");
            }
        }
        times
    }
}

/// Receives a datagram and the time at which the kernel received it. The receiver shares its
/// processor with the sender, and when it is scheduled does not depend on the subject.
fn receive_one(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, Instant)> {
    #[repr(align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a zeroed header is valid; it points to a buffer and a control area that outlive the
    // call, with their sizes. The control messages are read with the macros of the kernel, which
    // stay within the length that it wrote.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control.0).cast();
        header.msg_controllen = control.0.len();
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0);
        let length = usize::try_from(length).ok()?;
        let (now, mut clock) = (Instant::now(), std::mem::zeroed::<libc::timespec>());
        libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut clock);
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        assert!(!message.is_null(), "the kernel adds a timestamp");
        assert_eq!((*message).cmsg_type, libc::SCM_TIMESTAMPNS);
        let stamp = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
        let since = |time: libc::timespec| Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        Some((length, now - since(clock).saturating_sub(since(stamp))))
    }
}

/// Enables timestamps of received datagrams, and a buffer for a whole frame of all universes, which
/// needs root; otherwise the kernel's limit remains.
fn prepare(socket: &UdpSocket) {
    let set = |option: libc::c_int, value: libc::c_int| {
        // SAFETY: the value of the option is an int that outlives the call.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        }
    };
    if set(libc::SO_RCVBUFFORCE, 32 << 20) != 0 {
        let _ = socket2::SockRef::from(socket).set_recv_buffer_size(8 << 20);
    }
    assert_eq!(set(libc::SO_TIMESTAMPNS, 1), 0, "every socket supports timestamps");
}

/// Receives frames until all have arrived or none arrives for a second. Returns when each arrived,
/// and how many arrived twice.
fn receive(socket: &UdpSocket, frames: usize, universes: u16) -> (Vec<Option<Instant>>, usize) {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let mut seen = vec![None; frames * usize::from(universes)];
    let (mut count, mut extra) = (0, 0);
    let mut buffer = [0; 2_048];
    while count < seen.len() {
        let Some((length, now)) = receive_one(socket, &mut buffer) else { break };
        let Ok(sacn::codec::Packet::Data(data)) = sacn::codec::Packet::decode(&buffer[..length])
        else {
            continue;
        };
        let frame = usize::from(u16::from_be_bytes([data.slots[0], data.slots[1]]));
        let is_complete = data.slots[2..]
            .iter()
            .enumerate()
            .all(|(slot, &byte)| byte == (frame * 7 + slot + 2) as u8);
        assert!(
            is_complete,
            "frame {frame} of universe {} is mixed with another one",
            data.universe
        );
        let index = frame * usize::from(universes) + usize::from(data.universe - 1);
        match &mut seen[index] {
            Some(_) => extra += 1,
            slot => {
                *slot = Some(now);
                count += 1;
            }
        }
    }
    (seen, extra)
}

/// Measures one run of a subject.
fn measure(name: &str, load: Load, frames: usize) -> Figures {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    prepare(&socket);
    let (input, output) = (free_port(), socket.local_addr().expect("one").port());
    let subject = Subject::start(name, input, output, load.universes);
    let receiver = std::thread::spawn(move || receive(&socket, frames, load.universes));
    let (mut time, mut start) = (Duration::ZERO, Instant::now());
    let sent = load.send(input, frames, || {
        subject.begin_measurement();
        (time, start) = (subject.time(), Instant::now());
    });
    let elapsed = start.elapsed();
    let (seen, extra) = receiver.join().expect("the receiver");
    let time = subject.time() - time;
    let note = subject.stop();

    let universes = usize::from(load.universes);
    let (mut latencies, mut jitters, mut lost) = (Samples::default(), Samples::default(), 0);
    for frame in WARM_UP_FRAMES..frames {
        for universe in 0..universes {
            let index = frame * universes + universe;
            let Some(arrival) = seen[index] else {
                lost += 1;
                continue;
            };
            let latency = arrival.saturating_duration_since(sent[index]).as_secs_f64();
            latencies.push(latency * 1e6);
            if let Some(before) = seen[index - universes] {
                let gap_in = (sent[index] - sent[index - universes]).as_secs_f64();
                let gap_out = arrival.saturating_duration_since(before).as_secs_f64();
                jitters.push((gap_out - gap_in).abs() * 1e6);
            }
        }
    }
    let cpu = time.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    Figures { cpu, lost, extra, latencies, jitters, note }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(index) = arguments.iter().position(|argument| argument == "--serve") {
        return serve(&arguments[index + 1..]);
    }
    let option = |name: &str| {
        let index = arguments.iter().position(|argument| argument == name)?;
        arguments.get(index + 1)?.parse::<usize>().ok()
    };
    let seconds = option("--seconds").unwrap_or(20);
    pin_thread(0, 0..1);
    for (universes, rate) in [(64, 44), (1_000, 40)] {
        if option("--universes").is_some_and(|wanted| wanted != usize::from(universes)) {
            continue;
        }
        println!(
            "Art-Net in → sACN out, {universes} universes at {rate} frames/s, {seconds} s: {:.2} \
             million values/s",
            f64::from(universes) * f64::from(rate) * 512.0 / 1e6
        );
        for (shape, is_burst) in [("bursts", true), ("evenly spaced", false)] {
            let load = Load { universes, rate, is_burst };
            let frames = WARM_UP_FRAMES + seconds * rate as usize;
            let [floor, ours] = ["floor", "router"].map(|name| measure(name, load, frames));
            let work = format!("Art-Net → sACN, {universes} universes, {shape}");
            let mut cpu = report(format!("{work}: CPU"), "%").floor(floor.cpu).ours(ours.cpu);
            let mut jitter = report(format!("{work}: jitter p99"), "µs")
                .floor(floor.jitters.quantile(0.99))
                .ours(ours.jitters.quantile(0.99));
            if universes == 1_000 {
                cpu = cpu.budget(Budget::AtMost(25.0));
            } else {
                jitter = jitter.budget(Budget::AtMost(1_000.0));
            }
            cpu.note(ours.note).print();
            report(format!("{work}: lost"), "frames")
                .floor(floor.lost as f64)
                .ours(ours.lost as f64)
                .budget(Budget::AtMost(0.0))
                .note(format!("{} sent twice", ours.extra))
                .print();
            for (name, share) in [("p50", 0.5), ("p99", 0.99), ("maximum", 1.0)] {
                report(format!("{work}: latency {name}"), "µs")
                    .floor(floor.latencies.quantile(share))
                    .ours(ours.latencies.quantile(share))
                    .print();
            }
            jitter.print();
        }
    }
}
