//! Captures the log in unit tests.

use std::sync::Arc;

use parking_lot::Mutex;

/// The lines that are logged on this thread until the guard is dropped.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: String) {
        self.0.lock().push(line);
    }

    /// How many lines contain all of these words.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        self.lines().iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

/// Formats the fields of a log event.
struct Text {
    fields: String,
    message: String,
}

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push_str(&format!(" {name}={value:?}")),
        }
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= tracing::Level::INFO
            && (target.starts_with("consort") || target == "detect")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text { fields: String::new(), message: String::new() };
        event.record(&mut text);
        self.add(format!("{} {}{}", event.metadata().level(), text.message, text.fields));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
