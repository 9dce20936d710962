//! The commands of one camera: which of them wait, which leaves next, and what its replies mean. It
//! has neither sockets nor clocks.
//!
//! | a command is | until |
//! |---|---|
//! | *pending*: the newest value of its key replaces older ones | fewer than [`WINDOW`] commands are in flight |
//! | *in flight*: written, not acknowledged | the camera acknowledges or refuses it, or [`ANSWER_TIMEOUT`] ends: it is repeated |
//! | *executing* in a socket of the camera | the camera reports its completion |
//!
//! A stop does not wait: [`Flow::next`] returns it first, and it does not count among the commands
//! in flight. Until the camera acknowledges it, it is repeated, unless a newer movement has left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::channels::{Axis, Channel, Direction};
use super::config::Settings;
use super::wire::{Inquiry, Message, Reply, nibbles, reason};

/// The commands that may be unacknowledged. A camera has two sockets.
pub(super) const WINDOW: usize = 2;

/// How long a camera may take to acknowledge a command or to answer an inquiry.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// The same for a camera that has acknowledged nothing so far, so that its commands are not held up.
const MUTE_TIMEOUT: Duration = Duration::from_millis(50);

/// How many commands are unanswered before a camera counts as mute.
const MUTE_COUNT: u32 = 3;

/// How often a command is sent.
const MAX_TRIES: u8 = 3;

/// How often a stop is sent.
const MAX_STOP_TRIES: u8 = 20;

/// The pause after a camera had no socket for a command, unless one becomes free.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The same for a stop, whose sockets are cancelled.
const STOP_PAUSE: Duration = Duration::from_millis(30);

/// The silence after which a camera is asked for its version.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(5);

/// The sockets that a reply can name.
const MAX_SOCKETS: usize = 16;

/// What triggers are sent at.
const TRIGGER: f64 = 0.9;

/// A kind of command, of which at most one is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Pan and tilt to a position.
    Position,
    /// Pan and tilt with a speed until they are stopped.
    Move,
    Home,
    Reset,
    Zoom,
    ZoomDrive,
    Focus,
    FocusDrive,
    AutoFocus,
    FocusOnce,
    WhiteAuto,
    WhiteRed,
    WhiteBlue,
    Power,
    Recall(u8),
    Store(u8),
}

/// The parts of a camera: commands of one part keep their order.
mod part {
    pub(super) const HEAD: u8 = 1;
    pub(super) const ZOOM: u8 = 2;
    pub(super) const FOCUS: u8 = 4;
    pub(super) const RED: u8 = 8;
    pub(super) const BLUE: u8 = 16;
    pub(super) const ALL: u8 = HEAD | ZOOM | FOCUS | RED | BLUE;
    pub(super) const COUNT: usize = 5;
}

impl Key {
    /// The parts that the command changes or depends on.
    fn parts(self) -> u8 {
        match self {
            Key::Position | Key::Move | Key::Home | Key::Reset => part::HEAD,
            Key::Zoom | Key::ZoomDrive => part::ZOOM,
            Key::Focus | Key::FocusDrive | Key::AutoFocus | Key::FocusOnce => part::FOCUS,
            Key::WhiteAuto => part::RED | part::BLUE,
            Key::WhiteRed => part::RED,
            Key::WhiteBlue => part::BLUE,
            Key::Power | Key::Recall(_) | Key::Store(_) => part::ALL,
        }
    }

    /// Whether the command means this moment only: it is not sent later, after a lost connection.
    fn is_trigger(self) -> bool {
        matches!(
            self,
            Key::Home | Key::Reset | Key::FocusOnce | Key::Recall(_) | Key::Store(_) | Key::Power
        )
    }

    /// The command, for people.
    pub(super) fn name(self) -> String {
        match self {
            Key::Position => "pan or tilt".into(),
            Key::Move => "move or stop".into(),
            Key::Home => "home".into(),
            Key::Reset => "reset".into(),
            Key::Zoom => "zoom".into(),
            Key::ZoomDrive => "zoom.move".into(),
            Key::Focus => "focus".into(),
            Key::FocusDrive => "focus.move".into(),
            Key::AutoFocus => "autofocus".into(),
            Key::FocusOnce => "focus.once".into(),
            Key::WhiteAuto => "wb.auto".into(),
            Key::WhiteRed => "wb.red".into(),
            Key::WhiteBlue => "wb.blue".into(),
            Key::Power => "power".into(),
            Key::Recall(number) => format!("memory{number}"),
            Key::Store(number) => format!("store{number}"),
        }
    }
}

