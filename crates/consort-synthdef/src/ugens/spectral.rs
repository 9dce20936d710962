//! Spectra (phase vocoder chains) and analysis.

use super::buffers::LocalBuf;
use super::table::ugen_table;
use crate::rate::Rate;
use crate::signal::Signal;
use crate::spec::{UGenDraft, UGenType};

ugen_table! {
    /// Autocorrelation beat tracker; outputs three triggers and the tempo.
    BeatTrack(pv_chain) [kr] (4) [] { pv_chain: required, lock: 0.0 }
    /// Template-matching beat tracker over feature buses; six outputs.
    BeatTrack2(feature_count) [kr] (6) [] {
        bus_index: 0.0, feature_count: required, window_size: 2.0, phase_accuracy: 0.02, lock: 0.0,
        weighting_scheme: (-2.1),
    }
    /// Fast Fourier transform of a signal into a buffer.
    FFT(source) [kr] (1) [width_first pv_chain] role(Fft) prepare(default_fft_buffer) {
        buffer_id: auto, source: required, hop: 0.5, window_type: 0.0, active: 1.0,
        window_size: 0.0,
    }
    /// Inverse fast Fourier transform.
    IFFT(pv_chain) [ar kr] (1) [width_first] { pv_chain: required, window_type: 0.0, window_size: 0.0 }
    /// Tracks the musical key.
    KeyTrack(pv_chain) [kr] (1) [] { pv_chain: required, key_decay: 2.0, chroma_leak: 0.5 }
    /// Perceived loudness in sones.
    Loudness(pv_chain) [kr] (1) [] { pv_chain: required, spectral_mask: 0.25, temporal_mask: 1.0 }
    /// Mel-frequency cepstral coefficients.
    MFCC(pv_chain) [kr] (by_input) [] prepare(one_output_for_each_coefficient) { pv_chain: required, coefficient_count: 13.0 }
    /// Detects note onsets.
    Onsets(pv_chain) [kr] (1) [] {
        pv_chain: required, threshold: 0.5, detection_function: 3.0, relax_time: 1.0, floor: 0.1,
        minimum_gap: 10.0, median_span: 11.0, whitening_type: 1.0, raw_detection: 0.0,
    }
    /// Tracks pitch; outputs the frequency, and whether there is a pitch.
    Pitch(source) [kr] (2) [] {
        source: required, initial_frequency: 440.0, minimum_frequency: 60.0,
        maximum_frequency: 4000.0, execution_frequency: 100.0, maximum_bins_per_octave: 16.0,
        median: 1.0, amplitude_threshold: 0.01, peak_threshold: 0.5, down_sample_factor: 1.0,
        clarity: 0.0,
    }
    /// Adds two spectra.
    PV_Add(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Swaps bins at random.
    PV_BinScramble(pv_chain) [kr] (1) [width_first pv_chain] {
        pv_chain: required, wipe: 0.0, width: 0.2, trigger: 0.0,
    }
    /// Shifts and stretches bins.
    PV_BinShift(pv_chain) [kr] (1) [width_first pv_chain] {
        pv_chain: required, stretch: 1.0, shift: 0.0, interpolate: 0.0,
    }
    /// Takes low bins of one spectrum and high bins of the other.
    PV_BinWipe(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required, wipe: 0.0,
    }
    /// Clears the bins below or above a limit.
    PV_BrickWall(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, wipe: 0.0 }
    /// Maps the bins conformally in the complex plane.
    PV_ConformalMap(pv_chain) [kr] (1) [width_first pv_chain] {
        pv_chain: required, areal: 0.0, aimag: 0.0,
    }
    /// Complex conjugate.
    PV_Conj(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required }
    /// Copies a spectrum into another buffer.
    PV_Copy(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] role(PvCopy) {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Takes magnitudes of one spectrum and phases of the other.
    PV_CopyPhase(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Random phase shifts.
    PV_Diffuser(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, trigger: 0.0 }
    /// Divides two spectra.
    PV_Div(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Onset detector based on spectral change.
    PV_HainsworthFoote(pv_chain) [ar kr] (1) [width_first pv_chain] {
        pv_chain: required, high_frequency_proportion: 0.0, foote_proportion: 0.0, threshold: 1.0,
        wait_time: 0.04,
    }
    /// Onset detector based on several features.
    PV_JensenAndersen(pv_chain) [ar kr] (1) [width_first pv_chain] {
        pv_chain: required, spectral_centroid_proportion: 0.25,
        high_frequency_energy_proportion: 0.25, high_frequency_content_proportion: 0.25,
        spectral_flux_proportion: 0.25, threshold: 1.0, wait_time: 0.04,
    }
    /// Keeps bins that are local maxima above a threshold.
    PV_LocalMax(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, threshold: 0.0 }
    /// Keeps bins above a threshold.
    PV_MagAbove(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, threshold: 0.0 }
    /// Keeps bins below a threshold.
    PV_MagBelow(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, threshold: 0.0 }
    /// Limits magnitudes.
    PV_MagClip(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, threshold: 0.0 }
    /// Divides magnitudes.
    PV_MagDiv(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required, zeroed: 0.0001,
    }
    /// Freezes magnitudes.
    PV_MagFreeze(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, freeze: 0.0 }
    /// Multiplies magnitudes.
    PV_MagMul(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Multiplies magnitudes by noise.
    PV_MagNoise(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required }
    /// Shifts and stretches magnitudes.
    PV_MagShift(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, stretch: 1.0, shift: 0.0 }
    /// Averages magnitudes over neighbouring bins.
    PV_MagSmear(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, bins: 0.0 }
    /// Squares magnitudes.
    PV_MagSquared(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required }
    /// Takes the larger bins of two spectra.
    PV_Max(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Takes the smaller bins of two spectra.
    PV_Min(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Multiplies two spectra.
    PV_Mul(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required,
    }
    /// Shifts phases by an angle.
    PV_PhaseShift(pv_chain, shift) [kr] (1) [width_first pv_chain] {
        pv_chain: required, shift: required, integrate: 0.0,
    }
    /// Shifts phases by 270 degrees.
    PV_PhaseShift270(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required }
    /// Shifts phases by 90 degrees.
    PV_PhaseShift90(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required }
    /// Clears bins at random.
    PV_RandComb(pv_chain) [kr] (1) [width_first pv_chain] { pv_chain: required, wipe: 0.0, trigger: 0.0 }
    /// Crossfades from one spectrum to another, bin by bin in random order.
    PV_RandWipe(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required, wipe: 0.0, trigger: 0.0,
    }
    /// Clears bins in a rectangular comb.
    PV_RectComb(pv_chain) [kr] (1) [width_first pv_chain] {
        pv_chain: required, tooth_count: 0.0, phase: 0.0, width: 0.5,
    }
    /// Swaps bins of two spectra in a rectangular comb.
    PV_RectComb2(pv_chain_a, pv_chain_b) [kr] (1) [width_first pv_chain] {
        pv_chain_a: required, pv_chain_b: required, tooth_count: 0.0, phase: 0.0, width: 0.5,
    }
    /// Sum of the last `sample_count` samples.
    RunningSum(source) [ar kr] (1) [] { source: required, sample_count: 40.0 }
    /// Centroid of a spectrum in hertz.
    SpecCentroid(pv_chain) [kr] (1) [] { pv_chain: required }
    /// Flatness of a spectrum.
    SpecFlatness(pv_chain) [kr] (1) [] { pv_chain: required }
    /// Frequency below which a given share of the energy lies.
    SpecPcile(pv_chain) [kr] (1) [] { pv_chain: required, fraction: 0.5, interpolate: 0.0 }
}

/// An `FFT` without a buffer gets a local one, of the window's size if that is known.
fn default_fft_buffer(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    if draft.inputs[0].is_none() {
        let frames = match draft.inputs[5] {
            Some(size) if !size.is_number(0.0) => size,
            _ => Signal::number(2048.0),
        };
        let inputs = [Signal::number(1.0), frames];
        draft.inputs[0] = Some(draft.graph.add_helper(LocalBuf::SPEC, Rate::Scalar, &inputs));
    }
    Ok(())
}

/// `MFCC` has one output for each coefficient.
fn one_output_for_each_coefficient(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    match draft.number(1) {
        Some(count) if (1.0..=65_535.0).contains(&count) => {
            draft.outputs = count as u16;
            Ok(())
        }
        _ => Err("coefficient_count must be a number from 1 to 65535".into()),
    }
}
