//! People without the token.

use std::collections::BTreeSet;

use mayfly_contracts::message::{
    BurnMessageRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest, MessageState,
    ViewMessageRequest,
};
use mayfly_testkit::on_each_database;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::trial::rounds;
use crate::harness::{Layout, Options, System};

/// Guesses on the way at a time.
const AT_ONCE: u64 = 64;

/// The `number`th token that looks right: 28 bytes, and the first 4 of a SHA-256 of them.
fn token(number: u64) -> String {
    let secret: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(28).collect();
    let checksum = Sha256::new().chain_update(b"mayfly access token checksum v1").chain_update(&secret).finalize();
    hex::encode([&secret, &checksum[..4]].concat())
}

/// What a stranger sees of an answer, but for the time of day.
fn seen(status: &Status) -> String {
    let headers: BTreeSet<_> = status.metadata().keys().map(|key| format!("{key:?}")).collect();
    format!("{:?} {} {:?} {headers:?}", status.code(), status.message(), status.details())
}

async fn ask_everything(system: &System, id: i64, access_token: String) -> BTreeSet<String> {
    let mut messages = system.messages();
    let view = ViewMessageRequest { id, access_token: access_token.clone(), ..ViewMessageRequest::default() };
    let burn = BurnMessageRequest { id, access_token: access_token.clone() };
    let answers = [
        messages.view_message(view).await.map(drop).unwrap_err(),
        messages.burn_message(burn).await.map(drop).unwrap_err(),
        messages.lookup_message(LookupMessageRequest { id, access_token }).await.map(drop).unwrap_err(),
    ];
    answers.iter().map(seen).collect()
}

on_each_database! {
    async fn a_stranger_finds_nothing_and_sees_no_difference(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let create = || CreateMessageRequest::of_text("hello");
        let mut messages = system.messages();
        let mut created: Vec<CreateMessageResponse> = Vec::new();
        for _ in 0..3 {
            created.push(messages.create_message(create()).await.unwrap().into_inner());
        }
        let opener = |message: &CreateMessageResponse| (message.id, message.access_token.clone());
        let (id, access_token) = opener(&created[1]);
        let view = ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() };
        messages.view_message(view).await.unwrap();
        let (id, access_token) = opener(&created[2]);
        messages.burn_message(BurnMessageRequest { id, access_token }).await.unwrap();

        // Unread, viewed, burned, and one that never was.
        let ids = [created[0].id, created[1].id, created[2].id, 1_000_000];
        let mut answers = BTreeSet::new();
        for first in (0..rounds() * 500).step_by(usize::try_from(AT_ONCE).unwrap()) {
            let guesses = (first..first + AT_ONCE).map(|number| {
                ask_everything(&system, ids[usize::try_from(number % 4).unwrap()], token(number + 1))
            });
            answers.extend(futures_util::future::join_all(guesses).await.into_iter().flatten());
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.starts_with("NotFound")), "{answers:?}");

        let (id, access_token) = opener(&created[0]);
        let looked = messages.lookup_message(LookupMessageRequest { id, access_token }).await.unwrap().into_inner();
        assert_eq!(looked.state(), MessageState::Unread, "the owner is not shut out");
    }
}
