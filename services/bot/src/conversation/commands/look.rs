//! Shows the state of a message: `look:id:token`.

use mayfly_contracts::MessageRef;

use crate::{
    conversation::{
        context::{Context, error_reply},
        event::ChatEvent,
        reply::Reply,
        wording::{self, Operation},
    },
    store_client::ShuttingDown,
};

pub(super) async fn run(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match context.store.lookup_message(message_ref).await {
        Ok(found) => Ok(Reply::message(wording::state_text(event.language, &found), "looked up")),
        Err(error) => error_reply(event.language, Operation::Other, error),
    }
}
