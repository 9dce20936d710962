//! The options of an instance: its client, and its ports.

use consort_router::{InstanceConfig, Problems};

use super::connections::Rule;
use super::cv::{Detection, Range};
use crate::midi_grammar::output::OutputOptions;

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Midi,
    /// Control voltage: samples.
    Cv,
}

/// Where a port's signal goes, as the show sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// One port.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PortConfig {
    pub(super) name: String,
    pub(super) signal: Signal,
    pub(super) direction: Direction,
    /// The samples that stand for 0 and 1.
    pub(super) range: Range,
    /// How an input for control voltage finds values, and how many a second at most.
    pub(super) detection: Detection,
    pub(super) rate: f64,
    /// Whether an output for control voltage goes to a new value in a line.
    pub(super) is_ramped: bool,
    /// The position of its option.
    pub(super) position: usize,
}

/// The most ports of an instance.
const MAX_PORTS: usize = 1_024;

/// The longest name of a client and of a port, in bytes. libjack's own limits are not lower.
const MAX_CLIENT_BYTES: usize = 63;
const MAX_PORT_BYTES: usize = 127;

/// The most values per second that an input for control voltage emits by default.
const DEFAULT_RATE: f64 = 100.0;

/// The options of one `[jack NAME]` section.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) name: String,
    /// The name of the client.
    pub(super) client: String,
    /// The name of the server; `None` is the default server.
    pub(super) server: Option<String>,
    pub(super) ports: Vec<PortConfig>,
    /// The connections that the instance makes.
    pub(super) rules: Vec<Rule>,
    pub(super) output: OutputOptions,
}

/// Validates the name of a client.
pub(super) fn check_client(text: &str) -> Result<(), String> {
    if (1..=MAX_CLIENT_BYTES).contains(&text.len()) && !text.contains([':', '\0']) {
        Ok(())
    } else {
        Err(format!("expected a name without `:`, 1 to {MAX_CLIENT_BYTES} bytes long"))
    }
}

/// Validates the name of a server.
pub(super) fn check_server(text: &str) -> Result<(), String> {
    if (1..=MAX_CLIENT_BYTES).contains(&text.len()) && !text.contains(['/', '\0']) {
        Ok(())
    } else {
        Err(format!("expected a name without `/`, 1 to {MAX_CLIENT_BYTES} bytes long"))
    }
}

/// Splits at blanks; gives each word with where it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_ascii_whitespace()
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// What is wrong with the value of a port: where, and what was expected.
struct PortError {
    range: (usize, usize),
    message: String,
    hint: String,
}

/// The words that describe a port, for hints.
const TOKENS: &str = "a port is `midi` or `cv`, `in` or `out`, and for `cv` also `min F`, `max F`, \
                      `ramp` (out), `mean`, `peak`, `gate` and `rate F` (in)";

