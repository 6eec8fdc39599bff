//! The buttons under the messages of the bot.

use mayfly_contracts::MessageRef;
use url::Url;

use crate::conversation::{
    callback_data::{Callback, CallbackAction},
    context::Context,
    language::Language,
    link,
    reply::{Button, ButtonAction, Buttons},
    texts::Phrase,
};

/// The buttons under `id:token`, for its sender. A button that cannot work is left out.
pub(crate) fn created(context: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    let copy = Some(Button::new(language, Phrase::ButtonCopy, ButtonAction::CopyText(message_ref.to_text())));
    let share = share_url(context, message_ref);
    let share = share.map(|url| Button::new(language, Phrase::ButtonShare, ButtonAction::OpenUrl(url)));
    let callback = |action, label| Button::callback(language, label, action, message_ref);
    rows([
        vec![copy, share],
        vec![open_in_browser(context, language, message_ref)],
        vec![callback(CallbackAction::Look, Phrase::ButtonLook), callback(CallbackAction::Burn, Phrase::ButtonBurn)],
    ])
}

/// The buttons that ask for confirmation before a message is burned.
pub(crate) fn confirm_burn(language: Language, message_ref: &MessageRef) -> Buttons {
    let callback = |action, label| Button::callback(language, label, action, message_ref);
    rows([vec![
        callback(CallbackAction::BurnNow, Phrase::ButtonBurnNow),
        callback(CallbackAction::Keep, Phrase::ButtonKeep),
    ]])
}

/// The buttons under the offer to show a message.
pub(crate) fn reveal(context: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    rows([
        vec![Button::callback(language, Phrase::ButtonReveal, CallbackAction::Reveal, message_ref)],
        vec![open_in_browser(context, language, message_ref)],
    ])
}

/// The buttons for a message that only a browser can show.
pub(crate) fn browser(context: &Context, language: Language, message_ref: &MessageRef) -> Buttons {
    rows([vec![open_in_browser(context, language, message_ref)]])
}

fn open_in_browser(context: &Context, language: Language, message_ref: &MessageRef) -> Option<Button> {
    let url = page_url(context, message_ref)?;
    Some(Button::new(language, Phrase::ButtonOpen, ButtonAction::OpenUrl(url)))
}

fn rows<const N: usize>(rows: [Vec<Option<Button>>; N]) -> Buttons {
    let rows = rows.map(|row| row.into_iter().flatten().collect::<Vec<_>>());
    rows.into_iter().filter(|row| !row.is_empty()).collect()
}

impl Button {
    fn new(language: Language, label: Phrase, action: ButtonAction) -> Self {
        Self { label: language.text(label), action }
    }

    fn callback(language: Language, label: Phrase, action: CallbackAction, message_ref: &MessageRef) -> Option<Self> {
        let data = Callback::data(action, message_ref)?;
        Some(Self::new(language, label, ButtonAction::Callback(data)))
    }
}

/// Returns the URL of the web page that shows the message. The fragment after the `#` stays in the browser.
fn page_url(context: &Context, message_ref: &MessageRef) -> Option<String> {
    let mut url: Url = context.public_url.clone()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["m", &message_ref.id.to_string()]);
    url.set_fragment(Some(&message_ref.access_token));
    Some(url.into())
}

/// Returns the URL that lets the user choose a chat to send the link to. The link opens this bot, which asks before it
/// shows the text.
fn share_url(context: &Context, message_ref: &MessageRef) -> Option<String> {
    let bot = context.bot_name.as_ref()?;
    Some(format!("https://t.me/share/url?url=https://t.me/{bot}?start={}", link::encode(message_ref)?))
}
