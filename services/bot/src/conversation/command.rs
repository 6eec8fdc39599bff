//! Parses a text into a command. Pure and total: every text is exactly one command.

mod arguments;
mod keyword;
mod new_message;

use mayfly_contracts::{
    MessageRef,
    message_ref::{is_colon, is_invisible, to_half_width},
};

use self::arguments::Arguments;
pub(crate) use self::{arguments::ParseError, keyword::Keyword, new_message::NewMessage};
use crate::conversation::link::{self, LINK_PREFIX, LinkParse};

/// A longer text that is no command is probably the second part of a text that the sender's app split in two.
const LONG_TEXT: usize = 500;

/// A parsed text. No `Debug`: it holds secrets.
pub(crate) enum Command {
    /// `new:text`: store the text.
    New(NewMessage),
    /// `id:token`: show the text once.
    View(MessageRef),
    /// `look:id:token`: show the state of the message.
    Look(MessageRef),
    /// `burn:id:token`: delete the message unread.
    Burn(MessageRef),
    /// `/start link` or a pasted link: offer to show the message. Apps send `/start link` after a click on
    /// `t.me/bot?start=link`.
    Open(MessageRef),
    /// `/start` or `/help`.
    Help,
    /// A command that is malformed.
    Invalid(ParseError),
    /// No command.
    Unknown { is_long: bool },
}

impl Command {
    /// Parses `text` as Telegram delivered it.
    pub(crate) fn parse(text: &str) -> Self {
        Self::parse_known(text).unwrap_or_else(|| Self::Unknown { is_long: text.chars().nth(LONG_TEXT).is_some() })
    }

    /// Returns `None` if `text` is no command.
    fn parse_known(text: &str) -> Option<Self> {
        if let Some(command) = text.trim_start_matches(is_invisible).strip_prefix(|slash| to_half_width(slash) == '/') {
            return Self::parse_slash(command);
        }
        let parts = text.split_once(is_colon);
        let parts =
            parts.map(|(head, rest)| (head.trim_matches(is_invisible).chars().map(to_half_width).collect(), rest));
        let parts: Option<(String, &str)> = parts;
        if let Some((head, rest)) = &parts {
            let (word, argument) = head.split_once(is_invisible).unwrap_or((head, ""));
            if let Some(keyword) = Keyword::find(word) {
                let argument = argument.trim_matches(is_invisible);
                return Some(Self::parse_arguments(keyword, Arguments::Prefix { argument, rest }));
            }
        }
        match link::find(text) {
            LinkParse::MessageRef(message_ref) => return Some(Self::Open(message_ref)),
            LinkParse::Damaged => return Some(Self::Invalid(ParseError::Link)),
            LinkParse::NotALink => {}
        }
        let (head, rest) = parts?;
        let is_id = !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_digit());
        match MessageRef::from_parts(&head, rest) {
            // An app may have inserted characters into the id. Then a valid token must follow.
            Some(message_ref) if is_id || link::has_valid_token(&message_ref) => Some(Self::View(message_ref)),
            None if is_id => Some(Self::Invalid(ParseError::MessageRef)),
            Some(_) | None => None,
        }
    }

    fn parse_arguments(keyword: Keyword, arguments: Arguments<'_>) -> Self {
        let command = match keyword {
            Keyword::New => NewMessage::parse(arguments).map(Self::New),
            Keyword::Look => arguments.message_ref().map(Self::Look),
            Keyword::Burn => arguments.message_ref().map(Self::Burn),
        };
        command.unwrap_or_else(Self::Invalid)
    }

    /// Parses `start payload` or `new@some_bot text`. In a private chat, the name after the `@` can only be ours.
    fn parse_slash(command: &str) -> Option<Self> {
        let SlashCommand { name, tail, .. } = SlashCommand::parse(command);
        let name: String = name.chars().map(|letter| to_half_width(letter).to_ascii_lowercase()).collect();
        match name.as_str() {
            "start" => Some(Self::parse_start(tail.trim_matches(is_invisible))),
            "help" => Some(Self::Help),
            name => Some(Self::parse_arguments(Keyword::find(name)?, Arguments::Slash { tail })),
        }
    }

    fn parse_start(payload: &str) -> Self {
        match link::decode(payload) {
            Some(message_ref) => Self::Open(message_ref),
            None if payload.starts_with(LINK_PREFIX) => Self::Invalid(ParseError::Link),
            None => Self::Help,
        }
    }

    /// The name for logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::New(_) => "create_message",
            Self::View(_) => "view_message",
            Self::Look(_) => "lookup_message",
            Self::Burn(_) => "burn_message",
            Self::Open(_) => "open_link",
            Self::Help => "help",
            Self::Invalid(_) => "invalid",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// A slash command, without its slash.
