//! The SynthDefs that are being built on this thread.
//!
//! Instruments are written as plain expressions, so that UGens and operators find their graph
//! without an argument: it is the top of a stack of the thread. The stack has more than one entry
//! while a SynthDef is built inside another. Outside of any SynthDef every function here returns
//! [`Signal::INVALID`].

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::expand::all_given;
use crate::graph::Graph;
use crate::operators::{BinaryOperator, UnaryOperator};
use crate::rate::{ControlRate, Rate};
use crate::signal::{Repr, Signal};
use crate::spec::UGenSpec;

/// The number of the next graph. It identifies the graph to which a signal belongs.
static NEXT_GRAPH: AtomicU32 = AtomicU32::new(1);

thread_local! {
    /// The open graphs of this thread, the innermost last.
    static OPEN: RefCell<Vec<Graph>> = const { RefCell::new(Vec::new()) };
}

/// Runs the function on the innermost open graph; `None` if none is open.
fn with_open_graph<R>(function: impl FnOnce(&mut Graph) -> R) -> Option<R> {
    OPEN.with_borrow_mut(|open| open.last_mut().map(function))
}

/// Runs the function on the innermost open graph, which it adds something to.
fn add(function: impl FnOnce(&mut Graph) -> Signal) -> Signal {
    with_open_graph(function).unwrap_or(Signal::INVALID)
}

/// Opens a graph, runs the function, drops its result, and closes the graph.
pub(crate) fn build_graph<R>(function: impl FnOnce() -> R) -> Result<Graph, SynthDefError> {
    /// Closes the graph even if the function panics.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            OPEN.with_borrow_mut(|open| open.pop());
        }
    }

    let id = NEXT_GRAPH.fetch_add(1, Ordering::Relaxed);
    OPEN.with_borrow_mut(|open| open.push(Graph::new(id)));
    let close = Close;
    // UGens that the result holds are added when they are dropped, while the graph is open.
    drop(function());
    std::mem::forget(close);
    let graph = OPEN.with_borrow_mut(Vec::pop).filter(|graph| graph.id == id);
    let Some(mut graph) = graph else {
        return Err(SynthDefError::new(
            Kind::ForeignSignal,
            "another SynthDef was closed in place of this one",
        ));
    };
    match graph.take_error() {
        Some(error) => Err(error),
        None => Ok(graph),
    }
}

/// Keeps an error of the innermost open graph if it is the first.
pub(crate) fn fail(error: SynthDefError) {
    with_open_graph(|graph| graph.fail(error));
}

/// Makes one signal of several channels.
pub(crate) fn list(items: &[Signal]) -> Signal {
    add(|graph| graph.add_list(items))
}

/// An item of a list; the list may belong to any open graph.
pub(crate) fn list_item(signal: Signal, index: usize) -> Signal {
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
            .map_or(Signal::INVALID, |graph| graph.list_item(start, index))
    })
}

/// Adds a UGen of the table.
pub(crate) fn add_ugen(
    spec: &'static UGenSpec,
    rate: Rate,
    channels: Option<u16>,
    inputs: &[Option<Signal>],
) -> Signal {
    add(|graph| graph.add_ugen(spec, rate, channels, inputs))
}

/// Adds a UGen by name.
pub(crate) fn add_raw(
    name: &str,
    rate: Rate,
    special_index: i16,
    outputs: u16,
    inputs: &[Signal],
) -> Signal {
    add(|graph| graph.add_raw(name, rate, special_index, outputs, inputs))
}

/// Adds a control.
pub(crate) fn add_control(name: &str, rate: ControlRate, values: &[f64], lag: f64) -> Signal {
    add(|graph| graph.add_control(name, rate, values, lag))
}

/// Applies an operator to a signal, channel by channel.
pub(crate) fn unary(operator: UnaryOperator, source: Signal) -> Signal {
    // Numbers need no graph: instruments compute with them outside of SynthDefs, too.
    if let Some(value) = source.as_number()
        && let Some(result) = operator.fold(value)
    {
        return Signal::number(result);
    }
    add(|graph| {
        graph.expand(&|_| false, &[Some(source)], &mut |graph, inputs| {
            let [source] = all_given(inputs);
            graph.unary(operator, source)
        })
    })
}

