//! Requests about synths.

use super::{Command, ReplyPattern, nodes::write_settings, value_tags, write_key};
use crate::values::{AddAction, ControlKey, Settings};
use crate::wire::Writer;

/// `/s_new`: start a synth.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSynth {
    /// The name of its SynthDef.
    pub synthdef: String,
    /// Its id.
    pub id: i32,
    /// Where it goes.
    pub add_action: AddAction,
    /// Relative to this node.
    pub target_id: i32,
    /// Controls that differ from the SynthDef's defaults.
    pub settings: Settings,
}

impl Command for NewSynth {
    fn address(&self) -> &str {
        "/s_new"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.string(&self.synthdef).int(self.id).int(self.add_action.code()).int(self.target_id);
        write_settings(writer, &self.settings);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_go", [self.id.into()]))
    }
    fn tags(&self) -> usize {
        4 + self.settings.iter().map(|(_, value)| 1 + value_tags(value)).sum::<usize>()
    }
}

/// `/s_get`: the values of controls.
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
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        for key in &self.controls {
            write_key(writer, key);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_set", [self.id.into()]))
    }
    fn tags(&self) -> usize {
        1 + self.controls.len()
    }
}

/// `/s_getn`: the values of neighbouring controls.
#[derive(Clone, Debug, PartialEq)]
pub struct GetSynthControlRange {
    /// The synth's id.
    pub id: i32,
    /// The first control.
    pub control: ControlKey,
    /// How many.
    pub count: u32,
}

impl Command for GetSynthControlRange {
    fn address(&self) -> &str {
        "/s_getn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
        write_key(writer, &self.control);
        writer.int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/n_setn", [self.id.into()]))
    }
}
