//! The listener of the metrics: `GET /metrics`.
//!
//! It has limits of its own, so that scrapes succeed while all other listeners are busy.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

use crate::{
    http::{
        self, CallerSource, ContentPolicy, ListenerInfo, Rejection, RequestLimits, ServerLimits, origin::OriginPolicy,
    },
    listen::{BindError, Listener, bind},
    metrics::{Format, Metrics},
    tls::ServerTls,
};

/// The most connections, in total and of a caller. Each Prometheus server keeps one.
const MAX_CONNECTIONS: (usize, usize) = (32, 8);

/// Settings of the metrics.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MetricsSettings {
    /// The address on which Prometheus reads the metrics of this process, at /metrics. Unset: none. TLS is that of the
    /// other listeners.
    #[arg(long, env = "MAYFLY_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Who may read the metrics. With `open`, bind a private address. With `token`, scrapes fail while the store cannot
    /// be reached.
    #[arg(
        long,
        env = "MAYFLY_METRICS_ACCESS",
        value_name = "ACCESS",
        value_enum,
        default_value_t = MetricsAccess::Open,
        requires = "metrics_listen"
    )]
    pub metrics_access: MetricsAccess,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsAccess {
    /// Everybody who reaches the listener.
    #[default]
    Open,
    /// Callers with the admin token, or an API token with the scope metrics or admin.
    Token,
}

/// Decides whether the caller with this address and this `authorization` may read the metrics. Otherwise returns the
/// status of the response.
pub type Authorizer = Arc<dyn Fn(IpAddr, HeaderValue) -> Authorization + Send + Sync>;
type Authorization = Pin<Box<dyn Future<Output = Result<(), StatusCode>> + Send>>;

impl MetricsSettings {
    /// Binds the listener, if there is one, and stores its port in the settings.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub async fn listen(&mut self, tls: Option<&ServerTls>) -> Result<Option<Listener>, BindError> {
        match &mut self.metrics_listen {
            Some(address) => bind("--metrics-listen", address, tls).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Serves `metrics` on `listener` until `stop` is cancelled, to the callers that `authorizer` accepts. `None`: to all.
///
/// # Errors
///
/// As [`http::serve`].
pub async fn serve(
    listener: impl Into<Listener>,
    metrics: Metrics,
    authorizer: Option<Authorizer>,
    origins: OriginPolicy,
    stop: CancellationToken,
) -> io::Result<()> {
    let limits = ServerLimits::with_connections(MAX_CONNECTIONS, 0);
    http::serve(listener, router(metrics, authorizer, origins, limits.clone()), limits, CallerSource::Direct, stop)
        .await
}

fn router(metrics: Metrics, authorizer: Option<Authorizer>, origins: OriginPolicy, limits: ServerLimits) -> Router {
    let check_host = async |State(origins): State<OriginPolicy>, request: Request, next: Next| {
        let mut response = match origins.check_host(&request) {
            Ok(()) => next.run(request).await,
            Err(error) => (StatusCode::MISDIRECTED_REQUEST, format!("{error}\n")).into_response(),
        };
        http::set_security_headers(response.headers_mut(), ContentPolicy::Data);
        response
    };
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(metrics))
        .layer(middleware::from_fn_with_state(authorizer, authorize))
        .layer(middleware::from_fn_with_state(origins, check_host));
    RequestLimits {
        limits,
        listener: ListenerInfo::http("metrics"),
        callers: CallerSource::Direct,
        max_body_bytes: 0,
        response_bytes: Arc::new(|_| 0),
        server_streaming: &[],
        bidi_streaming: &[],
        reject: Arc::new(|rejection, _| reject(rejection)),
    }
    .apply(router)
}

fn reject(rejection: Rejection) -> Response {
    match rejection {
        Rejection::CallerBusy => StatusCode::TOO_MANY_REQUESTS,
        Rejection::ServerBusy => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::TimedOut => StatusCode::REQUEST_TIMEOUT,
        Rejection::Incomplete => StatusCode::BAD_REQUEST,
    }
    .into_response()
}

/// Passes on the requests of callers that may read the metrics.
async fn authorize(State(authorizer): State<Option<Authorizer>>, request: Request, next: Next) -> Response {
    let Some(authorizer) = authorizer else { return next.run(request).await };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let authorized = match (peer, request.headers().get(header::AUTHORIZATION)) {
        (Some(peer), Some(authorization)) => authorizer(peer, authorization.clone()).await,
        _ => Err(StatusCode::UNAUTHORIZED),
    };
    match authorized {
        Ok(()) => next.run(request).await,
        Err(StatusCode::UNAUTHORIZED) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
        }
        Err(status) => status.into_response(),
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accept.collect::<Vec<_>>().join(","));
    match metrics.scrape(format).await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
