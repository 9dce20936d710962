//! SIGINT and SIGTERM end the show cleanly; a second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use consort_router::Handle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Listens on a thread of its own.
pub(crate) fn stop_on_signals(handle: Handle) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked {
                // Whoever asks twice does not want to wait for clean-up.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            asked = true;
            tracing::info!("stopping; once more to stop at once");
            handle.stop();
        }
    })?;
    Ok(())
}

/// A flag that SIGINT and SIGTERM set; a second signal ends the program at once.
pub(crate) fn flag_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // First the one that looks at the flag, then the one that sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}
