//! `consort learn`: prints the channels that an instance receives, ready to paste into `[map]`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_router::config::{self, written};
use consort_router::{Router, State};

use crate::cli::LearnArgs;
use crate::errors::with_hint;
use crate::text::{counted, is_unsafe};
use crate::{diagnostics, log, signals};

/// How many channels are recorded; a flood of new ones must not fill the memory.
const MAX_CHANNELS: usize = 10_000;

/// The values that a channel has received.
struct ValueRange {
    count: u64,
    lowest: f64,
    highest: f64,
}

/// The unmatched channels that an instance has received.
#[derive(Default)]
struct Received {
    /// Specifications, in the order in which they first arrived.
    order: Vec<String>,
    channels: HashMap<String, ValueRange>,
    /// Whether channels were left out.
    is_full: bool,
}

impl Received {
    /// Records a value and returns whether its channel is new.
    fn record(&mut self, specification: &str, value: f64) -> bool {
        if let Some(range) = self.channels.get_mut(specification) {
            range.count += 1;
            range.lowest = range.lowest.min(value);
            range.highest = range.highest.max(value);
            return false;
        }
        if self.order.len() >= MAX_CHANNELS {
            self.is_full = true;
            return false;
        }
        let range = ValueRange { count: 1, lowest: value, highest: value };
        self.channels.insert(specification.to_owned(), range);
        self.order.push(specification.to_owned());
        true
    }
}

/// Runs the show and prints what an instance receives.
pub(crate) fn run(arguments: &LearnArgs) -> anyhow::Result<ExitCode> {
    let loaded = config::load(&arguments.file, &arguments.overrides(), BACKENDS);
    diagnostics::print(&loaded);
    let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
    let name = arguments.name.as_str();
    if !show.instances.iter().any(|instance| instance.name == name) {
        let names = show.instances.iter().map(|instance| instance.name.as_str());
        let hint = consort_suggest::did_you_mean_or_list(name, "instances", names);
        return Err(with_hint(
            format!("unknown instance `{name}` in {}", arguments.file.display()),
            hint,
        ));
    }
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone())?;
    let Some(wanted) = handle.live().find_instance(name) else { return Ok(ExitCode::FAILURE) };
    let received = Rc::new(RefCell::new(Received::default()));
    let (observed, instance) = (Rc::clone(&received), name.to_owned());
    router.observe_unmatched(Box::new(move |from, specification, input| {
        let value = input.value.unwrap_or(0.0);
        // The text may come from the network, and goes to a terminal and into a configuration:
        // channels that cannot be written there are left out.
        let Some(channel) = written(specification).filter(|_| from == wanted) else { return };
        if channel.contains(is_unsafe) {
            return;
        }
        if observed.borrow_mut().record(&channel, value) {
            print(&format!("{instance}.{channel}    {value:.3}\n"));
        }
    }));
    print(&format!("Move every control on `{name}`; press Ctrl-C when you are done.\n"));
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    log::begin_show();
    router.start();
    while !router.is_stop_asked() {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        router.step(left)?;
    }
    let state = handle.live().state(wanted);
    router.finish()?;
    print(&report(name, &received.borrow(), &state));
    Ok(ExitCode::SUCCESS)
}

/// The lines for `[map]`, or why there are none.
fn report(name: &str, received: &Received, state: &State) -> String {
    if received.order.is_empty() {
        let reason =
            state.reason().map(|reason| format!(" The instance is {}: {reason}.", state.word()));
        let reason = reason.unwrap_or_default();
        return format!("\n`{name}` received no unmatched input.{reason}\n");
    }
    let mut text = String::from("\nFor [map]; replace TARGET with your targets:\n\n");
    for specification in &received.order {
        let range = &received.channels[specification];
        text.push_str(&format!(
            "; {} from {:.3} to {:.3}\n{name}.{specification} > TARGET\n",
            counted(range.count, "value"),
            range.lowest,
            range.highest
        ));
    }
    if received.is_full {
        text.push_str(&format!("; more than {MAX_CHANNELS} channels; the others are left out\n"));
    }
    text
}

fn print(text: &str) {
    let mut out = io::stdout().lock();
    // If standard output is closed, nobody reads the text: no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_values_and_gives_reasons() {
        let mut received = Received::default();
        assert!(received.record("/a", 0.5) && !received.record("/a", 0.25));
        assert!(received.record("/b", 1.0));
        let text = report("tablet", &received, &State::Up);
        assert!(text.contains("; 2 values from 0.250 to 0.500\ntablet./a > TARGET\n"), "{text}");
        assert!(text.contains("; 1 value from 1.000 to 1.000\ntablet./b > TARGET\n"), "{text}");
    }
}
