//! The SynthDefs that a configuration can name: built in, or from files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use consort_sc::synthdef::{CompiledInput, CompiledUGen, SynthDef};
use consort_sc::{SynthDefFile, ugens};

use super::instruments::{self, INSTRUMENTS};

/// The largest SynthDef file that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// What a voice or a fixed synth needs to know of its SynthDef.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    /// Names and defaults of the controls; for an array, of its first value.
    pub(super) controls: Vec<(String, f32)>,
    /// Whether a UGen in it can free the synth.
    pub(super) frees_itself: bool,
    /// Whether its controls are known: not of what the server has itself.
    pub(super) is_known: bool,
}

impl Definition {
    fn new(synthdef: &SynthDef) -> Self {
        let first = |values: &[f32]| values.first().copied().unwrap_or(0.0);
        let controls = synthdef.controls().iter();
        Definition {
            name: synthdef.name().to_owned(),
            controls: controls.map(|it| (it.name.clone(), first(&it.values))).collect(),
            frees_itself: synthdef.ugens().iter().any(can_free),
            is_known: true,
        }
    }

    /// What only the server knows.
    fn foreign(name: &str) -> Self {
        Definition {
            name: name.to_owned(),
            controls: Vec::new(),
            frees_itself: true,
            is_known: false,
        }
    }

    pub(super) fn has(&self, control: &str) -> bool {
        self.controls.iter().any(|it| it.0 == control)
    }

    /// The default of a control.
    pub(super) fn default_of(&self, control: &str) -> Option<f32> {
        self.controls.iter().find(|it| it.0 == control).map(|it| it.1)
    }

    /// The first of these controls that it has.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Whether its voices end by closing a gate.
    pub(super) fn has_gate(&self) -> bool {
        !self.is_known || self.has("gate")
    }
}

/// Whether a UGen may free its synth: its done action is 2 or more, or a signal.
fn can_free(ugen: &CompiledUGen) -> bool {
    if matches!(ugen.name.as_str(), "FreeSelf" | "FreeSelfWhenDone") {
        return true;
    }
    let at = ugens::find(&ugen.name).and_then(|spec| spec.position("done_action"));
    match at.and_then(|at| ugen.inputs.get(at)) {
        Some(CompiledInput::Constant(action)) => *action >= 2.0,
        Some(CompiledInput::Output { .. }) => true,
        None => false,
    }
}

/// All SynthDefs of one instance.
#[derive(Default)]
pub(super) struct Catalogue {
    from_files: BTreeMap<String, Arc<Definition>>,
    /// The files, to be sent as they are.
    pub(super) files: Vec<SynthDefFile>,
    built_in: BTreeMap<&'static str, Arc<Definition>>,
}

