//! [`AccessToken`]: the secret that grants access to a message. It is not stored.
//!
//! 64 lower-case hexadecimal digits: 28 secret bytes, then the first 4 bytes of a domain-separated SHA-256 of them. The
//! checksum distinguishes a mistyped token from an unknown one without a database access, and reveals nothing to
//! untrusted callers.

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::{
    entropy::{EntropyError, random},
    invalid_input::InvalidInput,
    keyring::Key,
    message::RequestId,
};

const SECRET_BYTES: usize = 28;
const CHECKSUM_BYTES: usize = 4;
const CHECKSUM_DOMAIN: &[u8] = b"mayfly access token checksum v1";
const REQUEST_DOMAIN: &[u8] = b"mayfly access token from request v2";

/// The secret bytes of an access token. The checksum is derived from them.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub(crate) struct AccessToken([u8; SECRET_BYTES]);

impl AccessToken {
    /// A new random token.
    pub(crate) fn generate() -> Result<Self, EntropyError> {
        Ok(Self(*random()?))
    }

    /// The token of the message that `request` creates under `key`: deterministic, so that it need not be stored, and
    /// unguessable without the key. It depends neither on the content nor on the passphrase, so nothing that outlives
    /// the message confirms a guess of either. HKDF-SHA256 (RFC 5869).
    pub(crate) fn for_request(key: &Key, request: RequestId) -> Self {
        let mut secret = [0; SECRET_BYTES];
        key.derive(&[], &[REQUEST_DOMAIN, request.as_bytes()], &mut secret);
        Self(secret)
    }

    /// Parses a token, with or without white space around it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::AccessToken`] when it has another form or a wrong checksum.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidInput> {
        let digits = text.trim();
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(InvalidInput::AccessToken);
        }
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECKSUM_BYTES]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| InvalidInput::AccessToken)?;
        let (secret, checksum) = bytes.split_first_chunk().ok_or(InvalidInput::AccessToken)?;
        let token = Self(*secret);
        if bool::from(checksum.ct_eq(&token.checksum())) { Ok(token) } else { Err(InvalidInput::AccessToken) }
    }

    /// The 64 digits, which are returned to the creator once.
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

    /// A salt derived from this token, different for every message.
    pub(super) fn derive_salt<const N: usize>(&self, label: &[u8]) -> [u8; N] {
        const { assert!(N <= 255 * 32, "HKDF-SHA256 gives no more") };
        let mut salt = [0; N];
        if Hkdf::<Sha256>::new(None, &self.0).expand(label, &mut salt).is_err() {
            unreachable!("the length was checked when this was compiled");
        }
        salt
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
    fn a_token_is_parsed_with_white_space_around_it() {
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
    fn every_single_wrong_digit_is_detected() {
        let text = some().to_text();
        for position in 0..text.len() {
            for digit in "0123456789abcdef".chars().filter(|digit| !text[position..].starts_with(*digit)) {
                let mut wrong = text.clone();
                wrong.replace_range(position..=position, digit.encode_utf8(&mut [0; 4]));
                assert_eq!(AccessToken::parse(&wrong), Err(InvalidInput::AccessToken), "{position} {digit}");
            }
        }
    }

    #[test]
    fn other_forms_are_rejected() {
        let text = some().to_text();
        let cut = &text[..63];
        let arabic = format!("{cut}\u{0663}");
        for wrong in ["", "1", cut, &format!("{text}0"), &text.to_uppercase(), &arabic, &format!("{cut} 5"), "\0"] {
            assert_eq!(AccessToken::parse(wrong), Err(InvalidInput::AccessToken), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_has_the_same_token_for_the_same_key() {
        let (key, other) = (Key::generate(None).unwrap(), Key::generate(None).unwrap());
        let request = |id| RequestId::parse(id).unwrap().unwrap();
        let one = request("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11");
        let another = request("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12");
        let token = AccessToken::for_request(&key, one);
        assert_eq!(token, AccessToken::for_request(&key, one));
        assert_ne!(token, AccessToken::for_request(&key, another));
        assert_ne!(token, AccessToken::for_request(&other, one));
    }

    #[test]
    fn debug_hides_the_token() {
        assert_eq!(format!("{:?}", some()), "AccessToken");
    }
}
