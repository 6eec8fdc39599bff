//! [`MessageRef`]: the id and the access token of a message, written as `id:token`.

use std::fmt;

/// The id and the access token of a message. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageRef {
    /// Greater than zero.
    pub id: i64,
    /// Not validated: the store checks it.
    pub access_token: String,
}

impl MessageRef {
    /// Parses `id:token`. Ignores white space and invisible characters, which programs insert when they wrap or copy
    /// text, and accepts full-width characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, access_token) = text.split_once(is_colon)?;
        Self::from_parts(id, access_token)
    }

    /// Parses the text before and after the colon. See [`parse`](Self::parse).
    #[must_use]
    pub fn from_parts(id: &str, access_token: &str) -> Option<Self> {
        let (id, access_token) = (normalize(id), normalize(access_token));
        // Rust accepts a sign, but an id has none.
        let id = Some(id).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        (id > 0).then_some(Self { id, access_token })
    }

    /// Exactly `id:token`.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.id, self.access_token)
    }
}

impl fmt::Debug for MessageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MessageRef").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Removes invisible characters, and converts full-width ones.
#[must_use]
pub fn normalize(text: &str) -> String {
    text.chars().filter(|character| !is_invisible(*character)).map(to_half_width).collect()
}

/// Converts full-width forms of ASCII characters, which Chinese and Japanese keyboards produce. Returns others
/// unchanged.
#[must_use]
pub fn to_half_width(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        other => other,
    }
}

/// Returns `true` for a colon: the ASCII one, the forms of Chinese and Japanese keyboards, and the ratio sign.
#[must_use]
pub fn is_colon(character: char) -> bool {
    matches!(character, ':' | '\u{ff1a}' | '\u{fe55}' | '\u{fe13}' | '\u{2236}')
}

/// Returns `true` for white space, control characters, marks of direction and characters without width.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    );
    has_no_width || character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_ref(id: i64, access_token: &str) -> MessageRef {
        MessageRef { id, access_token: access_token.to_owned() }
    }

    #[test]
    fn invisible_characters_are_ignored_and_full_width_ones_accepted() {
        for text in [
            "7:ab\ncd",
            " 7 : ab \r\n cd ",
            "7:\u{200b}abcd\u{feff}",
            "\u{2066}7:abcd\u{2069}",
            "\u{200f}\u{ff17}\u{ff1a}ab\u{2028}\u{ff43}d\u{200e}",
        ] {
            assert_eq!(MessageRef::parse(text), Some(message_ref(7, "abcd")), "{text:?}");
        }
        assert_eq!(message_ref(7, "abcd").to_text(), "7:abcd");
    }

    #[test]
    fn an_id_is_a_positive_number_of_digits() {
        for text in [
            "",
            ":",
            ":ab",
            "0:ab",
            "-7:ab",
            "+7:ab",
            "9223372036854775808:ab",
            "7",
            "\u{667}:ab",
            "x:ab",
            "99999999999999999999:ab",
        ] {
            assert_eq!(MessageRef::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn debug_hides_the_token() {
        assert_eq!(format!("{:?}", message_ref(7, "secret")), "MessageRef { id: 7, .. }");
    }
}