/// Where an axis of the head is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Something else has moved it.
    Unknown,
    /// A value from 0 to 1.
    Wanted(f64),
    /// The camera's own number.
    Reported(i32),
}

/// A movement with a speed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Drive {
    /// 1 plus, -1 minus, 0 stopped.
    sign: i8,
    /// The part of the speed, from 0 to 1.
    factor: f64,
}

impl Drive {
    const STOPPED: Drive = Drive { sign: 0, factor: 0.0 };

    /// The drive for a value of a channel.
    fn new(direction: Direction, value: f64, deadzone: f64) -> Self {
        let (sign, factor) = match direction {
            Direction::Plus => (1, value),
            Direction::Minus => (-1, value),
            Direction::Both => {
                let factor = (value - 0.5).abs() * 2.0;
                let is_stopped = factor < 2.0 * deadzone;
                (if value > 0.5 { 1 } else { -1 }, if is_stopped { 0.0 } else { factor })
            }
        };
        // Not a number is a stop, too.
        if factor > 0.0 { Drive { sign, factor: factor.min(1.0) } } else { Drive::STOPPED }
    }

    fn moves(self) -> bool {
        self.sign != 0
    }

    /// The speed of a lens drive, from 0 to 7, with its direction.
    fn lens(self, plus: u8, minus: u8) -> u8 {
        let speed = (self.factor * 7.0).round() as u8;
        match self.sign {
            0 => 0,
            1.. => plus | speed,
            _ => minus | speed,
        }
    }
}

/// What the show wants.
struct Wanted {
    pan: Place,
    tilt: Place,
    pan_speed: f64,
    tilt_speed: f64,
    pan_drive: Drive,
    tilt_drive: Drive,
    zoom: f64,
    zoom_drive: Drive,
    focus: f64,
    focus_drive: Drive,
    autofocus: bool,
    white_auto: bool,
    white_red: f64,
    white_blue: f64,
    power: bool,
}

/// What a message in flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Command(Key),
    /// A command that stops something.
    Stop(Key),
    /// The cancellation of the command in a socket.
    Cancel(u8),
    Inquiry(Inquiry),
}

/// A message that was written and not answered.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    what: What,
    message: Message,
    sequence: u32,
    sent: Instant,
    tries: u8,
}

/// A message to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) what: What,
    pub(super) message: Message,
    /// The number in Sony's header. A repeated message has that of the first time.
    pub(super) sequence: u32,
}

/// What a reply means for the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    /// What was asked, and the numbers of the answer.
    Answer(Inquiry, [i32; 2]),
    /// The camera refuses something for a reason.
    Refused(What, u8),
}

/// The commands of one camera.
pub(super) struct Flow {
    id: u8,
    pub(super) settings: Settings,
    wanted: Wanted,
    pending: Vec<Key>,
    stops: VecDeque<Key>,
    cancels: Vec<u8>,
    repeats: VecDeque<InFlight>,
    in_flight: Vec<InFlight>,
    executing: Vec<(u8, Key)>,
    /// The number of the last command of each part.
    latest: [u32; part::COUNT],
    /// No command leaves before, because the camera had no socket.
    busy_until: Option<Instant>,
    /// No stop leaves before.
    stop_after: Option<Instant>,
    /// What is asked regularly, and what of it is due.
    polled: u16,
    due: u16,
    next_poll: Option<Instant>,
    /// What the camera has refused to answer.
    unsupported: u16,
    /// How often the position was asked without an answer.
    position_tries: u32,
    presence: Option<Instant>,
    /// The unanswered messages since the last reply, and the commands among them since the last
    /// acknowledgement.
    unanswered: u32,
    unacknowledged: u32,
    has_answered: bool,
}

impl Flow {
    pub(super) fn new(id: u8, settings: Settings) -> Self {
        Flow {
            id,
            settings,
            wanted: Wanted {
                pan: Place::Unknown,
                tilt: Place::Unknown,
                pan_speed: 1.0,
                tilt_speed: 1.0,
                pan_drive: Drive::STOPPED,
                tilt_drive: Drive::STOPPED,
                zoom: 0.0,
                zoom_drive: Drive::STOPPED,
                focus: 0.0,
                focus_drive: Drive::STOPPED,
                autofocus: false,
                white_auto: false,
                white_red: 0.0,
                white_blue: 0.0,
                power: false,
            },
            pending: Vec::new(),
            stops: VecDeque::new(),
            cancels: Vec::new(),
            repeats: VecDeque::new(),
            in_flight: Vec::new(),
            executing: Vec::new(),
            latest: [0; part::COUNT],
            busy_until: None,
            stop_after: None,
            polled: 0,
            due: 0,
            next_poll: None,
            unsupported: 0,
            position_tries: 0,
            presence: None,
            unanswered: 0,
            unacknowledged: 0,
            has_answered: false,
        }
    }

