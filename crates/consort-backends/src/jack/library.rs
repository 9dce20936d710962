//! libjack, loaded while the show runs: the only module that calls it.
//!
//! The declarations follow the documentation of JACK's API (`jack.h`, `midiport.h`, `transport.h`,
//! `metadata.h`), which jackd, jackd2 and PipeWire implement alike. The library is never unloaded,
//! because its threads may still run.
//!
//! A thread of libjack may be cancelled (`pthread_cancel`) when a client is closed. The callback
//! therefore does nothing from the moment on when [`Client::close`] begins, and what is called until
//! it looks at that has no destructors.

#![allow(unsafe_code)] // a C library, and callbacks that it calls

use std::cell::UnsafeCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::panic::AssertUnwindSafe;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;

use super::bell::Bell;
use super::config::{Direction, PortConfig, Signal};
use super::connections::{Connection, Peer};
use super::process::{Period, Process, Server, Shared, Transport};

/// A client, a port: what only the library sees.
enum RawClient {}
enum RawPort {}

/// `jack_midi_event_t`.
#[repr(C)]
struct RawEvent {
    time: u32,
    size: usize,
    buffer: *mut u8,
}

/// The beginning of `jack_position_t`, and space for the rest of it. The structure is packed with most
/// processors, so that PipeWire passes addresses that are not multiples of 8; these fields are at the
/// same places either way.
#[repr(C, packed)]
struct RawPosition {
    unique: u64,
    microseconds: u64,
    frame_rate: u32,
    frame: u32,
    valid: c_int,
    bar: i32,
    beat: i32,
    tick: i32,
    bar_start_tick: f64,
    beats_per_bar: f32,
    beat_type: f32,
    ticks_per_beat: f64,
    beats_per_minute: f64,
    rest: [u64; 24],
}

/// A position for the library, where it is not packed.
#[repr(C, align(8))]
struct AlignedPosition(RawPosition);

/// Bits of `jack_options_t`.
const NO_START_SERVER: c_int = 0x01;
const SERVER_NAME: c_int = 0x04;

/// Bits of `jack_status_t`, with what they say.
const STATUS: [(c_int, &str); 6] = [
    (0x10, "there is no such server"),
    (0x20, "the server reports an error"),
    (0x200, "its shared memory cannot be read"),
    (0x400, "the library has another version than the server"),
    (0x02, "the name is invalid"),
    (0x04, "the name is taken"),
];

/// Bits of `JackPortFlags`.
const PORT_IS_INPUT: c_ulong = 0x1;
const PORT_IS_OUTPUT: c_ulong = 0x2;

/// `JackTransportRolling`, and the bit of positions with bars, beats and a tempo.
const ROLLING: c_int = 1;
const POSITION_HAS_TEMPO: c_int = 0x10;

const AUDIO_TYPE: &CStr = c"32 bit float mono audio";
const MIDI_TYPE: &CStr = c"8 bit raw midi";

/// What marks a port for control voltage.
const SIGNAL_TYPE_KEY: &CStr = c"http://jackaudio.org/metadata/signal-type";

type Client0 = *mut RawClient;
type Notify = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;
type NotifyNumber = unsafe extern "C-unwind" fn(u32, *mut c_void) -> c_int;
type NotifyFreewheel = unsafe extern "C-unwind" fn(c_int, *mut c_void);
type NotifyPort = unsafe extern "C-unwind" fn(u32, c_int, *mut c_void);
type NotifyConnection = unsafe extern "C-unwind" fn(u32, u32, c_int, *mut c_void);
type NotifyShutdown = unsafe extern "C-unwind" fn(c_int, *const c_char, *mut c_void);
type NotifyEnd = unsafe extern "C-unwind" fn(*mut c_void);
type Print = unsafe extern "C-unwind" fn(*const c_char);
type Timebase = unsafe extern "C-unwind" fn(c_int, u32, *mut RawPosition, c_int, *mut c_void);

