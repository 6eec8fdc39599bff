//! [`Store`]: opens the database, serves the gRPC services, and runs periodic maintenance.

mod metrics;

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use mayfly_bootstrap::{
    ErrorChain, Listener, TaskError,
    audit::{self, Actor},
    http,
    metrics::RpcMetrics,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::{
    domain::{Clock, SharedKeyring},
    error::StoreError,
    grpc::{self, AdminToken, Credentials},
    keyring_file::{KeyringError, WatchedKeyring},
    messages::Messages,
    settings::{
        DataSettings, DatabaseSettings, LimitSettings, MissingToken, SettingsError, StoreSettings, TokenSettings,
    },
    storage::{
        ApiTokens, AppConfigs, Database, DatabaseError, KeyringMismatch, MessagesSettings, Retention, public_ids,
        register_keys,
    },
};

/// How often expired messages and old receipts are swept. An expired message cannot be read before the sweep either.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// How often the files of the keyring and of the admin token are checked for changes.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// How often the database is checked for the health service.
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
/// How long that check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A store with an open database.
pub struct Store {
    messages: Messages,
    rpcs: RpcMetrics,
    routes: Routes,
    max_text_bytes: usize,
    trusted_gateways: Vec<IpNet>,
    health: HealthReporter,
    keyring: WatchedKeyring,
    admin_token: WatchedAdminToken,
    database: Database,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

/// The admin token, and the settings that name its file.
struct WatchedAdminToken {
    token: AdminToken,
    settings: TokenSettings,
    data: DataSettings,
}

/// A file whose changes the store takes up.
struct FollowedFile {
    /// The name of a change in the audit log.
    action: &'static str,
    content: &'static str,
    was_usable: bool,
}

impl FollowedFile {
    fn new(action: &'static str, content: &'static str) -> Self {
        Self { action, content, was_usable: true }
    }

    /// Logs whether the content changed, and once that the file cannot be used. Returns `true` if it can.
    fn record<E: Error + 'static>(&mut self, reloaded: &Result<bool, E>) -> bool {
        let Self { action, content, was_usable } = *self;
        match reloaded {
            Ok(true) => {
                audit::attempt(action, Actor::Operator).finish(true);
                tracing::info!("{content} was reloaded");
            }
            Err(error) if was_usable => {
                let error = ErrorChain(error);
                tracing::error!(%error, "the file of {content} cannot be used; the store keeps what it has");
            }
            Ok(false) | Err(_) => {}
        }
        self.was_usable = reloaded.is_ok();
        self.was_usable
    }
}

/// All settings of a store.
#[derive(Clone, Debug, clap::Args)]
pub struct OpenSettings {
    /// The service.
    #[command(flatten)]
    pub store: StoreSettings,
    /// The data directory.
    #[command(flatten)]
    pub data: DataSettings,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// The tokens of its callers.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// The limits of messages.
    #[command(flatten)]
    pub limits: LimitSettings,
}

impl OpenSettings {
    /// Checks the settings that a store checks at its start, without files.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], whose message names the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.store.limits(&self.limits).map(drop)
    }
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The keyring lacks keys of the database.
    #[error(transparent)]
    Keyring(#[from] KeyringMismatch),
    /// The database failed. The cause was logged.
    #[error("cannot use the database (--database-url)")]
    Store(#[source] StoreError),
}

impl Store {
    /// Reads or creates the keyring and the tokens, migrates the schema, and opens the database. Streams end when
    /// `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// [`OpenError`], whose message names the setting.
    pub async fn open(
        settings: &OpenSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        let OpenSettings { store: settings, data, database, tokens, limits } = settings;
        let limits = settings.limits(limits)?;
        let keyring = settings.keyring(data)?;
        let admin_token = AdminToken::new(&tokens.admin_token(data, MissingToken::Create)?);
        let service_token = tokens.service_token(data, MissingToken::Create)?;
        let database = database.database(data)?;
        let changes = database.migrate().await?;
        if changes > 0 {
            tracing::info!(changes, database = ?database, "the schema was migrated");
        }
        register_keys(&database, &keyring, clock.now()).await.map_err(OpenError::Store)??;

        let keyring = SharedKeyring::new(keyring);
        let readers = database.connect_readers().await?;
        let messages_settings = MessagesSettings {
            retention: Retention { view_grace: settings.view_grace, receipts: settings.lifetimes.receipt_retention },
            storage: settings.storage.limits(),
            max_text_bytes: limits.max_text_bytes,
        };
        let messages =
            Messages::open(&database, readers.clone(), keyring.clone(), Arc::clone(&clock), messages_settings);
        let messages = messages.await.map_err(OpenError::Store)?;
        let ids = public_ids(&database).await.map_err(OpenError::Store)?;
        let api_tokens = ApiTokens::open(&database, readers.clone(), Arc::clone(&clock));
        let credentials = Credentials::new(admin_token.clone(), &service_token, api_tokens.clone());
        let configs = AppConfigs::open(&database, readers, keyring.clone(), Arc::clone(&clock));
        let (health, health_service) = tonic_health::server::health_reporter();
        let max_text_bytes = limits.max_text_bytes;
        let rpcs = grpc::rpc_metrics();
        let mut routes = grpc::routes(grpc::ServiceContext {
            messages: messages.clone(),
            ids,
            configs,
            api_tokens,
            credentials,
            create_access: settings.create_access,
            limits,
            rates: settings.rates,
            clock: Arc::clone(&clock),
            rpcs: rpcs.clone(),
            stop: stop.clone(),
        });
        routes = routes.add_service(rpcs.measure(health_service));
        if !settings.no_reflection {
            routes = grpc::add_reflection(routes);
        }
        grpc::set_serving(&health, true).await;
        let keyring = WatchedKeyring { path: settings.keyring.path(data), shared: keyring };
        let admin_token = WatchedAdminToken { token: admin_token, settings: tokens.clone(), data: data.clone() };
        let trusted_gateways = settings.trusted_gateways.clone();
        Ok(Self {
            messages,
            rpcs,
            routes,
            max_text_bytes,
            trusted_gateways,
            health,
            keyring,
            admin_token,
            database,
            clock,
            stop,
        })
    }

    /// The services for a [`StoreChannel`](mayfly_contracts::StoreChannel) in the same process.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Serves gRPC on `listener` with the `limits` of the process until the store is stopped, then drains calls in
    /// flight.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(&self, listener: impl Into<Listener>, limits: http::ServerLimits) -> Result<(), TaskError> {
        let callers = grpc::caller_source(&self.trusted_gateways);
        let router = grpc::with_limits(self.routes(), limits.clone(), callers.clone(), self.max_text_bytes);
        Ok(http::serve(listener, router, limits, callers, self.stop.clone()).await?)
    }

    /// Sweeps, checks the database and reloads the keyring and the admin token periodically until the store is stopped.
    ///
    /// # Errors
    ///
    /// When a write lane has ended. Other failures are logged and retried.
    pub async fn maintain(&self) -> Result<(), TaskError> {
        let work = async {
            let (sweeping, health) = (self.sweep_periodically(), self.watch_health());
            tokio::join!(sweeping, health, self.watch_files())
        };
        tokio::select! {
            _ = work => Ok(()),
            () = self.messages.lane_ended() => Err("the write lane has ended".into()),
        }
    }

    /// Replaces expired messages by receipts and purges old receipts now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.messages.sweep().await
    }

    /// Reloads the keyring file. Returns `true` if the keys changed.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file is invalid or does not fit the database. The store then keeps its keys.
    pub async fn reload_keyring(&self) -> Result<bool, KeyringError> {
        self.keyring.reload(&self.database, self.clock.now()).await
    }

    /// Reads the file of the admin token again. Returns `true` if the token changed.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when the file cannot be used. The store then keeps its token.
    pub fn reload_admin_token(&self) -> Result<bool, SettingsError> {
        let WatchedAdminToken { token, settings, data } = &self.admin_token;
        Ok(settings.admin_token_in_file(data)?.is_some_and(|new| token.replace(&new)))
    }

    async fn watch_files(&self) {
        let mut ticks = tokio::time::interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keyring = FollowedFile::new("keyring.reload", "the keyring");
        let mut admin_token = FollowedFile::new("admin_token.reload", "the admin token");
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_usable = keyring.record(&self.reload_keyring().await);
            self.messages.metrics().is_keyring_usable.store(is_usable, Ordering::Relaxed);
            admin_token.record(&self.reload_admin_token());
        }
    }

    async fn sweep_periodically(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let (began, metrics) = (Instant::now(), self.messages.metrics());
            // The writer finishes a sweep that has begun, so this need not wait.
            match self.stop.run_until_cancelled(self.sweep()).await {
                Some(Ok(())) => {
                    metrics.sweep_seconds.observe(began.elapsed().as_secs_f64());
                    metrics.record_sweep(self.clock.now());
                }
                Some(Err(error)) => {
                    metrics.failed_sweeps.inc();
                    tracing::warn!(%error, "the sweep failed and is retried later");
                }
                None => {}
            }
        }
    }

    /// Returns `true` if the database is available. Measures then how much is stored.
    async fn check_database(&self) -> bool {
        self.messages.is_available().await && self.messages.measure().await.is_ok()
    }

    async fn watch_health(&self) {
        let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_serving = true;
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let serving = tokio::time::timeout(HEALTH_TIMEOUT, self.check_database()).await.unwrap_or(false);
            self.messages.metrics().is_ready.store(serving, Ordering::Relaxed);
            if serving != was_serving {
                tracing::warn!(serving, "the availability of the database changed");
                grpc::set_serving(&self.health, serving).await;
                was_serving = serving;
            }
        }
        self.messages.metrics().is_ready.store(false, Ordering::Relaxed);
        grpc::set_serving(&self.health, false).await;
    }
}
