//! Starting and stopping: the banner, the files, and what survives a restart.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mayfly_contracts::message::{CreateMessageRequest, ViewMessageRequest};
use mayfly_testkit::{TestDatabase, on_each_database};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Layout, Options, Process, System, run, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn the_banner_has_the_addresses_and_the_next_steps() {
    let system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let (up, data) = (&system.processes[0], system.data.display().to_string());
    let addresses =
        [&system.store_url, &system.gateway_url, &system.bot_url].map(|url| url.trim_start_matches("http://"));
    for pattern in addresses.into_iter().chain([data.as_str(), "config add", "new hello"]) {
        assert!(up.has_printed(pattern), "{pattern}: {}", String::from_utf8_lossy(&up.output()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_the_system_chooses_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let listen = ["--store-listen", "--gateway-listen", "--bot-listen"].map(|flag| [flag, "127.0.0.1:0"]).concat();
    let arguments =
        [&["up", "--data-dir", &data, "--telegram-api-url", "http://127.0.0.1:9"], listen.as_slice()].concat();
    let up = Process::start(arguments.into_iter().map(str::to_owned).collect(), Vec::new());
    wait_until("the banner is printed", async || up.has_printed("The bot waits")).await;
    let banner = String::from_utf8(up.output()).unwrap();
    let url_after = |pattern: &str| {
        let line =
            banner.lines().find_map(|line| line.trim().strip_prefix(pattern)).unwrap_or_else(|| panic!("{banner}"));
        format!("http://{}", line.trim().trim_start_matches("http://"))
    };
    for (role, pattern) in [("store", "gRPC"), ("gateway", "web page, REST"), ("bot", "bot status")] {
        let ready = run(&["healthcheck", role, &format!("--{role}-url"), &url_after(pattern)]).await;
        assert_eq!(ready.code, 0, "{role}: {}\n{banner}", ready.err);
    }
    let new = banner.lines().find_map(|line| line.trim().split_once(" new hello ")).unwrap().1;
    let stored = run(&[&["new", "hello"], new.split(' ').collect::<Vec<_>>().as_slice()].concat()).await;
    assert_eq!(stored.code, 0, "{}", stored.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_banner_work_with_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (data, certs) = (file("data"), file("certs"));
    assert_eq!(run(&["certs", "--dir", &certs]).await.code, 0);
    let (cert, key, ca) = (file("certs/store/cert.pem"), file("certs/store/key.pem"), file("certs/ca.pem"));
    let elsewhere = file("cert.pem");
    fs::copy(&cert, &elsewhere).unwrap();
    let listen = ["--store-listen", "--gateway-listen", "--bot-listen"].map(|flag| [flag, "127.0.0.1:0"]).concat();
    let (client_cert, client_key) = (file("certs/client/cert.pem"), file("certs/client/key.pem"));
    for (cert, client_ca, expected_ca) in [
        (&cert, &[][..], file("certs/store/ca.pem")),
        (&elsewhere, &[], "CA".to_owned()),
        (&elsewhere, &["--tls-client-ca", &ca], ca.clone()),
    ] {
        let tls = ["--tls-cert", cert, "--tls-key", &key];
        let options = ["up", "--data-dir", &data, "--telegram-api-url", "http://127.0.0.1:9"];
        let arguments = [&options[..], &listen, &tls, client_ca].concat();
        let mut up = Process::start(arguments.into_iter().map(str::to_owned).collect(), Vec::new());
        wait_until("the banner is printed", async || up.has_printed("The bot waits")).await;
        let banner = String::from_utf8(up.output()).unwrap();
        let new = banner.lines().find_map(|line| line.trim().split_once(" new hello ")).unwrap().1;
        assert!(new.contains(&format!(" --ca {expected_ca}")), "{new}");
        let new = new
            .replace("CERTIFICATE", &client_cert)
            .replace("KEY", &client_key)
            .replace("--ca CA", &format!("--ca {ca}"));
        let stored = run(&[&["new", "hello"], new.split(' ').collect::<Vec<_>>().as_slice()].concat()).await;
        assert_eq!(stored.code, 0, "{}", stored.err);
        up.terminate();
        assert!(up.wait().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_support_get_and_head() {
    let system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let http = reqwest::Client::new();
    for (listener, path, expected) in [
        (&system.gateway_url, "/healthz", 200),
        (&system.gateway_url, "/readyz", 200),
        (&system.gateway_url, "/health", 404),
        (&system.bot_url, "/healthz", 200),
        (&system.bot_url, "/readyz", 200),
        (&system.bot_url, "/health", 404),
        // The store has health checks over gRPC only.
        (&system.store_url, "/healthz", 404),
    ] {
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let response = http.request(method.clone(), format!("{listener}{path}")).send().await.unwrap();
            assert_eq!(response.status().as_u16(), expected, "{method} {listener}{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_creates_private_files_that_stay() {
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&system.data), 0o700);
    let files = ["keyring.json", "admin.token", "service.token"].map(|name| system.data.join(name));
    let before: Vec<_> = files.iter().map(|file| (mode(file), fs::read(file).unwrap())).collect();
    assert!(before.iter().all(|(mode, _)| *mode == 0o600));
    system.stop().await;
    system.start_processes(Layout::One, Options::default()).await;
    let after: Vec<_> = files.iter().map(|file| (mode(file), fs::read(file).unwrap())).collect();
    assert_eq!(before, after);
}

on_each_database! {
    async fn acknowledged_messages_survive_kill_9_and_viewed_ones_stay_gone(database: TestDatabase) {
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let mut messages = Vec::new();
        for number in 0..20 {
            let request = CreateMessageRequest::from_text(format!("text {number}"));
            messages.push(system.messages().create_message(request).await.unwrap().into_inner());
        }
        let view = |message: &mayfly_contracts::message::CreateMessageResponse| {
            ViewMessageRequest { id: message.id, access_token: message.access_token.clone(), ..Default::default() }
        };
        for message in &messages[..10] {
            system.messages().view_message(view(message)).await.unwrap();
        }
        system.processes[0].kill().await;
        system.start_processes(Layout::One, Options::default()).await;
        for (number, message) in messages.iter().enumerate() {
            let viewed = system.messages().view_message(view(message)).await;
            let expected = (number >= 10).then(|| format!("text {number}"));
            assert_eq!(viewed.ok().map(|response| response.into_inner().into_text().unwrap()), expected, "{number}");
        }
    }

    async fn the_log_announces_the_effect_of_a_second_signal(database: TestDatabase) {
        const ANNOUNCEMENT: &str = "finishing; a second signal ends at once";
        let mut system = System::start(Layout::Three, &database, Options::default()).await;
        for process in &mut system.processes {
            process.terminate();
            assert!(process.wait().await.success());
            wait_until("the second signal is announced", async || process.has_printed(ANNOUNCEMENT)).await;
        }

        system.start_processes(Layout::One, Options::default()).await;
        // An incomplete request delays the shutdown.
        let mut connection = TcpStream::connect(system.gateway_url.trim_start_matches("http://")).await.unwrap();
        let head = "POST /api/v1/create_message HTTP/1.1\r\nhost: localhost\r\n\
                    content-length: 9\r\nexpect: 100-continue\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        let continued = connection.read_u8().await.unwrap();
        assert_eq!(continued, b'H', "the handler waits for the body");
        let up = &mut system.processes[0];
        up.terminate();
        wait_until("the second signal is announced", async || up.has_printed(ANNOUNCEMENT)).await;
        up.terminate();
        assert_eq!(up.wait().await.code(), Some(1));
        wait_until("the log reports unfinished work", async || up.has_printed("work was cut short")).await;
    }

    async fn the_schema_is_migrated_at_the_start_and_by_command(database: TestDatabase) {
        let folder = database.folder().join("data").display().to_string();
        let migrate = ["migrate", "--database-url", database.url(), "--data-dir", &folder];
        let (first, at_once) = tokio::join!(run(&migrate), run(&migrate));
        assert_eq!((first.code, at_once.code), (0, 0), "{} {}", first.err, at_once.err);
        assert_eq!(run(&migrate).await.code, 0);
        System::start(Layout::One, &database, Options::default()).await.stop().await;
    }
}
