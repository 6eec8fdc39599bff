//! TLS between roles and in front of them, with certificates of `mayfly certs`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mayfly_bootstrap::tls::{ClientTlsSettings, Connector};
use mayfly_contracts::{
    BotChannel,
    bot::{GetBotStatusRequest, bot_service_client::BotServiceClient},
};
use mayfly_testkit::{
    FakeTelegram, PostgresServer, TcpProxy,
    leak_scan::{contains, find_leak, http2_encodings},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    chat::BOT_TOKEN,
    harness::{CommandOutput, Layout, Options, Process, System, free_port, run, run_in, wait_until},
};

const TEXT: &str = "canary-text-canary-text";
const API_HASH: &str = "0123456789abcdef0123456789abcdee";
const ANN: i64 = 7;

/// Certificates of `mayfly certs`.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    async fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let made = run(&["certs", "--dir", &folder.path().join("certs").display().to_string()]).await;
        assert_eq!(made.code, 0, "{}", made.err);
        Self { folder }
    }

    fn file(&self, file: &str) -> PathBuf {
        self.folder.path().join("certs").join(file)
    }

    fn variable(&self, name: &str, file: &str) -> (String, String) {
        (name.to_owned(), self.file(file).display().to_string())
    }

    /// The variables of a listener that `role` has.
    fn server(&self, role: &str) -> Vec<(String, String)> {
        vec![
            self.variable("MAYFLY_TLS_CERT", &format!("{role}/cert.pem")),
            self.variable("MAYFLY_TLS_KEY", &format!("{role}/key.pem")),
        ]
    }

    /// The variables of a listener that accepts only clients with a certificate.
    fn mutual(&self, role: &str) -> Vec<(String, String)> {
        [self.server(role), vec![self.variable("MAYFLY_TLS_CLIENT_CA", &format!("{role}/ca.pem"))]].concat()
    }

    /// The variables of a client with the certificate of `role`.
    fn client(&self, role: &str) -> Vec<(String, String)> {
        vec![
            self.variable("MAYFLY_CA", &format!("{role}/ca.pem")),
            self.variable("MAYFLY_CLIENT_CERT", &format!("{role}/cert.pem")),
            self.variable("MAYFLY_CLIENT_KEY", &format!("{role}/key.pem")),
        ]
    }

    /// The variables of a client without a certificate.
    fn trust(&self) -> Vec<(String, String)> {
        vec![self.variable("MAYFLY_CA", "ca.pem")]
    }
}

async fn run_with_variables(variables: &[(String, String)], arguments: &[&str]) -> CommandOutput {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    run_in(&variables, arguments).await
}

async fn wait_until_ready(role: &str, url: &str, variables: &[(String, String)], process: &Process) {
    let check = ["healthcheck", role, &format!("--{role}-url"), url];
    let what = format!("the {role} is ready");
    wait_until(&what, async || {
        let output = run_with_variables(variables, &check).await;
        let log = process.output();
        assert!(!String::from_utf8_lossy(&log).contains("mayfly: "), "{}", String::from_utf8_lossy(&log));
        output.code == 0
    })
    .await;
}

fn start(arguments: &[&str], variables: Vec<(String, String)>) -> Process {
    Process::start(arguments.iter().map(|&argument| argument.to_owned()).collect(), variables)
}

/// The three roles, with a capturing proxy on each link between them.
struct Roles {
    _processes: [Process; 3],
    data: TempDir,
    links: Vec<TcpProxy>,
    store_url: String,
    gateway_url: String,
    bot_url: String,
}