impl Catalogue {
    /// Reads a file, or every `.scsyndef` file of a folder. No side effects.
    ///
    /// # Errors
    /// Says what is wrong with it, with the offset.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), String> {
        let say = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        if !path.metadata().map_err(say)?.is_dir() {
            return self.add_file(path);
        }
        let mut files: Vec<_> = std::fs::read_dir(path)
            .map_err(say)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|it| it == "scsyndef"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(format!("there is no .scsyndef file in {}", path.display()));
        }
        files.iter().try_for_each(|path| self.add_file(path))
    }

    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let say = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let metadata = path.metadata().map_err(say)?;
        if !metadata.is_file() || metadata.len() > FILE_LIMIT {
            return Err(format!("{} is no file of at most 16 MiB", path.display()));
        }
        let bytes = std::fs::read(path).map_err(say)?;
        let explain = |error: String| format!("{} is no SynthDef file: {error}", path.display());
        let synthdefs = SynthDef::read_all(&bytes).map_err(|error| explain(error.to_string()))?;
        let file = SynthDefFile::new(bytes).map_err(|error| explain(error.to_string()))?;
        for synthdef in &synthdefs {
            let definition = Arc::new(Definition::new(synthdef));
            self.from_files.insert(definition.name.clone(), definition);
        }
        self.files.push(file);
        Ok(())
    }

    /// The SynthDef of that name: of a file, built in, or, written `server:NAME`, one that the
    /// server has.
    pub(super) fn find(&mut self, name: &str) -> Option<Arc<Definition>> {
        if let Some(name) = name.strip_prefix("server:") {
            return (!name.is_empty()).then(|| Arc::new(Definition::foreign(name)));
        }
        if let Some(found) = self.from_files.get(name) {
            return Some(Arc::clone(found));
        }
        let instrument = instruments::find(name)?;
        let built = self.built_in.entry(instrument.name);
        Some(Arc::clone(built.or_insert_with(|| Arc::new(Definition::new(&instrument.build())))))
    }

    /// Every name that could be meant.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let built_in = INSTRUMENTS.iter().map(|instrument| instrument.name);
        self.from_files.keys().map(String::as_str).chain(built_in)
    }

    /// What is to be sent: the files, and the built-in SynthDefs that were found.
    pub(super) fn into_files(self) -> Vec<SynthDefFile> {
        let built_in = self.built_in.keys().filter_map(|name| instruments::find(name));
        let built_in: Vec<_> = built_in.map(|it| it.build().file().clone()).collect();
        self.files.into_iter().chain(built_in).collect()
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if wanted.len() > 60 {
        return None;
    }
    let lower = wanted.to_lowercase();
    names
        .into_iter()
        .take(1_000)
        .map(|name| {
            let other = name.to_lowercase();
            // `freq` for `frequency`.
            let begins =
                lower.len() >= 3 && (other.starts_with(&lower) || lower.starts_with(&other));
            let distance = strsim::osa_distance(&lower, &other);
            (if begins { distance.min(1) } else { distance }, name)
        })
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The hint for a name that is unknown: what was meant, or what there is.
pub(super) fn suggest<'a>(
    wanted: &str,
    what: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(name) = nearest(wanted, names.clone()) {
        return format!("did you mean `{name}`?");
    }
    let mut all: Vec<&str> = names.into_iter().take(40).collect();
    all.sort_unstable();
    match all.as_slice() {
        [] => format!("there are no {what}"),
        all => format!("the {what} are {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_instruments_tell_how_they_end() {
        let mut catalogue = Catalogue::default();
        let mut find = |name: &str| catalogue.find(name).expect(name);
        for name in ["kick", "hat", "bell", "pluck", "snare", "sample"] {
            assert!(find(name).frees_itself && !find(name).has_gate(), "{name}");
        }
        for name in ["pad", "default", "lead"] {
            assert!(find(name).frees_itself && find(name).has_gate(), "{name}");
        }
        for name in ["reverb", "delay", "level"] {
            assert!(!find(name).frees_itself, "{name}");
        }
        assert!(find("server:thing").has_gate());
        assert!(catalogue.find("pda").is_none() && catalogue.find("server:").is_none());
        assert_eq!(nearest("pda", catalogue.names()), Some("pad"));
        assert_eq!(catalogue.into_files().len(), 12);
    }

    #[test]
    fn files_are_read_and_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut catalogue = Catalogue::default();
        let path = folder.path().join("two.scsyndef");
        assert!(catalogue.add(&path).expect_err("missing").contains("cannot read"));
        assert!(catalogue.add(folder.path()).expect_err("empty").contains("no .scsyndef"));
        let pad = instruments::find("pad").expect("pad").build();
        let mine = pad.renamed("mine").expect("a name");
        let other = instruments::find("hat").expect("hat").build().renamed("tick").expect("a name");
        std::fs::write(&path, SynthDef::compile_all([&mine, &other])).expect("written");
        catalogue.add(folder.path()).expect("a folder of files");
        assert!(catalogue.find("mine").expect("mine").has("cutoff"));
        assert!(catalogue.find("tick").expect("tick").frees_itself);
        let bytes = std::fs::read(&path).expect("bytes");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let error = catalogue.add(&path).expect_err("cut off");
        assert!(error.contains("is no SynthDef file") && error.contains("at byte"), "{error}");
    }

    #[test]
    fn names_that_are_near_are_found() {
        let names = ["frequency", "amplitude", "cutoff", "gate"];
        assert_eq!(nearest("freq", names), Some("frequency"));
        assert_eq!(nearest("cuttoff", names), Some("cutoff"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(
            suggest("zzz", "controls", names),
            "the controls are amplitude, cutoff, \
                                                       frequency, gate"
        );
    }
}
