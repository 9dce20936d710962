//! How a source and a target that differ meet.

use super::chain::{KNOWN, SYNC, Step, WAITS};

/// What happens while source and target differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeoverMode {
    /// The target goes to the source's value at once.
    Jump,
    /// Waits until the source reaches or crosses the target's value.
    Pickup,
    /// Moves the target in proportion to what is left in that direction.
    Scale,
}

/// Takes the source's value `x`, after `position`, for a target at `base`.
pub(super) fn step(
    mode: TakeoverMode,
    step: &mut Step,
    x: f64,
    position: f64,
    base: f64,
    tolerance: f64,
) -> Option<f64> {
    let is_near = |a: f64, b: f64| (a - b).abs() <= tolerance;
    let was_in_sync = step.has(SYNC) && is_near(base, step.value);
    let meets = is_near(x, base)
        || (!position.is_nan() && is_near(position, base))
        // A source that scales its target never overtakes it.
        || (mode == TakeoverMode::Pickup
            && !position.is_nan()
            && (position < base) != (x < base));
    if mode == TakeoverMode::Jump || was_in_sync || meets {
        step.value = x;
        step.flags = (step.flags | SYNC | KNOWN) & !WAITS;
        return Some(x);
    }
    step.set(SYNC, false);
    step.set(WAITS, true);
    step.goal = base - x;
    if mode == TakeoverMode::Pickup || position.is_nan() || x == position {
        return None;
    }
    let scaled = if x >= 1.0 || x <= 0.0 {
        x.clamp(0.0, 1.0)
    } else if x > position {
        base + (x - position) * (1.0 - base) / (1.0 - position)
    } else {
        base + (x - position) * base / position
    };
    let scaled = scaled.clamp(0.0, 1.0);
    let is_met = is_near(x, scaled);
    step.value = scaled;
    step.goal = scaled - x;
    step.set(KNOWN, true);
    step.set(SYNC, is_met);
    step.set(WAITS, !is_met);
    Some(scaled)
}
