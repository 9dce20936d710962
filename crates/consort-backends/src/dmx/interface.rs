//! Sockets that several instances share, and their memberships of multicast groups.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use consort_router::Context;
use mio::Interest;
use socket2::{Domain, Protocol as IpProtocol, Socket, Type};

use super::Bind;
use crate::net::{Backoff, DatagramSocket, Lookup, OutgoingDatagrams};

/// How many groups one socket joins: the default limit of Linux
/// (`net.ipv4.igmp_max_memberships`).
const MAX_GROUPS_PER_SOCKET: usize = 20;

/// The time between two checks of an open interface: that its address still exists and that its
/// groups are joined.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The sockets of one `bind` option.
pub(crate) struct Interface {
    pub(crate) bind: Lookup,
    /// The address to announce instead of the bound one.
    pub(crate) announce: Option<Ipv4Addr>,
    /// Whether packets to multicast groups are also delivered to programs on this machine.
    pub(crate) loops_back: bool,
    pub(crate) groups: Vec<Ipv4Addr>,
    /// The bound socket, which sends, followed by the sockets that only receive from groups.
    sockets: Vec<DatagramSocket>,
    /// Sockets that only hold memberships. A socket on the wildcard address receives from all
    /// groups that any socket of the machine has joined, so that these need not be read.
    member_sockets: Vec<Option<Socket>>,
    pub(crate) outgoing: OutgoingDatagrams,
    awaits_writable: bool,
    backoff: Backoff,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) next_check: Option<Instant>,
    /// Why the interface does not work, or not completely.
    pub(crate) problem: Option<String>,
    pub(crate) announced: Option<Instant>,
}

/// Attaches a socket filter (BPF) that passes only datagrams to multicast groups. The filter reads
/// the IP header at the negative offset that Linux assigns to the network layer.
fn accept_only_groups(socket: &Socket) -> io::Result<()> {
    const NETWORK: u32 = -0x0010_0000_i32 as u32; // SKF_NET_OFF
    let statement = |code: u32, if_true: u8, if_false: u8, k: u32| {
        socket2::SockFilter::new(code as u16, if_true, if_false, k)
    };
    socket.attach_filter(&[
        // The first byte of the destination address is 224 to 239 for a group.
        statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, NETWORK + 16),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0xF0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 0xE0),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, 0xFFFF),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ])
}

impl Interface {
    pub(crate) fn new(bind: &Bind, announce: Option<Ipv4Addr>, loops_back: bool) -> Self {
        Interface {
            bind: Lookup::new(bind.address.clone()),
            announce,
            loops_back,
            groups: Vec::new(),
            sockets: Vec::new(),
            member_sockets: Vec::new(),
            outgoing: OutgoingDatagrams::default(),
            awaits_writable: false,
            backoff: Backoff::default(),
            retry_at: None,
            next_check: None,
            problem: None,
            announced: None,
        }
    }

    /// Whether the sockets are open.
    pub(crate) fn is_open(&self) -> bool {
        !self.sockets.is_empty()
    }

    pub(crate) fn socket(&mut self, number: usize) -> Option<&mut DatagramSocket> {
        self.sockets.get_mut(number)
    }

