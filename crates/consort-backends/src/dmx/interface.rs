//! Sockets that several instances share, and their memberships of multicast groups.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use consort_router::DriverContext;
use mio::Interest;
use socket2::{Domain, Protocol as IpProtocol, Socket, Type};

use super::InterfaceConfig;
use crate::net::loss::LossReport;
use crate::net::{Backoff, DatagramSocket, Lookup, OutgoingDatagrams};

/// How many groups one socket joins: the default limit of Linux
/// (`net.ipv4.igmp_max_memberships`).
const MAX_GROUPS_PER_SOCKET: usize = 20;

/// The time between two checks of an open interface: that its address still exists and that its
/// groups are joined. A network that returns is used again within two seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(1_500);

/// The longest time between two attempts to open an interface.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The sockets of one `bind` option.
pub(crate) struct Interface {
    pub(crate) bind: Lookup,
    /// The address to announce instead of the bound one.
    pub(crate) announce: Option<Ipv4Addr>,
    /// Whether packets to multicast groups are also delivered to programs on this machine.
    loops_back: bool,
    /// How many running instances use the interface.
    pub(crate) users: usize,
    /// The groups to join, [`MAX_GROUPS_PER_SOCKET`] for each socket. A group that is left leaves
    /// its place to another one.
    groups: Vec<Option<Ipv4Addr>>,
    /// Whether a group was added since the groups were joined.
    has_new_group: bool,
    /// The bound socket, which sends, followed by the sockets that only receive from groups.
    sockets: Vec<DatagramSocket>,
    /// Sockets that only hold memberships. A socket on the wildcard address receives from all
    /// groups that any socket of the machine has joined, so that these need not be read.
    member_sockets: Vec<Option<Socket>>,
    pub(crate) outgoing: OutgoingDatagrams,
    awaits_writable: bool,
    backoff: Backoff,
    retry_at: Option<Instant>,
    next_check: Option<Instant>,
    /// Why the interface does not work, or not completely.
    pub(crate) problem: Option<String>,
    pub(crate) announced: Option<Instant>,
    pub(crate) losses: LossReport,
}

/// Attaches a socket filter (BPF) that passes only datagrams to multicast groups; others arrive
/// empty. The filter reads the IP header at the negative offset that Linux assigns to the network layer.
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
        // Others are cut to their header. Discarded here, the kernel would count them as datagrams
        // that did not fit into the buffer.
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, 1),
    ])
}

impl Interface {
    pub(crate) fn new(config: InterfaceConfig) -> Self {
        Interface {
            bind: Lookup::new(config.address),
            announce: config.flags.announce,
            loops_back: config.flags.loops_back,
            users: 0,
            groups: Vec::new(),
            has_new_group: false,
            sockets: Vec::new(),
            member_sockets: Vec::new(),
            outgoing: OutgoingDatagrams::default(),
            awaits_writable: false,
            backoff: Backoff::default(),
            retry_at: None,
            next_check: None,
            problem: None,
            announced: None,
            losses: LossReport::default(),
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

    /// Adds a group to join at the next [`Interface::service`].
    pub(crate) fn add_group(&mut self, group: Ipv4Addr) {
        if self.groups.contains(&Some(group)) {
            return;
        }
        match self.groups.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(group),
            None => self.groups.push(Some(group)),
        }
        self.has_new_group = true;
    }

    /// Leaves a group.
    pub(crate) fn remove_group(&mut self, group: Ipv4Addr) {
        let Some(place) = self.groups.iter().position(|place| *place == Some(group)) else {
            return;
        };
        self.groups[place] = None;
        let number = place / MAX_GROUPS_PER_SOCKET;
        let left = match self.bind.address().map(|address| address.ip()) {
            Some(IpAddr::V4(local)) if !local.is_unspecified() => {
                self.sockets.get(number + 1).map(|socket| socket.leave(group, local))
            }
            _ => {
                let member = self.member_sockets.get(number).and_then(Option::as_ref);
                member.map(|socket| socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED))
            }
        };
        if let Some(Err(error)) = left {
            tracing::debug!("cannot leave the group {group}: {error}");
        }
    }