/// Declares the functions of the library, which are looked up by name.
macro_rules! functions {
    ($($name:ident: ($($argument:ty),* $(; $variadic:tt)?) $(-> $result:ty)?,)*) => {
        /// The functions of the library.
        struct Functions {
            $($name: unsafe extern "C-unwind" fn($($argument),* $(, $variadic)?) $(-> $result)?,)*
        }

        impl Functions {
            /// # Errors
            /// The name of a function that the library does not have.
            fn load(library: &Library) -> Result<Self, &'static str> {
                Ok(Functions {
                    $($name: {
                        let name = concat!("jack_", stringify!($name));
                        // SAFETY: the type is that of the function in JACK's documentation.
                        *unsafe { library.get(name) }.map_err(|_| name)?
                    },)*
                })
            }
        }
    };
}

functions! {
    client_open: (*const c_char, c_int, *mut c_int; ...) -> Client0,
    client_close: (Client0) -> c_int,
    get_client_name: (Client0) -> *const c_char,
    activate: (Client0) -> c_int,
    deactivate: (Client0) -> c_int,
    set_process_callback: (Client0, NotifyNumber, *mut c_void) -> c_int,
    set_buffer_size_callback: (Client0, NotifyNumber, *mut c_void) -> c_int,
    set_sample_rate_callback: (Client0, NotifyNumber, *mut c_void) -> c_int,
    set_freewheel_callback: (Client0, NotifyFreewheel, *mut c_void) -> c_int,
    set_xrun_callback: (Client0, Notify, *mut c_void) -> c_int,
    set_port_registration_callback: (Client0, NotifyPort, *mut c_void) -> c_int,
    set_port_connect_callback: (Client0, NotifyConnection, *mut c_void) -> c_int,
    on_info_shutdown: (Client0, NotifyShutdown, *mut c_void),
    on_shutdown: (Client0, NotifyEnd, *mut c_void),
    set_error_function: (Print),
    set_info_function: (Print),
    get_buffer_size: (Client0) -> u32,
    get_sample_rate: (Client0) -> u32,
    get_cycle_times: (Client0, *mut u32, *mut u64, *mut u64, *mut f32) -> c_int,
    get_time: () -> u64,
    port_register: (Client0, *const c_char, *const c_char, c_ulong, c_ulong) -> *mut RawPort,
    port_get_buffer: (*mut RawPort, u32) -> *mut c_void,
    port_get_all_connections: (Client0, *mut RawPort) -> *mut *const c_char,
    port_by_name: (Client0, *const c_char) -> *mut RawPort,
    port_flags: (*mut RawPort) -> c_int,
    port_name: (*mut RawPort) -> *const c_char,
    get_ports: (Client0, *const c_char, *const c_char, c_ulong) -> *mut *const c_char,
    connect: (Client0, *const c_char, *const c_char) -> c_int,
    free: (*mut c_void),
    midi_get_event_count: (*mut c_void) -> u32,
    midi_event_get: (*mut RawEvent, *mut c_void, u32) -> c_int,
    midi_clear_buffer: (*mut c_void),
    midi_event_reserve: (*mut c_void, u32, usize) -> *mut u8,
    transport_query: (Client0, *mut RawPosition) -> c_int,
    transport_start: (Client0),
    transport_stop: (Client0),
    transport_locate: (Client0, u32) -> c_int,
    set_timebase_callback: (Client0, c_int, Timebase, *mut c_void) -> c_int,
}

/// Functions that old versions do not have.
type PortUuid = unsafe extern "C-unwind" fn(*mut RawPort) -> u64;
type SetProperty =
    unsafe extern "C-unwind" fn(Client0, u64, *const c_char, *const c_char, *const c_char) -> c_int;

/// A loaded library.
pub(super) struct Jack {
    functions: Functions,
    metadata: Option<(PortUuid, SetProperty)>,
    /// Its path, as it was opened.
    pub(super) path: String,
}

/// Why a library cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoadError {
    /// It cannot be opened.
    Missing(String),
    /// It is another library, or too old.
    Incomplete(String),
}

/// The libraries that are loaded, by path. They stay until the program ends.
static LOADED: Mutex<BTreeMap<String, &'static Jack>> = Mutex::new(BTreeMap::new());

