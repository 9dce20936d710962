//! Sockets that several instances share, and the groups they are members of.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use consort_router::Context;
use mio::Interest;
use socket2::{Domain, Protocol as IpProtocol, Socket, Type};

use super::Bind;
use crate::net::{Backoff, DatagramSocket, Lookup, OutgoingDatagrams};

/// How many groups one socket joins: what Linux allows by default
/// (`net.ipv4.igmp_max_memberships`).
const GROUPS_PER_SOCKET: usize = 20;

/// How often an open interface is looked at: whether its address is still there, and its groups.
const LOOK: Duration = Duration::from_secs(5);

/// One `bind` option.
pub(crate) struct Interface {
    pub(crate) bind: Lookup,
    /// The address to announce instead of the bound one.
    pub(crate) announce: Option<Ipv4Addr>,
    /// Whether what is sent to groups comes back to programs on this machine.
    pub(crate) loops_back: bool,
    pub(crate) groups: Vec<Ipv4Addr>,
    /// The bound socket, which sends, and those that only read groups.
    sockets: Vec<DatagramSocket>,
    /// Sockets that are nothing but members: a socket on every address reads all groups that the
    /// machine has joined.
    members: Vec<Option<Socket>>,
    pub(crate) outgoing: OutgoingDatagrams,
    awaits_room: bool,
    backoff: Backoff,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) look_at: Option<Instant>,
    /// Why it is not, or not fully, at work.
    pub(crate) trouble: Option<String>,
    pub(crate) announced: Option<Instant>,
}

/// A filter that lets only datagrams to groups pass. It sees the IP header by way of the
/// negative offset that Linux gives to the network layer.
fn only_groups(socket: &Socket) -> io::Result<()> {
    const NETWORK: u32 = -0x0010_0000_i32 as u32; // SKF_NET_OFF
    let statement = |code: u32, if_true: u8, if_false: u8, k: u32| {
        socket2::SockFilter::new(code as u16, if_true, if_false, k)
    };
    socket.attach_filter(&[
        // The first byte of the destination address: 224 to 239 is a group.
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
            members: Vec::new(),
            outgoing: OutgoingDatagrams::default(),
            awaits_room: false,
            backoff: Backoff::default(),
            retry_at: None,
            look_at: None,
            trouble: None,
            announced: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.sockets.is_empty()
    }

    pub(crate) fn socket(&mut self, number: usize) -> Option<&mut DatagramSocket> {
        self.sockets.get_mut(number)
    }

    /// The address to tell `peer`: the announced one, else the bound one, else the one from
    /// which the machine reaches the peer.
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

    /// Opens what is not open. `key` is for socket 0, the following ones for those that read
    /// groups; the look-up of the bound name comes to `lookup_key`.
    pub(crate) fn open(&mut self, key: u32, lookup_key: u32, context: &mut Context<'_>) {
        if self.is_open() || self.retry_at.is_some_and(|time| time > context.now()) {
            return;
        }
        match self.try_open(key, lookup_key, context) {
            Ok(true) => {
                self.backoff.reset();
                self.retry_at = None;
                self.trouble = None;
                self.look(context);
            }
            Ok(false) => {}
            Err(reason) => self.fail(reason, context),
        }
    }

    pub(crate) fn fail(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        self.trouble = Some(reason);
        self.retry_at = Some(context.now() + self.backoff.next_delay());
    }

    fn try_open(
        &mut self,
        key: u32,
        lookup_key: u32,
        context: &mut Context<'_>,
    ) -> Result<bool, String> {
        self.bind.start(lookup_key, context)?;
        let Some(address) = self.bind.address() else {
            self.trouble = Some(format!("looking up {}", self.bind.target()));
            return Ok(false);
        };
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} is in use by a program that does not share it (`ss -lunp sport = \
                 :{port}` names it)",
                port = address.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine does not have the address {}", address.ip())
            }
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 are not for everyone: cannot bind {address}")
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
            for _ in self.groups.chunks(GROUPS_PER_SOCKET) {
                sockets.push(open_group_socket(address.port()).map_err(explain)?);
            }
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            context
                .register(socket.source(), key + number as u32, Interest::READABLE)
                .map_err(|error| format!("cannot watch a socket: {error}"))?;
        }
        self.sockets = sockets;
        Ok(true)
    }

    fn close(&mut self, context: &mut Context<'_>) {
        for mut socket in self.sockets.drain(..) {
            if let Err(error) = context.deregister(socket.source()) {
                tracing::debug!(instance = context.name(), "a socket: {error}");
            }
        }
        self.members.clear();
        self.awaits_room = false;
    }

    /// Looks whether the address is still there and the groups are joined; joins them (again).
    pub(crate) fn look(&mut self, context: &mut Context<'_>) {
        self.look_at = Some(context.now() + LOOK);
        let Some(address) = self.bind.address() else { return };
        // An address that is gone cannot be bound; the old socket would stay silent.
        if let Err(error) = std::net::UdpSocket::bind((address.ip(), 0)) {
            if error.kind() == io::ErrorKind::AddrNotAvailable {
                self.close(context);
                self.look_at = None;
                self.fail(
                    format!("the address {} is gone from this machine", address.ip()),
                    context,
                );
            }
            return;
        }
        self.trouble = self.join_all(address).err();
    }

    fn join_all(&mut self, address: SocketAddr) -> Result<(), String> {
        let IpAddr::V4(local) = address.ip() else {
            return match self.groups.is_empty() {
                true => Ok(()),
                false => Err("multicast needs an IPv4 address to bind".into()),
            };
        };
        for (number, groups) in self.groups.chunks(GROUPS_PER_SOCKET).enumerate() {
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
                    if self.members.len() <= number {
                        self.members.resize_with(number + 1, || None);
                    }
                    join_member(&mut self.members[number], group)
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

    /// Sends what waits. `refused` is told the mark of each datagram that could not be sent, and
    /// why.
    pub(crate) fn flush(
        &mut self,
        key: u32,
        context: &mut Context<'_>,
        mut refused: impl FnMut(u32, &io::Error),
    ) {
        let Some(socket) = self.sockets.first_mut() else { return };
        while !self.outgoing.is_empty() {
            match socket.send(&mut self.outgoing) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => refused(self.outgoing.refused(), &error),
            }
        }
        let awaits_room = !self.outgoing.is_empty();
        if awaits_room != self.awaits_room {
            let interest = if awaits_room {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            match context.reregister(socket.source(), key, interest) {
                Ok(()) => self.awaits_room = awaits_room,
                Err(error) => tracing::debug!(instance = context.name(), "a socket: {error}"),
            }
        }
    }
}

/// Joins a group with a socket that reads nothing. A membership of an interface that went away
/// still counts, so a full socket is replaced by a new one.
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

/// The socket that sends and that reads what is addressed to this machine. Others may share the
/// port: several programs of one machine hear broadcasts and groups.
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

/// A socket that reads groups, where the main one is bound to one address and would not see
/// them.
fn open_group_socket(port: u16) -> io::Result<DatagramSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(IpProtocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_all_v4(false)?;
    only_groups(&socket)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    Ok(DatagramSocket::from_socket(socket, false))
}
