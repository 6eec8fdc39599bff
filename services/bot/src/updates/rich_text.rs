//! Formatted texts: finds the marks that an app removed from a text to format it, and extracts the plain text of a rich
//! message.
//!
//! Apps turn `**word**` into a bold `word`. The message holds the word and an entity that says that it is bold (Bot
//! API, `MessageEntity`). The bot cannot know whether the user typed the marks or used a menu.

use serde_json::Value;

/// The marks that apps remove for each kind of formatting.
const MARKS: [(&str, &str); 10] = [
    ("bold", "**"),
    ("italic", "__"),
    ("strikethrough", "~~"),
    ("spoiler", "||"),
    ("code", "`"),
    ("pre", "```"),
    // With the URL of the link.
    ("text_link", "[…](…)"),
    ("text_mention", "[…](…)"),
    ("heading", "#"),
    ("marked", "=="),
];

/// The known fields of a block and of a formatted part of a rich message. Other fields hold more than the text, unless
/// they repeat it.
const KNOWN_FIELDS: [&str; 4] = ["type", "text", "language", "size"];

/// The maximum nesting of formats.
const DEEPEST: usize = 16;

/// A text, and the marks that an app may have removed from it. No `Debug`: it may hold a secret.
#[derive(Default)]
pub(crate) struct RichText {
    pub text: String,
    /// Each kind once.
    pub marks: Vec<&'static str>,
}

/// Returns the marks for the `entities` of a message.
pub(crate) fn marks_of(entities: &Value) -> Vec<&'static str> {
    let mut marks = Vec::new();
    for kind in entities.as_array().into_iter().flatten() {
        note(&mut marks, kind.get("type"));
    }
    marks
}

/// Returns the plain text of a rich message (Bot API 10.1), one block per line. Returns `None` if it holds more than
/// that text, because the bot would store only a part of it.
pub(crate) fn plain_text_of(rich_message: &Value) -> Option<RichText> {
    let mut rich = RichText::default();
    // A bare list of blocks is accepted too.
    let blocks = rich_message.get("blocks").unwrap_or(rich_message).as_array()?;
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            rich.text.push('\n');
        }
        block.get("text")?;
        add(&mut rich, block, DEEPEST)?;
    }
    Some(rich).filter(|rich| !rich.text.is_empty())
}

/// A text is a string, a list of texts, or an object that formats one.
fn add(rich: &mut RichText, part: &Value, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match part {
        Value::String(text) => rich.text.push_str(text),
        Value::Array(parts) => parts.iter().try_for_each(|part| add(rich, part, depth))?,
        Value::Object(format) => {
            note(&mut rich.marks, format.get("type"));
            let start = rich.text.len();
            add(rich, format.get("text")?, depth)?;
            let own_text = rich.text.get(start..).unwrap_or_default();
            let is_known = |field: &str| KNOWN_FIELDS.contains(&field);
            let repeats = |value: &Value| value.as_str().is_some_and(|value| bare(value) == bare(own_text));
            if !format.iter().all(|(field, value)| is_known(field) || repeats(value)) {
                return None;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Removes what Telegram adds to the names and URLs that it recognizes.
fn bare(recognized: &str) -> &str {
    let schemes = ["https://", "http://", "mailto:", "tel:"];
    let text = schemes.iter().find_map(|scheme| recognized.strip_prefix(scheme)).unwrap_or(recognized);
    text.trim_start_matches(['@', '#', '$', '/']).trim_end_matches('/')
}

fn note(marks: &mut Vec<&'static str>, kind: Option<&Value>) {
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    let mark = MARKS.iter().find(|(name, _)| *name == kind).map(|(_, mark)| *mark);
    marks.extend(mark.filter(|mark| !marks.contains(mark)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(rich_message: &Value) -> Option<(String, Vec<&'static str>)> {
        plain_text_of(rich_message).map(|rich| (rich.text, rich.marks))
    }

    #[test]
    fn each_kind_of_formatting_has_its_mark_once_and_links_have_none() {
        let entity = |kind: &str| json!({ "type": kind, "offset": 0, "length": 1 });
        let entities = json!([entity("url"), entity("bold"), entity("code"), entity("bold"), entity("bot_command")]);
        assert_eq!(marks_of(&entities), ["**", "`"]);
        let links = json!([entity("text_link"), entity("text_mention")]);
        assert_eq!(marks_of(&links), ["[…](…)"], "the address is not in the text");
        for odd in [json!(null), json!({}), json!([7, {}, { "type": 7 }])] {
            assert!(marks_of(&odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_rich_message_is_its_text() {
        let bold = json!({ "type": "bold", "text": ["pass", { "type": "italic", "text": "word" }] });
        let blocks = json!([
            { "type": "paragraph", "text": ["new:my ", bold] },
            { "type": "pre", "text": "second", "language": "sh" },
        ]);
        let expected = Some(("new:my password\nsecond".to_owned(), vec!["**", "__", "```"]));
        assert_eq!(plain(&json!({ "blocks": blocks })), expected);
        assert_eq!(plain(&blocks), expected);
    }

    #[test]
    fn names_and_urls_in_a_rich_message_are_part_of_its_text() {
        let recognized = json!([{ "type": "heading", "size": 1, "text": [
            "new:",
            { "type": "url", "text": "example.org", "url": "http://example.org/" },
            { "type": "email_address", "text": " a@b.c", "email_address": " a@b.c" },
            { "type": "mention", "text": "@ann", "username": "ann" },
            { "type": "marked", "text": [{ "type": "hashtag", "text": "#1", "hashtag": "1" }] },
        ] }]);
        assert_eq!(plain(&recognized), Some(("new:example.org a@b.c@ann#1".to_owned(), vec!["#", "=="])));
    }

    #[test]
    fn a_rich_message_that_is_more_than_a_text_is_not_kept_in_part() {
        for rich in [
            json!({ "blocks": [{ "type": "paragraph", "text": "new:x" }, { "type": "photo", "photo": [] }] }),
            json!({ "blocks": [{ "type": "paragraph", "text": ["new:", { "type": "custom_emoji", "emoji": "x" }] }] }),
            json!([{ "type": "paragraph", "text": [{ "type": "url", "text": "x", "url": "https://y" }] }]),
            json!([{ "type": "paragraph", "text": [{ "type": "mention", "text": "Ann", "username": "bob" }] }]),
            json!([{ "type": "paragraph", "text": [{ "type": "date_time", "text": "1", "unix_time": 1 }] }]),
            json!({ "blocks": [{ "type": "list", "items": [] }] }),
            json!({ "blocks": [] }),
            json!({ "blocks": [{ "type": "paragraph", "text": 7 }] }),
            json!({}),
            json!("new:x"),
        ] {
            assert_eq!(plain(&rich), None, "{rich}");
        }
        let deep = (0..100).fold(json!("x"), |text, _| json!([text]));
        assert_eq!(plain(&json!([{ "type": "paragraph", "text": deep }])), None);
    }
}