/// What libjack has printed since the last call of [`take_messages`], at most 32 lines.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Takes what libjack has printed.
pub(super) fn take_messages() -> Vec<String> {
    std::mem::take(&mut MESSAGES.lock())
}

/// Receives what libjack prints, from any of its threads.
unsafe extern "C-unwind" fn print(message: *const c_char) {
    // A thread that must not wait does not: a message that arrives meanwhile is left out.
    let Some(mut messages) = MESSAGES.try_lock() else { return };
    if messages.len() < 32 && !message.is_null() {
        // SAFETY: libjack passes a string that ends with a zero.
        let message = unsafe { CStr::from_ptr(message) };
        messages.push(message.to_string_lossy().trim_end().to_owned());
    }
}

/// Loads a library, or returns the one that is loaded already. May block.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn load(path: &str) -> Result<&'static Jack, LoadError> {
    let mut loaded = LOADED.lock();
    if let Some(jack) = loaded.get(path) {
        return Ok(jack);
    }
    // SAFETY: the constructors of libjack have no requirements; a user who names another library
    // runs its constructors, as with `LD_PRELOAD`.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| LoadError::Missing(error.to_string()))?;
    let functions = Functions::load(&library).map_err(|name| {
        LoadError::Incomplete(format!(
            "the library {path} does not have the function `{name}`: it is not libjack, or too old"
        ))
    })?;
    // SAFETY: as above.
    let metadata = unsafe {
        let uuid = library.get::<PortUuid>("jack_port_uuid");
        let property = library.get::<SetProperty>("jack_set_property");
        uuid.ok().zip(property.ok()).map(|(uuid, property)| (*uuid, *property))
    };
    // SAFETY: both take a function that may be called at any time, which `print` allows.
    unsafe {
        (functions.set_error_function)(print);
        (functions.set_info_function)(print);
    }
    std::mem::forget(library);
    let jack: &'static Jack =
        Box::leak(Box::new(Jack { functions, metadata, path: path.to_owned() }));
    loaded.insert(path.to_owned(), jack);
    Ok(jack)
}

/// What libjack reports from threads of its own.
pub(super) struct Signals {
    /// Wakes the thread that owns the client.
    pub(super) bell: Arc<Bell>,
    /// Whether ports or connections have changed.
    pub(super) graph_changed: AtomicBool,
    /// Whether the buffer size or the sample rate has changed.
    pub(super) format_changed: AtomicBool,
    pub(super) is_shut_down: AtomicBool,
    /// Why the server has ended the client.
    pub(super) reason: Mutex<Option<String>>,
    pub(super) xruns: AtomicU64,
    /// The tempo that the show sets, in quarter notes per minute, as bits of `f64`.
    pub(super) tempo: AtomicU64,
    /// What the callback reads.
    shared: Arc<Shared>,
    /// The position in quarter notes, as bits of `f64`; only [`timebase`] uses it.
    beats: AtomicU64,
}

impl Signals {
    pub(super) fn new(bell: Arc<Bell>, shared: Arc<Shared>) -> Self {
        Signals {
            bell,
            graph_changed: AtomicBool::new(true),
            format_changed: AtomicBool::new(true),
            is_shut_down: AtomicBool::new(false),
            reason: Mutex::new(None),
            xruns: AtomicU64::new(0),
            tempo: AtomicU64::new(120.0_f64.to_bits()),
            shared,
            beats: AtomicU64::new(0),
        }
    }

    fn set(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        self.bell.ring();
    }
}

/// # Safety
/// `argument` is from `Arc::as_ptr` of the signals of a client that is not closed yet.
unsafe fn signals<'a>(argument: *mut c_void) -> &'a Signals {
    // SAFETY: the client keeps them until it is closed.
    unsafe { &*argument.cast::<Signals>() }
}

unsafe extern "C-unwind" fn on_buffer_size(_: u32, argument: *mut c_void) -> c_int {
    // SAFETY: the argument is that of `Client::start`; so it is in the functions below.
    let signals = unsafe { signals(argument) };
    signals.set(&signals.format_changed);
    0
}

