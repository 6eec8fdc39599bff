//! Bots with a webhook that restart while Telegram delivers updates.

use std::collections::BTreeSet;

use mayfly_testkit::{FakeTelegram, TestDatabase};
use rustix::process::Signal;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System, wait_until},
};

const STORE: usize = 0;
const BOT: usize = 2;
const ANN: i64 = 1_000;

/// The number of updates that the bot is processing.
async fn updates_in_flight(system: &System) -> u64 {
    let status = reqwest::get(&system.bot_url).await.unwrap().json::<serde_json::Value>().await.unwrap();
    status["queued_updates"].as_u64().unwrap()
}

/// The replies to these chats: one distinct reply each, however often the bot sent it.
async fn message_refs(telegram: &FakeTelegram, chats: impl Iterator<Item = i64>) -> Vec<String> {
    let mut message_refs = Vec::new();
    for chat in chats {
        telegram.next_reply(chat).await.unwrap();
        let replies: BTreeSet<_> = telegram.replies(chat).into_iter().map(|reply| reply.text).collect();
        assert_eq!(replies.len(), 1, "one message was stored for chat {chat}");
        message_refs.extend(replies);
    }
    message_refs
}

/// Asserts that each reply opens the text of its chat.
async fn assert_readable(system: &System, message_refs: Vec<String>) {
    for (number, message_ref) in message_refs.into_iter().enumerate() {
        assert_eq!(system.client(&["view", &message_ref]).await.out, format!("text {}", number + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_bot_completes_updates_in_flight_and_keeps_its_webhook() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), uses_webhook: true, ..Options::default() };
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), options).await;
    add_config(&system, "first", BOT_TOKEN).await;
    telegram.user_says(ANN, "/help");
    telegram.next_reply(ANN).await.unwrap();
    telegram.wait_until_all_confirmed().await.unwrap();
    let webhook = telegram.webhook();

    // The store is stopped, so that all updates are in flight when the signal arrives.
    system.processes[STORE].signal(Signal::STOP);
    let chats = 1..=20;
    for chat in chats.clone() {
        telegram.user_says(chat, &format!("new:text {chat}"));
    }
    wait_until("all updates are in flight", async || updates_in_flight(&system).await == 20).await;
    system.processes[BOT].terminate();
    let address = system.bot_url.trim_start_matches("http://").to_owned();
    wait_until("the bot has closed its listener", async || TcpStream::connect(&address).await.is_err()).await;
    system.processes[STORE].signal(Signal::CONT);
    let status = system.processes[BOT].wait().await;
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&system.processes[BOT].output()));
    let message_refs = message_refs(&telegram, chats).await;
    assert_eq!(telegram.webhook(), webhook, "the webhook stays for the next process");

    system.processes[BOT].restart();
    telegram.wait_until_all_confirmed().await.unwrap();
    assert_readable(&system, message_refs).await;
    assert!(telegram.calls("deleteWebhook").is_empty());
    system.stop().await;
}

/// A load balancer for two replicas. It falls back to the other replica if a connection fails.
async fn balance(listener: TcpListener, replicas: [String; 2]) {
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut in_turn = replicas.clone();
        in_turn.rotate_left(turn % replicas.len());
        tokio::spawn(async move {
            for replica in in_turn {
                if let Ok(mut server) = TcpStream::connect(replica).await {
                    // The connection ends when either side closes it.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_with_one_webhook_restart_in_turn_without_a_loss_on_postgres() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let database = TestDatabase::postgres().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/telegram", listener.local_addr().unwrap());
    let bot_environment = &[("MAYFLY_WEBHOOK_URL", url.as_str()), ("MAYFLY_MESSAGES_PER_SECOND", "1000")];
    let options = Options { telegram: Some(telegram.url()), bot_environment, ..Options::default() };
    let start = || System::start(Layout::Three, &database, options);
    let (first, second) = tokio::join!(start(), start());
    let mut systems = [first, second];
    let addresses = [0, 1].map(|replica: usize| systems[replica].bot_url.trim_start_matches("http://").to_owned());
    let balancing = tokio::spawn(balance(listener, addresses));
    add_config(&systems[0], "first", BOT_TOKEN).await;
    telegram.wait_for_calls("setWebhook", 2).await.unwrap();

    let mut replied = 0;
    for round in 0..4 {
        let chats = replied + 1..=replied + 50;
        for chat in chats.clone() {
            telegram.user_says(chat, &format!("new:text {chat}"));
        }
        // While the bot serves the others.
        telegram.next_reply(replied + 1).await.unwrap();
        replied += 50;
        let bot = &mut systems[round % 2].processes[BOT];
        bot.terminate();
        let status = bot.wait().await;
        assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&bot.output()));
        assert_eq!(telegram.webhook().as_deref(), Some(url.as_str()), "the webhook stays for the other bot");
        bot.restart();
        telegram.wait_for_calls("setWebhook", 3 + round).await.unwrap();
        telegram.wait_until_all_confirmed().await.unwrap();
        let rest = message_refs(&telegram, chats.skip(1)).await;
        assert_eq!(rest.len(), 49);
    }
    let all = (1..=replied).map(|chat| telegram.replies(chat)[0].text.clone()).collect();
    assert_readable(&systems[0], all).await;
    assert!(telegram.calls("deleteWebhook").is_empty());
    for system in &mut systems {
        system.stop().await;
    }
    balancing.abort();
}
