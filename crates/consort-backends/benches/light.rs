//! Art-Net in → sACN out: 64 universes at 44 frames per second, in which every channel changes in
//! every frame. The floor is a bare loop that copies each frame from one packet to the other.
//!
//! ```text
//! cargo bench -p consort-backends --bench light -- [--seconds N]
//! ```

#![allow(clippy::print_stdout, unsafe_code)] // a benchmark prints its figures

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use consort_backends::net::{DatagramSocket, OutgoingDatagrams};
use consort_backends::{artnet, sacn};
use consort_router::testing::TestShow;
use support::allocations;

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

/// The number of universes.
const UNIVERSES: u16 = 64;
/// Frames per second of each universe.
const RATE: u32 = 44;
/// The number of frames before the measurement starts.
const WARM_UP_FRAMES: usize = 88;

/// The results of one run.
struct Figures {
    cpu: f64,
    lost: usize,
    extra: usize,
    latencies: Vec<f64>,
    jitters: Vec<f64>,
    note: String,
}

/// The report of the thread under measurement.
struct Report {
    cpu: Duration,
    note: String,
}

/// The CPU time of the calling thread so far.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "every thread has a CPU clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Restricts the calling thread to one processor.
fn pin(processor: usize) {
    // SAFETY: a zeroed set is empty; it is written and read within its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

/// The function of the thread under measurement. It gets the input and output ports, a flag that is
/// set while the measurement runs, and a channel on which it reports that it is ready.
type Body = fn(u16, u16, &AtomicBool, &mpsc::Sender<()>) -> Report;

/// The router with 64 instances of each backend and 32,768 mappings.
fn router(input: u16, output: u16, measuring: &AtomicBool, up: &mpsc::Sender<()>) -> Report {
    let mut setup = TestShow::new();
    setup.backend(&artnet::DESCRIPTOR, &[("bind", &format!("127.0.0.1 {input}"))]);
    setup.backend(&sacn::DESCRIPTOR, &[("bind", "127.0.0.1 0")]);
    let destination = format!("127.0.0.1 {output}");
    for universe in 0..UNIVERSES {
        let number = universe.to_string();
        setup.instance(&artnet::DESCRIPTOR, &format!("a{universe}"), &[("universe", &number)]);
        let number = (universe + 1).to_string();
        let options =
            [("universe", number.as_str()), ("priority", "100"), ("destination", &destination)];
        setup.instance(&sacn::DESCRIPTOR, &format!("s{universe}"), &options);
    }
    for universe in 0..UNIVERSES {
        for channel in 1..=512 {
            setup.map(&format!("a{universe}.{channel}"), &format!("s{universe}.{channel}"));
        }
    }
    let mut show = setup.start();
    up.send(()).expect("the main thread waits");
    let (mut start, mut allocated) = (None, 0);
    while !show.router.is_stop_asked() {
        show.router.step(Some(Duration::from_millis(50))).expect("a turn");
        match (start, measuring.load(Ordering::Acquire)) {
            (None, true) => {
                start = Some(thread_time());
                allocated = allocations();
            }
            (Some(start), false) => {
                let cpu = thread_time() - start;
                let names = (0..UNIVERSES).map(|universe| format!("s{universe}"));
                let dropped: u64 = names.map(|name| show.counters(&name).dropped).sum();
                let events: u64 = (0..UNIVERSES)
                    .map(|number| show.counters(&format!("a{number}")).incoming)
                    .sum();
                let allocated = allocations() - allocated;
                let note = format!(
                    "{events} events in total, {dropped} values coalesced, {allocated} allocations \
                     of the whole process during the measurement"
                );
                return Report { cpu, note };
            }
            _ => {}
        }
    }
    unreachable!("the show is not stopped")
}

/// The floor: copies each frame from its packet to a packet of the other protocol.
fn floor(input: u16, output: u16, measuring: &AtomicBool, up: &mpsc::Sender<()>) -> Report {
    let mut receiver =
        DatagramSocket::bind(SocketAddr::from(([127, 0, 0, 1], input))).expect("bound");
    let mut sender = DatagramSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let destination = SocketAddr::from(([127, 0, 0, 1], output));
    let mut poll = mio::Poll::new().expect("a poll");
    let mut events = mio::Events::with_capacity(8);
    poll.registry()
        .register(receiver.source(), mio::Token(0), mio::Interest::READABLE)
        .expect("registered");
    up.send(()).expect("the main thread waits");
    let mut outgoing = OutgoingDatagrams::default();
    let (mut start, mut sequence) = (None, 0_u8);
    loop {
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
        match (start, measuring.load(Ordering::Acquire)) {
            (None, true) => start = Some(thread_time()),
            (Some(start), false) => {
                return Report { cpu: thread_time() - start, note: String::new() };
            }
            _ => {}
        }
    }
}

/// Sends frames, all universes at once or evenly distributed over the time of a frame; returns when
/// each was sent.
fn send(port: u16, frames: usize, is_burst: bool, measuring: &AtomicBool) -> Vec<Instant> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(("127.0.0.1", port)).expect("connected");
    let (mut times, mut packet) = (Vec::with_capacity(frames * usize::from(UNIVERSES)), Vec::new());
    let start = Instant::now();
    let period = Duration::from_secs(1) / RATE;
    for frame in 0..frames {
        if frame == WARM_UP_FRAMES {
            measuring.store(true, Ordering::Release);
        }
        for universe in 0..UNIVERSES {
            let part = if is_burst { 0 } else { u32::from(universe) };
            let due = start + period * frame as u32 + period * part / u32::from(UNIVERSES);
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

/// Enables timestamps of received datagrams.
fn enable_timestamps(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the value of the option is an int that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "every socket supports timestamps");
}

/// Receives frames until all have arrived or none arrives for a second. Returns when each arrived,
/// and how many arrived twice.
fn receive(socket: &UdpSocket, frames: usize) -> (Vec<Option<Instant>>, usize) {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    enable_timestamps(socket);
    let mut seen = vec![None; frames * usize::from(UNIVERSES)];
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
        let index = frame * usize::from(UNIVERSES) + usize::from(data.universe - 1);
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

/// Measures one run of a body.
fn measure(body: Body, frames: usize, is_burst: bool) -> Figures {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20);
    let (input, output) = (free_port(), socket.local_addr().expect("one").port());
    let measuring = Arc::new(AtomicBool::new(false));
    let (up, is_up) = mpsc::channel();
    let subject = {
        let measuring = Arc::clone(&measuring);
        std::thread::spawn(move || {
            pin(1);
            body(input, output, &measuring, &up)
        })
    };
    is_up.recv().expect("the subject starts");
    let receiver = std::thread::spawn(move || {
        pin(0);
        receive(&socket, frames)
    });
    let start = Instant::now();
    let sent = {
        let measuring = Arc::clone(&measuring);
        let sender = std::thread::spawn(move || {
            pin(0);
            send(input, frames, is_burst, &measuring)
        });
        sender.join().expect("the sender")
    };
    let elapsed = start.elapsed();
    let (seen, extra) = receiver.join().expect("the receiver");
    measuring.store(false, Ordering::Release);
    let report = subject.join().expect("the subject");

    let universes = usize::from(UNIVERSES);
    let measured = elapsed.as_secs_f64() * (frames - WARM_UP_FRAMES) as f64 / frames as f64;
    let (mut latencies, mut jitters, mut lost) = (Vec::new(), Vec::new(), 0);
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
    latencies.sort_by(f64::total_cmp);
    jitters.sort_by(f64::total_cmp);
    let cpu = report.cpu.as_secs_f64() / measured * 100.0;
    Figures { cpu, lost, extra, latencies, jitters, note: report.note }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    let seconds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(20);
    let frames = WARM_UP_FRAMES + seconds * RATE as usize;
    println!(
        "Art-Net in → sACN out, {UNIVERSES} universes at {RATE} frames/s, {seconds} s: {:.2} million \
         values/s; budget: CPU < 20 % of one core, no losses, jitter p99 < 1000 µs",
        f64::from(UNIVERSES) * f64::from(RATE) * 512.0 / 1e6
    );
    println!(
        "{:<22} {:>7} {:>6} {:>6} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9}",
        "", "CPU %", "lost", "extra", "late p50", "p99", "max µs", "jitter p50", "p99", "max µs"
    );
    for (shape, is_burst) in [("bursts", true), ("evenly spaced", false)] {
        for (name, body) in [("floor", floor as Body), ("consort", router)] {
            let figures = measure(body, frames, is_burst);
            println!(
                "{:<22} {:>7.2} {:>6} {:>6} | {:>9.0} {:>9.0} {:>9.0} | {:>10.0} {:>9.0} {:>9.0}",
                format!("{shape}, {name}"),
                figures.cpu,
                figures.lost,
                figures.extra,
                percentile(&figures.latencies, 0.5),
                percentile(&figures.latencies, 0.99),
                percentile(&figures.latencies, 1.0),
                percentile(&figures.jitters, 0.5),
                percentile(&figures.jitters, 0.99),
                percentile(&figures.jitters, 1.0),
            );
            if !figures.note.is_empty() {
                println!("    {}", figures.note);
            }
        }
    }
}
