//! Address patterns.
//!
//! A pattern is a sequence of steps. Matching keeps the set of offsets in the address that the
//! steps so far can end at, one bit each, and moves that set on step by step: time is at most
//! (length of the pattern) × (length of the address), whatever the pattern, and nothing is
//! allocated.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result, is_pattern};

/// The longest pattern in bytes.
pub const MAX_PATTERN: usize = 1_024;

/// The longest address in bytes that a pattern with wildcards matches; a longer one matches only
/// a pattern of the same text.
pub const MAX_MATCHED_ADDRESS: usize = 4_095;

/// One step of a pattern, borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step<'p> {
    /// Literal bytes.
    Literal(&'p [u8]),
    /// `?`: one character of a name.
    One,
    /// `*`: any number of characters of a name, including none.
    Any,
    /// `[…]` and `[!…]`: one character in the list, or not in it.
    Class { list: &'p str, negated: bool },
    /// `{…}`: one of the texts between commas.
    Alternatives(&'p [u8]),
    /// `//`: a slash, or one with any levels before and after it up to another.
    Descend,
}

/// Splits a pattern into steps and validates it.
#[derive(Clone)]
struct Steps<'p> {
    pattern: &'p str,
    at: usize,
}

impl<'p> Steps<'p> {
    fn new(pattern: &'p str) -> Result<Self> {
        if pattern.len() > MAX_PATTERN {
            let kind = ErrorKind::TooLarge { limit: MAX_PATTERN };
            return Err(Error::new(kind, MAX_PATTERN));
        }
        if !pattern.starts_with('/') {
            return Err(Error::new(ErrorKind::AddressWithoutSlash, 0));
        }
        Ok(Self { pattern, at: 0 })
    }

    /// The text between the bracket at `self.at` and its counterpart; moves past the counterpart.
    fn inside(&mut self, open: char, close: char) -> Result<&'p str> {
        let start = self.at + 1;
        let Some(length) = self.pattern[start..].find(close) else {
            return Err(Error::new(ErrorKind::Unclosed(open), self.at));
        };
        self.at = start + length + 1;
        Ok(&self.pattern[start..start + length])
    }

    fn class(&mut self) -> Result<Step<'p>> {
        let start = self.at + 1;
        let whole = self.inside('[', ']')?;
        let (list, negated) = match whole.strip_prefix('!') {
            Some(list) => (list, true),
            None => (whole, false),
        };
        if list.is_empty() {
            return Err(Error::new(ErrorKind::EmptyClass, start));
        }
        forbid(whole, start, |character| "/[{}*?,# ".contains(character))?;
        for range in ranges(list) {
            if range.0 > range.1 {
                return Err(Error::new(ErrorKind::ReversedRange(range.0, range.1), start));
            }
        }
        Ok(Step::Class { list, negated })
    }

    fn alternatives(&mut self) -> Result<Step<'p>> {
        let start = self.at + 1;
        let list = self.inside('{', '}')?;
        forbid(list, start, |character| "/[]{*?# ".contains(character))?;
        Ok(Step::Alternatives(list.as_bytes()))
    }

    fn slash(&mut self) -> Result<Step<'p>> {
        let rest = &self.pattern.as_bytes()[self.at..];
        let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
        if slashes > 2 || slashes == rest.len() {
            return Err(Error::new(ErrorKind::EmptyName, self.at + slashes.min(2)));
        }
        self.at += slashes;
        Ok(if slashes == 2 { Step::Descend } else { Step::Literal(&rest[..1]) })
    }

    fn literal(&mut self) -> Result<Step<'p>> {
        let start = self.at;
        for (offset, character) in self.pattern[start..].char_indices() {
            let bytes = self.pattern.as_bytes();
            match character {
                '?' | '*' | '[' | '{' => break,
                // `/` belongs to the text, unless it begins a `//` or ends the pattern.
                '/' if matches!(bytes.get(start + offset + 1), None | Some(b'/')) => break,
                ']' | '}' => {
                    return Err(Error::new(ErrorKind::Unopened(character), start + offset));
                }
                ' ' | '#' | ',' => {
                    let kind = ErrorKind::ForbiddenCharacter(character);
                    return Err(Error::new(kind, start + offset));
                }
                character if character.is_control() => {
                    let kind = ErrorKind::ForbiddenCharacter(character);
                    return Err(Error::new(kind, start + offset));
                }
                _ => {}
            }
            self.at = start + offset + character.len_utf8();
        }
        Ok(Step::Literal(&self.pattern.as_bytes()[start..self.at]))
    }
}

