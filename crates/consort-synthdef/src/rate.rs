//! Rates of UGens and of controls, and what a UGen does when it has finished.

use std::fmt;

/// How often a UGen computes. In the server's order: a sum has the highest rate of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rate {
    /// Once, when the synth starts (`ir`).
    Scalar = 0,
    /// Once a control period, usually 64 samples (`kr`).
    Control = 1,
    /// Every sample (`ar`).
    Audio = 2,
    /// When another UGen takes a value (`dr`).
    Demand = 3,
}

impl Rate {
    /// The name of the rate in SuperCollider: `ir`, `kr`, `ar` or `dr`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Scalar => "ir",
            Self::Control => "kr",
            Self::Audio => "ar",
            Self::Demand => "dr",
        }
    }

    /// The rate of a byte in a SynthDef file.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Scalar),
            1 => Some(Self::Control),
            2 => Some(Self::Audio),
            3 => Some(Self::Demand),
            _ => None,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.token())
    }
}

/// How a control of a synth behaves. In the order in which the compiler sorts controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlRate {
    /// Read once, when the synth starts (`ir`).
    Scalar,
    /// Falls back to zero after one control period (`tr`).
    Trigger,
    /// Read every sample, for example from an audio bus (`ar`).
    Audio,
    /// Read once a control period (`kr`), smoothed if it has a lag.
    Control,
}

impl ControlRate {
    /// The name of the rate in SuperCollider: `ir`, `tr`, `ar` or `kr`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Scalar => "ir",
            Self::Trigger => "tr",
            Self::Audio => "ar",
            Self::Control => "kr",
        }
    }

    /// The rate at which other UGens read it.
    pub fn rate(self) -> Rate {
        match self {
            Self::Scalar => Rate::Scalar,
            Self::Trigger | Self::Control => Rate::Control,
            Self::Audio => Rate::Audio,
        }
    }
}

/// What an envelope, a line or a player does to its synth when it has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DoneAction {
    /// Nothing.
    #[default]
    Nothing = 0,
    /// Pause the synth.
    PauseSynth = 1,
    /// Free the synth.
    FreeSynth = 2,
    /// Free the synth and the node before it.
    FreeSynthAndPrecedingNode = 3,
    /// Free the synth and the node after it.
    FreeSynthAndFollowingNode = 4,
    /// Free the synth; if the node before it is a group, free its members, else the node.
    FreeSynthAndClearPrecedingGroup = 5,
    /// Free the synth; if the node after it is a group, free its members, else the node.
    FreeSynthAndClearFollowingGroup = 6,
    /// Free the synth and all nodes before it in its group.
    FreeSynthAndAllPrecedingNodes = 7,
    /// Free the synth and all nodes after it in its group.
    FreeSynthAndAllFollowingNodes = 8,
    /// Free the synth and pause the node before it.
    FreeSynthAndPausePrecedingNode = 9,
    /// Free the synth and pause the node after it.
    FreeSynthAndPauseFollowingNode = 10,
    /// Free the synth; if the node before it is a group, free all synths in it and below.
    FreeSynthAndDeepFreePrecedingGroup = 11,
    /// Free the synth; if the node after it is a group, free all synths in it and below.
    FreeSynthAndDeepFreeFollowingGroup = 12,
    /// Free the synth and all other nodes of its group.
    FreeSynthAndSiblings = 13,
    /// Free the group that holds the synth.
    FreeEnclosingGroup = 14,
}
