//! Building SynthDefs: the compiled UGens, and the errors.

use consort_synthdef::prelude::*;
use consort_synthdef::{CompiledInput, ControlRate, ugens};

fn names(synthdef: &SynthDef) -> Vec<String> {
    synthdef.ugens().iter().map(|ugen| format!("{}.{}", ugen.name, ugen.rate)).collect()
}

fn error(result: Result<SynthDef, SynthDefError>) -> (SynthDefErrorKind, String) {
    let error = result.expect_err("an invalid SynthDef");
    (error.kind(), error.to_string())
}

#[test]
fn a_small_instrument_is_printed() {
    let synthdef = SynthDef::build("small", |controls| {
        let frequencies = controls.control("frequency", [440.0, 443.0]);
        let amplitude = controls.lagged("amplitude", 0.1, 0.5);
        let out = controls.scalar("out", 0);
        Out::ar(out, SinOsc::ar(frequencies) * amplitude);
    })
    .expect("a valid SynthDef");
    let text = "SynthDef \"small\"
  controls
    0 out ir = 0
    1 amplitude kr = 0.1, lag 0.5 s
    2 frequency kr = [440.0, 443.0]
  ugens
    0 Control.ir
    1 LagControl.kr lags[0]: 0.5, lags[1]: 0, lags[2]: 0 (3 outputs)
    2 SinOsc.ar frequency: frequency[0], phase: 0
    3 Multiplication.ar left: 2 SinOsc.ar, right: amplitude
    4 SinOsc.ar frequency: frequency[1], phase: 0
    5 Multiplication.ar left: 4 SinOsc.ar, right: amplitude
    6 Out.ar bus: out, source[0]: 3 Multiplication.ar, source[1]: 5 Multiplication.ar
";
    assert_eq!(synthdef.to_string().replace(" (3 outputs)", ""), text.replace(" (3 outputs)", ""));
    let control = synthdef.control("frequency").expect("a control");
    assert_eq!((control.index, &control.values[..]), (2, &[440.0, 443.0][..]));
    assert_eq!(synthdef.control("amplitude").expect("a control").lag, 0.5);
    assert_eq!(synthdef.control("out").expect("a control").rate, ControlRate::Scalar);
    assert!(!synthdef.has_gate());
}

#[test]
fn rates_expansion_and_folding() {
    let synthdef = SynthDef::build("rates", |_| {
        let two = SinOsc::kr([1.0, 2.0]).signal();
        assert_eq!((two.channel_count(), two.rate()), (2, Rate::Control));
        let nested = Pan2::ar(SinOsc::ar([1.0, 2.0])).signal();
        assert_eq!(nested.channel_count(), 2);
        assert_eq!(nested.channel(0).channel_count(), 2);
        assert_eq!(nested.flatten().channel_count(), 4);
        assert_eq!(2.0_f64.into_signal() * 3.0, 6.0.into_signal());
        let voice = SinOsc::ar(440.0).signal();
        assert_eq!(voice * 1.0, voice);
        assert_eq!(voice + 0.0, voice);
        assert_eq!(voice * 0.0, 0.0.into_signal());
        assert_eq!((voice * two).rate(), Rate::Audio);
        Out::ar(0, nested.mix());
    })
    .expect("a valid SynthDef");
    let found = names(&synthdef);
    assert_eq!(found.iter().filter(|name| *name == "Pan2.ar").count(), 2);
    assert!(!found.contains(&"SinOsc.kr".to_owned()), "pure and unread: {found:?}");
}

#[test]
fn statements_and_tail_expressions_add_their_ugen() {
    let synthdef = SynthDef::build("statements", |_| {
        let source = WhiteNoise::ar().signal();
        Out::ar(0, source);
        Out::ar(1, source)
    })
    .expect("a valid SynthDef");
    assert_eq!(names(&synthdef), ["WhiteNoise.ar", "Out.ar", "Out.ar"]);
}

