//! The state of a connection to a console, without sockets and clocks: messages in, values and
//! messages out.
//!
//! | phase | ends with |
//! |---|---|
//! | `Greeting` | the console is ready; a session is asked for |
//! | `Opening` | a session number; the user logs in |
//! | `LoggingIn` | the login is accepted |
//! | `Open` | the connection ends |

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::channels::{Channel, Control};
use super::config::{CommandLine, Config};
use super::keys::{Key, Remote};

/// How long a console may take for each step up to the login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time between two messages that keep the session.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long an answer to an inquiry may take before the console is asked again.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest time between two inquiries.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// How long a console that is asked may be silent before the connection counts as lost.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);

/// The most messages that wait to be written.
const MAX_WAITING: usize = 4_096;

/// The most values of executors without a channel that are remembered.
const MAX_SEEN: usize = 8_192;

/// How much a fader may differ from what was sent when the console reports it back.
const ECHO: f64 = 0.005;

/// The most reported values of a fader that are ignored after it was set.
const MAX_IGNORED: u64 = 5;

/// What a button is pressed above.
const PRESSED: f64 = 0.9;

/// The type of a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    GrandMa2,
    Dot2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Opening,
    LoggingIn,
    Open,
}

/// Why a connection must be closed, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

/// What a message has for the instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// The login is accepted.
    Open(Model),
    /// A channel has a new value.
    Value(u32, f64),
    /// An executor without a channel has a new value.
    Unmatched { page: u16, executor: u16, control: Control, value: f64 },
    /// The console refuses a request.
    Refused,
    /// An inquiry was not answered in time.
    Unanswered,
}

/// A channel and its values.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) channel: Channel,
    pub(super) is_source: bool,
    /// What the show has set.
    wanted: Option<f64>,
    /// Whether that was never sent.
    is_unsent: bool,
    /// What was sent last in this session.
    sent: Option<f64>,
    /// What the console has reported last.
    reported: Option<f64>,
    /// How many of the next reported values may be older than what was sent.
    ignored: u64,
}

impl Entry {
    pub(super) fn new(channel: Channel) -> Self {
        Entry {
            channel,
            is_source: false,
            wanted: None,
            is_unsent: false,
            sent: None,
            reported: None,
            ignored: 0,
        }
    }

    fn is_pressed(&self) -> bool {
        !self.channel.is_fader() && self.sent.is_some_and(|value| value > PRESSED)
    }
}

/// The state of a connection.
pub(super) struct Session {
    user: String,
    password: String,
    command_line: CommandLine,
    interval: Duration,
    phase: Phase,
    model: Model,
    number: i64,
    pub(super) entries: Vec<Entry>,
    /// The channel of each source.
    sources: HashMap<(u16, u16, Control), u32>,
    /// Whether all executors are asked for.
    asks_all: bool,
    requests: Vec<String>,
    unanswered: usize,
    /// The requests and answers of this session.
    requested: u64,
    answered: u64,
    asked: Option<Instant>,
    seen: HashMap<(u16, u16, Control), f64>,
    waiting: VecDeque<String>,
    began: Instant,
    kept: Instant,
    received: Instant,
}

impl Session {
    pub(super) fn new(config: &Config, entries: Vec<Entry>, now: Instant) -> Self {
        let mut session = Session {
            user: config.user.clone(),
            password: config.password.clone(),
            command_line: config.command_line,
            interval: LEAST_INTERVAL,
            phase: Phase::Greeting,
            model: Model::GrandMa2,
            number: 0,
            entries: Vec::new(),
            sources: HashMap::new(),
            asks_all: false,
            requests: Vec::new(),
            unanswered: 0,
            requested: 0,
            answered: 0,
            asked: None,
            seen: HashMap::new(),
            waiting: VecDeque::new(),
            began: now,
            kept: now,
            received: now,
        };
        session.set_entries(entries);
        session
    }

