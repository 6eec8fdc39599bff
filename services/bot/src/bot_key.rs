//! Derives keys with HMAC-SHA256.
//!
//! Most derived values must outlive the bot token. A replaced token belongs to the same bot: under the new token, the
//! bot recognizes redelivered updates and decrypts its spool. So the key of a bot comes from the service token, which
//! all replicas have, and from the number of the bot at Telegram. A caller with the service token can also read the bot
//! token from the store.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mayfly_bootstrap::Secret;
use sha2::Sha256;
use teloxide::types::UserId;
use zeroize::Zeroizing;

/// The label separates this use of the service token from others.
const LABEL: &[u8] = b"mayfly bot key v1\0";

/// The key of one bot. No `Debug`: it is a secret.
#[derive(Clone)]
pub(crate) struct BotKey(Zeroizing<[u8; 32]>);

impl BotKey {
    /// Returns the key of `bot`. The same for all processes with this service token.
    pub(crate) fn of(service_token: &Secret, bot: UserId) -> Self {
        Self(derive(service_token.expose().as_bytes(), LABEL, &[&bot.0.to_be_bytes()]))
    }

    /// Returns a random key.
    ///
    /// # Errors
    ///
    /// If the operating system returns no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Derives a value from `parts`. The label separates the uses of the key, and their versions. All parts except the
    /// last must have a fixed length, so that no two lists of parts are ambiguous.
    pub(crate) fn derive(&self, label: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        derive(self.0.as_slice(), label, parts)
    }
}

/// Returns the bot of a token: the number before the colon, which stays the same when the token is replaced.
pub(crate) fn bot_of(bot_token: &Secret) -> UserId {
    let number = bot_token.expose().split(':').next();
    // A token without a number is invalid at Telegram.
    UserId(number.and_then(|number| number.parse().ok()).unwrap_or_default())
}

/// HMAC-SHA256 of the label and the parts, under any secret.
pub(crate) fn derive(secret: &[u8], label: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mac = <Hmac<Sha256>>::new_from_slice(secret);
    let mut mac = mac.unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(label);
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(service_token: &str, bot_token: &str) -> [u8; 32] {
        let secret = |secret: &str| Secret::new(secret.to_owned());
        *BotKey::of(&secret(service_token), bot_of(&secret(bot_token))).derive(b"label\0", &[b"part"])
    }

    #[test]
    fn the_key_is_the_same_under_every_token_of_one_bot_and_no_other_has_it() {
        let first = key("service", "7:a");
        assert_eq!(key("service", "7:b"), first);
        assert_ne!(key("service", "8:a"), first);
        assert_ne!(key("other", "7:a"), first);
    }

    #[test]
    fn random_keys_differ() {
        let key = || BotKey::random().unwrap().derive(b"label\0", &[]);
        assert_ne!(key(), key());
    }

    #[test]
    fn a_token_without_a_number_is_no_bots() {
        for token in ["", ":", "a:b", "-1:b", "99999999999999999999:b"] {
            assert_eq!(bot_of(&Secret::new(token.to_owned())), UserId(0), "{token}");
        }
    }
}
