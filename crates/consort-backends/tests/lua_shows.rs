//! Twelve shows in Lua, which together use every function that MIDIMonster offers to scripts. The
//! end states are worked out by hand from its documentation; each comment says how.

#![cfg(feature = "lua")]

mod lua_support;

use std::time::Duration;

use consort_router::testing::Performance;
use lua_support::{Folder, named, show, until_errors};

/// The last value of each channel that was received, sorted by name.
fn end_state(show: &Performance) -> Vec<(String, f64)> {
    let mut last: Vec<(String, f64)> = Vec::new();
    for (channel, value) in show.received() {
        match last.iter_mut().find(|(name, _)| *name == channel) {
            Some(entry) => entry.1 = value,
            None => last.push((channel, value)),
        }
    }
    last.sort_by(|a, b| a.0.cmp(&b.0));
    last
}

/// Turns until the last values of all received channels are these.
#[track_caller]
fn until_end_state(show: &mut Performance, expected: &[(&str, f64)]) {
    let expected = named(expected);
    show.until(&format!("the state {expected:?}"), |show| end_state(show) == expected);
}

/// Show 1: A crossfader: one input, two outputs. 0.75 gives 0.75 and 1 − 0.75 = 0.25.
#[test]
fn a_crossfader() {
    let script = "
        function in1(value)
            output('left', 1 - value)
            output('right', value)
        end";
    let mut show = show(script, &[], &["in1", "left", "right"]);
    show.send_all(&[("in1", 0.25), ("in1", 0.75)]);
    until_end_state(&mut show, &[("left", 0.25), ("right", 0.75)]);
}

/// Show 2: Highest takes precedence over two inputs. `input_value` of the own channel is still the
/// previous value inside the handler, so the handler passes its argument. After 0.5 and 0.75 the
/// result is 0.75; when the second goes to 0.25, the first wins with 0.5.
#[test]
fn highest_takes_precedence() {
    let script = "
        function in1(value) output('dim', math.max(value, input_value('in2'))) end
        function in2(value) output('dim', math.max(value, input_value('in1'))) end";
    let mut show = show(script, &[], &["in1", "in2", "dim"]);
    show.send_all(&[("in1", 0.5), ("in2", 0.75), ("in2", 0.25)]);
    assert_eq!(show.receive(3), named(&[("dim", 0.5), ("dim", 0.75), ("dim", 0.5)]));
}

/// Show 3: A toggle that reads its own last output: presses at 1, releases at 0. Three presses: on, off,
/// on.
#[test]
fn a_toggle_with_output_value() {
    let script = "
        function in1(value)
            if value > 0 then output('lamp', output_value('lamp') > 0 and 0 or 1) end
        end";
    let mut show = show(script, &[], &["in1", "lamp"]);
    for _ in 0..3 {
        show.send_all(&[("in1", 1.0), ("in1", 0.0)]);
    }
    assert_eq!(show.receive(3), named(&[("lamp", 1.0), ("lamp", 0.0), ("lamp", 1.0)]));
}

/// Show 4: One handler for all channels: `default-handler` takes every channel, also one with a function
/// of its own name; `input_channel` tells them apart. `in2` is doubled, everything else halved.
#[test]
fn one_handler_for_all_channels() {
    let script = "
        function in1(value) error('the default handler comes first') end
        function any(value)
            local channel = input_channel()
            output('out_' .. channel, channel == 'in2' and value * 2 or value / 2)
        end";
    let channels = ["in1", "in2", "in3", "out_in1", "out_in2", "out_in3"];
    let mut show = show(script, &[("default-handler", "any")], &channels);
    show.send_all(&[("in1", 0.5), ("in2", 0.25), ("in3", 1.0)]);
    until_end_state(&mut show, &[("out_in1", 0.25), ("out_in2", 0.5), ("out_in3", 0.5)]);
    assert_eq!(show.counters("lua").errors, 0);
}

/// Show 5: A chase with an interval over three lamps that ends itself after four steps: the lamps light up
/// in the order 1, 2, 3, 1, and only the first is on at the end.
#[test]
fn a_chase_with_an_interval() {
    let script = "
        local step = 0
        local function advance()
            step = step + 1
            for lamp = 1, 3 do output('lamp' .. lamp, (step - 1) % 3 + 1 == lamp and 1 or 0) end
            if step == 4 then interval(advance, 0) output('done', 1) end
        end
        function in1(value) interval(advance, 20) end";
    let channels = ["in1", "lamp1", "lamp2", "lamp3", "done"];
    let mut show = show(script, &[], &channels);
    show.send("in1", 1.0);
    let expected = [("done", 1.0), ("lamp1", 1.0), ("lamp2", 0.0), ("lamp3", 0.0)];
    until_end_state(&mut show, &expected);
    let lit: Vec<String> = show
        .received()
        .into_iter()
        .filter(|(name, value)| name.starts_with("lamp") && *value == 1.0)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(lit, ["lamp1", "lamp2", "lamp3", "lamp1"]);
}

/// Show 6: A fade in a thread: five steps of 0.2, one each 10 ms. `input_channel` is nil in a thread.
#[test]
fn a_fade_in_a_thread() {
    let script = "
        function in1(value)
            thread(function()
                for step = 1, 5 do
                    assert(input_channel() == nil)
                    output('dim', step / 5)
                    sleep(10)
                end
                output('end', 1)
            end)
        end";
    let mut show = show(script, &[], &["in1", "dim", "end"]);
    show.send("in1", 1.0);
    let expected =
        [("dim", 0.2), ("dim", 0.4), ("dim", 0.6), ("dim", 0.8), ("dim", 1.0), ("end", 1.0)];
    assert_eq!(show.receive(6), named(&expected));
    assert_eq!(show.counters("lua").errors, 0);
}