    pub(super) fn id(&self) -> u8 {
        self.id
    }

    /// Whether the camera has answered, and how often it has not since.
    pub(super) fn presence(&self) -> (bool, u32) {
        (self.has_answered, self.unanswered)
    }

    /// Whether something is still to be written that must not be lost at the end of a show.
    pub(super) fn has_stops(&self) -> bool {
        !self.stops.is_empty()
    }

    /// The commands that are written and not acknowledged, without stops.
    pub(super) fn unacknowledged(&self) -> usize {
        self.in_flight.iter().filter(|sent| matches!(sent.what, What::Command(_))).count()
    }

    /// Sets what is asked regularly.
    pub(super) fn poll_if_changed(&mut self, inquiries: u16, now: Instant) {
        if self.polled == inquiries {
            return;
        }
        self.polled = inquiries;
        self.due &= inquiries;
        self.next_poll = (inquiries != 0).then_some(now);
    }

    /// Takes a value of a channel. Returns whether a value that was not sent is replaced.
    pub(super) fn set(&mut self, channel: Channel, value: f64) -> bool {
        let is_on = value > TRIGGER;
        let is_triggered = value >= TRIGGER;
        let key = match channel {
            Channel::Position(axis) => {
                let place = Place::Wanted(value.clamp(0.0, 1.0));
                match axis {
                    Axis::Pan => self.wanted.pan = place,
                    Axis::Tilt => self.wanted.tilt = place,
                }
                Key::Position
            }
            Channel::Speed(axis) => {
                match axis {
                    Axis::Pan => self.wanted.pan_speed = value,
                    Axis::Tilt => self.wanted.tilt_speed = value,
                }
                return self.change_speed();
            }
            Channel::Move(axis, direction) => {
                let drive = Drive::new(direction, value, self.settings.deadzone);
                return self.drive_head(axis, drive);
            }
            Channel::Stop => {
                self.stop_all(true);
                return false;
            }
            Channel::Zoom => {
                self.wanted.zoom = value;
                self.wanted.zoom_drive = Drive::STOPPED;
                self.pending.retain(|key| *key != Key::ZoomDrive);
                Key::Zoom
            }
            Channel::ZoomDrive(direction) => {
                let drive = Drive::new(direction, value, self.settings.deadzone);
                let before = std::mem::replace(&mut self.wanted.zoom_drive, drive);
                return self.drive_lens(Key::ZoomDrive, before, drive);
            }
            Channel::Focus => {
                self.wanted.focus = value;
                self.wanted.focus_drive = Drive::STOPPED;
                self.pending.retain(|key| *key != Key::FocusDrive);
                Key::Focus
            }
            Channel::FocusDrive(direction) => {
                let drive = Drive::new(direction, value, self.settings.deadzone);
                let before = std::mem::replace(&mut self.wanted.focus_drive, drive);
                return self.drive_lens(Key::FocusDrive, before, drive);
            }
            Channel::AutoFocus => {
                self.wanted.autofocus = is_on;
                Key::AutoFocus
            }
            Channel::WhiteAuto => {
                self.wanted.white_auto = is_on;
                Key::WhiteAuto
            }
            Channel::WhiteRed => {
                self.wanted.white_red = value;
                Key::WhiteRed
            }
            Channel::WhiteBlue => {
                self.wanted.white_blue = value;
                Key::WhiteBlue
            }
            Channel::Power => {
                self.wanted.power = is_on;
                Key::Power
            }
            Channel::Home | Channel::Reset | Channel::FocusOnce if !is_triggered => return false,
            Channel::Recall(_) | Channel::Store(_) if !is_triggered => return false,
            Channel::Home => Key::Home,
            Channel::Reset => Key::Reset,
            Channel::FocusOnce => Key::FocusOnce,
            Channel::Recall(number) => Key::Recall(number),
            Channel::Store(number) => Key::Store(number),
        };
        if matches!(key, Key::Home | Key::Reset | Key::Recall(_)) {
            // The head goes elsewhere, so an older position is not wanted any more.
            self.forget_position();
        }
        self.queue(key)
    }

