//! The errors that stop the bot.

use std::io;

/// Why the bot cannot run. If the store or Telegram is unreachable, or Telegram rejects the token, the bot retries
/// instead.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The service token is not a valid metadata value.
    #[error("the service token is not visible ASCII")]
    ServiceToken,
    /// The HTTP client for Telegram cannot be created, usually because there are no TLS roots.
    #[error("cannot make an HTTP client for Telegram")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system returns no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The directory of pending deletions is not writable.
    #[error("cannot use the folder of pending deletions")]
    Deletions(#[source] io::Error),
    /// The status page cannot be served.
    #[error("cannot serve the status page")]
    Serve(#[source] io::Error),
}
