//! Lua scripts as processes: deadlines that hold whatever is called, restarts, the end of a script,
//! and where it finds files.

#![cfg(feature = "lua")]

mod lua_support;

use std::time::Duration;

use consort_backends::lua::DESCRIPTOR;
use consort_router::testing::Performance;
use lua_support::{Folder, PRINTED, PRINTING, named, show, until_errors};

/// Calls that no interpreter interrupts.
const STUCK: &[(&str, &str)] = &[
    ("a pattern", "string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b')"),
    ("a finalizer", "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()"),
    ("a command", "os.execute('sleep 60')"),
    ("a pipe", "io.popen('sleep 60'):read('a')"),
    (
        "a coroutine in C",
        "coroutine.wrap(function() string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b') end)()",
    ),
    (
        "a comparison",
        "local t = {} for i = 1, 20 do t[i] = i end
         pcall(table.sort, t, function()
             string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b') return true
         end)",
    ),
    ("a removed hook", "debug.sethook() while true do end"),
];

#[test]
fn a_script_that_hangs_is_ended_and_started_again_with_its_last_inputs() {
    for (name, code) in STUCK {
        let script = format!(
            "function in1(value) end
             function in2(value) {code} end
             function in3(value) output('out', input_value('in1')) end"
        );
        let channels = ["in1", "in2", "in3", "out"];
        let mut show = show(&script, &[("time-limit", "20")], &channels);
        show.send("in1", 0.25);
        show.send("in2", 1.0);
        show.until(&format!("{name}: the end of the process"), |show| {
            show.state("lua").reason().is_some_and(|reason| reason.contains("`time-limit`"))
        });
        show.until(&format!("{name}: the next process"), |show| show.state("lua").word() == "up");
        show.send("in3", 1.0);
        assert_eq!(show.receive(1), named(&[("out", 0.25)]), "{name}");
    }
}

#[test]
fn a_script_that_hangs_while_it_is_loaded_is_ended() {
    let folder = Folder::new(&[("s.lua", "string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b')")]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua"), ("time-limit", "10")]);
    setup.map("probe.a", "lua.a");
    let mut show = setup.start();
    show.until("the end of the process", |show| {
        show.state("lua").reason().is_some_and(|reason| reason.contains("`time-limit`"))
    });
}

#[test]
fn a_cleanup_handler_that_hangs_does_not_hold_the_end_of_the_show() {
    let script = "
        cleanup_handler(function()
            output('out', 0.5)
            string.find(('a'):rep(3000), ('.-'):rep(12) .. 'b')
        end)";
    let mut show = show(script, &[("time-limit", "20")], &["out"]);
    let start = std::time::Instant::now();
    show.finish();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Turns until a script of the instance has ended itself.
fn until_ended(show: &mut Performance, word: &str) {
    show.until_state("lua", word);
}

#[test]
fn os_exit_ends_the_instance_alone() {
    let script = "
        function in1(value) output('out', value) os.exit() output('out', 1) end
        function in2(value) output('out', value) os.exit(3) end";
    for (channel, word) in [("in1", "stopped"), ("in2", "failed")] {
        let mut show = show(script, &[], &["in1", "in2", "out"]);
        show.send(channel, 0.5);
        until_ended(&mut show, word);
        assert_eq!(show.received(), named(&[("out", 0.5)]), "what was sent before is routed");
        show.send("in1", 1.0);
        assert_eq!(show.counters("lua").dropped, 1);
    }
    let folder = Folder::new(&[("s.lua", "os.exit(4)")]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua")]);
    let mut show = setup.start();
    until_ended(&mut show, "failed");
    let state = show.state("lua");
    assert!(state.reason().is_some_and(|reason| reason.contains("os.exit(4)")), "{state:?}");
}

#[test]
fn os_exit_in_the_cleanup_handler_ends_a_show_cleanly() {
    let script = "cleanup_handler(function() output('out', 0.5) os.exit(1) end)";
    let mut show = show(script, &[], &["out"]);
    show.finish();
    assert_eq!(show.received(), named(&[("out", 0.5)]));
}

#[test]
fn files_are_found_in_the_folder_of_the_configuration() {
    let folder = Folder::new(&[
        ("scripts/gels.lua", "return {level = 0.25}"),
        ("scripts/near.lua", "return 0.5"),
        ("level.txt", "0.75"),
        ("loaded.lua", "from_file = 1"),
        (
            "scripts/main.lua",
            "output('out', require('scripts/gels').level)
             output('out', require('near'))
             output('out', io.open('level.txt'):read('n'))
             dofile('loaded.lua')
             output('out', from_file)",
        ),
    ]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "scripts/main.lua")]);
    setup.map("lua.out", "probe.out");
    let mut show = setup.start();
    let expected = [("out", 0.25), ("out", 0.5), ("out", 0.75), ("out", 1.0)];
    assert_eq!(show.receive(4), named(&expected));
    show.until_state("lua", "up");
    let mut files: Vec<String> = show
        .router
        .handle()
        .live()
        .files(show.id("lua"))
        .into_iter()
        .filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, ["gels.lua", "loaded.lua", "main.lua", "near.lua"]);
}

