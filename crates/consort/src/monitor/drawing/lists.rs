//! The pages of channels, routes and unmatched input.

use consort_control::RouteReading;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::MAX_NAME_COLUMNS;
use super::text::{age, count, cut, dim, ending, filled, meter, rate, width_of};
use crate::monitor::pages::Page;
use crate::monitor::screen::{Screen, Spot};
use crate::text::{counted, printable};

/// Columns of a channel's line without its name and its meter.
const CHANNEL_COLUMNS: usize = 27;
/// The same without its counter and its rate.
const NARROW_CHANNEL_COLUMNS: usize = 8;
/// Columns of a route's line without the names and stages.
const ROUTE_COLUMNS: usize = 27;
/// From this width on, the list of routes has a column for stages, of [`STAGE_COLUMNS`].
const STAGES_FROM: usize = 100;
const STAGE_COLUMNS: usize = 28;
/// Columns of an unmatched input's line without its name, its range and its sender.
const INPUT_COLUMNS: usize = 38;
const SENDER_COLUMNS: usize = 22;
const RANGE_COLUMNS: usize = 16;
/// From this width on, the list of unmatched input has the column `range`.
const RANGE_FROM: usize = 100;

impl Screen {
    /// Scrolls a list of lines with one row each; returns what is visible below a heading.
    fn visible(&mut self, page: Page, area: Rect) -> std::ops::Range<usize> {
        let count = self.item_count(page);
        let rows = usize::from(area.height).saturating_sub(1);
        let visible = self.cursors[page as usize].scroll(count, rows, |_| 1);
        for (row, index) in visible.clone().enumerate() {
            let spot = Rect { y: area.y + 1 + row as u16, height: 1, ..area };
            self.spots.push((spot, Spot::Item(page, index)));
        }
        visible
    }

    /// What restricts the lists, for their headings.
    fn restrictions(&self) -> String {
        let instance = self.only.and_then(|only| self.layout.instances.get(only as usize));
        let only = instance.map(|instance| format!(" of {}", instance.name)).unwrap_or_default();
        match self.search.as_str() {
            "" => only,
            search => format!("{only}, matching \"{search}\""),
        }
    }

    /// The selected mark of a line and its style; only the current page's list has one.
    fn mark(&self, page: Page, index: usize) -> (char, Style) {
        match self.page == page && self.cursor(page).selected == index {
            true => ('>', Style::new().add_modifier(Modifier::BOLD)),
            false => (' ', Style::new()),
        }
    }

