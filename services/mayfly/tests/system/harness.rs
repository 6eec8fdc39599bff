//! Runs the program as processes, with their own ports and folders.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    net::{IpAddr, TcpListener},
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
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
};

/// The timeout of everything that a test waits for. On a busy machine, PostgreSQL takes long to recover from a failed disk.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a process may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit on the peak memory of a process under attack.
pub(crate) const MAX_MEMORY_MIB: u64 = 192;
/// How often a test polls a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A command that starts `mayfly` without the environment of the test runner. `wrapper` is a program with arguments
/// that starts `mayfly`, if not empty.
fn command(wrapper: &[impl AsRef<OsStr>], arguments: &[impl AsRef<OsStr>]) -> Command {
    let mayfly = program();
    let mut command_line = wrapper.iter().map(AsRef::as_ref).chain([mayfly.as_os_str()]);
    let mut command = Command::new(command_line.next().unwrap_or(mayfly.as_os_str()));
    command.env_clear().args(command_line).args(arguments).kill_on_drop(true);
    // Tests exceed the default rate limits.
    for rate in ["CREATIONS", "TOTAL_CREATIONS", "FAILED_READS", "TOTAL_FAILED_READS"] {
        command.env(format!("MAYFLY_{rate}_PER_MINUTE"), "0");
    }
    command
}

/// The program under test: the one of this build, unless `MAYFLY_TEST_PROGRAM` names another.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn program() -> PathBuf {
    let named = std::env::var_os("MAYFLY_TEST_PROGRAM").filter(|program| !program.is_empty());
    named.map_or_else(|| env!("CARGO_BIN_EXE_mayfly").into(), PathBuf::from)
}

/// A free port of 127.0.0.1, below the range of ephemeral ports.
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

/// Sends a signal to a process that was not waited for.
pub(crate) fn send_signal(process: &Child, signal: Signal) {
    let id = Pid::from_raw(process.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

/// The output of a command, and its exit code.
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command of `mayfly` with `input` on standard input.
pub(crate) async fn run_with(arguments: &[&str], input: &str) -> CommandOutput {
    run_with_stdout(arguments, input, Stdio::piped()).await
}

/// As [`run_with`], with another standard output.
pub(crate) async fn run_with_stdout(arguments: &[&str], input: &str, output: Stdio) -> CommandOutput {
    run_command(command(&[] as &[&str], arguments), input, output).await
}

/// Runs a command of `mayfly` with environment variables.
pub(crate) async fn run_in(environment: &[(&str, &str)], arguments: &[&str]) -> CommandOutput {
    let mut command = command(&[] as &[&str], arguments);
    command.envs(environment.iter().copied());
    run_command(command, "", Stdio::piped()).await
}

async fn run_command(mut command: Command, input: &str, output: Stdio) -> CommandOutput {
    command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The command may exit before it has read all of its input.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    assert!(written.is_ok() || written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
    let ended = tokio::time::timeout(TIMEOUT, child.wait_with_output())
        .await
        .expect("the command ends in time in time")
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
}

/// Runs a command of `mayfly`.
pub(crate) async fn run(arguments: &[&str]) -> CommandOutput {
    run_with(arguments, "").await
}

/// A running role. Killed when dropped.
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

    /// Starts the role through `wrapper`, which replaces itself with the program.
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

    /// Starts the process again after it ended.
    pub(crate) fn restart(&mut self) {
        *self = Self::start_with_wrapper(self.wrapper.clone(), self.arguments.clone(), self.environment.clone());
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// The output so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.output.lock().unwrap().clone()
    }

    fn peak_memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn has_printed(&self, pattern: &str) -> bool {
        String::from_utf8_lossy(&self.output()).contains(pattern)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Sends SIGKILL, and waits until the process has ended.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn wait(&mut self) -> ExitStatus {
        tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.expect("the process ends in time").unwrap()
    }
}

async fn collect(mut from: impl AsyncRead + Unpin, into: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        into.lock().unwrap().extend_from_slice(&buffer[..length]);
    }
}

/// Connects to `url` from a local address.
pub(crate) async fn connect_from(address: IpAddr, url: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    socket.connect(url.trim_start_matches("http://").parse().unwrap()).await.unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("timed out waiting until {what}"));
}

/// A whole system, a store, a gateway and a bot, in one process or in three.
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

/// The options of a system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'test> {
    /// The URL of the Bot API. By default nothing listens there.
    pub(crate) telegram: Option<&'test str>,
    /// Arguments for all processes.
    pub(crate) extra_arguments: &'test [&'test str],
    /// Environment variables for the process with the store.
    pub(crate) store_environment: &'test [(&'test str, &'test str)],
    /// Environment variables for the gateway, if it has its own process.
    pub(crate) gateway_environment: &'test [(&'test str, &'test str)],
    /// Environment variables for the bot, if it has its own process.
    pub(crate) bot_environment: &'test [(&'test str, &'test str)],
    /// Whether the Bot API delivers updates to a webhook.
    pub(crate) uses_webhook: bool,
    /// The URL that the store connects to, instead of that of the database.
    pub(crate) database_url: Option<&'test str>,
    /// A program with arguments that starts each process.
    pub(crate) wrapper: &'test [&'test str],
}

