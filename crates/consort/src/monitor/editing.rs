//! Edits of a running show's configuration for views: checked, saved and undone. The running show
//! stays as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use consort_backends::BACKENDS;
use consort_control::{Diagnosis, Edit, Edited, FileText, Files, MappingText};
use consort_router::config::edit::{Editor, Section};
use consort_router::config::{Diagnostic, Loaded, Override, Sources};
use parking_lot::Mutex;

/// How many saved edits can be undone.
const MAX_STEPS: usize = 50;

/// How many bytes of old texts are kept for that; at least one step is kept.
const MAX_STEP_BYTES: usize = 16 << 20;

/// A file that an edit wrote: before and after.
struct Written {
    path: PathBuf,
    before: String,
    after: String,
}

/// The configuration of the running show, and what was saved since its start. All views share it.
#[derive(Clone)]
pub(crate) struct Editing {
    file: PathBuf,
    overrides: Vec<Override>,
    /// The saved edits, the newest last.
    steps: Arc<Mutex<Vec<Vec<Written>>>>,
}

impl Editing {
    /// Edits `file`, which runs with these options of the command line.
    pub(crate) fn new(file: &Path, overrides: Vec<Override>) -> Self {
        // The path stays valid if the working directory changes.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Editing { file, overrides, steps: Arc::default() }
    }

    /// The files, and their mappings.
    pub(super) fn files(&self) -> anyhow::Result<Files> {
        let editor = self.open()?;
        let paths: Vec<PathBuf> = editor.paths().map(Path::to_owned).collect();
        let number = |path: &Path| paths.iter().position(|known| known == path).unwrap_or(0) as u32;
        let file = |path: &PathBuf| FileText {
            path: path.display().to_string(),
            text: editor.text(path).unwrap_or_default().to_owned(),
        };
        let mapping = |mapping: consort_router::config::edit::MappingText| MappingText {
            file: number(&mapping.path),
            line: mapping.line as u32,
            text: mapping.text,
        };
        Ok(Files {
            version: version(&editor),
            files: paths.iter().map(file).collect(),
            mappings: editor.mappings().into_iter().map(mapping).collect(),
            undo: self.steps.lock().len() as u32,
        })
    }

    /// Changes the files; writes them if `save` is set and the result has no errors. Returns the
    /// changed texts as well if they were not written.
    pub(super) fn edit(
        &self,
        known: &str,
        edits: Vec<Edit>,
        save: bool,
    ) -> anyhow::Result<(Edited, Vec<FileText>)> {
        // The lock is held until the files are written, so that two views do not mix their steps.
        let mut steps = self.steps.lock();
        let mut editor = self.open()?;
        let before = version(&editor);
        if known != before {
            bail!("the files have changed since this view read them: read them again");
        }
        let texts: Vec<(PathBuf, String)> = texts(&editor);
        for edit in edits {
            apply(&mut editor, edit, &texts)?;
        }
        let mut edited = self.checked(&editor);
        if save && edited.ok && editor.is_changed() {
            edited.diff = editor.diff();
            editor.save()?;
            let written = texts.into_iter().filter_map(|(path, before)| {
                let after = editor.text(&path)?.to_owned();
                (after != before).then_some(Written { path, before, after })
            });
            steps.push(written.collect());
            trim(&mut steps);
            edited.saved = true;
        }
        edited.version = if edited.saved { version(&editor) } else { before };
        edited.undo = steps.len() as u32;
        let unsaved = editor.paths().filter_map(|path| {
            let text = editor.text(path)?.to_owned();
            let path = path.display().to_string();
            editor.is_changed().then_some(FileText { path, text })
        });
        let unsaved = unsaved.collect();
        Ok((edited, unsaved))
    }

    /// Writes the files as they were before the last saved edit.
    pub(super) fn undo(&self) -> anyhow::Result<Edited> {
        let mut steps = self.steps.lock();
        let step = steps.last().context("nothing to undo: no edit was saved since the start")?;
        let mut editor = self.open()?;
        for written in step {
            match editor.text(&written.path) {
                Some(text) if text == written.after => {}
                _ => bail!(
                    "{} was changed since it was saved: undo the change by hand",
                    written.path.display()
                ),
            }
        }
        for written in step {
            let end = written.after.len();
            editor.replace(&written.path, 0..end, &written.before)?;
        }
        let mut edited = self.checked(&editor);
        editor.save()?;
        steps.pop();
        edited.saved = true;
        edited.version = version(&self.open()?);
        edited.undo = steps.len() as u32;
        Ok(edited)
    }