impl Roles {
    /// Starts the roles; with TLS and certificates on both sides of each link, if there are certificates.
    async fn start(certificates: Option<&Certificates>, telegram: &str) -> Self {
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let server = |role| certificates.map(|of| of.mutual(role)).unwrap_or_default();
        let client = |role| certificates.map(|of| of.client(role)).unwrap_or_default();
        let address = || format!("127.0.0.1:{}", free_port());
        let (store, gateway, bot) = (address(), address(), address());
        let mut links = Vec::new();
        // From the gateway to the store, from the bot to the store, and from the gateway to the bot.
        for target in [&store, &store, &bot] {
            links.push(TcpProxy::start_capturing(target).await.unwrap());
        }
        let link = |number: usize| format!("{scheme}://{}", links[number].address());
        let (gateway_to_store, bot_to_store, gateway_to_bot) = (link(0), link(1), link(2));
        let data = TempDir::new().unwrap();
        let folder = data.path().display().to_string();
        let store_url = format!("{scheme}://{store}");
        let gateway_url = format!("http://{gateway}");
        let bot_url = format!("{scheme}://{bot}");

        let store = start(&["store", "--data-dir", &folder, "--store-listen", &store], server("store"));
        wait_until_ready("store", &store_url, &client("store"), &store).await;
        let upstreams = ["--store-url", &gateway_to_store, "--bot-url", &gateway_to_bot];
        let gateway = start(&[&["gateway", "--gateway-listen", &gateway][..], &upstreams].concat(), client("gateway"));
        let bot = ["bot", "--data-dir", &folder, "--bot-listen", &bot, "--store-url", &bot_to_store];
        let bot =
            start(&[&bot[..], &["--telegram-api-url", telegram]].concat(), [server("bot"), client("bot")].concat());
        wait_until_ready("gateway", &gateway_url, &[], &gateway).await;
        wait_until_ready("bot", &bot_url, &client("bot"), &bot).await;
        Self { _processes: [store, gateway, bot], data, links, store_url, gateway_url, bot_url }
    }

    /// Runs a command with the tokens of the store. Its calls go through the gateway.
    async fn through_gateway(&self, arguments: &[&str]) -> String {
        let data = self.data.path().display().to_string();
        let data: &[&str] = if arguments[0] == "config" { &["--data-dir", &data] } else { &[] };
        let output = run(&[arguments, data, &["--store-url", &self.gateway_url]].concat()).await;
        assert_eq!(output.code, 0, "{arguments:?}: {}", output.err);
        output.out.trim().to_owned()
    }

    fn token(&self, file: &str) -> String {
        fs::read_to_string(self.data.path().join(file)).unwrap().trim().to_owned()
    }

