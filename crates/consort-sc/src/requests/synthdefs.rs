//! Requests about SynthDefs.

use std::sync::Arc;

use super::{Command, CompletionRequests, ReplyPattern};
use crate::wire::Writer;

/// `/d_recv`: take SynthDefs from the bytes of a SynthDef file.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveSynthDef {
    /// A SynthDef file (SCgf).
    pub bytes: Arc<[u8]>,
    /// Performed once the SynthDefs are there.
    pub completion: CompletionRequests,
}

impl Command for ReceiveSynthDef {
    fn address(&self) -> &str {
        "/d_recv"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.blob(&self.bytes);
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done("/d_recv"))
    }
}

/// `/d_load`: load a SynthDef file that the server can read; the path may be a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSynthDefs {
    /// The path on the server's machine.
    pub path: String,
    /// Performed once the SynthDefs are there.
    pub completion: CompletionRequests,
}

impl Command for LoadSynthDefs {
    fn address(&self) -> &str {
        "/d_load"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done("/d_load"))
    }
}

/// `/d_loadDir`: load every SynthDef file of a folder that the server can read.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSynthDefDirectory {
    /// The folder on the server's machine.
    pub path: String,
    /// Performed once the SynthDefs are there.
    pub completion: CompletionRequests,
}

impl Command for LoadSynthDefDirectory {
    fn address(&self) -> &str {
        "/d_loadDir"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done("/d_loadDir"))
    }
}

/// `/d_free`: forget SynthDefs.
#[derive(Clone, Debug, PartialEq)]
pub struct FreeSynthDefs {
    /// Their names.
    pub names: Vec<String>,
}

impl Command for FreeSynthDefs {
    fn address(&self) -> &str {
        "/d_free"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for name in &self.names {
            writer.string(name);
        }
    }
    fn halves(&self) -> Option<(Self, Self)> {
        super::cut(&self.names)
            .map(|(first, second)| (Self { names: first }, Self { names: second }))
    }
    fn tags(&self) -> usize {
        self.names.len()
    }
}

/// `/d_freeAll`: forget all SynthDefs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeAllSynthDefs;

impl Command for FreeAllSynthDefs {
    fn address(&self) -> &str {
        "/d_freeAll"
    }
    fn arguments(&self, _writer: &mut Writer<'_>) {}
}
