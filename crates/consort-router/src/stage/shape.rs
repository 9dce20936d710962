//! Functions of the value alone, and their inverses.

use super::Stage;

/// a + v·(b − a), exact at both ends and within a–b.
fn between(a: f64, b: f64, v: f64) -> f64 {
    if v >= 1.0 {
        return b;
    }
    let value = a + v * (b - a);
    if a <= b { value.clamp(a, b) } else { value.clamp(b, a) }
}

/// (v − a)/(b − a), clipped.
fn part_of(a: f64, b: f64, v: f64) -> f64 {
    ((v - a) / (b - a)).clamp(0.0, 1.0)
}

/// A positive number to a power, or 0. Some C libraries need eight times as long for `pow` as for these
/// two functions, which are exact at 0 and 1 as well.
fn power(base: f64, exponent: f64) -> f64 {
    (base.log2() * exponent).exp2()
}

/// v^k/(v^k + (1 − v)^k), with one power: 1/(1 + ((1 − v)/v)^k).
fn ease(k: f64, v: f64) -> f64 {
    if v <= 0.0 || v >= 1.0 {
        return v.clamp(0.0, 1.0);
    }
    1.0 / (1.0 + power((1.0 - v) / v, k))
}

/// Straight lines between points.
fn points(points: &[(f64, f64)], v: f64) -> f64 {
    let index = points.partition_point(|&(x, _)| x <= v);
    match (index.checked_sub(1).map(|before| points[before]), points.get(index)) {
        (Some((x0, y0)), Some(&(x1, y1))) => between(y0, y1, (v - x0) / (x1 - x0)),
        (Some((_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => v,
    }
}

/// Whether y only rises or only falls.
fn is_monotone(list: &[(f64, f64)]) -> bool {
    list.windows(2).all(|pair| pair[0].1 < pair[1].1)
        || list.windows(2).all(|pair| pair[0].1 > pair[1].1)
}

/// What a shape makes of a value from 0 to 1; other stages pass it on.
pub(super) fn forward(stage: &Stage, v: f64) -> f64 {
    match stage {
        Stage::Invert => 1.0 - v,
        Stage::From { a, b } => part_of(*a, *b, v),
        Stage::Range { a, b } => between(*a, *b, v),
        Stage::Curve { exponent } => power(v, *exponent),
        Stage::Ease { exponent } => ease(*exponent, v),
        Stage::Points(list) => points(list, v),
        Stage::Steps { count } => {
            let last = f64::from(count - 1);
            (v * last).round() / last
        }
        Stage::Clip { a, b } => v.clamp(*a, *b),
        Stage::Deadzone { low, at, high } => {
            if v < *low {
                between(0.0, *at, v / low)
            } else if v > *high {
                between(*at, 1.0, (v - high) / (1.0 - high))
            } else {
                *at
            }
        }
        Stage::Scale { factor } => (v * factor).min(1.0),
        Stage::Offset { distance } => (v + distance).clamp(0.0, 1.0),
        _ => v,
    }
}

/// The input that gives a value. Values outside of the stage's output give the nearest end.
pub(super) fn backward(stage: &Stage, v: f64) -> f64 {
    match stage {
        Stage::Invert => 1.0 - v,
        Stage::From { a, b } => between(*a, *b, v),
        Stage::Range { a, b } if a != b => part_of(*a, *b, v),
        Stage::Curve { exponent } => power(v, 1.0 / exponent),
        Stage::Ease { exponent } => ease(1.0 / exponent, v),
        Stage::Points(list) => inverse_of_points(list, v),
        Stage::Deadzone { low, at, high } => {
            if v < *at && *low > 0.0 {
                between(0.0, *low, v / at)
            } else if v > *at && *high < 1.0 {
                between(*high, 1.0, (v - at) / (1.0 - at))
            } else {
                v
            }
        }
        Stage::Scale { factor } if *factor > 0.0 => (v / factor).min(1.0),
        Stage::Offset { distance } => (v - distance).clamp(0.0, 1.0),
        _ => v,
    }
}

/// The x of a y, for points of which y only rises or only falls.
fn inverse_of_points(list: &[(f64, f64)], v: f64) -> f64 {
    let rises = list.first().map(|p| p.1) < list.last().map(|p| p.1);
    let is_before = |y: f64| if rises { y <= v } else { y >= v };
    let index = list.partition_point(|&(_, y)| is_before(y));
    match (index.checked_sub(1).map(|before| list[before]), list.get(index)) {
        (Some((x0, y0)), Some(&(x1, y1))) => between(x0, x1, (v - y0) / (y1 - y0)),
        (Some((x, _)), None) | (None, Some(&(x, _))) => x,
        (None, None) => v,
    }
}

/// Whether values can come back through this stage.
pub(super) fn has_inverse(stage: &Stage) -> bool {
    match stage {
        Stage::Range { a, b } => a != b,
        Stage::Points(list) => is_monotone(list),
        Stage::Scale { factor } => *factor > 0.0,
        Stage::Threshold { .. }
        | Stage::Trigger
        | Stage::Pulse { .. }
        | Stage::Hold { .. }
        | Stage::Double { .. } => false,
        _ => true,
    }
}
