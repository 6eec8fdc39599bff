//! Messages: ids, contents, lifetimes and status.

use std::{fmt, time::Duration};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    invalid_input::InvalidInput,
    receipt::Receipt,
    time::{Lifetime, Timestamp},
};

/// The id of a message in the database: greater than zero, and never reused. Callers see a public id instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MessageId(i64);

impl MessageId {
    /// The id from the database.
    pub(crate) fn from_column(id: i64) -> Self {
        Self(id)
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageContent {
    Text(MessageText),
    Sealed(SealedContent),
}

/// The kind of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentKind {
    /// A text, which every client can show.
    Text,
    /// Content that its creator encrypted, which only a holder of the creator's key can read.
    Sealed,
}

impl MessageContent {
    pub(crate) fn kind(&self) -> ContentKind {
        match self {
            Self::Text(_) => ContentKind::Text,
            Self::Sealed(_) => ContentKind::Sealed,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_str().as_bytes(),
            Self::Sealed(sealed) => sealed.as_bytes(),
        }
    }

    /// A content that the store has opened, and validated before; `None` if it is invalid for this kind.
    pub(super) fn unsealed(kind: ContentKind, bytes: &[u8]) -> Option<Self> {
        match kind {
            ContentKind::Text => {
                let text = std::str::from_utf8(bytes).ok()?;
                Some(Self::Text(MessageText(Zeroizing::new(text.to_owned()))))
            }
            ContentKind::Sealed => Some(Self::Sealed(SealedContent(bytes.to_vec()))),
        }
    }
}

/// A text: not empty, and within the limit. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MessageText(Zeroizing<String>);

impl MessageText {
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is empty, [`InvalidInput::TextTooLong`] when it is too long.
    pub(crate) fn parse(text: String, limits: &MessageLimits) -> Result<Self, InvalidInput> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(InvalidInput::field("text", "must not be empty"));
        }
        if text.len() > limits.max_text_bytes {
            return Err(InvalidInput::TextTooLong { max_bytes: limits.max_text_bytes });
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MessageText")
    }
}

/// How much longer than a text its encrypted form may be.
const SEALED_OVERHEAD: usize = 256;

/// Content that its creator encrypted, opaque to the store: not empty, and within the limit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SealedContent(Vec<u8>);

impl SealedContent {
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is empty, [`InvalidInput::SealedTooLong`] when it is too long.
    pub(crate) fn parse(sealed: Vec<u8>, limits: &MessageLimits) -> Result<Self, InvalidInput> {
        let max_bytes = limits.max_text_bytes.saturating_add(SEALED_OVERHEAD);
        if sealed.is_empty() {
            return Err(InvalidInput::field("sealed", "must not be empty"));
        }
        if sealed.len() > max_bytes {
            return Err(InvalidInput::SealedTooLong { max_bytes });
        }
        Ok(Self(sealed))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedContent")
    }
}

/// A UUID by which a caller can repeat a creation. The same UUID with the same content, passphrase and lifetime returns
/// the token again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// `None` when it is empty.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is not a UUID.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, InvalidInput> {
        Ok(parse_uuid("request_id", text)?.map(Self))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A UUID by which a reader can repeat a view. Only a caller with this UUID and the token gets the text again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ViewId(Uuid);

impl ViewId {
    /// `None` when it is empty.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when it is not a UUID.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, InvalidInput> {
        Ok(parse_uuid("view_id", text)?.map(Self))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Rejects the all-zero UUID, which programs send that forgot to generate one.
fn parse_uuid(field: &'static str, text: &str) -> Result<Option<Uuid>, InvalidInput> {
    if text.is_empty() {
        return Ok(None);
    }
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(Some(id)),
        _ => Err(InvalidInput::field(field, "must be a UUID that is not all zero")),
    }
}