unsafe extern "C-unwind" fn on_sample_rate(rate: u32, argument: *mut c_void) -> c_int {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    signals.shared.sample_rate.store(rate, Ordering::Relaxed);
    signals.set(&signals.format_changed);
    0
}

unsafe extern "C-unwind" fn on_freewheel(is_starting: c_int, argument: *mut c_void) {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    signals.shared.is_freewheeling.store(is_starting != 0, Ordering::Relaxed);
    signals.set(&signals.format_changed);
}

unsafe extern "C-unwind" fn on_xrun(argument: *mut c_void) -> c_int {
    // SAFETY: see `on_buffer_size`.
    unsafe { signals(argument) }.xruns.fetch_add(1, Ordering::Relaxed);
    0
}

unsafe extern "C-unwind" fn on_port(_: u32, _: c_int, argument: *mut c_void) {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    signals.set(&signals.graph_changed);
}

unsafe extern "C-unwind" fn on_connection(_: u32, _: u32, _: c_int, argument: *mut c_void) {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    signals.set(&signals.graph_changed);
}

unsafe extern "C-unwind" fn on_shutdown(_: c_int, reason: *const c_char, argument: *mut c_void) {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    if !reason.is_null()
        && let Some(mut text) = signals.reason.try_lock()
    {
        // SAFETY: libjack passes a string that ends with a zero.
        *text = Some(unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned());
    }
    signals.set(&signals.is_shut_down);
}

/// PipeWire calls only this one when its server ends.
unsafe extern "C-unwind" fn on_end(argument: *mut c_void) {
    // SAFETY: see `on_buffer_size`.
    let signals = unsafe { signals(argument) };
    signals.set(&signals.is_shut_down);
}

/// Provides bars and beats in 4/4 at the tempo of the show. After a jump, the position is as if that
/// tempo had been there from the beginning.
unsafe extern "C-unwind" fn timebase(
    _: c_int,
    frames: u32,
    position: *mut RawPosition,
    is_new: c_int,
    argument: *mut c_void,
) {
    const TICKS_PER_BEAT: f64 = 1_920.0;
    // SAFETY: see `on_buffer_size`; libjack passes a position to be completed.
    let (signals, position) = unsafe { (signals(argument), &mut *position) };
    let tempo = f64::from_bits(signals.tempo.load(Ordering::Relaxed));
    let per_frame = tempo / 60.0 / f64::from(position.frame_rate.max(1));
    let beats = if is_new != 0 {
        f64::from(position.frame) * per_frame
    } else {
        f64::from_bits(signals.beats.load(Ordering::Relaxed)) + f64::from(frames) * per_frame
    };
    signals.beats.store(beats.to_bits(), Ordering::Relaxed);
    let whole = beats.floor();
    position.bar = (whole / 4.0).floor() as i32 + 1;
    position.beat = (whole % 4.0) as i32 + 1;
    position.tick = ((beats - whole) * TICKS_PER_BEAT) as i32;
    position.bar_start_tick = (whole / 4.0).floor() * 4.0 * TICKS_PER_BEAT;
    (position.beats_per_bar, position.beat_type) = (4.0, 4.0);
    position.ticks_per_beat = TICKS_PER_BEAT;
    position.beats_per_minute = tempo;
    position.valid = POSITION_HAS_TEMPO;
}

/// A registered port.
struct Port {
    raw: NonNull<RawPort>,
    signal: Signal,
    direction: Direction,
}

/// What the callback gets.
struct Callback {
    jack: &'static Jack,
    client: NonNull<RawClient>,
    ports: Box<[Port]>,
    /// Whether the client is being closed.
    is_closing: AtomicBool,
    /// Whether the callback runs.
    is_running: AtomicBool,
    process: UnsafeCell<Process>,
}

/// The callback of libjack's real-time thread. Without destructors; see the module.
unsafe extern "C-unwind" fn on_process(frames: u32, argument: *mut c_void) -> c_int {
    // SAFETY: the argument is that of `Client::start`, which is freed after the client is closed.
    let callback = unsafe { &*argument.cast::<Callback>() };
    if callback.is_closing.load(Ordering::Acquire) {
        return 0;
    }
    run(frames, callback)
}

