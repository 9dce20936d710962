//! The keys and the mouse of the live view.

use consort_control::RouteControl;
use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Position;

use super::pages::Page;
use super::screen::{Mode, Screen, Spot};

/// How many lines the wheel of a mouse moves.
const WHEEL_LINES: usize = 3;

/// All keys, for the list that `?` shows.
pub(super) const KEYS: [(&str, &str); 17] = [
    ("Tab, 1 to 5", "go to the next page, or to a page by its number"),
    ("arrows, PgUp, Home", "select a line (also PgDn, End, k, j, wheel, click)"),
    ("Enter", "on an instance: show only its channels, routes and inputs"),
    ("/", "show only lines that contain a text; Esc shows all again"),
    ("s", "sort the channels by configuration, name, rate or value"),
    ("p, Space", "pause the display; the show continues"),
    ("w", "explain why the selected line does nothing"),
    ("t", "send a test value to the selected channel or route"),
    ("m", "mute the selected route, or end that"),
    ("o", "let only this route pass values (solo), or end that"),
    ("f", "freeze the value at the route's target, or end that"),
    ("l", "switch a layer"),
    ("u", "go to the input that no mapping uses, or back"),
    ("Shift and mouse", "select text of the terminal"),
    ("?", "show these keys"),
    ("q", "quit the view; `run --monitor`: stop the show (twice)"),
    ("Ctrl-C", "quit the view or stop the show, without confirmation"),
];

/// What the caller does after a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Nothing,
    Quit,
    Send {
        instance: u32,
        channel: u32,
        value: f64,
    },
    /// Switch a layer.
    SwitchLayer {
        layer: u32,
        on: bool,
    },
    /// Mute, solo or freeze a route, or end that.
    ControlRoute {
        route: u32,
        control: RouteControl,
        on: bool,
    },
    /// Ask the show why an instance or a channel does nothing.
    Why {
        instance: u32,
        channel: Option<u32>,
    },
}