/// Reads `midi in`, `cv out min 0 max 5 ramp` and so on.
fn parse_port(name: &str, value: &str, position: usize) -> Result<PortConfig, PortError> {
    let fail = |at: usize, length: usize, message: String| PortError {
        range: (at, at + length),
        message,
        hint: TOKENS.into(),
    };
    let mut port = PortConfig {
        name: name.to_owned(),
        signal: Signal::Midi,
        direction: Direction::Out,
        range: Range { min: 0.0, max: 1.0 },
        detection: Detection::Mean,
        rate: DEFAULT_RATE,
        is_ramped: false,
        position,
    };
    let mut signal = None;
    // Words that need a type or direction, with where they are.
    let mut of_cv = None;
    let mut of_input = None;
    let mut of_output = None;
    let mut words = words(value);
    while let Some((at, word)) = words.next() {
        let mut number = |low: f64, high: f64| -> Result<f64, PortError> {
            let expected = || format!("expected a number from {low} to {high} after `{word}`");
            let (at, text) = words.next().ok_or_else(|| fail(at, word.len(), expected()))?;
            let number = text.parse::<f64>().ok().filter(|number| (low..=high).contains(number));
            number.ok_or_else(|| fail(at, text.len(), expected()))
        };
        match word {
            "midi" => signal = Some(Signal::Midi),
            "cv" => signal = Some(Signal::Cv),
            "osc" => {
                let message = "ports of the type `osc` do not exist in JACK".into();
                return Err(PortError {
                    hint: "use `midi` or `cv`, or the backend `osc`".into(),
                    ..fail(at, word.len(), message)
                });
            }
            "in" => port.direction = Direction::In,
            "out" => port.direction = Direction::Out,
            "min" => port.range.min = number(-1e6, 1e6)? as f32,
            "max" => port.range.max = number(-1e6, 1e6)? as f32,
            "rate" => {
                port.rate = number(0.1, 10_000.0)?;
                (of_cv, of_input) = (Some((at, word)), Some((at, word)));
            }
            "mean" | "peak" | "gate" => {
                port.detection = match word {
                    "mean" => Detection::Mean,
                    "peak" => Detection::Peak,
                    _ => Detection::Gate,
                };
                (of_cv, of_input) = (Some((at, word)), Some((at, word)));
            }
            "ramp" => {
                port.is_ramped = true;
                (of_cv, of_output) = (Some((at, word)), Some((at, word)));
            }
            _ => return Err(fail(at, word.len(), format!("unknown word `{word}` for a port"))),
        }
    }
    let Some(signal) = signal else {
        return Err(fail(0, value.len(), format!("expected the type of the port `{name}`")));
    };
    port.signal = signal;
    let needs = |word: Option<(usize, &str)>, is_met: bool, what: &str| match word {
        Some((at, word)) if !is_met => {
            Err(fail(at, word.len(), format!("`{word}` needs a port that is `{what}`")))
        }
        _ => Ok(()),
    };
    needs(of_cv, signal == Signal::Cv, "cv")?;
    needs(of_input, port.direction == Direction::In, "in")?;
    needs(of_output, port.direction == Direction::Out, "out")?;
    if port.range.min == port.range.max {
        let message = "`min` and `max` are equal, so that there is no range".into();
        return Err(fail(0, value.len(), message));
    }
    Ok(port)
}

impl Config {
    /// Reads the options. `None` after an error.
    pub(super) fn read(instance: &InstanceConfig, problems: &mut Problems) -> Option<Config> {
        let options = &instance.options;
        let is_option = |name: &str| options.specs().iter().any(|spec| spec.name == name);
        let mut ports: Vec<PortConfig> = Vec::new();
        let mut is_valid = true;
        for (position, entry) in options.family("") {
            if is_option(&entry.name) {
                continue;
            }
            let name = entry.name.as_str();
            if name.len() > MAX_PORT_BYTES || name.contains([':', '\0']) {
                let message = format!("invalid name `{name}` of a port");
                let problem = problems.error(Some(position), message);
                problem.hint(format!("use at most {MAX_PORT_BYTES} bytes without `:`"));
                is_valid = false;
                continue;
            }
            if ports.iter().any(|port| port.name == name) {
                problems.error(Some(position), format!("the port `{name}` exists already"));
                is_valid = false;
                continue;
            }
            match parse_port(name, &entry.value, position) {
                Ok(port) => ports.push(port),
                Err(error) => {
                    let names = options.specs().iter().map(|spec| spec.name);
                    let hint = consort_suggest::nearest(name, names)
                        .map_or(error.hint, |found| format!("did you mean the option `{found}`?"));
                    let problem = problems.error(Some(position), error.message);
                    problem.range = Some(error.range);
                    problem.hint(hint);
                    is_valid = false;
                }
            }
        }
        if ports.len() > MAX_PORTS {
            problems.error(None, format!("expected at most {MAX_PORTS} ports"));
            is_valid = false;
        }
        let mut rules = Vec::new();
        for (position, entry) in options.all("connect") {
            match Rule::parse(&entry.value, &ports) {
                Ok(rule) => rules.push(rule),
                Err((message, hint)) => {
                    problems.error(Some(position), message).hint(hint);
                    is_valid = false;
                }
            }
        }
        if ports.is_empty() && is_valid {
            let problem = problems.warning(None, "the instance has no ports");
            problem.hint("add one, such as `notes = midi out`");
        }
        let text = |name| options.text(name).map(str::to_owned);
        is_valid.then(|| Config {
            name: instance.name.clone(),
            client: text("name").unwrap_or_default(),
            server: text("server").filter(|server| server != "default"),
            ports,
            rules,
            output: OutputOptions::read(options),
        })
    }
}
