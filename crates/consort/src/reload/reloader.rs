//! Reloading the show of this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use consort_control::{DiagnosticReading, Rejected, ReloadRequest, Reloaded, Restarted};
use consort_router::config::{
    self, Diagnostic, Files, Loaded, Override, Severity, Source, Sources,
};
use consort_router::{Adoption, Handle, Reload};
use parking_lot::Mutex;

use crate::diagnostics;
use crate::json::{Place, place};
use crate::run::backends;
use crate::text::counted;

/// How many mappings, and how many names of instances, one line of the log has at most.
const MAX_LOGGED: usize = 8;

/// The texts of a configuration, by canonical path.
type Texts = BTreeMap<PathBuf, Vec<u8>>;

/// Reloads a show: with the same overrides as it was started with. Used on any thread but the
/// router's.
#[derive(Clone)]
pub(crate) struct Reloader {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle,
    file: PathBuf,
    overrides: Vec<Override>,
    /// Locked while a reload is carried out, so that another one is refused.
    history: Mutex<History>,
}

/// The configuration that runs, and the one before it.
struct History {
    current: Texts,
    before: Option<Texts>,
}

/// What became of a request.
pub(crate) enum Outcome {
    /// It was carried out, or its dry run.
    Reloaded(Reloaded),
    /// The configuration has errors: nothing was changed.
    Rejected(Rejected),
}

impl Reloader {
    /// For a show that was loaded from `file`.
    pub(crate) fn new(
        handle: Handle,
        file: &Path,
        overrides: Vec<Override>,
        sources: &Sources,
    ) -> Self {
        let history = History { current: texts(sources), before: None };
        let file = file.to_owned();
        let shared = Shared { handle, file, overrides, history: Mutex::new(history) };
        Reloader { shared: Arc::new(shared) }
    }

    /// The configuration file.
    pub(super) fn main_file(&self) -> PathBuf {
        canonical(&self.shared.file)
    }

    /// The files of the configuration that was loaded last, and those that scripts have loaded.
    pub(super) fn all_files(&self) -> Vec<PathBuf> {
        let live = self.shared.handle.live();
        let scripts = live.instance_ids().flat_map(|instance| live.files(instance));
        let configuration: Vec<PathBuf> =
            self.shared.history.lock().current.keys().cloned().collect();
        // As it was given, too: it may be a link to another file now.
        let main = std::iter::once(self.shared.file.clone());
        let mut files: Vec<PathBuf> =
            configuration.into_iter().chain(main).chain(scripts).collect();
        files.sort();
        files.dedup();
        files
    }

    /// Whether a file contains something else than what the show has loaded from it.
    pub(super) fn is_outdated(&self, path: &Path) -> bool {
        if let Some(loaded) = self.shared.history.lock().current.get(path) {
            let bytes = std::fs::read(path).unwrap_or_default();
            return String::from_utf8_lossy(&bytes).as_bytes() != loaded;
        }
        let live = self.shared.handle.live();
        live.instance_ids().any(|id| live.changed_file(id).is_some_and(|file| file == path))
    }

    /// Loads the configuration again and replaces that of the show. Blocks until the instances
    /// that go or restart have stopped, for 8 seconds at most.
    ///
    /// # Errors
    /// When another reload is in progress, when the show is ending, or when there is nothing to
    /// return to. Nothing was changed then.
    pub(crate) fn reload(&self, request: &ReloadRequest) -> anyhow::Result<Outcome> {
        let outcome = self.try_reload(request);
        match &outcome {
            Ok(Outcome::Reloaded(reloaded)) if !request.dry_run => log_reloaded(reloaded),
            Ok(Outcome::Rejected(rejected)) if !request.dry_run => log_rejected(rejected),
            Err(error) if !request.dry_run => tracing::error!("not reloaded: {error:#}"),
            _ => {}
        }
        outcome
    }

