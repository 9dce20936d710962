//! Controls: the values of a running synth that `/n_set` changes.

use std::marker::PhantomData;

use crate::open;
use crate::rate::ControlRate;
use crate::signal::Signal;

/// Adds controls to the SynthDef that is being built.
#[derive(Debug)]
pub struct Controls {
    /// The SynthDef is on this thread's stack, so that another thread cannot add to it.
    not_send: PhantomData<*const ()>,
}

/// The default of a control: a number, or several for an array.
pub trait ControlValues {
    /// The numbers.
    fn values(&self) -> Vec<f64>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl ControlValues for $number {
            fn values(&self) -> Vec<f64> {
                vec![f64::from(*self)]
            }
        }

        impl<const N: usize> ControlValues for [$number; N] {
            fn values(&self) -> Vec<f64> {
                self.iter().copied().map(f64::from).collect()
            }
        }

        impl ControlValues for &[$number] {
            fn values(&self) -> Vec<f64> {
                self.iter().copied().map(f64::from).collect()
            }
        }

        impl ControlValues for Vec<$number> {
            fn values(&self) -> Vec<f64> {
                self.iter().copied().map(f64::from).collect()
            }
        }
    )*};
}

numbers!(f64, f32, i32, u8);

impl Controls {
    pub(crate) fn new() -> Self {
        Self { not_send: PhantomData }
    }

    /// Adds a control that is read once a control period.
    pub fn control(&self, name: &str, default: impl ControlValues) -> Signal {
        open::add_control(name, ControlRate::Control, &default.values(), 0.0)
    }

    /// Adds a control whose changes are smoothed over a time in seconds.
    pub fn lagged(&self, name: &str, default: impl ControlValues, lag: f64) -> Signal {
        open::add_control(name, ControlRate::Control, &default.values(), lag)
    }

    /// Adds a control that falls back to zero after one control period.
    pub fn trigger(&self, name: &str, default: impl ControlValues) -> Signal {
        open::add_control(name, ControlRate::Trigger, &default.values(), 0.0)
    }

    /// Adds a control that is read every sample, for mapping to an audio bus.
    pub fn audio(&self, name: &str, default: impl ControlValues) -> Signal {
        open::add_control(name, ControlRate::Audio, &default.values(), 0.0)
    }

    /// Adds a control that is read once, when the synth starts.
    pub fn scalar(&self, name: &str, default: impl ControlValues) -> Signal {
        open::add_control(name, ControlRate::Scalar, &default.values(), 0.0)
    }
}
