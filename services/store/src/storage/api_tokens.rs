//! [`ApiTokens`]: the API tokens in the database. Every check of a token reads its row, so a revocation takes effect at
//! once in all stores of the database.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Statement,
    sea_query::{Expr, OnConflict},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    database::{Database, WriteConnection},
    db_error::{log_error, read_with_timeout},
    entities::api_tokens,
};
use crate::{
    domain::{ApiToken, ApiTokenId, ApiTokenName, ApiTokenSecret, Clock, Scopes, Timestamp, Verifier},
    error::StoreError,
};

/// How long a change may take. After that the connection is closed and the outcome is unknown.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a revoked token is remembered, so that its holder learns that it was revoked.
const REVOKED_RETENTION: Duration = Duration::from_hours(24 * 365);
/// How exactly the last use is recorded: more would show when people work, and cost more writes.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// All API tokens of a store.
#[derive(Clone)]
pub(crate) struct ApiTokens {
    database: Database,
    readers: DatabaseConnection,
    writer: Arc<Mutex<WriteConnection>>,
    clock: Arc<dyn Clock>,
}

/// A new API token.
pub(crate) struct NewApiToken {
    pub(crate) name: ApiTokenName,
    pub(crate) scopes: Scopes,
    pub(crate) ttl: Option<Duration>,
}

impl ApiTokens {
    /// Opens the API tokens in `database`, whose schema is up to date.
    pub(crate) fn open(database: &Database, readers: DatabaseConnection, clock: Arc<dyn Clock>) -> Self {
        let writer = Arc::new(Mutex::new(WriteConnection::new(database.clone())));
        Self { database: database.clone(), readers, writer, clock }
    }

    /// Stores an API token with `secret`.
    ///
    /// # Errors
    ///
    /// [`StoreError::ApiTokenNameTaken`], or another one when the database fails.
    pub(crate) async fn insert(&self, new: NewApiToken, secret: &ApiTokenSecret) -> Result<ApiToken, StoreError> {
        let NewApiToken { name, scopes, ttl } = new;
        let now = self.clock.now();
        let expire_time = ttl.map(|ttl| now.after(ttl));
        let row = api_tokens::ActiveModel {
            id: NotSet,
            name: Set(name.as_str().to_owned()),
            verifier: Set(Verifier::of_api_token(secret).to_column()),
            scopes: Set(scopes.to_column()),
            create_time: Set(now.micros()),
            expire_time: Set(expire_time.map(Timestamp::micros)),
            last_use_time: Set(None),
            revoke_time: Set(None),
        };
        // A verifier of 256 random bits does not occur twice, so a conflict is one of names.
        let if_free = OnConflict::new().do_nothing().to_owned();
        let backend = self.database.backend();
        let inserting = api_tokens::Entity::insert(row).on_conflict(if_free).build(backend);
        let forgotten = api_tokens::Column::RevokeTime.lt(now.before(REVOKED_RETENTION).micros());
        let forgetting = api_tokens::Entity::delete_many().filter(forgotten).build(backend);
        match self.change("creating an API token", vec![forgetting, inserting]).await? {
            0 => Err(StoreError::ApiTokenNameTaken),
            _ => Ok(ApiToken { name, scopes, create_time: now, expire_time, last_use_time: None }),
        }
    }

    /// At most `limit` unrevoked API tokens with ids above `after`, in the order of their ids.
    pub(crate) async fn list(
        &self,
        after: Option<ApiTokenId>,
        limit: u64,
    ) -> Result<Vec<(ApiTokenId, ApiToken)>, StoreError> {
        let found = api_tokens::Entity::find()
            .filter(api_tokens::Column::RevokeTime.is_null())
            .filter(api_tokens::Column::Id.gt(after.map_or(0, |ApiTokenId(id)| id)))
            .order_by_asc(api_tokens::Column::Id)
            .limit(limit)
            .all(&self.readers);
        let found = read_with_timeout("listing API tokens", Box::pin(found)).await?;
        Ok(found.into_iter().map(|row| (ApiTokenId(row.id), to_domain(row))).collect())
    }

