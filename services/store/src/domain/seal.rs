//! Sealing: the encryption of messages in the database.
//!
//! HKDF-SHA256 (RFC 5869) derives a *message key* from the access token and a key of the keyring. It is not stored. The
//! text is padded to a size class and encrypted with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a random nonce.
//! Version, key id, flags and expiry are authenticated. So the database alone opens nothing, and neither does the
//! database with a token after the key was destroyed. The row contains the id of its key.
//!
//! A claimed text is sealed again, under a key that also depends on the reader's view id. From then on the link alone
//! does not open it.
//!
//! A sealed text is `version (1 byte) ‖ nonce (24) ‖ ciphertext and tag`. App config secrets have the same form, under
//! a key derived from the keyring alone, with the key id (8 bytes) after the version.

use std::time::Duration;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    access_token::AccessToken,
    entropy::{EntropyError, random},
    keyring::{Key, KeyId, Keyring},
    message::{ContentKind, MessageContent, ViewId},
    passphrase::PassphraseKey,
    time::Timestamp,
};

const VERSION: u8 = 1;
/// The message key depends on a passphrase.
const FLAG_PASSPHRASE: u8 = 1;
/// The content was encrypted by its creator. The other bits are reserved.
const FLAG_SEALED: u8 = 2;
const NONCE_BYTES: usize = 24;
const KEY_ID_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

const MESSAGE_KEY_DOMAIN: &[u8] = b"mayfly message key v1";
const CONTENT_TAG_DOMAIN: &[u8] = b"mayfly content tag v1";
const CLAIM_KEY_DOMAIN: &[u8] = b"mayfly claim key v1";
const CLAIM_DOMAIN: &[u8] = b"mayfly claimed text";
const SEALED_CLAIM_DOMAIN: &[u8] = b"mayfly claimed sealed content";
const TEXT_DOMAIN: &[u8] = b"mayfly sealed text";
const CONFIG_KEY_DOMAIN: &[u8] = b"mayfly app config key v1";
const CONFIG_DOMAIN: &[u8] = b"mayfly sealed app config secret";

/// The smallest size class, which hides the length of passwords and keys.
const MIN_CLASS: usize = 256;

/// Sealed data cannot be opened: it is damaged, or was sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data cannot be opened")]
pub(crate) struct UnsealError;

/// Data cannot be sealed, so it must not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// There is no randomness for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The data is longer than the limit of the cipher, which is many gigabytes.
    #[error("too long to be sealed")]
    TooLong,
}

/// A MAC that distinguishes a repeated creation from another one with the same request id. It is deleted with the
/// message, because an attacker with the database, the keyring and the token could use it to confirm a guess of the
/// content. Like the message key, it depends on the stretched passphrase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentTag([u8; 32]);

impl ContentTag {
    pub(crate) fn to_column(self) -> Vec<u8> {
        self.0.to_vec()
    }

    pub(crate) fn matches_column(&self, column: &[u8]) -> bool {
        self.0.ct_eq(column).into()
    }
}

/// Seals and opens a message with its token, its passphrase if any, and a key of the keyring.
pub(crate) struct MessageSeal<'a> {
    key: &'a Key,
    secret: Zeroizing<Vec<u8>>,
    has_passphrase: bool,
}

impl<'a> MessageSeal<'a> {
    /// The seal of the message with `token` and the stretched passphrase, under `key`.
    pub(crate) fn new(key: &'a Key, token: &AccessToken, passphrase: Option<&PassphraseKey>) -> Self {
        let passphrase_bytes = passphrase.map(PassphraseKey::as_bytes).unwrap_or_default();
        let secret = Zeroizing::new([token.secret(), passphrase_bytes].concat());
        Self { key, secret, has_passphrase: passphrase.is_some() }
    }

    /// Seals `content` until `expire_time`.
    pub(crate) fn seal(&self, content: &MessageContent, expire_time: Option<Timestamp>) -> Result<Vec<u8>, SealError> {
        seal_content(&self.message_key(), content, &self.associated_data(content.kind(), expire_time))
    }

