//! How a command fails: a sentence on standard error and an exit code that means something.

use std::{error::Error, process::ExitCode};

use mayfly_bootstrap::{ErrorChain, ShutdownOutcome};
use mayfly_contracts::{ErrorInfo, error::ErrorReason};
use tonic::Status;

/// Why a command or role failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    sentence: String,
}

/// Exit codes, as documented by `mayfly --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Failed = 1,
    Usage = 2,
    Gone = 3,
    Refused = 4,
    Unreachable = 5,
}

impl Failure {
    /// Something that should have worked did not.
    pub(crate) fn failed(error: impl Error + 'static) -> Self {
        Self { code: Code::Failed, sentence: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not there.
    pub(crate) fn gone(error: impl Error + 'static) -> Self {
        Self { code: Code::Gone, sentence: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not done.
    pub(crate) fn refused(error: impl Error + 'static) -> Self {
        Self { code: Code::Refused, sentence: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not done, for a reason that is found here.
    pub(crate) fn refused_because(sentence: impl Into<String>) -> Self {
        Self { code: Code::Refused, sentence: sentence.into() }
    }

    /// What was asked for cannot be understood.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self { code: Code::Usage, sentence: sentence.into() }
    }

    /// A setting cannot be used.
    pub(crate) fn setting(setting: &str, error: impl Error + 'static) -> Self {
        Self { code: Code::Usage, sentence: format!("{setting}: {}", ErrorChain(&error)) }
    }

    /// A role is not ready.
    pub(crate) fn not_ready(sentence: impl Into<String>) -> Self {
        Self { code: Code::Unreachable, sentence: sentence.into() }
    }

    /// The same, with a sentence more about what can be done now.
    pub(crate) fn with_advice(mut self, advice: &str) -> Self {
        self.sentence = format!("{}. {advice}", self.sentence);
        self
    }

    /// Whether nobody knows what became of the call.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.code == Code::Unreachable
    }

    /// What a process that ended this way says.
    pub(crate) fn of_end(ended: ShutdownOutcome) -> Result<(), Self> {
        let sentence = match ended {
            ShutdownOutcome::Clean => return Ok(()),
            ShutdownOutcome::Failed => "a part of the process failed; the log says why",
            ShutdownOutcome::Aborted => "work was cut short",
        };
        Err(Self { code: Code::Failed, sentence: sentence.to_owned() })
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("mayfly: {}", self.sentence);
        ExitCode::from(self.code as u8)
    }
}

/// What the store says, for people at a terminal. The one table for this protocol.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let situation = ErrorInfo::from_status(&status);
        let when = situation.metadata.get("time").map(|time| format!(" at {time}")).unwrap_or_default();
        let exposed = "If that was not you, treat the text as exposed.";
        let (code, sentence) = match situation.reason {
            ErrorReason::FieldInvalid | ErrorReason::TextTooLong => (Code::Refused, faults(&situation, &status)),
            ErrorReason::AccessTokenInvalid => {
                (Code::Refused, "the access token is malformed or mistyped: copy it again".to_owned())
            }
            ErrorReason::MessageNotFound => {
                (Code::Gone, "there is no unread message with this id and access token, or it is long gone".to_owned())
            }
            ErrorReason::MessageViewed => (Code::Gone, format!("the message was read{when}. {exposed}")),
            ErrorReason::MessageBurned => (Code::Gone, format!("the message was burned unread{when}")),
            ErrorReason::MessageExpired => (Code::Gone, format!("the message expired unread{when}")),
            ErrorReason::PassphraseRequired => {
                (Code::Refused, "the message needs a passphrase (--passphrase-file); nothing was consumed".to_owned())
            }
            ErrorReason::PassphraseWrong => (Code::Refused, "the passphrase is wrong; nothing was consumed".to_owned()),
            ErrorReason::PassphraseLocked => {
                let wait = situation.retry_after.unwrap_or_default();
                let wait = humantime::format_duration(std::time::Duration::from_secs(wait.as_secs()));
                (Code::Refused, format!("too many passphrases were tried: try again in {wait}"))
            }
            ErrorReason::MessageSealed => (
                Code::Refused,
                "the message was encrypted by its creator: open it in a browser, by its link; nothing was consumed"
                    .to_owned(),
            ),
            ErrorReason::RequestConflict => {
                (Code::Refused, "another message was created with this request id; nothing was changed".to_owned())
            }
            ErrorReason::AppConfigNotFound => (Code::Gone, "there is no such app config".to_owned()),
            ErrorReason::CredentialsInvalid => {
                (Code::Refused, "the store does not know this token (--admin-token)".to_owned())
            }
            ErrorReason::PermissionDenied => {
                (Code::Refused, "the token does not allow this (--admin-token)".to_owned())
            }
            ErrorReason::Overloaded => (Code::Unreachable, "the store has too much to do: try later".to_owned()),
            ErrorReason::RateLimited => {
                (Code::Unreachable, "there were too many calls like this within a minute: try later".to_owned())
            }
            ErrorReason::StorageFull => {
                (Code::Refused, "the store is full (--max-messages, --max-stored-bytes, or its disk)".to_owned())
            }
            ErrorReason::StoreUnavailable => (
                Code::Unreachable,
                "the store cannot be reached (--store-url), or its database cannot: try later".to_owned(),
            ),
            ErrorReason::BotUnavailable => {
                (Code::Unreachable, "the bot cannot be reached (--bot-url): try later".to_owned())
            }
            ErrorReason::Internal | ErrorReason::Unspecified => {
                (Code::Failed, "the store failed; its log says why".to_owned())
            }
        };
        Self { code, sentence }
    }
}

fn faults(situation: &ErrorInfo, status: &Status) -> String {
    let faults: Vec<_> =
        situation.fields.iter().map(|field| format!("{} {}", field.field, field.description)).collect();
    if faults.is_empty() { status.message().to_owned() } else { faults.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_exit_code() {
        let table = [
            (ErrorReason::Unspecified, Code::Failed),
            (ErrorReason::FieldInvalid, Code::Refused),
            (ErrorReason::TextTooLong, Code::Refused),
            (ErrorReason::AccessTokenInvalid, Code::Refused),
            (ErrorReason::MessageNotFound, Code::Gone),
            (ErrorReason::MessageViewed, Code::Gone),
            (ErrorReason::MessageBurned, Code::Gone),
            (ErrorReason::MessageExpired, Code::Gone),
            (ErrorReason::PassphraseRequired, Code::Refused),
            (ErrorReason::PassphraseWrong, Code::Refused),
            (ErrorReason::PassphraseLocked, Code::Refused),
            (ErrorReason::MessageSealed, Code::Refused),
            (ErrorReason::RequestConflict, Code::Refused),
            (ErrorReason::StorageFull, Code::Refused),
            (ErrorReason::AppConfigNotFound, Code::Gone),
            (ErrorReason::CredentialsInvalid, Code::Refused),
            (ErrorReason::PermissionDenied, Code::Refused),
            (ErrorReason::Overloaded, Code::Unreachable),
            (ErrorReason::RateLimited, Code::Unreachable),
            (ErrorReason::StoreUnavailable, Code::Unreachable),
            (ErrorReason::BotUnavailable, Code::Unreachable),
            (ErrorReason::Internal, Code::Failed),
        ];
        for (reason, code) in table {
            let status = ErrorInfo::new(reason).into_status(tonic::Code::Unknown, "");
            assert_eq!(Failure::from(status).code, code, "{reason:?}");
        }
    }
}
