//! The words that begin a message before its first colon, `new:` and others.
//!
//! A keyword is one file in `keywords/` and its line in the table below. The file has, in this order, the entry, what the
//! keyword asks for, its parser and its handler; what it says stands with all other texts in `texts/`.

mod burn;
pub(super) mod help;
mod look;
mod new;
pub(super) mod open;
pub(super) mod view;

use futures_util::future::BoxFuture;

use crate::{
    conversation::{
        handlers::{Context, ShuttingDown},
        reply::Reply,
        texts::Phrase,
    },
    updates::event::ChatEvent,
};

/// All keywords, in the order of the help.
pub(crate) static KEYWORDS: [Keyword; 3] = [new::KEYWORD, look::KEYWORD, burn::KEYWORD];

/// One keyword.
pub(crate) struct Keyword {
    /// In lower case; users may write it in any. Letters only, so that it is a command of Telegram's too.
    pub name: &'static str,
    /// The rpc it comes down to, for logs.
    pub verb: &'static str,
    /// Turns what was written with the keyword into what it asks for. Pure, and total: there is an answer for every text.
    pub parse: fn(Arguments<'_>) -> Result<Box<dyn Operation>, ParseError>,
    /// What to write and what it does, for the help.
    pub help: Phrase,
    /// The same in one line, for Telegram's menu of commands.
    pub command: Phrase,
}

/// What was written with a keyword.
#[derive(Clone, Copy)]
pub(crate) enum Arguments<'text> {
    /// `keyword argument:rest`.
    Prefix {
        /// Without blanks around it, mostly empty.
        argument: &'text str,
        /// Everything after the first colon, as it is.
        rest: &'text str,
    },
    /// `/keyword tail`, as Telegram's menu of commands has it. The tail is kept as it is.
    Slash { tail: &'text str },
}

/// What a keyword asks for, parsed.
pub(crate) trait Operation: Send + Sync {
    /// Does it, and answers what comes of it.
    fn handle<'a>(&'a self, tools: &'a Context, event: &'a ChatEvent) -> Answering<'a>;
}

/// A handler at work.
pub(crate) type Answering<'a> = BoxFuture<'a, Result<Reply, ShuttingDown>>;

/// What is wrong with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// There is no text to keep.
    NoText,
    /// The lifetime is none.
    Lifetime(String),
    /// What should be `id:token` is not.
    MessageRef,
    /// A link of ours was damaged.
    Link,
}

/// The keyword with this name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name.eq_ignore_ascii_case(name))
}

/// The opener that follows a keyword which takes nothing else.
fn opener_of(written: Arguments<'_>) -> Result<crate::conversation::message_ref::MessageRef, ParseError> {
    let message_ref = match written {
        Arguments::Prefix { argument: "", rest } => rest,
        Arguments::Prefix { .. } => return Err(ParseError::MessageRef),
        Arguments::Slash { tail } => tail,
    };
    crate::conversation::message_ref::MessageRef::parse(message_ref).ok_or(ParseError::MessageRef)
}
