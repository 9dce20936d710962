//! Python scripts: each instance runs a worker process with its own interpreter, which provides
//! the module `midimonster`.
//!
//! The process and its connection are those of all script languages; `worker` describes them.

#[doc(hidden)]
pub mod scan;
mod settings;

use std::io::{self, Write};

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, Options, Plan, Problems,
};

use crate::worker::{ScriptDriver, ScriptPlan};
use settings::{Defaults, Settings};

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "python",
    summary: "Python scripts that handle and output values",
    documentation: include_str!("documentation.md"),
    options: settings::BACKEND_OPTIONS,
    instance_options: settings::INSTANCE_OPTIONS,
    instance_families: &[],
    channels: &[
        ChannelSyntax {
            syntax: "NAME",
            example: "foo",
            documentation: "\
A channel on which the script outputs values with `output(\"NAME\", value)`. Values that arrive on \
it go to the `default-handler`, if there is one.",
        },
        ChannelSyntax {
            syntax: "MODULE.FUNCTION",
            example: "random.seed",
            documentation: "\
A handler: `FUNCTION(value)` of this module is called for every value that arrives: a `float`, or a \
`str` when a text arrives. The module must be one of the instance's `module` options.",
        },
    ],
    example: "[python script]\nmodule = random\n\n[map]\nscript.foo > script.random.seed\n",
    create: || backend(Box::new(io::stdout())),
};

/// Creates the backend; `script_output` receives what scripts print to standard output.
pub fn backend(script_output: Box<dyn Write + Send>) -> Box<dyn Backend> {
    Box::new(PythonBackend { defaults: Defaults::default(), script_output })
}

/// The backend: the defaults of its instances, and where their scripts print to.
struct PythonBackend {
    defaults: Defaults,
    script_output: Box<dyn Write + Send>,
}

impl Backend for PythonBackend {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.defaults = Defaults::new(options);
    }

    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let settings = Settings::new(config, &self.defaults, problems)?;
        Some(Box::new(ScriptPlan::new(settings)))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(ScriptDriver::new(self.script_output))
    }
}
