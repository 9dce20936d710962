//! The channels of a console: executors and keys.

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};
use consort_suggest::nearest;

use super::config::CommandLine;
use super::keys::{KEYS, Key};

/// The highest number of an executor.
pub(super) const MAX_EXECUTOR: u16 = 999;

/// The highest number of a page.
const MAX_PAGE: u16 = 9_999;

/// A control of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Control {
    Fader,
    /// The button below a fader, or a button executor.
    Button,
    Lower,
    Upper,
}

impl Control {
    pub(super) fn name(self) -> &'static str {
        match self {
            Control::Fader => "fader",
            Control::Button => "button",
            Control::Lower => "lower",
            Control::Upper => "upper",
        }
    }

    fn parse(name: &str) -> Option<Control> {
        Some(match name {
            "fader" => Control::Fader,
            "button" | "flash" => Control::Button,
            "lower" => Control::Lower,
            "upper" => Control::Upper,
            _ => return None,
        })
    }
}

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// A control of an executor; page and executor count from 1.
    Executor {
        page: u16,
        executor: u16,
        control: Control,
    },
    Key(&'static Key),
}

impl Channel {
    /// Reads a specification.
    ///
    /// # Errors
    /// When there is no such channel, or it cannot be used in this direction or with this command
    /// line.
    pub(super) fn parse(
        specification: &str,
        usage: Usage,
        command_line: CommandLine,
    ) -> Result<Channel, ChannelError> {
        let channel = match specification.strip_prefix("page") {
            Some(rest) if rest.contains('.') => executor(specification, rest)?,
            _ => key(specification, command_line)?,
        };
        let is_source =
            matches!(channel, Channel::Executor { control: Control::Fader | Control::Button, .. });
        if usage == Usage::Source && !is_source {
            return Err(ChannelError::new(format!("`{specification}` can only be a target"))
                .with_hint("a console reports `fader` and `button`"));
        }
        Ok(channel)
    }

    pub(super) fn kind(self) -> ChannelKind {
        match self {
            Channel::Executor { control: Control::Fader, .. } => ChannelKind::Absolute,
            _ => ChannelKind::Momentary,
        }
    }

    pub(super) fn resolution(self) -> Resolution {
        match self {
            // Six decimals are sent.
            Channel::Executor { control: Control::Fader, .. } => Resolution::steps(1_000_001),
            _ => Resolution::steps(2),
        }
    }

    pub(super) fn is_fader(self) -> bool {
        matches!(self, Channel::Executor { control: Control::Fader, .. })
    }
}

/// Reads `pageP.CONTROLE`; `rest` is what follows `page`.
fn executor(specification: &str, rest: &str) -> Result<Channel, ChannelError> {
    let length = specification.len();
    let (page, control) = rest.split_once('.').unwrap_or((rest, ""));
    let start = "page".len() + page.len() + 1;
    let number = |text: &str, limit: u16| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && (1..=limit).contains(number))
    };
    let page = number(page, MAX_PAGE).ok_or_else(|| {
        ChannelError::new(format!("expected a page from 1 to {MAX_PAGE}, not `{page}`"))
            .with_range("page".len(), start - 1)
    })?;
    let digits = control.trim_start_matches(|c: char| !c.is_ascii_digit());
    let name = &control[..control.len() - digits.len()];
    let control = Control::parse(name).ok_or_else(|| {
        let names = ["fader", "button", "flash", "lower", "upper"];
        ChannelError::new(format!("an executor has no control `{name}`"))
            .with_hint(match nearest(name, names) {
                Some(found) => format!("did you mean `{found}`?"),
                None => "use `fader`, `button`, `flash`, `lower` or `upper`".into(),
            })
            .with_range(start, start + name.len())
    })?;
    let executor = number(digits, MAX_EXECUTOR).ok_or_else(|| {
        ChannelError::new(format!("expected an executor from 1 to {MAX_EXECUTOR}, not `{digits}`"))
            .with_range(start + name.len(), length)
    })?;
    Ok(Channel::Executor { page, executor, control })
}

fn key(name: &str, command_line: CommandLine) -> Result<Channel, ChannelError> {
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        let error = ChannelError::new(format!("a console has no channel `{name}`"));
        let upper = name.to_uppercase();
        let found = KEYS.iter().find(|key| key.name == upper).map(|key| key.name);
        let found = found.or_else(|| nearest(name, KEYS.iter().map(|key| key.name)));
        return Err(error.with_hint(match found {
            Some(found) => format!("did you mean `{found}`?"),
            None => "write an executor such as `page1.fader1`, or a key such as `CLEAR`".into(),
        }));
    };
    let message = match command_line {
        CommandLine::Remote if !key.is_remote() => {
            "exists on the console only; set `cmdline = console` or `downgrade`"
        }
        CommandLine::Console if key.hardkey.is_none() => {
            "exists in the web remote only; set `cmdline = remote` or `downgrade`"
        }
        _ => return Ok(Channel::Key(key)),
    };
    let (message, hint) = message.split_once("; ").unwrap_or((message, ""));
    Err(ChannelError::new(format!("the key `{name}` {message}")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, line: CommandLine) -> Result<Channel, ChannelError> {
        Channel::parse(text, Usage::Target, line)
    }

    #[test]
    fn executors_are_written_as_in_midimonster() {
        let executor = |page, executor, control| Channel::Executor { page, executor, control };
        for (text, channel) in [
            ("page1.fader5", executor(1, 5, Control::Fader)),
            ("page3.lower3", executor(3, 3, Control::Lower)),
            ("page1.upper90", executor(1, 90, Control::Upper)),
            ("page2.button816", executor(2, 816, Control::Button)),
            ("page2.flash2", executor(2, 2, Control::Button)),
        ] {
            assert_eq!(parse(text, CommandLine::Remote), Ok(channel), "{text}");
        }
        for text in [
            "page0.fader1",
            "page1.fader0",
            "page1.fader",
            "page1.fader1x",
            "page1.fade1",
            "page.fader1",
            "page1.",
            "page+1.fader1",
            "page1.fader1000",
            "page70000.fader1",
        ] {
            assert!(parse(text, CommandLine::Remote).is_err(), "{text}");
        }
        let source = Channel::parse("page1.upper1", Usage::Source, CommandLine::Remote);
        assert_eq!(source.expect_err("a target").message, "`page1.upper1` can only be a target");
    }

    #[test]
    fn keys_belong_to_command_lines() {
        use CommandLine::{Console, Downgrade, Remote};
        for (name, lines) in [
            ("CLEAR", &[Remote, Console, Downgrade][..]),
            ("LABEL", &[Remote, Downgrade]),
            ("X20", &[Console, Downgrade]),
            ("7", &[Remote, Console, Downgrade]),
        ] {
            for line in [Remote, Console, Downgrade] {
                assert_eq!(parse(name, line).is_ok(), lines.contains(&line), "{name} {line:?}");
            }
        }
        let error = parse("clear", Remote).expect_err("no key");
        assert_eq!(error.hint.as_deref(), Some("did you mean `CLEAR`?"));
        let error = parse("X1", Remote).expect_err("no key");
        assert_eq!(error.message, "the key `X1` exists on the console only");
    }
}