#[test]
fn inputs_are_set_by_name_and_the_others_keep_their_defaults() {
    let by_name = SynthDef::anonymous(|_| {
        let fall = Line::control().stop(0.5).done_action(DoneAction::FreeSynth);
        Out::audio().source(SinOsc::audio().phase(0.5) * fall);
    });
    let by_position = SynthDef::anonymous(|_| {
        let fall = Line::kr(0.0, 0.5, 1.0).done_action(DoneAction::FreeSynth);
        Out::ar(0, SinOsc::ar(440.0).phase(0.5) * fall);
    });
    assert_eq!(by_name.expect("a valid SynthDef"), by_position.expect("a valid SynthDef"));
    let (kind, text) = error(SynthDef::build("x", |_| Out::audio().bus(0)));
    assert_eq!(kind, SynthDefErrorKind::MissingInput);
    assert!(
        text.contains("SynthDef `x`") && text.contains("Out needs the input `source`"),
        "{text}"
    );
}

#[test]
fn a_spectrum_read_twice_is_copied() {
    let synthdef = SynthDef::build("spectra", |_| {
        let chain = FFT::kr(WhiteNoise::ar()).signal();
        let one = IFFT::ar(PV_MagAbove::kr(chain).threshold(10.0));
        let other = IFFT::ar(PV_MagBelow::kr(chain).threshold(10.0));
        Out::ar(0, (one, other));
    })
    .expect("a valid SynthDef");
    let found = names(&synthdef);
    assert_eq!(found.iter().filter(|name| *name == "PV_Copy.kr").count(), 1);
    let ugens = synthdef.ugens();
    let reserve = ugens.iter().find(|ugen| ugen.name == "MaxLocalBufs").expect("a MaxLocalBufs");
    assert_eq!(reserve.inputs, [CompiledInput::Constant(2.0)]);
}

#[test]
fn a_plugin_ugen_is_built_by_name() {
    let synthdef = SynthDef::build("plugin", |_| {
        let ladder = RawUGen::new("MoogLadder", Rate::Audio)
            .input(Saw::ar([110.0, 111.0]))
            .input(800.0)
            .input(0.2)
            .special_index(-1);
        Out::ar(0, ladder);
    })
    .expect("a valid SynthDef");
    let ugens = synthdef.ugens();
    let ladders: Vec<_> = ugens.iter().filter(|ugen| ugen.name == "MoogLadder").collect();
    assert_eq!(ladders.len(), 2, "expanded like every other UGen");
    assert_eq!(ladders[0].special_index, -1);
    let again = SynthDef::read_all(&synthdef.compile()).expect("a valid file");
    assert_eq!(again, [synthdef]);
}

#[test]
fn a_ugen_of_the_table_is_built_by_name() {
    let spec = ugens::find("Klank").expect("in the table");
    let built = SynthDef::anonymous(|_| {
        let bell = spec
            .at(Rate::Audio)
            .input("source", Impulse::ar(1.0))
            .input("specifications", [400.0, 1.0, 2.0]);
        Out::ar(0, bell);
    })
    .expect("a valid SynthDef");
    let typed = SynthDef::anonymous(|_| {
        Out::ar(0, Klank::ar(Impulse::ar(1.0), [400.0, 1.0, 2.0]));
    })
    .expect("a valid SynthDef");
    assert_eq!(built, typed);
    assert_eq!(built.name().len(), 32);
}

