//! Unified diffs of edited files.

use std::path::Path;

/// A unified diff with three lines of context.
pub(super) fn unified(path: &Path, before: &str, after: &str) -> String {
    let name = path.display().to_string();
    similar::TextDiff::from_lines(before, after).unified_diff().header(&name, &name).to_string()
}
