//! An app config: what a bot needs to sign in to Telegram.

use std::fmt;

use zeroize::Zeroizing;

use super::{invalid_input::InvalidInput, time::Timestamp};

/// The longest session name in characters, and the longest secret in bytes.
const MAX_LENGTH: usize = 255;

/// The id of an app config: greater than zero, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AppConfigId(i64);

impl AppConfigId {
    /// # Errors
    ///
    /// [`InvalidInput::Field`] for the field `field` when it is not greater than zero.
    pub(crate) fn parse(field: &'static str, id: i64) -> Result<Self, InvalidInput> {
        if id > 0 { Ok(Self(id)) } else { Err(InvalidInput::field(field, "must be greater than zero")) }
    }

    /// The id from the database.
    pub(crate) fn from_column(id: i64) -> Self {
        Self(id)
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// The name of an app config, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionName(String);

impl SessionName {
    pub(crate) const FIELD: &'static str = "app_config.session_name";

    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is blank, too long, or has control characters.
    pub(crate) fn parse(name: String) -> Result<Self, InvalidInput> {
        let requirement = if name.trim().is_empty() {
            "must not be blank"
        } else if name.chars().count() > MAX_LENGTH {
            "must be at most 255 characters"
        } else if name.chars().any(char::is_control) {
            "must not have control characters"
        } else {
            return Ok(Self(name));
        };
        Err(InvalidInput::field(Self::FIELD, requirement))
    }

    /// A name from the database, which was validated before.
    pub(crate) fn from_column(name: String) -> Self {
        Self(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The application's id at Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiId(i64);

impl ApiId {
    pub(crate) const FIELD: &'static str = "app_config.api_id";

    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is not between 1 and 2,147,483,647.
    pub(crate) fn parse(id: i64) -> Result<Self, InvalidInput> {
        if (1..=i64::from(i32::MAX)).contains(&id) {
            Ok(Self(id))
        } else {
            Err(InvalidInput::field(Self::FIELD, "must be between 1 and 2147483647"))
        }
    }

    /// An id from the database, which was validated before.
    pub(crate) fn from_column(id: i64) -> Self {
        Self(id)
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// The application's hash at Telegram. Secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiHash(Zeroizing<String>);

impl ApiHash {
    pub(crate) const FIELD: &'static str = "app_config.api_hash";

    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is not 1 to 255 visible ASCII characters.
    pub(crate) fn parse(hash: String) -> Result<Self, InvalidInput> {
        let hash = Zeroizing::new(hash);
        if (1..=MAX_LENGTH).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(hash))
        } else {
            Err(InvalidInput::field(Self::FIELD, "must be 1 to 255 visible ASCII characters"))
        }
    }

    /// A hash from the database, which was validated before.
    pub(crate) fn unsealed(hash: Zeroizing<String>) -> Self {
        Self(hash)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The first two characters, then `x`, with the usual length of a hash: `b1xxxx…`.
    pub(crate) fn masked(&self) -> String {
        mask(&self.0, 2, 30, 0)
    }

    /// Like [`masked`](Self::masked), with the last four characters, by which an admin recognises it: `b1xxxx…1184`.
    pub(crate) fn partially_masked(&self) -> String {
        mask(&self.0, 2, 30, VISIBLE_END)
    }
}

/// The bot's token from @BotFather. Secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BotToken(Zeroizing<String>);

impl BotToken {
    pub(crate) const FIELD: &'static str = "app_config.bot_token";

    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is not of the form that @BotFather gives.
    pub(crate) fn parse(token: String) -> Result<Self, InvalidInput> {
        let token = Zeroizing::new(token);
        let is_well_formed = token.split_once(':').is_some_and(|(id, secret)| {
            let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            let symbols = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            digits && symbols && !secret.is_empty()
        });
        if is_well_formed && token.len() <= MAX_LENGTH {
            Ok(Self(token))
        } else {
            let requirement = "must be as @BotFather gives it: digits, a colon, then letters, digits, _ and -";
            Err(InvalidInput::field(Self::FIELD, requirement))
        }
    }

    /// A token from the database, which was validated before.
    pub(crate) fn unsealed(token: Zeroizing<String>) -> Self {
        Self(token)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The bot's public id, the first three characters of the secret, then `x`: `1000000000:AAHxxxx…`.
    pub(crate) fn masked(&self) -> String {
        self.mask(0)
    }

    /// Like [`masked`](Self::masked), with the last four characters, by which an admin recognises it:
    /// `1000000000:AAHxxxx…Dsaw`.
    pub(crate) fn partially_masked(&self) -> String {
        self.mask(VISIBLE_END)
    }

    fn mask(&self, end: usize) -> String {
        match self.0.split_once(':') {
            Some((id, secret)) => format!("{id}:{}", mask(secret, 3, 32, end)),
            None => mask(&self.0, 0, 32, 0),
        }
    }
}

/// How many characters at the end of a secret are visible when it is partially masked.
const VISIBLE_END: usize = 4;

/// The first `start` characters, then `hidden` times `x`, of which the last `end` are replaced by the last characters
/// of the secret. Never shows more than a quarter of the secret, nor its length.
fn mask(secret: &str, start: usize, hidden: usize, end: usize) -> String {
    let is_long_enough = |shown: usize| secret.len() >= 4 * shown;
    let end = if is_long_enough(start + end) { end } else { 0 };
    let start = if is_long_enough(start) { start } else { 0 };
    let last = secret.chars().skip(secret.chars().count() - end);
    secret.chars().take(start).chain(std::iter::repeat_n('x', hidden - end)).chain(last).collect()
}

macro_rules! hide_in_debug {
    ($($secret:ident),*) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($secret))
            }
        }
    )*};
}

hide_in_debug!(ApiHash, BotToken);

/// A new app config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewAppConfig {
    pub(crate) session_name: SessionName,
    pub(crate) api_id: ApiId,
    pub(crate) api_hash: ApiHash,
    pub(crate) is_active: bool,
    pub(crate) is_bot: bool,
    pub(crate) bot_token: BotToken,
}

/// A stored app config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppConfig {
    pub(crate) id: AppConfigId,
    pub(crate) settings: NewAppConfig,
    pub(crate) update_time: Timestamp,
}

