//! Links to messages: what users paste, and what the links and buttons of the bot carry.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mayfly_contracts::{MessageRef, message_ref::normalize};
use sha2::{Digest as _, Sha256};
use url::Url;

const TOKEN_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
/// Version, id, token and checksum: 45 bytes, which are exactly 60 characters of base64.
const LINK_BYTES: usize = 1 + 8 + TOKEN_BYTES + CHECKSUM_BYTES;
/// The first byte of a link. Other formats of links will have another version.
const LINK_VERSION: u8 = 1;

/// The prefix of every link of this version.
pub(crate) const LINK_PREFIX: &str = "AQ";

/// The result of parsing a text that may be a link. No `Debug`: it may hold a secret.
pub(crate) enum LinkParse {
    MessageRef(MessageRef),
    /// It is a link to a message, but a part of it is missing or wrong.
    Damaged,
    NotALink,
}

/// Parses a pasted link, alone or among words: a link of the web page, `https://host/m/id#token`, of the REST API,
/// `https://host/api/v1/get_message/id/token`, or of a bot, `https://t.me/bot?start=link`. The scheme is optional.
/// Ignores a decryption key after the token, because only a browser can use it.
pub(crate) fn find(text: &str) -> LinkParse {
    // Apps wrap long links.
    let whole = parse_url(&normalize(text));
    if !matches!(whole, LinkParse::NotALink) {
        return whole;
    }
    let may_be_link = |word: &&str| ["/m/", "start=", "/get_message/"].iter().any(|part| word.contains(part));
    let around = |character: char| !character.is_alphanumeric() && !matches!(character, '-' | '_');
    let links = text.split_whitespace().filter(may_be_link);
    let mut found = LinkParse::NotALink;
    for link in links.map(|word| parse_url(&normalize(word.trim_matches(around)))) {
        match link {
            LinkParse::MessageRef(_) => return link,
            LinkParse::Damaged => found = link,
            LinkParse::NotALink => {}
        }
    }
    found
}

fn parse_url(text: &str) -> LinkParse {
    let scheme = if text.contains("://") { "" } else { "https://" };
    let Ok(url) = Url::parse(&format!("{scheme}{text}")) else { return LinkParse::NotALink };
    let host = url.host_str().unwrap_or_default();
    let is_telegram = matches!(host, "t.me" | "telegram.me" | "telegram.dog") || host.ends_with(".t.me");
    match url.scheme() {
        "https" | "http" if !is_telegram => {
            let path: Vec<_> = url.path().trim_end_matches('/').split('/').skip(1).collect();
            let (id, token) = match path.as_slice() {
                ["m", id] => (*id, url.fragment().unwrap_or_default().split('.').next().unwrap_or_default()),
                ["api", "v1", "get_message", id, token] => (*id, *token),
                _ => return LinkParse::NotALink,
            };
            if !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return LinkParse::NotALink;
            }
            let message_ref = MessageRef::from_parts(id, token).filter(has_valid_token);
            message_ref.map_or(LinkParse::Damaged, LinkParse::MessageRef)
        }
        "tg" if host != "resolve" => LinkParse::NotALink,
        "https" | "http" | "tg" => {
            let payload = url.query_pairs().find(|(name, _)| name == "start");
            let Some((_, payload)) = payload.filter(|(_, payload)| payload.starts_with(LINK_PREFIX)) else {
                return LinkParse::NotALink;
            };
            decode(&payload).map_or(LinkParse::Damaged, LinkParse::MessageRef)
        }
        _ => LinkParse::NotALink,
    }
}

/// Returns `true` if the token has the format of a token.
pub(crate) fn has_valid_token(message_ref: &MessageRef) -> bool {
    token_bytes(message_ref).is_some()
}

fn token_bytes(message_ref: &MessageRef) -> Option<Vec<u8>> {
    hex::decode(&message_ref.access_token).ok().filter(|token| token.len() == TOKEN_BYTES)
}

/// Encodes the reference as 60 characters of `A-Za-z0-9_-`, for links and buttons. Returns `None` if the token is
/// invalid.
///
/// Base64url of the version, the id as 8 bytes in big-endian order, the 32 bytes of the token, and the first 4
/// bytes of the SHA-256 of these. With the checksum, the bot detects a damaged link without a call to the store.
pub(crate) fn encode(message_ref: &MessageRef) -> Option<String> {
    let token = token_bytes(message_ref)?;
    let is_canonical = !message_ref.access_token.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut bytes = Vec::with_capacity(LINK_BYTES);
    bytes.push(LINK_VERSION);
    bytes.extend(message_ref.id.to_be_bytes());
    bytes.extend(token);
    bytes.extend(checksum(&bytes));
    is_canonical.then(|| URL_SAFE_NO_PAD.encode(bytes))
}

