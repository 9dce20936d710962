//! The SynthDef that is being built: an arena of UGens on the thread's stack of open SynthDefs.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use super::builder::{RawUGen, default_signal};
use super::error::{SynthDefError, SynthDefErrorKind as Kind};
use super::operators::{BinaryOperator, UnaryOperator};
use super::rate::{ControlRate, Rate};
use super::signal::{Repr, Signal};
use crate::ugens::special::{BINARY_OPERATOR, UNARY_OPERATOR};
use crate::ugens::table::Hook;
use crate::ugens::{MulAdd, Outputs, Sum3, Sum4, UGenFlags, UGenSpec, UGenType};

/// Most UGens, inputs of one UGen, control values or constants of a SynthDef.
pub(crate) const LIMIT: usize = 65_535;
/// Most channels that all lists of a SynthDef may hold together.
const ARRAY_LIMIT: usize = 1 << 22;
/// How deeply lists may lie in lists.
const DEPTH_LIMIT: u8 = 64;
/// Marks a node number as that of a control.
pub(crate) const CONTROL_BIT: u32 = 1 << 31;

static NEXT_GRAPH: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static OPEN: RefCell<Vec<Graph>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    Constant(f64),
    Output { node: u32, output: u32 },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum NodeKind {
    Table(&'static UGenSpec),
    Raw(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) rate: Rate,
    pub(crate) special_index: i16,
    pub(crate) outputs: u16,
    pub(crate) first_input: u32,
    pub(crate) input_count: u32,
}

impl Node {
    pub(crate) fn flags(&self) -> UGenFlags {
        match self.kind {
            NodeKind::Table(spec) => spec.flags,
            NodeKind::Raw(_) => UGenFlags::empty(),
        }
    }

    pub(crate) fn hook(&self) -> Hook {
        match self.kind {
            NodeKind::Table(spec) => spec.hook,
            NodeKind::Raw(_) => Hook::None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ControlEntry {
    pub(crate) name: String,
    pub(crate) rate: ControlRate,
    pub(crate) lag: f64,
    /// Range in `Graph::control_values`.
    pub(crate) first: u32,
    pub(crate) count: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    id: u32,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) controls: Vec<ControlEntry>,
    pub(crate) control_values: Vec<f64>,
    pub(crate) raw_names: Vec<String>,
    arrays: Vec<Signal>,
    error: Option<SynthDefError>,
}

/// Runs the function on the innermost open SynthDef; `None` if none is open.
fn with<R>(function: impl FnOnce(&mut Graph) -> R) -> Option<R> {
    OPEN.with_borrow_mut(|open| open.last_mut().map(function))
}

/// Opens a SynthDef, runs the function, drops what it returns, and closes the SynthDef.
pub(crate) fn record<R>(function: impl FnOnce() -> R) -> Result<Graph, SynthDefError> {
    /// Closes the SynthDef also if the function panics.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            OPEN.with_borrow_mut(|open| open.pop());
        }
    }

    let id = NEXT_GRAPH.fetch_add(1, Ordering::Relaxed);
    let graph = Graph {
        id,
        nodes: Vec::with_capacity(16),
        inputs: Vec::with_capacity(64),
        arrays: Vec::with_capacity(8),
        ..Graph::default()
    };
    OPEN.with_borrow_mut(|open| open.push(graph));
    let close = Close;
    drop(function());
    std::mem::forget(close);
    let graph = OPEN.with_borrow_mut(Vec::pop).filter(|graph| graph.id == id);
    let Some(mut graph) = graph else {
        return Err(SynthDefError::new(Kind::ForeignSignal, "the SynthDef was closed by another"));
    };
    match graph.error.take() {
        Some(error) => Err(error),
        None => Ok(graph),
    }
}

/// Remembers an error of the innermost open SynthDef; the first one counts.
pub(crate) fn fail(error: SynthDefError) {
    with(|graph| graph.fail(error));
}

/// Makes one signal of several channels.
pub(crate) fn array(items: &[Signal]) -> Signal {
    with(|graph| graph.array(items)).unwrap_or(Signal::INVALID)
}

/// A channel of an array, wherever it was made.
pub(crate) fn array_item(signal: Signal, index: usize) -> Signal {
    let Repr::Array { graph: id, start, length, .. } = signal.0 else {
        return signal;
    };
    if index >= length as usize {
        return Signal::INVALID;
    }
    OPEN.with_borrow(|open| {
        open.iter()
            .rev()
            .find(|graph| graph.id == id)
            .and_then(|graph| graph.arrays.get(start as usize + index).copied())
            .unwrap_or(Signal::INVALID)
    })
}

/// All single channels below a signal.
pub(crate) fn flat(signal: Signal) -> Vec<Signal> {
    let mut flat = Vec::new();
    // The depth of arrays is bounded where they are made.
    fn descend(signal: Signal, flat: &mut Vec<Signal>) {
        match signal.0 {
            Repr::Array { .. } => signal.channels().for_each(|channel| descend(channel, flat)),
            _ => flat.push(signal),
        }
    }
    descend(signal, &mut flat);
    flat
}

/// Enters a UGen of the table.
pub(crate) fn enter(
    spec: &'static UGenSpec,
    rate: Rate,
    channels: Option<u16>,
    inputs: &[Option<Signal>],
) -> Signal {
    with(|graph| graph.enter(spec, rate, channels, inputs)).unwrap_or(Signal::INVALID)
}

/// Enters a UGen that the table does not know.
pub(crate) fn enter_raw(ugen: &RawUGen) -> Signal {
    with(|graph| {
        if ugen.name.is_empty() || ugen.name.len() > 255 {
            return graph.fail(SynthDefError::new(
                Kind::InvalidName,
                format!(
                    "a UGen's name has 1 to 255 bytes, {:?} has {}",
                    ugen.name,
                    ugen.name.len()
                ),
            ));
        }
        let inputs: Vec<Option<Signal>> = ugen.inputs.iter().copied().map(Some).collect();
        let name = graph.raw_names.len() as u32;
        graph.raw_names.push(ugen.name.clone());
        graph.expand(&|_| false, &inputs, 0, &mut |graph, inputs| {
            let scalars: Vec<Signal> = inputs.iter().copied().flatten().collect();
            graph.node(NodeKind::Raw(name), ugen.rate, ugen.special_index, ugen.outputs, &scalars)
        })
    })
    .unwrap_or(Signal::INVALID)
}

/// Applies an operator to a signal, channel by channel.
pub(crate) fn unary(operator: UnaryOperator, source: Signal) -> Signal {
    if let Repr::Constant(value) = source.0
        && let Some(result) = operator.fold(value)
    {
        return Signal(Repr::Constant(result));
    }
    with(|graph| {
        graph.expand(&|_| false, &[Some(source)], 0, &mut |graph, inputs| {
            graph.unary(operator, inputs[0].unwrap_or(Signal::INVALID))
        })
    })
    .unwrap_or(Signal::INVALID)
}

/// Applies an operator to two signals, channel by channel.
pub(crate) fn binary(operator: BinaryOperator, left: Signal, right: Signal) -> Signal {
    if let (Repr::Constant(left), Repr::Constant(right)) = (left.0, right.0)
        && let Some(result) = operator.fold(left, right)
    {
        return Signal(Repr::Constant(result));
    }
    with(|graph| {
        if !matches!(left.0, Repr::Array { .. }) && !matches!(right.0, Repr::Array { .. }) {
            return graph.binary(operator, left, right);
        }
        graph.expand(&|_| false, &[Some(left), Some(right)], 0, &mut |graph, inputs| {
            let [left, right] = take(inputs);
            graph.binary(operator, left, right)
        })
    })
    .unwrap_or(Signal::INVALID)
}

/// `source * multiplier + addend`, channel by channel.
pub(crate) fn multiply_add(source: Signal, multiplier: Signal, addend: Signal) -> Signal {
    with(|graph| {
        let inputs = [Some(source), Some(multiplier), Some(addend)];
        graph.expand(&|_| false, &inputs, 0, &mut |graph, inputs| {
            let [source, multiplier, addend] = take(inputs);
            graph.multiply_add(source, multiplier, addend)
        })
    })
    .unwrap_or(Signal::INVALID)
}

/// The sum of three or four signals, channel by channel.
pub(crate) fn sum_three_or_four(signals: &[Signal]) -> Signal {
    let inputs: Vec<Option<Signal>> = signals.iter().copied().map(Some).collect();
    with(|graph| {
        graph.expand(&|_| false, &inputs, 0, &mut |graph, inputs| match inputs.len() {
            3 => graph.sum_3(take(inputs)),
            _ => graph.sum_4(take(inputs)),
        })
    })
    .unwrap_or(Signal::INVALID)
}

/// Adds a control to the innermost open SynthDef.
pub(crate) fn control(name: &str, rate: ControlRate, values: &[f64], lag: f64) -> Signal {
    with(|graph| graph.control(name, rate, values, lag)).unwrap_or(Signal::INVALID)
}

fn take<const N: usize>(inputs: &[Option<Signal>]) -> [Signal; N] {
    std::array::from_fn(|index| inputs.get(index).copied().flatten().unwrap_or(Signal::INVALID))
}

fn rate_of(signal: Signal) -> Rate {
    match signal.0 {
        Repr::Output { rate, .. } => rate,
        _ => Rate::Scalar,
    }
}

/// Whether the number can be written: not NaN, and not infinite only because 32 bits are too few.
pub(crate) fn fits(value: f64) -> bool {
    !value.is_nan() && (value.is_infinite() || (value as f32).is_finite())
}

impl Graph {
    pub(crate) fn fail(&mut self, error: SynthDefError) -> Signal {
        self.error.get_or_insert(error);
        Signal::INVALID
    }

    fn fail_with(&mut self, kind: Kind, message: String) -> Signal {
        self.fail(SynthDefError::new(kind, message))
    }

    fn name(&self, kind: NodeKind) -> &str {
        match kind {
            NodeKind::Table(spec) => spec.name,
            NodeKind::Raw(index) => &self.raw_names[index as usize],
        }
    }

    pub(crate) fn node_name(&self, node: &Node) -> &str {
        self.name(node.kind)
    }

    pub(crate) fn node_inputs(&self, node: &Node) -> &[Input] {
        let first = node.first_input as usize;
        &self.inputs[first..first + node.input_count as usize]
    }

    fn array(&mut self, items: &[Signal]) -> Signal {
        let mut depth = 0;
        for item in items {
            match item.0 {
                Repr::Invalid => return *item,
                Repr::Array { depth: inner, .. } => depth = depth.max(inner),
                _ => {}
            }
        }
        if depth >= DEPTH_LIMIT {
            return self.fail_with(
                Kind::TooMany,
                format!("lists of signals may be nested {DEPTH_LIMIT} deep, not deeper"),
            );
        }
        if self.arrays.len() + items.len() > ARRAY_LIMIT {
            return self.fail_with(
                Kind::TooMany,
                format!("the lists of a SynthDef may hold {ARRAY_LIMIT} signals, not more"),
            );
        }
        let start = self.arrays.len() as u32;
        self.arrays.extend_from_slice(items);
        Signal(Repr::Array { graph: self.id, start, length: items.len() as u32, depth: depth + 1 })
    }

    fn item(&self, start: u32, index: usize) -> Signal {
        self.arrays.get(start as usize + index).copied().unwrap_or(Signal::INVALID)
    }

    /// Multichannel expansion: one UGen for each channel of the widest input, beginning anew with
    /// the narrower ones; lists count only where they hold lists themselves.
    fn expand(
        &mut self,
        is_list: &dyn Fn(usize) -> bool,
        inputs: &[Option<Signal>],
        depth: u8,
        make: &mut dyn FnMut(&mut Graph, &[Option<Signal>]) -> Signal,
    ) -> Signal {
        let mut width = 0;
        for (position, input) in inputs.iter().enumerate() {
            let Some(Signal(Repr::Array { graph, start, length, .. })) = *input else {
                continue;
            };
            if graph != self.id {
                return self.foreign(None);
            }
            let nested = || {
                (0..length as usize)
                    .any(|index| matches!(self.item(start, index).0, Repr::Array { .. }))
            };
            if !is_list(position) {
                if length == 0 {
                    return self.fail_with(
                        Kind::InvalidInput,
                        "a signal without channels cannot be an input (UGens such as Out have \
                         no outputs)"
                            .into(),
                    );
                }
                width = width.max(length as usize);
            } else if nested() {
                width = width.max(length as usize);
            }
        }
        if width == 0 {
            return make(self, inputs);
        }
        if depth > DEPTH_LIMIT {
            return self.fail_with(Kind::TooMany, "lists of signals are nested too deeply".into());
        }
        let mut results = Vec::with_capacity(width);
        let mut channel = inputs.to_vec();
        for index in 0..width {
            for (position, input) in inputs.iter().enumerate() {
                let Some(Signal(Repr::Array { start, length, .. })) = *input else {
                    continue;
                };
                let whole = is_list(position)
                    && (0..length as usize)
                        .all(|index| !matches!(self.item(start, index).0, Repr::Array { .. }));
                if !whole {
                    channel[position] = Some(self.item(start, index % length as usize));
                }
            }
            let result = self.expand(is_list, &channel, depth + 1, make);
            if result == Signal::INVALID {
                return result;
            }
            results.push(result);
        }
        if results.len() == 1 { results[0] } else { self.array(&results) }
    }

    fn enter(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        channels: Option<u16>,
        inputs: &[Option<Signal>],
    ) -> Signal {
        if !spec.supports(rate) {
            let rates: Vec<_> = spec.rates.iter().map(|rate| rate.token()).collect();
            return self.fail_with(
                Kind::WrongRate,
                format!("{} does not run at {rate}; it runs at {}", spec.name, rates.join(", ")),
            );
        }
        let mut filled = [None; 16];
        let Some(filled) = filled.get_mut(..spec.parameters.len()) else {
            return self.fail_with(Kind::TooMany, format!("{} has too many inputs", spec.name));
        };
        for (index, parameter) in spec.parameters.iter().enumerate() {
            filled[index] =
                inputs.get(index).copied().flatten().or_else(|| default_signal(parameter.default));
            if filled[index].is_none()
                && parameter.default == crate::ugens::ParameterDefault::Required
            {
                return self.fail_with(
                    Kind::MissingInput,
                    format!("{} needs the input {:?}", spec.name, parameter.name),
                );
            }
        }
        let simple = !filled.iter().flatten().any(|input| matches!(input.0, Repr::Array { .. }));
        if simple {
            return self.enter_single(spec, rate, channels, filled);
        }
        let is_list = |position: usize| spec.parameters[position].list;
        self.expand(&is_list, filled, 0, &mut |graph, inputs| {
            graph.enter_single(spec, rate, channels, inputs)
        })
    }

    fn enter_single(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        channels: Option<u16>,
        inputs: &[Option<Signal>],
    ) -> Signal {
        let outputs = match (spec.outputs, channels) {
            (Outputs::Fixed(count), None) => count,
            (Outputs::Variable(_), Some(count)) if count > 0 => count,
            (Outputs::Variable(count), None) => count,
            (Outputs::ByInput, None) => 0,
            (_, Some(count)) => {
                return self.fail_with(
                    Kind::InvalidInput,
                    format!("{} cannot have {count} channels", spec.name),
                );
            }
        };
        if spec.hook == Hook::None {
            return self.enter_plain(spec, rate, outputs, inputs);
        }
        super::hooks::enter(self, spec, rate, outputs, inputs)
    }

    /// Enters a UGen whose inputs are those of its parameters, lists in their place.
    pub(crate) fn enter_plain(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        outputs: u16,
        inputs: &[Option<Signal>],
    ) -> Signal {
        let mut signals = Vec::with_capacity(inputs.len());
        for input in inputs.iter().flatten() {
            self.append(*input, &mut signals);
        }
        self.checked(spec, rate, outputs, &signals)
    }

    /// Appends the channels of a list, or the one signal.
    pub(crate) fn append(&self, signal: Signal, signals: &mut Vec<Signal>) {
        match signal.0 {
            Repr::Array { start, length, .. } => {
                signals.extend((0..length as usize).map(|index| self.item(start, index)));
            }
            _ => signals.push(signal),
        }
    }

    /// Checks the rates of the inputs and makes the node.
    pub(crate) fn checked(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        outputs: u16,
        inputs: &[Signal],
    ) -> Signal {
        if rate != Rate::Demand
            && !spec.flags.contains(UGenFlags::ASKS)
            && let Some(position) = inputs.iter().position(|input| rate_of(*input) == Rate::Demand)
        {
            return self.fail_with(
                Kind::WrongRate,
                format!(
                    "input {position} of {}.{rate} is a demand-rate signal; only Demand, Duty, \
                     DemandEnvGen and demand-rate UGens can read those",
                    spec.name
                ),
            );
        }
        if rate == Rate::Audio {
            let first = if spec.flags.contains(UGenFlags::OUTPUT) {
                spec.parameters.len() - 1..inputs.len()
            } else if spec.flags.contains(UGenFlags::SAME_RATE) {
                0..1
            } else {
                0..0
            };
            for position in first {
                // A signal that is none at all is reported below.
                if rate_of(inputs[position]) != Rate::Audio && inputs[position] != Signal::INVALID {
                    let found = match inputs[position].0 {
                        Repr::Constant(value) => format!("the number {value}"),
                        _ => format!("at {}", rate_of(inputs[position])),
                    };
                    return self.fail_with(
                        Kind::WrongRate,
                        format!(
                            "input {position} of {}.ar is {found}, but the UGen reads every \
                             sample of it: use an audio-rate signal (K2A or DC make one)",
                            spec.name
                        ),
                    );
                }
            }
        }
        self.node(NodeKind::Table(spec), rate, 0, outputs, inputs)
    }

    /// Appends a node; its outputs become a signal.
    pub(crate) fn node(
        &mut self,
        kind: NodeKind,
        rate: Rate,
        special_index: i16,
        outputs: u16,
        inputs: &[Signal],
    ) -> Signal {
        if self.nodes.len() >= LIMIT || inputs.len() > LIMIT {
            return self.fail_with(
                Kind::TooMany,
                format!("a SynthDef has at most {LIMIT} UGens of at most {LIMIT} inputs"),
            );
        }
        let first_input = self.inputs.len();
        for (position, signal) in inputs.iter().enumerate() {
            let input = match signal.0 {
                Repr::Constant(value) if fits(value) => Input::Constant(value),
                Repr::Constant(value) => {
                    let message = format!(
                        "input {position} of {} is {value}, which is no number of 32 bits",
                        self.name(kind)
                    );
                    return self.fail_with(Kind::InvalidConstant, message);
                }
                Repr::Output { graph, node, output, .. } if graph == self.id => {
                    Input::Output { node, output: u32::from(output) }
                }
                Repr::Array { .. } => {
                    let message = format!(
                        "input {position} of {} is a list where one signal belongs",
                        self.name(kind)
                    );
                    return self.fail_with(Kind::InvalidInput, message);
                }
                Repr::Output { .. } | Repr::Invalid => {
                    let name = self.name(kind).to_owned();
                    return self.foreign(Some((position, &name)));
                }
            };
            self.inputs.push(input);
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node {
            kind,
            rate,
            special_index,
            outputs,
            first_input: first_input as u32,
            input_count: inputs.len() as u32,
        });
        self.outputs(node, outputs, rate)
    }

    fn outputs(&mut self, node: u32, outputs: u16, rate: Rate) -> Signal {
        let graph = self.id;
        let output = |output| Signal(Repr::Output { graph, node, output, rate });
        if outputs == 1 {
            return output(0);
        }
        if self.arrays.len() + usize::from(outputs) > ARRAY_LIMIT {
            return self.fail_with(
                Kind::TooMany,
                format!("the lists of a SynthDef may hold {ARRAY_LIMIT} signals, not more"),
            );
        }
        let start = self.arrays.len() as u32;
        self.arrays.extend((0..outputs).map(output));
        Signal(Repr::Array { graph, start, length: u32::from(outputs), depth: 1 })
    }

    fn foreign(&mut self, place: Option<(usize, &str)>) -> Signal {
        let place = match place {
            Some((position, name)) => format!("input {position} of {name}"),
            None => "a list".into(),
        };
        self.fail_with(
            Kind::ForeignSignal,
            format!("{place} is a signal of another SynthDef, or was made outside of any"),
        )
    }

    pub(crate) fn unary(&mut self, operator: UnaryOperator, source: Signal) -> Signal {
        if let Repr::Constant(value) = source.0
            && let Some(result) = operator.fold(value)
        {
            return Signal(Repr::Constant(result));
        }
        let kind = NodeKind::Table(&UNARY_OPERATOR);
        self.node(kind, rate_of(source), operator as i16, 1, &[source])
    }

    pub(crate) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: Signal,
        right: Signal,
    ) -> Signal {
        use BinaryOperator::{Addition, Division, Multiplication, Subtraction};
        if let (Repr::Constant(left), Repr::Constant(right)) = (left.0, right.0)
            && let Some(result) = operator.fold(left, right)
        {
            return Signal(Repr::Constant(result));
        }
        match operator {
            Multiplication if left.is_number(0.0) || right.is_number(0.0) => {
                return Signal(Repr::Constant(0.0));
            }
            Multiplication if left.is_number(1.0) => return right,
            Multiplication if left.is_number(-1.0) => {
                return self.unary(UnaryOperator::Negative, right);
            }
            Multiplication | Division if right.is_number(1.0) => return left,
            Multiplication | Division if right.is_number(-1.0) => {
                return self.unary(UnaryOperator::Negative, left);
            }
            Addition if left.is_number(0.0) => return right,
            Subtraction if left.is_number(0.0) => {
                return self.unary(UnaryOperator::Negative, right);
            }
            Addition | Subtraction if right.is_number(0.0) => return left,
            _ => {}
        }
        let rate = rate_of(left).max(rate_of(right));
        self.node(NodeKind::Table(&BINARY_OPERATOR), rate, operator as i16, 1, &[left, right])
    }

    pub(crate) fn multiply_add(
        &mut self,
        source: Signal,
        multiplier: Signal,
        addend: Signal,
    ) -> Signal {
        /// Whether the UGen accepts the three in this order.
        fn accepts(source: Signal, multiplier: Signal, addend: Signal) -> bool {
            match rate_of(source) {
                Rate::Audio => true,
                Rate::Control => {
                    rate_of(multiplier) <= Rate::Control && rate_of(addend) <= Rate::Control
                }
                _ => false,
            }
        }

        if multiplier.is_number(0.0) {
            return addend;
        }
        let minus = multiplier.is_number(-1.0);
        let one = multiplier.is_number(1.0);
        let no_addend = addend.is_number(0.0);
        match (one, minus, no_addend) {
            (true, _, true) => return source,
            (_, true, true) => return self.unary(UnaryOperator::Negative, source),
            (_, _, true) => return self.binary(BinaryOperator::Multiplication, source, multiplier),
            (_, true, _) => return self.binary(BinaryOperator::Subtraction, addend, source),
            (true, _, _) => return self.binary(BinaryOperator::Addition, source, addend),
            _ => {}
        }
        let rate = rate_of(source).max(rate_of(multiplier)).max(rate_of(addend));
        let kind = NodeKind::Table(MulAdd::SPEC);
        if accepts(source, multiplier, addend) {
            self.node(kind, rate, 0, 1, &[source, multiplier, addend])
        } else if accepts(multiplier, source, addend) {
            self.node(kind, rate, 0, 1, &[multiplier, source, addend])
        } else {
            let product = self.binary(BinaryOperator::Multiplication, source, multiplier);
            self.binary(BinaryOperator::Addition, product, addend)
        }
    }

    pub(crate) fn sum_3(&mut self, inputs: [Signal; 3]) -> Signal {
        let [first, second, third] = inputs;
        if third.is_number(0.0) {
            self.binary(BinaryOperator::Addition, first, second)
        } else if second.is_number(0.0) {
            self.binary(BinaryOperator::Addition, first, third)
        } else if first.is_number(0.0) {
            self.binary(BinaryOperator::Addition, second, third)
        } else {
            self.sum(Sum3::SPEC, inputs)
        }
    }

    pub(crate) fn sum_4(&mut self, inputs: [Signal; 4]) -> Signal {
        match inputs.iter().position(|input| input.is_number(0.0)) {
            Some(zero) => {
                let mut rest = inputs.iter().enumerate().filter(|(index, _)| *index != zero);
                let rest = std::array::from_fn(|_| {
                    rest.next().map_or(Signal::INVALID, |(_, input)| *input)
                });
                self.sum_3(rest)
            }
            None => self.sum(Sum4::SPEC, inputs),
        }
    }

    /// The server wants the inputs of a sum with the highest rate first.
    fn sum<const N: usize>(&mut self, spec: &'static UGenSpec, mut inputs: [Signal; N]) -> Signal {
        inputs.sort_by_key(|input| std::cmp::Reverse(rate_of(*input)));
        self.node(NodeKind::Table(spec), rate_of(inputs[0]), 0, 1, &inputs)
    }

    fn control(&mut self, name: &str, rate: ControlRate, values: &[f64], lag: f64) -> Signal {
        let bad_name = name.is_empty() || name.len() > 255 || name.bytes().any(|byte| byte < 32);
        if bad_name {
            return self.fail_with(
                Kind::InvalidName,
                format!("the control {name:?} needs a name of 1 to 255 printable bytes"),
            );
        }
        if self.controls.iter().any(|control| control.name == name) {
            return self
                .fail_with(Kind::InvalidName, format!("there are two controls named {name:?}"));
        }
        if let Some(value) = values.iter().chain([&lag]).find(|value| !fits(**value)) {
            return self.fail_with(
                Kind::InvalidConstant,
                format!("the control {name:?} has the value {value}, no number of 32 bits"),
            );
        }
        if values.is_empty() {
            return self
                .fail_with(Kind::InvalidInput, format!("the control {name:?} has no value"));
        }
        if self.control_values.len() + values.len() > LIMIT {
            return self.fail_with(
                Kind::TooMany,
                format!("a SynthDef has at most {LIMIT} control values"),
            );
        }
        let index = self.controls.len() as u32;
        self.controls.push(ControlEntry {
            name: name.to_owned(),
            rate,
            lag,
            first: self.control_values.len() as u32,
            count: values.len() as u32,
        });
        self.control_values.extend_from_slice(values);
        self.outputs(CONTROL_BIT | index, values.len() as u16, rate.rate())
    }
}
