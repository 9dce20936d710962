//! The state of the live view, without a terminal. `keys` changes it, `drawing` draws it.

use std::collections::HashMap;

use consort_control::{Finding, Layout, Reading, RouteReading, UnmatchedReading};
use ratatui::layout::Rect;

use super::pages::{Cursor, Page};

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

    pub(super) fn next(self) -> Self {
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
    /// The keys are listed until the next key.
    Help,
    Search,
    /// The user types a value: the channel that it is for, even if the list is sorted anew
    /// meanwhile, and the text so far.
    Send(usize, String),
    /// The user types the name of a layer.
    Layer(String),
    /// The user is asked whether to stop the show.
    Stop,
}

/// A channel of the show.
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) instance: u32,
    pub(super) channel: u32,
}

/// What a click on a part of the screen selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Page(Page),
    /// A line of a page's list.
    Item(Page, usize),
}

/// The state of the view.
pub(crate) struct Screen {
    pub(super) layout: Layout,
    pub(super) channels: Vec<Channel>,
    /// The index in `channels` of each instance's first channel.
    first_channels: Vec<usize>,
    pub(super) reading: Reading,
    /// Values per second of each channel, smoothed.
    pub(super) rates: Vec<f64>,
    /// Values per second of each instance: in, out.
    pub(super) instance_rates: Vec<(f64, f64)>,
    pub(super) page: Page,
    /// The place in each page's list, by [`Page`].
    pub(super) cursors: [Cursor; Page::ALL.len()],
    /// Indices of the channels shown, in order.
    pub(super) shown: Vec<usize>,
    /// Indices of the routes shown, in order.
    pub(super) shown_routes: Vec<usize>,
    /// Numbers of the instances shown, in order.
    pub(super) shown_instances: Vec<usize>,
    /// What the routes do that were visible last, by number.
    pub(super) routes: HashMap<u32, RouteReading>,
    pub(super) order: Order,
    pub(super) search: String,
    /// The instance whose channels, routes and inputs are shown alone.
    pub(super) only: Option<u32>,
    pub(super) mode: Mode,
    pub(super) is_paused: bool,
    pub(super) notice: String,
    pub(super) log: Vec<String>,
    /// The input that no mapping uses: the instance's number and the input, the newest first.
    pub(super) unmatched: Vec<(u32, UnmatchedReading)>,
    /// What keeps the selected line from working, until the next key.
    pub(super) findings: Vec<Finding>,
    /// Whether quitting stops the show; then `q` must be pressed twice.
    pub(crate) is_own: bool,
    /// The parts of the screen that can be clicked, as they were drawn last.
    pub(super) spots: Vec<(Rect, Spot)>,
    /// Whether the routes were drawn last.
    pub(super) are_routes_drawn: bool,
}

impl Screen {
    /// The screen of a show before the first reading.
    pub(crate) fn new(layout: Layout) -> Self {
        let mut channels = Vec::new();
        let mut first_channels = Vec::new();
        for (instance, entry) in layout.instances.iter().enumerate() {
            first_channels.push(channels.len());
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
            first_channels,
            reading: Reading::default(),
            page: Page::Channels,
            cursors: Default::default(),
            shown: Vec::new(),
            shown_routes: Vec::new(),
            shown_instances: Vec::new(),
            routes: HashMap::new(),
            order: Order::Configuration,
            search: String::new(),
            only: None,
            mode: Mode::Normal,
            is_paused: false,
            notice: String::new(),
            log: Vec::new(),
            unmatched: Vec::new(),
            findings: Vec::new(),
            is_own: false,
            spots: Vec::new(),
            are_routes_drawn: false,
        };
        screen.arrange();
        screen
    }

    /// The number of the next line of the log.
    pub(crate) fn log_next(&self) -> u64 {
        self.reading.log_next
    }

    /// Takes the layout of the reloaded show; page, order, search and mode stay.
    pub(crate) fn relayout(&mut self, layout: Layout) {
        let fresh = Screen::new(layout);
        let before = std::mem::replace(self, fresh);
        let name = |number: u32| before.layout.instances.get(number as usize).map(|one| &one.name);
        let only = before.only.and_then(name);
        let found = self.layout.instances.iter().position(|one| Some(&one.name) == only);
        self.only = found.map(|number| number as u32);
        self.order = before.order;
        self.search = before.search;
        self.page = before.page;
        self.cursors = before.cursors;
        // A value that was being typed belonged to a channel by its old number.
        self.mode = match before.mode {
            Mode::Send(..) => Mode::Normal,
            mode => mode,
        };
        self.is_own = before.is_own;
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
        unmatched.retain(|(instance, input)| {
            let name = &self.layout.instances[*instance as usize].name;
            self.is_wanted(&[*instance], || format!("{name}.{}", input.channel))
        });
        unmatched.sort_by(|(_, a), (_, b)| b.last.total_cmp(&a.last));
        self.unmatched = unmatched;
    }

