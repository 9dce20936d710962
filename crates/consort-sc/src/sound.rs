//! Sound as samples: measured, and drawn as a picture.

use std::fmt::Write as _;

use crate::shared_memory::ScopeFrames;

/// The width of pictures, and the height of each channel, in pixels.
const WIDTH: usize = 800;
const HEIGHT: f64 = 120.0;

/// Samples of one or more channels: a rendering, the content of a buffer, or what a scope shows.
///
/// ```
/// use consort_sc::Sound;
///
/// let sound = Sound { channels: vec![vec![0.0, 0.5, -1.0, 0.5]], sample_rate: 4.0 };
/// assert_eq!((sound.seconds(), sound.peak()), (1.0, 1.0));
/// assert!(sound.svg().starts_with("<svg"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sound {
    /// The samples of each channel; 1 is full scale.
    pub channels: Vec<Vec<f32>>,
    /// Frames a second.
    pub sample_rate: f64,
}

impl Sound {
    /// Samples that alternate between channels.
    pub(crate) fn from_interleaved(samples: &[f32], channels: usize, sample_rate: f64) -> Self {
        let channel =
            |index| samples.iter().skip(index).step_by(channels.max(1)).copied().collect();
        Self { channels: (0..channels).map(channel).collect(), sample_rate }
    }

    /// The length in frames; that of the longest channel.
    pub fn frames(&self) -> usize {
        self.channels.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The length in seconds.
    pub fn seconds(&self) -> f64 {
        if self.sample_rate > 0.0 { self.frames() as f64 / self.sample_rate } else { 0.0 }
    }

    /// The largest distance from zero of a sample that is a number.
    pub fn peak(&self) -> f32 {
        self.numbers().fold(0.0, |peak, sample| sample.abs().max(peak))
    }

    /// The root mean square of all samples that are numbers: how loud the sound is on average.
    pub fn level(&self) -> f64 {
        let samples = self.numbers();
        let count = samples.clone().count().max(1) as f64;
        (samples.map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / count).sqrt()
    }

    /// All samples that are numbers.
    fn numbers(&self) -> impl Iterator<Item = &f32> + Clone {
        self.channels.iter().flatten().filter(|sample| sample.is_finite())
    }

    /// Whether all samples are numbers.
    pub fn is_finite(&self) -> bool {
        self.channels.iter().flatten().all(|sample| sample.is_finite())
    }

    /// The waveform as an SVG picture, one channel below another, with its length and its peak. It is
    /// scaled so that the peak has the whole height.
    pub fn svg(&self) -> String {
        let height = HEIGHT * self.channels.len().max(1) as f64 + 20.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        let peak = f64::from(self.peak());
        let scale = if peak > 0.0 && peak.is_finite() { (HEIGHT / 2.0 - 4.0) / peak } else { 0.0 };
        let columns = self.frames().min(WIDTH);
        for (index, channel) in self.channels.iter().enumerate() {
            let middle = HEIGHT * (index as f64 + 0.5);
            let _ = writeln!(out, "<path d=\"M0 {middle}H{WIDTH}\" stroke=\"#cccccc\"/>");
            // Each column spans the samples that fall into it, and is connected to the one before it.
            let (mut upper, mut lower) = (String::new(), Vec::new());
            for column in 0..columns {
                let range = |column: usize| column * channel.len() / columns.max(1);
                let part = &channel[range(column)..range(column + 1)];
                let bounded = part.iter().map(|sample| f64::from(*sample) * scale);
                let (low, high) = bounded
                    .filter(|sample| sample.is_finite())
                    .fold((f64::MAX, f64::MIN), |(low, high), sample| {
                        (low.min(sample), high.max(sample))
                    });
                if low > high {
                    continue;
                }
                let x = (column as f64 + 0.5) * WIDTH as f64 / columns as f64;
                let command = if upper.is_empty() { 'M' } else { 'L' };
                let _ = write!(upper, "{command}{x:.1} {:.1}", middle - high);
                lower.push((x, middle - low));
            }
            for (x, y) in lower.into_iter().rev() {
                let _ = write!(upper, "L{x:.1} {y:.1}");
            }
            let _ = writeln!(
                out,
                "<path d=\"{upper}\" fill=\"#1f5fa8\" stroke=\"#1f5fa8\" stroke-width=\"0.8\"/>"
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"4\" y=\"{:.0}\">{:.3} s, peak {:.3}, level {:.3}</text>\n</svg>",
            height - 6.0,
            self.seconds(),
            self.peak(),
            self.level()
        );
        out
    }
}

impl ScopeFrames {
    /// The frames as sound, with the sample rate of the server in hertz.
    pub fn sound(&self, sample_rate: f64) -> Sound {
        Sound { channels: self.channels.clone(), sample_rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_measured_and_drawn() {
        let sine = |frame: usize| (frame as f32 * 0.05).sin() * 0.5;
        let samples: Vec<f32> = (0..2_000).flat_map(|frame| [sine(frame), 0.0]).collect();
        let sound = Sound::from_interleaved(&samples, 2, 1_000.0);
        assert_eq!((sound.channels.len(), sound.seconds()), (2, 2.0));
        assert!((sound.peak() - 0.5).abs() < 1e-3 && (sound.level() - 0.25).abs() < 1e-2);
        let picture = sound.svg();
        assert!(picture.contains("2.000 s, peak 0.500, level 0.25"));
        assert_eq!(picture.matches("<path").count(), 4);
        let scope = ScopeFrames { channels: sound.channels.clone() };
        assert_eq!(scope.sound(1_000.0), sound);
    }

    #[test]
    fn empty_and_invalid_samples_are_drawn_without_numbers_that_do_not_exist() {
        for channels in [vec![], vec![vec![]], vec![vec![f32::NAN, f32::INFINITY, 1.0]]] {
            let sound = Sound { channels, sample_rate: 0.0 };
            let picture = sound.svg();
            assert!(!picture.contains("NaN") && picture.ends_with("</svg>\n"));
        }
        assert!(!Sound { channels: vec![vec![f32::NAN]], sample_rate: 1.0 }.is_finite());
    }
}
