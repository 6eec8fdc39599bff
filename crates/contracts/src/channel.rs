//! [`ServiceChannel`]: a transport to a service in this process or in another one.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response, Uri};
use tonic::{
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

use crate::methods::is_streaming;

/// How long connecting to a remote service may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a remote service may take to begin its response. Longer than the timeouts of the store, so that its error
/// arrives.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle connection is pinged, and how long the response may take. The sum is the time to detect a lost
/// service.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2 windows for streams, each and per connection. The connection has room for the windows of all streams, so a
/// stream that is not read does not block the others.
const STREAMING_WINDOW: u32 = 16 << 10;
const STREAMING_CONNECTION_WINDOW: u32 = 4096 * STREAMING_WINDOW;
/// HTTP/2 windows for unary calls, whose responses are read at once.
const UNARY_WINDOW: u32 = 256 << 10;
const UNARY_CONNECTION_WINDOW: u32 = 4 << 20;

/// The transport of the generated clients. It is type-erased, so that clients do not depend on where a service runs.
/// Cheap to clone; clones share the connections.
///
/// A remote service has two connections: one for unary calls and one for streams. Streams last long, and must not use
/// up the flow control window of unary calls.
#[derive(Clone)]
pub struct ServiceChannel {
    unary: Transport,
    streaming: Transport,
    /// Sets headers of each request.
    set_headers: fn(&mut HeaderMap),
}

/// A connection to a service, or the service itself.
pub type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// The store, over a [`ServiceChannel`].
pub type StoreChannel = ServiceChannel;
/// The bot, over a [`ServiceChannel`].
pub type BotChannel = ServiceChannel;

/// The address of a service is not of the form `http://host:port` or `https://host:port`.
#[derive(Debug, thiserror::Error)]
#[error("the address must be a URL of the form http://host:port or https://host:port")]
pub struct InvalidServiceUrl(#[source] Option<tonic::transport::Error>);

impl ServiceChannel {
    /// A channel to the service at `url` (`http://host:port`) without TLS. Connects with the first call, and reconnects
    /// when needed.
    ///
    /// # Errors
    ///
    /// [`InvalidServiceUrl`] when `url` has another form.
    pub fn remote(url: &str) -> Result<Self, InvalidServiceUrl> {
        Self::new(url, &["http"], |endpoint| endpoint.connect_lazy(), |error| error)
    }

    /// As [`remote`](Self::remote), for `https://host:port` too. `connector` connects, with TLS if the URL asks for it.
    /// `explain` can add a cause to the errors of calls.
    ///
    /// # Errors
    ///
    /// [`InvalidServiceUrl`] when `url` has another form.
    pub fn remote_over<C>(
        url: &str,
        connector: C,
        explain: impl Fn(BoxError) -> BoxError + Clone + Send + Sync + 'static,
    ) -> Result<Self, InvalidServiceUrl>
    where
        C: Service<Uri, Error = BoxError> + Clone + Send + 'static,
        C::Response: hyper::rt::Read + hyper::rt::Write + Send + Unpin,
        C::Future: Send,
    {
        let connect = |endpoint: Endpoint| endpoint.connect_with_connector_lazy(connector.clone());
        Self::new(url, &["http", "https"], connect, explain)
    }

    fn new(
        url: &str,
        schemes: &[&str],
        connect: impl Fn(Endpoint) -> Channel,
        explain: impl Fn(BoxError) -> BoxError + Clone + Send + Sync + 'static,
    ) -> Result<Self, InvalidServiceUrl> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| InvalidServiceUrl(Some(error)))?;
        let is_known = endpoint.uri().scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
        if !is_known || endpoint.uri().host().is_none() {
            return Err(InvalidServiceUrl(None));
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let transport = |window: u32, connection_window: u32| -> Transport {
            let endpoint = endpoint.clone();
            let endpoint =
                endpoint.initial_stream_window_size(window).initial_connection_window_size(connection_window);
            let explain = explain.clone();
            BoxCloneSyncService::new(connect(endpoint).map_err(move |error| explain(error.into())))
        };
        Ok(Self {
            unary: transport(UNARY_WINDOW, UNARY_CONNECTION_WINDOW),
            streaming: transport(STREAMING_WINDOW, STREAMING_CONNECTION_WINDOW),
            set_headers: |_| (),
        })
    }

    /// A channel that calls the services in `routes` in this process, without HTTP/2.
    #[must_use]
    pub fn local(routes: Routes) -> Self {
        let service = tower::util::MapErr::new(routes.prepare(), |never: Infallible| -> BoxError { match never {} });
        let transport: Transport = BoxCloneSyncService::new(service);
        Self { unary: transport.clone(), streaming: transport, set_headers: |_| () }
    }

    /// Lets `wrap` add to each call, for example a span.
    #[must_use]
    pub fn wrapped<S>(self, wrap: impl Fn(Transport) -> S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let wrap = |transport| BoxCloneSyncService::new(wrap(transport));
        Self { unary: wrap(self.unary), streaming: wrap(self.streaming), ..self }
    }

    /// Lets `set` change the headers of each request, for example to add the id of the request that it belongs to.
    #[must_use]
    pub fn with_headers(self, set: fn(&mut HeaderMap)) -> Self {
        Self { set_headers: set, ..self }
    }
}

impl std::fmt::Debug for ServiceChannel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServiceChannel").finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for ServiceChannel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    /// Always ready: the request decides which transport is used.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        (self.set_headers)(request.headers_mut());
        let transport = if is_streaming(request.uri().path()) { &self.streaming } else { &self.unary };
        Box::pin(transport.clone().oneshot(request))
    }
}
