//! An open input device: its state, the repair of lost events, and what is released when it goes.

use std::io;
use std::sync::Arc;

use super::codes::{Code, CodeSet, EventType};
use super::config::Criteria;
use super::rumble::Rumble;
use super::system::{
    Axis, DeviceInfo, EV_SYN, InputDevice, RawEvent, SYN_DROPPED, SYN_REPORT, System,
};

/// The first code of multitouch axes, whose values belong to one of several contacts. They cannot
/// be read again.
const ABS_MT_SLOT: u16 = 0x2F;

/// The codes of axes.
mod axis {
    pub(super) const X: u16 = 0x00;
    pub(super) const Y: u16 = 0x01;
    pub(super) const Z: u16 = 0x02;
    pub(super) const RX: u16 = 0x03;
    pub(super) const RY: u16 = 0x04;
    pub(super) const RZ: u16 = 0x05;
    pub(super) const RUDDER: u16 = 0x07;
    pub(super) const WHEEL: u16 = 0x08;
    pub(super) const GAS: u16 = 0x09;
    pub(super) const BRAKE: u16 = 0x0A;
    pub(super) const HAT0X: u16 = 0x10;
    pub(super) const HAT3Y: u16 = 0x17;
}

/// The buttons of joysticks and gamepads: `BTN_JOYSTICK` to `BTN_THUMBR`.
const STICK_BUTTONS: std::ops::RangeInclusive<u16> = 0x120..=0x13E;

/// The buttons of gamepads: `BTN_GAMEPAD` to `BTN_THUMBR`.
const GAMEPAD_BUTTONS: std::ops::RangeInclusive<u16> = 0x130..=0x13E;

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// Nothing to emit.
    Nothing,
    /// A code has this value now, or has moved by it.
    Value(Code, i32),
    /// Events were lost, and the report with the loss has ended: call [`InputState::repair`].
    Lost,
}

/// The state of a device, as its events have reported it.
#[derive(Clone, Debug, Default)]
pub(super) struct InputState {
    keys: CodeSet,
    switches: CodeSet,
    leds: CodeSet,
    axes: Vec<(u16, Axis)>,
    /// Where axes are when nobody touches them, for those that return by themselves.
    rests: Vec<(u16, i32)>,
    /// Whether events are discarded until the end of the report.
    is_dropping: bool,
}

/// Where a stick or a trigger is when nobody touches it; `None` for an axis that keeps its position.
fn rest(number: u16, axis: &Axis, buttons: &CodeSet) -> Option<i32> {
    let has = |mut range: std::ops::RangeInclusive<u16>| range.any(|code| buttons.contains(code));
    if !has(STICK_BUTTONS) {
        return None; // a tablet, a touch screen, a fader
    }
    let middle = if axis.minimum < 0 && axis.maximum > 0 {
        0
    } else {
        (i64::from(axis.minimum) + i64::from(axis.maximum)).div_euclid(2) as i32
    };
    match number {
        axis::X | axis::Y | axis::RX | axis::RY | axis::RUDDER | axis::WHEEL => Some(middle),
        axis::HAT0X..=axis::HAT3Y => Some(middle),
        // Triggers of most gamepads, the right stick of others: what they were when the device was
        // opened.
        axis::Z | axis::RZ | axis::GAS | axis::BRAKE if has(GAMEPAD_BUTTONS) => {
            Some(axis.value.clamp(axis.minimum, axis.maximum.max(axis.minimum)))
        }
        _ => None,
    }
}

