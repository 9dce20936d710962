//! Stages in a row: forward from the source to the target, and back through their inverses.

use std::ops::Range;

use super::takeover::{self, TakeoverMode};
use super::{Stage, encoder, shape, switch, time};
use crate::backend::Resolution;

/// A stage and its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The stage.
    pub stage: Stage,
    /// The bytes of the text.
    pub range: Range<usize>,
}

/// What one stage of one route remembers. What the fields contain depends on the stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// The last output, or where a movement began.
    pub(super) value: f64,
    /// Where a movement ends, a value that waits, or how far a takeover is off.
    pub(super) goal: f64,
    /// When something began or is due, in microseconds.
    pub(super) time: u64,
    pub(super) flags: u8,
}

/// The source is pressed.
pub(super) const DOWN: u8 = 1;
/// There was a value before.
pub(super) const KNOWN: u8 = 2;
/// Something is to happen later.
pub(super) const PENDING: u8 = 4;
/// A `hold` or `double` gives 1.
pub(super) const FIRED: u8 = 8;
/// A takeover is in sync.
pub(super) const SYNC: u8 = 16;
/// A takeover waits, and `goal` is the way from the source to the target.
pub(super) const WAITS: u8 = 32;

impl Step {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8, is_set: bool) {
        if is_set {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }
}

/// What a route sees of its surroundings while it handles a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment {
    /// Microseconds since the start of the show.
    pub(crate) now: u64,
    /// A press is a rise above this.
    pub(crate) press_level: f64,
    /// The distance between two values of the source; 0 when continuous.
    pub(crate) source_step: f64,
    /// The last value that the source sent before this one; NaN if there was none.
    pub(crate) position: f64,
    /// The target's value; NaN if there was none.
    pub(crate) current: f64,
    /// The last value of this route at its target; NaN if there was none.
    pub(crate) sent: f64,
    pub(crate) target_resolution: Resolution,
    /// Whether a stage of the route has values to send later.
    pub(crate) is_moving: bool,
}

impl Environment {
    /// Whether the target still has the value that this route gave it.
    fn is_own(&self) -> bool {
        self.is_moving || self.target_resolution.equal(self.current, self.sent)
    }
}

/// What a forward pass leaves for later.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    /// Whether a stage is to be called with the next ticks.
    pub(crate) is_active: bool,
    /// A value that continues behind a stage at a time: stage, microseconds, value.
    pub(crate) delayed: Option<(usize, u64, f64)>,
    /// Whether the source is to be answered: a stage that starts from the target was used or
    /// released.
    pub(crate) answers: bool,
}

/// The stages of a route. Immutable; the state of each route is in a list of the same
/// length.
#[derive(Debug, Default, PartialEq)]
pub struct Chain {
    stages: Box<[Stage]>,
    /// The stage that starts from the target's value.
    start: Option<usize>,
    /// The stage behind which each value is a press.
    trigger: Option<usize>,
    pub(crate) has_state: bool,
    pub(crate) has_time: bool,
    pub(crate) has_delay: bool,
    pub(crate) is_servo: bool,
    pub(crate) is_invertible: bool,
}

impl Chain {
    /// A chain of these stages.
    pub fn new(stages: impl IntoIterator<Item = Stage>) -> Self {
        let stages: Box<[Stage]> = stages.into_iter().collect();
        let is_start = |stage: &Stage| {
            stage.starts_from_target() && *stage != Stage::Takeover(TakeoverMode::Jump)
        };
        Chain {
            start: stages.iter().position(is_start),
            trigger: stages.iter().position(|stage| *stage == Stage::Trigger),
            has_state: stages.iter().any(|stage| {
                stage.spec().has_state && !matches!(stage, Stage::When { .. } | Stage::Touch)
            }),
            has_time: stages.iter().any(Stage::needs_time),
            has_delay: stages.iter().any(|stage| matches!(stage, Stage::Delay { .. })),
            is_servo: stages.contains(&Stage::Servo),
            is_invertible: stages.iter().all(shape::has_inverse),
            stages,
        }
    }

