//! Logs: through `tracing` to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error, in colour where that is a terminal. `CONSORT_LOG` filters
/// them (`debug`, `consort_router=trace`, …); the default is `info`.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("CONSORT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .compact()
        .init();
}