#[inline(never)]
fn run(frames: u32, callback: &Callback) -> c_int {
    callback.is_running.store(true, Ordering::SeqCst);
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        if callback.is_closing.load(Ordering::SeqCst) {
            return;
        }
        let mut cycle = Cycle { callback, frames };
        // SAFETY: libjack calls the callback from one thread, never twice at once, and nothing else
        // uses `process` until the client is closed.
        unsafe { &mut *callback.process.get() }.run(&mut cycle);
    }));
    callback.is_running.store(false, Ordering::SeqCst);
    // A client whose callback fails is deactivated.
    c_int::from(result.is_err())
}

/// A period, in the callback.
struct Cycle<'a> {
    callback: &'a Callback,
    frames: u32,
}

impl Cycle<'_> {
    /// The buffer of a port of this kind.
    fn buffer(&self, port: usize, signal: Signal, direction: Direction) -> Option<*mut c_void> {
        let port = self.callback.ports.get(port)?;
        if (port.signal, port.direction) != (signal, direction) {
            return None;
        }
        // SAFETY: the port is registered, and this is the callback of its client.
        let buffer = unsafe {
            (self.callback.jack.functions.port_get_buffer)(port.raw.as_ptr(), self.frames)
        };
        (!buffer.is_null()).then_some(buffer)
    }
}

impl Server for Cycle<'_> {
    fn period(&mut self) -> Period {
        let (mut frame, mut start, mut next, mut length) = (0, 0, 0, 0.0);
        let functions = &self.callback.jack.functions;
        // SAFETY: called in the callback, with places for the results.
        let failed = unsafe {
            (functions.get_cycle_times)(
                self.callback.client.as_ptr(),
                &mut frame,
                &mut start,
                &mut next,
                &mut length,
            )
        };
        if failed != 0 || length.is_nan() || length <= 0.0 {
            // SAFETY: no requirement.
            start = unsafe { (functions.get_time)() };
            length = 1.0;
        }
        Period { frames: self.frames, start: start * 1_000, length: f64::from(length) * 1_000.0 }
    }

    fn messages(&mut self, port: usize, take: &mut dyn FnMut(&[u8])) {
        let Some(buffer) = self.buffer(port, Signal::Midi, Direction::In) else { return };
        let functions = &self.callback.jack.functions;
        // SAFETY: the buffer is that of a MIDI input in this period.
        let count = unsafe { (functions.midi_get_event_count)(buffer) };
        for index in 0..count {
            let mut event = RawEvent { time: 0, size: 0, buffer: std::ptr::null_mut() };
            // SAFETY: as above; the index is below the count.
            let failed = unsafe { (functions.midi_event_get)(&mut event, buffer, index) };
            if failed == 0 && !event.buffer.is_null() {
                // SAFETY: libjack says where the bytes are, which stay there in this period.
                take(unsafe { std::slice::from_raw_parts(event.buffer, event.size) });
            }
        }
    }

    fn clear(&mut self, port: usize) {
        if let Some(buffer) = self.buffer(port, Signal::Midi, Direction::Out) {
            // SAFETY: the buffer is that of a MIDI output in this period.
            unsafe { (self.callback.jack.functions.midi_clear_buffer)(buffer) };
        }
    }

    fn write(
        &mut self,
        port: usize,
        frame: u32,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> bool {
        let Some(buffer) = self.buffer(port, Signal::Midi, Direction::Out) else { return false };
        // SAFETY: as in `clear`.
        let place =
            unsafe { (self.callback.jack.functions.midi_event_reserve)(buffer, frame, length) };
        if place.is_null() {
            return false;
        }
        // SAFETY: libjack has reserved `length` bytes, which nobody else uses. They were written by
        // earlier messages or by the server, and any bytes are valid.
        fill(unsafe { std::slice::from_raw_parts_mut(place, length) });
        true
    }

    fn received(&mut self, port: usize) -> &[f32] {
        match self.buffer(port, Signal::Cv, Direction::In) {
            // SAFETY: the buffer of an input has as many samples as the period frames, until it ends.
            Some(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.cast(), self.frames as usize)
            },
            None => &[],
        }
    }

    fn sent(&mut self, port: usize) -> &mut [f32] {
        match self.buffer(port, Signal::Cv, Direction::Out) {
            // SAFETY: as above; the buffer of an output belongs to this port alone, and the result
            // borrows the cycle.
            Some(buffer) => unsafe {
                std::slice::from_raw_parts_mut(buffer.cast(), self.frames as usize)
            },
            None => &mut [],
        }
    }

    fn transport(&mut self) -> Transport {
        // SAFETY: the position consists of numbers.
        let mut position: AlignedPosition = unsafe { std::mem::zeroed() };
        // SAFETY: the place is larger than the structure of any version.
        let state = unsafe {
            (self.callback.jack.functions.transport_query)(
                self.callback.client.as_ptr(),
                &mut position.0,
            )
        };
        let position = position.0;
        let has_tempo = position.valid & POSITION_HAS_TEMPO != 0;
        Transport {
            is_rolling: state == ROLLING,
            tempo: has_tempo
                .then_some(position.beats_per_minute)
                .filter(|tempo| tempo.is_finite() && *tempo > 0.0),
        }
    }
}

