//! The bot replies in the language of the user's app.

use super::harness::{ANN, BOB, Mode, VIEWED_HERE, fixture_in, in_both_modes};
use crate::conversation::{language::Language, texts::Phrase, wording};

in_both_modes! {
    every_user_gets_replies_in_their_language,
}

async fn every_user_gets_replies_in_their_language(mode: Mode) {
    let fixture = fixture_in(mode).await;
    for (tag, language) in
        [("de", Language::German), ("pt-BR", Language::Portuguese), ("ko", Language::Korean), ("xx", Language::English)]
    {
        fixture.telegram.user_speaks(ANN, tag);
        assert_eq!(fixture.ask(ANN, "/help").await, wording::help(language), "{tag}");
        assert_eq!(fixture.ask(ANN, "1:x").await, language.text(Phrase::MessageRefInvalid), "{tag}");
    }
    fixture.telegram.user_speaks(ANN, "ru");
    let kept = fixture.ask_message(ANN, "new:hello").await;
    assert_eq!(kept.labels()[0], Language::Russian.text(Phrase::ButtonCopy));
    assert_eq!(fixture.ask(BOB, &kept.text).await, "hello");
    let said = fixture.press(ANN, &kept, &Language::Russian.text(Phrase::ButtonLook)).await.unwrap();
    assert_eq!(said, "Это сообщение прочитано 2026-11-22 08:02 UTC. Если не вами, считайте его раскрытым.");
    assert_eq!(fixture.ask(BOB, &kept.text).await, VIEWED_HERE, "Bob's app says nothing");
}