/// An update of an app config; `None` keeps the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppConfigChange {
    pub(crate) session_name: Option<SessionName>,
    pub(crate) api_id: Option<ApiId>,
    pub(crate) api_hash: Option<ApiHash>,
    pub(crate) is_active: Option<bool>,
    pub(crate) is_bot: Option<bool>,
    pub(crate) bot_token: Option<BotToken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_as_documented() {
        let hash = ApiHash::parse("b1946ac92492d2347c6235b4d2611184".into()).unwrap();
        assert_eq!(hash.masked(), format!("b1{}", "x".repeat(30)));
        let token = BotToken::parse("1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw".into()).unwrap();
        assert_eq!(token.masked(), format!("1000000000:AAH{}", "x".repeat(32)));
        assert_eq!(BotToken::parse("1:short".into()).unwrap().masked(), format!("1:{}", "x".repeat(32)));
    }

    #[test]
    fn a_partially_masked_secret_shows_its_end_unless_it_is_short() {
        let hash = ApiHash::parse("b1946ac92492d2347c6235b4d2611184".into()).unwrap();
        assert_eq!(hash.partially_masked(), format!("b1{}1184", "x".repeat(26)));
        let token = BotToken::parse("1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw".into()).unwrap();
        assert_eq!(token.partially_masked(), format!("1000000000:AAH{}Dsaw", "x".repeat(28)));
        for short in ["short", "twenty-seven-characters-abc"] {
            let token = BotToken::parse(format!("1:{short}")).unwrap();
            assert_eq!(token.partially_masked(), token.masked());
        }
        let hash = ApiHash::parse("twenty-three-characters".into()).unwrap();
        assert_eq!(hash.partially_masked(), hash.masked());
    }

    #[test]
    fn fields_out_of_range_are_rejected() {
        assert!(ApiId::parse(0).is_err() && ApiId::parse(1 << 31).is_err());
        assert!(SessionName::parse(" ".into()).is_err() && SessionName::parse("x".repeat(256)).is_err());
        assert!(SessionName::parse("\u{e9}".repeat(255)).is_ok());
        for token in ["", "1000000000", ":AAH", "x:AAH", "1:", "1:A H", "1:A\n"] {
            assert!(BotToken::parse(token.into()).is_err(), "{token:?}");
        }
        for hash in ["", "a b", &"x".repeat(256)] {
            assert!(ApiHash::parse(hash.into()).is_err(), "{hash:?}");
        }
    }

    #[test]
    fn debug_hides_secrets() {
        let shown =
            format!("{:?} {:?}", ApiHash::parse("hidden".into()).unwrap(), BotToken::parse("1:hidden".into()).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
