//! The keywords of the bot: the word before the first colon of a text, or the name of a slash command.

use crate::conversation::texts::Phrase;

/// One keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    New,
    Look,
    Burn,
}

impl Keyword {
    /// All keywords, in the order of the help.
    pub(crate) const ALL: [Self; 3] = [Self::New, Self::Look, Self::Burn];

    /// Returns the keyword with this name, in any case.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name().eq_ignore_ascii_case(name))
    }

    /// The name in lower case. Letters only, so that it is a valid name of a slash command.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Look => "look",
            Self::Burn => "burn",
        }
    }

    /// The help text: the syntax and the effect.
    pub(crate) const fn help(self) -> Phrase {
        match self {
            Self::New => Phrase::NewHelp,
            Self::Look => Phrase::LookHelp,
            Self::Burn => Phrase::BurnHelp,
        }
    }

    /// The same in one line, for the command menu of Telegram.
    pub(crate) const fn menu_text(self) -> Phrase {
        match self {
            Self::New => Phrase::NewCommand,
            Self::Look => Phrase::LookCommand,
            Self::Burn => Phrase::BurnCommand,
        }
    }
}
