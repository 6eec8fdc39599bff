//! [`RequestId`]: names a request in responses, errors and logs, in every process that the request passes.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of requests between roles, and of responses. In gRPC it is metadata of the same name.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The length of a UUID, the longest id that proxies make.
const MAX_LENGTH: usize = 36;
/// Shorter ids would not be unique.
const MIN_LENGTH: usize = 8;
/// The length of our own ids.
const OWN_LENGTH: usize = 16;

/// The id of a request: hexadecimal digits and hyphens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    digits: [u8; MAX_LENGTH],
    length: usize,
}

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// A new id. Its 64 bits are random enough to find a line in a log, without a system call for each request.
    #[must_use]
    pub fn generate() -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = KEYS.hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; MAX_LENGTH];
        for (digit, shift) in digits.iter_mut().take(OWN_LENGTH).zip((0..64).step_by(4)) {
            let value = (number >> shift & 0xf) as u8;
            *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        }
        Self { digits, length: OWN_LENGTH }
    }

    /// The id of the request that the current task handles.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|id| *id).ok()
    }

    /// Runs `future` as a part of this request. Its errors and log lines then have the id.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.digits.get(..self.length).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }

    /// Sets the header of a request or a response.
    pub fn set(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(self.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
    }

    /// Sets the header of a request to another role: the id of the current request.
    pub fn set_current(headers: &mut HeaderMap) {
        match Self::current() {
            Some(id) => id.set(headers),
            None => drop(headers.remove(REQUEST_ID)),
        }
    }
}

/// The text is no request id.
#[derive(Debug, thiserror::Error)]
#[error("a request id has 8 to 36 hexadecimal digits and hyphens")]
pub struct InvalidRequestId;

/// Accepts the ids that proxies make: 32 hexadecimal digits, or a UUID. No access token, bot token or text of a message
/// is accepted: they are longer, or have other characters.
impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, InvalidRequestId> {
        let is_allowed = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
        let is_valid = (MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) && text.as_bytes().iter().all(is_allowed);
        let mut digits = [0; MAX_LENGTH];
        match digits.get_mut(..text.len()).filter(|_| is_valid) {
            Some(to) => to.copy_from_slice(text.as_bytes()),
            None => return Err(InvalidRequestId),
        }
        Ok(Self { digits, length: text.len() })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_ids_are_short_distinct_and_valid() {
        let ids: HashSet<String> = (0..10_000).map(|_| RequestId::generate().to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            assert!(id.len() == OWN_LENGTH && id.parse::<RequestId>().unwrap().as_str() == id, "{id}");
        }
    }

    #[test]
    fn ids_of_proxies_are_accepted_and_secrets_and_texts_are_not() {
        for id in ["3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11", "0123456789abcdef0123456789ABCDEF", "01234567"] {
            assert_eq!(id.parse::<RequestId>().unwrap().to_string(), id);
        }
        let token = "0b5e".repeat(16);
        for other in [
            "",
            "0123456",
            &token,
            "a text of a message",
            "canary-text-canary",
            "1000000000:AAHcanary-canary-canary",
            "0123456789\nabcdef",
            "３f1c2a9e-7d56",
        ] {
            assert!(other.parse::<RequestId>().is_err(), "{other}");
        }
    }

    #[tokio::test]
    async fn the_current_id_is_that_of_the_scope() {
        assert_eq!(RequestId::current(), None);
        let id = RequestId::generate();
        assert_eq!(id.scope(async { RequestId::current() }).await, Some(id));
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("of-another-caller"));
        RequestId::set_current(&mut headers);
        assert!(headers.is_empty(), "an id that nobody accepted is not passed on");
        id.scope(async { RequestId::set_current(&mut headers) }).await;
        assert_eq!(headers[REQUEST_ID], id.as_str());
    }
}
