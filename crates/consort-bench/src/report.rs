//! The lines that a benchmark prints, for people and as JSON.
#![allow(clippy::print_stdout)] // The lines are the result.

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::statistics::Interval;

/// The variable that names the file to which the lines of JSON are appended.
const RESULTS: &str = "CONSORT_BENCH_RESULTS";

/// The variable with the name of the script that runs the benchmark, for the sections of the table.
const SCRIPT: &str = "CONSORT_BENCH_SCRIPT";

/// What a figure must not exceed, or must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// At most this, in the unit of the figure.
    AtMost(f64),
    /// At least this, in the unit of the figure.
    AtLeast(f64),
    /// At most this many times the floor.
    AtMostFloor(f64),
    /// At least this many times the floor.
    AtLeastFloor(f64),
    /// At least this many times as fast as the peer.
    FasterThanPeer(f64),
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::AtMost(limit) => write!(formatter, "≤ {limit}"),
            Budget::AtLeast(limit) => write!(formatter, "≥ {limit}"),
            Budget::AtMostFloor(limit) => write!(formatter, "≤ {limit} × floor"),
            Budget::AtLeastFloor(limit) => write!(formatter, "≥ {limit} × floor"),
            Budget::FasterThanPeer(limit) => write!(formatter, "≥ {limit} × as fast as peer"),
        }
    }
}

/// A figure with what it is compared with; made by [`report`], printed by [`Report::print`].
#[derive(Clone, Debug)]
#[must_use = "call `print`"]
pub struct Report {
    work: String,
    unit: &'static str,
    ours: f64,
    interval: Option<(f64, f64)>,
    floor: Option<f64>,
    peer: Option<(String, f64)>,
    budget: Option<Budget>,
    is_rate: bool,
    note: Option<String>,
}

/// Begins a report. `work` identifies the figure between runs, so that it must be unique and must
/// not contain measured values. Lower figures are better, unless the report calls
/// [`Report::higher_is_better`].
pub fn report(work: impl Into<String>, unit: &'static str) -> Report {
    Report {
        work: work.into(),
        unit,
        ours: f64::NAN,
        interval: None,
        floor: None,
        peer: None,
        budget: None,
        is_rate: false,
        note: None,
    }
}

impl Report {
    /// The figure of the least work that does the task, measured in the same run.
    pub fn floor(mut self, figure: f64) -> Self {
        self.floor = Some(figure);
        self
    }

    /// The figure of another project, measured in the same run; `None` if it is not installed.
    pub fn peer(mut self, name: impl Into<String>, figure: impl Into<Option<f64>>) -> Self {
        self.peer = figure.into().map(|figure| (name.into(), figure));
        self
    }

    /// The figure of this project.
    pub fn ours(mut self, figure: f64) -> Self {
        self.ours = figure;
        self
    }

    /// The figure of this project with its interval, whose worse end must meet the budget.
    pub fn ours_between(mut self, interval: Interval) -> Self {
        self.ours = interval.estimate;
        self.interval = Some((interval.low, interval.high));
        self
    }

    /// What the figure of this project must not exceed, or must reach.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The figures are rates or the like.
    pub fn higher_is_better(mut self) -> Self {
        self.is_rate = true;
        self
    }

    /// More for people, such as a range: it is not part of the JSON.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// How many times as fast as the peer we are.
    fn speed(&self, ours: f64) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        Some(if self.is_rate { ours / peer } else { peer / ours })
    }

    /// Whether the budget is met; `None` if there is none, or nothing to compare with.
    fn is_met(&self) -> Option<bool> {
        let (low, high) = self.interval.unwrap_or((self.ours, self.ours));
        let worst = if self.is_rate { low } else { high };
        // A comparison with NaN is false, so that a figure that was not measured is not met.
        match self.budget? {
            Budget::AtMost(limit) => Some(high <= limit),
            Budget::AtLeast(limit) => Some(low >= limit),
            Budget::AtMostFloor(limit) => Some(high <= limit * self.floor?),
            Budget::AtLeastFloor(limit) => Some(low >= limit * self.floor?),
            Budget::FasterThanPeer(limit) => Some(self.speed(worst)? >= limit),
        }
    }

    /// Prints the line, and appends it to the file of results if there is one. Returns whether the
    /// budget is met; `None` if there is none, or nothing to compare with.
    ///
    /// # Panics
    /// If the file of results cannot be written.
    pub fn print(self) -> Option<bool> {
        println!("{self}");
        if let Some(path) = std::env::var_os(RESULTS).filter(|path| !path.is_empty()) {
            let mut line = self.json(std::env::var(SCRIPT).ok().as_deref());
            line.push('\n');
            let file = OpenOptions::new().append(true).create(true).open(&path);
            if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                panic!("cannot append to {}: {error}", path.display());
            }
        }
        self.is_met()
    }

    /// The line of JSON.
    fn json(&self, script: Option<&str>) -> String {
        let text = |text: Option<&str>| text.map_or("null".to_owned(), quote);
        let (peer_name, peer) = self.peer.as_ref().map(|(name, peer)| (&**name, *peer)).unzip();
        let budget = self.budget.map(|budget| budget.to_string());
        let mut line = format!(
            "{{\"script\":{},\"work\":{},\"unit\":{},\"floor\":{},\"peer\":{},\"peer_name\":{},\
             \"ours\":{}",
            text(script),
            quote(&self.work),
            quote(self.unit),
            number(self.floor),
            number(peer),
            text(peer_name),
            number(Some(self.ours)),
        );
        if let Some((low, high)) = self.interval {
            let _ = write!(line, ",\"interval\":[{},{}]", number(Some(low)), number(Some(high)));
        }
        let met = self.is_met().map_or("null", |is_met| if is_met { "true" } else { "false" });
        let better = if self.is_rate { "higher" } else { "lower" };
        let budget = text(budget.as_deref());
        let _ = write!(line, ",\"budget\":{budget},\"met\":{met},\"better\":\"{better}\"}}");
        line
    }
}

