//! The drawing of the live view: title, instances, channels with meters, log and keys. Made for
//! 80 columns and more, with characters that the Linux console has, too.

use consort_control::InstanceReading;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout as Split, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::screen::{Mode, Screen};
use crate::text::{counted, losses, printable};

/// Columns of an instance's line without its name.
const INSTANCE_COLUMNS: usize = 68;
/// Columns of an instance's line for its input, if there is room.
const INPUT_COLUMNS: usize = 20;
/// Columns of a channel's line without its name and its meter.
const CHANNEL_COLUMNS: usize = 27;
/// Names with more columns are cut.
const MAX_NAME_COLUMNS: usize = 32;

impl Screen {
    /// Draws everything.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let (third, quarter) = ((area.height / 3).max(2), (area.height / 4).max(2));
        let instances = self.instance_lines(area.width.into());
        let instance_lines = instances.iter().map(Vec::len).sum::<usize>();
        let log = self.log.len().saturating_add(1).clamp(2, quarter.into()) as u16;
        let rows = Split::vertical([
            Constraint::Length(1),
            Constraint::Length(instance_lines.min(third.into()) as u16),
            Constraint::Min(2),
            Constraint::Length(log),
            Constraint::Length(1),
        ])
        .split(area);
        self.draw_title(frame, rows[0]);
        draw_instances(frame, rows[1], instances);
        if !self.findings.is_empty() {
            self.draw_findings(frame, rows[2]);
        } else if self.shows_unmatched {
            self.draw_unmatched(frame, rows[2]);
        } else {
            self.draw_channels(frame, rows[2]);
        }
        self.draw_log(frame, rows[3]);
        self.draw_keys(frame, rows[4]);
    }

    /// The show's name, and on the right its state, time and total rate.
    fn draw_title(&self, frame: &mut Frame<'_>, area: Rect) {
        let total: f64 = self.instance_rates.iter().map(|rate| rate.0).sum();
        let seconds = self.reading.seconds as u64;
        let state = match (self.is_paused, self.reading.running) {
            (true, _) => "PAUSED",
            (false, true) => "running",
            (false, false) => "not running",
        };
        let (problems, colour) = self.problems();
        let right = format!(
            "{state}{problems}  {}:{:02}:{:02}  {} values/s ",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            rate(total)
        );
        let room = usize::from(area.width).saturating_sub(right.chars().count() + 1);
        let left = format!(" consort  {}", self.layout.show);
        let bar = Style::new().fg(colour).add_modifier(Modifier::REVERSED | Modifier::BOLD);
        frame.render_widget(Paragraph::new(right).style(bar).alignment(Alignment::Right), area);
        let left_area = Rect { width: area.width.min(room as u16), ..area };
        frame.render_widget(Paragraph::new(cut(&left, room)).style(bar), left_area);
    }

    /// How many instances are in a state that needs attention, for the title, and its colour.
    fn problems(&self) -> (String, Color) {
        let mut text = String::new();
        let mut colour = Color::Reset;
        for (word, mark) in
            [("waiting", Color::Yellow), ("degraded", Color::Yellow), ("failed", Color::Red)]
        {
            let instances = self.reading.instances.iter();
            let count = instances.filter(|instance| instance.state == word).count();
            if count > 0 {
                text.push_str(&format!(", {count} {word}"));
                colour = mark;
            }
        }
        (text, colour)
    }

    /// The heading, then for each instance its line, the reason for its state and its details, if
    /// there are any.
    fn instance_lines(&self, width: usize) -> Vec<Vec<Line<'static>>> {
        let longest = self.layout.instances.iter().map(|instance| width_of(&instance.name)).max();
        let room = width.saturating_sub(INSTANCE_COLUMNS).clamp(8, MAX_NAME_COLUMNS);
        let name_width = longest.unwrap_or(0).clamp(8, room);
        let heading = format!(
            " {:<name_width$} {:<8} {:<10} {:>8} {:>6} {:>8} {:>6} {:>7} {:>6}",
            "instance", "backend", "state", "in", "/s", "out", "/s", "dropped", "errors"
        );
        // Two more columns where there is room.
        let is_wide = width >= name_width + INSTANCE_COLUMNS + INPUT_COLUMNS;
        let heading = match is_wide {
            true => format!("{heading} {:>9} {:>9}", "unmatched", "last in"),
            false => heading,
        };
        let mut groups = vec![vec![Line::styled(heading, dim())]];
        let empty = InstanceReading::default();
        for (index, instance) in self.layout.instances.iter().enumerate() {
            let reading = self.reading.instances.get(index).unwrap_or(&empty);
            let (incoming, outgoing) = self.instance_rates[index];
            let state = state_style(&reading.state);
            let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
            let mark = |count: u64| if count > 0 { bad } else { Style::new() };
            let mut group = vec![Line::from(vec![
                Span::styled(
                    format!(" {}", filled(&instance.name, name_width)),
                    Style::new().add_modifier(Modifier::BOLD),
                ),
                Span::raw(format!(" {}", filled(&instance.backend, 8))),
                Span::styled(format!(" ● {:<8}", reading.state), state),
                Span::raw(format!(
                    " {:>8} {:>6} {:>8} {:>6}",
                    count(reading.incoming),
                    rate(incoming),
                    count(reading.outgoing),
                    rate(outgoing)
                )),
                Span::styled(format!(" {:>7}", count(reading.dropped)), mark(reading.dropped)),
                Span::styled(format!(" {:>6}", count(reading.errors)), mark(reading.errors)),
                Span::raw(if is_wide { self.input_columns(reading) } else { String::new() }),
            ])];
            if let Some(reason) = &reading.reason {
                group.push(Line::styled(cut(&format!("   {}", printable(reason)), width), state));
            }
            let losses = losses(reading.lost, reading.refused);
            let lost = losses.strip_prefix(", ").map(str::to_owned);
            let notes: Vec<String> = lost.into_iter().chain(reading.note.clone()).collect();
            if !notes.is_empty() {
                let text = format!("   {}", printable(&notes.join("; ")));
                group.push(Line::styled(cut(&text, width), Style::new().fg(Color::Yellow)));
            }
            if let Some(details) = &reading.details {
                group.push(Line::styled(cut(&format!("   {details}"), width), dim()));
            }
            groups.push(group);
        }
        groups
    }

    /// How much input no mapping uses, and how long ago the last input arrived.
    fn input_columns(&self, reading: &InstanceReading) -> String {
        let age = reading.last_input.map(|last| (self.reading.seconds - last).max(0.0));
        let age = match age {
            None => "-".to_owned(),
            Some(age) if age < 100.0 => format!("{age:.1} s"),
            Some(age) => format!("{age:.0} s"),
        };
        format!(" {:>9} {age:>9}", count(reading.unmatched))
    }

    /// The channels around the selected one.
    fn draw_channels(&self, frame: &mut Frame<'_>, area: Rect) {
        let room = area.height.saturating_sub(1) as usize;
        let first = (self.selected + 1).saturating_sub(room);
        let visible = self.shown.get(first..).unwrap_or_default();
        let visible = &visible[..visible.len().min(room)];
        let mut title = format!(
            "channels: {} of {}, by {}",
            self.shown.len(),
            self.channels.len(),
            self.order.word()
        );
        if !self.search.is_empty() {
            title.push_str(&format!(", matching \"{}\"", self.search));
        }
        if visible.len() < self.shown.len() {
            title.push_str(&format!(", lines {}-{}", first + 1, first + visible.len()));
        }
        let width = usize::from(area.width);
        let mut lines = vec![rule(&title, width)];
        let longest = visible.iter().map(|&index| width_of(&self.channels[index].name)).max();
        let name_width =
            longest.unwrap_or(0).clamp(12, MAX_NAME_COLUMNS.min(width * 2 / 5).max(12));
        let meter_width = width.saturating_sub(name_width + CHANNEL_COLUMNS).max(4);
        for (row, &index) in visible.iter().enumerate() {
            let is_selected = first + row == self.selected;
            let (value, events) = self.value(index);
            let rest = match (is_selected, events) {
                (true, _) => Style::new().add_modifier(Modifier::BOLD),
                (false, 0) => dim(),
                (false, _) => Style::new(),
            };
            let moving = if self.rates[index] > 0.0 { Color::Cyan } else { Color::Blue };
            let (full, empty) = meter(value, meter_width);
            let number = if events == 0 { "-".to_owned() } else { format!("{value:.3}") };
            let mark = if is_selected { '>' } else { ' ' };
            let name = filled(&self.channels[index].name, name_width);
            lines.push(Line::from(vec![
                Span::styled(format!("{mark}{name} "), rest),
                Span::styled(full, Style::new().fg(moving)),
                Span::styled(empty, dim()),
                Span::styled(
                    format!(" {number:>5} {:>8} {:>7}/s", count(events), rate(self.rates[index])),
                    rest,
                ),
            ]));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The last inputs that no mapping uses.
    fn draw_unmatched(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let mut lines = vec![rule(&format!("unmatched input: {}", self.unmatched.len()), width)];
        let room = usize::from(area.height).saturating_sub(1);
        for (instance, input) in self.unmatched.iter().take(room) {
            let name = self.layout.instances.get(*instance as usize);
            let name = name.map_or("", |instance| instance.name.as_str());
            let age = (self.reading.seconds - input.last).max(0.0);
            let text = format!(
                " {} {:<16} {:>8}  {age:>7.1} s ago  {}",
                filled(&format!("{name}.{}", input.channel), MAX_NAME_COLUMNS.min(width / 2)),
                format!("{} {}", input.types, input.raw).trim(),
                count(input.count),
                input.sender
            );
            lines.push(Line::raw(cut(&text, width)));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// What keeps the selected channel from working.
    fn draw_findings(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut lines = vec![rule("why", area.width.into())];
        for finding in &self.findings {
            let style = match finding.problem {
                true => Style::new().fg(Color::Yellow),
                false => Style::new(),
            };
            for line in crate::why::text(finding, " ").lines() {
                lines.push(Line::styled(line.to_owned(), style));
            }
        }
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
    }

    /// The last lines of the log.
    fn draw_log(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let mut lines = vec![rule("log", width)];
        let first = self.log.len().saturating_sub(area.height.saturating_sub(1) as usize);
        for line in &self.log[first..] {
            let is_level = |word: &&str| word.chars().all(char::is_uppercase);
            let level = line.split_whitespace().find(is_level);
            let style = match level {
                Some("ERROR") => Style::new().fg(Color::Red),
                Some("WARN") => Style::new().fg(Color::Yellow),
                Some("DEBUG" | "TRACE") => dim(),
                _ => Style::new(),
            };
            lines.push(Line::styled(cut(&format!(" {line}"), width), style));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The last line: keys, or what the current mode asks for.
    fn draw_keys(&self, frame: &mut Frame<'_>, area: Rect) {
        let bar = Style::new().add_modifier(Modifier::REVERSED);
        let text = match &self.mode {
            Mode::Search => format!(" search: {}_   (Enter to keep, Esc to clear)", self.search),
            Mode::Send(channel, text) => {
                let name = cut(&self.channels[*channel].name, MAX_NAME_COLUMNS);
                format!(
                    " value from 0 to 1 for {name} [1]: {text}_   (Enter to send, Esc to \
                 cancel)"
                )
            }
            Mode::Layer(text) => {
                format!(" layer ({}): {text}_   (Enter to switch, Esc to cancel)", self.layers())
            }
            Mode::Stop => " press q again to stop the show, any other key to continue".into(),
            Mode::Normal if !self.notice.is_empty() => format!(" {}", self.notice),
            Mode::Normal => {
                let unmatched: u64 =
                    self.reading.instances.iter().map(|instance| instance.unmatched).sum();
                let layers = if self.layout.layers.is_empty() { "" } else { "  l layers" };
                format!(
                    " q quit  / search  s sort  p pause  w why  u unmatched {}  t send a test \
                     value{layers}",
                    count(unmatched)
                )
            }
        };
        frame.render_widget(Paragraph::new(text).style(bar), area);
    }
}

/// Draws the instances; if they do not all fit, those with a reason (waiting, degraded,
/// failed) or details come first.
fn draw_instances(frame: &mut Frame<'_>, area: Rect, mut groups: Vec<Vec<Line<'static>>>) {
    let room = usize::from(area.height);
    let is_crowded = groups.iter().map(Vec::len).sum::<usize>() > room;
    if is_crowded {
        groups[1..].sort_by_key(|group| group.len() == 1);
    }
    let total = groups.len() - 1;
    let (mut lines, mut shown) = (Vec::new(), 0);
    for group in groups {
        // The last line reports the number of hidden instances.
        if lines.len() + group.len() > room - usize::from(is_crowded).min(room) {
            break;
        }
        lines.extend(group);
        shown += 1;
    }
    if is_crowded {
        let hidden = counted((total + 1 - shown) as u64, "more instance");
        lines.push(Line::styled(format!(" ... and {hidden}"), dim()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The colour of a state.
fn state_style(state: &str) -> Style {
    Style::new().fg(match state {
        "up" => Color::Green,
        "failed" => Color::Red,
        "degraded" | "waiting" => Color::Yellow,
        _ => Color::Reset,
    })
}

/// A line across the screen with a title in it.
fn rule(title: &str, width: usize) -> Line<'static> {
    let title = cut(title, width.saturating_sub(5));
    let rest = width.saturating_sub(width_of(&title) + 4);
    Line::from(vec![
        Span::styled("── ", dim()),
        Span::styled(title, Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(format!(" {}", "─".repeat(rest)), dim()),
    ])
}

/// The filled and the empty part of a meter, in steps of half a character.
fn meter(value: f64, width: usize) -> (String, String) {
    let halves = (value.clamp(0.0, 1.0) * 2.0 * width as f64).round() as usize;
    let mut full = "█".repeat(halves / 2);
    if halves % 2 == 1 {
        full.push('▌');
    }
    (full, "─".repeat(width - halves.div_ceil(2)))
}

/// A count in at most 7 characters.
fn count(number: u64) -> String {
    match number {
        0..10_000_000 => number.to_string(),
        10_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1}G", number as f64 / 1e9),
        _ => format!("{:.0e}", number as f64),
    }
}

/// A rate in at most 6 characters.
fn rate(rate: f64) -> String {
    if rate <= 0.0 {
        "0".to_owned()
    } else if rate < 999.95 {
        format!("{rate:.1}")
    } else if rate < 99_999.5 {
        format!("{rate:.0}")
    } else if rate < 999_950.0 {
        format!("{:.1}k", rate / 1e3)
    } else {
        format!("{:.1}M", rate / 1e6)
    }
}

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

/// The width of a text in columns; East Asian characters take two.
fn width_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text cut to at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| {
        let needed = width_of(character.encode_utf8(&mut [0; 4]));
        let is_fitting = needed <= left;
        left = left.saturating_sub(needed);
        is_fitting
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A text cut or padded to exactly `width` columns.
fn filled(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let blank = width.saturating_sub(width_of(&text));
    text + &" ".repeat(blank)
}

#[cfg(test)]
mod tests {
    use consort_control::{Layout, LayoutChannel, LayoutInstance, Reading};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    /// A show with all kinds of instances, states and values.
    fn screen() -> Screen {
        let instance = |name: &str, backend: &str, channels: Vec<String>| LayoutInstance {
            name: name.into(),
            backend: backend.into(),
            channels: channels
                .into_iter()
                .map(|name| LayoutChannel { name, ..LayoutChannel::default() })
                .collect(),
        };
        let numbered =
            |name: &str, count: u32| (1..=count).map(|number| format!("{name}{number}")).collect();
        let instances = vec![
            instance("tablet", "osc", numbered("/1/fader", 8)),
            instance("keyboard", "midi", numbered("ch0.note", 4)),
            instance("faders", "loopback", numbered("fader", 8)),
            instance("the-dimmers-above-the-stage", "artnet", numbered("", 12)),
            instance("pattern", "python", vec!["pattern.speed".into(), "step1".into()]),
            instance("server", "sc", vec!["synth.a_parameter_with_a_rather_long_name".into()]),
        ];
        let mut screen = Screen::new(Layout {
            show: "shows/friday.cfg".into(),
            process: 7,
            instances,
            ..Layout::default()
        });
        let state = |state: &str, reason: Option<&str>, events: u64| InstanceReading {
            state: state.into(),
            reason: reason.map(str::to_owned),
            incoming: events,
            outgoing: events * 3,
            ..InstanceReading::default()
        };
        for second in 1..=9_u64 {
            let values = (0..35_u64).map(|index| match index {
                0..20 => (index as f64 / 19.0, second * index * 40),
                20..32 => (1.0, 12_345_678 + second * 900_000),
                _ => (0.0, 0),
            });
            let reason = "python3 exited with signal 9 (SIGKILL); restarting in 2 s";
            let instances = vec![
                state("up", None, second * 400),
                state("waiting", Some("no MIDI device named \"Keystation\""), 0),
                state("up", None, second * 400),
                InstanceReading { dropped: 12, ..state("up", None, second * 70_000) },
                InstanceReading { errors: 3, ..state("waiting", Some(reason), second * 20) },
                state("starting", None, 0),
            ];
            screen.update(Reading {
                seconds: second as f64 + 3_600.0,
                running: true,
                instances,
                values: values.collect(),
                layers: Vec::new(),
                log: vec![format!(
                    "20:15:0{second} {}",
                    ["ERROR pattern: failed", "INFO  tablet: up", "WARN  late"]
                        [second as usize % 3]
                )],
                log_next: second,
            });
        }
        screen
    }

    fn text(width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| screen().draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(text(80, 24));
    }

    #[test]
    fn on_120_columns() {
        insta::assert_snapshot!(text(120, 40));
    }

    #[test]
    fn colours_mark_states_and_levels() {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
        terminal.draw(|frame| screen().draw(frame)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let colour = |word: &str| {
            let area = buffer.area;
            let rows = (0..area.height).map(|y| {
                let cells = (0..area.width).map(|x| buffer[(x, y)].symbol());
                (y, cells.collect::<String>())
            });
            let (y, row) = rows.into_iter().find(|(_, row)| row.contains(word)).expect("the word");
            let x = row[..row.find(word).expect("the word")].chars().count();
            buffer[(x as u16, y)].fg
        };
        assert_eq!(colour("waiting"), Color::Yellow);
        assert_eq!(colour("no MIDI device"), Color::Yellow);
        assert_eq!(colour("ERROR"), Color::Red);
        assert_eq!(colour("WARN"), Color::Yellow);
        assert_eq!(colour("█"), Color::Cyan);
    }

    #[test]
    fn the_title_counts_instances_that_need_attention() {
        let mut screen = screen();
        assert_eq!(screen.problems(), (", 2 waiting".into(), Color::Yellow));
        for (instance, state) in [(0, "degraded"), (1, "failed"), (4, "up")] {
            screen.reading.instances[instance].state = state.into();
        }
        assert_eq!(screen.problems(), (", 1 degraded, 1 failed".into(), Color::Red));
        for instance in &mut screen.reading.instances {
            instance.state = "up".into();
        }
        assert_eq!(screen.problems(), (String::new(), Color::Reset));
    }

    #[test]
    fn every_size_can_be_drawn() {
        for (width, height) in [(1, 1), (5, 3), (20, 6), (79, 5), (300, 80)] {
            text(width, height);
        }
    }

    #[test]
    fn numbers_fit_their_columns() {
        for number in [0, 1, 9_999_999, 10_000_000, 999_949_999, 12_345_678_901, u64::MAX] {
            assert!(count(number).len() <= 8, "{}", count(number));
        }
        for number in [0.0, 0.05, 999.9, 999.96, 99_999.0, 99_999.9, 999_949.0, 5e7, 9.9e8] {
            assert!(rate(number).len() <= 6, "{}", rate(number));
        }
        assert_eq!(meter(0.5, 3), ("█▌".into(), "─".into()));
        assert_eq!((meter(1.0, 2).0, meter(0.0, 2).1), ("██".into(), "──".into()));
        assert_eq!(meter(f64::NAN, 2).1, "──");
        for name in ["fader", "日本語のチャンネル", "a日本語のチャンネル", "é", ""]
        {
            assert_eq!(width_of(&filled(name, 8)), 8, "{name}");
        }
        assert_eq!((cut("日本語", 5), cut("日本語", 6)), ("日本…".into(), "日本語".into()));
    }
}