    /// Begins a connection.
    pub(super) fn begin(&mut self, now: Instant) {
        self.phase = Phase::Greeting;
        self.model = Model::GrandMa2;
        self.number = 0;
        self.unanswered = 0;
        (self.requested, self.answered) = (0, 0);
        self.asked = None;
        self.waiting.clear();
        (self.began, self.kept, self.received) = (now, now, now);
        for entry in &mut self.entries {
            entry.sent = None;
            entry.reported = None;
            entry.ignored = 0;
        }
        self.seen.clear();
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Replaces the channels.
    pub(super) fn set_entries(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
        self.sources.clear();
        for (number, entry) in (0..).zip(&self.entries) {
            if let Channel::Executor { page, executor, control } = entry.channel
                && entry.is_source
            {
                self.sources.insert((page, executor, control), number);
            }
        }
        self.seen.clear();
        self.requests = self.list_requests();
    }

    /// Channels of a reload: they keep what is known about channels of the same name, and what a
    /// removed channel holds is released.
    pub(super) fn adopt(&mut self, mut entries: Vec<Entry>) {
        let same = |entry: &Entry, list: &[Entry]| {
            list.iter().position(|other| other.channel == entry.channel)
        };
        for entry in &mut entries {
            if let Some(index) = same(entry, &self.entries) {
                let is_source = entry.is_source;
                *entry = self.entries[index].clone();
                if is_source && !entry.is_source {
                    entry.reported = None;
                }
                entry.is_source = is_source;
            }
        }
        for index in 0..self.entries.len() {
            if same(&self.entries[index], &entries).is_none() {
                self.release(index);
            }
        }
        self.set_entries(entries);
    }

    /// Sets the time between inquiries, and whether all executors are asked for.
    pub(super) fn configure(&mut self, interval: Duration, asks_all: bool) {
        self.interval = interval.max(LEAST_INTERVAL);
        if self.asks_all != asks_all {
            self.asks_all = asks_all;
            self.requests = self.list_requests();
        }
    }

    /// Takes a value for a channel. Returns how many values are lost by it.
    pub(super) fn set(&mut self, index: usize, value: f64) -> u64 {
        let is_open = self.is_open();
        let Some(entry) = self.entries.get_mut(index) else { return 1 };
        entry.wanted = Some(value);
        if entry.channel.is_fader() {
            // The newest one is sent by `flush` or at the login.
            return u64::from(std::mem::replace(&mut entry.is_unsent, true));
        }
        if !is_open {
            // A key that was pressed before the login is not pressed later.
            entry.wanted = None;
            return 1;
        }
        if entry.sent == Some(value) {
            return 0;
        }
        entry.sent = Some(value);
        u64::from(!self.press(index, value > PRESSED))
    }

    /// Presses or releases a button or key. False if the console does not have it.
    fn press(&mut self, index: usize, is_pressed: bool) -> bool {
        let session = self.number;
        let message = match self.entries[index].channel {
            Channel::Executor { page, executor, control } => {
                let button = match (control, self.model) {
                    (Control::Fader | Control::Button, _) | (Control::Upper, Model::Dot2) => 0,
                    (Control::Lower, _) => 1,
                    (Control::Upper, Model::GrandMa2) => 2,
                };
                let (executor, page) = (executor - 1, page - 1);
                let is_released = !is_pressed;
                format!(
                    "{{\"requestType\":\"playbacks_userInput\",\
                     \"execIndex\":{executor},\"pageIndex\":{page},\"buttonId\":{button},\
                     \"pressed\":{is_pressed},\"released\":{is_released},\"type\":0,\
                     \"session\":{session}}}"
                )
            }
            Channel::Key(key) => match self.key(key, is_pressed) {
                Some(message) => message,
                None => return self.has_key(key),
            },
        };
        self.push(message);
        true
    }

    /// Whether a key is handled by the console's own command line.
    fn uses_console(&self, key: &Key) -> bool {
        self.model == Model::GrandMa2
            && self.command_line != CommandLine::Remote
            && key.hardkey.is_some()
    }

    fn has_key(&self, key: &Key) -> bool {
        self.uses_console(key) || key.is_remote() && self.command_line != CommandLine::Console
    }

    /// The message for a key; `None` if nothing is sent.
    fn key(&self, key: &Key, is_pressed: bool) -> Option<String> {
        let session = self.number;
        if self.uses_console(key) {
            let number = key.hardkey?;
            return Some(format!(
                "{{\"command\":\"LUA 'gma.canbus.hardkey({number}, {is_pressed}, false)'\",\
                 \"requestType\":\"command\",\"session\":{session}}}"
            ));
        }
        let is_sent = match key.remote {
            Remote::None => false,
            Remote::Press => is_pressed,
            Remote::Release => !is_pressed,
            Remote::Both => true,
        };
        if !is_sent || !self.has_key(key) {
            return None;
        }
        let submits = if key.submits { "true" } else { "null" };
        let value = u8::from(is_pressed);
        Some(format!(
            "{{\"keyname\":\"{}\",\"autoSubmit\":{submits},\"value\":{value},\"session\":{session}}}",
            key.name
        ))
    }

    /// Releases a button or key that is pressed.
    fn release(&mut self, index: usize) {
        if self.entries[index].is_pressed() && self.is_open() {
            self.entries[index].sent = Some(0.0);
            self.press(index, false);
        }
    }

    /// Releases all buttons and keys that are pressed.
    pub(super) fn release_all(&mut self) {
        for index in 0..self.entries.len() {
            self.release(index);
        }
    }

    /// Ends the session.
    pub(super) fn close(&mut self) {
        if self.is_open() {
            self.flush();
            self.release_all();
            let session = self.number;
            self.push(format!("{{\"requestType\":\"close\",\"session\":{session}}}"));
            self.phase = Phase::Greeting;
        }
    }

    fn push(&mut self, message: String) {
        self.waiting.push_back(message);
    }

    /// Writes the faders that have changed.
    pub(super) fn flush(&mut self) {
        if !self.is_open() {
            return;
        }
        let session = self.number;
        // What the console answers to earlier requests is older than what is sent now. Lost answers
        // make the number too high, which only delays a change at the console.
        let requests = self.requests.len().max(1) as u64;
        let missing = self.requested.saturating_sub(self.answered);
        let outstanding = missing.div_ceil(requests).clamp(1, MAX_IGNORED);
        for entry in &mut self.entries {
            let Channel::Executor { page, executor, control: Control::Fader } = entry.channel
            else {
                continue;
            };
            entry.is_unsent = false;
            let Some(value) = entry.wanted.filter(|_| entry.wanted != entry.sent) else { continue };
            entry.sent = Some(value);
            entry.reported = entry.reported.map(|_| value);
            entry.ignored = outstanding;
            let (executor, page) = (executor - 1, page - 1);
            let value = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
            self.waiting.push_back(format!(
                "{{\"requestType\":\"playbacks_userInput\",\"execIndex\":{executor},\
                 \"pageIndex\":{page},\"faderValue\":{value:.6},\"type\":1,\"session\":{session}}}"
            ));
        }
    }

    /// The next message to write.
    pub(super) fn next(&mut self) -> Option<String> {
        self.waiting.pop_front()
    }

    /// Whether too much waits to be written.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > MAX_WAITING
    }

