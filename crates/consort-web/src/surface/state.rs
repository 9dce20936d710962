//! The values of a surface, shared between the router's thread and the phones.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::layout::Layout;

/// How many changes wait for the router before the phones' sockets are not read any more.
const MAX_WAITING: usize = 4_096;

/// A channel of a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceChannel {
    /// Its name, unique in the surface.
    pub name: String,
    /// Whether phones may set it.
    pub is_source: bool,
    /// Whether it is held while it is touched: it is released when the last phone that holds it
    /// releases it or leaves.
    pub is_button: bool,
}

/// A channel with its last value and text. The router's thread alone writes them.
struct Slot {
    channel: SurfaceChannel,
    /// The name as JSON.
    key: String,
    /// The bits of the value.
    value: AtomicU64,
    /// How many values and texts there were; 0 before the first.
    count: AtomicU32,
    /// Whether the last one was a text.
    is_text: AtomicBool,
    text: Mutex<String>,
}

/// The channels of one layout.
pub(crate) struct Table {
    /// The message with the layout.
    pub(crate) layout: String,
    slots: Vec<Slot>,
    by_name: HashMap<String, u32>,
}

/// What a phone has been sent: the counts by channel.
#[derive(Default)]
pub(crate) struct Seen(Vec<u32>);

impl Table {
    fn new(layout: &Layout, channels: Vec<SurfaceChannel>) -> Self {
        let numbered = channels.iter().zip(0..);
        let by_name = numbered.map(|(channel, number)| (channel.name.clone(), number)).collect();
        let slot = |channel: SurfaceChannel| Slot {
            key: serde_json::Value::from(channel.name.as_str()).to_string(),
            channel,
            value: AtomicU64::new(0),
            count: AtomicU32::new(0),
            is_text: AtomicBool::new(false),
            text: Mutex::default(),
        };
        let slots = channels.into_iter().map(slot).collect();
        Table { layout: layout.encode(), slots, by_name }
    }

