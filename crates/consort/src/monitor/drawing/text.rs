//! Texts and numbers in columns.

use ratatui::style::{Color, Style};
use ratatui::text::Span;

/// The style of what is less important.
pub(super) fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

/// The filled and the empty part of a meter, in steps of half a character.
pub(super) fn meter(value: f64, width: usize) -> (String, String) {
    let halves = (value.clamp(0.0, 1.0) * 2.0 * width as f64).round() as usize;
    let mut full = "█".repeat(halves / 2);
    if halves % 2 == 1 {
        full.push('▌');
    }
    (full, "─".repeat(width - halves.div_ceil(2)))
}

/// A count in at most 7 characters.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000_000 => number.to_string(),
        10_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1}G", number as f64 / 1e9),
        _ => format!("{:.0e}", number as f64),
    }
}

/// A rate in at most 6 characters.
pub(super) fn rate(rate: f64) -> String {
    if rate <= 0.0 {
        "0".to_owned()
    } else if rate < 999.95 {
        format!("{rate:.1}")
    } else if rate < 99_999.5 {
        format!("{rate:.0}")
    } else if rate < 999_950.0 {
        format!("{:.1}k", rate / 1e3)
    } else {
        format!("{:.1}M", rate / 1e6)
    }
}

/// How long ago something was, in at most 9 characters.
pub(super) fn age(now: f64, then: f64) -> String {
    match (now - then).max(0.0) {
        seconds if seconds < 100.0 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

/// The width of a text in columns; East Asian characters take two.
pub(super) fn width_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text cut to at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| {
        let needed = width_of(character.encode_utf8(&mut [0; 4]));
        let is_fitting = needed <= left;
        left = left.saturating_sub(needed);
        is_fitting
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A text cut or padded to exactly `width` columns.
pub(super) fn filled(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let blank = width.saturating_sub(width_of(&text));
    text + &" ".repeat(blank)
}

/// The end of a text in exactly `width` columns: the names of channels differ at their ends.
pub(super) fn ending(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return filled(text, width);
    }
    let mut start = 0;
    while width_of(&text[start..]) + 1 > width
        && let Some(character) = text[start..].chars().next()
    {
        start += character.len_utf8();
    }
    filled(&format!("…{}", &text[start..]), width)
}

/// A text in lines of at most `width` columns, broken at spaces; longer words are cut.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || width_of(line) + 1 + width_of(word) <= width);
        match line {
            Some(line) if line.is_empty() => *line = cut(word, width),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(cut(word, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        for number in [0, 1, 9_999_999, 10_000_000, 999_949_999, 12_345_678_901, u64::MAX] {
            assert!(count(number).len() <= 8, "{}", count(number));
        }
        for number in [0.0, 0.05, 999.9, 999.96, 99_999.0, 99_999.9, 999_949.0, 5e7, 9.9e8] {
            assert!(rate(number).len() <= 6, "{}", rate(number));
        }
        assert_eq!(meter(0.5, 3), ("█▌".into(), "─".into()));
        assert_eq!((meter(1.0, 2).0, meter(0.0, 2).1), ("██".into(), "──".into()));
        assert_eq!(meter(f64::NAN, 2).1, "──");
        assert_eq!(
            (age(3.0, 1.5), age(1.0, 2.0), age(500.0, 1.0)),
            ("1.5 s".into(), "0.0 s".into(), "499 s".into())
        );
    }

    #[test]
    fn texts_fit_their_columns() {
        for name in ["fader", "日本語のチャンネル", "a日本語のチャンネル", "é", ""]
        {
            assert_eq!(width_of(&filled(name, 8)), 8, "{name}");
        }
        assert_eq!((cut("日本語", 5), cut("日本語", 6)), ("日本…".into(), "日本語".into()));
        assert_eq!((ending("lamp.12", 5), ending("lamp", 5)), ("…p.12".into(), "lamp ".into()));
        assert_eq!((ending("日本語", 4), ending("日本", 1)), ("…語 ".into(), "…".into()));
        assert_eq!(wrapped("no route to 10.0.0.9", 8), ["no route", "to", "10.0.0.9"]);
        assert_eq!(wrapped("abcdefghijk", 4), ["abc…"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