    /// Forgets where the head is to be, because something else moves it.
    fn forget_position(&mut self) {
        self.wanted.pan = Place::Unknown;
        self.wanted.tilt = Place::Unknown;
        self.position_tries = 0;
        self.pending.retain(|key| *key != Key::Position);
    }

    /// Adds a command to those that wait. It keeps the place of an older one, unless a command that
    /// changes the same part was added since. Returns whether there was an older one.
    fn queue(&mut self, key: Key) -> bool {
        let Some(index) = self.pending.iter().position(|other| *other == key) else {
            self.pending.push(key);
            return false;
        };
        if self.pending[index + 1..].iter().any(|other| other.parts() & key.parts() != 0) {
            self.pending.remove(index);
            self.pending.push(key);
        }
        !key.is_trigger()
    }

    /// A new speed applies to a movement that is under way.
    fn change_speed(&mut self) -> bool {
        if self.wanted.pan_drive.moves() || self.wanted.tilt_drive.moves() {
            return self.queue(Key::Move);
        }
        let is_moving = self.executing.iter().any(|(_, key)| *key == Key::Position)
            || self.in_flight.iter().any(|sent| sent.what == What::Command(Key::Position));
        if is_moving && !self.is_position_unknown() {
            self.queue(Key::Position);
        }
        false
    }

    fn drive_head(&mut self, axis: Axis, drive: Drive) -> bool {
        let wanted = match axis {
            Axis::Pan => &mut self.wanted.pan_drive,
            Axis::Tilt => &mut self.wanted.tilt_drive,
        };
        let before = std::mem::replace(wanted, drive);
        if !before.moves() && !drive.moves() {
            return false;
        }
        self.forget_position();
        self.pending.retain(|key| !matches!(key, Key::Home | Key::Reset));
        if !drive.moves() {
            self.stop(Key::Move);
            return false;
        }
        // It replaces a stop that could not be written.
        self.stops.retain(|key| *key != Key::Move);
        self.queue(Key::Move)
    }

    fn drive_lens(&mut self, key: Key, before: Drive, drive: Drive) -> bool {
        if !before.moves() && !drive.moves() {
            return false;
        }
        let position = if key == Key::ZoomDrive { Key::Zoom } else { Key::Focus };
        self.pending.retain(|other| *other != position);
        if !drive.moves() {
            self.stop(key);
            return false;
        }
        self.stops.retain(|other| *other != key);
        self.queue(key)
    }

    /// Stops the head, and what else is moving. `is_explicit`: also if nothing is known to move.
    pub(super) fn stop_all(&mut self, is_explicit: bool) {
        let wanted = &mut self.wanted;
        let moves = wanted.pan_drive.moves() || wanted.tilt_drive.moves();
        wanted.pan_drive = Drive::STOPPED;
        wanted.tilt_drive = Drive::STOPPED;
        let zoom = std::mem::replace(&mut wanted.zoom_drive, Drive::STOPPED);
        let focus = std::mem::replace(&mut wanted.focus_drive, Drive::STOPPED);
        if moves || is_explicit {
            self.forget_position();
            self.pending
                .retain(|key| !matches!(key, Key::Home | Key::Reset | Key::Recall(_) | Key::Move));
            self.stop(Key::Move);
        }
        if zoom.moves() {
            self.stop(Key::ZoomDrive);
        }
        if focus.moves() {
            self.stop(Key::FocusDrive);
        }
    }

    /// Stops what a channel moves that no mapping uses any more.
    pub(super) fn release(&mut self, channel: Channel) {
        match channel {
            Channel::Move(axis, _) => drop(self.drive_head(axis, Drive::STOPPED)),
            Channel::ZoomDrive(_) | Channel::FocusDrive(_) => drop(self.set(
                channel,
                match channel {
                    Channel::ZoomDrive(Direction::Both) | Channel::FocusDrive(Direction::Both) => {
                        0.5
                    }
                    _ => 0.0,
                },
            )),
            _ => {}
        }
    }

    /// Lets a stop leave next, unless the same one has just left and nothing has followed it.
    fn stop(&mut self, key: Key) {
        self.pending.retain(|other| *other != key);
        let message = self.encode(key);
        let is_in_flight = self.in_flight.iter().any(|sent| {
            sent.what == What::Stop(key) && sent.message == message && self.is_latest(key, sent)
        });
        if !is_in_flight && !self.stops.contains(&key) {
            self.stops.push_back(key);
            self.stop_after = None;
        }
    }

