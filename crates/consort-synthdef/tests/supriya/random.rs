//! Random graphs.

use consort_synthdef::prelude::*;
use consort_synthdef::ugens::{self, Outputs, ParameterDefault, UGenFlags, UGenSpec};
use consort_synthdef::{BinaryOperator, UnaryOperator};

use super::plan::{Plan, PlanCurve, Value};

/// SplitMix64: a small generator whose numbers are the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn number(&mut self) -> f64 {
        match self.below(8) {
            0 => 0.0,
            1 => 1.0,
            2 => -1.0,
            3 => self.below(1000) as f64,
            4 => 0.5,
            5 => -(self.below(100_000) as f64) / 1000.0,
            _ => self.below(1_000_000) as f64 / 997.0,
        }
    }
}

/// What a random graph contains.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {
    pub(crate) chains: bool,
    pub(crate) local_buffers: bool,
    pub(crate) demand: bool,
    pub(crate) lagged_arrays: bool,
}

/// Builds one random graph.
pub(crate) struct Generator<'a> {
    random: Random,
    plan: &'a mut Plan,
    /// Results that can be inputs of anything, with their channel counts.
    signals: Vec<(usize, Rate, usize)>,
    chains: Vec<usize>,
    demands: Vec<usize>,
    buffers: Vec<usize>,
    pub(crate) features: Features,
}

/// UGens that Supriya builds in a different way, or that belong to other steps.
const LEFT_OUT: &[&str] = &[
    "MaxLocalBufs",
    "LocalBuf",
    "LocalIn",
    "MFCC",
    "Poll",
    "SendReply",
    "SendPeakRMS",
    "Dwrand",
    "Klank",
    "EnvGen",
    "FFT",
    "IFFT",
    "Demand",
    "Duty",
    "DemandEnvGen",
    "CheckBadValues",
    "TIRand",
    "Line",
    "LFGauss",
    "PV_Copy",
];

impl<'a> Generator<'a> {
    /// Builds a random graph, which depends on the seed alone.
    pub(crate) fn run(seed: u64, plan: &'a mut Plan, controls: &Controls) -> Features {
        let mut generator = Generator {
            random: Random::new(seed),
            plan,
            signals: Vec::new(),
            chains: Vec::new(),
            demands: Vec::new(),
            buffers: Vec::new(),
            features: Features::default(),
        };
        generator.controls(controls);
        let source = generator.plan.ugen("WhiteNoise", Rate::Audio, None, &[]);
        generator.add(source);
        for _ in 0..3 + generator.random.below(25) {
            generator.step();
        }
        generator.finish();
        generator.features
    }

    fn add(&mut self, node: usize) {
        let signal = self.plan.results[node];
        let plain = signal.channels().all(|channel| channel.channel_count() == 1);
        if plain && signal.channel_count() > 0 && signal.rate() != Rate::Demand {
            // Lists of mixed rates are left out: Supriya gives all channels of a unary operator
            // the same rate.
            let uniform = signal.channels().all(|channel| channel.rate() == signal.rate());
            if uniform {
                self.signals.push((node, signal.rate(), signal.channel_count()));
            }
        }
    }

    fn controls(&mut self, controls: &Controls) {
        let mut lagged = false;
        for index in 0..self.random.below(7) {
            let rate = *self.random.pick(&["ir", "tr", "ar", "kr", "kr", "kr"]);
            let count = if self.random.chance(40) { 1 + self.random.below(4) } else { 1 };
            let values: Vec<f64> = (0..count).map(|_| self.random.number()).collect();
            let lag = if rate == "kr" && self.random.chance(40) {
                self.random.below(50) as f64 / 100.0
            } else {
                0.0
            };
            lagged |= lag != 0.0 && count > 1;
            // Names whose alphabetical order is not the order of building.
            let name =
                format!("{}_{index}", self.random.pick(&["gate", "amp", "freq", "Out", "x"]));
            let node = self.plan.control(controls, &name, rate, &values, lag);
            self.add(node);
        }
        self.features.lagged_arrays = lagged;
    }

