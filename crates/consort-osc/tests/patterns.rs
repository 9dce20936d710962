//! What address patterns match, which are invalid, and how long matching takes.

use std::time::{Duration, Instant};

use consort_osc::{ErrorKind, MAX_MATCHED_ADDRESS, MAX_PATTERN, Pattern, address_matches};
use proptest::prelude::*;

fn matches(pattern: &str, address: &str) -> bool {
    let compiled = Pattern::new(pattern).expect(pattern).matches(address);
    assert_eq!(address_matches(pattern, address), Ok(compiled), "{pattern} on {address}");
    compiled
}

#[test]
fn patterns_match_only_their_addresses() {
    for (pattern, good, bad) in [
        ("/a/b", &["/a/b"][..], &["/a", "/a/b/c", "/a/bb", "/a/c", "a/b"][..]),
        ("/a?c", &["/abc", "/aéc", "/a?c"], &["/ac", "/abbc", "/a/c"]),
        ("/*", &["/a", "/abc", "/"], &["/a/b", ""]),
        ("/a*", &["/a", "/abc"], &["/b", "/ba", "/a/b"]),
        ("/*/level", &["/1/level", "/mixer/level"], &["/level", "/a/b/level"]),
        ("/*a*b*", &["/ab", "/xaxbx", "/aabb"], &["/ba", "/a", "/a/b"]),
        ("/***a", &["/a", "/aaa"], &["/ab"]),
        ("/[abc]", &["/a", "/c"], &["/d", "/ab", "/"]),
        ("/[a-c]x", &["/ax", "/bx"], &["/dx", "/-x"]),
        ("/[a-]", &["/a", "/-"], &["/b"]),
        ("/[-a]", &["/a", "/-"], &["/b"]),
        ("/[a!]", &["/a", "/!"], &["/b"]),
        ("/[!a-c]", &["/d", "/é"], &["/a", "/", "/dd"]),
        ("/x[!a]y", &["/xby"], &["/x/y", "/xay", "/xy"]),
        ("/[é-ü]", &["/é", "/ü", "/ö"], &["/e", "/ÿ"]),
        ("/{a,bc}", &["/a", "/bc"], &["/b", "/abc", "/a,bc"]),
        ("/{a,ab}{c,bc}d", &["/acd", "/abcd", "/abbcd"], &["/abd", "/acbcd"]),
        ("/{,x}y", &["/y", "/xy"], &["/xxy"]),
        ("//c", &["/c", "/a/c", "/a/b/c"], &["/cc", "/c/a", "/a/bc"]),
        ("/a//c", &["/a/c", "/a/b/c", "/a/b/b/c"], &["/ac", "/b/a/c", "/a/c/d"]),
        ("//a//b", &["/a/b", "/x/a/y/z/b"], &["/b/a", "/x/b"]),
        ("//*", &["/a", "/a/b/c"], &["a"]),
        ("//{a,b}/?", &["/a/1", "/x/b/2"], &["/a/12", "/c/1"]),
    ] {
        for address in good {
            assert!(matches(pattern, address), "{pattern} should match {address}");
        }
        for address in bad {
            assert!(!matches(pattern, address), "{pattern} should not match {address}");
        }
    }
    assert!(Pattern::new("/a/b").expect("valid").is_literal());
    assert!(!Pattern::new("/a//b").expect("valid").is_literal());
}

#[test]
fn invalid_patterns_are_rejected_with_their_offset() {
    for (pattern, kind, offset) in [
        ("", ErrorKind::AddressWithoutSlash, 0),
        ("a", ErrorKind::AddressWithoutSlash, 0),
        ("*", ErrorKind::AddressWithoutSlash, 0),
        ("/", ErrorKind::EmptyName, 1),
        ("/a/", ErrorKind::EmptyName, 3),
        ("//", ErrorKind::EmptyName, 2),
        ("/a//", ErrorKind::EmptyName, 4),
        ("/a///b", ErrorKind::EmptyName, 4),
        ("/[a", ErrorKind::Unclosed('['), 1),
        ("/{a", ErrorKind::Unclosed('{'), 1),
        ("/a]", ErrorKind::Unopened(']'), 2),
        ("/a}", ErrorKind::Unopened('}'), 2),
        ("/[]", ErrorKind::EmptyClass, 2),
        ("/[!]", ErrorKind::EmptyClass, 2),
        ("/[c-a]", ErrorKind::ReversedRange('c', 'a'), 2),
        ("/[a/b]", ErrorKind::ForbiddenInside('/'), 3),
        ("/{a{b}", ErrorKind::ForbiddenInside('{'), 3),
        ("/{a*}", ErrorKind::ForbiddenInside('*'), 3),
        ("/a b*", ErrorKind::ForbiddenCharacter(' '), 2),
        ("/a,b*", ErrorKind::ForbiddenCharacter(','), 2),
        ("/\n*", ErrorKind::ForbiddenCharacter('\n'), 1),
    ] {
        let error = Pattern::new(pattern).expect_err(pattern);
        assert_eq!((error.kind(), error.offset()), (kind, offset), "{pattern}");
    }
    let long = format!("/{}", "a".repeat(MAX_PATTERN));
    let error = Pattern::new(&long).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::TooLarge { limit: MAX_PATTERN });
    assert_eq!(address_matches(&long, &long), Ok(true));
}

