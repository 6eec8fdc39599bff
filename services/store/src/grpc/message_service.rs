//! `MessageService`.

use std::sync::Arc;

use mayfly_contracts::message::{
    BurnMessageRequest, BurnMessageResponse, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest,
    LookupMessageResponse, MessageState, ViewMessageRequest, ViewMessageResponse,
    message_service_server::MessageService,
};
use tonic::{Request, Response, Status};

use super::wire;
use crate::{
    StoreError,
    domain::{AccessToken, Clock, Limits, Lookup, MessageId, MessageText, Outcome, RequestId},
    storage::{Messages, NewMessage, Stored},
};

/// Answers calls from the collection of messages.
pub(super) struct MessageGrpc {
    pub(super) messages: Messages,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl MessageService for MessageGrpc {
    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        let message = self.new_message(request.into_inner())?;
        let Stored { id, token, create_time, expire_time } = self.messages.insert(message).await?;
        Ok(Response::new(CreateMessageResponse {
            id: id.get(),
            access_token: token.to_text(),
            create_time: Some(wire::timestamp(create_time)),
            expire_time: expire_time.map(wire::timestamp),
        }))
    }

    async fn view_message(
        &self,
        request: Request<ViewMessageRequest>,
    ) -> Result<Response<ViewMessageResponse>, Status> {
        let ViewMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = opener(id, &access_token)?;
        let (text, create_time) = self.messages.take(id, &token).await?;
        Ok(Response::new(ViewMessageResponse {
            text: text.as_str().to_owned(),
            create_time: Some(wire::timestamp(create_time)),
        }))
    }

    async fn lookup_message(
        &self,
        request: Request<LookupMessageRequest>,
    ) -> Result<Response<LookupMessageResponse>, Status> {
        let LookupMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = opener(id, &access_token)?;
        let (state, state_time, expire_time) = match self.messages.lookup(id, &token).await? {
            Lookup::Unread { create_time, expire_time } => (MessageState::Unread, create_time, expire_time),
            Lookup::Gone(receipt) => (state_after(receipt.outcome), receipt.time, None),
        };
        Ok(Response::new(LookupMessageResponse {
            state: state.into(),
            state_time: Some(wire::timestamp(state_time)),
            expire_time: expire_time.map(wire::timestamp),
        }))
    }

    async fn burn_message(
        &self,
        request: Request<BurnMessageRequest>,
    ) -> Result<Response<BurnMessageResponse>, Status> {
        let BurnMessageRequest { id, access_token } = request.into_inner();
        let (id, token) = opener(id, &access_token)?;
        let time = self.messages.burn(id, &token).await?;
        Ok(Response::new(BurnMessageResponse { burn_time: Some(wire::timestamp(time)) }))
    }
}

impl MessageGrpc {
    fn new_message(&self, request: CreateMessageRequest) -> Result<NewMessage, StoreError> {
        let CreateMessageRequest { text, ttl, request_id } = request;
        let text = MessageText::parse(text, &self.limits)?;
        let ttl = ttl.map(|ttl| wire::duration("ttl", ttl)).transpose()?;
        let create_time = self.clock.now();
        let expire_time = self.limits.expire_time(create_time, ttl)?;
        let request = if request_id.is_empty() { None } else { Some(RequestId::parse(&request_id)?) };
        Ok(NewMessage { text, create_time, expire_time, request })
    }
}

fn opener(id: i64, access_token: &str) -> Result<(MessageId, AccessToken), StoreError> {
    Ok((MessageId::parse(id)?, AccessToken::parse(access_token)?))
}

fn state_after(outcome: Outcome) -> MessageState {
    match outcome {
        Outcome::Viewed => MessageState::Viewed,
        Outcome::Burned => MessageState::Burned,
        Outcome::Expired => MessageState::Expired,
    }
}
