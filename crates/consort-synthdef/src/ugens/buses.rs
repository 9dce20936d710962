//! Buses, properties of the server and of buffers, and the mouse.

use super::table::ugen_table;
use crate::spec::UGenDraft;

ugen_table! {
    /// Number of samples in a control period.
    BlockSize() [ir] (1) [] {}
    /// Channel count of a buffer.
    BufChannels(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Duration of a buffer in seconds.
    BufDur(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Frame count of a buffer.
    BufFrames(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Playback rate at which a buffer keeps its pitch.
    BufRateScale(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Sample rate of a buffer in hertz.
    BufSampleRate(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Sample count of a buffer: frames times channels.
    BufSamples(buffer_id) [kr ir] (1) [] { buffer_id: required }
    /// Duration of a control period in seconds.
    ControlDur() [ir] (1) [] {}
    /// Control periods per second.
    ControlRate() [ir] (1) [] {}
    /// Reads buses.
    In(bus) [ar kr] (variable 1) [input] { bus: 0.0 }
    /// Reads audio buses, including what was written in the previous cycle.
    InFeedback(bus) [ar] (variable 1) [input] { bus: 0.0 }
    /// State of a key of the computer's keyboard.
    KeyState() [kr] (1) [] { keycode: 0.0, minimum: 0.0, maximum: 1.0, lag: 0.2 }
    /// Reads what `LocalOut` of the same synth wrote in the previous cycle.
    LocalIn() [ar kr] (variable 1) [] prepare(repeat_defaults) { default: (list 0.0) }
    /// Writes signals that `LocalIn` of the same synth reads.
    LocalOut(source) [ar kr] (0) [] { source: list }
    /// State of the left mouse button.
    MouseButton() [kr] (1) [] { minimum: 0.0, maximum: 1.0, lag: 0.2 }
    /// Horizontal position of the mouse.
    MouseX() [kr] (1) [] { minimum: 0.0, maximum: 1.0, warp: 0.0, lag: 0.2 }
    /// Vertical position of the mouse.
    MouseY() [kr] (1) [] { minimum: 0.0, maximum: 1.0, warp: 0.0, lag: 0.2 }
    /// Identifier of the synth.
    NodeID() [ir] (1) [] {}
    /// Number of audio buses of the server.
    NumAudioBuses() [ir] (1) [] {}
    /// Number of buffers of the server.
    NumBuffers() [ir] (1) [] {}
    /// Number of control buses of the server.
    NumControlBuses() [ir] (1) [] {}
    /// Number of input buses of the server.
    NumInputBuses() [ir] (1) [] {}
    /// Number of output buses of the server.
    NumOutputBuses() [ir] (1) [] {}
    /// Number of running synths.
    NumRunningSynths() [kr ir] (1) [] {}
    /// Writes audio buses, starting at the exact sample of the synth's time.
    OffsetOut(bus, source) [ar] (0) [output] { bus: 0.0, source: list }
    /// Writes buses, adding to their content.
    Out(bus, source) [ar kr] (0) [output] { bus: 0.0, source: list }
    /// Two pi, divided by the sample rate.
    RadiansPerSample() [ir] (1) [] {}
    /// Writes buses, replacing their content.
    ReplaceOut(bus, source) [ar kr] (0) [output] { bus: 0.0, source: list }
    /// Duration of a sample in seconds.
    SampleDur() [ir] (1) [] {}
    /// Sample rate of the server in hertz.
    SampleRate() [ir] (1) [] {}
    /// Offset of the synth's start within a sample.
    SubsampleOffset() [ir] (1) [] {}
    /// Writes buses, crossfading with their content.
    XOut(bus, crossfade, source) [ar kr] (0) [output] { bus: 0.0, crossfade: 0.0, source: list }
}

/// `LocalIn` has one default for each output; fewer are repeated.
fn repeat_defaults(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let defaults = draft.channels(0);
    if defaults.is_empty() || defaults.iter().any(|default| default.as_number().is_none()) {
        return Err("the defaults must be numbers".into());
    }
    let count = usize::from(draft.outputs);
    draft.compiled_inputs = Some(defaults.iter().copied().cycle().take(count).collect());
    Ok(())
}
