//! [`Keyring`]: the keys with which the store seals messages, in a file outside the database and its backups.
//!
//! The file is JSON: `{"keys":[{"id":"…","key":"…","active_from":"…"}]}`, oldest first. A key is 32 random bytes in 64
//! hexadecimal digits. Its id is derived from it, so a damaged key is detected. A key seals from `active_from` on, or
//! always without it, so that by then every store has it. It opens at any time.

use hkdf::Hkdf;
use mayfly_bootstrap::Secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    entropy::{EntropyError, random},
    time::Timestamp,
};

const KEY_ID_DOMAIN: &[u8] = b"mayfly key id v1";

/// The id of a key, which reveals nothing about it: 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(String);

impl KeyId {
    /// The id from the database.
    pub(crate) fn from_column(id: String) -> Self {
        Self(id)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key of the keyring.
#[derive(Clone)]
pub(crate) struct Key {
    id: KeyId,
    bytes: KeyBytes,
    active_from: Option<Timestamp>,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct KeyBytes([u8; 32]);

impl Key {
    pub(crate) fn generate(active_from: Option<Timestamp>) -> Result<Self, EntropyError> {
        Ok(Self::new(&*random()?, active_from))
    }

    fn new(bytes: &[u8; 32], active_from: Option<Timestamp>) -> Self {
        let mut key = Self { id: KeyId(String::new()), bytes: KeyBytes(*bytes), active_from };
        let mut id = [0; 8];
        key.derive(&[], &[KEY_ID_DOMAIN], &mut id);
        key.id = KeyId(hex::encode(id));
        key
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    /// When it begins to seal; `None`: always.
    pub(crate) fn active_from(&self) -> Option<Timestamp> {
        self.active_from
    }

    /// Derives `output` from this key, `secret` and the parts of `info`: HKDF-SHA256 (RFC 5869) with the key as salt.
    pub(super) fn derive<const N: usize>(&self, secret: &[u8], info: &[&[u8]], output: &mut [u8; N]) {
        const { assert!(N <= 255 * 32, "HKDF-SHA256 gives no more") };
        // With an empty secret, HKDF still extracts from the key.
        let root = Hkdf::<Sha256>::new(Some(&self.bytes.0), secret);
        if root.expand_multi_info(info, output).is_err() {
            unreachable!("the length was checked when this was compiled");
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys of a store, oldest first, never empty. The newest active key seals; all keys open.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    older: Vec<Key>,
    newest: Key,
}

/// The content of a keyring file is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyring {
    /// It has another form.
    #[error("it is not a JSON object with keys of 64 hexadecimal digits each")]
    Malformed,
    /// It has no key.
    #[error("it holds no key")]
    Empty,
    /// A key does not match its id.
    #[error("a key does not fit its id, so one of them was damaged")]
    Damaged,
}

impl Keyring {
    /// A keyring with a new key.
    ///
    /// # Errors
    ///
    /// When the operating system provides no randomness.
    pub(crate) fn generate() -> Result<Self, EntropyError> {
        Ok(Self { older: Vec::new(), newest: Key::generate(None)? })
    }

    /// Parses the content of a keyring file.
    ///
    /// # Errors
    ///
    /// [`InvalidKeyring`], which contains nothing of the file.
    pub(crate) fn from_json(json: &Secret) -> Result<Self, InvalidKeyring> {
        let file: KeyringJson = serde_json::from_str(json.expose()).map_err(|_| InvalidKeyring::Malformed)?;
        let mut older = file.keys.iter().map(KeyJson::parse).collect::<Result<Vec<_>, _>>()?;
        let newest = older.pop().ok_or(InvalidKeyring::Empty)?;
        Ok(Self { older, newest })
    }

    /// The content of a keyring file.
    pub(crate) fn to_json(&self) -> Secret {
        let keys = self.keys().map(KeyJson::of).collect();
        // Cannot fail: the struct contains only strings.
        Secret::new(serde_json::to_string_pretty(&KeyringJson { keys }).unwrap_or_default())
    }

    /// The key that seals at the time `now`; the oldest key if none is active yet.
    pub(crate) fn sealing(&self, now: Timestamp) -> &Key {
        let is_active = |key: &&Key| key.active_from.is_none_or(|active_from| active_from <= now);
        let newest_active = std::iter::once(&self.newest).chain(self.older.iter().rev()).find(is_active);
        newest_active.or(self.older.first()).unwrap_or(&self.newest)
    }

    /// This keyring with a newer key.
    pub(crate) fn with(mut self, key: Key) -> Self {
        self.older.push(std::mem::replace(&mut self.newest, key));
        self
    }

    /// This keyring without the key `id`; `None` if nothing would remain.
    pub(crate) fn without(mut self, id: &KeyId) -> Option<Self> {
        self.older.retain(|key| key.id() != id);
        if self.newest.id() == id {
            self.newest = self.older.pop()?;
        }
        Some(self)
    }

    /// The keys of this keyring and of `other`, in the order in which they become active. Of keys that are always
    /// active, those of this keyring are the newer ones, so that it seals with the same key as before.
    pub(crate) fn merged_with(self, other: Self) -> Self {
        let mut older: Vec<_> = other.keys().filter(|key| self.key(key.id()).is_none()).cloned().collect();
        older.extend(self.keys().cloned());
        // Keeps the order of keys with the same time.
        older.sort_by_key(Key::active_from);
        let newest = older.pop().unwrap_or(self.newest);
        Self { older, newest }
    }

    /// All keys, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.older.iter().chain(std::iter::once(&self.newest))
    }

    /// The key with `id`.
    pub(crate) fn key(&self, id: &KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id() == id)
    }
}

#[derive(Serialize, Deserialize)]
struct KeyringJson {
    keys: Vec<KeyJson>,
}

#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
struct KeyJson {
    id: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active_from: Option<String>,
}

impl KeyJson {
    fn of(key: &Key) -> Self {
        let active_from = key.active_from.map(|time| time.to_string());
        Self { id: key.id.0.clone(), key: hex::encode(key.bytes.0), active_from }
    }

    fn parse(&self) -> Result<Key, InvalidKeyring> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(&self.key, bytes.as_mut_slice()).map_err(|_| InvalidKeyring::Malformed)?;
        let active_from = self.active_from.as_deref().map(str::parse).transpose();
        let key = Key::new(&bytes, active_from.map_err(|_| InvalidKeyring::Malformed)?);
        if key.id.0 == self.id { Ok(key) } else { Err(InvalidKeyring::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_is_the_same_after_it_was_written_and_read() {
        let keyring = Keyring::generate().unwrap();
        let read = Keyring::from_json(&keyring.to_json()).unwrap();
        assert_eq!(read.newest.id(), keyring.newest.id());
        assert_eq!(read.newest.bytes.0, keyring.newest.bytes.0);
    }

    #[test]
    fn the_newest_active_key_seals() {
        let at = Timestamp::from_micros;
        let first = Keyring::generate().unwrap();
        let keyring =
            first.clone().with(Key::generate(Some(at(10))).unwrap()).with(Key::generate(Some(at(20))).unwrap());
        let keyring = Keyring::from_json(&keyring.to_json()).unwrap();
        let ids: Vec<_> = keyring.keys().map(Key::id).cloned().collect();
        for (now, sealing) in [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2)] {
            assert_eq!(keyring.sealing(at(now)).id(), &ids[sealing], "{now}");
        }
        let left = keyring.clone().without(&ids[0]).unwrap();
        assert_eq!(left.sealing(at(0)).id(), &ids[1], "the oldest key");
        assert_eq!(left.keys().count(), 2);
        assert!(first.without(&ids[0]).is_none(), "a keyring is never empty");
    }

    #[test]
    fn merged_keyrings_have_the_keys_of_both_and_seal_with_the_newest() {
        let at = Timestamp::from_micros;
        let ours = Keyring::generate().unwrap().with(Key::generate(Some(at(10))).unwrap());
        let theirs = Keyring::generate().unwrap().with(Key::generate(Some(at(5))).unwrap());
        let ids = |keyring: &Keyring| keyring.keys().map(|key| key.id().clone()).collect::<Vec<_>>();
        let (our_ids, their_ids) = (ids(&ours), ids(&theirs));
        let merged = ours.clone().merged_with(theirs);
        let expected = [&their_ids[0], &our_ids[0], &their_ids[1], &our_ids[1]].map(Clone::clone);
        assert_eq!(ids(&merged), expected);
        assert_eq!(merged.sealing(at(0)).id(), &our_ids[0]);
        assert_eq!(merged.sealing(at(10)).id(), &our_ids[1]);
        assert_eq!(ids(&merged.clone().merged_with(ours)), expected, "no key is there twice");
    }

    #[test]
    fn a_damaged_key_is_detected() {
        let json = Keyring::generate().unwrap().to_json();
        let key = json.expose().split('"').find(|part| part.len() == 64).unwrap().to_owned();
        let digit = if key.starts_with('0') { "1" } else { "0" };
        let damaged = json.expose().replace(&key, &format!("{digit}{}", &key[1..]));
        assert_eq!(Keyring::from_json(&Secret::new(damaged)).unwrap_err(), InvalidKeyring::Damaged);
    }

    #[test]
    fn other_files_are_rejected() {
        let read = |json: &str| Keyring::from_json(&Secret::new(json.to_owned())).unwrap_err();
        assert_eq!(read("{}"), InvalidKeyring::Malformed);
        assert_eq!(read(r#"{"keys":[]}"#), InvalidKeyring::Empty);
        assert_eq!(read(r#"{"keys":[{"id":"x","key":"ab"}]}"#), InvalidKeyring::Malformed);
    }

    #[test]
    fn debug_hides_keys() {
        let keyring = Keyring::generate().unwrap();
        assert!(!format!("{keyring:?}").contains(&hex::encode(keyring.newest.bytes.0)));
    }
}
