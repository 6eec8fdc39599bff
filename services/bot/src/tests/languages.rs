//! Everybody is answered in the language of their app.

use super::harness::{ANN, BOB, Mode, OPENED_HERE, in_both_modes, world_in};
use crate::conversation::{language::Language, texts::Phrase, wording};

in_both_modes! {
    everybody_is_answered_in_their_language,
}

async fn everybody_is_answered_in_their_language(mode: Mode) {
    let world = world_in(mode).await;
    for (tag, language) in
        [("de", Language::German), ("pt-BR", Language::Portuguese), ("ko", Language::Korean), ("xx", Language::English)]
    {
        world.telegram.user_speaks(ANN, tag);
        assert_eq!(world.ask(ANN, "/help").await, wording::help(language), "{tag}");
        assert_eq!(world.ask(ANN, "1:x").await, language.text(Phrase::Mistyped), "{tag}");
    }
    world.telegram.user_speaks(ANN, "ru");
    let kept = world.ask_message(ANN, "new:hello").await;
    assert_eq!(kept.labels()[0], Language::Russian.text(Phrase::ButtonCopy));
    assert_eq!(world.ask(BOB, &kept.text).await, "hello");
    let said = world.press(ANN, &kept, &Language::Russian.text(Phrase::ButtonLook)).await.unwrap();
    assert_eq!(said, "Это сообщение прочитано 2026-11-22 08:02 UTC. Если не вами, считайте его раскрытым.");
    assert_eq!(world.ask(BOB, &kept.text).await, OPENED_HERE, "Bob's app says nothing");
}
