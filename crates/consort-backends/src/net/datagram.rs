//! UDP in batches: one system call receives or sends many datagrams (`recvmmsg(2)`,
//! `sendmmsg(2)`).
//!
//! The module needs `unsafe` because the crates that we depend on have no safe wrapper for these
//! two calls.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::for_family;
use super::loss::{CONTROL_BYTES, Control, LossCounter, Losses, RECEIVE_BUFFER_BYTES};

/// The most datagrams that one system call receives or sends.
const BATCH: usize = 32;

/// How many datagrams a call requests while traffic is low.
const MIN_BATCH: usize = 2;

/// The largest datagram that UDP can carry, and the size of a receive buffer.
const MAX_DATAGRAM_BYTES: usize = 65_536;

/// How many bytes one call may receive before the kernel is asked whether the buffer overflowed
/// meanwhile: less than the smallest receive buffer.
const LONG_QUEUE_BYTES: usize = 64 << 10;

/// How many refusals of earlier datagrams may delay one datagram before its own error is assumed.
const MAX_REFUSALS_PER_DATAGRAM: usize = 64;

/// The most bytes that may wait for the network before datagrams are dropped.
const MAX_OUTGOING_BYTES: usize = 1 << 20;

/// A UDP socket that never blocks.
pub struct DatagramSocket {
    socket: UdpSocket,
    is_v6: bool,
    connected: Option<SocketAddr>,
    /// How many datagrams the next call requests. It adapts to the traffic, because every entry of
    /// a batch has to be prepared whether a datagram arrives for it or not.
    batch: usize,
    /// [`BATCH`] receive buffers of [`MAX_DATAGRAM_BYTES`] each, allocated by the first call.
    buffers: Vec<u8>,
    /// Where the kernel writes the sender of each datagram.
    addresses: Vec<libc::sockaddr_storage>,
    /// Where the kernel writes how many datagrams it has dropped.
    controls: Vec<Control>,
    /// Whether more was received since the queue was last empty than one small call takes, so that
    /// the queue may have overflowed.
    has_long_queue: bool,
    losses: LossCounter,
}

/// The result of [`DatagramSocket::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many datagrams arrived.
    pub count: usize,
    /// Whether more datagrams may be queued.
    pub more: bool,
}

