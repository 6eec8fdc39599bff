//! Rolling restarts and key rotations under load, as in an upgrade.

use mayfly_check::{Client, Workload};
use mayfly_testkit::TestDatabase;

use super::load_run::{Run, all_clients, assert_guarantees, rounds};
use crate::harness::{Layout, Options, System, run};

async fn stop_and_start(system: &mut System, role: usize) {
    let process = &mut system.processes[role];
    process.terminate();
    let status = process.wait().await;
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&process.output()));
    process.restart();
    system.wait_until_ready().await;
}

async fn rotate(system: &System, activate_in: &str) {
    let data = system.data.display().to_string();
    let rotated = run(&["keys", "rotate", "--activate-in", activate_in, "--data-dir", &data]).await;
    assert_eq!(rotated.code, 0, "{}", rotated.err);
}

/// Each role exits with success on SIGTERM and restarts, in turn, while keys are rotated.
#[tokio::test(flavor = "multi_thread")]
async fn all_roles_are_restarted_in_turn() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let run = Run::begin("rolling-sqlite", all_clients(&system), Workload::default());
    for round in 0..rounds() {
        run.wait_for_outcomes(30).await;
        run.fault("SIGTERM and restart of one role");
        stop_and_start(&mut system, usize::try_from(round % 3).unwrap()).await;
        if round % 3 == 0 {
            rotate(&system, "0s").await;
        }
    }
    assert_guarantees(run.verdict().await, rounds());
}

/// A key encrypts before all stores have it. A store without it asks for a retry and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_activated_before_all_stores_have_it_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    // In sequence, since each store reads new keys every five seconds after its start. So one is ahead of the other.
    let first = System::start(Layout::Three, &database, Options::default()).await;
    let second = System::start(Layout::Three, &database, Options::default()).await;
    let clients: Vec<Client> = [&first, &second].into_iter().flat_map(all_clients).collect();
    let run = Run::begin("rolling-hurried", clients, Workload::default());
    for _ in 0..rounds() {
        run.fault("a new key encrypts at once");
        rotate(&first, "0s").await;
        run.wait_for_outcomes(50).await;
    }
    assert_guarantees(run.verdict().await, rounds());
}

/// Two systems on one PostgreSQL database, whose stores migrate it concurrently. One instance of each role always runs.
#[tokio::test(flavor = "multi_thread")]
async fn two_systems_start_at_once_and_restart_all_roles_in_turn_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let start = || System::start(Layout::Three, &database, Options::default());
    let (first, second) = tokio::join!(start(), start());
    let mut systems = [first, second];
    let clients: Vec<Client> = systems.iter().flat_map(all_clients).collect();
    let run = Run::begin("rolling-postgres", clients, Workload::default());
    for round in 0..rounds() {
        run.wait_for_outcomes(30).await;
        run.fault("SIGTERM and restart of one role of one of two systems");
        let (system, role) = (round % 2, round / 2 % 3);
        stop_and_start(&mut systems[usize::try_from(system).unwrap()], usize::try_from(role).unwrap()).await;
        if round % 3 == 0 {
            rotate(&systems[0], "0s").await;
        }
    }
    assert_guarantees(run.verdict().await, rounds());
}
