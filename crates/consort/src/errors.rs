//! Errors that end a command, and how they are printed.

use std::fmt;

/// An error with an instruction that helps. The hint is printed on a line of its own.
#[derive(Debug)]
struct Hinted {
    message: String,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// An error with a hint: `error: message`, then `hint: hint`.
pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// Logs an error with its causes and its hint.
pub(crate) fn log(error: &anyhow::Error) {
    tracing::error!(hint = hint(error), "{}", message(error));
}

/// An error and its causes on one line. A cause that the text before it already ends with is
/// left out: some libraries repeat their sources in their own messages.
pub(crate) fn message(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| match cause.to_string() {
        cause if text.is_empty() => cause,
        cause if text.ends_with(&cause) => text,
        cause => text + ": " + &cause,
    })
}

/// The hint of the first cause that has one.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&str> {
    let hinted = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>())?;
    Some(&hinted.hint)
}

/// Whether the error is only that standard output has been closed (`| head`). Errors on other
/// pipes carry a context of their own, so the first cause is the one that counts.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    let first = error.chain().next().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    first.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Message and hint as they are printed, for assertions.
#[cfg(test)]
pub(crate) fn printed(error: &anyhow::Error) -> String {
    match hint(error) {
        Some(hint) => format!("{}\nhint: {hint}", message(error)),
        None => message(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_cause_is_printed_once() {
        let error = anyhow::Error::new(std::io::Error::from_raw_os_error(2));
        let cause = error.to_string();
        assert_eq!(message(&error), cause);
        let error = error.context(format!("cannot read x: {cause}")).context("nothing is played");
        assert_eq!(message(&error), format!("nothing is played: cannot read x: {cause}"));
    }

    #[test]
    fn a_hint_survives_a_context() {
        let error = with_hint("unknown port `x`", "did you mean `y`?").context("play");
        assert_eq!(printed(&error), "play: unknown port `x`\nhint: did you mean `y`?");
        assert_eq!(hint(&anyhow::Error::msg("unknown port `x`")), None);
    }
}
