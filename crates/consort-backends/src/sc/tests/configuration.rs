//! Options and channels: what is accepted, and the messages for the rest.

use consort_router::testing::TestShow;
use consort_router::{Options, Problems, Usage};
use proptest::prelude::*;

use super::super::DESCRIPTOR;
use super::super::reader::read_config;

#[test]
fn a_server_under_jack_is_connected_to_the_sound_card() {
    let environment = |pairs: &[(&str, &str)]| {
        let options = Options::from_pairs(DESCRIPTOR.instance_options, pairs);
        let mut problems = Problems::new();
        read_config(&options, &mut problems).expect("valid").server.environment
    };
    let outputs = "SC_JACK_DEFAULT_OUTPUTS";
    let default_outputs = |pairs: &[(&str, &str)]| {
        let variables = environment(pairs);
        variables.iter().find(|(name, _)| name == outputs).map(|(_, value)| value.clone())
    };
    // A variable in the environment of the test takes precedence.
    let usual = std::env::var_os(outputs).is_none().then(|| "system".to_owned());
    assert_eq!(default_outputs(&[("voice.pad", "pad")]), usual);
    let explicit = [("voice.pad", "pad"), ("environment", "SC_JACK_DEFAULT_OUTPUTS=mixer")];
    assert_eq!(default_outputs(&explicit).as_deref(), Some("mixer"));
    assert_eq!(default_outputs(&[("voice.pad", "pad"), ("server", "127.0.0.1:57110")]), None);
}

/// The messages and hints for invalid options.
fn refused(options: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut test = TestShow::new();
    let problems = test.try_instance(&DESCRIPTOR, "sound", options).expect_err("refused");
    problems
        .into_iter()
        .map(|problem| (problem.message, problem.hint.unwrap_or_default()))
        .collect()
}

#[test]
fn invalid_options_are_reported_with_hints() {
    for (options, message, hint) in [
        (&[("voice.pad", "pda")][..], "there is no SynthDef `pda`", "did you mean `pad`?"),
        (&[("voice.pad", "")], "expected the name of a SynthDef", "SynthDefs are"),
        (&[("voice.bus", "pad")], "every instance has a channel `bus`", "another name"),
        (&[("voice.a b", "pad")], "invalid name in `voice.a b`", "letters"),
        (&[("voice.pad.steal", "oldest")], "there is no voice `pad`", "voice.pad = SYNTHDEF"),
        (
            &[("voice.pad", "pad"), ("voice.pad.polyfony", "3")],
            "unknown option `polyfony` of a voice",
            "did you mean `polyphony`?",
        ),
        (&[("voice.pad", "pad"), ("voice.pad.polyphony", "0")], "expected 1 to 1024", ""),
        (&[("voice.pad", "pad"), ("voice.pad.steal", "best")], "expected one of `oldest`", ""),
        (
            &[("voice.pad", "pad"), ("voice.pad.group", "voice")],
            "there is no group `voice`",
            "did you mean `voices`?",
        ),
        (&[("voice.kick", "kick"), ("voice.kick.end", "gate")], "has no control `gate`", "`cut`"),
        (&[("voice.r", "reverb"), ("voice.r.end", "itself")], "does not free itself", "never end"),
        (&[("voice.k", "kick"), ("voice.k.mode", "legato")], "cannot play legato", "gate"),
        (&[("voice.k", "kick"), ("voice.k.glide", "1")], "has no control `glide`", "`lead`"),
        (
            &[("voice.pad", "pad"), ("control.pad.cuttof", "0 1")],
            "has no control `cuttof`",
            "did you mean `cutoff`?",
        ),
        (
            &[("voice.pad", "pad"), ("control.pad.cutoff", "0 0")],
            "the range from 0 to 0 is empty",
            "such as",
        ),
        (
            &[("voice.pad", "pad"), ("control.pda.cutoff", "0 1")],
            "no voice or synth `pda`",
            "did you mean `pad`?",
        ),
        (
            &[("voice.pad", "pad"), ("control.pad", "0 1")],
            "expected the name of a control",
            "CONTROL",
        ),
        (
            &[("synth.r", "reverb"), ("control.r.in", "bus wt"), ("bus.wet", "audio")],
            "there is no bus `wt`",
            "did you mean `wet`?",
        ),
        (
            &[("synth.r", "reverb"), ("control.r.mix", "map wet"), ("bus.wet", "audio")],
            "a control cannot follow the audio bus `wet`",
            "`bus wet` sets the control to its number",
        ),
        (&[("synth.r", "reverb"), ("control.r.in", "buffer x")], "there is no buffer", ""),
        (
            &[("synth.pad", "reverb"), ("synth.pad.x", "1")],
            "unknown option `x` of a synth",
            "control.pad.x",
        ),
        (&[("bus.x", "audio 0")], "expected `audio CHANNELS`", "bus.wobble"),
        (&[("bus.x", "0 1"), ("bus.x", "0 2")], "duplicate bus `x`", ""),
        (&[("buffer.x", "no/such.wav")], "no such file", ""),
        (&[("trigger.1", "x")], "expected a number from -1000000000 to 1000000000, not `x`", ""),
        (&[("synthdef", "no.scsyndef")], "cannot read", ""),
        (&[("server", "score")], "missing option `score`", "score = FILE"),
        (&[("groups", "a a")], "duplicate group `a`", ""),
        (&[("channels", "4")], "the server has 2 outputs", "outputs"),
        (&[("password", "x")], "servers check it only over TCP", ""),
        (&[("audio-buses", "2"), ("bus.x", "0 1")], "outputs (2) and inputs (2) need 4", ""),
        (&[("threads", "4"), ("program", "/usr/bin/scsynth")], "threads is 4, but scsynth", ""),
    ] {
        let problems = refused(options);
        let is_expected = |(own_message, own_hint): &(String, String)| {
            own_message.contains(message) && own_hint.contains(hint)
        };
        assert!(problems.iter().any(is_expected), "{options:?}: {problems:?}");
    }
}