#[test]
fn errors_name_the_ugen_and_the_reason() {
    use SynthDefErrorKind as Kind;
    let spec = |name| ugens::find(name).expect("in the table");
    let (kind, text) = error(SynthDef::build("x", |_| spec("SinOsc").at(Rate::Demand).signal()));
    assert_eq!(kind, Kind::WrongRate);
    assert!(text.contains("SinOsc does not run at dr") && text.contains("SynthDef `x`"), "{text}");

    let (kind, text) = error(SynthDef::build("x", |_| spec("LPF").at(Rate::Audio).signal()));
    assert_eq!(kind, Kind::MissingInput);
    assert!(text.contains("LPF needs the input `source`"), "{text}");

    let (kind, text) =
        error(SynthDef::build("x", |_| spec("LPF").at(Rate::Audio).input("cutoff", 3.0).signal()));
    assert_eq!(kind, Kind::InvalidInput);
    assert!(text.contains("no input named `cutoff`; the inputs are: frequency, source"), "{text}");

    let (kind, text) = error(SynthDef::build("x", |_| Out::ar(0, SinOsc::kr(1.0))));
    assert_eq!(kind, Kind::WrongRate);
    assert!(text.contains("input 1 of Out.ar is at kr"), "{text}");

    let (kind, text) = error(SynthDef::build("x", |_| LPF::ar(LFTri::kr(1.0), 100.0).signal()));
    assert_eq!(kind, Kind::WrongRate);
    assert!(text.contains("input 0 of LPF.ar"), "{text}");

    let (kind, text) = error(SynthDef::build("x", |_| SinOsc::ar(Dseq::dr([1.0, 2.0])).signal()));
    assert_eq!(kind, Kind::WrongRate);
    assert!(text.contains("demand-rate"), "{text}");

    let mut leaked = None;
    SynthDef::build("other", |_| {
        leaked = Some(SinOsc::ar(440.0).signal());
        Out::ar(0, DC::ar(0.0));
    })
    .expect("a valid SynthDef");
    let leaked = leaked.expect("a signal");
    let (kind, text) = error(SynthDef::build("x", |_| Out::ar(0, leaked)));
    assert_eq!(kind, Kind::ForeignSignal);
    assert!(text.contains("input 1 of Out"), "{text}");
    let outside = SinOsc::ar(440.0).signal();
    assert_eq!(error(SynthDef::build("x", |_| Out::ar(0, outside))).0, Kind::ForeignSignal);

    let (kind, text) = error(SynthDef::build("x", |_| SinOsc::ar(f64::NAN).signal()));
    assert_eq!(kind, Kind::InvalidConstant);
    assert!(text.contains("input 0 of SinOsc is NaN"), "{text}");
    assert_eq!(
        error(SynthDef::build("x", |_| SinOsc::ar(1e300).signal())).0,
        Kind::InvalidConstant
    );
    let nan = error(SynthDef::build("x", |controls| controls.control("a", f64::NAN)));
    assert_eq!(nan.0, Kind::InvalidConstant);

    assert_eq!(error(SynthDef::build("", |_| Out::ar(0, DC::ar(0.0)))).0, Kind::InvalidName);
    let long = "n".repeat(256);
    assert_eq!(error(SynthDef::build(long.clone(), |_| ())).0, Kind::InvalidName);
    let named = error(SynthDef::build("x", |controls| controls.control(&long, 1.0)));
    assert_eq!(named.0, Kind::InvalidName);
    let twice = error(SynthDef::build("x", |controls| {
        controls.control("a", 1.0);
        controls.scalar("a", 1.0)
    }));
    assert!(twice.1.contains("two controls named `a`"), "{}", twice.1);
    let nameless = error(SynthDef::build("x", |_| RawUGen::new("", Rate::Audio).signal()));
    assert_eq!(nameless.0, Kind::InvalidName);

    assert_eq!(error(SynthDef::build("x", |_| ())).0, Kind::Empty);
    assert_eq!(error(SynthDef::build("x", |_| SinOsc::ar(440.0).signal())).0, Kind::Empty);
    let channels = error(SynthDef::build("x", |_| SinOsc::ar(440.0).channels(2).signal()));
    assert_eq!(channels.0, Kind::InvalidInput);
    let without_outputs =
        error(SynthDef::build("x", |_| SinOsc::ar(Out::ar(0, DC::ar(0.0))).signal()));
    assert!(without_outputs.1.contains("without channels"), "{}", without_outputs.1);
    let chain = error(SynthDef::build("x", |_| {
        let chain = PV_MagAbove::kr(LFTri::kr(1.0)).signal();
        (PV_Conj::kr(chain).signal(), PV_Conj::kr(chain).signal())
    }));
    assert!(chain.1.contains("does not begin with an FFT"), "{}", chain.1);
    let envelope = error(SynthDef::build("x", |_| {
        EnvGen::kr(Envelope::new([0.0, 1.0], [1.0, 1.0], [Curve::Linear])).signal()
    }));
    assert!(envelope.1.contains("needs 1 durations"), "{}", envelope.1);
}