    /// Revokes the API token with this name.
    ///
    /// # Errors
    ///
    /// [`StoreError::ApiTokenNotFound`], or another one when the database fails.
    pub(crate) async fn revoke(&self, name: &ApiTokenName) -> Result<(), StoreError> {
        let revoking = api_tokens::Entity::update_many()
            .col_expr(api_tokens::Column::RevokeTime, Expr::value(self.clock.now().micros()))
            .filter(api_tokens::Column::Name.eq(name.as_str()))
            .filter(api_tokens::Column::RevokeTime.is_null())
            .build(self.database.backend());
        match self.change("revoking an API token", vec![revoking]).await? {
            0 => Err(StoreError::ApiTokenNotFound),
            _ => Ok(()),
        }
    }

    /// The scopes of the API token with `secret`, by one indexed query. Records the day of the use.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`], [`StoreError::ApiTokenRevoked`] or [`StoreError::ApiTokenExpired`] when the
    /// token is not valid, or another one when the database fails.
    pub(crate) async fn scopes_of(&self, secret: &ApiTokenSecret) -> Result<Scopes, StoreError> {
        let verifier = Verifier::of_api_token(secret).to_column();
        let found = api_tokens::Entity::find().filter(api_tokens::Column::Verifier.eq(verifier)).one(&self.readers);
        let row = read_with_timeout("checking an API token", Box::pin(found)).await?;
        let row = row.ok_or(StoreError::CredentialsInvalid)?;
        let now = self.clock.now().micros();
        if row.revoke_time.is_some() {
            return Err(StoreError::ApiTokenRevoked);
        }
        if row.expire_time.is_some_and(|expire_time| expire_time <= now) {
            return Err(StoreError::ApiTokenExpired);
        }
        let today = now - now.rem_euclid(DAY_MICROS);
        if row.last_use_time.is_none_or(|last_use_time| last_use_time < today) {
            self.record_use(row.id, today);
        }
        Ok(Scopes::from_column(&row.scopes))
    }

    /// Records the day of a use in the background. If another change is being written, a later use is recorded.
    fn record_use(&self, id: i64, today: i64) {
        let Ok(writer) = Arc::clone(&self.writer).try_lock_owned() else { return };
        let recording = api_tokens::Entity::update_many()
            .col_expr(api_tokens::Column::LastUseTime, Expr::value(today))
            .filter(api_tokens::Column::Id.eq(id))
            .build(self.database.backend());
        tokio::spawn(commit(writer, "recording the use of an API token", vec![recording]));
    }

    /// Runs the statements in a transaction, and returns after COMMIT how many rows the last one changed. Runs in a
    /// task of its own, so that a caller that disconnects does not cancel it.
    async fn change(&self, doing: &'static str, statements: Vec<Statement>) -> Result<u64, StoreError> {
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move { commit(writer.lock_owned().await, doing, statements).await });
        // The panic hook has logged a panic.
        task.await.unwrap_or(Err(StoreError::Internal))
    }
}

async fn commit(
    mut writer: OwnedMutexGuard<WriteConnection>,
    doing: &'static str,
    statements: Vec<Statement>,
) -> Result<u64, StoreError> {
    let changing = async {
        let transaction = writer.begin().await?;
        let mut changed = 0;
        for statement in statements {
            changed = transaction.execute_raw(statement).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok::<_, DbErr>(changed)
    };
    let changed = match tokio::time::timeout(CHANGE_TIMEOUT, changing).await {
        Ok(changed) => changed.map_err(|error| log_error(doing, &error)),
        Err(_) => {
            tracing::error!(doing, "the database did not respond in time; the outcome is unknown");
            Err(StoreError::Unavailable)
        }
    };
    if changed.is_err() {
        writer.discard();
    }
    changed
}

fn to_domain(row: api_tokens::Model) -> ApiToken {
    let api_tokens::Model { id: _, name, verifier: _, scopes, create_time, expire_time, last_use_time, revoke_time: _ } =
        row;
    ApiToken {
        name: ApiTokenName::from_column(name),
        scopes: Scopes::from_column(&scopes),
        create_time: Timestamp::from_micros(create_time),
        expire_time: expire_time.map(Timestamp::from_micros),
        last_use_time: last_use_time.map(Timestamp::from_micros),
    }
}
