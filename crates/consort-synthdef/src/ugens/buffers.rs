//! Reading, writing, recording and granulating buffers and files.

use super::prepare::copy_previous;
use super::table::ugen_table;

ugen_table! {
    /// Reads a buffer at a phase given in frames.
    BufRd(buffer_id) [ar kr] (variable 1) [] {
        buffer_id: required, phase: 0.0, looping: 1.0, interpolation: 2.0,
    }
    /// Writes a buffer at a phase given in frames.
    BufWr(buffer_id, source) [ar kr] (1) [done] {
        buffer_id: required, phase: 0.0, looping: 1.0, source: list,
    }
    /// Fills a local buffer with zeros once.
    ClearBuf(buffer_id) [ir] (1) [width_first] { buffer_id: required }
    /// Streams a sound file from disk through a buffer.
    DiskIn(buffer_id) [ar] (variable 1) [done] { buffer_id: required, looping: 0.0 }
    /// Streams to a sound file on disk through a buffer.
    DiskOut(buffer_id, source) [ar] (1) [] { buffer_id: required, source: list }
    /// Granular synthesis from a buffer.
    GrainBuf(buffer_id) [ar] (variable 1) [] {
        trigger: 0.0, duration: 1.0, buffer_id: required, rate: 1.0, position: 0.0,
        interpolate: 2.0, pan: 0.0, envelope_buffer_id: (-1.0), maximum_overlap: 512.0,
    }
    /// Granulates a live signal.
    GrainIn(source) [ar] (variable 1) [] {
        trigger: 0.0, duration: 1.0, source: required, position: 0.0, envelope_buffer_id: (-1.0),
        maximum_overlap: 512.0,
    }
    /// Allocates a buffer that belongs to the synth.
    LocalBuf() [ir] (1) [width_first] role(LocalBuf) { channel_count: 1.0, frame_count: 1.0 }
    /// Reserves memory for local buffers; the compiler adds it.
    MaxLocalBufs(maximum) [ir] (1) [] role(MaxLocalBufs) { maximum: 0.0 }
    /// Shifts pitch in the time domain.
    PitchShift(source) [ar] (1) [] {
        source: required, window_size: 0.2, pitch_ratio: 1.0, pitch_dispersion: 0.0,
        time_dispersion: 0.0,
    }
    /// Plays a buffer.
    PlayBuf(buffer_id) [ar kr] (variable 1) [] {
        buffer_id: required, rate: 1.0, trigger: 1.0, start_position: 0.0, looping: 0.0,
        done_action: 0.0,
    }
    /// Records into a buffer.
    RecordBuf(buffer_id, source) [ar kr] (1) [done] {
        buffer_id: required, offset: 0.0, record_level: 1.0, preexisting_level: 0.0, run: 1.0,
        looping: 1.0, trigger: 1.0, done_action: 0.0, source: list,
    }
    /// Writes the samples of a scope into a buffer.
    ScopeOut(buffer_id, source) [ar kr] (1) [] { buffer_id: required, source: list }
    /// Writes the samples of a scope into shared memory.
    ScopeOut2(scope_id, source) [ar kr] (1) [] prepare(copy_previous) {
        scope_id: required, max_frames: 4096.0, scope_frames: auto, source: list,
    }
    /// Streams a sound file from disk at a variable rate.
    VDiskIn(buffer_id) [ar] (variable 1) [done] {
        buffer_id: required, rate: 1.0, looping: 0.0, send_id: 0.0,
    }
    /// Granular time stretching of a buffer.
    Warp1() [ar] (variable 1) [] {
        buffer_id: 0.0, pointer: 0.0, frequency_scaling: 1.0, window_size: 0.2,
        envelope_buffer_id: (-1.0), overlaps: 8.0, window_randomness: 0.0, interpolation: 1.0,
    }
}