/// The limits of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimits {
    /// The longest text, in bytes of UTF-8.
    pub(crate) max_text_bytes: usize,
    /// The lifetime of a message without a requested one.
    pub(crate) default_ttl: Lifetime,
    /// The longest lifetime that a creator may request.
    pub(crate) max_ttl: Lifetime,
}

/// The shortest lifetime that a creator may request.
const MIN_TTL: Duration = Duration::from_secs(1);

impl MessageLimits {
    /// The expiry of a message that is stored `now` with the lifetime `ttl`; `None`: never.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when `ttl` is below one second or above the limit.
    pub(crate) fn expire_time(&self, now: Timestamp, ttl: Option<Duration>) -> Result<Option<Timestamp>, InvalidInput> {
        let lifetime = match ttl {
            None => self.default_ttl,
            Some(ttl) if ttl < MIN_TTL => return Err(InvalidInput::field("ttl", "must be at least 1 second")),
            Some(ttl) => match self.max_ttl {
                Lifetime::Limited(max) if ttl > max => {
                    return Err(InvalidInput::field("ttl", format!("must be at most {}", Lifetime::Limited(max))));
                }
                _ => Lifetime::Limited(ttl),
            },
        };
        Ok(match lifetime {
            Lifetime::Never => None,
            Lifetime::Limited(ttl) => Some(now.after(ttl)),
        })
    }
}

/// The status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageStatus {
    /// It is unread.
    Unread {
        create_time: Timestamp,
        expire_time: Option<Timestamp>,
        /// Whether a reader needs a passphrase.
        needs_passphrase: bool,
        content_kind: ContentKind,
    },
    /// It has ended.
    Gone(Receipt),
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MessageLimits = MessageLimits {
        max_text_bytes: 4,
        default_ttl: Lifetime::Never,
        max_ttl: Lifetime::Limited(Duration::from_secs(60)),
    };
    const NOW: Timestamp = Timestamp::from_micros(1_000);

    #[test]
    fn texts_are_measured_in_bytes() {
        assert!(MessageText::parse("four".into(), &LIMITS).is_ok());
        assert_eq!(MessageText::parse("f\u{f6}ur".into(), &LIMITS), Err(InvalidInput::TextTooLong { max_bytes: 4 }));
        assert_eq!(MessageText::parse(String::new(), &LIMITS), Err(InvalidInput::field("text", "must not be empty")));
    }

    #[test]
    fn lifetimes_have_a_minimum_and_a_maximum() {
        let expire = |ttl| LIMITS.expire_time(NOW, ttl);
        assert_eq!(expire(None), Ok(None));
        assert_eq!(expire(Some(Duration::from_secs(60))), Ok(Some(Timestamp::from_micros(60_001_000))));
        assert!(expire(Some(Duration::from_micros(60_000_001))).is_err());
        assert!(expire(Some(Duration::from_micros(999_999))).is_err());
    }

    #[test]
    fn ids_of_requests_and_views_are_uuids() {
        assert!(RequestId::parse("").unwrap().is_none());
        assert!(ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap().is_some());
        for wrong in ["1", "00000000-0000-0000-0000-000000000000", "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e1g"] {
            assert!(ViewId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sealed_content_may_be_longer_than_a_text() {
        let sealed = |length| SealedContent::parse(vec![7; length], &LIMITS);
        assert!(sealed(4 + 256).is_ok());
        assert_eq!(sealed(4 + 257), Err(InvalidInput::SealedTooLong { max_bytes: 4 + 256 }));
        assert_eq!(sealed(0), Err(InvalidInput::field("sealed", "must not be empty")));
    }

    #[test]
    fn debug_hides_the_content() {
        let text = MessageContent::Text(MessageText::parse("text".into(), &LIMITS).unwrap());
        assert_eq!(format!("{text:?}"), "Text(MessageText)");
        let sealed = MessageContent::Sealed(SealedContent::parse(vec![7], &LIMITS).unwrap());
        assert_eq!(format!("{sealed:?}"), "Sealed(SealedContent)");
    }
}