/// A client of a server. Belongs to one thread, which may block in each of its methods.
pub(super) struct Client {
    jack: &'static Jack,
    raw: NonNull<RawClient>,
    ports: Vec<(NonNull<RawPort>, PortConfig)>,
    /// What the library's threads use while the client is active.
    callback: Option<NonNull<Callback>>,
    signals: Option<Arc<Signals>>,
}

impl Client {
    /// Opens a client. Starts no server.
    ///
    /// # Errors
    /// What the library reports.
    pub(super) fn open(
        jack: &'static Jack,
        name: &str,
        server: Option<&str>,
    ) -> Result<Self, String> {
        let invalid = |_| "the name contains a zero byte".to_owned();
        let name = CString::new(name).map_err(invalid)?;
        let server = server.map(CString::new).transpose().map_err(invalid)?;
        let mut status = 0;
        let open = jack.functions.client_open;
        // SAFETY: the strings end with a zero, and the option for the server's name is given with
        // one.
        let raw = unsafe {
            match &server {
                Some(server) => {
                    open(name.as_ptr(), NO_START_SERVER | SERVER_NAME, &mut status, server.as_ptr())
                }
                None => open(name.as_ptr(), NO_START_SERVER, &mut status),
            }
        };
        match NonNull::new(raw) {
            Some(raw) => Ok(Client { jack, raw, ports: Vec::new(), callback: None, signals: None }),
            None => Err(STATUS
                .iter()
                .find(|(bit, _)| status & bit != 0)
                .map_or("the server does not accept the client", |(_, text)| text)
                .to_owned()),
        }
    }

    /// The name of the client, which the server may have changed.
    pub(super) fn name(&self) -> String {
        // SAFETY: the client is open, and the string is valid while it is.
        unsafe { text((self.jack.functions.get_client_name)(self.raw.as_ptr())) }
    }

