//! The domain: messages, tokens, seals, keys, app configs and time. Knows neither the database nor the wire format.
//!
//! Values are validated when they are constructed, and not again afterwards.

mod access_token;
mod api_token;
mod app_config;
mod entropy;
mod invalid_input;
mod keyring;
mod message;
mod passphrase;
mod public_id;
mod receipt;
mod seal;
mod shared_keyring;
mod time;
mod verifier;

pub(crate) use access_token::AccessToken;
pub(crate) use api_token::{ApiToken, ApiTokenId, ApiTokenName, ApiTokenSecret, Scope, Scopes};
pub(crate) use app_config::{
    ApiHash, ApiId, AppConfig, AppConfigChange, AppConfigId, BotToken, NewAppConfig, SessionName,
};
pub(crate) use entropy::random;
pub use invalid_input::InvalidInput;
pub use keyring::InvalidKeyring;
pub(crate) use keyring::{Key, KeyId, Keyring};
pub(crate) use message::{
    ContentKind, MessageContent, MessageId, MessageLimits, MessageStatus, MessageText, RequestId, SealedContent, ViewId,
};
pub(crate) use passphrase::{Argon2Memory, CallerTag, Passphrase, PassphraseKey, TryLimits};
pub(crate) use public_id::PublicIds;
pub use receipt::{Outcome, Receipt};
pub(crate) use seal::{
    ClaimSeal, ContentTag, MessageSeal, SealError, UnsealError, config_secret_key, open_config_secret,
    seal_config_secret,
};
pub(crate) use shared_keyring::SharedKeyring;
pub use time::{Clock, Lifetime, SystemClock, Timestamp};
pub(crate) use verifier::Verifier;
