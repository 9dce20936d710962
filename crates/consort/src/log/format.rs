//! The form of log lines.
//!
//! A command that only does its work prints `error: …`, `warning: …` and plain information. Once
//! a show runs, lines say when something happened and to which instance:
//! `13:20:15 WARN  lamp: waiting: …`.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::time::time_of_day;
use crate::text::counted;

static IS_SHOW: AtomicBool = AtomicBool::new(false);

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `error: …`, `warning: …`: a command without a running show.
    Command,
    /// Time, level and instance first: a running show.
    Show,
}

impl Form {
    /// The form of lines that are logged now.
    pub(super) fn current() -> Self {
        if IS_SHOW.load(Ordering::Relaxed) { Form::Show } else { Form::Command }
    }
}

/// From now on lines have the form for a running show.
pub(crate) fn begin_show() {
    IS_SHOW.store(true, Ordering::Relaxed);
}

/// The line that reports how many lines did not reach standard error.
pub(super) fn lost_lines(form: Form, count: u64) -> String {
    let lines = counted(count, "log line");
    match form {
        Form::Command => format!("warning: {lines} lost here\n"),
        Form::Show => format!("{} WARN  {lines} lost here\n", time_of_day()),
    }
}

/// Formats events as lines; the function gives the form.
pub(super) struct Lines(pub(super) fn() -> Form);

impl<S, N> FormatEvent<S, N> for Lines
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
            Form::Show => {
                let name = format!("{:<5}", level.as_str());
                format!("{} {} ", paint.dim(&time_of_day()), paint.level(level, &name))
            }
            Form::Command => match level {
                Level::INFO => String::new(),
                level => format!("{}: ", paint.level(level, word(level))),
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

/// The word in front of a command's message.
fn word(level: Level) -> &'static str {
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

/// Messages contain text from the network, which must not control the terminal: what can begin
/// a control sequence is escaped. Line breaks and tabs stay.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            _ if character.is_control() => {
                let _ = write!(safe, "\\x{:02x}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}

/// Colours text, if that is wanted.
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

    /// What these events look like.
    fn logged(form: fn() -> Form, is_coloured: bool, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let output = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(is_coloured)
            .event_format(Lines(form))
            .with_writer(move || output.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_command_prints_errors_warnings_and_hints_without_time() {
        let text = logged(
            || Form::Command,
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
            || Form::Show,
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
            "",
            " INFO  stopping",
        ];
        assert_eq!(without_time, expected, "{text}");
    }

    #[test]
    fn colours_are_for_terminals_and_control_characters_for_nobody() {
        let log = || tracing::warn!(instance = "a", "clear \u{1b}[2J\u{7}");
        let text = logged(|| Form::Command, true, log);
        assert_eq!(
            text,
            "\u{1b}[1;33mwarning\u{1b}[0m: \u{1b}[1ma:\u{1b}[0m clear \\x1b[2J\\x07\n"
        );
        let text = logged(|| Form::Command, false, log);
        assert_eq!(text, "warning: a: clear \\x1b[2J\\x07\n");
    }
}
