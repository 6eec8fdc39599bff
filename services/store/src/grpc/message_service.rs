//! `MessageService`.

use std::{pin::Pin, sync::Arc, time::Duration};

use mayfly_bootstrap::{KeyedLimit, LimitExceeded, Permit};
use mayfly_contracts::message::{
    AcknowledgeViewRequest, AcknowledgeViewResponse, BurnMessageRequest, BurnMessageResponse, CreateMessageRequest,
    CreateMessageResponse, GetLimitsRequest, GetLimitsResponse, LookupMessageRequest, LookupMessageResponse,
    MessageState, ViewMessageRequest, ViewMessageResponse, WatchMessageRequest, WatchMessageResponse,
    create_message_request, message_service_server::MessageService, view_message_response,
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    caller::Caller,
    credentials::{Authenticator, Permission},
    rate_limits::RateLimits,
    wire,
};
use crate::{
    domain::{
        AccessToken, Clock, ContentKind, InvalidInput, MessageContent, MessageId, MessageLimits, MessageStatus,
        MessageText, Outcome, Passphrase, PublicIds, RequestId, SealedContent, ViewId,
    },
    error::StoreError,
    messages::{Messages, NewMessage, StoredMessage, ViewRequest, ViewedMessage},
    metrics::Limit,
};

/// How often a watch checks for changes by other stores, and for expiry.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The most concurrent calls with a passphrase that create messages, and that view them. Each takes tens of
/// milliseconds of a core. `messages/stretcher.rs` has queues of this length.
const MAX_PASSPHRASES: usize = 64;
/// The most concurrent calls with a passphrase of a caller.
const MAX_PASSPHRASES_PER_CALLER: usize = 8;

/// The implementation of `MessageService`.
pub(super) struct MessageServiceImpl {
    messages: Messages,
    ids: PublicIds,
    limits: MessageLimits,
    clock: Arc<dyn Clock>,
    rates: Arc<RateLimits>,
    /// Authenticates creators. `None` if everybody may create messages.
    creators: Option<Authenticator>,
    creator_passphrases: KeyedLimit,
    reader_passphrases: KeyedLimit,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl MessageService for MessageServiceImpl {
    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        if let Some(creators) = &self.creators {
            creators.require(Permission::CREATE, &request).await?;
        }
        let caller = Caller::of(&request);
        let message = self.new_message(request.into_inner())?;
        self.rates.check_creation(caller.rate_key())?;
        let _permit = self.acquire_passphrase(&self.creator_passphrases, caller, message.passphrase.is_some())?;
        let StoredMessage { id, token, create_time, expire_time } = self.messages.insert(message).await?;
        Ok(Response::new(CreateMessageResponse {
            id: self.ids.encode(id),
            access_token: token.to_text(),
            create_time: Some(wire::timestamp(create_time)),
            expire_time: expire_time.map(wire::timestamp),
        }))
    }

    async fn view_message(
        &self,
        request: Request<ViewMessageRequest>,
    ) -> Result<Response<ViewMessageResponse>, Status> {
        let caller = Caller::of(&request);
        let ViewMessageRequest { id, access_token, view_id, passphrase, accepts_sealed } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        let (view_id, passphrase) = (ViewId::parse(&view_id)?, Passphrase::parse(passphrase)?);
        let _permit = self.acquire_passphrase(&self.reader_passphrases, caller, passphrase.is_some())?;
        let request = ViewRequest { id, token, view_id, passphrase, accepts_sealed, caller: &caller.to_text() };
        let viewed = self.messages.view(request).await;
        let ViewedMessage { content, create_time, repeat_until } =
            self.rates.limit_failed_reads(caller.rate_key(), viewed)?;
        Ok(Response::new(ViewMessageResponse {
            content: Some(content_to_wire(&content)),
            create_time: Some(wire::timestamp(create_time)),
            repeat_until: repeat_until.map(wire::timestamp),
        }))
    }

    async fn acknowledge_view(
        &self,
        request: Request<AcknowledgeViewRequest>,
    ) -> Result<Response<AcknowledgeViewResponse>, Status> {
        let caller = Caller::of(&request);
        let AcknowledgeViewRequest { id, access_token, view_id } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        let view_id = ViewId::parse(&view_id)?.ok_or(InvalidInput::field("view_id", "must not be empty"))?;
        let acknowledged = self.messages.acknowledge(id, &token, view_id).await;
        let view_time = self.rates.limit_failed_reads(caller.rate_key(), acknowledged)?;
        Ok(Response::new(AcknowledgeViewResponse { view_time: Some(wire::timestamp(view_time)) }))
    }

