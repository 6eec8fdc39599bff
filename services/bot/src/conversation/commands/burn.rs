//! `burn:id:token`: erases a message unread.

use super::{Answering, Keyword, Operation, opener_of};
use crate::{
    conversation::{
        handlers::{Context, ShuttingDown, refused},
        message_ref::MessageRef,
        reply::Reply,
        texts::Phrase,
        wording::Asked,
    },
    updates::event::ChatEvent,
};

pub(super) const KEYWORD: Keyword = Keyword {
    name: "burn",
    verb: "burn_message",
    parse: |written| Ok(Box::new(Burn(opener_of(written)?))),
    help: Phrase::BurnHelp,
    command: Phrase::BurnCommand,
};

/// A message to erase.
struct Burn(MessageRef);

impl Burn {
    async fn burn(&self, tools: &Context, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
        match tools.store.burn_message(&self.0).await {
            Ok(_) => Ok(Reply::message(event.language.text(Phrase::BurnedNow), "burned")),
            Err(failure) => refused(event.language, Asked::Other, failure),
        }
    }
}

impl Operation for Burn {
    fn handle<'a>(&'a self, tools: &'a Context, event: &'a ChatEvent) -> Answering<'a> {
        Box::pin(self.burn(tools, event))
    }
}
