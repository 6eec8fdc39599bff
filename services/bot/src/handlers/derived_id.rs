//! Ids by which the store knows a call again, derived from the update that asked for it.
//!
//! The same update always asks under the same id, so an update that Telegram delivers again (because we died after its effect
//! and before confirming it) has its effect once and gets the same answer. Update ids are small consecutive numbers, so they
//! are put through HMAC-SHA256 under the bot token, which strangers do not have: otherwise whoever guesses a short text could
//! ask under the same id and be given its token, and whoever has a link could repeat its reader's view. Rendered as UUIDv8,
//! RFC 9562's form for such values.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mayfly_bootstrap::Secret;
use sha2::Sha256;
use uuid::Uuid;

/// What an id is for. The labels separate the uses of the bot token, and this way of deriving from later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    CreateRequest,
    View,
}

impl Use {
    fn label(self) -> &'static [u8] {
        match self {
            Self::CreateRequest => b"mayfly bot create_message request_id v1\0",
            Self::View => b"mayfly bot view_message view_id v1\0",
        }
    }
}

pub(super) fn derive(id_for: Use, bot_token: &Secret, update_id: u32) -> Uuid {
    let mut mac = <Hmac<Sha256>>::new_from_slice(bot_token.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(id_for.label());
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

    fn id(id_for: Use, token: &str, update_id: u32) -> Uuid {
        derive(id_for, &Secret::new(token.to_owned()), update_id)
    }

    #[test]
    fn the_same_update_gives_the_same_id_and_nothing_else_does() {
        let first = id(Use::CreateRequest, "1:a", 5);
        assert_eq!(first, id(Use::CreateRequest, "1:a", 5));
        assert_ne!(first, id(Use::CreateRequest, "1:a", 6));
        assert_ne!(first, id(Use::CreateRequest, "1:b", 5));
        assert_ne!(first, id(Use::View, "1:a", 5));
    }

    #[test]
    fn an_id_is_a_uuid_of_version_8_and_stays_the_same_over_releases() {
        let id = id(Use::CreateRequest, "1000000000:AAH", 100_000_001);
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        // From Python: hmac.new(token, label + update_id.to_bytes(4, "big"), "sha256"), version and variant set.
        assert_eq!(id.to_string(), "aa6b6a02-defb-8fc0-b727-1bf80435e78a");
    }
}
