//! Bodies of fuzz targets, which the tests run on the committed corpus.

use super::{Files, Loaded, Override, SourceId, Sources, Span, load_from};
use crate::backend::BackendDescriptor;

/// Loads `bytes` as a configuration and looks at what is said of it. The bytes are split at
/// the byte 0x1E: the first part is `show.cfg`, the second `other.cfg`, and each later one an
/// override (`-i`, or `-b` when it begins with an exclamation mark).
///
/// # Panics
/// When a diagnostic points outside its text.
pub fn config(bytes: &[u8], registry: &[&BackendDescriptor]) {
    let mut parts = bytes.split(|&byte| byte == 0x1E);
    let mut next = || parts.next().unwrap_or_default().to_vec();
    let files = [("show.cfg".into(), next()), ("other.cfg".into(), next())];
    let mut overrides = Vec::new();
    for part in parts {
        let text = String::from_utf8_lossy(part);
        overrides.push(match text.strip_prefix('!') {
            Some(text) => Override::backend(text),
            None => Override::instance(text),
        });
    }
    let files = Files::Memory(files.into());
    inspect(&load_from(&files, std::path::Path::new("show.cfg"), &overrides, registry));
}

/// Looks at everything that a diagnostic points to.
///
/// # Panics
/// When that is outside of its text.
pub fn inspect(loaded: &Loaded) {
    for diagnostic in &loaded.diagnostics {
        assert!(!diagnostic.message.contains(char::is_control), "{diagnostic:?}");
        for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
            check(&loaded.sources, label.span.source, label.span);
        }
    }
    let is_clean = loaded.diagnostics.iter().all(|it| it.severity == super::Severity::Warning);
    assert!(loaded.show.is_some() == is_clean || loaded.suppressed > 0, "a show with errors");
}

fn check(sources: &Sources, source: SourceId, span: Span) {
    let source = sources.get(source);
    let bytes = span.start as usize..span.end as usize;
    assert!(source.text().get(bytes).is_some(), "{span:?} of {}", source.name());
    let position = source.position(span.start);
    let line = source.line(position.line).expect("a line for each position");
    assert!(line.start <= span.start as usize, "{span:?}: {position:?}");
}
