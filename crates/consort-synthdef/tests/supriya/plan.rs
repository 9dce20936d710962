//! A graph as data, so that this crate and Supriya can build the same one.

use consort_synthdef::prelude::*;
use consort_synthdef::{BinaryOperator, UnaryOperator, apply_binary, apply_unary, ugens};
use serde_json::{Value as Json, json};

/// An input as data.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(f64),
    /// The result with this index.
    Node(usize),
    /// A channel of the result with this index.
    Channel(usize, usize),
    List(Vec<Value>),
    Text(&'static str),
}

impl Value {
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Number(number) => json!(number),
            Self::Node(node) => json!({ "node": node }),
            Self::Channel(node, channel) => json!({ "node": node, "channel": channel }),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Text(text) => json!({ "text": text }),
        }
    }
}

/// A graph that is built here while its description for Supriya is written.
pub(crate) struct Plan {
    name: String,
    optimize: bool,
    controls: Vec<Json>,
    steps: Vec<Json>,
    /// Signals of the controls, then of the steps.
    pub(crate) results: Vec<Signal>,
}

/// The curve of an envelope's segment: a bend, or the index of a shape in [`SHAPES`].
pub(crate) enum PlanCurve {
    Bend(Value),
    Shape(usize),
}

/// The shapes by their index in descriptions.
const SHAPES: [Curve; 8] = [
    Curve::Step,
    Curve::Linear,
    Curve::Exponential,
    Curve::Sine,
    Curve::Welch,
    Curve::Squared,
    Curve::Cubed,
    Curve::Hold,
];

impl Plan {
    /// Runs the function on a plan within a SynthDef. Returns the bytes, and the description for
    /// Supriya.
    pub(crate) fn compile(
        name: &str,
        optimize: bool,
        function: impl FnOnce(&mut Plan, &Controls),
    ) -> (Result<Vec<u8>, SynthDefError>, String) {
        let mut plan = Plan {
            name: name.to_owned(),
            optimize,
            controls: Vec::new(),
            steps: Vec::new(),
            results: Vec::new(),
        };
        let synthdef = if optimize {
            SynthDef::build(name, |controls| function(&mut plan, controls))
        } else {
            SynthDef::build_unoptimized(name, |controls| function(&mut plan, controls))
        };
        let description = json!({
            "name": plan.name,
            "optimize": plan.optimize,
            "controls": plan.controls,
            "steps": plan.steps,
        });
        (synthdef.map(|synthdef| synthdef.compile()), description.to_string())
    }

    fn resolve(&self, value: &Value) -> Signal {
        match value {
            Value::Number(number) => (*number).into_signal(),
            Value::Node(node) => self.results[*node],
            Value::Channel(node, channel) => self.results[*node].channel(*channel),
            Value::List(items) => {
                items.iter().map(|item| self.resolve(item)).collect::<Vec<_>>().into_signal()
            }
            Value::Text(text) => text.into_signal(),
        }
    }

    fn push(&mut self, step: Json, signal: Signal) -> usize {
        self.steps.push(step);
        self.results.push(signal);
        self.results.len() - 1
    }

    pub(crate) fn control(
        &mut self,
        controls: &Controls,
        name: &str,
        rate: &str,
        values: &[f64],
        lag: f64,
    ) -> usize {
        self.controls.push(json!({ "name": name, "rate": rate, "values": values, "lag": lag }));
        let signal = match rate {
            "ir" => controls.scalar(name, values),
            "tr" => controls.trigger(name, values),
            "ar" => controls.audio(name, values),
            _ if lag != 0.0 => controls.lagged(name, values, lag),
            _ => controls.control(name, values),
        };
        self.results.push(signal);
        self.results.len() - 1
    }

    /// A UGen of the table; inputs by position in its row.
    pub(crate) fn ugen(
        &mut self,
        name: &str,
        rate: Rate,
        channels: Option<u16>,
        inputs: &[(usize, Value)],
    ) -> usize {
        let spec = ugens::find(name).expect("a UGen of the table");
        let mut builder = spec.at(rate);
        for (position, value) in inputs {
            builder = builder.input(spec.parameters[*position].name, self.resolve(value));
        }
        if let Some(channels) = channels {
            builder = builder.channels(channels);
        }
        let inputs: Vec<Json> =
            inputs.iter().map(|(position, value)| json!([position, value.json()])).collect();
        let step = json!({
            "step": "ugen",
            "name": name,
            "rate": rate.token(),
            "channels": channels,
            "inputs": inputs,
        });
        self.push(step, builder.signal())
    }

