//! `kill -9` of each part, at any moment.

use mayfly_check::{Client, Workload};
use mayfly_testkit::TestDatabase;

use super::{
    load_run::{Run, all_clients, assert_guarantees, rounds},
    strace::Strace,
};
use crate::harness::{Layout, Options, System};

const STORE: usize = 0;
const GATEWAY: usize = 1;
/// After so many deaths without a loss, users without keys lose nothing.
const MOST_DEATHS: u64 = 1_000;

/// Lets the load run a little further each time, so that death comes at ever other moments.
async fn some_progress(run: &Run, round: u64) {
    run.wait_for_outcomes(10 + round * 7 % 50).await;
}

async fn kill_part(part: usize, system: &mut System, runs: &[&Run]) {
    runs.iter().for_each(|run| run.fault("kill -9"));
    system.processes[part].kill().await;
    system.processes[part].restart();
}

/// Kills a part under two loads. The users of the second have no keys.
async fn is_killed(part: usize, name: &str, system: &mut System, [clients, other_clients]: [Vec<Client>; 2]) {
    let run = Run::begin(name, clients, Workload::default());
    let without_keys = Workload { idempotency_keys: false, ..Workload::default() };
    let control = Run::begin(&format!("{name}-without-keys.control"), other_clients, without_keys);
    for round in 0..rounds() {
        some_progress(&run, round).await;
        kill_part(part, system, &[&run, &control]).await;
        control.wait_for_outcomes(10).await;
    }
    system.ready().await;
    assert_guarantees(run.verdict().await, rounds());
    // Control: who has no key forfeits, and that is seen. At times no reader is on the way when death comes; then it comes again.
    for round in 0..MOST_DEATHS {
        if control.has_forfeited() {
            break;
        }
        some_progress(&control, round).await;
        kill_part(part, system, &[&control]).await;
        control.wait_for_outcomes(10).await;
    }
    system.ready().await;
    let control = control.verdict().await;
    assert!(control.is_valid() && control.forfeited > 0, "{control}");
}

async fn the_store_is_killed(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let clients = [all_clients(&system), all_clients(&system)];
    is_killed(STORE, name, &mut system, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_sqlite() {
    the_store_is_killed("kill-store-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_postgres() {
    the_store_is_killed("kill-store-postgres", TestDatabase::postgres().await.unwrap()).await;
}

/// Death inside a commit: with the n-th write or sync of the store's files.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_dies_within_its_writes() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let run = Run::begin("kill-within-writes", all_clients(&system), Workload::default());
    for round in 0..rounds() {
        some_progress(&run, round).await;
        run.fault("kill -9 with a write or a sync");
        let store = &mut system.processes[STORE];
        let killing = format!("signal=KILL:when={}", 1 + round % 12);
        let strace = Strace::at_processes(&[store.id()], "pwrite64,fdatasync,fsync", &killing).await;
        let status = store.ended().await;
        assert!(status.code().is_none(), "killed by a signal: {status}");
        strace.ended().await;
        system.processes[STORE].restart();
    }
    system.ready().await;
    assert_guarantees(run.verdict().await, rounds());
}

async fn the_gateway_is_killed(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let clients = || vec![Client::grpc(&system.gateway_url).unwrap(), Client::rest(&system.gateway_url).unwrap()];
    let clients = [clients(), clients()];
    is_killed(GATEWAY, name, &mut system, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_sqlite() {
    the_gateway_is_killed("kill-gateway-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_postgres() {
    the_gateway_is_killed("kill-gateway-postgres", TestDatabase::postgres().await.unwrap()).await;
}