    /// The channels around the selected one.
    pub(super) fn draw_channels(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let visible = self.visible(Page::Channels, area);
        let width = usize::from(area.width);
        let mut heading = format!(
            " {} of {}, by {}{}",
            self.shown.len(),
            counted(self.channels.len() as u64, "channel"),
            self.order.word(),
            self.restrictions()
        );
        if visible.len() < self.shown.len() {
            heading.push_str(&format!(", lines {}-{}", visible.start + 1, visible.end));
        }
        let mut lines = vec![Line::styled(cut(&heading, width), dim())];
        let is_narrow = width < 50;
        let others = if is_narrow { NARROW_CHANNEL_COLUMNS } else { CHANNEL_COLUMNS };
        let shown = &self.shown[visible.clone()];
        let longest = shown.iter().map(|&index| width_of(&self.channels[index].name)).max();
        let name_width =
            longest.unwrap_or(0).clamp(12, MAX_NAME_COLUMNS.min(width * 2 / 5).max(12));
        let meter_width = width.saturating_sub(name_width + others).max(4);
        for (row, &index) in visible.zip(shown) {
            let (value, events) = self.value(index);
            let (mark, style) = self.mark(Page::Channels, row);
            let rest = if mark == ' ' && events == 0 { dim() } else { style };
            let moving = if self.rates[index] > 0.0 { Color::Cyan } else { Color::Blue };
            let (full, empty) = meter(value, meter_width);
            let number = if events == 0 { "-".to_owned() } else { format!("{value:.3}") };
            let name = filled(&self.channels[index].name, name_width);
            let counters = match is_narrow {
                true => format!(" {number:>5}"),
                false => {
                    format!(" {number:>5} {:>8} {:>7}/s", count(events), rate(self.rates[index]))
                }
            };
            lines.push(Line::from(vec![
                Span::styled(format!("{mark}{name} "), rest),
                Span::styled(full, Style::new().fg(moving)),
                Span::styled(empty, dim()),
                Span::styled(counters, rest),
            ]));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The routes around the selected one: where values come from, and what arrives where.
    pub(super) fn draw_routes(&mut self, frame: &mut Frame<'_>, area: Rect) {
        self.are_routes_drawn = true;
        let visible = self.visible(Page::Routes, area);
        let width = usize::from(area.width);
        let total = self.layout.routes.len();
        let mut heading = format!(
            " {} of {}{}",
            self.shown_routes.len(),
            counted(total as u64, "route"),
            self.restrictions()
        );
        if let Some(selected) = self.selected(Page::Routes).filter(|_| self.page == Page::Routes) {
            let text = self.route_text(self.shown_routes[selected]);
            heading = format!("{heading}; {}: {text}", selected + 1);
        }
        let mut lines = vec![Line::styled(cut(&heading, width), dim())];
        let has_stages = width >= STAGES_FROM;
        let others = ROUTE_COLUMNS + if has_stages { STAGE_COLUMNS + 1 } else { 0 };
        let room = width.saturating_sub(others).max(16);
        let name_width = (room / 2).min(40);
        for row in visible {
            let index = self.shown_routes[row];
            let route = &self.layout.routes[index];
            let reading = self.routes.get(&(index as u32));
            let (mark, style) = self.mark(Page::Routes, row);
            let value = |value: Option<f64>| match value {
                Some(value) => format!("{value:>5.3}"),
                None => format!("{:>5}", "-"),
            };
            let stages = match has_stages {
                true => format!(" {}", filled(&route.stages, STAGE_COLUMNS)),
                false => String::new(),
            };
            let is_dim = mark == ' ' && reading.is_none_or(|reading| reading.raw.is_none());
            let (word, word_style) = self.route_state(index, reading);
            lines.push(Line::from(vec![
                Span::styled(
                    format!(
                        "{mark}{} {}{stages} > {} {} ",
                        ending(self.channel_name(route.source), name_width),
                        value(reading.and_then(|reading| reading.raw)),
                        ending(self.channel_name(route.target), name_width),
                        value(reading.and_then(|reading| reading.value)),
                    ),
                    if is_dim { dim() } else { style },
                ),
                Span::styled(word, word_style),
            ]));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// What keeps a route from passing values, in at most 9 characters.
    fn route_state(&self, index: usize, reading: Option<&RouteReading>) -> (String, Style) {
        let yellow = Style::new().fg(Color::Yellow);
        let layer = self.layout.routes[index].layer;
        if layer.is_some_and(|layer| !self.reading.layers.contains(&layer)) {
            return ("layer off".into(), dim());
        }
        let Some(reading) = reading else { return (String::new(), dim()) };
        match reading {
            RouteReading { muted: true, .. } => ("muted".into(), yellow),
            RouteReading { frozen: true, .. } => ("frozen".into(), yellow),
            RouteReading { soloed: true, .. } => ("solo".into(), yellow),
            RouteReading { distance: Some(way), .. } if *way >= 0.0 => {
                (format!("up {way:.2}"), yellow)
            }
            RouteReading { distance: Some(way), .. } => (format!("down {:.2}", -way), yellow),
            _ => (String::new(), dim()),
        }
    }

    /// Stages and layer of a route.
    fn route_text(&self, index: usize) -> String {
        let route = &self.layout.routes[index];
        let layer = route.layer.and_then(|layer| self.layout.layers.get(layer as usize));
        let stages = match route.stages.as_str() {
            "" => "no stages",
            stages => stages,
        };
        match layer {
            Some(layer) => format!("{stages}, layer {}", layer.name),
            None => stages.to_owned(),
        }
    }

    /// The last inputs that no mapping uses; above them what would use the selected one.
    pub(super) fn draw_unmatched(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let visible = self.visible(Page::Unmatched, area);
        let width = usize::from(area.width);
        let heading = match self.selected(Page::Unmatched) {
            None => format!(" no unmatched input{}", self.restrictions()),
            Some(selected) => {
                let (instance, input) = &self.unmatched[selected];
                let name = &self.layout.instances[*instance as usize].name;
                let option = input
                    .option
                    .as_ref()
                    .map(|(option, value)| format!(" and `{option} = {value}` to [{name}]"));
                let option = option.unwrap_or_default();
                format!(" to use it, add `{name}.{} > TARGET` to [map]{option}", input.channel)
            }
        };
        let mut lines = vec![Line::styled(cut(&printable(&heading), width), dim())];
        let has_range = width >= RANGE_FROM;
        let range_columns = if has_range { RANGE_COLUMNS } else { 0 };
        let room = width.saturating_sub(INPUT_COLUMNS + range_columns + SENDER_COLUMNS);
        let name_width = room.clamp(12, 48);
        for row in visible {
            let (instance, input) = &self.unmatched[row];
            let name = &self.layout.instances[*instance as usize].name;
            let (mark, style) = self.mark(Page::Unmatched, row);
            let range = match (has_range, input.range) {
                (false, _) => String::new(),
                (true, Some((low, high))) => {
                    let range = format!("{} to {}", short(low), short(high));
                    format!(" {range:<15}")
                }
                (true, None) => " ".repeat(RANGE_COLUMNS),
            };
            let raw = printable(format!("{} {}", input.types, input.raw).trim());
            let text = format!(
                "{mark}{} {}{range} {:>8} {:>9}  {}",
                filled(&printable(&format!("{name}.{}", input.channel)), name_width),
                filled(&raw, 16),
                count(input.count),
                age(self.reading.seconds, input.last),
                input.sender
            );
            lines.push(Line::styled(cut(&text, width), style));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// A raw number with at most three decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
