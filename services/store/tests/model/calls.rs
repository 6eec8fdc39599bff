//! The steps as calls of a real store, and its answers in the words of the model.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use mayfly_contracts::{
    CALLER_METADATA, ErrorInfo,
    message::{
        AcknowledgeViewRequest, CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, view_message_response,
    },
};
use mayfly_store::{Clock as _, Timestamp};
use mayfly_testkit::{TestClock, TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tonic::{Request, Status, metadata::MetadataValue};

use crate::{
    reference::{self, Answer, Moment, Rows},
    steps::{Call, Caller, Creation, Opener, Passphrase, Reader, Step, Verb},
};

const UNTOUCHED: &str = "nobody asks for this one";

/// A database on which one case after the other runs, and its time, which never goes back.
pub(crate) struct World {
    database: TestDatabase,
    connection: DatabaseConnection,
    clock: TestClock,
    cases: AtomicU32,
    /// What the last case left behind.
    store: Mutex<Option<TestStore>>,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> anyhow::Result<Self> {
        let connection = database.connect().await?;
        let (clock, cases, store) = (TestClock::default(), AtomicU32::new(0), Mutex::new(None));
        Ok(Self { database, connection, clock, cases, store })
    }

    /// The store of the last case, or a new one: opening one takes longer than many steps.
    pub(crate) async fn any_store(&self) -> anyhow::Result<TestStore> {
        let left = self.store.lock().unwrap().take();
        match left {
            Some(store) => Ok(store),
            None => self.open_store().await,
        }
    }

    /// Leaves a store that did no wrong to the next case.
    pub(crate) fn leave(&self, store: TestStore) {
        *self.store.lock().unwrap() = Some(store);
    }

    pub(crate) async fn open_store(&self) -> anyhow::Result<TestStore> {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let (ttl, grace) = (seconds(reference::DEFAULT_TTL), seconds(reference::GRACE));
        let retention = seconds(reference::RETENTION);
        let arguments = ["--default-ttl", &ttl, "--view-grace", &grace, "--receipt-retention", &retention];
        TestStore::open_with(self.database.clone(), self.clock.clone(), &arguments).await
    }
}

/// The calls of one case.
pub(crate) struct Calls<'world> {
    world: &'world World,
    number: u32,
    begin: Timestamp,
    /// Not in the model; its id and its token are what the wrong ones are made of.
    untouched: CreateMessageResponse,
    messages: Vec<CreateMessageResponse>,
    /// The number of `untouched` in the database. All other messages of the case have greater numbers.
    first_row: i64,
}

impl<'world> Calls<'world> {
    pub(crate) async fn begin(world: &'world World, store: &TestStore) -> anyhow::Result<Self> {
        let number = world.cases.fetch_add(1, Ordering::Relaxed);
        let ttl = prost_types::Duration { seconds: 90 * 24 * 3600, nanos: 0 };
        let untouched = CreateMessageRequest { ttl: Some(ttl), ..CreateMessageRequest::from_text(UNTOUCHED) };
        let untouched = store.create_with(untouched).await?;
        let newest = Statement::from_string(world.connection.get_database_backend(), "SELECT MAX(id) FROM messages");
        let newest = world.connection.query_one_raw(newest).await?.context("no message")?;
        let first_row = newest.try_get_by_index(0)?;
        Ok(Self { world, number, begin: world.clock.now(), untouched, messages: Vec::new(), first_row })
    }

    pub(crate) async fn end(self, store: &TestStore) -> anyhow::Result<()> {
        let viewed = store.view(&self.untouched).await?;
        ensure!(viewed.text() == Some(UNTOUCHED), "a message that nobody asked for is not as it was");
        Ok(())
    }

    pub(crate) async fn answer(&mut self, store: &TestStore, step: &Step) -> anyhow::Result<Answer> {
        match step {
            Step::Create(creation) => return self.create(store, creation).await,
            Step::Call(call) => {
                let answer = self.call(store, call).await;
                return Ok(answer.unwrap_or_else(|status| self.refused(&status)));
            }
            Step::Wait(duration) => self.world.clock.advance(*duration),
            Step::Sweep => store.store.sweep().await?,
            Step::Restart => {}
        }
        Ok(Answer::Done)
    }

    /// What lies in the database of this case.
    pub(crate) async fn rows(&self) -> anyhow::Result<Rows> {
        let connection = &self.world.connection;
        let id = self.first_row;
        let sql = format!(
            "SELECT (SELECT count(*) FROM messages WHERE id > {id}), \
             (SELECT count(*) FROM claims WHERE message_id > {id}), \
             (SELECT count(*) FROM receipts WHERE message_id > {id}), \
             (SELECT count(*) FROM passphrase_tries WHERE message_id > {id})"
        );
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await?;
        let row = row.context("no row of counts")?;
        let count = |index| anyhow::Ok(usize::try_from(row.try_get_by_index::<i64>(index)?)?);
        Ok(Rows { messages: count(0)?, claims: count(1)?, receipts: count(2)?, tries: count(3)? })
    }

