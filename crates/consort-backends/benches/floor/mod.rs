//! The floor that OSC throughput and latency are compared with, and the code that measures them.
//!
//! [`forward`] is the minimum of work that moves datagrams from one socket to another: one thread, a
//! blocking `recvmmsg` and a `sendmmsg`. [`Subject`] is a program under measurement, started as a
//! child process; `load` sends to it, receives from it, and reads its CPU time from the kernel.

#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod load;
pub(crate) mod messages;

use std::io;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consort_bench::time_of_process;

use self::messages::{BATCH, Batch, pin};

pub(crate) use self::load::{Latencies, Shape, Throughput};

/// Forwards every datagram that arrives at `input` to `output` in an endless loop. The messages of a
/// bundle are forwarded as separate datagrams, as a router does.
pub(crate) fn forward(input: u16, output: u16) -> io::Result<()> {
    let receiver = UdpSocket::bind(("127.0.0.1", input))?;
    messages::set_receive_buffer(&receiver, 4 << 20);
    let sender = UdpSocket::bind(("127.0.0.1", 0))?;
    sender.connect(("127.0.0.1", output))?;
    let mut batch = Batch::new();
    let mut parts: Vec<(usize, usize, usize)> = Vec::with_capacity(BATCH);
    loop {
        let count = batch.receive(&receiver)?;
        parts.clear();
        for index in 0..count {
            let bytes = batch.bytes(index);
            if !bytes.starts_with(b"#bundle\0") {
                parts.push((index, 0, bytes.len()));
                continue;
            }
            let mut offset = 16;
            while let Some(size) = bytes.get(offset..offset + 4) {
                let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize;
                offset += 4;
                if offset + size > bytes.len() {
                    break;
                }
                parts.push((index, offset, size));
                offset += size;
            }
        }
        batch.send_parts(&sender, &parts)?;
    }
}

/// A program under measurement, running as a child process.
pub(crate) struct Subject {
    pub(crate) name: String,
    child: Child,
    input: UdpSocket,
    output: UdpSocket,
}

/// The ports of a subject: it receives at `input`, sends to `output`, and may bind `source` for
/// sending.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) input: u16,
    pub(crate) output: u16,
    pub(crate) source: u16,
}

impl Subject {
    /// Starts the command that `command` builds for the ports, and waits until it forwards a message.
    pub(crate) fn start(
        name: &str,
        shape: Shape,
        command: impl FnOnce(Ports) -> io::Result<Command>,
    ) -> io::Result<Self> {
        Self::start_on(name, shape, true, command)
    }

    /// Like [`Subject::start`]; `alone` restricts the subject to one processor.
    pub(crate) fn start_on(
        name: &str,
        shape: Shape,
        alone: bool,
        command: impl FnOnce(Ports) -> io::Result<Command>,
    ) -> io::Result<Self> {
        let output = UdpSocket::bind(("127.0.0.1", 0))?;
        messages::set_receive_buffer(&output, 4 << 20);
        let free = [UdpSocket::bind(("127.0.0.1", 0))?, UdpSocket::bind(("127.0.0.1", 0))?];
        let ports = Ports {
            input: free[0].local_addr()?.port(),
            output: output.local_addr()?.port(),
            source: free[1].local_addr()?.port(),
        };
        drop(free);
        let input = UdpSocket::bind(("127.0.0.1", 0))?;
        input.connect(("127.0.0.1", ports.input))?;
        let mut child = command(ports)?.stdin(Stdio::null()).spawn()?;
        // The subject runs on the last processor and the load on the others, so that they do not
        // compete.
        if alone {
            pin(child.id(), true);
        }

        let deadline = Instant::now() + Duration::from_secs(10);
        output.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut datagram = Vec::new();
        let mut sequence = 0;
        loop {
            shape.write(sequence, &mut datagram);
            sequence += 1;
            // Sending fails until the subject has bound its port.
            let sent = input.send(&datagram).is_ok();
            if sent && output.recv(&mut [0; 2048]).is_ok() {
                break;
            }
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("{name} exited: {status}")));
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(io::Error::other(format!("{name} forwarded nothing for 10 s")));
            }
        }
        let mut subject = Self { name: name.to_owned(), child, input, output };
        subject.drain()?;
        Ok(subject)
    }

    /// Receives and discards datagrams until none arrives for 50 ms.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        self.output.set_read_timeout(Some(Duration::from_millis(50)))?;
        while self.output.recv(&mut [0; 2048]).is_ok() {}
        self.output.set_read_timeout(Some(Duration::from_secs(1)))
    }

    /// The CPU time of all threads of the program so far.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        time_of_process(self.child.id())
    }

    /// The process id of the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn input(&self) -> &UdpSocket {
        &self.input
    }

    pub(crate) fn output(&self) -> &UdpSocket {
        &self.output
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
