//! "Did you mean …".

/// Names longer than this are not compared.
const LENGTH_LIMIT: usize = 40;

/// How many names are compared at most.
const CANDIDATE_LIMIT: usize = 1_000;

/// The name among `candidates` that `name` was most likely meant to be, if one is near.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = name.chars().count();
    if length == 0 || length > LENGTH_LIMIT {
        return None;
    }
    let folded = name.to_lowercase();
    // One letter for another is a slip, unless there is only one.
    let limit = if length == 1 { 0 } else { (length / 3).max(1) };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().take(CANDIDATE_LIMIT) {
        let other = candidate.chars().count();
        if other == 0 || other > LENGTH_LIMIT {
            continue;
        }
        let other = candidate.to_lowercase();
        let distance = if folded == other {
            0
        } else if length >= 3 && (other.starts_with(&folded) || folded.starts_with(&other)) {
            // `dest` for `destination`; not as near as one slip of a finger.
            limit
        } else if candidate.chars().count().abs_diff(length) > limit {
            continue;
        } else {
            strsim::osa_distance(&folded, &other)
        };
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The hint that goes with [`nearest`].
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|found| format!("did you mean `{found}`?"))
}

/// Backends that MIDIMonster has, for telling people that it is not they who are mistaken.
pub(crate) const MIDIMONSTER_BACKENDS: &[&str] = &[
    "artnet",
    "atem",
    "evdev",
    "jack",
    "loopback",
    "lua",
    "maweb",
    "midi",
    "mqtt",
    "ola",
    "openpixelcontrol",
    "osc",
    "python",
    "rtpmidi",
    "sacn",
    "visca",
    "wininput",
    "winmidi",
];

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_slips_cases_and_beginnings_and_nothing_else() {
        let names = ["root", "bind", "destination", "learn"];
        for (written, meant) in [
            ("rooot", Some("root")),
            ("ROOT", Some("root")),
            ("bnid", Some("bind")),
            ("dest", Some("destination")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, names), meant, "{written}");
        }
        assert_eq!(nearest("b", ["a", "ab"]), None);
        assert_eq!(nearest("B", ["a", "b"]), Some("b"));
        assert_eq!(nearest(&"r".repeat(100_000), names), None);
    }
}
