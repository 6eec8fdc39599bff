//! Texts with formatting: which characters an app took out of a text to format it, and the plain text of a rich
//! message.
//!
//! Apps turn `**word**` into a bold `word`. What is left in a message is the word, and a note that it is bold, as an
//! entity (Bot API, `MessageEntity`). Whether somebody typed the marks or chose the format in a menu, nobody can tell.

use serde_json::Value;

/// What apps take out of a text for each kind of formatting.
const MARKS: [(&str, &str); 10] = [
    ("bold", "**"),
    ("italic", "__"),
    ("strikethrough", "~~"),
    ("spoiler", "||"),
    ("code", "`"),
    ("pre", "```"),
    // With the address of the link.
    ("text_link", "[…](…)"),
    ("text_mention", "[…](…)"),
    ("heading", "#"),
    ("marked", "=="),
];

/// A block of a rich message, and a formatted part of its text, may have these fields. What has others says more than
/// its text, unless they repeat it.
const KNOWN_FIELDS: [&str; 4] = ["type", "text", "language", "size"];

/// How deep formats are taken apart that lie within each other.
const DEEPEST: usize = 16;

/// A text, and the marks that may have been taken out of it. No `Debug`: it may hold a secret.
#[derive(Default)]
pub(crate) struct RichText {
    pub text: String,
    /// Each kind once.
    pub marks: Vec<&'static str>,
}

/// The marks that `entities` of a message stand for.
pub(crate) fn marks_of(entities: &Value) -> Vec<&'static str> {
    let mut marks = Vec::new();
    for kind in entities.as_array().into_iter().flatten() {
        note(&mut marks, kind.get("type"));
    }
    marks
}

/// The plain text of a rich message (Bot API 10.1), its blocks one below the other. `None` when it holds more than that
/// text: it would be kept only in part.
pub(crate) fn plain_text_of(rich_message: &Value) -> Option<RichText> {
    let mut rich = RichText::default();
    // Also as a bare list of blocks.
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

/// What Telegram recognizes in a text by itself, such as a name or the address of a page, without what it adds.
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
    fn what_telegram_recognizes_in_a_rich_message_is_its_text() {
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
