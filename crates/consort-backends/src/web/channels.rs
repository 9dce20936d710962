//! The channels of a surface: `KIND.NAME`, and `xy.NAME.x` or `.y`.

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};
use consort_suggest::nearest;
use consort_web::WidgetKind;

/// The longest name of a widget, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A channel and the widget it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// The whole specification.
    pub(super) name: String,
    /// `KIND.NAME`.
    pub(super) widget: String,
    pub(super) kind: WidgetKind,
}

impl Channel {
    /// Reads a specification.
    ///
    /// # Errors
    /// When there is no such channel, or it cannot be used in this direction.
    pub(super) fn parse(specification: &str, usage: Usage) -> Result<Channel, ChannelError> {
        let (word, rest) = specification.split_once('.').unwrap_or((specification, ""));
        let Some(kind) = kind(word) else {
            let words = WidgetKind::ALL.map(WidgetKind::word);
            let hint = match nearest(word, words) {
                Some(found) => format!("did you mean `{found}`?"),
                None => "write a widget and its name, such as `fader.volume`".to_owned(),
            };
            return Err(ChannelError::new(format!("a surface has no widget `{word}`"))
                .with_hint(hint)
                .with_range(0, word.len()));
        };
        let name = match kind {
            WidgetKind::Xy => {
                let axis = rest.rsplit_once('.').filter(|(_, axis)| ["x", "y"].contains(axis));
                let Some((name, _)) = axis else {
                    return Err(ChannelError::new(format!(
                        "`{specification}` has no axis: expected `xy.NAME.x` or `xy.NAME.y`"
                    )));
                };
                name
            }
            _ => rest,
        };
        if !is_name(name) {
            let start = word.len() + usize::from(specification.len() > word.len());
            return Err(ChannelError::new(format!(
                "`{name}` is not a name: expected up to {MAX_NAME_BYTES} letters, digits, `_` or `-`"
            ))
            .with_hint(format!("write it such as `{word}.volume`"))
            .with_range(start, start + name.len()));
        }
        if usage == Usage::Source && matches!(kind, WidgetKind::Meter | WidgetKind::Text) {
            return Err(ChannelError::new(format!("`{specification}` can only be a target"))
                .with_hint("a `meter` and a `text` show values; use a `fader` or a `button`"));
        }
        Ok(Channel { name: specification.to_owned(), widget: format!("{word}.{name}"), kind })
    }

    pub(super) fn kind(&self) -> ChannelKind {
        match self.kind {
            WidgetKind::Button => ChannelKind::Momentary,
            _ => ChannelKind::Absolute,
        }
    }

    pub(super) fn resolution(&self) -> Resolution {
        match self.kind {
            WidgetKind::Button | WidgetKind::Toggle => Resolution::steps(2),
            _ => Resolution::CONTINUOUS,
        }
    }
}

/// The kind that a word names.
pub(super) fn kind(word: &str) -> Option<WidgetKind> {
    WidgetKind::ALL.into_iter().find(|kind| kind.word() == word)
}

/// Whether a text can be the name of a widget.
pub(super) fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_a_widget_with_a_name() {
        for (text, widget, kind) in [
            ("fader.volume", "fader.volume", WidgetKind::Fader),
            ("button.größe-1", "button.größe-1", WidgetKind::Button),
            ("xy.pad.x", "xy.pad", WidgetKind::Xy),
            ("xy.pad.y", "xy.pad", WidgetKind::Xy),
        ] {
            let channel = Channel::parse(text, Usage::Source).expect(text);
            assert_eq!((channel.widget.as_str(), channel.kind), (widget, kind));
            assert_eq!(channel.name, text);
        }
        let long = format!("fader.{}", "a".repeat(MAX_NAME_BYTES + 1));
        for text in [
            "",
            "fader",
            "fader.",
            "fader.a.b",
            "fader.a b",
            "xy.pad",
            "xy..x",
            "xy.pad.z",
            "slider.a",
            "fader.a\"",
            &long,
        ] {
            assert!(Channel::parse(text, Usage::Source).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_state_what_was_expected() {
        let error = Channel::parse("fadr.a", Usage::Source).expect_err("no widget");
        assert_eq!(error.message, "a surface has no widget `fadr`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `fader`?"));
        let error = Channel::parse("meter.a", Usage::Source).expect_err("a target");
        assert_eq!(error.message, "`meter.a` can only be a target");
        assert!(Channel::parse("meter.a", Usage::Target).is_ok());
    }
}