/// The number of processes of a system.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    One,
    Three,
}

impl System {
    /// Starts a system on `database` and waits until it is ready. Systems on one database share a keyring.
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

    /// Starts the processes, also after they ended.
    pub(crate) async fn start_processes(&mut self, layout: Layout, options: Options<'_>) {
        let data = self.data.display().to_string();
        let database_url = options.database_url.unwrap_or(self.database.url());
        let database = ["--database-url", database_url, "--data-dir", &data];
        let store = ["--store-listen", &self.store_port];
        let gateway = ["--gateway-listen", &self.gateway_port];
        let bot = ["--bot-listen", &self.bot_port, "--telegram-api-url"];
        let store_url = ["--store-url", &self.store_url];
        let bot_url = ["--bot-url", &self.bot_url];
        let (telegram, extra_arguments) = ([options.telegram.unwrap_or("http://127.0.0.1:9")], options.extra_arguments);
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
                let parts: &[&[&str]] =
                    &[&["up"], &database, &store, &gateway, &bot, &telegram, &webhook, extra_arguments];
                vec![start_in(options.store_environment, parts)]
            }
            Layout::Three => {
                let store = start_in(options.store_environment, &[&["store"], &database, &store, extra_arguments]);
                // The bot needs the token that the store creates.
                let token = self.data.join("service.token");
                wait_until("the store has created its tokens", async || token.exists()).await;
                let gateway = start_in(
                    options.gateway_environment,
                    &[&["gateway"], &gateway, &store_url, &bot_url, extra_arguments],
                );
                let bot: &[&[&str]] =
                    &[&["bot", "--data-dir", &data], &bot, &telegram, &store_url, &webhook, extra_arguments];
                let bot = start_in(options.bot_environment, bot);
                vec![store, gateway, bot]
            }
        };
        self.wait_until_ready().await;
    }

    pub(crate) async fn wait_until_ready(&mut self) {
        for role in ["store", "gateway", "bot"] {
            let urls =
                [["--store-url", &self.store_url], ["--gateway-url", &self.gateway_url], ["--bot-url", &self.bot_url]];
            let check = [&["healthcheck", role], &urls.concat()[..]].concat();
            wait_until(&format!("the {role} is ready"), async || {
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

    /// The bot's service, through the gateway.
    pub(crate) fn bot(&self) -> BotServiceClient<BotChannel> {
        BotServiceClient::new(BotChannel::remote(&self.gateway_url).unwrap())
    }

    /// Runs a client command with this store.
    pub(crate) async fn client(&self, arguments: &[&str]) -> CommandOutput {
        self.client_with(arguments, "").await
    }

    /// Runs a client command with this store and with `input` on standard input.
    pub(crate) async fn client_with(&self, arguments: &[&str], input: &str) -> CommandOutput {
        run_with(&[arguments, &["--store-url", &self.store_url]].concat(), input).await
    }

    /// Runs `mayfly config` with this store.
    pub(crate) async fn config(&self, arguments: &[&str]) -> CommandOutput {
        let data = self.data.display().to_string();
        self.client(&[&["config"], arguments, &["--data-dir", &data]].concat()).await
    }

    /// The highest peak memory of any process, from the kernel.
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        self.processes.iter().map(Process::peak_memory_mib).max().unwrap()
    }

    /// The output of all processes so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.processes.iter().flat_map(Process::output).collect()
    }

    /// Terminates all processes, in reverse order. All must exit with success.
    pub(crate) async fn stop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            process.terminate();
            let status = process.wait().await;
            assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&process.output()));
        }
    }
}
