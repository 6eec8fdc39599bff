//! A read-only file system, as in a container, where only the data directory is writable.

use std::time::Duration;

use mayfly_contracts::message::CreateMessageRequest;
use mayfly_testkit::TestDatabase;
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::task::JoinSet;

use crate::harness::{Layout, Options, System};

/// Remounts everything but the folder `$0` as read-only, and replaces itself with the given program. It needs root or a
/// user namespace.
const READ_ONLY: &str = r#"
set -eu
for folder in /tmp /var/tmp; do mount --bind "$folder" "$folder"; mount -o remount,bind,ro "$folder"; done
mount -o remount,bind,ro /
mount --bind "$0" "$0"
mount -o remount,bind,rw "$0"
cd /
for folder in / /tmp /var/tmp; do
    if touch "$folder/mayfly-test" 2>/dev/null; then echo "$folder can be written" >&2; exit 1; fi
done
exec "$@"
"#;

/// The sweep runs every 30 seconds.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
const CLIENTS: usize = 100;
const ROUNDS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_data_directory_must_be_writable_as_root() {
    let database = TestDatabase::sqlite().unwrap();
    let folder = database.folder().display().to_string();
    let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, &folder];
    let options = Options { wrapper: &wrapper, ..Options::default() };
    let mut system = System::start(Layout::One, &database, options).await;

    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut messages = system.messages();
        clients.spawn(async move {
            for _ in 0..ROUNDS {
                let unexpired = CreateMessageRequest::from_text("unexpired".repeat(500));
                let ttl = Some(prost_types::Duration { seconds: 3, nanos: 0 });
                let brief = CreateMessageRequest { ttl, ..CreateMessageRequest::from_text("brief".repeat(500)) };
                messages.create_message(unexpired).await.unwrap();
                messages.create_message(brief).await.unwrap();
            }
        });
    }
    clients.join_all().await;

    let observer = database.connect().await.unwrap();
    let count = Statement::from_string(observer.get_database_backend(), "SELECT count(*) FROM messages");
    let swept = async {
        loop {
            let row = observer.query_one_raw(count.clone()).await.unwrap().unwrap();
            if row.try_get_by_index::<i64>(0).unwrap() == i64::try_from(CLIENTS * ROUNDS).unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let output = || String::from_utf8_lossy(&system.output()).into_owned();
    tokio::time::timeout(SWEPT_WITHIN, swept).await.unwrap_or_else(|_| panic!("not swept: {}", output()));
    assert!(!output().contains("ERROR"), "{}", output());
    system.stop().await;
}
