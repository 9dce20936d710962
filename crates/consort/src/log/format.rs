//! The format of log lines.
//!
//! A one-shot command prints `error: …`, `warning: …` and plain information. The log lines of a
//! running show begin with the time, the level and the instance:
//! `13:20:15 WARN  lamp: waiting: …`.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::limit::{LeftOut, Limits};
use super::time::time_of_day;
use crate::text::{counted, is_unsafe};

/// Whether a show runs, so that log lines have its format.
static SHOW_HAS_BEGUN: AtomicBool = AtomicBool::new(false);

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// `error: …`, `warning: …`: a command without a running show.
    Command,
    /// Time, level and instance first: a running show.
    Show,
}

impl LineFormat {
    /// The format of the lines that are logged now.
    pub(super) fn current() -> Self {
        if SHOW_HAS_BEGUN.load(Ordering::Relaxed) { LineFormat::Show } else { LineFormat::Command }
    }
}

/// Switches to the format for a running show.
pub(crate) fn begin_show() {
    SHOW_HAS_BEGUN.store(true, Ordering::Relaxed);
}

/// The line that reports how many lines did not reach standard error.
pub(super) fn lost_lines(format: LineFormat, count: u64) -> String {
    let lines = counted(count, "log line");
    match format {
        LineFormat::Command => format!("warning: {lines} lost here\n"),
        LineFormat::Show => format!("{} WARN  {lines} lost here\n", time_of_day()),
    }
}

/// Formats events as lines; the function returns the format.
pub(super) struct LineFormatter(pub(super) fn() -> LineFormat);

/// How many lines of each kind a show has logged.
static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// The lines about lines that were left out and have not been reported, at the end of the program.
pub(super) fn left_out_lines() -> String {
    let line =
        |left: LeftOut| format!("{} WARN  {}: {}\n", time_of_day(), left.instance, left.text);
    LIMITS.take_all().into_iter().map(line).collect()
}

impl<S, N> FormatEvent<S, N> for LineFormatter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let paint = Paint(writer.has_ansi_escapes());
        let level = *event.metadata().level();
        let mut line = match (self.0)() {
            LineFormat::Show => {
                let (is_logged, left_out) =
                    LIMITS.admit(event.metadata(), &fields.instance, Instant::now());
                for LeftOut { instance, text } in left_out {
                    let warning = paint.level(Level::WARN, "WARN ");
                    let colon = if instance.is_empty() { "" } else { ": " };
                    writeln!(
                        writer,
                        "{} {warning} {}{colon}{text}",
                        paint.dim(&time_of_day()),
                        paint.bold(&instance)
                    )?;
                }
                if !is_logged {
                    return Ok(());
                }
                let name = format!("{:<5}", level.as_str());
                format!("{} {} ", paint.dim(&time_of_day()), paint.level(level, &name))
            }
            LineFormat::Command => match level {
                Level::INFO => String::new(),
                level => format!("{}: ", paint.level(level, level_label(level))),
            },
        };
        if !fields.instance.is_empty() {
            line += &paint.bold(&format!("{}:", fields.instance));
            line.push(' ');
        }
        line += &fields.message;
        line += &fields.others;
        if !fields.hint.is_empty() {
            line += &format!("\n{}: {}", paint.hint("hint"), fields.hint);
        }
        writeln!(writer, "{line}")
    }
}

/// The word before the message of a one-shot command.
fn level_label(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of an event, free of characters that control a terminal.
#[derive(Default)]
struct Fields {
    message: String,
    instance: String,
    hint: String,
    /// All other fields: ` name=value`.
    others: String,
}

impl Fields {
    fn record(&mut self, field: &Field, value: &str, debug: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = escaped(value),
            "instance" => self.instance = escaped(value),
            "hint" => self.hint = escaped(value),
            name => self.others += &escaped(&format!(" {name}={debug:?}")),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, &format!("{value:?}"), value);
    }
}

/// Messages contain text from the network, which must neither control the terminal nor look like
/// other lines: what can begin a control sequence or change the direction of the text is escaped,
/// and further lines, such as those of a traceback, are indented. Tabs stay.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\n    "),
            '\t' => safe.push(character),
            _ if is_unsafe(character) => {
                let _ = write!(safe, "\\x{:02x}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}

/// Adds ANSI colours to text, if the field is set.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn hint(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    fn level(self, level: Level, text: &str) -> String {
        match level {
            Level::ERROR => self.paint("1;31", text),
            Level::WARN => self.paint("1;33", text),
            Level::INFO => self.paint("32", text),
            _ => self.paint("2", text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// A writer whose clones append to the same bytes.
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that the events of `log` produce.
    fn logged(format: fn() -> LineFormat, is_coloured: bool, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let output = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(is_coloured)
            .event_format(LineFormatter(format))
            .with_writer(move || output.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_command_prints_errors_warnings_and_hints_without_time() {
        let text = logged(
            || LineFormat::Command,
            false,
            || {
                tracing::error!(hint = Some("did you mean `b`?"), "unknown port `a`");
                tracing::error!(hint = None::<&str>, "cannot read song.mid");
                tracing::warn!(instance = "lamp", "waiting: no such host");
                tracing::info!("listening to 3 ports");
                tracing::debug!("polled");
            },
        );
        let expected = "error: unknown port `a`\nhint: did you mean `b`?\n\
                        error: cannot read song.mid\nwarning: lamp: waiting: no such host\n\
                        listening to 3 ports\ndebug: polled\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_show_logs_time_level_and_instance_first() {
        let text = logged(
            || LineFormat::Show,
            false,
            || {
                tracing::warn!(instance = "lamp", "waiting: no such host");
                tracing::info!(instance = %"pads", count = 3, "up");
                tracing::error!(instance = "script", "Traceback:\n  line 1");
                tracing::info!("stopping");
            },
        );
        let without_time: Vec<&str> =
            text.lines().map(|line| line.get(8..).unwrap_or(line)).collect();
        let expected = [
            " WARN  lamp: waiting: no such host",
            " INFO  pads: up count=3",
            " ERROR script: Traceback:",
            "ne 1",
            " INFO  stopping",
        ];
        assert_eq!(without_time, expected, "{text}");
    }

    #[test]
    fn colours_are_optional_and_control_characters_are_always_escaped() {
        let log = || tracing::warn!(instance = "a", "clear \u{1b}[2J\u{7}");
        let text = logged(|| LineFormat::Command, true, log);
        assert_eq!(
            text,
            "\u{1b}[1;33mwarning\u{1b}[0m: \u{1b}[1ma:\u{1b}[0m clear \\x1b[2J\\x07\n"
        );
        let text = logged(|| LineFormat::Command, false, log);
        assert_eq!(text, "warning: a: clear \\x1b[2J\\x07\n");
        let forged = "/a\r\n12:00:00 ERROR \u{202e}x\0";
        let text = logged(|| LineFormat::Command, false, || tracing::warn!("{forged}"));
        assert_eq!(text, "warning: /a\\x0d\n    12:00:00 ERROR \\x202ex\\x00\n");
    }
}
