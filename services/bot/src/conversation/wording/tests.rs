//! The table of sentences, row by row.

use super::*;

const EVERY_REASON: [ErrorReason; 27] = [
    ErrorReason::Unspecified,
    ErrorReason::FieldInvalid,
    ErrorReason::TextTooLong,
    ErrorReason::AccessTokenInvalid,
    ErrorReason::MessageNotFound,
    ErrorReason::MessageViewed,
    ErrorReason::MessageBurned,
    ErrorReason::MessageExpired,
    ErrorReason::PassphraseRequired,
    ErrorReason::PassphraseWrong,
    ErrorReason::PassphraseLocked,
    ErrorReason::MessageSealed,
    ErrorReason::RequestConflict,
    ErrorReason::AppConfigNotFound,
    ErrorReason::CredentialsInvalid,
    ErrorReason::PermissionDenied,
    ErrorReason::ApiTokenRevoked,
    ErrorReason::ApiTokenExpired,
    ErrorReason::ApiTokenRequired,
    ErrorReason::ApiTokenNameTaken,
    ErrorReason::ApiTokenNotFound,
    ErrorReason::Overloaded,
    ErrorReason::StoreUnavailable,
    ErrorReason::Internal,
    ErrorReason::BotUnavailable,
    ErrorReason::StorageFull,
    ErrorReason::RateLimited,
];

fn error_info(reason: ErrorReason) -> ErrorInfo {
    let metadata = match reason {
        ErrorReason::MessageViewed | ErrorReason::MessageBurned | ErrorReason::MessageExpired => {
            [("time".to_owned(), "2026-11-22T09:02:44.485522+01:00".to_owned())].into()
        }
        ErrorReason::TextTooLong => [("max_bytes".to_owned(), "65536".to_owned())].into(),
        _ => Default::default(),
    };
    let fault = FieldViolation { field: "text".to_owned(), description: "must not be empty".to_owned() };
    let fields = if reason == ErrorReason::FieldInvalid { vec![fault] } else { Vec::new() };
    ErrorInfo { metadata, fields, ..ErrorInfo::new(reason) }
}

#[test]
fn every_error_has_its_text() {
    let expected = |operation: Operation, reason: ErrorReason| match (operation, reason) {
        (Operation::Create, ErrorReason::FieldInvalid) => {
            "I cannot keep that: text must not be empty. Write new:your text"
        }
        (Operation::View | Operation::Other, ErrorReason::FieldInvalid) | (_, ErrorReason::AccessTokenInvalid) => {
            "This is mistyped: copy it again. It must be the whole id:token, as I gave it to its sender."
        }
        (_, ErrorReason::TextTooLong) => "The text is too long: at most 65536 bytes can be kept. Nothing was stored.",
        (_, ErrorReason::MessageNotFound) => "There is no such message, or it is long gone.",
        (_, ErrorReason::MessageViewed) => {
            "This message was read on 2026-11-22 08:02 UTC. If that was not you, treat it as exposed."
        }
        (_, ErrorReason::MessageBurned) => "This message was burned unread on 2026-11-22 08:02 UTC.",
        (_, ErrorReason::MessageExpired) => "This message expired unread on 2026-11-22 08:02 UTC.",
        (_, ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong) => {
            "This message needs a passphrase. A chat is no place for that: read it with mayfly view, or over REST."
        }
        (_, ErrorReason::PassphraseLocked) => "Too many passphrases were tried on this message. Try later.",
        (_, ErrorReason::MessageSealed) => {
            "This message was encrypted by its sender. Open it in a browser, by its link. It is still unread."
        }
        (Operation::Create, ErrorReason::Overloaded | ErrorReason::RateLimited) => {
            "Too many requests at the moment. Nothing was stored; please try again later."
        }
        (Operation::View, ErrorReason::Overloaded | ErrorReason::RateLimited) => {
            "Too many requests at the moment. I have nothing to show you; please try again later."
        }
        (Operation::Create, ErrorReason::StorageFull) => {
            "No more messages can be kept at the moment. Nothing was stored; please try again later."
        }
        (Operation::View, ErrorReason::StorageFull) => {
            "No more messages can be kept at the moment. I have nothing to show you; please try again later."
        }
        (Operation::Other, ErrorReason::StorageFull) => {
            "No more messages can be kept at the moment. Please try again later."
        }
        (Operation::Create, ErrorReason::StoreUnavailable) => {
            "I cannot reach the place where messages are kept. Nothing was stored; please try again later."
        }
        (Operation::View, ErrorReason::StoreUnavailable) => {
            "I cannot reach the place where messages are kept. I have nothing to show you; please try again later."
        }
        (Operation::Other, ErrorReason::Overloaded | ErrorReason::RateLimited) => {
            "Too many requests at the moment. Please try again later."
        }
        (Operation::Other, ErrorReason::StoreUnavailable) => {
            "I cannot reach the place where messages are kept. Please try again later."
        }
        _ => "Something went wrong on our side. Please try again later.",
    };
    for reason in EVERY_REASON {
        for operation in [Operation::Create, Operation::View, Operation::Other] {
            assert_eq!(
                error_text(Language::English, operation, &error_info(reason)),
                expected(operation, reason),
                "{operation:?} {reason:?}"
            );
        }
    }
}

#[test]
fn the_table_above_knows_every_reason() {
    let known = (0..=100).filter_map(|number| ErrorReason::try_from(number).ok());
    assert_eq!(known.collect::<Vec<_>>(), EVERY_REASON);
}

#[test]
fn a_time_that_is_missing_or_malformed_is_left_out() {
    let mut viewed = error_info(ErrorReason::MessageViewed);
    viewed.metadata.insert("time".to_owned(), "yesterday".to_owned());
    let said = error_text(Language::English, Operation::View, &viewed);
    assert_eq!(said, "This message was read. If that was not you, treat it as exposed.");
}

#[test]
fn a_lifetime_that_the_store_refuses_is_named() {
    let fault = FieldViolation { field: "ttl".to_owned(), description: "must be at most 90days".to_owned() };
    let refused = ErrorInfo { fields: vec![fault], ..ErrorInfo::new(ErrorReason::FieldInvalid) };
    let said = error_text(Language::English, Operation::Create, &refused);
    assert_eq!(said, "The lifetime does not fit: must be at most 90days. Nothing was stored.");
}

#[test]
fn the_help_names_every_keyword_in_every_language() {
    for language in Language::ALL {
        for keyword in Keyword::ALL {
            assert!(help(language).contains(&format!("\n{}:", keyword.name())), "{language:?}");
            // Telegram's limits for a command.
            let command = language.text(keyword.menu_text());
            assert!((3..=256).contains(&command.chars().count()), "{language:?}");
            assert!(keyword.name().len() <= 32 && keyword.name().bytes().all(|byte| byte.is_ascii_lowercase()));
        }
    }
}
