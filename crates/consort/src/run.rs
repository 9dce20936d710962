//! `consort run`: runs a show until it is stopped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use consort_backends::BACKENDS;
#[cfg(feature = "lua")]
use consort_backends::lua;
#[cfg(feature = "python")]
use consort_backends::python;
use consort_router::config::{self, Loaded};
use consort_router::{BackendDescriptor, Handle, InstanceId, Router, Stall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::RunArgs;
use crate::diagnostics;
use crate::errors::with_hint;
use crate::monitor::{Editing, Local, Server};
use crate::notify::Notifier;
use crate::reload::{self, Reloader};
use crate::text::{counted, losses};
use crate::{log, monitor, realtime, signals};

/// The configurations that are tried when none is given.
const DEFAULT_FILES: [&str; 2] = ["show.cfg", "monster.cfg"];

/// How long a turn of the event loop may take before it is reported.
const STALL_LIMIT: Duration = Duration::from_secs(1);

/// The wanted limit for open files, which the system may lower.
const MAX_OPEN_FILES: u64 = 65_536;

/// The backends that are connected to this command: the output of scripts is sent where the live view
/// cannot be overwritten, and control surfaces join the page.
const CONNECTED_BACKENDS: &[&BackendDescriptor] = &[
    #[cfg(feature = "lua")]
    &BackendDescriptor { create: || lua::backend(Box::new(log::Print)), ..lua::DESCRIPTOR },
    #[cfg(feature = "python")]
    &BackendDescriptor { create: || python::backend(Box::new(log::Print)), ..python::DESCRIPTOR },
    #[cfg(feature = "web")]
    &crate::web::SURFACE_BACKEND,
];

/// All backends, for a show that may have a live view and a page.
pub(crate) fn backends() -> Vec<&'static BackendDescriptor> {
    let connected = |name: &str| CONNECTED_BACKENDS.iter().find(|backend| backend.name == name);
    BACKENDS.iter().map(|&backend| connected(backend.name).copied().unwrap_or(backend)).collect()
}

/// Runs a show. The exit status is 0 after a clean stop, and 1 if it could not start.
pub(crate) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let file = file(arguments.file.as_deref())?;
    // Tokens and certificate are read before anything starts.
    #[cfg(feature = "web")]
    let page = arguments.web.page()?;
    let overrides = arguments.overrides();
    let loaded = config::load(&file, &overrides, &backends());
    diagnostics::print(&loaded);
    let Loaded { show, sources, .. } = loaded;
    let Some(show) = show else { return Ok(ExitCode::FAILURE) };
    raise_descriptor_limit();
    let mut router = Router::new(show)?;
    let handle = router.handle();
    let reloader = Reloader::new(handle.clone(), &file, overrides, &sources);
    signals::stop_on_signals(handle.clone(), Some(reloader.clone()))?;
    log::begin_show();
    let live = handle.live();
    let channels: usize =
        instances(&handle).into_iter().map(|instance| live.channel_infos(instance).len()).sum();
    tracing::info!(
        "{}: {}, {}; press Ctrl-C to stop",
        file.display(),
        counted(live.instance_count() as u64, "instance"),
        counted(channels as u64, "channel")
    );
    watch(&handle);
    if arguments.watch {
        reload::watch::start(reloader.clone(), handle.clone())
            .context("cannot start the thread that watches the show's files")?;
    }
    let local = Local::new(handle.clone(), file.display().to_string());
    let editing = Editing::new(&file, arguments.overrides());
    let local = local.with_reloader(reloader).with_files(editing);
    let server = serve(&local);
    #[cfg(feature = "web")]
    let page = page.and_then(|page| page.serve_own(&local));
    let view = if arguments.monitor { Some(monitor::start(local, None)?) } else { None };
    // Last, so that helper threads started above keep normal priority.
    if let Some(priority) = arguments.realtime {
        realtime::enter(priority);
    }
    let done = route(&mut router);
    drop(server);
    #[cfg(feature = "web")]
    drop(page);
    if let Some(view) = view
        && view.join().is_err()
    {
        tracing::error!("the live view crashed");
    }
    done?;
    log_summary(&handle);
    Ok(ExitCode::SUCCESS)
}

/// Raises the limit for open files: each socket needs one, each script several. The usual limit
/// of 1,024 protects programs that use select(2), see getrlimit(2), which this one does not.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MAX_OPEN_FILES, |maximum| maximum.min(MAX_OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // If the system refuses, the show runs with the old limit.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// Runs the router and notifies the service manager, if there is one.
fn route(router: &mut Router) -> anyhow::Result<()> {
    let Some(mut notifier) = Notifier::from_environment() else { return Ok(router.run()?) };
    router.start();
    notifier.notify("READY=1");
    while !router.is_stop_asked() {
        router.step(notifier.time_to_keep_alive())?;
        notifier.keep_alive();
    }
    notifier.notify("STOPPING=1");
    Ok(router.finish()?)
}

/// Starts the thread that reports when the event loop does not turn. A show also runs without it.
fn watch(handle: &Handle) {
    let handle = handle.clone();
    let report = |stall: Stall| match stall {
        Stall::Begun(Some(instance)) => tracing::error!(
            instance,
            "this instance has held the event loop for {STALL_LIMIT:?}: nothing is routed"
        ),
        Stall::Begun(None) => {
            tracing::error!("the event loop has not turned for {STALL_LIMIT:?}: nothing is routed");
        }
        Stall::Ended(time) => tracing::warn!("the event loop turns again after {time:.1?}"),
    };
    let thread = std::thread::Builder::new().name("watchdog".into());
    if let Err(error) = thread.spawn(move || handle.watch(STALL_LIMIT, report)) {
        tracing::warn!("cannot watch the event loop: {error}");
    }
}

/// Starts the control socket. A show also runs without it, so that a failure is only logged.
pub(crate) fn serve(show: &Local) -> Option<Server> {
    match Server::start(show.clone()) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("`consort monitor` cannot attach to this show: {error:#}");
            None
        }
    }
}

/// The configuration to run: the given one, or else the first of [`DEFAULT_FILES`] that exists.
fn file(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = named.or_else(|| DEFAULT_FILES.iter().map(Path::new).find(|file| file.exists()));
    found.map(Path::to_owned).ok_or_else(|| {
        let defaults = DEFAULT_FILES.join(" nor ");
        with_hint(
            format!("found neither {defaults} in this folder"),
            "give a configuration: `consort run FILE`",
        )
    })
}

/// All instances of a running show.
pub(crate) fn instances(handle: &Handle) -> Vec<InstanceId> {
    handle.live().instance_ids().collect()
}

/// Logs the counters of each instance.
fn log_summary(handle: &Handle) {
    let live = handle.live();
    for instance in instances(handle) {
        let counters = live.counters(instance);
        tracing::info!(
            instance = live.instance_name(instance),
            "{} in, {} out, {} dropped, {}{}",
            counters.incoming,
            counters.outgoing,
            counters.dropped,
            counted(counters.errors, "error"),
            losses(counters.lost, counters.refused)
        );
    }
}