    /// Uses all links. Returns what crossed them in clear bodies.
    async fn use_links(&self, telegram: &FakeTelegram) -> Vec<String> {
        let fields = ["--session-name", "s", "--api-id", "1", "--api-hash", API_HASH, "--bot-token", BOT_TOKEN];
        self.through_gateway(&[&["config", "add"], &fields[..]].concat()).await;
        let of_terminal = self.through_gateway(&["new", TEXT]).await;
        assert_eq!(self.through_gateway(&["view", &of_terminal]).await, TEXT);
        telegram.user_says(ANN, &format!("new:{TEXT}"));
        let of_chat = telegram.next_reply(ANN).await.unwrap().text;
        telegram.user_says(ANN, &of_chat);
        assert_eq!(telegram.next_reply(ANN).await.unwrap().text, TEXT);

        let mut request = tonic::Request::new(GetBotStatusRequest {});
        let bearer = format!("Bearer {}", self.token("admin.token")).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let channel = BotChannel::remote(&self.gateway_url).unwrap();
        let status = BotServiceClient::new(channel).get_bot_status(request).await.unwrap().into_inner().status;
        // Only the link between gateway and bot carries the name.
        let user_name = status.unwrap().user_name;

        let token = |message_ref: &str| message_ref.split_once(':').unwrap().1.to_owned();
        let tokens = [token(&of_terminal), token(&of_chat)];
        [TEXT, API_HASH, BOT_TOKEN].into_iter().map(str::to_owned).chain(tokens).chain([user_name]).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_between_roles_show_nothing_with_tls_and_everything_without() {
    let certificates = Certificates::make().await;
    for tls in [Some(&certificates), None] {
        let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
        let roles = Roles::start(tls, telegram.url()).await;
        let secrets = roles.use_links(&telegram).await;
        let captured = roles.links.iter().flat_map(TcpProxy::captured).collect::<Vec<_>>();
        for secret in &secrets {
            let found = find_leak(&captured, &[secret]);
            assert_eq!(found.is_some(), tls.is_none(), "{secret} with TLS: {}", tls.is_some());
        }
        for token in ["admin.token", "service.token"] {
            let encodings = http2_encodings(&roles.token(token));
            let is_found = encodings.iter().any(|encoding| contains(&captured, encoding));
            assert_eq!(is_found, tls.is_none(), "{token} with TLS: {}", tls.is_some());
        }
        drop(roles);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_over_tls_and_say_why_they_do_not() {
    let certificates = Certificates::make().await;
    let roles = Roles::start(Some(&certificates), "http://127.0.0.1:9").await;
    let data = roles.data.path().display().to_string();
    let client = certificates.client("client");
    let call = async |variables: &[(String, String)], arguments: &[&str]| {
        run_with_variables(variables, &[arguments, &["--store-url", &roles.store_url]].concat()).await
    };
    let succeed = async |arguments: &[&str]| {
        let output = call(&client, arguments).await;
        assert_eq!(output.code, 0, "{arguments:?}: {}", output.err);
        output.out.trim().to_owned()
    };
    let message_ref = succeed(&["new", "hello"]).await;
    succeed(&["lookup", &message_ref]).await;
    assert_eq!(succeed(&["view", &message_ref]).await, "hello");
    let burned = succeed(&["new", "hello"]).await;
    succeed(&["burn", &burned]).await;
    let fields = ["--session-name", "s", "--api-id", "1", "--api-hash", API_HASH, "--bot-token", BOT_TOKEN];
    succeed(&[&["config", "add", "--data-dir", &data], &fields[..]].concat()).await;
    succeed(&["config", "list", "--data-dir", &data]).await;
    let credentials = roles.data.path().join("credentials").display().to_string();
    succeed(&["telegram", "credentials", "--to", &credentials, "--data-dir", &data]).await;
    for role in ["store", "bot"] {
        let check = ["healthcheck", role, "--bot-url", &roles.bot_url];
        assert_eq!(call(&client, &check).await.code, 0, "{role}");
        let without = call(&certificates.trust(), &check).await;
        assert_eq!(without.code, 5, "{role} accepts only clients with a certificate");
    }

    let other = Certificates::make().await;
    for (variables, patterns) in [
        (other.client("client"), &["no known authority issued", "--ca"][..]),
        (certificates.trust(), &["requires a certificate", "--client-cert"]),
        ([certificates.trust(), other.client("client")[1..].to_vec()].concat(), &["rejects", "--client-cert"]),
        (Vec::new(), &["--ca"]),
    ] {
        let refused = call(&variables, &["new", "hello"]).await;
        assert_eq!(refused.code, 5, "{}", refused.err);
        assert!(patterns.iter().all(|pattern| refused.err.contains(pattern)), "{}", refused.err);
    }
    let port = roles.store_url.rsplit(':').next().unwrap();
    for (variables, url, pattern) in [
        (&[][..], format!("http://127.0.0.1:{port}"), "use https://"),
        (&client, roles.gateway_url.replace("http:", "https:"), "use http://"),
    ] {
        let refused = run_with_variables(variables, &["new", "hello", "--store-url", &url]).await;
        assert!(refused.code == 5 && refused.err.contains(pattern), "{}", refused.err);
    }
    let plain = run(&["healthcheck", "bot", "--bot-url", &roles.bot_url.replace("https:", "http:")]).await;
    assert!(plain.code == 5 && plain.err.contains("use https://"), "{}", plain.err);
    drop(roles);
}

/// `mayfly up` with the certificate of the gateway on all listeners.
struct Up {
    process: Process,
    gateway: String,
    redirect: String,
    _data: TempDir,
}

impl Up {
    async fn start(certificates: &Certificates) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        let (store, gateway, bot, redirect) = (address(), address(), address(), address());
        let data = TempDir::new().unwrap();
        let folder = data.path().display().to_string();
        let listeners = ["--store-listen", &store, "--gateway-listen", &gateway, "--bot-listen", &bot];
        let process = start(
            &[&["up", "--data-dir", &folder, "--redirect-http", &redirect][..], &listeners].concat(),
            certificates.server("gateway"),
        );
        for (role, address) in [("store", &store), ("gateway", &gateway), ("bot", &bot)] {
            wait_until_ready(role, &format!("https://{address}"), &certificates.trust(), &process).await;
        }
        Self { process, gateway, redirect, _data: data }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::write(to, fs::read(from).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_takes_up_new_certificates_and_keeps_them_when_a_file_breaks() {
    let (old, new) = (Certificates::make().await, Certificates::make().await);
    let mut up = Up::start(&old).await;
    let url = format!("https://{}", up.gateway);
    for file in ["gateway/cert.pem", "gateway/key.pem"] {
        copy(&new.file(file), &old.file(file));
    }
    wait_until_ready("gateway", &url, &new.trust(), &up.process).await;
    let refused = run_with_variables(&old.trust(), &["healthcheck", "gateway", "--gateway-url", &url]).await;
    assert!(refused.code == 5 && refused.err.contains("no known authority"), "{}", refused.err);

    fs::set_permissions(old.file("gateway/key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    wait_until("the broken key is logged", async || up.process.has_printed("--tls-key cannot be used")).await;
    wait_until_ready("gateway", &url, &new.trust(), &up.process).await;
    up.process.terminate();
    assert!(up.process.wait().await.success());
}

async fn send(address: &str, request: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection
        .write_all(format!("{request}\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    response.to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_redirected_to_https_and_told_to_stay_there() {
    let certificates = Certificates::make().await;
    let mut up = Up::start(&certificates).await;
    let path = format!("/api/v1/get_message/1/{TEXT}?q={TEXT}");
    let redirected = send(&up.redirect, &format!("GET {path} HTTP/1.1")).await;
    assert!(redirected.starts_with("http/1.1 308 "), "{redirected}");
    assert!(redirected.contains(&format!("\r\nlocation: https://{}{path}\r\n", up.gateway)), "{redirected}");
    let refused = send(&up.redirect, "POST /api/v1/create_message HTTP/1.1").await;
    assert!(refused.starts_with("http/1.1 403 ") && refused.contains("https://"), "{refused}");
    let plain = send(&up.gateway, "GET / HTTP/1.1").await;
    assert!(plain.starts_with("http/1.1 400 ") && plain.contains("use https://"), "{plain}");

    let tls = ClientTlsSettings { ca: Some(certificates.file("ca.pem")), ..ClientTlsSettings::default() };
    let connector = Connector::http1(Some(tls.load().unwrap()));
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let client = client.build::<_, http_body_util::Empty<bytes::Bytes>>(connector);
    let response = client.get(format!("https://{}/", up.gateway).parse().unwrap()).await.unwrap();
    assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
    up.process.terminate();
    assert!(up.process.wait().await.success());
    assert_eq!(find_leak(&up.process.output(), &[TEXT]), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_certificates_are_named_and_nothing_is_created() {
    let (certificates, other) = (Certificates::make().await, Certificates::make().await);
    let file = |name: &str| certificates.file(name).display().to_string();
    let (cert, key, ca) = (file("store/cert.pem"), file("store/key.pem"), file("ca.pem"));
    let (other_key, missing) = (other.file("store/key.pem").display().to_string(), file("missing.pem"));
    let world_readable = file("bot/key.pem");
    fs::set_permissions(&world_readable, fs::Permissions::from_mode(0o644)).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    for (role, listen_setting) in
        [("up", "--store-listen"), ("store", "--store-listen"), ("gateway", "--gateway-listen")]
    {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let data: &[&str] = if role == "gateway" { &[] } else { &["--data-dir", &data] };
        for (settings, patterns) in [
            (&["--tls-cert", &cert][..], &["--tls-key"][..]),
            (&["--tls-key", &key], &["--tls-cert"]),
            (&["--tls-client-ca", &ca], &["--tls-cert"]),
            (&["--tls-cert", &missing, "--tls-key", &key], &["--tls-cert", &missing]),
            (&["--tls-cert", &cert, "--tls-key", &missing], &["--tls-key", &missing]),
            (&["--tls-cert", &cert, "--tls-key", &other_key], &["--tls-key", &other_key, "does not fit", &cert]),
            (&["--tls-cert", &cert, "--tls-key", &world_readable], &["--tls-key", &world_readable, "chmod 600"]),
            (&["--tls-cert", &key, "--tls-key", &key], &["--tls-cert", &key, "no certificate"]),
            (&["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &key], &["--tls-client-ca", &key]),
        ] {
            let output = run(&[&[role, listen_setting, &listen][..], data, settings].concat()).await;
            assert_eq!(output.code, 2, "{role} {settings:?}: {}", output.err);
            assert!(patterns.iter().all(|pattern| output.err.contains(pattern)), "{patterns:?}: {}", output.err);
            assert!(!folder.path().join("data").exists(), "{role} {settings:?}");
        }
    }
    let redirect = run(&["gateway", "--gateway-listen", &listen, "--redirect-http", "127.0.0.1:0"]).await;
    assert!(redirect.code == 2 && redirect.err.contains("--tls-cert"), "{}", redirect.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_verifies_the_server_over_tls_on_postgres() {
    let (certificates, other) = (Certificates::make().await, Certificates::make().await);
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    server.require_tls(&certificates.file("store/cert.pem"), &certificates.file("store/key.pem")).unwrap();
    let address = server.address();
    let port = address.rsplit(':').next().unwrap();
    let url = |host: &str, parameters: &str| format!("postgres://mayfly@{host}:{port}/mayfly?{parameters}");
    let verify_full = |ca: &Path| format!("sslmode=verify-full&sslrootcert={}", ca.display());
    let migrate = async |url: &str| {
        let folder = TempDir::new().unwrap();
        run(&["migrate", "--data-dir", &folder.path().display().to_string(), "--database-url", url]).await
    };

    let verified = url("127.0.0.1", &verify_full(&certificates.file("ca.pem")));
    for (url, patterns) in [
        (url("127.0.0.1", "sslmode=disable"), &["no encryption"][..]),
        (url("127.0.0.1", &verify_full(&other.file("ca.pem"))), &["invalid peer certificate"]),
        // Another address of the server, which the certificate does not name.
        (url("127.0.0.2", &verify_full(&certificates.file("ca.pem"))), &["127.0.0.2", "invalid peer certificate"]),
        (url("127.0.0.1", &verify_full(&certificates.file("missing.pem"))), &["missing.pem"]),
    ] {
        let refused = migrate(&url).await;
        assert_ne!(refused.code, 0, "{url}");
        assert!(refused.err.contains("--database-url"), "{}", refused.err);
        assert!(patterns.iter().all(|pattern| refused.err.contains(pattern)), "{patterns:?}: {}", refused.err);
    }

    let options = Options { database_url: Some(&verified), ..Options::default() };
    let mut system = System::start(Layout::One, &database, options).await;
    let message_ref = system.client(&["new", TEXT]).await.out;
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out.trim(), TEXT);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_made_once_with_private_keys_for_their_owner_only() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("new/certs").display().to_string();
    let certs = ["certs", "--dir", &dir, "--host", "mayfly.example.org", "--host", "10.0.0.7"];
    let made = run(&certs).await;
    assert_eq!(made.code, 0, "{}", made.err);
    for part in ["10.0.0.7", "mayfly.example.org", "--tls-client-ca", "--client-key", "ca-key.pem"] {
        assert!(made.out.contains(part), "{part}: {}", made.out);
    }
    let files = |dir: &str| -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![PathBuf::from(dir)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                if entry.path().is_dir() {
                    assert_eq!(mode, 0o700, "{}", entry.path().display());
                    folders.push(entry.path());
                } else {
                    files.push((entry.path(), mode, fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    };
    let before = files(&dir);
    assert_eq!(before.len(), 2 + 4 * 3);
    for (path, mode, _) in &before {
        let is_key = path.to_string_lossy().ends_with("key.pem");
        assert_eq!(*mode & 0o077 == 0, is_key, "{} {mode:o}", path.display());
    }
    let again = run(&certs).await;
    assert!(again.code == 1 && again.err.contains("--dir") && again.err.contains(&dir), "{}", again.err);
    assert!(files(&dir) == before, "nothing was overwritten");
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "the temporary folder is gone");
    for (setting, value) in [("--host", "https://x"), ("--host", "x:1"), ("--days", "0")] {
        let refused = run(&["certs", "--dir", &format!("{dir}2"), setting, value]).await;
        assert!(refused.code == 2 && refused.err.contains(setting), "{}", refused.err);
    }
}
