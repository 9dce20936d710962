//! Channel specifications with expressions, which expand to many: `ch{1..8}.{cc,note}7`.
//!
//! `{a..b}` stands for the numbers from a to b, up or down, and `{x,y,z}` for these texts. The
//! rightmost expression varies fastest. The expansion is not stored: each specification is written
//! when it is needed.

use std::fmt::Write;
use std::ops::Range;

/// How many expressions one specification may have.
pub const EXPRESSION_LIMIT: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Numbers { first: u64, last: u64 },
    Words(Vec<Range<usize>>),
}

impl Choice {
    fn count(&self) -> u64 {
        match self {
            Choice::Numbers { first, last } => first.abs_diff(*last).saturating_add(1),
            Choice::Words(words) => words.len() as u64,
        }
    }

    fn longest(&self) -> usize {
        match self {
            Choice::Numbers { first, last } => (*first).max(*last).to_string().len(),
            Choice::Words(words) => words.iter().map(Range::len).max().unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// The bytes of the specification, braces included.
    range: Range<usize>,
    choice: Choice,
    /// The number of specifications after which it advances to its next choice.
    stride: u64,
}

/// A parsed channel specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression<'t> {
    text: &'t str,
    parts: Vec<Part>,
    count: u64,
}

/// An error in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: &'static str,
    /// The bytes of the specification that the error concerns.
    pub range: Range<usize>,
}

const FORMS: &str = "write `{1..8}` for numbers or `{left,right}` for names";