    /// One channel of something, or a number.
    fn scalar(&mut self, highest: Rate) -> Value {
        if self.random.chance(35) {
            return Value::Number(self.random.number());
        }
        let fitting: Vec<_> =
            self.signals.iter().copied().filter(|(_, rate, _)| *rate <= highest).collect();
        if fitting.is_empty() {
            return Value::Number(self.random.number());
        }
        let (node, _, channels) = *self.random.pick(&fitting);
        if channels > 1 {
            Value::Channel(node, self.random.below(channels))
        } else {
            Value::Node(node)
        }
    }

    /// One audio channel.
    fn audio(&mut self) -> Value {
        let fitting: Vec<_> =
            self.signals.iter().copied().filter(|(_, rate, _)| *rate == Rate::Audio).collect();
        let (node, _, channels) = *self.random.pick(&fitting);
        if channels > 1 {
            Value::Channel(node, self.random.below(channels))
        } else {
            Value::Node(node)
        }
    }

    /// Any input, sometimes with several channels.
    fn any(&mut self) -> Value {
        match self.random.below(12) {
            0 if !self.signals.is_empty() => {
                let signals = self.signals.clone();
                Value::Node(self.random.pick(&signals).0)
            }
            1 => Value::List(
                (0..2 + self.random.below(2)).map(|_| self.scalar(Rate::Audio)).collect(),
            ),
            _ => self.scalar(Rate::Audio),
        }
    }

