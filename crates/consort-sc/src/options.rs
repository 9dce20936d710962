//! The options of a server: validation and conversion into a command line.
//!
//! Flags and defaults are those of `scsynth -h` (SuperCollider 3.13); `-T` is supernova's.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The transport of OSC packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One datagram per packet (`-u`), of at most [`Protocol::packet_limit`] bytes.
    #[default]
    Udp,
    /// A stream of packets with length prefixes (`-t`).
    Tcp,
}

impl Protocol {
    /// The size of the largest packet that may be sent, in bytes: 65,507 for a datagram, which is
    /// the limit of IPv4, and 16 MiB for a stream, which is a limit of this crate.
    pub fn packet_limit(self) -> usize {
        match self {
            Protocol::Udp => 65_507,
            Protocol::Tcp => 16 << 20,
        }
    }
}

/// Options of a server, with the defaults of the stock `scsynth`.
///
/// Create one with [`Options::default`] and struct update syntax:
///
/// ```
/// use consort_sc::Options;
/// let options = Options { port: 57_120, maximum_logins: 4, ..Options::default() };
/// options.validate().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Address to listen on and to connect to (`-B`, 127.0.0.1).
    pub ip_address: IpAddr,
    /// Port, 1 to 65,535 (`-u` or `-t`, 57110).
    pub port: u16,
    /// UDP or TCP (UDP).
    pub protocol: Protocol,
    /// How many clients may be logged in at once, 1 to 32 (`-l`, 1).
    pub maximum_logins: u32,
    /// Announce the server by zero-configuration networking (`-R`, off).
    pub zero_configuration: bool,
    /// Audio buses, outputs and inputs included (`-a`, 1024).
    pub audio_bus_channel_count: u32,
    /// Control buses (`-c`, 16384).
    pub control_bus_channel_count: u32,
    /// Hardware inputs (`-i`, 8).
    pub input_bus_channel_count: u32,
    /// Hardware outputs (`-o`, 8).
    pub output_bus_channel_count: u32,
    /// Sample frames per control period (`-z`, 64).
    pub block_size: u32,
    /// Sample frames in the sound card's buffer (`-Z`; default: the card's).
    pub hardware_buffer_size: Option<u32>,
    /// Sample frames per second (`-S`; default: the card's).
    pub sample_rate: Option<u32>,
    /// Buffers (`-b`, 1024).
    pub buffer_count: u32,
    /// Input device (`-H`), by the name that the server's sound system has for it.
    ///
    /// With JACK, which the servers of Debian use, this is not a sound card but `SERVER:CLIENT`:
    /// the name of the JACK server, and the name that the server takes as its client.
    /// `hw:1` asks for a JACK server `hw`, which usually does not run. The sound card is JACK's
    /// choice; the environment variable `JACK_DEFAULT_SERVER` selects another JACK server
    /// ([`Options::environment`]).
    pub input_device: Option<String>,
    /// Output device (`-H`), as [`Options::input_device`].
    pub output_device: Option<String>,
    /// Nodes (`-n`, 1024).
    pub maximum_node_count: u32,
    /// SynthDefs (`-d`, 1024).
    pub maximum_synthdef_count: u32,
    /// Realtime memory in KiB (`-m`, 8192).
    pub memory_size: u32,
    /// Lock memory into RAM (`-L`, off).
    pub memory_locking: bool,
    /// Random number generators (`-r`, 64).
    pub random_number_generator_count: u32,
    /// Wire buffers (`-w`, 64).
    pub wire_buffer_count: u32,
    /// The only folder in which the server may open files (`-P`).
    pub restricted_path: Option<PathBuf>,
    /// Folders of UGen plugins, separated as the server expects (`-U`).
    pub ugen_plugins_path: Option<String>,
    /// Load the SynthDefs of the user's folder at start (`-D`, on).
    pub load_synthdefs: bool,
    /// Level at which the output is clipped, as a factor of full scale; infinity disables clipping
    /// (`-s`). supernova exits when it is set.
    pub safety_clip: Option<f32>,
    /// Password that TCP clients have to send first, at most 31 bytes (`-p`).
    pub password: Option<String>,
    /// Inputs to open, as a string of 0 and 1 (`-I`). Only for macOS; elsewhere scsynth exits when
    /// it is set.
    pub input_stream_mask: String,
    /// Outputs to open, as a string of 0 and 1 (`-O`). Only for macOS; elsewhere scsynth exits when
    /// it is set.
    pub output_stream_mask: String,
    /// Threads of supernova (`-T`), 1 to 1024. scsynth does not start with this option, so it needs
    /// an [`executable`](Options::executable) other than `scsynth`.
    pub threads: Option<u32>,
    /// How much the server prints, from -2 (little) to 4 (`-V`, 0). Values below 0 are passed on as
    /// 0, because the server would not report that it is ready. Its output is only logged.
    pub verbosity: i32,
    /// Name or path of the executable. Without it, `CONSORT_SCSYNTH` is used, or `scsynth` from
    /// `PATH` or the standard folders.
    pub executable: Option<PathBuf>,
    /// Environment variables of the process, in addition to those that it inherits; for example
    /// `JACK_DEFAULT_SERVER`, the name of the JACK server.
    pub environment: Vec<(String, String)>,
    /// The first id of nodes that are not permanent, at least 1000 (1000).
    pub initial_node_id: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip_address: IpAddr::from([127, 0, 0, 1]),
            port: 57_110,
            protocol: Protocol::Udp,
            maximum_logins: 1,
            zero_configuration: false,
            audio_bus_channel_count: 1024,
            control_bus_channel_count: 16_384,
            input_bus_channel_count: 8,
            output_bus_channel_count: 8,
            block_size: 64,
            hardware_buffer_size: None,
            sample_rate: None,
            buffer_count: 1024,
            input_device: None,
            output_device: None,
            maximum_node_count: 1024,
            maximum_synthdef_count: 1024,
            memory_size: 8192,
            memory_locking: false,
            random_number_generator_count: 64,
            wire_buffer_count: 64,
            restricted_path: None,
            ugen_plugins_path: None,
            load_synthdefs: true,
            safety_clip: None,
            password: None,
            input_stream_mask: String::new(),
            output_stream_mask: String::new(),
            threads: None,
            verbosity: 0,
            executable: None,
            environment: Vec::new(),
            initial_node_id: 1000,
        }
    }
}