    /// Opens the sockets if that is due, and checks them if that is due. Socket 0 is registered with
    /// `key`, the sockets that receive from groups with the following keys, and the look-up of the
    /// bound name with `lookup_key`. Returns whether something failed; `problem` has the reason.
    pub(crate) fn service(
        &mut self,
        key: u32,
        lookup_key: u32,
        context: &mut DriverContext<'_>,
    ) -> bool {
        let now = context.now();
        if self.is_open() {
            let is_due = self.next_check.is_some_and(|time| time <= now);
            return (is_due || self.has_new_group) && self.check(key, context);
        }
        if self.retry_at.is_some_and(|time| time > now) {
            return false;
        }
        match self.try_open(key, lookup_key, context) {
            Ok(true) => {
                self.backoff.reset();
                self.retry_at = None;
                self.problem = None;
                self.check(key, context)
            }
            Ok(false) => false,
            Err(reason) => {
                self.fail(reason, now);
                true
            }
        }
    }

    /// When [`Interface::service`] must be called next.
    pub(crate) fn due_time(&self) -> Option<Instant> {
        if self.is_open() { self.next_check } else { self.retry_at }
    }

    /// Records why the interface cannot be opened, and schedules the next attempt.
    pub(crate) fn fail(&mut self, reason: String, now: Instant) {
        self.problem = Some(reason);
        self.retry_at = Some(now + self.backoff.next_delay().min(MAX_RETRY_DELAY));
    }

    /// Returns false while the look-up of the bound name is running.
    fn try_open(
        &mut self,
        key: u32,
        lookup_key: u32,
        context: &mut DriverContext<'_>,
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
            register(socket, key + number as u32, context)?;
        }
        self.sockets = sockets;
        Ok(true)
    }

    fn close(&mut self, context: &mut DriverContext<'_>) {
        for mut socket in self.sockets.drain(..) {
            if let Err(error) = context.deregister(socket.source()) {
                tracing::debug!("cannot deregister a socket: {error}");
            }
        }
        self.member_sockets.clear();
        self.awaits_writable = false;
    }

    /// Checks that the bound address still exists, and joins groups that are not joined (any more).
    /// Returns whether the interface had to be closed.
    fn check(&mut self, key: u32, context: &mut DriverContext<'_>) -> bool {
        self.next_check = Some(context.now() + CHECK_INTERVAL);
        let Some(address) = self.bind.address() else { return false };
        // Only binding detects that the address was removed: the old socket would receive nothing
        // and report no error.
        if let Err(error) = std::net::UdpSocket::bind((address.ip(), 0)) {
            let is_lost = error.kind() == io::ErrorKind::AddrNotAvailable;
            if is_lost {
                self.close(context);
                self.next_check = None;
                let reason = format!("this machine no longer has the address {}", address.ip());
                self.fail(reason, context.now());
            }
            return is_lost;
        }
        self.has_new_group = false;
        self.problem = self.join_all(address, key, context).err();
        false
    }

    /// Joins all groups. Opens further sockets for groups that were added later.
    fn join_all(
        &mut self,
        address: SocketAddr,
        key: u32,
        context: &mut DriverContext<'_>,
    ) -> Result<(), String> {
        let IpAddr::V4(local) = address.ip() else {
            return match self.groups.is_empty() {
                true => Ok(()),
                false => Err("multicast needs an IPv4 address in `bind`".into()),
            };
        };
        let socket_count = match local.is_unspecified() {
            true => 1,
            false => 1 + self.groups.len().div_ceil(MAX_GROUPS_PER_SOCKET),
        };
        while self.sockets.len() < socket_count {
            let mut socket = open_group_socket(address.port())
                .map_err(|error| format!("cannot open a socket: {error}"))?;
            register(&mut socket, key + self.sockets.len() as u32, context)?;
            self.sockets.push(socket);
        }
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
            for &group in groups.iter().flatten() {
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
        context: &mut DriverContext<'_>,
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
                Err(error) => tracing::debug!("cannot watch a socket: {error}"),
            }
        }
    }
}

/// Registers a socket that receives.
fn register(
    socket: &mut DatagramSocket,
    key: u32,
    context: &mut DriverContext<'_>,
) -> Result<(), String> {
    context
        .register(socket.source(), key, Interest::READABLE)
        .map_err(|error| format!("cannot add a socket to the event loop: {error}"))
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
