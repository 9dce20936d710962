//! `consort backends`: the reference, written from the tables that the backends are made of.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use consort_backends::BACKENDS;
use consort_router::config::unknown_backend;
use consort_router::{BackendDescriptor, OptionFamily, OptionKind, OptionSpec};

use crate::cli::{BackendsArgs, PageFormat};
use crate::diagnostics;

/// The width of terminal pages.
const WIDTH: usize = 80;

/// Explains one backend, or lists all.
pub(crate) fn run(arguments: &BackendsArgs) -> anyhow::Result<ExitCode> {
    let text = match (&arguments.name, arguments.format) {
        (None, PageFormat::Text) => list(BACKENDS),
        (None, PageFormat::Markdown) => list_markdown(BACKENDS),
        (Some(name), format) => {
            let Some(backend) = BACKENDS.iter().find(|it| it.name == name) else {
                diagnostics::print_one(&unknown_backend(name, BACKENDS));
                return Ok(ExitCode::FAILURE);
            };
            match format {
                PageFormat::Text => page(backend),
                PageFormat::Markdown => page_markdown(backend),
            }
        }
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn list(backends: &[&BackendDescriptor]) -> String {
    let width = backends.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for it in backends {
        line(&mut out, format_args!("  {:width$}  {}", it.name, it.summary));
    }
    out.push_str(
        "\n`consort backends NAME` explains one: its options, its channels, an example.\n",
    );
    out
}

fn list_markdown(backends: &[&BackendDescriptor]) -> String {
    let mut out = String::from("# Backends\n\n");
    out.push_str("Written by `consort backends --format markdown`; do not edit.\n\n");
    for it in backends {
        line(&mut out, format_args!("- [`{0}`]({0}.md): {1}", it.name, it.summary));
    }
    out
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{arguments}");
}

/// What a value must look like, in words.
fn kind(kind: OptionKind) -> String {
    match kind {
        OptionKind::Flag => "`on` or `off`".into(),
        OptionKind::Integer(low, high) => format!("a whole number from {low} to {high}"),
        OptionKind::Number(low, high) => format!("a number from {low} to {high}"),
        OptionKind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(" or ")
        }
        OptionKind::Path => "a path, relative to the file in which it stands".into(),
        _ => "text".into(),
    }
}

/// What else there is to know about an option, one fact each.
fn facts(option: &OptionSpec) -> Vec<String> {
    let mut facts = vec![kind(option.kind)];
    if option.required {
        facts.push("must be given".into());
    }
    if option.repeatable {
        facts.push("may be given more than once".into());
    }
    if option.once {
        facts.push("can be given once".into());
    }
    if let Some(default) = option.default {
        facts.push(format!("`{default}` when not given"));
    }
    if !option.aliases.is_empty() {
        let aliases: Vec<String> = option.aliases.iter().map(|it| format!("`{it}`")).collect();
        facts.push(format!("also called {}", aliases.join(", ")));
    }
    facts
}

fn page(backend: &BackendDescriptor) -> String {
    let mut out = format!("{}: {}\n\n", backend.name, backend.summary);
    for paragraph in backend.documentation.split("\n\n") {
        wrap(&mut out, paragraph, 0);
        out.push('\n');
    }
    let options =
        |out: &mut String, title: &str, options: &[OptionSpec], families: &[OptionFamily]| {
            line(out, format_args!("{title}\n"));
            for option in options {
                line(out, format_args!("  {} = {}", option.name, option.example));
                wrap(out, option.documentation, 6);
                wrap(out, &format!("({})", facts(option).join("; ")), 6);
                out.push('\n');
            }
            for family in families {
                line(out, format_args!("  {}", family.example));
                wrap(out, family.documentation, 6);
                wrap(out, &format!("(any option that begins with `{}`)", family.prefix), 6);
                out.push('\n');
            }
            if options.is_empty() && families.is_empty() {
                out.push_str("  none\n\n");
            }
        };
    options(&mut out, &format!("Options of [backend {}]", backend.name), backend.options, &[]);
    let title = format!("Options of an instance, [{} NAME]", backend.name);
    options(&mut out, &title, backend.instance_options, backend.instance_families);
    out.push_str("Channels\n\n");
    for form in backend.channels {
        line(&mut out, format_args!("  {}    such as {}", form.syntax, form.example));
        wrap(&mut out, form.documentation, 6);
        out.push('\n');
    }
    out.push_str("Example\n\n");
    for text in backend.example.lines() {
        line(&mut out, format_args!("{}", format!("  {text}").trim_end()));
    }
    out
}

/// A paragraph of Markdown at the width of a terminal.
fn wrap(out: &mut String, text: &str, indent: usize) {
    let text = text.replace("**", "");
    for row in rows(&text) {
        // What goes on in an item of a list stands below its words.
        let below = indent + if row.starts_with("- ") { 2 } else { 0 };
        let (mut width, mut indent) = (0, indent);
        for word in row.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && indent + width + 1 + length > WIDTH {
                out.push('\n');
                (width, indent) = (0, below);
            }
            match width {
                0 => out.extend(std::iter::repeat_n(' ', indent)),
                _ => out.push(' '),
            }
            width += usize::from(width > 0) + length;
            out.push_str(word);
        }
        out.push('\n');
    }
}

/// The lines of a paragraph as Markdown has them: rows of tables and items of lists; all else
/// goes on.
fn rows(text: &str) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for line in text.lines() {
        match rows.last_mut() {
            Some(row) if !line.starts_with(['|', '-']) && !row.starts_with('|') => {
                row.push(' ');
                row.push_str(line);
            }
            _ => rows.push(line.to_owned()),
        }
    }
    rows
}

fn page_markdown(backend: &BackendDescriptor) -> String {
    let mut out = format!("# `{}`: {}\n\n", backend.name, backend.summary);
    line(
        &mut out,
        format_args!(
            "Written by `consort backends {} --format markdown`; do not edit.\n",
            backend.name
        ),
    );
    line(&mut out, format_args!("{}\n", backend.documentation.trim()));
    let options =
        |out: &mut String, title: &str, options: &[OptionSpec], families: &[OptionFamily]| {
            line(out, format_args!("## {title}\n"));
            for option in options {
                line(out, format_args!("### `{}`\n", option.name));
                line(out, format_args!("{}\n", option.documentation));
                for fact in facts(option) {
                    line(out, format_args!("- {fact}"));
                }
                if !option.example.is_empty() {
                    line(out, format_args!("- for example `{} = {}`", option.name, option.example));
                }
                out.push('\n');
            }
            for family in families {
                line(out, format_args!("### `{}…`\n", family.prefix));
                line(out, format_args!("{}\n", family.documentation));
                line(out, format_args!("- any option that begins with `{}`", family.prefix));
                line(out, format_args!("- for example `{}`\n", family.example));
            }
            if options.is_empty() && families.is_empty() {
                out.push_str("None.\n\n");
            }
        };
    options(&mut out, &format!("Options of `[backend {}]`", backend.name), backend.options, &[]);
    let title = format!("Options of an instance, `[{} NAME]`", backend.name);
    options(&mut out, &title, backend.instance_options, backend.instance_families);
    out.push_str("## Channels\n\n");
    for form in backend.channels {
        line(&mut out, format_args!("### `{}`\n", form.syntax));
        line(
            &mut out,
            format_args!("{}\n\n- for example `{}`\n", form.documentation, form.example),
        );
    }
    out.push_str("## Example\n\n```ini\n");
    line(&mut out, format_args!("{}\n```", backend.example.trim()));
    out
}
