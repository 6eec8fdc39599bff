//! Validates the markup of a text. It is stricter than Telegram, so that an unintended `parse_mode` fails.

/// Returns Telegram's error text if the markup is invalid.
pub(super) fn check(mode: &str, text: &str) -> Result<(), &'static str> {
    let is_fine = match mode {
        "Markdown" => is_balanced_markdown(text, ""),
        "MarkdownV2" => is_balanced_markdown(text, "~>#+-=|{}.!"),
        "HTML" => is_balanced_html(text),
        _ => return Err("unsupported parse_mode"),
    };
    if is_fine { Ok(()) } else { Err("can't parse entities: the text is not well-formed for its parse mode") }
}

/// Returns `true` if marks and brackets are balanced and no `reserved` character is unescaped.
fn is_balanced_markdown(text: &str, reserved: &str) -> bool {
    let (mut stars, mut lines, mut ticks) = (0_usize, 0_usize, 0_usize);
    let mut brackets = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next().is_none() => return false,
            '*' => stars += 1,
            '_' => lines += 1,
            '`' => ticks += 1,
            '[' => brackets.push(']'),
            '(' => brackets.push(')'),
            ']' | ')' if brackets.pop() != Some(character) => return false,
            other if reserved.contains(other) => return false,
            _ => {}
        }
    }
    brackets.is_empty() && [stars, lines, ticks].iter().all(|count| count.is_multiple_of(2))
}

/// Returns `true` if tags are known and nested, and every `&` begins a known entity.
fn is_balanced_html(text: &str) -> bool {
    const TAGS: [&str; 10] = ["b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote"];
    const ENTITIES: [&str; 4] = ["lt;", "gt;", "amp;", "quot;"];
    let mut open = Vec::new();
    for piece in text.split('<').skip(1) {
        let Some((tag, _)) = piece.split_once('>') else { return false };
        let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
        let is_in_order = if tag.starts_with('/') {
            open.pop() == Some(name)
        } else {
            open.push(name);
            TAGS.contains(&name)
        };
        if !is_in_order {
            return false;
        }
    }
    let is_entity = |rest: &str| ENTITIES.iter().any(|entity| rest.starts_with(entity));
    open.is_empty() && text.split('&').skip(1).all(is_entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_texts_pass() {
        let table = [
            ("Markdown", "*bold* [a](b)", true),
            ("Markdown", "snake_case", false),
            ("Markdown", "a) b", false),
            ("MarkdownV2", "plain", true),
            ("MarkdownV2", "1. one", false),
            ("MarkdownV2", "1\\. one", true),
            ("HTML", "<b>a &lt; b</b>", true),
            ("HTML", "a < b", false),
            ("HTML", "a & b", false),
            ("HTML", "<b><i>x</b></i>", false),
            ("markdown?", "x", false),
        ];
        for (mode, text, is_fine) in table {
            assert_eq!(check(mode, text).is_ok(), is_fine, "{mode}: {text}");
        }
    }
}
