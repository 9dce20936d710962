//! Lua scripts: their functions, and what happens when they fail.

#![cfg(feature = "lua")]

mod lua_support;

use std::time::{Duration, Instant};

use consort_backends::lua::DESCRIPTOR;
use consort_router::testing::TestShow;
use lua_support::{Folder, named, show, until_errors, use_worker};

#[test]
fn handlers_receive_and_send_values() {
    let script = "
        function in1(value) output('out', value / 2); output('unmapped', 1) end
        function in2(value) output('out', 7); output('out', -1); output('out', 0/0) end";
    let mut show = show(script, &[], &["in1", "in2", "in3", "out"]);
    show.send_all(&[("in1", 0.5), ("in3", 1.0), ("in2", 1.0)]);
    assert_eq!(show.receive(4), named(&[("out", 0.25), ("out", 1.0), ("out", 0.0), ("out", 0.0)]));
    assert_eq!(show.counters("lua").errors, 0);
}

#[test]
fn scripts_can_query_values_and_names() {
    let script = "
        seen = {}
        assert(input_channel() == nil)
        output('made', 0.5)
        function in1(value)
            assert(input_channel() == 'in1')
            output('out', input_value('in1'))
            output('out', input_value('in2'))
            output('out', output_value('made'))
            assert(input_value('unknown') == nil and output_value('unknown') == nil)
            output('out', #channels() / 10)
            assert(table.concat(channels(), ' ') == 'in1 in2 out made')
            assert(math.type(timestamp()) == 'integer')
        end";
    let mut show = show(script, &[], &["in1", "in2", "out"]);
    show.send_all(&[("in2", 0.75), ("in1", 0.1), ("in1", 0.2)]);
    let values: Vec<f64> = show.receive(8).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [0.0, 0.75, 0.5, 0.4, 0.1, 0.75, 0.5, 0.4]);
    assert_eq!(show.counters("lua").errors, 0);
}

#[test]
fn a_default_handler_is_called_for_every_channel() {
    let script = "
        function in1(value) error('not called') end
        function any(value) output(input_channel() == 'in1' and 'one' or 'two', value) end";
    let options = [("default-handler", "any")];
    let mut show = show(script, &options, &["in1", "in2", "one", "two"]);
    show.send_all(&[("in1", 0.1), ("in2", 0.2)]);
    assert_eq!(show.receive(2), named(&[("one", 0.1), ("two", 0.2)]));
}

