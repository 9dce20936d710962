//! Compiled graphs equal those of Supriya from PyPI byte for byte.
//!
//! `CONSORT_VENV` names the virtual environment with Supriya.

#![allow(clippy::print_stdout)]

mod plan;
mod random;

use std::path::PathBuf;
use std::process::Command;

use consort_synthdef::prelude::*;
use consort_synthdef::ugens::{self, Outputs, ParameterDefault};
use consort_synthdef::{BinaryOperator, UnaryOperator, system};

use plan::{Plan, Value};
use random::{Features, Generator};

/// The Python interpreter that has Supriya. Without it the test is skipped, or fails in CI.
fn peer() -> Option<PathBuf> {
    let python =
        std::env::var_os("CONSORT_VENV").map(|venv| PathBuf::from(venv).join("bin/python"));
    if let Some(python) = python.filter(|python| python.exists()) {
        let found = Command::new(&python).args(["-c", "import supriya"]).output();
        if found.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    let reason = "CONSORT_VENV names no virtual environment with supriya";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
    None
}

/// Compiles the descriptions with Supriya.
fn compile_with_peer(
    python: &PathBuf,
    script: &str,
    descriptions: &[String],
) -> Vec<Result<Vec<u8>, String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("graphs.jsonl"), folder.path().join("results"));
    std::fs::write(&input, descriptions.join("\n")).expect("the descriptions are written");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let output_of_peer = Command::new(python).arg(script).arg(&input).arg(&output).output();
    let output_of_peer = output_of_peer.expect("the peer starts");
    let errors = String::from_utf8_lossy(&output_of_peer.stderr);
    assert!(output_of_peer.status.success(), "{errors}");
    let bytes = std::fs::read(output).expect("the peer writes its results");
    let mut rest = &bytes[..];
    let mut results = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let head = u32::from_be_bytes(*head);
        let (result, tail) = tail.split_at((head & 0x7fff_ffff) as usize);
        results.push(if head >> 31 == 0 {
            Ok(result.to_vec())
        } else {
            Err(String::from_utf8_lossy(result).into_owned())
        });
        rest = tail;
    }
    assert_eq!(results.len(), descriptions.len());
    results
}

/// A graph that is compiled here and by Supriya.
struct Case {
    label: String,
    compiled: Result<Vec<u8>, SynthDefError>,
    description: String,
}

/// Compares all cases. Returns how many are identical, and panics with the first that are not.
fn compare(python: &PathBuf, cases: &[Case]) -> usize {
    let descriptions: Vec<String> = cases.iter().map(|case| case.description.clone()).collect();
    let reference = compile_with_peer(python, "supriya_graphs.py", &descriptions);
    let mut identical = 0;
    let mut different = Vec::new();
    for (case, reference) in cases.iter().zip(reference) {
        match (&case.compiled, reference) {
            (Ok(compiled), Ok(reference)) if *compiled == reference => identical += 1,
            (compiled, reference) => {
                let show = |bytes: &[u8]| match SynthDef::read_all(bytes) {
                    Ok(read) => read.iter().map(ToString::to_string).collect::<String>(),
                    Err(error) => error.to_string(),
                };
                let compiled =
                    compiled.as_ref().map_or_else(ToString::to_string, |bytes| show(bytes));
                let reference = reference.map_or_else(|error| error, |bytes| show(&bytes));
                let same =
                    compiled.lines().zip(reference.lines()).take_while(|(a, b)| a == b).count();
                let tail = |text: &str| -> String {
                    text.lines().skip(same).take(3).map(|line| format!("  {line}\n")).collect()
                };
                different.push(format!(
                    "{}\n{}\ncompiled line {same}:\n{}Supriya's line {same}:\n{}",
                    case.label,
                    case.description,
                    tail(&compiled),
                    tail(&reference)
                ));
            }
        }
    }
    println!("identical with Supriya: {identical}/{}", cases.len());
    assert!(
        different.is_empty(),
        "{} differ, the first of them:\n{}",
        different.len(),
        different.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n")
    );
    identical
}