    /// Whether the view wants [`update_unmatched`](Self::update_unmatched).
    pub(crate) fn wants_unmatched(&self) -> bool {
        self.page == Page::Unmatched && !self.is_paused
    }

    /// The numbers of the visible routes whose readings the view wants, ascending.
    pub(crate) fn wanted_routes(&self) -> Vec<u32> {
        if self.is_paused || !(self.page == Page::Routes || self.are_routes_drawn) {
            return Vec::new();
        }
        let visible = self.cursor(Page::Routes).last_visible();
        let last = visible.end.min(self.shown_routes.len());
        let visible = self.shown_routes.get(visible.start..last).unwrap_or_default();
        let mut numbers: Vec<u32> = visible.iter().map(|&index| index as u32).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Takes what routes do; the others keep their readings until they are asked for.
    pub(crate) fn update_routes(&mut self, readings: Vec<RouteReading>) {
        self.routes = readings.into_iter().map(|reading| (reading.route, reading)).collect();
    }

    /// Shows what keeps an instance or channel from working, until the next key.
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
        let was_at_end = self.cursor(Page::Log).selected + 1 >= self.log.len();
        self.log.append(&mut reading.log);
        let excess = self.log.len().saturating_sub(MAX_LOG_LINES);
        self.log.drain(..excess);
        let (selected, count) = (self.cursor(Page::Log).selected, self.log.len());
        let selected = if was_at_end { count } else { selected.saturating_sub(excess) };
        self.cursors[Page::Log as usize].select(selected, count);
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

    /// The index in `channels` of an instance's channel.
    pub(super) fn channel_index(&self, (instance, channel): (u32, u32)) -> usize {
        self.first_channels.get(instance as usize).map_or(0, |first| first + channel as usize)
    }

    /// The name of a route's source or target.
    pub(super) fn channel_name(&self, channel: (u32, u32)) -> &str {
        self.channels.get(self.channel_index(channel)).map_or("?", |channel| &channel.name)
    }

    /// The place in a page's list.
    pub(super) fn cursor(&self, page: Page) -> &Cursor {
        &self.cursors[page as usize]
    }

    /// The number of lines of a page's list.
    pub(super) fn item_count(&self, page: Page) -> usize {
        match page {
            Page::Channels => self.shown.len(),
            Page::Routes => self.shown_routes.len(),
            Page::Unmatched => self.unmatched.len(),
            Page::Instances => self.shown_instances.len(),
            Page::Log => self.log.len(),
        }
    }

    /// The selected line of a page's list; `None` if the list is empty.
    pub(super) fn selected(&self, page: Page) -> Option<usize> {
        let selected = self.cursor(page).selected;
        (selected < self.item_count(page)).then_some(selected)
    }

    /// Whether something of these instances with this name passes the filter and the search.
    fn is_wanted(&self, instances: &[u32], name: impl Fn() -> String) -> bool {
        self.only.is_none_or(|only| instances.contains(&only))
            && (self.search.is_empty()
                || name().to_lowercase().contains(&self.search.to_lowercase()))
    }

    /// Filters and sorts the lists.
    pub(super) fn arrange(&mut self) {
        let mut shown: Vec<usize> = (0..self.channels.len())
            .filter(|&index| {
                let channel = &self.channels[index];
                self.is_wanted(&[channel.instance], || channel.name.clone())
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
        let wanted_routes = self.layout.routes.iter().enumerate().filter(|(_, route)| {
            let name =
                || [self.channel_name(route.source), self.channel_name(route.target)].join(" > ");
            self.is_wanted(&[route.source.0, route.target.0], name)
        });
        self.shown_routes = wanted_routes.map(|(index, _)| index).collect();
        let search = self.search.to_lowercase();
        let wanted_instances = self.layout.instances.iter().enumerate().filter(|(_, instance)| {
            // On the other pages the search is for other things.
            self.page != Page::Instances
                || format!("{} {}", instance.name, instance.backend)
                    .to_lowercase()
                    .contains(&search)
        });
        self.shown_instances = wanted_instances.map(|(index, _)| index).collect();
        self.shown = shown;
        for page in Page::ALL {
            let count = self.item_count(page);
            let selected = self.cursor(page).selected;
            self.cursors[page as usize].select(selected, count);
        }
    }
}
