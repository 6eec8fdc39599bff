//! What the bot writes about what it does, and what it does not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use mayfly_testkit::telegram::Fault;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

use super::{
    fake_store::PANIC,
    harness::{ANN, BOB, BOT_TOKEN, SERVICE_TOKEN, world},
};

/// Collects what is logged on the thread that made it, as much as the process would write at its chattiest.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let targets = Targets::new().with_target("mayfly", LevelFilter::TRACE).with_default(LevelFilter::WARN);
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || lines.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.with_filter(targets)))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// On one thread, which the collector belongs to.
#[tokio::test]
async fn an_update_leaves_one_line_and_nothing_secret_is_logged() {
    let lines = Lines::default();
    let _collecting = lines.collect();
    let world = world().await;
    world.telegram.fail_next("sendMessage", 1, Fault::CutBefore);
    let key = world.ask(ANN, "new:needle").await;
    world.telegram.fail_next("getUpdates", 2, Fault::CutAfter);
    world.ask(ANN, &key).await;
    world.ask(ANN, &format!("new:{PANIC}")).await;
    world.telegram.user_blocks(BOB);
    let blocked = world.telegram.user_says(BOB, "new:needle");
    world.telegram.confirmed(blocked).await.unwrap();
    world.bot.begin_stop();
    world.bot.ended().await;

    let text = lines.text();
    let served: Vec<_> = text.lines().filter(|line| line.contains("served an update")).collect();
    let expected = [
        ("create_message", "created"),
        ("view_message", "viewed"),
        ("create_message", "panicked"),
        ("create_message", "chat gone"),
    ];
    assert_eq!(served.len(), expected.len(), "{text}");
    for (line, (intent, outcome)) in served.iter().zip(expected) {
        assert!(line.contains(&format!("intent=\"{intent}\" outcome=\"{outcome}\" duration_ms=")), "{line}");
    }
    let token = key.split(':').next_back().unwrap();
    for secret in ["needle", BOT_TOKEN, SERVICE_TOKEN, token, &ANN.to_string(), &BOB.to_string()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
