//! The ways into the system, as its users see them.

use std::{
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, LookupMessageRequest, MessageState,
        ViewMessageRequest, message_service_client::MessageServiceClient,
    },
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::history::State;

/// How long a user waits for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What opens a message.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Opener {
    /// The message's id.
    pub id: i64,
    /// Its access token.
    pub access_token: String,
}

impl Opener {
    /// The same with another first digit.
    #[must_use]
    pub fn mistyped(&self) -> Self {
        let first = if self.access_token.starts_with('0') { '1' } else { '0' };
        let rest = self.access_token.chars().skip(1);
        Self { id: self.id, access_token: std::iter::once(first).chain(rest).collect() }
    }
}

/// One call.
pub enum Question {
    /// Store this text.
    Create {
        /// The text.
        text: String,
        /// The key that makes the call safe to repeat.
        request_id: Option<Uuid>,
    },
    /// Read a message.
    View {
        /// Which one.
        opener: Opener,
        /// The key that makes the call safe to repeat.
        view_id: Option<Uuid>,
    },
    /// The text has arrived.
    Acknowledge {
        /// Of which message.
        opener: Opener,
        /// The key that it was read with.
        view_id: Uuid,
    },
    /// Tell how a message stands.
    Lookup {
        /// Which one.
        opener: Opener,
    },
    /// Erase a message unread.
    Burn {
        /// Which one.
        opener: Opener,
    },
}

/// One answer.
#[derive(PartialEq, Eq)]
pub enum Reply {
    /// The text is stored.
    Created(Opener),
    /// This is the text.
    Text(String),
    /// There is no text any more, or never was.
    Gone,
    /// It is done.
    Done,
    /// This is how the message stands.
    Found(State),
    /// The question is a wrong one.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One way into the system.
pub trait Target: Send + Sync + 'static {
    /// Asks once. An answer that does not come in time is [`Reply::Unknown`].
    fn ask(&self, question: &Question) -> impl Future<Output = Reply> + Send;
}

/// The ways in that Mayfly has.
pub enum Door {
    /// gRPC, at the store or at the gateway.
    Grpc(GrpcDoor),
    /// REST, at the gateway.
    Rest(RestDoor),
}

impl Door {
    /// gRPC at `url` (`http://host:port`).
    ///
    /// # Errors
    ///
    /// When `url` is something else.
    pub fn grpc(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Grpc(GrpcDoor { channel: StoreChannel::remote(url)?, hurried: None }))
    }

    /// gRPC at `url`, by clients who give the store 1, 2, 4, … 16,384 microseconds for an answer, then their usual time, and
    /// begin again.
    ///
    /// # Errors
    ///
    /// When `url` is something else.
    pub fn hurried_grpc(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Grpc(GrpcDoor { channel: StoreChannel::remote(url)?, hurried: Some(AtomicU32::new(0)) }))
    }

    /// REST at `url` (`http://host:port`).
    ///
    /// # Errors
    ///
    /// When there can be no HTTP client.
    pub fn rest(url: &str) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(ANSWER_LIMIT).build()?;
        Ok(Self::Rest(RestDoor { client, url: url.to_owned() }))
    }
}

impl Target for Door {
    async fn ask(&self, question: &Question) -> Reply {
        match self {
            Self::Grpc(door) => door.ask(question).await,
            Self::Rest(door) => door.ask(question).await.unwrap_or(Reply::Unknown),
        }
    }
}

/// See [`Door::grpc`].
pub struct GrpcDoor {
    channel: StoreChannel,
    hurried: Option<AtomicU32>,
}

impl GrpcDoor {
    async fn ask(&self, question: &Question) -> Reply {
        self.try_ask(question).await.unwrap_or_else(|status| match ErrorInfo::from_status(&status).reason {
            ErrorReason::MessageViewed
            | ErrorReason::MessageBurned
            | ErrorReason::MessageExpired
            | ErrorReason::MessageNotFound => Reply::Gone,
            ErrorReason::FieldInvalid | ErrorReason::TextTooLong | ErrorReason::AccessTokenInvalid => Reply::Refused,
            _ => Reply::Unknown,
        })
    }

