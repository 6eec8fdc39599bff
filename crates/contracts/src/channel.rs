//! [`ServiceChannel`]: one way to reach a service, whether it runs in this process or in another.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tonic::{
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

use crate::is_stream;

/// How long a connection to a remote service may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a remote service may take to begin its answer; longer than the store's own limit, so that its reason arrives.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle connection is probed, and how long the probe may take. A service that vanished without a word
/// is noticed after the sum of both.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// How many bytes a stream may hold that its caller has not read, and all streams of a channel: as many as the largest
/// number of streams can hold, so that one that is not read holds up no other.
const STREAM_WINDOW: u32 = 16 << 10;
const STREAMS_WINDOW: u32 = 4096 * STREAM_WINDOW;
/// The same for unary calls, whose responses are read at once.
const UNARY_WINDOW: u32 = 256 << 10;
const UNARY_CONNECTION_WINDOW: u32 = 4 << 20;

/// The transport under the generated clients: type-erased, so that callers cannot tell a service in this process from
/// one behind a network. Cheap to clone; clones share the connections.
///
/// To a remote service there are two: one for unary calls, one for streams. A stream lasts for as long as its caller
/// likes, and must not take from unary calls what calls on one connection share.
#[derive(Clone)]
pub struct ServiceChannel {
    unary: Transport,
    streams: Transport,
}

type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// The store, over a [`ServiceChannel`].
pub type StoreChannel = ServiceChannel;
/// The bot, over a [`ServiceChannel`].
pub type BotChannel = ServiceChannel;

/// The address of a service is not a URL of the form `http://host:port`.
#[derive(Debug, thiserror::Error)]
#[error("the address is no URL of the form http://host:port")]
pub struct InvalidServiceUrl(#[source] Option<tonic::transport::Error>);

impl ServiceChannel {
    /// A channel to the service at `url` (`http://host:port`). Connects with the first call, and again when needed.
    ///
    /// # Errors
    ///
    /// [`InvalidServiceUrl`] when `url` is something else.
    pub fn remote(url: &str) -> Result<Self, InvalidServiceUrl> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| InvalidServiceUrl(Some(error)))?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(InvalidServiceUrl(None));
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true);
        let connect = |window: u32, connection_window: u32| -> Transport {
            let endpoint = endpoint.clone();
            let endpoint =
                endpoint.initial_stream_window_size(window).initial_connection_window_size(connection_window);
            let channel: Channel = endpoint.connect_lazy();
            BoxCloneSyncService::new(channel.map_err(BoxError::from))
        };
        Ok(Self {
            unary: connect(UNARY_WINDOW, UNARY_CONNECTION_WINDOW),
            streams: connect(STREAM_WINDOW, STREAMS_WINDOW),
        })
    }

    /// A channel that calls the services in `routes` directly, with no HTTP/2 between.
    #[must_use]
    pub fn local(routes: Routes) -> Self {
        let service = tower::util::MapErr::new(routes.prepare(), |never: Infallible| -> BoxError { match never {} });
        let transport: Transport = BoxCloneSyncService::new(service);
        Self { unary: transport.clone(), streams: transport }
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

    /// Always ready: which transport has to be shows with the request.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let transport = if is_stream(request.uri().path()) { &self.streams } else { &self.unary };
        Box::pin(transport.clone().oneshot(request))
    }
}
