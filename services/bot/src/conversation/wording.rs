//! The text for each result of the store. Holds the one table from error reasons to texts.

use chrono::{DateTime, Utc};
use mayfly_contracts::{
    ErrorInfo, FieldViolation,
    error::ErrorReason,
    message::{LookupMessageResponse, MessageState},
};

use crate::conversation::{
    command::{Keyword, ParseError},
    language::Language,
    texts::Phrase,
};

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Storing a text.
    Create,
    /// Viewing a text.
    View,
    /// Looking up or burning a message.
    Other,
}

/// Returns the help text.
pub(crate) fn help(language: Language) -> String {
    let keywords = Keyword::ALL.map(Keyword::help);
    let mut help = language.text(Phrase::HelpIntro);
    // First how to store and how to view a text, then the other commands.
    let (first, others) = keywords.split_first().map_or((None, &[][..]), |(first, others)| (Some(first), others));
    for line in first.into_iter().chain([&Phrase::HelpView]).chain(others) {
        // An empty line between the lines, because phones wrap them.
        help.push_str("\n\n");
        help.push_str(&language.text(*line));
    }
    help
}

/// Returns the text for a malformed command.
pub(crate) fn parse_error_text(language: Language, error: &ParseError) -> String {
    match error {
        ParseError::NoText => language.text(Phrase::NoText),
        ParseError::Lifetime(written) => language.text_with(Phrase::LifetimeInvalid, [("lifetime", written)]),
        ParseError::MessageRef => language.text(Phrase::MessageRefInvalid),
        ParseError::Link => language.text(Phrase::LinkInvalid),
    }
}

/// Returns the text for an error of the store.
pub(crate) fn error_text(language: Language, operation: Operation, error_info: &ErrorInfo) -> String {
    match error_info.reason {
        ErrorReason::FieldInvalid => field_invalid(language, operation, &error_info.fields),
        ErrorReason::TextTooLong => text_too_long(language, error_info),
        ErrorReason::AccessTokenInvalid => language.text(Phrase::MessageRefInvalid),
        ErrorReason::MessageNotFound => language.text(Phrase::NotFound),
        ErrorReason::MessageViewed => dated(language, Phrase::Viewed, Phrase::ViewedOn, time_of(error_info)),
        ErrorReason::MessageBurned => dated(language, Phrase::Burned, Phrase::BurnedOn, time_of(error_info)),
        ErrorReason::MessageExpired => dated(language, Phrase::Expired, Phrase::ExpiredOn, time_of(error_info)),
        ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong => language.text(Phrase::PassphraseRequired),
        ErrorReason::MessageSealed => language.text(Phrase::Sealed),
        ErrorReason::PassphraseLocked => language.text(Phrase::PassphraseLocked),
        ErrorReason::Overloaded | ErrorReason::RateLimited => {
            language.text_with(Phrase::Overloaded, [("later", &later(language, operation))])
        }
        ErrorReason::StorageFull => language.text_with(Phrase::StorageFull, [("later", &later(language, operation))]),
        ErrorReason::StoreUnavailable => {
            language.text_with(Phrase::StoreUnavailable, [("later", &later(language, operation))])
        }
        // A request id belongs to one update, so a conflict is a bug of the bot. The others concern app configs, tokens of
        // callers and the bot, not messages.
        ErrorReason::Unspecified
        | ErrorReason::Internal
        | ErrorReason::RequestConflict
        | ErrorReason::AppConfigNotFound
        | ErrorReason::CredentialsInvalid
        | ErrorReason::ApiTokenRevoked
        | ErrorReason::ApiTokenExpired
        | ErrorReason::ApiTokenRequired
        | ErrorReason::ApiTokenNameTaken
        | ErrorReason::ApiTokenNotFound
        | ErrorReason::PermissionDenied
        | ErrorReason::BotUnavailable => language.text(Phrase::InternalError),
    }
}

/// Returns the text for a message that the same chat has viewed.
pub(crate) fn viewed_here_text(language: Language, error_info: &ErrorInfo) -> String {
    dated(language, Phrase::ViewedInThisChat, Phrase::ViewedInThisChatOn, time_of(error_info))
}

/// Returns `true` if the message is gone for good.
pub(crate) fn is_final(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::MessageNotFound
            | ErrorReason::MessageViewed
            | ErrorReason::MessageBurned
            | ErrorReason::MessageExpired
    )
}

/// Returns the text for the state of a message.
pub(crate) fn state_text(language: Language, found: &LookupMessageResponse) -> String {
    let since = found.state_time.and_then(|time| DateTime::from_timestamp(time.seconds, 0));
    let until = found.expire_time.and_then(|time| DateTime::from_timestamp(time.seconds, 0));
    match found.state() {
        MessageState::Unread => dated(language, Phrase::Unread, Phrase::UnreadUntil, until),
        MessageState::Viewed => dated(language, Phrase::Viewed, Phrase::ViewedOn, since),
        MessageState::Burned => dated(language, Phrase::Burned, Phrase::BurnedOn, since),
        MessageState::Expired => dated(language, Phrase::Expired, Phrase::ExpiredOn, since),
        MessageState::Unspecified => language.text(Phrase::InternalError),
    }
}

/// Returns the text that offers to show an unread message.
pub(crate) fn offer_text(language: Language, found: &LookupMessageResponse) -> String {
    let until = found.expire_time.and_then(|time| DateTime::from_timestamp(time.seconds, 0));
    dated(language, Phrase::ViewOffer, Phrase::ViewOfferUntil, until)
}

fn field_invalid(language: Language, operation: Operation, faults: &[FieldViolation]) -> String {
    if operation != Operation::Create {
        return language.text(Phrase::MessageRefInvalid);
    }
    if let Some(lifetime) = faults.iter().find(|fault| fault.field == "ttl") {
        return language.text_with(Phrase::LifetimeOutOfRange, [("fault", &lifetime.description)]);
    }
    let faults: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.field, fault.description)).collect();
    language.text_with(Phrase::FieldInvalid, [("fault", &faults.join(", "))])
}

fn text_too_long(language: Language, error_info: &ErrorInfo) -> String {
    match error_info.metadata.get("max_bytes") {
        Some(limit) => language.text_with(Phrase::TextTooLong, [("limit", limit)]),
        None => language.text(Phrase::TextTooLongUnknownLimit),
    }
}

/// No caller has the token of a message whose creation got no answer. So "nothing was stored" is true for the sender in
/// any case.
fn later(language: Language, operation: Operation) -> String {
    language.text(match operation {
        Operation::Create => Phrase::NotStoredTryLater,
        Operation::View => Phrase::NotShownTryLater,
        Operation::Other => Phrase::TryLater,
    })
}

/// Adds the time if it is known, as `2026-11-22 08:02 UTC`, which is unambiguous everywhere.
fn dated(language: Language, without: Phrase, with: Phrase, time: Option<DateTime<Utc>>) -> String {
    match time {
        Some(time) => language.text_with(with, [("time", &time.format("%Y-%m-%d %H:%M UTC").to_string())]),
        None => language.text(without),
    }
}

fn time_of(error_info: &ErrorInfo) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(error_info.metadata.get("time")?).ok()?;
    Some(time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests;
