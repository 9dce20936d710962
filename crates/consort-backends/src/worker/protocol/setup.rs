//! The settings that a worker is sent first.

use std::borrow::Cow;
use std::path::Path;

use super::{NO_ROOT, push_value};

/// A part of a script in two strings, whose meaning depends on the language.
pub(crate) type ScriptPart<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// What a worker is sent first: its program and its settings.
pub(crate) struct Setup<'a> {
    /// The worker's program: for Python, the name and the source of each module, with a NUL
    /// between them.
    pub(crate) program: &'a str,
    /// The reading of the monotonic clock at the start of the show, in nanoseconds.
    pub(crate) epoch: i64,
    /// The folder of the configuration, the first in the module search path.
    pub(crate) directory: &'a Path,
    /// The handler of channels without a dot; empty for none.
    pub(crate) default_handler: &'a str,
    /// The maximum time for one call in milliseconds; 0 for no limit.
    pub(crate) time_limit: u32,
    /// The parts of the script in pairs. For Python: the name of each module, and the path of its
    /// source if the option gives a path. For Lua: `file` or `code`, and the path or the code.
    pub(crate) modules: &'a [ScriptPart<'a>],
    /// The names of the mapped channels, by number.
    pub(crate) channels: &'a [String],
    /// How each channel is used: bit 0 as a source, bit 1 as a target.
    pub(crate) usage: &'a [u8],
    /// The last input of each channel; NaN for none.
    pub(crate) inputs: &'a [f64],
}

impl Setup<'_> {
    /// Encodes it: the length of the rest (`u32`), then the fields, each after its length
    /// (`u32`). The names of channels and the modules are separated by NULs; the inputs are
    /// values.
    pub(crate) fn encode(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        let mut modules = Vec::new();
        for (first, second) in self.modules {
            if !modules.is_empty() {
                modules.push(0);
            }
            modules.extend_from_slice(first);
            modules.push(0);
            modules.extend_from_slice(second);
        }
        let mut inputs = Vec::new();
        for (channel, &value) in self.inputs.iter().enumerate() {
            if !value.is_nan() {
                push_value(&mut inputs, channel as u32, NO_ROOT, value);
            }
        }
        let fields: [&[u8]; 9] = [
            self.program.as_bytes(),
            &self.epoch.to_string().into_bytes(),
            self.directory.as_os_str().as_bytes(),
            self.default_handler.as_bytes(),
            &self.time_limit.to_le_bytes(),
            &modules,
            &self.channels.join("\0").into_bytes(),
            self.usage,
            &inputs,
        ];
        let size: usize = fields.iter().map(|field| field.len() + 4).sum();
        let mut bytes = Vec::with_capacity(size + 4);
        bytes.extend_from_slice(&encode_length(size));
        for field in fields {
            bytes.extend_from_slice(&encode_length(field.len()));
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

fn encode_length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}

/// The settings as a worker written in Rust receives them.
#[cfg(feature = "lua")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WorkerSetup {
    pub(crate) epoch: i64,
    pub(crate) directory: std::path::PathBuf,
    pub(crate) default_handler: String,
    pub(crate) time_limit: u32,
    pub(crate) modules: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) channels: Vec<String>,
    pub(crate) usage: Vec<u8>,
    /// Numbers of channels and their last inputs.
    pub(crate) inputs: Vec<(u32, f64)>,
}

#[cfg(feature = "lua")]
impl WorkerSetup {
    /// Decodes the fields, which follow the length. None if they are not valid.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        use std::os::unix::ffi::OsStringExt;
        let mut field = || -> Option<&[u8]> {
            let (length, rest) = bytes.split_first_chunk()?;
            let (field, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            bytes = rest;
            Some(field)
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let split = |bytes: &[u8]| -> Vec<Vec<u8>> {
            if bytes.is_empty() {
                return Vec::new();
            }
            bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
        };
        let _program = field()?;
        let epoch = text(field()?)?.parse().ok()?;
        let directory = std::ffi::OsString::from_vec(field()?.to_vec()).into();
        let default_handler = text(field()?)?;
        let time_limit = u32::from_le_bytes(field()?.try_into().ok()?);
        let mut parts = split(field()?).into_iter();
        let mut modules = Vec::new();
        while let (Some(first), Some(second)) = (parts.next(), parts.next()) {
            modules.push((first, second));
        }
        let channels: Option<Vec<String>> =
            split(field()?).into_iter().map(|name| String::from_utf8(name).ok()).collect();
        let usage = field()?.to_vec();
        let inputs = field()?.chunks_exact(super::RECORD_BYTES).map(|record| {
            let number = u32::from_le_bytes(record[..4].try_into().ok()?);
            Some((number, f64::from_le_bytes(record[8..].try_into().ok()?)))
        });
        let inputs: Option<Vec<(u32, f64)>> = inputs.collect();
        let channels = channels?;
        (channels.len() == usage.len()).then_some(WorkerSetup {
            epoch,
            directory,
            default_handler,
            time_limit,
            modules,
            channels,
            usage,
            inputs: inputs?,
        })
    }
}
