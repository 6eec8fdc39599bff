//! Texts of messages, validated by Telegram's rules.

use super::{
    error::{ApiError, bad_request},
    params::Params,
    parse_mode,
};

const MAX_TEXT: usize = 4096;

/// Validates the text of a message, and returns it as Telegram shows it.
pub(super) fn check_text(params: &Params) -> Result<String, ApiError> {
    let text = sanitize(params.text("text").unwrap_or_default());
    let text = text.trim();
    if text.is_empty() {
        return Err(bad_request("message text is empty"));
    }
    if text.encode_utf16().count() > MAX_TEXT {
        return Err(bad_request("message is too long"));
    }
    if let Some(mode) = params.text("parse_mode") {
        parse_mode::check(mode, text).map_err(bad_request)?;
    }
    Ok(text.to_owned())
}

/// The text after the replacements that Telegram makes.
fn sanitize(text: &str) -> String {
    let dropped = ['\r', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}'];
    let blank = |character| if ('\u{1}'..' ').contains(&character) && character != '\n' { ' ' } else { character };
    text.chars().filter(|character| !dropped.contains(character)).map(blank).collect()
}
