//! Requests about SynthDefs.

use std::sync::Arc;

use super::{Command, CompletionRequests, ReplyPattern, split_list};
use crate::wire::Writer;

/// `/d_recv`: loads SynthDefs from the bytes of a SynthDef file.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveSynthDef {
    /// The bytes of the file (format SCgf).
    pub bytes: Arc<[u8]>,
    /// Requests that the server performs when the SynthDefs are loaded.
    pub completion: CompletionRequests,
}

impl Command for ReceiveSynthDef {
    confirmed!("/d_recv");
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.blob(&self.bytes);
        self.completion.write(writer);
    }
}

/// `/d_load`: loads a SynthDef file from the server's disk.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSynthDefs {
    /// The path on the server's machine; it may contain wildcards.
    pub path: String,
    /// Requests that the server performs when the SynthDefs are loaded.
    pub completion: CompletionRequests,
}

impl Command for LoadSynthDefs {
    confirmed!("/d_load");
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        self.completion.write(writer);
    }
}

/// `/d_loadDir`: loads every SynthDef file of a folder on the server's disk.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSynthDefDirectory {
    /// The folder's path on the server's machine.
    pub path: String,
    /// Requests that the server performs when the SynthDefs are loaded.
    pub completion: CompletionRequests,
}

impl Command for LoadSynthDefDirectory {
    confirmed!("/d_loadDir");
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        self.completion.write(writer);
    }
}

/// `/d_free`: frees SynthDefs by name. Running synths continue.
#[derive(Clone, Debug, PartialEq)]
pub struct FreeSynthDefs {
    /// The SynthDefs' names.
    pub names: Vec<String>,
}

impl Command for FreeSynthDefs {
    splits!(names by split_list);

    fn address(&self) -> &str {
        "/d_free"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        for name in &self.names {
            writer.string(name);
        }
    }
    fn tag_count(&self) -> usize {
        self.names.len()
    }
}

/// `/d_freeAll`: frees all SynthDefs. Running synths continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeAllSynthDefs;

impl Command for FreeAllSynthDefs {
    fn address(&self) -> &str {
        "/d_freeAll"
    }
    fn write_arguments(&self, _writer: &mut Writer<'_>) {}
}
