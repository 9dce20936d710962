//! Rendering: `scsynth -N`, watched.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::error::{ScoreError, ScoreErrorKind as Kind};
use crate::options::Options;

/// Kind of sound file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFormat {
    /// Microsoft's and IBM's RIFF WAVE.
    #[default]
    Wav,
    /// Apple's AIFF.
    Aiff,
    /// NeXT's and Sun's AU.
    Next,
    /// IRCAM's.
    Ircam,
    /// Samples alone.
    Raw,
}

impl HeaderFormat {
    /// The name that the server knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Aiff => "aiff",
            Self::Next => "next",
            Self::Ircam => "ircam",
            Self::Raw => "raw",
        }
    }

    /// The format that a file name's ending stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "wav" | "wave" => Self::Wav,
            "aif" | "aiff" | "aifc" => Self::Aiff,
            "au" | "snd" => Self::Next,
            "sf" => Self::Ircam,
            "raw" => Self::Raw,
            _ => return None,
        })
    }

    /// Bytes in front of the samples, about: for progress only.
    fn header_size(self) -> u64 {
        if self == Self::Raw { 0 } else { 44 }
    }
}

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// 8 bits.
    Int8,
    /// 16 bits.
    Int16,
    /// 24 bits.
    #[default]
    Int24,
    /// 32 bits.
    Int32,
    /// 32 bits floating point: nothing clips.
    Float,
    /// 64 bits floating point.
    Double,
}

impl SampleFormat {
    /// The name that the server knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int24 => "int24",
            Self::Int32 => "int32",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Int32 | Self::Float => 4,
            Self::Double => 8,
        }
    }
}

macro_rules! by_name {
    ($type:ident: $($variant:ident),*) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = ScoreError;

            fn from_str(name: &str) -> Result<Self, ScoreError> {
                let all = [$(Self::$variant),*];
                all.into_iter().find(|format| format.name() == name).ok_or_else(|| {
                    ScoreError::new(
                        Kind::InvalidSetting,
                        format!(
                            "{name:?} is none of {}",
                            all.map(Self::name).join(", ")
                        ),
                    )
                })
            }
        }
    };
}

by_name!(HeaderFormat: Wav, Aiff, Next, Ircam, Raw);
by_name!(SampleFormat: Int8, Int16, Int24, Int32, Float, Double);

/// How a score is rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderSettings {
    /// Program of the server; without it what
    /// [`find_executable`](crate::find_executable) finds.
    pub executable: Option<PathBuf>,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Channels of the output file, 1 to 1024.
    pub output_channels: u16,
    /// Kind of file; without it, what the file name's ending says, else WAV.
    pub header_format: Option<HeaderFormat>,
    /// How samples are stored.
    pub sample_format: SampleFormat,
    /// Sound file that the input buses play, if any.
    pub input: Option<PathBuf>,
    /// Channels of the input file.
    pub input_channels: u16,
    /// Samples in a control period.
    pub block_size: u32,
    /// Memory for delays and local buffers, in kilobytes.
    pub memory_size: u32,
    /// Further arguments of the server; those of the other fields come behind them and count.
    pub arguments: Vec<String>,
}

impl Default for RenderSettings {
    /// Stereo at 48 kHz, 24 bits.
    fn default() -> Self {
        Self {
            executable: None,
            sample_rate: 48_000,
            output_channels: 2,
            header_format: None,
            sample_format: SampleFormat::default(),
            input: None,
            input_channels: 2,
            block_size: 64,
            memory_size: 65_536,
            arguments: Vec::new(),
        }
    }
}

impl RenderSettings {
    /// Settings for a server of these options: its program, channels, block size, memory and all
    /// further flags. The sample rate is 48 kHz unless the options say one.
    pub fn from_options(options: &Options) -> Self {
        let channels = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        Self {
            executable: options.executable.clone(),
            sample_rate: options.sample_rate.unwrap_or(48_000),
            output_channels: channels(options.output_bus_channel_count),
            input_channels: channels(options.input_bus_channel_count),
            block_size: options.block_size,
            memory_size: options.memory_size,
            arguments: options.arguments(),
            ..Self::default()
        }
    }
}

