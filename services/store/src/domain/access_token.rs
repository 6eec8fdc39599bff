//! The access token: what opens a message, and is not stored.
//!
//! 64 lower-case hexadecimal digits: 28 secret bytes, then the first 4 bytes of a domain-separated SHA-256 of them. The
//! checksum tells a mistyped token from one whose message is gone, without a look at the database and without telling
//! strangers anything.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::{ContentKind, EntropyError, Key, MessageContent, Passphrase, RequestId, random};
use crate::StoreError;

const SECRET_BYTES: usize = 28;
const CHECKSUM_BYTES: usize = 4;
const CHECKSUM_DOMAIN: &[u8] = b"mayfly access token checksum v1";
const REQUEST_DOMAIN: &[u8] = b"mayfly access token from request v1";
const SEALED_REQUEST_DOMAIN: &[u8] = b"mayfly access token from request for sealed content v1";

/// The secret half of an access token; the checksum follows from it.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub(crate) struct AccessToken([u8; SECRET_BYTES]);

impl AccessToken {
    /// A new random token.
    pub(crate) fn generate() -> Result<Self, EntropyError> {
        Ok(Self(*random()?))
    }

    /// The token of the message that `request` creates with `content` and `passphrase`: always the same one, though nothing
    /// about the request is stored, and unguessable without the key. HKDF-SHA256 (RFC 5869).
    pub(crate) fn for_request(
        key: &Key,
        request: RequestId,
        content: &MessageContent,
        passphrase: Option<&Passphrase>,
    ) -> Self {
        let mut secret = [0; SECRET_BYTES];
        let domain = match content.kind() {
            ContentKind::Text => REQUEST_DOMAIN,
            ContentKind::Sealed => SEALED_REQUEST_DOMAIN,
        };
        let bytes = content.as_bytes();
        // The length tells where the content ends and the passphrase begins.
        let length = (bytes.len() as u64).to_be_bytes();
        let passphrase = passphrase.map(Passphrase::as_bytes).unwrap_or_default();
        let info = [domain, request.as_bytes(), &length, bytes, passphrase];
        key.derive(&[], &info, &mut secret);
        Self(secret)
    }

    /// Reads a token as it was handed out, with blanks around it or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::AccessTokenInvalid`] when it has another form or its checksum does not fit.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let digits = text.trim();
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(StoreError::AccessTokenInvalid);
        }
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECKSUM_BYTES]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| StoreError::AccessTokenInvalid)?;
        let (secret, checksum) = bytes.split_first_chunk().ok_or(StoreError::AccessTokenInvalid)?;
        let token = Self(*secret);
        if bool::from(checksum.ct_eq(&token.checksum())) { Ok(token) } else { Err(StoreError::AccessTokenInvalid) }
    }

    /// The 64 digits, to be handed out once.
    pub(crate) fn to_text(&self) -> String {
        let mut bytes = [self.0.as_slice(), &self.checksum()].concat();
        let text = hex::encode(&bytes);
        bytes.zeroize();
        text
    }

    /// The secret bytes, for deriving keys.
    pub(super) fn secret(&self) -> &[u8] {
        &self.0
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let digest: [u8; 32] = Sha256::new().chain_update(CHECKSUM_DOMAIN).chain_update(self.0).finalize().into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AccessToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> AccessToken {
        AccessToken([0xa5; SECRET_BYTES])
    }

    #[test]
    fn a_token_reads_back_with_blanks_around_it() {
        let text = some().to_text();
        assert_eq!(text.len(), 64);
        assert_eq!(AccessToken::parse(&text), Ok(some()));
        assert_eq!(AccessToken::parse(&format!(" \t{text}\r\n")), Ok(some()));
    }

    #[test]
    fn generated_tokens_differ() {
        assert_ne!(AccessToken::generate().unwrap(), AccessToken::generate().unwrap());
    }

    #[test]
    fn every_single_wrong_digit_is_noticed() {
        let text = some().to_text();
        for position in 0..text.len() {
            for digit in "0123456789abcdef".chars().filter(|digit| !text[position..].starts_with(*digit)) {
                let mut wrong = text.clone();
                wrong.replace_range(position..=position, digit.encode_utf8(&mut [0; 4]));
                assert_eq!(AccessToken::parse(&wrong), Err(StoreError::AccessTokenInvalid), "{position} {digit}");
            }
        }
    }

    #[test]
    fn other_forms_are_no_tokens() {
        let text = some().to_text();
        let cut = &text[..63];
        let arabic = format!("{cut}\u{0663}");
        for wrong in ["", "1", cut, &format!("{text}0"), &text.to_uppercase(), &arabic, &format!("{cut} 5"), "\0"] {
            assert_eq!(AccessToken::parse(wrong), Err(StoreError::AccessTokenInvalid), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_always_has_the_same_token() {
        let (key, other) = (Key::generate(None).unwrap(), Key::generate(None).unwrap());
        let request = |id| RequestId::parse(id).unwrap().unwrap();
        let one = request("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11");
        let another = request("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12");
        let passphrase = |text: &str| Passphrase::parse(text.to_owned()).unwrap().unwrap();
        let content = |kind, bytes: &str| MessageContent::unsealed(kind, bytes.as_bytes()).unwrap();
        let (text, sealed) = (|text| content(ContentKind::Text, text), content(ContentKind::Sealed, "text"));
        let token = AccessToken::for_request(&key, one, &text("text"), None);
        assert_eq!(token, AccessToken::for_request(&key, one, &text("text"), None));
        assert_ne!(token, AccessToken::for_request(&key, one, &text("another text"), None));
        assert_ne!(token, AccessToken::for_request(&key, one, &sealed, None));
        assert_ne!(token, AccessToken::for_request(&key, one, &text("text"), Some(&passphrase("x"))));
        assert_ne!(token, AccessToken::for_request(&key, one, &text("tex"), Some(&passphrase("t"))));
        assert_ne!(token, AccessToken::for_request(&key, another, &text("text"), None));
        assert_ne!(token, AccessToken::for_request(&other, one, &text("text"), None));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", some()), "AccessToken");
    }
}
