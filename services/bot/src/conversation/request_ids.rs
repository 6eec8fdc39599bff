//! Derives the idempotency keys of calls to the store.
//!
//! The id of a creation comes from the update, the chat and the message. Telegram redelivers an update if the bot dies
//! before it confirms it. The second creation then has no effect and returns the same result. The text is not part of
//! the id, because the store keeps a hash of the id longer than the text.
//!
//! The id of a view comes from the chat, the id and the token, because the chat is the reader. If the store or Telegram
//! did not respond, the user tries again with another update, and must not find the text claimed by the first.
//!
//! The inputs are easy to guess, so the ids also depend on the key of the bot. Otherwise, an untrusted caller who
//! guesses a short text could send the same id and receive its token, and a caller with a link could repeat the view of
//! its reader. The format is UUIDv8 (RFC 9562).

use teloxide::types::{ChatId, MessageId};
use uuid::Uuid;

use crate::bot_key::BotKey;

/// Returns the id of the creation that the message `message_id` of `chat` requests with the update `update_id`.
pub(super) fn create_request(key: &BotKey, update_id: u32, chat: ChatId, message_id: Option<MessageId>) -> Uuid {
    let message_id = message_id.map_or(0, |message_id| message_id.0);
    let parts: [&[u8]; 3] = [&update_id.to_be_bytes(), &chat.0.to_be_bytes(), &message_id.to_be_bytes()];
    derive(key, b"mayfly bot create_message request_id v2\0", &parts)
}

/// Returns the id under which `chat` views the message.
pub(super) fn view(key: &BotKey, chat: ChatId, id: i64, access_token: &str) -> Uuid {
    let parts = [&chat.0.to_be_bytes(), &id.to_be_bytes(), access_token.as_bytes()];
    derive(key, b"mayfly bot view_message view_id v2\0", &parts)
}

fn derive(key: &BotKey, label: &[u8], parts: &[&[u8]]) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, derived) in bytes.iter_mut().zip(key.derive(label, parts).iter()) {
        *byte = *derived;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use mayfly_bootstrap::Secret;
    use teloxide::types::UserId;

    use super::*;

    const ANN: ChatId = ChatId(7);

    fn key(bot: u64) -> BotKey {
        BotKey::of(&Secret::new("0123456789abcdef0123456789abcdef".to_owned()), UserId(bot))
    }

    #[test]
    fn the_same_update_gives_the_same_creation_and_nothing_else_does() {
        let message = Some(MessageId(9));
        let first = create_request(&key(1), 5, ANN, message);
        assert_eq!(first, create_request(&key(1), 5, ANN, message));
        assert_ne!(first, create_request(&key(1), 6, ANN, message));
        assert_ne!(first, create_request(&key(1), 5, ChatId(8), message));
        assert_ne!(first, create_request(&key(1), 5, ANN, Some(MessageId(10))));
        assert_ne!(first, create_request(&key(2), 5, ANN, message));
    }

    #[test]
    fn the_same_chat_reads_under_the_same_id_and_nobody_else_does() {
        let first = view(&key(1), ANN, 5, "token");
        assert_eq!(first, view(&key(1), ANN, 5, "token"));
        assert_ne!(first, view(&key(1), ChatId(8), 5, "token"));
        assert_ne!(first, view(&key(1), ANN, 6, "token"));
        assert_ne!(first, view(&key(1), ANN, 5, "other"));
        assert_ne!(first, view(&key(2), ANN, 5, "token"));
    }

    #[test]
    fn an_id_is_a_uuid_of_version_8_and_stays_the_same_over_releases() {
        let key = key(1_000_000_000);
        let created = create_request(&key, 100_000_001, ANN, Some(MessageId(9)));
        assert_eq!(created.get_version_num(), 8);
        assert_eq!(created.get_variant(), uuid::Variant::RFC4122);
        // From Python, hmac.new(…, "sha256") twice, the second time under the bot's key; version and variant set.
        assert_eq!(created.to_string(), "2f2001e5-f52d-8fe2-bafc-4713eafd43c0");
        assert_eq!(view(&key, ANN, 5, "0b").to_string(), "90c77721-b0c7-8028-976f-ffed0e1bf566");
    }
}
