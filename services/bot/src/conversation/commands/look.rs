//! `look:id:token`: tells where a message stands.

use super::{Answering, Keyword, Operation, opener_of};
use crate::{
    conversation::{
        handlers::{Stopping, Tools, refused},
        message_ref::Opener,
        reply::Answer,
        texts::Phrase,
        wording::{self, Asked},
    },
    updates::event::Incoming,
};

pub(super) const KEYWORD: Keyword = Keyword {
    name: "look",
    verb: "lookup_message",
    parse: |written| Ok(Box::new(Look(opener_of(written)?))),
    help: Phrase::LookHelp,
    command: Phrase::LookCommand,
};

/// A message to look at.
struct Look(Opener);

impl Look {
    async fn look(&self, tools: &Tools, incoming: &Incoming) -> Result<Answer, Stopping> {
        match tools.store.lookup_message(&self.0).await {
            Ok(found) => Ok(Answer::saying(wording::standing(incoming.language, &found), "looked up")),
            Err(failure) => refused(incoming.language, Asked::Other, failure),
        }
    }
}

impl Operation for Look {
    fn handle<'a>(&'a self, tools: &'a Tools, incoming: &'a Incoming) -> Answering<'a> {
        Box::pin(self.look(tools, incoming))
    }
}
