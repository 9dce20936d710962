//! Messages of phones, as JSON.
//!
//! ```text
//! phone:   {"set":[["fader.volume",0.5],["button.go",1]]}
//! surface: {"layout":{…}}                                  first, and after a reload
//!          {"values":{"fader.volume":0.5},"texts":{"text.cue":"Intro"}}
//! ```

use std::fmt::Write as _;

use serde_json::Value;

use super::state::{Seen, Table};

/// The longest message of a phone, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// How many values one message may set.
const MAX_CHANGES: usize = 64;

/// Reads a message of a phone: names of channels with values from 0 to 1.
///
/// # Errors
/// What was expected.
pub(crate) fn decode(text: &str) -> Result<Vec<(String, f64)>, String> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(format!("expected at most {MAX_MESSAGE_BYTES} bytes"));
    }
    let message: Value = serde_json::from_str(text).map_err(|_| "expected JSON")?;
    let changes = message.get("set").and_then(Value::as_array).ok_or("expected `set`")?;
    if changes.len() > MAX_CHANGES {
        return Err(format!("expected at most {MAX_CHANGES} values in a message"));
    }
    let change = |change: &Value| {
        let pair = change.as_array().filter(|pair| pair.len() == 2)?;
        Some((pair[0].as_str()?.to_owned(), pair[1].as_f64()?.clamp(0.0, 1.0)))
    };
    let changes: Option<Vec<_>> = changes.iter().map(change).collect();
    changes.ok_or_else(|| "expected pairs of a name and a number".to_owned())
}

/// The message with all that a phone has not seen; none if it has seen everything.
pub(crate) fn delta(table: &Table, seen: &mut Seen) -> Option<String> {
    let (mut values, mut texts) = (String::new(), String::new());
    table.changes(
        seen,
        |name, value| {
            // Six decimals are more than any widget shows.
            let value = (value * 1e6).round() / 1e6;
            let _ = write!(values, "{}{name}:{value}", comma(&values));
        },
        |name, text| {
            let _ = write!(texts, "{}{name}:{}", comma(&texts), Value::from(text));
        },
    );
    if values.is_empty() && texts.is_empty() {
        return None;
    }
    Some(format!("{{\"values\":{{{values}}},\"texts\":{{{texts}}}}}"))
}

fn comma(list: &str) -> &'static str {
    if list.is_empty() { "" } else { "," }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_in_their_order_and_clipped() {
        let changes = decode(r#"{"set":[["button.a",1],["button.a",0],["fader.b",7.5]]}"#);
        let expected = [("button.a", 1.0), ("button.a", 0.0), ("fader.b", 1.0)];
        assert_eq!(changes, Ok(expected.map(|(name, value)| (name.to_owned(), value)).to_vec()));
    }

    #[test]
    fn what_is_not_a_list_of_changes_is_an_error() {
        let many = format!("{{\"set\":[{}[\"a\",1]]}}", "[\"a\",1],".repeat(MAX_CHANGES));
        let long = format!("{{\"set\":[[\"{}\",1]]}}", "a".repeat(MAX_MESSAGE_BYTES));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"set":1}"#,
            r#"{"set":[1]}"#,
            r#"{"set":[["a"]]}"#,
            r#"{"set":[["a",null]]}"#,
            r#"{"set":[[1,1]]}"#,
            r#"{"set":[["a",1,2]]}"#,
            &many,
            &long,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
        assert!(decode(&"[".repeat(5_000)).is_err());
    }
}