    async fn create(&mut self, store: &TestStore, creation: &Creation) -> anyhow::Result<Answer> {
        let Creation { text, is_sealed, request, passphrase, ttl } = creation;
        let content = if *is_sealed {
            CreateMessageRequest::from_sealed(text.as_bytes())
        } else {
            CreateMessageRequest::from_text(text)
        };
        let request = CreateMessageRequest {
            ttl: ttl.map(TryInto::try_into).transpose()?,
            // Other cases have other requests.
            request_id: request.map(|request| uuid(self.number, request as u32)).unwrap_or_default(),
            passphrase: passphrase.map(in_words).unwrap_or_default().to_owned(),
            ..content
        };
        let created = match store.create_with(request).await {
            Ok(created) => created,
            Err(status) => return Ok(self.refused(&status)),
        };
        let (create_time, expire_time) = (self.moment(created.create_time), self.maybe_moment(created.expire_time));
        let is_created = |message: &CreateMessageResponse| {
            (message.id, &message.access_token) == (created.id, &created.access_token)
        };
        let message = match self.messages.iter().position(is_created) {
            Some(message) => message,
            None => {
                let others = self.messages.iter().chain([&self.untouched]);
                let is_new = others.into_iter().all(|other| other.id != created.id);
                ensure!(is_new, "{} is the id of another message", created.id);
                self.messages.push(created);
                self.messages.len() - 1
            }
        };
        Ok(Answer::Stored { message, create_time, expire_time })
    }

    async fn call(&self, store: &TestStore, Call { message, opener, verb }: &Call) -> Result<Answer, Status> {
        let last = self.messages.len() - 1;
        let message = self.opened_with(&self.messages[last - message], *opener);
        match verb {
            Verb::Lookup => {
                let found = store.lookup(&message).await?;
                Ok(Answer::Found {
                    state: found.state(),
                    state_time: self.moment(found.state_time),
                    expire_time: self.maybe_moment(found.expire_time),
                    needs_passphrase: found.needs_passphrase,
                    is_sealed: found.is_sealed,
                })
            }
            Verb::View { reader, passphrase, caller, accepts_sealed } => {
                let mut request = Request::new(ViewMessageRequest {
                    id: message.id,
                    access_token: message.access_token,
                    view_id: reader.map(view_id).unwrap_or_default(),
                    passphrase: passphrase.map(in_words).unwrap_or_default().to_owned(),
                    accepts_sealed: *accepts_sealed,
                });
                request.metadata_mut().insert(CALLER_METADATA, MetadataValue::from_static(address(*caller)));
                let viewed = store.messages().view_message(request).await?.into_inner();
                let (text, is_sealed) = match viewed.content {
                    Some(view_message_response::Content::Text(text)) => (text, false),
                    Some(view_message_response::Content::Sealed(sealed)) => (String::from_utf8(sealed).unwrap(), true),
                    None => return Err(Status::internal("a message without content")),
                };
                Ok(Answer::Viewed {
                    text,
                    is_sealed,
                    create_time: self.moment(viewed.create_time),
                    repeat_until: self.maybe_moment(viewed.repeat_until),
                })
            }
            Verb::Acknowledge(reader) => {
                let CreateMessageResponse { id, access_token, .. } = message;
                let request = AcknowledgeViewRequest { id, access_token, view_id: view_id(*reader) };
                let acknowledged = store.messages().acknowledge_view(request).await?.into_inner();
                Ok(Answer::Acknowledged { view_time: self.moment(acknowledged.view_time) })
            }
            Verb::Burn => {
                let burned = store.burn(&message).await?;
                Ok(Answer::Burned { burn_time: self.moment(burned.burn_time) })
            }
        }
    }

    fn opened_with(&self, message: &CreateMessageResponse, opener: Opener) -> CreateMessageResponse {
        let mut message = message.clone();
        match opener {
            Opener::Right => {}
            Opener::MistypedToken => {
                let last = message.access_token.pop();
                message.access_token.push(if last == Some('0') { '1' } else { '0' });
            }
            Opener::TokenOfAnother => message.access_token.clone_from(&self.untouched.access_token),
            Opener::IdOfAnother => message.id = self.untouched.id,
        }
        message
    }

    fn refused(&self, status: &Status) -> Answer {
        let ErrorInfo { reason, metadata, retry_after, .. } = ErrorInfo::from_status(status);
        let time = metadata.get("time").map(|time| self.since_begin(time.parse().unwrap()));
        Answer::Refused { reason, time, retry_after }
    }

    fn moment(&self, time: Option<prost_types::Timestamp>) -> Moment {
        self.maybe_moment(time).unwrap()
    }

    fn maybe_moment(&self, time: Option<prost_types::Timestamp>) -> Option<Moment> {
        let micros = |time: prost_types::Timestamp| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000;
        time.map(|time| self.since_begin(Timestamp::from_micros(micros(time))))
    }

    fn since_begin(&self, time: Timestamp) -> Moment {
        assert!(time >= self.begin, "{time} is before anything was done");
        time.since(self.begin)
    }
}

fn view_id(reader: Reader) -> String {
    uuid(u32::MAX, reader as u32)
}

fn uuid(high: u32, low: u32) -> String {
    format!("{high:08x}-0000-4000-8000-{low:012x}")
}

fn in_words(passphrase: Passphrase) -> &'static str {
    match passphrase {
        Passphrase::One => "one",
        Passphrase::Two => "two",
    }
}

fn address(caller: Caller) -> &'static str {
    match caller {
        Caller::A => "10.0.0.1",
        Caller::B => "10.0.0.2",
    }
}
