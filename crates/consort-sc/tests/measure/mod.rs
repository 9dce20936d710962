//! Rendered sound and its measures, for tests with the real server.

// Each test uses some of these.
#![allow(dead_code)]

use std::process::Command;

use consort_sc::score::{RenderReport, RenderSettings, SampleFormat, Score};

pub(crate) const RATE: u32 = 48_000;

/// Whether scsynth is installed. If not, prints that the test is skipped, and fails in CI.
pub(crate) fn has_server() -> bool {
    if Command::new("scsynth").arg("-v").output().is_ok() {
        return true;
    }
    let reason = "scsynth is not installed";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
    false
}

/// A rendered sound file.
pub(crate) struct Sound {
    pub(crate) channels: Vec<Vec<f32>>,
    pub(crate) report: RenderReport,
}

/// Renders a score in stereo, as floating-point numbers.
pub(crate) fn render(score: &Score, seconds: f64) -> Sound {
    render_with(score, seconds, RenderSettings::default())
}

/// As `render`, with settings such as an input file.
pub(crate) fn render_with(score: &Score, seconds: f64, settings: RenderSettings) -> Sound {
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let path = folder.path().join("out.wav");
    let settings =
        RenderSettings { sample_rate: RATE, sample_format: SampleFormat::Float, ..settings };
    let mut fractions = Vec::new();
    let report = score
        .render(&path, &settings, Some(seconds), |progress| {
            fractions.push(progress.share());
            true
        })
        .expect("the score is rendered");
    assert!(fractions.is_sorted(), "progress never decreases: {fractions:?}");
    assert!(*fractions.last().expect("progress is reported at the end") > 0.99, "{fractions:?}");
    assert_eq!(report.failures, Vec::<String>::new());
    let mut reader = hound::WavReader::open(&path).expect("the output is a WAV file");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate), (2, RATE));
    let samples: Vec<f32> =
        reader.samples::<f32>().map(|sample| sample.expect("the sample can be read")).collect();
    let channels: Vec<Vec<f32>> =
        (0..2).map(|channel| samples.iter().skip(channel).step_by(2).copied().collect()).collect();
    let frames = (seconds * f64::from(RATE)) as usize;
    assert!((frames..frames + 128).contains(&channels[0].len()), "{} frames", channels[0].len());
    Sound { channels, report }
}

pub(crate) fn rms(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

pub(crate) fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak))
}

pub(crate) fn part(samples: &[f32], from: f64, to: f64) -> &[f32] {
    let index = |seconds: f64| (seconds * f64::from(RATE)) as usize;
    &samples[index(from)..index(to)]
}

/// The pitch in hertz between two frequencies, by autocorrelation. A parabola through the peak and
/// its neighbours gives the position between two lags.
pub(crate) fn pitch(samples: &[f32], lowest: f64, highest: f64) -> f64 {
    let rate = f64::from(RATE);
    let (shortest, longest) = ((rate / highest) as usize, (rate / lowest) as usize + 1);
    let window = &samples[..samples.len() - longest - 1];
    let similarity: Vec<f64> = (shortest - 1..=longest + 1)
        .map(|lag| {
            let shifted = &samples[lag..lag + window.len()];
            let product: f64 =
                window.iter().zip(shifted).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            product / (rms(window) * rms(shifted) * window.len() as f64)
        })
        .collect();
    let best = similarity.iter().copied().fold(f64::MIN, f64::max);
    // Multiples of the period have peaks, too: take the first one that is close to the highest.
    let peak_index = (1..similarity.len() - 1)
        .find(|index| {
            let [before, here, after] =
                [index - 1, *index, index + 1].map(|index| similarity[index]);
            here >= before && here >= after && here > 0.9 * best
        })
        .expect("the autocorrelation has a peak");
    let [before, here, after] =
        [peak_index - 1, peak_index, peak_index + 1].map(|index| similarity[index]);
    let shift = 0.5 * (before - after) / (before - 2.0 * here + after);
    rate / (peak_index as f64 + shift + shortest as f64 - 1.0)
}

/// The fraction of the energy above a frequency, by a DFT of one window of 4,096 samples.
pub(crate) fn fraction_above(samples: &[f32], frequency: f64) -> f64 {
    let window = &samples[..4096];
    let step = f64::from(RATE) / 4096.0;
    let energy = |bin: usize| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (index, sample) in window.iter().enumerate() {
            let angle = std::f64::consts::TAU * (bin * index % 4096) as f64 / 4096.0;
            let hann = 0.5 - 0.5 * (std::f64::consts::TAU * index as f64 / 4096.0).cos();
            real += f64::from(*sample) * hann * angle.cos();
            imaginary += f64::from(*sample) * hann * angle.sin();
        }
        real * real + imaginary * imaginary
    };
    let bins: Vec<f64> = (1..2048).step_by(4).map(energy).collect();
    let above: f64 = bins
        .iter()
        .enumerate()
        .filter(|(index, _)| (1 + 4 * index) as f64 * step > frequency)
        .map(|(_, energy)| energy)
        .sum();
    above / bins.iter().sum::<f64>()
}

/// Checks that a sound is finite, does not clip, and has a level in this range.
pub(crate) fn check(name: &str, sound: &Sound, level: std::ops::Range<f64>, details: &str) {
    for channel in &sound.channels {
        assert!(channel.iter().all(|sample| sample.is_finite()), "{name}: a sample is not finite");
        assert!(peak(channel) <= 1.0, "{name} clips: {}", peak(channel));
    }
    let loudness = rms(&sound.channels[0]);
    println!(
        "{name}: level {loudness:.4} (peak {:.3}), {details}, rendered in {:.0} ms",
        peak(&sound.channels[0]),
        sound.report.elapsed.as_secs_f64() * 1000.0
    );
    assert!(level.contains(&loudness), "{name}: level {loudness} is not in {level:?}");
}

/// Checks that a frequency is less than 35 cents off.
pub(crate) fn check_pitch(name: &str, found: f64, expected: f64) {
    let cents = 1200.0 * (found / expected).log2();
    assert!(
        cents.abs() < 35.0,
        "{name}: {found:.2} Hz instead of {expected} ({cents:.0} cents off)"
    );
}
