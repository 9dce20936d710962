//! Buses, facts about the server, and the mouse.

use super::table::ugen_table;

ugen_table! {
    /// Number of samples in a control period.
    BlockSize() [ir] (1) [] None {}
    /// Channel count of a buffer.
    BufChannels(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Duration of a buffer in seconds.
    BufDur(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Frame count of a buffer.
    BufFrames(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Playback rate that plays a buffer at its own pitch.
    BufRateScale(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Sample rate of a buffer in hertz.
    BufSampleRate(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Sample count of a buffer: frames times channels.
    BufSamples(buffer_id) [kr ir] (1) [] None { buffer_id: required }
    /// Duration of a control period in seconds.
    ControlDur() [ir] (1) [] None {}
    /// Control periods a second.
    ControlRate() [ir] (1) [] None {}
    /// Reads buses.
    In(bus) [ar kr] (variable 1) [input] None { bus: 0.0 }
    /// Reads audio buses, with what was written in the last cycle.
    InFeedback(bus) [ar] (variable 1) [input] None { bus: 0.0 }
    /// State of a key of the computer's keyboard.
    KeyState() [kr] (1) [] None { keycode: 0.0, minimum: 0.0, maximum: 1.0, lag: 0.2 }
    /// Reads what `LocalOut` of the same synth wrote in the last cycle.
    LocalIn() [ar kr] (variable 1) [] LocalIn { default: (list 0.0) }
    /// Writes for `LocalIn` of the same synth.
    LocalOut(source) [ar kr] (0) [] None { source: list }
    /// State of the left mouse button.
    MouseButton() [kr] (1) [] None { minimum: 0.0, maximum: 1.0, lag: 0.2 }
    /// Horizontal position of the mouse.
    MouseX() [kr] (1) [] None { minimum: 0.0, maximum: 1.0, warp: 0.0, lag: 0.2 }
    /// Vertical position of the mouse.
    MouseY() [kr] (1) [] None { minimum: 0.0, maximum: 1.0, warp: 0.0, lag: 0.2 }
    /// Identifier of the synth.
    NodeID() [ir] (1) [] None {}
    /// Number of audio buses of the server.
    NumAudioBuses() [ir] (1) [] None {}
    /// Number of buffers of the server.
    NumBuffers() [ir] (1) [] None {}
    /// Number of control buses of the server.
    NumControlBuses() [ir] (1) [] None {}
    /// Number of input buses of the server.
    NumInputBuses() [ir] (1) [] None {}
    /// Number of output buses of the server.
    NumOutputBuses() [ir] (1) [] None {}
    /// Number of synths that run.
    NumRunningSynths() [kr ir] (1) [] None {}
    /// Writes audio buses, starting at the exact sample of the synth's time.
    OffsetOut(bus, source) [ar] (0) [output] None { bus: 0.0, source: list }
    /// Writes buses, adding to what is there.
    Out(bus, source) [ar kr] (0) [output] None { bus: 0.0, source: list }
    /// Two pi, divided by the sample rate.
    RadiansPerSample() [ir] (1) [] None {}
    /// Writes buses, replacing what is there.
    ReplaceOut(bus, source) [ar kr] (0) [output] None { bus: 0.0, source: list }
    /// Duration of a sample in seconds.
    SampleDur() [ir] (1) [] None {}
    /// Sample rate of the server in hertz.
    SampleRate() [ir] (1) [] None {}
    /// Offset of the synth's start within a sample.
    SubsampleOffset() [ir] (1) [] None {}
    /// Writes buses, crossfading with what is there.
    XOut(bus, crossfade, source) [ar kr] (0) [output] None { bus: 0.0, crossfade: 0.0, source: list }
}
