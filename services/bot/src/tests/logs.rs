//! The log of the bot, and the absence of secrets in it.

use std::{cell::RefCell, io};

use mayfly_testkit::telegram::Fault;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

use super::{
    fake_store::PANIC,
    harness::{ANN, BOB, BOT_TOKEN, SERVICE_TOKEN, fixture},
};

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Separates the log lines of the threads of the tests. One subscriber for the whole process: tracing caches for each
/// log statement whether it is enabled.
struct ByThread;

impl io::Write for ByThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As much as the process would write at its chattiest.
fn collect() {
    let targets = Targets::new().with_target("mayfly", LevelFilter::TRACE).with_default(LevelFilter::WARN);
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| ByThread);
    let _already_set =
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(targets)));
}

fn collected() -> String {
    LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
}

#[tokio::test]
async fn an_update_leaves_one_line_and_nothing_secret_is_logged() {
    collect();
    let fixture = fixture().await;
    fixture.telegram.fail_next("sendMessage", 1, Fault::DisconnectBefore);
    let key = fixture.ask(ANN, "new:needle").await;
    fixture.telegram.fail_next("getUpdates", 2, Fault::DisconnectAfter);
    fixture.ask(ANN, &key).await;
    fixture.ask(ANN, &format!("new:{PANIC}")).await;
    fixture.telegram.user_blocks(BOB);
    let blocked = fixture.telegram.user_says(BOB, "new:needle");
    fixture.telegram.wait_until_confirmed(blocked).await.unwrap();
    fixture.bot.begin_stop();
    fixture.bot.ended().await;

    let text = collected();
    let served: Vec<_> = text.lines().filter(|line| line.contains("served an update")).collect();
    let expected = [
        ("create_message", "created"),
        ("view_message", "viewed"),
        ("create_message", "panicked"),
        ("create_message", "chat gone"),
    ];
    assert_eq!(served.len(), expected.len(), "{text}");
    for (line, (request, outcome)) in served.iter().zip(expected) {
        assert!(line.contains(&format!("request=\"{request}\" outcome=\"{outcome}\" duration_ms=")), "{line}");
    }
    let token = key.split(':').next_back().unwrap();
    for secret in ["needle", BOT_TOKEN, SERVICE_TOKEN, token, &ANN.to_string(), &BOB.to_string()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
