//! Additions to `consort-osc`: reading the arguments of owned messages with errors that name the
//! message, and the scratch buffer for encoding.

use std::cell::RefCell;

use consort_osc::{Limits, MessageBuilder, OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};

/// The writer for the arguments of a request.
pub(crate) type Writer<'a> = MessageBuilder<'a, Vec<u8>>;

/// The beginning of the commands that mark the end of an output. The server does not know them, and
/// the `/fail` that it answers is not reported.
pub(crate) const PRINT_MARKER_PREFIX: &str = "/consort_end_";

/// Bounds on packets from a server: the size of the largest packet of a stream, and bundles that
/// are not nested deeply.
pub(crate) const REPLY_LIMITS: Limits = Limits::DEFAULT.with_size(16 << 20).with_bundle_depth(4);

impl From<consort_osc::Error> for Error {
    fn from(error: consort_osc::Error) -> Self {
        Error::with_source(ErrorKind::InvalidArgument, "cannot encode the request as OSC", error)
    }
}

/// Typed access to the arguments of a message from a server.
pub trait Arguments {
    /// The whole number at `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message has none there.
    fn int(&self, index: usize) -> Result<i32>;
    /// The number at `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message has none there.
    fn double(&self, index: usize) -> Result<f64>;
    /// The number at `index`, in single precision.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message has none there.
    fn float(&self, index: usize) -> Result<f32> {
        self.double(index).map(|value| value as f32)
    }
    /// The text at `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message has none there.
    fn text(&self, index: usize) -> Result<&str>;
}

impl Arguments for OscMessage {
    fn int(&self, index: usize) -> Result<i32> {
        self.arguments
            .get(index)
            .and_then(OscValue::as_i32)
            .ok_or_else(|| unexpected(self, index, "a whole number"))
    }

    fn double(&self, index: usize) -> Result<f64> {
        self.arguments
            .get(index)
            .and_then(OscValue::as_f64)
            .ok_or_else(|| unexpected(self, index, "a number"))
    }

    fn text(&self, index: usize) -> Result<&str> {
        self.arguments
            .get(index)
            .and_then(OscValue::as_str)
            .ok_or_else(|| unexpected(self, index, "a string"))
    }
}

/// About how many bytes of memory a message takes while it is queued.
pub(crate) fn weight(message: &OscMessage) -> usize {
    message.address.len() + arguments_weight(&message.arguments)
}

/// As [`weight`], for arguments alone. The recursion is as deep as decoding permits.
pub(crate) fn arguments_weight(arguments: &[OscValue]) -> usize {
    let content = |value: &OscValue| match value {
        OscValue::String(text) | OscValue::Symbol(text) => text.len(),
        OscValue::Blob(bytes) => bytes.len(),
        OscValue::Array(items) => arguments_weight(items),
        _ => 0,
    };
    std::mem::size_of_val(arguments) + arguments.iter().map(content).sum::<usize>()
}

/// The error for an argument that is missing or has another type.
pub(crate) fn unexpected(message: &OscMessage, index: usize, expected: &str) -> Error {
    let found = match message.arguments.get(index) {
        Some(argument) => argument.to_string(),
        None => "nothing".to_owned(),
    };
    Error::new(
        ErrorKind::Protocol,
        format!("argument {index} of {} is {found}; expected {expected}", message.address),
    )
}

thread_local! {
    /// The buffer of [`with_scratch`].
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with an empty buffer of this thread, which keeps its capacity from call to call.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            scratch.clear();
            work(&mut scratch)
        }
        Err(_) => work(&mut Vec::new()),
    })
}
