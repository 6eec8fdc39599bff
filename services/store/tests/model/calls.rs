//! Runs the steps as calls of a store, and converts its responses into those of the model.

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
    reference::{self, Elapsed, Response, Rows},
    steps::{Call, Caller, Creation, Method, Passphrase, Reader, RefKind, Step},
};

const UNTOUCHED: &str = "untouched";

/// A database for all cases, whose clock never goes back.
pub(crate) struct Environment {
    database: TestDatabase,
    connection: DatabaseConnection,
    clock: TestClock,
    cases: AtomicU32,
    /// The store of the last case.
    store: Mutex<Option<TestStore>>,
}

impl Environment {
    pub(crate) async fn new(database: TestDatabase) -> anyhow::Result<Self> {
        let connection = database.connect().await?;
        let (clock, cases, store) = (TestClock::default(), AtomicU32::new(0), Mutex::new(None));
        Ok(Self { database, connection, clock, cases, store })
    }

    /// The store of the last case, or a new one: opening a store takes longer than many steps.
    pub(crate) async fn take_store(&self) -> anyhow::Result<TestStore> {
        let left = self.store.lock().unwrap().take();
        match left {
            Some(store) => Ok(store),
            None => self.open_store().await,
        }
    }

    /// Keeps a store without errors for the next case.
    pub(crate) fn keep_store(&self, store: TestStore) {
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

/// The calls of a case.
pub(crate) struct Calls<'environment> {
    environment: &'environment Environment,
    number: u32,
    begin: Timestamp,
    /// A message that is not in the model. Its id and token are used as wrong ones.
    untouched: CreateMessageResponse,
    messages: Vec<CreateMessageResponse>,
    /// The id of `untouched` in the database. The other messages of the case have greater ids.
    first_row: i64,
}

impl<'environment> Calls<'environment> {
    pub(crate) async fn begin(environment: &'environment Environment, store: &TestStore) -> anyhow::Result<Self> {
        let number = environment.cases.fetch_add(1, Ordering::Relaxed);
        let ttl = prost_types::Duration { seconds: 90 * 24 * 3600, nanos: 0 };
        let untouched = CreateMessageRequest { ttl: Some(ttl), ..CreateMessageRequest::from_text(UNTOUCHED) };
        let untouched = store.create_with(untouched).await?;
        let newest =
            Statement::from_string(environment.connection.get_database_backend(), "SELECT MAX(id) FROM messages");
        let newest = environment.connection.query_one_raw(newest).await?.context("no message")?;
        let first_row = newest.try_get_by_index(0)?;
        Ok(Self { environment, number, begin: environment.clock.now(), untouched, messages: Vec::new(), first_row })
    }

    pub(crate) async fn end(self, store: &TestStore) -> anyhow::Result<()> {
        let viewed = store.view(&self.untouched).await?;
        ensure!(viewed.text() == Some(UNTOUCHED), "the untouched message has changed");
        Ok(())
    }

    pub(crate) async fn take(&mut self, store: &TestStore, step: &Step) -> anyhow::Result<Response> {
        match step {
            Step::Create(creation) => return self.create(store, creation).await,
            Step::Call(call) => {
                let response = self.call(store, call).await;
                return Ok(response.unwrap_or_else(|status| self.error_response(&status)));
            }
            Step::Wait(duration) => self.environment.clock.advance(*duration),
            Step::Sweep => store.store.sweep().await?,
            Step::Restart => {}
        }
        Ok(Response::Done)
    }

