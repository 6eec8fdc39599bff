//! Ids by which the store knows a call again, derived from who asked for what.
//!
//! A creation is derived from its update, chat and message: one that Telegram delivers again (because the bot died after its
//! effect and before confirming it) has its effect once and gets the same answer. Nothing of the text is in it, since the store
//! keeps a hash of it for longer than the text. A view is derived from the chat and from what opens the message, because
//! the chat is the reader: whoever was told to try again later, since the store or Telegram did not answer, asks with another update,
//! and must not find the text claimed by the first. What is derived from is easy to guess, so the bot's key is part of it, which
//! strangers do not have: otherwise whoever guesses a short text could ask under the same id and be given its token, and whoever has a
//! link could repeat its reader's view. Rendered as UUIDv8, RFC 9562's form for such values.

use teloxide::types::{ChatId, MessageId};
use uuid::Uuid;

use crate::bot_key::BotKey;

/// The id of a creation that the message `message_id` of `chat` asks for, which came with `update_id`.
pub(super) fn create_request(key: &BotKey, update_id: u32, chat: ChatId, message_id: Option<MessageId>) -> Uuid {
    let message_id = message_id.map_or(0, |message_id| message_id.0);
    let parts: [&[u8]; 3] = [&update_id.to_be_bytes(), &chat.0.to_be_bytes(), &message_id.to_be_bytes()];
    derive(key, b"mayfly bot create_message request_id v2\0", &parts)
}

/// The id under which `chat` reads the message.
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
