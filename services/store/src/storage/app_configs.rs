//! [`AppConfigs`]: the app configs in the database, with sealed secrets.

use std::{future::Future, sync::Arc, time::Duration};

use mayfly_bootstrap::{ErrorChain, trace::SpanHandle};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tokio::sync::{Mutex, watch};

use super::{
    database::{Database, WriteConnection},
    db_error::{log_error, read_with_timeout},
    entities::app_configs,
    sealing_keys,
    traced::{traced, traced_commit},
};
use crate::{
    domain::{
        ApiHash, ApiId, AppConfig, AppConfigChange, AppConfigId, BotToken, Clock, Key, KeyId, Keyring, NewAppConfig,
        SealError, SessionName, SharedKeyring, Timestamp, UnsealError, config_secret_key, open_config_secret,
        seal_config_secret,
    },
    error::StoreError,
};

/// How long a change may take. After that the connection is closed and the outcome is unknown.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How many keys are tried, if they were retired, until one may seal.
const MAX_SEAL_ATTEMPTS: usize = 4;
const API_HASH: &str = "api_hash";
const BOT_TOKEN: &str = "bot_token";

/// All app configs of a store.
#[derive(Clone)]
pub(crate) struct AppConfigs {
    readers: DatabaseConnection,
    writer: Arc<Mutex<WriteConnection>>,
    keyring: SharedKeyring,
    clock: Arc<dyn Clock>,
    changes: watch::Sender<()>,
}

/// Why a change failed.
enum ChangeError {
    NotFound,
    Seal(SealError),
    Unseal(UnsealError),
    /// The keyring has no key that may seal.
    NoKey,
    /// Another process sealed it with a key that this store has not read from the keyring file yet.
    UnknownKey,
    Database(DbErr),
    /// The database did not respond in time.
    TimedOut,
}

impl From<DbErr> for ChangeError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<SealError> for ChangeError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<UnsealError> for ChangeError {
    fn from(error: UnsealError) -> Self {
        Self::Unseal(error)
    }
}

impl AppConfigs {
    /// Opens the app configs in `database`, whose schema is up to date.
    pub(crate) fn open(
        database: &Database,
        readers: DatabaseConnection,
        keyring: SharedKeyring,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let writer = Arc::new(Mutex::new(WriteConnection::new(database.clone())));
        Self { readers, writer, keyring, clock, changes: watch::Sender::new(()) }
    }

    /// Notifies about every change through this store.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Stores an app config.
    pub(crate) async fn insert(&self, new: NewAppConfig) -> Result<AppConfig, StoreError> {
        self.change(move |configs, transaction| {
            Box::pin(async move {
                let key = configs.sealing_key(transaction).await?;
                let row = app_configs::ActiveModel {
                    id: NotSet,
                    session_name: Set(new.session_name.as_str().to_owned()),
                    api_id: Set(new.api_id.get()),
                    sealed_api_hash: Set(seal_config_secret(&key, API_HASH, new.api_hash.expose())?),
                    is_active: Set(new.is_active),
                    is_bot: Set(new.is_bot),
                    sealed_bot_token: Set(seal_config_secret(&key, BOT_TOKEN, new.bot_token.expose())?),
                    update_time: Set(configs.clock.now().micros()),
                };
                configs.unseal(configs.traced("INSERT", row.insert(transaction)).await?)
            })
        })
        .await
    }

    /// Updates fields of an app config.
    pub(crate) async fn update(&self, id: AppConfigId, change: AppConfigChange) -> Result<AppConfig, StoreError> {
        self.change(move |configs, transaction| {
            Box::pin(async move {
                let key = configs.sealing_key(transaction).await?;
                let AppConfigChange { session_name, api_id, api_hash, is_active, is_bot, bot_token } = change;
                let found = app_configs::Entity::find_by_id(id.get()).lock_exclusive().one(transaction);
                let found = configs.traced("SELECT", found).await?;
                let mut row: app_configs::ActiveModel = found.ok_or(ChangeError::NotFound)?.into();
                row.id = Unchanged(id.get());
                row.update_time = Set(configs.clock.now().micros());
                if let Some(session_name) = session_name {
                    row.session_name = Set(session_name.as_str().to_owned());
                }
                if let Some(api_id) = api_id {
                    row.api_id = Set(api_id.get());
                }
                if let Some(api_hash) = api_hash {
                    row.sealed_api_hash = Set(seal_config_secret(&key, API_HASH, api_hash.expose())?);
                }
                if let Some(is_active) = is_active {
                    row.is_active = Set(is_active);
                }
                if let Some(is_bot) = is_bot {
                    row.is_bot = Set(is_bot);
                }
                if let Some(bot_token) = bot_token {
                    row.sealed_bot_token = Set(seal_config_secret(&key, BOT_TOKEN, bot_token.expose())?);
                }
                configs.unseal(configs.traced("UPDATE", row.update(transaction)).await?)
            })
        })
        .await
    }