    pub(crate) fn unary(&mut self, operator: UnaryOperator, source: &Value) -> usize {
        let signal = apply_unary(operator, self.resolve(source));
        let step = json!({ "step": "unary", "operator": operator as u16, "source": source.json() });
        self.push(step, signal)
    }

    pub(crate) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &Value,
        right: &Value,
    ) -> usize {
        let signal = apply_binary(operator, self.resolve(left), self.resolve(right));
        let step = json!({
            "step": "binary",
            "operator": operator as u16,
            "left": left.json(),
            "right": right.json(),
        });
        self.push(step, signal)
    }

    pub(crate) fn envelope(
        &mut self,
        rate: Rate,
        levels: &[Value],
        durations: &[Value],
        curves: &[PlanCurve],
        nodes: (Option<u16>, Option<u16>),
        inputs: &[(&str, Value)],
    ) -> usize {
        let signals = |values: &[Value]| -> Vec<Signal> {
            values.iter().map(|value| self.resolve(value)).collect()
        };
        let shapes: Vec<Curve> = curves
            .iter()
            .map(|curve| match curve {
                PlanCurve::Bend(value) => Curve::Bend(self.resolve(value)),
                PlanCurve::Shape(shape) => SHAPES[*shape],
            })
            .collect();
        let mut envelope = Envelope::new(signals(levels), signals(durations), shapes);
        if let Some(node) = nodes.0 {
            envelope = envelope.release_node(node);
        }
        if let Some(node) = nodes.1 {
            envelope = envelope.loop_node(node);
        }
        let mut builder = EnvGen::SPEC.at(rate).input("envelope", envelope);
        for (name, value) in inputs {
            builder = builder.input(name, self.resolve(value));
        }
        let curves: Vec<Json> = curves
            .iter()
            .map(|curve| match curve {
                PlanCurve::Bend(value) => json!({ "bend": value.json() }),
                PlanCurve::Shape(shape) => json!({ "shape": shape }),
            })
            .collect();
        let list = |values: &[Value]| -> Json { values.iter().map(Value::json).collect() };
        let inputs: serde_json::Map<String, Json> =
            inputs.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect();
        let step = json!({
            "step": "envelope",
            "rate": rate.token(),
            "levels": list(levels),
            "durations": list(durations),
            "curves": curves,
            "release": nodes.0,
            "loop": nodes.1,
            "inputs": inputs,
        });
        self.push(step, builder.signal())
    }

    /// A composite of several UGens, by name.
    pub(crate) fn composite(&mut self, kind: &str, rate: Rate, inputs: &[Value]) -> usize {
        let signals: Vec<Signal> = inputs.iter().map(|value| self.resolve(value)).collect();
        let signal = match (kind, &signals[..]) {
            ("muladd", &[source, multiplier, addend]) => MulAdd::new(source, multiplier, addend),
            ("sum3", &[first, second, third]) => Sum3::new(first, second, third),
            ("sum4", &[first, second, third, fourth]) => Sum4::new(first, second, third, fourth),
            ("mix", all) => Mix::new(all),
            ("splay", all) if rate == Rate::Audio => Splay::ar(all).signal(),
            ("splay", all) => Splay::kr(all).signal(),
            ("linlin", &[source, input_low, input_high, output_low, output_high]) => {
                LinLin::new(source, (input_low, input_high), (output_low, output_high))
            }
            ("changed", &[source, threshold]) if rate == Rate::Audio => {
                Changed::ar(source, threshold)
            }
            ("changed", &[source, threshold]) => Changed::kr(source, threshold),
            ("compander", &[source, clamp]) => CompanderD::ar(source, 0.5, 1.0, 1.0, clamp, 0.1),
            ("hilbert", &[source, buffer]) => HilbertFir::ar(source, buffer),
            _ => unreachable!("no such step: {kind}"),
        };
        let inputs: Json = inputs.iter().map(Value::json).collect();
        self.push(json!({ "step": kind, "rate": rate.token(), "inputs": inputs }), signal)
    }
}
