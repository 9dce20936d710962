//! Backends that this build does not have. An instance of one fails with the reason, and the rest
//! of the show runs: a missing backend is treated as a missing device is.

use std::collections::HashMap;

use super::diagnostic::Diagnostic;
use crate::backend::{
    Backend, BackendDescriptor, ChannelError, Driver, Instance, InstanceConfig, Plan, Usage,
};
use crate::context::Context;
use crate::event::Event;
use crate::live::State;
use crate::options::{OptionFamily, Problems};

/// The code of the error about an instance that fails for want of its backend.
pub(super) const MISSING_BACKEND: &str = "missing-backend";

/// MIDIMonster's backends that Consort does not have, and what takes their place.
pub const UNAVAILABLE: &[(&str, Option<&str>)] =
    &[("atem", None), ("wininput", Some("evdev")), ("winmidi", Some("midi"))];

/// The absent backend of this number in [`ABSENT`].
struct Absent<const NUMBER: usize>;

impl<const NUMBER: usize> Backend for Absent<NUMBER> {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        Some(Box::new(AbsentPlan { name: ABSENT[NUMBER].name, channels: HashMap::new() }))
    }
}

/// An instance of an absent backend: it has every channel that mappings name.
struct AbsentPlan {
    /// The backend's name.
    name: &'static str,
    channels: HashMap<String, u32>,
}

impl Plan for AbsentPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        let next = self.channels.len() as u32;
        Ok(*self.channels.entry(specification.to_owned()).or_insert(next))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(AbsentInstance { name: self.name })
    }
}

/// An instance of an absent backend in a running show.
struct AbsentInstance {
    /// The backend's name.
    name: &'static str,
}

impl Instance for AbsentInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let (message, hint) = explain(self.name);
        context.set_state(State::Failed(format!("{message}; {hint}")));
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        context.count_dropped(events.len() as u64);
    }
}

const fn descriptor(name: &'static str, create: fn() -> Box<dyn Backend>) -> BackendDescriptor {
    BackendDescriptor {
        name,
        summary: "",
        documentation: "",
        options: &[],
        instance_options: &[],
        instance_families: &[OptionFamily {
            prefix: "",
            live: false,
            example: "",
            documentation: "",
        }],
        channels: &[],
        example: "",
        create,
    }
}

/// The names that may be absent: MIDIMonster's backends, and Consort's own.
macro_rules! absent {
    ($($number:literal $name:literal),* $(,)?) => {
        static ABSENT: &[BackendDescriptor] =
            &[$(descriptor($name, || Box::new(Absent::<$number>))),*];
    };
}

absent! {
    0 "artnet", 1 "atem", 2 "dmxusb", 3 "evdev", 4 "jack", 5 "loopback", 6 "lua", 7 "maweb",
    8 "midi", 9 "mqtt", 10 "ola", 11 "openpixelcontrol", 12 "osc", 13 "python", 14 "rtpmidi",
    15 "sacn", 16 "sc", 17 "visca", 18 "web", 19 "wininput", 20 "winmidi",
}

/// The absent backend of this name, if it is known. Ask the registry first.
pub(super) fn find(name: &str) -> Option<&'static BackendDescriptor> {
    ABSENT.iter().find(|descriptor| descriptor.name == name)
}

/// Whether a backend is absent, so that its options are not checked.
pub(super) fn is_absent(descriptor: &BackendDescriptor) -> bool {
    ABSENT.iter().any(|absent| std::ptr::eq(absent, descriptor))
}

/// The names of MIDIMonster's and Consort's backends, available or not.
pub fn known_backends() -> impl Iterator<Item = &'static str> {
    ABSENT.iter().map(|descriptor| descriptor.name)
}

/// Why a backend is absent, and what to do about it.
fn explain(name: &str) -> (String, String) {
    match UNAVAILABLE.iter().find(|(unavailable, _)| *unavailable == name) {
        Some((_, Some(substitute))) => (
            format!("MIDIMonster's backend `{name}` is for Windows"),
            format!("use `[{substitute} NAME]` on Linux; see `consort backends {substitute}`"),
        ),
        Some((_, None)) => (
            format!("MIDIMonster's backend `{name}` is not available in Consort yet"),
            "remove its sections and mappings for now".to_owned(),
        ),
        None => (
            format!("the backend `{name}` was left out of this build"),
            format!("build Consort with the feature `{name}`, or remove its sections and mappings"),
        ),
    }
}

/// The error about a known backend that is absent.
pub(super) fn diagnostic(name: &str) -> Diagnostic {
    let (message, hint) = explain(name);
    Diagnostic::error(MISSING_BACKEND, message)
        .note("its instances fail; the rest of the show runs without them")
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::{Severity, load_text};
    use super::*;
    use crate::router::Router;

    #[test]
    fn the_rest_of_a_show_runs_without_an_absent_backend() {
        let text = "[backend atem]\nhost = x\n[winmidi pads]\nread = Pad ; mine\nread = Pad\n\
                    [atem mixer]\n[map]\npads.ch0.note{1..3} > mixer.input{1..3}.key\n";
        let loaded = load_text("show.cfg", text, &[], &[]);
        let found: Vec<_> =
            loaded.diagnostics.iter().filter(|entry| entry.severity == Severity::Error).collect();
        assert!(found.iter().all(|entry| entry.code == MISSING_BACKEND && !entry.stops_the_show()));
        assert_eq!(found.len(), 2, "one for each backend: {found:?}");
        assert!(found[1].hint.as_deref().is_some_and(|hint| hint.contains("[midi NAME]")));
        let show = loaded.show.expect("a show");
        assert_eq!((show.instances.len(), show.mappings.len()), (2, 3));
        let mut router = Router::new(show).expect("an event loop");
        let handle = router.handle();
        router.start();
        let live = handle.live();
        for instance in live.instance_ids() {
            let State::Failed(reason) = live.state(instance) else {
                panic!("{:?}", live.state(instance));
            };
            assert!(reason.contains("MIDIMonster's backend"), "{reason}");
        }
    }

    #[test]
    fn other_errors_still_stop_a_show_with_an_absent_backend() {
        let loaded = load_text("show.cfg", "[atem mixer]\n[map]\nmixer.a > lamp.b\n", &[], &[]);
        assert!(loaded.show.is_none());
        assert!(loaded.diagnostics.iter().any(Diagnostic::stops_the_show));
    }

    #[test]
    fn a_backend_that_was_left_out_names_its_feature() {
        let (message, hint) = explain("osc");
        assert_eq!(message, "the backend `osc` was left out of this build");
        assert!(hint.contains("feature `osc`"), "{hint}");
    }

    #[test]
    fn every_absent_backend_makes_instances_of_its_own_name() {
        for descriptor in ABSENT {
            let config = InstanceConfig {
                name: "x".into(),
                options: crate::options::Options::default(),
                directory: ".".into(),
            };
            let plan = (descriptor.create)().instance(config, &mut Problems::new());
            let plan = crate::backend::downcast::<AbsentPlan>(plan.expect("a plan"));
            assert_eq!(plan.ok().expect("its type").name, descriptor.name);
        }
    }
}
