//! The option `detect` of backends: the flag that their instances share, and the log line.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

use consort_router::{Backend, Context, Driver, DriverContext, OptionKind, OptionSpec};

/// The option of a backend that logs what arrives. Each backend adds the documentation.
pub(crate) const DETECT: OptionSpec = OptionSpec {
    name: "detect",
    kind: OptionKind::Flag,
    default: Some("off"),
    live: true,
    example: "on",
    ..OptionSpec::EMPTY
};

/// The running part of a backend whose instances share only the option `detect`.
pub(crate) struct DetectDriver {
    detect: Rc<Cell<bool>>,
    /// The option `detect` of a backend, if it is of the right type.
    detect_of: fn(&dyn Any) -> Option<bool>,
}

impl DetectDriver {
    pub(crate) fn new(detect: bool, detect_of: fn(&dyn Any) -> Option<bool>) -> Self {
        DetectDriver { detect: Rc::new(Cell::new(detect)), detect_of }
    }

    /// The flag, for an instance; a reload changes it.
    pub(crate) fn flag(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.detect)
    }
}

impl Driver for DetectDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let Some(detect) = (self.detect_of)(&*backend) else { return Err(backend) };
        self.detect.set(detect);
        Ok(())
    }
}

/// Logs a value that has arrived.
#[cold]
pub(crate) fn log_value(channel: &str, value: f64, context: &mut Context<'_>) {
    let name = context.name();
    tracing::info!(target: "detect", instance = name, "detected `{name}.{channel}` = {value:.3}");
}
