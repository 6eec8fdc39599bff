//! Methods that edit or delete messages, answer callback queries, or set the menu of commands.

use serde_json::{Value, json};

use super::{
    account::Account,
    error::{ApiResult, bad_request},
    keyboard,
    params::Params,
    text::check_text,
    types::CallbackAnswer,
};

const MAX_ALERT_LENGTH: usize = 200;
const MAX_COMMANDS: usize = 100;
const MAX_COMMAND: usize = 32;
const MAX_DESCRIPTION: usize = 256;

pub(super) fn edit_message(account: &mut Account, method: &str, params: &Params) -> ApiResult {
    let key = (params.number("chat_id").unwrap_or_default(), params.number("message_id").unwrap_or_default());
    let keyboard = keyboard::check(params.fields.get("reply_markup")).map_err(bad_request)?;
    let text = (method == "editmessagetext").then(|| check_text(params)).transpose()?;
    let message = account.messages.get_mut(&key).ok_or_else(|| bad_request("message to edit not found"))?;
    if !message.is_from_bot {
        return Err(bad_request("message can't be edited"));
    }
    let text = text.unwrap_or_else(|| message.text.clone());
    if text == message.text && keyboard == message.reply_markup {
        return Err(bad_request(
            "message is not modified: specified new message content and reply markup are exactly the same as a current \
             content and reply markup of the message",
        ));
    }
    (message.text, message.reply_markup) = (text, keyboard);
    Ok(json!({ "message_id": key.1, "date": 0, "chat": { "id": key.0, "type": "private" }, "text": message.text }))
}

pub(super) fn delete_message(account: &mut Account, params: &Params) -> ApiResult {
    let key = (params.number("chat_id").unwrap_or_default(), params.number("message_id").unwrap_or_default());
    let deleted = account.messages.remove(&key);
    deleted.map(|_| json!(true)).ok_or_else(|| bad_request("message to delete not found"))
}

pub(super) fn answer_callback_query(account: &mut Account, params: &Params) -> ApiResult {
    let query_id = params.text("callback_query_id").unwrap_or_default();
    let waiting = account.presses.get_mut(query_id).filter(|answer| answer.is_none());
    let waiting =
        waiting.ok_or_else(|| bad_request("query is too old and response timeout expired or query ID is invalid"))?;
    let text = params.text("text").map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_ALERT_LENGTH) {
        return Err(bad_request("MESSAGE_TOO_LONG"));
    }
    *waiting = Some(CallbackAnswer { text, is_alert: params.flag("show_alert") });
    Ok(json!(true))
}

pub(super) fn set_my_commands(account: &mut Account, params: &Params) -> ApiResult {
    let commands = params.fields.get("commands").and_then(Value::as_array);
    let commands = commands.ok_or_else(|| bad_request("can't parse commands: Expected an Array"))?;
    if commands.len() > MAX_COMMANDS {
        return Err(bad_request("BOT_COMMANDS_TOO_MUCH"));
    }
    let commands = commands.iter().map(|command| {
        let field = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, description) = (field("command"), field("description"));
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=MAX_COMMAND).contains(&name.len()) || !name.bytes().all(is_letter) {
            return Err(bad_request("BOT_COMMAND_INVALID"));
        }
        if !(1..=MAX_DESCRIPTION).contains(&description.chars().count()) {
            return Err(bad_request("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
        Ok((name.to_owned(), description.to_owned()))
    });
    let commands = commands.collect::<Result<Vec<_>, _>>()?;
    let language = params.text("language_code").unwrap_or_default();
    if !matches!(language.as_bytes(), [] | [b'a'..=b'z', b'a'..=b'z']) {
        return Err(bad_request("LANG_CODE_INVALID"));
    }
    account.commands.insert(language.to_owned(), commands);
    Ok(json!(true))
}
