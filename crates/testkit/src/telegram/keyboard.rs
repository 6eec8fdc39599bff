//! Inline keyboards, validated by Telegram's rules.

use serde_json::Value;

const MAX_DATA: usize = 64;
const MAX_COPY: usize = 256;

/// Validates a keyboard. Returns `None` without buttons, or the error text of Telegram.
pub(super) fn check(reply_markup: Option<&Value>) -> Result<Option<Value>, String> {
    let Some(markup) = reply_markup else { return Ok(None) };
    // Forms and queries carry objects as JSON strings.
    let markup = match markup.as_str() {
        Some(text) => serde_json::from_str(text).map_err(|_| "can't parse reply keyboard markup JSON object")?,
        None => markup.clone(),
    };
    let rows = markup.get("inline_keyboard").and_then(Value::as_array).ok_or("object expected as reply markup")?;
    for row in rows {
        let row =
            row.as_array().ok_or("field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays")?;
        row.iter().try_for_each(check_button)?;
    }
    Ok(Some(markup.clone()).filter(|_| rows.iter().any(|row| row.as_array().is_some_and(|row| !row.is_empty()))))
}

fn check_button(button: &Value) -> Result<(), String> {
    let field = |name: &str| button.get(name).and_then(Value::as_str);
    if field("text").is_none_or(|text| text.trim().is_empty()) {
        return Err("can't parse inline keyboard button: Field \"text\" must be of type String".to_owned());
    }
    let copy = button.pointer("/copy_text/text").and_then(Value::as_str);
    match (field("callback_data"), field("url"), copy) {
        (Some(data), None, None) if (1..=MAX_DATA).contains(&data.len()) => Ok(()),
        (Some(_), None, None) => Err("BUTTON_DATA_INVALID".to_owned()),
        (None, Some(url), None) if is_url(url) => Ok(()),
        (None, Some(url), None) => Err(format!("inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")),
        (None, None, Some(text)) if (1..=MAX_COPY).contains(&text.chars().count()) => Ok(()),
        (None, None, Some(_)) => Err("BUTTON_COPY_TEXT_INVALID".to_owned()),
        _ => Err("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard".to_owned()),
    }
}

/// Telegram accepts only URLs with a public host name.
fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#', ':']).next()).unwrap_or_default();
    url.is_ascii() && !url.contains(' ') && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
}

/// The buttons, row by row.
pub(super) fn buttons(markup: Option<&Value>) -> impl Iterator<Item = &Value> {
    let rows = markup.and_then(|markup| markup.get("inline_keyboard")).and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(Value::as_array).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn buttons_are_validated_by_the_rules_of_telegram() {
        let table = [
            (json!({ "text": "a", "callback_data": "x".repeat(64) }), true),
            (json!({ "text": "a", "callback_data": "x".repeat(65) }), false),
            (json!({ "text": "a", "callback_data": "é".repeat(33) }), false),
            (json!({ "text": "a", "callback_data": "" }), false),
            (json!({ "text": "a", "copy_text": { "text": "é".repeat(256) } }), true),
            (json!({ "text": "a", "copy_text": { "text": "x".repeat(257) } }), false),
            (json!({ "text": "a", "url": "https://example.org/m/1#ab" }), true),
            (json!({ "text": "a", "url": "http://localhost:8001/m/1" }), false),
            (json!({ "text": "a", "url": "mailto:a@example.org" }), false),
            (json!({ "text": "", "callback_data": "x" }), false),
            (json!({ "text": "a" }), false),
            (json!({ "text": "a", "callback_data": "x", "url": "https://example.org" }), false),
        ];
        for (button, is_fine) in table {
            let markup = json!({ "inline_keyboard": [[button]] });
            assert_eq!(check(Some(&markup)).is_ok(), is_fine, "{markup}");
            assert_eq!(check(Some(&Value::String(markup.to_string()))).is_ok(), is_fine, "{markup}");
        }
        assert_eq!(check(None), Ok(None));
        assert_eq!(check(Some(&json!({ "inline_keyboard": [] }))), Ok(None));
    }
}