    /// Whether no command of the same part was written after this one.
    fn is_latest(&self, key: Key, sent: &InFlight) -> bool {
        (0..part::COUNT).all(|bit| key.parts() & 1 << bit == 0 || self.latest[bit] == sent.sequence)
    }

    fn is_position_unknown(&self) -> bool {
        self.wanted.pan == Place::Unknown || self.wanted.tilt == Place::Unknown
    }

    /// Whether a position cannot be sent yet, because the other axis is being asked for.
    fn waits_for_position(&self) -> bool {
        self.is_position_unknown()
            && self.position_tries < 2
            && self.unsupported & Inquiry::PanTilt.bit() == 0
    }

    /// The next message to write; `None` if nothing is due. With `only_stops`, everything else
    /// waits. `sequence` is the number of the last message of the connection.
    pub(super) fn next(
        &mut self,
        now: Instant,
        only_stops: bool,
        sequence: &mut u32,
    ) -> Option<Outgoing> {
        if self.stop_after.is_none_or(|time| time <= now) {
            if let Some(socket) = self.cancels.pop() {
                let message = Message::new(self.id, &[0x20 | socket]);
                return Some(self.write(What::Cancel(socket), message, now, sequence));
            }
            if let Some(key) = self.stops.pop_front() {
                let message = self.encode(key);
                return Some(self.write(What::Stop(key), message, now, sequence));
            }
        }
        let may_send = !only_stops && self.busy_until.is_none_or(|time| time <= now);
        while let Some(repeat) = self.take_repeat(only_stops) {
            let (What::Command(key) | What::Stop(key)) = repeat.what else { continue };
            if !self.is_latest(key, &repeat) && !key.is_trigger() {
                continue;
            }
            let InFlight { what, message, sequence, .. } = repeat;
            self.in_flight.push(InFlight { sent: now, tries: repeat.tries + 1, ..repeat });
            return Some(Outgoing { what, message, sequence });
        }
        if may_send
            && self.unacknowledged() < WINDOW
            && let Some(key) = self.take_pending()
        {
            let message = self.encode(key);
            return Some(self.write(What::Command(key), message, now, sequence));
        }
        if only_stops {
            return None;
        }
        let inquiry = self.next_inquiry(now)?;
        Some(self.write(What::Inquiry(inquiry), inquiry.message(self.id), now, sequence))
    }

    fn take_repeat(&mut self, only_stops: bool) -> Option<InFlight> {
        let is_allowed = |sent: &InFlight| !only_stops || matches!(sent.what, What::Stop(_));
        let index = self.repeats.iter().position(is_allowed)?;
        self.repeats.remove(index)
    }

    fn write(
        &mut self,
        what: What,
        message: Message,
        now: Instant,
        sequence: &mut u32,
    ) -> Outgoing {
        *sequence = sequence.wrapping_add(1);
        let sent = InFlight { what, message, sequence: *sequence, sent: now, tries: 1 };
        self.in_flight.push(sent);
        if let What::Command(key) | What::Stop(key) = what {
            for bit in (0..part::COUNT).filter(|bit| key.parts() & 1 << bit != 0) {
                self.latest[bit] = *sequence;
            }
        }
        Outgoing { what, message, sequence: *sequence }
    }

    /// The first command that can be sent: a position may have to wait, and what follows it must not
    /// overtake it.
    fn take_pending(&mut self) -> Option<Key> {
        let waits = self.waits_for_position();
        let mut blocked = 0;
        for index in 0..self.pending.len() {
            let key = self.pending[index];
            let must_wait = key == Key::Position && waits || key.parts() & blocked != 0;
            if !must_wait {
                return Some(self.pending.remove(index));
            }
            blocked |= key.parts();
        }
        None
    }

    /// The next inquiry; one at a time.
    fn next_inquiry(&mut self, now: Instant) -> Option<Inquiry> {
        if self.in_flight.iter().any(|sent| matches!(sent.what, What::Inquiry(_))) {
            return None;
        }
        if self.pending.contains(&Key::Position) && self.waits_for_position() {
            return Some(Inquiry::PanTilt);
        }
        if self.presence.is_some_and(|time| time <= now) {
            return Some(Inquiry::Version);
        }
        if self.next_poll.is_some_and(|time| time <= now) {
            self.next_poll = Some(now + self.settings.poll);
            self.due = self.polled;
        }
        self.due &= !self.unsupported;
        let inquiry = Inquiry::ALL.into_iter().find(|inquiry| self.due & inquiry.bit() != 0)?;
        self.due &= !inquiry.bit();
        Some(inquiry)
    }

