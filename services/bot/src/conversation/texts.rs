//! The texts of the bot in every language: the messages of `texts/*.ftl`.
//!
//! The format is Fluent, because languages differ in more than words: a translator can select forms by number or gender
//! without a change of the code. English is the reference. A test checks that the other languages have the same
//! messages with the same variables.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use crate::conversation::language::Language;

macro_rules! texts {
    ($($name:ident = $id:literal,)*) => {
        /// The name of a text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Phrase {
            $($name,)*
        }

        impl Phrase {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The identifier in the files.
            const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

texts! {
    HelpIntro = "help-intro",
    HelpView = "help-view",
    HelpCommand = "help-command",
    TextOnly = "text-only",
    EditIgnored = "edit-ignored",
    SplitText = "split-text",
    PrivateChatOnly = "private-chat-only",
    NewHelp = "new-help",
    NewCommand = "new-command",
    LookHelp = "look-help",
    LookCommand = "look-command",
    BurnHelp = "burn-help",
    BurnCommand = "burn-command",
    NoText = "no-text",
    LifetimeInvalid = "lifetime-invalid",
    LifetimeOutOfRange = "lifetime-out-of-range",
    FieldInvalid = "field-invalid",
    TextTooLong = "text-too-long",
    TextTooLongUnknownLimit = "text-too-long-unknown-limit",
    FormattingLost = "formatting-lost",
    MessageRefInvalid = "message-ref-invalid",
    LinkInvalid = "link-invalid",
    ButtonOutdated = "button-outdated",
    NotFound = "not-found",
    Viewed = "viewed",
    ViewedOn = "viewed-on",
    Burned = "burned",
    BurnedOn = "burned-on",
    Expired = "expired",
    ExpiredOn = "expired-on",
    Unread = "unread",
    UnreadUntil = "unread-until",
    BurnSucceeded = "burn-succeeded",
    ViewedInThisChat = "viewed-in-this-chat",
    ViewedInThisChatOn = "viewed-in-this-chat-on",
    Sealed = "sealed",
    PassphraseRequired = "passphrase-required",
    PassphraseRequiredInBrowser = "passphrase-required-in-browser",
    PassphraseLocked = "passphrase-locked",
    Overloaded = "overloaded",
    StorageFull = "storage-full",
    StoreUnavailable = "store-unavailable",
    TryLater = "try-later",
    NotStoredTryLater = "not-stored-try-later",
    NotShownTryLater = "not-shown-try-later",
    FloodLimitExceeded = "flood-limit-exceeded",
    InternalError = "internal-error",
    TopicGone = "topic-gone",
    ViewOffer = "view-offer",
    ViewOfferUntil = "view-offer-until",
    Revealed = "revealed",
    ButtonCopy = "button-copy",
    ButtonShare = "button-share",
    ButtonOpen = "button-open",
    ButtonLook = "button-look",
    ButtonBurn = "button-burn",
    ButtonBurnNow = "button-burn-now",
    ButtonKeep = "button-keep",
    ButtonReveal = "button-reveal",
}

impl Language {
    /// Returns the text of a phrase.
    pub(crate) fn text(self, text: Phrase) -> String {
        self.format(text, None)
    }

    /// Returns the text of a phrase with variables.
    pub(crate) fn text_with<const N: usize>(self, text: Phrase, variables: [(&'static str, &str); N]) -> String {
        self.format(text, Some(&variables.into_iter().collect()))
    }

    fn format(self, text: Phrase, variables: Option<&FluentArgs<'_>>) -> String {
        // The files are part of the binary, and tests check that they are complete. If not, the identifier is the
        // fallback.
        let format = |bundle: &'static FluentBundle<FluentResource>| {
            let pattern = bundle.get_message(text.id())?.value()?;
            Some(bundle.format_pattern(pattern, variables, &mut Vec::new()).into_owned())
        };
        self.bundle().and_then(format).unwrap_or_else(|| text.id().to_owned())
    }

    const fn file(self) -> &'static str {
        match self {
            Self::English => include_str!("../../texts/en.ftl"),
            Self::Korean => include_str!("../../texts/ko.ftl"),
            Self::German => include_str!("../../texts/de.ftl"),
            Self::Spanish => include_str!("../../texts/es.ftl"),
            Self::Portuguese => include_str!("../../texts/pt.ftl"),
            Self::Russian => include_str!("../../texts/ru.ftl"),
        }
    }

    fn bundle(self) -> Option<&'static FluentBundle<FluentResource>> {
        static BUNDLES: LazyLock<[(Language, FluentBundle<FluentResource>); Language::ALL.len()]> =
            LazyLock::new(|| Language::ALL.map(|language| (language, read(language))));
        BUNDLES.iter().find(|(language, _)| *language == self).map(|(_, bundle)| bundle)
    }
}

fn read(language: Language) -> FluentBundle<FluentResource> {
    let tag: LanguageIdentifier = language.code().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Isolation marks separate inserted text in right-to-left languages. Users would copy them along with an
    // `id:token`.
    bundle.set_use_isolating(false);
    let (Ok(messages) | Err((messages, _))) = FluentResource::try_new(language.file().to_owned());
    bundle.add_resource_overriding(messages);
    bundle
}

#[cfg(test)]
mod tests;
