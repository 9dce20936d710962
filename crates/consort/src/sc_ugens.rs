//! `consort sc ugens`: the UGen reference, generated from the table that SynthDefs are built with.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use consort_sc::synthdef::{
    BinaryOperator, MethodInfo, OperatorInfo, SHAPING_METHODS, UnaryOperator,
};
use consort_sc::ugens::{self, Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec};

use crate::errors::with_hint;
use crate::reference::PageFormat;

/// List the UGens and operators, or describe one
#[derive(clap::Args, Debug)]
pub(crate) struct UGensArguments {
    /// UGen or method of signals to describe, such as SinOsc or tanh; by default all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Output format; Markdown prints the whole reference
    #[arg(long, value_enum, default_value_t = PageFormat::Text, conflicts_with = "name")]
    format: PageFormat,
}

/// Prints to `out`.
///
/// # Errors
/// When neither a UGen nor a method has the name, or `out` cannot be written.
pub(crate) fn run(arguments: &UGensArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let text = match (&arguments.name, arguments.format) {
        (None, PageFormat::Text) => list(),
        (None, PageFormat::Markdown) => markdown(),
        (Some(name), _) => match ugens::find(name) {
            Some(spec) => page(spec),
            None if method_page(name).is_some() => method_page(name).unwrap_or_default(),
            None => {
                let names = ugens::all().map(|spec| spec.name).chain(method_names());
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
    for (title, rows) in
        [("Operators on one signal", unary()), ("Operators on two signals", binary())]
    {
        line(&mut out, format_args!("{title}\n"));
        for row in rows {
            line(
                &mut out,
                format_args!("  {:width$}  {}", forms(&row).join(", "), row.documentation),
            );
        }
        out.push('\n');
    }
    out.push_str("Further methods of signals\n\n");
    for method in SHAPING_METHODS {
        line(&mut out, format_args!("  {:width$}  {}", method.name, method.documentation));
    }
    out.push_str(
        "\n`consort sc ugens NAME` describes a UGen (rates, inputs and outputs) or a method.\n",
    );
    out
}

/// The operators that can be written: those with an expression or a method.
fn written(rows: impl Iterator<Item = OperatorInfo>) -> Vec<OperatorInfo> {
    rows.filter(|row| row.expression.is_some() || !row.methods.is_empty()).collect()
}

fn unary() -> Vec<OperatorInfo> {
    written(UnaryOperator::ALL.iter().map(|operator| operator.info()))
}

fn binary() -> Vec<OperatorInfo> {
    written(BinaryOperator::ALL.iter().map(|operator| operator.info()))
}

/// How an operator can be written: as an expression and by its methods.
fn forms(row: &OperatorInfo) -> Vec<&'static str> {
    row.expression.iter().chain(row.methods).copied().collect()
}

/// The names of all methods of signals.
fn method_names() -> impl Iterator<Item = &'static str> {
    let operators = unary().into_iter().chain(binary()).flat_map(|row| row.methods);
    operators.copied().chain(SHAPING_METHODS.iter().map(|method| method.name))
}

/// How a method is called: `a.clip(minimum, maximum)`.
fn call(method: &MethodInfo) -> String {
    format!("a.{}({})", method.name, method.arguments.join(", "))
}

/// The description of a method of signals as text.
fn method_page(name: &str) -> Option<String> {
    if let Some(method) = SHAPING_METHODS.iter().find(|method| method.name == name) {
        return Some(format!("{}: {}\n", call(method), method.documentation));
    }
    let rows =
        unary().into_iter().map(|row| (row, "")).chain(binary().into_iter().map(|row| (row, "b")));
    for (row, argument) in rows {
        if row.methods.contains(&name) || row.name == name {
            let expression = row.expression.map(str::to_owned);
            let methods = row.methods.iter().map(|method| format!("a.{method}({argument})"));
            let all: Vec<String> = expression.into_iter().chain(methods).collect();
            return Some(format!("{}: {}\n", all.join(", "), row.documentation));
        }
    }
    None
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
         The {} UGens that Consort knows by name. Inputs are in server order, with their default \
         values.\n`[]` marks an input that takes a list. `consort sc ugens NAME` describes a UGen \
         in the terminal. For UGens\nof plugins, use `RawUGen`.\n\n\
         Each rate of a UGen has two constructors. `Line::kr(0.0, 1.0, 2.0)` takes the inputs that are \
         set most often,\nin the order that the documentation of the constructor gives; \
         `Line::control().stop(0.5)` takes all by name. They\nare called `ar` and `audio`, `kr` and \
         `control`, `ir` and `scalar`, `dr` and `demand`.\n",
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
    methods_markdown(&mut out);
    out
}

/// The part of the reference about operators and other methods of signals.
fn methods_markdown(out: &mut String) {
    out.push_str(
        "\n## Operators\n\n\
         Everything that becomes a signal has these: signals, UGens that are being built, `Splay`, \
         `RawUGen`. `a` is the signal\nand `b` the argument: a number, a signal, a UGen or a list. \
         Expressions also take numbers and lists on the left,\nas in `[1.0, 1.5] * \
         SinOsc::ar(440.0)`. For the methods of a number or list, write `[60, 64].signal().midicps()`.\n\
         All names in a row are the same operator. `consort sc ugens tanh` finds one in the terminal.\n",
    );
    for (title, rows) in [("On one signal", unary()), ("On two signals", binary())] {
        line(out, format_args!("\n### {title}\n"));
        out.push_str("| written as | description |\n|---|---|\n");
        for row in rows {
            // A bar would end the cell, even inside of code.
            let forms: Vec<String> =
                forms(&row).iter().map(|form| format!("`{}`", form.replace('|', "\\|"))).collect();
            let documentation = row.documentation.replace('|', "\\|");
            line(out, format_args!("| {} | {documentation} |", forms.join(", ")));
        }
    }
    out.push_str("\n## Further methods of signals\n\n| written as | description |\n|---|---|\n");
    for method in SHAPING_METHODS {
        line(out, format_args!("| `{}` | {} |", call(method), method.documentation));
    }
    out.push_str("| `a.signal()` | The value as a signal, which may be used more than once. |\n");
    out.push_str("| `a.channel(index)` | A channel of the signal, from 0. |\n");
    out.push_str("| `a.split()` | All channels as an array: `let [left, right] = a.split();`. |\n");
}