    async fn try_ask(&self, question: &Question) -> Result<Reply, Status> {
        let mut client = MessageServiceClient::new(self.channel.clone());
        match question {
            Question::Create { text, request_id } => {
                let request =
                    CreateMessageRequest { request_id: key(*request_id), ..CreateMessageRequest::from_text(text) };
                let created = client.create_message(self.in_time(request)).await?.into_inner();
                Ok(Reply::Created(Opener { id: created.id, access_token: created.access_token }))
            }
            Question::View { opener, view_id } => {
                let (id, access_token) = (opener.id, opener.access_token.clone());
                let request = ViewMessageRequest { id, access_token, view_id: key(*view_id), ..Default::default() };
                Ok(Reply::Text(client.view_message(self.in_time(request)).await?.into_inner().into_text()?))
            }
            Question::Acknowledge { opener, view_id } => {
                let (id, access_token) = (opener.id, opener.access_token.clone());
                let request = AcknowledgeViewRequest { id, access_token, view_id: view_id.to_string() };
                client.acknowledge_view(self.in_time(request)).await?;
                Ok(Reply::Done)
            }
            Question::Lookup { opener } => {
                let request = LookupMessageRequest { id: opener.id, access_token: opener.access_token.clone() };
                let found = client.lookup_message(self.in_time(request)).await?.into_inner();
                Ok(match found.state() {
                    MessageState::Unspecified => Reply::Refused,
                    MessageState::Unread => Reply::Found(State::Unread),
                    MessageState::Viewed => Reply::Found(State::Viewed),
                    MessageState::Burned => Reply::Found(State::Burned),
                    MessageState::Expired => Reply::Found(State::Expired),
                })
            }
            Question::Burn { opener } => {
                let request = BurnMessageRequest { id: opener.id, access_token: opener.access_token.clone() };
                client.burn_message(self.in_time(request)).await?;
                Ok(Reply::Done)
            }
        }
    }

    fn in_time<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let turn = self.hurried.as_ref().map(|hurried| hurried.fetch_add(1, Ordering::Relaxed) % 16);
        request.set_timeout(match turn {
            Some(turn @ 0..15) => Duration::from_micros(1 << turn),
            _ => ANSWER_LIMIT,
        });
        request
    }
}

fn key(key: Option<Uuid>) -> String {
    key.map(|key| key.to_string()).unwrap_or_default()
}

/// See [`Door::rest`].
pub struct RestDoor {
    client: Client,
    url: String,
}

impl RestDoor {
    async fn ask(&self, question: &Question) -> reqwest::Result<Reply> {
        let response = self.request(question).send().await?;
        Ok(match (response.status(), question) {
            (StatusCode::CREATED, Question::Create { .. }) => match opener(&response.json().await?) {
                Some(opener) => Reply::Created(opener),
                None => Reply::Refused,
            },
            (StatusCode::OK, Question::View { .. }) => {
                match response.json::<Value>().await?.get("text").and_then(Value::as_str) {
                    Some(text) => Reply::Text(text.to_owned()),
                    None => Reply::Refused,
                }
            }
            (StatusCode::OK, Question::Lookup { .. }) => match found(response.json().await?) {
                Some(state) => Reply::Found(state),
                None => Reply::Refused,
            },
            (StatusCode::OK, Question::Acknowledge { .. } | Question::Burn { .. }) => Reply::Done,
            // And nothing else: 404 says that there is no such path, whatever became of the message.
            (StatusCode::NO_CONTENT, _) => Reply::Gone,
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Reply::Unknown,
            // Without a reason it is HTTP alone that went wrong: what was sent did not arrive whole.
            (StatusCode::BAD_REQUEST, _) => match response.json::<Value>().await?.get("reason") {
                Some(_) => Reply::Refused,
                None => Reply::Unknown,
            },
            (status, _) if status.is_client_error() => Reply::Refused,
            _ => Reply::Unknown,
        })
    }

