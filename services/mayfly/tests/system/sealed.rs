//! Browser-encrypted messages. Neither the text nor its key reaches the database, the logs, the memory of store and
//! gateway, or the network between them, before the view and after it.
//!
//! Needs root for memory dumps (gcore) and packet captures on the loopback interface (tcpdump).

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

use crate::harness::{Layout, Options, Process, System, wait_until};

const CREATE: &str = "/mayfly.message.v1.MessageService/CreateMessage";
const VIEW: &str = "/mayfly.message.v1.MessageService/ViewMessage";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

const TEXT: &str = "a canary that a browser has encrypted, 0123456789";
/// A valid key that a scan finds in every encoding.
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

/// Captures the packets from and to some ports of this machine.
struct PacketCapture {
    file: PathBuf,
    _tcpdump: Child,
}

impl PacketCapture {
    async fn start(system: &System) -> Self {
        let urls = [system.store_url.as_str(), &system.gateway_url, &system.bot_url, system.database.url()];
        let ports = urls.iter().filter_map(|url| reqwest::Url::parse(url).unwrap().port());
        let filter = ports.map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
        let (file, output) =
            (system.database.folder().join("captured.pcap"), system.database.folder().join("tcpdump.log"));
        let mut command = Command::new("tcpdump");
        // Without buffering each packet takes a slot of the largest size. The default of 2 MiB has 32 slots, so a busy
        // machine would drop packets.
        command.args(["-i", "lo", "-s", "0", "-U", "--immediate-mode", "-B", "131072", "-Z", "root", "-w"]);
        command.arg(&file).arg(&filter);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&output).unwrap())
            .kill_on_drop(true);
        let tcpdump = command.spawn().expect("tcpdump is installed: run scripts/install-test-tools");
        wait_until("tcpdump listens", async || fs::read_to_string(&output).unwrap().contains("listening on")).await;
        Self { file, _tcpdump: tcpdump }
    }

    /// All packets, once `last` is among them.
    async fn captured_up_to(&self, last: &str) -> Vec<u8> {
        wait_until("tcpdump has written all packets", async || {
            contains(&fs::read(&self.file).unwrap(), last.as_bytes())
        })
        .await;
        fs::read(&self.file).unwrap()
    }
}

/// The memory of a running process.
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

/// The files that a database has written since this was created.
struct Disk {
    database: TestDatabase,
    connection: DatabaseConnection,
    /// The current segment of PostgreSQL's write-ahead log at that time.
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

    /// All files of the database, with its write-ahead log.
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
            // Names have 24 hexadecimal digits, in ascending order.
            file.file_name().is_some_and(|name| name.len() == 24 && name.to_string_lossy().as_ref() >= begin.as_str())
        });
        tables.chain(log).flat_map(read).collect()
    }
}

/// Scans everything while the message is in `row`.
async fn assert_no_leak(system: &System, capture: &PacketCapture, disk: &Disk, row: &str, sealed: &[u8]) {
    let secrets = [TEXT, std::str::from_utf8(KEY).unwrap()];
    let [store, gateway, _bot] = system.processes.as_slice() else { panic!("not three processes") };

    let contents = disk.contents().await;
    assert_eq!(find_leak(&contents, &secrets), None, "{row}");
    assert!(!contains(&contents, sealed), "the store encrypts the content again");
    // Negative control: the scan covers the files with the message.
    let sealed_again: Vec<u8> = disk.ask(&format!("SELECT sealed_content FROM {row}")).await;
    assert!(contains(&contents, &sealed_again), "{row}");

    let captured = capture.captured_up_to(PLAIN_TEXT).await;
    assert_eq!(find_leak(&captured, &secrets), None, "on the wire");
    // Negative control: the capture contains plain texts and the ciphertext.
    assert!(contains(&captured, sealed));

    let keyring: serde_json::Value =
        serde_json::from_slice(&fs::read(system.data.join("keyring.json")).unwrap()).unwrap();
    let key_of_the_store = hex::decode(keyring["keys"][0]["key"].as_str().unwrap()).unwrap();
    // Negative controls: values that must be in the memory of the processes.
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
    async fn a_browser_encrypted_text_leaks_nowhere_as_root(database: TestDatabase) {
        let options = Options { extra_arguments: &["--log", "trace"], ..Options::default() };
        let system = System::start(Layout::Three, &database, options).await;
        let (capture, disk) = (PacketCapture::start(&system).await, Disk::of(&database).await);
        let sealed = encrypt(TEXT);

        let request = CreateMessageRequest::from_sealed(sealed.as_slice());
        let created = grpc_web::call::<CreateMessageResponse>(&system.gateway_url, CREATE, &request).await.unwrap();
        let CreateMessageResponse { id, access_token, .. } = created.messages[0].clone();
        system.messages().create_message(CreateMessageRequest::from_text(PLAIN_TEXT)).await.unwrap();
        assert_no_leak(&system, &capture, &disk, "messages WHERE content_kind = 'sealed'", &sealed).await;

        let view_id = VIEW_ID.into();
        let view = ViewMessageRequest { id, access_token, view_id, accepts_sealed: true, ..Default::default() };
        let viewed = grpc_web::call::<ViewMessageResponse>(&system.gateway_url, VIEW, &view).await.unwrap();
        assert_eq!(viewed.messages[0].sealed(), Some(sealed.as_slice()));
        assert_no_leak(&system, &capture, &disk, "claims WHERE content_kind = 'sealed'", &sealed).await;
    }
}
