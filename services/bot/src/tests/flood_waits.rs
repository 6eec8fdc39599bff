//! Flood waits of Telegram that are longer than the store keeps a text for its reader, with all defaults.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::harness::{ANN, BOB, Fixture, Mode, VIEWED_HERE, fixture_of, in_both_modes, start_of};
use crate::timeouts::Timeouts;

in_both_modes! {
    clock = paused;
    a_reader_who_asks_twice_around_a_flood_wait_of_all_chats_gets_the_text,
    a_reader_who_asks_once_before_the_end_of_a_flood_wait_gets_the_text,
    a_flood_wait_of_one_chat_is_no_flood_wait_of_another,
    a_text_is_kept_for_its_reader_when_the_bot_restarts_during_a_flood_wait,
    no_text_is_read_while_several_chats_cannot_be_written_to,
    a_text_stored_during_a_flood_wait_gets_its_token,
    a_text_that_was_revealed_during_a_flood_wait_is_shown,
}

/// Longer than the store keeps a text for its reader, which is ten minutes.
const WAIT: Duration = Duration::from_secs(700);
const CAROL: i64 = 700_000_003;

async fn fixture(mode: Mode) -> Fixture {
    // The paused clock ignores pending I/O of sockets, so it must advance in small steps.
    tokio::spawn(async {
        loop {
            sleep(Duration::from_millis(25)).await;
        }
    });
    fixture_of(mode, Timeouts::default()).await
}

/// Returns the next reply, after at most some hours.
async fn reply(fixture: &Fixture, chat: i64) -> String {
    for _ in 0..500 {
        if let Ok(reply) = fixture.telegram.next_reply(chat).await {
            return reply.text;
        }
    }
    panic!("silence")
}

async fn a_reader_who_asks_twice_around_a_flood_wait_of_all_chats_gets_the_text(mode: Mode) {
    // The second time the wait is longer than the time between the questions.
    for wait in [WAIT, WAIT + Duration::from_secs(60)] {
        let fixture = fixture(mode).await;
        let key = fixture.store.put("hello");
        fixture.telegram.flood_wait(None, wait);
        let start = Instant::now();
        fixture.telegram.user_says(ANN, &key);
        sleep_until(start + Duration::from_secs(710)).await;
        fixture.telegram.user_says(ANN, &key);
        assert_eq!(reply(&fixture, ANN).await, "hello");
        assert!(start.elapsed() >= wait);
        assert_eq!(reply(&fixture, ANN).await, VIEWED_HERE, "the second question is answered too");
        assert_eq!(fixture.store.texts(), 0, "acknowledged");
    }
}

async fn a_reader_who_asks_once_before_the_end_of_a_flood_wait_gets_the_text(mode: Mode) {
    let fixture = fixture(mode).await;
    fixture.telegram.flood_wait(None, WAIT);
    // The second goes as a file.
    for text in ["hello", " hello "] {
        fixture.telegram.user_says(ANN, &fixture.store.put(text));
    }
    assert_eq!(reply(&fixture, ANN).await, "hello");
    assert_eq!(reply(&fixture, ANN).await, " hello ");
}

async fn a_flood_wait_of_one_chat_is_no_flood_wait_of_another(mode: Mode) {
    let fixture = fixture(mode).await;
    let keys = ["hers", "his"].map(|text| fixture.store.put(text));
    fixture.telegram.flood_wait(Some(ANN), WAIT);
    let start = Instant::now();
    for (chat, key) in [ANN, BOB].into_iter().zip(&keys) {
        fixture.telegram.user_says(chat, key);
    }
    assert_eq!(reply(&fixture, BOB).await, "his");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(reply(&fixture, ANN).await, "hers");
    assert!(start.elapsed() >= WAIT);
}

async fn a_text_is_kept_for_its_reader_when_the_bot_restarts_during_a_flood_wait(mode: Mode) {
    let fixture = fixture(mode).await;
    let key = fixture.store.put("hello");
    fixture.telegram.flood_wait(None, WAIT);
    let start = Instant::now();
    fixture.telegram.user_says(ANN, &key);
    sleep_until(start + Duration::from_secs(650)).await;
    fixture.bot.kill().await;
    let bot = start_of(mode, &fixture.telegram, &fixture.store, Timeouts::default()).await;
    let fixture = Fixture { bot, ..fixture };
    assert_eq!(reply(&fixture, ANN).await, "hello");
}

async fn no_text_is_read_while_several_chats_cannot_be_written_to(mode: Mode) {
    let fixture = fixture(mode).await;
    let key = fixture.store.put("hello");
    fixture.telegram.flood_wait(None, WAIT);
    let start = Instant::now();
    for chat in [BOB, CAROL] {
        fixture.telegram.user_says(chat, "/help");
    }
    fixture.telegram.wait_for_calls("sendMessage", 2).await.unwrap();
    fixture.telegram.user_says(ANN, &key);
    sleep_until(start + WAIT - Duration::from_secs(10)).await;
    assert_eq!(fixture.store.view_calls(), 0);
    assert_eq!(reply(&fixture, ANN).await, "hello");
    for chat in [BOB, CAROL] {
        assert!(reply(&fixture, chat).await.contains("id:token"), "answered late rather than never");
    }
}

async fn a_text_stored_during_a_flood_wait_gets_its_token(mode: Mode) {
    let fixture = fixture(mode).await;
    fixture.telegram.flood_wait(None, WAIT);
    fixture.telegram.user_says(ANN, "new:hello");
    let key = reply(&fixture, ANN).await;
    fixture.telegram.user_says(BOB, &key);
    assert_eq!(reply(&fixture, BOB).await, "hello");
}

async fn a_text_that_was_revealed_during_a_flood_wait_is_shown(mode: Mode) {
    let fixture = fixture(mode).await;
    let key = fixture.store.put("hello");
    let (id, token) = key.split_once(':').unwrap();
    let offered = fixture.ask_message(ANN, &format!("https://mayfly.example.org/m/{id}#{token}")).await;
    fixture.telegram.flood_wait(None, WAIT);
    fixture.telegram.begin_press(ANN, offered.message_id, "Reveal").unwrap();
    assert_eq!(reply(&fixture, ANN).await, "hello");
}