impl DatagramSocket {
    /// Opens a socket and binds it to an address. The socket may broadcast, and on `::` it
    /// receives IPv4 too. A port that another socket has bound is an error, even if that socket
    /// allows sharing.
    ///
    /// # Errors
    /// Those of `socket(2)` and `bind(2)`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_broadcast(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self::from_socket(socket, address.is_ipv6()))
    }

    /// Opens a socket that only sends, on an ephemeral port.
    ///
    /// # Errors
    /// Those of `socket(2)` and `bind(2)`.
    pub fn bind_ephemeral(destination: SocketAddr) -> io::Result<Self> {
        Self::bind(match destination {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        })
    }

    /// Opens a second socket on the address of this one and connects it to `destination`: it sends
    /// as cheaply as a connected socket, and the two of them still receive from everywhere. What
    /// `destination` sends arrives at the second one.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`, `bind(2)` and `connect(2)`.
    pub fn connect_beside(&self, destination: SocketAddr) -> io::Result<Self> {
        let address = self.local_address()?;
        let first = SockRef::from(&self.socket);
        let domain = if self.is_v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if self.is_v6 {
            socket.set_only_v6(false)?;
        }
        socket.set_broadcast(true)?;
        socket.set_nonblocking(true)?;
        // Both sockets have to allow sharing, but only while the second one is bound: a third one,
        // of another program, must not take the port.
        socket.set_reuse_address(true)?;
        first.set_reuse_address(true)?;
        let bound = socket.bind(&address.into());
        first.set_reuse_address(false)?;
        bound?;
        socket.set_reuse_address(false)?;
        let mut second = Self::from_socket(socket, self.is_v6);
        second.connect(destination)?;
        Ok(second)
    }

    /// Wraps a socket that was set up elsewhere, for example with multicast groups. It must be
    /// non-blocking.
    pub fn from_socket(socket: Socket, is_v6: bool) -> Self {
        // Large buffers keep what arrives while the router does other work. The kernel caps the
        // sizes at net.core.rmem_max and net.core.wmem_max.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(4 << 20);
        DatagramSocket {
            losses: LossCounter::enable(&socket),
            socket: UdpSocket::from_std(socket.into()),
            is_v6,
            connected: None,
            batch: MIN_BATCH,
            buffers: Vec::new(),
            addresses: Vec::new(),
            controls: Vec::new(),
            has_long_queue: false,
        }
    }

    /// The datagrams that were lost or refused since the last call, if there are any. Costs no
    /// system call.
    pub fn take_losses(&mut self) -> Option<Losses> {
        self.losses.take()
    }

    /// The event source to register with the router.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Connects the socket to one destination, which saves the kernel a route look-up for each
    /// datagram. A connected socket receives from that destination only.
    ///
    /// The connection lasts until a datagram cannot be sent. A connected socket keeps the source
    /// address that the machine had when it connected, so it could never send again after that
    /// address changed; [`DatagramSocket::send`] therefore disconnects it and tries again.
    ///
    /// # Errors
    /// Those of `connect(2)`.
    pub fn connect(&mut self, destination: SocketAddr) -> io::Result<()> {
        self.socket.connect(for_family(destination, self.is_v6).unwrap_or(destination))?;
        self.connected = Some(destination);
        Ok(())
    }

    /// Undoes [`DatagramSocket::connect`]; returns whether the socket was connected.
    pub fn disconnect(&mut self) -> bool {
        if self.connected.take().is_none() {
            return false;
        }
        let before = self.local_address();
        // SAFETY: a zeroed address storage has the family `AF_UNSPEC`, which is how connect(2)
        // disconnects a socket, and it outlives the call.
        let result = unsafe {
            let unspecified: libc::sockaddr_storage = zeroed();
            let length = size_of::<libc::sockaddr>() as libc::socklen_t;
            libc::connect(self.socket.as_raw_fd(), ptr::from_ref(&unspecified).cast(), length)
        };
        // The kernel also takes the port away if it chose it.
        if let (Ok(before), Ok(after)) = (before, self.local_address())
            && after.port() == 0
        {
            let address = SocketAddr::new(after.ip(), before.port());
            if let Err(error) = SockRef::from(&self.socket).bind(&address.into()) {
                tracing::debug!("cannot keep port {}: {error}", before.port());
            }
        }
        result == 0
    }

    /// Makes the next call of [`DatagramSocket::receive`] request few datagrams, because each of
    /// them takes long to process.
    pub fn shrink_batch(&mut self) {
        self.batch = MIN_BATCH;
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Joins a multicast group on the network interface that has the address `interface`. Does
    /// nothing if the socket is already a member.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`: no such interface, too many groups.
    pub fn join(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        match SockRef::from(&self.socket).join_multicast_v4(&group, &interface) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
            other => other,
        }
    }

    /// Leaves a multicast group that was joined on `interface`. Does nothing if the socket is not a
    /// member.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn leave(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        match SockRef::from(&self.socket).leave_multicast_v4(&group, &interface) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(()),
            other => other,
        }
    }

    /// Calls `handle` for up to 32 queued datagrams, each with its sender. Does not block; an
    /// empty queue is not an error.
    ///
    /// # Errors
    /// Those of `recvmmsg(2)`.
    pub fn receive(&mut self, mut handle: impl FnMut(&[u8], Peer<'_>)) -> io::Result<Received> {
        if self.buffers.is_empty() {
            // Zeroed pages take no memory until a datagram is written to them.
            self.buffers = vec![0; BATCH * MAX_DATAGRAM_BYTES];
            // SAFETY: a zeroed address storage is valid; its family is `AF_UNSPEC`.
            self.addresses = vec![unsafe { zeroed() }; BATCH];
            self.controls = vec![Control([0; CONTROL_BYTES]); BATCH];
        }
        let mut vectors = [MaybeUninit::<libc::iovec>::uninit(); BATCH];
        let mut headers = [MaybeUninit::<libc::mmsghdr>::uninit(); BATCH];
        let batch = self.batch;
        for (index, buffer) in
            self.buffers.chunks_exact_mut(MAX_DATAGRAM_BYTES).take(batch).enumerate()
        {
            vectors[index].write(libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: MAX_DATAGRAM_BYTES,
            });
            // SAFETY: a zeroed header is valid.
            let header = headers[index].write(unsafe { zeroed() });
            header.msg_hdr.msg_name = ptr::from_mut(&mut self.addresses[index]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vectors[index].as_mut_ptr();
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::from_mut(&mut self.controls[index]).cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: the first `batch` headers are initialised. Each points to its own vector, address
        // and control buffer, each vector to its own buffer, and all of them outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                batch as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            // Readiness without a datagram is how the socket reports a refused one.
            let is_refusal = self.losses.read_errors(&self.socket, error.raw_os_error());
            return match error.kind() {
                io::ErrorKind::WouldBlock => {
                    self.end_of_queue();
                    Ok(Received { count: 0, more: false })
                }
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {
                    Ok(Received { count: 0, more: true })
                }
                _ if is_refusal => Ok(Received { count: 0, more: true }),
                _ => Err(error),
            };
        };
        let mut total_bytes = 0;
        for (index, header) in headers.iter().take(count).enumerate() {
            // SAFETY: the header was initialised above, and the kernel has filled it.
            let header = unsafe { header.assume_init_ref() };
            let length = header.msg_len as usize;
            total_bytes += length;
            // Empty until the kernel has dropped a datagram.
            if header.msg_hdr.msg_controllen > 0 {
                self.losses.note_control(&header.msg_hdr);
            }
            let bytes =
                &self.buffers[index * MAX_DATAGRAM_BYTES..][..length.min(MAX_DATAGRAM_BYTES)];
            handle(bytes, Peer { storage: &self.addresses[index] });
        }
        self.has_long_queue |= count == batch || total_bytes > LONG_QUEUE_BYTES;
        if count < batch {
            self.end_of_queue();
        }
        // Fewer datagrams than requested means that the queue is empty: the next one triggers a new
        // readiness event.
        self.batch = if count == batch {
            (batch * 4).min(BATCH)
        } else {
            (count * 2).clamp(MIN_BATCH, batch)
        };
        Ok(Received { count, more: count == batch })
    }

    /// Finds out whether a long queue, which has been read to its end, has overflowed: drops after
    /// its last datagram are not reported beside it.
    fn end_of_queue(&mut self) {
        if std::mem::take(&mut self.has_long_queue) {
            self.losses.read_drops(&self.socket);
        }
    }

    /// Sends the queued datagrams in order. Does not block.
    ///
    /// # Errors
    /// - [`io::ErrorKind::WouldBlock`]: the socket's buffer is full; nothing was dropped. Call
    ///   again when the socket is writable.
    /// - Any other error of `sendmmsg(2)`: the datagram that it concerns was dropped.
    pub fn send(&mut self, outgoing: &mut OutgoingDatagrams) -> io::Result<()> {
        let mut refusals = 0;
        while outgoing.next < outgoing.datagrams.len() {
            self.losses.note_sending();
            let pending = &outgoing.datagrams[outgoing.next..];
            let batch = &pending[..pending.len().min(BATCH)];
            let mut addresses = [const { MaybeUninit::<SockAddr>::uninit() }; BATCH];
            let mut vectors = [MaybeUninit::<libc::iovec>::uninit(); BATCH];
            let mut headers = [MaybeUninit::<libc::mmsghdr>::uninit(); BATCH];
            let mut previous: Option<(SocketAddr, usize)> = None;
            for (index, datagram) in batch.iter().enumerate() {
                let destination = datagram.destination;
                // Consecutive datagrams to one destination share one address.
                let address_index = match previous {
                    _ if self.connected == Some(destination) => None,
                    Some((address, address_index)) if address == destination => Some(address_index),
                    _ => {
                        let address = for_family(destination, self.is_v6).unwrap_or(destination);
                        addresses[index].write(SockAddr::from(address));
                        previous = Some((destination, index));
                        Some(index)
                    }
                };
                let bytes = &outgoing.bytes[datagram.start..datagram.end];
                let base = bytes.as_ptr().cast_mut().cast();
                vectors[index].write(libc::iovec { iov_base: base, iov_len: bytes.len() });
                // SAFETY: a zeroed header is valid.
                let header = headers[index].write(unsafe { zeroed() });
                if let Some(address_index) = address_index {
                    // SAFETY: the address was written in this or an earlier pass of the loop.
                    let address = unsafe { addresses[address_index].assume_init_ref() };
                    header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
                    header.msg_hdr.msg_namelen = address.len();
                }
                header.msg_hdr.msg_iov = vectors[index].as_mut_ptr();
                header.msg_hdr.msg_iovlen = 1;
            }
            // SAFETY: the first `batch.len()` headers are initialised and point to vectors, bytes
            // and addresses that outlive the call; the kernel only reads the bytes and addresses.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers.as_mut_ptr().cast(),
                    batch.len() as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) => {
                    // The call ends early, without an error, at a refusal of an earlier datagram.
                    if sent < batch.len() {
                        self.losses.read_errors(&self.socket, None);
                    }
                    outgoing.next += sent;
                    refusals = 0;
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    match error.kind() {
                        // `ConnectionRefused` reports an earlier datagram for which no socket was
                        // bound at its destination. The current one has not been sent yet.
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                        io::ErrorKind::WouldBlock => return Err(error),
                        _ if refusals < MAX_REFUSALS_PER_DATAGRAM
                            && self.losses.read_errors(&self.socket, error.raw_os_error()) =>
                        {
                            refusals += 1;
                        }
                        // The datagram is sent again, from the address that the machine has now.
                        _ if self.disconnect() => {}
                        _ => {
                            outgoing.dropped_mark = batch[0].mark;
                            outgoing.next += 1;
                            outgoing.clear_if_done();
                            return Err(error);
                        }
                    }
                }
            }
        }
        outgoing.clear_if_done();
        Ok(())
    }
}