    /// Whether everything is written.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a message of the console.
    ///
    /// # Errors
    /// If the console refuses the session or the login.
    pub(super) fn message(
        &mut self,
        text: &str,
        now: Instant,
        event: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        self.received = now;
        let Ok(json) = serde_json::from_str::<Json>(text) else {
            // Old versions send this without JSON.
            if text.trim() == "server ready" && self.phase == Phase::Greeting {
                self.greet(Model::GrandMa2, now);
            } else {
                event(Event::Refused);
            }
            return Ok(());
        };
        if json.get("status").and_then(Json::as_str) == Some("server ready")
            && self.phase == Phase::Greeting
        {
            let is_dot2 = json.get("appType").and_then(Json::as_str) == Some("dot2");
            self.greet(if is_dot2 { Model::Dot2 } else { Model::GrandMa2 }, now);
        }
        if let Some(number) = json.get("session").and_then(Json::as_i64) {
            if number < 0 {
                return Err(Failure(
                    "the console has no free session; switch its web remote on, or close another"
                        .into(),
                ));
            }
            if self.phase != Phase::Greeting {
                self.number = number;
            }
            if self.phase == Phase::Opening {
                self.log_in(now);
            }
        }
        if json.get("forceLogin").and_then(Json::as_bool) == Some(true) && self.phase == Phase::Open
        {
            self.log_in(now);
        }
        match json.get("responseType").and_then(Json::as_str) {
            Some("login") if self.phase == Phase::LoggingIn => {
                if json.get("result").and_then(Json::as_bool) != Some(true) {
                    return Err(Failure(format!(
                        "the console refuses the login of `{}`; check `user` and `password`",
                        self.login_name()
                    )));
                }
                self.phase = Phase::Open;
                self.kept = now;
                self.asked = None;
                self.unanswered = 0;
                self.requests = self.list_requests();
                event(Event::Open(self.model));
                self.flush();
            }
            Some("playbacks") => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.answered += 1;
                self.playbacks(&json, event);
            }
            _ => {}
        }
        Ok(())
    }

    fn greet(&mut self, model: Model, now: Instant) {
        self.model = model;
        self.phase = Phase::Opening;
        self.began = now;
        self.push("{\"session\":0}".into());
    }

    /// A dot2 has one user.
    fn login_name(&self) -> &str {
        if self.model == Model::Dot2 { "remote" } else { &self.user }
    }

    fn log_in(&mut self, now: Instant) {
        self.phase = Phase::LoggingIn;
        self.began = now;
        let (user, session) = (Json::from(self.login_name()), self.number);
        let password = &self.password;
        self.push(format!(
            "{{\"requestType\":\"login\",\"username\":{user},\"password\":\"{password}\",\
             \"session\":{session}}}"
        ));
    }

    /// Takes the state of executors.
    fn playbacks(&mut self, json: &Json, event: &mut dyn FnMut(Event)) {
        let page = json.get("iPage").and_then(Json::as_u64).and_then(|page| page.try_into().ok());
        let Some(page) = page.filter(|page: &u16| *page > 0) else { return };
        let groups = json.get("itemGroups").and_then(Json::as_array);
        for group in groups.into_iter().flatten() {
            let is_buttons = group.get("itemsType").and_then(Json::as_u64) == Some(3);
            let rows = group.get("items").and_then(Json::as_array);
            let items = rows.into_iter().flatten().filter_map(Json::as_array).flatten();
            for item in items {
                self.executor(page, item, is_buttons, event);
            }
        }
    }

    fn executor(&mut self, page: u16, item: &Json, is_buttons: bool, event: &mut dyn FnMut(Event)) {
        let first = item.get("iExec").and_then(Json::as_u64);
        let Some(first) = first.and_then(|number| u16::try_from(number).ok()) else { return };
        let runs = match item.get("isRun") {
            Some(Json::Bool(runs)) => *runs,
            Some(number) => number.as_f64().is_some_and(|number| number != 0.0),
            None => false,
        };
        let blocks = match is_buttons {
            true => item.get("bottomButtons").and_then(|buttons| buttons.get("items")),
            false => item.get("executorBlocks"),
        };
        // A wide executor has several blocks.
        for (block, offset) in blocks.and_then(Json::as_array).into_iter().flatten().zip(0_u16..) {
            let Some(executor) = first.checked_add(offset).and_then(|number| number.checked_add(1))
            else {
                return;
            };
            let fader = block.get("fader").and_then(|fader| fader.get("v")).and_then(Json::as_f64);
            if let Some(value) = fader.filter(|value| value.is_finite()) {
                self.report(page, executor, Control::Fader, value.clamp(0.0, 1.0), event);
            }
            self.report(page, executor, Control::Button, f64::from(u8::from(runs)), event);
        }
    }

    /// Passes a value on if it has changed.
    fn report(
        &mut self,
        page: u16,
        executor: u16,
        control: Control,
        value: f64,
        event: &mut dyn FnMut(Event),
    ) {
        let place = (page, executor, control);
        let Some(&number) = self.sources.get(&place) else {
            let is_known = self.seen.contains_key(&place);
            if !is_known && self.seen.len() >= MAX_SEEN {
                return;
            }
            if self.seen.insert(place, value).is_some_and(|before| before != value) {
                event(Event::Unmatched { page, executor, control, value });
            }
            return;
        };
        let entry = &mut self.entries[number as usize];
        if entry.ignored > 0 {
            entry.ignored -= 1;
            return;
        }
        // The console may round what was sent.
        let is_echo = control == Control::Fader
            && entry.sent.is_some_and(|sent| entry.reported == Some(sent))
            && entry.sent.is_some_and(|sent| (sent - value).abs() < ECHO);
        if is_echo || entry.reported == Some(value) {
            return;
        }
        entry.reported = Some(value);
        if control == Control::Fader {
            // The same value may be sent again, because the console has moved the fader.
            entry.sent = None;
            entry.wanted = None;
        }
        event(Event::Value(number, value));
    }

    /// The inquiries for all sources.
    fn list_requests(&self) -> Vec<String> {
        let mut places: Vec<(u16, u16)> =
            self.sources.keys().map(|(page, executor, _)| (*page, *executor)).collect();
        if self.asks_all {
            let mut pages: Vec<u16> = places.iter().map(|(page, _)| *page).collect();
            pages.sort_unstable();
            pages.dedup();
            if pages.is_empty() {
                pages.push(1);
            }
            let ranges: &[std::ops::RangeInclusive<u16>] = match self.model {
                Model::GrandMa2 => &[1..=90, 101..=190],
                Model::Dot2 => &[1..=21, 101..=122, 201..=222, 301..=316, 401..=416],
            };
            for page in pages {
                places.extend(ranges.iter().cloned().flatten().map(|executor| (page, executor)));
            }
        }
        places.sort_unstable();
        places.dedup();
        match self.model {
            Model::GrandMa2 => requests_of_grandma2(&places),
            Model::Dot2 => requests_of_dot2(&places),
        }
    }

    /// Asks for the sources if that is due, and keeps the session.
    ///
    /// # Errors
    /// If the console does not answer.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        event: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        if !self.is_open() {
            return match now >= self.began + LOGIN_TIMEOUT {
                true => Err(Failure("the console does not answer like a web remote".into())),
                false => Ok(()),
            };
        }
        if now >= self.kept + KEEP_ALIVE {
            self.kept = now;
            let session = self.number;
            self.push(format!("{{\"session\":{session}}}"));
        }
        if self.requests.is_empty() {
            return Ok(());
        }
        if now >= self.received + SILENCE_TIMEOUT {
            return Err(Failure("the console does not answer any more".into()));
        }
        if self.poll_time().is_some_and(|time| time > now) {
            return Ok(());
        }
        if self.unanswered > 0 {
            event(Event::Unanswered);
        }
        self.asked = Some(now);
        self.unanswered = self.requests.len();
        self.requested += self.requests.len() as u64;
        for request in &self.requests {
            self.waiting.push_back(format!("{request}{}}}", self.number));
        }
        Ok(())
    }

    /// When the sources are to be asked for again; `None` for at once.
    fn poll_time(&self) -> Option<Instant> {
        let pause = match self.unanswered {
            0 => self.interval,
            _ => self.interval.max(POLL_TIMEOUT),
        };
        self.asked.map(|asked| asked + pause)
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub(super) fn deadline(&self) -> Instant {
        if !self.is_open() {
            return self.began + LOGIN_TIMEOUT;
        }
        let kept = self.kept + KEEP_ALIVE;
        if self.requests.is_empty() {
            return kept;
        }
        kept.min(self.poll_time().unwrap_or(self.received)).min(self.received + SILENCE_TIMEOUT)
    }
}

