//! The command menu that Telegram shows in the chats of the bot, in every language.

use crate::{
    conversation::{command::Keyword, language::Language, texts::Phrase},
    telegram::{client::Telegram, errors::TelegramError},
};

/// Sets the command menu. Best effort, because Telegram keeps the last one.
pub(crate) async fn register(telegram: &Telegram) {
    for language in Language::ALL {
        let keywords = Keyword::ALL.map(|keyword| (keyword.name(), language.text(keyword.menu_text())));
        let commands: Vec<_> = keywords.into_iter().chain([("help", language.text(Phrase::HelpCommand))]).collect();
        // The menu without a code is for all languages without a menu.
        let code = (language != Language::default()).then(|| language.code());
        if let Err(error) = telegram.set_commands(code, &commands).await {
            tracing::warn!(?error, "could not register the menu of commands");
            if error != TelegramError::Refused {
                return;
            }
        }
    }
}
