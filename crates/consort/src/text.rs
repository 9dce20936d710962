//! Small helpers for printed text.

/// A number with its noun in the right form: `1 event`, `2 events`, `0 events`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Whether a character can control a terminal, or make text look like another text: control
/// characters, and those that end lines or change the direction of what follows.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Text from the network as it may be printed: without characters that [`is_unsafe`] finds.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match is_unsafe(character) {
            true => safe.extend(character.escape_unicode()),
            false => safe.push(character),
        }
    }
    safe
}

/// Counts of lost and refused datagrams as the end of a line of counters; empty if there are none.
pub(crate) fn losses(lost: u64, refused: u64) -> String {
    let part = |count: u64, word: &str| match count {
        0 => String::new(),
        _ => format!(", {} {word}", counted(count, "datagram")),
    };
    part(lost, "lost") + &part(refused, "refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(counted(0, "error"), "0 errors");
        assert_eq!(counted(1, "error"), "1 error");
        assert_eq!(counted(2, "error"), "2 errors");
        assert_eq!(printable("/a\r\n\u{202e}ü"), "/a\\u{d}\\u{a}\\u{202e}ü");
        assert_eq!(losses(0, 0), "");
        assert_eq!(losses(1, 20), ", 1 datagram lost, 20 datagrams refused");
    }
}
