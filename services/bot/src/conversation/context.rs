//! What handlers need.

use url::Url;

use crate::{
    bot_key::BotKey,
    conversation::{
        language::Language,
        reply::Reply,
        wording::{self, Operation},
    },
    store_client::{ShuttingDown, StoreClient, StoreError},
};

/// What all handlers of one bot share.
pub(crate) struct Context {
    pub store: StoreClient,
    /// The key of the bot that received the update.
    pub bot_key: BotKey,
    /// The user name of the bot. Without it, there are no links to the bot.
    pub bot_name: Option<String>,
    /// The URL of the gateway for browsers, if it has one.
    pub public_url: Option<Url>,
}

/// Returns the reply to a call that the store rejected or did not answer.
pub(super) fn error_reply(language: Language, operation: Operation, error: StoreError) -> Result<Reply, ShuttingDown> {
    let rejection = error.into_rejection()?;
    Ok(Reply::message(wording::error_text(language, operation, &rejection), rejection.reason.name()))
}
