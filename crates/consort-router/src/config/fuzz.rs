//! Bodies of fuzz targets, which the tests run on the committed corpus.

use std::collections::HashMap;

use super::syntax::{Mode, Statement, parse};
use super::{Diagnostic, Files, Loaded, Override, Sources, Span, load_within};
use crate::backend::{
    Backend, BackendDescriptor, ChannelError, Driver, Instance, InstanceConfig, Plan, Usage,
};
use crate::context::Context;
use crate::event::Event;
use crate::options::{OptionFamily, OptionKind, OptionSpec, Problems};

/// A backend with one option of each kind that a configuration can contain.
pub const BACKEND: BackendDescriptor = BackendDescriptor {
    name: "fuzz",
    summary: "accepts one option of each kind",
    documentation: "",
    options: &[
        OptionSpec { name: "detect", kind: OptionKind::Flag, ..OptionSpec::EMPTY },
        OptionSpec { name: "bind", repeatable: true, ..OptionSpec::EMPTY },
    ],
    instance_options: &[
        OptionSpec { name: "rate", kind: OptionKind::Integer(1, 1_000), ..OptionSpec::EMPTY },
        OptionSpec { name: "mode", kind: OptionKind::Choice(&["one", "two"]), ..OptionSpec::EMPTY },
        OptionSpec {
            name: "module",
            aliases: &["script"],
            kind: OptionKind::Path,
            repeatable: true,
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[OptionFamily {
        prefix: "/",
        live: false,
        example: "/x = 1",
        documentation: "",
    }],
    channels: &[],
    example: "",
    create: || Box::new(Fuzz),
};

struct Fuzz;

impl Backend for Fuzz {
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        for (index, entry) in config.options.family("/") {
            if entry.value.contains('!') {
                problems.error(Some(index), "no exclamation marks").range(1..=entry.value.len());
            }
        }
        problems.is_ok().then(|| Box::<FuzzPlan>::default() as Box<dyn Plan>)
    }
}

#[derive(Default)]
struct FuzzPlan {
    channels: HashMap<String, u32>,
}

impl Plan for FuzzPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = specification.find('!') {
            return Err(ChannelError::new("no exclamation marks").with_range(index, index + 9));
        }
        let next = self.channels.len() as u32;
        Ok(*self.channels.entry(specification.to_owned()).or_insert(next))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(FuzzInstance)
    }
}

struct FuzzInstance;

impl Instance for FuzzInstance {
    fn start(&mut self, _: &mut Context<'_>) {}

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

/// Loads `bytes` as a configuration and inspects the diagnostics. The bytes are split at
/// the byte 0x1E: the first part is `show.cfg`, the second `other.cfg`, and each later one an
/// override (`-i`, or `-b` when it begins with an exclamation mark).
///
/// # Panics
/// When a diagnostic points outside its text.
pub fn config(bytes: &[u8], registry: &[&BackendDescriptor]) {
    let mut parts = bytes.split(|&byte| byte == 0x1E);
    let mut next = || parts.next().unwrap_or_default().to_vec();
    let files = [("show.cfg".into(), next()), ("other.cfg".into(), next())];
    let mut overrides = Vec::new();
    for part in parts {
        let text = String::from_utf8_lossy(part);
        overrides.push(match text.strip_prefix('!') {
            Some(text) => Override::backend(text),
            None => Override::instance(text),
        });
    }
    let files = Files::Memory(files.into());
    let path = std::path::Path::new("show.cfg");
    inspect(&load_within(1_000, &files, path, &overrides, registry));
}

/// Looks at everything that a diagnostic points to.
///
/// # Panics
/// When that is outside of its text.
pub fn inspect(loaded: &Loaded) {
    for diagnostic in &loaded.diagnostics {
        assert!(!diagnostic.message.contains(char::is_control), "{diagnostic:?}");
        for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
            check(&loaded.sources, label.span);
        }
    }
    let is_clean = !loaded.diagnostics.iter().any(Diagnostic::stops_the_show);
    assert!(loaded.show.is_some() == is_clean || loaded.suppressed > 0, "a show with errors");
}

fn check(sources: &Sources, span: Span) {
    let source = sources.get(span.source);
    let bytes = span.start as usize..span.end as usize;
    assert!(source.text().get(bytes).is_some(), "{span:?} of {}", source.name());
    let position = source.position(span.start);
    let line = source.line(position.line).expect("a line for each position");
    assert!(line.start <= span.start as usize, "{span:?}: {position:?}");
}

/// The statements of a text.
///
/// # Panics
/// When one of them points outside of the text.
pub fn statements(text: &str, mode: Mode) -> Vec<Statement> {
    let mut sources = Sources::default();
    let source = sources.add("text".into(), ".".into(), text.to_owned());
    let statements = parse(source, text, mode).statements;
    let mut last = 0;
    for statement in &statements {
        let spans = match *statement {
            Statement::Backend { name, header } => vec![header, name],
            Statement::Instance { backend, name, header } => vec![header, backend, name],
            Statement::Include { path, header } => vec![header, path],
            Statement::Unreadable { header } => vec![header],
            Statement::Option { name, value } => vec![name, value],
            Statement::Mapping { left, right, stages, .. } => vec![left, right, stages],
            Statement::Map { name, header } => vec![header, name],
            Statement::NotAnOption => Vec::new(),
        };
        for span in &spans {
            check(&sources, *span);
        }
        if let Some(first) = spans.first() {
            assert!(first.start >= last, "{statement:?}");
            last = first.start;
        }
    }
    statements
}
