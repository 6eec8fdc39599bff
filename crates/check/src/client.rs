//! Clients of Mayfly: gRPC and REST, with one request and one response type for both.

use std::{
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use mayfly_contracts::{
    ErrorInfo, MessageRef, StoreChannel,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, LookupMessageRequest, MessageState,
        ViewMessageRequest, message_service_client::MessageServiceClient,
    },
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tonic::Status;
use uuid::Uuid;

use crate::history::State;

/// How long a client waits for a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request of a client.
pub enum Request {
    /// Stores a text.
    Create {
        /// The text.
        text: String,
        /// The idempotency key, if any.
        request_id: Option<Uuid>,
    },
    /// Reads a message.
    View {
        /// The message to read.
        message_ref: MessageRef,
        /// The idempotency key, if any.
        view_id: Option<Uuid>,
    },
    /// Confirms that the text has arrived.
    Acknowledge {
        /// The message that was read.
        message_ref: MessageRef,
        /// The idempotency key of the view.
        view_id: Uuid,
    },
    /// Returns the state of a message.
    Lookup {
        /// The message to look up.
        message_ref: MessageRef,
    },
    /// Erases a message unread.
    Burn {
        /// The message to erase.
        message_ref: MessageRef,
    },
}

/// The response to a [`Request`].
#[derive(PartialEq, Eq)]
pub enum Response {
    /// The store holds the text.
    Created(MessageRef),
    /// The text of the message.
    Text(String),
    /// The message has no text any more, or never existed.
    Gone,
    /// The call succeeded.
    Done,
    /// The state of the message.
    Found(State),
    /// The request is invalid.
    Rejected,
    /// The outcome is unknown: a timeout, a broken connection, or an error that asks for a retry.
    Unknown,
}

/// A system under load.
pub trait Target: Send + Sync + 'static {
    /// Sends the request once. Returns [`Response::Unknown`] after a timeout.
    fn call(&self, request: &Request) -> impl Future<Output = Response> + Send;
}

/// A client of Mayfly.
pub enum Client {
    /// gRPC, to the store or to the gateway.
    Grpc(GrpcClient),
    /// REST, to the gateway.
    Rest(RestClient),
}

impl Client {
    /// A gRPC client of `url` (`http://host:port`).
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is invalid.
    pub fn grpc(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Grpc(GrpcClient { channel: StoreChannel::remote(url)?, short_deadlines: None }))
    }

    /// A gRPC client of `url` whose deadlines are 1, 2, 4, … 16,384 microseconds and then the usual one, over and over.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is invalid.
    pub fn grpc_with_short_deadlines(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Grpc(GrpcClient { channel: StoreChannel::remote(url)?, short_deadlines: Some(AtomicU32::new(0)) }))
    }

    /// A REST client of `url` (`http://host:port`).
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be built.
    pub fn rest(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self::Rest(RestClient { client, url: url.to_owned() }))
    }
}

impl Target for Client {
    async fn call(&self, request: &Request) -> Response {
        match self {
            Self::Grpc(client) => client.call(request).await,
            Self::Rest(client) => client.call(request).await.unwrap_or(Response::Unknown),
        }
    }
}

/// See [`Client::grpc`].
pub struct GrpcClient {
    channel: StoreChannel,
    short_deadlines: Option<AtomicU32>,
}

impl GrpcClient {
    async fn call(&self, request: &Request) -> Response {
        self.try_call(request).await.unwrap_or_else(|status| match ErrorInfo::from_status(&status).reason {
            ErrorReason::MessageViewed
            | ErrorReason::MessageBurned
            | ErrorReason::MessageExpired
            | ErrorReason::MessageNotFound => Response::Gone,
            ErrorReason::FieldInvalid | ErrorReason::TextTooLong | ErrorReason::AccessTokenInvalid => {
                Response::Rejected
            }
            _ => Response::Unknown,
        })
    }

    async fn try_call(&self, request: &Request) -> Result<Response, Status> {
        let mut client = MessageServiceClient::new(self.channel.clone());
        match request {
            Request::Create { text, request_id } => {
                let request =
                    CreateMessageRequest { request_id: key(*request_id), ..CreateMessageRequest::from_text(text) };
                let created = client.create_message(self.with_deadline(request)).await?.into_inner();
                Ok(Response::Created(MessageRef { id: created.id, access_token: created.access_token }))
            }
            Request::View { message_ref, view_id } => {
                let (id, access_token) = (message_ref.id, message_ref.access_token.clone());
                let request = ViewMessageRequest { id, access_token, view_id: key(*view_id), ..Default::default() };
                Ok(Response::Text(client.view_message(self.with_deadline(request)).await?.into_inner().into_text()?))
            }
            Request::Acknowledge { message_ref, view_id } => {
                let (id, access_token) = (message_ref.id, message_ref.access_token.clone());
                let request = AcknowledgeViewRequest { id, access_token, view_id: view_id.to_string() };
                client.acknowledge_view(self.with_deadline(request)).await?;
                Ok(Response::Done)
            }
            Request::Lookup { message_ref } => {
                let request =
                    LookupMessageRequest { id: message_ref.id, access_token: message_ref.access_token.clone() };
                let found = client.lookup_message(self.with_deadline(request)).await?.into_inner();
                Ok(match found.state() {
                    MessageState::Unspecified => Response::Rejected,
                    MessageState::Unread => Response::Found(State::Unread),
                    MessageState::Viewed => Response::Found(State::Viewed),
                    MessageState::Burned => Response::Found(State::Burned),
                    MessageState::Expired => Response::Found(State::Expired),
                })
            }
            Request::Burn { message_ref } => {
                let request = BurnMessageRequest { id: message_ref.id, access_token: message_ref.access_token.clone() };
                client.burn_message(self.with_deadline(request)).await?;
                Ok(Response::Done)
            }
        }
    }

