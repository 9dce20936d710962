//! Lua scripts: each instance runs a worker process with its own interpreter, built into this
//! program.
//!
//! `settings` has the options, `source` reads and checks code, and `worker` is the program of the
//! worker. The process and its connection are those of all script languages; `crate::worker`
//! describes them.

mod scan;
mod settings;
mod source;
mod worker;

use std::io::{self, Write};

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, Plan, Problems,
};

use crate::worker::{ScriptDriver, ScriptPlan};
use settings::LuaSettings;
pub(crate) use worker::serve;

/// The entry of the registry. A program that runs shows with Lua scripts says how their workers
/// are started: [`serve_if_worker`](crate::worker::serve_if_worker).
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "lua",
    summary: "Lua 5.3 scripts that route, generate and transform values",
    documentation: include_str!("documentation.md"),
    options: &[],
    instance_options: settings::INSTANCE_OPTIONS,
    instance_families: &[],
    channels: &[ChannelSyntax {
        syntax: "NAME",
        example: "fader",
        documentation: "Any name. Values and texts sent to it call the global function with this \
name.",
    }],
    example: "\
[lua script]
code = function fader(value) output(\"lamp\", 1 - value) end

[map]
script.lamp > script.fader
",
    create: || backend(Box::new(io::stdout())),
};

/// Creates the backend; `script_output` receives what scripts print to standard output.
pub fn backend(script_output: Box<dyn Write + Send>) -> Box<dyn Backend> {
    Box::new(Lua { script_output })
}

/// The backend, which has no options, and where its scripts print to.
struct Lua {
    script_output: Box<dyn Write + Send>,
}

impl Backend for Lua {
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        if !config.options.is_set("script") && !config.options.is_set("code") {
            problems.warning(None, "this instance has no script").hint("add `script = FILE.lua`");
        }
        Some(Box::new(ScriptPlan::new(LuaSettings::new(config))))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(ScriptDriver::new(self.script_output))
    }
}
