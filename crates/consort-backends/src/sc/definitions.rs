//! The SynthDefs that a configuration can name: built in or read from files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use consort_sc::synthdef::{CompiledInput, CompiledUGen, SynthDef};
use consort_sc::{SynthDefFile, ugens};

use super::instruments::{self, INSTRUMENTS};

/// The largest SynthDef file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The properties of a SynthDef that matter to a voice or a fixed synth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    /// The names and defaults of the controls; of an array, the first default.
    pub(super) controls: Vec<(String, f32)>,
    /// Whether a UGen in it can free the synth.
    pub(super) frees_itself: bool,
    /// Whether the controls are known. They are not for the server's own SynthDefs.
    pub(super) is_known: bool,
}

impl Definition {
    fn new(synthdef: &SynthDef) -> Self {
        let first = |values: &[f32]| values.first().copied().unwrap_or(0.0);
        let controls = synthdef.controls().iter();
        Definition {
            name: synthdef.name().to_owned(),
            controls: controls
                .map(|control| (control.name.clone(), first(&control.values)))
                .collect(),
            frees_itself: synthdef.ugens().iter().any(can_free),
            is_known: true,
        }
    }

    /// A SynthDef of the server (`server:NAME`), of which only the name is known.
    fn of_server(name: &str) -> Self {
        Definition {
            name: name.to_owned(),
            controls: Vec::new(),
            frees_itself: true,
            is_known: false,
        }
    }

    /// Whether it has this control.
    pub(super) fn has(&self, control: &str) -> bool {
        self.controls.iter().any(|(name, _)| name == control)
    }

    /// The default of a control.
    pub(super) fn default_of(&self, control: &str) -> Option<f32> {
        self.controls.iter().find(|(name, _)| name == control).map(|(_, default)| *default)
    }

    /// The first of `names` that is a control of this SynthDef.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Whether closing a gate ends its voices.
    pub(super) fn has_gate(&self) -> bool {
        !self.is_known || self.has("gate")
    }
}

/// Whether a UGen may free its synth: its done action is 2 or more, or not constant.
fn can_free(ugen: &CompiledUGen) -> bool {
    if matches!(ugen.name.as_str(), "FreeSelf" | "FreeSelfWhenDone") {
        return true;
    }
    let index = ugens::find(&ugen.name).and_then(|spec| spec.position("done_action"));
    match index.and_then(|index| ugen.inputs.get(index)) {
        Some(CompiledInput::Constant(action)) => *action >= 2.0,
        Some(CompiledInput::Output { .. }) => true,
        None => false,
    }
}

/// The SynthDefs that one instance can use.
#[derive(Default)]
pub(super) struct Catalogue {
    from_files: BTreeMap<String, Arc<Definition>>,
    /// The files, which are sent unchanged.
    pub(super) files: Vec<SynthDefFile>,
    built_in: BTreeMap<&'static str, Arc<Definition>>,
}

impl Catalogue {
    /// Reads a file, or every `.scsyndef` file of a folder.
    ///
    /// # Errors
    /// If a file cannot be read or is invalid; the message contains the offset of the error.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        if !path.metadata().map_err(unreadable)?.is_dir() {
            return self.add_file(path);
        }
        let mut files: Vec<_> = std::fs::read_dir(path)
            .map_err(unreadable)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "scsyndef"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(format!("there is no .scsyndef file in {}", path.display()));
        }
        files.iter().try_for_each(|path| self.add_file(path))
    }

    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let metadata = path.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            return Err(format!("{} is not a file of at most 16 MiB", path.display()));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let invalid =
            |error: String| format!("{} is not a valid SynthDef file: {error}", path.display());
        let synthdefs = SynthDef::read_all(&bytes).map_err(|error| invalid(error.to_string()))?;
        let file = SynthDefFile::new(bytes).map_err(|error| invalid(error.to_string()))?;
        for synthdef in &synthdefs {
            let definition = Arc::new(Definition::new(synthdef));
            self.from_files.insert(definition.name.clone(), definition);
        }
        self.files.push(file);
        Ok(())
    }

    /// Finds a SynthDef by name: in the files, then among the built-in ones. `server:NAME` is a
    /// SynthDef of the server.
    pub(super) fn find(&mut self, name: &str) -> Option<Arc<Definition>> {
        if let Some(name) = name.strip_prefix("server:") {
            return (!name.is_empty()).then(|| Arc::new(Definition::of_server(name)));
        }
        if let Some(found) = self.from_files.get(name) {
            return Some(Arc::clone(found));
        }
        let instrument = instruments::find(name)?;
        let built = self.built_in.entry(instrument.name);
        Some(Arc::clone(built.or_insert_with(|| Arc::new(Definition::new(&instrument.build())))))
    }

    /// Every name that [`Catalogue::find`] finds, except those of the server.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let built_in = INSTRUMENTS.iter().map(|instrument| instrument.name);
        self.from_files.keys().map(String::as_str).chain(built_in)
    }

    /// The files to send: those that were read, and the built-in SynthDefs that are used.
    pub(super) fn into_files(self) -> (Vec<SynthDefFile>, Vec<SynthDefFile>) {
        let built_in = self.built_in.keys().filter_map(|name| instruments::find(name));
        let built_in = built_in.map(|instrument| instrument.build().file().clone()).collect();
        (self.files, built_in)
    }
}

#[cfg(test)]
mod tests {
    use consort_suggest::{did_you_mean_or_list, nearest};

    use super::*;

    #[test]
    fn built_in_instruments_end_by_gate_or_by_themselves() {
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
        assert_eq!(catalogue.into_files().1.len(), 12);
    }

    #[test]
    fn valid_files_are_read_and_truncated_files_are_rejected() {
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
        let error = catalogue.add(&path).expect_err("a truncated file");
        assert!(error.contains("is not a valid SynthDef file"), "{error}");
        assert!(error.contains("at byte"), "{error}");
    }

    #[test]
    fn similar_names_are_found() {
        let names = ["frequency", "amplitude", "cutoff", "gate"];
        assert_eq!(nearest("freq", names), Some("frequency"));
        assert_eq!(nearest("cuttoff", names), Some("cutoff"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(
            did_you_mean_or_list("zzz", "controls", names),
            "the controls are: amplitude, cutoff, frequency, gate"
        );
    }
}
