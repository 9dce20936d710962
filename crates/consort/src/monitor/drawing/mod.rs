//! The drawing of the live view: title, instances, the current page, log and keys, with characters
//! that the Linux console has, too. Made for 80 columns; a narrow screen has fewer columns in its
//! tables, a wide one shows channels and routes side by side.

mod instances;
mod lists;
mod text;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout as Split, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::keys::KEYS;
use super::pages::Page;
use super::screen::{Mode, Screen, Spot};
use text::{count, cut, dim, rate, width_of};

/// Names with more columns are cut.
const MAX_NAME_COLUMNS: usize = 32;
/// A screen with fewer columns is narrow.
const NARROW_COLUMNS: usize = 78;
/// A screen with as many columns is wide.
const WIDE_COLUMNS: u16 = 120;

/// The parts of the screen from top to bottom.
struct Parts {
    title: Rect,
    instances: Rect,
    tabs: Rect,
    page: Rect,
    log: Rect,
    keys: Rect,
}

impl Screen {
    /// Draws everything, and remembers what a click on it selects.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        self.spots.clear();
        self.are_routes_drawn = false;
        let parts = self.parts(frame.area());
        self.draw_title(frame, parts.title);
        self.draw_instances(frame, parts.instances);
        self.draw_tabs(frame, parts.tabs);
        if !self.findings.is_empty() {
            self.draw_findings(frame, parts.page);
        } else {
            self.draw_page(frame, parts.page);
        }
        self.draw_log(frame, parts.log);
        self.draw_keys(frame, parts.keys);
        if self.mode == Mode::Help {
            draw_help(frame, frame.area());
        }
    }

    fn parts(&self, area: Rect) -> Parts {
        let (third, fifth) = ((area.height / 3).max(2), (area.height / 5).max(2));
        let instances = match self.page {
            Page::Instances => 0,
            _ => self.instance_rows(area.width.into()).min(third.into()) as u16,
        };
        let log = match self.page {
            Page::Log => 0,
            _ => self.log.len().saturating_add(1).clamp(2, fifth.into()) as u16,
        };
        let rows = Split::vertical([
            Constraint::Length(1),
            Constraint::Length(instances),
            Constraint::Length(1),
            Constraint::Min(2),
            Constraint::Length(log),
            Constraint::Length(1),
        ])
        .split(area);
        Parts {
            title: rows[0],
            instances: rows[1],
            tabs: rows[2],
            page: rows[3],
            log: rows[4],
            keys: rows[5],
        }
    }

    fn draw_page(&mut self, frame: &mut Frame<'_>, area: Rect) {
        match self.page {
            Page::Channels | Page::Routes if area.width >= WIDE_COLUMNS => {
                let halves = Split::horizontal([Constraint::Fill(1), Constraint::Fill(1)])
                    .spacing(2)
                    .split(area);
                self.draw_channels(frame, halves[0]);
                self.draw_routes(frame, halves[1]);
            }
            Page::Channels => self.draw_channels(frame, area),
            Page::Routes => self.draw_routes(frame, area),
            Page::Unmatched => self.draw_unmatched(frame, area),
            Page::Instances => self.draw_instance_page(frame, area),
            Page::Log => self.draw_log_page(frame, area),
        }
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
        let mut right = format!("{state}{problems} ");
        if usize::from(area.width) >= NARROW_COLUMNS {
            right += &format!(
                " {}:{:02}:{:02}  {} values/s ",
                seconds / 3_600,
                seconds / 60 % 60,
                seconds % 60,
                rate(total)
            );
        }
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

    /// The names of the pages with their keys.
    fn draw_tabs(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let unmatched: u64 = self.reading.instances.iter().map(|one| one.unmatched).sum();
        let is_narrow = usize::from(area.width) < NARROW_COLUMNS;
        let mut spans = vec![Span::styled("── ", dim())];
        let mut column = 3;
        for (index, page) in Page::ALL.into_iter().enumerate() {
            let mut text = match is_narrow && page != self.page {
                true => format!(" {} ", index + 1),
                false => format!(" {} {} ", index + 1, page.word()),
            };
            if page == Page::Unmatched && unmatched > 0 {
                text += &format!("{} ", count(unmatched));
            }
            let style = match page == self.page {
                true => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
                false => Style::new(),
            };
            let width = text.len() as u16;
            let place = Rect { x: area.x + column, width, ..area }.intersection(area);
            self.spots.push((place, Spot::Page(page)));
            column += width + 1;
            spans.extend([Span::styled(text, style), Span::raw(" ")]);
        }
        let rest = usize::from(area.width).saturating_sub(column.into());
        spans.push(Span::styled("─".repeat(rest), dim()));
        frame.render_widget(Paragraph::new(Line::from(spans)), area);
    }

    /// What keeps the selected line from working.
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
        lines.extend(self.log[first..].iter().map(|line| log_line(line, ' ', width)));
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The page of the log.
    fn draw_log_page(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let rows = usize::from(area.height);
        let visible = self.cursors[Page::Log as usize].scroll(self.log.len(), rows, |_| 1);
        let selected = self.selected(Page::Log);
        let mut lines = Vec::new();
        for (row, index) in visible.enumerate() {
            let spot = Rect { y: area.y + row as u16, height: 1, ..area };
            self.spots.push((spot, Spot::Item(Page::Log, index)));
            let mark = if selected == Some(index) { '>' } else { ' ' };
            lines.push(log_line(&self.log[index], mark, area.width.into()));
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
            Mode::Normal | Mode::Help => {
                let keys = match self.page {
                    Page::Channels => "s sort  p pause  t test  w why",
                    Page::Routes => "m mute  o solo  f freeze  t test  w why",
                    Page::Instances => "Enter show only this one  w why",
                    Page::Unmatched | Page::Log => "",
                };
                let layers = if self.layout.layers.is_empty() { "" } else { "  l layers" };
                format!(" q quit  ? keys  Tab page  / search  {keys}{layers}")
            }
        };
        frame.render_widget(Paragraph::new(text).style(bar), area);
    }
}

/// The keys, over the middle of the screen.
fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let key_columns = KEYS.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let line = |(key, meaning): &(&str, &str)| format!(" {key:<key_columns$}  {meaning} ");
    let texts: Vec<String> = KEYS.iter().map(line).collect();
    let width = texts.iter().map(|text| width_of(text)).max().unwrap_or(0) as u16;
    let height = texts.len() as u16 + 2;
    let place = Rect {
        x: area.x + area.width.saturating_sub(width) / 2,
        y: area.y + area.height.saturating_sub(height) / 2,
        width,
        height,
    };
    let place = place.intersection(area);
    let width = usize::from(place.width);
    let mut lines = vec![rule("keys", width)];
    lines.extend(texts.iter().map(|text| Line::raw(cut(text, width))));
    lines.push(Line::styled("─".repeat(width), dim()));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines), place);
}

/// A line of the log in the colour of its level.
fn log_line(line: &str, mark: char, width: usize) -> Line<'static> {
    let is_level = |word: &&str| word.chars().all(char::is_uppercase);
    let level = line.split_whitespace().find(is_level);
    let style = match level {
        Some("ERROR") => Style::new().fg(Color::Red),
        Some("WARN") => Style::new().fg(Color::Yellow),
        Some("DEBUG" | "TRACE") => dim(),
        _ => Style::new(),
    };
    Line::styled(cut(&format!("{mark}{line}"), width), style)
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

#[cfg(test)]
mod tests;
