//! The files of texts are whole, and agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Pattern, PatternElement},
    parser,
};

use super::*;

/// The variables of each message.
type Messages = BTreeMap<String, BTreeSet<String>>;

fn messages(file: &str) -> Messages {
    let resource = parser::parse(file).expect("the file is Fluent");
    let mut messages = Messages::new();
    for entry in &resource.body {
        let message = match entry {
            Entry::Message(message) => message,
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => continue,
            other => panic!("not a message: {other:?}"),
        };
        let mut variables = BTreeSet::new();
        collect(message.value.as_ref().expect("a message has a value"), &mut variables);
        let known = messages.insert(message.id.name.to_owned(), variables);
        assert!(known.is_none(), "{} stands there twice", message.id.name);
    }
    messages
}

fn collect(pattern: &Pattern<&str>, variables: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        let (Expression::Inline(inline) | Expression::Select { selector: inline, .. }) = expression;
        let InlineExpression::VariableReference { id } = inline else { panic!("not a variable: {inline:?}") };
        variables.insert(id.name.to_owned());
        if let Expression::Select { variants, .. } = expression {
            variants.iter().for_each(|variant| collect(&variant.value, variables));
        }
    }
}

#[test]
fn every_language_has_every_message_with_the_same_variables() {
    let english = messages(Language::English.file());
    for language in Language::ALL {
        assert_eq!(messages(language.file()), english, "{language:?}");
    }
}

#[test]
fn every_message_is_used_and_every_used_message_is_there() {
    let used: BTreeSet<_> = Phrase::ALL.iter().map(|text| text.id().to_owned()).collect();
    assert_eq!(messages(Language::English.file()).into_keys().collect::<BTreeSet<_>>(), used);
}

#[test]
fn the_test_of_the_files_sees_what_is_missing_and_what_is_misspelt() {
    let english = "said = { $time } { $limit }";
    assert_ne!(messages("said = { $time }"), messages(english), "a variable is missing");
    assert_ne!(messages("said = { $time } { $limits }"), messages(english), "a variable is misspelt");
    assert_ne!(messages("sayd = { $time } { $limit }"), messages(english), "a message is misspelt");
}

#[test]
fn no_two_languages_say_the_same_thing_in_the_same_words() {
    // A translator who copies the English file sees here what is left to translate.
    for text in Phrase::ALL {
        let said: BTreeSet<_> = [Language::English, Language::Korean, Language::Russian, Language::German]
            .map(|language| language.text(*text))
            .into();
        assert_eq!(said.len(), 4, "{text:?}");
    }
}

#[test]
fn variables_are_filled_in_without_marks_around_them() {
    for language in Language::ALL {
        let said = language.text_with(Phrase::TextTooLong, [("limit", "65536")]);
        assert!(said.contains(" 65536") && said.is_ascii() == (language == Language::English), "{said}");
        assert!(!said.contains(['\u{2068}', '\u{2069}', '{', '$']), "{said}");
    }
}

#[test]
fn alerts_fit_the_limit_of_telegram() {
    let time = "2026-11-22 08:02 UTC";
    for language in Language::ALL {
        for text in Phrase::ALL {
            let is_longer = matches!(
                text,
                Phrase::HelpIntro
                    | Phrase::NewHelp
                    | Phrase::SplitText
                    | Phrase::LifetimeInvalid
                    | Phrase::FieldInvalid
                    | Phrase::FormattingLost
            );
            let said = language.text_with(*text, [("time", time), ("later", &language.text(Phrase::NotShownTryLater))]);
            assert!(is_longer || said.chars().count() <= 200, "{language:?} {text:?}");
        }
    }
}
