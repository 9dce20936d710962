//! "Did you mean": the known name closest to a misspelt one.
//!
//! Every crate of the workspace uses this one metric, so that a misspelling gets the same hint
//! wherever it is made. Time and memory are bounded whatever the input: long names and
//! candidates beyond the first thousand are not compared.

/// Names with more characters than this are not compared.
const MAX_NAME_CHARS: usize = 60;

/// How many candidates are compared at most.
const MAX_CANDIDATES: usize = 1_000;

/// The shortest name that counts as the beginning or a part of a longer one.
const MIN_PART_CHARS: usize = 3;

/// Returns the candidate closest to `name`, if one is close enough.
///
/// Case is ignored. In order of preference a candidate matches
///
/// 1. when it differs by case alone (`OSC` for `osc`),
/// 2. when it is at most one third of `name`'s characters (at least one) edits away; an edit
///    inserts, deletes or replaces a character or swaps two neighbours (`bnid` for `bind`),
/// 3. when one begins with the other (`freq` for `frequency`),
/// 4. when the candidate contains `name` (`through` for `Midi Through`).
///
/// Within one rank the fewest edits win, then the first candidate.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS {
        return None;
    }
    let folded = name.to_lowercase();
    // A single letter that differs is a different name, not a misspelling.
    let max_edits = if length == 1 { 0 } else { (length / 3).max(1) };
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter_map(|candidate| Some((rank(&folded, length, candidate, max_edits)?, candidate)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// How well a candidate matches: its rank, then its edits. Lower is better.
fn rank(folded: &str, length: usize, candidate: &str, max_edits: usize) -> Option<(u8, usize)> {
    let candidate_length = candidate.chars().count();
    if candidate_length == 0 || candidate_length > MAX_NAME_CHARS {
        return None;
    }
    let other = candidate.to_lowercase();
    if folded == other {
        return Some((0, 0));
    }
    if candidate_length.abs_diff(length) <= max_edits {
        let edits = strsim::osa_distance(folded, &other);
        if edits <= max_edits {
            return Some((1, edits));
        }
    }
    let difference = candidate_length.abs_diff(length);
    if length >= MIN_PART_CHARS && other.starts_with(folded)
        || candidate_length >= MIN_PART_CHARS && folded.starts_with(&other)
    {
        return Some((2, difference));
    }
    (length >= MIN_PART_CHARS && other.contains(folded)).then_some((3, difference))
}

/// The hint that goes with [`nearest`]: ``did you mean `bind`?``.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// How well a text names a device or a port; the best is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameMatch {
    /// It is the whole name.
    Whole,
    /// It is the whole name but for upper and lower case.
    WholeInAnyCase,
    /// The name begins with it.
    Beginning,
    /// The name begins with it but for upper and lower case.
    BeginningInAnyCase,
    /// It is a part of the name.
    Part,
    /// It is a part of the name but for upper and lower case.
    PartInAnyCase,
}

impl NameMatch {
    /// Compares a name with a text. `None` if the text is empty or no part of the name.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Option<NameMatch> {
        if text.is_empty() {
            return None;
        }
        if name == text {
            return Some(NameMatch::Whole);
        }
        let (lower_name, lower_text) = (name.to_lowercase(), text.to_lowercase());
        if lower_name == lower_text {
            Some(NameMatch::WholeInAnyCase)
        } else if name.starts_with(text) {
            Some(NameMatch::Beginning)
        } else if lower_name.starts_with(&lower_text) {
            Some(NameMatch::BeginningInAnyCase)
        } else if name.contains(text) {
            Some(NameMatch::Part)
        } else if lower_name.contains(&lower_text) {
            Some(NameMatch::PartInAnyCase)
        } else {
            None
        }
    }
}

/// [`did_you_mean`], or else a list of at most 40 of the names that exist:
/// ``the buses are: lfo, reverb``. `plural` is what the names are called.
pub fn did_you_mean_or_list<'a>(
    name: &str,
    plural: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(hint) = did_you_mean(name, candidates.clone()) {
        return hint;
    }
    let mut names: Vec<&str> = candidates.into_iter().take(40).collect();
    names.sort_unstable();
    match names.as_slice() {
        [] => format!("there are no {plural}"),
        names => format!("the {plural} are: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{NameMatch, did_you_mean, did_you_mean_or_list, nearest};

    #[test]
    fn whole_names_are_better_than_beginnings_and_these_than_parts() {
        let name = "nanoKONTROL2 nanoKONTROL2 CTRL";
        for (text, expected) in [
            ("nanoKONTROL2 nanoKONTROL2 CTRL", Some(NameMatch::Whole)),
            ("NANOkontrol2 nanokontrol2 ctrl", Some(NameMatch::WholeInAnyCase)),
            ("nanoKONTROL2 n", Some(NameMatch::Beginning)),
            ("nanokontrol", Some(NameMatch::BeginningInAnyCase)),
            ("KONTROL", Some(NameMatch::Part)),
            ("ctrl", Some(NameMatch::PartInAnyCase)),
            ("", None),
            ("nanoPAD", None),
        ] {
            assert_eq!(NameMatch::of(name, text), expected, "{text}");
        }
        assert!(NameMatch::Whole < NameMatch::BeginningInAnyCase);
        assert!(NameMatch::BeginningInAnyCase < NameMatch::Part);
    }

    #[test]
    fn finds_misspellings_beginnings_and_parts() {
        let names = ["root", "bind", "destination", "learn", "frequency", "Midi Through"];
        for (written, expected) in [
            ("rooot", Some("root")),
            ("ROOT", Some("root")),
            ("bnid", Some("bind")),
            ("dest", Some("destination")),
            ("freq", Some("frequency")),
            ("frequnecy", Some("frequency")),
            ("through", Some("Midi Through")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }

    #[test]
    fn single_letters_match_by_case_alone() {
        assert_eq!(nearest("b", ["a", "ab"]), None);
        assert_eq!(nearest("B", ["a", "b"]), Some("b"));
    }

    #[test]
    fn fewer_edits_win_over_a_shared_beginning() {
        assert_eq!(nearest("gain", ["gains_of_all", "gein"]), Some("gein"));
    }

    #[test]
    fn long_names_and_long_lists_are_bounded() {
        assert_eq!(nearest(&"r".repeat(100_000), ["root"]), None);
        let many: Vec<String> = (0..2_000).map(|number| format!("channel {number:04}")).collect();
        let names = || many.iter().map(String::as_str);
        assert_eq!(nearest("channel 0999", names()), Some("channel 0999"));
        assert_ne!(nearest("channel 1999", names()), Some("channel 1999"));
    }

    #[test]
    fn the_hint_lists_what_exists_when_nothing_is_close() {
        assert_eq!(did_you_mean("lfoo", ["lfo"]).as_deref(), Some("did you mean `lfo`?"));
        assert_eq!(did_you_mean_or_list("x", "buses", ["b", "a"]), "the buses are: a, b");
        assert_eq!(did_you_mean_or_list("x", "buses", []), "there are no buses");
    }
}