    /// Opens the output of [`seal`](Self::seal) for the same kind and expiry.
    pub(crate) fn open(
        &self,
        sealed: &[u8],
        kind: ContentKind,
        expire_time: Option<Timestamp>,
    ) -> Result<MessageContent, UnsealError> {
        open_content(&self.message_key(), sealed, kind, &self.associated_data(kind, expire_time))
    }

    /// The tag of a creation of `content` with the requested lifetime `ttl`.
    pub(crate) fn content_tag(&self, content: &MessageContent, ttl: Option<Duration>) -> ContentTag {
        let mut tag = [0; 32];
        let flags = [self.flags(content.kind()), u8::from(ttl.is_some())];
        let ttl = ttl.unwrap_or_default().as_nanos().to_be_bytes();
        self.key.derive(&self.secret, &[CONTENT_TAG_DOMAIN, &flags, &ttl, content.as_bytes()], &mut tag);
        ContentTag(tag)
    }

    fn message_key(&self) -> Zeroizing<[u8; 32]> {
        let mut message_key = Zeroizing::new([0; 32]);
        self.key.derive(&self.secret, &[MESSAGE_KEY_DOMAIN], &mut message_key);
        message_key
    }

    fn flags(&self, kind: ContentKind) -> u8 {
        let passphrase_flag = if self.has_passphrase { FLAG_PASSPHRASE } else { 0 };
        let kind_flag = match kind {
            ContentKind::Text => 0,
            ContentKind::Sealed => FLAG_SEALED,
        };
        passphrase_flag | kind_flag
    }

    fn associated_data(&self, kind: ContentKind, expire_time: Option<Timestamp>) -> Vec<u8> {
        let expire_time = expire_time.map_or(i64::MAX, Timestamp::micros).to_be_bytes();
        [TEXT_DOMAIN, &[VERSION, self.flags(kind)], self.key.id().as_str().as_bytes(), &expire_time].concat()
    }
}

/// Seals and opens a claimed content with the message's token, the reader's view id, and a key of the keyring.
pub(crate) struct ClaimSeal<'a> {
    key: &'a Key,
    claim_key: Zeroizing<[u8; 32]>,
}

impl<'a> ClaimSeal<'a> {
    /// The seal of the message with `token` for the reader with `view_id`, under `key`.
    pub(crate) fn new(key: &'a Key, token: &AccessToken, view_id: ViewId) -> Self {
        let mut claim_key = Zeroizing::new([0; 32]);
        key.derive(token.secret(), &[CLAIM_KEY_DOMAIN, view_id.as_bytes()], &mut claim_key);
        Self { key, claim_key }
    }

    /// Seals `content` until `forfeit_time`.
    pub(crate) fn seal(&self, content: &MessageContent, forfeit_time: Timestamp) -> Result<Vec<u8>, SealError> {
        seal_content(&self.claim_key, content, &self.associated_data(content.kind(), forfeit_time))
    }

    /// Opens the output of [`seal`](Self::seal) for the same kind and end.
    pub(crate) fn open(
        &self,
        sealed: &[u8],
        kind: ContentKind,
        forfeit_time: Timestamp,
    ) -> Result<MessageContent, UnsealError> {
        open_content(&self.claim_key, sealed, kind, &self.associated_data(kind, forfeit_time))
    }

    fn associated_data(&self, kind: ContentKind, forfeit_time: Timestamp) -> Vec<u8> {
        let domain = match kind {
            ContentKind::Text => CLAIM_DOMAIN,
            ContentKind::Sealed => SEALED_CLAIM_DOMAIN,
        };
        let forfeit_time = forfeit_time.micros().to_be_bytes();
        [domain, &[VERSION], self.key.id().as_str().as_bytes(), &forfeit_time].concat()
    }
}

fn seal_content(key: &[u8; 32], content: &MessageContent, associated_data: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce = random::<NONCE_BYTES>()?;
    let ciphertext = encrypt(key, &nonce, &pad(content.as_bytes()), associated_data)?;
    Ok([&[VERSION], nonce.as_slice(), &ciphertext].concat())
}