/// UGens of the table that Supriya does not list.
pub(crate) const UNKNOWN_TO_PEER: &[&str] = &[
    "DetectIndex",
    "FoldIndex",
    "Formant",
    "FreeVerb2",
    "GVerb",
    "GrainFM",
    "GrainSin",
    "IEnvGen",
    "IndexInBetween",
    "IndexL",
    "InTrig",
    "Klang",
    "LagIn",
    "LinPan2",
    "LinXFade2",
    "Osc",
    "OscN",
    "PartConv",
    "PulseCount",
    "PulseDivider",
    "Resonz",
    "SetResetFF",
    "Shaper",
    "SinOscFB",
    "Stepper",
    "T2A",
    "T2K",
    "TDuty",
    "TGrains",
    "Timer",
];

/// A value for every input that has no default.
fn required_inputs(plan: &mut Plan, spec: &ugens::UGenSpec, rate: Rate) -> Vec<(usize, Value)> {
    let source_rate = if rate == Rate::Audio { Rate::Audio } else { Rate::Control };
    let mut inputs = Vec::new();
    for (position, parameter) in spec.parameters.iter().enumerate() {
        if parameter.default != ParameterDefault::Required {
            continue;
        }
        let value = if spec.name == "Dwrand" || (parameter.list && rate == Rate::Demand) {
            Value::List(vec![Value::Number(0.25), Value::Number(3.0)])
        } else if parameter.name.starts_with("pv_chain") {
            let noise = plan.ugen("PinkNoise", Rate::Audio, None, &[]);
            Value::Node(plan.ugen("FFT", Rate::Control, None, &[(1, Value::Node(noise))]))
        } else if parameter.name.ends_with("buffer_id") {
            Value::Number(7.0)
        } else {
            let node = plan.ugen("DC", source_rate, None, &[(0, Value::Number(1.0))]);
            if parameter.list { Value::List(vec![Value::Node(node)]) } else { Value::Node(node) }
        };
        inputs.push((position, value));
    }
    inputs
}

#[test]
fn every_ugen_at_every_rate_with_its_defaults() {
    let Some(python) = peer() else { return };
    let mut cases = Vec::new();
    let known = |spec: &&ugens::UGenSpec| {
        !spec.name.ends_with("Control") && !UNKNOWN_TO_PEER.contains(&spec.name)
    };
    for spec in ugens::all().filter(known) {
        // Both compilers drop a MaxLocalBufs that they did not add themselves.
        for &rate in spec.rates.iter().filter(|_| spec.name != "MaxLocalBufs") {
            let mut counts = vec![None];
            if let Outputs::Variable(_) = spec.outputs {
                counts.extend([Some(2), Some(5)]);
            }
            for channels in counts {
                let label = format!("{}.{rate} {channels:?}", spec.name);
                let (compiled, description) = Plan::compile(spec.name, false, |plan, _| {
                    let inputs = required_inputs(plan, spec, rate);
                    plan.ugen(spec.name, rate, channels, &inputs);
                });
                cases.push(Case { label, compiled, description });
            }
        }
    }
    let ugens = cases.len();
    for rate in [Rate::Audio, Rate::Control, Rate::Scalar, Rate::Demand] {
        let name = match rate {
            Rate::Audio | Rate::Control => "LFTri",
            Rate::Scalar => "Rand",
            Rate::Demand => "Dwhite",
        };
        for number in 0..54 {
            let Some(operator) = UnaryOperator::from_number(number) else { continue };
            let (compiled, description) = Plan::compile("unary", false, |plan, _| {
                let source = plan.ugen(name, rate, None, &[]);
                plan.unary(operator, &Value::Node(source));
            });
            cases.push(Case { label: format!("{operator:?} {rate}"), compiled, description });
        }
        for number in 0..49 {
            let Some(operator) = BinaryOperator::from_number(number) else { continue };
            let (compiled, description) = Plan::compile("binary", false, |plan, _| {
                let left = plan.ugen(name, rate, None, &[]);
                let right = plan.ugen("SampleRate", Rate::Scalar, None, &[]);
                plan.binary(operator, &Value::Node(left), &Value::Node(right));
                plan.binary(operator, &Value::Node(right), &Value::Node(left));
            });
            cases.push(Case { label: format!("{operator:?} {rate}"), compiled, description });
        }
    }
    let operators = cases.len() - ugens;
    let identical = compare(&python, &cases);
    println!("{identical} identical: {ugens} of UGens at their rates, {operators} of operators");
}