#[test]
fn channels_with_names_of_functions_have_no_handler() {
    let script = "function output2(value) end output('output', 0.5)";
    let folder = Folder::new(&[("s.lua", script)]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua")]);
    setup.map("probe.a", "lua.interval");
    setup.map("lua.output", "probe.b");
    let mut show = setup.start();
    assert_eq!(show.receive(1), named(&[("b", 0.5)]), "sent while loading");
    show.until_state("lua", "up");
    show.send("a", 1.0);
    assert_eq!(show.counters("lua").errors, 0);
}

#[test]
fn intervals_keep_time_under_traffic_and_can_be_changed_and_ended() {
    let script = "
        count = 0
        function tick() count = count + 1; output('tick', (count % 2)) end
        interval(tick, 54)
        interval(tick, 48)
        function in1(value) end
        function in2(value) interval(tick, 0) end";
    let mut show = show(script, &[], &["in1", "in2", "tick"]);
    let start = Instant::now();
    let (mut sent, mut seen) = (0, Vec::new());
    // Traffic in every turn must not delay the ticks, which are 50 ms apart.
    while seen.len() < 12 {
        sent += 1;
        show.send("in1", f64::from(sent % 2));
        if show.received().len() > seen.len() {
            seen.push(start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{seen:?}");
    }
    let due = Duration::from_millis(600);
    assert!(seen[11] >= due - Duration::from_millis(10), "{seen:?}");
    // A busy machine may delay a tick, but that does not delay the following ones.
    assert!(seen[11] < due + Duration::from_millis(250), "{seen:?}");
    show.send("in2", 1.0);
    let count = show.received().len();
    let until = Instant::now() + Duration::from_millis(150);
    while Instant::now() < until {
        show.router.step(Some(Duration::from_millis(10))).expect("a turn");
    }
    assert_eq!(show.received().len(), count, "the interval has ended");
}

#[test]
fn threads_sleep_and_continue() {
    let script = "
        function run()
            assert(input_channel() == nil)
            for step = 1, 3 do output('step', step / 10); sleep(30) end
            coroutine.yield()
            output('step', 1)
        end
        function in1(value) thread(run); output('step', 0) end
        function in2(value) sleep(10) end";
    let mut show = show(script, &[], &["in1", "in2", "step"]);
    let start = Instant::now();
    show.send("in1", 1.0);
    let values: Vec<f64> = show.receive(5).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [0.1, 0.0, 0.2, 0.3, 1.0]);
    assert!(start.elapsed() >= Duration::from_millis(89), "{:?}", start.elapsed());
    show.send("in2", 1.0);
    // Sleeping in a handler is an error.
    until_errors(&mut show, 1);
}

#[test]
fn endless_loops_are_interrupted_wherever_they_are() {
    for (name, script) in [
        ("plain", "function in1(value) while true do end end"),
        ("caught", "function in1(v) while true do pcall(function() while true do end end) end end"),
        (
            "coroutine",
            "function in1(v) while true do
                coroutine.wrap(function() pcall(function() while true do end end) end)()
             end end",
        ),
        ("thread", "function in1(v) thread(function() while true do end end) end"),
        ("recursion", "function in1(v) in1(v) end"),
        (
            "outputs",
            "function in1(v) while true do output('nowhere', 1); output('out2', 1) end end",
        ),
    ] {
        let script = format!("{script}\nfunction in2(value) output('out', value) end");
        let channels = ["in1", "in2", "out", "out2"];
        let mut show = show(&script, &[("time-limit", "40")], &channels);
        show.send("in1", 1.0);
        until_errors(&mut show, 1);
        show.send_all(&[("in2", 0.5), ("in1", 0.5), ("in2", 0.25)]);
        show.until(&format!("{name}: the show to continue"), |show| {
            show.received().iter().filter(|(channel, _)| channel == "out").count() == 2
        });
        until_errors(&mut show, 2);
        assert_eq!(show.counters("lua").errors, 2, "{name}");
    }
}

#[test]
fn a_script_that_needs_too_much_memory_gets_an_error() {
    let script = "
        function in1(v) local t = {} while true do t[#t + 1] = ('x'):rep(100000) end end
        function in2(value) output('out', value) end";
    let options = [("time-limit", "60000"), ("memory", "8")];
    let mut show = show(script, &options, &["in1", "in2", "out"]);
    show.send_all(&[("in1", 0.1), ("in2", 0.2), ("in1", 0.3), ("in2", 0.4)]);
    assert_eq!(show.receive(2), named(&[("out", 0.2), ("out", 0.4)]));
    until_errors(&mut show, 2);
}

#[test]
fn errors_are_counted_and_the_show_continues() {
    let script = "
        function failing() error('from a timer') end
        interval(failing, 10)
        function in1(value) missing.field = value end
        function in2(value) output('out') end
        function in3(value) interval(failing, -1) end
        function in4(value) interval(in4, 0/0) end
        function in5(value) output('out', value) end";
    let channels = ["in1", "in2", "in3", "in4", "in5", "out"];
    let mut show = show(script, &[], &channels);
    for channel in ["in1", "in2", "in3", "in4"] {
        let before = show.counters("lua").errors;
        show.send(channel, 1.0);
        until_errors(&mut show, before + 1);
    }
    show.send("in5", 0.5);
    assert_eq!(show.receive(1), named(&[("out", 0.5)]));
    let before = show.counters("lua").errors;
    show.until("errors of the timer", |show| show.counters("lua").errors >= before + 3);
}

#[test]
fn the_clean_up_handler_is_called_and_routed() {
    let script = "
        function first() output('out', 0.1) end
        function second() output('out', 0.2) end
        assert(cleanup_handler(first) == nil)
        assert(cleanup_handler(second) == first)";
    let mut show = show(script, &[], &["out"]);
    show.finish();
    assert_eq!(show.received(), named(&[("out", 0.2)]));
}

#[test]
fn several_scripts_share_one_interpreter_and_find_modules() {
    let folder = Folder::new(&[
        ("one.lua", "local m = require('half'); function half(value) return m(value) end"),
        ("two.lua", "function in1(value) output('out', half(value)) end"),
        ("half.lua", "return function(value) return value / 2 end"),
    ]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "one.lua"), ("script", "two.lua")]);
    setup.map("probe.in1", "lua.in1");
    setup.map("lua.out", "probe.out");
    let mut show = setup.start();
    show.send("in1", 0.5);
    assert_eq!(show.receive(1), named(&[("out", 0.25)]));
}

#[test]
fn the_configuration_itself_can_contain_code() {
    let folder = Folder::new(&[("s.lua", "scale = scale * 2")]);
    let mut setup = folder.show();
    let code = "function in1(value) output('out', value * scale) end";
    setup.instance(
        &DESCRIPTOR,
        "lua",
        &[("code", "scale = 1"), ("script", "s.lua"), ("code", code)],
    );
    setup.map("probe.in1", "lua.in1");
    setup.map("lua.out", "probe.out");
    assert_eq!(setup.check("lua"), []);
    let mut show = setup.start();
    show.send("in1", 0.25);
    assert_eq!(show.receive(1), named(&[("out", 0.5)]));
}

#[test]
fn scripts_that_cannot_be_loaded_are_reported() {
    let long = "x = ".repeat(10);
    for (name, script, words, in_check) in [
        ("syntax", "function (", "s.lua:1:", true),
        ("nonsense", long.as_str(), "s.lua:1:", true),
        ("runtime", "error('at once')", "at once", false),
        ("loop", "while true do end", "more than 200 ms", false),
    ] {
        let folder = Folder::new(&[("s.lua", script)]);
        let mut setup = folder.show();
        setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua"), ("time-limit", "20")]);
        setup.map("probe.a", "lua.in1");
        let problems = setup.check("lua");
        assert_eq!(
            problems.iter().any(|problem| problem.message.contains(words)),
            in_check,
            "{problems:?}"
        );
        let mut show = setup.start();
        show.until_state("lua", "failed");
        let state = show.state("lua");
        assert!(state.reason().is_some_and(|reason| reason.contains(words)), "{name}: {state:?}");
        show.send("a", 1.0);
        assert_eq!(show.counters("lua").dropped, 1);
    }
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "/no/such/file.lua")]);
    assert!(setup.check("lua")[0].message.contains("/no/such/file.lua"));
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "/dev/zero")]);
    assert!(setup.check("lua")[0].message.contains("not a regular file"));
}

