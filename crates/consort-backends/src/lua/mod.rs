//! Lua scripts, with a built-in interpreter.
//!
//! `interpreter` loads scripts, calls handlers and interrupts endless loops, `functions` has the
//! functions that scripts can call, `schedule` the intervals and sleeping threads, and `instance`
//! connects all of them to the router.

mod functions;
mod instance;
mod interpreter;
mod schedule;
#[cfg(test)]
mod tests;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, InstanceConfig, OptionKind, OptionSpec, Plan,
    Problems,
};

use instance::LuaPlan;

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "lua",
    summary: "Lua 5.4 scripts that route, generate and transform values",
    documentation: "\
Each instance has its own Lua 5.4 interpreter, built into this program. A value that is sent to a \
channel calls the global function with the name of the channel, if it exists when the scripts have \
been loaded. With `default-handler`, that function is called for every channel instead.

| function | what it does |
|---|---|
| `output(channel, value)` | send a value, clipped to 0.0–1.0 |
| `input_value(channel)` | the last received value; in the channel's own handler the previous one |
| `output_value(channel)` | the last sent value |
| `input_channel()` | the channel whose handler runs, or `nil` |
| `channels()` | the names of all channels, in the order of the configuration |
| `interval(f, ms)` | call `f` every `ms` milliseconds, rounded to 10; 0 ends the interval |
| `thread(f)` | run `f` immediately as a coroutine that may sleep |
| `sleep(ms)` | in a thread: continue after this time |
| `timestamp()` | milliseconds since the start |
| `cleanup_handler(f)` | call `f` when the show ends; returns the previous handler |

Channels with the names of these functions work, but have no handler. For a channel that does not \
exist, functions return `nil` and `output` does nothing; while scripts are being loaded, `output` \
creates the channel. Values that are sent while loading are routed when the show starts.

The output of `print` and `io.write` goes to the log line by line and does not block. Everything \
else that waits (`os.execute`, the rest of `io`) blocks the show, and `time-limit` does not \
interrupt it.

Intervals and sleeping threads keep time: a late call does not delay the next one, and missed \
calls are skipped. Values that a script sends do not call its own handlers.

When a show is reloaded, the script keeps running, unless it is another one or did not load. \
Channels that stay keep their values and handlers; the handler of a new channel is the function that \
has its name then. Values that a script sends on channels that are not mapped are listed as \
unmatched input.

Scripts run on the router's thread, so nothing else is routed while they run. A script that \
exceeds `time-limit` is interrupted and reported with its line, and the show continues. The first \
occurrence of an error in a handler is logged with its traceback; further ones are counted. A \
script that is missing or not valid Lua is a configuration error; a script that fails while it is \
loaded fails its instance. A script may use up to 256 MB. The `debug` library and C modules are \
not available; `require` also searches the folders of the scripts.",
    options: &[],
    instance_options: &[
        OptionSpec {
            name: "script",
            aliases: &["source"],
            kind: OptionKind::Path,
            repeatable: true,
            example: "chase.lua",
            documentation: "A Lua source file, relative to the configuration. May be repeated; one \
interpreter loads all files in order.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "code",
            kind: OptionKind::Checked(interpreter::check_code),
            repeatable: true,
            example: "function fader(value) output(\"lamp\", 1 - value) end",
            documentation: "A line of Lua code, for short scripts. May be repeated, before and \
after `script`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "default-handler",
            example: "handler",
            documentation: "The global function to call for every channel. If it does not exist, \
an error is logged and no handler is called.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "time-limit",
            kind: OptionKind::Integer(1, 60_000),
            default: Some("200"),
            live: true,
            example: "50",
            documentation: "The maximum time for one call of a handler, in milliseconds. Loading a \
script may take ten times as long.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: &[ChannelSyntax {
        syntax: "NAME",
        example: "fader",
        documentation: "Any name. Values sent to it call the global function with this name.",
    }],
    example: "\
[lua script]
code = function fader(value) output(\"lamp\", 1 - value) end

[map]
script.lamp > script.fader
",
    create: || Box::new(Lua),
};

/// The backend, which has no options.
struct Lua;

impl Backend for Lua {
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        if !config.options.is_set("script") && !config.options.is_set("code") {
            problems.warning(None, "this instance has no script").hint("add `script = FILE.lua`");
        }
        Some(Box::new(LuaPlan::new(config.name, &config.options)))
    }
}
