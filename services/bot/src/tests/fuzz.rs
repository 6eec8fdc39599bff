//! Every text gets a reply, and every stored text is viewed byte for byte: any text, and texts of likely pieces,
//! through the parser and the handlers.
//!
//! `PROPTEST_CASES=1000000 cargo test --package mayfly-bot fuzz command link` tries a million of each.

use std::sync::atomic::{AtomicU32, Ordering};

use mayfly_contracts::{MessageRef, bearer_metadata, message_ref::is_invisible};
use proptest::{prelude::*, test_runner::TestRunner};
use teloxide::types::{ChatId, MessageId};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::{
    fake_store::{FakeStore, PANIC},
    harness::{ANN, BOB, SERVICE_TOKEN, VIEWED, VIEWED_HERE, quick},
};
use crate::{
    bot_key::BotKey,
    conversation::{
        self,
        command::Command,
        context::Context,
        event::{ChatEvent, Content},
        language::Language,
        reply::Reply,
    },
    store_client::{StoreClient, StoreOutage},
};

/// Telegram's limit for a message.
const LONGEST_MESSAGE: usize = 4096;

/// At least `cases` cases. `PROPTEST_CASES` can increase the number.
pub(crate) fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let cases = config.cases.max(cases);
    // As many may be thrown away on the way.
    ProptestConfig {
        cases,
        max_global_rejects: cases,
        max_local_rejects: config.max_local_rejects.max(cases),
        ..config
    }
}

/// An id with a token that has the form of one.
pub(crate) fn any_message_ref() -> impl Strategy<Value = MessageRef> {
    (1..=i64::MAX, "[0-9a-f]{64}").prop_map(|(id, access_token)| MessageRef { id, access_token })
}

/// The characters that apps insert into long words, and their positions.
pub(crate) fn breaks() -> impl Strategy<Value = Vec<(usize, char)>> {
    let marks = "\n\r\t \u{a0}\u{ad}\u{200b}\u{200e}\u{200f}\u{202b}\u{2028}\u{2066}\u{2069}\u{feff}";
    let mark = proptest::sample::select(marks.chars().collect::<Vec<_>>());
    proptest::collection::vec((any::<usize>(), mark), 0..8)
}

/// `text` with these breaks in it.
pub(crate) fn broken(text: &str, breaks: &[(usize, char)]) -> String {
    let mut characters: Vec<_> = text.chars().collect();
    for (at, mark) in breaks {
        characters.insert(at % (characters.len() + 1), *mark);
    }
    characters.into_iter().collect()
}

/// Texts of likely pieces, so that most of them are commands.
pub(crate) fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[0-9]{1,20}",
        "[0-9a-f]{64}",
        proptest::sample::select(vec![
            "new", "NEW", "burn", "look", ":", "/", "@", " ", "\n", "1h", "start", "help", "AQ", "\u{200f}",
            "\u{200b}", "🎲",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The handlers in front of a store, without Telegram.
struct Handlers {
    runtime: Runtime,
    context: Context,
    update_id: AtomicU32,
}

impl Handlers {
    fn new() -> Self {
        let store = StoreClient::new(
            FakeStore::new().channel(),
            bearer_metadata(SERVICE_TOKEN).unwrap(),
            StoreOutage::default(),
            quick(),
            CancellationToken::new(),
        );
        let context = Context {
            store,
            bot_key: BotKey::random().unwrap(),
            bot_name: Some("mayfly_bot".to_owned()),
            public_url: Some("https://mayfly.example.org".parse().unwrap()),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, context, update_id: AtomicU32::new(0) }
    }

    fn reply(&self, chat: i64, text: &str) -> Reply {
        let event = ChatEvent {
            update_id: self.update_id.fetch_add(1, Ordering::Relaxed),
            sent_at: None,
            chat: ChatId(chat),
            thread: None,
            language: Language::English,
            group: None,
            content: Content::Text {
                message_id: Some(MessageId(1)),
                command: Command::parse(text),
                lost_marks: Vec::new(),
            },
        };
        self.runtime.block_on(conversation::handle(&self.context, &event)).expect("nothing stops")
    }

    fn ask(&self, chat: i64, text: &str) -> String {
        let reply = self.reply(chat, text);
        let Some(message) = reply.message else { panic!("silence") };
        if let Some(acknowledgement) = reply.acknowledge_after_send {
            self.runtime.block_on(self.context.store.acknowledge_view(acknowledgement));
        }
        message.text
    }
}

#[test]
fn every_text_is_kept_and_shown_byte_for_byte_once() {
    let handlers = Handlers::new();
    let keyword =
        proptest::sample::select(vec!["new:", "NEW:", " New :", "new 1h:", "new 2 days :", "\u{200f}new\u{200b}:"]);
    let text = prop_oneof![any::<String>(), pieces()]
        .prop_filter("what leaves no mark is no text", |text| !text.chars().all(is_invisible) && text != PANIC);
    let kept_and_shown = |(keyword, text, breaks): (&str, String, Vec<(usize, char)>)| {
        let message_ref = handlers.ask(ANN, &format!("{keyword}{text}"));
        prop_assert_eq!(handlers.ask(BOB, &broken(&message_ref, &breaks)), text);
        prop_assert_eq!(handlers.ask(BOB, &message_ref), VIEWED_HERE);
        prop_assert_eq!(handlers.ask(ANN, &message_ref), VIEWED);
        Ok(())
    };
    TestRunner::new(at_least(256)).run(&(keyword, text, breaks()), kept_and_shown).unwrap();
}

#[test]
fn every_text_has_an_answer_that_telegram_takes() {
    let handlers = Handlers::new();
    let text = prop_oneof![any::<String>(), pieces()].prop_filter("panics on purpose", |text| !text.contains(PANIC));
    let answered = |text: String| {
        let reply = handlers.ask(ANN, &text);
        prop_assert!(!reply.trim().is_empty() && reply.encode_utf16().count() <= LONGEST_MESSAGE, "{reply:?}");
        Ok(())
    };
    TestRunner::new(at_least(512)).run(&text, answered).unwrap();
}
