//! Tests of sealing.

use std::time::Duration;

use super::*;
use crate::domain::{Lifetime, Limits, Passphrase, PassphraseSalt};

const EXPIRY: Option<Timestamp> = Some(Timestamp::from_micros(1_795_334_564_485_522));

fn text(text: &str) -> MessageText {
    let forever = Lifetime::Limited(Duration::MAX);
    let limits = Limits { max_text_bytes: usize::MAX, default_ttl: forever, max_ttl: forever };
    MessageText::parse(text.to_owned(), &limits).unwrap()
}

fn seal() -> MessageSeal {
    MessageSeal::new(&Key::generate(None).unwrap(), &AccessToken::generate().unwrap(), None)
}

#[test]
fn a_text_comes_back_byte_for_byte() {
    let seal = seal();
    for original in ["x", " a:b \n", "\u{1f511}*_[", &"long ".repeat(13_000)] {
        let sealed = seal.seal(&text(original), EXPIRY).unwrap();
        assert_eq!(seal.open(&sealed, EXPIRY).unwrap().as_str(), original);
    }
}

#[test]
fn another_token_or_another_key_opens_nothing() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let sealed = MessageSeal::new(&key, &token, None).seal(&text("hello"), EXPIRY).unwrap();
    let other_token = MessageSeal::new(&key, &AccessToken::generate().unwrap(), None);
    let other_key = MessageSeal::new(&Key::generate(None).unwrap(), &token, None);
    assert_eq!(other_token.open(&sealed, EXPIRY), Err(Unreadable));
    assert_eq!(other_key.open(&sealed, EXPIRY), Err(Unreadable));
    assert!(other_key.verifier() != MessageSeal::new(&key, &token, None).verifier());
}

#[test]
fn a_changed_byte_or_expiry_is_noticed() {
    let seal = seal();
    let sealed = seal.seal(&text("hello"), EXPIRY).unwrap();
    assert_eq!(seal.open(&sealed, None), Err(Unreadable));
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert_eq!(seal.open(&changed, EXPIRY), Err(Unreadable), "{position}");
        assert_eq!(seal.open(&sealed[..position], EXPIRY), Err(Unreadable), "cut at {position}");
    }
}

#[test]
fn a_seal_never_looks_the_same_twice() {
    let seal = seal();
    assert_ne!(seal.seal(&text("hello"), EXPIRY).unwrap(), seal.seal(&text("hello"), EXPIRY).unwrap());
}

#[test]
fn short_texts_all_have_one_size_and_long_ones_grow_little() {
    let seal = seal();
    let size = |length: usize| seal.seal(&text(&"x".repeat(length)), EXPIRY).unwrap().len();
    assert_eq!(size(1), size(252));
    for length in [253, 1_000, 4_096, 65_536] {
        assert!(size(length) <= (length + LENGTH_BYTES) * 112 / 100 + 41, "{length}");
    }
}

#[test]
fn config_secrets_open_with_an_older_key_but_not_under_another_name() {
    let keyring = Keyring::generate().unwrap();
    let sealed = seal_config_secret(keyring.sealing(Timestamp::from_micros(0)), "bot_token", "12:abc").unwrap();
    assert_eq!(open_config_secret(&keyring, "bot_token", &sealed).unwrap().as_str(), "12:abc");
    assert_eq!(open_config_secret(&keyring, "api_hash", &sealed), Err(Unreadable));
    assert_eq!(open_config_secret(&Keyring::generate().unwrap(), "bot_token", &sealed), Err(Unreadable));
}

#[test]
fn a_passphrase_is_part_of_the_seal() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let salt = PassphraseSalt::generate().unwrap();
    let stretched =
        |text: &str| PassphraseKey::derive(&Passphrase::parse(text.to_owned()).unwrap().unwrap(), salt).unwrap();
    let seal = MessageSeal::new(&key, &token, Some(&stretched("right")));
    let sealed = seal.seal(&text("hello"), EXPIRY).unwrap();
    assert_eq!(seal.open(&sealed, EXPIRY).unwrap().as_str(), "hello");
    for other in [MessageSeal::new(&key, &token, Some(&stretched("wrong"))), MessageSeal::new(&key, &token, None)] {
        assert_eq!(other.open(&sealed, EXPIRY), Err(Unreadable));
        assert!(other.verifier() == seal.verifier(), "the token is found without the passphrase");
        assert!(other.passphrase_verifier() != seal.passphrase_verifier());
    }
}

#[test]
fn a_claimed_text_opens_for_its_reader_alone() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let view_id = |id| ViewId::parse(id).unwrap().unwrap();
    let mine = view_id("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11");
    let other = view_id("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12");
    let end = Timestamp::from_micros(7);
    let claim = ClaimSeal::new(&key, &token, mine);
    let sealed = claim.seal(&text("hello"), end).unwrap();
    assert_eq!(claim.open(&sealed, end).unwrap().as_str(), "hello");
    assert_eq!(claim.open(&sealed, Timestamp::from_micros(8)), Err(Unreadable), "the end is sealed in");
    assert_eq!(ClaimSeal::new(&key, &token, other).open(&sealed, end), Err(Unreadable));
    assert!(ClaimSeal::new(&key, &token, other).verifier() != claim.verifier());
    let link = MessageSeal::new(&key, &token, None);
    assert_eq!(link.open(&sealed, Some(end)), Err(Unreadable), "the link alone does not open it");
}
