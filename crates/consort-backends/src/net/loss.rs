//! Datagrams that the kernel or a peer did not take: how many, and what to do about it.
//!
//! Linux drops a received datagram without an error when the receive buffer of its socket is full,
//! and learns only later, from an ICMP message, that a sent one was refused. Both are recorded at
//! the socket:
//!
//! | source | what it counts | when it is read |
//! |---|---|---|
//! | `SO_RXQ_OVFL`, beside a datagram | drops before that datagram was queued | with each datagram, without a system call |
//! | `SO_MEMINFO` | drops until now, also those that no datagram followed | when a long queue has been read, |
//! | `IP_RECVERR`, the error queue | refused datagrams, with their destination | when a call fails, and when the socket reports an error |
//!
//! The module needs `unsafe` because the crates that we depend on have no safe wrapper for control
//! messages of these kinds.
#![allow(unsafe_code)]

use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use consort_router::{Context, WarnOnce};

use super::datagram::decode_address;

/// The size of the receive buffer that a socket asks for, in bytes. The kernel grants at most
/// `net.core.rmem_max`.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Room for the control messages of one datagram: one with 32 bits needs 24 bytes, an
/// `IP_RECVERR` with the address of a router 64.
pub(super) const CONTROL_BYTES: usize = 128;

/// The most entries of an error queue that one call reads. The others are read with the next one.
const MAX_ERRORS_PER_CALL: usize = 1_024;

/// The index of the drops in the answer to `SO_MEMINFO` (`SK_MEMINFO_DROPS` in
/// `linux/sock_diag.h`), and the number of its fields.
const MEMINFO_DROPS: usize = 8;
const MEMINFO_FIELDS: usize = 9;

/// Datagrams that were lost at a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Received datagrams that the kernel dropped because the receive buffer was full.
    pub lost: u64,
    /// Sent datagrams for which a host reported that nobody takes them.
    pub refused: u64,
    /// Where the last refused datagram was sent to.
    pub refused_by: Option<SocketAddr>,
}

/// Memory for a control message, aligned as the kernel's structures are.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_BYTES]);

/// Counts the losses of one socket.
#[derive(Debug, Default)]
pub(crate) struct LossCounter {
    /// The kernel's count of dropped datagrams, as it was read last. It wraps.
    kernel_drops: u32,
    /// Whether a datagram was sent: only then can there be errors.
    has_sent: bool,
    losses: Losses,
}