/// How far a rendering is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Seconds of sound that are written.
    pub seconds: f64,
    /// Seconds of sound that there will be.
    pub duration: f64,
    /// Time since the rendering began.
    pub elapsed: Duration,
}

impl Progress {
    /// Share that is done, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.duration > 0.0 { (self.seconds / self.duration).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// What a rendering has made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RenderReport {
    /// The sound file.
    pub path: PathBuf,
    /// Seconds of sound, as asked for; the file is longer by up to a control period.
    pub duration: f64,
    /// Time that it took.
    pub elapsed: Duration,
    /// What the server complained of, such as unknown SynthDefs; at most a hundred lines.
    pub failures: Vec<String>,
}

const MAXIMUM_FAILURES: usize = 100;
const MAXIMUM_LINE: u64 = 4096;
const MAXIMUM_ERRORS: u64 = 1 << 16;
/// Time between two reports of progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// Renders a score file that is on disk already; see [`Score::render`](super::Score::render).
///
/// # Errors
/// As [`Score::render`](super::Score::render), and when the file is not a sound score.
pub fn render_file(
    score: impl AsRef<Path>,
    output: impl AsRef<Path>,
    settings: &RenderSettings,
    progress: impl FnMut(&Progress) -> bool,
) -> Result<RenderReport, ScoreError> {
    let duration = super::Score::read(&score)?.duration();
    if duration <= 0.0 {
        return Err(ScoreError::new(
            Kind::Empty,
            format!("{}: the score has no length", score.as_ref().display()),
        ));
    }
    run(score.as_ref(), output.as_ref(), settings, duration, progress)
}

