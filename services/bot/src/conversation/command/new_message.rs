//! The arguments of `new:text` and `new 1h:text`.

use std::time::Duration;

use mayfly_contracts::message_ref;

use super::arguments::{Arguments, ParseError};

/// How many characters of an invalid lifetime the reply repeats.
const LIFETIME_SHOWN: usize = 32;
/// Longer lifetimes are clamped to this: it exceeds every limit of a store and still fits the contract.
const LONGEST_LIFETIME: Duration = Duration::from_secs(1000 * 366 * 24 * 60 * 60);

/// The arguments of `new`. No `Debug`: the text is a secret.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct NewMessage {
    pub text: String,
    /// `None`: the default of the store.
    pub lifetime: Option<Duration>,
}

impl NewMessage {
    /// The text is everything after the first colon, byte for byte. A lifetime before the colon is one or more numbers
    /// with units: `30m`, `12h`, `1day 6h`, `2w`.
    ///
    /// `/new text` stores the text too. There, a part before a colon that is not a lifetime belongs to the text.
    pub(super) fn parse(arguments: Arguments<'_>) -> Result<Self, ParseError> {
        let (lifetime, text) = match arguments {
            Arguments::Prefix { argument: "", rest } => (None, rest),
            Arguments::Prefix { argument, rest } => (Some(lifetime(argument)?), rest),
            Arguments::Slash { tail } => {
                let timed =
                    tail.split_once(message_ref::is_colon).and_then(|(head, rest)| Some((lifetime(head).ok()?, rest)));
                timed.map_or((None, tail), |(lifetime, rest)| (Some(lifetime), rest))
            }
        };
        if text.chars().all(message_ref::is_invisible) {
            return Err(ParseError::NoText);
        }
        Ok(Self { text: text.to_owned(), lifetime })
    }
}

fn lifetime(written: &str) -> Result<Duration, ParseError> {
    // Keyboards of phones capitalize the first letter.
    let text: String = written.chars().map(message_ref::to_half_width).collect();
    let lifetime = humantime::parse_duration(&text.to_lowercase());
    let lifetime = lifetime.map_err(|_| ParseError::Lifetime(written.chars().take(LIFETIME_SHOWN).collect()))?;
    Ok(lifetime.min(LONGEST_LIFETIME))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn sentence<'text>(argument: &'text str, rest: &'text str) -> Arguments<'text> {
        Arguments::Prefix { argument, rest }
    }

    fn new(text: &str, lifetime: Option<Duration>) -> Result<NewMessage, ParseError> {
        Ok(NewMessage { text: text.to_owned(), lifetime })
    }

    #[test]
    fn the_text_is_kept_as_it_is() {
        for text in ["hello", "a:b", " hello \n", "/start", "*a_ `b"] {
            assert_eq!(NewMessage::parse(sentence("", text)), new(text, None));
            assert_eq!(NewMessage::parse(Arguments::Slash { tail: text }), new(text, None));
        }
    }

    #[test]
    fn a_lifetime_is_a_number_and_a_unit_in_any_case() {
        let table = [
            ("1h", HOUR),
            ("60M", HOUR),
            ("1hour", HOUR),
            ("1D", 24 * HOUR),
            ("2w", 14 * 24 * HOUR),
            ("1h 30min", HOUR * 3 / 2),
        ];
        for (written, lifetime) in table {
            assert_eq!(NewMessage::parse(sentence(written, "x")), new("x", Some(lifetime)), "{written}");
            let tail = format!("{written}:x");
            assert_eq!(NewMessage::parse(Arguments::Slash { tail: &tail }), new("x", Some(lifetime)), "{written}");
        }
    }

    #[test]
    fn a_lifetime_that_is_none_is_repeated_up_to_a_length() {
        for written in ["1", "h", "1x", "-1h", "tomorrow", "1h!", "car"] {
            assert_eq!(
                NewMessage::parse(sentence(written, "x")),
                Err(ParseError::Lifetime(written.to_owned())),
                "{written}"
            );
        }
        let long = "🎲".repeat(5000);
        assert_eq!(NewMessage::parse(sentence(&long, "x")), Err(ParseError::Lifetime("🎲".repeat(LIFETIME_SHOWN))));
    }

    #[test]
    fn a_lifetime_without_end_still_fits_the_contract() {
        let Ok(NewMessage { lifetime, .. }) = NewMessage::parse(sentence("9999999999y", "x")) else {
            panic!("refused")
        };
        assert_eq!(lifetime, Some(LONGEST_LIFETIME));
    }

    #[test]
    fn only_what_is_a_lifetime_is_taken_for_one_after_the_command() {
        assert_eq!(NewMessage::parse(Arguments::Slash { tail: "note: buy milk" }), new("note: buy milk", None));
        assert_eq!(NewMessage::parse(Arguments::Slash { tail: "1h" }), new("1h", None));
    }

    #[test]
    fn invisible_characters_are_no_text() {
        for text in ["", " ", "\n\t", "\u{200b}\u{feff}", "\u{200f}"] {
            assert_eq!(NewMessage::parse(sentence("", text)), Err(ParseError::NoText), "{text:?}");
            assert_eq!(NewMessage::parse(sentence("1h", text)), Err(ParseError::NoText), "{text:?}");
            assert_eq!(NewMessage::parse(Arguments::Slash { tail: text }), Err(ParseError::NoText), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn everything_is_a_lifetime_or_a_parse_error(argument in any::<String>(), rest in any::<String>()) {
            let _ = NewMessage::parse(sentence(&argument, &rest));
            let _ = NewMessage::parse(Arguments::Slash { tail: &argument });
        }
    }
}
