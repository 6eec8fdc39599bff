//! Listeners and clients with certificates that fit, and with all kinds that do not.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Extension, Router, body::Body, extract::Request, routing::get};
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Listener,
    error_chain::ErrorChain,
    http::{CallerSource, OverTls, ServerLimits, serve},
};

/// An authority, and the folder for its certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes the certificate `name.pem` and the key `name.key`.
    pub(crate) fn issue(&self, name: &str, host: &str, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        fs::write(self.path(&format!("{name}.pem")), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        let path = self.path(&format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn server(&self, name: &str) -> ServerTlsSettings {
        let (cert, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        ServerTlsSettings { tls_cert: Some(cert), tls_key: Some(key), tls_client_ca: None }
    }

    fn client(&self) -> ClientTlsSettings {
        ClientTlsSettings { ca: Some(self.path("ca.pem")), ..ClientTlsSettings::default() }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Serves on 127.0.0.1 until the guard is dropped.
async fn start(tls: Option<ServerTls>) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let describe = |tls: Option<Extension<OverTls>>, request: Request| async move {
        format!("{:?} {}", request.version(), if tls.is_some() { "with TLS" } else { "without TLS" })
    };
    let router = Router::new().route("/", get(describe));
    let listener = Listener::with_tls(listener, tls);
    tokio::spawn(serve(listener, router, ServerLimits::new(1000), CallerSource::Direct, stop.clone()));
    (address, stop.drop_guard())
}

/// Sends a request. Returns the body, or why there is none.
async fn send(url: &str, connector: Connector, is_http2: bool) -> Result<String, Option<ConnectError>> {
    let client = Client::builder(TokioExecutor::new()).http2_only(is_http2).build::<_, Body>(connector.clone());
    let response = client.get(url.parse().unwrap()).await;
    let response = response.map_err(|error| explain(&*connector.explain(error.into())))?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

async fn call(scheme: &str, address: SocketAddr, client: &ClientTlsSettings) -> Result<String, Option<ConnectError>> {
    send(&format!("{scheme}://{address}/"), Connector::http2(Some(client.load().unwrap())), true).await
}

#[tokio::test]
async fn the_protocol_is_negotiated_and_requests_know_of_their_tls() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let (address, _serving) = start(authority.server("server").load().unwrap()).await;
    let tls = authority.client().load().unwrap();
    let url = format!("https://{address}/");
    assert_eq!(send(&url, Connector::http2(Some(tls.clone())), true).await.unwrap(), "HTTP/2.0 with TLS");
    assert_eq!(send(&url, Connector::http1(Some(tls)), false).await.unwrap(), "HTTP/1.1 with TLS");
    let (address, _serving) = start(None).await;
    let url = format!("http://{address}/");
    assert_eq!(send(&url, Connector::http2(None), true).await.unwrap(), "HTTP/2.0 without TLS");
}

#[tokio::test]
async fn a_client_says_why_it_does_not_trust_a_server() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    authority.issue("other", "other.example", |_| ());
    let (address, _serving) = start(authority.server("other").load().unwrap()).await;
    let other = call("https", address, &authority.client()).await.unwrap_err().unwrap();
    let ConnectError::OtherHost { expected, presented } = &other else { panic!("{other}") };
    assert_eq!((expected.as_str(), presented.as_str()), ("127.0.0.1", "other.example"));

    let (address, _serving) = start(authority.server("server").load().unwrap()).await;
    let unknown = call("https", address, &Authority::new().client()).await;
    assert_eq!(unknown, Err(Some(ConnectError::UnknownIssuer)));
    assert!(call("https", address, &authority.client()).await.is_ok());
}

#[tokio::test]
async fn plain_clients_and_plain_servers_are_told_apart() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let (with_tls, _serving) = start(authority.server("server").load().unwrap()).await;
    assert_eq!(call("http", with_tls, &authority.client()).await, Err(Some(ConnectError::TlsOnly)));
    let mut connection = TcpStream::connect(with_tls).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 ") && head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    assert!(body.contains("use https://"), "{body}");

    let (plain, _serving) = start(None).await;
    assert_eq!(call("https", plain, &authority.client()).await, Err(Some(ConnectError::NotTls)));
}

#[tokio::test]
async fn a_server_with_an_authority_for_clients_accepts_only_its_certificates() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    for authority in [&authority, &foreign] {
        authority.issue("server", "127.0.0.1", |_| ());
        authority.issue("client", "client", |_| ());
    }
    let server = ServerTlsSettings { tls_client_ca: Some(authority.path("ca.pem")), ..authority.server("server") };
    let (address, _serving) = start(server.load().unwrap()).await;
    let with = |authority_of_client: &Authority| ClientTlsSettings {
        client_cert: Some(authority_of_client.path("client.pem")),
        client_key: Some(authority_of_client.path("client.key")),
        ..authority.client()
    };
    assert_eq!(call("https", address, &with(&authority)).await.unwrap(), "HTTP/2.0 with TLS");
    assert_eq!(call("https", address, &authority.client()).await, Err(Some(ConnectError::CertificateRequired)));
    let rejected = call("https", address, &with(&foreign)).await;
    assert!(matches!(rejected, Err(Some(ConnectError::CertificateRejected { .. }))), "{rejected:?}");
}

/// Loads the files of a server. They must be refused with all of `parts` in the message.
fn assert_refused(settings: &ServerTlsSettings, parts: &[&str]) {
    let refused = settings.load().unwrap_err();
    let message = ErrorChain(&refused).to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_setting() {
    let authority = Authority::new();
    for name in ["server", "other"] {
        authority.issue(name, "127.0.0.1", |_| ());
    }
    authority.issue("expired", "127.0.0.1", |params| params.not_after = date_time_ymd(2020, 2, 1));
    authority.issue("future", "127.0.0.1", |params| params.not_before = date_time_ymd(2095, 1, 1));
    let server = authority.server("server");
    assert!(server.load().unwrap().is_some());
    assert_refused(&authority.server("expired"), &["--tls-cert: ", "expired.pem expired at 2020-02-01T00:00:00Z"]);
    assert_refused(&authority.server("future"), &["--tls-cert: ", "future.pem is not valid before 2095-01-01"]);
    assert_refused(&authority.server("missing"), &["--tls-key cannot be used: cannot read ", "missing.key"]);
    let mismatch = ServerTlsSettings { tls_key: Some(authority.path("other.key")), ..server.clone() };
    assert_refused(&mismatch, &["--tls-key: ", "other.key does not fit", "server.pem (--tls-cert)"]);
    let swapped = ServerTlsSettings { tls_cert: server.tls_key.clone(), ..server.clone() };
    assert_refused(&swapped, &["--tls-cert: ", "server.key contains no certificate"]);
    set_mode(&authority.path("server.pem"), 0o600);
    let swapped = ServerTlsSettings { tls_key: server.tls_cert.clone(), ..server.clone() };
    assert_refused(&swapped, &["--tls-key: ", "server.pem contains no private key"]);
    for pem in
        ["no PEM", "-----BEGIN CERTIFICATE-----\nAAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
    {
        fs::write(authority.path("broken.pem"), pem).unwrap();
        let broken = ServerTlsSettings { tls_cert: Some(authority.path("broken.pem")), ..server.clone() };
        assert_refused(&broken, &["--tls-cert: ", "broken.pem contains "]);
        let broken = ServerTlsSettings { tls_client_ca: Some(authority.path("broken.pem")), ..server.clone() };
        assert_refused(&broken, &["--tls-client-ca: ", "broken.pem contains "]);
    }
    for mode in [0o604, 0o644, 0o666] {
        set_mode(&authority.path("server.key"), mode);
        assert_refused(&server, &["--tls-key cannot be used: ", "server.key may be read by others", "chmod 600"]);
    }
    // A group of the system, such as Debian's ssl-cert, may share keys.
    set_mode(&authority.path("server.key"), 0o640);
    assert!(server.load().unwrap().is_some());
}

#[test]
fn files_of_clients_are_named_too() {
    let authority = Authority::new();
    authority.issue("client", "client", |_| ());
    let (cert, key) = (authority.path("client.pem"), authority.path("client.key"));
    set_mode(&key, 0o644);
    let client = ClientTlsSettings { client_cert: Some(cert), client_key: Some(key), ..authority.client() };
    let refused = ErrorChain(&client.load().unwrap_err()).to_string();
    assert!(refused.contains("--client-key") && refused.contains("client.key"), "{refused}");
    let without_ca = ClientTlsSettings { ca: Some(authority.path("missing.pem")), ..ClientTlsSettings::default() };
    let refused = ErrorChain(&without_ca.load().unwrap_err()).to_string();
    assert!(refused.contains("--ca") && refused.contains("missing.pem"), "{refused}");
}

#[tokio::test]
async fn changed_certificates_are_taken_up_and_broken_ones_are_not() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let tls = authority.server("server").load().unwrap().unwrap();
    let (address, _serving) = start(Some(tls.clone())).await;
    let client = authority.client();
    assert!(call("https", address, &client).await.is_ok());

    authority.issue("new", "new.example", |_| ());
    authority.issue("expired", "127.0.0.1", |params| params.not_after = date_time_ymd(2020, 1, 1));
    fs::write(authority.path("empty.pem"), "").unwrap();
    fs::copy(authority.path("server.key"), authority.path("old.key")).unwrap();
    let take = |certificate: &str, key: &str| {
        fs::copy(authority.path(certificate), authority.path("server.pem")).unwrap();
        fs::copy(authority.path(key), authority.path("server.key")).unwrap();
        tls.0.reload();
    };
    // The key of the second one is not there yet.
    for (certificate, key) in [("empty.pem", "old.key"), ("new.pem", "old.key"), ("expired.pem", "expired.key")] {
        take(certificate, key);
        assert!(call("https", address, &client).await.is_ok(), "{certificate}: the certificate before stays");
    }
    take("new.pem", "new.key");
    let other = call("https", address, &client).await;
    assert!(matches!(other, Err(Some(ConnectError::OtherHost { .. }))), "{other:?}");
}

#[test]
fn a_failure_to_reload_is_logged_once() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let tls = authority.server("server").load().unwrap().unwrap();
    let whole = fs::read(authority.path("server.pem")).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt().with_writer(Arc::new(log.reopen().unwrap())).finish();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..2 {
            fs::write(authority.path("server.pem"), "").unwrap();
            (0..3).for_each(|_| tls.0.reload());
            fs::write(authority.path("server.pem"), &whole).unwrap();
            tls.0.reload();
        }
    });
    let log = fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("changed TLS files cannot be used").count(), 2, "one for each time: {log}");
    assert!(log.contains("--tls-cert cannot be used: ") && log.contains("server.pem is empty"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_every_few_seconds_until_the_server_stops() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let tls = authority.server("server").load().unwrap().unwrap();
    let (mut current, stop) = (tls.0.subscribe(), CancellationToken::new());
    let following = tokio::spawn(tls.follow_files(stop.clone()));
    authority.issue("server", "new.example", |_| ());
    tokio::time::timeout(Duration::from_secs(20), current.changed()).await.unwrap().unwrap();
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn a_client_takes_up_a_changed_authority() {
    let (first, second) = (Authority::new(), Authority::new());
    second.issue("server", "127.0.0.1", |_| ());
    let (address, _serving) = start(second.server("server").load().unwrap()).await;
    let connector = Connector::http2(Some(first.client().load().unwrap()));
    let url = format!("https://{address}/");
    assert_eq!(send(&url, connector.clone(), true).await, Err(Some(ConnectError::UnknownIssuer)));
    fs::copy(second.path("ca.pem"), first.path("ca.pem")).unwrap();
    assert!(send(&url, connector, true).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn connections_without_a_handshake_are_closed_like_those_without_a_request() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |_| ());
    let (address, _serving) = start(authority.server("server").load().unwrap()).await;
    // Nothing; the beginning of a record; a record that announces a longer handshake.
    let beginnings: [&[u8]; 3] = [b"", &[22, 3, 1], &[22, 3, 1, 0, 5, 1, 0, 255, 255, 3]];
    let mut connections = JoinSet::new();
    for beginning in beginnings {
        connections.spawn(async move {
            let mut connection = TcpStream::connect(address).await.unwrap();
            let began = tokio::time::Instant::now();
            connection.write_all(beginning).await.unwrap();
            let mut response = [0; 64];
            let closing = tokio::time::timeout(Duration::from_secs(60), connection.read(&mut response));
            assert_eq!(closing.await.expect("the connection is closed").unwrap_or(0), 0);
            began.elapsed()
        });
    }
    while let Some(elapsed) = connections.join_next().await {
        let elapsed = elapsed.unwrap();
        assert!(elapsed > Duration::from_secs(5) && elapsed < Duration::from_secs(15), "{elapsed:?}");
    }
    assert!(call("https", address, &authority.client()).await.is_ok());
}

#[test]
fn the_expiry_of_a_certificate_is_known_and_follows_its_file() {
    let authority = Authority::new();
    authority.issue("server", "127.0.0.1", |params| params.not_after = date_time_ymd(2050, 1, 2));
    let tls = authority.server("server").load().unwrap().unwrap();
    let expiry = || humantime::format_rfc3339_seconds(tls.expiry().unwrap()).to_string();
    assert_eq!(expiry(), "2050-01-02T00:00:00Z");
    authority.issue("server", "127.0.0.1", |params| params.not_after = date_time_ymd(2090, 1, 2));
    tls.0.reload();
    assert_eq!(expiry(), "2090-01-02T00:00:00Z");
}
