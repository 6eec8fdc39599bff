//! The languages of the bot.

/// A language of the bot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// Also the fallback for all other languages.
    #[default]
    English,
    Korean,
    German,
    Spanish,
    Portuguese,
    Russian,
}

impl Language {
    /// All languages.
    pub(crate) const ALL: [Self; 6] =
        [Self::English, Self::Korean, Self::German, Self::Spanish, Self::Portuguese, Self::Russian];

    /// Returns the language of an IETF tag such as `pt-BR`, the format of Telegram.
    pub(crate) fn of_code(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary)).unwrap_or_default()
    }

    /// Its two letters in ISO 639-1.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
            Self::German => "de",
            Self::Spanish => "es",
            Self::Portuguese => "pt",
            Self::Russian => "ru",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_a_region_and_in_any_case_are_understood() {
        for (tag, language) in [
            ("ko", Language::Korean),
            ("pt-br", Language::Portuguese),
            ("DE", Language::German),
            ("es_MX", Language::Spanish),
        ] {
            assert_eq!(Language::of_code(tag), language, "{tag}");
        }
    }

    #[test]
    fn a_language_that_the_bot_does_not_speak_is_answered_in_english() {
        for tag in ["", "-", "tlh", "english", "rus"] {
            assert_eq!(Language::of_code(tag), Language::English, "{tag}");
        }
    }
}
