//! Derives the webhook secret from the bot token, so that all replicas agree on it and none stores it. Telegram keeps a
//! webhook for each token, so a new token may have a new secret.

use mayfly_bootstrap::Secret;

use crate::bot_key;

/// The label separates this use of the bot token from others.
const LABEL: &[u8] = b"mayfly bot webhook secret_token v1\0";

/// Returns 64 hexadecimal digits, within the limits of Telegram.
pub(super) fn derive(bot_token: &Secret) -> Secret {
    Secret::new(hex::encode(*bot_key::derive(bot_token.expose().as_bytes(), LABEL, &[])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_replicas_derive_the_same_secret_and_other_bots_do_not() {
        let secret = |token: &str| derive(&Secret::new(token.to_owned()));
        // From Python: hmac.new(token, label, "sha256").hexdigest().
        assert_eq!(
            secret("1000000000:AAH").expose(),
            "edf226b80d7fee6edaba2eb427a9353d1e0df614ee07ee49133a05d6ff9e18e4"
        );
        assert_ne!(secret("1000000000:AAH"), secret("1000000000:AAI"));
    }
}
