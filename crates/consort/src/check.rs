//! `consort check`: reports all errors of a configuration without running it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use consort_backends::BACKENDS;
use consort_router::config;

use crate::cli::{CheckArgs, CheckFormat};
use crate::diagnostics;
use crate::json::{Counts, Document};
use crate::text::counted;

/// Checks configurations. The exit status is 1 if one of them has errors, or warnings with
/// `--strict`, and 0 otherwise.
pub(crate) fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let overrides = arguments.overrides();
    let mut out = String::new();
    let mut document = Document::new();
    let mut is_ok = true;
    for file in &arguments.files {
        let loaded = config::load(file, &overrides, BACKENDS);
        let is_strictly_ok = loaded.diagnostics.is_empty() && loaded.suppressed == 0;
        is_ok &= loaded.is_ok() && (is_strictly_ok || !arguments.strict);
        let name = file.display().to_string();
        if arguments.format == CheckFormat::Json {
            document.add(name, &loaded);
            continue;
        }
        diagnostics::print(&loaded);
        if let Some(counts) = Counts::of(&loaded).filter(|_| loaded.is_ok()) {
            writeln!(
                out,
                "{name}: fine, {}, {}, {}",
                counted(counts.instances as u64, "instance"),
                counted(counts.channels as u64, "channel"),
                counted(counts.mappings as u64, "mapping")
            )?;
        }
    }
    if arguments.format == CheckFormat::Json {
        out = document.render()?;
        out.push('\n');
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
