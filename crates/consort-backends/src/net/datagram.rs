//! UDP in batches: one system call for many datagrams, both ways (`recvmmsg(2)`,
//! `sendmmsg(2)`).
//!
//! Unsafe because neither call has a safe wrapper for receiving in the crates we use.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::for_family;

/// How many datagrams one system call moves at most.
const BATCH: usize = 32;

/// How many one asks for while little comes in.
const SMALLEST_BATCH: usize = 2;

/// The largest datagram that UDP can carry.
const LARGEST: usize = 65_536;

/// How many bytes wait for the network at most before datagrams are dropped.
const OUTGOING_LIMIT: usize = 1 << 20;

/// A UDP socket that never blocks.
pub struct DatagramSocket {
    socket: UdpSocket,
    is_v6: bool,
    connected: Option<SocketAddr>,
    /// How many datagrams the next call asks for: few while few come, since each place in a
    /// batch has to be prepared.
    batch: usize,
    buffers: Vec<u8>,
    addresses: Vec<libc::sockaddr_storage>,
    ignores_peers: bool,
}

/// What a call of [`DatagramSocket::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many datagrams.
    pub count: usize,
    /// Whether there may be more.
    pub more: bool,
}

impl DatagramSocket {
    /// A socket bound to an address; broadcast is allowed, `::` takes IPv4 too. A port that
    /// another socket has is refused, also if that one would share it.
    ///
    /// # Errors
    /// What `socket(2)` or `bind(2)` says.
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

    /// A socket for sending only, on any free port.
    ///
    /// # Errors
    /// What `socket(2)` or `bind(2)` says.
    pub fn unbound_for(destination: SocketAddr) -> io::Result<Self> {
        Self::bind(match destination {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        })
    }

    /// Takes a socket that was set up elsewhere (multicast groups, say); it must not block.
    pub fn from_socket(socket: Socket, is_v6: bool) -> Self {
        // What arrives while the router is at other work should still be there afterwards; the
        // kernel caps the size at net.core.rmem_max.
        let _ = socket.set_recv_buffer_size(4 << 20);
        let _ = socket.set_send_buffer_size(4 << 20);
        DatagramSocket {
            socket: UdpSocket::from_std(socket.into()),
            is_v6,
            connected: None,
            batch: SMALLEST_BATCH,
            buffers: Vec::new(),
            addresses: Vec::new(),
            ignores_peers: false,
        }
    }

    /// For registering with the router.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Spares the kernel telling where datagrams come from: `Peer::address` has none.
    pub fn ignore_peers(&mut self) {
        self.ignores_peers = true;
    }

