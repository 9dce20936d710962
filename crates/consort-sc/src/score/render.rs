//! Rendering: runs `scsynth -N` and watches its progress.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{ScoreError, ScoreErrorKind as Kind};
use crate::options::Options;
use crate::output::PrintedLine;
use crate::sound_formats::check_sound_format;

/// The format of a sound file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFormat {
    /// RIFF WAVE.
    #[default]
    Wav,
    /// AIFF.
    Aiff,
    /// NeXT/Sun AU.
    Next,
    /// IRCAM.
    Ircam,
    /// Samples without a header.
    Raw,
}

impl HeaderFormat {
    /// The format's name in the server's arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Aiff => "aiff",
            Self::Next => "next",
            Self::Ircam => "ircam",
            Self::Raw => "raw",
        }
    }

    /// The format for a file name's extension, if it is a known one.
    pub fn from_path(path: &Path) -> Option<Self> {
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

    /// The approximate size of the header in bytes, for reports of progress.
    fn header_bytes(self) -> u64 {
        if self == Self::Raw { 0 } else { 44 }
    }
}

/// The format of samples in a sound file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// 8 bit integers.
    Int8,
    /// 16 bit integers.
    Int16,
    /// 24 bit integers.
    #[default]
    Int24,
    /// 32 bit integers.
    Int32,
    /// 32 bit floating point, which does not clip.
    Float,
    /// 64 bit floating point.
    Double,
}

impl SampleFormat {
    /// The format's name in the server's arguments.
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

    /// The size of a sample in bytes.
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

/// Implements `Display` and `FromStr` by the variants' names.
macro_rules! convert_by_name {
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
                            "unknown format `{name}`; expected one of {}",
                            all.map(Self::name).join(", ")
                        ),
                    )
                })
            }
        }
    };
}

convert_by_name!(HeaderFormat: Wav, Aiff, Next, Ircam, Raw);
convert_by_name!(SampleFormat: Int8, Int16, Int24, Int32, Float, Double);

/// The settings of a rendering.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderSettings {
    /// The server's program; `None` for the one that [`find_executable`](crate::find_executable)
    /// finds.
    pub executable: Option<PathBuf>,
    /// The sample rate in hertz, 1 to 1,000,000.
    pub sample_rate: u32,
    /// The number of channels of the output file, 1 to 1024.
    pub output_channels: u16,
    /// The format of the output file; `None` for the one of its extension, or else WAV.
    pub header_format: Option<HeaderFormat>,
    /// The format of its samples.
    pub sample_format: SampleFormat,
    /// A sound file that is played into the input buses.
    pub input: Option<PathBuf>,
    /// The number of channels of the input file, at most 1024.
    pub input_channels: u16,
    /// The number of frames in a control period, 1 to 65,536.
    pub block_size: u32,
    /// The server's memory for delay lines and local buffers, in kilobytes.
    pub memory_size: u32,
    /// Further arguments of the server. The other fields take precedence.
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
    /// The settings for a server with these options: its program, channels, block size, memory and
    /// all further arguments. The sample rate is 48 kHz unless the options set one.
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

/// The progress of a rendering.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The seconds of sound that are written, estimated from the size of the file.
    pub seconds: f64,
    /// The seconds of sound in all.
    pub duration: f64,
    /// The time since the rendering began.
    pub elapsed: Duration,
}

impl Progress {
    /// The fraction that is done, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.duration > 0.0 { (self.seconds / self.duration).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The result of a rendering.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RenderReport {
    /// The sound file.
    pub path: PathBuf,
    /// The seconds of sound, as requested. The file is longer by up to one control period.
    pub duration: f64,
    /// The time that the rendering took.
    pub elapsed: Duration,
    /// The lines that the server printed about failures, such as unknown SynthDefs
    /// ([`PrintedLine::is_failure`](crate::PrintedLine::is_failure)); at most 100. Values of a
    /// `Poll` and other text are not among them.
    pub failures: Vec<String>,
}