impl<'p> Iterator for Steps<'p> {
    type Item = Result<Step<'p>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.pattern.as_bytes()[self.at..];
        Some(match rest.first()? {
            b'?' => {
                self.at += 1;
                Ok(Step::One)
            }
            b'*' => {
                self.at += rest.iter().take_while(|&&byte| byte == b'*').count();
                Ok(Step::Any)
            }
            b'[' => self.class(),
            b'{' => self.alternatives(),
            b'/' if matches!(rest.get(1), None | Some(b'/')) => self.slash(),
            _ => self.literal(),
        })
    }
}

/// Rejects characters that are not allowed between brackets or braces.
fn forbid(list: &str, start: usize, forbidden: impl Fn(char) -> bool) -> Result<()> {
    match list.char_indices().find(|&(_, character)| forbidden(character) || character.is_control())
    {
        Some((offset, character)) => {
            Err(Error::new(ErrorKind::ForbiddenInside(character), start + offset))
        }
        None => Ok(()),
    }
}

/// The ranges of a class; a single character is a range of itself, and so is a `-` at either
/// end.
fn ranges(list: &str) -> impl Iterator<Item = (char, char)> {
    let mut rest = list.chars();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-')
            && let Some(last) = ahead.next()
        {
            rest = ahead;
            return Some((first, last));
        }
        Some((first, first))
    })
}

/// A set of offsets `0..64 * WORDS`.
#[derive(Clone, Copy)]
struct Offsets<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Offsets<WORDS> {
    const EMPTY: Self = Self([0; WORDS]);

    #[inline]
    fn insert(&mut self, offset: usize) {
        self.0[offset / 64] |= 1 << (offset % 64);
    }

    #[inline]
    fn contains(&self, offset: usize) -> bool {
        self.0[offset / 64] & (1 << (offset % 64)) != 0
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut word = word;
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let bit = word.trailing_zeros() as usize;
                word &= word - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// Moves the set of offsets over one step.
#[inline]
fn advance<const WORDS: usize>(
    step: Step<'_>,
    address: &str,
    from: &Offsets<WORDS>,
) -> Offsets<WORDS> {
    let bytes = address.as_bytes();
    let mut to = Offsets::EMPTY;
    let character = |offset: usize| match *bytes.get(offset)? {
        b'/' => None,
        byte if byte.is_ascii() => Some(char::from(byte)),
        _ => address[offset..].chars().next(),
    };
    match step {
        Step::Literal(text) => {
            for offset in from.iter() {
                if bytes[offset..].starts_with(text) {
                    to.insert(offset + text.len());
                }
            }
        }
        Step::One => {
            for offset in from.iter() {
                if let Some(character) = character(offset) {
                    to.insert(offset + character.len_utf8());
                }
            }
        }
        Step::Class { list, negated } => {
            for offset in from.iter() {
                if let Some(character) = character(offset)
                    && ranges(list).any(|(a, b)| (a..=b).contains(&character)) != negated
                {
                    to.insert(offset + character.len_utf8());
                }
            }
        }
        Step::Alternatives(list) => {
            for offset in from.iter() {
                for text in list.split(|&byte| byte == b',') {
                    if bytes[offset..].starts_with(text) {
                        to.insert(offset + text.len());
                    }
                }
            }
        }
        Step::Any => {
            for start in from.iter() {
                // An earlier start already passed here, so all further offsets are in the set.
                for offset in start..=bytes.len() {
                    if to.contains(offset) {
                        break;
                    }
                    if address.is_char_boundary(offset) {
                        to.insert(offset);
                    }
                    if bytes.get(offset) == Some(&b'/') {
                        break;
                    }
                }
            }
        }
        Step::Descend => {
            // A slash leads to the offset after every later slash: the earliest start reaches them all.
            if let Some(start) = from.iter().find(|&offset| bytes.get(offset) == Some(&b'/')) {
                for (offset, _) in bytes.iter().enumerate().skip(start).filter(|(_, b)| **b == b'/')
                {
                    to.insert(offset + 1);
                }
            }
        }
    }
    to
}

/// Whether the steps lead from the address's start to its end.
fn matches_in<'p, const WORDS: usize>(
    steps: impl Iterator<Item = Result<Step<'p>>>,
    address: &str,
) -> Result<bool> {
    let mut offsets = Offsets::<WORDS>::EMPTY;
    offsets.insert(0);
    for step in steps {
        offsets = advance(step?, address, &offsets);
        if offsets.is_empty() {
            return Ok(false);
        }
    }
    Ok(offsets.contains(address.len()))
}

fn matches_steps<'p>(steps: impl Iterator<Item = Result<Step<'p>>>, address: &str) -> Result<bool> {
    match address.len() {
        0..64 => matches_in::<1>(steps, address),
        64..256 => matches_in::<4>(steps, address),
        256..=MAX_MATCHED_ADDRESS => matches_in::<64>(steps, address),
        _ => Ok(false),
    }
}

