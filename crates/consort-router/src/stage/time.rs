//! Stages that emit values later. Positions depend on the time alone, not on how often the stage
//! is called.

use super::Stage;
use super::chain::{FIRED, KNOWN, PENDING, Step};

/// Where a movement is.
fn position(stage: &Stage, step: &Step, now: u64) -> f64 {
    let elapsed = now.saturating_sub(step.time) as f64;
    match stage {
        Stage::Smooth { duration } if now < step.time + duration => {
            let left = (-5.0 * std::f64::consts::LOG2_E * elapsed / *duration as f64).exp2();
            step.goal + (step.value - step.goal) * left
        }
        Stage::Slew { duration } => {
            let way = elapsed / *duration as f64;
            let distance = step.goal - step.value;
            if distance.abs() <= way { step.goal } else { step.value + way.copysign(distance) }
        }
        _ => step.goal,
    }
}

/// A new input.
pub(super) fn step(stage: &Stage, step: &mut Step, value: f64, now: u64) -> Option<f64> {
    if let Stage::Limit { period } = stage {
        let is_end = value == 0.0 || value == 1.0;
        if is_end || !step.has(KNOWN) || now >= step.time + period {
            step.time = now;
            step.set(KNOWN, true);
            step.set(PENDING, false);
            return Some(value);
        }
        step.goal = value;
        step.set(PENDING, true);
        return None;
    }
    if !step.has(KNOWN) || (!step.has(PENDING) && step.goal == value) {
        // Nothing to move from, or nowhere to move to.
        (step.value, step.goal) = (value, value);
        step.set(KNOWN, true);
        return Some(value);
    }
    step.value = position(stage, step, now);
    step.goal = value;
    step.time = now;
    step.set(PENDING, true);
    None
}

/// A tick for a stage that has something to do.
pub(super) fn tick(stage: &Stage, step: &mut Step, now: u64) -> Option<f64> {
    match stage {
        Stage::Smooth { .. } | Stage::Slew { .. } => {
            let value = position(stage, step, now);
            step.set(PENDING, value != step.goal);
            Some(value)
        }
        Stage::Limit { period } => {
            if now < step.time + period {
                return None;
            }
            step.time = now;
            step.set(PENDING, false);
            Some(step.goal)
        }
        Stage::Pulse { .. } => {
            if now < step.time {
                return None;
            }
            step.set(PENDING, false);
            Some(0.0)
        }
        Stage::Hold { .. } => {
            if now < step.time {
                return None;
            }
            step.set(PENDING, false);
            step.set(FIRED, true);
            Some(1.0)
        }
        _ => None,
    }
}

/// The last value of a stage whose layer goes. A `hold` goes on until its press ends.
pub(super) fn finish(stage: &Stage, step: &mut Step) -> Option<f64> {
    let was_pending = step.has(PENDING);
    match stage {
        Stage::Hold { .. } => return None,
        Stage::Smooth { .. } | Stage::Slew { .. } => {
            // The next value after the layer has come back is the first one again.
            step.set(KNOWN, false);
        }
        _ => {}
    }
    step.set(PENDING, false);
    match stage {
        Stage::Double { .. } => None,
        Stage::Pulse { .. } => was_pending.then_some(0.0),
        _ => was_pending.then_some(step.goal),
    }
}