    /// Takes a reply. `sequence` is the number in Sony's header.
    pub(super) fn reply(
        &mut self,
        reply: Reply<'_>,
        sequence: Option<u32>,
        now: Instant,
    ) -> Outcome {
        self.unanswered = 0;
        self.has_answered = true;
        self.presence = Some(now + PRESENCE_INTERVAL);
        match reply {
            Reply::Acknowledged(socket) => {
                self.unacknowledged = 0;
                if let Some(sent) = self.take(sequence, is_command)
                    && let What::Command(key) | What::Stop(key) = sent.what
                {
                    self.executing.retain(|(other, _)| *other != socket);
                    if self.executing.len() < MAX_SOCKETS {
                        self.executing.push((socket, key));
                    }
                }
                Outcome::Nothing
            }
            Reply::Completed(socket) => {
                self.unacknowledged = 0;
                self.busy_until = None;
                match self.executing.iter().position(|(other, _)| *other == socket) {
                    Some(index) => drop(self.executing.remove(index)),
                    // The acknowledgement was lost, or the camera does not send any.
                    None => drop(self.take(sequence, is_command)),
                }
                Outcome::Nothing
            }
            Reply::Answer(data) => {
                let sent = self.take(sequence, |what| matches!(what, What::Inquiry(_)));
                let Some(What::Inquiry(inquiry)) = sent.map(|sent| sent.what) else {
                    return Outcome::Nothing;
                };
                let Some(numbers) = inquiry.decode(data) else {
                    if inquiry == Inquiry::PanTilt {
                        self.position_tries += 1;
                    }
                    return Outcome::Nothing;
                };
                if inquiry == Inquiry::PanTilt {
                    self.take_position(numbers);
                }
                Outcome::Answer(inquiry, numbers)
            }
            Reply::Refused(socket, why) => self.refused(socket, why, sequence, now),
            Reply::NetworkChanged | Reply::AddressSet(_) | Reply::Other => Outcome::Nothing,
        }
    }

    fn take_position(&mut self, [pan, tilt]: [i32; 2]) {
        self.position_tries = 0;
        // While the head moves, the position is that of a moment.
        if self.wanted.pan_drive.moves() || self.wanted.tilt_drive.moves() {
            return;
        }
        // It is only needed for the axis that the show has not set.
        if self.pending.contains(&Key::Position) {
            if self.wanted.pan == Place::Unknown {
                self.wanted.pan = Place::Reported(pan);
            }
            if self.wanted.tilt == Place::Unknown {
                self.wanted.tilt = Place::Reported(tilt);
            }
        }
    }

    fn refused(&mut self, socket: u8, why: u8, sequence: Option<u32>, now: Instant) -> Outcome {
        self.unacknowledged = 0;
        if why == reason::CANCELLED {
            self.executing.retain(|(other, _)| *other != socket);
            self.take(sequence, |what| what == What::Cancel(socket));
            self.busy_until = None;
            return Outcome::Nothing;
        }
        if why == reason::NO_SOCKET {
            self.executing.retain(|(other, _)| *other != socket);
            self.take(sequence, |what| matches!(what, What::Cancel(_)));
            return Outcome::Nothing;
        }
        // Only commands that run need a socket.
        let Some(sent) = self.take(sequence, |what| why != reason::BUFFER_FULL || is_command(what))
        else {
            return Outcome::Nothing;
        };
        match sent.what {
            What::Command(key) if why == reason::BUFFER_FULL => {
                self.busy_until = Some(now + BUSY_PAUSE);
                if !self.pending.contains(&key) && self.is_latest(key, &sent) {
                    self.pending.insert(0, key);
                }
                Outcome::Nothing
            }
            What::Stop(key) if why == reason::BUFFER_FULL => {
                // What runs is cancelled, so that the stop gets a socket.
                if self.is_latest(key, &sent) && !self.stops.contains(&key) {
                    self.cancels = self
                        .executing
                        .iter()
                        .filter(|(_, other)| other.parts() & key.parts() != 0)
                        .map(|(socket, _)| *socket)
                        .collect();
                    let pause = if self.cancels.is_empty() { STOP_PAUSE } else { Duration::ZERO };
                    self.stop_after = Some(now + pause);
                    self.stops.push_back(key);
                    self.executing.retain(|(_, other)| other.parts() & key.parts() == 0);
                }
                Outcome::Nothing
            }
            What::Inquiry(inquiry) => {
                if why == reason::SYNTAX {
                    self.unsupported |= inquiry.bit();
                } else if inquiry == Inquiry::PanTilt {
                    self.position_tries += 1;
                }
                match inquiry {
                    Inquiry::Version => Outcome::Nothing,
                    _ => Outcome::Refused(sent.what, why),
                }
            }
            what => Outcome::Refused(what, why),
        }
    }

