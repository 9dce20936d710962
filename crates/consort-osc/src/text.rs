//! Padding, and the notation in which packets are printed.

use std::fmt;

use crate::{Argument, Color, MidiMessage};

/// `size` rounded up to a multiple of four.
#[inline]
pub(crate) const fn padded(size: usize) -> usize {
    size.wrapping_add(3) & !3
}

/// `,` and the type tags.
pub(crate) fn write_tags(f: &mut fmt::Formatter<'_>, tags: &[u8]) -> fmt::Result {
    f.write_str(",")?;
    tags.iter().try_for_each(|&tag| write!(f, "{}", char::from(tag)))
}

/// How many bytes of a blob are printed.
const BLOB_SHOWN: usize = 16;

/// One value; arrays in brackets with commas.
pub(crate) fn write_value(f: &mut fmt::Formatter<'_>, value: &Argument<'_>) -> fmt::Result {
    match *value {
        Argument::Int(value) => write!(f, "{value}"),
        Argument::Long(value) => write!(f, "{value}"),
        Argument::Float(value) => write!(f, "{value:?}"),
        Argument::Double(value) => write!(f, "{value:?}"),
        Argument::String(text) => write!(f, "{text:?}"),
        Argument::Symbol(text) => write!(f, "'{}'", text.escape_debug()),
        Argument::Char(character) => write!(f, "{character:?}"),
        Argument::Blob(bytes) => write_blob(f, bytes),
        Argument::Time(tag) => write!(f, "@{tag}"),
        Argument::Color(Color { red, green, blue, alpha }) => {
            write!(f, "#{red:02x}{green:02x}{blue:02x}{alpha:02x}")
        }
        Argument::Midi(MidiMessage { port, status, data1, data2 }) => {
            write!(f, "midi({port}: {status:02x} {data1:02x} {data2:02x})")
        }
        Argument::Bool(value) => write!(f, "{value}"),
        Argument::Nil => f.write_str("nil"),
        Argument::Impulse => f.write_str("impulse"),
        Argument::Array(array) => {
            f.write_str("[")?;
            for (index, item) in array.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                write_value(f, &item)?;
            }
            f.write_str("]")
        }
    }
}

/// The size of a blob and its first bytes.
pub(crate) fn write_blob(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write!(f, "blob({} bytes", bytes.len())?;
    for (index, byte) in bytes.iter().take(BLOB_SHOWN).enumerate() {
        write!(f, "{}{byte:02x}", if index == 0 { ": " } else { " " })?;
    }
    f.write_str(if bytes.len() > BLOB_SHOWN { " …)" } else { ")" })
}
