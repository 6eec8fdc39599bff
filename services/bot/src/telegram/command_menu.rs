//! The menu of commands that Telegram shows beside the bot's chats, in every language.

use crate::{
    conversation::{command::Keyword, language::Language, texts::Phrase},
    telegram::{client::Telegram, errors::TelegramError},
};

/// Registers the commands. Telegram keeps them, so it is no harm when this fails now and then.
pub(crate) async fn register(telegram: &Telegram) {
    for language in Language::ALL {
        let keywords = Keyword::ALL.map(|keyword| (keyword.name(), language.text(keyword.menu_text())));
        let commands: Vec<_> = keywords.into_iter().chain([("help", language.text(Phrase::HelpCommand))]).collect();
        // Without a code the menu is for everybody whose language has none of its own.
        let code = (language != Language::default()).then(|| language.code());
        if let Err(error) = telegram.set_commands(code, &commands).await {
            tracing::warn!(?error, "could not register the menu of commands");
            if error != TelegramError::Refused {
                return;
            }
        }
    }
}
