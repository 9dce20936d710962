//! `consort midi info`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use consort_seq::file::{Body, Damage, MidiFile};
use serde::Serialize;

use super::ports::plain;
use super::roll;
use super::{clock, counted, songs};

/// The maximum number of tempo changes and texts of a file that are printed as text.
const MAX_SHOWN: usize = 20;

/// Arguments of `consort midi info`.
#[derive(clap::Args, Debug)]
pub(crate) struct InfoArguments {
    /// Standard MIDI Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON: a list of files
    #[arg(long)]
    json: bool,
    /// Print the notes as a piano roll: a line for each pitch, a column for each part of a bar
    #[arg(long, conflicts_with = "json")]
    roll: bool,
}

/// What a file contains.
#[derive(Serialize)]
struct Info {
    file: String,
    format: u16,
    division: String,
    /// Length in seconds.
    seconds: f64,
    bars: u64,
    tracks: Vec<TrackInfo>,
    tempos: Vec<Tempo>,
    time_signatures: Vec<Signature>,
    texts: Vec<Text>,
    /// The number of events of each kind.
    events: BTreeMap<&'static str, u64>,
    damage: DamageInfo,
}

/// A track.
#[derive(Serialize, Default)]
struct TrackInfo {
    name: String,
    instrument: String,
    channels: BTreeSet<u8>,
    programs: BTreeSet<u8>,
    events: u64,
    notes: u64,
}

/// A tempo change.
#[derive(Serialize)]
struct Tempo {
    tick: u64,
    seconds: f64,
    bpm: f64,
}

/// A time signature.
#[derive(Serialize)]
struct Signature {
    tick: u64,
    seconds: f64,
    numerator: u8,
    denominator: u8,
}

/// A lyric, marker or other text.
#[derive(Serialize)]
struct Text {
    tick: u64,
    seconds: f64,
    track: u16,
    kind: &'static str,
    text: String,
}

/// What is damaged: the number of errors, and the first of them.
#[derive(Serialize)]
struct DamageInfo {
    count: u64,
    errors: Vec<Fault>,
}

/// An error of a file.
#[derive(Serialize)]
struct Fault {
    byte: usize,
    track: Option<usize>,
    message: String,
}

