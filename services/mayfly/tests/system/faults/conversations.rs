//! `kill -9` of the bot in the middle of conversations, however it gets its updates, and of the store behind it.

use std::sync::Arc;

use mayfly_check::{Answer, Call};
use mayfly_testkit::{FakeTelegram, TestDatabase};
use tokio::task::JoinSet;

use super::trial::{Diary, assert_kept, rounds};
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

/// One conversation: a text stored and read in the same chat; how often the bot dies meanwhile does not matter.
async fn converse(telegram: FakeTelegram, diary: Arc<Diary>, chat: i64) {
    let message = diary.new_message();
    let text = format!("text {message} {chat}");
    let create = diary.history().intend(message, Call::Create).unwrap();
    let opener = ask(&telegram, chat, &format!("new:{text}"), is_opener).await;
    diary.history().answered(create, Answer::Created(message)).unwrap();
    let reader = u64::try_from(chat).unwrap();
    let view = diary.history().intend(message, Call::View { reader: Some(reader) }).unwrap();
    let got = ask(&telegram, chat, &opener, |reply| !is_opener(reply)).await;
    let answer = if got == text {
        Answer::Text(Some(message))
    } else if got.contains("was read on") {
        Answer::Gone
    } else {
        Answer::Text(None)
    };
    diary.history().answered(view, answer).unwrap();
    // Another chat comes too late.
    let late = chat + 1_000_000;
    let view = diary.history().intend(message, Call::View { reader: Some(reader + 1_000_000) }).unwrap();
    let got = ask(&telegram, late, &opener, |_| true).await;
    let answer =
        if got.contains("was read on") { Answer::Gone } else { Answer::Text((got == text).then_some(message)) };
    diary.history().answered(view, answer).unwrap();
    // However often the creation was answered, it was one.
    let replies = telegram.replies(chat);
    let openers: Vec<_> = replies.iter().map(|reply| &reply.text).filter(|reply| is_opener(reply)).collect();
    assert!(openers.iter().all(|other| **other == opener), "{openers:?}");
}

fn is_opener(reply: &str) -> bool {
    reply.split_once(':').is_some_and(|(id, token)| id.parse::<i64>().is_ok() && token.len() == 64)
}

/// The first reply that answers this question: an earlier one may be answered twice when the bot died in between.
async fn ask(telegram: &FakeTelegram, chat: i64, question: &str, is_answer: impl Fn(&str) -> bool) -> String {
    telegram.user_says(chat, question);
    loop {
        let reply = telegram.next_reply(chat).await.unwrap().text;
        if is_answer(&reply) {
            return reply;
        }
    }
}

async fn a_part_is_killed(name: &str, part: usize, database: TestDatabase, by_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    // Telegram's limit would only make it take longer.
    let bot_environment = &[("MAYFLY_MESSAGES_PER_SECOND", "1000")];
    let options = Options { telegram: Some(telegram.url()), by_webhook, bot_environment, ..Options::default() };
    let mut system = System::start(Layout::Three, &database, options).await;
    add_config(&system, "first", BOT_TOKEN).await;

    let diary = Diary::begin(name);
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
            running.spawn(converse(telegram.clone(), Arc::clone(&diary), i64::try_from(begun).unwrap()));
        }
        // Dies when some of these have been answered, and others not. Each conversation takes three messages.
        sent = (sent + SENT_EACH_ROUND + round * 7 % SENT_EACH_ROUND).min(3 * begun - 1);
        telegram.called("sendMessage", usize::try_from(sent).unwrap()).await.unwrap();
        let name = if part == BOT { "bot" } else { "store" };
        diary.history().fault(&format!("kill -9 of the {name}")).unwrap();
        system.processes[part].kill().await;
        system.processes[part].start_again();
    }
    while begun < conversations || !running.is_empty() {
        while running.len() < AT_A_TIME && begun < conversations {
            begun += 1;
            running.spawn(converse(telegram.clone(), Arc::clone(&diary), i64::try_from(begun).unwrap()));
        }
        running.join_next().await.unwrap().unwrap();
    }
    assert_eq!(telegram.webhook().is_some(), by_webhook);
    let verdict = diary.verdict();
    assert_kept(verdict, rounds());
    assert_eq!(verdict.read_once, conversations);
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
