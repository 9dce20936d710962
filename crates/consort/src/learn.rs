//! `consort learn`: which channels come in at an instance, ready to be pasted into `[map]`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use consort_backends::BACKENDS;
use consort_router::{Router, State, config};

use crate::cli::LearnArgs;
use crate::{diagnostics, signals};

/// Specifications that are remembered; a flood of new ones must not fill the memory.
const LIMIT: usize = 10_000;

/// What has come in on a channel.
struct Heard {
    count: u64,
    lowest: f64,
    highest: f64,
}

#[derive(Default)]
struct Heards {
    order: Vec<String>,
    channels: HashMap<String, Heard>,
    is_full: bool,
}

impl Heards {
    /// Returns whether it is new.
    fn hear(&mut self, specification: &str, value: f64) -> bool {
        if let Some(heard) = self.channels.get_mut(specification) {
            heard.count += 1;
            heard.lowest = heard.lowest.min(value);
            heard.highest = heard.highest.max(value);
            return false;
        }
        if self.order.len() >= LIMIT {
            self.is_full = true;
            return false;
        }
        let heard = Heard { count: 1, lowest: value, highest: value };
        self.channels.insert(specification.to_owned(), heard);
        self.order.push(specification.to_owned());
        true
    }
}

/// Runs the show and prints what comes in.
pub(crate) fn run(arguments: &LearnArgs) -> anyhow::Result<ExitCode> {
    let loaded = config::load(&arguments.file, &arguments.overrides(), BACKENDS);
    diagnostics::print(&loaded);
    let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
    let name = arguments.name.as_str();
    if !show.instances.iter().any(|instance| instance.name == name) {
        let names: Vec<&str> = show.instances.iter().map(|it| it.name.as_str()).collect();
        let file = arguments.file.display();
        bail!("{file} has no instance `{name}`; it has: {}", names.join(", "));
    }
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone())?;
    let Some(wanted) = handle.live().find_instance(name) else { return Ok(ExitCode::FAILURE) };
    let heards = Rc::new(RefCell::new(Heards::default()));
    let (observed, instance) = (Rc::clone(&heards), name.to_owned());
    router.observe_unmapped(Box::new(move |from, specification, value| {
        // It may come from the network, and goes to a terminal.
        let is_plain = !specification.contains(char::is_control);
        if from == wanted && is_plain && observed.borrow_mut().hear(specification, value) {
            say(&format!("{instance}.{specification}    {value:.3}\n"));
        }
    }));
    say(&format!("Move everything on `{name}`; Ctrl-C when you are done.\n"));
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
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
    say(&report(name, &heards.borrow(), &state));
    Ok(ExitCode::SUCCESS)
}

fn report(name: &str, heards: &Heards, state: &State) -> String {
    if heards.order.is_empty() {
        let why = state.reason().map(|reason| format!(" It is {}: {reason}.", state.word()));
        let why = why.unwrap_or_default();
        return format!("\nNothing came in at `{name}` that is not mapped already.{why}\n");
    }
    let mut text = String::from("\nFor [map], with your targets in place of TARGET:\n\n");
    for specification in &heards.order {
        let heard = &heards.channels[specification];
        text.push_str(&format!(
            "; {} values from {:.3} to {:.3}\n{name}.{specification} > TARGET\n",
            heard.count, heard.lowest, heard.highest
        ));
    }
    if heards.is_full {
        text.push_str(&format!("; more than {LIMIT} channels came in; the others are left out\n"));
    }
    text
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Whoever closed the output does not want to read it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
