//! The words that begin a message before its first colon, `new:` and those to come.
//!
//! A new keyword is one entry here: its name, the parser of what follows the colon, and its line in the help. The
//! intent that the parser answers has its handler in `handlers/`; the compiler asks for it there.

use crate::intent::Intent;

/// One keyword.
pub(crate) struct Keyword {
    /// In lower case; users may write it in any.
    pub name: &'static str,
    /// Turns what follows the colon, byte for byte, into an intent. Total: there is an intent for every text.
    pub parse: for<'text> fn(&'text str) -> Intent<'text>,
    /// What to write and what it does, for the help.
    pub help: &'static str,
}

/// All keywords, in the order of the help.
pub(crate) const KEYWORDS: [Keyword; 1] = [Keyword {
    name: "new",
    parse: |text| Intent::Create { text },
    help: "new:your text – keeps the text and answers id:token",
}];

/// The keyword with this name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Keyword> {
    const { &KEYWORDS }.iter().find(|keyword| keyword.name.eq_ignore_ascii_case(name))
}