/// Show 7: A double click: two presses within two seconds switch the light on; a single one switches it off.
/// The script compares `timestamp`; the presses of the first pair arrive together, the last one long
/// after them.
#[test]
fn a_double_click_with_timestamps() {
    let script = "
        local last = -10000
        function in1(value)
            if value == 0 then return end
            local now = timestamp()
            output('lamp', now - last < 2000 and 1 or 0)
            last = now
        end";
    let mut show = show(script, &[], &["in1", "lamp"]);
    show.send_all(&[("in1", 1.0), ("in1", 0.0), ("in1", 1.0)]);
    assert_eq!(show.receive(2), named(&[("lamp", 0.0), ("lamp", 1.0)]));
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(2_100) {
        show.router.step(Some(Duration::from_millis(10))).expect("a turn");
    }
    show.send("in1", 1.0);
    assert_eq!(show.receive(1), named(&[("lamp", 0.0)]));
}

/// Show 8: Clean-up: the second handler replaces the first and calls it, as the returned function. The
/// end of the show gives 0.1 from the first and 0.9 from the second.
#[test]
fn a_chain_of_cleanup_handlers() {
    let script = "
        assert(cleanup_handler(function() output('first', 0.1) end) == nil)
        local previous
        previous = cleanup_handler(function() previous() output('second', 0.9) end)
        assert(type(previous) == 'function')";
    let mut show = show(script, &[], &["first", "second"]);
    show.finish();
    assert_eq!(end_state(&show), named(&[("first", 0.1), ("second", 0.9)]));
}

/// Show 9: A script that sets all its channels: `channels` lists the mapped ones and those that an output
/// created while loading. Five channels, of which two are outputs with names that begin with `o`.
#[test]
fn all_channels_by_name() {
    let script = "
        output('extra', 0.5)
        function in1(value)
            local count = 0
            for _, name in ipairs(channels()) do
                count = count + 1
                if name:sub(1, 1) == 'o' then output(name, value) end
            end
            output('count', count / 10)
        end";
    let mut show = show(script, &[], &["in1", "o1", "o2", "count"]);
    show.send("in1", 0.75);
    until_end_state(&mut show, &[("count", 0.5), ("o1", 0.75), ("o2", 0.75)]);
}

/// Show 10: Clipping and unknown names: outputs are clipped to 0 and 1, and functions return nil for a
/// channel that does not exist.
#[test]
fn limits_and_unknown_channels() {
    let script = "
        function in1(value)
            output('low', -3)
            output('high', 3)
            output('text', '0.25')
            output('nil', input_value('nowhere') == nil and output_value('nowhere') == nil and 1 or 0)
            output('nowhere', 1)
        end";
    let mut show = show(script, &[], &["in1", "low", "high", "text", "nil"]);
    show.send("in1", 1.0);
    until_end_state(&mut show, &[("high", 1.0), ("low", 0.0), ("nil", 1.0), ("text", 0.25)]);
}

/// Show 11: Names of the interface are never called as handlers: a value for the channel `output` does
/// nothing, and the script can still output on that channel.
#[test]
fn channels_named_like_functions() {
    let script = "
        function in1(value) output('output', value) end
        interval(function() end, 1000)";
    let folder = Folder::new(&[("s.lua", script)]);
    let mut setup = folder.show();
    setup.instance(&consort_backends::lua::DESCRIPTOR, "lua", &[("script", "s.lua")]);
    for name in ["interval", "sleep", "thread", "channels", "timestamp", "cleanup_handler"] {
        setup.map(&format!("probe.{name}"), &format!("lua.{name}"));
    }
    setup.map("probe.1", "lua.in1");
    setup.map("lua.output", "probe.output");
    let mut show = setup.start();
    show.until_state("lua", "up");
    for name in ["interval", "sleep", "thread", "channels", "timestamp", "cleanup_handler"] {
        show.send(name, 1.0);
    }
    show.send("1", 0.5);
    assert_eq!(show.receive(1), named(&[("output", 0.5)]));
    assert_eq!(show.counters("lua").errors, 0);
}

/// Show 12: Two files and a module: the first file defines a scale, the second uses it; both call an
/// interval, whose error is reported, unlike in MIDIMonster, and does not stop the other one.
/// 0.5 in the scale of 0.5 gives 0.25.
#[test]
fn several_scripts_and_a_failing_interval() {
    let folder = Folder::new(&[
        ("one.lua", "local scale = require('lib/scale') function scaled(v) return v * scale end"),
        ("lib/scale.lua", "return 0.5"),
        (
            "two.lua",
            "function in1(value) output('out', scaled(value)) end
             interval(function() nosuch() end, 10)
             interval(function() output('tick', 1) end, 10)",
        ),
    ]);
    let mut setup = folder.show();
    let options = [("script", "one.lua"), ("script", "two.lua")];
    setup.instance(&consort_backends::lua::DESCRIPTOR, "lua", &options);
    setup.map("probe.in1", "lua.in1");
    setup.map("lua.out", "probe.out");
    setup.map("lua.tick", "probe.tick");
    let mut show = setup.start();
    show.until_state("lua", "up");
    show.send("in1", 0.5);
    until_end_state(&mut show, &[("out", 0.25), ("tick", 1.0)]);
    until_errors(&mut show, 3);
    let ticks = show.received().len();
    show.until("further ticks", |show| show.received().len() > ticks);
}