    /// Deletes an app config.
    pub(crate) async fn delete(&self, id: AppConfigId) -> Result<(), StoreError> {
        self.change(move |configs, transaction| {
            Box::pin(async move {
                let deleting = app_configs::Entity::delete_by_id(id.get()).exec(transaction);
                let deleted = configs.traced("DELETE", deleting).await?;
                if deleted.rows_affected == 0 { Err(ChangeError::NotFound) } else { Ok(()) }
            })
        })
        .await
    }

    /// One app config.
    pub(crate) async fn find(&self, id: AppConfigId) -> Result<AppConfig, StoreError> {
        let found = app_configs::Entity::find_by_id(id.get()).one(&self.readers);
        self.read_one(found).await?.ok_or(StoreError::AppConfigNotFound)
    }

    /// At most `limit` app configs with ids above `after`, in the order of their ids.
    pub(crate) async fn list(&self, after: Option<AppConfigId>, limit: u64) -> Result<Vec<AppConfig>, StoreError> {
        let found = app_configs::Entity::find()
            .filter(app_configs::Column::Id.gt(after.map_or(0, AppConfigId::get)))
            .order_by_asc(app_configs::Column::Id)
            .limit(limit)
            .all(&self.readers);
        let found = read_with_timeout("listing app configs", Box::pin(self.traced("SELECT", found))).await?;
        found.into_iter().map(|row| self.unseal(row).map_err(log_and_convert)).collect()
    }

    /// The active app config with the highest id, if any is active.
    pub(crate) async fn last_active(&self) -> Result<Option<AppConfig>, StoreError> {
        let found = app_configs::Entity::find()
            .filter(app_configs::Column::IsActive.eq(true))
            .order_by_desc(app_configs::Column::Id)
            .one(&self.readers);
        self.read_one(found).await
    }

    async fn traced<T>(
        &self,
        operation: &'static str,
        running: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        traced(self.readers.get_database_backend(), operation, "app_configs", running).await
    }

    async fn read_one(
        &self,
        found: impl Future<Output = Result<Option<app_configs::Model>, DbErr>>,
    ) -> Result<Option<AppConfig>, StoreError> {
        let row = read_with_timeout("reading an app config", Box::pin(self.traced("SELECT", found))).await?;
        row.map(|row| self.unseal(row)).transpose().map_err(log_and_convert)
    }

