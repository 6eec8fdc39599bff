//! A store from its opening to its end: what has to be in place, what it serves, what runs beside.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use mayfly_bootstrap::{ErrorChain, TaskError, http};
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::{
    StoreError,
    domain::Clock,
    grpc::{self, Credentials},
    keys::{KeyringError, SharedKeyring, WatchedKeyring},
    settings::{
        DataSettings, DatabaseSettings, LimitSettings, MissingToken, SettingsError, StoreSettings, TokenSettings,
    },
    storage::{
        AppConfigs, Database, DatabaseError, KeyringMismatch, Messages, MessagesSettings, Retention, claim_database,
        public_ids,
    },
};

/// How often expired messages and old receipts are looked for. Expired messages cannot be read in the meantime.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// How often the keyring file is looked at.
const KEYRING_INTERVAL: Duration = Duration::from_secs(5);
/// How often the database is asked whether it is there, for the health service.
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer that.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A store whose database is open and whose keyring fits it.
pub struct Store {
    messages: Messages,
    routes: Routes,
    max_text_bytes: usize,
    trusted_gateways: Vec<IpNet>,
    health: HealthReporter,
    keyring: WatchedKeyring,
    database: Database,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

/// Everything that a store is opened with.
#[derive(Clone, Debug, clap::Args)]
pub struct OpenSettings {
    /// The service itself.
    #[command(flatten)]
    pub store: StoreSettings,
    /// Where its files lie.
    #[command(flatten)]
    pub data: DataSettings,
    /// Where its messages lie.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// By what it knows its callers.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// What it accepts.
    #[command(flatten)]
    pub limits: LimitSettings,
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
    /// The keyring and the database do not belong together.
    #[error(transparent)]
    Keyring(#[from] KeyringMismatch),
    /// The database failed while it was looked at; the log says how.
    #[error("cannot use the database (--database-url)")]
    Store(#[source] StoreError),
}

impl Store {
    /// Reads or makes the keyring and the tokens, brings the schema up to date, and opens the database. `clock` is where time
    /// comes from; long-running answers end when `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// [`OpenError`], with a message that names the setting.
    pub async fn open(
        settings: &OpenSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        let OpenSettings { store: settings, data, database, tokens, limits } = settings;
        let limits = settings.limits(limits)?;
        let keyring = settings.keyring(data)?;
        let admin_token = tokens.admin_token(data, MissingToken::Create)?;
        let credentials = Credentials::new(&admin_token, &tokens.service_token(data, MissingToken::Create)?);
        let database = database.database(data)?;
        let changes = database.migrate().await?;
        if changes > 0 {
            tracing::info!(changes, database = ?database, "the schema was brought up to date");
        }
        claim_database(&database, &keyring, clock.now()).await.map_err(OpenError::Store)??;

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
        let configs = AppConfigs::open(&database, readers, keyring.clone(), Arc::clone(&clock));
        let (health, health_service) = tonic_health::server::health_reporter();
        let max_text_bytes = limits.max_text_bytes;
        let mut routes = grpc::routes(grpc::Parts {
            messages: messages.clone(),
            ids,
            configs,
            credentials,
            limits,
            rates: settings.rates,
            clock: Arc::clone(&clock),
            stop: stop.clone(),
        });
        routes = routes.add_service(health_service);
        if !settings.no_reflection {
            routes = grpc::add_reflection(routes);
        }
        grpc::set_serving(&health, true).await;
        let keyring = WatchedKeyring { path: settings.keyring.path(data), shared: keyring };
        let trusted_gateways = settings.trusted_gateways.clone();
        Ok(Self { messages, routes, max_text_bytes, trusted_gateways, health, keyring, database, clock, stop })
    }

    /// The services, for a [`StoreChannel`](mayfly_contracts::StoreChannel) in the same process.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Serves gRPC on `listener`, within the `limits` of the process, until the store is stopped, then finishes the
    /// calls that have begun.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener, limits: http::ServerLimits) -> Result<(), TaskError> {
        let callers = grpc::callers(&self.trusted_gateways);
        let router = grpc::limited(self.routes(), limits.clone(), callers.clone(), self.max_text_bytes);
        Ok(http::serve(listener, router, limits, callers, self.stop.clone()).await?)
    }

    /// Sweeps and watches over the database until the store is stopped.
    ///
    /// # Errors
    ///
    /// When a part of the store has ended that must not. What fails for a time is logged and tried again.
    pub async fn maintain(&self) -> Result<(), TaskError> {
        let work = async { tokio::join!(self.sweep_regularly(), self.watch_health(), self.watch_keyring()) };
        tokio::select! {
            _ = work => Ok(()),
            () = self.messages.lane_ended() => Err("a write lane has ended".into()),
        }
    }

    /// Turns expired messages into receipts and purges old receipts, now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.messages.sweep().await
    }

    /// Takes up the keyring as its file holds it now; answers whether it differs from before.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file is no keyring or does not fit the database; the store goes on with the keys that it has.
    pub async fn reload_keyring(&self) -> Result<bool, KeyringError> {
        self.keyring.reload(&self.database, self.clock.now()).await
    }

    async fn watch_keyring(&self) {
        let mut ticks = tokio::time::interval(KEYRING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_usable = true;
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let reloaded = self.reload_keyring().await;
            match &reloaded {
                Ok(true) => tracing::info!("the keyring has changed and was taken up"),
                Ok(false) => {}
                // Once, not every few seconds.
                Err(error) if was_usable => {
                    tracing::error!(error = %ErrorChain(error), "the keyring file cannot be used; going on with the keys from before");
                }
                Err(_) => {}
            }
            was_usable = reloaded.is_ok();
        }
    }

    async fn sweep_regularly(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // What has begun is finished by the writer; nobody need wait for it.
            if let Some(Err(error)) = self.stop.run_until_cancelled(self.sweep()).await {
                tracing::warn!(%error, "sweeping is put off");
            }
        }
    }

    /// Whether the database can be used. Measures what is stored, if so.
    async fn look_after_database(&self) -> bool {
        self.messages.is_available().await && self.messages.measure().await.is_ok()
    }

    async fn watch_health(&self) {
        let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_serving = true;
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let serving = tokio::time::timeout(HEALTH_TIMEOUT, self.look_after_database()).await.unwrap_or(false);
            if serving != was_serving {
                tracing::warn!(serving, "the database came or went");
                grpc::set_serving(&self.health, serving).await;
                was_serving = serving;
            }
        }
        grpc::set_serving(&self.health, false).await;
    }
}
