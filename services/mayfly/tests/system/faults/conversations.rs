//! `kill -9` of the bot during conversations, with polling and with a webhook, and of the store behind it.

use std::sync::Arc;

use mayfly_check::{Call, Outcome};
use mayfly_testkit::{FakeTelegram, TestDatabase};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::load_run::{Recorder, assert_guarantees, rounds};
use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System},
};

const STORE: usize = 0;
const BOT: usize = 2;
/// Conversations per crash of the bot, and the number of concurrent conversations.
const CONVERSATIONS_PER_ROUND: u64 = 10;
const CONCURRENT_CONVERSATIONS: usize = 20;
/// The least number of messages that the bot sends between two crashes: about what the conversations of a round need.
const SENT_PER_ROUND: u64 = 15;
/// The number of crashes of the bot with the deliberate defect.
const CONTROL_ROUNDS: u64 = 6;

/// Conversations with a bot that crashes.
#[derive(Clone)]
struct Conversations {
    telegram: FakeTelegram,
    recorder: Arc<Recorder>,
    /// Cancelled after the last crash.
    crashes_done: CancellationToken,
}

impl Conversations {
    fn begin(telegram: &FakeTelegram, name: &str) -> Self {
        Self { telegram: telegram.clone(), recorder: Recorder::begin(name), crashes_done: CancellationToken::new() }
    }

    /// Runs a conversation: stores a text, reads it in the same chat, and asks for it again in another chat. Crashes of
    /// the bot must not matter. Ends at the first message without a reply.
    async fn converse(self, chat: i64) {
        let message = self.recorder.new_message();
        let text = format!("text {message} {chat}");
        let history = self.recorder.history();
        let create = history.record_invocation(message, Call::Create).unwrap();
        let Some(message_ref) = self.ask(chat, &format!("new:{text}"), is_message_ref).await else { return };
        history.record_outcome(create, Outcome::Created(message)).unwrap();
        let late_chat = chat + 1_000_000;
        for chat in [chat, late_chat] {
            let reader = u64::try_from(chat).unwrap();
            let view = history.record_invocation(message, Call::View { reader: Some(reader) }).unwrap();
            let Some(reply) = self.ask(chat, &message_ref, |reply| !is_message_ref(reply)).await else { return };
            let outcome = if reply.contains("was read on") {
                Outcome::Gone
            } else {
                Outcome::Text((reply == text).then_some(message))
            };
            history.record_outcome(view, outcome).unwrap();
        }
        // The creation is idempotent, however many replies the bot sent.
        let replies = self.telegram.replies(chat);
        let message_refs: Vec<_> =
            replies.iter().map(|reply| &reply.text).filter(|reply| is_message_ref(reply)).collect();
        assert!(message_refs.iter().all(|other| **other == message_ref), "{message_refs:?}");
    }

    /// Sends a message and returns the first reply to it. The bot may reply to earlier messages again after a crash.
    /// Returns `None` if the message was lost, which a reply to a later message shows.
    async fn ask(&self, chat: i64, text: &str, is_reply: impl Fn(&str) -> bool) -> Option<String> {
        let is_help = |reply: &str| reply.contains("new:your text");
        let next = async || self.telegram.next_reply(chat).await.unwrap().text;
        let is_reply = |reply: &str| is_reply(reply) && !is_help(reply);
        self.telegram.user_says(chat, text);
        while let Some(reply) = self.crashes_done.run_until_cancelled(next()).await {
            if is_reply(&reply) {
                return Some(reply);
            }
        }
        self.telegram.user_says(chat, "/help");
        let mut reply_to_text = None;
        loop {
            let reply = next().await;
            if is_help(&reply) {
                return reply_to_text;
            }
            reply_to_text = reply_to_text.or_else(|| is_reply(&reply).then_some(reply));
        }
    }
}

fn is_message_ref(reply: &str) -> bool {
    reply.split_once(':').is_some_and(|(id, token)| id.parse::<i64>().is_ok() && token.len() == 64)
}

/// A system whose bot has a config and a token.
async fn system(telegram: &FakeTelegram, database: &TestDatabase, uses_webhook: bool) -> System {
    // Telegram's rate limit would only slow the test down.
    let bot_environment = &[("MAYFLY_MESSAGES_PER_SECOND", "1000")];
    let options = Options { telegram: Some(telegram.url()), uses_webhook, bot_environment, ..Options::default() };
    let system = System::start(Layout::Three, database, options).await;
    add_config(&system, "first", BOT_TOKEN).await;
    system
}

