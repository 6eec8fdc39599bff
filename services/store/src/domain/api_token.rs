//! An API token: what a caller presents to prove that an admin allows its calls. Not the access token of a message.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::{
    entropy::{EntropyError, random},
    invalid_input::InvalidInput,
    time::Timestamp,
};

/// Begins every secret, so that scanners for leaked secrets recognize it.
const PREFIX: &str = "mayfly_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
const CHECKSUM_DOMAIN: &[u8] = b"mayfly api token checksum v1";
/// The longest name, in characters.
const MAX_NAME_LENGTH: usize = 64;

/// The secret of an API token: `mayfly_`, then 32 random bytes and 4 bytes of a checksum in hexadecimal digits.
///
/// It has 256 random bits, so a hash that is fast to compute is enough to store it.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub(crate) struct ApiTokenSecret([u8; SECRET_BYTES]);

impl ApiTokenSecret {
    pub(crate) fn generate() -> Result<Self, EntropyError> {
        Ok(Self(*random()?))
    }

    /// Parses a bearer token. `None` if it has another form, or a wrong checksum.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECKSUM_BYTES]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
        let (secret, checksum) = bytes.split_first_chunk()?;
        let token = Self(*secret);
        bool::from(checksum.ct_eq(&token.checksum())).then_some(token)
    }

    /// The text, which is returned to the admin once.
    pub(crate) fn to_text(&self) -> String {
        let mut bytes = [self.0.as_slice(), &self.checksum()].concat();
        let text = format!("{PREFIX}{}", hex::encode(&bytes));
        bytes.zeroize();
        text
    }

    /// The secret bytes, for deriving the verifier.
    pub(super) fn secret(&self) -> &[u8] {
        &self.0
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let digest: [u8; 32] = Sha256::new().chain_update(CHECKSUM_DOMAIN).chain_update(self.0).finalize().into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

impl fmt::Debug for ApiTokenSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiTokenSecret")
    }
}

/// The name of an API token, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiTokenName(String);

impl ApiTokenName {
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is empty or too long, has control characters, or blanks at its ends.
    pub(crate) fn parse(name: String) -> Result<Self, InvalidInput> {
        let requirement = if name.is_empty() {
            "must not be empty"
        } else if name.chars().count() > MAX_NAME_LENGTH {
            "must be at most 64 characters"
        } else if name.chars().any(|letter| letter.is_control() || is_direction_mark(letter)) {
            "must not have control characters or direction marks"
        } else if name.trim() != name {
            "must not begin or end with a blank"
        } else {
            return Ok(Self(name));
        };
        Err(InvalidInput::field("name", requirement))
    }

    /// A name from the database, which was validated before.
    pub(crate) fn from_column(name: String) -> Self {
        Self(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns `true` for a character that changes the direction of a text, and of what follows it in a list of names.
fn is_direction_mark(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What an API token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Create messages.
    Create,
    /// Everything that the admin token allows.
    Admin,
    /// Read metrics.
    Metrics,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Create, Self::Admin, Self::Metrics];

    /// The name in the database.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// One or more scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when there is none.
    pub(crate) fn parse(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, InvalidInput> {
        let scopes: Self = scopes.into_iter().collect();
        if scopes.0 == 0 { Err(InvalidInput::field("scopes", "must name at least one scope")) } else { Ok(scopes) }
    }

    /// Scopes from the database. Those of a newer program are ignored.
    pub(crate) fn from_column(column: &str) -> Self {
        column.split(',').filter_map(|name| Scope::ALL.into_iter().find(|scope| scope.name() == name)).collect()
    }

    pub(crate) fn to_column(self) -> String {
        self.iter().map(Scope::name).collect::<Vec<_>>().join(",")
    }

    /// Whether the token has this scope, or all scopes as an admin.
    pub(crate) fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// The scopes that were given to the token.
    pub(crate) fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// The id of an API token: greater than zero, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiTokenId(pub(crate) i64);

/// An API token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiToken {
    pub(crate) name: ApiTokenName,
    pub(crate) scopes: Scopes,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
    /// The beginning of the day of the last use.
    pub(crate) last_use_time: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> ApiTokenSecret {
        ApiTokenSecret([0xa5; SECRET_BYTES])
    }

    #[test]
    fn a_secret_has_a_recognizable_form_and_is_parsed() {
        let text = some().to_text();
        assert!(text.starts_with("mayfly_a5a5") && text.len() == 79, "{text}");
        assert_eq!(ApiTokenSecret::parse(&text), Some(some()));
        assert_ne!(ApiTokenSecret::generate().unwrap(), ApiTokenSecret::generate().unwrap());
        assert_eq!(format!("{:?}", some()), "ApiTokenSecret");
    }

    #[test]
    fn every_single_wrong_digit_of_a_secret_is_detected() {
        let text = some().to_text();
        for position in PREFIX.len()..text.len() {
            for digit in "0123456789abcdef".chars().filter(|digit| !text[position..].starts_with(*digit)) {
                let mut wrong = text.clone();
                wrong.replace_range(position..=position, digit.encode_utf8(&mut [0; 4]));
                assert_eq!(ApiTokenSecret::parse(&wrong), None, "{position} {digit}");
            }
        }
    }

    #[test]
    fn other_forms_of_secrets_are_rejected() {
        let text = some().to_text();
        let digits = &text[PREFIX.len()..];
        let upper = format!("{PREFIX}{}", digits.to_uppercase());
        for wrong in ["", PREFIX, digits, &upper, &text[..78], &format!("{text}0"), "mayfly_x", "0123456789abcdef"] {
            assert_eq!(ApiTokenSecret::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn names_have_a_length_and_no_hidden_characters() {
        let parse = |name: &str| ApiTokenName::parse(name.to_owned()).is_ok();
        for name in ["ci", "CI of team Ü", &"ü".repeat(64)] {
            assert!(parse(name), "{name:?}");
        }
        for name in ["", " ", " ci", "ci ", "a\nb", "a\u{0}b", &"x".repeat(65)] {
            assert!(!parse(name), "{name:?}");
        }
        // The characters with the property Bidi_Control.
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        for mark in marks.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(!parse(&format!("a{mark}b")), "{mark:?}");
        }
    }

    #[test]
    fn scopes_are_stored_by_their_names() {
        let scopes = Scopes::parse([Scope::Metrics, Scope::Create, Scope::Create]).unwrap();
        assert_eq!(scopes.to_column(), "create,metrics");
        assert_eq!(Scopes::from_column("create,metrics"), scopes);
        assert_eq!(Scopes::from_column("metrics,later,create"), scopes, "a scope of a newer program");
        assert!(Scopes::parse([]).is_err());
    }

    #[test]
    fn only_admins_have_all_scopes() {
        let allowed = |scope| Scope::ALL.map(|other| Scopes::parse([scope]).unwrap().allow(other));
        assert_eq!(allowed(Scope::Create), [true, false, false]);
        assert_eq!(allowed(Scope::Admin), [true, true, true]);
        assert_eq!(allowed(Scope::Metrics), [false, false, true]);
    }
}
