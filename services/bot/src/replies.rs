//! Everything the bot says in its own words. The table from a store's situation to a sentence stands here, once.

use chrono::{DateTime, Utc};
use mayfly_contracts::{FieldFault, Situation, error::ErrorReason};

use crate::keywords::KEYWORDS;

/// Answers everything that nobody could handle.
pub(crate) const WENT_WRONG: &str = "Something went wrong on our side. Please try again later.";
/// Answers photos, stickers and the like.
pub(crate) const ONLY_TEXT: &str = "I can only keep text. Send /help to see how.";

/// Answers what was written too fast, once.
pub(crate) const TOO_FAST: &str = "You write faster than I can answer. I did not read this message, nor will I read more until you pause for a minute.";

const MISTYPED: &str = "This is mistyped: copy it again. It must be the whole id:token, as I gave it to its sender.";
const VIEW_HELP: &str = "id:token – shows the text, once, and erases it";

/// What was asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To keep a text.
    Create,
    /// To show one.
    View,
}

/// How to use the bot.
pub(crate) fn help() -> String {
    let keywords = KEYWORDS.iter().map(|keyword| keyword.help);
    let lines = keywords.chain([VIEW_HELP]).map(|line| format!("\n{line}"));
    format!("I keep a text until somebody reads it, once. Write to me:{}", lines.collect::<String>())
}

/// What to say for something that no id and token can be.
pub(crate) fn mistyped() -> String {
    MISTYPED.to_owned()
}

/// What to say when the store refused.
pub(crate) fn sentence(asked: Asked, situation: &Situation) -> String {
    match situation.reason {
        ErrorReason::FieldInvalid => field_invalid(asked, &situation.fields),
        ErrorReason::TextTooLong => text_too_long(situation),
        ErrorReason::AccessTokenInvalid => mistyped(),
        ErrorReason::MessageNotFound => "There is no such message, or it is long gone.".to_owned(),
        ErrorReason::MessageViewed => {
            format!("This message was read{}. If that was not you, treat it as exposed.", on(situation))
        }
        ErrorReason::MessageBurned => format!("This message was burned unread{}.", on(situation)),
        ErrorReason::MessageExpired => format!("This message expired unread{}.", on(situation)),
        ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong => {
            "This message needs a passphrase. A chat is no place for that: read it with mayfly view, or over REST."
                .to_owned()
        }
        ErrorReason::MessageSealed => {
            "This message was encrypted by its sender. Open it in a browser, by its link. It is still unread."
                .to_owned()
        }
        ErrorReason::PassphraseLocked => "Too many passphrases were tried on this message. Try later.".to_owned(),
        ErrorReason::Overloaded => format!("Too many requests at the moment. {}", try_later(asked)),
        ErrorReason::StoreUnavailable => {
            format!("I cannot reach the place where messages are kept. {}", try_later(asked))
        }
        // The last four concern app configs and the bot, and cannot come from a message; whoever caused them is not the sender.
        ErrorReason::Unspecified
        | ErrorReason::Internal
        | ErrorReason::AppConfigNotFound
        | ErrorReason::CredentialsInvalid
        | ErrorReason::PermissionDenied
        | ErrorReason::BotUnavailable => WENT_WRONG.to_owned(),
    }
}

fn field_invalid(asked: Asked, faults: &[FieldFault]) -> String {
    match asked {
        Asked::Create => {
            let faults = faults.iter().map(|fault| format!(": {} {}", fault.field, fault.fault));
            format!("I cannot keep that{}. Write new:your text", faults.collect::<String>())
        }
        Asked::View => mistyped(),
    }
}

fn text_too_long(situation: &Situation) -> String {
    match situation.metadata.get("max_bytes") {
        Some(limit) => format!("The text is too long: at most {limit} bytes can be kept. Nothing was stored."),
        None => "The text is too long. Nothing was stored.".to_owned(),
    }
}

/// Nobody has the token of a message whose creation was never answered, so "nothing" is true for the sender in any case.
fn try_later(asked: Asked) -> &'static str {
    match asked {
        Asked::Create => "Nothing was stored; please try again later.",
        Asked::View => "I have nothing to show you; please try again later.",
    }
}

/// ` on 2026-11-22 08:02 UTC`, or nothing when the store did not say.
fn on(situation: &Situation) -> String {
    let time = situation.metadata.get("time").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    time.map(|time| format!(" on {}", time.with_timezone(&Utc).format("%Y-%m-%d %H:%M UTC"))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