/// The error for invalid options.
fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOptions, message)
}

/// Rejects a text or path that is empty or that no argument of a process can carry.
fn check_text(name: &str, text: Option<&str>) -> Result<()> {
    match text {
        Some("") => Err(invalid(format!("{name} is empty; leave it out to use the default"))),
        Some(text) if text.contains('\0') => Err(invalid(format!("{name} has a zero byte"))),
        _ => Ok(()),
    }
}

impl Options {
    /// The file name of the server's program, as far as the options and the environment name it.
    fn program_name(&self) -> String {
        let variable = || std::env::var_os(crate::EXECUTABLE_VARIABLE).map(PathBuf::from);
        let program =
            self.executable.clone().or_else(variable).filter(|path| path != Path::new(""));
        let name = program.as_deref().and_then(Path::file_name).unwrap_or("scsynth".as_ref());
        name.to_string_lossy().into_owned()
    }

    /// The index of the first audio bus that is neither an output nor an input.
    pub fn first_private_bus_id(&self) -> u32 {
        self.output_bus_channel_count + self.input_bus_channel_count
    }

    /// The number of audio buses that are neither outputs nor inputs.
    pub fn private_audio_bus_channel_count(&self) -> u32 {
        self.audio_bus_channel_count.saturating_sub(self.first_private_bus_id())
    }