/// As in MIDIMonster: intervals and threads do not need a handler.
#[test]
fn a_missing_default_handler_does_not_stop_the_rest_of_the_script() {
    let script = "interval(function() output('out', input_value('in1')) end, 10)";
    let options = [("default-handler", "nowhere")];
    let mut show = show(script, &options, &["in1", "out"]);
    assert_eq!(show.state("lua").word(), "up");
    show.send("in1", 0.5);
    show.until("the value by way of the interval", |show| {
        show.received().contains(&("out".to_owned(), 0.5))
    });
}

/// A yielded value that is not a valid time is ignored.
#[test]
fn a_thread_may_yield_anything() {
    for yielded in ["0/0", "-1/0", "-5", "'x'", "{}", "nil", ""] {
        let script = format!("thread(function() coroutine.yield({yielded}) output('out', 1) end)");
        let mut show = show(&script, &[], &["out"]);
        assert_eq!(show.receive(1), named(&[("out", 1.0)]), "{yielded}");
    }
}

/// Lua itself also skips both when it reads a file.
#[test]
fn a_script_may_begin_with_a_byte_order_mark_and_a_shebang() {
    for start in ["\u{FEFF}", "#!/usr/bin/lua\n", "\u{FEFF}# anything\r\n"] {
        let script = format!("{start}function in1(value) output('out', value) end");
        let folder = Folder::new(&[("s.lua", &script)]);
        let mut setup = folder.show();
        setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua")]);
        setup.map("probe.in1", "lua.in1");
        setup.map("lua.out", "probe.out");
        let mut show = setup.start();
        show.send("in1", 0.5);
        assert_eq!(show.receive(1), named(&[("out", 0.5)]), "{start:?}");
    }
    let folder = Folder::new(&[("s.lua", "#!/usr/bin/lua")]);
    let mut setup = folder.show();
    setup.instance(&DESCRIPTOR, "lua", &[("script", "s.lua")]);
    assert_eq!(setup.check("lua"), []);
}

#[test]
fn source_is_an_alias_of_script() {
    let option = DESCRIPTOR.instance_options.iter().find(|option| option.answers_to("source"));
    assert_eq!(option.map(|option| option.name), Some("script"));
}

/// A show with one instance `lua`, not started, that runs `code`. Mappings are written as
/// `SOURCE > TARGET`.
fn setup(code: &str, options: &[(&str, &str)], mappings: &[&str]) -> TestShow {
    use_worker();
    let mut setup = TestShow::new();
    let mut all = vec![("code", code)];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "lua", &all);
    for mapping in mappings {
        let (source, target) = mapping.split_once(" > ").expect("a mapping");
        setup.map(source, target);
    }
    setup
}

