//! `kill -9` of the bot in the middle of conversations, however it gets its updates, and of the store behind it.

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
/// Conversations for each death of the bot, and how many are held at a time.
const EACH_ROUND: u64 = 10;
const AT_A_TIME: usize = 20;
/// As many messages as the bot sends at least between two deaths: about what the conversations of a round need.
const SENT_EACH_ROUND: u64 = 15;
/// How often the bot dies that is built wrongly.
const CONTROL_ROUNDS: u64 = 6;

/// Somebody's chats with a bot that dies now and then.
#[derive(Clone)]
struct Conversations {
    telegram: FakeTelegram,
    recorder: Arc<Recorder>,
    /// Cancelled when the bot has died for the last time.
    crashes_done: CancellationToken,
}

impl Conversations {
    fn begin(telegram: &FakeTelegram, name: &str) -> Self {
        Self { telegram: telegram.clone(), recorder: Recorder::begin(name), crashes_done: CancellationToken::new() }
    }

    /// One conversation: a text stored and read in the same chat, and asked for in another one too late; how often the bot dies
    /// meanwhile does not matter. Ends with the first question that is never answered.
    async fn converse(self, chat: i64) {
        let message = self.recorder.new_message();
        let text = format!("text {message} {chat}");
        let history = self.recorder.history();
        let create = history.record_invocation(message, Call::Create).unwrap();
        let Some(message_ref) = self.ask(chat, &format!("new:{text}"), is_message_ref).await else { return };
        history.record_outcome(create, Outcome::Created(message)).unwrap();
        let late = chat + 1_000_000;
        for chat in [chat, late] {
            let reader = u64::try_from(chat).unwrap();
            let view = history.record_invocation(message, Call::View { reader: Some(reader) }).unwrap();
            let Some(got) = self.ask(chat, &message_ref, |reply| !is_message_ref(reply)).await else { return };
            let answer = if got.contains("was read on") {
                Outcome::Gone
            } else {
                Outcome::Text((got == text).then_some(message))
            };
            history.record_outcome(view, answer).unwrap();
        }
        // However often the creation was answered, it was one.
        let replies = self.telegram.replies(chat);
        let message_refs: Vec<_> =
            replies.iter().map(|reply| &reply.text).filter(|reply| is_message_ref(reply)).collect();
        assert!(message_refs.iter().all(|other| **other == message_ref), "{message_refs:?}");
    }

    /// The first reply that answers this question: an earlier one may be answered twice when the bot died in between. `None` when the
    /// question was lost, which shows when something that was asked after it is answered.
    async fn ask(&self, chat: i64, question: &str, is_answer: impl Fn(&str) -> bool) -> Option<String> {
        let is_help = |reply: &str| reply.contains("new:your text");
        let next = async || self.telegram.next_reply(chat).await.unwrap().text;
        let is_answer = |reply: &str| is_answer(reply) && !is_help(reply);
        self.telegram.user_says(chat, question);
        while let Some(reply) = self.crashes_done.run_until_cancelled(next()).await {
            if is_answer(&reply) {
                return Some(reply);
            }
        }
        self.telegram.user_says(chat, "/help");
        let mut answer = None;
        loop {
            let reply = next().await;
            if is_help(&reply) {
                return answer;
            }
            answer = answer.or_else(|| is_answer(&reply).then_some(reply));
        }
    }
}

fn is_message_ref(reply: &str) -> bool {
    reply.split_once(':').is_some_and(|(id, token)| id.parse::<i64>().is_ok() && token.len() == 64)
}

/// A system whose bot has something to do and a token to do it with.
async fn system(telegram: &FakeTelegram, database: &TestDatabase, uses_webhook: bool) -> System {
    // Telegram's limit would only make it take longer.
    let bot_environment = &[("MAYFLY_MESSAGES_PER_SECOND", "1000")];
    let options = Options { telegram: Some(telegram.url()), uses_webhook, bot_environment, ..Options::default() };
    let system = System::start(Layout::Three, database, options).await;
    add_config(&system, "first", BOT_TOKEN).await;
    system
}

async fn a_part_is_killed(name: &str, part: usize, database: TestDatabase, uses_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let mut system = system(&telegram, &database, uses_webhook).await;
    let chats = Conversations::begin(&telegram, name);
    let conversations = rounds() * EACH_ROUND;
    let mut running = JoinSet::new();
    let mut begun = 0;
    let mut sent = 0;
    for round in 0..rounds() {
        while let Some(ended) = running.try_join_next() {
            ended.unwrap();
        }
        while running.len() < AT_A_TIME && begun < conversations {
            begun += 1;
            running.spawn(chats.clone().converse(i64::try_from(begun).unwrap()));
        }
        // Dies when some of these have been answered, and others not. Each conversation takes three messages.
        sent = (sent + SENT_EACH_ROUND + round * 7 % SENT_EACH_ROUND).min(3 * begun - 1);
        telegram.wait_for_calls("sendMessage", usize::try_from(sent).unwrap()).await.unwrap();
        let name = if part == BOT { "bot" } else { "store" };
        chats.recorder.history().record_fault(&format!("kill -9 of the {name}")).unwrap();
        system.processes[part].kill().await;
        system.processes[part].restart();
    }
    while begun < conversations || !running.is_empty() {
        while running.len() < AT_A_TIME && begun < conversations {
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

/// Control: a bot whose updates count as confirmed when they arrive, as those of libraries do, loses some of them when it dies, and
/// that is seen.
async fn a_bot_that_confirms_too_early_is_killed(name: &str, uses_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    telegram.confirm_on_arrival();
    let database = TestDatabase::sqlite().unwrap();
    let mut system = system(&telegram, &database, uses_webhook).await;
    let chats = Conversations::begin(&telegram, name);
    let mut running = JoinSet::new();
    for round in 0..CONTROL_ROUNDS {
        let before = telegram.calls("sendMessage").len();
        for number in 0..EACH_ROUND {
            running.spawn(chats.clone().converse(i64::try_from(1 + round * EACH_ROUND + number).unwrap()));
        }
        // From the first answer of a round, with most others in hand, to the last.
        let more = 1 + round * 3 * EACH_ROUND / CONTROL_ROUNDS;
        telegram.wait_for_calls("sendMessage", before + usize::try_from(more).unwrap()).await.unwrap();
        chats.recorder.history().record_fault("kill -9 of the bot").unwrap();
        system.processes[BOT].kill().await;
        system.processes[BOT].restart();
        system.ready().await;
    }
    chats.crashes_done.cancel();
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    let verdict = chats.recorder.verdict();
    assert!(verdict.is_valid() && !verdict.is_complete(), "{verdict}");
    assert!(verdict.read_once < CONTROL_ROUNDS * EACH_ROUND, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_polls_and_confirms_too_early_is_found_out() {
    a_bot_that_confirms_too_early_is_killed("kill-bot-polling-early.control", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_a_webhook_that_confirms_too_early_is_found_out() {
    a_bot_that_confirms_too_early_is_killed("kill-bot-webhook-early.control", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_polls_is_killed() {
    a_part_is_killed("kill-bot-polling", BOT, TestDatabase::sqlite().unwrap(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_a_webhook_is_killed() {
    a_part_is_killed("kill-bot-webhook", BOT, TestDatabase::sqlite().unwrap(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_before_postgres_is_killed() {
    a_part_is_killed("kill-bot-postgres", BOT, TestDatabase::postgres().await.unwrap(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_behind_a_bot_is_killed() {
    a_part_is_killed("kill-store-behind-bot", STORE, TestDatabase::sqlite().unwrap(), false).await;
}