    /// Runs `work` in a transaction, and returns its result after COMMIT. Runs in a task of its own, so that a caller
    /// that disconnects does not cancel it.
    async fn change<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(
            &'a Self,
            &'a DatabaseTransaction,
        ) -> futures_util::future::BoxFuture<'a, Result<T, ChangeError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let configs = self.clone();
        let span = SpanHandle::current();
        let task = tokio::spawn(SpanHandle::within(span, async move {
            let mut writer = configs.writer.lock().await;
            let changing = async {
                let transaction = writer.begin().await?;
                let result = work(&configs, &transaction).await?;
                traced_commit(transaction.get_database_backend(), transaction.commit()).await?;
                Ok(result)
            };
            let changed = tokio::time::timeout(CHANGE_TIMEOUT, changing).await;
            let changed = changed.unwrap_or(Err(ChangeError::TimedOut));
            if matches!(changed, Err(ChangeError::Database(_) | ChangeError::TimedOut)) {
                writer.discard();
            }
            if changed.is_ok() {
                configs.changes.send_replace(());
            }
            changed.map_err(log_and_convert)
        }));
        // The panic hook has logged a panic.
        task.await.unwrap_or(Err(StoreError::Internal))
    }

    /// The key that seals now. The transaction prevents its retirement.
    async fn sealing_key(&self, transaction: &DatabaseTransaction) -> Result<Key, ChangeError> {
        for _ in 0..MAX_SEAL_ATTEMPTS {
            let key = self.keyring.load().sealing(self.clock.now()).clone();
            if transaction.query_one(&sealing_keys::usable(key.id())).await?.is_some() {
                return Ok(key);
            }
            // Another process retired it. The store reads the keyring file again soon.
            self.keyring.exclude(key.id());
        }
        Err(ChangeError::NoKey)
    }

    fn unseal(&self, row: app_configs::Model) -> Result<AppConfig, ChangeError> {
        let app_configs::Model {
            id,
            session_name,
            api_id,
            sealed_api_hash,
            is_active,
            is_bot,
            sealed_bot_token,
            update_time,
        } = row;
        let keyring = self.keyring.load();
        let open = |name, sealed: &[u8]| match config_secret_key(sealed) {
            Some(id) if keyring.key(&id).is_none() => Err(ChangeError::UnknownKey),
            _ => open_config_secret(&keyring, name, sealed).map_err(ChangeError::from),
        };
        Ok(AppConfig {
            id: AppConfigId::from_column(id),
            settings: NewAppConfig {
                session_name: SessionName::from_column(session_name),
                api_id: ApiId::from_column(api_id),
                api_hash: ApiHash::unsealed(open(API_HASH, &sealed_api_hash)?),
                is_active,
                is_bot,
                bot_token: BotToken::unsealed(open(BOT_TOKEN, &sealed_bot_token)?),
            },
            update_time: Timestamp::from_micros(update_time),
        })
    }
}

fn log_and_convert(error: ChangeError) -> StoreError {
    match error {
        ChangeError::NotFound => StoreError::AppConfigNotFound,
        ChangeError::Database(error) => log_error("changing an app config", &error),
        ChangeError::TimedOut => {
            tracing::error!("changing an app config timed out; its outcome is unknown");
            StoreError::Unavailable
        }
        ChangeError::NoKey => {
            tracing::error!("changing an app config failed: the keyring has no key that may seal");
            StoreError::Unavailable
        }
        ChangeError::UnknownKey => {
            tracing::warn!("an app config needs a key that this store has not read from the keyring file yet");
            StoreError::Unavailable
        }
        ChangeError::Seal(error) => {
            tracing::error!(error = %ErrorChain(&error), "a secret of an app config cannot be sealed");
            StoreError::Internal
        }
        ChangeError::Unseal(error) => {
            tracing::error!(error = %ErrorChain(&error), "a secret of an app config cannot be opened");
            StoreError::Internal
        }
    }
}

/// Reseals all secrets of the key `id` with `successor`.
pub(super) async fn reseal(
    transaction: &DatabaseTransaction,
    keyring: &Keyring,
    id: &KeyId,
    successor: &Key,
) -> Result<(), DbErr> {
    let reseal_secret = |name, sealed: &[u8]| {
        let secret = open_config_secret(keyring, name, sealed).map_err(|error| DbErr::Custom(error.to_string()))?;
        seal_config_secret(successor, name, &secret).map_err(|error| DbErr::Custom(error.to_string()))
    };
    for row in app_configs::Entity::find().all(transaction).await? {
        let [sealed_api_hash, sealed_bot_token] =
            [(API_HASH, &row.sealed_api_hash), (BOT_TOKEN, &row.sealed_bot_token)].map(|(name, sealed)| {
                (config_secret_key(sealed).as_ref() == Some(id)).then(|| reseal_secret(name, sealed))
            });
        let mut row: app_configs::ActiveModel = row.into();
        if let Some(sealed) = sealed_api_hash {
            row.sealed_api_hash = Set(sealed?);
        }
        if let Some(sealed) = sealed_bot_token {
            row.sealed_bot_token = Set(sealed?);
        }
        if row.is_changed() {
            row.update(transaction).await?;
        }
    }
    Ok(())
}
