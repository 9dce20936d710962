//! The kernel's own structures, constants and request numbers.
//!
//! Everything here has the layout of `<sound/asequencer.h>` (sequencer protocol 1.0.5, Linux 6.15
//! and later; older kernels ignore the newer fields, which were reserved bytes before). Names are
//! spelled out, and the documentation of each item contains its C identifier, so that code written
//! for the header can be compared line by line.
//!
//! These types are plain data: every bit pattern is valid, they are `Copy`, and [`Default`] is all
//! zeroes, as the kernel requires for reserved fields. Unions of the header are byte or word arrays
//! with accessors, so that no access needs `unsafe`.
//!
//! Use them through [`Connection`](crate::engine::Connection), with either engine.

mod cells;
pub mod constants;
mod event;
mod structs;

pub use cells::{CellError, CellIterator, Cells, MAX_VARIABLE_BYTES, write_cells};
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

/// A type with a value of all zero bits, the default of every structure.
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

/// Declares a structure with the C layout and an all-zero default. Its size and offsets are checked
/// against those of the header at compile time.
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

/// Copies `text` into a C string field of fixed size. Text that is too long is cut at a character
/// boundary so that it ends with a zero byte; the rest of the field is zeroed.
///
/// ```
/// let mut field = [0xff_u8; 8];
/// consort_seq::raw::set_name(&mut field, "Mélodie");
/// assert_eq!(&field, b"M\xc3\xa9lodi\0");
/// ```
pub fn set_name(field: &mut [u8], text: &str) {
    field.fill(0);
    let Some(capacity) = field.len().checked_sub(1) else { return };
    let mut end = text.len().min(capacity);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
}

/// The text of a C string field of fixed size, up to the first zero byte. Bytes that are not UTF-8
/// are replaced.
#[must_use]
pub fn name(field: &[u8]) -> std::borrow::Cow<'_, str> {
    // The search of the standard library compares a word at a time.
    let text = std::ffi::CStr::from_bytes_until_nul(field).map_or(field, std::ffi::CStr::to_bytes);
    match std::str::from_utf8(text) {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(text),
    }
}
