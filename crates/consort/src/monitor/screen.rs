//! The state of the live view and its keys, without a terminal; `drawing` draws it.

use consort_control::{Finding, Layout, Reading, UnmatchedReading};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// How many lines of the log are kept.
const MAX_LOG_LINES: usize = 200;

/// The order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Configuration,
    Name,
    Rate,
    Value,
}

impl Order {
    pub(super) fn word(self) -> &'static str {
        match self {
            Order::Configuration => "configuration",
            Order::Name => "name",
            Order::Rate => "rate",
            Order::Value => "value",
        }
    }

    fn next(self) -> Self {
        match self {
            Order::Configuration => Order::Name,
            Order::Name => Order::Rate,
            Order::Rate => Order::Value,
            Order::Value => Order::Configuration,
        }
    }
}

/// What keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Normal,
    Search,
    /// The user types a value: the channel that it is for, even if the list is sorted anew
    /// meanwhile, and the text so far.
    Send(usize, String),
    /// The user types the name of a layer.
    Layer(String),
    /// The user is asked whether to stop the show.
    Stop,
}

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
    /// Ask the show why a channel does nothing.
    Why {
        instance: u32,
        channel: u32,
    },
}

/// A channel of the show.
pub(super) struct Channel {
    pub(super) name: String,
    instance: u32,
    channel: u32,
}

/// The state of the view.
pub(crate) struct Screen {
    pub(super) layout: Layout,
    pub(super) channels: Vec<Channel>,
    pub(super) reading: Reading,
    /// Values per second of each channel, smoothed.
    pub(super) rates: Vec<f64>,
    /// Values per second of each instance: in, out.
    pub(super) instance_rates: Vec<(f64, f64)>,
    /// Indices of the channels shown, in order.
    pub(super) shown: Vec<usize>,
    /// Index in `shown`.
    pub(super) selected: usize,
    pub(super) order: Order,
    pub(super) search: String,
    pub(super) mode: Mode,
    pub(super) is_paused: bool,
    pub(super) notice: String,
    pub(super) log: Vec<String>,
    /// Whether input that no mapping uses is listed instead of the channels, and what there is:
    /// the instance's number and the input, the newest first.
    pub(super) shows_unmatched: bool,
    pub(super) unmatched: Vec<(u32, UnmatchedReading)>,
    /// What keeps the selected channel from working, until the next key.
    pub(super) findings: Vec<Finding>,
    /// Whether quitting stops the show; then `q` must be pressed twice.
    pub(super) is_own: bool,
}

impl Screen {
    /// The screen of a show before the first reading.
    pub(crate) fn new(layout: Layout) -> Self {
        let mut channels = Vec::new();
        for (instance, entry) in layout.instances.iter().enumerate() {
            for (channel, info) in entry.channels.iter().enumerate() {
                channels.push(Channel {
                    name: format!("{}.{}", entry.name, info.name),
                    instance: instance as u32,
                    channel: channel as u32,
                });
            }
        }
        let mut screen = Screen {
            rates: vec![0.0; channels.len()],
            instance_rates: vec![(0.0, 0.0); layout.instances.len()],
            layout,
            channels,
            reading: Reading::default(),
            shown: Vec::new(),
            selected: 0,
            order: Order::Configuration,
            search: String::new(),
            mode: Mode::Normal,
            is_paused: false,
            notice: String::new(),
            log: Vec::new(),
            shows_unmatched: false,
            unmatched: Vec::new(),
            findings: Vec::new(),
            is_own: false,
        };
        screen.arrange();
        screen
    }

    /// The number of the next line of the log.
    pub(crate) fn log_next(&self) -> u64 {
        self.reading.log_next
    }

    /// Takes the layout of the reloaded show; order, search and mode stay.
    pub(crate) fn relayout(&mut self, layout: Layout) {
        let fresh = Screen::new(layout);
        let before = std::mem::replace(self, fresh);
        self.order = before.order;
        self.search = before.search;
        // A value that was being typed belonged to a channel by its old number.
        self.mode = match before.mode {
            Mode::Send(..) => Mode::Normal,
            mode => mode,
        };
        self.is_own = before.is_own;
        self.shows_unmatched = before.shows_unmatched;
        self.log = before.log;
        self.reading.log_next = before.reading.log_next;
        self.arrange();
    }

