//! The options of the server itself: their specifications, and how they are read.

use std::net::IpAddr;
use std::time::Duration;

use consort_router::{OptionKind, OptionSpec, Options, Problems};
use consort_sc::{HealthCheck, Protocol};

use super::config::Place;
use crate::net::HostPort;

/// An option that is a count, from 0 to `max`.
const fn count(
    name: &'static str,
    max: i64,
    default: &'static str,
    documentation: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind: OptionKind::Integer(0, max),
        default: Some(default),
        example: default,
        documentation,
        ..OptionSpec::EMPTY
    }
}

/// An option without a default.
const fn optional(
    name: &'static str,
    kind: OptionKind,
    example: &'static str,
    documentation: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, example, documentation, ..OptionSpec::EMPTY }
}

/// The specifications of the options. They apply to `server = boot`, except where the
/// documentation says otherwise.
pub(super) const OPTIONS: [OptionSpec; 35] = [
    optional(
        "program",
        OptionKind::Text,
        "supernova",
        "The server program to start, a name or a path. The default is the value of the \
         environment \
         variable `CONSORT_SCSYNTH`, or `scsynth` if that is not set.",
    ),
    optional(
        "port",
        OptionKind::Integer(1, 65_535),
        "57110",
        "The port of the server. The default is 57110.",
    ),
    optional(
        "address",
        OptionKind::Checked(check_address),
        "127.0.0.1",
        "The address on which the server listens. The default is 127.0.0.1: only programs on this \
         computer can connect.",
    ),
    OptionSpec {
        name: "protocol",
        kind: OptionKind::Choice(&["udp", "tcp"]),
        default: Some("udp"),
        example: "tcp",
        documentation: "The transport protocol. Applies to running servers, too.",
        ..OptionSpec::EMPTY
    },
    optional(
        "password",
        OptionKind::Text,
        "secret",
        "The password of a TCP server, up to 31 bytes. Applies to running servers, too.",
    ),
    OptionSpec {
        name: "logins",
        kind: OptionKind::Integer(1, 32),
        default: Some("8"),
        example: "4",
        documentation: "The maximum number of clients. Buses and buffers are divided among \
                        them.",
        ..OptionSpec::EMPTY
    },
    count(
        "inputs",
        65_536,
        "2",
        "How many inputs of the sound card the server uses. Without this option, a running server \
         is assumed to have 8, which is its own default.",
    ),
    count(
        "outputs",
        65_536,
        "2",
        "How many outputs of the sound card the server uses. Without this option, a running server \
         is assumed to have 8, which is its own default. The audio buses of the show come after \
         outputs and inputs.",
    ),
    optional(
        "input-device",
        OptionKind::Text,
        "stage:consort",
        "The device for input, as the server's sound system names it. With JACK, which the servers of \
         Debian use, it is not a sound card but `SERVER:CLIENT`: the name of the JACK server and the \
         name that the server takes as its client. `hw:1` asks for a JACK server `hw`, which usually \
         does not run. The sound card is JACK's choice (`jackd -d alsa -d hw:1`); `environment = \
         JACK_DEFAULT_SERVER=NAME` selects another JACK server.",
    ),
    optional(
        "output-device",
        OptionKind::Text,
        "stage:consort",
        "The device for output, as `input-device`. With JACK, the first of both counts.",
    ),
    optional(
        "sample-rate",
        OptionKind::Integer(1_000, 1_000_000),
        "48000",
        "Samples per second. The default is the setting of the sound card.",
    ),
    optional(
        "hardware-buffer-size",
        OptionKind::Integer(1, 1 << 20),
        "256",
        "The buffer size of the sound card, in frames. The default is the setting of the sound \
         card.",
    ),
    count("block-size", 65_536, "64", "The length of a control period, in frames."),
    count(
        "audio-buses",
        1 << 24,
        "1024",
        "The number of audio buses, including outputs and inputs.",
    ),
    count("control-buses", 1 << 24, "16384", "The number of control buses."),
    count("buffers", 1 << 24, "1024", "The maximum number of buffers."),
    count("nodes", 1 << 24, "4096", "The maximum number of nodes, which are groups and synths."),
    count("synthdefs", 1 << 24, "1024", "The maximum number of SynthDefs."),
    count(
        "memory",
        1 << 24,
        "65536",
        "Real-time memory of the server, which delays and reverbs use, in kilobytes.",
    ),
    count(
        "wire-buffers",
        1 << 20,
        "64",
        "The number of buffers that connect the UGens of a SynthDef.",
    ),
    count("random-generators", 1 << 20, "64", "The number of random number generators."),
    OptionSpec {
        name: "memory-locking",
        kind: OptionKind::Flag,
        default: Some("off"),
        example: "on",
        documentation: "Keep the server's memory from being swapped out.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "zero-configuration",
        kind: OptionKind::Flag,
        default: Some("off"),
        example: "on",
        documentation: "Announce the server on the network (Zeroconf).",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "load-synthdefs",
        kind: OptionKind::Flag,
        default: Some("off"),
        example: "on",
        documentation: "Load the SynthDefs of the user's folder; use them as `server:NAME`.",
        ..OptionSpec::EMPTY
    },
    optional(
        "ugen-plugins",
        OptionKind::Text,
        "/usr/lib/SuperCollider/plugins",
        "The folders of UGen plugins, separated by `:`.",
    ),
    optional(
        "restricted-path",
        OptionKind::Path,
        "sounds",
        "The server opens files in this folder only.",
    ),
    optional(
        "safety-clip",
        OptionKind::Number(0.0001, 1e9),
        "1.26",
        "The amplitude at which the outputs are clipped. `supernova` does not start with this \
         option.",
    ),
    optional(
        "input-streams",
        OptionKind::Checked(check_mask),
        "10",
        "The input streams to open, a 0 or 1 for each. Servers on other systems than macOS do not \
         start with this option.",
    ),
    optional(
        "output-streams",
        OptionKind::Checked(check_mask),
        "11",
        "The output streams to open, a 0 or 1 for each. Servers on other systems than macOS do \
         not start with this option.",
    ),
    optional(
        "threads",
        OptionKind::Integer(1, 1_024),
        "4",
        "The number of audio threads (`supernova` only).",
    ),
    optional(
        "verbosity",
        OptionKind::Integer(-2, 4),
        "0",
        "How much the server prints to the debug log. The default is 0.",
    ),
    seconds("health-interval", "0.5", "Seconds from the answer to a health check to the next one."),
    seconds(
        "health-timeout",
        "1",
        "Seconds that the server may take to answer the first attempt of a health check. Each further \
         attempt may take half as long again.",
    ),
    OptionSpec {
        name: "health-attempts",
        kind: OptionKind::Integer(1, 100),
        default: Some("5"),
        example: "3",
        live: true,
        documentation: "How many attempts in a row may fail before the server counts as lost and is \
                        started again. With the defaults, a server that hangs is silent for up to \
                        13.7 seconds; with `health-timeout = 0.5` and `health-attempts = 2`, for 1.8. \
                        A server may answer late while it loads large sound files.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "environment",
        kind: OptionKind::Checked(check_variable),
        repeatable: true,
        example: "JACK_DEFAULT_SERVER=stage",
        documentation: "A variable for the server's environment, in addition to the inherited \
                        ones. May be given more than once. `SC_JACK_DEFAULT_OUTPUTS` and \
                        `SC_JACK_DEFAULT_INPUTS` name the JACK client to which the server is \
                        connected; the default is `system`, the sound card.",
        ..OptionSpec::EMPTY
    },
];