#[test]
fn long_addresses_match_up_to_the_limit() {
    for length in [62, 63, 64, 65, 254, 255, 256, 257, 1_000, MAX_MATCHED_ADDRESS] {
        let address = format!("/{}", "a".repeat(length - 1));
        assert!(matches("/a*", &address), "{length}");
        assert!(matches("/*a", &address), "{length}");
        assert!(!matches("/*b", &address), "{length}");
    }
    let beyond = format!("/{}", "a".repeat(MAX_MATCHED_ADDRESS));
    assert!(!matches("/a*", &beyond));
}

/// A backtracking matcher would practically never end here. The bound is generous: it distinguishes
/// an endless search from a busy machine and does not measure speed.
#[test]
fn hostile_patterns_terminate() {
    let address = format!("/{}", "a".repeat(MAX_MATCHED_ADDRESS - 1));
    let start = Instant::now();
    for pattern in [
        format!("/{}b", "*a".repeat(500)),
        format!("/{}b", "{a,aa}*".repeat(140)),
        format!("/{}b", "{a,aa}".repeat(160)),
        format!("/{}b", "*?".repeat(500)),
        format!("/{}b", "*[a-z]".repeat(160)),
        format!("{}/b", "//*".repeat(300)),
    ] {
        assert!(!matches(&pattern, &address), "{pattern}");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// A simple recursive matcher to compare with, written directly from the specification.
fn reference(pattern: &[char], address: &[char]) -> bool {
    match pattern {
        [] => address.is_empty(),
        ['/', '/', rest @ ..] => {
            address.first() == Some(&'/')
                && (0..address.len())
                    .any(|offset| address[offset] == '/' && reference(rest, &address[offset + 1..]))
        }
        ['?', rest @ ..] => {
            matches!(address.first(), Some(c) if *c != '/') && reference(rest, &address[1..])
        }
        ['*', rest @ ..] => {
            let name = address.iter().take_while(|&&c| c != '/').count();
            (0..=name).any(|taken| reference(rest, &address[taken..]))
        }
        ['[', rest @ ..] => {
            let end = rest.iter().position(|&c| c == ']').expect("closed");
            let (list, negated) = match &rest[..end] {
                ['!', list @ ..] => (list, true),
                list => (list, false),
            };
            let Some(&character) = address.first() else { return false };
            let mut found = false;
            let mut offset = 0;
            while offset < list.len() {
                if offset + 2 < list.len() && list[offset + 1] == '-' {
                    found |= (list[offset]..=list[offset + 2]).contains(&character);
                    offset += 3;
                } else {
                    found |= list[offset] == character;
                    offset += 1;
                }
            }
            character != '/' && found != negated && reference(&rest[end + 1..], &address[1..])
        }
        ['{', rest @ ..] => {
            let end = rest.iter().position(|&c| c == '}').expect("closed");
            rest[..end].split(|&c| c == ',').any(|text| {
                address.starts_with(text) && reference(&rest[end + 1..], &address[text.len()..])
            })
        }
        [literal, rest @ ..] => address.first() == Some(literal) && reference(rest, &address[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn patterns_agree_with_the_reference_matcher(
        pattern in r"(//?(a|b|é|\?|\*|\[a-b\]|\[!a\]|\[b-\]|\{a,ab\}|\{b,,é\}){1,4}){1,3}",
        address in r"(/[abé]{1,4}){1,4}",
    ) {
        let characters: Vec<char> = pattern.chars().collect();
        let expected = reference(&characters, &address.chars().collect::<Vec<_>>());
        prop_assert_eq!(matches(&pattern, &address), expected);
    }

    #[test]
    fn no_pattern_panics(pattern in r"/[/ab?*\[\]{},!\-é]{0,20}", address in r"/[/abé,!]{0,12}") {
        consort_osc::fuzz::osc_pattern(format!("{pattern}\n{address}").as_bytes());
    }
}
