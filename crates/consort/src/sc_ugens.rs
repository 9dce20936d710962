//! `consort sc ugens`: the UGen reference, generated from the table that SynthDefs are built with.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use consort_sc::ugens::{self, Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec};

use crate::errors::with_hint;
use crate::reference::PageFormat;

/// List the UGens, or describe one
#[derive(clap::Args, Debug)]
pub(crate) struct UGensArguments {
    /// UGen to describe, by its name on the server; by default all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Output format; Markdown prints the whole reference
    #[arg(long, value_enum, default_value_t = PageFormat::Text, conflicts_with = "name")]
    format: PageFormat,
}

/// Prints to `out`.
///
/// # Errors
/// When the UGen does not exist, or `out` cannot be written.
pub(crate) fn run(arguments: &UGensArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let text = match (&arguments.name, arguments.format) {
        (None, PageFormat::Text) => list(),
        (None, PageFormat::Markdown) => markdown(),
        (Some(name), _) => match ugens::find(name) {
            Some(spec) => page(spec),
            None => {
                let names = ugens::all().map(|spec| spec.name);
                let hint = consort_suggest::did_you_mean(name, names)
                    .unwrap_or_else(|| "`consort sc ugens` lists all UGens".to_owned());
                return Err(with_hint(
                    format!("unknown UGen `{name}` (for UGens of plugins use `RawUGen`)"),
                    hint,
                ));
            }
        },
    };
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{arguments}");
}

/// All UGens with their descriptions, as text.
fn list() -> String {
    let width = ugens::all().map(|spec| spec.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for family in ugens::families() {
        line(&mut out, format_args!("{}\n", family.title));
        for spec in family.ugens {
            line(&mut out, format_args!("  {:width$}  {}", spec.name, spec.documentation));
        }
        out.push('\n');
    }
    out.push_str("`consort sc ugens NAME` describes one: rates, inputs and outputs.\n");
    out
}

fn rates(spec: &UGenSpec) -> String {
    if spec.rates.is_empty() {
        return "those of its inputs".to_owned();
    }
    spec.rates.iter().map(|rate| rate.token()).collect::<Vec<_>>().join(", ")
}

fn outputs(spec: &UGenSpec) -> String {
    match spec.outputs {
        Outputs::Fixed(count) => count.to_string(),
        Outputs::Variable(count) => format!("variable (default {count})"),
        Outputs::ByInput => "set by its inputs".to_owned(),
        _ => "?".to_owned(),
    }
}

fn default(parameter: &UGenParameter) -> String {
    match parameter.default {
        ParameterDefault::Required => "required".to_owned(),
        ParameterDefault::Value(value) if value.is_infinite() => "infinite".to_owned(),
        ParameterDefault::Value(value) => value.to_string(),
        ParameterDefault::Automatic => "computed from other inputs".to_owned(),
        _ => "?".to_owned(),
    }
}

/// Properties that matter when UGens are combined.
fn notes(spec: &UGenSpec) -> Vec<&'static str> {
    let notes = [
        (UGenFlags::PURE, "removed if its output is unused"),
        (UGenFlags::WIDTH_FIRST, "runs before every UGen built after it"),
        (UGenFlags::DONE, "sets a done flag when it finishes"),
        (UGenFlags::INPUT, "reads buses"),
        (UGenFlags::OUTPUT, "writes buses"),
        (UGenFlags::PV_CHAIN, "processes an FFT chain in place"),
        (UGenFlags::DEMAND_CONSUMER, "consumes demand-rate inputs"),
        (UGenFlags::SAME_RATE, "at `ar`, the first input must be `ar`, too"),
    ];
    notes.into_iter().filter(|(flag, _)| spec.flags.contains(*flag)).map(|(_, note)| note).collect()
}

/// The description of a UGen as text.
fn page(spec: &UGenSpec) -> String {
    let mut out = format!("{}: {}\n\n", spec.name, spec.documentation);
    line(&mut out, format_args!("  rates    {}", rates(spec)));
    line(&mut out, format_args!("  outputs  {}", outputs(spec)));
    for note in notes(spec) {
        line(&mut out, format_args!("  note     {}", note.replace('`', "")));
    }
    out.push_str("\nInputs in server order\n\n");
    let width = spec.parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    for parameter in spec.parameters {
        let list = if parameter.list { " (a list)" } else { "" };
        line(&mut out, format_args!("  {:width$}  {}{list}", parameter.name, default(parameter)));
    }
    if spec.parameters.is_empty() {
        out.push_str("  none\n");
    }
    out
}

/// The whole reference as Markdown.
fn markdown() -> String {
    let mut out = format!(
        "# UGens\n\n\
         Generated by `consort sc ugens --format markdown`; do not edit.\n\n\
         The {} UGens that SynthDefs can contain by name. Inputs are in server order, with their \
         default values.\n`[]` marks an input that takes a list. `consort sc ugens NAME` \
         describes a UGen in the terminal. For UGens\nof plugins, use `RawUGen`.\n",
        ugens::all().count()
    );
    for family in ugens::families() {
        line(&mut out, format_args!("\n## {}\n", family.title));
        out.push_str("| UGen | description | rates | outputs | inputs | notes |\n");
        out.push_str("|---|---|---|---|---|---|\n");
        for spec in family.ugens {
            let inputs: Vec<String> = spec
                .parameters
                .iter()
                .map(|parameter| {
                    let list = if parameter.list { "[]" } else { "" };
                    match parameter.default {
                        ParameterDefault::Required => format!("`{}{list}`", parameter.name),
                        _ => format!("`{}{list}` {}", parameter.name, default(parameter)),
                    }
                })
                .collect();
            let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
            line(
                &mut out,
                format_args!(
                    "| `{}` | {} | {} | {} | {} | {} |",
                    spec.name,
                    spec.documentation,
                    rates(spec),
                    outputs(spec),
                    or_none(inputs.join(", ")),
                    or_none(notes(spec).join("; "))
                ),
            );
        }
    }
    out
}