    fn with_deadline<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        let turn =
            self.short_deadlines.as_ref().map(|short_deadlines| short_deadlines.fetch_add(1, Ordering::Relaxed) % 16);
        request.set_timeout(match turn {
            Some(turn @ 0..15) => Duration::from_micros(1 << turn),
            _ => TIMEOUT,
        });
        request
    }
}

fn key(key: Option<Uuid>) -> String {
    key.map(|key| key.to_string()).unwrap_or_default()
}

/// See [`Client::rest`].
pub struct RestClient {
    client: reqwest::Client,
    url: String,
}

impl RestClient {
    async fn call(&self, request: &Request) -> reqwest::Result<Response> {
        let response = self.request(request).send().await?;
        Ok(match (response.status(), request) {
            (StatusCode::CREATED, Request::Create { .. }) => match message_ref(&response.json().await?) {
                Some(message_ref) => Response::Created(message_ref),
                None => Response::Rejected,
            },
            (StatusCode::OK, Request::View { .. }) => {
                match response.json::<Value>().await?.get("text").and_then(Value::as_str) {
                    Some(text) => Response::Text(text.to_owned()),
                    None => Response::Rejected,
                }
            }
            (StatusCode::OK, Request::Lookup { .. }) => match found(response.json().await?) {
                Some(state) => Response::Found(state),
                None => Response::Rejected,
            },
            (StatusCode::OK, Request::Acknowledge { .. } | Request::Burn { .. }) => Response::Done,
            // Only 204 means that the message is gone. 404 means that the path does not exist.
            (StatusCode::NO_CONTENT, _) => Response::Gone,
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Response::Unknown,
            // A body without a reason comes from the HTTP layer: the request arrived incomplete.
            (StatusCode::BAD_REQUEST, _) => match response.json::<Value>().await?.get("reason") {
                Some(_) => Response::Rejected,
                None => Response::Unknown,
            },
            (status, _) if status.is_client_error() => Response::Rejected,
            _ => Response::Unknown,
        })
    }

    fn request(&self, request: &Request) -> RequestBuilder {
        let (path, body, key) = match request {
            Request::Create { text, request_id } => ("create_message", json!({ "text": text }), *request_id),
            // Half of the messages are read by GET, the others by POST.
            Request::View { message_ref: MessageRef { id, access_token }, view_id } if id % 2 == 0 => {
                let path = format!("get_message/{id}/{access_token}/");
                return with_key(self.client.get(self.path(&path)), *view_id);
            }
            Request::View { message_ref, view_id } => ("view_message", body(message_ref), *view_id),
            Request::Acknowledge { message_ref, view_id } => ("acknowledge_view", body(message_ref), Some(*view_id)),
            Request::Lookup { message_ref } => ("lookup_message", body(message_ref), None),
            Request::Burn { message_ref } => ("burn_message", body(message_ref), None),
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

fn body(message_ref: &MessageRef) -> Value {
    json!({ "id": message_ref.id, "access_token": message_ref.access_token })
}

fn message_ref(created: &Value) -> Option<MessageRef> {
    Some(MessageRef {
        id: created.get("id")?.as_i64()?,
        access_token: created.get("access_token")?.as_str()?.to_owned(),
    })
}

fn found(response: Value) -> Option<State> {
    serde_json::from_value(response.get("state")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// The response of a client to this status line, headers and body.
    async fn response_to(response_text: &str, request: &Request) -> Response {
        let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::rest(&format!("http://{}", gateway.local_addr().unwrap())).unwrap();
        let responding = async {
            let (mut connection, _) = gateway.accept().await.unwrap();
            let length = connection.read(&mut [0; 4096]).await.unwrap();
            assert!(length > 0);
            connection.write_all(format!("HTTP/1.1 {response_text}").as_bytes()).await.unwrap();
        };
        tokio::join!(client.call(request), responding).0
    }

    #[tokio::test]
    async fn only_status_204_means_gone() {
        let message_ref = || MessageRef { id: 1, access_token: "0".repeat(64) };
        let view = Request::View { message_ref: message_ref(), view_id: None };
        assert!(response_to("204 No Content\r\n\r\n", &view).await == Response::Gone);
        for status in ["404 Not Found", "410 Gone", "405 Method Not Allowed"] {
            let response_text = format!("{status}\r\ncontent-length: 0\r\n\r\n");
            assert!(response_to(&response_text, &view).await == Response::Rejected, "{status}");
        }
    }

    #[tokio::test]
    async fn an_incomplete_body_has_an_unknown_outcome() {
        let view = Request::View { message_ref: MessageRef { id: 1, access_token: "0".repeat(64) }, view_id: None };
        let cut_off = json!({ "status": 400, "detail": "the body is incomplete" });
        let refused = json!({ "status": 400, "detail": "id must be given", "reason": "FIELD_INVALID" });
        for (body, response) in [(cut_off, Response::Unknown), (refused, Response::Rejected)] {
            let body = body.to_string();
            let response_text = format!("400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            assert!(response_to(&response_text, &view).await == response, "{body}");
        }
    }

    #[tokio::test]
    async fn a_lookup_returns_a_state() {
        let lookup = Request::Lookup { message_ref: MessageRef { id: 1, access_token: "0".repeat(64) } };
        for (state, response) in [("burned", Response::Found(State::Burned)), ("lost", Response::Rejected)] {
            let body = json!({ "state": state }).to_string();
            let response_text = format!("200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            assert!(response_to(&response_text, &lookup).await == response, "{state}");
        }
    }
}