impl Screen {
    /// Handles a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Action::Quit;
        }
        self.notice.clear();
        self.findings.clear();
        match &mut self.mode {
            Mode::Normal => return self.normal_key(key.code),
            Mode::Help => self.mode = Mode::Normal,
            Mode::Stop if key.code == KeyCode::Char('q') => return Action::Quit,
            Mode::Stop => self.mode = Mode::Normal,
            Mode::Search => match key.code {
                KeyCode::Char(character) if self.search.len() < 100 => self.search.push(character),
                KeyCode::Backspace => drop(self.search.pop()),
                KeyCode::Enter => self.mode = Mode::Normal,
                KeyCode::Esc => {
                    self.search.clear();
                    self.mode = Mode::Normal;
                }
                _ => {}
            },
            Mode::Layer(text) => match key.code {
                KeyCode::Char(character) if text.len() < 100 => text.push(character),
                KeyCode::Backspace => drop(text.pop()),
                KeyCode::Esc => self.mode = Mode::Normal,
                KeyCode::Enter => {
                    let text = std::mem::take(text);
                    self.mode = Mode::Normal;
                    return self.switch_layer(&text);
                }
                _ => {}
            },
            Mode::Send(channel, text) => match key.code {
                KeyCode::Char(character) if text.len() < 20 => text.push(character),
                KeyCode::Backspace => drop(text.pop()),
                KeyCode::Esc => self.mode = Mode::Normal,
                KeyCode::Enter => {
                    let (channel, text) = (*channel, std::mem::take(text));
                    self.mode = Mode::Normal;
                    return self.send(channel, &text);
                }
                _ => {}
            },
        }
        self.arrange();
        Action::Nothing
    }

    /// Handles a key in [`Mode::Normal`].
    fn normal_key(&mut self, code: KeyCode) -> Action {
        let page = self.page;
        let selected = self.cursor(page).selected;
        let distance = self.cursor(page).page();
        match code {
            KeyCode::Char('q') if self.is_own => self.mode = Mode::Stop,
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Search,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab => self.open(page.further(1)),
            KeyCode::BackTab => self.open(page.further(Page::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='5') => self.open(Page::ALL[digit as usize - '1' as usize]),
            KeyCode::Char('u') if page == Page::Unmatched => self.open(Page::Channels),
            KeyCode::Char('u') => self.open(Page::Unmatched),
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.arrange();
            }
            KeyCode::Char('t') => match self.test_channel() {
                Some(channel) => self.mode = Mode::Send(channel, String::new()),
                None => self.notice("select a channel or a route to send a test value"),
            },
            KeyCode::Char('l') if !self.layout.layers.is_empty() => {
                self.mode = Mode::Layer(String::new());
            }
            KeyCode::Char('l') => self.notice("the show has no layers"),
            KeyCode::Char('m') => return self.control_route(RouteControl::Mute),
            KeyCode::Char('o') => return self.control_route(RouteControl::Solo),
            KeyCode::Char('f') => return self.control_route(RouteControl::Freeze),
            KeyCode::Char('w') => return self.ask_why(),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc => {
                self.search.clear();
                self.only = None;
                self.arrange();
            }
            KeyCode::Down | KeyCode::Char('j') => self.select(page, selected + 1),
            KeyCode::Up | KeyCode::Char('k') => self.select(page, selected.saturating_sub(1)),
            KeyCode::PageDown => self.select(page, selected + distance),
            KeyCode::PageUp => self.select(page, selected.saturating_sub(distance)),
            KeyCode::Home => self.select(page, 0),
            KeyCode::End => self.select(page, usize::MAX),
            _ => {}
        }
        Action::Nothing
    }

    /// Handles a click or a turn of the wheel. Returns whether it changed anything.
    pub(crate) fn mouse(&mut self, event: MouseEvent) -> bool {
        let position = Position { x: event.column, y: event.row };
        let found = self.spots.iter().find(|(area, _)| area.contains(position));
        let spot = found.map(|(_, spot)| *spot);
        let page = match spot {
            Some(Spot::Item(page, _)) => page,
            _ => self.page,
        };
        let selected = self.cursor(page).selected;
        match event.kind {
            MouseEventKind::ScrollDown => self.select(page, selected + WHEEL_LINES),
            MouseEventKind::ScrollUp => self.select(page, selected.saturating_sub(WHEEL_LINES)),
            MouseEventKind::Down(MouseButton::Left) => match (&self.mode, spot) {
                (Mode::Help, _) => self.mode = Mode::Normal,
                (_, Some(Spot::Page(page))) => self.open(page),
                (_, Some(Spot::Item(page, index))) => {
                    let is_second = self.page == page && index == selected;
                    self.page = page;
                    self.select(page, index);
                    if is_second {
                        self.enter();
                    }
                }
                (_, None) => return false,
            },
            _ => return false,
        }
        self.findings.clear();
        true
    }

    fn open(&mut self, page: Page) {
        self.page = page;
        self.arrange();
    }

    fn select(&mut self, page: Page, index: usize) {
        let count = self.item_count(page);
        self.cursors[page as usize].select(index, count);
    }

    /// Shows only what belongs to the selected instance.
    fn enter(&mut self) {
        if self.page == Page::Instances
            && let Some(selected) = self.selected(Page::Instances)
        {
            self.only = Some(self.shown_instances[selected] as u32);
            self.search.clear();
            self.cursors[Page::Channels as usize].select(0, 1);
            self.open(Page::Channels);
        }
    }

    /// The channel that a test value is for: the selected one, or the source of the selected route.
    fn test_channel(&self) -> Option<usize> {
        let selected = self.selected(self.page)?;
        match self.page {
            Page::Channels => Some(self.shown[selected]),
            Page::Routes => {
                Some(self.channel_index(self.layout.routes[self.shown_routes[selected]].source))
            }
            Page::Unmatched | Page::Instances | Page::Log => None,
        }
    }

    fn ask_why(&mut self) -> Action {
        if self.page == Page::Instances
            && let Some(selected) = self.selected(Page::Instances)
        {
            return Action::Why { instance: self.shown_instances[selected] as u32, channel: None };
        }
        match self.test_channel() {
            Some(channel) => {
                let channel = &self.channels[channel];
                Action::Why { instance: channel.instance, channel: Some(channel.channel) }
            }
            None => {
                self.notice("select a channel, a route or an instance");
                Action::Nothing
            }
        }
    }

    fn control_route(&mut self, control: RouteControl) -> Action {
        let selected = self.selected(Page::Routes).filter(|_| self.page == Page::Routes);
        let Some(selected) = selected else {
            self.notice("select a route on the page `routes` (2)");
            return Action::Nothing;
        };
        let route = self.shown_routes[selected] as u32;
        let Some(reading) = self.routes.get(&route) else { return Action::Nothing };
        let is_on = match control {
            RouteControl::Mute => reading.muted,
            RouteControl::Solo => reading.soloed,
            RouteControl::Freeze => reading.frozen,
        };
        Action::ControlRoute { route, control, on: !is_on }
    }

    /// Switches to the layer whose name was typed, or whose name begins so. A layer without a group
    /// is switched on or off.
    fn switch_layer(&mut self, text: &str) -> Action {
        let layers = &self.layout.layers;
        let found = layers.iter().position(|layer| layer.name == text).or_else(|| {
            let begins = |index: &usize| layers[*index].name.starts_with(text);
            let mut matches = (0..layers.len()).filter(begins);
            matches.next().filter(|_| matches.next().is_none())
        });
        let Some(index) = found else {
            self.notice(format!("no layer, or several, begin with `{text}`"));
            return Action::Nothing;
        };
        let layer = index as u32;
        let on = layers[index].group.is_some() || !self.reading.layers.contains(&layer);
        let word = if on { "on" } else { "off" };
        self.notice(format!("switched {} {word}", self.layout.layers[index].name));
        Action::SwitchLayer { layer, on }
    }

    /// Names of the layers; active ones in brackets.
    pub(super) fn layers(&self) -> String {
        let name = |(index, layer): (usize, &consort_control::LayoutLayer)| match self
            .reading
            .layers
            .contains(&(index as u32))
        {
            true => format!("[{}]", layer.name),
            false => layer.name.clone(),
        };
        let names: Vec<String> = self.layout.layers.iter().enumerate().map(name).collect();
        names.join(" ")
    }

    /// Sends the value that was typed; 1 if the text is empty.
    fn send(&mut self, channel: usize, text: &str) -> Action {
        let value = if text.is_empty() { Ok(1.0) } else { text.parse::<f64>() };
        match value {
            Ok(value) if (0.0..=1.0).contains(&value) => {
                let channel = &self.channels[channel];
                self.notice = format!("sent {value} as input of {}", channel.name);
                Action::Send { instance: channel.instance, channel: channel.channel, value }
            }
            _ => {
                self.notice =
                    format!("expected a number from 0 to 1, not `{text}`; nothing was sent");
                Action::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests;