    /// Its stages.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Whether it waits for the source to meet the target, or says that it never does.
    pub fn has_takeover(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Takeover(_)))
    }

    /// Whether one of its stages starts from the target's value.
    pub fn starts_from_target(&self) -> bool {
        self.start.is_some()
    }

    /// Whether each value of the source is a press of its own.
    pub(crate) fn is_triggered(&self) -> bool {
        self.trigger.is_some()
    }

    /// What shapes alone make of a value: for curves in the documentation.
    pub fn shape(&self, value: f64) -> f64 {
        self.stages.iter().fold(value, |value, stage| shape::forward(stage, value))
    }

    /// The value that goes back for a value of the target.
    pub fn back(&self, value: f64) -> f64 {
        self.back_to(0, value)
    }

    /// A value of the target taken back to the input of the stage `first`.
    fn back_to(&self, first: usize, value: f64) -> f64 {
        self.stages[first..].iter().rev().fold(value, |value, stage| match stage {
            Stage::Set { value: own } => f64::from((value - own).abs() < 1e-9),
            stage => shape::backward(stage, value),
        })
    }

    /// [`back`](Self::back), where a `set` compares in the target's resolution.
    pub(crate) fn feedback(&self, value: f64, resolution: Resolution) -> f64 {
        let Some(index) = self.start else { return self.back(value) };
        let Stage::Set { value: own } = self.stages[index] else { return self.back(value) };
        let sent = self.stages[index + 1..].iter().fold(own, |v, stage| shape::forward(stage, v));
        let is_set = f64::from(resolution.equal(value, sent) || (value - sent).abs() < 1e-9);
        self.stages[..index].iter().rev().fold(is_set, |v, stage| shape::backward(stage, v))
    }

    /// The value that a stage that starts from the target starts from.
    fn base(&self, index: usize, steps: &[Step], around: &Environment) -> f64 {
        if steps[index].has(KNOWN) && around.is_own() {
            return steps[index].value;
        }
        if around.current.is_nan() { 0.0 } else { self.back_to(index + 1, around.current) }
    }

    /// What goes back to the source after a press or a release; `None` when no stage starts from
    /// the target.
    pub(crate) fn answer(&self, steps: &[Step], around: &Environment) -> Option<f64> {
        let index = self.start?;
        let base = self.base(index, steps, around);
        let value = match self.stages[index] {
            Stage::Set { value } => f64::from((base - value).abs() < 1e-9),
            _ => base,
        };
        let back = |value, stage| shape::backward(stage, value);
        Some(self.stages[..index].iter().rev().fold(value, back))
    }

    /// Takes a value through the stages from `first` on. `None` when it ends in one of them.
    /// `steps` has one entry for each stage, or none for a chain without state.
    pub(crate) fn forward(
        &self,
        first: usize,
        mut value: f64,
        steps: &mut [Step],
        around: &Environment,
        waiting: &mut Waiting,
    ) -> Option<f64> {
        for index in first..self.stages.len() {
            let stage = &self.stages[index];
            value = match stage {
                Stage::Toggle | Stage::Cycle { .. } | Stage::Set { .. } => {
                    let edge = self.edge(index, value, steps, around);
                    waiting.answers |= edge != switch::Edge::None;
                    if edge != switch::Edge::Press {
                        return None;
                    }
                    let base = self.base(index, steps, around);
                    let result = switch::pressed(stage, base);
                    steps[index].value = result;
                    steps[index].set(KNOWN, true);
                    result
                }
                Stage::Relative { step, encoding, most, wraps } => {
                    let count = encoding.steps(value);
                    if count == 0 {
                        return None;
                    }
                    let base = self.base(index, steps, around);
                    let result = encoder::moved(base, count, *step, *most, *wraps);
                    steps[index].value = result;
                    steps[index].set(KNOWN, true);
                    waiting.answers = true;
                    result
                }
                Stage::Takeover(mode) => {
                    let base = self.base(index, steps, around);
                    let shapes = |v, stage| shape::forward(stage, v);
                    let position = self.stages[..index].iter().fold(around.position, shapes);
                    let tolerance = around.source_step + 1e-9;
                    takeover::step(*mode, &mut steps[index], value, position, base, tolerance)?
                }
                Stage::Trigger => {
                    if value <= around.press_level {
                        return None;
                    }
                    1.0
                }
                Stage::Pulse { .. } | Stage::Hold { .. } | Stage::Double { .. } => {
                    let edge = self.edge(index, value, steps, around);
                    let output = switch::timed(stage, &mut steps[index], edge, around.now);
                    waiting.is_active |= stage.needs_time() && steps[index].has(PENDING);
                    output?
                }
                Stage::Threshold { on, off } => {
                    let step = &mut steps[index];
                    let is_on = value >= *on || (step.has(DOWN) && value >= *off);
                    step.set(DOWN, is_on);
                    f64::from(is_on)
                }
                Stage::Change => {
                    let step = &mut steps[index];
                    if step.has(KNOWN) && step.value == value {
                        return None;
                    }
                    step.value = value;
                    step.set(KNOWN, true);
                    value
                }
                Stage::Smooth { .. } | Stage::Slew { .. } | Stage::Limit { .. } => {
                    let output = time::step(stage, &mut steps[index], value, around.now);
                    waiting.is_active |= steps[index].has(PENDING);
                    output?
                }
                Stage::Delay { duration } => {
                    waiting.delayed = Some((index + 1, around.now + duration, value));
                    return None;
                }
                shape => shape::forward(shape, value),
            };
        }
        Some(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// Whether a value begins or ends a press at a stage.
    fn edge(
        &self,
        index: usize,
        value: f64,
        steps: &mut [Step],
        around: &Environment,
    ) -> switch::Edge {
        if self.trigger.is_some_and(|trigger| trigger < index) {
            return switch::Edge::Press;
        }
        switch::edge(&mut steps[index], value, around.press_level)
    }

    /// Calls the stages with something to do at this time; each value goes on to `output`.
    pub(crate) fn tick(
        &self,
        steps: &mut [Step],
        around: &Environment,
        waiting: &mut Waiting,
        mut output: impl FnMut(f64),
    ) {
        for index in 0..self.stages.len() {
            let stage = &self.stages[index];
            if !stage.needs_time() || !steps[index].has(PENDING) {
                continue;
            }
            let value = time::tick(stage, &mut steps[index], around.now);
            waiting.is_active |= steps[index].has(PENDING);
            let Some(value) = value else { continue };
            if let Some(value) = self.forward(index + 1, value, steps, around, waiting) {
                output(value);
            }
        }
    }

    /// Ends what waits, because the route's layer goes: the last value at the target. `delayed` is
    /// the newest value that waits in a `delay`, with the stage behind it.
    pub(crate) fn finish(&self, steps: &mut [Step], delayed: Option<(usize, f64)>) -> Option<f64> {
        let mut value = None;
        for (index, stage) in self.stages.iter().enumerate() {
            if let Some((_, delayed)) = delayed.filter(|&(behind, _)| behind == index) {
                value = Some(delayed);
            }
            value = match stage {
                Stage::Pulse { .. } | Stage::Hold { .. } | Stage::Double { .. } => {
                    time::finish(stage, &mut steps[index])
                }
                Stage::Smooth { .. } | Stage::Slew { .. } | Stage::Limit { .. } => {
                    let rest = time::finish(stage, &mut steps[index]);
                    value.or(rest)
                }
                // What ends is not a press.
                stage if stage.starts_from_target() || *stage == Stage::Trigger => None,
                Stage::Threshold { on, .. } => value.map(|value| f64::from(value >= *on)),
                stage => value.map(|value| shape::forward(stage, value)),
            };
        }
        delayed.filter(|&(behind, _)| behind == self.stages.len()).map(|(_, last)| last).or(value)
    }

    /// How far the takeover of a route is off: the way from the source to the target; `None` when
    /// it does not wait.
    pub(crate) fn takeover_distance(&self, steps: &[Step]) -> Option<f64> {
        let index = self.start?;
        let step = steps.get(index)?;
        step.has(WAITS).then_some(step.goal)
    }
}