/// The sender of a datagram.
#[derive(Clone, Copy)]
pub struct Peer<'a> {
    storage: &'a libc::sockaddr_storage,
}

impl Peer<'_> {
    /// The sender's address. A mapped IPv4 address, as an IPv6 socket reports it, is returned as
    /// IPv4. `None` for an address of another family.
    pub fn address(self) -> Option<SocketAddr> {
        decode_address(self.storage)
    }
}

/// The address that the kernel wrote into a storage; see [`Peer::address`].
pub(super) fn decode_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: a storage of this family holds an IPv4 address.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: a storage of this family holds an IPv6 address.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let (ip, port) =
                (Ipv6Addr::from(address.sin6_addr.s6_addr), u16::from_be(address.sin6_port));
            Some(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => {
                    SocketAddrV6::new(ip, port, address.sin6_flowinfo, address.sin6_scope_id).into()
                }
            })
        }
        _ => None,
    }
}

/// A queued datagram: its range in the common buffer, its destination and its mark.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    start: usize,
    end: usize,
    destination: SocketAddr,
    mark: u32,
}

/// A queue of datagrams to send, in order, limited to 1 MiB.
#[derive(Debug, Default)]
pub struct OutgoingDatagrams {
    bytes: Vec<u8>,
    datagrams: Vec<Outgoing>,
    /// The index of the first datagram that is not sent yet.
    next: usize,
    dropped_mark: u32,
}

