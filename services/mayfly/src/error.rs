//! The error type of commands and roles: a message on standard error and an exit code.

use std::{error::Error, process::ExitCode};

use mayfly_bootstrap::{
    ErrorChain, ShutdownOutcome,
    secret_file::SecretFileError,
    tls::{self, TlsFileError},
    trace::InvalidHeaders,
};
use mayfly_contracts::{ErrorInfo, error::ErrorReason};
use mayfly_gateway_rest::GatewaySettingsError;
use mayfly_store::{DatabaseError, KeyringError, OpenError, SettingsError};
use tonic::Status;

/// The failure of a command or role.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: ErrorKind,
    message: String,
}

/// The exit codes that `mayfly --help` documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Rejected = 4,
    Unavailable = 5,
    Warned = 6,
}

impl CliError {
    /// An unexpected failure.
    pub(crate) fn failed(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Failed, message: ErrorChain(&error).to_string() }
    }

    /// The requested object does not exist.
    pub(crate) fn not_found(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::NotFound, message: ErrorChain(&error).to_string() }
    }

    /// The request was rejected.
    pub(crate) fn rejected(error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Rejected, message: ErrorChain(&error).to_string() }
    }

    /// The request was rejected by the client itself.
    pub(crate) fn rejected_because(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Rejected, message: message.into() }
    }

    /// The command was used incorrectly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    /// A setting is wrong, or a file that it names cannot be used. The message of `error` names the setting.
    fn wrong_setting(error: impl Error + 'static) -> Self {
        Self::usage(ErrorChain(&error).to_string())
    }

    /// The value of `setting` is wrong, or the file that it names cannot be used.
    pub(crate) fn invalid_setting(setting: &str, error: impl Error + 'static) -> Self {
        Self { kind: ErrorKind::Usage, message: format!("{setting}: {}", ErrorChain(&error)) }
    }

    /// A role is not ready or cannot be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into() }
    }

    /// Checks failed, or only warned.
    pub(crate) fn checked(has_failed: bool, message: String) -> Self {
        Self { kind: if has_failed { ErrorKind::Failed } else { ErrorKind::Warned }, message }
    }

    /// The message, for a report.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Appends a hint about what the user can do next.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message = format!("{}. {hint}", self.message);
        self
    }

    /// Returns `true` if the outcome of the call is unknown.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// The result of a process that ended this way.
    pub(crate) fn from_ended(ended: ShutdownOutcome) -> Result<(), Self> {
        let message = match ended {
            ShutdownOutcome::Clean => return Ok(()),
            ShutdownOutcome::Failed => "a part of the process failed; see the log",
            ShutdownOutcome::Aborted => "the shutdown timed out",
        };
        Err(Self { kind: ErrorKind::Failed, message: message.to_owned() })
    }

    /// Prints the message to standard error, and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("mayfly: {}", self.message);
        ExitCode::from(self.kind as u8)
    }
}

/// A file that cannot be written is no fault of the settings: the disk may be full.
impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Database(error) => error.into(),
            SettingsError::File { source: SecretFileError::Write { .. }, .. } => Self::failed(error),
            error => Self::wrong_setting(error),
        }
    }
}

impl From<DatabaseError> for CliError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::UnknownKind | DatabaseError::InMemory | DatabaseError::TlsFile { .. } => {
                Self::wrong_setting(error)
            }
            error => Self::failed(error),
        }
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Settings(error) => error.into(),
            OpenError::Database(error) => error.into(),
            OpenError::Keyring(error) => Self::wrong_setting(error),
            OpenError::Store(_) => Self::failed(error),
        }
    }
}

impl From<GatewaySettingsError> for CliError {
    fn from(error: GatewaySettingsError) -> Self {
        Self::wrong_setting(error)
    }
}

impl From<InvalidHeaders> for CliError {
    fn from(error: InvalidHeaders) -> Self {
        Self::wrong_setting(error)
    }
}

impl From<TlsFileError> for CliError {
    fn from(error: TlsFileError) -> Self {
        match error {
            TlsFileError::NoSystemAuthorities | TlsFileError::Configuration(_) => Self::failed(error),
            error => Self::wrong_setting(error),
        }
    }
}

impl From<KeyringError> for CliError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::File(SecretFileError::Write { .. }) | KeyringError::Export(SecretFileError::Write { .. }) => {
                Self::failed(error)
            }
            KeyringError::File(_)
            | KeyringError::Keyring { .. }
            | KeyringError::Mismatch(_)
            | KeyringError::Export(_)
            | KeyringError::NoExport { .. } => Self::wrong_setting(error),
            KeyringError::Database(error) => error.into(),
            KeyringError::Lock(_) | KeyringError::Generate(_) | KeyringError::Store(_) | KeyringError::Encrypt(_) => {
                Self::failed(error)
            }
            KeyringError::Unknown { .. } => Self::not_found(error),
            KeyringError::InUse { .. }
            | KeyringError::RecentlyUsed { .. }
            | KeyringError::StillRequired { .. }
            | KeyringError::WrongPassphrase { .. }
            | KeyringError::Lacks { .. } => Self::rejected(error),
        }
    }
}