/// How many of the server's lines a report contains at most.
const MAX_FAILURES: usize = 100;
/// How many of the last lines the error for a server that exits contains, if none reports a
/// failure.
const MAX_LAST_LINES: usize = 20;
/// The longest line of the server that is read in one piece.
const MAX_LINE_BYTES: u64 = 4096;
/// How much of the server's standard error is kept.
const MAX_STDERR_BYTES: u64 = 1 << 16;
/// The time between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Renders a score file; see [`Score::render`](super::Score::render). Blocks until the rendering is
/// done.
///
/// # Errors
/// Same as [`Score::render`](super::Score::render), and when the file is not a valid score.
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
            format!("{}: the score has no duration", score.as_ref().display()),
        ));
    }
    run(score.as_ref(), output.as_ref(), settings, duration, progress)
}

/// A temporary folder, which is removed when this value is dropped.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub(crate) fn new() -> Result<Self, ScoreError> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        // Creation fails if the name exists, so that another program's folder is never used.
        for _ in 0..1000 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("consort-score-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ScoreError::io("create the folder", &path, error)),
            }
        }
        Err(ScoreError::new(
            Kind::Io,
            format!("cannot create a folder in {}: all names are taken", base.display()),
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Checks the settings that the server would misinterpret.
fn check(settings: &RenderSettings, header_format: HeaderFormat) -> Result<(), ScoreError> {
    let invalid = |setting: &str, range: &str| {
        Err(ScoreError::new(Kind::InvalidSetting, format!("expected {setting} from {range}")))
    };
    if !(1..=1_000_000).contains(&settings.sample_rate) {
        return invalid("a sample rate", "1 to 1,000,000 Hz");
    }
    if !(1..=1024).contains(&settings.output_channels) || settings.input_channels > 1024 {
        return invalid("a number of channels", "1 to 1024");
    }
    if !(1..=65_536).contains(&settings.block_size) {
        return invalid("a block size", "1 to 65,536 samples");
    }
    check_sound_format(header_format.name(), settings.sample_format.name())
        .map_err(|error| ScoreError::new(Kind::InvalidSetting, error.to_string()))
}

/// The server's command line. The arguments of the settings come first, because the last value of
/// an argument counts.
fn server_command(
    executable: &Path,
    score: &Path,
    output: &Path,
    settings: &RenderSettings,
    header_format: HeaderFormat,
) -> Command {
    let mut command = Command::new(executable);
    // The buses of both files, and as many private ones as the server has by default.
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
        .arg(score)
        .arg(settings.input.as_deref().unwrap_or(Path::new("_")))
        .arg(output)
        .arg(settings.sample_rate.to_string())
        .arg(header_format.name())
        .arg(settings.sample_format.name())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The server's process, which is killed when this value is dropped.
struct ServerProcess(Child);

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server printed: the lines of the log, which has its standard output, and those of its
/// standard error.
struct PrintedLines {
    /// The lines that report failures.
    failures: Vec<String>,
    /// The last lines of any kind, for a server that exits with an error.
    last: VecDeque<String>,
}

impl PrintedLines {
    /// Standard output goes to a file because the server prints a line for every entry of the score;
    /// waking a reader for each of them would cost more than everything else here.
    fn read(log: &Path, stderr: &str) -> Self {
        let mut printed = Self { failures: Vec::new(), last: VecDeque::new() };
        if let Ok(file) = std::fs::File::open(log) {
            printed.add(&mut BufReader::new(file));
        }
        printed.add(&mut stderr.as_bytes());
        printed
    }

    fn add(&mut self, stream: &mut dyn BufRead) {
        let mut line = Vec::new();
        loop {
            line.clear();
            match stream.take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let is_routine = text.is_empty()
                || text.starts_with("nextOSCPacket")
                || text.starts_with("start time");
            if is_routine {
                continue;
            }
            if self.failures.len() < MAX_FAILURES && PrintedLine::parse(text).is_failure() {
                self.failures.push(text.to_owned());
            }
            if self.last.len() >= MAX_LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(text.to_owned());
        }
    }

    /// The reason why the server exited with an error.
    fn reason(&self) -> String {
        match (self.failures.as_slice(), self.last.is_empty()) {
            ([], true) => "it printed nothing".to_owned(),
            ([], false) => self.last.iter().map(String::as_str).collect::<Vec<_>>().join("; "),
            (failures, _) => failures.join("; "),
        }
    }
}

/// Removes the output of an earlier rendering, which would be taken for a new one if the server
/// failed early.
fn remove_output(output: &Path) -> Result<(), ScoreError> {
    match std::fs::symlink_metadata(output) {
        Ok(metadata) if metadata.is_file() => {
            std::fs::remove_file(output).map_err(|error| ScoreError::io("replace", output, error))
        }
        _ => Ok(()),
    }
}

/// Starts the server.
fn spawn(mut command: Command) -> Result<ServerProcess, ScoreError> {
    let child = command.spawn().map_err(|error| {
        ScoreError::new(
            Kind::CannotStart,
            format!(
                "cannot start {}: {error}; install SuperCollider's server, or give the path of its \
                 program",
                command.get_program().to_string_lossy()
            ),
        )
        .with_source(error)
    })?;
    Ok(ServerProcess(child))
}

/// Reads the server's standard error on a thread of its own. The result arrives when the server
/// closes it, that is, when it exits.
fn read_stderr(stderr: Option<ChildStderr>) -> (JoinHandle<()>, Receiver<String>) {
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stderr {
            let _ = stream.by_ref().take(MAX_STDERR_BYTES).read_to_end(&mut bytes);
            // The rest is discarded, so that the server never blocks on a full pipe.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    (reader, receiver)
}

/// Renders the score file `score`, whose validity the caller has checked, into `output`.
pub(crate) fn run(
    score: &Path,
    output: &Path,
    settings: &RenderSettings,
    duration: f64,
    mut progress: impl FnMut(&Progress) -> bool,
) -> Result<RenderReport, ScoreError> {
    let header_format =
        settings.header_format.or_else(|| HeaderFormat::from_path(output)).unwrap_or_default();
    check(settings, header_format)?;
    remove_output(output)?;
    let start = Instant::now();
    let folder = TemporaryFolder::new()?;
    let log = folder.path().join("server.log");
    let log_file =
        std::fs::File::create(&log).map_err(|error| ScoreError::io("write", &log, error))?;
    let executable = crate::find_executable(settings.executable.as_deref()).map_err(|error| {
        ScoreError::new(Kind::CannotStart, error.to_string()).with_source(error)
    })?;
    let mut command = server_command(&executable, score, output, settings, header_format);
    command.stdout(log_file);
    let mut process = spawn(command)?;
    let (reader, exited) = read_stderr(process.0.stderr.take());
    let bytes_per_second = u64::from(settings.output_channels)
        * settings.sample_format.bytes()
        * u64::from(settings.sample_rate);
    let mut report_progress = || {
        let size = std::fs::metadata(output).map_or(0, |metadata| metadata.len());
        let seconds =
            size.saturating_sub(header_format.header_bytes()) as f64 / bytes_per_second as f64;
        progress(&Progress { seconds: seconds.min(duration), duration, elapsed: start.elapsed() })
    };
    let stderr = loop {
        match exited.recv_timeout(PROGRESS_INTERVAL) {
            Ok(stderr) => break stderr,
            Err(RecvTimeoutError::Disconnected) => break String::new(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if !report_progress() {
            return Err(ScoreError::new(
                Kind::Stopped,
                format!("the rendering of {} was stopped", output.display()),
            ));
        }
    };
    let _ = reader.join();
    let status = process.0.wait().map_err(|error| {
        ScoreError::new(Kind::ServerFailed, error.to_string()).with_source(error)
    })?;
    let printed = PrintedLines::read(&log, &stderr);
    if !status.success() || !output.exists() {
        return Err(ScoreError::new(
            Kind::ServerFailed,
            format!(
                "the server failed to render {} ({status}): {}",
                output.display(),
                printed.reason()
            ),
        ));
    }
    report_progress();
    let failures = printed.failures;
    Ok(RenderReport { path: output.to_owned(), duration, elapsed: start.elapsed(), failures })
}
