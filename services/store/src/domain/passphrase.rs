//! Passphrases, which a creator can require in addition to the access token.
//!
//! A passphrase is stretched with Argon2id (RFC 9106) with a salt derived from the access token, and the result is part
//! of the message key. So an attacker with the database, the keyring and the link still has to guess at the cost of
//! Argon2id. A caller with the link has a few tries (see [`TryLimits`]).

use std::{fmt, time::Duration};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{access_token::AccessToken, invalid_input::InvalidInput, keyring::Key};

const MAX_BYTES: usize = 1024;
/// The largest growth of a text by normalization, in bytes (UAX #15, section 6).
const MAX_GROWTH: usize = 3;
const SALT_BYTES: usize = 16;
/// 19 MiB, two passes, one lane: the first choice of the OWASP Password Storage Cheat Sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_DOMAIN: &[u8] = b"mayfly passphrase salt v1";
const CALLER_DOMAIN: &[u8] = b"mayfly passphrase caller v1";

/// A passphrase in the form of OpaqueString (RFC 8265, section 4.2), which normalizes different encodings of the same
/// letter; 1 to 1,024 bytes. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// `None` when it is empty.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is too long.
    pub(crate) fn parse(text: String) -> Result<Option<Self>, InvalidInput> {
        let text = Zeroizing::new(text);
        // Allocates once, so that no part remains in another allocation.
        let mut opaque = Zeroizing::new(String::with_capacity(text.len().saturating_mul(MAX_GROWTH)));
        opaque.extend(text.chars().map(|char| if is_space(char) { ' ' } else { char }).nfc());
        match opaque.len() {
            0 => Ok(None),
            1..=MAX_BYTES => Ok(Some(Self(opaque))),
            _ => Err(InvalidInput::field("passphrase", format!("must be at most {MAX_BYTES} bytes of UTF-8"))),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The spaces of Unicode (general category Zs), which look alike.
fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase")
    }
}

/// The memory of Argon2id: 19 MiB from the first use on. Wiped after each use.
///
/// It is reused, because an allocator may keep such a block for each thread that had one.
#[derive(Default)]
pub(crate) struct Argon2Memory(Vec<Block>);

/// A passphrase cannot be stretched, because there is not enough memory.
#[derive(Debug, thiserror::Error)]
#[error("the passphrase cannot be stretched")]
pub(crate) struct StretchError(#[source] argon2::Error);

/// A stretched passphrase.
pub(crate) struct PassphraseKey(Zeroizing<[u8; 32]>);

impl PassphraseKey {
    /// Stretches the passphrase of the message with `token`, from which the salt is derived. So a repeated creation
    /// needs no database access, and the database does not contain the salt. Takes tens of milliseconds of a core and
    /// 19 MiB: do not call it in an async task.
    ///
    /// # Errors
    ///
    /// [`StretchError`] when there is not enough memory.
    pub(crate) fn derive(
        passphrase: &Passphrase,
        token: &AccessToken,
        memory: &mut Argon2Memory,
    ) -> Result<Self, StretchError> {
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(key.len())).map_err(StretchError)?;
        let Argon2Memory(blocks) = memory;
        let missing = params.block_count().saturating_sub(blocks.len());
        blocks.try_reserve_exact(missing).map_err(|_| StretchError(argon2::Error::OutOfMemory))?;
        blocks.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let salt = token.derive_salt::<SALT_BYTES>(SALT_DOMAIN);
        let stretched =
            argon2.hash_password_into_with_memory(passphrase.as_bytes(), &salt, key.as_mut_slice(), &mut *blocks);
        blocks.iter_mut().for_each(|block| block.zeroize());
        stretched.map_err(StretchError)?;
        Ok(Self(key))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Identifies a caller among those that try passphrases on a message, and reveals nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallerTag([u8; 16]);

impl CallerTag {
    /// The tag of `caller`, its address or another identification by the front end.
    pub(crate) fn new(key: &Key, token: &AccessToken, caller: &str) -> Self {
        let mut tag = [0; 16];
        key.derive(token.secret(), &[CALLER_DOMAIN, caller.as_bytes()], &mut tag);
        Self(tag)
    }

    pub(crate) fn to_column(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// How often passphrases of a message may be tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TryLimits {
    /// By a caller. Below [`total`](Self::total), so that one caller cannot lock out all others by mistake.
    pub(crate) per_caller: i32,
    /// By all callers together.
    pub(crate) total: i32,
    /// How long tries are counted, and so how long a message is locked after the last one.
    pub(crate) lock_duration: Duration,
}

impl TryLimits {
    pub(crate) const DEFAULT: Self = Self { per_caller: 5, total: 20, lock_duration: Duration::from_secs(3600) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::parse(text.to_owned()).unwrap().unwrap()
    }

    #[test]
    fn a_passphrase_has_limits() {
        assert!(Passphrase::parse(String::new()).unwrap().is_none());
        assert!(Passphrase::parse("x".repeat(MAX_BYTES)).unwrap().is_some());
        assert!(Passphrase::parse("x".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn passphrases_that_look_alike_are_equal() {
        let bytes = |text: &str| passphrase(text).as_bytes().to_vec();
        for (one, other) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("a b", "a\u{a0}b"),
            ("a b", "a\u{3000}b"),
            ("\u{212b}", "\u{c5}"),
        ] {
            assert_eq!(bytes(one), bytes(other), "{one} {other}");
        }
        for (one, other) in
            [("a", "A"), ("a b", "ab"), ("a", "a "), ("\u{ff21}", "A"), ("\u{fb01}", "fi"), ("a\tb", "a b")]
        {
            assert_ne!(bytes(one), bytes(other), "{one} {other}");
        }
        assert!(
            Passphrase::parse("e\u{301}".repeat(MAX_BYTES / 2)).unwrap().is_some(),
            "the limit applies to the normal form"
        );
    }

    #[test]
    fn normalization_grows_texts_within_the_limit() {
        for text in ["\u{1d160}", "\u{fb2c}", "\u{390}"] {
            assert!(text.nfc().collect::<String>().len() <= text.len() * MAX_GROWTH, "{text}");
        }
    }

    #[test]
    fn stretching_depends_on_passphrase_and_token_alone() {
        let (token, other) = (AccessToken::generate().unwrap(), AccessToken::generate().unwrap());
        let key =
            |text: &str, token| PassphraseKey::derive(&passphrase(text), token, &mut Argon2Memory::default()).unwrap();
        assert_eq!(key("a", &token).as_bytes(), key("a", &token).as_bytes());
        assert_ne!(key("a", &token).as_bytes(), key("b", &token).as_bytes());
        assert_ne!(key("a", &token).as_bytes(), key("a", &other).as_bytes());
    }

    #[test]
    fn a_caller_has_a_different_tag_for_each_message() {
        let key = Key::generate(None).unwrap();
        let (token, other) = (AccessToken::generate().unwrap(), AccessToken::generate().unwrap());
        assert_eq!(CallerTag::new(&key, &token, "10.0.0.1"), CallerTag::new(&key, &token, "10.0.0.1"));
        assert_ne!(CallerTag::new(&key, &token, "10.0.0.1"), CallerTag::new(&key, &token, "10.0.0.2"));
        assert_ne!(CallerTag::new(&key, &token, "10.0.0.1"), CallerTag::new(&key, &other, "10.0.0.1"));
    }

    #[test]
    fn debug_hides_the_passphrase() {
        assert_eq!(format!("{:?}", passphrase("hidden")), "Passphrase");
    }
}