#[test]
fn counts_and_nesting_are_bounded() {
    use SynthDefErrorKind as Kind;
    let many = |count: u32| {
        SynthDef::build("many", move |_| {
            for _ in 0..count {
                Out::ar(0, WhiteNoise::ar());
            }
        })
    };
    let largest = many(32_767).expect("65,534 UGens are possible");
    assert_eq!(largest.ugens().len(), 65_534);
    assert_eq!(error(many(32_768)).0, Kind::TooMany);
    let constants = SynthDef::build("constants", |_| {
        for index in 0..60_000 {
            SendTrig::kr(index).id(-index).value(f64::from(index) + 0.5);
        }
    });
    assert_eq!(error(constants).0, Kind::TooMany);
    let controls = SynthDef::build("controls", |controls| {
        controls.control("a", vec![0.0; 40_000]);
        controls.control("b", vec![0.0; 40_000])
    });
    assert_eq!(error(controls).0, Kind::TooMany);
    let deep = SynthDef::build("deep", |_| {
        let mut signal = SinOsc::ar(440.0).signal();
        for _ in 0..1000 {
            signal = [signal, signal].into_signal();
        }
        Out::ar(0, signal)
    });
    assert_eq!(error(deep).0, Kind::TooMany);
    let wide = SynthDef::build("wide", |_| {
        // Would be 64 to the power of four UGens.
        let mut signal = vec![1.0; 64].into_signal();
        for _ in 0..3 {
            signal = vec![signal; 64].into_signal();
        }
        SinOsc::ar(signal).signal()
    });
    assert_eq!(error(wide).0, Kind::TooMany);
    // Width-first UGens wait for each other: sorting takes at most the square of their number.
    let seeds = SynthDef::build("seeds", |_| {
        for index in 0..3_000 {
            RandSeed::kr().seed(index).signal();
        }
    });
    assert_eq!(seeds.expect("a valid SynthDef").ugens().len(), 3_000);
}

#[test]
fn a_panic_inside_leaves_the_thread_usable() {
    let panicked = std::panic::catch_unwind(|| {
        SynthDef::build("panics", |_| {
            let _started = SinOsc::ar(440.0);
            panic!("inside");
        })
    });
    assert!(panicked.is_err());
    let after = SynthDef::build("after", |_| Out::ar(0, DC::ar(0.0)));
    assert_eq!(names(&after.expect("a valid SynthDef")), ["DC.ar", "Out.ar"]);
}

#[test]
fn a_synthdef_can_be_built_inside_another() {
    let mut inner = None;
    let outer = SynthDef::build("outer", |_| {
        let source = SinOsc::ar(440.0).signal();
        inner = Some(SynthDef::build("inner", |_| Out::ar(0, DC::ar(0.0))));
        Out::ar(0, source);
    });
    assert_eq!(names(&outer.expect("a valid SynthDef")), ["SinOsc.ar", "Out.ar"]);
    assert_eq!(names(&inner.expect("built").expect("a valid SynthDef")), ["DC.ar", "Out.ar"]);
}

#[test]
fn rows_are_complete_and_unique() {
    let mut seen = std::collections::HashSet::new();
    for spec in ugens::all() {
        assert!(seen.insert(spec.name), "{} is in the table twice", spec.name);
        assert!(spec.parameters.len() <= 16, "{}", spec.name);
        assert!(spec.documentation.ends_with('.'), "{}: {}", spec.name, spec.documentation);
        for (index, parameter) in spec.parameters.iter().enumerate() {
            assert_eq!(spec.position(parameter.name), Some(index), "{}", spec.name);
        }
        assert_eq!(ugens::find(spec.name).map(|found| found.name), Some(spec.name));
    }
    assert!(seen.len() > 335);
}
