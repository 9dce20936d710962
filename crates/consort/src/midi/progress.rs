//! How far a file is: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::clock;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Which way it goes.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { next: Instant },
    Quiet,
}

impl Progress {
    /// A bar if standard error is a terminal, else lines to the output; nothing if `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        if is_quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now() + EVERY };
        }
        let bar = ProgressBar::new(1000);
        // The template is sound: a test makes it.
        if let Ok(style) = style() {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// `name` stands at `position` of `length`, in nanoseconds. A length of 0 is not known.
    pub(super) fn show(
        &mut self,
        name: &str,
        position: u64,
        length: u64,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let of = if length == 0 { String::new() } else { format!(" of {}", clock(length)) };
        let text = format!("{name}  {}{of}", clock(position));
        match self {
            Self::Bar(bar) => {
                let share = position.saturating_mul(1000).checked_div(length).unwrap_or(0);
                bar.set_position(share.min(1000));
                bar.set_message(text);
            }
            Self::Lines { next } if Instant::now() >= *next => {
                *next = Instant::now() + EVERY;
                writeln!(out, "{text}")?;
                out.flush()?;
            }
            Self::Lines { .. } | Self::Quiet => {}
        }
        Ok(())
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn style() -> Result<ProgressStyle, indicatif::style::TemplateError> {
    ProgressStyle::with_template("{bar:40} {msg}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_is_sound() {
        super::style().expect("a style");
    }
}
