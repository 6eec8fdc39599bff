//! The buttons under the bot's messages, and what comes back from them.

use url::Url;

use crate::conversation::{
    handlers::Context,
    language::Language,
    message_ref::MessageRef,
    reply::{Button, ButtonAction, Buttons},
    texts::Phrase,
};

/// What a button that comes back asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackAction {
    /// Tell where the message stands.
    Look,
    /// Burn it, if that is meant.
    Burn,
    /// It is meant.
    BurnNow,
    /// It was not meant.
    Keep,
    /// Show the message that a link led to.
    Reveal,
}

impl CallbackAction {
    const ALL: [Self; 5] = [Self::Look, Self::Burn, Self::BurnNow, Self::Keep, Self::Reveal];

    /// Its letter in the data of a button. Buttons outlive releases: letters are never used anew.
    const fn letter(self) -> char {
        match self {
            Self::Look => 'l',
            Self::Burn => 'b',
            Self::BurnNow => 'B',
            Self::Keep => 'k',
            Self::Reveal => 'r',
        }
    }

    /// Its name in logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Look => "press_look",
            Self::Burn => "press_burn",
            Self::BurnNow => "press_burn_now",
            Self::Keep => "press_keep",
            Self::Reveal => "press_reveal",
        }
    }

    /// Reads the data of a button. `None` when it is none of ours, or of another release.
    pub(crate) fn parse(data: &str) -> Option<(Self, MessageRef)> {
        let mut characters = data.chars();
        let letter = characters.next()?;
        let pressed = Self::ALL.into_iter().find(|pressed| pressed.letter() == letter)?;
        Some((pressed, MessageRef::from_link(characters.as_str())?))
    }
}

/// Under `id:token`: what its creator may want to do with it. What is not possible has no button.
pub(crate) fn created(tools: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    let copy = Some(Button::new(language, Phrase::ButtonCopy, ButtonAction::CopyText(message_ref.to_text())));
    let share =
        share_url(tools, message_ref).map(|url| Button::new(language, Phrase::ButtonShare, ButtonAction::OpenUrl(url)));
    let open =
        page_url(tools, message_ref).map(|url| Button::new(language, Phrase::ButtonOpen, ButtonAction::OpenUrl(url)));
    let press = |pressed, label| Button::press(language, label, pressed, message_ref);
    rows([
        vec![copy, share],
        vec![open],
        vec![press(CallbackAction::Look, Phrase::ButtonLook), press(CallbackAction::Burn, Phrase::ButtonBurn)],
    ])
}

/// Instead of these, before a message is burned.
pub(crate) fn burn(language: Language, message_ref: &MessageRef) -> Buttons {
    let press = |pressed, label| Button::press(language, label, pressed, message_ref);
    rows([vec![press(CallbackAction::BurnNow, Phrase::ButtonBurnNow), press(CallbackAction::Keep, Phrase::ButtonKeep)]])
}

/// Under what a link led to.
pub(crate) fn reveal(tools: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    rows([
        vec![Button::press(language, Phrase::ButtonReveal, CallbackAction::Reveal, message_ref)],
        open(tools, language, message_ref),
    ])
}

/// Under what can be read in a browser only.
pub(crate) fn browser(tools: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    rows([open(tools, language, message_ref)])
}

fn open(tools: &Context, language: Language, message_ref: &MessageRef) -> Vec<Option<Button>> {
    let url = page_url(tools, message_ref);
    vec![url.map(|url| Button::new(language, Phrase::ButtonOpen, ButtonAction::OpenUrl(url)))]
}

fn rows<const N: usize>(rows: [Vec<Option<Button>>; N]) -> Buttons {
    let rows = rows.map(|row| row.into_iter().flatten().collect::<Vec<_>>());
    rows.into_iter().filter(|row| !row.is_empty()).collect()
}

impl Button {
    fn new(language: Language, label: Phrase, action: ButtonAction) -> Self {
        Self { label: language.text(label), action }
    }

    fn press(language: Language, label: Phrase, pressed: CallbackAction, message_ref: &MessageRef) -> Option<Self> {
        let data = format!("{}{}", pressed.letter(), message_ref.to_link()?);
        Some(Self::new(language, label, ButtonAction::Callback(data)))
    }
}

/// Where a browser reads the message. What is behind the `#` stays in the browser.
fn page_url(tools: &Context, message_ref: &MessageRef) -> Option<String> {
    let mut url: Url = tools.public_url.clone()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["m", &message_ref.id.to_string()]);
    url.set_fragment(Some(&message_ref.access_token));
    Some(url.into())
}

/// Lets the user choose a chat to send the link to. Whoever opens it comes to this bot, and is asked before anything is read.
fn share_url(tools: &Context, message_ref: &MessageRef) -> Option<String> {
    let bot = tools.bot_name.as_ref()?;
    Some(format!("https://t.me/share/url?url=https://t.me/{bot}?start={}", message_ref.to_link()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_two_buttons_have_the_same_letter() {
        let letters: std::collections::BTreeSet<_> = CallbackAction::ALL.map(CallbackAction::letter).into();
        assert_eq!(letters.len(), CallbackAction::ALL.len());
    }

    proptest! {
        #[test]
        fn what_is_put_into_a_button_fits_there_and_comes_back(id in 1..=i64::MAX, access_token in "[0-9a-f]{64}") {
            let message_ref = MessageRef { id, access_token };
            for pressed in CallbackAction::ALL {
                let button = Button::press(Language::English, Phrase::ButtonLook, pressed, &message_ref).unwrap();
                let ButtonAction::Callback(data) = button.action else { panic!("does not come back") };
                prop_assert!(data.len() <= 64);
                prop_assert_eq!(CallbackAction::parse(&data), Some((pressed, message_ref.clone())));
            }
        }

        #[test]
        fn any_data_is_understood_or_not(data in any::<String>()) {
            let _ = CallbackAction::parse(&data);
        }
    }
}
