//! `kill -9` of each part, at any moment.

use mayfly_check::{Door, Habits};
use mayfly_testkit::TestDatabase;

use super::{
    strace::Strace,
    trial::{Trial, all_doors, assert_kept, rounds},
};
use crate::harness::{Layout, Options, System};

const STORE: usize = 0;
const GATEWAY: usize = 1;
/// After so many deaths without a loss, users without keys lose nothing.
const MOST_DEATHS: u64 = 1_000;

/// Lets the load run a little further each time, so that death comes at ever other moments.
async fn some_progress(trial: &Trial, round: u64) {
    trial.progress(10 + round * 7 % 50).await;
}

async fn kill_9(part: usize, system: &mut System, trials: &[&Trial]) {
    trials.iter().for_each(|trial| trial.fault("kill -9"));
    system.processes[part].kill().await;
    system.processes[part].start_again();
}

/// Kills a part under two loads. The users of the second have no keys.
async fn is_killed(part: usize, name: &str, system: &mut System, [doors, other_doors]: [Vec<Door>; 2]) {
    let trial = Trial::begin(name, doors, Habits::default());
    let without_keys = Habits { have_keys: false, ..Habits::default() };
    let control = Trial::begin(&format!("{name}-without-keys.control"), other_doors, without_keys);
    for round in 0..rounds() {
        some_progress(&trial, round).await;
        kill_9(part, system, &[&trial, &control]).await;
        control.progress(10).await;
    }
    system.ready().await;
    assert_kept(trial.verdict().await, rounds());
    // Control: who has no key forfeits, and that is seen. At times no reader is on the way when death comes; then it comes again.
    for round in 0..MOST_DEATHS {
        if control.has_forfeited() {
            break;
        }
        some_progress(&control, round).await;
        kill_9(part, system, &[&control]).await;
        control.progress(10).await;
    }
    system.ready().await;
    let control = control.verdict().await;
    assert!(control.is_valid() && control.forfeited > 0, "{control}");
}

async fn the_store_is_killed(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let doors = [all_doors(&system), all_doors(&system)];
    is_killed(STORE, name, &mut system, doors).await;
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
    let trial = Trial::begin("kill-within-writes", all_doors(&system), Habits::default());
    for round in 0..rounds() {
        some_progress(&trial, round).await;
        trial.fault("kill -9 with a write or a sync");
        let store = &mut system.processes[STORE];
        let killing = format!("signal=KILL:when={}", 1 + round % 12);
        let strace = Strace::at_processes(&[store.id()], "pwrite64,fdatasync,fsync", &killing).await;
        let status = store.ended().await;
        assert!(status.code().is_none(), "killed by a signal: {status}");
        strace.ended().await;
        system.processes[STORE].start_again();
    }
    system.ready().await;
    assert_kept(trial.verdict().await, rounds());
}

async fn the_gateway_is_killed(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let doors = || vec![Door::grpc(&system.gateway_url).unwrap(), Door::rest(&system.gateway_url).unwrap()];
    let doors = [doors(), doors()];
    is_killed(GATEWAY, name, &mut system, doors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_sqlite() {
    the_gateway_is_killed("kill-gateway-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_on_postgres() {
    the_gateway_is_killed("kill-gateway-postgres", TestDatabase::postgres().await.unwrap()).await;
}
