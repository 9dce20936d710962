//! `consort sc synthdef` and `consort sc render`: SuperCollider files, without a running server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use consort_sc::score::{HeaderFormat, RenderSettings, SampleFormat, Score};
use consort_sc::synthdef::SynthDef;
use indicatif::{ProgressBar, ProgressStyle};

/// Print the contents of SynthDef files: controls and UGens
#[derive(clap::Args, Debug)]
pub(crate) struct SynthDefArguments {
    /// SynthDef files (.scsyndef), version 1 or 2
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print only controls, one per line: file, SynthDef, index, name, rate, default, lag
    #[arg(long)]
    controls: bool,
    /// Draw the graph of the UGens: as an SVG picture, or as text for Graphviz (dot)
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "svg",
        conflicts_with = "controls"
    )]
    graph: Option<GraphFormat>,
}

/// The form of a picture of a graph.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphFormat {
    /// An SVG picture; there can be only one SynthDef
    Svg,
    /// Text for the programs of Graphviz
    Dot,
}

/// Render a score (an OSC command file) to a sound file with `scsynth -N`
#[derive(clap::Args, Debug)]
pub(crate) struct RenderArguments {
    /// Score file: length-prefixed OSC bundles, as SuperCollider and Supriya write them
    #[arg(value_name = "SCORE")]
    score: PathBuf,
    /// Sound file to write; the extension selects the format (.wav, .aiff, .au, .raw)
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// File format, overriding the extension: wav, aiff, next, ircam or raw
    #[arg(long, value_name = "FORMAT")]
    header_format: Option<HeaderFormat>,
    /// Sample format: int8, int16, int24, int32, float or double
    #[arg(long, value_name = "FORMAT", default_value = "int24")]
    sample_format: SampleFormat,
    /// Sample rate in hertz
    #[arg(long, value_name = "HERTZ", default_value_t = 48_000)]
    sample_rate: u32,
    /// Number of channels
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    channels: u16,
    /// Length in seconds [default: up to the last entry of the score]
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Sound file to play into the input buses
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Number of channels of the input file
    #[arg(long, value_name = "COUNT", default_value_t = 2, requires = "input")]
    input_channels: u16,
    /// Control period in samples
    #[arg(long, value_name = "SAMPLES", default_value_t = 64)]
    block_size: u32,
    /// Memory for delays and local buffers in kilobytes
    #[arg(long, value_name = "KB", default_value_t = 65_536)]
    memory_size: u32,
    /// Server program [default: CONSORT_SCSYNTH, then scsynth on the PATH]
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// Print only errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs `consort sc synthdef` and prints to `out`.
///
/// # Errors
/// When a file cannot be read or is not a valid SynthDef file, when several SynthDefs would be one
/// picture, or when `out` cannot be written.
pub(crate) fn synthdef(arguments: &SynthDefArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let files = arguments.files.iter().map(|path| Ok((path, read_synthdefs(path)?)));
    let files: Vec<_> = files.collect::<anyhow::Result<_>>()?;
    let count: usize = files.iter().map(|(_, synthdefs)| synthdefs.len()).sum();
    if arguments.graph == Some(GraphFormat::Svg) && count > 1 {
        bail!(
            "cannot draw {count} SynthDefs in one SVG picture; give one file with one SynthDef, or \
             use --graph=dot"
        );
    }
    for (path, synthdefs) in files {
        for synthdef in &synthdefs {
            match arguments.graph {
                Some(GraphFormat::Svg) => write!(out, "{}", synthdef.diagram().svg())?,
                Some(GraphFormat::Dot) => write!(out, "{}", synthdef.diagram().graphviz())?,
                None => {}
            }
            if arguments.graph.is_some() {
                continue;
            }
            if arguments.controls {
                print_controls(path, synthdef, out)?;
            } else {
                write!(out, "{synthdef}")?;
            }
        }
    }
    Ok(())
}

/// All SynthDefs of a file.
fn read_synthdefs(path: &Path) -> anyhow::Result<Vec<SynthDef>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    SynthDef::read_all(&bytes)
        .with_context(|| format!("{} is not a valid SynthDef file", path.display()))
}

/// Prints the controls of a SynthDef, one per line, in columns separated by tabs.
fn print_controls(path: &Path, synthdef: &SynthDef, out: &mut dyn Write) -> anyhow::Result<()> {
    for control in synthdef.controls() {
        let values: Vec<String> = control.values.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            path.display(),
            synthdef.name(),
            control.index,
            control.name,
            control.rate.token(),
            values.join(","),
            control.lag
        )?;
    }
    Ok(())
}

/// Runs `consort sc render`: shows progress on the terminal and prints the result to `out`.
///
/// # Errors
/// When the score is invalid, the server cannot be started or fails, or it reported failures; in
/// the last case the sound file is written nevertheless.
pub(crate) fn render(arguments: &RenderArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let score = Score::read(&arguments.score)
        .with_context(|| format!("cannot render {}", arguments.score.display()))?;
    let settings = RenderSettings {
        executable: arguments.server.clone(),
        sample_rate: arguments.sample_rate,
        output_channels: arguments.channels,
        header_format: arguments.header_format,
        sample_format: arguments.sample_format,
        input: arguments.input.clone(),
        input_channels: arguments.input_channels,
        block_size: arguments.block_size,
        memory_size: arguments.memory_size,
        ..RenderSettings::default()
    };
    let bar = if arguments.quiet { ProgressBar::hidden() } else { ProgressBar::new(1000) };
    bar.set_style(ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}")?);
    let report = score.render(&arguments.output, &settings, arguments.duration, |progress| {
        bar.set_position((progress.share() * 1000.0) as u64);
        bar.set_message(format!(
            "{:.1} of {:.1} s of sound, {}",
            progress.seconds,
            progress.duration,
            seconds_text(progress.elapsed)
        ));
        true
    });
    bar.finish_and_clear();
    let report = report?;
    if !arguments.quiet {
        writeln!(
            out,
            "{}: {:.3} s of sound in {}",
            report.path.display(),
            report.duration,
            seconds_text(report.elapsed)
        )?;
    }
    if !report.failures.is_empty() {
        bail!(
            "the server reported failures while rendering {}:\n  {}",
            report.path.display(),
            report.failures.join("\n  ")
        );
    }
    Ok(())
}

fn seconds_text(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