/// The line for people.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let padding = 52_usize.saturating_sub(self.work.chars().count());
        write!(formatter, "  {}{:padding$} {:>9} {}", self.work, "", figure(self.ours), self.unit)?;
        if let Some((low, high)) = self.interval {
            write!(formatter, " [{}, {}]", figure(low), figure(high))?;
        }
        if let Some(note) = &self.note {
            write!(formatter, " ({note})")?;
        }
        if let Some(floor) = self.floor {
            write!(formatter, " | floor {}", figure(floor))?;
            if floor != 0.0 {
                write!(formatter, ", {:.2} ×", self.ours / floor)?;
            }
        }
        if let Some((name, peer)) = &self.peer {
            write!(formatter, " | {name} {}", figure(*peer))?;
            if let Some(speed) = self.speed(self.ours).filter(|speed| speed.is_finite()) {
                write!(formatter, ", {} × as fast", figure(speed))?;
            }
        }
        if let Some(budget) = self.budget {
            write!(formatter, " | budget {budget}: ")?;
            formatter.write_str(match self.is_met() {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "nothing to compare with",
            })?;
        }
        Ok(())
    }
}

/// A figure with about three significant digits.
fn figure(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    format!("{value:.places$}")
}

/// A number of JSON, which has no infinity and no NaN.
fn number(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => value.to_string(),
        None => "null".to_owned(),
    }
}

/// A string of JSON.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", letter as u32);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_compare_with_limit_floor_and_peer() {
        let time = |ours: f64| report("work", "ns").floor(10.0).peer("peer", 100.0).ours(ours);
        let rate = |ours: f64| time(ours).higher_is_better();
        for (report, budget, is_met) in [
            (time(11.0), Budget::AtMost(11.0), true),
            (time(11.1), Budget::AtMost(11.0), false),
            (rate(11.0), Budget::AtLeast(11.0), true),
            (rate(10.9), Budget::AtLeast(11.0), false),
            (time(11.0), Budget::AtMostFloor(1.1), true),
            (time(11.1), Budget::AtMostFloor(1.1), false),
            (rate(9.0), Budget::AtLeastFloor(0.9), true),
            (rate(8.9), Budget::AtLeastFloor(0.9), false),
            (time(10.0), Budget::FasterThanPeer(10.0), true),
            (time(10.1), Budget::FasterThanPeer(10.0), false),
            (rate(1000.0), Budget::FasterThanPeer(10.0), true),
            (rate(999.0), Budget::FasterThanPeer(10.0), false),
            (time(f64::NAN), Budget::AtMost(11.0), false),
        ] {
            assert_eq!(report.clone().budget(budget).is_met(), Some(is_met), "{report} {budget}");
        }
        assert_eq!(time(1.0).is_met(), None);
        let alone = report("work", "ns").peer("peer", None).ours(1.0);
        assert_eq!(alone.budget(Budget::FasterThanPeer(2.0)).is_met(), None);
    }

    #[test]
    fn the_worse_end_of_an_interval_counts() {
        let interval = Interval { estimate: 10.0, low: 5.0, high: 20.0 };
        let report = report("work", "µs").ours_between(interval);
        assert_eq!(report.clone().budget(Budget::AtMost(15.0)).is_met(), Some(false));
        assert_eq!(report.clone().budget(Budget::AtMost(20.0)).is_met(), Some(true));
        assert_eq!(report.budget(Budget::AtLeast(6.0)).is_met(), Some(false));
    }

    #[test]
    fn the_lines_for_people_and_programs() {
        let report = report("decode \"/x\" ,f", "ns")
            .floor(20.0)
            .peer("rosc", 80.0)
            .ours(21.0)
            .budget(Budget::AtMostFloor(1.1))
            .note("20–25");
        assert_eq!(
            report.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
            "decode \"/x\" ,f 21.0 ns (20–25) | floor 20.0, 1.05 × | rosc 80.0, 3.81 × as fast | budget ≤ \
             1.1 × floor: met"
        );
        assert_eq!(
            report.json(Some("10-osc-codec")),
            "{\"script\":\"10-osc-codec\",\"work\":\"decode \\\"/x\\\" ,f\",\"unit\":\"ns\",\
             \"floor\":20,\"peer\":80,\"peer_name\":\"rosc\",\"ours\":21,\"budget\":\"≤ 1.1 × \
             floor\",\"met\":true,\"better\":\"lower\"}"
        );
        let bare = super::report("control\u{1}", "1/s").higher_is_better().ours(f64::NAN);
        assert_eq!(
            bare.json(None),
            "{\"script\":null,\"work\":\"control\\u0001\",\"unit\":\"1/s\",\"floor\":null,\
             \"peer\":null,\"peer_name\":null,\"ours\":null,\"budget\":null,\"met\":null,\
             \"better\":\"higher\"}"
        );
    }
}