    /// Takes the message that a reply belongs to: that with its number, otherwise the oldest one
    /// that fits.
    fn take(&mut self, sequence: Option<u32>, fits: impl Fn(What) -> bool) -> Option<InFlight> {
        let numbered = sequence.and_then(|sequence| {
            self.in_flight.iter().position(|sent| sent.sequence == sequence && fits(sent.what))
        });
        let oldest = || self.in_flight.iter().position(|sent| fits(sent.what));
        numbered.or_else(oldest).map(|index| self.in_flight.remove(index))
    }

    fn timeout(&self, what: What) -> Duration {
        let is_mute = self.unacknowledged >= MUTE_COUNT;
        match what {
            What::Command(_) if is_mute => MUTE_TIMEOUT,
            _ => ANSWER_TIMEOUT,
        }
    }

    /// Ends the time of messages that were not answered.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut index = 0;
        while index < self.in_flight.len() {
            let sent = self.in_flight[index];
            if now < sent.sent + self.timeout(sent.what) {
                index += 1;
                continue;
            }
            self.in_flight.remove(index);
            self.unanswered = self.unanswered.saturating_add(1);
            let is_mute = self.unacknowledged >= MUTE_COUNT;
            match sent.what {
                What::Command(_) => {
                    self.unacknowledged = self.unacknowledged.saturating_add(1);
                    if sent.tries < MAX_TRIES && !is_mute {
                        self.repeats.push_back(sent);
                    }
                }
                What::Stop(_) => {
                    let limit = if is_mute { MAX_TRIES } else { MAX_STOP_TRIES };
                    if sent.tries < limit {
                        self.repeats.push_back(sent);
                    }
                }
                What::Inquiry(Inquiry::PanTilt) => self.position_tries += 1,
                What::Inquiry(Inquiry::Version) => {
                    let seconds = 1 << self.unanswered.min(3);
                    self.presence = Some(now + Duration::from_secs(seconds));
                }
                What::Inquiry(_) | What::Cancel(_) => {}
            }
        }
    }

    /// When [`expire`](Self::expire) and [`next`](Self::next) are to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let answers = self.in_flight.iter().map(|sent| sent.sent + self.timeout(sent.what));
        let is_asking = self.in_flight.iter().any(|sent| matches!(sent.what, What::Inquiry(_)));
        let inquiries = [self.next_poll, self.presence];
        let inquiries = inquiries.into_iter().flatten().filter(|_| !is_asking);
        let busy = self.busy_until.filter(|_| !self.pending.is_empty());
        let stop = self.stop_after.filter(|_| !self.stops.is_empty());
        answers.chain(inquiries).chain(busy).chain(stop).min()
    }

    /// The connection is there: the camera is asked for its version, and everything can be sent.
    pub(super) fn connected(&mut self, now: Instant) {
        self.presence = Some(now);
        self.next_poll = (self.polled != 0).then_some(now);
        self.due = 0;
        self.unsupported = 0;
        self.position_tries = 0;
        self.busy_until = None;
        self.stop_after = None;
        self.unanswered = 0;
        self.unacknowledged = 0;
        self.has_answered = false;
    }

    /// The connection is lost, or the camera was started again. What was not acknowledged is sent
    /// again, unless it was meant for that moment. Returns how many commands are not.
    pub(super) fn lost(&mut self) -> u64 {
        let unacknowledged = self.in_flight.drain(..).chain(self.repeats.drain(..));
        let mut stops = Vec::new();
        let mut commands = Vec::new();
        for sent in unacknowledged {
            match sent.what {
                What::Stop(key) => stops.push(key),
                What::Command(key) => commands.push(key),
                What::Cancel(_) | What::Inquiry(_) => {}
            }
        }
        let lost = commands.iter().chain(&self.pending).filter(|key| key.is_trigger()).count();
        self.pending.retain(|key| !key.is_trigger());
        for key in stops {
            if !self.stops.contains(&key) && !self.pending.contains(&key) {
                self.stops.push_back(key);
            }
        }
        for key in commands.into_iter().rev().filter(|key| !key.is_trigger()) {
            if !self.pending.contains(&key) && !self.stops.contains(&key) {
                self.pending.insert(0, key);
            }
        }
        self.executing.clear();
        self.cancels.clear();
        self.latest = [0; part::COUNT];
        self.presence = None;
        self.next_poll = None;
        self.busy_until = None;
        self.stop_after = None;
        lost as u64
    }

    /// Drops the commands that were meant for this moment, because there is no connection. Returns
    /// how many there were.
    pub(super) fn drop_triggers(&mut self) -> u64 {
        let before = self.pending.len();
        self.pending.retain(|key| !key.is_trigger());
        (before - self.pending.len()) as u64
    }

    fn speeds(&self) -> [u8; 2] {
        let settings = &self.settings;
        [
            settings.pan_speed.number(self.wanted.pan_speed) as u8,
            settings.tilt_speed.number(self.wanted.tilt_speed) as u8,
        ]
    }

    /// The newest form of a command.
    fn encode(&self, key: Key) -> Message {
        let (wanted, settings) = (&self.wanted, &self.settings);
        let lens = |command: u8, number: i32| {
            let [a, b, c, d] = nibbles(number as u16);
            Message::new(self.id, &[0x01, 0x04, command, a, b, c, d])
        };
        let white = |command: u8, value: f64| {
            let [a, b, c, d] = nibbles((value.clamp(0.0, 1.0) * 255.0).round() as u16);
            Message::new(self.id, &[0x01, 0x04, command, a, b, c, d])
        };
        let switch = |command: u8, value: u8| Message::new(self.id, &[0x01, 0x04, command, value]);
        match key {
            Key::Position => {
                let number = |place: Place, range: super::config::Range| match place {
                    Place::Wanted(value) => range.number(value),
                    Place::Reported(number) => number,
                    // The camera does not say where it is: the middle, as MIDIMonster sends it.
                    Place::Unknown => 0,
                };
                let [pan_speed, tilt_speed] = self.speeds();
                let mut body = [0x01, 0x06, 0x02, pan_speed, tilt_speed, 0, 0, 0, 0, 0, 0, 0, 0];
                body[5..9].copy_from_slice(&nibbles(number(wanted.pan, settings.pan) as u16));
                body[9..].copy_from_slice(&nibbles(number(wanted.tilt, settings.tilt) as u16));
                Message::new(self.id, &body)
            }
            Key::Move => {
                let [pan_speed, tilt_speed] = self.speeds();
                let (pan, tilt) = (wanted.pan_drive, wanted.tilt_drive);
                let is_stop = !pan.moves() && !tilt.moves();
                let speed = |drive: Drive, speed: u8, range: super::config::Range| {
                    if is_stop {
                        return speed;
                    }
                    let number = (f64::from(speed) * drive.factor).round() as u8;
                    // A speed below the least one is not a movement.
                    if drive.moves() { number.max(range.least() as u8) } else { number }
                };
                let direction = |drive: Drive| match drive.sign {
                    0 => 3,
                    1.. => 1,
                    _ => 2,
                };
                let body = [
                    0x01,
                    0x06,
                    0x01,
                    speed(pan, pan_speed, settings.pan_speed),
                    speed(tilt, tilt_speed, settings.tilt_speed),
                    direction(pan),
                    direction(tilt),
                ];
                Message::new(self.id, &body)
            }
            Key::Home => Message::new(self.id, &[0x01, 0x06, 0x04]),
            Key::Reset => Message::new(self.id, &[0x01, 0x06, 0x05]),
            Key::Zoom => lens(0x47, settings.zoom.number(wanted.zoom)),
            Key::Focus => lens(0x48, settings.focus.number(wanted.focus)),
            Key::ZoomDrive => switch(0x07, wanted.zoom_drive.lens(0x20, 0x30)),
            Key::FocusDrive => switch(0x08, wanted.focus_drive.lens(0x20, 0x30)),
            Key::AutoFocus => switch(0x38, if wanted.autofocus { 2 } else { 3 }),
            Key::FocusOnce => switch(0x18, 1),
            Key::WhiteAuto => switch(0x35, if wanted.white_auto { 0 } else { 5 }),
            Key::WhiteRed => white(0x43, wanted.white_red),
            Key::WhiteBlue => white(0x44, wanted.white_blue),
            Key::Power => switch(0x00, if wanted.power { 2 } else { 3 }),
            Key::Recall(number) => Message::new(self.id, &[0x01, 0x04, 0x3F, 2, number]),
            Key::Store(number) => Message::new(self.id, &[0x01, 0x04, 0x3F, 1, number]),
        }
    }
}

fn is_command(what: What) -> bool {
    matches!(what, What::Command(_) | What::Stop(_))
}
