//! Deletes a message unread: `burn:id:token`.

use mayfly_contracts::MessageRef;

use crate::{
    conversation::{
        context::{Context, error_reply},
        event::ChatEvent,
        reply::Reply,
        texts::Phrase,
        wording::Operation,
    },
    store_client::ShuttingDown,
};

pub(super) async fn run(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match context.store.burn_message(message_ref).await {
        Ok(_) => Ok(Reply::message(event.language.text(Phrase::BurnSucceeded), "burned")),
        Err(error) => error_reply(event.language, Operation::Other, error),
    }
}
