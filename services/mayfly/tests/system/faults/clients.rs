//! Clients that go away, cannot wait, or ask again and again.

use mayfly_check::{Door, Habits};
use mayfly_testkit::{TcpProxy, TestDatabase, Weather, on_each_database};

use super::trial::{Trial, all_doors, assert_kept, rounds};
use crate::harness::{Layout, Options, System, until};

/// How many files the process has open.
fn open_files(id: &str) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

/// Resets the connection at each byte of request and reply: the first bytes one after the other, later ones in steps.
async fn cut(trial: &Trial, proxies: &[TcpProxy]) {
    for round in 0..rounds() * 8 {
        let bytes = 1 + usize::try_from(if round < 256 { round } else { 256 + (round - 256) * 37 % 4096 }).unwrap();
        for weather in [Weather::CutRequest(bytes), Weather::CutReply(bytes)] {
            trial.fault("connections reset after so many bytes");
            let before: u64 = proxies.iter().map(TcpProxy::cuts).sum();
            proxies.iter().for_each(|proxy| proxy.set(weather));
            until("connections were reset", async || proxies.iter().map(TcpProxy::cuts).sum::<u64>() > before).await;
        }
        proxies.iter().for_each(|proxy| proxy.set(Weather::Fair));
        trial.progress(5).await;
    }
}

async fn doors_behind(urls: [&str; 2]) -> (Vec<TcpProxy>, Vec<Door>) {
    let [store, gateway] = urls.map(|url| url.trim_start_matches("http://"));
    let proxies = [TcpProxy::start(store).await.unwrap(), TcpProxy::start(gateway).await.unwrap()];
    let [store, gateway] = [0, 1].map(|proxy: usize| format!("http://{}", proxies[proxy].address()));
    (proxies.into(), vec![Door::grpc(&store).unwrap(), Door::rest(&gateway).unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_reset_at_any_byte() {
    let system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let before = open_files(&system.processes[0].id());
    for (name, have_keys) in [("reset", true), ("reset-without-keys.control", false)] {
        let (proxies, doors) = doors_behind([&system.store_url, &system.gateway_url]).await;
        let trial = Trial::begin(name, doors, Habits { have_keys, ..Habits::default() });
        cut(&trial, &proxies).await;
        let verdict = trial.verdict().await;
        if have_keys {
            assert_kept(verdict, rounds() * 16);
        } else {
            // Control: without a key the text goes with the answer, and that is seen.
            assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
        }
    }
    // No connection is left behind.
    until("the store closed its connections", async || open_files(&system.processes[0].id()) <= before + 4).await;
}

on_each_database! {
    async fn clients_have_no_time(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let hurried = |url: &str| Door::hurried_grpc(url).unwrap();
        let name = if database.url().starts_with("sqlite") { "no-time-sqlite" } else { "no-time-postgres" };
        let trial = Trial::begin(name, vec![hurried(&system.store_url), hurried(&system.gateway_url)], Habits::default());
        trial.trouble(50 * rounds()).await;
        assert_kept(trial.verdict().await, 0);
    }

    async fn every_call_comes_several_times(database: TestDatabase) {
        let mut system = System::start(Layout::Three, &database, Options::default()).await;
        let name = if database.url().starts_with("sqlite") { "copies-sqlite" } else { "copies-postgres" };
        let trial = Trial::begin(name, all_doors(&system), Habits { copies: 5, ..Habits::default() });
        for _ in 0..rounds() {
            trial.progress(100).await;
            trial.fault("restart of the store");
            system.processes[0].terminate().await;
            system.processes[0].ended().await;
            system.processes[0].start_again();
        }
        system.ready().await;
        assert_kept(trial.verdict().await, rounds());
    }
}
