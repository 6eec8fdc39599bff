//! The program as processes of their own, on ports and in a folder of their own.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    net::TcpListener,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use mayfly_contracts::{
    BotChannel, StoreChannel, bot::bot_service_client::BotServiceClient,
    config::config_service_client::ConfigServiceClient, message::message_service_client::MessageServiceClient,
};
use mayfly_testkit::TestDatabase;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

/// How long anything may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a condition is looked at that nobody tells us of.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What `mayfly` is called with beyond a test's arguments, so that nothing leaks in from whoever runs the tests. The program
/// and arguments of `wrapper`, if there is one, start it.
fn command(wrapper: &[impl AsRef<OsStr>], arguments: &[impl AsRef<OsStr>]) -> Command {
    let mayfly = program();
    let mut words = wrapper.iter().map(AsRef::as_ref).chain([mayfly.as_os_str()]);
    let mut command = Command::new(words.next().unwrap_or(mayfly.as_os_str()));
    command.env_clear().args(words).args(arguments).kill_on_drop(true);
    // Tests create and guess more than people do.
    for rate in ["CREATIONS", "TOTAL_CREATIONS", "FAILED_READS", "TOTAL_FAILED_READS"] {
        command.env(format!("MAYFLY_{rate}_PER_MINUTE"), "0");
    }
    command
}

/// The program under test: that of this build, unless `MAYFLY_TEST_PROGRAM` names another.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn program() -> PathBuf {
    let named = std::env::var_os("MAYFLY_TEST_PROGRAM").filter(|program| !program.is_empty());
    named.map_or_else(|| env!("CARGO_BIN_EXE_mayfly").into(), PathBuf::from)
}

/// A port of 127.0.0.1 that is free, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a command that ended said.
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `mayfly` to its end, with `input` on standard input.
pub(crate) async fn run_with(arguments: &[&str], input: &str) -> CommandOutput {
    run_with_stdout(arguments, input, Stdio::piped()).await
}

/// The same, with standard output going elsewhere.
pub(crate) async fn run_with_stdout(arguments: &[&str], input: &str, output: Stdio) -> CommandOutput {
    let mut command = command(&[] as &[&str], arguments);
    command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that has read enough may go before it has read everything.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    assert!(written.is_ok() || written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
    let ended = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await.expect("the command ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
}

/// Runs `mayfly` to its end.
pub(crate) async fn run(arguments: &[&str]) -> CommandOutput {
    run_with(arguments, "").await
}

/// A role that runs. Killed when dropped.
pub(crate) struct Process {
    wrapper: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    pub(crate) fn start(arguments: Vec<String>, environment: Vec<(String, String)>) -> Self {
        Self::start_with_wrapper(Vec::new(), arguments, environment)
    }

    /// Starts it by the program and arguments of `wrapper`, which becomes the process itself.
    fn start_with_wrapper(wrapper: Vec<String>, arguments: Vec<String>, environment: Vec<(String, String)>) -> Self {
        let mut command = command(&wrapper, &arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::default();
        tokio::spawn(collect(child.stdout.take().unwrap(), Arc::clone(&output)));
        tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&output)));
        Self { wrapper, arguments, environment, child, output }
    }

    /// Starts it once more, after it ended.
    pub(crate) fn restart(&mut self) {
        *self = Self::start_with_wrapper(self.wrapper.clone(), self.arguments.clone(), self.environment.clone());
    }

    /// The process's id.
    pub(crate) fn id(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// All that it wrote so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.output.lock().unwrap().clone()
    }

    pub(crate) fn has_printed(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.output()).contains(words)
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Sends a signal, in the words of `kill`.
    pub(crate) async fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id()]).status().await.unwrap().success());
    }

    /// Sends SIGKILL, and waits for the end.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(TIMEOUT, self.child.wait()).await.expect("the process ends").unwrap()
    }
}

async fn collect(mut from: impl AsyncRead + Unpin, into: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        into.lock().unwrap().extend_from_slice(&buffer[..length]);
    }
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// A whole system: a store, a gateway and a bot, in one process or in three.
pub(crate) struct System {
    pub(crate) processes: Vec<Process>,
    pub(crate) data: PathBuf,
    pub(crate) store_url: String,
    pub(crate) gateway_url: String,
    pub(crate) bot_url: String,
    store_port: String,
    gateway_port: String,
    bot_port: String,
    pub(crate) database: TestDatabase,
}

/// What a test wants differently.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'test> {
    /// Where the Bot API is; unless given, nobody answers there.
    pub(crate) telegram: Option<&'test str>,
    /// Arguments for every process.
    pub(crate) more: &'test [&'test str],
    /// Environment variables for the process that is the store.
    pub(crate) store_environment: &'test [(&'test str, &'test str)],
    /// Environment variables for the gateway, if it is a process of its own.
    pub(crate) gateway_environment: &'test [(&'test str, &'test str)],
    /// Environment variables for the bot, if it is a process of its own.
    pub(crate) bot_environment: &'test [(&'test str, &'test str)],
    /// Whether the Bot API brings updates to the bot.
    pub(crate) uses_webhook: bool,
    /// What the store connects to instead of its database itself.
    pub(crate) database_url: Option<&'test str>,
    /// A program and its first arguments, which starts each process.
    pub(crate) wrapper: &'test [&'test str],
}