pub(super) fn run(arguments: &InfoArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for path in &arguments.files {
        let (file, damage) = songs::read(path)?;
        let info = info(&path.display().to_string(), &file, &damage);
        if arguments.json {
            all.push(info);
            continue;
        }
        print(&info, out)?;
        if arguments.roll {
            roll::print(&file, out)?;
        }
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The kind of a text event.
fn text_kind(kind: u8) -> Option<&'static str> {
    match kind {
        1 => Some("text"),
        2 => Some("copyright"),
        5 => Some("lyric"),
        6 => Some("marker"),
        7 => Some("cue"),
        _ => None,
    }
}

/// The kind of an event.
fn kind(body: Body<'_>) -> &'static str {
    match body {
        Body::Message(&[0x80..=0x8f, ..] | &[0x90..=0x9f, _, 0]) => "note-off",
        Body::Message(&[0x90..=0x9f, ..]) => "note-on",
        Body::Message(&[0xa0..=0xaf, ..]) => "key-pressure",
        Body::Message(&[0xb0..=0xbf, ..]) => "controller",
        Body::Message(&[0xc0..=0xcf, ..]) => "program",
        Body::Message(&[0xd0..=0xdf, ..]) => "pressure",
        Body::Message(&[0xe0..=0xef, ..]) => "pitch",
        Body::Message(_) => "system",
        Body::Exclusive(_) => "sysex",
        Body::Meta(..) => "meta",
    }
}

fn info(name: &str, file: &MidiFile, damage: &Damage) -> Info {
    let seconds = |tick| file.time(tick).as_nanoseconds() as f64 / 1e9;
    let mut tracks: Vec<TrackInfo> = Vec::new();
    tracks.resize_with(file.track_count(), TrackInfo::default);
    let mut texts = Vec::new();
    let mut events = BTreeMap::new();
    for event in file.events() {
        let kind = kind(event.body);
        *events.entry(kind).or_insert(0) += 1;
        let Some(track) = tracks.get_mut(usize::from(event.track)) else { continue };
        match event.body {
            Body::Meta(3, text) if track.name.is_empty() => {
                track.name = String::from_utf8_lossy(text).into_owned();
            }
            Body::Meta(4, text) if track.instrument.is_empty() => {
                track.instrument = String::from_utf8_lossy(text).into_owned();
            }
            Body::Meta(number, text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                texts.extend(text_kind(number).map(|kind| Text {
                    tick: event.tick,
                    seconds: seconds(event.tick),
                    track: event.track,
                    kind,
                    text,
                }));
            }
            Body::Message(message) => {
                track.events += 1;
                track.notes += u64::from(kind == "note-on");
                if let &[status @ 0x80..=0xef, data, ..] = message {
                    track.channels.insert(status & 15);
                    if status & 0xf0 == 0xc0 {
                        track.programs.insert(data);
                    }
                }
            }
            Body::Exclusive(_) => track.events += 1,
        }
    }
    let tempo = |(tick, tempo): (u64, u32)| Tempo {
        tick,
        seconds: seconds(tick),
        bpm: 60e6 / f64::from(tempo),
    };
    let is_metrical = matches!(file.division(), consort_seq::file::Division::Metrical(_));
    let signatures = if is_metrical { file.time_signatures() } else { Vec::new() };
    Info {
        file: name.to_owned(),
        format: file.format(),
        division: file.division().to_string(),
        seconds: seconds(file.end_tick()),
        bars: file.bar_count(),
        tracks,
        tempos: if is_metrical { file.tempo_map().changes().map(tempo).collect() } else { vec![] },
        time_signatures: signatures
            .iter()
            .map(|signature| Signature {
                tick: signature.tick,
                seconds: seconds(signature.tick),
                numerator: signature.numerator,
                denominator: signature.denominator,
            })
            .collect(),
        texts,
        events,
        damage: DamageInfo {
            count: damage.count(),
            errors: damage
                .errors()
                .iter()
                .map(|error| Fault {
                    byte: error.position(),
                    track: error.track(),
                    message: error.message().to_owned(),
                })
                .collect(),
        },
    }
}

/// Seconds as `3:25`.
fn time(seconds: f64) -> String {
    clock((seconds * 1e9) as u64)
}

/// Numbers with commas.
fn list(numbers: &BTreeSet<u8>) -> String {
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

fn print(info: &Info, out: &mut dyn Write) -> std::io::Result<()> {
    let bars = match info.bars {
        0 => String::new(),
        bars => format!(", {}", counted(bars, "bar")),
    };
    writeln!(
        out,
        "{}: format {}, {}{bars}, {}, {}",
        info.file,
        info.format,
        time(info.seconds),
        counted(info.tracks.len() as u64, "track"),
        info.division
    )?;
    for (number, track) in (1..).zip(&info.tracks) {
        let mut line = format!("  track {number:<3} {}", counted(track.notes, "note"));
        line += &format!(", {}", counted(track.events, "event"));
        if !track.channels.is_empty() {
            line += &format!("  channels {}", list(&track.channels));
        }
        if !track.programs.is_empty() {
            line += &format!("  programs {}", list(&track.programs));
        }
        for (label, text) in [("name", &track.name), ("instrument", &track.instrument)] {
            if !text.is_empty() {
                line += &format!("  {label} “{}”", plain(text));
            }
        }
        writeln!(out, "{line}")?;
    }
    let events = info.events.iter().map(|(kind, count)| format!("{count} {kind}"));
    writeln!(out, "  events    {}", events.collect::<Vec<_>>().join(", "))?;
    for tempo in info.tempos.iter().take(MAX_SHOWN) {
        writeln!(out, "  tempo     {:>7}  {:.2} bpm", time(tempo.seconds), tempo.bpm)?;
    }
    more(info.tempos.len(), "tempo change", out)?;
    for signature in info.time_signatures.iter().take(MAX_SHOWN) {
        let Signature { seconds, numerator, denominator, .. } = signature;
        writeln!(out, "  meter     {:>7}  {numerator}/{denominator}", time(*seconds))?;
    }
    more(info.time_signatures.len(), "time signature", out)?;
    for text in info.texts.iter().take(MAX_SHOWN) {
        writeln!(out, "  {:<9} {:>7}  {}", text.kind, time(text.seconds), plain(&text.text))?;
    }
    more(info.texts.len(), "text", out)?;
    for fault in &info.damage.errors {
        let track = fault.track.map_or(String::new(), |track| format!(" (track {})", track + 1));
        writeln!(out, "  damage    byte {}{track}: {}", fault.byte, fault.message)?;
    }
    let hidden = info.damage.count.saturating_sub(info.damage.errors.len() as u64);
    if hidden > 0 {
        writeln!(out, "  damage    {}", counted(hidden, "more error"))?;
    }
    Ok(())
}

/// Says how many entries of a list are not printed.
fn more(count: usize, noun: &str, out: &mut dyn Write) -> std::io::Result<()> {
    match count.checked_sub(MAX_SHOWN) {
        None | Some(0) => Ok(()),
        Some(hidden) => {
            writeln!(
                out,
                "            {}; --json prints all",
                counted(hidden as u64, &format!("more {noun}"))
            )
        }
    }
}
