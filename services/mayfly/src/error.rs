//! How a command fails: a sentence on standard error and an exit code that means something.

use std::{error::Error, process::ExitCode};

use mayfly_bootstrap::{Ended, ErrorChain};
use mayfly_contracts::{Situation, error::ErrorReason};
use tonic::Status;

/// Why a command or role failed.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: ErrorKind,
    message: String,
}

/// Exit codes, as documented by `mayfly --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Rejected = 4,
    Unavailable = 5,
}

impl CliError {
    /// Something that should have worked did not.
    pub(crate) fn failed(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Failed, message: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::NotFound, message: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not done.
    pub(crate) fn rejected(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Rejected, message: ErrorChain(&error).to_string() }
    }

    /// What was asked for is not done, for a reason that is found here.
    pub(crate) fn rejected_because(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Rejected, message: message.into() }
    }

    /// What was asked for cannot be understood.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    /// A setting cannot be used.
    pub(crate) fn invalid_setting(setting: &str, error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Usage, message: format!("{setting}: {}", ErrorChain(&error)) }
    }

    /// A role is not ready.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into() }
    }

    /// The same, with a sentence more about what can be done now.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message = format!("{}. {hint}", self.message);
        self
    }

    /// Whether nobody knows what became of the call.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// What a process that ended this way says.
    pub(crate) fn from_ended(ended: Ended) -> Result<(), Self> {
        let message = match ended {
            Ended::Cleanly => return Ok(()),
            Ended::Failed => "a part of the process failed; the log says why",
            Ended::Aborted => "work was cut short",
        };
        Err(Self { kind: ErrorKind::Failed, message: message.to_owned() })
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("mayfly: {}", self.message);
        ExitCode::from(self.kind as u8)
    }
}

/// What the store says, for people at a terminal. The one table for this protocol.
impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        let situation = Situation::of(&status);
        let when = situation.metadata.get("time").map(|time| format!(" at {time}")).unwrap_or_default();
        let exposed = "If that was not you, treat the text as exposed.";
        let (kind, message) = match situation.reason {
            ErrorReason::FieldInvalid | ErrorReason::TextTooLong => (ErrorKind::Rejected, faults(&situation, &status)),
            ErrorReason::AccessTokenInvalid => {
                (ErrorKind::Rejected, "the access token is malformed or mistyped: copy it again".to_owned())
            }
            ErrorReason::MessageNotFound => (
                ErrorKind::NotFound,
                "there is no unread message with this id and access token, or it is long gone".to_owned(),
            ),
            ErrorReason::MessageViewed => (ErrorKind::NotFound, format!("the message was read{when}. {exposed}")),
            ErrorReason::MessageBurned => (ErrorKind::NotFound, format!("the message was burned unread{when}")),
            ErrorReason::MessageExpired => (ErrorKind::NotFound, format!("the message expired unread{when}")),
            ErrorReason::PassphraseRequired => (
                ErrorKind::Rejected,
                "the message needs a passphrase (--passphrase-file); nothing was consumed".to_owned(),
            ),
            ErrorReason::PassphraseWrong => {
                (ErrorKind::Rejected, "the passphrase is wrong; nothing was consumed".to_owned())
            }
            ErrorReason::PassphraseLocked => {
                let wait = situation.retry_after.unwrap_or_default();
                let wait = humantime::format_duration(std::time::Duration::from_secs(wait.as_secs()));
                (ErrorKind::Rejected, format!("too many passphrases were tried: try again in {wait}"))
            }
            ErrorReason::MessageSealed => (
                ErrorKind::Rejected,
                "the message was encrypted by its creator: open it in a browser, by its link; nothing was consumed"
                    .to_owned(),
            ),
            ErrorReason::RequestConflict => (
                ErrorKind::Rejected,
                "another message was created with this request id; nothing was changed".to_owned(),
            ),
            ErrorReason::AppConfigNotFound => (ErrorKind::NotFound, "there is no such app config".to_owned()),
            ErrorReason::CredentialsInvalid => {
                (ErrorKind::Rejected, "the store does not know this token (--admin-token)".to_owned())
            }
            ErrorReason::PermissionDenied => {
                (ErrorKind::Rejected, "the token does not allow this (--admin-token)".to_owned())
            }
            ErrorReason::Overloaded => (ErrorKind::Unavailable, "the store has too much to do: try later".to_owned()),
            ErrorReason::RateLimited => {
                (ErrorKind::Unavailable, "there were too many calls like this within a minute: try later".to_owned())
            }
            ErrorReason::StorageFull => {
                (ErrorKind::Rejected, "the store is full (--max-messages, --max-stored-bytes, or its disk)".to_owned())
            }
            ErrorReason::StoreUnavailable => (
                ErrorKind::Unavailable,
                "the store cannot be reached (--store-url), or its database cannot: try later".to_owned(),
            ),
            ErrorReason::BotUnavailable => {
                (ErrorKind::Unavailable, "the bot cannot be reached (--bot-url): try later".to_owned())
            }
            ErrorReason::Internal | ErrorReason::Unspecified => {
                (ErrorKind::Failed, "the store failed; its log says why".to_owned())
            }
        };
        Self { kind, message }
    }
}

fn faults(situation: &Situation, status: &Status) -> String {
    let faults: Vec<_> = situation.fields.iter().map(|field| format!("{} {}", field.field, field.fault)).collect();
    if faults.is_empty() { status.message().to_owned() } else { faults.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_exit_code() {
        let table = [
            (ErrorReason::Unspecified, ErrorKind::Failed),
            (ErrorReason::FieldInvalid, ErrorKind::Rejected),
            (ErrorReason::TextTooLong, ErrorKind::Rejected),
            (ErrorReason::AccessTokenInvalid, ErrorKind::Rejected),
            (ErrorReason::MessageNotFound, ErrorKind::NotFound),
            (ErrorReason::MessageViewed, ErrorKind::NotFound),
            (ErrorReason::MessageBurned, ErrorKind::NotFound),
            (ErrorReason::MessageExpired, ErrorKind::NotFound),
            (ErrorReason::PassphraseRequired, ErrorKind::Rejected),
            (ErrorReason::PassphraseWrong, ErrorKind::Rejected),
            (ErrorReason::PassphraseLocked, ErrorKind::Rejected),
            (ErrorReason::MessageSealed, ErrorKind::Rejected),
            (ErrorReason::RequestConflict, ErrorKind::Rejected),
            (ErrorReason::StorageFull, ErrorKind::Rejected),
            (ErrorReason::AppConfigNotFound, ErrorKind::NotFound),
            (ErrorReason::CredentialsInvalid, ErrorKind::Rejected),
            (ErrorReason::PermissionDenied, ErrorKind::Rejected),
            (ErrorReason::Overloaded, ErrorKind::Unavailable),
            (ErrorReason::RateLimited, ErrorKind::Unavailable),
            (ErrorReason::StoreUnavailable, ErrorKind::Unavailable),
            (ErrorReason::BotUnavailable, ErrorKind::Unavailable),
            (ErrorReason::Internal, ErrorKind::Failed),
        ];
        for (reason, kind) in table {
            let status = Situation::new(reason).into_status(tonic::Code::Unknown, "");
            assert_eq!(CliError::from(status).kind, kind, "{reason:?}");
        }
    }
}
