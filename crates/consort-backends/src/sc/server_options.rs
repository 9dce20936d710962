//! The options of the server itself: rows for the table, and what they say.

use std::net::IpAddr;

use consort_router::{OptionKind, OptionSpec, Options, Problems};
use consort_sc::Protocol;

use super::config::Place;

const fn count(
    name: &'static str,
    most: i64,
    default: &'static str,
    documentation: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind: OptionKind::Integer(0, most),
        default: Some(default),
        example: default,
        documentation,
        ..OptionSpec::EMPTY
    }
}

const fn maybe(
    name: &'static str,
    kind: OptionKind,
    example: &'static str,
    documentation: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, example, documentation, ..OptionSpec::EMPTY }
}

/// The rows, for `server = boot` unless they say otherwise.
pub(super) const ROWS: [OptionSpec; 32] = [
    maybe(
        "program",
        OptionKind::Text,
        "supernova",
        "The program to start, a name or a path. Else what the environment variable \
         `CONSORT_SCSYNTH` says, else `scsynth`.",
    ),
    maybe("port", OptionKind::Integer(1, 65_535), "57110", "The server's port; else 57110."),
    maybe(
        "address",
        OptionKind::Checked(check_address),
        "127.0.0.1",
        "The address on which the server listens; else 127.0.0.1, this machine only.",
    ),
    OptionSpec {
        name: "protocol",
        kind: OptionKind::Choice(&["udp", "tcp"]),
        default: Some("udp"),
        example: "tcp",
        documentation: "How the server is spoken to, started or not.",
        ..OptionSpec::EMPTY
    },
    maybe(
        "password",
        OptionKind::Text,
        "secret",
        "The password of a TCP server, up to 31 bytes, started or not.",
    ),
    OptionSpec {
        name: "logins",
        kind: OptionKind::Integer(1, 32),
        default: Some("8"),
        example: "4",
        documentation: "How many programs may use the server at once. Buses and buffers are \
                        divided among them.",
        ..OptionSpec::EMPTY
    },
    count(
        "inputs",
        65_536,
        "2",
        "Inputs of the sound card that are used. A server that runs already is believed to have \
         8, its own default, unless this says otherwise.",
    ),
    count(
        "outputs",
        65_536,
        "2",
        "Outputs of the sound card that are used. A server that runs already is believed to have \
         8, its own default, unless this says otherwise: buses of the show lie behind them.",
    ),
    maybe("input-device", OptionKind::Text, "hw:1", "The sound card that is heard."),
    maybe("output-device", OptionKind::Text, "hw:1", "The sound card that sounds."),
    maybe(
        "sample-rate",
        OptionKind::Integer(1_000, 1_000_000),
        "48000",
        "Samples a second; else the sound card's.",
    ),
    maybe(
        "hardware-buffer-size",
        OptionKind::Integer(1, 1 << 20),
        "256",
        "Frames of the sound card's buffer; else the card's.",
    ),
    count("block-size", 65_536, "64", "Frames of one control period."),
    count("audio-buses", 1 << 24, "1024", "Audio buses, outputs and inputs included."),
    count("control-buses", 1 << 24, "16384", "How many control buses there are."),
    count("buffers", 1 << 24, "1024", "How many buffers there may be."),
    count("nodes", 1 << 24, "4096", "Nodes, groups and synths together."),
    count("synthdefs", 1 << 24, "1024", "How many SynthDefs there may be."),
    count("memory", 1 << 24, "65536", "Memory for synths (delays, reverbs), in kilobytes."),
    count("wire-buffers", 1 << 20, "64", "Buffers between the UGens of a SynthDef."),
    count("random-generators", 1 << 20, "64", "Random number generators."),
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
        documentation: "Announce the server in the network.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "load-synthdefs",
        kind: OptionKind::Flag,
        default: Some("off"),
        example: "on",
        documentation: "Let the server load the SynthDefs of the user's folder; they are named \
                        `server:NAME` then.",
        ..OptionSpec::EMPTY
    },
    maybe(
        "ugen-plugins",
        OptionKind::Text,
        "/usr/lib/SuperCollider/plugins",
        "Folders of UGen plugins, with `:` between them.",
    ),
    maybe(
        "restricted-path",
        OptionKind::Path,
        "sounds",
        "A folder outside of which the server opens no file.",
    ),
    maybe(
        "safety-clip",
        OptionKind::Number(0.0001, 1e9),
        "1.26",
        "The amplitude at which the outputs are clipped; `supernova` does not start with it.",
    ),
    maybe(
        "input-streams",
        OptionKind::Checked(check_mask),
        "10",
        "Inputs to open, a 0 or 1 each: of a server on macOS; others do not start with it.",
    ),
    maybe(
        "output-streams",
        OptionKind::Checked(check_mask),
        "11",
        "Outputs to open, a 0 or 1 each: of a server on macOS; others do not start with it.",
    ),
    maybe("threads", OptionKind::Integer(1, 1_024), "4", "Threads of `supernova`."),
    maybe(
        "verbosity",
        OptionKind::Integer(-2, 4),
        "0",
        "How much the server prints into the debug log; else 0.",
    ),
    OptionSpec {
        name: "environment",
        kind: OptionKind::Checked(check_variable),
        repeatable: true,
        example: "JACK_DEFAULT_SERVER=stage",
        documentation: "A variable in the server's environment, beside those that it inherits. \
                        May be given more than once. `SC_JACK_DEFAULT_OUTPUTS` and \
                        `SC_JACK_DEFAULT_INPUTS` name the JACK client that it is connected to, \
                        `system` (the sound card) unless they are set.",
        ..OptionSpec::EMPTY
    },
];

