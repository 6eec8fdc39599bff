//! `kill -9` of each role at any time.

use mayfly_check::{Client, Workload};
use mayfly_testkit::TestDatabase;

use super::{
    load_run::{Run, all_clients, assert_guarantees, rounds},
    strace::Strace,
};
use crate::harness::{Layout, Options, System};

const STORE: usize = 0;
const GATEWAY: usize = 1;
/// The limit on crashes until the negative control must have lost a text.
const MAX_CRASHES: u64 = 1_000;

/// Lets the load continue for a varying time, so that crashes hit different points.
async fn wait_for_varying_outcomes(run: &Run, round: u64) {
    run.wait_for_outcomes(10 + round * 7 % 50).await;
}

async fn kill_part(role: usize, system: &mut System, runs: &[&Run]) {
    runs.iter().for_each(|run| run.fault("kill -9"));
    system.processes[role].kill().await;
    system.processes[role].restart();
}

/// Kills a role under two loads. The clients of the second one have no idempotency keys.
async fn kill_under_load(role: usize, name: &str, system: &mut System, [clients, other_clients]: [Vec<Client>; 2]) {
    let run = Run::begin(name, clients, Workload::default());
    let without_keys = Workload { idempotency_keys: false, ..Workload::default() };
    let control = Run::begin(&format!("{name}-without-keys.control"), other_clients, without_keys);
    for round in 0..rounds() {
        wait_for_varying_outcomes(&run, round).await;
        kill_part(role, system, &[&run, &control]).await;
        control.wait_for_outcomes(10).await;
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, rounds());
    // Negative control: a reader without a key loses its text, and the verifier counts it. This repeats until a crash
    // hits a view.
    for round in 0..MAX_CRASHES {
        if control.has_forfeited() {
            break;
        }
        wait_for_varying_outcomes(&control, round).await;
        kill_part(role, system, &[&control]).await;
        control.wait_for_outcomes(10).await;
    }
    system.wait_until_ready().await;
    let control = control.verdict().await;
    assert!(control.is_valid() && control.forfeited > 0, "{control}");
}

async fn kill_store(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let clients = [all_clients(&system), all_clients(&system)];
    kill_under_load(STORE, name, &mut system, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_sqlite() {
    kill_store("kill-store-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_postgres() {
    kill_store("kill-store-postgres", TestDatabase::postgres().await.unwrap()).await;
}

/// A crash inside a commit, at the n-th write or sync of the store's files.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_within_its_writes_under_strace() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let run = Run::begin("kill-within-writes", all_clients(&system), Workload::default());
    for round in 0..rounds() {
        wait_for_varying_outcomes(&run, round).await;
        run.fault("kill -9 with a write or a sync");
        let store = &mut system.processes[STORE];
        let killing = format!("signal=KILL:when={}", 1 + round % 12);
        let strace = Strace::at_processes(&[store.id()], "pwrite64,fdatasync,fsync", &killing).await;
        let status = store.wait().await;
        assert!(status.code().is_none(), "killed by a signal: {status}");
        strace.wait().await;
        system.processes[STORE].restart();
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, rounds());
}

async fn kill_gateway(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let clients = || vec![Client::grpc(&system.gateway_url).unwrap(), Client::rest(&system.gateway_url).unwrap()];
    let clients = [clients(), clients()];
    kill_under_load(GATEWAY, name, &mut system, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_sqlite() {
    kill_gateway("kill-gateway-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_postgres() {
    kill_gateway("kill-gateway-postgres", TestDatabase::postgres().await.unwrap()).await;
}