impl InputState {
    /// Reads the state of a device.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn read(device: &dyn InputDevice) -> io::Result<Self> {
        let mut state = InputState {
            keys: device.active(EventType::Key)?,
            switches: device.active(EventType::Switch)?,
            leds: device.active(EventType::Led)?,
            ..InputState::default()
        };
        let buttons = device.codes(EventType::Key)?;
        for number in device.codes(EventType::Absolute)?.iter() {
            if number >= EventType::Absolute.count() {
                break;
            }
            let axis = device.axis(number)?;
            state.axes.push((number, axis));
            state.rests.extend(rest(number, &axis, &buttons).map(|rest| (number, rest)));
        }
        Ok(state)
    }

    /// The range and the last value of an axis.
    pub(super) fn axis(&self, number: u16) -> Option<&Axis> {
        self.axes.iter().find(|(code, _)| *code == number).map(|(_, axis)| axis)
    }

    fn set(&mut self, kind: EventType) -> Option<&mut CodeSet> {
        match kind {
            EventType::Key => Some(&mut self.keys),
            EventType::Switch => Some(&mut self.switches),
            EventType::Led => Some(&mut self.leds),
            _ => None,
        }
    }

    /// Takes an event.
    #[inline]
    pub(super) fn accept(&mut self, event: RawEvent) -> Accepted {
        if event.kind == EV_SYN {
            return match event.code {
                SYN_DROPPED => {
                    self.is_dropping = true;
                    Accepted::Nothing
                }
                SYN_REPORT if self.is_dropping => {
                    self.is_dropping = false;
                    Accepted::Lost
                }
                _ => Accepted::Nothing,
            };
        }
        if self.is_dropping {
            return Accepted::Nothing;
        }
        let kind = EventType::from_number(event.kind);
        let Some(code) = kind.and_then(|kind| Code::new(kind, event.code)) else {
            return Accepted::Nothing;
        };
        if let Some(set) = self.set(code.kind) {
            set.set(code.number, event.value != 0);
        } else if code.kind == EventType::Absolute
            && let Some((_, axis)) = self.axes.iter_mut().find(|(other, _)| *other == code.number)
        {
            axis.value = event.value;
        }
        Accepted::Value(code, event.value)
    }

    /// Reads the state again after events were lost, and emits the differences.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn repair(
        &mut self,
        device: &dyn InputDevice,
        mut emit: impl FnMut(&InputState, Code, i32),
    ) -> io::Result<()> {
        for kind in [EventType::Key, EventType::Switch, EventType::Led] {
            let active = device.active(kind)?;
            for number in 0..kind.count() {
                let is_active = active.contains(number);
                let code = Code { kind, number };
                if self.set(kind).is_some_and(|set| set.set(number, is_active)) {
                    emit(self, code, is_active.into());
                }
            }
        }
        for index in 0..self.axes.len() {
            let (number, before) = self.axes[index];
            if number >= ABS_MT_SLOT {
                continue;
            }
            let value = device.axis(number)?.value;
            if value != before.value {
                self.axes[index].1.value = value;
                emit(self, Code { kind: EventType::Absolute, number }, value);
            }
        }
        Ok(())
    }

    /// Releases the keys that are down and centres the sticks, because the device has disappeared.
    pub(super) fn release(&mut self, mut emit: impl FnMut(&InputState, Code, i32)) {
        for number in self.keys.iter() {
            self.keys.set(number, false);
            emit(self, Code { kind: EventType::Key, number }, 0);
        }
        for index in 0..self.rests.len() {
            let (number, rest) = self.rests[index];
            let axis = self.axes.iter_mut().find(|(code, _)| *code == number);
            if let Some((_, axis)) = axis
                && axis.value != rest
            {
                axis.value = rest;
                emit(self, Code { kind: EventType::Absolute, number }, rest);
            }
        }
    }
}

/// An open device.
pub(super) struct Input {
    pub(super) device: Arc<dyn InputDevice>,
    pub(super) info: DeviceInfo,
    pub(super) state: InputState,
    /// Why the device could not be grabbed.
    pub(super) grab_problem: Option<String>,
    /// Its motors, after the first value.
    pub(super) rumble: Option<Rumble>,
}

impl Input {
    /// Finds and opens a device. Blocks.
    ///
    /// # Errors
    /// What to tell the user.
    pub(super) fn open(
        system: &dyn System,
        criteria: &Criteria,
        is_exclusive: bool,
    ) -> Result<Self, String> {
        let info = criteria.find(system)?;
        let path = info.path.display();
        let cannot_open = |error: io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; add this user to the group of the device, usually `input`"
                }
                _ => "",
            };
            format!("cannot open {path}: {error}{hint}")
        };
        let device = system.open(&info.path).map_err(cannot_open)?;
        let mut input = Input {
            state: InputState::read(&*device).map_err(cannot_open)?,
            device,
            info,
            grab_problem: None,
            rumble: None,
        };
        if is_exclusive {
            input.grab();
        }
        Ok(input)
    }

    /// Takes the device's events away from all other programs. Does not block.
    pub(super) fn grab(&mut self) {
        self.grab_problem = self.device.grab(true).err().map(|error| {
            let path = self.info.path.display();
            match error.raw_os_error() {
                Some(libc::EBUSY) => format!("cannot grab {path}: another program has grabbed it"),
                _ => format!("cannot grab {path}: {error}"),
            }
        });
    }
}
