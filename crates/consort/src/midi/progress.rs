//! Progress of playing and recording: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::clock;

/// The time between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How progress is shown.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { next: Instant },
    Quiet,
}

impl Progress {
    /// A bar if standard error is a terminal, otherwise lines; nothing if `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        if is_quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now() + LINE_INTERVAL };
        }
        let bar = ProgressBar::new(1000);
        // A test checks that the template is valid.
        if let Ok(style) = style() {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// Shows the position in a file. Times are in nanoseconds; a length of 0 means unknown.
    pub(super) fn show(
        &mut self,
        name: &str,
        position: u64,
        length: u64,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let total = if length == 0 { String::new() } else { format!(" of {}", clock(length)) };
        let text = format!("{name}  {}{total}", clock(position));
        match self {
            Self::Bar(bar) => {
                let share = position.saturating_mul(1000).checked_div(length).unwrap_or(0);
                bar.set_position(share.min(1000));
                bar.set_message(text);
            }
            Self::Lines { next } if Instant::now() >= *next => {
                *next = Instant::now() + LINE_INTERVAL;
                writeln!(out, "{text}")?;
                out.flush()?;
            }
            Self::Lines { .. } | Self::Quiet => {}
        }
        Ok(())
    }

    /// Removes the bar.
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
    fn the_template_is_valid() {
        super::style().expect("a style");
    }
}
