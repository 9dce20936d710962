//! `consort stages`: the reference of stages, generated from their table.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use consort_router::stage::{
    Chain, Inverse, STAGES, StageKind, StageSpec, find_stage, parse, stage_names,
};
use consort_router::transform::LAYER_OPTIONS;
use consort_suggest::did_you_mean_or_list;
use serde::Serialize;

/// Arguments of `consort stages`.
#[derive(Args, Debug)]
pub(crate) struct StagesArgs {
    /// Stage to describe; by default all are listed
    name: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = StagesFormat::Text)]
    format: StagesFormat,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StagesFormat {
    /// Plain text for the terminal
    Text,
    /// One JSON document
    Json,
    /// Markdown, as in docs/
    Markdown,
    /// The curve of one shape as an SVG picture
    Svg,
}

/// A stage as JSON.
#[derive(Serialize)]
struct JsonStage<'s> {
    name: &'s str,
    kind: &'s str,
    signature: String,
    arguments: Vec<JsonArgument<'s>>,
    documentation: &'s str,
    inverse: Option<&'s str>,
    state: bool,
    time: bool,
    example: &'s str,
}

/// An argument as JSON.
#[derive(Serialize)]
struct JsonArgument<'s> {
    name: &'s str,
    expected: String,
    unit: &'s str,
    default: Option<&'s str>,
    documentation: &'s str,
}

