//! Spools slow updates on disk, so that they do not block others.
//!
//! A poll returns at most 100 updates, from the lowest unconfirmed one on. While that one cannot finish (its chat must
//! wait, the store is unreachable), no update arrives beyond the next 99. So the bot writes slow updates to disk and
//! confirms them. They survive the process.
//!
//! Each update is one file, written atomically, synced before the update is confirmed, and removed when the update is
//! handled. It is encrypted with XChaCha20-Poly1305 under a key derived from the key of the bot, because it may hold a
//! text or a token. The id of the update is authenticated.
//!
//! A file is `version (1 byte) ‖ nonce (24) ‖ ciphertext and tag`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use mayfly_bootstrap::{create_private_dir_all, sync_dir};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{bot_key::BotKey, telegram::update::Update};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// The prefix of temporary files.
const DRAFT_PREFIX: &str = ".";
const KEY_LABEL: &[u8] = b"mayfly bot set aside key v1\0";
const FOLDER_LABEL: &[u8] = b"mayfly bot set aside folder v1\0";

/// The spooled updates of one bot. Clones share them.
#[derive(Clone)]
pub(crate) struct Spool(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    cipher: XChaCha20Poly1305,
    foreign_reported: Once,
}

impl Spool {
    /// Opens the spool of the bot with this key in `folder`. Creates the directory when the first update is spooled.
    pub(crate) fn new(folder: &Path, bot_key: &BotKey) -> Self {
        // Not the number of the bot: it is private which bots a machine serves.
        let name = hex::encode(*bot_key.derive(FOLDER_LABEL, &[]));
        let cipher = XChaCha20Poly1305::new(&(*bot_key.derive(KEY_LABEL, &[])).into());
        Self(Arc::new(Inner { folder: folder.join(name), cipher, foreign_reported: Once::new() }))
    }

    /// Writes `updates` to disk. They survive the process if this succeeds.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub(crate) async fn put(&self, updates: Vec<Update>) -> io::Result<()> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.put(&updates)).await?
    }

    /// Returns all spooled updates, ordered by id. Removes temporary files. A concurrent writer of one fails and
    /// retries.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read. A file that cannot be decrypted is logged and kept.
    pub(crate) async fn all(&self) -> io::Result<Vec<Update>> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.all()).await?
    }

    /// Removes an update that is handled. If this fails, the next process handles it again, which is harmless.
    pub(crate) fn remove(&self, id: u32) {
        if let Err(error) = fs::remove_file(self.0.file(id)) {
            tracing::warn!(%error, "cannot remove a spooled update");
        }
    }
}

impl Inner {
    fn file(&self, id: u32) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn put(&self, updates: &[Update]) -> io::Result<()> {
        create_private_dir_all(&self.folder)?;
        for update in updates {
            let mut file = NamedTempFile::with_prefix_in(DRAFT_PREFIX, &self.folder)?;
            file.write_all(&self.seal(update)?)?;
            file.as_file().sync_all()?;
            file.persist(self.file(update.id)).map_err(|failed| failed.error)?;
        }
        sync_dir(&self.folder)
    }

    fn all(&self) -> io::Result<Vec<Update>> {
        self.foreign_reported.call_once(|| {
            let count = self.foreign_count();
            if count > 0 {
                tracing::warn!(
                    count,
                    "the spool holds updates of another bot, or of this one with another \
                     service token"
                );
            }
        });
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut updates = Vec::new();
        for entry in entries {
            let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
            let name = name.to_string_lossy();
            if name.starts_with(DRAFT_PREFIX) {
                // Its writer died before it confirmed the update.
                if let Err(error) = fs::remove_file(path) {
                    tracing::warn!(%error, "cannot remove a temporary file of the spool");
                }
                continue;
            }
            let Ok(id) = name.parse() else { continue };
            match fs::read(path).map(|file| self.open(id, &file)) {
                Ok(Some(update)) => updates.push(update),
                Ok(None) => tracing::error!("cannot decrypt a spooled update; the file is kept"),
                Err(error) => {
                    tracing::error!(%error, "cannot read a spooled update; the file is kept");
                }
            }
        }
        updates.sort_by_key(|update| update.id);
        Ok(updates)
    }