fn open_content(
    key: &[u8; 32],
    sealed: &[u8],
    kind: ContentKind,
    associated_data: &[u8],
) -> Result<MessageContent, UnsealError> {
    let sealed = sealed.strip_prefix(&[VERSION]).ok_or(UnsealError)?;
    let padded = decrypt(key, sealed, associated_data)?;
    MessageContent::unsealed(kind, unpad(&padded)?).ok_or(UnsealError)
}

/// Seals the app config secret called `name` with `key`.
pub(crate) fn seal_config_secret(key: &Key, name: &str, secret: &str) -> Result<Vec<u8>, SealError> {
    let nonce = random::<NONCE_BYTES>()?;
    let ciphertext =
        encrypt(&config_key(key), &nonce, &pad(secret.as_bytes()), &config_associated_data(name, key.id()))?;
    let key_id = hex::decode(key.id().as_str()).unwrap_or_default();
    Ok([&[VERSION], key_id.as_slice(), nonce.as_slice(), &ciphertext].concat())
}

/// The id of the key that sealed an app config secret.
pub(crate) fn config_secret_key(sealed: &[u8]) -> Option<KeyId> {
    let (key_id, _) = sealed.strip_prefix(&[VERSION])?.split_at_checked(KEY_ID_BYTES)?;
    Some(KeyId::from_column(hex::encode(key_id)))
}

/// Opens the output of [`seal_config_secret`] for the same name, with the key that sealed it.
pub(crate) fn open_config_secret(
    keyring: &Keyring,
    name: &str,
    sealed: &[u8],
) -> Result<Zeroizing<String>, UnsealError> {
    let sealed = sealed.strip_prefix(&[VERSION]).ok_or(UnsealError)?;
    let (key_id, sealed) = sealed.split_at_checked(KEY_ID_BYTES).ok_or(UnsealError)?;
    let key = keyring.key(&KeyId::from_column(hex::encode(key_id))).ok_or(UnsealError)?;
    let padded = decrypt(&config_key(key), sealed, &config_associated_data(name, key.id()))?;
    let secret = std::str::from_utf8(unpad(&padded)?).map_err(|_| UnsealError)?;
    Ok(Zeroizing::new(secret.to_owned()))
}

fn config_key(key: &Key) -> Zeroizing<[u8; 32]> {
    let mut config_key = Zeroizing::new([0; 32]);
    key.derive(&[], &[CONFIG_KEY_DOMAIN], &mut config_key);
    config_key
}

fn config_associated_data(name: &str, key_id: &KeyId) -> Vec<u8> {
    [CONFIG_DOMAIN, &[VERSION], key_id.as_str().as_bytes(), name.as_bytes()].concat()
}

fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    plaintext: &[u8],
    associated_data: &[u8],
) -> Result<Vec<u8>, SealError> {
    let payload = Payload { msg: plaintext, aad: associated_data };
    let ciphertext = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(*nonce), payload);
    ciphertext.map_err(|_| SealError::TooLong)
}

fn decrypt(key: &[u8; 32], sealed: &[u8], associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError)?;
    let payload = Payload { msg: ciphertext, aad: associated_data };
    let plaintext = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload);
    plaintext.map(Zeroizing::new).map_err(|_| UnsealError)
}

/// `length (4 bytes, big-endian) ‖ content ‖ zeros`, as long as its size class.
fn pad(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let class = size_class(LENGTH_BYTES + content.len());
    // Allocates the full size once, so that no partial copy remains unwiped.
    let mut padded = Zeroizing::new(Vec::with_capacity(class));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(class, 0);
    padded
}

fn unpad(padded: &[u8]) -> Result<&[u8], UnsealError> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>().ok_or(UnsealError)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| UnsealError)?;
    rest.get(..length).ok_or(UnsealError)
}

/// The next size class: 256 bytes, then the Padmé classes (Nikitin et al., "Reducing Metadata Leakage from Encrypted
/// Files and Communication with PURBs", 2019), which cost at most 12 % and reveal O(log log length) bits of the length.
fn size_class(length: usize) -> usize {
    if length <= MIN_CLASS {
        return MIN_CLASS;
    }
    let exponent = length.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    length.next_multiple_of(1 << (exponent - kept_bits))
}

#[cfg(test)]
mod tests;
