//! The table's row, and the macro that turns a row into a type with constructors.

use crate::synthdef::Rate;

/// What a UGen is like: a row of the table of UGens.
///
/// The names, rates, parameters, defaults and output counts are those of the standard server's
/// plugins; the order of `parameters` is the order of the inputs in a compiled SynthDef.
#[derive(Debug)]
#[non_exhaustive]
pub struct UGenSpec {
    /// Name of the UGen as the server knows it, for example `SinOsc`.
    pub name: &'static str,
    /// Rates at which the UGen runs; empty for those whose rate follows their inputs.
    pub rates: &'static [Rate],
    /// Inputs in the order of the compiled form.
    pub parameters: &'static [UGenParameter],
    /// How many outputs the UGen has.
    pub outputs: Outputs,
    /// What the compiler has to know.
    pub flags: UGenFlags,
    /// One line of documentation.
    pub documentation: &'static str,
    pub(crate) hook: Hook,
}

/// A parameter of a UGen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct UGenParameter {
    /// Name in lower case with underscores.
    pub name: &'static str,
    /// Value when none is given.
    pub default: ParameterDefault,
    /// Whether the parameter takes a list of signals, each of which becomes an input of its own,
    /// instead of being expanded into several UGens.
    pub list: bool,
}

/// The value of a parameter that is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParameterDefault {
    /// There is none: the parameter has to be given.
    Required,
    /// This number.
    Value(f64),
    /// Depends on the other parameters or on the rate.
    Automatic,
}

/// How many outputs a UGen has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outputs {
    /// Always this many.
    Fixed(u16),
    /// As many as asked for, or this many.
    Variable(u16),
    /// Depends on the inputs.
    ByInput,
}

bitflags::bitflags! {
    /// What the compiler has to know of a UGen.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UGenFlags: u8 {
        /// No side effects: removed where nothing reads it.
        const PURE = 1;
        /// Runs before everything that was built after it.
        const WIDTH_FIRST = 1 << 1;
        /// Tells by a flag when it has finished.
        const DONE = 1 << 2;
        /// Reads buses.
        const INPUT = 1 << 3;
        /// Writes buses.
        const OUTPUT = 1 << 4;
        /// Works on a spectrum in place, so that a second reader needs a copy.
        const PV_CHAIN = 1 << 5;
        /// Asks demand-rate signals for values.
        const ASKS = 1 << 6;
        /// At audio rate the first input has to be at audio rate too.
        const SAME_RATE = 1 << 7;
    }
}

/// What is particular about a UGen when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    None,
    Demand,
    Fft,
    CopyDefault,
    LeakDc,
    LocalIn,
    Mfcc,
    IntegerDoneAction,
    SortedRange,
    IntegerRange,
    PostMode,
    Poll,
    PvCopy,
    LocalBuf,
    MaxLocalBufs,
    SendReply,
    SendPeakRms,
    Dwrand,
    StepperReset,
    Sum,
    Control,
    Operator,
}

