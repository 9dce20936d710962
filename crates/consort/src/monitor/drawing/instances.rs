//! Instances: the table on top of the other pages, and the page of all instances.

use consort_control::InstanceReading;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::text::{age, count, cut, dim, filled, rate, width_of, wrapped};
use super::{MAX_NAME_COLUMNS, NARROW_COLUMNS};
use crate::monitor::pages::Page;
use crate::monitor::screen::{Screen, Spot};
use crate::text::{counted, losses, printable};

/// Columns of an instance's line without its name.
const INSTANCE_COLUMNS: usize = 68;
/// The same on a narrow screen.
const NARROW_INSTANCE_COLUMNS: usize = 30;
/// Columns of an instance's line for its input, if there is room.
const INPUT_COLUMNS: usize = 20;

/// The columns of a table of instances.
struct Columns {
    name: usize,
    /// Whether there is room for all counters.
    has_counters: bool,
    /// Whether there is room for unmatched and last input.
    has_input: bool,
}

impl Columns {
    fn new(screen: &Screen, width: usize) -> Self {
        let longest = screen.layout.instances.iter().map(|instance| width_of(&instance.name)).max();
        let has_counters = width >= NARROW_COLUMNS;
        let others = if has_counters { INSTANCE_COLUMNS } else { NARROW_INSTANCE_COLUMNS };
        let room = width.saturating_sub(others).clamp(8, MAX_NAME_COLUMNS);
        let name = longest.unwrap_or(0).clamp(8, room);
        Columns { name, has_counters, has_input: width >= name + INSTANCE_COLUMNS + INPUT_COLUMNS }
    }

    fn heading(&self) -> Line<'static> {
        let name = self.name;
        let mut text = match self.has_counters {
            true => format!(
                " {:<name$} {:<8} {:<10} {:>8} {:>6} {:>8} {:>6} {:>7} {:>6}",
                "instance", "backend", "state", "in", "/s", "out", "/s", "dropped", "errors"
            ),
            false => format!(" {:<name$} {:<10} {:>8} {:>8}", "instance", "state", "in", "out"),
        };
        if self.has_input {
            text += &format!(" {:>9} {:>9}", "unmatched", "last in");
        }
        Line::styled(text, dim())
    }
}

impl Screen {
    /// The table on top: the heading and as many instances as fit, those that need attention first.
    pub(super) fn draw_instances(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let columns = Columns::new(self, width);
        let all = 0..self.layout.instances.len();
        let mut groups: Vec<_> =
            all.map(|number| self.instance_lines(number, &columns, width, false)).collect();
        let room = usize::from(area.height);
        let is_crowded = 1 + groups.iter().map(Vec::len).sum::<usize>() > room;
        if is_crowded {
            groups.sort_by_key(|group| group.len() == 1);
        }
        let total = groups.len();
        let (mut lines, mut shown) = (vec![columns.heading()], 0);
        for group in groups {
            // The last line reports the number of hidden instances.
            if lines.len() + group.len() > room - usize::from(is_crowded).min(room) {
                break;
            }
            lines.extend(group);
            shown += 1;
        }
        if is_crowded {
            let hidden = counted((total - shown) as u64, "more instance");
            lines.push(Line::styled(format!(" ... and {hidden}: press 4"), dim()));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// How many rows the table on top needs for everything.
    pub(super) fn instance_rows(&self, width: usize) -> usize {
        let columns = Columns::new(self, width);
        let rows = |number| self.instance_lines(number, &columns, width, false).len();
        1 + (0..self.layout.instances.len()).map(rows).sum::<usize>()
    }

    /// The page of all instances; the texts of the selected one are not cut.
    pub(super) fn draw_instance_page(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let columns = Columns::new(self, width);
        let selected = self.selected(Page::Instances);
        let groups: Vec<_> = (self.shown_instances.iter().enumerate())
            .map(|(row, &number)| {
                self.instance_lines(number, &columns, width, selected == Some(row))
            })
            .collect();
        let rows = usize::from(area.height).saturating_sub(1);
        let cursor = &mut self.cursors[Page::Instances as usize];
        // A group that is higher than the screen is cut, not skipped.
        let height = |index: usize| groups[index].len().min(rows.max(1));
        let visible = cursor.scroll(groups.len(), rows, height);
        let mut lines = vec![columns.heading()];
        for index in visible {
            let y = area.y + lines.len() as u16;
            let spot = Rect { y, height: height(index) as u16, ..area };
            self.spots.push((spot, Spot::Item(Page::Instances, index)));
            lines.extend_from_slice(&groups[index]);
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The lines of an instance: its counters, the reason for its state, notes and details, as
    /// far as there are any.
    fn instance_lines(
        &self,
        number: usize,
        columns: &Columns,
        width: usize,
        is_selected: bool,
    ) -> Vec<Line<'static>> {
        let empty = InstanceReading::default();
        let instance = &self.layout.instances[number];
        let reading = self.reading.instances.get(number).unwrap_or(&empty);
        let (incoming, outgoing) = self.instance_rates[number];
        let state = state_style(&reading.state);
        let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        let mark = |count: u64| if count > 0 { bad } else { Style::new() };
        let is_marked = is_selected || self.only == Some(number as u32);
        let mut spans = vec![Span::styled(
            format!(
                "{}{}",
                if is_marked { '>' } else { ' ' },
                filled(&instance.name, columns.name)
            ),
            Style::new().add_modifier(Modifier::BOLD),
        )];
        if columns.has_counters {
            spans.extend([
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
            ]);
        } else {
            let counters =
                format!(" {:>8} {:>8}", count(reading.incoming), count(reading.outgoing));
            spans.push(Span::styled(format!(" ● {:<8}", reading.state), state));
            spans.push(Span::raw(counters));
        }
        if columns.has_input {
            let last = reading.last_input.map(|last| age(self.reading.seconds, last));
            let last = last.unwrap_or_else(|| "-".to_owned());
            spans.push(Span::raw(format!(" {:>9} {last:>9}", count(reading.unmatched))));
        }
        let mut lines = vec![Line::from(spans)];
        let mut add = |text: String, style: Style| {
            let text = printable(&text);
            match is_selected {
                true => {
                    let parts = wrapped(&text, width.saturating_sub(3));
                    lines.extend(
                        parts.into_iter().map(|part| Line::styled(format!("   {part}"), style)),
                    );
                }
                false => lines.push(Line::styled(cut(&format!("   {text}"), width), style)),
            }
        };
        if let Some(reason) = &reading.reason {
            add(reason.clone(), state);
        }
        if !columns.has_counters {
            let counts = [(reading.dropped, "dropped value"), (reading.errors, "error")];
            let texts = counts.into_iter().filter(|(count, _)| *count > 0);
            let texts: Vec<String> = texts.map(|(count, noun)| counted(count, noun)).collect();
            if !texts.is_empty() {
                add(texts.join(", "), bad);
            }
        }
        let losses = losses(reading.lost, reading.refused);
        let lost = losses.strip_prefix(", ").map(str::to_owned);
        let notes: Vec<String> = lost.into_iter().chain(reading.note.clone()).collect();
        if !notes.is_empty() {
            add(notes.join("; "), Style::new().fg(Color::Yellow));
        }
        if let Some(details) = &reading.details {
            add(details.clone(), dim());
        }
        lines
    }
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
