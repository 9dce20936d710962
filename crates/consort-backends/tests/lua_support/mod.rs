//! Shows with Lua scripts for tests.

#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;

use consort_backends::lua::{self, DESCRIPTOR};
use consort_backends::worker::{WorkerCommand, set_worker_command};
use consort_router::BackendDescriptor;
use consort_router::testing::{Performance, TestShow};
use parking_lot::Mutex;

/// Makes the instances of this test program start the worker of this build.
pub(crate) fn use_worker() {
    let program = env!("CARGO_BIN_EXE_consort-lua-worker").into();
    set_worker_command(WorkerCommand { program, arguments: Vec::new() });
}

/// A folder with scripts, which is removed at the end of the test.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new(scripts: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in scripts {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a script");
        }
        Folder(folder)
    }

    /// An empty show in this folder.
    pub(crate) fn show(&self) -> TestShow {
        use_worker();
        let mut setup = TestShow::new();
        setup.directory = self.0.path().to_owned();
        setup
    }
}

/// What scripts print.
#[derive(Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl std::io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the scripts of this test program print, whichever show they belong to.
pub(crate) static PRINTED: std::sync::LazyLock<Printed> =
    std::sync::LazyLock::new(Printed::default);

/// The backend whose scripts print to [`PRINTED`].
pub(crate) static PRINTING: BackendDescriptor =
    BackendDescriptor { create: || lua::backend(Box::new(PRINTED.clone())), ..DESCRIPTOR };

/// A show with one instance `lua` that runs a script, when the script is loaded. The probe is the
/// source of channels `in…` and the target of the others.
pub(crate) fn show(script: &str, options: &[(&str, &str)], channels: &[&str]) -> Performance {
    use_worker();
    let mut setup = TestShow::new();
    let mut all = vec![("code", script)];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "lua", &all);
    for channel in channels {
        if channel.starts_with("in") {
            setup.map(&format!("probe.{channel}"), &format!("lua.{channel}"));
        } else {
            setup.map(&format!("lua.{channel}"), &format!("probe.{channel}"));
        }
    }
    let mut show = setup.start();
    show.until_state("lua", "up");
    show
}

/// Turns until an instance has counted errors.
pub(crate) fn until_errors(show: &mut Performance, count: u64) {
    show.until(&format!("{count} errors"), |show| show.counters("lua").errors >= count);
}

pub(crate) fn named(list: &[(&str, f64)]) -> Vec<(String, f64)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}