/// Describes one stage, or lists all.
pub(crate) fn run(arguments: &StagesArgs) -> anyhow::Result<ExitCode> {
    let chosen = match &arguments.name {
        None => None,
        Some(name) => {
            let Some(spec) = find_stage(name) else {
                let names: Vec<&str> = stage_names().collect();
                let hint = did_you_mean_or_list(name, "stages", names.iter().copied());
                return Err(crate::errors::with_hint(format!("unknown stage `{name}`"), hint));
            };
            Some(spec)
        }
    };
    let text = match (arguments.format, chosen) {
        (StagesFormat::Text, None) => list(),
        (StagesFormat::Text, Some(spec)) => page(spec),
        (StagesFormat::Json, _) => {
            let chosen: Vec<JsonStage<'_>> = STAGES
                .iter()
                .filter(|spec| chosen.is_none_or(|chosen| chosen.name == spec.name))
                .map(json)
                .collect();
            serde_json::to_string_pretty(&chosen)? + "\n"
        }
        (StagesFormat::Markdown, _) => markdown(),
        (StagesFormat::Svg, Some(spec)) if spec.kind == StageKind::Shape => svg(spec),
        (StagesFormat::Svg, _) => bail!("expected the name of a shape, such as `curve`"),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn json(spec: &StageSpec) -> JsonStage<'_> {
    JsonStage {
        name: spec.name,
        kind: spec.kind.word(),
        signature: spec.signature(),
        arguments: spec
            .arguments
            .iter()
            .map(|argument| JsonArgument {
                name: argument.name,
                expected: argument.kind.expected(),
                unit: argument.kind.unit(),
                default: argument.default,
                documentation: argument.documentation,
            })
            .collect(),
        documentation: spec.documentation,
        inverse: match spec.inverse {
            Inverse::Function(text) | Inverse::Sometimes(text) => Some(text),
            Inverse::Unchanged => Some("unchanged"),
            Inverse::None(_) => None,
        },
        state: spec.has_state,
        time: spec.has_time,
        example: spec.example,
    }
}

/// How values come back, in one sentence.
fn back(spec: &StageSpec) -> String {
    match spec.inverse {
        Inverse::Function(text) | Inverse::Sometimes(text) => text.to_owned(),
        Inverse::Unchanged => "unchanged".to_owned(),
        Inverse::None(instead) => format!("not possible; {instead}"),
    }
}

fn list() -> String {
    let width = STAGES.iter().map(|spec| spec.signature().len()).max().unwrap_or(0);
    let mut out = String::new();
    let mut kind = None;
    for spec in STAGES {
        if kind != Some(spec.kind) {
            let blank = if kind.is_some() { "\n" } else { "" };
            let _ = writeln!(out, "{blank}{}", spec.kind.word());
            kind = Some(spec.kind);
        }
        let first = spec.documentation.split(". ").next().unwrap_or_default();
        let first = first.trim_end_matches('.');
        let _ = writeln!(out, "  {:width$}  {first}", spec.signature());
    }
    out.push_str(
        "\n`consort stages NAME` describes one: arguments, the way back and an example.\n",
    );
    out
}

fn page(spec: &StageSpec) -> String {
    let mut out = format!("{}\n\n  {}\n", spec.signature(), spec.documentation);
    for argument in spec.arguments {
        let default = argument.default.map(|default| format!("; default {default}"));
        let _ = writeln!(
            out,
            "\n  {}  {}\n      {}{}",
            argument.name,
            argument.documentation,
            argument.kind.expected(),
            default.unwrap_or_default(),
        );
    }
    let _ = writeln!(out, "\n  Back in `a <> b | …`: {}", back(spec));
    let _ = writeln!(out, "  Example: a.x > b.y | {}", spec.example);
    out
}

fn markdown() -> String {
    let mut out = String::from(
        "# Stages\n\nGenerated by `consort stages --format markdown`; do not edit.\n\n\
         A mapping can change values on their way: `source > target | stage | stage(argument, …)`. \
         [A controller with pages](controller-with-pages.md) explains layers, takeover and \
         feedback.\n\n\
         Arguments are numbers, also as fractions (`33/127`), with a unit where there is one \
         (`ms`, `s`, `Hz`). In `a <> b | …`, values go from the left to the right through the \
         stages, and come back through their inverses. A press is a rise above 0 on keys and \
         buttons, and a rise above a half on all other channels.\n",
    );
    let mut kind = None;
    for spec in STAGES {
        if kind != Some(spec.kind) {
            let word = spec.kind.word();
            let (first, rest) = word.split_at(1);
            let _ = writeln!(out, "\n## {}{rest} stages", first.to_uppercase());
            kind = Some(spec.kind);
        }
        let _ = writeln!(out, "\n### `{}`\n\n{}\n", spec.signature(), spec.documentation);
        for argument in spec.arguments {
            let default = argument.default.map(|default| format!(" Default: {default}."));
            let _ = writeln!(
                out,
                "- `{}`: {}; {}.{}",
                argument.name,
                argument.documentation,
                argument.kind.expected(),
                default.unwrap_or_default(),
            );
        }
        let _ = writeln!(out, "- Back: {}.", back(spec));
        let _ = writeln!(out, "- Example: `a.x > b.y | {}`", spec.example);
        if spec.kind == StageKind::Shape {
            let _ = writeln!(out, "\n![`{}`](pictures/stages/{}.svg)", spec.example, spec.name);
        }
    }
    out.push_str(
        "\n## Options of layers\n\nThey stand below `[map NAME]`, before its first mapping.\n\n",
    );
    for option in LAYER_OPTIONS {
        let default = option.default.map(|default| format!(" Default: `{default}`."));
        let _ = writeln!(
            out,
            "- `{}`: {}{} Example: `{} = {}`",
            option.name,
            option.documentation,
            default.unwrap_or_default(),
            option.name,
            option.example,
        );
    }
    out
}

/// The curve of a shape's example, calculated by the code that routes values.
fn svg(spec: &StageSpec) -> String {
    const SIZE: f64 = 160.0;
    const POINTS: u32 = 320;
    let parsed = parse(spec.example).expect("examples are tested");
    let chain = Chain::new(parsed.stages.into_iter().map(|placed| placed.stage));
    let points: Vec<String> = (0..=POINTS)
        .map(|index| {
            let x = f64::from(index) / f64::from(POINTS);
            let y = chain.shape(x);
            format!("{:.1},{:.1}", 10.0 + x * SIZE, 10.0 + (1.0 - y) * SIZE)
        })
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"180\" height=\"200\" \
         viewBox=\"0 0 180 200\" role=\"img\" aria-label=\"{0}\">\n\
         <rect x=\"10\" y=\"10\" width=\"160\" height=\"160\" fill=\"#ffffff\" stroke=\"#999999\"/>\n\
         <path d=\"M90 10V170M10 90H170\" stroke=\"#dddddd\"/>\n\
         <polyline points=\"{1}\" fill=\"none\" stroke=\"#1668a7\" stroke-width=\"2\"/>\n\
         <text x=\"90\" y=\"190\" font-family=\"monospace\" font-size=\"11\" \
         text-anchor=\"middle\" fill=\"#555555\">{0}</text>\n</svg>\n",
        spec.example,
        points.join(" ")
    )
}