struct SlashCommand<'text> {
    name: &'text str,
    /// The bot that the command names, if it names one.
    bot: Option<&'text str>,
    /// What follows, without the one space or colon in between.
    tail: &'text str,
}

impl<'text> SlashCommand<'text> {
    fn parse(command: &'text str) -> Self {
        let is_part = |character| matches!(to_half_width(character), 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '@');
        let end = command.find(|character| !is_part(character)).unwrap_or(command.len());
        let (word, tail) = command.split_at_checked(end).unwrap_or((command, ""));
        let (name, bot) = word.split_once(['@', '＠']).map_or((word, None), |(name, bot)| (name, Some(bot)));
        let tail = tail.strip_prefix(|between: char| is_colon(between) || is_invisible(between)).unwrap_or(tail);
        Self { name, bot, tail }
    }
}

/// A slash command in a group or a channel.
pub(crate) struct GroupCommand {
    /// Whether the bot has such a command.
    is_known: bool,
    /// The bot that the command names, if it names one.
    bot: Option<String>,
}

impl GroupCommand {
    /// Returns `None` if `text` is no slash command.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let SlashCommand { name, bot, .. } = SlashCommand::parse(text.strip_prefix('/')?);
        let is_known =
            ["start", "help"].iter().any(|known| known.eq_ignore_ascii_case(name)) || Keyword::find(name).is_some();
        Some(Self { is_known, bot: bot.map(str::to_owned) })
    }

    /// Returns `true` if the bot called `bot_name` has this command, and the command does not name another bot.
    pub(crate) fn is_for(&self, bot_name: Option<&str>) -> bool {
        let names_us = |bot: &String| bot_name.is_some_and(|name| name.eq_ignore_ascii_case(bot));
        self.is_known && self.bot.as_ref().is_none_or(names_us)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::fuzz::{any_message_ref, at_least, breaks, broken, pieces};

    fn is_command_for(bot_name: Option<&str>, text: &str) -> bool {
        GroupCommand::parse(text).is_some_and(|command| command.is_for(bot_name))
    }

    fn message_ref(id: i64, access_token: &str) -> MessageRef {
        MessageRef { id, access_token: access_token.to_owned() }
    }

    fn is_view(text: &str, id: i64, access_token: &str) -> bool {
        matches!(Command::parse(text), Command::View(view) if view == message_ref(id, access_token))
    }

    #[test]
    fn a_keyword_may_be_written_in_any_case_and_with_blanks_or_marks_around_it() {
        for text in
            ["new:x", "New:x", "NEW:x", " new :x", "new 1h:x", "new  1h :x", "\u{200f}new:x", "\u{feff}new\u{200b}:x"]
        {
            assert_eq!(Command::parse(text).name(), "create_message", "{text:?}");
        }
    }

    #[test]
    fn the_wide_colon_is_a_colon() {
        for text in [
            "new：x",
            "new 1h：x",
            "NEW ：x:y",
            "/new：x",
            "/new 1h：x",
            "new﹕x",
            "new∶x",
            "ｎｅｗ：x",
            "ＮＥＷ　１ｈ：x",
            "／ｎｅｗ x",
        ] {
            assert_eq!(Command::parse(text).name(), "create_message", "{text}");
        }
        let token = "0b".repeat(32);
        for id in ["7：", "７：", "7﹕", "７∶"] {
            assert!(is_view(&format!("{id}{token}"), 7, &token), "{id}");
        }
        assert_eq!(Command::parse(&format!("look：7：{token}")).name(), "lookup_message");
        assert_eq!(Command::parse(&format!("burn:7：{token}")).name(), "burn_message");
        assert_eq!(Command::parse("안녕：x").name(), "unknown");
    }

    #[test]
    fn a_pasted_link_is_opened_and_reads_nothing() {
        let token = "0b".repeat(32);
        let link = link::encode(&message_ref(7, &token)).unwrap();
        for text in [
            format!("https://mayfly.example.org/m/7#{token}"),
            format!(" http://127.0.0.1:8001/m/7/?lang=de#{token}.\n"),
            format!("https://mayfly.example.org/m/7#{token}.AAECAwQF"),
            format!("https://mayfly.example.org/m/7#{}\n{}", &token[..40], &token[40..]),
            format!("https://t.me/some_bot?start={link}"),
            format!("https://telegram.me/some_bot?start={link}"),
            format!("t.me/some_bot?start={link}"),
            format!("tg://resolve?domain=some_bot&start={link}"),
            format!("telegram.me/some_bot?start={link}"),
            format!("https://some_bot.t.me/?start={link}"),
            format!("https：//t.me/some_bot？start={link}"),
            format!("mayfly.example.org/m/7#{token}"),
            format!("127.0.0.1:8001/m/7#{token}"),
            format!("localhost:8001/m/7#{token}"),
            format!("http://127.0.0.1:8001/api/v1/get_message/7/{token}/"),
            format!("Here is the password:\nhttps://mayfly.example.org/m/7#{token}, read it soon"),
            format!("(t.me/some_bot?start={link})"),
            format!("https://example.org/m/8 is damaged, https://mayfly.example.org/m/7#{token} is not"),
        ] {
            assert!(matches!(Command::parse(&text), Command::Open(open) if open == message_ref(7, &token)), "{text}");
        }
    }

    #[test]
    fn a_pasted_link_that_is_damaged_is_named_and_any_other_is_unknown() {
        let link = link::encode(&message_ref(7, &"0b".repeat(32))).unwrap();
        for text in [
            "https://mayfly.example.org/m/7".to_owned(),
            format!("https://mayfly.example.org/m/7#{}", "0b".repeat(20)),
            format!("https://mayfly.example.org/m/0#{}", "0b".repeat(32)),
            format!("https://t.me/some_bot?start={}", &link[..59]),
        ] {
            assert!(matches!(Command::parse(&text), Command::Invalid(ParseError::Link)), "{text}");
        }
        for text in [
            "https://example.org/",
            "https://t.me/some_bot?start=hello",
            "https://t.me/some_bot",
            "mailto:a@b",
            "ftp://h/m/7",
            "https://example.org/a/m/b?start=AQ",
            "tg://join?start=AQ",
        ] {
            assert_eq!(Command::parse(text).name(), "unknown", "{text}");
        }
        for text in ["new:https://mayfly.example.org/m/7", "new:/m/7#x", "new:see t.me/some_bot?start=AQ"] {
            assert_eq!(Command::parse(text).name(), "create_message", "{text}");
        }
    }

    #[test]
    fn commands_are_keywords_too() {
        for text in ["/new x", "/NEW x", "/new@some_bot x", "/new:x", "/new\nx", "\u{200e}/new x"] {
            assert_eq!(Command::parse(text).name(), "create_message", "{text:?}");
        }
        let key = format!("1:{}", "0b".repeat(32));
        assert_eq!(Command::parse(&format!("/look {key}")).name(), "lookup_message");
        assert_eq!(Command::parse(&format!("burn:{key}")).name(), "burn_message");
    }

    #[test]
    fn a_malformed_command_has_a_parse_error() {
        let table = [
            ("new:", ParseError::NoText),
            ("/new", ParseError::NoText),
            ("new soon:x", ParseError::Lifetime("soon".to_owned())),
            ("burn:", ParseError::MessageRef),
            ("burn now:1:x", ParseError::MessageRef),
            ("look:x:y", ParseError::MessageRef),
            ("0:abc", ParseError::MessageRef),
            ("9223372036854775808:abc", ParseError::MessageRef),
        ];
        for (text, expected) in table {
            assert!(matches!(Command::parse(text), Command::Invalid(error) if error == expected), "{text}");
        }
    }

    #[test]
    fn blanks_around_and_within_an_id_and_its_token_are_accepted() {
        let token = "0b".repeat(32);
        for text in ["7\u{200b}1:", "7\n1 :\n", "\u{200f}7 1\u{200e}:"] {
            assert!(is_view(&format!("{text}{token}"), 71, &token), "{text:?}");
        }
        for text in ["7:abc", " 7:abc\n", "7: abc", "\u{a0}7:abc\r\n", "7:a\nbc", "\u{200e}7:ab\u{200b}c"] {
            assert!(is_view(text, 7, "abc"), "{text:?}");
        }
    }

    #[test]
    fn a_malformed_token_is_passed_to_the_store() {
        assert!(is_view("1:lunch?", 1, "lunch?"));
        assert!(is_view("1:", 1, ""));
    }

    #[test]
    fn start_and_help_are_understood_with_a_name_and_with_a_payload_of_others() {
        for text in ["/start", "/help", "/START", "/start@mayfly_bot", "/start payload:1", "/help\n", "/start "] {
            assert_eq!(Command::parse(text).name(), "help", "{text}");
        }
    }

    #[test]
    fn a_link_is_opened_and_a_damaged_one_recognized() {
        let link = link::encode(&message_ref(7, &"0b".repeat(32))).unwrap();
        assert!(matches!(Command::parse(&format!("/start {link}")), Command::Open(open) if open.id == 7));
        let damaged = format!("/start {}", &link[..59]);
        assert!(matches!(Command::parse(&damaged), Command::Invalid(ParseError::Link)));
    }

    #[test]
    fn anything_else_is_unknown() {
        for text in
            ["", ":", " : ", "hello", "old:x", "+1:abc", "-1:abc", "١:abc", "/", "/stop", "1.5:x", "news:x", "1 2:x"]
        {
            assert_eq!(Command::parse(text).name(), "unknown", "{text}");
        }
        assert_eq!(Command::parse(&":".repeat(1_000_000)).name(), "unknown");
    }

    #[test]
    fn only_commands_without_another_bots_name_are_ours() {
        for text in ["/help", "/start@Mayfly_bot", "/new x", "/burn@mayfly_bot"] {
            assert!(is_command_for(Some("mayfly_bot"), text), "{text}");
        }
        for text in ["/help@other_bot", "/stop", "help", "new:x", "/"] {
            assert!(!is_command_for(Some("mayfly_bot"), text), "{text}");
        }
        assert!(!is_command_for(None, "/help@mayfly_bot"));
    }

    proptest! {
        #![proptest_config(at_least(4096))]

        #[test]
        fn every_text_is_a_command(text in any::<String>()) {
            let _ = Command::parse(&text).name();
        }

        #[test]
        fn every_text_of_likely_pieces_is_a_command(text in pieces()) {
            let _ = Command::parse(&text).name();
            let _ = is_command_for(Some("mayfly_bot"), &text);
        }

        #[test]
        fn every_text_can_be_kept(text in any::<String>(), upper in any::<bool>()) {
            prop_assume!(!text.chars().all(is_invisible));
            let message = format!("{}:{text}", if upper { "NEW" } else { "new" });
            prop_assert_eq!(Command::parse(&message).name(), "create_message");
        }

        #[test]
        fn every_id_with_a_token_is_a_view_wherever_an_app_breaks_it(
            message_ref in any_message_ref(),
            breaks in breaks(),
        ) {
            prop_assert!(is_view(&broken(&message_ref.to_text(), &breaks), message_ref.id, &message_ref.access_token));
        }
    }

    #[test]
    fn texts_of_a_megabyte_are_commands() {
        for piece in ["new ", "1:", "\u{200f}", "/new", "1", "\n", "🎲:"] {
            let _ = Command::parse(&piece.repeat((1 << 20) / piece.len())).name();
        }
    }
}