    fn open(&self) -> anyhow::Result<Editor> {
        Ok(Editor::open(&self.file)?)
    }

    /// The result of a check, before anything is written.
    fn checked(&self, editor: &Editor) -> Edited {
        let loaded = editor.check(&self.overrides, BACKENDS);
        let paths: Vec<PathBuf> = editor.paths().map(Path::to_owned).collect();
        Edited {
            ok: loaded.show.is_some(),
            diff: editor.diff(),
            diagnostics: diagnoses(&loaded, &paths),
            not_listed: loaded.suppressed as u32,
            ..Edited::default()
        }
    }
}

fn apply(editor: &mut Editor, edit: Edit, texts: &[(PathBuf, String)]) -> anyhow::Result<()> {
    match edit {
        Edit::AddMapping(text) => editor.add_mapping(&text)?,
        Edit::ChangeMapping { index, text } => editor.change_mapping(index as usize, &text)?,
        Edit::RemoveMapping(index) => editor.remove_mapping(index as usize)?,
        Edit::SetOption { instance, option, value } => {
            editor.set_option(&Section::instance(instance), &option, &value)?;
        }
        Edit::Replace { file, start, end, text } => {
            let (path, _) = texts
                .get(file as usize)
                .with_context(|| format!("the configuration has no file {file}"))?;
            editor.replace(path, start as usize..end as usize, &text)?;
        }
    }
    Ok(())
}

fn texts(editor: &Editor) -> Vec<(PathBuf, String)> {
    let text = |path: &Path| editor.text(path).unwrap_or_default().to_owned();
    editor.paths().map(|path| (path.to_owned(), text(path))).collect()
}

/// Drops the oldest steps above the limits.
fn trim(steps: &mut Vec<Vec<Written>>) {
    let size = |step: &Vec<Written>| {
        step.iter().map(|written| written.before.len() + written.after.len()).sum::<usize>()
    };
    let mut total: usize = steps.iter().map(size).sum();
    while steps.len() > MAX_STEPS || (total > MAX_STEP_BYTES && steps.len() > 1) {
        total -= size(&steps.remove(0));
    }
}