/// A folder that vanishes with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, ScoreError> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        // Creating fails where the name is taken, so that nobody else's folder is used.
        for _ in 0..1000 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("consort-score-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ScoreError::io("make the folder", &path, error)),
            }
        }
        Err(ScoreError::new(Kind::Io, format!("no free name for a folder in {}", base.display())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn check(settings: &RenderSettings) -> Result<(), ScoreError> {
    let wrong = |what: &str, range: &str| {
        Err(ScoreError::new(Kind::InvalidSetting, format!("{what} has to be {range}")))
    };
    if !(1..=1_000_000).contains(&settings.sample_rate) {
        return wrong("the sample rate", "1 to 1,000,000 Hz");
    }
    if !(1..=1024).contains(&settings.output_channels) || settings.input_channels > 1024 {
        return wrong("the number of channels", "1 to 1024");
    }
    if !(1..=65_536).contains(&settings.block_size) {
        return wrong("the block size", "1 to 65,536 samples");
    }
    Ok(())
}

fn command(
    executable: &Path,
    commands: &Path,
    output: &Path,
    settings: &RenderSettings,
    header_format: HeaderFormat,
) -> Command {
    let mut command = Command::new(executable);
    // All buses of the files, and the server's usual private ones.
    let buses = 1024 + u32::from(settings.output_channels) + u32::from(settings.input_channels);
    command
        .args(&settings.arguments)
        .arg("-o")
        .arg(settings.output_channels.to_string())
        .arg("-i")
        .arg(if settings.input.is_some() { settings.input_channels } else { 0 }.to_string())
        .arg("-a")
        .arg(buses.to_string())
        .arg("-z")
        .arg(settings.block_size.to_string())
        .arg("-m")
        .arg(settings.memory_size.to_string())
        .args(["-D", "0", "-R", "0", "-l", "1", "-V", "-1"])
        .arg("-N")
        .arg(commands)
        .arg(settings.input.as_deref().unwrap_or(Path::new("_")))
        .arg(output)
        .arg(settings.sample_rate.to_string())
        .arg(header_format.name())
        .arg(settings.sample_format.name())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The server's process; it does not outlive this value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server said that is worth repeating.
///
/// Its standard output goes to a file: it prints a line for every entry of the score, and a reader
/// that is woken by each of them costs more than all the rest of this module.
fn complaints(log: &Path, errors: &str) -> Vec<String> {
    let lines = |stream: &mut dyn BufRead| {
        let mut found = Vec::new();
        let mut line = Vec::new();
        while found.len() < MAXIMUM_FAILURES {
            line.clear();
            match stream.take(MAXIMUM_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let usual = text.is_empty()
                || text.starts_with("nextOSCPacket")
                || text.starts_with("start time");
            if !usual {
                found.push(text.to_owned());
            }
        }
        found
    };
    let mut all = match std::fs::File::open(log) {
        Ok(file) => lines(&mut BufReader::new(file)),
        Err(_) => Vec::new(),
    };
    all.extend(lines(&mut errors.as_bytes()));
    all.truncate(MAXIMUM_FAILURES);
    all
}

pub(crate) fn run(
    commands: &Path,
    output: &Path,
    settings: &RenderSettings,
    duration: f64,
    mut progress: impl FnMut(&Progress) -> bool,
) -> Result<RenderReport, ScoreError> {
    check(settings)?;
    let header_format =
        settings.header_format.or_else(|| HeaderFormat::of_path(output)).unwrap_or_default();
    // An old file would be taken for the new one if the server gave up early.
    match std::fs::symlink_metadata(output) {
        Ok(found) if found.is_file() => std::fs::remove_file(output)
            .map_err(|error| ScoreError::io("replace", output, error))?,
        _ => {}
    }
    let started = Instant::now();
    let folder = Folder::new()?;
    let log = folder.path().join("server.log");
    let log_file =
        std::fs::File::create(&log).map_err(|error| ScoreError::io("write", &log, error))?;
    let executable = crate::find_executable(settings.executable.as_deref())
        .map_err(|error| ScoreError::new(Kind::CannotStart, error.to_string()).because(error))?;
    let mut command = command(&executable, commands, output, settings, header_format);
    command.stdout(log_file);
    let child = command.spawn().map_err(|error| {
        ScoreError::new(
            Kind::CannotStart,
            format!(
                "cannot start {}: {error}; install SuperCollider's server, or name its program",
                command.get_program().to_string_lossy()
            ),
        )
        .because(error)
    })?;
    let mut process = Process(child);
    // Standard error is closed when the server ends, which wakes this thread at once.
    let (sender, ended) = channel();
    let stderr = process.0.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut errors = Vec::new();
        if let Some(mut stream) = stderr {
            let _ = stream.by_ref().take(MAXIMUM_ERRORS).read_to_end(&mut errors);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&errors).into_owned());
    });
    let frame = u64::from(settings.output_channels)
        * settings.sample_format.bytes()
        * u64::from(settings.sample_rate);
    let mut report = || {
        let size = std::fs::metadata(output).map_or(0, |file| file.len());
        let seconds = size.saturating_sub(header_format.header_size()) as f64 / frame as f64;
        progress(&Progress { seconds: seconds.min(duration), duration, elapsed: started.elapsed() })
    };
    let errors = loop {
        match ended.recv_timeout(INTERVAL) {
            Ok(errors) => break errors,
            Err(RecvTimeoutError::Disconnected) => break String::new(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if !report() {
            return Err(ScoreError::new(
                Kind::Stopped,
                format!("the rendering of {} was stopped", output.display()),
            ));
        }
    };
    let _ = reader.join();
    let status = process
        .0
        .wait()
        .map_err(|error| ScoreError::new(Kind::ServerFailed, error.to_string()).because(error))?;
    let failures = complaints(&log, &errors);
    if !status.success() || !output.exists() {
        return Err(ScoreError::new(
            Kind::ServerFailed,
            format!(
                "the server gave up on {} ({status}): {}",
                output.display(),
                if failures.is_empty() { "it said nothing".into() } else { failures.join("; ") }
            ),
        ));
    }
    report();
    Ok(RenderReport { path: output.to_owned(), duration, elapsed: started.elapsed(), failures })
}
