//! The running part of a backend whose instances announce themselves, or find those of others.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use consort_router::{Backend, Driver, DriverContext, OptionKind, OptionSpec, Options, Readiness};

use super::Directory;
use crate::detect::DetectDriver;

/// The option that gives this computer a name, and so announces its instances.
pub(crate) const MDNS_NAME: OptionSpec = OptionSpec {
    name: "mdns-name",
    kind: OptionKind::Checked(check_host),
    once: true,
    example: "stage-left",
    ..OptionSpec::EMPTY
};

/// The option that limits announcements and searches to one network interface.
pub(crate) const MDNS_INTERFACE: OptionSpec =
    OptionSpec { name: "mdns-interface", once: true, example: "eth0", ..OptionSpec::EMPTY };

/// Validates the name of this computer.
fn check_host(text: &str) -> Result<(), String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match text.len() {
        1..=63 if text.bytes().all(is_letter) => Ok(()),
        _ => Err("expected 1 to 63 letters, digits and hyphens".into()),
    }
}

/// The options of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) detect: bool,
    /// The name of this computer for others; without it, nothing is announced.
    pub(crate) name: Option<String>,
    pub(crate) interface: Option<String>,
}

impl Settings {
    pub(crate) fn read(options: &Options) -> Self {
        let text = |name| options.text(name).map(str::to_owned);
        Settings {
            detect: options.flag("detect"),
            name: text(MDNS_NAME.name),
            interface: text(MDNS_INTERFACE.name),
        }
    }
}

/// The option `detect`, the name of this computer, and the [`Directory`], for the instances.
pub(crate) struct MdnsDriver {
    detect: DetectDriver,
    name: Option<String>,
    directory: Rc<RefCell<Directory>>,
}

impl MdnsDriver {
    /// `kind` is the kind of service that instances search for.
    pub(crate) fn new(
        settings: Settings,
        kind: &'static str,
        detect_of: fn(&dyn Any) -> Option<bool>,
    ) -> Self {
        MdnsDriver {
            detect: DetectDriver::new(settings.detect, detect_of),
            name: settings.name,
            directory: Rc::new(RefCell::new(Directory::new(kind, settings.interface))),
        }
    }

    /// The flag `detect`, for an instance; a reload changes it.
    pub(crate) fn detect(&self) -> Rc<Cell<bool>> {
        self.detect.flag()
    }

    /// The name of this computer for others.
    pub(crate) fn name(&self) -> Option<String> {
        self.name.clone()
    }

    pub(crate) fn directory(&self) -> Rc<RefCell<Directory>> {
        Rc::clone(&self.directory)
    }
}

impl Driver for MdnsDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        context: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        self.detect.adopt(backend, context)
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut DriverContext<'_>) {
        self.directory.borrow_mut().update(context);
    }
}