#[test]
fn check_warns_about_a_voice_that_is_cut() {
    let mut test = TestShow::new();
    let cut = [("voice.r", "reverb"), ("voice.r.end", "cut")];
    assert!(test.try_instance(&DESCRIPTOR, "quiet", &cut).is_ok());
    let options = Options::from_pairs(DESCRIPTOR.instance_options, &cut[..1]);
    let mut problems = Problems::new();
    assert!(read_config(&options, &mut problems).is_some());
    let problems = problems.into_vec();
    assert!(problems[0].is_warning && problems[0].message.contains("is cut off with a click"));
    assert!(problems[0].hint.as_deref().is_some_and(|hint| hint.contains("voice.r.end = cut")));
}

/// A SynthDef file of this many oscillators, one after another or all at once.
fn synthdef_file(folder: &std::path::Path, name: &str, count: u32, all_at_once: bool) -> String {
    use consort_sc::synthdef::prelude::*;
    let synthdef = SynthDef::build(name, |controls| {
        let gate = controls.control("gate", 1.0);
        EnvGen::kr(Envelope::adsr(0.1, 0.1, 0.5, 0.1))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        let sines = (0..count).map(|number| SinOsc::ar(f64::from(number) + 0.5).signal());
        if all_at_once {
            Out::ar(0, sines.collect::<Vec<Signal>>());
        } else {
            sines.for_each(|sine| drop(Out::ar(0, sine)));
        }
    });
    let path = folder.join(name).with_extension("scsyndef");
    std::fs::write(&path, synthdef.expect("a SynthDef").file().bytes()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn synthdefs_that_the_server_would_refuse_or_not_get_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let wide = synthdef_file(folder.path(), "wide", 100, true);
    let large = synthdef_file(folder.path(), "large", 2_000, false);
    let file = ("synthdef", wide.as_str());
    let problems = refused(&[file, ("voice.v", "wide")]);
    let (message, hint) = &problems[0];
    assert!(message.contains("`wide` needs 100 wire buffers or more; the server has 64"));
    assert_eq!(hint, "set `wire-buffers = 128`");
    let is_accepted = |options: &[(&str, &str)]| {
        TestShow::new().try_instance(&DESCRIPTOR, "sound", options).is_ok()
    };
    assert!(is_accepted(&[file, ("voice.v", "wide"), ("wire-buffers", "100")]));
    assert!(is_accepted(&[file, ("voice.v", "wide"), ("program", "supernova")]));
    // One that no voice uses does no harm.
    assert!(is_accepted(&[file, ("voice.v", "pad")]));

    let file = ("synthdef", large.as_str());
    let voice = ("voice.v", "large");
    let problems = refused(&[file, voice, ("server", "192.0.2.1:57110")]);
    let (message, hint) = &problems[0];
    assert!(message.contains("the SynthDef `large` has 140"), "{message}");
    assert!(message.contains("a UDP packet to another computer carries"), "{message}");
    assert!(hint.contains("protocol = tcp"), "{hint}");
    for (server, protocol) in
        [("192.0.2.1:57110", "tcp"), ("127.0.0.1:57110", "udp"), ("localhost:57110", "udp")]
    {
        assert!(
            is_accepted(&[file, voice, ("server", server), ("protocol", protocol)]),
            "{server}"
        );
    }
    assert!(is_accepted(&[file, voice]));
}

#[test]
fn check_warns_about_a_sound_card_in_place_of_a_jack_server() {
    let warnings = |device: &str| {
        let pairs = [("voice.pad", "pad"), ("input-device", device)];
        let options = Options::from_pairs(DESCRIPTOR.instance_options, &pairs);
        let mut problems = Problems::new();
        assert!(read_config(&options, &mut problems).is_some());
        problems.into_vec()
    };
    let problem = warnings("hw:1").remove(0);
    assert!(problem.is_warning && problem.message.contains("asks for a JACK server `hw`"));
    assert!(problem.hint.is_some_and(|hint| hint.contains("`jackd -d alsa -d hw:1`")));
    assert!(warnings("stage:consort").is_empty() && warnings("Built-in").is_empty());
}

#[test]
fn the_times_of_the_health_checks_are_options() {
    let read = |pairs: &[(&str, &str)]| {
        let pairs = [&[("voice.pad", "pad")], pairs].concat();
        let options = Options::from_pairs(DESCRIPTOR.instance_options, &pairs);
        read_config(&options, &mut Problems::new()).expect("valid").timeouts().health
    };
    let health = read(&[]);
    let times = (health.interval.as_millis(), health.timeout.as_millis(), health.attempts);
    assert_eq!(times, (500, 1_000, 5));
    let health =
        read(&[("health-interval", "2"), ("health-timeout", "0.25"), ("health-attempts", "2")]);
    let times = (health.interval.as_millis(), health.timeout.as_millis(), health.attempts);
    assert_eq!(times, (2_000, 250, 2));
}

#[test]
fn invalid_channels_are_reported_with_hints() {
    let mut test = TestShow::new();
    let options = [
        ("voice.pad", "pad"),
        ("synth.room", "reverb"),
        ("control.room.room", "0.5"),
        ("bus.lfo", "0 1"),
        ("control.room.mix", "map lfo"),
        ("bus.wet", "audio"),
    ];
    test.instance(&DESCRIPTOR, "sound", &options);
    for (channel, usage, message, hint) in [
        (
            "pda.note60",
            Usage::Target,
            "there is no voice, synth or channel `pda`",
            "did you mean `pad`?",
        ),
        ("pad.cuttoff", Usage::Target, "`pad` has no control `cuttoff`", "did you mean `cutoff`?"),
        ("pad.note128", Usage::Target, "note 128 is out of range: expected 0 to 127", ""),
        ("pad", Usage::Target, "expected a channel of the voice, such as `pad.note60`", "noteN"),
        ("room", Usage::Target, "expected a channel of the synth, such as `room.run`", "room.run"),
        ("room.wet", Usage::Target, "`room` has no control `wet`", "damping, in, mix, out, room"),
        ("room.room", Usage::Target, "is set to 0.5", "control.room.room = LOW HIGH"),
        ("room.mix", Usage::Target, "follows a bus", "bus.NAME"),
        ("bus.wet", Usage::Target, "the audio bus `wet` has no value", "level"),
        ("bus.lfoo", Usage::Target, "there is no bus `lfoo`", "did you mean `lfo`?"),
        ("bus.99999", Usage::Target, "out of range: expected 0 to 16383", ""),
        ("meter", Usage::Target, "`meter` is a source and cannot be a target", "server"),
        ("meter.2", Usage::Source, "output 2 is out of range: expected 0 to 1", ""),
        ("level", Usage::Source, "`level` is a target and cannot be a source", "sources"),
        ("trigger.x", Usage::Source, "expected the number of a trigger, not `x`", "trigger.1"),
        ("reply.beat", Usage::Source, "invalid OSC address `beat`", "reply./beat:0"),
        ("reply./beat:x", Usage::Source, "invalid argument `x`", ""),
    ] {
        let error = test.channel(&format!("sound.{channel}"), usage).expect_err(channel);
        assert!(error.message.contains(message), "{channel}: {error:?}");
        let has_hint = error.hint.as_deref().unwrap_or_default().contains(hint);
        assert!(has_hint, "{channel}: {error:?}");
        if let Some((start, end)) = error.range {
            assert!(start <= end && end <= channel.len(), "{channel}: {error:?}");
        }
    }
    let number = test.channel("sound.pad.control.cutoff", Usage::Target).expect("a channel");
    assert_eq!(test.channel("sound.pad.cutoff", Usage::Target).expect("the same"), number);
}

proptest! {
    /// Any option is a value or an error, and the range of an error lies inside the channel.
    #[test]
    fn any_option_and_any_channel_is_accepted_or_refused(
        name in "(voice|synth|control|bus|buffer|trigger|reply)\\.[a-z.0-9/ ]{0,12}",
        value in "(pad|kick|bus|map|audio|empty|[-0-9. ]|[a-z]){0,8}",
        channel in "(pad|room|bus|trigger|reply|meter|level)?\\.?(note|pressure|/)?[a-z0-9.:]{0,8}",
        usage in prop::sample::select(vec![Usage::Source, Usage::Target]),
    ) {
        let pairs = [("voice.pad", "pad"), ("synth.room", "reverb"), (name.as_str(), value.as_str())];
        let options = Options::from_pairs(DESCRIPTOR.instance_options, &pairs);
        let mut problems = Problems::new();
        let config = read_config(&options, &mut problems);
        prop_assert_eq!(config.is_some(), problems.is_ok());
        let mut test = TestShow::new();
        test.instance(&DESCRIPTOR, "sound", &pairs[..2]);
        if let Err(error) = test.channel(&format!("sound.{channel}"), usage)
            && let Some((start, end)) = error.range
        {
            prop_assert!(start <= end && end <= channel.len(), "{:?}", error);
        }
    }
}
