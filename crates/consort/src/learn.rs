//! `consort learn`: what instances receive, as lines for the configuration. Attaches to the show
//! if it runs, and runs it otherwise.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_control::{InputReading, Layout, UnmatchedReading};
use consort_router::config::edit::{Editor, Section};
use consort_router::config::{self, Show};
use consort_router::{Handle, Router};

use crate::cli::LearnArgs;
use crate::errors::with_hint;
use crate::monitor::{self, Local, Source};
use crate::text::{counted, is_unsafe, printable};
use crate::{diagnostics, log, signals};

/// How many channels of an instance are recorded; a flood of new ones must not fill the memory.
const MAX_CHANNELS: usize = 10_000;

/// The time between two readings of the show.
const INTERVAL: Duration = Duration::from_millis(100);

/// What one channel has received since the beginning.
#[derive(Clone, Debug, Default, PartialEq)]
struct Learned {
    channel: String,
    types: String,
    raw: String,
    /// The lowest and highest raw number.
    range: Option<(f64, f64)>,
    /// The raw numbers that are scaled to 0 and 1, if the channel is mapped.
    expected: Option<(f64, f64)>,
    is_mapped: bool,
    count: u64,
}

/// What one instance has received.
#[derive(Default)]
struct InstanceRecord {
    name: String,
    backend: String,
    learned: Vec<Learned>,
    /// Counts at the beginning, by channel and sender.
    before: HashMap<(String, String), u64>,
    /// The same of mapped channels.
    values_before: Vec<u64>,
    reason: String,
}

