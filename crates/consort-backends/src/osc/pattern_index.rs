//! Finds the first pattern option that matches an address, without trying all of them: a show may
//! have a hundred thousand options and as many channels.
//!
//! A pattern begins and ends with literal text (`/mixer/` and `/level` in `/mixer/*/level`), which an
//! address that it matches has, too. Patterns are found by these two texts. Their lengths differ
//! little among the patterns of a show, so that an address is looked up a few times, once for each
//! pair of lengths.

use std::collections::HashMap;

use super::patterns::PathPattern;

/// The lengths of the literal texts at the beginning and at the end of a pattern.
type Lengths = (usize, usize);

/// The patterns of an instance by the literal texts at their ends.
#[derive(Default)]
pub(super) struct PatternIndex {
    /// For each pair of lengths: both texts, and the numbers of their patterns in ascending order.
    groups: Vec<(Lengths, Group)>,
}

/// The numbers of patterns by the texts at their beginning and end.
type Group = HashMap<(Box<str>, Box<str>), Vec<u32>>;

/// The literal texts at the beginning and the end of a pattern. A pattern without wildcards is all
/// beginning.
fn literal_ends(pattern: &str) -> (&str, &str) {
    let is_special = |letter: char| "?*[]{}".contains(letter);
    let first = [pattern.find(is_special), pattern.find("//")].into_iter().flatten().min();
    let Some(first) = first else { return (pattern, "") };
    let after_letter = pattern.rfind(is_special).map(|position| position + 1);
    let after_slashes = pattern.rfind("//").map(|position| position + 2);
    let last = after_letter.max(after_slashes).unwrap_or(pattern.len());
    (&pattern[..first], &pattern[last..])
}

impl PatternIndex {
    pub(super) fn new(patterns: &[PathPattern]) -> Self {
        let mut index = PatternIndex::default();
        let mut numbers = HashMap::new();
        for (number, option) in patterns.iter().enumerate() {
            let (start, end) = literal_ends(option.name());
            let lengths = (start.len(), end.len());
            let group = *numbers.entry(lengths).or_insert_with(|| {
                index.groups.push((lengths, HashMap::new()));
                index.groups.len() - 1
            });
            let (_, patterns) = &mut index.groups[group];
            patterns.entry((start.into(), end.into())).or_default().push(number as u32);
        }
        index
    }

    /// The number of the first pattern that matches an address.
    pub(super) fn find(&self, patterns: &[PathPattern], address: &str) -> Option<usize> {
        let mut first = u32::MAX;
        for ((start, end), group) in &self.groups {
            let Some(rest) = address.len().checked_sub(start + end) else { continue };
            let (Some(start), Some(end)) = (address.get(..*start), address.get(start + rest..))
            else {
                continue; // within a character
            };
            let candidates = group.get(&(start.into(), end.into()));
            let matches =
                |number: &&u32| **number < first && patterns[**number as usize].matches(address);
            first = candidates.into_iter().flatten().find(matches).copied().unwrap_or(first);
        }
        (first != u32::MAX).then_some(first as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn options<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<PathPattern> {
        let option = |text: &str| PathPattern::read(text, "f 0 1").expect(text).0;
        texts.into_iter().map(option).collect()
    }

    #[test]
    fn the_first_pattern_that_matches_is_found() {
        let texts = [
            "/a/b",
            "/a/*",
            "/*/b",
            "/a/b",
            "//level",
            "/m/?/x",
            "/m/[12]/x",
            "/{m,n}/3/x",
            "/m//x",
            "/ü*",
            "/a/b*",
            "/*",
        ];
        let patterns = options(texts);
        let index = PatternIndex::new(&patterns);
        for address in [
            "/a/b",
            "/a/c",
            "/c/b",
            "/x/y/level",
            "/m/1/x",
            "/m/12/x",
            "/n/3/x",
            "/m/x",
            "/m/a/b/x",
            "/ü",
            "/üx",
            "/ab",
            "/a",
            "/",
            "/a/",
            "/nothing/here/at/all",
            "/a/ü",
            "/level",
        ] {
            let expected = patterns.iter().position(|option| option.matches(address));
            assert_eq!(index.find(&patterns, address), expected, "{address}");
        }
    }

    #[test]
    fn a_hundred_thousand_options_and_forty_thousand_channels_take_no_time() {
        for form in ["/p# = literal", "/p#*", "/*/p#", "/p#/?/x"] {
            let form = form.split(' ').next().expect("a word");
            let texts: Vec<String> =
                (0..100_000).map(|number| form.replace('#', &number.to_string())).collect();
            let patterns = options(texts.iter().map(String::as_str));
            let start = Instant::now();
            let index = PatternIndex::new(&patterns);
            let found = (0..40_000)
                .filter(|number| index.find(&patterns, &format!("/p{number}")).is_some())
                .count();
            assert_eq!(
                found,
                if form.contains('/') && form.len() < 5 { 40_000 } else { 0 },
                "{form}"
            );
            // Without an index this takes a minute.
            assert!(start.elapsed().as_secs() < 20, "{form}: {:?}", start.elapsed());
        }
    }
}