async fn kill_during_conversations(name: &str, role: usize, database: TestDatabase, uses_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let mut system = system(&telegram, &database, uses_webhook).await;
    let chats = Conversations::begin(&telegram, name);
    let conversations = rounds() * CONVERSATIONS_PER_ROUND;
    let mut running = JoinSet::new();
    let mut begun = 0;
    let mut sent = 0;
    for round in 0..rounds() {
        while let Some(ended) = running.try_join_next() {
            ended.unwrap();
        }
        while running.len() < CONCURRENT_CONVERSATIONS && begun < conversations {
            begun += 1;
            running.spawn(chats.clone().converse(i64::try_from(begun).unwrap()));
        }
        // The bot crashes when some of these messages have replies and others do not. Each conversation takes three
        // messages.
        sent = (sent + SENT_PER_ROUND + round * 7 % SENT_PER_ROUND).min(3 * begun - 1);
        telegram.wait_for_calls("sendMessage", usize::try_from(sent).unwrap()).await.unwrap();
        let name = if role == BOT { "bot" } else { "store" };
        chats.recorder.history().record_fault(&format!("kill -9 of the {name}")).unwrap();
        system.processes[role].kill().await;
        system.processes[role].restart();
    }
    while begun < conversations || !running.is_empty() {
        while running.len() < CONCURRENT_CONVERSATIONS && begun < conversations {
            begun += 1;
            running.spawn(chats.clone().converse(i64::try_from(begun).unwrap()));
        }
        running.join_next().await.unwrap().unwrap();
    }
    assert_eq!(telegram.webhook().is_some(), uses_webhook);
    let verdict = chats.recorder.verdict();
    assert_guarantees(verdict, rounds());
    assert_eq!(verdict.read_once, conversations);
}

/// Negative control: a bot whose updates count as confirmed on arrival, as in many libraries. It loses updates when it
/// crashes, and the verifier detects that.
async fn run_early_confirmation_control(name: &str, uses_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    telegram.confirm_on_arrival();
    let database = TestDatabase::sqlite().unwrap();
    let mut system = system(&telegram, &database, uses_webhook).await;
    let chats = Conversations::begin(&telegram, name);
    let mut running = JoinSet::new();
    for round in 0..CONTROL_ROUNDS {
        let before = telegram.calls("sendMessage").len();
        for number in 0..CONVERSATIONS_PER_ROUND {
            running.spawn(chats.clone().converse(i64::try_from(1 + round * CONVERSATIONS_PER_ROUND + number).unwrap()));
        }
        // From the first reply of a round, with most updates in flight, to the last.
        let more = 1 + round * 3 * CONVERSATIONS_PER_ROUND / CONTROL_ROUNDS;
        telegram.wait_for_calls("sendMessage", before + usize::try_from(more).unwrap()).await.unwrap();
        chats.recorder.history().record_fault("kill -9 of the bot").unwrap();
        system.processes[BOT].kill().await;
        system.processes[BOT].restart();
        system.wait_until_ready().await;
    }
    chats.crashes_done.cancel();
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    let verdict = chats.recorder.verdict();
    assert!(verdict.is_valid() && !verdict.is_complete(), "{verdict}");
    assert!(verdict.read_once < CONTROL_ROUNDS * CONVERSATIONS_PER_ROUND, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn early_confirmation_by_a_polling_bot_is_detected() {
    run_early_confirmation_control("kill-bot-polling-early.control", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn early_confirmation_by_a_bot_with_a_webhook_is_detected() {
    run_early_confirmation_control("kill-bot-webhook-early.control", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polling_bot_is_killed() {
    kill_during_conversations("kill-bot-polling", BOT, TestDatabase::sqlite().unwrap(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_a_webhook_is_killed() {
    kill_during_conversations("kill-bot-webhook", BOT, TestDatabase::sqlite().unwrap(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_on_postgres_is_killed() {
    kill_during_conversations("kill-bot-postgres", BOT, TestDatabase::postgres().await.unwrap(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_behind_a_bot_is_killed() {
    kill_during_conversations("kill-store-behind-bot", STORE, TestDatabase::sqlite().unwrap(), false).await;
}
