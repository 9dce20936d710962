//! Changes of the configuration's files.

use serde::{Deserialize, Serialize};

use crate::message::{FileText, is_false};

/// A change of the files.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Adds a mapping such as `tablet./1/fader1 > lamp./dim` after the last one.
    AddMapping(String),
    /// Replaces a mapping.
    ChangeMapping {
        /// Its number in [`Files::mappings`].
        index: u32,
        /// The new text.
        text: String,
    },
    /// Removes a mapping, by its number in [`Files::mappings`].
    RemoveMapping(u32),
    /// Gives an option of an instance a value.
    SetOption {
        /// The name of the instance.
        instance: String,
        /// The name of the option.
        option: String,
        /// Its value.
        value: String,
    },
    /// Replaces a part of a file.
    Replace {
        /// The number of the file in [`Files::files`].
        file: u32,
        /// The first byte to replace.
        start: u32,
        /// The byte after the last one to replace.
        end: u32,
        /// What to write there.
        text: String,
    },
}

/// The files of a configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Files {
    /// Changes with the contents of the files.
    pub version: String,
    /// The configuration and the files that it includes.
    pub files: Vec<FileText>,
    /// All mappings as the files contain them, in order.
    pub mappings: Vec<MappingText>,
    /// How many saved edits can be undone.
    pub undo: u32,
}

/// A mapping as a file contains it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct MappingText {
    /// The number of the file in [`Files::files`].
    pub file: u32,
    /// The line, from 1.
    pub line: u32,
    /// The text without comments.
    pub text: String,
}

/// What an edit would do, or has done.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Edited {
    /// Whether the configuration has no errors after the edit.
    pub ok: bool,
    /// Whether the files were written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub saved: bool,
    /// Whether the running show has the change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub applied: bool,
    /// Why the running show could not take it, although that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applied: Option<String>,
    /// The version of the files after the edit if they were written, else the present one.
    pub version: String,
    /// The changes as a unified diff.
    pub diff: String,
    /// Errors and warnings of the edited configuration.
    pub diagnostics: Vec<Diagnosis>,
    /// How many more diagnostics there are.
    #[serde(default)]
    pub not_listed: u32,
    /// How many saved edits can be undone.
    pub undo: u32,
}

/// An error or a warning of a configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Diagnosis {
    /// `error` or `warning`.
    pub severity: String,
    /// The kind, which stays the same between versions.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// The number of the file in [`Files::files`]; `None` for a problem of no file, or of one that
    /// the edit adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// The line, from 1; 0 without a position.
    #[serde(default)]
    pub line: u32,
    /// The column, from 1, in characters; 0 without a position.
    #[serde(default)]
    pub column: u32,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