    /// Ties the socket to one destination: sending there saves the kernel a look-up of the way
    /// for each datagram, and nothing from elsewhere is received any more. It holds until
    /// something cannot be sent: a tied socket sends from the address that the machine had when
    /// it was tied, and never again when that address changes.
    ///
    /// # Errors
    /// What `connect(2)` says.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<()> {
        self.socket.connect(for_family(to, self.is_v6).unwrap_or(to))?;
        self.connected = Some(to);
        Ok(())
    }

    /// Ends [`DatagramSocket::connect`]; returns whether it was tied.
    fn untie(&mut self) -> bool {
        if self.connected.take().is_none() {
            return false;
        }
        // SAFETY: an address storage of zeros is one of no family (`AF_UNSPEC`), which is how a
        // socket is untied, and outlives the call.
        unsafe {
            let nowhere: libc::sockaddr_storage = zeroed();
            let length = size_of::<libc::sockaddr>() as libc::socklen_t;
            libc::connect(self.socket.as_raw_fd(), ptr::from_ref(&nowhere).cast(), length) == 0
        }
    }

    /// Has the next call of [`DatagramSocket::receive`] take few datagrams, because each of them
    /// is much work.
    pub fn take_few(&mut self) {
        self.batch = SMALLEST_BATCH;
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// What `getsockname(2)` says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Joins a multicast group on the interface that has an address; being a member already is
    /// no error.
    ///
    /// # Errors
    /// What `setsockopt(2)` says: no such interface, too many groups.
    pub fn join(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        match SockRef::from(&self.socket).join_multicast_v4(&group, &interface) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
            other => other,
        }
    }

    /// Gives up to 32 waiting datagrams to `take`, with where they came from.
    ///
    /// # Errors
    /// What `recvmmsg(2)` says; nothing waiting is no error.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8], Peer<'_>)) -> io::Result<Received> {
        if self.buffers.is_empty() {
            // Zeroed pages cost nothing until a datagram reaches them.
            self.buffers = vec![0; BATCH * LARGEST];
            // SAFETY: an address storage of zeros is one of no family.
            self.addresses = vec![unsafe { zeroed() }; BATCH];
        }
        let mut parts = [MaybeUninit::<libc::iovec>::uninit(); BATCH];
        let mut headers = [MaybeUninit::<libc::mmsghdr>::uninit(); BATCH];
        let batch = self.batch;
        for (at, buffer) in self.buffers.chunks_exact_mut(LARGEST).take(batch).enumerate() {
            parts[at].write(libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: LARGEST });
            // SAFETY: a header of zeros is a valid one.
            let header = headers[at].write(unsafe { zeroed() });
            if !self.ignores_peers {
                header.msg_hdr.msg_name = ptr::from_mut(&mut self.addresses[at]).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            }
            header.msg_hdr.msg_iov = parts[at].as_mut_ptr();
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `batch` headers are initialised; each points to a part and an address of its own,
        // each part to a buffer of its own, and all outlive the call.
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
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(Received { count: 0, more: false }),
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {
                    Ok(Received { count: 0, more: true })
                }
                _ => Err(error),
            };
        };
        for (at, header) in headers.iter().take(count).enumerate() {
            // SAFETY: the kernel has filled this header; it was initialised above.
            let length = unsafe { header.assume_init_ref() }.msg_len as usize;
            let bytes = &self.buffers[at * LARGEST..][..length.min(LARGEST)];
            take(bytes, Peer { storage: &self.addresses[at] });
        }
        // Fewer than asked for: the queue was empty, and the next datagram makes a new edge.
        self.batch = if count == batch {
            (batch * 4).min(BATCH)
        } else {
            (count * 2).clamp(SMALLEST_BATCH, batch)
        };
        Ok(Received { count, more: count == batch })
    }

    /// Sends what is waiting, in order.
    ///
    /// # Errors
    /// What `sendmmsg(2)` says about the first datagram it refuses; that one is dropped.
    /// [`io::ErrorKind::WouldBlock`]: nothing was dropped, wait for room.
    pub fn send(&mut self, outgoing: &mut OutgoingDatagrams) -> io::Result<()> {
        while outgoing.first < outgoing.list.len() {
            let pending = &outgoing.list[outgoing.first..];
            let batch = &pending[..pending.len().min(BATCH)];
            let mut names = [const { MaybeUninit::<SockAddr>::uninit() }; BATCH];
            let mut parts = [MaybeUninit::<libc::iovec>::uninit(); BATCH];
            let mut headers = [MaybeUninit::<libc::mmsghdr>::uninit(); BATCH];
            let mut last: Option<(SocketAddr, usize)> = None;
            for (at, datagram) in batch.iter().enumerate() {
                let name_at = match last {
                    _ if self.connected == Some(datagram.to) => None,
                    Some((to, name_at)) if to == datagram.to => Some(name_at),
                    _ => {
                        let to = for_family(datagram.to, self.is_v6).unwrap_or(datagram.to);
                        names[at].write(SockAddr::from(to));
                        last = Some((datagram.to, at));
                        Some(at)
                    }
                };
                let bytes = &outgoing.bytes[datagram.start..datagram.end];
                let base = bytes.as_ptr().cast_mut().cast();
                parts[at].write(libc::iovec { iov_base: base, iov_len: bytes.len() });
                // SAFETY: a header of zeros is a valid one.
                let header = headers[at].write(unsafe { zeroed() });
                if let Some(name_at) = name_at {
                    // SAFETY: it was written in this round of the loop or an earlier one.
                    let name = unsafe { names[name_at].assume_init_ref() };
                    header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
                    header.msg_hdr.msg_namelen = name.len();
                }
                header.msg_hdr.msg_iov = parts[at].as_mut_ptr();
                header.msg_hdr.msg_iovlen = 1;
            }
            // SAFETY: the first `batch.len()` headers are initialised and point to parts, bytes
            // and names that outlive the call; the kernel only reads the bytes and names.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers.as_mut_ptr().cast(),
                    batch.len() as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) => outgoing.first += sent,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    match error.kind() {
                        // The latter: nobody listened to an earlier datagram. This one was not
                        // tried yet.
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                        io::ErrorKind::WouldBlock => return Err(error),
                        // It is tried again, from whatever address the machine has now.
                        _ if self.untie() => {}
                        _ => {
                            outgoing.refused = batch[0].mark;
                            outgoing.first += 1;
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

/// Where a datagram came from.
#[derive(Clone, Copy)]
pub struct Peer<'a> {
    storage: &'a libc::sockaddr_storage,
}

impl Peer<'_> {
    /// The address, IPv4 also where an IPv6 socket saw it in mapped form.
    pub fn address(self) -> Option<SocketAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that the storage holds an IPv4 address.
                let it = unsafe { &*ptr::from_ref(self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(it.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(it.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that the storage holds an IPv6 address.
                let it = unsafe { &*ptr::from_ref(self.storage).cast::<libc::sockaddr_in6>() };
                let (ip, port) = (Ipv6Addr::from(it.sin6_addr.s6_addr), u16::from_be(it.sin6_port));
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddrV4::new(ip, port).into(),
                    None => SocketAddrV6::new(ip, port, it.sin6_flowinfo, it.sin6_scope_id).into(),
                })
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Outgoing {
    start: usize,
    end: usize,
    to: SocketAddr,
    mark: u32,
}

/// Datagrams that wait to be sent, in order, 1 MiB of them at most.
#[derive(Debug, Default)]
pub struct OutgoingDatagrams {
    bytes: Vec<u8>,
    list: Vec<Outgoing>,
    first: usize,
    refused: u32,
}

impl OutgoingDatagrams {
    /// Adds a datagram that `write` appends to the buffer it is given. Returns false, and adds
    /// nothing, when too many bytes wait already.
    pub fn push(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.push_marked(to, 0, write)
    }

    /// The same with a mark, by which the sender knows the datagram again if it is refused.
    pub fn push_marked(
        &mut self,
        to: SocketAddr,
        mark: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.bytes.len() > OUTGOING_LIMIT {
            return false;
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.list.push(Outgoing { start, end: self.bytes.len(), to, mark });
        true
    }

    /// The mark of the datagram that [`DatagramSocket::send`] dropped last.
    pub fn refused(&self) -> u32 {
        self.refused
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.first == self.list.len()
    }

    fn clear_if_done(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.list.clear();
            self.first = 0;
        }
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // tests that skip say so
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
    fn a_socket_on_every_address_hears_both_families() {
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
    fn a_port_in_use_is_refused() {
        let first = DatagramSocket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        let address = first.local_address().expect("one");
        let error = DatagramSocket::bind(address).err().expect("refused");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    /// As after a change of the machine's address, which no tied socket survives.
    #[test]
    fn a_tied_socket_that_cannot_send_is_untied_and_goes_on() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let to = receiver.local_addr().expect("one");
        let mut sender = DatagramSocket::unbound_for(to).expect("bound");
        sender.connect(to).expect("connected");
        let mut outgoing = OutgoingDatagrams::default();
        outgoing.push(to, |bytes| bytes.extend(b"tied"));
        sender.send(&mut outgoing).expect("sent");
        // Larger than any datagram: refused, whatever the socket is tied to.
        outgoing.push(to, |bytes| bytes.extend([0; 100_000]));
        outgoing.push(to, |bytes| bytes.extend(b"untied"));
        sender.send(&mut outgoing).expect_err("refused");
        assert_eq!(sender.connected, None);
        sender.send(&mut outgoing).expect("sent");
        // Whoever is not tied hears everybody.
        let own = sender.local_address().expect("one").port();
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        stranger.send_to(b"hello", (Ipv4Addr::LOCALHOST, own)).expect("sent");
        let mut heard = 0;
        let deadline = Instant::now() + Duration::from_secs(10);
        while heard == 0 {
            assert!(Instant::now() < deadline, "the socket is still tied");
            heard += sender.receive(|_, _| {}).expect("received").count;
        }
        let mut buffer = [0; 16];
        for expected in [&b"tied"[..], b"untied"] {
            let count = receiver.recv(&mut buffer).expect("received");
            assert_eq!(&buffer[..count], expected);
        }
    }

    #[test]
    fn what_cannot_wait_is_refused() {
        let mut outgoing = OutgoingDatagrams::default();
        let to = (Ipv4Addr::LOCALHOST, 9).into();
        let taken = (0..10_000).take_while(|_| outgoing.push(to, |b| b.extend([0; 1_000]))).count();
        assert_eq!(taken, OUTGOING_LIMIT / 1_000 + 1);
    }
}
