//! `consort run`: a show, until somebody stops it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use consort_backends::BACKENDS;
#[cfg(feature = "python")]
use consort_backends::python;
use consort_router::config::{self, Override, Show};
use consort_router::{BackendDescriptor, Handle, InstanceId, Router};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::RunArgs;
use crate::diagnostics::{self, counted};
use crate::monitor::{Local, Server};
use crate::notify::Notifier;
use crate::{monitor, realtime, signals};

/// The configuration that is run when none is named.
const DEFAULTS: [&str; 2] = ["show.cfg", "monster.cfg"];

/// Open files that a show may have, where the system allows as many.
const DESCRIPTORS: u64 = 65_536;

/// The backend whose scripts print, giving way to the live view.
#[cfg(feature = "python")]
static PYTHON: BackendDescriptor = BackendDescriptor {
    create: || python::backend(Box::new(crate::log::Print)),
    ..python::DESCRIPTOR
};

/// All backends, for a show that may have a live view.
pub(crate) fn backends() -> Vec<&'static BackendDescriptor> {
    let all = BACKENDS.iter().copied();
    #[cfg(feature = "python")]
    let all = all.map(|backend| if backend.name == PYTHON.name { &PYTHON } else { backend });
    all.collect()
}

/// Runs a show. Exit status 0 after a clean stop, 1 when it could not start.
pub(crate) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let file = file(arguments.file.as_deref())?;
    let Some(show) = load(&file, &arguments.overrides()) else { return Ok(ExitCode::FAILURE) };
    raise_descriptor_limit();
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone())?;
    let live = handle.live();
    let channels: usize =
        instances(&handle).map(|instance| live.channel_names(instance).len()).sum();
    tracing::info!(
        "{}: {}, {}; Ctrl-C stops the show",
        file.display(),
        counted(live.instance_count(), "instance"),
        counted(channels, "channel")
    );
    let local = Local::new(handle.clone(), file.display().to_string());
    let server = serve(&local);
    let view = if arguments.monitor { Some(monitor::start(local, None)?) } else { None };
    // Last, so that the helpers' threads stay at normal priority.
    if let Some(priority) = arguments.realtime {
        realtime::enter(priority);
    }
    let done = route(&mut router);
    drop(server);
    if let Some(view) = view
        && view.join().is_err()
    {
        tracing::error!("the live view broke");
    }
    done?;
    summary(&handle);
    Ok(ExitCode::SUCCESS)
}

/// Allows as many open files as the system lets: each socket is one, each script several. The
/// usual limit of 1,024 is for programs that wait with select(2), see getrlimit(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted) {
        // Refused, it is as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// Runs the router, and tells a service manager that it does.
fn route(router: &mut Router) -> anyhow::Result<()> {
    let Some(mut notifier) = Notifier::from_environment() else { return Ok(router.run()?) };
    router.start();
    notifier.say("READY=1");
    while !router.is_stop_asked() {
        // From the loop itself: a router that hangs is a watchdog that barks.
        router.step(notifier.pause())?;
        notifier.keep_alive();
    }
    notifier.say("STOPPING=1");
    Ok(router.finish()?)
}

/// Lets others look at the show; it runs without them, too.
pub(crate) fn serve(show: &Local) -> Option<Server> {
    match Server::start(show.clone()) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("`consort monitor` cannot attach to this show: {error:#}");
            None
        }
    }
}

fn file(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = named.or_else(|| DEFAULTS.iter().map(Path::new).find(|file| file.exists()));
    let found = found.with_context(|| {
        let defaults = DEFAULTS.join(" nor ");
        format!("there is neither {defaults} here; name a configuration: `consort run FILE`")
    })?;
    Ok(found.to_owned())
}

/// Loads a configuration and prints what there is to say about it.
fn load(file: &Path, overrides: &[Override]) -> Option<Show> {
    let loaded = config::load(file, overrides, &backends());
    diagnostics::print(&loaded);
    loaded.show
}

/// All instances of a running show.
pub(crate) fn instances(handle: &Handle) -> impl Iterator<Item = InstanceId> + use<> {
    (0..handle.live().instance_count() as u32).map(InstanceId)
}

/// Says what each instance has done.
fn summary(handle: &Handle) {
    let live = handle.live();
    for instance in instances(handle) {
        let counters = live.counters(instance);
        tracing::info!(
            instance = live.instance_name(instance),
            "{} in, {} out, {} dropped, {} errors",
            counters.incoming,
            counters.outgoing,
            counters.dropped,
            counters.errors
        );
    }
}
