//! Hostile Lua scripts: whatever they do, another route of the show continues, the router's thread
//! is not held, and the show ends.

#![cfg(feature = "lua")]
#![allow(clippy::print_stdout, reason = "the test prints what it measures")]

mod lua_support;

use std::time::{Duration, Instant};

use consort_router::testing::TestShow;
use lua_support::{PRINTING, use_worker};

/// How long the router's thread may be busy in one turn. Turns take microseconds; a loaded machine
/// may take the processor away from it.
const MAX_TURN: Duration = Duration::from_secs(2);

/// What the handler `in1` of each script does, or what the script does while it is loaded (`load:`).
const SCRIPTS: &[(&str, &str)] = &[
    ("exponential pattern", "string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b')"),
    ("quadratic pattern", "string.gsub(('a'):rep(30000), '.-b', 'x')"),
    (
        "sorting for ever",
        "local t = {} for i = 1, 1000 do t[i] = -i end while true do table.sort(t) end",
    ),
    (
        "concatenating for ever",
        "while true do table.concat({('x'):rep(1000), ('y'):rep(1000)}) end",
    ),
    ("huge strings", "while true do local s = ('ab'):rep(50 << 20) end"),
    ("a million numbers", "local t = {} for i = 1, 1000000 do t[i] = -i end table.sort(t)"),
    (
        "endless finalizer",
        "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()",
    ),
    ("endless loop", "while true do end"),
    ("endless loop in pcall", "while true do pcall(function() while true do end end) end"),
    ("endless coroutines", "while true do coroutine.wrap(function() coroutine.yield() end)() end"),
    ("loop in a coroutine", "coroutine.wrap(function() while true do end end)()"),
    ("deep recursion", "local function f(x) return f(x) + 1 end f(1)"),
    ("recursion in pcall", "local function f() pcall(f) return f() + 1 end f()"),
    (
        "metatable recursion",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
    ),
    ("all memory", "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) end"),
    ("memory in tables", "local t = {} while true do t[#t + 1] = {{}, {}, {}} end"),
    ("endless outputs", "while true do output('out', 1) end"),
    ("endless unknown outputs", "local n = 0 while true do n = n + 1 output('x' .. n, 1) end"),
    ("endless texts", "while true do output('out', ('x'):rep(1024)) end"),
    ("endless printing", "while true do print(('x'):rep(1000)) end"),
    ("endless errors", "interval(function() error(('x'):rep(5000)) end, 10)"),
    ("different errors", "local n = 0 interval(function() n = n + 1 error('error ' .. n) end, 10)"),
    ("os.exit", "os.exit(1)"),
    ("os.exit in pcall", "pcall(os.exit, 7)"),
    ("killed", "os.execute('kill -KILL $PPID')"),
    ("stopped", "os.execute('kill -STOP $PPID')"),
    ("interrupted", "os.execute('kill -40 $PPID; kill -ALRM $PPID; kill -INT $PPID')"),
    ("a command that waits", "os.execute('sleep 1000')"),
    ("commands without end", "for i = 1, 20 do io.popen('sleep 1000') end"),
    ("reading without end", "io.open('/dev/zero'):read('a')"),
    ("waiting for a FIFO", "os.execute('mkfifo fifo') io.open('fifo')"),
    ("closed streams", "io.stdout:close() io.stderr:close() print('x')"),
    ("removed hook", "debug.sethook() while true do end"),
    ("broken globals", "output = nil os = nil string = nil _G.error = nil in1 = 3"),
    ("broken registry", "for k in pairs(debug.getregistry()) do debug.getregistry()[k] = nil end"),
    (
        "broken upvalues",
        "for i = 1, 9 do pcall(debug.setupvalue, output, i, nil) end output('out', 1)",
    ),
    ("thousands of threads", "for i = 1, 100000 do thread(function() sleep(1) end) end"),
    ("thousands of intervals", "for i = 1, 100000 do interval(function() end, 10) end"),
    ("threads that never sleep", "thread(function() while true do coroutine.yield() end end)"),
    ("invalid bytecode", "load('\\27Lua garbage', 'x', 'b')() "),
    ("load: endless loop", "while true do end"),
    ("load: exponential pattern", "string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b')"),
    ("load: os.exit", "os.exit()"),
    ("load: a thread that fails", "thread(function() nosuch() end)"),
    (
        "load: endless clean-up",
        "cleanup_handler(function() string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b') end)",
    ),
    ("load: failing clean-up", "cleanup_handler(function() error({}) end)"),
    (
        "load: clean-up that outputs",
        "cleanup_handler(function() while true do output('out', 1) end end)",
    ),
];

#[test]
fn hostile_scripts_hold_no_other_route() {
    use_worker();
    assert!(SCRIPTS.len() >= 25);
    let mut longest = (Duration::ZERO, "");
    for (name, code) in SCRIPTS {
        let folder = tempfile::tempdir().expect("a folder");
        let mut setup = TestShow::new();
        setup.directory = folder.path().to_owned();
        let script = match name.strip_prefix("load: ") {
            Some(_) => (*code).to_owned(),
            None => format!("function in1(value) {code} end"),
        };
        std::fs::write(folder.path().join("s.lua"), script).expect("a script");
        let options = [("script", "s.lua"), ("time-limit", "20"), ("memory", "32")];
        setup.instance(&PRINTING, "lua", &options);
        setup.map("probe.in1", "lua.in1");
        setup.map("lua.out", "probe.out");
        setup.map("probe.ping", "probe.pong");
        let mut show = setup.start();
        show.until(&format!("{name}: the script to be loaded or to fail"), |show| {
            show.state("lua").word() != "starting"
        });
        show.send("in1", 1.0);
        // Another route works for as long as the script does what it does, and after it.
        let start = Instant::now();
        let mut pings = 0;
        while pings < 40 || start.elapsed() < Duration::from_millis(200) {
            let turn = Instant::now();
            show.send("ping", 0.5);
            pings += 1;
            let time = turn.elapsed();
            assert!(time < MAX_TURN, "{name}: a turn took {time:?}");
            longest = longest.max((time, *name));
            let pongs = show.received().iter().filter(|(channel, _)| channel == "pong").count();
            assert_eq!(pongs, pings, "{name}");
            show.router.step(Some(Duration::from_millis(2))).expect("a turn");
        }
        let end = Instant::now();
        show.finish();
        assert!(end.elapsed() < Duration::from_secs(10), "{name}: {:?}", end.elapsed());
    }
    let (time, name) = longest;
    println!("{} scripts; the longest turn took {time:?} ({name})", SCRIPTS.len());
}