impl OutgoingDatagrams {
    /// Queues a datagram, which `write` appends to the buffer that it is given. Returns false and
    /// queues nothing if the queue is full.
    pub fn push(&mut self, destination: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.push_marked(destination, 0, write)
    }

    /// Like [`OutgoingDatagrams::push`], with a mark that identifies the datagram if it is
    /// dropped ([`OutgoingDatagrams::dropped_mark`]).
    pub fn push_marked(
        &mut self,
        destination: SocketAddr,
        mark: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.bytes.len() > MAX_OUTGOING_BYTES {
            return false;
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.datagrams.push(Outgoing { start, end: self.bytes.len(), destination, mark });
        true
    }

    /// The mark of the datagram that [`DatagramSocket::send`] dropped last.
    pub fn dropped_mark(&self) -> u32 {
        self.dropped_mark
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.next == self.datagrams.len()
    }

    fn clear_if_done(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.datagrams.clear();
            self.next = 0;
        }
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // skipped tests print the reason
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn exchange(bind: &str, from: SocketAddr) {
        let mut receiver = DatagramSocket::bind(bind.parse().expect("an address")).expect("bound");
        let port = receiver.local_address().expect("an address").port();
        let mut sender = DatagramSocket::bind(from).expect("bound");
        let target = match from {
            SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
        };
        let mut outgoing = OutgoingDatagrams::default();
        for number in 0..100_u32 {
            assert!(outgoing.push(target, |bytes| bytes.extend(number.to_be_bytes())));
        }
        sender.send(&mut outgoing).expect("sent");
        assert!(outgoing.is_empty());
        let (mut seen, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        let from = SocketAddr::new(target.ip(), sender.local_address().expect("one").port());
        while seen.len() < 100 {
            assert!(Instant::now() < deadline, "only {} datagrams arrived", seen.len());
            receiver
                .receive(|bytes, peer| {
                    assert_eq!(peer.address(), Some(from));
                    seen.push(u32::from_be_bytes(bytes.try_into().expect("4 bytes")));
                })
                .expect("received");
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn datagrams_arrive_in_order_with_their_sender() {
        exchange("127.0.0.1:0", (Ipv4Addr::LOCALHOST, 0).into());
        exchange("0.0.0.0:0", (Ipv4Addr::LOCALHOST, 0).into());
    }

    #[test]
    fn a_socket_on_the_wildcard_address_receives_both_families() {
        if DatagramSocket::bind((Ipv6Addr::LOCALHOST, 0).into()).is_err() {
            eprintln!("SKIPPED: this machine has no IPv6");
            return;
        }
        exchange("[::]:0", (Ipv4Addr::LOCALHOST, 0).into());
        exchange("[::]:0", (Ipv6Addr::LOCALHOST, 0).into());
    }

    #[test]
    fn an_ipv6_socket_sends_to_ipv4() {
        let Ok(mut sender) = DatagramSocket::bind((Ipv6Addr::UNSPECIFIED, 0).into()) else {
            eprintln!("SKIPPED: this machine has no IPv6");
            return;
        };
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let mut outgoing = OutgoingDatagrams::default();
        outgoing.push(receiver.local_addr().expect("one"), |bytes| bytes.extend(b"hello"));
        sender.send(&mut outgoing).expect("sent");
        let mut buffer = [0; 16];
        assert_eq!(receiver.recv(&mut buffer).expect("received"), 5);
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let first = DatagramSocket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        let address = first.local_address().expect("one");
        let error = DatagramSocket::bind(address).err().expect("refused");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    /// A connected socket cannot send either after the address of the machine has changed.
    #[test]
    fn a_connected_socket_that_cannot_send_is_disconnected_and_continues() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let to = receiver.local_addr().expect("one");
        let mut sender = DatagramSocket::bind_ephemeral(to).expect("bound");
        sender.connect(to).expect("connected");
        let mut outgoing = OutgoingDatagrams::default();
        outgoing.push(to, |bytes| bytes.extend(b"connected"));
        sender.send(&mut outgoing).expect("sent");
        // Larger than any datagram, so that sending fails whatever the destination is.
        outgoing.push(to, |bytes| bytes.extend([0; 100_000]));
        outgoing.push(to, |bytes| bytes.extend(b"disconnected"));
        sender.send(&mut outgoing).expect_err("refused");
        assert_eq!(sender.connected, None);
        sender.send(&mut outgoing).expect("sent");
        // A disconnected socket receives from everywhere.
        let own = sender.local_address().expect("one").port();
        let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        other.send_to(b"hello", (Ipv4Addr::LOCALHOST, own)).expect("sent");
        let mut received = 0;
        let deadline = Instant::now() + Duration::from_secs(10);
        while received == 0 {
            assert!(Instant::now() < deadline, "the socket is still connected");
            received += sender.receive(|_, _| {}).expect("received").count;
        }
        let mut buffer = [0; 16];
        for expected in [&b"connected"[..], b"disconnected"] {
            let count = receiver.recv(&mut buffer).expect("received");
            assert_eq!(&buffer[..count], expected);
        }
    }

    #[test]
    fn a_connected_socket_beside_leaves_everything_else_to_the_first() {
        let mut first = DatagramSocket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        let own = first.local_address().expect("one");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        peer.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let mut second = first.connect_beside(peer.local_addr().expect("one")).expect("connected");
        let mut outgoing = OutgoingDatagrams::default();
        outgoing.push(peer.local_addr().expect("one"), |bytes| bytes.extend(b"out"));
        second.send(&mut outgoing).expect("sent");
        let mut buffer = [0; 8];
        let (count, from) = peer.recv_from(&mut buffer).expect("received");
        assert_eq!((&buffer[..count], from), (&b"out"[..], own));
        let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        peer.send_to(b"peer", own).expect("sent");
        other.send_to(b"other", own).expect("sent");
        for (socket, expected) in [(&mut first, &b"other"[..]), (&mut second, b"peer")] {
            let mut got: Vec<u8> = Vec::new();
            let deadline = Instant::now() + Duration::from_secs(10);
            while got.is_empty() {
                assert!(Instant::now() < deadline, "nothing arrived");
                socket.receive(|bytes, _| got.extend(bytes)).expect("received");
            }
            assert_eq!(got, expected);
        }
        let error = DatagramSocket::bind(own).err().expect("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let sharing = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        sharing.set_reuse_address(true).expect("set");
        let error = sharing.bind(&own.into()).expect_err("the port is not shared");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn datagrams_without_room_are_counted() {
        const SENT: u64 = 2_000;
        let mut receiver = DatagramSocket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        SockRef::from(&receiver.socket).set_recv_buffer_size(4_096).expect("set");
        let to = receiver.local_address().expect("one");
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        for _ in 0..SENT {
            sender.send_to(&[0; 100], to).expect("sent");
        }
        let (mut received, mut lost) = (0, 0);
        let deadline = Instant::now() + Duration::from_secs(30);
        while received + lost < SENT {
            assert!(Instant::now() < deadline, "{received} received, {lost} lost");
            received += receiver.receive(|_, _| {}).expect("received").count as u64;
            lost += receiver.take_losses().map_or(0, |losses| losses.lost);
        }
        assert_eq!(received + lost, SENT);
        assert!(lost > 0 && received > 0);
        // The count beside a datagram, which was queued after the drops, adds nothing.
        sender.send_to(&[0; 100], to).expect("sent");
        while receiver.receive(|_, _| {}).expect("received").count == 0 {
            assert!(Instant::now() < deadline, "the datagram does not arrive");
        }
        assert_eq!(receiver.take_losses(), None);
    }

    /// A refusal is reported to the next call, which concerns another datagram: nothing may be
    /// dropped or sent twice because of it.
    #[test]
    fn refused_datagrams_are_counted_and_the_others_arrive_once() {
        for (bind, host) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")]
        {
            let Ok(mut sender) = DatagramSocket::bind(bind.parse().expect("an address")) else {
                eprintln!("SKIPPED: this machine has no IPv6");
                continue;
            };
            let Ok(receiver) = std::net::UdpSocket::bind((host, 0)) else { continue };
            receiver.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
            let to = receiver.local_addr().expect("one");
            let closed = std::net::UdpSocket::bind((host, 0)).expect("bound");
            let closed_at = closed.local_addr().expect("one");
            drop(closed);
            let mut outgoing = OutgoingDatagrams::default();
            for number in 0..100_u8 {
                outgoing.push(closed_at, |bytes| bytes.push(number));
                outgoing.push(to, |bytes| bytes.push(number));
            }
            sender.send(&mut outgoing).expect("sent");
            let (mut refused, deadline) = (0, Instant::now() + Duration::from_secs(30));
            while refused == 0 {
                assert!(Instant::now() < deadline, "no refusal from {closed_at}");
                sender.receive(|_, _| panic!("nothing was sent to it")).expect("received");
                if let Some(losses) = sender.take_losses() {
                    refused += losses.refused;
                    assert_eq!((losses.lost, losses.refused_by), (0, Some(closed_at)));
                }
            }
            assert!(refused <= 100, "{refused}");
            let mut buffer = [0; 8];
            for number in 0..100_u8 {
                let count = receiver.recv(&mut buffer).expect("received");
                assert_eq!(&buffer[..count], [number], "{bind} to {host}");
            }
            receiver.set_nonblocking(true).expect("set");
            assert!(receiver.recv(&mut buffer).is_err(), "a datagram was sent twice");
        }
    }

    #[test]
    fn a_full_queue_refuses_datagrams() {
        let mut outgoing = OutgoingDatagrams::default();
        let to = (Ipv4Addr::LOCALHOST, 9).into();
        let accepted =
            (0..10_000).take_while(|_| outgoing.push(to, |b| b.extend([0; 1_000]))).count();
        assert_eq!(accepted, MAX_OUTGOING_BYTES / 1_000 + 1);
    }
}
