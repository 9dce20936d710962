//! The configuration: from text to a [`Show`] that is checked but not yet started.
//!
//! ```text
//! files → syntax (statements) → collect (sections, mappings) → overrides → build (a Show)
//! ```
//!
//! Nothing here has a side effect but reading the files: no device is opened, nothing is sent.
//! Everything that is wrong is reported at once, as [`Diagnostic`]s that point into the text.

mod absent;
mod build;
mod collect;
mod diagnostic;
pub mod edit;
mod expression;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod layer;
mod mapping;
mod mapping_line;
mod outside;
mod overrides;
mod section;
mod source;
pub mod syntax;
mod transforms;

use std::path::Path;

pub use self::absent::{UNAVAILABLE, known_backends};
use self::collect::Collector;
pub use self::collect::{INCLUDE_DEPTH, INCLUDE_LIMIT, unknown_backend};
use self::diagnostic::Sink;
pub(crate) use self::diagnostic::quoted;
pub use self::diagnostic::{DIAGNOSTIC_LIMIT, Diagnostic, Label, Severity};
pub use self::expression::{EXPRESSION_LIMIT, Expression, ExpressionError};
pub use self::files::{Files, SIZE_LIMIT};
pub use self::mapping::{EXPANSION_LIMIT, MAPPING_LIMIT};
pub use self::mapping_line::written;
pub use self::overrides::{Override, OverrideKind};
pub use self::source::{Position, Source, SourceId, Sources, Span};
use crate::backend::{Backend, BackendDescriptor, Plan};
use crate::event::InstanceId;
use crate::options::{OptionFamily, Options};
use crate::transform::{Layer, Transform};

/// One end of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelRef {
    /// The instance.
    pub instance: InstanceId,
    /// The instance's own number of the channel.
    pub channel: u32,
}

/// An instance of a show.
pub struct ShowInstance {
    /// Its name.
    pub name: String,
    /// Its backend's name.
    pub backend: &'static str,
    /// Its backend's index in [`Show::backends`].
    pub driver: usize,
    /// Its options and channels, not yet running.
    pub plan: Box<dyn Plan>,
    /// The options that the configuration gives it.
    pub options: Options,
    /// The families of options of its backend.
    pub families: &'static [OptionFamily],
    /// The first spelling of each of its channels, by number.
    pub channels: Vec<String>,
}

/// A backend of a show.
pub struct ShowBackend {
    /// Its name.
    pub name: &'static str,
    /// The backend, which has configured the instances.
    pub backend: Box<dyn Backend>,
    /// The options of `[backend NAME]`.
    pub options: Options,
}

/// A whole show, validated and not started: nothing is open yet. It is `Send`: a reload prepares
/// it on another thread.
#[derive(Default)]
pub struct Show {
    /// The backends in use.
    pub backends: Vec<ShowBackend>,
    /// The instances, in configuration order.
    pub instances: Vec<ShowInstance>,
    /// Source and target of every mapping, in configuration order, without repetitions.
    pub mappings: Vec<(ChannelRef, ChannelRef)>,
    /// The mappings with stages or in a layer, in configuration order.
    pub transforms: Vec<Transform>,
    /// The layers, in configuration order.
    pub layers: Vec<Layer>,
}

/// What became of a configuration.
pub struct Loaded {
    /// The show; none when there is an error that [stops it](Diagnostic::stops_the_show).
    pub show: Option<Show>,
    /// Its errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more diagnostics there were than are kept ([`DIAGNOSTIC_LIMIT`]).
    pub suppressed: usize,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
}

/// Loads the configuration at `path` with the backends of `registry`.
///
/// Reads that file and those it includes, regular files alone, [`SIZE_LIMIT`] bytes at most;
/// has no other side effect. Options of the command line replace those of the files.
pub fn load(path: &Path, overrides: &[Override], registry: &[&BackendDescriptor]) -> Loaded {
    load_from(&Files::Disk, path, overrides, registry)
}

/// Loads a configuration from memory, where it is called `name`. It can include nothing.
pub fn load_text(
    name: &str,
    text: &str,
    overrides: &[Override],
    registry: &[&BackendDescriptor],
) -> Loaded {
    let files = Files::Memory([(name.into(), text.as_bytes().to_vec())].into());
    load_from(&files, Path::new(name), overrides, registry)
}

/// [`load`] from a choice of places.
pub fn load_from(
    files: &Files,
    path: &Path,
    overrides: &[Override],
    registry: &[&BackendDescriptor],
) -> Loaded {
    load_within(MAPPING_LIMIT, files, path, overrides, registry)
}

/// [`load_from`] with fewer mappings, for the fuzz target: so that it need not make a million
/// of them again and again.
fn load_within(
    limit: u64,
    files: &Files,
    path: &Path,
    overrides: &[Override],
    registry: &[&BackendDescriptor],
) -> Loaded {
    let (mut sources, mut sink) = (Sources::default(), Sink::default());
    let mut collector = Collector::new(registry, files, &mut sources, &mut sink);
    collector.file(path, None);
    overrides::apply(&mut collector, overrides, files, registry);
    let Collector { mut sections, instances, names, mappings, layers, hidden, .. } = collector;
    for section in &mut sections {
        section.check_required(&mut sink);
    }
    let show = {
        let parts = build::Parts {
            sections: &sections,
            instances: &instances,
            names: &names,
            mappings: &mappings,
            layers: &layers,
            hidden: &hidden,
            limit,
        };
        build::build(&parts, &sources, &mut sink)
    };
    if let Some(show) = &show
        && show.instances.is_empty()
    {
        let message =
            format!("{} defines no instances", diagnostic::quoted(&path.display().to_string()));
        let hint = "add a section `[BACKEND NAME]` for it";
        sink.push(Diagnostic::warning("no-instances", message).hint(hint));
    }
    if let Some(show) = &show
        && let Some(instance) = show.instances.first()
        && show.mappings.is_empty()
        && show.layers.is_empty()
    {
        let shown = diagnostic::quoted(&path.display().to_string());
        let message = format!("{shown} has no mappings: no value reaches another instance");
        let hint = format!(
            "add a section `[map]` with lines such as `{}.CHANNEL > INSTANCE.CHANNEL`",
            instance.name
        );
        sink.push(Diagnostic::warning("no-mappings", message).hint(hint));
    }
    let suppressed = sink.suppressed;
    Loaded { show, diagnostics: sink.finish(), suppressed, sources }
}

impl Loaded {
    /// Whether there is no error. A show with an instance whose backend is absent has one, and
    /// can run.
    pub fn is_ok(&self) -> bool {
        self.show.is_some() && self.count(Severity::Error) == 0
    }

    /// How many of its diagnostics are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }
}
