//! The system calls of the floor: batches of datagrams.
//!
//! The module needs `unsafe` because `recvmmsg` and `sendmmsg` have no safe wrapper in the standard
//! library, and the floor should call them directly.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// The most datagrams per system call.
pub(crate) const BATCH: usize = 64;
/// The size of a receive buffer in bytes.
const BUFFER_BYTES: usize = 2048;

/// Buffers for a batch of datagrams.
pub(crate) struct Batch {
    buffers: Vec<[u8; BUFFER_BYTES]>,
    lengths: [usize; BATCH],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { buffers: vec![[0; BUFFER_BYTES]; BATCH], lengths: [0; BATCH] }
    }

    /// Waits for at least one datagram and receives all that have arrived.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut vectors = [const { empty_vector() }; BATCH];
        let mut headers = [const { empty_header() }; BATCH];
        for ((buffer, vector), header) in
            self.buffers.iter_mut().zip(&mut vectors).zip(&mut headers)
        {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: BUFFER_BYTES };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to one vector, and every vector to a buffer of BUFFER_BYTES
        // bytes; all of them outlive the call, and there are no other references to them.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers).take(count) {
            *length = header.msg_len as usize;
        }
        Ok(count)
    }

    /// The bytes of a received datagram.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        &self.buffers[index][..self.lengths[index]]
    }

    /// Sends parts of received datagrams, given as index, offset and length.
    pub(crate) fn send_parts(
        &self,
        socket: &UdpSocket,
        parts: &[(usize, usize, usize)],
    ) -> io::Result<()> {
        for parts in parts.chunks(BATCH) {
            let mut slices = [&[][..]; BATCH];
            for (slice, &(index, offset, length)) in slices.iter_mut().zip(parts) {
                *slice = &self.buffers[index][offset..offset + length];
            }
            send(socket, &slices[..parts.len()])?;
        }
        Ok(())
    }
}

/// Sends at most [`BATCH`] datagrams over a connected socket, all of them.
pub(crate) fn send(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<()> {
    assert!(datagrams.len() <= BATCH);
    let mut vectors = [const { empty_vector() }; BATCH];
    let mut headers = [const { empty_header() }; BATCH];
    for ((bytes, vector), header) in datagrams.iter().zip(&mut vectors).zip(&mut headers) {
        // The kernel only reads these bytes, although the pointer is mutable.
        *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    let mut sent = 0;
    while sent < datagrams.len() {
        let rest = &mut headers[sent..datagrams.len()];
        // SAFETY: every header points to one vector, and every vector to a datagram of its
        // length; all of them outlive the call.
        let count = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
        };
        match usize::try_from(count) {
            Ok(count) => sent += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                // An earlier datagram found no socket at its destination. This is not an error of the
                // remaining datagrams.
                if error.kind() != io::ErrorKind::ConnectionRefused {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

const fn empty_vector() -> libc::iovec {
    libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }
}

const fn empty_header() -> libc::mmsghdr {
    // SAFETY: a zeroed header is valid: it has no address, vectors or control data.
    unsafe { std::mem::zeroed() }
}

/// Requests a larger receive buffer; the kernel may provide less.
pub(crate) fn set_receive_buffer(socket: &UdpSocket, bytes: libc::c_int) {
    // SAFETY: the value of the option is an int that outlives the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// Restricts a process (0: this thread) to the last processor, or to all others. Does nothing on a
/// machine with one processor.
pub(crate) fn pin(process: u32, last: bool) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if processors < 2 {
        return;
    }
    let chosen = if last { processors - 1..processors } else { 0..processors - 1 };
    consort_bench::pin_thread(process, chosen);
}
