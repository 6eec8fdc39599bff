//! Tests of sealing.

use super::*;
use crate::domain::{Argon2Memory, Passphrase, Verifier};

const EXPIRY: Option<Timestamp> = Some(Timestamp::from_micros(1_795_334_564_485_522));

fn text(text: &str) -> MessageContent {
    MessageContent::unsealed(ContentKind::Text, text.as_bytes()).unwrap()
}

fn open(seal: &MessageSeal<'_>, sealed: &[u8], expire_time: Option<Timestamp>) -> Result<MessageContent, UnsealError> {
    seal.open(sealed, ContentKind::Text, expire_time)
}

fn open_claim(claim: &ClaimSeal<'_>, sealed: &[u8], forfeit_time: Timestamp) -> Result<MessageContent, UnsealError> {
    claim.open(sealed, ContentKind::Text, forfeit_time)
}

fn key_and_token() -> (Key, AccessToken) {
    (Key::generate(None).unwrap(), AccessToken::generate().unwrap())
}

#[test]
fn a_text_is_opened_byte_for_byte() {
    let (key, token) = key_and_token();
    let seal = MessageSeal::new(&key, &token, None);
    for original in ["x", " a:b \n", "\u{1f511}*_[", &"long ".repeat(13_000)] {
        let sealed = seal.seal(&text(original), EXPIRY).unwrap();
        assert_eq!(open(&seal, &sealed, EXPIRY), Ok(text(original)));
    }
}

#[test]
fn another_token_or_key_cannot_open_a_text() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let sealed = MessageSeal::new(&key, &token, None).seal(&text("hello"), EXPIRY).unwrap();
    let (other_key, other_token) = key_and_token();
    assert_eq!(open(&MessageSeal::new(&key, &other_token, None), &sealed, EXPIRY), Err(UnsealError));
    assert_eq!(open(&MessageSeal::new(&other_key, &token, None), &sealed, EXPIRY), Err(UnsealError));
}

#[test]
fn a_changed_byte_or_expiry_is_detected() {
    let (key, token) = key_and_token();
    let seal = MessageSeal::new(&key, &token, None);
    let sealed = seal.seal(&text("hello"), EXPIRY).unwrap();
    assert_eq!(open(&seal, &sealed, None), Err(UnsealError));
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert_eq!(open(&seal, &changed, EXPIRY), Err(UnsealError), "{position}");
        assert_eq!(open(&seal, &sealed[..position], EXPIRY), Err(UnsealError), "cut at {position}");
    }
}

#[test]
fn sealing_twice_gives_different_output() {
    let (key, token) = key_and_token();
    let seal = MessageSeal::new(&key, &token, None);
    assert_ne!(seal.seal(&text("hello"), EXPIRY).unwrap(), seal.seal(&text("hello"), EXPIRY).unwrap());
}

#[test]
fn short_texts_have_the_same_size_and_long_ones_grow_little() {
    let (key, token) = key_and_token();
    let seal = MessageSeal::new(&key, &token, None);
    let size = |length: usize| seal.seal(&text(&"x".repeat(length)), EXPIRY).unwrap().len();
    assert_eq!(size(1), size(252));
    for length in [253, 1_000, 4_096, 65_536] {
        assert!(size(length) <= (length + LENGTH_BYTES) * 112 / 100 + 41, "{length}");
    }
}

#[test]
fn the_size_classes_are_those_of_padme_from_256_bytes_on() {
    let classes = [1, 256, 257, 272, 273, 511, 1_000, 1_024, 1_025, 65_540].map(size_class);
    assert_eq!(classes, [256, 256, 272, 272, 288, 512, 1_024, 1_024, 1_088, 67_584]);
}

#[test]
fn config_secrets_open_with_an_older_key_but_not_under_another_name() {
    let keyring = Keyring::generate().unwrap();
    let sealed = seal_config_secret(keyring.sealing(Timestamp::from_micros(0)), "bot_token", "12:abc").unwrap();
    assert_eq!(open_config_secret(&keyring, "bot_token", &sealed).unwrap().as_str(), "12:abc");
    assert_eq!(open_config_secret(&keyring, "api_hash", &sealed), Err(UnsealError));
    assert_eq!(open_config_secret(&Keyring::generate().unwrap(), "bot_token", &sealed), Err(UnsealError));
}

#[test]
fn config_secrets_need_the_keyring() {
    let (one, two) = (Key::generate(None).unwrap(), Key::generate(None).unwrap());
    assert!(config_key(&one) == config_key(&one) && config_key(&one) != config_key(&two));
}

