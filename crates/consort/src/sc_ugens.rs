//! `consort sc ugens`: the reference of UGens, written from the table that SynthDefs are built by.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use consort_sc::ugens::{self, Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec};

use crate::cli::PageFormat;

/// Explain a UGen, or list all.
#[derive(clap::Args, Debug)]
pub(crate) struct UGensArguments {
    /// The UGen to explain, as the server names it; without one, all are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How to write it; Markdown is the whole reference.
    #[arg(long, value_enum, default_value_t = PageFormat::Text, conflicts_with = "name")]
    format: PageFormat,
}

/// Prints to `out`.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn run(arguments: &UGensArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let text = match (&arguments.name, arguments.format) {
        (None, PageFormat::Text) => list(),
        (None, PageFormat::Markdown) => markdown(),
        (Some(name), _) => match ugens::find(name) {
            Some(spec) => page(spec),
            None => {
                let hint = match ugens::nearest(name) {
                    Some(nearest) => format!("did you mean `{}`?", nearest.name),
                    None => "`consort sc ugens` lists all".to_owned(),
                };
                tracing::error!(
                    "the table has no UGen `{name}`; {hint} (UGens of plugins are built by name, \
                     with `RawUGen`)"
                );
                return Ok(ExitCode::FAILURE);
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
    out.push_str("`consort sc ugens NAME` explains one: its rates, its inputs, its outputs.\n");
    out
}

fn rates(spec: &UGenSpec) -> String {
    if spec.rates.is_empty() {
        return "as its inputs".to_owned();
    }
    spec.rates.iter().map(|rate| rate.token()).collect::<Vec<_>>().join(", ")
}

fn outputs(spec: &UGenSpec) -> String {
    match spec.outputs {
        Outputs::Fixed(count) => count.to_string(),
        Outputs::Variable(count) => format!("as asked for, or {count}"),
        Outputs::ByInput => "by its inputs".to_owned(),
        _ => "?".to_owned(),
    }
}

fn default(parameter: &UGenParameter) -> String {
    match parameter.default {
        ParameterDefault::Required => "must be given".to_owned(),
        ParameterDefault::Value(value) if value.is_infinite() => "without end".to_owned(),
        ParameterDefault::Value(value) => value.to_string(),
        ParameterDefault::Automatic => "by the others".to_owned(),
        _ => "?".to_owned(),
    }
}

/// What else there is to know.
fn notes(spec: &UGenSpec) -> Vec<&'static str> {
    let notes = [
        (UGenFlags::PURE, "left out where nothing reads it"),
        (UGenFlags::WIDTH_FIRST, "runs before all that was built after it"),
        (UGenFlags::DONE, "tells when it has finished"),
        (UGenFlags::INPUT, "reads buses"),
        (UGenFlags::OUTPUT, "writes buses"),
        (UGenFlags::PV_CHAIN, "works on a spectrum in place"),
        (UGenFlags::DEMAND_CONSUMER, "asks demand-rate inputs"),
        (UGenFlags::SAME_RATE, "at `ar`, the first input has to be `ar`, too"),
    ];
    notes.into_iter().filter(|(flag, _)| spec.flags.contains(*flag)).map(|(_, note)| note).collect()
}

fn page(spec: &UGenSpec) -> String {
    let mut out = format!("{}: {}\n\n", spec.name, spec.documentation);
    line(&mut out, format_args!("  rates    {}", rates(spec)));
    line(&mut out, format_args!("  outputs  {}", outputs(spec)));
    for note in notes(spec) {
        line(&mut out, format_args!("  note     {}", note.replace('`', "")));
    }
    out.push_str("\nInputs, in the order of the server\n\n");
    let width = spec.parameters.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for parameter in spec.parameters {
        let list = if parameter.list { " (a list)" } else { "" };
        line(&mut out, format_args!("  {:width$}  {}{list}", parameter.name, default(parameter)));
    }
    if spec.parameters.is_empty() {
        out.push_str("  none\n");
    }
    out
}

fn markdown() -> String {
    let mut out = format!(
        "# UGens\n\n\
         Written by `consort sc ugens --format markdown`; do not edit.\n\n\
         The {} UGens that SynthDefs are built of by name, with their inputs in the order of the \
         server and the\nvalues of those that are not given. A `[]` marks an input that takes a \
         list. `consort sc ugens NAME`\nexplains one at the terminal; those of plugins are built \
         with `RawUGen`.\n",
        ugens::all().count()
    );
    for family in ugens::families() {
        line(&mut out, format_args!("\n## {}\n", family.title));
        out.push_str("| UGen | what it does | rates | outputs | inputs | notes |\n");
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
