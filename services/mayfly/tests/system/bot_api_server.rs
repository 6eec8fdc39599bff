//! A self-hosted Bot API server: its credentials, and moving a bot to it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mayfly_testkit::{FakeTelegram, TestDatabase};

use crate::harness::{CommandOutput, Layout, Options, System, wait_until};

const GONE: i32 = 3;
const REFUSED: i32 = 4;
const BOT_TOKEN: &str = "1000000000:AAHcanary-canary-canary-canary-0000";
const API_HASH: &str = "0123456789abcdef0123456789abcdee";
const OTHER_API_HASH: &str = "fedcba9876543210fedcba9876543210";
const ANN: i64 = 7;

impl System {
    async fn telegram(&self, arguments: &[&str]) -> CommandOutput {
        let data = self.data.display().to_string();
        self.client(&[&["telegram"], arguments, &["--data-dir", &data]].concat()).await
    }

    async fn add(&self, api_hash: &str) {
        let fields = ["add", "--session-name", "s", "--api-id", "42", "--api-hash", api_hash, "--bot-token", BOT_TOKEN];
        assert_eq!(self.config(&fields).await.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_last_active_app_config_are_written_to_private_files() {
    let system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let folder = system.data.join("telegram");
    let write = ["credentials", "--to", &folder.display().to_string()];
    let none = system.telegram(&write).await;
    assert_eq!((none.code, folder.exists()), (GONE, false));
    assert!(none.err.contains("mayfly config add"), "{}", none.err);

    for api_hash in [API_HASH, OTHER_API_HASH] {
        system.add(api_hash).await;
        let written = system.telegram(&write).await;
        assert_eq!(written.code, 0, "{}", written.err);
        assert!(!written.out.contains(api_hash), "{}", written.out);
        for (name, value) in [("api_id", "42"), ("api_hash", api_hash)] {
            let file = folder.join(name);
            assert_eq!(fs::read_to_string(&file).unwrap().trim_end(), value);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    let untrusted = system.telegram(&[&write[..], &["--service-token", &"x".repeat(40)]].concat()).await;
    assert_eq!(untrusted.code, REFUSED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_moves_to_a_self_hosted_bot_api_server() {
    let (old, new) = (FakeTelegram::start(BOT_TOKEN).await.unwrap(), FakeTelegram::start(BOT_TOKEN).await.unwrap());
    let options = |telegram| Options { telegram: Some(telegram), ..Options::default() };
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), options(old.url())).await;
    system.add(API_HASH).await;
    old.user_says(ANN, "new:before");
    let before = old.next_reply(ANN).await.unwrap().text;
    system.stop().await;
    system.start_processes(Layout::Three, Options::default()).await;

    let logged_out = system.telegram(&["log-out", "--from", old.url()]).await;
    assert_eq!(logged_out.code, 0, "{}", logged_out.err);
    let again = system.telegram(&["log-out", "--from", old.url()]).await;
    assert!(again.code == 1 && again.err.contains("logged out already"), "{}", again.err);
    let nowhere = system.telegram(&["log-out", "--from", "http://127.0.0.1:9"]).await;
    assert!(nowhere.code == 1 && nowhere.err.contains("cannot be reached"), "{}", nowhere.err);
    for output in [&logged_out, &again, &nowhere] {
        assert!(!format!("{}{}", output.out, output.err).contains("canary"));
    }

    system.stop().await;
    system.start_processes(Layout::Three, options(new.url())).await;
    new.user_says(ANN, &before);
    assert_eq!(new.next_reply(ANN).await.unwrap().text, "before");
    wait_until("the bot polls its new server", async || new.calls("getUpdates").len() > 1).await;
}
