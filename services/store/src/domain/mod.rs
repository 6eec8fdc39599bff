//! What Mayfly is about, with no database and no wire in it: messages, tokens, seals, keys, app configs, time.
//!
//! Values are checked when they are made; past that, nobody checks again.

mod access_token;
mod app_config;
mod entropy;
mod keyring;
mod message;
mod passphrase;
mod public_id;
mod seal;
mod time;
mod verifier;

pub(crate) use access_token::AccessToken;
pub(crate) use app_config::{
    ApiHash, ApiId, AppConfig, AppConfigChange, AppConfigId, BotToken, NewAppConfig, SessionName,
};
pub(crate) use entropy::{EntropyError, random};
pub use keyring::InvalidKeyring;
pub(crate) use keyring::{Key, KeyId, Keyring};
pub(crate) use message::{
    ContentKind, Limits, Lookup, MessageContent, MessageId, MessageText, RequestId, SealedContent, ViewId,
};
pub use message::{Outcome, Receipt};
pub(crate) use passphrase::{CallerTag, Passphrase, PassphraseKey, StretchMemory, TryLimits};
pub(crate) use public_id::PublicIds;
pub(crate) use seal::{
    ClaimSeal, ContentTag, MessageSeal, SealError, Unreadable, config_secret_key, open_config_secret,
    seal_config_secret,
};
pub use time::{Clock, Lifetime, SystemClock, Timestamp};
pub(crate) use verifier::Verifier;
