//! Algebraic simplification while operators are added.
//!
//! | expression | becomes |
//! |---|---|
//! | an operator on numbers | its result, where it is known without the server |
//! | `a * 0` | `0` |
//! | `a * 1`, `a / 1`, `a + 0`, `a - 0` | `a` |
//! | `a * -1`, `a / -1`, `0 - a` | `-a` |
//! | `MulAdd` with a factor of 0, 1 or -1, or an addend of 0 | the operator that suffices |
//! | `MulAdd` in an order of rates that the server rejects | factors swapped, or two operators |
//! | `Sum3` and `Sum4` with a zero | a smaller sum |

use crate::builtin::{BINARY_OPERATOR, MUL_ADD, SUM_3, SUM_4, UNARY_OPERATOR};
use crate::graph::{Graph, NodeKind};
use crate::operators::{BinaryOperator, UnaryOperator};
use crate::rate::Rate;
use crate::signal::Signal;
use crate::spec::UGenSpec;

impl Graph {
    /// Applies an operator to one channel.
    pub(crate) fn unary(&mut self, operator: UnaryOperator, source: Signal) -> Signal {
        if let Some(value) = source.as_number()
            && let Some(result) = operator.fold(value)
        {
            return Signal::number(result);
        }
        let kind = NodeKind::Table(&UNARY_OPERATOR);
        self.add_node(kind, source.single_rate(), operator as i16, 1, &[source])
    }