#[test]
fn modules_in_c_are_refused_by_name() {
    let folder =
        Folder::new(&[("socket.so", ""), ("s.lua", "package.cpath = './?.so' require('socket')")]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua")]);
    let mut show = setup.start();
    show.until_state("lua", "failed");
    let state = show.state("lua");
    let reason = state.reason().unwrap_or_default();
    assert!(reason.contains("`socket` is a C module (./socket.so)"), "{reason}");
}

#[test]
fn errors_of_threads_are_reported_at_once() {
    let code = "
        thread(function() nosuch() end)
        function in1(value) thread(function() nosuch() end) end
        thread(function() sleep(10) nosuch() end)";
    let mut show = show(code, &[], &["in1"]);
    until_errors(&mut show, 2);
    show.send("in1", 1.0);
    until_errors(&mut show, 3);
}

#[test]
fn the_language_is_the_5_3_of_distributions() {
    let code = "
        assert(_VERSION == 'Lua 5.3')
        assert(math.pow(2, 10) == 1024 and math.log10(1000) == 3 and math.ldexp(0.5, 3) == 4)
        local mantissa, exponent = math.frexp(-6)
        assert(mantissa == -0.75 and exponent == 3)
        assert(math.abs(math.tanh(0.5) - 0.46211715726001) < 1e-12)
        assert(math.abs(math.cosh(1) - 1.5430806348152) < 1e-12)
        assert(math.abs(math.sinh(1) - 1.1752011936438) < 1e-12)
        assert(bit32.band(0xFF, 0x0F, 0x3C) == 0x0C and bit32.bor(1, 4) == 5)
        assert(bit32.bxor(5, 1) == 4 and bit32.bnot(0) == 0xFFFFFFFF and bit32.btest(6, 2))
        assert(bit32.lshift(1, 31) == 0x80000000 and bit32.lshift(1, 32) == 0)
        assert(bit32.rshift(0x80000000, 31) == 1 and bit32.rshift(1, -4) == 16)
        assert(bit32.arshift(0x80000000, 31) == 0xFFFFFFFF and bit32.arshift(16, 2) == 4)
        assert(bit32.lrotate(0x80000001, 1) == 3 and bit32.rrotate(3, 1) == 0x80000001)
        assert(bit32.extract(0xABCD, 4, 8) == 0xBC and bit32.replace(0, 5, 4, 4) == 0x50)
        assert(not pcall(bit32.extract, 1, 31, 2))
        assert(require('bit32') == bit32 and debug.getinfo(1) and utf8.char(228) == 'ä')
        assert(3 // 2 == 1 and 7 & 3 == 3 and ('%d'):format(3) == '3')
        output('out', 1)";
    let mut show = show(code, &[], &["out"]);
    assert_eq!(show.receive(1), named(&[("out", 1.0)]));
}

#[test]
fn what_scripts_print_is_forwarded() {
    let folder = Folder::new(&[(
        "s.lua",
        "print('one', 2, nil) io.write('three ', 4, '\\n') print(('x'):rep(100000):sub(-1))
         cleanup_handler(function() io.write('five') end)",
    )]);
    let mut setup = folder.show();
    setup.instance(&PRINTING, "lua", &[("script", "s.lua")]);
    let mut show = setup.start();
    show.until("the lines", |_| PRINTED.text() == "one\t2\tnil\nthree 4\nx\n");
    show.finish();
    drop(show);
    assert!(PRINTED.text().ends_with("x\nfive\n"), "{:?}", PRINTED.text());
}

#[test]
fn a_killed_worker_is_started_again() {
    let script = "
        function in1(value) output('pid', 0) os.execute('kill -KILL $PPID') end
        function in2(value) output('out', input_value('in2')) end";
    let mut show = show(script, &[], &["in1", "in2", "out"]);
    show.send("in2", 0.5);
    show.until("the answer", |show| show.received().len() == 1);
    show.send("in1", 1.0);
    show.until_state("lua", "waiting");
    show.until_state("lua", "up");
    show.send("in2", 1.0);
    show.until("the last input", |show| show.received().last() == Some(&("out".into(), 0.5)));
}

/// The worker of one instance may serve a million values.
#[test]
fn a_million_values_arrive_in_order_and_none_is_lost() {
    let script = "
        local count = 0
        function in1(value) count = count + 1 output('out', count / 2000000) end";
    let mut show = show(script, &[], &["in1", "out"]);
    let (total, mut sent, mut received) = (1_000_000_u64, 0_u64, 0_u64);
    let start = std::time::Instant::now();
    while received < total {
        while sent < total && sent - received < 8_192 {
            let values = [("in1", 0.5); 64];
            show.send_all(&values);
            sent += values.len() as u64;
        }
        for (_, value) in show.receive(1) {
            received += 1;
            assert_eq!(value, received as f64 / 2_000_000.0);
        }
        assert!(start.elapsed() < Duration::from_secs(300), "{received} of {total}");
    }
    assert_eq!(show.counters("lua").dropped, 0);
}
