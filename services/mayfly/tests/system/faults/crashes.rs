//! `kill -9` of each part, at any moment.

use std::sync::Arc;

use mayfly_check::{Answer, Call, Door, Habits};
use mayfly_testkit::{FakeTelegram, TestDatabase};
use tokio::{process::Command, task::JoinSet};

use super::trial::{Diary, Trial, all_doors, assert_kept, rounds};
use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System, until},
};

const STORE: usize = 0;
const GATEWAY: usize = 1;
const BOT: usize = 2;
/// Conversations with the bot at a time.
const CHATS: usize = 10;

/// Lets the load run a little further each time, so that death comes at ever other moments.
async fn some_progress(trial: &Trial, round: u64) {
    trial.progress(10 + round * 7 % 50).await;
}

async fn the_store_is_killed(name: &str, database: TestDatabase) {
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let trial = Trial::begin(name, all_doors(&system), Habits::default());
    for round in 0..rounds() {
        some_progress(&trial, round).await;
        trial.fault("kill -9 of the store");
        system.processes[STORE].kill().await;
        system.processes[STORE].start_again();
    }
    system.ready().await;
    assert_kept(trial.verdict().await, rounds());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_sqlite() {
    the_store_is_killed("kill-store-sqlite", TestDatabase::sqlite().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_on_postgres() {
    the_store_is_killed("kill-store-postgres", TestDatabase::postgres().await.unwrap()).await;
}

/// Death inside a commit: with the n-th write or sync of the store's files.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_dies_within_its_writes() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let trial = Trial::begin("kill-within-writes", all_doors(&system), Habits::default());
    for round in 0..rounds() {
        some_progress(&trial, round).await;
        trial.fault("kill -9 with a write or a sync");
        let store = &mut system.processes[STORE];
        let inject = format!("inject=pwrite64,fdatasync,fsync:signal=KILL:when={}", 1 + round % 12);
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-q",
            "-o",
            "/dev/null",
            "-e",
            "trace=pwrite64,fdatasync,fsync",
            "-e",
            &inject,
            "-p",
            &store.id(),
        ]);
        let mut strace = strace.kill_on_drop(true).spawn().expect("this test needs strace: apt-get install strace");
        let status = store.ended().await;
        assert!(status.code().is_none(), "killed by a signal: {status}");
        strace.wait().await.unwrap();
        system.processes[STORE].start_again();
    }
    system.ready().await;
    assert_kept(trial.verdict().await, rounds());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let doors = || vec![Door::grpc(&system.gateway_url).unwrap(), Door::rest(&system.gateway_url).unwrap()];
    let (with_keys, without_keys) = (Habits::default(), Habits { have_keys: false, ..Habits::default() });
    let trial = Trial::begin("kill-gateway", doors(), with_keys);
    let control = Trial::begin("kill-gateway-without-keys.control", doors(), without_keys);
    for round in 0..rounds() {
        some_progress(&trial, round).await;
        trial.fault("kill -9 of the gateway");
        control.fault("kill -9 of the gateway");
        system.processes[GATEWAY].kill().await;
        system.processes[GATEWAY].start_again();
        control.progress(10).await;
    }
    system.ready().await;
    assert_kept(trial.verdict().await, rounds());
    // Control: who has no key forfeits, and that is seen. Rarely, no reader happens to be on the way when death comes.
    let control = control.verdict().await;
    assert!(control.is_valid(), "{control}");
    assert!(control.forfeited > 0 || rounds() < 20, "{control}");
}

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

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_is_killed() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), options).await;
    add_config(&system, "first", BOT_TOKEN).await;

    let diary = Diary::begin("kill-bot");
    let mut chats = JoinSet::new();
    let mut next_chat = 1;
    for round in 0..rounds() {
        while let Some(ended) = chats.try_join_next() {
            ended.unwrap();
        }
        while chats.len() < CHATS {
            chats.spawn(converse(telegram.clone(), Arc::clone(&diary), next_chat));
            next_chat += 1;
        }
        // Dies when some of these have been answered, and others not.
        let goal = telegram.calls("sendMessage").len() + 4 + usize::try_from(round % 8).unwrap();
        until("the bot has sent something", async || telegram.calls("sendMessage").len() >= goal).await;
        diary.history().fault("kill -9 of the bot").unwrap();
        system.processes[BOT].kill().await;
        system.processes[BOT].start_again();
    }
    while let Some(ended) = chats.join_next().await {
        ended.unwrap();
    }
    let verdict = diary.verdict();
    assert_kept(verdict, rounds());
    assert_eq!(verdict.read_once, u64::try_from(next_chat - 1).unwrap());
}
