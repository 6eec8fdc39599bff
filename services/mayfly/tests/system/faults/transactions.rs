//! `kill -9` of the store at each stage of a transaction: before the first statement, before the commit, after the
//! commit, and before the response.
//!
//! The store has no hooks for these stages. Locks of another connection, a proxy that holds data, and delayed syncs
//! stop it there from outside.

use mayfly_check::{Client, Workload};
use mayfly_testkit::{NetworkFault, TcpProxy, TestDatabase};
use rustix::process::Signal;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::{
    load_run::{Run, assert_guarantees, rounds},
    strace::Strace,
};
use crate::harness::{Layout, Options, System, wait_until};

/// The statement that ends a transaction on the connection to PostgreSQL.
const COMMIT: &str = "COMMIT";

#[derive(Clone, Copy, Debug)]
enum TransactionStage {
    BeforeInsert,
    BeforeCommit,
    AfterCommit,
    BeforeResponse,
}

const STAGES: [TransactionStage; 4] = [
    TransactionStage::BeforeInsert,
    TransactionStage::BeforeCommit,
    TransactionStage::AfterCommit,
    TransactionStage::BeforeResponse,
];

/// A system with proxies in front of its listeners, a load, and a separate connection to its database.
struct Fixture {
    system: System,
    proxies: Vec<TcpProxy>,
    run: Run,
    observer: DatabaseConnection,
}

impl Fixture {
    async fn start(name: &str, database: &TestDatabase, options: Options<'_>) -> Self {
        let system = System::start(Layout::Three, database, options).await;
        let (mut proxies, mut urls) = (Vec::new(), Vec::new());
        for url in [&system.store_url, &system.gateway_url] {
            let proxy = TcpProxy::start(url.trim_start_matches("http://")).await.unwrap();
            urls.push(format!("http://{}", proxy.address()));
            proxies.push(proxy);
        }
        let clients =
            vec![Client::grpc(&urls[0]).unwrap(), Client::grpc(&urls[1]).unwrap(), Client::rest(&urls[1]).unwrap()];
        let run = Run::begin(name, clients, Workload::default());
        // One connection, so that it can release its locks.
        let mut observer = ConnectOptions::new(database.url());
        observer.max_connections(1).sqlx_logging(false);
        Self { system, proxies, run, observer: Database::connect(observer).await.unwrap() }
    }

    async fn kill(&mut self) {
        self.system.processes[0].kill().await;
    }

    /// The content of the database, as counts that every transaction changes.
    async fn state(&self) -> String {
        let state = "SELECT (SELECT COALESCE(MAX(id), 0) FROM messages), (SELECT COUNT(*) FROM messages), \
                     (SELECT COUNT(*) FROM receipts), (SELECT COUNT(*) FROM claims)";
        let state = Statement::from_string(self.observer.get_database_backend(), state);
        let row = self.observer.query_one_raw(state).await.unwrap().unwrap();
        format!("{:?}", [0, 1, 2, 3].map(|column| row.try_get_by_index::<i64>(column).unwrap()))
    }

    /// Kills the store while all workers wait for responses that the proxies hold, after at least one commit.
    async fn kill_before_response(&mut self) {
        loop {
            let before = self.state().await;
            self.proxies.iter().for_each(|proxy| proxy.set_fault(NetworkFault::StallReplies));
            self.run.wait_until_stalled().await;
            wait_until("the proxy holds a response", async || self.proxies.iter().any(|proxy| proxy.held() > 0)).await;
            if self.state().await != before {
                break;
            }
            // All calls in flight were reads.
            self.proxies.iter().for_each(|proxy| proxy.set_fault(NetworkFault::None));
            self.run.wait_for_outcomes(1).await;
        }
        self.kill().await;
        // The held responses are lost, not delayed.
        self.proxies.iter().for_each(|proxy| proxy.set_fault(NetworkFault::ResetInReply(0)));
        wait_until("the responses are lost", async || self.proxies.iter().all(|proxy| proxy.held() == 0)).await;
        self.proxies.iter().for_each(|proxy| proxy.set_fault(NetworkFault::None));
    }

