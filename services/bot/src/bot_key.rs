//! What a bot derives from: HMAC-SHA256 under secrets that strangers do not have.
//!
//! Most of it must outlive the bot token. Whoever replaces one that was revoked wants the same bot: what it did under the old token and
//! Telegram brings again is known under the new one, and what it set aside opens. So a bot's key comes from the service token, which all
//! replicas have, and from the bot's number at Telegram. Whoever has the service token could get the bot token from the store as well.

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
    /// That of `bot`, for all who have this service token.
    pub(crate) fn of(service_token: &Secret, bot: UserId) -> Self {
        Self(derive(service_token.expose().as_bytes(), LABEL, &[&bot.0.to_be_bytes()]))
    }

    /// One that no other bot has, nor this one the next time.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// What `parts` come to under this key. The label separates the uses of the key, and a way of deriving from later ones. Give
    /// all parts but the last a fixed length, so that no two lists of parts look the same.
    pub(crate) fn derive(&self, label: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        derive(self.0.as_slice(), label, parts)
    }
}

/// The bot that a token is for: its number stands before the colon, and stays the same when the token is replaced.
pub(crate) fn bot_of(bot_token: &Secret) -> UserId {
    let number = bot_token.expose().split(':').next();
    // Telegram knows no token without a number.
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
    fn nobody_has_a_random_key_twice() {
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