/// In how many processes a system runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    One,
    Three,
}

impl System {
    /// Starts it on `database` and waits until it is ready. Systems on one database share the keys.
    pub(crate) async fn start(layout: Layout, database: &TestDatabase, options: Options<'_>) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        let (store_port, gateway_port, bot_port) = (address(), address(), address());
        let mut system = Self {
            processes: Vec::new(),
            data: database.folder().join("data"),
            store_url: format!("http://{store_port}"),
            gateway_url: format!("http://{gateway_port}"),
            bot_url: format!("http://{bot_port}"),
            store_port,
            gateway_port,
            bot_port,
            database: database.clone(),
        };
        system.start_processes(layout, options).await;
        system
    }

    /// Starts the processes, again after they ended.
    pub(crate) async fn start_processes(&mut self, layout: Layout, options: Options<'_>) {
        let data = self.data.display().to_string();
        let database_url = options.database_url.unwrap_or(self.database.url());
        let database = ["--database-url", database_url, "--data-dir", &data];
        let store = ["--store-listen", &self.store_port];
        let gateway = ["--gateway-listen", &self.gateway_port];
        let bot = ["--bot-listen", &self.bot_port, "--telegram-api-url"];
        let store_url = ["--store-url", &self.store_url];
        let bot_url = ["--bot-url", &self.bot_url];
        let (telegram, more) = ([options.telegram.unwrap_or("http://127.0.0.1:9")], options.more);
        let webhook_url = format!("{}/telegram", self.bot_url);
        let webhook = if options.uses_webhook { vec!["--webhook-url", &webhook_url] } else { Vec::new() };
        let start_in = |environment: &[(&str, &str)], parts: &[&[&str]]| {
            let arguments = parts.concat().into_iter().map(str::to_owned).collect();
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let wrapper = options.wrapper.iter().map(|word| (*word).to_owned()).collect();
            Process::start_with_wrapper(wrapper, arguments, environment.iter().map(owned).collect())
        };
        self.processes = match layout {
            Layout::One => {
                let parts: &[&[&str]] = &[&["up"], &database, &store, &gateway, &bot, &telegram, &webhook, more];
                vec![start_in(options.store_environment, parts)]
            }
            Layout::Three => {
                let store = start_in(options.store_environment, &[&["store"], &database, &store, more]);
                // The bot needs the token that the store makes.
                let token = self.data.join("service.token");
                until("the store made its tokens", async || token.exists()).await;
                let gateway =
                    start_in(options.gateway_environment, &[&["gateway"], &gateway, &store_url, &bot_url, more]);
                let bot: &[&[&str]] = &[&["bot", "--data-dir", &data], &bot, &telegram, &store_url, &webhook, more];
                let bot = start_in(options.bot_environment, bot);
                vec![store, gateway, bot]
            }
        };
        self.ready().await;
    }

    pub(crate) async fn ready(&mut self) {
        for role in ["store", "gateway", "bot"] {
            let urls =
                [["--store-url", &self.store_url], ["--gateway-url", &self.gateway_url], ["--bot-url", &self.bot_url]];
            let check = [&["healthcheck", role], &urls.concat()[..]].concat();
            until(&format!("the {role} is ready"), async || {
                for process in &mut self.processes {
                    if let Some(status) = process.child.try_wait().unwrap() {
                        panic!("{status}: {}", String::from_utf8_lossy(&process.output()));
                    }
                }
                run(&check).await.code == 0
            })
            .await;
        }
    }

    pub(crate) fn messages(&self) -> MessageServiceClient<StoreChannel> {
        MessageServiceClient::new(StoreChannel::remote(&self.store_url).unwrap())
    }

    pub(crate) fn configs(&self) -> ConfigServiceClient<StoreChannel> {
        ConfigServiceClient::new(StoreChannel::remote(&self.store_url).unwrap())
    }

    /// The bot, asked through the gateway.
    pub(crate) fn bot(&self) -> BotServiceClient<BotChannel> {
        BotServiceClient::new(BotChannel::remote(&self.gateway_url).unwrap())
    }

    /// Runs a client command against this store.
    pub(crate) async fn client(&self, arguments: &[&str]) -> CommandOutput {
        self.client_with(arguments, "").await
    }

    /// Runs a client command against this store, with `input` on standard input.
    pub(crate) async fn client_with(&self, arguments: &[&str], input: &str) -> CommandOutput {
        run_with(&[arguments, &["--store-url", &self.store_url]].concat(), input).await
    }

    /// Runs `mayfly config` against this store.
    pub(crate) async fn config(&self, arguments: &[&str]) -> CommandOutput {
        let data = self.data.display().to_string();
        self.client(&[&["config"], arguments, &["--data-dir", &data]].concat()).await
    }

    /// Everything that all processes wrote so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.processes.iter().flat_map(Process::output).collect()
    }

    /// Ends all processes in order, the last one first, as SIGTERM does; none may fail.
    pub(crate) async fn stop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            process.terminate().await;
            let status = process.ended().await;
            assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&process.output()));
        }
    }
}