impl UGenSpec {
    /// Position of a parameter by name.
    pub const fn position(&self, name: &str) -> Option<usize> {
        let mut index = 0;
        while index < self.parameters.len() {
            if same(self.parameters[index].name.as_bytes(), name.as_bytes()) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// Whether the UGen runs at the rate.
    pub fn supports(&self, rate: Rate) -> bool {
        self.rates.is_empty() || self.rates.contains(&rate)
    }
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Position of a parameter that the macro knows to exist; evaluated while compiling.
pub(crate) const fn position(spec: &UGenSpec, name: &str) -> usize {
    match spec.position(name) {
        Some(index) => index,
        None => panic!("a row of the table names a parameter that it does not have"),
    }
}

/// A UGen of the table as a type.
pub trait UGenType {
    /// The row of the table.
    const SPEC: &'static UGenSpec;
}

macro_rules! parameter {
    ($name:ident required) => {
        $crate::ugens::table::parameter!(@ $name, Required, false)
    };
    ($name:ident list) => {
        $crate::ugens::table::parameter!(@ $name, Required, true)
    };
    ($name:ident auto) => {
        $crate::ugens::table::parameter!(@ $name, Automatic, false)
    };
    ($name:ident auto_list) => {
        $crate::ugens::table::parameter!(@ $name, Automatic, true)
    };
    ($name:ident (list $value:expr)) => {
        $crate::ugens::table::parameter!(@ $name, Value($value), true)
    };
    ($name:ident $value:expr) => {
        $crate::ugens::table::parameter!(@ $name, Value($value), false)
    };
    (@ $name:ident, $default:ident $(($value:expr))?, $list:literal) => {
        $crate::ugens::table::UGenParameter {
            name: stringify!($name),
            default: $crate::ugens::table::ParameterDefault::$default $(($value))?,
            list: $list,
        }
    };
}

macro_rules! outputs {
    (variable $count:literal) => {
        $crate::ugens::table::Outputs::Variable($count)
    };
    (by_input) => {
        $crate::ugens::table::Outputs::ByInput
    };
    ($count:literal) => {
        $crate::ugens::table::Outputs::Fixed($count)
    };
}

macro_rules! rate {
    (ar) => {
        $crate::synthdef::Rate::Audio
    };
    (kr) => {
        $crate::synthdef::Rate::Control
    };
    (ir) => {
        $crate::synthdef::Rate::Scalar
    };
    (dr) => {
        $crate::synthdef::Rate::Demand
    };
}

macro_rules! flag {
    (pure) => {
        $crate::ugens::table::UGenFlags::PURE
    };
    (width_first) => {
        $crate::ugens::table::UGenFlags::WIDTH_FIRST
    };
    (done) => {
        $crate::ugens::table::UGenFlags::DONE
    };
    (input) => {
        $crate::ugens::table::UGenFlags::INPUT
    };
    (output) => {
        $crate::ugens::table::UGenFlags::OUTPUT
    };
    (pv_chain) => {
        $crate::ugens::table::UGenFlags::PV_CHAIN
    };
    (asks) => {
        $crate::ugens::table::UGenFlags::ASKS
    };
    (same_rate) => {
        $crate::ugens::table::UGenFlags::SAME_RATE
    };
}

/// One constructor; the arguments come as a token tree because the rates repeat apart from them.
macro_rules! constructor {
    ($rate:ident $rate_name:literal ($($argument:ident)*) $name:ident) => {
        #[doc = concat!("A `", stringify!($name), "` at ", $rate_name, " rate.")]
        pub fn $rate($($argument: impl $crate::synthdef::IntoSignal),*)
            -> $crate::synthdef::UGenBuilder<$name, { <$name as $crate::ugens::table::UGenType>::SPEC.parameters.len() }>
        {
            #[allow(unused_mut)]
            let mut builder = $crate::synthdef::UGenBuilder::new($crate::ugens::table::rate!($rate));
            $(
                builder.set(
                    const {
                        $crate::ugens::table::position(
                            <$name as $crate::ugens::table::UGenType>::SPEC,
                            stringify!($argument),
                        )
                    },
                    $crate::synthdef::IntoSignal::into_signal($argument),
                );
            )*
            builder
        }
    };
    (ar $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(ar "audio" $arguments $name);
    };
    (kr $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(kr "control" $arguments $name);
    };
    (ir $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(ir "scalar" $arguments $name);
    };
    (dr $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(dr "demand" $arguments $name);
    };
}

macro_rules! ugen {
    (
        $doc:literal $name:ident $arguments:tt [$($rate:ident)*] $outputs:tt [$($flag:ident)*]
        $hook:ident; $($parameter:ident: $default:tt),*
    ) => {
        #[doc = $doc]
        #[doc = "\n\nInputs, in the order of the server:"]
        $(#[doc = concat!("- `", stringify!($parameter), "`: ", stringify!($default))])*
        #[derive(Clone, Copy, Debug)]
        #[allow(non_camel_case_types)]
        pub struct $name;

        impl $crate::ugens::table::UGenType for $name {
            const SPEC: &'static $crate::ugens::table::UGenSpec =
                &$crate::ugens::table::UGenSpec {
                    name: stringify!($name),
                    rates: &[$($crate::ugens::table::rate!($rate)),*],
                    parameters: &[
                        $($crate::ugens::table::parameter!($parameter $default)),*
                    ],
                    outputs: $crate::ugens::table::outputs! $outputs,
                    flags: $crate::ugens::table::UGenFlags::empty()
                        $(.union($crate::ugens::table::flag!($flag)))*,
                    documentation: $doc.trim_ascii(),
                    hook: $crate::ugens::table::Hook::$hook,
                };
        }

        impl $name {
            $($crate::ugens::table::constructor!($rate $arguments $name);)*
        }

        impl $crate::synthdef::UGenBuilder<$name, { <$name as $crate::ugens::table::UGenType>::SPEC.parameters.len() }> {
            $(
                #[doc = concat!("Sets the input `", stringify!($parameter), "`.")]
                pub fn $parameter(mut self, value: impl $crate::synthdef::IntoSignal) -> Self {
                    self.set(
                        const {
                            $crate::ugens::table::position(
                                <$name as $crate::ugens::table::UGenType>::SPEC,
                                stringify!($parameter),
                            )
                        },
                        $crate::synthdef::IntoSignal::into_signal(value),
                    );
                    self
                }
            )*
        }
    };
}

/// Rows: documentation, name and the constructor's arguments, rates, outputs, flags, hook, and the
/// parameters with their defaults (`required`, `list`, `auto`, `auto_list`, `(list number)` or a
/// number).
macro_rules! ugen_table {
    ($(
        #[doc = $doc:literal]
        $name:ident($($argument:ident),*) [$($rate:ident)*] ($($outputs:tt)*) [$($flag:ident)*]
        $hook:ident { $($parameter:ident: $default:tt),* $(,)? }
    )*) => {
        $(
            $crate::ugens::table::ugen! {
                $doc $name ($($argument)*) [$($rate)*] ($($outputs)*) [$($flag)*] $hook;
                $($parameter: $default),*
            }
        )*

        /// The rows of this family.
        pub(crate) const TABLE: &[&$crate::ugens::table::UGenSpec] =
            &[$(<$name as $crate::ugens::table::UGenType>::SPEC),*];
    };
}

pub(crate) use {constructor, flag, outputs, parameter, rate, ugen, ugen_table};

/// A builder of a UGen that is known by its row only.
impl UGenSpec {
    /// Starts a UGen of this row: `spec.at(Rate::Audio).input("frequency", 440.0)`.
    pub fn at(&'static self, rate: Rate) -> crate::synthdef::DynamicBuilder {
        crate::synthdef::DynamicBuilder::new(self, rate)
    }
}
