//! Ids by which the store knows a call again, derived from who asked for what.
//!
//! A creation is derived from its update: one that Telegram delivers again (because we died after its effect and before confirming
//! it) has its effect once and gets the same answer. A view is derived from the chat and from what opens the message, because
//! the chat is the reader: whoever was told to try again later, since the store or Telegram did not answer, asks with another update,
//! and must not find the text claimed by the first. What is derived from is easy to guess, so it is put through HMAC-SHA256
//! under the bot token, which strangers do not have: otherwise whoever guesses a short text could ask under the same id and be
//! given its token, and whoever has a link could repeat its reader's view. Rendered as UUIDv8, RFC 9562's form for such values.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mayfly_bootstrap::Secret;
use sha2::Sha256;
use teloxide::types::ChatId;
use uuid::Uuid;

/// The id of a creation that `update_id` asks for.
pub(crate) fn create_request(bot_token: &Secret, update_id: u32) -> Uuid {
    derive(bot_token, b"mayfly bot create_message request_id v1\0", &[&update_id.to_be_bytes()])
}

/// The id under which `chat` reads the message.
pub(super) fn view(bot_token: &Secret, chat: ChatId, id: i64, access_token: &str) -> Uuid {
    let parts = [&chat.0.to_be_bytes(), &id.to_be_bytes(), access_token.as_bytes()];
    derive(bot_token, b"mayfly bot view_message view_id v2\0", &parts)
}

/// The labels separate the uses of the bot token, and this way of deriving from later ones. All parts but the last have a
/// fixed length, so that no two lists of parts look the same.
fn derive(bot_token: &Secret, label: &[u8], parts: &[&[u8]]) -> Uuid {
    let mut mac = <Hmac<Sha256>>::new_from_slice(bot_token.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(label);
    for part in parts {
        mac.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, derived) in bytes.iter_mut().zip(mac.finalize().into_bytes()) {
        *byte = derived;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ChatId = ChatId(7);

    fn secret(token: &str) -> Secret {
        Secret::new(token.to_owned())
    }

    #[test]
    fn the_same_update_gives_the_same_creation_and_nothing_else_does() {
        let first = create_request(&secret("1:a"), 5);
        assert_eq!(first, create_request(&secret("1:a"), 5));
        assert_ne!(first, create_request(&secret("1:a"), 6));
        assert_ne!(first, create_request(&secret("1:b"), 5));
    }

    #[test]
    fn the_same_chat_reads_under_the_same_id_and_nobody_else_does() {
        let first = view(&secret("1:a"), ANN, 5, "token");
        assert_eq!(first, view(&secret("1:a"), ANN, 5, "token"));
        assert_ne!(first, view(&secret("1:a"), ChatId(8), 5, "token"));
        assert_ne!(first, view(&secret("1:a"), ANN, 6, "token"));
        assert_ne!(first, view(&secret("1:a"), ANN, 5, "other"));
        assert_ne!(first, view(&secret("1:b"), ANN, 5, "token"));
    }

    #[test]
    fn an_id_is_a_uuid_of_version_8_and_stays_the_same_over_releases() {
        let token = secret("1000000000:AAH");
        let created = create_request(&token, 100_000_001);
        assert_eq!(created.get_version_num(), 8);
        assert_eq!(created.get_variant(), uuid::Variant::RFC4122);
        // From Python: hmac.new(token, label + parts in big-endian bytes, "sha256"), version and variant set.
        assert_eq!(created.to_string(), "aa6b6a02-defb-8fc0-b727-1bf80435e78a");
        assert_eq!(view(&token, ANN, 5, "0b").to_string(), "e24c462b-cc5b-8389-ac34-8a1f55f787c0");
    }
}