/// The options of the health checks.
const fn seconds(
    name: &'static str,
    default: &'static str,
    documentation: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind: OptionKind::Number(0.05, 60.0),
        default: Some(default),
        example: default,
        live: true,
        documentation,
        ..OptionSpec::EMPTY
    }
}

/// Reads the options of the health checks.
pub(super) fn read_health(options: &Options) -> HealthCheck {
    let standard = HealthCheck::default();
    let seconds = |name: &str, standard: Duration| {
        options.number(name).map_or(standard, Duration::from_secs_f64)
    };
    let attempts = options.integer("health-attempts").and_then(|count| u32::try_from(count).ok());
    HealthCheck {
        interval: seconds("health-interval", Duration::from_millis(500)),
        timeout: seconds("health-timeout", standard.timeout),
        attempts: attempts.unwrap_or(standard.attempts),
        ..standard
    }
}

/// The variables that name the JACK client to connect to. Without them a server under JACK is
/// not connected, and so is silent.
const JACK_VARIABLES: [&str; 2] = ["SC_JACK_DEFAULT_INPUTS", "SC_JACK_DEFAULT_OUTPUTS"];

/// Checks the option `server`.
pub(super) fn check_server(text: &str) -> Result<(), String> {
    if ["boot", "score"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    match HostPort::parse(text) {
        Ok(HostPort { port: 0, .. }) => Err("expected a port from 1 to 65535".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("expected `boot`, `score` or HOST:PORT ({error})")),
    }
}

fn check_address(text: &str) -> Result<(), String> {
    text.parse::<IpAddr>().map(drop).map_err(|_| "expected an IPv4 or IPv6 address".into())
}

fn check_mask(text: &str) -> Result<(), String> {
    let is_mask = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    is_mask.then_some(()).ok_or_else(|| "expected the digits 0 and 1".into())
}

fn check_variable(text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() && !text.contains('\0') => Ok(()),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// Reads the options. If they contradict each other, reports that and returns `None`.
pub(super) fn read(
    options: &Options,
    place: Option<&Place>,
    problems: &mut Problems,
) -> Option<consort_sc::Options> {
    let number = |name: &str| options.integer(name).and_then(|number| u32::try_from(number).ok());
    let standard = consort_sc::Options::default();
    let or_default = |name: &str, default: u32| number(name).unwrap_or(default);
    let text = |name: &str| options.text(name).map(str::to_owned);
    let is_running = matches!(place, Some(Place::Connect(_)));
    // Assuming too many is safe. With too few, a private bus of the show could be an output.
    let hardware = |name: &str, assumed: u32| match is_running && !options.is_set(name) {
        true => assumed,
        false => or_default(name, 2),
    };
    let is_tcp =
        options.text("protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp"));
    let port = number("port").and_then(|port| u16::try_from(port).ok());
    let mut server = consort_sc::Options {
        ip_address: text("address")
            .and_then(|address| address.parse().ok())
            .unwrap_or(standard.ip_address),
        port: port.unwrap_or(standard.port),
        protocol: if is_tcp { Protocol::Tcp } else { Protocol::Udp },
        maximum_logins: or_default("logins", 8),
        zero_configuration: options.flag("zero-configuration"),
        audio_bus_channel_count: or_default("audio-buses", standard.audio_bus_channel_count),
        control_bus_channel_count: or_default("control-buses", standard.control_bus_channel_count),
        input_bus_channel_count: hardware("inputs", standard.input_bus_channel_count),
        output_bus_channel_count: hardware("outputs", standard.output_bus_channel_count),
        block_size: or_default("block-size", standard.block_size),
        hardware_buffer_size: number("hardware-buffer-size"),
        sample_rate: number("sample-rate"),
        buffer_count: or_default("buffers", standard.buffer_count),
        input_device: text("input-device"),
        output_device: text("output-device"),
        maximum_node_count: or_default("nodes", 4_096),
        maximum_synthdef_count: or_default("synthdefs", standard.maximum_synthdef_count),
        memory_size: or_default("memory", 65_536),
        memory_locking: options.flag("memory-locking"),
        random_number_generator_count: or_default("random-generators", 64),
        wire_buffer_count: or_default("wire-buffers", 64),
        restricted_path: options.path("restricted-path"),
        ugen_plugins_path: text("ugen-plugins"),
        load_synthdefs: options.flag("load-synthdefs"),
        safety_clip: options.number("safety-clip").map(|amplitude| amplitude as f32),
        password: text("password"),
        input_stream_mask: text("input-streams").unwrap_or_default(),
        output_stream_mask: text("output-streams").unwrap_or_default(),
        threads: number("threads").filter(|_| !is_running),
        verbosity: options
            .integer("verbosity")
            .and_then(|level| i32::try_from(level).ok())
            .unwrap_or(0),
        executable: text("program").map(Into::into),
        environment: Vec::new(),
        initial_node_id: standard.initial_node_id,
    };
    for (_, entry) in options.all("environment") {
        if let Some((name, value)) = entry.value.split_once('=') {
            server.environment.push((name.trim().to_owned(), value.to_owned()));
        }
    }
    match place {
        Some(Place::Connect(target)) => {
            server.port = target.port;
            if let Some(address) = target.literal() {
                server.ip_address = address.ip();
            }
            let boot_options = ["program", "port", "address", "environment", "threads"];
            for name in boot_options.iter().filter(|name| options.is_set(name)) {
                problems
                    .warning(
                        options.position(name),
                        format!("`{name}` has no effect on a server that the show does not start"),
                    )
                    .hint("remove it, or start a server with `server = boot`");
            }
        }
        _ => {
            for name in JACK_VARIABLES {
                let is_set = server.environment.iter().any(|(variable, _)| variable == name);
                if !is_set && std::env::var_os(name).is_none() {
                    server.environment.push((name.to_owned(), "system".to_owned()));
                }
            }
            for name in ["input-device", "output-device"] {
                let Some(device) = options.text(name) else { continue };
                if let Some((jack, card)) = device.split_once(':')
                    && matches!(jack, "hw" | "plughw")
                {
                    problems
                        .warning(
                            options.position(name),
                            format!(
                                "with JACK, which the servers of Debian use, `{device}` asks for a \
                                 JACK server `{jack}`, not for a sound card"
                            ),
                        )
                        .hint(format!(
                            "remove it; JACK chooses the sound card, as in `jackd -d alsa -d hw:{card}`"
                        ));
                }
            }
            if server.maximum_node_count < 64 {
                problems.error(options.position("nodes"), "a server needs at least 64 nodes");
            }
        }
    }
    if let Err(error) = server.validate() {
        let message = error.to_string();
        let named = OPTIONS.iter().find(|option| message.contains(&option.name.replace('-', "_")));
        let index = named.and_then(|option| options.position(option.name));
        problems.error(index, message);
        return None;
    }
    Some(server)
}