#[test]
fn a_thousand_random_graphs() {
    let Some(python) = peer() else { return };
    let number =
        |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first_seed = number("CONSORT_SEED").unwrap_or(1);
    let count = number("CONSORT_GRAPHS").unwrap_or(1000).max(1);
    let mut cases = Vec::new();
    let mut all = Vec::new();
    for seed in first_seed..first_seed + count {
        let mut features = Features::default();
        let (compiled, description) = Plan::compile("random", true, |plan, controls| {
            features = Generator::run(seed, plan, controls);
        });
        all.push(features);
        cases.push(Case { label: format!("seed {seed}"), compiled, description });
    }
    let share = |what: fn(&Features) -> bool| all.iter().filter(|features| what(features)).count();
    let shares = [
        ("spectra", share(|features| features.chains)),
        ("local buffers", share(|features| features.local_buffers)),
        ("demand UGens", share(|features| features.demand)),
        ("lagged array controls", share(|features| features.lagged_arrays)),
    ];
    println!("seeds {first_seed} to {}: {shares:?}", first_seed + count - 1);
    for (what, share) in shares {
        assert!(share * 10 >= all.len(), "{what} in {share} of {} graphs only", all.len());
    }
    compare(&python, &cases);
}

#[test]
fn system_synthdefs_equal_those_of_supriya() {
    let Some(python) = peer() else { return };
    let mut compiled = vec![("supriya:default".to_owned(), system::default())];
    for count in 1..=system::MAXIMUM_CHANNELS {
        let link = system::audio_link(count).expect("a link");
        compiled.push((format!("supriya:link-ar:{count}"), link));
        let link = system::control_link(count).expect("a link");
        compiled.push((format!("supriya:link-kr:{count}"), link));
        for rate in [Rate::Audio, Rate::Control] {
            let scope = system::amplitude_scope(rate, count).expect("a scope");
            compiled.push((format!("supriya:amp-scope-{rate}:{count}"), scope));
        }
    }
    for (axis, name) in
        [(system::FrequencyAxis::Linear, "lin"), (system::FrequencyAxis::Logarithmic, "log")]
    {
        compiled
            .push((format!("supriya:freq-scope-{name}:1"), system::frequency_scope(axis, false)));
        compiled.push((
            format!("supriya:freq-scope-{name}-shm:1"),
            system::frequency_scope(axis, true),
        ));
    }
    let names: Vec<String> = compiled.iter().map(|(name, _)| name.clone()).collect();
    let reference = compile_with_peer(&python, "supriya_system.py", &names);
    let mut identical = 0;
    for ((name, compiled), reference) in compiled.iter().zip(reference) {
        let reference = match reference {
            Ok(bytes) => SynthDef::read_all(&bytes).expect("a valid file").remove(0),
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(
            compiled.anonymous_name(),
            reference.anonymous_name(),
            "{name}\n{compiled}\n{reference}"
        );
        identical += 1;
    }
    println!("system SynthDefs identical with Supriya's: {identical}/{}", compiled.len());
}

/// Supriya has no UGen that the table lacks.
#[test]
fn the_table_is_complete() {
    let Some(python) = peer() else { return };
    let script = "import inspect, supriya.ugens as u\n\
        print('\\n'.join(n for n in dir(u) if inspect.isclass(getattr(u, n)) and \
        issubclass(getattr(u, n), u.UGen)))";
    let output = Command::new(python).args(["-c", script]).output().expect("the peer starts");
    let names = String::from_utf8(output.stdout).expect("names are text");
    // Abstract classes of Supriya, and its placeholder for a control before compilation.
    let abstract_classes = ["UGen", "PV_ChainUGen", "Parameter"];
    let missing: Vec<&str> = names
        .lines()
        .filter(|name| !abstract_classes.contains(name) && ugens::find(name).is_none())
        .collect();
    println!(
        "Supriya lists {} UGens, {} of them abstract; the table has {}; missing: {missing:?}",
        names.lines().count(),
        abstract_classes.len(),
        ugens::all().count()
    );
    let unknown: Vec<&str> = ugens::all()
        .map(|spec| spec.name)
        .filter(|name| !names.lines().any(|listed| listed == *name))
        .collect();
    println!("not listed by Supriya: {unknown:?}");
    assert_eq!(unknown, UNKNOWN_TO_PEER);
    assert!(names.lines().count() > 300, "Supriya lists too few UGens: {names}");
    assert!(missing.is_empty(), "missing in the table: {missing:?}");
}
