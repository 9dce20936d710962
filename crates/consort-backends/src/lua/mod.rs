//! Scripts in Lua, with the interpreter built in.
//!
//! `interpreter` loads scripts, calls handlers and guards against endless loops, `functions` is
//! what scripts can call, `schedule` when intervals and threads are due, `instance` ties them to
//! the router.

mod functions;
mod instance;
mod interpreter;
mod schedule;
#[cfg(test)]
mod tests;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Instance, InstanceConfig, OptionKind, OptionSpec,
    Problems,
};

use instance::LuaInstance;

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "lua",
    summary: "scripts in Lua 5.4 that route, make and change values",
    documentation: "\
Each instance has its own Lua 5.4 interpreter, built into this program. For each value that comes \
to a channel, the global function of the channel's name is called with it, if there is one when \
the scripts have been loaded; with `default-handler`, that function is called for every channel.

| function | what it does |
|---|---|
| `output(channel, value)` | sends a value, clipped to 0.0–1.0 |
| `input_value(channel)` | the last value that came in; inside the channel's own handler the one before |
| `output_value(channel)` | the last value sent |
| `input_channel()` | the channel whose handler runs, or `nil` |
| `channels()` | all channels' names, in the order of the configuration |
| `interval(f, ms)` | calls `f` every `ms` milliseconds, rounded to 10; 0 ends it |
| `thread(f)` | runs `f` as a coroutine that may sleep, at once |
| `sleep(ms)` | inside a thread: goes on after that time |
| `timestamp()` | milliseconds since the start |
| `cleanup_handler(f)` | calls `f` when the show ends; returns the one before |

Channels with the names of these functions work, but have no handler. A function that does not \
know a channel's name answers `nil`, and `output` to it does nothing; while the scripts are being \
loaded, `output` makes the channel known. What is sent while loading leaves at the start.

What a script prints (`print`, `io.write`) goes to the log, line by line, and waits for nobody. \
Whatever else waits for something outside (`os.execute`, the rest of `io`) holds the show up, and \
`time-limit` does not end it.

Intervals and sleeping threads keep time: a tick that comes late does not move the next, and \
ticks that were missed are left out. What a script sends does not trigger its own handlers.

A script runs on the router's thread: while it runs, nothing else does. One that takes longer \
than `time-limit` is interrupted and reported with its line, and the show goes on. An error in a \
handler is reported once with its traceback and counted after that. A script that is missing or \
is no Lua is an error of the configuration; one that fails while it is loaded fails its instance. A script may use up to 256 MB. The `debug` library and modules in C are \
not there; `require` also looks in the folders of the scripts.",
    options: &[],
    instance_options: &[
        OptionSpec {
            name: "script",
            aliases: &["source"],
            kind: OptionKind::Path,
            repeatable: true,
            example: "chase.lua",
            documentation: "A Lua source file, relative to the configuration. May be given more \
than once; all are read, in order, by one interpreter.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "code",
            kind: OptionKind::Checked(interpreter::check_code),
            repeatable: true,
            example: "function fader(value) output(\"lamp\", 1 - value) end",
            documentation: "A line of Lua, for what needs no file of its own. May be given more \
than once, before and behind `script`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "default-handler",
            example: "handler",
            documentation: "The global function to be called for every channel. One that there \
is not is logged, and no handler is called.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "time-limit",
            kind: OptionKind::Integer(1, 60_000),
            default: Some("200"),
            example: "50",
            documentation: "How many milliseconds one call of a handler may take; a script that is \
loaded has ten times as long.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: &[ChannelSyntax {
        syntax: "NAME",
        example: "fader",
        documentation: "Any name; values to it call the global function of that name.",
    }],
    example: "\
[lua script]
code = function fader(value) output(\"lamp\", 1 - value) end

[map]
script.lamp > script.fader
",
    create: || Box::new(Lua),
};

struct Lua;

impl Backend for Lua {
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        if !config.options.is_set("script") && !config.options.is_set("code") {
            problems.warning(None, "there is no script").hint("add `script = FILE.lua`");
        }
        Some(Box::new(LuaInstance::new(config.name, &config.options)))
    }
}
