//! The errors that stop the bot.

use std::io;

/// Why the bot cannot run. A store or a Telegram that is away, or a token that Telegram refuses, is not among these:
/// the bot waits for them.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The service token cannot travel in the metadata of a call.
    #[error("the service token is not visible ASCII")]
    ServiceToken,
    /// The client for Telegram cannot be made, mostly for want of TLS roots.
    #[error("cannot make an HTTP client for Telegram")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// What is to be deleted later cannot be written down.
    #[error("cannot use the folder of pending deletions")]
    Deletions(#[source] io::Error),
    /// The status page cannot be served.
    #[error("cannot serve the status page")]
    Serve(#[source] io::Error),
}
