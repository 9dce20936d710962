//! Controls: what can be set on a running synth.

use std::marker::PhantomData;

use super::graph;
use super::rate::ControlRate;
use super::signal::Signal;

/// Adds controls to the SynthDef that is being built.
#[derive(Debug)]
pub struct Controls {
    /// Controls belong to the SynthDef on top of this thread's stack.
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

    /// A control that is read once a control period.
    pub fn control(&self, name: &str, default: impl ControlValues) -> Signal {
        graph::control(name, ControlRate::Control, &default.values(), 0.0)
    }

    /// A control whose changes are smoothed over a time in seconds.
    pub fn lagged(&self, name: &str, default: impl ControlValues, lag: f64) -> Signal {
        graph::control(name, ControlRate::Control, &default.values(), lag)
    }

    /// A control that falls back to zero after one control period.
    pub fn trigger(&self, name: &str, default: impl ControlValues) -> Signal {
        graph::control(name, ControlRate::Trigger, &default.values(), 0.0)
    }

    /// A control that is read every sample, to be mapped to an audio bus.
    pub fn audio(&self, name: &str, default: impl ControlValues) -> Signal {
        graph::control(name, ControlRate::Audio, &default.values(), 0.0)
    }

    /// A control that is read once, when the synth starts.
    pub fn scalar(&self, name: &str, default: impl ControlValues) -> Signal {
        graph::control(name, ControlRate::Scalar, &default.values(), 0.0)
    }
}