#[test]
fn a_passphrase_is_part_of_the_seal() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let stretched = |text: &str| {
        PassphraseKey::derive(
            &Passphrase::parse(text.to_owned()).unwrap().unwrap(),
            &token,
            &mut Argon2Memory::default(),
        )
        .unwrap()
    };
    let seal = MessageSeal::new(&key, &token, Some(&stretched("right")));
    let sealed = seal.seal(&text("hello"), EXPIRY).unwrap();
    assert_eq!(open(&seal, &sealed, EXPIRY), Ok(text("hello")));
    for other in [MessageSeal::new(&key, &token, Some(&stretched("wrong"))), MessageSeal::new(&key, &token, None)] {
        assert_eq!(open(&other, &sealed, EXPIRY), Err(UnsealError));
    }
    let verifier = |text: &str| Verifier::of_passphrase(&token, &stretched(text));
    assert_ne!(verifier("right"), verifier("wrong"));
}

#[test]
fn a_content_tag_depends_on_everything_that_was_requested() {
    let (key, token) = key_and_token();
    let (other_key, other_token) = key_and_token();
    let passphrase = |text: &str| {
        PassphraseKey::derive(
            &Passphrase::parse(text.to_owned()).unwrap().unwrap(),
            &token,
            &mut Argon2Memory::default(),
        )
        .unwrap()
    };
    let seal = MessageSeal::new(&key, &token, None);
    let sealed = MessageContent::unsealed(ContentKind::Sealed, b"hello").unwrap();
    let hour = Some(Duration::from_secs(3600));
    let tags = [
        seal.content_tag(&text("hello"), None),
        seal.content_tag(&text("hello!"), None),
        seal.content_tag(&sealed, None),
        seal.content_tag(&text("hello"), hour),
        seal.content_tag(&text("hello"), Some(Duration::ZERO)),
        MessageSeal::new(&key, &token, Some(&passphrase("a"))).content_tag(&text("hello"), None),
        MessageSeal::new(&key, &token, Some(&passphrase("b"))).content_tag(&text("hello"), None),
        MessageSeal::new(&other_key, &token, None).content_tag(&text("hello"), None),
        MessageSeal::new(&key, &other_token, None).content_tag(&text("hello"), None),
    ];
    let distinct: std::collections::HashSet<_> = tags.iter().map(|tag| tag.to_column()).collect();
    assert_eq!(distinct.len(), tags.len());
    assert!(
        MessageSeal::new(&key, &token, None).content_tag(&text("hello"), hour).matches_column(&tags[3].to_column())
    );
}

#[test]
fn a_claimed_text_can_be_opened_only_by_its_reader() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let view_id = |id| ViewId::parse(id).unwrap().unwrap();
    let mine = view_id("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11");
    let other = view_id("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12");
    let end = Timestamp::from_micros(7);
    let claim = ClaimSeal::new(&key, &token, mine);
    let sealed = claim.seal(&text("hello"), end).unwrap();
    assert_eq!(open_claim(&claim, &sealed, end), Ok(text("hello")));
    assert_eq!(open_claim(&claim, &sealed, Timestamp::from_micros(8)), Err(UnsealError), "the end is authenticated");
    assert_eq!(open_claim(&ClaimSeal::new(&key, &token, other), &sealed, end), Err(UnsealError));
    assert_ne!(Verifier::of_claim(&token, mine), Verifier::of_claim(&token, other));
    let link = MessageSeal::new(&key, &token, None);
    assert_eq!(open(&link, &sealed, Some(end)), Err(UnsealError), "the link alone cannot open it");
}

#[test]
fn the_kind_is_authenticated() {
    let (key, token) = (Key::generate(None).unwrap(), AccessToken::generate().unwrap());
    let bytes = b"\xff encrypted by its creator";
    let content = MessageContent::unsealed(ContentKind::Sealed, bytes).unwrap();
    let seal = MessageSeal::new(&key, &token, None);
    let sealed = seal.seal(&content, EXPIRY).unwrap();
    assert_eq!(seal.open(&sealed, ContentKind::Sealed, EXPIRY).unwrap().as_bytes(), bytes);
    assert_eq!(seal.open(&sealed, ContentKind::Text, EXPIRY), Err(UnsealError));
    let sealed = seal.seal(&text("hello"), EXPIRY).unwrap();
    assert_eq!(seal.open(&sealed, ContentKind::Sealed, EXPIRY), Err(UnsealError));

    let end = Timestamp::from_micros(7);
    let claim = ClaimSeal::new(&key, &token, ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap().unwrap());
    let sealed = claim.seal(&content, end).unwrap();
    assert_eq!(claim.open(&sealed, ContentKind::Sealed, end).unwrap().as_bytes(), bytes);
    assert_eq!(claim.open(&sealed, ContentKind::Text, end), Err(UnsealError));
    let sealed = claim.seal(&text("hello"), end).unwrap();
    assert_eq!(claim.open(&sealed, ContentKind::Sealed, end), Err(UnsealError));
}
