//! The macro that turns a row of the table into a type with constructors.

use crate::spec::UGenSpec;

/// Position of a parameter, evaluated while this crate is compiled.
pub(crate) const fn position(spec: &UGenSpec, name: &str) -> usize {
    match spec.position(name) {
        Some(index) => index,
        None => panic!("a constructor names a parameter that its row does not have"),
    }
}

/// One parameter of a row, with its default.
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
        $crate::spec::UGenParameter::new(
            stringify!($name),
            $crate::spec::ParameterDefault::$default $(($value))?,
            $list,
        )
    };
}

/// How many outputs a row has.
macro_rules! outputs {
    (variable $count:literal) => {
        $crate::spec::Outputs::Variable($count)
    };
    (by_input) => {
        $crate::spec::Outputs::ByInput
    };
    ($count:literal) => {
        $crate::spec::Outputs::Fixed($count)
    };
}

/// A rate by its token.
macro_rules! rate {
    (ar) => {
        $crate::rate::Rate::Audio
    };
    (kr) => {
        $crate::rate::Rate::Control
    };
    (ir) => {
        $crate::rate::Rate::Scalar
    };
    (dr) => {
        $crate::rate::Rate::Demand
    };
}

/// One flag of a row.
macro_rules! flag {
    (pure) => {
        $crate::spec::UGenFlags::PURE
    };
    (width_first) => {
        $crate::spec::UGenFlags::WIDTH_FIRST
    };
    (done) => {
        $crate::spec::UGenFlags::DONE
    };
    (input) => {
        $crate::spec::UGenFlags::INPUT
    };
    (output) => {
        $crate::spec::UGenFlags::OUTPUT
    };
    (pv_chain) => {
        $crate::spec::UGenFlags::PV_CHAIN
    };
    (demand_consumer) => {
        $crate::spec::UGenFlags::DEMAND_CONSUMER
    };
    (same_rate) => {
        $crate::spec::UGenFlags::SAME_RATE
    };
}

/// The role of a row; most have none.
macro_rules! role {
    () => {
        $crate::spec::CompilerRole::Ordinary
    };
    ($role:ident) => {
        $crate::spec::CompilerRole::$role
    };
}

/// The function that prepares the inputs of a row; most have none.
macro_rules! prepare {
    () => {
        None
    };
    ($prepare:path) => {
        Some($prepare)
    };
}

/// The constructors of one rate; the arguments come as a token tree because the rates repeat apart
/// from them.
macro_rules! constructor {
    ($rate:ident $by_name:ident $rate_name:literal ($($argument:ident)*) $name:ident) => {
        #[doc = concat!("A `", stringify!($name), "` at ", $rate_name, " rate.")]
        #[doc = concat!(
            "\n\n", $("Takes `", stringify!($argument), "`. ",)*
            "All inputs have methods; to set all of them by name, begin with [`", stringify!($by_name),
            "`](Self::", stringify!($by_name), ")."
        )]
        pub fn $rate($($argument: impl $crate::conversion::IntoSignal),*)
            -> $crate::builder::UGenBuilder<$name, { <$name as $crate::spec::UGenType>::SPEC.parameters.len() }>
        {
            #[allow(unused_mut)]
            let mut builder = $crate::builder::UGenBuilder::new($crate::ugens::table::rate!($rate));
            $(
                builder.set(
                    const {
                        $crate::ugens::table::position(
                            <$name as $crate::spec::UGenType>::SPEC,
                            stringify!($argument),
                        )
                    },
                    $crate::conversion::IntoSignal::into_signal($argument),
                );
            )*
            builder
        }

        #[doc = concat!("A `", stringify!($name), "` at ", $rate_name, " rate, with all inputs set ")]
        #[doc = "by their methods. If an input without a default is not set, the build fails."]
        pub fn $by_name()
            -> $crate::builder::UGenBuilder<$name, { <$name as $crate::spec::UGenType>::SPEC.parameters.len() }>
        {
            $crate::builder::UGenBuilder::new($crate::ugens::table::rate!($rate))
        }
    };
    (ar $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(ar audio "audio" $arguments $name);
    };
    (kr $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(kr control "control" $arguments $name);
    };
    (ir $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(ir scalar "scalar" $arguments $name);
    };
    (dr $arguments:tt $name:ident) => {
        $crate::ugens::table::constructor!(dr demand "demand" $arguments $name);
    };
}

