//! Simulates years of a store in minutes with a fast clock: every day has a new key, messages and a sweep, and old keys
//! are retired. At the end the store has the same size and speed as before.
//!
//! `MAYFLY_YEARS_DAYS` and `MAYFLY_YEARS_MESSAGES` set the number of days and the total number of messages. `make
//! years` sets them high, and prints rates, memory and file size over time.

#![cfg(test)]

use std::{fs, time::Duration, time::Instant};

use clap::Parser as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mayfly_bootstrap::Secret;
use mayfly_store::{Database, OpenSettings};
use mayfly_testkit::{TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Statement};

const DAY: Duration = Duration::from_secs(86_400);
/// Concurrent calls.
const CALLS: usize = 256;
/// The number of reports.
const REPORTS: usize = 10;

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    open: OpenSettings,
}

fn setting(name: &str, default: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    let value = std::env::var(name);
    value.map_or(default, |value| value.parse().unwrap())
}

/// A measurement of the store.
struct Report {
    creations_per_second: f64,
    views_per_second: f64,
    sweep: Duration,
    file_bytes: u64,
    rows: [i64; 4],
}

async fn rows(database: &TestDatabase) -> [i64; 4] {
    let connection = database.connect().await.unwrap();
    let count = "SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM receipts), \
                 (SELECT COUNT(*) FROM claims), (SELECT COUNT(*) FROM sealing_keys)";
    let count = Statement::from_string(connection.get_database_backend(), count);
    let row = connection.query_one_raw(count).await.unwrap().unwrap();
    [0, 1, 2, 3].map(|column| row.try_get_by_index(column).unwrap())
}

/// The memory of this process, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_the_same_after_years_as_after_months() {
    let days = setting("MAYFLY_YEARS_DAYS", 160);
    let messages = setting("MAYFLY_YEARS_MESSAGES", 1_600).div_ceil(days);
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let data = database.folder().join("data").display().to_string();
    let settings = Arguments::parse_from(["store", "--data-dir", &data]).open;
    let keyring = settings.store.keyring.file(&settings.data);
    let required_for = settings.store.lifetimes.key_retention();
    let database_at_url = Database::from_url(Secret::new(database.url().to_owned())).unwrap();

    let mut reports = Vec::new();
    println!("   day  creations/s  views/s  sweep ms  file MiB  memory MiB  messages  receipts  claims  keys");
    for day in 1..=days {
        keyring.rotate(&store.clock, Duration::ZERO).unwrap();
        store.store.reload_keyring().await.unwrap();
        let began = Instant::now();
        let created: Vec<_> = stream::iter(0..messages)
            .map(|number| store.create_for("a password of usual length", DAY * (1 + (number as u32 % 30))))
            .buffer_unordered(CALLS)
            .try_collect()
            .await
            .unwrap();
        let creations_per_second = messages as f64 / began.elapsed().as_secs_f64();
        let began = Instant::now();
        let viewed = created.len() / 2;
        let views = stream::iter(&created[..viewed]).map(|message| store.view(message)).buffer_unordered(CALLS);
        views.try_for_each(async |_| Ok(())).await.unwrap();
        let views_per_second = viewed as f64 / began.elapsed().as_secs_f64();
        store.clock.advance(DAY);
        let began = Instant::now();
        store.store.sweep().await.unwrap();
        let sweep = began.elapsed();
        for id in keyring.retirable_keys(required_for, &store.clock).unwrap() {
            keyring.retire(&database_at_url, &id, required_for, &store.clock, false).await.unwrap();
        }
        if day % days.div_ceil(REPORTS) == 0 || day == days {
            let file_bytes = fs::metadata(database.folder().join("mayfly.db")).unwrap().len();
            let rows = rows(&database).await;
            let report = Report { creations_per_second, views_per_second, sweep, file_bytes, rows };
            println!(
                "{day:6}  {creations_per_second:11.0}  {views_per_second:7.0}  {:8}  {:8}  {:10}  {:8}  {:8}  {:6}  \
                 {:4}",
                sweep.as_millis(),
                file_bytes >> 20,
                memory() >> 10,
                rows[0],
                rows[1],
                rows[2],
                rows[3],
            );
            reports.push(report);
        }
    }
    // After 30 days as many messages end as are created, after 60 days as many receipts, and after 121 days as many
    // keys.
    let last = reports.last().unwrap();
    let [messages_left, receipts_left, claims_left, keys_left] = last.rows.map(|rows| usize::try_from(rows).unwrap());
    assert!(messages_left <= messages * 30, "{messages_left} unread messages");
    assert!(receipts_left <= messages * 31, "{receipts_left} receipts");
    assert_eq!(claims_left, 0);
    assert!(keys_left <= 122, "{keys_left} keys");
    let before = &reports[reports.len() / 2];
    let kept = 16 << 20;
    assert!(last.file_bytes <= before.file_bytes + before.file_bytes / 4 + kept, "the file grows");
    println!(
        "from the middle to the end: creations {:.2}, views {:.2}, sweep {:.2}, file {:.2}",
        last.creations_per_second / before.creations_per_second,
        last.views_per_second / before.views_per_second,
        last.sweep.as_secs_f64() / before.sweep.as_secs_f64(),
        last.file_bytes as f64 / before.file_bytes as f64,
    );
}
