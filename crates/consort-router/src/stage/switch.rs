//! Stages that work with presses.

use super::Stage;
use super::chain::{DOWN, FIRED, PENDING, Step};

/// What a value is for a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A rise above the level of a press.
    Press,
    /// A fall to it.
    Release,
    /// Neither.
    None,
}

pub(super) fn edge(step: &mut Step, value: f64, level: f64) -> Edge {
    let (was_down, is_down) = (step.has(DOWN), value > level);
    step.set(DOWN, is_down);
    match (was_down, is_down) {
        (false, true) => Edge::Press,
        (true, false) => Edge::Release,
        _ => Edge::None,
    }
}

/// What a press makes of the target's value.
pub(super) fn pressed(stage: &Stage, base: f64) -> f64 {
    match *stage {
        Stage::Set { value } => value,
        Stage::Cycle { count } => {
            let last = f64::from(count - 1);
            // A value between two steps goes to the next one.
            let next = (base * last + 1e-6).floor() + 1.0;
            if next > last { 0.0 } else { next / last }
        }
        _ => f64::from(base <= 0.5),
    }
}

/// `pulse`, `hold` and `double`.
pub(super) fn timed(stage: &Stage, step: &mut Step, edge: Edge, now: u64) -> Option<f64> {
    match (stage, edge) {
        (Stage::Pulse { duration }, Edge::Press) => {
            step.time = now + duration;
            step.set(PENDING, true);
            Some(1.0)
        }
        (Stage::Hold { duration }, Edge::Press) => {
            step.time = now + duration;
            step.set(PENDING, true);
            None
        }
        (Stage::Double { duration }, Edge::Press) => {
            let is_second = step.has(PENDING) && now <= step.time;
            step.time = now + duration;
            step.set(PENDING, !is_second);
            step.set(FIRED, is_second);
            is_second.then_some(1.0)
        }
        (Stage::Hold { .. } | Stage::Double { .. }, Edge::Release) => {
            let was_fired = step.has(FIRED);
            step.set(FIRED, false);
            if matches!(stage, Stage::Hold { .. }) {
                step.set(PENDING, false);
            }
            was_fired.then_some(0.0)
        }
        _ => None,
    }
}