    /// Takes values and texts of channels of the same name.
    fn inherit(&self, old: &Table) {
        for slot in &self.slots {
            let Some(&number) = old.by_name.get(&slot.channel.name) else { continue };
            let before = &old.slots[number as usize];
            slot.value.store(before.value.load(Ordering::Relaxed), Ordering::Relaxed);
            slot.count.store(before.count.load(Ordering::Relaxed), Ordering::Relaxed);
            slot.text.lock().clone_from(&before.text.lock());
            slot.is_text.store(before.is_text.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Calls `value` and `text` for what has changed since `seen`, with names as JSON.
    pub(crate) fn changes(
        &self,
        seen: &mut Seen,
        mut value: impl FnMut(&str, f64),
        mut text: impl FnMut(&str, &str),
    ) {
        seen.0.resize(self.slots.len(), 0);
        for (slot, seen) in self.slots.iter().zip(&mut seen.0) {
            // The count is read first: a value that is stored meanwhile is sent again, not lost.
            let count = slot.count.load(Ordering::Acquire);
            if count == *seen {
                continue;
            }
            *seen = count;
            if slot.is_text.load(Ordering::Relaxed) {
                text(&slot.key, &slot.text.lock());
            } else {
                value(&slot.key, f64::from_bits(slot.value.load(Ordering::Relaxed)));
            }
        }
    }
}

/// What phones have sent, and who is connected.
struct Inbox {
    table: Arc<Table>,
    /// Channels of `table` with their values, in order of arrival.
    waiting: VecDeque<(u32, f64)>,
    /// The phones that hold a button, by its name.
    holders: HashMap<String, Vec<u64>>,
    phones: usize,
    next_phone: u64,
    is_closed: bool,
}

/// A control surface: the side of the phones.
pub struct Surface {
    inbox: Mutex<Inbox>,
    /// Whether a phone waits for changes.
    is_awaited: AtomicBool,
    /// Wakes the phones.
    pub(crate) changed: Notify,
    /// Wakes phones that wait for room in the inbox.
    taken: Notify,
    /// Wakes the router.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Surface {
    /// The layout and channels now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.inbox.lock().table)
    }

    /// Counts a phone, and returns its number.
    pub(crate) fn join(&self) -> u64 {
        let mut inbox = self.inbox.lock();
        inbox.phones += 1;
        inbox.next_phone += 1;
        let phone = inbox.next_phone;
        drop(inbox);
        (self.wake)();
        phone
    }

    /// Releases what a phone holds, and forgets it.
    pub(crate) fn leave(&self, phone: u64) {
        let mut inbox = self.inbox.lock();
        inbox.phones -= 1;
        let held: Vec<String> = inbox
            .holders
            .iter()
            .filter(|(_, phones)| phones.contains(&phone))
            .map(|(name, _)| name.clone())
            .collect();
        for name in held {
            inbox.set(phone, &name, 0.0);
        }
        drop(inbox);
        (self.wake)();
    }

    /// Takes a change of a phone. What names no channel that phones may set is ignored: a reload
    /// may have removed it.
    pub(crate) fn set(&self, phone: u64, name: &str, value: f64) {
        let mut inbox = self.inbox.lock();
        let was_empty = inbox.waiting.is_empty();
        inbox.set(phone, name, value);
        let is_first = was_empty && !inbox.waiting.is_empty();
        drop(inbox);
        if is_first {
            (self.wake)();
        }
    }

    /// Waits until the router has taken enough of what was sent.
    pub(crate) async fn has_room(&self) {
        loop {
            let taken = self.taken.notified();
            if self.inbox.lock().waiting.len() < MAX_WAITING {
                return;
            }
            taken.await;
        }
    }

    /// Announces that a phone waits for changes. What it reads afterwards is either new, or the
    /// router wakes it.
    pub(crate) fn await_changes(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether the instance has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.inbox.lock().is_closed
    }
}

impl Inbox {
    fn set(&mut self, phone: u64, name: &str, value: f64) {
        let Some(&number) = self.table.by_name.get(name) else { return };
        let channel = &self.table.slots[number as usize].channel;
        if !channel.is_source {
            return;
        }
        if !channel.is_button {
            self.waiting.push_back((number, value));
            return;
        }
        let holders = self.holders.entry(name.to_owned()).or_default();
        let was_held = !holders.is_empty();
        holders.retain(|&holder| holder != phone);
        if value > 0.0 {
            holders.push(phone);
        }
        let is_held = !holders.is_empty();
        if !is_held {
            self.holders.remove(name);
        }
        if was_held != is_held {
            self.waiting.push_back((number, f64::from(u8::from(is_held))));
        }
    }
}

/// A control surface: the side of the router. All methods are for the router's thread; none waits
/// for a phone.
pub struct SurfaceFeed {
    surface: Arc<Surface>,
    table: Arc<Table>,
}

impl SurfaceFeed {
    /// A surface with these channels. `wake` is called on other threads when there is something to
    /// [`take`](Self::take); it must not block.
    pub fn new(
        layout: &Layout,
        channels: Vec<SurfaceChannel>,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let table = Arc::new(Table::new(layout, channels));
        let inbox = Inbox {
            table: Arc::clone(&table),
            waiting: VecDeque::new(),
            holders: HashMap::new(),
            phones: 0,
            next_phone: 0,
            is_closed: false,
        };
        let surface = Surface {
            inbox: Mutex::new(inbox),
            is_awaited: AtomicBool::new(false),
            changed: Notify::new(),
            taken: Notify::new(),
            wake,
        };
        SurfaceFeed { surface: Arc::new(surface), table }
    }

    /// The side of the phones.
    pub fn surface(&self) -> Arc<Surface> {
        Arc::clone(&self.surface)
    }

    /// Stores the value of a channel. Does not allocate or lock.
    #[inline]
    pub fn set(&self, channel: u32, value: f64) {
        let slot = &self.table.slots[channel as usize];
        slot.value.store(value.to_bits(), Ordering::Relaxed);
        slot.is_text.store(false, Ordering::Relaxed);
        increment(&slot.count);
    }

    /// Stores the text of a channel; allocates only if it is longer than any before.
    pub fn set_text(&self, channel: u32, text: &str) {
        let slot = &self.table.slots[channel as usize];
        let mut stored = slot.text.lock();
        stored.clear();
        stored.push_str(text);
        slot.is_text.store(true, Ordering::Relaxed);
        increment(&slot.count);
    }

    /// Wakes the phones after values or texts were stored.
    #[inline]
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.surface.is_awaited.load(Ordering::Relaxed)
            && self.surface.is_awaited.swap(false, Ordering::SeqCst)
        {
            self.surface.changed.notify_waiters();
        }
    }

    /// Takes what phones have sent, in order, at most `limit` changes, and stores it for the other
    /// phones. Whether more is waiting.
    pub fn take(&self, limit: usize, mut change: impl FnMut(u32, f64)) -> bool {
        let mut inbox = self.surface.inbox.lock();
        let count = inbox.waiting.len().min(limit);
        for (channel, value) in inbox.waiting.drain(..count) {
            self.set(channel, value);
            change(channel, value);
        }
        let has_more = !inbox.waiting.is_empty();
        drop(inbox);
        if count > 0 {
            self.surface.taken.notify_waiters();
            self.notify();
        }
        has_more
    }

    /// How many phones are connected.
    pub fn phones(&self) -> usize {
        self.surface.inbox.lock().phones
    }

    /// Replaces layout and channels. Channels of the same name keep values, texts, what waits, and
    /// who holds them.
    pub fn replace(&mut self, layout: &Layout, channels: Vec<SurfaceChannel>) {
        let table = Arc::new(Table::new(layout, channels));
        table.inherit(&self.table);
        let mut inbox = self.surface.inbox.lock();
        let number = |name: &str| table.by_name.get(name).copied();
        let waiting = std::mem::take(&mut inbox.waiting);
        let moved = waiting.into_iter().filter_map(|(channel, value)| {
            Some((number(&self.table.slots[channel as usize].channel.name)?, value))
        });
        inbox.waiting = moved.collect();
        inbox.holders.retain(|name, _| number(name).is_some());
        inbox.table = Arc::clone(&table);
        drop(inbox);
        self.table = table;
        self.notify();
    }

    /// Releases all buttons that are held: `change` gets their channels.
    pub fn release(&self, mut change: impl FnMut(u32, f64)) {
        let held = std::mem::take(&mut self.surface.inbox.lock().holders);
        for name in held.keys() {
            if let Some(&channel) = self.table.by_name.get(name) {
                self.set(channel, 0.0);
                change(channel, 0.0);
            }
        }
        self.notify();
    }
}

impl Drop for SurfaceFeed {
    fn drop(&mut self) {
        self.surface.inbox.lock().is_closed = true;
        self.surface.changed.notify_waiters();
        self.surface.taken.notify_waiters();
    }
}

/// Increments a count that only this thread writes; it stays above 0.
#[inline]
fn increment(count: &AtomicU32) {
    let next = count.load(Ordering::Relaxed).wrapping_add(1).max(1);
    count.store(next, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::super::message::delta;
    use super::*;

    fn channels() -> Vec<SurfaceChannel> {
        let channel = |name: &str, is_source, is_button| SurfaceChannel {
            name: name.to_owned(),
            is_source,
            is_button,
        };
        vec![
            channel("fader.a", true, false),
            channel("button.b", true, true),
            channel("text.c", false, false),
        ]
    }

    fn layout() -> Layout {
        Layout { title: "band".into(), columns: 4, pages: Vec::new() }
    }

    fn feed() -> SurfaceFeed {
        SurfaceFeed::new(&layout(), channels(), Box::new(|| {}))
    }

    fn taken(feed: &SurfaceFeed) -> Vec<(u32, f64)> {
        let mut changes = Vec::new();
        assert!(!feed.take(usize::MAX, |channel, value| changes.push((channel, value))));
        changes
    }

    #[test]
    fn a_button_is_released_by_the_last_phone_that_holds_it() {
        let feed = feed();
        let surface = feed.surface();
        let (one, two) = (surface.join(), surface.join());
        surface.set(one, "button.b", 1.0);
        surface.set(two, "button.b", 1.0);
        surface.set(one, "button.b", 1.0);
        surface.set(one, "button.b", 0.0);
        assert_eq!(taken(&feed), [(1, 1.0)]);
        surface.leave(two);
        assert_eq!(taken(&feed), [(1, 0.0)]);
        surface.leave(one);
        assert_eq!((taken(&feed), feed.phones()), (vec![], 0));
    }

    #[test]
    fn what_no_phone_may_set_is_ignored() {
        let feed = feed();
        let surface = feed.surface();
        let phone = surface.join();
        surface.set(phone, "text.c", 1.0);
        surface.set(phone, "fader.x", 1.0);
        assert_eq!(taken(&feed), []);
    }

    #[test]
    fn a_phone_gets_what_has_changed_since_its_last_message() {
        let feed = feed();
        let table = feed.surface().table();
        let mut seen = Seen::default();
        assert_eq!(delta(&table, &mut seen), None);
        for value in [0.1, 0.2, 0.3] {
            feed.set(0, value);
        }
        feed.set_text(2, "\"Intro\"\n");
        let expected = r#"{"values":{"fader.a":0.3},"texts":{"text.c":"\"Intro\"\n"}}"#;
        assert_eq!(delta(&table, &mut seen).as_deref(), Some(expected));
        assert_eq!(delta(&table, &mut seen), None);
        // What one phone sends reaches the others.
        let phone = feed.surface().join();
        feed.surface().set(phone, "fader.a", 0.75);
        assert_eq!(taken(&feed), [(0, 0.75)]);
        let expected = r#"{"values":{"fader.a":0.75},"texts":{}}"#;
        assert_eq!(delta(&table, &mut seen).as_deref(), Some(expected));
        // A phone that comes later gets everything.
        let expected = r#"{"values":{"fader.a":0.75},"texts":{"text.c":"\"Intro\"\n"}}"#;
        assert_eq!(delta(&table, &mut Seen::default()).as_deref(), Some(expected));
        // A number replaces the text.
        feed.set(2, 1.0);
        let expected = r#"{"values":{"text.c":1},"texts":{}}"#;
        assert_eq!(delta(&table, &mut seen).as_deref(), Some(expected));
    }

    #[test]
    fn a_reload_keeps_values_holders_and_what_waits_by_name() {
        let mut feed = feed();
        let surface = feed.surface();
        let phone = surface.join();
        feed.set(0, 0.5);
        surface.set(phone, "button.b", 1.0);
        let mut channels = channels();
        channels.reverse();
        feed.replace(&layout(), channels.clone());
        assert_eq!(taken(&feed), [(1, 1.0)]);
        let expected = r#"{"values":{"button.b":1,"fader.a":0.5},"texts":{}}"#;
        assert_eq!(delta(&surface.table(), &mut Seen::default()).as_deref(), Some(expected));
        let mut released = Vec::new();
        feed.release(|channel, value| released.push((channel, value)));
        assert_eq!(released, [(1, 0.0)]);
        surface.set(phone, "button.b", 1.0);
        channels.retain(|channel| !channel.is_button);
        feed.replace(&layout(), channels);
        assert_eq!(taken(&feed), []);
        surface.leave(phone);
        assert_eq!(taken(&feed), []);
        drop(feed);
        assert!(surface.is_closed());
    }
}
