//! `look:id:token`: tells where a message stands.

use super::{Answering, Keyword, Operation, opener_of};
use crate::{
    conversation::{
        handlers::{Context, ShuttingDown, refused},
        message_ref::MessageRef,
        reply::Reply,
        texts::Phrase,
        wording::{self, Asked},
    },
    updates::event::ChatEvent,
};

pub(super) const KEYWORD: Keyword = Keyword {
    name: "look",
    verb: "lookup_message",
    parse: |written| Ok(Box::new(Look(opener_of(written)?))),
    help: Phrase::LookHelp,
    command: Phrase::LookCommand,
};

/// A message to look at.
struct Look(MessageRef);

impl Look {
    async fn look(&self, tools: &Context, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
        match tools.store.lookup_message(&self.0).await {
            Ok(found) => Ok(Reply::message(wording::state_text(event.language, &found), "looked up")),
            Err(failure) => refused(event.language, Asked::Other, failure),
        }
    }
}

impl Operation for Look {
    fn handle<'a>(&'a self, tools: &'a Context, event: &'a ChatEvent) -> Answering<'a> {
        Box::pin(self.look(tools, event))
    }
}