    /// The rows of this case.
    pub(crate) async fn rows(&self) -> anyhow::Result<Rows> {
        let connection = &self.environment.connection;
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

    async fn create(&mut self, store: &TestStore, creation: &Creation) -> anyhow::Result<Response> {
        let Creation { text, is_sealed, request, passphrase, ttl } = creation;
        let content = if *is_sealed {
            CreateMessageRequest::from_sealed(text.as_bytes())
        } else {
            CreateMessageRequest::from_text(text)
        };
        let request = CreateMessageRequest {
            ttl: ttl.map(TryInto::try_into).transpose()?,
            // Other cases have other request ids.
            request_id: request.map(|request| uuid(self.number, request as u32)).unwrap_or_default(),
            passphrase: passphrase.map(passphrase_text).unwrap_or_default().to_owned(),
            ..content
        };
        let created = match store.create_with(request).await {
            Ok(created) => created,
            Err(status) => return Ok(self.error_response(&status)),
        };
        let (create_time, expire_time) = (self.elapsed(created.create_time), self.elapsed_if_set(created.expire_time));
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
        Ok(Response::Stored { message, create_time, expire_time })
    }

    async fn call(&self, store: &TestStore, Call { message, ref_kind, method }: &Call) -> Result<Response, Status> {
        let last = self.messages.len() - 1;
        let message = self.with_ref_kind(&self.messages[last - message], *ref_kind);
        match method {
            Method::Lookup => {
                let found = store.lookup(&message).await?;
                Ok(Response::Status {
                    state: found.state(),
                    state_time: self.elapsed(found.state_time),
                    expire_time: self.elapsed_if_set(found.expire_time),
                    needs_passphrase: found.needs_passphrase,
                    is_sealed: found.is_sealed,
                })
            }
            Method::View { reader, passphrase, caller, accepts_sealed } => {
                let mut request = Request::new(ViewMessageRequest {
                    id: message.id,
                    access_token: message.access_token,
                    view_id: reader.map(view_id).unwrap_or_default(),
                    passphrase: passphrase.map(passphrase_text).unwrap_or_default().to_owned(),
                    accepts_sealed: *accepts_sealed,
                });
                request.metadata_mut().insert(CALLER_METADATA, MetadataValue::from_static(address(*caller)));
                let viewed = store.messages().view_message(request).await?.into_inner();
                let (text, is_sealed) = match viewed.content {
                    Some(view_message_response::Content::Text(text)) => (text, false),
                    Some(view_message_response::Content::Sealed(sealed)) => (String::from_utf8(sealed).unwrap(), true),
                    None => return Err(Status::internal("a message without content")),
                };
                Ok(Response::Viewed {
                    text,
                    is_sealed,
                    create_time: self.elapsed(viewed.create_time),
                    repeat_until: self.elapsed_if_set(viewed.repeat_until),
                })
            }
            Method::Acknowledge(reader) => {
                let CreateMessageResponse { id, access_token, .. } = message;
                let request = AcknowledgeViewRequest { id, access_token, view_id: view_id(*reader) };
                let acknowledged = store.messages().acknowledge_view(request).await?.into_inner();
                Ok(Response::Acknowledged { view_time: self.elapsed(acknowledged.view_time) })
            }
            Method::Burn => {
                let burned = store.burn(&message).await?;
                Ok(Response::Burned { burn_time: self.elapsed(burned.burn_time) })
            }
        }
    }

    fn with_ref_kind(&self, message: &CreateMessageResponse, ref_kind: RefKind) -> CreateMessageResponse {
        let mut message = message.clone();
        match ref_kind {
            RefKind::Right => {}
            RefKind::MistypedToken => {
                let last = message.access_token.pop();
                message.access_token.push(if last == Some('0') { '1' } else { '0' });
            }
            RefKind::OtherToken => message.access_token.clone_from(&self.untouched.access_token),
            RefKind::OtherId => message.id = self.untouched.id,
        }
        message
    }

    fn error_response(&self, status: &Status) -> Response {
        let ErrorInfo { reason, metadata, retry_after, .. } = ErrorInfo::from_status(status);
        let time = metadata.get("time").map(|time| self.since_begin(time.parse().unwrap()));
        Response::Error { reason, time, retry_after }
    }

    fn elapsed(&self, time: Option<prost_types::Timestamp>) -> Elapsed {
        self.elapsed_if_set(time).unwrap()
    }

    fn elapsed_if_set(&self, time: Option<prost_types::Timestamp>) -> Option<Elapsed> {
        let micros = |time: prost_types::Timestamp| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000;
        time.map(|time| self.since_begin(Timestamp::from_micros(micros(time))))
    }

    fn since_begin(&self, time: Timestamp) -> Elapsed {
        assert!(time >= self.begin, "{time} is before the begin of the case");
        time.since(self.begin)
    }
}

fn view_id(reader: Reader) -> String {
    uuid(u32::MAX, reader as u32)
}

fn uuid(high: u32, low: u32) -> String {
    format!("{high:08x}-0000-4000-8000-{low:012x}")
}

fn passphrase_text(passphrase: Passphrase) -> &'static str {
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