    /// Registers a port.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(super) fn register(&mut self, port: &PortConfig) -> Result<(), String> {
        let name = CString::new(port.name.as_str()).unwrap_or_default();
        let signal = match port.signal {
            Signal::Midi => MIDI_TYPE,
            Signal::Cv => AUDIO_TYPE,
        };
        // What goes into the show is an input of its client.
        let flags = match port.direction {
            Direction::In => PORT_IS_INPUT,
            Direction::Out => PORT_IS_OUTPUT,
        };
        let functions = &self.jack.functions;
        // SAFETY: the client is open, and the strings end with a zero.
        let raw = unsafe {
            (functions.port_register)(self.raw.as_ptr(), name.as_ptr(), signal.as_ptr(), flags, 0)
        };
        let raw = NonNull::new(raw)
            .ok_or_else(|| format!("the server refuses the port `{}`", port.name))?;
        self.ports.push((raw, port.clone()));
        Ok(())
    }

    /// Marks the ports for control voltage, so that other programs do not take them for sound.
    pub(super) fn mark_control_voltage(&self) {
        let Some((uuid, set_property)) = self.jack.metadata else { return };
        for (raw, _) in self.ports.iter().filter(|(_, port)| port.signal == Signal::Cv) {
            // SAFETY: the client and its port exist, and the strings end with a zero. A failure is
            // harmless.
            unsafe {
                set_property(
                    self.raw.as_ptr(),
                    uuid(raw.as_ptr()),
                    SIGNAL_TYPE_KEY.as_ptr(),
                    c"CV".as_ptr(),
                    c"text/plain".as_ptr(),
                );
            }
        }
    }

    /// Activates the client: its callback runs from now on.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(super) fn start(&mut self, process: Process, signals: &Arc<Signals>) -> Result<(), String> {
        let functions = &self.jack.functions;
        let ports = self.ports.iter();
        let ports = ports.map(|(raw, port)| Port {
            raw: *raw,
            signal: port.signal,
            direction: port.direction,
        });
        let callback = Box::new(Callback {
            jack: self.jack,
            client: self.raw,
            ports: ports.collect(),
            is_closing: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
            process: UnsafeCell::new(process),
        });
        let callback = NonNull::from(Box::leak(callback));
        self.callback = Some(callback);
        self.signals = Some(Arc::clone(signals));
        let client = self.raw.as_ptr();
        let argument = Arc::as_ptr(signals).cast_mut().cast::<c_void>();
        // SAFETY: the client is open and not active; what the arguments point to stays until it is
        // closed.
        let failed = unsafe {
            signals
                .shared
                .sample_rate
                .store((functions.get_sample_rate)(client), Ordering::Relaxed);
            (functions.on_info_shutdown)(client, on_shutdown, argument);
            (functions.on_shutdown)(client, on_end, argument);
            (functions.set_process_callback)(client, on_process, callback.as_ptr().cast())
                | (functions.set_buffer_size_callback)(client, on_buffer_size, argument)
                | (functions.set_sample_rate_callback)(client, on_sample_rate, argument)
                | (functions.set_freewheel_callback)(client, on_freewheel, argument)
                | (functions.set_xrun_callback)(client, on_xrun, argument)
                | (functions.set_port_registration_callback)(client, on_port, argument)
                | (functions.set_port_connect_callback)(client, on_connection, argument)
                | (functions.activate)(client)
        };
        if failed != 0 {
            return Err("the server does not activate the client".into());
        }
        Ok(())
    }

    /// Provides the transport with the tempo of the signals, when the client is active. Without
    /// effect if another program provides one.
    pub(super) fn provide_tempo(&self) {
        let Some(signals) = &self.signals else { return };
        let argument = Arc::as_ptr(signals).cast_mut().cast::<c_void>();
        let function = self.jack.functions.set_timebase_callback;
        // SAFETY: the client is open, and the signals stay until it is closed.
        unsafe { function(self.raw.as_ptr(), 1, timebase, argument) };
    }

    /// Frames per second, and frames in a period.
    pub(super) fn format(&self) -> (u32, u32) {
        // SAFETY: the client is open.
        unsafe {
            (
                (self.jack.functions.get_sample_rate)(self.raw.as_ptr()),
                (self.jack.functions.get_buffer_size)(self.raw.as_ptr()),
            )
        }
    }

    /// The time of the server's clock, in ns.
    pub(super) fn time(&self) -> u64 {
        // SAFETY: no requirement.
        unsafe { (self.jack.functions.get_time)() }.saturating_mul(1_000)
    }

    /// Starts or stops the transport.
    pub(super) fn roll(&self, is_rolling: bool) {
        let functions = &self.jack.functions;
        let function =
            if is_rolling { functions.transport_start } else { functions.transport_stop };
        // SAFETY: the client is open.
        unsafe { function(self.raw.as_ptr()) };
    }

    /// Moves the transport to its beginning.
    pub(super) fn rewind(&self) {
        // SAFETY: the client is open.
        unsafe { (self.jack.functions.transport_locate)(self.raw.as_ptr(), 0) };
    }

    /// The ports of other clients.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let own = format!("{}:", self.name());
        let functions = &self.jack.functions;
        let mut peers = Vec::new();
        for (signal, is_midi) in [(MIDI_TYPE, true), (AUDIO_TYPE, false)] {
            for (flags, is_input) in [(PORT_IS_INPUT, true), (PORT_IS_OUTPUT, false)] {
                // SAFETY: the client is open, and the strings end with a zero.
                let names = unsafe {
                    let list = (functions.get_ports)(
                        self.raw.as_ptr(),
                        std::ptr::null(),
                        signal.as_ptr(),
                        flags,
                    );
                    self.take_list(list)
                };
                let others = names.into_iter().filter(|name| !name.starts_with(&own));
                peers.extend(others.map(|name| Peer { name, is_midi, is_input }));
            }
        }
        peers
    }

    /// The connections of this client's ports.
    pub(super) fn connections(&self) -> BTreeSet<Connection> {
        let mut connections = BTreeSet::new();
        for (raw, port) in &self.ports {
            // SAFETY: the client is open, and the port is registered.
            let names = unsafe {
                let function = self.jack.functions.port_get_all_connections;
                self.take_list(function(self.raw.as_ptr(), raw.as_ptr()))
            };
            connections.extend(names.into_iter().map(|peer| (port.name.clone(), peer)));
        }
        connections
    }

    /// Makes a connection. Returns whether it exists now.
    pub(super) fn connect(&self, (port, peer): &Connection) -> bool {
        let functions = &self.jack.functions;
        let Some((raw, own)) = self.ports.iter().find(|(_, one)| one.name == *port) else {
            return false;
        };
        let Ok(peer) = CString::new(peer.as_str()) else { return false };
        // SAFETY: the client is open, the port is registered, and the strings end with a zero.
        unsafe {
            let own_name = (functions.port_name)(raw.as_ptr());
            let other = (functions.port_by_name)(self.raw.as_ptr(), peer.as_ptr());
            if own_name.is_null() || other.is_null() {
                return false;
            }
            let is_receiver = (functions.port_flags)(other) as c_ulong & PORT_IS_INPUT != 0;
            let (source, target) = match own.direction {
                Direction::Out if is_receiver => (own_name, peer.as_ptr()),
                Direction::In if !is_receiver => (peer.as_ptr(), own_name),
                _ => return false,
            };
            let result = (functions.connect)(self.raw.as_ptr(), source, target);
            result == 0 || result == libc::EEXIST
        }
    }

    /// Copies and frees a list of names.
    ///
    /// # Safety
    /// `list` is null or a list of the library that ends with a null pointer.
    unsafe fn take_list(&self, list: *mut *const c_char) -> Vec<String> {
        let mut names = Vec::new();
        if list.is_null() {
            return names;
        }
        // SAFETY: see above.
        unsafe {
            let mut entry = list;
            while !(*entry).is_null() {
                names.push(text(*entry));
                entry = entry.add(1);
            }
            (self.jack.functions.free)(list.cast());
        }
        names
    }

    /// Closes the client. Nothing of it is called afterwards.
    pub(super) fn close(self) {
        let functions = &self.jack.functions;
        if let Some(callback) = self.callback {
            // SAFETY: it is freed below.
            let callback = unsafe { callback.as_ref() };
            callback.is_closing.store(true, Ordering::SeqCst);
            // See the module: the thread of a callback that runs must not be cancelled.
            for _ in 0..100 {
                if !callback.is_running.load(Ordering::SeqCst) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // SAFETY: the client is open, and this is its last use. When it is closed, no callback runs,
        // so that their data can be freed.
        unsafe {
            (functions.deactivate)(self.raw.as_ptr());
            (functions.client_close)(self.raw.as_ptr());
            if let Some(callback) = self.callback {
                drop(Box::from_raw(callback.as_ptr()));
            }
        }
        drop(self.signals);
    }
}

/// # Safety
/// `pointer` is null or a string that ends with a zero.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: see above.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