    fn try_reload(&self, request: &ReloadRequest) -> anyhow::Result<Outcome> {
        let Shared { handle, file, overrides, history } = &*self.shared;
        let mut history = history.try_lock().context("another reload is in progress; try again")?;
        if request.back && !request.texts.is_empty() {
            bail!("give either texts or `back`");
        }
        let files = if request.back {
            let before = history.before.as_ref();
            Files::Edited(before.context("the show has not been reloaded yet")?.clone())
        } else if request.texts.is_empty() {
            Files::Disk
        } else {
            let text = |text: &consort_control::FileText| {
                let path = Path::new(&text.path);
                (canonical(path), text.text.clone().into_bytes())
            };
            Files::Edited(request.texts.iter().map(text).collect())
        };
        let loaded = config::load_from(&files, file, overrides, &backends());
        let text = match loaded.diagnostics.is_empty() {
            true => String::new(),
            false => diagnostics::render(&loaded, false),
        };
        let readings = readings(&loaded);
        let Loaded { show, suppressed, sources, .. } = loaded;
        let Some(show) = show else {
            let rejected = Rejected { diagnostics: readings, not_listed: suppressed, text };
            return Ok(Outcome::Rejected(rejected));
        };
        let reload = Reload::new(show, handle);
        let reloaded = if request.dry_run {
            let adoption = handle.preview(reload)?;
            let generation = handle.live().generation();
            Reloaded { dry_run: true, generation, ..report(adoption) }
        } else {
            let done = handle.reload(reload)?;
            let before = std::mem::replace(&mut history.current, texts(&sources));
            history.before = Some(before);
            let pause_ms = done.pause.as_secs_f64() * 1_000.0;
            Reloaded { generation: done.generation, pause_ms, ..report(done.adoption) }
        };
        Ok(Outcome::Reloaded(Reloaded { diagnostics: readings, text, ..reloaded }))
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn texts(sources: &Sources) -> Texts {
    let files = sources.iter().filter(|source| source.name() != Sources::COMMAND_LINE);
    let text =
        |source: &Source| (canonical(Path::new(source.name())), source.text().as_bytes().to_vec());
    files.map(text).collect()
}

fn report(adoption: Adoption) -> Reloaded {
    let restarted = adoption.restarted.into_iter().zip(adoption.reasons);
    Reloaded {
        adopted: adoption.adopted,
        restarted: restarted.map(|(name, reason)| Restarted { name, reason }).collect(),
        opened: adoption.opened,
        closed: adoption.closed,
        added_mappings: adoption.added_mappings,
        removed_mappings: adoption.removed_mappings,
        ..Reloaded::default()
    }
}

fn readings(loaded: &Loaded) -> Vec<DiagnosticReading> {
    let reading = |diagnostic: &Diagnostic| {
        let reading = DiagnosticReading {
            severity: diagnostic.severity.word().to_owned(),
            code: diagnostic.code.to_owned(),
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            ..DiagnosticReading::default()
        };
        let Some(label) = &diagnostic.primary else { return reading };
        let Place { file, line, column, end_line, end_column, .. } = place(label, &loaded.sources);
        DiagnosticReading { file: Some(file), line, column, end_line, end_column, ..reading }
    };
    loaded.diagnostics.iter().map(reading).collect()
}

fn log_reloaded(reloaded: &Reloaded) {
    for warning in &reloaded.diagnostics {
        tracing::warn!("{}", line(warning));
    }
    tracing::info!("reloaded: {}", summary(reloaded));
    let mappings = |sign: &str, mappings: &[String]| {
        let listed: Vec<&str> = mappings.iter().take(MAX_LOGGED).map(String::as_str).collect();
        if !listed.is_empty() {
            let more = if mappings.len() > listed.len() { ", …" } else { "" };
            tracing::info!("{sign} {}{more}", listed.join(", "));
        }
    };
    mappings("new:", &reloaded.added_mappings);
    mappings("removed:", &reloaded.removed_mappings);
}

fn log_rejected(rejected: &Rejected) {
    let is_error = |reading: &&DiagnosticReading| reading.severity == Severity::Error.word();
    let errors: Vec<_> = rejected.diagnostics.iter().filter(is_error).collect();
    for error in errors.iter().take(MAX_LOGGED) {
        tracing::error!("{}", line(error));
    }
    let count = counted((errors.len() + rejected.not_listed) as u64, "error");
    tracing::error!("not reloaded: {count}; the show runs on unchanged");
}

/// A diagnostic in one line: `show.cfg:3:5: unknown option `x``.
fn line(reading: &DiagnosticReading) -> String {
    let hint = reading.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    match &reading.file {
        Some(file) => format!(
            "{}:{}:{}: {}{hint}",
            file.escape_debug(),
            reading.line,
            reading.column,
            reading.message
        ),
        None => format!("{}{hint}", reading.message),
    }
}

/// What a reload has changed, in one line.
fn summary(reloaded: &Reloaded) -> String {
    let named = |verb: &str, names: Vec<&str>| {
        let listed = names.iter().take(MAX_LOGGED).copied().collect::<Vec<_>>().join(", ");
        let more = if names.len() > MAX_LOGGED { ", …" } else { "" };
        (!names.is_empty()).then(|| format!("{} {verb} ({listed}{more})", names.len()))
    };
    fn all(names: &[String]) -> Vec<&str> {
        names.iter().map(String::as_str).collect()
    }
    let restarted = reloaded.restarted.iter().map(|restarted| restarted.name.as_str()).collect();
    let mappings = |count: usize, verb: &str| {
        (count > 0).then(|| format!("{} {verb}", counted(count as u64, "mapping")))
    };
    let parts = [
        (!reloaded.adopted.is_empty())
            .then(|| format!("{} kept", counted(reloaded.adopted.len() as u64, "instance"))),
        named("restarted", restarted),
        named("opened", all(&reloaded.opened)),
        named("closed", all(&reloaded.closed)),
        mappings(reloaded.added_mappings.len(), "added"),
        mappings(reloaded.removed_mappings.len(), "removed"),
        Some(format!("pause {:.2} ms", reloaded.pause_ms)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
