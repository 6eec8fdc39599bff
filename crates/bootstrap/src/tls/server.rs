//! TLS of listeners.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, ServerConnection, server::WebPkiClientVerifier, sign::SingleCertAndKey},
};
use tokio_util::sync::CancellationToken;

use super::{
    connect_error::PLAIN_HTTP2_RESPONSE,
    files::{Contents, NamedFile, Reloaded, TlsFileError, TlsFiles},
    provider,
    stream::Stream,
};

/// How often the files are compared with the configuration.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// The protocols of the listeners (ALPN), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The first byte of a TLS connection: a record of the type handshake.
const TLS_HANDSHAKE: u8 = 22;
/// The beginning of a connection of HTTP/2.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// How long a client may take to close a connection that is refused.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How many unsent bytes a connection holds. A client that does not read costs that much memory.
const SEND_BUFFER_BYTES: usize = 16 << 10;
/// The response to HTTP/1 without TLS.
const PLAIN_HTTP1_RESPONSE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 40\r\n\r\nthis port speaks TLS only: use https://\n";

/// TLS settings of the listeners of a process.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServerTlsSettings {
    /// A PEM file with the certificate of all listeners of this process, followed by its intermediates. Unset: no TLS.
    /// Changes of the file are taken up without a restart.
    #[arg(long, env = "MAYFLY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the private key of --tls-cert. Users outside its group must not be able to read it.
    #[arg(long, env = "MAYFLY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A PEM file with authorities. All listeners of this process then refuse clients without a certificate of one of
    /// them.
    #[arg(long, env = "MAYFLY_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
}

impl ServerTlsSettings {
    /// Loads the files. `None`: the listeners speak plain HTTP.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] when a file cannot be used.
    pub fn load(&self) -> Result<Option<ServerTls>, TlsFileError> {
        let Some(files) = self.files() else { return Ok(None) };
        Ok(Some(ServerTls(Arc::new(Reloaded::load(files, server_config)?))))
    }

    pub(super) fn files(&self) -> Option<TlsFiles> {
        let Self { tls_cert, tls_key, tls_client_ca } = self.clone();
        let (certificate, key) = tls_cert.zip(tls_key)?;
        let certificate = NamedFile { setting: "--tls-cert", path: certificate };
        let key = NamedFile { setting: "--tls-key", path: key };
        let authorities = tls_client_ca.map(|path| NamedFile { setting: "--tls-client-ca", path });
        Some(TlsFiles { identity: Some((certificate, key)), authorities })
    }
}

fn server_config(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, TlsFileError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Configuration)?;
    let builder = match (files.authorities(contents)?, &files.authorities) {
        (Some(roots), Some(file)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            let unusable =
                |source| TlsFileError::Authorities { setting: file.setting, path: file.path.clone(), source };
            builder.with_client_cert_verifier(verifier.map_err(unusable)?)
        }
        _ => builder.with_no_client_auth(),
    };
    let Some(identity) = files.identity(contents)? else {
        return Err(TlsFileError::Configuration(tokio_rustls::rustls::Error::NoCertificatesPresented));
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// TLS of the listeners of a process. Cheap to clone; clones share the certificates.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(super) Arc<Reloaded<ServerConfig>>);

impl ServerTls {
    /// Takes up changes of the files until `stop` is cancelled. Files that cannot be used are logged, and change
    /// nothing.
    pub async fn follow_files(self, stop: CancellationToken) {
        let mut ticks = interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let reloaded = Arc::clone(&self.0);
            // A reload that has begun ends within milliseconds. It fails only when the runtime ends.
            drop(tokio::task::spawn_blocking(move || reloaded.reload()).await);
        }
    }

    /// Performs the handshake of a new connection. Explains to a client without TLS what this port speaks.
    pub(crate) async fn accept(&self, mut stream: TcpStream) -> io::Result<Stream> {
        let mut start = [0; HTTP2_PREFACE.len()];
        let length = stream.peek(&mut start).await?;
        let start = start.get(..length).unwrap_or_default();
        if start.first().is_some_and(|first| *first != TLS_HANDSHAKE) {
            let is_http2 = HTTP2_PREFACE.starts_with(start);
            stream.write_all(if is_http2 { PLAIN_HTTP2_RESPONSE } else { PLAIN_HTTP1_RESPONSE }).await?;
            close(stream).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
        }
        let acceptor = TlsAcceptor::from(self.0.current());
        let limit_buffer = |connection: &mut ServerConnection| connection.set_buffer_limit(Some(SEND_BUFFER_BYTES));
        match acceptor.accept_with(stream, limit_buffer).into_fallible().await {
            Ok(stream) => Ok(Stream::tls(stream)),
            Err((error, stream)) => {
                close(stream).await;
                Err(error)
            }
        }
    }
}

/// Closes a connection after the client has read why. A connection with unread bytes would be reset, and the client
/// would lose the alert.
async fn close(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    let reading = async {
        stream.shutdown().await?;
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that goes on sending, or is gone, misses the reason.
    drop(tokio::time::timeout(CLOSE_TIMEOUT, reading).await);
}
