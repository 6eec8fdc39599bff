//! `new:text`: keeps a text.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mayfly_bootstrap::Secret;
use mayfly_contracts::message::CreateMessageRequest;
use sha2::Sha256;
use uuid::Uuid;

use super::{Answer, Stopping, Tools, refused};
use crate::replies::Asked;

/// Separates this use of the bot token from any other, and this way of deriving from later ones.
const LABEL: &[u8] = b"mayfly bot create_message request_id v1\0";

/// Answers exactly `id:token`, so that the whole message can be forwarded or copied.
pub(super) async fn handle(tools: &Tools, update_id: u32, text: &str) -> Result<Answer, Stopping> {
    let request = CreateMessageRequest {
        text: text.to_owned(),
        ttl: None,
        request_id: request_id(&tools.bot_token, update_id).to_string(),
    };
    match tools.store.create_message(request).await {
        Ok(created) => Ok(Answer { text: format!("{}:{}", created.id, created.access_token), outcome: "created" }),
        Err(failure) => refused(Asked::Create, &failure),
    }
}

/// The same update always asks under the same `request_id`, so an update that Telegram delivers again (because we died
/// after storing its text and before confirming it) gives the same id and token and no second message.
///
/// The store derives the access token from the `request_id` and the text. Update ids are small consecutive numbers, so
/// they are put through HMAC-SHA256 under the bot token, which strangers do not have: otherwise whoever guesses a short
/// text could ask under the same id and be given its token. Rendered as UUIDv8, RFC 9562's form for such values.
fn request_id(bot_token: &Secret, update_id: u32) -> Uuid {
    let mut mac = <Hmac<Sha256>>::new_from_slice(bot_token.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(LABEL);
    mac.update(&update_id.to_be_bytes());
    let mut bytes = [0; 16];
    for (byte, derived) in bytes.iter_mut().zip(mac.finalize().into_bytes()) {
        *byte = derived;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(token: &str, update_id: u32) -> Uuid {
        request_id(&Secret::new(token.to_owned()), update_id)
    }

    #[test]
    fn the_same_update_gives_the_same_request_id_and_no_other_does() {
        assert_eq!(id("1:a", 5), id("1:a", 5));
        assert_ne!(id("1:a", 5), id("1:a", 6));
        assert_ne!(id("1:a", 5), id("1:b", 5));
    }

    #[test]
    fn a_request_id_is_a_uuid_of_version_8_and_stays_the_same_over_releases() {
        let id = id("1000000000:AAH", 100_000_001);
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        // From Python: hmac.new(token, label + update_id.to_bytes(4, "big"), "sha256"), version and variant set.
        assert_eq!(id.to_string(), "aa6b6a02-defb-8fc0-b727-1bf80435e78a");
    }
}
