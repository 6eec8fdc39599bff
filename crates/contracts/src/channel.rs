//! [`ServiceChannel`]: one way to reach a service, whether it runs in this process or in another.

use std::{
    convert::Infallible,
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

/// How long a connection to a remote service may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a remote service may take to begin its answer; longer than the store's own limit, so that its reason arrives.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle connection is probed, and how long the probe may take. A service that vanished without a word
/// is noticed after the sum of both.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// The transport under the generated clients: type-erased, so that callers cannot tell a service in this process from
/// one behind a network. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct ServiceChannel {
    inner: BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>,
}

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
        let channel: Channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self { inner: BoxCloneSyncService::new(channel.map_err(BoxError::from)) })
    }

    /// A channel that calls the services in `routes` directly, with no HTTP/2 between.
    #[must_use]
    pub fn local(routes: Routes) -> Self {
        let service = tower::util::MapErr::new(routes.prepare(), |never: Infallible| -> BoxError { match never {} });
        Self { inner: BoxCloneSyncService::new(service) }
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
    type Future = <BoxCloneSyncService<Request<Body>, Response<Body>, BoxError> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.inner.call(request)
    }
}
