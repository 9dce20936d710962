//! The kernel's own structures, constants and request numbers.
//!
//! Everything here has the layout of `<sound/asequencer.h>` (sequencer protocol 1.0.5, Linux 6.15
//! and later; older kernels ignore the newer fields, which were reserved bytes before). Names are
//! spelled out, and each item names the C identifier it stands for, so that code written against
//! the header can be followed line by line.
//!
//! These types are plain data: every bit pattern is valid, they are `Copy`, and
//! [`Default`] is all zeroes, which is what the kernel asks of reserved fields. Unions of the
//! header are byte or word arrays with accessors, so that no access needs `unsafe`.
//!
//! Use them through [`Connection`](crate::engine::Connection), on either engine.

mod cells;
pub mod constants;
mod event;
mod structs;

pub use cells::{CellError, CellIterator, Cells, VARIABLE_LENGTH_LIMIT, write_cells};
pub use constants::*;
pub use event::{
    Address, Connect, ControlData, Event, EventData, NoteData, QueueControlData, QueueSkewData,
    RealTime, ResultData, Timestamp, UmpEvent, UmpNotifyData,
};
pub use structs::{
    BounceHeader, ClientInfo, ClientPool, ClientUmpInfo, PortInfo, PortSubscribe, QuerySubscribers,
    QueueClient, QueueInfo, QueueStatus, QueueTempo, QueueTimer, RemoveEvents, RunningInfo,
    SystemInfo, TimerId,
};

/// The value with all bits zero: what every structure starts from.
pub(crate) trait Zero {
    const ZERO: Self;
}

macro_rules! zero_integers {
    ($($integer:ty),*) => { $(impl Zero for $integer { const ZERO: Self = 0; })* };
}
zero_integers!(u8, u16, u32, i32, usize);

impl<T: Zero, const N: usize> Zero for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// Declares a structure with the C layout, its all-zero default, and checks size and offsets
/// against the header when the crate is compiled.
macro_rules! kernel_struct {
    (
        $(#[$attribute:meta])*
        $name:ident = $size:expr;
        $($(#[$field_attribute:meta])* $field:ident : $type:ty = $offset:expr,)*
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
        }

        impl $crate::raw::Zero for $name {
            const ZERO: Self = Self { $($field: <$type as $crate::raw::Zero>::ZERO,)* };
        }

        impl Default for $name {
            fn default() -> Self {
                <Self as $crate::raw::Zero>::ZERO
            }
        }

        const _: () = {
            assert!(size_of::<$name>() == $size, concat!("size of ", stringify!($name)));
            $(assert!(
                std::mem::offset_of!($name, $field) == $offset,
                concat!("offset of ", stringify!($name), ".", stringify!($field))
            );)*
        };
    };
}
pub(crate) use kernel_struct;

/// Copies `text` into a fixed C string field: cut at a character boundary so that a final zero
/// byte always remains, the rest zeroed.
///
/// ```
/// let mut field = [0xff_u8; 8];
/// consort_seq::raw::set_name(&mut field, "Mélodie");
/// assert_eq!(&field, b"M\xc3\xa9lodi\0");
/// ```
pub fn set_name(field: &mut [u8], text: &str) {
    field.fill(0);
    let Some(room) = field.len().checked_sub(1) else { return };
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
}

/// The text of a fixed C string field: up to the first zero byte, with bytes that are not UTF-8
/// replaced.
#[must_use]
pub fn name(field: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end])
}