    /// Whether a channel is both source and target.
    pub(crate) fn is_two_way(&self, instance: u32, channel: u32) -> bool {
        let instance = self.layout.instances.get(instance as usize);
        let info = instance.and_then(|instance| instance.channels.get(channel as usize));
        info.is_some_and(|info| info.source && info.target)
    }

    /// Takes what no mapping uses, by instance.
    pub(crate) fn update_unmatched(&mut self, mut unmatched: Vec<(u32, UnmatchedReading)>) {
        unmatched.sort_by(|(_, a), (_, b)| b.last.total_cmp(&a.last));
        self.unmatched = unmatched;
    }

    /// Whether the view wants [`update_unmatched`](Self::update_unmatched).
    pub(crate) fn wants_unmatched(&self) -> bool {
        self.shows_unmatched && !self.is_paused
    }

    /// Shows why a channel does nothing, until the next key.
    pub(crate) fn explain(&mut self, findings: Vec<Finding>) {
        if findings.is_empty() {
            self.notice("no problem found");
        }
        self.findings = findings;
    }

    /// The number of instances of the show.
    pub(crate) fn instance_count(&self) -> u32 {
        self.layout.instances.len() as u32
    }

    /// The number of channels of the show.
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Shows a text in the last line until the next key.
    pub(crate) fn notice(&mut self, text: impl Into<String>) {
        self.notice = text.into();
    }

    /// Takes a new reading; while paused, only the log is updated.
    pub(crate) fn update(&mut self, mut reading: Reading) {
        self.log.append(&mut reading.log);
        let excess = self.log.len().saturating_sub(MAX_LOG_LINES);
        self.log.drain(..excess);
        if self.is_paused {
            self.reading.log_next = reading.log_next;
            return;
        }
        let seconds = reading.seconds - self.reading.seconds;
        if seconds > 0.0 {
            // Smoothed over about a second, so that the numbers are readable; over less at the
            // start of the show.
            let weight = (seconds / reading.seconds.min(1.0)).min(1.0);
            let smooth = |rate: &mut f64, now: u64, before: u64| {
                let current = now.saturating_sub(before) as f64 / seconds;
                *rate += weight * (current - *rate);
                if *rate < 0.05 {
                    *rate = 0.0;
                }
            };
            for (index, rate) in self.rates.iter_mut().enumerate() {
                let events =
                    |reading: &Reading| reading.values.get(index).map_or(0, |(_, events)| *events);
                smooth(rate, events(&reading), events(&self.reading));
            }
            for (index, (incoming, outgoing)) in self.instance_rates.iter_mut().enumerate() {
                let counts = |reading: &Reading| {
                    let instance = reading.instances.get(index);
                    instance.map_or((0, 0), |instance| (instance.incoming, instance.outgoing))
                };
                let (now, before) = (counts(&reading), counts(&self.reading));
                smooth(incoming, now.0, before.0);
                smooth(outgoing, now.1, before.1);
            }
        }
        self.reading = reading;
        if matches!(self.order, Order::Rate | Order::Value) {
            self.arrange();
        }
    }

    /// The last value of a channel and the number of its events.
    pub(super) fn value(&self, channel: usize) -> (f64, u64) {
        self.reading.values.get(channel).copied().unwrap_or_default()
    }

