//! `kill -9` of the store at the moments that matter: before a transaction has done anything, before its commit, after its
//! commit, and before the answer to it.
//!
//! Nothing in the store knows of these moments. It is kept waiting there from outside: by somebody else's lock, by a proxy that
//! keeps words back, by a disk that is slow to say that it is done.

use mayfly_check::{Client, Workload};
use mayfly_testkit::{NetworkFault, TcpProxy, TestDatabase};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::{
    load_run::{Run, assert_guarantees, rounds},
    strace::Strace,
};
use crate::harness::{Layout, Options, System, until};

/// The words with which a transaction ends on the link to PostgreSQL.
const COMMIT: &str = "COMMIT";

#[derive(Clone, Copy, Debug)]
enum TransactionStage {
    BeforeInsert,
    BeforeCommit,
    AfterCommit,
    BeforeAnswer,
}

const STAGES: [TransactionStage; 4] = [
    TransactionStage::BeforeInsert,
    TransactionStage::BeforeCommit,
    TransactionStage::AfterCommit,
    TransactionStage::BeforeAnswer,
];

/// A system with proxies before its doors, and somebody who sees its database from beside.
struct Fixture {
    system: System,
    clients: Vec<TcpProxy>,
    run: Run,
    observer: DatabaseConnection,
}

impl Fixture {
    async fn set(name: &str, database: &TestDatabase, options: Options<'_>) -> Self {
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
        // One connection, so that what it locks it can let go of.
        let mut observer = ConnectOptions::new(database.url());
        observer.max_connections(1).sqlx_logging(false);
        Self { system, clients: proxies, run, observer: Database::connect(observer).await.unwrap() }
    }

    async fn kill(&mut self) {
        self.system.processes[0].kill().await;
    }

    /// What the database holds, in a number that every transaction changes.
    async fn state(&self) -> String {
        let state = "SELECT (SELECT COALESCE(MAX(id), 0) FROM messages), (SELECT COUNT(*) FROM messages), \
                     (SELECT COUNT(*) FROM receipts), (SELECT COUNT(*) FROM claims)";
        let state = Statement::from_string(self.observer.get_database_backend(), state);
        let row = self.observer.query_one_raw(state).await.unwrap().unwrap();
        format!("{:?}", [0, 1, 2, 3].map(|column| row.try_get_by_index::<i64>(column).unwrap()))
    }

    /// Kills the store when everybody waits for an answer that is on its way, and something was committed meanwhile.
    async fn kill_before_an_answer(&mut self) {
        loop {
            let before = self.state().await;
            self.clients.iter().for_each(|proxy| proxy.set_fault(NetworkFault::StallReplies));
            self.run.wait_until_stalled().await;
            until("the proxy holds a response", async || self.clients.iter().any(|proxy| proxy.held() > 0)).await;
            if self.state().await != before {
                break;
            }
            // Everybody happened to ask for what changes nothing.
            self.clients.iter().for_each(|proxy| proxy.set_fault(NetworkFault::None));
            self.run.wait_for_outcomes(1).await;
        }
        self.kill().await;
        // What was kept back is lost, not late.
        self.clients.iter().for_each(|proxy| proxy.set_fault(NetworkFault::ResetInReply(0)));
        until("the answers are lost", async || self.clients.iter().all(|proxy| proxy.held() == 0)).await;
        self.clients.iter().for_each(|proxy| proxy.set_fault(NetworkFault::None));
    }

    async fn end(mut self) {
        self.system.ready().await;
        assert_guarantees(self.run.verdict().await, rounds());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_moment_of_a_transaction_on_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    let mut fixture = Fixture::set("kill-at-moments-sqlite", &database, Options::default()).await;
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
            // The write of the commit itself kills.
            TransactionStage::BeforeCommit => {
                let strace = Strace::at_processes(&[store], "pwrite64", "signal=KILL:when=1").await;
                fixture.system.processes[0].ended().await;
                strace.ended().await;
            }
            // The sync of the commit has been asked for, and its return is held up.
            TransactionStage::AfterCommit => {
                let (calls, delay) = ("fdatasync,fsync", "delay_exit=60000000:when=1");
                let strace = Strace::logging(store, calls, delay, &log).await;
                let is_asked = async || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("sync("));
                until("a commit is synced", is_asked).await;
                fixture.system.processes[0].signal("-KILL").await;
                // It is not dead before strace lets go of it.
                strace.kill().await;
                fixture.system.processes[0].ended().await;
            }
            TransactionStage::BeforeAnswer => fixture.kill_before_an_answer().await,
        }
        drop(std::fs::remove_file(&log));
        fixture.system.processes[0].restart();
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_moment_of_a_transaction_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let (link, through_link) = super::databases::link_to(&database).await;
    let options = Options { database_url: Some(&through_link), ..Options::default() };
    let mut fixture = Fixture::set("kill-at-moments-postgres", &database, options).await;
    for round in 0..rounds() {
        fixture.run.wait_for_outcomes(20).await;
        let stage = STAGES[usize::try_from(round % 4).unwrap()];
        fixture.run.fault(&format!("kill -9 of the store: {stage:?}"));
        match stage {
            TransactionStage::BeforeInsert => {
                // Nobody else may write to the table.
                fixture.observer.execute_unprepared("BEGIN; LOCK TABLE messages IN SHARE MODE").await.unwrap();
                fixture.run.wait_until_stalled().await;
                fixture.kill().await;
                fixture.observer.execute_unprepared("ROLLBACK").await.unwrap();
            }
            TransactionStage::BeforeCommit | TransactionStage::AfterCommit => {
                let is_before = matches!(stage, TransactionStage::BeforeCommit);
                link.set_fault(if is_before {
                    NetworkFault::HoldRequest(COMMIT)
                } else {
                    NetworkFault::HoldReplyTo(COMMIT)
                });
                until("the proxy holds a COMMIT", async || link.held() > 0).await;
                fixture.kill().await;
                link.set_fault(if is_before { NetworkFault::ResetInRequest(0) } else { NetworkFault::ResetInReply(0) });
                until("nobody hears of it", async || link.held() == 0).await;
                link.set_fault(NetworkFault::None);
            }
            TransactionStage::BeforeAnswer => fixture.kill_before_an_answer().await,
        }
        fixture.system.processes[0].restart();
    }
    fixture.end().await;
}
