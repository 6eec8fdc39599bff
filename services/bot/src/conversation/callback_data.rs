//! The data of a callback button: what it asks for, and the message it is about.

use mayfly_contracts::MessageRef;

use crate::conversation::link;

/// What a callback button asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackAction {
    /// Show the state of the message.
    Look,
    /// Ask for confirmation, then burn the message.
    Burn,
    /// Burn the message: confirmed.
    BurnNow,
    /// Keep the message: not confirmed.
    Keep,
    /// Show the text of the message that a link names.
    Reveal,
}

impl CallbackAction {
    const ALL: [Self; 5] = [Self::Look, Self::Burn, Self::BurnNow, Self::Keep, Self::Reveal];

    /// The letter in the callback data. Buttons outlive releases, so no letter is ever reused.
    const fn letter(self) -> char {
        match self {
            Self::Look => 'l',
            Self::Burn => 'b',
            Self::BurnNow => 'B',
            Self::Keep => 'k',
            Self::Reveal => 'r',
        }
    }

    /// The name for logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Look => "press_look",
            Self::Burn => "press_burn",
            Self::BurnNow => "press_burn_now",
            Self::Keep => "press_keep",
            Self::Reveal => "press_reveal",
        }
    }
}

/// The parsed data of a callback button. No `Debug`: the reference is a secret.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Callback {
    pub action: CallbackAction,
    pub message_ref: MessageRef,
}

impl Callback {
    /// Parses callback data. `None` if it is not from this release.
    pub(crate) fn parse(data: &str) -> Option<Self> {
        let mut characters = data.chars();
        let letter = characters.next()?;
        let action = CallbackAction::ALL.into_iter().find(|action| action.letter() == letter)?;
        Some(Self { action, message_ref: link::decode(characters.as_str())? })
    }

    /// Returns the callback data, at most 64 bytes. `None` if the token is invalid.
    pub(crate) fn data(action: CallbackAction, message_ref: &MessageRef) -> Option<String> {
        Some(format!("{}{}", action.letter(), link::encode(message_ref)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_two_actions_have_the_same_letter() {
        let letters: std::collections::BTreeSet<_> = CallbackAction::ALL.map(CallbackAction::letter).into();
        assert_eq!(letters.len(), CallbackAction::ALL.len());
    }

    proptest! {
        #[test]
        fn callback_data_fits_into_a_button_and_parses_back(id in 1..=i64::MAX, access_token in "[0-9a-f]{64}") {
            let message_ref = MessageRef { id, access_token };
            for action in CallbackAction::ALL {
                let data = Callback::data(action, &message_ref).unwrap();
                prop_assert!(data.len() <= 64);
                prop_assert_eq!(Callback::parse(&data), Some(Callback { action, message_ref: message_ref.clone() }));
            }
        }

        #[test]
        fn any_callback_data_parses_or_is_rejected(data in any::<String>()) {
            let _ = Callback::parse(&data);
        }
    }
}