/// Applies an operator to two signals, channel by channel.
pub(crate) fn binary(operator: BinaryOperator, left: Signal, right: Signal) -> Signal {
    if let (Some(left), Some(right)) = (left.as_number(), right.as_number())
        && let Some(result) = operator.fold(left, right)
    {
        return Signal::number(result);
    }
    add(|graph| {
        if !left.is_array() && !right.is_array() {
            return graph.binary(operator, left, right);
        }
        graph.expand(&|_| false, &[Some(left), Some(right)], &mut |graph, inputs| {
            let [left, right] = all_given(inputs);
            graph.binary(operator, left, right)
        })
    })
}

/// `source * multiplier + addend`, channel by channel.
pub(crate) fn multiply_add(source: Signal, multiplier: Signal, addend: Signal) -> Signal {
    let inputs = [Some(source), Some(multiplier), Some(addend)];
    add(|graph| {
        graph.expand(&|_| false, &inputs, &mut |graph, inputs| {
            let [source, multiplier, addend] = all_given(inputs);
            graph.multiply_add(source, multiplier, addend)
        })
    })
}

/// The sum of three signals, channel by channel.
pub(crate) fn sum_3(signals: [Signal; 3]) -> Signal {
    let inputs = signals.map(Some);
    add(|graph| {
        graph.expand(&|_| false, &inputs, &mut |graph, inputs| graph.sum_3(all_given(inputs)))
    })
}

/// The sum of four signals, channel by channel.
pub(crate) fn sum_4(signals: [Signal; 4]) -> Signal {
    let inputs = signals.map(Some);
    add(|graph| {
        graph.expand(&|_| false, &inputs, &mut |graph, inputs| graph.sum_4(all_given(inputs)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::UGenType;
    use crate::ugens::SinOsc;

    fn sine() -> Signal {
        add_ugen(SinOsc::SPEC, Rate::Audio, None, &[])
    }

    #[test]
    fn ugens_enter_the_innermost_graph() {
        let mut inner = None;
        let outer = build_graph(|| {
            sine();
            inner = Some(build_graph(|| (sine(), sine())));
            sine();
        });
        assert_eq!(outer.unwrap().nodes.len(), 2);
        assert_eq!(inner.unwrap().unwrap().nodes.len(), 2);
    }

    #[test]
    fn without_an_open_graph_signals_are_invalid_but_numbers_are_computed() {
        assert_eq!(sine(), Signal::INVALID);
        assert_eq!(list(&[Signal::number(1.0)]), Signal::INVALID);
        let three = Signal::number(3.0);
        assert_eq!(binary(BinaryOperator::Addition, three, three), Signal::number(6.0));
        assert_eq!(unary(UnaryOperator::Negative, three), Signal::number(-3.0));
    }

    #[test]
    fn a_panic_closes_the_graph() {
        let panicked = std::panic::catch_unwind(|| build_graph(|| panic!("inside")));
        assert!(panicked.is_err());
        assert_eq!(sine(), Signal::INVALID);
    }

    #[test]
    fn the_list_of_an_outer_graph_can_be_read_inside() {
        let outer = build_graph(|| {
            let pair = list(&[Signal::number(1.0), Signal::number(2.0)]);
            let inner = build_graph(|| assert_eq!(list_item(pair, 1), Signal::number(2.0)));
            assert!(inner.is_ok());
            assert_eq!(list_item(pair, 2), Signal::INVALID);
        });
        assert!(outer.is_ok());
    }

    #[test]
    fn the_first_error_is_returned() {
        let result = build_graph(|| {
            fail(SynthDefError::new(Kind::Empty, "first"));
            fail(SynthDefError::new(Kind::TooMany, "second"));
        });
        assert_eq!(result.unwrap_err().kind(), Kind::Empty);
    }
}