/// Messages and exit codes for all error reasons of the store.
impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        use ErrorKind::{NotFound, Rejected, Unavailable};
        if let Some(cause) = tls::explain(&status) {
            return Self::unavailable(format!("the store cannot be reached (--store-url): {cause}"));
        }
        let info = ErrorInfo::from_status(&status);
        let when = info.metadata.get("time").map(|time| format!(" at {time}")).unwrap_or_default();
        let exposed = "If that was not you, treat the text as exposed.";
        let failed = |kind, message: &str| (kind, message.to_owned());
        let (kind, message) = match info.reason {
            ErrorReason::FieldInvalid | ErrorReason::TextTooLong | ErrorReason::ApiTokenNameTaken => {
                (Rejected, field_errors(&info, &status))
            }
            ErrorReason::AccessTokenInvalid => {
                failed(Rejected, "the access token is malformed or mistyped: copy it again")
            }
            ErrorReason::MessageNotFound => {
                failed(NotFound, "no message with this id and access token exists, or its receipt has expired")
            }
            ErrorReason::MessageViewed => (NotFound, format!("the message was read{when}. {exposed}")),
            ErrorReason::MessageBurned => (NotFound, format!("the message was burned unread{when}")),
            ErrorReason::MessageExpired => (NotFound, format!("the message expired unread{when}")),
            ErrorReason::PassphraseRequired => {
                failed(Rejected, "the message needs a passphrase (--passphrase-file); nothing was consumed")
            }
            ErrorReason::PassphraseWrong => failed(Rejected, "the passphrase is wrong; nothing was consumed"),
            ErrorReason::PassphraseLocked => {
                let wait = std::time::Duration::from_secs(info.retry_after.unwrap_or_default().as_secs());
                let wait = humantime::format_duration(wait);
                (Rejected, format!("too many passphrases were tried: try again in {wait}"))
            }
            ErrorReason::MessageSealed => failed(
                Rejected,
                "the message was encrypted by its creator: open it in a browser, by its link; nothing was consumed",
            ),
            ErrorReason::RequestConflict => {
                failed(Rejected, "another message was created with this request id; nothing was changed")
            }
            ErrorReason::AppConfigNotFound => {
                failed(NotFound, "there is no such app config: mayfly config add adds one")
            }
            ErrorReason::CredentialsInvalid => {
                failed(Rejected, "the store does not know this token (--admin-token, or --token of mayfly new)")
            }
            ErrorReason::ApiTokenRevoked => failed(Rejected, "the API token was revoked: ask an admin for a new one"),
            ErrorReason::ApiTokenExpired => failed(Rejected, "the API token has expired: ask an admin for a new one"),
            ErrorReason::ApiTokenRequired => {
                failed(Rejected, "creating a message needs an API token here (--token-file); nothing was stored")
            }
            ErrorReason::ApiTokenNotFound => {
                failed(NotFound, "no API token has this name, or it was revoked before: mayfly tokens list shows them")
            }
            ErrorReason::PermissionDenied => {
                failed(Rejected, "the token lacks the permission (--admin-token, or --token of mayfly new)")
            }
            ErrorReason::Overloaded => failed(Unavailable, "the store is overloaded: try again later"),
            ErrorReason::RateLimited => failed(Unavailable, "the rate limit is exceeded: try again later"),
            ErrorReason::StorageFull => {
                failed(Rejected, "the store is full (--max-messages, --max-stored-bytes, or its disk)")
            }
            ErrorReason::StoreUnavailable => failed(
                Unavailable,
                "the store cannot be reached (--store-url), or its database cannot: try again later",
            ),
            ErrorReason::BotUnavailable => {
                failed(Unavailable, "the bot cannot be reached (--bot-url): try again later")
            }
            ErrorReason::Internal | ErrorReason::Unspecified => {
                let request = info.request_id.map(|id| format!(" (request id {id})")).unwrap_or_default();
                (ErrorKind::Failed, format!("the store failed; see its log{request}"))
            }
        };
        Self { kind, message }
    }
}

fn field_errors(info: &ErrorInfo, status: &Status) -> String {
    let errors: Vec<_> = info.fields.iter().map(|field| format!("{} {}", field.field, field.description)).collect();
    if errors.is_empty() { status.message().to_owned() } else { errors.join("; ") }
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
            (ErrorReason::ApiTokenRevoked, ErrorKind::Rejected),
            (ErrorReason::ApiTokenExpired, ErrorKind::Rejected),
            (ErrorReason::ApiTokenRequired, ErrorKind::Rejected),
            (ErrorReason::ApiTokenNameTaken, ErrorKind::Rejected),
            (ErrorReason::ApiTokenNotFound, ErrorKind::NotFound),
            (ErrorReason::PermissionDenied, ErrorKind::Rejected),
            (ErrorReason::Overloaded, ErrorKind::Unavailable),
            (ErrorReason::RateLimited, ErrorKind::Unavailable),
            (ErrorReason::StoreUnavailable, ErrorKind::Unavailable),
            (ErrorReason::BotUnavailable, ErrorKind::Unavailable),
            (ErrorReason::Internal, ErrorKind::Failed),
        ];
        for (reason, kind) in table {
            let status = ErrorInfo::new(reason).into_status(tonic::Code::Unknown, "");
            assert_eq!(CliError::from(status).kind, kind, "{reason:?}");
        }
    }
}
