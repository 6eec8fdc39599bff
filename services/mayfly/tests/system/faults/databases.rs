//! Databases that freeze, and connections to them that break.

use std::time::Duration;

use mayfly_check::Workload;
use mayfly_testkit::{NetworkFault, PostgresServer, TcpProxy, TestDatabase};
use rustix::process::Signal;
use sea_orm::ConnectionTrait as _;

use super::load_run::{Run, all_clients, assert_guarantees, rounds, slow_rounds};
use crate::harness::{Layout, Options, System, wait_until};

/// How long a freeze lasts.
const FREEZE: Duration = Duration::from_secs(1);
/// A freeze that exceeds the timeout of all calls, and one that exceeds the timeout of all connections.
const LONG_FREEZES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// The length of PostgreSQL's response to COMMIT, in bytes.
const COMMIT_REPLY_BYTES: u64 = 18;

/// The limit on broken connections until the negative control must have lost a text.
const MAX_BREAKS: u64 = 200;

/// A proxy in front of the server of `database`, and the URL through it.
pub(super) async fn proxy_to(database: &TestDatabase) -> (TcpProxy, String) {
    let server = database.url().split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = TcpProxy::start(server).await.unwrap();
    let proxy_url = database.url().replace(server, &proxy.address().to_string());
    (proxy, proxy_url)
}

/// A proxy in front of PostgreSQL stalls, and resets connections in the middle of a response.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_stalls_and_breaks_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let (proxy, proxy_url) = proxy_to(&database).await;
    let options = Options { database_url: Some(&proxy_url), ..Options::default() };
    let mut system = System::start(Layout::Three, &database, options).await;
    let run = Run::begin("postgres-database_proxy", all_clients(&system), Workload::default());
    for round in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        run.fault("the connection to PostgreSQL stalls");
        proxy.set_fault(NetworkFault::Stall);
        tokio::time::sleep(FREEZE).await;
        // Connections break in the middle of responses: to the startup, to a statement, to COMMIT.
        run.fault("the connection to PostgreSQL breaks in responses");
        let resets = proxy.resets();
        proxy.set_fault(NetworkFault::ResetInReply(1 + usize::try_from(round).unwrap() * 37 % 1500));
        wait_until("connections were reset", async || proxy.resets() > resets + 3).await;
        proxy.set_fault(NetworkFault::None);
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, 2 * slow_rounds());
}

/// The connection breaks at each byte of the response to COMMIT: the transaction is committed, and the store does not
/// know it.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_breaks_in_the_response_to_a_commit_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let (proxy, proxy_url) = proxy_to(&database).await;
    let options = Options { database_url: Some(&proxy_url), ..Options::default() };
    let system = System::start(Layout::Three, &database, options).await;
    let run = Run::begin("postgres-commit", all_clients(&system), Workload::default());
    for round in 0..rounds() {
        break_in_a_commit(&run, &proxy, round).await;
    }
    assert_guarantees(run.verdict().await, rounds());
    // Negative control: a reader without a key loses its text if the store does not know the result of the COMMIT of
    // its view.
    let without_keys = Workload { idempotency_keys: false, ..Workload::default() };
    let control = Run::begin("postgres-commit-without-keys.control", all_clients(&system), without_keys);
    for round in 0..MAX_BREAKS {
        break_in_a_commit(&control, &proxy, round).await;
        if control.has_forfeited() {
            break;
        }
    }
    let control = control.verdict().await;
    assert!(control.is_valid() && control.forfeited > 0, "{control}");
}

async fn break_in_a_commit(run: &Run, proxy: &TcpProxy, round: u64) {
    run.wait_for_outcomes(20).await;
    run.fault("the connection to PostgreSQL breaks in the response to a COMMIT");
    let resets = proxy.resets();
    proxy.set_fault(NetworkFault::ResetInReplyTo("COMMIT", usize::try_from(round % (COMMIT_REPLY_BYTES + 1)).unwrap()));
    wait_until("a connection was reset", async || proxy.resets() > resets).await;
    proxy.set_fault(NetworkFault::None);
}

/// All processes of PostgreSQL are stopped, briefly and for longer than any timeout, and continued.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_freezes_on_postgres() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let run = Run::begin("postgres-frozen", all_clients(&system), Workload::default());
    for round in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        run.fault("SIGSTOP of PostgreSQL");
        server.signal(Signal::STOP).unwrap();
        // Long freezes come late, so that short runs skip them.
        let freeze = match round {
            5 | 15 | 25 => LONG_FREEZES[0],
            35 => LONG_FREEZES[1],
            _ => FREEZE,
        };
        tokio::time::sleep(freeze).await;
        server.signal(Signal::CONT).unwrap();
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, slow_rounds());
}

/// Another process holds the write lock of SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_locks_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let other = database.connect().await.unwrap();
    let run = Run::begin("sqlite-locked", all_clients(&system), Workload::default());
    for _ in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        run.fault("another writer");
        other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        tokio::time::sleep(FREEZE).await;
        other.execute_unprepared("ROLLBACK").await.unwrap();
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, slow_rounds());
}

/// The store is stopped at any point and continued later.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_freezes() {
    let system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let run = Run::begin("store-frozen", all_clients(&system), Workload::default());
    for _ in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        run.fault("SIGSTOP of the store");
        system.processes[0].signal(Signal::STOP);
        tokio::time::sleep(FREEZE).await;
        system.processes[0].signal(Signal::CONT);
    }
    assert_guarantees(run.verdict().await, slow_rounds());
}