/// A number that changes with the paths and texts of the files.
fn version(editor: &Editor) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let mut hasher = DefaultHasher::new();
    for path in editor.paths() {
        path.hash(&mut hasher);
        editor.text(path).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn diagnoses(loaded: &Loaded, paths: &[PathBuf]) -> Vec<Diagnosis> {
    let diagnosis = |diagnostic: &Diagnostic| {
        let (file, line, column) = place(diagnostic, &loaded.sources, paths);
        Diagnosis {
            severity: diagnostic.severity.word().to_owned(),
            code: diagnostic.code.to_owned(),
            message: diagnostic.message.clone(),
            file,
            line,
            column,
            hint: diagnostic.hint.clone(),
        }
    };
    loaded.diagnostics.iter().map(diagnosis).collect()
}

/// The number of the file, the line and the column; 0 where there is none.
fn place(diagnostic: &Diagnostic, sources: &Sources, paths: &[PathBuf]) -> (Option<u32>, u32, u32) {
    let Some(label) = &diagnostic.primary else { return (None, 0, 0) };
    let source = sources.get(label.span.source);
    let path = Path::new(source.name()).canonicalize().ok();
    let file = path.and_then(|path| paths.iter().position(|known| *known == path));
    let position = source.position(label.span.start);
    (file.map(|file| file as u32), position.line as u32, position.column as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[loopback a]\n[loopback b]\n\n[map]\n; the only one\na.x > b.y\n";

    fn editing(text: &str) -> (tempfile::TempDir, Editing) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("show.cfg");
        std::fs::write(&file, text).expect("written");
        (folder, Editing::new(&file, Vec::new()))
    }

    fn read(editing: &Editing) -> String {
        std::fs::read_to_string(&editing.file).expect("read")
    }

    #[test]
    fn an_edit_is_checked_then_saved_then_undone() {
        let (_folder, editing) = editing(TEXT);
        let files = editing.files().expect("files");
        assert_eq!((files.files.len(), files.mappings.len(), files.undo), (1, 1, 0));
        assert_eq!((files.mappings[0].line, files.mappings[0].text.as_str()), (6, "a.x > b.y"));
        let edits = vec![Edit::AddMapping("a.z > b.z".into())];
        let (checked, _) = editing.edit(&files.version, edits.clone(), false).expect("checked");
        assert!(checked.ok && !checked.saved && checked.diff.contains("+a.z > b.z"));
        assert_eq!(read(&editing), TEXT);
        let (saved, unsaved) = editing.edit(&files.version, edits, true).expect("saved");
        assert!(unsaved.is_empty());
        assert!(saved.ok && saved.saved && saved.undo == 1 && saved.version != files.version);
        assert_eq!(read(&editing), format!("{TEXT}a.z > b.z\n"));
        let undone = editing.undo().expect("undone");
        assert!(undone.saved && undone.undo == 0 && undone.version == files.version);
        assert_eq!(read(&editing), TEXT);
        let error = editing.undo().expect_err("nothing left");
        assert!(error.to_string().starts_with("nothing to undo"), "{error}");
    }

    #[test]
    fn an_edit_with_errors_is_not_saved() {
        let (_folder, editing) = editing(TEXT);
        let version = editing.files().expect("files").version;
        let start = TEXT.find("a.x").expect("there") as u32;
        let edit = Edit::Replace { file: 0, start, end: start + 1, text: "nobody".into() };
        let (edited, _) = editing.edit(&version, vec![edit], true).expect("checked");
        assert!(!edited.ok && !edited.saved);
        let first = &edited.diagnostics[0];
        assert_eq!((first.severity.as_str(), first.file, first.line), ("error", Some(0), 6));
        assert_eq!(read(&editing), TEXT);
    }

    #[test]
    fn an_edit_of_changed_files_is_refused() {
        let (_folder, editing) = editing(TEXT);
        let version = editing.files().expect("files").version;
        std::fs::write(&editing.file, format!("{TEXT}; by hand\n")).expect("written");
        let edit = Edit::RemoveMapping(0);
        let error = editing.edit(&version, vec![edit], true).expect_err("an old version");
        assert!(error.to_string().contains("have changed"), "{error}");
    }

    #[test]
    fn an_edit_changed_by_hand_is_not_undone() {
        let (_folder, editing) = editing(TEXT);
        let version = editing.files().expect("files").version;
        let edit = Edit::AddMapping("a.z > b.z".into());
        assert!(editing.edit(&version, vec![edit], true).expect("checked").0.saved);
        let by_hand = read(&editing) + "; by hand\n";
        std::fs::write(&editing.file, &by_hand).expect("written");
        let error = editing.undo().expect_err("changed");
        assert!(error.to_string().contains("was changed since"), "{error}");
        assert_eq!(read(&editing), by_hand);
    }

    #[test]
    fn a_replacement_outside_of_the_text_is_an_error() {
        let (_folder, editing) = editing("; ä\n[loopback a]\n");
        let version = editing.files().expect("files").version;
        for (start, end) in [(0, 1_000), (5, 4), (3, 4), (u32::MAX, u32::MAX)] {
            let edit = Edit::Replace { file: 0, start, end, text: String::new() };
            assert!(editing.edit(&version, vec![edit], true).is_err(), "{start}..{end}");
        }
        let edit = Edit::Replace { file: 1, start: 0, end: 0, text: String::new() };
        assert!(editing.edit(&version, vec![edit], true).is_err());
    }

    #[test]
    fn old_steps_are_dropped() {
        let step = |size: usize| {
            vec![Written { path: PathBuf::new(), before: "x".repeat(size), after: String::new() }]
        };
        let mut steps: Vec<Vec<Written>> = (0..60).map(|_| step(1)).collect();
        trim(&mut steps);
        assert_eq!(steps.len(), MAX_STEPS);
        let mut steps = vec![step(MAX_STEP_BYTES), step(MAX_STEP_BYTES + 1)];
        trim(&mut steps);
        assert_eq!(steps.len(), 1);
    }
}