    /// Applies an operator to two single channels.
    pub(crate) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: Signal,
        right: Signal,
    ) -> Signal {
        use BinaryOperator::{Addition, Division, Multiplication, Subtraction};
        if let (Some(left), Some(right)) = (left.as_number(), right.as_number())
            && let Some(result) = operator.fold(left, right)
        {
            return Signal::number(result);
        }
        match operator {
            Multiplication if left.is_number(0.0) || right.is_number(0.0) => {
                return Signal::number(0.0);
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
        let rate = left.single_rate().max(right.single_rate());
        self.add_node(NodeKind::Table(&BINARY_OPERATOR), rate, operator as i16, 1, &[left, right])
    }

    /// `source * multiplier + addend` on single channels.
    pub(crate) fn multiply_add(
        &mut self,
        source: Signal,
        multiplier: Signal,
        addend: Signal,
    ) -> Signal {
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
        let rate = source.single_rate().max(multiplier.single_rate()).max(addend.single_rate());
        let kind = NodeKind::Table(&MUL_ADD);
        if mul_add_accepts(source, multiplier, addend) {
            self.add_node(kind, rate, 0, 1, &[source, multiplier, addend])
        } else if mul_add_accepts(multiplier, source, addend) {
            self.add_node(kind, rate, 0, 1, &[multiplier, source, addend])
        } else {
            let product = self.binary(BinaryOperator::Multiplication, source, multiplier);
            self.binary(BinaryOperator::Addition, product, addend)
        }
    }

    /// The sum of three single channels.
    pub(crate) fn sum_3(&mut self, inputs: [Signal; 3]) -> Signal {
        let [first, second, third] = inputs;
        if third.is_number(0.0) {
            self.binary(BinaryOperator::Addition, first, second)
        } else if second.is_number(0.0) {
            self.binary(BinaryOperator::Addition, first, third)
        } else if first.is_number(0.0) {
            self.binary(BinaryOperator::Addition, second, third)
        } else {
            self.sum(&SUM_3, inputs)
        }
    }

    /// The sum of four single channels.
    pub(crate) fn sum_4(&mut self, inputs: [Signal; 4]) -> Signal {
        match inputs.iter().position(|input| input.is_number(0.0)) {
            Some(zero) => {
                let mut rest = inputs.iter().enumerate().filter(|(index, _)| *index != zero);
                let rest = std::array::from_fn(|_| {
                    rest.next().map_or(Signal::INVALID, |(_, input)| *input)
                });
                self.sum_3(rest)
            }
            None => self.sum(&SUM_4, inputs),
        }
    }

    /// The server requires the input of the highest rate to come first.
    fn sum<const N: usize>(&mut self, spec: &'static UGenSpec, mut inputs: [Signal; N]) -> Signal {
        inputs.sort_by_key(|input| std::cmp::Reverse(input.single_rate()));
        self.add_node(NodeKind::Table(spec), inputs[0].single_rate(), 0, 1, &inputs)
    }
}

/// Whether the server's `MulAdd` accepts inputs of these rates in this order.
fn mul_add_accepts(source: Signal, multiplier: Signal, addend: Signal) -> bool {
    match source.single_rate() {
        Rate::Audio => true,
        Rate::Control => {
            multiplier.single_rate() <= Rate::Control && addend.single_rate() <= Rate::Control
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Input;
    use crate::spec::UGenType;
    use crate::ugens::{LFTri, Rand};

    fn number(value: f64) -> Signal {
        Signal::number(value)
    }

    /// A graph with a signal at audio, control and scalar rate.
    fn graph() -> (Graph, [Signal; 3]) {
        let mut graph = Graph::new(1);
        let audio = graph.add_ugen(LFTri::SPEC, Rate::Audio, None, &[]);
        let control = graph.add_ugen(LFTri::SPEC, Rate::Control, None, &[]);
        let scalar = graph.add_ugen(Rand::SPEC, Rate::Scalar, None, &[]);
        (graph, [audio, control, scalar])
    }

    /// Name, special index and inputs of the nodes that were added after the three of `graph`.
    fn added(graph: &Graph) -> Vec<(&str, i16, &[Input])> {
        let nodes = graph.nodes[3..].iter();
        nodes
            .map(|node| (graph.node_name(node), node.special_index, graph.node_inputs(node)))
            .collect()
    }

    fn output(node: u32) -> Input {
        Input::Output { node, output: 0 }
    }

    #[test]
    fn neutral_numbers_add_no_ugen() {
        use BinaryOperator::{Addition, Division, Multiplication, Subtraction};
        let (mut graph, [audio, ..]) = graph();
        assert_eq!(graph.binary(Multiplication, audio, number(1.0)), audio);
        assert_eq!(graph.binary(Multiplication, number(1.0), audio), audio);
        assert_eq!(graph.binary(Division, audio, number(1.0)), audio);
        assert_eq!(graph.binary(Addition, number(0.0), audio), audio);
        assert_eq!(graph.binary(Subtraction, audio, number(0.0)), audio);
        assert_eq!(graph.binary(Multiplication, audio, number(0.0)), number(0.0));
        assert_eq!(graph.binary(Addition, number(2.0), number(3.0)), number(5.0));
        assert!(added(&graph).is_empty());
    }

    #[test]
    fn minus_one_becomes_a_negation() {
        use BinaryOperator::{Division, Multiplication, Subtraction};
        let (mut graph, [audio, ..]) = graph();
        graph.binary(Multiplication, number(-1.0), audio);
        graph.binary(Division, audio, number(-1.0));
        graph.binary(Subtraction, number(0.0), audio);
        let negative = UnaryOperator::Negative as i16;
        assert_eq!(added(&graph), [("UnaryOpUGen", negative, &[output(0)][..]); 3]);
    }

    #[test]
    fn an_operator_has_the_highest_rate_of_its_inputs() {
        let (mut graph, [audio, control, scalar]) = graph();
        let sum = graph.binary(BinaryOperator::Addition, control, audio);
        assert_eq!(sum.single_rate(), Rate::Audio);
        let sum = graph.binary(BinaryOperator::Addition, scalar, control);
        assert_eq!(sum.single_rate(), Rate::Control);
    }

    #[test]
    fn multiply_add_uses_the_operator_that_suffices() {
        let (mut graph, [audio, control, _]) = graph();
        assert_eq!(graph.multiply_add(audio, number(0.0), control), control);
        assert_eq!(graph.multiply_add(audio, number(1.0), number(0.0)), audio);
        graph.multiply_add(audio, number(-1.0), control);
        graph.multiply_add(audio, number(1.0), control);
        graph.multiply_add(audio, number(3.0), number(0.0));
        let numbers: Vec<i16> = added(&graph).iter().map(|(_, number, _)| *number).collect();
        use BinaryOperator::{Addition, Multiplication, Subtraction};
        assert_eq!(numbers, [Subtraction as i16, Addition as i16, Multiplication as i16]);
    }

    #[test]
    fn multiply_add_puts_the_faster_factor_first_or_uses_two_operators() {
        let (mut graph, [audio, control, scalar]) = graph();
        graph.multiply_add(control, audio, number(2.0));
        assert_eq!(
            added(&graph),
            [("MulAdd", 0, &[output(0), output(1), Input::Constant(2.0)][..])]
        );
        graph.multiply_add(scalar, number(2.0), control);
        let names: Vec<&str> = added(&graph).iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, ["MulAdd", "BinaryOpUGen", "BinaryOpUGen"]);
    }

    #[test]
    fn sums_leave_zeros_out_and_put_the_highest_rate_first() {
        let (mut graph, [audio, control, scalar]) = graph();
        let zero = number(0.0);
        assert_eq!(graph.sum_4([zero, audio, zero, zero]), audio);
        assert!(added(&graph).is_empty());
        graph.sum_4([scalar, zero, control, audio]);
        assert_eq!(added(&graph), [("Sum3", 0, &[output(0), output(1), output(2)][..])]);
    }
}