    async fn end(mut self) {
        self.system.wait_until_ready().await;
        assert_guarantees(self.run.verdict().await, rounds());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_stage_of_a_transaction_on_sqlite_under_strace() {
    let database = TestDatabase::sqlite().unwrap();
    let mut fixture = Fixture::start("kill-at-stages-sqlite", &database, Options::default()).await;
    let log = database.folder().join("strace");
    for round in 0..rounds() {
        fixture.run.wait_for_outcomes(20).await;
        let stage = STAGES[usize::try_from(round % 4).unwrap()];
        fixture.run.fault(&format!("kill -9 of the store: {stage:?}"));
        let store = fixture.system.processes[0].id();
        match stage {
            TransactionStage::BeforeInsert => {
                fixture.observer.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
                fixture.run.wait_until_stalled().await;
                fixture.kill().await;
                fixture.observer.execute_unprepared("ROLLBACK").await.unwrap();
            }
            // The write of the commit kills the store.
            TransactionStage::BeforeCommit => {
                let strace = Strace::at_processes(&[store], "pwrite64", "signal=KILL:when=1").await;
                fixture.system.processes[0].wait().await;
                strace.wait().await;
            }
            // The sync of the commit is delayed.
            TransactionStage::AfterCommit => {
                let (calls, delay) = ("fdatasync,fsync", "delay_exit=60000000:when=1");
                let strace = Strace::logging(store, calls, delay, &log).await;
                let has_begun = async || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("sync("));
                wait_until("a commit is synced", has_begun).await;
                fixture.system.processes[0].signal(Signal::KILL);
                // The process ends only when strace detaches.
                strace.kill().await;
                fixture.system.processes[0].wait().await;
            }
            TransactionStage::BeforeResponse => fixture.kill_before_response().await,
        }
        drop(std::fs::remove_file(&log));
        fixture.system.processes[0].restart();
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_stage_of_a_transaction_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let (database_proxy, proxy_url) = super::databases::proxy_to(&database).await;
    let options = Options { database_url: Some(&proxy_url), ..Options::default() };
    let mut fixture = Fixture::start("kill-at-stages-postgres", &database, options).await;
    for round in 0..rounds() {
        fixture.run.wait_for_outcomes(20).await;
        let stage = STAGES[usize::try_from(round % 4).unwrap()];
        fixture.run.fault(&format!("kill -9 of the store: {stage:?}"));
        match stage {
            TransactionStage::BeforeInsert => {
                // Other transactions cannot write to the table.
                fixture.observer.execute_unprepared("BEGIN; LOCK TABLE messages IN SHARE MODE").await.unwrap();
                fixture.run.wait_until_stalled().await;
                fixture.kill().await;
                fixture.observer.execute_unprepared("ROLLBACK").await.unwrap();
            }
            TransactionStage::BeforeCommit | TransactionStage::AfterCommit => {
                let is_before = matches!(stage, TransactionStage::BeforeCommit);
                database_proxy.set_fault(if is_before {
                    NetworkFault::HoldRequest(COMMIT)
                } else {
                    NetworkFault::HoldReplyTo(COMMIT)
                });
                wait_until("the proxy holds a COMMIT", async || database_proxy.held() > 0).await;
                fixture.kill().await;
                database_proxy.set_fault(if is_before {
                    NetworkFault::ResetInRequest(0)
                } else {
                    NetworkFault::ResetInReply(0)
                });
                wait_until("the proxy dropped the data", async || database_proxy.held() == 0).await;
                database_proxy.set_fault(NetworkFault::None);
            }
            TransactionStage::BeforeResponse => fixture.kill_before_response().await,
        }
        fixture.system.processes[0].restart();
    }
    fixture.end().await;
}