    /// Checks every option against its range and against the others.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`]; the message has the option, its value and its range.
    pub fn validate(&self) -> Result<()> {
        let range = |name: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(invalid(format!("{name} is {value}; expected {low} to {high}")))
            }
        };
        if self.port == 0 {
            return Err(invalid("port is 0; expected 1 to 65535"));
        }
        range("maximum_logins", self.maximum_logins, 1, 32)?;
        range("audio_bus_channel_count", self.audio_bus_channel_count, 1, 1 << 24)?;
        range("control_bus_channel_count", self.control_bus_channel_count, 1, 1 << 24)?;
        range("input_bus_channel_count", self.input_bus_channel_count, 0, 1 << 16)?;
        range("output_bus_channel_count", self.output_bus_channel_count, 0, 1 << 16)?;
        range("block_size", self.block_size, 1, 1 << 16)?;
        range("buffer_count", self.buffer_count, 1, 1 << 24)?;
        range("maximum_node_count", self.maximum_node_count, 1, 1 << 24)?;
        range("maximum_synthdef_count", self.maximum_synthdef_count, 1, 1 << 24)?;
        range("memory_size", self.memory_size, 1, 1 << 24)?;
        range("random_number_generator_count", self.random_number_generator_count, 1, 1 << 20)?;
        range("wire_buffer_count", self.wire_buffer_count, 1, 1 << 20)?;
        range("initial_node_id", self.initial_node_id, 1000, 0x03FF_FFFF)?;
        if let Some(size) = self.hardware_buffer_size {
            range("hardware_buffer_size", size, 1, 1 << 20)?;
        }
        if let Some(rate) = self.sample_rate {
            range("sample_rate", rate, 1000, 1_000_000)?;
        }
        if let Some(threads) = self.threads {
            range("threads", threads, 1, 1024)?;
            if self.program_name() == "scsynth" {
                return Err(invalid(format!(
                    "threads is {threads}, but scsynth has one audio thread and does not start with \
                     this option; leave it out, or set executable to supernova"
                )));
            }
        }
        let texts = [
            ("input_device", self.input_device.as_deref()),
            ("output_device", self.output_device.as_deref()),
            ("ugen_plugins_path", self.ugen_plugins_path.as_deref()),
        ];
        for (name, text) in texts {
            check_text(name, text)?;
        }
        let paths = [
            ("restricted_path", self.restricted_path.as_deref()),
            ("executable", self.executable.as_deref()),
        ];
        for (name, path) in paths {
            check_text(name, path.map(|path| path.to_string_lossy()).as_deref())?;
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(invalid(format!(
                    "environment has the variable `{}`; expected a name without `=`, and no zero \
                     byte",
                    name.escape_debug()
                )));
            }
        }
        if !(-2..=4).contains(&self.verbosity) {
            return Err(invalid(format!("verbosity is {}; expected -2 to 4", self.verbosity)));
        }
        if self.first_private_bus_id() > self.audio_bus_channel_count {
            return Err(invalid(format!(
                "audio_bus_channel_count is {}, but outputs ({}) and inputs ({}) need {} buses",
                self.audio_bus_channel_count,
                self.output_bus_channel_count,
                self.input_bus_channel_count,
                self.first_private_bus_id(),
            )));
        }
        if let Some(clip) = self.safety_clip
            && (clip.is_nan() || clip <= 0.0)
        {
            return Err(invalid(format!("safety_clip is {clip}; expected a number above 0")));
        }
        for (name, mask) in [
            ("input_stream_mask", &self.input_stream_mask),
            ("output_stream_mask", &self.output_stream_mask),
        ] {
            if mask.bytes().any(|byte| byte != b'0' && byte != b'1') {
                return Err(invalid(format!("{name} is {mask:?}; expected only 0 and 1")));
            }
        }
        if let Some(password) = &self.password {
            if password.is_empty() || password.len() > 31 || password.contains('\0') {
                return Err(invalid(
                    "password is invalid; expected 1 to 31 bytes without a zero byte",
                ));
            }
            if self.protocol == Protocol::Udp {
                return Err(invalid(
                    "password is set, but servers check it only over TCP; use Protocol::Tcp",
                ));
            }
        }
        Ok(())
    }

    /// The arguments for the executable, sorted by flag. Options that equal the server's own
    /// defaults are left out, except `-R 0`, which disables zero-configuration networking.
    pub fn arguments(&self) -> Vec<String> {
        let default = Options::default();
        let mut pairs: Vec<(&str, Vec<String>)> = Vec::new();
        let mut add = |flag, values: Vec<String>| pairs.push((flag, values));
        let port_flag = if self.protocol == Protocol::Udp { "-u" } else { "-t" };
        add(port_flag, vec![self.port.to_string()]);
        if !self.zero_configuration {
            add("-R", vec!["0".into()]);
        }
        if self.ip_address != default.ip_address {
            add("-B", vec![self.ip_address.to_string()]);
        }
        // The server's own default is 64 logins, this crate's is 1.
        add("-l", vec![self.maximum_logins.to_string()]);
        for (flag, value, standard) in [
            ("-a", self.audio_bus_channel_count, default.audio_bus_channel_count),
            ("-b", self.buffer_count, default.buffer_count),
            ("-c", self.control_bus_channel_count, default.control_bus_channel_count),
            ("-d", self.maximum_synthdef_count, default.maximum_synthdef_count),
            ("-i", self.input_bus_channel_count, default.input_bus_channel_count),
            ("-m", self.memory_size, default.memory_size),
            ("-n", self.maximum_node_count, default.maximum_node_count),
            ("-o", self.output_bus_channel_count, default.output_bus_channel_count),
            ("-r", self.random_number_generator_count, default.random_number_generator_count),
            ("-w", self.wire_buffer_count, default.wire_buffer_count),
            ("-z", self.block_size, default.block_size),
        ] {
            if value != standard {
                add(flag, vec![value.to_string()]);
            }
        }
        if let Some(size) = self.hardware_buffer_size {
            add("-Z", vec![size.to_string()]);
        }
        if let Some(rate) = self.sample_rate {
            add("-S", vec![rate.to_string()]);
        }
        match (&self.input_device, &self.output_device) {
            (None, None) => {}
            (Some(device), None) | (None, Some(device)) => add("-H", vec![device.clone()]),
            (Some(input), Some(output)) if input == output => add("-H", vec![input.clone()]),
            (Some(input), Some(output)) => add("-H", vec![input.clone(), output.clone()]),
        }
        if self.memory_locking {
            add("-L", Vec::new());
        }
        if let Some(path) = &self.restricted_path {
            add("-P", vec![path.display().to_string()]);
        }
        if let Some(path) = &self.ugen_plugins_path {
            add("-U", vec![path.clone()]);
        }
        if !self.load_synthdefs {
            add("-D", vec!["0".into()]);
        }
        if let Some(clip) = self.safety_clip {
            let text = if clip.is_infinite() { "inf".to_owned() } else { clip.to_string() };
            add("-s", vec![text]);
        }
        if let Some(password) = &self.password {
            add("-p", vec![password.clone()]);
        }
        if !self.input_stream_mask.is_empty() {
            add("-I", vec![self.input_stream_mask.clone()]);
        }
        if !self.output_stream_mask.is_empty() {
            add("-O", vec![self.output_stream_mask.clone()]);
        }
        if let Some(threads) = self.threads {
            add("-T", vec![threads.to_string()]);
        }
        if self.verbosity > 0 {
            // `-v` would print the version and exit.
            add("-V", vec![self.verbosity.to_string()]);
        }
        pairs.sort_by_key(|(flag, _)| *flag);
        pairs
            .into_iter()
            .flat_map(|(flag, values)| std::iter::once(flag.to_owned()).chain(values))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_become_only_arguments_that_differ_from_the_servers_defaults() {
        let options = Options::default();
        options.validate().unwrap();
        assert_eq!(options.arguments(), ["-R", "0", "-l", "1", "-u", "57110"]);
    }

    #[test]
    fn every_option_reaches_the_command_line_sorted_by_flag() {
        let options = Options {
            ip_address: IpAddr::from([0, 0, 0, 0]),
            port: 5000,
            protocol: Protocol::Tcp,
            maximum_logins: 3,
            zero_configuration: true,
            audio_bus_channel_count: 100,
            control_bus_channel_count: 200,
            input_bus_channel_count: 2,
            output_bus_channel_count: 4,
            block_size: 32,
            hardware_buffer_size: Some(256),
            sample_rate: Some(44_100),
            buffer_count: 10,
            input_device: Some("in".into()),
            output_device: Some("out".into()),
            maximum_node_count: 11,
            maximum_synthdef_count: 12,
            memory_size: 13,
            memory_locking: true,
            random_number_generator_count: 14,
            wire_buffer_count: 15,
            restricted_path: Some("/tmp".into()),
            ugen_plugins_path: Some("/plugins".into()),
            load_synthdefs: false,
            safety_clip: Some(f32::INFINITY),
            password: Some("open".into()),
            input_stream_mask: "10".into(),
            output_stream_mask: "01".into(),
            threads: Some(2),
            verbosity: 1,
            executable: Some("supernova".into()),
            environment: Vec::new(),
            initial_node_id: 2000,
        };
        options.validate().unwrap();
        assert_eq!(
            options.arguments().join(" "),
            "-B 0.0.0.0 -D 0 -H in out -I 10 -L -O 01 -P /tmp -S 44100 -T 2 -U /plugins -V 1 \
             -Z 256 -a 100 -b 10 -c 200 -d 12 -i 2 -l 3 -m 13 -n 11 -o 4 -p open -r 14 -s inf \
             -t 5000 -w 15 -z 32"
        );
    }

    #[test]
    fn an_option_out_of_range_is_reported_with_its_range() {
        let supernova = Some(PathBuf::from("/usr/bin/supernova"));
        Options { threads: Some(4), executable: supernova, ..Options::default() }
            .validate()
            .unwrap();
        let scsynth = Some(PathBuf::from("/usr/bin/scsynth"));
        let empty = || Some(String::new());
        let cases: [(Options, &str); 14] = [
            (
                Options { threads: Some(4), executable: scsynth, ..Options::default() },
                "threads is 4, but scsynth",
            ),
            (Options { ugen_plugins_path: empty(), ..Options::default() }, "path is empty"),
            (Options { input_device: empty(), ..Options::default() }, "input_device is empty"),
            (
                Options { output_device: Some("a\0".into()), ..Options::default() },
                "output_device has a zero byte",
            ),
            (
                Options { restricted_path: Some(PathBuf::new()), ..Options::default() },
                "restricted_path is empty",
            ),
            (
                Options { executable: Some(PathBuf::new()), ..Options::default() },
                "executable is empty",
            ),
            (
                Options { environment: vec![("a=b".into(), "c".into())], ..Options::default() },
                "the variable `a=b`",
            ),
            (Options { port: 0, ..Options::default() }, "port is 0"),
            (Options { maximum_logins: 33, ..Options::default() }, "1 to 32"),
            (Options { verbosity: 9, ..Options::default() }, "-2 to 4"),
            (Options { audio_bus_channel_count: 9, ..Options::default() }, "need 16"),
            (Options { input_stream_mask: "12".into(), ..Options::default() }, "0 and 1"),
            (Options { password: Some("x".into()), ..Options::default() }, "Protocol::Tcp"),
            (Options { safety_clip: Some(f32::NAN), ..Options::default() }, "above 0"),
        ];
        for (options, expected) in cases {
            let error = options.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOptions);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
