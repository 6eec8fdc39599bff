//! What a text wants from the bot. Pure and total: every text has exactly one intent.

use crate::keywords;

/// What a text wants. No `Debug`: it borrows secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Intent<'text> {
    /// `new:text`: keep the text. Everything after the first colon, as it is; possibly nothing.
    Create { text: &'text str },
    /// `id:token`: show the text once. Whether the token is one is for the store to say.
    View { id: i64, access_token: &'text str },
    /// A number no message can have, before a colon: nothing the store ever gave out.
    Mistyped,
    /// `/start` or `/help`.
    Help,
    /// Anything else.
    Unknown,
}

impl<'text> Intent<'text> {
    /// Reads `text` as Telegram delivered it.
    pub(crate) fn of(text: &'text str) -> Self {
        if let Some(command) = text.trim_start().strip_prefix('/') {
            return Self::of_command(command);
        }
        let Some((head, rest)) = text.split_once(':') else { return Self::Unknown };
        let head = head.trim();
        if let Some(keyword) = keywords::find(head) {
            return (keyword.parse)(rest);
        }
        if head.is_empty() || !head.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::Unknown;
        }
        match head.parse() {
            Ok(id) if id > 0 => Self::View { id, access_token: rest.trim() },
            _ => Self::Mistyped,
        }
    }

    /// `start payload`, `help@some_bot`: in a private chat the name behind the `@` can only be ours.
    fn of_command(command: &str) -> Self {
        let word = command.split(char::is_whitespace).next().unwrap_or_default();
        let name = word.split('@').next().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "start" | "help" => Self::Help,
            _ => Self::Unknown,
        }
    }

    /// Its name in logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create { .. } => "create_message",
            Self::View { .. } => "view_message",
            Self::Mistyped => "mistyped",
            Self::Help => "help",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_after_the_first_colon_is_kept_as_it_is() {
        assert_eq!(Intent::of("new:hello"), Intent::Create { text: "hello" });
        assert_eq!(Intent::of("new:a:b"), Intent::Create { text: "a:b" });
        assert_eq!(Intent::of("new: hello \n"), Intent::Create { text: " hello \n" });
        assert_eq!(Intent::of("new:"), Intent::Create { text: "" });
        assert_eq!(Intent::of("new:/start"), Intent::Create { text: "/start" });
    }

    #[test]
    fn a_keyword_may_be_written_in_any_case() {
        for text in ["New:x", "NEW:x", "nEw:x", " new :x"] {
            assert_eq!(Intent::of(text), Intent::Create { text: "x" }, "{text}");
        }
    }

    #[test]
    fn blanks_around_an_id_and_its_token_are_accepted() {
        for text in ["7:abc", " 7:abc\n", "7: abc", "\u{a0}7:abc\r\n"] {
            assert_eq!(Intent::of(text), Intent::View { id: 7, access_token: "abc" }, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_passed_on_for_the_store_to_judge() {
        assert_eq!(Intent::of("1:lunch?"), Intent::View { id: 1, access_token: "lunch?" });
        assert_eq!(Intent::of("1:"), Intent::View { id: 1, access_token: "" });
    }

    #[test]
    fn a_number_that_no_message_has_is_mistyped() {
        assert_eq!(Intent::of("0:abc"), Intent::Mistyped);
        assert_eq!(Intent::of("9223372036854775808:abc"), Intent::Mistyped);
    }

    #[test]
    fn start_and_help_are_understood_with_a_name_and_a_payload() {
        for text in ["/start", "/help", "/START", "/start@mayfly_bot", "/start payload:1", "/help\n"] {
            assert_eq!(Intent::of(text), Intent::Help, "{text}");
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        for text in ["", ":", " : ", "hello", "old:x", "+1:abc", "-1:abc", "١:abc", "/", "/stop", "1.5:x", "news:x"] {
            assert_eq!(Intent::of(text), Intent::Unknown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_an_intent(text in any::<String>()) {
            let _ = Intent::of(&text).name();
        }

        #[test]
        fn every_text_can_be_kept(text in any::<String>(), upper in any::<bool>()) {
            let message = format!("{}:{text}", if upper { "NEW" } else { "new" });
            prop_assert_eq!(Intent::of(&message), Intent::Create { text: &text });
        }

        #[test]
        fn every_id_with_a_token_is_a_view(id in 1..=i64::MAX, token in "[0-9a-f]{64}", before in "\\s{0,3}", after in "\\s{0,3}") {
            let message = format!("{before}{id}:{token}{after}");
            prop_assert_eq!(Intent::of(&message), Intent::View { id, access_token: &token });
        }
    }
}