    fn list(&mut self) -> Value {
        let count = 1 + self.random.below(4);
        if self.random.chance(10) {
            return Value::List(
                (0..2)
                    .map(|_| Value::List(vec![self.scalar(Rate::Audio), self.scalar(Rate::Audio)]))
                    .collect(),
            );
        }
        Value::List((0..count).map(|_| self.scalar(Rate::Audio)).collect())
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..8 => self.ugen(),
            8..11 => self.operator(),
            11 => self.sums(),
            12 => self.envelope(),
            13 | 14 => self.chain(),
            15 => self.local_buffer(),
            16 | 17 => self.demand(),
            18 => self.special(),
            _ => self.composite(),
        }
    }

    fn ugen(&mut self) {
        let specs: Vec<&UGenSpec> = ugens::all()
            .filter(|spec| {
                !spec.rates.is_empty()
                    && !spec.rates.contains(&Rate::Demand)
                    && !spec.flags.intersects(UGenFlags::PV_CHAIN | UGenFlags::OUTPUT)
                    && !LEFT_OUT.contains(&spec.name)
                    && !super::UNKNOWN_TO_PEER.contains(&spec.name)
                    && spec.position("pv_chain").is_none()
                    && !spec.name.ends_with("Control")
            })
            .collect();
        let spec = *self.random.pick(&specs);
        let rate = *self.random.pick(spec.rates);
        let mut inputs = Vec::new();
        for (position, parameter) in spec.parameters.iter().enumerate() {
            let required = parameter.default == ParameterDefault::Required;
            if !required && self.random.chance(50) {
                continue;
            }
            let value = if parameter.list {
                self.list()
            } else if position == 0
                && spec.flags.contains(UGenFlags::SAME_RATE)
                && rate == Rate::Audio
            {
                self.audio()
            } else {
                self.any()
            };
            inputs.push((position, value));
        }
        let channels = match spec.outputs {
            Outputs::Variable(_) if self.random.chance(60) => Some(1 + self.random.below(3) as u16),
            _ => None,
        };
        let node = self.plan.ugen(spec.name, rate, channels, &inputs);
        self.add(node);
    }

    fn operator(&mut self) {
        if self.random.chance(30) {
            // One channel: Supriya gives all channels of a list the highest rate among them.
            let source = loop {
                let value = self.scalar(Rate::Audio);
                if !matches!(value, Value::Number(_)) {
                    break value;
                }
                if self.signals.is_empty() {
                    return;
                }
            };
            let operator = loop {
                let number = self.random.below(54) as u16;
                if let Some(operator) = UnaryOperator::from_number(number) {
                    break operator;
                }
            };
            let node = self.plan.unary(operator, &source);
            self.add(node);
            return;
        }
        let number = if self.random.chance(60) {
            *self.random.pick(&[0, 1, 2, 4])
        } else {
            self.random.below(49) as u16
        };
        let operator = BinaryOperator::from_number(number).expect("49 operators");
        let signals = self.signals.clone();
        let left = Value::Node(self.random.pick(&signals).0);
        let right = self.any();
        let has_numbers = matches!(&right, Value::List(items)
            if items.iter().any(|item| matches!(item, Value::Number(_))));
        if has_numbers {
            return;
        }
        let node = if self.random.chance(50) {
            self.plan.binary(operator, &left, &right)
        } else {
            self.plan.binary(operator, &right, &left)
        };
        self.add(node);
    }

    fn sums(&mut self) {
        let kind = *self.random.pick(&["muladd", "sum3", "sum4"]);
        let count = if kind == "sum4" { 4 } else { 3 };
        let mut inputs: Vec<Value> = (1..count).map(|_| self.scalar(Rate::Audio)).collect();
        inputs.insert(0, self.audio());
        let node = self.plan.composite(kind, Rate::Audio, &inputs);
        self.add(node);
    }

    fn envelope(&mut self) {
        let segments = 1 + self.random.below(4);
        let levels: Vec<Value> = (0..=segments).map(|_| self.scalar(Rate::Control)).collect();
        let durations: Vec<Value> = (0..segments).map(|_| self.scalar(Rate::Control)).collect();
        let curves: Vec<PlanCurve> = (0..1 + self.random.below(segments))
            .map(|_| {
                if self.random.chance(50) {
                    PlanCurve::Bend(Value::Number(self.random.number()))
                } else {
                    PlanCurve::Shape(self.random.below(8))
                }
            })
            .collect();
        let node = |random: &mut Random| random.chance(40).then(|| random.below(segments) as u16);
        let nodes = (node(&mut self.random), node(&mut self.random));
        let rate = *self.random.pick(&[Rate::Audio, Rate::Control]);
        let mut inputs = Vec::new();
        if self.random.chance(50) {
            inputs.push(("gate", self.any()));
        }
        if self.random.chance(50) {
            inputs.push(("done_action", Value::Number(2.0)));
        }
        let node = self.plan.envelope(rate, &levels, &durations, &curves, nodes, &inputs);
        self.add(node);
    }

    fn chain(&mut self) {
        self.features.chains = true;
        if self.chains.is_empty() || self.random.chance(25) {
            let mut inputs = vec![(1, self.audio())];
            if self.random.chance(40) {
                inputs.push((5, Value::Number(*self.random.pick(&[0.0, 512.0, 1024.0]))));
            }
            if self.random.chance(40) && !self.buffers.is_empty() {
                let buffers = self.buffers.clone();
                inputs.push((0, Value::Node(*self.random.pick(&buffers))));
            }
            let node = self.plan.ugen("FFT", Rate::Control, None, &inputs);
            self.chains.push(node);
        }
        for _ in 0..1 + self.random.below(4) {
            let specs: Vec<&UGenSpec> = ugens::all()
                .filter(|spec| {
                    spec.flags.contains(UGenFlags::PV_CHAIN) && !LEFT_OUT.contains(&spec.name)
                })
                .collect();
            let spec = *self.random.pick(&specs);
            let mut inputs = Vec::new();
            for (position, parameter) in spec.parameters.iter().enumerate() {
                if parameter.name.starts_with("pv_chain") {
                    let chains = self.chains.clone();
                    inputs.push((position, Value::Node(*self.random.pick(&chains))));
                } else if parameter.default == ParameterDefault::Required || self.random.chance(40)
                {
                    inputs.push((position, self.scalar(Rate::Audio)));
                }
            }
            let node = self.plan.ugen(spec.name, *self.random.pick(spec.rates), None, &inputs);
            self.chains.push(node);
        }
        if self.random.chance(70) {
            let chains = self.chains.clone();
            let chain = Value::Node(*self.random.pick(&chains));
            let node = self.plan.ugen("IFFT", Rate::Audio, None, &[(0, chain)]);
            self.add(node);
        }
    }

    fn local_buffer(&mut self) {
        self.features.local_buffers = true;
        let frames = Value::Number((1 + self.random.below(4096)) as f64);
        let channels = Value::Number((1 + self.random.below(2)) as f64);
        let buffer = self.plan.ugen("LocalBuf", Rate::Scalar, None, &[(0, channels), (1, frames)]);
        self.buffers.push(buffer);
        if self.random.chance(40) {
            self.plan.ugen("ClearBuf", Rate::Scalar, None, &[(0, Value::Node(buffer))]);
        }
        if self.random.chance(60) {
            let inputs =
                [(0, Value::Node(buffer)), (1, self.scalar(Rate::Audio)), (3, self.list())];
            self.plan.ugen("BufWr", Rate::Audio, None, &inputs);
        }
        let inputs = [(0, Value::Node(buffer)), (1, self.scalar(Rate::Audio))];
        let node = self.plan.ugen("BufRd", Rate::Audio, Some(1), &inputs);
        self.add(node);
    }

    fn demand(&mut self) {
        self.features.demand = true;
        for _ in 0..1 + self.random.below(3) {
            let specs: Vec<&UGenSpec> = ugens::all()
                .filter(|spec| spec.rates == [Rate::Demand] && !LEFT_OUT.contains(&spec.name))
                .collect();
            let spec = *self.random.pick(&specs);
            let mut inputs = Vec::new();
            for (position, parameter) in spec.parameters.iter().enumerate() {
                let required = parameter.default == ParameterDefault::Required;
                if !required && self.random.chance(50) {
                    continue;
                }
                let mut value = || {
                    if !self.demands.is_empty() && self.random.chance(40) {
                        let demands = self.demands.clone();
                        Value::Node(*self.random.pick(&demands))
                    } else {
                        self.scalar(Rate::Control)
                    }
                };
                let value = if parameter.list {
                    Value::List((0..3).map(|_| value()).collect())
                } else {
                    value()
                };
                inputs.push((position, value));
            }
            let node = self.plan.ugen(spec.name, Rate::Demand, None, &inputs);
            self.demands.push(node);
        }
        let demands = self.demands.clone();
        let source = |random: &mut Random| Value::Node(*random.pick(&demands));
        let rate = *self.random.pick(&[Rate::Audio, Rate::Control]);
        let node = match self.random.below(3) {
            0 => {
                let sources =
                    (0..1 + self.random.below(3)).map(|_| source(&mut self.random)).collect();
                let inputs = [(0, self.scalar(rate)), (2, Value::List(sources))];
                self.plan.ugen("Demand", rate, None, &inputs)
            }
            1 => {
                let inputs = [(0, source(&mut self.random)), (3, source(&mut self.random))];
                self.plan.ugen("Duty", rate, None, &inputs)
            }
            _ => {
                let inputs = [(0, source(&mut self.random)), (1, source(&mut self.random))];
                self.plan.ugen("DemandEnvGen", rate, None, &inputs)
            }
        };
        self.add(node);
    }

    /// UGens that restrict their inputs.
    fn special(&mut self) {
        let rate = *self.random.pick(&[Rate::Audio, Rate::Control]);
        let number = |random: &mut Random, bound: usize| Value::Number(random.below(bound) as f64);
        let node = match self.random.below(10) {
            0 => {
                let values = (0..3).map(|_| Value::Number(self.random.number())).collect();
                self.plan.ugen(
                    "LocalIn",
                    rate,
                    Some(1 + self.random.below(5) as u16),
                    &[(0, Value::List(values))],
                )
            }
            1 => {
                let inputs = [(0, self.any()), (2, number(&mut self.random, 3))];
                self.plan.ugen("CheckBadValues", rate, None, &inputs)
            }
            2 => {
                let inputs = [
                    (0, Value::Number(self.random.number())),
                    (1, Value::Number(self.random.number())),
                    (2, self.any()),
                ];
                self.plan.ugen("TIRand", rate, None, &inputs)
            }
            3 => {
                let inputs = [(0, self.any()), (3, number(&mut self.random, 15))];
                self.plan.ugen("Line", rate, None, &inputs)
            }
            4 => {
                let inputs = [(0, self.any()), (4, number(&mut self.random, 15))];
                self.plan.ugen("LFGauss", rate, None, &inputs)
            }
            5 => {
                let sources = (0..3).map(|_| self.scalar(Rate::Control)).collect();
                let inputs = [
                    (0, self.scalar(Rate::Control)),
                    (2, Value::Text("/from/synth")),
                    (3, Value::List(sources)),
                ];
                self.plan.ugen("SendReply", Rate::Control, None, &inputs)
            }
            6 => {
                let sources = (0..2).map(|_| self.audio()).collect();
                self.plan.ugen("SendPeakRMS", Rate::Audio, None, &[(3, Value::List(sources))])
            }
            7 => {
                let numbers = |random: &mut Random, count: usize| {
                    Value::List((0..count).map(|_| Value::Number(random.number())).collect())
                };
                let inputs = [(1, numbers(&mut self.random, 2)), (2, numbers(&mut self.random, 3))];
                let node = self.plan.ugen("Dwrand", Rate::Demand, None, &inputs);
                self.demands.push(node);
                self.features.demand = true;
                self.plan.ugen("Duty", rate, None, &[(3, Value::Node(node))])
            }
            8 => {
                let resonators = (0..6).map(|_| self.scalar(Rate::Scalar)).collect();
                let inputs = [(0, self.audio()), (4, Value::List(resonators))];
                self.plan.ugen("Klank", Rate::Audio, None, &inputs)
            }
            _ => {
                let source = self.plan.ugen("LFCub", rate, None, &[]);
                let inputs = [(0, self.scalar(rate)), (1, Value::Node(source))];
                self.plan.ugen("Poll", rate, None, &inputs)
            }
        };
        self.add(node);
    }

    fn composite(&mut self) {
        let node = match self.random.below(6) {
            0 => {
                let inputs: Vec<Value> =
                    (0..2 + self.random.below(12)).map(|_| self.audio()).collect();
                self.plan.composite("mix", Rate::Audio, &inputs)
            }
            1 => {
                let inputs: Vec<Value> =
                    (0..2 + self.random.below(5)).map(|_| self.audio()).collect();
                self.plan.composite("splay", Rate::Audio, &inputs)
            }
            2 => {
                let numbers = [0.0, 4.0, -1.0, 0.25].map(Value::Number);
                let inputs: Vec<Value> = [self.audio()].into_iter().chain(numbers).collect();
                self.plan.composite("linlin", Rate::Audio, &inputs)
            }
            3 => {
                let inputs = [self.audio(), Value::Number(0.0)];
                self.plan.composite("changed", Rate::Audio, &inputs)
            }
            4 => {
                let inputs = [self.audio(), Value::Number(0.01)];
                self.plan.composite("compander", Rate::Audio, &inputs)
            }
            _ => {
                self.features.chains = true;
                let inputs = [self.audio(), Value::Number(7.0)];
                self.plan.composite("hilbert", Rate::Audio, &inputs)
            }
        };
        self.add(node);
    }

    fn finish(&mut self) {
        let outputs = (0..1 + self.random.below(3)).map(|_| self.audio()).collect();
        let bus = self.scalar(Rate::Control);
        self.plan.ugen("Out", Rate::Audio, None, &[(0, bus), (1, Value::List(outputs))]);
        if self.random.chance(30) {
            let list = vec![self.audio(), self.audio()];
            self.plan.ugen("LocalOut", Rate::Audio, None, &[(0, Value::List(list))]);
        }
    }
}
