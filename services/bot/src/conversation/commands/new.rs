//! `new:text` and `new 1h:text`: keeps a text.

use std::time::Duration;

use mayfly_contracts::message::CreateMessageRequest;

use super::{Answering, Arguments, Keyword, Operation, ParseError};
use crate::{
    conversation::{
        buttons,
        handlers::{Context, ShuttingDown, refused},
        message_ref::{self, MessageRef},
        reply::{OutgoingMessage, Reply},
        request_ids,
        texts::Phrase,
        wording::Asked,
    },
    updates::event::{ChatEvent, Content},
};

/// As much of a wrong lifetime is repeated to whoever wrote it.
const LIFETIME_SHOWN: usize = 32;
/// Any longer one is longer than what a store can be set to, and than what the contract can carry.
const LONGEST_LIFETIME: Duration = Duration::from_secs(1000 * 366 * 24 * 60 * 60);

pub(super) const KEYWORD: Keyword = Keyword {
    name: "new",
    verb: "create_message",
    parse: |written| Ok(Box::new(New::parse(written)?)),
    help: Phrase::NewHelp,
    command: Phrase::NewCommand,
};

/// A text to keep. No `Debug`: it is a secret.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
struct New {
    text: String,
    /// Unset: what the store is set to.
    lifetime: Option<Duration>,
}

impl New {
    /// Everything after the first colon is the text, byte for byte. A lifetime before it is a number and a unit, or several of
    /// these: `30m`, `12h`, `1day 6h`, `2w`.
    ///
    /// `/new text` keeps the text too. Only what is a lifetime counts as one there, as in `/new 1h:text`.
    fn parse(written: Arguments<'_>) -> Result<Self, ParseError> {
        let (lifetime, text) = match written {
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

    /// Answers exactly `id:token`, so that the whole message can be forwarded or copied.
    async fn create(&self, tools: &Context, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
        let request = CreateMessageRequest {
            ttl: self.lifetime.and_then(|lifetime| lifetime.try_into().ok()),
            request_id: request_ids::create_request(&tools.bot_key, event.update_id, event.chat, event.message_id())
                .to_string(),
            ..CreateMessageRequest::from_text(&self.text)
        };
        match tools.store.create_message(request).await {
            Ok(created) => {
                let message_ref = MessageRef { id: created.id, access_token: created.access_token };
                let buttons = buttons::created(tools, event.language, &message_ref);
                let message = OutgoingMessage { buttons, ..OutgoingMessage::new(message_ref.to_text()) };
                let follow_up = lost_marks(event);
                Ok(Reply { message: Some(message), follow_up, stores_request: true, ..Reply::new("created") })
            }
            Err(failure) => refused(event.language, Asked::Create, failure),
        }
    }
}

impl Operation for New {
    fn handle<'a>(&'a self, tools: &'a Context, event: &'a ChatEvent) -> Answering<'a> {
        Box::pin(self.create(tools, event))
    }
}

/// A warning, if the sender's app may have taken characters out of the text before it came here.
fn lost_marks(event: &ChatEvent) -> Option<String> {
    let Content::Text { lost_marks, .. } = &event.content else { return None };
    let marks = lost_marks.join("  ");
    (!marks.is_empty()).then(|| event.language.text_with(Phrase::LostMarks, [("marks", marks.as_str())]))
}

fn lifetime(written: &str) -> Result<Duration, ParseError> {
    // Keyboards of phones like to begin with a capital.
    let to_half_width: String = written.chars().map(message_ref::to_half_width).collect();
    let lifetime = humantime::parse_duration(&to_half_width.to_lowercase());
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

    fn new(text: &str, lifetime: Option<Duration>) -> Result<New, ParseError> {
        Ok(New { text: text.to_owned(), lifetime })
    }

    #[test]
    fn the_text_is_kept_as_it_is() {
        for text in ["hello", "a:b", " hello \n", "/start", "*a_ `b"] {
            assert_eq!(New::parse(sentence("", text)), new(text, None));
            assert_eq!(New::parse(Arguments::Slash { tail: text }), new(text, None));
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
            assert_eq!(New::parse(sentence(written, "x")), new("x", Some(lifetime)), "{written}");
            let tail = format!("{written}:x");
            assert_eq!(New::parse(Arguments::Slash { tail: &tail }), new("x", Some(lifetime)), "{written}");
        }
    }

    #[test]
    fn a_lifetime_that_is_none_is_repeated_up_to_a_length() {
        for written in ["1", "h", "1x", "-1h", "tomorrow", "1h!", "car"] {
            assert_eq!(New::parse(sentence(written, "x")), Err(ParseError::Lifetime(written.to_owned())), "{written}");
        }
        let long = "🎲".repeat(5000);
        assert_eq!(New::parse(sentence(&long, "x")), Err(ParseError::Lifetime("🎲".repeat(LIFETIME_SHOWN))));
    }

    #[test]
    fn a_lifetime_without_end_still_fits_the_contract() {
        let Ok(New { lifetime, .. }) = New::parse(sentence("9999999999y", "x")) else { panic!("refused") };
        assert_eq!(lifetime, Some(LONGEST_LIFETIME));
    }

    #[test]
    fn only_what_is_a_lifetime_is_taken_for_one_after_the_command() {
        assert_eq!(New::parse(Arguments::Slash { tail: "note: buy milk" }), new("note: buy milk", None));
        assert_eq!(New::parse(Arguments::Slash { tail: "1h" }), new("1h", None));
    }

    #[test]
    fn what_leaves_no_mark_is_no_text() {
        for text in ["", " ", "\n\t", "\u{200b}\u{feff}", "\u{200f}"] {
            assert_eq!(New::parse(sentence("", text)), Err(ParseError::NoText), "{text:?}");
            assert_eq!(New::parse(sentence("1h", text)), Err(ParseError::NoText), "{text:?}");
            assert_eq!(New::parse(Arguments::Slash { tail: text }), Err(ParseError::NoText), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn everything_is_a_lifetime_or_a_mistake(argument in any::<String>(), rest in any::<String>()) {
            let _ = New::parse(sentence(&argument, &rest));
            let _ = New::parse(Arguments::Slash { tail: &argument });
        }
    }
}