    /// The own address to report to `peer`: the configured one, else the bound one, else the one
    /// from which the machine reaches the peer.
    pub(crate) fn address_for(&self, peer: SocketAddr) -> Ipv4Addr {
        let bound = self.bind.address().map(|address| address.ip());
        match (self.announce, bound) {
            (Some(address), _) => address,
            (None, Some(IpAddr::V4(ip))) if !ip.is_unspecified() => ip,
            _ => {
                let route = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
                    .and_then(|socket| socket.connect(peer).and_then(|()| socket.local_addr()));
                match route.map(|address| address.ip()) {
                    Ok(IpAddr::V4(ip)) => ip,
                    _ => Ipv4Addr::UNSPECIFIED,
                }
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.bind.target().port
    }

    /// Opens the sockets, unless they are open or a failed attempt was too recent. Socket 0 is
    /// registered with `key`, the sockets that receive from groups with the following keys, and the
    /// look-up of the bound name with `lookup_key`.
    pub(crate) fn open(&mut self, key: u32, lookup_key: u32, context: &mut Context<'_>) {
        if self.is_open() || self.retry_at.is_some_and(|time| time > context.now()) {
            return;
        }
        match self.try_open(key, lookup_key, context) {
            Ok(true) => {
                self.backoff.reset();
                self.retry_at = None;
                self.problem = None;
                self.check(context);
            }
            Ok(false) => {}
            Err(reason) => self.fail(reason, context),
        }
    }

    /// Records why the interface cannot be opened, and schedules the next attempt.
    pub(crate) fn fail(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        self.problem = Some(reason);
        self.retry_at = Some(context.now() + self.backoff.next_delay());
    }

    /// Returns false while the look-up of the bound name is running.
    fn try_open(
        &mut self,
        key: u32,
        lookup_key: u32,
        context: &mut Context<'_>,
    ) -> Result<bool, String> {
        self.bind.start(lookup_key, context)?;
        let Some(address) = self.bind.address() else {
            self.problem = Some(format!("looking up {}", self.bind.target()));
            return Ok(false);
        };
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} is in use by a program that does not share it (`ss -lunp sport = \
                 :{port}` shows which)",
                port = address.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine does not have the address {}", address.ip())
            }
            io::ErrorKind::PermissionDenied => {
                format!("cannot bind {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
            }
            _ => format!("cannot bind {address}: {error}"),
        };
        let mut sockets = Vec::new();
        let main = open_socket(address, self.loops_back).map_err(explain)?;
        sockets.push(main);
        let specific = match address.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        };
        if specific.is_some() {
            for _ in self.groups.chunks(MAX_GROUPS_PER_SOCKET) {
                sockets.push(open_group_socket(address.port()).map_err(explain)?);
            }
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            context
                .register(socket.source(), key + number as u32, Interest::READABLE)
                .map_err(|error| format!("cannot add a socket to the event loop: {error}"))?;
        }
        self.sockets = sockets;
        Ok(true)
    }

    fn close(&mut self, context: &mut Context<'_>) {
        for mut socket in self.sockets.drain(..) {
            if let Err(error) = context.deregister(socket.source()) {
                tracing::debug!(instance = context.name(), "cannot deregister a socket: {error}");
            }
        }
        self.member_sockets.clear();
        self.awaits_writable = false;
    }

    /// Checks that the bound address still exists, and joins groups that are not joined (any more).
    pub(crate) fn check(&mut self, context: &mut Context<'_>) {
        self.next_check = Some(context.now() + CHECK_INTERVAL);
        let Some(address) = self.bind.address() else { return };
        // Only binding detects that the address was removed: the old socket would receive nothing
        // and report no error.
        if let Err(error) = std::net::UdpSocket::bind((address.ip(), 0)) {
            if error.kind() == io::ErrorKind::AddrNotAvailable {
                self.close(context);
                self.next_check = None;
                self.fail(
                    format!("this machine no longer has the address {}", address.ip()),
                    context,
                );
            }
            return;
        }
        self.problem = self.join_all(address).err();
    }

    /// Joins all groups.
    fn join_all(&mut self, address: SocketAddr) -> Result<(), String> {
        let IpAddr::V4(local) = address.ip() else {
            return match self.groups.is_empty() {
                true => Ok(()),
                false => Err("multicast needs an IPv4 address in `bind`".into()),
            };
        };
        for (number, groups) in self.groups.chunks(MAX_GROUPS_PER_SOCKET).enumerate() {
            let explain = |group: Ipv4Addr, error: io::Error| match error.raw_os_error() {
                Some(libc::ENOBUFS) => format!(
                    "cannot join the group {group}: the limit net.ipv4.igmp_max_memberships is \
                     reached"
                ),
                Some(libc::ENODEV) => {
                    format!("cannot join the group {group}: no network interface for it is up")
                }
                _ => format!("cannot join the group {group}: {error}"),
            };
            for &group in groups {
                let joined = if local.is_unspecified() {
                    if self.member_sockets.len() <= number {
                        self.member_sockets.resize_with(number + 1, || None);
                    }
                    join_member(&mut self.member_sockets[number], group)
                } else {
                    match self.sockets.get(number + 1) {
                        Some(socket) => socket.join(group, local),
                        None => Ok(()),
                    }
                };
                joined.map_err(|error| explain(group, error))?;
            }
        }
        Ok(())
    }

    /// Sends the queued datagrams. Calls `on_error` with the mark of each datagram that could not be
    /// sent, and the error.
    pub(crate) fn flush(
        &mut self,
        key: u32,
        context: &mut Context<'_>,
        mut on_error: impl FnMut(u32, &io::Error),
    ) {
        let Some(socket) = self.sockets.first_mut() else { return };
        while !self.outgoing.is_empty() {
            match socket.send(&mut self.outgoing) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => on_error(self.outgoing.dropped_mark(), &error),
            }
        }
        let awaits_writable = !self.outgoing.is_empty();
        if awaits_writable != self.awaits_writable {
            let interest = if awaits_writable {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            match context.reregister(socket.source(), key, interest) {
                Ok(()) => self.awaits_writable = awaits_writable,
                Err(error) => {
                    tracing::debug!(instance = context.name(), "cannot watch a socket: {error}");
                }
            }
        }
    }
}

/// Joins a group with a socket that is never read. Memberships of an interface that was removed
/// still count towards the limit, so that a socket at the limit is replaced by a new one.
fn join_member(member: &mut Option<Socket>, group: Ipv4Addr) -> io::Result<()> {
    for attempt in 0.. {
        let socket = match member {
            Some(socket) => socket,
            None => member.insert(Socket::new(Domain::IPV4, Type::DGRAM, Some(IpProtocol::UDP))?),
        };
        match socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && attempt == 0 => {
                *member = None;
            }
            other => return other,
        }
    }
    Ok(())
}

/// Opens the socket that sends, and that receives what is addressed to this machine. It shares its
/// port, so that several programs on one machine receive broadcasts and groups.
fn open_socket(address: SocketAddr, loops_back: bool) -> io::Result<DatagramSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(IpProtocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    if let IpAddr::V4(ip) = address.ip() {
        socket.set_multicast_loop_v4(loops_back)?;
        if !ip.is_unspecified() {
            socket.set_multicast_if_v4(&ip)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(DatagramSocket::from_socket(socket, address.is_ipv6()))
}

/// Opens a socket that receives from groups. It is needed if the main socket is bound to one
/// address, and so does not receive what is sent to groups.
fn open_group_socket(port: u16) -> io::Result<DatagramSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(IpProtocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_all_v4(false)?;
    accept_only_groups(&socket)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    Ok(DatagramSocket::from_socket(socket, false))
}
