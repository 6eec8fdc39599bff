//! Texts with formatting: which characters an app took out of a text to format it, and the plain text of a rich
//! message.
//!
//! Apps turn `**word**` into a bold `word`. What is left in a message is the word, and a note that it is bold, as an
//! entity (Bot API, `MessageEntity`). Whether somebody typed the marks or chose the format in a menu, nobody can tell.

use serde_json::Value;

/// What apps take out of a text for each kind of formatting.
const MARKS: [(&str, &str); 6] =
    [("bold", "**"), ("italic", "__"), ("strikethrough", "~~"), ("spoiler", "||"), ("code", "`"), ("pre", "```")];

/// A block of a rich message, and a formatted part of its text, may have these fields. What has others says more than
/// its text.
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
        Value::Object(format) if format.keys().all(|field| KNOWN_FIELDS.contains(&field.as_str())) => {
            note(&mut rich.marks, format.get("type"));
            add(rich, format.get("text")?, depth)?;
        }
        _ => return None,
    }
    Some(())
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
    fn a_rich_message_that_is_more_than_a_text_is_not_kept_in_part() {
        for rich in [
            json!({ "blocks": [{ "type": "paragraph", "text": "new:x" }, { "type": "photo", "photo": [] }] }),
            json!({ "blocks": [{ "type": "paragraph", "text": ["new:", { "type": "custom_emoji", "emoji": "x" }] }] }),
            json!([{ "type": "paragraph", "text": [{ "type": "url", "text": "x", "url": "https://x" }] }]),
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
