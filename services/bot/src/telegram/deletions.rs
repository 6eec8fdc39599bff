//! Schedules the deletion of messages from chats. Survives restarts.
//!
//! Each deletion is an empty file. Its name holds the due time, the bot, the chat and the message, and no text or
//! token. Creating and removing a file is atomic, so several bots may share the directory. Deleting a deleted message
//! succeeds. Scheduled messages are deleted even if the setting was removed meanwhile.
//!
//! If the process dies between sending a message and scheduling its deletion, that message stays.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mayfly_bootstrap::{create_private_dir_all, sync_dir};
use teloxide::types::{ChatId, MessageId, UserId};
use tokio::{sync::Notify, time::sleep};

use crate::telegram::{client::Telegram, errors::TelegramError};

/// Telegram deletes no message that is older than 48 hours. After this time, the bot gives up.
const TELEGRAM_LIMIT: Duration = Duration::from_secs(48 * 60 * 60);
/// The pause before a retry while Telegram is unreachable.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// The scheduled deletions. Clones share them.
#[derive(Clone)]
pub(crate) struct Deletions(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    /// The bot that sent the messages.
    bot: UserId,
    /// `None`: no more deletions are scheduled.
    after: Option<Duration>,
    pending: Mutex<BTreeSet<Deletion>>,
    added: Notify,
}

/// One message, ordered by its due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deletion {
    /// Seconds since 1970.
    due: u64,
    bot: u64,
    chat: i64,
    message: i32,
}

impl Deletions {
    /// Creates the directory and checks that it is writable.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
        create_private_dir_all(folder)?;
        let probe = folder.join("probe");
        make_file(&probe)?;
        fs::remove_file(probe)
    }

    /// Reads the deletions of a previous process. Messages are deleted `after` they are scheduled, or never. Ignores
    /// the messages of other bots.
    pub(crate) fn open(folder: &Path, bot: UserId, after: Option<Duration>) -> Self {
        let pending = read(folder, bot).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read which messages are to be deleted; they stay until the next start");
            BTreeSet::new()
        });
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            bot,
            after,
            pending: Mutex::new(pending),
            added: Notify::new(),
        }))
    }

    /// Schedules the deletion of a message that was just sent, if the setting is on. Survives a restart when this
    /// returns.
    pub(crate) async fn schedule(&self, chat: ChatId, message: MessageId) {
        let Some(after) = self.0.after else { return };
        let due = seconds(SystemTime::now()) + after.as_secs();
        let deletion = Deletion { due, bot: self.0.bot.0, chat: chat.0, message: message.0 };
        let path = self.0.folder.join(deletion.name());
        let made = tokio::task::spawn_blocking(move || make_file(&path))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(error) = made {
            tracing::error!(%error, "a deletion could not be written down; a restart will forget it");
        }
        self.pending().insert(deletion);
        self.0.added.notify_one();
    }

    /// Deletes the messages that are due. Never returns.
    pub(crate) async fn run(&self, telegram: &Telegram) {
        loop {
            let next = self.pending().first().copied();
            let pause = next.map(|next| Duration::from_secs(next.due.saturating_sub(seconds(SystemTime::now()))));
            match (next, pause) {
                (Some(next), Some(Duration::ZERO)) => self.execute(telegram, next).await,
                (_, pause) => {
                    let pause = async {
                        match pause {
                            Some(pause) => sleep(pause).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = pause => {}
                        () = self.0.added.notified() => {}
                    }
                }
            }
        }
    }

    async fn execute(&self, telegram: &Telegram, deletion: Deletion) {
        let Deletion { due, chat, message, .. } = deletion;
        match telegram.delete(ChatId(chat), MessageId(message)).await {
            Ok(()) => self.forget(deletion),
            Err(TelegramError::Unreachable | TelegramError::Flood(_) | TelegramError::TokenRefused)
                if Duration::from_secs(seconds(SystemTime::now()).saturating_sub(due)) < TELEGRAM_LIMIT =>
            {
                tracing::info!("a message could not be deleted yet; trying again");
                sleep(RETRY_PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(?error, "a message could not be deleted from its chat");
                self.forget(deletion);
            }
        }
    }

    fn forget(&self, deletion: Deletion) {
        self.pending().remove(&deletion);
        match fs::remove_file(self.0.folder.join(deletion.name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove the file of a deletion; the next process will retry it");
            }
            _ => {}
        }
    }

    fn pending(&self) -> MutexGuard<'_, BTreeSet<Deletion>> {
        // No code panics while the lock is held.
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deletion {
    fn name(&self) -> String {
        let Self { due, bot, chat, message } = self;
        format!("{due}_{bot}_{chat}_{message}")
    }
}

impl FromStr for Deletion {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut parts = name.split('_');
        let deletion = (|| {
            let due = parts.next()?.parse().ok()?;
            let bot = parts.next()?.parse().ok()?;
            let chat = parts.next()?.parse().ok()?;
            let message = parts.next()?.parse().ok()?;
            Some(Self { due, bot, chat, message })
        })();
        deletion.filter(|_| parts.next().is_none()).ok_or(())
    }
}

fn read(folder: &Path, bot: UserId) -> io::Result<BTreeSet<Deletion>> {
    let mut pending = BTreeSet::new();
    let entries = match fs::read_dir(folder) {
        // No deletion was ever scheduled.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pending),
        entries => entries?,
    };
    for entry in entries {
        let deletion = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        pending.extend(deletion.filter(|deletion: &Deletion| deletion.bot == bot.0));
    }
    Ok(pending)
}

fn make_file(path: &Path) -> io::Result<()> {
    fs::File::create(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_brings_back_what_it_was_made_of(due: u64, bot: u64, chat: i64, message: i32) {
            let deletion = Deletion { due, bot, chat, message };
            prop_assert_eq!(deletion.name().parse(), Ok(deletion));
        }

        #[test]
        fn any_name_is_understood_or_not(name in any::<String>()) {
            let _ = name.parse::<Deletion>();
        }
    }

    #[tokio::test]
    async fn deletions_survive_a_restart_and_those_of_other_bots_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deletions");
        let after = Some(Duration::from_secs(60));
        let open = |bot| Deletions::open(&folder, UserId(bot), after);
        Deletions::prepare(&folder).unwrap();
        let before = open(7);
        before.schedule(ChatId(1), MessageId(2)).await;
        fs::write(folder.join("something else"), "").unwrap();

        let noted: Vec<_> = open(7).pending().iter().map(|found| (found.chat, found.message)).collect();
        assert_eq!(noted, [(1, 2)]);
        assert!(open(8).pending().is_empty());
        let deletion = *before.pending().first().unwrap();
        before.forget(deletion);
        assert!(open(7).pending().is_empty());
    }

    #[tokio::test]
    async fn nothing_but_numbers_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let after = Some(Duration::from_secs(60));
        let deletions = Deletions::open(folder.path(), UserId(7), after);
        deletions.schedule(ChatId(1), MessageId(2)).await;
        let entries: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        let [entry] = entries.as_slice() else { panic!("one file: {entries:?}") };
        assert_eq!(entry.metadata().unwrap().len(), 0);
        assert!(entry.file_name().to_str().unwrap().ends_with("_7_1_2"));
    }
}