/// Whether `pattern` matches `address`, for a pattern that is used once, such as the address of
/// a received message. Does not allocate.
///
/// # Errors
///
/// As [`Pattern::new`], but only for errors in the part of the pattern that was compared: a
/// mismatch before the error returns `false`.
pub fn address_matches(pattern: &str, address: &str) -> Result<bool> {
    if !is_pattern(pattern) {
        return Ok(pattern == address);
    }
    matches_steps(Steps::new(pattern)?, address)
}

/// One step in a [`Pattern`], as offsets into its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stored {
    Literal(u16, u16),
    One,
    Any,
    Class { start: u16, end: u16, negated: bool },
    Alternatives(u16, u16),
    Descend,
}

/// A checked address pattern, for matching many addresses.
///
/// | | matches |
/// |---|---|
/// | `?` | one character |
/// | `*` | any number of characters, including none |
/// | `[abc]` `[a-z]` | one character of the list or range; a `-` at the end is literal |
/// | `[!abc]` | one character that is not in the list |
/// | `{foo,bar}` | one of the texts |
/// | `//` | any number of levels, including none (OSC 1.1) |
///
/// Only `//` matches across a `/`. Names are compared as UTF-8 characters. Matching takes at most
/// (length of pattern) × (length of address) steps, also for hostile patterns, and does not
/// allocate.
///
/// ```
/// use consort_osc::Pattern;
/// let pattern: Pattern = "/mixer/{1,2}/le?el*".parse().unwrap();
/// assert!(pattern.matches("/mixer/2/level"));
/// assert!(!pattern.matches("/mixer/3/level"));
/// assert!(Pattern::new("//level").unwrap().matches("/mixer/2/level"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    steps: Box<[Stored]>,
}

impl Pattern {
    /// Checks and compiles a pattern. An address without wildcards is a valid pattern.
    ///
    /// # Errors
    ///
    /// With the offset in bytes: a text that does not start with `/` or has an empty name,
    /// unbalanced brackets or braces, empty or descending classes, characters that are not
    /// allowed at their place, and more than [`MAX_PATTERN`] bytes.
    pub fn new(pattern: &str) -> Result<Self> {
        let place = |text: &[u8]| {
            // Offsets fit: a pattern is at most MAX_PATTERN bytes.
            let start = text.as_ptr() as usize - pattern.as_ptr() as usize;
            (start as u16, (start + text.len()) as u16)
        };
        let steps = Steps::new(pattern)?.map(|step| {
            Ok(match step? {
                Step::Literal(text) => {
                    let (start, end) = place(text);
                    Stored::Literal(start, end)
                }
                Step::One => Stored::One,
                Step::Any => Stored::Any,
                Step::Class { list, negated } => {
                    let (start, end) = place(list.as_bytes());
                    Stored::Class { start, end, negated }
                }
                Step::Alternatives(list) => {
                    let (start, end) = place(list);
                    Stored::Alternatives(start, end)
                }
                Step::Descend => Stored::Descend,
            })
        });
        Ok(Self { steps: steps.collect::<Result<_>>()?, text: pattern.into() })
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there are no wildcards, so that only the address of the same text matches.
    pub fn is_literal(&self) -> bool {
        matches!(*self.steps, [Stored::Literal(..)])
    }

    /// Whether `address` matches. Does not allocate.
    pub fn matches(&self, address: &str) -> bool {
        if self.is_literal() {
            return *self.text == *address;
        }
        // The first step is a literal unless the pattern begins with `//`; it rejects most
        // addresses that do not match.
        let text =
            |start: u16, end: u16| &self.text.as_bytes()[usize::from(start)..usize::from(end)];
        if let Some(&Stored::Literal(start, end)) = self.steps.first()
            && !address.as_bytes().starts_with(text(start, end))
        {
            return false;
        }
        let steps = self.steps.iter().map(|step| {
            Ok(match *step {
                Stored::Literal(start, end) => Step::Literal(text(start, end)),
                Stored::One => Step::One,
                Stored::Any => Step::Any,
                Stored::Class { start, end, negated } => {
                    let list = &self.text[usize::from(start)..usize::from(end)];
                    Step::Class { list, negated }
                }
                Stored::Alternatives(start, end) => Step::Alternatives(text(start, end)),
                Stored::Descend => Step::Descend,
            })
        });
        matches_steps(steps, address).unwrap_or(false)
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(pattern: &str) -> Result<Self> {
        Self::new(pattern)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}
