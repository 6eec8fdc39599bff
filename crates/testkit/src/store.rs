//! A running store, with a method for each call.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser as _;
use mayfly_contracts::{
    StoreChannel,
    auth::{ApiTokenScope, CreateApiTokenRequest, api_token_service_client::ApiTokenServiceClient},
    config::config_service_client::ConfigServiceClient,
    message::{
        BurnMessageRequest, BurnMessageResponse, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest,
        LookupMessageResponse, ViewMessageRequest, ViewMessageResponse, message_service_client::MessageServiceClient,
    },
};
use mayfly_store::{OpenSettings, RateSettings, Store};
use sea_orm::{ConnectionTrait as _, Statement};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use crate::{TestClock, TestDatabase};

/// The admin token of every [`TestStore`].
pub const ADMIN_TOKEN: &str = "admin-token-for-tests-only-0123456789";
/// The service token of every [`TestStore`].
pub const SERVICE_TOKEN: &str = "service-token-for-tests-only-0123456789";

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    open: OpenSettings,
}

/// A store in this process, on a temporary database. Stops when dropped.
pub struct TestStore {
    // Fields are dropped in order of declaration: the store stops before its database is deleted.
    _stop: DropGuard,
    channel: StoreChannel,
    /// The store.
    pub store: Arc<Store>,
    /// The clock of the store.
    pub clock: TestClock,
    /// The database of the store.
    pub database: TestDatabase,
}

impl TestStore {
    /// Opens a store on `database` with default settings.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open(database: TestDatabase) -> anyhow::Result<Self> {
        Self::open_with(database, TestClock::default(), &[]).await
    }

    /// Opens a store on `database` with additional command line arguments.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_with(database: TestDatabase, clock: TestClock, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::open_as(database, clock, ["--admin-token", ADMIN_TOKEN], arguments).await
    }

    /// Opens a store on `database` with the admin token in this file.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_with_admin_token_file(database: TestDatabase, file: &str) -> anyhow::Result<Self> {
        Self::open_as(database, TestClock::default(), ["--admin-token-file", file], &[]).await
    }

    async fn open_as(
        database: TestDatabase,
        clock: TestClock,
        admin_token: [&str; 2],
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let folder = database.folder().join("data").display().to_string();
        let defaults =
            ["store", "--data-dir", &folder, "--database-url", database.url(), "--service-token", SERVICE_TOKEN];
        let arguments_of_store = defaults.iter().chain(&admin_token).chain(arguments);
        let Arguments { mut open } = Arguments::try_parse_from(arguments_of_store)?;
        // Tests exceed the default rate limits, unless they test rate limits.
        if !arguments.iter().any(|argument| argument.ends_with("-per-minute")) {
            open.store.rates = RateSettings::default();
        }
        let stop = CancellationToken::new();
        let store = Arc::new(Store::open(&open, Arc::new(clock.clone()), stop.clone()).await?);
        let channel = StoreChannel::local(store.routes());
        Ok(Self { _stop: stop.drop_guard(), channel, store, clock, database })
    }

    /// A channel to the store.
    #[must_use]
    pub fn channel(&self) -> StoreChannel {
        self.channel.clone()
    }

    /// A client of its `MessageService`.
    #[must_use]
    pub fn messages(&self) -> MessageServiceClient<StoreChannel> {
        MessageServiceClient::new(self.channel())
    }

    /// A client of its `ConfigService`.
    #[must_use]
    pub fn configs(&self) -> ConfigServiceClient<StoreChannel> {
        ConfigServiceClient::new(self.channel())
    }

    /// A client of its `ApiTokenService`.
    #[must_use]
    pub fn api_tokens(&self) -> ApiTokenServiceClient<StoreChannel> {
        ApiTokenServiceClient::new(self.channel())
    }

    /// Makes an API token, and returns its secret.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn add_api_token(&self, name: &str, scope: ApiTokenScope) -> Result<String, Status> {
        let request = CreateApiTokenRequest { name: name.to_owned(), scopes: vec![scope.into()], ttl: None };
        let created = self.api_tokens().create_api_token(bearer(ADMIN_TOKEN, request)).await?;
        Ok(created.into_inner().secret)
    }

    /// The number of messages in the database.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn unread_messages(&self) -> anyhow::Result<i64> {
        let connection = self.database.connect().await?;
        let count = Statement::from_string(connection.get_database_backend(), "SELECT COUNT(*) FROM messages");
        let row = connection.query_one_raw(count).await?.context("COUNT returned no row")?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Stores a text with the default lifetime.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn create(&self, text: &str) -> Result<CreateMessageResponse, Status> {
        self.create_with(CreateMessageRequest::from_text(text)).await
    }

    /// Stores a text with a lifetime.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn create_for(&self, text: &str, ttl: Duration) -> Result<CreateMessageResponse, Status> {
        let ttl = ttl.try_into().map_err(|_| Status::invalid_argument("ttl"))?;
        let request = CreateMessageRequest { ttl: Some(ttl), ..CreateMessageRequest::from_text(text) };
        self.create_with(request).await
    }

    /// Stores a message.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn create_with(&self, request: CreateMessageRequest) -> Result<CreateMessageResponse, Status> {
        self.messages().create_message(request).await.map(Response::into_inner)
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn view(&self, message: &CreateMessageResponse) -> Result<ViewMessageResponse, Status> {
        let request = ViewMessageRequest {
            id: message.id,
            access_token: message.access_token.clone(),
            ..ViewMessageRequest::default()
        };
        self.messages().view_message(request).await.map(Response::into_inner)
    }

    /// Looks up a message.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn lookup(&self, message: &CreateMessageResponse) -> Result<LookupMessageResponse, Status> {
        let request = LookupMessageRequest { id: message.id, access_token: message.access_token.clone() };
        self.messages().lookup_message(request).await.map(Response::into_inner)
    }

    /// Burns a message.
    ///
    /// # Errors
    ///
    /// Returns the status of the store.
    pub async fn burn(&self, message: &CreateMessageResponse) -> Result<BurnMessageResponse, Status> {
        let request = BurnMessageRequest { id: message.id, access_token: message.access_token.clone() };
        self.messages().burn_message(request).await.map(Response::into_inner)
    }
}

/// A request with `token` as its bearer token.
#[must_use]
pub fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    // A token that is not a valid header value is left out.
    if let Ok(authorization) = format!("Bearer {token}").parse() {
        request.metadata_mut().insert("authorization", authorization);
    }
    request
}