    /// Returns the number of updates in the directories of other bots, as far as they are readable.
    fn foreign_count(&self) -> usize {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = self.folder.parent().into_iter().flat_map(entries).map(|entry| entry.path());
        let foreign_count = folders.filter(|folder| *folder != self.folder);
        let is_update =
            |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        foreign_count.flat_map(|folder| entries(&folder)).filter(is_update).count()
    }

    fn seal(&self, update: &Update) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let text = Zeroizing::new(serde_json::to_vec(update)?);
        let payload = Payload { msg: &text, aad: &update.id.to_be_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("cannot encrypt an update"))?;
        Ok([&[VERSION], &nonce[..], &sealed].concat())
    }

    fn open(&self, id: u32, file: &[u8]) -> Option<Update> {
        let (nonce, sealed) = file.strip_prefix(&[VERSION])?.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &id.to_be_bytes() };
        let text = Zeroizing::new(self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?);
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use mayfly_bootstrap::Secret;
    use serde_json::json;
    use teloxide::types::UserId;

    use super::*;

    fn update(id: u32, text: &str) -> Update {
        serde_json::from_value(json!({ "update_id": id, "message": { "text": text } })).unwrap()
    }

    fn spool(folder: &Path, bot: u64) -> Spool {
        Spool::new(folder, &BotKey::of(&Secret::new("service".to_owned()), UserId(bot)))
    }

    async fn texts(spool: &Spool) -> Vec<String> {
        let all = spool.all().await.unwrap();
        all.iter().map(|update| serde_json::to_value(update).unwrap()["message"]["text"].to_string()).collect()
    }

    #[tokio::test]
    async fn spooled_updates_are_returned_in_order_until_they_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path(), 1);
        assert!(texts(&first).await.is_empty());
        first.put(vec![update(10, "ten"), update(9, "nine")]).await.unwrap();
        first.put(vec![update(100, "hundred")]).await.unwrap();
        let again = spool(folder.path(), 1);
        assert_eq!(texts(&again).await, ["\"nine\"", "\"ten\"", "\"hundred\""]);
        again.remove(10);
        assert_eq!(texts(&first).await, ["\"nine\"", "\"hundred\""]);
    }

    #[tokio::test]
    async fn nothing_of_it_can_be_read_or_exchanged_without_the_bots_key() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path(), 1);
        first.put(vec![update(9, "needle"), update(10, "other")]).await.unwrap();
        assert!(texts(&spool(folder.path(), 2)).await.is_empty());
        let file = fs::read(first.0.file(9)).unwrap();
        assert!(!String::from_utf8_lossy(&file).contains("needle"));
        fs::copy(first.0.file(9), first.0.file(10)).unwrap();
        fs::write(first.0.file(11), "").unwrap();
        assert_eq!(texts(&first).await, ["\"needle\""], "the copy under another id does not open");
    }

    #[tokio::test]
    async fn spooled_updates_of_other_bots_are_counted_and_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (spool(folder.path(), 1), spool(folder.path(), 2));
        assert_eq!(first.0.foreign_count(), 0, "not even a folder");
        first.put(vec![update(9, "nine")]).await.unwrap();
        assert_eq!((first.0.foreign_count(), second.0.foreign_count()), (0, 1));
        assert!(texts(&second).await.is_empty());
        assert_eq!(texts(&first).await, ["\"nine\""]);
    }

    #[tokio::test]
    async fn an_unreadable_file_is_kept_and_blocks_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), 1);
        spool.put(vec![update(9, "nine"), update(11, "eleven")]).await.unwrap();
        // A directory is not readable as a file.
        fs::create_dir(spool.0.file(10)).unwrap();
        assert_eq!(texts(&spool).await, ["\"nine\"", "\"eleven\""]);
        assert!(spool.0.file(10).exists());
    }

    #[tokio::test]
    async fn drafts_that_were_never_finished_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), 1);
        spool.put(vec![update(9, "nine")]).await.unwrap();
        let draft = NamedTempFile::with_prefix_in(DRAFT_PREFIX, &spool.0.folder).unwrap();
        let (_, draft) = draft.keep().unwrap();
        assert_eq!(texts(&spool).await, ["\"nine\""]);
        assert!(!draft.exists());
    }
}
