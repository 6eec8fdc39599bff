//! `kill -9` of the store at the moments that matter: before a transaction has done anything, before its commit, after its
//! commit, and before the answer to it.
//!
//! Nothing in the store knows of these moments. It is kept waiting there from outside: by somebody else's lock, by a proxy that
//! keeps words back, by a disk that is slow to say that it is done.

use mayfly_check::{Door, Habits};
use mayfly_testkit::{TcpProxy, TestDatabase, Weather};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::{
    strace::Strace,
    trial::{Trial, assert_kept, rounds},
};
use crate::harness::{Layout, Options, System, until};

/// The words with which a transaction ends on the link to PostgreSQL.
const COMMIT: &str = "COMMIT";

#[derive(Clone, Copy, Debug)]
enum Moment {
    BeforeInsert,
    BeforeCommit,
    AfterCommit,
    BeforeAnswer,
}

const MOMENTS: [Moment; 4] = [Moment::BeforeInsert, Moment::BeforeCommit, Moment::AfterCommit, Moment::BeforeAnswer];

/// A system with proxies before its doors, and somebody who sees its database from beside.
struct Scene {
    system: System,
    doors: Vec<TcpProxy>,
    trial: Trial,
    beside: DatabaseConnection,
}

impl Scene {
    async fn set(name: &str, database: &TestDatabase, options: Options<'_>) -> Self {
        let system = System::start(Layout::Three, database, options).await;
        let (mut proxies, mut urls) = (Vec::new(), Vec::new());
        for url in [&system.store_url, &system.gateway_url] {
            let proxy = TcpProxy::start(url.trim_start_matches("http://")).await.unwrap();
            urls.push(format!("http://{}", proxy.address()));
            proxies.push(proxy);
        }
        let doors = vec![Door::grpc(&urls[0]).unwrap(), Door::grpc(&urls[1]).unwrap(), Door::rest(&urls[1]).unwrap()];
        let trial = Trial::begin(name, doors, Habits::default());
        // One connection, so that what it locks it can let go of.
        let mut beside = ConnectOptions::new(database.url());
        beside.max_connections(1).sqlx_logging(false);
        Self { system, doors: proxies, trial, beside: Database::connect(beside).await.unwrap() }
    }

    async fn kill(&mut self) {
        self.system.processes[0].kill().await;
    }

    /// What the database holds, in a number that every transaction changes.
    async fn state(&self) -> String {
        let state = "SELECT (SELECT COALESCE(MAX(id), 0) FROM messages), (SELECT COUNT(*) FROM messages), \
                     (SELECT COUNT(*) FROM receipts), (SELECT COUNT(*) FROM claims)";
        let state = Statement::from_string(self.beside.get_database_backend(), state);
        let row = self.beside.query_one_raw(state).await.unwrap().unwrap();
        format!("{:?}", [0, 1, 2, 3].map(|column| row.try_get_by_index::<i64>(column).unwrap()))
    }

    /// Kills the store when everybody waits for an answer that is on its way, and something was committed meanwhile.
    async fn kill_before_an_answer(&mut self) {
        loop {
            let before = self.state().await;
            self.doors.iter().for_each(|proxy| proxy.set(Weather::Mute));
            self.trial.standstill().await;
            until("an answer is on its way", async || self.doors.iter().any(|proxy| proxy.held() > 0)).await;
            if self.state().await != before {
                break;
            }
            // Everybody happened to ask for what changes nothing.
            self.doors.iter().for_each(|proxy| proxy.set(Weather::Fair));
            self.trial.progress(1).await;
        }
        self.kill().await;
        // What was kept back is lost, not late.
        self.doors.iter().for_each(|proxy| proxy.set(Weather::CutReply(0)));
        until("the answers are lost", async || self.doors.iter().all(|proxy| proxy.held() == 0)).await;
        self.doors.iter().for_each(|proxy| proxy.set(Weather::Fair));
    }

    async fn end(mut self) {
        self.system.ready().await;
        assert_kept(self.trial.verdict().await, rounds());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_moment_of_a_transaction_on_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    let mut scene = Scene::set("kill-at-moments-sqlite", &database, Options::default()).await;
    let log = database.folder().join("strace");
    for round in 0..rounds() {
        scene.trial.progress(20).await;
        let moment = MOMENTS[usize::try_from(round % 4).unwrap()];
        scene.trial.fault(&format!("kill -9 of the store: {moment:?}"));
        let store = scene.system.processes[0].id();
        match moment {
            Moment::BeforeInsert => {
                scene.beside.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
                scene.trial.standstill().await;
                scene.kill().await;
                scene.beside.execute_unprepared("ROLLBACK").await.unwrap();
            }
            // The write of the commit itself kills.
            Moment::BeforeCommit => {
                let strace = Strace::at_processes(&[store], "pwrite64", "signal=KILL:when=1").await;
                scene.system.processes[0].ended().await;
                strace.ended().await;
            }
            // The sync of the commit has been asked for, and its return is held up.
            Moment::AfterCommit => {
                let (calls, delay) = ("fdatasync,fsync", "delay_exit=60000000:when=1");
                let strace = Strace::logging(store, calls, delay, &log).await;
                let is_asked = async || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("sync("));
                until("a commit is synced", is_asked).await;
                scene.system.processes[0].signal("-KILL").await;
                // It is not dead before strace lets go of it.
                strace.kill().await;
                scene.system.processes[0].ended().await;
            }
            Moment::BeforeAnswer => scene.kill_before_an_answer().await,
        }
        drop(std::fs::remove_file(&log));
        scene.system.processes[0].start_again();
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_at_each_moment_of_a_transaction_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let (link, through_link) = super::databases::link_to(&database).await;
    let options = Options { database_url: Some(&through_link), ..Options::default() };
    let mut scene = Scene::set("kill-at-moments-postgres", &database, options).await;
    for round in 0..rounds() {
        scene.trial.progress(20).await;
        let moment = MOMENTS[usize::try_from(round % 4).unwrap()];
        scene.trial.fault(&format!("kill -9 of the store: {moment:?}"));
        match moment {
            Moment::BeforeInsert => {
                // Nobody else may write to the table.
                scene.beside.execute_unprepared("BEGIN; LOCK TABLE messages IN SHARE MODE").await.unwrap();
                scene.trial.standstill().await;
                scene.kill().await;
                scene.beside.execute_unprepared("ROLLBACK").await.unwrap();
            }
            Moment::BeforeCommit | Moment::AfterCommit => {
                let is_before = matches!(moment, Moment::BeforeCommit);
                link.set(if is_before { Weather::HoldRequest(COMMIT) } else { Weather::HoldReplyTo(COMMIT) });
                until("a COMMIT is under way", async || link.held() > 0).await;
                scene.kill().await;
                link.set(if is_before { Weather::CutRequest(0) } else { Weather::CutReply(0) });
                until("nobody hears of it", async || link.held() == 0).await;
                link.set(Weather::Fair);
            }
            Moment::BeforeAnswer => scene.kill_before_an_answer().await,
        }
        scene.system.processes[0].start_again();
    }
    scene.end().await;
}