    /// Filters and sorts the channels.
    fn arrange(&mut self) {
        let wanted = self.search.to_lowercase();
        let mut shown: Vec<usize> = (0..self.channels.len())
            .filter(|&index| {
                wanted.is_empty() || self.channels[index].name.to_lowercase().contains(&wanted)
            })
            .collect();
        match self.order {
            Order::Configuration => {}
            Order::Name => {
                shown.sort_by(|&a, &b| self.channels[a].name.cmp(&self.channels[b].name))
            }
            Order::Rate => shown.sort_by(|&a, &b| self.rates[b].total_cmp(&self.rates[a])),
            Order::Value => shown.sort_by(|&a, &b| self.value(b).0.total_cmp(&self.value(a).0)),
        }
        self.shown = shown;
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
    }

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
        let last = self.shown.len().saturating_sub(1);
        match code {
            KeyCode::Char('q') if self.is_own => self.mode = Mode::Stop,
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('/') => self.mode = Mode::Search,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.arrange();
            }
            KeyCode::Char('t') => {
                if let Some(&channel) = self.shown.get(self.selected) {
                    self.mode = Mode::Send(channel, String::new());
                }
            }
            KeyCode::Char('l') if !self.layout.layers.is_empty() => {
                self.mode = Mode::Layer(String::new());
            }
            KeyCode::Char('l') => self.notice = "the show has no layers".into(),
            KeyCode::Char('u') => self.shows_unmatched = !self.shows_unmatched,
            KeyCode::Char('w') if !self.shows_unmatched => {
                if let Some(&channel) = self.shown.get(self.selected) {
                    let channel = &self.channels[channel];
                    return Action::Why { instance: channel.instance, channel: channel.channel };
                }
            }
            KeyCode::Esc => {
                self.search.clear();
                self.arrange();
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + 10).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            _ => {}
        }
        Action::Nothing
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
            self.notice = format!("no layer, or several, begin with `{text}`");
            return Action::Nothing;
        };
        let layer = index as u32;
        let on = layers[index].group.is_some() || !self.reading.layers.contains(&layer);
        self.notice = format!("switched {} {}", layers[index].name, if on { "on" } else { "off" });
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
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use consort_control::{InstanceReading, LayoutChannel, LayoutInstance};

    fn screen() -> Screen {
        let instance = |name: &str, backend: &str, channels: &[&str]| LayoutInstance {
            name: name.into(),
            backend: backend.into(),
            channels: channels
                .iter()
                .map(|&name| LayoutChannel { name: name.to_owned(), ..LayoutChannel::default() })
                .collect(),
        };
        let mut screen = Screen::new(Layout {
            show: "show.cfg".into(),
            process: 1,
            instances: vec![
                instance("tablet", "osc", &["/fader/1", "/fader/2"]),
                instance("lamps", "osc", &["/lamp/1", "/lamp/2"]),
            ],
            ..Layout::default()
        });
        screen.update(reading(1.0, 100));
        screen.update(reading(2.0, 150));
        screen
    }

    #[test]
    fn a_new_layout_keeps_the_search_and_ends_typing() {
        let mut screen = screen();
        screen.mode = Mode::Send(3, "0.5".into());
        screen.search = "lamp".into();
        let layout = Layout {
            instances: vec![LayoutInstance {
                name: "lamps".into(),
                backend: "osc".into(),
                channels: vec![LayoutChannel {
                    name: "/lamp/1".into(),
                    ..LayoutChannel::default()
                }],
            }],
            ..Layout::default()
        };
        screen.relayout(layout);
        assert!(matches!(screen.mode, Mode::Normal));
        assert_eq!((screen.channel_count(), screen.shown.len()), (1, 1));
        screen.update(Reading {
            instances: vec![InstanceReading::default()],
            values: vec![(0.5, 1)],
            ..Reading::default()
        });
    }

    fn reading(seconds: f64, events: u64) -> Reading {
        let up = |incoming, outgoing| InstanceReading {
            state: "up".into(),
            incoming,
            outgoing,
            ..InstanceReading::default()
        };
        let waiting = InstanceReading {
            state: "waiting".into(),
            reason: Some("no route to 10.0.0.9".into()),
            dropped: 3,
            ..up(0, events)
        };
        Reading {
            seconds,
            running: true,
            instances: vec![up(events, 0), waiting],
            values: vec![(0.25, events), (0.0, 0), (1.0, 20), (0.5, 7)],
            layers: vec![0],
            log: vec![format!("INFO line at {seconds} s")],
            log_next: seconds as u64,
        }
    }

    fn text(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 16)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    fn press(screen: &mut Screen, keys: &str) -> Action {
        let mut action = Action::Nothing;
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                key => KeyCode::Char(key),
            };
            action = screen.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        action
    }

    #[test]
    fn unmatched_input_and_explanations_are_shown() {
        let mut screen = screen();
        press(&mut screen, "u");
        assert!(screen.wants_unmatched());
        screen.update_unmatched(vec![(
            0,
            UnmatchedReading {
                channel: "/1/fader9".into(),
                types: "f".into(),
                raw: "0.1".into(),
                sender: "10.0.0.7:9000".into(),
                count: 3,
                last: 1.5,
                ..UnmatchedReading::default()
            },
        )]);
        let drawn = text(&screen);
        assert!(drawn.contains("unmatched input: 1"), "{drawn}");
        assert!(drawn.contains("tablet./1/fader9") && drawn.contains("10.0.0.7:9000"), "{drawn}");
        press(&mut screen, "u");
        assert_eq!(press(&mut screen, "w"), Action::Why { instance: 0, channel: 0 });
        screen.explain(vec![Finding {
            message: "nothing has arrived".into(),
            hint: Some("send to port 8010".into()),
            ..Finding::default()
        }]);
        let drawn = text(&screen);
        assert!(drawn.contains("nothing has arrived") && drawn.contains("port 8010"), "{drawn}");
        press(&mut screen, "j");
        assert!(!text(&screen).contains("nothing has arrived"));
    }

    #[test]
    fn layers_are_switched_by_name() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, "l"), Action::Nothing);
        assert!(text(&screen).contains("the show has no layers"));
        let layer = |name: &str, group: Option<&str>| consort_control::LayoutLayer {
            name: name.into(),
            group: group.map(str::to_owned),
        };
        screen.layout.layers =
            vec![layer("page1", Some("g")), layer("page2", Some("g")), layer("shift", None)];
        screen.update(reading(1.0, 10));
        press(&mut screen, "l");
        let drawn = text(&screen);
        assert!(drawn.contains("layer ([page1] page2 shift): _"), "{drawn}");
        assert_eq!(press(&mut screen, "page2\n"), Action::SwitchLayer { layer: 1, on: true });
        assert_eq!(press(&mut screen, "lsh\n"), Action::SwitchLayer { layer: 2, on: true });
        assert_eq!(press(&mut screen, "lpage\n"), Action::Nothing, "two begin so");
        assert!(text(&screen).contains("begin with `page`"));
    }

    #[test]
    fn searching_sorting_and_sending() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, "/LAMP\n"), Action::Nothing);
        assert!(text(&screen).contains("2 of 4, by configuration, matching \"LAMP\""));
        assert!(!text(&screen).contains("tablet./fader/1"));
        let sent = Action::Send { instance: 1, channel: 1, value: 0.25 };
        assert_eq!(press(&mut screen, "jt0.25\n"), sent);
        assert!(text(&screen).contains("sent 0.25 as input of lamps./lamp/2"));
        assert_eq!(press(&mut screen, "t7\n"), Action::Nothing);
        assert!(text(&screen).contains("expected a number from 0 to 1, not `7`"));
        press(&mut screen, "\u{1b}sss");
        assert_eq!(screen.shown, [2, 3, 0, 1], "by value");
        assert_eq!(press(&mut screen, "q"), Action::Quit);
    }

    #[test]
    fn a_test_value_goes_to_the_channel_that_was_selected() {
        let mut screen = screen();
        press(&mut screen, "ss");
        screen.update(reading(3.0, 200));
        assert_eq!(screen.shown[0], 0, "by rate");
        press(&mut screen, "t0.");
        assert!(text(&screen).contains(" for tablet./fader/1 "), "{}", text(&screen));
        // Before the value is sent, another channel becomes the fastest.
        let mut next = reading(4.0, 200);
        next.values[3].1 += 1_000;
        screen.update(next);
        assert_eq!(screen.shown[0], 3);
        assert_eq!(press(&mut screen, "5\n"), Action::Send { instance: 0, channel: 0, value: 0.5 });
    }

    #[test]
    fn a_pause_freezes_the_values_but_not_the_log() {
        let mut screen = screen();
        press(&mut screen, "p");
        screen.update(reading(3.0, 900));
        let paused = text(&screen);
        assert!(paused.contains("PAUSED") && paused.contains("line at 3 s"), "{paused}");
        assert!(!paused.contains("900"), "{paused}");
        press(&mut screen, "p");
        screen.update(reading(4.0, 950));
        assert!(text(&screen).contains("950"));
    }
}
