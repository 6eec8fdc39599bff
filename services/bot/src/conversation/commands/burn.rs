//! `burn:id:token`: erases a message unread.

use super::{Answering, Keyword, Operation, opener_of};
use crate::{
    conversation::{
        handlers::{Stopping, Tools, refused},
        message_ref::Opener,
        reply::Answer,
        texts::Phrase,
        wording::Asked,
    },
    updates::event::Incoming,
};

pub(super) const KEYWORD: Keyword = Keyword {
    name: "burn",
    verb: "burn_message",
    parse: |written| Ok(Box::new(Burn(opener_of(written)?))),
    help: Phrase::BurnHelp,
    command: Phrase::BurnCommand,
};

/// A message to erase.
struct Burn(Opener);

impl Burn {
    async fn burn(&self, tools: &Tools, incoming: &Incoming) -> Result<Answer, Stopping> {
        match tools.store.burn_message(&self.0).await {
            Ok(_) => Ok(Answer::saying(incoming.language.say(Phrase::BurnedNow), "burned")),
            Err(failure) => refused(incoming.language, Asked::Other, failure),
        }
    }
}

impl Operation for Burn {
    fn handle<'a>(&'a self, tools: &'a Tools, incoming: &'a Incoming) -> Answering<'a> {
        Box::pin(self.burn(tools, incoming))
    }
}