impl LossCounter {
    /// Makes the kernel count what a UDP socket loses. A kernel without one of the options counts
    /// the rest.
    pub(crate) fn enable(socket: &impl AsRawFd) -> Self {
        let on: libc::c_int = 1;
        for (level, option) in [
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
            (libc::IPPROTO_IP, libc::IP_RECVERR),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        ] {
            // SAFETY: the option's value is an integer that outlives the call. An IPv4 socket
            // refuses the option of IPv6, which does no harm.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    level,
                    option,
                    ptr::from_ref(&on).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                );
            }
        }
        LossCounter::default()
    }

    /// Notes that a datagram is being sent, so that errors may follow.
    #[inline]
    pub(crate) fn note_sending(&mut self) {
        self.has_sent = true;
    }

    /// Takes the kernel's count of drops from the control message beside a received datagram.
    pub(super) fn note_control(&mut self, header: &libc::msghdr) {
        // SAFETY: the kernel has filled the header's control buffer, which is still borrowed by it;
        // the macros stay within its length.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(header);
            while !message.is_null() {
                if ((*message).cmsg_level, (*message).cmsg_type)
                    == (libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
                {
                    self.note_drops(ptr::read_unaligned(libc::CMSG_DATA(message).cast::<u32>()));
                }
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
    }

    /// Counts the drops since the last count.
    fn note_drops(&mut self, kernel_drops: u32) {
        let difference = kernel_drops.wrapping_sub(self.kernel_drops);
        // A count that was taken when an earlier datagram was queued may be older than the last one.
        if difference < 1 << 31 {
            self.kernel_drops = kernel_drops;
            self.losses.lost += u64::from(difference);
        }
    }

    /// Asks the kernel how many datagrams it has dropped so far.
    pub(crate) fn read_drops(&mut self, socket: &impl AsRawFd) {
        let mut fields = [0_u32; MEMINFO_FIELDS];
        let mut length = size_of_val(&fields) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into the fields, which outlive the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                fields.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 && length as usize == size_of_val(&fields) {
            self.note_drops(fields[MEMINFO_DROPS]);
        }
    }

    /// Reads the error queue and counts the datagrams that a host has refused. Returns whether one
    /// of them explains the error `number` of a call, so that the call concerns another datagram.
    pub(crate) fn read_errors(&mut self, socket: &impl AsRawFd, number: Option<i32>) -> bool {
        let mut is_explained = false;
        let limit = if self.has_sent { MAX_ERRORS_PER_CALL } else { 0 };
        for _ in 0..limit {
            let Some((error, destination)) = next_error(socket.as_raw_fd()) else { break };
            // Errors of this machine, such as a datagram that is too long, are those of the call.
            if error.ee_origin == libc::SO_EE_ORIGIN_ICMP
                || error.ee_origin == libc::SO_EE_ORIGIN_ICMP6
            {
                self.losses.refused += 1;
                self.losses.refused_by = destination.or(self.losses.refused_by);
                is_explained |= number == i32::try_from(error.ee_errno).ok();
            }
        }
        is_explained
    }

    /// What was lost since the last call, if anything was.
    pub(crate) fn take(&mut self) -> Option<Losses> {
        if self.losses.lost == 0 && self.losses.refused == 0 {
            return None;
        }
        Some(std::mem::take(&mut self.losses))
    }
}

/// Takes an entry from the error queue of a socket: the error, and where the datagram was sent to.
fn next_error(socket: RawFd) -> Option<(libc::sock_extended_err, Option<SocketAddr>)> {
    // SAFETY: zeroed storages and headers are valid.
    let mut address: libc::sockaddr_storage = unsafe { zeroed() };
    let mut control = MaybeUninit::<Control>::uninit();
    // SAFETY: as above.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the header points to an address and a control buffer that outlive the call. There is
    // no buffer for the datagram itself, which is discarded.
    let result =
        unsafe { libc::recvmsg(socket, &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if result < 0 {
        return None;
    }
    // SAFETY: the kernel has filled the control buffer; the macros stay within its length.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            if kind == (libc::IPPROTO_IP, libc::IP_RECVERR)
                || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            {
                let error = libc::CMSG_DATA(message).cast::<libc::sock_extended_err>();
                return Some((ptr::read_unaligned(error), decode_address(&address)));
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    // An entry of another kind: it is taken, and the next one is asked for.
    // SAFETY: a zeroed error is valid; its origin is none.
    Some((unsafe { zeroed() }, None))
}

/// Counts the losses of an instance's sockets, and logs the first of each kind.
#[derive(Debug, Default)]
pub(crate) struct LossReport {
    lost: WarnOnce,
    refused: WarnOnce,
}

impl LossReport {
    /// Counts losses as those of an instance. `shared`: what the socket is for, if other instances
    /// use it, too.
    pub(crate) fn report(
        &mut self,
        losses: Losses,
        shared: Option<&str>,
        context: &mut Context<'_>,
    ) {
        if losses.lost > 0 {
            context.count_lost(losses.lost);
            if self.lost.is_first() {
                tracing::warn!(
                    instance = context.name(),
                    "datagrams{} were lost, because they arrived faster than the show could read \
                     them{}; further losses are only counted",
                    shared.map(|shared| format!(" {shared}")).unwrap_or_default(),
                    buffer_advice().map(|advice| format!("; {advice}")).unwrap_or_default(),
                );
            }
        }
        if losses.refused > 0 {
            context.count_refused(losses.refused);
            if self.refused.is_first() {
                let peer = losses.refused_by.map(|address| address.to_string());
                tracing::warn!(
                    instance = context.name(),
                    "{} refused a datagram: no program receives there, or the host cannot be \
                     reached; further ones are only counted",
                    peer.as_deref().unwrap_or("the destination"),
                );
            }
        }
    }
}

/// The kernel's limit for receive buffers, `net.core.rmem_max`, in bytes. `None` if the system does
/// not provide it, as in some containers.
pub(crate) fn rmem_max() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?.trim().parse().ok()
}

/// How to get larger receive buffers; `None` if the kernel's limit is not the reason for losses.
pub(crate) fn buffer_advice() -> Option<String> {
    advice_for(rmem_max()?)
}

fn advice_for(limit: usize) -> Option<String> {
    (limit < RECEIVE_BUFFER_BYTES).then(|| {
        format!(
            "the kernel limits receive buffers to {limit} bytes; \
             `sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}` allows larger ones"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_wraps_and_never_counts_backwards() {
        let mut counter = LossCounter { kernel_drops: u32::MAX - 1, ..LossCounter::default() };
        counter.note_drops(3);
        assert_eq!(counter.take().map(|losses| losses.lost), Some(5));
        counter.note_drops(2);
        assert_eq!(counter.take(), None);
        counter.note_drops(4);
        assert_eq!(counter.take().map(|losses| losses.lost), Some(1));
    }

    #[test]
    fn the_advice_names_the_sysctl_only_if_it_helps() {
        let text = advice_for(212_992).expect("advice");
        assert!(text.contains("net.core.rmem_max=4194304"), "{text}");
        assert_eq!(advice_for(4 << 20), None);
    }
}