/// A request without the session number and the brace at its end.
fn request(page: u16, view: u8, blocks: &[(u16, u16, u8)]) -> String {
    let list = |numbers: &mut dyn Iterator<Item = u16>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    };
    let starts = list(&mut blocks.iter().map(|block| block.0));
    let counts = list(&mut blocks.iter().map(|block| block.1));
    let types = list(&mut blocks.iter().map(|block| block.2.into()));
    let page = page - 1;
    format!(
        "{{\"requestType\":\"playbacks\",\"startIndex\":[{starts}],\"itemsCount\":[{counts}],\
         \"pageIndex\":{page},\"itemsType\":[{types}],\"view\":{view},\"execButtonViewMode\":2,\
         \"buttonsViewMode\":0,\"session\":"
    )
}

/// One request for each page and hundred, in blocks of 5.
fn requests_of_grandma2(places: &[(u16, u16)]) -> Vec<String> {
    let index = |place: &(u16, u16)| place.1 - 1;
    places
        .chunk_by(|a, b| a.0 == b.0 && index(a) / 100 == index(b) / 100)
        .map(|chunk| {
            let start = index(&chunk[0]) / 5 * 5;
            let end = chunk.last().map_or(start, index) / 5 * 5 + 5;
            let kind = if start < 100 { 2 } else { 3 };
            request(chunk[0].0, kind, &[(start, end - start, kind)])
        })
        .collect()
}

/// One request for the faders and the buttons above them of a page, and one for the button wings.
fn requests_of_dot2(places: &[(u16, u16)]) -> Vec<String> {
    let index = |place: &(u16, u16)| place.1 - 1;
    places
        .chunk_by(|a, b| a.0 == b.0 && (index(a) < 300) == (index(b) < 300))
        .map(|chunk| {
            let is_fader_view = index(&chunk[0]) < 300;
            let mut blocks: Vec<(u16, u16, u8)> = chunk
                .chunk_by(|a, b| index(a) / 100 == index(b) / 100)
                .map(|block| {
                    let start = index(&block[0]);
                    let end = block.last().map_or(start, index);
                    (start, end - start + 1, if start < 100 { 2 } else { 3 })
                })
                .collect();
            // Without faders, this view reports no buttons.
            if is_fader_view && blocks[0].2 == 3 {
                blocks.insert(0, (0, 1, 2));
            }
            request(chunk[0].0, if is_fader_view { 2 } else { 3 }, &blocks)
        })
        .collect()
}