    async fn lookup_message(
        &self,
        request: Request<LookupMessageRequest>,
    ) -> Result<Response<LookupMessageResponse>, Status> {
        let caller = Caller::of(&request);
        let LookupMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        let status = self.rates.limit_failed_reads(caller.rate_key(), self.messages.lookup(id, &token).await)?;
        let (state, state_time, expire_time) = status_fields(status);
        let (needs_passphrase, is_sealed) = match status {
            MessageStatus::Unread { needs_passphrase, content_kind, .. } => {
                (needs_passphrase, content_kind == ContentKind::Sealed)
            }
            MessageStatus::Gone(_) => (false, false),
        };
        Ok(Response::new(LookupMessageResponse {
            state: state.into(),
            state_time,
            expire_time,
            needs_passphrase,
            is_sealed,
        }))
    }

    async fn burn_message(
        &self,
        request: Request<BurnMessageRequest>,
    ) -> Result<Response<BurnMessageResponse>, Status> {
        let caller = Caller::of(&request);
        let BurnMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        let time = self.rates.limit_failed_reads(caller.rate_key(), self.messages.burn(id, token).await)?;
        Ok(Response::new(BurnMessageResponse { burn_time: Some(wire::timestamp(time)) }))
    }

    type WatchMessageStream = Pin<Box<dyn Stream<Item = Result<WatchMessageResponse, Status>> + Send>>;

    async fn watch_message(
        &self,
        request: Request<WatchMessageRequest>,
    ) -> Result<Response<Self::WatchMessageStream>, Status> {
        let caller = Caller::of(&request);
        let WatchMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        // Subscribes before the first lookup, so that no end in between is missed.
        let ended = self.messages.ended();
        let initial = self.rates.limit_failed_reads(caller.rate_key(), self.messages.lookup(id, &token).await)?;
        let (responses, stream) = mpsc::channel(1);
        let watch = Watch { messages: self.messages.clone(), id, token, ended, responses };
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(watch.run(initial)));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn get_limits(&self, request: Request<GetLimitsRequest>) -> Result<Response<GetLimitsResponse>, Status> {
        let MessageLimits { max_text_bytes, default_ttl, max_ttl } = self.limits;
        Ok(Response::new(GetLimitsResponse {
            max_text_bytes: i64::try_from(max_text_bytes).unwrap_or(i64::MAX),
            max_ttl: wire::lifetime(max_ttl),
            default_ttl: wire::lifetime(default_ttl),
            create_needs_token: self.needs_token(&request).await?,
        }))
    }
}

/// A watch of a message until it ends.
struct Watch {
    messages: Messages,
    id: MessageId,
    token: AccessToken,
    ended: broadcast::Receiver<MessageId>,
    responses: mpsc::Sender<Result<WatchMessageResponse, Status>>,
}

impl Watch {
    async fn run(mut self, initial: MessageStatus) {
        let mut last_sent = initial;
        loop {
            let (state, state_time, expire_time) = status_fields(last_sent);
            let response = WatchMessageResponse { state: state.into(), state_time, expire_time };
            if self.responses.send(Ok(response)).await.is_err() || matches!(last_sent, MessageStatus::Gone(_)) {
                return;
            }
            match self.next_change(last_sent).await {
                Some(Ok(status)) => last_sent = status,
                Some(Err(error)) => {
                    // The client may have disconnected.
                    drop(self.responses.send(Err(error.into())).await);
                    return;
                }
                None => return,
            }
        }
    }

