//! TLS of clients.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName, sign::SingleCertAndKey},
};
use tower::{BoxError, Service};

use super::{
    connect_error::LastFailure,
    files::{Contents, NamedFile, Reloaded, TlsFileError, TlsFiles},
    provider,
    stream::Stream,
};

/// How long the TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// TLS settings of a client, for `https://` URLs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClientTlsSettings {
    /// A PEM file with the authorities that certificates of https:// servers must come from. Without an https:// URL it
    /// is refused. Unset: the authorities of the system.
    #[arg(long, env = "MAYFLY_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate of this client, for servers with --tls-client-ca.
    #[arg(long, env = "MAYFLY_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the private key of --client-cert. Users outside its group must not be able to read it.
    #[arg(long, env = "MAYFLY_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
}

impl ClientTlsSettings {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] when a file cannot be used, or the system has no authorities.
    pub fn load(&self) -> Result<ClientTls, TlsFileError> {
        Ok(ClientTls(Arc::new(Reloaded::load(self.files(), client_config)?)))
    }

    pub(super) fn files(&self) -> TlsFiles {
        let Self { ca, client_cert, client_key } = self.clone();
        let identity = client_cert.zip(client_key).map(|(certificate, key)| {
            let certificate = NamedFile { setting: "--client-cert", path: certificate };
            (certificate, NamedFile { setting: "--client-key", path: key })
        });
        TlsFiles { identity, authorities: ca.map(|path| NamedFile { setting: "--ca", path }) }
    }
}

fn client_config(files: &TlsFiles, contents: &Contents) -> Result<ClientConfig, TlsFileError> {
    let roots = match files.authorities(contents)? {
        Some(roots) => roots,
        None => system_authorities()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Configuration)?
        .with_root_certificates(roots);
    Ok(match files.identity(contents)? {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        None => builder.with_no_client_auth(),
    })
}

pub(super) fn system_authorities() -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    // Systems have some certificates that cannot be read. They matter only if nothing is left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsFileError::NoSystemAuthorities) } else { Ok(roots) }
}

/// TLS of a client. Cheap to clone; clones share the certificates.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Reloaded<ClientConfig>>);

/// Connects to `http://` and `https://` URLs. Each TLS connection uses the certificates that the files have by then.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector,
    tls: Option<ClientTls>,
    /// The protocol on TLS connections (ALPN).
    protocol: &'static [u8],
    failure: Arc<LastFailure>,
}

impl Connector {
    /// For clients of HTTP/2. `tls` may be `None` if no URL begins with `https://`.
    #[must_use]
    pub fn http2(tls: Option<ClientTls>) -> Self {
        Self::new(tls, b"h2")
    }

    /// For clients of HTTP/1.1.
    #[must_use]
    pub fn http1(tls: Option<ClientTls>) -> Self {
        Self::new(tls, b"http/1.1")
    }

    fn new(tls: Option<ClientTls>, protocol: &'static [u8]) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { tcp, tls, protocol, failure: Arc::default() }
    }

    /// The error of a call over this connector, with a [`ConnectError`](super::ConnectError) as its cause if the server
    /// did not accept the last connection.
    #[must_use]
    pub fn explain(&self, error: BoxError) -> BoxError {
        self.failure.explain(error)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let is_https = url.scheme() == Some(&Scheme::HTTPS);
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let (connecting, tls, protocol) = (self.tcp.call(url), self.tls.clone(), self.protocol);
        let failure = Arc::clone(&self.failure);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            if !is_https {
                return Ok(TokioIo::new(Stream::plain(tcp).recording(failure)));
            }
            let ClientTls(reloaded) = tls.ok_or("no TLS is configured for https://")?;
            let config = tokio::task::spawn_blocking(move || {
                reloaded.reload();
                reloaded.current()
            });
            let connector = TlsConnector::from(config.await?);
            let handshake = connector.with_alpn(vec![protocol.to_vec()]).connect(ServerName::try_from(host)?, tcp);
            let stream = handshake.await.inspect_err(|error| failure.record(error))?;
            Ok(TokioIo::new(Stream::tls(stream).recording(failure)))
        })
    }
}