    fn request(&self, question: &Question) -> RequestBuilder {
        let (path, body, key) = match question {
            Question::Create { text, request_id } => ("create_message", json!({ "text": text }), *request_id),
            // Both ways to read, one for half of the messages each.
            Question::View { opener: Opener { id, access_token }, view_id } if id % 2 == 0 => {
                let path = format!("get_message/{id}/{access_token}/");
                return with_key(self.client.get(self.path(&path)), *view_id);
            }
            Question::View { opener, view_id } => ("view_message", body(opener), *view_id),
            Question::Acknowledge { opener, view_id } => ("acknowledge_view", body(opener), Some(*view_id)),
            Question::Lookup { opener } => ("lookup_message", body(opener), None),
            Question::Burn { opener } => ("burn_message", body(opener), None),
        };
        with_key(self.client.post(self.path(path)).json(&body), key)
    }

    fn path(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }
}

fn with_key(request: RequestBuilder, key: Option<Uuid>) -> RequestBuilder {
    match key {
        Some(key) => request.header("Idempotency-Key", key.to_string()),
        None => request,
    }
}

fn body(opener: &Opener) -> Value {
    json!({ "id": opener.id, "access_token": opener.access_token })
}

fn opener(created: &Value) -> Option<Opener> {
    Some(Opener { id: created.get("id")?.as_i64()?, access_token: created.get("access_token")?.as_str()?.to_owned() })
}

fn found(looked_up: Value) -> Option<State> {
    serde_json::from_value(looked_up.get("state")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// What a reader makes of an answer with this status line, headers and body.
    async fn reply_to(answer: &str, question: &Question) -> Reply {
        let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Door::rest(&format!("http://{}", gateway.local_addr().unwrap())).unwrap();
        let answering = async {
            let (mut connection, _) = gateway.accept().await.unwrap();
            let length = connection.read(&mut [0; 4096]).await.unwrap();
            assert!(length > 0);
            connection.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
        };
        tokio::join!(door.ask(question), answering).0
    }

    #[tokio::test]
    async fn only_the_status_that_says_so_is_gone() {
        let opener = || Opener { id: 1, access_token: "0".repeat(64) };
        let view = Question::View { opener: opener(), view_id: None };
        assert!(reply_to("204 No Content\r\n\r\n", &view).await == Reply::Gone);
        for status in ["404 Not Found", "410 Gone", "405 Method Not Allowed"] {
            let answer = format!("{status}\r\ncontent-length: 0\r\n\r\n");
            assert!(reply_to(&answer, &view).await == Reply::Refused, "{status}");
        }
    }

    #[tokio::test]
    async fn a_body_that_did_not_arrive_whole_is_no_refusal() {
        let view = Question::View { opener: Opener { id: 1, access_token: "0".repeat(64) }, view_id: None };
        let cut_off = json!({ "status": 400, "detail": "the body did not arrive whole" });
        let refused = json!({ "status": 400, "detail": "id must be given", "reason": "FIELD_INVALID" });
        for (body, reply) in [(cut_off, Reply::Unknown), (refused, Reply::Refused)] {
            let body = body.to_string();
            let answer = format!("400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            assert!(reply_to(&answer, &view).await == reply, "{body}");
        }
    }

    #[tokio::test]
    async fn a_lookup_is_answered_with_a_state() {
        let lookup = Question::Lookup { opener: Opener { id: 1, access_token: "0".repeat(64) } };
        for (state, reply) in [("burned", Reply::Found(State::Burned)), ("lost", Reply::Refused)] {
            let body = json!({ "state": state }).to_string();
            let answer = format!("200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            assert!(reply_to(&answer, &lookup).await == reply, "{state}");
        }
    }
}
