//! The time of day in the local time zone, which the standard library does not provide.

// localtime_r(3) is only reached through the libc crate.
#![allow(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

/// The local time as `HH:MM:SS`; UTC if the system cannot convert it.
pub(super) fn time_of_day() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = elapsed.as_secs() as libc::time_t;
    let (hour, minute, second) = local(seconds).unwrap_or_else(|| {
        let second_of_day = seconds.rem_euclid(86_400) as libc::c_int;
        (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60)
    });
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// Hour, minute and second in the local time zone.
fn local(seconds: libc::time_t) -> Option<(libc::c_int, libc::c_int, libc::c_int)> {
    // SAFETY: `tm` consists of integers and a pointer, for all of which zero is a valid value.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values on this stack, and nothing in this program changes
    // the environment (TZ), which the function reads.
    let result = unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
    (!result.is_null()).then_some((parts.tm_hour, parts.tm_min, parts.tm_sec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_has_eight_characters() {
        let text = time_of_day();
        let parts: Vec<u32> = text.split(':').map(|part| part.parse().expect("digits")).collect();
        assert_eq!((text.len(), parts.len()), (8, 3), "{text}");
        assert!(parts[0] < 24 && parts[1] < 60 && parts[2] <= 60, "{text}");
    }
}