#[test]
fn a_reload_keeps_the_script_with_its_values_and_handlers() {
    let code = "
        count = 0
        output('made', 0.25)
        function in1(value)
            count = count + 1
            output('out', count / 10)
            output('kept', input_value('in1'))
        end
        function late() output('out', 0.9) end
        function in2(value) late = function(value) output('out', value) end end
        function in3(value)
            output('out', output_value('made'))
            output('out', #channels() / 10)
        end
        interval(function() output('tick', 1) end, 10)";
    let before = ["probe.1 > lua.in1", "probe.2 > lua.in2", "lua.out > probe.out"];
    let mut show = setup(code, &[], &before).start();
    show.send("1", 0.5);
    show.send("2", 1.0);
    assert_eq!(show.receive(1), named(&[("out", 0.1)]));
    let after = [
        "lua.tick > probe.tick",
        "probe.late > lua.late",
        "probe.1 > lua.in1",
        "probe.3 > lua.in3",
        "lua.out > probe.out",
        "lua.kept > probe.kept",
    ];
    let adoption = show.adopt(setup(code, &[("time-limit", "40")], &after));
    assert_eq!(adoption.restarted, [""; 0]);
    show.send("1", 0.75);
    show.send("late", 0.3);
    show.send("3", 1.0);
    show.until("the values and a tick", |show| {
        let received = show.received();
        received.iter().filter(|(name, _)| name != "tick").count() == 5
            && received.iter().any(|(name, _)| name == "tick")
    });
    let values: Vec<_> = show.received().into_iter().filter(|(name, _)| name != "tick").collect();
    let expected = [("out", 0.2), ("kept", 0.5), ("out", 0.3), ("out", 0.25), ("out", 0.7)];
    assert_eq!(values, named(&expected), "six mapped channels and `made`");
    // A channel that is mapped no more does nothing.
    show.adopt(setup(code, &[("time-limit", "40")], &["probe.1 > lua.in1"]));
    show.send("1", 1.0);
    assert_eq!(show.counters("lua").errors, 0);
}

#[test]
fn a_reload_applies_the_time_limit_and_restarts_for_another_script() {
    let code = "function in1(value) while value > 0 do end end";
    let mappings = ["probe.1 > lua.in1"];
    let mut show = setup(code, &[("time-limit", "60000")], &mappings).start();
    show.until_state("lua", "up");
    let adoption = show.adopt(setup(code, &[("time-limit", "40")], &mappings));
    assert_eq!(adoption.restarted, [""; 0]);
    show.send("1", 1.0);
    until_errors(&mut show, 1);
    let other = "function in1(value) error('at once') end error('while loading')";
    assert_eq!(show.adopt(setup(other, &[], &mappings)).restarted, ["lua"]);
    show.until_state("lua", "failed");
    let adoption = show.adopt(setup(other, &[], &mappings));
    assert_eq!(adoption.restarted, ["lua"], "a script that failed is loaded again");
}

#[test]
fn outputs_without_a_mapping_are_listed() {
    let code = "
        output('made', 0.5)
        function in1(value)
            output('made', value) output('nowhere', value) output('words', 'hello')
            output('out', value)
        end";
    let mut show = setup(code, &[], &["probe.1 > lua.in1", "lua.out > probe.out"]).start();
    show.send("1", 0.75);
    assert_eq!(show.receive(1), named(&[("out", 0.75)]));
    let live = show.router.handle().live();
    let mut entries = live.unmatched(show.id("lua"));
    entries.sort_by(|a, b| a.channel.cmp(&b.channel));
    let entries: Vec<_> =
        entries.into_iter().map(|entry| (entry.channel, entry.value, entry.count)).collect();
    let expected = [("made", Some(0.75), 2), ("nowhere", Some(0.75), 1), ("words", None, 1)];
    assert_eq!(entries, expected.map(|(name, value, count)| (name.to_owned(), value, count)));
}

#[test]
fn texts_reach_handlers_and_leave_them() {
    let code = "
        function in1(value)
            assert(type(value) == 'string' and input_channel() == 'in1')
            output('out', value .. '!')
            output('out', '0.25')
            output('out', '0.25', 'text')
            output('out', 'x', 'text')
        end
        function in2(value) output('out', {}) end
        function in3(value) output('out', ('x'):rep(1025)) end";
    let mappings =
        ["probe.1 > lua.in1", "probe.2 > lua.in2", "probe.3 > lua.in3", "lua.out > probe.out"];
    let mut show = setup(code, &[], &mappings).start();
    show.until_state("lua", "up");
    show.send_text("1", "één");
    show.until("the texts", |show| show.received_texts().len() == 3);
    let texts: Vec<String> = show.received_texts().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["één!", "0.25", "x"]);
    assert_eq!(show.received(), named(&[("out", 0.25)]), "MIDIMonster takes it for a number");
    show.send("2", 1.0);
    show.send("3", 1.0);
    until_errors(&mut show, 2);
}
