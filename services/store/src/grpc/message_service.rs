//! `MessageService`.

use std::{pin::Pin, sync::Arc, time::Duration};

use mayfly_bootstrap::KeyedLimit;
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

use super::{caller::Caller, rate_limits::RateLimits, wire};
use crate::{
    StoreError,
    domain::{
        AccessToken, Clock, ContentKind, Limits, Lookup, MessageContent, MessageId, MessageText, Outcome, Passphrase,
        PublicIds, RequestId, SealedContent, ViewId,
    },
    settings::RateSettings,
    storage::{Messages, NewMessage, Stored, View, Viewed},
};

/// How often a watcher looks for what another store did, and for the end of the lifetime.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Calls with a passphrase that one store handles at a time: those that create, and those that read. Each costs tens of
/// milliseconds of a core; see `stretcher.rs`, which has room for as many.
const MAX_PASSPHRASES: usize = 64;
/// How many of them one caller may have.
const MAX_PASSPHRASES_OF_ONE: usize = 8;

/// Answers calls from the collection of messages.
pub(super) struct MessageGrpc {
    messages: Messages,
    ids: PublicIds,
    limits: Limits,
    clock: Arc<dyn Clock>,
    rates: RateLimits,
    creators_passphrases: KeyedLimit,
    readers_passphrases: KeyedLimit,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl MessageService for MessageGrpc {
    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        let caller = Caller::of(&request);
        let message = self.new_message(request.into_inner())?;
        self.rates.creation(caller.rate_key())?;
        let _permit = self
            .creators_passphrases
            .acquire(caller.id(), usize::from(message.passphrase.is_some()))
            .map_err(StoreError::from)?;
        let Stored { id, token, create_time, expire_time } = self.messages.insert(message).await?;
        Ok(Response::new(CreateMessageResponse {
            id: self.ids.of(id),
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
        let _permit = self
            .readers_passphrases
            .acquire(caller.id(), usize::from(passphrase.is_some()))
            .map_err(StoreError::from)?;
        let view = View { id, token, view_id, passphrase, accepts_sealed, caller: &caller.to_text() };
        let viewed = self.messages.view(view).await;
        let Viewed { content, create_time, repeat_until } = self.rates.named(caller.rate_key(), viewed)?;
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
        let view_id = ViewId::parse(&view_id)?.ok_or(StoreError::field("view_id", "must not be empty"))?;
        let acknowledged = self.messages.acknowledge(id, &token, view_id).await;
        let view_time = self.rates.named(caller.rate_key(), acknowledged)?;
        Ok(Response::new(AcknowledgeViewResponse { view_time: Some(wire::timestamp(view_time)) }))
    }

    async fn lookup_message(
        &self,
        request: Request<LookupMessageRequest>,
    ) -> Result<Response<LookupMessageResponse>, Status> {
        let caller = Caller::of(&request);
        let LookupMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = self.message_ref(caller, id, &access_token)?;
        let lookup = self.rates.named(caller.rate_key(), self.messages.lookup(id, &token).await)?;
        let (state, state_time, expire_time) = standing(lookup);
        let (needs_passphrase, is_sealed) = match lookup {
            Lookup::Unread { needs_passphrase, content_kind, .. } => {
                (needs_passphrase, content_kind == ContentKind::Sealed)
            }
            Lookup::Gone(_) => (false, false),
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
        let time = self.rates.named(caller.rate_key(), self.messages.burn(id, token).await)?;
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
        // Listening begins before the first look, or what ends in between would go unheard.
        let ended = self.messages.ended();
        let first = self.rates.named(caller.rate_key(), self.messages.lookup(id, &token).await)?;
        let (answers, stream) = mpsc::channel(1);
        let watch = Watch { messages: self.messages.clone(), id, token, ended, answers };
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(watch.run(first)));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn get_limits(&self, _request: Request<GetLimitsRequest>) -> Result<Response<GetLimitsResponse>, Status> {
        let Limits { max_text_bytes, default_ttl, max_ttl } = self.limits;
        Ok(Response::new(GetLimitsResponse {
            max_text_bytes: i64::try_from(max_text_bytes).unwrap_or(i64::MAX),
            max_ttl: wire::lifetime(max_ttl),
            default_ttl: wire::lifetime(default_ttl),
        }))
    }
}

/// One caller that wants to know when a message ends.
struct Watch {
    messages: Messages,
    id: MessageId,
    token: AccessToken,
    ended: broadcast::Receiver<MessageId>,
    answers: mpsc::Sender<Result<WatchMessageResponse, Status>>,
}

impl Watch {
    async fn run(mut self, first: Lookup) {
        let mut known = first;
        loop {
            let (state, state_time, expire_time) = standing(known);
            let answer = WatchMessageResponse { state: state.into(), state_time, expire_time };
            if self.answers.send(Ok(answer)).await.is_err() || matches!(known, Lookup::Gone(_)) {
                return;
            }
            match self.change(known).await {
                Some(Ok(lookup)) => known = lookup,
                Some(Err(error)) => {
                    // The caller is told, unless it left meanwhile.
                    drop(self.answers.send(Err(error.into())).await);
                    return;
                }
                None => return,
            }
        }
    }

    /// Where the message stands as soon as that is not what is `known`; `None` when the caller left.
    async fn change(&mut self, known: Lookup) -> Option<Result<Lookup, StoreError>> {
        loop {
            tokio::select! {
                () = self.answers.closed() => return None,
                () = end_is_heard(&mut self.ended, self.id) => {}
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            match self.messages.lookup(self.id, &self.token).await {
                Ok(lookup) if lookup == known => {}
                other => return Some(other),
            }
        }
    }
}

/// Comes back when `id` may have ended.
async fn end_is_heard(ended: &mut broadcast::Receiver<MessageId>, id: MessageId) {
    loop {
        match ended.recv().await {
            Ok(other) if other != id => {}
            // This one ended, or some went by unheard and it may be among them.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            // The writer is gone; the interval still looks.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl MessageGrpc {
    pub(super) fn new(
        messages: Messages,
        ids: PublicIds,
        limits: Limits,
        rates: RateSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let passphrases = || KeyedLimit::new(MAX_PASSPHRASES, MAX_PASSPHRASES_OF_ONE);
        Self {
            messages,
            ids,
            limits,
            clock,
            rates: RateLimits::new(rates),
            creators_passphrases: passphrases(),
            readers_passphrases: passphrases(),
            stop,
        }
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

    /// The message that a caller names.
    fn message_ref(&self, caller: Caller, id: i64, access_token: &str) -> Result<(MessageId, AccessToken), StoreError> {
        let parse = || Ok((self.ids.parse(id)?, AccessToken::parse(access_token)?));
        self.rates.named(caller.rate_key(), parse())
    }

    fn content(&self, content: Option<create_message_request::Content>) -> Result<MessageContent, StoreError> {
        match content {
            Some(create_message_request::Content::Text(text)) => {
                MessageText::parse(text, &self.limits).map(MessageContent::Text)
            }
            Some(create_message_request::Content::Sealed(sealed)) => {
                SealedContent::parse(sealed, &self.limits).map(MessageContent::Sealed)
            }
            // What most callers have forgotten; and what an empty text looks like when it comes from an older client.
            None => Err(StoreError::field("text", "must not be empty")),
        }
    }
}

fn content_to_wire(content: &MessageContent) -> view_message_response::Content {
    match content {
        MessageContent::Text(text) => view_message_response::Content::Text(text.as_str().to_owned()),
        MessageContent::Sealed(sealed) => view_message_response::Content::Sealed(sealed.as_bytes().to_vec()),
    }
}

/// The state, since when, and when it expires.
fn standing(lookup: Lookup) -> (MessageState, Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
    let (state, since, expire_time) = match lookup {
        Lookup::Unread { create_time, expire_time, .. } => (MessageState::Unread, create_time, expire_time),
        Lookup::Gone(receipt) => (state_after(receipt.outcome), receipt.time, None),
    };
    (state, Some(wire::timestamp(since)), expire_time.map(wire::timestamp))
}

fn state_after(outcome: Outcome) -> MessageState {
    match outcome {
        Outcome::Viewed => MessageState::Viewed,
        Outcome::Burned => MessageState::Burned,
        Outcome::Expired => MessageState::Expired,
    }
}