/// Without these, a server under JACK is connected to nothing, and nobody hears it.
const JACK_PORTS: [&str; 2] = ["SC_JACK_DEFAULT_INPUTS", "SC_JACK_DEFAULT_OUTPUTS"];

fn check_address(text: &str) -> Result<(), String> {
    text.parse::<IpAddr>().map(drop).map_err(|_| "expected an IPv4 or IPv6 address".into())
}

fn check_mask(text: &str) -> Result<(), String> {
    let is_sound = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    is_sound.then_some(()).ok_or_else(|| "expected digits 0 and 1 only".into())
}

fn check_variable(text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() && !text.contains('\0') => Ok(()),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// What the options say; none when they contradict each other, which is reported.
pub(super) fn read(
    options: &Options,
    place: Option<&Place>,
    problems: &mut Problems,
) -> Option<consort_sc::Options> {
    let number = |name: &str| options.integer(name).and_then(|it| u32::try_from(it).ok());
    let standard = consort_sc::Options::default();
    let or = |name: &str, default: u32| number(name).unwrap_or(default);
    let text = |name: &str| options.text(name).map(str::to_owned);
    let is_joined = matches!(place, Some(Place::Connect(_)));
    // Too many are believed rather than too few: no bus of the show may be an output.
    let hardware = |name: &str, joined: u32| match is_joined && !options.is_set(name) {
        true => joined,
        false => or(name, 2),
    };
    let is_tcp = options.text("protocol").is_some_and(|it| it.eq_ignore_ascii_case("tcp"));
    let port = number("port").and_then(|it| u16::try_from(it).ok());
    let mut server = consort_sc::Options {
        ip_address: text("address").and_then(|it| it.parse().ok()).unwrap_or(standard.ip_address),
        port: port.unwrap_or(standard.port),
        protocol: if is_tcp { Protocol::Tcp } else { Protocol::Udp },
        maximum_logins: or("logins", 8),
        zero_configuration: options.flag("zero-configuration"),
        audio_bus_channel_count: or("audio-buses", standard.audio_bus_channel_count),
        control_bus_channel_count: or("control-buses", standard.control_bus_channel_count),
        input_bus_channel_count: hardware("inputs", standard.input_bus_channel_count),
        output_bus_channel_count: hardware("outputs", standard.output_bus_channel_count),
        block_size: or("block-size", standard.block_size),
        hardware_buffer_size: number("hardware-buffer-size"),
        sample_rate: number("sample-rate"),
        buffer_count: or("buffers", standard.buffer_count),
        input_device: text("input-device"),
        output_device: text("output-device"),
        maximum_node_count: or("nodes", 4_096),
        maximum_synthdef_count: or("synthdefs", standard.maximum_synthdef_count),
        memory_size: or("memory", 65_536),
        memory_locking: options.flag("memory-locking"),
        random_number_generator_count: or("random-generators", 64),
        wire_buffer_count: or("wire-buffers", 64),
        restricted_path: options.path("restricted-path"),
        ugen_plugins_path: text("ugen-plugins"),
        load_synthdefs: options.flag("load-synthdefs"),
        safety_clip: options.number("safety-clip").map(|it| it as f32),
        password: text("password"),
        input_stream_mask: text("input-streams").unwrap_or_default(),
        output_stream_mask: text("output-streams").unwrap_or_default(),
        threads: number("threads"),
        verbosity: options.integer("verbosity").and_then(|it| i32::try_from(it).ok()).unwrap_or(0),
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
            let pointless = ["program", "port", "address", "environment", "threads"];
            for name in pointless.iter().filter(|name| options.is_set(name)) {
                problems
                    .warning(
                        options.position(name),
                        format!("`{name}` is for a server that the show starts"),
                    )
                    .hint("`server = boot` starts one");
            }
        }
        _ => {
            for name in JACK_PORTS {
                let is_said = server.environment.iter().any(|it| it.0 == name);
                if !is_said && std::env::var_os(name).is_none() {
                    server.environment.push((name.to_owned(), "system".to_owned()));
                }
            }
            let exact = |name: &str| options.position(name);
            if server.maximum_node_count < 64 {
                problems.error(exact("nodes"), "a server needs 64 nodes at least");
            }
        }
    }
    if let Err(error) = server.validate() {
        let message = error.to_string();
        let named = ROWS.iter().find(|row| message.contains(&row.name.replace('-', "_")));
        let at = named.and_then(|row| options.position(row.name));
        problems.error(at, message);
        return None;
    }
    Some(server)
}
