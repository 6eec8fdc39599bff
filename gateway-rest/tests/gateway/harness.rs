//! A gateway with a store, and a client for it.

use mayfly_bootstrap::http::{
    ServerLimits,
    origin::{HostSettings, OriginPolicy},
};
use mayfly_contracts::{BotChannel, StoreChannel, max_request_bytes};
use mayfly_gateway_rest::{GatewayMetrics, Proxies, Upstreams};
use mayfly_testkit::{TestDatabase, TestStore};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap, redirect};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;

use crate::api_document::assert_documented;

/// The text limit of the gateway.
pub(crate) const MAX_TEXT_BYTES: usize = 65_536;

/// A host name of the gateway, besides its address.
pub(crate) const PUBLIC_HOST: &str = "mayfly.example.org";

/// A gateway; stops when dropped.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) store: Option<TestStore>,
    client: reqwest::Client,
    _stop: DropGuard,
}

/// A response with its body.
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Gateway {
    /// Starts a gateway with its own store.
    pub(crate) async fn start() -> Self {
        let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
        let gateway = Self::with_store_channel(store.channel()).await;
        Self { store: Some(store), ..gateway }
    }

    /// Starts a gateway with the store behind `channel`.
    pub(crate) async fn with_store_channel(channel: StoreChannel) -> Self {
        Self::with_proxies(channel, 0).await
    }

    /// Starts a gateway with the store behind `channel`, behind this number of reverse proxies.
    pub(crate) async fn with_proxies(channel: StoreChannel, proxies: usize) -> Self {
        let bot = BotChannel::local(Routes::default());
        let proxies = Proxies { count: proxies, users: None };
        Self::with_upstreams(
            Upstreams { store: channel, bot, has_reflection: true, metrics: GatewayMetrics::default() },
            proxies,
        )
        .await
    }

    /// Starts a gateway with the store behind `channel`, behind proxies that may sign users in.
    pub(crate) async fn with_signed_in_users(channel: StoreChannel, proxies: Proxies) -> Self {
        let bot = BotChannel::local(Routes::default());
        Self::with_upstreams(
            Upstreams { store: channel, bot, has_reflection: true, metrics: GatewayMetrics::default() },
            proxies,
        )
        .await
    }

    /// Sets the store, for [`store`](Self::store).
    pub(crate) fn with_test_store(self, store: TestStore) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Starts a gateway with a store and a bot.
    pub(crate) async fn with_store_and_bot(store: StoreChannel, bot: BotChannel) -> Self {
        Self::with_upstreams(
            Upstreams { store, bot, has_reflection: true, metrics: GatewayMetrics::default() },
            Proxies::default(),
        )
        .await
    }

    async fn with_upstreams(upstreams: Upstreams, proxies: Proxies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let origins = OriginPolicy::new(&HostSettings::default(), [PUBLIC_HOST], proxies.count);
        let limits = ServerLimits::new(max_request_bytes(MAX_TEXT_BYTES));
        let serving = mayfly_gateway_rest::run(
            vec![listener.into()],
            upstreams,
            MAX_TEXT_BYTES,
            proxies,
            origins,
            limits,
            stop.clone(),
        );
        tokio::spawn(serving);
        let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { url, store: None, client, _stop: stop.drop_guard() }
    }

    pub(crate) fn store(&self) -> &TestStore {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        send(self.request(Method::POST, path).form(fields)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> TestResponse {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Posts a raw body.
    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> TestResponse {
        send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }

    /// Stores a text. Returns the path that reads it, without a slash at its end.
    pub(crate) async fn create(&self, text: &str) -> String {
        let message = self.store().create(text).await.unwrap();
        format!("/api/v1/get_message/{}/{}", message.id, message.access_token)
    }
}

/// Sends the request, and compares the response with the documentation.
pub(crate) async fn send(request: RequestBuilder) -> TestResponse {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, url) = (request.method().clone(), request.url().clone());
    let response: Response = client.execute(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let response = TestResponse { status, headers, body: response.text().await.unwrap() };
    assert_documented(&url.origin().ascii_serialization(), &method, url.path(), &response).await;
    response
}

impl TestResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Returns the field that a problem names.
    pub(crate) fn field(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
    }
}
