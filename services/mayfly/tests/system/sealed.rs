//! What a browser has encrypted: neither the text nor its key is in the database, in the logs, in the memory of the store and the
//! gateway, or on the wires between them, unread or read.
//!
//! Runs as root, which dumps the memory of processes (gcore) and listens on the loopback interface (tcpdump).

use std::{fs, path::PathBuf, process::Stdio};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use mayfly_contracts::message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, ViewMessageResponse};
use mayfly_testkit::{
    TestDatabase, grpc_web,
    leak_scan::{contains, find_leak},
    on_each_database,
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tokio::process::{Child, Command};

use crate::harness::{Layout, Options, Process, System, until};

const CREATE: &str = "/mayfly.message.v1.MessageService/CreateMessage";
const VIEW: &str = "/mayfly.message.v1.MessageService/ViewMessage";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

const TEXT: &str = "a canary that a browser has encrypted, 0123456789";
/// As good as any, and found in every form that a text would be found in.
const KEY: &[u8; 32] = b"canary-of-a-key-0123456789abcdef";
const PLAIN_TEXT: &str = "a canary that every hop on the path can read, 0123456789";

/// `docs/sealed.md`, version 1.
fn encrypt(text: &str) -> Vec<u8> {
    let nonce = [7; 12];
    let mut padded = [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    padded.resize(256, 0);
    let payload = Payload { msg: &padded, aad: b"mayfly browser-sealed text v1" };
    let ciphertext = Aes256Gcm::new(KEY.into()).encrypt(&nonce.into(), payload).unwrap();
    [&[1], nonce.as_slice(), &ciphertext].concat()
}

/// Hears all that is said to some ports of this machine, and what they answer.
struct PacketCapture {
    file: PathBuf,
    _tcpdump: Child,
}

impl PacketCapture {
    async fn start(system: &System) -> Self {
        let urls = [system.store_url.as_str(), &system.gateway_url, &system.bot_url, system.database.url()];
        let ports = urls.iter().filter_map(|url| reqwest::Url::parse(url).unwrap().port());
        let filter = ports.map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
        let (file, said) =
            (system.database.folder().join("captured.pcap"), system.database.folder().join("tcpdump.log"));
        let mut command = Command::new("tcpdump");
        // Without waiting, each packet takes a slot of the largest size, and the usual 2 MiB hold but 32 of them: a busy machine would lose some.
        command.args(["-i", "lo", "-s", "0", "-U", "--immediate-mode", "-B", "131072", "-Z", "root", "-w"]);
        command.arg(&file).arg(&filter);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap()).kill_on_drop(true);
        let tcpdump = command.spawn().expect("tcpdump is installed: run scripts/install-test-tools");
        until("tcpdump listens", async || fs::read_to_string(&said).unwrap().contains("listening on")).await;
        Self { file, _tcpdump: tcpdump }
    }

    /// All that was said, once `last` is among it.
    async fn captured_up_to(&self, last: &str) -> Vec<u8> {
        until("tcpdump has written all down", async || contains(&fs::read(&self.file).unwrap(), last.as_bytes())).await;
        fs::read(&self.file).unwrap()
    }
}

/// The memory of a process that runs on.
async fn memory(process: &Process, database: &TestDatabase) -> Vec<u8> {
    let prefix = database.folder().join("core");
    let gcore = Command::new("gcore").arg("-o").arg(&prefix).arg(process.id()).output().await;
    let gcore = gcore.expect("gcore is installed: run scripts/install-test-tools");
    assert!(gcore.status.success(), "gcore, as root: {}", String::from_utf8_lossy(&gcore.stderr));
    let file = prefix.with_extension(process.id());
    let memory = fs::read(&file).unwrap();
    fs::remove_file(file).unwrap();
    memory
}

/// Where a database writes, from when this was made.
struct Disk {
    database: TestDatabase,
    connection: DatabaseConnection,
    /// The part of PostgreSQL's write-ahead log that was current.
    begin: Option<String>,
}

impl Disk {
    async fn of(database: &TestDatabase) -> Self {
        let connection = database.connect().await.unwrap();
        let mut disk = Self { database: database.clone(), connection, begin: None };
        if !disk.database.url().starts_with("sqlite") {
            disk.begin = Some(disk.ask("SELECT pg_walfile_name(pg_current_wal_lsn())").await);
        }
        disk
    }

    async fn ask<T: sea_orm::TryGetable>(&self, question: &str) -> T {
        let question = Statement::from_string(self.connection.get_database_backend(), question);
        self.connection.query_one_raw(question).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// All files of the database, its write-ahead log among them.
    async fn contents(&self) -> Vec<u8> {
        let read =
            |file: PathBuf| fs::read(&file).unwrap_or_else(|error| panic!("{}, as root: {error}", file.display()));
        let Some(begin) = &self.begin else {
            let names = ["mayfly.db", "mayfly.db-wal"];
            return names.into_iter().flat_map(|name| read(self.database.folder().join(name))).collect();
        };
        self.connection.execute_unprepared("CHECKPOINT").await.unwrap();
        let folder = PathBuf::from(self.ask::<String>("SHOW data_directory").await);
        let oid: String = self.ask("SELECT oid::text FROM pg_database WHERE datname = current_database()").await;
        let files = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let tables = files(folder.join("base").join(oid));
        let log = files(folder.join("pg_wal")).filter(|file| {
            // Names of 24 hexadecimal digits, in order.
            file.file_name().is_some_and(|name| name.len() == 24 && name.to_string_lossy().as_ref() >= begin.as_str())
        });
        tables.chain(log).flat_map(read).collect()
    }
}

/// Looks everywhere, while the message lies in `row`.
async fn nobody_learns_it(system: &System, capture: &PacketCapture, disk: &Disk, row: &str, sealed: &[u8]) {
    let secrets = [TEXT, std::str::from_utf8(KEY).unwrap()];
    let [store, gateway, _bot] = system.processes.as_slice() else { panic!("not three processes") };

    let contents = disk.contents().await;
    assert_eq!(find_leak(&contents, &secrets), None, "{row}");
    assert!(!contains(&contents, sealed), "the store seals once more what is sealed");
    // Control: the search looks where the message lies.
    let sealed_again: Vec<u8> = disk.ask(&format!("SELECT sealed_content FROM {row}")).await;
    assert!(contains(&contents, &sealed_again), "{row}");

    let captured = capture.captured_up_to(PLAIN_TEXT).await;
    assert_eq!(find_leak(&captured, &secrets), None, "on the wire");
    // Control: what is not encrypted can be heard, as can what is.
    assert!(contains(&captured, sealed));

    let keyring: serde_json::Value =
        serde_json::from_slice(&fs::read(system.data.join("keyring.json")).unwrap()).unwrap();
    let key_of_the_store = hex::decode(keyring["keys"][0]["key"].as_str().unwrap()).unwrap();
    // Controls: what the processes must have in their memory.
    for (process, known) in [(store, key_of_the_store.as_slice()), (gateway, system.store_url.as_bytes())] {
        let memory = memory(process, &system.database).await;
        assert_eq!(find_leak(&memory, &secrets), None, "in the memory");
        assert!(contains(&memory, known), "of {} bytes", memory.len());
    }

    let output = system.output();
    assert_eq!(find_leak(&output, &secrets), None, "in the logs");
    assert!(contains(&output, b"TRACE"));
}

on_each_database! {
    async fn what_a_browser_has_encrypted_is_nowhere_to_be_found(database: TestDatabase) {
        let options = Options { more: &["--log", "trace"], ..Options::default() };
        let system = System::start(Layout::Three, &database, options).await;
        let (capture, disk) = (PacketCapture::start(&system).await, Disk::of(&database).await);
        let sealed = encrypt(TEXT);

        let request = CreateMessageRequest::of_sealed(sealed.as_slice());
        let created = grpc_web::call::<CreateMessageResponse>(&system.gateway_url, CREATE, &request).await.unwrap();
        let CreateMessageResponse { id, access_token, .. } = created.messages[0].clone();
        system.messages().create_message(CreateMessageRequest::of_text(PLAIN_TEXT)).await.unwrap();
        nobody_learns_it(&system, &capture, &disk, "messages WHERE content_kind = 'sealed'", &sealed).await;

        let view = ViewMessageRequest { id, access_token, view_id: VIEW_ID.into(), accepts_sealed: true, ..Default::default() };
        let viewed = grpc_web::call::<ViewMessageResponse>(&system.gateway_url, VIEW, &view).await.unwrap();
        assert_eq!(viewed.messages[0].sealed(), Some(sealed.as_slice()));
        nobody_learns_it(&system, &capture, &disk, "claims WHERE content_kind = 'sealed'", &sealed).await;
    }
}