impl<'t> Expression<'t> {
    /// Parses a specification.
    ///
    /// # Errors
    /// All errors in its expressions.
    pub fn parse(text: &'t str) -> Result<Self, Vec<ExpressionError>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut from = 0;
        while let Some(open) = text[from..].find('{').map(|offset| from + offset) {
            let mut error = |message: &str, hint, range| {
                errors.push(ExpressionError { message: message.to_owned(), hint, range });
            };
            let Some(close) = text[open..].find('}').map(|offset| open + offset) else {
                error("an expression is not closed", "`}` is missing", open..text.len());
                break;
            };
            from = close + 1;
            let inside = &text[open + 1..close];
            if let Some(second) = inside.find('{') {
                let second = open + 1 + second;
                error("expressions cannot be nested", FORMS, second..close + 1);
                continue;
            }
            if parts.len() == EXPRESSION_LIMIT {
                let message = format!("more than {EXPRESSION_LIMIT} expressions in one channel");
                error(&message, "split the mapping", open..text.len());
                break;
            }
            match choice(inside, open + 1) {
                Ok(choice) => parts.push(Part { range: open..close + 1, choice, stride: 1 }),
                Err((message, hint)) => error(message, hint, open..close + 1),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut count = 1_u64;
        for part in parts.iter_mut().rev() {
            part.stride = count;
            count = count.saturating_mul(part.choice.count());
        }
        Ok(Expression { text, parts, count })
    }

    /// The number of specifications that it expands to, at most `u64::MAX`.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether it contains no expression, so that it expands to its own text only.
    pub fn is_plain(&self) -> bool {
        self.parts.is_empty()
    }

    /// An upper bound for the length of a specification, in bytes.
    pub fn longest(&self) -> usize {
        let braces: usize = self.parts.iter().map(|part| part.range.len()).sum();
        let choices: usize = self.parts.iter().map(|part| part.choice.longest()).sum();
        self.text.len() - braces + choices
    }

    /// Replaces the content of `out` with the specification at `index`, which must be below
    /// [`Expression::count`].
    pub fn write(&self, index: u64, out: &mut String) {
        out.clear();
        self.pieces(index, out, |_, _| {});
    }

    /// The bytes of the expression that the bytes `range` of the specification at `index` come
    /// from. For a byte that an expression in braces produced, that is the whole expression.
    pub fn locate(&self, index: u64, range: Range<usize>) -> Range<usize> {
        let mut found: Option<Range<usize>> = None;
        let mut out = String::new();
        self.pieces(index, &mut out, |from: Range<usize>, to: Range<usize>| {
            let start = range.start.max(to.start);
            let end = range.end.min(to.end);
            if start > end || (start == end && !range.is_empty()) {
                return;
            }
            let piece =
                if from.len() == to.len() && self.text.as_bytes().get(from.start) != Some(&b'{') {
                    from.start + (start - to.start)..from.start + (end - to.start)
                } else {
                    from
                };
            found = Some(match found.take() {
                Some(before) => before.start..piece.end,
                None => piece,
            });
        });
        found.unwrap_or(0..self.text.len())
    }

    /// Writes a specification piece by piece; calls `each` with the bytes of each piece in the
    /// expression and in the specification.
    fn pieces(
        &self,
        index: u64,
        out: &mut String,
        mut each: impl FnMut(Range<usize>, Range<usize>),
    ) {
        let mut from = 0;
        for part in &self.parts {
            let start = out.len();
            out.push_str(&self.text[from..part.range.start]);
            each(from..part.range.start, start..out.len());
            let start = out.len();
            let digit = index / part.stride % part.choice.count();
            match &part.choice {
                Choice::Words(words) => out.push_str(&self.text[words[digit as usize].clone()]),
                &Choice::Numbers { first, last } => {
                    let number = if first <= last { first + digit } else { first - digit };
                    // Writing into a string cannot fail.
                    let _ = write!(out, "{number}");
                }
            }
            each(part.range.clone(), start..out.len());
            from = part.range.end;
        }
        let start = out.len();
        out.push_str(&self.text[from..]);
        each(from..self.text.len(), start..out.len());
    }
}

/// Reads the text between braces; `offset` is its start in the specification.
fn choice(inside: &str, offset: usize) -> Result<Choice, (&'static str, &'static str)> {
    let (first, rest) = number(inside);
    if let Some(rest) = rest.strip_prefix("..") {
        let (last, rest) = number(rest);
        let mixed = "write numbers with `..` or names with commas, not both";
        return match (first, last) {
            _ if rest.contains(',') => Err(("an expression mixes a range and a list", mixed)),
            (Number::TooLarge, _) | (_, Number::TooLarge) => {
                Err(("a number in a range is too large", "at most 18446744073709551615"))
            }
            (_, Number::Missing) if rest.is_empty() => {
                Err(("a range has no end", "write both ends, as in `{1..8}`"))
            }
            _ if !rest.is_empty() || matches!(last, Number::Missing) => {
                Err(("the end of a range is not a whole number", FORMS))
            }
            (Number::Missing, Number::Is(last)) => Ok(Choice::Numbers { first: 0, last }),
            (Number::Is(first), Number::Is(last)) => Ok(Choice::Numbers { first, last }),
            (_, Number::Missing) => Err(("a range has no end", FORMS)),
        };
    }
    if !inside.contains(',') {
        return Err(match inside {
            "" => ("an expression is empty", FORMS),
            _ if inside.starts_with('-') => ("a range cannot contain negative numbers", FORMS),
            _ if inside.contains("..") => ("a range needs whole numbers", FORMS),
            _ => ("an expression needs a range or a list", FORMS),
        });
    }
    let mut words = Vec::new();
    let mut start = offset;
    for word in inside.split(',') {
        if word.is_empty() {
            return Err(("a list has an empty item", "remove the extra comma"));
        }
        words.push(start..start + word.len());
        start += word.len() + 1;
    }
    Ok(Choice::Words(words))
}

#[derive(Clone, Copy)]
enum Number {
    Missing,
    TooLarge,
    Is(u64),
}

/// Reads an unsigned number after optional white space; returns what follows it.
fn number(text: &str) -> (Number, &str) {
    let digits = text.trim_ascii_start();
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    match digits.parse() {
        _ if digits.is_empty() => (Number::Missing, text),
        Ok(number) => (Number::Is(number), rest),
        Err(_) => (Number::TooLarge, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let expression = Expression::parse(text).unwrap();
        let mut out = String::new();
        (0..expression.count())
            .map(|index| {
                expression.write(index, &mut out);
                assert!(out.len() <= expression.longest());
                out.clone()
            })
            .collect()
    }

    #[test]
    fn ranges_count_up_and_down_and_lose_leading_zeros() {
        assert_eq!(all("x{1..3}"), ["x1", "x2", "x3"]);
        assert_eq!(all("x{3..1}y"), ["x3y", "x2y", "x1y"]);
        assert_eq!(all("{007..9}"), ["7", "8", "9"]);
        assert_eq!(all("{..2}"), ["0", "1", "2"]);
        assert_eq!(all("{ 1..2}"), ["1", "2"]);
        assert_eq!(all("{1.. 2}"), ["1", "2"]);
        assert_eq!(all("{5..5}"), ["5"]);
    }

    #[test]
    fn lists_are_verbatim_and_the_rightmost_expression_varies_fastest() {
        assert_eq!(all("{a, b ,ü}"), ["a", " b ", "ü"]);
        assert_eq!(all("{a..b,c}"), ["a..b", "c"]);
        assert_eq!(all("{a,b}{2..1}"), ["a2", "a1", "b2", "b1"]);
        assert_eq!(all("plain"), ["plain"]);
        assert_eq!(all("lone}"), ["lone}"]);
        assert_eq!(all(""), [""]);
    }

    #[test]
    fn invalid_expressions_are_rejected_with_their_position() {
        for (text, start, end) in [
            ("a{5}", 1, 4),
            ("a{1..}", 1, 6),
            ("a{}", 1, 3),
            ("a{,b}", 1, 5),
            ("a{b,}", 1, 5),
            ("a{b,,c}", 1, 7),
            ("a{1..2,3}", 1, 9),
            ("a{a..b}", 1, 7),
            ("a{-1..2}", 1, 8),
            ("a{1..2x}", 1, 8),
            ("a{1 ..2}", 1, 8),
            ("a{1..18446744073709551616}", 1, 26),
            ("a{1..2", 1, 6),
            ("a{1{2..3}}", 3, 9),
        ] {
            let errors = Expression::parse(text).unwrap_err();
            assert_eq!(errors[0].range, start..end, "{text}: {errors:?}");
        }
        assert_eq!(Expression::parse("{5}{1..}{x}").unwrap_err().len(), 3);
        let many = "{1..2}".repeat(EXPRESSION_LIMIT + 1);
        assert_eq!(Expression::parse(&many).unwrap_err().len(), 1);
    }

    #[test]
    fn a_large_expansion_is_counted_but_not_stored() {
        let expression = Expression::parse("{0..4294967295}").unwrap();
        assert_eq!(expression.count(), 1 << 32);
        let expression = Expression::parse("{0..18446744073709551615}{0..9}").unwrap();
        assert_eq!(expression.count(), u64::MAX);
        let mut out = String::new();
        expression.write(u64::MAX - 1, &mut out);
        assert!(!out.is_empty());
    }

    #[test]
    fn bytes_of_a_specification_are_found_in_the_expression() {
        let expression = Expression::parse("ch{1..12}.cc{7,8}x").unwrap();
        let mut out = String::new();
        expression.write(23, &mut out);
        assert_eq!(out, "ch12.cc8x");
        assert_eq!(expression.locate(23, 0..2), 0..2);
        assert_eq!(expression.locate(23, 2..4), 2..9);
        assert_eq!(expression.locate(23, 3..5), 2..10);
        assert_eq!(expression.locate(23, 5..7), 10..12);
        assert_eq!(expression.locate(23, 8..9), 17..18);
    }
}