/// Decodes the result of [`encode`]. Returns `None` for anything else.
pub(crate) fn decode(link: &str) -> Option<MessageRef> {
    let bytes: [u8; LINK_BYTES] = URL_SAFE_NO_PAD.decode(link).ok()?.try_into().ok()?;
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let (version, content) = content.split_first()?;
    let (id, token) = content.split_first_chunk()?;
    let id = i64::from_be_bytes(*id);
    let is_whole = *version == LINK_VERSION && *sum == checksum(bytes.get(..LINK_BYTES - CHECKSUM_BYTES)?);
    (is_whole && id > 0).then(|| MessageRef { id, access_token: hex::encode(token) })
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"mayfly bot link\0");
    hash.update(content);
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::fuzz::{any_message_ref, breaks, broken};

    fn message_ref(id: i64, access_token: &str) -> MessageRef {
        MessageRef { id, access_token: access_token.to_owned() }
    }

    #[test]
    fn a_token_in_two_lines_is_one_token() {
        for text in [
            "7:ab\ncd",
            " 7 : ab \r\n cd ",
            "7:\u{200b}abcd\u{feff}",
            "\u{200f}7:ab\u{2028}cd\u{200e}",
            "\u{2066}7:abcd\u{2069}",
        ] {
            assert_eq!(MessageRef::parse(text), Some(message_ref(7, "abcd")), "{text:?}");
        }
    }

    #[test]
    fn a_number_that_no_message_has_opens_nothing() {
        for text in ["", ":", ":ab", "0:ab", "-7:ab", "+7:ab", "9223372036854775808:ab", "7", "٧:ab", "x:ab"] {
            assert_eq!(MessageRef::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_link_stays_the_same_over_releases() {
        // From Python: base64.urlsafe_b64encode of the bytes that `encode` describes.
        let link = "AQAAAAAAAAAHqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpcf6Hj";
        assert_eq!(encode(&message_ref(7, &"aa".repeat(32))).as_deref(), Some(link));
    }

    #[test]
    fn an_invalid_token_has_no_link() {
        for token in ["", "ab", &"AA".repeat(32), &"zz".repeat(32), &"aa".repeat(33)] {
            assert_eq!(encode(&message_ref(7, token)), None, "{token}");
        }
    }

    #[test]
    fn the_links_of_another_version_are_not_read() {
        let mut bytes = vec![2];
        bytes.extend(7_i64.to_be_bytes());
        bytes.extend([0xaa; TOKEN_BYTES]);
        bytes.extend(checksum(&bytes));
        assert_eq!(decode(&URL_SAFE_NO_PAD.encode(bytes)), None);
    }

    proptest! {
        #[test]
        fn a_link_brings_back_what_it_was_made_of(id in 1..=i64::MAX, token in "[0-9a-f]{64}") {
            let message_ref = message_ref(id, &token);
            let link = encode(&message_ref).unwrap();
            prop_assert_eq!(link.len(), 60);
            prop_assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(decode(&link), Some(message_ref));
        }

        #[test]
        fn a_link_with_one_wrong_letter_is_noticed(
            id in 1..=i64::MAX,
            token in "[0-9a-f]{64}",
            at in 0..60_usize,
            letter in "[A-Za-z0-9_-]",
        ) {
            let link = encode(&message_ref(id, &token)).unwrap();
            let mut damaged = link.clone();
            damaged.replace_range(at..=at, &letter);
            prop_assume!(damaged != link);
            prop_assert_eq!(decode(&damaged), None);
        }

        #[test]
        fn a_link_that_was_cut_is_noticed(id in 1..=i64::MAX, token in "[0-9a-f]{64}", length in 0..60_usize) {
            let link = encode(&message_ref(id, &token)).unwrap();
            prop_assert_eq!(decode(&link[..length]), None);
        }

        #[test]
        fn any_text_is_a_link_or_none(text in any::<String>()) {
            let _ = decode(&text);
        }

        #[test]
        fn blanks_anywhere_change_nothing(message_ref in any_message_ref(), breaks in breaks()) {
            prop_assert_eq!(MessageRef::parse(&broken(&message_ref.to_text(), &breaks)), Some(message_ref));
        }
    }
}