    /// Waits until the status differs from `last`. Returns `None` if the client disconnects.
    async fn next_change(&mut self, last: MessageStatus) -> Option<Result<MessageStatus, StoreError>> {
        loop {
            tokio::select! {
                () = self.responses.closed() => return None,
                () = wait_for_end(&mut self.ended, self.id) => {}
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            match self.messages.lookup(self.id, &self.token).await {
                Ok(status) if status == last => {}
                other => return Some(other),
            }
        }
    }
}

/// Completes when `id` may have ended.
async fn wait_for_end(ended: &mut broadcast::Receiver<MessageId>, id: MessageId) {
    loop {
        match ended.recv().await {
            Ok(other) if other != id => {}
            // The message ended, or it may be among missed ones.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            // The writer has ended. The interval still checks.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl MessageServiceImpl {
    pub(super) fn new(
        messages: Messages,
        ids: PublicIds,
        limits: MessageLimits,
        rates: Arc<RateLimits>,
        creators: Option<Authenticator>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let passphrases = || KeyedLimit::new(MAX_PASSPHRASES, MAX_PASSPHRASES_PER_CALLER);
        Self {
            messages,
            ids,
            limits,
            clock,
            rates,
            creators,
            creator_passphrases: passphrases(),
            reader_passphrases: passphrases(),
            stop,
        }
    }

    /// Whether the caller needs another token to create messages.
    async fn needs_token<T: Sync>(&self, request: &Request<T>) -> Result<bool, StoreError> {
        let Some(creators) = &self.creators else { return Ok(false) };
        match creators.identify(request).await {
            Ok(identity) => Ok(!identity.may(Permission::CREATE)),
            Err(error @ (StoreError::Unavailable | StoreError::Internal)) => Err(error),
            Err(_) => Ok(true),
        }
    }

    /// Reserves the stretching of a passphrase, if the call has one.
    fn acquire_passphrase(&self, limit: &KeyedLimit, caller: Caller, has_one: bool) -> Result<Permit, StoreError> {
        limit.acquire(caller.id(), usize::from(has_one)).map_err(|exceeded| {
            self.messages.metrics().refusals.inc(match exceeded {
                LimitExceeded::PerKey => Limit::CallerPassphrases,
                LimitExceeded::Total => Limit::Passphrases,
            });
            exceeded.into()
        })
    }

    fn new_message(&self, request: CreateMessageRequest) -> Result<NewMessage, StoreError> {
        let CreateMessageRequest { content, ttl, request_id, passphrase } = request;
        let content = self.content(content)?;
        let ttl = ttl.map(|ttl| wire::duration("ttl", ttl)).transpose()?;
        let create_time = self.clock.now();
        let expire_time = self.limits.expire_time(create_time, ttl)?;
        let (request, passphrase) = (RequestId::parse(&request_id)?, Passphrase::parse(passphrase)?);
        Ok(NewMessage { content, create_time, ttl, expire_time, request, passphrase })
    }

    /// Parses the id and the access token of a request.
    fn message_ref(&self, caller: Caller, id: i64, access_token: &str) -> Result<(MessageId, AccessToken), StoreError> {
        let parse = || Ok((self.ids.parse(id)?, AccessToken::parse(access_token)?));
        self.rates.limit_failed_reads(caller.rate_key(), parse())
    }

    fn content(&self, content: Option<create_message_request::Content>) -> Result<MessageContent, InvalidInput> {
        match content {
            Some(create_message_request::Content::Text(text)) => {
                MessageText::parse(text, &self.limits).map(MessageContent::Text)
            }
            Some(create_message_request::Content::Sealed(sealed)) => {
                SealedContent::parse(sealed, &self.limits).map(MessageContent::Sealed)
            }
            // Older clients also send an empty text like this.
            None => Err(InvalidInput::field("text", "must not be empty")),
        }
    }
}

fn content_to_wire(content: &MessageContent) -> view_message_response::Content {
    match content {
        MessageContent::Text(text) => view_message_response::Content::Text(text.as_str().to_owned()),
        MessageContent::Sealed(sealed) => view_message_response::Content::Sealed(sealed.as_bytes().to_vec()),
    }
}

/// The state, its time, and the expiry of a message.
fn status_fields(
    status: MessageStatus,
) -> (MessageState, Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
    let (state, since, expire_time) = match status {
        MessageStatus::Unread { create_time, expire_time, .. } => (MessageState::Unread, create_time, expire_time),
        MessageStatus::Gone(receipt) => (state_of(receipt.outcome), receipt.time, None),
    };
    (state, Some(wire::timestamp(since)), expire_time.map(wire::timestamp))
}

fn state_of(outcome: Outcome) -> MessageState {
    match outcome {
        Outcome::Viewed => MessageState::Viewed,
        Outcome::Burned => MessageState::Burned,
        Outcome::Expired => MessageState::Expired,
    }
}