/// The type of a row, its constructors, and the methods that set its inputs.
macro_rules! ugen {
    (
        $doc:literal $name:ident $arguments:tt [$($rate:ident)*] $outputs:tt [$($flag:ident)*]
        [$($role:ident)?] [$($prepare:path)?]; $($parameter:ident: $default:tt),*
    ) => {
        #[doc = $doc]
        #[doc = "\n\nInputs, in the order of the server:"]
        $(#[doc = concat!("- `", stringify!($parameter), "`: ", stringify!($default))])*
        #[derive(Clone, Copy, Debug)]
        #[allow(non_camel_case_types)]
        pub struct $name;

        impl $crate::spec::UGenType for $name {
            const SPEC: &'static $crate::spec::UGenSpec =
                &$crate::spec::UGenSpec {
                    name: stringify!($name),
                    rates: &[$($crate::ugens::table::rate!($rate)),*],
                    parameters: &[
                        $($crate::ugens::table::parameter!($parameter $default)),*
                    ],
                    outputs: $crate::ugens::table::outputs! $outputs,
                    flags: $crate::spec::UGenFlags::empty()
                        $(.union($crate::ugens::table::flag!($flag)))*,
                    documentation: $doc.trim_ascii(),
                    role: $crate::ugens::table::role!($($role)?),
                    prepare: $crate::ugens::table::prepare!($($prepare)?),
                };
        }

        impl $name {
            $($crate::ugens::table::constructor!($rate $arguments $name);)*
        }

        impl $crate::builder::UGenBuilder<$name, { <$name as $crate::spec::UGenType>::SPEC.parameters.len() }> {
            $(
                #[doc = concat!("Sets the input `", stringify!($parameter), "`.")]
                pub fn $parameter(mut self, value: impl $crate::conversion::IntoSignal) -> Self {
                    self.set(
                        const {
                            $crate::ugens::table::position(
                                <$name as $crate::spec::UGenType>::SPEC,
                                stringify!($parameter),
                            )
                        },
                        $crate::conversion::IntoSignal::into_signal(value),
                    );
                    self
                }
            )*
        }
    };
}

/// Defines the UGens of a family, one row each:
///
/// ```text
/// /// Documentation, one sentence.
/// Name(constructor's arguments) [rates] (outputs) [flags] role(ROLE) prepare(function) {
///     parameter: default,
/// }
/// ```
///
/// A default is a number, `required`, `list` (required, takes a list), `(list number)`, or `auto`
/// and `auto_list` where `prepare` fills it in. `role` (see `CompilerRole`) and `prepare` (see
/// `Prepare`) are left out of most rows.
macro_rules! ugen_table {
    ($(
        #[doc = $doc:literal]
        $name:ident($($argument:ident),*) [$($rate:ident)*] ($($outputs:tt)*) [$($flag:ident)*]
        $(role($role:ident))? $(prepare($prepare:path))?
        { $($parameter:ident: $default:tt),* $(,)? }
    )*) => {
        $(
            $crate::ugens::table::ugen! {
                $doc $name ($($argument)*) [$($rate)*] ($($outputs)*) [$($flag)*]
                [$($role)?] [$($prepare)?];
                $($parameter: $default),*
            }
        )*

        /// The rows of this family.
        pub(crate) const TABLE: &[&$crate::spec::UGenSpec] =
            &[$(<$name as $crate::spec::UGenType>::SPEC),*];
    };
}

pub(crate) use {constructor, flag, outputs, parameter, prepare, rate, role, ugen, ugen_table};
