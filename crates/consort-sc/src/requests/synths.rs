//! Requests about synths.

use super::{Command, ReplyPattern, settings_tags, write_key, write_settings};
use crate::values::{AddAction, ControlKey, Settings};
use crate::wire::Writer;

/// `/s_new`: starts a synth.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSynth {
    /// The name of the SynthDef.
    pub synthdef: String,
    /// The new synth's id.
    pub id: i32,
    /// Where the synth goes, relative to the target.
    pub add_action: AddAction,
    /// The id of the target node.
    pub target_id: i32,
    /// Controls, each with its initial value; the others have the SynthDef's defaults.
    pub settings: Settings,
}

impl Command for NewSynth {
    fn address(&self) -> &str {
        "/s_new"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.synthdef).int(self.id).int(self.add_action.code()).int(self.target_id);
        write_settings(writer, &self.settings);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_go", [self.id.into()]))
    }
    fn tag_count(&self) -> usize {
        4 + settings_tags(&self.settings)
    }
}

/// `/s_get`: asks for the values of a synth's controls. Answered by `/n_set`.
#[derive(Clone, Debug, PartialEq)]
pub struct GetSynthControls {
    /// The synth's id.
    pub id: i32,
    /// The controls.
    pub controls: Vec<ControlKey>,
}

impl Command for GetSynthControls {
    fn address(&self) -> &str {
        "/s_get"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for key in &self.controls {
            write_key(writer, key);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_set", [self.id.into()]))
    }
    fn tag_count(&self) -> usize {
        1 + self.controls.len()
    }
}

/// `/s_getn`: asks for the values of consecutive controls. Answered by `/n_setn`.
#[derive(Clone, Debug, PartialEq)]
pub struct GetSynthControlRange {
    /// The synth's id.
    pub id: i32,
    /// The first control.
    pub control: ControlKey,
    /// The number of controls.
    pub count: u32,
}

impl Command for GetSynthControlRange {
    fn address(&self) -> &str {
        "/s_getn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        write_key(writer, &self.control);
        writer.int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_setn", [self.id.into()]))
    }
}