/// Learns until Ctrl-C or the end of the time.
pub(crate) fn run(arguments: &LearnArgs) -> anyhow::Result<ExitCode> {
    if arguments.target.is_some() && !arguments.write {
        anyhow::bail!("`--to` needs `--write`");
    }
    let has_quit = signals::flag_on_signals()?;
    let records = match monitor::running_file(&arguments.file)? {
        Some(mut show) => {
            notice(&format!("Attached to {}.\n", arguments.file.display()));
            learn(&mut show, arguments, &has_quit)?
        }
        None => {
            let loaded = config::load(&arguments.file, &arguments.overrides(), BACKENDS);
            diagnostics::print(&loaded);
            let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
            let (handle, router) = start(show)?;
            let mut show = Local::new(handle.clone(), arguments.file.display().to_string());
            let learned = learn(&mut show, arguments, &has_quit);
            handle.stop();
            if router.join().is_err() {
                anyhow::bail!("the show ended by a fault of the program");
            }
            learned?
        }
    };
    print(&report(&records));
    if arguments.write {
        write(arguments, &records)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a show on a thread of its own.
fn start(show: Show) -> anyhow::Result<(Handle, JoinHandle<()>)> {
    let (sender, started) = sync_channel(1);
    let router = std::thread::Builder::new().name("router".into()).spawn(move || {
        let mut router = match Router::new(show) {
            Ok(router) => router,
            Err(error) => return drop(sender.send(Err(error))),
        };
        log::begin_show();
        // The receiver waits for this.
        let _ = sender.send(Ok(router.handle()));
        if let Err(error) = router.run() {
            tracing::error!("{error}");
        }
    })?;
    Ok((started.recv()??, router))
}

/// Reads the show until the end.
fn learn(
    show: &mut dyn Source,
    arguments: &LearnArgs,
    has_quit: &AtomicBool,
) -> anyhow::Result<Vec<InstanceRecord>> {
    let mut layout = show.layout()?;
    let mut records = records(&layout, arguments)?;
    let what = match &arguments.name {
        Some(name) => format!("`{name}`"),
        None => "every instance".to_owned(),
    };
    notice(&format!("Move every control on {what}; press Ctrl-C when you are done.\n"));
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut is_first = true;
    loop {
        let is_last =
            has_quit.load(Ordering::Acquire) || end.is_some_and(|end| Instant::now() >= end);
        match update(show, &layout, &mut records, is_first) {
            Ok(true) => is_first = false,
            // The show was reloaded: what was learned stays, and counts begin again.
            Ok(false) => {
                layout = show.layout()?;
                is_first = true;
            }
            Err(error) if records.iter().all(|record| record.learned.is_empty()) => {
                return Err(error);
            }
            // The show has ended; what was learned is printed.
            Err(_) => return Ok(records),
        }
        if is_last {
            return Ok(records);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// A record for each instance that is learned.
fn records(layout: &Layout, arguments: &LearnArgs) -> anyhow::Result<Vec<InstanceRecord>> {
    let instances = layout.instances.iter();
    let records: Vec<InstanceRecord> = instances
        .filter(|instance| arguments.name.as_ref().is_none_or(|name| *name == instance.name))
        .map(|instance| InstanceRecord {
            name: instance.name.clone(),
            backend: instance.backend.clone(),
            ..InstanceRecord::default()
        })
        .collect();
    if let (true, Some(name)) = (records.is_empty(), &arguments.name) {
        let names = layout.instances.iter().map(|instance| instance.name.as_str());
        let hint = consort_suggest::did_you_mean_or_list(name, "instances", names);
        let message = format!("unknown instance `{name}` in {}", arguments.file.display());
        return Err(with_hint(message, hint));
    }
    Ok(records)
}

/// Reads what has arrived. Returns false if the show was reloaded.
fn update(
    show: &mut dyn Source,
    layout: &Layout,
    records: &mut [InstanceRecord],
    is_first: bool,
) -> anyhow::Result<bool> {
    let Some(reading) = show.read(u64::MAX)? else { return Ok(false) };
    let mut values = reading.values.into_iter();
    for (number, instance) in layout.instances.iter().enumerate() {
        let values: Vec<(f64, u64)> = values.by_ref().take(instance.channels.len()).collect();
        let Some(record) = records.iter_mut().find(|record| record.name == instance.name) else {
            continue;
        };
        if let Some(state) = reading.instances.get(number) {
            let reason = state.reason.as_ref();
            record.reason = reason
                .map(|reason| format!(" The instance is {}: {reason}.", state.state))
                .unwrap_or_default();
        }
        let own = show.own().is_some();
        for input in show.unmatched(number as u32)? {
            record.unmatched(input, is_first && !own);
        }
        if is_first {
            // A show that was started here has received nothing before.
            record.values_before =
                values.iter().map(|&(_, count)| if own { 0 } else { count }).collect();
        }
        let has_moved = |channel: usize| {
            instance.channels[channel].source
                && values[channel].1 > record.values_before.get(channel).copied().unwrap_or(0)
        };
        let moved: Vec<usize> = (0..values.len()).filter(|&channel| has_moved(channel)).collect();
        let Some(&first) = moved.first() else { continue };
        let inputs = show.inputs(number as u32, first as u32)?;
        for channel in moved {
            let input = inputs.iter().find(|input| input.channel as usize == channel);
            let count = values[channel].1 - record.values_before.get(channel).copied().unwrap_or(0);
            record.mapped(&instance.channels[channel].name, values[channel].0, count, input);
        }
    }
    Ok(true)
}

impl InstanceRecord {
    /// Takes an unmatched input; the first time of a show that was running before, only its count.
    fn unmatched(&mut self, input: UnmatchedReading, is_before: bool) {
        // The text comes from the network, and goes to a terminal and into a configuration: channels
        // that cannot be written there are left out.
        if input.channel.contains(is_unsafe) || self.learned.len() >= MAX_CHANNELS {
            return;
        }
        let key = (input.channel.clone(), input.sender.clone());
        if is_before {
            self.before.insert(key, input.count);
            return;
        }
        let before = self.before.get(&key).copied().unwrap_or(0);
        if input.count <= before {
            return;
        }
        self.take(Learned {
            channel: input.channel,
            types: input.types,
            raw: input.raw,
            range: input.range,
            expected: None,
            is_mapped: false,
            count: input.count - before,
        });
    }

    /// Takes a value of a mapped channel.
    fn mapped(&mut self, channel: &str, value: f64, count: u64, input: Option<&InputReading>) {
        self.take(Learned {
            channel: channel.to_owned(),
            types: input.map(|input| input.types.clone()).unwrap_or_default(),
            raw: input.map_or_else(|| format!("{value:.3}"), |input| input.raw.clone()),
            range: input.and_then(|input| input.range),
            expected: input.and_then(|input| input.expected),
            is_mapped: true,
            count,
        });
    }

    /// Adds or updates a channel, and prints it if it is new.
    fn take(&mut self, learned: Learned) {
        match self.learned.iter_mut().find(|known| known.channel == learned.channel) {
            Some(known) => *known = learned,
            None => {
                let value = printable(&format!("{} {}", learned.types, learned.raw));
                let mark = if learned.is_mapped { "  (mapped)" } else { "" };
                notice(&format!("{}.{}    {}{mark}\n", self.name, learned.channel, value.trim()));
                self.learned.push(learned);
            }
        }
    }

    /// The channels that have moved: of DMX, a level that was always the same is left out.
    fn moved(&self) -> impl Iterator<Item = &Learned> {
        let is_dmx = matches!(self.backend.as_str(), "artnet" | "ola" | "sacn");
        self.learned.iter().filter(move |learned| {
            !is_dmx || learned.is_mapped || learned.range.is_none_or(|(low, high)| low != high)
        })
    }

    /// The options that the numbers need: `/raw` and `f 0 127`.
    fn options(&self) -> Vec<(String, String)> {
        let mut options: Vec<(String, String)> = Vec::new();
        if self.backend != "osc" {
            return options;
        }
        for learned in self.moved() {
            let Some((low, high)) = learned.range else { continue };
            let first = learned.types.chars().next().unwrap_or('f');
            let (bottom, top) =
                learned.expected.unwrap_or_else(|| monitor::usual_range(&learned.types));
            let is_whole = matches!(first, 'i' | 'h');
            let fits = low >= bottom && high <= top;
            // A few of 256 steps are rather the numbers of a MIDI controller or of a switch.
            if fits && !(is_whole && !learned.is_mapped && high <= 127.0) {
                continue;
            }
            let address = learned.channel.trim_matches('"');
            let address = address.rsplit_once(':').map_or(address, |(address, _)| address);
            if learned.types.len() == 1 && !options.iter().any(|(name, _)| name == address) {
                let range = monitor::suggested_range(&learned.types, low, high);
                options.push((address.to_owned(), range));
            }
        }
        options
    }
}

/// The lines for the configuration, or why there are none.
fn report(records: &[InstanceRecord]) -> String {
    let mut text = String::new();
    for record in records {
        let options = record.options();
        if !options.is_empty() {
            let _ = writeln!(text, "\n; for [{} {}]", record.backend, record.name);
            for (name, value) in options {
                let _ = writeln!(text, "{name} = {value}");
            }
        }
    }
    let mut has_heading = false;
    for record in records {
        for learned in record.moved() {
            if !has_heading {
                text.push_str("\n; for [map]; replace TARGET with your targets\n");
                has_heading = true;
            }
            let range = match learned.range {
                Some((low, high)) if low != high => {
                    format!("{} from {low} to {high}", learned.types)
                }
                _ => format!("{} {}", learned.types, learned.raw).trim().to_owned(),
            };
            let name = format!("{}.{}", record.name, learned.channel);
            let _ = match learned.is_mapped {
                true => {
                    writeln!(text, "; mapped: {name}, {}, {range}", counted(learned.count, "value"))
                }
                false => {
                    let count = counted(learned.count, "value");
                    writeln!(text, "; {count}, {range}\n{name} > TARGET")
                }
            };
        }
    }
    if text.is_empty() {
        for record in records {
            let _ =
                writeln!(text, "; `{}` received nothing that moved.{}", record.name, record.reason);
        }
    }
    text
}

/// Writes the options, and with `--to` the mappings, into the file; prints the changes.
fn write(arguments: &LearnArgs, records: &[InstanceRecord]) -> anyhow::Result<()> {
    let mut editor = Editor::open(&arguments.file)?;
    for record in records {
        let section = Section::instance(record.name.as_str());
        for (name, value) in record.options() {
            editor.set_option(&section, &name, &value)?;
        }
        let Some(target) = &arguments.target else { continue };
        for learned in record.moved().filter(|learned| !learned.is_mapped) {
            let source = format!("{}.{}", record.name, learned.channel);
            // An instance alone stands for the channel of the same name.
            let target = match target.contains('.') {
                true => target.clone(),
                false => format!("{target}.{}", learned.channel),
            };
            editor.add_mapping(&format!("{source} > {target}"))?;
        }
    }
    if !editor.is_changed() {
        notice("Nothing to write.\n");
        return Ok(());
    }
    let checked = editor.check(&arguments.overrides(), BACKENDS);
    if checked.show.is_none() {
        diagnostics::print(&checked);
        anyhow::bail!("{} was not changed: the result would have errors", arguments.file.display());
    }
    print(&format!("\n{}", editor.diff()));
    editor.save()?;
    notice(&format!("Wrote {}.\n", arguments.file.display()));
    Ok(())
}

/// Prints the result, which can be piped.
fn print(text: &str) {
    write_to(&mut io::stdout().lock(), text);
}

/// Prints what is for the person at the terminal.
fn notice(text: &str) {
    write_to(&mut io::stderr().lock(), text);
}

fn write_to(out: &mut impl io::Write, text: &str) {
    // If the output is closed, nobody reads the text: no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(
        channel: &str,
        types: &str,
        range: Option<(f64, f64)>,
        count: u64,
    ) -> UnmatchedReading {
        UnmatchedReading {
            channel: channel.into(),
            types: types.into(),
            raw: range.map_or_else(|| "\"hello\"".to_owned(), |(_, high)| high.to_string()),
            range,
            count,
            ..UnmatchedReading::default()
        }
    }

    fn record(backend: &str) -> InstanceRecord {
        InstanceRecord { name: "t".into(), backend: backend.into(), ..InstanceRecord::default() }
    }

    #[test]
    fn a_report_has_options_and_mappings_and_counts() {
        let mut record = record("osc");
        record.unmatched(input("/raw", "f", Some((0.0, 127.0)), 3), false);
        record.unmatched(input("/lvl", "f", Some((-20.5, -20.5)), 1), false);
        record.unmatched(input("/txt", "s", None, 1), false);
        record.mapped("/mapped", 0.2, 2, None);
        assert_eq!(
            report(&[record]),
            "\n; for [osc t]\n/raw = f 0 127\n/lvl = f -100 0\n\n\
             ; for [map]; replace TARGET with your targets\n\
             ; 3 values, f from 0 to 127\nt./raw > TARGET\n\
             ; 1 value, f -20.5\nt./lvl > TARGET\n\
             ; 1 value, s \"hello\"\nt./txt > TARGET\n\
             ; mapped: t./mapped, 2 values, 0.200\n"
        );
    }

    #[test]
    fn what_did_not_move_is_left_out() {
        let mut record = record("artnet");
        record.unmatched(input("1", "", Some((0.0, 255.0)), 9), false);
        record.unmatched(input("2", "", Some((7.0, 7.0)), 1), false);
        let text = report(&[record]);
        assert!(text.contains("t.1 > TARGET") && !text.contains("t.2 > TARGET"), "{text}");
    }

    #[test]
    fn what_arrived_before_is_left_out() {
        let mut record = record("osc");
        record.unmatched(input("/old", "f", Some((0.0, 1.0)), 9), true);
        record.unmatched(input("/old", "f", Some((0.0, 1.0)), 9), false);
        assert!(report(&[record]).contains("received nothing that moved"));
    }
}
